/* Reads the values that are blocks of bytes: UUID, BYTES and EMBEDDING. The block goes to the
 * arena.
 *
 * UUID takes what PostgreSQL takes: either case, braces around it, a hyphen after any group of four
 * digits. BYTES reads
 * '\xDEADBEEF' or PostgreSQL's escape format ('\\' and '\ooo'). EMBEDDING reads a JSON array of
 * finite numbers. */
#include "types/internal.h"

#include <math.h>

#define DIMENSIONS_MAX 8192

static int hex_value(char c) {
    if (kl_types__is_digit(c)) {
        return c - '0';
    }
    c = kl_types__lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 32 hex digits, a hyphen allowed behind each four but the last. */
static bool uuid_scan(struct kl_slice s, uint8_t out[16]) {
    size_t i = 0;
    for (int nibble = 0; nibble < 32; nibble++) {
        if (nibble > 0 && nibble % 4 == 0 && i < s.len && s.ptr[i] == '-') {
            i++;
        }
        int v = i < s.len ? hex_value(s.ptr[i++]) : -1;
        if (v < 0) {
            return false;
        }
        out[nibble / 2] = (uint8_t)(nibble % 2 ? out[nibble / 2] << 4 | v : v);
    }
    return i == s.len;
}

static enum kl_rc block(uint8_t id, const void *bytes, size_t n, struct kl_arena *arena,
    struct kl_val *ret, struct kl_err *err) {
    struct kl_slice copy = kl_arena_dup(arena, kl_slice(bytes, n));
    if (!copy.ptr) {
        return kl_types__no_budget(err);
    }
    *ret = kl_val_str(id, copy);
    return KL_OK;
}

enum kl_rc kl_types__uuid_parse(
    struct kl_slice text, struct kl_arena *arena, struct kl_val *ret, struct kl_err *err) {
    struct kl_slice s = kl_slice_trim(text);
    uint8_t bytes[16] = {0};
    if (s.len >= 2 && s.ptr[0] == '{' && s.ptr[s.len - 1] == '}') {
        s = kl_slice(s.ptr + 1, s.len - 2);
    }
    if (!uuid_scan(s, bytes)) {
        struct kl_slice cut = kl_types__excerpt(text, 120);
        return kl_fail(err, KL_E_TYPE, "Invalid UUID literal: \"%.*s\"", KL_FMT(cut));
    }
    return block(KL_T_UUID, bytes, sizeof(bytes), arena, ret, err);
}

/* Digits in pairs, white space between pairs. Writes at most len / 2 bytes. */
static bool hex_scan(struct kl_slice s, char *out, size_t *ret_len) {
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        if (kl_types__is_space(s.ptr[i])) {
            i++;
            continue;
        }
        int high = hex_value(s.ptr[i]), low = i + 1 < s.len ? hex_value(s.ptr[i + 1]) : -1;
        if (high < 0 || low < 0) {
            return false;
        }
        out[n++] = (char)(high << 4 | low);
        i += 2;
    }
    *ret_len = n;
    return true;
}

static bool octal(char c, char most) {
    return c >= '0' && c <= most;
}

static bool escape_scan(struct kl_slice s, char *out, size_t *ret_len) {
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        const char *p = s.ptr + i;
        if (*p != '\\') {
            out[n++] = *p;
            i++;
        } else if (i + 1 < s.len && p[1] == '\\') {
            out[n++] = '\\';
            i += 2;
        } else if (i + 3 < s.len && octal(p[1], '3') && octal(p[2], '7') && octal(p[3], '7')) {
            out[n++] = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
            i += 4;
        } else {
            return false;
        }
    }
    *ret_len = n;
    return true;
}

enum kl_rc kl_types__bytes_parse(
    struct kl_slice text, struct kl_arena *arena, struct kl_val *ret, struct kl_err *err) {
    bool hex = kl_slice_starts_with(text, KL_S("\\x"));
    size_t n = 0;
    char *out = kl_arena_alloc(arena, (hex ? text.len / 2 : text.len) + 1);
    if (!out) {
        return kl_types__no_budget(err);
    }
    if (!(hex ? hex_scan(kl_slice_from(text, 2), out, &n) : escape_scan(text, out, &n))) {
        return kl_types__bad_syntax(KL_T_BYTES, text, err);
    }
    *ret = kl_val_str(KL_T_BYTES, kl_slice(out, n));
    return KL_OK;
}

static const char *skip_spaces(const char *p, const char *end) {
    while (p < end && kl_types__is_space(*p)) {
        p++;
    }
    return p;
}

/* The element up to the next ',' or ']'. */
static struct kl_slice element(const char *p, const char *end) {
    const char *start = p;
    while (p < end && *p != ',' && *p != ']') {
        p++;
    }
    return kl_slice(start, (size_t)(p - start));
}

