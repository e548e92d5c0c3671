/* INSERT, UPDATE and DELETE from the request's side.
 *
 *   loop ── no query inside ──────────────────────────────> writer (dml.c) ──> loop: answer
 *   loop ── query pool: the query, into memory ──> writer ── a row changed meanwhile: again, at most KL__CONFLICT_RETRIES times;
 *                                                            then query and write together on the writer (txn.c)
 *
 * So a write with a query sees what PostgreSQL's READ COMMITTED sees, and never writes over a version that it has not seen. */
#include "engine/internal.h"

#define KL__CONFLICT_RETRIES 3

void kl__write_init(struct kl__run *r, struct kl__stmt *s, struct kl__write *x) {
    *x = (struct kl__write){
        .bound = &s->bound, .session = &s->session, .now_us = kl_clock_wall_us(), .deadline_ns = r->deadline_ns,
        .cancelled = &r->x->cancelled,
    };
}

void kl__write_deinit(struct kl__write *x) {
    kl__rows_free(x->given);
    kl__rows_free(x->returning);
    x->given = x->returning = NULL;
}

enum kl_rc kl__write_query(struct kl__run *r, struct kl__stmt *s, struct kl__write *x, struct kl__worker *w, struct kl_err *err) {
    struct kl_bound q;
    if (x->given == NULL) {
        x->given = kl__rows_new();
    }
    kl__rows_clear(x->given);
    KL_TRY(kl_sql_query_values(&s->bound, s->bound.plan->write->query, r->x->arena, &q, err));
    enum kl_rc rc = q.plan->kind == KL_PLAN_DUCK ? kl__read_duck(r, s, &q, &x->given->sink, w, err)
                                                 : kl__read_native(r, s, &q, &x->given->sink, &w->scratch, false, err);
    kl_arena_reset(&w->scratch);
    return rc;
}

enum kl_rc kl__write_answer(struct kl__run *r, struct kl__stmt *s, const struct kl__write *x, struct kl_err *err) {
    const struct kl_plan *p = s->bound.plan;
    if (p->write->n_returning > 0) {
        return kl__rows_send(x->returning, r->x->sink, err);
    }
    const char *verb = p->kind == KL_PLAN_INSERT ? "Inserted" : p->kind == KL_PLAN_UPDATE ? "Updated" : "Deleted";
    kl__run_message(r, x->affected, "%s %llu row(s)", verb, (unsigned long long)x->affected);
    return KL_OK;
}

/* ---- on the loop ---- */

static void done(struct kl_task *t) {
    struct kl__cmd *c = KL_CONTAINER_OF(t, struct kl__cmd, task);
    struct kl__run *r = KL_CONTAINER_OF(c, struct kl__run, write.cmd);
    struct kl__stmt *s = &r->stmts[r->i];
    r->rc = c->rc;
    if (c->rc == KL_E_AGAIN) {
        kl__rows_free(r->write.returning);
        r->write.returning = NULL;
        if (++r->conflicts > KL__CONFLICT_RETRIES) {
            kl__write_deinit(&r->write);
            kl__txn_start_single(r);
        } else {
            kl__write_start(r, s);
        }
        return;
    }
    if (c->rc != KL_OK) {
        r->err = c->err;
        r->err.position = 0;
    } else {
        r->rc = kl__write_answer(r, s, &r->write, &r->err);
    }
    kl__write_deinit(&r->write);
    kl__run_continue(r);
}

static enum kl_rc post(struct kl__run *r, struct kl__stmt *s) {
    struct kl_scope scope = kl_table_scope(s->bound.plan->table, s->session.user, r->e->user_shards);
    r->write.cmd = (struct kl__cmd){.engine = r->e, .loop = r->l->loop, .shard = scope.shard, .apply = kl__dml_apply, .finish = done};
    return kl__cmd_post(&r->write.cmd);
}

static void failed(struct kl_task *t) {
    struct kl__run *r = KL_CONTAINER_OF(t, struct kl__run, task);
    kl__write_deinit(&r->write);
    kl__run_continue(r);
}

/* In the query pool. Once the command is posted the run belongs to the writer. */
static void query_in_pool(struct kl_task *t) {
    struct kl__run *r = KL_CONTAINER_OF(t, struct kl__run, task);
    struct kl__stmt *s = &r->stmts[r->i];
    kl_err_clear(&r->err);
    enum kl_rc rc = kl__write_query(r, s, &r->write, kl_pool_thread_state(), &r->err);
    if (rc == KL_OK) {
        rc = post(r, s);
    }
    if (rc != KL_OK) {
        r->rc = rc;
        r->task.run = failed;
        kl_loop_post(r->l->loop, &r->task);
    }
}

void kl__write_start(struct kl__run *r, struct kl__stmt *s) {
    enum kl_rc rc;
    struct kl__rows *given = r->conflicts > 0 ? r->write.given : NULL;
    kl__write_init(r, s, &r->write);
    r->write.given = given;
    if (s->bound.plan->write->query != NULL) {
        r->task.run = query_in_pool;
        rc = kl_engine_pool_post(r->e, &r->task);
    } else {
        rc = post(r, s);
    }
    if (rc != KL_OK) {
        kl__write_deinit(&r->write);
        r->rc = rc;
        kl__run_resume(r);
    }
}
