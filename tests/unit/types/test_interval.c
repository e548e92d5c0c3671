/* Intervals: both notations, fractions, signs, limits, round trips of the printed form. */
#include "support.h"

static void test_notations(void **state) {
    static const char *const cases[][2] = {
        {"5 minutes", "00:05:00"},
        {"1 day 02:03", "1 day 02:03:00"},
        {"1 year 2 mons 3 days 04:05:06.789", "1 year 2 mons 3 days 04:05:06.789"},
        {"-1 day", "-1 days"},
        {"1 day ago", "-1 days"},
        {"@ 1 minute", "00:01:00"},
        {"90", "00:01:30"},
        {"1.5", "00:00:01.5"},
        {"1.5 days", "1 day 12:00:00"},
        {"1.5 weeks", "10 days 12:00:00"},
        {"1.5 months", "1 mon 15 days"},
        {"1.5 years", "1 year 6 mons"},
        {"1 week", "7 days"},
        {"2 decades 1 century 1 millennium", "1120 years"},
        {"100ms", "00:00:00.1"},
        {"1500 us", "00:00:00.0015"},
        {"1-2", "1 year 2 mons"},
        {"-1-2", "-1 years -2 mons"},
        {"3 4:05:06", "3 days 04:05:06"},
        {"3 4 hours", "3 days 04:00:00"},
        {"3 -4:05", "3 days -04:05:00"},
        {"-01:30", "-01:30:00"},
        {"-1 day +2 hours", "-1 days +02:00:00"},
        {"1 mon -1 day", "1 mon -1 days"},
        {"-1 mon 1 day", "-1 mons +1 day"},
        {"1h30m5s", "01:30:05"},
        {"36:00", "36:00:00"},
        {"1 s 20 ms 5 us", "00:00:01.020005"},
        {"1 year 2 decades", "21 years"},
        {"0", "00:00:00"},
        {"P1Y2M3DT4H5M6.5S", "1 year 2 mons 3 days 04:05:06.5"},
        {"PT15M", "00:15:00"},
        {"P2W", "14 days"},
        {"P-1DT-2H", "-1 days -02:00:00"},
        {"p1.5d", "1 day 12:00:00"},
    };
    for (size_t i = 0; i < KL_LEN(cases); i++) {
        reads(KL_TYPE(INTERVAL), cases[i][0], cases[i][1]);
    }
}

static void test_refusals(void **state) {
    static const char *const syntax[] = {"", "  ", "day", "5 parsecs", "1 day ago 2", "1:", "ago",
        "P", "PT", "P1", "P1H", "PT1Y", "1 2 days", "--1 day", "1..5 days", "1 day,", "@", "5 5",
        "1 hour 2 hours", "1 day 2 days", "1:00 2 minutes", "1.5 s 20 ms", "1:00 2:00",
        "1-2 3 months"};
    static const char *const range[] = {"99999999999999999999 days", "3000000000 days",
        "200000000 years", "9223372036854775807 hours", "1:60", "1:00:61", "1-12",
        "-2147483648 days ago", "9223372036855 s"};
    char want[128];
    for (size_t i = 0; i < KL_LEN(syntax); i++) {
        snprintf(want, sizeof(want), "invalid input syntax for type interval: \"%s\"", syntax[i]);
        refused(KL_TYPE(INTERVAL), syntax[i], KL_E_TYPE, want);
    }
    for (size_t i = 0; i < KL_LEN(range); i++) {
        snprintf(want, sizeof(want), "interval field value out of range: \"%s\"", range[i]);
        refused(KL_TYPE(INTERVAL), range[i], KL_E_TYPE, want);
    }
}

static struct kl_val random_interval(void) {
    struct kl_val v = {.type = KL_T_INTERVAL};
    v.iv.months = below(3) ? (int32_t)rnd() >> below(32) : 0;
    v.iv.days = below(3) ? (int32_t)rnd() >> below(32) : 0;
    v.iv.us = below(3) ? (int64_t)rnd() >> below(64) : 0;
    return v;
}

static void same_interval(const struct kl_val *v, struct kl_val again, const char *text) {
    if (again.iv.months != v->iv.months || again.iv.days != v->iv.days || again.iv.us != v->iv.us) {
        fail_msg("%s", text);
    }
}

static void test_round_trips(void **state) {
    static const struct kl_interval edges[] = {{INT32_MIN, INT32_MIN, INT64_MIN},
        {INT32_MAX, INT32_MAX, INT64_MAX}, {INT32_MIN, INT32_MAX, -1}, {-1, 1, -1}, {-1, 0, 1},
        {0, -1, 1}};
    for (int i = 0; i < 20000; i++) {
        struct kl_val v = random_interval();
        if (i < (int)KL_LEN(edges)) {
            v.iv = edges[i];
        }
        const char *text = TEXT_OF(&v);
        same_interval(&v, parse(KL_TYPE(INTERVAL), text), text);
        const char *sql = SQL_OF(&v); /* INTERVAL '...' */
        char inner[128];
        snprintf(inner, sizeof(inner), "%.*s", (int)strlen(sql) - 11, sql + 10);
        same_interval(&v, parse(KL_TYPE(INTERVAL), inner), sql);
        kl_arena_reset(&arena);
    }
}

int main(void) {
    seed_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notations),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_round_trips),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
