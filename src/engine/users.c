/* CREATE, ALTER and DROP USER: passwords are hashed in the query pool, then the metadata writer changes the record. */
#include "engine/audit.h"
#include "engine/internal.h"

#include <stdio.h>

#include <stdlib.h>

struct user_stmt {
    struct kl_task task; /* pool */
    struct kl__cmd cmd;
    struct kl__run *run;
    struct kl__stmt *stmt;
    char hash[64];
    char message[200];
    int64_t now_us;
};

static bool is_root(struct kl_slice id) { return kl_slice_eq_str(id, "root"); }

/* ---- on the metadata writer ---- */

static enum kl_rc guard(struct user_stmt *u, const struct kl_user *target, struct kl_err *err) {
    const struct kl_plan_user *p = u->stmt->bound.plan->user;
    enum kl_role actor = u->stmt->session.role;
    if (actor < KL_ROLE_SYSTEM && (p->set_role || u->stmt->bound.plan->kind == KL_PLAN_CREATE_USER) && p->role == KL_ROLE_SYSTEM) {
        return kl_fail(err, KL_E_PERMISSION_DENIED, "DBA cannot grant System role");
    }
    if (actor < KL_ROLE_SYSTEM && target != NULL && target->role == KL_ROLE_SYSTEM) {
        return kl_fail(err, KL_E_PERMISSION_DENIED, "Only a System user may change user '%.*s', which has the System role",
            KL_FMT(target->id));
    }
    return KL_OK;
}

static enum kl_rc create(struct user_stmt *u, struct kl__shard *s, struct kl_arena *arena, struct kl_err *err) {
    const struct kl_plan_user *p = u->stmt->bound.plan->user;
    struct kl_user old;
    enum kl_rc rc = kl_user_get_in_batch(s->batch, p->id, arena, &old, err);
    if (rc == KL_OK) {
        return kl_fail(err, KL_E_EXISTS, "User '%.*s' already exists", KL_FMT(p->id));
    }
    if (rc != KL_E_NOT_FOUND) {
        return rc;
    }
    KL_TRY(guard(u, NULL, err));
    struct kl_user n = {
        .id = p->id, .role = p->role, .auth_type = p->auth_type, .password_hash = kl_slice_str(u->hash), .email = p->email,
        .auth_data = p->auth_data, .created_us = u->now_us, .updated_us = u->now_us,
    };
    kl_user_put(s->batch, &n);
    snprintf(u->message, sizeof(u->message), "User '%.*s' created", KL_FMT(p->id));
    return KL_OK;
}

static enum kl_rc alter(struct user_stmt *u, struct kl_user *old, struct kl__shard *s, struct kl_err *err) {
    const struct kl_plan_user *p = u->stmt->bound.plan->user;
    KL_TRY(guard(u, old, err));
    if (p->set_role && is_root(p->id) && p->role != KL_ROLE_SYSTEM) {
        return kl_fail(err, KL_E_EXEC, "User 'root' keeps the System role");
    }
    if (p->set_password) {
        old->password_hash = kl_slice_str(u->hash);
        old->auth_type = is_root(p->id) ? KL_AUTH_INTERNAL : KL_AUTH_PASSWORD;
        old->failed_logins = 0;
        old->locked_until_us = 0;
        old->token_epoch++;
    }
    if (p->set_role && old->role != p->role) {
        old->role = p->role;
        old->token_epoch++;
    }
    if (p->set_email) {
        old->email = p->email;
    }
    old->updated_us = u->now_us;
    kl_user_put(s->batch, old);
    snprintf(u->message, sizeof(u->message), "User '%.*s' updated", KL_FMT(p->id));
    return KL_OK;
}

static enum kl_rc drop(struct user_stmt *u, struct kl_user *old, struct kl__shard *s, struct kl_err *err) {
    KL_TRY(guard(u, old, err));
    if (is_root(old->id)) {
        return kl_fail(err, KL_E_EXEC, "User 'root' cannot be dropped");
    }
    old->deleted_us = u->now_us;
    old->updated_us = u->now_us;
    old->token_epoch++;
    kl_user_put(s->batch, old);
    snprintf(u->message, sizeof(u->message), "User '%.*s' dropped (soft delete)", KL_FMT(old->id));
    return KL_OK;
}

static enum kl_rc change(struct user_stmt *u, struct kl__writer *w, struct kl__shard *s, bool *ret_changed) {
    const struct kl_plan *plan = u->stmt->bound.plan;
    const struct kl_plan_user *p = plan->user;
    struct kl_user old;
    *ret_changed = true;
    if (plan->kind == KL_PLAN_CREATE_USER) {
        return create(u, s, &w->scratch, &u->cmd.err);
    }
    enum kl_rc rc = kl_user_get_in_batch(s->batch, p->id, &w->scratch, &old, &u->cmd.err);
    if (rc == KL_E_NOT_FOUND || (rc == KL_OK && old.deleted_us != 0)) {
        if (plan->kind == KL_PLAN_DROP_USER && p->if_exists) {
            snprintf(u->message, sizeof(u->message), "User '%.*s' does not exist (skipped)", KL_FMT(p->id));
            *ret_changed = false;
            return KL_OK;
        }
        return kl_fail(&u->cmd.err, KL_E_NOT_FOUND, "User '%.*s' not found", KL_FMT(p->id));
    }
    KL_TRY(rc);
    return plan->kind == KL_PLAN_ALTER_USER ? alter(u, &old, s, &u->cmd.err) : drop(u, &old, s, &u->cmd.err);
}

