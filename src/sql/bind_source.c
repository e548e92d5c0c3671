/* Rows that a writing statement takes from a query: INSERT ... SELECT, UPDATE ... FROM, DELETE ...
 * USING, and whatever in them only DuckDB evaluates. The query is PostgreSQL's tree, as it was
 * parsed or put together here, bound like any SELECT into a plan of its own over the same values.
 *
 * Trees are never changed: what differs is a copy in the plan's arena that shares the rest. In the
 * copy
 * - a * at the top stands for its columns without _seq and _deleted, which nobody can insert;
 * - an untyped literal takes the type of the column that it is for. */
#include "sql/bind_internal.h"

#define MAX_STEPS 65536 /* relations and columns looked at: CTEs that name each other multiply */

/* ---- pieces of a tree ---- */
static PgQuery__Node *new_node(struct kl_binder *b, PgQuery__Node__NodeCase kind) {
    PgQuery__Node *n = KL_ARENA_NEW(b->eb.arena, PgQuery__Node);
    if (n) {
        pg_query__node__init(n);
        n->node_case = kind;
    }
    return n;
}

static PgQuery__Node *string_node(struct kl_binder *b, const char *text) {
    PgQuery__Node *n = new_node(b, PG_QUERY__NODE__NODE_STRING);
    PgQuery__String *s = n ? KL_ARENA_NEW(b->eb.arena, PgQuery__String) : NULL;
    if (!s) {
        return NULL;
    }
    pg_query__string__init(s);
    s->sval = (char *)text;
    n->string = s;
    return n;
}

static PgQuery__Node *int_node(struct kl_binder *b, int value) {
    PgQuery__Node *n = new_node(b, PG_QUERY__NODE__NODE_A_CONST);
    PgQuery__AConst *c = n ? KL_ARENA_NEW(b->eb.arena, PgQuery__AConst) : NULL;
    PgQuery__Integer *i = c ? KL_ARENA_NEW(b->eb.arena, PgQuery__Integer) : NULL;
    if (!i) {
        return NULL;
    }
    pg_query__a__const__init(c);
    pg_query__integer__init(i);
    c->val_case = PG_QUERY__A__CONST__VAL_IVAL;
    c->ival = i;
    c->location = -1;
    i->ival = value;
    n->a_const = c;
    return n;
}

/* rel.name, or name alone. */
static PgQuery__Node *column_node(
    struct kl_binder *b, const char *rel, const char *name, int location) {
    PgQuery__Node *n = new_node(b, PG_QUERY__NODE__NODE_COLUMN_REF);
    PgQuery__ColumnRef *ref = n ? KL_ARENA_NEW(b->eb.arena, PgQuery__ColumnRef) : NULL;
    PgQuery__Node **fields = ref ? KL_ARENA_ARRAY(b->eb.arena, PgQuery__Node *, 2) : NULL;
    if (!fields) {
        return NULL;
    }
    pg_query__column_ref__init(ref);
    ref->fields = fields;
    ref->location = location;
    if (rel) {
        fields[ref->n_fields++] = string_node(b, rel);
    }
    fields[ref->n_fields++] = string_node(b, name);
    n->column_ref = ref;
    return fields[0] && fields[ref->n_fields - 1] ? n : NULL;
}

static PgQuery__Node *target_node(struct kl_binder *b, PgQuery__Node *val, int location) {
    PgQuery__Node *n = val ? new_node(b, PG_QUERY__NODE__NODE_RES_TARGET) : NULL;
    PgQuery__ResTarget *t = n ? KL_ARENA_NEW(b->eb.arena, PgQuery__ResTarget) : NULL;
    if (!t) {
        return NULL;
    }
    pg_query__res_target__init(t);
    t->val = val;
    t->location = location;
    n->res_target = t;
    return n;
}

