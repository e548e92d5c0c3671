/* What the tests of the store share: a printed seed, random values of every column type, a fresh
 * folder. */
#ifndef STORE_TEST_H
#define STORE_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "os/os.h"
#include "store/store.h"

#define assert_ok(expr) assert_int_equal((expr), KL_OK)

static uint64_t test_seed;

/* splitmix64: the same seed gives the same run. STORE_TEST_SEED repeats one. */
static inline uint64_t rnd(void) {
    uint64_t z = (test_seed += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static inline uint64_t below(uint64_t bound) {
    return rnd() % bound;
}

static inline void seed_from_env(void) {
    const char *given = getenv("STORE_TEST_SEED");
    test_seed = given ? strtoull(given, NULL, 0) : kl_random_u64();
    printf("STORE_TEST_SEED=%llu\n", (unsigned long long)test_seed);
}

static inline int64_t random_i64(void) {
    static const int64_t edges[] = {0, 1, -1, 127, -128, 255, 256, INT16_MIN, INT16_MAX, INT32_MIN,
        INT32_MAX, INT64_MIN, INT64_MAX, INT64_MIN + 1, INT64_MAX - 1};
    return below(3) == 0 ? edges[below(KL_LEN(edges))] : (int64_t)(rnd() >> below(64));
}

static inline double random_double(void) {
    static const double edges[] = {0.0, -0.0, 1.0, -1.0, INFINITY, -INFINITY, NAN, -NAN, 5e-324,
        -5e-324, 1.7976931348623157e308, 1e-10, 1.5};
    if (below(3) == 0) {
        return edges[below(KL_LEN(edges))];
    }
    uint64_t bits = rnd();
    double d;
    memcpy(&d, &bits, sizeof(d));
    return below(2) ? d : (double)(int64_t)below(2000) / 8 - 125;
}

/* Bytes that collide and escape often: few letters, many zeros and 0xff. */
static inline struct kl_slice random_bytes(struct kl_arena *a, size_t max) {
    size_t n = below(max + 1);
    char *p = kl_arena_alloc(a, n + 1);
    bool wild = below(2);
    for (size_t i = 0; i < n; i++) {
        p[i] = wild ? (char)rnd() : "\0\xff\1ab"[below(5)];
    }
    return kl_slice(p, n);
}

static inline struct kl_val random_value(struct kl_type t, struct kl_arena *a, size_t max_len) {
    switch (t.id) {
    case KL_T_BOOLEAN:
        return kl_val_bool(below(2));
    case KL_T_SMALLINT:
        return kl_val_int(t.id, (int16_t)random_i64());
    case KL_T_INT:
    case KL_T_DATE:
        return kl_val_int(t.id, (int32_t)random_i64());
    case KL_T_FLOAT:
        return (struct kl_val){.type = t.id, .d = (double)(float)random_double()};
    case KL_T_DOUBLE:
        return kl_val_double(random_double());
    case KL_T_DECIMAL:
        return kl_val_decimal(
            (__int128)random_i64() * (int64_t)(1ull << below(50)) + random_i64(), t.scale);
    case KL_T_UUID:
    case KL_T_EMBEDDING: {
        uint32_t n = t.id == KL_T_UUID ? 16 : 4u * t.dim;
        char *p = kl_arena_alloc(a, n);
        for (uint32_t i = 0; i < n; i++) {
            p[i] = (char)(below(4) ? rnd() : 0);
        }
        return kl_val_str(t.id, kl_slice(p, n));
    }
    case KL_T_TEXT:
    case KL_T_JSON:
    case KL_T_BYTES:
    case KL_T_FILE:
        return kl_val_str(t.id, random_bytes(a, max_len));
    default:
        return kl_val_int(t.id, random_i64());
    }
}

/* An empty folder of this name below KL_TEST_TMP, one a program. */
static inline const char *fresh_folder(const char *name) {
    static char path[512];
    snprintf(path, sizeof(path), "%s/store-%s-%d", KL_TEST_TMP, name, (int)getpid());
    kl_dir_remove(path);
    return path;
}

static inline struct kl_store *open_store(const char *path) {
    struct kl_store_options options = {.path = path, .write_buffer_bytes = 8 << 20};
    struct kl_store *s = NULL;
    struct kl_err err = {0};
    if (kl_store_open(&options, &s, &err) != KL_OK) {
        fail_msg("%s", err.msg);
    }
    return s;
}

static inline void commit_one(struct kl_store *s, struct kl_batch *b) {
    struct kl_err err = {0};
    if (kl_store_commit(s, &b, 1, false, &err) != KL_OK) {
        fail_msg("%s", err.msg);
    }
    kl_batch_clear(b);
}

#endif
