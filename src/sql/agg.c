/* Aggregates over a whole scan, with PostgreSQL's result types and NULL rules: NULLs are passed
 * over; sum, avg, min and max of nothing are NULL, counts are 0.
 *
 *   sum   smallint, integer -> bigint; bigint -> decimal; decimal -> decimal; float -> float;
 * double -> double; interval -> interval avg   integers, decimal -> decimal (the scale of a
 * division); float, double -> double; interval -> interval min, max   numbers, text, dates and
 * times, intervals -> the same type */
#include "sql/select_internal.h"

#include <math.h>
#include <stdlib.h>

static enum kl_rc no_aggregate(const char *name, struct kl_type arg, struct kl_err *err) {
    return kl_fail(
        err, KL_E_TYPE, "function %s(%s) does not exist", name, kl_expr__type_name(arg.id));
}

static enum kl_rc sum_type(struct kl_type arg, struct kl_type *ret, struct kl_err *err) {
    switch (arg.id) {
    case KL_T_SMALLINT:
    case KL_T_INT:
        *ret = KL_TYPE(BIGINT);
        return KL_OK;
    case KL_T_BIGINT:
        *ret = (struct kl_type){.id = KL_T_DECIMAL, .precision = 38};
        return KL_OK;
    case KL_T_DECIMAL:
        *ret = (struct kl_type){.id = KL_T_DECIMAL, .precision = 38, .scale = arg.scale};
        return KL_OK;
    case KL_T_FLOAT:
    case KL_T_DOUBLE:
    case KL_T_INTERVAL:
        *ret = arg;
        return KL_OK;
    default:
        return no_aggregate("sum", arg, err);
    }
}

static enum kl_rc avg_type(struct kl_type arg, struct kl_type *ret, struct kl_err *err) {
    switch (arg.id) {
    case KL_T_SMALLINT:
    case KL_T_INT:
    case KL_T_BIGINT:
    case KL_T_DECIMAL:
        *ret = (struct kl_type){.id = KL_T_DECIMAL,
            .precision = 38,
            .scale = (uint8_t)KL_MAX((int)arg.scale, KL_DEC_QUOTIENT_SCALE)};
        return KL_OK;
    case KL_T_FLOAT:
    case KL_T_DOUBLE:
        *ret = KL_TYPE(DOUBLE);
        return KL_OK;
    case KL_T_INTERVAL:
        *ret = arg;
        return KL_OK;
    default:
        return no_aggregate("avg", arg, err);
    }
}

static enum kl_rc extreme_type(
    const char *name, struct kl_type arg, struct kl_type *ret, struct kl_err *err) {
    switch (arg.id) {
    case KL_T_NULL:
        *ret = KL_TYPE(TEXT);
        return KL_OK;
    case KL_T_SMALLINT:
    case KL_T_INT:
    case KL_T_BIGINT:
    case KL_T_DECIMAL:
    case KL_T_FLOAT:
    case KL_T_DOUBLE:
    case KL_T_TEXT:
    case KL_T_DATE:
    case KL_T_TIME:
    case KL_T_TIMESTAMP:
    case KL_T_DATETIME:
    case KL_T_INTERVAL:
        *ret = arg;
        return KL_OK;
    default:
        return no_aggregate(name, arg, err);
    }
}

enum kl_rc kl_agg_type(
    enum kl_agg_kind kind, struct kl_type arg, struct kl_type *ret, struct kl_err *err) {
    switch (kind) {
    case KL_AGG_COUNT_STAR:
    case KL_AGG_COUNT:
        *ret = KL_TYPE(BIGINT);
        return KL_OK;
    case KL_AGG_SUM:
        return sum_type(arg, ret, err);
    case KL_AGG_AVG:
        return avg_type(arg, ret, err);
    case KL_AGG_MIN:
        return extreme_type("min", arg, ret, err);
    case KL_AGG_MAX:
        return extreme_type("max", arg, ret, err);
    }
    KL_UNREACHABLE();
}

/* ---- accumulating ---- */

struct one {
    const struct kl_agg *agg;
    uint64_t count; /* of rows, or of values that are not NULL */
    __int128 exact; /* sum of integers */
    double real;
    struct kl_val best;  /* min, max; sum of decimals and intervals */
    struct kl_buf bytes; /* what `best` borrows */
};
struct kl_agg_state {
    size_t n;
    struct one each[];
};

struct kl_agg_state *kl_agg__new(const struct kl_agg *aggs, size_t n) {
    struct kl_agg_state *s = kl_xcalloc(1, sizeof(*s) + n * sizeof(s->each[0]));
    s->n = n;
    for (size_t i = 0; i < n; i++) {
        s->each[i].agg = &aggs[i];
    }
    return s;
}

void kl_agg__free(struct kl_agg_state *s) {
    for (size_t i = 0; s && i < s->n; i++) {
        kl_buf_deinit(&s->each[i].bytes);
    }
    free(s);
}

static enum kl_rc keep_best(struct one *o, const struct kl_val *v, struct kl_err *err) {
    o->best = *v;
    if (kl_type_is_varlen(v->type)) {
        kl_buf_clear(&o->bytes);
        kl_buf_append(&o->bytes, v->s, v->len);
        if (o->bytes.failed) {
            return kl_expr__no_memory(err);
        }
        o->best.s = o->bytes.data;
    }
    return KL_OK;
}

