/* Values to another type. One function per target type, which knows the sources it takes; what is
 * not listed there is no conversion. Text of type UNKNOWN, and any text under an explicit cast, is
 * parsed as the target.
 *
 * Under ASSIGN (INSERT, UPDATE):
 *
 *   number            from a number that fits
 *   TEXT              from number, boolean, temporal, UUID, JSON, FILE
 *   JSON              from TEXT and FILE (checked), number, boolean
 *   FILE              from TEXT and JSON (checked)
 *   UUID              from TEXT
 *   temporal          from a temporal with the needed part, or an integer in the unit that results
 *                     show (microseconds, days)
 *   BYTES, EMBEDDING  from a JSON array: how clients send them
 *
 * EXPLICIT adds: text to anything, anything to TEXT, boolean and integer both ways, EMBEDDING to
 * JSON. */
#include "types/internal.h"

#include <math.h>
#include <stdio.h>

struct job {
    const struct kl_val *v;
    struct kl_type to;
    enum kl_cast how;
    struct kl_arena *arena;
    struct kl_err *err;
};

static enum kl_rc refuse(const struct job *j) {
    const char *from = kl_types__name(j->v->type), *to = kl_types__name(j->to.id);
    if (j->how == KL_CAST_EXPLICIT) {
        return kl_fail(j->err, KL_E_TYPE, "cannot cast type %s to %s", from, to);
    }
    enum kl_rc rc =
        kl_fail(j->err, KL_E_TYPE, "a value of type %s cannot be assigned to type %s", from, to);
    kl_err_hint(j->err, "Use CAST, or a literal of the type.");
    return rc;
}

static enum kl_rc parse(const struct job *j, struct kl_val *ret) {
    return kl_val_parse(j->to, kl_val_slice(j->v), j->arena, ret, j->err);
}

/* Explicit casts read text as they would read a literal. */
static enum kl_rc parse_if_explicit(const struct job *j, struct kl_val *ret) {
    bool text = kl_type_is_text(j->v->type) && j->how == KL_CAST_EXPLICIT;
    return text ? parse(j, ret) : refuse(j);
}

static enum kl_rc to_boolean(const struct job *j, struct kl_val *ret) {
    if (kl_type_is_integer(j->v->type) && j->how == KL_CAST_EXPLICIT) {
        *ret = kl_val_bool(j->v->i != 0);
        return KL_OK;
    }
    return parse_if_explicit(j, ret);
}

static enum kl_rc to_integer(const struct job *j, struct kl_val *ret) {
    const struct kl_val *v = j->v;
    int64_t i;
    if (kl_type_is_integer(v->type)) {
        i = v->i;
    } else if (v->type == KL_T_FLOAT || v->type == KL_T_DOUBLE) {
        double d = rint(v->d); /* half to even */
        if (!(d >= -0x1p63 && d < 0x1p63)) {
            return kl_types__out_of_range(j->to.id, j->err);
        }
        i = (int64_t)d;
    } else if (v->type == KL_T_DECIMAL) {
        __int128 whole;
        if (kl_dec_rescale(kl_val_dec(v), v->scale, 0, &whole) != KL_OK || whole > INT64_MAX ||
            whole < INT64_MIN) {
            return kl_types__out_of_range(j->to.id, j->err);
        }
        i = (int64_t)whole;
    } else if (v->type == KL_T_BOOLEAN && j->how == KL_CAST_EXPLICIT) {
        i = v->b;
    } else {
        return parse_if_explicit(j, ret);
    }
    if (!kl_types__int_fits(j->to.id, i)) {
        return kl_types__out_of_range(j->to.id, j->err);
    }
    *ret = kl_val_int(j->to.id, i);
    return KL_OK;
}

static enum kl_rc to_float(const struct job *j, struct kl_val *ret) {
    const struct kl_val *v = j->v;
    bool single = j->to.id == KL_T_FLOAT;
    char text[64];
    double d;
    if (kl_type_is_integer(v->type)) {
        d = single ? (double)(float)v->i : (double)v->i;
    } else if (v->type == KL_T_DECIMAL) {
        /* Through text for FLOAT: by way of double it would round twice. */
        size_t n = kl_types__dec_text(kl_val_dec(v), v->scale, text);
        if (single) {
            KL_TRY(kl_types__float_parse(KL_T_FLOAT, kl_slice(text, n), &d, j->err));
        } else {
            d = kl_dec_to_double(kl_val_dec(v), v->scale);
        }
    } else if (v->type == KL_T_FLOAT || v->type == KL_T_DOUBLE) {
        d = single ? (double)(float)v->d : v->d;
        if ((isinf(d) && !isinf(v->d)) || (d == 0 && v->d != 0)) {
            return kl_types__out_of_range(j->to.id, j->err);
        }
    } else {
        return parse_if_explicit(j, ret);
    }
    *ret = (struct kl_val){.type = j->to.id, .d = d};
    return KL_OK;
}

