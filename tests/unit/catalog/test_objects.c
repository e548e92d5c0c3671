/* Indexes, constraints, every ALTER, views and storages: what they refuse, what they store, and that a restart brings it back. */
#include "helper.h"

static struct kl_slice S(const char *s) {
    return kl_slice_str(s);
}

static uint32_t
make_items(void) {
    struct kl_column_def cols[] = {col("id", KL_TYPE(BIGINT), 1), col("a", KL_TYPE(TEXT), 0),
        col("b", KL_TYPE(INT), 0), col("j", KL_TYPE(JSON), 0)};
    uint32_t id;
    OK(make_ns("app"));
    OK(make_table_of(KL_TABLE_USER, "app", "t", cols, 4, &id));
    return id;
}

static enum kl_rc index_on(
    const char *name, const char *a, const char *b, bool unique, uint32_t *ret) {
    struct kl_slice cols[2] = {S(a), b ? S(b) : KL_SLICE_NONE};
    struct kl_index_def def = {
        .name = S(name), .cols = cols, .n_cols = b ? 2 : 1, .unique = unique};
    return CHANGE(kl_cat_create_index(world.catalog, S("app"), S("t"), &def, 5, ret, &world.err));
}

static void reopen(void) {
    world_close();
    world_open();
}

static void expect_index(size_t at, const char *name, enum kl_index_state state, bool unique) {
    struct kl_table *t = get_table("app", "t");
    assert_true(at < t->n_indexes);
    assert_string_equal(t->indexes[at].name, name);
    assert_int_equal(t->indexes[at].state, state);
    assert_int_equal(t->indexes[at].unique, unique);
    assert_ptr_equal(kl_table_index(t, t->indexes[at].id), &t->indexes[at]);
    for (size_t i = 0; i < t->indexes[at].n_cols; i++) {
        assert_int_equal(t->cols[t->indexes[at].cols[i]].id, t->indexes[at].column_ids[i]);
    }
    kl_table_unref(t);
}

static void indexes_come_and_go(void **state) {
    uint32_t table = make_items(), one, two, three;
    OK(index_on("", "a", "b", false, &one));
    OK(index_on("", "a", "b", true, &two));
    OK(index_on("by_b", "b", NULL, false, &three));
    assert_true(table < one && one < two && two < three);
    expect_index(0, "t_a_b_idx", KL_INDEX_BUILDING, false);
    expect_index(1, "t_a_b_idx1", KL_INDEX_BUILDING, true);
    OK(CHANGE(kl_cat_index_ready(world.catalog, table, one, &world.err)));
    reopen();
    expect_index(0, "t_a_b_idx", KL_INDEX_READY, false);
    expect_index(2, "by_b", KL_INDEX_BUILDING, false);
    struct kl_table *t = get_table("app", "t");
    assert_int_equal(t->version, 1);
    assert_int_equal(t->indexes[0].created_us, 5);
    kl_table_unref(t);

    struct kl_cat *cat = kl_catalog_acquire(world.catalog);
    struct kl_table *of;
    const struct kl_index *x = kl_cat_index(cat, S("app"), S("by_b"), &of);
    assert_non_null(x);
    assert_int_equal(x->id, three);
    assert_int_equal(of->id, table);
    assert_null(kl_cat_index(cat, S("default"), S("by_b"), &of));
    kl_cat_release(cat);

    OK(CHANGE(kl_cat_drop_index(world.catalog, table, one, &world.err)));
    expect_index(0, "t_a_b_idx1", KL_INDEX_BUILDING, true);
    assert_int_equal(
        CHANGE(kl_cat_drop_index(world.catalog, table, one, &world.err)), KL_E_NOT_FOUND);
    /* The name is free again, the id is not. */
    uint32_t four;
    OK(index_on("t_a_b_idx", "a", NULL, false, &four));
    assert_true(four > three);
    uint32_t next;
    OK(make_table("app", "other", &next));
    assert_true(next > four);
}

