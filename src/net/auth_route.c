/* The endpoints under /v1/api/auth: login, refresh, logout, me, setup, status.
 *
 * What touches state (passwords, revocations, users) goes through kl_engine_auth and comes back
 * on this loop; the request is held meanwhile. Bodies are strict JSON objects without unknown
 * fields. */
#include "net/internal.h"

#include <jansson.h>
#include <openssl/crypto.h>

#define USER_MAX 128
#define PASSWORD_MAX 256
#define BODY_MAX 16384

static int status_of(const struct kl_auth_op *op) {
    static const struct {
        const char *code;
        int status;
    } table[] = {{"unauthorized", 401}, {"account_locked", 401}, {"forbidden", 403},
        {"setup_required", 428}, {"rate_limited", 429}, {"already_configured", 409},
        {"weak_password", 400}, {"invalid_user", 400}, {"user_exists", 409},
        {"invalid_input", 400}};
    for (size_t i = 0; op->code && i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(op->code, table[i].code) == 0) {
            return table[i].status;
        }
    }
    return kl_rc_http_status(op->rc);
}

static void respond_op_error(struct kl_net__request *r, const struct kl_auth_op *op) {
    int status = status_of(op);
    if (!op->code || status >= 500) {
        kl_net__respond_failure(r, op->rc, &op->err);
        return;
    }
    kl_net__respond_error(r, status, op->code, op->err.msg);
}

/* ---- bodies ---- */

struct field {
    const char *name, *alias;
    struct kl_slice *ret; /* ptr stays NULL when absent or null */
    size_t max;
    bool required;
};

static struct field *find_field(struct field *fields, size_t n, const char *key) {
    for (size_t i = 0; i < n; i++) {
        if (strcmp(fields[i].name, key) == 0 ||
            (fields[i].alias && strcmp(fields[i].alias, key) == 0)) {
            return &fields[i];
        }
    }
    return NULL;
}

static enum kl_rc take_field(struct kl_net__request *r, struct field *f, const char *key,
    json_t *value, struct kl_err *err) {
    if (!f) {
        return kl_fail(
            err, KL_E_INVALID_INPUT, "Invalid JSON payload: unknown field \"%.64s\"", key);
    }
    if (json_is_null(value) && !f->required) {
        return KL_OK;
    }
    if (!json_is_string(value) || f->ret->ptr) {
        return kl_fail(
            err, KL_E_INVALID_INPUT, "Invalid JSON payload: \"%s\" must be one string", f->name);
    }
    struct kl_slice text = kl_slice(json_string_value(value), json_string_length(value));
    if (text.len > f->max) {
        return kl_fail(err, KL_E_INVALID_INPUT, "\"%s\" is longer than %zu bytes", f->name, f->max);
    }
    *f->ret = kl_arena_dup(&r->arena, text);
    return f->ret->ptr ? KL_OK : kl_fail(err, KL_E_NOMEM, "out of memory");
}

static enum kl_rc take_fields(
    struct kl_net__request *r, json_t *root, struct field *fields, size_t n, struct kl_err *err) {
    const char *key;
    json_t *value;
    if (!json_is_object(root)) {
        return kl_fail(err, KL_E_INVALID_INPUT, "Invalid JSON payload: expected an object");
    }
    json_object_foreach(root, key, value) {
        KL_TRY(take_field(r, find_field(fields, n, key), key, value, err));
    }
    for (size_t i = 0; i < n; i++) {
        if (fields[i].required && !fields[i].ret->ptr) {
            return kl_fail(err, KL_E_INVALID_INPUT, "Invalid JSON payload: missing field \"%s\"",
                fields[i].name);
        }
    }
    return KL_OK;
}

static enum kl_rc read_fields(
    struct kl_net__request *r, struct field *fields, size_t n, struct kl_err *err) {
    h2o_iovec_t body = r->req->entity;
    json_error_t problem;
    if (!kl_media_type_is(r->headers.content_type, "application/json")) {
        return kl_fail(
            err, KL_E_INVALID_INPUT, "Invalid JSON payload: Content-Type must be application/json");
    }
    if (body.len > BODY_MAX) {
        return kl_fail(
            err, KL_E_INVALID_INPUT, "Invalid JSON payload: longer than %d bytes", BODY_MAX);
    }
    json_t *root =
        json_loadb(body.base ? body.base : "", body.len, JSON_REJECT_DUPLICATES, &problem);
    if (!root) { /* jansson's text may quote the body, which holds a password */
        return kl_fail(err, KL_E_INVALID_INPUT, "Invalid JSON payload: syntax error at byte %d",
            problem.position);
    }
    enum kl_rc rc = take_fields(r, root, fields, n, err);
    json_decref(root);
    return rc;
}

/* ---- answers ---- */

