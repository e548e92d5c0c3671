/* Conversions: the whole matrix under both rules, rounding, limits, what clients send, common
 * types. */
#include "support.h"
#include <math.h>

static struct kl_val unknown(const char *text) {
    struct kl_val v = kl_val_text(kl_slice_str(text));
    v.flags = KL_VAL_UNKNOWN;
    return v;
}

static struct kl_val single(float f) {
    return (struct kl_val){.type = KL_T_FLOAT, .d = (double)f};
}

static void casts_how(struct kl_val v, struct kl_type to, enum kl_cast how, const char *want) {
    struct kl_val out;
    if (kl_val_cast(&v, to, how, &arena, &out, &last_err) != KL_OK) {
        fail_msg("%s to %u: %s", TEXT_OF(&v), to.id, last_err.msg);
    }
    assert_int_equal(out.type, to.id);
    assert_int_equal(out.flags, 0);
    assert_string_equal(TEXT_OF(&out), want);
}

static void casts(struct kl_val v, struct kl_type to, const char *want) {
    casts_how(v, to, KL_CAST_ASSIGN, want);
    casts_how(v, to, KL_CAST_EXPLICIT, want);
}

static void fails_how(struct kl_val v, struct kl_type to, enum kl_cast how, const char *message) {
    struct kl_val out = {.type = 99};
    enum kl_rc rc = kl_val_cast(&v, to, how, &arena, &out, &last_err);
    if (rc != KL_E_TYPE) {
        fail_msg("%s to %u gave %d", TEXT_OF(&v), to.id, rc);
    }
    assert_int_equal(out.type, 99);
    assert_string_equal(last_err.msg, message);
}

static void fails(struct kl_val v, struct kl_type to, const char *message) {
    fails_how(v, to, KL_CAST_ASSIGN, message);
    fails_how(v, to, KL_CAST_EXPLICIT, message);
}

static void test_to_integers(void **state) {
    casts(kl_val_i64(32767), KL_TYPE(SMALLINT), "32767");
    fails(kl_val_i64(32768), KL_TYPE(SMALLINT), "smallint out of range");
    fails(kl_val_i64(INT64_C(-2147483649)), KL_TYPE(INT), "integer out of range");
    casts(kl_val_double(2.5), KL_TYPE(BIGINT), "2");
    casts(kl_val_double(3.5), KL_TYPE(BIGINT), "4");
    casts(kl_val_double(-2.5), KL_TYPE(INT), "-2");
    casts(single(0.5f), KL_TYPE(SMALLINT), "0");
    casts(kl_val_double(-0x1p63), KL_TYPE(BIGINT), "-9223372036854775808");
    fails(kl_val_double(0x1p63), KL_TYPE(BIGINT), "bigint out of range");
    fails(kl_val_double(NAN), KL_TYPE(BIGINT), "bigint out of range");
    fails(kl_val_double(INFINITY), KL_TYPE(INT), "integer out of range");
    casts(kl_val_decimal(25, 1), KL_TYPE(BIGINT), "3");
    casts(kl_val_decimal(-25, 1), KL_TYPE(BIGINT), "-3");
    casts(kl_val_decimal(INT64_MAX, 0), KL_TYPE(BIGINT), "9223372036854775807");
    fails(kl_val_decimal((__int128)INT64_MAX * 10 + 5, 1), KL_TYPE(BIGINT), "bigint out of range");
    casts(unknown(" 42 "), KL_TYPE(INT), "42");
    fails(unknown("4x"), KL_TYPE(INT), "invalid input syntax for type integer: \"4x\"");
    casts_how(kl_val_bool(true), KL_TYPE(INT), KL_CAST_EXPLICIT, "1");
    fails_how(kl_val_bool(true), KL_TYPE(INT), KL_CAST_ASSIGN,
        "a value of type boolean cannot be assigned to type integer");
    casts_how(kl_val_text(KL_S("42")), KL_TYPE(INT), KL_CAST_EXPLICIT, "42");
    fails_how(kl_val_text(KL_S("42")), KL_TYPE(INT), KL_CAST_ASSIGN,
        "a value of type text cannot be assigned to type integer");
    fails_how(kl_val_int(KL_T_TIMESTAMP, 1), KL_TYPE(BIGINT), KL_CAST_EXPLICIT,
        "cannot cast type timestamp to bigint");
}

