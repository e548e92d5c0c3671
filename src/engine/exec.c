/* A request: split, bind every statement, then run them one after the other.
 *
 * The state machine lives in struct kl__run, in the request's arena. It moves on the request's loop; a step that needs another thread (a writer, the
 * query pool) comes back through kl__run_resume. Statements are bound before any of them runs, so a mistake in the third is found before the first has
 * had an effect; one that names what an earlier DDL statement of the request will make is bound when its turn comes. A plan that is older than the
 * catalog when its turn comes is bound again. */
#include "engine/audit.h"
#include "engine/internal.h"

#include <stdio.h>

#include <stdlib.h>

static void step(struct kl__run *r);

/* ---- errors ---- */

/* Positions are counted in the statement that was bound; the caller wants them in its text. */
static void shift_position(struct kl__run *r, const struct kl__stmt *s) {
    const char *base = r->x->sql.ptr, *at = s->inner.ptr;
    if (r->err.position > 0 && at >= base && at <= base + r->x->sql.len) {
        r->err.position += (int)(at - base);
    } else {
        r->err.position = 0;
    }
}

static void release(struct kl__run *r) {
    for (size_t i = 0; i < r->n; i++) {
        if (r->stmts[i].is_bound) {
            kl_bound_release(&r->stmts[i].bound);
            r->stmts[i].is_bound = false;
        }
    }
}

static void finish(struct kl__run *r, enum kl_rc rc) {
    struct kl_exec *x = r->x;
    size_t plans = kl_plan_cache_size(r->l->cache);
    if (plans != r->l->plans_counted) {
        r->e->plans += plans - r->l->plans_counted;
        r->l->plans_counted = plans;
    }
    release(r);
    x->rc = rc;
    x->err = r->err;
    x->err.rc = rc;
    x->done(x);
}

void kl__run_abort(struct kl__run *r, enum kl_rc rc) { finish(r, rc); }

static void fail_statement(struct kl__run *r, struct kl__stmt *s, enum kl_rc rc) {
    if (rc == KL_E_STALE_PLAN) {
        rc = kl_fail(&r->err, KL_E_EXEC, "the schema of the table keeps changing, try again");
    }
    if (r->err.msg[0] == '\0') {
        kl_fail(&r->err, rc, "%s", rc == KL_E_OVERLOADED ? "the server is overloaded, try again" : kl_rc_name(rc));
    }
    kl_err_prefix(&r->err, "Statement %zu failed", r->i + 1);
    r->x->failed_sql = s->text.text;
    finish(r, rc);
}

/* ---- binding ---- */

static enum kl_rc check_limits(struct kl__run *r) {
    const struct kl_engine_options *o = &r->e->o;
    const struct kl_exec *x = r->x;
    if (kl_slice_trim(x->sql).len == 0) {
        return kl_fail(&r->err, KL_E_EMPTY_SQL, "SQL statement is required");
    }
    if (o->max_sql_bytes > 0 && x->sql.len > o->max_sql_bytes) {
        return kl_fail(&r->err, KL_E_INVALID_SQL, "SQL query too long: %zu bytes (maximum %zu bytes)", x->sql.len, o->max_sql_bytes);
    }
    if (o->max_params > 0 && x->n_params > o->max_params) {
        return kl_fail(&r->err, KL_E_INVALID_PARAMETER, "Parameter count exceeded: maximum %u parameters allowed, got %zu",
            o->max_params, x->n_params);
    }
    for (size_t i = 0; i < x->n_params; i++) {
        const struct kl_val *v = &x->params[i];
        if (o->max_param_bytes > 0 && v->type == KL_T_TEXT && !v->null && v->len > o->max_param_bytes) {
            return kl_fail(&r->err, KL_E_INVALID_PARAMETER, "Parameter size exceeded: parameter at index %zu is %u bytes (max %zu bytes)",
                i, v->len, o->max_param_bytes);
        }
    }
    return KL_OK;
}

