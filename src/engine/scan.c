/* Sources of rows: which one it is, rows that are already there, and what sources over row bytes share.
 *
 *   scan_rows.c    a partition in _seq order
 *   scan_key.c     one row by primary key
 *   scan_index.c   ranges of the primary key or of an index */
#include "engine/scan_internal.h"

#include <stdlib.h>

enum kl_rc kl__fill_slots(const struct kl_table *t, const struct kl_row_view *v,
    const int16_t *slots, size_t n, struct kl_arena *arena, struct kl_val *row) {
    for (size_t i = 0; i < n; i++) {
        switch (slots[i]) {
        case KL_COL_SEQ:
            row[i] = kl_val_i64(v->head.seq);
            break;
        case KL_COL_DELETED:
            row[i] = kl_val_bool(v->head.tombstone);
            break;
        case KL_COL_ORIGIN:
            row[i] = kl_val_i64(v->head.origin_seq);
            break;
        case KL_COL_PREV:
            row[i] = kl_val_i64(v->head.prev_seq);
            break;
        default:
            KL_TRY(kl_table_get(t, v, (unsigned)slots[i], arena, &row[i]));
        }
    }
    return KL_OK;
}

enum kl_rc kl__scan_corrupt(const struct kl_table *t, int64_t seq, struct kl_err *err) {
    return kl_fail(err, KL_E_CORRUPT, "row %lld of table %s cannot be read: its bytes are damaged",
        (long long)seq, t->qualified.ptr);
}

enum kl_rc kl__scan_no_memory(struct kl_err *err) {
    return kl_fail(err, KL_E_TOO_LARGE, "the query is larger than its memory");
}

/* ---- rows of bytes ---- */

static enum kl_rc row_fill(
    struct kl_source *source, size_t from, size_t to, struct kl_val *row, struct kl_err *err) {
    struct kl__row_source *s = KL_CONTAINER_OF(source, struct kl__row_source, source);
    enum kl_rc rc =
        kl__fill_slots(s->table, &s->view, s->slots + from, to - from, s->arena, row + from);
    return rc == KL_E_CORRUPT ? kl__scan_corrupt(s->table, s->view.head.seq, err) : rc;
}

void kl__row_source_init(
    struct kl__row_source *s, const struct kl_scan *scan, struct kl_table *t, int16_t *room) {
    if (scan->n_slots > 0) {
        memcpy(room, scan->slots, scan->n_slots * sizeof(*room));
    }
    s->table = t;
    s->arena = scan->arena;
    s->slots = room;
    s->n_slots = scan->n_slots;
    s->source.fill = row_fill;
    s->source.n_first = scan->n_slots;
}

enum kl_rc kl__row_source_take(struct kl__row_source *s, struct kl_slice bytes, int64_t seq,
    bool tombstones, struct kl_val *row, struct kl_err *err) {
    enum kl_rc rc = s->n_slots > 0 ? kl_table_open_row(s->table, bytes, seq, &s->view)
                                   : kl_row_head(bytes, seq, &s->view.head);
    if (rc != KL_OK) {
        return kl__scan_corrupt(s->table, seq, err);
    }
    if (s->view.head.tombstone && !tombstones) {
        return KL_E_NOT_FOUND;
    }
    return row_fill(&s->source, 0, s->source.n_first, row, err);
}

/* ---- rows held in memory: STREAM partitions, system relations ---- */

struct stream_scan {
    struct kl__row_source base;
    const struct kl__stream_row *rows;
    size_t n_rows, i;
    bool newest_first;
    int16_t slots[];
};

static enum kl_rc stream_next(struct kl_source *source, struct kl_val *row, struct kl_err *err) {
    struct stream_scan *s = KL_CONTAINER_OF(source, struct stream_scan, base.source);
    if (s->i >= s->n_rows) {
        return KL_E_END;
    }
    const struct kl__stream_row *r = &s->rows[s->newest_first ? s->n_rows - 1 - s->i : s->i];
    s->i++;
    return kl__row_source_take(&s->base, r->bytes, r->seq, true, row, err);
}

static void stream_close(struct kl_source *source) {
    free(KL_CONTAINER_OF(source, struct stream_scan, base.source));
}

static enum kl_rc open_stream_scan(
    struct kl_engine *e, const struct kl_scan *scan, struct kl_source **ret, struct kl_err *err) {
    struct kl_scope scope = kl_table_scope(scan->table, scan->user, e->user_shards);
    struct kl__stream_row *rows;
    size_t n;
    KL_TRY(kl__stream_read(kl__shard(e, scope.shard)->streams, scan->table->id, scan->user,
        scan->after_seq, scan->upto_seq, scan->arena, &rows, &n, err));
    struct stream_scan *s = kl_xcalloc(1, sizeof(*s) + scan->n_slots * sizeof(int16_t));
    kl__row_source_init(&s->base, scan, scan->table, s->slots);
    s->base.source.next = stream_next;
    s->base.source.close = stream_close;
    s->rows = rows;
    s->n_rows = n;
    s->newest_first = scan->newest_first;
    *ret = &s->base.source;
    return KL_OK;
}

struct values_scan {
    struct kl_source source;
    const struct kl_val *vals;
    size_t width, n_rows, i, n_slots;
    int16_t slots[];
};