static void test_to_floats_and_decimals(void **state) {
    casts(kl_val_i64(INT64_C(9007199254740993)), KL_TYPE(DOUBLE), "9.007199254740992e+15");
    casts(kl_val_i64(16777217), KL_TYPE(FLOAT), "1.6777216e+07");
    casts(kl_val_decimal(1, 1), KL_TYPE(DOUBLE), "0.1");
    casts(kl_val_decimal(1, 1), KL_TYPE(FLOAT), "0.1");
    casts(single(0.1f), KL_TYPE(DOUBLE), "0.10000000149011612");
    casts(kl_val_double(0.1), KL_TYPE(FLOAT), "0.1");
    fails(kl_val_double(1e300), KL_TYPE(FLOAT), "float out of range");
    fails(kl_val_double(-1e-300), KL_TYPE(FLOAT), "float out of range");
    casts(kl_val_double(-INFINITY), KL_TYPE(FLOAT), "-Infinity");
    casts(kl_val_i64(42), dec(10, 2), "42.00");
    casts(kl_val_i64(INT64_MIN), dec(38, 19), "-9223372036854775808.0000000000000000000");
    casts(kl_val_i64(INT64_MIN), KL_TYPE(DECIMAL), "-9223372036854775808");
    fails(kl_val_i64(1000), dec(4, 2),
        "decimal out of range: the value does not fit in DECIMAL(4, 2)");
    casts(kl_val_decimal(12345, 3), dec(4, 2), "12.35");
    casts(kl_val_decimal(12345, 3), KL_TYPE(DECIMAL), "12.345");
    fails(kl_val_decimal(99995, 3), dec(4, 2),
        "decimal out of range: the value does not fit in DECIMAL(4, 2)");
    casts(kl_val_double(0.1), dec(38, 20), "0.10000000000000000000");
    casts(kl_val_double(0.1), KL_TYPE(DECIMAL), "0.1");
    casts(kl_val_double(1e20), KL_TYPE(DECIMAL), "100000000000000000000");
    casts(kl_val_double(-2.5), dec(5, 0), "-3");
    casts(single(0.1f), KL_TYPE(DECIMAL), "0.1");
    fails(kl_val_double(NAN), dec(5, 0), "cannot convert NaN to decimal");
    fails(kl_val_double(INFINITY), dec(5, 0), "cannot convert infinity to decimal");
    fails(kl_val_double(1e300), KL_TYPE(DECIMAL), "decimal out of range");
    casts(unknown("1.005"), dec(5, 2), "1.01");
    casts_how(parse(KL_TYPE(JSON), " 1.5 "), KL_TYPE(DOUBLE), KL_CAST_EXPLICIT, "1.5");
}

static void test_to_text_and_json(void **state) {
    casts(kl_val_i64(-5), KL_TYPE(TEXT), "-5");
    casts(kl_val_bool(true), KL_TYPE(TEXT), "true");
    casts(kl_val_decimal(150, 2), KL_TYPE(TEXT), "1.50");
    casts(parse(KL_TYPE(TIMESTAMP), "2026-01-01"), KL_TYPE(TEXT), "2026-01-01 00:00:00");
    casts(parse(KL_TYPE(UUID), "3F0C1E9A0B1C4D2E8F30112233445566"), KL_TYPE(TEXT),
        "3f0c1e9a-0b1c-4d2e-8f30-112233445566");
    casts(parse(KL_TYPE(JSON), "[1]"), KL_TYPE(TEXT), "[1]");
    casts_how(parse(KL_TYPE(BYTES), "ab"), KL_TYPE(TEXT), KL_CAST_EXPLICIT, "\\x6162");
    casts_how(parse(KL_TYPE(BYTES), ""), KL_TYPE(TEXT), KL_CAST_EXPLICIT, "\\x");
    fails_how(parse(KL_TYPE(BYTES), "ab"), KL_TYPE(TEXT), KL_CAST_ASSIGN,
        "a value of type bytes cannot be assigned to type text");
    casts_how(parse(emb(2), "[1,2]"), KL_TYPE(TEXT), KL_CAST_EXPLICIT, "[1,2]");
    casts(unknown("x"), KL_TYPE(TEXT), "x");
    casts(unknown("{\"a\": 1}"), KL_TYPE(JSON), "{\"a\": 1}");
    fails(unknown("{a}"), KL_TYPE(JSON), "invalid input syntax for type json: \"{a}\"");
    casts(kl_val_text(KL_S("[1]")), KL_TYPE(JSON), "[1]");
    fails(kl_val_text(KL_S("[1")), KL_TYPE(JSON), "invalid input syntax for type json: \"[1\"");
    casts(kl_val_i64(5), KL_TYPE(JSON), "5");
    casts(kl_val_bool(false), KL_TYPE(JSON), "false");
    casts(kl_val_double(1e20), KL_TYPE(JSON), "1e+20");
    fails(kl_val_double(NAN), KL_TYPE(JSON), "JSON has no NaN and no infinity");
    casts_how(parse(emb(2), "[1,2]"), KL_TYPE(JSON), KL_CAST_EXPLICIT, "[1,2]");
    casts(kl_val_text(KL_S("{\"id\":\"1\"}")), KL_TYPE(FILE), "{\"id\":\"1\"}");
    casts(parse(KL_TYPE(JSON), "{}"), KL_TYPE(FILE), "{}");
    fails_how(kl_val_i64(1), KL_TYPE(FILE), KL_CAST_EXPLICIT, "cannot cast type bigint to file");
}

