/* What a writing statement does besides plain rows: ON CONFLICT, RETURNING, CHECK, rows from a
 * query, TRUNCATE. A small writer over a table in memory calls what the real one calls, in the same
 * order; where the rows come from DuckDB, the query it is asked is compared. */
#include "test_plan_support.h"

#define MAX_GIVEN 64
static struct {
    struct kl_sink sink;
    size_t n_cols, n;
    struct kl_val vals[MAX_GIVEN][20];
} given;

static enum kl_rc given_begin(
    struct kl_sink *s, const struct kl_sink_col *cols, size_t n, struct kl_err *err) {
    (void)s, (void)cols, (void)err;
    given.n_cols = n;
    return KL_OK;
}
static enum kl_rc given_row(struct kl_sink *s, const struct kl_val *vals, struct kl_err *err) {
    (void)s, (void)err;
    assert_true(given.n < MAX_GIVEN && given.n_cols <= 20);
    for (size_t i = 0; i < given.n_cols; i++) {
        assert_true(kl_val_dup(&db.rows_arena, &vals[i], &given.vals[given.n][i]));
    }
    given.n++;
    return KL_OK;
}
static void given_end(struct kl_sink *s, uint64_t n) {
    (void)s, (void)n;
}

static enum kl_rc run_query(const struct kl_bound *b) {
    struct kl_bound inner;
    memset(&given, 0, sizeof(given));
    given.sink = (struct kl_sink){.begin = given_begin, .row = given_row, .end = given_end};
    enum kl_rc rc = kl_sql_query_values(b, b->plan->write->query, &db.arena, &inner, &db.err);
    if (rc != KL_OK) {
        return rc;
    }
    assert_int_equal(inner.plan->kind, KL_PLAN_SELECT);
    struct kl_eval ev = db_eval(&inner);
    struct kl_select_limits limits = {0};
    struct mem_source src = {.source = {mem_next, mem_close},
        .plan = inner.plan,
        .slots = inner.plan->select->slots,
        .n_slots = inner.plan->select->n_slots};
    return kl_select_run(inner.plan->select, &ev, &src.source, &given.sink, &limits, &db.err);
}

/* ---- rows ---- */
static void slots_of(const struct mem_row *r, struct kl_val *slots) {
    memcpy(slots, r->vals, r->table->n_cols * sizeof(*slots));
    slots[r->table->n_cols] = kl_val_i64(r->seq);
}

static enum kl_rc answer(const struct kl_bound *b, const struct mem_row *r) {
    const struct kl_plan_write *w = b->plan->write;
    struct kl_eval ev = db_eval(b);
    struct kl_val slots[20];
    slots_of(r, slots);
    ev.row = slots;
    for (size_t i = 0; i < w->n_returning; i++) {
        struct kl_val v;
        enum kl_rc rc = kl_expr_eval(w->returning[i], &ev, &v, &db.err);
        if (rc != KL_OK) {
            return rc;
        }
        assert_true(v.null || v.type == w->ret_cols[i].type.id);
        kl_buf_puts(&db.out, i ? "|" : db.out.len ? "\n" : "");
        if (v.null) {
            kl_buf_puts(&db.out, "NULL");
        } else {
            kl_val_to_text(&v, &db.out);
        }
    }
    return KL_OK;
}

/* Checks, then keeps the row, in a place of its own when at is NULL. */
static enum kl_rc keep(const struct kl_bound *b, const struct kl_val *vals, struct mem_row *at) {
    struct kl_eval ev = db_eval(b);
    struct kl_val slots[20];
    struct mem_row row = {.table = b->plan->table, .seq = db.next_seq};
    for (size_t i = 0; i < row.table->n_cols; i++) {
        assert_true(vals[i].null || vals[i].type == row.table->cols[i].type.id);
        assert_true(kl_val_dup(&db.rows_arena, &vals[i], &row.vals[i]));
    }
    slots_of(&row, slots);
    ev.row = slots;
    enum kl_rc rc = kl_sql_check_row(b, &ev, &db.err);
    if (rc != KL_OK) {
        return rc;
    }
    db.next_seq++;
    if (!at) {
        kl_table_ref(row.table);
        at = &db.rows[db.n_rows++];
    }
    *at = row;
    return answer(b, at);
}

static bool same_key(
    const struct mem_row *r, const struct kl_val *vals, const uint16_t *cols, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (vals[cols[i]].null || !kl_val_same(&r->vals[cols[i]], &vals[cols[i]])) {
            return false;
        }
    }
    return n > 0;
}

/* The row that has the same key; *ret_index: which key, 0 the primary one. */
static struct mem_row *conflicting(
    const struct kl_table *t, const struct kl_val *vals, uint32_t *ret_index) {
    for (size_t i = 0; i < db.n_rows; i++) {
        struct mem_row *r = &db.rows[i];
        if (!r->table || r->table->id != t->id) {
            continue;
        }
        *ret_index = 0;
        if (same_key(r, vals, t->pk, t->n_pk)) {
            return r;
        }
        for (size_t x = 0; x < t->n_indexes; x++) {
            *ret_index = t->indexes[x].id;
            if (t->indexes[x].unique &&
                same_key(r, vals, t->indexes[x].cols, t->indexes[x].n_cols)) {
                return r;
            }
        }
    }
    return NULL;
}

static enum kl_rc insert_one(const struct kl_bound *b, const struct kl_val *vals, size_t *count) {
    const struct kl_plan_conflict *c = b->plan->insert->conflict;
    const struct kl_table *t = b->plan->table;
    struct kl_val slots[40], fresh[20];
    uint32_t index;
    struct mem_row *old = conflicting(t, vals, &index);
    bool chosen, changed;
    if (!old) {
        ++*count;
        return keep(b, vals, NULL);
    }
    if (!c || (!c->any && c->index_id != index)) {
        return kl_fail(&db.err, KL_E_CONSTRAINT, "duplicate");
    }
    if (!c->update) {
        return KL_OK;
    }
    struct kl_eval ev = db_eval(b);
    slots_of(old, slots);
    memcpy(slots + t->n_cols + 1, vals, t->n_cols * sizeof(*vals));
    memcpy(fresh, old->vals, sizeof(old->vals));
    ev.row = slots;
    enum kl_rc rc = kl_sql_conflict_row(b, &ev, fresh, &chosen, &changed, &db.err);
    if (rc != KL_OK || !chosen) {
        return rc;
    }
    *count += changed;
    return keep(b, fresh, old);
}

