/* Statements from text to rows: INSERT, SELECT, UPDATE, DELETE over a table in memory. */
#include "test_plan_support.h"

static void messages(void) {
    RUN("CREATE NAMESPACE chat");
    RUN("CREATE TABLE chat.messages (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), conversation_id "
        "BIGINT NOT NULL, role_id TEXT NOT NULL,"
        " content TEXT, created_at TIMESTAMP DEFAULT NOW()) WITH (TYPE = 'USER', FLUSH_POLICY = "
        "'rows:1000')");
}

static void insert_and_read(void **state) {
    messages();
    GIVES("INSERT INTO chat.messages (id, conversation_id, role_id, content) VALUES (2, 1, 'user', "
          "'it''s'), (1, 1, 'bot', NULL)",
        "2");
    GIVES("SELECT id, role_id, content FROM chat.messages",
        "id:BIGINT pk nn uq,role_id:TEXT nn,content:TEXT\n1|bot|NULL\n2|user|it's");
    GIVES("SELECT * FROM chat.messages WHERE id = 2",
        "id:BIGINT pk nn uq,conversation_id:BIGINT nn,role_id:TEXT "
        "nn,content:TEXT,created_at:TIMESTAMP,_seq:BIGINT nn,_deleted:BOOLEAN nn\n"
        "2|1|user|it's|2026-01-01 00:00:00|1|false");
    assert_true(db.point);
    ROWS(
        "SELECT m.id FROM chat.messages AS m WHERE m.conversation_id = 1 AND m.content IS NOT NULL",
        "2");
    assert_false(db.point);
    ROWS("SELECT id FROM chat.messages WHERE id = 3", "");
    ROWS("SELECT id FROM chat.messages WHERE id = '2'", "2");
    assert_true(db.point);
    ROWS("SELECT chat.messages.id FROM chat.messages WHERE id = 5.5", "");
    ROWS("SELECT id FROM chat.messages WHERE id IN (1, 2, 7) ORDER BY 1 DESC", "2\n1");
    ROWS("SELECT id AS x FROM chat.messages ORDER BY x DESC LIMIT 1", "2");
    ROWS("SELECT id FROM chat.messages ORDER BY content DESC NULLS LAST, id LIMIT 5 OFFSET 1", "1");
    ROWS("SELECT id FROM chat.messages ORDER BY content", "2\n1");
    ROWS("SELECT id FROM chat.messages ORDER BY content DESC", "1\n2");
    GIVES("SELECT count(*), max(id), sum(id) + 1 FROM chat.messages WHERE id < 10",
        "count:BIGINT,max:BIGINT,?column?:DECIMAL(38, 0)\n2|2|4");
    GIVES("SELECT 1, 'x' AS a, lower('Q'), NULL",
        "?column?:BIGINT,a:TEXT,lower:TEXT,?column?:TEXT\n1|x|q|NULL");
    ROWS("SELECT _seq, _deleted FROM chat.messages WHERE _deleted = false AND _seq > 1", "2|false");
    ROWS("select \"id\", `role_id` from `chat`.`messages` where `id` = 1", "1|bot");
}

