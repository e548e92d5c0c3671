/* Values as text, JSON cells and SQL literals; numbers at their limits; random round trips of every
 * type. */
#include "support.h"
#include <float.h>
#include <math.h>

static void test_integers(void **state) {
    reads(KL_TYPE(SMALLINT), "-32768", "-32768");
    reads(KL_TYPE(SMALLINT), " +32767 ", "32767");
    reads(KL_TYPE(INT), "-2147483648", "-2147483648");
    reads(KL_TYPE(BIGINT), "-9223372036854775808", "-9223372036854775808");
    reads(KL_TYPE(BIGINT), "9223372036854775807", "9223372036854775807");
    reads(KL_TYPE(BIGINT), "0000000000000000000000000000042", "42");
    refused(
        KL_TYPE(SMALLINT), "32768", KL_E_TYPE, "value \"32768\" is out of range for type smallint");
    refused(KL_TYPE(INT), "-2147483649", KL_E_TYPE,
        "value \"-2147483649\" is out of range for type integer");
    refused(KL_TYPE(BIGINT), "9223372036854775808", KL_E_TYPE,
        "value \"9223372036854775808\" is out of range for type bigint");
    refused(KL_TYPE(BIGINT), "-9223372036854775809", KL_E_TYPE,
        "value \"-9223372036854775809\" is out of range for type bigint");
    static const char *const bad[] = {
        "", " ", "-", "+", "1.0", "1e3", "0x10", "x", "1 2", "--1", "1_000", "١"};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        char want[100];
        snprintf(want, sizeof(want), "invalid input syntax for type bigint: \"%s\"", bad[i]);
        refused(KL_TYPE(BIGINT), bad[i], KL_E_TYPE, want);
    }
}

static void test_floats(void **state) {
    static const char *const doubles[][2] = {{"0", "0"}, {"-0", "-0"}, {"1.5", "1.5"},
        {".5", "0.5"}, {"5.", "5"}, {"0.1", "0.1"}, {"1e15", "1e+15"},
        {"123456789012345", "123456789012345"}, {"1e14", "100000000000000"},
        {"123456789012345678", "1.2345678901234568e+17"}, {"0.0001", "0.0001"},
        {"0.00001", "1e-05"}, {"1e-7", "1e-07"}, {"1e100", "1e+100"}, {"NaN", "NaN"},
        {" infinity ", "Infinity"}, {"-Inf", "-Infinity"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"}, {"4.9e-324", "5e-324"},
        {"2.2250738585072014E-308", "2.2250738585072014e-308"}, {"12345.678", "12345.678"},
        {"9007199254740993", "9.007199254740992e+15"}, {"100000000000000.5", "100000000000000.5"},
        {"0.3", "0.3"}, {"0.30000000000000004", "0.30000000000000004"}};
    for (size_t i = 0; i < KL_LEN(doubles); i++) {
        reads(KL_TYPE(DOUBLE), doubles[i][0], doubles[i][1]);
    }
    static const char *const floats[][2] = {{"0.1", "0.1"}, {"1e6", "1e+06"}, {"999999", "999999"},
        {"1234567", "1.234567e+06"}, {"16777217", "1.6777216e+07"},
        {"3.4028235e38", "3.4028235e+38"}, {"1e-45", "1e-45"}, {"0.0001", "0.0001"},
        {"-2.5", "-2.5"}};
    for (size_t i = 0; i < KL_LEN(floats); i++) {
        reads(KL_TYPE(FLOAT), floats[i][0], floats[i][1]);
    }
    /* once to float, not by way of double: just above the middle of 1 and the next float */
    assert_true(parse(KL_TYPE(FLOAT), "1.00000005960464477540").d == (double)nextafterf(1, 2));
    refused(KL_TYPE(DOUBLE), "1e309", KL_E_TYPE, "value \"1e309\" is out of range for type double");
    refused(
        KL_TYPE(DOUBLE), "1e-400", KL_E_TYPE, "value \"1e-400\" is out of range for type double");
    refused(KL_TYPE(FLOAT), "1e39", KL_E_TYPE, "value \"1e39\" is out of range for type float");
    static const char *const bad[] = {
        "", "-", ".", "e5", "1e", "0x1p3", "nan(1)", "1.2.3", "1,5", "+nan", "infinit", "1 2"};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        char want[100];
        snprintf(want, sizeof(want), "invalid input syntax for type double: \"%s\"", bad[i]);
        refused(KL_TYPE(DOUBLE), bad[i], KL_E_TYPE, want);
    }
    char big[1300];
    memset(big, '1', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    struct kl_val v;
    assert_int_equal(kl_val_parse(KL_TYPE(DOUBLE), kl_slice_str(big), &arena, &v, NULL), KL_E_TYPE);
    big[1] = '.';
    big[900] = 0;
    assert_true(parse(KL_TYPE(DOUBLE), big).d == 10.0 / 9);
}

static void test_booleans(void **state) {
    static const char *const yes[] = {
        "t", "true", "TRUE", "tr", "y", "yes", "ye", "on", "1", " True "};
    static const char *const no[] = {"f", "false", "fals", "n", "no", "off", "of", "0"};
    static const char *const bad[] = {"", "o", "2", "truee", "yess", "10", "tt"};
    for (size_t i = 0; i < KL_LEN(yes); i++) {
        reads(KL_TYPE(BOOLEAN), yes[i], "true");
    }
    for (size_t i = 0; i < KL_LEN(no); i++) {
        reads(KL_TYPE(BOOLEAN), no[i], "false");
    }
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        char want[100];
        snprintf(want, sizeof(want), "invalid input syntax for type boolean: \"%s\"", bad[i]);
        refused(KL_TYPE(BOOLEAN), bad[i], KL_E_TYPE, want);
    }
}

