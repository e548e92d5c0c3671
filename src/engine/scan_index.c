/* Ranges of the primary key or of a secondary index, in the order of the encoded columns or backward.
 *
 * The values of the path become one or several ranges of keys when the scan is opened (several for an IN list, in key order and without
 * overlap), inside the prefix of the leading equalities. A value is cast to its column's type for that. The cast never turns
 * order around and leaves what is already of that type alone, so "column >= value" implies "column >= cast value": ranges are never too small, and what they let in too much
 * the filter of the statement turns away.
 *
 * Entries and rows are read at one snapshot (of the caller, or taken here), or through the writer's batch: an entry without its row is
 * damage. Rows whose keys rise with _seq lie side by side, so an iterator that walks along finds the next one with a step;
 * when that fails too often rows are got one by one. */
#include "engine/scan_internal.h"

#include <stdlib.h>

/* Entries that are read ahead when their rows are wanted newest first. */
#define AHEAD 1024
/* A walk ends when so many more steps failed than succeeded. */
#define WALK_PATIENCE 8

struct range {
    struct kl_slice from, to; /* keys [from, to); to.ptr NULL: to the end of the prefix */
};

struct range_scan {
    struct kl__row_source base;
    struct kl_engine *engine;
    struct kl_batch *batch;
    struct kl_snapshot *snap, *own_snap;
    struct kl_scope scope;
    struct kl_iter *it;
    struct range *ranges;
    size_t n_ranges, i;
    bool backward, started, needs_row;
    /* fetching */
    struct kl_iter *rows;
    bool walking;
    int misses;
    bool pinned;
    struct kl_pinned row;
    struct kl_buf bytes; /* of a row that came through a batch */
    struct kl__resident *resident; /* NULL: rows come from the store */
    uint64_t stamp;
    int64_t *ahead; /* NULL: entry by entry. Else _seq of entries read ahead, to be taken from the end */
    size_t n_ahead;
    int16_t slots[];
};

/* ---- the ranges of a path ---- */

static const struct kl_index *find_index(const struct kl_table *t, uint32_t id) {
    for (size_t i = 0; t && i < t->n_indexes; i++) {
        if (t->indexes[i].id == id) {
            return &t->indexes[i];
        }
    }
    return NULL;
}

struct builder {
    const struct kl_scan *scan;
    const struct kl_access_path *path;
    struct kl_table *table;       /* newest version: an index is defined on its columns */
    const struct kl_index *index; /* NULL: the primary key */
    struct kl_eval *ev;
    struct kl_err *err;
    struct kl_scope scope;
    struct kl_buf cols; /* encoded */
    struct range_scan *s;
};

static size_t n_cols(const struct builder *b) {
    return b->index ? b->index->n_cols : b->table->n_pk;
}

static struct kl_type col_type(const struct builder *b, size_t i) {
    return b->table->cols[b->index ? b->index->cols[i] : b->table->pk[i]].type;
}

/* The value of `expr` in the type of column i. KL_E_END: it is NULL. KL_E_NOT_FOUND: it is outside of the type. */
static enum kl_rc value(
    struct builder *b, const struct kl_expr *expr, size_t i, struct kl_val *ret) {
    struct kl_val v;
    KL_TRY(kl_expr_eval(expr, b->ev, &v, b->err));
    if (v.null) {
        return KL_E_END;
    }
    enum kl_rc rc = kl_val_cast(&v, col_type(b, i), KL_CAST_EXPLICIT, b->ev->arena, ret, NULL);
    return rc == KL_OK ? KL_OK : KL_E_NOT_FOUND;
}

/* Appends one column. KL_E_NOT_FOUND: longer than any entry. */
static enum kl_rc encode(struct builder *b, const struct kl_val *v) {
    enum kl_rc rc =
        b->index ? kl_index_encode(v, 1, &b->cols, b->err) : kl_pk_encode(v, 1, &b->cols, b->err);
    if (rc == KL_OK && b->cols.len > KL_PK_MAX) {
        rc = KL_E_TOO_LARGE;
    }
    if (rc == KL_E_TOO_LARGE) {
        kl_err_clear(b->err);
        return KL_E_NOT_FOUND;
    }
    return rc;
}

