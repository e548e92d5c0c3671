/* + and - on dates, times, timestamps and intervals; * and / on intervals. PostgreSQL's operators
 * and no others:
 *
 *   date +- integer = date          date - date = integer           date +- interval = timestamp
 * date + time = timestamp timestamp +- interval           timestamp - timestamp = interval (days
 * and time) time +- interval = time (wraps) time - time = interval          interval +- interval,
 * interval * / number, - interval */
#include "sql/expr_internal.h"

#include <math.h>

#define US_PER_SEC INT64_C(1000000)
#define US_PER_DAY (INT64_C(86400) * US_PER_SEC)

static enum kl_rc interval_range(struct kl_err *err) {
    return kl_expr__out_of_range(KL_T_INTERVAL, err);
}

static void set_interval(struct kl_val *ret, struct kl_interval iv) {
    *ret = (struct kl_val){.type = KL_T_INTERVAL, .iv = iv};
}

enum kl_rc kl_expr__interval_op(enum kl_expr_opcode op, struct kl_interval a, struct kl_interval b,
    struct kl_val *ret, struct kl_err *err) {
    struct kl_interval v;
    bool over;
    if (op == KL_OP_ADD) {
        over = __builtin_add_overflow(a.months, b.months, &v.months) |
               __builtin_add_overflow(a.days, b.days, &v.days) |
               __builtin_add_overflow(a.us, b.us, &v.us);
    } else {
        over = __builtin_sub_overflow(a.months, b.months, &v.months) |
               __builtin_sub_overflow(a.days, b.days, &v.days) |
               __builtin_sub_overflow(a.us, b.us, &v.us);
    }
    if (over) {
        return interval_range(err);
    }
    set_interval(ret, v);
    return KL_OK;
}

static double to_microsecond(double v) {
    return rint(v * 1e6) / 1e6;
}

static bool in_int32(double v) {
    return !isnan(v) && v >= INT32_MIN && v <= INT32_MAX;
}

/* Fractions of months become days (of 30 a month), fractions of days time. */
enum kl_rc kl_expr__interval_scale(
    struct kl_interval a, double factor, bool divide, struct kl_val *ret, struct kl_err *err) {
    if (divide && factor == 0) {
        return kl_expr__div_zero(err);
    }
    double months = divide ? a.months / factor : a.months * factor,
           days = divide ? a.days / factor : a.days * factor;
    if (!in_int32(months) || !in_int32(days)) {
        return interval_range(err);
    }
    struct kl_interval v = {.months = (int32_t)months, .days = (int32_t)days};
    double from_months = to_microsecond((months - v.months) * 30);
    double seconds = to_microsecond((days - v.days + from_months - (int)from_months) * 86400.0);
    int64_t sum = v.days;
    if (fabs(seconds) >= 86400.0) {
        sum += (int)(seconds / 86400.0);
        seconds -= (int)(seconds / 86400.0) * 86400.0;
    }
    sum += (int32_t)from_months;
    double us = rint((divide ? (double)a.us / factor : (double)a.us * factor) + seconds * 1e6);
    if (sum < INT32_MIN || sum > INT32_MAX || isnan(us) || us < -9223372036854775808.0 ||
        us >= 9223372036854775808.0) {
        return interval_range(err);
    }
    v.days = (int32_t)sum;
    v.us = (int64_t)us;
    set_interval(ret, v);
    return KL_OK;
}

/* ---- evaluating: one function an operator, arguments in the order of the table below ---- */

#define OPERANDS()                                                                                 \
    struct kl_val a, b;                                                                            \
    KL_TRY(e->args[0]->eval(e->args[0], ev, &a, err));                                             \
    KL_TRY(e->args[1]->eval(e->args[1], ev, &b, err));                                             \
    if (a.null | b.null) {                                                                         \
        *ret = kl_val_null(e->type.id);                                                            \
        return KL_OK;                                                                              \
    }

static struct kl_interval negated(struct kl_interval iv, bool *ret_over) {
    struct kl_interval v;
    *ret_over = __builtin_sub_overflow(0, iv.months, &v.months) |
                __builtin_sub_overflow(0, iv.days, &v.days) |
                __builtin_sub_overflow((int64_t)0, iv.us, &v.us);
    return v;
}

