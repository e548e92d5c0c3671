/* Printing statements: SELECT with its clauses, set operations, VALUES, WITH. See
 * duck_print_internal.h.
 *
 * FROM is printed first, into a buffer of its own, because what it brings into scope decides how
 * the rest is printed. */
#include "sql/duck_print_internal.h"
#include "sql/internal.h"

enum kl_rc kl_dp__refuse(struct kl_dp *p, int32_t location, const char *what) {
    return kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_dp__pos(location), "%s is not supported", what);
}

enum kl_rc kl_dp__nomem(struct kl_dp *p) {
    return kl_fail(p->err, KL_E_TOO_LARGE, "the statement is too large");
}

enum kl_rc kl_dp__enter(struct kl_dp *p, int32_t location) {
    if (++p->depth > KL_DP_MAX_DEPTH) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, kl_dp__pos(location),
            "the statement is nested too deeply (at most %d levels)", KL_DP_MAX_DEPTH);
    }
    return KL_OK;
}

/* ---- ORDER BY, GROUP BY, WINDOW ---- */

/* 1 in ORDER BY and GROUP BY is the first output column, not a number. */
static enum kl_rc sort_key(struct kl_dp *p, PgQuery__Node *n) {
    if (kl_dp__is_integer_const(n)) {
        kl_buf_i64(p->out, n->a_const->ival ? n->a_const->ival->ival : 0);
        return KL_OK;
    }
    return kl_dp__expr(p, n);
}

static enum kl_rc sort_by(struct kl_dp *p, PgQuery__SortBy *s, bool positions) {
    KL_TRY(positions ? sort_key(p, s->node) : kl_dp__expr(p, s->node));
    switch (s->sortby_dir) {
    case PG_QUERY__SORT_BY_DIR__SORTBY_DEFAULT:
        break;
    case PG_QUERY__SORT_BY_DIR__SORTBY_ASC:
        kl_dp__puts(p, " ASC");
        break;
    case PG_QUERY__SORT_BY_DIR__SORTBY_DESC:
        kl_dp__puts(p, " DESC");
        break;
    default:
        return kl_dp__refuse(p, s->location, "ORDER BY USING");
    }
    if (s->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST) {
        kl_dp__puts(p, " NULLS FIRST");
    } else if (s->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST) {
        kl_dp__puts(p, " NULLS LAST");
    }
    return KL_OK;
}

enum kl_rc kl_dp__order_by(struct kl_dp *p, PgQuery__Node **items, size_t n, bool positions) {
    for (size_t i = 0; i < n; i++) {
        kl_dp__puts(p, i ? ", " : " ORDER BY ");
        if (items[i]->node_case != PG_QUERY__NODE__NODE_SORT_BY) {
            return kl_dp__refuse(p, -1, "this ORDER BY");
        }
        KL_TRY(sort_by(p, items[i]->sort_by, positions));
    }
    return KL_OK;
}

static enum kl_rc group_item(struct kl_dp *p, PgQuery__Node *n, bool in_set);

static enum kl_rc group_items(struct kl_dp *p, PgQuery__Node **items, size_t n, bool in_set) {
    for (size_t i = 0; i < n; i++) {
        kl_dp__puts(p, i ? ", " : "");
        KL_TRY(group_item(p, items[i], in_set));
    }
    return KL_OK;
}

static enum kl_rc grouping_set(struct kl_dp *p, PgQuery__GroupingSet *g) {
    switch (g->kind) {
    case PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_EMPTY:
        kl_dp__puts(p, "()");
        return KL_OK;
    case PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_ROLLUP:
        kl_dp__puts(p, "ROLLUP (");
        break;
    case PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_CUBE:
        kl_dp__puts(p, "CUBE (");
        break;
    case PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_SETS:
        kl_dp__puts(p, "GROUPING SETS (");
        break;
    default:
        return kl_dp__refuse(p, g->location, "this GROUP BY");
    }
    KL_TRY(group_items(p, g->content, g->n_content, true));
    kl_dp__puts(p, ")");
    return KL_OK;
}

