/* Value to the JSON cell of a result, the same for HTTP and WebSocket:
 *
 *   NULL                       null
 *   BOOLEAN                    true, false
 *   SMALLINT INT               number
 *   BIGINT DECIMAL             string
 *   FLOAT DOUBLE               number; NaN and the infinities as strings
 *   DATE                       number: days
 *   TIME TIMESTAMP DATETIME    number: microseconds
 *   TEXT UUID INTERVAL         string
 *   JSON FILE                  string that holds the JSON text
 *   BYTES EMBEDDING            array of numbers */
#include "types/internal.h"

static void quoted_scalar(const struct kl_val *v, struct kl_buf *out) {
    char text[KL_SCALAR_TEXT_MAX + 2];
    size_t n = kl_types__scalar_text(v, text + 1);
    text[0] = text[n + 1] = '"';
    kl_buf_append(out, text, n + 2);
}

static void byte_array(const struct kl_val *v, struct kl_buf *out) {
    char text[4];
    kl_buf_putc(out, '[');
    for (uint32_t i = 0; i < v->len; i++) {
        if (i > 0) {
            kl_buf_putc(out, ',');
        }
        kl_buf_append(out, text, kl_types__i64_text((uint8_t)v->s[i], text));
    }
    kl_buf_putc(out, ']');
}

static void float_array(const struct kl_val *v, struct kl_buf *out) {
    kl_buf_putc(out, '[');
    for (uint32_t i = 0; i < v->len / sizeof(float); i++) {
        if (i > 0) {
            kl_buf_putc(out, ',');
        }
        kl_json_float(out, kl_types__embedding_at(v, i));
    }
    kl_buf_putc(out, ']');
}

void kl_val_to_json(const struct kl_val *v, struct kl_buf *out) {
    if (v->null) {
        kl_buf_append(out, "null", 4);
        return;
    }
    switch (v->type) {
    case KL_T_BOOLEAN:
        kl_buf_puts(out, v->b ? "true" : "false");
        break;
    case KL_T_SMALLINT:
    case KL_T_INT:
    case KL_T_DATE:
    case KL_T_TIME:
    case KL_T_TIMESTAMP:
    case KL_T_DATETIME:
        kl_buf_i64(out, v->i);
        break;
    case KL_T_FLOAT:
        kl_json_float(out, (float)v->d);
        break;
    case KL_T_DOUBLE:
        kl_json_double(out, v->d);
        break;
    case KL_T_BIGINT:
    case KL_T_DECIMAL:
    case KL_T_UUID:
    case KL_T_INTERVAL:
        quoted_scalar(v, out);
        break;
    case KL_T_TEXT:
    case KL_T_JSON:
    case KL_T_FILE:
        kl_json_str(out, kl_val_slice(v));
        break;
    case KL_T_BYTES:
        byte_array(v, out);
        break;
    case KL_T_EMBEDDING:
        float_array(v, out);
        break;
    default:
        KL_UNREACHABLE();
    }
}
