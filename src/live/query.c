/* A bound query: the shared plan plus this subscription's values, and what its filter demands of
 * one column.
 *
 * The plan comes from the plan cache of whoever binds (a loop, or a writer after a schema change),
 * so ten thousand subscriptions of one shape share it; a query adds the values and little else.
 * Immutable once bound: writers and the query pool read it without a lock. */
#include "live/internal.h"

#include <stdlib.h>

#define BIND_BYTES ((size_t)4 << 20)

/* Copies values and what they borrow behind the struct. */
static struct kl__query *query_new(const struct kl_bound *b) {
    size_t bytes = 0;
    for (size_t i = 0; i < b->n_vals; i++) {
        bytes += (b->vals[i].len + 15) & ~(size_t)15;
    }
    struct kl__query *q =
        kl_xcalloc(1, sizeof(*q) + b->n_vals * sizeof(struct kl_val) + bytes + 16);
    struct kl_val *vals = (struct kl_val *)(q + 1);
    char *at = (char *)(vals + b->n_vals);
    at += -(uintptr_t)at & 15;
    for (size_t i = 0; i < b->n_vals; i++) {
        vals[i] = b->vals[i];
        if (vals[i].len > 0 && !vals[i].null) {
            memcpy(at, b->vals[i].s, vals[i].len);
            vals[i].s = at;
            at += (vals[i].len + 15) & ~(size_t)15;
        }
    }
    q->refs = 1;
    q->plan = b->plan;
    kl_plan_ref(q->plan);
    q->vals = vals;
    q->n_vals = b->n_vals;
    q->now_us = kl_clock_wall_us();
    return q;
}

void kl__query_ref(struct kl__query *q) {
    atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
}

void kl__query_unref(struct kl__query *q) {
    if (q != NULL && atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) == 1) {
        kl_plan_unref(q->plan);
        free(q);
    }
}

static bool has_whole_key(const struct kl_plan *p) {
    size_t found = 0;
    for (size_t i = 0; i < p->live->n_cols; i++) {
        int c = p->live->cols[i];
        found += c >= 0 && p->table->cols[c].pk_pos > 0;
    }
    return p->table->n_pk > 0 && found >= p->table->n_pk;
}

/* Types whose equal values have equal bytes; the others are compared, not looked up. */
bool kl__indexable(uint8_t type) {
    switch (type) {
    case KL_T_BOOLEAN:
    case KL_T_SMALLINT:
    case KL_T_INT:
    case KL_T_BIGINT:
    case KL_T_TEXT:
    case KL_T_TIMESTAMP:
    case KL_T_DATETIME:
    case KL_T_DATE:
    case KL_T_TIME:
    case KL_T_UUID:
        return true;
    default:
        return false;
    }
}

/* The value that `column = value` demands, when it is exactly one value of the column's type. */
static bool demanded(struct kl__query *q, struct kl_eval *ev, unsigned slot, int col) {
    const struct kl_plan_live *p = q->plan->live;
    struct kl_type type = q->plan->table->cols[col].type;
    const struct kl_expr *e = kl__indexable(type.id) ? kl_expr_equality(p->filter, slot) : NULL;
    struct kl_val v, cast;
    if (e == NULL || kl_expr_volatile(e) || kl_expr_eval(e, ev, &v, NULL) != KL_OK || v.null) {
        return false;
    }
    if (kl_val_cast(&v, type, KL_CAST_EXPLICIT, ev->arena, &cast, NULL) != KL_OK || cast.null) {
        return false;
    }
    bool text = v.flags & KL_VAL_UNKNOWN || v.type == type.id;
    if (!text && !(kl_type_is_integer(v.type) && kl_type_is_integer(type.id))) {
        return false;
    }
    if (v.type == cast.type || kl_type_is_integer(v.type)) {
        if (kl_val_cmp(&v, &cast) != 0) {
            return false;
        }
    }
    cast.flags = 0;
    q->indexed = true;
    q->index_col = (uint16_t)col;
    q->index_hash = kl_val_hash(&cast);
    return true;
}

static void find_index(
    struct kl__query *q, const struct kl_session *session, struct kl_arena *arena) {
    const struct kl_plan_live *p = q->plan->live;
    struct kl_eval ev = {.params = q->vals,
        .n_params = q->n_vals,
        .session = session,
        .now_us = q->now_us,
        .arena = arena};
    for (size_t i = 0; p->filter != NULL && i < p->n_slots; i++) {
        if (p->slots[i] >= 0 && demanded(q, &ev, (unsigned)i, p->slots[i])) {
            return;
        }
    }
}

/* ---- plans: equal texts share one ---- */

static void plans_clear(struct kl_live *l) {
    struct kl_map_entry *en;
    for (size_t it = 0; (en = kl_map_next(&l->plans, &it)) != NULL;) {
        kl_plan_unref(en->value);
    }
    kl_map_clear(&l->plans);
}

