/* AND, OR, NOT, IS tests and CASE: three-valued logic with PostgreSQL's order of evaluation, left
 * to right, stopping as soon as the result is known, so that an error further right is not raised.
 */
#include "sql/expr_internal.h"

/* ---- AND, OR, NOT ---- */

/* AND stops at FALSE, OR at TRUE; a NULL on the way makes the rest at best NULL. */
static enum kl_rc eval_and_or(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    bool decisive = e->op == KL_EXPR_OR, unknown = false;
    struct kl_val v;
    for (uint32_t i = 0; i < e->n_args; i++) {
        KL_TRY(e->args[i]->eval(e->args[i], ev, &v, err));
        if (v.null) {
            unknown = true;
        } else if (v.b == decisive) {
            *ret = kl_val_bool(decisive);
            return KL_OK;
        }
    }
    *ret = unknown ? kl_val_null(KL_T_BOOLEAN) : kl_val_bool(!decisive);
    return KL_OK;
}

static enum kl_rc eval_not(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    KL_TRY(e->args[0]->eval(e->args[0], ev, ret, err));
    if (!ret->null) {
        ret->b = !ret->b;
    }
    return KL_OK;
}

enum kl_rc kl_expr_logic(struct kl_expr_builder *b, enum kl_expr_bool op,
    struct kl_expr *const *args, size_t n, int position, struct kl_expr **ret, struct kl_err *err) {
    static const char *const names[] = {"AND", "OR", "NOT"};
    KL_ASSERT(n > 0 && (op != KL_EXPR_NOT || n == 1));
    struct kl_expr *e;
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_LOGIC, KL_TYPE(BOOLEAN), args, n, &e, err));
    bool nullable = false;
    for (size_t i = 0; i < n; i++) {
        KL_TRY(kl_expr__want_bool(b, &e->args[i], names[op], position, err));
        e->flags |= e->args[i]->flags;
        nullable = nullable || kl_expr_nullable(e->args[i]);
    }
    if (!nullable) {
        e->flags &= (uint8_t)~KL_EXPR_NULLABLE;
    }
    e->op = (uint8_t)op;
    e->eval = op == KL_EXPR_NOT ? eval_not : eval_and_or;
    *ret = kl_expr__finish(b, e);
    return KL_OK;
}

/* ---- IS ---- */

static enum kl_rc eval_is(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    struct kl_val v;
    KL_TRY(e->args[0]->eval(e->args[0], ev, &v, err));
    bool is = false;
    switch ((enum kl_expr_test)e->op) {
    case KL_EXPR_IS_NULL:
    case KL_EXPR_IS_UNKNOWN:
        is = v.null;
        break;
    case KL_EXPR_IS_NOT_NULL:
    case KL_EXPR_IS_NOT_UNKNOWN:
        is = !v.null;
        break;
    case KL_EXPR_IS_TRUE:
        is = !v.null && v.b;
        break;
    case KL_EXPR_IS_NOT_TRUE:
        is = v.null || !v.b;
        break;
    case KL_EXPR_IS_FALSE:
        is = !v.null && !v.b;
        break;
    case KL_EXPR_IS_NOT_FALSE:
        is = v.null || v.b;
        break;
    }
    *ret = kl_val_bool(is);
    return KL_OK;
}

enum kl_rc kl_expr_is(struct kl_expr_builder *b, enum kl_expr_test test, struct kl_expr *arg,
    int position, struct kl_expr **ret, struct kl_err *err) {
    static const char *const names[] = {"", "", "IS TRUE", "IS NOT TRUE", "IS FALSE",
        "IS NOT FALSE", "IS UNKNOWN", "IS NOT UNKNOWN"};
    if (test != KL_EXPR_IS_NULL && test != KL_EXPR_IS_NOT_NULL) {
        KL_TRY(kl_expr__want_bool(b, &arg, names[test], position, err));
    }
    struct kl_expr *e;
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_IS, KL_TYPE(BOOLEAN), &arg, 1, &e, err));
    e->flags &= (uint8_t)~KL_EXPR_NULLABLE;
    e->op = (uint8_t)test;
    e->eval = eval_is;
    *ret = kl_expr__finish(b, e);
    return KL_OK;
}

/* ---- CASE ---- */

