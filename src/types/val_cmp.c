/* Order, equality and hashes of values.
 *
 * Numbers of different types compare by exact value: the whole parts as integers, then the
 * fractions. A decimal fraction and a binary one meet digit by digit in base 2, which ends because
 * the binary one is finite. So the order is transitive over any mix of integers, decimals and
 * floats, which a comparison through double is not. NaN is above every number and equal to itself;
 * -0 equals 0. Points in time compare as microseconds. Intervals compare by length, a month
 * counting 30 days. */
#include "types/internal.h"

#include <math.h>

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

static int cmp_double(double a, double b) {
    if (isnan(a) || isnan(b)) {
        return isnan(a) - isnan(b);
    }
    return ORDER(a, b);
}

/* rest / unit against fraction, both in [0, 1). */
static int cmp_fraction(unsigned __int128 rest, unsigned __int128 unit, double fraction) {
    while (rest > 0 && fraction > 0) {
        rest *= 2; /* below 2 * 10^38, which fits */
        fraction *= 2;
        int bit = rest >= unit, other = fraction >= 1;
        if (bit != other) {
            return bit - other;
        }
        rest -= bit ? unit : 0;
        fraction -= other;
    }
    return (rest > 0) - (fraction > 0);
}

static int cmp_dec_double(__int128 v, int scale, double d) {
    if (isnan(d) || d >= 0x1p127) {
        return -1;
    }
    if (d < -0x1p127) {
        return 1;
    }
    __int128 unit = (__int128)kl_types__pow10(scale), whole = v / unit, rest = v % unit;
    double d_whole = trunc(d), d_rest = d - d_whole;
    __int128 other = (__int128)d_whole;
    if (whole != other) {
        return ORDER(whole, other);
    }
    int sign = ORDER(rest, 0), d_sign = ORDER(d_rest, 0);
    if (sign != d_sign) {
        return ORDER(sign, d_sign);
    }
    if (sign < 0) {
        return -cmp_fraction((unsigned __int128)-rest, (unsigned __int128)unit, -d_rest);
    }
    return cmp_fraction((unsigned __int128)rest, (unsigned __int128)unit, d_rest);
}

static int cmp_dec(__int128 a, int a_scale, __int128 b, int b_scale) {
    if (a_scale == b_scale) {
        return ORDER(a, b);
    }
    __int128 a_unit = (__int128)kl_types__pow10(a_scale),
             b_unit = (__int128)kl_types__pow10(b_scale);
    __int128 a_whole = a / a_unit, b_whole = b / b_unit;
    if (a_whole != b_whole) {
        return ORDER(a_whole, b_whole);
    }
    /* Fractions stay below 10^38 at the larger scale. */
    int scale = KL_MAX(a_scale, b_scale);
    __int128 a_rest = a % a_unit * (__int128)kl_types__pow10(scale - a_scale);
    __int128 b_rest = b % b_unit * (__int128)kl_types__pow10(scale - b_scale);
    return ORDER(a_rest, b_rest);
}

static bool is_float(uint8_t id) {
    return id == KL_T_FLOAT || id == KL_T_DOUBLE;
}

static int cmp_number(const struct kl_val *a, const struct kl_val *b) {
    bool a_float = is_float(a->type), b_float = is_float(b->type);
    bool a_dec = a->type == KL_T_DECIMAL, b_dec = b->type == KL_T_DECIMAL;
    if (a_float && b_float) {
        return cmp_double(a->d, b->d);
    }
    if (!a_float && !b_float && !a_dec && !b_dec) {
        return ORDER(a->i, b->i);
    }
    if (a_float) {
        return -cmp_number(b, a);
    }
    __int128 v = a_dec ? kl_val_dec(a) : a->i;
    int scale = a_dec ? a->scale : 0;
    if (b_float) {
        return cmp_dec_double(v, scale, b->d);
    }
    return cmp_dec(v, scale, b_dec ? kl_val_dec(b) : b->i, b_dec ? b->scale : 0);
}

static bool is_point(uint8_t id) {
    return id == KL_T_TIMESTAMP || id == KL_T_DATETIME || id == KL_T_DATE;
}

static __int128 point_us(const struct kl_val *v) {
    return v->type == KL_T_DATE ? (__int128)v->i * KL_US_PER_DAY : v->i;
}