void kl__plans_clear(struct kl_live *l) {
    pthread_mutex_lock(&l->plans_lock);
    plans_clear(l);
    pthread_mutex_unlock(&l->plans_lock);
}

static struct kl_plan *plan_find(struct kl_live *l, uint64_t version, struct kl_slice key) {
    pthread_mutex_lock(&l->plans_lock);
    struct kl_plan *p = version == l->plans_version ? kl_map_get(&l->plans, key) : NULL;
    if (p != NULL) {
        kl_plan_ref(p);
    }
    pthread_mutex_unlock(&l->plans_lock);
    return p;
}

/* Plans of an older catalog go as a whole: nobody can use them again, and they would keep old
 * tables alive. */
static void plan_keep(struct kl_live *l, uint64_t version, struct kl_slice key, struct kl_plan *p) {
    pthread_mutex_lock(&l->plans_lock);
    if (version > l->plans_version ||
        (version == l->plans_version && l->plans.count >= KL__PLANS_MAX)) {
        plans_clear(l);
        l->plans_version = version;
    }
    if (version == l->plans_version && kl_map_get(&l->plans, key) == NULL) {
        kl_plan_ref(p);
        kl_map_put(&l->plans, key, p);
    }
    pthread_mutex_unlock(&l->plans_lock);
}

static enum kl_rc bind_shared(struct kl_live *l, const struct kl_sql_ctx *ctx, struct kl_slice sql,
    struct kl_arena *arena, struct kl_bound *ret, struct kl_err *err) {
    uint64_t version = kl_cat_version(ctx->cat);
    char *text = kl_arena_printf(
        arena, "%d %.*s %.*s", (int)ctx->session->role, KL_FMT(ctx->session->ns), KL_FMT(sql));
    struct kl_slice key = kl_slice_str(text);
    struct kl_plan *p = text != NULL ? plan_find(l, version, key) : NULL;
    if (p != NULL) {
        *ret = (struct kl_bound){.plan = p};
        return KL_OK;
    }
    KL_TRY(kl_sql_bind_live(ctx, sql, arena, ret, err));
    if (text != NULL && ret->n_vals == 0) {
        plan_keep(l, version, key, ret->plan);
    }
    return KL_OK;
}

enum kl_rc kl__query_bind(struct kl_live *l, const struct kl_session *session, struct kl_slice sql,
    struct kl__query **ret, struct kl_err *err) {
    struct kl_arena arena;
    struct kl_bound bound = {0};
    struct kl_cat *cat = kl_catalog_acquire(kl_engine_catalog(l->engine));
    struct kl_sql_ctx ctx = {.cat = cat, .session = session, .executor = KL_EXECUTOR_NATIVE};
    kl_arena_init(&arena, BIND_BYTES);
    enum kl_rc rc = bind_shared(l, &ctx, sql, &arena, &bound, err);
    kl_cat_release(cat);
    if (rc == KL_OK &&
        (bound.plan->kind != KL_PLAN_SUBSCRIBE || bound.plan->table->type == KL_TABLE_SYSTEM)) {
        rc = kl_fail(err, KL_E_UNSUPPORTED,
            "system tables and statements other than SELECT cannot be subscribed to");
    }
    if (rc == KL_OK) {
        struct kl__query *q = query_new(&bound);
        q->keyed = has_whole_key(q->plan);
        find_index(q, session, &arena);
        *ret = q;
    }
    kl_bound_release(&bound);
    kl_arena_deinit(&arena);
    return rc;
}

enum kl_rc kl__query_test(const struct kl__query *q, const struct kl_session *session,
    const struct kl__row *row, struct kl_arena *arena, bool *ret, struct kl_err *err) {
    const struct kl_plan_live *p = q->plan->live;
    if (p->filter == NULL) {
        *ret = true;
        return KL_OK;
    }
    struct kl_val few[16], *slots = few;
    if (p->n_slots > KL_LEN(few)) {
        slots = KL_ARENA_ARRAY(arena, struct kl_val, p->n_slots);
        if (slots == NULL) {
            return kl_fail(err, KL_E_TOO_LARGE, "the row is too large for a live filter");
        }
    }
    for (size_t i = 0; i < p->n_slots; i++) {
        int c = p->slots[i];
        slots[i] = c >= 0            ? row->vals[c]
                   : c == KL_COL_SEQ ? kl_val_i64(row->seq)
                                     : kl_val_bool(row->deleted);
    }
    struct kl_eval ev = {.row = slots,
        .params = q->vals,
        .n_params = q->n_vals,
        .session = session,
        .now_us = q->now_us,
        .arena = arena};
    return kl_expr_test_row(p->filter, &ev, ret, err);
}
