/* Calls: scalar functions by name, PostgreSQL's value functions without parentheses, plain
 * aggregates. */
#include "sql/bind_internal.h"

struct kl_slice kl_sql__func_name(const PgQuery__FuncCall *f) {
    const PgQuery__Node *last = f->n_funcname > 0 ? f->funcname[f->n_funcname - 1] : NULL;
    if (!last || last->node_case != PG_QUERY__NODE__NODE_STRING) {
        return KL_S("");
    }
    if (f->n_funcname > 1) {
        const PgQuery__Node *schema = f->funcname[f->n_funcname - 2];
        if (f->n_funcname > 2 || schema->node_case != PG_QUERY__NODE__NODE_STRING ||
            strcmp(schema->string->sval, "pg_catalog") != 0) {
            return KL_S("");
        }
    }
    return kl_sql__pgstr(last->string->sval);
}

static bool aggregate_kind(struct kl_slice name, bool star, enum kl_agg_kind *ret) {
    static const struct {
        const char *name;
        enum kl_agg_kind kind;
    } known[] = {{"count", KL_AGG_COUNT}, {"sum", KL_AGG_SUM}, {"min", KL_AGG_MIN},
        {"max", KL_AGG_MAX}, {"avg", KL_AGG_AVG}};
    for (size_t i = 0; i < KL_LEN(known); i++) {
        if (kl_slice_eq_str(name, known[i].name)) {
            *ret = star ? KL_AGG_COUNT_STAR : known[i].kind;
            return !star || known[i].kind == KL_AGG_COUNT;
        }
    }
    return false;
}

/* ---- looking for aggregates ---- */
static bool any(PgQuery__Node *const *nodes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (kl_sql__has_aggregate(nodes[i])) {
            return true;
        }
    }
    return false;
}

bool kl_sql__has_aggregate(const PgQuery__Node *n) {
    enum kl_agg_kind kind;
    if (!n) {
        return false;
    }
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return (!n->func_call->over && aggregate_kind(kl_sql__func_name(n->func_call),
                                           n->func_call->agg_star, &kind)) ||
               any(n->func_call->args, n->func_call->n_args);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return kl_sql__has_aggregate(n->a_expr->lexpr) || kl_sql__has_aggregate(n->a_expr->rexpr);
    case PG_QUERY__NODE__NODE_LIST:
        return any(n->list->items, n->list->n_items);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return any(n->bool_expr->args, n->bool_expr->n_args);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return kl_sql__has_aggregate(n->null_test->arg);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return kl_sql__has_aggregate(n->boolean_test->arg);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return kl_sql__has_aggregate(n->type_cast->arg);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return any(n->coalesce_expr->args, n->coalesce_expr->n_args);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return any(n->min_max_expr->args, n->min_max_expr->n_args);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return kl_sql__has_aggregate(n->case_expr->arg) ||
               any(n->case_expr->args, n->case_expr->n_args) ||
               kl_sql__has_aggregate(n->case_expr->defresult);
    case PG_QUERY__NODE__NODE_CASE_WHEN:
        return kl_sql__has_aggregate(n->case_when->expr) ||
               kl_sql__has_aggregate(n->case_when->result);
    default:
        return false;
    }
}

/* ---- aggregates ---- */
static enum kl_rc add_aggregate(struct kl_binder *b, const struct kl_agg *agg, struct kl_err *err) {
    struct kl_agg *grown = KL_ARENA_ARRAY(b->eb.arena, struct kl_agg, b->n_aggs + 1);
    if (!grown) {
        return kl_sql__no_room(err);
    }
    if (b->n_aggs > 0) {
        memcpy(grown, b->aggs, b->n_aggs * sizeof(*grown));
    }
    grown[b->n_aggs++] = *agg;
    b->aggs = grown;
    return KL_OK;
}

/* The call becomes a slot of the row of aggregate results. */
static enum kl_rc bind_aggregate(struct kl_binder *b, const PgQuery__FuncCall *f,
    enum kl_agg_kind kind, struct kl_expr **ret, struct kl_err *err) {
    int at = kl_sql__at(b, f->location);
    struct kl_agg agg = {.kind = kind};
    struct kl_type arg_type = KL_TYPE(NULL);
    if (b->n_aggs == 256) {
        return kl_fail_at(err, KL_E_UNSUPPORTED, at, "too many aggregates");
    }
    if (kind != KL_AGG_COUNT_STAR) {
        struct kl_expr *arg;
        if (f->n_args != 1) {
            return kl_fail_at(err, KL_E_INVALID_SQL, at, "aggregate %.*s takes one argument",
                KL_FMT(kl_sql__func_name(f)));
        }
        b->collect_aggs = false;
        enum kl_rc rc =
            kl_sql__has_aggregate(f->args[0])
                ? kl_fail_at(err, KL_E_INVALID_SQL, at, "aggregate function calls cannot be nested")
                : kl_sql__bind_expr(b, f->args[0], &arg, err);
        b->collect_aggs = true;
        KL_TRY(rc);
        agg.arg = arg;
        arg_type = kl_expr_type(arg);
    }
    KL_TRY(kl_agg_type(kind, arg_type, &agg.type, err));
    KL_TRY(add_aggregate(b, &agg, err));
    bool counts = kind == KL_AGG_COUNT_STAR || kind == KL_AGG_COUNT;
    return kl_expr_slot(&b->eb, (unsigned)b->n_aggs - 1, agg.type, !counts, ret, err);
}

