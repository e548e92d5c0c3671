/* Intervals: months, days and microseconds, kept apart because months and days differ in length.
 *
 * Two notations are read. Words: '1 year 2 mons -3 days 04:05:06.7 ago', '1-2' (years-months), '3
 * 4:05' (days and a time), a bare number at the end is seconds. ISO 8601: 'P1Y2M3DT4H5M6.7S'. A
 * fraction spills into smaller fields by fixed rates, as in PostgreSQL: of a year into whole
 * months, of a month into days (30 to the month) and time, of a week or day into days and time. A
 * unit stands at most once. */
#include "types/internal.h"

#include <math.h>

enum unit_kind { IN_US, IN_DAYS, IN_MONTHS };
struct unit {
    const char *names[6];
    enum unit_kind kind;
    int64_t factor;
};

static const struct unit units[] = {
    {{"microsecond", "microsecon", "us", "usec", "usecond"}, IN_US, 1},
    {{"millisecond", "millisecon", "ms", "msec", "msecond"}, IN_US, 1000},
    {{"second", "s", "sec"}, IN_US, KL_US_PER_SEC},
    {{"minute", "m", "min"}, IN_US, KL_US_PER_MIN},
    {{"hour", "h", "hr"}, IN_US, KL_US_PER_HOUR},
    {{"day", "d"}, IN_DAYS, 1},
    {{"week", "w"}, IN_DAYS, 7},
    {{"month", "mon"}, IN_MONTHS, 1},
    {{"year", "y", "yr"}, IN_MONTHS, 12},
    {{"decade", "dec"}, IN_MONTHS, 120},
    {{"century", "centuries", "c", "cent"}, IN_MONTHS, 1200},
    {{"millennium", "millennia", "mil"}, IN_MONTHS, 12000},
};

#define SUBSECOND_BITS (1u << 0 | 1u << 1) /* by place in units[] */
#define SECOND_BIT (1u << 2)
#define CLOCK_BITS (SUBSECOND_BITS | SECOND_BIT | 1u << 3 | 1u << 4)

enum { SYNTAX, RANGE, FINE };

struct cursor {
    const char *p, *end;
    uint32_t seen; /* bit per unit: none may come twice */
};
struct amount {
    bool neg, has_sign, has_point;
    int64_t whole;   /* with its sign: the least value has no positive counterpart */
    double fraction; /* in [0, 1), without */
};

static void skip_spaces(struct cursor *c) {
    while (c->p < c->end && kl_types__is_space(*c->p)) {
        c->p++;
    }
}

static bool at_digit(const struct cursor *c) {
    return c->p < c->end && kl_types__is_digit(*c->p);
}

static bool at_letter(const struct cursor *c) {
    return c->p < c->end && kl_types__lower(*c->p) >= 'a' && kl_types__lower(*c->p) <= 'z';
}

static bool within(int64_t v, int64_t most) {
    return v >= -most && v <= most;
}

static bool digits(struct cursor *c, bool neg, int64_t *ret) {
    bool fits = true;
    for (*ret = 0; at_digit(c); c->p++) {
        int digit = *c->p - '0';
        fits = fits && !__builtin_mul_overflow(*ret, 10, ret) &&
               !__builtin_add_overflow(*ret, neg ? -digit : digit, ret);
    }
    return fits;
}

static int amount(struct cursor *c, struct amount *ret) {
    *ret = (struct amount){0};
    if (c->p < c->end && (*c->p == '-' || *c->p == '+')) {
        ret->has_sign = true;
        ret->neg = *c->p++ == '-';
        skip_spaces(c);
    }
    const char *start = c->p;
    if (!digits(c, ret->neg, &ret->whole)) {
        return RANGE;
    }
    bool any = c->p > start;
    if (c->p < c->end && *c->p == '.') {
        double unit = 1, v = 0;
        ret->has_point = true;
        for (c->p++; at_digit(c); c->p++) {
            any = true;
            if (unit < 1e15) {
                v = v * 10 + (*c->p - '0');
                unit *= 10;
            }
        }
        ret->fraction = v / unit;
    }
    return any ? FINE : SYNTAX;
}

static bool add_i32(int32_t *to, int64_t v) {
    return !__builtin_add_overflow(*to, v, to);
}

/* The whole microseconds of fraction * scale; what is left rounds when it is more than a half. */
static bool add_fraction_us(struct kl_interval *iv, double fraction, int64_t scale) {
    double v = fraction * (double)scale;
    int64_t us = (int64_t)v;
    double rest = v - (double)us;
    us += rest > 0.5;
    us -= rest < -0.5;
    return !__builtin_add_overflow(iv->us, us, &iv->us);
}

