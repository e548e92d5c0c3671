/* Our values into DuckDB's vectors, cell by cell. */
#include "duck/internal.h"

void kl_duck__writer_init(struct kl_duck_writer *w, struct kl_type t, duckdb_vector vec) {
    *w = (struct kl_duck_writer){.type = t, .vec = vec, .data = kl_dk.vector_get_data(vec)};
    if (t.id == KL_T_EMBEDDING) {
        w->floats = kl_dk.vector_get_data(kl_dk.array_vector_get_child(vec));
    }
}

static void write_null(struct kl_duck_writer *w, size_t row) {
    if (!w->validity) {
        kl_dk.vector_ensure_validity_writable(w->vec);
        w->validity = kl_dk.vector_get_validity(w->vec);
    }
    w->validity[row / 64] &= ~(UINT64_C(1) << (row % 64));
    if (w->floats) {
        /* The elements exist all the same and may be looked at. */
        memset(w->floats + row * w->type.dim, 0, w->type.dim * sizeof(float));
    }
}

static enum kl_rc write_decimal(struct kl_duck_writer *w, size_t row, const struct kl_val *v) {
    __int128 n = kl_val_dec(v);
    if (v->scale != w->type.scale && kl_dec_rescale(n, v->scale, w->type.scale, &n) != KL_OK) {
        return KL_E_CORRUPT;
    }
    __int128 bound = 1;
    for (unsigned i = 0; i < w->type.precision; i++) {
        bound *= 10;
    }
    if (n >= bound || n <= -bound) {
        return KL_E_CORRUPT;
    }
    if (w->type.precision <= 4) {
        ((int16_t *)w->data)[row] = (int16_t)n;
    } else if (w->type.precision <= 9) {
        ((int32_t *)w->data)[row] = (int32_t)n;
    } else if (w->type.precision <= 18) {
        ((int64_t *)w->data)[row] = (int64_t)n;
    } else {
        ((duckdb_hugeint *)w->data)[row] =
            (duckdb_hugeint){.lower = (uint64_t)n, .upper = (int64_t)(n >> 64)};
    }
    return KL_OK;
}

static void write_uuid(struct kl_duck_writer *w, size_t row, const struct kl_val *v) {
    uint64_t hi = 0, lo = 0;
    for (int i = 0; i < 8; i++) {
        hi = hi << 8 | (uint8_t)v->s[i];
        lo = lo << 8 | (uint8_t)v->s[8 + i];
    }
    /* Stored as a signed number whose order is that of the bytes: the top bit is flipped. */
    ((duckdb_hugeint *)w->data)[row] =
        (duckdb_hugeint){.lower = lo, .upper = (int64_t)(hi ^ (UINT64_C(1) << 63))};
}

/* Up to twelve bytes stand in the vector itself, zero-padded; DuckDB copies longer ones. */
static void write_string(struct kl_duck_writer *w, size_t row, const struct kl_val *v) {
    duckdb_string_t *to = &((duckdb_string_t *)w->data)[row];
    if (v->len > sizeof(to->value.inlined.inlined)) {
        kl_dk.vector_assign_string_element_len(w->vec, row, v->s, v->len);
        w->bytes += v->len;
        return;
    }
    memset(to, 0, sizeof(*to));
    to->value.inlined.length = v->len;
    if (v->len > 0) {
        memcpy(to->value.inlined.inlined, v->s, v->len);
    }
}

enum kl_rc kl_duck__write(struct kl_duck_writer *w, size_t row, const struct kl_val *v) {
    if (v->null) {
        write_null(w, row);
        return KL_OK;
    }
    if (v->type != w->type.id) {
        return KL_E_CORRUPT;
    }
    switch (w->type.id) {
    case KL_T_BOOLEAN:
        ((bool *)w->data)[row] = v->b;
        break;
    case KL_T_SMALLINT:
        ((int16_t *)w->data)[row] = (int16_t)v->i;
        break;
    case KL_T_INT:
    case KL_T_DATE:
        ((int32_t *)w->data)[row] = (int32_t)v->i;
        break;
    case KL_T_BIGINT:
    case KL_T_TIMESTAMP:
    case KL_T_DATETIME:
    case KL_T_TIME:
        ((int64_t *)w->data)[row] = v->i;
        break;
    case KL_T_FLOAT:
        ((float *)w->data)[row] = (float)v->d;
        break;
    case KL_T_DOUBLE:
        ((double *)w->data)[row] = v->d;
        break;
    case KL_T_TEXT:
    case KL_T_FILE:
    case KL_T_JSON:
        if (!kl_utf8_valid(kl_val_slice(v))) {
            return KL_E_CORRUPT;
        }
        write_string(w, row, v);
        break;
    case KL_T_BYTES:
        write_string(w, row, v);
        break;
    case KL_T_UUID:
        write_uuid(w, row, v);
        break;
    case KL_T_DECIMAL:
        return write_decimal(w, row, v);
    case KL_T_EMBEDDING:
        if (v->len != w->type.dim * sizeof(float)) {
            return KL_E_CORRUPT;
        }
        memcpy(w->floats + row * w->type.dim, v->s, v->len);
        break;
    default:
        return KL_E_CORRUPT;
    }
    return KL_OK;
}
