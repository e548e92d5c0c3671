/* Mailboxes: order, capacity, wake-ups, closing, many threads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "os/os.h"

#include <sched.h>
#include <unistd.h>

struct item {
    struct kl_task task;
    int producer, number;
};

static struct item *item_of(struct kl_task *t) {
    return KL_CONTAINER_OF(t, struct item, task);
}

static void order_and_capacity(void **state) {
    struct kl_mailbox m;
    struct item items[5] = {0};
    kl_mailbox_init(&m, 3);
    assert_null(kl_mailbox_take(&m, 10));
    for (int i = 0; i < 3; i++) {
        items[i].number = i;
        assert_int_equal(kl_mailbox_post(&m, &items[i].task), KL_OK);
    }
    assert_int_equal(kl_mailbox_post(&m, &items[3].task), KL_E_OVERLOADED);
    items[4].number = 4;
    kl_mailbox_post_always(&m, &items[4].task);
    assert_null(kl_mailbox_take(&m, 0));
    struct kl_task *two = kl_mailbox_take(&m, 2);
    assert_int_equal(item_of(two)->number, 0);
    assert_int_equal(item_of(two->next)->number, 1);
    assert_null(two->next->next);
    assert_int_equal(kl_mailbox_post(&m, &items[3].task), KL_OK);
    struct kl_task *rest = kl_mailbox_take(&m, SIZE_MAX);
    assert_int_equal(item_of(rest)->number, 2);
    assert_int_equal(item_of(rest->next)->number, 4);
    assert_ptr_equal(rest->next->next, &items[3].task);
    assert_null(rest->next->next->next);
    assert_int_equal(m.count, 0);
    kl_mailbox_deinit(&m);
}

static int wakes;

static void count_wake(void *ctx) {
    (*(int *)ctx)++;
}

static void wake_only_when_it_was_empty(void **state) {
    struct kl_mailbox m;
    struct kl_task t[6] = {0};
    kl_mailbox_init(&m, 100);
    wakes = 0;
    m.wake = count_wake;
    m.wake_ctx = &wakes;
    assert_int_equal(kl_mailbox_post(&m, &t[0]), KL_OK);
    kl_mailbox_post_always(&m, &t[1]);
    t[2].next = &t[3];
    kl_mailbox_post_list(&m, &t[2], &t[3], 2);
    kl_mailbox_post_list(&m, NULL, NULL, 0);
    assert_int_equal(wakes, 1);
    assert_non_null(kl_mailbox_take(&m, 3));
    assert_int_equal(kl_mailbox_post(&m, &t[4]), KL_OK);
    assert_int_equal(wakes, 1);
    assert_int_equal(m.count, 2);
    kl_mailbox_take(&m, SIZE_MAX);
    kl_mailbox_post_list(&m, &t[5], &t[5], 1);
    assert_int_equal(wakes, 2);
    kl_mailbox_close(&m);
    kl_mailbox_take(&m, SIZE_MAX);
    assert_int_equal(kl_mailbox_post(&m, &t[0]), KL_E_SHUTTING_DOWN);
    assert_int_equal(wakes, 2);
    kl_mailbox_deinit(&m);
}

static void closing(void **state) {
    struct kl_mailbox m;
    struct kl_task t[2] = {0};
    kl_mailbox_init(&m, 10);
    assert_int_equal(kl_mailbox_post(&m, &t[0]), KL_OK);
    assert_false(kl_mailbox_closed(&m));
    kl_mailbox_close(&m);
    kl_mailbox_close(&m);
    assert_true(kl_mailbox_closed(&m));
    kl_mailbox_post_always(&m, &t[1]);
    assert_ptr_equal(kl_mailbox_wait(&m, 1, -1), &t[0]);
    assert_ptr_equal(kl_mailbox_wait(&m, 1, -1), &t[1]);
    assert_null(kl_mailbox_wait(&m, 1, -1));
    kl_mailbox_deinit(&m);
}

static void waiting_times_out(void **state) {
    struct kl_mailbox m;
    kl_mailbox_init(&m, 10);
    int64_t start = kl_clock_mono_ms();
    assert_null(kl_mailbox_wait(&m, 1, 0));
    assert_null(kl_mailbox_wait(&m, 1, 50));
    int64_t waited = kl_clock_mono_ms() - start;
    assert_in_range(waited, 49, 5000);
    kl_mailbox_deinit(&m);
}

static void *wait_for_ever(void *arg) {
    return kl_mailbox_wait(arg, 1, -1);
}

static void *wait_for_very_long(void *arg) {
    return kl_mailbox_wait(arg, 1, INT64_MAX);
}

static void waiters_wake_up(void **state) {
    for (int round = 0; round < 100; round++) {
        struct kl_mailbox m;
        struct kl_task t[2] = {0};
        kl_mailbox_init(&m, 10);
        pthread_t threads[3];
        assert_int_equal(pthread_create(&threads[0], NULL, wait_for_ever, &m), 0);
        assert_int_equal(pthread_create(&threads[1], NULL, wait_for_very_long, &m), 0);
        assert_int_equal(pthread_create(&threads[2], NULL, wait_for_ever, &m), 0);
        if (round % 2) {
            usleep(200);
        }
        if (round % 4 < 2) {
            t[0].next = &t[1];
            kl_mailbox_post_list(&m, &t[0], &t[1], 2);
        } else {
            assert_int_equal(kl_mailbox_post(&m, &t[0]), KL_OK);
            assert_int_equal(kl_mailbox_post(&m, &t[1]), KL_OK);
        }
        while (round % 3) { /* or the close comes while tasks are still inside */
            pthread_mutex_lock(&m.lock);
            bool done = m.count == 0;
            pthread_mutex_unlock(&m.lock);
            if (done) {
                break;
            }
            sched_yield();
        }
        kl_mailbox_close(&m);
        int got = 0;
        for (int i = 0; i < 3; i++) {
            void *task;
            pthread_join(threads[i], &task);
            got += task != NULL;
        }
        assert_int_equal(got, 2);
        kl_mailbox_deinit(&m);
    }
}

