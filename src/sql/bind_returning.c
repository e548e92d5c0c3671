/* What every INSERT, UPDATE and DELETE has besides its rows: CHECK constraints and RETURNING. */
#include "sql/bind_internal.h"

static enum kl_rc bind_list(struct kl_binder *b, PgQuery__Node *const *list, size_t n,
    struct kl_plan_write *write, struct kl_err *err) {
    struct kl_outputs o = {0};
    for (size_t i = 0; i < n; i++) {
        if (kl_sql__has_aggregate(list[i]->res_target->val)) {
            return kl_fail_at(err, KL_E_INVALID_SQL, kl_sql__at(b, list[i]->res_target->location),
                "aggregate functions are not allowed in RETURNING");
        }
    }
    KL_TRY(kl_auth_may_read(b->ctx->session->role, b->table, err));
    enum kl_rc rc = kl_sql__bind_outputs(b, list, n, &o, err);
    if (rc == KL_E_UNSUPPORTED) {
        kl_err_prefix(err, "RETURNING");
    } else if (rc == KL_E_EXEC && write->query && b->plan->kind != KL_PLAN_INSERT && err &&
               !err->hint[0]) {
        kl_err_hint(err, "RETURNING names columns of the table that is changed");
    }
    KL_TRY(rc);
    write->returning = o.exprs;
    write->ret_cols = o.cols;
    write->n_returning = o.n;
    return KL_OK;
}

enum kl_rc kl_sql__open_write(struct kl_binder *b, struct kl_err *err) {
    struct kl_plan_write *write = KL_ARENA_NEW(b->eb.arena, struct kl_plan_write);
    if (!write) {
        return kl_sql__no_room(err);
    }
    b->plan->write = write;
    return b->plan->kind == KL_PLAN_DELETE ? KL_OK : kl_sql__bind_checks(b, write, err);
}

enum kl_rc kl_sql__bind_returning(
    struct kl_binder *b, PgQuery__Node *const *list, size_t n, struct kl_err *err) {
    return n > 0 ? bind_list(b, list, n, b->plan->write, err) : KL_OK;
}
