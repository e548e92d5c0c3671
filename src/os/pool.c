/* Pool: a mailbox and threads that each take one task at a time from it.
 *
 * new -> (first post) -> running -> (free) closed, drained, joined. The threads start at the first
 * post, because a thread's own state may be large and some pools are never used. A thread that
 * cannot be started is done without, as long as there is one; with none the post fails and the next
 * one tries again.
 *
 * A pool must not be freed by one of its own tasks. */
#include <unistd.h>
#include "os/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct worker {
    struct kl_pool *pool;
    unsigned index;
    pthread_t thread;
};

struct kl_pool {
    struct kl_pool_options options; /* constant */
    char name[11];                  /* constant */
    struct kl_mailbox box;
    pthread_mutex_t start_lock;
    _Atomic bool running;
    struct worker *workers; /* guarded by start_lock until running, then constant */
    unsigned started;       /* the same */
};

static _Thread_local void *thread_state;

struct kl_pool *kl_pool_new(const struct kl_pool_options *options) {
    KL_ASSERT(options->threads > 0 && options->name);
    struct kl_pool *p = kl_xcalloc(1, sizeof *p);
    p->options = *options;
    snprintf(p->name, sizeof p->name, "%s", options->name);
    p->options.name = p->name;
    p->workers = kl_xcalloc(options->threads, sizeof *p->workers);
    kl_mailbox_init(&p->box, options->capacity);
    KL_ASSERT(pthread_mutex_init(&p->start_lock, NULL) == 0);
    return p;
}

static void *worker_main(void *arg) {
    struct worker *w = arg;
    const struct kl_pool_options *o = &w->pool->options;
    char name[32];
    snprintf(name, sizeof name, "%s-%u", w->pool->name, w->index);
    kl_thread_name(name);
    void *state = o->thread_init ? o->thread_init(w->index, o->ctx) : NULL;
    thread_state = state;
    for (;;) {
        struct kl_task *t = kl_mailbox_wait(&w->pool->box, 1, -1);
        if (!t) {
            break; /* closed and empty */
        }
        t->run(t);
    }
    thread_state = NULL;
    if (o->thread_deinit) {
        o->thread_deinit(state);
    }
    return NULL;
}

static bool start_workers(struct kl_pool *p) {
    pthread_mutex_lock(&p->start_lock);
    if (!atomic_load_explicit(&p->running, memory_order_relaxed) && !kl_mailbox_closed(&p->box)) {
        for (unsigned i = 0; i < p->options.threads; i++) {
            struct worker *w = &p->workers[p->started];
            *w = (struct worker){.pool = p, .index = p->started};
            if (kl_fault("os.thread.start") ||
                kl_os__thread_start(&w->thread, worker_main, w) != 0) {
                break;
            }
            p->started++;
        }
        atomic_store_explicit(&p->running, p->started > 0, memory_order_release);
    }
    pthread_mutex_unlock(&p->start_lock);
    return atomic_load_explicit(&p->running, memory_order_acquire);
}

enum kl_rc kl_pool_post(struct kl_pool *p, struct kl_task *t) {
    if (!atomic_load_explicit(&p->running, memory_order_acquire)) {
        if (kl_mailbox_closed(&p->box)) {
            return KL_E_SHUTTING_DOWN;
        }
        if (!start_workers(p)) {
            return KL_E_OVERLOADED;
        }
    }
    return kl_mailbox_post(&p->box, t);
}

void kl_pool_post_always(struct kl_pool *p, struct kl_task *t) {
    while (!atomic_load_explicit(&p->running, memory_order_acquire) && !start_workers(p)) {
        usleep(10000); /* no thread can be made just now; the task must not get lost */
    }
    kl_mailbox_post_always(&p->box, t);
}

void *kl_pool_thread_state(void) {
    return thread_state;
}

void kl_pool_stop(struct kl_pool *p) {
    if (!p) {
        return;
    }
    kl_mailbox_close(&p->box);
    pthread_mutex_lock(&p->start_lock); /* none starts from here on: see start_workers */
    unsigned n = p->started;
    pthread_mutex_unlock(&p->start_lock);
    for (unsigned i = 0; i < n; i++) {
        KL_ASSERT(pthread_join(p->workers[i].thread, NULL) == 0);
    }
    p->started = 0;
}

void kl_pool_free(struct kl_pool *p) {
    if (!p) {
        return;
    }
    kl_pool_stop(p);
    kl_mailbox_deinit(&p->box);
    pthread_mutex_destroy(&p->start_lock);
    free(p->workers);
    free(p);
}
