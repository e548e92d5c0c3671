/* Statements of KalamDB's own grammar around PostgreSQL's: transactions, SET, indexes, constraints,
 * views, CREATE TABLE AS, every ALTER, comments, storages, listings. */
#include "test_plan_support.h"

static struct kl_bound bound;
static struct kl_plan *plan(const char *sql) {
    struct kl_sql_ctx ctx = db_ctx();
    kl_bound_release(&bound);
    if (kl_sql_bind(&ctx, kl_slice_str(sql), NULL, 0, &db.arena, &bound, &db.err) != KL_OK) {
        fail_msg("%s: %s", sql, db.err.msg);
    }
    return bound.plan;
}

static void is_(struct kl_slice s, const char *want, int line) {
    if (!kl_slice_eq_str(s, want)) {
        fail_msg("line %d: want '%s', got '%.*s'", line, want, KL_FMT(s));
    }
}
#define IS(s, want) is_(s, want, __LINE__)

/* The hint of the last error. */
#define HINT(part)                                                                                 \
    do {                                                                                           \
        if (!strstr(db.err.hint, part)) {                                                          \
            fail_msg("want the hint \"%s\", got \"%s\"", part, db.err.hint);                       \
        }                                                                                          \
    } while (0)

static struct kl_table *table(const char *ns, const char *name) {
    struct kl_table *t = kl_cat_table(db.cat, kl_slice_str(ns), kl_slice_str(name));
    assert_non_null(t);
    return t;
}

/* ---- transactions and settings ---- */
static void transactions(void **state) {
    static const char *const begins[] = {"BEGIN", "begin ;", "BEGIN WORK", "BEGIN TRANSACTION",
        "START TRANSACTION", "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "BEGIN ISOLATION LEVEL REPEATABLE READ, READ WRITE", "BEGIN READ ONLY READ WRITE",
        "START /* x */ TRANSACTION ISOLATION LEVEL READ COMMITTED, NOT DEFERRABLE;;",
        "BEGIN ISOLATION LEVEL READ UNCOMMITTED DEFERRABLE"};
    static const char *const commits[] = {"COMMIT", "COMMIT WORK", "COMMIT TRANSACTION", "END",
        "END TRANSACTION;", "COMMIT AND NO CHAIN"};
    static const char *const rollbacks[] = {
        "ROLLBACK", "ABORT", "rollback work", "ABORT TRANSACTION AND NO CHAIN"};
    db_as("u", KL_ROLE_USER);
    for (size_t i = 0; i < KL_LEN(begins); i++) {
        struct kl_plan *p = plan(begins[i]);
        assert_int_equal(p->kind, KL_PLAN_BEGIN);
        assert_false(p->read_only || kl_plan_is_write(p));
    }
    assert_true(plan("START TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE")->read_only);
    for (size_t i = 0; i < KL_LEN(commits); i++) {
        assert_int_equal(plan(commits[i])->kind, KL_PLAN_COMMIT);
    }
    for (size_t i = 0; i < KL_LEN(rollbacks); i++) {
        assert_int_equal(plan(rollbacks[i])->kind, KL_PLAN_ROLLBACK);
    }
    FAILS_AT("BEGIN ISOLATION LEVEL CHAOS", KL_E_INVALID_SQL, "at or near \"CHAOS\"", 23);
    FAILS_AT("BEGIN IMMEDIATE", KL_E_INVALID_SQL, "at or near \"IMMEDIATE\"", 7);
    FAILS_AT("START", KL_E_INVALID_SQL, "end of input", 6);
    FAILS_AT("COMMIT 5", KL_E_INVALID_SQL, "at or near \"5\"", 8);
    FAILS_AT("BEGIN READ ONLY,", KL_E_INVALID_SQL, "end of input", 17);
    FAILS("ROLLBACK TO SAVEPOINT a", KL_E_UNSUPPORTED, "ROLLBACK TO SAVEPOINT is not available");
    FAILS("COMMIT AND CHAIN", KL_E_UNSUPPORTED, "COMMIT AND CHAIN is not available");
    FAILS_AT("EXECUTE AS USER 'u' (BEGIN)", KL_E_INVALID_SQL, "cannot wrap begin", 22);
    FAILS("EXECUTE AS USER 'u' (COMMIT)", KL_E_INVALID_SQL, "cannot wrap commit");
    FAILS("ROLLBACK PREPARED 'x'", KL_E_UNSUPPORTED, "ROLLBACK PREPARED is not available");
}

static void timeout_is(const char *sql, const char *ms, int line) {
    struct kl_plan *p = plan(sql);
    assert_int_equal(p->kind, KL_PLAN_SET);
    is_(p->name, "statement_timeout", line);
    is_(p->text, ms, line);
}
#define TIMEOUT(sql, ms) timeout_is(sql, ms, __LINE__)

static void settings(void **state) {
    TIMEOUT("SET statement_timeout = 1500", "1500");
    TIMEOUT("SET SESSION Statement_Timeout TO '5s'", "5000");
    TIMEOUT("SET statement_timeout = ' 2 min '", "120000");
    TIMEOUT("SET statement_timeout = '1us';", "1");
    TIMEOUT("SET statement_timeout = '0'", "0");
    TIMEOUT("SET statement_timeout = '24d'", "2073600000");
    TIMEOUT("SET statement_timeout = 2147483647", "2147483647");
    TIMEOUT("SET statement_timeout = DEFAULT", "");
    TIMEOUT("RESET statement_timeout", "");
    TIMEOUT("RESET ALL", "");
    FAILS_AT("SET statement_timeout = 2147483648", KL_E_INVALID_SQL, "at most 2147483647 ms", 25);
    FAILS("SET statement_timeout = -1", KL_E_INVALID_SQL, "got '-1'");
    FAILS("SET statement_timeout = '5 weeks'", KL_E_INVALID_SQL, "got '5 weeks'");
    FAILS("SET statement_timeout = ''", KL_E_INVALID_SQL, "got ''");
    FAILS("SET statement_timeout = '25d'", KL_E_INVALID_SQL, "");
    FAILS("SET statement_timeout = '99999999999999999999s'", KL_E_INVALID_SQL, "");
    FAILS("SET LOCAL statement_timeout = 5", KL_E_UNSUPPORTED, "SET LOCAL statement_timeout");
    static const char *const fine[] = {"SET client_encoding = 'UTF8'", "SET NAMES 'utf-8'",
        "SET client_encoding TO UTF8", "SET TIME ZONE 'UTC'", "SET timezone = GMT",
        "SET standard_conforming_strings = on", "SET DateStyle = ISO, MDY", "RESET timezone",
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET TIME ZONE DEFAULT",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET default_transaction_isolation = 'read committed'"};
    for (size_t i = 0; i < KL_LEN(fine); i++) {
        assert_int_equal(plan(fine[i])->kind, KL_PLAN_SET);
    }
    FAILS("SET client_encoding = 'LATIN1'", KL_E_UNSUPPORTED, "client_encoding is always utf8");
    FAILS("SET TIME ZONE 'Europe/Vienna'", KL_E_UNSUPPORTED, "timezone is always utc");
    FAILS_AT("SET work_mem = '4MB'", KL_E_UNSUPPORTED, "SET work_mem is not available", 5);
    HINT("statement_timeout");
    FAILS("SET search_path TO app, public", KL_E_UNSUPPORTED, "SET search_path is not available");
    HINT("USE namespace");
    FAILS("RESET search_path", KL_E_UNSUPPORTED, "search_path");
    FAILS("SET a.b.c = 1", KL_E_UNSUPPORTED, "SET a.b.c is not available");
    FAILS("SET TRANSACTION READ ONLY", KL_E_UNSUPPORTED, "say it in BEGIN");
    FAILS_AT("SET x", KL_E_INVALID_SQL, "end of input", 6);
    FAILS_AT("SET x =", KL_E_INVALID_SQL, "end of input", 8);
    FAILS_AT("SET statement_timeout = 5 6", KL_E_INVALID_SQL, "at or near \"6\"", 27);
    db_as("s", KL_ROLE_SERVICE);
    FAILS("SET statement_timeout = 5", KL_E_PERMISSION_DENIED, "required for SET commands");
    FAILS("RESET ALL", KL_E_PERMISSION_DENIED, "required for SET commands");
}

