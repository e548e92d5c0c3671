/* Remembered credentials: found again, never mixed up, stale when they should be. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/session_cache.h"

#include <stdio.h>

static void put(
    struct kl_session_cache *c, const char *key, const char *user, uint64_t generation) {
    kl_session_cache_put(c, kl_slice_str(key),
        &(struct kl_cached_session){.user = kl_slice_str(user),
            .role = KL_ROLE_SERVICE,
            .expires_s = 1000,
            .generation = generation});
}

static bool found(struct kl_session_cache *c, const char *key, const char *user,
    uint64_t generation, int64_t now) {
    struct kl_cached_session s;
    if (!kl_session_cache_get(c, kl_slice_str(key), generation, now, &s)) {
        return false;
    }
    assert_true(kl_slice_eq_str(s.user, user));
    assert_int_equal(s.role, KL_ROLE_SERVICE);
    assert_int_equal(s.expires_s, 1000);
    return true;
}

static void keeps_and_forgets(void **state) {
    struct kl_session_cache *c = kl_session_cache_new();
    assert_false(found(c, "t", "u", 1, 0));
    put(c, "t", "u", 1);
    assert_true(found(c, "t", "u", 1, 999));
    assert_false(found(c, "t", "u", 1, 1000)); /* expired */
    assert_false(found(c, "t", "u", 2, 999));  /* somebody was revoked or changed */
    assert_false(found(c, "t2", "u", 1, 999));
    assert_false(found(c, "", "u", 1, 999));
    put(c, "t", "other", 2);
    assert_true(found(c, "t", "other", 2, 0));
    assert_false(found(c, "t", "other", 1, 0));
    kl_session_cache_free(c);
    kl_session_cache_free(NULL);
}

static void never_mixes_up(void **state) {
    struct kl_session_cache *c = kl_session_cache_new();
    unsigned kept = 0;
    char key[32], user[32];
    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "token-%d", i);
        snprintf(user, sizeof user, "user-%d", i);
        put(c, key, user, 7);
        assert_true(found(c, key, user, 7, 0)); /* the newest is always there */
    }
    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "token-%d", i);
        snprintf(user, sizeof user, "user-%d", i);
        kept += found(c, key, user, 7, 0);
    }
    assert_in_range(kept, 500, 1024); /* bounded */
    kl_session_cache_free(c);
}

static void long_keys_are_not_kept(void **state) {
    struct kl_session_cache *c = kl_session_cache_new();
    char key[5001];
    memset(key, 'a', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    put(c, key, "u", 1);
    assert_false(found(c, key, "u", 1, 0));
    kl_session_cache_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_and_forgets),
        cmocka_unit_test(never_mixes_up),
        cmocka_unit_test(long_keys_are_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
