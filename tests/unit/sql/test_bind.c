/* Names, permissions and executors: what a SELECT or a subscription is bound to, and what it is
 * told when it cannot be. */
#include "test_plan_support.h"

static struct kl_bound bound;

static enum kl_rc bind(const char *sql) {
    struct kl_sql_ctx ctx = db_ctx();
    kl_bound_release(&bound);
    kl_err_clear(&db.err);
    kl_arena_reset(&db.arena);
    return kl_sql_bind(&ctx, kl_slice_str(sql), NULL, 0, &db.arena, &bound, &db.err);
}

static struct kl_plan *plan(const char *sql) {
    if (bind(sql) != KL_OK) {
        fail_msg("%s: %s", sql, db.err.msg);
    }
    return bound.plan;
}

static void live_fails(const char *sql, enum kl_rc rc, const char *msg) {
    struct kl_sql_ctx ctx = db_ctx();
    struct kl_bound b;
    kl_err_clear(&db.err);
    enum kl_rc got = kl_sql_bind_live(&ctx, kl_slice_str(sql), &db.arena, &b, &db.err);
    if (got != rc || !strstr(db.err.msg, msg)) {
        fail_msg("%s: %s: %s", sql, kl_rc_name(got), db.err.msg);
    }
}

static struct kl_plan_live *live(const char *sql) {
    struct kl_sql_ctx ctx = db_ctx();
    kl_bound_release(&bound);
    if (kl_sql_bind_live(&ctx, kl_slice_str(sql), &db.arena, &bound, &db.err) != KL_OK) {
        fail_msg("%s: %s", sql, db.err.msg);
    }
    assert_int_equal(bound.plan->kind, KL_PLAN_SUBSCRIBE);
    return bound.plan->live;
}

static void tables(void) {
    RUN("CREATE NAMESPACE app");
    RUN("CREATE USER TABLE app.messages (id BIGINT PRIMARY KEY, conversation_id BIGINT, content "
        "TEXT, at TIMESTAMP)");
    RUN("CREATE SHARED TABLE app.private (id BIGINT PRIMARY KEY)");
    RUN("CREATE TABLE app.public (id BIGINT PRIMARY KEY) WITH (ACCESS_LEVEL='public')");
    RUN("CREATE TABLE app.nokey (a BIGINT) WITH (TYPE='USER')");
}

static void names(void **state) {
    tables();
    FAILS_AT(
        "SELECT contents FROM app.messages", KL_E_EXEC, "column \"contents\" does not exist", 8);
    assert_string_equal(
        db.err.hint, "Perhaps you meant to reference the column \"messages.content\".");
    FAILS_AT(
        "SELECT xyz FROM app.messages WHERE id = 5", KL_E_EXEC, "column \"xyz\" does not exist", 8);
    assert_string_equal(db.err.hint, "");
    FAILS_AT("SELECT m.nope FROM app.messages m", KL_E_EXEC, "column m.nope does not exist", 8);
    FAILS_AT("SELECT messages.id FROM app.messages m", KL_E_EXEC,
        "missing FROM-clause entry for table \"messages\"", 8);
    FAILS_AT("SELECT x.id FROM app.messages", KL_E_EXEC, "missing FROM-clause entry", 8);
    FAILS_AT("SELECT id FROM app.nope", KL_E_NOT_FOUND, "Table not found: app.nope", 16);
    FAILS("SELECT id FROM nope", KL_E_NOT_FOUND, "Table not found: default.nope");
    FAILS("SELECT id FROM other.app.messages", KL_E_INVALID_SQL, "cross-database references");
    FAILS_AT("SELECT id", KL_E_EXEC, "column \"id\" does not exist", 8);
    FAILS("SELECT *", KL_E_INVALID_SQL, "SELECT * with no tables");
    db.session.ns = KL_S("app");
    RUN("SELECT app.messages.ID, messages.id, \"Id\", kalam.app.messages.id FROM Messages");
    RUN("SELECT id FROM kalam.app.messages");
    GIVES("SELECT m.*, 1 FROM messages AS m WHERE m._seq > 0",
        "id:BIGINT pk nn uq,conversation_id:BIGINT,content:TEXT,at:TIMESTAMP,_seq:BIGINT "
        "nn,_deleted:BOOLEAN nn,?column?:BIGINT");
    FAILS("SELECT x.* FROM messages", KL_E_EXEC, "missing FROM-clause entry");
    FAILS("SELECT _seq FROM system.namespaces", KL_E_EXEC, "does not exist");
}

