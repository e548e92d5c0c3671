/* INSERT, UPDATE and DELETE, on the writer of the rows' shard.
 *
 * A statement is one command: it runs against store + batch behind a save point, so it sees what earlier commands of the batch did, and it
 * happens whole or not at all. UPDATE and DELETE first collect what the filter chooses, then write: the iterator never sees its own writes.
 *
 * In the row family there is one live version per row. An update puts the new version at a new _seq, with its lineage, and removes the old key;
 * a delete puts a tombstone at a new _seq and removes the old key and the primary key entry. */
#include "engine/internal.h"

#include <stdio.h>

#define PK_PLACE_BYTES 9

struct dml {
    struct kl__write *cmd;
    struct kl__writer *w;
    struct kl__shard *shard;
    struct kl_table *t;
    struct kl_scope scope;
    struct kl_eval ev;
    struct kl_err *err;
};

/* ---- keys ---- */

static void pk_put(struct dml *d, int64_t seq) {
    struct kl_key k;
    char place[PK_PLACE_BYTES];
    uint64_t be = __builtin_bswap64((uint64_t)seq);
    place[0] = 1;
    memcpy(place + 1, &be, 8);
    kl_key_pk(&k, &d->scope, d->t->id, kl_buf_view(&d->w->pk));
    kl_batch_put(d->shard->batch, KL_CF_PK, kl_key_view(&k), kl_slice(place, sizeof(place)));
}

/* The encoded key of a row into w->pk. */
static enum kl_rc pk_of(struct dml *d, const struct kl_val *vals) {
    struct kl_val key[KL_PK_COLS_MAX];
    for (size_t i = 0; i < d->t->n_pk; i++) {
        key[i] = vals[d->t->pk[i]];
    }
    kl_buf_clear(&d->w->pk);
    return kl_pk_encode(key, d->t->n_pk, &d->w->pk, d->err);
}

/* Place of the live version of the key in w->pk; KL_E_NOT_FOUND. */
static enum kl_rc pk_find(struct dml *d, int64_t *ret_seq) {
    struct kl_key k;
    kl_key_pk(&k, &d->scope, d->t->id, kl_buf_view(&d->w->pk));
    kl_buf_clear(&d->w->old);
    KL_TRY(kl_batch_get(d->shard->batch, KL_CF_PK, kl_key_view(&k), &d->w->old, d->err));
    struct kl_reader r;
    kl_reader_init(&r, kl_buf_view(&d->w->old));
    uint8_t tag = kl_read_u8(&r);
    *ret_seq = (int64_t)kl_read_be64(&r);
    if (tag != 1 || r.failed) {
        return kl_fail(d->err, KL_E_CORRUPT, "primary key entry of table %s is damaged", d->t->qualified.ptr);
    }
    return KL_OK;
}

static enum kl_rc pk_violation(struct dml *d, const struct kl_val *vals, bool same_statement) {
    struct kl_buf value, cols;
    kl_buf_init(&value, 4096);
    kl_buf_init(&cols, 4096);
    for (size_t i = 0; i < d->t->n_pk; i++) {
        kl_buf_puts(&value, i > 0 ? ", " : "");
        kl_val_to_text(&vals[d->t->pk[i]], &value);
        kl_buf_puts(&cols, i > 0 ? ", " : "");
        kl_buf_puts(&cols, d->t->cols[d->t->pk[i]].name);
    }
    struct kl_slice v = kl_buf_view(&value), c = kl_buf_view(&cols);
    v.len = KL_MIN(v.len, 200);
    if (same_statement) {
        kl_fail(d->err, KL_E_CONSTRAINT, "Primary key violation: value '%.*s' appears multiple times in the insert batch for column '%.*s'",
            KL_FMT(v), KL_FMT(c));
    } else {
        kl_fail(d->err, KL_E_CONSTRAINT, "Primary key violation: value '%.*s' already exists in column '%.*s'", KL_FMT(v), KL_FMT(c));
    }
    kl_buf_deinit(&value);
    kl_buf_deinit(&cols);
    return KL_E_CONSTRAINT;
}

