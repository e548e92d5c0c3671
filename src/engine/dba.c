/* The tables that the server keeps for administrators, in the namespace dba: `notifications`, which clients fill, and `stats`, samples of
 * system.stats.
 *
 * They are made at the first start of a data directory, as any table is, with a record in the same commit that says so
 * (KL_META_MARK | "dba_tables" -> version u8): an administrator who drops one does not find it again at the next start.
 *
 * Sampling (retention.enable_dba_stats): at the start and every 30 seconds the background thread writes a row for each figure with
 * one INSERT, and removes rows that are older than retention.dba_stats_retention_days. `id` begins with the time, so old rows are
 * a range of the key; much of it goes in steps, for each is one command of a writer. */
#include "engine/ddl_internal.h"
#include "engine/system_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define TARGET "dba"
#define SAMPLE_INTERVAL_NS (30ll * 1000000000)
#define PRUNE_STEP_MS (10 * 60 * 1000) /* of samples that go at once: 20 of them */
#define PRUNE_STEPS 50                 /* at most with one sample */
#define TIME_DIGITS 13

static const char *const tables[] = {
    "CREATE TABLE dba.stats (id TEXT PRIMARY KEY, node_id TEXT NOT NULL, metric_name TEXT NOT "
    "NULL, metric_value DOUBLE NOT NULL, "
    "metric_unit TEXT, sampled_at TIMESTAMP NOT NULL) WITH (TYPE = 'SHARED', ACCESS_LEVEL = 'DBA', "
    "FLUSH_POLICY = 'rows:10000')",
    "CREATE TABLE dba.notifications (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, title TEXT NOT "
    "NULL, body TEXT, "
    "is_read BOOLEAN NOT NULL DEFAULT FALSE, created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP "
    "NOT NULL) "
    "WITH (TYPE = 'SHARED', ACCESS_LEVEL = 'DBA')",
};

static struct kl_session server_session(void) {
    return (struct kl_session){.user = KL_S("root"),
        .actor = KL_S("root"),
        .role = KL_ROLE_SYSTEM,
        .actor_role = KL_ROLE_SYSTEM,
        .ns = KL_S("dba")};
}

static enum kl_rc bind(struct kl_engine *e, const struct kl_session *session, struct kl_slice sql,
    struct kl_arena *arena, struct kl_bound *ret, struct kl_err *err) {
    struct kl_sql_ctx ctx = {.cat = kl_catalog_acquire(e->o.catalog), .session = session};
    enum kl_rc rc = kl_sql_bind(&ctx, sql, NULL, 0, arena, ret, err);
    kl_cat_release(ctx.cat);
    return rc;
}

/* ---- something that a writer does while this thread waits ---- */

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void wait_init(struct waiting *w) {
    *w = (struct waiting){0};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->cond, NULL);
}

