/* The database: commits and reopening, point reads, snapshots, iterators over the store, range
 * deletion, failures. */
#include "store_test.h"
#include <rocksdb/c.h>

static const char *folder;
static struct kl_store *store;

static int setup(void **state) {
    folder = fresh_folder("db");
    store = open_store(folder);
    return 0;
}

static int teardown(void **state) {
    kl_fault_set(NULL);
    kl_store_close(store);
    store = NULL;
    return kl_dir_remove(folder) == KL_OK ? 0 : -1;
}

static void reopen(void) {
    kl_store_close(store);
    store = open_store(folder);
}

static void put(enum kl_cf cf, const char *key, const char *value) {
    struct kl_batch *b = kl_batch_new(store);
    kl_batch_put(b, cf, kl_slice_str(key), kl_slice_str(value));
    commit_one(store, b);
    kl_batch_free(b);
}

/* NULL: absent. */
static void expect_at(struct kl_snapshot *snap, enum kl_cf cf, const char *key, const char *value) {
    struct kl_pinned p = {0};
    struct kl_err err = {0};
    enum kl_rc rc = kl_store_get(store, snap, cf, kl_slice_str(key), &p, &err);
    assert_int_equal(rc, value ? KL_OK : KL_E_NOT_FOUND);
    if (value) {
        assert_true(kl_slice_eq_str(p.value, value));
    }
    kl_pinned_release(&p);
    assert_null(p.handle);
}

static void expect(enum kl_cf cf, const char *key, const char *value) {
    expect_at(NULL, cf, key, value);
}

static void test_commit_get_reopen(void **state) {
    expect(KL_CF_ROW, "a", NULL);
    put(KL_CF_ROW, "a", "1");
    put(KL_CF_PK, "a", "2");
    put(KL_CF_META, "empty", "");
    for (int i = 0; i < 3; i++) {
        expect(KL_CF_ROW, "a", "1");
        expect(KL_CF_PK, "a", "2");
        expect(KL_CF_META, "a", NULL);
        expect(KL_CF_META, "empty", "");
        reopen();
    }
}

/* A data directory from before there were secondary indexes. */
static void test_a_folder_without_the_index_family(void **state) {
    static const char *const old[] = {"default", "meta", "row", "pk"};
    put(KL_CF_META, "m", "1");
    put(KL_CF_ROW, "r", "2");
    kl_store_close(store);
    rocksdb_options_t *o = rocksdb_options_create();
    const rocksdb_options_t *each[5] = {o, o, o, o, o};
    rocksdb_column_family_handle_t *cf[5];
    const char *now[5] = {old[0], old[1], old[2], old[3], "idx"};
    char *error = NULL;
    rocksdb_t *db = rocksdb_open_column_families(o, folder, 5, now, each, cf, &error);
    assert_null(error);
    rocksdb_drop_column_family(db, cf[4], &error);
    assert_null(error);
    for (int i = 0; i < 5; i++) {
        rocksdb_column_family_handle_destroy(cf[i]);
    }
    rocksdb_close(db);
    rocksdb_options_destroy(o);
    store = open_store(folder);
    expect(KL_CF_META, "m", "1");
    expect(KL_CF_ROW, "r", "2");
    expect(KL_CF_IDX, "i", NULL);
    put(KL_CF_IDX, "i", "3");
    reopen();
    expect(KL_CF_IDX, "i", "3");
}

static void test_several_batches(void **state) {
    struct kl_batch *b[4];
    struct kl_err err = {0};
    for (int i = 0; i < 4; i++) {
        b[i] = kl_batch_new(store);
    }
    assert_ok(kl_store_commit(store, b, 4, true, &err)); /* nothing to do */
    assert_ok(kl_store_commit(store, NULL, 0, true, &err));
    kl_batch_put(b[0], KL_CF_ROW, KL_S("k"), KL_S("first"));
    kl_batch_put(b[2], KL_CF_ROW, KL_S("k"), KL_S("second"));
    kl_batch_put(b[2], KL_CF_META, KL_S("m"), KL_S("3"));
    assert_ok(kl_store_commit(store, b, 4, true, &err));
    expect(KL_CF_ROW, "k", "second");
    reopen();
    expect(KL_CF_ROW, "k", "second");
    expect(KL_CF_META, "m", "3");
    for (int i = 0; i < 4; i++) {
        kl_batch_free(b[i]);
    }
}

