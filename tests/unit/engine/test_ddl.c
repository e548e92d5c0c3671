/* Statements that change the catalog: what the rows forbid, what is told of other users' rows, views as the caller, CREATE TABLE AS that fails,
 * storages on a real disk, what dropping leaves in the store, and the audit log. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/audit.h"
#include "engine/internal.h"
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
static void user(const char *name, const char *sql, const char *expect) { ok_as(name, KL_ROLE_USER, sql, expect); }
static void bad(const char *sql, enum kl_rc rc, const char *part) {
    h_exec(&H, "root", KL_ROLE_SYSTEM, sql, &A);
    if (A.rc != rc || strstr(A.err, part) == NULL) {
        fail_msg("%s\n  expected %s with \"%s\", got %s \"%s\"", sql, kl_rc_name(rc), part, kl_rc_name(A.rc), A.err);
    }
}

static int setup(void **state) {
    struct kl_err err;
    (void)state;
    h_make_dir(&H, "ddl");
    return h_open(&H, &err) == KL_OK ? 0 : -1;
}
static int teardown(void **state) {
    (void)state;
    kl_fault_set(NULL);
    h_close(&H);
    kl_dir_remove(H.dir);
    return 0;
}
static void reopen(void) {
    struct kl_err err;
    h_close(&H);
    assert_int_equal(h_open(&H, &err), KL_OK);
}

static void rows_decide(void **state) {
    (void)state;
    ok("CREATE NAMESPACE a; CREATE USER TABLE a.t (id INT PRIMARY KEY, n BIGINT, s TEXT)", NULL);
    user("ann", "INSERT INTO a.t VALUES (1, 5, 'x'), (2, NULL, 'secret')", NULL);
    user("bob", "INSERT INTO a.t VALUES (1, 7000000000, '12')", NULL);
    bad("ALTER TABLE a.t ALTER COLUMN n SET NOT NULL", KL_E_CONSTRAINT, "contains NULL values");
    bad("ALTER TABLE a.t MODIFY COLUMN n INT", KL_E_CONSTRAINT, "a value of another user does not fit");
    assert_null(strstr(A.err, "7000000000"));
    bad("ALTER TABLE a.t MODIFY COLUMN s INT", KL_E_CONSTRAINT, "cannot become INT");
    assert_null(strstr(A.err, "secret"));
    assert_null(strstr(A.hint, "secret"));
    ok("INSERT INTO a.t VALUES (1, 1, 'mine')", NULL);
    bad("ALTER TABLE a.t ADD CONSTRAINT small CHECK (n < 100)", KL_E_CONSTRAINT, "\"small\" of table a.t is violated by some row");
    bad("ALTER TABLE a.t ADD CONSTRAINT odd CHECK (100 / (n - 5) < 100)", KL_E_CONSTRAINT, "cannot be evaluated for some row");
}

static void rows_allow(void **state) {
    (void)state;
    ok("CREATE NAMESPACE a; CREATE USER TABLE a.t (id INT PRIMARY KEY, n BIGINT, s TEXT)", NULL);
    user("ann", "INSERT INTO a.t VALUES (1, 5, '31')", NULL);
    ok("ALTER TABLE a.t MODIFY COLUMN s INT NOT NULL", "Table a.t altered successfully: MODIFY COLUMN s INT NOT NULL (version 2)\n");
    ok("ALTER TABLE a.t MODIFY COLUMN s INT NOT NULL", "Table a.t unchanged: MODIFY COLUMN s INT NOT NULL (version 2 - no changes needed)\n");
    user("ann", "SELECT s + 1 FROM a.t", "32\n");
    ok("ALTER TABLE a.t ADD CONSTRAINT small CHECK (n < 100)", NULL);
    h_exec(&H, "ann", KL_ROLE_USER, "INSERT INTO a.t VALUES (2, 100, 1)", &A);
    assert_int_equal(A.rc, KL_E_CONSTRAINT);
    ok("ALTER TABLE a.t RENAME COLUMN n TO amount", NULL);
    h_exec(&H, "ann", KL_ROLE_USER, "INSERT INTO a.t VALUES (2, 100, 1)", &A);
    assert_int_equal(A.rc, KL_E_CONSTRAINT);
    ok("ALTER TABLE a.t DROP CONSTRAINT small", NULL);
    user("ann", "INSERT INTO a.t VALUES (2, 100, 1)", NULL);
    ok("ALTER TABLE a.t RENAME TO u", NULL);
    reopen();
    user("ann", "SELECT id, amount, s FROM a.u ORDER BY id", "1|5|31\n2|100|1\n");
}

static void views_belong_to_the_caller(void **state) {
    (void)state;
    ok("CREATE NAMESPACE a; CREATE USER TABLE a.t (id INT PRIMARY KEY, s TEXT)", NULL);
    user("ann", "INSERT INTO a.t VALUES (1, 'of ann')", NULL);
    user("bob", "INSERT INTO a.t VALUES (1, 'of bob'), (2, 'b')", NULL);
    ok("CREATE VIEW a.v (word, n) AS SELECT s, count(*) FROM a.t GROUP BY s", "View a.v created successfully\n");
    user("ann", "SELECT word, n FROM a.v", "of ann|1\n");
    ok("SELECT * FROM a.v", "");
    bad("CREATE VIEW a.v AS SELECT 1 AS x", KL_E_EXISTS, "already exists");
    bad("CREATE VIEW a.w (x, y) AS SELECT 1", KL_E_INVALID_SQL, "");
    bad("CREATE VIEW a.w AS SELECT 1 AS x, 2 AS x", KL_E_INVALID_SQL, "specified more than once");
    bad("INSERT INTO a.v VALUES ('x', 1)", KL_E_EXEC, "cannot insert into view");
    ok("CREATE VIEW a.w AS SELECT word FROM a.v", NULL);
    h_exec(&H, "root", KL_ROLE_SYSTEM, "CREATE OR REPLACE VIEW a.v AS SELECT word FROM a.w", &A);
    assert_int_not_equal(A.rc, KL_OK); /* would read itself */
    user("ann", "SELECT word FROM a.w", "of ann\n");
    ok("CREATE OR REPLACE VIEW a.v AS SELECT s AS word FROM a.t WHERE id = 2", NULL);
    reopen();
    user("bob", "SELECT word FROM a.w", "b\n");
    ok("COMMENT ON VIEW a.v IS 'second ones'", NULL);
    bad("DROP TABLE a.v", KL_E_EXEC, "view");
    ok("DROP VIEW a.w; DROP VIEW a.v", NULL);
}