static void update_and_delete(void **state) {
    messages();
    RUN("INSERT INTO chat.messages (id, conversation_id, role_id) VALUES (1, 1, 'a'), (2, 1, 'b'), "
        "(3, 2, 'c')");
    GIVES("UPDATE chat.messages SET content = role_id || '!', conversation_id = conversation_id + "
          "10 WHERE id >= 2",
        "2");
    ROWS("SELECT conversation_id, content FROM chat.messages", "1|NULL\n11|b!\n12|c!");
    GIVES("UPDATE chat.messages SET content = 'b!' WHERE id = 2", "0");
    assert_true(db.point);
    GIVES("UPDATE chat.messages AS m SET content = DEFAULT WHERE m.content LIKE 'b%'", "1");
    GIVES("UPDATE chat.messages SET content = 'all' WHERE TRUE", "3");
    GIVES("DELETE FROM chat.messages WHERE id = 1 OR content IS NULL", "1");
    GIVES("DELETE FROM chat.messages WHERE id = 1", "0");
    ROWS("SELECT id FROM chat.messages WHERE _deleted = false", "2\n3");
    GIVES("DELETE FROM chat.messages WHERE _deleted = false AND id = 3", "1");
    FAILS("UPDATE chat.messages SET role_id = NULL WHERE id = 2", KL_E_CONSTRAINT,
        "NOT NULL constraint violation: column 'role_id' cannot be NULL");
    FAILS("UPDATE chat.messages SET id = 9 WHERE id = 2", KL_E_EXEC,
        "UPDATE cannot modify primary key column 'id'");
    FAILS("UPDATE chat.messages SET content = 'x'", KL_E_INVALID_SQL,
        "UPDATE requires a WHERE clause");
    FAILS("DELETE FROM chat.messages", KL_E_INVALID_SQL, "DELETE requires a WHERE clause");
    FAILS("UPDATE chat.messages SET _seq = 1 WHERE id = 2", KL_E_INVALID_SQL, "_seq");
    FAILS_AT("UPDATE chat.messages SET contents = 1 WHERE id = 2", KL_E_EXEC,
        "column \"contents\" does not exist", 26);
    assert_non_null(strstr(db.err.hint, "messages.content"));
    FAILS("DELETE FROM chat.messages WHERE _deleted = true", KL_E_UNSUPPORTED, "_deleted");
    FAILS("SELECT * FROM chat.messages WHERE _deleted = true OR id = 1", KL_E_UNSUPPORTED,
        "_deleted");
    FAILS("DELETE FROM chat.messages WHERE id IN (SELECT 1)", KL_E_UNSUPPORTED, "subquery");
    FAILS("UPDATE chat.messages SET content = 'a', content = 'b' WHERE id = 1", KL_E_INVALID_SQL,
        "multiple assignments");
}

static void rows_collapse(void **state) {
    messages();
    struct kl_buf sql = {0};
    kl_buf_puts(&sql, "INSERT INTO chat.messages (id, conversation_id, role_id, content) VALUES ");
    for (int i = 0; i < 1000; i++) {
        kl_buf_printf(&sql, "%s(%d, %d, 'r''%d', %s)", i ? ", " : "", i, -i, i,
            i % 3 == 0   ? "NULL"
            : i % 3 == 1 ? "'x'"
                         : "7");
    }
    kl_buf_u8(&sql, 0);
    size_t before = kl_plan_cache_size(db.cache);
    GIVES(sql.data, "1000");
    assert_int_equal(kl_plan_cache_size(db.cache), before + 1);
    ROWS("SELECT count(*), sum(id), min(conversation_id), count(content), max(content) FROM "
         "chat.messages",
        "1000|499500|-999|666|x");
    GIVES("INSERT INTO chat.messages (id, conversation_id, role_id, content) VALUES (5000, 1, 'y', "
          "'z')",
        "1");
    assert_int_equal(
        kl_plan_cache_size(db.cache), before + 2); /* the SELECT, but no second INSERT */
    /* rows of different shapes */
    GIVES("INSERT INTO chat.messages (id, conversation_id, role_id, content) VALUES (6000, 1 + 1, "
          "'y', DEFAULT), (6001, 2, lower('Q'), 'w')",
        "2");
    ROWS("SELECT id, conversation_id, role_id, content FROM chat.messages WHERE id >= 6000",
        "6000|2|y|NULL\n6001|2|q|w");
    /* expressions in collapsed rows have values of their own */
    GIVES("INSERT INTO chat.messages (id, conversation_id, role_id, created_at) VALUES (7000, 1 + "
          "5, 'a', '2026-01-01'::timestamp + INTERVAL '1 hour'),"
          " (7001, 2 + 5, 'b', '2026-02-01'::timestamp + INTERVAL '1 hour')",
        "2");
    ROWS("SELECT id, conversation_id, created_at FROM chat.messages WHERE id >= 7000",
        "7000|6|2026-01-01 01:00:00\n7001|7|2026-02-01 01:00:00");
    /* no values at all */
    GIVES("INSERT INTO chat.messages (conversation_id, role_id) VALUES (length('ab'), upper('q')), "
          "(length('ab'), upper('q'))",
        "2");
    GIVES("INSERT INTO chat.messages (conversation_id, role_id, created_at) VALUES (8, 'e', "
          "NOW()), (9, 'f', NOW())",
        "2");
    kl_buf_deinit(&sql);
}

