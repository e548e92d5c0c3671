/* The hash map against a plain array, with many removals. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"
#include "seeded.h"

#include <stdio.h>
#include <stdlib.h>

static void empty_map(void **state) {
    struct kl_map m;
    kl_map_init(&m);
    assert_null(kl_map_get(&m, KL_S("a")));
    assert_null(kl_map_del(&m, KL_S("a")));
    size_t it = 0;
    assert_null(kl_map_next(&m, &it));
    kl_map_clear(&m);
    kl_map_deinit(&m);
}

static void keys_are_bytes_and_copied(void **state) {
    struct kl_map m;
    kl_map_init(&m);
    char key[] = "key";
    int a, b;
    assert_null(kl_map_put(&m, kl_slice(key, 3), &a));
    key[0] = 'x';
    assert_ptr_equal(kl_map_get(&m, KL_S("key")), &a);
    assert_ptr_equal(kl_map_put(&m, KL_S("key"), &b), &a);
    assert_null(kl_map_put(&m, KL_S("ke\0y"), &a));
    assert_null(kl_map_put(&m, KL_SLICE_NONE, &a));
    assert_int_equal(m.count, 3);
    assert_ptr_equal(kl_map_get(&m, KL_S("")), &a);
    assert_ptr_equal(kl_map_del(&m, KL_S("")), &a);
    assert_null(kl_map_get(&m, KL_S("")));
    size_t it = 0, seen = 0;
    for (struct kl_map_entry *e; (e = kl_map_next(&m, &it)); seen++) {
        assert_int_equal(e->key[e->key_len], 0);
    }
    assert_int_equal(seen, 2);
    kl_map_deinit(&m);
}

static void behaves_like_an_array(void **state) {
    enum { KEYS = 500 };
    void *model[KEYS] = {0};
    static char values[1000];
    struct kl_map m;
    kl_map_init(&m);
    for (int step = 0; step < 200000; step++) {
        int k = (int)seeded_below(KEYS);
        char text[20];
        struct kl_slice key = kl_slice(text, (size_t)snprintf(text, sizeof text, "key-%d", k));
        int what = (int)seeded_below(10);
        if (what < 3) {
            void *value = &values[(int)seeded_below(1000)];
            assert_ptr_equal(kl_map_put(&m, key, value), model[k]);
            model[k] = value;
        } else if (what < 6) {
            assert_ptr_equal(kl_map_del(&m, key), model[k]);
            model[k] = NULL;
        } else {
            assert_ptr_equal(kl_map_get(&m, key), model[k]);
        }
    }
    size_t live = 0, it = 0, seen = 0;
    for (int k = 0; k < KEYS; k++) {
        live += model[k] != NULL;
    }
    for (struct kl_map_entry *e; (e = kl_map_next(&m, &it)); seen++) {
        assert_ptr_equal(e->value, model[atoi(e->key + 4)]);
    }
    assert_int_equal(seen, live);
    assert_int_equal(m.count, live);
    assert_true(m.cap <= 2048);
    kl_map_deinit(&m);
}

static void shrinks_after_many_removals(void **state) {
    struct kl_map m;
    kl_map_init(&m);
    char text[20];
    for (int i = 0; i < 20000; i++) {
        kl_map_put(&m, kl_slice(text, (size_t)sprintf(text, "%d", i)), &m);
    }
    size_t large = m.cap;
    for (int i = 0; i < 20000; i++) {
        assert_ptr_equal(kl_map_del(&m, kl_slice(text, (size_t)sprintf(text, "%d", i))), &m);
    }
    for (int i = 0; i < 30000; i++) {
        kl_map_put(&m, kl_slice(text, (size_t)sprintf(text, "n%d", i)), &m);
        kl_map_del(&m, kl_slice(text, (size_t)sprintf(text, "n%d", i)));
    }
    assert_true(m.cap < large);
    assert_int_equal(m.count, 0);
    kl_map_deinit(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_map),
        cmocka_unit_test(keys_are_bytes_and_copied),
        cmocka_unit_test(behaves_like_an_array),
        cmocka_unit_test(shrinks_after_many_removals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
