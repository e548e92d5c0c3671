/* Type names: every spelling, modifiers, refusals, and the two shown forms back and forth. */
#include "support.h"

static struct kl_type named(const char *name) {
    struct kl_type t;
    if (kl_type_parse(kl_slice_str(name), &t, &last_err) != KL_OK) {
        fail_msg("%s: %s", name, last_err.msg);
    }
    return t;
}

static void no_type(const char *name, const char *message) {
    struct kl_type t;
    enum kl_rc rc = kl_type_parse(kl_slice_str(name), &t, &last_err);
    if (rc != KL_E_INVALID_SQL) {
        fail_msg("'%s' gave %d", name, rc);
    }
    assert_string_equal(last_err.msg, message);
}

static void test_spellings(void **state) {
    static const struct {
        uint8_t id;
        const char *names;
    } all[] = {
        {KL_T_BOOLEAN, "BOOLEAN;bool;Bool;pg_catalog.bool"},
        {KL_T_SMALLINT, "SMALLINT;int2"},
        {KL_T_INT, "INT;INTEGER;INT4;MEDIUMINT;int(11)"},
        {KL_T_BIGINT, "BIGINT;INT8;INT64;BIGSERIAL;SERIAL8;SERIAL;SERIAL4;SMALLSERIAL;SERIAL2"},
        {KL_T_DOUBLE,
            "DOUBLE;DOUBLE PRECISION;double \t\n precision;FLOAT8;FLOAT64;float(25);FLOAT(53)"},
        {KL_T_FLOAT, "FLOAT;REAL;FLOAT4;float(24);FLOAT(1)"},
        {KL_T_TEXT, "TEXT;STRING;VARCHAR(20);varchar;CHAR(3);character varying(10);CHARACTER "
                    "VARYING;NVARCHAR(5);CLOB;"
                    "MEDIUMTEXT;LongText;citext;ARRAY;ARRAY<INT>;ENUM('a','b');enum('x)y');SET('a')"
                    ";STRUCT<a INT>;bpchar"},
        {KL_T_TIMESTAMP,
            "TIMESTAMP;timestamp(3);TIMESTAMP WITH TIME ZONE;timestamp(6) with time zone;"
            "TIMESTAMP WITHOUT TIME ZONE"},
        {KL_T_DATETIME, "DATETIME;TIMESTAMPTZ;timestamptz(3)"},
        {KL_T_DATE, "DATE;date "},
        {KL_T_TIME, "TIME;time(3);TIME WITHOUT TIME ZONE;TIME WITH TIME ZONE"},
        {KL_T_JSON, "JSON;JSONB"},
        {KL_T_BYTES, "BYTES;BYTEA;BINARY;VARBINARY(16);BLOB"},
        {KL_T_UUID, "UUID;  uuid  "},
        {KL_T_FILE, "FILE"},
        {KL_T_INTERVAL, "INTERVAL"},
        {KL_T_DECIMAL, "DECIMAL;NUMERIC;DEC(3);decimal ( 10 , 2 )"},
        {KL_T_EMBEDDING, "EMBEDDING(384);embedding( 3 )"},
    };
    for (size_t i = 0; i < KL_LEN(all); i++) {
        char *copy = kl_xstrdup(all[i].names), *save = NULL;
        for (char *name = strtok_r(copy, ";", &save); name; name = strtok_r(NULL, ";", &save)) {
            if (named(name).id != all[i].id) {
                fail_msg("%s is type %u, wanted %u", name, named(name).id, all[i].id);
            }
        }
        free(copy);
    }
}

static void test_modifiers(void **state) {
    struct kl_type t = named("DECIMAL");
    assert_int_equal(t.precision, 38);
    assert_int_equal(t.scale, 10);
    t = named("numeric(12)");
    assert_int_equal(t.precision, 12);
    assert_int_equal(t.scale, 0);
    t = named("NUMERIC(38,38)");
    assert_int_equal(t.precision, 38);
    assert_int_equal(t.scale, 38);
    assert_int_equal(named("EMBEDDING(8192)").dim, 8192);
    assert_int_equal(named("EMBEDDING(1)").dim, 1);
}

