/* LIKE and ILIKE with a matcher of our own; and the case mapping that ILIKE shares with lower() and
 * upper().
 *
 * The matcher is greedy with one place to go back to, the last %; a pattern of m and a text of n
 * characters take at most m * n steps and no memory; a match that would take more than a fraction
 * of a second is refused. */
#include "sql/expr_internal.h"

#include <locale.h>
#include <pthread.h>
#include <wctype.h>

/* ---- case mapping ---- */

static locale_t utf8_locale;

static void make_locale(void) {
    utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

locale_t kl_expr__utf8_locale(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_locale);
    return utf8_locale;
}

uint32_t kl_expr__lower_code(uint32_t code) {
    if (code < 0x80) {
        return code >= 'A' && code <= 'Z' ? code + 32 : code;
    }
    locale_t l = kl_expr__utf8_locale();
    return l ? (uint32_t)towlower_l((wint_t)code, l) : code;
}

uint32_t kl_expr__upper_code(uint32_t code) {
    if (code < 0x80) {
        return code >= 'a' && code <= 'z' ? code - 32 : code;
    }
    locale_t l = kl_expr__utf8_locale();
    return l ? (uint32_t)towupper_l((wint_t)code, l) : code;
}

/* ---- LIKE ---- */

#define MAX_STEPS 100000000

/* One step of a pattern at *p: its kind in ret, and for a literal its character. */
enum step { STEP_END, STEP_ANY_RUN, STEP_ANY_ONE, STEP_CHAR, STEP_BAD };

static enum step next_step(
    struct kl_slice pattern, size_t *p, struct kl_slice escape, struct kl_slice *ret_char) {
    struct kl_slice rest = kl_slice_from(pattern, *p);
    if (rest.len == 0) {
        return STEP_END;
    }
    bool escaped = escape.len > 0 && kl_slice_starts_with(rest, escape);
    if (escaped) {
        *p += escape.len;
        rest = kl_slice_from(pattern, *p);
        if (rest.len == 0) {
            return STEP_BAD;
        }
    }
    size_t width = kl_utf8_char(rest, NULL);
    *p += width;
    *ret_char = kl_slice(rest.ptr, width);
    if (!escaped && rest.ptr[0] == '%') {
        return STEP_ANY_RUN;
    }
    return !escaped && rest.ptr[0] == '_' ? STEP_ANY_ONE : STEP_CHAR;
}

static bool same_char(struct kl_slice a, struct kl_slice b, bool fold) {
    if (kl_slice_eq(a, b)) {
        return true;
    }
    if (!fold) {
        return false;
    }
    uint32_t x, y;
    kl_utf8_char(a, &x);
    kl_utf8_char(b, &y);
    return kl_expr__lower_code(x) == kl_expr__lower_code(y);
}

enum kl_like_rc kl_expr__like_match(
    struct kl_slice text, struct kl_slice pattern, struct kl_slice escape, bool fold) {
    size_t t = 0, p = 0;
    size_t retry_t = 0, retry_p = 0;
    bool can_retry = false;
    for (uint64_t steps = 0;; steps++) {
        if (steps == MAX_STEPS) {
            return KL_LIKE_TOO_LONG;
        }
        size_t next_p = p;
        struct kl_slice want = KL_SLICE_NONE, rest = kl_slice_from(text, t);
        enum step step = next_step(pattern, &next_p, escape, &want);
        size_t width = kl_utf8_char(rest, NULL);
        bool ok = false;
        switch (step) {
        case STEP_BAD:
            if (rest.len > 0) { /* as in PostgreSQL only when there is text left to match with it */
                return KL_LIKE_BAD_ESCAPE;
            }
            break;
        case STEP_END:
            ok = rest.len == 0;
            break;
        case STEP_ANY_RUN:
            if (next_p == pattern.len) {
                return KL_LIKE_YES;
            }
            can_retry = true;
            retry_p = p = next_p;
            retry_t = t;
            continue;
        case STEP_ANY_ONE:
            ok = rest.len > 0;
            break;
        case STEP_CHAR:
            ok = rest.len > 0 && same_char(kl_slice(rest.ptr, width), want, fold);
            break;
        }
        if (ok && step == STEP_END) {
            return KL_LIKE_YES;
        }
        if (ok) {
            p = next_p;
            t += width;
            continue;
        }
        /* Let the last % swallow one character more. */
        if (!can_retry || retry_t >= text.len) {
            return KL_LIKE_NO;
        }
        retry_t += kl_utf8_char(kl_slice_from(text, retry_t), NULL);
        t = retry_t;
        p = retry_p;
    }
}