static void indexes_that_are_refused(void **state) {
    uint32_t id;
    make_items();
    OK(index_on("x", "a", NULL, false, &id));
    assert_int_equal(index_on("x", "b", NULL, false, &id), KL_E_EXISTS);
    assert_err("Already exists: relation \"x\" already exists");
    assert_int_equal(index_on("t", "b", NULL, false, &id), KL_E_EXISTS);
    assert_int_equal(make_table("app", "x", NULL), KL_E_EXISTS);
    assert_int_equal(index_on("y", "nope", NULL, false, &id), KL_E_NOT_FOUND);
    assert_err("Column 'nope' does not exist");
    assert_int_equal(index_on("y", "a", "a", false, &id), KL_E_INVALID_SQL);
    assert_int_equal(index_on("y", "j", NULL, false, &id), KL_E_INVALID_SQL);
    assert_err("Column 'j' of type JSON cannot be indexed");
    struct kl_column_def cols[] = {col("id", KL_TYPE(BIGINT), 1)};
    OK(make_table_of(KL_TABLE_STREAM, "app", "s", cols, 1, NULL));
    struct kl_slice on[] = {S("id")};
    struct kl_index_def def = {.cols = on, .n_cols = 1};
    assert_int_equal(
        CHANGE(kl_cat_create_index(world.catalog, S("app"), S("s"), &def, 5, &id, &world.err)),
        KL_E_UNSUPPORTED);
    for (int i = 1; i < KL_INDEXES_MAX; i++) {
        OK(index_on("", "b", NULL, false, &id));
    }
    assert_int_equal(index_on("", "b", NULL, false, &id), KL_E_EXEC);
    reopen();
    expect_index(KL_INDEXES_MAX - 1, "t_b_idx30", KL_INDEX_BUILDING, false);
}

static void long_names_are_cut(void **state) {
    char table[65], column[65];
    memset(table, 'x', 64);
    memset(column, 'y', 64);
    table[64] = column[64] = 0;
    struct kl_column_def cols[] = {col("id", KL_TYPE(BIGINT), 1), col(column, KL_TYPE(TEXT), 0)};
    OK(make_ns("app"));
    OK(make_table_of(KL_TABLE_SHARED, "app", table, cols, 2, NULL));
    struct kl_slice on[] = {S(column)};
    struct kl_index_def def = {.cols = on, .n_cols = 1};
    uint32_t id;
    for (int i = 0; i < 3; i++) {
        OK(CHANGE(
            kl_cat_create_index(world.catalog, S("app"), S(table), &def, 5, &id, &world.err)));
    }
    struct kl_table *t = get_table("app", table);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(strlen(t->indexes[i].name), 63);
        assert_non_null(strstr(t->indexes[i].name, i == 0   ? "y_idx"
                                                   : i == 1 ? "y_idx1"
                                                            : "y_idx2"));
    }
    kl_table_unref(t);
}

static void constraints_of_a_new_table(void **state) {
    struct kl_column_def cols[] = {
        col("id", KL_TYPE(BIGINT), 1), col("a", KL_TYPE(TEXT), 0), col("b", KL_TYPE(INT), 0)};
    struct kl_slice a[] = {S("a")}, ab[] = {S("a"), S("b")}, id[] = {S("id")};
    struct kl_index_def uniques[] = {{.cols = a, .n_cols = 1}, {.cols = id, .n_cols = 1},
        {.cols = a, .n_cols = 1}, {.name = S("both"), .cols = ab, .n_cols = 2}};
    struct kl_check_def checks[] = {{.expr = S("b > 0")},
        {.name = S("short"), .expr = S("length(a) < 10")}, {.expr = S("b < 9")}};
    struct kl_table_def def = {.ns = S("app"),
        .name = S("t"),
        .type = KL_TABLE_SHARED,
        .cols = cols,
        .n_cols = 3,
        .uniques = uniques,
        .n_uniques = 4,
        .checks = checks,
        .n_checks = 3,
        .comment = S("it's a table")};
    uint32_t table;
    OK(make_ns("app"));
    OK(CHANGE(kl_cat_create_table(world.catalog, &def, 7, &table, &world.err)));
    reopen();
    struct kl_table *t = get_table("app", "t");
    assert_int_equal(
        t->n_indexes, 2); /* the key is unique already, the third says what the first says */
    assert_string_equal(t->indexes[0].name, "t_a_key");
    assert_true(
        t->indexes[0].unique && t->indexes[0].constraint && t->indexes[0].state == KL_INDEX_READY);
    assert_string_equal(t->indexes[1].name, "both");
    assert_int_equal(t->n_checks, 3);
    assert_string_equal(t->checks[0].name, "t_check");
    assert_string_equal(t->checks[1].name, "short");
    assert_string_equal(t->checks[2].name, "t_check1");
    assert_string_equal(t->checks[2].expr, "b < 9");
    assert_string_equal(t->comment, "it's a table");
    kl_table_unref(t);
    /* A refused table leaves no trace, not even the counter. */
    checks[2].name = S("short");
    def.name = S("u");
    assert_int_equal(
        CHANGE(kl_cat_create_table(world.catalog, &def, 7, &table, &world.err)), KL_E_EXISTS);
    uint32_t next;
    OK(make_table("app", "u", &next));
    assert_int_equal(next, table + 3);
}

