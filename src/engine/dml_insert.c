/* INSERT: rows from VALUES or from a query, with ON CONFLICT. */
#include "engine/dml_internal.h"

struct inserting {
    struct kl__dml *d;
    const struct kl_plan_insert *plan;
    struct kl_val *vals;   /* every column, then _seq */
    struct kl_val *wide;   /* ON CONFLICT DO UPDATE: old columns, their _seq, EXCLUDED */
    struct kl__stream_row *stream; /* STREAM: rows so far, else NULL */
    size_t n_stream;
    int64_t deadline_ns;   /* STREAM */
};

static enum kl_rc key_violation(struct kl__dml *d, const struct kl_val *vals, bool same_statement) {
    struct kl_buf value, cols;
    kl_buf_init(&value, 4096);
    kl_buf_init(&cols, 4096);
    for (size_t i = 0; i < d->t->n_pk; i++) {
        kl_buf_puts(&value, i > 0 ? ", " : "");
        kl_val_to_text(&vals[d->t->pk[i]], &value);
        kl_buf_puts(&cols, i > 0 ? ", " : "");
        kl_buf_puts(&cols, d->t->cols[d->t->pk[i]].name);
    }
    struct kl_slice v = kl_buf_view(&value), c = kl_buf_view(&cols);
    v.len = KL_MIN(v.len, 200);
    if (same_statement) {
        kl_fail(d->err, KL_E_CONSTRAINT, "Primary key violation: value '%.*s' appears multiple times in the insert batch for column '%.*s'",
            KL_FMT(v), KL_FMT(c));
    } else {
        kl_fail(d->err, KL_E_CONSTRAINT, "Primary key violation: value '%.*s' already exists in column '%.*s'", KL_FMT(v), KL_FMT(c));
    }
    kl_buf_deinit(&value);
    kl_buf_deinit(&cols);
    return KL_E_CONSTRAINT;
}

/* ---- ON CONFLICT ---- */

/* The row that ON CONFLICT is about; KL_E_NOT_FOUND when there is none. */
static enum kl_rc find_conflict(struct kl__dml *d, const struct kl_plan_conflict *c, const struct kl_val *vals, int64_t *ret_seq) {
    enum kl_rc rc = KL_E_NOT_FOUND;
    if (d->t->n_pk > 0 && (c->any || c->index_id == 0)) {
        rc = kl__dml_find_key(d, vals, ret_seq);
    }
    for (size_t i = 0; rc == KL_E_NOT_FOUND && i < d->t->n_indexes; i++) {
        const struct kl_index *ix = &d->t->indexes[i];
        if (ix->unique && (c->any || c->index_id == ix->id)) {
            rc = kl__index_find(d, ix, vals, ret_seq);
        }
    }
    return rc;
}

static enum kl_rc update_instead(struct inserting *in, int64_t old_seq) {
    struct kl__dml *d = in->d;
    struct kl_row_view view;
    struct kl_slice bytes;
    bool chosen, changed;
    size_t n = d->t->n_cols;
    if (old_seq >= d->first_seq) {
        kl_fail(d->err, KL_E_CONSTRAINT, "ON CONFLICT DO UPDATE command cannot affect row a second time");
        kl_err_hint(d->err, "no two rows of one INSERT may have the same key");
        return KL_E_CONSTRAINT;
    }
    enum kl_rc rc = kl__dml_get_row(d, old_seq, &bytes);
    if (rc == KL_E_NOT_FOUND) {
        return kl_fail(d->err, KL_E_CORRUPT, "a unique key of table %s points nowhere", d->t->qualified.ptr);
    }
    KL_TRY(rc);
    bytes = kl_arena_dup(&d->w->scratch, bytes);
    if (bytes.ptr == NULL) {
        return kl_fail(d->err, KL_E_NOMEM, "out of memory");
    }
    KL_TRY(kl__dml_open_row(d, bytes, old_seq, &view, in->wide));
    memcpy(in->wide + n + 1, in->vals, n * sizeof(*in->vals));
    memcpy(in->vals, in->wide, (n + 1) * sizeof(*in->vals));
    struct kl_eval ev = d->ev;
    ev.row = in->wide;
    KL_TRY(kl_sql_conflict_row(d->cmd->bound, &ev, in->vals, &chosen, &changed, d->err));
    if (chosen && changed) {
        KL_TRY(kl__dml_replace(d, bytes, &view, in->wide, in->vals));
    }
    return chosen ? kl__dml_return(d, in->vals) : KL_OK;
}

/* ---- one row ---- */