/* The session that EXECUTE AS USER gives its statement. */
static enum kl_rc become(struct kl__run *r, struct kl__stmt *s, struct kl_slice target) {
    struct kl_user u;
    enum kl_role role = KL_ROLE_USER;
    KL_TRY(kl_user_id_check(target, &r->err));
    enum kl_rc rc = kl_user_get(r->e->o.store, target, r->x->arena, &u, &r->err);
    if (rc == KL_OK) {
        role = u.role;
    } else if (rc != KL_E_NOT_FOUND) {
        return rc;
    }
    kl_err_clear(&r->err);
    rc = kl_auth_may_act_as(s->session.user, s->session.role, target, role, &r->err);
    if (rc != KL_OK) {
        kl__audit_denied(r, s->session.actor, target, "role_not_allowed");
        return rc;
    }
    s->session.user = target;
    s->session.role = KL_ROLE_USER;
    return KL_OK;
}

static bool is_dml(const struct kl_plan *p) {
    return p->kind == KL_PLAN_INSERT || p->kind == KL_PLAN_UPDATE || p->kind == KL_PLAN_DELETE;
}

/* A write to a SHARED table inside EXECUTE AS USER has a sentence of its own, whatever the target's role may do: the binder says it once
 * permission is out of the way. */
static enum kl_rc refuse_shared(struct kl__run *r, struct kl__stmt *s, struct kl_sql_ctx ctx, enum kl_rc rc) {
    struct kl_session all = s->session;
    struct kl_bound b;
    struct kl_err other;
    all.role = KL_ROLE_SYSTEM;
    ctx.session = &all;
    ctx.cache = NULL;
    enum kl_rc again = kl_sql_bind(&ctx, s->inner, r->x->params, r->x->n_params, r->x->arena, &b, &other);
    if (again == KL_OK) {
        kl_bound_release(&b);
        return rc;
    }
    r->err = other;
    return again;
}

enum kl_rc kl__run_bind(struct kl__run *r, struct kl__stmt *s, struct kl_plan_cache *cache) {
    struct kl_slice target, inner;
    if (s->is_bound) {
        kl_bound_release(&s->bound);
        s->is_bound = false;
    }
    s->session = r->x->session;
    s->inner = s->text.text;
    kl_err_clear(&r->err);
    KL_TRY(kl_sql_execute_as(s->text.text, r->x->arena, &target, &inner, &r->err));
    if (target.ptr != NULL) {
        s->inner = inner;
        KL_TRY(become(r, s, target));
    }
    struct kl_sql_ctx ctx = {
        .cache = cache, .cat = kl_catalog_acquire(r->e->o.catalog), .session = &s->session, .executor = r->e->o.executor,
    };
    enum kl_rc rc = kl_sql_bind(&ctx, s->inner, r->x->params, r->x->n_params, r->x->arena, &s->bound, &r->err);
    if (rc == KL_E_PERMISSION_DENIED && target.ptr != NULL) {
        rc = refuse_shared(r, s, ctx, rc);
    }
    kl_cat_release(ctx.cat);
    if (rc != KL_OK) {
        shift_position(r, s);
        return rc;
    }
    s->is_bound = true;
    s->bound.as_user = s->session.user;
    return KL_OK;
}

static bool changes_names(const struct kl_plan *p) { return kl_plan_is_write(p) && !is_dml(p); }

/* Everything before the first effect. */
static enum kl_rc prepare(struct kl__run *r, struct kl_plan_cache *cache) {
    struct kl_stmt_text *texts;
    struct kl_slice ns = r->x->session.ns;
    bool ddl_before = false;
    size_t n;
    KL_TRY(kl_sql_split(r->x->sql, r->x->arena, &texts, &n, &r->err));
    if (n > 1 && r->x->n_params > 0) {
        return kl_fail(&r->err, KL_E_PARAMS_WITH_BATCH, "Parameters not supported with multi-statement batches");
    }
    r->stmts = KL_ARENA_ARRAY(r->x->arena, struct kl__stmt, n);
    if (r->stmts == NULL) {
        return kl_fail(&r->err, KL_E_TOO_LARGE, "the request has more statements than fit into its memory");
    }
    r->n = n;
    enum kl_rc rc = KL_OK;
    for (size_t i = 0; rc == KL_OK && i < n; i++) {
        struct kl__stmt *s = &r->stmts[i];
        s->text = texts[i];
        rc = kl__run_bind(r, s, cache);
        if (rc == KL_E_NOT_FOUND && ddl_before) {
            rc = KL_OK; /* an earlier statement may make it */
            continue;
        }
        if (rc != KL_OK) {
            r->x->failed_sql = s->text.text;
            break;
        }
        if (s->bound.plan->kind == KL_PLAN_USE) {
            r->x->session.ns = s->bound.plan->name;
        }
        ddl_before = ddl_before || changes_names(s->bound.plan);
    }
    r->x->session.ns = ns;
    return rc;
}

