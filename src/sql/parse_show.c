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

/* A listing of what stands in sql, which ends with a NUL then. Frees it. */
static enum kl_rc listing_of(struct kl_parser *p, struct kl_buf *sql) {
    kl_buf_u8(sql, 0);
    enum kl_rc rc = sql->failed ? kl_sql__no_room(p->err) : listing(p, sql->data);
    kl_buf_deinit(sql);
    return rc;
}

/* A name of the catalog as a literal. It has no quotes in it, but let that not be what safety rests
 * on. */
static void put_text(struct kl_buf *sql, struct kl_slice s) {
    struct kl_val v = kl_val_text(s);
    kl_val_to_sql(&v, sql);
}

static enum kl_rc show_tables(struct kl_parser *p) {
    struct kl_slice ns;
    struct kl_buf sql = {0};
    if (!kl_sql__take(p, "in") && !kl_sql__take(p, "from")) {
        return listing(
            p, "SELECT * FROM system.schemas WHERE is_latest ORDER BY namespace_id, table_name");
    }
    kl_sql__take(p, "namespace");
    int at = kl_sql__here(p);
    KL_TRY(kl_sql__take_name(p, &ns));
    if (!kl_cat_namespace(p->ctx->cat, ns)) {
        return kl_fail_at(
            p->err, KL_E_NOT_FOUND, at, "Namespace '%.*s' does not exist", KL_FMT(ns));
    }
    kl_buf_puts(&sql, "SELECT * FROM system.schemas WHERE is_latest AND namespace_id = ");
    put_text(&sql, ns);
    kl_buf_puts(&sql, " ORDER BY table_name");
    return listing_of(p, &sql);
}

static enum kl_rc show_indexes(struct kl_parser *p) {
    struct kl_table_name name;
    struct kl_table *t;
    struct kl_buf sql = {0};
    if (!kl_sql__take(p, "from") && !kl_sql__take(p, "on") && !kl_sql__take(p, "in")) {
        return listing(
            p, "SELECT * FROM system.indexes ORDER BY namespace_id, table_name, index_name");
    }
    kl_sql__take(p, "table");
    KL_TRY(kl_sql__take_table(p, &name));
    KL_TRY(kl_sql__known_table(p, &name, &t));
    kl_buf_puts(&sql, "SELECT * FROM system.indexes WHERE namespace_id = ");
    put_text(&sql, name.ns);
    kl_buf_puts(&sql, " AND table_name = ");
    put_text(&sql, name.name);
    kl_buf_puts(&sql, " ORDER BY index_name");
    return listing_of(p, &sql);
}

static enum kl_rc show_stats(struct kl_parser *p) {
    struct kl_table_name name;
    struct kl_table *t;
    KL_TRY(kl_sql__need(p, "for table"));
    KL_TRY(kl_sql__take_table(p, &name));
    KL_TRY(kl_sql__need_end(p));
    KL_TRY(kl_sql__known_table(p, &name, &t));
    KL_TRY(kl_auth_may_read(p->ctx->session->role, t, p->err));
    KL_TRY(kl_sql__need_table(p, t, name.position));
    kl_sql__start_plan(p, KL_PLAN_SHOW_STATS);
    kl_sql__plan_set_table(p->plan, t);
    return KL_OK;
}

/* SHOW COLUMNS FROM t [FROM ns]: DESCRIBE in another dialect. */
static enum kl_rc show_columns(struct kl_parser *p) {
    struct kl_table_name name;
    struct kl_table *t;
    KL_TRY(kl_auth_may(p->ctx->session->role, KL_MAY_SHOW_COLUMNS, p->err));
    if (!kl_sql__take(p, "from") && !kl_sql__take(p, "in")) {
        return kl_sql__syntax_error(p);
    }
    KL_TRY(kl_sql__take_table(p, &name));
    if (kl_sql__take(p, "from") || kl_sql__take(p, "in")) {
        KL_TRY(kl_sql__take_name(p, &name.ns));
    }
    KL_TRY(kl_sql__need_end(p));
    KL_TRY(kl_sql__known_table(p, &name, &t));
    kl_sql__start_plan(p, KL_PLAN_DESCRIBE);
    kl_sql__plan_set_table(p->plan, t);
    return KL_OK;
}

/* One row: the name of the relation and the statement that makes it. Secondary indexes have
 * statements of their own: they follow, one a line. */
