/* A connection's output: one queue in the order of events, bounded.
 *
 * Writers and pool threads append under the lock and post one wake-up to the loop unless one is on
 * its way. `bytes` counts what is queued and what was taken but not sent yet (JSON bytes, whatever
 * goes over the wire). When it stands above the bound, a LIVE subscription's next change is refused
 * (it goes to catch-up) and a load pauses; both leave a mark that the loop finds once the client
 * has drained below half.
 *
 * What is queued is never taken back: so the order that the client sees is the order of events, and
 * a subscription that goes to catch-up knows exactly how far the client will have got. */
#include "live/internal.h"

#include <stdlib.h>

/* Answers to requests come on top of the bound. A client that asks but does not read is cut off
 * here. */
#define OVERRUN_FACTOR 4
#define OVERRUN_LEAST ((size_t)1 << 20)

struct kl__queued {
    struct kl__queued *next;
    struct kl_frame *frame;
};

/* ---- life ---- */

static struct kl_slice put(char **at, struct kl_slice s) {
    struct kl_slice copy = {*at, s.len};
    if (s.len > 0) {
        memcpy(*at, s.ptr, s.len);
    }
    *at += s.len;
    return s.ptr != NULL ? copy : s;
}

static void run_wake(struct kl_task *t) {
    struct kl_live_client *c = KL_CONTAINER_OF(t, struct kl_live_client, wake);
    pthread_mutex_lock(&c->lock);
    c->woken = false;
    bool call = !c->closed && (c->head != NULL || c->overrun);
    pthread_mutex_unlock(&c->lock);
    if (call) {
        c->ops.ready(c->ops.ctx);
    }
    kl__client_unref(c);
}

struct kl_live_client *kl_live_client_new(struct kl_live *l, struct kl_engine_loop *el,
    struct kl_loop *loop, const struct kl_session *session, const struct kl_live_client_ops *ops) {
    const struct kl_session *s = session;
    (void)el; /* plans are shared by all loops: see query.c */
    size_t tail = s->user.len + s->actor.len + s->ns.len + s->client_ip.len;
    struct kl_live_client *c = kl_xcalloc(1, sizeof(*c) + tail);
    char *at = (char *)(c + 1);
    c->refs = 1;
    c->live = l;
    c->loop = loop;
    c->ops = *ops;
    c->session = *session;
    c->session.user = put(&at, s->user);
    c->session.actor = put(&at, s->actor);
    c->session.ns = put(&at, s->ns);
    c->session.client_ip = put(&at, s->client_ip);
    c->session.request_id = KL_SLICE_NONE;
    c->active_us = kl_clock_wall_us();
    c->id = atomic_fetch_add(&l->next_client, 1) + 1;
    c->wake.run = run_wake;
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_lock(&l->lock);
    c->next = l->clients;
    c->link = &l->clients;
    if (c->next != NULL) {
        c->next->link = &c->next;
    }
    l->clients = c;
    pthread_mutex_unlock(&l->lock);
    l->n_clients++;
    return c;
}

