/* TOML 1.0: strings, numbers, booleans, dates and times. Structure is in toml.c, which sees to it
 * that the text is valid UTF-8, so that bytes above 0x7f are copied unseen here. Any thread. */
#include "server/toml_internal.h"
#include <stdio.h>

#define MAX_TOKEN 128 /* of a number or date */

/* ---- strings ---- */

static enum kl_rc unknown_escape(struct kl_toml_parser *p) {
    if (p->cur + 1 >= p->end) {
        return kl_toml__fail(p, p->cur, "the text ends within an escape");
    }
    unsigned char c = (unsigned char)p->cur[1];
    if (c <= 0x20 || c >= 0x7F) {
        return kl_toml__fail(p, p->cur, "a backslash must be written '\\\\' here");
    }
    return kl_toml__fail(p, p->cur, "unknown escape '\\%c'", c);
}

static enum kl_rc decode_unicode(struct kl_toml_parser *p, int digits) {
    uint32_t code = 0;
    for (int i = 0; i < digits; i++) {
        const char *at = p->cur + 2 + i;
        char c = at < p->end ? *at : ' ';
        uint32_t digit;
        if (c >= '0' && c <= '9') {
            digit = (uint32_t)(c - '0');
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            digit = (uint32_t)((c | 0x20) - 'a') + 10;
        } else {
            return kl_toml__fail(
                p, p->cur, "'\\%c' needs %d hexadecimal digits", p->cur[1], digits);
        }
        code = code << 4 | digit;
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
        return kl_toml__fail(p, p->cur, "U+%04X is no character", (unsigned)code);
    }
    kl_utf8_put(&p->scratch, code);
    p->cur += 2 + digits;
    return KL_OK;
}

/* A backslash at the end of a line: it and all white space after it are nothing. False when it is
 * none. */
static bool fold_line(struct kl_toml_parser *p) {
    const char *at = p->cur + 1;
    while (at < p->end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    if (at == p->end || (*at != '\n' && !(*at == '\r' && at + 1 < p->end && at[1] == '\n'))) {
        return false;
    }
    p->cur = at;
    while (kl_toml__newline(p) || kl_toml__at(p, ' ') || kl_toml__at(p, '\t')) {
        if (p->cur < p->end && (*p->cur == ' ' || *p->cur == '\t')) {
            p->cur++;
        }
    }
    return true;
}

static enum kl_rc decode_escape(struct kl_toml_parser *p, bool multiline) {
    static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
    if (multiline && fold_line(p)) {
        return KL_OK;
    }
    char c = p->cur + 1 < p->end ? p->cur[1] : '\0';
    const char *at = c != '\0' ? strchr(from, c) : NULL;
    if (at != NULL) {
        kl_buf_putc(&p->scratch, to[at - from]);
        p->cur += 2;
        return KL_OK;
    }
    if (c == 'u' || c == 'U') {
        return decode_unicode(p, c == 'u' ? 4 : 8);
    }
    return unknown_escape(p);
}

/* cur stands on a quote inside a multi-line string. Sets ret_done when the string ends; up to two
 * quotes may stand directly before the closing three. */
static enum kl_rc decode_quotes(struct kl_toml_parser *p, char quote, bool *ret_done) {
    size_t run = 0;
    while (run < 6 && kl_toml__at(p, quote)) {
        p->cur++;
        run++;
    }
    if (run == 6) {
        return kl_toml__fail(p, p->cur - 1, "too many quotes at the end of the string");
    }
    *ret_done = run >= 3;
    for (size_t i = *ret_done ? 3 : 0; i < run; i++) {
        kl_buf_putc(&p->scratch, quote);
    }
    return KL_OK;
}

/* cur stands behind the opening quotes. */
static enum kl_rc decode_string(
    struct kl_toml_parser *p, char quote, bool multiline, int from_line) {
    while (p->cur < p->end) {
        unsigned char c = (unsigned char)*p->cur;
        if (c == (unsigned char)quote) {
            bool done = true;
            if (multiline) {
                KL_TRY(decode_quotes(p, quote, &done));
            } else {
                p->cur++;
            }
            if (done) {
                return KL_OK;
            }
        } else if (c == '\\' && quote == '"') {
            KL_TRY(decode_escape(p, multiline));
        } else if (multiline && kl_toml__newline(p)) {
            kl_buf_putc(&p->scratch, '\n');
        } else if ((c < 0x20 && c != '\t') || c == 0x7F) {
            return c == '\n' || c == '\r'
                       ? kl_toml__fail(p, p->cur, "the string is not closed on its line")
                       : kl_toml__fail(p, p->cur, "control character 0x%02x in a string", c);
        } else {
            kl_buf_putc(&p->scratch, (char)c);
            p->cur++;
        }
    }
    return kl_toml__fail(p, p->cur, "the string that began on line %d is not closed", from_line);
}

enum kl_rc kl_toml__string(struct kl_toml_parser *p, bool allow_multiline, struct kl_slice *ret) {
    char quote = *p->cur;
    int from_line = p->line;
    bool multiline = quote == '"' ? kl_toml__ahead(p, "\"\"\"", 3) : kl_toml__ahead(p, "'''", 3);
    if (multiline && !allow_multiline) {
        return kl_toml__fail(p, p->cur, "a key cannot be a multi-line string");
    }
    p->cur += multiline ? 3 : 1;
    if (multiline) {
        kl_toml__newline(p); /* one directly behind the quotes does not count */
    }
    kl_buf_clear(&p->scratch);
    KL_TRY(decode_string(p, quote, multiline, from_line));
    struct kl_slice text = p->scratch.failed ? KL_SLICE_NONE : kl_buf_view(&p->scratch);
    if (p->scratch.failed) {
        return kl_toml__no_room(p);
    }
    *ret = kl_arena_dup(p->arena, text);
    return ret->ptr != NULL ? KL_OK : kl_toml__no_room(p);
}

/* ---- dates and times ---- */

/* n digits at s[*i] as a number within [min, max]; moves *i. */
static bool take_digits(struct kl_slice s, size_t *i, size_t n, int min, int max, int *ret) {
    int value = 0;
    for (size_t end = *i + n; *i < end; (*i)++) {
        if (*i >= s.len || s.ptr[*i] < '0' || s.ptr[*i] > '9') {
            return false;
        }
        value = value * 10 + (s.ptr[*i] - '0');
    }
    *ret = value;
    return value >= min && value <= max;
}

static bool take_char(struct kl_slice s, size_t *i, const char *any) {
    if (*i < s.len && s.ptr[*i] != '\0' && strchr(any, s.ptr[*i]) != NULL) {
        (*i)++;
        return true;
    }
    return false;
}

static bool take_date(struct kl_slice s, size_t *i) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!take_digits(s, i, 4, 0, 9999, &year) || !take_char(s, i, "-") ||
        !take_digits(s, i, 2, 1, 12, &month) || !take_char(s, i, "-") ||
        !take_digits(s, i, 2, 1, 31, &day)) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= days[month - 1] + (leap && month == 2);
}

