/* What the listener is told, replayed, is what a SELECT returns; concurrent writers, DDL between them, failing commits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "harness.h"

#include <stdatomic.h>

static struct harness H;

/* ---- a replica fed by the listener: partition -> _seq -> text of the row ---- */

struct replica_row {
    uint32_t table;
    char user[32];
    int64_t seq;
    char text[128];
};
static struct replica_row rows[20000];
static size_t n_rows;
static uint64_t n_changes;
static int64_t last_seq[64]; /* per shard: order of the events */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void text_of(const struct kl_change *c, struct kl_slice bytes, int64_t seq, char out[128]) {
    struct kl_row_view v;
    struct kl_arena arena;
    struct kl_buf b = {0};
    kl_arena_init(&arena, 0);
    KL_ASSERT(kl_table_open_row(c->table, bytes, seq, &v) == KL_OK);
    for (unsigned i = 0; i < c->table->n_cols; i++) {
        struct kl_val val;
        KL_ASSERT(kl_table_get(c->table, &v, i, &arena, &val) == KL_OK);
        kl_buf_puts(&b, i > 0 ? "|" : "");
        if (val.null) {
            kl_buf_puts(&b, "NULL");
        } else {
            kl_val_to_text(&val, &b);
        }
    }
    snprintf(out, 128, "%.*s", (int)b.len, b.data);
    kl_buf_deinit(&b);
    kl_arena_deinit(&arena);
}

static void remove_row(const struct kl_change *c) {
    for (size_t i = 0; i < n_rows; i++) {
        if (rows[i].table == c->table->id && rows[i].seq == c->prev_seq && strlen(rows[i].user) == c->user.len &&
            memcmp(rows[i].user, c->user.ptr, c->user.len) == 0) {
            rows[i] = rows[--n_rows];
            return;
        }
    }
    fail_msg("a change names a version that nobody was told of");
}

static void committed(void *ctx, unsigned writer, const struct kl_change *changes, size_t n) {
    (void)ctx;
    (void)writer;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n; i++) {
        const struct kl_change *c = &changes[i];
        KL_ASSERT(c->seq > last_seq[c->shard]);
        last_seq[c->shard] = c->seq;
        n_changes++;
        if (c->op != KL_CHANGE_INSERT) {
            remove_row(c);
        }
        if (c->op != KL_CHANGE_DELETE) {
            struct replica_row *r = &rows[n_rows++];
            KL_ASSERT(n_rows < KL_LEN(rows));
            r->table = c->table->id;
            r->seq = c->seq;
            snprintf(r->user, sizeof(r->user), "%.*s", KL_FMT(c->user));
            text_of(c, c->new_row, c->seq, r->text);
        }
    }
    pthread_mutex_unlock(&lock);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void sort_lines(char *text) {
    char *lines[4000];
    size_t n = 0;
    static char copy[65536];
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *save, *l = strtok_r(copy, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save)) {
        lines[n++] = l;
    }
    qsort(lines, n, sizeof(*lines), by_text);
    text[0] = '\0';
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        at += (size_t)sprintf(text + at, "%s\n", lines[i]);
    }
}

static void replica_text(const char *user, char *out) {
    size_t at = 0;
    out[0] = '\0';
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n_rows; i++) {
        if (strcmp(rows[i].user, user) == 0) {
            at += (size_t)sprintf(out + at, "%s\n", rows[i].text);
        }
    }
    pthread_mutex_unlock(&lock);
    sort_lines(out);
}

static void must(const char *user, const char *sql) {
    struct answer a;
    h_exec(&H, user, KL_ROLE_SYSTEM, sql, &a);
    if (a.rc != KL_OK) {
        fail_msg("%s\n  failed: %s", sql, a.err);
    }
}

static void check_equal(const char *user, const char *sql) {
    struct answer a;
    static char replica[65536];
    h_exec(&H, user, KL_ROLE_SYSTEM, sql, &a);
    assert_int_equal(a.rc, KL_OK);
    sort_lines(a.text);
    replica_text(user, replica);
    assert_string_equal(a.text, replica);
}

static int setup(void **state) {
    struct kl_err err;
    (void)state;
    n_rows = 0;
    memset(last_seq, 0, sizeof(last_seq));
    h_make_dir(&H, "changes");
    H.writers = 2;
    H.listener.committed = committed;
    return h_open(&H, &err) == KL_OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    h_close(&H);
    kl_dir_remove(H.dir);
    return 0;
}

static uint64_t seed(void) {
    const char *s = getenv("KL_TEST_SEED");
    uint64_t v = s != NULL ? strtoull(s, NULL, 10) : kl_random_u64();
    printf("KL_TEST_SEED=%llu\n", (unsigned long long)v);
    return v;
}

static uint64_t state64;
static unsigned pick(unsigned n) {
    state64 = state64 * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(state64 >> 33) % n;
}