static enum kl_rc point_result(uint8_t type, int64_t v, struct kl_val *ret, struct kl_err *err) {
    int64_t first = kl_date_from_ymd(1, 1, 1), last = kl_date_from_ymd(9999, 12, 31);
    if (type != KL_T_DATE) {
        first *= US_PER_DAY;
        last = (last + 1) * US_PER_DAY - 1;
    }
    if (v < first || v > last) {
        return kl_expr__out_of_range(type, err);
    }
    *ret = kl_val_int(type, v);
    return KL_OK;
}

static enum kl_rc eval_date_int(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    OPERANDS();
    int64_t v;
    if (e->op == KL_OP_ADD ? __builtin_add_overflow(a.i, b.i, &v)
                           : __builtin_sub_overflow(a.i, b.i, &v)) {
        return kl_expr__out_of_range(KL_T_DATE, err);
    }
    return point_result(KL_T_DATE, v, ret, err);
}

static enum kl_rc eval_date_date(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    OPERANDS();
    *ret = kl_val_int(KL_T_INT, a.i - b.i);
    return KL_OK;
}

static int64_t micros(const struct kl_val *v) {
    return v->type == KL_T_DATE ? v->i * US_PER_DAY : v->i;
}

static enum kl_rc eval_point_interval(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    OPERANDS();
    bool over = false;
    struct kl_interval iv = e->op == KL_OP_SUB ? negated(b.iv, &over) : b.iv;
    int64_t us;
    if (over || kl_timestamp_add(micros(&a), iv, &us) != KL_OK) {
        return kl_expr__out_of_range(e->type.id, err);
    }
    return point_result(e->type.id, us, ret, err);
}

static enum kl_rc eval_date_time(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    OPERANDS();
    return point_result(KL_T_TIMESTAMP, micros(&a) + b.i, ret, err);
}

static enum kl_rc eval_point_point(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    OPERANDS();
    int64_t us = micros(&a) - micros(&b);
    set_interval(
        ret, (struct kl_interval){.days = (int32_t)(us / US_PER_DAY), .us = us % US_PER_DAY});
    return KL_OK;
}

static enum kl_rc eval_time_interval(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    OPERANDS();
    int64_t shift = b.iv.us % US_PER_DAY;
    int64_t v = (a.i + (e->op == KL_OP_SUB ? -shift : shift)) % US_PER_DAY;
    *ret = kl_val_int(KL_T_TIME, v < 0 ? v + US_PER_DAY : v);
    return KL_OK;
}

static enum kl_rc eval_time_time(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    OPERANDS();
    set_interval(ret, (struct kl_interval){.us = a.i - b.i});
    return KL_OK;
}

static enum kl_rc eval_intervals(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    OPERANDS();
    return kl_expr__interval_op(e->op, a.iv, b.iv, ret, err);
}

static enum kl_rc eval_scale(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    OPERANDS();
    return kl_expr__interval_scale(a.iv, kl_expr__to_double(&b), e->op == KL_OP_DIV, ret, err);
}

static enum kl_rc eval_negate(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    KL_TRY(e->args[0]->eval(e->args[0], ev, ret, err));
    if (!ret->null) {
        bool over;
        ret->iv = negated(ret->iv, &over);
        return over ? interval_range(err) : KL_OK;
    }
    return KL_OK;
}

/* ---- resolving ---- */

/* Classes: D date, P timestamp or datetime, t time, v interval, i integer, n number, ? untyped, -
 * anything else. */
static char class_of(const struct kl_expr *e) {
    switch (e->type.id) {
    case KL_T_DATE:
        return 'D';
    case KL_T_TIMESTAMP:
    case KL_T_DATETIME:
        return 'P';
    case KL_T_TIME:
        return 't';
    case KL_T_INTERVAL:
        return 'v';
    case KL_T_NULL:
        return '?';
    default:
        return kl_type_is_integer(e->type.id) ? 'i' : kl_type_is_number(e->type.id) ? 'n' : '-';
    }
}

/* What an untyped operand becomes: the other side's type when such an operator exists, else the
 * only candidate. */