static enum kl_rc escape_of(const struct kl_val *v, struct kl_slice *ret, struct kl_err *err) {
    *ret = kl_val_slice(v);
    if (ret->len > 0 && kl_utf8_char(*ret, NULL) != ret->len) {
        enum kl_rc rc = kl_fail(err, KL_E_EXEC, "invalid escape string");
        kl_err_hint(err, "Escape string must be empty or one character.");
        return rc;
    }
    return KL_OK;
}

static enum kl_rc eval_like(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    struct kl_val text, pattern, esc;
    struct kl_slice escape = KL_S("\\");
    KL_TRY(e->args[0]->eval(e->args[0], ev, &text, err));
    KL_TRY(e->args[1]->eval(e->args[1], ev, &pattern, err));
    bool null = text.null || pattern.null;
    if (e->n_args > 2) {
        KL_TRY(e->args[2]->eval(e->args[2], ev, &esc, err));
        null = null || esc.null;
        if (!null) {
            KL_TRY(escape_of(&esc, &escape, err));
        }
    }
    if (null) {
        *ret = kl_val_null(KL_T_BOOLEAN);
        return KL_OK;
    }
    if (e->fold && !kl_expr__utf8_locale()) {
        return kl_fail(err, KL_E_UNSUPPORTED, "ILIKE needs the locale C.UTF-8 on the server");
    }
    enum kl_like_rc rc =
        kl_expr__like_match(kl_val_slice(&text), kl_val_slice(&pattern), escape, e->fold);
    if (rc == KL_LIKE_BAD_ESCAPE) {
        return kl_fail(err, KL_E_EXEC, "LIKE pattern must not end with escape character");
    }
    if (rc == KL_LIKE_TOO_LONG) {
        return kl_fail(err, KL_E_TOO_LARGE, "LIKE pattern is too complex for a text this long");
    }
    *ret = kl_val_bool((rc == KL_LIKE_YES) != e->negate);
    return KL_OK;
}

enum kl_rc kl_expr__want_text(struct kl_expr_builder *b, unsigned op, struct kl_expr **args,
    int position, struct kl_err *err) {
    for (size_t i = 0; i < 2; i++) {
        if (!kl_type_is_text(args[i]->type.id) && !kl_expr__is_unknown(args[i])) {
            return kl_expr__no_operator(op, args[0], args[1], position, err);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        KL_TRY(kl_expr__coerce(b, args[i], KL_TYPE(TEXT), position, &args[i], err));
    }
    return KL_OK;
}

enum kl_rc kl_expr_like(struct kl_expr_builder *b, bool negate, bool fold, struct kl_expr *arg,
    struct kl_expr *pattern, struct kl_expr *escape, int position, struct kl_expr **ret,
    struct kl_err *err) {
    unsigned op = fold     ? negate ? KL_OP_NOT_ILIKE : KL_OP_ILIKE
                  : negate ? KL_OP_NOT_LIKE
                           : KL_OP_LIKE;
    struct kl_expr *args[3] = {arg, pattern, NULL}, *e;
    KL_TRY(kl_expr__want_text(b, op, args, position, err));
    if (escape) {
        if (!kl_type_is_text(escape->type.id) && !kl_expr__is_unknown(escape)) {
            return kl_fail_at(err, KL_E_TYPE, position, "ESCAPE must be text, not %s",
                kl_expr__type_name(escape->type.id));
        }
        KL_TRY(kl_expr__coerce(b, escape, KL_TYPE(TEXT), position, &args[2], err));
    }
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_LIKE, KL_TYPE(BOOLEAN), args, escape ? 3 : 2, &e, err));
    e->negate = negate;
    e->fold = fold;
    e->op = (uint8_t)op;
    e->eval = eval_like;
    *ret = kl_expr__finish(b, e);
    return KL_OK;
}
