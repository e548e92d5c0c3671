/* Primary key encoding: byte order is value order for every key type and for composites, equal
 * values have equal bytes. */
#include "store_test.h"

static const struct kl_type key_types[] = {
    {.id = KL_T_BOOLEAN},
    {.id = KL_T_SMALLINT},
    {.id = KL_T_INT},
    {.id = KL_T_BIGINT},
    {.id = KL_T_DATE},
    {.id = KL_T_TIMESTAMP},
    {.id = KL_T_DATETIME},
    {.id = KL_T_TIME},
    {.id = KL_T_FLOAT},
    {.id = KL_T_DOUBLE},
    {.id = KL_T_DECIMAL, .precision = 38, .scale = 4},
    {.id = KL_T_UUID},
    {.id = KL_T_TEXT},
    {.id = KL_T_BYTES},
};

static int sign(int v) {
    return (v > 0) - (v < 0);
}

static struct kl_slice encode(const struct kl_val *vals, size_t n, struct kl_buf *buf) {
    struct kl_err err = {0};
    kl_buf_clear(buf);
    if (kl_pk_encode(vals, n, buf, &err) != KL_OK) {
        fail_msg("%s", err.msg);
    }
    return kl_buf_view(buf);
}

/* Of this test's own, so that the codec is not checked by what it may share a mistake with. */
static int compare_doubles(double a, double b) {
    if (isnan(a) || isnan(b)) {
        return (isnan(a) ? 1 : 0) - (isnan(b) ? 1 : 0);
    }
    return (a > b) - (a < b);
}

static int compare(const struct kl_val *a, const struct kl_val *b) {
    switch (a->type) {
    case KL_T_BOOLEAN:
        return a->b - b->b;
    case KL_T_FLOAT:
    case KL_T_DOUBLE:
        return compare_doubles(a->d, b->d);
    case KL_T_DECIMAL:
        if (a->dec.hi != b->dec.hi) {
            return a->dec.hi > b->dec.hi ? 1 : -1;
        }
        return (a->dec.lo > b->dec.lo) - (a->dec.lo < b->dec.lo);
    case KL_T_UUID:
    case KL_T_TEXT:
    case KL_T_BYTES: {
        int c = memcmp(a->s, b->s, KL_MIN(a->len, b->len));
        return c ? sign(c) : (a->len > b->len) - (a->len < b->len);
    }
    default:
        return (a->i > b->i) - (a->i < b->i);
    }
}

static void test_order_of_each_type(void **state) {
    struct kl_arena arena;
    struct kl_buf x = {0}, y = {0};
    kl_arena_init(&arena, 0);
    for (size_t t = 0; t < KL_LEN(key_types); t++) {
        for (int i = 0; i < 20000; i++) {
            kl_arena_reset(&arena);
            struct kl_val a = random_value(key_types[t], &arena, 6);
            struct kl_val b = below(10) ? random_value(key_types[t], &arena, 6) : a;
            int got = sign(kl_slice_cmp(encode(&a, 1, &x), encode(&b, 1, &y)));
            if (got != compare(&a, &b) || got != sign(kl_val_cmp(&a, &b))) {
                fail_msg("type %d: bytes say %d, values %d, kl_val_cmp %d", a.type, got,
                    compare(&a, &b), kl_val_cmp(&a, &b));
            }
        }
    }
    kl_buf_deinit(&x);
    kl_buf_deinit(&y);
    kl_arena_deinit(&arena);
}

static void test_order_of_composites(void **state) {
    struct kl_arena arena;
    struct kl_buf x = {0}, y = {0};
    kl_arena_init(&arena, 0);
    for (int i = 0; i < 50000; i++) {
        kl_arena_reset(&arena);
        struct kl_val a[3], b[3];
        int want = 0;
        for (int c = 0; c < 3; c++) {
            struct kl_type t = key_types[below(KL_LEN(key_types))];
            a[c] = random_value(t, &arena, 3);
            b[c] = below(2) ? a[c] : random_value(t, &arena, 3);
            want = want ? want : compare(&a[c], &b[c]);
        }
        assert_int_equal(sign(kl_slice_cmp(encode(a, 3, &x), encode(b, 3, &y))), want);
    }
    kl_buf_deinit(&x);
    kl_buf_deinit(&y);
    kl_arena_deinit(&arena);
}

