/* Transactions: BEGIN .. COMMIT or ROLLBACK inside one request.
 *
 * The statements are all there when BEGIN runs, so a transaction is one command: its statements run one after the other on the writer that owns the
 * shards they touch, against store + batch, and become durable in one write. Nobody else writes in between, hence it is serialisable, and what it
 * read cannot have changed when it commits; nothing of it is visible, told or acknowledged before that. The price: a transaction holds up the other
 * writes of its writer while it runs, as in SQLite. It is bounded by execution.transaction_timeout_ms, and one that only reads runs in the query
 * pool at one snapshot instead and holds up nobody.
 *
 * Shards of several writers: it runs on writer 0 while the others stand still between two batches.
 *
 * A failing statement rolls everything back: the command's save points of all its shards. ROLLBACK does the same and is no error. */
#include "engine/audit.h"
#include "engine/internal.h"
#include "engine/txn_list.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_BYTES ((size_t)100 << 20) /* what one transaction may write */

struct seen {
    uint32_t table;
    struct seen *next;
};
struct touched {
    struct kl__shard *shard;
    int64_t last_seq; /* before the transaction */
    size_t ops;
};

struct kl__txn {
    struct kl__cmd cmd;
    struct kl_shard_call call; /* exclusive */
    struct kl__run *run;
    struct kl__worker *worker; /* reading: of the pool thread */
    struct kl__txn_entry entry; /* in system.transactions while it runs */
    struct seen *seen;         /* tables that it names */
    size_t from, to;           /* statements inside: from <= i < to; `to` is COMMIT or ROLLBACK, or one past a single statement */
    bool single, writes, rollback, read_only;
    char id[40];
    struct touched *shards;
    size_t n_shards, max_shards;
};

static bool is_dml(enum kl_plan_kind k) { return k == KL_PLAN_INSERT || k == KL_PLAN_UPDATE || k == KL_PLAN_DELETE; }

/* ---- on the loop: what is inside ---- */

static enum kl_rc check_table(const struct kl_table *t, struct kl_err *err) {
    if (t == NULL || t->type == KL_TABLE_USER || t->type == KL_TABLE_SHARED) {
        return KL_OK;
    }
    return kl_fail(err, KL_E_EXEC, "%s tables are not supported inside explicit transactions", t->type == KL_TABLE_STREAM ? "stream" : "system");
}

/* For the figure that system.transactions shows; a full arena only makes it smaller. */
static void count_table(struct kl__txn *x, uint32_t table) {
    for (const struct seen *s = x->seen; s != NULL; s = s->next) {
        if (s->table == table) {
            return;
        }
    }
    struct seen *s = KL_ARENA_NEW(x->run->x->arena, struct seen);
    if (s != NULL) {
        *s = (struct seen){table, x->seen};
        x->seen = s;
        x->entry.tables++;
    }
}

static void touch(struct kl__txn *x, const struct kl_table *t, const struct kl__stmt *s) {
    if (t == NULL || (t->type != KL_TABLE_USER && t->type != KL_TABLE_SHARED)) {
        return;
    }
    count_table(x, t->id);
    struct kl__shard *shard = kl__shard(x->run->e, kl_table_scope(t, s->session.user, x->run->e->user_shards).shard);
    for (size_t i = 0; i < x->n_shards; i++) {
        if (x->shards[i].shard == shard) {
            return;
        }
    }
    x->shards[x->n_shards++].shard = shard;
}

/* Tables that a plan reads or writes. */
static enum kl_rc visit_tables(struct kl__txn *x, const struct kl__stmt *s, const struct kl_plan *p, bool check, struct kl_err *err) {
    if (check) {
        KL_TRY(check_table(p->table, err));
    }
    touch(x, p->table, s);
    for (size_t i = 0; p->kind == KL_PLAN_DUCK && i < p->duck->n_scans; i++) {
        if (check) {
            KL_TRY(check_table(p->duck->scans[i].table, err));
        }
        touch(x, p->duck->scans[i].table, s);
    }
    if (is_dml(p->kind) && p->write->query != NULL) {
        return visit_tables(x, s, p->write->query, check, err);
    }
    return KL_OK;
}