static PgQuery__TypeName *type_node(struct kl_binder *b, struct kl_type type) {
    PgQuery__TypeName *t = KL_ARENA_NEW(b->eb.arena, PgQuery__TypeName);
    PgQuery__Node **parts = KL_ARENA_ARRAY(b->eb.arena, PgQuery__Node *, 3);
    struct kl_buf text;
    if (!t || !parts) {
        return NULL;
    }
    kl_buf_init(&text, 256);
    kl_type_sql_name((struct kl_type){.id = type.id, .precision = 1, .dim = 1}, &text);
    struct kl_slice name = kl_buf_view(&text);
    const char *open = memchr(name.ptr, '(', name.len); /* modifiers follow as numbers */
    name.len = open ? (size_t)(open - name.ptr) : name.len;
    char *own = kl_arena_printf(b->eb.arena, "%.*s", KL_FMT(name));
    kl_buf_deinit(&text);
    for (char *p = own; p && *p; p++) {
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
    }
    pg_query__type_name__init(t);
    parts[0] = own ? string_node(b, own) : NULL;
    t->names = parts;
    t->n_names = 1;
    t->location = -1;
    t->typmods = parts + 1;
    if (type.id == KL_T_DECIMAL) {
        parts[t->n_names + t->n_typmods++] = int_node(b, type.precision);
        parts[t->n_names + t->n_typmods++] = int_node(b, type.scale);
    } else if (type.id == KL_T_EMBEDDING) {
        parts[t->n_names + t->n_typmods++] = int_node(b, type.dim);
    }
    return parts[0] ? t : NULL;
}

/* An untyped literal or parameter becomes one of the column's type; anything else stays. */
static enum kl_rc typed(struct kl_binder *b, PgQuery__Node *val, unsigned col, PgQuery__Node **ret,
    struct kl_err *err) {
    struct kl_type type = b->table->cols[col].type;
    bool text = val->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                (val->a_const->isnull || val->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL);
    bool open = val->node_case == PG_QUERY__NODE__NODE_PARAM_REF && val->param_ref->number >= 1 &&
                (unsigned)val->param_ref->number <= b->n_types &&
                b->types[val->param_ref->number - 1].id == KL_T_NULL;
    *ret = val;
    if (!text && !open) {
        return KL_OK;
    }
    PgQuery__Node *n = new_node(b, PG_QUERY__NODE__NODE_TYPE_CAST);
    PgQuery__TypeCast *c = n ? KL_ARENA_NEW(b->eb.arena, PgQuery__TypeCast) : NULL;
    if (!c) {
        return kl_sql__no_room(err);
    }
    pg_query__type_cast__init(c);
    c->arg = val;
    c->type_name = type_node(b, type);
    c->location = text ? val->a_const->location : val->param_ref->location;
    n->type_cast = c;
    *ret = n;
    return c->type_name ? KL_OK : kl_sql__no_room(err);
}

/* ---- the source of an INSERT ---- */
/* The select list of one SELECT, with its stars written out. */
static enum kl_rc write_out(struct kl_binder *b, const struct kl_withs *w,
    const PgQuery__SelectStmt *s, PgQuery__SelectStmt *copy, struct kl_err *err) {
    struct kl_columns all = {0};
    PgQuery__Node **list;
    size_t n = 0, at = 0;
    const PgQuery__ColumnRef *star;
    for (size_t i = 0; i < s->n_target_list; i++) {
        size_t from = all.n;
        if (kl_sql__is_star(s->target_list[i]->res_target->val, &star)) {
            KL_TRY(kl_sql__star_columns(b, w, s, star, &all, err));
            n += all.n - from;
        } else {
            n++;
        }
    }
    list = KL_ARENA_ARRAY(b->eb.arena, PgQuery__Node *, n + 1);
    if (!list) {
        return kl_sql__no_room(err);
    }
    all.n = 0;
    for (size_t i = 0; i < s->n_target_list; i++) {
        size_t from = all.n;
        if (!kl_sql__is_star(s->target_list[i]->res_target->val, &star)) {
            list[at++] = s->target_list[i];
            continue;
        }
        KL_TRY(kl_sql__star_columns(b, w, s, star, &all, err));
        for (; from < all.n; from++) {
            const struct kl_star_column *c = &all.list[from];
            list[at] = target_node(b, column_node(b, c->rel, c->name, star->location), -1);
            if (!list[at++]) {
                return kl_sql__no_room(err);
            }
        }
    }
    copy->target_list = list;
    copy->n_target_list = n;
    return KL_OK;
}

