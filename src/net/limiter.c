/* A token bucket per key: it holds at most `per_sec` tokens and gains as many in a second. Every
 * tenth refusal bans the key, each time for longer, up to six times the configured duration;
 * refusals are forgiven after an hour without one.
 *
 * Keys are 64-bit hashes under a random seed; sets of four, the least recently used gives way. A
 * peer that can make up addresses at will can push others out of a set, which only gives those a
 * full bucket: memory stays fixed. Sets share 16 locks. */
#include "net/limiter.h"

#include <pthread.h>
#include <stdlib.h>
#include <xxhash.h>

#define WAYS 4
#define STRIPES 16
#define MAX_BAN_FACTOR 6
#define SECOND_NS 1000000000LL
#define FORGIVE_NS (3600 * SECOND_NS)

struct entry {
    uint64_t key; /* 0: free */
    int64_t last_ns, banned_until_ns, violated_ns;
    int64_t tokens_ns; /* credit: one token is SECOND_NS / per_sec */
    uint32_t violations;
};

struct kl_limiter {
    struct kl_limiter_options o;
    uint64_t seed;
    size_t sets; /* a power of two */
    struct entry *entries;
    pthread_mutex_t locks[STRIPES]; /* of the sets with this remainder */
};

struct kl_limiter *kl_limiter_new(const struct kl_limiter_options *o) {
    struct kl_limiter *l = kl_xcalloc(1, sizeof *l);
    l->o = *o;
    kl_random_bytes(&l->seed, sizeof l->seed);
    for (int i = 0; i < STRIPES; i++) {
        pthread_mutex_init(&l->locks[i], NULL);
    }
    size_t want = o->keys ? o->keys : 4096;
    for (l->sets = 1; l->sets * WAYS < want;) {
        l->sets *= 2;
    }
    if (o->per_sec) {
        l->entries = kl_xcalloc(l->sets * WAYS, sizeof *l->entries);
    }
    return l;
}

void kl_limiter_free(struct kl_limiter *l) {
    if (!l) {
        return;
    }
    for (int i = 0; i < STRIPES; i++) {
        pthread_mutex_destroy(&l->locks[i]);
    }
    free(l->entries);
    free(l);
}

static struct entry *find(struct entry *set, uint64_t key, int64_t now_ns) {
    struct entry *oldest = set;
    for (int i = 0; i < WAYS; i++) {
        if (set[i].key == key) {
            return &set[i];
        }
        if (set[i].key == 0 || (oldest->key != 0 && set[i].last_ns < oldest->last_ns)) {
            oldest = &set[i];
        }
    }
    *oldest = (struct entry){.key = key, .last_ns = now_ns, .tokens_ns = SECOND_NS};
    return oldest;
}

static uint32_t seconds_up(int64_t ns) {
    return (uint32_t)((ns + SECOND_NS - 1) / SECOND_NS);
}

static enum kl_limit_verdict refuse(
    const struct kl_limiter *l, struct entry *e, int64_t now_ns, uint32_t *retry_s) {
    e->violations = now_ns - e->violated_ns > FORGIVE_NS ? 1 : e->violations + 1;
    e->violated_ns = now_ns;
    *retry_s = 1;
    if (!l->o.ban_s || e->violations % KL_LIMIT_VIOLATIONS_PER_BAN != 0) {
        return KL_LIMIT_EXCEEDED;
    }
    int64_t factor =
        KL_MIN((int64_t)e->violations / KL_LIMIT_VIOLATIONS_PER_BAN, (int64_t)MAX_BAN_FACTOR);
    e->banned_until_ns = now_ns + l->o.ban_s * factor * SECOND_NS;
    *retry_s = seconds_up(e->banned_until_ns - now_ns);
    return KL_LIMIT_BANNED;
}

static enum kl_limit_verdict take(
    const struct kl_limiter *l, struct entry *e, int64_t now_ns, uint32_t *retry_s) {
    if (now_ns < e->banned_until_ns) {
        *retry_s = seconds_up(e->banned_until_ns - now_ns);
        return KL_LIMIT_BANNED;
    }
    int64_t gained = KL_MIN(KL_MAX(now_ns - e->last_ns, (int64_t)0), SECOND_NS);
    e->tokens_ns = KL_MIN(e->tokens_ns + gained, SECOND_NS);
    e->last_ns = now_ns;
    int64_t price = SECOND_NS / l->o.per_sec;
    if (e->tokens_ns < price) {
        return refuse(l, e, now_ns, retry_s);
    }
    e->tokens_ns -= price;
    return KL_LIMIT_OK;
}

enum kl_limit_verdict kl_limiter_take(
    struct kl_limiter *l, struct kl_slice key, int64_t now_ns, uint32_t *ret_retry_s) {
    if (!l->o.per_sec) {
        return KL_LIMIT_OK;
    }
    uint32_t retry_s = 0;
    uint64_t hash = XXH3_64bits_withSeed(key.ptr, key.len, l->seed);
    size_t set = hash & (l->sets - 1);
    pthread_mutex_t *lock = &l->locks[set % STRIPES];
    pthread_mutex_lock(lock);
    struct entry *e = find(l->entries + set * WAYS, hash ? hash : 1, now_ns);
    enum kl_limit_verdict verdict = take(l, e, now_ns, &retry_s);
    pthread_mutex_unlock(lock);
    if (ret_retry_s) {
        *ret_retry_s = retry_s;
    }
    return verdict;
}
