/* Changes: namespaces, and making and dropping tables. Each operation checks everything first,
 * then writes its records into the batch and its result into the draft; a refused operation
 * leaves both as they were.
 *
 * Thread: the metadata writer, between kl_catalog_begin and publish or abort. */
#include "catalog/internal.h"
#include <jansson.h>
#include <stdlib.h>

#define DELETED_RETENTION_HOURS_DEFAULT 168
#define COUNTER_NEXT_TABLE_ID "next_table_id"

/* ---- namespaces ---- */

static void store_namespace(struct kl_catalog *c, struct kl_catalog__ns *ns) {
    struct kl_catalog__key key;
    struct kl_buf rec;
    kl_buf_init(&rec, KL_CATALOG_RECORD_MAX);
    kl_catalog__key(&key, KL_META_NAMESPACE, kl_slice_str(ns->pub.name));
    kl_catalog__ns_encode(&rec, &ns->pub);
    KL_ASSERT(!rec.failed);
    kl_batch_put(c->batch, KL_CF_META, kl_catalog__key_view(&key), kl_buf_view(&rec));
    kl_buf_deinit(&rec);
    kl_catalog__cat_put_ns(kl_catalog__draft(c), ns);
}

enum kl_rc kl_cat_create_namespace(
    struct kl_catalog *c, struct kl_slice name, int64_t now_us, struct kl_err *err) {
    /* `default` is a reserved name that everyone may use: that it exists is the more helpful
     * answer. */
    if (!kl_slice_eq(name, KL_S("default"))) {
        KL_TRY(kl_name_check("namespace", name, err));
    }
    if (kl_cat_namespace(kl_catalog__base(c), name)) {
        return kl_fail(
            err, KL_E_EXISTS, "Already exists: Namespace '%.*s' already exists", KL_FMT(name));
    }
    store_namespace(c, kl_catalog__ns_new(name, KL_SLICE_NONE, now_us, 0));
    return KL_OK;
}

static enum kl_rc find_namespace(struct kl_catalog *c, struct kl_slice name,
    const struct kl_namespace **ret, struct kl_err *err) {
    if (kl_namespace_is_system(name)) {
        return kl_fail(
            err, KL_E_EXEC, "Namespace '%.*s' is reserved and cannot be changed", KL_FMT(name));
    }
    *ret = kl_cat_namespace(kl_catalog__base(c), name);
    return *ret ? KL_OK
                : kl_fail(
                      err, KL_E_NOT_FOUND, "Not found: Namespace '%.*s' not found", KL_FMT(name));
}

/* Keys of `json` over those of `old`, as compact text to be freed; NULL with err set. */
static char *merge_options(const char *old, struct kl_slice json, struct kl_err *err) {
    json_t *add = json_loadb(json.ptr ? json.ptr : "", json.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(add)) {
        json_decref(add);
        kl_fail(err, KL_E_INVALID_SQL, "Namespace options must be a JSON object");
        return NULL;
    }
    json_t *all = old ? json_loads(old, 0, NULL) : json_object();
    char *text = NULL;
    if (!json_is_object(all)) {
        kl_fail(err, KL_E_CORRUPT, "The options of the namespace are damaged");
    } else if (json_object_update(all, add) == 0) {
        text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
    }
    json_decref(all);
    json_decref(add);
    if (text && strlen(text) > KL_CATALOG_NS_OPTIONS_MAX) {
        kl_fail(err, KL_E_TOO_LARGE, "Namespace options are larger than %u bytes",
            KL_CATALOG_NS_OPTIONS_MAX);
        free(text);
        return NULL;
    }
    return text;
}

enum kl_rc kl_cat_set_namespace_options(
    struct kl_catalog *c, struct kl_slice name, struct kl_slice json, struct kl_err *err) {
    const struct kl_namespace *old;
    KL_TRY(find_namespace(c, name, &old, err));
    struct kl_err why = {.rc = KL_E_NOMEM, .msg = "out of memory"};
    kl_autofree char *text = merge_options(old->options_json, json, &why);
    if (!text) {
        return kl_fail(err, why.rc, "%s", why.msg);
    }
    store_namespace(
        c, kl_catalog__ns_new(name, kl_slice_str(text), old->created_us, old->n_tables));
    return KL_OK;
}

static void drop_table(struct kl_catalog *c, struct kl_table *t) {
    struct kl_catalog__key key;
    kl_catalog__key_table(&key, t->id);
    kl_batch_del(c->batch, KL_CF_META, kl_catalog__key_view(&key));
    kl_catalog__cat_del_table(kl_catalog__draft(c), t);
}

