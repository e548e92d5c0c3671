/* A real engine over a store in a temporary folder, one loop on a thread, and requests that wait for their answer. */
#ifndef KL_TEST_ENGINE_HARNESS_H
#define KL_TEST_ENGINE_HARNESS_H

#include "engine/engine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct harness {
    char dir[256];
    struct kl_store *store;
    struct kl_catalog *catalog;
    struct kl_tokens *tokens;
    struct kl_snowflake ids;
    struct kl_engine *engine;
    struct kl_loop *loop;
    struct kl_engine_loop *el;
    struct kl_engine_listener listener;
    unsigned writers;
};

/* Result of a request as text: cells joined by `|`, rows by newline, messages as they are. */
struct answer {
    enum kl_rc rc;
    char err[512];
    char hint[256];
    int position;
    char text[65536];
};

struct h_sink {
    struct kl_sink sink;
    struct kl_buf out;
    size_t n_cols;
};

static enum kl_rc h_begin(struct kl_sink *s, const struct kl_sink_col *cols, size_t n, struct kl_err *err) {
    struct h_sink *h = KL_CONTAINER_OF(s, struct h_sink, sink);
    (void)cols;
    (void)err;
    h->n_cols = n;
    return KL_OK;
}

static enum kl_rc h_row(struct kl_sink *s, const struct kl_val *vals, struct kl_err *err) {
    struct h_sink *h = KL_CONTAINER_OF(s, struct h_sink, sink);
    (void)err;
    for (size_t i = 0; i < h->n_cols; i++) {
        kl_buf_puts(&h->out, i > 0 ? "|" : "");
        if (vals[i].null) {
            kl_buf_puts(&h->out, "NULL");
        } else {
            kl_val_to_text(&vals[i], &h->out);
        }
    }
    kl_buf_putc(&h->out, '\n');
    return KL_OK;
}

static void h_end(struct kl_sink *s, uint64_t rows) {
    (void)s;
    (void)rows;
}

static void h_message(struct kl_sink *s, uint64_t rows, struct kl_slice message) {
    struct h_sink *h = KL_CONTAINER_OF(s, struct h_sink, sink);
    (void)rows;
    kl_buf_slice(&h->out, message);
    kl_buf_putc(&h->out, '\n');
}

struct h_request {
    struct kl_task task;
    struct harness *h;
    struct kl_exec exec;
    struct kl_arena arena;
    struct h_sink sink;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void h_done(struct kl_exec *x) {
    struct h_request *r = x->ctx;
    pthread_mutex_lock(&r->lock);
    r->done = true;
    pthread_cond_signal(&r->cond);
    pthread_mutex_unlock(&r->lock);
}

static void h_start(struct kl_task *t) {
    struct h_request *r = KL_CONTAINER_OF(t, struct h_request, task);
    kl_engine_exec(r->h->el, &r->exec);
}

static inline void h_exec(struct harness *h, const char *user, enum kl_role role, const char *sql, struct answer *ret) {
    struct h_request r = {.h = h};
    kl_arena_init(&r.arena, 0);
    kl_buf_init(&r.sink.out, 0);
    r.sink.sink = (struct kl_sink){h_begin, h_row, h_end, h_message};
    pthread_mutex_init(&r.lock, NULL);
    pthread_cond_init(&r.cond, NULL);
    r.exec.session.user = kl_slice_str(user);
    r.exec.session.role = role;
    r.exec.session.ns = KL_S("default");
    r.exec.sql = kl_slice_str(sql);
    r.exec.sink = &r.sink.sink;
    r.exec.arena = &r.arena;
    r.exec.done = h_done;
    r.exec.ctx = &r;
    r.task.run = h_start;
    kl_loop_post(h->loop, &r.task);
    pthread_mutex_lock(&r.lock);
    while (!r.done) {
        pthread_cond_wait(&r.cond, &r.lock);
    }
    pthread_mutex_unlock(&r.lock);
    ret->rc = r.exec.rc;
    snprintf(ret->err, sizeof(ret->err), "%s", r.exec.err.msg);
    snprintf(ret->hint, sizeof(ret->hint), "%s", r.exec.err.hint);
    ret->position = r.exec.err.position;
    snprintf(ret->text, sizeof(ret->text), "%.*s", (int)r.sink.out.len, r.sink.out.data != NULL ? r.sink.out.data : "");
    kl_buf_deinit(&r.sink.out);
    kl_arena_deinit(&r.arena);
    pthread_mutex_destroy(&r.lock);
    pthread_cond_destroy(&r.cond);
}

static inline enum kl_rc h_open(struct harness *h, struct kl_err *err) {
    struct kl_store_options so = {.path = h->dir};
    struct kl_tokens_options to = {.access_hours = 1};
    KL_TRY(kl_store_open(&so, &h->store, err));
    KL_TRY(kl_catalog_open(h->store, 8, &h->catalog, err));
    KL_TRY(kl_tokens_new(h->store, &to, &h->tokens, err));
    kl_snowflake_init(&h->ids, 1);
    struct kl_engine_options o = {
        .store = h->store, .catalog = h->catalog, .tokens = h->tokens, .ids = &h->ids, .sync = true, .writers = h->writers,
        .query_threads = 2, .max_sql_bytes = 1 << 20, .max_params = 50, .max_param_bytes = 1 << 19,
        .passwords = {8, 72, false, 4}, .stream_max_rows = 10000, .stream_max_bytes = 64 << 20, .listener = h->listener,
    };
    KL_TRY(kl_engine_start(&o, &h->engine, err));
    h->loop = kl_loop_new(0);
    h->el = kl_engine_loop_new(h->engine, h->loop);
    return kl_loop_start(h->loop);
}

static inline void h_close(struct harness *h) {
    kl_engine_stop(h->engine);
    kl_loop_stop(h->loop);
    kl_loop_join(h->loop);
    kl_engine_loop_free(h->el);
    kl_loop_free(h->loop);
    kl_engine_free(h->engine);
    kl_tokens_free(h->tokens);
    kl_catalog_close(h->catalog);
    kl_store_close(h->store);
}

static inline void h_make_dir(struct harness *h, const char *name) {
    struct kl_err err;
    snprintf(h->dir, sizeof(h->dir), "%s/%s-%d", KL_TEST_TMP, name, (int)getpid());
    kl_dir_remove(h->dir);
    KL_ASSERT(kl_dir_make(h->dir, 0700, &err) == KL_OK);
}

#endif
