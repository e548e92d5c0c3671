/* Login, refresh, logout and first set-up: what the authentication routes ask for.
 *
 * Password work happens in the query pool; what changes a record goes through the metadata writer; tokens are issued on the loop at the end. An
 * unknown user costs the same bcrypt as a known one, and five failures in a row lock an account for fifteen minutes. */
#include "engine/audit.h"
#include "engine/internal.h"

#include <stdio.h>

#include <stdlib.h>

#define INVALID "Invalid credentials"
#define NOT_SET_UP "Server requires initial setup. Root password is not configured."

struct op_run {
    struct kl__cmd cmd;
    struct kl_auth_op *op;
    struct kl_engine_loop *l;
    struct kl_engine *e;
    bool failed_password;        /* LOGIN: count a failure */
    char hash[64], root_hash[64];
    struct kl_token_claims claims[2]; /* tokens to revoke */
    size_t n_claims;
    int64_t now_us;
};

/* ---- outcomes ---- */

static enum kl_rc refuse(struct kl_auth_op *op, enum kl_rc rc, const char *code, const char *fmt, ...) KL_PRINTF(4, 5);
static enum kl_rc refuse(struct kl_auth_op *op, enum kl_rc rc, const char *code, const char *fmt, ...) {
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    op->code = code;
    op->rc = kl_fail(&op->err, rc, "%s", text);
    return rc;
}

static enum kl_rc internal_error(struct kl_auth_op *op, enum kl_rc rc) {
    op->rc = rc;
    op->code = rc == KL_E_OVERLOADED ? "overloaded" : "internal_error";
    if (op->err.msg[0] == '\0') {
        kl_fail(&op->err, rc, "%s", rc == KL_E_OVERLOADED ? "the server is overloaded, try again" : "internal error");
    }
    return rc;
}

static enum kl_rc issue(struct op_run *r, enum kl_token_kind kind, struct kl_slice *ret, int64_t *ret_expires_us) {
    struct kl_auth_op *op = r->op;
    struct kl_token_claims c = {
        .subject = op->record.id, .email = op->record.email, .role = op->record.role, .kind = kind, .epoch = op->record.token_epoch};
    struct kl_buf jwt;
    kl_buf_init(&jwt, 8192);
    enum kl_rc rc = kl_tokens_issue(r->e->o.tokens, &c, &jwt);
    *ret = kl_arena_dup(op->arena, kl_buf_view(&jwt));
    *ret_expires_us = c.expires_s * 1000000;
    kl_buf_deinit(&jwt);
    return rc == KL_OK && ret->ptr == NULL ? KL_E_NOMEM : rc;
}

static void answer(struct op_run *r) {
    struct kl_auth_op *op = r->op;
    if (op->rc == KL_OK && (op->kind == KL_AUTH_LOGIN || op->kind == KL_AUTH_REFRESH)) {
        op->rc = issue(r, KL_TOKEN_ACCESS, &op->access, &op->access_expires_us);
        if (op->rc == KL_OK) {
            op->rc = issue(r, KL_TOKEN_REFRESH, &op->refresh, &op->refresh_expires_us);
        }
        if (op->rc != KL_OK) {
            internal_error(op, op->rc);
        }
    }
    op->done(op);
}

static void answer_task(struct kl_task *t) {
    struct kl_auth_op *op = KL_CONTAINER_OF(t, struct kl_auth_op, task_);
    answer(op->run_);
}

static void answer_on_loop(struct op_run *r) {
    r->op->task_.run = answer_task;
    kl_loop_post(r->l->loop, &r->op->task_);
}

/* ---- on the metadata writer ---- */

/* Logins of administrators stand in the audit log. */
static void record_login(struct op_run *r, struct kl__shard *s, const struct kl_user *u, struct kl_arena *arena) {
    const char *target = kl_arena_printf(arena, "user:%.*s", KL_FMT(u->id));
    if (u->role >= KL_ROLE_DBA && target != NULL) {
        struct kl__audit_entry e = {
            .actor = u->id, .action = KL_S("LOGIN"), .target = kl_slice_str(target), .ip = r->op->client_ip, .subject = u->id};
        kl__audit(s->batch, &e);
    }
}

