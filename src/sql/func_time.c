/* The clock and the calendar: now(), extract() and date_part(), date_trunc(), to_timestamp(),
 * make_date(). The time zone is UTC. The clock is the statement's: every call in it sees the same
 * instant. */
#include "sql/func_internal.h"

#include <math.h>

#define ARGS                                                                                       \
    const struct kl_expr *e, struct kl_eval *ev, const struct kl_val *args, struct kl_val *ret,    \
        struct kl_err *err
#define US_PER_SEC INT64_C(1000000)
#define US_PER_MIN (60 * US_PER_SEC)
#define US_PER_HOUR (60 * US_PER_MIN)
#define US_PER_DAY (24 * US_PER_HOUR)

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

/* ---- the clock ---- */

enum kl_rc kl_func__now(ARGS) {
    *ret = kl_val_int(e->type.id, ev->now_us);
    return KL_OK;
}

enum kl_rc kl_func__clock_timestamp(ARGS) {
    *ret = kl_val_int(KL_T_DATETIME, kl_clock_wall_us());
    return KL_OK;
}

enum kl_rc kl_func__current_date(ARGS) {
    *ret = kl_val_int(KL_T_DATE, floor_div(ev->now_us, US_PER_DAY));
    return KL_OK;
}

enum kl_rc kl_func__localtime(ARGS) {
    *ret = kl_val_int(KL_T_TIME, ev->now_us - floor_div(ev->now_us, US_PER_DAY) * US_PER_DAY);
    return KL_OK;
}

/* ---- units ---- */

enum unit {
    U_NONE,
    U_US,
    U_MS,
    U_SECOND,
    U_MINUTE,
    U_HOUR,
    U_DAY,
    U_WEEK,
    U_MONTH,
    U_QUARTER,
    U_YEAR,
    U_DECADE,
    U_CENTURY,
    U_MILLENNIUM,
    U_DOW,
    U_ISODOW,
    U_DOY,
    U_ISOYEAR,
    U_EPOCH,
    U_JULIAN,
    U_TIMEZONE,
    U_TIMEZONE_H,
    U_TIMEZONE_M
};

static const struct {
    const char *name;
    enum unit unit;
} unit_names[] = {
    {"microsecond", U_US},
    {"microseconds", U_US},
    {"us", U_US},
    {"usec", U_US},
    {"usecs", U_US},
    {"usecond", U_US},
    {"useconds", U_US},
    {"microsecon", U_US},
    {"millisecond", U_MS},
    {"milliseconds", U_MS},
    {"ms", U_MS},
    {"msec", U_MS},
    {"msecs", U_MS},
    {"msecond", U_MS},
    {"mseconds", U_MS},
    {"millisecon", U_MS},
    {"second", U_SECOND},
    {"seconds", U_SECOND},
    {"sec", U_SECOND},
    {"secs", U_SECOND},
    {"s", U_SECOND},
    {"minute", U_MINUTE},
    {"minutes", U_MINUTE},
    {"min", U_MINUTE},
    {"mins", U_MINUTE},
    {"m", U_MINUTE},
    {"hour", U_HOUR},
    {"hours", U_HOUR},
    {"hr", U_HOUR},
    {"hrs", U_HOUR},
    {"h", U_HOUR},
    {"day", U_DAY},
    {"days", U_DAY},
    {"d", U_DAY},
    {"week", U_WEEK},
    {"weeks", U_WEEK},
    {"w", U_WEEK},
    {"month", U_MONTH},
    {"months", U_MONTH},
    {"mon", U_MONTH},
    {"mons", U_MONTH},
    {"quarter", U_QUARTER},
    {"qtr", U_QUARTER},
    {"year", U_YEAR},
    {"years", U_YEAR},
    {"yr", U_YEAR},
    {"yrs", U_YEAR},
    {"y", U_YEAR},
    {"decade", U_DECADE},
    {"decades", U_DECADE},
    {"dec", U_DECADE},
    {"decs", U_DECADE},
    {"century", U_CENTURY},
    {"centuries", U_CENTURY},
    {"c", U_CENTURY},
    {"cent", U_CENTURY},
    {"millennium", U_MILLENNIUM},
    {"millennia", U_MILLENNIUM},
    {"mil", U_MILLENNIUM},
    {"mils", U_MILLENNIUM},
    {"dow", U_DOW},
    {"isodow", U_ISODOW},
    {"doy", U_DOY},
    {"isoyear", U_ISOYEAR},
    {"epoch", U_EPOCH},
    {"julian", U_JULIAN},
    {"timezone", U_TIMEZONE},
    {"timezone_hour", U_TIMEZONE_H},
    {"timezone_minute", U_TIMEZONE_M},
};