static enum kl_rc change(struct kl_alter a, uint32_t *ret_version) {
    return alter("app", "t", &a, ret_version);
}
#define ALTER(...) change((struct kl_alter){__VA_ARGS__}, &version)

static void every_alter(void **state) {
    uint32_t version, id;
    make_items();
    OK(ALTER(.op = KL_ALTER_SET_NOT_NULL, .column = S("a")));
    assert_int_equal(version, 2);
    OK(ALTER(.op = KL_ALTER_SET_NOT_NULL, .column = S("a")));
    assert_int_equal(version, 2);
    OK(ALTER(.op = KL_ALTER_DROP_NOT_NULL, .column = S("a")));
    assert_int_equal(version, 3);
    assert_int_equal(ALTER(.op = KL_ALTER_DROP_NOT_NULL, .column = S("id")), KL_E_EXEC);
    assert_err("Column 'id' is a PRIMARY KEY and cannot be nullable");
    assert_int_equal(ALTER(.op = KL_ALTER_DROP_NOT_NULL, .column = S("_seq")), KL_E_INVALID_SQL);
    struct kl_default seven = {.kind = KL_DEFAULT_LITERAL, .value = kl_val_i64(7)};
    OK(ALTER(.op = KL_ALTER_SET_DEFAULT, .column = S("b"), .def = seven));
    OK(ALTER(.op = KL_ALTER_SET_DEFAULT, .column = S("b"), .def = seven));
    assert_int_equal(version, 4);
    OK(ALTER(.op = KL_ALTER_TYPE, .column = S("b"), .type = KL_TYPE(BIGINT)));
    assert_int_equal(version, 5);
    struct kl_table *t = get_table("app", "t");
    int b = kl_table_col(t, S("b"));
    assert_int_equal(t->cols[b].type.id, KL_T_BIGINT);
    assert_int_equal(t->cols[b].def.value.type, KL_T_BIGINT);
    assert_int_equal(t->cols[b].def.value.i, 7);
    assert_true(t->versions[3].recast && !t->versions[4].recast);
    kl_table_unref(t);
    OK(ALTER(.op = KL_ALTER_DROP_DEFAULT, .column = S("b")));
    OK(ALTER(.op = KL_ALTER_DROP_DEFAULT, .column = S("b")));
    assert_int_equal(version, 6);
    assert_int_equal(
        ALTER(.op = KL_ALTER_SET_DEFAULT, .column = S("b"), .def = {.kind = KL_DEFAULT_ULID}),
        KL_E_TYPE);
    OK(ALTER(.op = KL_ALTER_TYPE, .column = S("b"), .type = KL_TYPE(BIGINT),
        .null = KL_ALTER_NULL_NO));
    assert_int_equal(version, 7);
    OK(ALTER(.op = KL_ALTER_TYPE, .column = S("b"), .type = KL_TYPE(BIGINT)));
    assert_int_equal(version, 7);
    assert_int_equal(
        ALTER(.op = KL_ALTER_TYPE, .column = S("id"), .type = KL_TYPE(TEXT)), KL_E_EXEC);
    assert_int_equal(ALTER(.op = KL_ALTER_TYPE, .column = S("id"), .type = KL_TYPE(BIGINT),
                         .null = KL_ALTER_NULL_YES),
        KL_E_EXEC);
    OK(index_on("x", "b", NULL, false, &id));
    assert_int_equal(
        ALTER(.op = KL_ALTER_TYPE, .column = S("b"), .type = KL_TYPE(TEXT)), KL_E_EXEC);
    assert_int_equal(ALTER(.op = KL_ALTER_DROP, .column = S("b")), KL_E_EXEC);
    assert_err("Column 'b' is used by index 'x' and cannot be dropped");
    assert_string_equal(world.err.hint, "DROP INDEX app.x first");
    OK(ALTER(.op = KL_ALTER_ADD_CHECK, .check = S("length(a) > 0 and \"a\" <> 'b'")));
    assert_int_equal(version, 8);
    assert_int_equal(ALTER(.op = KL_ALTER_DROP, .column = S("a")), KL_E_EXEC);
    OK(ALTER(.op = KL_ALTER_RENAME, .column = S("a"), .new_name = S("words")));
    t = get_table("app", "t");
    assert_string_equal(t->checks[0].expr, "length(words) > 0 and \"words\" <> 'b'");
    assert_string_equal(t->checks[0].name, "t_check");
    assert_int_equal(t->n_indexes, 1);
    kl_table_unref(t);
    assert_int_equal(ALTER(.op = KL_ALTER_DROP_CHECK, .column = S("nope")), KL_E_NOT_FOUND);
    OK(ALTER(.op = KL_ALTER_DROP_CHECK, .column = S("t_check")));
    OK(ALTER(.op = KL_ALTER_DROP, .column = S("words")));
    uint32_t before = version;
    OK(ALTER(.op = KL_ALTER_COMMENT, .comment = S("first")));
    OK(ALTER(.op = KL_ALTER_COMMENT, .column = S("b"), .comment = S("a number")));
    assert_int_equal(version, before);
    reopen();
    t = get_table("app", "t");
    assert_string_equal(t->comment, "first");
    assert_string_equal(t->cols[kl_table_col(t, S("b"))].comment, "a number");
    assert_int_equal(t->version, before);
    kl_table_unref(t);
    OK(ALTER(.op = KL_ALTER_COMMENT));
    t = get_table("app", "t");
    assert_null(t->comment);
    id = t->id;
    kl_table_unref(t);
    assert_int_equal(ALTER(.op = KL_ALTER_RENAME_TABLE, .new_name = S("x")), KL_E_EXISTS);
    OK(ALTER(.op = KL_ALTER_RENAME_TABLE, .new_name = S("renamed")));
    reopen();
    assert_null(get_table("app", "t"));
    t = get_table("app", "renamed");
    assert_int_equal(t->id, id);
    assert_string_equal(t->indexes[0].name, "x");
    kl_table_unref(t);
    struct kl_cat *cat = kl_catalog_acquire(world.catalog);
    assert_int_equal(kl_cat_namespace(cat, S("app"))->n_tables, 1);
    kl_cat_release(cat);
}

