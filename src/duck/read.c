/* DuckDB's vectors into our values. Text and blobs are borrowed from the chunk, everything that has
 * to be made comes from the arena. */
#include "duck/internal.h"

void kl_duck__reader_init(struct kl_duck_reader *r, duckdb_logical_type owned) {
    *r = (struct kl_duck_reader){
        .id = kl_dk.get_type_id(owned), .type = kl_duck__type_of(owned), .logical = owned};
    if (r->id == DUCKDB_TYPE_DECIMAL) {
        r->width = kl_dk.decimal_width(owned);
        r->scale = kl_dk.decimal_scale(owned);
        r->internal = kl_dk.decimal_internal_type(owned);
    } else if (r->id == DUCKDB_TYPE_ENUM) {
        r->internal = kl_dk.enum_internal_type(owned);
    }
}

void kl_duck__reader_deinit(struct kl_duck_reader *r) {
    if (r->logical) {
        kl_dk.destroy_logical_type(&r->logical);
    }
}

void kl_duck__column_init(
    struct kl_duck_column *c, const struct kl_duck_reader *r, duckdb_vector vec) {
    *c = (struct kl_duck_column){
        .reader = r,
        .vec = vec,
        .data = kl_dk.vector_get_data(vec),
        .validity = kl_dk.vector_get_validity(vec),
    };
}

static __int128 huge(duckdb_hugeint h) {
    return (__int128)((unsigned __int128)(uint64_t)h.upper << 64 | h.lower);
}

static enum kl_rc read_decimal(const struct kl_duck_column *c, size_t row, struct kl_val *ret) {
    __int128 n;
    switch (c->reader->internal) {
    case DUCKDB_TYPE_SMALLINT:
        n = ((const int16_t *)c->data)[row];
        break;
    case DUCKDB_TYPE_INTEGER:
        n = ((const int32_t *)c->data)[row];
        break;
    case DUCKDB_TYPE_BIGINT:
        n = ((const int64_t *)c->data)[row];
        break;
    default:
        n = huge(((const duckdb_hugeint *)c->data)[row]);
        break;
    }
    *ret = kl_val_decimal(n, c->reader->scale);
    return KL_OK;
}

static enum kl_rc read_huge(__int128 n, struct kl_val *ret, struct kl_err *err) {
    static const __int128 e19 = 10000000000000000000ULL;
    if (n >= e19 * e19 || n <= -e19 * e19) {
        return kl_fail(
            err, KL_E_TYPE, "numeric field overflow: the result has more than 38 digits");
    }
    *ret = kl_val_decimal(n, 0);
    return KL_OK;
}

static enum kl_rc text_from(
    struct kl_arena *arena, struct kl_buf *buf, struct kl_val *ret, struct kl_err *err) {
    struct kl_slice copy = buf->failed ? KL_SLICE_NONE : kl_arena_dup(arena, kl_buf_view(buf));
    kl_buf_deinit(buf);
    if (!copy.ptr) {
        return kl_fail(err, KL_E_TOO_LARGE, "a value of the result is too large");
    }
    *ret = kl_val_text(copy);
    return KL_OK;
}

/* The years 1 to 9999, as everywhere; DuckDB's own range is wider and has infinities. */
#define FIRST_DAY (-719162)
#define LAST_DAY 2932896
#define DAY_US INT64_C(86400000000)
static enum kl_rc read_point(uint8_t type, int64_t us, struct kl_val *ret, struct kl_err *err) {
    if (us < FIRST_DAY * DAY_US || us >= (LAST_DAY + 1) * DAY_US) {
        return kl_fail(err, KL_E_TYPE, "timestamp out of range");
    }
    *ret = kl_val_int(type, us);
    return KL_OK;
}

static enum kl_rc read_nested(const struct kl_duck_column *c, size_t row, struct kl_arena *arena,
    struct kl_val *ret, struct kl_err *err) {
    struct kl_buf buf;
    kl_buf_init(&buf, 0);
    kl_duck__nested_json(c->vec, c->reader->logical, row, 0, &buf);
    return text_from(arena, &buf, ret, err);
}