/* What was changed, in words; never the password. */
static struct kl_slice describe(const struct kl_plan *plan, struct kl_arena *arena) {
    const struct kl_plan_user *p = plan->user;
    bool role = p->set_role || plan->kind == KL_PLAN_CREATE_USER;
    const char *text = kl_arena_printf(arena, "%s%s%s%s", role ? "role " : "", role ? kl_role_name(p->role) : "",
        p->set_password ? (role ? ", password" : "password") : "", p->set_email ? (role || p->set_password ? ", email" : "email") : "");
    return text != NULL && text[0] != '\0' ? kl_slice_str(text) : KL_SLICE_NONE;
}

static enum kl_rc apply(struct kl__cmd *c, struct kl__writer *w, struct kl__shard *s) {
    struct user_stmt *u = KL_CONTAINER_OF(c, struct user_stmt, cmd);
    struct kl__audit_entry e;
    bool changed;
    KL_TRY(change(u, w, s, &changed));
    if (changed && kl__audit_of(u->stmt, &w->scratch, &e)) {
        e.details = describe(u->stmt->bound.plan, &w->scratch);
        e.subject = u->stmt->bound.plan->user->id;
        kl__audit(s->batch, &e);
    }
    return KL_OK;
}

/* On the loop. */
static void done(struct kl_task *t) {
    struct kl__cmd *c = KL_CONTAINER_OF(t, struct kl__cmd, task);
    struct user_stmt *u = KL_CONTAINER_OF(c, struct user_stmt, cmd);
    struct kl__run *r = u->run;
    r->rc = c->rc;
    if (c->rc != KL_OK) {
        r->err = c->err;
    } else {
        kl_tokens_touch(r->e->o.tokens);
        if (u->stmt->bound.plan->kind != KL_PLAN_CREATE_USER && r->e->o.listener.user_changed != NULL) {
            r->e->o.listener.user_changed(r->e->o.listener.ctx, u->stmt->bound.plan->user->id);
        }
        r->x->sink->message(r->x->sink, 0, kl_slice_str(u->message));
    }
    kl__run_continue(r);
}

/* ---- before it ---- */

static enum kl_rc to_writer(struct user_stmt *u) {
    u->cmd = (struct kl__cmd){
        .engine = u->run->e, .loop = u->run->l->loop, .shard = KL_SHARD_META, .apply = apply, .finish = done};
    return kl__cmd_post(&u->cmd);
}

static void hash_in_pool(struct kl_task *t) {
    struct user_stmt *u = KL_CONTAINER_OF(t, struct user_stmt, task);
    struct kl__run *r = u->run;
    const struct kl_plan_user *p = u->stmt->bound.plan->user;
    enum kl_rc rc = kl_password_hash(r->e->o.passwords.bcrypt_cost, p->password, u->hash, &r->err);
    if (rc == KL_OK) {
        rc = to_writer(u);
    }
    if (rc != KL_OK) {
        r->rc = rc;
        kl__run_resume(r);
    }
}

static enum kl_rc begin(struct kl__run *r, struct kl__stmt *s) {
    const struct kl_plan_user *p = s->bound.plan->user;
    struct user_stmt *u = KL_ARENA_NEW(r->x->arena, struct user_stmt);
    if (u == NULL) {
        return kl_fail(&r->err, KL_E_NOMEM, "out of memory");
    }
    u->run = r;
    u->stmt = s;
    u->now_us = kl_clock_wall_us();
    KL_TRY(kl_user_id_check(p->id, &r->err));
    if (p->immediately) {
        return kl_fail(&r->err, KL_E_UNSUPPORTED, "DROP USER ... IMMEDIATELY is not available in this version");
    }
    bool hash = p->set_password || (s->bound.plan->kind == KL_PLAN_CREATE_USER && p->auth_type == KL_AUTH_PASSWORD);
    if (!hash) {
        return to_writer(u);
    }
    KL_TRY(kl_password_check(&r->e->o.passwords, p->password, &r->err));
    u->task.run = hash_in_pool;
    return kl_pool_post(r->e->pool, &u->task);
}

void kl__user_start(struct kl__run *r, struct kl__stmt *s) {
    kl_err_clear(&r->err);
    enum kl_rc rc = begin(r, s); /* KL_OK: the run belongs to another thread now */
    if (rc != KL_OK) {
        r->rc = rc;
        kl__run_resume(r);
    }
}
