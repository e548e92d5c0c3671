/* A batch: the writer's changes so far, with an index over them, so that it reads the store as if
 * they were committed.
 *
 * It wraps RocksDB's indexed write batch in overwrite mode (the newest change of a key counts).
 * Save points are set lazily: kl_batch_save_point only counts, the first write after it sets them
 * underneath. So a command that fails before it wrote anything, the usual case (a duplicate key),
 * rolls back for free; RocksDB's own rollback rebuilds the whole index and costs time in proportion
 * to the batch.
 *
 * Belongs to one thread. Writes cannot fail: a batch is memory, and its size is bounded by the
 * commands let into it. */
#include "store/internal.h"
#include <stdlib.h>

/* A batch that grew beyond this gives its memory back when it is cleared. */
#define KEEP_BYTES ((size_t)1 << 20)

struct kl_batch {
    struct kl_store *store;
    rocksdb_writebatch_wi_t *wi;
    size_t set;     /* save points set underneath */
    size_t pending; /* newest save points, asked for but with no write since */
};

static rocksdb_writebatch_wi_t *make_wi(void) {
    return rocksdb_writebatch_wi_create(0, 1);
}

struct kl_batch *kl_batch_new(struct kl_store *s) {
    struct kl_batch *b = kl_xcalloc(1, sizeof(*b));
    b->store = s;
    b->wi = make_wi();
    return b;
}

void kl_batch_free(struct kl_batch *b) {
    if (!b) {
        return;
    }
    rocksdb_writebatch_wi_destroy(b->wi);
    free(b);
}

void kl_batch_clear(struct kl_batch *b) {
    size_t bytes;
    rocksdb_writebatch_wi_data(b->wi, &bytes);
    if (bytes > KEEP_BYTES) {
        rocksdb_writebatch_wi_destroy(b->wi);
        b->wi = make_wi();
    } else {
        rocksdb_writebatch_wi_clear(b->wi);
    }
    b->set = b->pending = 0;
}

static void set_pending(struct kl_batch *b) {
    for (; b->pending > 0; b->pending--) {
        rocksdb_writebatch_wi_set_save_point(b->wi);
        b->set++;
    }
}

void kl_batch_put(struct kl_batch *b, enum kl_cf cf, struct kl_slice key, struct kl_slice value) {
    set_pending(b);
    rocksdb_writebatch_wi_put_cf(b->wi, b->store->cf[cf], key.ptr, key.len, value.ptr, value.len);
}

void kl_batch_del(struct kl_batch *b, enum kl_cf cf, struct kl_slice key) {
    set_pending(b);
    rocksdb_writebatch_wi_delete_cf(b->wi, b->store->cf[cf], key.ptr, key.len);
}

void kl_batch_save_point(struct kl_batch *b) {
    b->pending++;
}

void kl_batch_rollback(struct kl_batch *b) {
    if (b->pending > 0) {
        b->pending--;
        return;
    }
    KL_ASSERT(b->set > 0);
    char *error = NULL;
    rocksdb_writebatch_wi_rollback_to_save_point(b->wi, &error);
    KL_ASSERT(!error); /* its only error is a missing save point */
    b->set--;
}

size_t kl_batch_count(const struct kl_batch *b) {
    return (size_t)rocksdb_writebatch_wi_count(b->wi);
}

size_t kl_batch_bytes(struct kl_batch *b) {
    size_t bytes;
    rocksdb_writebatch_wi_data(b->wi, &bytes);
    return bytes;
}

enum kl_rc kl_batch_get(struct kl_batch *b, enum kl_cf cf, struct kl_slice key, struct kl_buf *out,
    struct kl_err *err) {
    char *error = NULL;
    size_t len;
    kl_buf_clear(out);
    char *value = rocksdb_writebatch_wi_get_from_batch_and_db_cf(b->wi, b->store->db,
        b->store->read_latest, b->store->cf[cf], key.ptr, key.len, &len, &error);
    if (error) {
        return kl_store__error(error, "cannot read from the store", err);
    }
    if (!value) {
        return KL_E_NOT_FOUND;
    }
    kl_buf_append(out, value, len);
    rocksdb_free(value);
    return out->failed ? kl_fail(err, KL_E_NOMEM, "out of memory for a stored value") : KL_OK;
}

struct kl_iter *kl_batch_iter(struct kl_batch *b, const struct kl_iter_options *options) {
    KL_ASSERT(!options->snap);
    return kl_iter__new(b->store, options, b->wi);
}

rocksdb_writebatch_wi_t *kl_batch__wi(struct kl_batch *b) {
    return b->wi;
}
