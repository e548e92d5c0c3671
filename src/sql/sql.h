/* From text to plan.
 *
 *   text --kl_sql_split--> statements --kl_sql_bind--> plan (shared, immutable) + values (of this execution)
 *
 * kl_sql_bind scans the statement, replaces literals by parameters, which gives its shape, and looks the shape up in the caller's plan
 * cache. On a miss KalamDB's own statements go through a recursive-descent parser, everything else through PostgreSQL's parser; the binder
 * resolves names, types and permissions against one catalog snapshot. Nothing after the binder sees a parse tree.
 * When the shape cannot be planned with parameters in place of its literals, or fails, the statement is planned again as it was written, so that messages
 * and positions are about what the caller wrote.
 *
 * A plan is valid for one catalog version; executors compare table identity and version again where it matters (writers). */
#ifndef KL_SQL_H
#define KL_SQL_H

#include "sql/expr.h"
#include "sql/select.h"

/* ---- statements of a request ---- */
struct kl_stmt_text {
    struct kl_slice text;
    size_t offset; /* of its first byte in the request */
};
#define KL_SQL_MAX_STATEMENTS 10000
/* Splits on `;` outside quotes, dollar quotes, comments and parentheses-free rules of PostgreSQL; drops empty ones. KL_E_BATCH_PARSE: "Unterminated quoted
 * string in SQL batch" ... ; nothing left: KL_E_EMPTY_SQL. Input must be valid UTF-8 without NUL: KL_E_INVALID_SQL. */
enum kl_rc kl_sql_split(struct kl_slice sql, struct kl_arena *arena, struct kl_stmt_text **ret, size_t *ret_n, struct kl_err *err);

/* ---- plans ---- */
enum kl_plan_kind {
    KL_PLAN_SELECT,      /* native: select, table, access */
    KL_PLAN_DUCK,        /* DuckDB: duck */
    KL_PLAN_INSERT,      /* insert, table */
    KL_PLAN_UPDATE,      /* dml, table, access */
    KL_PLAN_DELETE,      /* dml, table, access */
    KL_PLAN_SUBSCRIBE,   /* live, table; over HTTP it only describes */
    KL_PLAN_USE,         /* name */
    KL_PLAN_CREATE_NAMESPACE, KL_PLAN_ALTER_NAMESPACE, KL_PLAN_DROP_NAMESPACE,
    KL_PLAN_CREATE_TABLE, KL_PLAN_DROP_TABLE,
    KL_PLAN_ALTER_TABLE, /* alter, table; table NULL: IF EXISTS found none. if_exists, if_not_exists: of the column or constraint */
    KL_PLAN_CREATE_USER, KL_PLAN_ALTER_USER, KL_PLAN_DROP_USER,
    KL_PLAN_DESCRIBE,    /* table: the nine columns of DESCRIBE TABLE; rows come from kl_sql_describe */
    KL_PLAN_SHOW_STATS,  /* table */
    KL_PLAN_KILL_LIVE,   /* name */
    KL_PLAN_BEGIN,       /* read_only */
    KL_PLAN_COMMIT, KL_PLAN_ROLLBACK,
    KL_PLAN_CREATE_INDEX, /* index, table: CREATE INDEX and ALTER TABLE .. ADD UNIQUE */
    KL_PLAN_DROP_INDEX,   /* table, index_id; table NULL: IF EXISTS found none, name says which */
    KL_PLAN_CREATE_VIEW,  /* create (view_sql, view_ns; cols are made by whoever runs query), query, replace, columns */
    KL_PLAN_DROP_VIEW,    /* table; NULL: IF EXISTS found none, name says which */
    KL_PLAN_CREATE_TABLE_AS, /* create (cols are made from query's), query, columns, with_data */
    KL_PLAN_COMMENT,      /* alter (op COMMENT), table */
    KL_PLAN_CREATE_STORAGE, KL_PLAN_ALTER_STORAGE, /* storage: what is not given is NULL */
    KL_PLAN_DROP_STORAGE, /* name */
    KL_PLAN_CHECK_STORAGE, /* name, extended */
    KL_PLAN_DESCRIBE_HISTORY, /* table: one row a column and schema version; rows come from kl_sql_describe_history */
    KL_PLAN_SET,          /* name, text: for the rest of the request; statement_timeout: milliseconds in text, empty: the default again.
                             Any other name has the only value that it can have: nothing to do */
};

/* How a native statement reaches its rows: by primary key, else by an index, else by the partition in _seq order. None of the expressions needs a row;
 * the filter is evaluated on what comes out all the same. A value that is NULL matches nothing. */
