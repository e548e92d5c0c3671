/* UPDATE, DELETE and TRUNCATE. Where condition and assignments are native, the writer evaluates them
 * itself, over the rows that the access path finds. Otherwise (FROM, USING, WITH, subqueries,
 * functions of DuckDB) a query says which rows change and what they become: see bind_source.c. */
#include "sql/bind_internal.h"

enum kl_rc kl_sql__may_write(
    struct kl_binder *b, struct kl_table *t, const char *verb, struct kl_err *err) {
    if (t->type == KL_TABLE_SYSTEM) {
        return kl_fail(err, KL_E_EXEC, "Cannot %s system table '%.*s'", verb, KL_FMT(t->qualified));
    }
    if (t->type == KL_TABLE_VIEW) {
        return kl_fail(err, KL_E_EXEC, "cannot %s view \"%s\"",
            strcmp(verb, "insert") == 0   ? "insert into"
            : strcmp(verb, "delete") == 0 ? "delete from"
                                          : verb,
            t->name);
    }
    return kl_auth_may_write(b->ctx->session->role, t, err);
}

bool kl_sql__is_default(const PgQuery__Node *n) {
    return !n || n->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT;
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
    b->plan->dml = dml;
    *ret = dml;
    return KL_OK;
}

/* ---- native ---- */
static enum kl_rc bind_where(struct kl_binder *b, const struct kl_change_parts *parts,
    struct kl_plan_dml *dml, struct kl_err *err) {
    struct kl_expr *filter;
    enum kl_rc rc = kl_sql__bind_condition(b, parts->where, "WHERE", &filter, err);
    if (rc == KL_E_UNSUPPORTED) {
        kl_err_prefix(err, "WHERE of %s", parts->verb);
    }
    KL_TRY(rc);
    dml->filter = filter;
    return kl_sql__bind_access(b, filter, err);
}

static enum kl_rc bind_native(struct kl_binder *b, const struct kl_change_parts *parts,
    struct kl_plan_dml *dml, struct kl_err *err) {
    if (parts->with || parts->n_from > 0) {
        return kl_fail(err, KL_E_UNSUPPORTED, "%s with %s needs the analytical executor",
            parts->verb,
            parts->with  ? "WITH"
            : parts->set ? "FROM"
                         : "USING");
    }
    if (parts->set) {
        enum kl_rc rc = kl_sql__bind_set_exprs(b, parts->set, parts->n_set, &dml->set_exprs, err);
        if (rc == KL_E_UNSUPPORTED) {
            kl_err_prefix(err, "SET of UPDATE");
        }
        KL_TRY(rc);
    }
    return bind_where(b, parts, dml, err);
}

/* ---- by a query ---- */
/* set_exprs only say which assignments are DEFAULT: the values come with the rows. */
static enum kl_rc mark_defaults(struct kl_binder *b, const struct kl_change_parts *parts,
    struct kl_plan_dml *dml, struct kl_err *err) {
    struct kl_expr *given;
    KL_TRY(kl_expr_const(&b->eb, kl_val_null(KL_T_NULL), &given, err));
    dml->set_exprs = KL_ARENA_ARRAY(b->eb.arena, const struct kl_expr *, parts->n_set + 1);
    if (!dml->set_exprs) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; i < parts->n_set; i++) {
        const PgQuery__Node *val;
        KL_TRY(kl_sql__set_value(b, parts->set[i]->res_target, &val, err));
        dml->set_exprs[i] = kl_sql__is_default(val) ? NULL : given;
    }
    return KL_OK;
}

static enum kl_rc bind_by_query(struct kl_binder *b, const struct kl_change_parts *parts,
    struct kl_plan_dml *dml, struct kl_err *err) {
    PgQuery__SelectStmt *s;
    dml->filter = NULL; /* whatever a native attempt left behind */
    b->plan->n_derived = 0;
    b->plan->access = (struct kl_access_path){0};
    KL_TRY(mark_defaults(b, parts, dml, err));
    KL_TRY(kl_sql__change_source(b, parts, dml->set_cols, &s, err));
    return kl_sql__bind_subplan(b, s, &b->plan->write->query, err);
}

/* ---- both ---- */
static enum kl_rc bind_change(struct kl_binder *b, const struct kl_change_parts *parts,
    struct kl_plan_dml *dml, struct kl_err *err) {
    struct kl_err native = {0};
    if (!parts->where) {
        return kl_fail(err, KL_E_INVALID_SQL, "%s requires a WHERE clause", parts->verb);
    }
    if (parts->set) {
        KL_TRY(kl_sql__bind_set_cols(b, parts->set, parts->n_set, &dml->set_cols, err));
        dml->n_set = parts->n_set;
    }
    KL_TRY(kl_sql__check_deleted(b, parts->where, err));
    KL_TRY(kl_sql__open_write(b, err));
    enum kl_rc rc = bind_native(b, parts, dml, &native);
    if (rc == KL_E_UNSUPPORTED && b->ctx->executor != KL_EXECUTOR_NATIVE) {
        KL_TRY(bind_by_query(b, parts, dml, err));
    } else if (rc != KL_OK) {
        if (err) {
            *err = native;
        }
        return rc;
    }
    return kl_sql__bind_returning(b, parts->returning, parts->n_returning, err);
}

enum kl_rc kl_sql__bind_update(struct kl_binder *b, PgQuery__UpdateStmt *s, struct kl_err *err) {
    struct kl_plan_dml *dml;
    struct kl_change_parts parts = {.verb = "UPDATE",
        .relation = s->relation,
        .set = s->target_list,
        .n_set = s->n_target_list,
        .from = s->from_clause,
        .n_from = s->n_from_clause,
        .where = s->where_clause,
        .with = s->with_clause,
        .returning = s->returning_list,
        .n_returning = s->n_returning_list};
    b->plan->kind = KL_PLAN_UPDATE;
    KL_TRY(open_target(b, s->relation, "update", &dml, err));
    if (b->table->type == KL_TABLE_STREAM) {
        return kl_fail(err, KL_E_EXEC, "UPDATE not supported for STREAM tables");
    }
    return bind_change(b, &parts, dml, err);
}

enum kl_rc kl_sql__bind_delete(struct kl_binder *b, PgQuery__DeleteStmt *s, struct kl_err *err) {
    struct kl_plan_dml *dml;
    struct kl_change_parts parts = {.verb = "DELETE",
        .relation = s->relation,
        .from = s->using_clause,
        .n_from = s->n_using_clause,
        .where = s->where_clause,
        .with = s->with_clause,
        .returning = s->returning_list,
        .n_returning = s->n_returning_list};
    b->plan->kind = KL_PLAN_DELETE;
    KL_TRY(open_target(b, s->relation, "delete", &dml, err));
    return bind_change(b, &parts, dml, err);
}

/* RESTART IDENTITY has nothing to restart: generated keys never come again. */
enum kl_rc kl_sql__bind_truncate(
    struct kl_binder *b, const PgQuery__TruncateStmt *s, struct kl_err *err) {
    struct kl_plan_dml *dml;
    if (s->n_relations != 1) {
        return kl_fail(err, KL_E_UNSUPPORTED, "TRUNCATE of several tables is not supported");
    }
    if (s->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE) {
        return kl_fail(err, KL_E_UNSUPPORTED, "TRUNCATE ... CASCADE is not supported");
    }
    b->plan->kind = KL_PLAN_DELETE;
    b->plan->truncate = true;
    KL_TRY(open_target(b, s->relations[0]->range_var, "truncate", &dml, err));
    return kl_sql__open_write(b, err);
}