static void test_booleans(void **state) {
    casts(unknown("yes"), KL_TYPE(BOOLEAN), "true");
    casts_how(kl_val_i64(0), KL_TYPE(BOOLEAN), KL_CAST_EXPLICIT, "false");
    casts_how(kl_val_i64(-7), KL_TYPE(BOOLEAN), KL_CAST_EXPLICIT, "true");
    fails_how(kl_val_i64(1), KL_TYPE(BOOLEAN), KL_CAST_ASSIGN,
        "a value of type bigint cannot be assigned to type boolean");
    fails_how(
        kl_val_double(1), KL_TYPE(BOOLEAN), KL_CAST_EXPLICIT, "cannot cast type double to boolean");
}

static void test_temporals(void **state) {
    struct kl_val ts = parse(KL_TYPE(TIMESTAMP), "1969-12-31 23:59:59.5"),
                  date = parse(KL_TYPE(DATE), "2026-02-03");
    casts(ts, KL_TYPE(DATE), "1969-12-31");
    casts(ts, KL_TYPE(TIME), "23:59:59.5");
    casts(ts, KL_TYPE(DATETIME), "1969-12-31 23:59:59.5+00");
    casts(date, KL_TYPE(TIMESTAMP), "2026-02-03 00:00:00");
    casts(date, KL_TYPE(DATETIME), "2026-02-03 00:00:00+00");
    casts(parse(KL_TYPE(DATE), "9999-12-31"), KL_TYPE(TIMESTAMP), "9999-12-31 00:00:00");
    fails_how(date, KL_TYPE(TIME), KL_CAST_EXPLICIT, "cannot cast type date to time");
    casts(parse(KL_TYPE(TIME), "10:00"), KL_TYPE(INTERVAL), "10:00:00");
    casts(parse(KL_TYPE(INTERVAL), "-1 hours"), KL_TYPE(TIME), "23:00:00");
    casts(parse(KL_TYPE(INTERVAL), "49 hours"), KL_TYPE(TIME), "01:00:00");
    /* what results show comes back as it was */
    casts(kl_val_i64(INT64_C(1760000000000000)), KL_TYPE(TIMESTAMP), "2025-10-09 08:53:20");
    casts(kl_val_i64(INT64_C(1760000000000000)), KL_TYPE(DATETIME), "2025-10-09 08:53:20+00");
    casts(kl_val_i64(20000), KL_TYPE(DATE), "2024-10-04");
    casts(kl_val_int(KL_T_INT, -1), KL_TYPE(DATE), "1969-12-31");
    casts(kl_val_i64(INT64_C(34200000000)), KL_TYPE(TIME), "09:30:00");
    fails(kl_val_i64(INT64_MAX), KL_TYPE(TIMESTAMP), "timestamp out of range");
    fails(kl_val_i64(3000000), KL_TYPE(DATE), "date out of range");
    fails(kl_val_i64(-1), KL_TYPE(TIME), "time out of range");
    casts(unknown("2026-01-01T10:00:00Z"), KL_TYPE(TIMESTAMP), "2026-01-01 10:00:00");
    fails_how(kl_val_text(KL_S("2026-01-01")), KL_TYPE(DATE), KL_CAST_ASSIGN,
        "a value of type text cannot be assigned to type date");
    casts_how(kl_val_text(KL_S("1 day")), KL_TYPE(INTERVAL), KL_CAST_EXPLICIT, "1 day");
}