static enum unit unit_of(struct kl_slice name) {
    for (size_t i = 0; i < KL_LEN(unit_names); i++) {
        if (kl_slice_ieq_str(name, unit_names[i].name)) {
            return unit_names[i].unit;
        }
    }
    return U_NONE;
}

static enum kl_rc bad_unit(struct kl_slice name, enum unit unit, uint8_t type, struct kl_err *err) {
    return kl_fail(err, KL_E_EXEC, "unit \"%.*s\" not %s for type %s",
        (int)KL_MIN(name.len, (size_t)64), name.ptr, unit == U_NONE ? "recognized" : "supported",
        kl_expr__type_name(type));
}

/* ---- extract ---- */

struct moment {
    int32_t day; /* since 1970-01-01 */
    int year, month, mday;
    int64_t us; /* of the day */
};

static struct moment moment_of(const struct kl_val *v) {
    struct moment m;
    if (v->type == KL_T_DATE) {
        m.day = (int32_t)v->i;
        m.us = 0;
    } else {
        m.day = (int32_t)floor_div(v->i, US_PER_DAY);
        m.us = v->i - m.day * US_PER_DAY;
    }
    kl_date_to_ymd(m.day, &m.year, &m.month, &m.mday);
    return m;
}

static int weekday(int32_t day) {
    return (int)(((int64_t)day % 7 + 11) % 7);
} /* 0 Sunday; 1970-01-01 was a Thursday */

/* The ISO year and week: the week belongs to the year of its Thursday. */
static void iso_week(int32_t day, int *ret_year, int *ret_week) {
    int from_monday = (weekday(day) + 6) % 7, month, mday;
    int32_t thursday = day - from_monday + 3;
    kl_date_to_ymd(thursday, ret_year, &month, &mday);
    *ret_week = (thursday - kl_date_from_ymd(*ret_year, 1, 1)) / 7 + 1;
}

static bool set_int(struct kl_val *ret, int64_t v) {
    *ret = kl_val_decimal(v, 0);
    return true;
}

static bool set_scaled(struct kl_val *ret, __int128 v, uint8_t scale) {
    *ret = kl_val_decimal(v, scale);
    return true;
}

/* The parts below a day, which times, timestamps and intervals share. */
static bool time_part(enum unit unit, int64_t us, struct kl_val *ret) {
    switch (unit) {
    case U_US:
        return set_int(ret, us % US_PER_MIN);
    case U_MS:
        return set_scaled(ret, us % US_PER_MIN, 3);
    case U_SECOND:
        return set_scaled(ret, us % US_PER_MIN, 6);
    case U_MINUTE:
        return set_int(ret, us / US_PER_MIN % 60);
    case U_HOUR:
        return set_int(ret, us / US_PER_HOUR);
    default:
        return false;
    }
}

static bool date_part_of(enum unit unit, const struct moment *m, struct kl_val *ret) {
    int year, week;
    iso_week(m->day, &year, &week);
    switch (unit) {
    case U_DAY:
        return set_int(ret, m->mday);
    case U_MONTH:
        return set_int(ret, m->month);
    case U_QUARTER:
        return set_int(ret, (m->month - 1) / 3 + 1);
    case U_YEAR:
        return set_int(ret, m->year);
    case U_DECADE:
        return set_int(ret, floor_div(m->year, 10));
    case U_CENTURY:
        return set_int(ret, (m->year + 99) / 100);
    case U_MILLENNIUM:
        return set_int(ret, (m->year + 999) / 1000);
    case U_WEEK:
        return set_int(ret, week);
    case U_ISOYEAR:
        return set_int(ret, year);
    case U_DOW:
        return set_int(ret, weekday(m->day));
    case U_ISODOW:
        return set_int(ret, (weekday(m->day) + 6) % 7 + 1);
    case U_DOY:
        return set_int(ret, m->day - kl_date_from_ymd(m->year, 1, 1) + 1);
    default:
        return false;
    }
}

