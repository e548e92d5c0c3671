/* Relations that the catalog answers: namespaces, tables, schema versions, columns, indexes, storages, types. A reference to
 * one of them may be inside a listing (SHOW TABLES ...), which every role may ask for: what is not for every role is left out by
 * the session's own. */
#include "engine/system_internal.h"

static void namespaces(struct kl__sys *r) {
    for (size_t i = 0; i < kl_cat_n_namespaces(r->cat); i++) {
        const struct kl_namespace *n = kl_cat_namespace_at(r->cat, i);
        kl__sys_copy(r, KL_T_TEXT, kl_slice_str(n->name));
        kl__sys_copy(r, KL_T_TEXT, kl_slice_str(n->name));
        kl__sys_put(r, kl_val_int(KL_T_TIMESTAMP, n->created_us));
        kl__sys_optional(r, KL_T_JSON, kl_slice_str(n->options_json));
        kl__sys_i32(r, n->n_tables);
    }
}

/* ---- tables ---- */

/* Its rows are in the store, and may be cold one day. */
static bool has_storage(const struct kl_table *t) {
    return t->type == KL_TABLE_USER || t->type == KL_TABLE_SHARED;
}

static void storage_of(struct kl__sys *r, const struct kl_table *t) {
    if (has_storage(t)) {
        kl__sys_copy(r, KL_T_TEXT,
            kl_slice_str(t->options.storage_id != NULL ? t->options.storage_id : "local"));
    } else {
        kl__sys_null(r, KL_T_TEXT);
    }
}

/* The text of a view is for those who may make one. */
static void options_of(struct kl__sys *r, uint8_t type, const struct kl_table *t) {
    struct kl_buf json = {0};
    if (t->type == KL_TABLE_VIEW &&
        kl_auth_may(r->session->role, KL_MAY_CREATE_VIEW, NULL) != KL_OK) {
        kl_buf_puts(&json, "{\"table_type\":\"VIEW\"}");
    } else {
        kl_table_options_json(t, &json);
    }
    kl__sys_buf(r, type, &json);
    kl_buf_deinit(&json);
}

static void table_row(struct kl__sys *r, const struct kl_table *t) {
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(t->ns));
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(t->name));
    kl__sys_text(r, kl_table_type_name(t->type));
    storage_of(r, t);
    kl__sys_i64(r, t->version);
    options_of(r, KL_T_TEXT, t);
    kl__sys_optional(r, KL_T_TEXT, kl_slice_str(t->comment));
    kl__sys_put(r, kl_val_int(KL_T_TIMESTAMP, t->updated_us));
    kl__sys_put(r, kl_val_int(KL_T_TIMESTAMP, t->created_us));
}

static void tables(struct kl__sys *r) {
    for (size_t i = 0; i < kl_cat_n_tables(r->cat); i++) {
        table_row(r, kl_cat_table_at(r->cat, i));
    }
}

static void schema_row(
    struct kl__sys *r, const struct kl_table *t, const struct kl_table_version *v, bool latest) {
    struct kl_buf b = {0};
    kl_buf_printf(&b, "%s:%s", t->ns, t->name);
    kl__sys_buf(r, KL_T_TEXT, &b);
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(t->name));
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(t->ns));
    kl__sys_text(r, kl_table_type_name(t->type));
    kl__sys_put(r, kl_val_int(KL_T_TIMESTAMP, t->created_us));
    kl__sys_i32(r, v->version);
    kl_table_columns_json(t, v, &b);
    kl__sys_buf(r, KL_T_JSON, &b);
    kl__sys_optional(r, KL_T_TEXT, kl_slice_str(t->comment));
    kl__sys_put(r, kl_val_int(KL_T_TIMESTAMP, v->created_us));
    options_of(r, KL_T_JSON, t);
    kl__sys_text(r, t->type == KL_TABLE_SHARED ? kl_access_name(t->options.access) : NULL);
    kl__sys_bool(r, latest);
    storage_of(r, t);
    kl__sys_put(r, t->type == KL_TABLE_USER ? kl_val_bool(t->options.use_user_storage)
                                            : kl_val_null(KL_T_BOOLEAN));
    kl_buf_deinit(&b);
}

