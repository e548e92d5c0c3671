/* kl_scan_0() .. kl_scan_15(): table functions without arguments, so that one prepared plan serves
 * every caller.
 *
 * bind tells DuckDB the columns of scan n of the running query; it runs when a statement is
 * prepared and belongs to the plan. init runs at each execution (and at each round of a recursive
 * query): it opens the query's source for exactly the columns that are read. DuckDB may keep a
 * scan's state beyond the query that was stopped early, so the open sources are listed and
 * kl_duck_run closes what is left of them. */
#include "duck/internal.h"

#include <stdio.h>
#include <stdlib.h>

#define CHUNK_BYTES ((size_t)8 << 20) /* of long texts: a chunk with more has fewer rows */

struct kl_duck_scan_state {
    struct kl_duck *duck;
    struct kl_duck_scan_state *next_open, **at_open; /* the duck's list while there is a source */
    struct kl_source *source;                        /* NULL once it has ended */
    size_t n_cols;
    struct kl_val *row;
    struct kl_duck_writer *writers;
    struct kl_type types[];
};

static void close_source(struct kl_duck_scan_state *s) {
    if (!s->source) {
        return;
    }
    *s->at_open = s->next_open;
    if (s->next_open) {
        s->next_open->at_open = s->at_open;
    }
    s->source->close(s->source);
    s->source = NULL;
}

void kl_duck__close_sources(struct kl_duck *d) {
    while (d->open_scans) {
        close_source(d->open_scans);
    }
}

static void scan_state_free(void *p) {
    struct kl_duck_scan_state *s = p;
    close_source(s);
    free(s->row);
    free(s->writers);
    free(s);
}

static void scan_bind(duckdb_bind_info info) {
    struct kl_duck_slot *slot = kl_dk.bind_get_extra_info(info);
    const struct kl_duck_query *q = slot->duck->query;
    if (!q || slot->index >= q->n_scans) {
        kl_dk.bind_set_error(info, "the statement has no such table");
        return;
    }
    const struct kl_duck_scan *scan = &q->scans[slot->index];
    for (size_t i = 0; i < scan->n_cols; i++) {
        const struct kl_sink_col *col = &scan->cols[i];
        duckdb_logical_type type = kl_duck__logical(col->type);
        if (!type) {
            kl_dk.bind_set_error(info, "a column has a type that cannot be scanned");
            return;
        }
        kl_autofree char *name = kl_xprintf("%.*s", KL_FMT(col->name));
        kl_dk.bind_add_result_column(info, name, type);
        kl_dk.destroy_logical_type(&type);
    }
}

static void init_failed(struct kl_duck *d, duckdb_init_info info, struct kl_err *err) {
    kl_duck__fail(d, err);
    kl_dk.init_set_error(info, err->msg);
}

static void scan_init(duckdb_init_info info) {
    struct kl_duck_slot *slot = kl_dk.init_get_extra_info(info);
    struct kl_duck *d = slot->duck;
    const struct kl_duck_query *q = d->query;
    struct kl_err err = {0};
    if (!q || slot->index >= q->n_scans) {
        kl_fail(&err, KL_E_INTERNAL, "a scan was opened outside its query");
        init_failed(d, info, &err);
        return;
    }
    const struct kl_duck_scan *scan = &q->scans[slot->index];
    size_t n = kl_dk.init_get_column_count(info);
    unsigned needed[KL_DUCK_MAX_COLS];
    if (n > KL_DUCK_MAX_COLS) {
        kl_fail(&err, KL_E_UNSUPPORTED, "a table has more than %d columns", KL_DUCK_MAX_COLS);
        init_failed(d, info, &err);
        return;
    }
    struct kl_duck_scan_state *s = kl_xcalloc(1, sizeof(*s) + n * sizeof(s->types[0]));
    s->duck = d;
    s->n_cols = n;
    s->row = kl_xcalloc(n + 1, sizeof(*s->row));
    s->writers = kl_xcalloc(n + 1, sizeof(*s->writers));
    /* From here on DuckDB frees it, on every path. */
    kl_dk.init_set_init_data(info, s, scan_state_free);
    kl_dk.init_set_max_threads(info, 1);
    for (size_t i = 0; i < n; i++) {
        uint64_t col = kl_dk.init_get_column_index(info, i);
        if (col >= scan->n_cols) {
            kl_fail(&err, KL_E_EXEC,
                "column \"rowid\" does not exist"); /* DuckDB's own pseudo column */
            init_failed(d, info, &err);
            return;
        }
        needed[i] = (unsigned)col;
        s->types[i] = scan->cols[col].type;
    }
    if (q->open(q->ctx, slot->index, needed, n, &s->source, &err) != KL_OK) {
        s->source = NULL;
        init_failed(d, info, &err);
        return;
    }
    s->at_open = &d->open_scans;
    s->next_open = d->open_scans;
    if (s->next_open) {
        s->next_open->at_open = &s->next_open;
    }
    d->open_scans = s;
}

