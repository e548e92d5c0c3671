/* The plan cache: what shares a plan, what must not, how the cache stays small, what a hit costs.
 */
#include "test_plan_support.h"

static void tables(void) {
    RUN("CREATE NAMESPACE app");
    RUN("CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, a TEXT, n INT, d DECIMAL(10,2))");
}

/* Id of the plan that a statement gets. */
static uint64_t plan_id(const char *sql, const struct kl_val *params, size_t n) {
    struct kl_sql_ctx ctx = db_ctx();
    struct kl_bound b;
    kl_arena_reset(&db.arena);
    if (kl_sql_bind(&ctx, kl_slice_str(sql), params, n, &db.arena, &b, &db.err) != KL_OK) {
        fail_msg("%s: %s", sql, db.err.msg);
    }
    uint64_t id = b.plan->id;
    kl_bound_release(&b);
    return id;
}
#define ID(sql) plan_id(sql, NULL, 0)

static void sharing(void **state) {
    tables();
    uint64_t id = ID("SELECT a FROM app.t WHERE id = 1 AND a = 'x'");
    assert_int_equal(ID("select  A from APP.t where ID=22 /* c */ and a = 'y'"), id);
    assert_int_equal(ID("SELECT a FROM app.t WHERE id = 1 AND a = 'x';"), id);
    struct kl_val p[] = {kl_val_i64(5), kl_val_text(KL_S("z"))};
    p[1].flags = KL_VAL_UNKNOWN;
    assert_int_equal(plan_id("SELECT a FROM app.t WHERE id = $1 AND a = $2", p, 2), id);
    assert_int_not_equal(ID("SELECT a FROM app.t WHERE id = '1' AND a = 'x'"), id);
    assert_int_not_equal(ID("SELECT a FROM app.t WHERE id = 1.5 AND a = 'x'"), id);
    assert_int_not_equal(ID("SELECT n FROM app.t WHERE id = 1 AND a = 'x'"), id);
    uint64_t ins = ID("INSERT INTO app.t (id, a) VALUES (1, 'x')");
    assert_int_equal(ID("INSERT INTO app.t (id, a) VALUES (2, NULL), ('3', 4.5)"), ins);
    /* another reader's world */
    db.session.ns = KL_S("app");
    assert_int_not_equal(ID("SELECT a FROM app.t WHERE id = 1 AND a = 'x'"), id);
    db.session.ns = KL_S("default");
    db_as("u", KL_ROLE_USER);
    assert_int_not_equal(ID("SELECT a FROM app.t WHERE id = 1 AND a = 'x'"), id);
    db_as("root", KL_ROLE_SYSTEM);
    assert_int_equal(ID("SELECT a FROM app.t WHERE id = 1 AND a = 'x'"), id);
    db.executor = KL_EXECUTOR_AUTO;
    assert_int_not_equal(ID("SELECT a FROM app.t WHERE id = 1 AND a = 'x'"), id);
}

static void schema_changes(void **state) {
    tables();
    RUN("INSERT INTO app.t (id, a) VALUES (1, 'x')");
    uint64_t id = ID("SELECT * FROM app.t WHERE id = 1");
    RUN("ALTER TABLE app.t DROP COLUMN n");
    assert_int_equal(kl_plan_cache_size(db.cache),
        2); /* emptied by the first statement that sees the new version */
    assert_int_not_equal(ID("SELECT * FROM app.t WHERE id = 1"), id);
    assert_int_equal(kl_plan_cache_size(db.cache), 1);
    FAILS("SELECT n FROM app.t WHERE id = 1", KL_E_EXEC, "column \"n\" does not exist");
}

static void fallbacks(void **state) {
    tables();
    RUN("INSERT INTO app.t (id, a, n) VALUES (1, 'x', 7)");
    /* the grammar wants a literal */
    ROWS("SELECT id FROM app.t WHERE timestamp(3) '2026-01-01 10:00:00' > '2026-01-01'", "1");
    uint64_t id =
        ID("SELECT id FROM app.t WHERE timestamp(3) '2026-01-01 10:00:00' > '2026-01-01'");
    assert_int_equal(
        ID("SELECT id FROM app.t WHERE timestamp(3) '2026-01-01 10:00:00' > '2026-01-01'"),
        id); /* kept under its text */
    assert_int_not_equal(
        ID("SELECT id FROM app.t WHERE timestamp(3) '2026-01-01 10:00:00' > '2026-01-02'"), id);
    /* a value does not fit */
    ROWS("SELECT id FROM app.t WHERE n = '7'", "1");
    FAILS_AT("SELECT id FROM app.t WHERE n = 'seven'", KL_E_TYPE,
        "invalid input syntax for type int", 32);
    FAILS_AT("SELECT id FROM app.t WHERE n = 'eight'", KL_E_TYPE, "\"eight\"", 32);
    ROWS("SELECT id FROM app.t WHERE n = '7'", "1");
    ROWS("SELECT id FROM app.t WHERE `n` = 7", "1");
    id = ID("SELECT id FROM app.t WHERE `n` = 7");
    assert_int_equal(ID("SELECT id FROM app.t WHERE `n` = 7"), id);
    struct kl_val p = kl_val_i64(7), q = kl_val_double(7);
    id = plan_id("SELECT id FROM app.t WHERE `n` = $1", &p, 1);
    assert_int_not_equal(plan_id("SELECT id FROM app.t WHERE `n` = $1", &q, 1), id);
    assert_int_equal(plan_id("SELECT id FROM app.t WHERE `n` = $1", &p, 1), id);
}

