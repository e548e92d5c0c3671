/* The builder's contract: what may be asked of a built expression, what comes from the statement,
 * what is refused and when. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "expr_text.h"
#include "sql/expr_internal.h"

static struct kl_arena arena;
static struct parser p;

static int setup(void **state) {
    kl_arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state) {
    kl_arena_deinit(&arena);
    return 0;
}

static const struct column cols[] = {
    {"id", {.id = KL_T_BIGINT}, false},
    {"n", {.id = KL_T_INT}, true},
    {"name", {.id = KL_T_TEXT}, true},
    {"price", {.id = KL_T_DECIMAL, .precision = 10, .scale = 2}, true},
    {"at", {.id = KL_T_TIMESTAMP}, true},
    {"doc", {.id = KL_T_JSON}, true},
    {"v", {.id = KL_T_EMBEDDING, .dim = 3}, true},
    {"flag", {.id = KL_T_BOOLEAN}, true},
};

static struct kl_expr *built(const char *text, enum literals mode) {
    struct kl_expr *e = NULL;
    enum kl_rc rc = parse_text(&p, text, mode, &arena, cols, KL_LEN(cols), &e);
    if (rc != KL_OK) {
        fail_msg("%s: %s", text, p.err.msg);
    }
    return e;
}

static enum kl_rc refused(const char *text) {
    struct kl_expr *e;
    return parse_text(&p, text, AS_CONST, &arena, cols, KL_LEN(cols), &e);
}

static void row_of(struct kl_val *row) {
    static const float v[3] = {1, 0, 0};
    row[0] = kl_val_i64(7);
    row[1] = kl_val_int(KL_T_INT, 3);
    row[2] = kl_val_text(KL_S("bob"));
    row[3] = kl_val_decimal(1250, 2);
    row[4] = kl_val_int(KL_T_TIMESTAMP, 0);
    row[5] = kl_val_str(KL_T_JSON, KL_S("{\"a\": [10, {\"b\": \"x\\u00e9\\n\"}], \"n\": null, "
                                        "\"t\": true, \"f\": 1.5, \"a\\\"b\": 1}"));
    row[6] = kl_val_str(KL_T_EMBEDDING, kl_slice(v, sizeof(v)));
    row[7] = kl_val_null(KL_T_BOOLEAN);
}

static void gives(const char *text, const char *want) {
    for (int mode = 0; mode < LITERAL_MODES; mode++) {
        struct kl_expr *e = built(text, (enum literals)mode);
        struct kl_session session = {.user = KL_S("ann"), .role = KL_ROLE_SERVICE};
        struct kl_eval ev = {
            .row = p.slots, .arena = &arena, .session = &session, .now_us = 1700000000123456};
        struct kl_buf out = {0};
        row_of(p.slots);
        result_text(&p, e, &ev, &out);
        if (strcmp(out.data, want) != 0) {
            fail_msg("%s is %s, should be %s", text, out.data, want);
        }
        kl_buf_deinit(&out);
    }
}

/* ---- access paths ---- */

static const char *key_of(const char *text, enum literals mode, unsigned slot) {
    static struct kl_buf out;
    struct kl_expr *e = built(text, mode);
    const struct kl_expr *key = kl_expr_equality(e, slot);
    kl_buf_clear(&out);
    if (key) {
        kl_expr_print(key, &out);
    }
    kl_buf_putc(&out, '\0');
    return out.data;
}

static void equality_finds_the_key(void **state) {
    assert_string_equal(key_of("id = 5", AS_CONST, 0), "5");
    assert_string_equal(key_of("id = 5", AS_PARAM, 0), "$1");
    assert_string_equal(key_of("5 = id", AS_PARAM, 0), "$1");
    assert_string_equal(key_of("n = 5", AS_PARAM, 1), "$1");
    assert_string_equal(key_of("id = '5'", AS_PARAM, 0), "$2"); /* derived from $1 */
    assert_string_equal(key_of("name = 'x'", AS_PARAM, 2), "$1");
    assert_string_equal(key_of("n > 1 and name = 'x' and id = 5", AS_CONST, 0), "5");
    assert_string_equal(key_of("(n > 1 and id = 5) and flag", AS_CONST, 0), "5");
    assert_string_equal(key_of("id in (5)", AS_CONST, 0), "5");
    assert_string_equal(key_of("n::bigint = 5", AS_CONST, 1), "5");
    assert_string_equal(
        key_of("at = '2024-01-01'", AS_CONST, 4), "TIMESTAMP '2024-01-01 00:00:00'");
    assert_string_equal(key_of("name = current_user()", AS_CONST, 2), "current_user()");
}

