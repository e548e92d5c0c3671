/* Queries through kl_duck_run: values there and back, prepared plans used by several callers,
 * limits, errors. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fixture.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static struct kl_duck *duck;

static int setup(void **state) {
    struct kl_err err = {0};
    struct kl_duck_options options = {.memory_bytes = 256u << 20};
    if (kl_duck_new(&options, &duck, &err) != KL_OK) {
        fprintf(stderr, "%s\n%s\n", err.msg, err.hint);
        return -1;
    }
    return 0;
}
static int teardown(void **state) {
    kl_duck_free(duck);
    return 0;
}

static uint64_t next_plan = 1;

static enum kl_rc run_with(struct kl_duck_query *q, struct text_sink *sink, struct kl_err *err) {
    if (!q->plan_id) {
        q->plan_id = next_plan++;
    }
    text_sink_init(sink);
    return kl_duck_run(duck, q, &sink->base, err);
}

static void expect(struct kl_duck_query q, const char *sql, const char *types, const char *rows) {
    struct text_sink sink;
    struct kl_err err = {0};
    q.sql = kl_slice_str(sql);
    enum kl_rc rc = run_with(&q, &sink, &err);
    if (rc != KL_OK) {
        fail_msg("%s: %s", sql, err.msg);
    }
    if (types) {
        assert_string_equal(text_of(&sink.types), types);
    }
    assert_string_equal(text_of(&sink.rows), rows);
    assert_true(sink.ended);
    text_sink_deinit(&sink);
}

static struct kl_err expect_error(struct kl_duck_query q, const char *sql, enum kl_rc want) {
    struct text_sink sink;
    struct kl_err err = {0};
    q.sql = kl_slice_str(sql);
    enum kl_rc rc = run_with(&q, &sink, &err);
    if (rc != want) {
        fail_msg("%s: %s instead of %s: %s", sql, kl_rc_name(rc), kl_rc_name(want), err.msg);
    }
    assert_int_equal(err.rc, want);
    assert_null(strstr(err.msg, "kl_"));
    assert_null(strstr(err.msg, "LINE"));
    assert_false(sink.ended);
    text_sink_deinit(&sink);
    return err;
}

/* ---- values ---- */
#define SCAN1(table, scan)                                                                         \
    (struct kl_duck_query) {                                                                       \
        .scans = &(scan), .n_scans = 1, .open = mem_open_scan, .ctx = (struct mem_table *[]) {     \
            &(table)                                                                               \
        }                                                                                          \
    }

struct same_sink {
    struct kl_sink base;
    const struct kl_val *want;
    const struct kl_sink_col *cols;
    size_t n_cols, row, n_rows;
};
static enum kl_rc same_begin(
    struct kl_sink *b, const struct kl_sink_col *cols, size_t n, struct kl_err *err) {
    struct same_sink *s = (struct same_sink *)b;
    assert_int_equal(n, s->n_cols);
    for (size_t i = 0; i < n; i++) {
        assert_true(kl_slice_eq(cols[i].name, s->cols[i].name));
        assert_int_equal(
            cols[i].type.id, s->cols[i].type.id == KL_T_FILE ? KL_T_TEXT : s->cols[i].type.id);
        assert_int_equal(cols[i].type.scale, s->cols[i].type.scale);
        assert_int_equal(cols[i].type.precision, s->cols[i].type.precision);
        assert_int_equal(cols[i].type.dim, s->cols[i].type.dim);
    }
    return KL_OK;
}
static enum kl_rc same_row(struct kl_sink *b, const struct kl_val *vals, struct kl_err *err) {
    struct same_sink *s = (struct same_sink *)b;
    assert_true(s->row < s->n_rows);
    for (size_t i = 0; i < s->n_cols; i++) {
        struct kl_val want = s->want[s->row * s->n_cols + i];
        if (want.type == KL_T_FILE) {
            want.type = KL_T_TEXT;
        }
        if (!kl_val_same(&want, &vals[i]) || want.type != vals[i].type) {
            fail_msg("row %zu column %.*s differs", s->row, KL_FMT(s->cols[i].name));
        }
    }
    s->row++;
    return KL_OK;
}
static void same_end(struct kl_sink *b, uint64_t n) {}
static void same_message(struct kl_sink *b, uint64_t n, struct kl_slice m) {}

