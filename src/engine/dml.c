/* INSERT, UPDATE and DELETE, on the writer of the rows' shard: what they share.
 *
 * A statement is one command: it runs against store + batch behind a save point, so it sees what earlier commands of the batch did, and it
 * happens whole or not at all.
 *
 * In the row family there is one live version per row. An update puts the new version at a new _seq, with its lineage, and removes the old key;
 * a delete puts a tombstone at a new _seq and removes the old key and the entries that name it. Entries: one by primary key (dml.c), one in each
 * secondary index (index.c). */
#include "engine/dml_internal.h"

#define PK_PLACE_BYTES 9
#define CHECK_EVERY 256
#define MAX_BATCH_BYTES ((size_t)1 << 30)

int64_t kl__dml_next_seq(struct kl__dml *d) {
    int64_t seq = kl_snowflake_next(d->w->engine->o.ids);
    d->shard->last_seq = KL_MAX(d->shard->last_seq, seq);
    return seq;
}

enum kl_rc kl__dml_check_stop(struct kl__dml *d, size_t i) {
    if (i % CHECK_EVERY != 0) {
        return KL_OK;
    }
    if (d->cmd->cancelled != NULL && *d->cmd->cancelled) {
        return kl_fail(d->err, KL_E_CANCELLED, "canceling statement due to user request");
    }
    if (d->cmd->deadline_ns > 0 && kl_clock_mono_ns() > d->cmd->deadline_ns) {
        return kl_fail(d->err, KL_E_TIMEOUT, "canceling statement due to statement timeout");
    }
    return KL_OK;
}

enum kl_rc kl__dml_tell(struct kl__dml *d, enum kl_change_op op, int64_t seq, int64_t prev, struct kl_slice new_row, struct kl_slice old_row) {
    struct kl_change c = {
        .op = op, .table = d->t, .shard = d->shard->id, .user = d->scope.user, .seq = seq, .prev_seq = prev,
        .new_row = new_row, .old_row = old_row,
    };
    return kl__writer_change(d->w, &c, d->err);
}

/* ---- primary key entries ---- */

static enum kl_rc encode_key(struct kl__dml *d, const struct kl_val *vals, struct kl_key *ret) {
    struct kl_val key[KL_PK_COLS_MAX];
    for (size_t i = 0; i < d->t->n_pk; i++) {
        key[i] = vals[d->t->pk[i]];
    }
    kl_buf_clear(&d->w->pk);
    KL_TRY(kl_pk_encode(key, d->t->n_pk, &d->w->pk, d->err));
    kl_key_pk(ret, &d->scope, d->t->id, kl_buf_view(&d->w->pk));
    return KL_OK;
}

/* is_new: there was no row with this key, so no cache has one. */
static enum kl_rc put_key(struct kl__dml *d, const struct kl_val *vals, int64_t seq, bool is_new) {
    struct kl_key k;
    char place[PK_PLACE_BYTES];
    uint64_t be = __builtin_bswap64((uint64_t)seq);
    KL_TRY(encode_key(d, vals, &k));
    place[0] = 1;
    memcpy(place + 1, &be, 8);
    if (!is_new) {
        kl__key_changing(d->w, kl_key_view(&k));
    }
    kl_batch_put(d->shard->batch, KL_CF_PK, kl_key_view(&k), kl_slice(place, sizeof(place)));
    return KL_OK;
}

enum kl_rc kl__dml_drop_key(struct kl__dml *d, const struct kl_val *vals) {
    struct kl_key k;
    KL_TRY(encode_key(d, vals, &k));
    kl__key_changing(d->w, kl_key_view(&k));
    kl_batch_del(d->shard->batch, KL_CF_PK, kl_key_view(&k));
    return KL_OK;
}

enum kl_rc kl__dml_find_key(struct kl__dml *d, const struct kl_val *vals, int64_t *ret_seq) {
    struct kl_key k;
    struct kl_reader r;
    KL_TRY(encode_key(d, vals, &k));
    KL_TRY(kl_batch_get(d->shard->batch, KL_CF_PK, kl_key_view(&k), &d->w->place, d->err));
    kl_reader_init(&r, kl_buf_view(&d->w->place));
    uint8_t tag = kl_read_u8(&r);
    *ret_seq = (int64_t)kl_read_be64(&r);
    if (tag != 1 || r.failed) {
        return kl_fail(d->err, KL_E_CORRUPT, "primary key entry of table %s is damaged", d->t->qualified.ptr);
    }
    return KL_OK;
}

/* ---- rows ---- */

enum kl_rc kl__dml_get_row(struct kl__dml *d, int64_t seq, struct kl_slice *ret) {
    struct kl_key k;
    kl_key_row(&k, &d->scope, d->t->id, seq);
    KL_TRY(kl_batch_get(d->shard->batch, KL_CF_ROW, kl_key_view(&k), &d->w->old, d->err));
    *ret = kl_buf_view(&d->w->old);
    return KL_OK;
}

enum kl_rc kl__dml_open_row(struct kl__dml *d, struct kl_slice bytes, int64_t seq, struct kl_row_view *view, struct kl_val *row) {
    if (kl_table_open_row(d->t, bytes, seq, view) != KL_OK) {
        return kl_fail(d->err, KL_E_CORRUPT, "row %lld of table %s cannot be read: its bytes are damaged", (long long)seq,
            d->t->qualified.ptr);
    }
    for (size_t i = 0; i < d->t->n_cols; i++) {
        KL_TRY(kl_table_get(d->t, view, (unsigned)i, &d->w->scratch, &row[i]));
    }
    row[d->t->n_cols] = kl_val_i64(seq);
    return KL_OK;
}

