/* What writers evaluate of a plan: the rows of an INSERT, the new values of an UPDATE, defaults.
 * Any thread; nothing here is kept. */
#include "sql/internal.h"

static enum kl_rc to_embedding(
    const struct kl_column *c, struct kl_eval *ev, struct kl_val *v, struct kl_err *err) {
    struct kl_val given = *v;
    struct kl_type any = c->type;
    any.dim = 0;
    KL_TRY(kl_val_cast(&given, any, KL_CAST_ASSIGN, ev->arena, v, err));
    size_t dim = v->len / sizeof(float);
    return v->null || c->type.dim == 0 || dim == c->type.dim
               ? KL_OK
               : kl_fail(err, KL_E_TYPE,
                     "Embedding dimension mismatch for column '%s': expected %u, got %zu", c->name,
                     (unsigned)c->type.dim, dim);
}

static enum kl_rc to_column(
    const struct kl_column *c, struct kl_eval *ev, struct kl_val *v, struct kl_err *err) {
    /* DECIMAL has its scale, EMBEDDING its dimension to agree on; text that passes as it is goes
     * through no cast. */
    bool same = v->type == c->type.id && !v->null && !(v->flags & KL_VAL_UNKNOWN) &&
                v->type != KL_T_DECIMAL && v->type != KL_T_EMBEDDING;
    if (c->type.id == KL_T_EMBEDDING && !v->null) {
        return to_embedding(c, ev, v, err);
    }
    struct kl_val given = *v;
    return same ? KL_OK : kl_val_cast(&given, c->type, KL_CAST_ASSIGN, ev->arena, v, err);
}

static enum kl_rc not_null(
    const struct kl_column *c, const struct kl_val *v, size_t row, struct kl_err *err) {
    if (!v->null || c->nullable) {
        return KL_OK;
    }
    if (row > 0) {
        return kl_fail(err, KL_E_CONSTRAINT,
            "NOT NULL constraint violation: column '%s' cannot be NULL (row %zu)", c->name, row);
    }
    return kl_fail(
        err, KL_E_CONSTRAINT, "NOT NULL constraint violation: column '%s' cannot be NULL", c->name);
}

static enum kl_rc generated_text(
    struct kl_eval *ev, const char *text, struct kl_val *ret, struct kl_err *err) {
    struct kl_slice s = kl_arena_dup(ev->arena, kl_slice_str(text));
    if (!s.ptr) {
        return kl_sql__no_room(err);
    }
    *ret = kl_val_text(s);
    ret->flags = KL_VAL_UNKNOWN; /* takes the column's type: UUID_V7() for a UUID column */
    return KL_OK;
}

enum kl_rc kl_sql_eval_default(
    const struct kl_column *c, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    char text[40];
    uint8_t uuid[16];
    switch (c->def.kind) {
    case KL_DEFAULT_NONE:
        *ret = kl_val_null(c->type.id);
        return KL_OK;
    case KL_DEFAULT_LITERAL:
        *ret = c->def.value;
        return KL_OK;
    case KL_DEFAULT_NOW:
        *ret = kl_val_int(KL_T_TIMESTAMP, ev->now_us);
        break;
    case KL_DEFAULT_SNOWFLAKE:
        *ret = kl_val_i64(kl_snowflake_next(ev->ids));
        break;
    case KL_DEFAULT_UUID_V7:
        kl_uuid_v7(uuid);
        kl_uuid_format(uuid, text);
        KL_TRY(generated_text(ev, text, ret, err));
        break;
    case KL_DEFAULT_ULID:
        kl_ulid(text);
        KL_TRY(generated_text(ev, text, ret, err));
        break;
    case KL_DEFAULT_CURRENT_USER:
        *ret = kl_val_text(ev->session->user);
        break;
    default:
        return kl_fail(err, KL_E_CORRUPT, "column '%s' has an unknown default", c->name);
    }
    struct kl_val made = *ret;
    return kl_val_cast(&made, c->type, KL_CAST_EXPLICIT, ev->arena, ret, err);
}

/* Row r of a collapsed list has its own stretch of values, derived ones included. */
static void row_values(const struct kl_bound *b, size_t r, struct kl_eval *ev) {
    size_t width = b->plan->n_values + b->plan->n_derived;
    bool collapsed = b->plan->insert->n_rows == 1 && b->n_rows > 1;
    ev->params = collapsed ? b->vals + r * width : b->vals;
    ev->n_params = collapsed ? width : b->n_vals;
}

static enum kl_rc missing_columns(const struct kl_table *t, const bool *given, size_t number,
    struct kl_eval *ev, struct kl_val *vals, struct kl_err *err) {
    for (size_t col = 0; col < t->n_cols; col++) {
        if (!given[col]) {
            KL_TRY(kl_sql_eval_default(&t->cols[col], ev, &vals[col], err));
        }
        KL_TRY(not_null(&t->cols[col], &vals[col], number, err));
    }
    return KL_OK;
}

enum kl_rc kl_sql_insert_row(const struct kl_bound *b, size_t r, struct kl_eval *ev,
    struct kl_val *vals, struct kl_err *err) {
    const struct kl_plan_insert *ins = b->plan->insert;
    const struct kl_table *t = b->plan->table;
    struct kl_eval row = *ev;
    bool *given = KL_ARENA_ARRAY(ev->arena, bool, t->n_cols + 1);
    if (!given) {
        return kl_sql__no_room(err);
    }
    row_values(b, r, &row);
    row.row = NULL;
    const struct kl_expr *const *cells = ins->cells + (ins->n_rows == 1 ? 0 : r) * ins->n_targets;
    for (size_t i = 0; i < ins->n_targets; i++) {
        unsigned col = ins->targets[i];
        if (cells[i]) {
            KL_TRY(kl_expr_eval(cells[i], &row, &vals[col], err));
            KL_TRY(to_column(&t->cols[col], &row, &vals[col], err));
            given[col] = true;
        }
    }
    return missing_columns(t, given, r + 1, &row, vals, err);
}

