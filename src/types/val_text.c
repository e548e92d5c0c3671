/* Value to text: as a cast to TEXT gives it, and as a literal that stands for itself in a SQL text.
 */
#include "types/internal.h"

#include <stdio.h>

static size_t uuid_text(const struct kl_val *v, char *out) {
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            out[n++] = '-';
        }
        uint8_t byte = (uint8_t)v->s[i];
        out[n++] = hex[byte >> 4];
        out[n++] = hex[byte & 15];
    }
    return n;
}

static size_t literal(const char *word, char *out) {
    size_t n = strlen(word);
    memcpy(out, word, n);
    return n;
}

size_t kl_types__scalar_text(const struct kl_val *v, char *out) {
    size_t n;
    switch (v->type) {
    case KL_T_BOOLEAN:
        return literal(v->b ? "true" : "false", out);
    case KL_T_SMALLINT:
    case KL_T_INT:
    case KL_T_BIGINT:
        return kl_types__i64_text(v->i, out);
    case KL_T_FLOAT:
        return kl_types__float_text((float)v->d, out);
    case KL_T_DOUBLE:
        return kl_types__double_text(v->d, out);
    case KL_T_DECIMAL:
        return kl_types__dec_text(kl_val_dec(v), v->scale, out);
    case KL_T_DATE:
        return kl_types__date_text((int32_t)v->i, out);
    case KL_T_TIME:
        return kl_types__time_text(v->i, out);
    case KL_T_TIMESTAMP:
        return kl_types__timestamp_text(v->i, out);
    case KL_T_DATETIME:
        n = kl_types__timestamp_text(v->i, out);
        return n + literal("+00", out + n);
    case KL_T_INTERVAL:
        return kl_types__interval_text(v->iv, out);
    case KL_T_UUID:
        KL_ASSERT(v->len == 16);
        return uuid_text(v, out);
    default:
        return 0;
    }
}

static void embedding_text(const struct kl_val *v, struct kl_buf *out) {
    char text[32];
    kl_buf_putc(out, '[');
    for (uint32_t i = 0; i < v->len / sizeof(float); i++) {
        if (i > 0) {
            kl_buf_putc(out, ',');
        }
        kl_buf_append(out, text, kl_types__float_text(kl_types__embedding_at(v, i), text));
    }
    kl_buf_putc(out, ']');
}

void kl_val_to_text(const struct kl_val *v, struct kl_buf *out) {
    char text[KL_SCALAR_TEXT_MAX];
    if (v->null) {
        return;
    }
    switch (v->type) {
    case KL_T_TEXT:
    case KL_T_JSON:
    case KL_T_FILE:
        kl_buf_slice(out, kl_val_slice(v));
        break;
    case KL_T_BYTES:
        kl_buf_puts(out, "\\x");
        kl_hex_encode(out, kl_val_slice(v));
        break;
    case KL_T_EMBEDDING:
        embedding_text(v, out);
        break;
    default:
        kl_buf_append(out, text, kl_types__scalar_text(v, text));
        break;
    }
}

static void quoted(struct kl_slice s, struct kl_buf *out) {
    kl_buf_putc(out, '\'');
    size_t start = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\'') {
            kl_buf_append(out, s.ptr + start, i + 1 - start);
            start = i; /* the quote goes out once more with what follows */
        }
    }
    kl_buf_append(out, s.ptr + start, s.len - start);
    kl_buf_putc(out, '\'');
}

static void cast_of(const struct kl_val *v, const char *type, struct kl_buf *out) {
    kl_buf_puts(out, "CAST('");
    kl_val_to_text(v, out);
    kl_buf_printf(out, "' AS %s)", type);
}

static void decimal_sql(const struct kl_val *v, struct kl_buf *out) {
    if (v->scale > 0 && kl_types__dec_fits(kl_val_dec(v), KL_DEC_DIGITS)) {
        kl_dec_format(kl_val_dec(v), v->scale, out);
        return;
    }
    char type[32];
    snprintf(type, sizeof(type), "DECIMAL(38, %u)", (unsigned)v->scale);
    cast_of(v, type, out);
}

/* Three plain units, which every dialect reads alike. */
static void interval_sql(const struct kl_val *v, struct kl_buf *out) {
    kl_buf_printf(out, "INTERVAL '%d months %d days %lld microseconds'", v->iv.months, v->iv.days,
        (long long)v->iv.us);
}

static void prefixed(const char *type, const struct kl_val *v, struct kl_buf *out) {
    kl_buf_printf(out, "%s '", type);
    kl_val_to_text(v, out);
    kl_buf_putc(out, '\'');
}

void kl_val_to_sql(const struct kl_val *v, struct kl_buf *out) {
    char type[32];
    if (v->null) {
        kl_buf_puts(out, "NULL");
        return;
    }
    switch (v->type) {
    case KL_T_BOOLEAN:
        kl_buf_puts(out, v->b ? "TRUE" : "FALSE");
        break;
    case KL_T_SMALLINT:
    case KL_T_INT:
        kl_buf_i64(out, v->i);
        break;
    case KL_T_BIGINT:
        if (v->i == INT64_MIN) { /* as a number it would be the negation of one that is too large */
            cast_of(v, "BIGINT", out);
        } else {
            kl_buf_i64(out, v->i);
        }
        break;
    case KL_T_FLOAT:
        cast_of(v, "REAL", out);
        break;
    case KL_T_DOUBLE:
        cast_of(v, "DOUBLE PRECISION", out);
        break;
    case KL_T_DECIMAL:
        decimal_sql(v, out);
        break;
    case KL_T_TEXT:
    case KL_T_FILE:
        quoted(kl_val_slice(v), out);
        break;
    case KL_T_JSON:
        kl_buf_puts(out, "CAST(");
        quoted(kl_val_slice(v), out);
        kl_buf_puts(out, " AS JSON)");
        break;
    case KL_T_BYTES:
        kl_buf_puts(out, "X'");
        kl_hex_encode(out, kl_val_slice(v));
        kl_buf_putc(out, '\'');
        break;
    case KL_T_UUID:
        cast_of(v, "UUID", out);
        break;
    case KL_T_EMBEDDING:
        snprintf(type, sizeof(type), "EMBEDDING(%u)", (unsigned)(v->len / sizeof(float)));
        cast_of(v, type, out);
        break;
    case KL_T_TIMESTAMP:
        prefixed("TIMESTAMP", v, out);
        break;
    case KL_T_DATETIME:
        prefixed("TIMESTAMPTZ", v, out);
        break;
    case KL_T_DATE:
        prefixed("DATE", v, out);
        break;
    case KL_T_TIME:
        prefixed("TIME", v, out);
        break;
    case KL_T_INTERVAL:
        interval_sql(v, out);
        break;
    default:
        KL_UNREACHABLE();
    }
}
