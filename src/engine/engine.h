/* The engine: shards and their writers, the commit log, statements of a request, the query pool.
 *
 * Threads.  A request is submitted on a loop and its `done` runs on that loop. In between:
 *   loop          binds; runs point reads and short scans itself
 *   shard writer  every mutation: drains its shards' commands into batches (a save point each), commits them through the commit log,
 *                 then tells the listener, then answers. One writer thread for every four cores, each with its own shards; shard s belongs to writer s % writers.
 *   query pool    every read that is not short, DuckDB, binding of very long texts, password hashing
 * Nobody waits on a loop: a full mailbox answers KL_E_OVERLOADED.
 *
 * A writer runs a command against the newest catalog snapshot. When the table is gone or has another version than the plan, the command fails with
 * KL_E_STALE_PLAN and the request binds again (three times at most, then KL_E_EXEC "schema keeps changing, try again").
 *
 * Acknowledged means: the batch was committed through the commit log (synced unless durability is async) before `done`. */
#ifndef KL_ENGINE_H
#define KL_ENGINE_H

#include "duck/duck.h"
#include "os/os.h"
#include "sql/sql.h"

struct kl_engine;
struct kl__cut;

/* ---- what happened, for live queries (and topics later) ---- */
enum kl_change_op { KL_CHANGE_INSERT, KL_CHANGE_UPDATE, KL_CHANGE_DELETE };
struct kl_change {
    enum kl_change_op op;
    struct kl_table *table;    /* version that wrote it; borrowed for the call */
    uint16_t shard;
    struct kl_slice user;      /* partition owner; empty for SHARED */
    int64_t seq;               /* of the new version or tombstone; of an expired STREAM row: a fresh one */
    int64_t prev_seq;          /* version replaced or removed, 0 for an insert */
    struct kl_slice new_row;   /* row bytes; a tombstone for DELETE; borrowed for the call */
    struct kl_slice old_row;   /* row bytes of prev_seq; empty for an insert */
};
struct kl_shard_call;
/* All on the writer thread of the shard concerned, after the commit, in commit order. Must not block. */
struct kl_engine_listener {
    void *ctx;
    void (*committed)(void *ctx, unsigned writer, const struct kl_change *changes, size_t n);
    /* A table was dropped (table NULL) or has a new version. Called on every writer after the catalog published it, before any later change of it. */
    void (*table_changed)(void *ctx, unsigned writer, uint32_t table_id, struct kl_table *table);
    /* any thread: rows of system.live into visit; KILL LIVE QUERY (KL_E_NOT_FOUND) */
    enum kl_rc (*live_rows)(void *ctx, enum kl_rc (*visit)(void *vctx, const struct kl_val *vals), void *vctx, struct kl_err *err);
    enum kl_rc (*live_kill)(void *ctx, struct kl_slice live_id, struct kl_err *err);
    /* any thread: a user was dropped or changed role; end what it holds */
    void (*user_changed)(void *ctx, struct kl_slice user);
};

/* One line of the server's log; empty: not known. */
struct kl_log_line {
    struct kl_slice timestamp, level, thread, target, message;
};
/* This node, for system.cluster. */
struct kl_engine_node {
    char api_addr[320];
    char hostname[256], os[66], arch[66], uptime[64];
    int64_t uptime_s;
    uint64_t memory_bytes, total_memory_bytes; /* of the process, of the machine */
    double cpu_percent;
};

/* Facts of the server that system.stats, system.settings, system.server_logs and system.cluster show. Each may be NULL. Any thread. */
struct kl_engine_facts {
    void *ctx;
    uint32_t node_id;
    /* lines of the log file, oldest first; texts are borrowed for the call */
    enum kl_rc (*logs)(void *ctx, enum kl_rc (*visit)(void *vctx, const struct kl_log_line *line), void *vctx, struct kl_err *err);
    void (*node)(void *ctx, struct kl_engine_node *ret);
    enum kl_rc (*settings)(void *ctx, enum kl_rc (*visit)(void *vctx, const char *name, const char *value, const char *description, const char *category), void *vctx);
    enum kl_rc (*stats)(void *ctx, enum kl_rc (*visit)(void *vctx, const char *name, const char *value), void *vctx);
};

