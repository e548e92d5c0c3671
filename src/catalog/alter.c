/* ALTER TABLE: every effective change makes one more schema version, a full list of columns.
 * Column ids are never used twice and the survivors' ordinals never move; that is why stored rows
 * need no rewriting.
 *
 * Thread: the metadata writer, between kl_catalog_begin and publish or abort. */
#include "catalog/internal.h"

/* The next version while it is put together: a copy of the current columns, changed in place.
 * Borrows from the table. */
struct next_version {
    struct kl_table spec;
    struct kl_column *cols; /* room for one more */
    size_t n_cols;
    struct kl_arena *arena;
    bool changed;
};

static bool is_system_column(struct kl_slice name) {
    return name.len > 0 && name.ptr[0] == '_';
}

static int find_column(const struct next_version *n, struct kl_slice name) {
    for (size_t i = 0; i < n->n_cols; i++) {
        if (kl_slice_ieq_str(name, n->cols[i].name)) {
            return (int)i;
        }
    }
    return -1;
}

static enum kl_rc out_of_memory(struct kl_err *err) {
    return kl_fail(err, KL_E_TOO_LARGE, "The table definition is too large");
}

static enum kl_rc add_column(
    struct next_version *n, const struct kl_alter *alter, struct kl_err *err) {
    const struct kl_column_def *def = &alter->add;
    if (is_system_column(def->name)) {
        return kl_fail(err, KL_E_INVALID_SQL,
            "Cannot add column '%.*s': reserved system column name", KL_FMT(def->name));
    }
    KL_TRY(kl_name_check("column", def->name, err));
    if (find_column(n, def->name) >= 0) {
        return kl_fail(err, KL_E_EXISTS, "Column '%.*s' already exists", KL_FMT(def->name));
    }
    if (def->pk_pos) {
        return kl_fail(
            err, KL_E_UNSUPPORTED, "A PRIMARY KEY column cannot be added to an existing table");
    }
    if (n->n_cols >= KL_ROW_MAX_COLS) {
        return kl_fail(err, KL_E_EXEC, "A table may have at most %d columns", KL_ROW_MAX_COLS);
    }
    if (n->spec.next_ordinal == UINT16_MAX) {
        return kl_fail(
            err, KL_E_EXEC, "No column position is left: too many columns were added and dropped");
    }
    struct kl_column *c = &n->cols[n->n_cols];
    *c = (struct kl_column){.id = n->spec.next_column_id,
        .ordinal = n->spec.next_ordinal,
        .name = kl_arena_dup(n->arena, def->name).ptr,
        .type = def->type,
        .nullable = def->nullable};
    if (!c->name) {
        return out_of_memory(err);
    }
    KL_TRY(kl_catalog__default_fit(def, n->arena, &c->def, err));
    KL_TRY(kl_val_cast(&alter->missing, def->type, KL_CAST_ASSIGN, n->arena, &c->missing, err));
    n->n_cols++;
    n->spec.next_column_id++;
    n->spec.next_ordinal++;
    n->changed = true;
    return KL_OK;
}

static enum kl_rc find_user_column(const struct next_version *n, const char *verb,
    struct kl_slice name, int *ret, struct kl_err *err) {
    if (is_system_column(name)) {
        return kl_fail(err, KL_E_INVALID_SQL,
            "Cannot %s column '%.*s': system column cannot be modified", verb, KL_FMT(name));
    }
    *ret = find_column(n, name);
    return *ret >= 0 ? KL_OK
                     : kl_fail(err, KL_E_NOT_FOUND, "Column '%.*s' does not exist", KL_FMT(name));
}

static enum kl_rc drop_column(
    struct next_version *n, const struct kl_alter *alter, struct kl_err *err) {
    int i;
    KL_TRY(find_user_column(n, "drop", alter->column, &i, err));
    if (n->cols[i].pk_pos) {
        return kl_fail(
            err, KL_E_EXEC, "Column '%s' is a PRIMARY KEY and cannot be dropped", n->cols[i].name);
    }
    if (n->n_cols == 1) {
        return kl_fail(err, KL_E_EXEC, "Column '%s' is the last column and cannot be dropped",
            n->cols[i].name);
    }
    n->n_cols--;
    memmove(&n->cols[i], &n->cols[i + 1], (n->n_cols - (size_t)i) * sizeof(*n->cols));
    n->changed = true;
    return KL_OK;
}