/* ---- statements ---- */

void kl__eval_init(struct kl__run *r, struct kl__stmt *s, const struct kl_bound *b, struct kl_arena *arena, struct kl_eval *ret) {
    *ret = (struct kl_eval){
        .params = b->vals, .n_params = b->n_vals, .session = &s->session, .now_us = kl_clock_wall_us(),
        .ids = r->e->o.ids, .arena = arena,
    };
}

void kl__run_message(struct kl__run *r, uint64_t rows, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    r->x->sink->message(r->x->sink, rows, kl_slice_str(text));
}

static void run_in_pool(struct kl_task *t) {
    struct kl__run *r = KL_CONTAINER_OF(t, struct kl__run, task);
    struct kl__worker *w = kl_pool_thread_state();
    if (!r->split) {
        r->rc = prepare(r, w->cache);
        kl__run_resume(r);
        return;
    }
    struct kl__stmt *s = &r->stmts[r->i];
    kl_err_clear(&r->err);
    r->rc = s->bound.explain == KL_EXPLAIN_ANALYZE ? kl__explain_analyze(r, s, w, &r->err)
            : s->bound.plan->kind == KL_PLAN_SHOW_STATS ? kl__show_stats(r, s, &r->err)
            : s->bound.plan->kind == KL_PLAN_DUCK  ? kl__read_duck(r, s, &s->bound, r->x->sink, w, &r->err)
                                                   : kl__read_native(r, s, &s->bound, r->x->sink, &w->scratch, false, &r->err);
    kl_arena_reset(&w->scratch);
    kl__run_resume(r);
}

static enum kl_rc to_pool(struct kl__run *r) {
    r->task.run = run_in_pool;
    return kl_engine_pool_post(r->e, &r->task);
}

/* The table may be read where the request is: hot rows, few of them. */
static bool may_read_on_loop(const struct kl_plan *p) { return p->table == NULL || p->table->type != KL_TABLE_SYSTEM; }

/* EXPLAIN of the statement, which itself does not run, or runs for its figures only. */
static bool start_explain(struct kl__run *r, struct kl__stmt *s) {
    bool analyze = s->bound.explain == KL_EXPLAIN_ANALYZE;
    enum kl_rc rc = analyze ? to_pool(r) : kl__explain(r, s, &r->err);
    if (analyze && rc == KL_OK) {
        return false; /* the run is the pool's now */
    }
    r->rc = rc;
    return true;
}

static enum kl_rc use_namespace(struct kl__run *r, struct kl_slice name) {
    struct kl_cat *cat = kl_catalog_acquire(r->e->o.catalog);
    bool known = kl_cat_namespace(cat, name) != NULL;
    kl_cat_release(cat);
    if (!known) {
        return kl_fail(&r->err, KL_E_NOT_FOUND, "Namespace '%.*s' does not exist", KL_FMT(name));
    }
    r->x->session.ns = kl_arena_dup(r->x->arena, name);
    kl__run_message(r, 0, "Namespace switched to '%.*s'", KL_FMT(name));
    return KL_OK;
}

static enum kl_rc set(struct kl__run *r, const struct kl_plan *p) {
    if (kl_slice_eq_str(p->name, "statement_timeout")) { /* other settings have one value */
        r->timeout_ms = r->e->o.statement_timeout_ms;
        kl_parse_i64(p->text, &r->timeout_ms); /* empty: the default again */
    }
    kl__run_message(r, 0, "SET");
    return KL_OK;
}

static enum kl_rc kill_live(struct kl__run *r, struct kl_slice id) {
    const struct kl_engine_listener *l = &r->e->o.listener;
    if (l->live_kill == NULL) {
        return kl_fail(&r->err, KL_E_NOT_FOUND, "Live query '%.*s' not found", KL_FMT(id));
    }
    KL_TRY(l->live_kill(l->ctx, id, &r->err));
    kl__run_message(r, 0, "Live query killed: %.*s", KL_FMT(id));
    return KL_OK;
}

