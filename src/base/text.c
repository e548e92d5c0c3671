/* Encodings of text and bytes: UTF-8, hexadecimal, base64, numbers, times.
 *
 * Decoders accept exactly one spelling where the format has one (no overlong UTF-8, no stray bits
 * at the end of base64) and leave the output as it was when they refuse. No state, any thread. */
#include "base/text.h"
#include "base/internal.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#define LONGEST_NUMBER 4096 /* characters of a decimal number that is worth reading */
#define REPLACEMENT 0xFFFDu

/* ---- UTF-8 ---- */

size_t kl_utf8_char(struct kl_slice s, uint32_t *ret_code) {
    uint32_t ignored;
    uint32_t *code = ret_code ? ret_code : &ignored;
    if (s.len == 0) {
        return 0;
    }
    const unsigned char *p = (const unsigned char *)s.ptr;
    if (p[0] < 0x80) {
        *code = p[0];
        return 1;
    }
    size_t width = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0xC2 || p[0] > 0xF4 || s.len < width) {
        *code = REPLACEMENT;
        return 1;
    }
    uint32_t value = p[0] & (0x7Fu >> width);
    for (size_t i = 1; i < width; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            *code = REPLACEMENT;
            return 1;
        }
        value = value << 6 | (p[i] & 0x3Fu);
    }
    if (value < smallest[width] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
        *code = REPLACEMENT;
        return 1;
    }
    *code = value;
    return width;
}

bool kl_utf8_valid(struct kl_slice s) {
    size_t i = 0;
    while (i < s.len) {
        uint64_t eight;
        if (s.len - i >= sizeof eight) {
            memcpy(&eight, s.ptr + i, sizeof eight);
            if (!(eight & 0x8080808080808080ULL)) {
                i += sizeof eight;
                continue;
            }
        }
        if ((unsigned char)s.ptr[i] < 0x80) {
            i++;
            continue;
        }
        size_t width = kl_utf8_char(kl_slice_from(s, i), NULL);
        if (width == 1) {
            return false;
        }
        i += width;
    }
    return true;
}

size_t kl_utf8_len(struct kl_slice s) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    }
    return n;
}

void kl_utf8_put(struct kl_buf *b, uint32_t code) {
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
        code = REPLACEMENT;
    }
    unsigned char p[4];
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--) {
        p[i] = (unsigned char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    p[0] = (unsigned char)(lead[n] | code);
    kl_buf_append(b, p, n);
}

/* ---- hexadecimal ---- */

void kl_hex_encode(struct kl_buf *b, struct kl_slice s) {
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        kl_buf_putc(b, hex[c >> 4]);
        kl_buf_putc(b, hex[c & 15]);
    }
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The verdict of a decoder: on refusal the output is what it was. */
static bool finish(struct kl_buf *b, size_t start, bool ok) {
    if (b->failed) {
        return false;
    }
    if (!ok) {
        b->len = start;
    }
    return ok;
}

bool kl_hex_decode(struct kl_buf *b, struct kl_slice s) {
    size_t start = b->len;
    if (s.len % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < s.len; i += 2) {
        int high = hex_value(s.ptr[i]);
        int low = hex_value(s.ptr[i + 1]);
        if (high < 0 || low < 0) {
            return finish(b, start, false);
        }
        kl_buf_putc(b, (char)(high << 4 | low));
    }
    return finish(b, start, true);
}

/* ---- base64 ---- */

static const char base64_standard[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void kl_base64_encode(struct kl_buf *b, struct kl_slice s, bool url_no_pad) {
    const char *alphabet = url_no_pad ? base64_url : base64_standard;
    for (size_t i = 0; i < s.len; i += 3) {
        size_t n = KL_MIN(s.len - i, (size_t)3);
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++) {
            bits = bits << 8 | (k < n ? (unsigned char)s.ptr[i + k] : 0);
        }
        char group[4];
        for (size_t k = 0; k < 4; k++) {
            group[k] = k <= n ? alphabet[bits >> (18 - 6 * k) & 63] : '=';
        }
        kl_buf_append(b, group, url_no_pad ? n + 1 : 4);
    }
}

static int base64_value(char c, bool url) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == (url ? '-' : '+')) {
        return 62;
    }
    return c == (url ? '_' : '/') ? 63 : -1;
}

