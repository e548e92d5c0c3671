/* Casts and coercion.
 *
 * An untyped literal takes the type of what it meets: a constant is parsed here and now (a bad one
 * is an error about the statement, as in PostgreSQL), a parameter becomes a value derived once a
 * statement. Everything else becomes a cast node. Where PostgreSQL's numeric would keep the scale
 * of each value, the cast to DECIMAL keeps it too (eval_to_numeric); only a cast that someone wrote
 * rounds to its declared scale. */
#include "sql/expr_internal.h"

/* ---- evaluating ---- */

static enum kl_rc eval_cast(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    struct kl_val v;
    KL_TRY(e->args[0]->eval(e->args[0], ev, &v, err));
    if (v.null) {
        *ret = kl_val_null(e->type.id);
        return KL_OK;
    }
    return kl_val_cast(&v, e->type, KL_CAST_EXPLICIT, ev->arena, ret, err);
}

/* TRY_CAST: NULL for a value that cannot be cast. */
static enum kl_rc eval_try_cast(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    struct kl_val v;
    struct kl_err why = {0};
    KL_TRY(e->args[0]->eval(e->args[0], ev, &v, err));
    enum kl_rc rc =
        v.null ? KL_E_TYPE : kl_val_cast(&v, e->type, KL_CAST_EXPLICIT, ev->arena, ret, &why);
    if (rc == KL_E_TOO_LARGE || rc == KL_E_NOMEM) {
        return kl_expr__no_memory(err);
    }
    if (rc != KL_OK) {
        *ret = kl_val_null(e->type.id);
    }
    return KL_OK;
}

/* Integers that always fit, text under another of its names, the two names of a point in time. */
static enum kl_rc eval_relabel(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    KL_TRY(e->args[0]->eval(e->args[0], ev, ret, err));
    ret->type = e->type.id;
    ret->flags = 0;
    return KL_OK;
}

static enum kl_rc bad_number(struct kl_slice s, struct kl_err *err) {
    int shown = (int)KL_MIN(s.len, (size_t)120);
    return kl_fail(err, KL_E_TYPE, "invalid input syntax for type decimal: \"%.*s\"", shown, s.ptr);
}

static enum kl_rc to_numeric(const struct kl_val *v, struct kl_val *ret, struct kl_err *err) {
    if (kl_type_is_integer(v->type)) {
        *ret = kl_val_decimal(v->i, 0);
    } else if (v->type == KL_T_DECIMAL) {
        *ret = *v;
    } else {
        __int128 unscaled;
        uint8_t scale, precision;
        struct kl_slice s = kl_slice_trim(kl_val_slice(v));
        if (kl_dec_parse(s, &unscaled, &scale, &precision) != KL_OK) {
            return bad_number(s, err);
        }
        *ret = kl_val_decimal(unscaled, scale);
    }
    return KL_OK;
}

static enum kl_rc eval_to_numeric(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    struct kl_val v;
    KL_TRY(e->args[0]->eval(e->args[0], ev, &v, err));
    if (v.null) {
        *ret = kl_val_null(KL_T_DECIMAL);
        return KL_OK;
    }
    return to_numeric(&v, ret, err);
}

/* Where decimals of several scales meet, each result has the scale of their common type. */
static enum kl_rc eval_to_scale(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    struct kl_val v;
    KL_TRY(e->args[0]->eval(e->args[0], ev, &v, err));
    if (v.null) {
        *ret = kl_val_null(KL_T_DECIMAL);
        return KL_OK;
    }
    return kl_expr__dec_round(kl_expr__to_dec(&v), e->type.scale, KL_DEC_NEAREST, ret, err);
}

/* ---- building ---- */

static enum kl_rc cast_node(struct kl_expr_builder *b, struct kl_expr *e, struct kl_type to,
    kl_expr_eval_fn *eval, struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *cast;
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_CAST, to, &e, 1, &cast, err));
    cast->eval = eval;
    *ret = kl_expr__finish(b, cast);
    return KL_OK;
}

static enum kl_rc at(enum kl_rc rc, int position, struct kl_err *err) {
    if (rc != KL_OK && err && err->position == 0) {
        err->position = position;
    }
    return rc;
}

