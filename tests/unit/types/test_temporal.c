/* Dates, times and timestamps: the calendar against counting day by day, texts, limits, random
 * round trips. */
#include "support.h"

#define DAY INT64_C(86400000000)

static void test_calendar(void **state) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int32_t days = kl_date_from_ymd(1, 1, 1);
    assert_int_equal(days, -719162);
    assert_int_equal(kl_date_from_ymd(1970, 1, 1), 0);
    assert_int_equal(kl_date_from_ymd(2000, 2, 29), 11016);
    for (int y = 1; y <= 9999; y++) {
        bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
        for (int m = 1; m <= 12; m++) {
            int last = lengths[m - 1] + (m == 2 && leap);
            for (int d = 1; d <= last; d++, days++) {
                int gy, gm, gd;
                kl_date_to_ymd(days, &gy, &gm, &gd);
                if (kl_date_from_ymd(y, m, d) != days || gy != y || gm != m || gd != d) {
                    fail_msg("%04d-%02d-%02d is day %d, read back as %d-%d-%d", y, m, d, days, gy,
                        gm, gd);
                }
            }
        }
    }
    assert_int_equal(days, 2932897);
}

static void test_timestamp_text(void **state) {
    static const char *const same[][2] = {
        {"2026-01-01 10:00:00", "2026-01-01 10:00:00"},
        {"2026-01-01T10:00:00", "2026-01-01 10:00:00"},
        {"2026-01-01t10:00", "2026-01-01 10:00:00"},
        {"2026-01-01", "2026-01-01 00:00:00"},
        {"20260131", "2026-01-31 00:00:00"},
        {" 2026-1-5  3:04 ", "2026-01-05 03:04:00"},
        {"2026-01-01 10:00:00.5", "2026-01-01 10:00:00.5"},
        {"2026-01-01 10:00:00.123456", "2026-01-01 10:00:00.123456"},
        {"2026-01-01 10:00:00.1234564", "2026-01-01 10:00:00.123456"},
        {"2026-01-01 10:00:00.1234565999", "2026-01-01 10:00:00.123457"},
        {"2025-12-31 23:59:59.9999999", "2026-01-01 00:00:00"},
        {"2026-01-01T10:00:00Z", "2026-01-01 10:00:00"},
        {"2026-01-01T10:00:00.000Z", "2026-01-01 10:00:00"},
        {"2026-01-01 10:00:00 utc", "2026-01-01 10:00:00"},
        {"2026-01-01 10:00:00+02", "2026-01-01 08:00:00"},
        {"2026-01-01 10:00:00 -03:30", "2026-01-01 13:30:00"},
        {"2026-01-01T00:30:00+0100", "2025-12-31 23:30:00"},
        {"2026-01-01 24:00:00", "2026-01-02 00:00:00"},
        {"2026-06-30 23:59:60", "2026-07-01 00:00:00"},
        {"0001-01-01 00:00:00", "0001-01-01 00:00:00"},
        {"9999-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999"},
        {"1969-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"},
        {"2024-02-29", "2024-02-29 00:00:00"},
        {"epoch", "1970-01-01 00:00:00"},
    };
    for (size_t i = 0; i < KL_LEN(same); i++) {
        char zoned[64];
        reads(KL_TYPE(TIMESTAMP), same[i][0], same[i][1]);
        snprintf(zoned, sizeof(zoned), "%s+00", same[i][1]);
        reads(KL_TYPE(DATETIME), same[i][0], zoned);
    }
}

static void test_date_and_time_text(void **state) {
    reads(KL_TYPE(DATE), "2026-01-31", "2026-01-31");
    reads(KL_TYPE(DATE), "2026-01-31T23:30:00-05:00", "2026-01-31");
    reads(KL_TYPE(DATE), "epoch", "1970-01-01");
    reads(KL_TYPE(DATE), "9999-12-31", "9999-12-31");
    reads(KL_TYPE(TIME), "10:00", "10:00:00");
    reads(KL_TYPE(TIME), "9:05:07.25", "09:05:07.25");
    reads(KL_TYPE(TIME), "10:00:00+02", "10:00:00");
    reads(KL_TYPE(TIME), "2026-01-31 10:11:12", "10:11:12");
    reads(KL_TYPE(TIME), "24:00:00", "24:00:00");
    reads(KL_TYPE(TIME), "allballs", "00:00:00");
}