static __int128 pow10_128(int n) {
    __int128 v = 1;
    while (n-- > 0) {
        v *= 10;
    }
    return v;
}

#define N_TYPES 20
static const struct kl_sink_col every_type[N_TYPES] = {
    {KL_S("b"), KL_TYPE(BOOLEAN), 0},
    {KL_S("i2"), KL_TYPE(SMALLINT), 0},
    {KL_S("i4"), KL_TYPE(INT), 0},
    {KL_S("i8"), KL_TYPE(BIGINT), 0},
    {KL_S("f4"), KL_TYPE(FLOAT), 0},
    {KL_S("f8"), KL_TYPE(DOUBLE), 0},
    {KL_S("t"), KL_TYPE(TEXT), 0},
    {KL_S("j"), KL_TYPE(JSON), 0},
    {KL_S("file"), KL_TYPE(FILE), 0},
    {KL_S("by"), KL_TYPE(BYTES), 0},
    {KL_S("u"), KL_TYPE(UUID), 0},
    {KL_S("ts"), KL_TYPE(TIMESTAMP), 0},
    {KL_S("tz"), KL_TYPE(DATETIME), 0},
    {KL_S("d"), KL_TYPE(DATE), 0},
    {KL_S("tm"), KL_TYPE(TIME), 0},
    {KL_S("d4"), {.id = KL_T_DECIMAL, .precision = 4, .scale = 2}, 0},
    {KL_S("d9"), {.id = KL_T_DECIMAL, .precision = 9, .scale = 0}, 0},
    {KL_S("d18"), {.id = KL_T_DECIMAL, .precision = 18, .scale = 6}, 0},
    {KL_S("d38"), {.id = KL_T_DECIMAL, .precision = 38, .scale = 10}, 0},
    {KL_S("e"), {.id = KL_T_EMBEDDING, .dim = 3}, 0},
};

/* Row kinds: 0 lowest, 1 highest, 2 NULLs, 3 empty or zero, else a mixture. */
static void fill_row(struct kl_val *v, int kind, uint64_t seed) {
    static const float vec[3] = {-1.5f, 0.0f, 3.4e38f};
    static const char long_text[] =
        "a text that is longer than twelve bytes, with ö, 日本語 and '\"\\";
    static const uint8_t uuids[2][16] = {
        {0}, {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}};
    if (kind == 2) {
        for (int i = 0; i < N_TYPES; i++) {
            v[i] = kl_val_null(every_type[i].type.id);
        }
        return;
    }
    bool low = kind == 0 || (kind > 3 && seed % 2);
    bool zero = kind == 3;
    int64_t mix = kind > 3 ? (int64_t)(seed % 1000) - 500 : 0;
    v[0] = kl_val_bool(low);
    v[1] = kl_val_int(KL_T_SMALLINT, zero ? 0 : kind > 3 ? mix : low ? INT16_MIN : INT16_MAX);
    v[2] = kl_val_int(KL_T_INT, zero ? 0 : kind > 3 ? mix : low ? INT32_MIN : INT32_MAX);
    v[3] = kl_val_i64(zero ? 0 : kind > 3 ? mix : low ? INT64_MIN : INT64_MAX);
    v[4] = (struct kl_val){.type = KL_T_FLOAT, .d = zero ? 0 : low ? -INFINITY : (float)1e38};
    v[5] = kl_val_double(zero ? -0.0 : low ? NAN : INFINITY);
    struct kl_slice text = zero  ? KL_S("")
                           : low ? KL_S("twelve bytes")
                                 : kl_slice(long_text, sizeof(long_text) - 1);
    v[6] = kl_val_text(text);
    v[7] = kl_val_str(KL_T_JSON, zero ? KL_S("{}") : KL_S("{\"a\": [1, null, \"x\"]}"));
    v[8] = kl_val_str(KL_T_FILE, KL_S("{\"id\":\"1\"}"));
    v[9] = kl_val_str(KL_T_BYTES, zero  ? KL_S("")
                                  : low ? KL_S("\0\xff\n'")
                                        : KL_S("\x80 more than twelve bytes\0"));
    v[10] = kl_val_str(KL_T_UUID, kl_slice(uuids[low ? 0 : 1], 16));
    v[11] = kl_val_int(KL_T_TIMESTAMP,
        zero ? 0
             : kl_date_from_ymd(low ? 1 : 9999, low ? 1 : 12, low ? 1 : 31) * 86400000000LL + 1);
    v[12] = kl_val_int(KL_T_DATETIME, v[11].i + 999998);
    v[13] = kl_val_int(
        KL_T_DATE, zero ? 0 : kl_date_from_ymd(low ? 1 : 9999, low ? 1 : 12, low ? 1 : 31));
    v[14] = kl_val_int(KL_T_TIME, zero || low ? 0 : 86399999999LL);
    static const int digits[4] = {4, 9, 18, 38}, scales[4] = {2, 0, 6, 10};
    for (int i = 0; i < 4; i++) {
        __int128 max = pow10_128(digits[i]) - 1;
        v[15 + i] = kl_val_decimal(zero       ? 0
                                   : kind > 3 ? mix
                                   : low      ? -max
                                              : max,
            (uint8_t)scales[i]);
    }
    v[19] = kl_val_str(KL_T_EMBEDDING, kl_slice(vec, sizeof(vec)));
}

