/* Damaged records are an error with words, never a crash, and never a table that is not what was
 * written. */
#include "helper.h"

static void put_raw(struct kl_slice key, struct kl_slice value) {
    kl_batch_clear(world.batch);
    kl_batch_put(world.batch, KL_CF_META, key, value);
    OK(kl_store_commit(world.store, &world.batch, 1, false, &world.err));
    kl_batch_clear(world.batch);
}

/* The one record whose key starts with this byte (and is longer than `longer_than`). */
static void read_raw(char kind, struct kl_buf *key, struct kl_buf *value) {
    struct kl_iter *it = kl_iter_new(
        world.store, &(struct kl_iter_options){.cf = KL_CF_META, .prefix = kl_slice(&kind, 1)});
    kl_iter_seek_last(it);
    assert_true(kl_iter_valid(it));
    kl_buf_slice(key, kl_iter_key(it));
    kl_buf_slice(value, kl_iter_value(it));
    kl_iter_free(it);
}

static enum kl_rc try_open(void) {
    struct kl_catalog *c = NULL;
    kl_err_clear(&world.err);
    enum kl_rc rc = kl_catalog_open(world.store, 8, &c, &world.err);
    if (rc == KL_OK) {
        /* what was accepted must also be usable */
        struct kl_cat *cat = kl_catalog_acquire(c);
        struct kl_buf out = {0};
        for (size_t i = 0; i < kl_cat_n_tables(cat); i++) {
            struct kl_table *t = kl_cat_table_at(cat, i);
            for (size_t v = 0; v < t->n_versions; v++) {
                kl_table_columns_json(t, &t->versions[v], &out);
            }
            kl_table_options_json(t, &out);
        }
        kl_buf_deinit(&out);
        kl_cat_release(cat);
        kl_catalog_close(c);
    } else {
        assert_true(world.err.msg[0] != 0);
    }
    return rc;
}

static void damage_every_way(char kind) {
    struct kl_buf key = {0}, good = {0};
    read_raw(kind, &key, &good);
    kl_catalog_close(world.catalog);
    world.catalog = NULL;
    assert_int_equal(try_open(), KL_OK);
    for (size_t cut = 0; cut < good.len; cut++) { /* every prefix */
        put_raw(kl_buf_view(&key), kl_slice(good.data, cut));
        assert_int_equal(try_open(), KL_E_CORRUPT);
    }
    struct kl_buf bad = {0};
    kl_buf_slice(&bad, kl_buf_view(&good));
    kl_buf_putc(&bad, 0); /* a byte too many */
    put_raw(kl_buf_view(&key), kl_buf_view(&bad));
    assert_int_equal(try_open(), KL_E_CORRUPT);
    bad.len = good.len;
    for (size_t i = 0; i < good.len; i++) { /* every byte, to its extremes and by single bits */
        static const unsigned char flips[] = {0xff, 0x01, 0x80, 0x10};
        for (size_t f = 0; f < KL_LEN(flips); f++) {
            bad.data[i] = (char)(good.data[i] ^ flips[f]);
            put_raw(kl_buf_view(&key), kl_buf_view(&bad));
            enum kl_rc rc = try_open();
            assert_true(rc == KL_OK || rc == KL_E_CORRUPT || rc == KL_E_UNSUPPORTED ||
                        rc == KL_E_TOO_LARGE);
        }
        bad.data[i] = good.data[i];
    }
    put_raw(kl_buf_view(&key), kl_buf_view(&good));
    OK(kl_catalog_open(world.store, 8, &world.catalog, &world.err));
    kl_buf_deinit(&bad);
    kl_buf_deinit(&key);
    kl_buf_deinit(&good);
}

static void tables(void **state) {
    float vector[2] = {1, 2};
    struct kl_column_def cols[] = {col("id", KL_TYPE(BIGINT), 1),
        col("d", (struct kl_type){.id = KL_T_DECIMAL, .precision = 6, .scale = 2}, 0),
        col("e", (struct kl_type){.id = KL_T_EMBEDDING, .dim = 2}, 0),
        col("b", KL_TYPE(BOOLEAN), 0), col("t", KL_TYPE(TEXT), 0)};
    cols[1].def = (struct kl_default){KL_DEFAULT_LITERAL, kl_val_decimal(99, 2)};
    cols[2].def = (struct kl_default){
        KL_DEFAULT_LITERAL, kl_val_str(KL_T_EMBEDDING, kl_slice(vector, sizeof(vector)))};
    cols[3].def = (struct kl_default){KL_DEFAULT_LITERAL, kl_val_bool(true)};
    cols[4].def = (struct kl_default){KL_DEFAULT_LITERAL, kl_val_text(KL_S("text"))};
    assert_int_equal(make_table_of(KL_TABLE_USER, "default", "t", cols, 5, NULL), KL_OK);
    struct kl_alter add = alter_add("more", KL_TYPE(UUID));
    assert_int_equal(alter("default", "t", &add, NULL), KL_OK);
    damage_every_way(KL_META_TABLE);
}

