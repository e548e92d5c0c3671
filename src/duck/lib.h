/* The functions of libduckdb.so that this folder uses, found with dlsym. kl_dk.query(...) is
 * duckdb_query(...); the types come from duckdb.h, so a wrong argument does not compile. Filled
 * once by kl_duck__load, read-only afterwards. */
#ifndef KL_DUCK_LIB_H
#define KL_DUCK_LIB_H

#include "base/base.h"
#include <duckdb.h>

/* clang-format off */
#define KL_DK_FUNCTIONS(X)                                                                         \
    X(library_version) X(create_config) X(set_config) X(destroy_config) X(open_ext) X(close)       \
    X(connect) X(disconnect) X(interrupt) X(free) X(query) X(destroy_result) X(result_error)       \
    X(prepare) X(destroy_prepare) X(prepare_error) X(nparams) X(param_logical_type)                \
    X(execute_prepared_streaming) X(fetch_chunk)                                                   \
    X(column_count) X(column_name) X(column_logical_type)                                          \
    X(bind_null) X(bind_boolean) X(bind_int16) X(bind_int32) X(bind_int64) X(bind_float)           \
    X(bind_double) X(bind_date) X(bind_time) X(bind_timestamp) X(bind_timestamp_tz)                \
    X(bind_interval) X(bind_varchar_length) X(bind_blob) X(bind_decimal) X(bind_value)             \
    X(create_uuid) X(create_float) X(create_array_value) X(destroy_value)                          \
    X(create_logical_type) X(create_decimal_type) X(create_array_type) X(create_list_type)         \
    X(destroy_logical_type) X(logical_type_set_alias) X(logical_type_get_alias) X(get_type_id)     \
    X(decimal_width) X(decimal_scale) X(decimal_internal_type) X(enum_internal_type)               \
    X(enum_dictionary_value) X(array_type_array_size) X(array_type_child_type)                     \
    X(list_type_child_type) X(map_type_key_type) X(map_type_value_type) X(struct_type_child_count) \
    X(struct_type_child_name) X(struct_type_child_type)                                            \
    X(data_chunk_get_size) X(data_chunk_set_size) X(data_chunk_get_column_count)                   \
    X(data_chunk_get_vector) X(destroy_data_chunk) X(vector_size)                                  \
    X(vector_get_data) X(vector_get_validity) X(vector_ensure_validity_writable)                   \
    X(vector_assign_string_element_len) X(array_vector_get_child) X(list_vector_get_child)         \
    X(struct_vector_get_child) X(from_time_tz)                                                     \
    X(create_table_function) X(destroy_table_function) X(table_function_set_name)                  \
    X(table_function_set_extra_info) X(table_function_set_bind) X(table_function_set_init)         \
    X(table_function_set_function) X(table_function_supports_projection_pushdown)                  \
    X(register_table_function) X(bind_get_extra_info) X(bind_add_result_column)                    \
    X(bind_set_error) X(bind_set_bind_data) X(init_get_extra_info) X(init_set_init_data)           \
    X(init_get_column_count) X(init_get_column_index) X(init_set_max_threads) X(init_set_error)    \
    X(function_get_init_data) X(function_set_error)                                                \
    X(create_scalar_function) X(destroy_scalar_function) X(scalar_function_set_name)               \
    X(scalar_function_add_parameter) X(scalar_function_set_return_type)                            \
    X(scalar_function_set_volatile) X(scalar_function_set_extra_info)                              \
    X(scalar_function_set_function) X(scalar_function_get_extra_info)                              \
    X(scalar_function_set_error) X(register_scalar_function)                                       \
    X(scalar_function_set_varargs) X(scalar_function_set_special_handling)                         \
    X(create_scalar_function_set) X(add_scalar_function_to_set)                                    \
    X(register_scalar_function_set) X(destroy_scalar_function_set)
/* clang-format on */

struct kl_dk {
#define X(name) __typeof__(duckdb_##name) *name;
    KL_DK_FUNCTIONS(X)
#undef X
};
extern struct kl_dk kl_dk;

/* Any thread. After a failure the next call tries again. KL_E_INTERNAL: says where it looked and
 * what to run. */
enum kl_rc kl_duck__load(struct kl_err *err);

#endif
