/* INSERT, UPDATE and DELETE on the writer: what dml.c, dml_insert.c, dml_update.c and index.c share. */
#ifndef KL_ENGINE_DML_INTERNAL_H
#define KL_ENGINE_DML_INTERNAL_H

#include "engine/internal.h"

/* One statement while it runs. */
struct kl__dml {
    struct kl__write *cmd;
    struct kl__writer *w;
    struct kl__shard *shard;
    struct kl_table *t; /* newest version; the plan's has the same */
    struct kl_scope scope;
    struct kl_eval ev;
    int64_t first_seq; /* rows at or above it were written by this statement */
    struct kl_err *err;
};

/* ---- dml.c ---- */
int64_t kl__dml_next_seq(struct kl__dml *d);
/* Every few hundred rows: deadline and cancellation. */
enum kl_rc kl__dml_check_stop(struct kl__dml *d, size_t i);
/* Place of the live version with the key of these column values; KL_E_NOT_FOUND. */
enum kl_rc kl__dml_find_key(struct kl__dml *d, const struct kl_val *vals, int64_t *ret_seq);
/* Removes the key entry of a row that goes. */
enum kl_rc kl__dml_drop_key(struct kl__dml *d, const struct kl_val *vals);
/* A stored row's bytes, in the writer's buffer `old` until its next use. KL_E_NOT_FOUND. */
enum kl_rc kl__dml_get_row(struct kl__dml *d, int64_t seq, struct kl_slice *ret);
/* Every column in order, then _seq. */
enum kl_rc kl__dml_open_row(struct kl__dml *d, struct kl_slice bytes, int64_t seq, struct kl_row_view *view, struct kl_val *row);
enum kl_rc kl__dml_tell(struct kl__dml *d, enum kl_change_op op, int64_t seq, int64_t prev, struct kl_slice new_row, struct kl_slice old_row);
/* CHECK constraints over vals[n_cols + 1]. */
enum kl_rc kl__dml_check_row(struct kl__dml *d, const struct kl_val *vals);
/* RETURNING over vals[n_cols + 1]; nothing without. */
enum kl_rc kl__dml_return(struct kl__dml *d, const struct kl_val *vals);
/* Appends the version of vals to the stored partition: row, key entry; not the indexes. vals[n_cols] becomes its _seq. The bytes stay in w->row. */
enum kl_rc kl__dml_put_row(struct kl__dml *d, struct kl_val *vals, int64_t origin, int64_t prev);
/* Replaces a stored version: checks, row, key, indexes, change, RETURNING. old_bytes and old_vals are the row's as it was. */
enum kl_rc kl__dml_replace(struct kl__dml *d, struct kl_slice old_bytes, const struct kl_row_view *old, const struct kl_val *old_vals, struct kl_val *vals);

/* ---- dml_insert.c, dml_update.c ---- */
enum kl_rc kl__dml_insert(struct kl__dml *d);
enum kl_rc kl__dml_update_delete(struct kl__dml *d);

/* ---- index.c ---- */
/* KL_E_NOT_FOUND when no row has these values, or one of them is NULL. Unique indexes. */
enum kl_rc kl__index_find(struct kl__dml *d, const struct kl_index *ix, const struct kl_val *vals, int64_t *ret_seq);
/* Entries of all indexes follow a row. KL_E_CONSTRAINT when a unique one has it already. */
enum kl_rc kl__index_row_added(struct kl__dml *d, const struct kl_val *vals, int64_t seq);
enum kl_rc kl__index_row_changed(struct kl__dml *d, const struct kl_val *old_vals, int64_t old_seq, const struct kl_val *vals, int64_t seq);
enum kl_rc kl__index_row_removed(struct kl__dml *d, const struct kl_val *old_vals, int64_t old_seq);
/* ret_sole: the entry's key has no _seq, its value has it (a unique index, no NULL among the columns). */
enum kl_rc kl__index_key(const struct kl_index *ix, const struct kl_scope *scope, const struct kl_val *vals, int64_t seq, struct kl_buf *tmp,
    struct kl_key *ret, bool *ret_sole, struct kl_err *err);
void kl__index_put(struct kl_batch *b, const struct kl_key *k, bool sole, int64_t seq);
/* _seq of the row that a sole entry names; KL_E_NOT_FOUND. */
enum kl_rc kl__index_owner(struct kl_batch *b, const struct kl_key *k, struct kl_buf *tmp, int64_t *ret_seq, struct kl_err *err);

#endif