enum kl_rc kl_cat_drop_namespace(struct kl_catalog *c, struct kl_slice name, struct kl_arena *arena,
    uint32_t **ret_ids, size_t *ret_n, struct kl_err *err) {
    const struct kl_namespace *ns;
    KL_TRY(find_namespace(c, name, &ns, err));
    if (kl_slice_eq(name, KL_S("default")) || kl_slice_eq(name, KL_S("dba"))) {
        return kl_fail(
            err, KL_E_EXEC, "Namespace '%.*s' is reserved and cannot be dropped", KL_FMT(name));
    }
    size_t n = 0, want = ns->n_tables;
    uint32_t *ids = KL_ARENA_ARRAY(arena, uint32_t, want + 1);
    if (!ids) {
        return kl_fail(
            err, KL_E_NOMEM, "Namespace '%.*s' has too many tables to drop at once", KL_FMT(name));
    }
    struct kl_cat *draft = kl_catalog__draft(c);
    for (size_t i = draft->n_tables; i-- > 0;) {
        struct kl_table *t = draft->tables[i];
        if (kl_slice_eq_str(name, t->ns)) {
            ids[n++] = t->id;
            drop_table(c, t);
        }
    }
    KL_ASSERT(n == want);
    struct kl_catalog__key key;
    kl_catalog__key(&key, KL_META_NAMESPACE, name);
    kl_batch_del(c->batch, KL_CF_META, kl_catalog__key_view(&key));
    kl_catalog__cat_del_ns(draft, name);
    *ret_ids = ids;
    *ret_n = n;
    return KL_OK;
}

/* ---- tables ---- */

static enum kl_rc refuse_system(
    const char *verb, struct kl_slice ns, struct kl_slice name, struct kl_err *err) {
    if (!kl_namespace_is_system(ns)) {
        return KL_OK;
    }
    return kl_fail(err, KL_E_EXEC,
        "Cannot %s system table '%.*s.%.*s'. System tables are managed internally.", verb,
        KL_FMT(ns), KL_FMT(name));
}

enum kl_rc kl_catalog__find_table(struct kl_catalog *c, const char *verb, struct kl_slice ns,
    struct kl_slice name, struct kl_table **ret, struct kl_err *err) {
    KL_TRY(refuse_system(verb, ns, name, err));
    *ret = kl_cat_table(kl_catalog__base(c), ns, name);
    if (!*ret) {
        return kl_fail(err, KL_E_NOT_FOUND, "Not found: Table '%.*s' not found in namespace '%.*s'",
            KL_FMT(name), KL_FMT(ns));
    }
    return KL_OK;
}

void kl_catalog__store_table(struct kl_catalog *c, struct kl_table *t, struct kl_slice rec) {
    struct kl_catalog__key key;
    kl_catalog__key_table(&key, t->id);
    kl_batch_put(c->batch, KL_CF_META, kl_catalog__key_view(&key), rec);
    kl_catalog__cat_put_table(kl_catalog__draft(c), t);
}

enum kl_rc kl_catalog__default_fit(const struct kl_column_def *def, struct kl_arena *arena,
    struct kl_default *ret, struct kl_err *err) {
    *ret = (struct kl_default){.kind = def->def.kind, .value = kl_val_null(def->type.id)};
    if (def->def.kind != KL_DEFAULT_LITERAL) {
        return KL_OK;
    }
    enum kl_rc rc =
        kl_val_cast(&def->def.value, def->type, KL_CAST_ASSIGN, arena, &ret->value, err);
    if (rc != KL_OK) {
        kl_err_prefix(err, "Default of column '%.*s'", KL_FMT(def->name));
    }
    return rc;
}

static bool may_be_key(struct kl_type t) {
    return t.id != KL_T_EMBEDDING && t.id != KL_T_JSON && t.id != KL_T_FILE;
}

static enum kl_rc check_primary_key(const struct kl_table_def *def, struct kl_err *err) {
    unsigned seen = 0, n = 0;
    for (size_t i = 0; i < def->n_cols; i++) {
        const struct kl_column_def *c = &def->cols[i];
        if (c->pk_pos == 0) {
            continue;
        }
        if (c->pk_pos > KL_PK_COLS_MAX) {
            return kl_fail(
                err, KL_E_INVALID_SQL, "A PRIMARY KEY may have at most %d columns", KL_PK_COLS_MAX);
        }
        if (!may_be_key(c->type)) {
            struct kl_buf type = {0};
            kl_type_sql_name(c->type, &type);
            enum kl_rc rc = kl_fail(err, KL_E_INVALID_SQL,
                "Column '%.*s' of type %.*s cannot be part of a PRIMARY KEY", KL_FMT(c->name),
                (int)type.len, type.data);
            kl_buf_deinit(&type);
            return rc;
        }
        seen |= 1u << (c->pk_pos - 1);
        n++;
    }
    KL_ASSERT(seen == (1u << n) - 1); /* the parser numbers them */
    return KL_OK;
}

