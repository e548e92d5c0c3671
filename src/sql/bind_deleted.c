/* Conditions on _deleted. Reads see live rows only, so `_deleted = false` says what is so anyway;
 * any other condition asks for tombstones, which no executor delivers yet, and is refused instead
 * of answered with too little. */
#include "sql/bind_internal.h"

static bool mentions(const PgQuery__Node *n);

static bool any_mentions(PgQuery__Node *const *nodes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (mentions(nodes[i])) {
            return true;
        }
    }
    return false;
}

static bool is_deleted(const PgQuery__Node *n) {
    if (!n || n->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || n->column_ref->n_fields == 0) {
        return false;
    }
    const PgQuery__Node *last = n->column_ref->fields[n->column_ref->n_fields - 1];
    return last->node_case == PG_QUERY__NODE__NODE_STRING &&
           kl_slice_ieq_str(kl_sql__pgstr(last->string->sval), "_deleted");
}

static bool mentions(const PgQuery__Node *n) {
    if (!n) {
        return false;
    }
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return is_deleted(n);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return any_mentions(n->func_call->args, n->func_call->n_args);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return mentions(n->a_expr->lexpr) || mentions(n->a_expr->rexpr);
    case PG_QUERY__NODE__NODE_LIST:
        return any_mentions(n->list->items, n->list->n_items);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return any_mentions(n->bool_expr->args, n->bool_expr->n_args);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return mentions(n->null_test->arg);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return mentions(n->boolean_test->arg);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return mentions(n->type_cast->arg);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return any_mentions(n->coalesce_expr->args, n->coalesce_expr->n_args);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return any_mentions(n->min_max_expr->args, n->min_max_expr->n_args);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return mentions(n->case_expr->arg) ||
               any_mentions(n->case_expr->args, n->case_expr->n_args) ||
               mentions(n->case_expr->defresult);
    case PG_QUERY__NODE__NODE_CASE_WHEN:
        return mentions(n->case_when->expr) || mentions(n->case_when->result);
    default:
        return false;
    }
}

static bool is_false(const PgQuery__Node *n) {
    return n && n->node_case == PG_QUERY__NODE__NODE_A_CONST && !n->a_const->isnull &&
           n->a_const->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL && !n->a_const->boolval->boolval;
}

/* _deleted = false, NOT _deleted, _deleted IS FALSE, _deleted IS NOT TRUE */
static bool says_live(const PgQuery__Node *n) {
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_A_EXPR: {
        const PgQuery__AExpr *e = n->a_expr;
        bool equals = e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP && e->n_name == 1 &&
                      strcmp(e->name[0]->string->sval, "=") == 0;
        return equals && ((is_deleted(e->lexpr) && is_false(e->rexpr)) ||
                             (is_false(e->lexpr) && is_deleted(e->rexpr)));
    }
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return n->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__NOT_EXPR &&
               n->bool_expr->n_args == 1 && is_deleted(n->bool_expr->args[0]);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return is_deleted(n->boolean_test->arg) &&
               (n->boolean_test->booltesttype == PG_QUERY__BOOL_TEST_TYPE__IS_FALSE ||
                   n->boolean_test->booltesttype == PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE);
    default:
        return false;
    }
}

enum kl_rc kl_sql__check_deleted(
    struct kl_binder *b, const PgQuery__Node *where, struct kl_err *err) {
    if (!where || !mentions(where) || says_live(where) ||
        (b->table && b->table->type == KL_TABLE_SYSTEM)) {
        return KL_OK;
    }
    if (where->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR &&
        where->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR) {
        for (size_t i = 0; i < where->bool_expr->n_args; i++) {
            KL_TRY(kl_sql__check_deleted(b, where->bool_expr->args[i], err));
        }
        return KL_OK;
    }
    return kl_fail(err, KL_E_UNSUPPORTED,
        "deleted rows cannot be read in this version: the only condition on _deleted is _deleted = "
        "false");
}

static enum kl_rc check_from(struct kl_binder *b, const PgQuery__Node *n, struct kl_err *err) {
    if (!n) {
        return KL_OK;
    }
    if (n->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR) {
        KL_TRY(check_from(b, n->join_expr->larg, err));
        KL_TRY(check_from(b, n->join_expr->rarg, err));
        return kl_sql__check_deleted(b, n->join_expr->quals, err);
    }
    if (n->node_case == PG_QUERY__NODE__NODE_RANGE_SUBSELECT) {
        n = n->range_subselect->subquery;
    }
    return n && n->node_case == PG_QUERY__NODE__NODE_SELECT_STMT
               ? kl_sql__check_deleted_select(b, n->select_stmt, err)
               : KL_OK;
}

enum kl_rc kl_sql__check_deleted_select(
    struct kl_binder *b, const PgQuery__SelectStmt *s, struct kl_err *err) {
    if (!s) {
        return KL_OK;
    }
    KL_TRY(kl_sql__check_deleted(b, s->where_clause, err));
    KL_TRY(kl_sql__check_deleted_select(b, s->larg, err));
    KL_TRY(kl_sql__check_deleted_select(b, s->rarg, err));
    for (size_t i = 0; i < s->n_from_clause; i++) {
        KL_TRY(check_from(b, s->from_clause[i], err));
    }
    for (size_t i = 0; s->with_clause && i < s->with_clause->n_ctes; i++) {
        const PgQuery__Node *cte = s->with_clause->ctes[i];
        if (cte->node_case == PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR) {
            KL_TRY(check_from(b, cte->common_table_expr->ctequery, err));
        }
    }
    return KL_OK;
}
