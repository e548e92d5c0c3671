/* KalamDB's own statements, from text into the catalog. */
#include "test_plan_support.h"

static struct kl_table *table(const char *ns, const char *name) {
    struct kl_table *t = kl_cat_table(db.cat, kl_slice_str(ns), kl_slice_str(name));
    assert_non_null(t);
    return t;
}

static struct kl_column *column(struct kl_table *t, const char *name) {
    int i = kl_table_col(t, kl_slice_str(name));
    assert_true(i >= 0);
    return &t->cols[i];
}

/* The plan of a statement, to look into; freed by the next one. */
static struct kl_bound bound;
static struct kl_plan *plan(const char *sql) {
    struct kl_sql_ctx ctx = db_ctx();
    kl_bound_release(&bound);
    if (kl_sql_bind(&ctx, kl_slice_str(sql), NULL, 0, &db.arena, &bound, &db.err) != KL_OK) {
        fail_msg("%s: %s", sql, db.err.msg);
    }
    return bound.plan;
}

static void namespaces(void **state) {
    RUN("CREATE NAMESPACE IF NOT EXISTS chat");
    RUN("create namespace Docs ;");
    assert_non_null(kl_cat_namespace(db.cat, KL_S("docs")));
    FAILS("CREATE NAMESPACE chat", KL_E_EXISTS, "Namespace 'chat' already exists");
    FAILS("CREATE NAMESPACE _x", KL_E_INVALID_SQL, "underscore");
    FAILS("CREATE NAMESPACE system", KL_E_INVALID_SQL, "reserved");
    RUN("ALTER NAMESPACE chat SET OPTIONS (a = 'x\"y', 'B' = 12, c = true, d = -1.5)");
    assert_string_equal(kl_cat_namespace(db.cat, KL_S("chat"))->options_json,
        "{\"B\":12,\"a\":\"x\\\"y\",\"c\":true,\"d\":-1.5}");
    FAILS("ALTER NAMESPACE chat SET DESCRIPTION 'x'", KL_E_INVALID_SQL,
        "Expected SET OPTIONS clause");
    FAILS_AT("CREATE NAMESPACE", KL_E_INVALID_SQL, "syntax error at end of input", 17);
    FAILS_AT("CREATE NAMESPACE a b", KL_E_INVALID_SQL, "syntax error at or near \"b\"", 20);
    assert_int_equal(plan("USE chat")->kind, KL_PLAN_USE);
    assert_true(kl_slice_eq(plan("USE NAMESPACE Chat;")->name, KL_S("chat")));
    assert_true(kl_slice_eq(plan("SET NAMESPACE `chat`")->name, KL_S("chat")));
    FAILS("USE nowhere", KL_E_NOT_FOUND, "Namespace 'nowhere' does not exist");
    RUN("DROP NAMESPACE chat CASCADE");
    assert_true(plan("DROP NAMESPACE IF EXISTS chat")->if_exists);
    db_as("u", KL_ROLE_SERVICE);
    FAILS("CREATE NAMESPACE a", KL_E_PERMISSION_DENIED,
        "Admin privileges (DBA or System role) required for namespace operations");
    FAILS("DROP NAMESPACE docs", KL_E_PERMISSION_DENIED, "namespace operations");
}