static enum kl_rc write_insert(const struct kl_bound *b, size_t *count) {
    struct kl_eval ev = db_eval(b);
    struct kl_val vals[20];
    enum kl_rc rc = b->plan->write->query ? run_query(b) : KL_OK;
    size_t n = b->plan->write->query ? given.n : b->n_rows;
    for (size_t r = 0; rc == KL_OK && r < n; r++) {
        memset(vals, 0, sizeof(vals));
        rc = b->plan->write->query
                 ? kl_sql_insert_given(b, given.vals[r], r + 1, &ev, vals, &db.err)
                 : kl_sql_insert_row(b, r, &ev, vals, &db.err);
        if (rc == KL_OK) {
            rc = insert_one(b, vals, count);
        }
    }
    return rc;
}

static enum kl_rc write_change(const struct kl_bound *b, size_t *count) {
    const struct kl_plan_dml *dml = b->plan->dml;
    struct kl_eval ev = db_eval(b);
    enum kl_rc rc = b->plan->write->query ? run_query(b) : KL_OK;
    for (size_t i = 0; i < db.n_rows && rc == KL_OK; i++) {
        struct mem_row *r = &db.rows[i];
        const struct kl_val *from = NULL;
        struct kl_val slots[20], vals[20];
        bool chosen, changed = true;
        if (!r->table || r->table->id != b->plan->table->id) {
            continue;
        }
        slots_of(r, slots);
        ev.row = slots;
        if (b->plan->write->query) {
            for (size_t g = given.n; g-- > 0;) {
                from = given.vals[g][0].i == r->seq ? given.vals[g] : from;
            }
            chosen = from != NULL;
        } else {
            rc = kl_expr_test_row(dml->filter, &ev, &chosen, &db.err);
        }
        if (rc != KL_OK || !chosen) {
            continue;
        }
        memcpy(vals, r->vals, sizeof(r->vals));
        if (b->plan->kind == KL_PLAN_DELETE) {
            rc = answer(b, r);
            kl_table_unref(r->table);
            r->table = NULL;
        } else {
            rc = from ? kl_sql_update_given(b, from + 1, &ev, vals, &changed, &db.err)
                      : kl_sql_update_row(b, &ev, vals, &changed, &db.err);
            if (rc == KL_OK) {
                rc = keep(b, vals, r);
            }
        }
        *count += changed;
    }
    return rc;
}

static struct kl_bound bound;
static enum kl_rc bind_params(const char *sql, const struct kl_val *params, size_t n) {
    struct kl_sql_ctx ctx = db_ctx();
    kl_bound_release(&bound);
    kl_arena_reset(&db.arena);
    kl_buf_clear(&db.out);
    kl_err_clear(&db.err);
    return kl_sql_bind(&ctx, kl_slice_str(sql), params, n, &db.arena, &bound, &db.err);
}

/* Rows of RETURNING, or the count. */
static enum kl_rc write_params(const char *sql, const struct kl_val *params, size_t n_params) {
    size_t count = 0;
    enum kl_rc rc = bind_params(sql, params, n_params);
    if (rc != KL_OK) {
        return rc;
    }
    assert_non_null(bound.plan->write);
    rc = bound.plan->kind == KL_PLAN_INSERT ? write_insert(&bound, &count)
                                            : write_change(&bound, &count);
    if (rc == KL_OK && bound.plan->write->n_returning == 0) {
        kl_buf_printf(&db.out, "%zu", count);
    }
    kl_buf_u8(&db.out, 0);
    return rc;
}

static void writes_(const char *sql, const char *want, int line) {
    enum kl_rc rc = write_params(sql, NULL, 0);
    if (rc != KL_OK) {
        fail_msg("line %d: %s: %s: %s", line, sql, kl_rc_name(rc), db.err.msg);
    }
    if (strcmp(db.out.data, want) != 0) {
        fail_msg("line %d: %s: got \"%s\", want \"%s\"", line, sql, db.out.data, want);
    }
}
#define WRITES(sql, want) writes_(sql, want, __LINE__)

static void refused_(const char *sql, enum kl_rc want, const char *msg, int line) {
    enum kl_rc rc = write_params(sql, NULL, 0);
    if (rc != want || !strstr(db.err.msg, msg)) {
        fail_msg("line %d: %s: got %s \"%s\"", line, sql, kl_rc_name(rc), db.err.msg);
    }
}
#define REFUSED(sql, rc, msg) refused_(sql, rc, msg, __LINE__)

/* The query that DuckDB is asked holds this. */
static void asks_(const char *sql, const char *part, int line) {
    db.executor = KL_EXECUTOR_AUTO;
    if (bind_params(sql, NULL, 0) != KL_OK) {
        fail_msg("line %d: %s: %s", line, sql, db.err.msg);
    }
    db.executor = KL_EXECUTOR_NATIVE;
    const struct kl_plan *q = bound.plan->write->query;
    assert_non_null(q);
    assert_int_equal(q->kind, KL_PLAN_DUCK);
    assert_null(bound.plan->access.pk);
    if (!memmem(q->duck->sql.ptr, q->duck->sql.len, part, strlen(part))) {
        fail_msg("line %d: %s: %.*s", line, sql, KL_FMT(q->duck->sql));
    }
}
#define ASKS(sql, part) asks_(sql, part, __LINE__)

/* Returns the message of a statement that is to fail with every executor allowed. */
static void auto_refused_(const char *sql, enum kl_rc want, const char *msg, int line) {
    db.executor = KL_EXECUTOR_AUTO;
    refused_(sql, want, msg, line);
    db.executor = KL_EXECUTOR_NATIVE;
}
#define AUTO_REFUSED(sql, rc, msg) auto_refused_(sql, rc, msg, __LINE__)