/* An untyped constant that meets a type. */
static enum kl_rc type_const(struct kl_expr_builder *b, struct kl_expr *e, struct kl_type to,
    bool exact, int position, struct kl_expr **ret, struct kl_err *err) {
    struct kl_val v = kl_val_null(to.id);
    position = e->position > 0 ? e->position : position;
    if (!e->value.null && to.id == KL_T_DECIMAL && !exact) {
        KL_TRY(at(to_numeric(&e->value, &v, err), position, err));
    } else if (!e->value.null) {
        KL_TRY(at(kl_val_parse(to, kl_val_slice(&e->value), b->arena, &v, err), position, err));
        v.flags = 0;
    }
    KL_TRY(kl_expr_const(b, v, ret, err));
    (*ret)->type = to;
    return KL_OK;
}

/* An untyped parameter that meets a type. */
static enum kl_rc type_param(struct kl_expr_builder *b, struct kl_expr *e, struct kl_type to,
    bool exact, int position, struct kl_expr **ret, struct kl_err *err) {
    if (to.id == KL_T_TEXT) {
        return kl_expr_param(b, e->index, to, ret, err);
    }
    if (to.id == KL_T_DECIMAL && !exact) {
        return cast_node(b, e, to, eval_to_numeric, ret, err);
    }
    if (!b->derive) {
        return cast_node(b, e, to, eval_cast, ret, err);
    }
    unsigned index;
    KL_TRY(at(b->derive(b->derive_ctx, e->index, to, &index, err), position, err));
    return kl_expr_param(b, index, to, ret, err);
}

static bool same_type(struct kl_type a, struct kl_type b) {
    return a.id == b.id &&
           (a.id != KL_T_DECIMAL || (a.precision == b.precision && a.scale == b.scale)) &&
           (a.id != KL_T_EMBEDDING || a.dim == b.dim);
}

static int int_rank(uint8_t id) {
    return id == KL_T_SMALLINT ? 1 : id == KL_T_INT ? 2 : id == KL_T_BIGINT ? 3 : 0;
}

static bool relabels(struct kl_type from, struct kl_type to) {
    if (int_rank(from.id) && int_rank(to.id)) {
        return int_rank(from.id) <= int_rank(to.id);
    }
    return (kl_type_is_text(from.id) && to.id == KL_T_TEXT) ||
           (from.id == KL_T_FLOAT && to.id == KL_T_DOUBLE) ||
           (from.id == KL_T_TIMESTAMP && to.id == KL_T_DATETIME) ||
           (from.id == KL_T_DATETIME && to.id == KL_T_TIMESTAMP);
}

enum kl_rc kl_expr__coerce(struct kl_expr_builder *b, struct kl_expr *e, struct kl_type to,
    int position, struct kl_expr **ret, struct kl_err *err) {
    if (kl_expr__is_unknown(e)) {
        return e->kind == KL_EXPR_KIND_CONST ? type_const(b, e, to, false, position, ret, err)
                                             : type_param(b, e, to, false, position, ret, err);
    }
    if (e->type.id == to.id) {
        *ret = e;
        return KL_OK;
    }
    if (relabels(e->type, to)) {
        return cast_node(b, e, to, eval_relabel, ret, err);
    }
    bool numeric = to.id == KL_T_DECIMAL && kl_type_is_integer(e->type.id);
    return cast_node(b, e, to, numeric ? eval_to_numeric : eval_cast, ret, err);
}

/* Whether PostgreSQL has an explicit cast between two types (the other way round where it matters).
 */
static bool castable(struct kl_type from, struct kl_type to) {
    uint8_t f = from.id, t = to.id;
    if (f == t || kl_type_is_text(f) || t == KL_T_TEXT) {
        return true;
    }
    if (kl_type_is_number(f) && kl_type_is_number(t)) {
        return true;
    }
    bool f_bool = f == KL_T_BOOLEAN, t_bool = t == KL_T_BOOLEAN;
    if ((f_bool && kl_type_is_integer(t)) || (t_bool && kl_type_is_integer(f))) {
        return true;
    }
    bool f_point = f == KL_T_DATE || f == KL_T_TIMESTAMP || f == KL_T_DATETIME;
    bool t_point = t == KL_T_DATE || t == KL_T_TIMESTAMP || t == KL_T_DATETIME;
    if (f_point && (t_point || (t == KL_T_TIME && f != KL_T_DATE))) {
        return true;
    }
    return (f == KL_T_TIME && t == KL_T_INTERVAL) || (f == KL_T_INTERVAL && t == KL_T_TIME);
}