static void spellings(void **state) {
    RUN("CREATE NAMESPACE app");
    RUN("CREATE TABLE app.conversations (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), title TEXT "
        "NOT NULL, created_at TIMESTAMP DEFAULT NOW())"
        " WITH (TYPE = 'USER', FLUSH_POLICY = 'rows:10000,interval:600')");
    struct kl_table *t = table("app", "conversations");
    assert_int_equal(t->type, KL_TABLE_USER);
    assert_int_equal(t->options.flush_rows, 10000);
    assert_int_equal(t->options.flush_interval_s, 600);
    assert_int_equal(t->n_pk, 1);
    assert_false(column(t, "id")->nullable);
    assert_int_equal(column(t, "id")->def.kind, KL_DEFAULT_SNOWFLAKE);
    assert_false(column(t, "title")->nullable);
    assert_int_equal(column(t, "created_at")->def.kind, KL_DEFAULT_NOW);
    RUN("CREATE TABLE app.content (doc_id TEXT PRIMARY KEY, version INT, author TEXT DEFAULT "
        "CURRENT_USER(), a TEXT DEFAULT CURRENT_USER,"
        " updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP) WITH (TYPE = 'SHARED', FLUSH_POLICY = "
        "'interval:60', ACCESS_LEVEL = 'public')");
    t = table("app", "content");
    assert_int_equal(t->type, KL_TABLE_SHARED);
    assert_int_equal(t->options.access, KL_ACCESS_PUBLIC);
    assert_int_equal(column(t, "author")->def.kind, KL_DEFAULT_CURRENT_USER);
    RUN("CREATE USER TABLE app.messages (id BIGINT, content TEXT, timestamp TIMESTAMP) FLUSH "
        "POLICY ROW_LIMIT 1000");
    t = table("app", "messages");
    assert_int_equal(t->type, KL_TABLE_USER);
    assert_int_equal(t->options.flush_rows, 1000);
    assert_int_equal(t->n_pk, 0);
    RUN("CREATE SHARED TABLE app.analytics (event_name TEXT, count BIGINT, timestamp TIMESTAMP) "
        "FLUSH POLICY TIME_INTERVAL 300");
    t = table("app", "analytics");
    assert_int_equal(t->options.flush_interval_s, 300);
    assert_int_equal(t->options.access, KL_ACCESS_PRIVATE);
    RUN("CREATE STREAM TABLE app.events (event_id TEXT, data TEXT) RETENTION 10 EPHEMERAL "
        "MAX_BUFFER 5000");
    t = table("app", "events");
    assert_int_equal(t->type, KL_TABLE_STREAM);
    assert_int_equal(t->options.ttl_seconds, 10);
    assert_int_equal(t->options.max_buffer, 5000);
    RUN("CREATE TABLE IF NOT EXISTS app.presence (doc_id TEXT PRIMARY KEY) OPTIONS (type='stream', "
        "ttl_seconds='5')");
    assert_int_equal(table("app", "presence")->options.ttl_seconds, 5);
    RUN("CREATE TABLE app.plain (\"Id\" UUID DEFAULT UUID_V7(), `b` VARCHAR(20) NOT NULL DEFAULT "
        "'it''s', c DOUBLE PRECISION DEFAULT -1.5,"
        " d TIMESTAMP(3) WITH TIME ZONE NULL, e NUMERIC(10, 2) DEFAULT 1.005, f BOOLEAN DEFAULT "
        "TRUE, g EMBEDDING(3), h TEXT DEFAULT ULID(),"
        " i INT DEFAULT (7), j BYTES DEFAULT X'00FF', k DATE DEFAULT NULL, CONSTRAINT pk PRIMARY "
        "KEY (b, \"ID\"))");
    t = table("app", "plain");
    assert_int_equal(t->type, KL_TABLE_SHARED);
    assert_int_equal(t->n_pk, 2);
    assert_int_equal(t->pk[0], 1);
    assert_int_equal(t->pk[1], 0);
    assert_false(column(t, "id")->nullable);
    assert_int_equal(column(t, "g")->type.dim, 3);
    assert_int_equal(column(t, "e")->type.scale, 2);
    struct kl_buf text = {0};
    kl_default_text(&column(t, "e")->def, &text);
    kl_buf_putc(&text, '|');
    kl_default_text(&column(t, "b")->def, &text);
    kl_buf_putc(&text, '|');
    kl_default_text(&column(t, "i")->def, &text);
    kl_buf_u8(&text, 0);
    assert_string_equal(text.data, "1.01|'it''s'|7");
    kl_buf_deinit(&text);
    RUN("CREATE TABLE app.ids (a BIGSERIAL PRIMARY KEY, b SERIAL, c BIGINT AUTO_INCREMENT, d "
        "BIGINT GENERATED ALWAYS AS IDENTITY)");
    t = table("app", "ids");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(t->cols[i].type.id, KL_T_BIGINT);
        assert_int_equal(t->cols[i].def.kind, KL_DEFAULT_SNOWFLAKE);
    }
}

