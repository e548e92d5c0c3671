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

/* Translates and frees RocksDB's error text. */
enum kl_rc kl_store__error(char *rocks_error, const char *doing, struct kl_err *err);

/* base of kl_iter_new and kl_batch_iter; `overlay` is NULL or the batch to lay over the store. */
struct kl_iter *kl_iter__new(
    struct kl_store *s, const struct kl_iter_options *options, rocksdb_writebatch_wi_t *overlay);

/* The batch underneath, for the commit. */
rocksdb_writebatch_wi_t *kl_batch__wi(struct kl_batch *b);

#endif
