/* The words that matter to a shape: they open clauses in which literals stay, or stand before
 * literals. */
#ifndef KL_SQL_SHAPE_INTERNAL_H
#define KL_SQL_SHAPE_INTERNAL_H

#include "sql/shape.h"

enum kl_shape_word {
    KL_W_NONE,
    KL_W_VALUE_NEXT, /* a keyword that may stand before a literal */
    KL_W_SELECT,
    KL_W_VALUES,
    KL_W_WHERE, /* ON too */
    KL_W_GROUP,
    KL_W_ORDER,
    KL_W_BY,
    KL_W_DISTINCT,
    KL_W_AS,
    KL_W_LIMIT, /* OFFSET, FETCH too */
    KL_W_SETOP,
    KL_W_HAVING, /* and what else ends a WHERE */
    KL_W_NULL,
    KL_W_TRUE,
    KL_W_FALSE,
    KL_W_NILADIC, /* CURRENT_USER and its like, which here may carry () */
};
enum kl_shape_word kl_sql__shape_word(struct kl_slice lower);

#endif