static struct kl_type untyped_becomes(enum kl_expr_opcode op, const struct kl_expr *other) {
    switch (class_of(other)) {
    case 'P':
        return op == KL_OP_ADD ? KL_TYPE(INTERVAL) : other->type;
    case 'v':
        return op == KL_OP_MUL || op == KL_OP_DIV ? KL_TYPE(DOUBLE) : KL_TYPE(INTERVAL);
    case 'D':
    case 't':
        return op == KL_OP_SUB ? other->type : KL_TYPE(NULL); /* + has several candidates */
    default:
        return KL_TYPE(NULL);
    }
}

#define AS_LEFT 0 /* result type of the left operand */
static const struct {
    char left, right;
    const char *ops;
    uint8_t result;
    kl_expr_eval_fn *eval;
} rules[] = {
    {'D', 'i', "+-", KL_T_DATE, eval_date_int},
    {'D', 'D', "-", KL_T_INT, eval_date_date},
    {'D', 'v', "+-", KL_T_TIMESTAMP, eval_point_interval},
    {'D', 't', "+", KL_T_TIMESTAMP, eval_date_time},
    {'P', 'v', "+-", AS_LEFT, eval_point_interval},
    {'P', 'P', "-", KL_T_INTERVAL, eval_point_point},
    {'P', 'D', "-", KL_T_INTERVAL, eval_point_point},
    {'D', 'P', "-", KL_T_INTERVAL, eval_point_point},
    {'t', 'v', "+-", KL_T_TIME, eval_time_interval},
    {'t', 't', "-", KL_T_INTERVAL, eval_time_time},
    {'v', 'v', "+-", KL_T_INTERVAL, eval_intervals},
    {'v', 'i', "*/", KL_T_INTERVAL, eval_scale},
    {'v', 'n', "*/", KL_T_INTERVAL, eval_scale},
};

static bool apply_rule(struct kl_expr_builder *b, enum kl_expr_opcode op, struct kl_expr *l,
    struct kl_expr *r, struct kl_expr **ret, enum kl_rc *ret_rc, struct kl_err *err) {
    char left = class_of(l), right = class_of(r);
    const char *text = kl_expr__op_text(op);
    for (size_t i = 0; i < KL_LEN(rules); i++) {
        if (rules[i].left != left || rules[i].right != right || !strchr(rules[i].ops, text[0])) {
            continue;
        }
        struct kl_expr *args[2] = {l, r}, *e;
        struct kl_type type =
            rules[i].result == AS_LEFT ? l->type : (struct kl_type){.id = rules[i].result};
        *ret_rc = kl_expr__node(b, KL_EXPR_KIND_OP, type, args, 2, &e, err);
        if (*ret_rc == KL_OK) {
            e->op = (uint8_t)op;
            e->eval = rules[i].eval;
            *ret = kl_expr__finish(b, e);
        }
        return true;
    }
    return false;
}

static enum kl_rc negate_node(
    struct kl_expr_builder *b, struct kl_expr *arg, struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *e;
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_OP, KL_TYPE(INTERVAL), &arg, 1, &e, err));
    e->op = KL_OP_NEG;
    e->eval = eval_negate;
    *ret = kl_expr__finish(b, e);
    return KL_OK;
}

enum kl_rc kl_expr__temporal(struct kl_expr_builder *b, enum kl_expr_opcode op, struct kl_expr *l,
    struct kl_expr *r, int position, struct kl_expr **ret, bool *ret_match, struct kl_err *err) {
    *ret_match = false;
    if (!l) {
        if (op != KL_OP_NEG || r->type.id != KL_T_INTERVAL) {
            return KL_OK;
        }
        *ret_match = true;
        return negate_node(b, r, ret, err);
    }
    if (op == KL_OP_MOD || op == KL_OP_POW) {
        return KL_OK;
    }
    if (kl_expr__is_unknown(l) || kl_expr__is_unknown(r)) {
        struct kl_expr **open = kl_expr__is_unknown(l) ? &l : &r;
        struct kl_type to = untyped_becomes(op, open == &l ? r : l);
        if (to.id == KL_T_NULL) {
            return KL_OK;
        }
        KL_TRY(kl_expr__coerce(b, *open, to, position, open, err));
    }
    enum kl_rc rc = KL_OK;
    *ret_match = apply_rule(b, op, l, r, ret, &rc, err);
    if (!*ret_match && (op == KL_OP_ADD || op == KL_OP_MUL)) { /* these two commute */
        *ret_match = apply_rule(b, op, r, l, ret, &rc, err);
    }
    return rc;
}