static enum kl_rc read_interval(
    duckdb_interval iv, struct kl_arena *arena, struct kl_val *ret, struct kl_err *err) {
    struct kl_val v = {
        .type = KL_T_INTERVAL, .iv = {.months = iv.months, .days = iv.days, .us = iv.micros}};
    struct kl_buf buf;
    kl_buf_init(&buf, 256);
    kl_val_to_text(&v, &buf);
    return text_from(arena, &buf, ret, err);
}

static enum kl_rc read_enum(const struct kl_duck_column *c, size_t row, struct kl_arena *arena,
    struct kl_val *ret, struct kl_err *err) {
    uint64_t index;
    switch (c->reader->internal) {
    case DUCKDB_TYPE_UTINYINT:
        index = ((const uint8_t *)c->data)[row];
        break;
    case DUCKDB_TYPE_USMALLINT:
        index = ((const uint16_t *)c->data)[row];
        break;
    default:
        index = ((const uint32_t *)c->data)[row];
        break;
    }
    char *name = kl_dk.enum_dictionary_value(c->reader->logical, index);
    struct kl_slice copy = kl_arena_dup(arena, kl_slice_str(name ? name : ""));
    kl_dk.free(name);
    if (!copy.ptr) {
        return kl_fail(err, KL_E_TOO_LARGE, "a value of the result is too large");
    }
    *ret = kl_val_text(copy);
    return KL_OK;
}

static enum kl_rc read_uuid(
    duckdb_hugeint h, struct kl_arena *arena, struct kl_val *ret, struct kl_err *err) {
    uint8_t *bytes = kl_arena_alloc(arena, 16);
    if (!bytes) {
        return kl_fail(err, KL_E_TOO_LARGE, "a row of the result is too large");
    }
    uint64_t hi = (uint64_t)h.upper ^ (UINT64_C(1) << 63), lo = h.lower;
    for (int i = 7; i >= 0; i--, hi >>= 8, lo >>= 8) {
        bytes[i] = (uint8_t)hi;
        bytes[8 + i] = (uint8_t)lo;
    }
    *ret = kl_val_str(KL_T_UUID, kl_slice(bytes, 16));
    return KL_OK;
}

static struct kl_slice string_at(const struct kl_duck_column *c, size_t row) {
    const duckdb_string_t *s = &((const duckdb_string_t *)c->data)[row];
    uint32_t len = s->value.inlined.length;
    return kl_slice(len <= 12 ? s->value.inlined.inlined : s->value.pointer.ptr, len);
}