void kl__client_ref(struct kl_live_client *c) {
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

static void drop_queue(struct kl__queued *q) {
    for (struct kl__queued *next; q != NULL; q = next) {
        next = q->next;
        kl_frame_unref(q->frame);
        free(q);
    }
}

void kl__client_unref(struct kl_live_client *c) {
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    pthread_mutex_lock(&c->live->lock);
    *c->link = c->next;
    if (c->next != NULL) {
        c->next->link = c->link;
    }
    pthread_mutex_unlock(&c->live->lock);
    drop_queue(c->head);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void kl_live_client_close(struct kl_live_client *c) {
    pthread_mutex_lock(&c->lock);
    bool again = c->closed;
    c->closed = true;
    struct kl__queued *q = c->head;
    c->head = c->tail = NULL;
    c->bytes = 0;
    pthread_mutex_unlock(&c->lock);
    KL_ASSERT(!again);
    drop_queue(q);
    c->live->n_clients--;
    while (c->subs != NULL) {
        struct kl__sub *s = c->subs;
        c->subs = s->client_next;
        kl__sub_end(s, NULL, NULL);
        kl__sub_unref(s);
    }
    kl__client_unref(c);
}

/* ---- putting in ---- */

/* Under the lock. Returns whether the loop must be woken (a reference goes with the wake-up). */
static bool enqueue(struct kl_live_client *c, struct kl_frame *f) {
    struct kl__queued *q = kl_xmalloc(sizeof(*q));
    *q = (struct kl__queued){NULL, f};
    if (c->tail != NULL) {
        c->tail->next = q;
    } else {
        c->head = q;
    }
    c->tail = q;
    c->bytes += kl_frame_json(f).len;
    if (c->woken) {
        return false;
    }
    c->woken = true;
    kl__client_ref(c);
    return true;
}

static void append(struct kl_live_client *c, struct kl__sub *sub, struct kl_frame *f, bool answer) {
    size_t most = KL_MAX(OVERRUN_FACTOR * c->live->o.max_output_bytes, OVERRUN_LEAST);
    size_t len = f != NULL ? kl_frame_json(f).len : 0;
    bool wake = false;
    pthread_mutex_lock(&c->lock);
    bool listens = !c->closed && !(sub != NULL && sub->muted);
    if (listens && (f == NULL || (answer && c->answers + len > most))) {
        c->overrun = true; /* the connection has to go: something would be missing */
    }
    bool accept = listens && !c->overrun;
    if (accept) {
        wake = enqueue(c, f);
        c->answers += answer ? len : 0;
    } else if (listens && !c->woken) {
        c->woken = wake = true;
        kl__client_ref(c);
    }
    pthread_mutex_unlock(&c->lock);
    if (!accept) {
        kl_frame_unref(f);
    }
    if (wake) {
        kl_loop_post(c->loop, &c->wake);
    }
}

void kl__client_answer(struct kl_live_client *c, struct kl__sub *sub, struct kl_frame *f) {
    append(c, sub, f, true);
}

void kl__client_append(struct kl_live_client *c, struct kl__sub *sub, struct kl_frame *f) {
    append(c, sub, f, false);
}

bool kl__client_offer(struct kl_live_client *c, struct kl__sub *sub, struct kl_frame *f) {
    size_t len = kl_frame_json(f).len;
    bool wake = false, ok = true;
    pthread_mutex_lock(&c->lock);
    if (c->closed || sub->muted || c->overrun) {
        /* nobody listens: as good as delivered */
    } else if (c->bytes > 0 && c->bytes + len > c->live->o.max_output_bytes) {
        sub->stall = KL__WANTS_CATCH_UP;
        c->stalled = true;
        ok = false;
    } else {
        kl_frame_ref(f);
        wake = enqueue(c, f);
    }
    pthread_mutex_unlock(&c->lock);
    if (wake) {
        kl_loop_post(c->loop, &c->wake);
    }
    return ok;
}

bool kl__client_pause(struct kl_live_client *c, struct kl__sub *sub) {
    pthread_mutex_lock(&c->lock);
    bool full = !c->closed && !sub->muted && !c->overrun && c->bytes > c->live->o.max_output_bytes;
    if (full) {
        sub->stall = KL__LOAD_PAUSED;
        c->stalled = true;
    }
    pthread_mutex_unlock(&c->lock);
    return full;
}

bool kl__client_full(struct kl_live_client *c) {
    pthread_mutex_lock(&c->lock);
    bool full = c->bytes > c->live->o.max_output_bytes;
    pthread_mutex_unlock(&c->lock);
    return full;
}

bool kl__client_deaf(struct kl_live_client *c, const struct kl__sub *sub) {
    pthread_mutex_lock(&c->lock);
    bool deaf = c->closed || c->overrun || sub->muted;
    pthread_mutex_unlock(&c->lock);
    return deaf;
}

void kl__client_mute(struct kl_live_client *c, struct kl__sub *sub) {
    pthread_mutex_lock(&c->lock);
    sub->muted = true;
    pthread_mutex_unlock(&c->lock);
}

bool kl__client_silence(struct kl_live_client *c, struct kl__sub *sub) {
    pthread_mutex_lock(&c->lock);
    bool paused = sub->stall == KL__LOAD_PAUSED;
    sub->muted = true;
    sub->stall = KL__RUNNING;
    pthread_mutex_unlock(&c->lock);
    return paused;
}

void kl_live_client_push(struct kl_live_client *c, struct kl_slice json) {
    kl__client_answer(c, NULL, kl__frame_new(json));
}

void kl_live_client_error(struct kl_live_client *c, struct kl_slice subscription_id,
    const char *code, struct kl_slice message) {
    struct kl_buf b;
    kl_buf_init(&b, 0);
    kl__encode_error(&b, subscription_id, code, message);
    kl_live_client_push(c, kl_buf_view(&b));
    kl_buf_deinit(&b);
}

/* ---- taking out ---- */

struct kl_frame *kl_live_client_take(struct kl_live_client *c) {
    pthread_mutex_lock(&c->lock);
    struct kl__queued *q = c->head;
    if (q != NULL) {
        c->head = q->next;
        if (c->head == NULL) {
            c->tail = NULL;
        }
    }
    pthread_mutex_unlock(&c->lock);
    struct kl_frame *f = q != NULL ? q->frame : NULL;
    free(q);
    return f;
}

static void resume_stalled(struct kl_live_client *c) {
    for (struct kl__sub *s = c->subs, *next; s != NULL; s = next) {
        next = s->client_next;
        pthread_mutex_lock(&c->lock);
        enum kl__stall how = s->stall;
        s->stall = KL__RUNNING;
        pthread_mutex_unlock(&c->lock);
        if (how != KL__RUNNING) {
            kl__sub_resume(s, how);
        }
    }
}

void kl_live_client_sent(struct kl_live_client *c, size_t bytes) {
    pthread_mutex_lock(&c->lock);
    c->bytes -= KL_MIN(bytes, c->bytes);
    c->answers -= KL_MIN(bytes, c->answers);
    atomic_store_explicit(&c->active_us, kl_clock_wall_us(), memory_order_relaxed);
    bool resume = c->stalled && !c->closed && c->bytes <= c->live->o.max_output_bytes / 2;
    c->stalled = c->stalled && !resume;
    pthread_mutex_unlock(&c->lock);
    if (resume) {
        resume_stalled(c);
    }
}

bool kl_live_client_overrun(struct kl_live_client *c) {
    pthread_mutex_lock(&c->lock);
    bool overrun = c->overrun;
    pthread_mutex_unlock(&c->lock);
    return overrun;
}
