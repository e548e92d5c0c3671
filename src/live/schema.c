/* Dropped and altered tables under a subscription. On the writers.
 *
 * A new version of a table: the query text is bound again, the client gets a new acknowledgement
 * with the new schema and the stream goes on. A subscription that is loading or catching up gets it
 * with the catch-up that then follows its load. What cannot be bound any more ends. */
#include "live/internal.h"

#include <stdio.h>
#include <stdlib.h>

static void end_dropped(struct kl__sub *s) {
    char text[160];
    snprintf(text, sizeof(text), "Table %.*s was dropped", KL_FMT(s->table));
    kl__sub_ended(s, "NOT_FOUND", kl_slice_str(text));
}

bool kl__sub_rebind(struct kl__registry *r, struct kl__sub *s) {
    struct kl__query *q;
    struct kl_err err;
    kl_err_clear(&err);
    enum kl_rc rc = kl__query_bind(r->live, &s->client->session, s->sql, &q, &err);
    if (rc != KL_OK) {
        struct kl_cat *cat = kl_catalog_acquire(kl_engine_catalog(r->live->engine));
        bool dropped = kl_cat_table_by_id(cat, s->table_id) == NULL;
        kl_cat_release(cat);
        if (dropped) {
            end_dropped(s);
        } else {
            kl_err_prefix(&err, "the table was altered");
            kl__sub_ended(s, rc == KL_E_PERMISSION_DENIED ? "UNAUTHORIZED" : "SCHEMA_CHANGED",
                kl_slice_str(err.msg));
        }
        return false;
    }
    if (q->plan->table->id != s->table_id) { /* another table of that name by now */
        kl__query_unref(q);
        end_dropped(s);
        return false;
    }
    kl__registry_remove(r, s);
    kl__query_unref(s->query);
    s->query = q;
    kl__registry_add(r, s, kl__partition_user(q->plan->table, &s->client->session));
    return true;
}

static void altered(struct kl__registry *r, struct kl__sub *s, const struct kl_table *t) {
    if (s->query->plan->table->version == t->version || !kl__sub_rebind(r, s)) {
        return;
    }
    if (s->state == KL__LIVE) {
        struct kl__ack ack = {
            .query = s->query, .last_seq = kl_snowflake_next(kl_engine_ids(r->live->engine))};
        kl__sub_send_ack(s, &ack);
    } else {
        s->reack = true;
        s->kept_lost = true; /* what was kept has the old shape */
        kl__sub_drop_kept(s);
    }
}

void kl__table_changed(void *ctx, unsigned writer, uint32_t table_id, struct kl_table *table) {
    struct kl_live *l = ctx;
    struct kl__registry *all = atomic_load_explicit(&l->writers, memory_order_acquire);
    size_t n = 0;
    if (all == NULL || all[writer].n_subs == 0) {
        return;
    }
    struct kl__sub **subs = kl__registry_of_table(&all[writer], table_id, &n);
    for (size_t i = 0; i < n; i++) {
        if (subs[i]->state != KL__ENDED) {
            if (table == NULL) {
                end_dropped(subs[i]);
            } else {
                altered(&all[writer], subs[i], table);
            }
        }
        kl__sub_unref(subs[i]);
    }
    free(subs);
}
