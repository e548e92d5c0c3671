/* For tests of the expression module: a small parser of SQL expressions onto the builder, so that a
 * case can be written as text and the same text be given to PostgreSQL. No names but columns of the
 * test, no subqueries.
 *
 * Literals become constants, parameters (with derived values, as the binder makes them) or, where
 * they have a type, slots of a row: the three ways in which a value reaches an expression must
 * agree. */
#ifndef TEST_EXPR_TEXT_H
#define TEST_EXPR_TEXT_H

#include "sql/expr.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum literals { AS_CONST, AS_PARAM, AS_SLOT, LITERAL_MODES };

#define MAX_LITERALS 200
struct column {
    const char *name;
    struct kl_type type;
    bool nullable;
};
struct parser {
    const char *at;
    enum literals mode;
    struct kl_expr_builder b;
    struct kl_err err;
    const struct column *cols;
    size_t n_cols;
    struct kl_val params[MAX_LITERALS], slots[MAX_LITERALS];
    unsigned n_params, n_slots;
};

static enum kl_rc parse_or(struct parser *p, struct kl_expr **ret);

#define P_TRY(x)                                                                                   \
    do {                                                                                           \
        enum kl_rc rc_ = (x);                                                                      \
        if (rc_ != KL_OK) {                                                                        \
            return rc_;                                                                            \
        }                                                                                          \
    } while (0)

static inline enum kl_rc test_derive(
    void *ctx, unsigned param, struct kl_type to, unsigned *ret_index, struct kl_err *err) {
    struct parser *p = ctx;
    P_TRY(kl_val_cast(
        &p->params[param], to, KL_CAST_EXPLICIT, p->b.arena, &p->params[p->n_params], err));
    *ret_index = p->n_params++;
    return KL_OK;
}

static inline void spaces(struct parser *p) {
    while (isspace((unsigned char)*p->at)) {
        p->at++;
    }
}

static inline bool sym(struct parser *p, const char *s) {
    spaces(p);
    if (strncmp(p->at, s, strlen(s)) != 0) {
        return false;
    }
    p->at += strlen(s);
    return true;
}

static inline bool peek_word(struct parser *p, const char *word) {
    spaces(p);
    size_t n = strlen(word);
    return strncasecmp(p->at, word, n) == 0 && !isalnum((unsigned char)p->at[n]) && p->at[n] != '_';
}

static inline bool word(struct parser *p, const char *w) {
    if (!peek_word(p, w)) {
        return false;
    }
    p->at += strlen(w);
    return true;
}

static inline enum kl_rc bad(struct parser *p) {
    fprintf(stderr, "test text not understood at: %s\n", p->at);
    abort();
}

static inline enum kl_rc literal(struct parser *p, struct kl_val v, struct kl_expr **ret) {
    bool untyped = v.flags & KL_VAL_UNKNOWN || v.type == KL_T_NULL;
    struct kl_type t = {.id = untyped ? KL_T_NULL : v.type,
        .precision = v.type == KL_T_DECIMAL ? 38 : 0,
        .scale = v.scale};
    if (p->mode == AS_CONST) {
        return kl_expr_const(&p->b, v, ret, &p->err);
    }
    if (p->mode == AS_SLOT && !untyped) {
        p->slots[p->n_slots] = v;
        return kl_expr_slot(&p->b, p->n_slots++, t, true, ret, &p->err);
    }
    p->params[p->n_params] = v;
    return kl_expr_param(&p->b, p->n_params++, t, ret, &p->err);
}

static inline enum kl_rc number(struct parser *p, struct kl_expr **ret) {
    const char *start = p->at;
    bool exact = true, integer = true;
    while (isdigit((unsigned char)*p->at) || *p->at == '.' ||
           ((*p->at == 'e' || *p->at == 'E') &&
               (isdigit((unsigned char)p->at[1]) || p->at[1] == '-'))) {
        integer = integer && isdigit((unsigned char)*p->at);
        exact = exact && *p->at != 'e' && *p->at != 'E';
        p->at += (*p->at == 'e' || *p->at == 'E') ? 2 : 1;
    }
    struct kl_slice s = kl_slice(start, (size_t)(p->at - start));
    int64_t i;
    if (integer && kl_parse_i64(s, &i)) {
        return literal(p, kl_val_i64(i), ret);
    }
    __int128 d;
    uint8_t scale, precision;
    if (!exact || kl_dec_parse(s, &d, &scale, &precision) != KL_OK) {
        return bad(p);
    }
    return literal(p, kl_val_decimal(d, scale), ret);
}