/* The key of what is encoded so far. above: the first key above all that start with it. */
static enum kl_rc make_key(struct builder *b, bool above, struct kl_slice *ret) {
    struct kl_key k;
    struct kl_slice cols = kl_buf_view(&b->cols);
    if (b->index) {
        kl_key_index(&k, &b->scope, b->index->id, cols, 0);
    } else {
        kl_key_pk(&k, &b->scope, b->table->id, cols);
    }
    if (above && !kl_key_next_prefix(&k)) {
        return KL_E_NOT_FOUND;
    }
    *ret = kl_arena_dup(b->scan->arena, kl_key_view(&k));
    return ret->ptr ? KL_OK : kl__scan_no_memory(b->err);
}

/* ret_rc of what says "no row": KL_E_END. */
static enum kl_rc encode_equal(struct builder *b, const struct kl_expr *expr, size_t i) {
    struct kl_val v;
    enum kl_rc rc = value(b, expr, i, &v);
    if (rc == KL_OK) {
        rc = encode(b, &v);
    }
    return rc == KL_E_NOT_FOUND ? KL_E_END : rc;
}

/* One end of the range; *ret stays when the value says nothing about it. */
static enum kl_rc bound(
    struct builder *b, const struct kl_expr *expr, bool above, struct kl_slice *ret) {
    struct kl_val v;
    size_t len = b->cols.len;
    enum kl_rc rc = value(b, expr, b->path->n_eq, &v);
    if (rc == KL_OK) {
        rc = encode(b, &v);
    }
    if (rc == KL_OK) {
        rc = make_key(b, above, ret);
    }
    b->cols.len = len;
    return rc == KL_E_NOT_FOUND ? KL_OK : rc;
}

/* Whether an exclusive bound may leave its value out: only when nothing was rounded. */
static bool exact(const struct builder *b, const struct kl_expr *expr) {
    struct kl_type have = kl_expr_type(expr), want = col_type(b, b->path->n_eq);
    return have.id == want.id && have.id != KL_T_DECIMAL && have.precision == want.precision;
}

static enum kl_rc one_range(struct builder *b) {
    const struct kl_access_path *p = b->path;
    struct range *r = KL_ARENA_NEW(b->scan->arena, struct range);
    if (!r) {
        return kl__scan_no_memory(b->err);
    }
    KL_TRY(make_key(b, false, &r->from));
    if (b->index && p->lo && !p->hi &&
        p->n_eq < n_cols(b)) { /* NULLs are last and match no bound */
        kl_buf_u8(&b->cols, 2);
        KL_TRY(make_key(b, false, &r->to));
        b->cols.len--;
    }
    if (p->lo) {
        KL_TRY(bound(b, p->lo, p->lo_excl && exact(b, p->lo), &r->from));
    }
    if (p->hi) {
        KL_TRY(bound(b, p->hi, !(p->hi_excl && exact(b, p->hi)), &r->to));
    }
    b->s->ranges = r;
    b->s->n_ranges = 1;
    return KL_OK;
}

static int compare_ranges(const void *a, const void *b) {
    return kl_slice_cmp(((const struct range *)a)->from, ((const struct range *)b)->from);
}

/* One range per value of the list, in order, each once. */
static enum kl_rc list_ranges(struct builder *b) {
    const struct kl_access_path *p = b->path;
    struct range *r = KL_ARENA_ARRAY(b->scan->arena, struct range, p->n_in);
    size_t n = 0, kept = 0, len = b->cols.len;
    if (!r) {
        return kl__scan_no_memory(b->err);
    }
    for (size_t i = 0; i < p->n_in; i++) {
        enum kl_rc rc = encode_equal(b, p->in[i], p->n_eq);
        if (rc == KL_OK) {
            KL_TRY(make_key(b, false, &r[n].from));
            rc = make_key(b, true, &r[n].to);
            n++;
        }
        b->cols.len = len;
        if (rc != KL_OK && rc != KL_E_END && rc != KL_E_NOT_FOUND) {
            return rc;
        }
    }
    qsort(r, n, sizeof(*r), compare_ranges);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || !kl_slice_eq(r[i].from, r[kept - 1].from)) {
            r[kept++] = r[i];
        }
    }
    b->s->ranges = r;
    b->s->n_ranges = kept;
    return KL_OK;
}