static enum kl_rc check_columns(const struct kl_table_def *def, struct kl_err *err) {
    if (def->n_cols == 0) {
        return kl_fail(err, KL_E_INVALID_SQL, "Table must have at least one column");
    }
    if (def->n_cols > KL_ROW_MAX_COLS) {
        return kl_fail(
            err, KL_E_INVALID_SQL, "A table may have at most %d columns", KL_ROW_MAX_COLS);
    }
    for (size_t i = 0; i < def->n_cols; i++) {
        KL_TRY(kl_name_check("column", def->cols[i].name, err));
        for (size_t j = 0; j < i; j++) {
            if (kl_slice_ieq(def->cols[i].name, def->cols[j].name)) {
                return kl_fail(err, KL_E_INVALID_SQL,
                    "Duplicate column name '%.*s'. Column names are case-insensitive.",
                    KL_FMT(def->cols[i].name));
            }
        }
    }
    return check_primary_key(def, err);
}

static enum kl_rc fit_options(
    const struct kl_table_def *def, struct kl_table_options *ret, struct kl_err *err) {
    struct kl_table_options o = def->options;
    if (def->type == KL_TABLE_STREAM && o.ttl_seconds == 0) {
        return kl_fail(err, KL_E_INVALID_SQL, "STREAM tables must specify 'TTL_SECONDS'");
    }
    if (def->type != KL_TABLE_STREAM && o.ttl_seconds != 0) {
        return kl_fail(err, KL_E_INVALID_SQL, "TTL_SECONDS is only supported for STREAM tables");
    }
    if (def->type != KL_TABLE_USER && o.use_user_storage) {
        return kl_fail(err, KL_E_INVALID_SQL, "USE_USER_STORAGE is only supported for USER tables");
    }
    o.storage_id = o.storage_id ? o.storage_id : KL_CATALOG_STORAGE;
    if (strcmp(o.storage_id, KL_CATALOG_STORAGE) != 0) {
        return kl_fail(err, KL_E_NOT_FOUND, "Storage '%s' does not exist", o.storage_id);
    }
    if (def->type != KL_TABLE_SHARED || o.access == 0) {
        o.access = KL_ACCESS_PRIVATE;
    }
    if (o.deleted_retention_hours == 0) {
        o.deleted_retention_hours = DELETED_RETENTION_HOURS_DEFAULT;
    }
    *ret = o;
    return KL_OK;
}

static enum kl_rc check_table(
    struct kl_catalog *c, const struct kl_table_def *def, struct kl_err *err) {
    KL_ASSERT(def->type >= KL_TABLE_USER && def->type <= KL_TABLE_STREAM);
    KL_TRY(refuse_system("create", def->ns, def->name, err));
    KL_TRY(kl_name_check("table", def->name, err));
    const struct kl_cat *base = kl_catalog__base(c);
    if (!kl_cat_namespace(base, def->ns)) {
        return kl_fail(err, KL_E_NOT_FOUND,
            "Namespace '%.*s' does not exist. Create it first with CREATE NAMESPACE %.*s",
            KL_FMT(def->ns), KL_FMT(def->ns));
    }
    if (kl_cat_table(base, def->ns, def->name)) {
        return kl_fail(err, KL_E_EXISTS, "Already exists: Table %.*s.%.*s already exists",
            KL_FMT(def->ns), KL_FMT(def->name));
    }
    return check_columns(def, err);
}

