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
    const struct kl_cat *base = kl_catalog__base(c);
    size_t n = 0, want = 0;
    for (size_t i = 0; i < base->n_tables; i++) {
        const struct kl_table *t = base->tables[i];
        want += kl_slice_eq_str(name, t->ns) ? 1 + t->n_indexes : 0;
    }
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
            for (size_t j = 0; j < t->n_indexes; j++) {
                ids[n++] = t->indexes[j].id;
            }
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

struct kl_table kl_catalog__spec(const struct kl_table *t) {
    /* Field by field: the counter beside them moves under other threads' hands. */
    return (struct kl_table){.id = t->id,
        .type = t->type,
        .ns = t->ns,
        .name = t->name,
        .options = t->options,
        .versions = t->versions,
        .n_versions = t->n_versions,
        .version = t->version,
        .indexes = t->indexes,
        .n_indexes = t->n_indexes,
        .checks = t->checks,
        .n_checks = t->n_checks,
        .view_sql = t->view_sql,
        .view_ns = t->view_ns,
        .created_us = t->created_us,
        .updated_us = t->updated_us,
        .comment = t->comment,
        .system_ordinal = t->system_ordinal,
        .next_ordinal = t->next_ordinal,
        .next_column_id = t->next_column_id};
}

enum kl_rc kl_catalog__store_spec(
    struct kl_catalog *c, const struct kl_table *spec, struct kl_err *err) {
    struct kl_buf rec;
    struct kl_table *t;
    KL_TRY(kl_catalog__table_make(spec, &rec, &t, err));
    kl_catalog__store_table(c, t, kl_buf_view(&rec));
    kl_buf_deinit(&rec);
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

static enum kl_rc fit_options(struct kl_catalog *c, const struct kl_table_def *def,
    struct kl_table_options *ret, struct kl_err *err) {
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
    if (!kl_cat_storage(kl_catalog__base(c), kl_slice_str(o.storage_id))) {
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

enum kl_rc kl_catalog__check_namespace(
    struct kl_catalog *c, struct kl_slice ns, struct kl_slice name, struct kl_err *err) {
    KL_TRY(refuse_system("create", ns, name, err));
    if (!kl_cat_namespace(kl_catalog__base(c), ns)) {
        return kl_fail(err, KL_E_NOT_FOUND,
            "Namespace '%.*s' does not exist. Create it first with CREATE NAMESPACE %.*s",
            KL_FMT(ns), KL_FMT(ns));
    }
    return KL_OK;
}

static enum kl_rc check_table(
    struct kl_catalog *c, const struct kl_table_def *def, struct kl_err *err) {
    KL_ASSERT(def->type >= KL_TABLE_USER && def->type <= KL_TABLE_STREAM);
    KL_TRY(refuse_system("create", def->ns, def->name, err));
    KL_TRY(kl_name_check("table", def->name, err));
    KL_TRY(kl_catalog__check_namespace(c, def->ns, def->name, err));
    if (kl_catalog__name_taken(kl_catalog__base(c), NULL, def->ns, def->name)) {
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

enum kl_rc kl_catalog__take_id(struct kl_catalog *c, uint32_t *ret, struct kl_err *err) {
    KL_TRY(next_table_id(c, ret, err));
    store_counter(c, (uint64_t)*ret + 1);
    return KL_OK;
}

enum kl_rc kl_catalog__too_large(struct kl_err *err) {
    return kl_fail(err, KL_E_TOO_LARGE, "The table definition is too large");
}

const char *kl_catalog__text(struct kl_arena *arena, struct kl_slice s) {
    return kl_arena_dup(arena, s).ptr;
}

/* The columns as declared get ids and ordinals from 1; `_seq` and `_deleted` take the next two. */
static enum kl_rc first_version(const struct kl_table_def *def, struct kl_arena *arena,
    struct kl_table *spec, struct kl_err *err) {
    struct kl_column *cols = KL_ARENA_ARRAY(arena, struct kl_column, def->n_cols);
    struct kl_table_version *v = KL_ARENA_NEW(arena, struct kl_table_version);
    spec->ns = kl_catalog__text(arena, def->ns);
    spec->name = kl_catalog__text(arena, def->name);
    bool full = !cols || !v || !spec->ns || !spec->name;
    for (size_t i = 0; i < def->n_cols && !full; i++) {
        const struct kl_column_def *d = &def->cols[i];
        cols[i] = (struct kl_column){.id = (uint32_t)i + 1,
            .ordinal = (uint16_t)(i + 1),
            .name = kl_catalog__text(arena, d->name),
            .type = d->type,
            .nullable = d->nullable && d->pk_pos == 0,
            .pk_pos = d->pk_pos,
            .missing = kl_val_null(d->type.id)};
        full = !cols[i].name;
        KL_TRY(kl_catalog__default_fit(d, arena, &cols[i].def, err));
    }
    if (full) {
        return kl_catalog__too_large(err);
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

/* UNIQUE over exactly the primary key, or over the columns of an earlier one, adds nothing. */
static bool is_repeated(const struct kl_table_def *def, size_t at) {
    const struct kl_index_def *u = &def->uniques[at];
    size_t n_pk = 0, same = 0;
    for (size_t i = 0; i < def->n_cols; i++) {
        const struct kl_column_def *c = &def->cols[i];
        n_pk += c->pk_pos != 0;
        same += c->pk_pos != 0 && c->pk_pos <= u->n_cols &&
                kl_slice_eq(c->name, u->cols[c->pk_pos - 1]);
    }
    bool found = n_pk > 0 && n_pk == u->n_cols && same == n_pk;
    for (size_t i = 0; i < at && !found; i++) {
        found = def->uniques[i].n_cols == u->n_cols;
        for (size_t j = 0; j < u->n_cols && found; j++) {
            found = kl_slice_eq(def->uniques[i].cols[j], u->cols[j]);
        }
    }
    return found && u->name.len == 0;
}

/* The table is empty, so its indexes are complete. */
static enum kl_rc add_constraints(struct kl_catalog *c, const struct kl_table_def *def,
    struct kl_arena *arena, struct kl_table *spec, struct kl_err *err) {
    const struct kl_table_version *v = &spec->versions[0];
    KL_TRY(kl_catalog__room(spec, def->n_uniques, def->n_checks, arena, err));
    for (size_t i = 0; i < def->n_uniques; i++) {
        if (!is_repeated(def, i)) {
            struct kl_index_def u = def->uniques[i];
            u.unique = u.constraint = true;
            KL_TRY(kl_catalog__add_index(c, spec, v->cols, v->n_cols, &u, arena, err));
            spec->indexes[spec->n_indexes - 1].state = KL_INDEX_READY;
        }
    }
    for (size_t i = 0; i < def->n_checks; i++) {
        KL_TRY(kl_catalog__add_check(c, spec, &def->checks[i], arena, err));
    }
    return KL_OK;
}

static enum kl_rc fill_table(struct kl_catalog *c, const struct kl_table_def *def,
    struct kl_arena *arena, struct kl_table *spec, struct kl_err *err) {
    KL_TRY(first_version(def, arena, spec, err));
    if (def->comment.len) {
        spec->comment = kl_catalog__text(arena, def->comment);
    }
    KL_TRY(add_constraints(c, def, arena, spec, err));
    return kl_catalog__store_spec(c, spec, err);
}

enum kl_rc kl_cat_create_table(struct kl_catalog *c, const struct kl_table_def *def, int64_t now_us,
    uint32_t *ret_id, struct kl_err *err) {
    struct kl_table spec = {.type = def->type, .created_us = now_us, .updated_us = now_us};
    KL_TRY(check_table(c, def, err));
    KL_TRY(fit_options(c, def, &spec.options, err));
    kl_batch_save_point(c->batch);
    struct kl_arena arena;
    kl_arena_init(&arena, KL_CATALOG_RECORD_MAX * 4);
    enum kl_rc rc = kl_catalog__take_id(c, &spec.id, err);
    if (rc == KL_OK) {
        rc = fill_table(c, def, &arena, &spec, err);
    }
    if (rc == KL_OK) {
        *ret_id = spec.id;
    } else {
        kl_batch_rollback(c->batch); /* ids that were taken on the way */
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
