/* What the tests of live queries share: an engine with live queries on top, and connections whose
 * frames a test takes from any thread. */
#ifndef KL_TEST_LIVE_H
#define KL_TEST_LIVE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../engine/harness.h"
#include "live/live.h"

struct world {
    struct harness h;
    struct kl_live *live;
    struct answer answer;
};
static struct world W;

static inline void world_open(const char *name, unsigned writers, const struct kl_live_options *o) {
    struct kl_err err;
    kl_err_clear(&err);
    memset(&W, 0, sizeof(W));
    h_make_dir(&W.h, name);
    W.h.writers = writers;
    W.live = kl_live_new(o);
    W.h.listener = kl_live_listener(W.live);
    if (h_open(&W.h, &err) != KL_OK) {
        fail_msg("the engine does not start: %s", err.msg);
    }
    kl_live_attach(W.live, W.h.engine);
}

static inline void world_close(void) {
    kl_engine_stop(W.h.engine);
    kl_loop_stop(W.h.loop);
    kl_loop_join(W.h.loop);
    kl_live_free(W.live);
    kl_engine_loop_free(W.h.el);
    kl_loop_free(W.h.loop);
    kl_engine_free(W.h.engine);
    kl_tokens_free(W.h.tokens);
    kl_catalog_close(W.h.catalog);
    kl_store_close(W.h.store);
    kl_dir_remove(W.h.dir);
}

/* As a user; fails the test when the statement does. */
static inline const char *run_as(const char *user, enum kl_role role, const char *sql) {
    h_exec(&W.h, user, role, sql, &W.answer);
    if (W.answer.rc != KL_OK) {
        fail_msg("%s: %s", sql, W.answer.err);
    }
    return W.answer.text;
}
static inline const char *run(const char *sql) {
    return run_as("root", KL_ROLE_SYSTEM, sql);
}

/* ---- a function on the loop, waited for ---- */
struct on_loop {
    struct kl_task task;
    void (*fn)(void *arg);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};
static void on_loop_run(struct kl_task *t) {
    struct on_loop *o = KL_CONTAINER_OF(t, struct on_loop, task);
    o->fn(o->arg);
    pthread_mutex_lock(&o->lock);
    o->done = true;
    pthread_cond_signal(&o->cond);
    pthread_mutex_unlock(&o->lock);
}
static inline void on_loop(void (*fn)(void *), void *arg) {
    struct on_loop o = {.task = {.run = on_loop_run}, .fn = fn, .arg = arg};
    pthread_mutex_init(&o.lock, NULL);
    pthread_cond_init(&o.cond, NULL);
    kl_loop_post(W.h.loop, &o.task);
    pthread_mutex_lock(&o.lock);
    while (!o.done) {
        pthread_cond_wait(&o.cond, &o.lock);
    }
    pthread_mutex_unlock(&o.lock);
    pthread_mutex_destroy(&o.lock);
    pthread_cond_destroy(&o.cond);
}