static void test_blocks(void **state) {
    casts(kl_val_text(KL_S("3f0c1e9a0b1c4d2e8f30112233445566")), KL_TYPE(UUID),
        "3f0c1e9a-0b1c-4d2e-8f30-112233445566");
    casts(unknown("\\xDEAD"), KL_TYPE(BYTES), "\\xdead");
    casts(unknown("[1]"), KL_TYPE(BYTES), "\\x5b315d"); /* a quoted literal is its bytes */
    static const char *const arrays[] = {"[222,173]", " [ 222 , 173 ] ", "{\"0\":222,\"1\":173}",
        "{\"type\":\"Buffer\",\"data\":[222,173]}"};
    for (size_t i = 0; i < KL_LEN(arrays); i++) {
        casts(parse(KL_TYPE(JSON), arrays[i]), KL_TYPE(BYTES), "\\xdead");
    }
    casts(parse(KL_TYPE(JSON), "[]"), KL_TYPE(BYTES), "\\x");
    casts(parse(KL_TYPE(JSON), "{}"), KL_TYPE(BYTES), "\\x");
    static const char *const bad[] = {"[256]", "[-1]", "[1.5]", "[\"1\"]", "{\"1\":1}",
        "{\"0\":1,\"2\":1}", "{\"a\":1}", "5", "[[1]]", "{\"type\":\"Buffer\"}", "[1e1]"};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        char quoted[100];
        snprintf(quoted, sizeof(quoted), "invalid input syntax for type bytes: \"%s\"", bad[i]);
        fails(parse(KL_TYPE(JSON), bad[i]), KL_TYPE(BYTES), quoted);
    }
    casts(parse(KL_TYPE(JSON), "[0.5, 2]"), emb(2), "[0.5,2]");
    casts(unknown("[0.5, 2]"), emb(2), "[0.5,2]");
    casts(parse(emb(0), "[1,2]"), emb(2), "[1,2]");
    fails(parse(emb(0), "[1,2]"), emb(3),
        "Embedding dimension mismatch: expected 3, got 2");
    fails(parse(KL_TYPE(JSON), "[1,2]"), emb(3),
        "Embedding dimension mismatch: expected 3, got 2");
    fails_how(kl_val_text(KL_S("[1,2]")), emb(2), KL_CAST_ASSIGN,
        "a value of type text cannot be assigned to type embedding");
}

static const uint8_t all_ids[] = {KL_T_BOOLEAN, KL_T_SMALLINT, KL_T_INT, KL_T_BIGINT, KL_T_FLOAT,
    KL_T_DOUBLE, KL_T_DECIMAL, KL_T_TEXT, KL_T_JSON, KL_T_FILE, KL_T_BYTES, KL_T_UUID,
    KL_T_EMBEDDING, KL_T_TIMESTAMP, KL_T_DATETIME, KL_T_DATE, KL_T_TIME, KL_T_INTERVAL};

static struct kl_val sample(uint8_t id) {
    static const char *const texts[] = {"true", "1", "1", "1", "1", "1", "1", "x", "1", "{}", "x",
        "3f0c1e9a0b1c4d2e8f30112233445566", "[1]", "2026-01-01", "2026-01-01", "2026-01-01",
        "10:00", "1 day"};
    for (size_t i = 0; i < KL_LEN(all_ids); i++) {
        if (all_ids[i] == id) {
            return parse((struct kl_type){.id = id}, texts[i]);
        }
    }
    fail();
    return kl_val_null(0);
}

/* Every pair: NULL becomes a NULL of the target; what ASSIGN takes EXPLICIT takes alike; a failure
 * says why. */
static void test_matrix(void **state) {
    for (size_t a = 0; a < KL_LEN(all_ids); a++) {
        for (size_t b = 0; b < KL_LEN(all_ids); b++) {
            struct kl_type to = {.id = all_ids[b]};
            struct kl_val null = kl_val_null(all_ids[a]), v = sample(all_ids[a]), out, again;
            assert_int_equal(kl_val_cast(&null, to, KL_CAST_ASSIGN, &arena, &out, NULL), KL_OK);
            assert_true(out.null && out.type == to.id);
            last_err.msg[0] = 0;
            enum kl_rc assign = kl_val_cast(&v, to, KL_CAST_ASSIGN, &arena, &out, &last_err);
            enum kl_rc explicit_rc = kl_val_cast(&v, to, KL_CAST_EXPLICIT, &arena, &again, NULL);
            if (assign == KL_OK) {
                assert_int_equal(explicit_rc, KL_OK);
                assert_true(kl_val_same(&out, &again));
            } else {
                assert_int_equal(assign, KL_E_TYPE);
                assert_true(last_err.msg[0] != 0);
            }
            if (a == b || to.id == KL_T_TEXT) {
                assert_int_equal(explicit_rc, KL_OK);
            }
        }
    }
    struct kl_val v = kl_val_i64(1), out;
    assert_int_equal(
        kl_val_cast(&v, KL_TYPE(NULL), KL_CAST_EXPLICIT, &arena, &out, NULL), KL_E_TYPE);
}