static enum kl_rc insert_stream_row(struct inserting *in) {
    struct kl__dml *d = in->d;
    int64_t seq = kl__dml_next_seq(d);
    struct kl_row_head head = {.schema_version = d->t->version, .seq = seq, .origin_seq = seq};
    kl_buf_clear(&d->w->row);
    KL_TRY(kl_row_encode(d->t->layout, &head, in->vals, &d->w->row, d->err));
    struct kl_slice bytes = kl_arena_dup(&d->w->drain, kl_buf_view(&d->w->row));
    if (bytes.ptr == NULL) {
        return kl_fail(d->err, KL_E_TOO_LARGE, "the statement inserts more than one batch can hold");
    }
    in->stream[in->n_stream++] = (struct kl__stream_row){seq, in->deadline_ns, bytes};
    in->vals[d->t->n_cols] = kl_val_i64(seq);
    d->cmd->affected++;
    KL_TRY(kl__dml_tell(d, KL_CHANGE_INSERT, seq, 0, bytes, KL_SLICE_NONE));
    return kl__dml_return(d, in->vals);
}

static enum kl_rc insert_stored_row(struct inserting *in) {
    struct kl__dml *d = in->d;
    const struct kl_plan_conflict *c = in->plan->conflict;
    int64_t seq;
    if (c != NULL) {
        enum kl_rc rc = find_conflict(d, c, in->vals, &seq);
        if (rc == KL_OK) {
            return c->update ? update_instead(in, seq) : KL_OK;
        }
        if (rc != KL_E_NOT_FOUND) {
            return rc;
        }
    }
    if (d->t->n_pk > 0 && !in->plan->generated_key) {
        enum kl_rc rc = kl__dml_find_key(d, in->vals, &seq);
        if (rc != KL_E_NOT_FOUND) {
            return rc == KL_OK ? key_violation(d, in->vals, seq >= d->first_seq) : rc;
        }
    }
    KL_TRY(kl__dml_put_row(d, in->vals, 0, 0));
    seq = in->vals[d->t->n_cols].i;
    KL_TRY(kl__index_row_added(d, in->vals, seq));
    KL_TRY(kl__dml_tell(d, KL_CHANGE_INSERT, seq, 0, kl_buf_view(&d->w->row), KL_SLICE_NONE));
    d->cmd->affected++;
    return kl__dml_return(d, in->vals);
}

static enum kl_rc insert_row(struct inserting *in) {
    in->vals[in->d->t->n_cols] = kl_val_null(KL_T_BIGINT);
    KL_TRY(kl__dml_check_row(in->d, in->vals));
    return in->stream != NULL ? insert_stream_row(in) : insert_stored_row(in);
}

/* ---- all rows ---- */

static enum kl_rc insert_values(struct inserting *in) {
    struct kl__dml *d = in->d;
    const struct kl_bound *b = d->cmd->bound;
    for (size_t r = 0; r < b->n_rows; r++) {
        struct kl_arena_mark mark = kl_arena_mark(&d->w->scratch);
        KL_TRY(kl__dml_check_stop(d, r));
        KL_TRY(kl_sql_insert_row(b, r, &d->ev, in->vals, d->err));
        KL_TRY(insert_row(in));
        kl_arena_rewind(&d->w->scratch, mark);
    }
    return KL_OK;
}

static enum kl_rc insert_given(struct inserting *in) {
    struct kl__dml *d = in->d;
    struct kl__rows_pos pos = {0};
    const struct kl_val *given;
    for (size_t r = 0; (given = kl__rows_next(d->cmd->given, &pos)) != NULL; r++) {
        struct kl_arena_mark mark = kl_arena_mark(&d->w->scratch);
        KL_TRY(kl__dml_check_stop(d, r));
        KL_TRY(kl_sql_insert_given(d->cmd->bound, given, r + 1, &d->ev, in->vals, d->err));
        KL_TRY(insert_row(in));
        kl_arena_rewind(&d->w->scratch, mark);
    }
    return KL_OK;
}

enum kl_rc kl__dml_insert(struct kl__dml *d) {
    struct kl_arena *a = &d->w->scratch;
    bool stream = d->t->type == KL_TABLE_STREAM;
    size_t n = d->cmd->given != NULL ? d->cmd->given->n : d->cmd->bound->n_rows, cols = d->t->n_cols;
    struct inserting in = {
        .d = d, .plan = d->cmd->bound->plan->insert, .vals = KL_ARENA_ARRAY(a, struct kl_val, cols + 1),
        .wide = KL_ARENA_ARRAY(a, struct kl_val, 2 * cols + 1), .stream = stream ? KL_ARENA_ARRAY(a, struct kl__stream_row, n + 1) : NULL,
        .deadline_ns = kl_clock_mono_ns() + (int64_t)d->t->options.ttl_seconds * 1000000000,
    };
    if (in.vals == NULL || in.wide == NULL || (stream && in.stream == NULL)) {
        return kl_fail(d->err, KL_E_TOO_LARGE, "the statement inserts more than one batch can hold");
    }
    KL_TRY(d->cmd->given != NULL ? insert_given(&in) : insert_values(&in));
    return stream ? kl__stream_append(d->shard->streams, d->w, d->t, d->scope.user, in.stream, in.n_stream, d->err) : KL_OK;
}
