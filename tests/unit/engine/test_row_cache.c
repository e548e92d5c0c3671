/* Rows by key: whatever the cache gives is what was put last, under the stamp of the moment; nothing while a commit is under way; never more
 * memory than allowed. Keys whose hashes are equal are told apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEYS 300
#define ROW_MAX 5000
#define UNDER_WAY (1ull << 40)

struct known {
    uint64_t stamp;  /* of the moment */
    uint64_t put_at; /* stamp that the row was put with; 0: never */
    unsigned len;
    unsigned char fill;
};

static uint64_t state;
static size_t budget;

static unsigned below(unsigned n) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(state >> 33) % n;
}

static struct kl_slice key_of(unsigned i, char bytes[16]) {
    int n = snprintf(bytes, 16, "key-%u", i);
    return kl_slice(bytes, (size_t)n);
}

static void put(struct kl__row_cache *c, struct known *k, uint64_t hash, struct kl_slice key) {
    static char row[ROW_MAX];
    unsigned len = below(10) == 0 ? below(ROW_MAX) : below(300);
    bool moving = below(8) == 0;
    unsigned char fill = (unsigned char)below(256);
    memset(row, fill, len);
    kl__row_cache_put(
        c, hash, key, k->stamp + (moving ? UNDER_WAY : 0), (int64_t)k->stamp, kl_slice(row, len));
    if (!moving &&
        len + key.len <=
            KL_MIN(budget, 4096)) { /* larger rows are not kept, and leave what is there */
        k->put_at = k->stamp;
        k->len = len;
        k->fill = fill;
    }
}

/* True: found. */
static bool check(
    struct kl__row_cache *c, const struct known *k, uint64_t hash, struct kl_slice key) {
    struct kl_slice row;
    int64_t seq;
    assert_false(kl__row_cache_get(c, hash, key, k->stamp + UNDER_WAY, &seq, &row));
    if (!kl__row_cache_get(c, hash, key, k->stamp, &seq, &row)) {
        return false;
    }
    assert_int_equal(k->put_at, k->stamp);
    assert_int_equal(seq, k->stamp);
    assert_int_equal(row.len, k->len);
    for (size_t i = 0; i < row.len; i++) {
        assert_int_equal((unsigned char)row.ptr[i], k->fill);
    }
    return true;
}

static size_t run(size_t max_bytes, unsigned hashes) {
    struct known known[KEYS] = {0};
    struct kl__row_cache *c = kl__row_cache_new(max_bytes);
    budget = max_bytes;
    struct kl__row_cache_stats stats;
    size_t found = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        known[i].stamp = 1;
    }
    for (int step = 0; step < 40000; step++) {
        char bytes[16];
        unsigned i = below(KEYS);
        struct kl_slice key = key_of(i, bytes);
        uint64_t hash = hashes > 0 ? (uint64_t)(i % hashes) << 8 : kl_slice_hash(key);
        switch (below(5)) {
        case 0:
            known[i].stamp++;
            break;
        case 1:
        case 2:
            put(c, &known[i], hash, key);
            break;
        default:
            found += check(c, &known[i], hash, key);
        }
        kl__row_cache_stats(c, &stats);
        assert_true(stats.bytes <= max_bytes);
    }
    kl__row_cache_free(c);
    return found;
}

static void test_against_model(void **unused) {
    (void)unused;
    assert_true(run((size_t)1 << 20, 0) > 2000);
    assert_true(run(20000, 0) > 100);
    assert_int_equal(run(0, 0), 0);
}

static void test_equal_hashes(void **unused) {
    (void)unused;
    assert_true(run((size_t)1 << 20, 3) > 100);
    run(3000, 1);
}

int main(void) {
    const char *seed = getenv("KL_TEST_SEED");
    state = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    printf("KL_TEST_SEED=%llu\n", (unsigned long long)state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_equal_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
