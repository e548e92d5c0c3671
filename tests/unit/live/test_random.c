/* Random statements under random subscriptions: at every quiet point each client's copy equals a
 * fresh SELECT.
 *
 * Clients come, go, resume from their last _seq, read slowly (their output is bounded to less than
 * a few messages, so they keep falling into
 * catch-up), while other threads write. The copy is kept as a client would: from messages alone. */
#include "live_test.h"

#include <time.h>

#define N_CONNS 6
#define N_SUBS 4

static uint64_t rng;
static uint64_t next_random(void) {
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}
static uint32_t below(uint32_t n) {
    return (uint32_t)((next_random() >> 16) % n);
}

/* ---- what is subscribed to ---- */

static const char *const tables[] = {"k", "n", "sh", "st"};
static const struct {
    const char *cols;
    bool key; /* the primary key is in the rows, where there is one */
} projections[] = {{"*", true}, {"id, a, b", true}, {"b, id", true}, {"b", false}, {"a, b", false}};
static const char *const filters[] = {
    "",
    " WHERE a = 2",
    " WHERE a > 1",
    " WHERE b = 'x'",
    " WHERE a = 1 AND b = 'y'",
    " WHERE a IS NULL OR b LIKE 'x%'",
    " WHERE id % 2 = 0",
    " WHERE id = 3",
    " WHERE a IN (0, 3) AND id > 4",
    " WHERE 2 = a",
    " WHERE NOT (b = 'x')",
};
static const char *const users[] = {"amy", "ben", "cid"};

/* ---- a copy: rows by identity ---- */

struct row {
    char key[24];
    int64_t seq;
    char text[96]; /* cells in the order of the query, joined by | */
};
struct sub {
    bool on, acked, ready, keyed;
    bool resumed; /* changes may come between its batches */
    unsigned table, projection, filter;
    int64_t cursor;
    struct row rows[2000];
    size_t n;
};
struct peer {
    struct conn c;
    bool slow;
    struct sub subs[N_SUBS];
};
static struct peer *peers;
static uint64_t n_messages, n_resyncs, n_resumes, n_in_batches;

static void copy_put(struct sub *s, const struct row *r, bool must_be_new) {
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->rows[i].key, r->key) == 0) {
            if (must_be_new) {
                fail_msg("inserted twice: %s", r->text);
            }
            s->rows[i] = *r;
            return;
        }
    }
    assert_true(s->n < KL_LEN(s->rows));
    s->rows[s->n++] = *r;
}
static void copy_remove(struct sub *s, const char *key) {
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->rows[i].key, key) == 0) {
            s->rows[i] = s->rows[--s->n];
            return;
        }
    }
}

/* ---- reading messages (our own output: flat objects of numbers, null, true, false and strings
 * without escapes) ---- */

struct cells {
    struct kl_slice name[8], value[8];
    size_t n;
};
static const char *read_object(const char *at, struct cells *c) {
    c->n = 0;
    assert_true(*at == '{');
    at++;
    while (*at != '}') {
        at += *at == ',';
        const char *name = ++at;
        at = strchr(at, '"');
        assert_true(c->n < 8);
        c->name[c->n] = kl_slice(name, (size_t)(at - name));
        at += 2;
        bool quoted = *at == '"';
        const char *value = at += quoted;
        at = quoted ? strchr(at, '"') : at + strcspn(at, ",}");
        c->value[c->n++] = kl_slice(value, (size_t)(at - value));
        at += quoted;
    }
    return at + 1;
}
static struct kl_slice cell(const struct cells *c, const char *name) {
    for (size_t i = 0; i < c->n; i++) {
        if (kl_slice_eq_str(c->name[i], name)) {
            return c->value[i];
        }
    }
    return KL_SLICE_NONE;
}
static struct kl_slice must(const struct cells *c, const char *name) {
    struct kl_slice v = cell(c, name);
    assert_non_null(v.ptr);
    return v;
}

