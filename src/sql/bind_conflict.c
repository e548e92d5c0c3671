/* ON CONFLICT: which unique key it speaks of, and what happens to the row that is there. */
#include "sql/bind_internal.h"
#include <stdio.h>

static enum kl_rc no_arbiter(struct kl_binder *b, int location, struct kl_err *err) {
    return kl_fail_at(err, KL_E_INVALID_SQL, kl_sql__at(b, location),
        "there is no unique or exclusion constraint matching the ON CONFLICT specification");
}

/* ---- the target ---- */
/* Are these the columns of the key, in any order and however often? */
static bool same_columns(
    const struct kl_table *t, const bool *named, const uint16_t *key, size_t n_key) {
    size_t n = 0;
    for (size_t c = 0; c < t->n_cols; c++) {
        n += named[c];
    }
    for (size_t i = 0; i < n_key; i++) {
        if (!named[key[i]]) {
            return false;
        }
    }
    return n == n_key && n_key > 0;
}

static enum kl_rc named_columns(
    struct kl_binder *b, const PgQuery__InferClause *infer, bool *named, struct kl_err *err) {
    for (size_t i = 0; i < infer->n_index_elems; i++) {
        const PgQuery__IndexElem *e = infer->index_elems[i]->index_elem;
        int at = kl_sql__at(b, infer->location);
        if (!e || e->expr || e->n_collation > 0 || e->n_opclass > 0 || !e->name || !e->name[0]) {
            return kl_fail_at(
                err, KL_E_UNSUPPORTED, at, "ON CONFLICT on anything but columns is not supported");
        }
        int col = kl_sql__column(b->table, kl_sql__pgstr(e->name));
        if (col == KL_COL_NONE) {
            return kl_sql__no_column(b->table, KL_SLICE_NONE, kl_sql__pgstr(e->name), at, err);
        }
        if (col < 0) {
            return no_arbiter(b, infer->location, err);
        }
        named[col] = true;
    }
    return KL_OK;
}

static enum kl_rc by_columns(struct kl_binder *b, const PgQuery__InferClause *infer,
    struct kl_plan_conflict *c, struct kl_err *err) {
    const struct kl_table *t = b->table;
    bool *named = KL_ARENA_ARRAY(b->eb.arena, bool, t->n_cols + 1);
    if (!named) {
        return kl_sql__no_room(err);
    }
    if (infer->where_clause) {
        return kl_fail_at(err, KL_E_UNSUPPORTED, kl_sql__at(b, infer->location),
            "ON CONFLICT (...) WHERE is not supported: no index is partial");
    }
    KL_TRY(named_columns(b, infer, named, err));
    if (same_columns(t, named, t->pk, t->n_pk)) {
        return KL_OK;
    }
    for (size_t i = 0; i < t->n_indexes; i++) {
        const struct kl_index *x = &t->indexes[i];
        if (x->unique && x->state == KL_INDEX_READY && same_columns(t, named, x->cols, x->n_cols)) {
            c->index_id = x->id;
            return KL_OK;
        }
    }
    return no_arbiter(b, infer->location, err);
}

static enum kl_rc by_name(struct kl_binder *b, const PgQuery__InferClause *infer,
    struct kl_plan_conflict *c, struct kl_err *err) {
    const struct kl_table *t = b->table;
    struct kl_slice name = kl_sql__pgstr(infer->conname);
    char pk_name[128];
    snprintf(pk_name, sizeof(pk_name), "%s_pkey", t->name);
    if (t->n_pk > 0 && kl_slice_ieq_str(name, pk_name)) {
        return KL_OK;
    }
    for (size_t i = 0; i < t->n_indexes; i++) {
        const struct kl_index *x = &t->indexes[i];
        if (x->unique && x->constraint && kl_slice_ieq_str(name, x->name)) {
            c->index_id = x->id;
            return x->state == KL_INDEX_READY ? KL_OK : no_arbiter(b, infer->location, err);
        }
    }
    return kl_fail_at(err, KL_E_NOT_FOUND, kl_sql__at(b, infer->location),
        "constraint \"%.*s\" for table \"%s\" does not exist", KL_FMT(name), t->name);
}