/* ---- catalog ---- */
static void commit_change(enum kl_rc rc) {
    if (rc == KL_OK) {
        rc = kl_store_commit(db.store, &db.batch, 1, false, &db.err);
    }
    if (rc != KL_OK) {
        fail_msg("%s", db.err.msg);
    }
    kl_catalog_publish(db.catalog);
    kl_batch_clear(db.batch);
    db_refresh();
}

static void add_unique(const char *table, const char *name, const char *col, bool ready) {
    struct kl_slice cols[] = {kl_slice_str(col)};
    struct kl_index_def def = {
        .name = kl_slice_str(name), .cols = cols, .n_cols = 1, .unique = true, .constraint = true};
    uint32_t id;
    struct kl_table *t = kl_cat_table(db.cat, KL_S("app"), kl_slice_str(table));
    uint32_t table_id = t->id;
    assert_int_equal(kl_catalog_begin(db.catalog, db.batch, &db.err), KL_OK);
    commit_change(
        kl_cat_create_index(db.catalog, KL_S("app"), kl_slice_str(table), &def, 1, &id, &db.err));
    if (ready) {
        assert_int_equal(kl_catalog_begin(db.catalog, db.batch, &db.err), KL_OK);
        commit_change(kl_cat_index_ready(db.catalog, table_id, id, &db.err));
    }
}

static void add_check(const char *table, const char *name, const char *expr) {
    struct kl_alter alter = {
        .op = KL_ALTER_ADD_CHECK, .new_name = kl_slice_str(name), .check = kl_slice_str(expr)};
    uint32_t version;
    assert_int_equal(kl_catalog_begin(db.catalog, db.batch, &db.err), KL_OK);
    commit_change(kl_cat_alter_table(
        db.catalog, KL_S("app"), kl_slice_str(table), &alter, 1, &version, &db.err));
}

static void tables(void) {
    RUN("CREATE NAMESPACE app");
    RUN("CREATE TABLE app.kv (k TEXT PRIMARY KEY, v BIGINT DEFAULT 7, note TEXT) WITH "
        "(TYPE='USER')");
    RUN("CREATE TABLE app.src (id BIGINT PRIMARY KEY, name TEXT, n INT) WITH (TYPE='USER')");
    RUN("CREATE TABLE app.gen (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), a TEXT NOT NULL) WITH "
        "(TYPE='USER')");
    RUN("CREATE SHARED TABLE app.private (id BIGINT PRIMARY KEY, v BIGINT)");
    RUN("CREATE STREAM TABLE app.events (id TEXT PRIMARY KEY, d TEXT) RETENTION 10");
    WRITES("INSERT INTO app.src VALUES (1, 'one', 10), (2, 'two', 20), (3, 'three', NULL)", "3");
}

/* ---- tests ---- */
static void returning(void **state) {
    tables();
    WRITES("INSERT INTO app.kv (k, v) VALUES ('a', 1), ('b', 2) RETURNING *",
        "a|1|NULL|4|false\nb|2|NULL|5|false");
    assert_int_equal(bound.plan->write->n_returning, 5);
    const struct kl_sink_col *cols = bound.plan->write->ret_cols;
    assert_int_equal(cols[0].flags, KL_COL_PK | KL_COL_NOT_NULL | KL_COL_UNIQUE);
    assert_int_equal(cols[1].flags, 0);
    assert_string_equal(cols[3].name.ptr, "_seq");
    WRITES("INSERT INTO app.kv AS x (k) VALUES ('c') RETURNING x.k AS key, v + 1, upper(k) || 'z', "
           "'lit', NULL",
        "c|8|Cz|lit|NULL");
    cols = bound.plan->write->ret_cols;
    assert_memory_equal(cols[0].name.ptr, "key", 4);
    assert_memory_equal(cols[1].name.ptr, "?column?", 9);
    WRITES("UPDATE app.kv SET v = v * 10 WHERE k <> 'c' RETURNING k, v, _seq", "a|10|7\nb|20|8");
    WRITES("UPDATE app.kv SET v = 0 WHERE k = 'zz' RETURNING k", "");
    WRITES("DELETE FROM app.kv AS d WHERE d.k = 'a' RETURNING d.*", "a|10|NULL|7|false");
    REFUSED("DELETE FROM app.kv WHERE k = 'b' RETURNING nope", KL_E_EXEC,
        "column \"nope\" does not exist");
    REFUSED("INSERT INTO app.kv VALUES ('q') RETURNING count(*)", KL_E_INVALID_SQL,
        "aggregate functions are not allowed in RETURNING");
    REFUSED("INSERT INTO app.kv VALUES ('q') RETURNING (SELECT 1)", KL_E_UNSUPPORTED, "RETURNING");
    REFUSED("INSERT INTO app.kv VALUES ('q') RETURNING src.id", KL_E_EXEC,
        "missing FROM-clause entry for table \"src\"");
    REFUSED("INSERT INTO app.kv DEFAULT VALUES RETURNING k", KL_E_CONSTRAINT,
        "column 'k' cannot be NULL (row 1)");
}

