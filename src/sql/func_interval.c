/* Intervals and what is made of parts: age(), date_bin(), justify_*(), make_*(), AT TIME ZONE with a
 * fixed offset, OVERLAPS. The rules are PostgreSQL's; the time zone of the server is UTC. */
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

static int64_t point_us(const struct kl_val *v) {
    return v->type == KL_T_DATE ? v->i * US_PER_DAY : v->i;
}

static void give_interval(struct kl_val *ret, struct kl_interval iv) {
    *ret = (struct kl_val){.type = KL_T_INTERVAL, .iv = iv};
}

static enum kl_rc give_point(uint8_t type, int64_t us, struct kl_val *ret, struct kl_err *err) {
    int64_t first = kl_date_from_ymd(1, 1, 1) * US_PER_DAY,
            last = ((int64_t)kl_date_from_ymd(9999, 12, 31) + 1) * US_PER_DAY - 1;
    *ret = kl_val_int(type, us);
    return us < first || us > last ? kl_expr__out_of_range(type, err) : KL_OK;
}

/* ---- age ---- */

static int days_in(int year, int month) {
    int32_t first = kl_date_from_ymd(year, month, 1);
    return (int)((month == 12 ? kl_date_from_ymd(year + 1, 1, 1)
                              : kl_date_from_ymd(year, month + 1, 1)) -
                 first);
}

struct parts {
    int year, month, day;
    int64_t us;
};

static struct parts parts_of(int64_t us) {
    struct parts p;
    int32_t day = (int32_t)floor_div(us, US_PER_DAY);
    kl_date_to_ymd(day, &p.year, &p.month, &p.day);
    p.us = us - day * US_PER_DAY;
    return p;
}

/* later - earlier in years, months and days, borrowing days from the month of the earlier one. */
static struct kl_interval difference(int64_t later, int64_t earlier) {
    bool negative = later < earlier;
    struct parts a = parts_of(negative ? earlier : later), b = parts_of(negative ? later : earlier);
    int64_t months = (a.year - b.year) * 12 + a.month - b.month, days = a.day - b.day,
            us = a.us - b.us;
    if (us < 0) {
        us += US_PER_DAY;
        days--;
    }
    if (days < 0) {
        days += days_in(b.year, b.month);
        months--;
    }
    int sign = negative ? -1 : 1;
    return (struct kl_interval){
        .months = (int32_t)(sign * months), .days = (int32_t)(sign * days), .us = sign * us};
}

enum kl_rc kl_func__age(ARGS) {
    int64_t today = floor_div(ev->now_us, US_PER_DAY) * US_PER_DAY;
    give_interval(ret, e->n_args > 1 ? difference(point_us(&args[0]), point_us(&args[1]))
                                     : difference(today, point_us(&args[0])));
    return KL_OK;
}

/* ---- date_bin ---- */

enum kl_rc kl_func__date_bin(ARGS) {
    struct kl_interval stride = args[0].iv;
    int64_t step, at = point_us(&args[1]), origin = point_us(&args[2]), off;
    if (stride.months != 0) {
        return kl_fail(err, KL_E_EXEC,
            "timestamps cannot be binned into intervals containing months or years");
    }
    if (__builtin_mul_overflow((int64_t)stride.days, US_PER_DAY, &step) ||
        __builtin_add_overflow(step, stride.us, &step)) {
        return kl_expr__out_of_range(KL_T_INTERVAL, err);
    }
    if (step <= 0) {
        return kl_fail(err, KL_E_EXEC, "stride must be greater than zero");
    }
    off = floor_div(at - origin, step) * step;
    return give_point(e->type.id, origin + off, ret, err);
}

/* ---- justify ---- */

static bool carry(int64_t *small, int64_t unit, int64_t *big) {
    int64_t whole = *small / unit;
    *small -= whole * unit;
    return !__builtin_add_overflow(*big, whole, big);
}

static enum kl_rc settle(
    int64_t months, int64_t days, int64_t us, struct kl_val *ret, struct kl_err *err) {
    if (months > INT32_MAX || months < INT32_MIN || days > INT32_MAX || days < INT32_MIN) {
        return kl_expr__out_of_range(KL_T_INTERVAL, err);
    }
    give_interval(
        ret, (struct kl_interval){.months = (int32_t)months, .days = (int32_t)days, .us = us});
    return KL_OK;
}

/* After a carry the smaller part has the sign of the bigger one. */
static void same_sign(int64_t *small, int64_t unit, int64_t *big) {
    if (*big > 0 && *small < 0) {
        *small += unit;
        --*big;
    } else if (*big < 0 && *small > 0) {
        *small -= unit;
        ++*big;
    }
}

enum kl_rc kl_func__justify_hours(ARGS) {
    int64_t days = args[0].iv.days, us = args[0].iv.us;
    carry(&us, US_PER_DAY, &days);
    same_sign(&us, US_PER_DAY, &days);
    return settle(args[0].iv.months, days, us, ret, err);
}

enum kl_rc kl_func__justify_days(ARGS) {
    int64_t months = args[0].iv.months, days = args[0].iv.days;
    carry(&days, 30, &months);
    same_sign(&days, 30, &months);
    return settle(months, days, args[0].iv.us, ret, err);
}