/* PostgreSQL's parser cuts names after 63 bytes, ours may have 64. */
static void long_names(void **state) {
#define N63 "n23456789_123456789_123456789_123456789_123456789_123456789_123"
    RUN("CREATE NAMESPACE app");
    RUN("CREATE USER TABLE app." N63 "4 (" N63 "5 INT PRIMARY KEY)");
    RUN("INSERT INTO app." N63 "4 (" N63 "5) VALUES (1)");
    ROWS("SELECT " N63 "5 FROM app." N63 "4", "1");
    FAILS("SELECT " N63 "5 FROM app.nope", KL_E_NOT_FOUND, "Table not found");
}

static void output_names(void **state) {
    tables();
    GIVES("SELECT count(*), sum(id) AS Total, coalesce(1, 2), 1::int, 'a'::text, CASE WHEN true "
          "THEN 1 END, now() IS NULL, nullif(1, 2), greatest(1, 2),"
          " CAST(1 AS bigint), lower('x') || 'y', current_user FROM app.messages WHERE false",
        "count:BIGINT,total:DECIMAL(38, "
        "0),coalesce:BIGINT,int4:INT,text:TEXT,case:BIGINT,?column?:BOOLEAN,nullif:BIGINT,greatest:"
        "BIGINT,"
        "int8:BIGINT,?column?:TEXT,current_user:TEXT\n0|NULL|1|1|a|1|false|1|2|1|xy|root");
    GIVES("SELECT id AS \"Big Name\", id, id FROM app.messages",
        "Big Name:BIGINT pk nn uq,id:BIGINT pk nn uq,id:BIGINT pk nn uq");
}

static void ordering(void **state) {
    tables();
    RUN("INSERT INTO app.nokey VALUES (3), (1), (2)");
    ROWS("SELECT a FROM app.nokey", "3\n1\n2");
    ROWS("SELECT a AS b, -a AS a FROM app.nokey ORDER BY a",
        "3|-3\n2|-2\n1|-1"); /* the output column wins */
    ROWS("SELECT a AS b FROM app.nokey ORDER BY a + 0 DESC", "3\n2\n1");
    ROWS("SELECT a FROM app.nokey ORDER BY a LIMIT ALL OFFSET 1", "2\n3");
    ROWS("SELECT a FROM app.nokey ORDER BY a LIMIT '2'", "1\n2");
    FAILS_AT("SELECT a FROM app.nokey ORDER BY 2", KL_E_EXEC,
        "ORDER BY position 2 is not in select list", 34);
    FAILS("SELECT a FROM app.nokey ORDER BY 'x'", KL_E_EXEC, "non-integer constant in ORDER BY");
    FAILS("SELECT a AS x, -a AS x FROM app.nokey ORDER BY x", KL_E_EXEC,
        "ORDER BY \"x\" is ambiguous");
    RUN("SELECT a, a FROM app.nokey ORDER BY a");
    FAILS("SELECT a FROM app.nokey LIMIT a", KL_E_INVALID_SQL, "cannot be used in LIMIT");
    FAILS("SELECT a FROM app.nokey LIMIT -1", KL_E_EXEC, "");
    FAILS("SELECT a FROM app.nokey WHERE a", KL_E_TYPE,
        "argument of WHERE must be type boolean, not type bigint");
    FAILS("SELECT a FROM app.nokey WHERE count(*) > 1", KL_E_INVALID_SQL,
        "aggregate functions are not allowed in WHERE");
    FAILS_AT("SELECT a, count(*) FROM app.nokey", KL_E_EXEC,
        "column \"a\" must appear in the GROUP BY clause", 8);
    FAILS("SELECT sum(count(*)) FROM app.nokey", KL_E_INVALID_SQL, "nested");
}