bool kl_base64_decode(struct kl_buf *b, struct kl_slice s, bool url) {
    size_t start = b->len;
    size_t padding = 0;
    while (padding < 2 && s.len > padding && s.ptr[s.len - 1 - padding] == '=') {
        padding++;
    }
    if ((!url || padding) && s.len % 4 != 0) {
        return false;
    }
    s.len -= padding;
    if (s.len % 4 == 1) {
        return false;
    }
    uint32_t bits = 0;
    int held = 0;
    for (size_t i = 0; i < s.len; i++) {
        int v = base64_value(s.ptr[i], url);
        if (v < 0) {
            return finish(b, start, false);
        }
        bits = bits << 6 | (uint32_t)v;
        held += 6;
        if (held >= 8) {
            held -= 8;
            kl_buf_putc(b, (char)(bits >> held));
            bits &= (1u << held) - 1;
        }
    }
    return finish(b, start, bits == 0);
}

/* ---- numbers ---- */

bool kl_parse_u64(struct kl_slice s, uint64_t *ret) {
    if (s.len == 0) {
        return false;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned char)s.ptr[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, digit, &v)) {
            return false;
        }
    }
    *ret = v;
    return true;
}

bool kl_parse_i64(struct kl_slice s, int64_t *ret) {
    bool negative = s.len && s.ptr[0] == '-';
    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+')) {
        s = kl_slice_from(s, 1);
    }
    uint64_t size;
    if (!kl_parse_u64(s, &size) || size > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *ret = (int64_t)(negative ? 0 - size : size);
    return true;
}

static size_t skip_digits(struct kl_slice s, size_t i) {
    while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9') {
        i++;
    }
    return i;
}

/* digits [. digits] [e [sign] digits], with digits on at least one side of the point */
static bool is_decimal(struct kl_slice s) {
    size_t i = skip_digits(s, 0);
    size_t digits = i;
    if (i < s.len && s.ptr[i] == '.') {
        size_t end = skip_digits(s, i + 1);
        digits += end - i - 1;
        i = end;
    }
    if (digits == 0) {
        return false;
    }
    if (i < s.len && (s.ptr[i] | 0x20) == 'e') {
        i++;
        if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+')) {
            i++;
        }
        size_t end = skip_digits(s, i);
        if (end == i) {
            return false;
        }
        i = end;
    }
    return i == s.len;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void) {
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    KL_ASSERT(c_locale != (locale_t)0);
}

locale_t kl_base__c_locale(void) {
    pthread_once(&c_locale_once, make_c_locale);
    return c_locale;
}

/* A text known to be decimal, wherever the locale puts its point. */
static bool read_decimal(struct kl_slice s, double *ret) {
    char text[LONGEST_NUMBER + 1];
    if (s.len > LONGEST_NUMBER) {
        return false;
    }
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    errno = 0;
    double v = strtod_l(text, NULL, kl_base__c_locale());
    bool out_of_range = errno == ERANGE && (v == 0 || isinf(v));
    if (out_of_range) {
        return false;
    }
    *ret = v;
    return true;
}

bool kl_parse_double(struct kl_slice s, double *ret) {
    bool negative = s.len && s.ptr[0] == '-';
    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+')) {
        s = kl_slice_from(s, 1);
    }
    double v;
    if (kl_slice_ieq_str(s, "nan")) {
        v = NAN;
    } else if (kl_slice_ieq_str(s, "infinity") || kl_slice_ieq_str(s, "inf")) {
        v = INFINITY;
    } else if (!is_decimal(s) || !read_decimal(s, &v)) {
        return false;
    }
    *ret = negative ? -v : v;
    return true;
}

/* ---- time ---- */

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

/* Gregorian date of a day counted from 1970-01-01. Eras of 400 years from 1 March keep the leap day
 * last. */
static void civil_date(int64_t day, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day) {
    day += 719468;
    int64_t era = floor_div(day, 146097);
    unsigned doe = (unsigned)(day - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *ret_day = doy - (153 * mp + 2) / 5 + 1;
    *ret_month = mp < 10 ? mp + 3 : mp - 9;
    *ret_year = (int64_t)yoe + era * 400 + (*ret_month <= 2);
}

void kl_rfc3339(struct kl_buf *b, int64_t wall_us) {
    int64_t seconds = floor_div(wall_us, 1000000);
    unsigned us = (unsigned)(wall_us - seconds * 1000000);
    int64_t days = floor_div(seconds, 86400);
    unsigned second = (unsigned)(seconds - days * 86400);
    int64_t year;
    unsigned month, day;
    civil_date(days, &year, &month, &day);
    kl_buf_printf(b, "%s%04lld-%02u-%02uT%02u:%02u:%02u",
        year < 0      ? "-"
        : year > 9999 ? "+"
                      : "",
        (long long)(year < 0 ? -year : year), month, day, second / 3600, second / 60 % 60,
        second % 60);
    if (us) {
        kl_buf_printf(b, ".%06u", us);
    }
    kl_buf_puts(b, "+00:00");
}
