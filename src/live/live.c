/* Putting live queries together, and what the engine calls. */
#include "live/internal.h"

#include <stdlib.h>

struct kl_live *kl_live_new(const struct kl_live_options *o) {
    struct kl_live *l = kl_xcalloc(1, sizeof(*l));
    l->o = *o;
    l->o.max_output_bytes = o->max_output_bytes > 0 ? o->max_output_bytes : (size_t)1 << 20;
    l->o.max_kept_bytes = o->max_kept_bytes > 0 ? o->max_kept_bytes : (size_t)256 << 10;
    l->o.default_batch_size = o->default_batch_size > 0 ? o->default_batch_size : 1000;
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->plans_lock, NULL);
    kl_map_init(&l->per_user);
    kl_map_init(&l->plans);
    if (o->engine != NULL) {
        kl_live_attach(l, o->engine);
    }
    return l;
}

struct kl_engine_listener kl_live_listener(struct kl_live *l) {
    return (struct kl_engine_listener){
        .ctx = l,
        .committed = kl__committed,
        .table_changed = kl__table_changed,
        .live_rows = kl__live_rows,
        .live_kill = kl__live_kill,
        .user_changed = kl__user_changed,
    };
}

void kl_live_attach(struct kl_live *l, struct kl_engine *e) {
    l->engine = e;
    l->store = kl_engine_store(e);
    l->n_writers = kl_engine_writers(e);
    struct kl__registry *r = kl_xcalloc(l->n_writers, sizeof(*r));
    for (unsigned i = 0; i < l->n_writers; i++) {
        kl__registry_init(&r[i], l);
    }
    atomic_store_explicit(&l->writers, r, memory_order_release);
}

/* What connections left behind when they were not closed before the engine stopped. */
static void free_rest(struct kl_live *l) {
    while (l->subs != NULL) {
        struct kl__sub *s = l->subs;
        l->subs = s->all_next;
        if (s->load != NULL) {
            kl__sub_ref(s); /* the load drops its own: not the last */
            kl__load_free(s->load);
        }
        kl__client_ref(s->client);
        kl__sub_free(s);
    }
    while (l->clients != NULL) {
        struct kl_live_client *c = l->clients;
        c->refs = 1;
        kl__client_unref(c);
    }
}

void kl_live_free(struct kl_live *l) {
    if (l == NULL) {
        return;
    }
    free_rest(l);
    struct kl__registry *r = l->writers;
    for (unsigned i = 0; r != NULL && i < l->n_writers; i++) {
        kl__registry_deinit(&r[i]);
    }
    free(r);
    kl__plans_clear(l);
    kl_map_deinit(&l->plans);
    kl_map_deinit(&l->per_user);
    pthread_mutex_destroy(&l->lock);
    pthread_mutex_destroy(&l->plans_lock);
    free(l);
}

void kl_live_stats(struct kl_live *l, struct kl_live_stats *ret) {
    *ret = (struct kl_live_stats){
        .subscriptions = l->n_subs,
        .subscriptions_peak = l->n_subs_peak,
        .clients = l->n_clients,
        .delivered = l->delivered,
        .dropped_to_catch_up = l->to_catch_up,
        .resyncs = l->resyncs,
    };
}
