/* 1,024 places, each the home of the keys whose hash ends there; a newer one takes the place. So
 * memory is bounded (keys of more than KEY_MAX bytes are not kept) and a look-up is one
 * comparison of the whole key. A miss costs a signature check and a read of the user, never a
 * wrong answer. */
#include "net/session_cache.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#define PLACES 1024
#define KEY_MAX 4096

struct entry {
    uint64_t hash, generation;
    int64_t expires_s;
    enum kl_role role;
    uint32_t key_len, user_len;
    char bytes[]; /* key, user */
};

struct kl_session_cache {
    struct entry *places[PLACES];
};

struct kl_session_cache *kl_session_cache_new(void) {
    return kl_xcalloc(1, sizeof(struct kl_session_cache));
}

/* In a time that does not tell where they differ, a word at a time. */
static bool same(const char *a, const char *b, size_t n) {
    uint64_t differ = 0;
    for (; n >= 8; a += 8, b += 8, n -= 8) {
        uint64_t x, y;
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        differ |= x ^ y;
    }
    for (; n; a++, b++, n--) {
        differ |= (unsigned char)(*a ^ *b);
    }
    return differ == 0;
}

static void drop(struct entry *e) {
    if (e) {
        OPENSSL_cleanse(e->bytes, e->key_len);
        free(e);
    }
}

void kl_session_cache_free(struct kl_session_cache *c) {
    if (!c) {
        return;
    }
    for (size_t i = 0; i < PLACES; i++) {
        drop(c->places[i]);
    }
    free(c);
}

bool kl_session_cache_get(struct kl_session_cache *c, struct kl_slice key, uint64_t generation,
    int64_t now_s, struct kl_cached_session *ret) {
    uint64_t hash = kl_slice_hash(key);
    const struct entry *e = c->places[hash % PLACES];
    if (!e || e->hash != hash || e->generation != generation || now_s >= e->expires_s ||
        e->key_len != key.len || !same(e->bytes, key.ptr, key.len)) {
        return false;
    }
    *ret = (struct kl_cached_session){.user = kl_slice(e->bytes + e->key_len, e->user_len),
        .role = e->role,
        .expires_s = e->expires_s,
        .generation = e->generation};
    return true;
}

void kl_session_cache_put(
    struct kl_session_cache *c, struct kl_slice key, const struct kl_cached_session *s) {
    if (key.len > KEY_MAX) {
        return;
    }
    uint64_t hash = kl_slice_hash(key);
    struct entry *e = kl_xmalloc(sizeof *e + key.len + s->user.len);
    *e = (struct entry){.hash = hash,
        .generation = s->generation,
        .expires_s = s->expires_s,
        .role = s->role,
        .key_len = (uint32_t)key.len,
        .user_len = (uint32_t)s->user.len};
    memcpy(e->bytes, key.ptr, key.len);
    memcpy(e->bytes + key.len, s->user.ptr, s->user.len);
    drop(c->places[hash % PLACES]);
    c->places[hash % PLACES] = e;
}