/* ---- SET lists, of UPDATE too ---- */
static enum kl_rc assigned_column(
    struct kl_binder *b, const PgQuery__ResTarget *r, uint16_t *ret, struct kl_err *err) {
    struct kl_slice name = kl_sql__pgstr(r->name);
    int at = kl_sql__at(b, r->location), col = kl_sql__column(b->table, name);
    if (r->n_indirection > 0) {
        return kl_fail_at(err, KL_E_UNSUPPORTED, at, "SET of a part of a column is not supported");
    }
    if (col < 0 && name.len > 0 && name.ptr[0] == '_') {
        return kl_fail_at(err, KL_E_INVALID_SQL, at,
            "Column '%.*s' is a system column and cannot be written", KL_FMT(name));
    }
    if (col < 0) {
        return kl_sql__no_column(b->table, KL_SLICE_NONE, name, at, err);
    }
    if (b->table->cols[col].pk_pos > 0) {
        return kl_fail_at(err, KL_E_EXEC, at, "UPDATE cannot modify primary key column '%s'",
            b->table->cols[col].name);
    }
    *ret = (uint16_t)col;
    return KL_OK;
}

enum kl_rc kl_sql__bind_set_cols(
    struct kl_binder *b, PgQuery__Node *const *list, size_t n, uint16_t **ret, struct kl_err *err) {
    uint16_t *cols = KL_ARENA_ARRAY(b->eb.arena, uint16_t, n + 1);
    if (!cols) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; i < n; i++) {
        const PgQuery__ResTarget *r = list[i]->res_target;
        KL_TRY(assigned_column(b, r, &cols[i], err));
        for (size_t j = 0; j < i; j++) {
            if (cols[j] == cols[i]) {
                return kl_fail_at(err, KL_E_INVALID_SQL, kl_sql__at(b, r->location),
                    "multiple assignments to same column \"%s\"", r->name);
            }
        }
    }
    *ret = cols;
    return KL_OK;
}

enum kl_rc kl_sql__set_value(struct kl_binder *b, const PgQuery__ResTarget *r,
    const PgQuery__Node **ret, struct kl_err *err) {
    const PgQuery__MultiAssignRef *m =
        r->val && r->val->node_case == PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF
            ? r->val->multi_assign_ref
            : NULL;
    if (!m || (m->source && m->source->node_case == PG_QUERY__NODE__NODE_SUB_LINK)) {
        *ret = r->val; /* one value, or a subquery for several */
        return KL_OK;
    }
    if (!m->source || m->source->node_case != PG_QUERY__NODE__NODE_ROW_EXPR) {
        return kl_fail_at(err, KL_E_INVALID_SQL, kl_sql__at(b, r->location),
            "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression");
    }
    const PgQuery__RowExpr *row = m->source->row_expr;
    if ((size_t)m->ncolumns != row->n_args || m->colno < 1 || m->colno > m->ncolumns) {
        return kl_fail_at(err, KL_E_INVALID_SQL, kl_sql__at(b, row->location),
            "number of columns does not match number of values");
    }
    *ret = row->args[m->colno - 1];
    return KL_OK;
}

enum kl_rc kl_sql__bind_set_exprs(struct kl_binder *b, PgQuery__Node *const *list, size_t n,
    const struct kl_expr ***ret, struct kl_err *err) {
    const struct kl_expr **exprs = KL_ARENA_ARRAY(b->eb.arena, const struct kl_expr *, n + 1);
    if (!exprs) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; i < n; i++) {
        const PgQuery__Node *val;
        struct kl_expr *e;
        KL_TRY(kl_sql__set_value(b, list[i]->res_target, &val, err));
        if (kl_sql__is_default(val)) {
            continue;
        }
        if (kl_sql__has_aggregate(val)) {
            return kl_fail_at(err, KL_E_INVALID_SQL, kl_sql__at(b, list[i]->res_target->location),
                "aggregate functions are not allowed in UPDATE");
        }
        KL_TRY(kl_sql__bind_expr(b, val, &e, err));
        exprs[i] = e;
    }
    *ret = exprs;
    return KL_OK;
}