static void to_row(const struct sub *s, const struct cells *c, struct row *r) {
    static const char *const names[][4] = {
        {"id", "a", "b"}, {"id", "a", "b"}, {"b", "id"}, {"b"}, {"a", "b"}};
    size_t n = 0;
    r->text[0] = '\0';
    for (size_t i = 0; i < 4 && names[s->projection][i] != NULL; i++) {
        struct kl_slice v = must(c, names[s->projection][i]);
        n += (size_t)snprintf(r->text + n, sizeof(r->text) - n, "%.*s|", KL_FMT(v));
    }
    struct kl_slice seq = must(c, "_seq");
    r->seq = strtoll(seq.ptr, NULL, 10);
    snprintf(r->text + n, sizeof(r->text) - n, "%.*s", KL_FMT(seq));
    snprintf(r->key, sizeof(r->key), "%.*s", KL_FMT(s->keyed ? must(c, "id") : seq));
}

static void advance(struct sub *s, int64_t seq) {
    s->cursor = KL_MAX(s->cursor, seq);
}

static void on_rows(struct sub *s, const char *at, bool insert, struct row *ret) {
    struct cells c;
    assert_true(*at == '[');
    for (at++; *at != ']'; at += *at == ',') {
        at = read_object(at, &c);
        to_row(s, &c, ret);
        copy_put(s, ret, insert);
        advance(s, ret->seq);
        n_in_batches++;
    }
}

static int64_t last_seq_id(const char *json) {
    const char *at = strstr(json, "\"last_seq_id\":");
    return at != NULL ? strtoll(at + strlen("\"last_seq_id\":"), NULL, 10) : 0;
}

static void on_change(struct sub *s, const char *json) {
    struct cells c;
    struct row r;
    const char *rows = strstr(json, "\"rows\":["), *old = strstr(json, "\"old_values\":[{");
    assert_true(s->ready || s->resumed);
    if (strstr(json, "\"change_type\":\"insert\"") != NULL) {
        assert_true(old == NULL);
        on_rows(s, rows + 7, true, &r);
        return;
    }
    read_object(old + 14, &c);
    char key[24];
    snprintf(key, sizeof(key), "%.*s", KL_FMT(must(&c, s->keyed ? "id" : "_prev_seq")));
    if (rows == NULL) {
        copy_remove(s, key);
        advance(s, strtoll(must(&c, "_seq").ptr, NULL, 10));
        return;
    }
    if (!s->keyed) {
        copy_remove(s, key);
    }
    on_rows(s, rows + 7, false, &r);
}

static void on_message(struct peer *p, const char *json) {
    if (getenv("KL_TEST_TRACE") != NULL) {
        fprintf(stderr, "%u %s\n", (unsigned)(p - peers), json);
    }
    const char *id = strstr(json, "\"subscription_id\":\"s");
    n_messages++;
    assert_non_null(id);
    struct sub *s = &p->subs[atoi(id + strlen("\"subscription_id\":\"s")) % N_SUBS];
    if (strstr(json, "\"type\":\"error\"") != NULL) {
        fail_msg("unexpected: %s", json);
    }
    if (!s->on) {
        return; /* unsubscribed meanwhile */
    }
    if (strstr(json, "\"type\":\"subscription_ack\"") != NULL) {
        s->acked = true;
        s->ready = strstr(json, "\"ready\"") != NULL;
        if (strstr(json, "\"resync\":true") != NULL) {
            s->n = 0;
            s->cursor = 0;
            n_resyncs++;
        }
        advance(s, last_seq_id(json));
    } else if (strstr(json, "\"type\":\"initial_data_batch\"") != NULL) {
        struct row r;
        assert_true(s->acked && !s->ready);
        on_rows(s, strstr(json, "\"rows\":[") + 7, false, &r);
        s->ready = strstr(json, "\"has_more\":false") != NULL;
        advance(s, last_seq_id(json));
    } else {
        on_change(s, json);
    }
}

static bool drain(struct peer *p, unsigned most) {
    for (unsigned i = 0; i < most; i++) {
        struct kl_frame *f = take(&p->c, 0);
        if (f == NULL) {
            return i > 0;
        }
        on_message(p, kl_frame_json(f).ptr);
        kl_frame_unref(f);
    }
    return true;
}

