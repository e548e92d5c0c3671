/* Iterators over the keys that start with a prefix, over the store alone or over a batch laid on
 * the store (overlay.c).
 *
 * RocksDB keeps to the prefix by itself: the bounds [prefix, next prefix) are part of the read
 * options, so a scan compares nothing per step and never touches blocks outside.
 *
 * An iterator belongs to one thread. */
#include "store/internal.h"
#include <stdlib.h>

struct kl_iter {
    rocksdb_iterator_t *it;
    rocksdb_readoptions_t *read;
    struct kl_overlay *overlay;  /* NULL: the store alone */
    struct kl_key prefix, upper; /* the read options point into them */
};

struct kl_iter *kl_iter__new(
    struct kl_store *s, const struct kl_iter_options *options, struct kl_batch *overlay) {
    struct kl_iter *it = kl_xcalloc(1, sizeof(*it));
    KL_ASSERT(options->prefix.len <= sizeof(it->prefix.data));
    if (options->prefix.len > 0) {
        memcpy(it->prefix.data, options->prefix.ptr, options->prefix.len);
    }
    it->prefix.len = (uint16_t)options->prefix.len;
    it->upper = it->prefix;
    bool has_upper = kl_key_next_prefix(&it->upper);

    kl_store__no_counters();
    it->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_total_order_seek(it->read, 1);
    /* Files that only this iterator kept alive are removed by a background job, not by the thread
     * that frees it. */
    rocksdb_readoptions_set_background_purge_on_iterator_cleanup(it->read, 1);
    rocksdb_readoptions_set_iterate_lower_bound(it->read, it->prefix.data, it->prefix.len);
    if (has_upper) {
        rocksdb_readoptions_set_iterate_upper_bound(it->read, it->upper.data, it->upper.len);
    }
    if (options->snap) {
        rocksdb_readoptions_set_snapshot(it->read, options->snap->snap);
    }
    it->it = rocksdb_create_iterator_cf(s->db, it->read, s->cf[options->cf]);
    if (overlay) {
        it->overlay = kl_overlay__new(overlay, it->it, options->cf, kl_key_view(&it->prefix));
    }
    return it;
}

struct kl_iter *kl_iter_new(struct kl_store *s, const struct kl_iter_options *options) {
    return kl_iter__new(s, options, NULL);
}

void kl_iter_free(struct kl_iter *it) {
    if (!it) {
        return;
    }
    kl_overlay__free(it->overlay);
    rocksdb_iter_destroy(it->it);
    rocksdb_readoptions_destroy(it->read);
    free(it);
}

void kl_iter_seek(struct kl_iter *it, struct kl_slice key) {
    struct kl_slice first = kl_key_view(&it->prefix);
    struct kl_slice to = kl_slice_cmp(key, first) < 0 ? first : key;
    if (it->overlay) {
        kl_overlay__seek(it->overlay, to);
    } else {
        rocksdb_iter_seek(it->it, to.ptr, to.len);
    }
}

void kl_iter_seek_first(struct kl_iter *it) {
    kl_iter_seek(it, kl_key_view(&it->prefix));
}

void kl_iter_seek_last(struct kl_iter *it) {
    if (it->overlay) {
        kl_overlay__seek_last(it->overlay);
    } else {
        rocksdb_iter_seek_to_last(it->it);
    }
}

void kl_iter_next(struct kl_iter *it) {
    KL_ASSERT(kl_iter_valid(it));
    if (it->overlay) {
        kl_overlay__next(it->overlay);
    } else {
        rocksdb_iter_next(it->it);
    }
}

void kl_iter_prev(struct kl_iter *it) {
    KL_ASSERT(kl_iter_valid(it));
    if (it->overlay) {
        kl_overlay__prev(it->overlay);
    } else {
        rocksdb_iter_prev(it->it);
    }
}

bool kl_iter_valid(struct kl_iter *it) {
    return it->overlay ? kl_overlay__valid(it->overlay) : rocksdb_iter_valid(it->it);
}

struct kl_slice kl_iter_key(struct kl_iter *it) {
    if (it->overlay) {
        return kl_overlay__key(it->overlay);
    }
    struct kl_slice s;
    s.ptr = rocksdb_iter_key(it->it, &s.len);
    return s;
}

struct kl_slice kl_iter_value(struct kl_iter *it) {
    if (it->overlay) {
        return kl_overlay__value(it->overlay);
    }
    struct kl_slice s;
    s.ptr = rocksdb_iter_value(it->it, &s.len);
    return s;
}

enum kl_rc kl_iter_status(struct kl_iter *it, struct kl_err *err) {
    char *error = NULL;
    rocksdb_iter_get_error(it->it, &error);
    return error ? kl_store__error(error, "cannot read from the store", err) : KL_OK;
}