static enum kl_rc apply_login(struct op_run *r, struct kl__shard *s, struct kl_arena *arena) {
    struct kl_user u;
    KL_TRY(kl_user_get_in_batch(s->batch, r->op->user, arena, &u, &r->cmd.err));
    if (r->failed_password) {
        u.failed_logins++;
        if (u.failed_logins >= KL_LOCKOUT_FAILURES) {
            u.locked_until_us = r->now_us + KL_LOCKOUT_US;
            u.failed_logins = 0;
        }
    } else {
        u.failed_logins = 0;
        u.locked_until_us = 0;
        u.last_login_us = r->now_us;
        record_login(r, s, &u, arena);
    }
    kl_user_put(s->batch, &u);
    return KL_OK;
}

static enum kl_rc apply_setup(struct op_run *r, struct kl__shard *s, struct kl_arena *arena) {
    struct kl_auth_op *op = r->op;
    struct kl_user root, old;
    KL_TRY(kl_user_get_in_batch(s->batch, KL_S("root"), arena, &root, &r->cmd.err));
    if (root.password_hash.len > 0) {
        return refuse(op, KL_E_EXISTS, "already_configured", "The server is already set up: root has a password");
    }
    enum kl_rc rc = kl_user_get_in_batch(s->batch, op->user, arena, &old, &r->cmd.err);
    if (rc == KL_OK) {
        return refuse(op, KL_E_EXISTS, "user_exists", "User '%.*s' already exists", KL_FMT(op->user));
    }
    if (rc != KL_E_NOT_FOUND) {
        return rc;
    }
    root.password_hash = kl_slice_str(r->root_hash);
    root.updated_us = r->now_us;
    kl_user_put(s->batch, &root);
    op->record = (struct kl_user){
        .id = op->user, .role = KL_ROLE_DBA, .auth_type = KL_AUTH_PASSWORD, .password_hash = kl_slice_str(r->hash), .email = op->email,
        .created_us = r->now_us, .updated_us = r->now_us,
    };
    kl_user_put(s->batch, &op->record);
    return KL_OK;
}

static enum kl_rc apply(struct kl__cmd *c, struct kl__writer *w, struct kl__shard *s) {
    struct op_run *r = KL_CONTAINER_OF(c, struct op_run, cmd);
    switch (r->op->kind) {
    case KL_AUTH_LOGIN:
        return apply_login(r, s, &w->scratch);
    case KL_AUTH_SETUP:
        return apply_setup(r, s, &w->scratch);
    case KL_AUTH_REFRESH:
    case KL_AUTH_LOGOUT:
        for (size_t i = 0; i < r->n_claims; i++) {
            kl_tokens_revoke(r->e->o.tokens, s->batch, &r->claims[i]);
        }
        return KL_OK;
    }
    return KL_OK;
}

static void applied(struct kl_task *t) {
    struct kl__cmd *c = KL_CONTAINER_OF(t, struct kl__cmd, task);
    struct op_run *r = KL_CONTAINER_OF(c, struct op_run, cmd);
    if (c->rc != KL_OK && r->op->rc == KL_OK) {
        r->op->err = c->err;
        internal_error(r->op, c->rc);
    }
    if (r->op->kind == KL_AUTH_SETUP) {
        kl_tokens_touch(r->e->o.tokens);
    }
    answer(r);
}

/* KL_OK: `applied` follows on the loop. */
static enum kl_rc to_writer(struct op_run *r) {
    r->cmd = (struct kl__cmd){.engine = r->e, .loop = r->l->loop, .shard = KL_SHARD_META, .apply = apply, .finish = applied};
    enum kl_rc rc = kl__cmd_post(&r->cmd);
    return rc == KL_OK ? rc : internal_error(r->op, rc);
}

/* ---- in the pool ---- */

/* KL_OK: the record has to change. */
static enum kl_rc check_login(struct op_run *r) {
    struct kl_auth_op *op = r->op;
    int cost = r->e->o.passwords.bcrypt_cost;
    struct kl_user *u = &op->record;
    enum kl_rc rc = kl_user_get(r->e->o.store, op->user, op->arena, u, &op->err);
    if (rc != KL_OK && rc != KL_E_NOT_FOUND) {
        return internal_error(op, rc);
    }
    if (rc == KL_E_NOT_FOUND || u->deleted_us != 0) {
        kl_password_verify(KL_SLICE_NONE, op->password, cost);
        return refuse(op, KL_E_INVALID_CREDENTIALS, "unauthorized", INVALID);
    }
    if (u->locked_until_us > r->now_us) {
        return refuse(op, KL_E_ACCOUNT_LOCKED, "account_locked", "Account locked. Try again in %lld minute(s).",
            (long long)((u->locked_until_us - r->now_us + 59999999) / 60000000));
    }
    if (u->password_hash.len == 0) {
        if (op->password.len == 0 && kl_slice_eq_str(op->user, "root")) {
            return refuse(op, KL_E_SETUP_REQUIRED, "setup_required", NOT_SET_UP);
        }
        kl_password_verify(KL_SLICE_NONE, op->password, cost);
        if (!op->loopback && kl_slice_eq_str(op->user, "root")) {
            return refuse(op, KL_E_REMOTE_ACCESS_DENIED, "forbidden", "Remote access denied: root has no password");
        }
        return refuse(op, KL_E_INVALID_CREDENTIALS, "unauthorized", INVALID);
    }
    if (!kl_password_verify(u->password_hash, op->password, cost)) {
        r->failed_password = true;
        refuse(op, KL_E_INVALID_CREDENTIALS, "unauthorized", INVALID);
    }
    return KL_OK;
}

