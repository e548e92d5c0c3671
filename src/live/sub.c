/* Subscriptions: from the client's request to the writer that owns the partition, and to the end.
 *
 * The loop binds and posts a registration; from then on the writer owns the subscription. Whoever
 * wants it to end posts one end call; the writer takes it out of the registry and tells the loop,
 * which takes it off the connection. On the loop an unsubscribed subscription is muted first, so
 * that nothing of it is queued after what the client asked for next.
 *
 * References: the connection's list (until the loop drops it), the writer (from registration to
 * end), each call and load under way. */
#include "live/internal.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- life ---- */

void kl__sub_ref(struct kl__sub *s) {
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

void kl__sub_drop_kept(struct kl__sub *s) {
    for (struct kl__kept *k = s->kept, *next; k != NULL; k = next) {
        next = k->next;
        kl_frame_unref(k->frame);
        free(k);
    }
    s->kept = NULL;
    s->kept_end = &s->kept;
    s->kept_bytes = 0;
}

void kl__sub_free(struct kl__sub *s) {
    kl__sub_drop_kept(s);
    kl__query_unref(s->query);
    kl__client_unref(s->client);
    free(s);
}

void kl__sub_unref(struct kl__sub *s) {
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        kl__sub_free(s);
    }
}

struct kl__registry *kl__registry_of(struct kl_live *l, uint16_t shard) {
    return &atomic_load_explicit(
        &l->writers, memory_order_acquire)[kl_engine_writer_of(l->engine, shard)];
}

struct kl_slice kl__partition_user(const struct kl_table *t, const struct kl_session *s) {
    return t->type == KL_TABLE_SHARED ? KL_SLICE_NONE : s->user;
}

static struct kl_slice put(char **at, struct kl_slice s) {
    memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return kl_slice(*at - s.len, s.len);
}

static void run_gone(struct kl_task *t);

static struct kl__sub *sub_new(
    struct kl_live_client *c, const struct kl_live_subscribe *req, struct kl__query *q) {
    const struct kl_plan *p = q->plan;
    const struct kl_table *t = p->table;
    struct kl__sub *s = kl_xcalloc(1, sizeof(*s) + req->id.len + req->sql.len + t->qualified.len);
    char *at = (char *)(s + 1);
    kl__client_ref(c);
    s->refs = 1;
    s->client = c;
    s->query = q;
    s->id = put(&at, req->id);
    s->sql = put(&at, req->sql);
    s->table = put(&at, t->qualified);
    s->table_id = t->id;
    s->shard = kl_table_scope(
        t, kl__partition_user(t, &c->session), kl_engine_user_shards(c->live->engine))
                   .shard;
    s->from = req->from >= 0 ? req->from : p->live->from;
    s->last_rows = req->last_rows >= 0 ? req->last_rows : p->live->last_rows;
    s->batch_size = req->batch_size >= 0 ? req->batch_size : p->live->batch_size;
    s->snapshot = req->snapshot || s->from >= 0 || s->last_rows >= 0 || s->batch_size >= 0;
    s->batch_size = s->batch_size > 0 ? s->batch_size : c->live->o.default_batch_size;
    s->created_us = kl_clock_wall_us();
    s->updated_us = s->created_us;
    s->kept_end = &s->kept;
    s->gone.run = run_gone;
    return s;
}

/* ---- limits ---- */

static bool count_user(struct kl__sub *s) {
    struct kl_live *l = s->client->live;
    struct kl_slice user = s->client->session.user;
    if (l->o.max_per_user == 0) {
        return true;
    }
    pthread_mutex_lock(&l->lock);
    uintptr_t n = (uintptr_t)kl_map_get(&l->per_user, user);
    bool ok = n < l->o.max_per_user;
    if (ok) {
        kl_map_put(&l->per_user, user, (void *)(n + 1));
        s->counted = true;
    }
    pthread_mutex_unlock(&l->lock);
    return ok;
}

