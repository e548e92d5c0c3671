/* + - * / % ^, unary minus and plus on numbers, and text concatenation: how operand types resolve,
 * as in PostgreSQL.
 *
 *   integer op integer     the wider of the two; an integer literal is BIGINT
 *   real op real           real; any other mixture with a floating point side: double
 *   decimal op decimal or integer: decimal
 *   ^                      double
 *   an untyped literal takes the type of the other side */
#include "sql/expr_internal.h"

#include <math.h>

#define OPERANDS()                                                                                 \
    struct kl_val a, b;                                                                            \
    KL_TRY(e->args[0]->eval(e->args[0], ev, &a, err));                                             \
    KL_TRY(e->args[1]->eval(e->args[1], ev, &b, err));                                             \
    if (a.null | b.null) {                                                                         \
        *ret = kl_val_null(e->type.id);                                                            \
        return KL_OK;                                                                              \
    }

static enum kl_rc eval_int(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    OPERANDS();
    return kl_expr__int_op(e->type.id, e->op, a.i, b.i, ret, err);
}

static enum kl_rc eval_float(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    OPERANDS();
    return kl_expr__float_op(
        e->type.id, e->op, kl_expr__to_double(&a), kl_expr__to_double(&b), ret, err);
}

static enum kl_rc eval_dec(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    OPERANDS();
    struct kl_dec x = kl_expr__to_dec(&a), y = kl_expr__to_dec(&b);
    switch (e->op) {
    case KL_OP_SUB:
        y.v = -y.v; /* fall through */
    case KL_OP_ADD:
        return kl_expr__dec_add(x, y, ret, err);
    case KL_OP_MUL:
        return kl_expr__dec_mul(x, y, ret, err);
    case KL_OP_DIV:
        return kl_expr__dec_quotient(x, y, e->type.scale, ret, err);
    default:
        return kl_expr__dec_mod(x, y, ret, err);
    }
}

static enum kl_rc eval_pow(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    OPERANDS();
    double v;
    KL_TRY(kl_expr__pow(kl_expr__to_double(&a), kl_expr__to_double(&b), &v, err));
    *ret = kl_val_double(v);
    return KL_OK;
}

static enum kl_rc eval_sign(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    KL_TRY(e->args[0]->eval(e->args[0], ev, ret, err));
    if (ret->null || e->op == KL_OP_PLUS) {
        return KL_OK;
    }
    switch (e->type.id) {
    case KL_T_DECIMAL:
        *ret = kl_val_decimal(-kl_val_dec(ret), ret->scale);
        return KL_OK;
    case KL_T_DOUBLE:
    case KL_T_FLOAT:
        ret->d = -ret->d;
        return KL_OK;
    default:
        return kl_expr__int_op(e->type.id, KL_OP_SUB, 0, ret->i, ret, err);
    }
}

/* ---- result types ---- */

static struct kl_type as_decimal(struct kl_type t) {
    switch (t.id) {
    case KL_T_SMALLINT:
        return (struct kl_type){.id = KL_T_DECIMAL, .precision = 5};
    case KL_T_INT:
        return (struct kl_type){.id = KL_T_DECIMAL, .precision = 10};
    case KL_T_BIGINT:
        return (struct kl_type){.id = KL_T_DECIMAL, .precision = 19};
    default:
        return t;
    }
}

static struct kl_type decimal_result(enum kl_expr_opcode op, struct kl_type l, struct kl_type r) {
    struct kl_type a = as_decimal(l), b = as_decimal(r), t = {.id = KL_T_DECIMAL, .precision = 38};
    int wider = KL_MAX(a.scale, b.scale), scale = wider, precision = 38;
    if (op == KL_OP_ADD || op == KL_OP_SUB) {
        precision = KL_MAX(a.precision - a.scale, b.precision - b.scale) + 1 + wider;
    } else if (op == KL_OP_MUL) {
        scale = a.scale + b.scale;
        precision = a.precision + b.precision;
    } else if (op == KL_OP_DIV) {
        scale = KL_MAX(wider, KL_DEC_QUOTIENT_SCALE);
    }
    t.scale = (uint8_t)KL_MIN(scale, 38);
    t.precision = (uint8_t)KL_MAX(KL_MIN(precision, 38), (int)t.scale);
    return t;
}

static int int_rank(uint8_t id) {
    return id == KL_T_SMALLINT ? 1 : id == KL_T_INT ? 2 : 3;
}

