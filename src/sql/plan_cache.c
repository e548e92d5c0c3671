/* Plans by shape, least recently used first to go. One thread, no locks; what it hands out is
 * counted, so a plan outlives its place.
 *
 * An entry holds for one catalog version. The cache as a whole is of one version: the first
 * statement that comes with a newer snapshot empties it, so tables that were dropped or altered are
 * not kept alive by plans that nobody can use again. */
#include "sql/internal.h"
#include <stdlib.h>

struct entry {
    struct kl_cached content; /* first: what callers see */
    struct entry *newer, *older;
    char *key;
    size_t key_len;
};
struct kl_plan_cache {
    struct kl_map by_key;
    struct entry *newest, *oldest;
    size_t max;
    uint64_t version;
    _Atomic uint64_t hits, misses; /* stored by the owner */
};

struct kl_plan_cache *kl_plan_cache_new(size_t max_plans) {
    struct kl_plan_cache *c = kl_xcalloc(1, sizeof(*c));
    kl_map_init(&c->by_key);
    c->max = max_plans;
    return c;
}

static void unlink_entry(struct kl_plan_cache *c, struct entry *e) {
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
    e->newer = e->older = NULL;
}

static void link_newest(struct kl_plan_cache *c, struct entry *e) {
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void evict(struct kl_plan_cache *c, struct entry *e) {
    unlink_entry(c, e);
    kl_map_del(&c->by_key, kl_slice(e->key, e->key_len));
    kl_plan_unref(e->content.plan);
    free(e->key);
    free(e);
}

static void clear(struct kl_plan_cache *c) {
    while (c->oldest) {
        evict(c, c->oldest);
    }
}

void kl_plan_cache_free(struct kl_plan_cache *c) {
    if (c) {
        clear(c);
        kl_map_deinit(&c->by_key);
        free(c);
    }
}

size_t kl_plan_cache_size(const struct kl_plan_cache *c) {
    return c->by_key.count;
}

static void count(_Atomic uint64_t *n) {
    atomic_store_explicit(
        n, atomic_load_explicit(n, memory_order_relaxed) + 1, memory_order_relaxed);
}

void kl_plan_cache_stats(const struct kl_plan_cache *c, struct kl_plan_cache_stats *ret) {
    *ret = (struct kl_plan_cache_stats){
        .hits = atomic_load(&c->hits), .misses = atomic_load(&c->misses)};
}

const struct kl_cached *kl_sql__cache_get(
    struct kl_plan_cache *c, uint64_t catalog_version, struct kl_slice key) {
    if (catalog_version != c->version) {
        if (catalog_version > c->version) {
            clear(c);
            c->version = catalog_version;
        }
        count(&c->misses);
        return NULL;
    }
    struct entry *e = kl_map_get(&c->by_key, key);
    count(e ? &c->hits : &c->misses);
    if (e && e != c->newest) {
        unlink_entry(c, e);
        link_newest(c, e);
    }
    return e ? &e->content : NULL;
}

void kl_sql__cache_put(
    struct kl_plan_cache *c, uint64_t catalog_version, struct kl_slice key, struct kl_plan *plan) {
    if (c->max == 0 || catalog_version != c->version || kl_map_get(&c->by_key, key)) {
        return;
    }
    while (c->by_key.count >= c->max) {
        evict(c, c->oldest);
    }
    struct entry *e = kl_xcalloc(1, sizeof(*e));
    if (plan) {
        kl_plan_ref(plan);
    }
    e->content.plan = plan;
    e->key = kl_xmalloc(key.len + 1);
    e->key_len = key.len;
    memcpy(e->key, key.ptr, key.len);
    kl_map_put(&c->by_key, key, e);
    link_newest(c, e);
}
