/* SELECT: natively over one table, or by DuckDB over as many as the statement names. Runs on a loop (short reads) or in the query pool.
 *
 * Whoever executes sees only the sources that are opened here, each for the caller's own scope. */
#include "engine/internal.h"

#include <stdio.h>

#include <stdlib.h>

/* ---- a limit on rows, when the configuration sets one ---- */

struct limited {
    struct kl_sink sink;
    struct kl_sink *to;
    uint64_t left, seen;
};

static enum kl_rc limited_begin(struct kl_sink *s, const struct kl_sink_col *cols, size_t n, struct kl_err *err) {
    struct limited *l = KL_CONTAINER_OF(s, struct limited, sink);
    return l->to->begin(l->to, cols, n, err);
}

static enum kl_rc limited_row(struct kl_sink *s, const struct kl_val *vals, struct kl_err *err) {
    struct limited *l = KL_CONTAINER_OF(s, struct limited, sink);
    if (l->left == 0) {
        return KL_E_END;
    }
    l->left--;
    l->seen++;
    return l->to->row(l->to, vals, err);
}

static void limited_end(struct kl_sink *s, uint64_t rows) {
    struct limited *l = KL_CONTAINER_OF(s, struct limited, sink);
    l->to->end(l->to, l->seen);
}

/* default_query_limit cuts a SELECT that has no LIMIT, max_query_limit every SELECT. Both are off unless configured. */
static struct kl_sink *limit_rows(struct kl__run *r, struct kl_sink *to, bool has_limit, struct limited *l) {
    const struct kl_engine_options *o = &r->e->o;
    uint64_t most = o->max_query_limit > 0 ? o->max_query_limit : UINT64_MAX;
    if (!has_limit && o->default_query_limit > 0) {
        most = KL_MIN(most, o->default_query_limit);
    }
    if (most == UINT64_MAX || to != r->x->sink) { /* a query inside a write takes all its rows */
        return to;
    }
    *l = (struct limited){.sink = {limited_begin, limited_row, limited_end, NULL}, .to = to, .left = most};
    return &l->sink;
}

/* The executor stopped because the limit was reached: that is a result. */
static enum kl_rc limit_reached(struct kl_sink *sink, const struct kl_sink *to, enum kl_rc rc) {
    if (rc == KL_E_END && sink != to) {
        sink->end(sink, 0);
        return KL_OK;
    }
    return rc;
}

/* ---- native ---- */

static bool keyed(const struct kl_table *t) { return t->type == KL_TABLE_USER || t->type == KL_TABLE_SHARED; }

/* Opens the rows of one table for the statement's caller. */
static enum kl_rc open_rows(struct kl__run *r, struct kl__stmt *s, const struct kl_bound *b, struct kl_table *t, const struct kl_access_path *path,
    struct kl_scan *scan, struct kl_source **ret, struct kl_err *err) {
    struct kl_eval ev;
    if (r->no_rows) {
        *ret = kl__scan_nothing();
        return KL_OK;
    }
    if (t->type == KL_TABLE_SYSTEM) {
        return kl__system_scan(r->e, &s->session, t, scan->slots, scan->n_slots, scan->arena, ret, err);
    }
    scan->table = t;
    scan->user = s->session.user;
    scan->cut = keyed(t) ? r->cut : NULL;
    scan->snap = scan->cut != NULL ? scan->cut->snap : keyed(t) ? r->snap : NULL;
    scan->batch = r->writer != NULL ? kl__shard(r->e, kl_table_scope(t, scan->user, r->e->user_shards).shard)->batch : NULL;
    kl__eval_init(r, s, b, scan->arena, &ev);
    return kl__open_path(r->e, scan, path, &ev, r->rows, ret, err);
}

static enum kl_rc open_table(struct kl__run *r, struct kl__stmt *s, const struct kl_bound *b, struct kl_table *t, const struct kl_access_path *path,
    struct kl_scan *scan, struct kl_source **ret, struct kl_err *err) {
    KL_TRY(open_rows(r, s, b, t, path, scan, ret, err));
    if (r->scanned != NULL) {
        *ret = kl__count_rows(*ret, r->scanned);
    }
    return KL_OK;
}

/* ---- the moment that is read ---- */

static bool scans_all(const struct kl_access_path *p) { return p->pk == NULL && p->index_id == 0 && !p->by_key && p->after_seq == NULL && p->upto_seq == NULL; }

