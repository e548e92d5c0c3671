/* Scalar functions that printed statements call. Two kinds:
 *
 * - What differs between executions of one plan (kl_current_user, kl_now, ids). They read the
 * running query and are registered as volatile, so that DuckDB neither folds them into a prepared
 * plan nor shares one id between rows.
 * - PostgreSQL's meaning where DuckDB has another: kl_div and kl_mod, and kl_nonzero(x) where the
 * types are not known, raise "division by zero" where DuckDB's division answers NULL; kl_div_2 and
 * kl_mod_2 are those of DECIMAL(38,2), see functions_decimal.c; kl_round rounds halves to even;
 * kl_limit refuses negative counts; kl_cosine_distance is 1.0 for a vector without
 * direction, where DuckDB's is not defined; kl_avg(sum, count) is the exact average of integers,
 * where DuckDB's is a double. */
#include "duck/internal.h"

#include <math.h>
#include <stdio.h>

static struct kl_duck *duck_of(duckdb_function_info info) {
    return kl_dk.scalar_function_get_extra_info(info);
}

void kl_duck__function_fail(duckdb_function_info info, enum kl_rc rc, const char *text) {
    struct kl_err err = {0};
    kl_fail(&err, rc, "%s", text);
    kl_duck__fail(duck_of(info), &err);
    kl_dk.scalar_function_set_error(info, text);
}
#define fail kl_duck__function_fail

static void set_null(duckdb_vector vec, size_t row) {
    kl_dk.vector_ensure_validity_writable(vec);
    kl_dk.vector_get_validity(vec)[row / 64] &= ~(UINT64_C(1) << (row % 64));
}

/* The query, or NULL with the error set: these may not run while a statement is only being
 * prepared. */
static const struct kl_duck_query *running(duckdb_function_info info) {
    const struct kl_duck_query *q = duck_of(info)->query;
    if (!q) {
        fail(info, KL_E_INTERNAL, "a session function ran outside its query");
    }
    return q;
}

static void constant_text(duckdb_data_chunk in, duckdb_vector out, struct kl_slice text) {
    for (size_t i = 0; i < kl_dk.data_chunk_get_size(in); i++) {
        if (text.ptr) {
            kl_dk.vector_assign_string_element_len(out, i, text.ptr, text.len);
        } else {
            set_null(out, i);
        }
    }
}

static void current_user(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    const struct kl_duck_query *q = running(info);
    if (q) {
        constant_text(in, out, q->user);
    }
}

static void current_role(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    const struct kl_duck_query *q = running(info);
    if (q) {
        constant_text(in, out, q->role);
    }
}

static void now(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    const struct kl_duck_query *q = running(info);
    int64_t *cells = kl_dk.vector_get_data(out);
    for (size_t i = 0; q && i < kl_dk.data_chunk_get_size(in); i++) {
        cells[i] = q->now_us;
    }
}

static void snowflake_id(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    const struct kl_duck_query *q = running(info);
    if (!q) {
        return;
    }
    if (!q->ids) {
        fail(info, KL_E_UNSUPPORTED, "snowflake_id() is not available here");
        return;
    }
    int64_t *cells = kl_dk.vector_get_data(out);
    for (size_t i = 0; i < kl_dk.data_chunk_get_size(in); i++) {
        cells[i] = kl_snowflake_next(q->ids);
    }
}

static void uuid_v7(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    for (size_t i = 0; i < kl_dk.data_chunk_get_size(in); i++) {
        uint8_t uuid[16];
        char text[37];
        kl_uuid_v7(uuid);
        kl_uuid_format(uuid, text);
        kl_dk.vector_assign_string_element_len(out, i, text, 36);
    }
}

static void ulid(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    for (size_t i = 0; i < kl_dk.data_chunk_get_size(in); i++) {
        char text[27];
        kl_ulid(text);
        kl_dk.vector_assign_string_element_len(out, i, text, 26);
    }
}