static enum kl_rc fill_chunk(
    struct kl_duck_scan_state *s, size_t max, size_t *ret_n, struct kl_err *err) {
    size_t row = 0, bytes = 0;
    for (; row < max && bytes < CHUNK_BYTES; row++) {
        enum kl_rc rc = s->source->next(s->source, s->row, err);
        if (rc == KL_E_END) {
            close_source(s);
            break;
        }
        if (rc != KL_OK) {
            if (err->rc != rc) {
                kl_fail(err, rc, "reading a table failed");
            }
            return rc;
        }
        bytes = 0;
        for (size_t c = 0; c < s->n_cols; c++) {
            if (kl_duck__write(&s->writers[c], row, &s->row[c]) != KL_OK) {
                return kl_fail(
                    err, KL_E_CORRUPT, "a row holds a value of another type than its column");
            }
            bytes += s->writers[c].bytes;
        }
    }
    *ret_n = row;
    return KL_OK;
}

static void scan_function(duckdb_function_info info, duckdb_data_chunk chunk) {
    struct kl_duck_scan_state *s = kl_dk.function_get_init_data(info);
    size_t n = 0;
    struct kl_err err = {0};
    if (s->source) {
        for (size_t c = 0; c < s->n_cols; c++) {
            kl_duck__writer_init(
                &s->writers[c], s->types[c], kl_dk.data_chunk_get_vector(chunk, c));
        }
        enum kl_rc rc = kl_duck__check(s->duck, &err);
        if (rc == KL_OK) {
            rc = fill_chunk(s, kl_dk.vector_size(), &n, &err);
        }
        if (rc != KL_OK) {
            kl_duck__fail(s->duck, &err);
            kl_dk.function_set_error(info, err.msg);
            n = 0;
        }
    }
    kl_dk.data_chunk_set_size(chunk, n);
}

enum kl_rc kl_duck__register_scans(struct kl_duck *d, struct kl_err *err) {
    for (size_t i = 0; i < KL_DUCK_MAX_SCANS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "kl_scan_%zu", i);
        d->slots[i] = (struct kl_duck_slot){.duck = d, .index = i};
        duckdb_table_function f = kl_dk.create_table_function();
        kl_dk.table_function_set_name(f, name);
        kl_dk.table_function_set_extra_info(f, &d->slots[i], NULL);
        kl_dk.table_function_set_bind(f, scan_bind);
        kl_dk.table_function_set_init(f, scan_init);
        kl_dk.table_function_set_function(f, scan_function);
        kl_dk.table_function_supports_projection_pushdown(f, true);
        duckdb_state state = kl_dk.register_table_function(d->con, f);
        kl_dk.destroy_table_function(&f);
        if (state != DuckDBSuccess) {
            return kl_fail(err, KL_E_INTERNAL, "cannot register %s", name);
        }
    }
    return KL_OK;
}