static bool add_fraction_days(struct kl_interval *iv, double fraction, int scale) {
    double v = fraction * scale;
    int whole = (int)v;
    return add_i32(&iv->days, whole) && add_fraction_us(iv, v - whole, KL_US_PER_DAY);
}

static bool add(struct kl_interval *iv, const struct amount *a, const struct unit *u) {
    int64_t v;
    if (__builtin_mul_overflow(a->whole, u->factor, &v)) {
        return false;
    }
    double fraction = a->neg ? -a->fraction : a->fraction;
    switch (u->kind) {
    case IN_US:
        return !__builtin_add_overflow(iv->us, v, &iv->us) &&
               add_fraction_us(iv, fraction, u->factor);
    case IN_DAYS:
        return add_i32(&iv->days, v) &&
               (u->factor == 1 ? add_fraction_us(iv, fraction, KL_US_PER_DAY)
                               : add_fraction_days(iv, fraction, (int)u->factor));
    case IN_MONTHS:
        if (u->factor == 1) {
            return add_i32(&iv->months, v) && add_fraction_days(iv, fraction, 30);
        }
        return add_i32(&iv->months, v) &&
               add_i32(&iv->months, (int64_t)rint(fraction * (double)u->factor));
    }
    return false;
}

static bool unit_is(const struct unit *u, struct kl_slice word) {
    for (size_t i = 0; i < KL_LEN(u->names) && u->names[i]; i++) {
        if (kl_slice_ieq_str(word, u->names[i])) {
            return true;
        }
    }
    return false;
}

static const struct unit *unit_find(struct kl_slice word) {
    struct kl_slice singular = word;
    if (word.len > 1 && kl_types__lower(word.ptr[word.len - 1]) == 's') {
        singular.len--;
    }
    for (size_t i = 0; i < KL_LEN(units); i++) {
        if (unit_is(&units[i], word) || unit_is(&units[i], singular)) {
            return &units[i];
        }
    }
    return NULL;
}

static const struct unit *unit_of(char letter, bool in_time) {
    const char *name = NULL;
    switch (kl_types__lower(letter)) {
    case 'y':
        name = in_time ? NULL : "y";
        break;
    case 'w':
        name = in_time ? NULL : "w";
        break;
    case 'd':
        name = in_time ? NULL : "d";
        break;
    case 'm':
        name = in_time ? "m" : "mon";
        break;
    case 'h':
        name = in_time ? "h" : NULL;
        break;
    case 's':
        name = in_time ? "s" : NULL;
        break;
    default:
        break;
    }
    return name ? unit_find(kl_slice_str(name)) : NULL;
}

static struct kl_slice word(struct cursor *c) {
    const char *start = c->p;
    while (at_letter(c)) {
        c->p++;
    }
    return kl_slice(start, (size_t)(c->p - start));
}

/* A unit may stand once. A time of day is hours, minutes and seconds; seconds with a fraction take
 * up what is below. */
static bool first_use(struct cursor *c, const struct unit *u, const struct amount *a) {
    uint32_t bit = UINT32_C(1) << (u - units);
    if (bit == SECOND_BIT && a->fraction > 0) {
        bit |= SUBSECOND_BITS;
    }
    bool first = !(c->seen & bit);
    c->seen |= bit;
    return first;
}

static int add_unit(
    struct cursor *c, struct kl_interval *iv, const struct amount *a, const struct unit *u) {
    if (!first_use(c, u, a)) {
        return SYNTAX;
    }
    return add(iv, a, u) ? FINE : RANGE;
}

/* [H]H:MM[:SS[.f]], the hours are in `hours` already. */
static int clock_time(struct cursor *c, struct kl_interval *iv, const struct amount *hours) {
    struct amount minutes = {.neg = hours->neg}, seconds = {.neg = hours->neg};
    c->p++; /* ':' */
    if (!at_digit(c)) {
        return SYNTAX;
    }
    if (!digits(c, minutes.neg, &minutes.whole)) {
        return RANGE;
    }
    if (c->p < c->end && *c->p == ':') {
        c->p++;
        int rc = at_digit(c) ? amount(c, &seconds) : SYNTAX;
        if (rc != FINE) {
            return rc;
        }
        seconds.neg = hours->neg;
        seconds.whole = hours->neg ? -seconds.whole : seconds.whole;
    }
    if (!within(minutes.whole, 59) || !within(seconds.whole, 60)) {
        return RANGE;
    }
    if (c->seen & CLOCK_BITS) {
        return SYNTAX;
    }
    c->seen |= CLOCK_BITS;
    bool fits = add(iv, hours, unit_of('h', true)) && add(iv, &minutes, unit_of('m', true)) &&
                add(iv, &seconds, unit_of('s', true));
    return fits ? FINE : RANGE;
}

