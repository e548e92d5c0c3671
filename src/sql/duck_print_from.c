/* The FROM clause: tables become scans, everything else is printed as it stands. The only place
 * where a name becomes a relation: either a common table expression in scope, or a table of the
 * catalog that the caller may read. */
#include "sql/duck_print_internal.h"

static enum kl_rc item(struct kl_dp *p, PgQuery__Node *n, bool nested);

static enum kl_rc add_rel(struct kl_dp *p, const char *name, const PgQuery__Alias *a,
    struct kl_table *table, const struct kl_dp_cols *cols) {
    struct kl_dp_rel *rel = KL_ARENA_NEW(p->arena, struct kl_dp_rel);
    if (!rel) {
        return kl_dp__nomem(p);
    }
    rel->alias = a ? a->aliasname : name;
    rel->aliased = a != NULL;
    rel->renamed = a && a->n_colnames > 0;
    rel->table = table;
    rel->cols = cols && a ? kl_dp__cols_renamed(p, cols, a->colnames, a->n_colnames) : cols;
    rel->optional = p->scope->optional > 0;
    rel->next = p->scope->rels;
    p->scope->rels = rel;
    return KL_OK;
}

static void print_alias(struct kl_dp *p, const char *name, const PgQuery__Alias *a) {
    kl_dp__puts(p, " AS ");
    kl_dp__ident(p, a ? a->aliasname : name);
    for (size_t i = 0; a && i < a->n_colnames; i++) {
        kl_dp__puts(p, i ? ", " : "(");
        kl_dp__ident(p, kl_dp__str(a->colnames[i]));
    }
    kl_dp__puts(p, a && a->n_colnames ? ")" : "");
}