/* ---- indexes ---- */
static void make_tables(void) {
    RUN("CREATE NAMESPACE app");
    RUN("CREATE USER TABLE app.m (id BIGINT PRIMARY KEY, room TEXT, n INT NOT NULL, at TIMESTAMP "
        "DEFAULT NOW(), j JSON, v EMBEDDING(3))");
    RUN("CREATE STREAM TABLE app.s (k TEXT) RETENTION 5");
    RUN("CREATE VIEW app.v (x, y) AS SELECT id, room FROM app.m WHERE n > 3");
}

static void indexes(void **state) {
    make_tables();
    struct kl_plan *p = plan("CREATE INDEX m_room ON app.m (room)");
    assert_int_equal(p->kind, KL_PLAN_CREATE_INDEX);
    IS(p->index->name, "m_room");
    IS(p->name, "app.m");
    assert_false(p->index->unique || p->index->constraint || p->if_not_exists);
    assert_ptr_equal(p->table, table("app", "m"));
    p = plan("create unique index concurrently if not exists \"Big\" on only app.m using btree "
             "(room asc nulls last, n,);");
    assert_true(p->index->unique && p->if_not_exists && !p->index->constraint);
    IS(p->index->name, "big");
    assert_int_equal(p->index->n_cols, 2);
    IS(p->index->cols[1], "n");
    p = plan("CREATE INDEX ON app.m (at DESC)");
    assert_int_equal(p->index->name.len, 0);
    plan("CREATE INDEX ON app.m (at DESC NULLS FIRST, n DESC)");
    plan("CREATE INDEX on_ ON app.m (\"at\")");
    FAILS_AT("CREATE INDEX ON app.m (n, at DESC)", KL_E_UNSUPPORTED, "ASC and DESC", 23);
    FAILS("CREATE INDEX ON app.m (at DESC NULLS LAST)", KL_E_UNSUPPORTED, "DESC NULLS LAST");
    FAILS("CREATE INDEX ON app.m (at NULLS FIRST)", KL_E_UNSUPPORTED, "NULLS FIRST");
    HINT("leave the words out");
    FAILS_AT(
        "CREATE INDEX ON app.m (lower(room))", KL_E_UNSUPPORTED, "an index on an expression", 24);
    FAILS("CREATE INDEX ON app.m ((n + 1))", KL_E_UNSUPPORTED, "an index on an expression");
    FAILS("CREATE INDEX ON app.m (room COLLATE \"C\")", KL_E_UNSUPPORTED, "COLLATE");
    FAILS("CREATE INDEX ON app.m (room text_pattern_ops)", KL_E_UNSUPPORTED, "operator class");
    FAILS("CREATE INDEX ON app.m (room) WHERE n > 1", KL_E_UNSUPPORTED, "a partial index");
    FAILS("CREATE INDEX ON app.m (room) INCLUDE (n)", KL_E_UNSUPPORTED, "INCLUDE");
    FAILS("CREATE INDEX ON app.m (room) WITH (fillfactor = 70)", KL_E_UNSUPPORTED, "WITH");
    FAILS("CREATE UNIQUE INDEX ON app.m (room) NULLS NOT DISTINCT", KL_E_UNSUPPORTED, "NULLS NOT");
    FAILS("CREATE INDEX ON app.m USING gin (room)", KL_E_UNSUPPORTED, "other than btree");
    FAILS("CREATE INDEX ON app.m USING hnsw (v)", KL_E_UNSUPPORTED, "a vector index");
    HINT("COSINE_DISTANCE");
    FAILS_AT("CREATE INDEX ON app.m (nope)", KL_E_EXEC, "column \"nope\" does not exist", 24);
    FAILS("CREATE INDEX ON app.m (_seq)", KL_E_INVALID_SQL, "system column '_seq'");
    FAILS("CREATE INDEX ON app.m (room, room)", KL_E_INVALID_SQL, "is in the index twice");
    FAILS_AT("CREATE INDEX ON app.m (room, j)", KL_E_TYPE, "'j' of type JSON cannot be part", 30);
    FAILS("CREATE INDEX ON app.m ()", KL_E_INVALID_SQL, "at or near \")\"");
    FAILS("CREATE INDEX ON app.m (a,b,c,d,e,f,g,h,i)", KL_E_INVALID_SQL, "at most 8 columns");
    FAILS("CREATE INDEX app.i ON app.m (room)", KL_E_INVALID_SQL, "at or near \".\"");
    HINT("namespace of its table");
    FAILS("CREATE INDEX _i ON app.m (room)", KL_E_INVALID_SQL, "underscore");
    FAILS("CREATE INDEX IF NOT EXISTS ON app.m (room)", KL_E_INVALID_SQL, "");
    FAILS("CREATE INDEX i ON app.nope (room)", KL_E_NOT_FOUND, "Table not found: app.nope");
    FAILS("CREATE INDEX i ON app.s (k)", KL_E_UNSUPPORTED, "STREAM");
    FAILS("CREATE INDEX i ON app.v (x)", KL_E_EXEC, "'app.v' is a view, not a table");
    FAILS("CREATE INDEX i ON system.users (role)", KL_E_PERMISSION_DENIED, "Insufficient");
    RUN("CREATE UNIQUE INDEX m_n ON app.m (n)");
    assert_true(table("app", "m")->indexes[0].unique);
    p = plan("DROP INDEX CONCURRENTLY IF EXISTS app.m_n CASCADE");
    assert_int_equal(p->kind, KL_PLAN_DROP_INDEX);
    assert_int_equal(p->index_id, table("app", "m")->indexes[0].id);
    p = plan("DROP INDEX IF EXISTS app.nope");
    assert_null(p->table);
    IS(p->name, "app.nope");
    FAILS_AT("DROP INDEX m_n", KL_E_NOT_FOUND, "index \"default.m_n\" does not exist", 12);
    FAILS("DROP INDEX app.a, app.b", KL_E_UNSUPPORTED, "several indexes");
    RUN("ALTER TABLE app.m ADD CONSTRAINT once UNIQUE (room, n)");
    FAILS("DROP INDEX app.once", KL_E_EXEC, "enforces a UNIQUE constraint of table 'app.m'");
    HINT("ALTER TABLE app.m DROP CONSTRAINT once");
    p = plan("ALTER TABLE app.m DROP CONSTRAINT once");
    assert_int_equal(p->kind, KL_PLAN_DROP_INDEX);
    assert_true(p->index_id > 0 && p->table);
    db_as("u", KL_ROLE_USER);
    FAILS(
        "CREATE INDEX i ON app.nope (x)", KL_E_PERMISSION_DENIED, "privileges to create an index");
    FAILS("DROP INDEX app.m_n", KL_E_PERMISSION_DENIED, "privileges to drop an index");
    db_as("s", KL_ROLE_SERVICE);
    RUN("DROP INDEX app.m_n");
}

