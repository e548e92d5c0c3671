/* Views: the text of a view, printed as a subquery where the statement names it.
 *
 * Names in it are found in the view's own namespace; tables are checked for, and later scanned for, the caller. So a USER table
 * inside a view shows the rows of whoever asks. Nothing of the statement around it is in sight: no
 * common table expressions, no columns, no parameters.
 *
 * The columns have the view's names, by position. Only where the text has a star and what it reads has
 * changed since the view was made they go by name: a table may have got other columns. */
#include "sql/duck_print_internal.h"

#include "sql/bind_internal.h"

static bool lists_star(const PgQuery__SelectStmt *s) {
    while (s->op > PG_QUERY__SET_OPERATION__SETOP_NONE && s->larg) {
        s = s->larg;
    }
    for (size_t i = 0; i < s->n_target_list; i++) {
        const PgQuery__ColumnRef *ref;
        if (s->target_list[i]->node_case == PG_QUERY__NODE__NODE_RES_TARGET &&
            kl_sql__is_star(s->target_list[i]->res_target->val, &ref)) {
            return true;
        }
    }
    return false;
}

static void columns(struct kl_dp *p, const struct kl_table *view) {
    for (size_t i = 0; i < view->n_cols; i++) {
        kl_dp__puts(p, i ? ", " : "");
        kl_dp__ident(p, view->cols[i].name);
    }
}

static enum kl_rc print_text(struct kl_dp *p, const struct kl_table *view, PgQuery__SelectStmt *s) {
    struct kl_binder b = {.ctx = p->ctx};
    struct kl_buf *out = p->out, text;
    KL_TRY(kl_sql__check_deleted_select(&b, s, p->err));
    kl_buf_init(&text, KL_DP_MAX_TEXT);
    p->out = &text;
    p->changed_us = 0;
    enum kl_rc rc = kl_dp__select(p, s);
    p->out = out;
    bool by_name = lists_star(s) && p->changed_us > view->updated_us;
    kl_dp__puts(p, "(SELECT ");
    if (by_name) {
        columns(p, view);
    } else {
        kl_dp__puts(p, "*");
    }
    kl_dp__puts(p, " FROM (");
    kl_buf_slice(out, kl_buf_view(&text));
    out->failed |= text.failed;
    kl_buf_deinit(&text);
    kl_dp__puts(p, ") AS \"kl_view\"");
    if (!by_name) {
        kl_dp__puts(p, "(");
        columns(p, view);
        kl_dp__puts(p, ")");
    }
    kl_dp__puts(p, ")");
    return rc;
}

/* As if the view's text were a statement of its own. */
static enum kl_rc in_its_world(
    struct kl_dp *p, const struct kl_table *view, PgQuery__SelectStmt *s) {
    struct kl_dp outside = *p;
    struct kl_session session = *p->ctx->session;
    struct kl_sql_ctx ctx = *p->ctx;
    session.ns = kl_slice_str(view->view_ns);
    ctx.session = &session;
    p->ctx = &ctx;
    p->n_params = 0;
    p->ctes = NULL;
    p->scope = NULL;
    p->plain = true;
    p->subqueries = 0;
    p->views++;
    enum kl_rc rc = print_text(p, view, s);
    p->ctx = outside.ctx;
    p->n_params = outside.n_params;
    p->ctes = outside.ctes;
    p->scope = outside.scope;
    p->plain = outside.plain;
    p->subqueries = outside.subqueries;
    p->limit = outside.limit;
    p->offset = outside.offset;
    p->views--;
    p->changed_us = KL_MAX(p->changed_us, KL_MAX(outside.changed_us, view->updated_us));
    return rc;
}

enum kl_rc kl_dp__view(struct kl_dp *p, const struct kl_table *view, int position) {
    PgQuery__ParseResult *tree;
    if (p->views == KL_DP_MAX_VIEWS) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, position,
            "views are nested too deeply (at most %d levels)", KL_DP_MAX_VIEWS);
    }
    KL_TRY(kl_sql__pg_parse(view->view_sql, false, &tree, p->err));
    PgQuery__Node *n = tree->n_stmts == 1 ? tree->stmts[0]->stmt : NULL;
    enum kl_rc rc = n && n->node_case == PG_QUERY__NODE__NODE_SELECT_STMT
                        ? in_its_world(p, view, n->select_stmt)
                        : kl_fail(p->err, KL_E_CORRUPT, "its text is no SELECT");
    pg_query__parse_result__free_unpacked(tree, NULL);
    if (rc != KL_OK && p->err) {
        p->err->position = position;
    }
    if (rc != KL_OK && p->err && p->views == 0) { /* the one that the statement names */
        kl_err_prefix(p->err, "view %s", view->qualified.ptr);
    }
    return rc;
}
