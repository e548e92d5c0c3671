/* Rows of system.* and information_schema.*: made when asked for, from one catalog snapshot, in the column order of
 * catalog/system_tables.def. */
#include "engine/audit.h"
#include "engine/internal.h"

#include <stdio.h>

#include <stdlib.h>

#define CATALOG "kalam"
#define MAX_COLS 24

/* Rows under construction, all in the request's arena. */
struct rows {
    struct kl_engine *engine;
    struct kl_cat *cat;
    struct kl_arena *arena;
    struct kl_val *vals;
    size_t width, n, cap;
    size_t at; /* next column of the row being written */
    bool failed;
};

static struct kl_val *cell(struct rows *r) {
    static struct kl_val nowhere;
    if (r->at == 0) {
        if (r->n == r->cap) {
            size_t cap = r->cap * 2 + 64;
            struct kl_val *vals = kl_arena_alloc(r->arena, cap * r->width * sizeof(*vals));
            if (vals == NULL) {
                r->failed = true;
                return &nowhere;
            }
            if (r->n > 0) {
                memcpy(vals, r->vals, r->n * r->width * sizeof(*vals));
            }
            r->vals = vals;
            r->cap = cap;
        }
        r->n++;
    }
    struct kl_val *v = &r->vals[(r->n - 1) * r->width + r->at];
    r->at = (r->at + 1) % r->width;
    return v;
}

static void put(struct rows *r, struct kl_val v) {
    if (!r->failed) {
        *cell(r) = v;
    }
}

static void put_slice(struct rows *r, uint8_t type, struct kl_slice s) {
    struct kl_slice copy = kl_arena_dup(r->arena, s);
    r->failed = r->failed || copy.ptr == NULL;
    put(r, kl_val_str(type, copy));
}

static void put_text(struct rows *r, const char *s) {
    put(r, s != NULL ? kl_val_text(kl_slice_str(s)) : kl_val_null(KL_T_TEXT));
}

static void put_time(struct rows *r, int64_t us) {
    put(r, us != 0 ? kl_val_int(KL_T_TIMESTAMP, us) : kl_val_null(KL_T_TIMESTAMP));
}

static void put_i32(struct rows *r, int64_t i) { put(r, kl_val_int(KL_T_INT, i)); }
static void put_i64(struct rows *r, int64_t i) { put(r, kl_val_i64(i)); }
static void put_bool(struct rows *r, bool b) { put(r, kl_val_bool(b)); }

static void put_buf(struct rows *r, uint8_t type, struct kl_buf *b) {
    put_slice(r, type, kl_buf_view(b));
    r->failed = r->failed || b->failed;
}

static void put_optional(struct rows *r, uint8_t type, struct kl_slice s) {
    if (s.len > 0) {
        put_slice(r, type, s);
    } else {
        put(r, kl_val_null(type));
    }
}

/* ---- catalog ---- */

static void namespaces(struct rows *r) {
    for (size_t i = 0; i < kl_cat_n_namespaces(r->cat); i++) {
        const struct kl_namespace *n = kl_cat_namespace_at(r->cat, i);
        put_slice(r, KL_T_TEXT, kl_slice_str(n->name));
        put_slice(r, KL_T_TEXT, kl_slice_str(n->name));
        put(r, kl_val_int(KL_T_TIMESTAMP, n->created_us));
        put_optional(r, KL_T_JSON, kl_slice_str(n->options_json));
        put_i32(r, n->n_tables);
    }
}

static bool is_user_table(const struct kl_table *t) { return t->type != KL_TABLE_SYSTEM; }

static void storage_of(struct rows *r, const struct kl_table *t) {
    put_slice(r, KL_T_TEXT, kl_slice_str(t->options.storage_id != NULL ? t->options.storage_id : "local"));
}

