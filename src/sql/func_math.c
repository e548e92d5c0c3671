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

/* ---- roots, powers, angles ---- */

static enum kl_rc give_double(double d, double from, struct kl_val *ret, struct kl_err *err) {
    if (isinf(d) && isfinite(from)) {
        return kl_fail(err, KL_E_TYPE, "value out of range: overflow");
    }
    *ret = kl_val_double(d);
    return KL_OK;
}

static enum kl_rc out_of_domain(struct kl_err *err) {
    return kl_fail(err, KL_E_EXEC, "input is out of range");
}

#define PLAIN(name, call)                                                                          \
    enum kl_rc kl_func__##name(ARGS) {                                                             \
        double d = kl_expr__to_double(&args[0]);                                                   \
        return give_double(call, d, ret, err);                                                     \
    }
PLAIN(cbrt, cbrt(d))
PLAIN(sinh, sinh(d))
PLAIN(cosh, cosh(d))
PLAIN(tanh, tanh(d))
PLAIN(asinh, asinh(d))
PLAIN(atan, atan(d))
PLAIN(degrees, d / 0.017453292519943295)
PLAIN(radians, d * 0.017453292519943295)
#undef PLAIN

/* The argument must be finite (sin), or lie in [low, high]. */
#define WITHIN(name, call, low, high)                                                              \
    enum kl_rc kl_func__##name(ARGS) {                                                             \
        double d = kl_expr__to_double(&args[0]);                                                   \
        if (d < (low) || d > (high)) {                                                             \
            return out_of_domain(err);                                                             \
        }                                                                                          \
        *ret = kl_val_double(call);                                                                \
        return KL_OK;                                                                              \
    }
WITHIN(sin, sin(d), -__DBL_MAX__, __DBL_MAX__)
WITHIN(cos, cos(d), -__DBL_MAX__, __DBL_MAX__)
WITHIN(tan, tan(d), -__DBL_MAX__, __DBL_MAX__)
WITHIN(asin, asin(d), -1, 1)
WITHIN(acos, acos(d), -1, 1)
WITHIN(acosh, acosh(d), 1, HUGE_VAL)
WITHIN(atanh, atanh(d), -1, 1)
#undef WITHIN

enum kl_rc kl_func__cot(ARGS) {
    double d = kl_expr__to_double(&args[0]);
    if (isinf(d)) {
        return out_of_domain(err);
    }
    *ret = kl_val_double(1.0 / tan(d));
    return KL_OK;
}

enum kl_rc kl_func__atan2(ARGS) {
    *ret = kl_val_double(atan2(kl_expr__to_double(&args[0]), kl_expr__to_double(&args[1])));
    return KL_OK;
}

/* ---- integers ---- */

