/* Types both ways. A column's type of ours has one DuckDB type; a result's type of DuckDB's has one
 * of ours, the nearest that holds every value: unsigned and huge integers become DECIMAL, nested
 * values JSON text, intervals PostgreSQL's text. */
#include "duck/internal.h"

void kl_duck_type_name(struct kl_type t, struct kl_buf *out) {
    switch (t.id) {
    case KL_T_BOOLEAN:
        kl_buf_puts(out, "BOOLEAN");
        return;
    case KL_T_SMALLINT:
        kl_buf_puts(out, "SMALLINT");
        return;
    case KL_T_INT:
        kl_buf_puts(out, "INTEGER");
        return;
    case KL_T_BIGINT:
        kl_buf_puts(out, "BIGINT");
        return;
    case KL_T_FLOAT:
        kl_buf_puts(out, "FLOAT");
        return;
    case KL_T_DOUBLE:
        kl_buf_puts(out, "DOUBLE");
        return;
    case KL_T_TIMESTAMP:
        kl_buf_puts(out, "TIMESTAMP");
        return;
    case KL_T_DATETIME:
        kl_buf_puts(out, "TIMESTAMPTZ");
        return;
    case KL_T_DATE:
        kl_buf_puts(out, "DATE");
        return;
    case KL_T_TIME:
        kl_buf_puts(out, "TIME");
        return;
    case KL_T_JSON:
        kl_buf_puts(out, "JSON");
        return;
    case KL_T_BYTES:
        kl_buf_puts(out, "BLOB");
        return;
    case KL_T_UUID:
        kl_buf_puts(out, "UUID");
        return;
    case KL_T_INTERVAL:
        kl_buf_puts(out, "INTERVAL");
        return;
    case KL_T_DECIMAL:
        kl_buf_printf(out, "DECIMAL(%u,%u)", t.precision, t.scale);
        return;
    case KL_T_EMBEDDING:
        kl_buf_printf(out, "FLOAT[%u]", t.dim);
        return;
    default:
        kl_buf_puts(out, "VARCHAR");
        return; /* TEXT, FILE, and a type that is still open */
    }
}

static duckdb_type simple_id(uint8_t id) {
    switch (id) {
    case KL_T_BOOLEAN:
        return DUCKDB_TYPE_BOOLEAN;
    case KL_T_SMALLINT:
        return DUCKDB_TYPE_SMALLINT;
    case KL_T_INT:
        return DUCKDB_TYPE_INTEGER;
    case KL_T_BIGINT:
        return DUCKDB_TYPE_BIGINT;
    case KL_T_FLOAT:
        return DUCKDB_TYPE_FLOAT;
    case KL_T_DOUBLE:
        return DUCKDB_TYPE_DOUBLE;
    case KL_T_TIMESTAMP:
        return DUCKDB_TYPE_TIMESTAMP;
    case KL_T_DATETIME:
        return DUCKDB_TYPE_TIMESTAMP_TZ;
    case KL_T_DATE:
        return DUCKDB_TYPE_DATE;
    case KL_T_TIME:
        return DUCKDB_TYPE_TIME;
    case KL_T_TEXT:
    case KL_T_FILE:
    case KL_T_JSON:
        return DUCKDB_TYPE_VARCHAR;
    case KL_T_BYTES:
        return DUCKDB_TYPE_BLOB;
    case KL_T_UUID:
        return DUCKDB_TYPE_UUID;
    case KL_T_INTERVAL:
        return DUCKDB_TYPE_INTERVAL;
    default:
        return DUCKDB_TYPE_INVALID;
    }
}

