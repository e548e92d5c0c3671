/* A random sequence of DDL against a model that is too simple to be wrong, with restarts and
 * given-up changes. */
#include "helper.h"

enum { NAMESPACES = 4, TABLES = 4, COLUMNS = 6, STEPS = 1500 };

struct model_table {
    bool there;
    uint32_t id, version;
    bool column[COLUMNS]; /* beside the key */
};
struct model_ns {
    bool there;
    struct model_table tables[TABLES];
};
static struct model_ns model[NAMESPACES];
static const char *const ns_names[NAMESPACES] = {"alpha", "beta", "gamma", "delta"};
static const char *const table_names[TABLES] = {"t_a", "t_b", "t_c", "t_d"};
static const char *const column_names[COLUMNS] = {"u", "v", "w", "x", "y", "z"};

static void check_table(const struct kl_cat *cat, int n, int i) {
    const struct model_table *m = &model[n].tables[i];
    struct kl_table *t = kl_cat_table(cat, kl_slice_str(ns_names[n]), kl_slice_str(table_names[i]));
    assert_int_equal(t != NULL, m->there);
    if (!t) {
        return;
    }
    assert_int_equal(t->id, m->id);
    assert_int_equal(t->version, m->version);
    assert_ptr_equal(kl_cat_table_by_id(cat, m->id), t);
    size_t columns = 1;
    for (int c = 0; c < COLUMNS; c++) {
        columns += m->column[c];
        assert_int_equal(kl_table_col(t, kl_slice_str(column_names[c])) >= 0, m->column[c]);
    }
    assert_int_equal(t->n_cols, columns);
}

static void check_all(void) {
    struct kl_cat *cat = kl_catalog_acquire(world.catalog);
    size_t namespaces = 4, tables = KL_SYS_COUNT;
    for (int n = 0; n < NAMESPACES; n++) {
        const struct kl_namespace *ns = kl_cat_namespace(cat, kl_slice_str(ns_names[n]));
        assert_int_equal(ns != NULL, model[n].there);
        uint32_t here = 0;
        for (int i = 0; i < TABLES; i++) {
            check_table(cat, n, i);
            here += model[n].tables[i].there;
        }
        assert_int_equal(ns ? ns->n_tables : 0, here);
        namespaces += model[n].there;
        tables += here;
    }
    assert_int_equal(kl_cat_n_namespaces(cat), namespaces);
    assert_int_equal(kl_cat_n_tables(cat), tables);
    kl_cat_release(cat);
}

static void drop_ns(int n) {
    struct kl_arena arena = {0};
    uint32_t *ids;
    size_t count;
    enum kl_rc rc = CHANGE(kl_cat_drop_namespace(
        world.catalog, kl_slice_str(ns_names[n]), &arena, &ids, &count, &world.err));
    assert_int_equal(rc, model[n].there ? KL_OK : KL_E_NOT_FOUND);
    memset(&model[n], 0, sizeof(model[n]));
    kl_arena_deinit(&arena);
}

static void create_table(int n, int i) {
    struct model_table *m = &model[n].tables[i];
    uint32_t id;
    struct kl_column_def cols[] = {col("id", KL_TYPE(BIGINT), 1)};
    enum kl_rc rc = make_table_of(
        (enum kl_table_type)(1 + rand() % 3), ns_names[n], table_names[i], cols, 1, &id);
    assert_int_equal(rc, !model[n].there ? KL_E_NOT_FOUND : m->there ? KL_E_EXISTS : KL_OK);
    if (rc == KL_OK) {
        *m = (struct model_table){.there = true, .id = id, .version = 1};
    }
}

static void drop_table(int n, int i) {
    struct model_table *m = &model[n].tables[i];
    uint32_t id;
    enum kl_rc rc = CHANGE(kl_cat_drop_table(
        world.catalog, kl_slice_str(ns_names[n]), kl_slice_str(table_names[i]), &id, &world.err));
    assert_int_equal(rc, m->there ? KL_OK : KL_E_NOT_FOUND);
    memset(m, 0, sizeof(*m));
}

static void alter_table(int n, int i) {
    struct model_table *m = &model[n].tables[i];
    int a = rand() % COLUMNS, b = rand() % COLUMNS, dice = rand() % 3;
    struct kl_alter change = dice == 0   ? alter_add(column_names[a], KL_TYPE(TEXT))
                             : dice == 1 ? alter_drop(column_names[a])
                                         : alter_rename(column_names[a], column_names[b]);
    enum kl_rc expected = KL_OK;
    if (!m->there || (dice != 0 && !m->column[a])) {
        expected = KL_E_NOT_FOUND;
    } else if ((dice == 0 && m->column[a]) || (dice == 2 && a != b && m->column[b])) {
        expected = KL_E_EXISTS;
    }
    uint32_t version;
    assert_int_equal(alter(ns_names[n], table_names[i], &change, &version), expected);
    if (expected == KL_OK) {
        m->column[a] = dice == 0;
        if (dice == 2) {
            m->column[b] = true;
        }
        m->version += dice == 2 && a == b ? 0 : 1;
        assert_int_equal(version, m->version);
    }
}

static void give_up(int n, int i) {
    uint32_t id;
    struct kl_arena arena = {0};
    uint32_t *ids;
    size_t count;
    OK(kl_catalog_begin(world.catalog, world.batch, &world.err));
    (void)kl_cat_drop_table(
        world.catalog, kl_slice_str(ns_names[n]), kl_slice_str(table_names[i]), &id, NULL);
    (void)kl_cat_drop_namespace(
        world.catalog, kl_slice_str(ns_names[(n + 1) % NAMESPACES]), &arena, &ids, &count, NULL);
    (void)kl_cat_create_namespace(world.catalog, kl_slice_str(ns_names[n]), 1, NULL);
    kl_catalog_abort(world.catalog);
    kl_batch_clear(world.batch);
    kl_arena_deinit(&arena);
}

static void random_ddl(void **state) {
    unsigned seed = (unsigned)kl_random_u64();
    print_message("seed %u\n", seed);
    srand(seed);
    for (int step = 0; step < STEPS; step++) {
        int n = rand() % NAMESPACES, i = rand() % TABLES, dice = rand() % 100;
        if (dice < 10) {
            assert_int_equal(make_ns(ns_names[n]), model[n].there ? KL_E_EXISTS : KL_OK);
            model[n].there = true;
        } else if (dice < 13) {
            drop_ns(n);
        } else if (dice < 35) {
            create_table(n, i);
        } else if (dice < 42) {
            drop_table(n, i);
        } else if (dice < 50) {
            give_up(n, i);
        } else {
            alter_table(n, i);
        }
        if (step % 250 == 249) {
            world_close();
            world_open();
        }
        check_all();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_ddl, world_setup, world_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
