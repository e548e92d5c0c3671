/* Shapes and statements as text for PostgreSQL's parser. See shape.h. */
#include "sql/shape.h"
#include <stdio.h>

static struct kl_type kind_type(const char **p) {
    switch (*(*p)++) {
    case 'i':
        return KL_TYPE(BIGINT);
    case 'f':
        return KL_TYPE(DOUBLE);
    case 'b':
        return KL_TYPE(BOOLEAN);
    case 'x':
        return KL_TYPE(BYTES);
    case 't':
        return KL_TYPE(TEXT);
    case 'd': {
        uint8_t precision = *(*p)++ == '1' ? 18 : 38;
        return (struct kl_type){
            .id = KL_T_DECIMAL, .precision = precision, .scale = (uint8_t)(*(*p)++ - 0x20)};
    }
    case 'T':
        return (struct kl_type){.id = (uint8_t)(*(*p)++ - 0x20)};
    default:
        return KL_TYPE(NULL); /* o, s */
    }
}

enum kl_rc kl_sql__shape_text(const struct kl_shape *s, struct kl_arena *arena, char **ret_text,
    struct kl_type **ret_types, struct kl_err *err) {
    const char *p = s->key.ptr + s->prefix_len, *end = s->key.ptr + s->key.len;
    size_t marks = 0;
    for (const char *q = p; q < end; q++) {
        marks += *q == 1 || *q == 2;
    }
    char *text = kl_arena_alloc(arena, (size_t)(end - p) + marks * 12 + 1), *out = text;
    struct kl_type *types = KL_ARENA_ARRAY(arena, struct kl_type, s->n_values + 1);
    if (!text || !types) {
        return kl_fail(err, KL_E_TOO_LARGE, "statement is too large");
    }
    unsigned n = 0;
    while (p < end) {
        if (*p == 1) {
            p++;
            KL_ASSERT(n < s->n_values);
            types[n++] = kind_type(&p);
            out += sprintf(out, " $%u ", n);
        } else if (*p == 2) {
            out += sprintf(out, " $%u ", (unsigned)((p[1] - 0x20) << 6 | (p[2] - 0x20)) + 1);
            p += 3;
        } else {
            *out++ = *p++;
        }
    }
    *out = '\0';
    KL_ASSERT(n == s->n_values);
    *ret_text = text;
    *ret_types = types;
    return KL_OK;
}

static bool carries_parens(struct kl_slice w) {
    static const char *const names[] = {"current_user", "current_timestamp", "current_date",
        "current_role", "current_time", "session_user"};
    for (size_t i = 0; i < KL_LEN(names); i++) {
        if (kl_slice_ieq_str(w, names[i])) {
            return true;
        }
    }
    return false;
}

/* `x` as "x". */
static char *requote(char *out, const struct kl_tok *t) {
    struct kl_slice body = kl_sql__tok_body(t);
    *out++ = '"';
    for (size_t i = 0; i < body.len; i++) {
        char c = body.ptr[i];
        i += c == '`'; /* doubled */
        if (c == '"') {
            *out++ = '"';
        }
        *out++ = c;
    }
    *out++ = '"';
    return out;
}

/* The brackets of `( )` right behind the current token, or NULL. */
static bool empty_parens(struct kl_scan ahead, const char **open, const char **close) {
    struct kl_tok t;
    kl_sql__scan(&ahead, &t);
    *open = t.text.ptr;
    if (t.punct != '(') {
        return false;
    }
    kl_sql__scan(&ahead, &t);
    *close = t.text.ptr;
    return t.punct == ')';
}

enum kl_rc kl_sql__plain_text(
    struct kl_slice stmt, struct kl_arena *arena, char **ret_text, struct kl_err *err) {
    char *text = kl_arena_alloc(arena, stmt.len * 2 + 1), *out = text;
    if (!text) {
        return kl_fail(err, KL_E_TOO_LARGE, "statement is too large");
    }
    struct kl_scan s;
    struct kl_tok t;
    const char *done = stmt.ptr;
    bool dot = false;
    kl_sql__scan_init(&s, stmt);
    for (kl_sql__scan(&s, &t); t.kind != KL_TOK_END; kl_sql__scan(&s, &t)) {
        const char *open, *close;
        memcpy(out, done, (size_t)(t.text.ptr - done)); /* blanks and comments before the token */
        out += t.text.ptr - done;
        done = t.text.ptr + t.text.len;
        if (t.kind == KL_TOK_IDENT && t.text.ptr[0] == '`') {
            out = requote(out, &t);
        } else {
            memcpy(out, t.text.ptr, t.text.len);
            out += t.text.len;
        }
        if (t.kind == KL_TOK_WORD && !dot && carries_parens(t.text) &&
            empty_parens(s, &open, &close)) {
            memcpy(out, done, (size_t)(close + 1 - done));
            out[open - done] = out[close - done] = ' ';
            out += close + 1 - done;
            done = s.cur = close + 1;
        }
        dot = t.punct == '.';
    }
    memcpy(out, done, (size_t)(stmt.ptr + stmt.len - done));
    out += stmt.ptr + stmt.len - done;
    *out = '\0';
    *ret_text = text;
    return KL_OK;
}
