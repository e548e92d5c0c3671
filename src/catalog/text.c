/* What clients read about a table: the JSON of system.schemas and the text of a default. Any
 * thread. */
#include "catalog/internal.h"

static const char *function_name(enum kl_default_kind kind) {
    switch (kind) {
    case KL_DEFAULT_NOW:
        return "NOW";
    case KL_DEFAULT_SNOWFLAKE:
        return "SNOWFLAKE_ID";
    case KL_DEFAULT_UUID_V7:
        return "UUID_V7";
    case KL_DEFAULT_ULID:
        return "ULID";
    case KL_DEFAULT_CURRENT_USER:
        return "CURRENT_USER";
    case KL_DEFAULT_NONE:
    case KL_DEFAULT_LITERAL:
        break;
    }
    KL_UNREACHABLE();
}

void kl_default_text(const struct kl_default *d, struct kl_buf *out) {
    if (d->kind == KL_DEFAULT_NONE) {
        return;
    }
    if (d->kind == KL_DEFAULT_LITERAL) {
        kl_val_to_sql(&d->value, out);
        return;
    }
    kl_buf_puts(out, function_name(d->kind));
    kl_buf_puts(out, "()");
}

static void put_str(struct kl_buf *out, const char *s) {
    kl_json_str(out, kl_slice_str(s));
}

/* The literal as it was written: a number, true, false, null, else its text. Not a result cell:
 * there BIGINT is a string. */
static void literal_json(const struct kl_val *v, struct kl_buf *out) {
    if (v->null) {
        kl_buf_puts(out, "null");
    } else if (v->type == KL_T_BOOLEAN) {
        kl_buf_puts(out, v->b ? "true" : "false");
    } else if (kl_type_is_integer(v->type)) {
        kl_buf_i64(out, v->i);
    } else if (v->type == KL_T_FLOAT) {
        kl_json_float(out, (float)v->d);
    } else if (v->type == KL_T_DOUBLE) {
        kl_json_double(out, v->d);
    } else {
        struct kl_buf text = {0};
        kl_val_to_text(v, &text);
        kl_json_str(out, kl_buf_view(&text));
        out->failed = out->failed || text.failed;
        kl_buf_deinit(&text);
    }
}

static void default_json(const struct kl_default *d, struct kl_buf *out) {
    if (d->kind == KL_DEFAULT_NONE) {
        kl_buf_puts(out, "\"None\"");
    } else if (d->kind == KL_DEFAULT_LITERAL) {
        kl_buf_puts(out, "{\"Literal\":");
        literal_json(&d->value, out);
        kl_buf_putc(out, '}');
    } else {
        kl_buf_printf(
            out, "{\"FunctionCall\":{\"name\":\"%s\",\"args\":[]}}", function_name(d->kind));
    }
}

static void column_json(const struct kl_column *c, struct kl_buf *out) {
    kl_buf_printf(out, "{\"column_id\":%u,\"column_name\":", c->id);
    put_str(out, c->name);
    kl_buf_printf(out, ",\"ordinal_position\":%u,\"data_type\":", c->ordinal);
    kl_type_json_name(c->type, out);
    kl_buf_printf(out,
        ",\"is_nullable\":%s,\"is_primary_key\":%s,\"is_partition_key\":false,\"default_value\":",
        c->nullable ? "true" : "false", c->pk_pos ? "true" : "false");
    default_json(&c->def, out);
    kl_buf_puts(out, ",\"column_comment\":");
    if (c->comment) {
        put_str(out, c->comment);
    } else {
        kl_buf_puts(out, "null");
    }
    kl_buf_putc(out, '}');
}

static void system_columns_json(const struct kl_table *t, struct kl_buf *out) {
    struct kl_column seq = {.id = t->system_ordinal,
        .ordinal = t->system_ordinal,
        .name = "_seq",
        .type = KL_TYPE(BIGINT)};
    struct kl_column deleted = {.id = t->system_ordinal + 1u,
        .ordinal = (uint16_t)(t->system_ordinal + 1),
        .name = "_deleted",
        .type = KL_TYPE(BOOLEAN),
        .def = {.kind = KL_DEFAULT_LITERAL, .value = kl_val_bool(false)}};
    column_json(&seq, out);
    kl_buf_putc(out, ',');
    column_json(&deleted, out);
}

void kl_table_columns_json(
    const struct kl_table *t, const struct kl_table_version *v, struct kl_buf *out) {
    bool system_due = t->system_ordinal != 0;
    const char *comma = "";
    kl_buf_putc(out, '[');
    for (size_t i = 0; i < v->n_cols; i++) {
        if (system_due && v->cols[i].ordinal > t->system_ordinal) {
            kl_buf_puts(out, comma);
            system_columns_json(t, out);
            system_due = false;
            comma = ",";
        }
        kl_buf_puts(out, comma);
        column_json(&v->cols[i], out);
        comma = ",";
    }
    if (system_due) {
        kl_buf_puts(out, comma);
        system_columns_json(t, out);
    }
    kl_buf_putc(out, ']');
}

static void flush_policy_json(const struct kl_table_options *o, struct kl_buf *out) {
    kl_buf_puts(out, ",\"flush_policy\":");
    if (o->flush_rows && o->flush_interval_s) {
        kl_buf_printf(out, "{\"type\":\"combined\",\"row_limit\":%u,\"interval_seconds\":%u}",
            o->flush_rows, o->flush_interval_s);
    } else if (o->flush_rows) {
        kl_buf_printf(out, "{\"type\":\"row_limit\",\"row_limit\":%u}", o->flush_rows);
    } else if (o->flush_interval_s) {
        kl_buf_printf(
            out, "{\"type\":\"time_interval\",\"interval_seconds\":%u}", o->flush_interval_s);
    } else {
        kl_buf_puts(out, "null");
    }
}

void kl_table_options_json(const struct kl_table *t, struct kl_buf *out) {
    const struct kl_table_options *o = &t->options;
    switch (t->type) {
    case KL_TABLE_USER:
        kl_buf_puts(out, "{\"table_type\":\"USER\",\"storage_id\":");
        put_str(out, o->storage_id);
        kl_buf_printf(out, ",\"use_user_storage\":%s", o->use_user_storage ? "true" : "false");
        flush_policy_json(o, out);
        break;
    case KL_TABLE_SHARED:
        kl_buf_puts(out, "{\"table_type\":\"SHARED\",\"storage_id\":");
        put_str(out, o->storage_id);
        kl_buf_printf(out, ",\"access_level\":\"%s\"", kl_access_name(o->access));
        flush_policy_json(o, out);
        break;
    case KL_TABLE_STREAM:
        kl_buf_printf(out,
            "{\"table_type\":\"STREAM\",\"ttl_seconds\":%u,\"eviction_strategy\":\"time_based\","
            "\"max_stream_size_bytes\":0"
            ",\"max_buffer\":%u}",
            o->ttl_seconds, o->max_buffer);
        return; /* lives in memory: nothing is flushed, compressed or kept after its deletion */
    case KL_TABLE_SYSTEM:
        kl_buf_puts(out, "{\"table_type\":\"SYSTEM\"}");
        return;
    case KL_TABLE_VIEW:
        kl_buf_puts(out, "{\"table_type\":\"VIEW\",\"definition\":");
        put_str(out, t->view_sql);
        kl_buf_putc(out, '}');
        return;
    }
    kl_buf_printf(out, ",\"deleted_retention_hours\":%u,\"compression\":\"zstd\"}",
        o->deleted_retention_hours);
}
