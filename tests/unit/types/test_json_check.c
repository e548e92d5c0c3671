/* The JSON check: the grammar's corners, the depth limit, every prefix of a valid text, random
 * damage. */
#include "support.h"

static void test_valid(void **state) {
    static const char *const good[] = {"null", "true", "false", "0", "-0", "1", "-1.5e+10", "0.5",
        "1E5", "\"\"", "\"a\\\"b\"", "\"\\u00e9\\n\\/\"", "\"\xc3\xa9\"", "[]", "{}", " [ 1 , 2 ] ",
        "{\"a\":{\"b\":[1,{}]},\"c\":null}", "[[],[{}]]", "\t\r\n1 ", "{\"a\":1,\"a\":2}",
        "\"\\ud800\"", "123456789012345678901234567890", "{\"\":\"\"}"};
    static const char *const bad[] = {"", " ", "nul", "nulll", "True", "01", "-", "1.", ".5", "1e",
        "1e+", "+1", "0x1", "\"", "\"\\\"", "\"\\x\"", "\"\\u12g4\"", "\"\\u12\"", "\"\n\"",
        "\"\xff\"", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", "}", "{\"a\"",
        "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{a:1}", "{1:1}", "[1}",
        "{\"a\":1]", "1 2", "[]]", "{}{}", "'a'", "NaN", "Infinity", "// c\n1", "[1]x",
        "\xef\xbb\xbf[]", "{\"a\" 1}", "{\"a\"::1}", "[1],"};
    for (size_t i = 0; i < KL_LEN(good); i++) {
        if (!kl_json_valid(kl_slice_str(good[i]))) {
            fail_msg("refused %s", good[i]);
        }
    }
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        if (kl_json_valid(kl_slice_str(bad[i]))) {
            fail_msg("accepted %s", bad[i]);
        }
    }
    assert_false(kl_json_valid(kl_slice("\"a\0b\"", 5)));
    assert_false(kl_json_valid(kl_slice("1\0", 2)));
    assert_false(kl_json_valid(kl_slice("\"\\\0\"", 4)));
    assert_false(kl_json_valid(KL_SLICE_NONE));
}

static void test_depth(void **state) {
    for (size_t depth = 510; depth <= 515; depth++) {
        for (int object = 0; object < 2; object++) {
            struct kl_buf b;
            kl_buf_init(&b, 0);
            for (size_t i = 0; i < depth; i++) {
                kl_buf_puts(&b, object ? "{\"k\":" : "[");
            }
            kl_buf_puts(&b, "1");
            for (size_t i = 0; i < depth; i++) {
                kl_buf_putc(&b, object ? '}' : ']');
            }
            assert_int_equal(kl_json_valid(kl_buf_view(&b)), depth <= 512);
            kl_buf_deinit(&b);
        }
    }
    /* alternating brackets, closed in the wrong order */
    assert_false(kl_json_valid(KL_S("[{\"a\":[{\"b\":1]}}]")));
    assert_true(kl_json_valid(KL_S("[{\"a\":[{\"b\":1}]}]")));
}

static void test_prefixes(void **state) {
    static const char text[] =
        "{\"a\":[1,-2.5e3,true,null,\"x\\u00e9\\n\"],\"b\":{\"c\":{}},\"d\":[]}";
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        char *exact = malloc(n + 1); /* so that a read past the end is seen */
        memcpy(exact, text, n);
        assert_false(kl_json_valid(kl_slice(exact, n)));
        free(exact);
    }
    assert_true(kl_json_valid(KL_S(text)));
}

static void put_value(struct kl_buf *b, int depth) {
    static const char *const scalars[] = {
        "0", "-12.5e-3", "true", "false", "null", "\"\"", "\"a\\\\b\"", "\"\\u0041\""};
    uint64_t kind = below(depth > 4 ? 1 : 3), count = below(4);
    if (kind == 0) {
        kl_buf_puts(b, scalars[below(KL_LEN(scalars))]);
        return;
    }
    kl_buf_putc(b, kind == 1 ? '[' : '{');
    for (uint64_t i = 0; i < count; i++) {
        kl_buf_puts(b, i ? " , " : "");
        kl_buf_puts(b, kind == 1 ? "" : "\"k\" : ");
        put_value(b, depth + 1);
    }
    kl_buf_putc(b, kind == 1 ? ']' : '}');
}

static void test_random(void **state) {
    for (int i = 0; i < 5000; i++) {
        struct kl_buf b;
        kl_buf_init(&b, 0);
        put_value(&b, 0);
        if (!kl_json_valid(kl_buf_view(&b))) {
            fail_msg("refused %.*s", KL_FMT(kl_buf_view(&b)));
        }
        for (int k = 0; k < 10; k++) { /* damage must not crash, whatever the answer */
            b.data[below(b.len)] = (char)rnd();
            (void)kl_json_valid(kl_buf_view(&b));
        }
        kl_buf_deinit(&b);
    }
}

int main(void) {
    seed_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
