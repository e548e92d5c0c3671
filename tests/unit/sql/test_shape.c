/* Shapes: what is replaced, what stays, what falls together. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "sql/shape.h"

static struct kl_arena arena;
static struct kl_err err;
static struct kl_shape shape;
static const struct kl_val *params;
static size_t n_params;

static void take(const char *sql) {
    size_t len = strlen(sql);
    char *copy = kl_arena_alloc(&arena, len + 1); /* values borrow it */
    memcpy(copy, sql, len);
    struct kl_shape_input in = {.stmt = kl_slice(copy, len),
        .prefix = KL_S("pre"),
        .params = params,
        .n_params = n_params,
        .arena = &arena};
    assert_int_equal(kl_sql__shape(&in, &shape, &err), KL_OK);
}

/* The shape with its markers in angle brackets. */
static void gives(const char *sql, const char *want_shape, const char *want_vals) {
    struct kl_buf b = {0};
    take(sql);
    if (!shape.usable) {
        fail_msg("not usable: %s", sql);
    }
    assert_memory_equal(shape.key.ptr, "pre", 3);
    for (const char *p = shape.key.ptr + 3, *end = shape.key.ptr + shape.key.len; p < end; p++) {
        if (*p == 1) {
            kl_buf_printf(&b, "<%c>", p[1]);
            p += p[1] == 'd' ? 3 : p[1] == 'T' ? 2 : 1;
        } else if (*p == 2) {
            kl_buf_printf(&b, "<=%d>", ((p[1] - 0x20) << 6 | (p[2] - 0x20)) + 1);
            p += 2;
        } else {
            kl_buf_putc(&b, *p);
        }
    }
    kl_buf_u8(&b, 0);
    assert_string_equal(b.data, want_shape);
    kl_buf_clear(&b);
    for (size_t i = 0; i < shape.n_vals; i++) {
        kl_buf_puts(&b, i ? "|" : "");
        kl_buf_puts(&b, shape.vals[i].null ? "NULL" : "");
        kl_val_to_text(&shape.vals[i], &b);
    }
    kl_buf_u8(&b, 0);
    assert_string_equal(b.data, want_vals);
    kl_buf_deinit(&b);
}

static void unusable(const char *sql) {
    take(sql);
    if (shape.usable) {
        fail_msg("usable: %s", sql);
    }
}

static void values(void **state) {
    gives("SELECT  a FROM T\n WHERE b=1 AND c = 'it''s' -- x",
        "select a from t where b=<i>and c=<s>", "1|it's");
    gives("select A from t where B = 7 and C='y'", "select a from t where b=<i>and c=<s>", "7|y");
    gives("select 1.5, 1e3, .25, 12345678901234567890", "select<d>,<d>,<d>,<d>",
        "1.5|1000|0.25|12345678901234567890");
    gives("select \"A b\", X'00ff'", "select \"A b\",<x>", "\\x00ff");
    gives("select null, true, false, -1", "select null,true,false,-<i>", "1");
    gives("select * from t limit 5 offset 2", "select*from t limit<i>offset<i>", "5|2");
    gives(
        "select case when a then 'x' else 'y' end", "select case when a then<s>else<s>end", "x|y");
    gives("select a from t where b like 'x' escape '!' and c between 1 and 2",
        "select a from t where b like<s>escape<s>and c between<i>and<i>", "x|!|1|2");
    gives("select $$a$$, E'\\x41'", "select<s>,<s>", "a|A");
    gives("select a;", "select a", "");
}

static void stays(void **state) {
    gives("select date '2026-01-01', interval '5 minutes' + a",
        "select date '2026-01-01',interval '5 minutes'+a", "");
    gives("select timestamp(3) '2026-01-01'", "select timestamp(<i>)'2026-01-01'",
        "3"); /* then refused by the parser, and planned as written */
    gives("select a::varchar(20), cast(b as numeric(10, 2)), 5",
        "select a::varchar(20),cast(b as numeric(10,2)),<i>", "5");
    gives("select a from t order by 1, 2 desc limit 3",
        "select a from t order by 1,2 desc limit<i>", "3");
    gives("select a from t order by (1), f(b, 2), -1", "select a from t order by(1),f(b,<i>),-1",
        "2");
    gives("select a + 1, count(*) from t where b = 2 group by a + 1 having count(*) > 3 order by 1 "
          "limit 4",
        "select a+1,count(*)from t where b=<i>group by a+1 having count(*)>3 order by 1 limit<i>",
        "2|4");
    gives("select distinct a || 'x' from t where b in (1, 2)",
        "select distinct a||'x' from t where b in(<i>,<i>)", "1|2");
    gives("select t.order, 5 from t", "select t.order,<i>from t", "5");
    gives("with x as (select 1) select * from x where a = 2",
        "with x as(select<i>)select*from x where a=<i>", "1|2");
    gives(
        "select current_user(), current_user, now()", "select current_user,current_user,now()", "");
    gives("select a at time zone 'UTC'", "select a at time zone 'UTC'", "");
    unusable("select 'a'\n'b'");
    unusable("select `a`");
    unusable("select E'\\xff'");
    unusable("select 1a");
    unusable("select 'a");
    unusable("select 1)");
    unusable("select date '\x01'");
    unusable("select 1; select 2");
    unusable("select 999999999999999999999999999999999999999");
}