/* ---- the clause ---- */
/* `key = EXCLUDED.key` where the primary key is what conflicts: it is that already. */
static bool keeps_key(
    struct kl_binder *b, const PgQuery__ResTarget *r, const struct kl_plan_conflict *c) {
    const PgQuery__Node *val;
    int col = kl_sql__column(b->table, kl_sql__pgstr(r->name));
    if (col < 0 || b->table->cols[col].pk_pos == 0 || c->index_id > 0 || r->n_indirection > 0 ||
        kl_sql__set_value(b, r, &val, NULL) != KL_OK || !val ||
        val->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || val->column_ref->n_fields != 2) {
        return false;
    }
    const PgQuery__Node *const *f = (const PgQuery__Node *const *)val->column_ref->fields;
    return f[0]->node_case == PG_QUERY__NODE__NODE_STRING &&
           f[1]->node_case == PG_QUERY__NODE__NODE_STRING &&
           kl_slice_ieq_str(kl_sql__pgstr(f[0]->string->sval), "excluded") &&
           kl_sql__column(b->table, kl_sql__pgstr(f[1]->string->sval)) == col;
}

static enum kl_rc bind_update(struct kl_binder *b, const PgQuery__OnConflictClause *o,
    struct kl_plan_conflict *c, struct kl_err *err) {
    PgQuery__Node **list = KL_ARENA_ARRAY(b->eb.arena, PgQuery__Node *, o->n_target_list + 1);
    size_t n = 0;
    if (!list) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; i < o->n_target_list; i++) {
        if (!keeps_key(b, o->target_list[i]->res_target, c)) {
            list[n++] = o->target_list[i];
        }
    }
    KL_TRY(kl_auth_may_read(b->ctx->session->role, b->table, err));
    KL_TRY(kl_sql__bind_set_cols(b, list, n, &c->set_cols, err));
    b->excluded = true;
    enum kl_rc rc = kl_sql__bind_set_exprs(b, list, n, &c->set_exprs, err);
    if (rc == KL_OK && o->where_clause) {
        struct kl_expr *filter;
        rc = kl_sql__bind_condition(b, o->where_clause, "WHERE", &filter, err);
        c->filter = rc == KL_OK ? filter : NULL;
    }
    b->excluded = false;
    if (rc == KL_E_UNSUPPORTED) {
        kl_err_prefix(err, "ON CONFLICT DO UPDATE");
    }
    c->n_set = n;
    c->update = true;
    return rc;
}

enum kl_rc kl_sql__bind_conflict(struct kl_binder *b, const PgQuery__OnConflictClause *o,
    struct kl_plan_conflict **ret, struct kl_err *err) {
    struct kl_plan_conflict *c = KL_ARENA_NEW(b->eb.arena, struct kl_plan_conflict);
    bool update = o->action == PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_UPDATE;
    if (!c) {
        return kl_sql__no_room(err);
    }
    if (b->table->type == KL_TABLE_STREAM) {
        return kl_fail_at(err, KL_E_UNSUPPORTED, kl_sql__at(b, o->location),
            "ON CONFLICT is not supported for STREAM tables: their keys are not unique");
    }
    if (!o->infer && update) {
        return kl_fail_at(err, KL_E_INVALID_SQL, kl_sql__at(b, o->location),
            "ON CONFLICT DO UPDATE requires inference specification or constraint name");
    }
    c->any = !o->infer;
    if (o->infer) {
        bool named = o->infer->conname && o->infer->conname[0];
        KL_TRY(named ? by_name(b, o->infer, c, err) : by_columns(b, o->infer, c, err));
    }
    if (update) {
        KL_TRY(bind_update(b, o, c, err));
    }
    *ret = c;
    return KL_OK;
}