/* ---- constraints ---- */
static void constraints(void **state) {
    RUN("CREATE NAMESPACE app");
    struct kl_table_def *d =
        plan("CREATE TABLE app.t (a INT UNIQUE, b TEXT CONSTRAINT bu UNIQUE NOT NULL CHECK (b <> "
             "'') CHECK (length(b) < a), c INT CONSTRAINT pos CHECK (c > 0) DEFAULT 5,"
             " UNIQUE (a, c), CONSTRAINT abc UNIQUE NULLS DISTINCT (b, a, c) NOT DEFERRABLE,"
             " CHECK (a > c OR c IS NULL), PRIMARY KEY (c, a),) WITH (TYPE = 'USER')")
            ->create;
    assert_int_equal(d->n_uniques, 4);
    assert_int_equal(d->uniques[0].name.len, 0);
    IS(d->uniques[0].cols[0], "a");
    IS(d->uniques[1].name, "bu");
    assert_int_equal(d->uniques[2].n_cols, 2);
    IS(d->uniques[3].name, "abc");
    IS(d->uniques[3].cols[1], "a");
    assert_true(d->uniques[3].unique && d->uniques[3].constraint);
    assert_int_equal(d->n_checks, 4);
    IS(d->checks[0].name, "t_b_check");
    IS(d->checks[0].expr, "b <> ''");
    IS(d->checks[1].name, "t_b_check1");
    IS(d->checks[2].name, "pos");
    IS(d->checks[3].name, "t_check");
    IS(d->checks[3].expr, "a > c OR c IS NULL");
    assert_int_equal(d->cols[0].pk_pos, 2);
    assert_int_equal(d->cols[2].pk_pos, 1);
    assert_false(d->cols[0].nullable || d->cols[2].nullable || d->cols[1].nullable);
    RUN("CREATE TABLE app.t (a INT UNIQUE, b TEXT CHECK (b <> `a`::text), unique_ INT, \"check\" "
        "INT)");
    assert_int_equal(table("app", "t")->n_indexes, 1);
    assert_string_equal(table("app", "t")->checks[0].expr, "b <> \"a\"::text");
    FAILS_AT("CREATE TABLE app.x (a INT, CHECK (a >))", KL_E_INVALID_SQL, "syntax error", 38);
    FAILS("CREATE TABLE app.x (a INT CHECK ())", KL_E_INVALID_SQL, "");
    FAILS("CREATE TABLE app.x (a INT CHECK (nope > 1))", KL_E_EXEC, "\"nope\" does not exist");
    FAILS("CREATE TABLE app.x (a INT CHECK (a))", KL_E_TYPE, "CHECK");
    FAILS("CREATE TABLE app.x (a INT CHECK ((SELECT true)))", KL_E_UNSUPPORTED, "CHECK");
    FAILS("CREATE TABLE app.x (a INT CHECK (count(*) > 1))", KL_E_INVALID_SQL, "aggregate");
    FAILS("CREATE TABLE app.x (a INT CHECK (_seq > 1))", KL_E_INVALID_SQL, "_seq");
    FAILS("CREATE TABLE app.x (a INT, CHECK (a > 0) NOT VALID)", KL_E_UNSUPPORTED, "NOT VALID");
    FAILS("CREATE TABLE app.x (a INT UNIQUE DEFERRABLE)", KL_E_UNSUPPORTED, "deferred");
    FAILS("CREATE TABLE app.x (a INT, UNIQUE NULLS NOT DISTINCT (a))", KL_E_UNSUPPORTED, "NULLS");
    FAILS_AT("CREATE TABLE app.x (a INT, UNIQUE (b))", KL_E_INVALID_SQL,
        "UNIQUE column 'b' not found in column list", 36);
    FAILS("CREATE TABLE app.x (j JSON UNIQUE)", KL_E_TYPE, "'j' of type JSON");
    FAILS("CREATE STREAM TABLE app.x (a INT UNIQUE) RETENTION 5", KL_E_INVALID_SQL, "STREAM");
    FAILS("CREATE TABLE app.x (a INT CONSTRAINT c CHECK (a > 1), CONSTRAINT c CHECK (a > 2))",
        KL_E_INVALID_SQL, "constraint \"c\" is given twice");
    FAILS("CREATE TABLE app.x (a INT CONSTRAINT c CHECK (a > 1), CONSTRAINT c UNIQUE (a))",
        KL_E_INVALID_SQL, "constraint \"c\" is given twice");
    FAILS_AT("CREATE TABLE app.x (a INT REFERENCES y (id))", KL_E_UNSUPPORTED, "REFERENCES", 27);
    HINT("not enforced");
    FAILS("CREATE TABLE app.x (a INT, FOREIGN KEY (a) REFERENCES y)", KL_E_UNSUPPORTED, "FOREIGN");
    FAILS("CREATE TABLE app.x (a INT, EXCLUDE USING gist (a WITH =))", KL_E_UNSUPPORTED, "EXCLUDE");
    FAILS(
        "CREATE TABLE app.x (a INT GENERATED ALWAYS AS (1) STORED)", KL_E_UNSUPPORTED, "generated");
    FAILS("CREATE TABLE app.x (LIKE app.t)", KL_E_UNSUPPORTED, "LIKE");
    FAILS("CREATE TABLE app.x (a INT, CONSTRAINT x)", KL_E_INVALID_SQL, "at or near \")\"");
    FAILS("CREATE TABLE app.x (a INT,, b INT)", KL_E_INVALID_SQL, "at or near \",\"");
    FAILS("CREATE TABLE app.x (a INT, PRIMARY KEY (a, a))", KL_E_INVALID_SQL, "twice");
    FAILS("CREATE TABLE app.x (a INT, b INT, c INT, d INT, e INT, f INT, g INT, h INT, i INT, "
          "PRIMARY KEY (a, b, c, d, e, f, g, h, i))",
        KL_E_INVALID_SQL, "at most 8 columns");
}