static enum kl_rc group_item(struct kl_dp *p, PgQuery__Node *n, bool in_set) {
    if (n->node_case == PG_QUERY__NODE__NODE_GROUPING_SET) {
        KL_TRY(kl_dp__enter(p, n->grouping_set->location));
        KL_TRY(grouping_set(p, n->grouping_set));
        p->depth--;
        return KL_OK;
    }
    if (n->node_case == PG_QUERY__NODE__NODE_ROW_EXPR) { /* (a, b) is a list, not a row; DuckDB
                                                            wants the brackets inside sets only */
        kl_dp__puts(p, in_set ? "(" : "");
        KL_TRY(group_items(p, n->row_expr->args, n->row_expr->n_args, in_set));
        kl_dp__puts(p, in_set ? ")" : "");
        return KL_OK;
    }
    return sort_key(p, n);
}

/* PostgreSQL's FRAMEOPTION_* bits. */
enum {
    FRAME_NONDEFAULT = 0x1,
    FRAME_ROWS = 0x4,
    FRAME_GROUPS = 0x8,
    FRAME_START_UNBOUNDED_PRECEDING = 0x20,
    FRAME_END_UNBOUNDED_FOLLOWING = 0x100,
    FRAME_START_CURRENT = 0x200,
    FRAME_END_CURRENT = 0x400,
    FRAME_START_PRECEDING = 0x800,
    FRAME_END_PRECEDING = 0x1000,
    FRAME_START_FOLLOWING = 0x2000,
    FRAME_END_FOLLOWING = 0x4000,
    FRAME_EXCLUDE_CURRENT = 0x8000,
    FRAME_EXCLUDE_GROUP = 0x10000,
    FRAME_EXCLUDE_TIES = 0x20000,
};

static enum kl_rc frame(struct kl_dp *p, PgQuery__WindowDef *w) {
    int f = w->frame_options;
    if (!(f & FRAME_NONDEFAULT)) {
        return KL_OK;
    }
    kl_dp__puts(p, f & FRAME_ROWS ? " ROWS" : f & FRAME_GROUPS ? " GROUPS" : " RANGE");
    kl_dp__puts(p, " BETWEEN ");
    if (f & (FRAME_START_PRECEDING | FRAME_START_FOLLOWING)) {
        KL_TRY(kl_dp__expr(p, w->start_offset));
        kl_dp__puts(p, f & FRAME_START_PRECEDING ? " PRECEDING" : " FOLLOWING");
    } else if (f & FRAME_START_UNBOUNDED_PRECEDING) {
        kl_dp__puts(p, "UNBOUNDED PRECEDING");
    } else if (f & FRAME_START_CURRENT) {
        kl_dp__puts(p, "CURRENT ROW");
    } else {
        return kl_dp__refuse(p, w->location, "this window frame");
    }
    kl_dp__puts(p, " AND ");
    if (f & (FRAME_END_PRECEDING | FRAME_END_FOLLOWING)) {
        KL_TRY(kl_dp__expr(p, w->end_offset));
        kl_dp__puts(p, f & FRAME_END_PRECEDING ? " PRECEDING" : " FOLLOWING");
    } else if (f & FRAME_END_UNBOUNDED_FOLLOWING) {
        kl_dp__puts(p, "UNBOUNDED FOLLOWING");
    } else if (f & FRAME_END_CURRENT) {
        kl_dp__puts(p, "CURRENT ROW");
    } else {
        return kl_dp__refuse(p, w->location, "this window frame");
    }
    kl_dp__puts(p, f & FRAME_EXCLUDE_CURRENT ? " EXCLUDE CURRENT ROW"
                   : f & FRAME_EXCLUDE_GROUP ? " EXCLUDE GROUP"
                   : f & FRAME_EXCLUDE_TIES  ? " EXCLUDE TIES"
                                             : "");
    return KL_OK;
}

enum kl_rc kl_dp__window(struct kl_dp *p, PgQuery__WindowDef *w) {
    kl_dp__puts(p, "(");
    if (w->refname && *w->refname) {
        kl_dp__ident(p, w->refname);
    }
    if (w->n_partition_clause) {
        kl_dp__puts(p, " PARTITION BY ");
        KL_TRY(kl_dp__list(p, w->partition_clause, w->n_partition_clause));
    }
    KL_TRY(kl_dp__order_by(p, w->order_clause, w->n_order_clause, false));
    KL_TRY(frame(p, w));
    kl_dp__puts(p, ")");
    return KL_OK;
}