/* Under the lock. */
static void uncount_user(struct kl__sub *s) {
    struct kl_live *l = s->client->live;
    struct kl_slice user = s->client->session.user;
    if (s->counted) {
        uintptr_t n = (uintptr_t)kl_map_get(&l->per_user, user);
        if (n > 1) {
            kl_map_put(&l->per_user, user, (void *)(n - 1));
        } else {
            kl_map_del(&l->per_user, user);
        }
        s->counted = false;
    }
}

/* ---- on the writer ---- */

struct call {
    struct kl_shard_call call;
    struct kl__sub *sub;
};

static void post_always(struct kl__sub *s, void (*run)(struct kl_shard_call *)) {
    struct call *c = kl_xcalloc(1, sizeof(*c));
    c->call.shard = s->shard;
    c->call.run = run;
    c->sub = s;
    kl__sub_ref(s);
    kl_engine_call_always(s->client->live->engine, &c->call);
}

void kl__sub_send_ack(struct kl__sub *s, const struct kl__ack *ack) {
    struct kl_buf b;
    kl_buf_init(&b, 0);
    kl__encode_ack(&b, s->id, ack);
    kl__client_answer(s->client, s, b.failed ? NULL : kl__frame_new(kl_buf_view(&b)));
    kl_buf_deinit(&b);
}

static void join_all(struct kl__sub *s) {
    struct kl_live *l = s->client->live;
    pthread_mutex_lock(&l->lock);
    s->all_next = l->subs;
    s->all_link = &l->subs;
    if (s->all_next != NULL) {
        s->all_next->all_link = &s->all_next;
    }
    l->subs = s;
    uint64_t now = ++l->n_subs;
    l->n_subs_peak = KL_MAX(now, l->n_subs_peak);
    pthread_mutex_unlock(&l->lock);
}

static void leave_all(struct kl__sub *s) {
    struct kl_live *l = s->client->live;
    pthread_mutex_lock(&l->lock);
    *s->all_link = s->all_next;
    if (s->all_next != NULL) {
        s->all_next->all_link = s->all_link;
    }
    s->all_link = NULL;
    uncount_user(s);
    pthread_mutex_unlock(&l->lock);
    l->n_subs--;
}

static enum kl_rc start(struct kl__sub *s, struct kl_err *err) {
    if (!s->snapshot) {
        struct kl__ack ack = {.query = s->query,
            .last_seq = kl_snowflake_next(kl_engine_ids(s->client->live->engine))};
        kl__sub_send_ack(s, &ack);
        s->state = KL__LIVE;
        return KL_OK;
    }
    /* A client at 0 knows nothing, so there is nothing that it would have to forget. */
    return kl__load_start(
        s, s->from > 0 ? KL__LOAD_RESUME : KL__LOAD_FULL, KL_MAX(s->from, 0), err);
}

static void run_register(struct kl_shard_call *call) {
    struct call *c = KL_CONTAINER_OF(call, struct call, call);
    struct kl__sub *s = c->sub; /* the writer's reference comes with the call */
    struct kl_live *l = s->client->live;
    struct kl__registry *r = kl__registry_of(l, s->shard);
    struct kl_err err;
    free(c);
    kl_err_clear(&err);
    kl__registry_add(r, s, kl__partition_user(s->query->plan->table, &s->client->session));
    join_all(s);
    struct kl_cat *cat = kl_catalog_acquire(kl_engine_catalog(l->engine));
    struct kl_table *t = kl_cat_table_by_id(cat, s->table_id);
    bool same = t != NULL && t->version == s->query->plan->table->version;
    kl_cat_release(cat);
    if (!same && !kl__sub_rebind(r, s)) {
        return; /* the table was dropped or altered between binding and now */
    }
    if (start(s, &err) != KL_OK) {
        kl__sub_failed(s, &err);
    }
}