/* Is it worth waiting for a commit under way, since the rows are in memory, or will be? */
static bool wants_memory(struct kl__run *r, const struct kl__stmt *s, const struct kl_table *t, const struct kl_access_path *p, bool few) {
    if (!keyed(t) || p->pk != NULL) {
        return false;
    }
    return scans_all(p) && !few ? kl__resident_want(r->e, t, s->session.user) : kl__resident_size(r->e, t, s->session.user) > 0;
}

/* Everything that the statement reads is read at one moment; transactions have their own. */
static void begin_cut(struct kl__run *r, bool may_wait, struct kl__cut *cut) {
    r->cut = NULL;
    if (r->writer == NULL && r->snap == NULL) {
        kl__cut_take(r->e, may_wait, cut);
        r->cut = cut;
    }
}

static void end_cut(struct kl__run *r) {
    if (r->cut != NULL) {
        kl__cut_release(r->e, r->cut);
        r->cut = NULL;
    }
}

static enum kl_rc select_rows(struct kl__run *r, struct kl__stmt *s, const struct kl_bound *b, struct kl_sink *to, struct kl_arena *scratch,
    bool on_loop, struct kl_err *err) {
    const struct kl_plan *p = b->plan;
    struct kl_source *src = NULL;
    struct limited limited;
    struct kl_eval ev;
    struct kl_scan scan = {.slots = p->select->slots, .n_slots = p->select->n_slots, .arena = scratch};
    if (p->table == NULL) {
        src = kl__scan_dual();
    } else {
        KL_TRY(open_table(r, s, b, p->table, &p->access, &scan, &src, err));
    }
    struct kl_select_limits limits = {
        .cancelled = &r->x->cancelled, .deadline_mono_ns = r->deadline_ns, .max_scan_rows = on_loop ? KL__LOOP_SCAN_ROWS : 0,
    };
    struct kl_sink *sink = limit_rows(r, to, p->select->limit != NULL, &limited);
    kl__eval_init(r, s, b, scratch, &ev);
    enum kl_rc rc = kl_select_run(p->select, &ev, src, sink, &limits, err);
    src->close(src);
    return limit_reached(sink, to, rc);
}

enum kl_rc kl__read_native(struct kl__run *r, struct kl__stmt *s, const struct kl_bound *b, struct kl_sink *to, struct kl_arena *scratch,
    bool on_loop, struct kl_err *err) {
    const struct kl_plan *p = b->plan;
    struct kl__cut cut;
    r->rows = on_loop ? r->l->rows : NULL;
    if (p->table == NULL || !keyed(p->table)) {
        return select_rows(r, s, b, to, scratch, on_loop, err);
    }
    if (on_loop && p->access.pk != NULL) {
        return select_rows(r, s, b, to, scratch, true, err);
    }
    size_t in_memory = kl__resident_size(r->e, p->table, s->session.user);
    if (on_loop && in_memory > KL__LOOP_SCAN_ROWS && scans_all(&p->access) && !p->access.ordered) {
        return KL_E_AGAIN;
    }
    if (on_loop && in_memory == 0) {
        return select_rows(r, s, b, to, scratch, true, err);
    }
    bool few = p->access.ordered && p->select->limit != NULL;
    begin_cut(r, !on_loop && wants_memory(r, s, p->table, &p->access, few), &cut);
    enum kl_rc rc = select_rows(r, s, b, to, scratch, on_loop, err);
    end_cut(r);
    return rc;
}

/* ---- DuckDB ---- */

struct duck_read {
    struct kl__run *r;
    struct kl__stmt *s;
    const struct kl_bound *b;
    struct kl_arena *arena;
};

static enum kl_rc duck_open(void *ctx, size_t n, const unsigned *needed, size_t n_needed, struct kl_source **ret, struct kl_err *err) {
    struct duck_read *d = ctx;
    const struct kl_plan_scan *ps = &d->b->plan->duck->scans[n];
    int16_t *slots = KL_ARENA_ARRAY(d->arena, int16_t, n_needed + 1);
    if (slots == NULL) {
        return kl_fail(err, KL_E_TOO_LARGE, "the query is larger than its memory");
    }
    for (size_t i = 0; i < n_needed; i++) {
        slots[i] = ps->slots[needed[i]];
    }
    struct kl_scan scan = {
        .slots = slots, .n_slots = n_needed, .arena = d->arena,
    };
    return open_table(d->r, d->s, d->b, ps->table, &ps->access, &scan, ret, err);
}