static enum kl_rc window_clause(struct kl_dp *p, PgQuery__SelectStmt *s) {
    for (size_t i = 0; i < s->n_window_clause; i++) {
        kl_dp__puts(p, i ? ", " : " WINDOW ");
        PgQuery__WindowDef *w = s->window_clause[i]->window_def;
        kl_dp__ident(p, w->name);
        kl_dp__puts(p, " AS ");
        KL_TRY(kl_dp__window(p, w));
    }
    return KL_OK;
}

/* ---- the parts of SELECT ---- */

bool kl_dp__is_star(const PgQuery__Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && n->column_ref->n_fields > 0 &&
           n->column_ref->fields[n->column_ref->n_fields - 1]->node_case ==
               PG_QUERY__NODE__NODE_A_STAR;
}

bool kl_dp__star_is_wide(const struct kl_dp *p, const PgQuery__SelectStmt *s) {
    return !p->declared && !p->scope->outer && p->views == 0 && s->n_distinct_clause == 0 &&
           s->n_group_clause == 0;
}

static void exclude_system(struct kl_dp *p, const PgQuery__ColumnRef *star) {
    const char *rel = star->n_fields > 1 ? kl_dp__str(star->fields[star->n_fields - 2]) : NULL;
    static const char *const names[] = {"_seq", "_deleted"};
    size_t n = 0;
    for (const struct kl_dp_rel *r = p->scope->rels; r; r = r->next) {
        if (r->scan == 0 || r->table->type == KL_TABLE_SYSTEM ||
            (rel && strcmp(r->alias, rel) != 0)) {
            continue;
        }
        for (size_t i = 0; i < KL_LEN(names); i++) {
            kl_dp__puts(p, n++ > 0 ? ", " : " EXCLUDE (");
            kl_dp__ident(p, r->alias);
            kl_dp__puts(p, ".");
            kl_dp__ident(p, names[i]);
        }
    }
    kl_dp__puts(p, n > 0 ? ")" : "");
}

/* DuckDB forgets the type of what it finds to be NULL while planning. */
static enum kl_rc output(struct kl_dp *p, PgQuery__Node *n) {
    struct kl_buf *out = p->out, text;
    kl_buf_init(&text, KL_DP_MAX_TEXT);
    p->out = &text;
    enum kl_rc rc = kl_dp__arg(p, n);
    p->out = out;
    static const char *const makes_null[] = {"NULL AS ", "nullif(", "CASE "};
    bool null = false;
    for (size_t i = 0; text.len && i < KL_LEN(makes_null); i++) {
        null |= memmem(text.data, text.len, makes_null[i], strlen(makes_null[i])) != NULL;
    }
    struct kl_type t = rc == KL_OK && null ? kl_dp__infer(p, n) : KL_TYPE(NULL);
    bool cast = kl_type_is_number(t.id) || t.id == KL_T_TEXT || t.id == KL_T_BOOLEAN;
    kl_dp__puts(p, cast ? "CAST(" : "");
    kl_buf_slice(out, kl_buf_view(&text));
    out->failed |= text.failed;
    kl_buf_deinit(&text);
    if (cast) {
        kl_dp__puts(p, " AS ");
        kl_duck_type_name(t, out);
        kl_dp__puts(p, ")");
    }
    return rc;
}

static enum kl_rc target(struct kl_dp *p, PgQuery__ResTarget *t, bool wide) {
    if (t->n_indirection) {
        return kl_dp__refuse(p, t->location, "this output column");
    }
    const PgQuery__Node *v = t->val;
    if (v && kl_dp__is_star(v)) {
        KL_TRY(kl_dp__column_ref(p, v->column_ref));
        if (!wide) {
            exclude_system(p, v->column_ref);
        }
        return KL_OK;
    }
    bool bare_null = v && v->node_case == PG_QUERY__NODE__NODE_A_CONST && v->a_const->isnull;
    if (bare_null) {
        kl_dp__puts(p, "CAST(NULL AS VARCHAR)"); /* unknown becomes text at last */
    } else {
        KL_TRY(output(p, t->val));
    }
    kl_dp__puts(p, " AS ");
    kl_dp__ident(p, t->name && *t->name ? t->name : kl_dp__column_name(t->val));
    return KL_OK;
}