/* ---- comparing ---- */

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool equal_to_select(struct peer *p, struct sub *s, char *why, size_t cap) {
    static const char *const cols[] = {"id, a, b", "id, a, b", "b, id", "b", "a, b"};
    char sql[300];
    const char *lines[2000], *mine[2000];
    size_t n = 0;
    snprintf(sql, sizeof(sql), "SELECT %s, _seq FROM app.%s%s", cols[s->projection],
        tables[s->table], filters[s->filter]);
    run_as(p->c.user, KL_ROLE_DBA, sql);
    for (char *at = W.answer.text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        *end = '\0';
        for (char *q; (q = strstr(at, "NULL")) != NULL;) {
            memcpy(q, "null", 4);
        }
        lines[n++] = at;
    }
    for (size_t i = 0; i < s->n; i++) {
        mine[i] = s->rows[i].text;
    }
    qsort(lines, n, sizeof(*lines), by_text);
    qsort(mine, s->n, sizeof(*mine), by_text);
    snprintf(why, cap, "%s: %zu rows, the client has %zu", sql, n, s->n);
    for (size_t i = 0; i < n && i < s->n; i++) {
        if (strcmp(lines[i], mine[i]) != 0) {
            snprintf(why, cap, "%s: row %s, the client has %s (%zu and %zu rows)", sql, lines[i],
                mine[i], n, s->n);
            return false;
        }
    }
    return n == s->n;
}

static void quiet_point(uint64_t seed, unsigned step) {
    char why[600] = "";
    for (int64_t end = kl_clock_mono_ms() + 20000;;) {
        bool equal = true;
        for (unsigned i = 0; i < N_CONNS && equal; i++) {
            while (drain(&peers[i], 1000)) {
            }
            for (unsigned k = 0; k < N_SUBS; k++) {
                struct sub *s = &peers[i].subs[k];
                snprintf(why, sizeof(why), "peer %u s%u is not ready", i, k);
                if (s->on && (!s->ready || !equal_to_select(&peers[i], s, why, sizeof(why)))) {
                    equal = false;
                    break;
                }
            }
        }
        if (equal) {
            break;
        }
        if (kl_clock_mono_ms() > end) {
            fail_msg("seed %llu, step %u: %s", (unsigned long long)seed, step, why);
        }
        usleep(2000);
    }
    for (unsigned i = 0; i < N_CONNS; i++) {
        for (unsigned k = 0; k < N_SUBS; k++) {
        }
    }
}

/* ---- what happens ---- */

static void values(char *out, size_t cap, uint32_t id) {
    static const char *const texts[] = {"'x'", "'y'", "'xx'", "NULL", "''"};
    static const char *const numbers[] = {"0", "1", "2", "3", "NULL"};
    const char *a = numbers[below(5)], *b = texts[below(5)];
    snprintf(out, cap, "(%u, %s, %s)", id, a, b);
}

static void write_something(void) {
    static const char *const conditions[] = {
        "id = %u", "id < %u", "a = 1 AND id > %u", "b = 'x' AND id <> %u"};
    static const char *const sets[] = {
        "a = 2", "a = NULL", "b = 'x'", "a = 1, b = 'y'", "b = NULL"};
    char sql[800], v[60], cond[60];
    unsigned t = below(KL_LEN(tables));
    const char *table = tables[t];
    size_t n = (size_t)snprintf(sql, sizeof(sql), "INSERT INTO app.%s (id, a, b) VALUES ", table);
    snprintf(cond, sizeof(cond), conditions[below(3) == 0 ? 1 + below(3) : 0], below(12));
    unsigned what = below(10);
    if (what < 4) {
        unsigned rows = 1 + below(3), first = below(12);
        for (unsigned i = 0; i < rows; i++) {
            values(v, sizeof(v), first + i);
            n += (size_t)snprintf(sql + n, sizeof(sql) - n, "%s%s", i > 0 ? ", " : "", v);
        }
    } else if (what < 8 && t != 3) {
        snprintf(sql, sizeof(sql), "UPDATE app.%s SET %s WHERE %s", table, sets[below(5)], cond);
    } else {
        snprintf(sql, sizeof(sql), "DELETE FROM app.%s WHERE %s", table, cond);
    }
    h_exec(&W.h, users[below(KL_LEN(users))], KL_ROLE_DBA, sql, &W.answer);
    if (W.answer.rc != KL_OK && W.answer.rc != KL_E_CONSTRAINT &&
        strstr(W.answer.err, "duplicate") == NULL && strstr(W.answer.err, "exists") == NULL) {
        fail_msg("%s: %s", sql, W.answer.err);
    }
}

