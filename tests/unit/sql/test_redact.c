/* A statement for the log: what stays, what never does. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include "sql/sql.h"

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static char text[4096];

static const char *redact(const char *sql, size_t max) {
    struct kl_buf b = {0};
    kl_sql_redact(kl_slice_str(sql), max, &b);
    assert_false(b.failed);
    snprintf(text, sizeof(text), "%.*s", (int)b.len, b.data != NULL ? b.data : "");
    kl_buf_deinit(&b);
    return text;
}

static void shapes(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"SELECT 1", "SELECT ?"},
        {"select  v\n from t where a='x' and b = -1.5e3", "select v from t where a=? and b = -?"},
        {"SELECT \"Col\", `b` FROM t WHERE id = $1", "SELECT \"Col\", `b` FROM t WHERE id = $1"},
        {"SELECT /* secret */ v -- secret\nFROM t", "SELECT v FROM t"},
        {"INSERT INTO t VALUES (1, 'it''s'), (2, E'\\'x')", "INSERT INTO t VALUES (?, ?), (?, ?)"},
        {"SELECT $tag$ secret ' $tag$, X'AB', B'01', U&'d'", "SELECT ?, ?, ?, ?"},
        {"CREATE USER 'u' WITH PASSWORD 'p' ROLE 'user'", "CREATE USER ? WITH PASSWORD ? ROLE ?"},
        {"CREATE USER u WITH PASSWORD \"p\" ROLE x", "CREATE USER u WITH PASSWORD ? ROLE x"},
        {"ALTER USER u SET password = secret", "ALTER USER u SET password = ?"},
        {"SELECT a FROM t LIMIT 5 OFFSET 10", "SELECT a FROM t LIMIT ? OFFSET ?"},
        {"SELECT DATE '2020-01-01', INTERVAL '1 day'", "SELECT DATE ?, INTERVAL ?"},
        {"SELECT 'never closed secret", "SELECT..."},
        {"SELECT a /* never closed secret", "SELECT a..."},
    };
    for (size_t i = 0; i < KL_LEN(cases); i++) {
        assert_string_equal(redact(cases[i][0], 1000), cases[i][1]);
    }
}

static void cut(void **state) {
    (void)state;
    assert_string_equal(redact("SELECT abc FROM t", 12), "SELECT abc...");
    assert_string_equal(redact("SELECT 'a very long text that is one mark in the end'", 8), "SELECT...");
    assert_string_equal(redact("SELECT a", 0), "...");
}

/* A marker inside any kind of literal never comes out, wherever tokens are put. */
static void random_literals(void **state) {
    (void)state;
    static const char *const secrets[] = {"'SECRET'", "'a''SECRET'", "E'\\'SECRET'", "$$SECRET$$", "$x$ ' SECRET $x$", "N'SECRET'",
        "/* SECRET */", "-- SECRET\n", "/* /* SECRET */ */", "U&'SECRET'", "'SECRET", "$y$SECRET", "PASSWORD SECRET"};
    static const char *const rest[] = {"SELECT", "(", ")", ",", "=", "'", "\"", "`", "$$", "--", "/*", "*/", "\n", "a", "1", "::", "E", "$1", ";"};
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < 20000; round++) {
        char sql[512] = "";
        size_t before = (size_t)rand() % 8;
        bool quotes = false;
        for (size_t i = 0; i < before; i++) {
            const char *t = rest[(size_t)rand() % KL_LEN(rest)];
            quotes = quotes || strpbrk(t, "'\"`$-/") != NULL;
            strcat(sql, t);
            strcat(sql, " ");
        }
        const char *secret = secrets[(size_t)rand() % KL_LEN(secrets)];
        strcat(sql, secret);
        const char *out = redact(sql, 1000);
        if (!quotes) { /* else the quote before may rightly have made it something else */
            assert_null(strstr(out, "SECRET"));
        }
        assert_true(strlen(out) <= 1003);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes), cmocka_unit_test(cut), cmocka_unit_test(random_literals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
