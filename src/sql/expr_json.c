/* Reading JSON by key and index straight out of its text: one pass, no tree, no allocation.
 *
 * The text comes from a JSON column (checked when it was written) or from any text column, so
 * nothing is taken for granted: the skipper never leaves the text, its recursion is a counter, and
 * what cannot be read counts as absent. Of a repeated key the last one counts, as in PostgreSQL. */
#include "sql/expr_internal.h"

static void skip_space(struct kl_json_cursor *c) {
    while (
        c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')) {
        c->at++;
    }
}

static bool skip_string(struct kl_json_cursor *c) {
    for (c->at++; c->at < c->end; c->at++) {
        if (*c->at == '\\') {
            c->at++;
        } else if (*c->at == '"') {
            c->at++;
            return true;
        }
    }
    c->at = c->end;
    return false;
}

static bool is_plain(char ch) {
    return ch != ',' && ch != ']' && ch != '}' && ch != ':' && ch != ' ' && ch != '\t' &&
           ch != '\n' && ch != '\r' && ch != '"' && ch != '{' && ch != '[';
}

/* Past one value; ret: its text. */
static bool skip_value(struct kl_json_cursor *c, struct kl_slice *ret) {
    skip_space(c);
    const char *start = c->at;
    if (start == c->end) {
        return false;
    }
    if (*start == '"') {
        bool ok = skip_string(c);
        *ret = kl_slice(start, (size_t)(c->at - start));
        return ok;
    }
    if (*start != '{' && *start != '[') {
        while (c->at < c->end && is_plain(*c->at)) {
            c->at++;
        }
        *ret = kl_slice(start, (size_t)(c->at - start));
        return c->at > start;
    }
    size_t depth = 0; /* brackets and braces need no telling apart here: the text is JSON or will
                         not be found to be anything */
    while (c->at < c->end) {
        char ch = *c->at;
        if (ch == '"') {
            if (!skip_string(c)) {
                return false;
            }
            continue;
        }
        c->at++;
        depth += ch == '{' || ch == '[';
        if ((ch == '}' || ch == ']') && --depth == 0) {
            *ret = kl_slice(start, (size_t)(c->at - start));
            return true;
        }
    }
    return false;
}

enum kl_json_kind kl_expr__json_kind(struct kl_slice json) {
    struct kl_json_cursor c = {json.ptr, json.ptr + json.len};
    skip_space(&c);
    size_t left = (size_t)(c.end - c.at);
    if (left == 0) {
        return KL_JSON_NONE;
    }
    switch (*c.at) {
    case '{':
        return KL_JSON_OBJECT;
    case '[':
        return KL_JSON_ARRAY;
    case '"':
        return KL_JSON_STRING;
    case 't':
        return left >= 4 && memcmp(c.at, "true", 4) == 0 ? KL_JSON_TRUE : KL_JSON_NONE;
    case 'f':
        return left >= 5 && memcmp(c.at, "false", 5) == 0 ? KL_JSON_FALSE : KL_JSON_NONE;
    case 'n':
        return left >= 4 && memcmp(c.at, "null", 4) == 0 ? KL_JSON_NULL : KL_JSON_NONE;
    default:
        return *c.at == '-' || (*c.at >= '0' && *c.at <= '9') ? KL_JSON_NUMBER : KL_JSON_NONE;
    }
}

/* ---- strings ---- */

static int hex4(const char *p, const char *end) {
    int v = 0;
    for (int i = 0; i < 4; i++, p++) {
        int d = p >= end                               ? -1
                : *p >= '0' && *p <= '9'               ? *p - '0'
                : (*p | 32) >= 'a' && (*p | 32) <= 'f' ? (*p | 32) - 'a' + 10
                                                       : -1;
        if (d < 0) {
            return -1;
        }
        v = v << 4 | d;
    }
    return v;
}

/* One \u escape at p (after the u), a surrogate pair taken together. */
static const char *unicode_escape(const char *p, const char *end, uint32_t *ret) {
    int v = hex4(p, end);
    *ret = 0xFFFD;
    if (v < 0) {
        return NULL;
    }
    p += 4;
    *ret = (uint32_t)v;
    if (v >= 0xD800 && v < 0xDC00) {
        int low = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2, end) : -1;
        bool pair = low >= 0xDC00 && low < 0xE000;
        *ret = pair ? 0x10000u + ((uint32_t)(v - 0xD800) << 10) + (uint32_t)(low - 0xDC00) : 0xFFFD;
        return pair ? p + 6 : p;
    }
    if ((v >= 0xDC00 && v < 0xE000) || v == 0) { /* lone, or a NUL that text cannot hold */
        *ret = 0xFFFD;
    }
    return p;
}

static size_t put_code(char *out, uint32_t code) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--, code >>= 6) {
        out[i] = (char)(0x80 | (code & 0x3F));
    }
    out[0] = (char)(lead[n] | code);
    return n;
}

/* Decodes the characters between the quotes; false for an escape that is none. out has room for
 * in.len bytes: no escape grows. */
static bool decode_string(struct kl_slice in, char *out, size_t *ret_len) {
    const char *p = in.ptr, *end = in.ptr + in.len;
    char *o = out;
    while (p < end) {
        if (*p != '\\') {
            *o++ = *p++;
            continue;
        }
        if (++p == end) {
            return false;
        }
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        char ch = *p++;
        const char *simple = ch ? strchr(from, ch) : NULL;
        if (simple) {
            *o++ = to[simple - from];
        } else if (ch == 'u') {
            uint32_t code;
            p = unicode_escape(p, end, &code);
            if (!p) {
                return false;
            }
            o += put_code(o, code);
        } else {
            return false;
        }
    }
    *ret_len = (size_t)(o - out);
    return true;
}

