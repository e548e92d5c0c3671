/* Order and equality: laws over random mixes of numbers, exact cases that double would get wrong,
 * the other types. */
#include "support.h"
#include <float.h>
#include <math.h>

static int sign(int c) {
    return (c > 0) - (c < 0);
}

static void less(struct kl_val a, struct kl_val b) {
    if (sign(kl_val_cmp(&a, &b)) != -1 || sign(kl_val_cmp(&b, &a)) != 1) {
        fail_msg("%s (%u) < %s (%u)", TEXT_OF(&a), a.type, TEXT_OF(&b), b.type);
    }
    if (a.type == b.type) {
        assert_false(kl_val_same(&a, &b));
    }
}

static void equal(struct kl_val a, struct kl_val b) {
    if (kl_val_cmp(&a, &b) != 0 || kl_val_cmp(&b, &a) != 0) {
        fail_msg("%s (%u) = %s (%u)", TEXT_OF(&a), a.type, TEXT_OF(&b), b.type);
    }
    if (a.type == b.type) {
        assert_true(kl_val_same(&a, &b));
        assert_true(kl_val_hash(&a) == kl_val_hash(&b));
    }
}

static struct kl_val d(double v) {
    return kl_val_double(v);
}

static struct kl_val n(const char *text) {
    return parse(KL_TYPE(DECIMAL), text);
}

static void test_exact(void **state) {
    less(d(9007199254740992.0), kl_val_i64(INT64_C(9007199254740993)));
    less(kl_val_i64(INT64_C(9007199254740991)), d(9007199254740992.0));
    equal(kl_val_i64(INT64_C(9007199254740992)), d(9007199254740992.0));
    less(kl_val_i64(INT64_MAX), d(0x1p63));
    equal(kl_val_i64(INT64_MIN), d(-0x1p63));
    less(d(-0x1.0000000000001p63), kl_val_i64(INT64_MIN));
    less(kl_val_i64(INT64_MAX), d(INFINITY));
    less(d(-INFINITY), n("-99999999999999999999999999999999999999"));
    less(n("0.1"), d(0.1)); /* the double is above a tenth */
    less(d(0.3), n("0.3")); /* and this one below */
    equal(n("0.5"), d(0.5));
    equal(n("-0.125"), d(-0.125));
    less(n("-0.1250001"), d(-0.125));
    less(d(-0.1), n("-0.1"));
    less(d(-5e-324), n("0"));
    less(n("0"), d(5e-324));
    less(n("-0.00000000000000000000000000000000000001"), d(-5e-324));
    less(d(1e38),
        n("99999999999999999999999999999999999999.0")); /* 1e38 is
                                                           99999999999999997748809823456034029568 */
    less(n("99999999999999999999999999999999999999"), d(1e39));
    less(n("1"), d(1e300));
    less(d(-1e300), n("1"));
    equal(n("1.50"), n("1.5"));
    equal(n("150"), kl_val_i64(150));
    less(n("0.99999999999999999999999999999999999999"), kl_val_i64(1));
    less(n("99999999999999999999999999999999999998"), n("99999999999999999999999999999999999999"));
    less(n("0.1"), n("99999999999999999999999999999999999999"));
    less(kl_val_int(KL_T_SMALLINT, -1), kl_val_int(KL_T_INT, 0));
    equal(d(0.0), d(-0.0));
    equal(d(NAN), d(-NAN));
    less(d(INFINITY), d(NAN));
    less(kl_val_i64(INT64_MAX), d(NAN));
    less(n("1"), d(NAN));
    equal((struct kl_val){.type = KL_T_FLOAT, .d = (double)0.1f},
        (struct kl_val){.type = KL_T_DOUBLE, .d = (double)0.1f});
}

static void test_others(void **state) {
    less(kl_val_bool(false), kl_val_bool(true));
    less(kl_val_text(KL_S("Z")), kl_val_text(KL_S("a")));
    less(kl_val_text(KL_S("a")), kl_val_text(KL_S("ab")));
    less(kl_val_text(KL_S("z")), kl_val_text(KL_S("\xc3\xa9")));
    equal(kl_val_text(KL_S("[1]")), parse(KL_TYPE(JSON), "[1]"));
    less(parse(KL_TYPE(BYTES), "\\x7f"), parse(KL_TYPE(BYTES), "\\x80"));
    less(parse(KL_TYPE(BYTES), ""), parse(KL_TYPE(BYTES), "\\x00"));
    less(parse(KL_TYPE(UUID), "00000000-0000-0000-0000-0000000000ff"),
        parse(KL_TYPE(UUID), "ff000000-0000-0000-0000-000000000000"));
    less(parse(KL_TYPE(DATE), "2026-01-01"),
        parse(KL_TYPE(TIMESTAMP), "2026-01-01 00:00:00.000001"));
    equal(parse(KL_TYPE(DATE), "0001-01-01"), parse(KL_TYPE(DATETIME), "0001-01-01"));
    less(parse(KL_TYPE(TIMESTAMP), "2026-01-01"), parse(KL_TYPE(DATETIME), "2026-01-02"));
    less(parse(KL_TYPE(TIME), "09:00"), parse(KL_TYPE(TIME), "10:00"));
    equal(parse(KL_TYPE(INTERVAL), "1 month"), parse(KL_TYPE(INTERVAL), "30 days"));
    equal(parse(KL_TYPE(INTERVAL), "1 day"), parse(KL_TYPE(INTERVAL), "24 hours"));
    less(parse(KL_TYPE(INTERVAL), "-1 month"), parse(KL_TYPE(INTERVAL), "1 us"));
    equal(parse(emb(2), "[0,1]"), parse(emb(2), "[-0,1]"));
    less(parse(emb(2), "[0,1]"), parse(emb(2), "[0,2]"));
    less(parse(emb(0), "[0]"), parse(emb(0), "[0,-1]"));
}

