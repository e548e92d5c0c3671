/* How a statement reaches its rows: by primary key when the condition fixes all of it, else by a
 * scan. And the key itself, at execution. */
#include "sql/bind_internal.h"

static bool is_float(uint8_t id) {
    return id == KL_T_FLOAT || id == KL_T_DOUBLE;
}

/* Does `column = value` mean one key? Not where the comparison goes through floating point, in
 * which several keys may be equal; nor for floating-point keys, whose two zeros are equal but
 * encode differently. */
static bool fixes_key(struct kl_type column, struct kl_type value) {
    return !is_float(column.id) && !is_float(value.id);
}

enum kl_rc kl_sql__bind_access(
    struct kl_binder *b, const struct kl_expr *filter, struct kl_err *err) {
    const struct kl_table *t = b->table;
    if (!t || !filter || t->n_pk == 0 || (t->type != KL_TABLE_USER && t->type != KL_TABLE_SHARED)) {
        return KL_OK;
    }
    const struct kl_expr **pk = KL_ARENA_ARRAY(b->eb.arena, const struct kl_expr *, t->n_pk);
    if (!pk) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; i < t->n_pk; i++) {
        unsigned slot = b->slot_of[t->pk[i]];
        pk[i] = slot > 0 ? kl_expr_equality(filter, slot - 1) : NULL;
        if (!pk[i] || kl_expr_volatile(pk[i]) ||
            !fixes_key(t->cols[t->pk[i]].type, kl_expr_type(pk[i]))) {
            return KL_OK;
        }
    }
    b->plan->access.pk = pk;
    return KL_OK;
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