static void rows(void **state) {
    gives("INSERT INTO t (a, b) VALUES (1, 'x')", "insert into t(a,b)values(<o>,<o>)", "1|x");
    assert_int_equal(shape.n_rows, 1);
    gives("INSERT INTO t (a, b) VALUES (1, 'x'), (-2, NULL) , ('3', true)",
        "insert into t(a,b)values(<o>,<o>)", "1|x|-2|NULL|3|true");
    assert_int_equal(shape.n_rows, 3);
    assert_int_equal(shape.n_values, 2);
    gives("INSERT INTO t VALUES (1 + 1, now()), (2 + 5, now());",
        "insert into t values(<i>+<i>,now())", "1|1|2|5");
    assert_int_equal(shape.n_rows, 2);
    gives("INSERT INTO t VALUES (1, DEFAULT), (2, 3)",
        "insert into t values(<i>,default),(<i>,<i>)", "1|2|3");
    assert_int_equal(shape.n_rows, 0);
    gives("INSERT INTO t VALUES (1), (2) ON CONFLICT DO NOTHING",
        "insert into t values(<o>)on conflict do nothing", "1|2");
    assert_int_equal(shape.n_rows, 2);
    /* what follows the list belongs to every row */
    gives("INSERT INTO t VALUES (1, 'a'), (2, 'b') ON CONFLICT (k) DO UPDATE SET v = t.v + 3 "
          "RETURNING v || 'x'",
        "insert into t values(<o>,<o>)on conflict(k)do update set v=t.v+<i>returning v||<s>",
        "1|a|3|x|2|b|3|x");
    assert_int_equal(shape.n_rows, 2);
    assert_int_equal(shape.n_values, 4);
    gives("INSERT INTO t VALUES (1) RETURNING 5", "insert into t values(<o>)returning<i>", "1|5");
    assert_int_equal(shape.n_values, 2);
    gives("INSERT INTO t VALUES (DEFAULT), (DEFAULT) RETURNING 5",
        "insert into t values(default)returning<i>", "5|5");
    assert_int_equal(shape.n_values, 1);
    /* lists that are part of a query keep their rows */
    gives("INSERT INTO t SELECT 1 UNION VALUES (1), (2)",
        "insert into t select<i>union values(<i>),(<i>)", "1|1|2");
    assert_int_equal(shape.n_rows, 0);
    gives("INSERT INTO t VALUES (1), (2) LIMIT 1", "insert into t values(<i>),(<i>)limit<i>",
        "1|2|1");
    assert_int_equal(shape.n_rows, 0);
    gives("INSERT INTO t VALUES (1), (2) UNION ALL VALUES (3)",
        "insert into t values(<i>),(<i>)union all values(<i>)", "1|2|3");
    assert_int_equal(shape.n_rows, 0);
    /* what would grow too large by it is planned as written */
    struct kl_buf many = {0};
    kl_buf_puts(&many, "INSERT INTO t VALUES (1)");
    for (int i = 0; i < 100000; i++) {
        kl_buf_puts(&many, ",(1)");
    }
    kl_buf_puts(&many, " RETURNING 1");
    kl_buf_u8(&many, 0);
    take(many.data);
    assert_true(shape.usable && shape.n_values == 2 && shape.n_vals == 200002);
    many.len--;
    for (int i = 0; i < 100; i++) {
        kl_buf_puts(&many, ",1");
    }
    kl_buf_u8(&many, 0);
    unusable(many.data);
    kl_buf_deinit(&many);
    struct kl_val given[] = {kl_val_i64(7), kl_val_i64(8)};
    params = given;
    n_params = 2;
    gives("INSERT INTO t VALUES ($1), ($2) ON CONFLICT (k) DO UPDATE SET v = $2, w = $2, x = $1",
        "insert into t values(<o>)on conflict(k)do update set v=<i>,w=<=2>,x=<i>", "7|8|7|8|8|7");
    assert_int_equal(shape.n_values, 3);
    params = NULL;
    n_params = 0;
    gives("INSERT INTO t VALUES (date '2026-01-01', - 5, + 6)",
        "insert into t values(date '2026-01-01',<o>,<o>)", "-5|6");
    gives("INSERT INTO t VALUES (-9223372036854775808)", "insert into t values(<o>)",
        "-9223372036854775808");
    assert_int_equal(shape.vals[0].type, KL_T_BIGINT);
    gives("INSERT INTO t VALUES (1, (2), 'a' || 'b', ARRAY[1, 2])",
        "insert into t values(<o>,(<i>),<s>||<s>,array[<i>,<i>])", "1|2|a|b|1|2");
    gives("INSERT INTO t SELECT a FROM b WHERE c = 1", "insert into t select a from b where c=<i>",
        "1");
    gives("INSERT (5) VALUES (1), (2)", "insert(<i>)values(<i>),(<i>)",
        "5|1|2"); /* no SQL, but no collapse either */
    assert_int_equal(shape.n_rows, 0);
    unusable("INSERT INTO t VALUES (1), ");
    unusable("INSERT INTO t VALUES");
}