static enum kl_rc worker_duck(struct kl__worker *w, struct kl_err *err) {
    if (w->duck != NULL) {
        return KL_OK;
    }
    struct kl_duck_options o = {.memory_bytes = w->engine->o.query_memory_bytes, .temp_dir = w->engine->o.temp_dir};
    kl_sql_duck_natives(&o.natives, &o.n_natives);
    return kl_duck_new(&o, &w->duck, err);
}

enum kl_rc kl__read_duck(struct kl__run *r, struct kl__stmt *s, const struct kl_bound *b, struct kl_sink *to, struct kl__worker *w,
    struct kl_err *err) {
    const struct kl_plan_duck *p = b->plan->duck;
    struct duck_read d = {.r = r, .s = s, .b = b, .arena = &w->scratch};
    struct limited limited;
    struct kl__cut cut;
    r->rows = NULL;
    KL_TRY(worker_duck(w, err));
    struct kl_duck_scan *scans = KL_ARENA_ARRAY(&w->scratch, struct kl_duck_scan, p->n_scans + 1);
    if (scans == NULL) {
        return kl_fail(err, KL_E_TOO_LARGE, "the query is larger than its memory");
    }
    for (size_t i = 0; i < p->n_scans; i++) {
        scans[i] = (struct kl_duck_scan){.cols = p->scans[i].cols, .n_cols = p->scans[i].n_slots};
    }
    bool may_wait = false;
    for (size_t i = 0; i < p->n_scans && r->writer == NULL && r->snap == NULL; i++) {
        may_wait |= wants_memory(r, s, p->scans[i].table, &p->scans[i].access, false);
    }
    begin_cut(r, may_wait, &cut);
    struct kl_duck_query q = {
        .plan_id = b->plan->id, .sql = p->sql, .scans = scans, .n_scans = p->n_scans, .open = duck_open, .ctx = &d,
        .params = b->vals, .n_params = b->n_vals, .cancelled = &r->x->cancelled, .deadline_mono_ns = r->deadline_ns,
        .user = s->session.user, .role = kl_slice_str(kl_role_name(s->session.role)), .now_us = kl_clock_wall_us(), .ids = r->e->o.ids,
        .flags = p->flags, .n_flags = p->n_flags,
    };
    struct kl_sink *sink = limit_rows(r, to, p->limited, &limited);
    enum kl_rc rc = kl_duck_run(w->duck, &q, sink, err);
    end_cut(r);
    return limit_reached(sink, to, rc);
}

/* ---- statements that answer with rows of their own ---- */

static enum kl_rc emit(struct kl_sink *sink, const struct kl_sink_col *cols, const struct kl_val *vals, size_t n, struct kl_err *err) {
    KL_TRY(sink->begin(sink, cols, n, err));
    KL_TRY(sink->row(sink, vals, err));
    sink->end(sink, 1);
    return KL_OK;
}

/* SUBSCRIBE TO over HTTP: what the client has to send over the WebSocket. */
enum kl_rc kl__describe_subscription(struct kl__run *r, struct kl__stmt *s, struct kl_err *err) {
    const struct kl_plan *p = s->bound.plan;
    struct kl_buf json;
    kl_buf_init(&json, 0);
    char id[48];
    snprintf(id, sizeof(id), "sub-%lld", (long long)kl_snowflake_next(r->e->o.ids));
    kl_buf_puts(&json, "{\"id\":");
    kl_json_str(&json, kl_slice_str(id));
    kl_buf_puts(&json, ",\"sql\":");
    kl_json_str(&json, p->text.len > 0 ? p->text : s->inner);
    kl_buf_puts(&json, ",\"options\":{");
    const char *comma = "";
    const struct { const char *name; int64_t value; } options[] = {
        {"last_rows", p->live->last_rows}, {"batch_size", p->live->batch_size}, {"from", p->live->from}};
    for (size_t i = 0; i < KL_LEN(options); i++) {
        if (options[i].value >= 0) {
            kl_buf_printf(&json, "%s\"%s\":%lld", comma, options[i].name, (long long)options[i].value);
            comma = ",";
        }
    }
    kl_buf_puts(&json, "}}");
    const struct kl_sink_col cols[] = {
        {KL_S("status"), KL_TYPE(TEXT), 0}, {KL_S("ws_url"), KL_TYPE(TEXT), 0}, {KL_S("subscription"), KL_TYPE(JSON), 0},
        {KL_S("message"), KL_TYPE(TEXT), 0}};
    const struct kl_val vals[] = {
        kl_val_text(KL_S("subscription_required")), kl_val_text(KL_S("/v1/ws")), kl_val_str(KL_T_JSON, kl_buf_view(&json)),
        kl_val_text(KL_S("Send the subscription in a subscribe message over the WebSocket"))};
    enum kl_rc rc = json.failed ? kl_fail(err, KL_E_NOMEM, "out of memory") : emit(r->x->sink, cols, vals, KL_LEN(cols), err);
    kl_buf_deinit(&json);
    return rc;
}