static void test_snapshot_stays(void **state) {
    put(KL_CF_ROW, "a1", "old");
    struct kl_snapshot *snap = kl_snapshot_take(store);
    put(KL_CF_ROW, "a1", "new");
    put(KL_CF_ROW, "a2", "new");
    expect_at(snap, KL_CF_ROW, "a1", "old");
    expect_at(snap, KL_CF_ROW, "a2", NULL);
    expect(KL_CF_ROW, "a1", "new");
    struct kl_iter_options options = {.cf = KL_CF_ROW, .prefix = KL_S("a"), .snap = snap};
    struct kl_iter *it = kl_iter_new(store, &options);
    kl_iter_seek_first(it);
    assert_true(kl_iter_valid(it));
    assert_true(kl_slice_eq_str(kl_iter_value(it), "old"));
    kl_iter_next(it);
    assert_false(kl_iter_valid(it));
    assert_ok(kl_iter_status(it, NULL));
    kl_iter_free(it);
    kl_snapshot_release(store, snap);
    kl_snapshot_release(store, NULL);
}

static void test_iterator_keeps_to_its_prefix(void **state) {
    static const char *keys[] = {
        "a", "b", "b1", "b2", "b\xff", "b\xff\xff", "c", "\xff", "\xff\x01"};
    for (size_t i = 0; i < KL_LEN(keys); i++) {
        put(KL_CF_PK, keys[i], keys[i]);
    }
    static const struct {
        const char *prefix, *first, *last;
        int count;
    } cases[] = {{"b", "b", "b\xff\xff", 5}, {"b\xff", "b\xff", "b\xff\xff", 2},
        {"", "a", "\xff\x01", 9}, {"\xff", "\xff", "\xff\x01", 2}, {"bb", NULL, NULL, 0},
        {"z", NULL, NULL, 0}, {"b2", "b2", "b2", 1}};
    for (size_t i = 0; i < KL_LEN(cases); i++) {
        struct kl_iter_options options = {.cf = KL_CF_PK, .prefix = kl_slice_str(cases[i].prefix)};
        struct kl_iter *it = kl_iter_new(store, &options);
        int forward = 0, backward = 0;
        for (kl_iter_seek_first(it); kl_iter_valid(it); kl_iter_next(it)) {
            if (forward++ == 0) {
                assert_true(kl_slice_eq_str(kl_iter_key(it), cases[i].first));
            }
        }
        for (kl_iter_seek_last(it); kl_iter_valid(it); kl_iter_prev(it)) {
            if (backward++ == 0) {
                assert_true(kl_slice_eq_str(kl_iter_key(it), cases[i].last));
            }
        }
        assert_int_equal(forward, cases[i].count);
        assert_int_equal(backward, cases[i].count);
        kl_iter_seek(it, KL_S("")); /* below the prefix: its first key */
        assert_int_equal(kl_iter_valid(it), cases[i].count > 0);
        kl_iter_free(it);
    }
}

static void test_delete_range(void **state) {
    put(KL_CF_ROW, "p1", "x");
    put(KL_CF_ROW, "p2", "x");
    put(KL_CF_ROW, "q1", "x");
    put(KL_CF_PK, "p1", "x");
    struct kl_snapshot *snap = kl_snapshot_take(store);
    assert_ok(kl_store_delete_range(store, KL_CF_ROW, KL_S("p"), KL_S("q"), NULL));
    assert_ok(kl_store_delete_range(store, KL_CF_ROW, KL_S("q1"), KL_S("q1"), NULL));
    expect_at(snap, KL_CF_ROW, "p1", "x");
    kl_snapshot_release(store, snap);
    put(KL_CF_ROW, "p3", "after");
    for (int i = 0; i < 2; i++) {
        expect(KL_CF_ROW, "p1", NULL);
        expect(KL_CF_ROW, "p2", NULL);
        expect(KL_CF_ROW, "p3", "after");
        expect(KL_CF_ROW, "q1", "x");
        expect(KL_CF_PK, "p1", "x");
        reopen();
    }
}