static enum kl_rc check_statement(struct kl__txn *x, const struct kl__stmt *s, struct kl_err *err) {
    const struct kl_plan *p = s->bound.plan;
    bool dml = is_dml(p->kind);
    if (s->bound.explain != KL_EXPLAIN_NONE) {
        return kl_fail(err, KL_E_EXEC, "EXPLAIN is not supported inside explicit transactions");
    }
    if (p->kind == KL_PLAN_BEGIN) {
        return kl_fail(err, KL_E_EXEC, "Conflict: request owner '%.*s' already has an active transaction '%s'",
            KL_FMT(x->run->x->session.request_id), x->id);
    }
    if (dml && x->read_only) {
        const char *verb = p->kind == KL_PLAN_INSERT ? "INSERT" : p->kind == KL_PLAN_UPDATE ? "UPDATE" : "DELETE";
        return kl_fail(err, KL_E_EXEC, "cannot execute %s in a read-only transaction", verb);
    }
    if (!dml && p->kind != KL_PLAN_SELECT && p->kind != KL_PLAN_DUCK && p->kind != KL_PLAN_USE) {
        return kl_plan_is_write(p) ? kl_fail(err, KL_E_EXEC, "DDL is not allowed inside explicit transaction '%s'", x->id)
                                   : kl_fail(err, KL_E_EXEC, "%s is not supported inside explicit transactions", kl_plan_kind_name(p->kind));
    }
    x->writes = x->writes || dml;
    return visit_tables(x, s, p, true, err);
}

/* Binds what is not, or no longer, bound; r->i is the statement concerned. */
static enum kl_rc bind_all(struct kl__txn *x) {
    struct kl__run *r = x->run;
    struct kl_slice ns = r->x->session.ns;
    enum kl_rc rc = KL_OK;
    for (r->i = x->from; rc == KL_OK && r->i < x->to; r->i++) {
        struct kl__stmt *s = &r->stmts[r->i];
        if (!s->is_bound || s->bound.plan->catalog_version != kl_catalog_version(r->e->o.catalog)) {
            rc = kl__run_bind(r, s, r->l->cache);
        }
        if (rc == KL_OK && !x->single) {
            rc = check_statement(x, s, &r->err);
        }
        if (rc == KL_OK && r->retries == 0) {
            kl__audit_statement(r, s);
        }
        if (rc == KL_OK && s->bound.plan->kind == KL_PLAN_USE) {
            r->x->session.ns = kl_arena_dup(r->x->arena, s->bound.plan->name);
        }
        if (rc != KL_OK) {
            break;
        }
    }
    r->x->session.ns = ns;
    return rc;
}

/* ---- statements ---- */

static void name_result(struct kl__run *r, size_t i) {
    r->x->statement = i;
    r->x->as_user = i < r->n && r->stmts[i].is_bound ? r->stmts[i].session.user : r->x->session.user;
}

static enum kl_rc run_write(struct kl__txn *x, struct kl__stmt *s, struct kl__writer *w, struct kl__worker *q, struct kl_err *err) {
    struct kl__run *r = x->run;
    struct kl__write write;
    struct kl_scope scope = kl_table_scope(s->bound.plan->table, s->session.user, r->e->user_shards);
    kl__write_init(r, s, &write);
    enum kl_rc rc = s->bound.plan->write->query != NULL ? kl__write_query(r, s, &write, q, err) : KL_OK;
    if (rc == KL_OK) {
        rc = kl__dml_run(&write, w, kl__shard(r->e, scope.shard), err);
    }
    x->entry.writes += write.affected;
    if (rc == KL_E_AGAIN) { /* nobody else writes here */
        rc = kl_fail(err, KL_E_INTERNAL, "a row changed inside its own transaction");
    }
    if (rc == KL_OK) {
        rc = kl__write_answer(r, s, &write, err);
    }
    kl__write_deinit(&write);
    kl_arena_reset(&w->scratch);
    return rc;
}

