/* Which columns a * stands for where its rows do not go straight to a client, by name, over tables,
 * views, joins, subqueries and common table expressions. Only names: whether they are there and what
 * they are is for whoever binds them. The walk is bounded in depth and in steps. */
#include "sql/bind_internal.h"

#define MAX_NESTING 32
#define MAX_COLUMNS 4096

static enum kl_rc unknown_columns(struct kl_err *err) {
    return kl_fail(err, KL_E_UNSUPPORTED, "* over this is not supported here: name the columns");
}

static enum kl_rc add_column(struct kl_binder *b, struct kl_columns *c, const char *rel,
    const char *name, struct kl_err *err) {
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 32;
        struct kl_star_column *list = KL_ARENA_ARRAY(b->eb.arena, struct kl_star_column, cap);
        if (!list || cap > MAX_COLUMNS) {
            return kl_sql__no_room(err);
        }
        if (c->n > 0) {
            memcpy(list, c->list, c->n * sizeof(*list));
        }
        c->list = list;
        c->cap = cap;
    }
    c->list[c->n++] = (struct kl_star_column){.rel = rel, .name = name};
    return KL_OK;
}

static enum kl_rc item_columns(struct kl_binder *b, const struct kl_withs *w,
    const PgQuery__Node *n, struct kl_columns *out, struct kl_err *err);

bool kl_sql__same_name(const char *a, const char *b) {
    return kl_slice_ieq_str(kl_slice_str(a), b);
}

/* The columns that `*` or `rel.*` stands for. */
enum kl_rc kl_sql__star_columns(struct kl_binder *b, const struct kl_withs *w,
    const PgQuery__SelectStmt *s, const PgQuery__ColumnRef *star, struct kl_columns *out,
    struct kl_err *err) {
    struct kl_columns all = {0};
    const char *rel = NULL;
    if (star->n_fields > 1) {
        const PgQuery__Node *q = star->fields[star->n_fields - 2];
        rel = q->node_case == PG_QUERY__NODE__NODE_STRING ? q->string->sval : NULL;
        if (!rel) {
            return unknown_columns(err);
        }
    }
    for (size_t i = 0; i < s->n_from_clause; i++) {
        KL_TRY(item_columns(b, w, s->from_clause[i], &all, err));
    }
    size_t before = out->n;
    if (all.n > *w->steps) {
        return unknown_columns(err);
    }
    *w->steps -= all.n;
    for (size_t i = 0; i < all.n; i++) {
        if (!rel || (all.list[i].rel && kl_sql__same_name(all.list[i].rel, rel))) {
            KL_TRY(add_column(b, out, all.list[i].rel, all.list[i].name, err));
        }
    }
    return out->n > before ? KL_OK : unknown_columns(err);
}

/* The output columns of a query, all known as `rel`. */
static enum kl_rc query_columns(struct kl_binder *b, const struct kl_withs *outer,
    const PgQuery__SelectStmt *s, const char *rel, struct kl_columns *out, struct kl_err *err) {
    struct kl_withs w = {.outer = outer,
        .with = s->with_clause,
        .n_seen = s->with_clause ? s->with_clause->n_ctes : 0,
        .depth = outer->depth + 1,
        .steps = outer->steps};
    if (w.depth > MAX_NESTING) {
        return unknown_columns(err);
    }
    while (s->op > PG_QUERY__SET_OPERATION__SETOP_NONE && s->larg) { /* the first one names them */
        s = s->larg;
        if (s->with_clause) {
            return query_columns(b, &w, s, rel, out, err);
        }
    }
    if (s->n_values_lists > 0) {
        for (size_t i = 0; i < s->values_lists[0]->list->n_items; i++) {
            const char *name = kl_arena_printf(b->eb.arena, "column%zu", i + 1);
            KL_TRY(name ? add_column(b, out, rel, name, err) : kl_sql__no_room(err));
        }
        return KL_OK;
    }
    for (size_t i = 0; i < s->n_target_list; i++) {
        const PgQuery__ResTarget *t = s->target_list[i]->res_target;
        const PgQuery__ColumnRef *star;
        if (kl_sql__is_star(t->val, &star)) {
            size_t from = out->n;
            KL_TRY(kl_sql__star_columns(b, &w, s, star, out, err));
            for (; from < out->n; from++) {
                out->list[from].rel = rel;
            }
            continue;
        }
        struct kl_slice name =
            t->name && t->name[0] ? kl_slice_str(t->name) : kl_sql__output_name(t->val);
        const char *own = kl_arena_printf(b->eb.arena, "%.*s", KL_FMT(name));
        KL_TRY(own ? add_column(b, out, rel, own, err) : kl_sql__no_room(err));
    }
    return KL_OK;
}

/* Gives the columns from `from` on the names of a column list. */
static enum kl_rc rename_columns(PgQuery__Node *const *names, size_t n, size_t from,
    struct kl_columns *out, struct kl_err *err) {
    for (size_t i = 0; i < n; i++) {
        if (from + i >= out->n || names[i]->node_case != PG_QUERY__NODE__NODE_STRING) {
            return unknown_columns(err);
        }
        out->list[from + i].name = names[i]->string->sval;
    }
    return KL_OK;
}