static void table_row(struct rows *r, const struct kl_table *t) {
    struct kl_buf json = {0};
    put_slice(r, KL_T_TEXT, kl_slice_str(t->ns));
    put_slice(r, KL_T_TEXT, kl_slice_str(t->name));
    put_text(r, kl_table_type_name(t->type));
    if (is_user_table(t)) {
        storage_of(r, t);
    } else {
        put(r, kl_val_null(KL_T_TEXT));
    }
    put_i64(r, t->version);
    kl_table_options_json(t, &json);
    put_buf(r, KL_T_TEXT, &json);
    put_optional(r, KL_T_TEXT, kl_slice_str(t->comment));
    put(r, kl_val_int(KL_T_TIMESTAMP, t->updated_us));
    put(r, kl_val_int(KL_T_TIMESTAMP, t->created_us));
    kl_buf_deinit(&json);
}

static void schema_row(struct rows *r, const struct kl_table *t, const struct kl_table_version *v, bool latest) {
    struct kl_buf b = {0};
    kl_buf_printf(&b, "%s:%s", t->ns, t->name);
    put_buf(r, KL_T_TEXT, &b);
    put_slice(r, KL_T_TEXT, kl_slice_str(t->name));
    put_slice(r, KL_T_TEXT, kl_slice_str(t->ns));
    put_text(r, kl_table_type_name(t->type));
    put(r, kl_val_int(KL_T_TIMESTAMP, t->created_us));
    put_i32(r, v->version);
    kl_buf_clear(&b);
    kl_table_columns_json(t, v, &b);
    put_buf(r, KL_T_JSON, &b);
    put_optional(r, KL_T_TEXT, kl_slice_str(t->comment));
    put(r, kl_val_int(KL_T_TIMESTAMP, v->created_us));
    kl_buf_clear(&b);
    kl_table_options_json(t, &b);
    put_buf(r, KL_T_JSON, &b);
    put_text(r, t->type == KL_TABLE_SHARED ? kl_access_name(t->options.access) : NULL);
    put_bool(r, latest);
    if (is_user_table(t)) {
        storage_of(r, t);
    } else {
        put(r, kl_val_null(KL_T_TEXT));
    }
    put(r, t->type == KL_TABLE_USER ? kl_val_bool(t->options.use_user_storage) : kl_val_null(KL_T_BOOLEAN));
    kl_buf_deinit(&b);
}

static void schemas(struct rows *r) {
    for (size_t i = 0; i < kl_cat_n_tables(r->cat); i++) {
        const struct kl_table *t = kl_cat_table_at(r->cat, i);
        for (size_t v = 0; v < t->n_versions; v++) {
            schema_row(r, t, &t->versions[v], v + 1 == t->n_versions);
        }
    }
}

/* A column as the catalog has it, and the two that every table of users ends with. */
struct col_view {
    const char *name;
    uint32_t id, ordinal;
    struct kl_type type;
    bool nullable;
    uint8_t pk_pos;
    const struct kl_default *def;
    const char *comment;
};
typedef void write_column(struct rows *r, const struct kl_table *t, const struct col_view *c);

static void each_column(struct rows *r, write_column *write) {
    for (size_t i = 0; i < kl_cat_n_tables(r->cat); i++) {
        const struct kl_table *t = kl_cat_table_at(r->cat, i);
        for (size_t k = 0; k < t->n_cols; k++) {
            const struct kl_column *c = &t->cols[k];
            struct col_view v = {c->name, c->id, c->ordinal, c->type, c->nullable, c->pk_pos, &c->def, c->comment};
            write(r, t, &v);
        }
        if (is_user_table(t)) {
            struct col_view seq = {"_seq", t->system_ordinal, t->system_ordinal, KL_TYPE(BIGINT), false, 0, NULL, NULL};
            struct col_view deleted = {"_deleted", t->system_ordinal + 1u, t->system_ordinal + 1u, KL_TYPE(BOOLEAN), false, 0, NULL, NULL};
            write(r, t, &seq);
            write(r, t, &deleted);
        }
    }
}

static void put_type(struct rows *r, struct kl_type t) {
    struct kl_buf b = {0};
    kl_type_sql_name(t, &b);
    put_buf(r, KL_T_TEXT, &b);
    kl_buf_deinit(&b);
}