static void schemas(struct kl__sys *r) {
    for (size_t i = 0; i < kl_cat_n_tables(r->cat); i++) {
        const struct kl_table *t = kl_cat_table_at(r->cat, i);
        for (size_t v = 0; v < t->n_versions; v++) {
            schema_row(r, t, &t->versions[v], v + 1 == t->n_versions);
        }
    }
}

static void column_row(struct kl__sys *r, const struct kl_table *t, const struct kl__sys_col *c) {
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(t->ns));
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(t->name));
    kl__sys_i64(r, t->version);
    kl__sys_i64(r, c->id);
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(c->name));
    kl__sys_optional(r, KL_T_TEXT, kl_slice_str(c->comment));
    kl__sys_type(r, c->type);
    kl__sys_default(r, c->def);
    kl__sys_i64(r, c->ordinal);
    kl__sys_bool(r, c->nullable);
    kl__sys_bool(r, c->pk_pos > 0);
    kl__sys_put(r, c->pk_pos > 0 ? kl_val_i64(c->pk_pos) : kl_val_null(KL_T_BIGINT));
}

/* ---- indexes ---- */

static void index_row(struct kl__sys *r, const struct kl_table *t, const char *name,
    const uint16_t *cols, size_t n_cols) {
    struct kl_buf b = {0};
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(name));
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(t->ns));
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(t->name));
    for (size_t i = 0; i < n_cols; i++) {
        kl_buf_printf(&b, "%s%s", i > 0 ? ", " : "", t->cols[cols[i]].name);
    }
    kl__sys_buf(r, KL_T_TEXT, &b);
    kl_buf_deinit(&b);
}

static void index_state(
    struct kl__sys *r, bool unique, bool primary, enum kl_index_state state, int64_t created_us) {
    kl__sys_bool(r, unique);
    kl__sys_bool(r, primary);
    kl__sys_text(r, state == KL_INDEX_READY ? "ready" : "building");
    kl__sys_put(r, kl_val_int(KL_T_TIMESTAMP, created_us));
}

static void indexes(struct kl__sys *r) {
    for (size_t i = 0; i < kl_cat_n_tables(r->cat); i++) {
        const struct kl_table *t = kl_cat_table_at(r->cat, i);
        if (!has_storage(t)) {
            continue;
        }
        if (t->n_pk > 0) {
            struct kl_buf name = {0};
            kl_buf_printf(&name, "%s_pkey", t->name);
            kl_buf_putc(&name, '\0');
            index_row(r, t, name.data, t->pk, t->n_pk);
            index_state(r, true, true, KL_INDEX_READY, t->created_us);
            kl_buf_deinit(&name);
        }
        for (size_t k = 0; k < t->n_indexes; k++) {
            const struct kl_index *ix = &t->indexes[k];
            index_row(r, t, ix->name, ix->cols, ix->n_cols);
            index_state(r, ix->unique, false, ix->state, ix->created_us);
        }
    }
}

/* ---- storages ---- */

static void put_json_or_null(struct kl__sys *r, const char *json) {
    kl__sys_optional(r, KL_T_JSON, kl_slice_str(json));
}

static void storages(struct kl__sys *r) {
    for (size_t i = 0; i < kl_cat_n_storages(r->cat); i++) {
        const struct kl_storage *s = kl_cat_storage_at(r->cat, i);
        bool admin = r->session->role >= KL_ROLE_DBA;
        kl__sys_copy(r, KL_T_TEXT, kl_slice_str(s->id));
        kl__sys_copy(r, KL_T_TEXT, kl_slice_str(s->name));
        kl__sys_optional(r, KL_T_TEXT, kl_slice_str(s->description));
        kl__sys_copy(r, KL_T_TEXT, kl_slice_str(s->type));
        kl__sys_copy(r, KL_T_TEXT,
            kl_slice_str(s->base_directory[0] != '\0' ? s->base_directory : "storage"));
        put_json_or_null(r, s->credentials != NULL ? "\"***\"" : NULL); /* never in clear */
        put_json_or_null(r, admin ? s->config : NULL);
        kl__sys_copy(r, KL_T_TEXT, kl_slice_str(s->shared_template));
        kl__sys_copy(r, KL_T_TEXT, kl_slice_str(s->user_template));
        kl__sys_put(r, kl_val_int(KL_T_TIMESTAMP, s->created_us));
        kl__sys_put(r, kl_val_int(KL_T_TIMESTAMP, s->updated_us));
    }
}

