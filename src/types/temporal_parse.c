/* Reads dates, times and timestamps: 'YYYY-MM-DD[( |T)HH:MM[:SS[.ffffff]]][Z|±HH[:MM]]', 'YYYYMMDD'
 * and the words now, today, tomorrow, yesterday, epoch.
 *
 * A zone moves a TIMESTAMP and a DATETIME to UTC. (PostgreSQL drops the zone of a timestamp without
 * time zone; clients here send ISO strings that end in Z for both types.) A DATE and a TIME are
 * read as written and their zone is only checked. Years 0001 to 9999. One cursor over the text; the
 * first step that fails ends the reading. */
#include "types/internal.h"

struct cursor {
    const char *p, *end;
};

/* What a text holds; of_day may be a full day (24:00:00) or, at a leap second, one second more. */
struct parts {
    bool has_date, has_time, out_of_range;
    int year, month, day;
    int64_t of_day_us, zone_us; /* zone: east of UTC is positive */
};

static void skip_spaces(struct cursor *c) {
    while (c->p < c->end && kl_types__is_space(*c->p)) {
        c->p++;
    }
}

static bool take(struct cursor *c, char want) {
    if (c->p < c->end && *c->p == want) {
        c->p++;
        return true;
    }
    return false;
}

/* min to max digits */
static bool number(struct cursor *c, int min, int max, int *ret) {
    int n = 0, v = 0;
    for (; n < max && c->p < c->end && kl_types__is_digit(*c->p); n++) {
        v = v * 10 + (*c->p++ - '0');
    }
    *ret = v;
    return n >= min;
}

static bool more_digits(const struct cursor *c) {
    return c->p < c->end && kl_types__is_digit(*c->p);
}

/* Digits behind the sixth round to the nearest microsecond. */
static bool fraction(struct cursor *c, int64_t *us) {
    if (!more_digits(c)) {
        return false;
    }
    int64_t unit = 100000;
    for (; more_digits(c); c->p++, unit /= 10) {
        int digit = *c->p - '0';
        if (unit > 0) {
            *us += digit * unit;
        } else {
            *us += digit >= 5;
            break;
        }
    }
    while (more_digits(c)) {
        c->p++;
    }
    return true;
}

/* HH:MM[:SS[.f]] */
static bool clock_time(struct cursor *c, struct parts *ret) {
    int h, m, s = 0;
    int64_t us = 0;
    if (!number(c, 1, 2, &h) || !take(c, ':') || !number(c, 2, 2, &m)) {
        return false;
    }
    if (take(c, ':')) {
        if (!number(c, 2, 2, &s) || (take(c, '.') && !fraction(c, &us))) {
            return false;
        }
    }
    if (more_digits(c)) {
        return false;
    }
    ret->has_time = true;
    ret->of_day_us = h * KL_US_PER_HOUR + m * KL_US_PER_MIN + s * KL_US_PER_SEC + us;
    ret->out_of_range = h > 24 || m > 59 || s > 60 || (h == 24 && ret->of_day_us > KL_US_PER_DAY);
    return true;
}

static bool zone_word(struct cursor *c) {
    static const char *const words[] = {"utc", "gmt", "zulu", "z"};
    struct kl_slice rest = kl_slice(c->p, (size_t)(c->end - c->p));
    for (size_t i = 0; i < KL_LEN(words); i++) {
        if (kl_slice_ieq_str(rest, words[i])) {
            c->p = c->end;
            return true;
        }
    }
    return false;
}

/* [Z | UTC | ±HH[[:]MM]]; nothing is UTC */
static bool zone(struct cursor *c, struct parts *ret) {
    skip_spaces(c);
    if (c->p == c->end || zone_word(c)) {
        return true;
    }
    bool west = *c->p == '-';
    if (!west && *c->p != '+') {
        return false;
    }
    c->p++;
    int h, m = 0;
    if (!number(c, 1, 2, &h) || ((take(c, ':') || more_digits(c)) && !number(c, 2, 2, &m))) {
        return false;
    }
    ret->out_of_range |= h > 15 || m > 59;
    ret->zone_us = (west ? -1 : 1) * (h * KL_US_PER_HOUR + m * KL_US_PER_MIN);
    return c->p == c->end;
}