static void put_default(struct rows *r, const struct kl_default *d) {
    struct kl_buf b = {0};
    if (d != NULL) {
        kl_default_text(d, &b);
    }
    put_optional(r, KL_T_TEXT, kl_buf_view(&b));
    kl_buf_deinit(&b);
}

static void column_row(struct rows *r, const struct kl_table *t, const struct col_view *c) {
    put_slice(r, KL_T_TEXT, kl_slice_str(t->ns));
    put_slice(r, KL_T_TEXT, kl_slice_str(t->name));
    put_i64(r, t->version);
    put_i64(r, c->id);
    put_slice(r, KL_T_TEXT, kl_slice_str(c->name));
    put_optional(r, KL_T_TEXT, kl_slice_str(c->comment));
    put_type(r, c->type);
    put_default(r, c->def);
    put_i64(r, c->ordinal);
    put_bool(r, c->nullable);
    put_bool(r, c->pk_pos > 0);
    put(r, c->pk_pos > 0 ? kl_val_i64(c->pk_pos) : kl_val_null(KL_T_BIGINT));
}

static void is_column_row(struct rows *r, const struct kl_table *t, const struct col_view *c) {
    static const struct { uint8_t type, bits; } integers[] = {{KL_T_SMALLINT, 16}, {KL_T_INT, 32}, {KL_T_BIGINT, 64}, {KL_T_FLOAT, 24}, {KL_T_DOUBLE, 53}};
    struct kl_val precision = kl_val_null(KL_T_INT), radix = precision, scale = precision, datetime = precision;
    for (size_t i = 0; i < KL_LEN(integers); i++) {
        if (integers[i].type == c->type.id) {
            precision = kl_val_int(KL_T_INT, integers[i].bits);
            radix = kl_val_int(KL_T_INT, 2);
            scale = kl_type_is_integer(c->type.id) ? kl_val_int(KL_T_INT, 0) : scale;
        }
    }
    if (c->type.id == KL_T_DECIMAL) {
        precision = kl_val_int(KL_T_INT, c->type.precision);
        radix = kl_val_int(KL_T_INT, 10);
        scale = kl_val_int(KL_T_INT, c->type.scale);
    }
    if (c->type.id == KL_T_TIMESTAMP || c->type.id == KL_T_DATETIME || c->type.id == KL_T_TIME) {
        datetime = kl_val_int(KL_T_INT, 6);
    }
    put_text(r, CATALOG);
    put_slice(r, KL_T_TEXT, kl_slice_str(t->ns));
    put_slice(r, KL_T_TEXT, kl_slice_str(t->name));
    put_slice(r, KL_T_TEXT, kl_slice_str(c->name));
    put_i32(r, c->ordinal);
    put_default(r, c->def);
    put_text(r, c->nullable ? "YES" : "NO");
    put_type(r, c->type);
    put(r, kl_val_null(KL_T_INT));
    put(r, kl_val_null(KL_T_INT));
    put(r, precision);
    put(r, radix);
    put(r, scale);
    put(r, datetime);
}

static void is_tables(struct rows *r) {
    for (size_t i = 0; i < kl_cat_n_tables(r->cat); i++) {
        const struct kl_table *t = kl_cat_table_at(r->cat, i);
        put_text(r, CATALOG);
        put_slice(r, KL_T_TEXT, kl_slice_str(t->ns));
        put_slice(r, KL_T_TEXT, kl_slice_str(t->name));
        put_text(r, is_user_table(t) ? "BASE TABLE" : "VIEW");
    }
}

static void is_schemata(struct rows *r) {
    for (size_t i = 0; i < kl_cat_n_namespaces(r->cat); i++) {
        put_text(r, CATALOG);
        put_slice(r, KL_T_TEXT, kl_slice_str(kl_cat_namespace_at(r->cat, i)->name));
        put(r, kl_val_null(KL_T_TEXT));
    }
}

/* ---- the rest ---- */