/* Statements that are done in a moment, on the loop. KL_E_AGAIN: it is none of them. */
static enum kl_rc answer_here(struct kl__run *r, struct kl__stmt *s) {
    const struct kl_plan *p = s->bound.plan;
    enum kl_rc rc;
    switch (p->kind) {
    case KL_PLAN_SELECT:
        if (!may_read_on_loop(p)) {
            return KL_E_AGAIN;
        }
        rc = kl__read_native(r, s, &s->bound, r->x->sink, &r->l->scratch, true, &r->err);
        kl_arena_reset(&r->l->scratch);
        if (rc == KL_E_AGAIN) {
            kl_err_clear(&r->err);
        }
        return rc;
    case KL_PLAN_COMMIT:
    case KL_PLAN_ROLLBACK:
        return kl_fail(&r->err, KL_E_EXEC, "%s requires an active explicit SQL transaction", p->kind == KL_PLAN_COMMIT ? "COMMIT" : "ROLLBACK");
    case KL_PLAN_USE:
        return use_namespace(r, p->name);
    case KL_PLAN_SUBSCRIBE:
        return kl__describe_subscription(r, s, &r->err);
    case KL_PLAN_DESCRIBE:
        return kl_sql_describe(p->table, r->x->sink, &r->err);
    case KL_PLAN_DESCRIBE_HISTORY:
        return kl_sql_describe_history(p->table, r->x->sink, &r->err);
    case KL_PLAN_SET:
        return set(r, p);
    case KL_PLAN_KILL_LIVE:
        return kill_live(r, p->name);
    default:
        return KL_E_AGAIN;
    }
}

/* Starts the statement. True: done, rc in r->rc. False: kl__run_continue follows. */
static bool start(struct kl__run *r, struct kl__stmt *s) {
    if (r->retries == 0) {
        kl__audit_statement(r, s);
    }
    if (s->bound.explain != KL_EXPLAIN_NONE) {
        return start_explain(r, s);
    }
    enum kl_rc rc = answer_here(r, s);
    if (rc != KL_E_AGAIN) {
        r->rc = rc;
        return true;
    }
    /* Whoever takes the run over owns all of it: after a post nothing of it is touched here. */
    switch (s->bound.plan->kind) {
    case KL_PLAN_SELECT:
    case KL_PLAN_DUCK:
    case KL_PLAN_SHOW_STATS:
        rc = to_pool(r);
        if (rc == KL_OK) {
            return false;
        }
        r->rc = rc;
        return true;
    case KL_PLAN_INSERT:
    case KL_PLAN_UPDATE:
    case KL_PLAN_DELETE:
        kl__write_start(r, s);
        return false;
    case KL_PLAN_BEGIN:
        kl__txn_start(r);
        return false;
    case KL_PLAN_CREATE_INDEX:
    case KL_PLAN_DROP_INDEX:
        kl__index_start(r, s);
        return false;
    case KL_PLAN_CREATE_USER:
    case KL_PLAN_ALTER_USER:
    case KL_PLAN_DROP_USER:
        kl__user_start(r, s);
        return false;
    default:
        kl__ddl_start(r, s);
        return false;
    }
}

/* On to the next statement; false when this one failed, which ends the request. */
static bool statement_done(struct kl__run *r) {
    kl__slow_check(r, &r->stmts[r->i], r->rc);
    if (r->rc != KL_OK) {
        fail_statement(r, &r->stmts[r->i], r->rc);
        return false;
    }
    if (r->ddl_message.len > 0) {
        kl__run_message(r, 0, "%.*s", KL_FMT(r->ddl_message));
        r->ddl_message = KL_SLICE_NONE;
    }
    r->i++;
    r->retries = r->conflicts = 0;
    return true;
}