static void test_refusals(void **state) {
    static const char *const syntax[] = {"", " ", "foo", "2026", "2026-01", "2026-01-01T",
        "2026-01-01 10", "01/02/2026", "2026-01-01 10:0", "2026-01-01 10:00:0",
        "2026-01-01 10:00:00.", "2026-01-01 10:00:00 CEST", "2026-01-01x", "2026-01-01 10:00:00+",
        "2026-01-01 10:00:00+1:2:3", "26-01-01", "2026-01-011", "2026-01-01 10:000", "1760000000",
        "2026-01-0110:00", "-2026-01-01", "2026-01-01 BC", "now x", "10:00:00",
        "2026-01-01 10:00:00 PM"};
    static const char *const range[] = {"2026-13-01", "2026-00-01", "2026-02-29", "2026-04-31",
        "2026-01-32", "2026-01-00", "0000-01-01", "2026-01-01 25:00:00", "2026-01-01 24:00:01",
        "2026-01-01 10:60:00", "2026-01-01 10:00:61", "2026-01-01 10:00:00+16",
        "2026-01-01 10:00:00+02:60", "1900-02-29"};
    char want[128];
    for (size_t i = 0; i < KL_LEN(syntax); i++) {
        snprintf(want, sizeof(want), "invalid input syntax for type timestamp: \"%s\"", syntax[i]);
        refused(KL_TYPE(TIMESTAMP), syntax[i], KL_E_TYPE, want);
    }
    for (size_t i = 0; i < KL_LEN(range); i++) {
        snprintf(want, sizeof(want), "date/time field value out of range: \"%s\"", range[i]);
        refused(KL_TYPE(TIMESTAMP), range[i], KL_E_TYPE, want);
    }
    refused(KL_TYPE(TIMESTAMP), "0001-01-01 00:00:00+01", KL_E_TYPE, "timestamp out of range");
    refused(KL_TYPE(DATETIME), "9999-12-31 23:59:59.9999999", KL_E_TYPE, "datetime out of range");
    refused(KL_TYPE(TIMESTAMP), "infinity", KL_E_UNSUPPORTED,
        "infinity is not supported for type timestamp");
    refused(
        KL_TYPE(DATE), "-Infinity", KL_E_UNSUPPORTED, "infinity is not supported for type date");
    refused(KL_TYPE(TIME), "2026-01-01", KL_E_TYPE,
        "invalid input syntax for type time: \"2026-01-01\"");
    refused(KL_TYPE(TIME), "24:00:00.1", KL_E_TYPE,
        "date/time field value out of range: \"24:00:00.1\"");
    refused(KL_TYPE(TIME), "today", KL_E_TYPE, "invalid input syntax for type time: \"today\"");
}

static int64_t fixed_now(void *ctx) {
    return *(int64_t *)ctx;
}

static int64_t fixed_mono(void *ctx) {
    return 0;
}

static void test_words(void **state) {
    int64_t now = parse(KL_TYPE(TIMESTAMP), "2026-03-01 12:34:56.789").i;
    struct kl_clock_ops ops = {fixed_now, fixed_mono, &now};
    kl_clock_set_ops(&ops);
    reads(KL_TYPE(TIMESTAMP), "now", "2026-03-01 12:34:56.789");
    reads(KL_TYPE(DATETIME), "NOW", "2026-03-01 12:34:56.789+00");
    reads(KL_TYPE(DATETIME), "today", "2026-03-01 00:00:00+00");
    reads(KL_TYPE(TIMESTAMP), "yesterday", "2026-02-28 00:00:00");
    reads(KL_TYPE(TIMESTAMP), " Tomorrow ", "2026-03-02 00:00:00");
    reads(KL_TYPE(DATE), "now", "2026-03-01");
    reads(KL_TYPE(DATE), "yesterday", "2026-02-28");
    reads(KL_TYPE(TIME), "now", "12:34:56.789");
    kl_clock_set_ops(NULL);
}

