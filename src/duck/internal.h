/* Shared inside duck/ only. Everything here belongs to the one thread of its kl_duck, the watch
 * list excepted. */
#ifndef KL_DUCK_INTERNAL_H
#define KL_DUCK_INTERNAL_H

#include "duck/duck.h"
#include "duck/lib.h"

/* One prepared statement, kept by plan id. Linked from most to least recently used. */
struct kl_duck_plan {
    struct kl_duck_plan *newer, *older;
    uint64_t id;
    duckdb_prepared_statement stmt;
    size_t n_params; /* that the text names; our $7 may be DuckDB's $1 */
    struct kl_duck_param {
        size_t number;       /* ours, from 1 */
        struct kl_type type; /* what the engine wants; KL_T_NULL: it has not decided */
    } * params;
};

/* Which of the registered objects is a callback about. */
struct kl_duck_slot {
    struct kl_duck *duck;
    size_t index;
};

struct kl_duck_native_slot; /* functions_native.c */

struct kl_duck {
    struct kl_duck_options options;
    char *temp_dir; /* owned copy, or NULL */
    duckdb_database db;
    duckdb_connection con;
    const struct kl_duck_query *query; /* the one that runs; NULL between */
    struct kl_err failure; /* the first error of a source, sink, limit: more telling than DuckDB's
                              wording of it */
    struct kl_duck_scan_state *open_scans;
    bool broken; /* DuckDB reported an internal error: made anew before the next query */
    struct kl_duck_slot slots[KL_DUCK_MAX_SCANS];
    struct kl_duck_native_slot *natives; /* owned */
    /* Cells of a native function's call. Here, since an exception of DuckDB's may pass the call's end. */
    struct kl_arena native_arena;
    /* prepared statements */
    struct kl_map plans;
    struct kl_duck_plan *newest, *oldest;
    /* guarded by the watch lock */
    struct kl_duck *watch_next;
    bool watched;
    enum kl_rc watch_verdict; /* KL_OK, KL_E_TIMEOUT or KL_E_CANCELLED */
};

/* ---- instance.c ---- */
/* Remembers the first failure of the running query; returns its code. */
enum kl_rc kl_duck__fail(struct kl_duck *d, const struct kl_err *err);
/* KL_E_TIMEOUT or KL_E_CANCELLED when the running query should stop. */
enum kl_rc kl_duck__check(struct kl_duck *d, struct kl_err *err);
#define KL_DUCK__TOO_LARGE "the query needs more memory than its limit allows"
/* What the cells of one vector may hold: DuckDB does not count them against its limit. */
size_t kl_duck__vector_bytes(const struct kl_duck *d);
enum kl_rc kl_duck__reopen_if_broken(struct kl_duck *d, struct kl_err *err);

/* ---- prepared.c ---- */
enum kl_rc kl_duck__prepare(struct kl_duck *d, const struct kl_duck_query *q,
    struct kl_duck_plan **ret, struct kl_err *err);
void kl_duck__forget(struct kl_duck *d, struct kl_duck_plan *p);
void kl_duck__forget_all(struct kl_duck *d);
enum kl_rc kl_duck__bind_params(
    struct kl_duck_plan *p, const struct kl_duck_query *q, struct kl_err *err);

/* ---- watch.c: interrupts queries that nobody asks for any more ---- */
void kl_duck__watch_open(void);
void kl_duck__watch_close(void);
void kl_duck__watch_begin(struct kl_duck *d);
enum kl_rc kl_duck__watch_end(struct kl_duck *d); /* the verdict */

/* ---- types.c ---- */
/* Owned by the caller; NULL for a type that no column can have. */
duckdb_logical_type kl_duck__logical(struct kl_type t);
/* Ours for a type of DuckDB's; nested types and those without a twin become TEXT. */
struct kl_type kl_duck__type_of(duckdb_logical_type t);
bool kl_duck__is_json(duckdb_logical_type t);

/* ---- scan.c, functions.c: registered once an instance ---- */
void kl_duck__close_sources(struct kl_duck *d);
enum kl_rc kl_duck__register_scans(struct kl_duck *d, struct kl_err *err);
enum kl_rc kl_duck__register_functions(struct kl_duck *d, struct kl_err *err);
duckdb_state kl_duck__register_decimals(struct kl_duck *d); /* functions_decimal.c */
duckdb_state kl_duck__register_natives(struct kl_duck *d);  /* functions_native.c */
duckdb_state kl_duck__register_texts(struct kl_duck *d);    /* functions_text.c */
/* Inside a scalar function: the statement fails for this reason. */
void kl_duck__function_fail(duckdb_function_info info, enum kl_rc rc, const char *text);

/* ---- write.c: our values into DuckDB's vectors ---- */
struct kl_duck_writer {
    struct kl_type type;
    duckdb_vector vec;
    void *data;
    uint64_t *validity; /* NULL until the first NULL */
    float *floats;      /* EMBEDDING: elements of the child */
    size_t bytes;       /* of texts that the vector holds outside of its cells */
};
void kl_duck__writer_init(struct kl_duck_writer *w, struct kl_type t, duckdb_vector vec);
/* KL_E_CORRUPT when the value is not of the writer's type. */
enum kl_rc kl_duck__write(struct kl_duck_writer *w, size_t row, const struct kl_val *v);

/* ---- read.c: DuckDB's vectors into our values ---- */
struct kl_duck_reader {
    duckdb_type id;
    uint8_t width, scale;        /* DECIMAL */
    duckdb_type internal;        /* DECIMAL, ENUM */
    struct kl_type type;         /* what comes out */
    duckdb_logical_type logical; /* owned */
};
void kl_duck__reader_init(struct kl_duck_reader *r, duckdb_logical_type owned);
void kl_duck__reader_deinit(struct kl_duck_reader *r);
/* One column of one chunk. */
struct kl_duck_column {
    const struct kl_duck_reader *reader;
    duckdb_vector vec;
    const void *data;
    const uint64_t *validity;
};
void kl_duck__column_init(
    struct kl_duck_column *c, const struct kl_duck_reader *r, duckdb_vector vec);
/* Borrows from the chunk and the arena. KL_E_TYPE: out of our range. */
enum kl_rc kl_duck__read(const struct kl_duck_column *c, size_t row, struct kl_arena *arena,
    struct kl_val *ret, struct kl_err *err);
static inline bool kl_duck__valid(const uint64_t *validity, size_t row) {
    return !validity || (validity[row / 64] >> (row % 64) & 1);
}

/* ---- nested.c: LIST, STRUCT, MAP and friends as JSON text ---- */
void kl_duck__nested_json(
    duckdb_vector vec, duckdb_logical_type t, size_t row, unsigned depth, struct kl_buf *out);

/* ---- errors.c ---- */
/* Translates DuckDB's text into ours. */
enum kl_rc kl_duck__error(const char *text, struct kl_err *err);
bool kl_duck__error_breaks(const char *text); /* the instance cannot be used afterwards */

#endif