static void test_every_value_survives(void **state) {
    enum { ROWS = 5000 };
    struct kl_val *vals = kl_xcalloc((size_t)ROWS * N_TYPES, sizeof(*vals));
    for (int i = 0; i < ROWS; i++) {
        fill_row(
            vals + (size_t)i * N_TYPES, i < 4 ? i : (int)(kl_random_u64() % 8), kl_random_u64());
    }
    struct mem_table t = {.cols = every_type, .n_cols = N_TYPES, .vals = vals, .n_rows = ROWS};
    struct kl_duck_scan scan = {every_type, N_TYPES};
    struct kl_duck_query q = SCAN1(t, scan);
    q.plan_id = next_plan++;
    q.sql = KL_S("SELECT * FROM kl_scan_0()");
    for (int round = 0; round < 2; round++) {
        struct same_sink sink = {
            {same_begin, same_row, same_end, same_message}, vals, every_type, N_TYPES, 0, ROWS};
        struct kl_err err = {0};
        assert_int_equal(kl_duck_run(duck, &q, &sink.base, &err), KL_OK);
        assert_int_equal(sink.row, ROWS);
        assert_int_equal(t.live, 0);
    }
    free(vals);
}

/* Each value as a parameter comes back as it was, with the type that the text declares. */
static void test_every_parameter_survives(void **state) {
    for (int kind = 0; kind < 4; kind++) {
        struct kl_val row[N_TYPES];
        fill_row(row, kind, 0);
        struct kl_buf sql;
        kl_buf_init(&sql, 0);
        for (int i = 0; i < N_TYPES; i++) {
            kl_buf_puts(&sql, i ? ", " : "SELECT ");
            bool json = every_type[i].type.id == KL_T_JSON;
            kl_buf_printf(&sql, json ? "CAST(CAST($%d AS VARCHAR) AS " : "CAST($%d AS ", i + 1);
            kl_duck_type_name(every_type[i].type, &sql);
            kl_buf_printf(&sql, ") AS %.*s", KL_FMT(every_type[i].name));
        }
        struct kl_duck_query q = {
            .plan_id = next_plan++, .sql = kl_buf_view(&sql), .params = row, .n_params = N_TYPES};
        struct same_sink sink = {
            {same_begin, same_row, same_end, same_message}, row, every_type, N_TYPES, 0, 1};
        struct kl_err err = {0};
        if (kl_duck_run(duck, &q, &sink.base, &err) != KL_OK) {
            fail_msg("kind %d: %s", kind, err.msg);
        }
        assert_int_equal(sink.row, 1);
        kl_buf_deinit(&sql);
    }
}

