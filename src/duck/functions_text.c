/* kl_cat(a, b): a || b. DuckDB's own counts the result nowhere, and a vector of it may be two thousand times the longest text: one
 * short statement could take all memory of the machine. This one knows the size before it writes, and refuses what is too much.
 * Runs on the instance's thread. */
#include "duck/internal.h"

#include <stdlib.h>

struct side {
    const duckdb_string_t *cells;
    const uint64_t *validity;
};

static struct side side_of(duckdb_data_chunk in, idx_t arg) {
    duckdb_vector v = kl_dk.data_chunk_get_vector(in, arg);
    return (struct side){kl_dk.vector_get_data(v), kl_dk.vector_get_validity(v)};
}

static struct kl_slice text_of(const struct side *s, size_t row) {
    const duckdb_string_t *t = &s->cells[row];
    uint32_t len = t->value.inlined.length;
    return kl_slice(
        len <= sizeof(t->value.inlined.inlined) ? t->value.inlined.inlined : t->value.pointer.ptr, len);
}

static bool both(const struct side *a, const struct side *b, size_t row) {
    return kl_duck__valid(a->validity, row) && kl_duck__valid(b->validity, row);
}

static enum kl_rc check_size(struct kl_duck *d, const struct side *a, const struct side *b, size_t n,
    size_t *ret_longest, struct kl_err *err) {
    size_t total = 0;
    *ret_longest = 0;
    for (size_t row = 0; row < n; row++) {
        if (both(a, b, row)) {
            size_t len = text_of(a, row).len + text_of(b, row).len;
            total += len;
            *ret_longest = KL_MAX(*ret_longest, len);
        }
    }
    if (total > kl_duck__vector_bytes(d)) {
        return kl_fail(err, KL_E_TOO_LARGE, KL_DUCK__TOO_LARGE);
    }
    return d->query ? kl_duck__check(d, err) : KL_OK;
}

static void concatenate(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
    struct side a = side_of(in, 0), b = side_of(in, 1);
    size_t n = kl_dk.data_chunk_get_size(in), longest;
    struct kl_err err = {0};
    enum kl_rc rc =
        check_size(kl_dk.scalar_function_get_extra_info(info), &a, &b, n, &longest, &err);
    if (rc != KL_OK) {
        kl_duck__function_fail(info, rc, err.msg);
        return;
    }
    char small[256], *text = longest <= sizeof(small) ? small : kl_xmalloc(longest);
    for (size_t row = 0; row < n; row++) {
        if (!both(&a, &b, row)) {
            kl_dk.vector_ensure_validity_writable(out);
            kl_dk.vector_get_validity(out)[row / 64] &= ~(UINT64_C(1) << (row % 64));
            continue;
        }
        struct kl_slice l = text_of(&a, row), r = text_of(&b, row);
        memcpy(text, l.ptr, l.len);
        memcpy(text + l.len, r.ptr, r.len);
        kl_dk.vector_assign_string_element_len(out, row, text, l.len + r.len);
    }
    if (text != small) {
        free(text);
    }
}

duckdb_state kl_duck__register_texts(struct kl_duck *d) {
    duckdb_scalar_function f = kl_dk.create_scalar_function();
    duckdb_logical_type text = kl_dk.create_logical_type(DUCKDB_TYPE_VARCHAR);
    kl_dk.scalar_function_set_name(f, "kl_cat");
    kl_dk.scalar_function_set_return_type(f, text);
    kl_dk.scalar_function_add_parameter(f, text);
    kl_dk.scalar_function_add_parameter(f, text);
    kl_dk.scalar_function_set_extra_info(f, d, NULL);
    kl_dk.scalar_function_set_function(f, concatenate);
    duckdb_state state = kl_dk.register_scalar_function(d->con, f);
    kl_dk.destroy_logical_type(&text);
    kl_dk.destroy_scalar_function(&f);
    return state;
}
