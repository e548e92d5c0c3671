/* Shared by the functions: their declarations, made from the table. */
#ifndef KL_SQL_FUNC_INTERNAL_H
#define KL_SQL_FUNC_INTERNAL_H

#include "duck/duck.h"
#include "sql/expr_internal.h"

kl_func_fn kl_func__lower, kl_func__upper, kl_func__char_length, kl_func__octet_length,
    kl_func__btrim, kl_func__ltrim, kl_func__rtrim, kl_func__substr, kl_func__left, kl_func__right,
    kl_func__replace, kl_func__strpos, kl_func__concat, kl_func__concat_ws, kl_func__starts_with,
    kl_func__repeat, kl_func__reverse, kl_func__lpad, kl_func__rpad,
    kl_func__split_part; /* func_text.c */
kl_func_fn kl_func__abs, kl_func__ceil, kl_func__floor, kl_func__round, kl_func__trunc,
    kl_func__sign, kl_func__sqrt, kl_func__exp, kl_func__ln, kl_func__log10, kl_func__log_base,
    kl_func__pi, kl_func__random; /* func_math.c */
kl_func_fn kl_func__clock_timestamp, kl_func__now, kl_func__localtime, kl_func__current_date, kl_func__date_trunc,
    kl_func__date_part, kl_func__extract, kl_func__to_timestamp,
    kl_func__make_date; /* func_time.c */
kl_func_fn kl_func__current_user, kl_func__current_role, kl_func__snowflake_id, kl_func__uuid_v7,
    kl_func__gen_random_uuid, kl_func__ulid; /* func_id.c */
kl_func_fn kl_func__json_get, kl_func__json_get_str, kl_func__json_get_int, kl_func__json_get_float,
    kl_func__json_get_bool, kl_func__json_as_text, kl_func__json_length, kl_func__json_contains,
    kl_func__json_has; /* func_json.c */
kl_func_fn kl_func__cosine_distance, kl_func__l2_distance,
    kl_func__inner_product; /* func_vector.c */
kl_func_fn kl_func__translate, kl_func__initcap, kl_func__ascii, kl_func__chr, kl_func__bit_length,
    kl_func__text_of, kl_func__try, kl_func__to_hex, kl_func__overlay, kl_func__quote_literal, kl_func__quote_nullable,
    kl_func__quote_ident, kl_func__num_nonnulls, kl_func__num_nulls,
    kl_func__format; /* func_string.c */
kl_func_fn kl_func__md5, kl_func__sha224, kl_func__sha256, kl_func__sha384, kl_func__sha512,
    kl_func__encode, kl_func__decode, kl_func__convert_from, kl_func__convert_to,
    kl_func__get_byte, kl_func__set_byte, kl_func__substr_bytes,
    kl_func__position_bytes; /* func_bytes.c */
kl_func_fn kl_func__age, kl_func__date_bin, kl_func__justify_hours, kl_func__justify_days,
    kl_func__justify_interval, kl_func__make_interval, kl_func__make_time, kl_func__make_timestamp,
    kl_func__timezone, kl_func__timezone_interval, kl_func__overlaps, kl_func__overlaps_intervals,
    kl_func__isfinite, kl_func__to_date_type, kl_func__interval_div, kl_func__interval_months,
    kl_func__interval_days, kl_func__interval_us, kl_func__interval_of, kl_func__time_sub,
    kl_func__to_time, kl_func__to_interval; /* func_interval.c */
kl_func_fn kl_func__to_bytes, kl_func__to_hex32;
kl_func_fn kl_func__bit_and, kl_func__bit_or, kl_func__bit_xor, kl_func__bit_not, kl_func__shift_left,
    kl_func__shift_right; /* func_math.c */
kl_func_fn kl_func__to_char, kl_func__to_timestamp_text, kl_func__to_date; /* func_format.c */
kl_func_fn kl_func__json_typeof, kl_func__json_array_length, kl_func__json_extract,
    kl_func__json_extract_text, kl_func__json_strip_nulls, kl_func__json_set, kl_func__to_json,
    kl_func__json_build_object, kl_func__json_build_array, kl_func__json_object_of,
    kl_func__json_array_of, kl_func__json_concat, kl_func__json_delete_index,
    kl_func__json_delete_key, kl_func__json_delete_path, kl_func__json_path,
    kl_func__json_path_text, kl_func__json_holds, kl_func__json_is_held, kl_func__json_has_any,
    kl_func__json_has_all, kl_func__json_has_any_of,
    kl_func__json_has_all_of; /* func_jsonb.c */
kl_func_fn kl_func__cbrt, kl_func__sinh, kl_func__cosh, kl_func__tanh, kl_func__asinh,
    kl_func__acosh, kl_func__atanh, kl_func__sin, kl_func__cos, kl_func__tan, kl_func__cot,
    kl_func__asin, kl_func__acos, kl_func__atan, kl_func__atan2, kl_func__degrees,
    kl_func__radians, kl_func__gcd, kl_func__lcm, kl_func__factorial, kl_func__div,
    kl_func__width_bucket, kl_func__scale; /* func_math.c */
kl_func_fn kl_func__regexp_like, kl_func__regexp_substring, kl_func__regexp_substr,
    kl_func__regexp_count, kl_func__regexp_instr, kl_func__regexp_replace,
    kl_func__regexp_replace_from, kl_func__regexp_match, kl_func__regexp_matches,
    kl_func__regexp_split, kl_func__similar_to; /* func_regex.c */

/* An offset in microseconds east of Greenwich; false: not UTC and no offset. */
bool kl_func__fixed_zone(struct kl_slice s, int64_t *ret_us);
/* What was written becomes the result; gives the buffer up. */
enum kl_rc kl_func__take(struct kl_eval *ev, struct kl_buf *out, uint8_t type, struct kl_val *ret,
    struct kl_err *err);

/* Turns an untyped vector literal into an EMBEDDING while building, a parameter into a derived one.
 */
enum kl_rc kl_func__prepare_vectors(struct kl_expr_builder *b, const char *name,
    struct kl_expr **pair, int position, struct kl_err *err);

#endif
