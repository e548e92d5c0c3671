/* The native executor: one table, filter, project, plain aggregates, ORDER BY, LIMIT/OFFSET, over any kl_source. */
#ifndef KL_SQL_SELECT_H
#define KL_SQL_SELECT_H

#include "sql/expr.h"

enum kl_agg_kind { KL_AGG_COUNT_STAR, KL_AGG_COUNT, KL_AGG_SUM, KL_AGG_MIN, KL_AGG_MAX, KL_AGG_AVG };
struct kl_agg {
    enum kl_agg_kind kind;
    const struct kl_expr *arg; /* NULL for COUNT(*) */
    struct kl_type type;       /* of the result: kl_agg_type */
};
/* PostgreSQL's result type of an aggregate (sum(int) is bigint, sum(bigint) decimal, avg(int) decimal ...); KL_E_TYPE when there is none. */
enum kl_rc kl_agg_type(enum kl_agg_kind kind, struct kl_type arg, struct kl_type *ret, struct kl_err *err);

struct kl_order_key {
    const struct kl_expr *expr;
    bool descending, nulls_first;
};
struct kl_select {
    /* What the source must deliver: slot i of a row is column slots[i] of the table (KL_COL_SEQ, KL_COL_DELETED too). */
    const int16_t *slots;
    size_t n_slots;
    /* staged: the filter sees only the first n_filter_slots of them, it and the order only the first n_order_slots. */
    bool staged;
    size_t n_filter_slots, n_order_slots;
    const struct kl_expr *filter; /* NULL: every row */
    /* Without aggregates: one expression per output column, over the table's slots. With aggregates (n_aggs > 0): the output expressions
     * see a row whose slots are the aggregates' results, exactly one row comes out, and order is empty. */
    const struct kl_expr **output;
    const struct kl_sink_col *cols;
    size_t n_output;
    struct kl_agg *aggs;
    size_t n_aggs;
    struct kl_order_key *order; /* ties keep the order of the source */
    size_t n_order;
    size_t n_order_asked; /* the same, also when n_order is 0 because rows come in that order */
    const struct kl_expr *limit, *offset; /* NULL: none; no row needed; NULL value: no limit; negative: KL_E_EXEC */
};
struct kl_select_limits {
    const _Atomic bool *cancelled; /* may be NULL; looked at every few hundred rows */
    int64_t deadline_mono_ns;      /* 0: none */
    size_t max_sort_bytes;         /* memory for ORDER BY; KL_E_TOO_LARGE past it; 0: 256 MiB */
    uint64_t max_scan_rows;        /* 0: none; past it KL_E_AGAIN, before anything went into the sink: "not short, run me elsewhere" */
};
/* Pulls the source to its end (or to the limit), pushes into the sink (begin, rows, end). Does not close the source.
 * With ORDER BY and LIMIT only limit+offset rows are kept. ev->row is set by the executor. */
enum kl_rc kl_select_run(const struct kl_select *sel, struct kl_eval *ev, struct kl_source *src, struct kl_sink *sink,
    const struct kl_select_limits *limits, struct kl_err *err);

#endif