/* What a value became under an older type is what it is now. */
static void a_value_keeps_what_each_type_made_of_it(void **state) {
    uint32_t version;
    struct kl_column_def cols[] = {col("id", KL_TYPE(BIGINT), 1), col("v", KL_TYPE(DOUBLE), 0)};
    OK(make_ns("app"));
    OK(make_table_of(KL_TABLE_USER, "app", "t", cols, 2, NULL));
    struct kl_table *t = get_table("app", "t");
    struct kl_val vals[] = {kl_val_i64(1), kl_val_double(2.6)};
    struct kl_row_head head = {.schema_version = 1, .seq = 9, .origin_seq = 9};
    struct kl_buf row = {0};
    OK(kl_row_encode(t->layout, &head, vals, &row, &world.err));
    kl_table_unref(t);
    OK(ALTER(.op = KL_ALTER_TYPE, .column = S("v"), .type = KL_TYPE(INT)));
    OK(ALTER(.op = KL_ALTER_TYPE, .column = S("v"), .type = KL_TYPE(TEXT)));
    t = get_table("app", "t");
    struct kl_row_view view;
    struct kl_arena arena;
    struct kl_val got;
    kl_arena_init(&arena, 0);
    assert_int_equal(kl_table_open_row(t, kl_buf_view(&row), 9, &view), KL_OK);
    assert_int_equal(kl_table_get(t, &view, 1, &arena, &got), KL_OK);
    assert_int_equal(got.type, KL_T_TEXT);
    assert_true(kl_slice_eq_str(kl_val_slice(&got), "3"));
    kl_arena_deinit(&arena);
    kl_buf_deinit(&row);
    kl_table_unref(t);
}

