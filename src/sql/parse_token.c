/* The parser's hands: taking words, punctuation, names and values from the tokens, and saying what
 * was wrong. */
#include "sql/parse_internal.h"
#include <stdarg.h>
#include <stdio.h>

void kl_sql__parser_init(
    struct kl_parser *p, const struct kl_sql_ctx *ctx, struct kl_slice stmt, struct kl_err *err) {
    *p = (struct kl_parser){.ctx = ctx, .stmt = stmt, .err = err};
    kl_sql__scan_init(&p->scan, stmt);
    kl_sql__advance(p);
}

void kl_sql__advance(struct kl_parser *p) {
    kl_sql__scan(&p->scan, &p->tok);
}

bool kl_sql__at_word(const struct kl_parser *p, const char *word) {
    return p->tok.kind == KL_TOK_WORD && kl_slice_ieq_str(p->tok.text, word);
}

bool kl_sql__take(struct kl_parser *p, const char *words) {
    struct kl_parser before = *p;
    while (*words) {
        size_t n = strcspn(words, " ");
        if (p->tok.kind != KL_TOK_WORD || !kl_slice_ieq(p->tok.text, kl_slice(words, n))) {
            p->scan = before.scan;
            p->tok = before.tok;
            return false;
        }
        kl_sql__advance(p);
        words += n + (words[n] == ' ');
    }
    return true;
}

bool kl_sql__take_punct(struct kl_parser *p, char c) {
    if (p->tok.punct != c) {
        return false;
    }
    kl_sql__advance(p);
    return true;
}

bool kl_sql__take_op(struct kl_parser *p, const char *op) {
    if (p->tok.kind != KL_TOK_OP || !kl_slice_eq_str(p->tok.text, op)) {
        return false;
    }
    kl_sql__advance(p);
    return true;
}

enum kl_rc kl_sql__syntax_error(struct kl_parser *p) {
    if (p->tok.kind == KL_TOK_END) {
        return kl_fail_at(
            p->err, KL_E_INVALID_SQL, kl_sql__here(p), "syntax error at end of input");
    }
    if (p->tok.flags & KL_TOK_OPEN_QUOTE && p->tok.kind == KL_TOK_BAD) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, kl_sql__here(p), "unterminated quoted string");
    }
    struct kl_slice near = kl_slice(p->tok.text.ptr, KL_MIN(p->tok.text.len, (size_t)100));
    return kl_fail_at(p->err, KL_E_INVALID_SQL, kl_sql__here(p), "syntax error at or near \"%.*s\"",
        KL_FMT(near));
}

enum kl_rc kl_sql__need(struct kl_parser *p, const char *words) {
    return kl_sql__take(p, words) ? KL_OK : kl_sql__syntax_error(p);
}
enum kl_rc kl_sql__need_punct(struct kl_parser *p, char c) {
    return kl_sql__take_punct(p, c) ? KL_OK : kl_sql__syntax_error(p);
}
enum kl_rc kl_sql__need_op(struct kl_parser *p, const char *op) {
    return kl_sql__take_op(p, op) ? KL_OK : kl_sql__syntax_error(p);
}

enum kl_rc kl_sql__need_end(struct kl_parser *p) {
    while (kl_sql__take_punct(p, ';')) {
    }
    return p->tok.kind == KL_TOK_END ? KL_OK : kl_sql__syntax_error(p);
}

enum kl_rc kl_sql__take_name(struct kl_parser *p, struct kl_slice *ret) {
    if (p->tok.kind != KL_TOK_WORD && p->tok.kind != KL_TOK_IDENT) {
        return kl_sql__syntax_error(p);
    }
    *ret = kl_sql__name(&p->tok, p->arena);
    kl_sql__advance(p);
    return ret->ptr ? KL_OK : kl_sql__no_room(p->err);
}

