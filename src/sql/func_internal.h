/* Shared by the functions: their declarations, made from the table. */
#ifndef KL_SQL_FUNC_INTERNAL_H
#define KL_SQL_FUNC_INTERNAL_H

#include "sql/expr_internal.h"

kl_func_fn kl_func__lower, kl_func__upper, kl_func__char_length, kl_func__octet_length,
    kl_func__btrim, kl_func__ltrim, kl_func__rtrim, kl_func__substr, kl_func__left, kl_func__right,
    kl_func__replace, kl_func__strpos, kl_func__concat, kl_func__concat_ws, kl_func__starts_with,
    kl_func__repeat, kl_func__reverse, kl_func__lpad, kl_func__rpad,
    kl_func__split_part; /* func_text.c */
kl_func_fn kl_func__abs, kl_func__ceil, kl_func__floor, kl_func__round, kl_func__trunc,
    kl_func__sign, kl_func__sqrt, kl_func__exp, kl_func__ln, kl_func__log10, kl_func__log_base,
    kl_func__pi, kl_func__random; /* func_math.c */
kl_func_fn kl_func__now, kl_func__localtime, kl_func__current_date, kl_func__date_trunc,
    kl_func__date_part, kl_func__extract, kl_func__to_timestamp,
    kl_func__make_date; /* func_time.c */
kl_func_fn kl_func__current_user, kl_func__current_role, kl_func__snowflake_id, kl_func__uuid_v7,
    kl_func__gen_random_uuid, kl_func__ulid; /* func_id.c */
kl_func_fn kl_func__json_get, kl_func__json_get_str, kl_func__json_get_int, kl_func__json_get_float,
    kl_func__json_get_bool, kl_func__json_as_text, kl_func__json_length, kl_func__json_contains,
    kl_func__json_has; /* func_json.c */
kl_func_fn kl_func__cosine_distance, kl_func__l2_distance,
    kl_func__inner_product; /* func_vector.c */

/* Turns an untyped vector literal into an EMBEDDING while building, a parameter into a derived one.
 */
enum kl_rc kl_func__prepare_vectors(struct kl_expr_builder *b, const char *name,
    struct kl_expr **pair, int position, struct kl_err *err);

#endif