struct kl_access_path {
    const struct kl_expr **pk; /* one per key column: point access; NULL: not by key */
    uint32_t index_id;         /* 0: not by index. Else a READY index of the table */
    size_t n_eq;               /* leading index columns with `= value` */
    const struct kl_expr **eq;
    const struct kl_expr *lo, *hi; /* bounds of the column after those, or NULL */
    bool lo_excl, hi_excl;
    const struct kl_expr *after_seq, *upto_seq; /* partition scans: no `_seq` below after_seq or above upto_seq matters, or NULL */
    bool by_key;               /* index_id 0: a range of the primary key; eq, in, lo and hi are about its columns */
    size_t n_in;               /* instead of bounds: the column after the equalities is one of these values */
    const struct kl_expr **in;
    bool ordered;              /* rows come out in the order that ORDER BY asks for: nothing to sort, stop at the LIMIT */
    bool backward;             /* from the end of the range to its start */
    bool newest_likely;        /* ORDER BY .. DESC LIMIT, not served by the path: what was written last is likely to be among the first, so a
                                * scan that may as well start there leaves the sorter less to do */
};

/* What INSERT, UPDATE and DELETE share. Expressions see the slots of struct kl_plan_dml: every column in order, then _seq; of the new row,
 * for DELETE of the row that goes. */
struct kl_plan_write {
    const struct kl_expr **checks;   /* CHECK constraints of table->checks, same order: FALSE is a violation, NULL is not */
    size_t n_checks;
    const struct kl_expr **returning; /* RETURNING: one expression per output column; evaluated after the row was written */
    const struct kl_sink_col *ret_cols;
    size_t n_returning;              /* 0: the statement answers with a count */
    /* Rows come from a SELECT or DUCK plan over the same values; NULL: from VALUES, or from the native filter.
     * INSERT: one output column per target. UPDATE: _seq of a row of the target (BIGINT), then one per assigned column; the first row for a _seq
     * counts. DELETE: _seq. Its values: kl_sql_query_values. */
    struct kl_plan *query;
};
/* ON CONFLICT. */
struct kl_plan_conflict {
    bool any;              /* DO NOTHING without a target: whatever unique key it is */
    uint32_t index_id;     /* the unique index that is the target; 0: the primary key */
    bool update;           /* DO UPDATE; else DO NOTHING */
    const struct kl_expr *filter; /* WHERE of DO UPDATE, or NULL */
    size_t n_set;
    uint16_t *set_cols;
    const struct kl_expr **set_exprs; /* NULL: DEFAULT. filter and these see: every column of the old row, its _seq, every column of EXCLUDED */
};

struct kl_plan_insert {
    size_t n_targets;
    uint16_t *targets;             /* columns of the table that are given, in the order given */
    size_t n_rows;                 /* row shapes: 1 when all rows have one shape, and then values repeat with `stride` */
    const struct kl_expr **cells;  /* n_rows * n_targets; NULL: DEFAULT */
    unsigned stride;               /* values per row in a collapsed VALUES list; 0: not collapsed */
    struct kl_plan_conflict *conflict; /* NULL: none */
    bool generated_key;            /* the single key column is SNOWFLAKE_ID() and not given: cannot exist yet */
};
struct kl_plan_dml {
    const int16_t *slots; /* what filter and assignments see; always all columns of the table in order, then KL_COL_SEQ */
    size_t n_slots;
    const struct kl_expr *filter;
    size_t n_set; /* UPDATE */
    uint16_t *set_cols;
    const struct kl_expr **set_exprs; /* NULL: DEFAULT */
};
struct kl_plan_live {
    const int16_t *slots; /* what filter and output columns need */
    size_t n_slots;
    const struct kl_expr *filter;
    size_t n_cols;                /* output columns, in order; SELECT * ends with _seq, _deleted; a projection gets _seq appended */
    const int16_t *cols;          /* column index of the table or KL_COL_* */
    const struct kl_sink_col *desc;
    bool star;
    /* OPTIONS of SUBSCRIBE TO: -1 when not given */
    int64_t last_rows, batch_size, from;
};
struct kl_plan_scan {
    struct kl_table *table; /* counted by the plan */
    const int16_t *slots;   /* columns this statement can read of it; kl_sink_col i describes slot i */
    const struct kl_sink_col *cols;
    size_t n_slots;
    struct kl_access_path access; /* as far as the statement's conditions on this table tell */
    const struct kl_expr *filter; /* conditions that rows of this table must meet anyway; NULL: none. DuckDB checks them again */
    const int16_t *filter_slots;  /* what filter sees */
    size_t n_filter_slots;
};
struct kl_plan_duck {
    struct kl_slice sql; /* DuckDB's dialect; table n is kl_scan_n(); values are $1.. of bound->vals */
    struct kl_plan_scan *scans;
    size_t n_scans;
    unsigned limit, offset; /* number of the value that is the statement's LIMIT, OFFSET; 0: none; kl_sql_bind has checked it */
    bool limited; /* the statement as a whole has a LIMIT */
    const uint8_t *flags; /* of the result's columns that are columns of tables; NULL: none known */
    size_t n_flags;
};
struct kl_plan_user {
    struct kl_slice id, password, email, auth_data;
    enum kl_auth_type auth_type;
    enum kl_role role;
    bool set_password, set_role, set_email, if_exists, immediately;
};

