/* Hash map: open addressing with linear probing over a power of two of slots.
 *
 * `used` counts live and removed slots and stays at or below three quarters of `cap`, so that every
 * probe ends at a slot never used. A table that fills up is rebuilt for twice its live entries:
 * removed slots vanish then, and a map that has shrunk gets smaller. Not thread-safe. */
#include "base/map.h"
#include "base/mem.h"

#include <stdlib.h>

#define FIRST_CAP 8

char kl_map_tomb_[1];

static bool is_live(const struct kl_map_entry *e) {
    return e->key && e->key != KL_MAP_TOMB;
}

void kl_map_init(struct kl_map *m) {
    *m = (struct kl_map){0};
}

void kl_map_deinit(struct kl_map *m) {
    for (size_t i = 0; i < m->cap; i++) {
        if (is_live(&m->slots[i])) {
            free(m->slots[i].key);
        }
    }
    free(m->slots);
    *m = (struct kl_map){0};
}

void kl_map_clear(struct kl_map *m) {
    kl_map_deinit(m);
}

static struct kl_map_entry *find(const struct kl_map *m, struct kl_slice key, uint64_t hash) {
    if (m->cap == 0) {
        return NULL;
    }
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct kl_map_entry *e = &m->slots[i];
        if (!e->key) {
            return NULL;
        }
        if (e->key != KL_MAP_TOMB && e->hash == hash &&
            kl_slice_eq(kl_slice(e->key, e->key_len), key)) {
            return e;
        }
    }
}

/* The first slot of the probe sequence that holds no entry. */
static struct kl_map_entry *free_slot(struct kl_map_entry *slots, size_t cap, uint64_t hash) {
    size_t i = hash & (cap - 1);
    while (is_live(&slots[i])) {
        i = (i + 1) & (cap - 1);
    }
    return &slots[i];
}

static void rebuild(struct kl_map *m) {
    size_t cap = FIRST_CAP;
    while (cap < (m->count + 1) * 2) {
        cap *= 2;
    }
    struct kl_map_entry *slots = kl_xcalloc(cap, sizeof *slots);
    for (size_t i = 0; i < m->cap; i++) {
        if (is_live(&m->slots[i])) {
            *free_slot(slots, cap, m->slots[i].hash) = m->slots[i];
        }
    }
    free(m->slots);
    m->slots = slots;
    m->cap = cap;
    m->used = m->count;
}

void *kl_map_get(const struct kl_map *m, struct kl_slice key) {
    struct kl_map_entry *e = m->count ? find(m, key, kl_slice_hash(key)) : NULL;
    return e ? e->value : NULL;
}

void *kl_map_put(struct kl_map *m, struct kl_slice key, void *value) {
    uint64_t hash = kl_slice_hash(key);
    struct kl_map_entry *e = find(m, key, hash);
    if (e) {
        void *old = e->value;
        e->value = value;
        return old;
    }
    if ((m->used + 1) * 4 > m->cap * 3) {
        rebuild(m);
    }
    e = free_slot(m->slots, m->cap, hash);
    if (!e->key) {
        m->used++;
    }
    e->key = kl_xmalloc(key.len + 1);
    if (key.len) {
        memcpy(e->key, key.ptr, key.len);
    }
    e->key[key.len] = '\0';
    e->key_len = key.len;
    e->hash = hash;
    e->value = value;
    m->count++;
    return NULL;
}

void *kl_map_del(struct kl_map *m, struct kl_slice key) {
    struct kl_map_entry *e = m->count ? find(m, key, kl_slice_hash(key)) : NULL;
    if (!e) {
        return NULL;
    }
    void *old = e->value;
    free(e->key);
    *e = (struct kl_map_entry){.key = KL_MAP_TOMB};
    m->count--;
    return old;
}

struct kl_map_entry *kl_map_next(const struct kl_map *m, size_t *iter) {
    while (*iter < m->cap) {
        struct kl_map_entry *e = &m->slots[(*iter)++];
        if (is_live(e)) {
            return e;
        }
    }
    return NULL;
}
