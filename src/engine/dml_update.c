/* UPDATE and DELETE: collect what is chosen, then write, so that no iterator sees its own writes.
 *
 * What is chosen: rows that the native filter passes, reached by key, by index or by a scan; or rows whose _seq a query delivered (UPDATE .. FROM,
 * DELETE .. USING, conditions that only DuckDB evaluates). Such a query ran a moment ago at a snapshot: a row that has a newer version by now ends
 * the command with KL_E_AGAIN, and the query runs again. */
#include "engine/dml_internal.h"

#include <stdlib.h>

struct match {
    struct match *next;
    int64_t seq;
    struct kl_slice bytes;      /* of the old row, in the scratch arena */
    const struct kl_val *given; /* new values from the query, or NULL */
};
struct matches {
    struct match *first, **end;
    size_t n;
};

static enum kl_rc no_room(struct kl__dml *d) {
    return kl_fail(d->err, KL_E_TOO_LARGE, "the statement changes more rows than fit into memory; change fewer at a time");
}

static enum kl_rc choose(struct kl__dml *d, struct kl_slice bytes, int64_t seq, const struct kl_val *given, struct matches *m) {
    struct match *x = KL_ARENA_NEW(&d->w->scratch, struct match);
    if (x != NULL) {
        x->bytes = kl_arena_dup(&d->w->scratch, bytes);
    }
    if (x == NULL || x->bytes.ptr == NULL) {
        return no_room(d);
    }
    x->seq = seq;
    x->given = given;
    *m->end = x;
    m->end = &x->next;
    m->n++;
    return KL_OK;
}

static enum kl_rc consider(struct kl__dml *d, struct kl_slice bytes, int64_t seq, struct kl_val *row, struct matches *m) {
    struct kl_row_view view;
    bool hit;
    struct kl_arena_mark mark = kl_arena_mark(&d->w->scratch);
    KL_TRY(kl__dml_open_row(d, bytes, seq, &view, row));
    KL_TRY(kl_expr_test_row(d->cmd->bound->plan->dml->filter, &d->ev, &hit, d->err));
    kl_arena_rewind(&d->w->scratch, mark);
    return hit ? choose(d, bytes, seq, NULL, m) : KL_OK;
}

/* ---- reaching rows ---- */

static enum kl_rc chosen_seqs(struct kl__dml *d, struct kl_source *src, struct kl_val *row, struct matches *m) {
    const struct kl_expr *filter = d->cmd->bound->plan->dml->filter;
    enum kl_rc rc = KL_OK;
    for (size_t i = 0; rc == KL_OK; i++) {
        struct kl_arena_mark mark = kl_arena_mark(&d->w->scratch);
        bool hit = false;
        rc = kl__dml_check_stop(d, i);
        rc = rc == KL_OK ? src->next(src, row, d->err) : rc;
        rc = rc == KL_OK ? kl_expr_test_row(filter, &d->ev, &hit, d->err) : rc;
        kl_arena_rewind(&d->w->scratch, mark);
        if (rc == KL_OK && hit) {
            rc = choose(d, KL_SLICE_NONE, row[d->t->n_cols].i, NULL, m);
        }
    }
    return rc == KL_E_END ? KL_OK : rc;
}

/* By primary key: the row is looked up once. */
static enum kl_rc collect_point(struct kl__dml *d, struct kl_val *row, struct matches *m) {
    struct kl_val key[KL_PK_COLS_MAX];
    struct kl_slice bytes;
    bool none;
    int64_t seq;
    KL_TRY(kl_sql_point_key(d->cmd->bound->plan->access.pk, d->t, &d->ev, key, &none, d->err));
    if (none) {
        return KL_OK;
    }
    for (size_t i = 0; i < d->t->n_pk; i++) {
        row[d->t->pk[i]] = key[i];
    }
    enum kl_rc rc = kl__dml_find_key(d, row, &seq);
    if (rc == KL_E_NOT_FOUND) {
        return KL_OK;
    }
    KL_TRY(rc);
    rc = kl__dml_get_row(d, seq, &bytes);
    if (rc == KL_E_NOT_FOUND) {
        return kl_fail(d->err, KL_E_CORRUPT, "primary key entry of table %s points nowhere", d->t->qualified.ptr);
    }
    KL_TRY(rc);
    return consider(d, bytes, seq, row, m);
}

