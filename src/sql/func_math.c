/* Numeric functions. Where PostgreSQL has a numeric and a double version, a decimal argument takes
 * the exact one and an integer, as there, the double one; roots, powers and logarithms are always
 * doubles. */
#include "sql/func_internal.h"

#include <math.h>

#define ARGS                                                                                       \
    const struct kl_expr *e, struct kl_eval *ev, const struct kl_val *args, struct kl_val *ret,    \
        struct kl_err *err

enum kl_rc kl_func__abs(ARGS) {
    const struct kl_val *v = &args[0];
    switch (e->type.id) {
    case KL_T_DOUBLE:
    case KL_T_FLOAT:
        *ret = *v;
        ret->d = fabs(v->d);
        return KL_OK;
    case KL_T_DECIMAL: {
        __int128 d = kl_val_dec(v);
        *ret = kl_val_decimal(d < 0 ? -d : d, v->scale);
        return KL_OK;
    }
    default:
        if (v->i >= 0) {
            *ret = *v;
            return KL_OK;
        }
        return kl_expr__int_op(e->type.id, KL_OP_SUB, 0, v->i, ret, err);
    }
}

static enum kl_rc round_number(const struct kl_expr *e, const struct kl_val *args,
    enum kl_dec_round how, double (*round_double)(double), struct kl_val *ret, struct kl_err *err) {
    if (e->type.id == KL_T_DECIMAL) {
        int64_t scale = e->n_args > 1 ? args[1].i : 0;
        scale = KL_MAX((int64_t)-1000, KL_MIN(scale, (int64_t)1000));
        return kl_expr__dec_round(kl_expr__to_dec(&args[0]), (int)scale, how, ret, err);
    }
    *ret = kl_val_double(round_double(kl_expr__to_double(&args[0])));
    return KL_OK;
}

enum kl_rc kl_func__ceil(ARGS) {
    return round_number(e, args, KL_DEC_CEIL, ceil, ret, err);
}

enum kl_rc kl_func__floor(ARGS) {
    return round_number(e, args, KL_DEC_FLOOR, floor, ret, err);
}

enum kl_rc kl_func__round(ARGS) {
    return round_number(e, args, KL_DEC_NEAREST, rint, ret, err);
}

enum kl_rc kl_func__trunc(ARGS) {
    return round_number(e, args, KL_DEC_TRUNC, trunc, ret, err);
}

enum kl_rc kl_func__sign(ARGS) {
    if (e->type.id == KL_T_DECIMAL) {
        __int128 d = kl_val_dec(&args[0]);
        *ret = kl_val_decimal((d > 0) - (d < 0), 0);
        return KL_OK;
    }
    double d = kl_expr__to_double(&args[0]);
    *ret = kl_val_double((d > 0) - (d < 0)); /* of NaN 0, as in PostgreSQL */
    return KL_OK;
}

enum kl_rc kl_func__sqrt(ARGS) {
    double d = kl_expr__to_double(&args[0]);
    if (d < 0) {
        return kl_fail(err, KL_E_EXEC, "cannot take square root of a negative number");
    }
    *ret = kl_val_double(sqrt(d));
    return KL_OK;
}

enum kl_rc kl_func__exp(ARGS) {
    double d = kl_expr__to_double(&args[0]), v = exp(d);
    if ((isinf(v) && isfinite(d)) || (v == 0 && isfinite(d))) {
        return kl_fail(err, KL_E_TYPE, "value out of range: %s", v == 0 ? "underflow" : "overflow");
    }
    *ret = kl_val_double(v);
    return KL_OK;
}

static enum kl_rc check_log(double d, struct kl_err *err) {
    if (d == 0) {
        return kl_fail(err, KL_E_EXEC, "cannot take logarithm of zero");
    }
    return d < 0 ? kl_fail(err, KL_E_EXEC, "cannot take logarithm of a negative number") : KL_OK;
}

enum kl_rc kl_func__ln(ARGS) {
    double d = kl_expr__to_double(&args[0]);
    KL_TRY(check_log(d, err));
    *ret = kl_val_double(log(d));
    return KL_OK;
}

enum kl_rc kl_func__log10(ARGS) {
    double d = kl_expr__to_double(&args[0]);
    KL_TRY(check_log(d, err));
    *ret = kl_val_double(log10(d));
    return KL_OK;
}

/* log(base, x) */
enum kl_rc kl_func__log_base(ARGS) {
    double base = kl_expr__to_double(&args[0]), d = kl_expr__to_double(&args[1]);
    KL_TRY(check_log(base, err));
    KL_TRY(check_log(d, err));
    if (base == 1) {
        return kl_expr__div_zero(err);
    }
    *ret = kl_val_double(log(d) / log(base));
    return KL_OK;
}

enum kl_rc kl_func__pi(ARGS) {
    *ret = kl_val_double(M_PI);
    return KL_OK;
}

enum kl_rc kl_func__random(ARGS) {
    *ret = kl_val_double((double)(kl_random_u64() >> 11) * 0x1p-53);
    return KL_OK;
}