static enum kl_rc hash_setup(struct op_run *r) {
    struct kl_auth_op *op = r->op;
    const struct kl_password_policy *p = &r->e->o.passwords;
    struct kl_err err;
    if (!kl_engine_needs_setup(r->e)) {
        return refuse(op, KL_E_EXISTS, "already_configured", "The server is already set up");
    }
    if (kl_slice_eq_str(op->user, "root")) {
        return refuse(op, KL_E_INVALID_INPUT, "invalid_user", "The new user cannot be called root: root exists already");
    }
    if (kl_user_id_check(op->user, &err) != KL_OK) {
        return refuse(op, KL_E_INVALID_INPUT, "invalid_user", "%s", err.msg);
    }
    if (kl_password_check(p, op->password, &err) != KL_OK) {
        return refuse(op, KL_E_INVALID_INPUT, "weak_password", "DBA user password: %s", err.msg);
    }
    if (kl_password_check(p, op->root_password, &err) != KL_OK) {
        return refuse(op, KL_E_INVALID_INPUT, "weak_password", "Root password: %s", err.msg);
    }
    enum kl_rc rc = kl_password_hash(p->bcrypt_cost, op->password, r->hash, &op->err);
    if (rc == KL_OK) {
        rc = kl_password_hash(p->bcrypt_cost, op->root_password, r->root_hash, &op->err);
    }
    return rc == KL_OK ? KL_OK : internal_error(op, rc);
}

static void in_pool(struct kl_task *t) {
    struct kl_auth_op *op = KL_CONTAINER_OF(t, struct kl_auth_op, task_);
    struct op_run *r = op->run_;
    enum kl_rc rc = op->kind == KL_AUTH_LOGIN ? check_login(r) : hash_setup(r);
    if (rc != KL_OK || to_writer(r) != KL_OK) {
        answer_on_loop(r);
    }
}

/* ---- tokens that were presented ---- */

static enum kl_rc start_refresh(struct op_run *r) {
    struct kl_auth_op *op = r->op;
    enum kl_rc rc = kl_auth_token(r->e->o.tokens, r->e->o.store, op->token, KL_TOKEN_REFRESH, op->arena, &r->claims[0], &op->record, &op->err);
    if (rc != KL_OK) {
        struct kl_token_claims other;
        bool access = kl_tokens_verify(r->e->o.tokens, op->token, op->arena, &other, NULL) == KL_OK && other.kind == KL_TOKEN_ACCESS;
        return refuse(op, rc, "unauthorized", "%s", access ? "Refresh endpoint requires a refresh token" : INVALID);
    }
    r->n_claims = 1;
    return to_writer(r);
}

/* A token that is not valid any more needs no revocation. */
static enum kl_rc start_logout(struct op_run *r) {
    struct kl_auth_op *op = r->op;
    struct kl_slice tokens[] = {op->token, op->token2};
    for (size_t i = 0; i < KL_LEN(tokens); i++) {
        if (tokens[i].len > 0 &&
            kl_tokens_verify(r->e->o.tokens, tokens[i], op->arena, &r->claims[r->n_claims], NULL) == KL_OK) {
            r->n_claims++;
        }
    }
    if (r->n_claims == 0) {
        return KL_E_END;
    }
    return to_writer(r);
}

