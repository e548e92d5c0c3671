/* system.live, KILL LIVE QUERY, and the end of a user's subscriptions. Any thread: they walk the
 * list of all subscriptions under its lock. */
#include "live/internal.h"

#include <stdio.h>

static const char *state_name(int state) {
    return state == KL__LIVE ? "active" : state == KL__CATCH_UP ? "catching_up" : "loading";
}

static void live_id(struct kl_buf *b, const struct kl__sub *s) {
    kl_buf_slice(b, s->client->session.user);
    kl_buf_printf(b, "-%llu-", (unsigned long long)s->client->id);
    kl_buf_slice(b, s->id);
}

static void options(struct kl_buf *b, const struct kl__sub *s) {
    kl_buf_printf(b, "{\"batch_size\":%lld", (long long)s->batch_size);
    if (s->last_rows >= 0) {
        kl_buf_printf(b, ",\"last_rows\":%lld", (long long)s->last_rows);
    }
    if (s->from >= 0) {
        kl_buf_printf(b, ",\"from\":%lld", (long long)s->from);
    }
    kl_buf_putc(b, '}');
}

static enum kl_rc one_row(
    struct kl__sub *s, enum kl_rc (*visit)(void *vctx, const struct kl_val *vals), void *vctx) {
    struct kl_buf id, opts;
    char connection[24];
    const char *dot = memchr(s->table.ptr, '.', s->table.len);
    size_t ns = dot != NULL ? (size_t)(dot - s->table.ptr) : 0;
    unsigned node = (unsigned)(kl_engine_ids(s->client->live->engine)->node >> 12);
    kl_buf_init(&id, 1024);
    kl_buf_init(&opts, 256);
    live_id(&id, s);
    options(&opts, s);
    snprintf(connection, sizeof(connection), "%llu", (unsigned long long)s->client->id);
    struct kl_val vals[] = {
        kl_val_text(kl_buf_view(&id)),
        kl_val_text(kl_slice_str(connection)),
        kl_val_text(s->id),
        kl_val_text(kl_slice(s->table.ptr, ns)),
        kl_val_text(kl_slice_from(s->table, dot != NULL ? ns + 1 : 0)),
        kl_val_text(s->client->session.user),
        kl_val_text(s->sql),
        s->snapshot ? kl_val_str(KL_T_JSON, kl_buf_view(&opts)) : kl_val_null(KL_T_JSON),
        kl_val_text(kl_slice_str(state_name(atomic_load(&s->state)))),
        kl_val_int(KL_T_TIMESTAMP, s->created_us),
        kl_val_int(KL_T_TIMESTAMP, atomic_load(&s->updated_us)),
        kl_val_i64((int64_t)atomic_load(&s->changes)),
        kl_val_i64(node),
        kl_val_int(KL_T_TIMESTAMP, atomic_load(&s->client->active_us)),
    };
    enum kl_rc rc = visit(vctx, vals);
    kl_buf_deinit(&id);
    kl_buf_deinit(&opts);
    return rc;
}

enum kl_rc kl__live_rows(void *ctx, enum kl_rc (*visit)(void *vctx, const struct kl_val *vals),
    void *vctx, struct kl_err *err) {
    struct kl_live *l = ctx;
    enum kl_rc rc = KL_OK;
    pthread_mutex_lock(&l->lock);
    for (struct kl__sub *s = l->subs; s != NULL && rc == KL_OK; s = s->all_next) {
        rc = one_row(s, visit, vctx);
    }
    pthread_mutex_unlock(&l->lock);
    return rc != KL_OK
               ? kl_fail(err, rc,
                     "the list of live queries does not fit into the memory of one statement")
               : KL_OK;
}

enum kl_rc kl__live_kill(void *ctx, struct kl_slice id, struct kl_err *err) {
    struct kl_live *l = ctx;
    struct kl_buf b;
    bool found = false;
    kl_buf_init(&b, 1024);
    pthread_mutex_lock(&l->lock);
    for (struct kl__sub *s = l->subs; s != NULL && !found; s = s->all_next) {
        kl_buf_clear(&b);
        live_id(&b, s);
        found = kl_slice_eq(kl_buf_view(&b), id);
        if (found) {
            kl__sub_end(s, "SUBSCRIPTION_FAILED", "The live query was killed by an administrator");
        }
    }
    pthread_mutex_unlock(&l->lock);
    kl_buf_deinit(&b);
    return found ? KL_OK : kl_fail(err, KL_E_NOT_FOUND, "Live query not found: %.*s", KL_FMT(id));
}

void kl__user_changed(void *ctx, struct kl_slice user) {
    struct kl_live *l = ctx;
    pthread_mutex_lock(&l->lock);
    for (struct kl__sub *s = l->subs; s != NULL; s = s->all_next) {
        if (kl_slice_eq(s->client->session.user, user) ||
            kl_slice_eq(s->client->session.actor, user)) {
            kl__sub_end(s, "UNAUTHORIZED", "The user was changed or dropped; log in again");
        }
    }
    pthread_mutex_unlock(&l->lock);
}
