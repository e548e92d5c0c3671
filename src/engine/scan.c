/* Sources of rows: a partition of the row family, one row by key, a STREAM partition, rows that are already there.
 *
 * Values of a stored row borrow from the iterator or the pinned value until the next call, so a scan copies nothing that nobody keeps. */
#include "engine/internal.h"

#include <stdlib.h>

enum kl_rc kl__fill_slots(const struct kl_table *t, const struct kl_row_view *v, const int16_t *slots, size_t n,
    struct kl_arena *arena, struct kl_val *row) {
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

static enum kl_rc corrupt(const struct kl_table *t, int64_t seq, struct kl_err *err) {
    return kl_fail(err, KL_E_CORRUPT, "row %lld of table %s cannot be read: its bytes are damaged", (long long)seq,
        t->qualified.ptr);
}

/* ---- partition of the row family ---- */

struct row_scan {
    struct kl_source source;
    struct kl_engine *engine;
    struct kl_table *table;
    struct kl_iter *it;
    struct kl_arena *arena;
    int64_t after, upto;
    bool newest_first, tombstones, started;
    size_t n_slots;
    int16_t slots[];
};

static void row_scan_start(struct row_scan *s, struct kl_slice prefix) {
    struct kl_key key;
    KL_ASSERT(prefix.len <= KL_KEY_PREFIX_MAX);
    if (s->newest_first) {
        kl_iter_seek_last(s->it);
        return;
    }
    if (s->after <= 0) {
        kl_iter_seek_first(s->it);
        return;
    }
    memcpy(key.data, prefix.ptr, prefix.len);
    uint64_t be = __builtin_bswap64((uint64_t)s->after + 1);
    memcpy(key.data + prefix.len, &be, 8);
    key.len = (uint16_t)(prefix.len + 8);
    kl_iter_seek(s->it, kl_key_view(&key));
}

static enum kl_rc row_scan_next(struct kl_source *source, struct kl_val *row, struct kl_err *err) {
    struct row_scan *s = KL_CONTAINER_OF(source, struct row_scan, source);
    for (;;) {
        if (s->started) {
            s->newest_first ? kl_iter_prev(s->it) : kl_iter_next(s->it);
        }
        s->started = true;
        if (!kl_iter_valid(s->it)) {
            KL_TRY(kl_iter_status(s->it, err));
            return KL_E_END;
        }
        int64_t seq = kl_key_row_seq(kl_iter_key(s->it));
        if (s->newest_first ? seq <= s->after : (s->upto > 0 && seq > s->upto)) {
            return KL_E_END;
        }
        if (s->newest_first && s->upto > 0 && seq > s->upto) {
            continue;
        }
        struct kl_slice bytes = kl_iter_value(s->it);
        struct kl_row_head head;
        if (kl_row_head(bytes, seq, &head) != KL_OK) {
            return corrupt(s->table, seq, err);
        }
        if (head.tombstone && !s->tombstones) {
            continue;
        }
        struct kl_row_view view;
        if (kl_table_open_row(s->table, bytes, seq, &view) != KL_OK) {
            return corrupt(s->table, seq, err);
        }
        return kl__fill_slots(s->table, &view, s->slots, s->n_slots, s->arena, row);
    }
}

static void row_scan_close(struct kl_source *source) {
    struct row_scan *s = KL_CONTAINER_OF(source, struct row_scan, source);
    kl_iter_free(s->it);
    free(s);
}

static enum kl_rc open_row_scan(struct kl_engine *e, const struct kl_scan *scan, struct kl_source **ret) {
    struct row_scan *s = kl_xcalloc(1, sizeof(*s) + scan->n_slots * sizeof(int16_t));
    struct kl_scope scope = kl_table_scope(scan->table, scan->user, e->user_shards);
    struct kl_key prefix;
    kl_key_partition(&prefix, &scope, scan->table->id);
    s->source = (struct kl_source){row_scan_next, row_scan_close};
    s->engine = e;
    s->table = scan->table;
    s->arena = scan->arena;
    s->after = scan->after_seq;
    s->upto = scan->upto_seq;
    s->newest_first = scan->newest_first;
    s->tombstones = scan->tombstones;
    s->n_slots = scan->n_slots;
    memcpy(s->slots, scan->slots, scan->n_slots * sizeof(int16_t));
    struct kl_iter_options o = {KL_CF_ROW, kl_key_view(&prefix), scan->snap};
    s->it = kl_iter_new(e->o.store, &o);
    row_scan_start(s, kl_key_view(&prefix));
    *ret = &s->source;
    return KL_OK;
}

/* ---- one row by key ---- */

struct point_scan {
    struct kl_source source;
    struct kl_table *table;
    struct kl_arena *arena;
    struct kl_pinned row;
    int64_t seq;
    bool found, done;
    size_t n_slots;
    int16_t slots[];
};

static enum kl_rc point_next(struct kl_source *source, struct kl_val *row, struct kl_err *err) {
    struct point_scan *s = KL_CONTAINER_OF(source, struct point_scan, source);
    struct kl_row_view view;
    if (!s->found || s->done) {
        return KL_E_END;
    }
    s->done = true;
    if (kl_table_open_row(s->table, s->row.value, s->seq, &view) != KL_OK) {
        return corrupt(s->table, s->seq, err);
    }
    return kl__fill_slots(s->table, &view, s->slots, s->n_slots, s->arena, row);
}

static void point_close(struct kl_source *source) {
    struct point_scan *s = KL_CONTAINER_OF(source, struct point_scan, source);
    if (s->found) {
        kl_pinned_release(&s->row);
    }
    free(s);
}

static bool parse_place(struct kl_slice v, int64_t *ret_seq) {
    struct kl_reader r;
    kl_reader_init(&r, v);
    bool hot = kl_read_u8(&r) == 1;
    *ret_seq = (int64_t)kl_read_be64(&r);
    return hot && !r.failed;
}

/* The key of the pk family. KL_E_NOT_FOUND for a value that no row can have. */
static enum kl_rc key_of(struct kl_table *t, const struct kl_scope *scope, const struct kl_val *vals, struct kl_key *ret, struct kl_err *err) {
    struct kl_buf pk;
    kl_buf_init(&pk, KL_PK_MAX);
    enum kl_rc rc = kl_pk_encode(vals, t->n_pk, &pk, err);
    if (rc == KL_OK) {
        kl_key_pk(ret, scope, t->id, kl_buf_view(&pk));
    }
    kl_buf_deinit(&pk);
    return rc == KL_E_TOO_LARGE ? KL_E_NOT_FOUND : rc;
}

/* Where the live version of a key is. KL_E_NOT_FOUND. */
static enum kl_rc key_place(struct kl_engine *e, struct kl_table *t, const struct kl_key *key, struct kl_snapshot *snap,
    int64_t *ret_seq, struct kl_err *err) {
    struct kl_pinned place;
    KL_TRY(kl_store_get(e->o.store, snap, KL_CF_PK, kl_key_view(key), &place, err));
    bool ok = parse_place(place.value, ret_seq);
    kl_pinned_release(&place);
    return ok ? KL_OK : kl_fail(err, KL_E_CORRUPT, "primary key entry of table %s is damaged", t->qualified.ptr);
}

static enum kl_rc get_row(struct kl_engine *e, const struct kl_scan *scan, const struct kl_scope *scope, struct point_scan *s,
    struct kl_err *err) {
    struct kl_key k;
    kl_key_row(&k, scope, scan->table->id, s->seq);
    enum kl_rc rc = kl_store_get(e->o.store, scan->snap, KL_CF_ROW, kl_key_view(&k), &s->row, err);
    s->found = rc == KL_OK;
    return rc;
}

/* Looks where the key's row was last seen. The row family holds live versions only, each at its own _seq, so a row that is still there, is no
 * tombstone and has this key is the live one: a stale entry shows itself, and nobody has to invalidate anything. */
static bool found_where_it_was(struct kl_engine *e, const struct kl_scan *scan, const struct kl_scope *scope, const struct kl_val *key,
    struct point_scan *s) {
    struct kl_row_view view;
    if (get_row(e, scan, scope, s, NULL) != KL_OK) {
        return false;
    }
    bool same = kl_table_open_row(scan->table, s->row.value, s->seq, &view) == KL_OK && !view.head.tombstone;
    for (size_t i = 0; same && i < scan->table->n_pk; i++) {
        struct kl_val v;
        same = kl_table_get(scan->table, &view, scan->table->pk[i], scan->arena, &v) == KL_OK && v.type == key[i].type &&
               kl_val_same(&v, &key[i]);
    }
    if (!same) {
        kl_pinned_release(&s->row);
        s->found = false;
    }
    return same;
}

static enum kl_rc find_row(struct kl_engine *e, const struct kl_scan *scan, const struct kl_val *key, struct kl__places *places,
    struct point_scan *s, struct kl_err *err) {
    struct kl_scope scope = kl_table_scope(scan->table, scan->user, e->user_shards);
    struct kl_key pk;
    struct kl__place *place = NULL;
    KL_TRY(key_of(scan->table, &scope, key, &pk, err));
    if (places != NULL && scan->snap == NULL) {
        uint64_t hash = kl_slice_hash(kl_key_view(&pk)) | 1;
        place = &places->at[hash >> 1 & (KL__PLACES - 1)];
        s->seq = place->seq;
        if (place->hash == hash && found_where_it_was(e, scan, &scope, key, s)) {
            return KL_OK;
        }
        place->hash = hash;
    }
    /* Without a snapshot the row may be replaced between the two reads: then look again. */
    enum kl_rc rc = KL_OK;
    for (int tries = 0; tries < 16; tries++) {
        rc = key_place(e, scan->table, &pk, scan->snap, &s->seq, err);
        if (rc != KL_OK) {
            break;
        }
        rc = get_row(e, scan, &scope, s, err);
        if (rc != KL_E_NOT_FOUND || scan->snap != NULL) {
            break;
        }
    }
    if (place != NULL) {
        place->seq = s->seq;
        place->hash = rc == KL_OK ? place->hash : 0;
    }
    return rc;
}

enum kl_rc kl__scan_point(struct kl_engine *e, const struct kl_scan *scan, const struct kl_val *key, struct kl__places *places,
    struct kl_source **ret, struct kl_err *err) {
    struct point_scan *s = kl_xcalloc(1, sizeof(*s) + scan->n_slots * sizeof(int16_t));
    s->source = (struct kl_source){point_next, point_close};
    s->table = scan->table;
    s->arena = scan->arena;
    s->n_slots = scan->n_slots;
    memcpy(s->slots, scan->slots, scan->n_slots * sizeof(int16_t));
    enum kl_rc rc = find_row(e, scan, key, places, s, err);
    if (rc != KL_OK && rc != KL_E_NOT_FOUND) {
        point_close(&s->source);
        return rc;
    }
    *ret = &s->source;
    return KL_OK;
}

enum kl_rc kl_engine_key_live(struct kl_engine *e, struct kl_table *t, struct kl_slice user, struct kl_snapshot *snap,
    const struct kl_val *pk, bool *ret, struct kl_err *err) {
    struct kl_scope scope = kl_table_scope(t, user, e->user_shards);
    struct kl_key key;
    int64_t seq;
    enum kl_rc rc = key_of(t, &scope, pk, &key, err);
    if (rc == KL_OK) {
        rc = key_place(e, t, &key, snap, &seq, err);
    }
    if (rc != KL_OK && rc != KL_E_NOT_FOUND) {
        return rc;
    }
    *ret = rc == KL_OK;
    return KL_OK;
}

/* ---- rows held in memory: STREAM partitions, system relations ---- */

struct memory_scan {
    struct kl_source source;
    struct kl_table *table;           /* STREAM */
    const struct kl__stream_row *rows;
    bool newest_first;
    const struct kl_val *vals;        /* system relations */
    size_t width, n_rows, i;
    struct kl_arena *arena;
    size_t n_slots;
    int16_t slots[];
};

static enum kl_rc memory_next(struct kl_source *source, struct kl_val *row, struct kl_err *err) {
    struct memory_scan *s = KL_CONTAINER_OF(source, struct memory_scan, source);
    if (s->i >= s->n_rows) {
        return KL_E_END;
    }
    size_t i = s->newest_first ? s->n_rows - 1 - s->i : s->i;
    s->i++;
    if (s->table == NULL) {
        for (size_t k = 0; k < s->n_slots; k++) {
            row[k] = s->slots[k] >= 0 ? s->vals[i * s->width + (size_t)s->slots[k]] : kl_val_null(KL_T_BIGINT);
        }
        return KL_OK;
    }
    struct kl_row_view view;
    if (kl_table_open_row(s->table, s->rows[i].bytes, s->rows[i].seq, &view) != KL_OK) {
        return corrupt(s->table, s->rows[i].seq, err);
    }
    return kl__fill_slots(s->table, &view, s->slots, s->n_slots, s->arena, row);
}

static void memory_close(struct kl_source *source) { free(KL_CONTAINER_OF(source, struct memory_scan, source)); }

static struct memory_scan *memory_scan_new(const int16_t *slots, size_t n_slots) {
    struct memory_scan *s = kl_xcalloc(1, sizeof(*s) + n_slots * sizeof(int16_t));
    s->source = (struct kl_source){memory_next, memory_close};
    s->n_slots = n_slots;
    if (n_slots > 0) {
        memcpy(s->slots, slots, n_slots * sizeof(int16_t));
    }
    return s;
}

struct kl_source *kl__scan_values(const struct kl_val *vals, size_t width, size_t n_rows, const int16_t *slots, size_t n_slots) {
    struct memory_scan *s = memory_scan_new(slots, n_slots);
    s->vals = vals;
    s->width = width;
    s->n_rows = n_rows;
    return &s->source;
}

struct kl_source *kl__scan_nothing(void) { return kl__scan_values(NULL, 0, 0, NULL, 0); }

struct kl_source *kl__scan_dual(void) { return kl__scan_values(NULL, 0, 1, NULL, 0); }

static enum kl_rc open_stream_scan(struct kl_engine *e, const struct kl_scan *scan, struct kl_source **ret, struct kl_err *err) {
    struct kl_scope scope = kl_table_scope(scan->table, scan->user, e->user_shards);
    struct kl__stream_row *rows;
    size_t n;
    KL_TRY(kl__stream_read(kl__shard(e, scope.shard)->streams, scan->table->id, scan->user, scan->after_seq, scan->upto_seq,
        scan->arena, &rows, &n, err));
    struct memory_scan *s = memory_scan_new(scan->slots, scan->n_slots);
    s->table = scan->table;
    s->rows = rows;
    s->n_rows = n;
    s->newest_first = scan->newest_first;
    s->arena = scan->arena;
    *ret = &s->source;
    return KL_OK;
}

enum kl_rc kl_engine_scan(struct kl_engine *e, const struct kl_scan *scan, struct kl_source **ret, struct kl_err *err) {
    switch (scan->table->type) {
    case KL_TABLE_USER:
    case KL_TABLE_SHARED:
        return open_row_scan(e, scan, ret);
    case KL_TABLE_STREAM:
        return open_stream_scan(e, scan, ret, err);
    case KL_TABLE_SYSTEM:
        break;
    }
    return kl_fail(err, KL_E_INTERNAL, "%s is no stored table", scan->table->qualified.ptr);
}
