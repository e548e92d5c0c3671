/* Shared inside engine/ only: writers, shards, commands, and how the files of this folder call each other. */
#ifndef KL_ENGINE_INTERNAL_H
#define KL_ENGINE_INTERNAL_H

#include "engine/commit_log.h"
#include "engine/engine.h"
#include "engine/resident.h"
#include "engine/rows.h"

#define KL__DRAIN_MAX 512             /* commands of one batch */
#define KL__WRITER_BOX 8192           /* commands waiting for one writer */
#define KL__POOL_BOX 4096             /* jobs waiting for the query pool */
#define KL__LOOP_SCAN_ROWS 512        /* a scan longer than this leaves the loop */
#define KL__BIND_ON_LOOP_BYTES 32768  /* a longer text is bound in the pool */
#define KL__BIND_ON_LOOP_STMTS 16
#define KL__STALE_RETRIES 3

struct kl__writer;
struct kl__streams;
struct kl__ddl;
struct kl__run;
struct kl__stmt;
struct kl__worker;
struct kl__txn;

/* ---- shards and writers (shard.c) ---- */
struct kl__shard {
    uint16_t id;
    struct kl_batch *batch;  /* writer */
    int64_t last_seq;        /* writer: highest _seq in store + batch */
    uint64_t applied;        /* writer: batches committed */
    bool dirty;              /* writer: batch has operations */
    struct kl__streams *streams; /* own lock, see stream.c */
};

/* A mutation that shares a batch with others. `apply` runs on the writer behind a save point; `finish` on the loop after the commit. */
struct kl__cmd {
    struct kl_task task;
    struct kl_engine *engine;
    struct kl_loop *loop;    /* where finish runs; NULL: on the writer itself */
    uint16_t shard;
    enum kl_rc (*apply)(struct kl__cmd *c, struct kl__writer *w, struct kl__shard *s);
    void (*finish)(struct kl_task *t);
    enum kl_rc rc;
    struct kl_err err;
    bool durable;            /* it put something into the batch */
    struct kl__cmd *next;    /* writer: commands of the batch being built */
};

struct kl__writer {
    struct kl_engine *engine;
    unsigned index;
    pthread_t thread;
    struct kl_mailbox box;
    struct kl_cat *cat;          /* newest snapshot seen */
    size_t changes_seen;         /* entries of engine->table_log that it has passed on; guarded by table_log_lock */
    struct kl_arena drain;       /* row bytes of the batch's changes */
    struct kl_arena scratch;     /* of one command */
    struct kl_buf row, pk, old, idx, place; /* reused buffers */
    struct kl__worker *worker;   /* for queries inside transactions; made at first need */
    uint64_t *changing;          /* hashes of keys that the batch changes */
    size_t n_changing, cap_changing;
    struct kl_change *changes;
    size_t n_changes, cap_changes;
    struct kl_commit *commits;   /* of one commit: room for every shard */
    struct kl__shard **dirty;    /* the same */
    struct kl__cmd *first, *last;/* the batch's commands in order */
    int64_t next_tick_ns;        /* writer 0: next sweep of tombstones */
    int64_t next_sample_ns;      /* writer 0: next sample of dba.stats */
};
struct kl__writer *kl__writer_current(void); /* of the calling thread, or NULL */
enum kl_rc kl__writers_start(struct kl_engine *e, struct kl_err *err);
void kl__writers_stop(struct kl_engine *e);
/* Gives a command to its shard's writer. */
enum kl_rc kl__cmd_post(struct kl__cmd *c) KL_MUST_CHECK;
void kl__cmd_post_always(struct kl__cmd *c);
/* Commits what the writer has, tells the listener, answers. On the writer. */
void kl__writer_flush(struct kl__writer *w);
/* Commits what a transaction put into the batches of any writer's shards, while the others stand still; answers it. On writer 0. */
void kl__writer_commit_all(struct kl__writer *w, struct kl__cmd *c);
/* Takes the newest catalog snapshot and passes table changes on to the listener. On the writer, with nothing pending. */
void kl__writer_refresh(struct kl__writer *w);
/* Appends a change; row bytes are copied. Table and user are borrowed until the flush. */
enum kl_rc kl__writer_change(struct kl__writer *w, const struct kl_change *c, struct kl_err *err);
struct kl__shard *kl__shard(struct kl_engine *e, uint16_t id);
/* Stops every other writer between two batches until kl__writers_resume. On writer 0 only. */
void kl__writers_pause(struct kl__writer *w);
void kl__writers_resume(struct kl__writer *w);

