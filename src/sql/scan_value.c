/* What literal and name tokens stand for. See scan.h. */
#include "sql/scan.h"

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \uXXXX and \UXXXXXXXX: `digits` of them at p. */
static bool code_point(const char *p, const char *end, int digits, uint32_t *ret) {
    uint32_t v = 0;
    if (end - p < digits) {
        return false;
    }
    for (int i = 0; i < digits; i++) {
        int d = hex_digit(p[i]);
        if (d < 0) {
            return false;
        }
        v = v << 4 | (uint32_t)d;
    }
    *ret = v;
    return true;
}

static size_t put_utf8(char *out, uint32_t c) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* One escape; *p stands behind the backslash and is moved past what belongs to it. Never writes
 * more than it reads. */
static bool escape(const char **p, const char *end, char **out) {
    char c = *(*p)++;
    uint32_t v = 0;
    switch (c) {
    case 'b':
        *(*out)++ = '\b';
        return true;
    case 'f':
        *(*out)++ = '\f';
        return true;
    case 'n':
        *(*out)++ = '\n';
        return true;
    case 'r':
        *(*out)++ = '\r';
        return true;
    case 't':
        *(*out)++ = '\t';
        return true;
    case 'v':
        *(*out)++ = '\v';
        return true;
    case 'u':
    case 'U': {
        int digits = c == 'u' ? 4 : 8;
        /* Surrogate pairs are left to PostgreSQL's parser. */
        if (!code_point(*p, end, digits, &v) || v == 0 || v > 0x10ffff ||
            (v >= 0xd800 && v < 0xe000)) {
            return false;
        }
        *p += digits;
        *out += put_utf8(*out, v);
        return true;
    }
    case 'x':
        if (*p == end || hex_digit(**p) < 0) {
            *(*out)++ = 'x';
            return true;
        }
        for (int i = 0; i < 2 && *p < end && hex_digit(**p) >= 0; i++) {
            v = v << 4 | (uint32_t)hex_digit(*(*p)++);
        }
        *(*out)++ = (char)v;
        return v != 0;
    case '0' ... '7':
        v = (uint32_t)(c - '0');
        for (int i = 0; i < 2 && *p < end && **p >= '0' && **p <= '7'; i++) {
            v = v << 3 | (uint32_t)(*(*p)++ - '0');
        }
        *(*out)++ = (char)v;
        return (v & 0xff) != 0;
    default:
        *(*out)++ = c;
        return true;
    }
}

enum kl_rc kl_sql__string(const struct kl_tok *t, struct kl_arena *arena, struct kl_slice *ret) {
    struct kl_slice body = kl_sql__tok_body(t);
    bool escapes = (t->flags & KL_TOK_ESCAPES) && body.len > 0 && memchr(body.ptr, '\\', body.len);
    if (!escapes && !(t->flags & KL_TOK_DOUBLED)) {
        *ret = body;
        return KL_OK;
    }
    char *buf = kl_arena_alloc(arena, body.len + 1), *out = buf;
    if (!buf) {
        return KL_E_TOO_LARGE;
    }
    const char *p = body.ptr, *end = p + body.len;
    while (p < end) {
        if (*p == '\\' && escapes) {
            p++;
            if (p == end || !escape(&p, end, &out)) {
                return KL_E_INVALID_SQL;
            }
        } else {
            if (*p == '\'' && p + 1 < end) {
                p++;
            }
            *out++ = *p++;
        }
    }
    *ret = kl_slice(buf, (size_t)(out - buf));
    return escapes && !kl_utf8_valid(*ret) ? KL_E_INVALID_SQL : KL_OK;
}

enum kl_rc kl_sql__number(struct kl_slice text, bool negative, struct kl_val *ret) {
    uint64_t v = 0;
    size_t i = 0;
    if (text.len <= 19) {
        for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++) {
            v = v * 10 + (uint64_t)(text.ptr[i] - '0');
        }
        if (i == text.len && v <= (uint64_t)INT64_MAX + negative) {
            *ret = kl_val_i64(negative ? (int64_t)(0 - v) : (int64_t)v);
            return KL_OK;
        }
    }
    __int128 dec;
    uint8_t scale, precision;
    enum kl_rc rc = kl_dec_parse(text, &dec, &scale, &precision);
    /* With an exponent it may have left the range of DECIMAL at either end: then it is a floating point number. Digits written out are meant exactly. */
    double d;
    bool exponent = memchr(text.ptr, 'e', text.len) || memchr(text.ptr, 'E', text.len);
    if (exponent && kl_parse_double(text, &d) && (rc != KL_OK || kl_dec_to_double(dec, scale) != d)) {
        *ret = kl_val_double(negative ? -d : d);
        return KL_OK;
    }
    if (rc != KL_OK) {
        return KL_E_TYPE;
    }
    *ret = kl_val_decimal(negative ? -dec : dec, scale);
    return KL_OK;
}

enum kl_rc kl_sql__bytes(struct kl_slice hex, struct kl_arena *arena, struct kl_val *ret) {
    if (hex.len % 2 != 0) {
        return KL_E_INVALID_SQL;
    }
    char *out = kl_arena_alloc(arena, hex.len / 2 + 1);
    if (!out) {
        return KL_E_TOO_LARGE;
    }
    for (size_t i = 0; i < hex.len; i += 2) {
        int hi = hex_digit(hex.ptr[i]), lo = hex_digit(hex.ptr[i + 1]);
        if (hi < 0 || lo < 0) {
            return KL_E_INVALID_SQL;
        }
        out[i / 2] = (char)(hi << 4 | lo);
    }
    *ret = kl_val_str(KL_T_BYTES, kl_slice(out, hex.len / 2));
    return KL_OK;
}

struct kl_slice kl_sql__name(const struct kl_tok *t, struct kl_arena *arena) {
    struct kl_slice body = t->kind == KL_TOK_IDENT ? kl_sql__tok_body(t) : t->text;
    char *out = kl_arena_alloc(arena, body.len + 1);
    if (!out) {
        return KL_SLICE_NONE;
    }
    size_t n = 0;
    for (size_t i = 0; i < body.len; i++) {
        char c = body.ptr[i];
        if (t->kind == KL_TOK_IDENT && c == t->text.ptr[0]) {
            i++; /* doubled */
        }
        out[n++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    out[n] = '\0';
    return kl_slice(out, n);
}