struct kl_engine_options {
    struct kl_store *store;
    struct kl_catalog *catalog;
    struct kl_tokens *tokens;
    struct kl_snowflake *ids;
    bool sync;                    /* durability: synced commits */
    unsigned writers;             /* 0: one for every four cores */
    unsigned query_threads;       /* 0: one per core */
    enum kl_executor executor;
    size_t query_memory_bytes;    /* of one DuckDB instance */
    const char *temp_dir;
    const char *storage_dir;      /* folder of the storage `local`; NULL: it has none */
    int64_t statement_timeout_ms; /* 0: none */
    int64_t transaction_timeout_ms; /* of one that writes, since it holds up its writer; 0: none */
    int64_t slow_statement_ms;    /* statements that took this long are logged; 0: none */
    bool dba_stats;               /* samples of system.stats go into dba.stats */
    uint32_t dba_stats_days;      /* and are kept that long; 0: for ever */
    uint64_t default_query_limit, max_query_limit; /* 0: off */
    size_t max_sql_bytes;
    uint32_t max_params;
    size_t max_param_bytes;
    struct kl_password_policy passwords;
    uint32_t stream_max_rows;     /* of one STREAM partition without MAX_BUFFER */
    size_t stream_max_bytes;      /* of all STREAM partitions */
    size_t row_cache_bytes;       /* rows read by primary key, all loops together; 0: none are kept */
    size_t resident_bytes;        /* rows of partitions that are scanned often; 0: none are kept */
    size_t plan_cache_entries;    /* of each loop and query thread; 0: 1000 */
    uint32_t deleted_retention_hours; /* of tables that do not say; 0: 168 */
    struct kl_engine_listener listener; /* may be zero */
    struct kl_engine_facts facts;       /* may be zero */
};
/* Recovers shards (highest _seq) and resumes interrupted clean-ups. */
enum kl_rc kl_engine_start(const struct kl_engine_options *o, struct kl_engine **ret, struct kl_err *err);
/* Stops accepting, finishes what was accepted, joins. Loops must still run. */
void kl_engine_stop(struct kl_engine *e);
void kl_engine_free(struct kl_engine *e); /* after kl_engine_stop and after the loops ended */

/* Per-loop state (plan cache, scratch); made before the loop runs, used only on it. */
struct kl_engine_loop;
struct kl_engine_loop *kl_engine_loop_new(struct kl_engine *e, struct kl_loop *loop);
void kl_engine_loop_free(struct kl_engine_loop *l);

/* ---- one request: 1..n statements ---- */
struct kl_exec {
    /* in */
    struct kl_session session;     /* user, role, actor, ns ...; USE changes ns for later statements */
    struct kl_slice sql;
    const struct kl_val *params;
    size_t n_params;
    struct kl_sink *sink;          /* one begin..end or message per statement, in order */
    struct kl_arena *arena;        /* of the request; used by whichever thread runs it */
    _Atomic bool cancelled;        /* set when the client has gone */
    void (*done)(struct kl_exec *x); /* on the loop, exactly once; may run before kl_engine_exec returns */
    void *ctx;
    /* out: state while a sink function runs */
    struct kl_slice as_user;       /* of the statement whose result is being written */
    size_t statement;              /* its index */
    uint64_t rows;                 /* of the newest result or message: set by whoever implements the sink; may stay 0 */
    /* out: at done */
    enum kl_rc rc;
    struct kl_err err;             /* message prefixed "Statement N failed: " when execution of statement N failed; position is in the request's text */
    struct kl_slice failed_sql;    /* text of the failing statement */
    /* the engine's own */
    void *run;
};
void kl_engine_exec(struct kl_engine_loop *l, struct kl_exec *x);

/* ---- authentication that touches state; `done` on the loop ---- */
enum kl_auth_op_kind { KL_AUTH_LOGIN, KL_AUTH_REFRESH, KL_AUTH_LOGOUT, KL_AUTH_SETUP };
struct kl_auth_op {
    enum kl_auth_op_kind kind;
    struct kl_slice user, password;          /* LOGIN, SETUP (new dba) */
    struct kl_slice root_password, email;    /* SETUP */
    struct kl_slice token, token2;           /* REFRESH: refresh token; LOGOUT: what was presented (either may be empty) */
    bool loopback;
    struct kl_slice client_ip;               /* for the audit log; empty: not known */
    struct kl_arena *arena;
    void (*done)(struct kl_auth_op *op);
    void *ctx;
    /* out */
    enum kl_rc rc;             /* also KL_E_SETUP_REQUIRED, KL_E_ACCOUNT_LOCKED, KL_E_EXISTS, KL_E_INVALID_INPUT (weak password, reserved name) */
    const char *code;          /* the auth endpoint's error code of docs/wire.md, e.g. "weak_password"; NULL on success */
    struct kl_err err;
    struct kl_user record;     /* LOGIN, REFRESH, SETUP */
    struct kl_slice access, refresh;
    int64_t access_expires_us, refresh_expires_us;
    struct kl_task task_;
    void *run_;
};
void kl_engine_auth(struct kl_engine_loop *l, struct kl_auth_op *op);
/* root has no password yet and no other admin exists. */
bool kl_engine_needs_setup(struct kl_engine *e);
/* Sets root's password (hashed in the pool) after the listener is up. */
void kl_engine_set_root_password(struct kl_engine *e, struct kl_slice password);