/* Literals of the select list take their columns' types. */
static enum kl_rc type_outputs(struct kl_binder *b, const uint16_t *cols, size_t n_cols,
    PgQuery__SelectStmt *copy, struct kl_err *err) {
    PgQuery__Node **list = KL_ARENA_ARRAY(b->eb.arena, PgQuery__Node *, copy->n_target_list + 1);
    if (!list) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; i < copy->n_target_list; i++) {
        const PgQuery__ResTarget *t = copy->target_list[i]->res_target;
        PgQuery__Node *val;
        list[i] = copy->target_list[i];
        if (i >= n_cols || !t->val) {
            continue;
        }
        KL_TRY(typed(b, t->val, cols[i], &val, err));
        if (val != t->val) {
            list[i] = target_node(b, val, t->location);
            if (!list[i]) {
                return kl_sql__no_room(err);
            }
            list[i]->res_target->name = t->name;
        }
    }
    copy->target_list = list;
    return KL_OK;
}

static enum kl_rc type_rows(struct kl_binder *b, const uint16_t *cols, size_t n_cols,
    PgQuery__SelectStmt *copy, struct kl_err *err) {
    PgQuery__Node **rows = KL_ARENA_ARRAY(b->eb.arena, PgQuery__Node *, copy->n_values_lists + 1);
    if (!rows) {
        return kl_sql__no_room(err);
    }
    for (size_t r = 0; r < copy->n_values_lists; r++) {
        const PgQuery__List *from = copy->values_lists[r]->list;
        PgQuery__List *to = KL_ARENA_NEW(b->eb.arena, PgQuery__List);
        rows[r] = new_node(b, PG_QUERY__NODE__NODE_LIST);
        if (!to || !rows[r]) {
            return kl_sql__no_room(err);
        }
        *to = *from;
        to->items = KL_ARENA_ARRAY(b->eb.arena, PgQuery__Node *, from->n_items + 1);
        if (!to->items) {
            return kl_sql__no_room(err);
        }
        for (size_t i = 0; i < from->n_items; i++) {
            to->items[i] = from->items[i];
            if (kl_sql__is_default(from->items[i])) {
                return kl_fail(
                    err, KL_E_UNSUPPORTED, "DEFAULT beside a subquery in VALUES is not supported");
            }
            if (i < n_cols) {
                KL_TRY(typed(b, from->items[i], cols[i], &to->items[i], err));
            }
        }
        rows[r]->list = to;
    }
    copy->values_lists = rows;
    return KL_OK;
}

static enum kl_rc copy_query(struct kl_binder *b, const struct kl_withs *outer,
    const PgQuery__SelectStmt *s, const struct kl_plan_insert *ins, PgQuery__SelectStmt **ret,
    struct kl_err *err) {
    PgQuery__SelectStmt *copy = KL_ARENA_NEW(b->eb.arena, PgQuery__SelectStmt);
    struct kl_withs w = {.outer = outer,
        .with = s->with_clause,
        .n_seen = s->with_clause ? s->with_clause->n_ctes : 0,
        .depth = outer->depth + 1,
        .steps = outer->steps};
    if (!copy) {
        return kl_sql__no_room(err);
    }
    *copy = *s;
    *ret = copy;
    if (w.depth > 512) {
        return kl_fail(err, KL_E_INVALID_SQL, "the statement is nested too deeply");
    }
    if (s->op > PG_QUERY__SET_OPERATION__SETOP_NONE && s->larg && s->rarg) {
        KL_TRY(copy_query(b, &w, s->larg, ins, &copy->larg, err));
        return copy_query(b, &w, s->rarg, ins, &copy->rarg, err);
    }
    if (s->n_values_lists > 0) {
        return type_rows(b, ins->targets, ins->n_targets, copy, err);
    }
    w.depth = 0;
    KL_TRY(write_out(b, &w, s, copy, err));
    return type_outputs(b, ins->targets, ins->n_targets, copy, err);
}

/* WITH x AS (...) INSERT ... WITH y AS (...) SELECT: one list, the outer first. */
static enum kl_rc merge_with(struct kl_binder *b, PgQuery__WithClause *outer,
    PgQuery__SelectStmt *copy, struct kl_err *err) {
    PgQuery__WithClause *inner = copy->with_clause,
                        *both = KL_ARENA_NEW(b->eb.arena, PgQuery__WithClause);
    if (!inner) {
        copy->with_clause = outer;
        return KL_OK;
    }
    if (inner->recursive || outer->recursive) {
        return kl_fail(
            err, KL_E_UNSUPPORTED, "WITH RECURSIVE beside another WITH is not supported");
    }
    size_t n = outer->n_ctes + inner->n_ctes;
    PgQuery__Node **ctes = KL_ARENA_ARRAY(b->eb.arena, PgQuery__Node *, n + 1);
    if (!both || !ctes) {
        return kl_sql__no_room(err);
    }
    *both = *outer;
    memcpy(ctes, outer->ctes, outer->n_ctes * sizeof(*ctes));
    memcpy(ctes + outer->n_ctes, inner->ctes, inner->n_ctes * sizeof(*ctes));
    both->ctes = ctes;
    both->n_ctes = n;
    copy->with_clause = both;
    return KL_OK;
}