static bool is_clock(struct kl_slice name) {
    static const char *const names[] = {"now", "current_timestamp", "current_date", "current_time",
        "localtime", "localtimestamp", "transaction_timestamp", "statement_timestamp",
        "clock_timestamp", "timeofday", "age"};
    for (size_t i = 0; i < KL_LEN(names); i++) {
        if (kl_slice_eq_str(name, names[i])) {
            return true;
        }
    }
    return false;
}

/* make_interval(days => 10): the other parts are 0. */
enum kl_rc kl_sql__named_args(const PgQuery__FuncCall *f, struct kl_arena *arena, int position,
    PgQuery__Node ***ret, size_t *ret_n, struct kl_err *err) {
    static const char *const names[] = {
        "years", "months", "weeks", "days", "hours", "mins", "secs"};
    bool named =
        f->n_args > 0 && f->args[f->n_args - 1]->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR;
    *ret = f->args;
    *ret_n = f->n_args;
    if (!named) {
        return KL_OK;
    }
    PgQuery__Node **args = KL_ARENA_ARRAY(arena, PgQuery__Node *, KL_LEN(names));
    PgQuery__Node *zero = KL_ARENA_NEW(arena, PgQuery__Node);
    PgQuery__AConst *number = KL_ARENA_NEW(arena, PgQuery__AConst);
    PgQuery__Integer *value = KL_ARENA_NEW(arena, PgQuery__Integer);
    if (!args || !zero || !number || !value) {
        return kl_sql__no_room(err);
    }
    pg_query__node__init(zero);
    pg_query__a__const__init(number);
    pg_query__integer__init(value);
    number->val_case = PG_QUERY__A__CONST__VAL_IVAL;
    number->ival = value;
    zero->node_case = PG_QUERY__NODE__NODE_A_CONST;
    zero->a_const = number;
    bool ok = kl_slice_eq_str(kl_sql__func_name(f), "make_interval");
    for (size_t i = 0; i < KL_LEN(names); i++) {
        args[i] = zero;
    }
    for (size_t i = 0; ok && i < f->n_args; i++) {
        size_t at = i;
        PgQuery__Node *arg = f->args[i];
        if (arg->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR) {
            for (at = 0; at < KL_LEN(names) && strcmp(names[at], arg->named_arg_expr->name) != 0;) {
                at++;
            }
            arg = arg->named_arg_expr->arg;
        }
        ok = at < KL_LEN(names) && args[at] == zero;
        if (ok) {
            args[at] = arg;
        }
    }
    *ret = args;
    *ret_n = KL_LEN(names);
    return ok ? KL_OK
              : kl_fail_at(err, KL_E_UNSUPPORTED, position, "a named argument is not supported");
}

/* Aggregates and window functions that only DuckDB has, when only the type is asked for. '1': that of
 * the first argument. */