static enum kl_rc user_row(void *ctx, const struct kl_user *u) {
    static const char *const types[] = {[KL_AUTH_PASSWORD] = "password", [KL_AUTH_OAUTH] = "oauth", [KL_AUTH_INTERNAL] = "internal"};
    struct rows *r = ctx;
    put_slice(r, KL_T_TEXT, u->id);
    put_text(r, u->password_hash.len > 0 ? "***" : "");
    put_text(r, kl_role_name(u->role));
    put_optional(r, KL_T_TEXT, u->email);
    put_text(r, u->auth_type < KL_LEN(types) && types[u->auth_type] != NULL ? types[u->auth_type] : "password");
    put_optional(r, KL_T_JSON, u->auth_data);
    put_text(r, "table");
    put(r, kl_val_null(KL_T_TEXT));
    put_i32(r, u->failed_logins);
    put_time(r, u->locked_until_us);
    put_time(r, u->last_login_us);
    put(r, kl_val_int(KL_T_TIMESTAMP, u->created_us));
    put(r, kl_val_int(KL_T_TIMESTAMP, u->updated_us));
    put_time(r, u->last_login_us);
    put_time(r, u->deleted_us);
    return r->failed ? KL_E_TOO_LARGE : KL_OK;
}

static void put_copy(struct rows *r, uint8_t type, const char *s) { put_optional(r, type, s != NULL ? kl_slice_str(s) : KL_SLICE_NONE); }

static void storages(struct rows *r) {
    for (size_t i = 0; i < kl_cat_n_storages(r->cat); i++) {
        const struct kl_storage *s = kl_cat_storage_at(r->cat, i);
        put_copy(r, KL_T_TEXT, s->id);
        put_copy(r, KL_T_TEXT, s->name);
        put_copy(r, KL_T_TEXT, s->description);
        put_copy(r, KL_T_TEXT, s->type);
        put_slice(r, KL_T_TEXT, kl_slice_str(s->base_directory[0] != '\0' ? s->base_directory : "storage"));
        put_copy(r, KL_T_JSON, s->credentials != NULL ? "\"***\"" : NULL); /* never in clear */
        put_copy(r, KL_T_JSON, s->config);
        put_copy(r, KL_T_TEXT, s->shared_template);
        put_copy(r, KL_T_TEXT, s->user_template);
        put(r, kl_val_int(KL_T_TIMESTAMP, s->created_us));
        put(r, kl_val_int(KL_T_TIMESTAMP, s->updated_us));
    }
}

static enum kl_rc audit_row(void *ctx, const struct kl__audit_entry *e, struct kl_err *err) {
    struct rows *r = ctx;
    char id[KL__AUDIT_ID_BYTES];
    (void)err;
    put_slice(r, KL_T_TEXT, kl__audit_id(e, id));
    put(r, kl_val_int(KL_T_TIMESTAMP, e->us));
    put_slice(r, KL_T_TEXT, e->actor);
    put_slice(r, KL_T_TEXT, e->action);
    put_slice(r, KL_T_TEXT, e->target);
    put_optional(r, KL_T_TEXT, e->details);
    put_optional(r, KL_T_TEXT, e->ip);
    put_optional(r, KL_T_TEXT, e->subject);
    return r->failed ? KL_E_TOO_LARGE : KL_OK;
}

static enum kl_rc live_row(void *ctx, const struct kl_val *vals) {
    struct rows *r = ctx;
    for (size_t i = 0; i < r->width; i++) {
        struct kl_val copy = kl_val_null(KL_T_TEXT);
        r->failed = r->failed || !kl_val_dup(r->arena, &vals[i], &copy);
        put(r, copy);
    }
    return r->failed ? KL_E_TOO_LARGE : KL_OK;
}

static enum kl_rc stat(void *ctx, const char *name, const char *value) {
    struct rows *r = ctx;
    put_slice(r, KL_T_TEXT, kl_slice_str(name));
    put_slice(r, KL_T_TEXT, kl_slice_str(value));
    return r->failed ? KL_E_TOO_LARGE : KL_OK;
}

static void stat_u64(struct rows *r, const char *name, uint64_t value) {
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    stat(r, name, text);
}

