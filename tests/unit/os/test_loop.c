/* Loops: order of tasks, posts from tasks and threads, timers beside tasks, stop and free races. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "os/os.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

struct note {
    struct kl_task task;
    struct kl_loop *loop;
    int number;
    _Atomic int *counter;
};

static struct note *note_of(struct kl_task *t) {
    return KL_CONTAINER_OF(t, struct note, task);
}

static _Atomic int total;
static int last_number; /* loop thread */
static _Atomic int wrong;

static void check_order(struct kl_task *t) {
    struct note *n = note_of(t);
    if (n->number != last_number + 1 || !kl_loop_is_current(n->loop)) {
        atomic_fetch_add(&wrong, 1);
    }
    last_number = n->number;
    atomic_fetch_add(&total, 1);
}

static void stop_loop(struct kl_task *t) {
    kl_loop_stop(note_of(t)->loop);
}

static int reset(void **state) {
    total = wrong = 0;
    last_number = -1;
    return 0;
}

static void tasks_run_in_order_on_the_loop(void **state) {
    struct kl_loop *l = kl_loop_new(3);
    assert_non_null(l);
    assert_int_equal(kl_loop_index(l), 3);
    assert_false(kl_loop_is_current(l));
    enum { N = 10000 };
    static struct note notes[N];
    for (int i = 0; i < N; i++) {
        notes[i] = (struct note){.task.run = check_order, .loop = l, .number = i};
    }
    kl_loop_post(l, &notes[0].task); /* before it runs */
    assert_int_equal(kl_loop_start(l), KL_OK);
    for (int i = 1; i < N / 2; i++) {
        kl_loop_post(l, &notes[i].task);
    }
    for (int i = N / 2; i < N - 1; i++) {
        notes[i].task.next = &notes[i + 1].task;
    }
    kl_loop_post_list(l, &notes[N / 2].task, &notes[N - 1].task, N / 2);
    kl_loop_stop(l); /* what was posted before still runs */
    kl_loop_join(l);
    assert_int_equal(total, N);
    assert_int_equal(wrong, 0);
    kl_loop_free(l);
}

static void runs_on_the_callers_thread(void **state) {
    struct kl_loop *l = kl_loop_new(0);
    struct note first = {.task.run = check_order, .loop = l, .number = 0};
    struct note stop = {.task.run = stop_loop, .loop = l};
    kl_loop_post(l, &first.task);
    kl_loop_post(l, &stop.task);
    kl_loop_run_here(l);
    assert_int_equal(total, 1);
    assert_int_equal(wrong, 0);
    assert_false(kl_loop_is_current(l));
    kl_loop_free(l);
}

static void stop_before_run_returns_at_once(void **state) {
    struct kl_loop *l = kl_loop_new(0);
    struct note first = {.task.run = check_order, .loop = l, .number = 0};
    kl_loop_post(l, &first.task);
    kl_loop_stop(l);
    kl_loop_run_here(l);
    assert_int_equal(total, 1);
    kl_loop_join(l); /* not started: nothing to join */
    kl_loop_free(l);
    kl_loop_free(NULL);
    kl_loop_free(kl_loop_new(1));
}

/* A task that posts itself for ever must leave room for timers. */
static void repost(struct kl_task *t) {
    atomic_fetch_add(&total, 1);
    kl_loop_post(note_of(t)->loop, t);
}

static void on_timer(uv_timer_t *timer) {
    kl_loop_stop(timer->data);
    uv_close((uv_handle_t *)timer, NULL);
}

static void tasks_do_not_starve_timers(void **state) {
    struct kl_loop *l = kl_loop_new(0);
    struct note n = {.task.run = repost, .loop = l};
    uv_timer_t timer;
    assert_int_equal(uv_timer_init(kl_loop_uv(l), &timer), 0);
    timer.data = l;
    assert_int_equal(uv_timer_start(&timer, on_timer, 20, 0), 0);
    kl_loop_post(l, &n.task);
    kl_loop_run_here(l);
    assert_true(total > 1);
    kl_loop_free(l);
}

static void free_closes_what_was_left_open(void **state) {
    struct kl_loop *l = kl_loop_new(0);
    static uv_timer_t timer;
    assert_int_equal(uv_timer_init(kl_loop_uv(l), &timer), 0);
    assert_int_equal(uv_timer_start(&timer, on_timer, 1000000, 0), 0);
    assert_int_equal(kl_loop_start(l), KL_OK);
    kl_loop_free(l); /* stops and joins too */
}

static void foreign_uv_stop_does_not_end_the_loop(void **state) {
    struct kl_loop *l = kl_loop_new(0);
    struct note stop = {.task.run = stop_loop, .loop = l};
    uv_stop(kl_loop_uv(l));
    kl_loop_post(l, &stop.task);
    kl_loop_run_here(l);
    kl_loop_free(l);
}

