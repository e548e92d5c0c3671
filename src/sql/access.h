/* Choosing how a statement reaches the rows of one table. */
#ifndef KL_SQL_ACCESS_H
#define KL_SQL_ACCESS_H

#include "sql/internal.h"

struct kl_access_input {
    const struct kl_table *table;
    const int16_t *slots; /* what the slots of filter and order are */
    size_t n_slots;
    const struct kl_expr *filter; /* NULL: every row */
    const struct kl_order_key *order;
    size_t n_order;
    bool limited; /* only the first rows of that order are wanted */
    bool counts;  /* no column of a row is looked at */
    struct kl_arena *arena;
};
/* The best path. It only narrows: every row that meets the filter is on it. When no index, key or bound helps it
 * is the plain scan of the partition. */
enum kl_rc kl_sql__choose_access(
    const struct kl_access_input *in, struct kl_access_path *ret, struct kl_err *err);

#endif
