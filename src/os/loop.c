/* Loop: a libuv loop whose thread drains a mailbox.
 *
 * A post to an empty mailbox sends a uv_async; its callback takes everything that is there and runs
 * it. What those tasks post comes in the next turn, so that tasks which post tasks cannot starve
 * the sockets.
 *
 * new -> running (start, or run_here) -> stopped (stop) -> joined -> freed. Tasks posted before
 * kl_loop_stop() run; those that come after the thread has ended never do, and what they are
 * embedded in stays with its owner.
 *
 * A poster touches the loop once more after the loop may have run its task: it still has to send
 * the uv_async. `posting` counts such posters, and kl_loop_free() waits until there is none, so the
 * last completion of a shutdown cannot hit freed memory.
 *
 * kl_loop_free() closes handles that were left open, without their close callbacks: their owners
 * close them first. */
#include "os/internal.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct kl_loop {
    uv_loop_t uv;     /* loop thread */
    uv_async_t async; /* any thread may send */
    struct kl_mailbox box;
    unsigned index; /* constant */
    _Atomic bool stopping;
    _Atomic unsigned posting; /* posters between their post and their last touch */
    bool started;             /* owner */
    pthread_t thread;         /* owner */
};

static _Thread_local struct kl_loop *current;

static void run_all(struct kl_loop *l) {
    struct kl_task *t = kl_mailbox_take(&l->box, SIZE_MAX);
    while (t) {
        struct kl_task *next = t->next; /* the task belongs to its receiver once it runs */
        t->run(t);
        t = next;
    }
}

static void on_async(uv_async_t *async) {
    struct kl_loop *l = async->data;
    bool stopping =
        atomic_load(&l->stopping); /* before the take: what was posted before the stop runs */
    run_all(l);
    if (stopping) {
        uv_stop(&l->uv);
    }
}

static void wake(void *ctx) {
    struct kl_loop *l = ctx;
    uv_async_send(&l->async);
}

struct kl_loop *kl_loop_new(unsigned index) {
    struct kl_loop *l = kl_xcalloc(1, sizeof *l);
    if (kl_fault("os.loop.new") || uv_loop_init(&l->uv) != 0) {
        free(l);
        return NULL;
    }
    if (uv_async_init(&l->uv, &l->async, on_async) != 0) {
        uv_loop_close(&l->uv);
        free(l);
        return NULL;
    }
    l->async.data = l;
    l->index = index;
    kl_mailbox_init(&l->box, SIZE_MAX);
    l->box.wake = wake;
    l->box.wake_ctx = l;
    return l;
}

static void close_left_open(uv_handle_t *handle, void *arg) {
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void kl_loop_free(struct kl_loop *l) {
    if (!l) {
        return;
    }
    KL_ASSERT(!kl_loop_is_current(l));
    if (l->started) {
        kl_loop_stop(l);
        kl_loop_join(l);
    }
    while (atomic_load(&l->posting) > 0) {
        sched_yield();
    }
    uv_walk(&l->uv, close_left_open, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    KL_ASSERT(uv_loop_close(&l->uv) == 0);
    kl_mailbox_deinit(&l->box);
    free(l);
}

struct uv_loop_s *kl_loop_uv(struct kl_loop *l) {
    return &l->uv;
}

unsigned kl_loop_index(struct kl_loop *l) {
    return l->index;
}

void kl_loop_post(struct kl_loop *l, struct kl_task *t) {
    kl_loop_post_list(l, t, t, 1);
}

void kl_loop_post_list(struct kl_loop *l, struct kl_task *first, struct kl_task *last, size_t n) {
    atomic_fetch_add(&l->posting, 1);
    kl_mailbox_post_list(&l->box, first, last, n);
    atomic_fetch_sub(&l->posting, 1);
}

void kl_loop_run_here(struct kl_loop *l) {
    struct kl_loop *outer = current;
    current = l;
    /* uv_run() also returns when somebody calls uv_stop() behind our back */
    while (!atomic_load(&l->stopping)) {
        uv_run(&l->uv, UV_RUN_DEFAULT);
    }
    run_all(l);
    current = outer;
}

static void *loop_main(void *arg) {
    struct kl_loop *l = arg;
    char name[16];
    snprintf(name, sizeof name, "loop-%u", l->index);
    kl_thread_name(name);
    kl_loop_run_here(l);
    return NULL;
}

enum kl_rc kl_loop_start(struct kl_loop *l) {
    KL_ASSERT(!l->started);
    if (kl_fault("os.thread.start") || kl_os__thread_start(&l->thread, loop_main, l) != 0) {
        return KL_E_NOMEM;
    }
    l->started = true;
    return KL_OK;
}

void kl_loop_stop(struct kl_loop *l) {
    atomic_fetch_add(&l->posting, 1);
    atomic_store(&l->stopping, true);
    uv_async_send(&l->async);
    atomic_fetch_sub(&l->posting, 1);
}

void kl_loop_join(struct kl_loop *l) {
    if (l->started) {
        KL_ASSERT(pthread_join(l->thread, NULL) == 0);
        l->started = false;
    }
}

bool kl_loop_is_current(struct kl_loop *l) {
    return current == l;
}
