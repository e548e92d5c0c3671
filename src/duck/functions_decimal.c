/* Division of decimals as the native executor does it, where DuckDB turns them into doubles.
 *
 * kl_div_<s> and kl_mod_<s>, s from 0 to 38, take two DECIMAL(38,s). A quotient has 16 digits after
 * the point or s, whichever is more, rounded half away from zero; a remainder has s and the sign of
 * the dividend. Both raise "division by zero". One function a scale, because a function's types are
 * fixed; the printer brings both operands to one scale. Runs on the instance's thread. */
#include "duck/internal.h"

#include <stdio.h>

#define QUOTIENT_SCALE 16
typedef unsigned __int128 u128;

static u128 magnitude(__int128 v) {
    return v < 0 ? (u128)0 - (u128)v : (u128)v;
}

/* The next digit of rest / divisor; both below 10^38, so that doubled they fit. */
static unsigned next_digit(u128 *rest, u128 divisor) {
    if (*rest < ((u128)1 << 124)) {
        u128 ten = *rest * 10;
        *rest = ten % divisor;
        return (unsigned)(ten / divisor);
    }
    unsigned digit = 0;
    u128 x = 0;
    for (int bit = 3; bit >= 0; bit--) { /* ten times the rest, bit by bit of the ten */
        x *= 2;
        digit *= 2;
        if (x >= divisor) {
            x -= divisor;
            digit++;
        }
        if (10 >> bit & 1) {
            x += *rest;
            if (x >= divisor) {
                x -= divisor;
                digit++;
            }
        }
    }
    *rest = x;
    return digit;
}

/* False: more than 38 digits. */
static bool quotient(__int128 a, __int128 b, int scale, __int128 *ret) {
    u128 most = 1, divisor = magnitude(b), q = magnitude(a) / divisor,
         rest = magnitude(a) % divisor;
    for (int i = 0; i < 37; i++) {
        most *= 10;
    }
    for (int i = 0; i < scale; i++) {
        if (q >= most) {
            return false;
        }
        q = q * 10 + next_digit(&rest, divisor);
    }
    q += rest >= divisor - rest;
    if (q >= most * 10) {
        return false;
    }
    *ret = (a < 0) != (b < 0) ? -(__int128)q : (__int128)q;
    return true;
}

static void evaluate(
    duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out, int scale) {
    duckdb_vector l = kl_dk.data_chunk_get_vector(in, 0), r = kl_dk.data_chunk_get_vector(in, 1);
    const uint64_t *l_valid = kl_dk.vector_get_validity(l), *r_valid = kl_dk.vector_get_validity(r);
    const __int128 *a = kl_dk.vector_get_data(l), *b = kl_dk.vector_get_data(r);
    __int128 *to = kl_dk.vector_get_data(out);
    for (size_t i = 0; i < kl_dk.data_chunk_get_size(in); i++) {
        if (!kl_duck__valid(l_valid, i) || !kl_duck__valid(r_valid, i)) {
            kl_dk.vector_ensure_validity_writable(out);
            kl_dk.vector_get_validity(out)[i / 64] &= ~(UINT64_C(1) << (i % 64));
        } else if (b[i] == 0) {
            kl_duck__function_fail(info, KL_E_EXEC, "division by zero");
            return;
        } else if (scale < 0) {
            to[i] = a[i] % b[i];
        } else if (!quotient(a[i], b[i], scale, &to[i])) {
            kl_duck__function_fail(info, KL_E_TYPE, "numeric field overflow");
            return;
        }
    }
}

static void divide(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    evaluate(info, in, out, QUOTIENT_SCALE);
}

static void modulo(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    evaluate(info, in, out, -1);
}

#define WIDE(s)                                                                                    \
    static void divide_##s(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {   \
        evaluate(info, in, out, s);                                                                \
    }
#define EACH_WIDE(X)                                                                               \
    X(17)                                                                                          \
    X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) X(32)      \
        X(33) X(34) X(35) X(36) X(37) X(38)
EACH_WIDE(WIDE)
#define ENTRY(s) divide_##s,
static const duckdb_scalar_function_t wide[] = {EACH_WIDE(ENTRY)};

static duckdb_state add(struct kl_duck *d, const char *form, int scale, int result_scale,
    duckdb_scalar_function_t run) {
    char name[16];
    snprintf(name, sizeof(name), form, scale);
    duckdb_scalar_function f = kl_dk.create_scalar_function();
    duckdb_logical_type arg = kl_dk.create_decimal_type(38, (uint8_t)scale),
                        result = kl_dk.create_decimal_type(38, (uint8_t)result_scale);
    kl_dk.scalar_function_set_name(f, name);
    kl_dk.scalar_function_add_parameter(f, arg);
    kl_dk.scalar_function_add_parameter(f, arg);
    kl_dk.scalar_function_set_return_type(f, result);
    kl_dk.scalar_function_set_extra_info(f, d, NULL);
    kl_dk.scalar_function_set_function(f, run);
    duckdb_state state = kl_dk.register_scalar_function(d->con, f);
    kl_dk.destroy_logical_type(&arg);
    kl_dk.destroy_logical_type(&result);
    kl_dk.destroy_scalar_function(&f);
    return state;
}

duckdb_state kl_duck__register_decimals(struct kl_duck *d) {
    for (int s = 0; s <= 38; s++) {
        bool short_ = s <= QUOTIENT_SCALE;
        duckdb_scalar_function_t run = short_ ? divide : wide[s - QUOTIENT_SCALE - 1];
        if (add(d, "kl_div_%d", s, short_ ? QUOTIENT_SCALE : s, run) != DuckDBSuccess ||
            add(d, "kl_mod_%d", s, s, modulo) != DuckDBSuccess) {
            return DuckDBError;
        }
    }
    return DuckDBSuccess;
}
