/* Resident partitions: rows of partitions that are scanned again and again, kept in memory beside the store. Nothing in it is needed to answer a
 * query; it only answers scans faster than the store does. See resident.c. */
#ifndef KL_ENGINE_RESIDENT_H
#define KL_ENGINE_RESIDENT_H

#include "engine/engine.h"

struct kl__residents; /* of an engine; any thread */
struct kl__resident;  /* one partition; counted */
struct kl__residents *kl__residents_new(struct kl_engine *e, size_t max_bytes);
void kl__residents_free(struct kl__residents *r);

/* One moment: a snapshot of the store, and the same moment for resident partitions when none of a commit was under way. */
struct kl__cut {
    struct kl_snapshot *snap;
    uint64_t stamp;
    bool exact; /* resident partitions may be used, at `stamp` */
};
/* may_wait: up to some milliseconds for a commit under way (never on a loop). */
void kl__cut_take(struct kl_engine *e, bool may_wait, struct kl__cut *ret);
void kl__cut_release(struct kl_engine *e, struct kl__cut *c);

/* A scan of this partition is about to come: loads it when it has been scanned before and there is room. Query pool only; before the cut is taken.
 * True: it is worth waiting for an exact cut. */
bool kl__resident_want(struct kl_engine *e, const struct kl_table *t, struct kl_slice user);
/* Rows, dead ones too, when it is resident; else 0. Any thread. */
size_t kl__resident_size(struct kl_engine *e, const struct kl_table *t, struct kl_slice user);
/* The partition as it was at the cut; NULL: read the store. Release it with kl__resident_release. */
struct kl__resident *kl__resident_at(struct kl_engine *e, const struct kl_table *t, struct kl_slice user, const struct kl__cut *cut);
void kl__resident_release(struct kl__resident *p); /* accepts NULL */

/* Walks rows that were live at the cut, in the order of _seq. */
struct kl__resident_pos {
    uint64_t stamp;
    const struct kl__resident_chunk *at; /* NULL before the first */
    size_t i, end;                       /* in it: the next row (backward: one above it), and the first that is not to be read */
    size_t chunk;                        /* the chunk after it in the direction of the walk (backward: one above it) */
    size_t n_chunks, last_n;             /* how many there were at the start, and rows in the last of them */
    bool backward;
};
/* after, upto: bounds of _seq as in struct kl_scan, 0 none. */
void kl__resident_start(const struct kl__resident *p, uint64_t stamp, int64_t after, int64_t upto, bool backward, struct kl__resident_pos *ret);
/* The next row; false at the end. The bytes stay as long as the partition is held. upto and after are the caller's to check at the far end. */
bool kl__resident_next(const struct kl__resident *p, struct kl__resident_pos *pos, int64_t *ret_seq, struct kl_slice *ret);
/* The row with this _seq, if it was live at the stamp. */
bool kl__resident_row(const struct kl__resident *p, uint64_t stamp, int64_t seq, struct kl_slice *ret);

/* ---- writers ---- */
/* Around a commit: from before anybody can see it until after resident partitions have its changes (n 0: it failed, or changes no stored rows). */
void kl__residents_commit_begin(struct kl_engine *e);
void kl__residents_commit_end(struct kl_engine *e, const struct kl_change *changes, size_t n);
/* Partitions and bytes that are held. Any thread. */
void kl__residents_stats(struct kl_engine *e, uint64_t *ret_partitions, uint64_t *ret_bytes);
/* The table is gone. */
void kl__residents_drop_table(struct kl_engine *e, uint32_t table);

#endif