/* Ping-pong: the last completion of one loop frees nothing under the feet of the other. */
static void bounce(struct kl_task *t) {
    struct note *n = note_of(t);
    if (n->number-- == 0) {
        atomic_fetch_add(n->counter, 1);
        return;
    }
    struct kl_loop **pair = (struct kl_loop **)(void *)n->loop;
    kl_loop_post(pair[n->number % 2], t);
}

static void shutdown_right_after_the_last_completion(void **state) {
    for (int round = 0; round < 300; round++) {
        struct kl_loop *pair[2] = {kl_loop_new(0), kl_loop_new(1)};
        _Atomic int done = 0;
        assert_int_equal(kl_loop_start(pair[0]), KL_OK);
        assert_int_equal(kl_loop_start(pair[1]), KL_OK);
        struct note notes[8];
        for (int i = 0; i < 8; i++) {
            notes[i] = (struct note){.task.run = bounce,
                .loop = (struct kl_loop *)(void *)pair,
                .number = 10 + i,
                .counter = &done};
            kl_loop_post(pair[i % 2], &notes[i].task);
        }
        while (atomic_load(&done) < 8) {
            sched_yield();
        }
        for (int i = 0; i < 2; i++) {
            kl_loop_stop(pair[i]);
            kl_loop_join(pair[i]);
            kl_loop_free(pair[i]);
        }
    }
}

/* Stands before libuv's function of this name, to hold up a poster between its post and its
 * wake-up. */
static _Thread_local bool slow_poster;
static _Atomic bool poster_waits, poster_left;

int uv_async_send(uv_async_t *async) {
    static int (*real)(uv_async_t *);
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!real) {
        real = (int (*)(uv_async_t *))dlsym(RTLD_NEXT, "uv_async_send");
    }
    pthread_mutex_unlock(&lock);
    if (slow_poster) {
        atomic_store(&poster_waits, true);
        usleep(50000);
    }
    int rc = real(async);
    if (slow_poster) {
        atomic_store(&poster_left, true);
    }
    return rc;
}

static _Atomic bool task_ran;

static void mark_ran(struct kl_task *t) {
    atomic_store(&task_ran, true);
}

static void *post_once(void *arg) {
    struct note *n = arg;
    slow_poster = true;
    kl_loop_post(n->loop, &n->task);
    return NULL;
}

/* The task runs and the loop is freed while its poster has yet to send the wake-up. */
static void free_waits_for_a_late_poster(void **state) {
    struct kl_loop *l = kl_loop_new(0);
    assert_int_equal(kl_loop_start(l), KL_OK);
    struct note n = {.task.run = mark_ran, .loop = l};
    pthread_t poster;
    assert_int_equal(pthread_create(&poster, NULL, post_once, &n), 0);
    while (!atomic_load(&poster_waits)) {
        sched_yield();
    }
    kl_loop_free(l);
    assert_true(atomic_load(&task_ran));
    assert_true(atomic_load(&poster_left));
    pthread_join(poster, NULL);
}

static void failures_to_start(void **state) {
#ifdef KL_FAULTS
    kl_fault_set("os.loop.new:1");
    assert_null(kl_loop_new(0));
    kl_fault_set("os.thread.start:1");
    struct kl_loop *l = kl_loop_new(0);
    assert_int_equal(kl_loop_start(l), KL_E_NOMEM);
    kl_fault_set(NULL);
    assert_int_equal(kl_loop_start(l), KL_OK);
    kl_loop_free(l);
#endif
}

static void processors_are_counted(void **state) {
    assert_in_range(kl_cpu_count(), 1, 100000);
}

static void thread_names_are_cut(void **state) {
    char name[16];
    kl_thread_name("a-name-that-is-too-long");
    assert_int_equal(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    assert_string_equal(name, "a-name-that-is-");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(tasks_run_in_order_on_the_loop, reset),
        cmocka_unit_test_setup(runs_on_the_callers_thread, reset),
        cmocka_unit_test_setup(stop_before_run_returns_at_once, reset),
        cmocka_unit_test_setup(tasks_do_not_starve_timers, reset),
        cmocka_unit_test_setup(free_closes_what_was_left_open, reset),
        cmocka_unit_test_setup(foreign_uv_stop_does_not_end_the_loop, reset),
        cmocka_unit_test_setup(shutdown_right_after_the_last_completion, reset),
        cmocka_unit_test_setup(free_waits_for_a_late_poster, reset),
        cmocka_unit_test(failures_to_start),
        cmocka_unit_test(processors_are_counted),
        cmocka_unit_test(thread_names_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