static void words_of_conditions(void **state) {
    static const struct {
        const char *expr, *column;
        bool uses;
    } cases[] = {{"a > 1", "a", true}, {"A > 1", "a", true}, {"\"a\" > 1", "a", true},
        {"\"A\" > 1", "a", false}, {"b = 'a'", "a", false}, {"b = $x$ a $x$", "a", false},
        {"a(b)", "a", false}, {"b::date > now()", "date", false},
        {"cast(b as text) = ''", "text", false}, {"date '2020-01-01' < b", "date", false},
        {"extract(year from b) > 1", "year", false}, {"b > 1 -- a", "a", false},
        {"b > 1 /* a */ or a", "a", true}, {"ab > 1", "a", false}, {"t.a > 1", "a", true},
        {"1e5 > b", "e5", false}};
    for (size_t i = 0; i < KL_LEN(cases); i++) {
        uint32_t version;
        struct kl_column_def cols[] = {
            col("id", KL_TYPE(BIGINT), 1), col(cases[i].column, KL_TYPE(TEXT), 0)};
        if (i == 0) {
            OK(make_ns("app"));
        }
        OK(make_table_of(KL_TABLE_USER, "app", "t", cols, 2, NULL));
        OK(ALTER(.op = KL_ALTER_ADD_CHECK, .check = S(cases[i].expr)));
        if (ALTER(.op = KL_ALTER_DROP, .column = S(cases[i].column)) !=
            (cases[i].uses ? KL_E_EXEC : KL_OK)) {
            fail_msg("%s", cases[i].expr);
        }
        uint32_t id;
        OK(CHANGE(kl_cat_drop_table(world.catalog, S("app"), S("t"), &id, &world.err)));
    }
}

static void views(void **state) {
    uint32_t id, again, version;
    make_items();
    struct kl_column_def cols[] = {{.name = S("?column?"), .type = KL_TYPE(BIGINT)},
        {.name = S("age"), .type = {.id = KL_T_INTERVAL}}};
    struct kl_table_def def = {.ns = S("app"),
        .name = S("v"),
        .type = KL_TABLE_VIEW,
        .cols = cols,
        .n_cols = 2,
        .view_sql = S("SELECT 1, now() - now() AS age"),
        .view_ns = S("app")};
    OK(CHANGE(kl_cat_create_view(world.catalog, &def, false, 5, &id, &world.err)));
    assert_int_equal(
        CHANGE(kl_cat_create_view(world.catalog, &def, false, 5, &again, &world.err)), KL_E_EXISTS);
    def.n_cols = 1;
    OK(CHANGE(kl_cat_create_view(world.catalog, &def, true, 6, &again, &world.err)));
    assert_int_equal(again, id);
    def.n_cols = 2;
    OK(CHANGE(kl_cat_create_view(world.catalog, &def, true, 6, &again, &world.err)));
    reopen();
    struct kl_table *v = get_table("app", "v");
    assert_int_equal(v->type, KL_TABLE_VIEW);
    assert_int_equal(v->version, 3);
    assert_int_equal(v->created_us, 5);
    assert_string_equal(v->view_sql, "SELECT 1, now() - now() AS age");
    assert_string_equal(v->view_ns, "app");
    assert_string_equal(v->cols[0].name, "?column?");
    assert_int_equal(v->cols[1].type.id, KL_T_INTERVAL);
    kl_table_unref(v);
    def.name = S("t");
    assert_int_equal(
        CHANGE(kl_cat_create_view(world.catalog, &def, true, 6, &again, &world.err)), KL_E_EXISTS);
    def.name = S("w");
    cols[1].name = cols[0].name;
    assert_int_equal(CHANGE(kl_cat_create_view(world.catalog, &def, true, 6, &again, &world.err)),
        KL_E_INVALID_SQL);
    assert_err("column \"?column?\" specified more than once");
    struct kl_alter drop = alter_drop("age");
    assert_int_equal(alter("app", "v", &drop, &version), KL_E_INVALID_SQL);
    struct kl_alter comment = {.op = KL_ALTER_COMMENT, .comment = S("c")};
    OK(alter("app", "v", &comment, &version));
    struct kl_arena arena;
    uint32_t *ids;
    size_t n;
    kl_arena_init(&arena, 0);
    uint32_t x;
    OK(index_on("", "a", NULL, false, &x));
    OK(CHANGE(kl_cat_drop_namespace(world.catalog, S("app"), &arena, &ids, &n, &world.err)));
    assert_int_equal(n, 3); /* table, its index, view */
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        found |= ids[i] == x;
    }
    assert_true(found);
    kl_arena_deinit(&arena);
}