static void create_refusals(void **state) {
    RUN("CREATE NAMESPACE app");
#define BAD(rest, msg)                                                                             \
    FAILS("CREATE TABLE app.t " rest, KL_E_INVALID_SQL, "Invalid CREATE TABLE statement: " msg)
    BAD("(a INT) WITH (TYPE='OTHER')",
        "Invalid TYPE option 'OTHER'. Supported: USER, SHARED, STREAM");
    FAILS("CREATE USER TABLE app.t (a INT) WITH (TYPE='SHARED')", KL_E_INVALID_SQL,
        "Conflicting table type definitions");
    BAD("(a INT) WITH (TYPE='STREAM')", "STREAM tables must specify 'TTL_SECONDS'");
    BAD("(a INT) WITH (TYPE='USER', TTL_SECONDS=5)",
        "TTL_SECONDS is only supported for STREAM tables");
    BAD("(a INT) WITH (TYPE='USER', ACCESS_LEVEL='public')",
        "ACCESS_LEVEL is only supported for SHARED tables");
    BAD("(a INT) WITH (USE_USER_STORAGE=true)",
        "USE_USER_STORAGE is only supported for USER tables");
    BAD("(a INT PRIMARY KEY, b INT PRIMARY KEY)", "Multiple PRIMARY KEY definitions found");
    BAD("(a INT PRIMARY KEY, PRIMARY KEY (a))", "Multiple PRIMARY KEY definitions found");
    BAD("(a INT, PRIMARY KEY (b))", "PRIMARY KEY column 'b' not found in column list");
    BAD("(a INT, A TEXT)", "Duplicate column name 'a'. Column names are case-insensitive.");
    BAD("()", "Table must have at least one column");
    BAD("(a INT) WITH (FLUSH_POLICY='rows:1000000')", "Row limit must be less than 1,000,000");
    BAD("(a INT) WITH (FLUSH_POLICY='interval:86400')",
        "Interval must be less than 86400 seconds (24 hours)");
    BAD("(a INT) WITH (FLUSH_POLICY='rows:0')",
        "FLUSH_POLICY must specify 'rows' or 'interval' > 0");
    BAD("(a INT) WITH (FLUSH_POLICY='often')", "Invalid FLUSH_POLICY 'often'");
    BAD("(a INT) WITH (FLUSH_POLICY='')", "Invalid FLUSH_POLICY ''");
    BAD("(a INT) FLUSH POLICY ROW_LIMIT 0", "FLUSH_POLICY must specify");
    BAD("(a INT) WITH (TYPE='STREAM', TTL_SECONDS=0)", "TTL_SECONDS must be a number from 1");
    BAD("(a INT) WITH (COMPRESSION='zstd')",
        "Unknown table option 'COMPRESSION'. Known options: TYPE, STORAGE_ID");
    BAD("(a INT) EPHEMERAL", "EPHEMERAL is only supported for STREAM tables");
    BAD("(a INT) WITH (STORAGE_ID='a b')", "Invalid storage id");
#undef BAD
    FAILS("CREATE TABLE app.t (a INT) WITH (STORAGE_ID='s3')", KL_E_NOT_FOUND,
        "Storage 's3' does not exist");
    FAILS("CREATE TABLE app.t (a INT REFERENCES b)", KL_E_UNSUPPORTED, "REFERENCES");
    FAILS("CREATE TABLE app.t (a INT, CONSTRAINT x FOREIGN KEY (a) REFERENCES b)", KL_E_UNSUPPORTED,
        "FOREIGN KEY");
    FAILS("CREATE TABLE app.t (a INT DEFAULT random())", KL_E_UNSUPPORTED, "DEFAULT of column 'a'");
    FAILS("CREATE TABLE app.t (a INT DEFAULT NOW)", KL_E_UNSUPPORTED, "DEFAULT of column 'a'");
    FAILS("CREATE TABLE app.t (a INT DEFAULT 'x')", KL_E_TYPE,
        "DEFAULT of column 'a': invalid input syntax");
    FAILS("CREATE TABLE app.t (a INT DEFAULT SNOWFLAKE_ID())", KL_E_TYPE, "needs a BIGINT");
    FAILS("CREATE TABLE app.t (a INT AUTO_INCREMENT)", KL_E_TYPE, "needs a BIGINT");
    FAILS("CREATE TABLE app.t (a INT DEFAULT 1 DEFAULT 2)", KL_E_INVALID_SQL,
        "multiple default values");
    FAILS(
        "CREATE TABLE app.t (a INT NULL NOT NULL)", KL_E_INVALID_SQL, "conflicting NULL/NOT NULL");
    FAILS("CREATE TABLE app.t (a INT[])", KL_E_UNSUPPORTED, "array");
    FAILS("CREATE TABLE app.t (a INTERVAL)", KL_E_INVALID_SQL, "Unsupported data type");
    FAILS_AT("CREATE TABLE app.t (a TINYINT)", KL_E_INVALID_SQL, "Unsupported data type", 23);
    FAILS("CREATE TABLE app.t (_a INT)", KL_E_INVALID_SQL, "underscore");
    FAILS("CREATE TABLE app.t (a INT) USING parquet", KL_E_UNSUPPORTED, "USING");
    FAILS("CREATE TABLE system.t (a INT)", KL_E_EXEC,
        "Cannot create system table 'system.t'. System tables are managed internally.");
    FAILS("CREATE TABLE nowhere.t (a INT)", KL_E_NOT_FOUND,
        "Namespace 'nowhere' does not exist. Create it first with CREATE NAMESPACE nowhere");
    FAILS_AT("CREATE TABLE app.t (a INT", KL_E_INVALID_SQL, "syntax error at end of input", 26);
    FAILS_AT(
        "CREATE TABLE app.t (a INT) WITH", KL_E_INVALID_SQL, "syntax error at end of input", 32);
    FAILS_AT(
        "CREATE TABLE app.t (a INT FOO)", KL_E_INVALID_SQL, "syntax error at or near \"FOO\"", 27);
    db_as("u", KL_ROLE_USER);
    FAILS("CREATE TABLE app.t (a INT)", KL_E_PERMISSION_DENIED,
        "Insufficient privileges to create shared tables");
    db_as("s", KL_ROLE_SERVICE);
    RUN("CREATE TABLE app.t (a INT)");
    FAILS("CREATE TABLE app.d (a INT) WITH (ACCESS_LEVEL='dba')", KL_E_PERMISSION_DENIED,
        "Insufficient privileges to create DBA-level");
    FAILS("CREATE TABLE app.t (a INT)", KL_E_EXISTS, "Table app.t already exists");
    db_as("app", KL_ROLE_SERVICE);
    assert_int_equal(plan("CREATE TABLE app.own (a INT)")->create->type, KL_TABLE_USER);
}