static bool interval_part(enum unit unit, struct kl_interval iv, struct kl_val *ret) {
    int years = iv.months / 12, months = iv.months % 12;
    switch (unit) {
    case U_DAY:
        return set_int(ret, iv.days);
    case U_MONTH:
        return set_int(ret, months);
    case U_QUARTER:
        return set_int(ret, months / 3 + 1);
    case U_YEAR:
        return set_int(ret, years);
    case U_DECADE:
        return set_int(ret, years / 10);
    case U_CENTURY:
        return set_int(ret, years / 100);
    case U_MILLENNIUM:
        return set_int(ret, years / 1000);
    case U_EPOCH: { /* a year is 365.25 days, a month 30 */
        __int128 quarter_days = (__int128)years * 1461 + ((__int128)months * 30 + iv.days) * 4;
        return set_scaled(ret, quarter_days * (US_PER_DAY / 4) + iv.us, 6);
    }
    default:
        return time_part(unit, iv.us, ret);
    }
}

static bool point_part(enum unit unit, const struct kl_val *v, struct kl_val *ret) {
    struct moment m = moment_of(v);
    if (unit == U_EPOCH) {
        return v->type == KL_T_DATE ? set_int(ret, v->i * 86400) : set_scaled(ret, v->i, 6);
    }
    if (v->type == KL_T_DATETIME &&
        (unit == U_TIMEZONE || unit == U_TIMEZONE_H || unit == U_TIMEZONE_M)) {
        return set_int(ret, 0);
    }
    if (unit == U_JULIAN && m.us == 0) {
        return set_int(ret, (int64_t)m.day + 2440588);
    }
    return date_part_of(unit, &m, ret) || (v->type != KL_T_DATE && time_part(unit, m.us, ret));
}

static enum kl_rc extract(
    struct kl_slice name, const struct kl_val *v, struct kl_val *ret, struct kl_err *err) {
    enum unit unit = unit_of(name);
    bool ok;
    if (v->type == KL_T_INTERVAL) {
        ok = interval_part(unit, v->iv, ret);
    } else if (v->type == KL_T_TIME) {
        ok = unit == U_EPOCH ? set_scaled(ret, v->i, 6) : time_part(unit, v->i, ret);
    } else {
        ok = point_part(unit, v, ret);
    }
    return ok ? KL_OK : bad_unit(name, unit, v->type, err);
}

enum kl_rc kl_func__extract(ARGS) {
    return extract(kl_val_slice(&args[0]), &args[1], ret, err);
}

/* In doubles and in PostgreSQL's order, so that the last digit agrees. */
static double interval_epoch(struct kl_interval iv) {
    double seconds = (double)iv.us / 1e6;
    seconds += 365.25 * 86400 * (iv.months / 12);
    seconds += 30.0 * 86400 * (iv.months % 12);
    return seconds + 86400.0 * iv.days;
}

enum kl_rc kl_func__date_part(ARGS) {
    struct kl_val v = args[1], exact;
    if (v.type == KL_T_DATE) { /* date_part takes a date as its midnight, extract does not */
        v = kl_val_int(KL_T_TIMESTAMP, v.i * US_PER_DAY);
    }
    if (v.type == KL_T_INTERVAL && unit_of(kl_val_slice(&args[0])) == U_EPOCH) {
        *ret = kl_val_double(interval_epoch(v.iv));
        return KL_OK;
    }
    KL_TRY(extract(kl_val_slice(&args[0]), &v, &exact, err));
    *ret = kl_val_double(kl_expr__to_double(&exact));
    return KL_OK;
}

/* ---- date_trunc ---- */

static int64_t unit_us(enum unit unit) {
    switch (unit) {
    case U_US:
        return 1;
    case U_MS:
        return 1000;
    case U_SECOND:
        return US_PER_SEC;
    case U_MINUTE:
        return US_PER_MIN;
    case U_HOUR:
        return US_PER_HOUR;
    case U_DAY:
        return US_PER_DAY;
    default:
        return 0;
    }
}

static int years_of(enum unit unit) {
    return unit == U_YEAR         ? 1
           : unit == U_DECADE     ? 10
           : unit == U_CENTURY    ? 100
           : unit == U_MILLENNIUM ? 1000
                                  : 0;
}

