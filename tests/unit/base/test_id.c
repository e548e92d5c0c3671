/* Snowflakes under clock steps and threads; UUIDs, ULIDs, random numbers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"
#include "seeded.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static int64_t fake_us;

static int64_t fake_wall(void *ctx) {
    return fake_us;
}

static const struct kl_clock_ops fake_clock = {.wall_us = fake_wall};

static int restore_clock(void **state) {
    kl_clock_set_ops(NULL);
    return 0;
}

static void layout(void **state) {
    kl_clock_set_ops(&fake_clock);
    fake_us = (KL_SNOWFLAKE_EPOCH_MS + 5000) * 1000 + 999;
    struct kl_snowflake g;
    kl_snowflake_init(&g, 1023);
    int64_t first = kl_snowflake_next(&g);
    assert_true(first == (5000LL << 22 | 1023 << 12));
    assert_true(kl_snowflake_next(&g) == first + 1);
    assert_true(kl_snowflake_ms(first) == KL_SNOWFLAKE_EPOCH_MS + 5000);
    assert_true(kl_snowflake_floor(KL_SNOWFLAKE_EPOCH_MS + 5000) == 5000LL << 22);
    assert_true(kl_snowflake_floor(0) == 0);
}

static void increases_when_the_clock_stands_or_steps_back(void **state) {
    kl_clock_set_ops(&fake_clock);
    fake_us = (KL_SNOWFLAKE_EPOCH_MS + 1000000) * 1000;
    struct kl_snowflake g;
    kl_snowflake_init(&g, 3);
    int64_t last = -1;
    for (int i = 0; i < 50000; i++) {
        if (i % 1000 == 0) {
            fake_us += ((int64_t)seeded_below(2000000) - 1000000);
        }
        int64_t id = kl_snowflake_next(&g);
        assert_true(id > last);
        assert_int_equal((id >> 12) & 1023, 3);
        last = id;
    }
    fake_us = 0; /* before the epoch */
    assert_true(kl_snowflake_next(&g) > last);
}

static void observed_ids_stay_below(void **state) {
    kl_clock_set_ops(&fake_clock);
    fake_us = KL_SNOWFLAKE_EPOCH_MS * 1000;
    for (int i = 0; i < 20000; i++) {
        struct kl_snowflake g;
        kl_snowflake_init(&g, (unsigned)seeded_below(1024));
        int64_t seen = (int64_t)(seeded_u64() >> (2 + seeded_below(60)));
        kl_snowflake_observe(&g, seen);
        int64_t next = kl_snowflake_next(&g);
        assert_true(next > seen);
        kl_snowflake_observe(&g, seen / 2);
        kl_snowflake_observe(&g, -5);
        assert_true(kl_snowflake_next(&g) > next);
    }
}

enum { THREADS = 4, EACH = 20000 };
static struct kl_snowflake shared_generator;

static void *take_ids(void *arg) {
    int64_t *ids = arg;
    for (int i = 0; i < EACH; i++) {
        ids[i] = kl_snowflake_next(&shared_generator);
    }
    return NULL;
}

static int compare_ids(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void threads_never_share_an_id(void **state) {
    static int64_t ids[THREADS * EACH];
    kl_snowflake_init(&shared_generator, 1);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, take_ids, ids + i * EACH), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        for (int k = 1; k < EACH; k++) {
            assert_true(ids[i * EACH + k] > ids[i * EACH + k - 1]);
        }
    }
    qsort(ids, THREADS * EACH, sizeof *ids, compare_ids);
    for (int i = 1; i < THREADS * EACH; i++) {
        assert_true(ids[i] != ids[i - 1]);
    }
}