static void equality_leaves_the_rest_alone(void **state) {
    static const char *const none[] = {"id = 5 or n = 1", "not id = 5", "id <> 5", "id = n",
        "id = 5.0", "id + 0 = 5", "id = id", "id = snowflake_id()", "id in (5, 6)", "id not in (5)",
        "id::int = 5", "id is not distinct from 5", "id between 5 and 5"};
    for (size_t i = 0; i < KL_LEN(none); i++) {
        assert_string_equal(key_of(none[i], AS_CONST, 0), "");
    }
    assert_string_equal(key_of("id = 5", AS_CONST, 1), "");
    assert_string_equal(key_of("price = 5.001", AS_CONST, 3), "");
    assert_null(kl_expr_equality(NULL, 0));
}

/* ---- types, nullability, volatility, printing ---- */

static void types_are_postgresql_s(void **state) {
    static const struct {
        const char *sql;
        uint8_t id;
    } types[] = {{"n + n", KL_T_INT}, {"n + 1", KL_T_BIGINT},
        {"n::smallint + n::smallint", KL_T_SMALLINT}, {"price * 2", KL_T_DECIMAL},
        {"n / 2::double precision", KL_T_DOUBLE}, {"n::real + n::real", KL_T_FLOAT},
        {"n::real + n", KL_T_DOUBLE}, {"name || n", KL_T_TEXT},
        {"at + interval '1 day'", KL_T_TIMESTAMP}, {"at - at", KL_T_INTERVAL},
        {"at::date + 1", KL_T_DATE}, {"at::date - at::date", KL_T_INT}, {"now()", KL_T_DATETIME},
        {"now() - at", KL_T_INTERVAL}, {"id = 1", KL_T_BOOLEAN}, {"doc -> 'a'", KL_T_JSON},
        {"doc ->> 'a'", KL_T_TEXT}, {"length(name)", KL_T_INT}, {"round(price, 1)", KL_T_DECIMAL},
        {"round(n)", KL_T_DOUBLE}, {"sqrt(n)", KL_T_DOUBLE}, {"coalesce(n, 1)", KL_T_BIGINT},
        {"coalesce(null, null)", KL_T_TEXT}, {"case when flag then n end", KL_T_INT},
        {"snowflake_id()", KL_T_BIGINT}, {"gen_random_uuid()", KL_T_UUID},
        {"cosine_distance(v, '[1,2,3]')", KL_T_FLOAT}, {"nullif(n, 2.5)", KL_T_DECIMAL},
        {"'x'", KL_T_NULL}, {"null", KL_T_NULL}};
    for (size_t i = 0; i < KL_LEN(types); i++) {
        if (kl_expr_type(built(types[i].sql, AS_CONST)).id != types[i].id) {
            fail_msg(
                "type of %s is %d", types[i].sql, kl_expr_type(built(types[i].sql, AS_CONST)).id);
        }
    }
    struct kl_type sum = kl_expr_type(built("price + 1.234", AS_CONST));
    assert_int_equal(sum.scale, 3);
    assert_int_equal(kl_expr_type(built("price * price", AS_CONST)).scale, 4);
}

static void nullability_is_known(void **state) {
    assert_false(kl_expr_nullable(built("id + 1", AS_CONST)));
    assert_true(kl_expr_nullable(built("n + 1", AS_CONST)));
    assert_false(kl_expr_nullable(built("coalesce(n, 1)", AS_CONST)));
    assert_false(kl_expr_nullable(built("n is null", AS_CONST)));
    assert_false(kl_expr_nullable(built("concat(name, 'x')", AS_CONST)));
    assert_true(kl_expr_nullable(built("case when id = 1 then 2 end", AS_CONST)));
    assert_false(kl_expr_nullable(built("case when flag then 1 else 2 end", AS_CONST)));
    assert_true(kl_expr_nullable(built("nullif(id, 1)", AS_CONST)));
    assert_true(kl_expr_nullable(built("doc -> 'a'", AS_CONST)));
}

