/* What the tests of auth share: a store in a fresh folder and a clock that the test moves. */
#ifndef KL_TEST_AUTH_HELPER_H
#define KL_TEST_AUTH_HELPER_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/auth.h"

struct world {
    char path[512];
    struct kl_store *store;
    struct kl_batch *batch;
    struct kl_arena arena;
    struct kl_err err;
    int64_t now_us;
};
static struct world world;

#define OK(expr)                                                                                   \
    do {                                                                                           \
        enum kl_rc rc_ = (expr);                                                                   \
        if (rc_ != KL_OK) {                                                                        \
            fail_msg("%s: %s: %s", #expr, kl_rc_name(rc_), world.err.msg);                         \
        }                                                                                          \
    } while (0)

static inline int64_t fake_wall(void *ctx) {
    return ((struct world *)ctx)->now_us;
}
static inline int64_t fake_mono(void *ctx) {
    return ((struct world *)ctx)->now_us * 1000;
}

static inline void world_open(void) {
    OK(kl_store_open(&(struct kl_store_options){.path = world.path}, &world.store, &world.err));
    world.batch = kl_batch_new(world.store);
}

static inline void world_close(void) {
    kl_batch_free(world.batch);
    kl_store_close(world.store);
}

static inline void commit(void) {
    OK(kl_store_commit(world.store, &world.batch, 1, false, &world.err));
    kl_batch_clear(world.batch);
}

static inline int world_setup(void **state) {
    static struct kl_clock_ops ops;
    (void)state;
    memset(&world, 0, sizeof(world));
    world.now_us = 1767225600000000; /* 2026-01-01 */
    ops = (struct kl_clock_ops){fake_wall, fake_mono, &world};
    kl_clock_set_ops(&ops);
    snprintf(world.path, sizeof(world.path), KL_TEST_TMP "/auth-%ld-XXXXXX", (long)getpid());
    assert_non_null(mkdtemp(world.path));
    kl_arena_init(&world.arena, 0);
    world_open();
    return 0;
}

static inline int world_teardown(void **state) {
    char command[600];
    (void)state;
    world_close();
    kl_arena_deinit(&world.arena);
    kl_clock_set_ops(NULL);
    snprintf(command, sizeof(command), "rm -rf '%s'", world.path);
    assert_int_equal(system(command), 0);
    return 0;
}

static inline void put_user(const char *id, enum kl_role role, uint32_t epoch, int64_t deleted_us) {
    struct kl_user u = {.id = kl_slice_str(id),
        .role = role,
        .auth_type = KL_AUTH_PASSWORD,
        .token_epoch = epoch,
        .deleted_us = deleted_us};
    kl_user_put(world.batch, &u);
    commit();
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

#endif
