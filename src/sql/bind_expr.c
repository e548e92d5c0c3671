/* Scalar expressions of PostgreSQL's tree into our own. What has no native form is
 * KL_E_UNSUPPORTED; the caller then turns to DuckDB or refuses. Recursion is bounded by the guard
 * in front of the parser (scan_guard.c). */
#include "sql/bind_internal.h"
#include "sql/duck_print_internal.h"
#include "sql/expr_internal.h"

static enum kl_rc unsupported(
    struct kl_binder *b, int location, struct kl_err *err, const char *what) {
    return kl_fail_at(
        err, KL_E_UNSUPPORTED, kl_sql__at(b, location), "%s is not supported here", what);
}

/* ---- constants and parameters ---- */
static enum kl_rc number_const(
    struct kl_binder *b, const char *text, int location, struct kl_expr **ret, struct kl_err *err) {
    struct kl_slice s = kl_slice_str(text);
    bool negative = s.len > 0 && s.ptr[0] == '-';
    struct kl_val v;
    if (kl_sql__number(kl_slice_from(s, negative), negative, &v) != KL_OK) {
        return kl_fail_at(err, KL_E_TYPE, kl_sql__at(b, location),
            "number \"%.*s\" has more than 38 digits", KL_FMT(s));
    }
    return kl_expr_const(&b->eb, v, ret, err);
}

static enum kl_rc bit_const(
    struct kl_binder *b, const char *text, int location, struct kl_expr **ret, struct kl_err *err) {
    struct kl_val v;
    if (text[0] != 'x') {
        return unsupported(b, location, err, "a bit string");
    }
    enum kl_rc rc = kl_sql__bytes(kl_slice_str(text + 1), b->eb.arena, &v);
    if (rc == KL_E_INVALID_SQL) {
        return kl_fail_at(err, rc, kl_sql__at(b, location),
            "\"%s\" is not a valid hexadecimal byte string", text + 1);
    }
    return rc == KL_OK ? kl_expr_const(&b->eb, v, ret, err) : kl_sql__no_room(err);
}

static enum kl_rc bind_const(
    struct kl_binder *b, const PgQuery__AConst *c, struct kl_expr **ret, struct kl_err *err) {
    if (c->isnull) {
        return kl_expr_const(&b->eb, kl_val_null(KL_T_NULL), ret, err);
    }
    switch (c->val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
        return kl_expr_const(&b->eb, kl_val_i64(c->ival->ival), ret, err);
    case PG_QUERY__A__CONST__VAL_FVAL:
        return number_const(b, c->fval->fval, c->location, ret, err);
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
        return kl_expr_const(&b->eb, kl_val_bool(c->boolval->boolval), ret, err);
    case PG_QUERY__A__CONST__VAL_SVAL: {
        struct kl_slice s = kl_arena_dup(b->eb.arena, kl_sql__pgstr(c->sval->sval));
        if (!s.ptr) {
            return kl_sql__no_room(err);
        }
        struct kl_val v = kl_val_text(s);
        v.flags = KL_VAL_UNKNOWN;
        KL_TRY(kl_expr_const(&b->eb, v, ret, err));
        (*ret)->position = kl_sql__at(b, c->location);
        return KL_OK;
    }
    case PG_QUERY__A__CONST__VAL_BSVAL:
        return bit_const(b, c->bsval->bsval, c->location, ret, err);
    default:
        return unsupported(b, c->location, err, "this literal");
    }
}

static enum kl_rc bind_param(
    struct kl_binder *b, const PgQuery__ParamRef *p, struct kl_expr **ret, struct kl_err *err) {
    if (p->number < 1 || (unsigned)p->number > b->n_types) {
        return kl_fail_at(err, KL_E_INVALID_PARAMETER, kl_sql__at(b, p->location),
            "Parameter $%d has no value (%u given)", p->number, b->n_types);
    }
    return kl_expr_param(&b->eb, (unsigned)p->number - 1, b->types[p->number - 1], ret, err);
}

