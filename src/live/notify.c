/* From a committed change to frames, on the writer.
 *
 * For each change: its partition's subscriptions that can match (buckets of its old and its new
 * values, and the rest), the filter on the old and on the new version, and from the two answers
 * what the change is to this subscriber:
 *
 *     old  new     what is sent
 *      -    match  insert
 *      match match update
 *      match -     delete
 *
 * A message is written once for each (plan, kind), and once more for each distinct subscription id,
 * because the id stands in it; equal ones share the frame. */
#include "live/internal.h"

#include <stdlib.h>

enum kind { KIND_INSERT = 1, KIND_UPDATE, KIND_DELETE };

/* The two versions of the change at hand, decoded for one schema version. */
struct versions {
    const struct kl_change *change;
    const struct kl_table *table; /* whose columns the values are; NULL: not decoded */
    uint32_t version;
    bool broken;
    struct kl__row now, old; /* vals NULL: there is none */
};

static struct kl_val *decode(
    struct kl__registry *r, const struct kl_table *t, struct kl_slice bytes, int64_t seq) {
    struct kl_row_view view;
    struct kl_val *vals = KL_ARENA_ARRAY(&r->arena, struct kl_val, t->n_cols + 1);
    if (vals == NULL || kl_table_open_row(t, bytes, seq, &view) != KL_OK) {
        return NULL;
    }
    for (size_t i = 0; i < t->n_cols; i++) {
        if (kl_table_get(t, &view, (unsigned)i, &r->arena, &vals[i]) != KL_OK) {
            return NULL;
        }
    }
    return vals;
}

static void versions_for(struct kl__registry *r, struct versions *v, const struct kl_table *t) {
    const struct kl_change *c = v->change;
    if (v->table != NULL && v->version == t->version) {
        return;
    }
    v->table = t;
    v->version = t->version;
    v->now = (struct kl__row){.seq = c->seq, .prev_seq = c->prev_seq};
    v->old = (struct kl__row){.seq = c->prev_seq};
    v->broken = false;
    if (c->op != KL_CHANGE_DELETE) {
        v->now.vals = decode(r, t, c->new_row, c->seq);
        v->broken = v->now.vals == NULL;
    }
    if (c->op != KL_CHANGE_INSERT) {
        v->old.vals = decode(r, t, c->old_row, c->prev_seq);
        v->broken = v->broken || v->old.vals == NULL;
    }
}

/* ---- frames of this change ---- */

static void encode_body(
    struct kl__registry *r, const struct kl__query *q, const struct versions *v, int kind) {
    if (r->body_plan == q->plan && r->body_kind == kind) {
        return;
    }
    kl_buf_clear(&r->body);
    if (kind == KIND_INSERT) {
        kl__encode_insert(&r->body, q, &v->now);
    } else if (kind == KIND_UPDATE) {
        kl__encode_update(&r->body, q, &v->now, &v->old);
    } else {
        struct kl__row gone = {
            .vals = v->old.vals, .seq = v->change->seq, .prev_seq = v->change->prev_seq};
        kl__encode_delete(&r->body, q, &gone, false);
    }
    r->body_plan = q->plan;
    r->body_kind = kind;
}

static void made_grow(struct kl__registry *r) {
    size_t cap = r->cap_made > 0 ? r->cap_made * 2 : 64;
    struct kl__made *old = r->made;
    r->made = kl_xcalloc(cap, sizeof(*r->made));
    for (size_t i = 0; i < r->cap_made; i++) {
        if (old[i].change == r->change_no) {
            size_t at = kl_slice_hash(old[i].id) & (cap - 1);
            while (r->made[at].change == r->change_no) {
                at = (at + 1) & (cap - 1);
            }
            r->made[at] = old[i];
        }
    }
    r->cap_made = cap;
    free(old);
}

static struct kl_frame *frame_for(
    struct kl__registry *r, const struct kl__sub *s, const struct versions *v, int kind) {
    const struct kl_plan *plan = s->query->plan;
    if (2 * r->n_made >= r->cap_made) {
        made_grow(r);
    }
    size_t at = kl_slice_hash(s->id) & (r->cap_made - 1);
    for (; r->made[at].change == r->change_no; at = (at + 1) & (r->cap_made - 1)) {
        struct kl__made *m = &r->made[at];
        if (m->plan == plan && m->kind == kind && kl_slice_eq(m->id, s->id)) {
            return m->frame;
        }
    }
    encode_body(r, s->query, v, kind);
    kl_buf_clear(&r->text);
    kl__encode_change(&r->text, s->id, kl_buf_view(&r->body));
    struct kl_frame *f =
        r->body.failed || r->text.failed ? NULL : kl__frame_new(kl_buf_view(&r->text));
    if (f != NULL) {
        r->made[at] = (struct kl__made){r->change_no, plan, s->id, kind, f};
        r->n_made++;
    }
    return f;
}