static enum kl_rc targets(struct kl_dp *p, PgQuery__SelectStmt *s) {
    if (s->n_target_list == 0) {
        return kl_dp__refuse(p, -1, "SELECT without output columns");
    }
    bool wide = kl_dp__star_is_wide(p, s);
    for (size_t i = 0; i < s->n_target_list; i++) {
        kl_dp__puts(p, i ? ", " : "");
        if (s->target_list[i]->node_case != PG_QUERY__NODE__NODE_RES_TARGET) {
            return kl_dp__refuse(p, -1, "this output column");
        }
        KL_TRY(target(p, s->target_list[i]->res_target, wide));
    }
    return KL_OK;
}

static enum kl_rc distinct(struct kl_dp *p, PgQuery__SelectStmt *s) {
    if (s->n_distinct_clause == 0) {
        return KL_OK;
    }
    /* Plain DISTINCT is a list of one empty node. */
    PgQuery__Node *first = s->distinct_clause[0];
    if (!first || first->node_case == PG_QUERY__NODE__NODE__NOT_SET) {
        kl_dp__puts(p, "DISTINCT ");
        return KL_OK;
    }
    kl_dp__puts(p, "DISTINCT ON (");
    for (size_t i = 0; i < s->n_distinct_clause; i++) {
        kl_dp__puts(p, i ? ", " : "");
        KL_TRY(sort_key(p, s->distinct_clause[i]));
    }
    kl_dp__puts(p, ") ");
    return KL_OK;
}

static enum kl_rc values_lists(struct kl_dp *p, PgQuery__SelectStmt *s) {
    size_t n_cols = 0;
    kl_dp__puts(p, "SELECT * FROM (VALUES ");
    for (size_t i = 0; i < s->n_values_lists; i++) {
        PgQuery__Node *row = s->values_lists[i];
        if (row->node_case != PG_QUERY__NODE__NODE_LIST) {
            return kl_dp__refuse(p, -1, "this VALUES list");
        }
        if (i == 0) {
            n_cols = row->list->n_items;
        } else if (row->list->n_items != n_cols) {
            return kl_fail(p->err, KL_E_INVALID_SQL, "VALUES lists must all be the same length");
        }
        kl_dp__puts(p, i ? ", (" : "(");
        KL_TRY(kl_dp__list(p, row->list->items, row->list->n_items));
        kl_dp__puts(p, ")");
    }
    kl_dp__puts(p, ") AS \"*VALUES*\"(");
    for (size_t c = 1; c <= n_cols; c++) {
        kl_buf_printf(p->out, "%s\"column%zu\"", c > 1 ? ", " : "", c);
    }
    kl_dp__puts(p, ")");
    return KL_OK;
}

/* SELECT .. FROM .. WHERE .. GROUP BY .. HAVING .. WINDOW */
static enum kl_rc select_core(struct kl_dp *p, PgQuery__SelectStmt *s, bool want) {
    const struct kl_dp_cols *cols = NULL;
    struct kl_buf *out = p->out, from;
    kl_buf_init(&from, KL_DP_MAX_TEXT);
    p->out = &from;
    p->scope->in_from = true;
    enum kl_rc rc = kl_dp__from(p, s->from_clause, s->n_from_clause);
    p->scope->in_from = false;
    p->out = out;
    if (rc == KL_OK) {
        kl_dp__puts(p, "SELECT ");
        rc = distinct(p, s);
    }
    if (rc == KL_OK) {
        rc = targets(p, s);
        cols = want ? kl_dp__cols_of_targets(p, s) : NULL;
        if (!p->scope->outer) {
            kl_dp__flags_of_targets(p, s);
        }
    }
    kl_buf_slice(out, kl_buf_view(&from));
    out->failed |= from.failed;
    kl_buf_deinit(&from);
    KL_TRY(rc);
    KL_TRY(kl_dp__push_down(p, s->where_clause));
    if (s->where_clause) {
        kl_dp__puts(p, " WHERE ");
        KL_TRY(kl_dp__rows_condition(p, s->where_clause, "WHERE"));
    }
    if (s->n_group_clause) {
        kl_dp__puts(p, " GROUP BY ");
        KL_TRY(group_items(p, s->group_clause, s->n_group_clause, false));
    }
    if (s->having_clause) {
        kl_dp__puts(p, " HAVING ");
        KL_TRY(kl_dp__condition(p, s->having_clause, "HAVING"));
    }
    KL_TRY(window_clause(p, s));
    p->told = cols;
    return KL_OK;
}

