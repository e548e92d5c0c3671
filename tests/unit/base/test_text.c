/* UTF-8, hex, base64, numbers, gzip, times: known values, random round trips, refusal of every
 * second spelling. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"
#include "seeded.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void every_code_point_round_trips(void **state) {
    struct kl_buf b = {0};
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        kl_buf_clear(&b);
        kl_utf8_put(&b, code);
        uint32_t back = 0;
        if (kl_utf8_char(kl_buf_view(&b), &back) != b.len || back != (surrogate ? 0xFFFD : code) ||
            !kl_utf8_valid(kl_buf_view(&b)) || kl_utf8_len(kl_buf_view(&b)) != 1) {
            fail_msg("code point %x", code);
        }
        if (b.len > 1 && kl_utf8_char(kl_slice(b.data, b.len - 1), &back) != 1) {
            fail_msg("cut code point %x", code);
        }
    }
    kl_buf_clear(&b);
    kl_utf8_put(&b, 0x110000);
    assert_true(kl_slice_eq_str(kl_buf_view(&b), "\xef\xbf\xbd"));
    kl_buf_deinit(&b);
}

static void invalid_utf8_is_seen(void **state) {
    static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3",
        "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xfe", "abcdefgh\x80", "abcdefg\xc3",
        "\xe2\x28\xa1"};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        assert_false(kl_utf8_valid(kl_slice_str(bad[i])));
    }
    uint32_t code = 7;
    assert_int_equal(kl_utf8_char(KL_S("\xff"), &code), 1);
    assert_int_equal(code, 0xFFFD);
    assert_int_equal(kl_utf8_char(KL_SLICE_NONE, &code), 0);
    assert_true(kl_utf8_valid(KL_SLICE_NONE));
    assert_true(kl_utf8_valid(KL_S("abcdefgh\xc3\xa9"
                                   "abcdefghijk")));
    assert_int_equal(kl_utf8_len(KL_S("h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")), 4);
}

static void check_base64(const char *plain, const char *padded, const char *url) {
    struct kl_buf b = {0};
    kl_base64_encode(&b, kl_slice_str(plain), false);
    assert_true(kl_slice_eq_str(kl_buf_view(&b), padded));
    kl_buf_clear(&b);
    kl_base64_encode(&b, kl_slice_str(plain), true);
    assert_true(kl_slice_eq_str(kl_buf_view(&b), url));
    kl_buf_clear(&b);
    assert_true(kl_base64_decode(&b, kl_slice_str(padded), false));
    assert_true(kl_slice_eq_str(kl_buf_view(&b), plain));
    kl_buf_clear(&b);
    assert_true(kl_base64_decode(&b, kl_slice_str(url), true));
    assert_true(kl_slice_eq_str(kl_buf_view(&b), plain));
    kl_buf_deinit(&b);
}

static void base64_known_values(void **state) {
    check_base64("", "", "");
    check_base64("f", "Zg==", "Zg");
    check_base64("fo", "Zm8=", "Zm8");
    check_base64("foo", "Zm9v", "Zm9v");
    check_base64("foob", "Zm9vYg==", "Zm9vYg");
    check_base64("fooba", "Zm9vYmE=", "Zm9vYmE");
    check_base64("\xfb\xff\xfe", "+//+", "-__-");
}

static void base64_refuses(void **state) {
    struct kl_buf b = {0};
    kl_buf_puts(&b, "kept");
    static const char *const bad[] = {"Zg", "Zg=", "Z", "Z===", "Zh==", "Zm9",
        "Zm9=", "Z\ng=", "-__-", "====", "Zm9v=", "Zg==Zg==", "Zm 9v"};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        assert_false(kl_base64_decode(&b, kl_slice_str(bad[i]), false));
    }
    static const char *const bad_url[] = {"Z", "Zh", "Zg=", "+//+", "Zm9", "Zg===", "Zm9vYmE=="};
    for (size_t i = 0; i < KL_LEN(bad_url); i++) {
        assert_false(kl_base64_decode(&b, kl_slice_str(bad_url[i]), true));
    }
    assert_true(kl_slice_eq_str(kl_buf_view(&b), "kept"));
    kl_buf_clear(&b);
    assert_true(kl_base64_decode(&b, KL_S("Zg=="), true));
    kl_buf_deinit(&b);
}

static void hex_both_ways(void **state) {
    struct kl_buf b = {0};
    kl_hex_encode(&b, KL_S("\x00\xde\xad\xBE\xEF"));
    assert_true(kl_slice_eq_str(kl_buf_view(&b), "00deadbeef"));
    kl_buf_clear(&b);
    assert_true(kl_hex_decode(&b, KL_S("00DEadbeEF")));
    assert_true(kl_slice_eq(kl_buf_view(&b), KL_S("\x00\xde\xad\xbe\xef")));
    assert_false(kl_hex_decode(&b, KL_S("abc")));
    assert_false(kl_hex_decode(&b, KL_S("0g")));
    assert_false(kl_hex_decode(&b, KL_S("00@0")));
    assert_false(kl_hex_decode(&b, KL_S("0x")));
    assert_int_equal(b.len, 5);
    kl_buf_deinit(&b);
    kl_buf_init(&b, 2);
    assert_false(kl_hex_decode(&b, KL_S("001122")));
    assert_true(b.failed);
    kl_buf_deinit(&b);
}

static void random_bytes_round_trip(void **state) {
    for (int i = 0; i < 500; i++) {
        char bytes[100];
        struct kl_slice in = kl_slice(bytes, seeded_below(sizeof bytes));
        for (size_t k = 0; k < sizeof bytes; k++) {
            bytes[k] = (char)seeded_u64();
        }
        struct kl_buf text = {0}, back = {0};
        kl_base64_encode(&text, in, i % 2);
        assert_true(kl_base64_decode(&back, kl_buf_view(&text), i % 2));
        assert_true(kl_slice_eq(kl_buf_view(&back), in));
        kl_buf_clear(&text);
        kl_buf_clear(&back);
        kl_hex_encode(&text, in);
        assert_true(kl_hex_decode(&back, kl_buf_view(&text)));
        assert_true(kl_slice_eq(kl_buf_view(&back), in));
        kl_buf_deinit(&text);
        kl_buf_deinit(&back);
    }
}

static void integers(void **state) {
    int64_t i = 7;
    uint64_t u = 7;
    assert_true(kl_parse_i64(KL_S("9223372036854775807"), &i) && i == INT64_MAX);
    assert_true(kl_parse_i64(KL_S("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(kl_parse_i64(KL_S("-0"), &i) && i == 0);
    assert_true(kl_parse_i64(KL_S("+5"), &i) && i == 5);
    assert_true(kl_parse_u64(KL_S("18446744073709551615"), &u) && u == UINT64_MAX);
    i = 7;
    u = 7;
    static const char *const bad[] = {"", "-", "+", "1 ", " 1", "1.0", "1e3", "0x1", "--1", "+-1",
        "9223372036854775808", "-9223372036854775809", "99999999999999999999999", "1\n"};
    for (size_t k = 0; k < KL_LEN(bad); k++) {
        assert_false(kl_parse_i64(kl_slice_str(bad[k]), &i));
    }
    assert_false(kl_parse_i64(kl_slice("1\0", 2), &i));
    assert_false(kl_parse_u64(KL_S("18446744073709551616"), &u));
    assert_false(kl_parse_u64(KL_S("-1"), &u));
    assert_false(kl_parse_u64(KL_S("+1"), &u));
    assert_false(kl_parse_u64(KL_S("36893488147419103232"), &u));
    assert_true(i == 7 && u == 7);
}

static void doubles(void **state) {
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0}, {"-1.5", -1.5}, {"+2", 2}, {".5", .5}, {"5.", 5}, {"1e3", 1000},
        {"1E-2", .01}, {"1e+2", 100}, {"Infinity", INFINITY}, {"-inf", -INFINITY},
        {"0e999999999", 0}, {"5e-324", 5e-324}};
    for (size_t k = 0; k < KL_LEN(good); k++) {
        double v = 99;
        assert_true(kl_parse_double(kl_slice_str(good[k].text), &v));
        assert_true(v == good[k].value);
    }
    double v = 99;
    assert_true(kl_parse_double(KL_S("NaN"), &v) && isnan(v));
    v = 99;
    static const char *const bad[] = {"", ".", "-", "e5", "1e", "1e+", "1.2.3", " 1", "1 ", "0x10",
        "1e5x", "1,5", "infinit", "nan(1)", "1e400", "-1e400", "1e-400", "--1", "+-1", "1_000"};
    for (size_t k = 0; k < KL_LEN(bad); k++) {
        assert_false(kl_parse_double(kl_slice_str(bad[k]), &v));
    }
    assert_true(v == 99);
    char digits[5000];
    memset(digits, '1', sizeof digits);
    assert_true(kl_parse_double(kl_slice(digits, 300), &v));
    assert_false(kl_parse_double(kl_slice(digits, sizeof digits), &v));
}

static void gzip_round_trips(void **state) {
    static const size_t sizes[] = {0, 1, 100, 65536, 300000};
    for (size_t i = 0; i < KL_LEN(sizes) * 2; i++) {
        size_t n = sizes[i / 2];
        char *data = kl_xcalloc(n + 1, 1);
        if (i % 2) {
            kl_random_bytes(data, n);
        }
        struct kl_buf packed = {0}, back;
        kl_buf_init(&back, n + 4);
        kl_buf_puts(&back, "head");
        assert_int_equal(kl_gzip(kl_slice(data, n), &packed), KL_OK);
        assert_memory_equal(packed.data, "\x1f\x8b", 2);
        assert_int_equal(kl_gunzip(kl_buf_view(&packed), &back), KL_OK);
        assert_int_equal(back.len, n + 4);
        assert_memory_equal(back.data + 4, data, n);
        if (n > 0) {
            struct kl_buf small;
            kl_buf_init(&small, n == 1 ? 1 : n - 1);
            if (n == 1) {
                kl_buf_putc(&small, 'x');
            }
            size_t before = small.len;
            assert_int_equal(kl_gunzip(kl_buf_view(&packed), &small), KL_E_TOO_LARGE);
            assert_int_equal(small.len, before);
            kl_buf_deinit(&small);
        }
        kl_buf_deinit(&packed);
        kl_buf_deinit(&back);
        free(data);
    }
}

static void gzip_output_limit_is_exact(void **state) {
    char data[1000];
    kl_random_bytes(data, sizeof data);
    struct kl_buf packed = {0};
    assert_int_equal(kl_gzip(kl_slice(data, sizeof data), &packed), KL_OK);
    struct kl_buf exact, less;
    kl_buf_init(&exact, packed.len);
    kl_buf_init(&less, packed.len - 1);
    assert_int_equal(kl_gzip(kl_slice(data, sizeof data), &exact), KL_OK);
    assert_int_equal(kl_gzip(kl_slice(data, sizeof data), &less), KL_E_TOO_LARGE);
    assert_int_equal(less.len, 0);
    kl_buf_deinit(&packed);
    kl_buf_deinit(&exact);
    kl_buf_deinit(&less);
}

static void gunzip_refuses_damage(void **state) {
    struct kl_buf packed = {0}, out = {0};
    assert_int_equal(kl_gzip(KL_S("hello hello hello hello"), &packed), KL_OK);
    for (size_t n = 0; n < packed.len; n++) {
        assert_int_equal(kl_gunzip(kl_slice(packed.data, n), &out), KL_E_INVALID_INPUT);
        assert_int_equal(out.len, 0);
    }
    packed.data[packed.len - 6] ^= 1; /* the checksum */
    assert_int_equal(kl_gunzip(kl_buf_view(&packed), &out), KL_E_INVALID_INPUT);
    packed.data[packed.len - 6] ^= 1;
    size_t one = packed.len;
    kl_buf_append(&packed, packed.data, 0);
    assert_int_equal(kl_gzip(KL_S(" more"), &packed), KL_OK);
    assert_int_equal(kl_gunzip(kl_buf_view(&packed), &out), KL_OK);
    assert_true(kl_slice_eq_str(kl_buf_view(&out), "hello hello hello hello more"));
    packed.len = one;
    kl_buf_puts(&packed, "trailing");
    assert_int_equal(kl_gunzip(kl_buf_view(&packed), &out), KL_E_INVALID_INPUT);
    kl_buf_deinit(&packed);
    kl_buf_deinit(&out);
}