static void eviction(void **state) {
    tables();
    char sql[100];
    uint64_t hot = ID("SELECT id FROM app.t");
    for (int i = 0; i < 500; i++) {
        snprintf(sql, sizeof(sql), "SELECT id AS c%d FROM app.t WHERE id = 1", i);
        RUN(sql);
        assert_true(kl_plan_cache_size(db.cache) <= 64);
        if (i % 10 == 0) {
            assert_int_equal(ID("SELECT id FROM app.t"), hot); /* used, so kept */
        }
    }
    assert_int_equal(kl_plan_cache_size(db.cache), 64);
    assert_int_equal(ID("SELECT id AS c499 FROM app.t WHERE id = 1"),
        ID("SELECT id AS c499 FROM app.t WHERE id = 7"));
    kl_plan_cache_free(db.cache);
    db.cache = kl_plan_cache_new(0);
    RUN("SELECT id FROM app.t");
    assert_int_equal(kl_plan_cache_size(db.cache), 0);
    kl_plan_cache_free(db.cache);
    db.cache = NULL;
    RUN("SELECT id FROM app.t");
    RUN("INSERT INTO app.t (id) VALUES (1), (2)");
}

/* A plan outlives the cache and the snapshot that it came from. */
static void lifetime(void **state) {
    tables();
    struct kl_sql_ctx ctx = db_ctx();
    struct kl_bound b;
    assert_int_equal(kl_sql_bind(&ctx, KL_S("SELECT id FROM app.t WHERE id = 5"), NULL, 0,
                         &db.arena, &b, &db.err),
        KL_OK);
    kl_plan_cache_free(db.cache);
    db.cache = kl_plan_cache_new(8);
    RUN("DROP TABLE app.t");
    assert_string_equal(b.plan->table->name, "t");
    assert_int_equal(b.plan->select->n_output, 1);
    assert_int_equal(b.n_vals, 1);
    kl_bound_release(&b);
    kl_bound_release(&b); /* nothing left: nothing happens */
}

/* ---- by shape and as written: one meaning ---- */
static unsigned seed;
static unsigned pick(unsigned n) {
    seed = seed * 1103515245 + 12345;
    return (seed >> 16) % n;
}

static void number(struct kl_buf *b, int depth);
static void text(struct kl_buf *b, int depth);

static void condition(struct kl_buf *b, int depth) {
    static const char *const cmp[] = {"=", "<", ">=", "<>"};
    switch (depth > 0 ? pick(7) : pick(2)) {
    case 0:
        number(b, depth - 1);
        kl_buf_printf(b, " %s ", cmp[pick(4)]);
        number(b, depth - 1);
        break;
    case 1:
        text(b, depth - 1);
        kl_buf_printf(b, " %s ", cmp[pick(4)]);
        text(b, depth - 1);
        break;
    case 2:
        kl_buf_puts(b, "(");
        condition(b, depth - 1);
        kl_buf_puts(b, pick(2) ? " AND " : " OR ");
        condition(b, depth - 1);
        kl_buf_puts(b, ")");
        break;
    case 3:
        kl_buf_puts(b, "NOT ");
        condition(b, depth - 1);
        break;
    case 4:
        number(b, depth - 1);
        kl_buf_puts(b, " IN (");
        number(b, 0);
        kl_buf_puts(b, ", ");
        number(b, 0);
        kl_buf_puts(b, ")");
        break;
    case 5:
        text(b, depth - 1);
        kl_buf_puts(b, " LIKE '%l%'");
        break;
    default:
        number(b, depth - 1);
        kl_buf_puts(b, " BETWEEN ");
        number(b, 0);
        kl_buf_puts(b, " AND ");
        number(b, 0);
        break;
    }
}

static void number(struct kl_buf *b, int depth) {
    static const char *const leaves[] = {"id", "n", "d", "1", "-2", "1.50", "3e2", "0.125",
        "9223372036854775807", "'7'::int", "12345678901234567890", "NULL", "length(a)"};
    if (depth <= 0) {
        kl_buf_puts(b, leaves[pick(KL_LEN(leaves))]);
        return;
    }
    switch (pick(4)) {
    case 0:
        kl_buf_puts(b, "(");
        number(b, depth - 1);
        kl_buf_printf(b, " %c ", "+-*/%"[pick(5)]);
        number(b, depth - 1);
        kl_buf_puts(b, ")");
        break;
    case 1:
        kl_buf_puts(b, "coalesce(");
        number(b, depth - 1);
        kl_buf_puts(b, ", ");
        number(b, 0);
        kl_buf_puts(b, ")");
        break;
    case 2:
        kl_buf_puts(b, "CASE WHEN ");
        condition(b, depth - 1);
        kl_buf_puts(b, " THEN ");
        number(b, 0);
        kl_buf_puts(b, " ELSE ");
        number(b, 0);
        kl_buf_puts(b, " END");
        break;
    default:
        kl_buf_puts(b, "-(");
        number(b, depth - 1);
        kl_buf_puts(b, ")");
        break;
    }
}