static enum kl_rc operand(struct kl_dp *p, PgQuery__SelectStmt *s) {
    kl_dp__puts(p, "(");
    KL_TRY(kl_dp__select(p, s));
    kl_dp__puts(p, ")");
    return KL_OK;
}

/* The position of the first output. */
static int first_output(const PgQuery__SelectStmt *s) {
    while (s->larg) {
        s = s->larg;
    }
    const PgQuery__Node *n = s->n_target_list ? s->target_list[0]->res_target->val : NULL;
    if (s->n_values_lists > 0 && s->values_lists[0]->list->n_items > 0) {
        n = s->values_lists[0]->list->items[0];
    }
    return n ? kl_dp__pos(kl_dp__leftmost(n)) : 0;
}

static enum kl_rc set_operation(struct kl_dp *p, PgQuery__SelectStmt *s, bool want) {
    const char *op = s->op == PG_QUERY__SET_OPERATION__SETOP_UNION       ? " UNION "
                     : s->op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT ? " INTERSECT "
                     : s->op == PG_QUERY__SET_OPERATION__SETOP_EXCEPT    ? " EXCEPT "
                                                                         : NULL;
    if (!op || !s->larg || !s->rarg) {
        return kl_dp__refuse(p, -1, "this set operation");
    }
    p->want_cols = true;
    KL_TRY(operand(p, s->larg));
    const struct kl_dp_cols *left = p->told;
    kl_dp__puts(p, op);
    kl_dp__puts(p, s->all ? "ALL " : "");
    p->want_cols = true;
    KL_TRY(operand(p, s->rarg));
    if (kl_dp__is_counted(left) && kl_dp__is_counted(p->told) && left->n != p->told->n) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, first_output(s->rarg),
            "each%squery must have the same number of columns", op);
    }
    p->told = want ? kl_dp__cols_met(p, left, p->told) : NULL;
    return KL_OK;
}

static bool is_null_const(const PgQuery__Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_A_CONST && n->a_const->isnull;
}

/* A number stays one: below a lateral join it has to. The whole statement's counts are checked when
 * it is bound, others as they are met. */
static enum kl_rc row_count(struct kl_dp *p, PgQuery__Node *n, bool is_limit) {
    if (kl_dp__is_integer_const(n)) {
        int count = n->a_const->ival ? n->a_const->ival->ival : 0;
        kl_buf_i64(p->out, count);
        return count >= 0 ? KL_OK
                          : kl_fail_at(p->err, KL_E_EXEC, kl_dp__pos(n->a_const->location),
                                "%s must not be negative", is_limit ? "LIMIT" : "OFFSET");
    }
    bool param = n->node_case == PG_QUERY__NODE__NODE_PARAM_REF;
    if (!p->plain && (p->scope->outer || !param)) {
        return kl_dp__refuse(p, kl_dp__location(n), "a computed or lifted row count");
    }
    if (param && !p->scope->outer) {
        *(is_limit ? &p->limit : &p->offset) = (unsigned)n->param_ref->number;
    }
    kl_dp__puts(p, "kl_limit(CAST(");
    KL_TRY(kl_dp__expr(p, n));
    kl_dp__puts(p, is_limit ? " AS BIGINT), TRUE)" : " AS BIGINT), FALSE)");
    return KL_OK;
}

static enum kl_rc limit(struct kl_dp *p, PgQuery__SelectStmt *s) {
    if (s->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES) {
        return kl_dp__refuse(p, -1, "WITH TIES");
    }
    PgQuery__Node *parts[] = {s->limit_count, s->limit_offset};
    static const char *const words[] = {" LIMIT ", " OFFSET "};
    for (int i = 0; i < 2; i++) {
        if (parts[i] && !is_null_const(parts[i])) {
            kl_dp__puts(p, words[i]);
            KL_TRY(row_count(p, parts[i], i == 0));
        }
    }
    return KL_OK;
}

/* ---- WITH ---- */

