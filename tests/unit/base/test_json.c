/* JSON out: escapes, invalid UTF-8, and numbers that read back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"
#include "seeded.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void expect_str(struct kl_slice in, const char *expected) {
    struct kl_buf b = {0};
    kl_json_str(&b, in);
    kl_buf_putc(&b, '\0');
    assert_string_equal(b.data, expected);
    kl_buf_deinit(&b);
}

static void strings_are_escaped(void **state) {
    expect_str(KL_SLICE_NONE, "\"\"");
    expect_str(
        KL_S("plain text longer than eight bytes"), "\"plain text longer than eight bytes\"");
    expect_str(KL_S("a\"b\\c"), "\"a\\\"b\\\\c\"");
    expect_str(KL_S("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
    expect_str(KL_S("\x00\x01\x1f"), "\"\\u0000\\u0001\\u001f\"");
    expect_str(KL_S("\x7f/"), "\"\x7f/\"");
    expect_str(KL_S("h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80"),
        "\"h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80\"");
}

static void invalid_utf8_is_replaced(void **state) {
    expect_str(KL_S("a\xff"
                    "b"),
        "\"a\xef\xbf\xbd"
        "b\"");
    expect_str(KL_S("\xc0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    expect_str(KL_S("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    expect_str(KL_S("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

/* Every special byte at every offset, because plain bytes are looked at eight at a time. */
static void escapes_are_seen_at_every_offset(void **state) {
    for (int c = 0; c < 256; c++) {
        for (size_t at = 0; at < 20; at++) {
            char text[20];
            memset(text, 'x', sizeof text);
            text[at] = (char)c;
            struct kl_buf b = {0};
            kl_json_str(&b, kl_slice(text, sizeof text));
            size_t extra = c == '"' || c == '\\' || c == '\b' || c == '\f' || c == '\n' ||
                                   c == '\r' || c == '\t'
                               ? 1
                           : c < 0x20  ? 5
                           : c >= 0x80 ? 2
                                       : 0;
            assert_int_equal(b.len, sizeof text + 2 + extra);
            assert_true(kl_utf8_valid(kl_buf_view(&b)));
            kl_buf_deinit(&b);
        }
    }
}

static const char *print_double(double v) {
    static char text[64];
    struct kl_buf b = {0};
    kl_json_double(&b, v);
    assert_true(b.len < sizeof text);
    memcpy(text, b.data, b.len);
    text[b.len] = '\0';
    kl_buf_deinit(&b);
    return text;
}

static const char *print_float(float v) {
    static char text[64];
    struct kl_buf b = {0};
    kl_json_float(&b, v);
    memcpy(text, b.data, b.len);
    text[b.len] = '\0';
    kl_buf_deinit(&b);
    return text;
}

static void doubles_look_as_expected(void **state) {
    assert_string_equal(print_double(0.0), "0.0");
    assert_string_equal(print_double(-0.0), "-0.0");
    assert_string_equal(print_double(1.0), "1.0");
    assert_string_equal(print_double(-12.5), "-12.5");
    assert_string_equal(print_double(0.1), "0.1");
    assert_string_equal(print_double(0.1 + 0.2), "0.30000000000000004");
    assert_string_equal(print_double(100.05), "100.05");
    assert_string_equal(print_double(0.000001), "0.000001");
    assert_string_equal(print_double(9007199254740992.0), "9007199254740992.0");
    assert_string_equal(print_double(-9007199254740991.0), "-9007199254740991.0");
    assert_string_equal(print_double(1e22), "1e+22");
    assert_string_equal(print_double(1e300), "1e+300");
    assert_string_equal(print_double(1.0 / 3), "0.3333333333333333");
    assert_string_equal(print_double(5e-324), "5e-324");
    assert_string_equal(print_double(NAN), "\"NaN\"");
    assert_string_equal(print_double(INFINITY), "\"Infinity\"");
    assert_string_equal(print_double(-INFINITY), "\"-Infinity\"");
}

static void floats_look_as_expected(void **state) {
    assert_string_equal(print_float(1.0f), "1.0");
    assert_string_equal(print_float(-0.0f), "-0.0");
    assert_string_equal(print_float(0.1f), "0.1");
    assert_string_equal(print_float(3.14f), "3.14");
    assert_string_equal(print_float(1e-45f), "1e-45");
    assert_string_equal(print_float(16777216.0f), "16777216.0");
    assert_string_equal(print_float(NAN), "\"NaN\"");
    assert_string_equal(print_float(-INFINITY), "\"-Infinity\"");
}

static bool is_json_float(const char *text) {
    size_t i = text[0] == '-';
    if (text[i] < '0' || text[i] > '9' ||
        (text[i] == '0' && text[i + 1] >= '0' && text[i + 1] <= '9')) {
        return false;
    }
    return strpbrk(text, ".e") && !strstr(text, ".e") && text[strlen(text) - 1] != '.';
}

static void numbers_read_back(void **state) {
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = seeded_u64();
        double v;
        memcpy(&v, &bits, sizeof v);
        if (i % 4 == 1) {
            v = (double)(int64_t)(bits >> seeded_below(64)) / 100;
        } else if (i % 4 == 2) {
            v = (double)(int64_t)bits / 1e6;
        }
        if (isfinite(v)) {
            const char *text = print_double(v);
            assert_true(strtod(text, NULL) == v);
            assert_true(is_json_float(text));
        }
        float f;
        uint32_t half = (uint32_t)bits;
        memcpy(&f, &half, sizeof f);
        if (isfinite(f)) {
            const char *text = print_float(f);
            assert_true(strtof(text, NULL) == f);
            assert_true(is_json_float(text));
        }
    }
    assert_true(strtod(print_double(DBL_MAX), NULL) == DBL_MAX);
    assert_true(strtod(print_double(DBL_MIN), NULL) == DBL_MIN);
}

/* Fewest digits: what %.15g can say in fewer characters must not come out longer. */
static void numbers_are_short(void **state) {
    for (int i = 0; i < 20000; i++) {
        double v = (double)seeded_below(1000000000) / pow(10, (double)seeded_below(9));
        char expected[64];
        snprintf(expected, sizeof expected, "%.15g", v);
        const char *text = print_double(v);
        if (strtod(expected, NULL) == v && !strchr(expected, 'e')) {
            size_t len = strlen(expected) + (strchr(expected, '.') ? 0 : 2);
            assert_int_equal(strlen(text), len);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(invalid_utf8_is_replaced),
        cmocka_unit_test(escapes_are_seen_at_every_offset),
        cmocka_unit_test(doubles_look_as_expected),
        cmocka_unit_test(floats_look_as_expected),
        cmocka_unit_test(numbers_read_back),
        cmocka_unit_test(numbers_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
