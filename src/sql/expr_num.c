/* Arithmetic on plain numbers, without any notion of expressions.
 *
 * Decimals hold at most 38 digits where PostgreSQL's numeric holds any number. The rules: sum and
 * difference have the wider scale, a product the sum of the scales, a quotient the scale that
 * PostgreSQL would choose (at least 16 significant digits), a remainder the wider scale. When such
 * a result would need more than 38 digits, its scale shrinks (half away from zero) until it fits;
 * only when the integer part alone does not fit is it out of range. */
#include "sql/expr_internal.h"

#include <math.h>

#define DIGITS 38
typedef unsigned __int128 u128;

struct u256 {
    u128 hi, lo;
};

enum kl_rc kl_expr__out_of_range(uint8_t type, struct kl_err *err) {
    return kl_fail(err, KL_E_TYPE, "%s out of range", kl_expr__type_name(type));
}

enum kl_rc kl_expr__div_zero(struct kl_err *err) {
    return kl_fail(err, KL_E_EXEC, "division by zero");
}

/* ---- integers ---- */

static bool int_fits(uint8_t type, int64_t v) {
    switch (type) {
    case KL_T_SMALLINT:
        return v >= INT16_MIN && v <= INT16_MAX;
    case KL_T_INT:
        return v >= INT32_MIN && v <= INT32_MAX;
    default:
        return true;
    }
}

enum kl_rc kl_expr__int_op(uint8_t type, enum kl_expr_opcode op, int64_t a, int64_t b,
    struct kl_val *ret, struct kl_err *err) {
    int64_t v = 0;
    bool over = false;
    switch (op) {
    case KL_OP_ADD:
        over = __builtin_add_overflow(a, b, &v);
        break;
    case KL_OP_SUB:
        over = __builtin_sub_overflow(a, b, &v);
        break;
    case KL_OP_MUL:
        over = __builtin_mul_overflow(a, b, &v);
        break;
    case KL_OP_DIV:
    case KL_OP_MOD:
        if (b == 0) {
            return kl_expr__div_zero(err);
        }
        if (b == -1) { /* the one divisor that can overflow, and trap */
            over = op == KL_OP_DIV && __builtin_sub_overflow((int64_t)0, a, &v);
        } else {
            v = op == KL_OP_DIV ? a / b : a % b;
        }
        break;
    default:
        KL_UNREACHABLE();
    }
    if (over || !int_fits(type, v)) {
        return kl_expr__out_of_range(type, err);
    }
    *ret = kl_val_int(type, v);
    return KL_OK;
}

/* ---- floating point ---- */

static enum kl_rc float_range(bool overflow, struct kl_err *err) {
    return kl_fail(err, KL_E_TYPE, "value out of range: %s", overflow ? "overflow" : "underflow");
}

enum kl_rc kl_expr__float_op(uint8_t type, enum kl_expr_opcode op, double a, double b,
    struct kl_val *ret, struct kl_err *err) {
    double v = 0;
    bool may_vanish = false; /* a zero result of operands that are not zero lost everything */
    switch (op) {
    case KL_OP_ADD:
        v = a + b;
        break;
    case KL_OP_SUB:
        v = a - b;
        break;
    case KL_OP_MUL:
        v = a * b;
        may_vanish = a != 0 && b != 0;
        break;
    case KL_OP_DIV:
        if (b == 0 && !isnan(a)) {
            return kl_expr__div_zero(err);
        }
        v = a / b;
        may_vanish = a != 0 && !isinf(b);
        break;
    default:
        KL_UNREACHABLE();
    }
    if (type == KL_T_FLOAT) {
        v = (float)
            v; /* rounding twice is harmless: a double has more than twice the digits of a float */
    }
    if (isinf(v) && !isinf(a) && !isinf(b)) {
        return float_range(true, err);
    }
    if (v == 0 && may_vanish) {
        return float_range(false, err);
    }
    *ret = (struct kl_val){.type = type, .d = v};
    return KL_OK;
}

enum kl_rc kl_expr__pow(double a, double b, double *ret, struct kl_err *err) {
    if (a == 0 && b < 0) {
        return kl_fail(err, KL_E_EXEC, "zero raised to a negative power is undefined");
    }
    if (a < 0 && isfinite(a) && isfinite(b) && floor(b) != b) {
        return kl_fail(err, KL_E_EXEC,
            "a negative number raised to a non-integer power yields a complex result");
    }
    double v = pow(a, b);
    if (isinf(v) && isfinite(a) && isfinite(b)) {
        return float_range(true, err);
    }
    if (v == 0 && a != 0 && isfinite(a) && isfinite(b)) {
        return float_range(false, err);
    }
    *ret = v;
    return KL_OK;
}

