/* INSERT: which columns are given, and where their values come from. A VALUES list of native cells
 * has one expression for each; casting to the column's type, defaults and NOT NULL happen when the
 * row is made (stmt_write.c): a cell may be of any type until its value is there. Anything else is
 * a query whose columns are the targets (bind_source.c). */
#include "sql/bind_internal.h"
#include "sql/duck_print_internal.h"

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

static int place(const struct kl_binder *b, const PgQuery__Node *n) {
    bool target = n && n->node_case == PG_QUERY__NODE__NODE_RES_TARGET;
    int32_t at = !n ? -1 : target ? n->res_target->location : kl_dp__leftmost(n);
    return kl_sql__at(b, at);
}

/* The n-th value of the first row, or output of the query. */
static const PgQuery__Node *given(const PgQuery__InsertStmt *s, size_t n) {
    const PgQuery__SelectStmt *q = s->select_stmt->select_stmt;
    const PgQuery__List *row = q->n_values_lists > 0 ? q->values_lists[0]->list : NULL;
    return row                    ? n < row->n_items ? row->items[n] : NULL
           : n < q->n_target_list ? q->target_list[n]->res_target->val
                                  : NULL;
}

/* How many values a row has decides how many columns are given when the statement does not name
 * them. */
static enum kl_rc set_width(const struct kl_binder *b, const PgQuery__InsertStmt *s, size_t width,
    struct kl_plan_insert *ins, struct kl_err *err) {
    if (width > ins->n_targets) {
        return kl_fail_at(err, KL_E_INVALID_SQL, place(b, given(s, ins->n_targets)),
            "INSERT has more expressions than target columns");
    }
    if (width < ins->n_targets && s->n_cols > 0) {
        return kl_fail_at(err, KL_E_INVALID_SQL, place(b, s->cols[width]),
            "INSERT has more target columns than expressions");
    }
    ins->n_targets = width;
    return KL_OK;
}

/* A key that is generated for each row cannot exist yet. */
static bool key_is_generated(const struct kl_table *t, const struct kl_plan_insert *ins) {
    if (t->n_pk != 1 || t->cols[t->pk[0]].def.kind != KL_DEFAULT_SNOWFLAKE) {
        return false;
    }
    for (size_t i = 0; i < ins->n_targets; i++) {
        if (ins->targets[i] == t->pk[0]) {
            return false;
        }
    }
    return true;
}

/* ---- VALUES ---- */
static enum kl_rc check_lengths(const PgQuery__SelectStmt *v, struct kl_err *err) {
    for (size_t r = 1; r < v->n_values_lists; r++) {
        if (v->values_lists[r]->list->n_items != v->values_lists[0]->list->n_items) {
            return kl_fail(err, KL_E_INVALID_SQL, "VALUES lists must all be the same length");
        }
    }
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
    for (size_t r = 0; r < ins->n_rows; r++) {
        const PgQuery__List *row = v->values_lists[r]->list;
        for (size_t i = 0; i < row->n_items; i++) {
            struct kl_expr *e = NULL;
            if (!kl_sql__is_default(row->items[i])) {
                KL_TRY(kl_sql__bind_expr(b, row->items[i], &e, err));
            }
            ins->cells[r * ins->n_targets + i] = e;
        }
    }
    return KL_OK;
}

/* ---- a query ---- */
static enum kl_rc by_query(struct kl_binder *b, const PgQuery__InsertStmt *s,
    struct kl_plan_insert *ins, struct kl_err *err) {
    PgQuery__SelectStmt *source;
    struct kl_plan *query;
    size_t width;
    b->plan->n_derived = 0; /* whatever a native attempt left behind */
    KL_TRY(kl_sql__insert_source(b, s, ins, &source, &width, err));
    KL_TRY(set_width(b, s, width, ins, err));
    KL_TRY(kl_sql__bind_subplan(b, source, &query, err));
    b->plan->write->query = query;
    ins->cells = NULL;
    ins->n_rows = 0;
    return KL_OK;
}

static bool is_plain_list(const PgQuery__InsertStmt *s, const PgQuery__SelectStmt *v) {
    return v->n_values_lists > 0 && !s->with_clause && v->n_sort_clause == 0 && !v->limit_count &&
           !v->limit_offset && !v->with_clause;
}

static enum kl_rc rows(struct kl_binder *b, const PgQuery__InsertStmt *s,
    struct kl_plan_insert *ins, struct kl_err *err) {
    const PgQuery__SelectStmt *v = s->select_stmt->select_stmt;
    struct kl_err native = {0};
    if (!is_plain_list(s, v)) {
        return by_query(b, s, ins, err);
    }
    KL_TRY(check_lengths(v, err));
    KL_TRY(set_width(b, s, v->values_lists[0]->list->n_items, ins, err));
    b->no_columns = "VALUES";
    enum kl_rc rc = cells(b, v, ins, &native);
    b->no_columns = NULL;
    /* A shape may stand for many rows; a query needs to see all of them. */
    if (rc == KL_E_UNSUPPORTED && b->plain && b->ctx->executor != KL_EXECUTOR_NATIVE) {
        return by_query(b, s, ins, err);
    }
    if (rc != KL_OK && err) {
        *err = native;
    }
    return rc;
}

enum kl_rc kl_sql__bind_insert(struct kl_binder *b, PgQuery__InsertStmt *s, struct kl_err *err) {
    struct kl_rel_name name = kl_sql__rel_name(b, s->relation);
    struct kl_table *t;
    struct kl_plan_insert *ins = KL_ARENA_NEW(b->eb.arena, struct kl_plan_insert);
    if (!ins) {
        return kl_sql__no_room(err);
    }
    b->plan->kind = KL_PLAN_INSERT;
    b->plan->insert = ins;
    KL_TRY(kl_sql__find_table(b->ctx, &name, &t, err));
    KL_TRY(kl_sql__may_write(b, t, "insert", err));
    if (s->override > PG_QUERY__OVERRIDING_KIND__OVERRIDING_NOT_SET) {
        return kl_sql__unavailable(err, "INSERT ... OVERRIDING");
    }
    KL_TRY(kl_sql__binder_scope(b, t, s->relation->alias, true, err));
    KL_TRY(targets(b, s, ins, err));
    KL_TRY(kl_sql__open_write(b, err));
    if (s->select_stmt) {
        KL_TRY(rows(b, s, ins, err));
    } else { /* DEFAULT VALUES */
        ins->n_targets = 0;
        ins->n_rows = 1;
    }
    ins->stride = ins->n_rows == 1 && !b->plain ? b->n_types : 0;
    ins->generated_key = key_is_generated(t, ins);
    if (s->on_conflict_clause) {
        KL_TRY(kl_sql__bind_conflict(b, s->on_conflict_clause, &ins->conflict, err));
    }
    return kl_sql__bind_returning(b, s->returning_list, s->n_returning_list, err);
}
