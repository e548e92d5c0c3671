/* Who listens to what: one registry for each writer, touched by that writer alone.
 *
 * A partition (table, user) has a list of subscriptions. Those whose filter demands `column =
 * value` stand in a bucket for (partition, column, hash of the value) instead, so a change visits
 * the buckets of its own values and the few that demand nothing. One map holds partitions and
 * buckets, each under a key that begins with what it is. */
#include "live/internal.h"

#include <stdlib.h>

#define BODY_BYTES ((size_t)256 << 20)

void kl__registry_init(struct kl__registry *r, struct kl_live *l) {
    r->live = l;
    kl_map_init(&r->map);
    kl_arena_init(&r->arena, BODY_BYTES);
    kl_buf_init(&r->body, BODY_BYTES);
    kl_buf_init(&r->text, BODY_BYTES);
}

void kl__registry_deinit(struct kl__registry *r) {
    struct kl_map_entry *en;
    for (size_t it = 0; (en = kl_map_next(&r->map, &it)) != NULL;) {
        if (en->key[0] == 'p') {
            free(((struct kl__part *)en->value)->eq);
        }
        free(en->value);
    }
    kl_map_deinit(&r->map);
    kl_arena_deinit(&r->arena);
    kl_buf_deinit(&r->body);
    kl_buf_deinit(&r->text);
    free(r->made);
    free(r->hits);
}

/* ---- keys ---- */

struct key {
    size_t len;
    char data[1 + 4 + 2 + 8 + KL_USER_ID_MAX];
};

static void key_put(struct key *k, const void *p, size_t n) {
    KL_ASSERT(k->len + n <= sizeof(k->data));
    if (n > 0) {
        memcpy(k->data + k->len, p, n);
    }
    k->len += n;
}

static struct kl_slice part_key(struct key *k, uint32_t table, struct kl_slice user) {
    k->len = 0;
    key_put(k, "p", 1);
    key_put(k, &table, sizeof(table));
    key_put(k, user.ptr, user.len);
    return kl_slice(k->data, k->len);
}

static struct kl_slice bucket_key(
    struct key *k, const struct kl__part *p, uint16_t col, uint64_t hash) {
    k->len = 0;
    key_put(k, "e", 1);
    key_put(k, &p->table_id, sizeof(p->table_id));
    key_put(k, &col, sizeof(col));
    key_put(k, &hash, sizeof(hash));
    key_put(k, p->user.ptr, p->user.len);
    return kl_slice(k->data, k->len);
}

struct kl__part *kl__registry_part(struct kl__registry *r, uint32_t table, struct kl_slice user) {
    struct key k;
    return kl_map_get(&r->map, part_key(&k, table, user));
}

struct kl__bucket *kl__registry_bucket(
    struct kl__registry *r, const struct kl__part *p, uint16_t col, uint64_t hash) {
    struct key k;
    return kl_map_get(&r->map, bucket_key(&k, p, col, hash));
}

/* ---- adding and removing ---- */

static struct kl__part *make_part(struct kl__registry *r, uint32_t table, struct kl_slice user) {
    struct key k;
    struct kl__part *p = kl__registry_part(r, table, user);
    if (p == NULL) {
        p = kl_xcalloc(1, sizeof(*p) + user.len);
        p->table_id = table;
        p->user = kl_slice(p + 1, user.len);
        if (user.len > 0) {
            memcpy(p + 1, user.ptr, user.len);
        }
        kl_map_put(&r->map, part_key(&k, table, user), p);
    }
    return p;
}

static struct kl__bucket *make_bucket(
    struct kl__registry *r, struct kl__part *p, const struct kl__query *q) {
    struct key k;
    struct kl__eq_col *c = NULL;
    for (size_t i = 0; i < p->n_eq && c == NULL; i++) {
        c = p->eq[i].col == q->index_col ? &p->eq[i] : NULL;
    }
    if (c == NULL) {
        KL_GROW(p->eq, p->cap_eq, p->n_eq + 1);
        c = &p->eq[p->n_eq++];
        *c = (struct kl__eq_col){q->index_col, 0};
    }
    c->count++;
    struct kl__bucket *b = kl__registry_bucket(r, p, q->index_col, q->index_hash);
    if (b == NULL) {
        b = kl_xcalloc(1, sizeof(*b));
        kl_map_put(&r->map, bucket_key(&k, p, q->index_col, q->index_hash), b);
    }
    return b;
}

static void forget_bucket(struct kl__registry *r, struct kl__part *p, const struct kl__query *q) {
    struct key k;
    struct kl__bucket *b = kl__registry_bucket(r, p, q->index_col, q->index_hash);
    if (b != NULL && b->subs == NULL) {
        kl_map_del(&r->map, bucket_key(&k, p, q->index_col, q->index_hash));
        free(b);
    }
    for (size_t i = 0; i < p->n_eq; i++) {
        if (p->eq[i].col == q->index_col && --p->eq[i].count == 0) {
            p->eq[i] = p->eq[--p->n_eq];
            return;
        }
    }
}

void kl__registry_add(struct kl__registry *r, struct kl__sub *s, struct kl_slice user) {
    struct kl__part *p = make_part(r, s->table_id, user);
    struct kl__bucket *b = s->query->indexed ? make_bucket(r, p, s->query) : &p->rest;
    KL_ASSERT(s->part == NULL);
    s->part = p;
    s->part_next = b->subs;
    s->part_link = &b->subs;
    if (s->part_next != NULL) {
        s->part_next->part_link = &s->part_next;
    }
    b->subs = s;
    p->n_subs++;
    r->n_subs++;
}

void kl__registry_remove(struct kl__registry *r, struct kl__sub *s) {
    struct kl__part *p = s->part;
    struct key k;
    *s->part_link = s->part_next;
    if (s->part_next != NULL) {
        s->part_next->part_link = s->part_link;
    }
    if (s->query->indexed) {
        forget_bucket(r, p, s->query);
    }
    s->part = NULL;
    r->n_subs--;
    if (--p->n_subs == 0) {
        kl_map_del(&r->map, part_key(&k, p->table_id, p->user));
        free(p->eq);
        free(p);
    }
}

static void collect(struct kl__sub ***subs, size_t *n, size_t *cap, struct kl__sub *s) {
    for (; s != NULL; s = s->part_next) {
        KL_GROW(*subs, *cap, *n + 1);
        kl__sub_ref(s);
        (*subs)[(*n)++] = s;
    }
}

struct kl__sub **kl__registry_of_table(struct kl__registry *r, uint32_t table, size_t *ret_n) {
    struct kl__sub **subs = NULL;
    struct kl_map_entry *en;
    size_t n = 0, cap = 0;
    for (size_t it = 0; (en = kl_map_next(&r->map, &it)) != NULL;) {
        if (memcmp(en->key + 1, &table, sizeof(table)) != 0) {
            continue;
        }
        collect(&subs, &n, &cap,
            en->key[0] == 'p' ? ((struct kl__part *)en->value)->rest.subs
                              : ((struct kl__bucket *)en->value)->subs);
    }
    *ret_n = n;
    return subs;
}
