/* The TOML parser: values, structure, what must be refused and where, limits, random bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "server/toml.h"

struct doc {
    struct kl_arena arena;
    struct kl_toml *root;
    struct kl_err err;
    enum kl_rc rc;
};

static struct doc parse_bytes(const char *text, size_t len) {
    struct doc d = {0};
    kl_arena_init(&d.arena, 0);
    d.rc = kl_toml_parse(kl_slice(text, len), &d.arena, &d.root, &d.err);
    return d;
}

static struct doc parse(const char *text) {
    struct doc d = parse_bytes(text, strlen(text));
    if (d.rc != KL_OK) {
        print_message("%s\n", d.err.msg);
    }
    assert_int_equal(d.rc, KL_OK);
    return d;
}

static void done(struct doc *d) {
    kl_arena_deinit(&d->arena);
}

/* By a path of plain parts parted by dots; a number picks an array's item. */
static const struct kl_toml *at(const struct doc *d, const char *path) {
    const struct kl_toml *node = d->root;
    while (*path != '\0') {
        size_t len = strcspn(path, ".");
        if (node->type == KL_TOML_ARRAY) {
            int n = atoi(path);
            node = node->first;
            while (n-- > 0 && node != NULL) {
                node = node->next;
            }
        } else {
            node = kl_toml_get(node, kl_slice(path, len));
        }
        assert_non_null(node);
        path += len + (path[len] == '.');
    }
    return node;
}

static void expect_text(const char *source, const char *want, size_t len) {
    struct doc d = parse(source);
    const struct kl_toml *v = at(&d, "v");
    assert_int_equal(v->type, KL_TOML_STRING);
    assert_int_equal(v->text.len, len);
    assert_memory_equal(v->text.ptr, want, len);
    done(&d);
}
#define EXPECT_TEXT(source, want) expect_text(source, want, sizeof(want) - 1)

static void test_strings(void **state) {
    EXPECT_TEXT("v = \"\"", "");
    EXPECT_TEXT("v = ''", "");
    EXPECT_TEXT("v = \"a\\tb\\n\\\"\\\\\\u00e9\\U0001F600\"", "a\tb\n\"\\\xC3\xA9\xF0\x9F\x98\x80");
    EXPECT_TEXT("v = \"\\u0000\"", "\0");
    EXPECT_TEXT("v = 'C:\\path\\n'", "C:\\path\\n");
    EXPECT_TEXT("v = \"\"\"\nfirst\r\nsecond\"\"\"", "first\nsecond");
    EXPECT_TEXT("v = \"\"\"a \\\n\n   b\"\"\"", "a b");
    EXPECT_TEXT("v = \"\"\"a\"\"b\"\"\"\"\"", "a\"\"b\"\"");
    EXPECT_TEXT("v = '''\n'quoted' \\n'''''", "'quoted' \\n''");
    EXPECT_TEXT("v = '\xC3\xBC'", "\xC3\xBC");
}

static void expect_int(const char *literal, int64_t want) {
    char source[160];
    snprintf(source, sizeof(source), "v = %s # comment", literal);
    struct doc d = parse(source);
    assert_int_equal(at(&d, "v")->type, KL_TOML_INTEGER);
    assert_true(at(&d, "v")->integer == want);
    done(&d);
}

static void expect_float(const char *literal, double want) {
    char source[160];
    snprintf(source, sizeof(source), "v=%s", literal);
    struct doc d = parse(source);
    assert_int_equal(at(&d, "v")->type, KL_TOML_FLOAT);
    double got = at(&d, "v")->real;
    assert_true(isnan(want) ? isnan(got) : got == want && signbit(got) == signbit(want));
    done(&d);
}

