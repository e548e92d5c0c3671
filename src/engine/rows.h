/* Rows kept in memory between two steps of a statement: what a query inside a write delivers, what RETURNING will answer. */
#ifndef KL_ENGINE_ROWS_H
#define KL_ENGINE_ROWS_H

#include "types/rows.h"

#define KL__ROWS_MAX_BYTES ((size_t)512 << 20)

/* A sink that keeps what it is given; one owner, any one thread at a time. */
struct kl__rows {
    struct kl_sink sink;
    struct kl_arena arena; /* values and arrays */
    struct kl_sink_col *cols;
    size_t n_cols;
    struct kl__rows_chunk *first, *last;
    size_t n;
};
struct kl__rows *kl__rows_new(void);
void kl__rows_free(struct kl__rows *r); /* accepts NULL */
/* Empties it, so that it can be filled again. */
void kl__rows_clear(struct kl__rows *r);
/* Into another sink: begin, rows, end. */
enum kl_rc kl__rows_send(const struct kl__rows *r, struct kl_sink *to, struct kl_err *err);

/* Row after row: `struct kl__rows_pos p = {0}; while ((vals = kl__rows_next(r, &p)) != NULL)`. */
struct kl__rows_pos {
    const struct kl__rows_chunk *chunk;
    size_t i;
};
const struct kl_val *kl__rows_next(const struct kl__rows *r, struct kl__rows_pos *pos);

#endif