static bool duck_only(
    struct kl_binder *b, const PgQuery__FuncCall *f, struct kl_slice name, struct kl_type *ret) {
    static const struct {
        const char *name;
        uint8_t type;
    } known[] = {{"percentile_cont", KL_T_DOUBLE}, {"stddev", KL_T_DOUBLE},
        {"stddev_samp", KL_T_DOUBLE}, {"stddev_pop", KL_T_DOUBLE}, {"variance", KL_T_DOUBLE},
        {"var_samp", KL_T_DOUBLE}, {"var_pop", KL_T_DOUBLE}, {"corr", KL_T_DOUBLE},
        {"covar_pop", KL_T_DOUBLE}, {"covar_samp", KL_T_DOUBLE}, {"regr_slope", KL_T_DOUBLE},
        {"regr_intercept", KL_T_DOUBLE}, {"regr_r2", KL_T_DOUBLE}, {"regr_avgx", KL_T_DOUBLE},
        {"regr_avgy", KL_T_DOUBLE}, {"regr_sxx", KL_T_DOUBLE}, {"regr_syy", KL_T_DOUBLE},
        {"regr_sxy", KL_T_DOUBLE}, {"percent_rank", KL_T_DOUBLE}, {"cume_dist", KL_T_DOUBLE},
        {"row_number", KL_T_BIGINT}, {"rank", KL_T_BIGINT}, {"dense_rank", KL_T_BIGINT},
        {"ntile", KL_T_BIGINT}, {"string_agg", KL_T_TEXT}, {"bool_and", KL_T_BOOLEAN},
        {"bool_or", KL_T_BOOLEAN}, {"every", KL_T_BOOLEAN}, {"lag", KL_T_NULL}, {"lead", KL_T_NULL},
        {"first_value", KL_T_NULL}, {"last_value", KL_T_NULL}, {"nth_value", KL_T_NULL},
        {"any_value", KL_T_NULL}};
    for (size_t i = 0; i < KL_LEN(known); i++) {
        if (!kl_slice_eq_str(name, known[i].name)) {
            continue;
        }
        struct kl_expr *arg;
        struct kl_err ignored = {0};
        *ret = (struct kl_type){.id = known[i].type};
        if (known[i].type == KL_T_NULL && f->n_args > 0 &&
            kl_sql__bind_expr(b, f->args[0], &arg, &ignored) == KL_OK) {
            *ret = kl_expr_type(arg);
        }
        return ret->id != KL_T_NULL;
    }
    return false;
}

enum kl_rc kl_sql__bind_call(
    struct kl_binder *b, const PgQuery__FuncCall *f, struct kl_expr **ret, struct kl_err *err) {
    int at = kl_sql__at(b, f->location);
    struct kl_slice name = kl_sql__func_name(f);
    enum kl_agg_kind kind;
    bool aggregate = aggregate_kind(name, f->agg_star, &kind);
    struct kl_type known;
    if (b->column_type && !aggregate && duck_only(b, f, name, &known)) {
        return kl_expr_slot(&b->eb, 0, known, true, ret, err);
    }
    bool plain = !f->over && !f->agg_filter && f->n_agg_order == 0 && !f->agg_distinct;
    if ((!plain && !(b->column_type && aggregate)) || f->agg_within_group || f->func_variadic ||
        name.len == 0) {
        return kl_fail_at(
            err, KL_E_UNSUPPORTED, at, "this form of function call is not supported here");
    }
    if (aggregate) {
        if (!b->collect_aggs) {
            return kl_fail_at(err, KL_E_INVALID_SQL, at,
                "aggregate functions are not allowed in %s",
                b->no_columns ? b->no_columns : "WHERE");
        }
        return bind_aggregate(b, f, kind, ret, err);
    }
    if (f->agg_star) {
        return kl_fail_at(
            err, KL_E_INVALID_SQL, at, "%.*s(*) is not an aggregate function", KL_FMT(name));
    }
    if (!kl_expr_has_function(name)) { /* maybe an aggregate: its arguments would be misread */
        return kl_fail_at(err, KL_E_UNSUPPORTED, at, "the function %.*s() has no native form",
            KL_FMT(name));
    }
    b->uses_clock |= is_clock(name);
    PgQuery__Node **given;
    size_t n;
    KL_TRY(kl_sql__named_args(f, b->eb.arena, at, &given, &n, err));
    struct kl_expr **args = KL_ARENA_ARRAY(b->eb.arena, struct kl_expr *, n + 1);
    if (!args) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; i < n; i++) {
        KL_TRY(kl_sql__bind_expr(b, given[i], &args[i], err));
    }
    return kl_expr_call(&b->eb, name, args, n, at, ret, err);
}

enum kl_rc kl_sql__bind_value_function(struct kl_binder *b, const PgQuery__SQLValueFunction *f,
    struct kl_expr **ret, struct kl_err *err) {
    struct kl_slice name;
    switch (f->op) {
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE:
        name = KL_S("current_date");
        break;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME:
        name = KL_S("current_time");
        break;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP:
        name = KL_S("current_timestamp");
        break;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME:
        name = KL_S("localtime");
        break;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP:
        name = KL_S("localtimestamp");
        break;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE:
        name = KL_S("current_role");
        break;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_USER:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER:
        name = KL_S("current_user");
        break;
    default:
        return kl_fail_at(
            err, KL_E_UNSUPPORTED, kl_sql__at(b, f->location), "this function is not supported");
    }
    b->uses_clock |= is_clock(name);
    return kl_expr_call(&b->eb, name, NULL, 0, kl_sql__at(b, f->location), ret, err);
}
