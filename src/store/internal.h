/* What the files of this folder share: the store's insides and the translation of RocksDB's
 * errors. */
#ifndef KL_STORE_INTERNAL_H
#define KL_STORE_INTERNAL_H

#include "store/store.h"
#include <rocksdb/c.h>
#include <stdatomic.h>

struct kl_store {
    /* All of it is written by kl_store_open and read-only afterwards, except `failed`. */
    rocksdb_t *db;
    rocksdb_column_family_handle_t *cf[KL_CF_COUNT];
    uint32_t cf_id[KL_CF_COUNT]; /* RocksDB's numbers of them */
    rocksdb_column_family_handle_t *cf_default; /* RocksDB insists on it; always empty */
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read_latest;
    rocksdb_writeoptions_t *write_synced, *write_unsynced;
    char *path;
    atomic_bool failed; /* set by any thread, never cleared */
};

/* Read options with the snapshot already in them, so that a point read makes none. */
struct kl_snapshot {
    const rocksdb_snapshot_t *snap;
    rocksdb_readoptions_t *read;
};

/* RocksDB counts what each thread does; nobody reads the counters, and they cost a scan 6 %. Called by whatever a thread does first. */
static inline void kl_store__no_counters(void) {
    static __thread bool done;
    if (!done) {
        rocksdb_set_perf_level(rocksdb_disable);
        done = true;
    }
}

/* Translates and frees RocksDB's error text. */
enum kl_rc kl_store__error(char *rocks_error, const char *doing, struct kl_err *err);

/* base of kl_iter_new and kl_batch_iter; `overlay` is NULL or the batch to lay over the store. */
struct kl_iter *kl_iter__new(
    struct kl_store *s, const struct kl_iter_options *options, struct kl_batch *overlay);

/* ---- batch.c ---- */
struct kl_batch__op {
    uint32_t hash;
    uint32_t chain; /* 1 + index of the operation before it in the same chain, 0 none */
    uint32_t key_at, key_len, value_at, value_len; /* in the batch's bytes */
    uint8_t cf;
    bool del;
};
/* In the order they were written. */
const struct kl_batch__op *kl_batch__ops(const struct kl_batch *b, size_t *ret_n);
struct kl_slice kl_batch__key(const struct kl_batch *b, const struct kl_batch__op *op);
struct kl_slice kl_batch__value(const struct kl_batch *b, const struct kl_batch__op *op);
/* The batch as RocksDB reads it: a header, then the operations. */
#define KL_BATCH__HEADER 12
struct kl_slice kl_batch__rep(struct kl_batch *b);

/* ---- overlay.c ---- */
/* Merges the newest operations of a batch into `base`, which is bounded to the prefix and stays the
 * caller's. */
struct kl_overlay;
struct kl_overlay *kl_overlay__new(
    struct kl_batch *b, rocksdb_iterator_t *base, enum kl_cf cf, struct kl_slice prefix);
void kl_overlay__free(struct kl_overlay *o); /* accepts NULL */
void kl_overlay__seek(struct kl_overlay *o, struct kl_slice key);
void kl_overlay__seek_last(struct kl_overlay *o);
void kl_overlay__next(struct kl_overlay *o);
void kl_overlay__prev(struct kl_overlay *o);
bool kl_overlay__valid(const struct kl_overlay *o);
struct kl_slice kl_overlay__key(const struct kl_overlay *o);
struct kl_slice kl_overlay__value(const struct kl_overlay *o);

#endif
