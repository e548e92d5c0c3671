/* PostgreSQL's tree into plans: what the bind_*.c files share. The only place, with the DuckDB
 * printer, that sees pg_query's types. */
#ifndef KL_SQL_BIND_INTERNAL_H
#define KL_SQL_BIND_INTERNAL_H

#include "sql/internal.h"
#include "sql/shape.h"
#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

/* One statement being bound. Everything that lives on is in the plan's arena. */
struct kl_binder {
    const struct kl_sql_ctx *ctx;
    struct kl_plan *plan;
    const struct kl_query_input *in;
    struct kl_expr_builder eb;
    const struct kl_type *types; /* of $1.. */
    unsigned n_types;
    bool plain, internal;
    /* the relation in scope; table NULL: none */
    struct kl_table *table;
    struct kl_slice alias; /* empty: known by its own name */
    bool has_alias;
    int16_t *slots; /* what the source delivers, as met */
    size_t n_slots;
    uint16_t *slot_of;      /* per column, then _seq, _deleted: slot + 1 */
    bool deleted_is_false;  /* _deleted is the constant false (writers see live rows only) */
    bool excluded;          /* EXCLUDED is in scope too: its columns are the slots behind _seq */
    const char *no_columns; /* set: where columns may not be named, for the message */
    struct kl_agg *aggs;    /* met so far */
    size_t n_aggs;
    bool collect_aggs; /* in the outputs of an aggregate query: plain columns are refused */
    bool uses_clock;   /* met NOW() or its like */
    /* Set to learn an expression's type without a relation in scope (duck_print_infer.c): the type
     * of a column, KL_T_NULL when it is not known. Nothing bound so is ever evaluated. */
    struct kl_type (*column_type)(const void *ctx, const PgQuery__ColumnRef *ref);
    const void *column_ctx;
};

static inline int kl_sql__at(const struct kl_binder *b, int location) {
    return b->plain && location >= 0 ? location + 1 : 0;
}
static inline struct kl_slice kl_sql__pgstr(const char *s) {
    return kl_slice_str(s ? s : "");
}

/* ---- bind_query.c ---- */
void kl_sql__binder_init(struct kl_binder *b, const struct kl_sql_ctx *ctx,
    const struct kl_query_input *in, struct kl_plan *plan);
/* Puts a relation into scope. all_columns: slot i is column i, then _seq (writers). */
enum kl_rc kl_sql__binder_scope(struct kl_binder *b, struct kl_table *t,
    const PgQuery__Alias *alias, bool all_columns, struct kl_err *err);
/* The part of it that needs no plan: b->table's slots. */
enum kl_rc kl_sql__scope_slots(struct kl_binder *b, bool all_columns, struct kl_err *err);
struct kl_rel_name kl_sql__rel_name(const struct kl_binder *b, const PgQuery__RangeVar *v);
/* PostgreSQL's parser; the tree is freed with pg_query__parse_result__free_unpacked. */
enum kl_rc kl_sql__pg_parse(
    const char *text, bool plain, PgQuery__ParseResult **ret, struct kl_err *err);

/* ---- bind_expr.c, bind_type.c ---- */
enum kl_rc kl_sql__bind_expr(
    struct kl_binder *b, const PgQuery__Node *n, struct kl_expr **ret, struct kl_err *err);
/* A condition: boolean, or made so. what: "WHERE". */
enum kl_rc kl_sql__bind_condition(struct kl_binder *b, const PgQuery__Node *n, const char *what,
    struct kl_expr **ret, struct kl_err *err);
enum kl_rc kl_sql__bind_slot(
    struct kl_binder *b, int col, struct kl_expr **ret, struct kl_err *err);
enum kl_rc kl_sql__bind_type(
    struct kl_binder *b, const PgQuery__TypeName *n, struct kl_type *ret, struct kl_err *err);
/* Column of the relation in scope that a reference names; KL_E_UNSUPPORTED for t.* and whole rows.
 */
enum kl_rc kl_sql__bind_column(
    struct kl_binder *b, const PgQuery__ColumnRef *ref, int *ret_col, struct kl_err *err);
bool kl_sql__is_star(const PgQuery__Node *val, const PgQuery__ColumnRef **ret_ref);

/* ---- bind_func.c ---- */
enum kl_rc kl_sql__bind_call(
    struct kl_binder *b, const PgQuery__FuncCall *f, struct kl_expr **ret, struct kl_err *err);
enum kl_rc kl_sql__bind_value_function(struct kl_binder *b, const PgQuery__SQLValueFunction *f,
    struct kl_expr **ret, struct kl_err *err);
bool kl_sql__has_aggregate(const PgQuery__Node *n); /* as far as native expressions go */
struct kl_slice kl_sql__func_name(
    const PgQuery__FuncCall *f); /* without pg_catalog; empty for another schema */

/* ---- bind_name.c ---- */
/* The name that PostgreSQL gives a result column. */
struct kl_slice kl_sql__output_name(const PgQuery__Node *val);

/* ---- bind_select.c: a select list ---- */
struct kl_outputs {
    const struct kl_expr **exprs;
    struct kl_sink_col *cols;
    int16_t *from; /* plain column that it is, or KL_COL_NONE */
    size_t n;
};
enum kl_rc kl_sql__bind_outputs(struct kl_binder *b, PgQuery__Node *const *targets,
    size_t n_targets, struct kl_outputs *o, struct kl_err *err);

/* ---- bind_deleted.c ---- */
/* A WHERE that mentions _deleted in any way but `_deleted = false`: KL_E_UNSUPPORTED. */
enum kl_rc kl_sql__check_deleted(
    struct kl_binder *b, const PgQuery__Node *where, struct kl_err *err);