static void test_second_opener_is_refused(void **state) {
    struct kl_store_options options = {.path = folder};
    struct kl_store *second = NULL;
    struct kl_err err = {0};
    assert_int_equal(kl_store_open(&options, &second, &err), KL_E_IO);
    assert_null(second);
    assert_true(err.msg[0] != 0);
    put(KL_CF_ROW, "still", "works");
}

static void test_path_that_is_no_folder(void **state) {
    char path[600];
    snprintf(path, sizeof(path), "%s/CURRENT", folder);
    struct kl_store_options options = {.path = path};
    struct kl_store *none = NULL;
    struct kl_err err = {0};
    assert_int_not_equal(kl_store_open(&options, &none, &err), KL_OK);
    assert_null(none);
    kl_store_close(NULL);
}

#ifdef KL_FAULTS
static void expect_refusal(struct kl_batch **b, size_t n) {
    struct kl_err err = {0};
    assert_true(kl_store_failed(store));
    assert_int_equal(kl_store_commit(store, b, n, true, &err), KL_E_IO);
    assert_non_null(strstr(err.msg, "restart"));
    assert_int_equal(kl_store_delete_range(store, KL_CF_ROW, KL_S("a"), KL_S("b"), &err), KL_E_IO);
}

static void test_a_failed_commit_stops_writes(void **state) {
    struct kl_batch *b = kl_batch_new(store);
    struct kl_err err = {0};
    put(KL_CF_ROW, "before", "1");
    kl_batch_put(b, KL_CF_ROW, KL_S("lost"), KL_S("1"));
    kl_fault_set("store.commit:1");
    assert_false(kl_store_failed(store));
    assert_int_equal(kl_store_commit(store, &b, 1, true, &err), KL_E_IO);
    expect_refusal(&b, 1);
    expect(KL_CF_ROW, "before", "1"); /* reads go on */
    kl_batch_free(b);
    reopen();
    assert_false(kl_store_failed(store));
    expect(KL_CF_ROW, "before", "1");
    expect(KL_CF_ROW, "lost", NULL);
    put(KL_CF_ROW, "after", "1");
}

/* Neither batch is in the store, nor after a restart. */
static void test_a_failed_commit_of_two_batches_leaves_none(void **state) {
    struct kl_batch *b[2] = {kl_batch_new(store), kl_batch_new(store)};
    kl_batch_put(b[0], KL_CF_ROW, KL_S("x"), KL_S("1"));
    kl_batch_put(b[1], KL_CF_ROW, KL_S("y"), KL_S("1"));
    kl_fault_set("store.commit:1");
    assert_int_equal(kl_store_commit(store, b, 2, true, NULL), KL_E_IO);
    expect_refusal(b, 2);
    kl_batch_free(b[0]);
    kl_batch_free(b[1]);
    reopen();
    expect(KL_CF_ROW, "x", NULL);
    expect(KL_CF_ROW, "y", NULL);
}

static void test_a_failed_range_deletion_stops_writes(void **state) {
    struct kl_batch *b = kl_batch_new(store);
    kl_batch_put(b, KL_CF_ROW, KL_S("x"), KL_S("1"));
    kl_fault_set("store.commit:1");
    assert_int_equal(kl_store_delete_range(store, KL_CF_ROW, KL_S("a"), KL_S("b"), NULL), KL_E_IO);
    expect_refusal(&b, 1);
    kl_batch_free(b);
}
#endif

