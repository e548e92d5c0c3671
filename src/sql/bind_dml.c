/* UPDATE and DELETE. Writers evaluate the condition and the assignments themselves, so everything
 * must be native. */
#include "sql/bind_internal.h"

enum kl_rc kl_sql__may_write(
    struct kl_binder *b, struct kl_table *t, const char *verb, struct kl_err *err) {
    if (t->type == KL_TABLE_SYSTEM) {
        return kl_fail(err, KL_E_EXEC, "Cannot %s system table '%.*s'", verb, KL_FMT(t->qualified));
    }
    return kl_auth_may_write(b->ctx->session->role, t, err);
}

static enum kl_rc open_target(struct kl_binder *b, const PgQuery__RangeVar *v, const char *verb,
    struct kl_plan_dml **ret, struct kl_err *err) {
    struct kl_rel_name name = kl_sql__rel_name(b, v);
    struct kl_table *t;
    struct kl_plan_dml *dml = KL_ARENA_NEW(b->eb.arena, struct kl_plan_dml);
    if (!dml) {
        return kl_sql__no_room(err);
    }
    KL_TRY(kl_sql__find_table(b->ctx, &name, &t, err));
    KL_TRY(kl_sql__may_write(b, t, verb, err));
    KL_TRY(kl_sql__binder_scope(b, t, v->alias, true, err));
    dml->slots = b->slots;
    dml->n_slots = b->n_slots;
    *ret = dml;
    return KL_OK;
}

static enum kl_rc bind_where(struct kl_binder *b, const PgQuery__Node *where, const char *verb,
    struct kl_plan_dml *dml, struct kl_err *err) {
    struct kl_expr *filter;
    if (!where) {
        return kl_fail(err, KL_E_INVALID_SQL, "%s requires a WHERE clause", verb);
    }
    KL_TRY(kl_sql__check_deleted(b, where, err));
    enum kl_rc rc = kl_sql__bind_condition(b, where, "WHERE", &filter, err);
    if (rc == KL_E_UNSUPPORTED) {
        kl_err_prefix(err, "WHERE of %s", verb);
    }
    KL_TRY(rc);
    dml->filter = filter;
    return kl_sql__bind_access(b, filter, err);
}

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

static enum kl_rc bind_set(struct kl_binder *b, const PgQuery__UpdateStmt *s,
    struct kl_plan_dml *dml, struct kl_err *err) {
    dml->set_cols = KL_ARENA_ARRAY(b->eb.arena, uint16_t, s->n_target_list + 1);
    dml->set_exprs = KL_ARENA_ARRAY(b->eb.arena, const struct kl_expr *, s->n_target_list + 1);
    if (!dml->set_cols || !dml->set_exprs) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; i < s->n_target_list; i++) {
        const PgQuery__ResTarget *r = s->target_list[i]->res_target;
        struct kl_expr *e = NULL;
        KL_TRY(assigned_column(b, r, &dml->set_cols[i], err));
        for (size_t j = 0; j < i; j++) {
            if (dml->set_cols[j] == dml->set_cols[i]) {
                return kl_fail_at(err, KL_E_INVALID_SQL, kl_sql__at(b, r->location),
                    "multiple assignments to same column \"%s\"", r->name);
            }
        }
        if (r->val && r->val->node_case != PG_QUERY__NODE__NODE_SET_TO_DEFAULT) {
            enum kl_rc rc = kl_sql__bind_expr(b, r->val, &e, err);
            if (rc == KL_E_UNSUPPORTED) {
                kl_err_prefix(err, "SET of UPDATE");
            }
            KL_TRY(rc);
        }
        dml->set_exprs[i] = e;
    }
    dml->n_set = s->n_target_list;
    return KL_OK;
}

enum kl_rc kl_sql__bind_update(struct kl_binder *b, PgQuery__UpdateStmt *s, struct kl_err *err) {
    struct kl_plan_dml *dml;
    KL_TRY(open_target(b, s->relation, "update", &dml, err));
    if (b->table->type == KL_TABLE_STREAM) {
        return kl_fail(err, KL_E_EXEC, "UPDATE not supported for STREAM tables");
    }
    if (s->with_clause || s->n_from_clause > 0 || s->n_returning_list > 0) {
        return kl_sql__unavailable(err, s->with_clause         ? "WITH ... UPDATE"
                                        : s->n_from_clause > 0 ? "UPDATE ... FROM"
                                                               : "UPDATE ... RETURNING");
    }
    KL_TRY(bind_set(b, s, dml, err));
    KL_TRY(bind_where(b, s->where_clause, "UPDATE", dml, err));
    b->plan->kind = KL_PLAN_UPDATE;
    b->plan->dml = dml;
    return KL_OK;
}

enum kl_rc kl_sql__bind_delete(struct kl_binder *b, PgQuery__DeleteStmt *s, struct kl_err *err) {
    struct kl_plan_dml *dml;
    KL_TRY(open_target(b, s->relation, "delete", &dml, err));
    if (s->with_clause || s->n_using_clause > 0 || s->n_returning_list > 0) {
        return kl_sql__unavailable(err, s->with_clause          ? "WITH ... DELETE"
                                        : s->n_using_clause > 0 ? "DELETE ... USING"
                                                                : "DELETE ... RETURNING");
    }
    KL_TRY(bind_where(b, s->where_clause, "DELETE", dml, err));
    b->plan->kind = KL_PLAN_DELETE;
    b->plan->dml = dml;
    return KL_OK;
}