static enum kl_rc run_statement(struct kl__txn *x, struct kl__stmt *s, struct kl__writer *w, struct kl__worker *q, struct kl_err *err) {
    struct kl__run *r = x->run;
    enum kl_rc rc;
    r->e->statements++;
    switch (s->bound.plan->kind) {
    case KL_PLAN_USE:
        kl__run_message(r, 0, "Namespace switched to '%.*s'", KL_FMT(s->bound.plan->name));
        return KL_OK;
    case KL_PLAN_SELECT:
        rc = kl__read_native(r, s, &s->bound, r->x->sink, &q->scratch, false, err);
        break;
    case KL_PLAN_DUCK:
        rc = kl__read_duck(r, s, &s->bound, r->x->sink, q, err);
        break;
    default:
        return run_write(x, s, w, q, err);
    }
    kl_arena_reset(&q->scratch);
    return rc;
}

/* Each statement of a transaction may be a slow one; what is left of the time is COMMIT's. */
static enum kl_rc run_timed(struct kl__txn *x, struct kl__stmt *s, struct kl__writer *w, struct kl__worker *q, struct kl_err *err) {
    struct kl__run *r = x->run;
    if (x->single) {
        return run_statement(x, s, w, q, err);
    }
    r->started_ns = kl_clock_mono_ns();
    enum kl_rc rc = run_statement(x, s, w, q, err);
    kl__slow_check(r, s, rc);
    r->started_ns = x->entry.active_ns = kl_clock_mono_ns();
    return rc;
}

static size_t bytes_written(const struct kl__txn *x) {
    size_t n = 0;
    for (size_t i = 0; i < x->n_shards; i++) {
        n += kl_batch_bytes(x->shards[i].shard->batch);
    }
    return n;
}

/* On the writer, or for reads in the pool (w NULL). */
static enum kl_rc run_all(struct kl__txn *x, struct kl__writer *w, struct kl__worker *q, struct kl_err *err) {
    struct kl__run *r = x->run;
    size_t before = w != NULL ? bytes_written(x) : 0;
    if (!x->single) {
        r->i = x->from - 1;
        name_result(r, r->i);
        kl__run_message(r, 0, "Transaction started (%s)", x->id);
    }
    for (r->i = x->from; r->i < x->to; r->i++) {
        struct kl__stmt *s = &r->stmts[r->i];
        name_result(r, r->i);
        if (r->x->cancelled) {
            return kl_fail(err, KL_E_CANCELLED, "the client has gone");
        }
        KL_TRY(run_timed(x, s, w, q, err));
        x->entry.bytes = w != NULL ? bytes_written(x) - before : 0;
        if (x->entry.bytes > MAX_BYTES) {
            return kl_fail(err, KL_E_TOO_LARGE, "Transaction '%s' exceeded buffer limit of %zu bytes and was aborted", x->id, MAX_BYTES);
        }
    }
    x->entry.state = x->rollback ? KL__TXN_ROLLING_BACK : KL__TXN_COMMITTING;
    return x->rollback ? KL_E_END : KL_OK;
}

/* ---- on the writer ---- */

/* Is the table what the plan was made for, and the index that it uses of use? */
static bool unchanged(const struct kl__writer *w, const struct kl_table *t, const struct kl_access_path *path) {
    if (t == NULL || t->type == KL_TABLE_SYSTEM) {
        return true;
    }
    const struct kl_table *now = kl_cat_table_by_id(w->cat, t->id);
    if (now == NULL || now->version != t->version) {
        return false;
    }
    const struct kl_index *ix = path->index_id != 0 ? kl_table_index(now, path->index_id) : NULL;
    return path->index_id == 0 || (ix != NULL && ix->state == KL_INDEX_READY);
}

static bool plan_holds(const struct kl__writer *w, const struct kl_plan *p) {
    bool holds = p->catalog_version == kl_cat_version(w->cat);
    if (holds) {
        return true;
    }
    holds = unchanged(w, p->table, &p->access);
    for (size_t i = 0; holds && p->kind == KL_PLAN_DUCK && i < p->duck->n_scans; i++) {
        holds = unchanged(w, p->duck->scans[i].table, &p->duck->scans[i].access);
    }
    return holds && (!is_dml(p->kind) || p->write->query == NULL || plan_holds(w, p->write->query));
}

static bool stale(const struct kl__txn *x, const struct kl__writer *w) {
    for (size_t i = x->from; i < x->to; i++) {
        if (!plan_holds(w, x->run->stmts[i].bound.plan)) {
            return true;
        }
    }
    return false;
}