static void test_result_types(void **state) {
    struct kl_duck_query q = {0};
    expect(q, "SELECT sum(x), count(*), sum(x::DECIMAL(10,2)) FROM (VALUES (1),(2)) v(x)",
        "DECIMAL(38, 0),BIGINT,DECIMAL(38, 2)", "3|2|3.00\n");
    expect(q,
        "SELECT 255::UTINYINT, 65535::USMALLINT, 4294967295::UINTEGER, "
        "18446744073709551615::UBIGINT, (-128)::TINYINT",
        "SMALLINT,INT,BIGINT,DECIMAL(20, 0),SMALLINT",
        "255|65535|4294967295|18446744073709551615|-128\n");
    expect(q, "SELECT INTERVAL '1 year 2 days 03:04:05'", "TEXT", "1 year 2 days 03:04:05\n");
    expect(q, "SELECT [1, NULL, 3], {'a': 1, 'b': ['x', NULL]}, MAP {'k': 1.5}", "TEXT,TEXT,TEXT",
        "[1,null,3]|{\"a\":1,\"b\":[\"x\",null]}|[{\"key\":\"k\",\"value\":1.5}]\n");
    expect(q, "SELECT [DATE '2020-01-02', NULL], ['a\"b']", NULL,
        "[\"2020-01-02\",null]|[\"a\\\"b\"]\n");
    expect(q, "SELECT [1.5::FLOAT, 2]::FLOAT[2], [[1,2],[3,4]]::INTEGER[2][2]", "EMBEDDING(2),TEXT",
        "[1.5,2]|[[1,2],[3,4]]\n");
    expect(q, "SELECT 'b'::ENUM('a', 'b')", "TEXT", "b\n");
    expect(q, "SELECT '1969-12-31 23:59:59.999999999'::TIMESTAMP_NS, '2020-01-01'::TIMESTAMP_S",
        "TIMESTAMP,TIMESTAMP", "1969-12-31 23:59:59.999999|2020-01-01 00:00:00\n");
    expect(q, "SELECT '{\"a\":{\"b\":1}}'::JSON -> 'a', '{\"a\":1}'::JSON ->> 'a'", "JSON,TEXT",
        "{\"b\":1}|1\n");
    expect_error(q, "SELECT 170141183460469231731687303715884105727::HUGEINT", KL_E_TYPE);
    expect_error(q, "SELECT [1.0::FLOAT, NULL]::FLOAT[2]", KL_E_TYPE);
}

/* ---- plans ---- */
static const struct kl_sink_col ab[] = {
    {KL_S("a"), KL_TYPE(BIGINT), 0}, {KL_S("b"), KL_TYPE(TEXT), 0}};

static void test_a_plan_serves_many_callers(void **state) {
    struct kl_val one[] = {
        kl_val_i64(1), kl_val_text(KL_S("x")), kl_val_i64(2), kl_val_text(KL_S("y"))};
    struct kl_val two[] = {kl_val_i64(10), kl_val_text(KL_S("p"))};
    struct mem_table t1 = {.cols = ab, .n_cols = 2, .vals = one, .n_rows = 2};
    struct mem_table t2 = {.cols = ab, .n_cols = 2, .vals = two, .n_rows = 1};
    struct kl_duck_scan scans[] = {{ab, 2}, {ab, 2}};
    struct kl_duck_query q = {
        .plan_id = next_plan++, .scans = scans, .n_scans = 2, .open = mem_open_scan};
    const char *sql = "WITH c AS MATERIALIZED (SELECT * FROM kl_scan_0()) SELECT (SELECT sum(a) "
                      "FROM c), count(*), "
                      "(SELECT max(b) FROM kl_scan_1()) FROM c";
    for (int i = 0; i < 3; i++) {
        t1.opens = t2.opens = 0;
        q.ctx = (struct mem_table *[]){&t1, &t2};
        expect(q, sql, NULL, "3|2|p\n");
        assert_int_equal(t1.opens, 1);
        assert_int_equal(t2.opens, 1);
        q.ctx = (struct mem_table *[]){&t2, &t1};
        expect(q, sql, NULL, "10|1|y\n");
    }
    assert_int_equal(t1.live + t2.live, 0);
}