static void insert_refusals(void **state) {
    messages();
    FAILS("INSERT INTO chat.messages (id, nope) VALUES (1, 2)", KL_E_EXEC,
        "Column 'nope' does not exist");
    FAILS("INSERT INTO chat.messages (id, _seq) VALUES (1, 2)", KL_E_INVALID_SQL, "_seq");
    FAILS("INSERT INTO chat.messages (id, conversation_id) VALUES (1)", KL_E_INVALID_SQL,
        "INSERT has more target columns than expressions");
    FAILS("INSERT INTO chat.messages (id) VALUES (1, 2)", KL_E_INVALID_SQL,
        "INSERT has more expressions than target columns");
    FAILS("INSERT INTO chat.messages (id, id) VALUES (1, 2)", KL_E_INVALID_SQL,
        "specified more than once");
    FAILS("INSERT INTO chat.messages VALUES (1, 2), (1)", KL_E_INVALID_SQL,
        "VALUES lists must all be the same length");
    FAILS("INSERT INTO chat.messages (id, conversation_id, role_id) VALUES (1, 1, 'a'), (2, NULL, "
          "'b')",
        KL_E_CONSTRAINT,
        "NOT NULL constraint violation: column 'conversation_id' cannot be NULL (row 2)");
    FAILS("INSERT INTO chat.messages (id, role_id) VALUES (1, 'a')", KL_E_CONSTRAINT,
        "column 'conversation_id' cannot be NULL (row 1)");
    FAILS("INSERT INTO chat.messages VALUES ('x', 1, 'a')", KL_E_TYPE,
        "invalid input syntax for type bigint: \"x\"");
    FAILS("INSERT INTO chat.messages VALUES (1e30, 1, 'a')", KL_E_TYPE, "bigint");
    FAILS("INSERT INTO chat.messages (id) VALUES (conversation_id)", KL_E_INVALID_SQL,
        "cannot be used in VALUES");
    FAILS("INSERT INTO chat.messages (id) VALUES ((SELECT 1))", KL_E_UNSUPPORTED, "subquery");
    FAILS("INSERT INTO system.users (user_id) VALUES ('x')", KL_E_EXEC,
        "Cannot insert system table 'system.users'");
    FAILS("INSERT INTO chat.nothing VALUES (1)", KL_E_NOT_FOUND, "Table not found: chat.nothing");
    db_as("nobody", KL_ROLE_ANONYMOUS);
    FAILS("INSERT INTO chat.messages VALUES (1, 2, 'a')", KL_E_PERMISSION_DENIED,
        "Anonymous users can only SELECT");
}

static void every_type(void **state) {
    RUN("CREATE NAMESPACE app");
    RUN("CREATE TABLE app.t (k TEXT PRIMARY KEY, b BOOLEAN, s SMALLINT, i INT, f FLOAT, d DOUBLE, "
        "n DECIMAL(10,2), dt DATE, tm TIME, tz DATETIME,"
        " j JSON, y BYTES, u UUID, e EMBEDDING(2)) WITH (TYPE='USER')");
    RUN("INSERT INTO app.t VALUES ('a', true, 1, -2, 1.5, 2.25, 3.456, '2026-01-02', '10:11:12', "
        "'2026-01-01 00:00:00+02', '{\"a\": 1}',"
        " X'DEad', '00112233-4455-6677-8899-aabbccddeeff', '[1, 2.5]')");
    RUN("INSERT INTO app.t (k, y) VALUES ('b', '\\xdead')");
    ROWS("SELECT b, s, i, f, d, n, dt, tm, tz, j, y, u FROM app.t WHERE k = 'a'",
        "true|1|-2|1.5|2.25|3.46|2026-01-02|10:11:12|2025-12-31 22:00:00+00|{\"a\": "
        "1}|\\xdead|00112233-4455-6677-8899-aabbccddeeff");
    ROWS("SELECT k FROM app.t WHERE y = X'DEAD'", "a\nb");
    FAILS("INSERT INTO app.t (k, j) VALUES ('c', '{')", KL_E_TYPE, "json");
    FAILS("INSERT INTO app.t (k, e) VALUES ('c', '[1]')", KL_E_TYPE, "");
    FAILS("INSERT INTO app.t (k, s) VALUES ('c', 40000)", KL_E_TYPE, "smallint out of range");
    FAILS("INSERT INTO app.t (k, y) VALUES ('c', X'DEA')", KL_E_INVALID_SQL, "");
}

