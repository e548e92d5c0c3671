/* SELECT for the native executor: one relation or none, no joins, groups, windows, subqueries.
 * Anything else is KL_E_UNSUPPORTED here and goes to DuckDB.
 *
 * Without ORDER BY rows come in primary key order where the table has one: clients page through
 * tables without asking for an order, and get the same answer whatever executor runs it. */
#include "sql/access.h"
#include "sql/bind_internal.h"
#include "sql/expr_internal.h"

static enum kl_rc not_native(struct kl_err *err, const char *what) {
    return kl_fail(err, KL_E_UNSUPPORTED, "%s needs the analytical executor", what);
}

static enum kl_rc check_form(const PgQuery__SelectStmt *s, struct kl_err *err) {
    if (s->op != PG_QUERY__SET_OPERATION__SETOP_NONE) {
        return not_native(err, "a set operation");
    }
    if (s->n_distinct_clause > 0 || s->n_group_clause > 0 || s->having_clause ||
        s->n_window_clause > 0) {
        return not_native(err, "DISTINCT, GROUP BY, HAVING or WINDOW");
    }
    if (s->with_clause || s->n_values_lists > 0) {
        return not_native(err, "WITH or VALUES");
    }
    if (s->n_from_clause > 1 ||
        (s->n_from_clause == 1 && s->from_clause[0]->node_case != PG_QUERY__NODE__NODE_RANGE_VAR)) {
        return not_native(err, "a join or a subquery");
    }
    if (s->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES ||
        s->n_target_list == 0) {
        return not_native(err, "this SELECT");
    }
    return KL_OK;
}

/* ---- the select list ---- */
static size_t star_width(const struct kl_binder *b) {
    bool declared = b->table->type == KL_TABLE_SYSTEM || b->in->declared;
    return b->table->n_cols + (declared ? 0 : 2);
}
static int star_col(const struct kl_table *t, size_t i) {
    return i < t->n_cols ? (int)i : i == t->n_cols ? KL_COL_SEQ : KL_COL_DELETED;
}

static enum kl_rc count_outputs(struct kl_binder *b, PgQuery__Node *const *targets,
    size_t n_targets, size_t *ret, struct kl_err *err) {
    size_t n = 0;
    for (size_t i = 0; i < n_targets; i++) {
        const PgQuery__ColumnRef *ref;
        if (!kl_sql__is_star(targets[i]->res_target->val, &ref)) {
            n++;
            continue;
        }
        if (!b->table) {
            return kl_fail_at(err, KL_E_INVALID_SQL, kl_sql__at(b, ref->location),
                "SELECT * with no tables specified is not valid");
        }
        n += star_width(b);
    }
    *ret = n;
    return KL_OK;
}

static enum kl_rc add_output(struct kl_binder *b, struct kl_outputs *o, struct kl_sink_col col,
    int from, struct kl_expr *e, struct kl_err *err) {
    if (kl_expr_type(e).id == KL_T_NULL) { /* an untyped literal is text in a result */
        KL_TRY(kl_expr_cast(&b->eb, e, KL_TYPE(TEXT), 0, &e, err));
    }
    col.type = kl_expr_type(e);
    KL_TRY(kl_sql__plan_dup(b->plan, col.name, &col.name, err));
    o->exprs[o->n] = e;
    o->from[o->n] = (int16_t)from;
    o->cols[o->n++] = col;
    return KL_OK;
}