static void test_round_trips(void **state) {
    int64_t least = -719162 * DAY, span = (INT64_C(2932896) + 719163) * DAY;
    for (int i = 0; i < 20000; i++) {
        int64_t us = least + (int64_t)below((uint64_t)span);
        us -= below(2) ? us % 1000000 : 0;
        struct kl_val vals[] = {kl_val_int(KL_T_TIMESTAMP, us), kl_val_int(KL_T_DATETIME, us),
            kl_val_int(KL_T_DATE, (int64_t)below(3652059) - 719162),
            kl_val_int(KL_T_TIME, (int64_t)below((uint64_t)DAY + 1))};
        for (size_t k = 0; k < KL_LEN(vals); k++) {
            const char *text = TEXT_OF(&vals[k]);
            if (parse((struct kl_type){.id = vals[k].type}, text).i != vals[k].i) {
                fail_msg("%s", text);
            }
        }
        kl_arena_reset(&arena);
    }
}

static void adds(const char *from, const char *interval, const char *want) {
    struct kl_val v = parse(KL_TYPE(TIMESTAMP), from), iv = parse(KL_TYPE(INTERVAL), interval);
    int64_t us;
    assert_int_equal(kl_timestamp_add(v.i, iv.iv, &us), KL_OK);
    v = kl_val_int(KL_T_TIMESTAMP, us);
    assert_string_equal(TEXT_OF(&v), want);
}

static void test_add(void **state) {
    adds("2026-01-31 10:00:00", "1 month", "2026-02-28 10:00:00");
    adds("2024-01-31 10:00:00", "1 month", "2024-02-29 10:00:00");
    adds("2024-02-29", "-1 year", "2023-02-28 00:00:00");
    adds("2024-02-29", "4 years", "2028-02-29 00:00:00");
    adds("2026-12-31 23:00:00", "2 hours", "2027-01-01 01:00:00");
    adds("2026-03-31", "-1 month", "2026-02-28 00:00:00");
    adds("2026-01-31", "1 month 1 day", "2026-03-01 00:00:00");
    adds("1970-01-01", "-1 microsecond", "1969-12-31 23:59:59.999999");
    adds("0001-01-01", "9998 years 11 mons", "9999-12-01 00:00:00");
    int64_t least = -719162 * DAY, most = INT64_C(2932897) * DAY - 1, us;
    static const struct kl_interval out[] = {{.us = 1}, {.days = 1}, {.months = 1},
        {.months = INT32_MAX}, {.days = INT32_MAX}, {.us = INT64_MAX}};
    for (size_t i = 0; i < KL_LEN(out); i++) {
        struct kl_interval back = {-out[i].months, -out[i].days, -out[i].us};
        assert_int_equal(kl_timestamp_add(most, out[i], &us), KL_E_TYPE);
        assert_int_equal(kl_timestamp_add(least, back, &us), KL_E_TYPE);
    }
    struct kl_interval lowest = {INT32_MIN, INT32_MIN, INT64_MIN};
    assert_int_equal(kl_timestamp_add(most, lowest, &us), KL_E_TYPE);
    assert_int_equal(
        kl_timestamp_add(INT64_MAX, (struct kl_interval){.months = 1}, &us), KL_E_TYPE);
    assert_int_equal(kl_timestamp_add(INT64_MIN, (struct kl_interval){0}, &us), KL_E_TYPE);
}

/* Text from disk bytes that no writer makes must stay inside its buffer. */
static void test_wild_values(void **state) {
    static const uint8_t ids[] = {KL_T_TIMESTAMP, KL_T_DATETIME, KL_T_DATE, KL_T_TIME};
    static const int64_t wild[] = {INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, -1, DAY * 5};
    for (size_t i = 0; i < KL_LEN(ids); i++) {
        for (size_t k = 0; k < KL_LEN(wild); k++) {
            struct kl_val v = kl_val_int(ids[i], wild[k]);
            assert_true(strlen(TEXT_OF(&v)) > 0);
        }
    }
}

int main(void) {
    seed_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_timestamp_text),
        cmocka_unit_test(test_date_and_time_text),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_wild_values),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
