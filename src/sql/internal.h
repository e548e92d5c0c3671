/* Shared inside sql/: plans being built, names, the way from a statement's text to its tree. What
 * belongs to one topic has a header of its own: scan.h, shape.h, bind_internal.h (PostgreSQL's tree
 * into plans), parse_internal.h (KalamDB's own statements). */
#ifndef KL_SQL_INTERNAL_H
#define KL_SQL_INTERNAL_H

#include "sql/scan.h"
#include "sql/sql.h"

/* ---- plan.c ---- */
struct kl_plan *kl_sql__plan_new(
    enum kl_plan_kind kind, const struct kl_sql_ctx *ctx); /* one reference */
/* Empties a plan that could not be built, so that it can be built in another way. */
void kl_sql__plan_reset(struct kl_plan *p, enum kl_plan_kind kind);
void kl_sql__plan_set_table(struct kl_plan *p, struct kl_table *t); /* counts it */
/* Copies into the plan's arena. */
enum kl_rc kl_sql__plan_dup(
    struct kl_plan *p, struct kl_slice s, struct kl_slice *ret, struct kl_err *err);
enum kl_rc kl_sql__no_room(struct kl_err *err); /* KL_E_TOO_LARGE: the arena's budget is used up */

/* ---- plan_cache.c ---- */
struct kl_cached {
    struct kl_plan *plan; /* NULL: this shape must be planned as written */
};
/* NULL: not known. A newer catalog version empties the cache, an older one finds nothing. */
const struct kl_cached *kl_sql__cache_get(
    struct kl_plan_cache *c, uint64_t catalog_version, struct kl_slice key);
/* Takes a reference of its own; plan NULL remembers that the shape is of no use. */
void kl_sql__cache_put(
    struct kl_plan_cache *c, uint64_t catalog_version, struct kl_slice key, struct kl_plan *plan);

/* ---- bind_name.c: relations ---- */
struct kl_rel_name {
    struct kl_slice catalog, ns, name; /* catalog and ns may be empty */
    int position;
};
/* Finds a table; unqualified names are looked up in the session's namespace. KL_E_NOT_FOUND "Table
 * not found: ns.t". No permission check. */
enum kl_rc kl_sql__find_table(const struct kl_sql_ctx *ctx, const struct kl_rel_name *name,
    struct kl_table **ret, struct kl_err *err);
/* And may the caller read it? For everything that a SELECT names. */
enum kl_rc kl_sql__readable_table(const struct kl_sql_ctx *ctx, const struct kl_rel_name *name,
    struct kl_table **ret, struct kl_err *err);
/* column "x" does not exist, at the position, with a near name as hint. qualifier may be empty. */
enum kl_rc kl_sql__no_column(const struct kl_table *t, struct kl_slice qualifier,
    struct kl_slice name, int position, struct kl_err *err);
/* Index of a column, or KL_COL_SEQ, KL_COL_DELETED (not in system relations); -3: none. */
#define KL_COL_NONE (-3)
int kl_sql__column(const struct kl_table *t, struct kl_slice name);
struct kl_sink_col kl_sql__sink_col(
    const struct kl_table *t, int col); /* name, type, flags of a column or pseudo column */

/* ---- stmt_bind.c ---- */
/* Works out the derived values of a plan behind its own ones; vals has room for them. */
enum kl_rc kl_sql__derive_row(
    const struct kl_plan *plan, struct kl_val *vals, struct kl_arena *arena, struct kl_err *err);
/* A DuckDB plan's LIMIT and OFFSET. */
enum kl_rc kl_sql__check_counts(
    const struct kl_plan *plan, const struct kl_val *vals, struct kl_err *err);

/* ---- statements ---- */
/* Length, no NUL, valid UTF-8. */
enum kl_rc kl_sql__check_text(struct kl_slice sql, struct kl_err *err);
/* A statement that PostgreSQL's parser reads: plan kinds SELECT, DUCK, INSERT, UPDATE, DELETE. text
 * is NUL-terminated. types: of $1..; values are numbered from 1. plain: text is what the caller
 * wrote, positions mean something. internal: no permission check (SHOW ...). */
struct kl_query_input {
    const char *text;
    const struct kl_type *types;
    unsigned n_types;
    bool plain, internal;
    bool unordered; /* rows may come in any order unless the statement says one */
    bool declared;  /* its rows do not go straight to a client: * is without _seq and _deleted */
};
enum kl_rc kl_sql__bind_query(const struct kl_sql_ctx *ctx, const struct kl_query_input *in,
    struct kl_plan **ret, struct kl_err *err);
/* KalamDB's own statements, and the error for everything that is neither. */
enum kl_rc kl_sql__bind_command(
    const struct kl_sql_ctx *ctx, struct kl_slice stmt, struct kl_plan **ret, struct kl_err *err);
/* "GRANT is not available in this version". */
enum kl_rc kl_sql__unavailable(struct kl_err *err, const char *what);

#endif
