/* A partition of the row family in the order of _seq, in either direction, at a snapshot, at latest,
 * or through a writer's batch.
 *
 * Values borrow from the iterator until the next call, so a scan copies nothing that nobody keeps. A
 * scan that asks for no column looks at the head of each row only. */
#include "engine/scan_internal.h"

#include <stdlib.h>

struct row_scan {
    struct kl__row_source base;
    struct kl_iter *it;
    int64_t after, upto; /* 0: no bound */
    bool newest_first, tombstones, started;
    int16_t slots[];
};

void kl__iter_before(struct kl_iter *it, struct kl_slice key) {
    kl_iter_seek(it, key);
    if (kl_iter_valid(it)) {
        kl_iter_prev(it);
    } else {
        kl_iter_seek_last(it);
    }
}

static void seek_start(struct row_scan *s, struct kl_slice partition) {
    int64_t at = s->newest_first ? s->upto : s->after;
    if (at <= 0) {
        s->newest_first ? kl_iter_seek_last(s->it) : kl_iter_seek_first(s->it);
        return;
    }
    struct kl_key key;
    uint64_t be = __builtin_bswap64((uint64_t)at + 1);
    KL_ASSERT(partition.len <= KL_KEY_PREFIX_MAX);
    memcpy(key.data, partition.ptr, partition.len);
    memcpy(key.data + partition.len, &be, 8);
    key.len = (uint16_t)(partition.len + 8);
    if (s->newest_first) {
        kl__iter_before(s->it, kl_key_view(&key));
    } else {
        kl_iter_seek(s->it, kl_key_view(&key));
    }
}

static void move(struct row_scan *s) {
    if (!s->started) {
        s->started = true;
    } else if (s->newest_first) {
        kl_iter_prev(s->it);
    } else {
        kl_iter_next(s->it);
    }
}

static enum kl_rc row_scan_next(struct kl_source *source, struct kl_val *row, struct kl_err *err) {
    struct row_scan *s = KL_CONTAINER_OF(source, struct row_scan, base.source);
    for (;;) {
        move(s);
        if (!kl_iter_valid(s->it)) {
            KL_TRY(kl_iter_status(s->it, err));
            return KL_E_END;
        }
        int64_t seq = kl_key_row_seq(kl_iter_key(s->it));
        if (s->newest_first ? seq <= s->after : s->upto > 0 && seq > s->upto) {
            return KL_E_END;
        }
        enum kl_rc rc =
            kl__row_source_take(&s->base, kl_iter_value(s->it), seq, s->tombstones, row, err);
        if (rc != KL_E_NOT_FOUND) {
            return rc;
        }
    }
}

static void row_scan_close(struct kl_source *source) {
    struct row_scan *s = KL_CONTAINER_OF(source, struct row_scan, base.source);
    kl_iter_free(s->it);
    free(s);
}

enum kl_rc kl__scan_rows(struct kl_engine *e, const struct kl_scan *scan, struct kl_source **ret) {
    struct row_scan *s = kl_xcalloc(1, sizeof(*s) + scan->n_slots * sizeof(int16_t));
    struct kl_scope scope = kl_table_scope(scan->table, scan->user, e->user_shards);
    struct kl_key partition;
    kl_key_partition(&partition, &scope, scan->table->id);
    kl__row_source_init(&s->base, scan, scan->table, s->slots);
    s->base.source.next = row_scan_next;
    s->base.source.close = row_scan_close;
    s->after = scan->after_seq;
    s->upto = scan->upto_seq;
    s->newest_first = scan->newest_first;
    s->tombstones = scan->tombstones;
    struct kl_iter_options o = {KL_CF_ROW, kl_key_view(&partition), scan->snap};
    s->it = scan->batch ? kl_batch_iter(scan->batch, &o) : kl_iter_new(e->o.store, &o);
    seek_start(s, kl_key_view(&partition));
    *ret = &s->base.source;
    return KL_OK;
}