static void conflicts(void **state) {
    tables();
    add_unique("kv", "kv_note_key", "note", true);
    WRITES("INSERT INTO app.kv (k, v, note) VALUES ('a', 1, 'x'), ('b', 2, 'y')", "2");
    WRITES("INSERT INTO app.kv (k, v) VALUES ('a', 5), ('c', 6) ON CONFLICT DO NOTHING RETURNING k",
        "c");
    assert_true(bound.plan->insert->conflict->any);
    REFUSED("INSERT INTO app.kv (k, note) VALUES ('n', 'x') ON CONFLICT (k) DO NOTHING",
        KL_E_CONSTRAINT, "duplicate");
    WRITES("INSERT INTO app.kv (k, note) VALUES ('n', 'x') ON CONFLICT (note) DO NOTHING", "0");
    assert_int_equal(bound.plan->insert->conflict->index_id, bound.plan->table->indexes[0].id);
    WRITES("INSERT INTO app.kv AS t (k, v) VALUES ('a', 100), ('b', 200), ('d', 300) "
           "ON CONFLICT (k) DO UPDATE SET v = t.v + EXCLUDED.v + 1000 WHERE t.v < 2 RETURNING k, v",
        "a|1101\nd|300");
    WRITES("INSERT INTO app.kv (k, v, note) VALUES ('a', 0, 'w') ON CONFLICT ON CONSTRAINT kv_pkey "
           "DO UPDATE SET (v, note) = (DEFAULT, excluded.note || kv._seq) RETURNING *",
        "a|7|w7|9|false");
    WRITES("INSERT INTO app.kv (k, v, note) VALUES ('a', 7, 'w7') ON CONFLICT (k) DO UPDATE SET v "
           "= excluded.v, note = excluded.note",
        "0");
    WRITES("INSERT INTO app.kv (k, note) VALUES ('zz', 'y') ON CONFLICT ON CONSTRAINT kv_note_key "
           "DO UPDATE SET note = EXCLUDED.k",
        "1");
    WRITES("UPDATE app.kv SET v = 3 WHERE note = 'zz' RETURNING k", "b");
    WRITES(
        "INSERT INTO app.kv (k, v) VALUES ('b', 4) ON CONFLICT (k) DO UPDATE SET k = EXCLUDED.k, "
        "v = EXCLUDED.v RETURNING k, v",
        "b|4");
    WRITES("INSERT INTO app.kv (k, v) VALUES ('b', 5) ON CONFLICT (k) DO UPDATE SET (v, k) = "
           "(EXCLUDED.v, EXCLUDED.k) RETURNING k, v",
        "b|5");
    REFUSED("INSERT INTO app.kv (k, note) VALUES ('q', 'zz') ON CONFLICT (note) DO UPDATE SET k = "
            "EXCLUDED.k",
        KL_E_EXEC, "UPDATE cannot modify primary key column 'k'");
    REFUSED("INSERT INTO app.kv (k) VALUES ('b') ON CONFLICT (k) DO UPDATE SET k = EXCLUDED.note",
        KL_E_EXEC, "UPDATE cannot modify primary key column 'k'");
    REFUSED("INSERT INTO app.kv (k) VALUES ('a') ON CONFLICT (v) DO NOTHING", KL_E_INVALID_SQL,
        "there is no unique or exclusion constraint matching the ON CONFLICT specification");
    REFUSED("INSERT INTO app.kv (k) VALUES ('a') ON CONFLICT (k, note) DO NOTHING",
        KL_E_INVALID_SQL, "no unique or exclusion constraint");
    REFUSED("INSERT INTO app.kv (k) VALUES ('a') ON CONFLICT (nope) DO NOTHING", KL_E_EXEC,
        "column \"nope\" does not exist");
    REFUSED("INSERT INTO app.kv (k) VALUES ('a') ON CONFLICT ON CONSTRAINT nope DO NOTHING",
        KL_E_NOT_FOUND, "constraint \"nope\" for table \"kv\" does not exist");
    REFUSED("INSERT INTO app.kv (k) VALUES ('a') ON CONFLICT (k) DO UPDATE SET k = 'b'", KL_E_EXEC,
        "UPDATE cannot modify primary key column 'k'");
    REFUSED("INSERT INTO app.kv (k) VALUES ('a') ON CONFLICT (k) DO UPDATE SET v = v + 1",
        KL_E_EXEC, "column reference \"v\" is ambiguous");
    REFUSED("INSERT INTO app.kv (k) VALUES ('a') ON CONFLICT (k) DO UPDATE SET v = excluded.nope",
        KL_E_EXEC, "column excluded.nope does not exist");
    REFUSED("INSERT INTO app.kv (k) VALUES ('a') ON CONFLICT DO UPDATE SET v = 1", KL_E_INVALID_SQL,
        "requires inference specification or constraint name");
    REFUSED("INSERT INTO app.kv (k) VALUES ('a') ON CONFLICT (k) DO UPDATE SET v = (SELECT 1)",
        KL_E_UNSUPPORTED, "ON CONFLICT DO UPDATE");
    REFUSED("INSERT INTO app.kv (k) VALUES ('a') ON CONFLICT (k) DO UPDATE SET (v, note) = (1)",
        KL_E_INVALID_SQL, "must be a sub-SELECT or ROW()");
    REFUSED("INSERT INTO app.kv (k) VALUES (excluded.k) ON CONFLICT DO NOTHING", KL_E_INVALID_SQL,
        "cannot be used in VALUES");
    REFUSED("INSERT INTO app.kv (k) VALUES ('a') ON CONFLICT (k) DO NOTHING RETURNING excluded.k",
        KL_E_EXEC, "missing FROM-clause entry");
    REFUSED("INSERT INTO app.events (id) VALUES ('a') ON CONFLICT DO NOTHING", KL_E_UNSUPPORTED,
        "not supported for STREAM tables");
}

/* An index that is still being built decides nothing yet. */
static void building(void **state) {
    tables();
    add_unique("kv", "kv_note_key", "note", false);
    REFUSED("INSERT INTO app.kv (k) VALUES ('a') ON CONFLICT (note) DO NOTHING", KL_E_INVALID_SQL,
        "no unique or exclusion constraint");
    REFUSED("INSERT INTO app.kv (k) VALUES ('a') ON CONFLICT ON CONSTRAINT kv_note_key DO NOTHING",
        KL_E_INVALID_SQL, "no unique or exclusion constraint");
}