/* Y-M: years are in `years` already, the sign covers both. */
static int year_month(struct cursor *c, struct kl_interval *iv, const struct amount *years) {
    struct amount months = {.neg = years->neg};
    c->p++; /* '-' */
    if (!digits(c, months.neg, &months.whole) || !within(months.whole, 11)) {
        return RANGE;
    }
    if (!first_use(c, unit_of('m', false), &months)) {
        return SYNTAX;
    }
    return add(iv, years, unit_of('y', false)) && add(iv, &months, unit_of('m', false)) ? FINE
                                                                                        : RANGE;
}

/* Behind a number: the colon of a time or the unit of hours. */
static bool hours_follow(struct cursor *c) {
    if (c->p < c->end && *c->p == ':') {
        return true;
    }
    skip_spaces(c);
    return at_letter(c) && unit_find(word(c)) == unit_of('h', true);
}

/* A number without a unit: days when a time or hours follow, seconds at the end. */
static int bare(struct cursor *c, struct kl_interval *iv, const struct amount *a) {
    struct cursor ahead = *c;
    if (ahead.p == ahead.end) {
        return add_unit(c, iv, a, unit_of('s', true));
    }
    struct amount next;
    if (amount(&ahead, &next) != FINE || !hours_follow(&ahead)) {
        return SYNTAX;
    }
    return add_unit(c, iv, a, unit_of('d', false));
}

static int field(struct cursor *c, struct kl_interval *iv) {
    struct amount a;
    int rc = amount(c, &a);
    if (rc != FINE) {
        return rc;
    }
    if (c->p < c->end && *c->p == ':' && !a.has_point) {
        return clock_time(c, iv, &a);
    }
    if (c->end - c->p > 1 && *c->p == '-' && kl_types__is_digit(c->p[1]) && !a.has_point) {
        return year_month(c, iv, &a);
    }
    skip_spaces(c);
    if (!at_letter(c)) {
        return bare(c, iv, &a);
    }
    const struct unit *u = unit_find(word(c));
    if (!u) {
        return SYNTAX;
    }
    return add_unit(c, iv, &a, u);
}

static bool negate(struct kl_interval *iv) {
    return !__builtin_sub_overflow(0, iv->months, &iv->months) &&
           !__builtin_sub_overflow(0, iv->days, &iv->days) &&
           !__builtin_sub_overflow(0, iv->us, &iv->us);
}

static int parse_words(struct cursor *c, struct kl_interval *ret) {
    bool any = false;
    if (c->p < c->end && *c->p == '@') {
        c->p++;
    }
    for (skip_spaces(c); c->p < c->end; skip_spaces(c)) {
        if (at_letter(c)) {
            if (!any || !kl_slice_ieq_str(word(c), "ago")) {
                return SYNTAX;
            }
            skip_spaces(c);
            return c->p < c->end ? SYNTAX : negate(ret) ? FINE : RANGE;
        }
        int rc = field(c, ret);
        if (rc != FINE) {
            return rc;
        }
        any = true;
    }
    return any ? FINE : SYNTAX;
}

static int parse_iso(struct cursor *c, struct kl_interval *ret) {
    bool in_time = false, any = false;
    for (c->p++; c->p < c->end; any = true) {
        if (!in_time && (*c->p == 'T' || *c->p == 't')) {
            in_time = true;
            c->p++;
        }
        struct amount a;
        int rc = amount(c, &a);
        if (rc != FINE) {
            return rc;
        }
        const struct unit *u = c->p < c->end ? unit_of(*c->p++, in_time) : NULL;
        if (!u) {
            return SYNTAX;
        }
        if (!add(ret, &a, u)) {
            return RANGE;
        }
    }
    return any ? FINE : SYNTAX;
}

enum kl_rc kl_interval_parse(struct kl_slice s, struct kl_interval *ret, struct kl_err *err) {
    struct kl_slice t = kl_slice_trim(s);
    struct cursor c = {.p = t.ptr, .end = t.ptr + t.len};
    struct kl_interval iv = {0};
    bool iso = t.len > 0 && (t.ptr[0] == 'P' || t.ptr[0] == 'p');
    int rc = iso ? parse_iso(&c, &iv) : parse_words(&c, &iv);
    if (rc == RANGE) {
        struct kl_slice cut = kl_types__excerpt(s, 100);
        return kl_fail(err, KL_E_TYPE, "interval field value out of range: \"%.*s\"", KL_FMT(cut));
    }
    if (rc == SYNTAX) {
        return kl_types__bad_syntax(KL_T_INTERVAL, s, err);
    }
    *ret = iv;
    return KL_OK;
}

__int128 kl_types__interval_span(struct kl_interval iv) {
    __int128 days = (__int128)iv.months * 30 + iv.days;
    return days * KL_US_PER_DAY + iv.us;
}