enum kl_rc kl_expr_cast(struct kl_expr_builder *b, struct kl_expr *arg, struct kl_type to,
    int position, struct kl_expr **ret, struct kl_err *err) {
    if (to.id == KL_T_NULL) {
        *ret = arg;
        return KL_OK;
    }
    if (kl_expr__is_unknown(arg)) {
        return arg->kind == KL_EXPR_KIND_CONST ? type_const(b, arg, to, true, position, ret, err)
                                               : type_param(b, arg, to, true, position, ret, err);
    }
    /* A decimal's static scale is an upper bound only, so a written cast to the same type still
     * rounds, except on a column. */
    bool dynamic = to.id == KL_T_DECIMAL && arg->kind != KL_EXPR_KIND_SLOT;
    if (same_type(arg->type, to) && !dynamic) {
        *ret = arg;
        return KL_OK;
    }
    if (!castable(arg->type, to)) {
        return kl_fail_at(err, KL_E_TYPE, position, "cannot cast type %s to %s",
            kl_expr__type_name(arg->type.id), kl_expr__type_name(to.id));
    }
    return cast_node(b, arg, to, relabels(arg->type, to) ? eval_relabel : eval_cast, ret, err);
}

enum kl_rc kl_expr_try_cast(struct kl_expr_builder *b, struct kl_expr *arg, struct kl_type to,
    int position, struct kl_expr **ret, struct kl_err *err) {
    if (kl_expr__is_unknown(arg)) {
        KL_TRY(kl_expr__coerce(b, arg, KL_TYPE(TEXT), position, &arg, err));
    }
    if (!castable(arg->type, to)) {
        return kl_fail_at(err, KL_E_TYPE, position, "cannot cast type %s to %s",
            kl_expr__type_name(arg->type.id), kl_expr__type_name(to.id));
    }
    struct kl_expr *cast;
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_CAST, to, &arg, 1, &cast, err));
    cast->eval = eval_try_cast;
    cast->flags |= KL_EXPR_NULLABLE;
    cast->op = KL_EXPR_CAST_TRY;
    *ret = kl_expr__finish(b, cast);
    return KL_OK;
}

/* ---- where several results meet ---- */

enum kl_rc kl_expr__unify(struct kl_expr_builder *b, struct kl_expr **list, size_t n,
    const char *what, int position, struct kl_type *ret, struct kl_err *err) {
    struct kl_type common = KL_TYPE(NULL);
    for (size_t i = 0; i < n; i++) {
        struct kl_type t = list[i]->type, met;
        if (t.id == KL_T_NULL) {
            continue;
        }
        if (common.id == KL_T_NULL) {
            common = t;
        } else if (!kl_type_common(common, t, &met)) {
            return kl_fail_at(err, KL_E_TYPE, position, "%s types %s and %s cannot be matched",
                what, kl_expr__type_name(common.id), kl_expr__type_name(t.id));
        } else {
            common = met;
        }
    }
    if (common.id == KL_T_NULL) {
        common = KL_TYPE(TEXT);
    }
    for (size_t i = 0; i < n; i++) {
        struct kl_type from = list[i]->type;
        KL_TRY(kl_expr__coerce(b, list[i], common, position, &list[i], err));
        if (common.id == KL_T_DECIMAL && (from.id != KL_T_DECIMAL || from.scale != common.scale)) {
            KL_TRY(cast_node(b, list[i], common, eval_to_scale, &list[i], err));
        }
    }
    *ret = common;
    return KL_OK;
}

enum kl_rc kl_expr__want_bool(struct kl_expr_builder *b, struct kl_expr **e, const char *what,
    int position, struct kl_err *err) {
    if (kl_expr__is_unknown(*e)) {
        return kl_expr__coerce(b, *e, KL_TYPE(BOOLEAN), position, e, err);
    }
    if ((*e)->type.id != KL_T_BOOLEAN) {
        return kl_fail_at(err, KL_E_TYPE, position,
            "argument of %s must be type boolean, not type %s", what,
            kl_expr__type_name((*e)->type.id));
    }
    return KL_OK;
}