static void test_projection_reaches_the_source(void **state) {
    struct kl_val vals[] = {kl_val_i64(1), kl_val_text(KL_S("x"))};
    struct mem_table t = {.cols = ab, .n_cols = 2, .vals = vals, .n_rows = 1};
    struct kl_duck_scan scan = {ab, 2};
    expect(SCAN1(t, scan), "SELECT b FROM kl_scan_0()", NULL, "x\n");
    assert_int_equal(t.last_needed, 1);
    expect(SCAN1(t, scan), "SELECT count(*) FROM kl_scan_0()", NULL, "1\n");
    assert_true(t.last_needed <= 1);
    expect(SCAN1(t, scan), "SELECT b, a FROM kl_scan_0() WHERE a = 1", NULL, "x|1\n");
}

static void test_recursive_query_reads_the_table_again(void **state) {
    struct kl_val vals[] = {
        kl_val_i64(1), kl_val_text(KL_S("x")), kl_val_i64(2), kl_val_text(KL_S("y"))};
    struct mem_table t = {.cols = ab, .n_cols = 2, .vals = vals, .n_rows = 2};
    struct kl_duck_scan scan = {ab, 2};
    expect(SCAN1(t, scan),
        "WITH RECURSIVE r(n) AS (SELECT 1::BIGINT UNION ALL SELECT n + 1 FROM r, kl_scan_0() s "
        "WHERE s.a = n AND n < 5) "
        "SELECT n FROM r ORDER BY n",
        NULL, "1\n2\n3\n");
    assert_int_equal(t.live, 0);
}

static void test_cache_forgets_the_oldest(void **state) {
    struct kl_duck *small;
    struct kl_err err = {0};
    struct kl_duck_options options = {.max_prepared = 2};
    assert_int_equal(kl_duck_new(&options, &small, &err), KL_OK);
    for (int i = 0; i < 20; i++) {
        char sql[64];
        snprintf(sql, sizeof(sql), "SELECT %d", i % 5);
        struct kl_duck_query q = {.plan_id = 1000 + (uint64_t)(i % 5), .sql = kl_slice_str(sql)};
        struct text_sink sink;
        text_sink_init(&sink);
        assert_int_equal(kl_duck_run(small, &q, &sink.base, &err), KL_OK);
        assert_int_equal(atoi(text_of(&sink.rows)), i % 5);
        text_sink_deinit(&sink);
    }
    kl_duck_free(small);
}

static struct kl_val unknown(const char *s) {
    struct kl_val v = kl_val_text(kl_slice_str(s));
    v.flags = KL_VAL_UNKNOWN;
    return v;
}

static void test_open_text_takes_the_type_it_meets(void **state) {
    struct kl_val vals[] = {
        kl_val_i64(1), kl_val_text(KL_S("x")), kl_val_i64(2), kl_val_text(KL_S("2"))};
    struct mem_table t = {.cols = ab, .n_cols = 2, .vals = vals, .n_rows = 2};
    struct kl_duck_scan scan = {ab, 2};
    struct kl_duck_query q = SCAN1(t, scan);
    struct kl_val p[] = {unknown("2"), unknown("2")};
    q.params = p;
    q.n_params = 2;
    expect(q, "SELECT a FROM kl_scan_0() WHERE a = $1 AND b = $2", NULL, "2\n");
    expect(q, "SELECT $1 || $2", "TEXT", "22\n");
    p[0] = unknown("2020-02-30");
    struct kl_err err = expect_error(q, "SELECT CAST($1 AS DATE)", KL_E_TYPE);
    assert_non_null(strstr(err.msg, "2020-02-30"));
    p[0] = unknown("1 day");
    expect(q, "SELECT TIMESTAMP '2020-01-01' + CAST($1 AS INTERVAL)", "TIMESTAMP",
        "2020-01-02 00:00:00\n");
    p[0] = kl_val_null(KL_T_BIGINT);
    expect(q, "SELECT CAST($1 AS BIGINT) IS NULL", NULL, "true\n");
    q.n_params = 1;
    expect_error(q, "SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT)", KL_E_INVALID_PARAMETER);
}