/* ---- types ---- */

static void datatypes(struct kl__sys *r) {
    static const struct {
        struct kl_type type;
        const char *arrow, *name, *sql, *description;
    } all[] = {
        {{.id = KL_T_BOOLEAN}, "Boolean", "Boolean", NULL, "true or false"},
        {{.id = KL_T_SMALLINT}, "Int16", "SmallInt", NULL, "16-bit integer"},
        {{.id = KL_T_INT}, "Int32", "Int", NULL, "32-bit integer"},
        {{.id = KL_T_BIGINT}, "Int64", "BigInt", NULL, "64-bit integer"},
        {{.id = KL_T_FLOAT}, "Float32", "Float", NULL, "32-bit floating point"},
        {{.id = KL_T_DOUBLE}, "Float64", "Double", NULL, "64-bit floating point"},
        {{.id = KL_T_TEXT}, "Utf8", "Text", NULL, "UTF-8 text"},
        {{.id = KL_T_TIMESTAMP}, "Timestamp(Microsecond, None)", "Timestamp", NULL,
            "date and time without zone"},
        {{.id = KL_T_DATE}, "Date32", "Date", NULL, "calendar date"},
        {{.id = KL_T_DATETIME}, "Timestamp(Microsecond, UTC)", "DateTime", NULL, "point in time"},
        {{.id = KL_T_TIME}, "Time64(Microsecond)", "Time", NULL, "time of day"},
        {{.id = KL_T_JSON}, "Utf8", "Json", NULL, "JSON document"},
        {{.id = KL_T_BYTES}, "Binary", "Bytes", NULL, "bytes"},
        {{.id = KL_T_UUID}, "FixedSizeBinary(16)", "Uuid", NULL, "UUID"},
        {{.id = KL_T_DECIMAL}, "Decimal128", "Decimal", "DECIMAL(p, s)",
            "exact number, DECIMAL(p, s)"},
        {{.id = KL_T_EMBEDDING}, "FixedSizeList<Float32>", "Embedding", "EMBEDDING(n)",
            "vector of floats, EMBEDDING(n)"},
        {{.id = KL_T_FILE}, "Utf8", "File", NULL, "reference to a stored file"},
    };
    for (size_t i = 0; i < KL_LEN(all); i++) {
        kl__sys_text(r, all[i].arrow);
        kl__sys_text(r, all[i].name);
        if (all[i].sql != NULL) {
            kl__sys_text(r, all[i].sql);
        } else {
            kl__sys_type(r, all[i].type);
        }
        kl__sys_text(r, all[i].description);
    }
}

enum kl_rc kl__sys_catalog(struct kl__sys *r, uint32_t relation, struct kl_err *err) {
    (void)err;
    switch (relation) {
    case KL_SYS_NAMESPACES:
        namespaces(r);
        return KL_OK;
    case KL_SYS_TABLES:
        tables(r);
        return KL_OK;
    case KL_SYS_SCHEMAS:
        schemas(r);
        return KL_OK;
    case KL_SYS_COLUMNS:
        kl__sys_each_column(r, column_row);
        return KL_OK;
    case KL_SYS_INDEXES:
        indexes(r);
        return KL_OK;
    case KL_SYS_STORAGES:
        storages(r);
        return KL_OK;
    case KL_SYS_DATATYPES:
        datatypes(r);
        return KL_OK;
    case KL_SYS_MANIFEST: /* nothing is cold */
    case KL_SYS_TOPICS:   /* there are none */
    case KL_SYS_TOPIC_OFFSETS:
    case KL_SYS_DESCRIBE: /* DESCRIBE TABLE fills it */
        return KL_OK;
    default:
        return KL_E_AGAIN;
    }
}
