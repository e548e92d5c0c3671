/* Where statements end: quotes, comments, dollar quotes, parentheses, transactions, backslash
 * lines, and OPTIONS. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/internal.h"

#include <stdlib.h>

/* Parts joined by " | ", each with its kind: S, C, or O and what is open. */
static void check(const char *text, const char *want) {
    struct kl_buf got = {0};
    size_t pos = 0;
    struct kl_slice all = kl_slice_str(text);
    for (;;) {
        struct kl_split_part part;
        kl_cli__split_next(all, &pos, &part);
        if (part.kind == KL_SPLIT_NONE) {
            break;
        }
        assert_ptr_equal(part.text.ptr, all.ptr + part.offset);
        kl_buf_puts(&got, got.len ? " | " : "");
        kl_buf_putc(&got, part.kind == KL_SPLIT_STATEMENT ? 'S'
                          : part.kind == KL_SPLIT_COMMAND ? 'C'
                                                          : 'O');
        if (part.kind == KL_SPLIT_OPEN) {
            kl_buf_putc(&got, part.open);
        }
        kl_buf_putc(&got, ' ');
        kl_buf_slice(&got, part.text);
    }
    kl_buf_putc(&got, '\0');
    if (strcmp(got.data, want) != 0) {
        fail_msg("%s\n gives %s\n  not %s", text, got.data, want);
    }
    kl_buf_deinit(&got);
}

static void statements(void **state) {
    check("", "");
    check("  \n-- only a comment", "");
    check(" ;;; ; ", "");
    check("a; b;", "S a; | S b;");
    check("a; b", "S a; | O; b");
    check("-- x;\n a /* ; */ b; -- c", "S a /* ; */ b;");
    check("/* a /* b */ ; */ c;", "S c;");
    check("/* a /* b */ ;", "O* /* a /* b */ ;");
    check("a - b / c * d;", "S a - b / c * d;");
    check("SELECT ';''--'; b;", "S SELECT ';''--'; | S b;");
    check("SELECT 'a\\'; b;", "S SELECT 'a\\'; | S b;");
    check("SELECT E'a\\'; b'; c;", "S SELECT E'a\\'; b'; | S c;");
    check("SELECT e'\\\\'; b;", "S SELECT e'\\\\'; | S b;");
    check("SELECT type'\\'; b;", "S SELECT type'\\'; | S b;");
    check("SELECT \"a;\"\"b\"; c;", "S SELECT \"a;\"\"b\"; | S c;");
    check("SELECT 'abc", "O' SELECT 'abc");
    check("SELECT \"abc;", "O\" SELECT \"abc;");
    check("SELECT E'abc\\", "O' SELECT E'abc\\");
}

static void dollars(void **state) {
    check("SELECT $$a;b'$$; c;", "S SELECT $$a;b'$$; | S c;");
    check("SELECT $x$a;$$;$y$;$x$; c;", "S SELECT $x$a;$$;$y$;$x$; | S c;");
    check("SELECT $x$a;", "O$ SELECT $x$a;");
    check("SELECT $1, a$b$c; d;", "S SELECT $1, a$b$c; | S d;");
    check("SELECT $1$2; d;", "S SELECT $1$2; | S d;");
    check("SELECT $", "O; SELECT $");
}

static void parentheses(void **state) {
    check("EXECUTE AS USER 'a' (INSERT INTO t VALUES (1);); b;",
        "S EXECUTE AS USER 'a' (INSERT INTO t VALUES (1);); | S b;");
    check("a (b; c", "O( a (b; c");
    check("a ) b; c;", "S a ) b; | S c;");
    check("SELECT '('; b;", "S SELECT '('; | S b;");
}