static void create_table_as(void **state) {
    (void)state;
    ok("CREATE NAMESPACE a; CREATE SHARED TABLE a.t (id INT PRIMARY KEY, s TEXT)", NULL);
    ok("INSERT INTO a.t VALUES (1, 'one'), (2, 'two')", NULL);
    ok("CREATE SHARED TABLE a.copy AS SELECT * FROM a.t", NULL);
    ok("SELECT id, s FROM a.copy ORDER BY id", "1|one\n2|two\n");
    bad("CREATE SHARED TABLE a.copy AS SELECT 1 AS x", KL_E_EXISTS, "already exists");
    ok("CREATE SHARED TABLE a.empty AS SELECT id + 1 AS n FROM a.t WITH NO DATA", NULL);
    ok("SELECT n FROM a.empty", "");
    bad("CREATE SHARED TABLE a.broken AS SELECT 1 / (id - 2) AS n FROM a.t", KL_E_EXEC, "division by zero");
    bad("SELECT * FROM a.broken", KL_E_NOT_FOUND, "broken");
    /* A row that no table can hold fails when the table is there already. */
    h_exec(&H, "root", KL_ROLE_SYSTEM, "CREATE SHARED TABLE a.broken AS SELECT repeat('x', 9000000) AS x, repeat('y', 9000000) AS y", &A);
    assert_int_equal(A.rc, KL_E_TOO_LARGE);
    bad("SELECT * FROM a.broken", KL_E_NOT_FOUND, "broken");
    ok("CREATE SHARED TABLE a.broken AS SELECT 1 AS x", NULL);
}