/* Many rows, one plan, with values of its own behind the list. */
static void collapsed_lists(void **state) {
    tables();
    WRITES("INSERT INTO app.kv (k, v) VALUES ('a', 1)", "1");
    const char *const sql[] = {
        "INSERT INTO app.kv (k, v) VALUES ('a', 10), ('b', 20), ('c', 30) ON CONFLICT (k) DO "
        "UPDATE "
        "SET v = kv.v + EXCLUDED.v + 5, note = 'n1' WHERE kv.v < 100 RETURNING k, v, note, 'r1'",
        "INSERT INTO app.kv (k, v) VALUES ('d', 1), ('a', 2) ON CONFLICT (k) DO UPDATE "
        "SET v = kv.v + EXCLUDED.v + 7, note = 'n2' WHERE kv.v < 17 RETURNING k, v, note, 'r2'"};
    WRITES(sql[0], "a|16|n1|r1\nb|20|NULL|r1\nc|30|NULL|r1");
    const struct kl_plan *first = bound.plan;
    uint64_t id = first->id;
    assert_int_equal(bound.n_rows, 3);
    WRITES(sql[1], "d|1|NULL|r2\na|25|n2|r2");
    assert_int_equal(bound.plan->id, id);
    struct kl_val p[] = {kl_val_text(KL_S("a")), kl_val_i64(3), kl_val_text(KL_S("e"))};
    p[0].flags = p[2].flags = KL_VAL_UNKNOWN;
    assert_int_equal(
        write_params("INSERT INTO app.kv (k, v) VALUES ($1, $2), ($3, $2) ON CONFLICT "
                     "(k) DO UPDATE SET v = $2, note = $3 RETURNING k, v, note, $2 + 1",
            p, 3),
        KL_OK);
    assert_string_equal(db.out.data, "a|3|e|4\ne|3|NULL|4");
}

static void checks(void **state) {
    tables();
    add_check("kv", "kv_v_positive", "v > 0 -- said so");
    add_check("kv", "kv_pair", "note IS NULL OR length(note) < v");
    WRITES("INSERT INTO app.kv (k, v, note) VALUES ('a', 5, 'four'), ('n', NULL, NULL)", "2");
    REFUSED("INSERT INTO app.kv (k, v) VALUES ('b', 0)", KL_E_CONSTRAINT,
        "Check constraint violation: new row violates check constraint \"kv_v_positive\" of table "
        "app.kv");
    REFUSED("UPDATE app.kv SET v = 2 WHERE k = 'a'", KL_E_CONSTRAINT, "\"kv_pair\"");
    REFUSED("INSERT INTO app.kv (k, v) VALUES ('a', 9) ON CONFLICT (k) DO UPDATE SET v = 1",
        KL_E_CONSTRAINT, "\"kv_pair\"");
    WRITES("DELETE FROM app.kv WHERE k = 'a'", "1");
    assert_int_equal(bound.plan->write->n_checks, 0);

    static const struct {
        const char *expr, *msg;
        enum kl_rc rc;
    } bad[] = {{"nope > 1", "column \"nope\" does not exist", KL_E_EXEC},
        {"v > (SELECT 1)", "subquery", KL_E_UNSUPPORTED},
        {"count(*) > 1", "aggregate functions are not allowed in check", KL_E_INVALID_SQL},
        {"v + 1", "must be type boolean", KL_E_TYPE},
        {"_seq > 1", "system column \"_seq\"", KL_E_INVALID_SQL},
        {"NOT _deleted", "system column \"_deleted\"", KL_E_INVALID_SQL},
        {"v < SNOWFLAKE_ID()", "anew with every call", KL_E_UNSUPPORTED},
        {"v > $1", "Parameter $1", KL_E_INVALID_PARAMETER},
        {"v > 1) FROM app.private WHERE (true", "one condition", KL_E_INVALID_SQL},
        {"v > 1); DROP TABLE x; SELECT (1", "one condition", KL_E_INVALID_SQL},
        {"v > 1) UNION SELECT (true", "one condition", KL_E_INVALID_SQL},
        {"true) AS x, (true", "one condition", KL_E_INVALID_SQL},
        {"v >", "syntax", KL_E_INVALID_SQL}, {"private.v > 1", "missing FROM-clause", KL_E_EXEC},
        {"", "", KL_E_INVALID_SQL}};
    const struct kl_table *t = kl_cat_table(db.cat, KL_S("app"), KL_S("kv"));
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        struct kl_expr *e;
        kl_err_clear(&db.err);
        enum kl_rc rc = kl_sql_bind_check(t, kl_slice_str(bad[i].expr), &db.arena, &e, &db.err);
        if (rc != bad[i].rc || !strstr(db.err.msg, bad[i].msg)) {
            fail_msg("%s: %s \"%s\"", bad[i].expr, kl_rc_name(rc), db.err.msg);
        }
    }
}

static void from_query(void **state) {
    tables();
    WRITES("INSERT INTO app.kv SELECT name, id FROM app.src WHERE id < 3 RETURNING *",
        "one|1|NULL|4|false\ntwo|2|NULL|5|false");
    assert_int_equal(bound.plan->insert->n_targets, 2);
    assert_int_equal(bound.plan->write->query->select->n_order, 0);
    WRITES("INSERT INTO app.src SELECT id + 100, name || '!', '5' FROM app.src ORDER BY name DESC "
           "LIMIT 2 RETURNING *",
        "102|two!|5|6|false\n103|three!|5|7|false");
    /* * leaves out what nobody can insert */
    WRITES("INSERT INTO app.kv (note, k) SELECT s.n, name FROM app.src s WHERE n = 10 ON CONFLICT "
           "(k) DO UPDATE SET v = kv.v + 90, note = EXCLUDED.note RETURNING *",
        "one|91|10|8|false");
    RUN("CREATE TABLE app.copy (id BIGINT PRIMARY KEY, name TEXT, n INT) WITH (TYPE='USER')");
    WRITES("INSERT INTO app.copy SELECT * FROM app.src WHERE id = 1", "1");
    WRITES(
        "INSERT INTO app.copy SELECT s.* FROM app.src AS s WHERE id = 2 RETURNING id, n", "2|20");
    struct kl_val p[] = {kl_val_i64(3), kl_val_text(KL_S("44"))};
    p[1].flags = KL_VAL_UNKNOWN;
    assert_int_equal(
        write_params("INSERT INTO app.copy (n, id) SELECT $2, $1 FROM app.src WHERE id "
                     "= $1 RETURNING id, n + $1",
            p, 2),
        KL_OK);
    assert_string_equal(db.out.data, "3|47");
    REFUSED("INSERT INTO app.copy SELECT 9, 'x', 1, 2", KL_E_INVALID_SQL,
        "INSERT has more expressions than target columns");
    REFUSED("INSERT INTO app.copy (id, n) SELECT 9", KL_E_INVALID_SQL,
        "INSERT has more target columns than expressions");
    REFUSED("INSERT INTO app.copy SELECT 9, 'x', 'y'", KL_E_TYPE, "");
    REFUSED("INSERT INTO app.gen (a) SELECT NULL FROM app.src WHERE id = 2", KL_E_CONSTRAINT,
        "column 'a' cannot be NULL (row 1)");
    REFUSED("INSERT INTO app.copy SELECT * FROM app.nothing", KL_E_NOT_FOUND, "Table not found");
    WRITES("INSERT INTO app.gen (a) SELECT name FROM app.src WHERE id = 1 RETURNING id > 1, a",
        "true|one");
    assert_true(bound.plan->insert->generated_key);
    WRITES("INSERT INTO app.gen (id, a) VALUES (1, 'q')", "1");
    assert_false(bound.plan->insert->generated_key);
    WRITES("INSERT INTO app.gen (a, id) VALUES ('w', DEFAULT) RETURNING id > 5", "true");
}