static void transactions(void **state) {
    check("a; BEGIN; b; c; COMMIT; d;", "S a; | S BEGIN; b; c; COMMIT; | S d;");
    check("begin transaction; x; rollback to s; end; d;",
        "S begin transaction; x; rollback to s; end; | S d;");
    check("START TRANSACTION; x; ROLLBACK; d;", "S START TRANSACTION; x; ROLLBACK; | S d;");
    check("BEGIN; b;", "Ot BEGIN; b;");
    check("BEGIN; b; COMM", "O; BEGIN; b; COMM");
    check("BEGIN; 'b", "O' BEGIN; 'b");
    check("BEGIN; b; /* COMMIT;", "O* BEGIN; b; /* COMMIT;");
    check("START x; b;", "S START x; | S b;");
    check("BEGINNING; b;", "S BEGINNING; | S b;");
    check("BEGIN -- begin\n; /* x */ COMMIT -- y\n; b;",
        "S BEGIN -- begin\n; /* x */ COMMIT -- y\n; | S b;");
}

static void commands(void **state) {
    check("\\dt\nSELECT 1;\n  \\d a.b ; 'x\nb;", "C \\dt | S SELECT 1; | C \\d a.b ; 'x | S b;");
    check("SELECT 1\n\\d;", "S SELECT 1\n\\d;");
}

/* Whatever the bytes: it ends, parts do not overlap, and cutting a text never turns an open
 * statement into two. */
static void random_texts(void **state) {
    static const char pieces[] = "'\"$;()-/*\\ \nabEBEGIN;COMMIT;$x$";
    srand(5);
    for (int i = 0; i < 50000; i++) {
        char text[40];
        size_t n = (size_t)rand() % sizeof(text), pos = 0, last = 0;
        for (size_t k = 0; k < n; k++) {
            text[k] = pieces[(size_t)rand() % (sizeof(pieces) - 1)];
        }
        for (int guard = 0;; guard++) {
            struct kl_split_part part;
            assert_true(guard < 50);
            kl_cli__split_next(kl_slice(text, n), &pos, &part);
            assert_true(pos <= n && pos >= last);
            if (part.kind == KL_SPLIT_NONE) {
                assert_int_equal(pos, n);
                break;
            }
            assert_true(
                part.offset >= last && part.offset + part.text.len <= pos && part.text.len > 0);
            last = pos;
        }
    }
}

static void check_options(const char *text, const char *sql, const char *options) {
    struct kl_slice got;
    json_t *object = NULL;
    struct kl_err err = {0};
    enum kl_rc rc = kl_cli__split_options(kl_slice_str(text), &got, &object, &err);
    if (sql == NULL) {
        assert_int_not_equal(rc, KL_OK);
        assert_non_null(strstr(err.msg, options));
        return;
    }
    if (rc != KL_OK) {
        fail_msg("%s: %s", text, err.msg);
    }
    char *dump = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(dump, options);
    if (!kl_slice_eq_str(got, sql)) {
        fail_msg("%s: %.*s", text, KL_FMT(got));
    }
    free(dump);
    json_decref(object);
}

static void live_options(void **state) {
    check_options("SELECT * FROM a.b;", "SELECT * FROM a.b", "{}");
    check_options("SELECT * FROM a.b WHERE c = 1 OPTIONS (last_rows=50);",
        "SELECT * FROM a.b WHERE c = 1", "{\"last_rows\":50}");
    check_options("select a options(Last_Rows 5, FROM='77' , batch_size = 2) ;;", "select a",
        "{\"batch_size\":2,\"from\":77,\"last_rows\":5}");
    check_options("select a options ()", "select a", "{}");
    check_options("select 'x OPTIONS (last_rows=1)' from options",
        "select 'x OPTIONS (last_rows=1)' from options", "{}");
    check_options("select a OPTIONS (rows = 1)", NULL, "rows");
    check_options("select a OPTIONS (last_rows = -1)", NULL, "last_rows");
    check_options("select a OPTIONS (last_rows = 99999999999999999999)", NULL, "last_rows");
    check_options("select a OPTIONS (last_rows = 1", NULL, "closed");
    check_options("select a OPTIONS (last_rows = 1) x", NULL, "follow");
    check_options("select a OPTIONS (last_rows = 1,)", NULL, "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements),
        cmocka_unit_test(dollars),
        cmocka_unit_test(parentheses),
        cmocka_unit_test(transactions),
        cmocka_unit_test(commands),
        cmocka_unit_test(random_texts),
        cmocka_unit_test(live_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