static inline enum kl_rc string(struct parser *p, struct kl_expr **ret) {
    char *out = kl_arena_alloc(p->b.arena, strlen(p->at) + 1);
    size_t n = 0;
    for (p->at++; *p->at != '\'' || p->at[1] == '\''; p->at++) {
        if (!*p->at) {
            return bad(p);
        }
        p->at += *p->at == '\'';
        out[n++] = *p->at;
    }
    p->at++;
    struct kl_val v = kl_val_text(kl_slice(out, n));
    v.flags = KL_VAL_UNKNOWN;
    return literal(p, v, ret);
}

static inline enum kl_rc list(struct parser *p, struct kl_expr **items, size_t *n) {
    *n = 0;
    if (sym(p, ")")) {
        return KL_OK;
    }
    do {
        P_TRY(parse_or(p, &items[(*n)++]));
    } while (sym(p, ","));
    return sym(p, ")") ? KL_OK : bad(p);
}

static inline enum kl_rc parse_case(struct parser *p, struct kl_expr **ret) {
    struct kl_expr *operand = NULL, *otherwise = NULL;
    struct kl_expr_when whens[20];
    size_t n = 0;
    if (!peek_word(p, "when")) {
        P_TRY(parse_or(p, &operand));
    }
    while (word(p, "when")) {
        P_TRY(parse_or(p, &whens[n].cond));
        if (!word(p, "then")) {
            return bad(p);
        }
        P_TRY(parse_or(p, &whens[n++].result));
    }
    if (word(p, "else")) {
        P_TRY(parse_or(p, &otherwise));
    }
    if (!word(p, "end")) {
        return bad(p);
    }
    return kl_expr_case(&p->b, operand, whens, n, otherwise, 1, ret, &p->err);
}

/* A type name, up to what cannot belong to it. */
static inline struct kl_type type_name(struct parser *p) {
    spaces(p);
    const char *start = p->at;
    while (isalnum((unsigned char)*p->at) || *p->at == '_') {
        p->at++;
    }
    if (strncasecmp(start, "double", 6) == 0 && strncasecmp(p->at, " precision", 10) == 0) {
        p->at += 10;
    }
    if (*p->at == '(') {
        p->at = strchr(p->at, ')') + 1;
    }
    struct kl_type t;
    struct kl_slice name = kl_slice(start, (size_t)(p->at - start));
    if (kl_slice_ieq_str(name, "interval")) {
        return KL_TYPE(INTERVAL);
    }
    if (kl_type_parse(name, &t, &p->err) != KL_OK) {
        bad(p);
    }
    return t;
}

static inline enum kl_rc name(struct parser *p, struct kl_expr **ret) {
    char text[64];
    size_t n = 0;
    spaces(p);
    while ((isalnum((unsigned char)*p->at) || *p->at == '_') && n < 63) {
        text[n++] = (char)tolower((unsigned char)*p->at++);
    }
    text[n] = '\0';
    if (n == 0) {
        return bad(p);
    }
    for (size_t i = 0; i < p->n_cols; i++) {
        if (strcmp(p->cols[i].name, text) == 0) {
            return kl_expr_slot(
                &p->b, (unsigned)i, p->cols[i].type, p->cols[i].nullable, ret, &p->err);
        }
    }
    static const char *const typed[] = {"date", "timestamp", "time", "interval"};
    spaces(p);
    for (size_t i = 0; i < KL_LEN(typed); i++) {
        if (strcmp(typed[i], text) == 0 && *p->at == '\'') {
            struct kl_type t = KL_TYPE(INTERVAL);
            if (i < 3 && kl_type_parse(kl_slice_str(text), &t, &p->err) != KL_OK) {
                return bad(p);
            }
            P_TRY(string(p, ret));
            return kl_expr_cast(&p->b, *ret, t, 1, ret, &p->err);
        }
    }
    struct kl_expr *args[60];
    size_t n_args = 0;
    if (sym(p, "(")) {
        P_TRY(list(p, args, &n_args));
    }
    return kl_expr_call(&p->b, kl_slice_str(text), args, n_args, 1, ret, &p->err);
}