/* ---- for live queries ---- */
unsigned kl_engine_writers(struct kl_engine *e);
unsigned kl_engine_writer_of(struct kl_engine *e, uint16_t shard);
struct kl_catalog *kl_engine_catalog(struct kl_engine *e);
struct kl_store *kl_engine_store(struct kl_engine *e);
struct kl_snowflake *kl_engine_ids(struct kl_engine *e);
unsigned kl_engine_user_shards(struct kl_engine *e);
/* A function on the shard's writer thread, between two batches: everything acknowledged before is visible, nothing else. */
struct kl_shard_call {
    struct kl_task task;  /* the engine's */
    uint16_t shard;
    void (*run)(struct kl_shard_call *c);
};
enum kl_rc kl_engine_call(struct kl_engine *e, struct kl_shard_call *c) KL_MUST_CHECK;
/* Same, never refused: for ending things. */
void kl_engine_call_always(struct kl_engine *e, struct kl_shard_call *c);
/* The query pool, for snapshot reads. KL_E_OVERLOADED, KL_E_SHUTTING_DOWN. */
enum kl_rc kl_engine_pool_post(struct kl_engine *e, struct kl_task *t) KL_MUST_CHECK;

/* More pseudo columns of a scan. */
#define KL_COL_ORIGIN (-3) /* origin_seq, BIGINT */
#define KL_COL_PREV (-4)   /* prev_seq, BIGINT */
struct kl_scan {
    struct kl_table *table;     /* USER, SHARED or STREAM; held by the caller */
    struct kl_slice user;       /* partition owner */
    struct kl_snapshot *snap;   /* NULL: latest (STREAM: always NULL) */
    struct kl_batch *batch;     /* on the shard's writer: rows of store + batch; then snap is NULL. Else NULL */
    const struct kl__cut *cut;  /* the engine's own: snap is its snapshot; else NULL */
    const int16_t *slots;
    size_t n_slots;
    int64_t after_seq;          /* rows with _seq greater; 0: all */
    int64_t upto_seq;           /* and at most this; 0: all */
    bool newest_first;
    bool newest_likely;         /* either direction will do, newest first is better where it costs nothing */
    bool tombstones;            /* deleted rows too: ask KL_COL_DELETED */
    struct kl_arena *arena;     /* for values that cannot borrow */
};
enum kl_rc kl_engine_scan(struct kl_engine *e, const struct kl_scan *scan, struct kl_source **ret, struct kl_err *err);
/* Is there a live row with this primary key in the snapshot? */
enum kl_rc kl_engine_key_live(struct kl_engine *e, struct kl_table *t, struct kl_slice user, struct kl_snapshot *snap,
    const struct kl_val *pk, bool *ret, struct kl_err *err);
/* Tombstones at or below this _seq of the partition may be gone: a resume from before needs a full snapshot. STREAM: the newest row removed
 * for want of space or age counts too. */
int64_t kl_engine_forgotten_seq(struct kl_engine *e, struct kl_table *t, struct kl_slice user);

/* For stats: totals since start. */
struct kl_engine_stats {
    uint64_t statements, writes, commits, commit_us_total, batch_commands_max, plan_cache_size, stream_rows, stream_bytes;
    uint64_t slow_statements;
    uint64_t plan_cache_hits, plan_cache_misses, row_cache_bytes, row_cache_hits, row_cache_misses; /* of the loops */
    uint64_t resident_partitions, resident_bytes;
};
void kl_engine_stats(struct kl_engine *e, struct kl_engine_stats *ret);

#endif
