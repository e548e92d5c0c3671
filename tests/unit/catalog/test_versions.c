/* Rows written under any schema version read right under every later one. */
#include "helper.h"

#define ROW_MAX 64

struct stored {
    struct kl_buf bytes;
    int64_t seq;
};

static void encode_row(
    const struct kl_table *t, const struct kl_val *vals, int64_t seq, struct stored *ret) {
    struct kl_row_head head = {.schema_version = t->version, .seq = seq, .origin_seq = seq};
    memset(ret, 0, sizeof(*ret));
    ret->seq = seq;
    OK(kl_row_encode(t->layout, &head, vals, &ret->bytes, &world.err));
}

static void get(const struct kl_table *t, const struct stored *row, const char *name,
    struct kl_arena *arena, struct kl_val *ret) {
    struct kl_row_view view;
    assert_int_equal(kl_table_open_row(t, kl_buf_view(&row->bytes), row->seq, &view), KL_OK);
    int i = kl_table_col(t, kl_slice_str(name));
    assert_true(i >= 0);
    assert_int_equal(kl_table_get(t, &view, (unsigned)i, arena, ret), KL_OK);
}

static void assert_text(const struct kl_val *v, const char *text) {
    assert_false(v->null);
    assert_true(kl_slice_eq_str(kl_val_slice(v), text));
}

static void rename_keeps_add_defaults_drop_forgets(void **state) {
    struct kl_arena arena = {0};
    struct kl_val v;
    assert_int_equal(make_table("default", "t", NULL), KL_OK);
    struct kl_table *t1 = get_table("default", "t");
    struct stored first, second;
    encode_row(t1, (struct kl_val[]){kl_val_i64(1), kl_val_text(KL_S("hello"))}, 100, &first);
    struct kl_alter change = alter_rename("body", "content");
    assert_int_equal(alter("default", "t", &change, NULL), KL_OK);
    change = alter_add("body", KL_TYPE(TEXT)); /* the old name again: another column */
    change.missing = kl_val_text(KL_S("none"));
    change.add.def = (struct kl_default){KL_DEFAULT_LITERAL, kl_val_text(KL_S("none"))};
    assert_int_equal(alter("default", "t", &change, NULL), KL_OK);
    change = alter_add("n", KL_TYPE(INT));
    assert_int_equal(alter("default", "t", &change, NULL), KL_OK);
    world_close();
    world_open();
    struct kl_table *t4 = get_table("default", "t");
    assert_int_equal(t4->version, 4);
    encode_row(t4,
        (struct kl_val[]){
            kl_val_i64(2), kl_val_text(KL_S("c")), kl_val_text(KL_S("b")), kl_val_int(KL_T_INT, 7)},
        200, &second);
    get(t4, &first, "content", &arena, &v);
    assert_text(&v, "hello");
    get(t4, &first, "body", &arena, &v);
    assert_text(&v, "none");
    get(t4, &first, "n", &arena, &v);
    assert_true(v.null);
    assert_int_equal(v.type, KL_T_INT);
    get(t4, &second, "body", &arena, &v);
    assert_text(&v, "b");
    /* an old definition does not know a row of a later one */
    struct kl_row_view view;
    assert_int_equal(kl_table_open_row(t1, kl_buf_view(&second.bytes), 200, &view), KL_E_CORRUPT);
    change = alter_drop("content");
    assert_int_equal(alter("default", "t", &change, NULL), KL_OK);
    change = alter_add("content", KL_TYPE(TEXT));
    assert_int_equal(alter("default", "t", &change, NULL), KL_OK);
    struct kl_table *t6 = get_table("default", "t");
    get(t6, &first, "content", &arena, &v);
    assert_true(v.null); /* dropped and made anew: the old values do not come back */
    get(t6, &second, "n", &arena, &v);
    assert_int_equal(v.i, 7);
    assert_int_equal(t6->cols[kl_table_col(t6, KL_S("n"))].ordinal, 6);
    assert_int_equal(t6->cols[kl_table_col(t6, KL_S("content"))].ordinal, 7);
    assert_int_equal(t6->system_ordinal, 3);
    kl_buf_deinit(&first.bytes);
    kl_buf_deinit(&second.bytes);
    kl_table_unref(t1);
    kl_table_unref(t4);
    kl_table_unref(t6);
    kl_arena_deinit(&arena);
}

/* Truth by column id: what each row was written with. Every value is unique, so a mix-up shows. */
struct model_row {
    struct stored stored;
    uint32_t ids[ROW_MAX];
    int64_t values[ROW_MAX];
    size_t n;
};

static void check_rows(const struct kl_table *t, const struct model_row *rows, size_t n_rows) {
    struct kl_arena arena = {0};
    for (size_t r = 0; r < n_rows; r++) {
        struct kl_row_view view;
        assert_int_equal(
            kl_table_open_row(t, kl_buf_view(&rows[r].stored.bytes), rows[r].stored.seq, &view),
            KL_OK);
        for (size_t c = 0; c < t->n_cols; c++) {
            struct kl_val v;
            assert_int_equal(kl_table_get(t, &view, (unsigned)c, &arena, &v), KL_OK);
            int64_t expected = -(int64_t)t->cols[c].id; /* what `missing` was made */
            for (size_t i = 0; i < rows[r].n; i++) {
                expected = rows[r].ids[i] == t->cols[c].id ? rows[r].values[i] : expected;
            }
            assert_false(v.null);
            assert_int_equal(v.i, expected);
        }
    }
    kl_arena_deinit(&arena);
}