static inline enum kl_rc primary(struct parser *p, struct kl_expr **ret) {
    spaces(p);
    if (sym(p, "(")) {
        P_TRY(parse_or(p, ret));
        P_TRY(sym(p, ")") ? KL_OK : bad(p));
    } else if (*p->at == '\'') {
        P_TRY(string(p, ret));
    } else if (isdigit((unsigned char)*p->at)) {
        P_TRY(number(p, ret));
    } else if (word(p, "null")) {
        P_TRY(literal(p, kl_val_null(KL_T_NULL), ret));
    } else if (word(p, "true")) {
        P_TRY(literal(p, kl_val_bool(true), ret));
    } else if (word(p, "false")) {
        P_TRY(literal(p, kl_val_bool(false), ret));
    } else if (word(p, "case")) {
        P_TRY(parse_case(p, ret));
    } else {
        P_TRY(name(p, ret));
    }
    while (sym(p, "::")) {
        struct kl_type to = type_name(p);
        P_TRY(kl_expr_cast(&p->b, *ret, to, 1, ret, &p->err));
    }
    return KL_OK;
}

static inline enum kl_rc op(struct parser *p, const char *text, struct kl_expr *l,
    struct kl_expr *r, struct kl_expr **ret) {
    return kl_expr_op(&p->b, kl_slice_str(text), l, r, 1, ret, &p->err);
}

static inline enum kl_rc unary(struct parser *p, struct kl_expr **ret) {
    struct kl_expr *arg;
    spaces(p);
    if (*p->at == '-' && p->at[1] != '>') {
        p->at++;
        P_TRY(unary(p, &arg));
        return op(p, "-", NULL, arg, ret);
    }
    return primary(p, ret);
}

/* Binary operators by level, the loosest last. The longest spelling comes first. */
static inline enum kl_rc level(struct parser *p, int n, struct kl_expr **ret) {
    static const char *const ops[4][14] = {{"^"}, {"*", "/", "%"}, {"+", "-"},
        {"!~~*", "!~~", "!~*", "!~", "~~*", "~~", "~*", "~", "||", "->>", "->", "?"}};
    if (n < 0) {
        return unary(p, ret);
    }
    P_TRY(level(p, n - 1, ret));
    for (;;) {
        const char *found = NULL;
        spaces(p);
        for (int i = 0; i < 14 && ops[n][i] && !found; i++) {
            bool arrow = n == 2 && p->at[0] == '-' && p->at[1] == '>';
            found = !arrow && sym(p, ops[n][i]) ? ops[n][i] : NULL;
        }
        if (!found) {
            return KL_OK;
        }
        struct kl_expr *right;
        P_TRY(level(p, n - 1, &right));
        P_TRY(op(p, found, *ret, right, ret));
    }
}

static inline enum kl_rc predicate(
    struct parser *p, bool negate, struct kl_expr **ret, bool *ret_done) {
    struct kl_expr *x, *y = NULL, *items[100];
    size_t n;
    *ret_done = true;
    if (word(p, "in")) {
        P_TRY(sym(p, "(") ? KL_OK : bad(p));
        P_TRY(list(p, items, &n));
        return kl_expr_in(&p->b, negate, *ret, items, n, 1, ret, &p->err);
    }
    if (word(p, "between")) {
        P_TRY(level(p, 3, &x));
        P_TRY(word(p, "and") ? KL_OK : bad(p));
        P_TRY(level(p, 3, &y));
        return kl_expr_between(&p->b, negate, *ret, x, y, 1, ret, &p->err);
    }
    bool fold = peek_word(p, "ilike");
    if (word(p, "like") || word(p, "ilike")) {
        P_TRY(level(p, 3, &x));
        if (word(p, "escape")) {
            P_TRY(level(p, 3, &y));
        }
        return kl_expr_like(&p->b, negate, fold, *ret, x, y, 1, ret, &p->err);
    }
    *ret_done = false;
    return KL_OK;
}

static inline enum kl_rc is_test(struct parser *p, struct kl_expr **ret) {
    bool negate = word(p, "not");
    if (word(p, "distinct")) {
        struct kl_expr *r;
        P_TRY(word(p, "from") ? KL_OK : bad(p));
        P_TRY(level(p, 3, &r));
        return kl_expr_distinct(&p->b, negate, *ret, r, 1, ret, &p->err);
    }
    enum kl_expr_test t = word(p, "null")      ? KL_EXPR_IS_NULL
                          : word(p, "true")    ? KL_EXPR_IS_TRUE
                          : word(p, "false")   ? KL_EXPR_IS_FALSE
                          : word(p, "unknown") ? KL_EXPR_IS_UNKNOWN
                                               : (enum kl_expr_test)bad(p);
    return kl_expr_is(&p->b, t + (negate ? 1 : 0), *ret, 1, ret, &p->err);
}