static void test_uuids(void **state) {
    const char *want = "3f0c1e9a-0b1c-4d2e-8f30-112233445566";
    reads(KL_TYPE(UUID), "3f0c1e9a-0b1c-4d2e-8f30-112233445566", want);
    reads(KL_TYPE(UUID), "3F0C1E9A0B1C4D2E8F30112233445566", want);
    reads(KL_TYPE(UUID), " {3f0c1e9a-0b1c-4d2e-8f30-112233445566} ", want);
    reads(KL_TYPE(UUID), "3f0c-1e9a-0b1c-4d2e-8f30-1122-3344-5566", want);
    static const char *const bad[] = {"", "3f0c1e9a-0b1c-4d2e-8f30-11223344556",
        "3f0c1e9a-0b1c-4d2e-8f30-1122334455667", "{3f0c1e9a-0b1c-4d2e-8f30-112233445566",
        "3f0c1e9a--0b1c-4d2e-8f30-112233445566", "3f0c1e9-a0b1c-4d2e-8f30-112233445566",
        "3f0c1e9a-0b1c-4d2e-8f30-11223344556g", "3f0c1e9a-0b1c-4d2e-8f30-112233445566-"};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        char text[120];
        snprintf(text, sizeof(text), "Invalid UUID literal: \"%s\"", bad[i]);
        refused(KL_TYPE(UUID), bad[i], KL_E_TYPE, text);
    }
}

static void test_bytes(void **state) {
    reads(KL_TYPE(BYTES), "\\xDEADbeef", "\\xdeadbeef");
    reads(KL_TYPE(BYTES), "\\xDE AD", "\\xdead");
    reads(KL_TYPE(BYTES), "\\x", "\\x");
    reads(KL_TYPE(BYTES), "", "\\x");
    reads(KL_TYPE(BYTES), "abc", "\\x616263");
    reads(KL_TYPE(BYTES), "a\\\\b\\000\\377", "\\x615c6200ff");
    static const char *const bad[] = {"\\xABC", "\\xZZ", "\\", "a\\9", "\\400", "\\12", "\\x1 2"};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        char want[100];
        snprintf(want, sizeof(want), "invalid input syntax for type bytes: \"%s\"", bad[i]);
        refused(KL_TYPE(BYTES), bad[i], KL_E_TYPE, want);
    }
}

static void test_embeddings(void **state) {
    reads(emb(3), "[0.1, 0.2,-3e10]", "[0.1,0.2,-3e+10]");
    reads(emb(1), " [ 1 ] ", "[1]");
    reads(emb(0), "[1,2]", "[1,2]");
    refused(
        emb(3), "[1,2]", KL_E_TYPE, "Embedding dimension mismatch: expected 3, got 2");
    refused(emb(3), "[]", KL_E_TYPE, "Embedding dimension mismatch: expected 3, got 0");
    refused(emb(3), "[1,2,3,4]", KL_E_TYPE,
        "Embedding dimension mismatch: expected 3, got 4");
    static const char *const bad[] = {"", "[", "]", "1,2", "[1,2", "1,2]", "[1,,]", "[1,]", "[a,b]",
        "[NaN,1]", "[1,Infinity]", "[1,1e39]", "[1][2]", "[1,[2]]", "{1,2}", "[1] ,[2]"};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        struct kl_val v;
        if (kl_val_parse(emb(2), kl_slice_str(bad[i]), &arena, &v, &last_err) != KL_E_TYPE) {
            fail_msg("accepted %s", bad[i]);
        }
    }
}