static void default_is(const char *def, const char *want, int line) {
    char sql[300];
    struct kl_buf text = {0};
    snprintf(sql, sizeof(sql), "CREATE TABLE app.x (%s CHECK (true), y INT)", def);
    kl_default_text(&plan(sql)->create->cols[0].def, &text);
    is_(kl_buf_view(&text), want, line);
    kl_buf_deinit(&text);
}
#define DEFAULT(def, want) default_is(def, want, __LINE__)

static void defaults(void **state) {
    RUN("CREATE NAMESPACE app");
    DEFAULT("a INT DEFAULT 1 + 2 * 3", "7");
    DEFAULT("a INT DEFAULT (1 + 2) * 3 NOT NULL", "9");
    DEFAULT("a TEXT DEFAULT 'a' || 'b' NULL", "'ab'");
    DEFAULT("a TEXT DEFAULT lower('AbC') UNIQUE", "'abc'");
    DEFAULT("a TEXT DEFAULT 'x'::text", "'x'");
    DEFAULT("a TEXT DEFAULT CASE WHEN NOT true THEN NULL ELSE 'n' END", "'n'");
    DEFAULT("a JSON DEFAULT '{\"a\": [1, 2]}'::jsonb NOT NULL", "CAST('{\"a\": [1, 2]}' AS JSON)");
    DEFAULT("a DATE DEFAULT DATE '2026-02-03'", "DATE '2026-02-03'");
    DEFAULT("a DECIMAL(6,2) DEFAULT 10 / 4.0", "2.50");
    DEFAULT("a BOOLEAN DEFAULT (NOT true)", "FALSE");
    DEFAULT("a DATE DEFAULT CURRENT_DATE", "NOW()");
    DEFAULT("a TIMESTAMP DEFAULT (now())", "NOW()");
    DEFAULT("a TIMESTAMP DEFAULT LOCALTIMESTAMP", "NOW()");
    DEFAULT("a TEXT DEFAULT CAST(5 AS TEXT)", "'5'");
    FAILS_AT("CREATE TABLE app.x (y INT, a INT DEFAULT y + 1)", KL_E_UNSUPPORTED,
        "DEFAULT of column 'a': only constants", 42);
    FAILS("CREATE TABLE app.x (a TIMESTAMP DEFAULT now() + INTERVAL '1 day')", KL_E_UNSUPPORTED,
        "only constants");
    FAILS("CREATE TABLE app.x (a INT DEFAULT (SELECT 1))", KL_E_UNSUPPORTED, "only constants");
    FAILS("CREATE TABLE app.x (a DOUBLE DEFAULT random())", KL_E_UNSUPPORTED, "only constants");
    FAILS("CREATE TABLE app.x (a INT DEFAULT nope(1))", KL_E_UNSUPPORTED, "only constants");
    FAILS("CREATE TABLE app.x (a UUID DEFAULT gen_random_uuid())", KL_E_UNSUPPORTED, "only");
    HINT("UUID_V7()");
    FAILS("CREATE TABLE app.x (a INT DEFAULT 1 / 0)", KL_E_EXEC, "division by zero");
    FAILS("CREATE TABLE app.x (a SMALLINT DEFAULT 30000 + 30000)", KL_E_TYPE, "DEFAULT of column");
    FAILS_AT("CREATE TABLE app.x (a INT DEFAULT 1 +)", KL_E_INVALID_SQL, "syntax error", 38);
    FAILS("CREATE TABLE app.x (a INT DEFAULT )", KL_E_INVALID_SQL, "at or near \")\"");
    FAILS("CREATE TABLE app.x (a INT DEFAULT 1; DROP TABLE y)", KL_E_INVALID_SQL, "");
    FAILS("CREATE TABLE app.x (a INT DEFAULT 1 FROM system.users)", KL_E_INVALID_SQL, "");
}

/* ---- views, CREATE TABLE AS ---- */
static void views(void **state) {
    make_tables();
    db.executor = KL_EXECUTOR_AUTO;
    struct kl_table *v = table("app", "v");
    assert_int_equal(v->type, KL_TABLE_VIEW);
    assert_string_equal(v->view_sql, "SELECT id, room FROM app.m WHERE n > 3");
    assert_string_equal(v->view_ns, "default");
    struct kl_plan *p =
        plan("CREATE OR REPLACE VIEW app.w AS (SELECT `id`, 1 AS one FROM app.m) ;");
    assert_true(p->replace);
    IS(p->create->view_sql, "(SELECT \"id\", 1 AS one FROM app.m)");
    assert_int_equal(p->query->kind, KL_PLAN_SELECT);
    assert_int_equal(p->create->type, KL_TABLE_VIEW);
    IS(p->name, "app.w");
    plan("CREATE VIEW app.w WITH (security_invoker = true) AS VALUES (1, 'x')");
    plan("CREATE VIEW app.w AS TABLE app.m");
    FAILS_AT(
        "CREATE VIEW app.w AS SELECT nope FROM app.m", KL_E_EXEC, "\"nope\" does not exist", 29);
    FAILS_AT("CREATE VIEW app.w AS SELECT 1 FROM app.nope", KL_E_NOT_FOUND, "app.nope", 36);
    FAILS_AT("CREATE VIEW app.w AS SELECT 1 +", KL_E_INVALID_SQL, "syntax error", 32);
    FAILS_AT("CREATE VIEW app.w AS DELETE FROM app.m", KL_E_INVALID_SQL, "\"DELETE\"", 22);
    FAILS("CREATE VIEW app.w AS SELECT $1", KL_E_INVALID_PARAMETER, "");
    FAILS("CREATE VIEW app.w AS SELECT 1 AS a; DROP TABLE app.m", KL_E_INVALID_SQL, "\"DROP\"");
    FAILS("CREATE VIEW app.w AS", KL_E_INVALID_SQL, "end of input");
    FAILS("CREATE VIEW app.w", KL_E_INVALID_SQL, "end of input");
    FAILS("CREATE VIEW app.w (a, A) AS SELECT 1, 2", KL_E_INVALID_SQL, "more than once");
    FAILS("CREATE VIEW app.w (a, b) AS SELECT 1", KL_E_INVALID_SQL, "more column names than");
    FAILS("CREATE VIEW app.w (_a) AS SELECT 1", KL_E_INVALID_SQL, "underscore");
    assert_true(plan("CREATE VIEW IF NOT EXISTS app.v AS SELECT 1")->if_not_exists);
    FAILS("CREATE OR REPLACE VIEW IF NOT EXISTS app.v AS SELECT 1", KL_E_INVALID_SQL, "\"NOT\"");
    FAILS("CREATE VIEW app.w AS SELECT 1 WITH CASCADED CHECK OPTION", KL_E_UNSUPPORTED,
        "CHECK OPTION");
    FAILS("CREATE VIEW app.w WITH (security_barrier) AS SELECT 1", KL_E_UNSUPPORTED, "options");
    FAILS("CREATE MATERIALIZED VIEW app.w AS SELECT 1", KL_E_UNSUPPORTED,
        "MATERIALIZED VIEWS are not supported yet");
    FAILS("CREATE VIEW system.w AS SELECT 1", KL_E_EXEC, "system namespace");
    FAILS("CREATE VIEW app.m AS SELECT 1", KL_E_EXISTS, "Table app.m already exists");
    FAILS("DROP VIEW app.m", KL_E_EXEC, "'app.m' is a table, not a view");
    HINT("Use DROP TABLE");
    FAILS("DROP TABLE app.v", KL_E_EXEC, "'app.v' is a view, not a table");
    HINT("DROP VIEW");
    FAILS("ALTER TABLE app.v ADD COLUMN a INT", KL_E_EXEC, "'app.v' is a view");
    FAILS_AT("DROP VIEW app.nope", KL_E_NOT_FOUND, "View 'app.nope' does not exist", 11);
    assert_null(plan("DROP VIEW IF EXISTS app.nope")->table);
    db_as("s", KL_ROLE_SERVICE);
    FAILS("CREATE VIEW app.w AS SELECT 1", KL_E_PERMISSION_DENIED,
        "Only DBA or System roles can create views");
    FAILS("DROP VIEW IF EXISTS app.v", KL_E_PERMISSION_DENIED, "can drop views");
    FAILS("CREATE MATERIALIZED VIEW x AS SELECT 1", KL_E_PERMISSION_DENIED, "can create views");
    db_as("root", KL_ROLE_DBA);
    RUN("DROP VIEW app.v");
}

