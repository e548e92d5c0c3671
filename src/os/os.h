/* Threads and how they talk; files.
 *
 * A task is a callback that its owner embeds in an object. Posting a task to a mailbox gives it to the thread that
 * drains the mailbox; the poster must not touch it until it comes back. Mailboxes are bounded: posting to a full one
 * fails and the caller answers "overloaded". A completion that must not get lost (the reply to accepted work) goes
 * in with kl_mailbox_post_always(): the number of those is bounded by the work that was accepted. */
#ifndef KL_OS_H
#define KL_OS_H

#include "base/base.h"
#include <pthread.h>
#include <stdatomic.h>

struct kl_task {
    struct kl_task *next;           /* mailbox */
    void (*run)(struct kl_task *t); /* called once on the receiving thread */
};

/* ---- mailbox: many producers, one consumer (or a pool of consumers) ---- */
struct kl_mailbox {
    pthread_mutex_t lock;
    pthread_cond_t ready;
    struct kl_task *head, *tail; /* guarded by lock */
    size_t count, capacity;      /* guarded by lock */
    int waiting;                 /* threads in wait, guarded by lock */
    bool closed;                 /* guarded by lock */
    void (*wake)(void *ctx);     /* optional: called (outside the lock) when the box was empty before a post */
    void *wake_ctx;
};
void kl_mailbox_init(struct kl_mailbox *m, size_t capacity);
void kl_mailbox_deinit(struct kl_mailbox *m);
/* KL_E_OVERLOADED when full, KL_E_SHUTTING_DOWN when closed. */
enum kl_rc kl_mailbox_post(struct kl_mailbox *m, struct kl_task *t) KL_MUST_CHECK;
void kl_mailbox_post_always(struct kl_mailbox *m, struct kl_task *t);
/* A linked list (by next, NULL-terminated) in order, one lock and one wake-up. Always accepted. */
void kl_mailbox_post_list(struct kl_mailbox *m, struct kl_task *first, struct kl_task *last, size_t n);
/* Up to `max` tasks in order as a list, NULL when empty; does not wait. */
struct kl_task *kl_mailbox_take(struct kl_mailbox *m, size_t max);
/* Waits until there is one, timeout_ms (<0 forever) has passed or the box is closed; may return NULL. */
struct kl_task *kl_mailbox_wait(struct kl_mailbox *m, size_t max, int64_t timeout_ms);
/* No more bounded posts; waiters return. What is inside can still be taken. */
void kl_mailbox_close(struct kl_mailbox *m);
bool kl_mailbox_closed(struct kl_mailbox *m);

/* ---- pool: threads that run posted tasks ---- */
struct kl_pool;
struct kl_pool_options {
    const char *name;       /* thread name prefix, at most 10 characters */
    unsigned threads;       /* started at the first task, not before */
    size_t capacity;        /* queued tasks */
    void *(*thread_init)(unsigned index, void *ctx); /* optional: makes the thread's own state */
    void (*thread_deinit)(void *state);
    void *ctx;
};
struct kl_pool *kl_pool_new(const struct kl_pool_options *options);
enum kl_rc kl_pool_post(struct kl_pool *p, struct kl_task *t) KL_MUST_CHECK;
/* For the continuation of accepted work: never refused, not even while the pool closes. */
void kl_pool_post_always(struct kl_pool *p, struct kl_task *t);
/* The state of the calling pool thread, from thread_init. */
void *kl_pool_thread_state(void);
/* Takes no more, runs what is queued, joins. Posting stays safe: KL_E_SHUTTING_DOWN. Accepts NULL. */
void kl_pool_stop(struct kl_pool *p);
/* Stops when that has not happened. Accepts NULL. */
void kl_pool_free(struct kl_pool *p);

/* ---- loop: a libuv loop with a mailbox. Tasks posted to it run on its thread. ---- */
struct uv_loop_s;
struct kl_loop;
struct kl_loop *kl_loop_new(unsigned index); /* NULL when the system has no descriptors left */
void kl_loop_free(struct kl_loop *l);        /* stops and joins when needed; accepts NULL */
struct uv_loop_s *kl_loop_uv(struct kl_loop *l); /* only on the loop's thread once it runs */
unsigned kl_loop_index(struct kl_loop *l);
void kl_loop_post(struct kl_loop *l, struct kl_task *t); /* always accepted: see above */
void kl_loop_post_list(struct kl_loop *l, struct kl_task *first, struct kl_task *last, size_t n);
enum kl_rc kl_loop_start(struct kl_loop *l); /* on a thread of its own */
void kl_loop_run_here(struct kl_loop *l);    /* or on the caller's, until stopped */
void kl_loop_stop(struct kl_loop *l);        /* any thread; returns at once. What was posted before still runs */
void kl_loop_join(struct kl_loop *l);
bool kl_loop_is_current(struct kl_loop *l);

/* ---- files ---- */
enum kl_rc kl_file_read(const char *path, size_t max_bytes, struct kl_buf *out, struct kl_err *err);
/* Writes a temporary file beside it, syncs, renames, syncs the folder: after a crash the old or the new, whole. */
enum kl_rc kl_file_write_atomic(const char *path, struct kl_slice content, unsigned mode, struct kl_err *err);
enum kl_rc kl_dir_make(const char *path, unsigned mode, struct kl_err *err); /* with parents */
enum kl_rc kl_dir_remove(const char *path);                                  /* recursive; for tests and temp folders */
bool kl_path_exists(const char *path);
/* An exclusive lock that dies with the process. Another holder: KL_E_EXISTS. */
enum kl_rc kl_file_lock(const char *path, int *ret_fd, struct kl_err *err);
void kl_file_unlock(int fd);
void kl_thread_name(const char *name);
unsigned kl_cpu_count(void);

#endif