static enum kl_rc decimal_overflow(const struct job *j) {
    if (j->to.precision == 0) {
        return kl_types__out_of_range(KL_T_DECIMAL, j->err);
    }
    return kl_fail(j->err, KL_E_TYPE,
        "decimal out of range: the value does not fit in DECIMAL(%u, %u)",
        (unsigned)j->to.precision, (unsigned)j->to.scale);
}

/* A double counts with its 15 (FLOAT: 6) sure digits, as in PostgreSQL: 0.1 becomes 0.1. */
static enum kl_rc float_to_decimal(const struct job *j, struct kl_val *ret) {
    char digits[40], text[64];
    if (!isfinite(j->v->d)) {
        return kl_fail(
            j->err, KL_E_TYPE, "cannot convert %s to decimal", isnan(j->v->d) ? "NaN" : "infinity");
    }
    int exp,
        n = kl_types__double_digits(fabs(j->v->d), j->v->type == KL_T_FLOAT ? 6 : 15, digits, &exp);
    snprintf(
        text, sizeof(text), "%s%.*se%d", signbit(j->v->d) ? "-" : "", n, digits, exp - (n - 1));
    __int128 unscaled;
    uint8_t scale;
    int wanted = j->to.precision ? j->to.scale : KL_DEC_SCALE_ANY;
    if (kl_types__dec_parse_at(kl_slice_str(text), wanted, &unscaled, &scale) != KL_OK ||
        (j->to.precision && !kl_types__dec_fits(unscaled, j->to.precision))) {
        return decimal_overflow(j);
    }
    *ret = kl_val_decimal(unscaled, scale);
    return KL_OK;
}

static enum kl_rc to_decimal(const struct job *j, struct kl_val *ret) {
    const struct kl_val *v = j->v;
    __int128 unscaled = v->i;
    uint8_t scale = 0;
    if (v->type == KL_T_DECIMAL) {
        unscaled = kl_val_dec(v);
        scale = v->scale;
    } else if (v->type == KL_T_FLOAT || v->type == KL_T_DOUBLE) {
        return float_to_decimal(j, ret);
    } else if (!kl_type_is_integer(v->type)) {
        return parse_if_explicit(j, ret);
    }
    if (j->to.precision) {
        if (kl_dec_rescale(unscaled, scale, j->to.scale, &unscaled) != KL_OK ||
            !kl_types__dec_fits(unscaled, j->to.precision)) {
            return decimal_overflow(j);
        }
        scale = j->to.scale;
    }
    *ret = kl_val_decimal(unscaled, scale);
    return KL_OK;
}

static bool is_temporal(uint8_t id) {
    return id == KL_T_TIMESTAMP || id == KL_T_DATETIME || id == KL_T_DATE || id == KL_T_TIME;
}

static enum kl_rc text_of(const struct job *j, struct kl_val *ret) {
    char small[KL_SCALAR_TEXT_MAX];
    size_t n = kl_types__scalar_text(j->v, small);
    struct kl_slice copy;
    if (n > 0) {
        copy = kl_arena_dup(j->arena, kl_slice(small, n));
    } else {
        struct kl_buf buf;
        kl_buf_init(&buf, 0);
        kl_val_to_text(j->v, &buf);
        copy = buf.failed ? KL_SLICE_NONE : kl_arena_dup(j->arena, kl_buf_view(&buf));
        kl_buf_deinit(&buf);
    }
    if (!copy.ptr) {
        return kl_types__no_budget(j->err);
    }
    *ret = kl_val_str(j->to.id, copy);
    return KL_OK;
}

static enum kl_rc to_text(const struct job *j, struct kl_val *ret) {
    uint8_t from = j->v->type;
    if (kl_type_is_text(from)) {
        *ret = kl_val_text(kl_val_slice(j->v));
        return KL_OK;
    }
    bool assignable = kl_type_is_number(from) || from == KL_T_BOOLEAN || is_temporal(from) ||
                      from == KL_T_INTERVAL || from == KL_T_UUID;
    return assignable || j->how == KL_CAST_EXPLICIT ? text_of(j, ret) : refuse(j);
}

static enum kl_rc to_json(const struct job *j, struct kl_val *ret) {
    uint8_t from = j->v->type;
    if (kl_type_is_text(from)) {
        return parse(j, ret);
    }
    if ((from == KL_T_FLOAT || from == KL_T_DOUBLE) && !isfinite(j->v->d)) {
        return kl_fail(j->err, KL_E_TYPE, "JSON has no NaN and no infinity");
    }
    bool scalar = kl_type_is_number(from) || from == KL_T_BOOLEAN;
    return scalar || (from == KL_T_EMBEDDING && j->how == KL_CAST_EXPLICIT) ? text_of(j, ret)
                                                                            : refuse(j);
}

