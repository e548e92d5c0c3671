/* EXPLAIN in front of a statement. */
#ifndef KL_SQL_EXPLAIN_H
#define KL_SQL_EXPLAIN_H

#include "sql/internal.h"

/* EXPLAIN [ANALYZE] [VERBOSE] statement, EXPLAIN (option, ...) statement. ret_inner borrows from stmt. */
enum kl_rc kl_sql__explain_options(
    struct kl_slice stmt, enum kl_explain *ret, struct kl_slice *ret_inner, struct kl_err *err);

#endif