static void permissions(void **state) {
    tables();
    db_as("u", KL_ROLE_USER);
    RUN("SELECT * FROM app.messages");
    RUN("SELECT * FROM app.public");
    FAILS("SELECT * FROM app.private", KL_E_PERMISSION_DENIED,
        "Role 'User' cannot access table 'app.private'");
    FAILS("SELECT nope FROM app.private", KL_E_PERMISSION_DENIED, ""); /* permission first */
    FAILS("INSERT INTO app.public VALUES (1)", KL_E_PERMISSION_DENIED, "");
    FAILS("DELETE FROM app.public WHERE true", KL_E_PERMISSION_DENIED, "");
    FAILS("UPDATE app.private SET nope = 1", KL_E_PERMISSION_DENIED, "");
    FAILS("SELECT * FROM system.users", KL_E_PERMISSION_DENIED, "System tables require");
    db_as("x", KL_ROLE_ANONYMOUS);
    RUN("SELECT * FROM app.public");
    FAILS("SELECT * FROM app.messages", KL_E_PERMISSION_DENIED, "");
    db_as("s", KL_ROLE_SERVICE);
    RUN("SELECT * FROM app.private");
    FAILS("DELETE FROM system.users WHERE true", KL_E_EXEC,
        "Cannot delete system table 'system.users'");
    /* a plan of one role is no plan of another */
    db_as("u", KL_ROLE_USER);
    FAILS("SELECT * FROM app.private", KL_E_PERMISSION_DENIED, "");
}

static void executors(void **state) {
    static const char *const analytical[] = {
        "SELECT conversation_id, count(*) FROM app.messages GROUP BY conversation_id",
        "SELECT DISTINCT content FROM app.messages",
        "SELECT a.id FROM app.messages a JOIN app.public b ON a.id = b.id",
        "SELECT * FROM (SELECT id FROM app.messages) x",
        "WITH x AS (SELECT id FROM app.messages) SELECT * FROM x",
        "SELECT id FROM app.messages UNION SELECT id FROM app.public",
        "SELECT id FROM app.messages WHERE id IN (SELECT id FROM app.public)",
        "SELECT row_number() OVER (ORDER BY id) FROM app.messages",
        "SELECT count(DISTINCT content) FROM app.messages",
        "SELECT count(*) FROM app.messages LIMIT 1",
        "SELECT count(*) FILTER (WHERE id > 1) FROM app.messages"};
    tables();
    for (size_t i = 0; i < KL_LEN(analytical); i++) {
        db.executor = KL_EXECUTOR_NATIVE;
        assert_int_equal(bind(analytical[i]), KL_E_UNSUPPORTED);
        db.executor = KL_EXECUTOR_AUTO;
        assert_int_equal(plan(analytical[i])->kind, KL_PLAN_DUCK);
        assert_true(bound.plan->duck->n_scans >= 1);
    }
    assert_int_equal(plan("SELECT id FROM app.messages WHERE id = 5")->kind, KL_PLAN_SELECT);
    db.executor = KL_EXECUTOR_DUCKDB;
    assert_int_equal(plan("SELECT id FROM app.messages WHERE id = 5")->kind, KL_PLAN_DUCK);
    assert_int_equal(plan("SHOW TABLES")->kind, KL_PLAN_SELECT);
    assert_int_equal(plan("INSERT INTO app.messages VALUES (1)")->kind, KL_PLAN_INSERT);
    db.executor = KL_EXECUTOR_AUTO;
    db_as("u", KL_ROLE_USER);
    FAILS("SELECT a.id FROM app.messages a JOIN app.private b ON a.id = b.id",
        KL_E_PERMISSION_DENIED, "app.private");
    FAILS("SELECT pg_read_file('/etc/passwd')", KL_E_UNSUPPORTED, "");
    FAILS("SELECT * FROM app.messages a JOIN app.public b ON a.id = b.id AND b._deleted",
        KL_E_UNSUPPORTED, "_deleted");
    FAILS(
        "SELECT * FROM (SELECT id FROM app.public WHERE _deleted) x", KL_E_UNSUPPORTED, "_deleted");
    FAILS("WITH x AS (SELECT id FROM app.public WHERE _deleted = true) SELECT * FROM x",
        KL_E_UNSUPPORTED, "_deleted");
    FAILS("SELECT * FROM read_csv('/etc/passwd')", KL_E_UNSUPPORTED, "");
}

