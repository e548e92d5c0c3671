/* Reads {"sql": "...", "params": [...], "namespace_id": "..."}, the body of nearly every request.
 *
 * One pass over a private copy of the body: a string without escapes stays where it is, one with
 * escapes is unescaped in place (it only ever shrinks). Fields that mean nothing here are checked
 * like the others and skipped. The text ends in a NUL, which is no JSON token, so that looking at
 * the next byte never needs a bounds check; a NUL inside the body is an error like any other.
 *
 * Numbers: an integer that fits is BIGINT, one of up to 38 digits DECIMAL, everything else DOUBLE.
 * Recursion is bounded by KL_BODY_MAX_DEPTH. Any thread; no state. */
#include "net/body.h"

#include <math.h>

struct reader {
    char *start, *p, *end;
    struct kl_arena *arena;
    struct kl_err *err;
};

static enum kl_rc bad(struct reader *r, const char *what) {
    return kl_fail(r->err, KL_E_INVALID_INPUT, "Invalid JSON payload: %s at byte %zu", what,
        (size_t)(r->p - r->start));
}

static char peek(struct reader *r) {
    while (*r->p == ' ' || *r->p == '\n' || *r->p == '\t' || *r->p == '\r') {
        r->p++;
    }
    return *r->p;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hex digits at p, or -1. Stops at the NUL by itself. */
static int32_t hex4(const char *p) {
    int32_t v = 0;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);
        if (d < 0) {
            return -1;
        }
        v = v << 4 | d;
    }
    return v;
}

static char *put_utf8(char *out, uint32_t code) {
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xC0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *out++ = (char)(0xE0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code & 0x3F));
    } else {
        *out++ = (char)(0xF0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3F));
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code & 0x3F));
    }
    return out;
}

/* At the 'u' of an escape; moves past it. */
static enum kl_rc read_unicode(struct reader *r, uint32_t *ret) {
    int32_t code = hex4(r->p + 1);
    if (code < 0) {
        return bad(r, "invalid \\u escape");
    }
    r->p += 5;
    if (code >= 0xD800 && code <= 0xDBFF) {
        int32_t low = r->p[0] == '\\' && r->p[1] == 'u' ? hex4(r->p + 2) : -1;
        if (low < 0xDC00 || low > 0xDFFF) {
            return bad(r, "lone surrogate");
        }
        r->p += 6;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
        return bad(r, "lone surrogate");
    } else if (code == 0) {
        return bad(r, "\\u0000 is not allowed in text");
    }
    *ret = (uint32_t)code;
    return KL_OK;
}

/* At the byte after a backslash; appends what the escape stands for. */
static enum kl_rc read_escape(struct reader *r, char **out) {
    static const char plain[128] = {['"'] = '"',
        ['\\'] = '\\',
        ['/'] = '/',
        ['b'] = '\b',
        ['f'] = '\f',
        ['n'] = '\n',
        ['r'] = '\r',
        ['t'] = '\t'};
    unsigned char c = (unsigned char)*r->p;
    if (c < 128 && plain[c]) {
        *(*out)++ = plain[c];
        r->p++;
        return KL_OK;
    }
    if (c != 'u') {
        return bad(r, "invalid escape");
    }
    uint32_t code = 0;
    KL_TRY(read_unicode(r, &code));
    *out = put_utf8(*out, code);
    return KL_OK;
}

/* Whether one of the eight bytes is a quote, a backslash or a control character; the bytes after the
 * first such one may be misjudged. */
static bool any_special(uint64_t word) {
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t quote = word ^ ones * '"', escape = word ^ ones * '\\';
    return (((quote - ones) & ~quote) | ((escape - ones) & ~escape) |
               ((word - ones * 0x20) & ~word)) &
           high;
}

/* Past bytes that mean themselves, eight at a time. */
static char *skip_plain(char *p, const char *end) {
    uint64_t word;
    while (end - p >= 8) {
        memcpy(&word, p, 8);
        if (any_special(word)) {
            break;
        }
        p += 8;
    }
    return p;
}