/* YYYY-M[M]-D[D] or YYYYMMDD */
static bool calendar_date(struct cursor *c, struct parts *ret) {
    if (!number(c, 4, 4, &ret->year)) {
        return false;
    }
    bool dashed = take(c, '-');
    int least = dashed ? 1 : 2;
    if (!number(c, least, 2, &ret->month) || (dashed && !take(c, '-')) ||
        !number(c, least, 2, &ret->day) || more_digits(c)) {
        return false;
    }
    ret->has_date = true;
    return true;
}

static bool scan(struct kl_slice s, struct parts *ret) {
    struct cursor c = {s.ptr, s.ptr + s.len};
    *ret = (struct parts){0};
    bool date_first = !(s.len > 1 && (s.ptr[1] == ':' || (s.len > 2 && s.ptr[2] == ':')));
    if (date_first) {
        if (!calendar_date(&c, ret)) {
            return false;
        }
        bool out = !kl_types__date_valid(ret->year, ret->month, ret->day);
        bool t = take(&c, 'T') || take(&c, 't');
        const char *behind_date = c.p;
        if (!t) {
            skip_spaces(&c);
        }
        bool time_follows = more_digits(&c) && (t || c.p > behind_date);
        if ((t || time_follows) && !(time_follows && clock_time(&c, ret))) {
            return false;
        }
        ret->out_of_range |= out;
    } else if (!clock_time(&c, ret)) {
        return false;
    }
    return zone(&c, ret);
}

/* now, today, … as microseconds since the epoch */
static bool special_word(struct kl_slice s, int64_t *ret) {
    int64_t now = kl_clock_wall_us();
    int64_t today = kl_types__floor_div(now, KL_US_PER_DAY) * KL_US_PER_DAY;
    if (kl_slice_ieq_str(s, "now")) {
        *ret = now;
    } else if (kl_slice_ieq_str(s, "today")) {
        *ret = today;
    } else if (kl_slice_ieq_str(s, "tomorrow")) {
        *ret = today + KL_US_PER_DAY;
    } else if (kl_slice_ieq_str(s, "yesterday")) {
        *ret = today - KL_US_PER_DAY;
    } else if (kl_slice_ieq_str(s, "epoch")) {
        *ret = 0;
    } else {
        return false;
    }
    return true;
}

static enum kl_rc parse_word(
    uint8_t id, struct kl_slice s, struct kl_slice text, int64_t *ret, struct kl_err *err) {
    int64_t us;
    bool sign = s.ptr[0] == '-' || s.ptr[0] == '+';
    if (id != KL_T_TIME && kl_slice_ieq_str(kl_slice_from(s, sign), "infinity")) {
        return kl_fail(
            err, KL_E_UNSUPPORTED, "infinity is not supported for type %s", kl_types__name(id));
    }
    if (id == KL_T_TIME && kl_slice_ieq_str(s, "allballs")) {
        *ret = 0;
        return KL_OK;
    }
    if (!special_word(s, &us) || (id == KL_T_TIME && !kl_slice_ieq_str(s, "now"))) {
        return kl_types__bad_syntax(id, text, err);
    }
    int64_t days = kl_types__floor_div(us, KL_US_PER_DAY);
    *ret = id == KL_T_DATE ? days : id == KL_T_TIME ? kl_types__of_day(us) : us;
    return KL_OK;
}

static enum kl_rc field_range(struct kl_slice text, struct kl_err *err) {
    struct kl_slice cut = kl_types__excerpt(text, 100);
    return kl_fail(err, KL_E_TYPE, "date/time field value out of range: \"%.*s\"", KL_FMT(cut));
}

enum kl_rc kl_types__temporal_parse(
    uint8_t id, struct kl_slice text, int64_t *ret, struct kl_err *err) {
    struct kl_slice s = kl_slice_trim(text);
    if (s.len > 0 && !kl_types__is_digit(s.ptr[0])) {
        return parse_word(id, s, text, ret, err);
    }
    struct parts parts;
    if (s.len == 0 || !scan(s, &parts) || (id == KL_T_TIME ? !parts.has_time : !parts.has_date)) {
        return kl_types__bad_syntax(id, text, err);
    }
    if (parts.out_of_range) {
        return field_range(text, err);
    }
    int64_t v = parts.of_day_us;
    if (id != KL_T_TIME) {
        int64_t days = kl_date_from_ymd(parts.year, parts.month, parts.day);
        v = id == KL_T_DATE ? days : days * KL_US_PER_DAY + v - parts.zone_us;
    }
    if (!kl_types__temporal_fits(id, v)) {
        return kl_types__out_of_range(id, err);
    }
    *ret = v;
    return KL_OK;
}
