/* Rows in memory, see rows.h: chunks of rows in an arena with a limit. */
#include "engine/rows.h"

#include <stdlib.h>

#define CHUNK_ROWS 256

struct kl__rows_chunk {
    struct kl__rows_chunk *next;
    size_t n;
    struct kl_val vals[];
};

static enum kl_rc too_large(struct kl_err *err) {
    return kl_fail(err, KL_E_TOO_LARGE, "the statement's rows do not fit into memory (%zu MiB); work on fewer at a time",
        KL__ROWS_MAX_BYTES >> 20);
}

static enum kl_rc rows_begin(struct kl_sink *s, const struct kl_sink_col *cols, size_t n, struct kl_err *err) {
    struct kl__rows *r = KL_CONTAINER_OF(s, struct kl__rows, sink);
    r->cols = KL_ARENA_ARRAY(&r->arena, struct kl_sink_col, n + 1);
    if (r->cols == NULL) {
        return too_large(err);
    }
    r->n_cols = n;
    for (size_t i = 0; i < n; i++) {
        r->cols[i] = cols[i];
        r->cols[i].name = kl_arena_dup(&r->arena, cols[i].name);
        if (r->cols[i].name.ptr == NULL) {
            return too_large(err);
        }
    }
    return KL_OK;
}

static struct kl_val *new_row(struct kl__rows *r) {
    if (r->last == NULL || r->last->n == CHUNK_ROWS) {
        size_t rows = KL_MAX((size_t)1, CHUNK_ROWS * r->n_cols) * sizeof(struct kl_val);
        struct kl__rows_chunk *c = kl_arena_alloc(&r->arena, sizeof(*c) + rows);
        if (c == NULL) {
            return NULL;
        }
        c->next = NULL;
        c->n = 0;
        *(r->last != NULL ? &r->last->next : &r->first) = c;
        r->last = c;
    }
    r->n++;
    return &r->last->vals[r->last->n++ * r->n_cols];
}

static enum kl_rc rows_row(struct kl_sink *s, const struct kl_val *vals, struct kl_err *err) {
    struct kl__rows *r = KL_CONTAINER_OF(s, struct kl__rows, sink);
    struct kl_val *to = new_row(r);
    for (size_t i = 0; to != NULL && i < r->n_cols; i++) {
        if (!kl_val_dup(&r->arena, &vals[i], &to[i])) {
            to = NULL;
        }
    }
    return to != NULL ? KL_OK : too_large(err);
}

static void rows_end(struct kl_sink *s, uint64_t n) {
    (void)s;
    (void)n;
}

struct kl__rows *kl__rows_new(void) {
    struct kl__rows *r = kl_xcalloc(1, sizeof(*r));
    r->sink = (struct kl_sink){rows_begin, rows_row, rows_end, NULL};
    kl_arena_init(&r->arena, KL__ROWS_MAX_BYTES);
    return r;
}

void kl__rows_free(struct kl__rows *r) {
    if (r != NULL) {
        kl_arena_deinit(&r->arena);
        free(r);
    }
}

void kl__rows_clear(struct kl__rows *r) {
    kl_arena_reset(&r->arena);
    r->cols = NULL;
    r->n_cols = r->n = 0;
    r->first = r->last = NULL;
}

const struct kl_val *kl__rows_next(const struct kl__rows *r, struct kl__rows_pos *pos) {
    if (pos->chunk == NULL) {
        pos->chunk = r->first;
    } else if (pos->i == pos->chunk->n) {
        pos->chunk = pos->chunk->next;
        pos->i = 0;
    }
    if (pos->chunk == NULL || pos->chunk->n == 0) {
        return NULL;
    }
    return &pos->chunk->vals[pos->i++ * r->n_cols];
}

enum kl_rc kl__rows_send(const struct kl__rows *r, struct kl_sink *to, struct kl_err *err) {
    struct kl__rows_pos pos = {0};
    const struct kl_val *vals;
    KL_TRY(to->begin(to, r->cols, r->n_cols, err));
    while ((vals = kl__rows_next(r, &pos)) != NULL) {
        KL_TRY(to->row(to, vals, err));
    }
    to->end(to, r->n);
    return KL_OK;
}