static enum kl_rc count_user(void *ctx, const struct kl_user *u) {
    *(uint64_t *)ctx += u->deleted_us == 0;
    return KL_OK;
}

static enum kl_rc stats(struct rows *r, struct kl_err *err) {
    struct kl_engine *e = r->engine;
    struct kl_engine_stats s;
    struct kl_store_stats store;
    uint64_t users = 0, tables = 0;
    kl_engine_stats(e, &s);
    kl_store_stats(e->o.store, &store);
    KL_TRY(kl_user_each(e->o.store, count_user, &users, err));
    for (size_t i = 0; i < kl_cat_n_tables(r->cat); i++) {
        tables += is_user_table(kl_cat_table_at(r->cat, i));
    }
    stat(r, "server_version", KL_VERSION);
    stat_u64(r, "total_users", users);
    stat_u64(r, "total_namespaces", kl_cat_n_namespaces(r->cat));
    stat_u64(r, "total_tables", tables);
    stat_u64(r, "total_storages", 1);
    stat_u64(r, "total_jobs", 0);
    stat_u64(r, "schema_cache_size", kl_cat_n_tables(r->cat));
    stat_u64(r, "schema_registry_size", kl_cat_n_tables(r->cat));
    stat_u64(r, "plan_cache_size", s.plan_cache_size);
    stat_u64(r, "user_shards", e->user_shards);
    stat_u64(r, "shared_shards", 1);
    stat(r, "cluster_mode", "false");
    stat_u64(r, "statements_total", s.statements);
    stat_u64(r, "writes_total", s.writes);
    stat_u64(r, "commits_total", s.commits);
    stat_u64(r, "commit_us_mean", s.commits > 0 ? s.commit_us_total / s.commits : 0);
    stat_u64(r, "batch_commands_max", s.batch_commands_max);
    stat_u64(r, "stream_rows", s.stream_rows);
    stat_u64(r, "stream_bytes", s.stream_bytes);
    stat_u64(r, "store_disk_bytes", store.disk_bytes);
    stat_u64(r, "store_memtable_bytes", store.memtable_bytes);
    stat_u64(r, "store_cache_bytes", store.cache_bytes);
    return e->o.facts.stats != NULL ? e->o.facts.stats(e->o.facts.ctx, stat, r) : KL_OK;
}

static enum kl_rc setting(void *ctx, const char *name, const char *value, const char *description, const char *category) {
    struct rows *r = ctx;
    put_slice(r, KL_T_TEXT, kl_slice_str(name));
    put_slice(r, KL_T_TEXT, kl_slice_str(value));
    put_slice(r, KL_T_TEXT, kl_slice_str(description));
    put_slice(r, KL_T_TEXT, kl_slice_str(category));
    return r->failed ? KL_E_TOO_LARGE : KL_OK;
}

static void datatypes(struct rows *r) {
    static const struct { struct kl_type type; const char *arrow, *name, *description; } all[] = {
        {{.id = KL_T_BOOLEAN}, "Boolean", "Boolean", "true or false"},
        {{.id = KL_T_SMALLINT}, "Int16", "SmallInt", "16-bit integer"},
        {{.id = KL_T_INT}, "Int32", "Int", "32-bit integer"},
        {{.id = KL_T_BIGINT}, "Int64", "BigInt", "64-bit integer"},
        {{.id = KL_T_FLOAT}, "Float32", "Float", "32-bit floating point"},
        {{.id = KL_T_DOUBLE}, "Float64", "Double", "64-bit floating point"},
        {{.id = KL_T_TEXT}, "Utf8", "Text", "UTF-8 text"},
        {{.id = KL_T_TIMESTAMP}, "Timestamp(Microsecond, None)", "Timestamp", "date and time without zone"},
        {{.id = KL_T_DATE}, "Date32", "Date", "calendar date"},
        {{.id = KL_T_DATETIME}, "Timestamp(Microsecond, UTC)", "DateTime", "point in time"},
        {{.id = KL_T_TIME}, "Time64(Microsecond)", "Time", "time of day"},
        {{.id = KL_T_JSON}, "Utf8", "Json", "JSON document"},
        {{.id = KL_T_BYTES}, "Binary", "Bytes", "bytes"},
        {{.id = KL_T_UUID}, "FixedSizeBinary(16)", "Uuid", "UUID"},
        {{.id = KL_T_DECIMAL}, "Decimal128", "Decimal", "exact number, DECIMAL(p, s)"},
        {{.id = KL_T_EMBEDDING}, "FixedSizeList<Float32>", "Embedding", "vector of floats, EMBEDDING(n)"},
        {{.id = KL_T_FILE}, "Utf8", "File", "reference to a stored file"},
    };
    static const char *const sql[] = {"DECIMAL(p, s)", "EMBEDDING(n)"};
    for (size_t i = 0; i < KL_LEN(all); i++) {
        put_text(r, all[i].arrow);
        put_text(r, all[i].name);
        if (all[i].type.id == KL_T_DECIMAL || all[i].type.id == KL_T_EMBEDDING) {
            put_text(r, sql[all[i].type.id == KL_T_EMBEDDING]);
        } else {
            put_type(r, all[i].type);
        }
        put_text(r, all[i].description);
    }
}