static struct kl_dp_cte *new_cte(struct kl_dp *p, PgQuery__CommonTableExpr *c) {
    struct kl_dp_cte *cte = KL_ARENA_NEW(p->arena, struct kl_dp_cte);
    if (cte) {
        *cte = (struct kl_dp_cte){.name = c->ctename, .number = p->n_ctes++};
    }
    return cte;
}

static void push_cte(struct kl_dp *p, struct kl_dp_cte *cte) {
    cte->next = p->ctes;
    p->ctes = cte;
}

#define CTE_KEYWORD "MATERIALIZED "

static enum kl_rc print_cte(struct kl_dp *p, PgQuery__CommonTableExpr *c, struct kl_dp_cte *cte) {
    if (c->search_clause || c->cycle_clause) {
        return kl_dp__refuse(p, c->location, "SEARCH or CYCLE");
    }
    kl_buf_printf(p->out, "\"kl_cte_%u\"", cte->number);
    for (size_t i = 0; i < c->n_aliascolnames; i++) {
        kl_dp__puts(p, i ? ", " : "(");
        kl_dp__ident(p, kl_dp__str(c->aliascolnames[i]));
    }
    kl_dp__puts(p, c->n_aliascolnames ? ") AS " : " AS ");
    bool always = c->ctematerialized == PG_QUERY__CTEMATERIALIZE__CTEMaterializeAlways;
    cte->keyword_at = p->out->len;
    kl_buf_printf(p->out, "%*s", (int)strlen(CTE_KEYWORD), always ? CTE_KEYWORD : "");
    unsigned refs = cte->refs;
    const struct kl_dp_cols *cols;
    KL_TRY(kl_dp__described(p, c->ctequery, &cols));
    cte->cols = kl_dp__cols_renamed(p, cols, c->aliascolnames, c->n_aliascolnames);
    cte->self = cte->refs > refs;
    return KL_OK;
}

/* ret_ctes: those of this clause, by position; for mark_ctes. */
static enum kl_rc with_clause(
    struct kl_dp *p, PgQuery__WithClause *w, struct kl_dp_cte ***ret_ctes) {
    struct kl_dp_cte **ctes = KL_ARENA_ARRAY(p->arena, struct kl_dp_cte *, w->n_ctes);
    kl_dp__puts(p, w->recursive ? "WITH RECURSIVE " : "WITH ");
    for (size_t i = 0; i < w->n_ctes; i++) {
        if (w->ctes[i]->node_case != PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR) {
            return kl_dp__refuse(p, w->location, "this WITH");
        }
        if (!ctes || !(ctes[i] = new_cte(p, w->ctes[i]->common_table_expr))) {
            return kl_dp__nomem(p);
        }
        if (w->recursive) { /* all of them see each other */
            push_cte(p, ctes[i]);
        }
    }
    for (size_t i = 0; i < w->n_ctes; i++) {
        kl_dp__puts(p, i ? ", " : "");
        KL_TRY(print_cte(p, w->ctes[i]->common_table_expr, ctes[i]));
        if (!w->recursive) {
            push_cte(p, ctes[i]);
        }
    }
    kl_dp__puts(p, " ");
    *ret_ctes = ctes;
    return KL_OK;
}

/* PostgreSQL inlines what is read once and computes once what is read more often. DuckDB would
 * inline the latter too, which reads tables again and, in a chain of them, doubles the plan at each
 * link. Its NOT MATERIALIZED is only a hint. */
static void mark_ctes(struct kl_dp *p, struct kl_dp_cte *const *ctes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (ctes[i]->refs > 1 && !ctes[i]->self && !p->out->failed) {
            memcpy(p->out->data + ctes[i]->keyword_at, CTE_KEYWORD, strlen(CTE_KEYWORD));
        }
    }
}

/* ---- statements ---- */