/* ---- columns ---- */
enum kl_rc kl_sql__bind_slot(
    struct kl_binder *b, int col, struct kl_expr **ret, struct kl_err *err) {
    const struct kl_table *t = b->table;
    if (col == KL_COL_DELETED && b->deleted_is_false) {
        return kl_expr_const(&b->eb, kl_val_bool(false), ret, err);
    }
    size_t place = col >= 0 ? (size_t)col : col == KL_COL_SEQ ? t->n_cols : t->n_cols + 1;
    if (b->slot_of[place] == 0) {
        b->slots[b->n_slots++] = (int16_t)col;
        b->slot_of[place] = (uint16_t)b->n_slots;
    }
    struct kl_type type = col >= 0            ? t->cols[col].type
                          : col == KL_COL_SEQ ? KL_TYPE(BIGINT)
                                              : KL_TYPE(BOOLEAN);
    bool nullable = col >= 0 && t->cols[col].nullable;
    return kl_expr_slot(&b->eb, b->slot_of[place] - 1u, type, nullable, ret, err);
}

/* Is this qualifier (of one or two names) that of the relation in scope? */
static bool names_relation(const struct kl_binder *b, const struct kl_slice *q, size_t n) {
    const char *name = b->table->name;
    if (n == 1) {
        return b->has_alias ? kl_slice_ieq(q[0], b->alias) : kl_slice_ieq_str(q[0], name);
    }
    return !b->has_alias && kl_slice_ieq_str(q[n - 1], name) &&
           kl_slice_ieq_str(q[n - 2], b->table->ns) &&
           (n == 2 || kl_slice_ieq(q[0], KL_S("kalam")));
}

enum kl_rc kl_sql__bind_column(
    struct kl_binder *b, const PgQuery__ColumnRef *ref, int *ret_col, struct kl_err *err) {
    struct kl_slice parts[4];
    size_t n = ref->n_fields;
    int at = kl_sql__at(b, ref->location);
    if (n < 1 || n > 4) {
        return kl_fail_at(
            err, KL_E_INVALID_SQL, at, "improper qualified name (too many dotted names)");
    }
    for (size_t i = 0; i < n; i++) {
        if (ref->fields[i]->node_case != PG_QUERY__NODE__NODE_STRING) {
            return unsupported(b, ref->location, err, "a row reference");
        }
        parts[i] = kl_sql__pgstr(ref->fields[i]->string->sval);
    }
    if (b->no_columns) {
        return kl_fail_at(err, KL_E_INVALID_SQL, at, "column \"%.*s\" cannot be used in %s",
            KL_FMT(parts[n - 1]), b->no_columns);
    }
    if (!b->table) {
        return kl_fail_at(
            err, KL_E_EXEC, at, "column \"%.*s\" does not exist", KL_FMT(parts[n - 1]));
    }
    if (n > 1 && !names_relation(b, parts, n - 1)) {
        return kl_fail_at(err, KL_E_EXEC, at, "missing FROM-clause entry for table \"%.*s\"",
            KL_FMT(parts[n - 2]));
    }
    int col = kl_sql__column(b->table, parts[n - 1]);
    if (col == KL_COL_NONE) {
        return kl_sql__no_column(
            b->table, n > 1 ? parts[n - 2] : KL_SLICE_NONE, parts[n - 1], at, err);
    }
    *ret_col = col;
    return KL_OK;
}