static void namespaces(void **state) {
    assert_int_equal(make_ns("zz"), KL_OK);
    assert_int_equal(CHANGE(kl_cat_set_namespace_options(
                         world.catalog, KL_S("zz"), KL_S("{\"a\":1}"), &world.err)),
        KL_OK);
    damage_every_way(KL_META_NAMESPACE);
}

static void identity(void **state) {
    damage_every_way(KL_META_IDENTITY);
}

static void newer_format(void **state) {
    char key = KL_META_IDENTITY;
    struct kl_buf rec = {0};
    kl_buf_u8(&rec, 1);
    kl_buf_le32(&rec, 2);
    kl_buf_puts(&rec, "whatever comes with format 2");
    put_raw(kl_slice(&key, 1), kl_buf_view(&rec));
    assert_int_equal(try_open(), KL_E_UNSUPPORTED);
    assert_err("This data directory has format 2, made by a newer KalamDB; this version reads up "
               "to 1. Start the newer version.");
    kl_buf_deinit(&rec);
}

static void identity_lost(void **state) {
    char key = KL_META_IDENTITY;
    kl_batch_del(world.batch, KL_CF_META, kl_slice(&key, 1));
    OK(kl_store_commit(world.store, &world.batch, 1, false, &world.err));
    kl_batch_clear(world.batch);
    assert_int_equal(try_open(), KL_E_CORRUPT);
}

static void table_without_namespace(void **state) {
    assert_int_equal(make_ns("zz"), KL_OK);
    assert_int_equal(make_table("zz", "t", NULL), KL_OK);
    kl_batch_del(world.batch, KL_CF_META, KL_S("\x02zz"));
    OK(kl_store_commit(world.store, &world.batch, 1, false, &world.err));
    kl_batch_clear(world.batch);
    assert_int_equal(try_open(), KL_E_CORRUPT);
}

static void counter_damaged(void **state) {
    put_raw(KL_S("\x04next_table_id"), KL_S("\x01"));
    assert_int_equal(make_table("default", "t", NULL), KL_E_CORRUPT);
    put_raw(KL_S("\x04next_table_id"), KL_S("\x00\x00\x00\x00\x00\x00\x00\x00"));
    assert_int_equal(make_table("default", "t", NULL), KL_E_CORRUPT);
    put_raw(KL_S("\x04next_table_id"), KL_S("\x00\x00\x00\xf0\x00\x00\x00\x00"));
    assert_int_equal(
        make_table("default", "t", NULL), KL_E_CORRUPT); /* that of a system relation */
    put_raw(KL_S("\x04next_table_id"), KL_S("\xff\xff\xff\xff\xff\x00\x00\x00"));
    assert_int_equal(make_table("default", "t", NULL), KL_E_TOO_LARGE);
}

static void shards_are_kept(void **state) {
    world_close();
    world_open_store();
    OK(kl_catalog_open(world.store, 3, &world.catalog, &world.err));
    assert_int_equal(kl_catalog_user_shards(world.catalog),
        8); /* of the data directory, not of the configuration */
}

#ifdef KL_FAULTS
/* The very first commit fails: nothing is half made, and the next start begins anew. */
static void first_commit_fails(void **state) {
    world_close();
    world_remove();
    world_open_store();
    kl_fault_set("store.commit:1");
    assert_int_not_equal(kl_catalog_open(world.store, 8, &world.catalog, &world.err), KL_OK);
    kl_fault_set(NULL);
    world.catalog = NULL;
    world_close();
    world_open();
    struct kl_cat *cat = kl_catalog_acquire(world.catalog);
    assert_non_null(kl_cat_namespace(cat, KL_S("default")));
    kl_cat_release(cat);
}

/* A commit that fails takes its change with it, and a failed store takes no other. */
static void commit_fails(void **state) {
    OK(kl_catalog_begin(world.catalog, world.batch, &world.err));
    OK(kl_cat_create_namespace(world.catalog, KL_S("app"), 1, &world.err));
    kl_fault_set("store.commit:1");
    assert_int_not_equal(kl_store_commit(world.store, &world.batch, 1, true, &world.err), KL_OK);
    kl_fault_set(NULL);
    kl_catalog_abort(world.catalog);
    kl_batch_clear(world.batch);
    assert_int_not_equal(kl_catalog_begin(world.catalog, world.batch, &world.err), KL_OK);
    for (int pass = 0; pass < 2; pass++) {
        struct kl_cat *cat = kl_catalog_acquire(world.catalog);
        assert_null(kl_cat_namespace(cat, KL_S("app")));
        kl_cat_release(cat);
        world_close();
        world_open();
    }
    assert_int_equal(make_ns("app"), KL_OK);
}
#define FAULT_CASES , CASE(first_commit_fails), CASE(commit_fails)
#else
#define FAULT_CASES
#endif

#define CASE(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {CASE(tables), CASE(namespaces), CASE(identity),
        CASE(newer_format), CASE(identity_lost), CASE(table_without_namespace),
        CASE(counter_damaged), CASE(shards_are_kept) FAULT_CASES};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