enum kl_rc kl__dml_check_row(struct kl__dml *d, const struct kl_val *vals) {
    struct kl_eval ev = d->ev;
    if (d->cmd->bound->plan->write->n_checks == 0) {
        return KL_OK;
    }
    ev.row = vals;
    return kl_sql_check_row(d->cmd->bound, &ev, d->err);
}

enum kl_rc kl__dml_return(struct kl__dml *d, const struct kl_val *vals) {
    const struct kl_plan_write *p = d->cmd->bound->plan->write;
    struct kl_eval ev = d->ev;
    if (p->n_returning == 0) {
        return KL_OK;
    }
    struct kl_val *out = KL_ARENA_ARRAY(&d->w->scratch, struct kl_val, p->n_returning);
    if (out == NULL) {
        return kl_fail(d->err, KL_E_NOMEM, "out of memory");
    }
    ev.row = vals;
    for (size_t i = 0; i < p->n_returning; i++) {
        KL_TRY(kl_expr_eval(p->returning[i], &ev, &out[i], d->err));
    }
    struct kl_sink *to = &d->cmd->returning->sink;
    return to->row(to, out, d->err);
}

enum kl_rc kl__dml_put_row(struct kl__dml *d, struct kl_val *vals, int64_t origin, int64_t prev) {
    struct kl_key k;
    if (kl_batch_bytes(d->shard->batch) > MAX_BATCH_BYTES) {
        return kl_fail(d->err, KL_E_TOO_LARGE, "the statement writes more than %zu MiB; write fewer rows at a time", MAX_BATCH_BYTES >> 20);
    }
    int64_t seq = kl__dml_next_seq(d);
    struct kl_row_head head = {.schema_version = d->t->version, .seq = seq, .origin_seq = origin != 0 ? origin : seq, .prev_seq = prev};
    kl_buf_clear(&d->w->row);
    KL_TRY(kl_row_encode(d->t->layout, &head, vals, &d->w->row, d->err));
    vals[d->t->n_cols] = kl_val_i64(seq);
    kl_key_row(&k, &d->scope, d->t->id, seq);
    kl_batch_put(d->shard->batch, KL_CF_ROW, kl_key_view(&k), kl_buf_view(&d->w->row));
    return d->t->n_pk > 0 ? put_key(d, vals, seq, prev == 0) : KL_OK;
}

enum kl_rc kl__dml_replace(struct kl__dml *d, struct kl_slice old_bytes, const struct kl_row_view *old, const struct kl_val *old_vals,
    struct kl_val *vals) {
    struct kl_key k;
    size_t seq_slot = d->t->n_cols;
    int64_t old_seq = old_vals[seq_slot].i;
    KL_TRY(kl__dml_check_row(d, vals));
    kl_key_row(&k, &d->scope, d->t->id, old_seq);
    kl_batch_del(d->shard->batch, KL_CF_ROW, kl_key_view(&k));
    KL_TRY(kl__dml_put_row(d, vals, old->head.origin_seq, old_seq));
    KL_TRY(kl__index_row_changed(d, old_vals, old_seq, vals, vals[seq_slot].i));
    KL_TRY(kl__dml_tell(d, KL_CHANGE_UPDATE, vals[seq_slot].i, old_seq, kl_buf_view(&d->w->row), old_bytes));
    d->cmd->affected++;
    return KL_OK;
}

/* ---- a statement ---- */

/* Columns of what RETURNING answers, before the first row. */
static enum kl_rc begin_returning(struct kl__write *x, struct kl_err *err) {
    const struct kl_plan_write *p = x->bound->plan->write;
    if (p->n_returning == 0) {
        return KL_OK;
    }
    if (x->returning == NULL) {
        x->returning = kl__rows_new();
    }
    kl__rows_clear(x->returning);
    return x->returning->sink.begin(&x->returning->sink, p->ret_cols, p->n_returning, err);
}

/* Indexes come and go without a new version of their table. */
static bool conflict_target_is_there(const struct kl_plan *plan, const struct kl_table *t) {
    const struct kl_plan_conflict *c = plan->kind == KL_PLAN_INSERT ? plan->insert->conflict : NULL;
    return c == NULL || c->index_id == 0 || kl_table_index(t, c->index_id) != NULL;
}

enum kl_rc kl__dml_run(struct kl__write *x, struct kl__writer *w, struct kl__shard *s, struct kl_err *err) {
    const struct kl_plan *plan = x->bound->plan;
    struct kl_table *t = kl_cat_table_by_id(w->cat, plan->table->id);
    if (t == NULL || t->version != plan->table->version || !conflict_target_is_there(plan, t)) {
        return KL_E_STALE_PLAN;
    }
    if (x->cancelled != NULL && *x->cancelled) {
        return kl_fail(err, KL_E_CANCELLED, "the client has gone");
    }
    KL_TRY(begin_returning(x, err));
    struct kl__dml d = {
        .cmd = x, .w = w, .shard = s, .t = t, .err = err,
        .scope = kl_table_scope(t, x->session->user, w->engine->user_shards),
        .first_seq = kl_snowflake_next(w->engine->o.ids),
        .ev = {.params = x->bound->vals, .n_params = x->bound->n_vals, .session = x->session, .now_us = x->now_us,
            .ids = w->engine->o.ids, .arena = &w->scratch},
    };
    x->affected = 0;
    w->engine->writes++;
    return plan->kind == KL_PLAN_INSERT ? kl__dml_insert(&d) : kl__dml_update_delete(&d);
}

enum kl_rc kl__dml_apply(struct kl__cmd *c, struct kl__writer *w, struct kl__shard *s) {
    return kl__dml_run(KL_CONTAINER_OF(c, struct kl__write, cmd), w, s, &c->err);
}