static bool number_result(enum kl_expr_opcode op, struct kl_type l, struct kl_type r,
    struct kl_type *ret, kl_expr_eval_fn **ret_eval) {
    bool floats =
        l.id == KL_T_DOUBLE || l.id == KL_T_FLOAT || r.id == KL_T_DOUBLE || r.id == KL_T_FLOAT;
    if (op == KL_OP_POW) {
        *ret = KL_TYPE(DOUBLE);
        *ret_eval = eval_pow;
    } else if (floats) {
        *ret = l.id == KL_T_FLOAT && r.id == KL_T_FLOAT ? KL_TYPE(FLOAT) : KL_TYPE(DOUBLE);
        *ret_eval = eval_float;
        return op != KL_OP_MOD;
    } else if (l.id == KL_T_DECIMAL || r.id == KL_T_DECIMAL) {
        *ret = decimal_result(op, l, r);
        *ret_eval = eval_dec;
    } else {
        *ret = int_rank(l.id) > int_rank(r.id) ? l : r;
        *ret_eval = eval_int;
    }
    return true;
}

/* ---- building ---- */

static enum kl_rc op_node(struct kl_expr_builder *b, enum kl_expr_opcode op, struct kl_type type,
    struct kl_expr *const *args, size_t n, kl_expr_eval_fn *eval, struct kl_expr **ret,
    struct kl_err *err) {
    struct kl_expr *e;
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_OP, type, args, n, &e, err));
    e->op = (uint8_t)op;
    e->eval = eval;
    *ret = kl_expr__finish(b, e);
    return KL_OK;
}

enum kl_rc kl_expr__arith(struct kl_expr_builder *b, enum kl_expr_opcode op, struct kl_expr *l,
    struct kl_expr *r, int position, struct kl_expr **ret, struct kl_err *err) {
    bool match = false;
    KL_TRY(kl_expr__temporal(b, op, l, r, position, ret, &match, err));
    if (match) {
        return KL_OK;
    }
    if (!l) {
        if (!kl_type_is_number(r->type.id)) {
            return kl_expr__no_operator(op, l, r, position, err);
        }
        return op_node(b, op, r->type, &r, 1, eval_sign, ret, err);
    }
    if (kl_expr__is_unknown(l) && kl_type_is_number(r->type.id)) {
        KL_TRY(kl_expr__coerce(b, l, r->type, position, &l, err));
    } else if (kl_expr__is_unknown(r) && kl_type_is_number(l->type.id)) {
        KL_TRY(kl_expr__coerce(b, r, l->type, position, &r, err));
    }
    struct kl_expr *args[2] = {l, r};
    struct kl_type type;
    kl_expr_eval_fn *eval;
    if (!kl_type_is_number(l->type.id) || !kl_type_is_number(r->type.id) ||
        !number_result(op, l->type, r->type, &type, &eval)) {
        return kl_expr__no_operator(op, l, r, position, err);
    }
    return op_node(b, op, type, args, 2, eval, ret, err);
}

/* ---- || ---- */

static enum kl_rc eval_concat(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    OPERANDS();
    char *p;
    KL_TRY(kl_expr__text_room(ev, (size_t)a.len + b.len, &p, err));
    if (a.len) {
        memcpy(p, a.s, a.len);
    }
    if (b.len) {
        memcpy(p + a.len, b.s, b.len);
    }
    *ret = kl_val_str(e->type.id, kl_slice(p, (size_t)a.len + b.len));
    return KL_OK;
}

enum kl_rc kl_expr__concat(struct kl_expr_builder *b, struct kl_expr *l, struct kl_expr *r,
    int position, struct kl_expr **ret, struct kl_err *err) {
    struct kl_type text = KL_TYPE(TEXT), type = text;
    if (l->type.id == KL_T_JSON && r->type.id == KL_T_JSON) {
        struct kl_expr *pair[2] = {l, r};
        return kl_expr_call(b, KL_S(":json_concat"), pair, 2, position, ret, err);
    }
    bool l_bytes = l->type.id == KL_T_BYTES, r_bytes = r->type.id == KL_T_BYTES;
    bool l_text = kl_type_is_text(l->type.id), r_text = kl_type_is_text(r->type.id);
    if ((l_bytes && (r_bytes || kl_expr__is_unknown(r))) || (r_bytes && kl_expr__is_unknown(l))) {
        type = KL_TYPE(BYTES);
    } else if (!l_text && !r_text && !kl_expr__is_unknown(l) && !kl_expr__is_unknown(r)) {
        return kl_expr__no_operator(KL_OP_CONCAT, l, r, position, err);
    }
    struct kl_expr *args[2];
    KL_TRY(kl_expr__coerce(b, l, type, position, &args[0], err));
    KL_TRY(kl_expr__coerce(b, r, type, position, &args[1], err));
    return op_node(b, KL_OP_CONCAT, type, args, 2, eval_concat, ret, err);
}