static void put_user(struct kl_buf *b, const struct kl_user *u) {
    kl_buf_puts(b, "\"user\":{\"id\":");
    kl_json_str(b, u->id);
    kl_buf_printf(b, ",\"role\":\"%s\",\"email\":", kl_role_name(u->role));
    if (u->email.len) {
        kl_json_str(b, u->email);
    } else {
        kl_buf_puts(b, "null");
    }
    kl_buf_puts(b, ",\"created_at\":\"");
    kl_rfc3339(b, u->created_us);
    kl_buf_puts(b, "\",\"updated_at\":\"");
    kl_rfc3339(b, u->updated_us);
    kl_buf_puts(b, "\"}");
}

static void put_admin(struct kl_buf *b, const struct kl_user *u) {
    kl_buf_printf(b, ",\"admin_ui_access\":%s", kl_role_is_admin(u->role) ? "true" : "false");
}

/* Secure wherever the browser came by https; over plain http a Secure cookie would be thrown
 * away. */
static void set_cookie(
    struct kl_net__request *r, const char *name, struct kl_slice value, int64_t expires_us) {
    struct kl_buf b = {0};
    kl_buf_printf(&b, "%s=", name);
    kl_buf_slice(&b, value);
    kl_buf_puts(&b, "; HttpOnly; SameSite=Strict; Path=/; Expires=");
    kl_http_date(&b, expires_us);
    if (r->loop->net->o.cookie_secure && r->https) {
        kl_buf_puts(&b, "; Secure");
    }
    kl_net__add_header(r, "set-cookie", kl_buf_view(&b));
    kl_buf_deinit(&b);
}

static void respond_tokens(struct kl_net__request *r, const struct kl_auth_op *op) {
    struct kl_buf *b = &r->out;
    set_cookie(r, "kalamdb_auth", op->access, op->access_expires_us);
    set_cookie(r, "kalamdb_refresh", op->refresh, op->refresh_expires_us);
    kl_net__add_header(r, "cache-control", KL_S("no-store"));
    kl_buf_putc(b, '{');
    put_user(b, &op->record);
    put_admin(b, &op->record);
    kl_buf_puts(b, ",\"expires_at\":\"");
    kl_rfc3339(b, op->access_expires_us);
    kl_buf_puts(b, "\",\"access_token\":");
    kl_json_str(b, op->access);
    kl_buf_puts(b, ",\"refresh_token\":");
    kl_json_str(b, op->refresh);
    kl_buf_puts(b, ",\"refresh_expires_at\":\"");
    kl_rfc3339(b, op->refresh_expires_us);
    kl_buf_puts(b, "\"}");
    kl_net__respond_json(r, 200);
}

static void on_done(struct kl_auth_op *op) {
    struct kl_net__request *r = op->ctx;
    if (op->password.len) {
        OPENSSL_cleanse((char *)op->password.ptr, op->password.len);
    }
    if (op->root_password.len) {
        OPENSSL_cleanse((char *)op->root_password.ptr, op->root_password.len);
    }
    if (!kl_net__request_release(r)) {
        return;
    }
    if (op->rc != KL_OK) {
        respond_op_error(r, op);
        return;
    }
    switch (op->kind) {
    case KL_AUTH_LOGIN:
    case KL_AUTH_REFRESH:
        respond_tokens(r, op);
        return;
    case KL_AUTH_LOGOUT:
        set_cookie(r, "kalamdb_auth", KL_SLICE_NONE, 0);
        set_cookie(r, "kalamdb_refresh", KL_SLICE_NONE, 0);
        kl_buf_puts(&r->out, "{\"message\":\"Logged out successfully\"}");
        break;
    case KL_AUTH_SETUP:
        kl_buf_putc(&r->out, '{');
        put_user(&r->out, &op->record);
        kl_buf_puts(&r->out, ",\"message\":\"Setup is complete. Log in to go on.\"}");
        break;
    }
    kl_net__respond_json(r, 200);
}

static void submit(struct kl_net__request *r) {
    r->auth.loopback = r->local;
    r->auth.client_ip = kl_slice_str(r->ip_text);
    r->auth.arena = &r->arena;
    r->auth.done = on_done;
    r->auth.ctx = r;
    kl_net__request_hold(r);
    kl_engine_auth(r->loop->engine, &r->auth);
}

static void start_session(struct kl_net__request *r) {
    r->session = (struct kl_session){.role = KL_ROLE_ANONYMOUS, .actor_role = KL_ROLE_ANONYMOUS};
    kl_net__clear_exec(r);
}

static bool admit(struct kl_net__request *r) {
    start_session(r);
    if (!kl_net__serving(r)) {
        return false;
    }
    if (kl_net__admit_auth(r->loop, &r->ip, false)) {
        return true;
    }
    kl_net__add_header(r, "retry-after", KL_S("1"));
    kl_net__respond_error(
        r, 429, "rate_limited", "Too many authentication attempts. Please slow down.");
    return false;
}

