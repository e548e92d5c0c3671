/* Shared by the duck_print*.c files. The printer walks the tree once, recursively and with a depth
 * limit, and appends text to `out`; every function returns at the first error. Identifiers are
 * always quoted, strings always escaped, operators always in parentheses, so that no name or value
 * can change how the text is read. */
#ifndef KL_SQL_DUCK_PRINT_INTERNAL_H
#define KL_SQL_DUCK_PRINT_INTERNAL_H

#include "duck/duck.h"
#include "sql/duck_print.h"

#define KL_DP_MAX_DEPTH 512
#define KL_DP_MAX_SUBQUERIES                                                                       \
    12 /* inside each other, in expressions: DuckDB's planning time grows exponentially with them  \
        */
#define KL_DP_MAX_TEXT ((size_t)4 << 20)
/* Each operator on the way asks for the types below it. What is asked beyond this is not known. */
#define KL_DP_INFER_BYTES ((size_t)128 << 20)

/* What is known of the columns of a query below: KL_T_NULL for a type that is not. */
struct kl_dp_cols {
    size_t n;
    bool ordered, complete; /* as the query has them; all of them */
    struct kl_dp_col {
        const char *name;
        struct kl_type type;
    } cols[];
};
static inline bool kl_dp__is_counted(const struct kl_dp_cols *cols) {
    return cols && cols->complete && cols->ordered;
}

/* A common table expression in scope: printed under a name of our own, because DuckDB compares
 * names without case. */
struct kl_dp_cte {
    struct kl_dp_cte *next;
    const char *name;
    unsigned number, refs;
    size_t keyword_at; /* where in the text MATERIALIZED goes when it turns out to be read twice */
    bool self;         /* recursive: reads itself */
    const struct kl_dp_cols *cols; /* NULL: not known, or not yet */
};
/* A relation of the FROM clause in scope; table NULL: not a table, its columns have types unknown
 * here. */
struct kl_dp_rel {
    struct kl_dp_rel *next;
    const char *alias;
    bool aliased; /* hides the table's own name */
    bool renamed; /* with a column list */
    struct kl_table *table;
    const struct kl_dp_cols *cols; /* of a query; NULL: not known */
    size_t scan;   /* 1-based number of its scan; 0: none */
    bool optional; /* an outer join may fill its columns up with NULLs */
};
/* A condition of an inner join that no outer join is around. */
struct kl_dp_on {
    struct kl_dp_on *next;
    const PgQuery__Node *quals;
    const struct kl_dp_rel *rels, *end; /* those in sight */
};
struct kl_dp_scope {
    struct kl_dp_scope *outer;
    struct kl_dp_rel *rels;
    struct kl_dp_on *ons;
    unsigned optional; /* sides of outer joins around what is being printed */
    const PgQuery__SelectStmt *select; /* NULL: a set operation, VALUES */
    bool in_from;                      /* FROM is being printed */
};

struct kl_dp {
    const struct kl_sql_ctx *ctx;
    struct kl_plan *plan; /* being made */
    int64_t changed_us;   /* when the newest schema of what was read so far was made */
    const struct kl_type *param_types;
    size_t n_params;
    struct kl_arena *arena;
    struct kl_err *err;
    struct kl_buf *out;
    unsigned depth, subqueries, views; /* inside each other */
    struct kl_dp_cte *ctes; /* innermost first */
    unsigned n_ctes;        /* so far: numbers are never used again */
    struct kl_dp_scope *scope;
    const uint8_t *flags;   /* see struct kl_plan_duck */
    size_t n_flags;
    bool want_cols;         /* the next SELECT tells its columns */
    const struct kl_dp_cols *told; /* by the last one that was asked; NULL: nothing is known */
    bool plain;             /* literals stand in the text */
    bool declared;          /* see struct kl_query_input */
    unsigned limit, offset; /* see struct kl_plan_duck */
    size_t *infer_budget; /* bytes that questions for types may still take */
    struct kl_plan_scan scans[KL_DUCK_MAX_SCANS];
    size_t n_scans;
};