static void table_as(void **state) {
    make_tables();
    db.executor = KL_EXECUTOR_AUTO;
    struct kl_plan *p = plan("CREATE TABLE app.c AS SELECT id, room FROM app.m");
    assert_int_equal(p->kind, KL_PLAN_CREATE_TABLE_AS);
    assert_true(p->with_data);
    assert_int_equal(p->create->type, KL_TABLE_SHARED);
    assert_int_equal(p->create->options.access, KL_ACCESS_PRIVATE);
    assert_int_equal(p->query->select->n_output, 2);
    p = plan("CREATE USER TABLE IF NOT EXISTS app.c (x, \"Y\") WITH (FLUSH_POLICY = 'rows:10') AS "
             "SELECT id, room FROM app.m WITH NO DATA;");
    assert_false(p->with_data);
    assert_true(p->if_not_exists);
    assert_int_equal(p->n_columns, 2);
    IS(p->columns[1], "y");
    assert_int_equal(p->create->type, KL_TABLE_USER);
    assert_int_equal(p->create->options.flush_rows, 10);
    assert_true(plan("CREATE TABLE app.c (x) AS VALUES (1), (2) WITH DATA")->with_data);
    plan("CREATE TABLE app.c AS (SELECT 1 AS one)");
    FAILS_AT("CREATE TABLE app.c AS SELECT nope FROM app.m", KL_E_EXEC, "\"nope\"", 30);
    FAILS("CREATE TABLE app.c (x, y, z) AS SELECT id, room FROM app.m", KL_E_INVALID_SQL,
        "more column names than columns");
    FAILS("CREATE TABLE app.c (x INT) AS SELECT 1", KL_E_INVALID_SQL, "at or near \"AS\"");
    FAILS("CREATE TABLE app.c AS INSERT INTO app.m (id, n) VALUES (1, 2)", KL_E_INVALID_SQL,
        "INSERT");
    FAILS("CREATE TABLE app.c AS EXECUTE x", KL_E_INVALID_SQL, "EXECUTE");
    FAILS("CREATE STREAM TABLE app.c AS SELECT 1", KL_E_INVALID_SQL, "TTL_SECONDS");
    FAILS("CREATE TABLE app.c", KL_E_INVALID_SQL, "end of input");
    db_as("u", KL_ROLE_USER);
    FAILS("CREATE TABLE app.c AS SELECT 1", KL_E_PERMISSION_DENIED, "create shared tables");
    db_as("s", KL_ROLE_SERVICE);
    FAILS("CREATE TABLE app.c AS SELECT * FROM system.users", KL_E_PERMISSION_DENIED,
        "System tables");
}

/* ---- ALTER, COMMENT ---- */
static struct kl_alter *alter(const char *sql, enum kl_alter_op op) {
    struct kl_plan *p = plan(sql);
    assert_int_equal(p->kind, KL_PLAN_ALTER_TABLE);
    assert_int_equal(p->alter->op, op);
    return p->alter;
}