static void as_user(void **state) {
    tables();
    struct kl_slice user, inner;
    assert_int_equal(
        bind("EXECUTE AS USER 'Alice' (INSERT INTO app.messages (id) VALUES (1););"), KL_OK);
    assert_int_equal(bound.plan->kind, KL_PLAN_INSERT);
    assert_true(kl_slice_eq(bound.as_user, KL_S("Alice")));
    assert_int_equal(kl_sql_execute_as(KL_S("execute as user Bob\n( SELECT ')' FROM x )"),
                         &db.arena, &user, &inner, &db.err),
        KL_OK);
    assert_true(kl_slice_eq(user, KL_S("bob")));
    assert_true(kl_slice_eq(inner, KL_S("SELECT ')' FROM x")));
    assert_int_equal(kl_sql_execute_as(KL_S("SELECT 1"), &db.arena, &user, &inner, &db.err), KL_OK);
    assert_null(user.ptr);
    FAILS("EXECUTE AS USER 'a' INSERT INTO t VALUES (1)", KL_E_INVALID_INPUT,
        "EXECUTE AS USER must wrap SQL in parentheses");
    FAILS("EXECUTE AS USER 'a' (SELECT 1; SELECT 2)", KL_E_INVALID_INPUT,
        "EXECUTE AS USER can only wrap a single SQL statement");
    FAILS("EXECUTE AS USER '' (SELECT 1)", KL_E_INVALID_INPUT,
        "EXECUTE AS USER username cannot be empty");
    FAILS("EXECUTE AS USER 'a' (SELECT 1", KL_E_INVALID_INPUT, "EXECUTE AS USER missing closing ')'");
    FAILS("EXECUTE AS USER 'a' ( )", KL_E_INVALID_INPUT,
        "must contain exactly one wrapped SQL statement");
    FAILS("EXECUTE AS USER 'a' (SELECT 1) x", KL_E_INVALID_INPUT, "unexpected \"x\"");
    FAILS("EXECUTE AS USER 'a' (EXECUTE AS USER 'b' (SELECT 1))", KL_E_INVALID_INPUT,
        "cannot be nested");
    FAILS_AT(
        "EXECUTE AS USER 'a' (SELECT nope FROM app.messages)", KL_E_EXEC, "does not exist", 29);
    FAILS("EXECUTE AS USER 'a' (INSERT INTO app.public VALUES (1))", KL_E_EXEC,
        "EXECUTE AS USER is not allowed on SHARED tables");
    db.session.actor = KL_S("other");
    FAILS("DELETE FROM app.public WHERE TRUE", KL_E_EXEC,
        "EXECUTE AS USER is not allowed on SHARED tables (table 'app.public')");
    RUN("SELECT * FROM app.public");
}