struct kl__table_change {
    uint32_t table_id;
    struct kl_table *table; /* counted; NULL: dropped */
};

struct kl_engine {
    struct kl_engine_options o;
    struct kl_commit_log *log;
    struct kl_pool *pool;
    unsigned n_shards, n_writers, user_shards;
    struct kl__shard *shards;
    struct kl__writer *writers;
    _Atomic bool stopping;
    _Atomic uint64_t *key_stamps; /* see row_cache.c; any thread */
    struct kl__residents *residents;
    struct kl__jobs *jobs;
    struct kl__txn_list *txns;
    pthread_mutex_t loops_lock;
    struct kl_engine_loop *loops; /* guarded by loops_lock */
    /* pausing */
    pthread_mutex_t pause_lock;
    pthread_cond_t pause_cond;
    unsigned paused;     /* guarded by pause_lock */
    bool pause_wanted;   /* guarded by pause_lock */
    /* what happened to tables, in order, for every writer to pass on; guarded by table_log_lock */
    pthread_mutex_t table_log_lock;
    struct kl__table_change *table_log;
    size_t n_table_log, cap_table_log;
    /* STREAM memory */
    _Atomic uint64_t stream_rows, stream_bytes;
    /* background work, one thread */
    struct kl_pool *background;
    _Atomic bool sweeping;
    _Atomic bool sampling;
    pthread_mutex_t forgotten_lock;
    struct kl_map forgotten;  /* table id -> struct in retention.c; guarded by forgotten_lock */
    /* counters */
    _Atomic uint64_t statements, writes, commits, commit_us, batch_max, plans, slow;
};

/* ---- DML (write.c, dml*.c) ---- */
struct kl__write {
    struct kl__cmd cmd;
    const struct kl_bound *bound;
    const struct kl_session *session;
    int64_t now_us;
    int64_t deadline_ns;
    const _Atomic bool *cancelled;
    struct kl__rows *given;     /* rows of the query inside the statement, or NULL; owned */
    struct kl__rows *returning; /* what RETURNING answers, made when there is one; owned */
    uint64_t affected;          /* out */
};
/* On the writer, against store + batch. KL_E_AGAIN: a row that `given` names has a newer version, ask the query again. */
enum kl_rc kl__dml_run(struct kl__write *x, struct kl__writer *w, struct kl__shard *s, struct kl_err *err);
/* The same as a command of its own. */
enum kl_rc kl__dml_apply(struct kl__cmd *c, struct kl__writer *w, struct kl__shard *s);
void kl__write_init(struct kl__run *r, struct kl__stmt *s, struct kl__write *x);
void kl__write_deinit(struct kl__write *x);
/* Runs the query inside the statement into x->given. */
enum kl_rc kl__write_query(struct kl__run *r, struct kl__stmt *s, struct kl__write *x, struct kl__worker *w, struct kl_err *err);
/* RETURNING's rows, or how many rows were changed. */
enum kl_rc kl__write_answer(struct kl__run *r, struct kl__stmt *s, const struct kl__write *x, struct kl_err *err);
/* Starts INSERT, UPDATE or DELETE; ends in kl__run_continue. On the loop. */
void kl__write_start(struct kl__run *r, struct kl__stmt *s);

/* ---- transactions (txn.c) ---- */
/* The statements from BEGIN at r->i to its end, as one command; ends in kl__run_continue with r->i at the last of them. On the loop. */
void kl__txn_start(struct kl__run *r);
/* One write whose query kept losing races: query and write together on the writer. */
void kl__txn_start_single(struct kl__run *r);