duckdb_logical_type kl_duck__logical(struct kl_type t) {
    if (t.id == KL_T_DECIMAL) {
        return kl_dk.create_decimal_type(t.precision, t.scale);
    }
    if (t.id == KL_T_EMBEDDING) {
        duckdb_logical_type child = kl_dk.create_logical_type(DUCKDB_TYPE_FLOAT);
        duckdb_logical_type array = kl_dk.create_array_type(child, t.dim);
        kl_dk.destroy_logical_type(&child);
        return array;
    }
    duckdb_type id = simple_id(t.id);
    if (id == DUCKDB_TYPE_INVALID) {
        return NULL;
    }
    duckdb_logical_type logical = kl_dk.create_logical_type(id);
    if (t.id == KL_T_JSON) {
        kl_dk.logical_type_set_alias(logical, "JSON");
    }
    return logical;
}

bool kl_duck__is_json(duckdb_logical_type t) {
    char *alias = kl_dk.logical_type_get_alias(t);
    bool json = alias && strcmp(alias, "JSON") == 0;
    kl_dk.free(alias);
    return json;
}

static struct kl_type array_type(duckdb_logical_type t) {
    uint64_t size = kl_dk.array_type_array_size(t);
    duckdb_logical_type child = kl_dk.array_type_child_type(t);
    bool floats = kl_dk.get_type_id(child) == DUCKDB_TYPE_FLOAT;
    kl_dk.destroy_logical_type(&child);
    if (!floats || size == 0 || size > 8192) {
        return KL_TYPE(TEXT);
    }
    return (struct kl_type){.id = KL_T_EMBEDDING, .dim = (uint16_t)size};
}

struct kl_type kl_duck__type_of(duckdb_logical_type t) {
    switch (kl_dk.get_type_id(t)) {
    case DUCKDB_TYPE_BOOLEAN:
        return KL_TYPE(BOOLEAN);
    case DUCKDB_TYPE_TINYINT:
    case DUCKDB_TYPE_UTINYINT:
    case DUCKDB_TYPE_SMALLINT:
        return KL_TYPE(SMALLINT);
    case DUCKDB_TYPE_USMALLINT:
    case DUCKDB_TYPE_INTEGER:
        return KL_TYPE(INT);
    case DUCKDB_TYPE_UINTEGER:
    case DUCKDB_TYPE_BIGINT:
        return KL_TYPE(BIGINT);
    case DUCKDB_TYPE_UBIGINT:
        return (struct kl_type){.id = KL_T_DECIMAL, .precision = 20};
    case DUCKDB_TYPE_HUGEINT:
    case DUCKDB_TYPE_UHUGEINT:
        return (struct kl_type){.id = KL_T_DECIMAL, .precision = 38};
    case DUCKDB_TYPE_DECIMAL:
        return (struct kl_type){.id = KL_T_DECIMAL,
            .precision = kl_dk.decimal_width(t),
            .scale = kl_dk.decimal_scale(t)};
    case DUCKDB_TYPE_FLOAT:
        return KL_TYPE(FLOAT);
    case DUCKDB_TYPE_DOUBLE:
        return KL_TYPE(DOUBLE);
    case DUCKDB_TYPE_TIMESTAMP:
    case DUCKDB_TYPE_TIMESTAMP_S:
    case DUCKDB_TYPE_TIMESTAMP_MS:
    case DUCKDB_TYPE_TIMESTAMP_NS:
        return KL_TYPE(TIMESTAMP);
    case DUCKDB_TYPE_TIMESTAMP_TZ:
        return KL_TYPE(DATETIME);
    case DUCKDB_TYPE_DATE:
        return KL_TYPE(DATE);
    case DUCKDB_TYPE_TIME:
    case DUCKDB_TYPE_TIME_TZ:
        return KL_TYPE(TIME);
    case DUCKDB_TYPE_VARCHAR:
        return kl_duck__is_json(t) ? KL_TYPE(JSON) : KL_TYPE(TEXT);
    case DUCKDB_TYPE_BLOB:
        return KL_TYPE(BYTES);
    case DUCKDB_TYPE_UUID:
        return KL_TYPE(UUID);
    case DUCKDB_TYPE_ARRAY:
        return array_type(t);
    default:
        return KL_TYPE(TEXT);
    }
}