#define NONZERO(name, ctype)                                                                       \
    static void nonzero_##name(                                                                    \
        duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {                      \
        duckdb_vector arg = kl_dk.data_chunk_get_vector(in, 0);                                    \
        const uint64_t *validity = kl_dk.vector_get_validity(arg);                                 \
        const ctype *from = kl_dk.vector_get_data(arg);                                            \
        ctype *to = kl_dk.vector_get_data(out);                                                    \
        for (size_t i = 0; i < kl_dk.data_chunk_get_size(in); i++) {                               \
            if (!kl_duck__valid(validity, i)) {                                                    \
                set_null(out, i);                                                                  \
                continue;                                                                          \
            }                                                                                      \
            if (from[i] == 0) {                                                                    \
                fail(info, KL_E_EXEC, "division by zero");                                         \
                return;                                                                            \
            }                                                                                      \
            to[i] = from[i];                                                                       \
        }                                                                                          \
    }
NONZERO(i16, int16_t)
NONZERO(i32, int32_t)
NONZERO(i64, int64_t)
NONZERO(i128, __int128)
NONZERO(f32, float)
NONZERO(f64, double)
#undef NONZERO

/* Two arguments of one type into the same; NULL when either is. Each defines step, which may say
 * why not. */
#define BINARY(name, ctype, step)                                                                  \
    static void name(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {         \
        duckdb_vector l = kl_dk.data_chunk_get_vector(in, 0),                                      \
                      r = kl_dk.data_chunk_get_vector(in, 1);                                      \
        const uint64_t *l_valid = kl_dk.vector_get_validity(l),                                    \
                       *r_valid = kl_dk.vector_get_validity(r);                                    \
        const ctype *a = kl_dk.vector_get_data(l), *b = kl_dk.vector_get_data(r);                  \
        ctype *to = kl_dk.vector_get_data(out);                                                    \
        for (size_t i = 0; i < kl_dk.data_chunk_get_size(in); i++) {                               \
            if (!kl_duck__valid(l_valid, i) || !kl_duck__valid(r_valid, i)) {                      \
                set_null(out, i);                                                                  \
                continue;                                                                          \
            }                                                                                      \
            const char *why = step(a[i], b[i], &to[i]);                                            \
            if (why) {                                                                             \
                fail(info, why == zero_divisor ? KL_E_EXEC : KL_E_TYPE, why);                      \
                return;                                                                            \
            }                                                                                      \
        }                                                                                          \
    }
static const char zero_divisor[] = "division by zero";

#define INTEGERS(name, ctype, least, what)                                                         \
    static const char *div_step_##name(ctype a, ctype b, ctype *ret) {                             \
        if (b == 0) {                                                                              \
            return zero_divisor;                                                                   \
        }                                                                                          \
        if (a == (least) && b == -1) {                                                             \
            return what " out of range";                                                           \
        }                                                                                          \
        *ret = (ctype)(a / b);                                                                     \
        return NULL;                                                                               \
    }                                                                                              \
    static const char *mod_step_##name(ctype a, ctype b, ctype *ret) {                             \
        if (b == 0) {                                                                              \
            return zero_divisor;                                                                   \
        }                                                                                          \
        *ret = b == -1 ? 0 : (ctype)(a % b);                                                       \
        return NULL;                                                                               \
    }                                                                                              \
    BINARY(div_##name, ctype, div_step_##name)                                                     \
    BINARY(mod_##name, ctype, mod_step_##name)
INTEGERS(i16, int16_t, INT16_MIN, "smallint")
INTEGERS(i32, int32_t, INT32_MIN, "integer")
INTEGERS(i64, int64_t, INT64_MIN, "bigint")
#undef INTEGERS

#define FLOATS(name, ctype)                                                                        \
    static const char *div_step_##name(ctype a, ctype b, ctype *ret) {                             \
        if (b == 0) {                                                                              \
            return zero_divisor;                                                                   \
        }                                                                                          \
        *ret = a / b;                                                                              \
        if (isinf(*ret) && !isinf(a)) {                                                            \
            return "value out of range: overflow";                                                 \
        }                                                                                          \
        return *ret == 0 && a != 0 && !isinf(b) ? "value out of range: underflow" : NULL;          \
    }                                                                                              \
    BINARY(div_##name, ctype, div_step_##name)
FLOATS(f32, float)
FLOATS(f64, double)
#undef FLOATS
#undef BINARY

static void round_even(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    duckdb_vector arg = kl_dk.data_chunk_get_vector(in, 0);
    const uint64_t *validity = kl_dk.vector_get_validity(arg);
    const double *from = kl_dk.vector_get_data(arg);
    double *to = kl_dk.vector_get_data(out);
    for (size_t i = 0; i < kl_dk.data_chunk_get_size(in); i++) {
        if (kl_duck__valid(validity, i)) {
            to[i] = rint(from[i]);
        } else {
            set_null(out, i);
        }
    }
}

/* A row count, and whether it is that of LIMIT (else OFFSET). */
static void limit(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    duckdb_vector arg = kl_dk.data_chunk_get_vector(in, 0);
    const uint64_t *validity = kl_dk.vector_get_validity(arg);
    const int64_t *from = kl_dk.vector_get_data(arg);
    const bool *is_limit = kl_dk.vector_get_data(kl_dk.data_chunk_get_vector(in, 1));
    int64_t *to = kl_dk.vector_get_data(out);
    for (size_t i = 0; i < kl_dk.data_chunk_get_size(in); i++) {
        if (!kl_duck__valid(validity, i)) {
            set_null(out, i);
        } else if (from[i] < 0) {
            fail(info, KL_E_EXEC,
                is_limit[i] ? "LIMIT must not be negative" : "OFFSET must not be negative");
            return;
        } else {
            to[i] = from[i];
        }
    }
}

/* sum / count with 16 digits after the point, rounded half away from zero. */
static void average(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    duckdb_vector sums = kl_dk.data_chunk_get_vector(in, 0),
                  counts = kl_dk.data_chunk_get_vector(in, 1);
    const uint64_t *sums_valid = kl_dk.vector_get_validity(sums),
                   *counts_valid = kl_dk.vector_get_validity(counts);
    const __int128 *sum = kl_dk.vector_get_data(sums);
    const int64_t *count = kl_dk.vector_get_data(counts);
    __int128 *cells = kl_dk.vector_get_data(out);
    for (size_t i = 0; i < kl_dk.data_chunk_get_size(in); i++) {
        if (!kl_duck__valid(sums_valid, i) || !kl_duck__valid(counts_valid, i) || count[i] == 0) {
            set_null(out, i);
            continue;
        }
        /* An average of 64-bit integers has 19 digits before the point: 35 in all. The remainder is
         * below the count. */
        const __int128 unit = 10000000000000000LL;
        __int128 whole = sum[i] / count[i], rest = sum[i] % count[i] * unit, part = rest / count[i];
        __int128 left = rest % count[i];
        if ((left < 0 ? -left : left) * 2 >= count[i]) {
            part += sum[i] < 0 ? -1 : 1;
        }
        cells[i] = whole * unit + part;
    }
}

struct vectors {
    duckdb_vector vec;
    const uint64_t *validity, *child_validity;
    const duckdb_list_entry *entries;
    const float *floats;
};

static struct vectors vectors_of(duckdb_data_chunk in, size_t arg) {
    struct vectors v = {.vec = kl_dk.data_chunk_get_vector(in, arg)};
    duckdb_vector child = kl_dk.list_vector_get_child(v.vec);
    v.validity = kl_dk.vector_get_validity(v.vec);
    v.entries = kl_dk.vector_get_data(v.vec);
    v.child_validity = kl_dk.vector_get_validity(child);
    v.floats = kl_dk.vector_get_data(child);
    return v;
}

static bool has_null_element(const struct vectors *v, duckdb_list_entry e) {
    for (size_t i = 0; v->child_validity && i < e.length; i++) {
        if (!kl_duck__valid(v->child_validity, e.offset + i)) {
            return true;
        }
    }
    return false;
}

static double cosine(const float *a, const float *b, size_t n) {
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return aa == 0 || bb == 0 ? 1.0 : 1.0 - dot / (sqrt(aa) * sqrt(bb));
}

static void cosine_distance(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    struct vectors a = vectors_of(in, 0), b = vectors_of(in, 1);
    float *cells = kl_dk.vector_get_data(out);
    for (size_t i = 0; i < kl_dk.data_chunk_get_size(in); i++) {
        if (!kl_duck__valid(a.validity, i) || !kl_duck__valid(b.validity, i)) {
            set_null(out, i);
            continue;
        }
        duckdb_list_entry ea = a.entries[i], eb = b.entries[i];
        if (ea.length != eb.length) {
            char text[96];
            snprintf(text, sizeof(text),
                "COSINE_DISTANCE() dimension mismatch: row has %zu, query has %zu",
                (size_t)ea.length, (size_t)eb.length);
            fail(info, KL_E_TYPE, text);
            return;
        }
        if (has_null_element(&a, ea) || has_null_element(&b, eb)) {
            fail(info, KL_E_TYPE, "an embedding cannot hold NULL");
            return;
        }
        cells[i] = (float)cosine(a.floats + ea.offset, b.floats + eb.offset, ea.length);
    }
}

static void add_parameter(duckdb_scalar_function f, duckdb_type id, bool list) {
    duckdb_logical_type type = kl_dk.create_logical_type(id);
    if (list) {
        duckdb_logical_type of = type;
        type = kl_dk.create_list_type(of);
        kl_dk.destroy_logical_type(&of);
    }
    kl_dk.scalar_function_add_parameter(f, type);
    kl_dk.destroy_logical_type(&type);
}

static duckdb_scalar_function make(
    struct kl_duck *d, const char *name, duckdb_type result, duckdb_scalar_function_t run) {
    duckdb_scalar_function f = kl_dk.create_scalar_function();
    duckdb_logical_type type = kl_dk.create_logical_type(result);
    kl_dk.scalar_function_set_name(f, name);
    kl_dk.scalar_function_set_return_type(f, type);
    kl_dk.scalar_function_set_extra_info(f, d, NULL);
    kl_dk.scalar_function_set_function(f, run);
    kl_dk.destroy_logical_type(&type);
    return f;
}

static duckdb_state register_one(struct kl_duck *d, duckdb_scalar_function f) {
    duckdb_state state = kl_dk.register_scalar_function(d->con, f);
    kl_dk.destroy_scalar_function(&f);
    return state;
}

struct variant {
    duckdb_type type;
    duckdb_scalar_function_t run;
};

/* One name for several types, each of n arguments of one type into the same. */
static duckdb_state register_set(struct kl_duck *d, const char *name, size_t n_args,
    const struct variant *variants, size_t n_variants) {
    duckdb_scalar_function_set set = kl_dk.create_scalar_function_set(name);
    duckdb_state state = DuckDBSuccess;
    for (size_t i = 0; i < n_variants && state == DuckDBSuccess; i++) {
        duckdb_scalar_function f = make(d, name, variants[i].type, variants[i].run);
        for (size_t arg = 0; arg < n_args; arg++) {
            add_parameter(f, variants[i].type, false);
        }
        state = kl_dk.add_scalar_function_to_set(set, f);
        kl_dk.destroy_scalar_function(&f);
    }
    if (state == DuckDBSuccess) {
        state = kl_dk.register_scalar_function_set(d->con, set);
    }
    kl_dk.destroy_scalar_function_set(&set);
    return state;
}

static duckdb_state register_arithmetic(struct kl_duck *d) {
    static const struct variant nonzero[] = {
        {DUCKDB_TYPE_SMALLINT, nonzero_i16},
        {DUCKDB_TYPE_INTEGER, nonzero_i32},
        {DUCKDB_TYPE_BIGINT, nonzero_i64},
        {DUCKDB_TYPE_HUGEINT, nonzero_i128},
        {DUCKDB_TYPE_FLOAT, nonzero_f32},
        {DUCKDB_TYPE_DOUBLE, nonzero_f64},
    };
    static const struct variant divs[] = {
        {DUCKDB_TYPE_SMALLINT, div_i16},
        {DUCKDB_TYPE_INTEGER, div_i32},
        {DUCKDB_TYPE_BIGINT, div_i64},
        {DUCKDB_TYPE_FLOAT, div_f32},
        {DUCKDB_TYPE_DOUBLE, div_f64},
    };
    static const struct variant mods[] = {
        {DUCKDB_TYPE_SMALLINT, mod_i16},
        {DUCKDB_TYPE_INTEGER, mod_i32},
        {DUCKDB_TYPE_BIGINT, mod_i64},
    };
    bool ok = register_set(d, "kl_nonzero", 1, nonzero, KL_LEN(nonzero)) == DuckDBSuccess &&
              register_set(d, "kl_div", 2, divs, KL_LEN(divs)) == DuckDBSuccess &&
              register_set(d, "kl_mod", 2, mods, KL_LEN(mods)) == DuckDBSuccess;
    if (!ok) {
        return DuckDBError;
    }
    duckdb_scalar_function f = make(d, "kl_round", DUCKDB_TYPE_DOUBLE, round_even);
    add_parameter(f, DUCKDB_TYPE_DOUBLE, false);
    if (register_one(d, f) != DuckDBSuccess) {
        return DuckDBError;
    }
    f = make(d, "kl_limit", DUCKDB_TYPE_BIGINT, limit);
    add_parameter(f, DUCKDB_TYPE_BIGINT, false);
    add_parameter(f, DUCKDB_TYPE_BOOLEAN, false);
    return register_one(d, f);
}

enum kl_rc kl_duck__register_functions(struct kl_duck *d, struct kl_err *err) {
    static const struct {
        const char *name;
        duckdb_type result;
        duckdb_scalar_function_t run;
    } session[] = {
        {"kl_current_user", DUCKDB_TYPE_VARCHAR, current_user},
        {"kl_current_role", DUCKDB_TYPE_VARCHAR, current_role},
        {"kl_now", DUCKDB_TYPE_TIMESTAMP_TZ, now},
        {"kl_snowflake_id", DUCKDB_TYPE_BIGINT, snowflake_id},
        {"kl_uuid_v7", DUCKDB_TYPE_VARCHAR, uuid_v7},
        {"kl_ulid", DUCKDB_TYPE_VARCHAR, ulid},
    };
    duckdb_state state = DuckDBSuccess;
    for (size_t i = 0; i < KL_LEN(session) && state == DuckDBSuccess; i++) {
        duckdb_scalar_function f = make(d, session[i].name, session[i].result, session[i].run);
        kl_dk.scalar_function_set_volatile(f);
        state = register_one(d, f);
    }
    if (state == DuckDBSuccess) {
        duckdb_scalar_function f =
            make(d, "kl_cosine_distance", DUCKDB_TYPE_FLOAT, cosine_distance);
        add_parameter(f, DUCKDB_TYPE_FLOAT, true);
        add_parameter(f, DUCKDB_TYPE_FLOAT, true);
        state = register_one(d, f);
    }
    if (state == DuckDBSuccess) {
        duckdb_scalar_function f = make(d, "kl_avg", DUCKDB_TYPE_HUGEINT, average);
        duckdb_logical_type type = kl_dk.create_decimal_type(38, 16);
        kl_dk.scalar_function_set_return_type(f, type);
        kl_dk.destroy_logical_type(&type);
        add_parameter(f, DUCKDB_TYPE_HUGEINT, false);
        add_parameter(f, DUCKDB_TYPE_BIGINT, false);
        state = register_one(d, f);
    }
    if (state == DuckDBSuccess) {
        state = register_arithmetic(d);
    }
    if (state == DuckDBSuccess) {
        state = kl_duck__register_decimals(d);
    }
    if (state == DuckDBSuccess) {
        state = kl_duck__register_natives(d);
    }
    if (state == DuckDBSuccess) {
        state = kl_duck__register_texts(d);
    }
    return state == DuckDBSuccess
               ? KL_OK
               : kl_fail(err, KL_E_INTERNAL, "cannot register functions in the analytical engine");
}
