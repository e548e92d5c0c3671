/* The query of a subscription: one table, plain columns or *, a condition that is evaluated
 * natively for every change. Whatever could not be kept up to date exactly is refused here, when
 * subscribing.
 *
 *     SELECT columns FROM ns.t [WHERE ..] [ORDER BY ..] [OPTIONS (..)]
 *     SUBSCRIBE TO SELECT .. | SUBSCRIBE TO ns.t [WHERE ..] [OPTIONS (..)]
 *
 * ORDER BY without LIMIT changes no row of the answer: it is checked, and clients order the rows
 * they keep. */
#include "sql/bind_internal.h"
#include "sql/parse_internal.h"
#include "sql/shape.h"

/* ---- text: the SELECT and the options ---- */
struct live_text {
    struct kl_slice select;  /* or, for SUBSCRIBE TO ns.t, what follows TO */
    bool bare;               /* the latter */
    struct kl_slice options; /* OPTIONS (..), or empty */
};

/* The last OPTIONS ( at the outer level that runs to the end. */
static void cut_options(struct kl_slice text, struct live_text *ret) {
    struct kl_scan s;
    struct kl_tok t;
    const char *cut = NULL;
    size_t depth = 0;
    bool was_options = false;
    const char *at = NULL;
    kl_sql__scan_init(&s, text);
    for (kl_sql__scan(&s, &t); t.kind != KL_TOK_END && t.kind != KL_TOK_BAD; kl_sql__scan(&s, &t)) {
        if (t.punct == '(' && depth++ == 0 && was_options) {
            cut = at;
        }
        depth -= t.punct == ')' && depth > 0;
        was_options = depth == 0 && t.kind == KL_TOK_WORD && kl_slice_ieq_str(t.text, "options");
        at = t.text.ptr;
    }
    ret->select = cut ? kl_slice(text.ptr, (size_t)(cut - text.ptr)) : text;
    ret->options = cut ? kl_slice(cut, (size_t)(text.ptr + text.len - cut)) : KL_S("");
}

static enum kl_rc read_text(struct kl_parser *p, struct live_text *ret) {
    const char *end = p->stmt.ptr + p->stmt.len;
    *ret = (struct live_text){0};
    if (kl_sql__take(p, "subscribe")) {
        KL_TRY(kl_sql__need(p, "to"));
        ret->bare = !kl_sql__at_word(p, "select");
    }
    const char *from = p->tok.text.ptr;
    cut_options(kl_slice(from, (size_t)(end - from)), ret);
    return KL_OK;
}

static enum kl_rc one_option(struct kl_parser *p, struct kl_plan_live *live) {
    struct kl_slice name;
    int at = kl_sql__here(p);
    int64_t *to;
    KL_TRY(kl_sql__take_text(p, &name));
    if (kl_slice_ieq_str(name, "last_rows")) {
        to = &live->last_rows;
    } else if (kl_slice_ieq_str(name, "batch_size")) {
        to = &live->batch_size;
    } else if (kl_slice_ieq_str(name, "from") || kl_slice_ieq_str(name, "from_seq_id")) {
        to = &live->from;
    } else {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at,
            "Unknown subscription option: '%.*s'. Valid options are: last_rows, batch_size, from",
            KL_FMT(kl_slice(name.ptr, KL_MIN(name.len, (size_t)60))));
    }
    KL_TRY(kl_sql__need_op(p, "="));
    return kl_sql__take_count(p,
        to == &live->from        ? "from"
        : to == &live->last_rows ? "last_rows"
                                 : "batch_size",
        to == &live->batch_size ? 1 : 0, INT64_MAX, to);
}

/* p stands on a parser over the whole statement, so that positions are right. */
static enum kl_rc read_options(
    struct kl_parser *p, struct kl_slice options, struct kl_plan_live *live) {
    live->last_rows = live->batch_size = live->from = -1;
    if (options.len == 0) {
        return KL_OK;
    }
    p->scan.cur = options.ptr;
    kl_sql__advance(p);
    KL_TRY(kl_sql__need(p, "options"));
    KL_TRY(kl_sql__need_punct(p, '('));
    if (!kl_sql__take_punct(p, ')')) {
        do {
            KL_TRY(one_option(p, live));
        } while (kl_sql__take_punct(p, ','));
        KL_TRY(kl_sql__need_punct(p, ')'));
    }
    return kl_sql__need_end(p);
}