static uint64_t magnitude(int64_t v) {
    return v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

static uint64_t greatest_divisor(uint64_t a, uint64_t b) {
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Of the integer type that a call gives. */
static uint64_t greatest(const struct kl_expr *e) {
    return e->type.id == KL_T_INT ? INT32_MAX : INT64_MAX;
}

enum kl_rc kl_func__gcd(ARGS) {
    uint64_t v = greatest_divisor(magnitude(args[0].i), magnitude(args[1].i));
    *ret = kl_val_int(e->type.id, (int64_t)v);
    return v > greatest(e) ? kl_expr__out_of_range(e->type.id, err) : KL_OK;
}

enum kl_rc kl_func__lcm(ARGS) {
    uint64_t a = magnitude(args[0].i), b = magnitude(args[1].i), v;
    if (a == 0 || b == 0) {
        *ret = kl_val_int(e->type.id, 0);
        return KL_OK;
    }
    if (__builtin_mul_overflow(a / greatest_divisor(a, b), b, &v) || v > greatest(e)) {
        return kl_expr__out_of_range(e->type.id, err);
    }
    *ret = kl_val_int(e->type.id, (int64_t)v);
    return KL_OK;
}

enum kl_rc kl_func__factorial(ARGS) {
    __int128 v = 1;
    if (args[0].i < 0) {
        return kl_fail(err, KL_E_EXEC, "factorial of a negative number is undefined");
    }
    if (args[0].i > 33) { /* 34! has 39 digits */
        return kl_expr__out_of_range(KL_T_DECIMAL, err);
    }
    for (int64_t i = 2; i <= args[0].i; i++) {
        v *= i;
    }
    *ret = kl_val_decimal(v, 0);
    return KL_OK;
}

/* The quotient without its fraction. */
enum kl_rc kl_func__div(ARGS) {
    struct kl_val v;
    struct kl_dec a = kl_expr__to_dec(&args[0]), b = kl_expr__to_dec(&args[1]);
    if (b.v == 0) {
        return kl_expr__div_zero(err);
    }
    KL_TRY(kl_expr__dec_mod(a, b, &v, err)); /* a less its remainder divides evenly */
    struct kl_dec rest = {.v = -kl_val_dec(&v), .scale = v.scale};
    KL_TRY(kl_expr__dec_add(a, rest, &v, err));
    struct kl_dec even = {.v = kl_val_dec(&v), .scale = v.scale};
    KL_TRY(kl_expr__dec_quotient(even, b, KL_MAX(even.scale, b.scale), &v, err));
    return kl_expr__dec_round((struct kl_dec){.v = kl_val_dec(&v), .scale = v.scale}, 0,
        KL_DEC_TRUNC, ret, err);
}

enum kl_rc kl_func__width_bucket(ARGS) {
    double v = kl_expr__to_double(&args[0]), low = kl_expr__to_double(&args[1]),
           high = kl_expr__to_double(&args[2]);
    int64_t count = args[3].i, bucket;
    if (count <= 0) {
        return kl_fail(err, KL_E_EXEC, "count must be greater than zero");
    }
    if (isnan(v) || isnan(low) || isnan(high)) {
        return kl_fail(err, KL_E_EXEC, "operand, lower bound, and upper bound cannot be NaN");
    }
    if (isinf(low) || isinf(high)) {
        return kl_fail(err, KL_E_EXEC, "lower and upper bounds must be finite");
    }
    if (low == high) {
        return kl_fail(err, KL_E_EXEC, "lower bound cannot equal upper bound");
    }
    if (count >= INT32_MAX) {
        return kl_expr__out_of_range(KL_T_INT, err);
    }
    bool up = low < high;
    if (up ? v < low : v > low) {
        bucket = 0;
    } else if (up ? v >= high : v <= high) {
        bucket = count + 1;
    } else {
        bucket = (int64_t)((double)count * ((v - low) / (high - low))) + 1;
        bucket = KL_MIN(bucket, count);
    }
    *ret = kl_val_int(KL_T_INT, bucket);
    return KL_OK;
}

enum kl_rc kl_func__scale(ARGS) {
    *ret = kl_val_int(KL_T_INT, kl_expr__to_dec(&args[0]).scale);
    return KL_OK;
}

/* ---- bits ---- */

enum kl_rc kl_func__bit_and(ARGS) {
    *ret = kl_val_int(e->type.id, args[0].i & args[1].i);
    return KL_OK;
}

enum kl_rc kl_func__bit_or(ARGS) {
    *ret = kl_val_int(e->type.id, args[0].i | args[1].i);
    return KL_OK;
}

enum kl_rc kl_func__bit_xor(ARGS) {
    *ret = kl_val_int(e->type.id, args[0].i ^ args[1].i);
    return KL_OK;
}

enum kl_rc kl_func__bit_not(ARGS) {
    *ret = kl_val_int(e->type.id, ~args[0].i);
    return KL_OK;
}

/* As the machine does it: the distance counts modulo the width (a SMALLINT is shifted as an INT), and
 * what is pushed out is lost. */
enum kl_rc kl_func__shift_left(ARGS) {
    unsigned wide = e->type.id == KL_T_BIGINT ? 63 : 31;
    uint64_t v = (uint64_t)args[0].i << ((uint64_t)args[1].i & wide);
    *ret = kl_val_int(e->type.id, e->type.id == KL_T_BIGINT ? (int64_t)v
                      : e->type.id == KL_T_INT  ? (int64_t)(int32_t)v
                                                : (int64_t)(int16_t)v);
    return KL_OK;
}

enum kl_rc kl_func__shift_right(ARGS) {
    unsigned wide = e->type.id == KL_T_BIGINT ? 63 : 31;
    *ret = kl_val_int(e->type.id, args[0].i >> ((uint64_t)args[1].i & wide));
    return KL_OK;
}