static void expect_time(int64_t us, const char *expected) {
    struct kl_buf b = {0};
    kl_rfc3339(&b, us);
    kl_buf_putc(&b, '\0');
    assert_string_equal(b.data, expected);
    kl_buf_deinit(&b);
}

static void times(void **state) {
    expect_time(0, "1970-01-01T00:00:00+00:00");
    expect_time(1767261600123456, "2026-01-01T10:00:00.123456+00:00");
    expect_time(1767261600000000, "2026-01-01T10:00:00+00:00");
    expect_time(1767261600100000, "2026-01-01T10:00:00.100000+00:00");
    expect_time(-1, "1969-12-31T23:59:59.999999+00:00");
    expect_time(951782400000000, "2000-02-29T00:00:00+00:00");
    expect_time(-62135596800000000, "0001-01-01T00:00:00+00:00");
    for (int i = 0; i < 20000; i++) {
        time_t t = (time_t)seeded_below(253402300800ULL + 62135596800ULL) - 62135596800LL;
        struct tm tm;
        gmtime_r(&t, &tm);
        char expected[80];
        snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d+00:00",
            tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        expect_time((int64_t)t * 1000000, expected);
    }
    struct kl_buf b = {0};
    kl_rfc3339(&b, INT64_MIN);
    kl_rfc3339(&b, INT64_MAX);
    assert_false(b.failed);
    kl_buf_deinit(&b);
}