static enum kl_rc next_table_id(struct kl_catalog *c, uint32_t *ret, struct kl_err *err) {
    struct kl_catalog__key key;
    struct kl_buf value = {0};
    kl_catalog__key(&key, KL_META_COUNTER, KL_S(COUNTER_NEXT_TABLE_ID));
    enum kl_rc rc = kl_batch_get(c->batch, KL_CF_META, kl_catalog__key_view(&key), &value, err);
    uint64_t id = 1;
    if (rc == KL_OK) {
        struct kl_reader r;
        kl_reader_init(&r, kl_buf_view(&value));
        id = kl_read_le64(&r);
        if (r.failed || r.ptr != r.end || id == 0 ||
            kl_cat_table_by_id(kl_catalog__base(c), (uint32_t)id)) {
            rc = kl_fail(err, KL_E_CORRUPT, "The catalog's counter of table ids is damaged");
        }
    } else if (rc == KL_E_NOT_FOUND) {
        rc = KL_OK;
    }
    if (rc == KL_OK && id >= KL_SYS_TABLE_BASE) {
        rc = kl_fail(err, KL_E_TOO_LARGE, "No table id is left");
    }
    kl_buf_deinit(&value);
    *ret = (uint32_t)id;
    return rc;
}

static void store_counter(struct kl_catalog *c, uint64_t next) {
    struct kl_catalog__key key;
    struct kl_buf value = {0};
    kl_catalog__key(&key, KL_META_COUNTER, KL_S(COUNTER_NEXT_TABLE_ID));
    kl_buf_le64(&value, next);
    kl_batch_put(c->batch, KL_CF_META, kl_catalog__key_view(&key), kl_buf_view(&value));
    kl_buf_deinit(&value);
}

static const char *text_of(struct kl_arena *arena, struct kl_slice s) {
    return kl_arena_dup(arena, s).ptr;
}

/* The columns as declared get ids and ordinals from 1; `_seq` and `_deleted` take the next two. */
static enum kl_rc first_version(const struct kl_table_def *def, struct kl_arena *arena,
    struct kl_table *spec, struct kl_err *err) {
    struct kl_column *cols = KL_ARENA_ARRAY(arena, struct kl_column, def->n_cols);
    struct kl_table_version *v = KL_ARENA_NEW(arena, struct kl_table_version);
    spec->ns = text_of(arena, def->ns);
    spec->name = text_of(arena, def->name);
    bool full = !cols || !v || !spec->ns || !spec->name;
    for (size_t i = 0; i < def->n_cols && !full; i++) {
        const struct kl_column_def *d = &def->cols[i];
        cols[i] = (struct kl_column){.id = (uint32_t)i + 1,
            .ordinal = (uint16_t)(i + 1),
            .name = text_of(arena, d->name),
            .type = d->type,
            .nullable = d->nullable && d->pk_pos == 0,
            .pk_pos = d->pk_pos,
            .missing = kl_val_null(d->type.id)};
        full = !cols[i].name;
        KL_TRY(kl_catalog__default_fit(d, arena, &cols[i].def, err));
    }
    if (full) {
        return kl_fail(err, KL_E_TOO_LARGE, "The table definition is too large");
    }
    *v = (struct kl_table_version){
        .version = 1, .created_us = spec->created_us, .cols = cols, .n_cols = def->n_cols};
    spec->versions = v;
    spec->n_versions = 1;
    spec->system_ordinal = (uint16_t)(def->n_cols + 1);
    spec->next_ordinal = (uint16_t)(def->n_cols + 3);
    spec->next_column_id = (uint32_t)def->n_cols + 3;
    return KL_OK;
}

enum kl_rc kl_cat_create_table(struct kl_catalog *c, const struct kl_table_def *def, int64_t now_us,
    uint32_t *ret_id, struct kl_err *err) {
    struct kl_table spec = {.type = def->type, .created_us = now_us, .updated_us = now_us};
    KL_TRY(check_table(c, def, err));
    KL_TRY(fit_options(def, &spec.options, err));
    KL_TRY(next_table_id(c, &spec.id, err));
    struct kl_arena arena;
    kl_arena_init(&arena, KL_CATALOG_RECORD_MAX * 4);
    struct kl_buf rec;
    struct kl_table *t;
    enum kl_rc rc = first_version(def, &arena, &spec, err);
    if (rc == KL_OK) {
        rc = kl_catalog__table_make(&spec, &rec, &t, err);
    }
    if (rc == KL_OK) {
        kl_catalog__store_table(c, t, kl_buf_view(&rec));
        store_counter(c, (uint64_t)spec.id + 1);
        kl_buf_deinit(&rec);
        *ret_id = spec.id;
    }
    kl_arena_deinit(&arena);
    return rc;
}

enum kl_rc kl_cat_drop_table(struct kl_catalog *c, struct kl_slice ns, struct kl_slice name,
    uint32_t *ret_id, struct kl_err *err) {
    struct kl_table *t;
    KL_TRY(kl_catalog__find_table(c, "drop", ns, name, &t, err));
    *ret_id = t->id;
    drop_table(c, t);
    return KL_OK;
}