/* ---- the SELECT ---- */
static enum kl_rc refuse(struct kl_err *err, const char *what) {
    return kl_fail(err, KL_E_UNSUPPORTED, "Subscription query cannot use %s", what);
}

static enum kl_rc check_form(const PgQuery__SelectStmt *s, struct kl_err *err) {
    if (s->op != PG_QUERY__SET_OPERATION__SETOP_NONE || s->n_values_lists > 0) {
        return refuse(err, "UNION, INTERSECT, EXCEPT or VALUES");
    }
    if (s->n_distinct_clause > 0) {
        return refuse(err, "DISTINCT");
    }
    if (s->n_group_clause > 0 || s->having_clause || s->n_window_clause > 0) {
        return refuse(err, "GROUP BY, HAVING or WINDOW");
    }
    if (s->with_clause) {
        return refuse(err, "WITH");
    }
    if (s->limit_count || s->limit_offset) {
        return refuse(
            err, "LIMIT or OFFSET; to start with the newest rows use OPTIONS (last_rows = n)");
    }
    if (s->n_locking_clause > 0 || s->into_clause) {
        return refuse(err, "FOR UPDATE or INTO");
    }
    if (s->n_from_clause != 1 || s->from_clause[0]->node_case != PG_QUERY__NODE__NODE_RANGE_VAR) {
        return refuse(err, "anything but one table in FROM");
    }
    return KL_OK;
}

static enum kl_rc check_access(
    const struct kl_sql_ctx *ctx, const struct kl_table *t, struct kl_err *err) {
    if (kl_auth_may_read(ctx->session->role, t, err) == KL_OK) {
        return t->type != KL_TABLE_SYSTEM
                   ? KL_OK
                   : kl_fail(err, KL_E_UNSUPPORTED,
                         "Live queries over system tables are not available in this version");
    }
    if (t->type == KL_TABLE_SYSTEM) {
        return kl_fail(err, KL_E_PERMISSION_DENIED,
            "Cannot subscribe to system table '%.*s': insufficient privileges. Only DBA and system "
            "roles "
            "can subscribe to system tables.",
            KL_FMT(t->qualified));
    }
    if (t->type == KL_TABLE_SHARED) {
        return kl_fail(err, KL_E_PERMISSION_DENIED,
            "Cannot subscribe to shared table '%.*s': access level '%s' requires elevated "
            "privileges.",
            KL_FMT(t->qualified), kl_access_name(t->options.access));
    }
    return KL_E_PERMISSION_DENIED; /* the reason is in err */
}

static enum kl_rc open_table(struct kl_binder *b, const PgQuery__RangeVar *v, struct kl_err *err) {
    struct kl_rel_name name = kl_sql__rel_name(b, v);
    struct kl_table *t;
    enum kl_rc rc = kl_sql__find_table(b->ctx, &name, &t, err);
    if (rc == KL_E_NOT_FOUND && name.ns.len == 0) {
        return kl_fail_at(err, KL_E_NOT_FOUND, name.position,
            "Table not found: %.*s.%.*s. Query must use namespace.table format",
            KL_FMT(b->ctx->session->ns), KL_FMT(name.name));
    }
    KL_TRY(rc);
    if (t->type == KL_TABLE_VIEW) {
        return kl_fail_at(err, KL_E_UNSUPPORTED, name.position,
            "live queries on views are not supported: %.*s is a view", KL_FMT(t->qualified));
    }
    KL_TRY(check_access(b->ctx, t, err));
    KL_TRY(kl_sql__binder_scope(b, t, v->alias, false, err));
    b->deleted_is_false = true;
    return KL_OK;
}

