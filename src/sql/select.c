/* The native executor: pulls a source, pushes a sink, in one of four shapes.
 *
 *   stream      no ORDER BY: each row that passes goes out at once; stops at the limit
 *   hold back   as stream, but with max_scan_rows: rows wait until the scan is known to be short
 *   sort        ORDER BY: keys and outputs are copied, ordered, then sent; with a LIMIT only that
 * many are kept aggregate   one row comes out
 *
 * Nothing goes into the sink before it is certain that the scan stays within max_scan_rows: another
 * executor can then start over. A row is evaluated in ev->arena, which is rewound behind it.
 * Cancellation and the deadline are looked at every 256 rows. */
#include "sql/select_internal.h"

#include <stdlib.h>

#define CHECK_EVERY 256
#define DEFAULT_SORT_BYTES ((size_t)256 << 20)

struct run {
    const struct kl_select *sel;
    struct kl_eval *ev;
    struct kl_source *src;
    struct kl_sink *sink;
    const struct kl_select_limits *limits;
    struct kl_val *row, *keys, *out;
    uint64_t limit, offset; /* limit UINT64_MAX: none */
    uint64_t scanned, sent;
    struct kl_arena_mark mark;
    bool marked, staged;
};

static enum kl_rc check_stop(const struct run *r, struct kl_err *err) {
    if (r->limits->cancelled && atomic_load_explicit(r->limits->cancelled, memory_order_relaxed)) {
        return kl_fail(err, KL_E_CANCELLED, "canceling statement due to user request");
    }
    if (r->limits->deadline_mono_ns && kl_clock_mono_ns() >= r->limits->deadline_mono_ns) {
        return kl_fail(err, KL_E_TIMEOUT, "canceling statement due to statement timeout");
    }
    return KL_OK;
}

/* ---- LIMIT and OFFSET ---- */

static enum kl_rc count_of(const struct run *r, const struct kl_expr *e, const char *name,
    uint64_t none, uint64_t *ret, struct kl_err *err) {
    *ret = none;
    if (!e) {
        return KL_OK;
    }
    struct kl_val v, n;
    KL_TRY(kl_expr_eval(e, r->ev, &v, err));
    if (v.null) {
        return KL_OK;
    }
    if (!kl_type_is_number(v.type) && !(v.flags & KL_VAL_UNKNOWN)) {
        return kl_fail(err, KL_E_TYPE, "argument of %s must be type bigint, not type %s", name,
            kl_expr__type_name(v.type));
    }
    KL_TRY(kl_val_cast(&v, KL_TYPE(BIGINT), KL_CAST_EXPLICIT, r->ev->arena, &n, err));
    if (n.i < 0) {
        return kl_fail(err, KL_E_EXEC, "%s must not be negative", name);
    }
    *ret = (uint64_t)n.i;
    return KL_OK;
}

/* Rows that matter of an order: OFFSET + LIMIT. */
static uint64_t wanted(const struct run *r) {
    uint64_t n;
    return r->limit == UINT64_MAX || __builtin_add_overflow(r->limit, r->offset, &n) ? UINT64_MAX
                                                                                     : n;
}

/* ---- pulling ---- */

/* The next row that passes the filter, in ev->row. KL_E_END after the last. */
static enum kl_rc next_match(struct run *r, struct kl_err *err) {
    for (;;) {
        if (r->marked) {
            kl_arena_rewind(r->ev->arena, r->mark);
        }
        if (r->scanned % CHECK_EVERY == 0) {
            KL_TRY(check_stop(r, err));
        }
        enum kl_rc rc = r->src->next(r->src, r->row, err);
        if (rc != KL_OK) {
            return rc;
        }
        r->scanned++;
        if (r->limits->max_scan_rows && r->scanned > r->limits->max_scan_rows) {
            return kl_fail(err, KL_E_AGAIN, "the scan is not short");
        }
        /* After next(): what the source itself keeps in the arena stays. */
        r->mark = kl_arena_mark(r->ev->arena);
        r->marked = true;
        bool pass;
        KL_TRY(kl_expr_test_row(r->sel->filter, r->ev, &pass, err));
        if (pass) {
            return KL_OK;
        }
    }
}

/* More slots of the row that next_match() found. */
static enum kl_rc fill(struct run *r, size_t from, size_t to, struct kl_err *err) {
    return r->staged && from < to ? r->src->fill(r->src, from, to, r->row, err) : KL_OK;
}

static enum kl_rc project(struct run *r, struct kl_err *err) {
    for (size_t i = 0; i < r->sel->n_output; i++) {
        KL_TRY(kl_expr_eval(r->sel->output[i], r->ev, &r->out[i], err));
    }
    return KL_OK;
}

static enum kl_rc begin(struct run *r, struct kl_err *err) {
    return r->sink->begin(r->sink, r->sel->cols, r->sel->n_output, err);
}

static enum kl_rc send(struct run *r, const struct kl_val *vals, struct kl_err *err) {
    KL_TRY(r->sink->row(r->sink, vals, err));
    r->sent++;
    return KL_OK;
}

/* ---- the shapes ---- */

static enum kl_rc run_stream(struct run *r, struct kl_err *err) {
    KL_TRY(begin(r, err));
    uint64_t skipped = 0;
    enum kl_rc rc = KL_OK;
    while (r->sent < r->limit && (rc = next_match(r, err)) == KL_OK) {
        if (skipped < r->offset) {
            skipped++;
            continue;
        }
        KL_TRY(fill(r, r->sel->n_filter_slots, r->sel->n_slots, err));
        KL_TRY(project(r, err));
        KL_TRY(send(r, r->out, err));
    }
    if (rc != KL_OK && rc != KL_E_END) {
        return rc;
    }
    r->sink->end(r->sink, r->sent);
    return KL_OK;
}