static void test_texts(void **state) {
    reads(KL_TYPE(TEXT), "  h\xc3\xa9llo ", "  h\xc3\xa9llo ");
    reads(KL_TYPE(JSON), " {\"a\":[1,2]} ", " {\"a\":[1,2]} ");
    refused(KL_TYPE(TEXT), "a\xff", KL_E_TYPE, "the text is not valid UTF-8");
    refused(KL_TYPE(JSON), "{a:1}", KL_E_TYPE, "invalid input syntax for type json: \"{a:1}\"");
    refused(KL_TYPE(FILE), "", KL_E_TYPE, "invalid input syntax for type file: \"\"");
    struct kl_slice text = KL_S("borrowed");
    struct kl_val v;
    assert_int_equal(kl_val_parse(KL_TYPE(TEXT), text, NULL, &v, NULL), KL_OK);
    assert_ptr_equal(v.s, text.ptr);
    assert_int_equal(kl_val_parse(KL_TYPE(NULL), text, NULL, &v, NULL), KL_OK);
    assert_true(v.type == KL_T_TEXT && v.flags == KL_VAL_UNKNOWN);
    assert_int_equal(kl_val_parse((struct kl_type){.id = 77}, text, &arena, &v, NULL), KL_E_TYPE);
    /* a message quotes a beginning, cut between characters */
    char big[1000];
    for (int i = 0; i < 999; i++) {
        big[i] = "\xe2\x82\xac"[i % 3];
    }
    assert_int_equal(
        kl_val_parse(KL_TYPE(BIGINT), kl_slice(big, 999), &arena, &v, &last_err), KL_E_TYPE);
    assert_true(kl_utf8_valid(kl_slice_str(last_err.msg)));
    assert_true(strlen(last_err.msg) < 200);
}

static void json(struct kl_val v, const char *want) {
    assert_string_equal(JSON_OF(&v), want);
}

static void test_json_cells(void **state) {
    json(kl_val_null(KL_T_BIGINT), "null");
    json(kl_val_bool(true), "true");
    json(kl_val_bool(false), "false");
    json(kl_val_int(KL_T_SMALLINT, -3), "-3");
    json(kl_val_int(KL_T_INT, 42), "42");
    json(kl_val_i64(INT64_C(9007199254740993)), "\"9007199254740993\"");
    json(kl_val_i64(INT64_MIN), "\"-9223372036854775808\"");
    json(kl_val_double(1.5), "1.5");
    json(kl_val_double(NAN), "\"NaN\"");
    json(kl_val_double(-INFINITY), "\"-Infinity\"");
    json((struct kl_val){.type = KL_T_FLOAT, .d = (double)0.1f}, "0.1");
    json((struct kl_val){.type = KL_T_FLOAT, .d = INFINITY}, "\"Infinity\"");
    json(kl_val_text(KL_S("hi \"x\"\n")), "\"hi \\\"x\\\"\\n\"");
    json(kl_val_decimal(1230, 2), "\"12.30\"");
    json(kl_val_int(KL_T_DATE, 20000), "20000");
    json(kl_val_int(KL_T_TIMESTAMP, INT64_C(1760000000000000)), "1760000000000000");
    json(kl_val_int(KL_T_DATETIME, -1), "-1");
    json(kl_val_int(KL_T_TIME, INT64_C(34200000000)), "34200000000");
    json(parse(KL_TYPE(UUID), "3F0C1E9A-0B1C-4D2E-8F30-112233445566"),
        "\"3f0c1e9a-0b1c-4d2e-8f30-112233445566\"");
    json(parse(KL_TYPE(JSON), "{\"a\":1}"), "\"{\\\"a\\\":1}\"");
    json(parse(KL_TYPE(FILE), "{\"id\":\"7\"}"), "\"{\\\"id\\\":\\\"7\\\"}\"");
    json(parse(KL_TYPE(BYTES), "\\xdead00"), "[222,173,0]");
    json(parse(KL_TYPE(BYTES), ""), "[]");
    json(parse(emb(2), "[0.1,0.2]"), "[0.1,0.2]");
    json(parse(KL_TYPE(INTERVAL), "1 day 2 hours"), "\"1 day 02:00:00\"");
}

static void sql(struct kl_val v, const char *want) {
    assert_string_equal(SQL_OF(&v), want);
}

