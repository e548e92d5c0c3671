/* EXECUTE AS USER 'name' (statement): the wrapper alone, without looking into what it wraps. */
#include "sql/internal.h"

static bool is_word(const struct kl_tok *t, const char *w) {
    return t->kind == KL_TOK_WORD && kl_slice_ieq_str(t->text, w);
}

static enum kl_rc target(struct kl_scan *s, struct kl_tok *t, struct kl_arena *arena,
    struct kl_slice *ret, struct kl_err *err) {
    if (t->kind == KL_TOK_STRING) {
        if (kl_sql__string(t, arena, ret) != KL_OK) {
            return kl_fail_at(err, KL_E_INVALID_INPUT, kl_sql__tok_pos(s, t),
                "EXECUTE AS USER has an invalid name");
        }
    } else if (t->kind == KL_TOK_WORD || t->kind == KL_TOK_IDENT) {
        *ret = kl_sql__name(t, arena);
    } else {
        return kl_fail_at(err, KL_E_INVALID_INPUT, kl_sql__tok_pos(s, t),
            "EXECUTE AS USER username cannot be empty");
    }
    if (kl_slice_trim(*ret).len == 0) {
        return kl_fail_at(err, KL_E_INVALID_INPUT, kl_sql__tok_pos(s, t),
            "EXECUTE AS USER username cannot be empty");
    }
    return KL_OK;
}

/* t is the opening bracket. ret: from the first wrapped token to the last. */
static enum kl_rc wrapped(
    struct kl_scan *s, struct kl_tok *t, struct kl_slice *ret, struct kl_err *err) {
    const char *first = NULL, *last = NULL;
    bool ended = false; /* a `;` was met */
    for (size_t depth = 1;;) {
        kl_sql__scan(s, t);
        if (t->kind == KL_TOK_END || t->kind == KL_TOK_BAD) {
            return kl_fail(err, KL_E_INVALID_INPUT, "EXECUTE AS USER missing closing ')'");
        }
        if (t->punct == ')' && --depth == 0) {
            break;
        }
        depth += t->punct == '(';
        if (t->punct == ';') {
            ended = true;
            continue;
        }
        if (ended) {
            return kl_fail_at(err, KL_E_INVALID_INPUT, kl_sql__tok_pos(s, t),
                "EXECUTE AS USER can only wrap a single SQL statement");
        }
        first = first ? first : t->text.ptr;
        last = t->text.ptr + t->text.len;
    }
    if (!first) {
        return kl_fail_at(err, KL_E_INVALID_INPUT, kl_sql__tok_pos(s, t),
            "EXECUTE AS USER must contain exactly one wrapped SQL statement");
    }
    *ret = kl_slice(first, (size_t)(last - first));
    return KL_OK;
}

enum kl_rc kl_sql_execute_as(struct kl_slice stmt, struct kl_arena *arena,
    struct kl_slice *ret_user, struct kl_slice *ret_inner, struct kl_err *err) {
    struct kl_scan s;
    struct kl_tok t;
    struct kl_slice user, inner;
    *ret_user = *ret_inner = KL_SLICE_NONE;
    kl_sql__scan_init(&s, stmt);
    kl_sql__scan(&s, &t);
    if (!is_word(&t, "execute")) {
        return KL_OK;
    }
    kl_sql__scan(&s, &t);
    if (!is_word(&t, "as")) {
        return KL_OK;
    }
    kl_sql__scan(&s, &t);
    if (!is_word(&t, "user")) {
        return kl_fail_at(
            err, KL_E_INVALID_INPUT, kl_sql__tok_pos(&s, &t), "EXECUTE AS must be followed by USER");
    }
    kl_sql__scan(&s, &t);
    KL_TRY(target(&s, &t, arena, &user, err));
    kl_sql__scan(&s, &t);
    if (t.punct != '(') {
        return kl_fail_at(err, KL_E_INVALID_INPUT, kl_sql__tok_pos(&s, &t),
            "EXECUTE AS USER must wrap SQL in parentheses");
    }
    KL_TRY(wrapped(&s, &t, &inner, err));
    do {
        kl_sql__scan(&s, &t);
    } while (t.punct == ';');
    if (t.kind != KL_TOK_END) {
        return kl_fail_at(err, KL_E_INVALID_INPUT, kl_sql__tok_pos(&s, &t),
            "EXECUTE AS USER: unexpected \"%.*s\" after the closing ')'",
            KL_FMT(kl_slice(t.text.ptr, KL_MIN(t.text.len, (size_t)60))));
    }
    kl_sql__scan_init(&s, inner);
    kl_sql__scan(&s, &t);
    if (is_word(&t, "execute")) {
        return kl_fail(err, KL_E_INVALID_INPUT, "EXECUTE AS USER cannot be nested");
    }
    *ret_user = user;
    *ret_inner = inner;
    return KL_OK;
}