/* ---- STREAM partitions (stream.c) ---- */
struct kl__streams *kl__streams_new(struct kl_engine *e, uint16_t shard);
void kl__streams_free(struct kl__streams *s);
struct kl__stream_row {
    int64_t seq;
    int64_t deadline_ns;
    struct kl_slice bytes;
};
/* Appends rows (copied) and evicts what is over the bounds. On the writer. */
enum kl_rc kl__stream_append(struct kl__streams *s, struct kl__writer *w, struct kl_table *t, struct kl_slice user,
    const struct kl__stream_row *rows, size_t n, struct kl_err *err);
/* Copies the live rows with after < _seq <= upto (0: no bound) into the arena, ascending. Any thread. */
enum kl_rc kl__stream_read(struct kl__streams *s, uint32_t table, struct kl_slice user, int64_t after, int64_t upto,
    struct kl_arena *arena, struct kl__stream_row **ret, size_t *ret_n, struct kl_err *err);
/* Removes one row; false when it is gone already. On the writer. */
bool kl__stream_remove(struct kl__streams *s, uint32_t table, struct kl_slice user, int64_t seq);
int64_t kl__stream_forgotten(struct kl__streams *s, uint32_t table, struct kl_slice user);
/* Expires what is due; returns the next deadline (mono ns) or INT64_MAX. On the writer. */
int64_t kl__streams_expire(struct kl__streams *s, struct kl__writer *w, int64_t now_ns);
void kl__streams_drop_table(struct kl__streams *s, uint32_t table);

/* ---- scans (scan.c) ---- */
/* Fills slots from a row view. */
enum kl_rc kl__fill_slots(const struct kl_table *t, const struct kl_row_view *v, const int16_t *slots, size_t n,
    struct kl_arena *arena, struct kl_val *row);
/* ---- rows by primary key, cached (row_cache.c) ---- */
#define KL__KEY_STAMPS (1u << 16)
struct kl__row_cache;
struct kl__row_cache *kl__row_cache_new(size_t max_bytes);
void kl__row_cache_free(struct kl__row_cache *c);
/* A cached row is the newest one if its stamp is what kl__key_stamp says now. key: of the pk family; hash: kl_slice_hash of it. */
uint64_t kl__key_stamp(struct kl_engine *e, uint64_t hash);
/* The row of the key, until the next put; false: not known, or not known to be the newest. */
bool kl__row_cache_get(struct kl__row_cache *c, uint64_t hash, struct kl_slice key, uint64_t stamp, int64_t *ret_seq, struct kl_slice *ret);
/* stamp: taken before the store was read. */
void kl__row_cache_put(struct kl__row_cache *c, uint64_t hash, struct kl_slice key, uint64_t stamp, int64_t seq, struct kl_slice row);
struct kl__row_cache_stats {
    uint64_t bytes, hits, misses;
};
void kl__row_cache_stats(const struct kl__row_cache *c, struct kl__row_cache_stats *ret); /* any thread */
/* The batch that the writer is making changes what this key names: before its commit, and after it for all of them. On the writer. */
void kl__key_changing(struct kl__writer *w, struct kl_slice key);
void kl__keys_changed(struct kl__writer *w);

/* At most one row, by primary key. cache: of the loop that reads, or NULL. */
enum kl_rc kl__scan_point(struct kl_engine *e, const struct kl_scan *scan, const struct kl_val *key, struct kl__row_cache *cache,
    struct kl_source **ret, struct kl_err *err);
/* Rows of scan->table that `path` reaches, at scan->snap, at latest, or through scan->batch; path and ev are needed for opening only. Rows that do not
 * meet the condition may come too. KL_E_STALE_PLAN: its index is gone. STREAM tables too. */
enum kl_rc kl__open_path(struct kl_engine *e, const struct kl_scan *scan, const struct kl_access_path *path, struct kl_eval *ev,
    struct kl__row_cache *cache, struct kl_source **ret, struct kl_err *err);
/* No row. */
struct kl_source *kl__scan_nothing(void);
/* One row without slots: SELECT without FROM. */
struct kl_source *kl__scan_dual(void);
/* Rows that are already there; slots choose among `width` values of each row. */
struct kl_source *kl__scan_values(const struct kl_val *vals, size_t width, size_t n_rows, const int16_t *slots, size_t n_slots);
/* Whether any partition of the table has a row. Skips from scope to scope. */
enum kl_rc kl__table_any_row(struct kl_engine *e, uint32_t table, bool *ret, struct kl_err *err);