static void volatile_calls_differ_and_are_never_folded(void **state) {
    struct kl_snowflake ids;
    kl_snowflake_init(&ids, 1);
    struct kl_eval ev = {.arena = &arena, .ids = &ids};
    struct kl_expr *e = built("snowflake_id()", AS_CONST);
    struct kl_val a, b;
    assert_true(kl_expr_volatile(e) && kl_expr_volatile(built("snowflake_id() + 1", AS_CONST)));
    assert_false(kl_expr_volatile(built("now()", AS_CONST)));
    assert_int_equal(kl_expr_eval(e, &ev, &a, NULL), KL_OK);
    assert_int_equal(kl_expr_eval(e, &ev, &b, NULL), KL_OK);
    assert_true(b.i > a.i);
    e = built("random()", AS_CONST);
    assert_int_equal(kl_expr_eval(e, &ev, &a, NULL), KL_OK);
    assert_true(a.d >= 0 && a.d < 1);
    e = built("uuid_v7()", AS_CONST);
    assert_int_equal(kl_expr_eval(e, &ev, &a, NULL), KL_OK);
    assert_true(a.len == 36 && a.type == KL_T_TEXT);
    struct kl_val uuid; /* may be assigned to a uuid column */
    assert_int_equal(kl_val_cast(&a, KL_TYPE(UUID), KL_CAST_ASSIGN, &arena, &uuid, NULL), KL_OK);
    e = built("gen_random_uuid()", AS_CONST);
    assert_int_equal(kl_expr_eval(e, &ev, &a, NULL), KL_OK);
    assert_true(a.len == 16 && ((unsigned char)a.s[6] >> 4) == 4);
    e = built("ulid()", AS_CONST);
    assert_int_equal(kl_expr_eval(e, &ev, &a, NULL), KL_OK);
    assert_int_equal(a.len, 26);
    ev.ids = NULL;
    assert_int_equal(kl_expr_eval(built("snowflake_id()", AS_CONST), &ev, &a, NULL), KL_E_EXEC);
}

static void prints_as(const char *text, enum literals mode, const char *want) {
    struct kl_buf out = {0};
    kl_expr_print(built(text, mode), &out);
    kl_buf_putc(&out, '\0');
    assert_string_equal(out.data, want);
    kl_buf_deinit(&out);
}

static void prints_as_sql(void **state) {
    prints_as("1 + 2 * 3", AS_CONST, "7"); /* folded */
    prints_as("id + 2 * 3", AS_PARAM, "(#0 + ($1 * $2))");
    prints_as("name like 'a%' and not flag or n is null", AS_CONST,
        "(((#2 ~~ 'a%') AND (NOT #7)) OR (#1 IS NULL))");
    prints_as("id in (1, 2) and n not between 1 and 2", AS_CONST,
        "((#0 IN (1, 2)) AND (#1 NOT BETWEEN 1 AND 2))");
    prints_as(
        "case n when 1 then 'a' else name end", AS_CONST, "(CASE #1 WHEN 1 THEN 'a' ELSE #2 END)");
    prints_as("lower(name) || doc ->> 'k'", AS_CONST, "((lower(#2) || #5::TEXT) ->> 'k')");
    prints_as("1 / 0 = id", AS_CONST, "((1 / 0) = #0)"); /* fails when evaluated, not when built */
    prints_as("- n", AS_CONST, "(-#1)");
}

/* ---- refusing ---- */

static void unknown_things_are_unsupported(void **state) {
    assert_int_equal(refused("no_such_function(1)"), KL_E_UNSUPPORTED);
    assert_int_equal(refused("json_object_keys(doc)"), KL_E_UNSUPPORTED);
    assert_int_equal(refused("round(n::double precision, 1)"), KL_E_UNSUPPORTED);
    assert_int_equal(refused("regexp_replace(name, '(?=x)', '')"), KL_E_UNSUPPORTED);
    assert_int_equal(refused("name ~ '(?=x)'"), KL_E_UNSUPPORTED);
    assert_int_equal(refused("lower(n)"), KL_E_TYPE);
    assert_string_equal(p.err.msg, "function lower(integer) does not exist");
    assert_int_equal(p.err.position, 1);
    assert_int_equal(refused("lower()"), KL_E_TYPE);
    assert_int_equal(refused("now(1)"), KL_E_TYPE);
    assert_int_equal(refused("n || flag"), KL_E_TYPE);
    assert_string_equal(p.err.msg, "operator does not exist: integer || boolean");
    assert_int_equal(refused("n + name"), KL_E_TYPE);
    assert_int_equal(refused("- name"), KL_E_TYPE);
    assert_int_equal(refused("n -> 'a'"), KL_E_TYPE);
    assert_int_equal(refused("n = name"), KL_E_TYPE);
    assert_int_equal(refused("n and flag"), KL_E_TYPE);
    assert_int_equal(refused("n is true"), KL_E_TYPE);
    assert_int_equal(refused("n like 'a'"), KL_E_TYPE);
    assert_int_equal(refused("at = 'not a time'"), KL_E_TYPE);
    assert_non_null(strstr(p.err.msg, "not a time"));
    assert_int_equal(refused("greatest(v, v, 1)"), KL_E_TYPE);
    struct kl_expr *e, *arg = built("n", AS_CONST);
    assert_int_equal(kl_expr_op(&p.b, KL_S("@@"), arg, arg, 3, &e, NULL), KL_E_UNSUPPORTED);
    assert_int_equal(kl_expr_op(&p.b, KL_S("*"), NULL, arg, 3, &e, NULL), KL_E_UNSUPPORTED);
}

