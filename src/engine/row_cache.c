/* Rows that were read by primary key, one cache a loop, so that a point read of a known row touches nothing but memory.
 *
 * Nobody invalidates entries; an entry shows by itself whether it is the newest. There is an array of stamps for the whole engine, each for all the
 * keys that hash to it: the number of commits that changed one of them (low bits), and of those under way (high bits: a hot key must not reach
 * them for years). A writer raises the high part before a commit can become visible and lowers it, raising the low one, after it. A reader takes
 * the stamp first, then reads the store, and keeps the row with that stamp; it uses the row later only while the stamp is the same and nothing is under
 * way. So whoever gets a row out of the cache gets what the store would have given at that moment, and never an older one than somebody else has
 * seen.
 *
 * Four entries a bucket; the hand of a clock makes room when the budget of bytes is used up. The cache belongs to one thread; stamps to all. */
#include "engine/internal.h"

#include <stdlib.h>

#define WAYS 4
#define BYTES_PER_SLOT 128
#define MAX_ROW_BYTES 4096
#define UNDER_WAY (1ull << 40)

struct slot {
    uint64_t hash; /* 0: free */
    uint64_t stamp;
    int64_t seq;
    uint32_t key_len, row_len, cap;
    char *data; /* key, then row */
};
struct kl__row_cache {
    struct slot *slots;
    size_t n_buckets; /* a power of two */
    size_t bytes, max_bytes;
    size_t hand;
    _Atomic uint64_t hits, misses, held; /* stored by the owner; held: bytes */
};

/* ---- stamps ---- */

static _Atomic uint64_t *stamp_of(struct kl_engine *e, uint64_t hash) { return &e->key_stamps[hash >> 8 & (KL__KEY_STAMPS - 1)]; }

uint64_t kl__key_stamp(struct kl_engine *e, uint64_t hash) { return atomic_load_explicit(stamp_of(e, hash), memory_order_acquire); }

void kl__key_changing(struct kl__writer *w, struct kl_slice key) {
    uint64_t hash = kl_slice_hash(key);
    KL_GROW(w->changing, w->cap_changing, w->n_changing + 1);
    w->changing[w->n_changing++] = hash;
    atomic_fetch_add(stamp_of(w->engine, hash), UNDER_WAY);
}

void kl__keys_changed(struct kl__writer *w) {
    for (size_t i = 0; i < w->n_changing; i++) {
        atomic_fetch_add(stamp_of(w->engine, w->changing[i]), 1 - UNDER_WAY);
    }
    w->n_changing = 0;
}

/* ---- the cache ---- */

struct kl__row_cache *kl__row_cache_new(size_t max_bytes) {
    struct kl__row_cache *c = kl_xcalloc(1, sizeof(*c));
    c->max_bytes = max_bytes;
    c->n_buckets = 64;
    while (c->n_buckets * WAYS * BYTES_PER_SLOT < max_bytes) {
        c->n_buckets *= 2;
    }
    c->slots = kl_xcalloc(c->n_buckets * WAYS, sizeof(*c->slots)); /* memory is touched as it fills */
    return c;
}

void kl__row_cache_free(struct kl__row_cache *c) {
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; c->bytes > 0 && i < c->n_buckets * WAYS; i++) {
        free(c->slots[i].data);
    }
    free(c->slots);
    free(c);
}

/* Only the owner counts, so that nothing is locked. */
static void count(_Atomic uint64_t *n) { atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1, memory_order_relaxed); }

void kl__row_cache_stats(const struct kl__row_cache *c, struct kl__row_cache_stats *ret) {
    *ret = (struct kl__row_cache_stats){.bytes = atomic_load(&c->held), .hits = atomic_load(&c->hits), .misses = atomic_load(&c->misses)};
}

static struct slot *bucket(struct kl__row_cache *c, uint64_t hash) { return &c->slots[(hash >> 32 & (c->n_buckets - 1)) * WAYS]; }

static bool holds(const struct slot *s, uint64_t hash, struct kl_slice key) {
    return s->hash == hash && s->key_len == key.len && memcmp(s->data, key.ptr, key.len) == 0;
}

bool kl__row_cache_get(struct kl__row_cache *c, uint64_t hash, struct kl_slice key, uint64_t stamp, int64_t *ret_seq, struct kl_slice *ret) {
    struct slot *b = bucket(c, hash |= 1);
    for (int i = 0; i < WAYS; i++) {
        if (holds(&b[i], hash, key)) {
            *ret_seq = b[i].seq;
            *ret = kl_slice(b[i].data + b[i].key_len, b[i].row_len);
            bool newest = b[i].stamp == stamp && stamp < UNDER_WAY;
            count(newest ? &c->hits : &c->misses);
            return newest;
        }
    }
    count(&c->misses);
    return false;
}

static void clear(struct kl__row_cache *c, struct slot *s) {
    c->bytes -= s->cap;
    free(s->data);
    *s = (struct slot){0};
}

static void make_room(struct kl__row_cache *c, size_t need) {
    for (size_t looked = 0; c->bytes + need > c->max_bytes && looked < c->n_buckets * WAYS; looked++) {
        clear(c, &c->slots[c->hand]);
        c->hand = (c->hand + 1) % (c->n_buckets * WAYS);
    }
}

/* The entry of this key, a free one, or one that has to give way. */
static struct slot *choose(struct kl__row_cache *c, uint64_t hash, struct kl_slice key) {
    struct slot *b = bucket(c, hash), *best = &b[hash >> 60 & (WAYS - 1)];
    for (int i = 0; i < WAYS; i++) {
        if (holds(&b[i], hash, key)) {
            return &b[i];
        }
        best = b[i].hash == 0 ? &b[i] : best;
    }
    return best;
}

void kl__row_cache_put(struct kl__row_cache *c, uint64_t hash, struct kl_slice key, uint64_t stamp, int64_t seq, struct kl_slice row) {
    size_t need = key.len + row.len;
    if (stamp >= UNDER_WAY || need > MAX_ROW_BYTES || need > c->max_bytes) {
        return;
    }
    struct slot *s = choose(c, hash |= 1, key);
    if (s->cap < need) {
        clear(c, s);
        make_room(c, need);
        s->data = kl_xmalloc(need);
        s->cap = (uint32_t)need;
        c->bytes += need;
    }
    s->hash = hash;
    s->stamp = stamp;
    s->seq = seq;
    s->key_len = (uint32_t)key.len;
    s->row_len = (uint32_t)row.len;
    memcpy(s->data, key.ptr, key.len);
    memcpy(s->data + key.len, row.ptr, row.len);
    atomic_store_explicit(&c->held, c->bytes, memory_order_relaxed);
}