/* An array of floats. One with a NULL inside is no embedding: it has no value of ours. */
static enum kl_rc read_floats(
    const struct kl_duck_column *c, size_t row, struct kl_val *ret, struct kl_err *err) {
    duckdb_vector child = kl_dk.array_vector_get_child(c->vec);
    size_t dim = c->reader->type.dim;
    const uint64_t *validity = kl_dk.vector_get_validity(child);
    for (size_t i = 0; validity && i < dim; i++) {
        if (!kl_duck__valid(validity, row * dim + i)) {
            return kl_fail(err, KL_E_TYPE, "an embedding cannot hold NULL");
        }
    }
    const float *floats = kl_dk.vector_get_data(child);
    *ret = kl_val_str(KL_T_EMBEDDING, kl_slice(floats + row * dim, dim * sizeof(float)));
    return KL_OK;
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

enum kl_rc kl_duck__read(const struct kl_duck_column *c, size_t row, struct kl_arena *arena,
    struct kl_val *ret, struct kl_err *err) {
    const struct kl_duck_reader *r = c->reader;
    if (!kl_duck__valid(c->validity, row)) {
        *ret = kl_val_null(r->type.id);
        ret->scale = r->type.scale;
        return KL_OK;
    }
#define AT(type) (((const type *)c->data)[row])
    switch (r->id) {
    case DUCKDB_TYPE_BOOLEAN:
        *ret = kl_val_bool(AT(bool));
        return KL_OK;
    case DUCKDB_TYPE_TINYINT:
        *ret = kl_val_int(KL_T_SMALLINT, AT(int8_t));
        return KL_OK;
    case DUCKDB_TYPE_UTINYINT:
        *ret = kl_val_int(KL_T_SMALLINT, AT(uint8_t));
        return KL_OK;
    case DUCKDB_TYPE_SMALLINT:
        *ret = kl_val_int(KL_T_SMALLINT, AT(int16_t));
        return KL_OK;
    case DUCKDB_TYPE_USMALLINT:
        *ret = kl_val_int(KL_T_INT, AT(uint16_t));
        return KL_OK;
    case DUCKDB_TYPE_INTEGER:
        *ret = kl_val_int(KL_T_INT, AT(int32_t));
        return KL_OK;
    case DUCKDB_TYPE_UINTEGER:
        *ret = kl_val_i64(AT(uint32_t));
        return KL_OK;
    case DUCKDB_TYPE_BIGINT:
        *ret = kl_val_i64(AT(int64_t));
        return KL_OK;
    case DUCKDB_TYPE_UBIGINT:
        *ret = kl_val_decimal(AT(uint64_t), 0);
        return KL_OK;
    case DUCKDB_TYPE_HUGEINT:
        return read_huge(huge(AT(duckdb_hugeint)), ret, err);
    case DUCKDB_TYPE_UHUGEINT:
        if (AT(duckdb_uhugeint).upper > INT64_MAX) {
            return kl_fail(
                err, KL_E_TYPE, "numeric field overflow: the result has more than 38 digits");
        }
        return read_huge(huge(AT(duckdb_hugeint)), ret, err);
    case DUCKDB_TYPE_DECIMAL:
        return read_decimal(c, row, ret);
    case DUCKDB_TYPE_FLOAT:
        *ret = (struct kl_val){.type = KL_T_FLOAT, .d = AT(float)};
        return KL_OK;
    case DUCKDB_TYPE_DOUBLE:
        *ret = kl_val_double(AT(double));
        return KL_OK;
    case DUCKDB_TYPE_TIMESTAMP:
        return read_point(KL_T_TIMESTAMP, AT(int64_t), ret, err);
    case DUCKDB_TYPE_TIMESTAMP_TZ:
        return read_point(KL_T_DATETIME, AT(int64_t), ret, err);
    case DUCKDB_TYPE_TIMESTAMP_S:
    case DUCKDB_TYPE_TIMESTAMP_MS: {
        int64_t us;
        if (__builtin_mul_overflow(
                AT(int64_t), r->id == DUCKDB_TYPE_TIMESTAMP_S ? 1000000 : 1000, &us)) {
            return kl_fail(err, KL_E_TYPE, "timestamp out of range");
        }
        return read_point(KL_T_TIMESTAMP, us, ret, err);
    }
    case DUCKDB_TYPE_TIMESTAMP_NS:
        *ret = kl_val_int(KL_T_TIMESTAMP, floor_div(AT(int64_t), 1000));
        return KL_OK;
    case DUCKDB_TYPE_DATE:
        if (AT(int32_t) < FIRST_DAY || AT(int32_t) > LAST_DAY) {
            return kl_fail(err, KL_E_TYPE, "date out of range");
        }
        *ret = kl_val_int(KL_T_DATE, AT(int32_t));
        return KL_OK;
    case DUCKDB_TYPE_TIME:
        *ret = kl_val_int(KL_T_TIME, AT(int64_t));
        return KL_OK;
    case DUCKDB_TYPE_TIME_TZ: {
        duckdb_time_struct t = kl_dk.from_time_tz(AT(duckdb_time_tz)).time;
        *ret = kl_val_int(KL_T_TIME, ((t.hour * 60LL + t.min) * 60 + t.sec) * 1000000 + t.micros);
        return KL_OK;
    }
    case DUCKDB_TYPE_INTERVAL:
        return read_interval(AT(duckdb_interval), arena, ret, err);
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_BLOB:
        *ret = kl_val_str(r->type.id, string_at(c, row));
        return KL_OK;
    case DUCKDB_TYPE_UUID:
        return read_uuid(AT(duckdb_hugeint), arena, ret, err);
    case DUCKDB_TYPE_ENUM:
        return read_enum(c, row, arena, ret, err);
    case DUCKDB_TYPE_SQLNULL:
        *ret = kl_val_null(r->type.id);
        return KL_OK;
    case DUCKDB_TYPE_ARRAY:
        if (r->type.id == KL_T_EMBEDDING) {
            return read_floats(c, row, ret, err);
        }
        return read_nested(c, row, arena, ret, err);
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_STRUCT:
    case DUCKDB_TYPE_MAP:
        return read_nested(c, row, arena, ret, err);
    default:
        return kl_fail(
            err, KL_E_UNSUPPORTED, "a column of the result has a type without a text form");
    }
#undef AT
}