static int64_t next_seq(struct dml *d) {
    int64_t seq = kl_snowflake_next(d->w->engine->o.ids);
    d->shard->last_seq = KL_MAX(d->shard->last_seq, seq);
    return seq;
}

static enum kl_rc check_stop(struct dml *d, size_t i) {
    if (i % 256 != 0) {
        return KL_OK;
    }
    if (d->cmd->deadline_ns > 0 && kl_clock_mono_ns() > d->cmd->deadline_ns) {
        return kl_fail(d->err, KL_E_TIMEOUT, "canceling statement due to statement timeout");
    }
    return KL_OK;
}

static enum kl_rc tell(struct dml *d, enum kl_change_op op, int64_t seq, int64_t prev, struct kl_slice new_row, struct kl_slice old_row) {
    struct kl_change c = {
        .op = op, .table = d->t, .shard = d->shard->id, .user = d->scope.user, .seq = seq, .prev_seq = prev,
        .new_row = new_row, .old_row = old_row,
    };
    return kl__writer_change(d->w, &c, d->err);
}

/* ---- INSERT ---- */

/* A key that was generated just now cannot exist. */
static bool key_is_generated(struct dml *d) {
    const struct kl_plan_insert *p = d->cmd->bound->plan->insert;
    if (d->t->n_pk != 1 || d->t->cols[d->t->pk[0]].def.kind != KL_DEFAULT_SNOWFLAKE) {
        return false;
    }
    for (size_t i = 0; i < p->n_targets; i++) {
        if (p->targets[i] == d->t->pk[0]) {
            return false;
        }
    }
    return true;
}

static enum kl_rc insert_stored(struct dml *d, const struct kl_val *vals, int64_t first_seq, bool check_key) {
    struct kl_key k;
    int64_t seq;
    if (d->t->n_pk > 0) {
        KL_TRY(pk_of(d, vals));
        enum kl_rc rc = check_key ? pk_find(d, &seq) : KL_E_NOT_FOUND;
        if (rc == KL_OK) {
            return pk_violation(d, vals, seq >= first_seq);
        }
        if (rc != KL_E_NOT_FOUND) {
            return rc;
        }
    }
    seq = next_seq(d);
    struct kl_row_head head = {.schema_version = d->t->version, .seq = seq, .origin_seq = seq};
    kl_buf_clear(&d->w->row);
    KL_TRY(kl_row_encode(d->t->layout, &head, vals, &d->w->row, d->err));
    kl_key_row(&k, &d->scope, d->t->id, seq);
    kl_batch_put(d->shard->batch, KL_CF_ROW, kl_key_view(&k), kl_buf_view(&d->w->row));
    if (d->t->n_pk > 0) {
        pk_put(d, seq);
    }
    return tell(d, KL_CHANGE_INSERT, seq, 0, kl_buf_view(&d->w->row), KL_SLICE_NONE);
}

static enum kl_rc insert_rows(struct dml *d, struct kl__stream_row *stream) {
    const struct kl_bound *b = d->cmd->bound;
    struct kl_val *vals = KL_ARENA_ARRAY(&d->w->scratch, struct kl_val, d->t->n_cols);
    int64_t first_seq = kl_snowflake_next(d->w->engine->o.ids);
    int64_t deadline = kl_clock_mono_ns() + (int64_t)d->t->options.ttl_seconds * 1000000000;
    bool check_key = !key_is_generated(d);
    if (vals == NULL) {
        return kl_fail(d->err, KL_E_NOMEM, "out of memory");
    }
    for (size_t r = 0; r < b->n_rows; r++) {
        KL_TRY(check_stop(d, r));
        struct kl_arena_mark mark = kl_arena_mark(&d->w->scratch);
        KL_TRY(kl_sql_insert_row(b, r, &d->ev, vals, d->err));
        if (stream == NULL) {
            KL_TRY(insert_stored(d, vals, first_seq, check_key));
            kl_arena_rewind(&d->w->scratch, mark);
            continue;
        }
        int64_t seq = next_seq(d);
        struct kl_row_head head = {.schema_version = d->t->version, .seq = seq, .origin_seq = seq};
        kl_buf_clear(&d->w->row);
        KL_TRY(kl_row_encode(d->t->layout, &head, vals, &d->w->row, d->err));
        kl_arena_rewind(&d->w->scratch, mark);
        stream[r] = (struct kl__stream_row){seq, deadline, kl_arena_dup(&d->w->drain, kl_buf_view(&d->w->row))};
        if (stream[r].bytes.ptr == NULL) {
            return kl_fail(d->err, KL_E_TOO_LARGE, "the statement inserts more than one batch can hold");
        }
        KL_TRY(tell(d, KL_CHANGE_INSERT, seq, 0, stream[r].bytes, KL_SLICE_NONE));
    }
    d->cmd->affected = b->n_rows;
    return KL_OK;
}

