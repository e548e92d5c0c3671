/* CREATE, ALTER, DROP USER. Administrators only; nobody gives away more than a dba may. */
#include "sql/parse_internal.h"

static enum kl_rc start(struct kl_parser *p, enum kl_plan_kind kind) {
    KL_TRY(kl_auth_may(p->ctx->session->role, KL_MAY_USER_DDL, p->err));
    kl_sql__start_plan(p, kind);
    p->plan->user = KL_ARENA_NEW(p->arena, struct kl_plan_user);
    return p->plan->user ? KL_OK : kl_sql__no_room(p->err);
}

/* Unquoted names fold as all identifiers do; quoted ones stay as they are. */
static enum kl_rc user_name(struct kl_parser *p) {
    struct kl_plan_user *u = p->plan->user;
    if (p->tok.kind == KL_TOK_WORD) {
        KL_TRY(kl_sql__take_name(p, &u->id));
    } else {
        KL_TRY(kl_sql__take_text(p, &u->id));
    }
    p->plan->name = u->id;
    return kl_user_id_check(u->id, p->err);
}

static enum kl_rc role(struct kl_parser *p) {
    struct kl_plan_user *u = p->plan->user;
    struct kl_slice name;
    int at = kl_sql__here(p);
    KL_TRY(kl_sql__take_text(p, &name));
    if (!kl_role_parse(name, &u->role)) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at,
            "Unknown role '%.*s'. Roles: user, service, dba, system", KL_FMT(name));
    }
    if (u->role == KL_ROLE_SYSTEM && p->ctx->session->role != KL_ROLE_SYSTEM) {
        return kl_fail_at(p->err, KL_E_PERMISSION_DENIED, at, "DBA cannot grant System role");
    }
    u->set_role = true;
    return KL_OK;
}

static enum kl_rc oauth(struct kl_parser *p) {
    struct kl_plan_user *u = p->plan->user;
    int at = kl_sql__here(p);
    u->auth_type = KL_AUTH_OAUTH;
    if (p->tok.kind == KL_TOK_STRING) {
        KL_TRY(kl_sql__take_string(p, &u->auth_data));
        if (!kl_json_valid(u->auth_data)) {
            return kl_fail_at(p->err, KL_E_INVALID_SQL, at, "OAUTH data must be JSON");
        }
    }
    return KL_OK;
}

enum kl_rc kl_sql__parse_create_user(struct kl_parser *p) {
    KL_TRY(start(p, KL_PLAN_CREATE_USER));
    struct kl_plan_user *u = p->plan->user;
    p->plan->if_not_exists = kl_sql__take(p, "if not exists");
    KL_TRY(user_name(p));
    KL_TRY(kl_sql__need(p, "with"));
    if (kl_sql__take(p, "password")) {
        u->auth_type = KL_AUTH_PASSWORD;
        u->set_password = true;
        KL_TRY(kl_sql__take_string(p, &u->password));
    } else if (kl_sql__take(p, "oauth")) {
        KL_TRY(oauth(p));
    } else if (kl_sql__take(p, "internal")) {
        u->auth_type = KL_AUTH_INTERNAL;
    } else {
        return kl_sql__syntax_error(p);
    }
    u->role = KL_ROLE_USER;
    while (p->tok.kind != KL_TOK_END && p->tok.punct != ';') {
        if (!u->set_role && kl_sql__take(p, "role")) {
            KL_TRY(role(p));
        } else if (!u->set_email && kl_sql__take(p, "email")) {
            u->set_email = true;
            KL_TRY(kl_sql__take_string(p, &u->email));
        } else {
            return kl_sql__syntax_error(p);
        }
    }
    u->set_role = true;
    return kl_sql__need_end(p);
}

enum kl_rc kl_sql__parse_alter_user(struct kl_parser *p) {
    KL_TRY(start(p, KL_PLAN_ALTER_USER));
    struct kl_plan_user *u = p->plan->user;
    KL_TRY(user_name(p));
    KL_TRY(kl_sql__need(p, "set"));
    do {
        kl_sql__take_punct(p, ',');
        kl_sql__take(p, "set");
        if (!u->set_password && kl_sql__take(p, "password")) {
            u->set_password = true;
            KL_TRY(kl_sql__take_string(p, &u->password));
        } else if (!u->set_role && kl_sql__take(p, "role")) {
            KL_TRY(role(p));
        } else if (!u->set_email && kl_sql__take(p, "email")) {
            u->set_email = true;
            KL_TRY(kl_sql__take_string(p, &u->email));
        } else {
            return kl_sql__syntax_error(p);
        }
    } while (p->tok.kind != KL_TOK_END && p->tok.punct != ';');
    return kl_sql__need_end(p);
}

enum kl_rc kl_sql__parse_drop_user(struct kl_parser *p) {
    KL_TRY(start(p, KL_PLAN_DROP_USER));
    p->plan->if_exists = p->plan->user->if_exists = kl_sql__take(p, "if exists");
    KL_TRY(user_name(p));
    p->plan->user->immediately = kl_sql__take(p, "immediately");
    return kl_sql__need_end(p);
}
