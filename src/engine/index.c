/* Entries of secondary indexes, on the writer of the rows' shard. Formats: store.h.
 *
 * Writers keep up every index of a table, also one that is being built: its builder adds what was there before (index_build.c) and may meet entries
 * that a writer has put already, which are the same. An entry of a row whose columns do not change still changes with the row, since it names its _seq. */
#include "engine/dml_internal.h"

#define SEQ_BYTES 8

enum kl_rc kl__index_key(const struct kl_index *ix, const struct kl_scope *scope, const struct kl_val *vals, int64_t seq, struct kl_buf *tmp,
    struct kl_key *ret, bool *ret_sole, struct kl_err *err) {
    struct kl_val cols[KL_INDEX_COLS_MAX];
    bool nulls = false;
    for (size_t i = 0; i < ix->n_cols; i++) {
        cols[i] = vals[ix->cols[i]];
        nulls = nulls || cols[i].null;
    }
    kl_buf_clear(tmp);
    enum kl_rc rc = kl_index_encode(cols, ix->n_cols, tmp, err);
    if (rc != KL_OK) {
        kl_err_prefix(err, "index \"%s\"", ix->name);
        return rc;
    }
    *ret_sole = ix->unique && !nulls;
    kl_key_index(ret, scope, ix->id, kl_buf_view(tmp), *ret_sole ? 0 : seq);
    return KL_OK;
}

void kl__index_put(struct kl_batch *b, const struct kl_key *k, bool sole, int64_t seq) {
    uint64_t be = __builtin_bswap64((uint64_t)seq);
    kl_batch_put(b, KL_CF_IDX, kl_key_view(k), sole ? kl_slice((const char *)&be, SEQ_BYTES) : KL_SLICE_NONE);
}

enum kl_rc kl__index_owner(struct kl_batch *b, const struct kl_key *k, struct kl_buf *tmp, int64_t *ret_seq, struct kl_err *err) {
    kl_buf_clear(tmp);
    KL_TRY(kl_batch_get(b, KL_CF_IDX, kl_key_view(k), tmp, err));
    struct kl_reader r;
    kl_reader_init(&r, kl_buf_view(tmp));
    *ret_seq = (int64_t)kl_read_be64(&r);
    return r.failed ? kl_fail(err, KL_E_CORRUPT, "an index entry is damaged") : KL_OK;
}

static void list_values(struct kl__dml *d, const struct kl_index *ix, const struct kl_val *vals, struct kl_buf *values, struct kl_buf *names) {
    for (size_t i = 0; i < ix->n_cols; i++) {
        kl_buf_puts(values, i > 0 ? ", " : "");
        kl_val_to_text(&vals[ix->cols[i]], values);
        kl_buf_puts(names, i > 0 ? ", " : "");
        kl_buf_puts(names, d->t->cols[ix->cols[i]].name);
    }
}

static enum kl_rc violation(struct kl__dml *d, const struct kl_index *ix, const struct kl_val *vals) {
    struct kl_buf values, names;
    kl_buf_init(&values, 4096);
    kl_buf_init(&names, 4096);
    list_values(d, ix, vals, &values, &names);
    struct kl_slice v = kl_buf_view(&values);
    v.len = KL_MIN(v.len, 200);
    kl_fail(d->err, KL_E_CONSTRAINT, "Unique constraint violation: value '%.*s' already exists in column '%.*s' (duplicate key, index \"%s\")",
        KL_FMT(v), KL_FMT(kl_buf_view(&names)), ix->name);
    kl_buf_deinit(&values);
    kl_buf_deinit(&names);
    return KL_E_CONSTRAINT;
}

enum kl_rc kl__index_find(struct kl__dml *d, const struct kl_index *ix, const struct kl_val *vals, int64_t *ret_seq) {
    struct kl_key k;
    bool sole;
    KL_TRY(kl__index_key(ix, &d->scope, vals, 0, &d->w->idx, &k, &sole, d->err));
    return sole ? kl__index_owner(d->shard->batch, &k, &d->w->place, ret_seq, d->err) : KL_E_NOT_FOUND;
}

/* A unique index that is being built may name another row with the same values, of which the builder has yet to meet one: that entry stays. */
static enum kl_rc drop_entry(struct kl__dml *d, const struct kl_index *ix, const struct kl_key *k, bool sole, int64_t seq) {
    int64_t owner;
    if (sole && ix->state == KL_INDEX_BUILDING) {
        enum kl_rc rc = kl__index_owner(d->shard->batch, k, &d->w->place, &owner, d->err);
        if (rc != KL_OK || owner != seq) {
            return rc == KL_E_NOT_FOUND ? KL_OK : rc;
        }
    }
    kl_batch_del(d->shard->batch, KL_CF_IDX, kl_key_view(k));
    return KL_OK;
}

/* The entry of a row in one index; old_vals NULL: a new row. */
static enum kl_rc move_entry(struct kl__dml *d, const struct kl_index *ix, const struct kl_val *old_vals, int64_t old_seq, const struct kl_val *vals,
    int64_t seq) {
    struct kl_key was, is;
    bool was_sole = false, sole, same = false;
    int64_t owner;
    KL_TRY(kl__index_key(ix, &d->scope, vals, seq, &d->w->idx, &is, &sole, d->err));
    if (old_vals != NULL) {
        KL_TRY(kl__index_key(ix, &d->scope, old_vals, old_seq, &d->w->idx, &was, &was_sole, d->err));
        same = sole && was_sole && kl_slice_eq(kl_key_view(&was), kl_key_view(&is));
        if (!same) {
            KL_TRY(drop_entry(d, ix, &was, was_sole, old_seq));
        }
    }
    if (sole && (!same || ix->state == KL_INDEX_BUILDING)) {
        enum kl_rc rc = kl__index_owner(d->shard->batch, &is, &d->w->place, &owner, d->err);
        if (rc != KL_E_NOT_FOUND && !(rc == KL_OK && same && owner == old_seq)) {
            return rc == KL_OK ? violation(d, ix, vals) : rc;
        }
    }
    kl__index_put(d->shard->batch, &is, sole, seq);
    return KL_OK;
}

enum kl_rc kl__index_row_added(struct kl__dml *d, const struct kl_val *vals, int64_t seq) {
    for (size_t i = 0; i < d->t->n_indexes; i++) {
        KL_TRY(move_entry(d, &d->t->indexes[i], NULL, 0, vals, seq));
    }
    return KL_OK;
}

enum kl_rc kl__index_row_changed(struct kl__dml *d, const struct kl_val *old_vals, int64_t old_seq, const struct kl_val *vals, int64_t seq) {
    for (size_t i = 0; i < d->t->n_indexes; i++) {
        KL_TRY(move_entry(d, &d->t->indexes[i], old_vals, old_seq, vals, seq));
    }
    return KL_OK;
}

enum kl_rc kl__index_row_removed(struct kl__dml *d, const struct kl_val *old_vals, int64_t old_seq) {
    for (size_t i = 0; i < d->t->n_indexes; i++) {
        struct kl_key k;
        bool sole;
        KL_TRY(kl__index_key(&d->t->indexes[i], &d->scope, old_vals, old_seq, &d->w->idx, &k, &sole, d->err));
        KL_TRY(drop_entry(d, &d->t->indexes[i], &k, sole, old_seq));
    }
    return KL_OK;
}