static enum kl_rc add_star(
    struct kl_binder *b, struct kl_outputs *o, const PgQuery__ColumnRef *ref, struct kl_err *err) {
    if (ref->n_fields > 1) { /* t.*: is it ours? Asked as for a column that is surely there. */
        PgQuery__String name = PG_QUERY__STRING__INIT;
        PgQuery__Node last = PG_QUERY__NODE__INIT, *fields[4];
        PgQuery__ColumnRef as_column = *ref;
        int col;
        name.sval = (char *)b->table->cols[0].name;
        last.node_case = PG_QUERY__NODE__NODE_STRING;
        last.string = &name;
        if (ref->n_fields > 4) {
            return kl_fail_at(err, KL_E_INVALID_SQL, kl_sql__at(b, ref->location),
                "improper qualified name (too many dotted names)");
        }
        memcpy(fields, ref->fields, ref->n_fields * sizeof(*fields));
        fields[ref->n_fields - 1] = &last;
        as_column.fields = fields;
        KL_TRY(kl_sql__bind_column(b, &as_column, &col, err));
    }
    if (b->collect_aggs) {
        return kl_fail_at(err, KL_E_EXEC, kl_sql__at(b, ref->location),
            "column \"%s\" must appear in the GROUP BY clause or be used in an aggregate function",
            b->table->cols[0].name);
    }
    for (size_t i = 0; i < star_width(b); i++) {
        struct kl_expr *e;
        int col = star_col(b->table, i);
        KL_TRY(kl_sql__bind_slot(b, col, &e, err));
        KL_TRY(add_output(b, o, kl_sql__sink_col(b->table, col), col, e, err));
    }
    return KL_OK;
}

enum kl_rc kl_sql__bind_outputs(struct kl_binder *b, PgQuery__Node *const *targets,
    size_t n_targets, struct kl_outputs *o, struct kl_err *err) {
    size_t n;
    KL_TRY(count_outputs(b, targets, n_targets, &n, err));
    o->exprs = KL_ARENA_ARRAY(b->eb.arena, const struct kl_expr *, n + 1);
    o->cols = KL_ARENA_ARRAY(b->eb.arena, struct kl_sink_col, n + 1);
    o->from = KL_ARENA_ARRAY(b->eb.arena, int16_t, n + 1);
    if (!o->exprs || !o->cols || !o->from) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; i < n_targets; i++) {
        const PgQuery__ResTarget *target = targets[i]->res_target;
        const PgQuery__ColumnRef *ref = NULL;
        struct kl_sink_col col = {0};
        struct kl_expr *e;
        int index = KL_COL_NONE;
        if (kl_sql__is_star(target->val, &ref)) {
            KL_TRY(add_star(b, o, ref, err));
            continue;
        }
        KL_TRY(kl_sql__bind_expr(b, target->val, &e, err));
        if (ref) {
            KL_TRY(kl_sql__bind_column(b, ref, &index, err));
            col = kl_sql__sink_col(b->table, index);
        } else {
            col.name = kl_sql__output_name(target->val);
        }
        if (target->name && target->name[0]) {
            col.name = kl_sql__pgstr(target->name);
        }
        KL_TRY(add_output(b, o, col, index, e, err));
    }
    return KL_OK;
}

/* ---- ORDER BY ---- */
static enum kl_rc by_position(struct kl_binder *b, const PgQuery__AConst *c,
    const struct kl_outputs *o, const struct kl_expr **ret, struct kl_err *err) {
    int at = kl_sql__at(b, c->location);
    if (c->isnull || c->val_case != PG_QUERY__A__CONST__VAL_IVAL) {
        return kl_fail_at(err, KL_E_EXEC, at, "non-integer constant in ORDER BY");
    }
    if (c->ival->ival < 1 || (size_t)c->ival->ival > o->n) {
        return kl_fail_at(
            err, KL_E_EXEC, at, "ORDER BY position %d is not in select list", c->ival->ival);
    }
    *ret = o->exprs[c->ival->ival - 1];
    return KL_OK;
}

/* An output column of that name; *ret NULL when there is none. */
static enum kl_rc by_name(struct kl_binder *b, const PgQuery__ColumnRef *ref,
    const struct kl_outputs *o, const struct kl_expr **ret, struct kl_err *err) {
    *ret = NULL;
    if (ref->n_fields != 1 || ref->fields[0]->node_case != PG_QUERY__NODE__NODE_STRING) {
        return KL_OK;
    }
    struct kl_slice name = kl_sql__pgstr(ref->fields[0]->string->sval);
    int first = KL_COL_NONE;
    for (size_t i = 0; i < o->n; i++) {
        if (!kl_slice_eq(o->cols[i].name, name)) {
            continue;
        }
        if (*ret && (o->from[i] == KL_COL_NONE ||
                        o->from[i] != first)) { /* the same plain column twice is one thing */
            return kl_fail_at(err, KL_E_EXEC, kl_sql__at(b, ref->location),
                "ORDER BY \"%.*s\" is ambiguous", KL_FMT(name));
        }
        first = o->from[i];
        *ret = o->exprs[i];
    }
    return KL_OK;
}

