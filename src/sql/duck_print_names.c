/* Column references that can be told to be wrong before DuckDB sees them, so that the error has a
 * position and PostgreSQL's words. What a relation of unknown columns may have is left to DuckDB, as
 * is the order in which it takes output columns' names. Names count without case, as there. */
#include "sql/duck_print_internal.h"

#include "sql/bind_internal.h"

enum answer { NO, YES, UNKNOWN };

static enum answer cols_have(const struct kl_dp_cols *cols, const char *name) {
    for (size_t i = 0; i < cols->n; i++) {
        if (kl_sql__same_name(cols->cols[i].name, name)) {
            return YES;
        }
    }
    return cols->complete ? NO : UNKNOWN;
}

static enum answer has_column(const struct kl_dp_rel *r, const char *name) {
    if (r->cols) {
        return cols_have(r->cols, name);
    }
    if (!r->table || r->renamed) {
        return UNKNOWN;
    }
    for (size_t i = 0; i < r->table->n_cols; i++) {
        if (kl_sql__same_name(r->table->cols[i].name, name)) {
            return YES;
        }
    }
    bool stored = r->scan > 0 && r->table->type != KL_TABLE_SYSTEM;
    return stored && (strcmp(name, "_seq") == 0 || strcmp(name, "_deleted") == 0) ? YES : NO;
}

static bool is_output(const PgQuery__SelectStmt *s, const char *name) {
    for (size_t i = 0; s && i < s->n_target_list; i++) {
        const PgQuery__Node *n = s->target_list[i];
        if (n->node_case != PG_QUERY__NODE__NODE_RES_TARGET) {
            return true;
        }
        const PgQuery__ResTarget *t = n->res_target;
        bool column = t->val && t->val->node_case == PG_QUERY__NODE__NODE_COLUMN_REF;
        const char *own = t->name && *t->name ? t->name
                          : column            ? NULL /* it would be found by itself */
                                              : kl_dp__column_name(t->val);
        if (own && kl_sql__same_name(own, name)) {
            return true;
        }
    }
    return false;
}

/* A written name is one column only, which may be what USING or NATURAL made of two. */
static bool is_alias(const PgQuery__SelectStmt *s, const char *name) {
    for (size_t i = 0; s && i < s->n_target_list; i++) {
        const PgQuery__ResTarget *t = s->target_list[i]->res_target;
        if (t->name && kl_sql__same_name(t->name, name)) {
            return true;
        }
    }
    return false;
}

static bool is_merged(const PgQuery__Node *n, const char *name) {
    if (n->node_case != PG_QUERY__NODE__NODE_JOIN_EXPR) {
        return false;
    }
    const PgQuery__JoinExpr *j = n->join_expr;
    for (size_t i = 0; i < j->n_using_clause; i++) {
        const char *u = kl_dp__str(j->using_clause[i]);
        if (u && kl_sql__same_name(u, name)) {
            return true;
        }
    }
    return j->is_natural || is_merged(j->larg, name) || is_merged(j->rarg, name);
}

static bool may_be_one(const struct kl_dp_scope *s, const char *name) {
    bool one = !s->select || s->in_from || is_alias(s->select, name);
    for (size_t i = 0; !one && i < s->select->n_from_clause; i++) {
        one = is_merged(s->select->from_clause[i], name);
    }
    return one;
}

static enum kl_rc check_name(struct kl_dp *p, const char *name, int at) {
    const struct kl_table *only = NULL;
    for (const struct kl_dp_scope *s = p->scope; s; s = s->outer) {
        size_t found = 0, rels = 0;
        for (const struct kl_dp_rel *r = s->rels; r; r = r->next) {
            enum answer a = has_column(r, name);
            if (a == UNKNOWN || kl_sql__same_name(r->alias, name)) {
                return KL_OK;
            }
            found += a == YES;
            only = rels++ == 0 && s == p->scope ? r->table : NULL;
        }
        if (found > 1 && !may_be_one(s, name)) {
            return kl_fail_at(p->err, KL_E_EXEC, at, "column reference \"%s\" is ambiguous", name);
        }
        bool outputs = !s->select && s == p->scope;
        if (found > 0 || outputs || is_output(s->select, name)) {
            return KL_OK;
        }
    }
    return only ? kl_sql__no_column(only, KL_SLICE_NONE, kl_slice_str(name), at, p->err)
                : kl_fail_at(p->err, KL_E_EXEC, at, "column \"%s\" does not exist", name);
}

static enum kl_rc check_qualified(struct kl_dp *p, const char *rel, const char *name, int at) {
    for (const struct kl_dp_scope *s = p->scope; s; s = s->outer) {
        for (const struct kl_dp_rel *r = s->rels; r; r = r->next) {
            if (!kl_sql__same_name(r->alias, rel)) {
                continue;
            }
            return has_column(r, name) != NO ? KL_OK
                   : r->table && !r->cols    ? kl_sql__no_column(r->table, kl_slice_str(rel),
                                                   kl_slice_str(name), at, p->err)
                                             : kl_fail_at(p->err, KL_E_EXEC, at,
                                                   "column %s.%s does not exist", rel, name);
        }
    }
    return kl_fail_at(p->err, KL_E_EXEC, at, "missing FROM-clause entry for table \"%s\"", rel);
}

enum kl_rc kl_dp__check_column(struct kl_dp *p, const PgQuery__ColumnRef *c) {
    const char *name = c->n_fields > 0 ? kl_dp__str(c->fields[c->n_fields - 1]) : NULL;
    const char *rel = c->n_fields > 1 ? kl_dp__str(c->fields[c->n_fields - 2]) : NULL;
    int at = kl_dp__pos(c->location);
    return !p->scope      ? KL_OK
           : rel && name  ? check_qualified(p, rel, name, at)
           : name && !rel ? check_name(p, name, at)
                          : KL_OK;
}

int32_t kl_dp__leftmost(const PgQuery__Node *n) {
    int32_t at = kl_dp__location(n), below = -1;
    if (n->node_case == PG_QUERY__NODE__NODE_A_EXPR && n->a_expr->lexpr) {
        below = kl_dp__leftmost(n->a_expr->lexpr);
    } else if (n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST && n->type_cast->arg) {
        below = kl_dp__leftmost(n->type_cast->arg);
    }
    return below >= 0 && (at < 0 || below < at) ? below : at;
}