static void nesting_is_limited(void **state) {
    struct kl_expr_builder b = {.arena = &arena};
    struct kl_expr *e, *one;
    struct kl_err err;
    enum kl_rc rc = kl_expr_slot(&b, 0, KL_TYPE(BIGINT), true, &e, &err);
    assert_int_equal(kl_expr_const(&b, kl_val_i64(1), &one, &err), KL_OK);
    int levels = 0;
    for (; rc == KL_OK && levels < 1000; levels++) {
        rc = kl_expr_op(&b, KL_S("+"), e, one, 0, &e, &err);
    }
    assert_int_equal(rc, KL_E_INVALID_SQL);
    assert_int_equal(levels, KL_EXPR_MAX_DEPTH);
    b.depth = 513;
    assert_int_equal(kl_expr_const(&b, kl_val_i64(1), &one, &err), KL_E_INVALID_SQL);
}

static void memory_is_limited(void **state) {
    struct kl_arena small;
    kl_arena_init(&small, 64 << 10);
    struct kl_eval ev = {.arena = &small, .row = p.slots};
    struct kl_expr *e = built("repeat(name, 100000)", AS_CONST);
    struct kl_val v;
    row_of(p.slots);
    assert_int_equal(kl_expr_eval(e, &ev, &v, NULL), KL_E_TOO_LARGE);
    e = built("repeat(name, 9223372036854775807)", AS_CONST);
    row_of(p.slots);
    assert_int_equal(kl_expr_eval(e, &ev, &v, NULL), KL_E_TOO_LARGE);
    e = built("lpad(name, 9223372036854775807)", AS_CONST);
    row_of(p.slots);
    assert_int_equal(kl_expr_eval(e, &ev, &v, NULL), KL_E_TOO_LARGE);
    kl_arena_deinit(&small);
}

static void parameters_are_checked(void **state) {
    struct kl_expr *e = built("id + 5", AS_PARAM);
    struct kl_eval ev = {.arena = &arena, .row = p.slots};
    struct kl_val v, text = kl_val_text(KL_S("x"));
    row_of(p.slots);
    assert_int_equal(kl_expr_eval(e, &ev, &v, NULL), KL_E_INVALID_PARAMETER);
    ev.params = &text;
    ev.n_params = 1;
    assert_int_equal(kl_expr_eval(e, &ev, &v, NULL), KL_E_INTERNAL);
    struct kl_val null = kl_val_null(KL_T_NULL);
    ev.params = &null;
    assert_int_equal(kl_expr_eval(e, &ev, &v, NULL), KL_OK);
    assert_true(v.null && v.type == KL_T_BIGINT);
}

static void a_filter_passes_only_true(void **state) {
    struct kl_eval ev = {.arena = &arena, .row = p.slots};
    bool pass = false;
    assert_int_equal(kl_expr_test_row(NULL, &ev, &pass, NULL), KL_OK);
    assert_true(pass);
    struct kl_expr *e = built("flag", AS_CONST);
    row_of(p.slots);
    assert_int_equal(kl_expr_test_row(e, &ev, &pass, NULL), KL_OK);
    assert_false(pass);
    p.slots[7] = kl_val_bool(true);
    assert_int_equal(kl_expr_test_row(e, &ev, &pass, NULL), KL_OK);
    assert_true(pass);
}

/* ---- the statement, JSON, vectors ---- */

static void the_statement_answers(void **state) {
    gives("current_user()", "ann");
    gives("current_user_id()", "ann");
    gives("user()", "ann");
    gives("current_role()", "service");
    gives("now()", "2023-11-14 22:13:20.123456+00");
    gives("localtimestamp()", "2023-11-14 22:13:20.123456");
    gives("current_date()", "2023-11-14");
    gives("name || '!'", "bob!");
    gives("price + 1", "13.50");
}

