/* Functions that are not DuckDB's but the native executor's: the caller hands over a list of them
 * (kl_duck_options), each becomes a scalar function under its name. So both executors run the same
 * code where DuckDB has no function of PostgreSQL's meaning.
 *
 * Arguments are read cell by cell into our values, the result is written back; what a cell needs
 * comes from an arena that lives as long as a chunk. Unless it asks for NULLs a function sees none.
 * Runs on the instance's thread. */
#include "duck/internal.h"

#include <stdlib.h>

#define CHECK_ROWS 16

struct kl_duck_native_slot {
    struct kl_duck *duck;
    const struct kl_duck_native *native;
};

struct argument {
    struct kl_duck_reader reader;
    struct kl_duck_column column;
};

static enum kl_rc read_argument(const struct argument *a, struct kl_type t, size_t row,
    struct kl_arena *arena, struct kl_val *ret, struct kl_err *err) {
    if (!kl_duck__valid(a->column.validity, row)) {
        *ret = kl_val_null(t.id);
        return KL_OK;
    }
    if (t.id == KL_T_INTERVAL) { /* which leaves the engine as text only */
        duckdb_interval iv = ((const duckdb_interval *)a->column.data)[row];
        *ret = (struct kl_val){
            .type = KL_T_INTERVAL, .iv = {.months = iv.months, .days = iv.days, .us = iv.micros}};
        return KL_OK;
    }
    KL_TRY(kl_duck__read(&a->column, row, arena, ret, err));
    ret->type = t.id;
    return KL_OK;
}

static enum kl_rc write_result(
    struct kl_duck_writer *w, size_t row, const struct kl_val *v, struct kl_err *err) {
    if (!v->null && w->type.id == KL_T_INTERVAL) {
        ((duckdb_interval *)w->data)[row] =
            (duckdb_interval){.months = v->iv.months, .days = v->iv.days, .micros = v->iv.us};
        return KL_OK;
    }
    return kl_duck__write(w, row, v) == KL_OK
               ? KL_OK
               : kl_fail(err, KL_E_INTERNAL, "a function gave a value of another type");
}

static enum kl_rc run_row(const struct kl_duck_native_slot *s, const struct argument *args,
    size_t n, size_t row, struct kl_arena *arena, struct kl_val *ret, struct kl_err *err) {
    const struct kl_duck_native *f = s->native;
    struct kl_val vals[KL_DUCK_NATIVE_ARGS];
    bool null = false;
    for (size_t i = 0; i < n; i++) {
        struct kl_type t = f->args[KL_MIN(i, f->n_args - 1)];
        KL_TRY(read_argument(&args[i], t, row, arena, &vals[i], err));
        null = null || vals[i].null;
    }
    *ret = kl_val_null(f->result.id);
    return null && !f->takes_null ? KL_OK : f->run(f, s->duck->query, vals, n, arena, ret, err);
}

/* A vector of long values takes long and much memory: neither is left to DuckDB, which looks at the clock between vectors only and
 * does not count what they hold. */
static enum kl_rc check_row(
    struct kl_duck *d, size_t row, const struct kl_duck_writer *out, struct kl_err *err) {
    if (out->bytes > kl_duck__vector_bytes(d)) {
        return kl_fail(err, KL_E_TOO_LARGE, KL_DUCK__TOO_LARGE);
    }
    return row % CHECK_ROWS == 0 && d->query ? kl_duck__check(d, err) : KL_OK;
}

static enum kl_rc run_chunk(const struct kl_duck_native_slot *s, duckdb_data_chunk in,
    const struct argument *args, size_t n, struct kl_duck_writer *out, struct kl_err *err) {
    struct kl_arena *arena = &s->duck->native_arena;
    enum kl_rc rc = KL_OK;
    kl_arena_reset(arena);
    for (size_t row = 0; row < kl_dk.data_chunk_get_size(in) && rc == KL_OK; row++) {
        struct kl_val v;
        rc = check_row(s->duck, row, out, err);
        if (rc == KL_OK) {
            rc = run_row(s, args, n, row, arena, &v, err);
        }
        if (rc == KL_OK) {
            rc = write_result(out, row, &v, err);
        }
        kl_arena_reset(arena);
    }
    return rc;
}

static void run(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    const struct kl_duck_native_slot *s = kl_dk.scalar_function_get_extra_info(info);
    struct argument args[KL_DUCK_NATIVE_ARGS];
    size_t n = kl_dk.data_chunk_get_column_count(in);
    struct kl_err err = {0};
    if (n > KL_DUCK_NATIVE_ARGS) {
        kl_fail(&err, KL_E_UNSUPPORTED, "too many arguments");
        kl_duck__fail(s->duck, &err);
        kl_dk.scalar_function_set_error(info, err.msg);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct kl_type t = s->native->args[KL_MIN(i, s->native->n_args - 1)];
        kl_duck__reader_init(&args[i].reader, kl_duck__logical(t));
        kl_duck__column_init(&args[i].column, &args[i].reader, kl_dk.data_chunk_get_vector(in, i));
    }
    struct kl_duck_writer w;
    kl_duck__writer_init(&w, s->native->result, out);
    if (run_chunk(s, in, args, n, &w, &err) != KL_OK) {
        kl_duck__fail(s->duck, &err);
        kl_dk.scalar_function_set_error(info, err.msg);
    }
    for (size_t i = 0; i < n; i++) {
        kl_duck__reader_deinit(&args[i].reader);
    }
}

static duckdb_state add(struct kl_duck *d, struct kl_duck_native_slot *slot) {
    const struct kl_duck_native *native = slot->native;
    duckdb_scalar_function f = kl_dk.create_scalar_function();
    duckdb_logical_type result = kl_duck__logical(native->result);
    kl_dk.scalar_function_set_name(f, native->name);
    kl_dk.scalar_function_set_return_type(f, result);
    kl_dk.scalar_function_set_extra_info(f, slot, NULL);
    kl_dk.scalar_function_set_function(f, run);
    for (size_t i = 0; i < native->n_args; i++) {
        duckdb_logical_type t = kl_duck__logical(native->args[i]);
        if (native->repeats && i + 1 == native->n_args) {
            kl_dk.scalar_function_set_varargs(f, t);
        } else {
            kl_dk.scalar_function_add_parameter(f, t);
        }
        kl_dk.destroy_logical_type(&t);
    }
    if (native->takes_null) {
        kl_dk.scalar_function_set_special_handling(f);
    }
    if (native->is_volatile) {
        kl_dk.scalar_function_set_volatile(f);
    }
    duckdb_state state = kl_dk.register_scalar_function(d->con, f);
    kl_dk.destroy_logical_type(&result);
    kl_dk.destroy_scalar_function(&f);
    return state;
}

duckdb_state kl_duck__register_natives(struct kl_duck *d) {
    if (!d->natives) {
        d->natives = kl_xcalloc(d->options.n_natives + 1, sizeof(*d->natives));
    }
    duckdb_state state = DuckDBSuccess;
    for (size_t i = 0; i < d->options.n_natives && state == DuckDBSuccess; i++) {
        d->natives[i] = (struct kl_duck_native_slot){.duck = d, .native = &d->options.natives[i]};
        state = add(d, &d->natives[i]);
    }
    return state;
}