static enum kl_rc put(struct kl_storage s, bool replace) {
    return CHANGE(kl_cat_put_storage(world.catalog, &s, replace, 9, &world.err));
}
#define PUT(replace, ...) put((struct kl_storage){__VA_ARGS__}, replace)

static void storages(void **state) {
    OK(PUT(false, .id = "fast-1", .type = "filesystem", .base_directory = "/srv/x",
        .credentials = "{\"k\":1}", .user_template = "{user_id}/{table_name}/{namespace_id}"));
    assert_int_equal(PUT(false, .id = "fast-1", .type = "filesystem"), KL_E_EXISTS);
    assert_err("Storage 'fast-1' already exists");
    assert_int_equal(PUT(true, .id = "nope", .name = "x"), KL_E_NOT_FOUND);
    assert_err("Storage 'nope' not found");
    assert_int_equal(PUT(false, .id = "a b", .type = "filesystem"), KL_E_INVALID_SQL);
    assert_int_equal(PUT(false, .id = "ab", .type = "ftp"), KL_E_INVALID_SQL);
    assert_err("Invalid storage type 'ftp'. Must be 'filesystem', 's3', 'gcs', or 'azure'");
    assert_int_equal(PUT(false, .id = "ab", .type = "s3", .credentials = "[1]"), KL_E_INVALID_SQL);
    assert_err("Credentials must be a JSON object");
    assert_int_equal(PUT(false, .id = "ab", .type = "s3", .config = "x"), KL_E_INVALID_SQL);
    assert_err("CONFIG must be a JSON object");
    static const struct {
        const char *shared, *user, *message;
    } bad[] = {{NULL, "{namespace}/{tableName}", "User table template: {userId} is required"},
        {"{namespace}", NULL, "Shared table template: {tableName} is required"},
        {"{tableName}/{namespace}/{userId}", NULL,
            "Shared table template: {userId} is not allowed"},
        {"{tableName}/{namespace}/{tableName}", NULL,
            "Shared table template: {tableName} stands there twice"},
        {"{tableName}/{namespace}/{what}", NULL,
            "Shared table template: unknown placeholder at '{what}'"},
        {"/{tableName}/{namespace}", NULL, "Shared table template: must be a relative path"},
        {"../{tableName}/{namespace}", NULL,
            "Shared table template: must not contain '.', '..' or empty parts"},
        {"{tableName}//{namespace}", NULL,
            "Shared table template: must not contain '.', '..' or empty parts"}};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        assert_int_equal(PUT(false, .id = "ab", .type = "filesystem",
                             .shared_template = bad[i].shared, .user_template = bad[i].user),
            KL_E_INVALID_INPUT);
        assert_err(bad[i].message);
    }
    OK(PUT(true, .id = "fast-1", .name = "Fast", .type = "s3", .base_directory = "/elsewhere"));
    OK(PUT(true, .id = "local", .description = "mine"));
    reopen();
    struct kl_cat *cat = kl_catalog_acquire(world.catalog);
    assert_int_equal(kl_cat_n_storages(cat), 2);
    const struct kl_storage *s = kl_cat_storage_at(cat, 0);
    assert_string_equal(s->id, "fast-1");
    assert_string_equal(s->name, "Fast");
    assert_string_equal(s->type, "filesystem"); /* never changes, nor does the place */
    assert_string_equal(s->base_directory, "/srv/x");
    assert_string_equal(s->credentials, "{\"k\":1}");
    assert_string_equal(s->user_template, "{userId}/{tableName}/{namespace}");
    assert_string_equal(s->shared_template, "shared/{namespace}/{tableName}/");
    assert_null(s->config);
    assert_string_equal(kl_cat_storage(cat, S("local"))->description, "mine");
    kl_cat_release(cat);

    struct kl_column_def cols[] = {col("id", KL_TYPE(BIGINT), 1)};
    struct kl_table_def def = {.ns = S("app"),
        .name = S("t"),
        .type = KL_TABLE_USER,
        .cols = cols,
        .n_cols = 1,
        .options = {.storage_id = "nope"}};
    uint32_t id;
    OK(make_ns("app"));
    assert_int_equal(
        CHANGE(kl_cat_create_table(world.catalog, &def, 7, &id, &world.err)), KL_E_NOT_FOUND);
    assert_err("Storage 'nope' does not exist");
    def.options.storage_id = "fast-1";
    OK(CHANGE(kl_cat_create_table(world.catalog, &def, 7, &id, &world.err)));
    assert_int_equal(
        CHANGE(kl_cat_drop_storage(world.catalog, S("fast-1"), &world.err)), KL_E_EXEC);
    assert_err("Cannot drop storage 'fast-1': 1 table(s) still using it");
    assert_int_equal(CHANGE(kl_cat_drop_storage(world.catalog, S("local"), &world.err)), KL_E_EXEC);
    OK(CHANGE(kl_cat_drop_table(world.catalog, S("app"), S("t"), &id, &world.err)));
    OK(CHANGE(kl_cat_drop_storage(world.catalog, S("fast-1"), &world.err)));
    assert_int_equal(
        CHANGE(kl_cat_drop_storage(world.catalog, S("fast-1"), &world.err)), KL_E_NOT_FOUND);
}