static void json_is_read_by_path(void **state) {
    gives("doc -> 'a' -> 0", "10");
    gives("doc -> 'a' -> -1 ->> 'b'", "xé\n");
    gives("json_get_str(doc, 'a', 1, 'b')", "xé\n");
    gives("json_get_int(doc, 'a', 0)", "10");
    gives("json_get_int(doc, 'f')", "NULL");
    gives("json_get_float(doc, 'f')", "1.5");
    gives("json_get_float(doc, 'a', 0)", "10");
    gives("json_get_bool(doc, 't')", "true");
    gives("json_get_bool(doc, 'f')", "NULL");
    gives("json_get_str(doc, 'f')", "NULL");
    gives("json_as_text(doc, 'f')", "1.5");
    gives("doc ->> 'n'", "NULL");
    gives("doc -> 'n'", "null");
    gives("doc -> 'missing'", "NULL");
    gives("doc -> 'a' -> 9", "NULL");
    gives("doc -> 'a' -> -3", "NULL");
    gives("json_length(doc)", "5");
    gives("json_length(doc, 'a')", "2");
    gives("json_length(doc, 't')", "NULL");
    gives("json_contains(doc, 'a', 1)", "true");
    gives("json_contains(doc, 'a', 2)", "false");
    gives("doc ? 'a\"b'", "true");
    gives("doc ->> 'a\"b'", "1");
    gives("doc ? 'zz'", "false");
    gives("'[\"x\", 1]' ? 'x'", "true");
    gives("json_get_int('{\"a\": 1, \"a\": 2}', 'a')", "2");
    gives("json_get_str('not json', 'a')", "NULL");
    gives("doc -> null", "NULL");
}

/* Whatever the text, the reader stays inside it: each prefix of a document on its own heap block,
 * for the sanitizer to watch. */
static void json_reader_stays_inside(void **state) {
    static const char doc[] = " {\"a\\u00\": [1, {\"b\": \"\\ud83d\\ude00\\\"\"}, [[]]], \"c\": "
                              "tru, \"d\":-1.5e3, \"e\" : {\"f\":null}} ";
    for (size_t n = 0; n <= sizeof(doc) - 1; n++) {
        char *copy = malloc(n ? n : 1);
        memcpy(copy, doc, n);
        struct kl_slice s = kl_slice(copy, n);
        static const char *const keys[] = {"a", "b", "c", "d", "e", "f", ""};
        for (size_t k = 0; k < KL_LEN(keys); k++) {
            struct kl_slice m = kl_expr__json_member(s, kl_slice_str(keys[k]));
            struct kl_slice text;
            assert_true(m.ptr == NULL || (m.ptr >= copy && m.ptr + m.len <= copy + n));
            if (m.ptr && kl_expr__json_kind(m) == KL_JSON_STRING) {
                (void)!kl_expr__json_unquote(m, &arena, &text, NULL);
            }
            kl_expr__json_has(s, kl_slice_str(keys[k]));
        }
        kl_expr__json_length(s);
        kl_expr__json_element(s, 0);
        kl_expr__json_element(s, -1);
        free(copy);
    }
}

static void vectors_are_measured(void **state) {
    gives("cosine_distance(v, '[1, 0, 0]')", "0");
    gives("cosine_distance(v, '[0,2,0]')", "1");
    gives("cosine_distance(v, '[0,0,0]')", "1");
    gives("cosine_distance(v, '[-1,0,0]')", "2");
    gives("l2_distance(v, '[1,3,4]')", "5");
    gives("inner_product(v, '[4,1,1]')", "4");
    gives("l2_distance('[1,2]', '[1,2]')", "0");
    gives("cosine_distance(v, null)", "NULL");
    assert_int_equal(refused("cosine_distance(v, '[1,2]')"), KL_E_TYPE);
    assert_string_equal(p.err.msg, "COSINE_DISTANCE() dimension mismatch: row has 3, query has 2");
    assert_int_equal(refused("cosine_distance(v, '[]')"), KL_E_EXEC);
    assert_int_equal(refused("cosine_distance(v, '[1,,2]')"), KL_E_TYPE);
    assert_int_equal(refused("cosine_distance(v, '[1,2,]')"), KL_E_TYPE);
    assert_int_equal(refused("cosine_distance(v, 'abc')"), KL_E_TYPE);
    gives("l2_distance('[1,2]'::text, '[1,2,3]'::text)",
        "ERROR: L2_DISTANCE() dimension mismatch: row has 2, query has 3");
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(equality_finds_the_key),
        T(equality_leaves_the_rest_alone),
        T(types_are_postgresql_s),
        T(nullability_is_known),
        T(volatile_calls_differ_and_are_never_folded),
        T(prints_as_sql),
        T(unknown_things_are_unsupported),
        T(nesting_is_limited),
        T(memory_is_limited),
        T(parameters_are_checked),
        T(a_filter_passes_only_true),
        T(the_statement_answers),
        T(json_is_read_by_path),
        T(json_reader_stays_inside),
        T(vectors_are_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