static void uuids(void **state) {
    kl_clock_set_ops(&fake_clock);
    fake_us = 1767261600123999;
    uint8_t a[16], b[16], back[16];
    kl_uuid_v7(a);
    fake_us++;
    kl_uuid_v7(b);
    assert_true(memcmp(a, b, 16) < 0);
    assert_int_equal(a[6] >> 4, 7);
    assert_int_equal(a[8] >> 6, 2);
    char text[37], expected_ms[13];
    kl_uuid_format(a, text);
    snprintf(expected_ms, sizeof expected_ms, "%012llx", 1767261600123ULL);
    assert_memory_equal(text, expected_ms, 8);
    assert_memory_equal(text + 9, expected_ms + 8, 4);
    assert_true(kl_uuid_parse(kl_slice_str(text), back));
    assert_memory_equal(a, back, 16);
}

static void uuid_spellings(void **state) {
    static const uint8_t expected[16] = {0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d,
        0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11};
    static const char *const good[] = {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}"};
    for (size_t i = 0; i < KL_LEN(good); i++) {
        uint8_t out[16];
        assert_true(kl_uuid_parse(kl_slice_str(good[i]), out));
        assert_memory_equal(out, expected, 16);
    }
    static const char *const bad[] = {"", "{}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111", "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11",
        "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0-eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
        "-a0eebc999c0b4ef8bb6d6bb9bd380a11"};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        uint8_t out[16] = {1, 2, 3};
        assert_false(kl_uuid_parse(kl_slice_str(bad[i]), out));
        assert_int_equal(out[2], 3);
    }
}

static void ulids(void **state) {
    kl_clock_set_ops(&fake_clock);
    fake_us = 1469918176385000;
    char a[27], b[27];
    kl_ulid(a);
    assert_int_equal(strlen(a), 26);
    assert_memory_equal(a, "01ARYZ6S41", 10); /* the example of the ULID specification */
    fake_us += 1000;
    kl_ulid(b);
    assert_true(strcmp(a, b) < 0);
    assert_null(strpbrk(a, "ILOU"));
}

static void random_numbers(void **state) {
    unsigned counts[7] = {0};
    for (int i = 0; i < 70000; i++) {
        uint64_t v = kl_random_below(7);
        assert_true(v < 7);
        counts[v]++;
    }
    for (int i = 0; i < 7; i++) {
        assert_in_range(counts[i], 9400, 10600);
    }
    assert_int_equal(kl_random_below(1), 0);
    for (int i = 0; i < 100; i++) {
        assert_true(kl_random_below((1ULL << 63) + 1) <= 1ULL << 63);
    }
    unsigned char bytes[300] = {0}, zeros[300] = {0};
    kl_random_bytes(bytes, 0);
    assert_memory_equal(bytes, zeros, 300);
    kl_random_bytes(bytes, sizeof bytes);
    assert_memory_not_equal(bytes, zeros, 300);
    assert_true(kl_random_u64() != kl_random_u64());
}

static void *one_number(void *arg) {
    *(uint64_t *)arg = kl_random_u64();
    return NULL;
}

static void threads_have_their_own_random_numbers(void **state) {
    uint64_t a = 0, b = 0;
    pthread_t t;
    pthread_create(&t, NULL, one_number, &a);
    pthread_join(t, NULL);
    pthread_create(&t, NULL, one_number, &b);
    pthread_join(t, NULL);
    assert_true(a != b);
}

static void clocks(void **state) {
    assert_true(kl_clock_wall_us() > 1700000000000000);
    int64_t before = kl_clock_mono_ns();
    assert_true(kl_clock_mono_ns() >= before);
    kl_clock_set_ops(&fake_clock);
    fake_us = 42;
    assert_int_equal(kl_clock_wall_us(), 42);
    assert_true(kl_clock_mono_ns() >= before); /* not replaced */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(layout, restore_clock),
        cmocka_unit_test_teardown(increases_when_the_clock_stands_or_steps_back, restore_clock),
        cmocka_unit_test_teardown(observed_ids_stay_below, restore_clock),
        cmocka_unit_test(threads_never_share_an_id),
        cmocka_unit_test_teardown(uuids, restore_clock),
        cmocka_unit_test(uuid_spellings),
        cmocka_unit_test_teardown(ulids, restore_clock),
        cmocka_unit_test(random_numbers),
        cmocka_unit_test(threads_have_their_own_random_numbers),
        cmocka_unit_test_teardown(clocks, restore_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
