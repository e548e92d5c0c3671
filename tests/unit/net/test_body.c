/* The JSON body of a SQL request: what is accepted, what is bound, what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/body.h"

#include <stdio.h>
#include <stdlib.h>

static struct kl_arena arena;

static enum kl_rc parse(const char *text, struct kl_sql_body *ret, struct kl_err *err) {
    kl_arena_reset(&arena);
    struct kl_slice copy = kl_arena_dup(&arena, kl_slice_str(text));
    return kl_body_parse((char *)copy.ptr, copy.len, &arena, ret, err);
}

static void assert_text(struct kl_slice s, const char *want) {
    assert_int_equal(s.len, strlen(want));
    assert_memory_equal(s.ptr, want, s.len);
}

static void accepts_the_usual(void **state) {
    struct kl_sql_body b;
    struct kl_err err;
    assert_int_equal(parse("{\"sql\":\"SELECT 1\"}", &b, &err), KL_OK);
    assert_text(b.sql, "SELECT 1");
    assert_int_equal(b.n_params, 0);
    assert_null(b.ns.ptr);
    assert_int_equal(
        parse(" {\n\"params\" : [ ] ,\t\"sql\":\"x\" , \"namespace_id\":\"app\"} \r\n", &b, &err),
        KL_OK);
    assert_text(b.sql, "x");
    assert_text(b.ns, "app");
    assert_int_equal(
        parse("{\"sql\":\"\",\"params\":null,\"namespace_id\":null}", &b, &err), KL_OK);
    assert_int_equal(b.sql.len, 0);
    assert_null(b.ns.ptr);
}

static void unescapes_in_place(void **state) {
    struct kl_sql_body b;
    struct kl_err err;
    const char *text =
        "{\"s\\u0071l\":\"a\\n\\\"\\\\\\/\\b\\f\\r\\t\\u00e9\\u20AC\\uD83D\\uDE00z\"}";
    assert_int_equal(parse(text, &b, &err), KL_OK);
    assert_text(b.sql, "a\n\"\\/\b\f\r\t\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z");
}

/* Bytes are looked at eight at a time: each kind of byte at each distance from the quotes. */
static void every_byte_at_every_place(void **state) {
    struct kl_sql_body b;
    struct kl_err err;
    for (int c = 1; c < 128; c++) {
        for (int n = 0; n < 20; n++) {
            for (int at = 0; at < n; at++) {
                char text[64], want[64];
                memset(want, 'q', (size_t)n);
                want[at] = (char)c;
                want[n] = '\0';
                snprintf(text, sizeof text, "{\"sql\":\"%.*s%s%c%s\"}", at, want,
                    c == '"' || c == '\\' ? "\\" : "", c, want + at + 1);
                enum kl_rc rc = parse(text, &b, &err);
                assert_int_equal(rc, c < 0x20 ? KL_E_INVALID_INPUT : KL_OK);
                if (rc == KL_OK) {
                    assert_text(b.sql, want);
                }
            }
        }
    }
}

static void binds_parameters(void **state) {
    struct kl_sql_body b;
    struct kl_err err;
    const char *text =
        "{\"sql\":\"s\",\"params\":[null,true,false,1,-9223372036854775808,9223372036854775808,1.5,"
        "1e2,\"t\\u0041\","
        "[1, {\"a\":\"\\n\"}],{\"k\":[]},-0,12345678901234567890123456789012345678]}";
    assert_int_equal(parse(text, &b, &err), KL_OK);
    assert_int_equal(b.n_params, 13);
    const struct kl_val *v = b.params;
    assert_true(v[0].null);
    assert_true(v[1].type == KL_T_BOOLEAN && v[1].b);
    assert_true(v[2].type == KL_T_BOOLEAN && !v[2].b);
    assert_true(v[3].type == KL_T_BIGINT && v[3].i == 1);
    assert_true(v[4].type == KL_T_BIGINT && v[4].i == INT64_MIN);
    assert_true(v[5].type == KL_T_DECIMAL && kl_val_dec(&v[5]) == (__int128)INT64_MAX + 1);
    assert_true(v[6].type == KL_T_DOUBLE && v[6].d == 1.5);
    assert_true(v[7].type == KL_T_DOUBLE && v[7].d == 100.0);
    assert_true(v[8].type == KL_T_TEXT && v[8].flags == KL_VAL_UNKNOWN);
    assert_text(kl_val_slice(&v[8]), "tA");
    assert_true(v[9].type == KL_T_JSON && v[9].flags == 0);
    assert_text(kl_val_slice(&v[9]), "[1, {\"a\":\"\\n\"}]"); /* nested: the text as it came */
    assert_text(kl_val_slice(&v[10]), "{\"k\":[]}");
    assert_true(v[11].type == KL_T_BIGINT && v[11].i == 0);
    assert_int_equal(v[12].type, KL_T_DECIMAL);
}