static enum kl_rc case_result(const struct kl_expr *e, uint32_t arg, struct kl_eval *ev,
    struct kl_val *ret, struct kl_err *err) {
    return e->args[arg]->eval(e->args[arg], ev, ret, err);
}

static enum kl_rc eval_case(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    struct kl_val operand = {0}, v;
    uint32_t first = e->has_operand, end = e->n_args - e->has_else;
    if (e->has_operand) {
        KL_TRY(e->args[0]->eval(e->args[0], ev, &operand, err));
    }
    for (uint32_t i = first; i < end; i += 2) {
        KL_TRY(e->args[i]->eval(e->args[i], ev, &v, err));
        bool hit = e->has_operand
                       ? !operand.null && !v.null && e->cmps[(i - first) / 2](&operand, &v) == 0
                       : !v.null && v.b;
        if (hit) {
            return case_result(e, i + 1, ev, ret, err);
        }
    }
    if (e->has_else) {
        return case_result(e, end, ev, ret, err);
    }
    *ret = kl_val_null(e->type.id);
    return KL_OK;
}

static enum kl_rc case_conditions(struct kl_expr_builder *b, struct kl_expr **operand,
    struct kl_expr **conds, size_t n, kl_expr_cmp_fn **cmps, int position, struct kl_err *err) {
    if (*operand && kl_expr__is_unknown(*operand)) {
        struct kl_type to = KL_TYPE(TEXT);
        for (size_t i = n; i-- > 0;) {
            to = kl_expr__is_unknown(conds[i]) ? to : conds[i]->type;
        }
        KL_TRY(kl_expr__coerce(b, *operand, to, position, operand, err));
    }
    for (size_t i = 0; i < n; i++) {
        if (*operand) {
            KL_TRY(kl_expr__cmp_resolve(b, KL_OP_EQ, operand, &conds[i], position, &cmps[i], err));
        } else {
            KL_TRY(kl_expr__want_bool(b, &conds[i], "CASE/WHEN", position, err));
        }
    }
    return KL_OK;
}

enum kl_rc kl_expr_case(struct kl_expr_builder *b, struct kl_expr *operand,
    const struct kl_expr_when *whens, size_t n, struct kl_expr *otherwise, int position,
    struct kl_expr **ret, struct kl_err *err) {
    KL_ASSERT(n > 0);
    struct kl_expr **conds = KL_ARENA_ARRAY(b->arena, struct kl_expr *, n);
    struct kl_expr **results = KL_ARENA_ARRAY(b->arena, struct kl_expr *, n + 1);
    struct kl_expr **args = KL_ARENA_ARRAY(b->arena, struct kl_expr *, 2 * n + 2);
    kl_expr_cmp_fn **cmps = KL_ARENA_ARRAY(b->arena, kl_expr_cmp_fn *, n);
    if (!conds || !results || !args || !cmps) {
        return kl_expr__no_memory(err);
    }
    for (size_t i = 0; i < n; i++) {
        conds[i] = whens[i].cond;
        results[i] = whens[i].result;
    }
    results[n] = otherwise;
    KL_TRY(case_conditions(b, &operand, conds, n, cmps, position, err));
    struct kl_type type;
    KL_TRY(kl_expr__unify(b, results, n + (otherwise != NULL), "CASE", position, &type, err));
    size_t n_args = 0;
    if (operand) {
        args[n_args++] = operand;
    }
    for (size_t i = 0; i < n; i++) {
        args[n_args++] = conds[i];
        args[n_args++] = results[i];
    }
    if (otherwise) {
        args[n_args++] = results[n];
    }
    struct kl_expr *e;
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_CASE, type, args, n_args, &e, err));
    bool nullable = !otherwise;
    for (size_t i = 0; i < n + (otherwise != NULL); i++) {
        nullable = nullable || kl_expr_nullable(results[i]);
    }
    e->flags = (uint8_t)((e->flags & ~KL_EXPR_NULLABLE) | (nullable ? KL_EXPR_NULLABLE : 0));
    e->has_operand = operand != NULL;
    e->has_else = otherwise != NULL;
    e->cmps = cmps;
    e->eval = eval_case;
    *ret = kl_expr__finish(b, e);
    return KL_OK;
}