/* STREAM partitions of the table that have rows. Any thread. */
bool kl__streams_any(struct kl__streams *s, uint32_t table);

/* ---- system relations (system_rows.c) ---- */
enum kl_rc kl__system_scan(struct kl_engine *e, const struct kl_session *session, struct kl_table *t, const int16_t *slots,
    size_t n_slots, struct kl_arena *arena, struct kl_source **ret, struct kl_err *err);

/* ---- requests (exec.c, read.c, ddl.c, users.c) ---- */
struct kl_engine_loop {
    struct kl_engine *engine;
    struct kl_engine_loop *next; /* guarded by engine->loops_lock */
    struct kl_loop *loop;
    struct kl_plan_cache *cache;
    struct kl_arena scratch;
    struct kl__row_cache *rows;
    size_t plans_counted;
};
/* Figures of every loop, for system.stats (counters.c). */
void kl__loops_add(struct kl_engine_loop *l);
void kl__loops_remove(struct kl_engine_loop *l);
/* State of a query pool thread. */
struct kl__worker {
    struct kl_engine *engine;
    struct kl_plan_cache *cache;
    struct kl_duck *duck; /* made at first need */
    struct kl_arena scratch;
};

/* One statement of a request. */
struct kl__stmt {
    struct kl_stmt_text text;
    struct kl_slice inner;      /* what is bound: the text, or what EXECUTE AS USER wraps */
    struct kl_session session;  /* it runs with */
    struct kl_bound bound;
    bool is_bound;
};
struct kl__run {
    struct kl_task task;        /* pool and loop */
    struct kl_exec *x;
    struct kl_engine_loop *l;
    struct kl_engine *e;
    struct kl__stmt *stmts;
    size_t n, i;
    unsigned retries;           /* of the statement, because the schema changed */
    unsigned conflicts;         /* of the statement, because rows changed under its query */
    bool split;                 /* statements are known */
    struct kl__row_cache *rows; /* of the loop while it reads there, else NULL */
    uint64_t *scanned;          /* EXPLAIN ANALYZE: counts rows that sources deliver, else NULL */
    struct kl__writer *writer;  /* that a transaction runs on, while it does; else NULL */
    struct kl_snapshot *snap;   /* that a read-only transaction reads, else NULL */
    struct kl__cut *cut;        /* the moment that the statement under way reads, or NULL */
    bool no_rows;               /* tables read as empty: only the columns of a query are wanted */
    int64_t timeout_ms;         /* of a statement; 0: none */
    int64_t deadline_ns;        /* of the statement under way; 0: none */
    int64_t started_ns;         /* the statement under way */
    struct kl_slice ddl_message; /* what the step under way answers, set with rc; else empty */
    enum kl_rc rc;              /* of the step under way */
    struct kl_err err;
    union {
        struct kl__write write;
        struct kl__ddl *ddl;
        struct kl__txn *txn;
    };
};
/* One step is done: rc and err are set. Goes on with the next statement, or ends. On the loop. */
void kl__run_continue(struct kl__run *r);
/* Posts kl__run_continue to the request's loop. Any thread. */
void kl__run_resume(struct kl__run *r);
/* Ends the request with an error that is about no single statement. */
void kl__run_abort(struct kl__run *r, enum kl_rc rc);
/* Binds a statement (again) against the newest catalog, in the request's namespace of the moment. */
enum kl_rc kl__run_bind(struct kl__run *r, struct kl__stmt *s, struct kl_plan_cache *cache);
/* A result without rows for statement r->x->statement. */
void kl__run_message(struct kl__run *r, uint64_t rows, const char *fmt, ...) KL_PRINTF(3, 4);
/* State of a thread that runs queries. */
struct kl__worker *kl__worker_new(struct kl_engine *e);
void kl__worker_free(struct kl__worker *w);
/* A SELECT or DUCK plan into `to`: s says who asks, b is what runs (the statement's own or the query inside it). On a writer (r->writer set) rows are read
 * through the batches of their shards. `on_loop`: short reads only, KL_E_AGAIN otherwise. */