static void begin_shards(struct kl__txn *x) {
    for (size_t i = 0; i < x->n_shards; i++) {
        struct touched *t = &x->shards[i];
        t->last_seq = t->shard->last_seq;
        x->entry.seq = KL_MAX(x->entry.seq, t->last_seq);
        t->ops = kl_batch_count(t->shard->batch);
        kl_batch_save_point(t->shard->batch);
    }
}

static void end_shards(struct kl__txn *x, bool keep) {
    for (size_t i = 0; i < x->n_shards; i++) {
        struct touched *t = &x->shards[i];
        if (!keep) {
            kl_batch_rollback(t->shard->batch);
            t->shard->last_seq = t->last_seq;
        } else if (kl_batch_count(t->shard->batch) != t->ops) {
            t->shard->dirty = true;
            x->cmd.durable = true;
        }
    }
}

/* All of it on this writer; whatever it changed is in the batches of its shards afterwards, or nothing is. */
static enum kl_rc run_on_writer(struct kl__txn *x, struct kl__writer *w, struct kl_err *err) {
    struct kl__run *r = x->run;
    size_t changes = w->n_changes;
    int64_t limit = r->e->o.transaction_timeout_ms, deadline = r->deadline_ns;
    if (stale(x, w)) {
        return KL_E_STALE_PLAN;
    }
    if (w->worker == NULL) {
        w->worker = kl__worker_new(r->e);
    }
    if (limit > 0) {
        int64_t until = kl_clock_mono_ns() + limit * 1000000;
        r->deadline_ns = deadline > 0 ? KL_MIN(deadline, until) : until;
    }
    r->writer = w;
    begin_shards(x);
    enum kl_rc rc = run_all(x, w, w->worker, err);
    end_shards(x, rc == KL_OK);
    if (rc != KL_OK) {
        w->n_changes = changes;
    }
    r->writer = NULL;
    r->deadline_ns = deadline;
    return rc;
}

static enum kl_rc apply(struct kl__cmd *c, struct kl__writer *w, struct kl__shard *s) {
    (void)s;
    return run_on_writer(KL_CONTAINER_OF(c, struct kl__txn, cmd), w, &c->err);
}

/* Shards of several writers: on writer 0, after the others have committed what they had and stand still. */
static void run_exclusive(struct kl_shard_call *call) {
    struct kl__txn *x = KL_CONTAINER_OF(call, struct kl__txn, call);
    struct kl__writer *w = kl__writer_current();
    kl__writers_pause(w);
    x->cmd.rc = run_on_writer(x, w, &x->cmd.err);
    kl__writer_commit_all(w, &x->cmd);
    kl__writers_resume(w);
}

/* ---- reading only: in the pool, at one snapshot ---- */

static void run_reads(struct kl_task *t) {
    struct kl__run *r = KL_CONTAINER_OF(t, struct kl__run, task);
    struct kl__txn *x = r->txn;
    r->snap = kl_snapshot_take(r->e->o.store);
    x->cmd.rc = run_all(x, NULL, kl_pool_thread_state(), &x->cmd.err);
    kl_snapshot_release(r->e->o.store, r->snap);
    r->snap = NULL;
    x->cmd.task.run = x->cmd.finish;
    kl_loop_post(r->l->loop, &x->cmd.task);
}

/* ---- back on the loop ---- */

static void finish(struct kl_task *t) {
    struct kl__txn *x = KL_CONTAINER_OF(KL_CONTAINER_OF(t, struct kl__cmd, task), struct kl__txn, cmd);
    struct kl__run *r = x->run;
    enum kl_rc rc = x->cmd.rc;
    kl__txn_leave(r->e->txns, &x->entry);
    r->rc = rc;
    if (rc == KL_E_STALE_PLAN) {
        r->i = x->single ? x->from : x->from - 1;
        if (!x->single) { /* the statements inside bind again by themselves; nothing was sent yet */
            r->rc = KL_E_STALE_PLAN;
        }
    } else if (rc != KL_OK && rc != KL_E_END) {
        r->err = x->cmd.err;
        r->err.position = 0;
        r->i = KL_MIN(r->i, x->to);
    } else {
        r->rc = KL_OK;
        r->i = x->single ? x->from : x->to;
        if (!x->single) {
            name_result(r, x->to);
            kl__run_message(r, 0, "Transaction %s (%s)", rc == KL_OK ? "committed" : "rolled back", x->id);
        }
    }
    kl__run_continue(r);
}