/* In ON CONFLICT DO UPDATE. As in PostgreSQL, a bare name could be either row's. */
static enum kl_rc bind_excluded(struct kl_binder *b, const PgQuery__ColumnRef *ref,
    struct kl_expr **ret, bool *ret_is, struct kl_err *err) {
    const PgQuery__Node *first = ref->n_fields > 0 ? ref->fields[0] : NULL,
                        *last = ref->n_fields > 0 ? ref->fields[ref->n_fields - 1] : NULL;
    bool names = ref->n_fields <= 2 && last && last->node_case == PG_QUERY__NODE__NODE_STRING &&
                 first->node_case == PG_QUERY__NODE__NODE_STRING;
    int at = kl_sql__at(b, ref->location);
    *ret_is = false;
    if (!b->excluded || !names) {
        return KL_OK;
    }
    struct kl_slice name = kl_sql__pgstr(last->string->sval);
    int col = kl_sql__column(b->table, name);
    if (ref->n_fields == 1) {
        return col >= 0 ? kl_fail_at(err, KL_E_EXEC, at, "column reference \"%.*s\" is ambiguous",
                              KL_FMT(name))
                        : KL_OK;
    }
    if (!kl_slice_ieq(kl_sql__pgstr(first->string->sval), KL_S("excluded"))) {
        return KL_OK;
    }
    if (col < 0) {
        return kl_fail_at(err, KL_E_EXEC, at, "column excluded.%.*s does not exist", KL_FMT(name));
    }
    *ret_is = true;
    const struct kl_column *c = &b->table->cols[col];
    unsigned slot = (unsigned)(b->table->n_cols + 1 + (size_t)col);
    return kl_expr_slot(&b->eb, slot, c->type, c->nullable, ret, err);
}

static enum kl_rc bind_column_ref(
    struct kl_binder *b, const PgQuery__ColumnRef *ref, struct kl_expr **ret, struct kl_err *err) {
    int col;
    if (b->column_type) {
        struct kl_type t = b->column_type(b->column_ctx, ref);
        return t.id == KL_T_NULL ? unsupported(b, ref->location, err, "a column of unknown type")
                                 : kl_expr_slot(&b->eb, 0, t, true, ret, err);
    }
    bool excluded;
    KL_TRY(bind_excluded(b, ref, ret, &excluded, err));
    if (excluded) {
        return KL_OK;
    }
    KL_TRY(kl_sql__bind_column(b, ref, &col, err));
    if (b->collect_aggs) {
        return kl_fail_at(err, KL_E_EXEC, kl_sql__at(b, ref->location),
            "column \"%s\" must appear in the GROUP BY clause or be used in an aggregate function",
            kl_sql__sink_col(b->table, col).name.ptr);
    }
    return kl_sql__bind_slot(b, col, ret, err);
}