static enum kl_rc show_create(struct kl_parser *p) {
    struct kl_table_name name;
    struct kl_table *t;
    struct kl_buf sql = {0}, ddl = {0};
    bool view = kl_sql__take(p, "view");
    if (!view && !kl_sql__take(p, "table")) {
        return kl_sql__syntax_error(p);
    }
    if (p->ctx->session->role < KL_ROLE_SERVICE) { /* conditions and queries name other things */
        return kl_fail(
            p->err, KL_E_PERMISSION_DENIED, "Insufficient privileges for SHOW CREATE TABLE");
    }
    KL_TRY(kl_sql__take_table(p, &name));
    KL_TRY(kl_sql__known_table(p, &name, &t));
    if (t->type == KL_TABLE_SYSTEM) {
        return kl_fail_at(p->err, KL_E_EXEC, name.position,
            "'%.*s' is a system relation: no statement makes it", KL_FMT(t->qualified));
    }
    kl_sql__print_create(t, &ddl);
    kl_buf_puts(&sql, "SELECT ");
    put_text(&sql, t->qualified);
    kl_buf_puts(&sql, " AS table_name, ");
    put_text(&sql, kl_buf_view(&ddl));
    kl_buf_puts(&sql, " AS create_statement");
    sql.failed |= ddl.failed;
    kl_buf_deinit(&ddl);
    return listing_of(p, &sql);
}

/* SHOW of a setting that has one value here, by PostgreSQL's names; KL_E_AGAIN: none of them. */
static enum kl_rc show_setting(struct kl_parser *p) {
    static const struct {
        const char *words, *name, *value;
    } known[] = {{"timezone", "TimeZone", "UTC"}, {"time zone", "TimeZone", "UTC"},
        {"client_encoding", "client_encoding", "UTF8"},
        {"server_encoding", "server_encoding", "UTF8"}, {"datestyle", "DateStyle", "ISO, MDY"},
        {"integer_datetimes", "integer_datetimes", "on"},
        {"standard_conforming_strings", "standard_conforming_strings", "on"},
        {"transaction_isolation", "transaction_isolation", "serializable"},
        {"transaction isolation level", "transaction_isolation", "serializable"},
        {"default_transaction_isolation", "default_transaction_isolation", "serializable"},
        {"search_path", "search_path", NULL}, {"server_version", "server_version", KL_VERSION}};
    for (size_t i = 0; i < KL_LEN(known); i++) {
        if (kl_sql__take(p, known[i].words)) {
            struct kl_buf sql = {0};
            kl_buf_puts(&sql, "SELECT ");
            put_text(&sql, known[i].value ? kl_slice_str(known[i].value) : p->ctx->session->ns);
            kl_buf_printf(&sql, " AS \"%s\"", known[i].name);
            return listing_of(p, &sql);
        }
    }
    return KL_E_AGAIN;
}

static enum kl_rc show_other(struct kl_parser *p) {
    if (kl_sql__take(p, "all")) {
        KL_TRY(kl_auth_may(p->ctx->session->role, KL_MAY_SHOW_ALL, p->err));
        return listing(
            p, "SELECT name, value AS setting, description FROM system.settings ORDER BY name");
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
    enum kl_rc rc = show_setting(p);
    if (rc != KL_E_AGAIN) {
        return rc;
    }
    return kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_sql__here(p),
        "SHOW is available for NAMESPACES, TABLES [IN namespace], INDEXES [FROM table], COLUMNS "
        "FROM table, CREATE TABLE, STORAGES, STATS FOR TABLE and ALL");
}

enum kl_rc kl_sql__parse_show(struct kl_parser *p) {
    if (kl_sql__take(p, "namespaces") || kl_sql__take(p, "schemas") ||
        kl_sql__take(p, "databases")) {
        return listing(p, "SELECT * FROM system.namespaces ORDER BY namespace_id");
    }
    if (kl_sql__take(p, "storages")) {
        return listing(p, "SELECT * FROM system.storages ORDER BY storage_id");
    }
    if (kl_sql__take(p, "tables")) {
        return show_tables(p);
    }
    if (kl_sql__take(p, "indexes") || kl_sql__take(p, "index")) {
        return show_indexes(p);
    }
    if (kl_sql__take(p, "stats")) {
        return show_stats(p);
    }
    if (kl_sql__take(p, "columns")) {
        return show_columns(p);
    }
    return kl_sql__take(p, "create") ? show_create(p) : show_other(p);
}

/* TABLE or VIEW may stand before the name; a table may be called that too. */
enum kl_rc kl_sql__parse_describe(struct kl_parser *p) {
    struct kl_table_name name;
    struct kl_table *t;
    struct kl_parser before = *p;
    kl_sql__start_plan(p, KL_PLAN_DESCRIBE);
    if ((kl_sql__take(p, "table") || kl_sql__take(p, "view")) &&
        (p->tok.kind == KL_TOK_END || p->tok.punct != 0)) {
        p->scan = before.scan;
        p->tok = before.tok;
    }
    KL_TRY(kl_sql__take_table(p, &name));
    if (kl_sql__take(p, "history")) {
        kl_sql__start_plan(p, KL_PLAN_DESCRIBE_HISTORY);
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