static void send_subscribe(struct peer *p, unsigned k, int64_t from) {
    if (getenv("KL_TEST_TRACE") != NULL) {
        fprintf(stderr, "%u subscribes s%u from %lld: %s %s %s\n", (unsigned)(p - peers), k,
            (long long)from, projections[p->subs[k].projection].cols, tables[p->subs[k].table],
            filters[p->subs[k].filter]);
    }
    struct sub *s = &p->subs[k];
    char id[8], sql[300];
    snprintf(id, sizeof(id), "s%u", k);
    snprintf(sql, sizeof(sql), "SELECT %s FROM app.%s%s", projections[s->projection].cols,
        tables[s->table], filters[s->filter]);
    s->on = true;
    s->acked = s->ready = false;
    s->resumed = from >= 0;
    subscribe(&p->c, id, sql, true, from, -1, below(2) ? 3 : -1);
}

static void subscribe_something(struct peer *p) {
    unsigned k = below(N_SUBS);
    struct sub *s = &p->subs[k];
    char id[8];
    snprintf(id, sizeof(id), "s%u", k);
    if (s->on) {
        unsubscribe(&p->c, id);
        while (drain(p, 1000)) { /* what was on its way under this id */
        }
    }
    s->table = below(KL_LEN(tables));
    s->projection = below(KL_LEN(projections));
    s->filter = below(KL_LEN(filters));
    s->keyed = s->table % 2 == 0 && projections[s->projection].key;
    s->n = 0;
    s->cursor = 0;
    send_subscribe(p, k, -1);
}

/* The connection breaks with whatever is in it, and comes back. */
static void reconnect(struct peer *p) {
    const char *user = p->c.user;
    conn_close(&p->c);
    if (below(2)) {
        write_something();
    }
    conn_open(&p->c, user, KL_ROLE_DBA);
    for (unsigned k = 0; k < N_SUBS; k++) {
        if (p->subs[k].on) {
            n_resumes++;
            send_subscribe(p, k, p->subs[k].cursor);
        }
    }
}

/* A column that comes and goes: every subscription is bound again and goes on. */
static bool has_extra[3];
static void alter_something(void) {
    char sql[100];
    unsigned t = below(KL_LEN(has_extra));
    snprintf(sql, sizeof(sql), "ALTER TABLE app.%s %s COLUMN extra%s", tables[t],
        has_extra[t] ? "DROP" : "ADD", has_extra[t] ? "" : " INT");
    run(sql);
    has_extra[t] = !has_extra[t];
}

static void play(uint64_t seed, unsigned steps) {
    rng = seed | 1;
    for (unsigned step = 0; step < steps; step++) {
        struct peer *p = &peers[below(N_CONNS)];
        unsigned what = below(100);
        if (what < 70) {
            write_something();
        } else if (what < 76) {
            subscribe_something(p);
        } else if (what < 80) {
            reconnect(p);
        } else if (what < 81) {
            alter_something();
        } else if (what < 98) {
            drain(p, p->slow ? 1 + below(3) : 1000);
        } else {
            quiet_point(seed, step);
        }
    }
    quiet_point(seed, steps);
}

static void open_world(const struct kl_live_options *o) {
    world_open("live-random", 2, o);
    memset(has_extra, 0, sizeof(has_extra));
    run("CREATE NAMESPACE app");
    run("CREATE USER TABLE app.k (id BIGINT PRIMARY KEY, a INT, b TEXT)");
    run("CREATE USER TABLE app.n (id BIGINT, a INT, b TEXT)");
    run("CREATE SHARED TABLE app.sh (id BIGINT PRIMARY KEY, a INT, b TEXT) WITH (ACCESS_LEVEL = "
        "'public')");
    run("CREATE STREAM TABLE app.st (id BIGINT, a INT, b TEXT) WITH (TTL_SECONDS = 3600)");
    peers = kl_xcalloc(N_CONNS, sizeof(*peers));
    for (unsigned i = 0; i < N_CONNS; i++) {
        conn_open(&peers[i].c, users[i % KL_LEN(users)], KL_ROLE_DBA);
        peers[i].slow = i % 2 == 1;
    }
}

static void close_world(void) {
    for (unsigned i = 0; i < N_CONNS; i++) {
        conn_close(&peers[i].c);
    }
    free(peers);
    world_close();
}

