/* Keys: layout, order, taking apart, and every way in which key bytes can be wrong. */
#include "store_test.h"

static struct kl_scope user_scope(uint16_t shard, struct kl_slice user) {
    return (struct kl_scope){.shard = shard, .kind = KL_SCOPE_USER, .user = user};
}

static void test_bytes_are_as_documented(void **state) {
    struct kl_scope scope = user_scope(0x0102, KL_S("ann"));
    struct kl_key k;
    kl_key_row(&k, &scope, 0x0a0b0c0d, 0x1122334455667788);
    static const char want[] = "\1\2\1\3ann\x0a\x0b\x0c\x0d\x11\x22\x33\x44\x55\x66\x77\x88";
    assert_int_equal(k.len, sizeof(want) - 1);
    assert_memory_equal(k.data, want, k.len);
    assert_true(kl_key_row_seq(kl_key_view(&k)) == 0x1122334455667788);
    kl_key_pk(&k, &scope, 7, KL_S("pk"));
    assert_memory_equal(k.data + k.len - 6, "\0\0\0\7pk", 6);
}

static void test_round_trip(void **state) {
    for (int i = 0; i < 20000; i++) {
        char user[KL_USER_ID_MAX], pk[KL_PK_MAX];
        size_t user_len = below(KL_USER_ID_MAX + 1),
               pk_len = below(5) ? below(40) : below(KL_PK_MAX + 1);
        for (size_t j = 0; j < user_len; j++) {
            user[j] = (char)rnd();
        }
        memset(pk, (int)rnd(), sizeof(pk));
        bool shared = below(4) == 0;
        struct kl_scope scope = user_scope((uint16_t)rnd(), kl_slice(user, shared ? 0 : user_len));
        scope.kind = shared ? KL_SCOPE_SHARED : KL_SCOPE_USER;
        uint32_t table = (uint32_t)rnd();
        struct kl_key k;
        kl_key_pk(&k, &scope, table, kl_slice(pk, pk_len));

        struct kl_scope back;
        uint32_t back_table;
        struct kl_slice rest;
        assert_ok(kl_key_parse(kl_key_view(&k), &back, &back_table, &rest));
        assert_int_equal(back.shard, scope.shard);
        assert_int_equal(back.kind, scope.kind);
        assert_true(kl_slice_eq(back.user, scope.user));
        assert_int_equal(back_table, table);
        assert_true(kl_slice_eq(rest, kl_slice(pk, pk_len)));
    }
}

static void test_parse_refuses_what_is_no_key(void **state) {
    struct kl_scope scope = user_scope(1, KL_S("someone"));
    struct kl_scope ret;
    uint32_t table;
    struct kl_slice rest;
    struct kl_key k;
    kl_key_partition(&k, &scope, 9);
    for (size_t n = 0; n < k.len; n++) {
        assert_int_equal(kl_key_parse(kl_slice(k.data, n), &ret, &table, &rest), KL_E_CORRUPT);
    }
    assert_ok(kl_key_parse(kl_key_view(&k), &ret, &table, &rest));
    k.data[2] = 0;
    assert_int_equal(kl_key_parse(kl_key_view(&k), &ret, &table, &rest), KL_E_CORRUPT);
    k.data[2] = 3;
    assert_int_equal(kl_key_parse(kl_key_view(&k), &ret, &table, &rest), KL_E_CORRUPT);
    k.data[2] = KL_SCOPE_SHARED; /* with a user */
    assert_int_equal(kl_key_parse(kl_key_view(&k), &ret, &table, &rest), KL_E_CORRUPT);
    char big[400] = {0, 1, KL_SCOPE_USER, (char)(KL_USER_ID_MAX + 1)};
    assert_int_equal(kl_key_parse(kl_slice(big, sizeof(big)), &ret, &table, &rest), KL_E_CORRUPT);
}

static int sign(int64_t v) {
    return (v > 0) - (v < 0);
}

static void test_rows_sort_by_table_and_seq(void **state) {
    struct kl_scope scope = user_scope(1, KL_S("ann"));
    for (int i = 0; i < 20000; i++) {
        int64_t a = (int64_t)(rnd() >> (1 + below(60))), b = (int64_t)(rnd() >> (1 + below(60)));
        uint32_t ta = (uint32_t)below(3) * 255, tb = (uint32_t)below(3) * 255;
        struct kl_key ka, kb;
        kl_key_row(&ka, &scope, ta, a);
        kl_key_row(&kb, &scope, tb, b);
        int want = ta != tb ? sign((int64_t)ta - tb) : (a > b) - (a < b);
        assert_int_equal(sign(kl_slice_cmp(kl_key_view(&ka), kl_key_view(&kb))), want);
    }
}

static void test_no_scope_contains_another(void **state) {
    /* "a" and "ab", and a user whose id looks like the rest of another one's key. */
    static const char *users[] = {"a", "ab", "a\1", "b", "aa"};
    for (size_t i = 0; i < KL_LEN(users); i++) {
        for (size_t j = 0; j < KL_LEN(users); j++) {
            struct kl_scope a = user_scope(1, kl_slice_str(users[i]));
            struct kl_scope b = user_scope(1, kl_slice_str(users[j]));
            struct kl_key scope, row;
            kl_key_scope(&scope, &a);
            kl_key_row(&row, &b, 1, 5);
            assert_true(kl_slice_starts_with(kl_key_view(&row), kl_key_view(&scope)) == (i == j));
        }
    }
}

static void test_next_prefix(void **state) {
    struct kl_key k = {.len = 3, .data = {1, 2, 3}};
    assert_true(kl_key_next_prefix(&k));
    assert_true(kl_slice_eq(kl_key_view(&k), KL_S("\1\2\4")));
    k = (struct kl_key){.len = 3, .data = {1, (char)0xff, (char)0xff}};
    assert_true(kl_key_next_prefix(&k));
    assert_true(kl_slice_eq(kl_key_view(&k), KL_S("\2")));
    k = (struct kl_key){.len = 1, .data = {0x7f}};
    assert_true(kl_key_next_prefix(&k));
    assert_true(kl_slice_eq(kl_key_view(&k), KL_S("\x80")));
    k = (struct kl_key){.len = 2, .data = {(char)0xff, (char)0xff}};
    assert_false(kl_key_next_prefix(&k));
    assert_int_equal(k.len, 2);
    k.len = 0;
    assert_false(kl_key_next_prefix(&k));
    for (int i = 0; i < 20000; i++) {
        struct kl_key p = {.len = (uint16_t)(1 + below(4))}, next, longer;
        for (int j = 0; j < p.len; j++) {
            p.data[j] = "\0\1\x7f\x80\xfe\xff"[below(6)];
        }
        next = longer = p;
        longer.data[longer.len++] = (char)rnd();
        if (kl_key_next_prefix(&next)) {
            assert_true(kl_slice_cmp(kl_key_view(&longer), kl_key_view(&next)) < 0);
            assert_false(kl_slice_starts_with(kl_key_view(&next), kl_key_view(&p)));
        }
    }
}

int main(void) {
    seed_from_env();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_are_as_documented),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_parse_refuses_what_is_no_key),
        cmocka_unit_test(test_rows_sort_by_table_and_seq),
        cmocka_unit_test(test_no_scope_contains_another),
        cmocka_unit_test(test_next_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