static inline void kl_dp__puts(struct kl_dp *p, const char *s) {
    kl_buf_puts(p->out, s);
}
static inline int kl_dp__pos(int32_t location) {
    return location >= 0 ? location + 1 : 0;
}
/* A refusal: KL_E_UNSUPPORTED "<what> is not supported". */
enum kl_rc kl_dp__refuse(struct kl_dp *p, int32_t location, const char *what);
enum kl_rc kl_dp__nomem(struct kl_dp *p);
enum kl_rc kl_dp__enter(struct kl_dp *p, int32_t location); /* depth; the caller decrements */

/* ---- duck_print.c ---- */
enum kl_rc kl_dp__select(struct kl_dp *p, PgQuery__SelectStmt *s);
/* A node that must be a SELECT, in parentheses. */
enum kl_rc kl_dp__subquery(struct kl_dp *p, PgQuery__Node *n);
/* positions: a number is an output column's; else, inside aggregates and windows, it is a number. */
enum kl_rc kl_dp__order_by(struct kl_dp *p, PgQuery__Node **items, size_t n, bool positions);
bool kl_dp__is_star(const PgQuery__Node *n);
/* Whether * has the _seq and _deleted of tables: where its rows go to the client as they are. */
bool kl_dp__star_is_wide(const struct kl_dp *p, const PgQuery__SelectStmt *s);
enum kl_rc kl_dp__window(struct kl_dp *p, PgQuery__WindowDef *w); /* the part in parentheses */

/* ---- duck_print_from.c ---- */
enum kl_rc kl_dp__from(struct kl_dp *p, PgQuery__Node **items, size_t n);

/* ---- duck_print_on.c ---- */
/* kl_dp__condition for WHERE, whose FROM is in scope, and for ON. */
enum kl_rc kl_dp__rows_condition(struct kl_dp *p, PgQuery__Node *n, const char *what);

/* ---- duck_print_push.c ---- */
/* Access paths of the scans of this SELECT; where: its WHERE, or NULL. */
enum kl_rc kl_dp__push_down(struct kl_dp *p, const PgQuery__Node *where);

/* ---- duck_print_view.c ---- */
#define KL_DP_MAX_VIEWS 32 /* inside each other */
/* The subquery that a view is, without an alias. */
enum kl_rc kl_dp__view(struct kl_dp *p, const struct kl_table *view, int position);

/* ---- duck_print_expr.c ---- */
enum kl_rc kl_dp__expr(struct kl_dp *p, PgQuery__Node *n);
enum kl_rc kl_dp__column_ref(
    struct kl_dp *p, PgQuery__ColumnRef *c); /* or the * of a select list */
enum kl_rc kl_dp__as(struct kl_dp *p, PgQuery__Node *n, struct kl_type t); /* cast to t */
/* As a condition: an error when it is known to be of another type than boolean. what: "WHERE". */
enum kl_rc kl_dp__condition(struct kl_dp *p, PgQuery__Node *n, const char *what);
enum kl_rc kl_dp__list(struct kl_dp *p, PgQuery__Node **items, size_t n); /* separated by commas */
/* As an argument of a function: a text whose type is open is TEXT there. */
enum kl_rc kl_dp__arg(struct kl_dp *p, PgQuery__Node *n);
/* One side of a comparison; beside: the other. */
enum kl_rc kl_dp__side(struct kl_dp *p, PgQuery__Node *n, PgQuery__Node *beside);
bool kl_dp__open_param(const struct kl_dp *p, const PgQuery__Node *n);
/* The first or only child of a JSON operator. */
enum kl_rc kl_dp__json(struct kl_dp *p, PgQuery__Node *n);
/* The path to one key or index of a JSON value. */
enum kl_rc kl_dp__json_key(struct kl_dp *p, PgQuery__Node *n);

/* ---- duck_print_names.c ---- */
/* An error when it is known that there is no such column, or more than one. */
enum kl_rc kl_dp__check_column(struct kl_dp *p, const PgQuery__ColumnRef *c);
int32_t kl_dp__leftmost(const PgQuery__Node *n); /* where its first operand stands */

/* ---- duck_print_rows.c ---- */
bool kl_dp__is_row_pair(const PgQuery__Node *l, const PgQuery__Node *r);
/* l <op> r, field by field; op: = <> < <= > >= */
enum kl_rc kl_dp__rows(struct kl_dp *p, PgQuery__RowExpr *l, const char *op, PgQuery__RowExpr *r);
/* x <op> any (or all) of the values, which are at least one. */
enum kl_rc kl_dp__each(struct kl_dp *p, PgQuery__Node *x, const char *op, PgQuery__Node **values,
    size_t n, bool all);

