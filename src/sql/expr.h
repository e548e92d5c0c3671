/* Scalar expressions: built once by the binder, evaluated row by row, for projections, filters, DML, defaults and live
 * filters. PostgreSQL's meaning: three-valued logic, its overflow and division rules, its coercions.
 *
 * A built expression is immutable and may be evaluated by many threads at once; what changes per evaluation is in
 * struct kl_eval. What this module does not know is KL_E_UNSUPPORTED when building (never when evaluating); the binder then
 * gives the whole statement to DuckDB, or refuses it where only a native expression will do (live filters, DML). */
#ifndef KL_SQL_EXPR_H
#define KL_SQL_EXPR_H

#include "auth/auth.h"
#include "types/rows.h"

struct kl_eval {
    const struct kl_val *row;     /* slots of the current row */
    const struct kl_val *params;  /* values of the statement, see struct kl_bound */
    size_t n_params;
    const struct kl_session *session;
    int64_t now_us;               /* NOW(): one instant a statement */
    struct kl_snowflake *ids;
    struct kl_arena *arena;       /* results may borrow from it; the caller marks and rewinds per row */
    struct kl_expr_set **sets;    /* set by kl_select_run: what is worked out once a statement; may be NULL */
};

struct kl_expr; /* lives in the arena that it was built in */
struct kl_type kl_expr_type(const struct kl_expr *e); /* KL_T_NULL: unknown literal or bare NULL */
bool kl_expr_nullable(const struct kl_expr *e);       /* false: cannot be NULL as far as known */

/* ---- building ---- (position: 1-based byte offset in the statement for errors, 0 unknown) */
struct kl_expr_builder {
    struct kl_arena *arena;
    /* A parameter cast to a type is evaluated once a statement, not once a row: the builder asks for a derived value and
     * gets its index among the statement's values. Set by the binder. */
    enum kl_rc (*derive)(void *ctx, unsigned param, struct kl_type to, unsigned *ret_index, struct kl_err *err);
    void *derive_ctx;
    bool given_params; /* parameters are the caller's, not literals: beside a text a number becomes one */
    unsigned depth; /* nesting so far; at most 512: KL_E_INVALID_SQL */
};
bool kl_expr_has_function(struct kl_slice name); /* with whatever arguments */
enum kl_rc kl_expr_const(struct kl_expr_builder *b, struct kl_val v, struct kl_expr **ret, struct kl_err *err);
/* type: that of the value that will come (KL_T_NULL for an untyped string: kl_val with KL_VAL_UNKNOWN). */
enum kl_rc kl_expr_param(struct kl_expr_builder *b, unsigned index, struct kl_type type, struct kl_expr **ret, struct kl_err *err);
enum kl_rc kl_expr_slot(struct kl_expr_builder *b, unsigned slot, struct kl_type type, bool nullable, struct kl_expr **ret, struct kl_err *err);
/* Operators by PostgreSQL's spelling: + - * / % ^ || = <> != < <= > >= ~~ (LIKE) !~~ ~~* !~~* ~ !~ ~* !~* -> ->> ? and unary - +.
 * left NULL for unary. Resolves types and inserts casts; no such operator: KL_E_TYPE "operator does not exist: integer || boolean". */
enum kl_rc kl_expr_op(struct kl_expr_builder *b, struct kl_slice op, struct kl_expr *left, struct kl_expr *right, int position,
    struct kl_expr **ret, struct kl_err *err);
enum kl_expr_bool { KL_EXPR_AND, KL_EXPR_OR, KL_EXPR_NOT };
enum kl_rc kl_expr_logic(struct kl_expr_builder *b, enum kl_expr_bool op, struct kl_expr *const *args, size_t n, int position,
    struct kl_expr **ret, struct kl_err *err);
enum kl_expr_test { KL_EXPR_IS_NULL, KL_EXPR_IS_NOT_NULL, KL_EXPR_IS_TRUE, KL_EXPR_IS_NOT_TRUE, KL_EXPR_IS_FALSE, KL_EXPR_IS_NOT_FALSE,
    KL_EXPR_IS_UNKNOWN, KL_EXPR_IS_NOT_UNKNOWN };
enum kl_rc kl_expr_is(struct kl_expr_builder *b, enum kl_expr_test test, struct kl_expr *arg, int position, struct kl_expr **ret, struct kl_err *err);
enum kl_rc kl_expr_distinct(struct kl_expr_builder *b, bool negate, struct kl_expr *l, struct kl_expr *r, int position, struct kl_expr **ret, struct kl_err *err);
enum kl_rc kl_expr_in(struct kl_expr_builder *b, bool negate, struct kl_expr *arg, struct kl_expr *const *list, size_t n, int position, struct kl_expr **ret, struct kl_err *err);
enum kl_rc kl_expr_between(struct kl_expr_builder *b, bool negate, struct kl_expr *arg, struct kl_expr *lo, struct kl_expr *hi, int position, struct kl_expr **ret, struct kl_err *err);
/* LIKE/ILIKE with ESCAPE. pattern and escape as expressions. */
enum kl_rc kl_expr_like(struct kl_expr_builder *b, bool negate, bool fold, struct kl_expr *arg, struct kl_expr *pattern, struct kl_expr *escape, int position, struct kl_expr **ret, struct kl_err *err);
enum kl_rc kl_expr_cast(struct kl_expr_builder *b, struct kl_expr *arg, struct kl_type to, int position, struct kl_expr **ret, struct kl_err *err);
/* The same, NULL where it fails. */
enum kl_rc kl_expr_try_cast(struct kl_expr_builder *b, struct kl_expr *arg, struct kl_type to, int position, struct kl_expr **ret, struct kl_err *err);
/* INTERVAL has no kl_type of a column; '5 minutes'::interval and INTERVAL '5 minutes' build a cast to KL_T_INTERVAL. */
struct kl_expr_when { struct kl_expr *cond, *result; };
/* CASE [operand] WHEN .. THEN .. ELSE .. END; operand and otherwise may be NULL. */
enum kl_rc kl_expr_case(struct kl_expr_builder *b, struct kl_expr *operand, const struct kl_expr_when *whens, size_t n, struct kl_expr *otherwise, int position, struct kl_expr **ret, struct kl_err *err);
/* Scalar functions by lower-case name (coalesce, nullif, greatest, least, lower, now, current_user, snowflake_id ...). Unknown name: KL_E_UNSUPPORTED. */
enum kl_rc kl_expr_call(struct kl_expr_builder *b, struct kl_slice name, struct kl_expr *const *args, size_t n, int position, struct kl_expr **ret, struct kl_err *err);
/* True when evaluating twice may differ (snowflake_id, uuid_v7, random ...): such a call is evaluated once per row. */
bool kl_expr_volatile(const struct kl_expr *e);
/* The expression as SQL, for EXPLAIN and errors. */
void kl_expr_print(const struct kl_expr *e, struct kl_buf *out);
/* The same with names for the slots. */
void kl_expr_print_named(const struct kl_expr *e, const struct kl_slice *slots, size_t n, struct kl_buf *out);

/* ---- looking inside, for access paths ---- */
/* If e is, or its top-level AND contains, `slot = value` where value needs no row: that value's expression, else NULL. */
const struct kl_expr *kl_expr_equality(const struct kl_expr *e, unsigned slot);

/* ---- evaluating ---- */
enum kl_rc kl_expr_eval(const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err);
/* A WHERE clause: true only for TRUE (NULL counts as false). e NULL: true. */
enum kl_rc kl_expr_test_row(const struct kl_expr *e, struct kl_eval *ev, bool *ret, struct kl_err *err);

#endif
