/* The type in which two operands meet. Integers widen; a decimal takes in an integer by growing in
 * front of the point; any float among them makes DOUBLE, so that no operand loses digits it had to
 * FLOAT. Text-like types meet as TEXT, points in time as the finer one. KL_T_NULL, the type of a
 * bare NULL and of an open literal, gives way to all. */
#include "types/internal.h"

static int rank(uint8_t id) {
    switch (id) {
    case KL_T_SMALLINT:
        return 1;
    case KL_T_INT:
        return 2;
    case KL_T_BIGINT:
        return 3;
    case KL_T_DATE:
        return 1;
    case KL_T_TIMESTAMP:
        return 2;
    case KL_T_DATETIME:
        return 3;
    default:
        return 0;
    }
}

static bool is_point(uint8_t id) {
    return id == KL_T_DATE || id == KL_T_TIMESTAMP || id == KL_T_DATETIME;
}

/* An integer as the decimal that holds all its values. */
static struct kl_type as_decimal(struct kl_type t) {
    static const uint8_t digits[] = {0, 5, 10, 19};
    if (t.id != KL_T_DECIMAL) {
        t = (struct kl_type){.id = KL_T_DECIMAL, .precision = digits[rank(t.id)]};
    }
    return t;
}

static struct kl_type common_decimal(struct kl_type a, struct kl_type b) {
    a = as_decimal(a);
    b = as_decimal(b);
    if (a.precision == 0 || b.precision == 0) { /* any scale */
        return KL_TYPE(DECIMAL);
    }
    int scale = KL_MAX(a.scale, b.scale);
    int front = KL_MAX(a.precision - a.scale, b.precision - b.scale);
    return (struct kl_type){.id = KL_T_DECIMAL,
        .precision = (uint8_t)KL_MIN(front + scale, KL_DEC_DIGITS),
        .scale = (uint8_t)scale};
}

static struct kl_type common_number(struct kl_type a, struct kl_type b) {
    if (kl_type_is_integer(a.id) && kl_type_is_integer(b.id)) {
        return rank(a.id) > rank(b.id) ? a : b;
    }
    bool exact = (kl_type_is_integer(a.id) || a.id == KL_T_DECIMAL) &&
                 (kl_type_is_integer(b.id) || b.id == KL_T_DECIMAL);
    return exact ? common_decimal(a, b) : KL_TYPE(DOUBLE);
}

static bool common_same(struct kl_type a, struct kl_type b, struct kl_type *ret) {
    if (a.id == KL_T_EMBEDDING && a.dim && b.dim && a.dim != b.dim) {
        return false;
    }
    *ret = a.id == KL_T_DECIMAL ? common_decimal(a, b) : a.dim ? a : b;
    return true;
}

bool kl_type_common(struct kl_type a, struct kl_type b, struct kl_type *ret) {
    if (a.id == KL_T_NULL || b.id == KL_T_NULL) {
        *ret = a.id == KL_T_NULL ? b : a;
    } else if (a.id == b.id) {
        return common_same(a, b, ret);
    } else if (kl_type_is_number(a.id) && kl_type_is_number(b.id)) {
        *ret = common_number(a, b);
    } else if (kl_type_is_text(a.id) && kl_type_is_text(b.id)) {
        *ret = KL_TYPE(TEXT);
    } else if (is_point(a.id) && is_point(b.id)) {
        *ret = rank(a.id) > rank(b.id) ? a : b;
    } else if ((a.id == KL_T_TIME && b.id == KL_T_INTERVAL) ||
               (a.id == KL_T_INTERVAL && b.id == KL_T_TIME)) {
        *ret = KL_TYPE(INTERVAL);
    } else {
        return false;
    }
    return true;
}