static void ignores_unknown_fields(void **state) {
    struct kl_sql_body b;
    struct kl_err err;
    const char *text = "{\"namespace\":{\"a\":[1,2,{\"b\":null}]},\"x\":\"\\u0041\",\"y\":-1.5e+3,"
                       "\"sql\":\"q\",\"z\":true}";
    assert_int_equal(parse(text, &b, &err), KL_OK);
    assert_text(b.sql, "q");
}

static void refuses_what_is_no_json(void **state) {
    static const char *const bad[] = {"", " ", "null", "[]", "\"sql\"", "{", "{}", "{\"sql\"}",
        "{\"sql\":}", "{\"sql\":1}", "{\"sql\":null}", "{\"sql\":\"a\"", "{\"sql\":\"a}",
        "{\"sql\":\"a\"}x", "{\"sql\":\"a\",}", "{,\"sql\":\"a\"}", "{sql:\"a\"}", "{'sql':'a'}",
        "{\"sql\":\"a\"\"b\":1}", "{\"sql\":\"a\",\"sql\":\"b\"}", "{\"sql\":\"\\x\"}",
        "{\"sql\":\"\\u12\"}", "{\"sql\":\"\\u0000\"}", "{\"sql\":\"\\uD800\"}",
        "{\"sql\":\"\\uD800\\u0041\"}", "{\"sql\":\"\\uDC00\"}", "{\"sql\":\"a\nb\"}",
        "{\"sql\":\"\x80\"}", "{\"sql\":\"\xC0\xAF\"}", "{\"sql\":\"a\",\"params\":{}}",
        "{\"sql\":\"a\",\"params\":[1,]}", "{\"sql\":\"a\",\"params\":[,1]}",
        "{\"sql\":\"a\",\"params\":[1 2]}", "{\"sql\":\"a\",\"params\":[01]}",
        "{\"sql\":\"a\",\"params\":[1.]}", "{\"sql\":\"a\",\"params\":[.5]}",
        "{\"sql\":\"a\",\"params\":[+1]}", "{\"sql\":\"a\",\"params\":[-]}",
        "{\"sql\":\"a\",\"params\":[1e]}", "{\"sql\":\"a\",\"params\":[NaN]}",
        "{\"sql\":\"a\",\"params\":[1e999]}", "{\"sql\":\"a\",\"params\":[nul]}",
        "{\"sql\":\"a\",\"params\":[[1}]}", "{\"sql\":\"a\",\"params\":[\"a\\u0000\"]}",
        "{\"sql\":\"a\",\"namespace_id\":5}", "{\"sql\":\"a\",\"x\":tru}",
        "{\"sql\":\"a\",\"x\":[\"\\q\"]}", "{\"sql\":\"a\"}{}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct kl_sql_body b;
        struct kl_err err = {0};
        if (parse(bad[i], &b, &err) != KL_E_INVALID_INPUT) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_memory_equal(err.msg, "Invalid JSON payload: ", 22);
    }
}

static void refuses_a_nul_inside(void **state) {
    char text[] = "{\"sql\":\"a\0b\"}";
    struct kl_sql_body b;
    struct kl_err err;
    assert_int_equal(kl_body_parse(text, sizeof text - 1, &arena, &b, &err), KL_E_INVALID_INPUT);
    char after[] = "{\"sql\":\"a\"}\0";
    assert_int_equal(kl_body_parse(after, sizeof after - 1, &arena, &b, &err), KL_E_INVALID_INPUT);
}

static void bounds_nesting(void **state) {
    for (int depth = KL_BODY_MAX_DEPTH - 1; depth <= KL_BODY_MAX_DEPTH + 1; depth++) {
        struct kl_buf text = {0};
        struct kl_sql_body b;
        struct kl_err err;
        kl_buf_puts(&text, "{\"sql\":\"a\",\"x\":");
        for (int i = 0; i < depth; i++) {
            kl_buf_putc(&text, '[');
        }
        for (int i = 0; i < depth; i++) {
            kl_buf_putc(&text, ']');
        }
        kl_buf_puts(&text, "}");
        kl_buf_putc(&text, '\0');
        enum kl_rc rc = parse(text.data, &b, &err);
        assert_int_equal(rc == KL_OK, depth <= KL_BODY_MAX_DEPTH);
        kl_buf_deinit(&text);
    }
}