/* ret_prefix: of every key of the ranges. KL_E_END: no row. */
static enum kl_rc build(struct builder *b, struct kl_slice *ret_prefix) {
    const struct kl_access_path *p = b->path;
    for (size_t i = 0; i < p->n_eq; i++) {
        KL_TRY(encode_equal(b, p->eq[i], i));
    }
    KL_TRY(make_key(b, false, ret_prefix));
    return p->n_in > 0 ? list_ranges(b) : one_range(b);
}

/* ---- moving ---- */

static bool inside(const struct range_scan *s, const struct range *r) {
    if (!kl_iter_valid(s->it)) {
        return false;
    }
    struct kl_slice key = kl_iter_key(s->it);
    return s->backward ? kl_slice_cmp(key, r->from) >= 0
                       : !r->to.ptr || kl_slice_cmp(key, r->to) < 0;
}

static void enter(struct range_scan *s, const struct range *r) {
    if (!s->backward) {
        kl_iter_seek(s->it, r->from);
    } else if (r->to.ptr) {
        kl__iter_before(s->it, r->to);
    } else {
        kl_iter_seek_last(s->it);
    }
}

/* To the next entry. KL_E_END. */
static enum kl_rc advance(struct range_scan *s, struct kl_err *err) {
    if (s->started && s->i < s->n_ranges) {
        s->backward ? kl_iter_prev(s->it) : kl_iter_next(s->it);
    }
    for (; s->i < s->n_ranges; s->i++, s->started = false) {
        const struct range *r = &s->ranges[s->backward ? s->n_ranges - 1 - s->i : s->i];
        if (!s->started) {
            enter(s, r);
            s->started = true;
        }
        if (inside(s, r)) {
            return KL_OK;
        }
        KL_TRY(kl_iter_status(s->it, err));
    }
    return KL_E_END;
}

/* ---- fetching ---- */

static enum kl_rc dangling(const struct range_scan *s, struct kl_err *err) {
    return kl_fail(err, KL_E_CORRUPT, "an index entry of table %s points nowhere",
        s->base.table->qualified.ptr);
}

/* Tries the row beside the last one. */
static bool step_to(struct range_scan *s, struct kl_slice key) {
    if (!s->walking || !kl_iter_valid(s->rows)) {
        return false;
    }
    s->backward ? kl_iter_prev(s->rows) : kl_iter_next(s->rows);
    if (kl_iter_valid(s->rows) && kl_slice_eq(kl_iter_key(s->rows), key)) {
        s->misses -= s->misses > 0;
        return true;
    }
    s->walking = ++s->misses < WALK_PATIENCE;
    return false;
}

static enum kl_rc walk_to(
    struct range_scan *s, struct kl_slice key, struct kl_slice *ret, struct kl_err *err) {
    if (!step_to(s, key)) {
        kl_iter_seek(s->rows, key);
        if (!kl_iter_valid(s->rows) || !kl_slice_eq(kl_iter_key(s->rows), key)) {
            KL_TRY(kl_iter_status(s->rows, err));
            return KL_E_NOT_FOUND;
        }
    }
    *ret = kl_iter_value(s->rows);
    return KL_OK;
}

static enum kl_rc fetch(
    struct range_scan *s, int64_t seq, struct kl_slice *ret, struct kl_err *err) {
    struct kl_key k;
    if (s->resident) {
        return kl__resident_row(s->resident, s->stamp, seq, ret) ? KL_OK : KL_E_NOT_FOUND;
    }
    kl_key_row(&k, &s->scope, s->base.table->id, seq);
    if (s->batch) {
        KL_TRY(kl_batch_get(s->batch, KL_CF_ROW, kl_key_view(&k), &s->bytes, err));
        *ret = kl_buf_view(&s->bytes);
        return KL_OK;
    }
    if (s->walking) {
        return walk_to(s, kl_key_view(&k), ret, err);
    }
    if (s->pinned) {
        kl_pinned_release(&s->row);
        s->pinned = false;
    }
    KL_TRY(kl_store_get(s->engine->o.store, s->snap, KL_CF_ROW, kl_key_view(&k), &s->row, err));
    s->pinned = true;
    *ret = s->row.value;
    return KL_OK;
}