static enum kl_rc add_extreme(struct one *o, const struct kl_val *v, struct kl_err *err) {
    if (o->count > 1) {
        int c = kl_type_is_text(v->type) ? kl_slice_cmp(kl_val_slice(v), kl_val_slice(&o->best))
                                         : kl_val_cmp(v, &o->best);
        if (o->agg->kind == KL_AGG_MIN ? c >= 0 : c <= 0) {
            return KL_OK;
        }
    }
    return keep_best(o, v, err);
}

static enum kl_rc add_real(struct one *o, const struct kl_val *v, struct kl_err *err) {
    bool single = v->type == KL_T_FLOAT &&
                  o->agg->kind == KL_AGG_SUM; /* sum(float) adds up in its own precision */
    struct kl_val sum;
    KL_TRY(
        kl_expr__float_op(single ? KL_T_FLOAT : KL_T_DOUBLE, KL_OP_ADD, o->real, v->d, &sum, err));
    o->real = sum.d;
    return KL_OK;
}

static enum kl_rc add_number(struct one *o, const struct kl_val *v, struct kl_err *err) {
    switch (v->type) {
    case KL_T_FLOAT:
    case KL_T_DOUBLE:
        return add_real(o, v, err);
    case KL_T_DECIMAL:
        if (o->count == 1) {
            o->best = *v;
            return KL_OK;
        }
        return kl_expr__dec_add(kl_expr__to_dec(&o->best), kl_expr__to_dec(v), &o->best, err);
    case KL_T_INTERVAL:
        if (o->count == 1) {
            o->best = *v;
            return KL_OK;
        }
        return kl_expr__interval_op(KL_OP_ADD, o->best.iv, v->iv, &o->best, err);
    default:
        o->exact += v->i; /* 2^64 values of 2^63 fit */
        return KL_OK;
    }
}

enum kl_rc kl_agg__add(struct kl_agg_state *s, struct kl_eval *ev, struct kl_err *err) {
    for (size_t i = 0; i < s->n; i++) {
        struct one *o = &s->each[i];
        if (o->agg->kind == KL_AGG_COUNT_STAR) {
            o->count++;
            continue;
        }
        struct kl_val v;
        KL_TRY(kl_expr_eval(o->agg->arg, ev, &v, err));
        if (v.null) {
            continue;
        }
        o->count++;
        if (o->agg->kind == KL_AGG_MIN || o->agg->kind == KL_AGG_MAX) {
            KL_TRY(add_extreme(o, &v, err));
        } else if (o->agg->kind != KL_AGG_COUNT) {
            KL_TRY(add_number(o, &v, err));
        }
    }
    return KL_OK;
}

/* ---- results ---- */

static uint8_t arg_type(const struct one *o) {
    return kl_expr_type(o->agg->arg).id;
}

static enum kl_rc finish_sum(const struct one *o, struct kl_val *ret, struct kl_err *err) {
    switch (o->agg->type.id) {
    case KL_T_BIGINT:
        if (o->exact < INT64_MIN || o->exact > INT64_MAX) {
            return kl_expr__out_of_range(KL_T_BIGINT, err);
        }
        *ret = kl_val_i64((int64_t)o->exact);
        return KL_OK;
    case KL_T_FLOAT:
    case KL_T_DOUBLE:
        *ret = (struct kl_val){.type = o->agg->type.id, .d = o->real};
        return KL_OK;
    default:
        *ret = arg_type(o) == KL_T_BIGINT ? kl_val_decimal(o->exact, 0) : o->best;
        return KL_OK;
    }
}

static enum kl_rc finish_avg(const struct one *o, struct kl_val *ret, struct kl_err *err) {
    switch (arg_type(o)) {
    case KL_T_FLOAT:
    case KL_T_DOUBLE:
        *ret = kl_val_double(o->real / (double)o->count);
        return KL_OK;
    case KL_T_INTERVAL:
        return kl_expr__interval_scale(o->best.iv, (double)o->count, true, ret, err);
    case KL_T_DECIMAL:
        return kl_expr__dec_quotient(kl_expr__to_dec(&o->best),
            (struct kl_dec){(__int128)o->count, 0}, o->agg->type.scale, ret, err);
    default:
        return kl_expr__dec_quotient((struct kl_dec){o->exact, 0},
            (struct kl_dec){(__int128)o->count, 0}, o->agg->type.scale, ret, err);
    }
}

enum kl_rc kl_agg__finish(struct kl_agg_state *s, struct kl_val *ret, struct kl_err *err) {
    for (size_t i = 0; i < s->n; i++) {
        const struct one *o = &s->each[i];
        ret[i] = kl_val_null(o->agg->type.id);
        if (o->agg->kind == KL_AGG_COUNT_STAR || o->agg->kind == KL_AGG_COUNT) {
            ret[i] = kl_val_i64((int64_t)o->count);
        } else if (o->count == 0) {
            continue;
        } else if (o->agg->kind == KL_AGG_SUM) {
            KL_TRY(finish_sum(o, &ret[i], err));
        } else if (o->agg->kind == KL_AGG_AVG) {
            KL_TRY(finish_avg(o, &ret[i], err));
        } else {
            ret[i] = o->best;
            ret[i].type = o->agg->type.id;
        }
    }
    return KL_OK;
}
