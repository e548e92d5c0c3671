/* The rate limiter against a clock of our own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/limiter.h"

#include <stdio.h>

#define SECOND 1000000000LL

static struct kl_limiter *make(uint32_t per_sec, uint32_t ban_s, size_t keys) {
    return kl_limiter_new(
        &(struct kl_limiter_options){.per_sec = per_sec, .ban_s = ban_s, .keys = keys});
}

static unsigned taken(struct kl_limiter *l, const char *key, unsigned tries, int64_t now) {
    unsigned ok = 0;
    for (unsigned i = 0; i < tries; i++) {
        ok += kl_limiter_take(l, kl_slice_str(key), now, NULL) == KL_LIMIT_OK;
    }
    return ok;
}

static void zero_is_no_limit(void **state) {
    struct kl_limiter *l = make(0, 300, 0);
    assert_int_equal(taken(l, "a", 100000, SECOND), 100000);
    kl_limiter_free(l);
    kl_limiter_free(NULL);
}

static void a_burst_then_a_steady_rate(void **state) {
    struct kl_limiter *l = make(10, 0, 0);
    int64_t now = 5 * SECOND;
    assert_int_equal(taken(l, "a", 15, now), 10);
    assert_int_equal(taken(l, "b", 15, now), 10); /* others are not touched */
    assert_int_equal(taken(l, "a", 5, now + SECOND / 10 - 1), 0);
    assert_int_equal(taken(l, "a", 5, now + SECOND / 10), 1);
    assert_int_equal(taken(l, "a", 50, now + 100 * SECOND), 10); /* never more than a burst */
    kl_limiter_free(l);
}

static void no_more_than_the_rate_over_time(void **state) {
    struct kl_limiter *l = make(7, 0, 0);
    unsigned ok = 0;
    for (int ms = 0; ms < 10000; ms++) {
        ok += taken(l, "a", 1, ms * (SECOND / 1000));
    }
    assert_in_range(ok, 7 * 10, 7 * 11);
    kl_limiter_free(l);
}

static void a_clock_that_stands_or_steps_back(void **state) {
    struct kl_limiter *l = make(3, 0, 0);
    assert_int_equal(taken(l, "a", 5, 10 * SECOND), 3);
    assert_int_equal(taken(l, "a", 5, 9 * SECOND), 0);
    assert_int_equal(taken(l, "a", 5, 10 * SECOND), 3); /* no worse than a second counted twice */
    kl_limiter_free(l);
}

static void bans_grow(void **state) {
    struct kl_limiter *l = make(1, 100, 0);
    struct kl_slice key = KL_S("a");
    uint32_t retry = 0;
    int64_t now = SECOND;
    assert_int_equal(taken(l, "a", 1, now), 1);
    for (int i = 1; i < KL_LIMIT_VIOLATIONS_PER_BAN; i++) {
        assert_int_equal(kl_limiter_take(l, key, now, &retry), KL_LIMIT_EXCEEDED);
        assert_int_equal(retry, 1);
    }
    assert_int_equal(kl_limiter_take(l, key, now, &retry), KL_LIMIT_BANNED);
    assert_int_equal(retry, 100);
    assert_int_equal(kl_limiter_take(l, key, now + 99 * SECOND, &retry), KL_LIMIT_BANNED);
    assert_int_equal(retry, 1);
    now += 100 * SECOND;
    assert_int_equal(kl_limiter_take(l, key, now, &retry), KL_LIMIT_OK);
    for (int i = 1; i < KL_LIMIT_VIOLATIONS_PER_BAN; i++) {
        assert_int_equal(kl_limiter_take(l, key, now, &retry), KL_LIMIT_EXCEEDED);
    }
    assert_int_equal(kl_limiter_take(l, key, now, &retry), KL_LIMIT_BANNED);
    assert_int_equal(retry, 200); /* the second one lasts twice as long */
    assert_int_equal(taken(l, "b", 1, now), 1);
    kl_limiter_free(l);
}

static void violations_are_forgiven(void **state) {
    struct kl_limiter *l = make(1, 100, 0);
    struct kl_slice key = KL_S("a");
    int64_t now = SECOND;
    taken(l, "a", KL_LIMIT_VIOLATIONS_PER_BAN, now); /* one granted, nine refused */
    now += 4000 * SECOND;
    assert_int_equal(kl_limiter_take(l, key, now, NULL), KL_LIMIT_OK);
    assert_int_equal(kl_limiter_take(l, key, now, NULL), KL_LIMIT_EXCEEDED);
    kl_limiter_free(l);
}

static void more_keys_than_places(void **state) {
    struct kl_limiter *l = make(1, 0, 64);
    for (int i = 0; i < 10000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(kl_limiter_take(l, kl_slice_str(key), SECOND + i, NULL), KL_LIMIT_OK);
        assert_int_equal(
            kl_limiter_take(l, kl_slice_str(key), SECOND + i, NULL), KL_LIMIT_EXCEEDED);
    }
    kl_limiter_free(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_is_no_limit),
        cmocka_unit_test(a_burst_then_a_steady_rate),
        cmocka_unit_test(no_more_than_the_rate_over_time),
        cmocka_unit_test(a_clock_that_stands_or_steps_back),
        cmocka_unit_test(bans_grow),
        cmocka_unit_test(violations_are_forgiven),
        cmocka_unit_test(more_keys_than_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