static void asks_duckdb(void **state) {
    tables();
    RUN("CREATE SHARED TABLE app.public (v BIGINT, id BIGINT PRIMARY KEY)");
    ASKS("INSERT INTO app.kv SELECT name, count(*) FROM app.src GROUP BY name", "GROUP BY");
    assert_int_equal(bound.plan->insert->n_targets, 2);
    ASKS("WITH x AS (SELECT name, id AS i FROM app.src) INSERT INTO app.kv SELECT * FROM x",
        "\"x\".\"name\"");
    ASKS("INSERT INTO app.kv WITH x(a, b) AS (SELECT name, id FROM app.src) SELECT x.* FROM x",
        "\"x\".\"b\"");
    assert_int_equal(bound.plan->insert->n_targets, 2);
    ASKS("WITH y AS (SELECT 1 AS q) INSERT INTO app.kv WITH x AS (SELECT * FROM app.src) SELECT "
         "x.name, y.q FROM x, y",
        "\"kl_cte_1\"");
    ASKS("INSERT INTO app.src SELECT * FROM app.src a JOIN app.src b USING (id, name, n)", "\"n\"");
    assert_int_equal(bound.plan->insert->n_targets, 3);
    ASKS(
        "INSERT INTO app.kv SELECT * FROM (SELECT name AS k, id FROM app.src) AS q", "\"q\".\"k\"");
    ASKS("INSERT INTO app.kv (k, v) SELECT 'a', '1' UNION ALL SELECT 'b', '2'", "BIGINT");
    ASKS("INSERT INTO app.kv (k, v) VALUES ('a', '7'), ('b', (SELECT max(id) FROM app.src))",
        "VALUES");
    assert_int_equal(bound.n_rows, 0);
    ASKS("INSERT INTO app.src SELECT * FROM app.src a NATURAL JOIN app.src b", "\"n\"");
    assert_int_equal(bound.plan->insert->n_targets, 3);
    ASKS("INSERT INTO app.src (id, n) SELECT * FROM app.private NATURAL JOIN app.public", "\"v\"");
    assert_int_equal(bound.plan->insert->n_targets, 2);
    ASKS("UPDATE app.kv SET v = s.id, note = DEFAULT FROM app.src AS s WHERE s.name = kv.k",
        "\"_seq\"");
    const struct kl_plan_dml *dml = bound.plan->dml;
    assert_int_equal(dml->n_set, 2);
    assert_non_null(dml->set_exprs[0]);
    assert_null(dml->set_exprs[1]);
    assert_null(dml->filter);
    ASKS("UPDATE app.kv x SET v = '5' WHERE x.k IN (SELECT name FROM app.src)", "BIGINT");
    ASKS("UPDATE app.kv SET (v, note) = (SELECT id, name FROM app.src WHERE name = kv.k) WHERE k = "
         "'a'",
        "SELECT");
    ASKS("WITH kv AS (SELECT 1 AS v) UPDATE app.kv SET v = (SELECT 2) WHERE k = 'a'", "kl_scan_");
    ASKS("DELETE FROM app.kv AS d USING app.src s WHERE s.name = d.k RETURNING d.k, v", "\"d\"");
    assert_int_equal(bound.plan->write->n_returning, 2);
    ASKS("DELETE FROM app.events WHERE id IN (SELECT name FROM app.src)", "\"_seq\"");
    ASKS("DELETE FROM app.kv WHERE EXISTS (SELECT 1 FROM app.src s WHERE s.name = kv.k)", "EXISTS");
}

/* Names that multiply are given up, not followed. */
static void nested_stars(void **state) {
    struct kl_buf sql = {0};
    tables();
    kl_buf_puts(&sql, "WITH a0 AS (SELECT * FROM app.src)");
    for (int i = 1; i < 14; i++) {
        kl_buf_printf(&sql, ", a%d AS (SELECT x.*, 1 AS q%d FROM a%d x", i, i, i - 1);
        for (int j = 0; j < 8; j++) {
            kl_buf_printf(&sql, ", a%d y%d", i - 1, j);
        }
        kl_buf_puts(&sql, ")");
    }
    kl_buf_puts(&sql, " INSERT INTO app.kv SELECT * FROM a13");
    kl_buf_u8(&sql, 0);
    AUTO_REFUSED(sql.data, KL_E_UNSUPPORTED, "name the columns");
    kl_buf_clear(&sql);
    kl_buf_puts(&sql, "SELECT q.*, 1 AS x FROM (SELECT id FROM app.src) q");
    for (int i = 0; i < 40; i++) {
        struct kl_buf outer = {0};
        kl_buf_printf(&outer, "SELECT q.*, r.* FROM (%.*s) q, (SELECT 1 AS x%d) r",
            KL_FMT(kl_buf_view(&sql)), i);
        kl_buf_deinit(&sql);
        sql = outer;
    }
    struct kl_buf all = {0};
    kl_buf_printf(&all, "INSERT INTO app.kv %.*s", KL_FMT(kl_buf_view(&sql)));
    kl_buf_u8(&all, 0);
    AUTO_REFUSED(all.data, KL_E_UNSUPPORTED, "name the columns");
    kl_buf_deinit(&sql);
    /* but many arms of a UNION are one list */
    kl_buf_clear(&all);
    kl_buf_puts(&all, "INSERT INTO app.kv SELECT * FROM (SELECT 'a' AS k, 1 AS v");
    for (int i = 0; i < 100; i++) {
        kl_buf_printf(&all, " UNION ALL SELECT 'k%d', %d", i, i);
    }
    kl_buf_puts(&all, ") q");
    kl_buf_u8(&all, 0);
    ASKS(all.data, "\"q\".\"v\"");
    kl_buf_deinit(&all);
}