static void storages(void **state) {
    char sql[1024], dir[512], again[512];
    (void)state;
    snprintf(dir, sizeof(dir), "%s/cold", H.dir);
    snprintf(sql, sizeof(sql), "CREATE STORAGE cold TYPE filesystem BASE_DIRECTORY '%s' CREDENTIALS '{\"key\":\"hidden\"}'", dir);
    ok(sql, "Storage 'cold' created successfully\n");
    assert_true(kl_path_exists(dir));
    ok("STORAGE CHECK cold", NULL);
    assert_int_equal(strncmp(A.text, "cold|healthy|true|true|true|true|", 33), 0);
    /* A file where a folder should be. */
    struct kl_err err;
    kl_err_clear(&err);
    snprintf(again, sizeof(again), "%s/file", H.dir);
    assert_int_equal(kl_file_write_atomic(again, KL_S("x"), 0600, &err), KL_OK);
    snprintf(sql, sizeof(sql), "CREATE STORAGE bad TYPE filesystem BASE_DIRECTORY '%s'", again);
    bad(sql, KL_E_EXEC, "Storage connectivity check failed (latency ");
    bad("CREATE STORAGE bad TYPE filesystem BASE_DIRECTORY 'somewhere'", KL_E_INVALID_SQL, "absolute path");
    bad("CREATE STORAGE bad TYPE s3 BUCKET 'b'", KL_E_UNSUPPORTED, "not available in this version");
    bad("STORAGE CHECK nope", KL_E_NOT_FOUND, "Storage 'nope' not found");
    ok("CREATE NAMESPACE a; CREATE SHARED TABLE a.t (id INT PRIMARY KEY) WITH (STORAGE_ID = 'cold')", NULL);
    bad("DROP STORAGE cold", KL_E_EXEC, "Cannot drop storage 'cold': 1 table(s) still using it");
    kl_dir_remove(dir);
    assert_int_equal(kl_file_write_atomic(dir, KL_S("x"), 0600, &err), KL_OK);
    ok("STORAGE CHECK cold", NULL);
    assert_int_equal(strncmp(A.text, "cold|unreachable|false|false|false|false|", 41), 0);
    ok("DROP TABLE a.t; DROP STORAGE cold; DROP STORAGE IF EXISTS cold", NULL);
}

/* Entries of a family that belong to an id. */
static size_t left(enum kl_cf cf, uint32_t id) {
    size_t n = 0;
    struct kl_iter *it = kl_iter_new(H.store, &(struct kl_iter_options){.cf = cf});
    for (kl_iter_seek_first(it); kl_iter_valid(it); kl_iter_next(it)) {
        struct kl_scope scope;
        struct kl_slice rest;
        uint32_t at;
        assert_int_equal(kl_key_parse(kl_iter_key(it), &scope, &at, &rest), KL_OK);
        n += id == 0 || at == id;
    }
    kl_iter_free(it);
    return n;
}
static void wait_for_nothing(enum kl_cf cf, uint32_t id) {
    for (int i = 0; i < 500 && left(cf, id) > 0; i++) {
        usleep(10000);
    }
    assert_int_equal(left(cf, id), 0);
}

static void dropping_leaves_nothing(void **state) {
    (void)state;
    ok("CREATE NAMESPACE a; CREATE USER TABLE a.t (id INT PRIMARY KEY, n INT, s TEXT UNIQUE); CREATE INDEX by_n ON a.t (n)", NULL);
    user("ann", "INSERT INTO a.t VALUES (1, 5, 'x'), (2, 6, 'y')", NULL);
    user("bob", "INSERT INTO a.t VALUES (1, 5, 'x')", NULL);
    assert_int_equal(left(KL_CF_IDX, 0), 6);
    ok("ALTER TABLE a.t DROP CONSTRAINT t_s_key", NULL);
    for (int i = 0; i < 500 && left(KL_CF_IDX, 0) > 3; i++) {
        usleep(10000);
    }
    assert_int_equal(left(KL_CF_IDX, 0), 3);
    user("bob", "INSERT INTO a.t VALUES (2, 5, 'x')", NULL);
    ok("DROP TABLE a.t", NULL);
    wait_for_nothing(KL_CF_IDX, 0);
    wait_for_nothing(KL_CF_ROW, 0);
    wait_for_nothing(KL_CF_PK, 0);
}