static void alter(void **state) {
    RUN("CREATE NAMESPACE app");
    RUN("CREATE USER TABLE app.messages (id BIGINT PRIMARY KEY, content TEXT)");
    RUN("CREATE SHARED TABLE app.s (id BIGINT)");
    RUN("ALTER TABLE app.messages ADD COLUMN author TEXT");
    RUN("ALTER TABLE app.messages ADD n INT NOT NULL DEFAULT 5");
    struct kl_column *c = column(table("app", "messages"), "n");
    assert_int_equal(c->missing.i, 5);
    RUN("ALTER TABLE app.messages RENAME COLUMN author TO Writer");
    column(table("app", "messages"), "writer");
    RUN("ALTER TABLE app.messages DROP COLUMN writer");
    assert_int_equal(kl_table_col(table("app", "messages"), KL_S("writer")), -1);
    RUN("ALTER TABLE app.s SET ACCESS LEVEL public");
    assert_int_equal(table("app", "s")->options.access, KL_ACCESS_PUBLIC);
    RUN("ALTER TABLE app.s SET TBLPROPERTIES (ACCESS_LEVEL = 'restricted')");
    assert_int_equal(table("app", "s")->options.access, KL_ACCESS_RESTRICTED);
    FAILS("ALTER TABLE app.messages SET ACCESS LEVEL public", KL_E_INVALID_SQL,
        "ACCESS LEVEL can only be set on SHARED tables");
    FAILS("ALTER TABLE app.messages ADD COLUMN content INT", KL_E_EXISTS,
        "Column 'content' already exists");
    FAILS("ALTER TABLE app.messages DROP COLUMN nope", KL_E_NOT_FOUND,
        "Column 'nope' does not exist");
    FAILS("ALTER TABLE app.messages DROP COLUMN _seq", KL_E_INVALID_SQL,
        "Cannot drop column '_seq': system column cannot be modified");
    FAILS("ALTER TABLE app.messages ADD COLUMN _x INT", KL_E_INVALID_SQL,
        "Cannot add column '_x': reserved system column name");
    FAILS("ALTER TABLE app.messages DROP COLUMN content CASCADE", KL_E_UNSUPPORTED,
        "DROP COLUMN CASCADE/RESTRICT is not supported");
    FAILS("ALTER TABLE app.messages ADD COLUMN a INT FIRST", KL_E_UNSUPPORTED,
        "Column position modifiers (FIRST/AFTER) are not supported");
    FAILS("ALTER TABLE app.messages ADD COLUMN a INT, ADD COLUMN b INT", KL_E_UNSUPPORTED,
        "Only one ALTER TABLE operation");
    FAILS("ALTER TABLE app.messages ADD COLUMN a BIGINT DEFAULT SNOWFLAKE_ID()", KL_E_UNSUPPORTED,
        "existing rows would all share one");
    FAILS("ALTER TABLE app.messages CREATE VECTOR INDEX content", KL_E_UNSUPPORTED,
        "a vector index is not available");
    FAILS("ALTER TABLE app.nope ADD COLUMN a INT", KL_E_NOT_FOUND, "Table not found: app.nope");
    FAILS_AT(
        "ALTER TABLE app.messages FOO", KL_E_INVALID_SQL, "syntax error at or near \"FOO\"", 26);
    struct kl_plan *p = plan("ALTER TABLE app.messages ADD COLUMN at TIMESTAMP DEFAULT NOW()");
    assert_true(p->alter->missing.i > 1700000000000000);
    db_as("u", KL_ROLE_USER);
    FAILS("ALTER TABLE app.messages ADD COLUMN a INT", KL_E_PERMISSION_DENIED,
        "Insufficient privileges to alter table");
    FAILS("ALTER TABLE app.nope ADD COLUMN a INT", KL_E_PERMISSION_DENIED,
        "Insufficient privileges to alter table");
    FAILS("DROP TABLE app.messages", KL_E_PERMISSION_DENIED,
        "Insufficient privileges to drop this table");
    db_as("root", KL_ROLE_SYSTEM);
    FAILS("DROP TABLE app.nope", KL_E_NOT_FOUND,
        "Not found: Table 'nope' not found in namespace 'app'");
    p = plan("DROP USER TABLE IF EXISTS app.nope");
    assert_null(p->table);
    assert_true(kl_slice_eq(p->name, KL_S("app.nope")));
    RUN("DROP TABLE app.messages");
    assert_null(kl_cat_table(db.cat, KL_S("app"), KL_S("messages")));
}