static enum kl_rc rename_column(
    struct next_version *n, const struct kl_alter *alter, struct kl_err *err) {
    int i;
    KL_TRY(find_user_column(n, "rename", alter->column, &i, err));
    KL_TRY(kl_name_check("column", alter->new_name, err));
    int other = find_column(n, alter->new_name);
    if (other == i) {
        return KL_OK;
    }
    if (other >= 0) {
        return kl_fail(err, KL_E_EXISTS, "Column '%.*s' already exists", KL_FMT(alter->new_name));
    }
    n->cols[i].name = kl_arena_dup(n->arena, alter->new_name).ptr;
    n->changed = true;
    return n->cols[i].name ? KL_OK : out_of_memory(err);
}

static enum kl_rc set_access(
    struct next_version *n, const struct kl_alter *alter, struct kl_err *err) {
    if (n->spec.type != KL_TABLE_SHARED) {
        return kl_fail(err, KL_E_INVALID_SQL, "ACCESS LEVEL can only be set on SHARED tables");
    }
    KL_ASSERT(alter->access >= KL_ACCESS_PUBLIC && alter->access <= KL_ACCESS_DBA);
    n->changed = n->spec.options.access != alter->access;
    n->spec.options.access = alter->access;
    return KL_OK;
}

static enum kl_rc apply(struct next_version *n, const struct kl_alter *alter, struct kl_err *err) {
    switch (alter->op) {
    case KL_ALTER_ADD:
        return add_column(n, alter, err);
    case KL_ALTER_DROP:
        return drop_column(n, alter, err);
    case KL_ALTER_RENAME:
        return rename_column(n, alter, err);
    case KL_ALTER_ACCESS:
        return set_access(n, alter, err);
    }
    KL_UNREACHABLE();
}

static enum kl_rc start(struct next_version *n, const struct kl_table *t, struct kl_err *err) {
    if (t->n_versions >= KL_TABLE_VERSIONS_MAX) {
        return kl_fail(err, KL_E_EXEC, "Table %s.%s already has %d schema versions", t->ns, t->name,
            KL_TABLE_VERSIONS_MAX);
    }
    /* Field by field: the counter beside them moves under other threads' hands. */
    n->spec = (struct kl_table){.id = t->id,
        .type = t->type,
        .ns = t->ns,
        .name = t->name,
        .options = t->options,
        .versions = t->versions,
        .n_versions = t->n_versions,
        .version = t->version,
        .created_us = t->created_us,
        .comment = t->comment,
        .system_ordinal = t->system_ordinal,
        .next_ordinal = t->next_ordinal,
        .next_column_id = t->next_column_id};
    n->cols = KL_ARENA_ARRAY(n->arena, struct kl_column, t->n_cols + 1);
    if (!n->cols) {
        return out_of_memory(err);
    }
    memcpy(n->cols, t->cols, t->n_cols * sizeof(*n->cols));
    n->n_cols = t->n_cols;
    return KL_OK;
}

static enum kl_rc finish(
    struct kl_catalog *c, struct next_version *n, int64_t now_us, struct kl_err *err) {
    struct kl_table *spec = &n->spec;
    struct kl_table_version *versions =
        KL_ARENA_ARRAY(n->arena, struct kl_table_version, spec->n_versions + 1);
    if (!versions) {
        return out_of_memory(err);
    }
    memcpy(versions, spec->versions, spec->n_versions * sizeof(*versions));
    versions[spec->n_versions] = (struct kl_table_version){
        .version = spec->version + 1, .created_us = now_us, .cols = n->cols, .n_cols = n->n_cols};
    spec->versions = versions;
    spec->n_versions++;
    spec->updated_us = now_us;
    struct kl_buf rec;
    struct kl_table *t;
    KL_TRY(kl_catalog__table_make(spec, &rec, &t, err));
    kl_catalog__store_table(c, t, kl_buf_view(&rec));
    kl_buf_deinit(&rec);
    return KL_OK;
}

enum kl_rc kl_cat_alter_table(struct kl_catalog *c, struct kl_slice ns, struct kl_slice name,
    const struct kl_alter *alter, int64_t now_us, uint32_t *ret_version, struct kl_err *err) {
    struct kl_table *t;
    KL_TRY(kl_catalog__find_table(c, "alter", ns, name, &t, err));
    struct kl_arena arena;
    kl_arena_init(&arena, KL_CATALOG_RECORD_MAX * 4);
    struct next_version n = {.arena = &arena};
    uint32_t version = t->version;
    enum kl_rc rc = start(&n, t, err);
    if (rc == KL_OK) {
        rc = apply(&n, alter, err);
    }
    if (rc == KL_OK && n.changed) {
        rc = finish(c, &n, now_us, err);
        version++;
    }
    kl_arena_deinit(&arena);
    if (rc == KL_OK) {
        *ret_version = version;
    }
    return rc;
}