static void parameters(void **state) {
    messages();
    struct kl_val p[] = {
        kl_val_i64(5), kl_val_text(KL_S("user")), kl_val_text(KL_S("hi")), kl_val_null(KL_T_NULL)};
    p[1].flags = p[2].flags = KL_VAL_UNKNOWN;
    assert_int_equal(db_run_params("INSERT INTO chat.messages (id, conversation_id, role_id, "
                                   "content) VALUES ($1, 7, $2, $3), (6, $1, $2, $4)",
                         p, 4),
        KL_OK);
    assert_int_equal(db_run_params("SELECT id, conversation_id, content FROM chat.messages WHERE "
                                   "role_id = $2 AND id < 100 LIMIT $1",
                         p, 2),
        KL_OK);
    assert_string_equal(db_rows(), "5|7|hi\n6|5|NULL");
    assert_int_equal(
        db_run_params("SELECT $1, $2, $1 + 1 FROM chat.messages WHERE id = $1", p, 2), KL_OK);
    assert_string_equal(db_rows(), "5|user|6");
    assert_int_equal(db_run_params("SELECT $3", p, 2), KL_E_INVALID_PARAMETER);
    assert_int_equal(db_run_params("SELECT `id` FROM chat.messages WHERE id = $3", p, 2),
        KL_E_INVALID_PARAMETER);
    assert_int_equal(db_run_params("SELECT `id` FROM chat.messages WHERE id = $1", p, 1), KL_OK);
    assert_string_equal(db_rows(), "5");
}

static void streams(void **state) {
    RUN("CREATE NAMESPACE app");
    RUN("CREATE STREAM TABLE app.events (event_id TEXT PRIMARY KEY, data TEXT) RETENTION 10 "
        "EPHEMERAL MAX_BUFFER 5000");
    RUN("INSERT INTO app.events VALUES ('b', '1'), ('a', '2'), ('a', '3')");
    ROWS("SELECT data FROM app.events", "1\n2\n3"); /* in the order written: keys are not unique */
    ROWS("SELECT data FROM app.events WHERE event_id = 'a'", "2\n3");
    assert_false(db.point);
    FAILS("UPDATE app.events SET data = 'x' WHERE event_id = 'a'", KL_E_EXEC,
        "UPDATE not supported for STREAM tables");
    GIVES("DELETE FROM app.events WHERE event_id = 'a'", "2");
}

static void composite_keys(void **state) {
    RUN("CREATE NAMESPACE app");
    RUN("CREATE TABLE app.t (a INT, b TEXT, v DOUBLE, PRIMARY KEY (b, a)) WITH (TYPE='USER')");
    RUN("INSERT INTO app.t VALUES (2, 'x', 1), (1, 'x', 2), (1, 'a', 3)");
    ROWS("SELECT a, b FROM app.t", "1|a\n1|x\n2|x");
    ROWS("SELECT v FROM app.t WHERE a = 1 AND b = 'x' AND v > 0", "2");
    assert_true(db.point);
    ROWS("SELECT v FROM app.t WHERE a = 1", "3\n2");
    assert_false(db.point);
    ROWS("SELECT v FROM app.t WHERE a = 99999999999 AND b = 'x'", "");
    ROWS("SELECT v FROM app.t WHERE a = NULL AND b = 'x'", "");
    GIVES("SELECT a FROM app.t WHERE a = 1 AND b = 'a'", "a:INT pk nn\n1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(insert_and_read, db_setup, db_teardown),
        cmocka_unit_test_setup_teardown(update_and_delete, db_setup, db_teardown),
        cmocka_unit_test_setup_teardown(rows_collapse, db_setup, db_teardown),
        cmocka_unit_test_setup_teardown(insert_refusals, db_setup, db_teardown),
        cmocka_unit_test_setup_teardown(every_type, db_setup, db_teardown),
        cmocka_unit_test_setup_teardown(parameters, db_setup, db_teardown),
        cmocka_unit_test_setup_teardown(streams, db_setup, db_teardown),
        cmocka_unit_test_setup_teardown(composite_keys, db_setup, db_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