enum kl_rc kl_func__justify_interval(ARGS) {
    int64_t months = args[0].iv.months, days = args[0].iv.days, us = args[0].iv.us;
    carry(&us, US_PER_DAY, &days);
    carry(&days, 30, &months);
    if (months > 0 && (days < 0 || (days == 0 && us < 0))) {
        days += 30;
        months--;
    } else if (months < 0 && (days > 0 || (days == 0 && us > 0))) {
        days -= 30;
        months++;
    }
    same_sign(&us, US_PER_DAY, &days);
    return settle(months, days, us, ret, err);
}

/* ---- made of parts ---- */

static int64_t int_arg(const struct kl_expr *e, const struct kl_val *args, uint32_t i) {
    return i < e->n_args ? args[i].i : 0;
}

/* (years, months, weeks, days, hours, minutes, seconds) */
enum kl_rc kl_func__make_interval(ARGS) {
    int64_t months, days, us;
    double seconds = e->n_args > 6 ? kl_expr__to_double(&args[6]) : 0;
    for (uint32_t i = 0; i < e->n_args && i < 6; i++) {
        if (args[i].i > INT32_MAX || args[i].i < INT32_MIN) {
            return kl_expr__out_of_range(KL_T_INTERVAL, err);
        }
    }
    months = int_arg(e, args, 0) * 12 + int_arg(e, args, 1);
    days = int_arg(e, args, 2) * 7 + int_arg(e, args, 3);
    us = int_arg(e, args, 4) * US_PER_HOUR + int_arg(e, args, 5) * US_PER_MIN;
    seconds = rint(seconds * 1e6);
    if (!(fabs(seconds) < 9e18) || __builtin_add_overflow(us, (int64_t)seconds, &us)) {
        return kl_expr__out_of_range(KL_T_INTERVAL, err);
    }
    return settle(months, days, us, ret, err);
}

static enum kl_rc time_us(const struct kl_val *args, int64_t *ret, struct kl_err *err) {
    int64_t h = args[0].i, m = args[1].i;
    double s = kl_expr__to_double(&args[2]);
    bool ok = h >= 0 && h <= 24 && m >= 0 && m <= 59 && s >= 0 && s <= 60;
    *ret = ok ? h * US_PER_HOUR + m * US_PER_MIN + (int64_t)rint(s * 1e6) : 0;
    return ok && *ret <= US_PER_DAY
               ? KL_OK
               : kl_fail(err, KL_E_EXEC, "time field value out of range: %lld:%02lld:%02g",
                     (long long)h, (long long)m, s);
}

enum kl_rc kl_func__make_time(ARGS) {
    int64_t us;
    KL_TRY(time_us(args, &us, err));
    *ret = kl_val_int(KL_T_TIME, us);
    return us < US_PER_DAY ? KL_OK : kl_expr__out_of_range(KL_T_TIME, err);
}

enum kl_rc kl_func__make_timestamp(ARGS) {
    struct kl_val day;
    int64_t us;
    KL_TRY(kl_func__make_date(e, ev, args, &day, err));
    KL_TRY(time_us(args + 3, &us, err));
    return give_point(e->type.id, day.i * US_PER_DAY + us, ret, err);
}

/* ---- AT TIME ZONE ---- */

/* UTC and its names, and fixed offsets: '+02', '-05:30', '+0530'. Written alone PostgreSQL counts
 * offsets west of Greenwich, as POSIX does. */
bool kl_func__fixed_zone(struct kl_slice s, int64_t *ret_us) {
    static const char *const names[] = {
        "utc", "gmt", "z", "zulu", "ut", "etc/utc", "uct", "etc/gmt", "universal", "etc/universal"};
    *ret_us = 0;
    for (size_t i = 0; i < KL_LEN(names); i++) {
        if (kl_slice_ieq_str(s, names[i])) {
            return true;
        }
    }
    if (s.len < 2 || (s.ptr[0] != '+' && s.ptr[0] != '-')) {
        return false;
    }
    int64_t digits[4] = {0}, n = 0;
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] == ':' && (n == 1 || n == 2) && i + 3 == s.len) {
            digits[1] = n == 1 ? digits[0] : digits[1];
            digits[0] = n == 1 ? 0 : digits[0];
            n = 2;
        } else if (s.ptr[i] >= '0' && s.ptr[i] <= '9' && n < 4) {
            digits[n++] = s.ptr[i] - '0';
        } else {
            return false;
        }
    }
    int64_t hours = n == 1 ? digits[0] : digits[0] * 10 + digits[1],
            minutes = n == 4 ? digits[2] * 10 + digits[3] : 0;
    if (n == 0 || n == 3 || hours > 15 || minutes > 59) {
        return false;
    }
    int64_t us = hours * US_PER_HOUR + minutes * US_PER_MIN;
    *ret_us = s.ptr[0] == '-' ? us : -us;
    return true;
}

