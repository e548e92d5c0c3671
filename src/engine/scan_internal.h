/* Shared by the scan*.c files: sources over stored rows. */
#ifndef KL_ENGINE_SCAN_INTERNAL_H
#define KL_ENGINE_SCAN_INTERNAL_H

#include "engine/internal.h"

/* What every source over row bytes has in common: the row under way, of which columns are taken out
 * as they are asked for. The allocation holds the slots behind it. */
struct kl__row_source {
    struct kl_source source;
    struct kl_table *table;
    struct kl_arena *arena; /* for values that cannot borrow */
    const int16_t *slots;
    size_t n_slots;
    struct kl_row_view view; /* of the row that next() gave; its bytes stay until the next one */
};
/* slots are copied to `room`, which has n_slots of them. next and close are the caller's. */
void kl__row_source_init(
    struct kl__row_source *s, const struct kl_scan *scan, struct kl_table *t, int16_t *room);
/* Takes the row apart as far as next() has to. KL_E_NOT_FOUND for a tombstone that nobody wants. */
enum kl_rc kl__row_source_take(struct kl__row_source *s, struct kl_slice bytes, int64_t seq,
    bool tombstones, struct kl_val *row, struct kl_err *err);
enum kl_rc kl__scan_corrupt(const struct kl_table *t, int64_t seq, struct kl_err *err);
enum kl_rc kl__scan_no_memory(struct kl_err *err);

/* ---- scan_rows.c: a partition of the row family, by _seq ---- */
enum kl_rc kl__scan_rows(struct kl_engine *e, const struct kl_scan *scan, struct kl_source **ret);
/* To the last key below `key`; invalid when there is none. */
void kl__iter_before(struct kl_iter *it, struct kl_slice key);

/* ---- scan_resident.c: a partition that is in memory ---- */
/* False: it is not, or not at the moment of scan->cut. */
bool kl__scan_resident(struct kl_engine *e, const struct kl_scan *scan, struct kl_source **ret);

/* ---- scan_key.c: one row by primary key ---- */
/* Where a primary key entry says that its row is. */
bool kl__place_decode(struct kl_slice value, int64_t *ret_seq);

/* ---- scan_index.c: ranges of the primary key or of an index ---- */
enum kl_rc kl__scan_ranges(struct kl_engine *e, const struct kl_scan *scan,
    const struct kl_access_path *path, struct kl_eval *ev, struct kl_source **ret,
    struct kl_err *err);

#endif