/* ---- a connection ---- */
struct conn {
    const char *user;
    enum kl_role role;
    struct kl_live_client *client;
    unsigned wakes; /* loop */
    /* arguments and result of the call on the loop */
    const struct kl_live_subscribe *sub;
    struct kl_slice id;
    struct kl_frame *frame;
};
static void conn_ready(void *ctx) {
    ((struct conn *)ctx)->wakes++;
}
static void conn_open_(void *arg) {
    struct conn *c = arg;
    struct kl_session s = {.user = kl_slice_str(c->user), .role = c->role, .ns = KL_S("default")};
    struct kl_live_client_ops ops = {c, conn_ready};
    c->client = kl_live_client_new(W.live, W.h.el, W.h.loop, &s, &ops);
}
static inline void conn_open(struct conn *c, const char *user, enum kl_role role) {
    *c = (struct conn){.user = user, .role = role};
    on_loop(conn_open_, c);
}
static void conn_close_(void *arg) {
    kl_live_client_close(((struct conn *)arg)->client);
}
static inline void conn_close(struct conn *c) {
    on_loop(conn_close_, c);
    c->client = NULL;
}
static void conn_sub_(void *arg) {
    struct conn *c = arg;
    kl_live_subscribe(c->client, c->sub);
}
static inline void conn_sub(struct conn *c, const struct kl_live_subscribe *s) {
    c->sub = s;
    on_loop(conn_sub_, c);
}
/* from and last_rows: -1 not given; snapshot false: options were not given at all */
static inline void subscribe(struct conn *c, const char *id, const char *sql, bool snapshot,
    int64_t from, int64_t last_rows, int64_t batch) {
    struct kl_live_subscribe s = {
        kl_slice_str(id), kl_slice_str(sql), snapshot, from, last_rows, batch};
    conn_sub(c, &s);
}
static void conn_unsub_(void *arg) {
    struct conn *c = arg;
    kl_live_unsubscribe(c->client, c->id);
}
static inline void unsubscribe(struct conn *c, const char *id) {
    c->id = kl_slice_str(id);
    on_loop(conn_unsub_, c);
}
static void conn_take_(void *arg) {
    struct conn *c = arg;
    c->frame = kl_live_client_take(c->client);
    if (c->frame != NULL) {
        kl_live_client_sent(c->client, kl_frame_json(c->frame).len);
    }
}
/* The next frame, or NULL after timeout_ms. */
static inline struct kl_frame *take(struct conn *c, int timeout_ms) {
    for (int64_t end = kl_clock_mono_ms() + timeout_ms;;) {
        on_loop(conn_take_, c);
        if (c->frame != NULL || kl_clock_mono_ms() >= end) {
            return c->frame;
        }
        usleep(500);
    }
}

/* The text with every _seq (a run of 15 digits or more) replaced by # and how many times larger
 * ones came: equal ones get equal letters. */
static inline void scrub(struct kl_slice json, char *out, size_t cap) {
    struct kl_slice seen[26];
    size_t n_seen = 0, n = 0;
    for (size_t i = 0; i < json.len && n + 3 < cap;) {
        size_t d = 0;
        while (i + d < json.len && json.ptr[i + d] >= '0' && json.ptr[i + d] <= '9') {
            d++;
        }
        if (d < 15) {
            d = d > 0 ? d : 1;
            memcpy(out + n, json.ptr + i, KL_MIN(d, cap - n - 2));
            n += KL_MIN(d, cap - n - 2);
            i += d;
            continue;
        }
        size_t k = 0;
        while (k < n_seen && !kl_slice_eq(seen[k], kl_slice(json.ptr + i, d))) {
            k++;
        }
        if (k == n_seen && n_seen < KL_LEN(seen)) {
            seen[n_seen++] = kl_slice(json.ptr + i, d);
        }
        out[n++] = '#';
        out[n++] = (char)('a' + k);
        i += d;
    }
    out[n] = '\0';
}

static inline void expect(struct conn *c, const char *want) {
    char text[16384];
    struct kl_frame *f = take(c, 5000);
    if (f == NULL) {
        fail_msg("nothing came instead of %s", want);
    }
    scrub(kl_frame_json(f), text, sizeof(text));
    kl_frame_unref(f);
    assert_string_equal(text, want);
}
static inline void expect_nothing(struct conn *c) {
    struct kl_frame *f = take(c, 20);
    if (f != NULL) {
        fail_msg("unexpected: %.*s", KL_FMT(kl_frame_json(f)));
    }
}
/* Passes frames over until one contains the text. */
static inline void expect_with(struct conn *c, const char *part) {
    for (int i = 0; i < 1000; i++) {
        struct kl_frame *f = take(c, 5000);
        if (f == NULL) {
            break;
        }
        bool found = strstr(kl_frame_json(f).ptr, part) != NULL;
        kl_frame_unref(f);
        if (found) {
            return;
        }
    }
    fail_msg("no message with %s came", part);
}

#endif
