/* CREATE TABLE AS: the query's rows into memory, the table with the query's columns, then the rows as one INSERT.
 *
 *   query pool: query -> struct kl__rows     (WITH NO DATA: its columns only)
 *   metadata writer: CREATE TABLE
 *   query pool: bind INSERT .. SELECT of the same columns, which gives the plan that takes the rows
 *   the table's writer: the rows, in one batch
 *   loop: answer;  when the rows could not be put in: metadata writer: DROP TABLE, then the error
 *
 * Others may see the empty table for a moment; they never see some of the rows. `_seq` and `_deleted` of the query are left out: the new table has its
 * own. Memory is bounded by KL__ROWS_MAX_BYTES. */
#include "engine/ddl_internal.h"

#include <stdlib.h>

struct kl__ctas {
    struct kl_sink sink;      /* in front of `rows`: leaves columns out */
    struct kl__ddl *d;
    struct kl__rows *rows;    /* owned */
    bool *keep;               /* per column of the query */
    struct kl_sink_col *cols; /* those kept */
    struct kl_val *vals;
    size_t n_given, n_kept;
    bool dropping;            /* it is being removed again, because of rc and err */
    enum kl_rc rc;
    struct kl_err err;
    struct kl_bound insert;
    struct kl__write write;
};

/* ---- the query ---- */

static enum kl_rc no_memory(struct kl_err *err) { return kl_fail(err, KL_E_NOMEM, "the request is larger than its memory"); }

static enum kl_rc begin(struct kl_sink *s, const struct kl_sink_col *cols, size_t n, struct kl_err *err) {
    struct kl__ctas *c = KL_CONTAINER_OF(s, struct kl__ctas, sink);
    struct kl_arena *arena = c->d->run->x->arena;
    c->keep = KL_ARENA_ARRAY(arena, bool, n + 1);
    c->cols = KL_ARENA_ARRAY(arena, struct kl_sink_col, n + 1);
    c->vals = KL_ARENA_ARRAY(arena, struct kl_val, n + 1);
    if (c->keep == NULL || c->cols == NULL || c->vals == NULL) {
        return no_memory(err);
    }
    c->n_given = n;
    for (size_t i = 0; i < n; i++) {
        c->keep[i] = !kl_slice_eq_str(cols[i].name, "_seq") && !kl_slice_eq_str(cols[i].name, "_deleted");
        if (c->keep[i]) {
            c->cols[c->n_kept++] = cols[i];
        }
    }
    KL_TRY(kl__ddl_columns(c->d, cols, n, true, err));
    return c->rows->sink.begin(&c->rows->sink, c->cols, c->n_kept, err);
}

static enum kl_rc row(struct kl_sink *s, const struct kl_val *vals, struct kl_err *err) {
    struct kl__ctas *c = KL_CONTAINER_OF(s, struct kl__ctas, sink);
    size_t n = 0;
    for (size_t i = 0; i < c->n_given; i++) {
        if (c->keep[i]) {
            c->vals[n++] = vals[i];
        }
    }
    return c->rows->sink.row(&c->rows->sink, c->vals, err);
}

static void end(struct kl_sink *s, uint64_t n) {
    struct kl__ctas *c = KL_CONTAINER_OF(s, struct kl__ctas, sink);
    c->rows->sink.end(&c->rows->sink, n);
}

static enum kl_rc run_query(struct kl__ctas *c, struct kl_err *err) {
    struct kl__run *r = c->d->run;
    struct kl__stmt *s = c->d->stmt;
    struct kl__worker *w = kl_pool_thread_state();
    struct kl_bound q;
    c->d->def = *s->bound.plan->create;
    KL_TRY(kl_sql_query_values(&s->bound, s->bound.plan->query, r->x->arena, &q, err));
    enum kl_rc rc = q.plan->kind == KL_PLAN_DUCK ? kl__read_duck(r, s, &q, &c->sink, w, err)
                                                 : kl__read_native(r, s, &q, &c->sink, &w->scratch, false, err);
    kl_arena_reset(&w->scratch);
    return rc;
}

enum kl_rc kl__ddl_ctas_end(struct kl__ddl *d, enum kl_rc rc) {
    struct kl__ctas *c = d->ctas;
    kl__rows_free(c->rows);
    c->rows = NULL;
    d->ctas = NULL;
    if (c->dropping) { /* what went wrong first counts */
        d->run->err = c->err;
        return c->rc;
    }
    return rc;
}

void kl__ddl_ctas_start(struct kl_task *t) {
    struct kl__ddl *d = kl__ddl_of(t);
    struct kl__run *r = d->run;
    const struct kl_plan *p = d->stmt->bound.plan;
    struct kl__ctas *c = KL_ARENA_NEW(r->x->arena, struct kl__ctas);
    kl_err_clear(&r->err);
    if (c == NULL) {
        kl__ddl_answer(d, no_memory(&r->err));
        return;
    }
    *c = (struct kl__ctas){.sink = {begin, row, end, NULL}, .d = d, .rows = kl__rows_new()};
    d->ctas = c;
    enum kl_rc rc = p->with_data ? run_query(c, &r->err) : kl__ddl_query_columns(d, &r->err);
    if (rc != KL_OK) {
        kl__ddl_answer(d, rc);
        return;
    }
    kl__ddl_change_catalog(d);
}

