/* IN (list). A short list is looked through. A long one of constants and parameters is sorted once
 * (constants when the plan is made, parameters at the first row of a statement that has a place for
 * it, see kl_expr__sets_free) and then searched. */
#include "sql/expr_internal.h"

#include <stdlib.h>

#define SET_FROM 8 /* below, looking through is as fast */

struct kl_expr_set {
    struct kl_expr_set *next;
    const struct kl_expr *of;
    struct kl_val *vals; /* in order; no NULL */
    size_t n;
    bool has_null;
};

static enum kl_rc eval_in(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    struct kl_val a, b;
    KL_TRY(e->args[0]->eval(e->args[0], ev, &a, err));
    bool unknown = false;
    for (uint32_t i = 1; i < e->n_args; i++) {
        KL_TRY(e->args[i]->eval(e->args[i], ev, &b, err));
        if (a.null || b.null) {
            unknown = true;
        } else if (e->cmps[i - 1](&a, &b) == 0) {
            *ret = kl_val_bool(!e->negate);
            return KL_OK;
        }
    }
    *ret = unknown ? kl_val_null(KL_T_BOOLEAN) : kl_val_bool(e->negate);
    return KL_OK;
}

/* ---- sets ---- */

static int by_cmp(const void *a, const void *b, void *cmp) {
    return (*(kl_expr_cmp_fn *const *)cmp)(a, b);
}

/* room: for n_args - 1 values. */
static enum kl_rc fill(const struct kl_expr *e, struct kl_eval *ev, struct kl_val *room,
    struct kl_expr_set *ret, struct kl_err *err) {
    *ret = (struct kl_expr_set){.of = e, .vals = room};
    for (uint32_t i = 1; i < e->n_args; i++) {
        struct kl_val *v = &room[ret->n];
        KL_TRY(e->args[i]->eval(e->args[i], ev, v, err));
        ret->has_null |= v->null;
        ret->n += !v->null;
    }
    kl_expr_cmp_fn *cmp = e->cmps[0];
    qsort_r(room, ret->n, sizeof(*room), by_cmp, &cmp);
    return KL_OK;
}

static bool in_set(const struct kl_expr_set *set, const struct kl_val *v) {
    kl_expr_cmp_fn *cmp = set->of->cmps[0];
    for (size_t lo = 0, hi = set->n; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        int c = cmp(v, &set->vals[mid]);
        if (c == 0) {
            return true;
        }
        *(c < 0 ? &hi : &lo) = c < 0 ? mid : mid + 1;
    }
    return false;
}

static enum kl_rc eval_with(
    const struct kl_expr_set *set, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    const struct kl_expr *e = set->of;
    struct kl_val v;
    KL_TRY(e->args[0]->eval(e->args[0], ev, &v, err));
    if (!v.null && in_set(set, &v)) {
        *ret = kl_val_bool(!e->negate);
    } else {
        *ret = v.null || set->has_null ? kl_val_null(KL_T_BOOLEAN) : kl_val_bool(e->negate);
    }
    return KL_OK;
}

static enum kl_rc eval_const_set(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    return eval_with(e->set, ev, ret, err);
}

static enum kl_rc eval_param_set(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    if (!ev->sets) {
        return eval_in(e, ev, ret, err);
    }
    struct kl_expr_set *set = *ev->sets;
    while (set && set->of != e) {
        set = set->next;
    }
    if (!set) {
        set = kl_xcalloc(1, sizeof(*set) + (e->n_args - 1) * sizeof(struct kl_val));
        enum kl_rc rc = fill(e, ev, (struct kl_val *)(set + 1), set, err);
        if (rc != KL_OK) {
            free(set);
            return rc;
        }
        set->next = *ev->sets;
        *ev->sets = set;
    }
    return eval_with(set, ev, ret, err);
}

void kl_expr__sets_free(struct kl_expr_set *sets) {
    while (sets) {
        struct kl_expr_set *next = sets->next;
        free(sets);
        sets = next;
    }
}

/* ---- building ---- */

/* All of one type, and one that a single order holds for: args[0] against any of them, and any two
 * of them. */
static bool comparable(struct kl_expr *const *args, kl_expr_cmp_fn *const *cmps, size_t n) {
    bool integers = kl_type_is_integer(args[0]->type.id);
    for (size_t i = 0; i < n; i++) {
        const struct kl_expr *a = args[i + 1];
        bool fixed = a->kind == KL_EXPR_KIND_CONST || a->kind == KL_EXPR_KIND_PARAM;
        bool same = a->type.id == args[0]->type.id || (integers && kl_type_is_integer(a->type.id));
        if (!fixed || !same || cmps[i] != cmps[0]) {
            return false;
        }
    }
    return true;
}

static enum kl_rc use_set(struct kl_expr_builder *b, struct kl_expr *e, struct kl_err *err) {
    for (uint32_t i = 1; i < e->n_args; i++) {
        if (e->args[i]->kind != KL_EXPR_KIND_CONST) {
            e->eval = eval_param_set;
            return KL_OK;
        }
    }
    e->set = KL_ARENA_NEW(b->arena, struct kl_expr_set);
    struct kl_val *room = KL_ARENA_ARRAY(b->arena, struct kl_val, e->n_args);
    if (!e->set || !room) {
        return kl_expr__no_memory(err);
    }
    struct kl_eval none = {.arena = b->arena};
    KL_TRY(fill(e, &none, room, e->set, err));
    e->eval = eval_const_set;
    return KL_OK;
}

enum kl_rc kl_expr_in(struct kl_expr_builder *b, bool negate, struct kl_expr *arg,
    struct kl_expr *const *list, size_t n, int position, struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr **args = KL_ARENA_ARRAY(b->arena, struct kl_expr *, n + 1), *e;
    kl_expr_cmp_fn **cmps = KL_ARENA_ARRAY(b->arena, kl_expr_cmp_fn *, n + 1);
    if (!args || !cmps) {
        return kl_expr__no_memory(err);
    }
    if (kl_expr__is_unknown(arg)) {
        KL_TRY(kl_expr__coerce(b, arg, kl_expr__first_type(list, n), position, &arg, err));
    }
    args[0] = arg;
    for (size_t i = 0; i < n; i++) {
        args[i + 1] = list[i];
        KL_TRY(kl_expr__cmp_resolve(b, KL_OP_EQ, &arg, &args[i + 1], position, &cmps[i], err));
    }
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_IN, KL_TYPE(BOOLEAN), args, n + 1, &e, err));
    e->negate = negate;
    e->cmps = cmps;
    e->eval = eval_in;
    if (n >= SET_FROM && comparable(args, cmps, n)) {
        KL_TRY(use_set(b, e, err));
    }
    *ret = kl_expr__finish(b, e);
    return KL_OK;
}
