/* SHOW CREATE TABLE: a table or view as the statements that make it anew. Names are quoted where
 * they must be; what is the default is left out. */
#include "sql/parse_internal.h"

static void put_name(struct kl_buf *out, const char *name) {
    bool plain = (name[0] >= 'a' && name[0] <= 'z') || name[0] == '_';
    for (const char *c = name; *c; c++) {
        plain &= (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_';
    }
    if (plain) { /* reserved words are no names here */
        kl_buf_puts(out, name);
        return;
    }
    kl_buf_putc(out, '"');
    for (const char *c = name; *c; c++) {
        kl_buf_puts(out, *c == '"' ? "\"" : "");
        kl_buf_putc(out, *c);
    }
    kl_buf_putc(out, '"');
}

static void put_text(struct kl_buf *out, const char *s) {
    struct kl_val v = kl_val_text(kl_slice_str(s));
    kl_val_to_sql(&v, out);
}

static void put_table(struct kl_buf *out, const struct kl_table *t) {
    put_name(out, t->ns);
    kl_buf_putc(out, '.');
    put_name(out, t->name);
}

static void put_column(struct kl_buf *out, const struct kl_table *t, const struct kl_column *c) {
    kl_buf_puts(out, "\n  ");
    put_name(out, c->name);
    kl_buf_putc(out, ' ');
    kl_type_sql_name(c->type, out);
    if (c->pk_pos > 0 && t->n_pk == 1) {
        kl_buf_puts(out, " PRIMARY KEY");
    } else if (!c->nullable && c->pk_pos == 0) {
        kl_buf_puts(out, " NOT NULL");
    }
    if (c->def.kind != KL_DEFAULT_NONE) {
        kl_buf_puts(out, " DEFAULT ");
        kl_default_text(&c->def, out);
    }
}

static void put_index_columns(
    struct kl_buf *out, const struct kl_table *t, const uint16_t *cols, size_t n) {
    kl_buf_puts(out, " (");
    for (size_t i = 0; i < n; i++) {
        kl_buf_puts(out, i ? ", " : "");
        put_name(out, t->cols[cols[i]].name);
    }
    kl_buf_putc(out, ')');
}

static void put_constraints(struct kl_buf *out, const struct kl_table *t) {
    if (t->n_pk > 1) {
        kl_buf_puts(out, ",\n  PRIMARY KEY");
        put_index_columns(out, t, t->pk, t->n_pk);
    }
    for (size_t i = 0; i < t->n_indexes; i++) {
        const struct kl_index *x = &t->indexes[i];
        if (x->constraint) {
            kl_buf_puts(out, ",\n  CONSTRAINT ");
            put_name(out, x->name);
            kl_buf_puts(out, " UNIQUE");
            put_index_columns(out, t, x->cols, x->n_cols);
        }
    }
    for (size_t i = 0; i < t->n_checks; i++) {
        kl_buf_puts(out, ",\n  CONSTRAINT ");
        put_name(out, t->checks[i].name);
        kl_buf_printf(out, " CHECK (%s)", t->checks[i].expr);
    }
}

static void put_options(struct kl_buf *out, const struct kl_table *t) {
    static const char *const types[] = {
        [KL_TABLE_USER] = "USER", [KL_TABLE_SHARED] = "SHARED", [KL_TABLE_STREAM] = "STREAM"};
    static const char *const levels[] = {[KL_ACCESS_PUBLIC] = "PUBLIC",
        [KL_ACCESS_PRIVATE] = "PRIVATE",
        [KL_ACCESS_RESTRICTED] = "RESTRICTED",
        [KL_ACCESS_DBA] = "DBA"};
    const struct kl_table_options *o = &t->options;
    kl_buf_printf(out, "\n) WITH (TYPE = '%s'", types[t->type]);
    if (t->type == KL_TABLE_SHARED) {
        kl_buf_printf(out, ", ACCESS_LEVEL = '%s'", levels[o->access]);
    }
    if (t->type == KL_TABLE_STREAM) {
        kl_buf_printf(out, ", TTL_SECONDS = %u", o->ttl_seconds);
        if (o->max_buffer > 0) {
            kl_buf_printf(out, ", MAX_BUFFER = %u", o->max_buffer);
        }
    } else if (o->deleted_retention_hours > 0) {
        kl_buf_printf(out, ", DELETED_RETENTION_HOURS = %u", o->deleted_retention_hours);
    }
    if (o->flush_rows > 0 || o->flush_interval_s > 0) {
        kl_buf_puts(out, ", FLUSH_POLICY = '");
        if (o->flush_rows > 0) {
            kl_buf_printf(out, "rows:%u", o->flush_rows);
        }
        if (o->flush_interval_s > 0) {
            kl_buf_printf(out, "%sinterval:%u", o->flush_rows > 0 ? "," : "", o->flush_interval_s);
        }
        kl_buf_putc(out, '\'');
    }
    if (o->storage_id && strcmp(o->storage_id, "local") != 0) {
        kl_buf_puts(out, ", STORAGE_ID = ");
        put_text(out, o->storage_id);
    }
    kl_buf_puts(out, o->use_user_storage ? ", USE_USER_STORAGE = TRUE)" : ")");
}

static void put_comments(struct kl_buf *out, const struct kl_table *t) {
    if (t->comment) {
        kl_buf_puts(out, t->type == KL_TABLE_VIEW ? ";\nCOMMENT ON VIEW " : ";\nCOMMENT ON TABLE ");
        put_table(out, t);
        kl_buf_puts(out, " IS ");
        put_text(out, t->comment);
    }
    for (size_t i = 0; i < t->n_cols; i++) {
        if (t->cols[i].comment) {
            kl_buf_puts(out, ";\nCOMMENT ON COLUMN ");
            put_table(out, t);
            kl_buf_putc(out, '.');
            put_name(out, t->cols[i].name);
            kl_buf_puts(out, " IS ");
            put_text(out, t->cols[i].comment);
        }
    }
}

static void put_indexes(struct kl_buf *out, const struct kl_table *t) {
    for (size_t i = 0; i < t->n_indexes; i++) {
        const struct kl_index *x = &t->indexes[i];
        if (!x->constraint) {
            kl_buf_printf(out, ";\nCREATE %sINDEX ", x->unique ? "UNIQUE " : "");
            put_name(out, x->name);
            kl_buf_puts(out, " ON ");
            put_table(out, t);
            put_index_columns(out, t, x->cols, x->n_cols);
        }
    }
}

static void put_view(struct kl_buf *out, const struct kl_table *t) {
    kl_buf_puts(out, "CREATE VIEW ");
    put_table(out, t);
    kl_buf_puts(out, " (");
    for (size_t i = 0; i < t->n_cols; i++) {
        kl_buf_puts(out, i ? ", " : "");
        put_name(out, t->cols[i].name);
    }
    kl_buf_printf(out, ") AS %s", t->view_sql);
}

void kl_sql__print_create(const struct kl_table *t, struct kl_buf *out) {
    if (t->type == KL_TABLE_VIEW) {
        put_view(out, t);
        put_comments(out, t);
        return;
    }
    kl_buf_puts(out, "CREATE TABLE ");
    put_table(out, t);
    kl_buf_puts(out, " (");
    for (size_t i = 0; i < t->n_cols; i++) {
        kl_buf_puts(out, i ? "," : "");
        put_column(out, t, &t->cols[i]);
    }
    put_constraints(out, t);
    put_options(out, t);
    put_indexes(out, t);
    put_comments(out, t);
}
