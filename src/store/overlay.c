/* A batch laid over the store: an iterator that merges the batch's newest operations with the store's keys.
 *
 * The batch's half is sorted when the iterator is made. At every moment each half stands at its first key from the position on, in the direction of
 * the last move; the nearer of the two is the current one, the batch's where both have the key. A key that the batch deletes is passed over. To turn
 * round, the iterator seeks the key where it stands. */
#include "store/internal.h"
#include <stdlib.h>

struct kl_overlay {
    const struct kl_batch *batch;
    rocksdb_iterator_t *base; /* bounded to the prefix */
    const struct kl_batch__op **ops;
    size_t n;
    size_t at; /* batch's half: ops[at] forward, ops[at - 1] backward */
    bool backward, on_batch, same, valid;
};

static int by_key(const void *x, const void *y, void *ctx) {
    const struct kl_batch__op *a = *(const struct kl_batch__op *const *)x;
    const struct kl_batch__op *b = *(const struct kl_batch__op *const *)y;
    int c = kl_slice_cmp(kl_batch__key(ctx, a), kl_batch__key(ctx, b));
    return c != 0 ? c : a < b ? 1 : a > b ? -1 : 0; /* of one key the newest first */
}

struct kl_overlay *kl_overlay__new(
    struct kl_batch *b, rocksdb_iterator_t *base, enum kl_cf cf, struct kl_slice prefix) {
    struct kl_overlay *o = kl_xcalloc(1, sizeof(*o));
    size_t n, kept = 0;
    const struct kl_batch__op *ops = kl_batch__ops(b, &n);
    o->batch = b;
    o->base = base;
    o->ops = kl_xcalloc(n + 1, sizeof(const struct kl_batch__op *));
    for (size_t i = 0; i < n; i++) {
        if (ops[i].cf == cf && kl_slice_starts_with(kl_batch__key(b, &ops[i]), prefix)) {
            o->ops[o->n++] = &ops[i];
        }
    }
    qsort_r(o->ops, o->n, sizeof(const struct kl_batch__op *), by_key, b);
    for (size_t i = 0; i < o->n; i++) {
        if (kept == 0 ||
            !kl_slice_eq(kl_batch__key(b, o->ops[i]), kl_batch__key(b, o->ops[kept - 1]))) {
            o->ops[kept++] = o->ops[i];
        }
    }
    o->n = kept;
    return o;
}

void kl_overlay__free(struct kl_overlay *o) {
    if (o) {
        free(o->ops);
        free(o);
    }
}

static struct kl_slice base_key(const struct kl_overlay *o) {
    struct kl_slice s;
    s.ptr = rocksdb_iter_key(o->base, &s.len);
    return s;
}

static bool batch_valid(const struct kl_overlay *o) {
    return o->backward ? o->at > 0 : o->at < o->n;
}
static const struct kl_batch__op *batch_op(const struct kl_overlay *o) {
    return o->ops[o->backward ? o->at - 1 : o->at];
}
static void step_batch(struct kl_overlay *o) {
    o->at += o->backward ? -1 : 1;
}
static void step_base(struct kl_overlay *o) {
    if (o->backward) {
        rocksdb_iter_prev(o->base);
    } else {
        rocksdb_iter_next(o->base);
    }
}

/* Both halves stand right: which one is the current key? */
static void settle(struct kl_overlay *o) {
    for (;;) {
        bool base = rocksdb_iter_valid(o->base), batch = batch_valid(o);
        int c = base && batch ? kl_slice_cmp(base_key(o), kl_batch__key(o->batch, batch_op(o))) : 0;
        o->valid = base || batch;
        o->same = base && batch && c == 0;
        o->on_batch = batch && (!base || (o->backward ? c <= 0 : c >= 0));
        if (!o->valid || !o->on_batch || !batch_op(o)->del) {
            return;
        }
        if (o->same) {
            step_base(o);
        }
        step_batch(o);
    }
}

static void advance(struct kl_overlay *o) {
    if (o->on_batch) {
        if (o->same) {
            step_base(o);
        }
        step_batch(o);
    } else {
        step_base(o);
    }
    settle(o);
}

/* First operation of the batch's half with a key >= key. */
static size_t lower_bound(const struct kl_overlay *o, struct kl_slice key) {
    size_t lo = 0, hi = o->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (kl_slice_cmp(kl_batch__key(o->batch, o->ops[mid]), key) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

void kl_overlay__seek(struct kl_overlay *o, struct kl_slice key) {
    o->backward = false;
    rocksdb_iter_seek(o->base, key.ptr, key.len);
    o->at = lower_bound(o, key);
    settle(o);
}

static void seek_for_prev(struct kl_overlay *o, struct kl_slice key) {
    o->backward = true;
    rocksdb_iter_seek_for_prev(o->base, key.ptr, key.len);
    o->at = lower_bound(o, key);
    if (o->at < o->n && kl_slice_eq(kl_batch__key(o->batch, o->ops[o->at]), key)) {
        o->at++;
    }
    settle(o);
}

void kl_overlay__seek_last(struct kl_overlay *o) {
    o->backward = true;
    rocksdb_iter_seek_to_last(o->base);
    o->at = o->n;
    settle(o);
}

bool kl_overlay__valid(const struct kl_overlay *o) {
    return o->valid;
}

struct kl_slice kl_overlay__key(const struct kl_overlay *o) {
    return o->on_batch ? kl_batch__key(o->batch, batch_op(o)) : base_key(o);
}

struct kl_slice kl_overlay__value(const struct kl_overlay *o) {
    struct kl_slice s;
    if (o->on_batch) {
        return kl_batch__value(o->batch, batch_op(o));
    }
    s.ptr = rocksdb_iter_value(o->base, &s.len);
    return s;
}

static void turn(struct kl_overlay *o, bool backward) {
    struct kl_slice here = kl_overlay__key(o);
    struct kl_key key = {.len = (uint16_t)here.len};
    KL_ASSERT(here.len <= sizeof(key.data));
    memcpy(key.data, here.ptr, here.len);
    if (backward) {
        seek_for_prev(o, kl_key_view(&key));
    } else {
        kl_overlay__seek(o, kl_key_view(&key));
    }
}

void kl_overlay__next(struct kl_overlay *o) {
    if (o->backward) {
        turn(o, false);
    }
    advance(o);
}

void kl_overlay__prev(struct kl_overlay *o) {
    if (!o->backward) {
        turn(o, true);
    }
    advance(o);
}
