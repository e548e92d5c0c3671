/* Tables: what they look like, to the character. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/internal.h"

#include <locale.h>
#include <stdlib.h>

static void check(
    const char *schema, const char *rows, struct kl_grid_style style, const char *want) {
    json_t *s = json_loads(schema, 0, NULL), *r = json_loads(rows, JSON_ALLOW_NUL, NULL);
    assert_non_null(s);
    assert_non_null(r);
    struct kl_buf out = {0};
    kl_cli__grid(s, r, &style, &out);
    kl_buf_putc(&out, '\0');
    if (strcmp(out.data, want) != 0) {
        fail_msg("\n%s\nis not\n%s", out.data, want);
    }
    kl_buf_deinit(&out);
    json_decref(s);
    json_decref(r);
}

#define TWO                                                                                        \
    "[{\"name\":\"id\",\"data_type\":\"BigInt\"},{\"name\":\"title\",\"data_type\":\"Text\"}]"

static void plain(void **state) {
    check(TWO, "[[\"1\",\"hello\"],[\"1234\",null],[null,\"NULL\"],[\"5\",\"\"]]",
        (struct kl_grid_style){0},
        "┌──────┬────────┐\n"
        "│ id   │ title  │\n"
        "├──────┼────────┤\n"
        "│    1 │ hello  │\n"
        "│ 1234 │ NULL   │\n"
        "│ NULL │ 'NULL' │\n"
        "│    5 │        │\n"
        "└──────┴────────┘\n");
    check(TWO, "[]", (struct kl_grid_style){0},
        "┌────┬───────┐\n"
        "│ id │ title │\n"
        "├────┼───────┤\n"
        "└────┴───────┘\n");
    check("[]", "[[],[]]", (struct kl_grid_style){0}, "");
}

static void colors(void **state) {
    check(TWO, "[[\"1\",null]]", (struct kl_grid_style){.color = true},
        "┌────┬───────┐\n"
        "│ \x1b[1mid\x1b[0m │ \x1b[1mtitle\x1b[0m │\n"
        "├────┼───────┤\n"
        "│  1 │ \x1b[2mNULL\x1b[0m  │\n"
        "└────┴───────┘\n");
}

static void wide_and_strange_characters(void **state) {
    check("[{\"name\":\"日本\",\"data_type\":\"Text\"},{\"name\":\"x\",\"data_type\":\"Text\"}]",
        "[[\"日本語\",\"e\\u0301\"],[\"ab\",\"a\\nb\\t\\u001b[31m\"],[\"\\u202egnp\","
        "\"a\\u0000b\\u0085\"]]",
        (struct kl_grid_style){0},
        "┌───────────┬────────────────┐\n"
        "│ 日本      │ x              │\n"
        "├───────────┼────────────────┤\n"
        "│ 日本語    │ e\u0301              │\n"
        "│ ab        │ a\\nb\\t\\x1b[31m │\n"
        "│ \\u202egnp │ a\\x00b\\u0085   │\n"
        "└───────────┴────────────────┘\n");
}

static void types(void **state) {
    check("[{\"name\":\"at\",\"data_type\":\"Timestamp\"},{\"name\":\"d\",\"data_type\":\"Date\"},"
          "{\"name\":\"t\",\"data_type\":\"Time\"},{\"name\":\"b\",\"data_type\":\"Bytes\"},"
          "{\"name\":\"n\",\"data_type\":{\"Decimal\":{\"precision\":10,\"scale\":2}}},{\"name\":"
          "\"ok\",\"data_type\":\"Boolean\"}]",
        "[[1767261600123456,20000,34200000000,[222,173],\"12.30\",true],[99999999999999999,null,-1,"
        "[1,999],null,null]]",
        (struct kl_grid_style){0},
        "┌────────────────────────────┬────────────┬──────────┬─────────┬───────┬──────┐\n"
        "│ at                         │ d          │ t        │ b       │ n     │ ok   │\n"
        "├────────────────────────────┼────────────┼──────────┼─────────┼───────┼──────┤\n"
        "│ 2026-01-01 10:00:00.123456 │ 2024-10-04 │ 09:30:00 │ \\xdead  │ 12.30 │ true │\n"
        "│ 5138-11-16 09:46:39.999999 │ NULL       │ -1       │ [1,999] │  NULL │ NULL │\n"
        "└────────────────────────────┴────────────┴──────────┴─────────┴───────┴──────┘\n");
}

static void narrow_terminals(void **state) {
    check(TWO, "[[\"1\",\"the quick brown fox jumps\"],[\"22\",\"日本語日本語日本語日本語\"]]",
        (struct kl_grid_style){.width = 24},
        "┌────┬─────────────────┐\n"
        "│ id │ title           │\n"
        "├────┼─────────────────┤\n"
        "│  1 │ the quick brow… │\n"
        "│ 22 │ 日本語日本語日… │\n"
        "└────┴─────────────────┘\n");
    check(TWO, "[[\"1\",\"日本語日本語日本語日本語\"]]", (struct kl_grid_style){.width = 23},
        "┌────┬────────────────┐\n"
        "│ id │ title          │\n"
        "├────┼────────────────┤\n"
        "│  1 │ 日本語日本語…  │\n"
        "└────┴────────────────┘\n");
}

/* Whatever the contents, no line of a wide table is wider than the terminal, and all are equally
 * wide. */