static void expect_bytes(struct kl_val v, const char *want, size_t n) {
    struct kl_buf buf = {0};
    struct kl_slice got = encode(&v, 1, &buf);
    assert_int_equal(got.len, n);
    assert_memory_equal(got.ptr, want, n);
    kl_buf_deinit(&buf);
}

/* These bytes are on disk: a change here is a change of format. */
static void test_bytes_are_as_documented(void **state) {
    expect_bytes(kl_val_bool(true), "\1", 1);
    expect_bytes(kl_val_int(KL_T_SMALLINT, -1), "\x7f\xff", 2);
    expect_bytes(kl_val_int(KL_T_INT, 1), "\x80\0\0\1", 4);
    expect_bytes(kl_val_i64(INT64_MIN), "\0\0\0\0\0\0\0\0", 8);
    expect_bytes(kl_val_i64(0x0102), "\x80\0\0\0\0\0\1\2", 8);
    expect_bytes(kl_val_double(1.0), "\xbf\xf0\0\0\0\0\0\0", 8);
    expect_bytes(kl_val_double(-1.0), "\x40\x0f\xff\xff\xff\xff\xff\xff", 8);
    expect_bytes(kl_val_double(-0.0), "\x80\0\0\0\0\0\0\0", 8);
    expect_bytes((struct kl_val){.type = KL_T_FLOAT, .d = -NAN}, "\xff\xc0\0\0", 4);
    expect_bytes(kl_val_decimal(-1, 2),
        "\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16);
    expect_bytes(kl_val_text(KL_S("a\0b")),
        "a\0\xff"
        "b\0\0",
        6);
    expect_bytes(kl_val_text(KL_SLICE_NONE), "\0\0", 2);
}

static void test_too_long(void **state) {
    struct kl_err err = {0};
    struct kl_buf buf = {0};
    char text[KL_PK_MAX + 1];
    memset(text, 'x', sizeof(text));
    kl_buf_puts(&buf, "before");
    struct kl_val fits = kl_val_text(kl_slice(text, KL_PK_MAX - 2));
    assert_ok(kl_pk_encode(&fits, 1, &buf, &err));
    assert_int_equal(buf.len, 6 + KL_PK_MAX);
    buf.len = 6;
    for (size_t n = KL_PK_MAX - 1; n <= KL_PK_MAX + 1; n++) {
        struct kl_val v = kl_val_text(kl_slice(text, n));
        assert_int_equal(kl_pk_encode(&v, 1, &buf, &err), KL_E_TOO_LARGE);
        assert_non_null(strstr(err.msg, "primary key is too long"));
        assert_int_equal(buf.len, 6);
    }
    memset(text, 0, sizeof(text)); /* doubles when escaped */
    struct kl_val zeros = kl_val_str(KL_T_BYTES, kl_slice(text, KL_PK_MAX / 2));
    assert_int_equal(kl_pk_encode(&zeros, 1, &buf, &err), KL_E_TOO_LARGE);
    struct kl_val many[KL_PK_MAX / 8 + 1];
    for (size_t i = 0; i < KL_LEN(many); i++) {
        many[i] = kl_val_i64((int64_t)i);
    }
    assert_ok(kl_pk_encode(many, KL_LEN(many) - 1, &buf, &err));
    buf.len = 6;
    assert_int_equal(kl_pk_encode(many, KL_LEN(many), &buf, &err), KL_E_TOO_LARGE);
    assert_memory_equal(buf.data, "before", 6);
    kl_buf_deinit(&buf);
}

static void test_types_that_are_no_keys(void **state) {
    static const uint8_t none[] = {KL_T_EMBEDDING, KL_T_JSON, KL_T_FILE, KL_T_INTERVAL, KL_T_NULL};
    struct kl_buf buf = {0};
    for (size_t i = 0; i < KL_LEN(none); i++) {
        struct kl_err err = {0};
        struct kl_val vals[2] = {kl_val_i64(1), {.type = none[i], .s = "abcd", .len = 4}};
        assert_int_equal(kl_pk_encode(vals, 2, &buf, &err), KL_E_TYPE);
        assert_int_equal(buf.len, 0);
    }
    kl_buf_deinit(&buf);
}

static struct kl_slice encode_index(const struct kl_val *vals, size_t n, struct kl_buf *buf) {
    struct kl_err err = {0};
    kl_buf_clear(buf);
    if (kl_index_encode(vals, n, buf, &err) != KL_OK) {
        fail_msg("%s", err.msg);
    }
    return kl_buf_view(buf);
}

/* NULLs after every value and equal to each other. */
static int compare_nulls(const struct kl_val *a, const struct kl_val *b) {
    return a->null || b->null ? a->null - b->null : compare(a, b);
}

static void test_index_order_and_prefixes(void **state) {
    struct kl_arena arena;
    struct kl_buf x = {0}, y = {0};
    kl_arena_init(&arena, 0);
    for (int i = 0; i < 50000; i++) {
        kl_arena_reset(&arena);
        struct kl_val a[3], b[3];
        int want = 0;
        for (int c = 0; c < 3; c++) {
            struct kl_type t = key_types[below(KL_LEN(key_types))];
            a[c] = below(5) ? random_value(t, &arena, 3) : kl_val_null(t.id);
            b[c] = below(2) ? a[c] : below(5) ? random_value(t, &arena, 3) : kl_val_null(t.id);
            want = want ? want : compare_nulls(&a[c], &b[c]);
        }
        assert_int_equal(sign(kl_slice_cmp(encode_index(a, 3, &x), encode_index(b, 3, &y))), want);
        size_t leading = below(4);
        assert_true(kl_slice_starts_with(kl_buf_view(&x), encode_index(a, leading, &y)));
    }
    kl_buf_deinit(&x);
    kl_buf_deinit(&y);
    kl_arena_deinit(&arena);
}

static void test_index_bytes_are_as_documented(void **state) {
    struct kl_buf buf = {0};
    struct kl_val vals[3] = {
        kl_val_int(KL_T_SMALLINT, 1), kl_val_null(KL_T_TEXT), kl_val_text(KL_S("a"))};
    struct kl_slice got = encode_index(vals, 3, &buf);
    assert_int_equal(got.len, 8);
    assert_memory_equal(got.ptr, "\1\x80\1\2\1a\0\0", 8);
    struct kl_val zero = kl_val_double(0.0), minus = kl_val_double(-0.0);
    struct kl_buf other = {0};
    assert_true(kl_slice_eq(encode_index(&zero, 1, &buf), encode_index(&minus, 1, &other)));
    kl_buf_deinit(&other);
    kl_buf_deinit(&buf);
}

static void test_index_entry_too_long(void **state) {
    struct kl_err err = {0};
    struct kl_buf buf = {0};
    char text[KL_PK_MAX];
    memset(text, 'x', sizeof(text));
    struct kl_val v = kl_val_text(kl_slice(text, KL_PK_MAX - 8 - 3));
    assert_ok(kl_index_encode(&v, 1, &buf, &err));
    /* The longest entry of the longest scope is a key. */
    struct kl_key key;
    struct kl_scope scope = {
        .shard = 1, .kind = KL_SCOPE_USER, .user = kl_slice(text, KL_USER_ID_MAX)};
    kl_key_index(&key, &scope, 7, kl_buf_view(&buf), 12345);
    assert_int_equal(key.len, KL_KEY_PREFIX_MAX + KL_PK_MAX);
    assert_int_equal(kl_key_row_seq(kl_key_view(&key)), 12345);
    struct kl_scope got;
    struct kl_slice rest;
    uint32_t index;
    assert_ok(kl_key_parse(kl_key_view(&key), &got, &index, &rest));
    assert_int_equal(index, 7);
    kl_key_index(&key, &scope, 7, kl_buf_view(&buf), 0);
    assert_int_equal(key.len, KL_KEY_PREFIX_MAX + KL_PK_MAX - 8);
    buf.len = 0;
    v = kl_val_text(kl_slice(text, KL_PK_MAX - 8 - 2));
    assert_int_equal(kl_index_encode(&v, 1, &buf, &err), KL_E_TOO_LARGE);
    assert_non_null(strstr(err.msg, "index entry is too long"));
    assert_int_equal(buf.len, 0);
    struct kl_val json = {.type = KL_T_JSON, .s = "{}", .len = 2};
    assert_int_equal(kl_index_encode(&json, 1, &buf, &err), KL_E_TYPE);
    assert_int_equal(buf.len, 0);
    kl_buf_deinit(&buf);
}

int main(void) {
    seed_from_env();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_each_type),
        cmocka_unit_test(test_order_of_composites),
        cmocka_unit_test(test_bytes_are_as_documented),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_types_that_are_no_keys),
        cmocka_unit_test(test_index_order_and_prefixes),
        cmocka_unit_test(test_index_bytes_are_as_documented),
        cmocka_unit_test(test_index_entry_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
