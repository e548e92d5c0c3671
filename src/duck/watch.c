/* The watch: one thread that interrupts running queries past their deadline or cancelled by their
 * caller.
 *
 * DuckDB runs in the worker's thread and comes up for air only between chunks, which a cross join
 * need not do for minutes. So the worker lists its query here, the watch looks at the list every 10
 * ms and calls duckdb_interrupt. While no query has run for a while it sleeps on a condition; a
 * worker wakes it only then, so that an ordinary query pays for one uncontended lock twice. The
 * thread lives while at least one kl_duck does. */
#include "duck/internal.h"

#include <pthread.h>
#include <time.h>

#define WATCH_PERIOD_NS (10 * 1000000L)
#define WATCH_IDLE_ROUNDS 200

static struct {
    pthread_mutex_t lifecycle; /* taken before lock; held while the thread starts or stops */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    size_t users;            /* guarded by lifecycle */
    struct kl_duck *running; /* the rest guarded by lock */
    bool stop, sleeping;
    bool clock_ready;
} watch = {.lifecycle = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER};

static void look_at_all(void) {
    int64_t now = kl_clock_mono_ns();
    for (struct kl_duck *d = watch.running; d; d = d->watch_next) {
        const struct kl_duck_query *q = d->query;
        if (q->cancelled && atomic_load_explicit(q->cancelled, memory_order_relaxed)) {
            d->watch_verdict = KL_E_CANCELLED;
        } else if (q->deadline_mono_ns && now >= q->deadline_mono_ns) {
            d->watch_verdict = KL_E_TIMEOUT;
        } else {
            continue;
        }
        /* Again at each round: a flag set just before the engine resets it would be lost. */
        kl_dk.interrupt(d->con);
    }
}

static void *watch_main(void *arg) {
    kl_thread_name("kl-watch");
    unsigned idle = 0;
    pthread_mutex_lock(&watch.lock);
    while (!watch.stop) {
        if (!watch.running && ++idle > WATCH_IDLE_ROUNDS) {
            watch.sleeping = true;
            pthread_cond_wait(&watch.wake, &watch.lock);
            watch.sleeping = false;
            idle = 0;
            continue;
        }
        if (watch.running) {
            idle = 0;
            look_at_all();
        }
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += WATCH_PERIOD_NS;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_nsec -= 1000000000L;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&watch.wake, &watch.lock, &until);
    }
    pthread_mutex_unlock(&watch.lock);
    return NULL;
}

void kl_duck__watch_open(void) {
    pthread_mutex_lock(&watch.lifecycle);
    if (watch.users++ == 0) {
        if (!watch.clock_ready) {
            pthread_condattr_t attr;
            pthread_condattr_init(&attr);
            pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
            pthread_cond_init(&watch.wake, &attr);
            pthread_condattr_destroy(&attr);
            watch.clock_ready = true;
        }
        watch.stop = false;
        KL_ASSERT(pthread_create(&watch.thread, NULL, watch_main, NULL) == 0);
    }
    pthread_mutex_unlock(&watch.lifecycle);
}

void kl_duck__watch_close(void) {
    pthread_mutex_lock(&watch.lifecycle);
    KL_ASSERT(watch.users > 0);
    if (--watch.users == 0) {
        pthread_mutex_lock(&watch.lock);
        watch.stop = true;
        pthread_cond_signal(&watch.wake);
        pthread_mutex_unlock(&watch.lock);
        pthread_join(watch.thread, NULL);
    }
    pthread_mutex_unlock(&watch.lifecycle);
}

void kl_duck__watch_begin(struct kl_duck *d) {
    const struct kl_duck_query *q = d->query;
    d->watch_verdict = KL_OK;
    d->watched = q->cancelled || q->deadline_mono_ns;
    if (!d->watched) {
        return;
    }
    pthread_mutex_lock(&watch.lock);
    d->watch_next = watch.running;
    watch.running = d;
    if (watch.sleeping) {
        pthread_cond_signal(&watch.wake);
    }
    pthread_mutex_unlock(&watch.lock);
}

enum kl_rc kl_duck__watch_end(struct kl_duck *d) {
    if (!d->watched) {
        return KL_OK;
    }
    pthread_mutex_lock(&watch.lock);
    struct kl_duck **at = &watch.running;
    while (*at != d) {
        at = &(*at)->watch_next;
    }
    *at = d->watch_next;
    enum kl_rc verdict = d->watch_verdict;
    pthread_mutex_unlock(&watch.lock);
    d->watched = false;
    return verdict;
}