static bool take_time(struct kl_slice s, size_t *i) {
    int part;
    if (!take_digits(s, i, 2, 0, 23, &part) || !take_char(s, i, ":") ||
        !take_digits(s, i, 2, 0, 59, &part) || !take_char(s, i, ":") ||
        !take_digits(s, i, 2, 0, 60, &part)) {
        return false;
    }
    if (take_char(s, i, ".")) {
        size_t from = *i;
        while (take_char(s, i, "0123456789")) {
        }
        return *i > from;
    }
    return true;
}

static bool take_offset(struct kl_slice s, size_t *i) {
    int part;
    if (take_char(s, i, "Zz")) {
        return true;
    }
    return take_char(s, i, "+-") && take_digits(s, i, 2, 0, 23, &part) && take_char(s, i, ":") &&
           take_digits(s, i, 2, 0, 59, &part);
}

static bool is_datetime(struct kl_slice s) {
    size_t i = 0;
    if (s.len > 2 && s.ptr[2] == ':') {
        return take_time(s, &i) && i == s.len;
    }
    if (!take_date(s, &i)) {
        return false;
    }
    if (i == s.len) {
        return true;
    }
    if (!take_char(s, &i, "Tt ") || !take_time(s, &i)) {
        return false;
    }
    return i == s.len || (take_offset(s, &i) && i == s.len);
}

static bool looks_like_datetime(struct kl_slice s) {
    size_t i = 0;
    int part;
    if (take_digits(s, &i, 2, 0, 99, &part) && take_char(s, &i, ":")) {
        return true;
    }
    i = 0;
    return take_digits(s, &i, 4, 0, 9999, &part) && take_char(s, &i, "-");
}

/* ---- numbers ---- */

static bool is_digit_of(char c, int base) {
    if (c >= '0' && c <= '9') {
        return c - '0' < base;
    }
    return base == 16 && (c | 0x20) >= 'a' && (c | 0x20) <= 'f';
}

/* Digits with single underscores between them, from s[*i]; copies the digits to `out`. */
static bool take_number_part(struct kl_slice s, size_t *i, int base, char *out, size_t *len) {
    size_t from = *i;
    while (*i < s.len && (is_digit_of(s.ptr[*i], base) || s.ptr[*i] == '_')) {
        if (s.ptr[*i] != '_') {
            out[(*len)++] = s.ptr[*i];
        } else if (*i == from || s.ptr[*i - 1] == '_' || *i + 1 == s.len ||
                   !is_digit_of(s.ptr[*i + 1], base)) {
            return false;
        }
        (*i)++;
    }
    return *i > from;
}

/* 0x, 0o, 0b: without sign, at most 2^63 - 1. */
static bool parse_prefixed(struct kl_slice s, int base, int64_t *ret) {
    char digits[MAX_TOKEN];
    size_t i = 2, len = 0;
    uint64_t value = 0;
    if (!take_number_part(s, &i, base, digits, &len) || i != s.len) {
        return false;
    }
    for (size_t d = 0; d < len; d++) {
        uint64_t digit =
            (uint64_t)(digits[d] <= '9' ? digits[d] - '0' : (digits[d] | 0x20) - 'a' + 10);
        if (value > ((uint64_t)INT64_MAX - digit) / (uint64_t)base) {
            return false;
        }
        value = value * (uint64_t)base + digit;
    }
    *ret = (int64_t)value;
    return true;
}

