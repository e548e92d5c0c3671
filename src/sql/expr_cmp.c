/* Comparisons: = <> < <= > >=, IS DISTINCT FROM, BETWEEN (IN is in expr_in.c).
 *
 * Two types resolve once, at build time, to one function over two non-NULL values. Integers, texts
 * and doubles have their own; integers against decimals compare exactly; as soon as one side is
 * floating point both are compared as doubles, as PostgreSQL does (NaN equals itself and is above
 * everything). */
#include "sql/expr_internal.h"

#include <math.h>

/* ---- comparing two values ---- */

static int cmp_int(const struct kl_val *a, const struct kl_val *b) {
    return (a->i > b->i) - (a->i < b->i);
}

static int cmp_bool(const struct kl_val *a, const struct kl_val *b) {
    return (int)a->b - (int)b->b;
}

static int order_double(double a, double b) {
    if (isnan(a) || isnan(b)) {
        return (isnan(a) != 0) - (isnan(b) != 0);
    }
    return (a > b) - (a < b);
}

static int cmp_double(const struct kl_val *a, const struct kl_val *b) {
    return order_double(a->d, b->d);
}

static int cmp_mixed(const struct kl_val *a, const struct kl_val *b) {
    return order_double(kl_expr__to_double(a), kl_expr__to_double(b));
}

static int cmp_bytes(const struct kl_val *a, const struct kl_val *b) {
    uint32_t common = KL_MIN(a->len, b->len);
    int c = common ? memcmp(a->s, b->s, common) : 0;
    return c ? c : (a->len > b->len) - (a->len < b->len);
}

static bool is_point(uint8_t id) {
    return id == KL_T_DATE || id == KL_T_TIMESTAMP || id == KL_T_DATETIME;
}

static bool is_float(uint8_t id) {
    return id == KL_T_DOUBLE || id == KL_T_FLOAT;
}

kl_expr_cmp_fn *kl_expr__cmp_fn(struct kl_type a, struct kl_type b) {
    if (kl_type_is_integer(a.id) && kl_type_is_integer(b.id)) {
        return cmp_int;
    }
    if (is_float(a.id) && is_float(b.id)) {
        return cmp_double;
    }
    if (kl_type_is_number(a.id) && kl_type_is_number(b.id)) {
        return is_float(a.id) || is_float(b.id) ? cmp_mixed : kl_val_cmp;
    }
    if (kl_type_is_text(a.id) && kl_type_is_text(b.id)) {
        return cmp_bytes;
    }
    if (is_point(a.id) && is_point(b.id)) {
        bool same_unit = (a.id == KL_T_DATE) == (b.id == KL_T_DATE);
        return same_unit ? cmp_int : kl_val_cmp;
    }
    if (a.id != b.id) {
        return NULL;
    }
    switch (a.id) {
    case KL_T_BOOLEAN:
        return cmp_bool;
    case KL_T_TIME:
        return cmp_int;
    case KL_T_BYTES:
        return cmp_bytes;
    case KL_T_NULL:
        return NULL;
    default:
        return kl_val_cmp; /* UUID, INTERVAL, EMBEDDING */
    }
}

/* A parameter that came as a number or boolean beside a text: clients do not know the column. */
static enum kl_rc number_as_text(struct kl_expr_builder *b, struct kl_expr **e,
    const struct kl_expr *beside, int position, struct kl_err *err) {
    uint8_t id = (*e)->type.id;
    if (!b->given_params || (*e)->kind != KL_EXPR_KIND_PARAM ||
        !(kl_type_is_number(id) || id == KL_T_BOOLEAN) || !kl_type_is_text(beside->type.id)) {
        return KL_OK;
    }
    return kl_expr__coerce(b, *e, KL_TYPE(TEXT), position, e, err);
}

enum kl_rc kl_expr__cmp_resolve(struct kl_expr_builder *b, enum kl_expr_opcode op,
    struct kl_expr **l, struct kl_expr **r, int position, kl_expr_cmp_fn **ret,
    struct kl_err *err) {
    bool l_open = kl_expr__is_unknown(*l), r_open = kl_expr__is_unknown(*r);
    struct kl_type text = KL_TYPE(TEXT);
    if (l_open) {
        KL_TRY(kl_expr__coerce(b, *l, r_open ? text : (*r)->type, position, l, err));
    }
    if (r_open) {
        KL_TRY(kl_expr__coerce(b, *r, (*l)->type, position, r, err));
    }
    KL_TRY(number_as_text(b, l, *r, position, err));
    KL_TRY(number_as_text(b, r, *l, position, err));
    *ret = kl_expr__cmp_fn((*l)->type, (*r)->type);
    return *ret ? KL_OK : kl_expr__no_operator(op, *l, *r, position, err);
}

/* ---- = <> < <= > >= ---- */

static bool holds(unsigned op, int c) {
    switch (op) {
    case KL_OP_EQ:
        return c == 0;
    case KL_OP_NE:
        return c != 0;
    case KL_OP_LT:
        return c < 0;
    case KL_OP_LE:
        return c <= 0;
    case KL_OP_GT:
        return c > 0;
    default:
        return c >= 0;
    }
}

/* Both sides are evaluated before either is looked at, as PostgreSQL's strict operators are. */
#define BOTH_SIDES()                                                                               \
    struct kl_val a, b;                                                                            \
    KL_TRY(e->args[0]->eval(e->args[0], ev, &a, err));                                             \
    KL_TRY(e->args[1]->eval(e->args[1], ev, &b, err));                                             \
    if (a.null | b.null) {                                                                         \
        *ret = kl_val_null(KL_T_BOOLEAN);                                                          \
        return KL_OK;                                                                              \
    }

