/* Readers take snapshots while a writer publishes: each sees one whole state, and versions never
 * go back. */
#include "helper.h"
#include <pthread.h>

enum { READERS = 4, CHANGES = 300 };
static atomic_bool stop;

/* Tables t0..tN are made in order, then column c is added to each: a snapshot that has tK has all
 * before it. */
static void check_snapshot(const struct kl_cat *cat) {
    const struct kl_namespace *ns = kl_cat_namespace(cat, KL_S("app"));
    if (!ns) {
        return;
    }
    uint32_t n = ns->n_tables;
    char name[20];
    snprintf(name, sizeof(name), "t%u", n);
    KL_ASSERT(kl_cat_table(cat, KL_S("app"), kl_slice_str(name)) == NULL);
    if (n > 0) {
        snprintf(name, sizeof(name), "t%u", n - 1);
        struct kl_table *t = kl_cat_table(cat, KL_S("app"), kl_slice_str(name));
        KL_ASSERT(t && kl_cat_table_by_id(cat, t->id) == t);
        KL_ASSERT(t->n_cols == t->version + 1 && t->layout->n_cols == t->n_cols);
    }
}

static void *reader(void *arg) {
    uint64_t last = 0;
    struct kl_table *held = NULL;
    while (!atomic_load(&stop)) {
        uint64_t newest = kl_catalog_version(world.catalog);
        struct kl_cat *cat = kl_catalog_acquire(world.catalog);
        KL_ASSERT(kl_cat_version(cat) >= newest && kl_cat_version(cat) >= last);
        last = kl_cat_version(cat);
        check_snapshot(cat);
        struct kl_table *t = kl_cat_table(cat, KL_S("app"), KL_S("t0"));
        if (t) { /* a plan outlives the snapshot that it came from */
            kl_table_ref(t);
            kl_table_unref(held);
            held = t;
        }
        kl_cat_release(cat);
        if (held) {
            KL_ASSERT(held->cols[0].pk_pos == 1);
        }
    }
    kl_table_unref(held);
    return NULL;
}

static void concurrent(void **state) {
    pthread_t threads[READERS];
    atomic_store(&stop, false);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, reader, NULL), 0);
    }
    assert_int_equal(make_ns("app"), KL_OK);
    int made = 0;
    for (int i = 0; i < CHANGES; i++) {
        char name[20];
        if (i % 3 == 0) {
            snprintf(name, sizeof(name), "t%d", made++);
            assert_int_equal(make_table("app", name, NULL), KL_OK);
        } else {
            char table[20];
            snprintf(table, sizeof(table), "t%d", rand() % made);
            snprintf(name, sizeof(name), "c%d", i);
            struct kl_alter add = alter_add(name, KL_TYPE(INT));
            assert_int_equal(alter("app", table, &add, NULL), KL_OK);
        }
    }
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(kl_catalog_version(world.catalog), CHANGES + 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(concurrent, world_setup, world_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