/* ---- columns ---- */
static enum kl_rc add_col(struct kl_binder *b, struct kl_plan_live *live, int col,
    const char *alias, struct kl_err *err) {
    struct kl_sink_col desc = kl_sql__sink_col(b->table, col);
    struct kl_expr *slot;
    if (alias && alias[0]) {
        desc.name = kl_slice_str(alias);
    }
    KL_TRY(kl_sql__plan_dup(b->plan, desc.name, &desc.name, err));
    ((int16_t *)live->cols)[live->n_cols] = (int16_t)col;
    ((struct kl_sink_col *)live->desc)[live->n_cols++] = desc;
    b->deleted_is_false = false;
    enum kl_rc rc = kl_sql__bind_slot(b, col, &slot, err); /* for its place among the slots */
    b->deleted_is_false = true;
    return rc;
}

static enum kl_rc plain_column(struct kl_binder *b, const PgQuery__ResTarget *r,
    struct kl_plan_live *live, struct kl_err *err) {
    int col;
    if (!r->val || r->val->node_case != PG_QUERY__NODE__NODE_COLUMN_REF) {
        return refuse(err, "expressions in its columns: name the columns, or use *");
    }
    KL_TRY(kl_sql__bind_column(b, r->val->column_ref, &col, err));
    if (col < 0) {
        return kl_fail_at(err, KL_E_UNSUPPORTED, kl_sql__at(b, r->val->column_ref->location),
            "Subscription query cannot project system columns '_seq' or '_deleted'.");
    }
    return add_col(b, live, col, r->name, err);
}

static enum kl_rc bind_columns(struct kl_binder *b, const PgQuery__SelectStmt *s,
    struct kl_plan_live *live, struct kl_err *err) {
    const PgQuery__ColumnRef *ref;
    size_t most = KL_MAX(s->n_target_list, b->table->n_cols) + 2;
    live->cols = KL_ARENA_ARRAY(b->eb.arena, int16_t, most);
    live->desc = KL_ARENA_ARRAY(b->eb.arena, struct kl_sink_col, most);
    if (!live->cols || !live->desc) {
        return kl_sql__no_room(err);
    }
    live->star = s->n_target_list == 1 && kl_sql__is_star(s->target_list[0]->res_target->val, &ref);
    if (live->star) {
        for (size_t i = 0; i < b->table->n_cols; i++) {
            KL_TRY(add_col(b, live, (int)i, NULL, err));
        }
        KL_TRY(add_col(b, live, KL_COL_SEQ, NULL, err));
        return add_col(b, live, KL_COL_DELETED, NULL, err);
    }
    for (size_t i = 0; i < s->n_target_list; i++) {
        if (kl_sql__is_star(s->target_list[i]->res_target->val, &ref)) {
            return refuse(err, "* together with other columns");
        }
        KL_TRY(plain_column(b, s->target_list[i]->res_target, live, err));
    }
    return add_col(b, live, KL_COL_SEQ, NULL, err);
}

static enum kl_rc check_order(struct kl_binder *b, const PgQuery__SelectStmt *s,
    const struct kl_plan_live *live, struct kl_err *err) {
    for (size_t i = 0; i < s->n_sort_clause; i++) {
        const PgQuery__Node *n = s->sort_clause[i]->sort_by->node;
        struct kl_slice name = kl_sql__output_name(n);
        bool output = n && n->node_case == PG_QUERY__NODE__NODE_A_CONST;
        for (size_t c = 0; c < live->n_cols; c++) {
            output |= kl_slice_eq(live->desc[c].name, name);
        }
        struct kl_expr *ignored;
        if (!output) {
            KL_TRY(kl_sql__bind_expr(b, n, &ignored, err));
        }
    }
    return KL_OK;
}

static enum kl_rc bind_filter(struct kl_binder *b, const PgQuery__Node *where,
    struct kl_plan_live *live, struct kl_err *err) {
    struct kl_expr *filter;
    if (!where) {
        return KL_OK;
    }
    KL_TRY(kl_sql__check_deleted(b, where, err));
    enum kl_rc rc = kl_sql__bind_condition(b, where, "WHERE", &filter, err);
    if (rc == KL_E_UNSUPPORTED) {
        kl_err_prefix(err, "Subscription filter");
    }
    KL_TRY(rc);
    if (b->uses_clock) {
        return kl_fail(err, KL_E_UNSUPPORTED,
            "Subscription filter cannot use NOW(): rows would enter and leave it as time passes, "
            "without any "
            "change to tell of");
    }
    if (kl_expr_volatile(filter)) {
        return kl_fail(err, KL_E_UNSUPPORTED,
            "Subscription filter cannot use functions that give another value each time");
    }
    live->filter = filter;
    return KL_OK;
}