static enum kl_rc send(struct kl__txn *x) {
    struct kl__run *r = x->run;
    unsigned writer = kl_engine_writer_of(r->e, x->n_shards > 0 ? x->shards[0].shard->id : 0);
    bool one = true;
    for (size_t i = 1; i < x->n_shards; i++) {
        one = one && kl_engine_writer_of(r->e, x->shards[i].shard->id) == writer;
    }
    x->cmd = (struct kl__cmd){.engine = r->e, .loop = r->l->loop, .shard = x->n_shards > 0 ? x->shards[0].shard->id : KL_SHARD_META,
        .apply = apply, .finish = finish};
    if (!x->writes) {
        r->task.run = run_reads;
        return kl_engine_pool_post(r->e, &r->task);
    }
    if (one) {
        return kl__cmd_post(&x->cmd);
    }
    x->call = (struct kl_shard_call){.shard = KL_SHARD_META, .run = run_exclusive};
    return kl_engine_call(r->e, &x->call);
}

static struct kl__txn *new_txn(struct kl__run *r, size_t from, size_t to) {
    struct kl__txn *x = KL_ARENA_NEW(r->x->arena, struct kl__txn);
    if (x != NULL) {
        x->run = r;
        x->from = from;
        x->to = to;
        x->max_shards = r->e->n_shards;
        x->shards = KL_ARENA_ARRAY(r->x->arena, struct touched, x->max_shards);
        uint8_t uuid[16];
        kl_uuid_v7(uuid);
        kl_uuid_format(uuid, x->id);
    }
    r->txn = x;
    return x != NULL && x->shards != NULL ? x : NULL;
}

static void enter(struct kl__txn *x) {
    x->entry.id = x->id;
    x->entry.owner = x->run->x->session.request_id;
    x->entry.started_ns = kl_clock_mono_ns();
    x->entry.state = x->writes ? KL__TXN_OPEN_WRITE : KL__TXN_OPEN_READ;
    kl__txn_enter(x->run->e->txns, &x->entry);
}

static void fail_here(struct kl__run *r, enum kl_rc rc) {
    r->rc = rc;
    kl__run_resume(r);
}

void kl__txn_start(struct kl__run *r) {
    size_t begin = r->i, end = begin + 1;
    while (end < r->n && !(r->stmts[end].is_bound && (r->stmts[end].bound.plan->kind == KL_PLAN_COMMIT || r->stmts[end].bound.plan->kind == KL_PLAN_ROLLBACK))) {
        end++;
    }
    struct kl__txn *x = new_txn(r, begin + 1, end);
    if (x == NULL) {
        fail_here(r, kl_fail(&r->err, KL_E_TOO_LARGE, "the request is larger than its memory"));
        return;
    }
    x->read_only = r->stmts[begin].bound.plan->read_only;
    enum kl_rc rc = bind_all(x);
    if (rc == KL_OK && end == r->n) {
        r->i = begin;
        kl__run_abort(r, kl_fail(&r->err, KL_E_EXEC, "Request completed with an open explicit transaction; rolled back automatically"));
        return;
    }
    if (rc == KL_OK) {
        x->rollback = r->stmts[end].bound.plan->kind == KL_PLAN_ROLLBACK;
        r->i = begin;
        for (size_t i = x->from; i < x->to; i++) {
            kl__audit_statement(r, &r->stmts[i]);
        }
        enter(x);
        rc = send(x);
    }
    if (rc != KL_OK) {
        kl__txn_leave(r->e->txns, &x->entry);
        fail_here(r, rc);
    }
}

void kl__txn_start_single(struct kl__run *r) {
    struct kl__txn *x = new_txn(r, r->i, r->i + 1);
    enum kl_rc rc = KL_E_NOMEM;
    if (x != NULL) {
        x->single = x->writes = true;
        rc = visit_tables(x, &r->stmts[r->i], r->stmts[r->i].bound.plan, false, &r->err);
        rc = rc == KL_OK ? send(x) : rc;
    }
    if (rc != KL_OK) {
        fail_here(r, rc);
    }
}