static enum kl_rc insert(struct dml *d) {
    size_t n = d->cmd->bound->n_rows;
    if (d->t->type != KL_TABLE_STREAM) {
        return insert_rows(d, NULL);
    }
    struct kl__stream_row *rows = KL_ARENA_ARRAY(&d->w->scratch, struct kl__stream_row, n + 1);
    if (rows == NULL) {
        return kl_fail(d->err, KL_E_TOO_LARGE, "the statement inserts more than one batch can hold");
    }
    KL_TRY(insert_rows(d, rows));
    return kl__stream_append(d->shard->streams, d->w, d->t, d->scope.user, rows, n, d->err);
}

/* ---- UPDATE and DELETE: collect, then write ---- */

struct match {
    struct match *next;
    int64_t seq;
    struct kl_slice bytes; /* of the old row, in the scratch arena */
};
struct matches {
    struct match *first, **end;
    size_t n;
};

/* Fills the slots that filter and assignments see: every column, then _seq. */
static enum kl_rc open_old(struct dml *d, struct kl_slice bytes, int64_t seq, struct kl_row_view *view, struct kl_val *row) {
    const struct kl_plan_dml *p = d->cmd->bound->plan->dml;
    if (kl_table_open_row(d->t, bytes, seq, view) != KL_OK) {
        return kl_fail(d->err, KL_E_CORRUPT, "row %lld of table %s cannot be read: its bytes are damaged", (long long)seq,
            d->t->qualified.ptr);
    }
    return kl__fill_slots(d->t, view, p->slots, p->n_slots, &d->w->scratch, row);
}

static enum kl_rc consider(struct dml *d, struct kl_slice bytes, int64_t seq, struct kl_val *row, struct matches *m) {
    struct kl_row_view view;
    bool hit;
    struct kl_row_head head;
    struct kl_arena_mark mark = kl_arena_mark(&d->w->scratch);
    if (kl_row_head(bytes, seq, &head) == KL_OK && head.tombstone) {
        return KL_OK;
    }
    KL_TRY(open_old(d, bytes, seq, &view, row));
    KL_TRY(kl_expr_test_row(d->cmd->bound->plan->dml->filter, &d->ev, &hit, d->err));
    kl_arena_rewind(&d->w->scratch, mark);
    if (!hit) {
        return KL_OK;
    }
    struct match *x = KL_ARENA_NEW(&d->w->scratch, struct match);
    if (x != NULL) {
        x->bytes = kl_arena_dup(&d->w->scratch, bytes);
    }
    if (x == NULL || x->bytes.ptr == NULL) {
        return kl_fail(d->err, KL_E_TOO_LARGE, "the statement changes more rows than fit into memory; change fewer at a time");
    }
    x->seq = seq;
    *m->end = x;
    m->end = &x->next;
    m->n++;
    return KL_OK;
}