/* What the caller's partition of a STREAM table holds. */
static enum kl_rc measure_stream(struct kl__run *r, struct kl_table *t, struct kl_slice user, uint64_t *ret_rows, uint64_t *ret_bytes,
    struct kl_err *err) {
    struct kl__stream_row *rows;
    size_t n;
    struct kl__streams *streams = kl__shard(r->e, kl_table_scope(t, user, r->e->user_shards).shard)->streams;
    KL_TRY(kl__stream_read(streams, t->id, user, 0, 0, r->x->arena, &rows, &n, err));
    *ret_rows = n;
    for (size_t i = 0; i < n; i++) {
        *ret_bytes += rows[i].bytes.len;
    }
    return KL_OK;
}

/* Rows of the caller's partition; counted, since nothing keeps a count. */
static enum kl_rc count_partition(struct kl__run *r, struct kl_table *t, struct kl_slice user, uint64_t *ret, struct kl_err *err) {
    static const int16_t slots[] = {KL_COL_SEQ};
    struct kl_source *src;
    struct kl_val seq;
    struct kl_scan scan = {.table = t, .user = user, .slots = slots, .n_slots = 1, .arena = r->x->arena};
    KL_TRY(kl_engine_scan(r->e, &scan, &src, err));
    enum kl_rc rc;
    while ((rc = src->next(src, &seq, err)) == KL_OK) {
        if (++*ret % 4096 == 0 && r->x->cancelled) {
            rc = kl_fail(err, KL_E_CANCELLED, "the client has gone");
        } else if (*ret % 4096 == 0 && r->deadline_ns > 0 && kl_clock_mono_ns() > r->deadline_ns) {
            rc = kl_fail(err, KL_E_TIMEOUT, "canceling statement due to statement timeout");
        }
        if (rc != KL_OK) {
            break;
        }
    }
    src->close(src);
    return rc == KL_E_END ? KL_OK : rc;
}

/* SHOW STATS FOR TABLE, of what is the caller's. In the query pool: it reads the whole partition. */
enum kl_rc kl__show_stats(struct kl__run *r, struct kl__stmt *s, struct kl_err *err) {
    struct kl_table *t = s->bound.plan->table;
    uint64_t rows = 0, bytes = 0;
    if (t->type == KL_TABLE_STREAM) {
        KL_TRY(measure_stream(r, t, s->session.user, &rows, &bytes, err));
    } else if (keyed(t)) {
        KL_TRY(count_partition(r, t, s->session.user, &rows, err));
    }
    const struct kl_sink_col cols[] = {
        {KL_S("table_name"), KL_TYPE(TEXT), 0}, {KL_S("namespace"), KL_TYPE(TEXT), 0}, {KL_S("schema_version"), KL_TYPE(INT), 0},
        {KL_S("logical_rows"), KL_TYPE(BIGINT), 0}, {KL_S("flushed_segments"), KL_TYPE(BIGINT), 0},
        {KL_S("active_streams"), KL_TYPE(BIGINT), 0}, {KL_S("memory_bytes"), KL_TYPE(BIGINT), 0}};
    const struct kl_val vals[] = {
        kl_val_text(kl_slice_str(t->name)), kl_val_text(kl_slice_str(t->ns)), kl_val_int(KL_T_INT, t->version),
        kl_val_i64((int64_t)rows), kl_val_i64(0), kl_val_i64(t->type == KL_TABLE_STREAM && rows > 0),
        kl_val_i64((int64_t)bytes)};
    return emit(r->x->sink, cols, vals, KL_LEN(cols), err);
}