/* By index or by a scan, as the plan says; then the rows' bytes, which no iterator holds any more. */
static enum kl_rc collect_stored(struct kl__dml *d, struct kl_val *row, struct matches *m) {
    const struct kl_plan *p = d->cmd->bound->plan;
    struct kl_source *src;
    struct kl_scan scan = {
        .table = d->t, .user = d->scope.user, .batch = d->shard->batch, .slots = p->dml->slots, .n_slots = p->dml->n_slots, .arena = &d->w->scratch,
    };
    KL_TRY(kl__open_path(d->w->engine, &scan, &p->access, &d->ev, NULL, &src, d->err));
    enum kl_rc rc = chosen_seqs(d, src, row, m);
    src->close(src);
    for (struct match *x = m->first; rc == KL_OK && x != NULL; x = x->next) {
        struct kl_slice bytes;
        rc = kl__dml_get_row(d, x->seq, &bytes);
        if (rc == KL_E_NOT_FOUND) {
            return kl_fail(d->err, KL_E_CORRUPT, "an entry of table %s points nowhere", d->t->qualified.ptr);
        }
        x->bytes = rc == KL_OK ? kl_arena_dup(&d->w->scratch, bytes) : bytes;
        if (rc == KL_OK && x->bytes.ptr == NULL) {
            return no_room(d);
        }
    }
    return rc;
}

static enum kl_rc stream_rows(struct kl__dml *d, struct kl__stream_row **ret, size_t *ret_n) {
    return kl__stream_read(d->shard->streams, d->t->id, d->scope.user, 0, 0, &d->w->scratch, ret, ret_n, d->err);
}