static void alters(void **state) {
    make_tables();
    struct kl_alter *a;
    alter("ALTER TABLE app.m ALTER COLUMN room SET NOT NULL", KL_ALTER_SET_NOT_NULL);
    alter("ALTER TABLE ONLY app.m ALTER n DROP NOT NULL", KL_ALTER_DROP_NOT_NULL);
    a = alter("ALTER TABLE app.m ALTER COLUMN n SET DEFAULT 2 + 3", KL_ALTER_SET_DEFAULT);
    assert_int_equal(a->def.value.i, 5);
    a = alter("ALTER TABLE app.m ALTER at SET DEFAULT NULL;", KL_ALTER_SET_DEFAULT);
    assert_true(a->def.value.null);
    a = alter("ALTER TABLE app.m ALTER id SET DEFAULT SNOWFLAKE_ID()", KL_ALTER_SET_DEFAULT);
    assert_int_equal(a->def.kind, KL_DEFAULT_SNOWFLAKE);
    alter("ALTER TABLE app.m ALTER COLUMN at DROP DEFAULT", KL_ALTER_DROP_DEFAULT);
    a = alter("ALTER TABLE app.m ALTER COLUMN n TYPE BIGINT", KL_ALTER_TYPE);
    assert_int_equal(a->type.id, KL_T_BIGINT);
    assert_int_equal(a->null, KL_ALTER_NULL_KEEP);
    a = alter("ALTER TABLE app.m ALTER COLUMN n SET DATA TYPE NUMERIC(12, 2)", KL_ALTER_TYPE);
    assert_int_equal(a->type.scale, 2);
    a = alter("ALTER TABLE app.m MODIFY COLUMN Room VARCHAR(20) NOT NULL", KL_ALTER_TYPE);
    IS(a->column, "room");
    assert_int_equal(a->null, KL_ALTER_NULL_NO);
    a = alter("ALTER TABLE app.m MODIFY n BIGINT NULL", KL_ALTER_TYPE);
    assert_int_equal(a->null, KL_ALTER_NULL_YES);
    a = alter("ALTER TABLE app.m ADD CONSTRAINT pos CHECK (n > 0)", KL_ALTER_ADD_CHECK);
    IS(a->new_name, "pos");
    IS(a->check, "n > 0");
    assert_int_equal(
        alter("ALTER TABLE app.m ADD CHECK (n > 0)", KL_ALTER_ADD_CHECK)->new_name.len, 0);
    a = alter("ALTER TABLE app.m RENAME TO other", KL_ALTER_RENAME_TABLE);
    IS(a->new_name, "other");
    a = alter("ALTER TABLE app.m RENAME n TO m", KL_ALTER_RENAME);
    a = alter("ALTER TABLE app.m ADD COLUMN IF NOT EXISTS n INT", KL_ALTER_ADD);
    assert_true(bound.plan->if_not_exists);
    a = alter("ALTER TABLE app.m ADD unique_ INT", KL_ALTER_ADD);
    a = alter("ALTER TABLE app.m DROP COLUMN IF EXISTS nope", KL_ALTER_DROP);
    assert_true(bound.plan->if_exists);
    struct kl_plan *p = plan("ALTER TABLE app.m ADD UNIQUE (room, n)");
    assert_int_equal(p->kind, KL_PLAN_CREATE_INDEX);
    assert_true(p->index->unique && p->index->constraint);
    RUN("ALTER TABLE app.m ADD CONSTRAINT pos CHECK (n > 0)");
    RUN("ALTER TABLE app.m DROP CONSTRAINT pos");
    a = alter("ALTER TABLE app.m DROP CONSTRAINT IF EXISTS pos", KL_ALTER_DROP_CHECK);
    assert_true(bound.plan->if_exists);
    FAILS_AT("ALTER TABLE app.m ALTER COLUMN nope SET NOT NULL", KL_E_NOT_FOUND,
        "Column 'nope' does not exist", 32);
    FAILS_AT("ALTER TABLE app.m RENAME nope TO x", KL_E_NOT_FOUND, "Column 'nope'", 26);
    FAILS("ALTER TABLE app.m ALTER id DROP NOT NULL", KL_E_EXEC,
        "Column 'id' is a PRIMARY KEY and cannot be nullable");
    FAILS("ALTER TABLE app.m MODIFY id INT NULL", KL_E_EXEC, "cannot be nullable");
    FAILS("ALTER TABLE app.m MODIFY _seq INT", KL_E_INVALID_SQL, "Cannot modify column '_seq'");
    FAILS("ALTER TABLE app.m ALTER n TYPE BIGINT USING n::bigint", KL_E_UNSUPPORTED, "USING");
    FAILS("ALTER TABLE app.m ALTER n TYPE SERIAL", KL_E_INVALID_SQL, "SERIAL");
    FAILS("ALTER TABLE app.m ALTER n TYPE WHATEVER", KL_E_INVALID_SQL, "Unsupported data type");
    FAILS("ALTER TABLE app.m ALTER n SET STATISTICS 5", KL_E_UNSUPPORTED,
        "Unsupported ALTER COLUMN operation");
    FAILS("ALTER TABLE app.m ALTER n SET DEFAULT 'x'", KL_E_TYPE, "DEFAULT of column 'n'");
    FAILS("ALTER TABLE app.m ADD CHECK (nope > 0)", KL_E_EXEC, "\"nope\" does not exist");
    FAILS("ALTER TABLE app.m ADD CHECK (n > 0) NOT VALID", KL_E_UNSUPPORTED, "NOT VALID");
    FAILS("ALTER TABLE app.m ADD PRIMARY KEY (n)", KL_E_UNSUPPORTED, "ADD PRIMARY KEY");
    FAILS("ALTER TABLE app.m ADD CONSTRAINT x FOREIGN KEY (n) REFERENCES y", KL_E_UNSUPPORTED,
        "FOREIGN");
    FAILS("ALTER TABLE app.m ADD COLUMN z INT UNIQUE", KL_E_UNSUPPORTED, "ADD COLUMN with UNIQUE");
    HINT("ALTER TABLE app.m ADD UNIQUE");
    FAILS("ALTER TABLE app.m ADD z INT CHECK (z > 1)", KL_E_UNSUPPORTED, "ADD COLUMN with CHECK");
    FAILS("ALTER TABLE app.m DROP CONSTRAINT nope", KL_E_NOT_FOUND, "\"nope\" of table 'app.m'");
    FAILS("ALTER TABLE app.m DROP CONSTRAINT m_pkey", KL_E_UNSUPPORTED, "PRIMARY KEY");
    FAILS("ALTER TABLE app.m RENAME TO app.x", KL_E_INVALID_SQL, "at or near \".\"");
    RUN("ALTER TABLE app.m RENAME TO system_");
    FAILS(
        "ALTER TABLE app.system_ RENAME CONSTRAINT a TO b", KL_E_UNSUPPORTED, "RENAME CONSTRAINT");
    FAILS("ALTER TABLE app.system_ SET (FLUSH_POLICY = 'rows:5')", KL_E_UNSUPPORTED,
        "ALTER TABLE ... SET");
    FAILS("ALTER TABLE app.system_ OWNER TO bob", KL_E_UNSUPPORTED, "OWNER TO");
    FAILS("ALTER TABLE app.system_ DROP VECTOR INDEX v", KL_E_UNSUPPORTED, "a vector index");
    p = plan("ALTER TABLE IF EXISTS app.m ADD a INT");
    assert_true(p->kind == KL_PLAN_ALTER_TABLE && !p->table);
    IS(p->name, "app.m");
    assert_non_null(plan("ALTER TABLE IF EXISTS app.system_ ADD a INT")->table);
    FAILS("ALTER TABLE app.system_ ALTER n SET NOT NULL, ALTER n DROP DEFAULT", KL_E_UNSUPPORTED,
        "Only one ALTER TABLE operation");
}

static void comments(void **state) {
    make_tables();
    RUN("COMMENT ON TABLE app.m IS 'all of it'");
    assert_string_equal(table("app", "m")->comment, "all of it");
    RUN("comment on column app.m.Room is 'where it''s said';");
    assert_string_equal(table("app", "m")->cols[1].comment, "where it's said");
    RUN("COMMENT ON COLUMN kalam.app.m.room IS NULL");
    assert_null(table("app", "m")->cols[1].comment);
    RUN("COMMENT ON VIEW app.v IS 'v'");
    RUN("COMMENT ON TABLE app.m IS ''");
    assert_null(table("app", "m")->comment);
    FAILS("COMMENT ON TABLE app.v IS 'x'", KL_E_EXEC, "'app.v' is a view");
    FAILS("COMMENT ON VIEW app.m IS 'x'", KL_E_EXEC, "'app.m' is a table");
    FAILS_AT("COMMENT ON COLUMN app.m.nope IS 'x'", KL_E_EXEC, "column \"nope\"", 25);
    FAILS("COMMENT ON COLUMN app.m._seq IS 'x'", KL_E_INVALID_SQL, "system column");
    FAILS("COMMENT ON COLUMN room IS 'x'", KL_E_INVALID_SQL, "needs table.column");
    FAILS("COMMENT ON COLUMN x.app.m.room IS 'x'", KL_E_INVALID_SQL, "too many dotted names");
    FAILS("COMMENT ON INDEX x IS 'x'", KL_E_UNSUPPORTED, "COMMENT ON anything but");
    FAILS("COMMENT ON TABLE app.m IS x", KL_E_INVALID_SQL, "at or near \"x\"");
    FAILS("COMMENT ON TABLE app.m", KL_E_INVALID_SQL, "end of input");
    db_as("u", KL_ROLE_USER);
    FAILS("COMMENT ON TABLE app.nope IS 'x'", KL_E_PERMISSION_DENIED, "Insufficient privileges");
    db_as("s", KL_ROLE_SERVICE);
    FAILS("COMMENT ON VIEW app.v IS 'x'", KL_E_PERMISSION_DENIED, "views");
}