static struct kl_dp_cte *find_cte(const struct kl_dp *p, const char *name) {
    for (struct kl_dp_cte *c = p->ctes; c; c = c->next) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

/* The table's columns, then _seq and _deleted; system relations have none of these. */
static enum kl_rc fill_scan(struct kl_dp *p, struct kl_table *t, struct kl_plan_scan *scan) {
    size_t extra = t->type == KL_TABLE_SYSTEM ? 0 : 2, n = t->n_cols + extra;
    int16_t *slots = KL_ARENA_ARRAY(p->arena, int16_t, n + 1);
    struct kl_sink_col *cols = KL_ARENA_ARRAY(p->arena, struct kl_sink_col, n + 1);
    if (!slots || !cols) {
        return kl_dp__nomem(p);
    }
    for (size_t i = 0; i < t->n_cols; i++) {
        const struct kl_column *c = &t->cols[i];
        slots[i] = (int16_t)i;
        cols[i] = (struct kl_sink_col){
            .name = kl_slice_str(c->name),
            .type = c->type,
            .flags = (uint8_t)((c->pk_pos ? KL_COL_PK : 0) | (c->nullable ? 0 : KL_COL_NOT_NULL)),
        };
    }
    if (extra) {
        slots[n - 2] = KL_COL_SEQ;
        cols[n - 2] = (struct kl_sink_col){
            .name = KL_S("_seq"), .type = KL_TYPE(BIGINT), .flags = KL_COL_NOT_NULL};
        slots[n - 1] = KL_COL_DELETED;
        cols[n - 1] = (struct kl_sink_col){
            .name = KL_S("_deleted"), .type = KL_TYPE(BOOLEAN), .flags = KL_COL_NOT_NULL};
    }
    *scan = (struct kl_plan_scan){.table = t, .slots = slots, .cols = cols, .n_slots = n};
    return KL_OK;
}

static enum kl_rc find_table(struct kl_dp *p, const PgQuery__RangeVar *r, struct kl_table **ret) {
    int pos = kl_dp__pos(r->location);
    if (r->catalogname && *r->catalogname && strcmp(r->catalogname, "kalam") != 0) {
        return kl_fail_at(p->err, KL_E_UNSUPPORTED, pos,
            "cross-database references are not supported: %s", r->catalogname);
    }
    struct kl_slice ns =
        r->schemaname && *r->schemaname ? kl_slice_str(r->schemaname) : p->ctx->session->ns;
    struct kl_table *t = kl_cat_table(p->ctx->cat, ns, kl_slice_str(r->relname));
    if (!t) {
        return kl_fail_at(
            p->err, KL_E_NOT_FOUND, pos, "Table not found: %.*s.%s", KL_FMT(ns), r->relname);
    }
    enum kl_rc rc = kl_auth_may_read(p->ctx->session->role, t, p->err);
    if (rc != KL_OK) {
        if (p->err) {
            p->err->position = pos;
        }
        return rc;
    }
    *ret = t;
    return KL_OK;
}

static enum kl_rc range_var(struct kl_dp *p, PgQuery__RangeVar *r) {
    bool qualified = r->schemaname && *r->schemaname;
    struct kl_dp_cte *cte = qualified ? NULL : find_cte(p, r->relname);
    if (cte) {
        cte->refs++;
        kl_buf_printf(p->out, "\"kl_cte_%u\"", cte->number);
        print_alias(p, r->relname, r->alias);
        return add_rel(p, r->relname, r->alias, NULL, cte->cols);
    }
    struct kl_table *t;
    KL_TRY(find_table(p, r, &t));
    if (t->type == KL_TABLE_VIEW) {
        KL_TRY(kl_dp__view(p, t, kl_dp__pos(r->location)));
        print_alias(p, r->relname, r->alias);
        return add_rel(p, r->relname, r->alias, t, NULL);
    }
    p->changed_us = KL_MAX(p->changed_us, t->versions[t->n_versions - 1].created_us);
    if (p->n_scans == KL_DUCK_MAX_SCANS) {
        return kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_dp__pos(r->location),
            "a statement can name at most %d tables", KL_DUCK_MAX_SCANS);
    }
    KL_TRY(fill_scan(p, t, &p->scans[p->n_scans]));
    kl_buf_printf(p->out, "kl_scan_%zu()", p->n_scans++);
    print_alias(p, r->relname, r->alias);
    KL_TRY(add_rel(p, r->relname, r->alias, t, NULL));
    p->scope->rels->scan = p->n_scans;
    return KL_OK;
}

static enum kl_rc range_subselect(struct kl_dp *p, PgQuery__RangeSubselect *r) {
    kl_dp__puts(p, r->lateral ? "LATERAL " : "");
    /* Without LATERAL the siblings are out of sight. */
    struct kl_dp_rel *rels = p->scope->rels;
    if (!r->lateral) {
        p->scope->rels = NULL;
    }
    const struct kl_dp_cols *cols;
    KL_TRY(kl_dp__described(p, r->subquery, &cols));
    p->scope->rels = rels;
    print_alias(p, "unnamed_subquery", r->alias);
    return add_rel(p, "unnamed_subquery", r->alias, NULL, cols);
}

static enum kl_rc range_function(struct kl_dp *p, PgQuery__RangeFunction *r) {
    if (r->ordinality || r->is_rowsfrom || r->n_coldeflist || r->n_functions != 1) {
        return kl_dp__refuse(p, -1, "WITH ORDINALITY, ROWS FROM or a column definition list");
    }
    /* Each function is a list of the call and its column definitions. */
    PgQuery__Node *n = r->functions[0];
    if (n->node_case == PG_QUERY__NODE__NODE_LIST && n->list->n_items > 0) {
        n = n->list->items[0];
    }
    if (n->node_case != PG_QUERY__NODE__NODE_FUNC_CALL) {
        return kl_dp__refuse(p, kl_dp__location(n), "this function in FROM");
    }
    const char *name;
    KL_TRY(kl_dp__table_func(p, n->func_call, &name));
    kl_dp__puts(p, " AS ");
    kl_dp__ident(p, r->alias ? r->alias->aliasname : name);
    kl_dp__puts(p, "(");
    if (r->alias && r->alias->n_colnames) {
        for (size_t i = 0; i < r->alias->n_colnames; i++) {
            kl_dp__puts(p, i ? ", " : "");
            kl_dp__ident(p, kl_dp__str(r->alias->colnames[i]));
        }
    } else {
        kl_dp__ident(p, r->alias ? r->alias->aliasname : name);
    }
    kl_dp__puts(p, ")");
    return add_rel(p, name, r->alias, NULL, NULL);
}