static void test_sql_literals(void **state) {
    sql(kl_val_null(KL_T_TEXT), "NULL");
    sql(kl_val_bool(true), "TRUE");
    sql(kl_val_int(KL_T_INT, -42), "-42");
    sql(kl_val_i64(42), "42");
    sql(kl_val_i64(INT64_MIN), "CAST('-9223372036854775808' AS BIGINT)");
    sql(kl_val_double(1.5), "CAST('1.5' AS DOUBLE PRECISION)");
    sql(kl_val_double(NAN), "CAST('NaN' AS DOUBLE PRECISION)");
    sql((struct kl_val){.type = KL_T_FLOAT, .d = 2.5}, "CAST('2.5' AS REAL)");
    sql(kl_val_decimal(-1230, 2), "-12.30");
    sql(kl_val_decimal(12, 0), "CAST('12' AS DECIMAL(38, 0))");
    sql(kl_val_text(KL_S("it's '' ok")), "'it''s '''' ok'");
    sql(kl_val_text(KL_S("")), "''");
    sql(kl_val_text(KL_S("'")), "''''");
    sql(parse(KL_TYPE(JSON), "\"it's\""), "CAST('\"it''s\"' AS JSON)");
    sql(parse(KL_TYPE(FILE), "{}"), "'{}'");
    sql(parse(KL_TYPE(BYTES), "\\xdead"), "X'dead'");
    sql(parse(KL_TYPE(UUID), "3F0C1E9A-0B1C-4D2E-8F30-112233445566"),
        "CAST('3f0c1e9a-0b1c-4d2e-8f30-112233445566' AS UUID)");
    sql(parse(emb(2), "[0.1,2]"), "CAST('[0.1,2]' AS EMBEDDING(2))");
    sql(parse(KL_TYPE(TIMESTAMP), "2026-01-01"), "TIMESTAMP '2026-01-01 00:00:00'");
    sql(parse(KL_TYPE(DATETIME), "2026-01-01"), "TIMESTAMPTZ '2026-01-01 00:00:00+00'");
    sql(parse(KL_TYPE(DATE), "2026-01-01"), "DATE '2026-01-01'");
    sql(parse(KL_TYPE(TIME), "10:00"), "TIME '10:00:00'");
    sql(parse(KL_TYPE(INTERVAL), "1 mon -2 days"), "INTERVAL '1 months -2 days 0 microseconds'");
}

static double random_double(void) {
    switch (below(4)) {
    case 0:
        return (double)(int64_t)(rnd() >> below(64));
    case 1:
        return (double)((int64_t)below(2000000) - 1000000) / 1000;
    default:
        break;
    }
    uint64_t bits = rnd();
    double d;
    memcpy(&d, &bits, sizeof(d));
    return d;
}