/* ---- storages ---- */
static void storages(void **state) {
    struct kl_plan *p = plan("CREATE STORAGE cold-1 TYPE 'S3' NAME 'Cold' DESCRIPTION 'far' BUCKET "
                             "'b' REGION 'eu' CREDENTIALS '{\"key\":\"k\"}'"
                             " USER_TABLES_TEMPLATE '{userId}/{namespace}/{tableName}/'");
    assert_int_equal(p->kind, KL_PLAN_CREATE_STORAGE);
    assert_string_equal(p->storage->id, "cold-1");
    assert_string_equal(p->storage->type, "s3");
    assert_string_equal(p->storage->name, "Cold");
    assert_string_equal(p->storage->base_directory, "s3://b");
    assert_string_equal(p->storage->config, "{\"region\":\"eu\"}");
    assert_string_equal(p->storage->credentials, "{\"key\":\"k\"}");
    assert_null(p->storage->shared_template);
    p = plan("CREATE STORAGE IF NOT EXISTS disk PATH '/data' TYPE filesystem CONFIG '{}';");
    assert_true(p->if_not_exists);
    assert_string_equal(p->storage->base_directory, "/data");
    RUN("CREATE NAMESPACE app");
    RUN("CREATE STORAGE Far-1 TYPE filesystem PATH '/far'");
    assert_string_equal(
        plan("CREATE TABLE app.t (a INT) WITH (STORAGE_ID = 'Far-1')")->create->options.storage_id,
        "Far-1");
    FAILS("CREATE TABLE app.t (a INT) WITH (STORAGE_ID = 'far-1')", KL_E_NOT_FOUND,
        "Storage 'far-1' does not exist");
    p = plan("ALTER STORAGE 'disk' SET NAME 'a' SET CONFIG '{\"x\":1}', DESCRIPTION ''");
    assert_int_equal(p->kind, KL_PLAN_ALTER_STORAGE);
    assert_string_equal(p->storage->description, "");
    assert_null(p->storage->type);
    p = plan("DROP STORAGE IF EXISTS disk");
    assert_true(p->kind == KL_PLAN_DROP_STORAGE && p->if_exists);
    p = plan("STORAGE CHECK local EXTENDED");
    assert_true(p->kind == KL_PLAN_CHECK_STORAGE && p->extended);
    IS(p->name, "local");
    assert_false(plan("STORAGE CHECK cold-1")->extended);
    FAILS_AT("CREATE STORAGE x TYPE ftp", KL_E_INVALID_SQL, "Invalid storage type 'ftp'", 23);
    FAILS("CREATE STORAGE x PATH '/a'", KL_E_INVALID_SQL, "needs TYPE");
    FAILS("CREATE STORAGE 'a b' TYPE s3", KL_E_INVALID_SQL, "Invalid storage id 'a b'");
    FAILS("CREATE STORAGE '' TYPE s3", KL_E_INVALID_SQL, "Invalid storage id");
    FAILS("CREATE STORAGE x TYPE s3 CREDENTIALS '[1]'", KL_E_INVALID_SQL,
        "Credentials must be a JSON object");
    FAILS("CREATE STORAGE x TYPE s3 CONFIG '{'", KL_E_INVALID_SQL, "CONFIG must be a JSON object");
    FAILS("CREATE STORAGE x TYPE s3 NAME 'a' NAME 'b'", KL_E_INVALID_SQL, "more than once");
    FAILS("CREATE STORAGE x TYPE s3 TYPE s3", KL_E_INVALID_SQL, "more than once");
    FAILS("CREATE STORAGE x TYPE filesystem BUCKET 'b'", KL_E_INVALID_SQL, "BUCKET is not for");
    FAILS("CREATE STORAGE x TYPE s3 PATH 'a' BUCKET 'b'", KL_E_INVALID_SQL, "say the same");
    FAILS("CREATE STORAGE x TYPE s3 REGION 'a' CONFIG '{}'", KL_E_INVALID_SQL, "REGION and CONFIG");
    FAILS_AT("CREATE STORAGE x TYPE s3 SPEED 'a'", KL_E_INVALID_SQL, "at or near \"SPEED\"", 26);
    FAILS("ALTER STORAGE x SET TYPE 's3'", KL_E_INVALID_SQL, "ALTER STORAGE can SET");
    FAILS("ALTER STORAGE x", KL_E_INVALID_SQL, "end of input");
    FAILS("STORAGE CHECK", KL_E_INVALID_SQL, "end of input");
    db_as("s", KL_ROLE_SERVICE);
    FAILS("CREATE STORAGE", KL_E_PERMISSION_DENIED, "storage operations");
    FAILS("STORAGE CHECK local", KL_E_PERMISSION_DENIED, "storage operations");
}

/* ---- listings ---- */
static void listings(void **state) {
    make_tables();
    assert_int_equal(plan("SHOW COLUMNS FROM app.m")->kind, KL_PLAN_DESCRIBE);
    assert_int_equal(plan("SHOW COLUMNS IN m FROM app;")->kind, KL_PLAN_DESCRIBE);
    assert_int_equal(plan("DESC VIEW app.v")->kind, KL_PLAN_DESCRIBE);
    RUN("SHOW ALL");
    GIVES("SHOW timezone", "TimeZone:TEXT\nUTC");
    GIVES("SHOW search_path", "search_path:TEXT\ndefault");
    GIVES("SHOW transaction isolation level", "transaction_isolation:TEXT\nserializable");
    FAILS("SHOW work_mem", KL_E_UNSUPPORTED, "SHOW is available for");
    FAILS("SHOW COLUMNS FROM app.nope", KL_E_NOT_FOUND, "app.nope");
    FAILS("SHOW CREATE TABLE system.users", KL_E_EXEC, "system relation");
    FAILS("SHOW STATS FOR TABLE app.v", KL_E_EXEC, "is a view");
    if (kl_cat_table(db.cat, KL_S("system"), KL_S("indexes"))) {
        plan("SHOW INDEXES");
        plan("SHOW INDEXES FROM app.m");
    }
    db_as("u", KL_ROLE_USER);
    assert_int_equal(plan("DESCRIBE app.m")->kind, KL_PLAN_DESCRIBE);
    FAILS("SHOW ALL", KL_E_PERMISSION_DENIED, "SHOW ALL");
    FAILS("SHOW CREATE TABLE app.m", KL_E_PERMISSION_DENIED, "SHOW CREATE TABLE");
}