static void slices(void **state) {
    assert_true(kl_slice_cmp(KL_S("a"), KL_S("ab")) < 0);
    assert_true(kl_slice_cmp(KL_S("\x80"), KL_S("a")) > 0);
    assert_int_equal(kl_slice_cmp(KL_SLICE_NONE, KL_S("")), 0);
    assert_true(kl_slice_ieq_str(KL_S("HeLLo"), "hEllO"));
    assert_false(kl_slice_ieq_str(KL_S("[`"), "{@"));
    assert_false(kl_slice_ieq_str(KL_S("abc"), "ab"));
    assert_true(kl_slice_starts_with(KL_S("prefix"), KL_S("pre")));
    assert_true(kl_slice_starts_with(KL_SLICE_NONE, KL_SLICE_NONE));
    assert_false(kl_slice_starts_with(KL_S("pr"), KL_S("pre")));
    assert_true(kl_slice_eq_str(kl_slice_trim(KL_S(" \t\r\n a b\v\f ")), "a b"));
    assert_int_equal(kl_slice_trim(KL_S("  ")).len, 0);
    assert_int_equal(kl_slice_distance(KL_S("kitten"), KL_S("sitting")), 3);
    assert_int_equal(kl_slice_distance(KL_S(""), KL_S("abc")), 3);
    assert_int_equal(kl_slice_distance(KL_S("abc"), KL_S("abc")), 0);
    assert_true(kl_slice_hash(KL_S("a")) != kl_slice_hash(KL_S("b")));
    assert_true(kl_slice_hash(KL_SLICE_NONE) == kl_slice_hash(KL_S("")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_round_trips),
        cmocka_unit_test(invalid_utf8_is_seen),
        cmocka_unit_test(base64_known_values),
        cmocka_unit_test(base64_refuses),
        cmocka_unit_test(hex_both_ways),
        cmocka_unit_test(random_bytes_round_trip),
        cmocka_unit_test(integers),
        cmocka_unit_test(doubles),
        cmocka_unit_test(gzip_round_trips),
        cmocka_unit_test(gzip_output_limit_is_exact),
        cmocka_unit_test(gunzip_refuses_damage),
        cmocka_unit_test(times),
        cmocka_unit_test(slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