static void test_numbers(void **state) {
    expect_int("0", 0);
    expect_int("+99", 99);
    expect_int("-0", 0);
    expect_int("1_000_000", 1000000);
    expect_int("9223372036854775807", INT64_MAX);
    expect_int("-9223372036854775808", INT64_MIN);
    expect_int("0xDEAD_beef", 0xDEADBEEF);
    expect_int("0x7fffffffffffffff", INT64_MAX);
    expect_int("0o755", 0755);
    expect_int("0b1101", 13);
    expect_float("3.25", 3.25);
    expect_float("-0.0", -0.0);
    expect_float("5e+22", 5e22);
    expect_float("1_0.2_5E-2", 10.25e-2);
    expect_float("inf", INFINITY);
    expect_float("-inf", -INFINITY);
    expect_float("+nan", NAN);
}

static void test_booleans_and_dates(void **state) {
    static const char *const dates[] = {"1979-05-27", "2000-02-29", "07:32:00", "00:32:00.999999",
        "1979-05-27T07:32:00Z", "1979-05-27 07:32:00.5-07:00", "1979-05-27t07:32:00",
        "1990-12-31T23:59:60z"};
    struct doc d = parse("a = true\nb = false");
    assert_true(at(&d, "a")->boolean);
    assert_false(at(&d, "b")->boolean);
    assert_int_equal(at(&d, "b")->type, KL_TOML_BOOLEAN);
    done(&d);
    for (size_t i = 0; i < KL_LEN(dates); i++) {
        char source[80];
        snprintf(source, sizeof(source), "v = %s  # : x", dates[i]);
        d = parse(source);
        assert_int_equal(at(&d, "v")->type, KL_TOML_DATETIME);
        assert_true(kl_slice_eq_str(at(&d, "v")->text, dates[i]));
        done(&d);
    }
}

static void test_structure(void **state) {
    struct doc d = parse("top = 1\r\n"
                         "[a.b] # implicit a\n"
                         "x = [ 1, [2, 'three'], # comment\n  {y = 4}, ]\n"
                         "\"quoted key\".'in.ner' = 5\n"
                         "[a]\n"
                         "z.p = 6\n"
                         "z.q = 7\n"
                         "[a.z.sub]\n"
                         "deep = true\n"
                         "[[list]]\nname = 'one'\n[list.sub]\nn = 1\n[[list]]\nname = "
                         "'two'\n[[list.inner]]\n[[list.inner]]\nk=9\n"
                         "[empty]");
    assert_int_equal(at(&d, "top")->integer, 1);
    assert_int_equal(at(&d, "a.b.x.1.0")->integer, 2);
    assert_int_equal(at(&d, "a.b.x.2.y")->integer, 4);
    const struct kl_toml *inner = kl_toml_get(at(&d, "a.b.quoted key"), KL_S("in.ner"));
    assert_int_equal(inner->integer, 5);
    assert_int_equal(inner->line, 5);
    assert_int_equal(at(&d, "a.z.q")->integer, 7);
    assert_true(at(&d, "a.z.sub.deep")->boolean);
    assert_int_equal(at(&d, "list.0.sub.n")->integer, 1);
    assert_true(kl_slice_eq(at(&d, "list.1.name")->text, KL_S("two")));
    assert_int_equal(at(&d, "list.1.inner.1.k")->integer, 9);
    assert_int_equal(at(&d, "empty")->type, KL_TOML_TABLE);
    assert_null(at(&d, "empty")->first);
    done(&d);

    d = parse("");
    assert_null(d.root->first);
    done(&d);
    d = parse("\xEF\xBB\xBF"
              "a = 1");
    assert_int_equal(at(&d, "a")->integer, 1);
    done(&d);
}

static void expect_refusal(const char *source, int line, int column) {
    struct doc d = parse_bytes(source, strlen(source));
    char want[48];
    snprintf(want, sizeof(want), "line %d, column %d: ", line, column);
    if (d.rc != KL_E_INVALID_INPUT || strncmp(d.err.msg, want, strlen(want)) != 0) {
        fail_msg("%s: rc %s, %s; expected %s", source, kl_rc_name(d.rc), d.err.msg, want);
    }
    assert_null(d.root);
    done(&d);
}