static void test_same(void **state) {
    struct kl_val a = kl_val_null(KL_T_INT), b = kl_val_null(KL_T_BIGINT),
                  one = kl_val_int(KL_T_INT, 1);
    assert_true(kl_val_same(&a, &a));
    assert_false(kl_val_same(&a, &b));
    assert_false(kl_val_same(&a, &one));
    assert_false(kl_val_same(&one, &a));
    struct kl_val big = kl_val_i64(1);
    assert_false(kl_val_same(&one, &big));
}

/* Few distinct magnitudes, so that ties and near ties between types are common. */
static struct kl_val random_number(void) {
    static const double marks[] = {0, 0.1, 0.3, 0.5, 1, 2.5, 0x1p53, 0x1p62, 0x1p63, 1e18, 1e19,
        1e37, 1e38, 1e39, 1e-30, 5e-324, DBL_MAX, INFINITY, NAN};
    double mark = marks[below(KL_LEN(marks))];
    mark = below(2) ? mark : -mark;
    int step = (int)below(3) - 1;
    double near = step == 0 ? mark : nextafter(mark, step * INFINITY);
    switch (below(5)) {
    case 0:
        return kl_val_double(near);
    case 1:
        return (struct kl_val){.type = KL_T_FLOAT, .d = (double)(float)near};
    case 2:
        if (fabs(mark) < 9e18) {
            return kl_val_i64((int64_t)mark + step);
        }
        return kl_val_i64(mark > 0 ? INT64_MAX - (int64_t)below(2) : INT64_MIN + (int64_t)below(2));
    case 3:
        return kl_val_int(KL_T_INT, (int32_t)rnd() >> below(32));
    default:
        break;
    }
    __int128 unit = 1, v;
    int scale = (int)below(38);
    for (int i = 0; i < scale; i++) {
        unit *= 10;
    }
    double most = 9e37 / (double)unit;
    v = fabs(mark) < most && !isnan(mark) ? (__int128)(mark * (double)unit) + step : (__int128)step;
    return kl_val_decimal(v, (uint8_t)scale);
}

static void test_laws(void **state) {
    for (int i = 0; i < 300000; i++) {
        struct kl_val a = random_number(), b = random_number(), c = random_number();
        int ab = sign(kl_val_cmp(&a, &b)), bc = sign(kl_val_cmp(&b, &c)),
            ac = sign(kl_val_cmp(&a, &c));
        if (kl_val_cmp(&a, &a) != 0 || sign(kl_val_cmp(&b, &a)) != -ab ||
            (ab <= 0 && bc <= 0 && ac > 0) || (ab == 0 && ac != bc) ||
            (ab < 0 && bc <= 0 && ac >= 0)) {
            fail_msg("%s (%u), %s (%u), %s (%u)", TEXT_OF(&a), a.type, TEXT_OF(&b), b.type,
                TEXT_OF(&c), c.type);
        }
        if (a.type == b.type && ab == 0 && kl_val_hash(&a) != kl_val_hash(&b)) {
            fail_msg("%s and %s hash apart", TEXT_OF(&a), TEXT_OF(&b));
        }
        kl_arena_reset(&arena);
    }
}

/* Against long double where that is exact: 64 bits hold any int64 and any double. */
static void test_model(void **state) {
    for (int i = 0; i < 200000; i++) {
        struct kl_val a = kl_val_i64((int64_t)rnd() >> below(64)), b;
        double near = (double)a.i;
        b = kl_val_double(below(2) ? nextafter(near, below(2) ? INFINITY : -INFINITY)
                                   : near + (double)below(3) / 2);
        long double x = (long double)a.i, y = (long double)b.d;
        assert_int_equal(sign(kl_val_cmp(&a, &b)), (x > y) - (x < y));
    }
}

int main(void) {
    seed_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_laws),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