static void users(void **state) {
    struct kl_plan_user *u =
        plan("CREATE USER 'tenant_acme' WITH PASSWORD 'SecureKey123!' ROLE 'service'")->user;
    assert_true(kl_slice_eq(u->id, KL_S("tenant_acme")));
    assert_true(kl_slice_eq(u->password, KL_S("SecureKey123!")));
    assert_int_equal(u->role, KL_ROLE_SERVICE);
    assert_int_equal(u->auth_type, KL_AUTH_PASSWORD);
    u = plan("CREATE USER Bob WITH OAUTH '{\"provider\":\"x\"}' ROLE viewer EMAIL 'b@x.org'")->user;
    assert_true(kl_slice_eq(u->id, KL_S("bob")));
    assert_int_equal(u->role, KL_ROLE_USER);
    assert_int_equal(u->auth_type, KL_AUTH_OAUTH);
    assert_true(kl_slice_eq(u->email, KL_S("b@x.org")));
    u = plan("CREATE USER x WITH INTERNAL")->user;
    assert_int_equal(u->role, KL_ROLE_USER);
    u = plan("ALTER USER 'x' SET PASSWORD 'p' SET ROLE admin SET EMAIL 'e'")->user;
    assert_true(u->set_password && u->set_role && u->set_email);
    assert_int_equal(u->role, KL_ROLE_DBA);
    u = plan("DROP USER IF EXISTS 'Alice' IMMEDIATELY")->user;
    assert_true(u->if_exists && u->immediately);
    assert_true(kl_slice_eq(u->id, KL_S("Alice")));
    FAILS("CREATE USER x WITH PASSWORD 'p' ROLE king", KL_E_INVALID_SQL, "Unknown role 'king'");
    FAILS("CREATE USER x WITH OAUTH '{' ROLE user", KL_E_INVALID_SQL, "OAUTH data must be JSON");
    FAILS("CREATE USER x PASSWORD 'p'", KL_E_INVALID_SQL, "syntax error at or near \"PASSWORD\"");
    FAILS("CREATE USER '' WITH INTERNAL", KL_E_INVALID_INPUT, "");
    db_as("d", KL_ROLE_DBA);
    FAILS("CREATE USER x WITH INTERNAL ROLE system", KL_E_PERMISSION_DENIED,
        "DBA cannot grant System role");
    db_as("s", KL_ROLE_SERVICE);
    FAILS("ALTER USER x SET PASSWORD 'p'", KL_E_PERMISSION_DENIED, "user management");
}