enum kl_rc kl__read_native(struct kl__run *r, struct kl__stmt *s, const struct kl_bound *b, struct kl_sink *to, struct kl_arena *scratch,
    bool on_loop, struct kl_err *err);
enum kl_rc kl__read_duck(struct kl__run *r, struct kl__stmt *s, const struct kl_bound *b, struct kl_sink *to, struct kl__worker *w,
    struct kl_err *err);
/* EXPLAIN (explain.c): on the loop; with ANALYZE in the query pool. */
enum kl_rc kl__explain(struct kl__run *r, struct kl__stmt *s, struct kl_err *err);
enum kl_rc kl__explain_analyze(struct kl__run *r, struct kl__stmt *s, struct kl__worker *w, struct kl_err *err);
/* Logs the statement that has just ended, if it was slow (slow_log.c). */
void kl__slow_check(struct kl__run *r, const struct kl__stmt *s, enum kl_rc rc);
/* Counts what a source delivers; owns it. */
struct kl_source *kl__count_rows(struct kl_source *of, uint64_t *rows);
/* Starts DDL or a user statement; ends in kl__run_resume. */
void kl__ddl_start(struct kl__run *r, struct kl__stmt *s);
void kl__user_start(struct kl__run *r, struct kl__stmt *s);
/* CREATE INDEX, DROP INDEX (index_build.c); ends in kl__run_resume. */
void kl__index_start(struct kl__run *r, struct kl__stmt *s);
/* Builds that a stop or crash has interrupted. */
void kl__index_resume(struct kl_engine *e);
enum kl_rc kl__describe_subscription(struct kl__run *r, struct kl__stmt *s, struct kl_err *err);
enum kl_rc kl__show_stats(struct kl__run *r, struct kl__stmt *s, struct kl_err *err);
void kl__eval_init(struct kl__run *r, struct kl__stmt *s, const struct kl_bound *b, struct kl_arena *arena, struct kl_eval *ret);

/* ---- background (cleanup.c) ---- */
/* Key of a record about a table in the meta family: kind u8 | table id u32 be. */
#define KL__TABLE_KEY_BYTES 5
struct kl_slice kl__table_key(enum kl_meta_kind kind, uint32_t table, char key[KL__TABLE_KEY_BYTES]);
/* The table's rows are to be removed: puts the record into the metadata batch, in the commit that drops it. */
void kl__cleanup_record(struct kl_batch *b, uint32_t table);
/* before: a catalog that still knows it, or NULL. */
void kl__cleanup_start(struct kl_engine *e, uint32_t table, const struct kl_cat *before);
#define KL__JOB_ID_BYTES 24
void kl__cleanup_job_id(uint32_t table, char out[KL__JOB_ID_BYTES]);
enum kl_rc kl__cleanup_resume(struct kl_engine *e, struct kl_err *err);
/* Visits every partition of the table that has a row at or after `from` _seq: any thread. Stops at the first code that is not KL_OK. */
typedef enum kl_rc kl__visit_partition(void *ctx, const struct kl_scope *scope, struct kl_err *err);
enum kl_rc kl__each_partition(struct kl_engine *e, uint32_t table, kl__visit_partition *visit, void *ctx, struct kl_err *err);

/* ---- retention of tombstones (retention.c) ---- */
enum kl_rc kl__retention_load(struct kl_engine *e, struct kl_err *err);
void kl__retention_free(struct kl_engine *e);
/* Posts a sweep to the background thread unless one is under way. Any thread. */
void kl__retention_sweep(struct kl_engine *e);
int64_t kl__retention_forgotten(struct kl_engine *e, uint32_t table);

enum kl_rc kl__bootstrap_users(struct kl_engine *e, struct kl_err *err);
/* ---- tables of namespace dba (dba.c) ---- */
/* Makes them when the data directory is new. Waits for the metadata writer. */
enum kl_rc kl__dba_tables(struct kl_engine *e, struct kl_err *err);
/* Starts a sample when it is due; returns when the next is, INT64_MAX for never. On writer 0. */
int64_t kl__dba_tick(struct kl_engine *e, int64_t now_ns, int64_t due_ns);

#endif