void kl__sub_ended(struct kl__sub *s, const char *code, struct kl_slice text) {
    if (s->state == KL__ENDED) {
        return;
    }
    s->state = KL__ENDED;
    kl__registry_remove(kl__registry_of(s->client->live, s->shard), s);
    leave_all(s);
    kl__sub_drop_kept(s);
    if (code != NULL) {
        struct kl_buf b;
        kl_buf_init(&b, 0);
        kl__encode_error(&b, s->id, code, text);
        kl__client_answer(s->client, s, b.failed ? NULL : kl__frame_new(kl_buf_view(&b)));
        kl_buf_deinit(&b);
    }
    if (kl__client_silence(s->client, s)) {
        kl__load_free(s->load); /* it was waiting for room; a running one comes back by itself */
        s->load = NULL;
    }
    kl_loop_post(s->client->loop, &s->gone); /* with the writer's reference */
}

void kl__sub_failed(struct kl__sub *s, const struct kl_err *err) {
    kl__sub_ended(s, kl__error_code(err->rc), kl_slice_str(err->msg));
}

static void run_end(struct kl_shard_call *call) {
    struct kl__sub *s = KL_CONTAINER_OF(call, struct kl__sub, end_call);
    kl__sub_ended(s, s->end_code, kl_slice_str(s->end_text));
    kl__sub_unref(s);
}

void kl__sub_end(struct kl__sub *s, const char *code, const char *text) {
    if (atomic_exchange(&s->ending, true)) {
        return;
    }
    s->end_code = code;
    s->end_text = text;
    s->end_call.shard = s->shard;
    s->end_call.run = run_end;
    kl__sub_ref(s);
    kl_engine_call_always(s->client->live->engine, &s->end_call);
}

/* ---- changes ---- */

static void keep(struct kl__sub *s, struct kl_frame *f) {
    size_t len = kl_frame_json(f).len;
    if (s->kept_lost) {
        return;
    }
    if (s->kept_bytes + len > s->client->live->o.max_kept_bytes) {
        kl__sub_drop_kept(s); /* the store has them: after the load it goes on from there */
        s->kept_lost = true;
        s->client->live->to_catch_up++;
        return;
    }
    struct kl__kept *k = kl_xmalloc(sizeof(*k));
    kl_frame_ref(f);
    *k = (struct kl__kept){NULL, f};
    *s->kept_end = k;
    s->kept_end = &k->next;
    s->kept_bytes += len;
}

void kl__sub_deliver(struct kl__sub *s, struct kl_frame *f, int64_t seq) {
    if (s->state == KL__LOADING) {
        keep(s, f);
    } else if (s->state == KL__LIVE) {
        if (!kl__client_offer(s->client, s, f)) {
            s->cursor = seq - 1;
            s->state = KL__CATCH_UP;
            s->client->live->to_catch_up++;
            return;
        }
        s->client->live->delivered++;
        s->changes++;
        atomic_store_explicit(&s->updated_us, kl_clock_wall_us(), memory_order_relaxed);
    }
}

void kl__sub_catch_up(struct kl__sub *s) {
    struct kl_err err;
    kl_err_clear(&err);
    if (kl__load_start(s, KL__LOAD_CATCH_UP, s->cursor, &err) != KL_OK) {
        kl__sub_failed(s, &err);
    }
}

static void run_catch_up(struct kl_shard_call *call) {
    struct call *c = KL_CONTAINER_OF(call, struct call, call);
    if (c->sub->state == KL__CATCH_UP) {
        kl__sub_catch_up(c->sub);
    }
    kl__sub_unref(c->sub);
    free(c);
}

/* ---- on the loop ---- */

void kl__sub_resume(struct kl__sub *s, enum kl__stall how) {
    if (how == KL__LOAD_PAUSED) {
        kl__load_continue(s->load);
    } else {
        post_always(s, run_catch_up);
    }
}

static struct kl__sub **find(struct kl_live_client *c, struct kl_slice id) {
    struct kl__sub **at = &c->subs;
    while (*at != NULL && !kl_slice_eq((*at)->id, id)) {
        at = &(*at)->client_next;
    }
    return at;
}

static void leave_client(struct kl_live_client *c, struct kl__sub **at) {
    struct kl__sub *s = *at;
    *at = s->client_next;
    c->n_subs--;
    kl__sub_unref(s);
}

