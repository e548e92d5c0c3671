/* Decimals: an unscaled 128-bit integer of at most 38 digits and a scale; the value is unscaled /
 * 10^scale.
 *
 * Text is rounded once, at the scale that is wanted: keeping 38 digits first and rescaling later
 * would round twice. All rounding is half away from zero, as in PostgreSQL's numeric. Every
 * function takes any bit pattern as unscaled (a row from disk may hold one), so magnitudes are
 * computed unsigned. */
#include "types/internal.h"

#include <stdio.h>
#include <stdlib.h>

#define E19 10000000000000000000ULL
static const uint64_t pow10_64[20] = {1ULL, 10ULL, 100ULL, 1000ULL, 10000ULL, 100000ULL, 1000000ULL,
    10000000ULL, 100000000ULL, 1000000000ULL, 10000000000ULL, 100000000000ULL, 1000000000000ULL,
    10000000000000ULL, 100000000000000ULL, 1000000000000000ULL, 10000000000000000ULL,
    100000000000000000ULL, 1000000000000000000ULL, E19};

unsigned __int128 kl_types__pow10(int n) {
    KL_ASSERT(n >= 0 && n <= KL_DEC_DIGITS);
    return n < 20 ? pow10_64[n] : (unsigned __int128)E19 * pow10_64[n - 19];
}

static unsigned __int128 magnitude(__int128 v) {
    return v < 0 ? -(unsigned __int128)v : (unsigned __int128)v;
}

static __int128 with_sign(unsigned __int128 m, bool neg) {
    return (__int128)(neg ? -m : m);
}

bool kl_types__dec_fits(__int128 v, int precision) {
    return magnitude(v) < kl_types__pow10(precision);
}

int kl_types__dec_digits(__int128 v) {
    unsigned __int128 m = magnitude(v);
    int n = 1;
    while (n <= KL_DEC_DIGITS && m >= kl_types__pow10(n)) {
        n++;
    }
    return n;
}

enum kl_rc kl_dec_rescale(__int128 v, int from, int to, __int128 *ret) {
    KL_ASSERT(from >= 0 && from <= KL_DEC_DIGITS && to >= 0 && to <= KL_DEC_DIGITS);
    unsigned __int128 m = magnitude(v);
    if (to < from) {
        unsigned __int128 p = kl_types__pow10(from - to), rest = m % p;
        m = m / p + (rest >= p - rest);
    } else if (__builtin_mul_overflow(m, kl_types__pow10(to - from), &m)) {
        return KL_E_TYPE;
    }
    if (m >= kl_types__pow10(KL_DEC_DIGITS)) {
        return KL_E_TYPE;
    }
    *ret = with_sign(m, v < 0);
    return KL_OK;
}

/* A number as written: 0.d1d2d3… × 10^point, where d1 is the first significant digit. */
struct dec_text {
    bool neg;
    const char *digits, *end; /* from d1, a '.' may be among them */
    int64_t point;
    int64_t scale; /* fraction digits as written, less the exponent; may be negative */
    bool zero;
};

#define EXPONENT_MAX 100000

static bool scan_exponent(const char *p, const char *end, int64_t *ret) {
    bool neg = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) {
        p++;
    }
    if (p == end) {
        return false;
    }
    int64_t v = 0;
    for (; p < end; p++) {
        if (!kl_types__is_digit(*p)) {
            return false;
        }
        v = KL_MIN(v * 10 + (*p - '0'), EXPONENT_MAX);
    }
    *ret = neg ? -v : v;
    return true;
}

static bool scan(struct kl_slice s, struct dec_text *ret) {
    const char *p = s.ptr, *end = s.ptr + s.len;
    *ret = (struct dec_text){.zero = true};
    if (s.len > 0 && (*p == '-' || *p == '+')) {
        ret->neg = *p++ == '-';
    }
    bool point = false, any = false;
    int64_t exponent = 0;
    for (; p < end && (kl_types__is_digit(*p) || (*p == '.' && !point)); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        any = true;
        ret->scale += point;
        if (ret->zero && *p != '0') {
            ret->zero = false;
            ret->digits = p;
        }
        if (!ret->zero) {
            ret->point += !point;
        } else {
            ret->point -= point;
        }
    }
    ret->end = p;
    if (!any) {
        return false;
    }
    if (p < end && ((*p != 'e' && *p != 'E') || !scan_exponent(p + 1, end, &exponent))) {
        return false;
    }
    ret->point += exponent;
    ret->scale -= exponent;
    return true;
}