/* ---- duck_print_const.c ---- */
void kl_dp__ident(struct kl_dp *p, const char *name);
void kl_dp__string(struct kl_dp *p, struct kl_slice s);
enum kl_rc kl_dp__const(struct kl_dp *p, PgQuery__AConst *c);
enum kl_rc kl_dp__param(struct kl_dp *p, PgQuery__ParamRef *r);
enum kl_rc kl_dp__cast(struct kl_dp *p, PgQuery__TypeCast *c);
/* The element type; ret_array: it was an array of it. INTERVAL too. */
enum kl_rc kl_dp__type(struct kl_dp *p, PgQuery__TypeName *t, struct kl_type *ret, bool *ret_array);

/* ---- duck_print_func.c ---- */
enum kl_rc kl_dp__func(struct kl_dp *p, PgQuery__FuncCall *f);
/* A set-returning function in FROM, without its alias. ret_name: the column it makes. */
enum kl_rc kl_dp__table_func(struct kl_dp *p, PgQuery__FuncCall *f, const char **ret_name);

/* ---- duck_print_native.c ---- */
/* A function that duck_functions.def lists as NATIVE, with these arguments. */
enum kl_rc kl_dp__native(
    struct kl_dp *p, const char *name, PgQuery__Node **args, size_t n, int32_t location);
/* What a function with one repeated text argument is called in DuckDB. */
enum kl_rc kl_dp__native_name(struct kl_dp *p, const char *name, char *out, size_t size);
bool kl_dp__has_own_text(uint8_t type); /* other than DuckDB's */
enum kl_rc kl_dp__text(struct kl_dp *p, PgQuery__Node *n); /* what a cast to text gives */
bool kl_dp__has_native(const char *name, size_t n); /* with so many arguments */

/* ---- duck_print_infer.c: what is known about types and names without binding ---- */
/* KL_T_NULL when it is not obvious. */
struct kl_type kl_dp__infer(const struct kl_dp *p, const PgQuery__Node *n);
struct kl_type kl_dp__infer_op(const struct kl_dp *p, PgQuery__AExpr *e);
struct kl_type kl_dp__infer_call(const struct kl_dp *p, PgQuery__FuncCall *f);
/* Sets p->flags of the whole statement's SELECT; its FROM is in scope. */
void kl_dp__flags_of_targets(struct kl_dp *p, const PgQuery__SelectStmt *s);
/* The columns of a SELECT whose FROM is in scope; of VALUES; of a set operation over these. NULL: not
 * known. */
const struct kl_dp_cols *kl_dp__cols_of_targets(struct kl_dp *p, const PgQuery__SelectStmt *s);
const struct kl_dp_cols *kl_dp__cols_of_values(struct kl_dp *p, const PgQuery__SelectStmt *s);
const struct kl_dp_cols *kl_dp__cols_met(
    struct kl_dp *p, const struct kl_dp_cols *a, const struct kl_dp_cols *b);
struct kl_type kl_dp__cols_find(const struct kl_dp_cols *cols, const char *name, bool *ret_has);
/* With the names of an alias list. */
const struct kl_dp_cols *kl_dp__cols_renamed(
    struct kl_dp *p, const struct kl_dp_cols *cols, PgQuery__Node *const *names, size_t n);
/* A query in parentheses in FROM or WITH, and what is known of its columns. */
enum kl_rc kl_dp__described(struct kl_dp *p, PgQuery__Node *query, const struct kl_dp_cols **ret);
/* The name that PostgreSQL gives to a result column. */
const char *kl_dp__column_name(const PgQuery__Node *n);
int32_t kl_dp__location(const PgQuery__Node *n); /* -1 when the node has none */
const char *kl_dp__str(const PgQuery__Node *n);  /* of a String node, else NULL */
bool kl_dp__is_integer_const(const PgQuery__Node *n);
const char *kl_dp__string_const(const PgQuery__Node *n); /* NULL when it is none */

#endif
