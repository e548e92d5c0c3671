/* Decimals against models: long division by hand for text, __int128 arithmetic for rescaling, long
 * double for double. */
#include "support.h"
#include <math.h>

static const char *formatted(__int128 v, int scale) {
    struct kl_val x = kl_val_decimal(v, (uint8_t)scale);
    return TEXT_OF(&x);
}

static __int128 pow10i(int n) {
    __int128 p = 1;
    while (n-- > 0) {
        p *= 10;
    }
    return p;
}

static __int128 random_unscaled(int digits) {
    __int128 v = 0;
    for (int i = 0; i < digits; i++) {
        v = v * 10 + (int)below(10);
    }
    return below(2) ? v : -v;
}

static void parses(const char *text, const char *want, int scale, int precision) {
    __int128 v;
    uint8_t s, p;
    assert_int_equal(kl_dec_parse(kl_slice_str(text), &v, &s, &p), KL_OK);
    assert_string_equal(formatted(v, s), want);
    assert_int_equal(s, scale);
    assert_int_equal(p, precision);
}

static void test_parse(void **state) {
    parses("0", "0", 0, 1);
    parses("-0.00", "0.00", 2, 2);
    parses("12.30", "12.30", 2, 4);
    parses("+.5", "0.5", 1, 1);
    parses("5.", "5", 0, 1);
    parses(" 007 ", "7", 0, 1);
    parses("1e5", "100000", 0, 6);
    parses("1.5E-3", "0.0015", 4, 4);
    parses("123.456e2", "12345.6", 1, 6);
    parses("0e99999999999", "0", 0, 1);
    parses(
        "99999999999999999999999999999999999999", "99999999999999999999999999999999999999", 0, 38);
    parses("-0.00000000000000000000000000000000000001", "-0.00000000000000000000000000000000000001",
        38, 38);
    /* more digits than fit behind the point: rounded once */
    parses("1.00000000000000000000000000000000000005", "1.0000000000000000000000000000000000001",
        37, 38);
    parses("9.99999999999999999999999999999999999999", "10.000000000000000000000000000000000000",
        36, 38);
    parses("0.000000000000000000000000000000000000001", "0.00000000000000000000000000000000000000",
        38, 38);
    static const char *const bad[] = {
        "", "-", ".", "1.2.3", "1e", "1e+", "abc", "1 2", "NaN", "0x10", "1e5.5", "--1"};
    __int128 v;
    uint8_t s, p;
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        if (kl_dec_parse(kl_slice_str(bad[i]), &v, &s, &p) != KL_E_INVALID_INPUT) {
            fail_msg("accepted '%s'", bad[i]);
        }
    }
    assert_int_equal(
        kl_dec_parse(KL_S("100000000000000000000000000000000000000"), &v, &s, &p), KL_E_TYPE);
    assert_int_equal(
        kl_dec_parse(KL_S("99999999999999999999999999999999999999.5"), &v, &s, &p), KL_E_TYPE);
    assert_int_equal(kl_dec_parse(KL_S("1e38"), &v, &s, &p), KL_E_TYPE);
    assert_int_equal(kl_dec_parse(KL_S("1e99999999999999999999"), &v, &s, &p), KL_E_TYPE);
    parses("1e-99999999999999999999", "0.00000000000000000000000000000000000000", 38, 38);
}

static void test_values(void **state) {
    reads(dec(10, 2), "12.345", "12.35");
    reads(dec(10, 2), "-12.345", "-12.35");
    reads(dec(10, 2), "12.344999999999999999999999999999999999999999999999", "12.34");
    reads(dec(4, 2), "99.99", "99.99");
    reads(dec(2, 2), "0.994", "0.99");
    reads(dec(38, 0), "0.5", "1");
    reads(dec(38, 0), "0.4999", "0");
    reads(dec(0, 0), "1.250", "1.250");
    refused(dec(4, 2), "99.995", KL_E_TYPE,
        "decimal out of range: the value does not fit in DECIMAL(4, 2)");
    refused(dec(4, 2), "100", KL_E_TYPE,
        "decimal out of range: the value does not fit in DECIMAL(4, 2)");
    refused(dec(4, 2), "1e400", KL_E_TYPE,
        "decimal out of range: the value does not fit in DECIMAL(4, 2)");
    refused(dec(0, 0), "1e400", KL_E_TYPE, "decimal out of range: at most 38 digits");
    refused(dec(4, 2), "NaN", KL_E_TYPE, "invalid input syntax for type decimal: \"NaN\"");
}