static void many_versions(void **state) {
    enum { CHANGES = 400, ROWS = CHANGES + 1 };
    static struct model_row rows[ROWS];
    unsigned seed = (unsigned)kl_random_u64();
    print_message("seed %u\n", seed);
    srand(seed);
    struct kl_column_def first[] = {col("c0", KL_TYPE(BIGINT), 1)};
    assert_int_equal(make_table_of(KL_TABLE_USER, "default", "t", first, 1, NULL), KL_OK);
    size_t n_rows = 0;
    int64_t next_value = 1;
    for (int i = 0; i < CHANGES; i++) {
        struct kl_table *t = get_table("default", "t");
        assert_int_equal(t->version, i + 1);
        struct kl_val vals[ROW_MAX];
        struct model_row *row = &rows[n_rows++];
        row->n = t->n_cols;
        for (size_t c = 0; c < t->n_cols; c++) {
            row->ids[c] = t->cols[c].id;
            row->values[c] = next_value++;
            vals[c] = kl_val_i64(row->values[c]);
        }
        encode_row(t, vals, i + 1, &row->stored);
        char name[20], other[20];
        snprintf(name, sizeof(name), "c%d", i + 1);
        const char *some = t->cols[t->n_cols > 1 ? 1 + (size_t)rand() % (t->n_cols - 1) : 0].name;
        snprintf(other, sizeof(other), "%s", some);
        int dice = t->n_cols < 3 ? 0 : t->n_cols >= ROW_MAX ? 1 : rand() % 3;
        struct kl_alter change = dice == 0   ? alter_add(name, KL_TYPE(BIGINT))
                                 : dice == 1 ? alter_drop(other)
                                             : alter_rename(other, name);
        change.missing = kl_val_i64(-(int64_t)t->next_column_id);
        kl_table_unref(t);
        uint32_t version;
        assert_int_equal(alter("default", "t", &change, &version), KL_OK);
        assert_int_equal(version, i + 2);
        if (i % 50 == 0) {
            world_close();
            world_open();
            t = get_table("default", "t");
            check_rows(t, rows, n_rows);
            kl_table_unref(t);
        }
    }
    struct kl_table *t = get_table("default", "t");
    assert_int_equal(t->n_versions, CHANGES + 1);
    check_rows(t, rows, n_rows);
    kl_table_unref(t);
    for (size_t i = 0; i < n_rows; i++) {
        kl_buf_deinit(&rows[i].stored.bytes);
    }
}

static void column_limit(void **state) {
    static struct kl_column_def cols[KL_ROW_MAX_COLS + 1];
    static char names[KL_ROW_MAX_COLS + 1][8];
    for (int i = 0; i <= KL_ROW_MAX_COLS; i++) {
        snprintf(names[i], sizeof(names[i]), "c%d", i);
        cols[i] = col(names[i], KL_TYPE(TEXT), 0);
    }
    assert_int_equal(make_table_of(KL_TABLE_USER, "default", "t", cols, KL_ROW_MAX_COLS + 1, NULL),
        KL_E_INVALID_SQL);
    assert_int_equal(
        make_table_of(KL_TABLE_USER, "default", "t", cols, KL_ROW_MAX_COLS, NULL), KL_OK);
    struct kl_alter more = alter_add("more", KL_TYPE(TEXT));
    assert_int_equal(alter("default", "t", &more, NULL), KL_E_EXEC);
    assert_err("A table may have at most 1024 columns");
}

/* A table that is altered without end is refused with words at some point, and stays usable. */
static void record_limit(void **state) {
    static struct kl_column_def cols[KL_ROW_MAX_COLS - 1];
    static char names[KL_ROW_MAX_COLS][64];
    for (int i = 0; i < KL_ROW_MAX_COLS - 1; i++) {
        snprintf(
            names[i], sizeof(names[i]), "a_rather_long_column_name_that_takes_its_space_%d", i);
        cols[i] = col(names[i], KL_TYPE(TEXT), 0);
    }
    assert_int_equal(
        make_table_of(KL_TABLE_USER, "default", "t", cols, KL_ROW_MAX_COLS - 1, NULL), KL_OK);
    enum kl_rc rc = KL_OK;
    uint32_t version = 1, last = 1;
    for (int i = 0; rc == KL_OK && i < 2000; i++) {
        last = version;
        struct kl_alter change =
            alter_rename(i % 2 ? "other" : names[0], i % 2 ? names[0] : "other");
        rc = alter("default", "t", &change, &version);
    }
    assert_int_equal(rc, KL_E_TOO_LARGE);
    assert_true(last > 50);
    struct kl_table *t = get_table("default", "t");
    assert_int_equal(t->version, last);
    kl_table_unref(t);
    world_close();
    world_open();
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {CASE(rename_keeps_add_defaults_drop_forgets),
        CASE(many_versions), CASE(column_limit), CASE(record_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
