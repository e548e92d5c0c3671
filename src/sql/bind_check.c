/* CHECK constraints: the text of a condition into an expression over a table's columns. What stands
 * in the catalog is SQL as it was written, so every plan that writes binds it anew; DDL binds it
 * first, which decides whether it may be there at all. */
#include "sql/bind_internal.h"

/* `SELECT (condition)` and nothing else: what the text brings along must stay inside the brackets.
 */
static const PgQuery__Node *only_output(const PgQuery__ParseResult *tree) {
    const PgQuery__Node *n = tree->n_stmts == 1 ? tree->stmts[0]->stmt : NULL;
    if (!n || n->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
        return NULL;
    }
    const PgQuery__SelectStmt *s = n->select_stmt;
    bool bare = s->op == PG_QUERY__SET_OPERATION__SETOP_NONE && s->n_target_list == 1 &&
                s->n_from_clause == 0 && !s->where_clause && !s->having_clause && !s->with_clause &&
                !s->into_clause && s->n_group_clause == 0 && s->n_distinct_clause == 0 &&
                s->n_sort_clause == 0 && s->n_window_clause == 0 && s->n_locking_clause == 0 &&
                !s->limit_count && !s->limit_offset;
    const PgQuery__ResTarget *out = bare ? s->target_list[0]->res_target : NULL;
    return out && !(out->name && out->name[0]) && out->n_indirection == 0 ? out->val : NULL;
}

static enum kl_rc bind_tree(const struct kl_table *t, const PgQuery__ParseResult *tree,
    struct kl_arena *arena, struct kl_expr **ret, struct kl_err *err) {
    const PgQuery__Node *n = only_output(tree);
    struct kl_binder b = {.table = (struct kl_table *)t, .eb = {.arena = arena}};
    if (!n) {
        return kl_fail(err, KL_E_INVALID_SQL, "a check constraint is one condition");
    }
    if (kl_sql__has_aggregate(n)) {
        return kl_fail(
            err, KL_E_INVALID_SQL, "aggregate functions are not allowed in check constraints");
    }
    KL_TRY(kl_sql__scope_slots(&b, false, err));
    for (size_t i = 0; i < t->n_cols; i++) {
        b.slots[i] = (int16_t)i;
        b.slot_of[i] = (uint16_t)(i + 1);
    }
    b.n_slots = t->n_cols;
    KL_TRY(kl_sql__bind_condition(&b, n, "CHECK", ret, err));
    if (b.n_slots > t->n_cols) {
        return kl_fail(err, KL_E_INVALID_SQL,
            "system column \"%s\" reference in check constraint is invalid",
            b.slots[t->n_cols] == KL_COL_SEQ ? "_seq" : "_deleted");
    }
    if (kl_expr_volatile(*ret)) {
        return kl_fail(err, KL_E_UNSUPPORTED,
            "functions that answer anew with every call are not allowed in check constraints");
    }
    return KL_OK;
}

enum kl_rc kl_sql_bind_check(const struct kl_table *t, struct kl_slice expr, struct kl_arena *arena,
    struct kl_expr **ret, struct kl_err *err) {
    char *plain, *text;
    PgQuery__ParseResult *tree;
    KL_TRY(kl_sql__check_text(expr, err));
    KL_TRY(kl_sql__plain_text(expr, arena, &plain, err));
    text = kl_arena_printf(arena, "SELECT (%s\n)", plain); /* it may end in a comment */
    if (!text) {
        return kl_sql__no_room(err);
    }
    KL_TRY(kl_sql__pg_parse(text, false, &tree, err));
    enum kl_rc rc = bind_tree(t, tree, arena, ret, err);
    pg_query__parse_result__free_unpacked(tree, NULL);
    return rc;
}

enum kl_rc kl_sql__bind_checks(
    struct kl_binder *b, struct kl_plan_write *write, struct kl_err *err) {
    const struct kl_table *t = b->table;
    write->checks = KL_ARENA_ARRAY(b->eb.arena, const struct kl_expr *, t->n_checks + 1);
    if (!write->checks) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; i < t->n_checks; i++) {
        struct kl_expr *e;
        enum kl_rc rc = kl_sql_bind_check(t, kl_slice_str(t->checks[i].expr), b->eb.arena, &e, err);
        if (rc != KL_OK) {
            kl_err_prefix(err, "check constraint \"%s\"", t->checks[i].name);
            return rc;
        }
        write->checks[i] = e;
    }
    write->n_checks = t->n_checks;
    return KL_OK;
}