static enum kl_rc select_in_scope(struct kl_dp *p, PgQuery__SelectStmt *s) {
    if (s->into_clause) {
        return kl_dp__refuse(p, -1, "SELECT INTO");
    }
    if (s->n_locking_clause) {
        return kl_dp__refuse(p, -1, "FOR UPDATE or FOR SHARE");
    }
    struct kl_dp_cte **ctes = NULL;
    bool want = p->want_cols;
    p->want_cols = false;
    bool plain = s->op <= PG_QUERY__SET_OPERATION__SETOP_NONE && s->n_values_lists == 0;
    p->scope->select = plain ? s : NULL;
    if (s->with_clause) {
        KL_TRY(with_clause(p, s->with_clause, &ctes));
    }
    if (s->n_values_lists) {
        KL_TRY(values_lists(p, s));
        p->told = want ? kl_dp__cols_of_values(p, s) : NULL;
    } else if (s->op > PG_QUERY__SET_OPERATION__SETOP_NONE) {
        KL_TRY(set_operation(p, s, want));
    } else {
        KL_TRY(select_core(p, s, want));
    }
    const struct kl_dp_cols *told = p->told;
    KL_TRY(kl_dp__order_by(p, s->sort_clause, s->n_sort_clause, true));
    KL_TRY(limit(p, s));
    p->told = told;
    mark_ctes(p, ctes, ctes ? s->with_clause->n_ctes : 0);
    return KL_OK;
}

enum kl_rc kl_dp__select(struct kl_dp *p, PgQuery__SelectStmt *s) {
    KL_TRY(kl_dp__enter(p, -1));
    struct kl_dp_cte *ctes = p->ctes;
    struct kl_dp_scope scope = {.outer = p->scope};
    p->scope = &scope;
    enum kl_rc rc = select_in_scope(p, s);
    /* Also when it failed: whoever only tried, to learn a type, goes on from here. */
    p->scope = scope.outer;
    p->ctes = ctes;
    p->depth--;
    KL_TRY(rc);
    return p->out->failed ? kl_dp__nomem(p) : KL_OK;
}

enum kl_rc kl_dp__subquery(struct kl_dp *p, PgQuery__Node *n) {
    if (!n || n->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
        return kl_dp__refuse(
            p, n ? kl_dp__location(n) : -1, "a data-changing statement inside a query");
    }
    return operand(p, n->select_stmt);
}

enum kl_rc kl_dp__described(struct kl_dp *p, PgQuery__Node *query, const struct kl_dp_cols **ret) {
    p->want_cols = true;
    p->told = NULL;
    KL_TRY(kl_dp__subquery(p, query));
    *ret = p->told;
    return KL_OK;
}

static enum kl_rc finish(struct kl_dp *p, struct kl_buf *text, struct kl_plan *plan) {
    struct kl_plan_duck *duck = KL_ARENA_NEW(&plan->arena, struct kl_plan_duck);
    if (!duck) {
        return kl_dp__nomem(p);
    }
    duck->sql = kl_arena_dup(&plan->arena, kl_buf_view(text));
    duck->scans = KL_ARENA_ARRAY(&plan->arena, struct kl_plan_scan, p->n_scans + 1);
    if (!duck->sql.ptr || !duck->scans) {
        return kl_dp__nomem(p);
    }
    memcpy(duck->scans, p->scans, p->n_scans * sizeof(*duck->scans));
    duck->n_scans = p->n_scans;
    duck->flags = p->flags;
    duck->n_flags = p->n_flags;
    duck->limit = p->limit;
    duck->offset = p->offset;
    for (size_t i = 0; i < p->n_scans; i++) {
        kl_table_ref(p->scans[i].table);
    }
    plan->kind = KL_PLAN_DUCK;
    plan->duck = duck;
    return KL_OK;
}

enum kl_rc kl_sql__duck_print(const struct kl_sql_ctx *ctx, PgQuery__SelectStmt *stmt,
    const struct kl_query_input *in, struct kl_plan *plan, struct kl_err *err) {
    struct kl_buf text;
    size_t infer_budget = KL_DP_INFER_BYTES;
    kl_buf_init(&text, KL_DP_MAX_TEXT);
    struct kl_dp p = {
        .infer_budget = &infer_budget,
        .ctx = ctx,
        .plan = plan,
        .param_types = in->types,
        .n_params = in->n_types,
        .plain = in->plain,
        .declared = in->declared,
        .arena = &plan->arena,
        .err = err,
        .out = &text,
    };
    enum kl_rc rc = kl_dp__select(&p, stmt);
    if (rc == KL_OK) {
        rc = finish(&p, &text, plan);
    }
    if (rc == KL_OK) {
        plan->duck->limited = stmt->limit_count && !is_null_const(stmt->limit_count);
    }
    kl_buf_deinit(&text);
    return rc;
}
