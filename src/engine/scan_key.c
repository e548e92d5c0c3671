/* One row by primary key: at a snapshot, at latest, or through a writer's batch. Its memory is the arena's: a point read allocates nothing else. */
#include "engine/scan_internal.h"

struct point_scan {
    struct kl__row_source base;
    struct kl_pinned row;
    struct kl_buf bytes; /* of a row that came through a batch */
    int64_t seq;
    bool found, pinned, cached, done; /* cached: row.value is the cache's, nothing is pinned */
    int16_t slots[];
};

static enum kl_rc point_next(struct kl_source *source, struct kl_val *row, struct kl_err *err) {
    struct point_scan *s = KL_CONTAINER_OF(source, struct point_scan, base.source);
    if (!s->found || s->done) {
        return KL_E_END;
    }
    s->done = true;
    struct kl_slice bytes = s->pinned || s->cached ? s->row.value : kl_buf_view(&s->bytes);
    enum kl_rc rc = kl__row_source_take(&s->base, bytes, s->seq, false, row, err);
    return rc == KL_E_NOT_FOUND ? kl__scan_corrupt(s->base.table, s->seq, err) : rc;
}

static void unpin(struct point_scan *s) {
    if (s->pinned) {
        kl_pinned_release(&s->row);
    }
    s->pinned = s->found = false;
}

static void point_close(struct kl_source *source) {
    struct point_scan *s = KL_CONTAINER_OF(source, struct point_scan, base.source);
    unpin(s);
    kl_buf_deinit(&s->bytes);
}

bool kl__place_decode(struct kl_slice value, int64_t *ret_seq) {
    struct kl_reader r;
    kl_reader_init(&r, value);
    bool hot = kl_read_u8(&r) == 1;
    *ret_seq = (int64_t)kl_read_be64(&r);
    return hot && !r.failed && *ret_seq > 0;
}

/* The key of the pk family. KL_E_NOT_FOUND for a value that no row can have. */
static enum kl_rc key_of(struct kl_table *t, const struct kl_scope *scope,
    const struct kl_val *vals, struct kl_key *ret, struct kl_err *err) {
    char room[KL_PK_MAX + 1];
    struct kl_buf pk = kl_buf_on(room, sizeof(room));
    enum kl_rc rc = kl_pk_encode(vals, t->n_pk, &pk, err);
    if (rc == KL_OK) {
        kl_key_pk(ret, scope, t->id, kl_buf_view(&pk));
    }
    return rc == KL_E_TOO_LARGE ? KL_E_NOT_FOUND : rc;
}

static enum kl_rc damaged_entry(const struct kl_table *t, struct kl_err *err) {
    return kl_fail(err, KL_E_CORRUPT, "primary key entry of table %s is damaged", t->qualified.ptr);
}

/* Where the live version of a key is. KL_E_NOT_FOUND. */
static enum kl_rc key_place(struct kl_engine *e, struct kl_table *t, const struct kl_key *key,
    struct kl_snapshot *snap, int64_t *ret_seq, struct kl_err *err) {
    struct kl_pinned place;
    KL_TRY(kl_store_get(e->o.store, snap, KL_CF_PK, kl_key_view(key), &place, err));
    bool ok = kl__place_decode(place.value, ret_seq);
    kl_pinned_release(&place);
    return ok ? KL_OK : damaged_entry(t, err);
}

static enum kl_rc get_row(struct kl_engine *e, const struct kl_scan *scan,
    const struct kl_scope *scope, struct point_scan *s, struct kl_err *err) {
    struct kl_key k;
    kl_key_row(&k, scope, scan->table->id, s->seq);
    enum kl_rc rc = kl_store_get(e->o.store, scan->snap, KL_CF_ROW, kl_key_view(&k), &s->row, err);
    s->found = s->pinned = rc == KL_OK;
    return rc;
}

/* Without a snapshot the row may be replaced between the two reads: then look again. */
static enum kl_rc find_by_key(struct kl_engine *e, const struct kl_scan *scan,
    const struct kl_scope *scope, const struct kl_key *pk, struct point_scan *s,
    struct kl_err *err) {
    enum kl_rc rc = KL_E_NOT_FOUND;
    for (int tries = 0; tries < 16; tries++) {
        KL_TRY(key_place(e, scan->table, pk, scan->snap, &s->seq, err));
        rc = get_row(e, scan, scope, s, err);
        if (rc != KL_E_NOT_FOUND || scan->snap) {
            break;
        }
    }
    return rc;
}

static enum kl_rc find_in_batch(const struct kl_scan *scan, const struct kl_scope *scope,
    const struct kl_key *pk, struct point_scan *s, struct kl_err *err) {
    struct kl_key k;
    KL_TRY(kl_batch_get(scan->batch, KL_CF_PK, kl_key_view(pk), &s->bytes, err));
    if (!kl__place_decode(kl_buf_view(&s->bytes), &s->seq)) {
        return damaged_entry(scan->table, err);
    }
    kl_key_row(&k, scope, scan->table->id, s->seq);
    enum kl_rc rc = kl_batch_get(scan->batch, KL_CF_ROW, kl_key_view(&k), &s->bytes, err);
    s->found = rc == KL_OK;
    return rc == KL_E_NOT_FOUND ? damaged_entry(scan->table, err) : rc;
}

static enum kl_rc find_row(struct kl_engine *e, const struct kl_scan *scan,
    const struct kl_val *key, struct kl__row_cache *cache, struct point_scan *s, struct kl_err *err) {
    struct kl_scope scope = kl_table_scope(scan->table, scan->user, e->user_shards);
    struct kl_key pk;
    KL_TRY(key_of(scan->table, &scope, key, &pk, err));
    if (scan->batch) {
        return find_in_batch(scan, &scope, &pk, s, err);
    }
    if (!cache || scan->snap) {
        return find_by_key(e, scan, &scope, &pk, s, err);
    }
    struct kl_slice name = kl_key_view(&pk);
    uint64_t hash = kl_slice_hash(name), stamp = kl__key_stamp(e, hash);
    if (kl__row_cache_get(cache, hash, name, stamp, &s->seq, &s->row.value)) {
        s->found = s->cached = true;
        return KL_OK;
    }
    KL_TRY(find_by_key(e, scan, &scope, &pk, s, err));
    kl__row_cache_put(cache, hash, name, stamp, s->seq, s->row.value);
    return KL_OK;
}

enum kl_rc kl__scan_point(struct kl_engine *e, const struct kl_scan *scan, const struct kl_val *key,
    struct kl__row_cache *cache, struct kl_source **ret, struct kl_err *err) {
    struct point_scan *s = kl_arena_calloc(scan->arena, 1, sizeof(*s) + scan->n_slots * sizeof(int16_t));
    if (!s) {
        return kl__scan_no_memory(err);
    }
    kl__row_source_init(&s->base, scan, scan->table, s->slots);
    s->base.source.next = point_next;
    s->base.source.close = point_close;
    enum kl_rc rc = find_row(e, scan, key, cache, s, err);
    if (rc != KL_OK && rc != KL_E_NOT_FOUND) {
        point_close(&s->base.source);
        return rc;
    }
    *ret = &s->base.source;
    return KL_OK;
}

enum kl_rc kl_engine_key_live(struct kl_engine *e, struct kl_table *t, struct kl_slice user,
    struct kl_snapshot *snap, const struct kl_val *pk, bool *ret, struct kl_err *err) {
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
