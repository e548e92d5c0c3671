/* Text of integers and floating point numbers, both ways.
 *
 * Reading a float: mantissa of at most 15 digits and a power of ten up to 22 are exact as doubles,
 * so one division or multiplication rounds correctly; anything else goes to strtod, behind a
 * grammar check because strtod takes more than SQL does (hex, "nan(…)"), and without its point,
 * which is the locale's. Writing: the fewest digits
 * that read back, and exponent form at 10^15 (FLOAT: 10^6) and above and below 10^-4, as PostgreSQL
 * prints them. */
#include "types/internal.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_TEXT_MAX 1100 /* every double can be written exactly in this */
#define EXPONENT_MAX 100000

bool kl_types__int_fits(uint8_t id, int64_t v) {
    switch (id) {
    case KL_T_SMALLINT:
        return v >= INT16_MIN && v <= INT16_MAX;
    case KL_T_INT:
        return v >= INT32_MIN && v <= INT32_MAX;
    default:
        return true;
    }
}

enum kl_rc kl_types__int_parse(uint8_t id, struct kl_slice text, int64_t *ret, struct kl_err *err) {
    struct kl_slice s = kl_slice_trim(text);
    size_t i = 0;
    bool neg = false;
    if (s.len > 0 && (s.ptr[0] == '-' || s.ptr[0] == '+')) {
        neg = s.ptr[0] == '-';
        i = 1;
    }
    if (i == s.len) {
        return kl_types__bad_syntax(id, text, err);
    }
    int64_t v = 0;
    bool overflow = false;
    for (; i < s.len; i++) {
        if (!kl_types__is_digit(s.ptr[i])) {
            return kl_types__bad_syntax(id, text, err);
        }
        /* Counts downwards: the least number has no positive counterpart. */
        overflow |= __builtin_mul_overflow(v, 10, &v);
        overflow |= __builtin_sub_overflow(v, s.ptr[i] - '0', &v);
    }
    if (!neg) {
        overflow |= __builtin_sub_overflow(0, v, &v);
    }
    if (overflow || !kl_types__int_fits(id, v)) {
        return kl_types__bad_range(id, text, err);
    }
    *ret = v;
    return KL_OK;
}

/* digits [. digits] [e [sign] digits], with a digit before or after the point. */
static bool decimal_grammar(struct kl_slice s) {
    size_t i = 0, digits = 0;
    if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+')) {
        i++;
    }
    for (; i < s.len && kl_types__is_digit(s.ptr[i]); i++) {
        digits++;
    }
    if (i < s.len && s.ptr[i] == '.') {
        for (i++; i < s.len && kl_types__is_digit(s.ptr[i]); i++) {
            digits++;
        }
    }
    if (digits == 0) {
        return false;
    }
    if (i < s.len && (s.ptr[i] == 'e' || s.ptr[i] == 'E')) {
        i++;
        if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+')) {
            i++;
        }
        if (i == s.len) {
            return false;
        }
        while (i < s.len && kl_types__is_digit(s.ptr[i])) {
            i++;
        }
    }
    return i == s.len;
}

static const double exact_pow10[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* [-]digits[.digits] with at most 15 digits: exact mantissa, exact power, one rounding. */
static bool parse_short(struct kl_slice s, double *ret) {
    if (s.len == 0 || s.len > 17) {
        return false;
    }
    size_t i = s.ptr[0] == '-';
    int digits = 0, frac = -1;
    int64_t m = 0;
    for (; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '.' && frac < 0) {
            frac = 0;
        } else if (kl_types__is_digit(c)) {
            m = m * 10 + (c - '0');
            digits++;
            frac += frac >= 0;
        } else {
            return false;
        }
    }
    if (digits == 0 || digits > 15) {
        return false;
    }
    double d = (double)m;
    if (frac > 0) {
        d /= exact_pow10[frac];
    }
    *ret = s.ptr[0] == '-' ? -d : d;
    return true;
}

/* 12.5e3 as 125e2: strtod's idea of the point depends on the process's locale. */
static void without_point(struct kl_slice s, char *out) {
    int64_t exponent = 0, frac = 0;
    bool point = false;
    size_t i = 0, n = 0;
    for (; i < s.len && s.ptr[i] != 'e' && s.ptr[i] != 'E'; i++) {
        if (s.ptr[i] == '.') {
            point = true;
        } else {
            out[n++] = s.ptr[i];
            frac += point;
        }
    }
    bool neg = ++i < s.len && s.ptr[i] == '-';
    for (; i < s.len; i++) {
        if (kl_types__is_digit(s.ptr[i])) {
            exponent = KL_MIN(exponent * 10 + (s.ptr[i] - '0'), EXPONENT_MAX);
        }
    }
    sprintf(out + n, "e%d", (int)((neg ? -exponent : exponent) - frac));
}

static bool parse_special(struct kl_slice s, double *ret) {
    bool neg = s.len > 0 && s.ptr[0] == '-';
    struct kl_slice word = s.len > 0 && (neg || s.ptr[0] == '+') ? kl_slice_from(s, 1) : s;
    if (kl_slice_ieq_str(s, "nan")) {
        *ret = NAN;
        return true;
    }
    if (kl_slice_ieq_str(word, "infinity") || kl_slice_ieq_str(word, "inf")) {
        *ret = neg ? -INFINITY : INFINITY;
        return true;
    }
    return false;
}