enum kl_rc kl_sql_insert_given(const struct kl_bound *b, const struct kl_val *given, size_t number,
    struct kl_eval *ev, struct kl_val *vals, struct kl_err *err) {
    const struct kl_plan_insert *ins = b->plan->insert;
    const struct kl_table *t = b->plan->table;
    bool *is_given = KL_ARENA_ARRAY(ev->arena, bool, t->n_cols + 1);
    if (!is_given) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; i < ins->n_targets; i++) {
        unsigned col = ins->targets[i];
        vals[col] = given[i];
        KL_TRY(to_column(&t->cols[col], ev, &vals[col], err));
        is_given[col] = true;
    }
    return missing_columns(t, is_given, number, ev, vals, err);
}

/* ---- new values of a row ---- */
static enum kl_rc assign(const struct kl_column *c, struct kl_eval *ev, struct kl_val v,
    struct kl_val *val, bool *changed, struct kl_err *err) {
    KL_TRY(to_column(c, ev, &v, err));
    KL_TRY(not_null(c, &v, 0, err));
    *changed |= !kl_val_same(val, &v);
    *val = v;
    return KL_OK;
}

/* exprs[i] NULL: DEFAULT. given: the values, or NULL to evaluate exprs. */
struct assignments {
    size_t n;
    const uint16_t *cols;
    const struct kl_expr *const *exprs;
    const struct kl_val *given;
};

static enum kl_rc assign_all(const struct kl_table *t, const struct assignments *a,
    struct kl_eval *ev, struct kl_val *vals, bool *ret_changed, struct kl_err *err) {
    bool changed = false;
    for (size_t i = 0; i < a->n; i++) {
        const struct kl_column *c = &t->cols[a->cols[i]];
        struct kl_val v;
        if (!a->exprs[i]) {
            KL_TRY(kl_sql_eval_default(c, ev, &v, err));
        } else if (a->given) {
            v = a->given[i];
        } else {
            KL_TRY(kl_expr_eval(a->exprs[i], ev, &v, err));
        }
        KL_TRY(assign(c, ev, v, &vals[a->cols[i]], &changed, err));
    }
    *ret_changed = changed;
    return KL_OK;
}

enum kl_rc kl_sql_update_row(const struct kl_bound *b, struct kl_eval *ev, struct kl_val *vals,
    bool *ret_changed, struct kl_err *err) {
    const struct kl_plan_dml *dml = b->plan->dml;
    struct assignments a = {.n = dml->n_set, .cols = dml->set_cols, .exprs = dml->set_exprs};
    return assign_all(b->plan->table, &a, ev, vals, ret_changed, err);
}

enum kl_rc kl_sql_update_given(const struct kl_bound *b, const struct kl_val *given,
    struct kl_eval *ev, struct kl_val *vals, bool *ret_changed, struct kl_err *err) {
    const struct kl_plan_dml *dml = b->plan->dml;
    struct assignments a = {
        .n = dml->n_set, .cols = dml->set_cols, .exprs = dml->set_exprs, .given = given};
    return assign_all(b->plan->table, &a, ev, vals, ret_changed, err);
}

enum kl_rc kl_sql_conflict_row(const struct kl_bound *b, struct kl_eval *ev, struct kl_val *vals,
    bool *ret_chosen, bool *ret_changed, struct kl_err *err) {
    const struct kl_plan_conflict *c = b->plan->insert->conflict;
    struct assignments a = {.n = c->n_set, .cols = c->set_cols, .exprs = c->set_exprs};
    *ret_changed = false;
    KL_TRY(kl_expr_test_row(c->filter, ev, ret_chosen, err));
    return *ret_chosen ? assign_all(b->plan->table, &a, ev, vals, ret_changed, err) : KL_OK;
}

enum kl_rc kl_sql_check_row(const struct kl_bound *b, struct kl_eval *ev, struct kl_err *err) {
    const struct kl_plan_write *w = b->plan->write;
    const struct kl_table *t = b->plan->table;
    for (size_t i = 0; i < w->n_checks; i++) {
        struct kl_val v;
        KL_TRY(kl_expr_eval(w->checks[i], ev, &v, err));
        if (!v.null && !v.i) {
            return kl_fail(err, KL_E_CONSTRAINT,
                "Check constraint violation: new row violates check constraint \"%s\" of table "
                "%.*s",
                t->checks[i].name, KL_FMT(t->qualified));
        }
    }
    return KL_OK;
}

/* ---- queries inside ---- */
enum kl_rc kl_sql_query_values(const struct kl_bound *outer, struct kl_plan *query,
    struct kl_arena *arena, struct kl_bound *ret, struct kl_err *err) {
    size_t n = query->n_values;
    struct kl_val *vals = KL_ARENA_ARRAY(arena, struct kl_val, n + query->n_derived + 1);
    if (!vals) {
        return kl_sql__no_room(err);
    }
    if (n > outer->n_vals) {
        return kl_fail(err, KL_E_INTERNAL, "a query inside a statement wants values it has not");
    }
    if (n > 0) {
        memcpy(vals, outer->vals, n * sizeof(*vals));
    }
    KL_TRY(kl_sql__check_counts(query, vals, err));
    KL_TRY(kl_sql__derive_row(query, vals, arena, err));
    *ret = (struct kl_bound){
        .plan = query, .vals = vals, .n_vals = n + query->n_derived, .as_user = outer->as_user};
    return KL_OK;
}