static void forget_frames(struct kl__registry *r) {
    for (size_t i = 0; r->n_made > 0 && i < r->cap_made; i++) {
        if (r->made[i].change == r->change_no) {
            kl_frame_unref(r->made[i].frame);
            r->n_made--;
        }
    }
    r->body_plan = NULL;
    r->change_no++;
}

/* ---- one subscriber ---- */

static void fail(struct kl__sub *s, enum kl_rc rc, const char *what) {
    struct kl_err err;
    kl_fail(&err, rc, "%s", what);
    kl__sub_failed(s, &err);
}

static void visit(struct kl__registry *r, struct versions *v, struct kl__sub *s) {
    struct kl__query *q = s->query;
    struct kl_err err;
    bool was = false, is = false;
    versions_for(r, v, q->plan->table);
    if (v->broken) {
        fail(s, KL_E_CORRUPT, "a changed row could not be read");
        return;
    }
    kl_err_clear(&err);
    struct kl_arena_mark mark = kl_arena_mark(&r->arena);
    enum kl_rc rc = KL_OK;
    if (v->now.vals != NULL) {
        rc = kl__query_test(q, &s->client->session, &v->now, &r->arena, &is, &err);
    }
    if (rc == KL_OK && v->old.vals != NULL) {
        rc = kl__query_test(q, &s->client->session, &v->old, &r->arena, &was, &err);
    }
    kl_arena_rewind(&r->arena, mark);
    if (rc != KL_OK) {
        kl_err_prefix(&err, "the filter failed on a changed row");
        kl__sub_failed(s, &err);
        return;
    }
    if (!is && !was) {
        return;
    }
    struct kl_frame *f = frame_for(r, s, v, is ? (was ? KIND_UPDATE : KIND_INSERT) : KIND_DELETE);
    if (f == NULL) {
        fail(s, KL_E_TOO_LARGE, "a change is too large for one message");
        return;
    }
    kl__sub_deliver(s, f, v->change->seq);
}

/* ---- one change ---- */

/* Visiting may end a subscription, so the list is taken first; references keep it. */
static void hit(struct kl__registry *r, struct kl__bucket *b) {
    for (struct kl__sub *s = b != NULL ? b->subs : NULL; s != NULL; s = s->part_next) {
        KL_GROW(r->hits, r->cap_hits, r->n_hits + 1);
        kl__sub_ref(s);
        r->hits[r->n_hits++] = s;
    }
}

static void hit_values(
    struct kl__registry *r, struct kl__part *p, struct versions *v, uint16_t col) {
    uint64_t now = 0, old = 0;
    bool has_now = v->now.vals != NULL && !v->now.vals[col].null;
    bool has_old = v->old.vals != NULL && !v->old.vals[col].null;
    if (has_now) {
        now = kl_val_hash(&v->now.vals[col]);
        hit(r, kl__registry_bucket(r, p, col, now));
    }
    if (has_old) {
        old = kl_val_hash(&v->old.vals[col]);
        if (!has_now || old != now) {
            hit(r, kl__registry_bucket(r, p, col, old));
        }
    }
}

static void tell(struct kl__registry *r, const struct kl_change *c) {
    struct kl__part *p = kl__registry_part(
        r, c->table->id, c->table->type == KL_TABLE_SHARED ? KL_SLICE_NONE : c->user);
    struct versions v = {.change = c};
    if (p == NULL) {
        return;
    }
    kl_arena_reset(&r->arena);
    r->n_hits = 0;
    if (p->n_eq > 0) {
        versions_for(r, &v, c->table);
        for (size_t i = 0; i < p->n_eq && !v.broken; i++) {
            hit_values(r, p, &v, p->eq[i].col);
        }
    }
    hit(r, &p->rest);
    for (size_t i = 0; i < r->n_hits; i++) {
        if (atomic_load_explicit(&r->hits[i]->state, memory_order_relaxed) != KL__ENDED) {
            visit(r, &v, r->hits[i]);
        }
        kl__sub_unref(r->hits[i]);
    }
    forget_frames(r);
}

void kl__committed(void *ctx, unsigned writer, const struct kl_change *changes, size_t n) {
    struct kl_live *l = ctx;
    struct kl__registry *all = atomic_load_explicit(&l->writers, memory_order_acquire);
    if (all == NULL || all[writer].n_subs == 0) {
        return;
    }
    if (all[writer].change_no == 0) {
        all[writer].change_no = 1;
    }
    for (size_t i = 0; i < n; i++) {
        tell(&all[writer], &changes[i]);
    }
}