static void test_refusals(void **state) {
    static const char *const unknown[] = {"TINYINT", "INT UNSIGNED", "UNSIGNED INT", "money",
        "VARCHAR(20", "int[]", "point", "blob2", "hyper text", "a.b", "int)", "int(1)(2)"};
    for (size_t i = 0; i < KL_LEN(unknown); i++) {
        char want[100];
        snprintf(want, sizeof(want), "Unsupported data type: %s", unknown[i]);
        no_type(unknown[i], want);
    }
    no_type("", "Unsupported data type: ");
    no_type("()", "Unsupported data type: ()");
    no_type("EMBEDDING",
        "EMBEDDING type requires exactly one dimension parameter, e.g., EMBEDDING(384)");
    no_type("EMBEDDING(1,2)",
        "EMBEDDING type requires exactly one dimension parameter, e.g., EMBEDDING(384)");
    no_type("EMBEDDING(abc)", "EMBEDDING dimension must be a positive integer, got 'abc'");
    no_type("EMBEDDING(-3)", "EMBEDDING dimension must be a positive integer, got '-3'");
    no_type("EMBEDDING(0)", "EMBEDDING dimension must be at least 1");
    no_type("EMBEDDING(8193)", "EMBEDDING dimension must be at most 8192 (found 8193)");
    no_type("DECIMAL(0)", "DECIMAL precision must be between 1 and 38");
    no_type("DECIMAL(39,2)", "DECIMAL precision must be between 1 and 38");
    no_type("DECIMAL(5,6)", "DECIMAL scale must be between 0 and the precision 5");
    no_type("DECIMAL(5,-1)", "DECIMAL precision must be between 1 and 38");
    no_type("DECIMAL(1,2,3)", "DECIMAL precision must be between 1 and 38");
    char name[4000];
    memset(name, 'x', sizeof(name));
    struct kl_type t;
    assert_int_equal(kl_type_parse(kl_slice(name, sizeof(name)), &t, &last_err), KL_E_INVALID_SQL);
    assert_int_equal(kl_type_parse(kl_slice(name, sizeof(name)), &t, NULL), KL_E_INVALID_SQL);
}

static void shown(struct kl_type t, const char *sql, const char *json) {
    struct kl_buf b;
    kl_buf_init(&b, 0);
    kl_type_sql_name(t, &b);
    assert_true(kl_slice_eq_str(kl_buf_view(&b), sql));
    struct kl_type again;
    if (t.id != KL_T_NULL) {
        assert_int_equal(kl_type_parse(kl_buf_view(&b), &again, NULL), KL_OK);
        assert_memory_equal(&again, &t, sizeof(t));
    }
    kl_buf_clear(&b);
    kl_type_json_name(t, &b);
    assert_true(kl_slice_eq_str(kl_buf_view(&b), json));
    assert_int_equal(kl_type_from_json_name(kl_buf_view(&b), &again), KL_OK);
    if (t.id != KL_T_NULL && t.id != KL_T_INTERVAL) {
        assert_memory_equal(&again, &t, sizeof(t));
    }
    kl_buf_deinit(&b);
}

static void test_shown(void **state) {
    shown(KL_TYPE(BOOLEAN), "BOOLEAN", "\"Boolean\"");
    shown(KL_TYPE(SMALLINT), "SMALLINT", "\"SmallInt\"");
    shown(KL_TYPE(INT), "INT", "\"Int\"");
    shown(KL_TYPE(BIGINT), "BIGINT", "\"BigInt\"");
    shown(KL_TYPE(FLOAT), "FLOAT", "\"Float\"");
    shown(KL_TYPE(DOUBLE), "DOUBLE", "\"Double\"");
    shown(KL_TYPE(TEXT), "TEXT", "\"Text\"");
    shown(KL_TYPE(TIMESTAMP), "TIMESTAMP", "\"Timestamp\"");
    shown(KL_TYPE(DATE), "DATE", "\"Date\"");
    shown(KL_TYPE(DATETIME), "DATETIME", "\"DateTime\"");
    shown(KL_TYPE(TIME), "TIME", "\"Time\"");
    shown(KL_TYPE(JSON), "JSON", "\"Json\"");
    shown(KL_TYPE(BYTES), "BYTES", "\"Bytes\"");
    shown(KL_TYPE(UUID), "UUID", "\"Uuid\"");
    shown(KL_TYPE(FILE), "FILE", "\"File\"");
    shown(KL_TYPE(INTERVAL), "INTERVAL", "\"Text\"");
    shown(KL_TYPE(NULL), "TEXT", "\"Text\"");
    shown(dec(10, 2), "DECIMAL(10, 2)", "{\"Decimal\":{\"precision\":10,\"scale\":2}}");
    shown(emb(384), "EMBEDDING(384)", "{\"Embedding\":384}");
}

static void test_json_names(void **state) {
    struct kl_type t;
    assert_int_equal(kl_type_from_json_name(
                         KL_S(" { \"Decimal\" : { \"scale\" : 2 , \"precision\" : 18 } } "), &t),
        KL_OK);
    assert_int_equal(t.precision, 18);
    assert_int_equal(t.scale, 2);
    static const char *const bad[] = {"", "\"", "BigInt", "\"bigint\"", "\"Nope\"", "{}",
        "{\"Decimal\":{}}", "{\"Decimal\":{\"precision\":39,\"scale\":2}}",
        "{\"Decimal\":{\"precision\":5,\"scale\":6}}", "{\"Decimal\":{\"precision\":10}}",
        "{\"Decimal\":{\"precision\":10,\"scale\":2}", "{\"Embedding\":0}", "{\"Embedding\":9000}",
        "{\"Embedding\":}", "{\"Embedding\":3}x", "{\"Decimal\":{\"precision\":10,\"scale\":2}}}"};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        if (kl_type_from_json_name(kl_slice_str(bad[i]), &t) == KL_OK) {
            fail_msg("accepted %s", bad[i]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_modifiers),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_json_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