/* Decimal integer or float. */
static bool parse_decimal(struct kl_slice s, struct kl_toml *ret) {
    char clean[MAX_TOKEN + 1];
    size_t i = 0, len = 0;
    bool is_float = false;
    if (s.ptr[0] == '+' || s.ptr[0] == '-') {
        if (s.ptr[0] == '-') {
            clean[len++] = '-';
        }
        i = 1;
    }
    size_t digits = i;
    if (!take_number_part(s, &i, 10, clean, &len) || (s.ptr[digits] == '0' && i > digits + 1)) {
        return false;
    }
    if (i < s.len && s.ptr[i] == '.') {
        clean[len++] = s.ptr[i++];
        is_float = true;
        if (!take_number_part(s, &i, 10, clean, &len)) {
            return false;
        }
    }
    if (i < s.len && (s.ptr[i] | 0x20) == 'e') {
        clean[len++] = s.ptr[i++];
        is_float = true;
        if (i < s.len && (s.ptr[i] == '+' || s.ptr[i] == '-')) {
            clean[len++] = s.ptr[i++];
        }
        if (!take_number_part(s, &i, 10, clean, &len)) {
            return false;
        }
    }
    if (i != s.len) {
        return false;
    }
    ret->type = is_float ? KL_TOML_FLOAT : KL_TOML_INTEGER;
    return is_float ? kl_parse_double(kl_slice(clean, len), &ret->real)
                    : kl_parse_i64(kl_slice(clean, len), &ret->integer);
}

static bool parse_special_float(struct kl_slice s, double *ret) {
    bool negative = s.ptr[0] == '-';
    struct kl_slice name = s.ptr[0] == '-' || s.ptr[0] == '+' ? kl_slice_from(s, 1) : s;
    if (kl_slice_eq(name, KL_S("inf"))) {
        *ret = negative ? -__builtin_inf() : __builtin_inf();
        return true;
    }
    if (kl_slice_eq(name, KL_S("nan"))) {
        *ret = __builtin_nan("");
        return true;
    }
    return false;
}

static bool parse_number(struct kl_slice s, struct kl_toml *ret) {
    if (parse_special_float(s, &ret->real)) {
        ret->type = KL_TOML_FLOAT;
        return true;
    }
    if (s.len > 2 && s.ptr[0] == '0' && (s.ptr[1] == 'x' || s.ptr[1] == 'o' || s.ptr[1] == 'b')) {
        ret->type = KL_TOML_INTEGER;
        return parse_prefixed(s, s.ptr[1] == 'x' ? 16 : s.ptr[1] == 'o' ? 8 : 2, &ret->integer);
    }
    return parse_decimal(s, ret);
}

/* ---- all of them ---- */

static bool is_token_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("+-_.:", c) != NULL);
}

static struct kl_slice take_token(struct kl_toml_parser *p) {
    const char *from = p->cur;
    while (p->cur < p->end && is_token_char(*p->cur)) {
        p->cur++;
    }
    /* A date may be parted from its time by one space. */
    if (p->cur - from == 10 && from[4] == '-' && p->end - p->cur > 3 && *p->cur == ' ' &&
        is_digit_of(p->cur[1], 10) && is_digit_of(p->cur[2], 10) && p->cur[3] == ':') {
        p->cur++;
        while (p->cur < p->end && is_token_char(*p->cur)) {
            p->cur++;
        }
    }
    return kl_slice(from, (size_t)(p->cur - from));
}

enum kl_rc kl_toml__bare_value(struct kl_toml_parser *p, struct kl_toml *ret) {
    struct kl_slice token = take_token(p);
    if (token.len == 0) {
        return kl_toml__fail(p, p->cur, "a value is expected here");
    }
    if (token.len > MAX_TOKEN) {
        return kl_toml__fail(p, token.ptr, "a number is longer than %d characters", MAX_TOKEN);
    }
    if (kl_slice_eq(token, KL_S("true")) || kl_slice_eq(token, KL_S("false"))) {
        ret->type = KL_TOML_BOOLEAN;
        ret->boolean = token.ptr[0] == 't';
        return KL_OK;
    }
    if (looks_like_datetime(token)) {
        ret->type = KL_TOML_DATETIME;
        if (!is_datetime(token)) {
            return kl_toml__fail(p, token.ptr, "'%.*s' is no valid date or time", KL_FMT(token));
        }
        ret->text = kl_arena_dup(p->arena, token);
        return ret->text.ptr != NULL ? KL_OK : kl_toml__no_room(p);
    }
    if (!parse_number(token, ret)) {
        return kl_toml__fail(
            p, token.ptr, "'%.*s' is no valid value; text needs quotes", KL_FMT(token));
    }
    return KL_OK;
}