static enum kl_rc fill(struct rows *r, uint32_t table, struct kl_err *err) {
    struct kl_engine *e = r->engine;
    switch (table) {
    case KL_SYS_NAMESPACES:
        namespaces(r);
        return KL_OK;
    case KL_SYS_TABLES:
        for (size_t i = 0; i < kl_cat_n_tables(r->cat); i++) {
            table_row(r, kl_cat_table_at(r->cat, i));
        }
        return KL_OK;
    case KL_SYS_SCHEMAS:
        schemas(r);
        return KL_OK;
    case KL_SYS_COLUMNS:
        each_column(r, column_row);
        return KL_OK;
    case KL_SYS_USERS:
        return kl_user_each(e->o.store, user_row, r, err);
    case KL_SYS_STORAGES:
        storages(r);
        return KL_OK;
    case KL_SYS_AUDIT_LOG:
        return kl__audit_each(e, audit_row, r, err);
    case KL_SYS_LIVE:
        return e->o.listener.live_rows != NULL ? e->o.listener.live_rows(e->o.listener.ctx, live_row, r, err) : KL_OK;
    case KL_SYS_STATS:
        return stats(r, err);
    case KL_SYS_SETTINGS:
        return e->o.facts.settings != NULL ? e->o.facts.settings(e->o.facts.ctx, setting, r) : KL_OK;
    case KL_SYS_DATATYPES:
        datatypes(r);
        return KL_OK;
    case KL_SYS_IS_TABLES:
        is_tables(r);
        return KL_OK;
    case KL_SYS_IS_COLUMNS:
        each_column(r, is_column_row);
        return KL_OK;
    case KL_SYS_IS_SCHEMATA:
        is_schemata(r);
        return KL_OK;
    default:
        return kl_fail(err, KL_E_UNSUPPORTED, "this relation is not available in this version");
    }
}

enum kl_rc kl__system_scan(struct kl_engine *e, const struct kl_session *session, struct kl_table *t, const int16_t *slots,
    size_t n_slots, struct kl_arena *arena, struct kl_source **ret, struct kl_err *err) {
    (void)session; /* who may read it was decided when the statement was bound */
    KL_ASSERT(t->n_cols <= MAX_COLS);
    struct rows r = {.engine = e, .cat = kl_catalog_acquire(e->o.catalog), .arena = arena, .width = t->n_cols};
    enum kl_rc rc = fill(&r, t->id, err);
    kl_cat_release(r.cat);
    if (r.failed || rc == KL_E_TOO_LARGE) {
        return kl_fail(err, KL_E_TOO_LARGE, "%s is larger than the memory of one query", t->qualified.ptr);
    }
    KL_TRY(rc);
    KL_ASSERT(r.at == 0);
    *ret = kl__scan_values(r.vals, r.width, r.n, slots, n_slots);
    return KL_OK;
}