static void wait_done(struct waiting *w) {
    pthread_mutex_lock(&w->lock);
    w->done = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

static void wait_for(struct waiting *w) {
    pthread_mutex_lock(&w->lock);
    while (!w->done) {
        pthread_cond_wait(&w->cond, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->cond);
}

/* ---- making the tables ---- */

struct creation {
    struct kl_shard_call call;
    struct kl__ddl_change change;
    struct kl_arena arena;
    struct waiting wait;
    enum kl_rc rc;
    struct kl_err err;
};

static struct kl_slice mark_key(char key[16]) {
    key[0] = KL_META_MARK;
    memcpy(key + 1, "dba_tables", 10);
    return kl_slice(key, 11);
}

static enum kl_rc create_tables(struct kl__ddl_change *c, struct kl_err *err) {
    struct creation *x = c->ctx;
    struct kl_session session = server_session();
    char key[16];
    for (size_t i = 0; i < KL_LEN(tables); i++) {
        struct kl_bound b;
        uint32_t id;
        KL_TRY(bind(c->engine, &session, kl_slice_str(tables[i]), &x->arena, &b, err));
        struct kl_table_def def = *b.plan->create;
        def.options.deleted_retention_hours = c->engine->o.deleted_retention_hours;
        enum kl_rc rc =
            kl_cat_create_table(c->engine->o.catalog, &def, kl_clock_wall_us(), &id, err);
        kl_bound_release(&b);
        if (rc != KL_OK && rc != KL_E_EXISTS) { /* somebody's own table of that name stays theirs */
            return rc;
        }
    }
    kl_batch_put(c->batch, KL_CF_META, mark_key(key), KL_S("\x01"));
    kl_err_clear(err);
    return KL_OK;
}

static void run_creation(struct kl_shard_call *call) {
    struct creation *x = KL_CONTAINER_OF(call, struct creation, call);
    x->rc = kl__ddl_change(&x->change, &x->err);
    wait_done(&x->wait);
}

enum kl_rc kl__dba_tables(struct kl_engine *e, struct kl_err *err) {
    char key[16];
    struct kl_pinned found = {0};
    enum kl_rc rc = kl_store_get(e->o.store, NULL, KL_CF_META, mark_key(key), &found, err);
    if (rc == KL_OK) {
        kl_pinned_release(&found);
    }
    if (rc != KL_E_NOT_FOUND) {
        return rc;
    }
    kl_err_clear(err);
    struct creation *x = kl_xcalloc(1, sizeof(*x));
    kl_arena_init(&x->arena, (size_t)4 << 20);
    wait_init(&x->wait);
    x->change = (struct kl__ddl_change){.engine = e, .op = create_tables, .ctx = x};
    x->call = (struct kl_shard_call){.shard = KL_SHARD_META, .run = run_creation};
    kl_engine_call_always(e, &x->call);
    wait_for(&x->wait);
    rc = x->rc;
    if (rc != KL_OK) {
        *err = x->err;
        kl_err_prefix(err, "cannot make the tables of namespace dba");
    }
    kl_arena_deinit(&x->arena);
    free(x);
    return rc;
}

/* ---- a write of the server's own ---- */

struct server_write {
    struct kl__write write;
    struct waiting wait;
};

static void finish_write(struct kl_task *t) {
    struct kl__cmd *c = KL_CONTAINER_OF(t, struct kl__cmd, task);
    wait_done(&KL_CONTAINER_OF(c, struct server_write, write.cmd)->wait);
}

/* On the background thread, which waits for the commit. */
static enum kl_rc run_write(
    struct kl_engine *e, struct kl_slice sql, struct kl_arena *arena, struct kl_err *err) {
    struct kl_session session = server_session();
    struct kl_bound b;
    KL_TRY(bind(e, &session, sql, arena, &b, err));
    struct server_write x = {
        .write = {.bound = &b, .session = &session, .now_us = kl_clock_wall_us()}};
    x.write.cmd = (struct kl__cmd){
        .engine = e, .shard = KL_SHARD_SHARED, .apply = kl__dml_apply, .finish = finish_write};
    wait_init(&x.wait);
    enum kl_rc rc = kl__cmd_post(&x.write.cmd);
    if (rc != KL_OK) {
        wait_done(&x.wait);
    }
    wait_for(&x.wait);
    if (rc == KL_OK && x.write.cmd.rc != KL_OK) {
        *err = x.write.cmd.err;
        rc = x.write.cmd.rc;
    }
    kl__write_deinit(&x.write);
    kl_bound_release(&b);
    return rc;
}

/* ---- a sample ---- */

static const char *unit_of(struct kl_slice name) {
    static const struct {
        const char *end, *unit;
    } units[] = {{"_bytes", "bytes"}, {"_mb", "MB"}, {"_percent", "percent"},
        {"_seconds", "seconds"}, {"_us_mean", "microseconds"}, {"_total", "count"}};
    for (size_t i = 0; i < KL_LEN(units); i++) {
        size_t n = strlen(units[i].end);
        if (name.len > n && memcmp(name.ptr + name.len - n, units[i].end, n) == 0) {
            return units[i].unit;
        }
    }
    return NULL;
}

/* One row of the INSERT, if the figure is a number. */
static bool put_row(struct kl_buf *sql, int64_t now_us, uint32_t node, struct kl_slice name,
    struct kl_slice value) {
    double number;
    const char *unit = unit_of(name);
    if (!kl_parse_double(value, &number)) {
        return false;
    }
    kl_buf_printf(sql, "('%0*lld-%.*s', '%u', '%.*s', %.*s, ", TIME_DIGITS,
        (long long)(now_us / 1000), KL_FMT(name), node, KL_FMT(name), KL_FMT(value));
    kl_buf_printf(sql, unit != NULL ? "'%s', NOW())," : "NULL, NOW()),", unit);
    return true;
}

static enum kl_rc write_sample(struct kl_engine *e, struct kl_cat *cat, int64_t now_us,
    struct kl_arena *arena, struct kl_err *err) {
    struct kl_session session = server_session();
    struct kl__sys r = {.engine = e, .cat = cat, .session = &session, .arena = arena, .width = 2};
    struct kl_buf sql = {0};
    size_t n = 0;
    KL_TRY(kl__sys_stats(&r, err));
    kl_buf_puts(&sql, "INSERT INTO dba.stats (id, node_id, metric_name, metric_value, metric_unit, "
                      "sampled_at) VALUES ");
    for (size_t i = 0; i < r.n; i++) {
        n += put_row(&sql, now_us, e->o.facts.node_id, kl_val_slice(&r.vals[2 * i]),
            kl_val_slice(&r.vals[2 * i + 1]));
    }
    sql.len -= n > 0; /* the last comma */
    enum kl_rc rc = n > 0 && !sql.failed ? run_write(e, kl_buf_view(&sql), arena, err) : KL_OK;
    kl_buf_deinit(&sql);
    return rc;
}

/* ---- old samples ---- */

/* When the oldest row was sampled, by its key; INT64_MAX when there is none, or it is none of the server's. */
static enum kl_rc oldest_ms(struct kl_engine *e, struct kl_table *t, struct kl_arena *arena,
    int64_t *ret, struct kl_err *err) {
    static const int16_t slots[] = {0};
    struct kl_scan scan = {.table = t, .slots = slots, .n_slots = 1, .arena = arena};
    struct kl_source *src;
    struct kl_val id;
    *ret = INT64_MAX;
    KL_TRY(kl_engine_scan(e, &scan, &src, err));
    enum kl_rc rc = src->next(src, &id, err);
    if (rc == KL_OK && !id.null && id.type == KL_T_TEXT && id.len > TIME_DIGITS) {
        int64_t ms;
        *ret = kl_parse_i64(kl_slice(id.s, TIME_DIGITS), &ms) ? ms : INT64_MAX;
    }
    src->close(src);
    return rc == KL_E_END ? KL_OK : rc;
}

static enum kl_rc prune(struct kl_engine *e, struct kl_table *t, int64_t now_us,
    struct kl_arena *arena, struct kl_err *err) {
    int64_t cut = now_us / 1000 - (int64_t)e->o.dba_stats_days * 86400000, oldest;
    KL_TRY(oldest_ms(e, t, arena, &oldest, err));
    for (int i = 0; e->o.dba_stats_days > 0 && i < PRUNE_STEPS && oldest < cut && !e->stopping;
         i++) {
        char sql[128];
        oldest = KL_MIN(cut, oldest + PRUNE_STEP_MS);
        snprintf(sql, sizeof(sql), "DELETE FROM dba.stats WHERE id < '%0*lld'", TIME_DIGITS,
            (long long)oldest);
        KL_TRY(run_write(e, kl_slice_str(sql), arena, err));
    }
    return KL_OK;
}

/* ---- the task ---- */

struct sample {
    struct kl_task task;
    struct kl_engine *engine;
};

static void run_sample(struct kl_task *task) {
    struct sample *s = KL_CONTAINER_OF(task, struct sample, task);
    struct kl_engine *e = s->engine;
    struct kl_cat *cat = kl_catalog_acquire(e->o.catalog);
    struct kl_table *t = kl_cat_table(cat, KL_S("dba"), KL_S("stats"));
    struct kl_arena arena;
    struct kl_err err;
    int64_t now_us = kl_clock_wall_us();
    enum kl_rc rc = KL_OK;
    kl_err_clear(&err);
    kl_arena_init(&arena, (size_t)16 << 20);
    if (t != NULL && t->type == KL_TABLE_SHARED &&
        !e->stopping) { /* who dropped it wants no samples */
        rc = write_sample(e, cat, now_us, &arena, &err);
        rc = rc == KL_OK ? prune(e, t, now_us, &arena, &err) : rc;
    }
    if (rc != KL_OK) {
        kl_log_warn(TARGET, "no sample in dba.stats this time: %s",
            err.msg[0] != '\0' ? err.msg : kl_rc_name(rc));
    }
    kl_arena_deinit(&arena);
    kl_cat_release(cat);
    e->sampling = false;
    free(s);
}

int64_t kl__dba_tick(struct kl_engine *e, int64_t now_ns, int64_t due_ns) {
    if (!e->o.dba_stats) {
        return INT64_MAX;
    }
    if (now_ns < due_ns) {
        return due_ns;
    }
    bool expected = false;
    if (atomic_compare_exchange_strong(&e->sampling, &expected, true)) {
        struct sample *s = kl_xcalloc(1, sizeof(*s));
        s->task.run = run_sample;
        s->engine = e;
        if (kl_pool_post(e->background, &s->task) != KL_OK) {
            e->sampling = false;
            free(s);
        }
    }
    return now_ns + SAMPLE_INTERVAL_NS;
}