/* ---- decimals: 256-bit helpers ---- */

static u128 pow10_of(int n) {
    u128 v = 1;
    while (n-- > 0) {
        v *= 10;
    }
    return v;
}

static u128 magnitude(__int128 v) {
    return v < 0 ? (u128)0 - (u128)v : (u128)v;
}

static int digits_of(u128 v) {
    int n = 1;
    for (; v >= 10; v /= 10) {
        n++;
    }
    return n;
}

static struct u256 mul_wide(u128 a, u128 b) {
    uint64_t a0 = (uint64_t)a, a1 = (uint64_t)(a >> 64), b0 = (uint64_t)b, b1 = (uint64_t)(b >> 64);
    u128 low = (u128)a0 * b0,
         mid = (u128)a1 * b0 + (low >> 64); /* cannot overflow: (2^64-1)^2 + 2^64-1 */
    u128 mid2 = (u128)a0 * b1 + (uint64_t)mid;
    struct u256 r;
    r.lo = mid2 << 64 | (uint64_t)low;
    r.hi = (u128)a1 * b1 + (mid >> 64) + (mid2 >> 64);
    return r;
}

/* Schoolbook, bit by bit; d < 2^127, so that the doubled remainder fits. */
static struct u256 div_wide(struct u256 n, u128 d, u128 *ret_rem) {
    if (n.hi == 0) {
        *ret_rem = n.lo % d;
        return (struct u256){.lo = n.lo / d};
    }
    struct u256 q = {0};
    u128 rem = 0;
    for (int i = 255; i >= 0; i--) {
        u128 bit = i >= 128 ? n.hi >> (i - 128) & 1 : n.lo >> i & 1;
        rem = rem << 1 | bit;
        if (rem >= d) {
            rem -= d;
            *(i >= 128 ? &q.hi : &q.lo) |= (u128)1 << (i % 128);
        }
    }
    *ret_rem = rem;
    return q;
}

/* n / 10^drop, half up. Cutting digits off first never moves a value across the half of a later
 * cut. */
static struct u256 drop_digits(struct u256 n, int drop) {
    u128 rem;
    while (drop > DIGITS) {
        int step = KL_MIN(drop - DIGITS, DIGITS);
        n = div_wide(n, pow10_of(step), &rem);
        drop -= step;
    }
    if (drop == 0) {
        return n;
    }
    u128 d = pow10_of(drop);
    n = div_wide(n, d, &rem);
    if (rem >= d / 2) {
        n.lo++;
        n.hi += n.lo == 0;
    }
    return n;
}

static bool fits(struct u256 n) {
    return n.hi == 0 && n.lo < pow10_of(DIGITS);
}

/* Gives n (at `scale`) the largest scale, at most 38, at which it has at most 38 digits. */
static enum kl_rc settle(
    struct u256 n, int scale, bool negative, struct kl_val *ret, struct kl_err *err) {
    for (int drop = KL_MAX(0, scale - DIGITS); drop <= scale; drop++) {
        struct u256 cut = drop_digits(n, drop);
        if (fits(cut)) {
            __int128 v = (__int128)cut.lo;
            *ret = kl_val_decimal(negative ? -v : v, (uint8_t)(scale - drop));
            return KL_OK;
        }
    }
    return kl_expr__out_of_range(KL_T_DECIMAL, err);
}

/* ---- decimals: operations ---- */

struct kl_dec kl_expr__to_dec(const struct kl_val *v) {
    if (v->type == KL_T_DECIMAL) {
        return (struct kl_dec){kl_val_dec(v), v->scale};
    }
    return (struct kl_dec){v->i, 0};
}

double kl_expr__to_double(const struct kl_val *v) {
    switch (v->type) {
    case KL_T_DECIMAL:
        return kl_dec_to_double(kl_val_dec(v), v->scale);
    case KL_T_DOUBLE:
    case KL_T_FLOAT:
        return v->d;
    default:
        return (double)v->i;
    }
}

