/* Tokens, and what literals stand for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "sql/scan.h"

static struct kl_arena arena;

/* Tokens as kind and text: "w:select i:1". */
static void tokens(const char *sql, const char *want) {
    static const char kinds[] = "$wqsxoin?+p!";
    struct kl_scan s;
    struct kl_tok t;
    struct kl_buf got = {0};
    size_t len = strlen(sql);
    char *copy = malloc(len + 1);
    memcpy(copy, sql, len);
    kl_sql__scan_init(&s, kl_slice(copy, len));
    for (kl_sql__scan(&s, &t); t.kind != KL_TOK_END; kl_sql__scan(&s, &t)) {
        kl_buf_printf(&got, "%s%c:%.*s", got.len ? " " : "", kinds[t.kind], KL_FMT(t.text));
        assert_int_equal(t.punct != 0, t.kind == KL_TOK_PUNCT);
    }
    kl_sql__scan(&s, &t);
    assert_int_equal(t.kind, KL_TOK_END);
    kl_buf_u8(&got, 0);
    assert_string_equal(got.data, want);
    kl_buf_deinit(&got);
    free(copy);
}

static void kinds(void **state) {
    tokens("", "");
    tokens("Select a_1$b FROM \xc3\xa4\xc3\xb6", "w:Select w:a_1$b w:FROM w:\xc3\xa4\xc3\xb6");
    tokens("\"a\"\"b\" `a``b`", "q:\"a\"\"b\" q:`a``b`");
    tokens("'a''b' E'\\'' e'' $$x$$ $t$a$$b$t$", "s:'a''b' s:E'\\'' s:e'' s:$$x$$ s:$t$a$$b$t$");
    tokens("X'00' B'01' N'x' U&'x' u&\"x\"", "x:X'00' o:B'01' o:N'x' o:U&'x' o:u&\"x\"");
    tokens("1 12.5 .5 5. 1e3 1.5E-2 1e", "i:1 n:12.5 n:.5 n:5. n:1e3 n:1.5E-2 !:1e");
    tokens("1a 0x10 $1 $12 $1a $", "!:1a !:0x10 ?:$1 ?:$12 !:$1 w:a !:$");
    tokens("a.b[1]::int, (x)", "w:a p:. w:b p:[ i:1 p:] +::: w:int p:, p:( w:x p:)");
    tokens("1..2", "i:1 p:. n:.2");
    tokens("a->>'b' <=b !=c*-1 @-d =-1 ||",
        "w:a +:->> s:'b' +:<= w:b +:!= w:c +:* +:- i:1 +:@- w:d +:= +:- i:1 +:||");
    tokens("a--b\nc /*d/*e*/f*/ g+/*h*/i", "w:a w:c w:g +:+ w:i");
    tokens("a := : b;", "w:a +::= p:: w:b p:;");
    tokens("\x01", "!:\x01");
    tokens("'a", "!:'a");
    tokens("\"a", "!:\"a");
    tokens("a /* b", "w:a !:/* b");
    tokens("eXists xX'a'", "w:eXists w:xX s:'a'");
    tokens("\\", "!:\\");
}

static void string_is(const char *token, const char *want) {
    struct kl_scan s;
    struct kl_tok t;
    struct kl_slice got;
    kl_sql__scan_init(&s, kl_slice_str(token));
    kl_sql__scan(&s, &t);
    assert_int_equal(t.kind, KL_TOK_STRING);
    enum kl_rc rc = kl_sql__string(&t, &arena, &got);
    if (!want) {
        assert_int_equal(rc, KL_E_INVALID_SQL);
        return;
    }
    assert_int_equal(rc, KL_OK);
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr, want, got.len);
}

static void strings(void **state) {
    string_is("''", "");
    string_is("'a\\b'", "a\\b");
    string_is("'it''s'''", "it's'");
    string_is("E'it''s \\'x\\' \\\\ \\n\\t\\b\\f\\r'", "it's 'x' \\ \n\t\b\f\r");
    string_is("E'\\x41\\102\\u00e4\\U0001F600\\q'", "AB\xc3\xa4\xf0\x9f\x98\x80q");
    string_is("E'\\xc3\\xa4'", "\xc3\xa4");
    string_is("E'\\xff'", NULL);
    string_is("E'\\u12'", NULL);
    string_is("E'\\ud800'", NULL);
    string_is("E'\\000'", NULL);
    string_is("$$it''s$$", "it''s");
    string_is("$x$\n$x$", "\n");
}

static void number_is(const char *text, bool negative, const char *want, uint8_t type) {
    struct kl_val v;
    enum kl_rc rc = kl_sql__number(kl_slice_str(text), negative, &v);
    if (!want) {
        assert_int_not_equal(rc, KL_OK);
        return;
    }
    struct kl_buf b = {0};
    assert_int_equal(rc, KL_OK);
    assert_int_equal(v.type, type);
    kl_val_to_text(&v, &b);
    kl_buf_u8(&b, 0);
    assert_string_equal(b.data, want);
    kl_buf_deinit(&b);
}