/* A common table expression of that name; *ret_w: what its query sees. */
static const PgQuery__CommonTableExpr *find_cte(
    const struct kl_withs *w, const char *name, struct kl_withs *ret_w) {
    for (; w; w = w->outer) {
        for (size_t i = w->n_seen; w->with && i > 0; i--) {
            const PgQuery__CommonTableExpr *c = w->with->ctes[i - 1]->common_table_expr;
            if (c && strcmp(c->ctename, name) == 0) {
                *ret_w = *w;
                ret_w->n_seen = w->with->recursive ? w->with->n_ctes : i - 1;
                return c;
            }
        }
    }
    return NULL;
}

static enum kl_rc relation_columns(struct kl_binder *b, const struct kl_withs *w,
    const PgQuery__RangeVar *v, struct kl_columns *out, struct kl_err *err) {
    struct kl_withs inner;
    struct kl_table *t;
    struct kl_rel_name name = kl_sql__rel_name(b, v);
    const char *rel = v->alias ? v->alias->aliasname : v->relname;
    const PgQuery__CommonTableExpr *cte =
        v->schemaname && v->schemaname[0] ? NULL : find_cte(w, v->relname, &inner);
    size_t from = out->n;
    if (cte) {
        if (!cte->ctequery || cte->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
            return unknown_columns(err);
        }
        inner.depth = w->depth;
        KL_TRY(query_columns(b, &inner, cte->ctequery->select_stmt, rel, out, err));
        KL_TRY(rename_columns(cte->aliascolnames, cte->n_aliascolnames, from, out, err));
    } else {
        KL_TRY(kl_sql__readable_table(b->ctx, &name, &t, err));
        for (size_t i = 0; i < t->n_cols; i++) {
            KL_TRY(add_column(b, out, rel, t->cols[i].name, err));
        }
    }
    return v->alias ? rename_columns(v->alias->colnames, v->alias->n_colnames, from, out, err)
                    : KL_OK;
}

static bool has(const struct kl_columns *c, const char *name) {
    for (size_t i = 0; i < c->n; i++) {
        if (kl_sql__same_name(c->list[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* What USING names, or both sides of a NATURAL join have, comes once and first. */
static enum kl_rc join_columns(struct kl_binder *b, const struct kl_withs *w,
    const PgQuery__JoinExpr *j, struct kl_columns *out, struct kl_err *err) {
    struct kl_columns sides[2] = {0}, merged = {0};
    if (j->alias) {
        return unknown_columns(err);
    }
    KL_TRY(item_columns(b, w, j->larg, &sides[0], err));
    KL_TRY(item_columns(b, w, j->rarg, &sides[1], err));
    for (size_t i = 0; i < j->n_using_clause; i++) {
        KL_TRY(add_column(b, &merged, NULL, j->using_clause[i]->string->sval, err));
    }
    for (size_t i = 0; j->is_natural && i < sides[0].n; i++) {
        const char *name = sides[0].list[i].name;
        if (has(&sides[1], name)) {
            KL_TRY(add_column(b, &merged, NULL, name, err));
        }
    }
    for (size_t i = 0; i < merged.n; i++) {
        KL_TRY(add_column(b, out, NULL, merged.list[i].name, err));
    }
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < sides[k].n; i++) {
            if (!has(&merged, sides[k].list[i].name)) {
                KL_TRY(add_column(b, out, sides[k].list[i].rel, sides[k].list[i].name, err));
            }
        }
    }
    return KL_OK;
}

static enum kl_rc item_columns(struct kl_binder *b, const struct kl_withs *w,
    const PgQuery__Node *n, struct kl_columns *out, struct kl_err *err) {
    struct kl_withs deeper = *w;
    if (++deeper.depth > MAX_NESTING || *w->steps == 0) {
        return unknown_columns(err);
    }
    --*w->steps;
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        return relation_columns(b, &deeper, n->range_var, out, err);
    case PG_QUERY__NODE__NODE_JOIN_EXPR:
        return join_columns(b, &deeper, n->join_expr, out, err);
    case PG_QUERY__NODE__NODE_RANGE_SUBSELECT: {
        const PgQuery__RangeSubselect *r = n->range_subselect;
        size_t from = out->n;
        if (!r->alias || !r->subquery ||
            r->subquery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
            return unknown_columns(err);
        }
        KL_TRY(query_columns(b, &deeper, r->subquery->select_stmt, r->alias->aliasname, out, err));
        return rename_columns(r->alias->colnames, r->alias->n_colnames, from, out, err);
    }
    case PG_QUERY__NODE__NODE_RANGE_FUNCTION: {
        const PgQuery__Alias *a = n->range_function->alias;
        if (!a || a->n_colnames > 1) {
            return unknown_columns(err);
        }
        const char *name = a->n_colnames ? a->colnames[0]->string->sval : a->aliasname;
        return add_column(b, out, a->aliasname, name, err);
    }
    default:
        return unknown_columns(err);
    }
}
