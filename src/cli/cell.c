/* Cells of a result as text for people, and JSON values written back. The schema says what a
 * number means: the same 1760000000000000 is a BIGINT or a point in time. A cell that does not fit
 * its type is shown as it came. Pure. */
#include "cli/internal.h"

#include <stdlib.h>

struct kl_type kl_cli__column_type(const json_t *column) {
    struct kl_type type = KL_TYPE(NULL);
    char *name = json_dumps(json_object_get(column, "data_type"), JSON_COMPACT | JSON_ENCODE_ANY);
    if (name != NULL && kl_type_from_json_name(kl_slice_str(name), &type) != KL_OK) {
        type = KL_TYPE(NULL);
    }
    free(name);
    return type;
}

/* PostgreSQL's range of timestamps is narrower, but what can be formatted is shown. */
static bool temporal_ok(uint8_t type, json_int_t n) {
    switch (type) {
    case KL_T_TIMESTAMP:
    case KL_T_DATETIME:
        return n > -62135596800000000 && n < 253402300800000000; /* years 1 to 9999 */
    case KL_T_DATE:
        return n > -719163 && n < 2932897;
    case KL_T_TIME:
        return n >= 0 && n < 86400000000;
    default:
        return false;
    }
}

/* BYTES come as an array of numbers. */
static bool put_bytes(const json_t *cell, struct kl_buf *out) {
    size_t i;
    json_t *byte;
    json_array_foreach(cell, i, byte) {
        json_int_t n = json_integer_value(byte);
        if (!json_is_integer(byte) || n < 0 || n > 255) {
            return false;
        }
    }
    kl_buf_puts(out, "\\x");
    json_array_foreach(cell, i, byte) {
        char c = (char)json_integer_value(byte);
        kl_hex_encode(out, kl_slice(&c, 1));
    }
    return true;
}

void kl_cli__cell_text(const json_t *cell, struct kl_type type, struct kl_buf *out) {
    struct kl_val value;
    switch (json_typeof(cell)) {
    case JSON_NULL:
        return;
    case JSON_STRING:
        kl_buf_append(out, json_string_value(cell), json_string_length(cell));
        return;
    case JSON_INTEGER:
        if (temporal_ok(type.id, json_integer_value(cell))) {
            value = kl_val_int(type.id, json_integer_value(cell));
            kl_val_to_text(&value, out);
            return;
        }
        kl_buf_i64(out, json_integer_value(cell));
        return;
    case JSON_REAL:
        if (type.id == KL_T_FLOAT) {
            kl_json_float(out, (float)json_real_value(cell));
        } else {
            kl_json_double(out, json_real_value(cell));
        }
        return;
    case JSON_ARRAY:
        if (type.id == KL_T_BYTES && put_bytes(cell, out)) {
            return;
        }
        break;
    default:
        break;
    }
    kl_cli__json(cell, out);
}

/* jansson limits the depth of what it reads, and with it this recursion. */
void kl_cli__json(const json_t *value, struct kl_buf *out) {
    size_t i;
    json_t *item;
    const char *key, *comma = "";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        kl_buf_putc(out, '{');
        json_object_foreach((json_t *)value, key, item) {
            kl_buf_puts(out, comma);
            comma = ",";
            kl_json_str(out, kl_slice_str(key));
            kl_buf_putc(out, ':');
            kl_cli__json(item, out);
        }
        kl_buf_putc(out, '}');
        return;
    case JSON_ARRAY:
        kl_buf_putc(out, '[');
        json_array_foreach(value, i, item) {
            kl_buf_puts(out, i ? "," : "");
            kl_cli__json(item, out);
        }
        kl_buf_putc(out, ']');
        return;
    case JSON_STRING:
        kl_json_str(out, kl_slice(json_string_value(value), json_string_length(value)));
        return;
    case JSON_INTEGER:
        kl_buf_i64(out, json_integer_value(value));
        return;
    case JSON_REAL:
        kl_json_double(out, json_real_value(value));
        return;
    case JSON_TRUE:
        kl_buf_puts(out, "true");
        return;
    case JSON_FALSE:
        kl_buf_puts(out, "false");
        return;
    case JSON_NULL:
        kl_buf_puts(out, "null");
        return;
    }
}