static enum kl_rc collect_point(struct dml *d, struct kl_val *row, struct matches *m) {
    struct kl_val key[KL_PK_COLS_MAX];
    struct kl_key k;
    bool none;
    int64_t seq;
    KL_TRY(kl_sql_point_key(d->cmd->bound->plan->access.pk, d->t, &d->ev, key, &none, d->err));
    if (none) {
        return KL_OK;
    }
    kl_buf_clear(&d->w->pk);
    KL_TRY(kl_pk_encode(key, d->t->n_pk, &d->w->pk, d->err));
    enum kl_rc rc = pk_find(d, &seq);
    if (rc == KL_OK) {
        kl_key_row(&k, &d->scope, d->t->id, seq);
        kl_buf_clear(&d->w->old);
        rc = kl_batch_get(d->shard->batch, KL_CF_ROW, kl_key_view(&k), &d->w->old, d->err);
        if (rc == KL_E_NOT_FOUND) {
            return kl_fail(d->err, KL_E_CORRUPT, "primary key entry of table %s points nowhere", d->t->qualified.ptr);
        }
    }
    if (rc == KL_E_NOT_FOUND) {
        return KL_OK;
    }
    KL_TRY(rc);
    return consider(d, kl_buf_view(&d->w->old), seq, row, m);
}

static enum kl_rc collect_scan(struct dml *d, struct kl_val *row, struct matches *m) {
    struct kl_key prefix;
    kl_key_partition(&prefix, &d->scope, d->t->id);
    struct kl_iter_options o = {KL_CF_ROW, kl_key_view(&prefix), NULL};
    struct kl_iter *it = kl_batch_iter(d->shard->batch, &o);
    enum kl_rc rc = KL_OK;
    size_t i = 0;
    for (kl_iter_seek_first(it); rc == KL_OK && kl_iter_valid(it); kl_iter_next(it)) {
        rc = check_stop(d, i++);
        if (rc == KL_OK) {
            rc = consider(d, kl_iter_value(it), kl_key_row_seq(kl_iter_key(it)), row, m);
        }
    }
    if (rc == KL_OK) {
        rc = kl_iter_status(it, d->err);
    }
    kl_iter_free(it);
    return rc;
}

static enum kl_rc collect_stream(struct dml *d, struct kl_val *row, struct matches *m) {
    struct kl__stream_row *rows;
    size_t n;
    KL_TRY(kl__stream_read(d->shard->streams, d->t->id, d->scope.user, 0, 0, &d->w->scratch, &rows, &n, d->err));
    for (size_t i = 0; i < n; i++) {
        KL_TRY(check_stop(d, i));
        KL_TRY(consider(d, rows[i].bytes, rows[i].seq, row, m));
    }
    return KL_OK;
}

static void remove_old(struct dml *d, const struct match *x) {
    struct kl_key k;
    kl_key_row(&k, &d->scope, d->t->id, x->seq);
    kl_batch_del(d->shard->batch, KL_CF_ROW, kl_key_view(&k));
}

static enum kl_rc update_one(struct dml *d, const struct match *x, struct kl_val *row, struct kl_val *vals) {
    struct kl_row_view view;
    struct kl_key k;
    bool changed;
    KL_TRY(open_old(d, x->bytes, x->seq, &view, row));
    memcpy(vals, row, d->t->n_cols * sizeof(*vals));
    KL_TRY(kl_sql_update_row(d->cmd->bound, &d->ev, vals, &changed, d->err));
    if (!changed) {
        return KL_OK;
    }
    int64_t seq = next_seq(d);
    struct kl_row_head head = {.schema_version = d->t->version, .seq = seq, .origin_seq = view.head.origin_seq, .prev_seq = x->seq};
    kl_buf_clear(&d->w->row);
    KL_TRY(kl_row_encode(d->t->layout, &head, vals, &d->w->row, d->err));
    remove_old(d, x);
    kl_key_row(&k, &d->scope, d->t->id, seq);
    kl_batch_put(d->shard->batch, KL_CF_ROW, kl_key_view(&k), kl_buf_view(&d->w->row));
    if (d->t->n_pk > 0) {
        KL_TRY(pk_of(d, vals));
        pk_put(d, seq);
    }
    d->cmd->affected++;
    return tell(d, KL_CHANGE_UPDATE, seq, x->seq, kl_buf_view(&d->w->row), x->bytes);
}