/* ---- endpoints ---- */

void kl_net__auth_login(struct kl_net__request *r) {
    struct kl_slice user = KL_SLICE_NONE, password = KL_SLICE_NONE;
    struct field fields[] = {{"user", "username", &user, USER_MAX, true},
        {"password", NULL, &password, PASSWORD_MAX, true}};
    struct kl_err err = {0};
    if (!admit(r)) {
        return;
    }
    enum kl_rc rc = read_fields(r, fields, 2, &err);
    if (rc != KL_OK) {
        kl_net__respond_failure(r, rc, &err);
        return;
    }
    r->auth = (struct kl_auth_op){.kind = KL_AUTH_LOGIN, .user = user, .password = password};
    submit(r);
}

static struct kl_slice cookie(const struct kl_net__request *r, const char *name) {
    return kl_cookie_get(kl_net__header(r, "cookie"), name);
}

static struct kl_slice bearer(const struct kl_net__request *r) {
    return kl_auth_scheme(r->headers.authorization, "Bearer");
}

void kl_net__auth_refresh(struct kl_net__request *r) {
    if (!admit(r)) {
        return;
    }
    struct kl_slice token = cookie(r, "kalamdb_refresh");
    if (!token.len) {
        token = bearer(r);
    }
    if (!token.len) {
        kl_net__respond_error(r, 401, "unauthorized", "A refresh token is required");
        return;
    }
    r->auth = (struct kl_auth_op){.kind = KL_AUTH_REFRESH, .token = kl_arena_dup(&r->arena, token)};
    submit(r);
}

void kl_net__auth_logout(struct kl_net__request *r) {
    start_session(r);
    if (!kl_net__serving(r)) {
        return;
    }
    struct kl_slice token = bearer(r);
    if (!token.len) {
        token = cookie(r, "kalamdb_auth");
    }
    struct kl_slice refresh = cookie(r, "kalamdb_refresh");
    r->auth = (struct kl_auth_op){.kind = KL_AUTH_LOGOUT,
        .token = token.len ? kl_arena_dup(&r->arena, token) : KL_SLICE_NONE,
        .token2 = refresh.len ? kl_arena_dup(&r->arena, refresh) : KL_SLICE_NONE};
    submit(r);
}

void kl_net__auth_me(struct kl_net__request *r) {
    struct kl_net__identity who;
    struct kl_user user;
    struct kl_err err = {0};
    start_session(r);
    struct kl_slice token = bearer(r);
    if (!token.len) {
        token = cookie(r, "kalamdb_auth");
    }
    enum kl_rc rc = token.len
                        ? kl_net__check_token(r->loop, token, r->local, &r->arena, &who, &err)
                        : kl_fail(&err, KL_E_MISSING_AUTHORIZATION, "Authentication required");
    if (rc == KL_OK) {
        rc = kl_user_get(r->loop->net->o.store, who.user, &r->arena, &user, &err);
    }
    if (rc != KL_OK) {
        kl_net__respond_failure(r, rc, &err);
        return;
    }
    kl_buf_putc(&r->out, '{');
    put_user(&r->out, &user);
    put_admin(&r->out, &user);
    kl_buf_putc(&r->out, '}');
    kl_net__respond_json(r, 200);
}

void kl_net__auth_setup(struct kl_net__request *r) {
    struct kl_slice user = KL_SLICE_NONE, password = KL_SLICE_NONE, root = KL_SLICE_NONE,
                    email = KL_SLICE_NONE;
    struct field fields[] = {{"user", "username", &user, USER_MAX, true},
        {"password", NULL, &password, PASSWORD_MAX, true},
        {"root_password", NULL, &root, PASSWORD_MAX, true},
        {"email", NULL, &email, PASSWORD_MAX, false}};
    struct kl_err err = {0};
    if (!admit(r)) {
        return;
    }
    if (!r->local && !r->loop->net->o.allow_remote_setup) {
        kl_net__respond_error(
            r, 403, "forbidden", "Setup is only possible from the server's own machine");
        return;
    }
    enum kl_rc rc = read_fields(r, fields, 4, &err);
    if (rc != KL_OK) {
        kl_net__respond_failure(r, rc, &err);
        return;
    }
    r->auth = (struct kl_auth_op){.kind = KL_AUTH_SETUP,
        .user = user,
        .password = password,
        .root_password = root,
        .email = email};
    submit(r);
}

void kl_net__auth_status(struct kl_net__request *r) {
    bool needed = kl_engine_needs_setup(r->loop->net->o.engine);
    kl_buf_printf(&r->out, "{\"needs_setup\":%s,\"message\":\"%s\"}", needed ? "true" : "false",
        needed ? "Server requires initial setup. Root password is not configured."
               : "Server is set up.");
    kl_net__respond_json(r, 200);
}