static enum kl_rc fill_sorter(struct run *r, struct kl_sorter *s, struct kl_err *err) {
    bool ordered = r->sel->n_order > 0;
    enum kl_rc rc = KL_OK;
    while ((ordered ? s->bound > 0 : s->n < s->bound) && (rc = next_match(r, err)) == KL_OK) {
        KL_TRY(fill(r, r->sel->n_filter_slots, r->sel->n_order_slots, err));
        for (size_t i = 0; i < r->sel->n_order; i++) {
            KL_TRY(kl_expr_eval(r->sel->order[i].expr, r->ev, &r->keys[i], err));
        }
        if (!kl_sorter__wants(s, r->keys)) {
            s->arrived++;
            continue;
        }
        KL_TRY(fill(r, r->sel->n_order_slots, r->sel->n_slots, err));
        KL_TRY(project(r, err));
        KL_TRY(kl_sorter__add(s, r->keys, r->out, err));
    }
    return rc == KL_E_END ? KL_OK : rc;
}

static enum kl_rc send_sorted(struct run *r, struct kl_sorter *s, struct kl_err *err) {
    kl_sorter__finish(s);
    KL_TRY(begin(r, err));
    for (uint64_t i = r->offset; i < s->n && r->sent < r->limit; i++) {
        if (r->sent % CHECK_EVERY == 0) {
            KL_TRY(check_stop(r, err));
        }
        KL_TRY(send(r, s->rows[i]->vals + s->n_keys, err));
    }
    r->sink->end(r->sink, r->sent);
    return KL_OK;
}

/* Also holds rows back when nothing is ordered: without keys the sorter keeps them as they come. */
static enum kl_rc run_sorted(struct run *r, struct kl_err *err) {
    struct kl_sorter s;
    size_t max = r->limits->max_sort_bytes ? r->limits->max_sort_bytes : DEFAULT_SORT_BYTES;
    kl_sorter__init(&s, r->sel, r->limit == 0 ? 0 : wanted(r), max);
    enum kl_rc rc = fill_sorter(r, &s, err);
    if (rc == KL_OK) {
        rc = send_sorted(r, &s, err);
    }
    kl_sorter__deinit(&s);
    return rc;
}

static enum kl_rc send_aggregates(struct run *r, struct kl_agg_state *s, struct kl_err *err) {
    struct kl_val *results = KL_ARENA_ARRAY(r->ev->arena, struct kl_val, r->sel->n_aggs);
    if (!results) {
        return kl_expr__no_memory(err);
    }
    KL_TRY(kl_agg__finish(s, results, err));
    r->ev->row = results;
    KL_TRY(project(r, err));
    KL_TRY(begin(r, err));
    if (r->limit > 0 && r->offset == 0) {
        KL_TRY(send(r, r->out, err));
    }
    r->sink->end(r->sink, r->sent);
    return KL_OK;
}

static enum kl_rc run_aggregates(struct run *r, struct kl_err *err) {
    struct kl_agg_state *s = kl_agg__new(r->sel->aggs, r->sel->n_aggs);
    enum kl_rc rc;
    while ((rc = next_match(r, err)) == KL_OK) {
        rc = fill(r, r->sel->n_filter_slots, r->sel->n_slots, err);
        rc = rc == KL_OK ? kl_agg__add(s, r->ev, err) : rc;
        if (rc != KL_OK) {
            break;
        }
    }
    if (rc == KL_E_END) {
        rc = send_aggregates(r, s, err);
    }
    kl_agg__free(s);
    return rc;
}

static enum kl_rc run_shape(struct run *r, struct kl_err *err) {
    const struct kl_select *sel = r->sel;
    KL_TRY(count_of(r, sel->limit, "LIMIT", UINT64_MAX, &r->limit, err));
    KL_TRY(count_of(r, sel->offset, "OFFSET", 0, &r->offset, err));
    r->row = KL_ARENA_ARRAY(r->ev->arena, struct kl_val, sel->n_slots + 1);
    r->keys = KL_ARENA_ARRAY(r->ev->arena, struct kl_val, sel->n_order + 1);
    r->out = KL_ARENA_ARRAY(r->ev->arena, struct kl_val, sel->n_output + 1);
    if (!r->row || !r->keys || !r->out) {
        return kl_expr__no_memory(err);
    }
    r->ev->row = r->row;
    r->staged = sel->staged && r->src->fill && sel->n_filter_slots < sel->n_slots;
    if (r->staged) {
        r->src->n_first = sel->n_filter_slots;
    }
    if (sel->n_aggs > 0) {
        return run_aggregates(r, err);
    }
    return sel->n_order > 0 || r->limits->max_scan_rows ? run_sorted(r, err) : run_stream(r, err);
}

enum kl_rc kl_select_run(const struct kl_select *sel, struct kl_eval *ev, struct kl_source *src,
    struct kl_sink *sink, const struct kl_select_limits *limits, struct kl_err *err) {
    static const struct kl_select_limits no_limits;
    struct run r = {
        .sel = sel, .ev = ev, .src = src, .sink = sink, .limits = limits ? limits : &no_limits};
    struct kl_expr_set *sets = NULL;
    ev->sets = &sets;
    enum kl_rc rc = run_shape(&r, err);
    ev->row = NULL; /* both pointed into what ends here */
    ev->sets = NULL;
    kl_expr__sets_free(sets);
    return rc;
}