static void test_text_round_trip(void **state) {
    for (int i = 0; i < 20000; i++) {
        int digits = 1 + (int)below(38), scale = (int)below(39);
        __int128 v = random_unscaled(digits), again;
        uint8_t s, p;
        const char *text = formatted(v, scale);
        assert_int_equal(kl_dec_parse(kl_slice_str(text), &again, &s, &p), KL_OK);
        if (again != v || s != scale || p < scale || p > 38) {
            fail_msg("%s scale %d", text, scale);
        }
        kl_arena_reset(&arena);
    }
}

/* Half away from zero, the long way: whole and rest. */
static __int128 model_down(__int128 v, int by) {
    __int128 p = pow10i(by), whole = v / p, rest = v % p;
    __int128 twice = rest < 0 ? -rest : rest;
    if (twice >= p - twice) {
        whole += v < 0 ? -1 : 1;
    }
    return whole;
}

static void test_rescale(void **state) {
    __int128 r;
    assert_int_equal(kl_dec_rescale(25, 1, 0, &r), KL_OK);
    assert_true(r == 3);
    assert_int_equal(kl_dec_rescale(-25, 1, 0, &r), KL_OK);
    assert_true(r == -3);
    assert_int_equal(kl_dec_rescale(24, 1, 0, &r), KL_OK);
    assert_true(r == 2);
    assert_int_equal(kl_dec_rescale(pow10i(38) - 1, 38, 0, &r), KL_OK);
    assert_true(r == 1);
    assert_int_equal(kl_dec_rescale(pow10i(37), 0, 1, &r), KL_E_TYPE);
    assert_int_equal(kl_dec_rescale(1, 0, 38, &r), KL_E_TYPE);
    assert_int_equal(kl_dec_rescale(0, 0, 38, &r), KL_OK);
    /* no bit pattern may do harm */
    __int128 least = (__int128)((unsigned __int128)1 << 127);
    assert_int_equal(kl_dec_rescale(least, 0, 0, &r), KL_E_TYPE);
    assert_int_equal(kl_dec_rescale(least, 38, 0, &r), KL_OK);
    assert_true(r == -2);
    formatted(least, 38);
    for (int i = 0; i < 50000; i++) {
        int digits = 1 + (int)below(38), from = (int)below(39), to = (int)below(39);
        __int128 v = random_unscaled(digits);
        enum kl_rc rc = kl_dec_rescale(v, from, to, &r);
        if (to <= from) {
            assert_int_equal(rc, KL_OK);
            assert_true(r == (to == from ? v : model_down(v, from - to)));
        } else {
            __int128 most = (pow10i(38) - 1) / pow10i(to - from);
            bool fits = v <= most && v >= -most;
            assert_int_equal(rc, fits ? KL_OK : KL_E_TYPE);
            assert_true(!fits || r == v * pow10i(to - from));
        }
    }
}

static void test_to_double(void **state) {
    assert_true(kl_dec_to_double(1, 1) == 0.1);
    assert_true(kl_dec_to_double(-123456, 3) == -123.456);
    assert_true(kl_dec_to_double(pow10i(37), 37) == 1.0);
    assert_true(kl_dec_to_double(INT64_C(9007199254740993), 0) == 9007199254740992.0);
    for (int i = 0; i < 50000; i++) {
        int scale = (int)below(39);
        __int128 v = random_unscaled(1 + (int)below(38));
        double got = kl_dec_to_double(v, scale);
        long double want = (long double)v / powl(10.0L, scale);
        long double off = fabsl((long double)got - want), ulp = fabsl(want) * 0x1p-52L;
        if (off > ulp) {
            fail_msg("%s -> %.17g", formatted(v, scale), got);
        }
    }
}

int main(void) {
    seed_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_text_round_trip),
        cmocka_unit_test(test_rescale),
        cmocka_unit_test(test_to_double),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