/* A table's record as it was before there were indexes: format 1 ends where the indexes begin. */
static void records_of_the_first_format(void **state) {
    uint32_t id = make_items();
    char key[5] = {KL_META_TABLE, (char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id};
    struct kl_buf rec = {0};
    OK(kl_batch_get(world.batch, KL_CF_META, kl_slice(key, 5), &rec, &world.err));
    assert_int_equal(rec.data[0], 2);
    assert_int_equal(rec.data[rec.len - 1], 0); /* no checks, no indexes */
    rec.data[0] = 1;
    kl_batch_put(world.batch, KL_CF_META, kl_slice(key, 5), kl_slice(rec.data, rec.len - 2));
    OK(kl_store_commit(world.store, &world.batch, 1, false, &world.err));
    kl_buf_deinit(&rec);
    reopen();
    struct kl_table *t = get_table("app", "t");
    assert_int_equal(t->n_cols, 4);
    assert_int_equal(t->n_indexes, 0);
    kl_table_unref(t);
    OK(index_on("x", "a", NULL, false, &id));
    reopen();
    expect_index(0, "x", KL_INDEX_BUILDING, false);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {CASE(indexes_come_and_go), CASE(indexes_that_are_refused),
        CASE(long_names_are_cut), CASE(constraints_of_a_new_table), CASE(every_alter),
        CASE(a_value_keeps_what_each_type_made_of_it), CASE(words_of_conditions), CASE(views),
        CASE(storages), CASE(records_of_the_first_format)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