static enum kl_rc to_bytes(const struct job *j, struct kl_val *ret) {
    if (j->v->type == KL_T_JSON) {
        return kl_types__bytes_from_json(kl_val_slice(j->v), j->arena, ret, j->err);
    }
    return parse_if_explicit(j, ret);
}

static enum kl_rc to_embedding(const struct job *j, struct kl_val *ret) {
    const struct kl_val *v = j->v;
    if (v->type == KL_T_JSON) {
        return parse(j, ret);
    }
    if (v->type != KL_T_EMBEDDING) {
        return parse_if_explicit(j, ret);
    }
    size_t dim = v->len / sizeof(float);
    if (j->to.dim && dim != j->to.dim) {
        return kl_fail(j->err, KL_E_TYPE, "Embedding dimension mismatch: expected %u, got %zu",
            (unsigned)j->to.dim, dim);
    }
    *ret = *v;
    return KL_OK;
}

/* UUID and FILE: text that is one. */
static enum kl_rc to_checked_text(const struct job *j, struct kl_val *ret) {
    uint8_t from = j->v->type;
    return from == KL_T_TEXT || (from == KL_T_JSON && j->to.id == KL_T_FILE) ? parse(j, ret)
                                                                             : refuse(j);
}

static enum kl_rc temporal_int(const struct job *j, int64_t i, struct kl_val *ret) {
    if (!kl_types__temporal_fits(j->to.id, i)) {
        return kl_types__out_of_range(j->to.id, j->err);
    }
    *ret = kl_val_int(j->to.id, i);
    return KL_OK;
}

static enum kl_rc to_temporal(const struct job *j, struct kl_val *ret) {
    const struct kl_val *v = j->v;
    uint8_t from = v->type, to = j->to.id;
    bool from_point = from == KL_T_TIMESTAMP || from == KL_T_DATETIME;
    bool to_point = to == KL_T_TIMESTAMP || to == KL_T_DATETIME;
    int64_t days = kl_types__floor_div(v->i, KL_US_PER_DAY);
    if (kl_type_is_integer(from) || (from_point && to_point)) {
        return temporal_int(j, v->i, ret);
    }
    if (from_point) {
        return temporal_int(j, to == KL_T_DATE ? days : kl_types__of_day(v->i), ret);
    }
    if (from == KL_T_DATE && to_point) {
        bool fits = kl_types__temporal_fits(KL_T_DATE, v->i);
        return temporal_int(j, fits ? v->i * KL_US_PER_DAY : INT64_MAX, ret);
    }
    if (from == KL_T_INTERVAL && to == KL_T_TIME) {
        return temporal_int(j, kl_types__of_day(v->iv.us), ret);
    }
    return parse_if_explicit(j, ret);
}

static enum kl_rc to_interval(const struct job *j, struct kl_val *ret) {
    if (j->v->type == KL_T_TIME) {
        *ret = (struct kl_val){.type = KL_T_INTERVAL, .iv = {.us = j->v->i}};
        return KL_OK;
    }
    return parse_if_explicit(j, ret);
}

static enum kl_rc convert(const struct job *j, struct kl_val *ret) {
    switch (j->to.id) {
    case KL_T_BOOLEAN:
        return to_boolean(j, ret);
    case KL_T_SMALLINT:
    case KL_T_INT:
    case KL_T_BIGINT:
        return to_integer(j, ret);
    case KL_T_FLOAT:
    case KL_T_DOUBLE:
        return to_float(j, ret);
    case KL_T_DECIMAL:
        return to_decimal(j, ret);
    case KL_T_TEXT:
        return to_text(j, ret);
    case KL_T_JSON:
        return to_json(j, ret);
    case KL_T_BYTES:
        return to_bytes(j, ret);
    case KL_T_EMBEDDING:
        return to_embedding(j, ret);
    case KL_T_UUID:
    case KL_T_FILE:
        return to_checked_text(j, ret);
    case KL_T_TIMESTAMP:
    case KL_T_DATETIME:
    case KL_T_DATE:
    case KL_T_TIME:
        return to_temporal(j, ret);
    case KL_T_INTERVAL:
        return to_interval(j, ret);
    default:
        return refuse(j);
    }
}

enum kl_rc kl_val_cast(const struct kl_val *v, struct kl_type to, enum kl_cast how,
    struct kl_arena *arena, struct kl_val *ret, struct kl_err *err) {
    struct job j = {.v = v, .to = to, .how = how, .arena = arena, .err = err};
    if (v->null) {
        *ret = kl_val_null(to.id);
        return KL_OK;
    }
    if (v->flags & KL_VAL_UNKNOWN) {
        return parse(&j, ret);
    }
    if (v->type == to.id && to.id != KL_T_DECIMAL && to.id != KL_T_EMBEDDING) {
        *ret = *v;
        return KL_OK;
    }
    return convert(&j, ret);
}
