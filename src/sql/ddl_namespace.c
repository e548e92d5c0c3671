/* CREATE, ALTER, DROP NAMESPACE; USE and SET NAMESPACE. */
#include "sql/parse_internal.h"

static enum kl_rc admin(struct kl_parser *p) {
    return kl_auth_may(p->ctx->session->role, KL_MAY_NAMESPACE_DDL, p->err);
}

enum kl_rc kl_sql__parse_create_namespace(struct kl_parser *p) {
    KL_TRY(admin(p));
    kl_sql__start_plan(p, KL_PLAN_CREATE_NAMESPACE);
    p->plan->if_not_exists = kl_sql__take(p, "if not exists");
    KL_TRY(kl_sql__take_name(p, &p->plan->name));
    KL_TRY(kl_sql__need_end(p));
    return kl_name_check("namespace", p->plan->name, p->err);
}

enum kl_rc kl_sql__parse_drop_namespace(struct kl_parser *p) {
    KL_TRY(admin(p));
    kl_sql__start_plan(p, KL_PLAN_DROP_NAMESPACE);
    p->plan->if_exists = kl_sql__take(p, "if exists");
    KL_TRY(kl_sql__take_name(p, &p->plan->name));
    kl_sql__take(p, "cascade"); /* tables always go with their namespace */
    return kl_sql__need_end(p);
}

/* One value as JSON. */
static enum kl_rc option_value(struct kl_parser *p, struct kl_buf *out) {
    bool negative = kl_sql__take_op(p, "-");
    struct kl_slice s;
    if (p->tok.kind == KL_TOK_STRING && !negative) {
        KL_TRY(kl_sql__take_string(p, &s));
        kl_json_str(out, s);
        return KL_OK;
    }
    if (!negative && kl_sql__take(p, "true")) {
        kl_buf_puts(out, "true");
        return KL_OK;
    }
    if (!negative && kl_sql__take(p, "false")) {
        kl_buf_puts(out, "false");
        return KL_OK;
    }
    struct kl_val v;
    if ((p->tok.kind != KL_TOK_INT && p->tok.kind != KL_TOK_NUMBER) ||
        kl_sql__number(p->tok.text, negative, &v) != KL_OK) {
        return kl_sql__syntax_error(p);
    }
    kl_val_to_text(&v, out);
    kl_sql__advance(p);
    return KL_OK;
}

static enum kl_rc options(struct kl_parser *p, struct kl_buf *out) {
    KL_TRY(kl_sql__need_punct(p, '('));
    kl_buf_putc(out, '{');
    do {
        struct kl_slice key;
        KL_TRY(kl_sql__take_text(p, &key));
        KL_TRY(kl_sql__need_op(p, "="));
        if (out->len > 1) {
            kl_buf_putc(out, ',');
        }
        kl_json_str(out, key);
        kl_buf_putc(out, ':');
        KL_TRY(option_value(p, out));
    } while (kl_sql__take_punct(p, ','));
    kl_buf_putc(out, '}');
    KL_TRY(kl_sql__need_punct(p, ')'));
    KL_TRY(kl_sql__need_end(p));
    return out->failed ? kl_sql__no_room(p->err)
                       : kl_sql__plan_dup(p->plan, kl_buf_view(out), &p->plan->text, p->err);
}

enum kl_rc kl_sql__parse_alter_namespace(struct kl_parser *p) {
    KL_TRY(admin(p));
    kl_sql__start_plan(p, KL_PLAN_ALTER_NAMESPACE);
    KL_TRY(kl_sql__take_name(p, &p->plan->name));
    if (!kl_sql__take(p, "set options")) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, kl_sql__here(p), "Expected SET OPTIONS clause");
    }
    struct kl_buf json;
    kl_buf_init(&json, 1 << 20);
    enum kl_rc rc = options(p, &json);
    kl_buf_deinit(&json);
    return rc;
}

enum kl_rc kl_sql__parse_use(struct kl_parser *p) {
    kl_sql__start_plan(p, KL_PLAN_USE);
    struct kl_parser before = *p;
    if (kl_sql__take(p, "namespace") && p->tok.kind == KL_TOK_END) {
        *p = before; /* USE namespace: a namespace of that name */
    }
    int at = kl_sql__here(p);
    KL_TRY(kl_sql__take_name(p, &p->plan->name));
    KL_TRY(kl_sql__need_end(p));
    if (!kl_cat_namespace(p->ctx->cat, p->plan->name)) {
        return kl_fail_at(
            p->err, KL_E_NOT_FOUND, at, "Namespace '%.*s' does not exist", KL_FMT(p->plan->name));
    }
    return KL_OK;
}