static enum kl_rc values_next(struct kl_source *source, struct kl_val *row, struct kl_err *err) {
    struct values_scan *s = KL_CONTAINER_OF(source, struct values_scan, source);
    (void)err;
    if (s->i >= s->n_rows) {
        return KL_E_END;
    }
    const struct kl_val *from = s->vals + s->i++ * s->width;
    for (size_t k = 0; k < s->n_slots; k++) {
        row[k] = s->slots[k] >= 0 ? from[s->slots[k]] : kl_val_null(KL_T_BIGINT);
    }
    return KL_OK;
}

static void values_close(struct kl_source *source) {
    free(KL_CONTAINER_OF(source, struct values_scan, source));
}

struct kl_source *kl__scan_values(
    const struct kl_val *vals, size_t width, size_t n_rows, const int16_t *slots, size_t n_slots) {
    struct values_scan *s = kl_xcalloc(1, sizeof(*s) + n_slots * sizeof(int16_t));
    s->source = (struct kl_source){.next = values_next, .close = values_close};
    s->vals = vals;
    s->width = width;
    s->n_rows = n_rows;
    s->n_slots = n_slots;
    if (n_slots > 0) {
        memcpy(s->slots, slots, n_slots * sizeof(int16_t));
    }
    return &s->source;
}

struct kl_source *kl__scan_nothing(void) {
    return kl__scan_values(NULL, 0, 0, NULL, 0);
}

struct kl_source *kl__scan_dual(void) {
    return kl__scan_values(NULL, 0, 1, NULL, 0);
}

/* ---- which one ---- */

enum kl_rc kl_engine_scan(
    struct kl_engine *e, const struct kl_scan *scan, struct kl_source **ret, struct kl_err *err) {
    switch (scan->table->type) {
    case KL_TABLE_USER:
    case KL_TABLE_SHARED:
        return kl__scan_resident(e, scan, ret) ? KL_OK : kl__scan_rows(e, scan, ret);
    case KL_TABLE_STREAM:
        return open_stream_scan(e, scan, ret, err);
    case KL_TABLE_SYSTEM:
    case KL_TABLE_VIEW:
        break;
    }
    return kl_fail(err, KL_E_INTERNAL, "%s is no stored table", scan->table->qualified.ptr);
}

/* A bound on _seq. *ret stays as it is when the value is beyond every number; KL_E_END when it is
 * NULL, which nothing compares to. */
static enum kl_rc seq_bound(
    const struct kl_expr *expr, struct kl_eval *ev, int64_t *ret, struct kl_err *err) {
    struct kl_val v, seq;
    KL_TRY(kl_expr_eval(expr, ev, &v, err));
    if (v.null) {
        return KL_E_END;
    }
    if (kl_val_cast(&v, KL_TYPE(BIGINT), KL_CAST_EXPLICIT, ev->arena, &seq, NULL) == KL_OK) {
        *ret = seq.i;
    }
    return KL_OK;
}

/* Both bounds are let in: the filter decides about the rows on the edge. KL_E_END: no row. */
static enum kl_rc bound_scan(const struct kl_access_path *path, struct kl_eval *ev,
    struct kl_scan *scan, struct kl_err *err) {
    int64_t from = 0, upto = INT64_MAX;
    if (path->after_seq) {
        KL_TRY(seq_bound(path->after_seq, ev, &from, err));
    }
    if (path->upto_seq) {
        KL_TRY(seq_bound(path->upto_seq, ev, &upto, err));
    }
    if (upto <= 0) {
        return KL_E_END;
    }
    if (from > 1) {
        scan->after_seq = KL_MAX(scan->after_seq, from - 1);
    }
    if (upto < INT64_MAX) {
        scan->upto_seq = scan->upto_seq > 0 ? KL_MIN(scan->upto_seq, upto) : upto;
    }
    scan->newest_first |= path->backward;
    scan->newest_likely = path->newest_likely;
    return KL_OK;
}

static enum kl_rc open_point(struct kl_engine *e, const struct kl_scan *scan,
    const struct kl_access_path *path, struct kl_eval *ev, struct kl__row_cache *cache,
    struct kl_source **ret, struct kl_err *err) {
    struct kl_val key[KL_PK_COLS_MAX];
    bool none;
    KL_TRY(kl_sql_point_key(path->pk, scan->table, ev, key, &none, err));
    if (none) {
        *ret = kl__scan_nothing();
        return KL_OK;
    }
    return kl__scan_point(e, scan, key, cache, ret, err);
}

enum kl_rc kl__open_path(struct kl_engine *e, const struct kl_scan *scan,
    const struct kl_access_path *path, struct kl_eval *ev, struct kl__row_cache *cache,
    struct kl_source **ret, struct kl_err *err) {
    bool stored = scan->table->type == KL_TABLE_USER || scan->table->type == KL_TABLE_SHARED;
    if (stored && path->pk) {
        return open_point(e, scan, path, ev, cache, ret, err);
    }
    if (stored && (path->index_id || path->by_key)) {
        return kl__scan_ranges(e, scan, path, ev, ret, err);
    }
    struct kl_scan bounded = *scan;
    enum kl_rc rc = bound_scan(path, ev, &bounded, err);
    if (rc == KL_E_END) {
        *ret = kl__scan_nothing();
        return KL_OK;
    }
    KL_TRY(rc);
    return kl_engine_scan(e, &bounded, ret, err);
}
