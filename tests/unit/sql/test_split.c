/* A request's text into statements. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "sql/sql.h"

static struct kl_arena arena;
static struct kl_err err;

/* want: the statements joined with a bar; NULL: only that it is taken apart. */
static void splits(const char *sql, const char *want) {
    struct kl_stmt_text *list;
    size_t n;
    struct kl_buf got = {0};
    kl_arena_reset(&arena);
    enum kl_rc rc = kl_sql_split(kl_slice_str(sql), &arena, &list, &n, &err);
    if (rc != KL_OK) {
        fail_msg("%s: %s", sql, err.msg);
    }
    for (size_t i = 0; i < n; i++) {
        kl_buf_puts(&got, i ? "|" : "");
        kl_buf_slice(&got, list[i].text);
        assert_ptr_equal(list[i].text.ptr, sql + list[i].offset);
    }
    kl_buf_u8(&got, 0);
    assert_string_equal(got.data, want);
    kl_buf_deinit(&got);
}

static void fails(const char *sql, size_t len, enum kl_rc rc, const char *msg) {
    struct kl_stmt_text *list;
    size_t n;
    assert_int_equal(kl_sql_split(kl_slice(sql, len), &arena, &list, &n, &err), rc);
    assert_non_null(strstr(err.msg, msg));
}
#define FAILS(sql, rc, msg) fails(sql, sizeof(sql) - 1, rc, msg)

static void statements(void **state) {
    splits("SELECT 1", "SELECT 1");
    splits(" ; ;SELECT 1;; SELECT 2 ;", "SELECT 1|SELECT 2");
    splits("SELECT ';', \";\", `;`; x", "SELECT ';', \";\", `;`|x");
    splits("SELECT 'a''; b'; x", "SELECT 'a''; b'|x");
    splits("SELECT E'a\\'; b'; x", "SELECT E'a\\'; b'|x");
    splits("SELECT 'a\\'; x", "SELECT 'a\\'|x");
    splits("SELECT $$;'$$; x", "SELECT $$;'$$|x");
    splits("SELECT $a$;$b$;$a$; x", "SELECT $a$;$b$;$a$|x");
    splits("SELECT $1; SELECT $2", "SELECT $1|SELECT $2");
    splits("-- c; d\nSELECT 1 -- e;\n; /* ; /* ; */ ; */ x /* y */", "SELECT 1|x");
    splits("SELECT 1 /* ; */ + 2; x", "SELECT 1 /* ; */ + 2|x");
    splits("SELECT (1; x", "SELECT (1|x");
    splits("EXECUTE AS USER 'a' (SELECT 1; SELECT 2); x",
        "EXECUTE AS USER 'a' (SELECT 1; SELECT 2)|x");
    splits("SELECT 'gr\xc3\xbc\xc3\x9f'; x", "SELECT 'gr\xc3\xbc\xc3\x9f'|x");
}

static void refusals(void **state) {
    FAILS("", KL_E_EMPTY_SQL, "No SQL");
    FAILS(" ;; -- nothing\n /* at all */", KL_E_EMPTY_SQL, "No SQL");
    FAILS("SELECT 'a", KL_E_BATCH_PARSE, "Unterminated quoted string in SQL batch");
    assert_int_equal(err.position, 8);
    FAILS("SELECT 1; SELECT \"a", KL_E_BATCH_PARSE, "Unterminated quoted string in SQL batch");
    FAILS("SELECT `a", KL_E_BATCH_PARSE, "Unterminated quoted string in SQL batch");
    FAILS("SELECT $x$ $y$", KL_E_BATCH_PARSE, "Unterminated quoted string in SQL batch");
    FAILS("SELECT E'a\\'", KL_E_BATCH_PARSE, "Unterminated quoted string in SQL batch");
    FAILS("SELECT /* /* */", KL_E_BATCH_PARSE, "Unterminated block comment in SQL batch");
    assert_int_equal(err.position, 8);
    FAILS("SELECT '\0'", KL_E_INVALID_SQL, "NUL");
    FAILS("SELECT '\xff'", KL_E_INVALID_SQL, "UTF-8");
    size_t n = 1048577;
    char *big = malloc(n);
    memset(big, ' ', n);
    fails(big, n, KL_E_INVALID_SQL, "SQL query too long: 1048577 bytes (maximum 1048576 bytes)");
    fails(big, n - 1, KL_E_EMPTY_SQL, "");
    for (size_t i = 0; i < n - 1; i++) {
        big[i] = i % 2 ? ';' : 'x';
    }
    fails(big, KL_SQL_MAX_STATEMENTS * 2 + 2, KL_E_BATCH_PARSE, "Too many statements");
    struct kl_stmt_text *list;
    size_t count;
    assert_int_equal(
        kl_sql_split(kl_slice(big, KL_SQL_MAX_STATEMENTS * 2), &arena, &list, &count, &err), KL_OK);
    assert_int_equal(count, KL_SQL_MAX_STATEMENTS);
    free(big);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(statements), cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