static void listings(void **state) {
    RUN("CREATE NAMESPACE app");
    RUN("CREATE USER TABLE app.t (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), b TEXT DEFAULT "
        "'x')");
    db_as("u", KL_ROLE_USER);
    struct kl_plan *p = plan("SHOW NAMESPACES");
    assert_int_equal(p->kind, KL_PLAN_SELECT);
    assert_string_equal(p->table->name, "namespaces");
    assert_int_equal(p->select->n_output, p->table->n_cols);
    assert_string_equal(plan("SHOW TABLES")->table->name, "schemas");
    assert_non_null(plan("SHOW TABLES IN app")->select->filter);
    assert_non_null(plan("SHOW TABLES IN NAMESPACE app;")->select->filter);
    assert_string_equal(plan("SHOW STORAGES")->table->name, "storages");
    assert_int_equal(plan("SHOW STATS FOR TABLE app.t")->kind, KL_PLAN_SHOW_STATS);
    FAILS("SHOW TABLES IN nope", KL_E_NOT_FOUND, "Namespace 'nope' does not exist");
    FAILS("SELECT * FROM system.schemas", KL_E_PERMISSION_DENIED, "System tables require");
    RUN("SELECT * FROM system.namespaces");
    RUN("SELECT * FROM information_schema.tables");
    assert_int_equal(plan("DESCRIBE TABLE app.t")->kind, KL_PLAN_DESCRIBE);
    assert_int_equal(plan("DESC app.t")->kind, KL_PLAN_DESCRIBE);
    assert_int_equal(plan("DESCRIBE TABLE app.t HISTORY")->kind, KL_PLAN_DESCRIBE_HISTORY);
    FAILS("DESCRIBE TABLE app.nope", KL_E_NOT_FOUND, "Table not found: app.nope");
    struct text_sink sink = {.sink = {.begin = text_begin, .row = text_row, .end = text_end}};
    kl_buf_clear(&db.out);
    assert_int_equal(kl_sql_describe(table("app", "t"), &sink.sink, &db.err), KL_OK);
    kl_buf_u8(&db.out, 0);
    assert_string_equal(db_rows(),
        "id|1|1|BIGINT|false|true|SNOWFLAKE_ID()|NULL|1\nb|2|2|TEXT|true|false|'x'|NULL|1\n"
        "_seq|3|0|BIGINT|false|false|NULL|NULL|1\n_deleted|4|0|BOOLEAN|false|false|FALSE|NULL|1");
    FAILS("SHOW COLUMNS FROM app.t", KL_E_PERMISSION_DENIED, "SHOW COLUMNS");
    FAILS("KILL LIVE QUERY 'a-b'", KL_E_PERMISSION_DENIED, "live query");
    db_as("root", KL_ROLE_SYSTEM);
    assert_true(kl_slice_eq(plan("KILL LIVE QUERY 'a-b'")->name, KL_S("a-b")));
    assert_true(kl_slice_eq(plan("KILL LIVE QUERY root-1-a;")->name, KL_S("root-1-a")));
}

