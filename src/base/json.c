/* JSON out: strings and numbers, written straight into a buffer.
 *
 * Strings: runs of plain characters are copied whole; eight bytes are looked at together. Numbers:
 * the fewest digits that read back as the same value, always with a point or an exponent, so that a
 * reader that tells floats from integers keeps them apart. What JSON cannot say (NaN, infinities)
 * is a string. Independent of the locale. */
#include "base/text.h"
#include "base/internal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ONES 0x0101010101010101ULL
#define HIGHS 0x8080808080808080ULL

/* Whether one of eight bytes is below n (n <= 0x80) and itself ASCII. */
static uint64_t any_below(uint64_t v, unsigned n) {
    return (v - ONES * n) & ~v & HIGHS;
}

static uint64_t any_equal(uint64_t v, unsigned char c) {
    return any_below(v ^ (ONES * c), 1);
}

static size_t plain_run(const char *p, size_t len) {
    size_t n = 0;
    for (; len - n >= 8; n += 8) {
        uint64_t v;
        memcpy(&v, p + n, 8);
        if ((v & HIGHS) | any_below(v, 0x20) | any_equal(v, '"') | any_equal(v, '\\')) {
            break;
        }
    }
    while (n < len) {
        unsigned char c = (unsigned char)p[n];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') {
            break;
        }
        n++;
    }
    return n;
}

static void put_escape(struct kl_buf *b, unsigned char c) {
    static const char short_form[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (c == '"' || c == '\\') {
        char pair[2] = {'\\', (char)c};
        kl_buf_append(b, pair, 2);
    } else if (short_form[c]) {
        char pair[2] = {'\\', short_form[c]};
        kl_buf_append(b, pair, 2);
    } else {
        static const char hex[] = "0123456789abcdef";
        char code[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        kl_buf_append(b, code, 6);
    }
}

void kl_json_str(struct kl_buf *b, struct kl_slice s) {
    kl_buf_putc(b, '"');
    while (s.len) {
        size_t n = plain_run(s.ptr, s.len);
        kl_buf_append(b, s.ptr, n);
        s = kl_slice_from(s, n);
        if (!s.len) {
            break;
        }
        if ((unsigned char)s.ptr[0] < 0x80) {
            put_escape(b, (unsigned char)s.ptr[0]);
            s = kl_slice_from(s, 1);
            continue;
        }
        uint32_t code;
        size_t width = kl_utf8_char(s, &code);
        if (width == 1) {
            kl_utf8_put(b, 0xFFFD);
        } else {
            kl_buf_append(b, s.ptr, width);
        }
        s = kl_slice_from(s, width);
    }
    kl_buf_putc(b, '"');
}

/* True when v is neither NaN nor infinite; else its name is written. */
static bool put_special(struct kl_buf *b, double v) {
    if (isnan(v)) {
        kl_buf_puts(b, "\"NaN\"");
    } else if (isinf(v)) {
        kl_buf_puts(b, v < 0 ? "\"-Infinity\"" : "\"Infinity\"");
    } else {
        return true;
    }
    return false;
}

/* Prints with the fewest digits that read back the same, as a float or a double. Numbers of full
 * precision keep every digit of a decimal of 6 or 15 digits, and %g drops zeros, so the search
 * starts there; subnormal ones keep fewer. */
static void put_shortest(struct kl_buf *b, double v, bool single) {
    char text[40];
    bool subnormal = fabs(v) < (single ? (double)FLT_MIN : DBL_MIN);
    int min = subnormal ? 1 : single ? FLT_DIG : DBL_DIG;
    int max = single ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG;
    locale_t before = uselocale(kl_base__c_locale());
    for (int digits = min; digits <= max; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (single ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v) {
            break;
        }
    }
    uselocale(before);
    kl_buf_puts(b, text);
    if (!strpbrk(text, ".e")) {
        kl_buf_append(b, ".0", 2);
    }
}

static void put_fixed(struct kl_buf *b, bool negative, int64_t scaled, int places) {
    static const int64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
    if (negative) {
        kl_buf_putc(b, '-');
    }
    kl_buf_i64(b, scaled / powers[places]);
    char fraction[8] = ".0";
    int64_t rest = scaled % powers[places];
    for (int i = places; i > 0; i--) {
        fraction[i] = (char)('0' + rest % 10);
        rest /= 10;
    }
    kl_buf_append(b, fraction, places ? (size_t)places + 1 : 2);
}

/* Numbers with at most six decimals and fifteen digits, which is most of them, without printf: a
 * quotient of two exact doubles is rounded as strtod rounds the same decimal, so equality proves
 * that the text reads back. */
static bool put_short_decimal(struct kl_buf *b, double v) {
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    double size = fabs(v);
    for (int places = 0; places <= 6; places++) {
        double scaled = nearbyint(size * powers[places]);
        if (scaled >= (places ? 1e15 : 9007199254740993.0)) {
            return false;
        }
        if (scaled / powers[places] == size) {
            put_fixed(b, signbit(v), (int64_t)scaled, places);
            return true;
        }
    }
    return false;
}

void kl_json_double(struct kl_buf *b, double v) {
    if (put_special(b, v) && !put_short_decimal(b, v)) {
        put_shortest(b, v, false);
    }
}

void kl_json_float(struct kl_buf *b, float v) {
    if (!put_special(b, v)) {
        return;
    }
    if (fabsf(v) <= 16777216.0f && v == truncf(v)) {
        put_short_decimal(b, v);
    } else {
        put_shortest(b, v, true);
    }
}