static enum kl_rc order_key(struct kl_binder *b, const PgQuery__SortBy *sort,
    const struct kl_outputs *o, struct kl_order_key *ret, struct kl_err *err) {
    const PgQuery__Node *n = sort->node;
    if (sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING || !n) {
        return not_native(err, "ORDER BY USING");
    }
    ret->expr = NULL;
    if (n->node_case == PG_QUERY__NODE__NODE_A_CONST) {
        KL_TRY(by_position(b, n->a_const, o, &ret->expr, err));
    } else if (n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF) {
        KL_TRY(by_name(b, n->column_ref, o, &ret->expr, err));
    }
    if (!ret->expr) {
        struct kl_expr *e;
        KL_TRY(kl_sql__bind_expr(b, n, &e, err));
        ret->expr = e;
    }
    ret->descending = sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
    ret->nulls_first = sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT
                           ? ret->descending
                           : sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST;
    return KL_OK;
}

static enum kl_rc bind_order(struct kl_binder *b, const PgQuery__SelectStmt *s,
    const struct kl_outputs *o, struct kl_select *sel, struct kl_err *err) {
    sel->order = KL_ARENA_ARRAY(b->eb.arena, struct kl_order_key, s->n_sort_clause + 1);
    if (!sel->order) {
        return kl_sql__no_room(err);
    }
    for (; sel->n_order < s->n_sort_clause; sel->n_order++) {
        KL_TRY(
            order_key(b, s->sort_clause[sel->n_order]->sort_by, o, &sel->order[sel->n_order], err));
    }
    return KL_OK;
}

static enum kl_rc key_order(struct kl_binder *b, struct kl_select *sel, struct kl_err *err) {
    const struct kl_table *t = b->table;
    if (!t || t->n_pk == 0 || t->type == KL_TABLE_STREAM || t->type == KL_TABLE_SYSTEM) {
        return KL_OK;
    }
    sel->order = KL_ARENA_ARRAY(b->eb.arena, struct kl_order_key, t->n_pk);
    if (!sel->order) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; i < t->n_pk; i++) {
        struct kl_expr *e;
        KL_TRY(kl_sql__bind_slot(b, t->pk[i], &e, err));
        sel->order[sel->n_order++] = (struct kl_order_key){.expr = e};
    }
    return KL_OK;
}

/* ---- LIMIT ---- */
static enum kl_rc bind_count(struct kl_binder *b, const PgQuery__Node *n, const char *what,
    const struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *e;
    if (!n || (n->node_case == PG_QUERY__NODE__NODE_A_CONST && n->a_const->isnull)) {
        return KL_OK; /* LIMIT ALL too */
    }
    b->no_columns = what;
    enum kl_rc rc = kl_sql__bind_expr(b, n, &e, err);
    b->no_columns = NULL;
    KL_TRY(rc);
    if (kl_expr_type(e).id != KL_T_BIGINT) {
        KL_TRY(kl_expr_cast(&b->eb, e, KL_TYPE(BIGINT), 0, &e, err));
    }
    *ret = e;
    return KL_OK;
}

static enum kl_rc bind_from(struct kl_binder *b, const PgQuery__SelectStmt *s, struct kl_err *err) {
    if (s->n_from_clause == 0) {
        return KL_OK;
    }
    const PgQuery__RangeVar *v = s->from_clause[0]->range_var;
    struct kl_rel_name name = kl_sql__rel_name(b, v);
    struct kl_table *t;
    KL_TRY(b->internal ? kl_sql__find_table(b->ctx, &name, &t, err)
                       : kl_sql__readable_table(b->ctx, &name, &t, err));
    if (t->type == KL_TABLE_VIEW) {
        return not_native(err, "a view");
    }
    return kl_sql__binder_scope(b, t, v->alias, false, err);
}

/* Slots are numbered as they are met: those of the condition first, then those that rows are ordered
 * by, so that a scan can leave the others for the rows that matter. */