static void user_params(void **state) {
    struct kl_val p[] = {kl_val_i64(7), kl_val_text(KL_S("x")), kl_val_double(0.5),
        kl_val_bool(true), kl_val_null(KL_T_NULL), kl_val_int(KL_T_DATE, 1)};
    p[1].flags = KL_VAL_UNKNOWN;
    params = p;
    n_params = 6;
    gives("select 1, $2, $1, 'y', $2", "select<i>,<s>,<i>,<s>,<=2>", "1|x|7|y");
    gives("select $3, $4, $5, $6", "select<f>,<b>,<s>,<T>", "0.5|true|NULL|1970-01-02");
    gives("insert into t values ($1, $2), ($2, $1)", "insert into t values(<o>,<o>)", "7|x|x|7");
    gives("insert into t values ($1 + $1)", "insert into t values(<i>+<i>)", "7|7");
    gives("select a + $1 from t group by a + $1", "select a+<i>from t group by a+<=1>", "7");
    struct kl_shape_input in = {.stmt = KL_S("select $7"),
        .prefix = KL_S(""),
        .params = params,
        .n_params = n_params,
        .arena = &arena};
    assert_int_equal(kl_sql__shape(&in, &shape, &err), KL_E_INVALID_PARAMETER);
    assert_string_equal(err.msg, "Parameter $7 has no value (6 given)");
    in.stmt = KL_S("select $0");
    assert_int_equal(kl_sql__shape(&in, &shape, &err), KL_E_INVALID_PARAMETER);
    in.stmt = KL_S("select $99999999999999999999999");
    assert_int_equal(kl_sql__shape(&in, &shape, &err), KL_E_INVALID_PARAMETER);
    params = NULL;
    n_params = 0;
}

static void as_text(void **state) {
    char *text;
    struct kl_type *types;
    take("select 1.5 , 'a' from t where b=2");
    assert_int_equal(kl_sql__shape_text(&shape, &arena, &text, &types, &err), KL_OK);
    assert_string_equal(text, "select $1 , $2 from t where b= $3 ");
    assert_int_equal(types[0].id, KL_T_DECIMAL);
    assert_int_equal(types[0].scale, 1);
    assert_int_equal(types[1].id, KL_T_NULL);
    assert_int_equal(types[2].id, KL_T_BIGINT);
    assert_int_equal(
        kl_sql__plain_text(
            KL_S("SELECT `a``b`, /* ( */ CURRENT_USER ( ) , t.current_user() -- ` \n, '`'"), &arena,
            &text, &err),
        KL_OK);
    assert_string_equal(
        text, "SELECT \"a`b\", /* ( */ CURRENT_USER     , t.current_user() -- ` \n, '`'");
}

/* A thousand rows collapse into one shape; how long that took is printed. */
static void speed(void **state) {
    struct kl_buf sql = {0};
    kl_buf_puts(&sql, "INSERT INTO chat.messages (id, role, content) VALUES ");
    for (int i = 0; i < 1000; i++) {
        kl_buf_printf(&sql, "%s(%d, 'user', 'message number %d')", i ? ", " : "", i, i);
    }
    struct kl_shape_input in = {.stmt = kl_buf_view(&sql), .prefix = KL_S("x"), .arena = &arena};
    int64_t best = INT64_MAX;
    for (int i = 0; i < 20; i++) {
        kl_arena_reset(&arena);
        int64_t t0 = kl_clock_mono_ns();
        assert_int_equal(kl_sql__shape(&in, &shape, &err), KL_OK);
        best = KL_MIN(best, kl_clock_mono_ns() - t0);
        assert_int_equal(shape.n_rows, 1000);
        assert_int_equal(shape.n_vals, 3000);
    }
    print_message("1,000 rows scan in %.0f us\n", (double)best / 1000);
    kl_buf_deinit(&sql);
}

static int setup(void **state) {
    kl_arena_init(&arena, 0);
    return 0;
}
static int teardown(void **state) {
    kl_arena_deinit(&arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(stays),
        cmocka_unit_test(rows), cmocka_unit_test(user_params), cmocka_unit_test(as_text),
        cmocka_unit_test(speed)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