/* What SHOW CREATE prints makes the same again. */
static void show_create(void **state) {
    RUN("CREATE NAMESPACE app");
    RUN("CREATE USER TABLE app.t (\"Id\" BIGINT DEFAULT SNOWFLAKE_ID(), b TEXT NOT NULL DEFAULT "
        "'it''s', c DECIMAL(10,2) UNIQUE, d TIMESTAMP DEFAULT NOW(), e EMBEDDING(3),"
        " CHECK (c > 0 AND b <> ')'), PRIMARY KEY (b, id)) WITH (FLUSH_POLICY = "
        "'rows:10,interval:20', DELETED_RETENTION_HOURS = 5)");
    RUN("CREATE INDEX t_d ON app.t (d, c)");
    RUN("COMMENT ON COLUMN app.t.c IS 'how \"much\"'");
    static const char want[] =
        "CREATE TABLE app.t (\n  id BIGINT DEFAULT SNOWFLAKE_ID(),\n  b TEXT DEFAULT 'it''s',\n  c "
        "DECIMAL(10, 2),\n  d TIMESTAMP DEFAULT NOW(),\n  e EMBEDDING(3),\n  PRIMARY KEY (b, id),\n"
        "  CONSTRAINT t_c_key UNIQUE (c),\n  CONSTRAINT t_check CHECK (c > 0 AND b <> ')')\n) WITH "
        "(TYPE = 'USER', DELETED_RETENTION_HOURS = 5, FLUSH_POLICY = 'rows:10,interval:20');\n"
        "CREATE INDEX t_d ON app.t (d, c);\nCOMMENT ON COLUMN app.t.c IS 'how \"much\"'";
    char row[2000];
    snprintf(row, sizeof(row), "app.t|%s", want);
    ROWS("SHOW CREATE TABLE app.t", row);
    RUN("DROP TABLE app.t");
    struct kl_stmt_text *list;
    size_t n;
    struct kl_arena arena;
    kl_arena_init(&arena, 0);
    assert_int_equal(kl_sql_split(kl_slice_str(want), &arena, &list, &n, &db.err), KL_OK);
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++) {
        char one[2000];
        snprintf(one, sizeof(one), "%.*s", KL_FMT(list[i].text));
        RUN(one);
    }
    kl_arena_deinit(&arena);
    ROWS("SHOW CREATE TABLE app.t", row);
    RUN("CREATE VIEW app.v (one) AS SELECT b FROM app.t");
    ROWS("SHOW CREATE VIEW app.v", "app.v|CREATE VIEW app.v (one) AS SELECT b FROM app.t");
}

static void history(void **state) {
    RUN("CREATE NAMESPACE app");
    RUN("CREATE USER TABLE app.t (a INT, b TEXT)");
    RUN("ALTER TABLE app.t ADD COLUMN c INT DEFAULT 5");
    RUN("ALTER TABLE app.t RENAME b TO bb");
    RUN("ALTER TABLE app.t ALTER c TYPE BIGINT");
    RUN("ALTER TABLE app.t ALTER c DROP DEFAULT");
    RUN("ALTER TABLE app.t DROP COLUMN a");
    struct text_sink sink = {.sink = {.begin = text_begin, .row = text_row, .end = text_end}};
    kl_buf_clear(&db.out);
    assert_int_equal(kl_sql_describe_history(table("app", "t"), &sink.sink, &db.err), KL_OK);
    kl_buf_u8(&db.out, 0);
    static const struct {
        const char *start, *change;
    } want[] = {{"a|1|1|INT|true|false|NULL|NULL|1|", "created"},
        {"b|2|2|TEXT|true|false|NULL|NULL|1|", "created"}, {"a|1|", "NULL"}, {"b|2|", "NULL"},
        {"c|5|5|INT|true|false|5|NULL|2|", "added"}, {"a|1|", "NULL"},
        {"bb|2|2|TEXT|true|false|NULL|NULL|3|", "renamed from b"}, {"c|5|", "NULL"},
        {"a|1|", "NULL"}, {"bb|2|", "NULL"},
        {"c|5|5|BIGINT|true|false|5|NULL|4|", "type changed from INT"}, {"a|1|", "NULL"},
        {"bb|2|", "NULL"}, {"c|5|5|BIGINT|true|false|NULL|NULL|5|", "default dropped"},
        {"bb|2|", "NULL"}, {"c|5|", "NULL"}, {"a|1|1|INT|true|false|NULL|NULL|6|", "dropped"}};
    char *save = NULL, *line = strtok_r((char *)db_rows(), "\n", &save);
    for (size_t i = 0; i < KL_LEN(want); i++, line = strtok_r(NULL, "\n", &save)) {
        char part[80];
        snprintf(part, sizeof(part), "|%s|", want[i].change);
        if (!line || strncmp(line, want[i].start, strlen(want[i].start)) != 0 ||
            !strstr(line, part)) {
            fail_msg("row %zu: want %s..%s, got %s", i, want[i].start, part, line ? line : "none");
        }
    }
    assert_null(line);
}

/* Cut anywhere, every statement is refused or means something; nothing is read past its end. */
static void cut_short(void **state) {
    static const char *const statements[] = {
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY app.m USING btree (room ASC)",
        "CREATE TABLE app.z (a INT DEFAULT 1 + (2 * 3) CHECK (a > (1)) UNIQUE, UNIQUE (a))",
        "CREATE OR REPLACE VIEW app.z (a, b) AS SELECT id, room FROM app.m WHERE n = (3)",
        "CREATE USER TABLE app.z (a) WITH (STORAGE_ID = 'local') AS SELECT id FROM app.m WITH NO "
        "DATA",
        "ALTER TABLE app.m ALTER COLUMN n SET DATA TYPE NUMERIC(10, 2)",
        "ALTER TABLE app.m ADD CONSTRAINT c CHECK (n BETWEEN 1 AND (5)) NOT DEFERRABLE",
        "COMMENT ON COLUMN kalam.app.m.room IS 'x''y'",
        "CREATE STORAGE a-b TYPE s3 NAME 'x' CONFIG '{\"a\":[1]}' REGION 'e'",
        "START TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY, NOT DEFERRABLE",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET DateStyle = 'ISO', MDY", "SHOW COLUMNS FROM m IN app", "SHOW CREATE TABLE app.m",
        "DROP INDEX CONCURRENTLY IF EXISTS app.i RESTRICT"};
    make_tables();
    for (size_t i = 0; i < KL_LEN(statements); i++) {
        size_t len = strlen(statements[i]);
        for (size_t n = 1; n <= len; n++) {
            struct kl_sql_ctx ctx = db_ctx();
            struct kl_bound b;
            char *copy = malloc(n);
            memcpy(copy, statements[i], n);
            kl_arena_reset(&db.arena);
            enum kl_rc rc = kl_sql_bind(&ctx, kl_slice(copy, n), NULL, 0, &db.arena, &b, &db.err);
            if (rc != KL_OK && (db.err.position < 0 || db.err.position > (int)n + 1)) {
                fail_msg("%.*s: %s at %d", (int)n, statements[i], db.err.msg, db.err.position);
            }
            if (rc == KL_OK) {
                kl_bound_release(&b);
            }
            free(copy);
        }
    }
}

static int teardown(void **state) {
    kl_bound_release(&bound);
    return db_teardown(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, db_setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {TEST(transactions), TEST(settings), TEST(indexes),
        TEST(constraints), TEST(defaults), TEST(views), TEST(table_as), TEST(alters),
        TEST(comments), TEST(storages), TEST(listings), TEST(show_create), TEST(history),
        TEST(cut_short)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