enum kl_rc kl_expr__dec_add(
    struct kl_dec a, struct kl_dec b, struct kl_val *ret, struct kl_err *err) {
    int scale = KL_MAX(a.scale, b.scale);
    struct u256 x = mul_wide(magnitude(a.v), pow10_of(scale - a.scale));
    struct u256 y = mul_wide(magnitude(b.v), pow10_of(scale - b.scale));
    bool x_neg = a.v < 0, y_neg = b.v < 0;
    if (x_neg == y_neg) {
        struct u256 sum = {.hi = x.hi + y.hi, .lo = x.lo + y.lo};
        sum.hi += sum.lo < x.lo;
        return settle(sum, scale, x_neg, ret, err);
    }
    bool x_less = x.hi < y.hi || (x.hi == y.hi && x.lo < y.lo);
    struct u256 big = x_less ? y : x, small = x_less ? x : y;
    struct u256 diff = {.hi = big.hi - small.hi - (big.lo < small.lo), .lo = big.lo - small.lo};
    return settle(diff, scale, x_less ? y_neg : x_neg, ret, err);
}

enum kl_rc kl_expr__dec_mul(
    struct kl_dec a, struct kl_dec b, struct kl_val *ret, struct kl_err *err) {
    return settle(mul_wide(magnitude(a.v), magnitude(b.v)), a.scale + b.scale,
        (a.v < 0) != (b.v < 0), ret, err);
}

/* A quotient that does not have 38 digits at the wanted scale gets the largest at which it has. */
enum kl_rc kl_expr__dec_quotient(
    struct kl_dec a, struct kl_dec b, int scale, struct kl_val *ret, struct kl_err *err) {
    if (b.v == 0) {
        return kl_expr__div_zero(err);
    }
    int more = scale - a.scale + b.scale;
    u128 divisor = magnitude(b.v), rem, q = magnitude(a.v) / divisor;
    rem = magnitude(a.v) % divisor;
    while (more > 0) {
        int room = q ? DIGITS - digits_of(q) : DIGITS;
        if (q && more > room) {
            scale -= more - room;
            more = room;
        }
        int step = KL_MIN(more, DIGITS);
        struct u256 next = div_wide(mul_wide(rem, pow10_of(step)), divisor, &rem);
        q = q * pow10_of(step) + next.lo;
        more -= step;
    }
    q += rem >= divisor - rem; /* half away from zero */
    if (scale < 0) {
        return kl_expr__out_of_range(KL_T_DECIMAL, err);
    }
    return settle((struct u256){.lo = q}, scale, (a.v < 0) != (b.v < 0), ret, err);
}

enum kl_rc kl_expr__dec_mod(
    struct kl_dec a, struct kl_dec b, struct kl_val *ret, struct kl_err *err) {
    if (b.v == 0) {
        return kl_expr__div_zero(err);
    }
    int scale = KL_MAX(a.scale, b.scale);
    u128 rem;
    struct u256 divisor = mul_wide(magnitude(b.v), pow10_of(scale - b.scale));
    struct u256 value = mul_wide(magnitude(a.v), pow10_of(scale - a.scale));
    if (fits(divisor)) {
        div_wide(value, divisor.lo, &rem);
        return settle((struct u256){.lo = rem}, scale, a.v < 0, ret, err);
    }
    /* The divisor was widened past 38 digits, so a.scale == scale and it is larger than the value.
     */
    return settle(value, scale, a.v < 0, ret, err);
}

enum kl_rc kl_expr__dec_round(
    struct kl_dec a, int scale, enum kl_dec_round how, struct kl_val *ret, struct kl_err *err) {
    bool negative = a.v < 0;
    u128 m = magnitude(a.v);
    scale = KL_MAX(-DIGITS - 1, KL_MIN(scale, DIGITS));
    if (scale >= a.scale) {
        return settle(mul_wide(m, pow10_of(scale - a.scale)), scale, negative, ret, err);
    }
    int drop = a.scale - scale;
    u128 unit = drop > DIGITS ? 0 : pow10_of(drop);
    u128 q = unit ? m / unit : 0, rem = unit ? m % unit : m;
    bool up = how == KL_DEC_NEAREST ? unit && rem >= unit - rem
              : how == KL_DEC_CEIL  ? !negative && rem
                                    : how == KL_DEC_FLOOR && negative && rem;
    q += up;
    int shown = KL_MAX(scale, 0);
    if (q == 0) {
        *ret = kl_val_decimal(0, (uint8_t)shown);
        return KL_OK;
    }
    return settle(mul_wide(q, pow10_of(shown - scale)), shown, negative, ret, err);
}