static void text(struct kl_buf *b, int depth) {
    static const char *const leaves[] = {
        "a", "'hello'", "'it''s'", "E'\\n'", "$$q$$", "''", "'1'::text", "NULL"};
    if (depth <= 0) {
        kl_buf_puts(b, leaves[pick(KL_LEN(leaves))]);
        return;
    }
    switch (pick(3)) {
    case 0:
        text(b, depth - 1);
        kl_buf_puts(b, " || ");
        text(b, 0);
        break;
    case 1:
        kl_buf_puts(b, "upper(");
        text(b, depth - 1);
        kl_buf_puts(b, ")");
        break;
    default:
        kl_buf_puts(b, "substr(");
        text(b, depth - 1);
        kl_buf_puts(b, ", 2)");
        break;
    }
}

static void one_meaning(void **state) {
    const char *given = getenv("KL_TEST_SEED");
    seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)kl_clock_wall_us();
    print_message("KL_TEST_SEED=%u\n", seed);
    tables();
    RUN("INSERT INTO app.t VALUES (1, 'hello', 7, 1.25), (2, NULL, -3, NULL), (3, '', NULL, "
        "99.99)");
    unsigned succeeded = 0;
    for (int i = 0; i < 3000; i++) {
        struct kl_buf expr = {0}, sql = {0};
        unsigned kind = pick(3);
        (kind == 0 ? number : kind == 1 ? text : condition)(&expr, 3);
        kl_buf_puts(&sql, "SELECT ");
        kl_buf_slice(&sql, kl_buf_view(&expr));
        kl_buf_puts(&sql, " FROM app.t WHERE ");
        condition(&sql, 2);
        kl_buf_puts(&sql, " ORDER BY id LIMIT 3");
        kl_buf_u8(&sql, 0);
        enum kl_rc rc = db_run(sql.data);
        char *rows = strdup(rc == KL_OK ? db_rows() : "");
        kl_buf_clear(&expr); /* a backtick makes the same text one that has no shape */
        kl_buf_printf(&expr, "%.*s `t` %s", (int)(strstr(sql.data, " FROM app.t ") - sql.data) + 12,
            sql.data, strstr(sql.data, "WHERE"));
        kl_buf_u8(&expr, 0);
        enum kl_rc plain = db_run(expr.data);
        if (rc != plain || strcmp(rows, rc == KL_OK ? db_rows() : "") != 0) {
            fail_msg("%s\nby shape: %s %s\nas written: %s %s", sql.data, kl_rc_name(rc), rows,
                kl_rc_name(plain), plain == KL_OK ? db_rows() : db.err.msg);
        }
        succeeded += rc == KL_OK;
        free(rows);
        kl_buf_deinit(&expr);
        kl_buf_deinit(&sql);
    }
    assert_true(succeeded > 300);
}

/* What a hit costs, for whoever reads the output: speed is not asserted. */
static void hit_cost(void **state) {
    static const char *const statements[] = {"SELECT id, a, n FROM app.t WHERE id = 12345",
        "INSERT INTO app.t (id, a, n) VALUES (1, 'hello world', 2)",
        "UPDATE app.t SET a = 'x', n = n + 1 WHERE id = 7"};
    tables();
    struct kl_sql_ctx ctx = db_ctx();
    for (size_t s = 0; s < KL_LEN(statements); s++) {
        int64_t best = INT64_MAX;
        for (int round = 0; round < 20; round++) {
            int64_t t0 = kl_clock_mono_ns();
            for (int i = 0; i < 1000; i++) {
                struct kl_bound b;
                kl_arena_reset(&db.arena);
                assert_true(kl_sql_bind(&ctx, kl_slice_str(statements[s]), NULL, 0, &db.arena, &b,
                                &db.err) == KL_OK);
                kl_bound_release(&b);
            }
            best = KL_MIN(best, (kl_clock_mono_ns() - t0) / 1000);
        }
        print_message("%lld ns: %s\n", (long long)best, statements[s]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sharing, db_setup, db_teardown),
        cmocka_unit_test_setup_teardown(schema_changes, db_setup, db_teardown),
        cmocka_unit_test_setup_teardown(fallbacks, db_setup, db_teardown),
        cmocka_unit_test_setup_teardown(eviction, db_setup, db_teardown),
        cmocka_unit_test_setup_teardown(lifetime, db_setup, db_teardown),
        cmocka_unit_test_setup_teardown(one_meaning, db_setup, db_teardown),
        cmocka_unit_test_setup_teardown(hit_cost, db_setup, db_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