static enum kl_rc read_string(struct reader *r, struct kl_slice *ret) {
    if (peek(r) != '"') {
        return bad(r, "expected a string");
    }
    char *begin = ++r->p;
    char *out = NULL; /* NULL while nothing had to move */
    for (;;) {
        unsigned char c = (unsigned char)*r->p;
        if (c == '"') {
            *ret = kl_slice(begin, (size_t)((out ? out : r->p) - begin));
            r->p++;
            return KL_OK;
        }
        if (c < 0x20) {
            return bad(r, r->p == r->end ? "unexpected end" : "control character in a string");
        }
        if (c == '\\') {
            out = out ? out : r->p;
            r->p++;
            KL_TRY(read_escape(r, &out));
        } else if (out) {
            *out++ = *r->p++;
        } else {
            r->p = skip_plain(r->p + 1, r->end);
        }
    }
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static enum kl_rc skip_digits(struct reader *r) {
    if (!is_digit(*r->p)) {
        return bad(r, "invalid number");
    }
    while (is_digit(*r->p)) {
        r->p++;
    }
    return KL_OK;
}

static enum kl_rc skip_number(struct reader *r, bool *ret_integer) {
    bool integer = true;
    r->p += *r->p == '-';
    if (*r->p == '0') {
        r->p++;
    } else {
        KL_TRY(skip_digits(r));
    }
    if (*r->p == '.') {
        integer = false;
        r->p++;
        KL_TRY(skip_digits(r));
    }
    if (*r->p == 'e' || *r->p == 'E') {
        integer = false;
        r->p++;
        r->p += *r->p == '+' || *r->p == '-';
        KL_TRY(skip_digits(r));
    }
    *ret_integer = integer;
    return KL_OK;
}

static enum kl_rc skip_word(struct reader *r, const char *word) {
    size_t n = strlen(word);
    if (strncmp(r->p, word, n) != 0) {
        return bad(r, "unexpected token");
    }
    r->p += n;
    return KL_OK;
}

/* Like read_string, but leaves the text as it is. */
static enum kl_rc skip_string(struct reader *r) {
    if (peek(r) != '"') {
        return bad(r, "expected a string");
    }
    for (r->p++; *r->p != '"';) {
        if ((unsigned char)*r->p < 0x20) {
            return bad(r, r->p == r->end ? "unexpected end" : "control character in a string");
        }
        if (*r->p++ == '\\') {
            char scratch[4], *out = scratch;
            KL_TRY(read_escape(r, &out));
        }
    }
    r->p++;
    return KL_OK;
}

static enum kl_rc skip_value(struct reader *r, int depth);

/* After the opening bracket, which says what closes. */
static enum kl_rc skip_members(struct reader *r, char close, int depth) {
    if (depth >= KL_BODY_MAX_DEPTH) {
        return bad(r, "nested too deeply");
    }
    if (peek(r) == close) {
        r->p++;
        return KL_OK;
    }
    for (;;) {
        if (close == '}') {
            KL_TRY(skip_string(r));
            if (peek(r) != ':') {
                return bad(r, "expected ':'");
            }
            r->p++;
        }
        KL_TRY(skip_value(r, depth + 1));
        char c = peek(r);
        if (c != ',' && c != close) {
            return bad(r, "expected ',' or the end of a list");
        }
        r->p++;
        if (c == close) {
            return KL_OK;
        }
    }
}

static enum kl_rc skip_value(struct reader *r, int depth) {
    bool integer;
    switch (peek(r)) {
    case '"':
        return skip_string(r);
    case '{':
        r->p++;
        return skip_members(r, '}', depth);
    case '[':
        r->p++;
        return skip_members(r, ']', depth);
    case 't':
        return skip_word(r, "true");
    case 'f':
        return skip_word(r, "false");
    case 'n':
        return skip_word(r, "null");
    case '-':
    case '0' ... '9':
        return skip_number(r, &integer);
    case '\0':
        return bad(r, r->p == r->end ? "unexpected end" : "unexpected token");
    default:
        return bad(r, "unexpected token");
    }
}

#define DECIMAL_DIGITS 38

static enum kl_rc read_number(struct reader *r, struct kl_val *ret) {
    const char *begin = r->p;
    bool integer;
    int64_t i;
    KL_TRY(skip_number(r, &integer));
    struct kl_slice s = kl_slice(begin, (size_t)(r->p - begin));
    if (integer && kl_parse_i64(s, &i)) {
        *ret = kl_val_i64(i);
        return KL_OK;
    }
    bool negative = *begin == '-';
    if (integer && s.len - negative <= DECIMAL_DIGITS) {
        __int128 v = 0;
        for (size_t k = negative; k < s.len; k++) {
            v = v * 10 + (s.ptr[k] - '0');
        }
        *ret = kl_val_decimal(negative ? -v : v, 0);
        return KL_OK;
    }
    double d;
    if (!kl_parse_double(s, &d) || !isfinite(d)) {
        return bad(r, "number out of range");
    }
    *ret = kl_val_double(d);
    return KL_OK;
}

static struct kl_val open_text(struct kl_slice s) {
    struct kl_val v = kl_val_text(s);
    v.flags |= KL_VAL_UNKNOWN;
    return v;
}

static enum kl_rc read_param(struct reader *r, struct kl_val *ret) {
    struct kl_slice text;
    char c = peek(r);
    if (c == '"') {
        KL_TRY(read_string(r, &text));
        *ret = open_text(text);
        return KL_OK;
    }
    if (c == '-' || is_digit(c)) {
        return read_number(r, ret);
    }
    const char *begin = r->p;
    KL_TRY(skip_value(r, 0));
    if (c == 'n') {
        *ret = kl_val_null(KL_T_NULL);
    } else if (c == 't' || c == 'f') {
        *ret = kl_val_bool(c == 't');
    } else {
        /* An array or object: BYTES, EMBEDDING and JSON columns each know what to make of it. */
        *ret = kl_val_str(KL_T_JSON, kl_slice(begin, (size_t)(r->p - begin)));
    }
    return KL_OK;
}

static enum kl_rc grow(struct reader *r, struct kl_val **vals, size_t n, size_t *cap) {
    if (n < *cap) {
        return KL_OK;
    }
    size_t more = *cap ? *cap * 2 : 8;
    struct kl_val *wider = KL_ARENA_ARRAY(r->arena, struct kl_val, more);
    if (!wider) {
        return kl_fail(r->err, KL_E_INVALID_INPUT, "Invalid JSON payload: too many parameters");
    }
    if (n) {
        memcpy(wider, *vals, n * sizeof **vals);
    }
    *vals = wider;
    *cap = more;
    return KL_OK;
}

static enum kl_rc read_params(struct reader *r, const struct kl_val **ret, size_t *ret_n) {
    struct kl_val *vals = NULL;
    size_t n = 0, cap = 0;
    *ret = NULL;
    *ret_n = 0;
    if (peek(r) == 'n') {
        return skip_word(r, "null");
    }
    if (*r->p != '[') {
        return bad(r, "\"params\" must be an array");
    }
    r->p++;
    if (peek(r) == ']') {
        r->p++;
        return KL_OK;
    }
    for (;;) {
        KL_TRY(grow(r, &vals, n, &cap));
        KL_TRY(read_param(r, &vals[n]));
        n++;
        char c = peek(r);
        if (c != ',' && c != ']') {
            return bad(r, "expected ',' or ']'");
        }
        r->p++;
        if (c == ']') {
            *ret = vals;
            *ret_n = n;
            return KL_OK;
        }
    }
}

enum { SEEN_SQL = 1, SEEN_PARAMS = 2, SEEN_NS = 4 };

static enum kl_rc read_field(struct reader *r, struct kl_sql_body *ret, unsigned *seen) {
    struct kl_slice key;
    KL_TRY(read_string(r, &key));
    if (peek(r) != ':') {
        return bad(r, "expected ':'");
    }
    r->p++;
    unsigned which = kl_slice_eq(key, KL_S("sql"))            ? SEEN_SQL
                     : kl_slice_eq(key, KL_S("params"))       ? SEEN_PARAMS
                     : kl_slice_eq(key, KL_S("namespace_id")) ? SEEN_NS
                                                              : 0;
    if (*seen & which) {
        return bad(r, "a field is given twice");
    }
    *seen |= which;
    switch (which) {
    case SEEN_SQL:
        return read_string(r, &ret->sql);
    case SEEN_PARAMS:
        return read_params(r, &ret->params, &ret->n_params);
    case SEEN_NS:
        return peek(r) == 'n' ? skip_word(r, "null") : read_string(r, &ret->ns);
    default:
        return skip_value(r, 0);
    }
}

static enum kl_rc read_end(struct reader *r) {
    peek(r);
    return r->p == r->end ? KL_OK : bad(r, "trailing characters");
}

static enum kl_rc start(
    struct reader *r, char *text, size_t len, struct kl_arena *arena, struct kl_err *err) {
    KL_ASSERT(text[len] == '\0');
    *r = (struct reader){.start = text, .p = text, .end = text + len, .arena = arena, .err = err};
    if (!kl_utf8_valid(kl_slice(text, len))) {
        return kl_fail(err, KL_E_INVALID_INPUT, "Invalid JSON payload: not valid UTF-8");
    }
    return KL_OK;
}

enum kl_rc kl_body_parse(
    char *text, size_t len, struct kl_arena *arena, struct kl_sql_body *ret, struct kl_err *err) {
    struct reader r;
    struct kl_sql_body body = {0};
    unsigned seen = 0;
    KL_TRY(start(&r, text, len, arena, err));
    if (peek(&r) != '{') {
        return bad(&r, "expected an object");
    }
    r.p++;
    bool more = peek(&r) != '}';
    r.p += !more;
    while (more) {
        KL_TRY(read_field(&r, &body, &seen));
        char c = peek(&r);
        if (c != ',' && c != '}') {
            return bad(&r, "expected ',' or '}'");
        }
        r.p++;
        more = c == ',';
    }
    KL_TRY(read_end(&r));
    if (!(seen & SEEN_SQL)) {
        return kl_fail(err, KL_E_INVALID_INPUT, "Invalid JSON payload: missing field \"sql\"");
    }
    *ret = body;
    return KL_OK;
}

enum kl_rc kl_body_params(char *text, size_t len, struct kl_arena *arena, const struct kl_val **ret,
    size_t *ret_n, struct kl_err *err) {
    struct reader r;
    KL_TRY(start(&r, text, len, arena, err));
    const struct kl_val *vals;
    size_t n;
    KL_TRY(read_params(&r, &vals, &n));
    KL_TRY(read_end(&r));
    *ret = vals;
    *ret_n = n;
    return KL_OK;
}