static enum kl_rc bind_tree(struct kl_binder *b, PgQuery__ParseResult *tree,
    struct kl_plan_live *live, struct kl_err *err) {
    if (tree->n_stmts != 1 || !tree->stmts[0]->stmt ||
        tree->stmts[0]->stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
        return kl_fail(err, KL_E_INVALID_SQL, "A subscription needs one SELECT statement");
    }
    const PgQuery__SelectStmt *s = tree->stmts[0]->stmt->select_stmt;
    KL_TRY(check_form(s, err));
    KL_TRY(open_table(b, s->from_clause[0]->range_var, err));
    KL_TRY(bind_columns(b, s, live, err));
    KL_TRY(bind_filter(b, s->where_clause, live, err));
    KL_TRY(check_order(b, s, live, err));
    live->slots = b->slots;
    live->n_slots = b->n_slots;
    b->plan->live = live;
    b->plan->name = b->table->qualified;
    return KL_OK;
}

#define BARE_PREFIX "SELECT * FROM "

static enum kl_rc bind_select_text(const struct kl_sql_ctx *ctx, const struct live_text *text,
    struct kl_slice query, struct kl_plan *plan, struct kl_plan_live *live, struct kl_err *err) {
    struct kl_query_input in = {.plain = true};
    struct kl_binder b;
    PgQuery__ParseResult *tree;
    char *sql, *full = kl_arena_printf(
                   &plan->arena, "%s%.*s", text->bare ? BARE_PREFIX : "", KL_FMT(text->select));
    if (!full) {
        return kl_sql__no_room(err);
    }
    KL_TRY(kl_sql__plain_text(kl_slice_str(full), &plan->arena, &sql, err));
    enum kl_rc rc = kl_sql__pg_parse(sql, true, &tree, err);
    if (rc == KL_OK) {
        kl_sql__binder_init(&b, ctx, &in, plan);
        rc = bind_tree(&b, tree, live, err);
        pg_query__parse_result__free_unpacked(tree, NULL);
    }
    int shift = (int)(text->select.ptr - query.ptr) - (text->bare ? (int)strlen(BARE_PREFIX) : 0);
    if (rc != KL_OK && err && err->position > 0) {
        err->position = KL_MAX(err->position + shift, 1);
    }
    plan->text = kl_slice_trim(kl_slice_str(full));
    return rc;
}

enum kl_rc kl_sql_bind_live(const struct kl_sql_ctx *ctx, struct kl_slice query,
    struct kl_arena *arena, struct kl_bound *ret, struct kl_err *err) {
    struct kl_parser p;
    struct live_text text;
    if (query.len == 0) {
        return kl_fail(err, KL_E_INVALID_SQL, "A subscription needs one SELECT statement");
    }
    KL_TRY(kl_sql__check_text(query, err));
    kl_sql__parser_init(&p, ctx, query, err);
    p.plan = kl_sql__plan_new(KL_PLAN_SUBSCRIBE, ctx);
    p.arena = &p.plan->arena;
    p.plan->volatile_ = true;
    struct kl_plan_live *live = KL_ARENA_NEW(p.arena, struct kl_plan_live);
    enum kl_rc rc = live ? read_text(&p, &text) : kl_sql__no_room(err);
    if (rc == KL_OK) {
        rc = bind_select_text(ctx, &text, query, p.plan, live, err);
    }
    if (rc == KL_OK) {
        rc = read_options(&p, text.options, live);
    }
    if (rc == KL_E_EXEC ||
        rc == KL_E_TYPE) { /* the same fault in a query is one of the request here */
        rc = KL_E_INVALID_SQL;
        if (err) {
            err->rc = rc;
        }
    }
    if (rc != KL_OK) {
        kl_plan_unref(p.plan);
        return rc;
    }
    *ret = (struct kl_bound){.plan = p.plan};
    return KL_OK;
}