static void meet_order(struct kl_binder *b, const PgQuery__SelectStmt *s) {
    for (size_t i = 0; b->table && i < s->n_sort_clause; i++) {
        const PgQuery__Node *n = s->sort_clause[i]->sort_by->node;
        int col;
        struct kl_expr *e;
        if (n && n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF &&
            kl_sql__bind_column(b, n->column_ref, &col, NULL) == KL_OK) {
            (void)!kl_sql__bind_slot(b, col, &e, NULL);
        }
    }
}

static size_t slots_of(const struct kl_expr *e) {
    size_t n = e->kind == KL_EXPR_KIND_SLOT ? e->index + 1u : 0;
    for (uint32_t i = 0; i < e->n_args; i++) {
        n = KL_MAX(n, slots_of(e->args[i]));
    }
    return n;
}

static enum kl_rc choose_access(struct kl_binder *b, struct kl_select *sel, struct kl_err *err) {
    if (!b->table) {
        return KL_OK;
    }
    struct kl_access_input in = {
        .table = b->table,
        .slots = b->slots,
        .n_slots = b->n_slots,
        .filter = sel->filter,
        .order = sel->order,
        .n_order = sel->n_order,
        .limited = sel->limit,
        .counts = sel->n_aggs > 0 && b->n_slots == 0,
        .arena = b->eb.arena,
    };
    KL_TRY(kl_sql__choose_access(&in, &b->plan->access, err));
    sel->n_order_asked = sel->n_order;
    if (b->plan->access.ordered) {
        sel->n_order = 0;
    }
    sel->n_order_slots = sel->n_filter_slots;
    for (size_t i = 0; i < sel->n_order; i++) {
        sel->n_order_slots = KL_MAX(sel->n_order_slots, slots_of(sel->order[i].expr));
    }
    sel->staged = true;
    return KL_OK;
}

static enum kl_rc bind_body(
    struct kl_binder *b, const PgQuery__SelectStmt *s, struct kl_select *sel, struct kl_err *err) {
    struct kl_outputs o = {0};
    if (s->where_clause) {
        struct kl_expr *filter;
        KL_TRY(kl_sql__bind_condition(b, s->where_clause, "WHERE", &filter, err));
        sel->filter = filter;
    }
    sel->n_filter_slots = b->n_slots;
    meet_order(b, s);
    for (size_t i = 0; i < s->n_target_list; i++) {
        b->collect_aggs |= kl_sql__has_aggregate(s->target_list[i]->res_target->val);
    }
    if (b->collect_aggs && (s->n_sort_clause > 0 || s->limit_count || s->limit_offset)) {
        return not_native(err, "an aggregate with ORDER BY or LIMIT");
    }
    bool aggregates = b->collect_aggs;
    KL_TRY(kl_sql__bind_outputs(b, s->target_list, s->n_target_list, &o, err));
    b->collect_aggs = false;
    sel->output = o.exprs;
    sel->cols = o.cols;
    sel->n_output = o.n;
    sel->aggs = b->aggs;
    sel->n_aggs = b->n_aggs;
    if (s->n_sort_clause > 0) {
        KL_TRY(bind_order(b, s, &o, sel, err));
    } else if (!aggregates && (!b->in->unordered || s->limit_count || s->limit_offset)) {
        KL_TRY(key_order(b, sel, err));
    }
    KL_TRY(bind_count(b, s->limit_count, "LIMIT", &sel->limit, err));
    KL_TRY(bind_count(b, s->limit_offset, "OFFSET", &sel->offset, err));
    return choose_access(b, sel, err);
}

enum kl_rc kl_sql__bind_select(struct kl_binder *b, PgQuery__SelectStmt *s, struct kl_err *err) {
    struct kl_select *sel = KL_ARENA_NEW(b->eb.arena, struct kl_select);
    if (!sel) {
        return kl_sql__no_room(err);
    }
    KL_TRY(check_form(s, err));
    KL_TRY(bind_from(b, s, err));
    KL_TRY(bind_body(b, s, sel, err));
    sel->slots = b->slots;
    sel->n_slots = b->n_slots;
    b->plan->kind = KL_PLAN_SELECT;
    b->plan->select = sel;
    return KL_OK;
}
