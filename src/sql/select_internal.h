/* Shared inside the native executor: aggregates, and the rows that ORDER BY or a scan budget hold
 * back. */
#ifndef KL_SQL_SELECT_INTERNAL_H
#define KL_SQL_SELECT_INTERNAL_H

#include "sql/expr_internal.h"
#include "sql/select.h"

/* ---- agg.c ---- */
struct kl_agg_state;
/* From kl_xmalloc; kl_agg__free accepts NULL. */
struct kl_agg_state *kl_agg__new(const struct kl_agg *aggs, size_t n);
void kl_agg__free(struct kl_agg_state *s);
enum kl_rc kl_agg__add(
    struct kl_agg_state *s, struct kl_eval *ev, struct kl_err *err); /* ev->row */
/* One value an aggregate, borrowed from s. */
enum kl_rc kl_agg__finish(struct kl_agg_state *s, struct kl_val *ret, struct kl_err *err);

/* ---- sort.c ---- */
/* Holds copies of rows of n_keys + n_out values. With keys it orders them, ties in the order of
 * arrival; with a bound it keeps only the first `bound` of that order (a heap with the last of them
 * on top). */
struct kl_sorter {
    const struct kl_order_key *order;
    size_t n_keys, n_out;
    uint64_t bound; /* rows to keep; UINT64_MAX: all */
    size_t max_bytes, used_bytes;
    struct kl_sort_row **rows;
    size_t n, cap;
    uint64_t arrived;
};
struct kl_sort_row {
    uint64_t seq;
    size_t size;          /* bytes of this allocation */
    struct kl_val vals[]; /* keys, then outputs; the bytes they borrow follow */
};
void kl_sorter__init(
    struct kl_sorter *s, const struct kl_select *sel, uint64_t bound, size_t max_bytes);
void kl_sorter__deinit(struct kl_sorter *s);
/* Whether a row with these keys, arriving now, would be kept: when not, its outputs need no
 * evaluating. */
bool kl_sorter__wants(const struct kl_sorter *s, const struct kl_val *keys);
enum kl_rc kl_sorter__add(
    struct kl_sorter *s, const struct kl_val *keys, const struct kl_val *out, struct kl_err *err);
void kl_sorter__finish(struct kl_sorter *s); /* rows[0..n) are in order afterwards */

#endif