struct kl_plan {
    _Atomic uint32_t refs;
    enum kl_plan_kind kind;
    uint64_t id;              /* unique in the process: key of prepared statements elsewhere */
    uint64_t catalog_version;
    bool volatile_;           /* a non-cacheable plan */
    struct kl_table *table;   /* counted; NULL when there is no single table */
    bool if_exists, if_not_exists;
    bool truncate;            /* DELETE that was written as TRUNCATE */
    bool replace, with_data, read_only, extended;
    struct kl_slice name;     /* namespace, live id ... */
    struct kl_slice text;     /* options JSON ... */
    struct kl_access_path access;
    struct kl_plan_write *write; /* INSERT, UPDATE, DELETE */
    struct kl_plan *query;       /* CREATE VIEW, CREATE TABLE AS: counted */
    const struct kl_slice *columns; /* CREATE VIEW, CREATE TABLE AS: names given for the query's columns */
    size_t n_columns;
    uint32_t index_id;
    union {
        struct kl_select *select;
        struct kl_plan_duck *duck;
        struct kl_plan_insert *insert;
        struct kl_plan_dml *dml;
        struct kl_plan_live *live;
        struct kl_table_def *create;
        struct kl_alter *alter;
        struct kl_plan_user *user;
        struct kl_index_def *index;
        struct kl_storage *storage;
    };
    /* which values the statement needs: literals and parameters first, then values derived from them by a cast */
    unsigned n_values, n_derived;
    struct kl_plan_derived { unsigned from; struct kl_type to; } *derived;
    struct kl_arena arena;
};
void kl_plan_ref(struct kl_plan *p);
void kl_plan_unref(struct kl_plan *p); /* accepts NULL */
bool kl_plan_is_write(const struct kl_plan *p); /* DML or DDL */
const char *kl_plan_kind_name(enum kl_plan_kind k);

/* A plan cache belongs to one thread. */
struct kl_plan_cache;
struct kl_plan_cache *kl_plan_cache_new(size_t max_plans); /* 0: never caches */
void kl_plan_cache_free(struct kl_plan_cache *c);
size_t kl_plan_cache_size(const struct kl_plan_cache *c);
struct kl_plan_cache_stats {
    uint64_t hits, misses;
};
void kl_plan_cache_stats(const struct kl_plan_cache *c, struct kl_plan_cache_stats *ret); /* any thread */

enum kl_executor { KL_EXECUTOR_AUTO, KL_EXECUTOR_NATIVE, KL_EXECUTOR_DUCKDB };
struct kl_sql_ctx {
    struct kl_plan_cache *cache; /* may be NULL */
    struct kl_cat *cat;
    const struct kl_session *session;
    enum kl_executor executor; /* NATIVE: a statement that needs DuckDB is KL_E_UNSUPPORTED; DUCKDB: every SELECT goes there */
};

enum kl_explain { KL_EXPLAIN_NONE, KL_EXPLAIN_PLAN, KL_EXPLAIN_ANALYZE };
/* One statement, ready to run. */
struct kl_bound {
    struct kl_plan *plan;        /* one reference, given up by kl_bound_release */
    const struct kl_val *vals;   /* plan->n_values (times rows of a collapsed VALUES list), then derived; from the arena or borrowed from text and params */
    size_t n_vals;
    size_t n_rows;               /* INSERT: rows of the VALUES list */
    struct kl_slice as_user;     /* EXECUTE AS USER target; ptr NULL when there is none */
    enum kl_explain explain;     /* EXPLAIN: the plan is that of the statement inside */
};
/* params: $1.. ; strings are KL_VAL_UNKNOWN text, JSON arrays and objects too. KL_E_INVALID_PARAMETER when a $n has no value or a value is left over? (left over: fine). */
enum kl_rc kl_sql_bind(const struct kl_sql_ctx *ctx, struct kl_slice stmt, const struct kl_val *params, size_t n_params,
    struct kl_arena *arena, struct kl_bound *ret, struct kl_err *err);
/* The name inside EXECUTE AS USER 'name' (...), without binding, so that the caller can make the session it runs with: ret_user.ptr NULL when the
 * statement is none. ret_inner is the wrapped statement. */