static enum kl_rc delete_one(struct dml *d, const struct match *x, struct kl_val *row) {
    struct kl_row_view view;
    struct kl_key k;
    int64_t seq = next_seq(d);
    KL_TRY(open_old(d, x->bytes, x->seq, &view, row));
    kl_buf_clear(&d->w->row);
    KL_TRY(kl_row_to_tombstone(x->bytes, &view.head, seq, &d->w->row));
    if (d->t->type == KL_TABLE_STREAM) {
        if (!kl__stream_remove(d->shard->streams, d->t->id, d->scope.user, x->seq)) {
            return KL_OK;
        }
    } else {
        remove_old(d, x);
        kl_key_row(&k, &d->scope, d->t->id, seq);
        kl_batch_put(d->shard->batch, KL_CF_ROW, kl_key_view(&k), kl_buf_view(&d->w->row));
        if (d->t->n_pk > 0) {
            KL_TRY(pk_of(d, row));
            kl_key_pk(&k, &d->scope, d->t->id, kl_buf_view(&d->w->pk));
            kl_batch_del(d->shard->batch, KL_CF_PK, kl_key_view(&k));
        }
    }
    d->cmd->affected++;
    return tell(d, KL_CHANGE_DELETE, seq, x->seq, kl_buf_view(&d->w->row), x->bytes);
}

static enum kl_rc update_or_delete(struct dml *d) {
    const struct kl_plan *plan = d->cmd->bound->plan;
    struct matches m = {.end = &m.first};
    struct kl_val *row = KL_ARENA_ARRAY(&d->w->scratch, struct kl_val, plan->dml->n_slots);
    struct kl_val *vals = KL_ARENA_ARRAY(&d->w->scratch, struct kl_val, d->t->n_cols);
    if (row == NULL || vals == NULL) {
        return kl_fail(d->err, KL_E_NOMEM, "out of memory");
    }
    d->ev.row = row;
    if (d->t->type == KL_TABLE_STREAM) {
        KL_TRY(collect_stream(d, row, &m));
    } else if (plan->access.pk != NULL) {
        KL_TRY(collect_point(d, row, &m));
    } else {
        KL_TRY(collect_scan(d, row, &m));
    }
    for (const struct match *x = m.first; x != NULL; x = x->next) {
        struct kl_arena_mark mark = kl_arena_mark(&d->w->scratch);
        KL_TRY(plan->kind == KL_PLAN_UPDATE ? update_one(d, x, row, vals) : delete_one(d, x, row));
        kl_arena_rewind(&d->w->scratch, mark);
    }
    return KL_OK;
}

enum kl_rc kl__dml_apply(struct kl__cmd *c, struct kl__writer *w, struct kl__shard *s) {
    struct kl__write *x = KL_CONTAINER_OF(c, struct kl__write, cmd);
    const struct kl_plan *plan = x->bound->plan;
    struct kl_table *t = kl_cat_table_by_id(w->cat, plan->table->id);
    if (t == NULL || t->version != plan->table->version) {
        return KL_E_STALE_PLAN;
    }
    if (x->cancelled != NULL && *x->cancelled) {
        return kl_fail(&c->err, KL_E_CANCELLED, "the client has gone");
    }
    struct dml d = {
        .cmd = x, .w = w, .shard = s, .t = t, .err = &c->err,
        .scope = kl_table_scope(t, x->session->user, w->engine->user_shards),
        .ev = {.params = x->bound->vals, .n_params = x->bound->n_vals, .session = x->session, .now_us = x->now_us,
            .ids = w->engine->o.ids, .arena = &w->scratch},
    };
    x->affected = 0;
    w->engine->writes++;
    return plan->kind == KL_PLAN_INSERT ? insert(&d) : update_or_delete(&d);
}