static int cmp_embedding(const struct kl_val *a, const struct kl_val *b) {
    uint32_t n = KL_MIN(a->len, b->len) / sizeof(float);
    for (uint32_t i = 0; i < n; i++) {
        int c =
            cmp_double((double)kl_types__embedding_at(a, i), (double)kl_types__embedding_at(b, i));
        if (c != 0) {
            return c;
        }
    }
    return ORDER(a->len, b->len);
}

int kl_val_cmp(const struct kl_val *a, const struct kl_val *b) {
    KL_ASSERT(!a->null && !b->null);
    if (kl_type_is_number(a->type) && kl_type_is_number(b->type)) {
        return cmp_number(a, b);
    }
    if (kl_type_is_text(a->type) && kl_type_is_text(b->type)) {
        return kl_slice_cmp(kl_val_slice(a), kl_val_slice(b));
    }
    if (a->type != b->type) {
        KL_ASSERT(is_point(a->type) && is_point(b->type));
        __int128 x = point_us(a), y = point_us(b);
        return ORDER(x, y);
    }
    switch (a->type) {
    case KL_T_BOOLEAN:
        return ORDER(a->b, b->b);
    case KL_T_TIMESTAMP:
    case KL_T_DATETIME:
    case KL_T_DATE:
    case KL_T_TIME:
        return ORDER(a->i, b->i);
    case KL_T_BYTES:
    case KL_T_UUID:
        return kl_slice_cmp(kl_val_slice(a), kl_val_slice(b));
    case KL_T_EMBEDDING:
        return cmp_embedding(a, b);
    case KL_T_INTERVAL: {
        __int128 x = kl_types__interval_span(a->iv), y = kl_types__interval_span(b->iv);
        return ORDER(x, y);
    }
    default:
        KL_UNREACHABLE();
    }
}

bool kl_val_same(const struct kl_val *a, const struct kl_val *b) {
    if (a->type != b->type || a->null || b->null) {
        return a->type == b->type && a->null && b->null;
    }
    return kl_val_cmp(a, b) == 0;
}

static uint64_t hash_bytes(const void *p, size_t n) {
    return kl_slice_hash(kl_slice(p, n));
}

static uint64_t hash_double(double d) {
    double one_form = isnan(d) ? (double)NAN : d == 0 ? 0.0 : d;
    return hash_bytes(&one_form, sizeof(one_form));
}

/* 1.50 and 1.5 are equal. */
static uint64_t hash_decimal(const struct kl_val *v) {
    __int128 m = kl_val_dec(v);
    uint8_t scale = v->scale;
    while (scale > 0 && m % 10 == 0) {
        m /= 10;
        scale--;
    }
    return hash_bytes(&m, sizeof(m)) + scale;
}

static uint64_t hash_embedding(const struct kl_val *v) {
    uint64_t h = v->len;
    for (uint32_t i = 0; i < v->len / sizeof(float); i++) {
        uint64_t pair[2] = {h, hash_double((double)kl_types__embedding_at(v, i))};
        h = hash_bytes(pair, sizeof(pair));
    }
    return h;
}

uint64_t kl_val_hash(const struct kl_val *v) {
    if (v->null) {
        return UINT64_C(0x9e3779b97f4a7c15);
    }
    switch (v->type) {
    case KL_T_BOOLEAN:
        return hash_bytes(&v->b, sizeof(v->b));
    case KL_T_FLOAT:
    case KL_T_DOUBLE:
        return hash_double(v->d);
    case KL_T_DECIMAL:
        return hash_decimal(v);
    case KL_T_TEXT:
    case KL_T_JSON:
    case KL_T_FILE:
    case KL_T_BYTES:
    case KL_T_UUID:
        return kl_slice_hash(kl_val_slice(v));
    case KL_T_EMBEDDING:
        return hash_embedding(v);
    case KL_T_INTERVAL: {
        __int128 span = kl_types__interval_span(v->iv);
        return hash_bytes(&span, sizeof(span));
    }
    default:
        return hash_bytes(&v->i, sizeof(v->i));
    }
}

bool kl_val_dup(struct kl_arena *arena, const struct kl_val *v, struct kl_val *ret) {
    bool borrows = kl_type_is_varlen(v->type) || v->type == KL_T_UUID || v->type == KL_T_EMBEDDING;
    struct kl_val copy = *v;
    if (borrows && !v->null) {
        struct kl_slice s = kl_arena_dup(arena, kl_val_slice(v));
        if (!s.ptr) {
            return false;
        }
        copy.s = s.ptr;
    }
    *ret = copy;
    return true;
}
