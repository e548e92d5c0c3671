/* EXPLAIN: the plan's lines as rows of one column; with ANALYZE the statement runs first, in the query pool, into a sink that only counts. */
#include "engine/internal.h"

#include <stdlib.h>

/* ---- a sink that counts ---- */

struct counting {
    struct kl_sink sink;
    uint64_t rows;
};

static enum kl_rc count_begin(
    struct kl_sink *s, const struct kl_sink_col *cols, size_t n, struct kl_err *err) {
    return KL_OK;
}

static enum kl_rc count_row(struct kl_sink *s, const struct kl_val *vals, struct kl_err *err) {
    KL_CONTAINER_OF(s, struct counting, sink)->rows++;
    return KL_OK;
}

static void count_end(struct kl_sink *s, uint64_t rows) {}

static void count_message(struct kl_sink *s, uint64_t rows, struct kl_slice message) {}

/* ---- a source that counts ---- */

struct counted {
    struct kl_source source;
    struct kl_source *of;
    uint64_t *rows;
};

static enum kl_rc counted_next(struct kl_source *source, struct kl_val *row, struct kl_err *err) {
    struct counted *c = KL_CONTAINER_OF(source, struct counted, source);
    c->of->n_first = source->n_first;
    enum kl_rc rc = c->of->next(c->of, row, err);
    *c->rows += rc == KL_OK;
    return rc;
}

static enum kl_rc counted_fill(
    struct kl_source *source, size_t from, size_t to, struct kl_val *row, struct kl_err *err) {
    struct counted *c = KL_CONTAINER_OF(source, struct counted, source);
    return c->of->fill(c->of, from, to, row, err);
}

static void counted_close(struct kl_source *source) {
    struct counted *c = KL_CONTAINER_OF(source, struct counted, source);
    c->of->close(c->of);
    free(c);
}

struct kl_source *kl__count_rows(struct kl_source *of, uint64_t *rows) {
    struct counted *c = kl_xcalloc(1, sizeof(*c));
    c->source = (struct kl_source){.next = counted_next,
        .close = counted_close,
        .fill = of->fill ? counted_fill : NULL,
        .n_first = of->n_first};
    c->of = of;
    c->rows = rows;
    return &c->source;
}

/* ---- the answer ---- */

static enum kl_rc send_lines(struct kl_sink *sink, struct kl_slice text, struct kl_err *err) {
    static const struct kl_sink_col col = {KL_S("plan"), KL_TYPE(TEXT), KL_COL_NOT_NULL};
    uint64_t n = 0;
    KL_TRY(sink->begin(sink, &col, 1, err));
    while (text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len;
        struct kl_val v = kl_val_text(kl_slice(text.ptr, len));
        KL_TRY(sink->row(sink, &v, err));
        text = kl_slice_from(text, end ? len + 1 : len);
        n++;
    }
    sink->end(sink, n);
    return KL_OK;
}

static enum kl_rc answer(struct kl__run *r, struct kl_buf *text, struct kl_err *err) {
    return text->failed ? kl_fail(err, KL_E_NOMEM, "out of memory")
                        : send_lines(r->x->sink, kl_buf_view(text), err);
}

enum kl_rc kl__explain(struct kl__run *r, struct kl__stmt *s, struct kl_err *err) {
    struct kl_buf text;
    kl_buf_init(&text, 0);
    kl_sql_explain(s->bound.plan, &text);
    enum kl_rc rc = answer(r, &text, err);
    kl_buf_deinit(&text);
    return rc;
}

enum kl_rc kl__explain_analyze(
    struct kl__run *r, struct kl__stmt *s, struct kl__worker *w, struct kl_err *err) {
    struct counting out = {.sink = {count_begin, count_row, count_end, count_message}};
    uint64_t scanned = 0;
    struct kl_buf text;
    int64_t start = kl_clock_mono_ns();
    r->scanned = &scanned;
    enum kl_rc rc = s->bound.plan->kind == KL_PLAN_DUCK
                        ? kl__read_duck(r, s, &s->bound, &out.sink, w, err)
                        : kl__read_native(r, s, &s->bound, &out.sink, &w->scratch, false, err);
    r->scanned = NULL;
    KL_TRY(rc);
    int64_t us = (kl_clock_mono_ns() - start) / 1000;
    kl_buf_init(&text, 0);
    kl_sql_explain(s->bound.plan, &text);
    kl_buf_printf(&text, "\nRows read: %llu\nRows returned: %llu\nTime: %lld.%03lld ms",
        (unsigned long long)scanned, (unsigned long long)out.rows, (long long)(us / 1000),
        (long long)(us % 1000));
    rc = answer(r, &text, err);
    kl_buf_deinit(&text);
    return rc;
}