static void test_refused_values(void **state) {
    static const char *const values[] = {"", "01", "1_", "_1", "1__0", "+0x1", "0x", "0b2", "0o8",
        "1.", ".5", "1e", "1._0", "00.1", "9223372036854775808", "0x8000000000000000", "tru",
        "True", "nul", "word", "2021-02-29", "2021-13-01", "25:00:00", "07:32",
        "1979-05-27T07:32:00+25:00", "1979-05-27T", "--1", "1e999e1", "0x1.5"};
    for (size_t i = 0; i < KL_LEN(values); i++) {
        char source[80];
        snprintf(source, sizeof(source), "ok = 1\nv = %s\n", values[i]);
        expect_refusal(source, 2, 5);
    }
    expect_refusal("v = \"open\n\"", 1, 10);
    expect_refusal("v = 'open", 1, 10);
    expect_refusal("v = \"\"\"open\n\"\"", 2, 3);
    expect_refusal("v = \"\\x41\"", 1, 6);
    expect_refusal("v = \"\\uD800\"", 1, 6);
    expect_refusal("v = \"\\u12\"", 1, 6);
    expect_refusal("v = \"\\U00110000\"", 1, 6);
    expect_refusal("v = \"a\x01\"", 1, 7);
    expect_refusal("v = '''a''''''", 1, 14);
    expect_refusal("# a\x7f", 1, 4);
    expect_refusal("v = 1 2", 1, 7);
    expect_refusal("v = [1 2]", 1, 8);
    expect_refusal("v = [1,,2]", 1, 8);
    expect_refusal("v = [1", 1, 7);
    expect_refusal("v = {a = 1,}", 1, 12);
    expect_refusal("v = {a = 1\n}", 1, 11);
    expect_refusal("v = 1\rw = 2", 1, 6);
    expect_refusal("\xC3\xBC = 1", 1, 1);
    expect_refusal("a = '\xC3\xBC' x", 1, 9); /* columns count characters */
}

static void test_refused_structure(void **state) {
    expect_refusal("a = 1\na = 2", 2, 1);
    expect_refusal("a = 1\n\"a\" = 2", 2, 1);
    expect_refusal("a = 1\na.b = 2", 2, 1);
    expect_refusal("[a]\n[a]", 2, 2);
    expect_refusal("[a]\nb = 1\n[a.b]", 3, 2);
    expect_refusal("[a]\nb = 1\n[a.b.c]", 3, 2);
    expect_refusal("a.b = 1\n[a]", 2, 2);
    expect_refusal("[a.b]\n[a]\nb.c = 1", 3, 1);
    expect_refusal("[a]\nb.c = 1\n[x]\n[a.b]", 4, 2);
    expect_refusal("a = {b = 1}\n[a.c]", 2, 2);
    expect_refusal("a = {b = 1}\na.c = 2", 2, 1);
    expect_refusal("a = []\n[[a]]", 2, 3);
    expect_refusal("[[a]]\n[a]", 2, 2);
    expect_refusal("[a]\n[[a]]", 2, 3);
    expect_refusal("a = {b = 1, b = 2}", 1, 13);
    expect_refusal("[a", 1, 3);
    expect_refusal("[[a]", 1, 4);
    expect_refusal("[]", 1, 2);
    expect_refusal("a.", 1, 3);
    expect_refusal(".a = 1", 1, 1);
    expect_refusal("a", 1, 2);
    expect_refusal("= 1", 1, 1);
    expect_refusal("\"\"\"a\"\"\" = 1", 1, 1);
    expect_refusal("[a] b = 1", 1, 5);
    struct doc d = parse_bytes("a = 1\nb = '\xff'", 12);
    assert_int_equal(d.rc, KL_E_INVALID_INPUT);
    assert_int_equal(d.err.position, 12);
    done(&d);
    d = parse_bytes("a = 1\0", 6);
    assert_int_equal(d.rc, KL_E_INVALID_INPUT);
    done(&d);
}