/* ---- audit ---- */

struct seen {
    char text[20000];
    size_t n;
    int64_t last_us;
};

static enum kl_rc see(void *ctx, const struct kl__audit_entry *e, struct kl_err *err) {
    struct seen *s = ctx;
    size_t at = strlen(s->text);
    (void)err;
    assert_true(e->us >= s->last_us);
    s->last_us = e->us;
    s->n++;
    snprintf(s->text + at, sizeof(s->text) - at, "%.*s %.*s %.*s [%.*s]\n", KL_FMT(e->actor), KL_FMT(e->action), KL_FMT(e->target),
        KL_FMT(e->details));
    return KL_OK;
}

static struct seen read_audit(void) {
    struct seen s = {0};
    struct kl_err err;
    kl_err_clear(&err);
    assert_int_equal(kl__audit_each(H.engine, see, &s, &err), KL_OK);
    return s;
}

static void audit(void **state) {
    (void)state;
    ok("CREATE NAMESPACE a; CREATE USER TABLE a.t (id INT PRIMARY KEY); ALTER TABLE a.t ADD COLUMN n INT", NULL);
    ok("CREATE NAMESPACE IF NOT EXISTS a; ALTER TABLE a.t DROP COLUMN IF EXISTS nope", NULL); /* changes nothing */
    bad("CREATE USER TABLE a.t (id INT PRIMARY KEY)", KL_E_EXISTS, "");
    ok("CREATE USER 'ann' WITH PASSWORD 'Very-Secret-1' ROLE user; DROP TABLE a.t", NULL);
    for (int i = 0; i < 20; i++) { /* the first stands for all of this minute */
        ok("EXECUTE AS USER 'ann' (SELECT 1)", NULL);
    }
    h_exec(&H, "bob", KL_ROLE_USER, "EXECUTE AS USER 'ann' (SELECT 1)", &A);
    assert_int_equal(A.rc, KL_E_PERMISSION_DENIED);
    struct seen s = read_audit();
    for (int i = 0; i < 500 && s.n < 7; i++) { /* the last two are posted */
        usleep(10000);
        s = read_audit();
    }
    assert_string_equal(s.text, "root CREATE_NAMESPACE namespace:a []\n"
                                "root CREATE_TABLE a.t [user]\n"
                                "root ALTER_TABLE a.t [ADD COLUMN n INT]\n"
                                "root CREATE_USER user:ann [role user, password]\n"
                                "root DROP_TABLE a.t []\n"
                                "root EXECUTE_AS_USER user:ann [select]\n"
                                "bob EXECUTE_AS_USER_DENIED user:ann [role_not_allowed]\n");
    reopen();
    assert_string_equal(read_audit().text, s.text);
    kl__audit_sweep(H.engine);
    assert_string_equal(read_audit().text, s.text);
}

/* What is older than what is kept goes, and nothing else. */
static void audit_forgets(void **state) {
    struct kl_batch *b = kl_batch_new(H.store);
    struct kl_err err;
    int64_t now = kl_clock_wall_us(), day = (int64_t)24 * 3600 * 1000000;
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct kl__audit_entry e = {.us = now - i * day, .actor = KL_S("x"), .action = KL_S("Y"), .target = KL_S("z")};
        kl__audit(b, &e);
    }
    assert_int_equal(kl_store_commit(H.store, &b, 1, false, &err), KL_OK);
    kl_batch_free(b);
    assert_int_equal(read_audit().n, 200);
    kl__audit_sweep(H.engine);
    assert_int_equal(read_audit().n, 90);
    kl__audit_sweep(H.engine);
    assert_int_equal(read_audit().n, 90);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {CASE(rows_decide), CASE(rows_allow), CASE(views_belong_to_the_caller), CASE(create_table_as),
        CASE(storages), CASE(dropping_leaves_nothing), CASE(audit), CASE(audit_forgets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