/* ---- NATURAL ---- */
/* Printed as USING: DuckDB would join on _seq and _deleted too, which every table has. */
static bool known_columns(struct kl_dp *p, const PgQuery__Node *n) {
    if (n->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR) {
        return known_columns(p, n->join_expr->larg) && known_columns(p, n->join_expr->rarg);
    }
    if (n->node_case != PG_QUERY__NODE__NODE_RANGE_VAR) {
        return false;
    }
    const PgQuery__RangeVar *r = n->range_var;
    bool cte = !(r->schemaname && *r->schemaname) && find_cte(p, r->relname);
    return !cte && !(r->alias && r->alias->n_colnames > 0);
}

static const struct kl_table *table_of(struct kl_dp *p, const PgQuery__RangeVar *r) {
    struct kl_table *t;
    return find_table(p, r, &t) == KL_OK ? t : NULL; /* it was printed, so it is there */
}

static bool has_column(struct kl_dp *p, const PgQuery__Node *n, const char *name) {
    if (n->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR) {
        return has_column(p, n->join_expr->larg, name) || has_column(p, n->join_expr->rarg, name);
    }
    const struct kl_table *t = table_of(p, n->range_var);
    return t && kl_table_col(t, kl_slice_str(name)) >= 0;
}

#define MAX_SHARED 256
struct shared {
    const char *names[MAX_SHARED];
    size_t n;
};