enum kl_rc kl_sql__take_string(struct kl_parser *p, struct kl_slice *ret) {
    struct kl_slice s;
    if (p->tok.kind != KL_TOK_STRING) {
        return kl_sql__syntax_error(p);
    }
    enum kl_rc rc = kl_sql__string(&p->tok, p->arena, &s);
    if (rc != KL_OK) {
        return rc == KL_E_TOO_LARGE
                   ? kl_sql__no_room(p->err)
                   : kl_fail_at(p->err, rc, kl_sql__here(p), "invalid escape sequence in string");
    }
    *ret = kl_arena_dup(p->arena, s);
    kl_sql__advance(p);
    return ret->ptr ? KL_OK : kl_sql__no_room(p->err);
}

enum kl_rc kl_sql__take_text(struct kl_parser *p, struct kl_slice *ret) {
    if (p->tok.kind == KL_TOK_STRING) {
        return kl_sql__take_string(p, ret);
    }
    if (p->tok.kind != KL_TOK_WORD && p->tok.kind != KL_TOK_IDENT) {
        return kl_sql__syntax_error(p);
    }
    *ret = kl_arena_dup(
        p->arena, p->tok.kind == KL_TOK_IDENT ? kl_sql__tok_body(&p->tok) : p->tok.text);
    kl_sql__advance(p);
    return ret->ptr ? KL_OK : kl_sql__no_room(p->err);
}

enum kl_rc kl_sql__take_count(
    struct kl_parser *p, const char *what, int64_t min, int64_t max, int64_t *ret) {
    int at = kl_sql__here(p);
    bool negative = kl_sql__take_op(p, "-");
    struct kl_slice text = p->tok.kind == KL_TOK_STRING ? kl_sql__tok_body(&p->tok) : p->tok.text;
    if (p->tok.kind != KL_TOK_INT && p->tok.kind != KL_TOK_STRING) {
        return kl_sql__syntax_error(p);
    }
    int64_t v;
    if (!kl_parse_i64(kl_slice_trim(text), &v) || (negative && v < 0) ||
        (negative ? -v : v) < min || (negative ? -v : v) > max) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at, "%s must be a number from %lld to %lld",
            what, (long long)min, (long long)max);
    }
    kl_sql__advance(p);
    *ret = negative ? -v : v;
    return KL_OK;
}

enum kl_rc kl_sql__take_table(struct kl_parser *p, struct kl_table_name *ret) {
    ret->position = kl_sql__here(p);
    ret->ns = KL_SLICE_NONE;
    KL_TRY(kl_sql__take_name(p, &ret->name));
    for (int i = 0; i < 2 && kl_sql__take_punct(p, '.'); i++) {
        if (i == 1 && !kl_slice_eq_str(ret->ns, "kalam")) {
            return kl_fail_at(p->err, KL_E_INVALID_SQL, ret->position,
                "improper qualified name (too many dotted names)");
        }
        ret->ns = ret->name;
        KL_TRY(kl_sql__take_name(p, &ret->name));
    }
    if (!ret->ns.ptr) {
        ret->ns = kl_arena_dup(p->arena, p->ctx->session->ns);
        return ret->ns.ptr ? KL_OK : kl_sql__no_room(p->err);
    }
    return KL_OK;
}

void kl_sql__start_plan(struct kl_parser *p, enum kl_plan_kind kind) {
    p->plan->kind = kind;
}

enum kl_rc kl_sql__known_table(
    struct kl_parser *p, const struct kl_table_name *name, struct kl_table **ret) {
    struct kl_rel_name rel = {.ns = name->ns, .name = name->name, .position = name->position};
    return kl_sql__find_table(p->ctx, &rel, ret, p->err);
}

enum kl_rc kl_sql__table_label(
    struct kl_parser *p, const struct kl_table_name *name, struct kl_slice *ret) {
    char *s = kl_arena_printf(p->arena, "%.*s.%.*s", KL_FMT(name->ns), KL_FMT(name->name));
    *ret = kl_slice_str(s);
    return s ? KL_OK : kl_sql__no_room(p->err);
}

enum kl_rc kl_sql__bad_table(struct kl_parser *p, int position, const char *fmt, ...) {
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return kl_fail_at(
        p->err, KL_E_INVALID_SQL, position, "Invalid CREATE TABLE statement: %s", text);
}