static uint64_t pick_seed(void) {
    const char *given = getenv("KL_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10)
                                  : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    print_message("seed %llu (KL_TEST_SEED)\n", (unsigned long long)seed);
    return seed;
}

static void run_world(size_t output, size_t kept, unsigned steps) {
    struct kl_live_options o = {.max_output_bytes = output, .max_kept_bytes = kept};
    struct kl_live_stats st;
    n_messages = n_resyncs = n_resumes = n_in_batches = 0;
    open_world(&o);
    play(pick_seed(), steps);
    kl_live_stats(W.live, &st);
    print_message("%llu messages, %llu rows, %llu resumes, %llu resyncs, %llu times to catch-up\n",
        (unsigned long long)n_messages, (unsigned long long)n_in_batches,
        (unsigned long long)n_resumes, (unsigned long long)n_resyncs,
        (unsigned long long)st.dropped_to_catch_up);
    if (output > 0) {
        assert_true(st.dropped_to_catch_up > 0);
    }
    close_world();
}

static void roomy(void **state) {
    (void)state;
    run_world(0, 0, 3000);
}
static void tight(void **state) {
    (void)state;
    run_world(900, 400, 5000);
}
static void very_tight(void **state) {
    (void)state;
    run_world(1, 1, 3000);
}

/* ---- writers of their own beside it ---- */

static _Atomic bool stop;
static void *hammer(void *arg) {
    struct answer *a = kl_xcalloc(1, sizeof(*a));
    char sql[200];
    unsigned n = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; !stop; i++) {
        n = n * 1103515245 + 12345;
        const char *table = tables[(n >> 8) % 3];
        unsigned id = (n >> 16) % 12;
        if (i % 3 == 0) {
            snprintf(sql, sizeof(sql), "DELETE FROM app.%s WHERE id = %u", table, id);
        } else if (i % 3 == 1) {
            snprintf(sql, sizeof(sql), "INSERT INTO app.%s (id, a, b) VALUES (%u, %u, 'x')", table,
                id, (n >> 20) % 4);
        } else {
            snprintf(sql, sizeof(sql), "UPDATE app.%s SET a = %u WHERE id = %u", table,
                (n >> 20) % 4, id);
        }
        h_exec(&W.h, users[n % KL_LEN(users)], KL_ROLE_DBA, sql, a);
        if (i % 64 == 0) {
            usleep(1000);
        }
    }
    free(a);
    return NULL;
}

static void concurrent(void **state) {
    (void)state;
    struct kl_live_options o = {.max_output_bytes = 2000, .max_kept_bytes = 1000};
    pthread_t threads[3];
    open_world(&o);
    rng = pick_seed() | 1;
    for (unsigned round = 0; round < 8; round++) {
        stop = false;
        for (unsigned i = 0; i < KL_LEN(threads); i++) {
            pthread_create(&threads[i], NULL, hammer, (void *)(uintptr_t)(round * 7 + i + 1));
        }
        for (unsigned i = 0; i < 150; i++) {
            struct peer *p = &peers[below(N_CONNS)];
            unsigned what = below(10);
            if (what == 0) {
                subscribe_something(p);
            } else if (what == 1) {
                reconnect(p);
            } else {
                drain(p, p->slow ? 2 : 1000);
            }
        }
        stop = true;
        for (unsigned i = 0; i < KL_LEN(threads); i++) {
            pthread_join(threads[i], NULL);
        }
        quiet_point(0, round);
    }
    close_world();
}

/* A server that stops does not wait for its clients: connections left open, one of them with a
 * load that waits for room. */
static void left_open(void **state) {
    (void)state;
    struct kl_live_options o = {.max_output_bytes = 1};
    open_world(&o);
    run_as("amy", KL_ROLE_DBA, "INSERT INTO app.k (id, a) VALUES (1, 1), (2, 1), (3, 1), (4, 1)");
    subscribe(&peers[0].c, "s0", "SELECT * FROM app.k", true, -1, -1, 1);
    subscribe(&peers[1].c, "s0", "SELECT * FROM app.k WHERE a = 1", false, -1, -1, -1);
    usleep(20000);
    world_close();
    free(peers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roomy),
        cmocka_unit_test(tight),
        cmocka_unit_test(very_tight),
        cmocka_unit_test(concurrent),
        cmocka_unit_test(left_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