enum kl_rc kl_types__embedding_parse(struct kl_type t, struct kl_slice text, struct kl_arena *arena,
    struct kl_val *ret, struct kl_err *err) {
    struct kl_slice s = kl_slice_trim(text);
    if (s.len < 2 || s.ptr[0] != '[' || s.ptr[s.len - 1] != ']') {
        return kl_types__bad_syntax(KL_T_EMBEDDING, text, err);
    }
    size_t count = 1;
    for (size_t i = 0; i < s.len; i++) {
        count += s.ptr[i] == ',';
    }
    bool empty = skip_spaces(s.ptr + 1, s.ptr + s.len) == s.ptr + s.len - 1;
    count = empty ? 0 : count;
    if ((t.dim && count != t.dim) || count == 0 || count > DIMENSIONS_MAX) {
        return t.dim ? kl_fail(err, KL_E_TYPE, "Embedding dimension mismatch: expected %u, got %zu",
                           (unsigned)t.dim, count)
                     : kl_fail(err, KL_E_TYPE, "an embedding has 1 to %d dimensions, not %zu",
                           DIMENSIONS_MAX, count);
    }
    float *out = kl_arena_alloc(arena, count * sizeof(float));
    if (!out) {
        return kl_types__no_budget(err);
    }
    const char *p = s.ptr + 1, *end = s.ptr + s.len;
    for (size_t i = 0; i < count; i++) {
        struct kl_slice item = element(p, end);
        double d;
        if (p + item.len >= end || kl_types__float_parse(KL_T_FLOAT, item, &d, err) != KL_OK ||
            !isfinite(d)) {
            return kl_types__bad_syntax(KL_T_EMBEDDING, text, err);
        }
        out[i] = (float)d;
        p += item.len + 1;
    }
    if (p != end) {
        return kl_types__bad_syntax(KL_T_EMBEDDING, text, err);
    }
    *ret = kl_val_str(KL_T_EMBEDDING, kl_slice(out, count * sizeof(float)));
    return KL_OK;
}

/* A cursor over the few forms below; each is a small grammar of its own, so nothing else passes. */
struct json_bytes {
    const char *p, *end;
    char *out;
    size_t n;
};

static bool take(struct json_bytes *j, char want) {
    j->p = skip_spaces(j->p, j->end);
    if (j->p < j->end && *j->p == want) {
        j->p++;
        return true;
    }
    return false;
}

static bool take_str(struct json_bytes *j, struct kl_slice want) {
    j->p = skip_spaces(j->p, j->end);
    if (!kl_slice_starts_with(kl_slice(j->p, (size_t)(j->end - j->p)), want)) {
        return false;
    }
    j->p += want.len;
    return true;
}

static bool number(struct json_bytes *j, size_t most, size_t *ret) {
    j->p = skip_spaces(j->p, j->end);
    const char *start = j->p;
    for (*ret = 0; j->p < j->end && kl_types__is_digit(*j->p) && *ret <= most; j->p++) {
        *ret = *ret * 10 + (size_t)(*j->p - '0');
    }
    return j->p > start && *ret <= most;
}

static bool byte(struct json_bytes *j) {
    size_t v;
    if (!number(j, 255, &v)) {
        return false;
    }
    j->out[j->n++] = (char)v;
    return true;
}

static bool byte_array(struct json_bytes *j) {
    if (!take(j, '[')) {
        return false;
    }
    if (take(j, ']')) {
        return true;
    }
    do {
        if (!byte(j)) {
            return false;
        }
    } while (take(j, ','));
    return take(j, ']');
}

/* {"0":222,"1":173}: how JSON.stringify writes a Uint8Array. */
static bool byte_object(struct json_bytes *j) {
    if (!take(j, '{')) {
        return false;
    }
    if (take(j, '}')) {
        return true;
    }
    do {
        size_t index;
        if (!take(j, '"') || !number(j, j->n, &index) || index != j->n || !take(j, '"') ||
            !take(j, ':') || !byte(j)) {
            return false;
        }
    } while (take(j, ','));
    return take(j, '}');
}

/* {"type":"Buffer","data":[…]}: how it writes a Node Buffer. */
static bool node_buffer(struct json_bytes *j) {
    return take(j, '{') && take_str(j, KL_S("\"type\"")) && take(j, ':') &&
           take_str(j, KL_S("\"Buffer\"")) && take(j, ',') && take_str(j, KL_S("\"data\"")) &&
           take(j, ':') && byte_array(j) && take(j, '}');
}

enum kl_rc kl_types__bytes_from_json(
    struct kl_slice json, struct kl_arena *arena, struct kl_val *ret, struct kl_err *err) {
    static bool (*const forms[])(struct json_bytes *) = {byte_array, byte_object, node_buffer};
    char *out = kl_arena_alloc(arena, json.len / 2 + 1); /* the densest form is "1,2,3" */
    if (!out) {
        return kl_types__no_budget(err);
    }
    for (size_t i = 0; i < KL_LEN(forms); i++) {
        struct json_bytes j = {.p = json.ptr, .end = json.ptr + json.len, .out = out};
        if (forms[i](&j) && skip_spaces(j.p, j.end) == j.end) {
            *ret = kl_val_str(KL_T_BYTES, kl_slice(out, j.n));
            return KL_OK;
        }
    }
    return kl_types__bad_syntax(KL_T_BYTES, json, err);
}