static bool listed(const struct shared *s, const char *name) {
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The columns of `left` that `right` has too; false: too many. */
static bool shared_columns(
    struct kl_dp *p, const PgQuery__Node *left, const PgQuery__Node *right, struct shared *ret) {
    if (left->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR) {
        return shared_columns(p, left->join_expr->larg, right, ret) &&
               shared_columns(p, left->join_expr->rarg, right, ret);
    }
    const struct kl_table *t = table_of(p, left->range_var);
    for (size_t i = 0; t && i < t->n_cols; i++) {
        const char *name = t->cols[i].name;
        if (!has_column(p, right, name) || listed(ret, name)) {
            continue;
        }
        if (ret->n == MAX_SHARED) {
            return false;
        }
        ret->names[ret->n++] = name;
    }
    return true;
}

static enum kl_rc natural_condition(struct kl_dp *p, PgQuery__JoinExpr *j) {
    struct shared s = {.n = 0};
    if (!shared_columns(p, j->larg, j->rarg, &s)) {
        return kl_dp__refuse(p, -1, "NATURAL JOIN of so many columns");
    }
    for (size_t i = 0; i < s.n; i++) {
        kl_dp__puts(p, i ? ", " : " USING (");
        kl_dp__ident(p, s.names[i]);
    }
    kl_dp__puts(p, s.n ? ")" : " ON TRUE");
    return KL_OK;
}

static enum kl_rc join_condition(struct kl_dp *p, PgQuery__JoinExpr *j) {
    if (j->is_natural) {
        return natural_condition(p, j);
    }
    if (j->n_using_clause) {
        for (size_t i = 0; i < j->n_using_clause; i++) {
            kl_dp__puts(p, i ? ", " : " USING (");
            kl_dp__ident(p, kl_dp__str(j->using_clause[i]));
        }
        kl_dp__puts(p, ")");
    } else if (j->quals) {
        kl_dp__puts(p, " ON ");
        return kl_dp__rows_condition(p, j->quals, "JOIN/ON");
    }
    return KL_OK;
}

static enum kl_rc keep_condition(
    struct kl_dp *p, const PgQuery__Node *quals, const struct kl_dp_rel *before) {
    struct kl_dp_on *on = KL_ARENA_NEW(p->arena, struct kl_dp_on);
    if (!on) {
        return kl_dp__nomem(p);
    }
    *on = (struct kl_dp_on){p->scope->ons, quals, p->scope->rels, before};
    p->scope->ons = on;
    return KL_OK;
}

static enum kl_rc join(struct kl_dp *p, PgQuery__JoinExpr *j) {
    if (j->alias || j->join_using_alias) {
        return kl_dp__refuse(p, -1, "an alias on a join");
    }
    const char *kind;
    bool conditional = j->is_natural || j->n_using_clause || j->quals;
    switch (j->jointype) {
    case PG_QUERY__JOIN_TYPE__JOIN_INNER:
        kind = conditional ? "JOIN " : "CROSS JOIN ";
        break;
    case PG_QUERY__JOIN_TYPE__JOIN_LEFT:
        kind = "LEFT JOIN ";
        break;
    case PG_QUERY__JOIN_TYPE__JOIN_RIGHT:
        kind = "RIGHT JOIN ";
        break;
    case PG_QUERY__JOIN_TYPE__JOIN_FULL:
        kind = "FULL JOIN ";
        break;
    default:
        return kl_dp__refuse(p, -1, "this kind of join");
    }
    if (j->is_natural && !(known_columns(p, j->larg) && known_columns(p, j->rarg))) {
        return kl_dp__refuse(
            p, -1, "NATURAL JOIN of anything but tables (USING names the columns)");
    }
    struct kl_dp_scope *scope = p->scope;
    struct kl_dp_rel *before = scope->rels;
    bool inner = j->jointype == PG_QUERY__JOIN_TYPE__JOIN_INNER;
    bool left = !inner && j->jointype != PG_QUERY__JOIN_TYPE__JOIN_LEFT;
    bool right = !inner && j->jointype != PG_QUERY__JOIN_TYPE__JOIN_RIGHT;
    scope->optional += left;
    KL_TRY(item(p, j->larg, true));
    scope->optional -= left;
    kl_dp__puts(p, " ");
    kl_dp__puts(p, kind);
    scope->optional += right;
    KL_TRY(item(p, j->rarg, true));
    scope->optional -= right;
    if (inner && j->quals && scope->optional == 0) {
        KL_TRY(keep_condition(p, j->quals, before));
    }
    return join_condition(p, j);
}

static enum kl_rc item_at_depth(struct kl_dp *p, PgQuery__Node *n, bool nested) {
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        return range_var(p, n->range_var);
    case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
        return range_subselect(p, n->range_subselect);
    case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
        return range_function(p, n->range_function);
    case PG_QUERY__NODE__NODE_JOIN_EXPR:
        kl_dp__puts(p, nested ? "(" : "");
        KL_TRY(join(p, n->join_expr));
        kl_dp__puts(p, nested ? ")" : "");
        return KL_OK;
    case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE:
        return kl_dp__refuse(p, n->range_table_sample->location, "TABLESAMPLE");
    default:
        return kl_dp__refuse(p, kl_dp__location(n), "this item of FROM");
    }
}

static enum kl_rc item(struct kl_dp *p, PgQuery__Node *n, bool nested) {
    KL_TRY(kl_dp__enter(p, -1));
    KL_TRY(item_at_depth(p, n, nested));
    p->depth--;
    return KL_OK;
}

enum kl_rc kl_dp__from(struct kl_dp *p, PgQuery__Node **items, size_t n) {
    for (size_t i = 0; i < n; i++) {
        kl_dp__puts(p, i ? ", " : " FROM ");
        KL_TRY(item(p, items[i], false));
    }
    return KL_OK;
}
