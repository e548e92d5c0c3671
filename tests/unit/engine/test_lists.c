/* The lists behind system.jobs and system.transactions: order, limits, threads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include "engine/jobs.h"
#include "engine/txn_list.h"

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum kl_rc collect(void *ctx, const struct kl__job *job) {
    char *out = ctx;
    size_t n = strlen(out);
    snprintf(out + n, 4096 - n, "%s:%s:%s ", job->id, kl__job_status_name(job->status), job->message);
    return KL_OK;
}

static struct kl__job *add(struct kl__jobs *j, const char *id) {
    struct kl__job given = {.type = "cleanup"};
    snprintf(given.id, sizeof(given.id), "%s", id);
    return kl__job_add(j, &given);
}

static void jobs(void **state) {
    (void)state;
    char text[4096] = "";
    struct kl__jobs *j = kl__jobs_new();
    struct kl__job *a = add(j, "a"), *b = add(j, "b"), *c = add(j, "c");
    kl__job_start(j, a);
    kl__job_start(j, b);
    kl__job_end(j, a, KL__JOB_COMPLETED, "done");
    kl__job_end(j, b, KL__JOB_FAILED, "why");
    assert_int_equal(kl__jobs_each(j, collect, text), KL_OK);
    assert_string_equal(text, "c:queued: b:failed:why a:completed:done ");
    struct kl__job_counts n;
    kl__jobs_count(j, &n);
    assert_int_equal(n.total, 3);
    assert_int_equal(n.queued, 1);
    assert_int_equal(n.running, 0);
    assert_int_equal(n.failed, 1);
    /* the oldest that has ended goes; one that has not stays however old it is */
    for (int i = 0; i < KL__JOBS_KEPT; i++) {
        char id[24];
        snprintf(id, sizeof(id), "j%d", i);
        kl__job_end(j, add(j, id), KL__JOB_COMPLETED, "");
    }
    kl__jobs_count(j, &n);
    assert_int_equal(n.total, KL__JOBS_KEPT + 1);
    assert_int_equal(n.queued, 1);
    assert_int_equal(n.failed, 0);
    kl__job_end(j, c, KL__JOB_COMPLETED, "at last");
    kl__jobs_count(j, &n);
    assert_int_equal(n.total, KL__JOBS_KEPT);
    kl__jobs_free(j);
    kl__jobs_free(NULL);
}

static enum kl_rc count(void *ctx, const struct kl__txn_entry *e) {
    (void)e;
    ++*(int *)ctx;
    return KL_OK;
}

static enum kl_rc ids(void *ctx, const struct kl__txn_entry *e) {
    strcat(ctx, e->id);
    return strlen(ctx) < 2 ? KL_OK : KL_E_END;
}

static void transactions(void **state) {
    (void)state;
    struct kl__txn_list *l = kl__txn_list_new();
    struct kl__txn_entry a = {.id = "a"}, b = {.id = "b"}, c = {.id = "c"};
    char text[8] = "";
    int n = 0;
    kl__txn_leave(l, &a); /* never entered */
    kl__txn_enter(l, &a);
    kl__txn_enter(l, &b);
    kl__txn_enter(l, &c);
    assert_int_equal(kl__txn_each(l, ids, text), KL_E_END);
    assert_string_equal(text, "ab");
    kl__txn_leave(l, &b);
    kl__txn_leave(l, &b);
    kl__txn_leave(l, &a);
    assert_int_equal(kl__txn_each(l, count, &n), KL_OK);
    assert_int_equal(n, 1);
    kl__txn_leave(l, &c);
    kl__txn_list_free(l);
    kl__txn_list_free(NULL);
}

static void *churn(void *arg) {
    struct kl__txn_list *l = arg;
    for (int i = 0; i < 20000; i++) {
        struct kl__txn_entry e = {.id = "x"};
        int n = 0;
        kl__txn_enter(l, &e);
        if (i % 64 == 0) {
            (void)kl__txn_each(l, count, &n);
            assert_in_range(n, 1, 4);
        }
        kl__txn_leave(l, &e);
    }
    return NULL;
}

static void threads(void **state) {
    (void)state;
    struct kl__txn_list *l = kl__txn_list_new();
    pthread_t t[4];
    int n = 0;
    for (size_t i = 0; i < KL_LEN(t); i++) {
        assert_int_equal(pthread_create(&t[i], NULL, churn, l), 0);
    }
    for (size_t i = 0; i < KL_LEN(t); i++) {
        pthread_join(t[i], NULL);
    }
    (void)kl__txn_each(l, count, &n);
    assert_int_equal(n, 0);
    kl__txn_list_free(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(jobs), cmocka_unit_test(transactions), cmocka_unit_test(threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
