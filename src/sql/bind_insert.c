/* INSERT ... VALUES: which columns are given, and one expression for each cell. Casting to the
 * column's type, defaults and NOT NULL happen when the row is made (stmt_write.c): a cell may be of
 * any type until its value is there. */
#include "sql/bind_internal.h"

static enum kl_rc check_form(const PgQuery__InsertStmt *s, struct kl_err *err) {
    if (s->on_conflict_clause) {
        return kl_sql__unavailable(err, "INSERT ... ON CONFLICT");
    }
    if (s->n_returning_list > 0) {
        return kl_sql__unavailable(err, "INSERT ... RETURNING");
    }
    if (s->with_clause) {
        return kl_sql__unavailable(err, "WITH ... INSERT");
    }
    if (s->select_stmt && s->select_stmt->select_stmt->n_values_lists == 0) {
        return kl_sql__unavailable(err, "INSERT ... SELECT");
    }
    const PgQuery__SelectStmt *v = s->select_stmt ? s->select_stmt->select_stmt : NULL;
    if (v && (v->n_sort_clause > 0 || v->limit_count || v->limit_offset || v->with_clause)) {
        return kl_sql__unavailable(err, "INSERT ... VALUES with ORDER BY, LIMIT or WITH");
    }
    if (s->override > PG_QUERY__OVERRIDING_KIND__OVERRIDING_NOT_SET) {
        return kl_sql__unavailable(err, "INSERT ... OVERRIDING");
    }
    return KL_OK;
}

/* A column that may be written; its index. */
static enum kl_rc target(
    struct kl_binder *b, const PgQuery__ResTarget *r, uint16_t *ret, struct kl_err *err) {
    struct kl_slice name = kl_sql__pgstr(r->name);
    int at = kl_sql__at(b, r->location), col = kl_sql__column(b->table, name);
    if (r->n_indirection > 0) {
        return kl_fail_at(err, KL_E_UNSUPPORTED, at, "a part of column \"%.*s\" cannot be assigned",
            KL_FMT(name));
    }
    if (col < 0 && name.len > 0 && name.ptr[0] == '_') {
        return kl_fail_at(err, KL_E_INVALID_SQL, at,
            "Column '%.*s' is a system column and cannot be written", KL_FMT(name));
    }
    if (col < 0) {
        kl_sql__no_column(b->table, KL_SLICE_NONE, name, at, err);
        char hint[sizeof(err->hint)] = "";
        if (err) {
            memcpy(hint, err->hint, sizeof(hint));
        }
        kl_fail_at(err, KL_E_EXEC, at, "Column '%.*s' does not exist", KL_FMT(name));
        if (hint[0]) {
            kl_err_hint(err, "%s", hint);
        }
        return KL_E_EXEC;
    }
    *ret = (uint16_t)col;
    return KL_OK;
}

static enum kl_rc targets(struct kl_binder *b, const PgQuery__InsertStmt *s,
    struct kl_plan_insert *ins, struct kl_err *err) {
    const struct kl_table *t = b->table;
    size_t n = s->n_cols > 0 ? s->n_cols : t->n_cols;
    bool *seen = KL_ARENA_ARRAY(b->eb.arena, bool, t->n_cols + 1);
    ins->targets = KL_ARENA_ARRAY(b->eb.arena, uint16_t, n + 1);
    if (!ins->targets || !seen) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; i < n; i++) {
        ins->targets[i] = (uint16_t)i;
        if (s->n_cols > 0) {
            const PgQuery__ResTarget *r = s->cols[i]->res_target;
            KL_TRY(target(b, r, &ins->targets[i], err));
            if (seen[ins->targets[i]]) {
                return kl_fail_at(err, KL_E_INVALID_SQL, kl_sql__at(b, r->location),
                    "column \"%s\" specified more than once", r->name);
            }
            seen[ins->targets[i]] = true;
        }
    }
    ins->n_targets = n;
    return KL_OK;
}

/* How many cells a row has decides how many columns are given when the statement does not name
 * them. */
static enum kl_rc check_width(const PgQuery__InsertStmt *s, const PgQuery__SelectStmt *v,
    struct kl_plan_insert *ins, struct kl_err *err) {
    size_t width = v->values_lists[0]->list->n_items;
    for (size_t r = 1; r < v->n_values_lists; r++) {
        if (v->values_lists[r]->list->n_items != width) {
            return kl_fail(err, KL_E_INVALID_SQL, "VALUES lists must all be the same length");
        }
    }
    if (width > ins->n_targets) {
        return kl_fail(err, KL_E_INVALID_SQL, "INSERT has more expressions than target columns");
    }
    if (width < ins->n_targets && s->n_cols > 0) {
        return kl_fail(err, KL_E_INVALID_SQL, "INSERT has more target columns than expressions");
    }
    ins->n_targets = width;
    return KL_OK;
}

static enum kl_rc cells(struct kl_binder *b, const PgQuery__SelectStmt *v,
    struct kl_plan_insert *ins, struct kl_err *err) {
    ins->n_rows = v->n_values_lists;
    ins->cells =
        KL_ARENA_ARRAY(b->eb.arena, const struct kl_expr *, ins->n_rows * ins->n_targets + 1);
    if (!ins->cells) {
        return kl_sql__no_room(err);
    }
    b->no_columns = "VALUES";
    for (size_t r = 0; r < ins->n_rows; r++) {
        const PgQuery__List *row = v->values_lists[r]->list;
        for (size_t i = 0; i < row->n_items; i++) {
            struct kl_expr *e = NULL;
            if (row->items[i]->node_case != PG_QUERY__NODE__NODE_SET_TO_DEFAULT) {
                KL_TRY(kl_sql__bind_expr(b, row->items[i], &e, err));
            }
            ins->cells[r * ins->n_targets + i] = e;
        }
    }
    b->no_columns = NULL;
    return KL_OK;
}

enum kl_rc kl_sql__bind_insert(struct kl_binder *b, PgQuery__InsertStmt *s, struct kl_err *err) {
    struct kl_rel_name name = kl_sql__rel_name(b, s->relation);
    struct kl_table *t;
    struct kl_plan_insert *ins = KL_ARENA_NEW(b->eb.arena, struct kl_plan_insert);
    if (!ins) {
        return kl_sql__no_room(err);
    }
    KL_TRY(kl_sql__find_table(b->ctx, &name, &t, err));
    KL_TRY(kl_sql__may_write(b, t, "insert", err));
    KL_TRY(check_form(s, err));
    KL_TRY(kl_sql__binder_scope(b, t, s->relation->alias, false, err));
    KL_TRY(targets(b, s, ins, err));
    if (s->select_stmt) {
        KL_TRY(check_width(s, s->select_stmt->select_stmt, ins, err));
        KL_TRY(cells(b, s->select_stmt->select_stmt, ins, err));
    } else { /* DEFAULT VALUES */
        ins->n_targets = 0;
        ins->n_rows = 1;
    }
    ins->stride = ins->n_rows == 1 && !b->plain ? b->n_types : 0;
    b->plan->kind = KL_PLAN_INSERT;
    b->plan->insert = ins;
    return KL_OK;
}