/* Enough to be written out to table files and compacted while it goes on. */
static void test_many_rows_survive_flushes(void **state) {
    enum { ROWS = 60000 };
    struct kl_batch *b = kl_batch_new(store);
    char value[400];
    for (uint32_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < sizeof(value); j += 8) {
            uint64_t r = rnd();
            memcpy(value + j, &r, 8);
        }
        struct kl_scope scope = {.shard = 1, .kind = KL_SCOPE_USER, .user = KL_S("u")};
        struct kl_key key;
        kl_key_row(&key, &scope, i % 3, i);
        memcpy(value, &i, sizeof(i));
        kl_batch_put(b, KL_CF_ROW, kl_key_view(&key), kl_slice(value, sizeof(value)));
        if (kl_batch_count(b) == 500) {
            commit_one(store, b);
        }
    }
    commit_one(store, b);
    kl_batch_free(b);
    for (int round = 0; round < 2; round++) {
        for (uint32_t table = 0; table < 3; table++) {
            struct kl_scope scope = {.shard = 1, .kind = KL_SCOPE_USER, .user = KL_S("u")};
            struct kl_key prefix;
            kl_key_partition(&prefix, &scope, table);
            struct kl_iter_options options = {.cf = KL_CF_ROW, .prefix = kl_key_view(&prefix)};
            struct kl_iter *it = kl_iter_new(store, &options);
            uint32_t want = table;
            for (kl_iter_seek_first(it); kl_iter_valid(it); kl_iter_next(it), want += 3) {
                uint32_t got;
                memcpy(&got, kl_iter_value(it).ptr, sizeof(got));
                assert_int_equal(got, want);
                assert_true(kl_key_row_seq(kl_iter_key(it)) == want);
            }
            assert_ok(kl_iter_status(it, NULL));
            assert_int_equal(want, ROWS + table);
            kl_iter_free(it);
        }
        struct kl_store_stats stats;
        kl_store_stats(store, &stats);
        assert_true(stats.disk_bytes > ROWS * sizeof(value) / 2);
        assert_true(stats.keys_estimate[KL_CF_ROW] >
                    0); /* how good the estimate is depends on what was written out */
        assert_true(stats.memtable_bytes < 40u << 20);
        reopen();
    }
}

static void *synced_writer(void *arg) {
    struct kl_batch *b = kl_batch_new(store);
    intptr_t failed = 0;
    for (uint32_t i = 0; i < 200; i++) {
        char key[40];
        int n = snprintf(key, sizeof(key), "%d-%u", (int)(intptr_t)arg, i);
        kl_batch_put(b, KL_CF_ROW, kl_slice(key, (size_t)n), KL_S("x"));
        failed |= kl_store_commit(store, &b, 1, true, NULL) != KL_OK;
        struct kl_pinned p = {0};
        failed |= kl_store_get(store, NULL, KL_CF_ROW, kl_slice(key, (size_t)n), &p, NULL) != KL_OK;
        kl_pinned_release(&p);
        kl_batch_clear(b);
    }
    kl_batch_free(b);
    return (void *)failed;
}

static void test_commits_from_many_threads(void **state) {
    pthread_t threads[4];
    for (intptr_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, synced_writer, (void *)i), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    struct kl_iter_options options = {.cf = KL_CF_ROW};
    struct kl_iter *it = kl_iter_new(store, &options);
    int count = 0;
    for (kl_iter_seek_first(it); kl_iter_valid(it); kl_iter_next(it)) {
        count++;
    }
    assert_int_equal(count, 4 * 200);
    kl_iter_free(it);
}

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    seed_from_env();
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_commit_get_reopen),
        STORE_TEST(test_a_folder_without_the_index_family),
        STORE_TEST(test_several_batches),
        STORE_TEST(test_snapshot_stays),
        STORE_TEST(test_iterator_keeps_to_its_prefix),
        STORE_TEST(test_delete_range),
        STORE_TEST(test_second_opener_is_refused),
        STORE_TEST(test_path_that_is_no_folder),
#ifdef KL_FAULTS
        STORE_TEST(test_a_failed_commit_stops_writes),
        STORE_TEST(test_a_failed_commit_of_two_batches_leaves_none),
        STORE_TEST(test_a_failed_range_deletion_stops_writes),
#endif
        STORE_TEST(test_many_rows_survive_flushes),
        STORE_TEST(test_commits_from_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
