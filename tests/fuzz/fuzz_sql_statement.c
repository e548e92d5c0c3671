/* Any text as a statement, bound against a real catalog: by shape, from the cache, as written, as a
 * subscription; rows of INSERTs are made. The same text gets the same answer twice. */
#include "sql/internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kl_store *store;
static struct kl_catalog *catalog;
static struct kl_snowflake ids;
static char path[] = "/tmp/kl_fuzz_sql_XXXXXX";

static void finish(void) {
    char command[100];
    kl_catalog_close(catalog);
    kl_store_close(store);
    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    KL_ASSERT(system(command) == 0);
}

static void define(const char *sql, const struct kl_session *session) {
    struct kl_cat *cat = kl_catalog_acquire(catalog);
    struct kl_sql_ctx ctx = {.cat = cat, .session = session};
    struct kl_batch *batch = kl_batch_new(store);
    struct kl_arena arena;
    struct kl_bound b;
    struct kl_err err;
    uint32_t id;
    kl_arena_init(&arena, 0);
    KL_ASSERT(kl_sql_bind(&ctx, kl_slice_str(sql), NULL, 0, &arena, &b, &err) == KL_OK);
    KL_ASSERT(kl_catalog_begin(catalog, batch, &err) == KL_OK);
    enum kl_rc rc = b.plan->kind == KL_PLAN_CREATE_NAMESPACE
                        ? kl_cat_create_namespace(catalog, b.plan->name, 1, &err)
                        : kl_cat_create_table(catalog, b.plan->create, 1, &id, &err);
    KL_ASSERT(rc == KL_OK && kl_store_commit(store, &batch, 1, false, &err) == KL_OK);
    kl_catalog_publish(catalog);
    kl_bound_release(&b);
    kl_batch_free(batch);
    kl_arena_deinit(&arena);
    kl_cat_release(cat);
}

static void start(const struct kl_session *session) {
    struct kl_err err;
    KL_ASSERT(mkdtemp(path));
    KL_ASSERT(kl_store_open(&(struct kl_store_options){.path = path}, &store, &err) == KL_OK);
    KL_ASSERT(kl_catalog_open(store, 2, &catalog, &err) == KL_OK);
    kl_snowflake_init(&ids, 1);
    define("CREATE NAMESPACE a", session);
    define("CREATE TABLE a.t (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), b TEXT NOT NULL "
           "DEFAULT 'x', c INT, d DOUBLE, e TIMESTAMP DEFAULT NOW(),"
           " f JSON, g BOOLEAN) WITH (TYPE='USER')",
        session);
    define("CREATE STREAM TABLE a.s (k TEXT, v BYTES) RETENTION 5", session);
    define("CREATE SHARED TABLE a.h (a INT, b TEXT, n DECIMAL(10,2), PRIMARY KEY (a, b))", session);
    atexit(finish);
}

static void make_rows(
    const struct kl_bound *b, const struct kl_session *session, struct kl_arena *arena) {
    struct kl_val vals[16];
    struct kl_err err;
    struct kl_eval ev = {.params = b->vals,
        .n_params = b->n_vals,
        .session = session,
        .now_us = 1,
        .ids = &ids,
        .arena = arena};
    for (size_t r = 0; r < b->n_rows && r < 20; r++) {
        (void)kl_sql_insert_row(b, r, &ev, vals, &err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct kl_val params[2] = {{.type = KL_T_BIGINT, .i = 7},
        {.type = KL_T_TEXT, .flags = KL_VAL_UNKNOWN, .s = "x", .len = 1}};
    static struct kl_plan_cache *cache;
    struct kl_session session = {.user = KL_S("u"),
        .actor = KL_S("u"),
        .role = KL_ROLE_SYSTEM,
        .actor_role = KL_ROLE_SYSTEM,
        .ns = KL_S("a")};
    struct kl_arena arena;
    if (!store) {
        start(&session);
    }
    if (!cache || kl_plan_cache_size(cache) > 30) {
        kl_plan_cache_free(cache);
        cache = kl_plan_cache_new(32);
    }
    struct kl_cat *cat = kl_catalog_acquire(catalog);
    struct kl_sql_ctx ctx = {
        .cache = cache, .cat = cat, .session = &session, .executor = KL_EXECUTOR_AUTO};
    struct kl_bound b;
    struct kl_err err = {0};
    enum kl_rc first = KL_OK;
    kl_arena_init(&arena, 0);
    for (int pass = 0; pass < 3; pass++) {
        ctx.cache = pass == 2 ? NULL : cache;
        enum kl_rc rc = kl_sql_bind(&ctx, kl_slice(data, size), params, 2, &arena, &b, &err);
        KL_ASSERT(pass == 0 || rc == first);
        KL_ASSERT(rc == KL_OK || (err.rc == rc && err.position >= 0));
        first = rc;
        if (rc == KL_OK) {
            if (b.plan->kind == KL_PLAN_INSERT) {
                make_rows(&b, &session, &arena);
            }
            kl_bound_release(&b);
        }
    }
    if (kl_sql_bind_live(&ctx, kl_slice(data, size), &arena, &b, &err) == KL_OK) {
        kl_bound_release(&b);
    }
    kl_arena_deinit(&arena);
    kl_cat_release(cat);
    if (cache) {
        kl_plan_cache_free(cache);
        cache = NULL;
    }
    return 0;
}
