/* Expressions as SQL text with the results of PostgreSQL 15, each evaluated with its literals as
 * constants, as parameters and as columns.
 *
 * With KL_CASES_SQL set, prints the cases as a psql script instead, to compare with a PostgreSQL by
 * hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "expr_text.h"

struct one_case {
    const char *sql, *want;
};

static const struct one_case cases[] = {
#define C(sql, want) {sql, want},
#include "expr_cases.def"
#undef C
};

static bool same(const char *got, const char *want) {
    size_t n = strlen(want);
    return want[0] == 'E' && want[n - 1] == '*' ? strncmp(got, want, n - 1) == 0
                                                : strcmp(got, want) == 0;
}

static void cases_agree(void **state) {
    static const char *const modes[] = {"constants", "parameters", "columns"};
    struct kl_arena arena;
    struct kl_buf out = {0};
    kl_arena_init(&arena, 0);
    int failed = 0;
    for (size_t i = 0; i < KL_LEN(cases); i++) {
        for (int mode = 0; mode < LITERAL_MODES; mode++) {
            struct kl_eval ev = {.arena = &arena, .now_us = 1700000000000000};
            uint8_t type;
            text_of(cases[i].sql, (enum literals)mode, &ev, &out, &type);
            if (!same(out.data, cases[i].want)) {
                fprintf(stderr, "%s (%s)\n  is:     %s\n  should: %s\n", cases[i].sql, modes[mode],
                    out.data, cases[i].want);
                failed++;
            }
        }
        kl_arena_reset(&arena);
    }
    kl_buf_deinit(&out);
    kl_arena_deinit(&arena);
    assert_int_equal(failed, 0);
}

int main(void) {
    if (getenv("KL_CASES_SQL")) {
        for (size_t i = 0; i < KL_LEN(cases); i++) {
            printf("select coalesce((%s)::text, 'NULL');\n", cases[i].sql);
        }
        return 0;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(cases_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
