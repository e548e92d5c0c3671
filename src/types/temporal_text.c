/* Text of dates, times, timestamps and intervals as PostgreSQL prints them (ISO style): 2026-01-01
 * 10:00:00.5. The fraction is cut behind its last digit that is not zero. Two digits at a time from
 * arithmetic: no printf. */
#include "types/internal.h"

static char *put2(char *p, int v) {
    *p++ = (char)('0' + v / 10);
    *p++ = (char)('0' + v % 10);
    return p;
}

/* .ffffff without trailing zeros; nothing for 0 */
static char *put_fraction(char *p, int us) {
    if (us == 0) {
        return p;
    }
    *p++ = '.';
    for (int unit = 100000; us > 0; unit /= 10) {
        *p++ = (char)('0' + us / unit);
        us %= unit;
    }
    return p;
}

size_t kl_types__date_text(int32_t days, char *out) {
    int y, m, d;
    kl_date_to_ymd(days, &y, &m, &d);
    char *p = out;
    if (y < 0) { /* only from bytes that no writer of ours makes; must not write out of bounds */
        *p++ = '-';
        y = -y;
    }
    if (y > 9999) {
        p += kl_types__i64_text(y, p);
    } else {
        p = put2(put2(p, y / 100), y % 100);
    }
    *p++ = '-';
    p = put2(p, m);
    *p++ = '-';
    return (size_t)(put2(p, d) - out);
}

size_t kl_types__time_text(int64_t us, char *out) {
    char *p = out;
    int64_t hours = us / KL_US_PER_HOUR;
    if (us < 0 || hours > 99) {
        return kl_types__i64_text(us, out);
    }
    int rest = (int)(us / KL_US_PER_SEC % 3600);
    p = put2(p, (int)hours);
    *p++ = ':';
    p = put2(p, rest / 60);
    *p++ = ':';
    p = put2(p, rest % 60);
    return (size_t)(put_fraction(p, (int)(us % KL_US_PER_SEC)) - out);
}

size_t kl_types__timestamp_text(int64_t us, char *out) {
    int64_t days = kl_types__floor_div(us, KL_US_PER_DAY);
    size_t n = kl_types__date_text((int32_t)days, out);
    out[n++] = ' ';
    return n + kl_types__time_text(kl_types__of_day(us), out + n);
}

/* One of "1 year", "-2 mons": a plus sign where the part before was negative and this one is not.
 */
static char *put_part(
    char *p, const char *start, int64_t v, const char *unit, bool *before_negative) {
    if (v == 0) {
        return p;
    }
    if (p > start) {
        *p++ = ' ';
    }
    if (*before_negative && v > 0) {
        *p++ = '+';
    }
    p += kl_types__i64_text(v, p);
    *p++ = ' ';
    size_t n = strlen(unit);
    memcpy(p, unit, n);
    p += n;
    if (v != 1) {
        *p++ = 's';
    }
    *before_negative = v < 0;
    return p;
}

size_t kl_types__interval_text(struct kl_interval iv, char *out) {
    bool negative = false;
    char *p = put_part(out, out, iv.months / 12, "year", &negative);
    p = put_part(p, out, iv.months % 12, "mon", &negative);
    p = put_part(p, out, iv.days, "day", &negative);
    if (iv.us == 0 && p > out) {
        return (size_t)(p - out);
    }
    if (p > out) {
        *p++ = ' ';
    }
    if (iv.us < 0) {
        *p++ = '-';
    } else if (negative) {
        *p++ = '+';
    }
    uint64_t us = iv.us < 0 ? -(uint64_t)iv.us : (uint64_t)iv.us;
    uint64_t hours = us / (uint64_t)KL_US_PER_HOUR;
    int rest = (int)(us / (uint64_t)KL_US_PER_SEC % 3600);
    if (hours < 10) {
        *p++ = '0';
    }
    p += kl_types__i64_text((int64_t)hours, p);
    *p++ = ':';
    p = put2(p, rest / 60);
    *p++ = ':';
    p = put2(p, rest % 60);
    return (size_t)(put_fraction(p, (int)(us % (uint64_t)KL_US_PER_SEC)) - out);
}
