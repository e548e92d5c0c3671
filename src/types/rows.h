/* Streams of rows between layers: a source is pulled, a sink is pushed. Both are small structs of function pointers that
 * the implementer embeds. One thread at a time. */
#ifndef KL_TYPES_ROWS_H
#define KL_TYPES_ROWS_H

#include "types/types.h"

/* A scan. What the slots of a row mean is agreed when the source is opened (a list of columns). */
struct kl_source {
    /* Fills row[0..n_slots). KL_E_END after the last. Values are borrowed until the next call. */
    enum kl_rc (*next)(struct kl_source *s, struct kl_val *row, struct kl_err *err);
    void (*close)(struct kl_source *s); /* frees it; never NULL */
    /* A source that can take rows apart step by step: after next() filled row[0..n_first), this fills row[from..to) of the same row. NULL: next()
     * fills everything, whatever n_first is. */
    enum kl_rc (*fill)(struct kl_source *s, size_t from, size_t to, struct kl_val *row, struct kl_err *err);
    size_t n_first; /* opened with all the slots; whoever calls fill() lowers it before the first next() */
};

enum kl_col_flag { KL_COL_PK = 1, KL_COL_NOT_NULL = 2, KL_COL_UNIQUE = 4 };
struct kl_sink_col {
    struct kl_slice name;
    struct kl_type type;
    uint8_t flags; /* enum kl_col_flag */
};
/* A result: begin, any number of rows, end. A row result may come from any thread, one at a time. */
struct kl_sink {
    enum kl_rc (*begin)(struct kl_sink *s, const struct kl_sink_col *cols, size_t n, struct kl_err *err);
    /* KL_E_TOO_LARGE past the result limit, KL_E_CANCELLED when nobody listens any more: the producer stops. */
    enum kl_rc (*row)(struct kl_sink *s, const struct kl_val *vals, struct kl_err *err);
    void (*end)(struct kl_sink *s, uint64_t row_count);
    /* A statement without rows: affected rows and a sentence. */
    void (*message)(struct kl_sink *s, uint64_t row_count, struct kl_slice message);
};

#endif