static enum kl_rc collect_stream(struct kl__dml *d, struct kl_val *row, struct matches *m) {
    struct kl__stream_row *rows;
    size_t n;
    KL_TRY(stream_rows(d, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        KL_TRY(kl__dml_check_stop(d, i));
        KL_TRY(consider(d, rows[i].bytes, rows[i].seq, row, m));
    }
    return KL_OK;
}

/* ---- rows that a query chose ---- */

static int by_seq(const void *a, const void *b) {
    const struct kl_val *const *x = a, *const *y = b;
    return (*x)->i < (*y)->i ? -1 : (*x)->i > (*y)->i ? 1 : *x < *y ? -1 : *x > *y; /* equal: as delivered */
}

static enum kl_rc given_row(struct kl__dml *d, const struct kl_val *given, const struct kl__stream_row *stream, size_t n_stream, struct matches *m) {
    struct kl_slice bytes;
    if (d->t->type == KL_TABLE_STREAM) {
        for (size_t i = 0; i < n_stream; i++) {
            if (stream[i].seq == given->i) {
                return choose(d, stream[i].bytes, given->i, given, m);
            }
        }
        return KL_OK; /* expired meanwhile: gone either way */
    }
    enum kl_rc rc = kl__dml_get_row(d, given->i, &bytes);
    if (rc == KL_E_NOT_FOUND) {
        return KL_E_AGAIN;
    }
    return rc == KL_OK ? choose(d, bytes, given->i, given, m) : rc;
}

static enum kl_rc collect_given(struct kl__dml *d, struct matches *m) {
    const struct kl__rows *rows = d->cmd->given;
    const struct kl_val **list = KL_ARENA_ARRAY(&d->w->scratch, const struct kl_val *, rows->n + 1), *vals;
    struct kl__rows_pos pos = {0};
    struct kl__stream_row *stream = NULL;
    size_t n = 0, n_stream = 0;
    if (list == NULL) {
        return no_room(d);
    }
    if (d->t->type == KL_TABLE_STREAM) {
        KL_TRY(stream_rows(d, &stream, &n_stream));
    }
    while ((vals = kl__rows_next(rows, &pos)) != NULL) {
        list[n++] = vals;
    }
    qsort(list, n, sizeof(*list), by_seq);
    for (size_t i = 0; i < n; i++) {
        KL_TRY(kl__dml_check_stop(d, i));
        if (i == 0 || list[i]->i != list[i - 1]->i) {
            KL_TRY(given_row(d, list[i], stream, n_stream, m));
        }
    }
    return KL_OK;
}

/* ---- writing ---- */

static enum kl_rc update_one(struct kl__dml *d, const struct match *x, struct kl_val *row, struct kl_val *vals) {
    struct kl_row_view view;
    bool changed;
    KL_TRY(kl__dml_open_row(d, x->bytes, x->seq, &view, row));
    memcpy(vals, row, (d->t->n_cols + 1) * sizeof(*vals));
    KL_TRY(x->given != NULL ? kl_sql_update_given(d->cmd->bound, x->given + 1, &d->ev, vals, &changed, d->err)
                            : kl_sql_update_row(d->cmd->bound, &d->ev, vals, &changed, d->err));
    if (changed) {
        KL_TRY(kl__dml_replace(d, x->bytes, &view, row, vals));
    }
    return kl__dml_return(d, vals);
}

static enum kl_rc delete_stored(struct kl__dml *d, const struct match *x, const struct kl_val *row, int64_t seq) {
    struct kl_key k;
    kl_key_row(&k, &d->scope, d->t->id, x->seq);
    kl_batch_del(d->shard->batch, KL_CF_ROW, kl_key_view(&k));
    kl_key_row(&k, &d->scope, d->t->id, seq);
    kl_batch_put(d->shard->batch, KL_CF_ROW, kl_key_view(&k), kl_buf_view(&d->w->row));
    if (d->t->n_pk > 0) {
        KL_TRY(kl__dml_drop_key(d, row));
    }
    return kl__index_row_removed(d, row, x->seq);
}

static enum kl_rc delete_one(struct kl__dml *d, const struct match *x, struct kl_val *row) {
    struct kl_row_view view;
    int64_t seq = kl__dml_next_seq(d);
    KL_TRY(kl__dml_open_row(d, x->bytes, x->seq, &view, row));
    kl_buf_clear(&d->w->row);
    KL_TRY(kl_row_to_tombstone(x->bytes, &view.head, seq, &d->w->row));
    if (d->t->type != KL_TABLE_STREAM) {
        KL_TRY(delete_stored(d, x, row, seq));
    } else if (!kl__stream_remove(d->shard->streams, d->t->id, d->scope.user, x->seq)) {
        return KL_OK;
    }
    d->cmd->affected++;
    return kl__dml_tell(d, KL_CHANGE_DELETE, seq, x->seq, kl_buf_view(&d->w->row), x->bytes);
}

/* RETURNING of a DELETE comes first: it may fail, and a STREAM row that is gone does not come back. */
static enum kl_rc return_deleted(struct kl__dml *d, const struct matches *m, struct kl_val *row) {
    struct kl_row_view view;
    if (d->cmd->returning == NULL) {
        return KL_OK;
    }
    for (const struct match *x = m->first; x != NULL; x = x->next) {
        struct kl_arena_mark mark = kl_arena_mark(&d->w->scratch);
        KL_TRY(kl__dml_open_row(d, x->bytes, x->seq, &view, row));
        KL_TRY(kl__dml_return(d, row));
        kl_arena_rewind(&d->w->scratch, mark);
    }
    return KL_OK;
}

enum kl_rc kl__dml_update_delete(struct kl__dml *d) {
    const struct kl_plan *plan = d->cmd->bound->plan;
    struct matches m = {.end = &m.first};
    struct kl_val *row = KL_ARENA_ARRAY(&d->w->scratch, struct kl_val, d->t->n_cols + 1);
    struct kl_val *vals = KL_ARENA_ARRAY(&d->w->scratch, struct kl_val, d->t->n_cols + 1);
    if (row == NULL || vals == NULL) {
        return kl_fail(d->err, KL_E_NOMEM, "out of memory");
    }
    d->ev.row = row;
    if (d->cmd->given != NULL) {
        KL_TRY(collect_given(d, &m));
    } else if (d->t->type == KL_TABLE_STREAM) {
        KL_TRY(collect_stream(d, row, &m));
    } else if (plan->access.pk != NULL) {
        KL_TRY(collect_point(d, row, &m));
    } else {
        KL_TRY(collect_stored(d, row, &m));
    }
    size_t i = 0;
    KL_TRY(plan->kind == KL_PLAN_DELETE ? return_deleted(d, &m, row) : KL_OK);
    for (const struct match *x = m.first; x != NULL; x = x->next) {
        struct kl_arena_mark mark = kl_arena_mark(&d->w->scratch);
        KL_TRY(kl__dml_check_stop(d, i++));
        KL_TRY(plan->kind == KL_PLAN_UPDATE ? update_one(d, x, row, vals) : delete_one(d, x, row));
        kl_arena_rewind(&d->w->scratch, mark);
    }
    return KL_OK;
}
