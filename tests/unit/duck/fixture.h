/* Tables in memory and a sink that writes down what it gets: for tests of queries. Rows of a result
 * are text, columns separated by '|', rows by '\n', NULL as "NULL". */
#ifndef TESTS_DUCK_FIXTURE_H
#define TESTS_DUCK_FIXTURE_H

#include "duck/duck.h"
#include <stdlib.h>

struct mem_table {
    const struct kl_sink_col *cols;
    size_t n_cols;
    const struct kl_val *vals; /* n_rows * n_cols */
    size_t n_rows;
    /* what the test sees */
    unsigned opens, live;
    unsigned last_needed;
    size_t fail_at; /* row at which next fails; 0: never */
};
struct mem_source {
    struct kl_source base;
    struct mem_table *table;
    size_t at, n_needed;
    unsigned needed[];
};
static inline enum kl_rc mem_next(struct kl_source *base, struct kl_val *row, struct kl_err *err) {
    struct mem_source *s = (struct mem_source *)base;
    if (s->at == s->table->n_rows) {
        return KL_E_END;
    }
    if (s->table->fail_at && s->at + 1 == s->table->fail_at) {
        return kl_fail(err, KL_E_IO, "the disk went away");
    }
    for (size_t i = 0; i < s->n_needed; i++) {
        row[i] = s->table->vals[s->at * s->table->n_cols + s->needed[i]];
    }
    s->at++;
    return KL_OK;
}
static inline void mem_close(struct kl_source *base) {
    struct mem_source *s = (struct mem_source *)base;
    s->table->live--;
    free(s);
}
static inline struct kl_source *mem_open(struct mem_table *t, const unsigned *needed, size_t n) {
    struct mem_source *s = kl_xcalloc(1, sizeof(*s) + n * sizeof(unsigned));
    s->base.next = mem_next;
    s->base.close = mem_close;
    s->table = t;
    s->n_needed = n;
    memcpy(s->needed, needed, n * sizeof(unsigned));
    t->opens++;
    t->live++;
    t->last_needed = (unsigned)n;
    return &s->base;
}
/* ctx of a query: an array of mem_table pointers, one a scan */
static inline enum kl_rc mem_open_scan(void *ctx, size_t scan, const unsigned *needed, size_t n,
    struct kl_source **ret, struct kl_err *err) {
    *ret = mem_open(((struct mem_table **)ctx)[scan], needed, n);
    return KL_OK;
}

struct text_sink {
    struct kl_sink base;
    struct kl_buf names, types, rows;
    size_t n_cols;
    uint64_t n_rows, stop_at; /* stop_at: fails with TOO_LARGE after so many rows; 0: never */
    bool ended;
    bool quiet; /* only counts */
};
static inline enum kl_rc text_begin(
    struct kl_sink *base, const struct kl_sink_col *cols, size_t n, struct kl_err *err) {
    struct text_sink *s = (struct text_sink *)base;
    s->n_cols = n;
    for (size_t i = 0; i < n; i++) {
        kl_buf_puts(&s->names, i ? "," : "");
        kl_buf_slice(&s->names, cols[i].name);
        kl_buf_puts(&s->types, i ? "," : "");
        kl_type_sql_name(cols[i].type, &s->types);
    }
    return KL_OK;
}
static inline enum kl_rc text_row(
    struct kl_sink *base, const struct kl_val *vals, struct kl_err *err) {
    struct text_sink *s = (struct text_sink *)base;
    s->n_rows++;
    if (s->stop_at && s->n_rows > s->stop_at) {
        return kl_fail(err, KL_E_TOO_LARGE, "enough");
    }
    for (size_t i = 0; i < s->n_cols && !s->quiet; i++) {
        kl_buf_puts(&s->rows, i ? "|" : "");
        if (vals[i].null) {
            kl_buf_puts(&s->rows, "NULL");
        } else {
            kl_val_to_text(&vals[i], &s->rows);
        }
    }
    if (!s->quiet) {
        kl_buf_putc(&s->rows, '\n');
    }
    return KL_OK;
}
static inline void text_end(struct kl_sink *base, uint64_t n) {
    struct text_sink *s = (struct text_sink *)base;
    s->ended = true;
    KL_ASSERT(n == s->n_rows);
}
static inline void text_message(struct kl_sink *base, uint64_t n, struct kl_slice m) {}
static inline void text_sink_init(struct text_sink *s) {
    *s = (struct text_sink){.base = {text_begin, text_row, text_end, text_message}};
    kl_buf_init(&s->names, 0);
    kl_buf_init(&s->types, 0);
    kl_buf_init(&s->rows, 0);
}
static inline void text_sink_deinit(struct text_sink *s) {
    kl_buf_deinit(&s->names);
    kl_buf_deinit(&s->types);
    kl_buf_deinit(&s->rows);
}
static inline const char *text_of(struct kl_buf *b) {
    kl_buf_putc(b, 0);
    b->len--;
    return b->data;
}

#endif