static void unavailable(void **state) {
    static const char *const statements[] = {"CREATE TOPIC a.b PARTITIONS 2",
        "ALTER TOPIC a ADD SOURCE b ON INSERT", "CONSUME FROM a GROUP 'g'",
        "ACK a GROUP 'g' UPTO OFFSET 5", "STORAGE FLUSH TABLE a.b",
        "BACKUP DATABASE app TO '/x'", "RESTORE DATABASE app FROM '/x'", "EXPORT USER DATA",
        "SHOW EXPORT", "CLUSTER SNAPSHOT", "SET x = 1", "SAVEPOINT a", "ROLLBACK TO a",
        "RELEASE SAVEPOINT a", "PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'",
        "COMMIT AND CHAIN", "ROLLBACK WORK TO SAVEPOINT a", "REFRESH MATERIALIZED VIEW x",
        "ALTER VIEW a RENAME TO b", "ALTER INDEX a RENAME TO b", "DISCARD ALL",
        "COPY t FROM '/etc/passwd'", "GRANT ALL ON t TO u", "KILL JOB 'x'", "SHOW MANIFEST",
        "CREATE FUNCTION f() RETURNS int AS 'x' LANGUAGE sql", "LISTEN x", "RESTORE USER 'u'",
        "MERGE INTO a USING b ON c WHEN MATCHED THEN DELETE", "SELECT 1 INTO x", "EXECUTE x",
        "SELECT 1 FOR UPDATE", "CREATE TEMP TABLE x (a INT)"};
    for (size_t i = 0; i < KL_LEN(statements); i++) {
        FAILS(statements[i], KL_E_UNSUPPORTED, "is not available in this version");
    }
    FAILS("CREATE FUNCTION f() RETURNS int AS 'x' LANGUAGE sql", KL_E_UNSUPPORTED,
        "CREATE FUNCTION is not");
    FAILS("LISTEN x", KL_E_UNSUPPORTED, "LISTEN is not");
    FAILS_AT("SELEC 1", KL_E_INVALID_SQL, "syntax error at or near \"SELEC\"", 1);
    FAILS_AT("SELECT '\xc3\xa4', FROM x", KL_E_INVALID_SQL, "syntax error at or near \"FROM\"", 14);
    FAILS("-- nothing", KL_E_EMPTY_SQL, "");
    db_as("u", KL_ROLE_USER);
    FAILS("CREATE TOPIC a.b", KL_E_PERMISSION_DENIED, "topic management");
    FAILS("BACKUP DATABASE TO '/x'", KL_E_PERMISSION_DENIED, "backup operations");
    FAILS("EXPLAIN SELECT 1", KL_E_PERMISSION_DENIED, "EXPLAIN commands");
    FAILS("STORAGE FLUSH ALL", KL_E_PERMISSION_DENIED, "STORAGE FLUSH");
}

static int teardown(void **state) {
    kl_bound_release(&bound);
    return db_teardown(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(namespaces, db_setup, teardown),
        cmocka_unit_test_setup_teardown(spellings, db_setup, teardown),
        cmocka_unit_test_setup_teardown(create_refusals, db_setup, teardown),
        cmocka_unit_test_setup_teardown(alter, db_setup, teardown),
        cmocka_unit_test_setup_teardown(users, db_setup, teardown),
        cmocka_unit_test_setup_teardown(listings, db_setup, teardown),
        cmocka_unit_test_setup_teardown(unavailable, db_setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