static size_t width_of(const PgQuery__SelectStmt *s) {
    while (s->op > PG_QUERY__SET_OPERATION__SETOP_NONE && s->larg) {
        s = s->larg;
    }
    return s->n_values_lists > 0 ? s->values_lists[0]->list->n_items : s->n_target_list;
}

enum kl_rc kl_sql__insert_source(struct kl_binder *b, const PgQuery__InsertStmt *s,
    const struct kl_plan_insert *ins, PgQuery__SelectStmt **ret, size_t *ret_width,
    struct kl_err *err) {
    size_t steps = MAX_STEPS;
    struct kl_withs w = {.with = s->with_clause,
        .n_seen = s->with_clause ? s->with_clause->n_ctes : 0,
        .steps = &steps};
    KL_TRY(copy_query(b, &w, s->select_stmt->select_stmt, ins, ret, err));
    if (s->with_clause) {
        KL_TRY(merge_with(b, s->with_clause, *ret, err));
    }
    *ret_width = width_of(*ret);
    return KL_OK;
}

/* ---- the source of an UPDATE or DELETE ---- */
/* The target as an item of FROM. With its namespace, so that no WITH can take its place. */
static PgQuery__Node *target_item(struct kl_binder *b, const PgQuery__RangeVar *v) {
    PgQuery__Node *n = new_node(b, PG_QUERY__NODE__NODE_RANGE_VAR);
    PgQuery__RangeVar *copy = n ? KL_ARENA_NEW(b->eb.arena, PgQuery__RangeVar) : NULL;
    if (!copy) {
        return NULL;
    }
    *copy = *v;
    copy->schemaname = (char *)b->table->ns;
    copy->relname = (char *)b->table->name;
    n->range_var = copy;
    return n;
}

/* (SELECT x, y ...) for several columns: the n-th of them alone. */
static enum kl_rc one_of_row(struct kl_binder *b, const PgQuery__MultiAssignRef *m,
    PgQuery__Node **ret, struct kl_err *err) {
    const PgQuery__Node *from = m->source;
    bool query = from && from->node_case == PG_QUERY__NODE__NODE_SUB_LINK &&
                 from->sub_link->subselect &&
                 from->sub_link->subselect->node_case == PG_QUERY__NODE__NODE_SELECT_STMT;
    const PgQuery__SelectStmt *s = query ? from->sub_link->subselect->select_stmt : NULL;
    const PgQuery__ColumnRef *star;
    bool plain = s && s->op <= PG_QUERY__SET_OPERATION__SETOP_NONE && s->n_values_lists == 0 &&
                 s->n_distinct_clause == 0 && s->n_sort_clause == 0;
    for (size_t i = 0; plain && i < s->n_target_list; i++) {
        plain = !kl_sql__is_star(s->target_list[i]->res_target->val, &star);
    }
    if (!plain) {
        return kl_fail(
            err, KL_E_UNSUPPORTED, "this assignment of several columns is not supported");
    }
    if (s->n_target_list != (size_t)m->ncolumns || m->colno < 1 || m->colno > m->ncolumns) {
        return kl_fail(err, KL_E_INVALID_SQL, "number of columns does not match number of values");
    }
    PgQuery__Node *link = new_node(b, PG_QUERY__NODE__NODE_SUB_LINK),
                  *body = new_node(b, PG_QUERY__NODE__NODE_SELECT_STMT),
                  **list = KL_ARENA_ARRAY(b->eb.arena, PgQuery__Node *, 1);
    PgQuery__SubLink *sub = KL_ARENA_NEW(b->eb.arena, PgQuery__SubLink);
    PgQuery__SelectStmt *copy = KL_ARENA_NEW(b->eb.arena, PgQuery__SelectStmt);
    if (!link || !body || !list || !sub || !copy) {
        return kl_sql__no_room(err);
    }
    *copy = *s;
    list[0] = s->target_list[m->colno - 1];
    copy->target_list = list;
    copy->n_target_list = 1;
    body->select_stmt = copy;
    *sub = *from->sub_link;
    sub->subselect = body;
    sub->sub_link_type = PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK;
    link->sub_link = sub;
    *ret = link;
    return KL_OK;
}

