/* The access path of a statement over one table, and the key of a point access at execution. */
#include "sql/access.h"
#include "sql/bind_internal.h"

enum kl_rc kl_sql__bind_access(
    struct kl_binder *b, const struct kl_expr *filter, struct kl_err *err) {
    if (!b->table) {
        return KL_OK;
    }
    struct kl_access_input in = {
        .table = b->table,
        .slots = b->slots,
        .n_slots = b->n_slots,
        .filter = filter,
        .arena = b->eb.arena,
    };
    return kl_sql__choose_access(&in, &b->plan->access, err);
}

enum kl_rc kl_sql_point_key(const struct kl_expr *const *pk, const struct kl_table *t,
    struct kl_eval *ev, struct kl_val *ret_vals, bool *ret_none, struct kl_err *err) {
    *ret_none = false;
    for (size_t i = 0; i < t->n_pk; i++) {
        struct kl_type type = t->cols[t->pk[i]].type;
        struct kl_val v, cast;
        KL_TRY(kl_expr_eval(pk[i], ev, &v, err));
        if (v.null) {
            *ret_none = true;
            return KL_OK;
        }
        /* What has no value in the column's type equals none of its values. A value that rounds
         * (5.5 to 6) finds a row that the filter then refuses. */
        if (kl_val_cast(&v, type, KL_CAST_EXPLICIT, ev->arena, &cast, NULL) != KL_OK) {
            *ret_none = true;
            return KL_OK;
        }
        ret_vals[i] = cast;
    }
    return KL_OK;
}