static enum kl_rc eval_cmp(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    BOTH_SIDES();
    *ret = kl_val_bool(holds(e->op, e->cmp(&a, &b)));
    return KL_OK;
}

static enum kl_rc eval_cmp_int(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    BOTH_SIDES();
    *ret = kl_val_bool(holds(e->op, cmp_int(&a, &b)));
    return KL_OK;
}

static bool same_bytes(const struct kl_val *a, const struct kl_val *b) {
    return a->len == b->len && (a->len == 0 || memcmp(a->s, b->s, a->len) == 0);
}

static enum kl_rc eval_bytes_eq(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    BOTH_SIDES();
    *ret = kl_val_bool(same_bytes(&a, &b) == (e->op == KL_OP_EQ));
    return KL_OK;
}

static kl_expr_eval_fn *eval_for(kl_expr_cmp_fn *cmp, enum kl_expr_opcode op) {
    if (cmp == cmp_int) {
        return eval_cmp_int;
    }
    return cmp == cmp_bytes && (op == KL_OP_EQ || op == KL_OP_NE) ? eval_bytes_eq : eval_cmp;
}

enum kl_rc kl_expr__compare(struct kl_expr_builder *b, enum kl_expr_opcode op, struct kl_expr *l,
    struct kl_expr *r, int position, struct kl_expr **ret, struct kl_err *err) {
    kl_expr_cmp_fn *cmp;
    KL_TRY(kl_expr__cmp_resolve(b, op, &l, &r, position, &cmp, err));
    struct kl_expr *args[2] = {l, r}, *e;
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_CMP, KL_TYPE(BOOLEAN), args, 2, &e, err));
    e->op = (uint8_t)op;
    e->cmp = cmp;
    e->eval = eval_for(cmp, op);
    *ret = kl_expr__finish(b, e);
    return KL_OK;
}

/* ---- IS [NOT] DISTINCT FROM ---- */

static enum kl_rc eval_distinct(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    struct kl_val a, b;
    KL_TRY(e->args[0]->eval(e->args[0], ev, &a, err));
    KL_TRY(e->args[1]->eval(e->args[1], ev, &b, err));
    bool distinct = a.null || b.null ? a.null != b.null : e->cmp(&a, &b) != 0;
    *ret = kl_val_bool(distinct != e->negate);
    return KL_OK;
}

enum kl_rc kl_expr_distinct(struct kl_expr_builder *b, bool negate, struct kl_expr *l,
    struct kl_expr *r, int position, struct kl_expr **ret, struct kl_err *err) {
    kl_expr_cmp_fn *cmp;
    KL_TRY(kl_expr__cmp_resolve(b, KL_OP_EQ, &l, &r, position, &cmp, err));
    struct kl_expr *args[2] = {l, r}, *e;
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_DISTINCT, KL_TYPE(BOOLEAN), args, 2, &e, err));
    e->flags &= (uint8_t)~KL_EXPR_NULLABLE;
    e->negate = negate;
    e->cmp = cmp;
    e->eval = eval_distinct;
    *ret = kl_expr__finish(b, e);
    return KL_OK;
}

struct kl_type kl_expr__first_type(struct kl_expr *const *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!kl_expr__is_unknown(list[i])) {
            return list[i]->type;
        }
    }
    return KL_TYPE(TEXT);
}

/* ---- BETWEEN ---- */

/* value >= low AND value <= high, the value evaluated once; a false first half leaves the second
 * alone, as AND does. */
static enum kl_rc eval_between(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    struct kl_val v, bound;
    KL_TRY(e->args[0]->eval(e->args[0], ev, &v, err));
    bool unknown = false;
    for (uint32_t i = 0; i < 2; i++) {
        KL_TRY(e->args[i + 1]->eval(e->args[i + 1], ev, &bound, err));
        if (v.null || bound.null) {
            unknown = true;
            continue;
        }
        int c = e->cmps[i](&v, &bound);
        if (i == 0 ? c < 0 : c > 0) {
            *ret = kl_val_bool(e->negate);
            return KL_OK;
        }
    }
    *ret = unknown ? kl_val_null(KL_T_BOOLEAN) : kl_val_bool(!e->negate);
    return KL_OK;
}

enum kl_rc kl_expr_between(struct kl_expr_builder *b, bool negate, struct kl_expr *arg,
    struct kl_expr *lo, struct kl_expr *hi, int position, struct kl_expr **ret,
    struct kl_err *err) {
    struct kl_expr *args[3] = {arg, lo, hi}, *e;
    kl_expr_cmp_fn **cmps = KL_ARENA_ARRAY(b->arena, kl_expr_cmp_fn *, 2);
    if (!cmps) {
        return kl_expr__no_memory(err);
    }
    if (kl_expr__is_unknown(arg)) {
        KL_TRY(kl_expr__coerce(b, arg, kl_expr__first_type(args + 1, 2), position, &args[0], err));
    }
    KL_TRY(kl_expr__cmp_resolve(b, KL_OP_GE, &args[0], &args[1], position, &cmps[0], err));
    KL_TRY(kl_expr__cmp_resolve(b, KL_OP_LE, &args[0], &args[2], position, &cmps[1], err));
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_BETWEEN, KL_TYPE(BOOLEAN), args, 3, &e, err));
    e->negate = negate;
    e->cmps = cmps;
    e->eval = eval_between;
    *ret = kl_expr__finish(b, e);
    return KL_OK;
}