static void numbers(void **state) {
    number_is("0", false, "0", KL_T_BIGINT);
    number_is("0000000000000000000000012", false, "12",
        KL_T_DECIMAL); /* longer than any bigint: the slow road, the same value */
    number_is("9223372036854775807", false, "9223372036854775807", KL_T_BIGINT);
    number_is("9223372036854775808", false, "9223372036854775808", KL_T_DECIMAL);
    number_is("9223372036854775808", true, "-9223372036854775808", KL_T_BIGINT);
    number_is("9223372036854775809", true, "-9223372036854775809", KL_T_DECIMAL);
    number_is("9999999999999999999", false, "9999999999999999999", KL_T_DECIMAL);
    number_is("1.5", true, "-1.5", KL_T_DECIMAL);
    number_is(".5", false, "0.5", KL_T_DECIMAL);
    number_is("5.", false, "5", KL_T_DECIMAL);
    number_is("1e3", false, "1000", KL_T_DECIMAL);
    number_is("1.50e-2", false, "0.0150", KL_T_DECIMAL);
    number_is("99999999999999999999999999999999999999", false,
        "99999999999999999999999999999999999999", KL_T_DECIMAL);
    number_is("999999999999999999999999999999999999999", false, NULL, 0);
    number_is("1e39", false, "1e+39", KL_T_DOUBLE);
    number_is("5e-324", false, "5e-324", KL_T_DOUBLE);
    number_is("1.5e-30", false, "0.0000000000000000000000000000015", KL_T_DECIMAL);
    number_is("1e999999999999999", false, NULL, 0);
}

static void bytes(void **state) {
    struct kl_val v;
    assert_int_equal(kl_sql__bytes(KL_S("DEad00"), &arena, &v), KL_OK);
    assert_int_equal(v.len, 3);
    assert_memory_equal(v.s, "\xde\xad\x00", 3);
    assert_int_equal(kl_sql__bytes(KL_S(""), &arena, &v), KL_OK);
    assert_int_equal(v.len, 0);
    assert_int_equal(kl_sql__bytes(KL_S("abc"), &arena, &v), KL_E_INVALID_SQL);
    assert_int_equal(kl_sql__bytes(KL_S("zz"), &arena, &v), KL_E_INVALID_SQL);
}

/* ---- the guard ---- */
static char *repeat(const char *head, const char *unit, size_t n, const char *tail) {
    struct kl_buf b = {0};
    kl_buf_puts(&b, head);
    for (size_t i = 0; i < n; i++) {
        kl_buf_puts(&b, unit);
    }
    kl_buf_puts(&b, tail);
    kl_buf_u8(&b, 0);
    return b.data;
}

static enum kl_rc depth_of(const char *head, const char *unit, size_t n, const char *tail) {
    char *sql = repeat(head, unit, n, tail);
    struct kl_err err;
    enum kl_rc rc = kl_sql__check_depth(kl_slice_str(sql), &err);
    free(sql);
    return rc;
}

static void deep(void **state) {
    static const struct {
        const char *head, *unit;
    } nests[] = {{"SELECT ", "("}, {"SELECT ", "NOT "}, {"SELECT ", "- "}, {"SELECT 1", "+1"},
        {"SELECT ", "CASE WHEN a THEN "}, {"SELECT a", "::int"}, {"SELECT ", "f(a, "},
        {"SELECT ", "ARRAY["}, {"SELECT 1 ", "UNION SELECT 1 "},
        {"SELECT 1 FROM a ", "JOIN b ON c AND d "}, {"SELECT ", "(a.end + "},
        {"SELECT ", "CASE WHEN t.end AND "}, {"SELECT ", "by - "}, {"SELECT ", "t.and - "},
        {"SELECT ", "a BETWEEN b AND NOT "}, {"SELECT ", "a IS DISTINCT FROM NOT "},
        {"SELECT ", "(SELECT "}, {"SELECT a ", "COLLATE x "}, {"SELECT a ", "AT TIME ZONE 'x' "},
        {"SELECT ", "values - "}, {"SELECT ", "OPERATOR(pg_catalog.-) "}};
    for (size_t i = 0; i < KL_LEN(nests); i++) {
        assert_int_equal(depth_of(nests[i].head, nests[i].unit, 40, ""), KL_OK);
        assert_int_equal(depth_of(nests[i].head, nests[i].unit, 600, ""), KL_E_INVALID_SQL);
    }
}

static void flat(void **state) {
    assert_int_equal(depth_of("SELECT 1 WHERE a = 1", " AND b = -1", 20000, ""), KL_OK);
    assert_int_equal(
        depth_of("SELECT 1 WHERE a = 1", " OR (b = 1 AND c LIKE 'x')", 20000, ""), KL_OK);
    assert_int_equal(depth_of("SELECT 1 WHERE a IN (1", ", -1 + 2", 20000, ")"), KL_OK);
    assert_int_equal(
        depth_of("INSERT INTO t VALUES (1)", ", (-1, now() - interval '1 day')", 20000, ""), KL_OK);
    assert_int_equal(depth_of("SELECT CASE", " WHEN a = 1 THEN b + 1", 20000, " END"), KL_OK);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(kinds), cmocka_unit_test(strings),
        cmocka_unit_test(numbers), cmocka_unit_test(bytes), cmocka_unit_test(deep),
        cmocka_unit_test(flat)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