static void test_session_functions(void **state) {
    struct kl_snowflake ids;
    kl_snowflake_init(&ids, 1);
    struct kl_duck_query q = {.plan_id = next_plan++,
        .user = KL_S("alice"),
        .role = KL_S("user"),
        .now_us = 1000000,
        .ids = &ids};
    const char *sql = "SELECT kl_current_user(), kl_current_role(), kl_now()";
    expect(q, sql, "TEXT,TEXT,DATETIME", "alice|user|1970-01-01 00:00:01+00\n");
    q.user = KL_S("bob");
    q.now_us = 2000000;
    expect(q, sql, NULL, "bob|user|1970-01-01 00:00:02+00\n");
    q.plan_id = 0;
    expect(q,
        "SELECT count(DISTINCT kl_snowflake_id()), count(DISTINCT kl_uuid_v7()), count(DISTINCT "
        "kl_ulid()) FROM range(5000)",
        NULL, "5000|5000|5000\n");
    q.ids = NULL;
    expect_error(q, "SELECT kl_snowflake_id()", KL_E_UNSUPPORTED);
}

static void test_division_and_distance(void **state) {
    struct kl_duck_query q = {0};
    expect(q,
        "SELECT 7 / kl_nonzero(2), 7.5::DOUBLE / kl_nonzero(2.5::DOUBLE), 1 / "
        "kl_nonzero(NULL::INTEGER)",
        NULL, "3|3|NULL\n");
    struct kl_err err =
        expect_error(q, "SELECT x, 1 / kl_nonzero(x) FROM range(3) t(x)", KL_E_EXEC);
    assert_string_equal(err.msg, "division by zero");
    expect(q,
        "SELECT kl_cosine_distance([1.0,0.0]::FLOAT[2]::FLOAT[], '[0,1]'::FLOAT[]), "
        "kl_cosine_distance([0.0,0.0]::FLOAT[], [0.0,1.0]::FLOAT[]), kl_cosine_distance(NULL, "
        "[0.0,1.0]::FLOAT[])",
        "FLOAT,FLOAT,FLOAT", "1|1|NULL\n");
    expect_error(q, "SELECT kl_cosine_distance([1.0]::FLOAT[], [0.0,1.0]::FLOAT[])", KL_E_TYPE);
}

/* ---- limits and errors ---- */
struct endless {
    struct kl_source base;
    int64_t n;
};
static enum kl_rc endless_next(struct kl_source *s, struct kl_val *row, struct kl_err *err) {
    row[0] = kl_val_i64(((struct endless *)s)->n++);
    return KL_OK;
}
static unsigned endless_live;
static void endless_close(struct kl_source *s) {
    endless_live--;
    free(s);
}
static enum kl_rc endless_open(void *ctx, size_t scan, const unsigned *needed, size_t n,
    struct kl_source **ret, struct kl_err *err) {
    struct endless *e = kl_xcalloc(1, sizeof(*e));
    e->base = (struct kl_source){endless_next, endless_close};
    endless_live++;
    *ret = &e->base;
    return KL_OK;
}