static inline enum kl_rc comparison(struct parser *p, struct kl_expr **ret) {
    static const char *const ops[] = {"<=", ">=", "<>", "!=", "=", "<", ">"};
    P_TRY(level(p, 3, ret));
    for (;;) {
        bool negate = peek_word(p, "not") && word(p, "not"), done;
        P_TRY(predicate(p, negate, ret, &done));
        if (done) {
            continue;
        }
        if (word(p, "is")) {
            P_TRY(is_test(p, ret));
            continue;
        }
        const char *found = NULL;
        for (size_t i = 0; i < KL_LEN(ops) && !found; i++) {
            found = sym(p, ops[i]) ? ops[i] : NULL;
        }
        if (!found) {
            return KL_OK;
        }
        struct kl_expr *r;
        P_TRY(level(p, 3, &r));
        P_TRY(op(p, found, *ret, r, ret));
    }
}

static inline enum kl_rc parse_not(struct parser *p, struct kl_expr **ret) {
    if (word(p, "not")) {
        struct kl_expr *arg;
        P_TRY(parse_not(p, &arg));
        return kl_expr_logic(&p->b, KL_EXPR_NOT, &arg, 1, 1, ret, &p->err);
    }
    return comparison(p, ret);
}

static inline enum kl_rc parse_and(struct parser *p, struct kl_expr **ret) {
    struct kl_expr *args[100];
    size_t n = 0;
    do {
        P_TRY(parse_not(p, &args[n++]));
    } while (word(p, "and"));
    *ret = args[0];
    return n == 1 ? KL_OK : kl_expr_logic(&p->b, KL_EXPR_AND, args, n, 1, ret, &p->err);
}

static enum kl_rc parse_or(struct parser *p, struct kl_expr **ret) {
    struct kl_expr *args[100];
    size_t n = 0;
    do {
        P_TRY(parse_and(p, &args[n++]));
    } while (word(p, "or"));
    *ret = args[0];
    return n == 1 ? KL_OK : kl_expr_logic(&p->b, KL_EXPR_OR, args, n, 1, ret, &p->err);
}

/* Builds `text`. Columns of the test are slots 0.., literals of AS_SLOT follow. */
static inline enum kl_rc parse_text(struct parser *p, const char *text, enum literals mode,
    struct kl_arena *arena, const struct column *cols, size_t n_cols, struct kl_expr **ret) {
    memset(p, 0, sizeof(*p));
    p->at = text;
    p->mode = mode;
    p->b = (struct kl_expr_builder){.arena = arena, .derive = test_derive, .derive_ctx = p};
    p->cols = cols;
    p->n_cols = n_cols;
    p->n_slots = (unsigned)n_cols;
    P_TRY(parse_or(p, ret));
    spaces(p);
    return *p->at ? bad(p) : KL_OK;
}

/* Text of an evaluated expression, "NULL", or "ERROR: message". */
static inline void result_text(
    struct parser *p, const struct kl_expr *e, struct kl_eval *ev, struct kl_buf *out) {
    struct kl_val v;
    kl_buf_clear(out);
    ev->params = p->params;
    ev->n_params = p->n_params;
    if (kl_expr_eval(e, ev, &v, &p->err) != KL_OK) {
        kl_buf_printf(out, "ERROR: %s", p->err.msg);
    } else if (v.null) {
        kl_buf_puts(out, "NULL");
    } else {
        kl_val_to_text(&v, out);
    }
    kl_buf_putc(out, '\0');
}

static inline void text_of(const char *text, enum literals mode, struct kl_eval *ev,
    struct kl_buf *out, uint8_t *ret_type) {
    struct parser *p = malloc(sizeof(*p));
    struct kl_expr *e;
    kl_buf_clear(out);
    *ret_type = KL_T_NULL;
    if (parse_text(p, text, mode, ev->arena, NULL, 0, &e) != KL_OK) {
        kl_buf_printf(out, "ERROR: %s", p->err.msg);
        kl_buf_putc(out, '\0');
    } else {
        *ret_type = kl_expr_type(e).id;
        ev->row = p->slots;
        result_text(p, e, ev, out);
    }
    free(p);
}

#endif
