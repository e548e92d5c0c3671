/* Mailbox: a linked list under a mutex.
 *
 * Contention is short (a few pointer writes), and a consumer takes many tasks per lock. The
 * condition is signalled only when somebody waits, inside the lock, so that a mailbox may be
 * destroyed as soon as its last task was taken. The wake callback runs outside the lock, once per
 * change from empty to not empty: the consumer is expected to take everything when woken. Waiting
 * uses the monotonic clock of the system, not the replaceable one. */
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

void kl_mailbox_init(struct kl_mailbox *m, size_t capacity) {
    *m = (struct kl_mailbox){.capacity = capacity};
    KL_ASSERT(pthread_mutex_init(&m->lock, NULL) == 0);
    pthread_condattr_t attr;
    KL_ASSERT(pthread_condattr_init(&attr) == 0);
    KL_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    KL_ASSERT(pthread_cond_init(&m->ready, &attr) == 0);
    pthread_condattr_destroy(&attr);
}

void kl_mailbox_deinit(struct kl_mailbox *m) {
    KL_ASSERT(m->waiting == 0);
    pthread_cond_destroy(&m->ready);
    pthread_mutex_destroy(&m->lock);
    m->head = m->tail = NULL;
    m->count = 0;
}

/* Returns whether the box was empty. */
static bool append_locked(
    struct kl_mailbox *m, struct kl_task *first, struct kl_task *last, size_t n) {
    bool was_empty = m->head == NULL;
    last->next = NULL;
    if (was_empty) {
        m->head = first;
    } else {
        m->tail->next = first;
    }
    m->tail = last;
    m->count += n;
    if (m->waiting > 0) {
        if (n == 1) {
            pthread_cond_signal(&m->ready);
        } else {
            pthread_cond_broadcast(&m->ready);
        }
    }
    return was_empty;
}

enum kl_rc kl_mailbox_post(struct kl_mailbox *m, struct kl_task *t) {
    /* read before the task is given away: its receiver may be the one who ends the mailbox */
    void (*wake)(void *) = m->wake;
    void *wake_ctx = m->wake_ctx;
    pthread_mutex_lock(&m->lock);
    if (m->closed || m->count >= m->capacity) {
        enum kl_rc rc = m->closed ? KL_E_SHUTTING_DOWN : KL_E_OVERLOADED;
        pthread_mutex_unlock(&m->lock);
        return rc;
    }
    bool was_empty = append_locked(m, t, t, 1);
    pthread_mutex_unlock(&m->lock);
    if (was_empty && wake) {
        wake(wake_ctx);
    }
    return KL_OK;
}

void kl_mailbox_post_always(struct kl_mailbox *m, struct kl_task *t) {
    kl_mailbox_post_list(m, t, t, 1);
}

void kl_mailbox_post_list(
    struct kl_mailbox *m, struct kl_task *first, struct kl_task *last, size_t n) {
    if (n == 0) {
        return;
    }
    void (*wake)(void *) = m->wake;
    void *wake_ctx = m->wake_ctx;
    pthread_mutex_lock(&m->lock);
    bool was_empty = append_locked(m, first, last, n);
    pthread_mutex_unlock(&m->lock);
    if (was_empty && wake) {
        wake(wake_ctx);
    }
}

static struct kl_task *take_locked(struct kl_mailbox *m, size_t max) {
    struct kl_task *first = m->head;
    if (!first || max == 0) {
        return NULL;
    }
    if (max >= m->count) {
        m->head = m->tail = NULL;
        m->count = 0;
        return first;
    }
    struct kl_task *last = first;
    for (size_t i = 1; i < max; i++) {
        last = last->next;
    }
    m->head = last->next;
    m->count -= max;
    last->next = NULL;
    return first;
}

struct kl_task *kl_mailbox_take(struct kl_mailbox *m, size_t max) {
    pthread_mutex_lock(&m->lock);
    struct kl_task *first = take_locked(m, max);
    pthread_mutex_unlock(&m->lock);
    return first;
}

/* A day is as good as for ever to a waiter who gets NULL and asks again, and cannot overflow. */
static struct timespec deadline_after(int64_t timeout_ms) {
    timeout_ms = KL_MIN(timeout_ms, (int64_t)24 * 3600 * 1000);
    struct timespec ts;
    KL_ASSERT(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    int64_t ns = ts.tv_nsec + timeout_ms % 1000 * 1000000;
    ts.tv_sec += timeout_ms / 1000 + ns / 1000000000;
    ts.tv_nsec = ns % 1000000000;
    return ts;
}

struct kl_task *kl_mailbox_wait(struct kl_mailbox *m, size_t max, int64_t timeout_ms) {
    struct timespec deadline = {0};
    pthread_mutex_lock(&m->lock);
    if (timeout_ms > 0 && !m->head && !m->closed) {
        deadline = deadline_after(timeout_ms);
    }
    m->waiting++;
    while (!m->head && !m->closed && timeout_ms != 0) {
        if (timeout_ms < 0) {
            pthread_cond_wait(&m->ready, &m->lock);
        } else if (pthread_cond_timedwait(&m->ready, &m->lock, &deadline) == ETIMEDOUT) {
            break;
        }
    }
    m->waiting--;
    struct kl_task *first = take_locked(m, max);
    pthread_mutex_unlock(&m->lock);
    return first;
}

void kl_mailbox_close(struct kl_mailbox *m) {
    pthread_mutex_lock(&m->lock);
    m->closed = true;
    pthread_cond_broadcast(&m->ready);
    pthread_mutex_unlock(&m->lock);
}

bool kl_mailbox_closed(struct kl_mailbox *m) {
    pthread_mutex_lock(&m->lock);
    bool closed = m->closed;
    pthread_mutex_unlock(&m->lock);
    return closed;
}