static void test_deadline_and_cancel(void **state) {
    struct kl_duck_scan scan = {ab, 1};
    struct kl_duck_query q = {.scans = &scan, .n_scans = 1, .open = endless_open};
    static const char *const forever[] = {
        "SELECT sum(a) FROM kl_scan_0()",
        "SELECT count(*) FROM range(100000) a(x), range(100000) b(y), range(10) c(z) WHERE x + y + "
        "z < 0",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n % 10 FROM r) SELECT count(*) FROM r",
    };
    for (size_t i = 0; i < KL_LEN(forever); i++) {
        int64_t start = kl_clock_mono_ms();
        q.deadline_mono_ns = kl_clock_mono_ns() + 80 * 1000000LL;
        expect_error(q, forever[i], KL_E_TIMEOUT);
        assert_true(kl_clock_mono_ms() - start < 2000);
        assert_int_equal(endless_live, 0);
        q.deadline_mono_ns = 0;
        expect(q, "SELECT 1", NULL, "1\n");
    }
    _Atomic bool cancelled = true;
    q.cancelled = &cancelled;
    expect_error(q, forever[0], KL_E_CANCELLED);
}

static void *cancel_soon(void *p) {
    usleep(50000);
    atomic_store((_Atomic bool *)p, true);
    return NULL;
}

static void test_cancel_from_another_thread(void **state) {
    _Atomic bool cancelled = false;
    pthread_t thread;
    struct kl_duck_query q = {.cancelled = &cancelled};
    pthread_create(&thread, NULL, cancel_soon, &cancelled);
    expect_error(q, "SELECT count(*) FROM range(1000000) a(x), range(1000000) b(y) WHERE x + y < 0",
        KL_E_CANCELLED);
    pthread_join(thread, NULL);
}

static void test_sink_stops_the_scan(void **state) {
    struct kl_duck_scan scan = {ab, 1};
    struct kl_duck_query q = {.plan_id = next_plan++,
        .sql = KL_S("SELECT a FROM kl_scan_0()"),
        .scans = &scan,
        .n_scans = 1,
        .open = endless_open};
    struct text_sink sink;
    struct kl_err err = {0};
    text_sink_init(&sink);
    sink.stop_at = 5000;
    assert_int_equal(kl_duck_run(duck, &q, &sink.base, &err), KL_E_TOO_LARGE);
    assert_string_equal(err.msg, "enough");
    assert_int_equal(endless_live, 0);
    text_sink_deinit(&sink);
}

static void test_source_errors_arrive_whole(void **state) {
    struct kl_val vals[] = {
        kl_val_i64(1), kl_val_text(KL_S("x")), kl_val_i64(2), kl_val_text(KL_S("y"))};
    struct mem_table t = {.cols = ab, .n_cols = 2, .vals = vals, .n_rows = 2, .fail_at = 2};
    struct kl_duck_scan scan = {ab, 2};
    struct kl_err err = expect_error(SCAN1(t, scan), "SELECT a, b FROM kl_scan_0()", KL_E_IO);
    assert_string_equal(err.msg, "the disk went away");
    assert_int_equal(t.live, 0);
    t.fail_at = 0;
    vals[3] = kl_val_i64(7); /* not a TEXT */
    expect_error(SCAN1(t, scan), "SELECT b FROM kl_scan_0()", KL_E_CORRUPT);
    vals[3] = kl_val_text(KL_S("\xff\xfe"));
    expect_error(SCAN1(t, scan), "SELECT b FROM kl_scan_0()", KL_E_CORRUPT);
    vals[3] = kl_val_text(KL_S("ok"));
    expect(SCAN1(t, scan), "SELECT b FROM kl_scan_0()", NULL, "x\nok\n");
}