/* First year of its decade, century ..: decades start with 0, centuries with 1. */
static int first_year(enum unit unit, int year) {
    int n = years_of(unit);
    return unit == U_CENTURY || unit == U_MILLENNIUM ? (year - 1) / n * n + 1 : year / n * n;
}

static enum kl_rc trunc_point(
    struct kl_slice name, int64_t us, uint8_t type, struct kl_val *ret, struct kl_err *err) {
    enum unit unit = unit_of(name);
    struct kl_val v = kl_val_int(KL_T_TIMESTAMP, us);
    struct moment m = moment_of(&v);
    int64_t day;
    if (unit_us(unit)) {
        *ret = kl_val_int(type, floor_div(us, unit_us(unit)) * unit_us(unit));
        return KL_OK;
    }
    if (unit == U_WEEK) {
        day = m.day - (weekday(m.day) + 6) % 7;
    } else if (unit == U_MONTH || unit == U_QUARTER) {
        day = kl_date_from_ymd(m.year, unit == U_MONTH ? m.month : (m.month - 1) / 3 * 3 + 1, 1);
    } else if (years_of(unit)) {
        int year = first_year(unit, m.year);
        if (year < 1) { /* the decade of the years 1 to 9 begins before our calendar */
            return kl_expr__out_of_range(type, err);
        }
        day = kl_date_from_ymd(year, 1, 1);
    } else {
        return bad_unit(name, unit, type, err);
    }
    *ret = kl_val_int(type, day * US_PER_DAY);
    return KL_OK;
}

static enum kl_rc trunc_interval(
    struct kl_slice name, struct kl_interval iv, struct kl_val *ret, struct kl_err *err) {
    enum unit unit = unit_of(name);
    if (unit == U_DAY) {
        iv.us = 0;
    } else if (unit_us(unit)) {
        iv.us = iv.us / unit_us(unit) * unit_us(unit);
    } else if (unit == U_MONTH || unit == U_QUARTER || years_of(unit)) {
        int step = unit == U_MONTH ? 1 : unit == U_QUARTER ? 3 : 12 * years_of(unit);
        iv = (struct kl_interval){.months = iv.months / step * step};
    } else {
        return bad_unit(name, unit, KL_T_INTERVAL, err);
    }
    *ret = (struct kl_val){.type = KL_T_INTERVAL, .iv = iv};
    return KL_OK;
}

enum kl_rc kl_func__date_trunc(ARGS) {
    const struct kl_val *v = &args[1];
    if (v->type == KL_T_INTERVAL) {
        return trunc_interval(kl_val_slice(&args[0]), v->iv, ret, err);
    }
    int64_t us = v->type == KL_T_DATE ? v->i * US_PER_DAY : v->i;
    return trunc_point(kl_val_slice(&args[0]), us, e->type.id, ret, err);
}

/* ---- making ---- */

static int64_t last_us(void) {
    return ((int64_t)kl_date_from_ymd(9999, 12, 31) + 1) * US_PER_DAY - 1;
}

enum kl_rc kl_func__to_timestamp(ARGS) {
    double seconds = kl_expr__to_double(&args[0]), us = rint(seconds * 1e6);
    if (isnan(seconds)) {
        return kl_fail(err, KL_E_TYPE, "timestamp cannot be NaN");
    }
    if (us > (double)last_us() || us < (double)kl_date_from_ymd(1, 1, 1) * (double)US_PER_DAY) {
        return kl_fail(err, KL_E_TYPE, "timestamp out of range: \"%g\"", seconds);
    }
    *ret = kl_val_int(KL_T_DATETIME, (int64_t)us);
    return KL_OK;
}

enum kl_rc kl_func__make_date(ARGS) {
    int64_t y = args[0].i, m = args[1].i, d = args[2].i;
    bool ok = y >= 1 && y <= 9999 && m >= 1 && m <= 12 && d >= 1 && d <= 31;
    int32_t day = ok ? kl_date_from_ymd((int)y, (int)m, (int)d) : 0;
    int year = 0, month = 0, mday = 0;
    if (ok) {
        kl_date_to_ymd(day, &year, &month, &mday);
    }
    if (!ok || month != m || mday != d) { /* a day past the month's end runs into the next month */
        return kl_fail(err, KL_E_EXEC, "date field value out of range: %lld-%02lld-%02lld",
            (long long)y, (long long)m, (long long)d);
    }
    *ret = kl_val_int(KL_T_DATE, day);
    return KL_OK;
}