static void test_limits(void **state) {
    struct kl_buf b;
    kl_buf_init(&b, 0);
    for (int depth = KL_TOML_MAX_DEPTH; depth <= KL_TOML_MAX_DEPTH + 1; depth++) {
        kl_buf_clear(&b);
        kl_buf_puts(&b, "v = ");
        for (int i = 0; i < depth; i++) {
            kl_buf_puts(&b, "[");
        }
        for (int i = 0; i < depth; i++) {
            kl_buf_puts(&b, "]");
        }
        struct doc d = parse_bytes(b.data, b.len);
        assert_int_equal(d.rc, depth <= KL_TOML_MAX_DEPTH ? KL_OK : KL_E_INVALID_INPUT);
        done(&d);
    }
    for (int keys = KL_TOML_MAX_KEYS; keys <= KL_TOML_MAX_KEYS + 1; keys++) {
        kl_buf_clear(&b);
        for (int i = 0; i < keys; i++) {
            kl_buf_printf(&b, "k%d = 1\n", i);
        }
        struct doc d = parse_bytes(b.data, b.len);
        assert_int_equal(d.rc, keys <= KL_TOML_MAX_KEYS ? KL_OK : KL_E_TOO_LARGE);
        done(&d);
    }
    kl_buf_clear(&b);
    kl_buf_puts(&b, "#");
    while (b.len <= KL_TOML_MAX_BYTES) {
        kl_buf_putc(&b, '#');
    }
    struct doc d = parse_bytes(b.data, b.len);
    assert_int_equal(d.rc, KL_E_TOO_LARGE);
    done(&d);
    kl_buf_deinit(&b);

    /* a budget that is too small, wherever it runs out */
    static const char text[] = "[a]\nb = ['x', {c = \"y\"}]\n[[d]]\ne.f = 2020-01-01\n";
    for (size_t limit = 1; limit < 65536; limit += 512) {
        struct kl_arena arena;
        struct kl_toml *root = NULL;
        kl_arena_init(&arena, limit);
        enum kl_rc rc = kl_toml_parse(kl_slice(text, sizeof(text) - 1), &arena, &root, NULL);
        assert_true((rc == KL_OK && root != NULL) || (rc == KL_E_TOO_LARGE && root == NULL));
        kl_arena_deinit(&arena);
    }
}

/* Cutting a valid text anywhere, or changing any byte, must never crash and never lose an error's
 * position. */
static void test_damaged(void **state) {
    static const char text[] = "t = \"a\\u00e9\\\\\" # c\n[a.b]\nx = [1, 2.5e3, {y = '''q'''}]\nd "
                               "= 1979-05-27 07:32:00Z\n[[l]]\nk.m = 0xff\n"
                               "s = \"\"\"\n a \\\n  b\"\"\"\n";
    uint64_t seed = 20240131, x = seed;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (size_t cut = 0; cut < sizeof(text); cut++) {
        char *copy = malloc(cut + 1); /* exact, for the sanitizer */
        memcpy(copy, text, cut);
        struct doc d = parse_bytes(copy, cut);
        assert_true(d.rc == KL_OK || (d.rc == KL_E_INVALID_INPUT && d.err.position >= 1));
        done(&d);
        free(copy);
    }
    for (int round = 0; round < 20000; round++) {
        char copy[sizeof(text)];
        memcpy(copy, text, sizeof(text));
        for (int i = 0; i < 2; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            copy[(x >> 33) % (sizeof(text) - 1)] = (char)(x >> 25);
        }
        struct doc d = parse_bytes(copy, sizeof(text) - 1);
        assert_true(d.rc == KL_OK || (d.rc == KL_E_INVALID_INPUT && d.err.position >= 1));
        done(&d);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_booleans_and_dates),
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_refused_values),
        cmocka_unit_test(test_refused_structure),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