static void test_error_texts(void **state) {
    struct kl_duck_query q = {0};
    static const struct {
        const char *sql;
        enum kl_rc rc;
        const char *msg;
    } cases[] = {
        {"SELECT 9223372036854775807::BIGINT + x FROM range(1, 3) t(x)", KL_E_TYPE,
            "bigint out of range"},
        {"SELECT 2147483647::INTEGER + x::INTEGER FROM range(1, 3) t(x)", KL_E_TYPE,
            "integer out of range"},
        {"SELECT nothing FROM range(1)", KL_E_EXEC, "column \"nothing\" does not exist"},
        {"SELECT (SELECT x FROM range(3) t(x))", KL_E_EXEC,
            "more than one row returned by a subquery used as an expression"},
        {"SELECT * FROM kl_scan_0()", KL_E_EXEC, NULL},
        {"SELECT * FROM read_csv('/etc/passwd')", KL_E_UNSUPPORTED, NULL},
        {"SELECT * FROM '/etc/passwd.csv'", KL_E_UNSUPPORTED, NULL},
        {"COPY (SELECT 1) TO '/tmp/x.csv'", KL_E_UNSUPPORTED, NULL},
        {"ATTACH '/tmp/x.db'", KL_E_UNSUPPORTED, NULL},
        {"SET enable_external_access=true", KL_E_EXEC, NULL},
        {"INSTALL httpfs", KL_E_UNSUPPORTED, NULL},
        {"LOAD httpfs", KL_E_UNSUPPORTED, NULL},
        {"SELECT 'x'::BIGINT FROM range(1)", KL_E_TYPE, NULL},
    };
    for (size_t i = 0; i < KL_LEN(cases); i++) {
        struct kl_err err = expect_error(q, cases[i].sql, cases[i].rc);
        if (cases[i].msg) {
            assert_string_equal(err.msg, cases[i].msg);
        }
        assert_null(strstr(err.msg, "/etc"));
    }
    struct kl_duck_scan scans[KL_DUCK_MAX_SCANS + 1];
    q.scans = scans;
    q.n_scans = KL_DUCK_MAX_SCANS + 1;
    expect_error(q, "SELECT 1", KL_E_UNSUPPORTED);
}

static void test_memory_limit(void **state) {
    struct kl_duck *small;
    struct kl_err err = {0};
    struct kl_duck_options options = {.memory_bytes = 16u << 20};
    assert_int_equal(kl_duck_new(&options, &small, &err), KL_OK);
    struct kl_duck_query q = {.plan_id = 1,
        .sql =
            KL_S("SELECT count(*) FROM (SELECT x, count(*) FROM range(5000000) t(x) GROUP BY x)")};
    struct text_sink sink;
    text_sink_init(&sink);
    assert_int_equal(kl_duck_run(small, &q, &sink.base, &err), KL_E_TOO_LARGE);
    text_sink_deinit(&sink);
    q = (struct kl_duck_query){.plan_id = 2, .sql = KL_S("SELECT 1")};
    text_sink_init(&sink);
    assert_int_equal(kl_duck_run(small, &q, &sink.base, &err), KL_OK);
    text_sink_deinit(&sink);
    kl_duck_free(small);
}

static void test_postgres_settings(void **state) {
    struct kl_duck_query q = {0};
    expect(q, "SELECT 5 / 2, -5 / 2", "INT,INT", "2|-2\n");
    expect(q, "SELECT x FROM (VALUES (1), (NULL), (2)) v(x) ORDER BY x", NULL, "1\n2\nNULL\n");
    expect(q, "SELECT x FROM (VALUES (1), (NULL), (2)) v(x) ORDER BY x DESC", NULL, "NULL\n2\n1\n");
    expect(q,
        "SELECT TIMESTAMPTZ '2020-01-31 23:30:00+00' + INTERVAL '1 month', date_trunc('day', "
        "TIMESTAMPTZ '2020-01-31 23:30:00-02')",
        NULL, "2020-02-29 23:30:00+00|2020-02-01 00:00:00+00\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_value_survives),
        cmocka_unit_test(test_every_parameter_survives),
        cmocka_unit_test(test_result_types),
        cmocka_unit_test(test_a_plan_serves_many_callers),
        cmocka_unit_test(test_projection_reaches_the_source),
        cmocka_unit_test(test_recursive_query_reads_the_table_again),
        cmocka_unit_test(test_cache_forgets_the_oldest),
        cmocka_unit_test(test_open_text_takes_the_type_it_meets),
        cmocka_unit_test(test_session_functions),
        cmocka_unit_test(test_division_and_distance),
        cmocka_unit_test(test_deadline_and_cancel),
        cmocka_unit_test(test_cancel_from_another_thread),
        cmocka_unit_test(test_sink_stops_the_scan),
        cmocka_unit_test(test_source_errors_arrive_whole),
        cmocka_unit_test(test_error_texts),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_postgres_settings),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