void kl_engine_auth(struct kl_engine_loop *l, struct kl_auth_op *op) {
    struct op_run *r = KL_ARENA_NEW(op->arena, struct op_run);
    op->rc = KL_OK;
    op->code = NULL;
    kl_err_clear(&op->err);
    if (r == NULL) {
        internal_error(op, KL_E_NOMEM);
        op->done(op);
        return;
    }
    r->op = op;
    r->l = l;
    r->e = l->engine;
    r->now_us = kl_clock_wall_us();
    op->run_ = r;
    enum kl_rc rc;
    if (op->kind == KL_AUTH_REFRESH) {
        rc = start_refresh(r);
    } else if (op->kind == KL_AUTH_LOGOUT) {
        rc = start_logout(r);
    } else {
        op->task_.run = in_pool;
        rc = kl_engine_pool_post(r->e, &op->task_);
        if (rc != KL_OK) {
            internal_error(op, rc);
        }
    }
    if (rc != KL_OK) {
        answer(r);
    }
}

/* ---- root ---- */

static enum kl_rc find_admin(void *ctx, const struct kl_user *u) {
    (void)ctx;
    bool can_log_in = u->deleted_us == 0 && kl_role_is_admin(u->role) && u->password_hash.len > 0;
    return can_log_in ? KL_E_END : KL_OK;
}

bool kl_engine_needs_setup(struct kl_engine *e) {
    struct kl_err err;
    return kl_user_each(e->o.store, find_admin, NULL, &err) == KL_OK;
}

struct root_password {
    struct kl_task task;
    struct kl__cmd cmd;
    char hash[64];
    struct kl_slice password;
};

static enum kl_rc apply_root(struct kl__cmd *c, struct kl__writer *w, struct kl__shard *s) {
    struct root_password *rp = KL_CONTAINER_OF(c, struct root_password, cmd);
    struct kl_user root;
    KL_TRY(kl_user_get_in_batch(s->batch, KL_S("root"), &w->scratch, &root, &c->err));
    if (root.password_hash.len == 0) {
        root.password_hash = kl_slice_str(rp->hash);
        root.updated_us = kl_clock_wall_us();
        kl_user_put(s->batch, &root);
    }
    return KL_OK;
}

static void root_done(struct kl_task *t) {
    struct kl__cmd *c = KL_CONTAINER_OF(t, struct kl__cmd, task);
    struct root_password *rp = KL_CONTAINER_OF(c, struct root_password, cmd);
    kl_tokens_touch(c->engine->o.tokens);
    free(rp);
}

static void root_in_pool(struct kl_task *t) {
    struct root_password *rp = KL_CONTAINER_OF(t, struct root_password, task);
    struct kl_err err;
    enum kl_rc rc = kl_password_hash(rp->cmd.engine->o.passwords.bcrypt_cost, rp->password, rp->hash, &err);
    explicit_bzero((char *)rp->password.ptr, rp->password.len);
    free((char *)rp->password.ptr);
    if (rc != KL_OK) {
        kl_log_error("auth", "root's password was not set: %s", err.msg);
        free(rp);
        return;
    }
    kl__cmd_post_always(&rp->cmd);
}

void kl_engine_set_root_password(struct kl_engine *e, struct kl_slice password) {
    struct root_password *rp = kl_xcalloc(1, sizeof(*rp));
    char *copy = kl_xmalloc(password.len + 1);
    memcpy(copy, password.ptr, password.len);
    rp->password = kl_slice(copy, password.len);
    rp->cmd = (struct kl__cmd){.engine = e, .shard = KL_SHARD_META, .apply = apply_root, .finish = root_done};
    rp->task.run = root_in_pool;
    if (kl_pool_post(e->pool, &rp->task) != KL_OK) {
        kl_log_error("auth", "root's password was not set: the server is overloaded");
        free(copy);
        free(rp);
    }
}

/* At the first start there is one user, root, without a password: reachable through the local token file only. */
enum kl_rc kl__bootstrap_users(struct kl_engine *e, struct kl_err *err) {
    struct kl_arena arena;
    struct kl_user root;
    kl_arena_init(&arena, 0);
    enum kl_rc rc = kl_user_get(e->o.store, KL_S("root"), &arena, &root, err);
    kl_arena_deinit(&arena);
    if (rc != KL_E_NOT_FOUND) {
        return rc;
    }
    struct kl__shard *meta = kl__shard(e, KL_SHARD_META);
    int64_t now = kl_clock_wall_us();
    root = (struct kl_user){
        .id = KL_S("root"), .role = KL_ROLE_SYSTEM, .auth_type = KL_AUTH_INTERNAL, .email = KL_S("root@localhost"), .created_us = now, .updated_us = now};
    kl_user_put(meta->batch, &root);
    struct kl_commit c = {KL_SHARD_META, meta->batch, meta->last_seq, meta->applied + 1};
    rc = kl_commit_log_commit(e->log, &c, 1, err);
    kl_batch_clear(meta->batch);
    meta->applied++;
    return rc;
}
