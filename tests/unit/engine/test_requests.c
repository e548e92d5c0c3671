/* Requests through the engine: DDL, DML, isolation, constraints, rollback, restart. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "harness.h"

static struct harness H;
static struct answer A;

static void ok_as(const char *user, enum kl_role role, const char *sql, const char *expect) {
    h_exec(&H, user, role, sql, &A);
    if (A.rc != KL_OK) {
        fail_msg("%s\n  failed: %s (%s)", sql, A.err, kl_rc_name(A.rc));
    }
    if (expect != NULL && strcmp(A.text, expect) != 0) {
        fail_msg("%s\n  expected:\n%s  got:\n%s", sql, expect, A.text);
    }
}

static void ok(const char *sql, const char *expect) { ok_as("root", KL_ROLE_SYSTEM, sql, expect); }

static void bad_as(const char *user, enum kl_role role, const char *sql, enum kl_rc rc, const char *part) {
    h_exec(&H, user, role, sql, &A);
    if (A.rc != rc || strstr(A.err, part) == NULL) {
        fail_msg("%s\n  expected %s with \"%s\", got %s \"%s\"", sql, kl_rc_name(rc), part, kl_rc_name(A.rc), A.err);
    }
}

static void bad(const char *sql, enum kl_rc rc, const char *part) { bad_as("root", KL_ROLE_SYSTEM, sql, rc, part); }

static int setup(void **state) {
    struct kl_err err;
    (void)state;
    h_make_dir(&H, "requests");
    return h_open(&H, &err) == KL_OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    h_close(&H);
    kl_dir_remove(H.dir);
    return 0;
}

static void walk(void **state) {
    (void)state;
    ok("CREATE NAMESPACE IF NOT EXISTS chat", "Namespace 'chat' created successfully\n");
    ok("CREATE NAMESPACE IF NOT EXISTS chat", "Namespace 'chat' already exists\n");
    ok("CREATE TABLE chat.messages (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), conversation_id BIGINT NOT NULL, "
       "role_id TEXT NOT NULL, content TEXT NOT NULL, created_at TIMESTAMP DEFAULT NOW()) WITH (TYPE = 'USER', FLUSH_POLICY = 'rows:1000')",
        "user table chat.messages created successfully\n");
    ok("INSERT INTO chat.messages (conversation_id, role_id, content) VALUES (1, 'user', 'Hello, AI!'), (1, 'assistant', 'Hi!')",
        "Inserted 2 row(s)\n");
    ok("SELECT role_id, content FROM chat.messages WHERE conversation_id = 1 ORDER BY created_at ASC", "user|Hello, AI!\nassistant|Hi!\n");
    ok_as("bob", KL_ROLE_USER, "SELECT * FROM chat.messages", "");
    ok_as("bob", KL_ROLE_USER, "INSERT INTO chat.messages (id, conversation_id, role_id, content) VALUES (7, 1, 'user', 'mine')",
        "Inserted 1 row(s)\n");
    ok_as("bob", KL_ROLE_USER, "SELECT content FROM chat.messages WHERE id = 7", "mine\n");
    ok("SELECT content FROM chat.messages WHERE id = 7", "");
    ok("SELECT count(*) FROM chat.messages", "2\n");
    ok_as("bob", KL_ROLE_USER, "UPDATE chat.messages SET content = 'ours' WHERE id = 7", "Updated 1 row(s)\n");
    ok_as("bob", KL_ROLE_USER, "UPDATE chat.messages SET content = 'ours' WHERE id = 7", "Updated 0 row(s)\n");
    ok_as("bob", KL_ROLE_USER, "DELETE FROM chat.messages WHERE content LIKE 'o%'", "Deleted 1 row(s)\n");
    ok_as("bob", KL_ROLE_USER, "SELECT count(*) FROM chat.messages", "0\n");
}

static void constraints(void **state) {
    (void)state;
    ok("CREATE NAMESPACE c; CREATE SHARED TABLE c.t (k TEXT PRIMARY KEY, n INT NOT NULL)", NULL);
    ok("INSERT INTO c.t VALUES ('a', 1)", "Inserted 1 row(s)\n");
    bad("INSERT INTO c.t VALUES ('a', 2)", KL_E_CONSTRAINT, "Primary key violation: value 'a' already exists in column 'k'");
    bad("INSERT INTO c.t VALUES ('b', 2), ('b', 3)", KL_E_CONSTRAINT, "appears multiple times in the insert batch");
    ok("SELECT k FROM c.t", "a\n");
    bad("INSERT INTO c.t (k) VALUES ('z')", KL_E_CONSTRAINT, "NOT NULL constraint violation: column 'n'");
    bad("INSERT INTO c.t VALUES ('z', 'x')", KL_E_TYPE, "x");
    bad("INSERT INTO c.t VALUES ('z', 3000000000)", KL_E_TYPE, "out of range");
    ok("DELETE FROM c.t WHERE k = 'a'", "Deleted 1 row(s)\n");
    ok("INSERT INTO c.t VALUES ('a', 9)", "Inserted 1 row(s)\n");
    ok("SELECT * FROM c.t WHERE k = 'a'", NULL);
    assert_true(strncmp(A.text, "a|9|", 4) == 0);
    bad("SELECT nope FROM c.t", KL_E_EXEC, "nope");
    bad("SELECT * FROM c.missing", KL_E_NOT_FOUND, "Table not found: c.missing");
    bad("INSERT INTO c.t VALUES ('q', 1); SELEC", KL_E_INVALID_SQL, "");
    ok("SELECT count(*) FROM c.t WHERE k = 'q'", "0\n");
    bad("INSERT INTO c.t VALUES ('q', 1); INSERT INTO c.t VALUES ('q', 1)", KL_E_CONSTRAINT, "Statement 2 failed: ");
    ok("SELECT count(*) FROM c.t WHERE k = 'q'", "1\n");
}

static void roles(void **state) {
    (void)state;
    bad_as("eve", KL_ROLE_USER, "SELECT * FROM c.t", KL_E_PERMISSION_DENIED, "");
    bad_as("eve", KL_ROLE_USER, "CREATE NAMESPACE x", KL_E_PERMISSION_DENIED, "Admin privileges (DBA or System role) required for namespace operations");
    bad_as("eve", KL_ROLE_USER, "SELECT * FROM system.users", KL_E_PERMISSION_DENIED, "");
    ok_as("eve", KL_ROLE_USER, "SELECT name FROM system.namespaces WHERE name = 'chat'", "chat\n");
    ok("CREATE USER 'svc' WITH PASSWORD 'SecureKey123!' ROLE 'service'", "User 'svc' created\n");
    bad("CREATE USER 'svc' WITH PASSWORD 'SecureKey123!' ROLE 'service'", KL_E_EXISTS, "User 'svc' already exists");
    ok("EXECUTE AS USER 'svc' (INSERT INTO chat.messages (conversation_id, role_id, content) VALUES (5, 'x', 'as svc'))", "Inserted 1 row(s)\n");
    ok_as("svc", KL_ROLE_SERVICE, "SELECT content FROM chat.messages", "as svc\n");
    bad_as("eve", KL_ROLE_USER, "EXECUTE AS USER 'svc' (SELECT * FROM chat.messages)", KL_E_PERMISSION_DENIED, "not authorized");
    bad("EXECUTE AS USER 'eve' (INSERT INTO c.t VALUES ('e', 1))", KL_E_EXEC, "EXECUTE AS USER is not allowed on SHARED tables");
    ok("DROP USER 'svc'", "User 'svc' dropped (soft delete)\n");
    bad("ALTER USER 'svc' SET ROLE 'dba'", KL_E_NOT_FOUND, "User 'svc' not found");
}

static void alter(void **state) {
    (void)state;
    ok("CREATE NAMESPACE al; CREATE TABLE al.t (a INT, b TEXT) WITH (TYPE='USER'); INSERT INTO al.t VALUES (1, 'x')", NULL);
    ok("ALTER TABLE al.t ADD COLUMN c INT DEFAULT 5", NULL);
    ok("SELECT a, b, c FROM al.t", "1|x|5\n");
    ok("ALTER TABLE al.t RENAME COLUMN b TO bb", NULL);
    ok("SELECT bb FROM al.t", "x\n");
    bad("ALTER TABLE al.t ADD COLUMN d INT NOT NULL", KL_E_CONSTRAINT, "NOT NULL");
    ok("ALTER TABLE al.t DROP COLUMN a", NULL);
    ok("INSERT INTO al.t (bb) VALUES ('y')", NULL);
    ok("SELECT bb, c FROM al.t", "x|5\ny|5\n");
    ok("DROP TABLE al.t", NULL);
    bad("SELECT * FROM al.t", KL_E_NOT_FOUND, "Table not found");
    ok("CREATE TABLE al.t (z INT) WITH (TYPE='USER'); SELECT * FROM al.t", "user table al.t created successfully\n");
}

static void duck(void **state) {
    (void)state;
    ok("SELECT k, sum(n) FROM c.t GROUP BY k ORDER BY k", NULL);
    ok("SELECT m.content FROM chat.messages m JOIN c.t t ON t.n = m.conversation_id ORDER BY 1", NULL);
    ok_as("carol", KL_ROLE_USER, "SELECT count(*) FROM (SELECT * FROM chat.messages UNION ALL SELECT * FROM chat.messages) x", "0\n");
}

static void stream(void **state) {
    (void)state;
    ok("CREATE NAMESPACE s; CREATE TABLE s.t (id INT, v TEXT) WITH (TYPE='STREAM', TTL_SECONDS=1)", NULL);
    ok("INSERT INTO s.t VALUES (1, 'a'), (2, 'b')", "Inserted 2 row(s)\n");
    ok("SELECT v FROM s.t", "a\nb\n");
    ok_as("bob", KL_ROLE_USER, "SELECT v FROM s.t", "");
    ok("DELETE FROM s.t WHERE id = 1", "Deleted 1 row(s)\n");
    ok("SELECT v FROM s.t", "b\n");
    bad("UPDATE s.t SET v = 'c' WHERE id = 2", KL_E_EXEC, "UPDATE not supported for STREAM tables");
    usleep(1200000);
    ok("SELECT v FROM s.t", "");
}

static void restart(void **state) {
    struct kl_err err;
    (void)state;
    ok("SELECT k, n, _seq FROM c.t ORDER BY k", NULL);
    struct answer before = A;
    h_close(&H);
    assert_int_equal(h_open(&H, &err), KL_OK);
    ok("SELECT k, n, _seq FROM c.t ORDER BY k", before.text);
    ok("SELECT max(_seq) FROM c.t", NULL);
    long long last = atoll(A.text);
    ok("INSERT INTO c.t VALUES ('after', 1); SELECT _seq FROM c.t WHERE k = 'after'", NULL);
    assert_true(atoll(strchr(A.text, '\n') + 1) > last);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walk), cmocka_unit_test(constraints), cmocka_unit_test(roles), cmocka_unit_test(alter),
        cmocka_unit_test(duck), cmocka_unit_test(stream), cmocka_unit_test(restart),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
