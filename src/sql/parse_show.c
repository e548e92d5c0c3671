/* SHOW, DESCRIBE, KILL. The listings are SELECTs over system relations, open to every role. */
#include "sql/parse_internal.h"

/* The plan becomes that of a SELECT that nobody's rights are asked for. */
static enum kl_rc listing(struct kl_parser *p, const char *sql) {
    struct kl_query_input in = {.text = sql, .internal = true};
    struct kl_sql_ctx ctx = *p->ctx;
    struct kl_plan *plan;
    ctx.executor = KL_EXECUTOR_NATIVE;
    KL_TRY(kl_sql__need_end(p));
    KL_TRY(kl_sql__bind_query(&ctx, &in, &plan, p->err));
    kl_plan_unref(p->plan);
    p->plan = plan;
    p->plan->volatile_ = true;
    return KL_OK;
}

static enum kl_rc show_tables(struct kl_parser *p) {
    struct kl_slice ns;
    int at;
    if (!kl_sql__take(p, "in") && !kl_sql__take(p, "from")) {
        return listing(
            p, "SELECT * FROM system.schemas WHERE is_latest ORDER BY namespace_id, table_name");
    }
    kl_sql__take(p, "namespace");
    at = kl_sql__here(p);
    KL_TRY(kl_sql__take_name(p, &ns));
    if (!kl_cat_namespace(p->ctx->cat, ns)) {
        return kl_fail_at(
            p->err, KL_E_NOT_FOUND, at, "Namespace '%.*s' does not exist", KL_FMT(ns));
    }
    struct kl_buf sql = {0}; /* a namespace that exists has no quotes in its name, but let that not
                                be what safety rests on */
    struct kl_val name = kl_val_text(ns);
    kl_buf_puts(&sql, "SELECT * FROM system.schemas WHERE is_latest AND namespace_id = ");
    kl_val_to_sql(&name, &sql);
    kl_buf_puts(&sql, " ORDER BY table_name");
    kl_buf_u8(&sql, 0);
    enum kl_rc rc = sql.failed ? kl_sql__no_room(p->err) : listing(p, sql.data);
    kl_buf_deinit(&sql);
    return rc;
}

static enum kl_rc show_stats(struct kl_parser *p) {
    struct kl_table_name name;
    struct kl_table *t;
    KL_TRY(kl_sql__need(p, "for table"));
    KL_TRY(kl_sql__take_table(p, &name));
    KL_TRY(kl_sql__need_end(p));
    KL_TRY(kl_sql__known_table(p, &name, &t));
    KL_TRY(kl_auth_may_read(p->ctx->session->role, t, p->err));
    kl_sql__start_plan(p, KL_PLAN_SHOW_STATS);
    kl_sql__plan_set_table(p->plan, t);
    return KL_OK;
}

enum kl_rc kl_sql__parse_show(struct kl_parser *p) {
    if (kl_sql__take(p, "namespaces")) {
        return listing(p, "SELECT * FROM system.namespaces ORDER BY namespace_id");
    }
    if (kl_sql__take(p, "storages")) {
        return listing(p, "SELECT * FROM system.storages ORDER BY storage_id");
    }
    if (kl_sql__take(p, "tables")) {
        return show_tables(p);
    }
    if (kl_sql__take(p, "stats")) {
        return show_stats(p);
    }
    if (kl_sql__take(p, "columns")) {
        KL_TRY(kl_auth_may(p->ctx->session->role, KL_MAY_SHOW_COLUMNS, p->err));
        return kl_sql__unavailable(p->err, "SHOW COLUMNS");
    }
    if (kl_sql__take(p, "all")) {
        KL_TRY(kl_auth_may(p->ctx->session->role, KL_MAY_SHOW_ALL, p->err));
        return kl_sql__unavailable(p->err, "SHOW ALL");
    }
    if (kl_sql__take(p, "manifest")) {
        return kl_sql__unavailable(p->err, "SHOW MANIFEST");
    }
    if (kl_sql__take(p, "export")) {
        return kl_sql__unavailable(p->err, "SHOW EXPORT");
    }
    if (p->tok.kind == KL_TOK_END) {
        return kl_sql__syntax_error(p);
    }
    return kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_sql__here(p),
        "SHOW is available for NAMESPACES, TABLES [IN namespace], STORAGES and STATS FOR TABLE");
}

enum kl_rc kl_sql__parse_describe(struct kl_parser *p) {
    struct kl_table_name name;
    struct kl_table *t;
    struct kl_parser before = *p;
    kl_sql__start_plan(p, KL_PLAN_DESCRIBE);
    if (kl_sql__take(p, "table") && (p->tok.kind == KL_TOK_END || p->tok.punct == '.')) {
        *p = before; /* a table of that name */
    }
    KL_TRY(kl_sql__take_table(p, &name));
    if (kl_sql__take(p, "history")) {
        return kl_sql__unavailable(p->err, "DESCRIBE TABLE ... HISTORY");
    }
    KL_TRY(kl_sql__need_end(p));
    KL_TRY(kl_sql__known_table(p, &name, &t));
    kl_sql__plan_set_table(p->plan, t);
    return KL_OK;
}

enum kl_rc kl_sql__parse_kill(struct kl_parser *p) {
    if (kl_sql__take(p, "job")) {
        KL_TRY(kl_auth_may(p->ctx->session->role, KL_MAY_JOBS, p->err));
        return kl_sql__unavailable(p->err, "KILL JOB");
    }
    KL_TRY(kl_sql__need(p, "live query"));
    KL_TRY(kl_auth_may(p->ctx->session->role, KL_MAY_KILL_LIVE, p->err));
    kl_sql__start_plan(p, KL_PLAN_KILL_LIVE);
    if (p->tok.kind == KL_TOK_STRING || p->tok.kind == KL_TOK_IDENT) {
        KL_TRY(kl_sql__take_text(p, &p->plan->name));
        return kl_sql__need_end(p);
    }
    /* A bare id holds hyphens, so it is the rest of the statement. */
    const char *from = p->tok.text.ptr, *to = from;
    for (; p->tok.kind != KL_TOK_END && p->tok.punct != ';'; kl_sql__advance(p)) {
        to = p->tok.text.ptr + p->tok.text.len;
    }
    if (from == to) {
        return kl_sql__syntax_error(p);
    }
    KL_TRY(kl_sql__plan_dup(p->plan, kl_slice(from, (size_t)(to - from)), &p->plan->name, p->err));
    return kl_sql__need_end(p);
}