static struct kl_slice inside_quotes(struct kl_slice json) {
    json = kl_slice_trim(json);
    return json.len >= 2 ? kl_slice(json.ptr + 1, json.len - 2) : KL_SLICE_NONE;
}

enum kl_rc kl_expr__json_unquote(
    struct kl_slice json, struct kl_arena *arena, struct kl_slice *ret, struct kl_err *err) {
    struct kl_slice in = inside_quotes(json);
    if (in.len == 0 || !memchr(in.ptr, '\\', in.len)) {
        *ret = kl_slice(in.ptr ? in.ptr : "", in.len);
        return KL_OK;
    }
    char *out = kl_arena_alloc(arena, in.len);
    if (!out) {
        return kl_expr__no_memory(err);
    }
    size_t len;
    if (!decode_string(in, out, &len)) {
        return kl_fail(err, KL_E_EXEC, "invalid escape in a JSON string");
    }
    *ret = kl_slice(out, len);
    return KL_OK;
}

bool kl_expr__json_string_is(struct kl_slice quoted, struct kl_slice text) {
    struct kl_slice in = inside_quotes(quoted);
    if (in.len == 0 || !memchr(in.ptr, '\\', in.len)) {
        return kl_slice_eq(in, text);
    }
    if (in.len > 4096 || in.len < text.len) { /* a key with escapes; longer ones are nobody's */
        return false;
    }
    char out[4096];
    size_t len;
    return decode_string(in, out, &len) && kl_slice_eq(kl_slice(out, len), text);
}

/* ---- walking ---- */

bool kl_expr__json_walk(struct kl_json_walk *w, struct kl_slice json, bool object) {
    *w = (struct kl_json_walk){.c = {json.ptr, json.ptr + json.len}, .object = object, .first = true};
    skip_space(&w->c);
    if (w->c.at == w->c.end || *w->c.at != (object ? '{' : '[')) {
        return false;
    }
    w->c.at++;
    return true;
}

bool kl_expr__json_next(struct kl_json_walk *w, struct kl_slice *ret_key, struct kl_slice *ret_value) {
    skip_space(&w->c);
    if (w->c.at == w->c.end || *w->c.at == '}' || *w->c.at == ']') {
        return false;
    }
    if (!w->first) {
        if (*w->c.at != ',') {
            return false;
        }
        w->c.at++;
    }
    w->first = false;
    if (w->object) {
        skip_space(&w->c);
        if (w->c.at == w->c.end || *w->c.at != '"' || !skip_value(&w->c, ret_key)) {
            return false;
        }
        skip_space(&w->c);
        if (w->c.at == w->c.end || *w->c.at != ':') {
            return false;
        }
        w->c.at++;
    }
    return skip_value(&w->c, ret_value);
}

struct kl_slice kl_expr__json_member(struct kl_slice json, struct kl_slice key) {
    struct kl_json_walk w;
    struct kl_slice k, v, found = KL_SLICE_NONE;
    if (kl_expr__json_walk(&w, json, true)) {
        while (kl_expr__json_next(&w, &k, &v)) {
            found = kl_expr__json_string_is(k, key) ? v : found;
        }
    }
    return found;
}

int64_t kl_expr__json_length(struct kl_slice json) {
    enum kl_json_kind kind = kl_expr__json_kind(json);
    struct kl_json_walk w;
    struct kl_slice k, v;
    int64_t n = 0;
    if ((kind != KL_JSON_ARRAY && kind != KL_JSON_OBJECT) ||
        !kl_expr__json_walk(&w, json, kind == KL_JSON_OBJECT)) {
        return -1;
    }
    while (kl_expr__json_next(&w, &k, &v)) {
        n++;
    }
    return n;
}

struct kl_slice kl_expr__json_element(struct kl_slice json, int64_t index) {
    struct kl_json_walk w;
    struct kl_slice k, v;
    if (kl_expr__json_kind(json) != KL_JSON_ARRAY || !kl_expr__json_walk(&w, json, false)) {
        return KL_SLICE_NONE;
    }
    if (index < 0) {
        index += kl_expr__json_length(json);
        if (index < 0) {
            return KL_SLICE_NONE;
        }
    }
    while (kl_expr__json_next(&w, &k, &v)) {
        if (index-- == 0) {
            return v;
        }
    }
    return KL_SLICE_NONE;
}

bool kl_expr__json_has(struct kl_slice json, struct kl_slice key) {
    struct kl_json_walk w;
    struct kl_slice k, v;
    switch (kl_expr__json_kind(json)) {
    case KL_JSON_OBJECT:
        return kl_expr__json_member(json, key).ptr != NULL;
    case KL_JSON_STRING:
        return kl_expr__json_string_is(json, key);
    case KL_JSON_ARRAY:
        break;
    default:
        return false;
    }
    if (kl_expr__json_walk(&w, json, false)) {
        while (kl_expr__json_next(&w, &k, &v)) {
            if (kl_expr__json_kind(v) == KL_JSON_STRING && kl_expr__json_string_is(v, key)) {
                return true;
            }
        }
    }
    return false;
}