static void run_gone(struct kl_task *t) {
    struct kl__sub *s = KL_CONTAINER_OF(t, struct kl__sub, gone);
    struct kl_live_client *c = s->client;
    for (struct kl__sub **at = &c->subs; *at != NULL; at = &(*at)->client_next) {
        if (*at == s) {
            leave_client(c, at);
            break;
        }
    }
    kl__sub_unref(s);
}

void kl_live_unsubscribe(struct kl_live_client *c, struct kl_slice id) {
    struct kl__sub **at = find(c, id), *s = *at;
    if (s != NULL) {
        kl__client_mute(c, s);
        kl__sub_end(s, NULL, NULL);
        leave_client(c, at);
    }
}

static bool refuse(
    struct kl_live_client *c, struct kl_slice id, const char *code, const char *text) {
    kl_live_client_error(c, id, code, kl_slice_str(text));
    return false;
}

static bool check_request(struct kl_live_client *c, const struct kl_live_subscribe *req) {
    const char *code = "INVALID_SUBSCRIPTION_ID";
    if (kl_slice_trim(req->id).len == 0) {
        return refuse(c, KL_S("invalid_subscription"), code, "Subscription id must not be blank");
    }
    if (req->id.len > KL__SUB_ID_MAX) {
        return refuse(
            c, KL_S("invalid_subscription"), code, "Subscription id is longer than 256 bytes");
    }
    if (req->sql.len > KL__QUERY_MAX) {
        return refuse(c, req->id, "INVALID_SQL", "Subscription query is longer than 65536 bytes");
    }
    kl_live_unsubscribe(c, req->id);
    if (c->live->o.max_per_connection > 0 && c->n_subs >= c->live->o.max_per_connection) {
        return refuse(
            c, req->id, "SUBSCRIPTION_LIMIT_EXCEEDED", "Too many subscriptions on this connection");
    }
    return true;
}

static bool check_options(struct kl__sub *s, const struct kl_live_subscribe *req) {
    char text[160];
    if (req->batch_size == 0) {
        return refuse(s->client, s->id, "UNSUPPORTED", "batch_size must be at least 1");
    }
    if (s->from < 0 && s->last_rows > s->batch_size) {
        snprintf(text, sizeof(text), "last_rows (%lld) must not be greater than batch_size (%lld)",
            (long long)s->last_rows, (long long)s->batch_size);
        return refuse(s->client, s->id, "UNSUPPORTED", text);
    }
    if (!count_user(s)) {
        return refuse(
            s->client, s->id, "SUBSCRIPTION_LIMIT_EXCEEDED", "Too many subscriptions of this user");
    }
    return true;
}

static bool post_register(struct kl__sub *s) {
    struct call *c = kl_xcalloc(1, sizeof(*c));
    c->call.shard = s->shard;
    c->call.run = run_register;
    c->sub = s;
    kl__sub_ref(s);
    if (kl_engine_call(s->client->live->engine, &c->call) == KL_OK) {
        return true;
    }
    free(c);
    kl__sub_unref(s);
    pthread_mutex_lock(&s->client->live->lock);
    uncount_user(s);
    pthread_mutex_unlock(&s->client->live->lock);
    return refuse(s->client, s->id, "SUBSCRIPTION_FAILED",
        "Subscription registration failed: the server is busy, try again");
}

void kl_live_subscribe(struct kl_live_client *c, const struct kl_live_subscribe *req) {
    struct kl__query *q;
    struct kl_err err;
    kl_err_clear(&err);
    if (!check_request(c, req)) {
        return;
    }
    enum kl_rc rc = kl__query_bind(c->live, &c->session, req->sql, &q, &err);
    if (rc != KL_OK) {
        kl_live_client_error(c, req->id, kl__error_code(rc), kl_slice_str(err.msg));
        return;
    }
    struct kl__sub *s = sub_new(c, req, q);
    atomic_store_explicit(&c->active_us, s->created_us, memory_order_relaxed);
    if (!check_options(s, req) || !post_register(s)) {
        kl__sub_unref(s);
        return;
    }
    s->client_next = c->subs;
    c->subs = s;
    c->n_subs++;
}
