/* Hash map from bytes to a pointer: open addressing, keys copied. Not thread-safe. Values are not owned. */
#ifndef KL_BASE_MAP_H
#define KL_BASE_MAP_H

#include "base/slice.h"

extern char kl_map_tomb_[];
#define KL_MAP_TOMB kl_map_tomb_

struct kl_map_entry {
    char *key; /* followed by a NUL that is not counted. NULL: never used; KL_MAP_TOMB: removed */
    size_t key_len;
    uint64_t hash;
    void *value;
};
struct kl_map {
    struct kl_map_entry *slots;
    size_t cap, count, used;
};

void kl_map_init(struct kl_map *m);
void kl_map_deinit(struct kl_map *m);
void kl_map_clear(struct kl_map *m);
void *kl_map_get(const struct kl_map *m, struct kl_slice key); /* NULL when absent */
void *kl_map_put(struct kl_map *m, struct kl_slice key, void *value); /* returns the value replaced, or NULL */
void *kl_map_del(struct kl_map *m, struct kl_slice key);              /* returns the value removed, or NULL */
/* for (size_t it = 0; (e = kl_map_next(m, &it));) — no changes meanwhile */
struct kl_map_entry *kl_map_next(const struct kl_map *m, size_t *iter);

#endif
