/* Pools: lazy start, states of threads, everything queued runs, overload, failing to start. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "os/os.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static _Atomic int inits, deinits, ran, wrong_state;
static _Atomic bool gate_open;

static void *make_state(unsigned index, void *ctx) {
    atomic_fetch_add(&inits, 1);
    unsigned *state = kl_xmalloc(sizeof *state);
    *state = index + *(unsigned *)ctx;
    return state;
}

static void drop_state(void *state) {
    atomic_fetch_add(&deinits, 1);
    free(state);
}

static void count_run(struct kl_task *t) {
    unsigned *state = kl_pool_thread_state();
    if (!state || *state < 100 || *state > 102) {
        atomic_fetch_add(&wrong_state, 1);
    }
    atomic_fetch_add(&ran, 1);
}

static void wait_for_gate(struct kl_task *t) {
    while (!atomic_load(&gate_open)) {
        sched_yield();
    }
    atomic_fetch_add(&ran, 1);
}

static int reset(void **state) {
    inits = deinits = ran = wrong_state = 0;
    gate_open = false;
    kl_fault_set(NULL);
    return 0;
}

static void starts_late_and_finishes_everything(void **state) {
    unsigned base = 100;
    struct kl_pool_options options = {.name = "test",
        .threads = 3,
        .capacity = 1000,
        .thread_init = make_state,
        .thread_deinit = drop_state,
        .ctx = &base};
    struct kl_pool *idle = kl_pool_new(&options);
    kl_pool_free(idle);
    assert_int_equal(inits, 0);
    struct kl_pool *p = kl_pool_new(&options);
    struct kl_task tasks[1000];
    for (int i = 0; i < 1000; i++) {
        tasks[i].run = count_run;
        assert_int_equal(kl_pool_post(p, &tasks[i]), KL_OK);
    }
    kl_pool_free(p);
    assert_int_equal(ran, 1000);
    assert_int_equal(inits, 3);
    assert_int_equal(deinits, 3);
    assert_int_equal(wrong_state, 0);
    assert_null(kl_pool_thread_state());
    kl_pool_free(NULL);
}

static void a_full_pool_says_so(void **state) {
    struct kl_pool *p = kl_pool_new(
        &(struct kl_pool_options){.name = "a-long-name-of-a-pool", .threads = 1, .capacity = 2});
    struct kl_task tasks[5];
    int posted = 0;
    enum kl_rc rc = KL_OK;
    for (int i = 0; i < 5; i++) {
        tasks[i].run = wait_for_gate;
        rc = kl_pool_post(p, &tasks[i]);
        posted += rc == KL_OK;
    }
    assert_int_equal(rc, KL_E_OVERLOADED);
    assert_in_range(posted, 2, 3); /* two queued, and one that the thread may have taken */
    atomic_store(&gate_open, true);
    kl_pool_free(p);
    assert_int_equal(ran, posted);
}

struct poster {
    struct kl_pool *pool;
    struct kl_task tasks[500];
};

static void only_count(struct kl_task *t) {
    atomic_fetch_add(&ran, 1);
}

static void *post_many(void *arg) {
    struct poster *poster = arg;
    for (size_t i = 0; i < KL_LEN(poster->tasks); i++) {
        poster->tasks[i].run = only_count;
        while (kl_pool_post(poster->pool, &poster->tasks[i]) != KL_OK) {
            sched_yield();
        }
    }
    return NULL;
}

static void several_threads_make_the_first_post(void **state) {
    static struct poster posters[4];
    for (int round = 0; round < 20; round++) {
        struct kl_pool *p =
            kl_pool_new(&(struct kl_pool_options){.name = "p", .threads = 2, .capacity = 50});
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) {
            posters[i].pool = p;
            assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
        }
        kl_pool_free(p);
    }
    assert_int_equal(ran, 20 * 4 * 500);
}

static void threads_that_cannot_be_started(void **state) {
#ifdef KL_FAULTS
    struct kl_pool *p =
        kl_pool_new(&(struct kl_pool_options){.name = "p", .threads = 2, .capacity = 50});
    struct kl_task t = {.run = only_count};
    kl_fault_set("os.thread.start:1+");
    assert_int_equal(kl_pool_post(p, &t), KL_E_OVERLOADED);
    kl_fault_set("os.thread.start:2");
    assert_int_equal(kl_pool_post(p, &t), KL_OK); /* with one of the two threads */
    kl_pool_free(p);
    assert_int_equal(ran, 1);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(starts_late_and_finishes_everything, reset),
        cmocka_unit_test_setup(a_full_pool_says_so, reset),
        cmocka_unit_test_setup(several_threads_make_the_first_post, reset),
        cmocka_unit_test_setup_teardown(threads_that_cannot_be_started, reset, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