/* The same for a SELECT and what is inside its FROM, WITH and set operations. */
enum kl_rc kl_sql__check_deleted_select(
    struct kl_binder *b, const PgQuery__SelectStmt *s, struct kl_err *err);

/* ---- the statements ---- */
enum kl_rc kl_sql__bind_select(struct kl_binder *b, PgQuery__SelectStmt *s,
    struct kl_err *err); /* native: KL_E_UNSUPPORTED when it cannot be */
enum kl_rc kl_sql__bind_insert(struct kl_binder *b, PgQuery__InsertStmt *s, struct kl_err *err);
enum kl_rc kl_sql__bind_update(struct kl_binder *b, PgQuery__UpdateStmt *s, struct kl_err *err);
enum kl_rc kl_sql__bind_delete(struct kl_binder *b, PgQuery__DeleteStmt *s, struct kl_err *err);
enum kl_rc kl_sql__bind_truncate(
    struct kl_binder *b, const PgQuery__TruncateStmt *s, struct kl_err *err);
/* A SELECT inside a writing statement, over its values; in any order unless it says one. */
enum kl_rc kl_sql__bind_subplan(
    struct kl_binder *b, PgQuery__SelectStmt *s, struct kl_plan **ret, struct kl_err *err);
/* Views and system tables are closed, then the role. verb: "insert". */
enum kl_rc kl_sql__may_write(
    struct kl_binder *b, struct kl_table *t, const char *verb, struct kl_err *err);

/* ---- bind_returning.c, bind_check.c, bind_conflict.c ---- */
/* Makes plan->write, with the CHECK constraints of what is written. plan->kind is set. */
enum kl_rc kl_sql__open_write(struct kl_binder *b, struct kl_err *err);
enum kl_rc kl_sql__bind_returning(
    struct kl_binder *b, PgQuery__Node *const *list, size_t n, struct kl_err *err);
enum kl_rc kl_sql__bind_checks(
    struct kl_binder *b, struct kl_plan_write *write, struct kl_err *err);
enum kl_rc kl_sql__bind_conflict(struct kl_binder *b, const PgQuery__OnConflictClause *o,
    struct kl_plan_conflict **ret, struct kl_err *err);
/* SET lists: the columns, each once and none of the key; what one of them is given, out of (a, b) =
 * (1, 2) too; all of it as native expressions, NULL for DEFAULT. */
enum kl_rc kl_sql__bind_set_cols(
    struct kl_binder *b, PgQuery__Node *const *list, size_t n, uint16_t **ret, struct kl_err *err);
enum kl_rc kl_sql__set_value(struct kl_binder *b, const PgQuery__ResTarget *r,
    const PgQuery__Node **ret, struct kl_err *err);
enum kl_rc kl_sql__bind_set_exprs(struct kl_binder *b, PgQuery__Node *const *list, size_t n,
    const struct kl_expr ***ret, struct kl_err *err);
bool kl_sql__is_default(const PgQuery__Node *n); /* NULL too */

/* ---- bind_star.c ---- */
struct kl_star_column {
    const char *rel; /* NULL: without qualifier */
    const char *name;
};
struct kl_columns {
    struct kl_star_column *list;
    size_t n, cap;
};
/* WITH clauses in sight; of the innermost only the first n_seen. */
struct kl_withs {
    const struct kl_withs *outer;
    const PgQuery__WithClause *with;
    size_t n_seen;
    unsigned depth;
    size_t *steps; /* left, for the whole statement */
};
/* The columns that `*` or `rel.*` stands for in a SELECT, those of tables without _seq and _deleted.
 * KL_E_UNSUPPORTED: not known. */
enum kl_rc kl_sql__star_columns(struct kl_binder *b, const struct kl_withs *w,
    const PgQuery__SelectStmt *s, const PgQuery__ColumnRef *star, struct kl_columns *out,
    struct kl_err *err);
bool kl_sql__same_name(const char *a, const char *b);

/* ---- bind_source.c ---- */
/* What UPDATE and DELETE have in common. */
struct kl_change_parts {
    const char *verb; /* UPDATE */
    const PgQuery__RangeVar *relation;
    PgQuery__Node **set, **from;
    size_t n_set, n_from;
    PgQuery__Node *where;
    PgQuery__WithClause *with;
    PgQuery__Node **returning;
    size_t n_returning;
};
/* The query of INSERT ... SELECT, in which * leaves out _seq and _deleted; and its width. */
enum kl_rc kl_sql__insert_source(struct kl_binder *b, const PgQuery__InsertStmt *s,
    const struct kl_plan_insert *ins, PgQuery__SelectStmt **ret, size_t *ret_width,
    struct kl_err *err);
/* SELECT target._seq, assignments FROM target, others WHERE ... */
enum kl_rc kl_sql__change_source(struct kl_binder *b, const struct kl_change_parts *parts,
    const uint16_t *set_cols, PgQuery__SelectStmt **ret, struct kl_err *err);

/* ---- bind_access.c ---- */
/* Point access when the filter fixes every key column; else leaves the plan's access path alone. */
enum kl_rc kl_sql__bind_access(
    struct kl_binder *b, const struct kl_expr *filter, struct kl_err *err);

/* The arguments of a call in order: those of make_interval may have names. */
enum kl_rc kl_sql__named_args(const PgQuery__FuncCall *f, struct kl_arena *arena, int position,
    PgQuery__Node ***ret, size_t *ret_n, struct kl_err *err);

/* TRY_CAST (parse_try.c): a copy that PostgreSQL's parser reads, for free(), NULL when there is none;
 * afterwards marks those casts in the tree (type_name->pct_type). */
char *kl_sql__without_try(const char *text);
void kl_sql__mark_try(PgQuery__ParseResult *tree, const char *text);

#endif