static bool entry_seq(const struct range_scan *s, bool key_family, int64_t *ret) {
    struct kl_slice value = kl_iter_value(s->it);
    if (key_family) {
        return kl__place_decode(value, ret);
    }
    if (value.len != 0 && value.len != 8) {
        return false;
    }
    *ret = kl_key_row_seq(value.len ? value : kl_iter_key(s->it));
    return *ret > 0;
}

static enum kl_rc next_entry(
    struct range_scan *s, bool key_family, int64_t *ret_seq, struct kl_err *err) {
    KL_TRY(advance(s, err));
    if (!entry_seq(s, key_family, ret_seq)) {
        return kl_fail(err, KL_E_CORRUPT, "an index entry of table %s is damaged",
            s->base.table->qualified.ptr);
    }
    return KL_OK;
}

/* Entries of equal columns come in the order of _seq, and an iterator steps forward faster than back. So the newest first is: read ahead, then
 * back to front. */
static enum kl_rc next_newest(
    struct range_scan *s, bool key_family, int64_t *ret_seq, struct kl_err *err) {
    enum kl_rc rc = KL_OK;
    while (s->n_ahead == 0 && rc == KL_OK) {
        while (s->n_ahead < AHEAD && rc == KL_OK) {
            rc = next_entry(s, key_family, &s->ahead[s->n_ahead], err);
            s->n_ahead += rc == KL_OK;
        }
    }
    if (s->n_ahead == 0 || (rc != KL_OK && rc != KL_E_END)) {
        return rc;
    }
    *ret_seq = s->ahead[--s->n_ahead];
    return KL_OK;
}

static enum kl_rc range_next(
    struct range_scan *s, bool key_family, struct kl_val *row, struct kl_err *err) {
    int64_t seq;
    struct kl_slice bytes;
    KL_TRY(s->ahead ? next_newest(s, key_family, &seq, err) : next_entry(s, key_family, &seq, err));
    if (!s->needs_row) {
        s->base.view.head = (struct kl_row_head){.seq = seq};
        return kl__fill_slots(
            s->base.table, &s->base.view, s->slots, s->base.n_slots, s->base.arena, row);
    }
    enum kl_rc rc = fetch(s, seq, &bytes, err);
    if (rc == KL_OK) {
        rc = kl__row_source_take(&s->base, bytes, seq, false, row, err);
    }
    return rc == KL_E_NOT_FOUND ? dangling(s, err) : rc;
}

static enum kl_rc key_next(struct kl_source *source, struct kl_val *row, struct kl_err *err) {
    return range_next(KL_CONTAINER_OF(source, struct range_scan, base.source), true, row, err);
}

static enum kl_rc index_next(struct kl_source *source, struct kl_val *row, struct kl_err *err) {
    return range_next(KL_CONTAINER_OF(source, struct range_scan, base.source), false, row, err);
}

static void range_close(struct kl_source *source) {
    struct range_scan *s = KL_CONTAINER_OF(source, struct range_scan, base.source);
    if (s->pinned) {
        kl_pinned_release(&s->row);
    }
    kl_iter_free(s->it);
    kl_iter_free(s->rows);
    kl__resident_release(s->resident);
    free(s->ahead);
    kl_snapshot_release(s->engine->o.store, s->own_snap);
    kl_buf_deinit(&s->bytes);
    free(s);
}

/* ---- opening ---- */

static struct kl_iter *open_iter(struct range_scan *s, enum kl_cf family, struct kl_slice prefix) {
    struct kl_iter_options o = {family, prefix, s->snap};
    return s->batch ? kl_batch_iter(s->batch, &o) : kl_iter_new(s->engine->o.store, &o);
}