static void live_queries(void **state) {
    tables();
    struct kl_plan_live *l =
        live("SELECT * FROM app.messages WHERE conversation_id = 1 ORDER BY at DESC");
    assert_true(l->star);
    assert_int_equal(l->n_cols, 6);
    assert_int_equal(l->cols[4], KL_COL_SEQ);
    assert_int_equal(l->cols[5], KL_COL_DELETED);
    assert_non_null(l->filter);
    assert_int_equal(l->last_rows, -1);
    l = live("SUBSCRIBE TO app.messages WHERE content = 'options (x=1)' OPTIONS (last_rows = 20, "
             "batch_size='50', from=7);");
    assert_true(l->star);
    assert_int_equal(l->last_rows, 20);
    assert_int_equal(l->batch_size, 50);
    assert_int_equal(l->from, 7);
    assert_true(kl_slice_eq(
        bound.plan->text, KL_S("SELECT * FROM app.messages WHERE content = 'options (x=1)'")));
    l = live("subscribe to select id, content AS c from app.messages options (from_seq_id = 12)");
    assert_false(l->star);
    assert_int_equal(l->n_cols, 3);
    assert_true(kl_slice_eq(l->desc[1].name, KL_S("c")));
    assert_int_equal(l->cols[2], KL_COL_SEQ);
    assert_int_equal(l->from, 12);
    live("SELECT m.* FROM app.messages m WHERE m.content = CURRENT_USER() AND _deleted = false "
         "ORDER BY 1");
    assert_int_equal(plan("SUBSCRIBE TO app.messages")->kind, KL_PLAN_SUBSCRIBE);
    live_fails("SELECT id, _seq FROM app.messages", KL_E_UNSUPPORTED,
        "Subscription query cannot project system columns '_seq' or '_deleted'.");
    live_fails("SELECT id + 1 FROM app.messages", KL_E_UNSUPPORTED, "expressions");
    live_fails("SELECT count(*) FROM app.messages", KL_E_UNSUPPORTED, "expressions");
    live_fails("SELECT id FROM app.messages LIMIT 5", KL_E_UNSUPPORTED, "LIMIT");
    live_fails("SELECT DISTINCT id FROM app.messages", KL_E_UNSUPPORTED, "DISTINCT");
    live_fails("SELECT id FROM app.messages GROUP BY id", KL_E_UNSUPPORTED, "GROUP BY");
    live_fails("SELECT a.id FROM app.messages a, app.public b", KL_E_UNSUPPORTED, "one table");
    live_fails("SELECT id FROM app.messages WHERE at > now() - interval '1 day'", KL_E_UNSUPPORTED,
        "cannot use NOW()");
    live_fails("SELECT id FROM app.messages WHERE id = snowflake_id()", KL_E_UNSUPPORTED,
        "another value each time");
    live_fails("SELECT id FROM app.messages WHERE id IN (SELECT 1)", KL_E_UNSUPPORTED,
        "Subscription filter");
    live_fails("SELECT id FROM app.messages WHERE _deleted", KL_E_UNSUPPORTED, "_deleted");
    live_fails("SELECT id FROM app.messages ORDER BY nope", KL_E_INVALID_SQL,
        "column \"nope\" does not exist");
    live_fails("SELECT id FROM messages", KL_E_NOT_FOUND, "Query must use namespace.table format");
    live_fails("SELECT id FROM app.nope", KL_E_NOT_FOUND, "Table not found: app.nope");
    live_fails("SUBSCRIBE TO app.messages WHERE nope = 1", KL_E_INVALID_SQL, "does not exist");
    assert_int_equal(db.err.position, 33);
    live_fails("SUBSCRIBE TO app.messages OPTIONS (rows = 1)", KL_E_INVALID_SQL,
        "Unknown subscription option: 'rows'. Valid options are");
    live_fails("SUBSCRIBE TO app.messages OPTIONS (last_rows = -1)", KL_E_INVALID_SQL,
        "last_rows must be a number");
    live_fails("DELETE FROM app.messages WHERE true", KL_E_INVALID_SQL, "one SELECT");
    live_fails("", KL_E_INVALID_SQL, "one SELECT");
    live_fails("SUBSCRIBE", KL_E_INVALID_SQL, "syntax error");
    live_fails("SELECT * FROM system.users", KL_E_UNSUPPORTED, "system tables");
    db_as("u", KL_ROLE_USER);
    live_fails("SELECT * FROM app.private", KL_E_PERMISSION_DENIED,
        "Cannot subscribe to shared table 'app.private': access level 'private' requires");
    live_fails("SELECT * FROM system.users", KL_E_PERMISSION_DENIED,
        "Cannot subscribe to system table 'system.users'");
}

static void too_deep(void **state) {
    static const char *const units[] = {"(", "NOT ", "- ", "CASE WHEN TRUE THEN "};
    for (size_t i = 0; i < KL_LEN(units); i++) {
        struct kl_buf sql = {0};
        kl_buf_puts(&sql, "SELECT ");
        for (int n = 0; n < 40000; n++) {
            kl_buf_puts(&sql, units[i]);
        }
        kl_buf_u8(&sql, 0);
        assert_int_equal(bind(sql.data), KL_E_INVALID_SQL);
        assert_non_null(strstr(db.err.msg, "nested too deeply"));
        kl_buf_deinit(&sql);
    }
    /* and what is allowed is survived */
    struct kl_buf sql = {0};
    kl_buf_puts(&sql, "SELECT ");
    for (int n = 0; n < 250; n++) {
        kl_buf_puts(&sql, "CASE WHEN TRUE THEN ");
    }
    kl_buf_puts(&sql, "1");
    for (int n = 0; n < 250; n++) {
        kl_buf_puts(&sql, " END");
    }
    kl_buf_u8(&sql, 0);
    assert_int_equal(bind(sql.data), KL_OK);
    kl_buf_deinit(&sql);
}

static int teardown(void **state) {
    kl_bound_release(&bound);
    return db_teardown(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names, db_setup, teardown),
        cmocka_unit_test_setup_teardown(long_names, db_setup, teardown),
        cmocka_unit_test_setup_teardown(output_names, db_setup, teardown),
        cmocka_unit_test_setup_teardown(ordering, db_setup, teardown),
        cmocka_unit_test_setup_teardown(permissions, db_setup, teardown),
        cmocka_unit_test_setup_teardown(executors, db_setup, teardown),
        cmocka_unit_test_setup_teardown(as_user, db_setup, teardown),
        cmocka_unit_test_setup_teardown(live_queries, db_setup, teardown),
        cmocka_unit_test_setup_teardown(too_deep, db_setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