/* There and back: exact wherever the target holds the value. */
static void test_round_trips(void **state) {
    for (int i = 0; i < 50000; i++) {
        struct kl_val v = kl_val_i64((int64_t)rnd() >> below(64)), there, back;
        static const uint8_t through[] = {
            KL_T_DECIMAL, KL_T_TEXT, KL_T_JSON, KL_T_DOUBLE, KL_T_FLOAT, KL_T_INT, KL_T_SMALLINT};
        struct kl_type to = {.id = through[below(KL_LEN(through))]}, from = KL_TYPE(BIGINT);
        enum kl_rc rc = kl_val_cast(&v, to, KL_CAST_EXPLICIT, &arena, &there, NULL);
        bool fits = to.id == KL_T_INT        ? v.i == (int32_t)v.i
                    : to.id == KL_T_SMALLINT ? v.i == (int16_t)v.i
                                             : true;
        assert_int_equal(rc, fits ? KL_OK : KL_E_TYPE);
        int64_t exact = to.id == KL_T_DOUBLE  ? INT64_C(1) << 53
                        : to.id == KL_T_FLOAT ? INT64_C(1) << 24
                                              : INT64_MAX;
        if (fits && v.i <= exact && v.i >= -exact) {
            assert_int_equal(
                kl_val_cast(&there, from, KL_CAST_EXPLICIT, &arena, &back, NULL), KL_OK);
            assert_true(back.i == v.i);
        }
        kl_arena_reset(&arena);
    }
}

static void meets(struct kl_type a, struct kl_type b, struct kl_type want) {
    struct kl_type t;
    assert_true(kl_type_common(a, b, &t));
    assert_memory_equal(&t, &want, sizeof(t));
    assert_true(kl_type_common(b, a, &t));
    assert_memory_equal(&t, &want, sizeof(t));
}

static void never_meets(struct kl_type a, struct kl_type b) {
    struct kl_type t;
    assert_false(kl_type_common(a, b, &t));
    assert_false(kl_type_common(b, a, &t));
}

static void test_common(void **state) {
    for (size_t i = 0; i < KL_LEN(all_ids); i++) {
        struct kl_type t = {.id = all_ids[i]};
        meets(t, t, t);
        meets(t, KL_TYPE(NULL), t);
    }
    meets(KL_TYPE(NULL), KL_TYPE(NULL), KL_TYPE(NULL));
    meets(KL_TYPE(SMALLINT), KL_TYPE(BIGINT), KL_TYPE(BIGINT));
    meets(KL_TYPE(SMALLINT), KL_TYPE(INT), KL_TYPE(INT));
    meets(KL_TYPE(FLOAT), KL_TYPE(INT), KL_TYPE(DOUBLE));
    meets(KL_TYPE(FLOAT), KL_TYPE(DOUBLE), KL_TYPE(DOUBLE));
    meets(dec(10, 2), KL_TYPE(DOUBLE), KL_TYPE(DOUBLE));
    meets(dec(10, 2), KL_TYPE(INT), dec(12, 2));
    meets(dec(10, 2), dec(8, 4), dec(12, 4));
    meets(dec(38, 2), dec(38, 30), dec(38, 30));
    meets(dec(10, 2), KL_TYPE(DECIMAL), KL_TYPE(DECIMAL));
    meets(KL_TYPE(TEXT), KL_TYPE(JSON), KL_TYPE(TEXT));
    meets(KL_TYPE(FILE), KL_TYPE(JSON), KL_TYPE(TEXT));
    meets(KL_TYPE(DATE), KL_TYPE(TIMESTAMP), KL_TYPE(TIMESTAMP));
    meets(KL_TYPE(DATE), KL_TYPE(DATETIME), KL_TYPE(DATETIME));
    meets(KL_TYPE(TIMESTAMP), KL_TYPE(DATETIME), KL_TYPE(DATETIME));
    meets(KL_TYPE(TIME), KL_TYPE(INTERVAL), KL_TYPE(INTERVAL));
    meets(emb(3), emb(0), emb(3));
    never_meets(emb(3), emb(4));
    never_meets(KL_TYPE(TEXT), KL_TYPE(INT));
    never_meets(KL_TYPE(BOOLEAN), KL_TYPE(INT));
    never_meets(KL_TYPE(UUID), KL_TYPE(TEXT));
    never_meets(KL_TYPE(TIME), KL_TYPE(DATE));
    never_meets(KL_TYPE(BYTES), KL_TYPE(TEXT));
}

int main(void) {
    seed_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_integers),
        cmocka_unit_test(test_to_floats_and_decimals),
        cmocka_unit_test(test_to_text_and_json),
        cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_temporals),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_common),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