/* Entries are removed after the index has gone from the catalog: with the iterator open, an index that is still there is whole. */
static enum kl_rc still_ready(struct kl_engine *e, uint32_t table, uint32_t index) {
    struct kl_cat *cat = kl_catalog_acquire(e->o.catalog);
    const struct kl_table *t = kl_cat_table_by_id(cat, table);
    const struct kl_index *ix = find_index(t, index);
    bool ready = ix && ix->state == KL_INDEX_READY;
    kl_cat_release(cat);
    return ready ? KL_OK : KL_E_STALE_PLAN;
}

/* Columns by which something else than the entry has to be read. */
static bool asks_for_row(const struct kl_scan *scan) {
    for (size_t i = 0; i < scan->n_slots; i++) {
        if (scan->slots[i] != KL_COL_SEQ && scan->slots[i] != KL_COL_DELETED) {
            return true;
        }
    }
    return false;
}

static struct range_scan *new_scan(
    struct kl_engine *e, const struct kl_scan *scan, const struct kl_access_path *path) {
    struct range_scan *s = kl_xcalloc(1, sizeof(*s) + scan->n_slots * sizeof(int16_t));
    kl__row_source_init(&s->base, scan, scan->table, s->slots);
    s->base.source.next = path->index_id ? index_next : key_next;
    s->base.source.close = range_close;
    s->engine = e;
    s->batch = scan->batch;
    s->scope = kl_table_scope(scan->table, scan->user, e->user_shards);
    s->backward = path->backward;
    s->walking = true;
    s->needs_row = asks_for_row(scan);
    if (!s->needs_row) {
        s->base.source.fill = NULL;
    }
    return s;
}

static enum kl_rc open_scan(struct range_scan *s, const struct kl_scan *scan,
    const struct kl_access_path *path, struct kl_slice prefix) {
    if (!scan->batch) {
        s->own_snap = scan->snap ? NULL : kl_snapshot_take(s->engine->o.store);
        s->snap = scan->snap ? scan->snap : s->own_snap;
    }
    s->it = open_iter(s, path->index_id ? KL_CF_IDX : KL_CF_PK, prefix);
    if (s->needs_row && scan->cut) {
        s->resident = kl__resident_at(s->engine, scan->table, scan->user, scan->cut);
        s->stamp = scan->cut->stamp;
        if (s->resident && path->newest_likely) {
            s->ahead = kl_xcalloc(AHEAD, sizeof(*s->ahead));
        }
    }
    if (s->needs_row && !s->batch && !s->resident) {
        struct kl_key partition;
        kl_key_partition(&partition, &s->scope, scan->table->id);
        s->rows = open_iter(s, KL_CF_ROW, kl_key_view(&partition));
    }
    return path->index_id ? still_ready(s->engine, scan->table->id, path->index_id) : KL_OK;
}

enum kl_rc kl__scan_ranges(struct kl_engine *e, const struct kl_scan *scan,
    const struct kl_access_path *path, struct kl_eval *ev, struct kl_source **ret,
    struct kl_err *err) {
    const struct kl_index *index = path->index_id ? find_index(scan->table, path->index_id) : NULL;
    struct kl_slice prefix;
    if (path->index_id && !index) {
        return KL_E_STALE_PLAN;
    }
    struct range_scan *s = new_scan(e, scan, path);
    struct builder b = {.scan = scan,
        .path = path,
        .table = scan->table,
        .index = index,
        .ev = ev,
        .err = err,
        .scope = s->scope,
        .s = s};
    kl_buf_init(&b.cols, 0);
    enum kl_rc rc = build(&b, &prefix);
    kl_buf_deinit(&b.cols);
    if (rc == KL_OK && s->n_ranges > 0) {
        rc = open_scan(s, scan, path, prefix);
    }
    if (rc != KL_OK && rc != KL_E_END) {
        range_close(&s->base.source);
        return rc;
    }
    if (rc == KL_E_END) {
        s->n_ranges = 0;
    }
    *ret = &s->base.source;
    return KL_OK;
}