/* ---- the rows ---- */

/* On the loop: rows are in. */
static void finished(struct kl__ctas *c) {
    struct kl__ddl *d = c->d;
    kl_bound_release(&c->insert);
    kl__run_message(d->run, c->write.affected, "%s", d->message);
    c->d->ctas = NULL;
    d->run->rc = KL_OK;
    kl__run_continue(d->run);
}

/* The table without its rows is not what was asked for. */
static enum kl_rc drop_again(struct kl__ddl_change *change, struct kl_err *err) {
    struct kl__ddl *d = change->ctx;
    uint32_t *id = KL_ARENA_NEW(d->run->x->arena, uint32_t);
    if (id == NULL) {
        return no_memory(err);
    }
    KL_TRY(kl_cat_drop_table(d->run->e->o.catalog, d->def.ns, d->def.name, id, err));
    change->dropped = change->removed = id;
    change->n_dropped = change->n_removed = 1;
    return KL_OK;
}

static void give_up(struct kl__ctas *c, enum kl_rc rc, const struct kl_err *err) {
    c->rc = rc;
    c->err = *err;
    c->dropping = true;
    kl__rows_free(c->rows);
    c->rows = NULL;
    kl__ddl_to_writer(c->d, drop_again);
}

static void inserted(struct kl_task *t) {
    struct kl__cmd *cmd = KL_CONTAINER_OF(t, struct kl__cmd, task);
    struct kl__ctas *c = KL_CONTAINER_OF(cmd, struct kl__ctas, write.cmd);
    c->rows = NULL;
    kl__write_deinit(&c->write);
    if (cmd->rc == KL_OK) {
        finished(c);
        return;
    }
    kl_bound_release(&c->insert);
    give_up(c, cmd->rc, &cmd->err);
}

/* INSERT INTO table (columns) SELECT of values of the same types: its plan takes the rows. */
static enum kl_rc bind_insert(struct kl__ctas *c, struct kl_err *err) {
    struct kl__ddl *d = c->d;
    struct kl__run *r = d->run;
    struct kl_buf sql;
    kl_buf_init(&sql, (size_t)1 << 20);
    kl_buf_printf(&sql, "INSERT INTO \"%.*s\".\"%.*s\" (", KL_FMT(d->def.ns), KL_FMT(d->def.name));
    for (size_t i = 0; i < d->def.n_cols; i++) {
        kl_buf_printf(&sql, "%s\"%.*s\"", i ? ", " : "", KL_FMT(d->def.cols[i].name));
    }
    kl_buf_puts(&sql, ") SELECT ");
    for (size_t i = 0; i < d->def.n_cols; i++) {
        kl_buf_puts(&sql, i ? ", CAST(NULL AS " : "CAST(NULL AS ");
        kl_type_sql_name(d->def.cols[i].type, &sql);
        kl_buf_putc(&sql, ')');
    }
    struct kl_slice text = kl_arena_dup(r->x->arena, kl_buf_view(&sql));
    bool failed = sql.failed || text.ptr == NULL;
    kl_buf_deinit(&sql);
    if (failed) {
        return no_memory(err);
    }
    struct kl_sql_ctx ctx = {.cat = kl_catalog_acquire(r->e->o.catalog), .session = &d->stmt->session, .executor = r->e->o.executor};
    enum kl_rc rc = kl_sql_bind(&ctx, text, NULL, 0, r->x->arena, &c->insert, err);
    kl_cat_release(ctx.cat);
    return rc;
}

static void insert_rows(struct kl_task *t) {
    struct kl__ddl *d = kl__ddl_of(t);
    struct kl__ctas *c = d->ctas;
    struct kl__run *r = d->run;
    struct kl_err err;
    kl_err_clear(&err);
    enum kl_rc rc = bind_insert(c, &err);
    if (rc != KL_OK) {
        give_up(c, rc, &err);
        return;
    }
    kl__write_init(r, d->stmt, &c->write);
    c->write.bound = &c->insert;
    c->write.given = c->rows;
    struct kl_scope scope = kl_table_scope(c->insert.plan->table, d->stmt->session.user, r->e->user_shards);
    c->write.cmd = (struct kl__cmd){.engine = r->e, .loop = r->l->loop, .shard = scope.shard, .apply = kl__dml_apply, .finish = inserted};
    rc = kl__cmd_post(&c->write.cmd);
    if (rc != KL_OK) {
        kl_bound_release(&c->insert);
        kl_fail(&err, rc, "the server is overloaded or stopping");
        give_up(c, rc, &err);
    }
}

void kl__ddl_ctas_created(struct kl__ddl *d) {
    struct kl__ctas *c = d->ctas;
    if (c->dropping || !d->change.changed || c->rows->n == 0) {
        kl__ddl_answer(d, KL_OK);
        return;
    }
    d->run->task.run = insert_rows;
    enum kl_rc rc = kl_engine_pool_post(d->run->e, &d->run->task);
    if (rc != KL_OK) {
        struct kl_err err;
        kl_err_clear(&err);
        kl_fail(&err, rc, "the server is overloaded or stopping");
        give_up(c, rc, &err);
    }
}