static void random_tables_fit(void **state) {
    srand(3);
    for (int i = 0; i < 300; i++) {
        size_t columns = 1 + (size_t)rand() % 5;
        json_t *schema = json_array(), *rows = json_array();
        for (size_t c = 0; c < columns; c++) {
            json_array_append_new(
                schema, json_pack("{s:s,s:s}", "name", rand() % 2 ? "n" : "日本語日本", "data_type",
                            rand() % 2 ? "Text" : "BigInt"));
        }
        for (int r = rand() % 4; r >= 0; r--) {
            json_t *row = json_array();
            for (size_t c = 0; c < columns; c++) {
                static const char *const cells[] = {"", "a", "日", "the quick brown fox jumps over",
                    "日本語日本語日本語日本", "e\u0301e\u0301", "12345678901234567890"};
                json_array_append_new(row, json_string(cells[(size_t)rand() % KL_LEN(cells)]));
            }
            json_array_append_new(rows, row);
        }
        int width = (int)columns * 11 + 1 + rand() % 40;
        struct kl_buf out = {0};
        struct kl_grid_style style = {.width = width};
        kl_cli__grid(schema, rows, &style, &out);
        int first = -1;
        for (size_t at = 0; at < out.len;) {
            const char *lf = memchr(out.data + at, '\n', out.len - at);
            size_t n = (size_t)(lf - (out.data + at));
            int w = kl_cli__width(kl_slice(out.data + at, n));
            first = first < 0 ? w : first;
            if (w != first || w > width) {
                fail_msg("%d, not %d of %d:\n%.*s", w, first, width, (int)out.len, out.data);
            }
            at += n + 1;
        }
        kl_buf_deinit(&out);
        json_decref(schema);
        json_decref(rows);
    }
}

static void tall(void **state) {
    check(TWO, "[[\"1\",\"hello\"],[\"2\",null]]", (struct kl_grid_style){.expanded = KL_CLI_TALL},
        "─[ row 1 ]───────\n"
        "id    │ 1\n"
        "title │ hello\n"
        "─[ row 2 ]───────\n"
        "id    │ 2\n"
        "title │ NULL\n");
    /* Three columns of 8 do not fit into 25: AUTO turns. */
    check("[{\"name\":\"aaaaaaaaaa\"},{\"name\":\"bbbbbbbbbb\"},{\"name\":\"cccccccccc\"}]",
        "[[\"1\",\"the quick brown fox\",\"3\"]]",
        (struct kl_grid_style){.width = 25, .expanded = KL_CLI_AUTO},
        "─[ row 1 ]────────────\n"
        "aaaaaaaaaa │ 1\n"
        "bbbbbbbbbb │ the quick b…\n"
        "cccccccccc │ 3\n");
}

int main(void) {
    setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(colors),
        cmocka_unit_test(wide_and_strange_characters),
        cmocka_unit_test(types),
        cmocka_unit_test(narrow_terminals),
        cmocka_unit_test(random_tables_fit),
        cmocka_unit_test(tall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