/* Every prefix of a good body is bad, and no cut reads past its end (under the sanitizers). */
static void every_prefix_is_bad(void **state) {
    const char *text = "{\"sql\":\"a\\uD83D\\uDE00\",\"params\":[1.5e3,\"x\",{\"a\":[true,null]}],"
                       "\"namespace_id\":\"n\"}";
    for (size_t n = 0; n < strlen(text); n++) {
        char *cut = kl_xmalloc(n + 1);
        struct kl_sql_body b;
        struct kl_err err;
        memcpy(cut, text, n);
        cut[n] = '\0';
        assert_int_equal(kl_body_parse(cut, n, &arena, &b, &err), KL_E_INVALID_INPUT);
        free(cut);
    }
}

/* Whatever text goes in as a parameter comes out again. */
static void random_texts_round_trip(void **state) {
    uint64_t seed = kl_random_u64();
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 2000; round++) {
        struct kl_buf want = {0}, text = {0};
        size_t n = kl_random_below(40);
        for (size_t i = 0; i < n; i++) {
            uint32_t c = (uint32_t)(1 + kl_random_below(kl_random_below(4) ? 0x7E : 0x10FFFE));
            kl_utf8_put(&want, c >= 0xD800 && c <= 0xDFFF ? 'x' : c);
        }
        kl_buf_puts(&text, "{\"sql\":\"s\",\"params\":[");
        kl_json_str(&text, kl_buf_view(&want));
        kl_buf_puts(&text, "]}");
        kl_buf_putc(&text, '\0');
        struct kl_sql_body b;
        struct kl_err err = {0};
        assert_int_equal(parse(text.data, &b, &err), KL_OK);
        assert_true(kl_slice_eq(kl_val_slice(&b.params[0]), kl_buf_view(&want)));
        kl_buf_deinit(&want);
        kl_buf_deinit(&text);
    }
}

static void reads_a_bare_array(void **state) {
    const struct kl_val *v;
    size_t n;
    struct kl_err err;
    char good[] = " [1,\"a\"] ", bad[] = "[1] 2", object[] = "{}";
    assert_int_equal(kl_body_params(good, strlen(good), &arena, &v, &n, &err), KL_OK);
    assert_int_equal(n, 2);
    assert_int_equal(kl_body_params(bad, strlen(bad), &arena, &v, &n, &err), KL_E_INVALID_INPUT);
    assert_int_equal(
        kl_body_params(object, strlen(object), &arena, &v, &n, &err), KL_E_INVALID_INPUT);
}

static void a_small_arena_is_an_error(void **state) {
    struct kl_arena tiny;
    struct kl_buf text = {0};
    kl_arena_init(&tiny, 4096);
    kl_buf_puts(&text, "{\"sql\":\"s\",\"params\":[0");
    for (int i = 0; i < 5000; i++) {
        kl_buf_puts(&text, ",0");
    }
    kl_buf_puts(&text, "]}");
    kl_buf_putc(&text, '\0');
    struct kl_sql_body b;
    struct kl_err err;
    assert_int_equal(kl_body_parse(text.data, text.len - 1, &tiny, &b, &err), KL_E_INVALID_INPUT);
    kl_buf_deinit(&text);
    kl_arena_deinit(&tiny);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_usual),
        cmocka_unit_test(unescapes_in_place),
        cmocka_unit_test(every_byte_at_every_place),
        cmocka_unit_test(binds_parameters),
        cmocka_unit_test(ignores_unknown_fields),
        cmocka_unit_test(refuses_what_is_no_json),
        cmocka_unit_test(refuses_a_nul_inside),
        cmocka_unit_test(bounds_nesting),
        cmocka_unit_test(every_prefix_is_bad),
        cmocka_unit_test(random_texts_round_trip),
        cmocka_unit_test(reads_a_bare_array),
        cmocka_unit_test(a_small_arena_is_an_error),
    };
    kl_arena_init(&arena, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kl_arena_deinit(&arena);
    return failed;
}