enum kl_rc kl_types__float_parse(
    uint8_t id, struct kl_slice text, double *ret, struct kl_err *err) {
    struct kl_slice s = kl_slice_trim(text);
    double d;
    /* Not for FLOAT: rounding to double and then to float rounds twice. */
    if (id == KL_T_DOUBLE && parse_short(s, &d)) {
        *ret = d;
        return KL_OK;
    }
    if (!decimal_grammar(s)) {
        return parse_special(s, ret) ? KL_OK : kl_types__bad_syntax(id, text, err);
    }
    if (s.len > NUMBER_TEXT_MAX) {
        return kl_types__bad_range(id, text, err);
    }
    char copy[NUMBER_TEXT_MAX + 24];
    without_point(s, copy);
    errno = 0;
    d = id == KL_T_FLOAT ? (double)strtof(copy, NULL) : strtod(copy, NULL);
    if (errno == ERANGE && (d == 0 || isinf(d))) {
        return kl_types__bad_range(id, text, err);
    }
    *ret = d;
    return KL_OK;
}

size_t kl_types__i64_text(int64_t v, char *out) {
    char tmp[20];
    size_t n = 0, len = 0;
    uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;
    do {
        tmp[n++] = (char)('0' + u % 10);
        u /= 10;
    } while (u > 0);
    if (v < 0) {
        out[len++] = '-';
    }
    while (n > 0) {
        out[len++] = tmp[--n];
    }
    return len;
}

/* Lays out digits d1d2d3… × 10^(exp): d1.d2d3e+XX, or plain when exp is in [-4, plain_below). */
static size_t layout(bool neg, const char *digits, int n, int exp, int plain_below, char *out) {
    size_t len = 0;
    if (neg) {
        out[len++] = '-';
    }
    if (exp < -4 || exp >= plain_below) {
        out[len++] = digits[0];
        if (n > 1) {
            out[len++] = '.';
            memcpy(out + len, digits + 1, (size_t)n - 1);
            len += (size_t)n - 1;
        }
        return len + (size_t)sprintf(out + len, "e%c%02d", exp < 0 ? '-' : '+', abs(exp));
    }
    if (exp < 0) {
        out[len++] = '0';
        out[len++] = '.';
        for (int i = -1; i > exp; i--) {
            out[len++] = '0';
        }
        memcpy(out + len, digits, (size_t)n);
        return len + (size_t)n;
    }
    for (int i = 0; i < n || i <= exp; i++) {
        if (i == exp + 1) {
            out[len++] = '.';
        }
        out[len++] = i < n ? digits[i] : '0';
    }
    return len;
}

static size_t special_text(double d, char *out) {
    const char *word = isnan(d) ? "NaN" : d > 0 ? "Infinity" : "-Infinity";
    size_t n = strlen(word);
    memcpy(out, word, n);
    return n;
}

static bool reads_back(const char *digits, int n, int exp, double d, bool is_float) {
    char text[40];
    sprintf(text, "%.*se%d", n, digits, exp - (n - 1));
    return is_float ? strtof(text, NULL) == (float)d : strtod(text, NULL) == d;
}

int kl_types__double_digits(double a, int precision, char *digits, int *ret_exp) {
    char text[40];
    int n = 0;
    snprintf(text, sizeof(text), "%.*e", precision - 1, a);
    const char *t = text;
    for (; *t != 'e'; t++) {
        if (kl_types__is_digit(*t)) { /* the point is the locale's: skipped by not being a digit */
            digits[n++] = *t;
        }
    }
    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }
    *ret_exp = atoi(t + 1);
    return n;
}

/* Tries precisions from `first` up; every normal number of that many digits is distinct, so the
 * first try that reads back is shortest once its trailing zeros are gone. */
static size_t shortest(double d, bool is_float, int first, int last, int plain_below, char *out) {
    char digits[40];
    double a = fabs(d);
    int n = 0, exp = 0;
    for (int p = first; p <= last; p++) {
        n = kl_types__double_digits(a, p, digits, &exp);
        if (p == last || reads_back(digits, n, exp, a, is_float)) {
            break;
        }
    }
    return layout(signbit(d), digits, n, exp, plain_below, out);
}

/* Up to six decimals, the everyday case: at most 15 digits that read back are the only such ones. */
static size_t short_fraction(double d, char *out) {
    double a = fabs(d);
    if (!(a >= 1e-4 && a < 1e9)) {
        return 0;
    }
    double scaled = rint(a * 1e6);
    if (scaled / 1e6 != a) {
        return 0;
    }
    int64_t unscaled = (int64_t)scaled;
    int scale = 6;
    while (scale > 0 && unscaled % 10 == 0) {
        unscaled /= 10;
        scale--;
    }
    return kl_types__dec_text(d < 0 ? -unscaled : unscaled, scale, out);
}

size_t kl_types__double_text(double d, char *out) {
    if (!isfinite(d)) {
        return special_text(d, out);
    }
    if (fabs(d) < 1e15 && d == trunc(d) && !(d == 0 && signbit(d))) {
        return kl_types__i64_text((int64_t)d, out);
    }
    size_t n = short_fraction(d, out);
    if (n > 0) {
        return n;
    }
    return shortest(d, false, fabs(d) < DBL_MIN ? 1 : 15, 17, 15, out);
}

size_t kl_types__float_text(float f, char *out) {
    if (!isfinite(f)) {
        return special_text(f, out);
    }
    if (fabsf(f) < 1e6f && f == truncf(f) && !(f == 0 && signbit(f))) {
        return kl_types__i64_text((int64_t)f, out);
    }
    return shortest(f, true, fabsf(f) < FLT_MIN ? 1 : 6, 9, 6, out);
}