static float random_float(void) {
    uint32_t bits = (uint32_t)rnd();
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

static const char *random_bytes(size_t n, bool text) {
    char *p = kl_arena_alloc(&arena, n + 1);
    for (size_t i = 0; i < n; i++) {
        p[i] = (char)(text ? ' ' + below(95) : below(256));
    }
    return p;
}

static struct kl_val random_value(struct kl_type *t) {
    static const uint8_t ids[] = {KL_T_BOOLEAN, KL_T_SMALLINT, KL_T_INT, KL_T_BIGINT, KL_T_FLOAT,
        KL_T_DOUBLE, KL_T_TEXT, KL_T_UUID, KL_T_BYTES, KL_T_EMBEDDING, KL_T_DECIMAL};
    *t = (struct kl_type){.id = ids[below(KL_LEN(ids))]};
    size_t n = below(20);
    switch (t->id) {
    case KL_T_BOOLEAN:
        return kl_val_bool(below(2));
    case KL_T_SMALLINT:
        return kl_val_int(t->id, (int16_t)rnd());
    case KL_T_INT:
        return kl_val_int(t->id, (int32_t)rnd());
    case KL_T_BIGINT:
        return kl_val_i64((int64_t)rnd() >> below(64));
    case KL_T_FLOAT:
        return (struct kl_val){.type = t->id, .d = (double)random_float()};
    case KL_T_DOUBLE:
        return kl_val_double(random_double());
    case KL_T_TEXT:
        return kl_val_text(kl_slice(random_bytes(n, true), n));
    case KL_T_UUID:
        return kl_val_str(t->id, kl_slice(random_bytes(16, false), 16));
    case KL_T_BYTES:
        return kl_val_str(t->id, kl_slice(random_bytes(n, false), n));
    case KL_T_DECIMAL:
        t->precision = 38;
        t->scale = (uint8_t)below(39);
        return kl_val_decimal((int64_t)rnd() * (__int128)(1 + below(1000000000000)), t->scale);
    default:
        break;
    }
    t->dim = (uint16_t)(n + 1);
    float *f = kl_arena_alloc(&arena, t->dim * sizeof(*f));
    for (size_t i = 0; i < t->dim; i++) {
        do {
            f[i] = random_float();
        } while (!isfinite(f[i]));
    }
    return kl_val_str(t->id, kl_slice(f, t->dim * sizeof(*f)));
}

/* parse(to_text(v)) == v, and equal values hash alike, also after a copy. */
static void test_round_trips(void **state) {
    for (int i = 0; i < 100000; i++) {
        struct kl_type t;
        struct kl_val v = random_value(&t), copy;
        struct kl_val again = parse(t, TEXT_OF(&v));
        bool sign = (t.id == KL_T_DOUBLE || t.id == KL_T_FLOAT) && !isnan(v.d) &&
                    signbit(v.d) != signbit(again.d);
        if (!kl_val_same(&v, &again) || kl_val_hash(&v) != kl_val_hash(&again) || sign) {
            fail_msg("type %u: %s -> %s", t.id, TEXT_OF(&v), TEXT_OF(&again));
        }
        assert_true(kl_val_dup(&arena, &v, &copy));
        assert_true(kl_val_same(&v, &copy));
        kl_arena_reset(&arena);
    }
}

/* Every way into the number, fast or not, rounds as the C library does. */
static void test_against_strtod(void **state) {
    for (int i = 0; i < 100000; i++) {
        char text[64];
        int digits = 1 + (int)below(19), point = (int)below(20), n = 0;
        for (int k = 0; k < digits; k++) {
            if (k == point) {
                text[n++] = '.';
            }
            text[n++] = (char)('0' + below(10));
        }
        text[n] = 0;
        if (below(3) == 0) {
            sprintf(text + n, "e%d", (int)below(36) - 18);
        }
        if (parse(KL_TYPE(DOUBLE), text).d != strtod(text, NULL) ||
            parse(KL_TYPE(FLOAT), text).d != (double)strtof(text, NULL)) {
            fail_msg("%s", text);
        }
    }
}

/* The shortest text: no shorter one reads back. Compared with the library's own digits at one
 * fewer. */
static void test_shortest(void **state) {
    for (int i = 0; i < 20000; i++) {
        double d = random_double();
        if (!isfinite(d) || d == 0) {
            continue;
        }
        struct kl_val v = kl_val_double(d);
        const char *text = TEXT_OF(&v);
        int digits = 0, zeros = 0;
        for (const char *p = text; *p && *p != 'e'; p++) {
            bool digit = *p >= '0' && *p <= '9';
            digits += digit && (digits > 0 || *p != '0');
            zeros = digit ? (*p == '0' ? zeros + 1 : 0) : zeros;
        }
        char shorter[40];
        digits -= strchr(text, '.') ? 0 : zeros;
        if (digits > 1) {
            snprintf(shorter, sizeof(shorter), "%.*e", digits - 2, d);
            if (strtod(shorter, NULL) == d) {
                fail_msg("%s could be %s", text, shorter);
            }
        }
    }
}

static void test_budget(void **state) {
    struct kl_arena small;
    struct kl_val v, keep = kl_val_i64(7);
    struct kl_slice big = kl_slice(random_bytes(100000, true), 100000);
    kl_arena_init(&small, 4096);
    for (size_t i = 0; i < big.len; i++) {
        ((char *)big.ptr)[i] = 'a';
    }
    v = keep;
    assert_int_equal(kl_val_parse(KL_TYPE(BYTES), big, &small, &v, &last_err), KL_E_TOO_LARGE);
    assert_int_equal(v.i, 7);
    struct kl_val text = kl_val_text(big);
    assert_false(kl_val_dup(&small, &text, &v));
    struct kl_val bytes = kl_val_str(KL_T_BYTES, big);
    assert_int_equal(kl_val_cast(&bytes, KL_TYPE(TEXT), KL_CAST_EXPLICIT, &small, &v, &last_err),
        KL_E_TOO_LARGE);
    kl_arena_deinit(&small);
}

int main(void) {
    seed_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_uuids),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_embeddings),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_json_cells),
        cmocka_unit_test(test_sql_literals),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_against_strtod),
        cmocka_unit_test(test_shortest),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