bool kl_sql__is_star(const PgQuery__Node *val, const PgQuery__ColumnRef **ret_ref) {
    if (!val || val->node_case != PG_QUERY__NODE__NODE_COLUMN_REF) {
        return false;
    }
    const PgQuery__ColumnRef *ref = val->column_ref;
    *ret_ref = ref;
    return ref->n_fields > 0 &&
           ref->fields[ref->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

/* ---- lists ---- */
static enum kl_rc bind_list(struct kl_binder *b, PgQuery__Node *const *nodes, size_t n,
    struct kl_expr ***ret, struct kl_err *err) {
    struct kl_expr **list = KL_ARENA_ARRAY(b->eb.arena, struct kl_expr *, n + 1);
    if (!list) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; i < n; i++) {
        KL_TRY(kl_sql__bind_expr(b, nodes[i], &list[i], err));
    }
    *ret = list;
    return KL_OK;
}

static bool is_list(const PgQuery__Node *n) {
    return n && n->node_case == PG_QUERY__NODE__NODE_LIST;
}

/* ---- operators ---- */
static struct kl_slice op_name(const PgQuery__AExpr *e) {
    const PgQuery__Node *last = e->n_name > 0 ? e->name[e->n_name - 1] : NULL;
    return last && last->node_case == PG_QUERY__NODE__NODE_STRING
               ? kl_sql__pgstr(last->string->sval)
               : KL_S("");
}

/* json ?| ARRAY['a', 'b'], ?& likewise: the keys are arguments. */
static enum kl_rc bind_keys(struct kl_binder *b, const PgQuery__AExpr *e, struct kl_expr *json,
    struct kl_expr **ret, struct kl_err *err) {
    const PgQuery__AArrayExpr *keys = e->rexpr->a_array_expr;
    struct kl_slice name = op_name(e);
    struct kl_expr **args = KL_ARENA_ARRAY(b->eb.arena, struct kl_expr *, keys->n_elements + 1);
    bool any = kl_slice_eq_str(name, "?|"), all = kl_slice_eq_str(name, "?&");
    if ((!any && !all) || keys->n_elements == 0) {
        return unsupported(b, e->location, err, "an array");
    }
    if (!args) {
        return kl_sql__no_room(err);
    }
    args[0] = json;
    for (size_t i = 0; i < keys->n_elements; i++) {
        KL_TRY(kl_sql__bind_expr(b, keys->elements[i], &args[i + 1], err));
    }
    return kl_expr_call(&b->eb, any ? KL_S("?|*") : KL_S("?&*"), args, keys->n_elements + 1,
        kl_sql__at(b, e->location), ret, err);
}

static enum kl_rc bind_op(
    struct kl_binder *b, const PgQuery__AExpr *e, struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *l = NULL, *r;
    if (e->lexpr) {
        KL_TRY(kl_sql__bind_expr(b, e->lexpr, &l, err));
    }
    if (!e->rexpr) {
        return unsupported(b, e->location, err, "a postfix operator");
    }
    if (l && e->rexpr->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR) {
        return bind_keys(b, e, l, ret, err);
    }
    KL_TRY(kl_sql__bind_expr(b, e->rexpr, &r, err));
    return kl_expr_op(&b->eb, op_name(e), l, r, kl_sql__at(b, e->location), ret, err);
}

static enum kl_rc bind_in(struct kl_binder *b, const PgQuery__AExpr *e, PgQuery__Node *const *items,
    size_t n, struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *arg, **list;
    KL_TRY(kl_sql__bind_expr(b, e->lexpr, &arg, err));
    KL_TRY(bind_list(b, items, n, &list, err));
    return kl_expr_in(&b->eb, kl_slice_eq_str(op_name(e), "<>"), arg, list, n,
        kl_sql__at(b, e->location), ret, err);
}

/* x = ANY(ARRAY[..]) is x IN (..); x <> ALL(ARRAY[..]) is x NOT IN (..). */
static enum kl_rc bind_any(struct kl_binder *b, const PgQuery__AExpr *e, bool all,
    struct kl_expr **ret, struct kl_err *err) {
    const PgQuery__Node *r = e->rexpr;
    bool fits = kl_slice_eq_str(op_name(e), all ? "<>" : "=") && r &&
                r->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR &&
                r->a_array_expr->n_elements > 0;
    if (!fits) {
        return unsupported(b, e->location, err, all ? "ALL over an array" : "ANY over an array");
    }
    return bind_in(b, e, r->a_array_expr->elements, r->a_array_expr->n_elements, ret, err);
}

static enum kl_rc bind_like(struct kl_binder *b, const PgQuery__AExpr *e, bool fold,
    struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *arg, *pattern, *escape = NULL;
    const PgQuery__Node *p = e->rexpr;
    KL_TRY(kl_sql__bind_expr(b, e->lexpr, &arg, err));
    /* LIKE p ESCAPE e arrives as pg_catalog.like_escape(p, e). */
    if (p && p->node_case == PG_QUERY__NODE__NODE_FUNC_CALL && p->func_call->n_args == 2 &&
        kl_slice_eq_str(kl_sql__func_name(p->func_call), "like_escape")) {
        KL_TRY(kl_sql__bind_expr(b, p->func_call->args[1], &escape, err));
        p = p->func_call->args[0];
    }
    KL_TRY(kl_sql__bind_expr(b, p, &pattern, err));
    bool negate = op_name(e).len > 0 && op_name(e).ptr[0] == '!';
    return kl_expr_like(
        &b->eb, negate, fold, arg, pattern, escape, kl_sql__at(b, e->location), ret, err);
}

/* a SIMILAR TO p [ESCAPE e] arrives as a operator over pg_catalog.similar_to_escape(p[, e]). */
static enum kl_rc bind_similar(
    struct kl_binder *b, const PgQuery__AExpr *e, struct kl_expr **ret, struct kl_err *err) {
    const PgQuery__Node *p = e->rexpr;
    struct kl_expr *args[3];
    int at = kl_sql__at(b, e->location);
    if (!p || p->node_case != PG_QUERY__NODE__NODE_FUNC_CALL || p->func_call->n_args < 1 ||
        p->func_call->n_args > 2) {
        return unsupported(b, e->location, err, "this SIMILAR TO");
    }
    KL_TRY(kl_sql__bind_expr(b, e->lexpr, &args[0], err));
    for (size_t i = 0; i < p->func_call->n_args; i++) {
        KL_TRY(kl_sql__bind_expr(b, p->func_call->args[i], &args[i + 1], err));
    }
    KL_TRY(kl_expr_call(
        &b->eb, KL_S("similar_to"), args, p->func_call->n_args + 1, at, ret, err));
    if (op_name(e).len > 0 && op_name(e).ptr[0] == '!') {
        return kl_expr_logic(&b->eb, KL_EXPR_NOT, ret, 1, at, ret, err);
    }
    return KL_OK;
}

static enum kl_rc bind_between(struct kl_binder *b, const PgQuery__AExpr *e, bool negate,
    struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *arg, **range;
    if (!is_list(e->rexpr) || e->rexpr->list->n_items != 2) {
        return unsupported(b, e->location, err, "this BETWEEN");
    }
    KL_TRY(kl_sql__bind_expr(b, e->lexpr, &arg, err));
    KL_TRY(bind_list(b, e->rexpr->list->items, 2, &range, err));
    return kl_expr_between(
        &b->eb, negate, arg, range[0], range[1], kl_sql__at(b, e->location), ret, err);
}

static enum kl_rc bind_pair(
    struct kl_binder *b, const PgQuery__AExpr *e, struct kl_expr **pair, struct kl_err *err) {
    KL_TRY(kl_sql__bind_expr(b, e->lexpr, &pair[0], err));
    return kl_sql__bind_expr(b, e->rexpr, &pair[1], err);
}

static enum kl_rc bind_a_expr(
    struct kl_binder *b, const PgQuery__AExpr *e, struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *pair[2];
    int at = kl_sql__at(b, e->location);
    switch (e->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
        return bind_op(b, e, ret, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
        return bind_any(b, e, false, ret, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL:
        return bind_any(b, e, true, ret, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
        KL_TRY(bind_pair(b, e, pair, err));
        return kl_expr_distinct(&b->eb, e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT,
            pair[0], pair[1], at, ret, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF:
        KL_TRY(bind_pair(b, e, pair, err));
        return kl_expr_call(&b->eb, KL_S("nullif"), pair, 2, at, ret, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
        if (!is_list(e->rexpr)) {
            return unsupported(b, e->location, err, "this IN");
        }
        return bind_in(b, e, e->rexpr->list->items, e->rexpr->list->n_items, ret, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
        return bind_like(b, e, false, ret, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE:
        return bind_like(b, e, true, ret, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR:
        return bind_similar(b, e, ret, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
        return bind_between(b, e, false, ret, err);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
        return bind_between(b, e, true, ret, err);
    default:
        return unsupported(b, e->location, err, "this operator");
    }
}

/* ---- logic and tests ---- */
static enum kl_rc bind_bool(
    struct kl_binder *b, const PgQuery__BoolExpr *e, struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr **args;
    enum kl_expr_bool op = e->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR  ? KL_EXPR_AND
                           : e->boolop == PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR ? KL_EXPR_OR
                                                                            : KL_EXPR_NOT;
    KL_TRY(bind_list(b, e->args, e->n_args, &args, err));
    return kl_expr_logic(&b->eb, op, args, e->n_args, kl_sql__at(b, e->location), ret, err);
}

static enum kl_rc bind_null_test(
    struct kl_binder *b, const PgQuery__NullTest *t, struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *arg;
    if (t->argisrow || (t->arg && t->arg->node_case == PG_QUERY__NODE__NODE_ROW_EXPR)) {
        return unsupported(b, t->location, err, "a row");
    }
    KL_TRY(kl_sql__bind_expr(b, t->arg, &arg, err));
    bool not_null = t->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NOT_NULL;
    return kl_expr_is(&b->eb, not_null ? KL_EXPR_IS_NOT_NULL : KL_EXPR_IS_NULL, arg,
        kl_sql__at(b, t->location), ret, err);
}

static enum kl_rc bind_boolean_test(
    struct kl_binder *b, const PgQuery__BooleanTest *t, struct kl_expr **ret, struct kl_err *err) {
    static const uint8_t tests[] = {
        [PG_QUERY__BOOL_TEST_TYPE__IS_TRUE] = KL_EXPR_IS_TRUE,
        [PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE] = KL_EXPR_IS_NOT_TRUE,
        [PG_QUERY__BOOL_TEST_TYPE__IS_FALSE] = KL_EXPR_IS_FALSE,
        [PG_QUERY__BOOL_TEST_TYPE__IS_NOT_FALSE] = KL_EXPR_IS_NOT_FALSE,
        [PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN] = KL_EXPR_IS_UNKNOWN,
        [PG_QUERY__BOOL_TEST_TYPE__IS_NOT_UNKNOWN] = KL_EXPR_IS_NOT_UNKNOWN,
    };
    struct kl_expr *arg;
    KL_TRY(kl_sql__bind_expr(b, t->arg, &arg, err));
    if ((size_t)t->booltesttype >= KL_LEN(tests)) {
        return unsupported(b, t->location, err, "this test");
    }
    return kl_expr_is(&b->eb, tests[t->booltesttype], arg, kl_sql__at(b, t->location), ret, err);
}

/* ---- casts and conditionals ---- */
/* INTERVAL '5' DAY: the unit arrives as a bit mask beside the type. A single unit goes into the
 * text, as PostgreSQL reads it. */
static enum kl_rc interval_text(
    struct kl_binder *b, const PgQuery__TypeCast *c, struct kl_expr **ret, struct kl_err *err) {
    static const struct {
        int mask;
        const char *unit;
    } units[] = {{1 << 2, "year"}, {1 << 1, "month"}, {1 << 3, "day"}, {1 << 10, "hour"},
        {1 << 11, "minute"}, {1 << 12, "second"}};
    const PgQuery__Node *mod = c->type_name->typmods[0], *arg = c->arg;
    bool number = mod->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                  mod->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL;
    bool text = arg && arg->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                arg->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL;
    struct kl_slice s = text ? kl_slice_trim(kl_sql__pgstr(arg->a_const->sval->sval)) : KL_S("");
    int64_t n;
    for (size_t i = 0; number && kl_parse_i64(s, &n) && i < KL_LEN(units); i++) {
        if (mod->a_const->ival->ival == units[i].mask) {
            char *full = kl_arena_printf(b->eb.arena, "%.*s %s", KL_FMT(s), units[i].unit);
            if (!full) {
                return kl_sql__no_room(err);
            }
            struct kl_val v = kl_val_text(kl_slice_str(full));
            v.flags = KL_VAL_UNKNOWN;
            return kl_expr_const(&b->eb, v, ret, err);
        }
    }
    return unsupported(b, c->location, err, "this form of INTERVAL");
}

static enum kl_rc bind_cast(
    struct kl_binder *b, const PgQuery__TypeCast *c, struct kl_expr **ret, struct kl_err *err) {
    struct kl_type to;
    struct kl_expr *arg;
    KL_TRY(kl_sql__bind_type(b, c->type_name, &to, err));
    if (b->column_type) {
        return kl_expr_slot(&b->eb, 0, to, true, ret, err);
    }
    if (to.id == KL_T_INTERVAL && c->type_name->n_typmods > 0) {
        KL_TRY(interval_text(b, c, &arg, err));
    } else {
        KL_TRY(kl_sql__bind_expr(b, c->arg, &arg, err));
    }
    int at = kl_sql__at(b, c->location);
    return c->type_name->pct_type ? kl_expr_try_cast(&b->eb, arg, to, at, ret, err)
                                  : kl_expr_cast(&b->eb, arg, to, at, ret, err);
}

static enum kl_rc bind_case(
    struct kl_binder *b, const PgQuery__CaseExpr *c, struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *operand = NULL, *otherwise = NULL;
    struct kl_expr_when *whens = KL_ARENA_ARRAY(b->eb.arena, struct kl_expr_when, c->n_args + 1);
    if (!whens) {
        return kl_sql__no_room(err);
    }
    if (c->arg) {
        KL_TRY(kl_sql__bind_expr(b, c->arg, &operand, err));
    }
    for (size_t i = 0; i < c->n_args; i++) {
        const PgQuery__CaseWhen *w = c->args[i]->case_when;
        KL_TRY(kl_sql__bind_expr(b, w->expr, &whens[i].cond, err));
        KL_TRY(kl_sql__bind_expr(b, w->result, &whens[i].result, err));
    }
    if (c->defresult) {
        KL_TRY(kl_sql__bind_expr(b, c->defresult, &otherwise, err));
    }
    return kl_expr_case(
        &b->eb, operand, whens, c->n_args, otherwise, kl_sql__at(b, c->location), ret, err);
}

static enum kl_rc bind_named(struct kl_binder *b, struct kl_slice name, PgQuery__Node *const *nodes,
    size_t n, int location, struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr **args;
    KL_TRY(bind_list(b, nodes, n, &args, err));
    return kl_expr_call(&b->eb, name, args, n, kl_sql__at(b, location), ret, err);
}

/* Predicates that are not evaluated natively but are known to be boolean. */
static bool is_boolean(const PgQuery__Node *n) {
    if (n->node_case == PG_QUERY__NODE__NODE_SUB_LINK) {
        return n->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK ||
               n->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK ||
               n->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK;
    }
    return n->node_case == PG_QUERY__NODE__NODE_A_EXPR && n->a_expr->lexpr &&
           (n->a_expr->lexpr->node_case == PG_QUERY__NODE__NODE_ROW_EXPR ||
               n->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM ||
               n->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM);
}

enum kl_rc kl_sql__bind_expr(
    struct kl_binder *b, const PgQuery__Node *n, struct kl_expr **ret, struct kl_err *err) {
    if (!n) {
        return unsupported(b, -1, err, "this expression");
    }
    if (b->column_type && is_boolean(n)) { /* only the type is asked for */
        return kl_expr_const(&b->eb, kl_val_null(KL_T_BOOLEAN), ret, err);
    }
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_A_CONST:
        return bind_const(b, n->a_const, ret, err);
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return bind_param(b, n->param_ref, ret, err);
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return bind_column_ref(b, n->column_ref, ret, err);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return bind_a_expr(b, n->a_expr, ret, err);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return bind_bool(b, n->bool_expr, ret, err);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return bind_null_test(b, n->null_test, ret, err);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return bind_boolean_test(b, n->boolean_test, ret, err);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return bind_cast(b, n->type_cast, ret, err);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return bind_case(b, n->case_expr, ret, err);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return kl_sql__bind_call(b, n->func_call, ret, err);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return kl_sql__bind_value_function(b, n->sqlvalue_function, ret, err);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return bind_named(b, KL_S("coalesce"), n->coalesce_expr->args, n->coalesce_expr->n_args,
            n->coalesce_expr->location, ret, err);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR: {
        const PgQuery__MinMaxExpr *m = n->min_max_expr;
        bool greatest = m->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST;
        return bind_named(b, greatest ? KL_S("greatest") : KL_S("least"), m->args, m->n_args,
            m->location, ret, err);
    }
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return unsupported(b, n->sub_link->location, err, "a subquery");
    default:
        return unsupported(b, -1, err, "this expression");
    }
}

enum kl_rc kl_sql__bind_condition(struct kl_binder *b, const PgQuery__Node *n, const char *what,
    struct kl_expr **ret, struct kl_err *err) {
    KL_TRY(kl_sql__bind_expr(b, n, ret, err));
    struct kl_type t = kl_expr_type(*ret);
    if (t.id == KL_T_NULL) {
        return kl_expr_cast(&b->eb, *ret, KL_TYPE(BOOLEAN), 0, ret, err);
    }
    if (t.id != KL_T_BOOLEAN) {
        return kl_fail_at(err, KL_E_TYPE, kl_sql__at(b, kl_dp__leftmost(n)),
            "argument of %s must be type boolean, not type %s", what, kl_expr__type_name(t.id));
    }
    return KL_OK;
}