enum kl_rc kl_sql_execute_as(struct kl_slice stmt, struct kl_arena *arena, struct kl_slice *ret_user, struct kl_slice *ret_inner,
    struct kl_err *err);
/* The statement for a log: no value of it. Literals are ?, what follows PASSWORD too, comments are gone; cut at max bytes. */
void kl_sql_redact(struct kl_slice stmt, size_t max, struct kl_buf *out);
/* The query of a subscription: SELECT .. or SUBSCRIBE TO ..; plan kind SUBSCRIBE. Everything of it evaluates natively or it is refused:
 * KL_E_INVALID_SQL, KL_E_UNSUPPORTED, KL_E_PERMISSION_DENIED, KL_E_NOT_FOUND. Names may be qualified ns.table.col. */
enum kl_rc kl_sql_bind_live(const struct kl_sql_ctx *ctx, struct kl_slice query, struct kl_arena *arena, struct kl_bound *ret,
    struct kl_err *err);
void kl_bound_release(struct kl_bound *b);

/* Values of outer->plan->write->query or ->query: the statement's own, then those that the inner plan derives. ret->plan is borrowed from the
 * outer plan: do not release ret. */
enum kl_rc kl_sql_query_values(const struct kl_bound *outer, struct kl_plan *query, struct kl_arena *arena, struct kl_bound *ret, struct kl_err *err);

/* ---- what writers call ---- */
/* Row r of an INSERT: fills vals[table->n_cols], each of its column's type, defaults applied, NOT NULL checked. */
enum kl_rc kl_sql_insert_row(const struct kl_bound *b, size_t r, struct kl_eval *ev, struct kl_val *vals, struct kl_err *err);
/* Row of an INSERT whose cells come from write->query: given[i] is for targets[i]. number: 1-based, for messages. */
enum kl_rc kl_sql_insert_given(const struct kl_bound *b, const struct kl_val *given, size_t number, struct kl_eval *ev, struct kl_val *vals,
    struct kl_err *err);
/* CHECK constraints of the new row in ev->row: KL_E_CONSTRAINT. */
enum kl_rc kl_sql_check_row(const struct kl_bound *b, struct kl_eval *ev, struct kl_err *err);
/* DO UPDATE: like kl_sql_update_row; ev->row holds old columns, _seq, EXCLUDED. ret_chosen false: its WHERE says no. */
enum kl_rc kl_sql_conflict_row(const struct kl_bound *b, struct kl_eval *ev, struct kl_val *vals, bool *ret_chosen, bool *ret_changed, struct kl_err *err);
/* UPDATE whose new values come from write->query: given[i] is for set_cols[i]. */
enum kl_rc kl_sql_update_given(const struct kl_bound *b, const struct kl_val *given, struct kl_eval *ev, struct kl_val *vals, bool *ret_changed,
    struct kl_err *err);
/* The condition of a CHECK constraint over the table's columns (slots as in kl_plan_dml), for checking the rows that are there. Lives in `arena`. */
enum kl_rc kl_sql_bind_check(const struct kl_table *t, struct kl_slice expr, struct kl_arena *arena, struct kl_expr **ret, struct kl_err *err);
/* New values of a row that the filter chose: ev->row holds the old slots; vals starts as a copy of the old columns. ret_changed: any differs.
 * Assigning a primary key column is refused when binding. */
enum kl_rc kl_sql_update_row(const struct kl_bound *b, struct kl_eval *ev, struct kl_val *vals, bool *ret_changed, struct kl_err *err);
enum kl_rc kl_sql_eval_default(const struct kl_column *c, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err);
/* Values of the point access; false in ret_empty... a NULL key value matches nothing: *ret_none = true. */
enum kl_rc kl_sql_point_key(const struct kl_expr *const *pk, const struct kl_table *t, struct kl_eval *ev, struct kl_val *ret_vals,
    bool *ret_none, struct kl_err *err);
/* Rows of DESCRIBE TABLE. */
enum kl_rc kl_sql_describe(const struct kl_table *t, struct kl_sink *sink, struct kl_err *err);
enum kl_rc kl_sql_describe_history(const struct kl_table *t, struct kl_sink *sink, struct kl_err *err);
/* EXPLAIN: lines of text, newline-separated: executor, access path with the index chosen, filter, sort, what DuckDB is asked; names and conditions as the
 * caller wrote them. Nothing of the rows. */
void kl_sql_explain(const struct kl_plan *p, struct kl_buf *out);

/* Functions of the native executor that printed statements call: for struct kl_duck_options. */
struct kl_duck_native;
void kl_sql_duck_natives(const struct kl_duck_native **ret, size_t *ret_n);

#endif