static PgQuery__Node *null_node(struct kl_binder *b) {
    PgQuery__Node *n = int_node(b, 0);
    if (n) {
        n->a_const->isnull = true;
        n->a_const->val_case = PG_QUERY__A__CONST__VAL__NOT_SET;
        n->a_const->ival = NULL;
    }
    return n;
}

/* One output for each assignment; NULL where it is DEFAULT. */
static enum kl_rc assigned_output(struct kl_binder *b, const PgQuery__ResTarget *r, unsigned col,
    PgQuery__Node **ret, struct kl_err *err) {
    const PgQuery__Node *val;
    PgQuery__Node *out;
    KL_TRY(kl_sql__set_value(b, r, &val, err));
    out = (PgQuery__Node *)val;
    if (val && val->node_case == PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF) {
        KL_TRY(one_of_row(b, val->multi_assign_ref, &out, err));
    } else if (kl_sql__is_default(val)) {
        out = null_node(b);
    }
    if (!out) {
        return kl_sql__no_room(err);
    }
    KL_TRY(typed(b, out, col, &out, err));
    *ret = target_node(b, out, r->location);
    return *ret ? KL_OK : kl_sql__no_room(err);
}

/* The name by which an item of FROM is known; NULL: none, or several. */
static const char *item_name(const PgQuery__Node *n) {
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        return n->range_var->alias ? n->range_var->alias->aliasname : n->range_var->relname;
    case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
        return n->range_subselect->alias ? n->range_subselect->alias->aliasname : NULL;
    case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
        return n->range_function->alias ? n->range_function->alias->aliasname : NULL;
    default:
        return NULL;
    }
}

static bool has_name(const PgQuery__Node *n, const char *name) {
    while (n && n->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR) {
        if (n->join_expr->rarg && has_name(n->join_expr->rarg, name)) {
            return true;
        }
        n = n->join_expr->larg;
    }
    const char *own = n ? item_name(n) : NULL;
    return own && kl_sql__same_name(own, name);
}

enum kl_rc kl_sql__change_source(struct kl_binder *b, const struct kl_change_parts *parts,
    const uint16_t *set_cols, PgQuery__SelectStmt **ret, struct kl_err *err) {
    PgQuery__SelectStmt *s = KL_ARENA_NEW(b->eb.arena, PgQuery__SelectStmt);
    PgQuery__Node **from = KL_ARENA_ARRAY(b->eb.arena, PgQuery__Node *, parts->n_from + 1),
                  **list = KL_ARENA_ARRAY(b->eb.arena, PgQuery__Node *, parts->n_set + 1);
    const PgQuery__RangeVar *v = parts->relation;
    const char *rel = v->alias ? v->alias->aliasname : b->table->name;
    if (!s || !from || !list) {
        return kl_sql__no_room(err);
    }
    pg_query__select_stmt__init(s);
    from[0] = target_item(b, v);
    list[0] = target_node(b, column_node(b, rel, "_seq", -1), -1);
    if (!from[0] || !list[0]) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; i < parts->n_from; i++) {
        if (has_name(parts->from[i], rel)) {
            return kl_fail(
                err, KL_E_INVALID_SQL, "table name \"%s\" specified more than once", rel);
        }
        from[i + 1] = parts->from[i];
    }
    for (size_t i = 0; i < parts->n_set; i++) {
        KL_TRY(assigned_output(b, parts->set[i]->res_target, set_cols[i], &list[i + 1], err));
    }
    s->from_clause = from;
    s->n_from_clause = parts->n_from + 1;
    s->target_list = list;
    s->n_target_list = parts->n_set + 1;
    s->where_clause = parts->where;
    s->with_clause = parts->with;
    s->op = PG_QUERY__SET_OPERATION__SETOP_NONE;
    s->limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT;
    *ret = s;
    return KL_OK;
}