enum { PRODUCERS = 4, EACH = 20000 };
static struct item all_items[PRODUCERS][EACH];
static struct kl_mailbox busy;

static void *produce(void *arg) {
    struct item *items = arg;
    int i = 0;
    while (i < EACH) {
        if (i % 7 == 0 && i + 3 <= EACH) {
            items[i].task.next = &items[i + 1].task;
            items[i + 1].task.next = &items[i + 2].task;
            kl_mailbox_post_list(&busy, &items[i].task, &items[i + 2].task, 3);
            i += 3;
        } else if (kl_mailbox_post(&busy, &items[i].task) == KL_OK) {
            i++;
        } else {
            sched_yield();
        }
    }
    return NULL;
}

static void each_producer_stays_in_order(void **state) {
    kl_mailbox_init(&busy, 64);
    pthread_t threads[PRODUCERS];
    for (int p = 0; p < PRODUCERS; p++) {
        for (int i = 0; i < EACH; i++) {
            all_items[p][i] = (struct item){.producer = p, .number = i};
        }
        assert_int_equal(pthread_create(&threads[p], NULL, produce, all_items[p]), 0);
    }
    int next[PRODUCERS] = {0};
    for (int total = 0; total < PRODUCERS * EACH;) {
        struct kl_task *t = kl_mailbox_wait(&busy, 1 + kl_random_below(20), 1000);
        for (; t; t = t->next, total++) {
            struct item *it = item_of(t);
            assert_int_equal(it->number, next[it->producer]);
            next[it->producer]++;
        }
    }
    for (int p = 0; p < PRODUCERS; p++) {
        pthread_join(threads[p], NULL);
    }
    assert_null(kl_mailbox_take(&busy, 1));
    kl_mailbox_deinit(&busy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_capacity),
        cmocka_unit_test(wake_only_when_it_was_empty),
        cmocka_unit_test(closing),
        cmocka_unit_test(waiting_times_out),
        cmocka_unit_test(waiters_wake_up),
        cmocka_unit_test(each_producer_stays_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