/* Digit after digit down to `scale`, then one rounding by the digit that follows. */
static enum kl_rc at_scale(const struct dec_text *t, int scale, __int128 *ret) {
    int64_t keep = t->zero ? -1 : t->point + scale;
    if (keep > KL_DEC_DIGITS) {
        return KL_E_TYPE;
    }
    unsigned __int128 m = 0;
    const char *p = t->digits;
    for (int64_t i = 0; i <= keep; i++) {
        if (p < t->end && *p == '.') {
            p++;
        }
        int digit = p < t->end ? *p++ - '0' : 0;
        if (i < keep) {
            m = m * 10 + (unsigned)digit;
        } else {
            m += digit >= 5;
        }
    }
    if (m >= kl_types__pow10(KL_DEC_DIGITS)) {
        return KL_E_TYPE;
    }
    *ret = with_sign(m, t->neg);
    return KL_OK;
}

enum kl_rc kl_types__dec_parse_at(struct kl_slice s, int scale, __int128 *ret, uint8_t *ret_scale) {
    struct dec_text t;
    if (!scan(kl_slice_trim(s), &t)) {
        return KL_E_INVALID_INPUT;
    }
    if (scale != KL_DEC_SCALE_ANY) {
        *ret_scale = (uint8_t)scale;
        return at_scale(&t, scale, ret);
    }
    int64_t natural = KL_MIN(KL_MAX(t.scale, 0), KL_DEC_DIGITS);
    if (!t.zero && t.point + natural > KL_DEC_DIGITS) {
        natural = KL_DEC_DIGITS - t.point;
    }
    /* 9.99…9 of 39 digits rounds up to one digit more before the point: then one fewer behind it
     * fits. */
    for (int i = 0; i < 2 && natural >= 0; i++, natural--) {
        if (at_scale(&t, (int)natural, ret) == KL_OK) {
            *ret_scale = (uint8_t)natural;
            return KL_OK;
        }
    }
    return KL_E_TYPE;
}

enum kl_rc kl_dec_parse(
    struct kl_slice s, __int128 *ret, uint8_t *ret_scale, uint8_t *ret_precision) {
    KL_TRY(kl_types__dec_parse_at(s, KL_DEC_SCALE_ANY, ret, ret_scale));
    *ret_precision = (uint8_t)KL_MAX(kl_types__dec_digits(*ret), *ret_scale);
    return KL_OK;
}

size_t kl_types__dec_text(__int128 v, int scale, char *out) {
    char tmp[48];
    int n = 0;
    unsigned __int128 m = magnitude(v);
    while (m > UINT64_MAX) {
        uint64_t low = (uint64_t)(m % E19);
        m /= E19;
        for (int i = 0; i < 19; i++, low /= 10) {
            tmp[n++] = (char)('0' + low % 10);
        }
    }
    for (uint64_t low = (uint64_t)m; low > 0; low /= 10) {
        tmp[n++] = (char)('0' + low % 10);
    }
    while (n <= scale) {
        tmp[n++] = '0';
    }
    size_t len = 0;
    if (v < 0) {
        out[len++] = '-';
    }
    while (n > 0) {
        out[len++] = tmp[--n];
        if (n == scale && n > 0) {
            out[len++] = '.';
        }
    }
    return len;
}

void kl_dec_format(__int128 v, int scale, struct kl_buf *out) {
    char text[48];
    KL_ASSERT(scale >= 0 && scale <= KL_DEC_DIGITS);
    kl_buf_append(out, text, kl_types__dec_text(v, scale, text));
}

double kl_dec_to_double(__int128 v, int scale) {
    static const double exact[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (magnitude(v) <= (1ULL << 53) && scale <= 22) {
        return (double)v / exact[scale]; /* both exact, so one rounding */
    }
    char text[56];
    size_t n = kl_types__dec_text(v, 0, text); /* no point: strtod's depends on the locale */
    sprintf(text + n, "e-%d", scale);
    return strtod(text, NULL);
}