static enum kl_rc shift(
    const struct kl_val *v, int64_t east, struct kl_val *ret, struct kl_err *err) {
    bool zoned =
        v->type == KL_T_DATETIME; /* becomes the wall clock there; others the point in time */
    return give_point(
        zoned ? KL_T_TIMESTAMP : KL_T_DATETIME, point_us(v) + (zoned ? east : -east), ret, err);
}

enum kl_rc kl_func__timezone(ARGS) {
    int64_t east;
    if (!kl_func__fixed_zone(kl_val_slice(&args[0]), &east)) {
        return kl_fail(err, KL_E_UNSUPPORTED,
            "time zone \"%.*s\" not recognized: only UTC and offsets are",
            (int)KL_MIN(args[0].len, 64u), args[0].s);
    }
    return shift(&args[1], east, ret, err);
}

enum kl_rc kl_func__timezone_interval(ARGS) {
    if (args[0].iv.months != 0 || args[0].iv.days != 0) {
        return kl_fail(err, KL_E_EXEC, "interval time zone must not include months or days");
    }
    return shift(&args[1], args[0].iv.us, ret, err);
}

/* ---- OVERLAPS: half-open; a start behind its end changes places with it ---- */

struct period {
    int64_t from, to;
    bool open; /* its end is not known */
};

/* The earlier end comes first. false: neither end is known. */
static bool period_of(const struct kl_val *from, const struct kl_val *to, struct period *ret) {
    if (from->null && to->null) {
        return false;
    }
    int64_t a = point_us(from->null ? to : from), b = to->null ? 0 : point_us(to);
    ret->open = from->null || to->null;
    ret->from = ret->open ? a : KL_MIN(a, b);
    ret->to = ret->open ? a : KL_MAX(a, b);
    return true;
}

/* An end that is not known matters only where the answer hangs on it. */
static struct kl_val overlap_of(const struct period *first, const struct period *second) {
    if (first->from > second->from) {
        return overlap_of(second, first);
    }
    if (first->from == second->from) {
        return first->open || second->open ? kl_val_null(KL_T_BOOLEAN) : kl_val_bool(true);
    }
    if (first->open) {
        return kl_val_null(KL_T_BOOLEAN);
    }
    return second->from < first->to ? kl_val_bool(true)
           : second->open           ? kl_val_null(KL_T_BOOLEAN)
                                    : kl_val_bool(false);
}

enum kl_rc kl_func__overlaps(ARGS) {
    struct period a, b;
    bool known = period_of(&args[0], &args[1], &a) && period_of(&args[2], &args[3], &b);
    *ret = known ? overlap_of(&a, &b) : kl_val_null(KL_T_BOOLEAN);
    return KL_OK;
}

enum kl_rc kl_func__overlaps_intervals(ARGS) {
    struct kl_val points[4];
    for (size_t i = 0; i < 4; i += 2) {
        int64_t end = 0;
        points[i] = args[i];
        points[i + 1] = kl_val_null(KL_T_TIMESTAMP);
        if (args[i].null || args[i + 1].null) {
            continue;
        }
        if (kl_timestamp_add(point_us(&args[i]), args[i + 1].iv, &end) != KL_OK) {
            return kl_expr__out_of_range(KL_T_TIMESTAMP, err);
        }
        points[i + 1] = kl_val_int(KL_T_TIMESTAMP, end);
    }
    return kl_func__overlaps(e, ev, points, ret, err);
}

enum kl_rc kl_func__isfinite(ARGS) {
    *ret = kl_val_bool(true); /* there are no infinite dates here */
    return KL_OK;
}

enum kl_rc kl_func__to_date_type(ARGS) {
    *ret = kl_val_int(KL_T_DATE, floor_div(point_us(&args[0]), US_PER_DAY));
    return KL_OK;
}

/* ---- operators and casts of intervals and times, for DuckDB ---- */

enum kl_rc kl_func__interval_div(ARGS) {
    return kl_expr__interval_scale(args[0].iv, kl_expr__to_double(&args[1]), true, ret, err);
}

enum kl_rc kl_func__time_sub(ARGS) {
    give_interval(ret, (struct kl_interval){.us = args[0].i - args[1].i});
    return KL_OK;
}

enum kl_rc kl_func__to_time(ARGS) {
    return kl_val_cast(&args[0], KL_TYPE(TIME), KL_CAST_EXPLICIT, ev->arena, ret, err);
}

enum kl_rc kl_func__to_interval(ARGS) {
    give_interval(ret, (struct kl_interval){.us = args[0].i});
    return KL_OK;
}

/* An interval by its parts and back: DuckDB has no sum of intervals. */
enum kl_rc kl_func__interval_months(ARGS) {
    *ret = kl_val_i64(args[0].iv.months);
    return KL_OK;
}

enum kl_rc kl_func__interval_days(ARGS) {
    *ret = kl_val_i64(args[0].iv.days);
    return KL_OK;
}

enum kl_rc kl_func__interval_us(ARGS) {
    *ret = kl_val_i64(args[0].iv.us);
    return KL_OK;
}

enum kl_rc kl_func__interval_of(ARGS) {
    return settle(args[0].i, args[1].i, args[2].i, ret, err);
}
