/* One query from prepare to the last row. Results stream: DuckDB is asked for a chunk at a time,
 * and a sink that stops the query stops the scans too. Everything DuckDB holds for the execution,
 * the opened sources included, is gone at return. */
#include "duck/internal.h"

#include <stdlib.h>

#define ROW_ARENA_BYTES ((size_t)64 << 20)

struct run {
    struct kl_duck *d;
    duckdb_result result;
    struct kl_duck_reader *readers;
    struct kl_duck_column *columns;
    struct kl_sink_col *cols;
    struct kl_val *row;
    size_t n_cols;
    uint64_t n_rows;
    struct kl_arena arena;
};

static void run_alloc(struct run *r, const struct kl_duck_query *q) {
    r->n_cols = kl_dk.column_count(&r->result);
    r->readers = kl_xcalloc(r->n_cols + 1, sizeof(*r->readers));
    r->columns = kl_xcalloc(r->n_cols + 1, sizeof(*r->columns));
    r->cols = kl_xcalloc(r->n_cols + 1, sizeof(*r->cols));
    r->row = kl_xcalloc(r->n_cols + 1, sizeof(*r->row));
    for (size_t i = 0; i < r->n_cols; i++) {
        kl_duck__reader_init(&r->readers[i], kl_dk.column_logical_type(&r->result, i));
        r->cols[i] = (struct kl_sink_col){
            .name = kl_slice_str(kl_dk.column_name(&r->result, i)),
            .type = r->readers[i].type,
            .flags = q->n_flags == r->n_cols ? q->flags[i] : 0,
        };
    }
}

static void run_deinit(struct run *r) {
    for (size_t i = 0; i < r->n_cols; i++) {
        kl_duck__reader_deinit(&r->readers[i]);
    }
    free(r->readers);
    free(r->columns);
    free(r->cols);
    free(r->row);
    kl_arena_deinit(&r->arena);
    kl_dk.destroy_result(&r->result);
}

static enum kl_rc push_chunk(
    struct run *r, duckdb_data_chunk chunk, struct kl_sink *sink, struct kl_err *err) {
    size_t n = kl_dk.data_chunk_get_size(chunk);
    for (size_t c = 0; c < r->n_cols; c++) {
        kl_duck__column_init(&r->columns[c], &r->readers[c], kl_dk.data_chunk_get_vector(chunk, c));
    }
    for (size_t i = 0; i < n; i++) {
        kl_arena_reset(&r->arena);
        for (size_t c = 0; c < r->n_cols; c++) {
            KL_TRY(kl_duck__read(&r->columns[c], i, &r->arena, &r->row[c], err));
        }
        KL_TRY(sink->row(sink, r->row, err));
        r->n_rows++;
    }
    return KL_OK;
}

/* What went wrong, in order of how much it says: our own callbacks, the limits, DuckDB. */
static enum kl_rc explain(struct kl_duck *d, const char *text, struct kl_err *err) {
    d->broken |= kl_duck__error_breaks(text);
    if (d->failure.rc != KL_OK) {
        if (err) {
            *err = d->failure;
        }
        return d->failure.rc;
    }
    KL_TRY(kl_duck__check(d, err));
    return kl_duck__error(text, err);
}

static enum kl_rc fetch_all(struct run *r, struct kl_sink *sink, struct kl_err *err) {
    for (;;) {
        duckdb_data_chunk chunk = kl_dk.fetch_chunk(r->result);
        if (!chunk) {
            const char *text = kl_dk.result_error(&r->result);
            return text && *text ? explain(r->d, text, err) : KL_OK;
        }
        enum kl_rc rc = kl_duck__check(r->d, err);
        if (rc == KL_OK) {
            rc = push_chunk(r, chunk, sink, err);
        }
        kl_dk.destroy_data_chunk(&chunk);
        if (rc != KL_OK) {
            return rc;
        }
    }
}

/* An unfinished stream keeps its operators, with all their memory, until the connection's next
 * statement: make it fail now. */
static void abandon(struct run *r) {
    kl_dk.interrupt(r->d->con);
    duckdb_data_chunk chunk = kl_dk.fetch_chunk(r->result);
    if (chunk) {
        kl_dk.destroy_data_chunk(&chunk);
    }
}

static enum kl_rc execute(
    struct kl_duck *d, struct kl_duck_plan *plan, struct kl_sink *sink, struct kl_err *err) {
    struct run r = {.d = d};
    kl_arena_init(&r.arena, ROW_ARENA_BYTES);
    enum kl_rc rc;
    if (kl_dk.execute_prepared_streaming(plan->stmt, &r.result) != DuckDBSuccess) {
        rc = explain(d, kl_dk.result_error(&r.result), err);
    } else {
        run_alloc(&r, d->query);
        rc = sink->begin(sink, r.cols, r.n_cols, err);
        if (rc == KL_OK) {
            rc = fetch_all(&r, sink, err);
        }
        if (rc != KL_OK) {
            abandon(&r);
        }
    }
    uint64_t n_rows = r.n_rows;
    run_deinit(&r);
    if (rc == KL_OK) {
        sink->end(sink, n_rows);
    }
    return rc;
}

static enum kl_rc run_query(
    struct kl_duck *d, const struct kl_duck_query *q, struct kl_sink *sink, struct kl_err *err) {
    KL_TRY(kl_duck__check(d, err));
    struct kl_duck_plan *plan;
    KL_TRY(kl_duck__prepare(d, q, &plan, err));
    KL_TRY(kl_duck__bind_params(plan, q, err));
    return execute(d, plan, sink, err);
}

enum kl_rc kl_duck_run(
    struct kl_duck *d, const struct kl_duck_query *q, struct kl_sink *sink, struct kl_err *err) {
    KL_ASSERT(!d->query);
    if (q->n_scans > KL_DUCK_MAX_SCANS) {
        return kl_fail(
            err, KL_E_UNSUPPORTED, "a statement can read at most %d tables", KL_DUCK_MAX_SCANS);
    }
    KL_TRY(kl_duck__reopen_if_broken(d, err));
    kl_err_clear(&d->failure);
    d->query = q;
    kl_duck__watch_begin(d);
    enum kl_rc rc = run_query(d, q, sink, err);
    enum kl_rc verdict = kl_duck__watch_end(d);
    kl_duck__close_sources(d);
    d->query = NULL;
    if (rc != KL_OK && verdict == KL_E_CANCELLED && rc != KL_E_CANCELLED) {
        rc = kl_fail(err, KL_E_CANCELLED, "canceling statement due to user request");
    } else if (rc != KL_OK && verdict == KL_E_TIMEOUT && rc != KL_E_TIMEOUT) {
        rc = kl_fail(err, KL_E_TIMEOUT, "canceling statement due to statement timeout");
    }
    return rc;
}