static void random_dml(void **state) {
    char sql[400];
    struct answer a;
    (void)state;
    state64 = seed();
    must("u0", "CREATE NAMESPACE r; CREATE TABLE r.t (id INT PRIMARY KEY, v TEXT, n INT) WITH (TYPE='USER')");
    for (int i = 0; i < 1500; i++) {
        char user[8];
        unsigned id = pick(40);
        snprintf(user, sizeof(user), "u%u", pick(5));
        switch (pick(6)) {
        case 0:
        case 1:
            snprintf(sql, sizeof(sql), "INSERT INTO r.t VALUES (%u, 'v%d', %u)", id, i, pick(10));
            break;
        case 2:
            snprintf(sql, sizeof(sql), "INSERT INTO r.t VALUES (%u, 'a', 1), (%u, 'b', NULL), (%u, 'c', 3)", id, pick(40), pick(40));
            break;
        case 3:
            snprintf(sql, sizeof(sql), "UPDATE r.t SET v = v || 'x', n = n + 1 WHERE id = %u", id);
            break;
        case 4:
            snprintf(sql, sizeof(sql), "UPDATE r.t SET v = 'same' WHERE n > %u", pick(12));
            break;
        default:
            snprintf(sql, sizeof(sql), "DELETE FROM r.t WHERE id %% 7 = %u AND n < %u", pick(7), pick(9));
        }
        h_exec(&H, user, KL_ROLE_USER, sql, &a);
        if (a.rc != KL_OK && a.rc != KL_E_CONSTRAINT) {
            fail_msg("%s\n  %s", sql, a.err);
        }
        if (i % 50 == 0) {
            check_equal(user, "SELECT id, v, n FROM r.t");
        }
    }
    for (int u = 0; u < 5; u++) {
        char user[8];
        snprintf(user, sizeof(user), "u%d", u);
        check_equal(user, "SELECT id, v, n FROM r.t");
    }
}

/* ---- writers and DDL at the same time ---- */

static _Atomic bool stop_now;
static _Atomic uint64_t inserted;

static void *insert_forever(void *arg) {
    char sql[120], user[8];
    struct answer *a = malloc(sizeof(*a));
    snprintf(user, sizeof(user), "w%d", (int)(intptr_t)arg);
    for (int i = 0; !stop_now; i++) {
        snprintf(sql, sizeof(sql), "INSERT INTO d.t (v) VALUES ('x%d')", i);
        h_exec(&H, user, KL_ROLE_USER, sql, a);
        KL_ASSERT(a->rc == KL_OK);
        inserted++;
    }
    free(a);
    return NULL;
}

static void ddl_beside_writers(void **state) {
    pthread_t threads[4];
    char sql[120];
    struct answer a;
    uint64_t total = 0;
    (void)state;
    must("root", "CREATE NAMESPACE d; CREATE TABLE d.t (v TEXT) WITH (TYPE='USER')");
    stop_now = false;
    inserted = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, insert_forever, (void *)(intptr_t)i), 0);
    }
    for (int i = 0; i < 15; i++) {
        snprintf(sql, sizeof(sql), "ALTER TABLE d.t ADD COLUMN c%d INT DEFAULT %d", i, i);
        must("root", sql);
        usleep(2000);
    }
    stop_now = true;
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < 4; i++) {
        char user[8];
        snprintf(user, sizeof(user), "w%d", i);
        h_exec(&H, user, KL_ROLE_USER, "SELECT count(*) FROM d.t WHERE c14 = 14 AND c0 = 0", &a);
        assert_int_equal(a.rc, KL_OK);
        total += strtoull(a.text, NULL, 10);
    }
    assert_true(total == inserted);
    must("root", "DROP TABLE d.t");
}

static void commit_failure(void **state) {
    struct answer a;
    struct kl_err err;
    (void)state;
    must("root", "CREATE NAMESPACE f; CREATE TABLE f.t (id INT PRIMARY KEY) WITH (TYPE='USER'); INSERT INTO f.t VALUES (1)");
    uint64_t before = n_changes;
    kl_fault_set("store.commit:1");
    h_exec(&H, "root", KL_ROLE_SYSTEM, "INSERT INTO f.t VALUES (2)", &a);
    assert_int_equal(a.rc, KL_E_IO);
    assert_non_null(strstr(a.err, "could not be made durable"));
    kl_fault_set(NULL);
    h_exec(&H, "root", KL_ROLE_SYSTEM, "INSERT INTO f.t VALUES (3)", &a);
    assert_int_equal(a.rc, KL_E_IO);
    assert_true(n_changes == before);
    h_close(&H);
    assert_int_equal(h_open(&H, &err), KL_OK);
    h_exec(&H, "root", KL_ROLE_SYSTEM, "SELECT id FROM f.t", &a);
    assert_string_equal(a.text, "1\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_dml, setup, teardown),
        cmocka_unit_test_setup_teardown(ddl_beside_writers, setup, teardown),
#ifdef KL_FAULTS
        cmocka_unit_test_setup_teardown(commit_failure, setup, teardown),
#endif
    };
    (void)commit_failure;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
