/* The analytical executor: DuckDB in memory, one instance a worker thread, fed by our own scans,
 * locked. The only folder that includes duckdb.h. The library is loaded with dlopen at the first
 * kl_duck_new, so that a server that never needs it never pays.
 *
 * Isolation: a query can read nothing but its scans. SQL reaches this folder only printed by the
 * binder; on top of that the instance has external access disabled, extension loading off,
 * configuration locked and no persistent storage. */
#ifndef KL_DUCK_H
#define KL_DUCK_H

#include "os/os.h"
#include "types/rows.h"

#define KL_DUCK_MAX_SCANS 16  /* tables of one statement */
#define KL_DUCK_MAX_COLS 1100 /* columns of one table */

struct kl_duck; /* belongs to one thread */
struct kl_duck_query;

/* A scalar function of the native executor under a name of its own ("kl_n_lpad_tit"). TEXT, FILE
 * and JSON arguments arrive as VARCHAR. run: no argument is NULL unless takes_null; ret comes preset
 * to NULL; results may borrow from the arena and the arguments. query: the running one, NULL while
 * a statement is only being prepared. */
#define KL_DUCK_NATIVE_ARGS 64
#define KL_DUCK_NATIVE_BYTES ((size_t)64 << 20) /* for the cells of one call */
struct kl_duck_native {
    const char *name;
    struct kl_type args[8];
    size_t n_args;
    struct kl_type result;
    bool repeats; /* the last argument, any number of times */
    bool takes_null, is_volatile;
    enum kl_rc (*run)(const struct kl_duck_native *f, const struct kl_duck_query *query,
        const struct kl_val *args, size_t n, struct kl_arena *arena, struct kl_val *ret,
        struct kl_err *err);
    const void *self;
};

struct kl_duck_options {
    size_t memory_bytes;  /* 0: 512 MiB */
    const char *temp_dir; /* for spilling; NULL: no spilling */
    size_t max_prepared;  /* 0: 256 */
    const struct kl_duck_native *natives; /* outlive every instance */
    size_t n_natives;
};
enum kl_rc kl_duck_new(
    const struct kl_duck_options *options, struct kl_duck **ret, struct kl_err *err);
void kl_duck_free(struct kl_duck *d);
const char *kl_duck_version(void); /* "" before the first kl_duck_new */

/* Table n of a query, called kl_scan_n() in its text. */
struct kl_duck_scan {
    const struct kl_sink_col *cols;
    size_t n_cols;
};
struct kl_duck_query {
    uint64_t
        plan_id; /* same id: same text, scans and parameter types; the prepared statement is kept */
    struct kl_slice sql;
    const struct kl_duck_scan *scans;
    size_t n_scans;
    /* Opens scan n for this execution. Row slot i is column needed[i] of the scan: only what the
     * query reads. Asked again for the same scan when the statement is recursive; every source is
     * closed before kl_duck_run returns. */
    enum kl_rc (*open)(void *ctx, size_t scan, const unsigned *needed, size_t n_needed,
        struct kl_source **ret, struct kl_err *err);
    void *ctx;
    const struct kl_val *params;
    size_t n_params;
    const _Atomic bool *cancelled; /* may be NULL */
    int64_t deadline_mono_ns;      /* 0: none */
    /* What the functions kl_current_user(), kl_current_role(), kl_now() and the id functions
     * answer: plans are shared between callers, so none of it may stand in the text. */
    struct kl_slice user, role;
    int64_t now_us;           /* microseconds since 1970 UTC */
    struct kl_snowflake *ids; /* NULL: kl_snowflake_id() fails */
    /* Flags of the result's columns (enum kl_col_flag); not looked at when their number differs. */
    const uint8_t *flags;
    size_t n_flags;
};
/* Runs to the end; rows go to the sink with the types of types.h. DuckDB's errors become ours:
 * KL_E_EXEC with its message cleaned of internals (no kl_scan_n, no file names), conversion and
 * overflow KL_E_TYPE, memory KL_E_TOO_LARGE. */
enum kl_rc kl_duck_run(
    struct kl_duck *d, const struct kl_duck_query *q, struct kl_sink *sink, struct kl_err *err);

/* What DuckDB would call a type of ours in SQL ("BIGINT", "TIMESTAMPTZ", "FLOAT[384]"): for the
 * printer. */
void kl_duck_type_name(struct kl_type t, struct kl_buf *out);

#endif
