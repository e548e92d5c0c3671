/* What the catalog's tests share: a store in a fresh folder, and short forms of the calls. */
#ifndef KL_TEST_CATALOG_HELPER_H
#define KL_TEST_CATALOG_HELPER_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "catalog/catalog.h"

#define OK(expr)                                                                                   \
    do {                                                                                           \
        struct kl_err *err_ = &world.err;                                                          \
        enum kl_rc rc_ = (expr);                                                                   \
        if (rc_ != KL_OK) {                                                                        \
            fail_msg("%s: %s: %s", #expr, kl_rc_name(rc_), err_->msg);                             \
        }                                                                                          \
    } while (0)

struct world {
    char path[512];
    struct kl_store *store;
    struct kl_catalog *catalog;
    struct kl_batch *batch;
    struct kl_err err;
};
static struct world world;

static inline void world_open_store(void) {
    OK(kl_store_open(&(struct kl_store_options){.path = world.path}, &world.store, &world.err));
    world.batch = kl_batch_new(world.store);
}

static inline void world_open(void) {
    world_open_store();
    OK(kl_catalog_open(world.store, 8, &world.catalog, &world.err));
}

static inline void world_close(void) {
    kl_catalog_close(world.catalog);
    world.catalog = NULL;
    kl_batch_free(world.batch);
    kl_store_close(world.store);
}

static inline void world_remove(void) {
    char command[600];
    snprintf(command, sizeof(command), "rm -rf '%s'", world.path);
    assert_int_equal(system(command), 0);
}

static inline int world_setup(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    snprintf(world.path, sizeof(world.path), KL_TEST_TMP "/catalog-%ld-XXXXXX", (long)getpid());
    assert_non_null(mkdtemp(world.path));
    world_open();
    return 0;
}

static inline int world_teardown(void **state) {
    (void)state;
    world_close();
    world_remove();
    return 0;
}

/* Commits when rc is KL_OK, else gives the change up. Returns rc. */
static inline enum kl_rc change_end(enum kl_rc rc) {
    if (rc == KL_OK) {
        OK(kl_store_commit(world.store, &world.batch, 1, false, &world.err));
        kl_catalog_publish(world.catalog);
    } else {
        kl_catalog_abort(world.catalog);
    }
    kl_batch_clear(world.batch);
    return rc;
}
#define CHANGE(expr)                                                                               \
    (kl_catalog_begin(world.catalog, world.batch, NULL), kl_err_clear(&world.err), change_end(expr))

static inline enum kl_rc make_ns(const char *name) {
    return CHANGE(kl_cat_create_namespace(world.catalog, kl_slice_str(name), 1000, &world.err));
}

static inline struct kl_column_def col(const char *name, struct kl_type type, int pk_pos) {
    return (struct kl_column_def){.name = kl_slice_str(name),
        .type = type,
        .nullable = pk_pos == 0,
        .pk_pos = (uint8_t)pk_pos};
}

static inline enum kl_rc make_table_of(enum kl_table_type type, const char *ns, const char *name,
    const struct kl_column_def *cols, size_t n, uint32_t *ret_id) {
    struct kl_table_def def = {.ns = kl_slice_str(ns),
        .name = kl_slice_str(name),
        .type = type,
        .cols = cols,
        .n_cols = n};
    def.options.ttl_seconds = type == KL_TABLE_STREAM ? 30 : 0;
    uint32_t id = 0;
    enum kl_rc rc = CHANGE(kl_cat_create_table(world.catalog, &def, 2000, &id, &world.err));
    if (ret_id) {
        *ret_id = id;
    }
    return rc;
}

static inline enum kl_rc make_table(const char *ns, const char *name, uint32_t *ret_id) {
    struct kl_column_def cols[] = {col("id", KL_TYPE(BIGINT), 1), col("body", KL_TYPE(TEXT), 0)};
    return make_table_of(KL_TABLE_USER, ns, name, cols, 2, ret_id);
}

static inline enum kl_rc alter(
    const char *ns, const char *name, const struct kl_alter *what, uint32_t *ret_version) {
    uint32_t version = 0;
    enum kl_rc rc = CHANGE(kl_cat_alter_table(
        world.catalog, kl_slice_str(ns), kl_slice_str(name), what, 3000, &version, &world.err));
    if (ret_version) {
        *ret_version = version;
    }
    return rc;
}

static inline struct kl_alter alter_add(const char *name, struct kl_type type) {
    return (struct kl_alter){
        .op = KL_ALTER_ADD, .add = col(name, type, 0), .missing = kl_val_null(type.id)};
}
static inline struct kl_alter alter_drop(const char *name) {
    return (struct kl_alter){.op = KL_ALTER_DROP, .column = kl_slice_str(name)};
}
static inline struct kl_alter alter_rename(const char *from, const char *to) {
    return (struct kl_alter){
        .op = KL_ALTER_RENAME, .column = kl_slice_str(from), .new_name = kl_slice_str(to)};
}

/* A counted table out of the newest snapshot, NULL when there is none. */
static inline struct kl_table *get_table(const char *ns, const char *name) {
    struct kl_cat *cat = kl_catalog_acquire(world.catalog);
    struct kl_table *t = kl_cat_table(cat, kl_slice_str(ns), kl_slice_str(name));
    if (t) {
        kl_table_ref(t);
    }
    kl_cat_release(cat);
    return t;
}

static inline void assert_err(const char *text) {
    assert_string_equal(world.err.msg, text);
}

#endif
