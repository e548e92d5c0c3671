/* CREATE VIEW, DROP VIEW. A view is the text of a SELECT, found again by name and run with the
 * rights and rows of whoever queries it; binding it here says whether it means something now. */
#include "sql/parse_internal.h"

/* WITH (security_invoker = true): so they always are. */
static enum kl_rc options(struct kl_parser *p) {
    if (!kl_sql__at_word(p, "with")) {
        return KL_OK;
    }
    int at = kl_sql__here(p);
    kl_sql__advance(p);
    KL_TRY(kl_sql__need_punct(p, '('));
    bool invoker = kl_sql__take(p, "security_invoker");
    if (invoker && kl_sql__take_op(p, "=")) {
        invoker = kl_sql__take(p, "true") || kl_sql__take(p, "on");
    }
    if (!invoker || p->tok.punct != ')') {
        return kl_fail_at(p->err, KL_E_UNSUPPORTED, at,
            "of the options of a view only WITH (security_invoker = true) is available");
    }
    return kl_sql__need_punct(p, ')');
}

static enum kl_rc check_name(struct kl_parser *p, const struct kl_table_name *name) {
    if (kl_namespace_is_system(name->ns)) {
        return kl_fail_at(p->err, KL_E_EXEC, name->position,
            "Cannot create view '%.*s.%.*s' in a system namespace", KL_FMT(name->ns),
            KL_FMT(name->name));
    }
    KL_TRY(kl_name_check("view", name->name, p->err));
    struct kl_table *t = kl_cat_table(p->ctx->cat, name->ns, name->name);
    if (!t || t->type == KL_TABLE_VIEW) {
        return KL_OK; /* whether it may be replaced is the catalog's to say */
    }
    enum kl_rc rc = kl_fail_at(
        p->err, KL_E_EXISTS, name->position, "Table %.*s already exists", KL_FMT(t->qualified));
    kl_err_hint(p->err, "Tables and views share their names: choose another.");
    return rc;
}

enum kl_rc kl_sql__parse_create_view(struct kl_parser *p, bool replace) {
    struct kl_table_name name;
    struct kl_slice text;
    struct kl_table_def *def = KL_ARENA_NEW(p->arena, struct kl_table_def);
    if (!def) {
        return kl_sql__no_room(p->err);
    }
    KL_TRY(kl_auth_may(p->ctx->session->role, KL_MAY_CREATE_VIEW, p->err));
    kl_sql__start_plan(p, KL_PLAN_CREATE_VIEW);
    p->plan->replace = replace;
    p->plan->if_not_exists = !replace && kl_sql__take(p, "if not exists");
    KL_TRY(kl_sql__take_table(p, &name));
    KL_TRY(p->tok.punct == '(' ? kl_sql__take_name_list(p) : KL_OK);
    KL_TRY(options(p));
    KL_TRY(kl_sql__need(p, "as"));
    KL_TRY(check_name(p, &name));
    KL_TRY(kl_sql__take_query(p, NULL, &text));
    KL_TRY(kl_sql__check_name_list(p, "CREATE VIEW"));
    KL_TRY(p->plan->n_columns > 0 ? kl_sql__write_out_stars(p, &text) : KL_OK);
    *def = (struct kl_table_def){
        .ns = name.ns, .name = name.name, .type = KL_TABLE_VIEW, .view_sql = text};
    p->plan->create = def;
    KL_TRY(kl_sql__plan_dup(p->plan, p->ctx->session->ns, &def->view_ns, p->err));
    return kl_sql__table_label(p, &name, &p->plan->name);
}

enum kl_rc kl_sql__parse_drop_view(struct kl_parser *p) {
    struct kl_table_name name;
    if (!kl_role_is_admin(p->ctx->session->role)) {
        return kl_fail(p->err, KL_E_PERMISSION_DENIED, "Only DBA or System roles can drop views");
    }
    kl_sql__start_plan(p, KL_PLAN_DROP_VIEW);
    p->plan->if_exists = kl_sql__take(p, "if exists");
    KL_TRY(kl_sql__take_table(p, &name));
    if (p->tok.punct == ',') {
        return kl_sql__refuse_here(p, "DROP VIEW of several views", "Write one DROP VIEW each.");
    }
    if (!kl_sql__take(p, "cascade")) {
        kl_sql__take(p, "restrict"); /* nothing is bound to a view: others find it by its name */
    }
    KL_TRY(kl_sql__need_end(p));
    KL_TRY(kl_sql__table_label(p, &name, &p->plan->name));
    struct kl_table *t = kl_cat_table(p->ctx->cat, name.ns, name.name);
    if (!t) {
        return p->plan->if_exists ? KL_OK
                                  : kl_fail_at(p->err, KL_E_NOT_FOUND, name.position,
                                        "View '%.*s' does not exist", KL_FMT(p->plan->name));
    }
    if (t->type != KL_TABLE_VIEW) {
        enum kl_rc rc = kl_fail_at(p->err, KL_E_EXEC, name.position,
            "'%.*s' is a table, not a view", KL_FMT(t->qualified));
        kl_err_hint(p->err, "Use DROP TABLE to remove a table.");
        return rc;
    }
    kl_sql__plan_set_table(p->plan, t);
    return KL_OK;
}
