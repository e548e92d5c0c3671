/* From PostgreSQL's parse tree to DuckDB's SQL. */
#ifndef KL_SQL_DUCK_PRINT_H
#define KL_SQL_DUCK_PRINT_H

#include "sql/sql.h"
#include <pg_query/pg_query.pb-c.h>

struct kl_query_input; /* sql/internal.h */

/* Prints any SELECT as DuckDB's SQL over scans: resolves every relation against ctx->cat, checks
 * that the caller may read it, and lets no function through that is not in duck_functions.def.
 * Fills plan->kind and plan->duck, all from plan->arena; each scan's table is counted once (the
 * plan gives it up). On failure the plan is as it was.
 *
 * in: types of $1..; KL_T_NULL is a text whose type is open. What cannot be printed is
 * KL_E_UNSUPPORTED with its position; so is what needs a literal where `in` has a value (not
 * plain). */
enum kl_rc kl_sql__duck_print(const struct kl_sql_ctx *ctx, PgQuery__SelectStmt *stmt,
    const struct kl_query_input *in, struct kl_plan *plan, struct kl_err *err);

#endif
