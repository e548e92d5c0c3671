/* Whether a text is JSON by RFC 8259, without building anything: one pass, one bit of stack per
 * open bracket. */
#include "types/internal.h"

#define DEPTH_MAX 512

struct scan {
    const unsigned char *p, *end;
    uint64_t is_object[DEPTH_MAX / 64]; /* bit per open bracket: '{' or '[' */
    int depth;
};

static void skip_spaces(struct scan *s) {
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')) {
        s->p++;
    }
}

static bool take(struct scan *s, char want) {
    if (s->p < s->end && *s->p == (unsigned char)want) {
        s->p++;
        return true;
    }
    return false;
}

static bool is_hex(unsigned char c) {
    return kl_types__is_digit((char)c) ||
           (kl_types__lower((char)c) >= 'a' && kl_types__lower((char)c) <= 'f');
}

static bool escape(struct scan *s) {
    if (s->p == s->end) {
        return false;
    }
    unsigned char c = *s->p++;
    if (c == 'u') {
        if (s->end - s->p < 4 || !is_hex(s->p[0]) || !is_hex(s->p[1]) || !is_hex(s->p[2]) ||
            !is_hex(s->p[3])) {
            return false;
        }
        s->p += 4;
        return true;
    }
    return c != 0 && strchr("\"\\/bfnrt", c) != NULL;
}

static bool string(struct scan *s) {
    if (!take(s, '"')) {
        return false;
    }
    while (s->p < s->end) {
        unsigned char c = *s->p++;
        if (c == '"') {
            return true;
        }
        if (c < 0x20 || (c == '\\' && !escape(s))) {
            return false;
        }
    }
    return false;
}

static bool digits(struct scan *s) {
    const unsigned char *start = s->p;
    while (s->p < s->end && kl_types__is_digit((char)*s->p)) {
        s->p++;
    }
    return s->p > start;
}

static bool number(struct scan *s) {
    take(s, '-');
    if (!take(s, '0') && !digits(s)) {
        return false;
    }
    if (take(s, '.') && !digits(s)) {
        return false;
    }
    if (take(s, 'e') || take(s, 'E')) {
        if (!take(s, '-')) {
            take(s, '+');
        }
        return digits(s);
    }
    return true;
}

static bool literal(struct scan *s, struct kl_slice want) {
    if (!kl_slice_starts_with(kl_slice(s->p, (size_t)(s->end - s->p)), want)) {
        return false;
    }
    s->p += want.len;
    return true;
}

static bool push(struct scan *s, bool object) {
    if (s->depth == DEPTH_MAX) {
        return false;
    }
    uint64_t bit = UINT64_C(1) << (s->depth % 64), *slot = &s->is_object[s->depth / 64];
    *slot = object ? *slot | bit : *slot & ~bit;
    s->depth++;
    return true;
}

static bool in_object(const struct scan *s) {
    return s->is_object[(s->depth - 1) / 64] >> ((s->depth - 1) % 64) & 1;
}

static bool key(struct scan *s) {
    skip_spaces(s);
    if (!string(s)) {
        return false;
    }
    skip_spaces(s);
    return take(s, ':');
}

/* A scalar, or the opening of a container down to its first scalar or its end. `ret_open`: a value
 * is still to come. */
static bool value(struct scan *s, bool *ret_open) {
    *ret_open = false;
    skip_spaces(s);
    if (s->p == s->end) {
        return false;
    }
    switch (*s->p) {
    case '{':
    case '[': {
        bool object = *s->p++ == '{';
        if (!push(s, object)) {
            return false;
        }
        skip_spaces(s);
        if (take(s, object ? '}' : ']')) {
            s->depth--;
            return true;
        }
        *ret_open = true;
        return !object || key(s);
    }
    case '"':
        return string(s);
    case 't':
        return literal(s, KL_S("true"));
    case 'f':
        return literal(s, KL_S("false"));
    case 'n':
        return literal(s, KL_S("null"));
    default:
        return number(s);
    }
}

/* Behind a complete value: closes what closes; `ret_more` when a comma says that another value
 * follows. */
static bool after_value(struct scan *s, bool *ret_more) {
    *ret_more = false;
    while (s->depth > 0) {
        skip_spaces(s);
        bool object = in_object(s);
        if (take(s, ',')) {
            *ret_more = true;
            return !object || key(s);
        }
        if (!take(s, object ? '}' : ']')) {
            return false;
        }
        s->depth--;
    }
    skip_spaces(s);
    return s->p == s->end;
}

bool kl_json_valid(struct kl_slice text) {
    struct scan s = {
        .p = (const unsigned char *)text.ptr, .end = (const unsigned char *)text.ptr + text.len};
    bool open = true, more = true;
    if (!kl_utf8_valid(text)) {
        return false;
    }
    while (more) {
        if (!value(&s, &open)) {
            return false;
        }
        if (!open && !after_value(&s, &more)) {
            return false;
        }
    }
    return true;
}