static void query_refusals(void **state) {
    tables();
    AUTO_REFUSED("UPDATE app.kv SET v = s.id FROM app.src s", KL_E_INVALID_SQL,
        "UPDATE requires a WHERE clause");
    AUTO_REFUSED(
        "DELETE FROM app.kv USING app.src s", KL_E_INVALID_SQL, "DELETE requires a WHERE clause");
    AUTO_REFUSED("UPDATE app.kv SET k = s.name FROM app.src s WHERE true", KL_E_EXEC,
        "UPDATE cannot modify primary key column 'k'");
    AUTO_REFUSED("DELETE FROM app.kv USING app.src s WHERE s.name = kv.k RETURNING s.id", KL_E_EXEC,
        "missing FROM-clause entry for table \"s\"");
    assert_string_equal(db.err.hint, "RETURNING names columns of the table that is changed");
    AUTO_REFUSED("UPDATE app.kv SET (v, note) = (SELECT 1) WHERE k = 'a'", KL_E_INVALID_SQL,
        "number of columns does not match number of values");
    AUTO_REFUSED("INSERT INTO app.kv (k) VALUES ((SELECT 'a')), (DEFAULT)", KL_E_UNSUPPORTED,
        "DEFAULT beside a subquery");
    AUTO_REFUSED("WITH RECURSIVE x AS (SELECT * FROM x) INSERT INTO app.kv SELECT * FROM x",
        KL_E_UNSUPPORTED, "name the columns");
    AUTO_REFUSED(
        "UPDATE app.kv SET v = (SELECT 1) WHERE _deleted = true", KL_E_UNSUPPORTED, "_deleted");
    AUTO_REFUSED("UPDATE app.kv SET v = 1 FROM app.kv WHERE true", KL_E_INVALID_SQL,
        "table name \"kv\" specified more than once");
    AUTO_REFUSED("DELETE FROM app.kv AS x USING app.src s JOIN app.kv AS x ON true WHERE true",
        KL_E_INVALID_SQL, "table name \"x\" specified more than once");
    ASKS("DELETE FROM app.kv AS x USING app.src s JOIN app.kv ON true WHERE x.v = kv.v", "\"kv\"");
    AUTO_REFUSED("UPDATE app.events SET d = (SELECT 'x') WHERE id = 'a'", KL_E_EXEC,
        "UPDATE not supported for STREAM tables");
    AUTO_REFUSED("INSERT INTO app.kv SELECT user_id FROM system.nothing", KL_E_NOT_FOUND, "");
    /* without DuckDB */
    REFUSED("DELETE FROM app.kv WHERE k IN (SELECT name FROM app.src)", KL_E_UNSUPPORTED,
        "WHERE of DELETE");
    REFUSED("UPDATE app.kv SET v = 1 FROM app.src WHERE true", KL_E_UNSUPPORTED, "FROM");
}

static void positions(void **state) {
    static const struct {
        const char *sql, *at;
    } list[] = {
        {"INSERT INTO app.kv (k) VALUES ('a') ON CONFLICT (k) DO UPDATE SET v = excluded.nope",
            "excluded.nope"},
        {"INSERT INTO app.kv (k) VALUES ('a'), ('b') ON CONFLICT (k) DO UPDATE SET nope = 1",
            "nope"},
        {"INSERT INTO app.kv (k) VALUES ('a') ON CONFLICT (k) DO UPDATE SET v = 1 WHERE v > 2",
            "v > 2"},
        {"INSERT INTO app.kv (k, v) VALUES ('a', 1), ('b', 2) RETURNING k, nope", "nope"},
        {"UPDATE app.kv SET v = 2, nope = s.id FROM app.src s WHERE true", "nope"},
        {"UPDATE app.kv SET v = s.nope FROM app.src s WHERE true RETURNING lower(nope)", "s.nope"},
        {"DELETE FROM app.kv USING app.nothing WHERE true", "app.nothing"},
        {"INSERT INTO app.kv (k, nope) SELECT name, id FROM app.src", "nope"},
        {"INSERT INTO app.kv SELECT nope FROM app.src", "nope"},
    };
    tables();
    db.executor = KL_EXECUTOR_AUTO;
    for (size_t i = 0; i < KL_LEN(list); i++) {
        assert_int_not_equal(bind_params(list[i].sql, NULL, 0), KL_OK);
        int want = (int)(strstr(list[i].sql, list[i].at) - list[i].sql) + 1;
        if (db.err.position != want) {
            fail_msg("%s: \"%s\" at %d, not %d", list[i].sql, db.err.msg, db.err.position, want);
        }
    }
    db.executor = KL_EXECUTOR_NATIVE;
}