/* Statements from r->i on, until one has to wait or the request ends. */
static void step(struct kl__run *r) {
    while (r->i < r->n) {
        struct kl__stmt *s = &r->stmts[r->i];
        if (r->x->cancelled) {
            fail_statement(r, s, kl_fail(&r->err, KL_E_CANCELLED, "the client has gone"));
            return;
        }
        if (!s->is_bound || s->bound.plan->catalog_version != kl_catalog_version(r->e->o.catalog)) {
            enum kl_rc rc = kl__run_bind(r, s, r->l->cache);
            if (rc != KL_OK) {
                fail_statement(r, s, rc);
                return;
            }
        }
        r->x->as_user = s->session.user;
        r->x->statement = r->i;
        r->e->statements++;
        if (r->retries == 0) {
            r->started_ns = kl_clock_mono_ns();
        }
        r->deadline_ns = r->timeout_ms > 0 ? r->started_ns + r->timeout_ms * 1000000 : 0;
        if (!start(r, s)) {
            return;
        }
        if (r->rc == KL_E_STALE_PLAN && r->retries < KL__STALE_RETRIES) { /* an index went away: bound again above */
            r->retries++;
            continue;
        }
        if (!statement_done(r)) {
            return;
        }
    }
    finish(r, KL_OK);
}

void kl__run_continue(struct kl__run *r) {
    if (!r->split) { /* the pool has bound the statements */
        r->split = true;
        if (r->rc != KL_OK) {
            finish(r, r->rc);
            return;
        }
        step(r);
        return;
    }
    if (r->rc == KL_E_STALE_PLAN && r->retries < KL__STALE_RETRIES) {
        r->retries++;
        r->rc = kl__run_bind(r, &r->stmts[r->i], r->l->cache);
        if (r->rc == KL_OK) {
            step(r);
            return;
        }
    }
    if (statement_done(r)) {
        step(r);
    }
}

static void resumed(struct kl_task *t) { kl__run_continue(KL_CONTAINER_OF(t, struct kl__run, task)); }

void kl__run_resume(struct kl__run *r) {
    r->task.run = resumed;
    kl_loop_post(r->l->loop, &r->task);
}

/* Many short statements cost a loop as much as one long text. */
static bool bind_in_pool(const struct kl_exec *x) {
    size_t semicolons = 0;
    if (x->sql.len > KL__BIND_ON_LOOP_BYTES) {
        return true;
    }
    for (size_t i = 0; i < x->sql.len; i++) {
        semicolons += x->sql.ptr[i] == ';';
    }
    return semicolons > KL__BIND_ON_LOOP_STMTS;
}

void kl_engine_exec(struct kl_engine_loop *l, struct kl_exec *x) {
    static const char no_memory[] = "the request is larger than its memory";
    struct kl__run *r = KL_ARENA_NEW(x->arena, struct kl__run);
    x->failed_sql = KL_SLICE_NONE;
    if (r == NULL) {
        x->rc = kl_fail(&x->err, KL_E_TOO_LARGE, no_memory);
        x->done(x);
        return;
    }
    r->x = x;
    r->l = l;
    r->e = l->engine;
    x->run = r;
    x->session.actor = x->session.user;
    x->session.actor_role = x->session.role;
    r->timeout_ms = r->e->o.statement_timeout_ms;
    enum kl_rc rc = r->e->stopping ? kl_fail(&r->err, KL_E_SHUTTING_DOWN, "the server is shutting down") : check_limits(r);
    if (rc == KL_OK && bind_in_pool(x)) {
        rc = to_pool(r);
        if (rc == KL_OK) {
            return;
        }
        kl_fail(&r->err, rc, "the server is overloaded, try again");
    } else if (rc == KL_OK) {
        r->split = true;
        rc = prepare(r, l->cache);
    }
    if (rc != KL_OK) {
        finish(r, rc);
        return;
    }
    step(r);
}

/* ---- a loop's state ---- */

struct kl_engine_loop *kl_engine_loop_new(struct kl_engine *e, struct kl_loop *loop) {
    struct kl_engine_loop *l = kl_xcalloc(1, sizeof(*l));
    l->engine = e;
    l->loop = loop;
    l->cache = kl_plan_cache_new(e->o.plan_cache_entries);
    kl_arena_init(&l->scratch, (size_t)64 << 20);
    l->rows = kl__row_cache_new(e->o.row_cache_bytes / KL_MAX(1u, kl_cpu_count()));
    kl__loops_add(l);
    return l;
}

void kl_engine_loop_free(struct kl_engine_loop *l) {
    if (l != NULL) {
        kl__loops_remove(l);
        kl_plan_cache_free(l->cache);
        kl_arena_deinit(&l->scratch);
        kl__row_cache_free(l->rows);
        free(l);
    }
}