static void roles(void **state) {
    tables();
    RUN("CREATE TABLE app.public (id BIGINT PRIMARY KEY, v BIGINT) WITH (ACCESS_LEVEL='public')");
    db_as("u", KL_ROLE_USER);
    /* to write needs the right to write, whatever else is read */
    AUTO_REFUSED("INSERT INTO app.public SELECT 1, 2", KL_E_PERMISSION_DENIED, "");
    AUTO_REFUSED(
        "UPDATE app.public SET v = s.id FROM app.src s WHERE true", KL_E_PERMISSION_DENIED, "");
    AUTO_REFUSED("TRUNCATE app.public", KL_E_PERMISSION_DENIED, "");
    /* and what is read, the right to read */
    AUTO_REFUSED("INSERT INTO app.src (id) SELECT id FROM app.private", KL_E_PERMISSION_DENIED, "");
    AUTO_REFUSED("INSERT INTO app.src (id) SELECT * FROM app.private", KL_E_PERMISSION_DENIED, "");
    AUTO_REFUSED("INSERT INTO app.src (id) VALUES ((SELECT max(id) FROM app.private))",
        KL_E_PERMISSION_DENIED, "");
    AUTO_REFUSED(
        "UPDATE app.kv SET v = p.v FROM app.private p WHERE true", KL_E_PERMISSION_DENIED, "");
    AUTO_REFUSED("DELETE FROM app.kv USING app.private p WHERE true", KL_E_PERMISSION_DENIED, "");
    AUTO_REFUSED(
        "DELETE FROM app.kv WHERE v IN (SELECT v FROM app.private)", KL_E_PERMISSION_DENIED, "");
    AUTO_REFUSED("WITH x AS (SELECT * FROM app.private) DELETE FROM app.kv WHERE v IN (SELECT v "
                 "FROM x)",
        KL_E_PERMISSION_DENIED, "");
    AUTO_REFUSED("INSERT INTO app.src (id) SELECT 1 FROM system.users", KL_E_PERMISSION_DENIED, "");
    ASKS("INSERT INTO app.src SELECT id, 'x', max(v) FROM app.public GROUP BY id", "kl_scan_0");
}

static void truncates(void **state) {
    tables();
    static const char *const fine[] = {"TRUNCATE app.src", "TRUNCATE TABLE app.src",
        "truncate table only app.src restart identity",
        "TRUNCATE app.src CONTINUE IDENTITY RESTRICT"};
    for (size_t i = 0; i < KL_LEN(fine); i++) {
        if (bind_params(fine[i], NULL, 0) != KL_OK) {
            fail_msg("%s: %s", fine[i], db.err.msg);
        }
        assert_int_equal(bound.plan->kind, KL_PLAN_DELETE);
        assert_true(bound.plan->truncate);
        assert_null(bound.plan->dml->filter);
        assert_non_null(bound.plan->write);
        assert_int_equal(bound.plan->dml->n_slots, 4);
    }
    WRITES("TRUNCATE app.src", "3");
    WRITES("DELETE FROM app.src WHERE true", "0");
    assert_false(bound.plan->truncate);
    REFUSED("TRUNCATE app.src, app.kv", KL_E_UNSUPPORTED, "TRUNCATE of several tables");
    REFUSED("TRUNCATE app.src CASCADE", KL_E_UNSUPPORTED, "CASCADE");
    REFUSED("TRUNCATE app.nothing", KL_E_NOT_FOUND, "Table not found");
    REFUSED("TRUNCATE system.users", KL_E_EXEC, "Cannot truncate system table");
}

static void assignments(void **state) {
    tables();
    WRITES("INSERT INTO app.kv (k, v, note) VALUES ('a', 1, 'x')", "1");
    WRITES("UPDATE app.kv AS t SET (v, note) = (t.v + 1, upper(note)) WHERE _seq = 4 RETURNING v, "
           "note",
        "2|X");
    WRITES(
        "UPDATE app.kv SET v = DEFAULT, note = NULL WHERE k = 'a' RETURNING *", "a|7|NULL|6|false");
    WRITES("UPDATE app.kv SET (v, note) = ROW(3, DEFAULT) WHERE k = 'a' RETURNING v", "3");
    REFUSED("UPDATE app.kv SET (v, note) = (1, 2, 3) WHERE true", KL_E_INVALID_SQL, "");
    REFUSED("UPDATE app.kv SET v = max(v) WHERE true", KL_E_INVALID_SQL,
        "aggregate functions are not allowed in UPDATE");
    REFUSED("UPDATE app.kv SET v = excluded.v WHERE true", KL_E_EXEC, "missing FROM-clause entry");
}

static void views(void **state) {
    struct kl_column_def cols[] = {{.name = KL_S("k"), .type = KL_TYPE(TEXT), .nullable = true}};
    struct kl_table_def def = {.ns = KL_S("app"),
        .name = KL_S("v"),
        .type = KL_TABLE_VIEW,
        .cols = cols,
        .n_cols = 1,
        .view_sql = KL_S("SELECT k FROM app.kv"),
        .view_ns = KL_S("app")};
    uint32_t id;
    tables();
    assert_int_equal(kl_catalog_begin(db.catalog, db.batch, &db.err), KL_OK);
    commit_change(kl_cat_create_view(db.catalog, &def, false, 1, &id, &db.err));
    AUTO_REFUSED("INSERT INTO app.v VALUES ('a')", KL_E_EXEC, "cannot insert into view \"v\"");
    AUTO_REFUSED(
        "INSERT INTO app.v SELECT name FROM app.src", KL_E_EXEC, "cannot insert into view");
    AUTO_REFUSED("UPDATE app.v SET k = 'a' WHERE true", KL_E_EXEC, "cannot update view \"v\"");
    AUTO_REFUSED("DELETE FROM app.v WHERE true", KL_E_EXEC, "cannot delete from view \"v\"");
    AUTO_REFUSED("TRUNCATE app.v", KL_E_EXEC, "cannot truncate view \"v\"");
}

static int teardown(void **state) {
    kl_bound_release(&bound);
    return db_teardown(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(returning, db_setup, teardown),
        cmocka_unit_test_setup_teardown(conflicts, db_setup, teardown),
        cmocka_unit_test_setup_teardown(building, db_setup, teardown),
        cmocka_unit_test_setup_teardown(collapsed_lists, db_setup, teardown),
        cmocka_unit_test_setup_teardown(checks, db_setup, teardown),
        cmocka_unit_test_setup_teardown(from_query, db_setup, teardown),
        cmocka_unit_test_setup_teardown(asks_duckdb, db_setup, teardown),
        cmocka_unit_test_setup_teardown(nested_stars, db_setup, teardown),
        cmocka_unit_test_setup_teardown(query_refusals, db_setup, teardown),
        cmocka_unit_test_setup_teardown(positions, db_setup, teardown),
        cmocka_unit_test_setup_teardown(roles, db_setup, teardown),
        cmocka_unit_test_setup_teardown(truncates, db_setup, teardown),
        cmocka_unit_test_setup_teardown(views, db_setup, teardown),
        cmocka_unit_test_setup_teardown(assignments, db_setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
