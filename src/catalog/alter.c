/* ALTER TABLE: every effective change but a comment makes one more schema version, a full list of
 * columns.
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
    struct kl_catalog *catalog;
    bool changed;      /* there is something to store */
    bool same_version; /* it is no part of a schema version */
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
        return kl_catalog__too_large(err);
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

static bool index_uses(const struct kl_index *x, uint32_t column_id) {
    for (size_t i = 0; i < x->n_cols; i++) {
        if (x->column_ids[i] == column_id) {
            return true;
        }
    }
    return false;
}

/* Indexes and conditions are made for the column as it is. */
static enum kl_rc refuse_used(
    const struct next_version *n, const struct kl_column *c, const char *what, struct kl_err *err) {
    const struct kl_table *t = &n->spec;
    for (size_t i = 0; i < t->n_indexes; i++) {
        const struct kl_index *x = &t->indexes[i];
        if (index_uses(x, c->id)) {
            kl_fail(err, KL_E_EXEC, "Column '%s' is used by %s '%s' and cannot %s", c->name,
                x->constraint ? "UNIQUE constraint" : "index", x->name, what);
            if (x->constraint) {
                kl_err_hint(
                    err, "ALTER TABLE %s.%s DROP CONSTRAINT %s first", t->ns, t->name, x->name);
            } else {
                kl_err_hint(err, "DROP INDEX %s.%s first", t->ns, x->name);
            }
            return KL_E_EXEC;
        }
    }
    for (size_t i = 0; i < t->n_checks; i++) {
        if (kl_catalog__check_uses(t->checks[i].expr, kl_slice_str(c->name))) {
            kl_fail(err, KL_E_EXEC, "Column '%s' is used by CHECK constraint '%s' and cannot %s",
                c->name, t->checks[i].name, what);
            kl_err_hint(err, "ALTER TABLE %s.%s DROP CONSTRAINT %s first", t->ns, t->name,
                t->checks[i].name);
            return KL_E_EXEC;
        }
    }
    return KL_OK;
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
    KL_TRY(refuse_used(n, &n->cols[i], "be dropped", err));
    n->n_cols--;
    memmove(&n->cols[i], &n->cols[i + 1], (n->n_cols - (size_t)i) * sizeof(*n->cols));
    n->changed = true;
    return KL_OK;
}

static enum kl_rc rename_in_checks(
    struct next_version *n, struct kl_slice from, struct kl_slice to, struct kl_err *err) {
    KL_TRY(kl_catalog__room(&n->spec, 0, 0, n->arena, err));
    for (size_t i = 0; i < n->spec.n_checks; i++) {
        struct kl_check *k = &n->spec.checks[i];
        if (kl_catalog__check_uses(k->expr, from)) {
            k->expr = kl_catalog__check_rename(k->expr, from, to, n->arena);
            if (!k->expr) {
                return kl_catalog__too_large(err);
            }
        }
    }
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
    KL_TRY(rename_in_checks(n, kl_slice_str(n->cols[i].name), alter->new_name, err));
    n->cols[i].name = kl_arena_dup(n->arena, alter->new_name).ptr;
    n->changed = true;
    return n->cols[i].name ? KL_OK : kl_catalog__too_large(err);
}

/* ---- one column's properties ---- */

static bool same_type(struct kl_type a, struct kl_type b) {
    return a.id == b.id && a.precision == b.precision && a.scale == b.scale && a.dim == b.dim;
}

/* A default that a function makes has a type of its own. */
static bool default_fits(enum kl_default_kind kind, struct kl_type t) {
    switch (kind) {
    case KL_DEFAULT_NOW:
        return t.id == KL_T_TIMESTAMP || t.id == KL_T_DATETIME || t.id == KL_T_DATE ||
               t.id == KL_T_TIME || t.id == KL_T_TEXT;
    case KL_DEFAULT_SNOWFLAKE:
        return t.id == KL_T_BIGINT || t.id == KL_T_TEXT;
    case KL_DEFAULT_UUID_V7:
        return t.id == KL_T_UUID || t.id == KL_T_TEXT;
    case KL_DEFAULT_ULID:
    case KL_DEFAULT_CURRENT_USER:
        return t.id == KL_T_TEXT;
    case KL_DEFAULT_NONE:
    case KL_DEFAULT_LITERAL:
        break;
    }
    return true;
}

static enum kl_rc fit_default(struct next_version *n, struct kl_column *c, struct kl_type type,
    const struct kl_default *def, struct kl_err *err) {
    if (!default_fits(def->kind, type)) {
        kl_fail(err, KL_E_TYPE, "The default of column '%s' does not fit its new type", c->name);
        kl_err_hint(err, "ALTER COLUMN %s DROP DEFAULT first", c->name);
        return KL_E_TYPE;
    }
    struct kl_column_def d = {.name = kl_slice_str(c->name), .type = type, .def = *def};
    return kl_catalog__default_fit(&d, n->arena, &c->def, err);
}

static enum kl_rc make_nullable(
    struct next_version *n, struct kl_column *c, bool nullable, struct kl_err *err) {
    if (nullable && c->pk_pos) {
        return kl_fail(
            err, KL_E_EXEC, "Column '%s' is a PRIMARY KEY and cannot be nullable", c->name);
    }
    n->changed |= c->nullable != nullable;
    c->nullable = nullable;
    return KL_OK;
}

static enum kl_rc cast_column(
    struct next_version *n, struct kl_column *c, struct kl_type type, struct kl_err *err) {
    if (c->pk_pos) {
        return kl_fail(
            err, KL_E_EXEC, "Column '%s' is a PRIMARY KEY and its type cannot change", c->name);
    }
    KL_TRY(refuse_used(n, c, "change its type", err));
    struct kl_val missing = c->missing;
    struct kl_default def = c->def;
    enum kl_rc rc = kl_val_cast(&missing, type, KL_CAST_EXPLICIT, n->arena, &c->missing, err);
    if (rc != KL_OK) {
        kl_err_prefix(err, "Column '%s' of rows from before it was added", c->name);
        return rc;
    }
    KL_TRY(fit_default(n, c, type, &def, err));
    c->type = type;
    n->changed = true;
    return KL_OK;
}

static enum kl_rc change_type(
    struct next_version *n, const struct kl_alter *alter, struct kl_err *err) {
    int i;
    KL_TRY(find_user_column(n, "modify", alter->column, &i, err));
    struct kl_column *c = &n->cols[i];
    if (!same_type(c->type, alter->type)) {
        KL_TRY(cast_column(n, c, alter->type, err));
    }
    return alter->null == KL_ALTER_NULL_KEEP
               ? KL_OK
               : make_nullable(n, c, alter->null == KL_ALTER_NULL_YES, err);
}

static enum kl_rc set_nullable(
    struct next_version *n, const struct kl_alter *alter, bool nullable, struct kl_err *err) {
    int i;
    KL_TRY(find_user_column(n, "modify", alter->column, &i, err));
    return make_nullable(n, &n->cols[i], nullable, err);
}

static bool same_default(const struct kl_default *a, const struct kl_default *b) {
    if (a->kind != b->kind || a->kind != KL_DEFAULT_LITERAL) {
        return a->kind == b->kind;
    }
    if (a->value.null || b->value.null || a->value.type != b->value.type) {
        return a->value.null && b->value.null;
    }
    struct kl_buf x = {0}, y = {0};
    kl_val_to_text(&a->value, &x);
    kl_val_to_text(&b->value, &y);
    bool same = kl_slice_eq(kl_buf_view(&x), kl_buf_view(&y));
    kl_buf_deinit(&x);
    kl_buf_deinit(&y);
    return same;
}

static enum kl_rc set_default(struct next_version *n, const struct kl_alter *alter,
    const struct kl_default *def, struct kl_err *err) {
    int i;
    KL_TRY(find_user_column(n, "modify", alter->column, &i, err));
    struct kl_column *c = &n->cols[i];
    struct kl_default old = c->def;
    KL_TRY(fit_default(n, c, c->type, def, err));
    n->changed = !same_default(&old, &c->def);
    return KL_OK;
}

/* ---- the table as a whole ---- */

static enum kl_rc rename_table(
    struct next_version *n, const struct kl_alter *alter, struct kl_err *err) {
    KL_TRY(kl_name_check("table", alter->new_name, err));
    if (kl_slice_eq_str(alter->new_name, n->spec.name)) {
        return KL_OK;
    }
    if (kl_catalog__name_taken(
            kl_catalog__base(n->catalog), NULL, kl_slice_str(n->spec.ns), alter->new_name)) {
        return kl_fail(err, KL_E_EXISTS, "Already exists: Table %s.%.*s already exists", n->spec.ns,
            KL_FMT(alter->new_name));
    }
    n->spec.name = kl_catalog__text(n->arena, alter->new_name);
    n->changed = true;
    return n->spec.name ? KL_OK : kl_catalog__too_large(err);
}

static enum kl_rc add_check(
    struct next_version *n, const struct kl_alter *alter, struct kl_err *err) {
    struct kl_check_def def = {.name = alter->new_name, .expr = alter->check};
    KL_TRY(kl_catalog__room(&n->spec, 0, 1, n->arena, err));
    n->changed = true;
    return kl_catalog__add_check(n->catalog, &n->spec, &def, n->arena, err);
}

static enum kl_rc drop_check(
    struct next_version *n, const struct kl_alter *alter, struct kl_err *err) {
    KL_TRY(kl_catalog__room(&n->spec, 0, 0, n->arena, err));
    struct kl_table *t = &n->spec;
    for (size_t i = 0; i < t->n_checks; i++) {
        if (kl_slice_eq_str(alter->column, t->checks[i].name)) {
            t->n_checks--;
            memmove(&t->checks[i], &t->checks[i + 1], (t->n_checks - i) * sizeof(*t->checks));
            n->changed = true;
            return KL_OK;
        }
    }
    return kl_fail(err, KL_E_NOT_FOUND, "constraint \"%.*s\" of relation \"%s\" does not exist",
        KL_FMT(alter->column), t->name);
}

static enum kl_rc set_comment(
    struct next_version *n, const struct kl_alter *alter, struct kl_err *err) {
    const char **at = &n->spec.comment;
    if (alter->comment.len > KL_CATALOG_COMMENT_MAX ||
        (alter->comment.len && memchr(alter->comment.ptr, 0, alter->comment.len))) {
        return kl_fail(
            err, KL_E_TOO_LARGE, "A comment may have at most %u bytes", KL_CATALOG_COMMENT_MAX);
    }
    if (alter->column.len) {
        int i;
        KL_TRY(find_user_column(n, "modify", alter->column, &i, err));
        at = &n->cols[i].comment;
    }
    const char *text = alter->comment.len ? kl_catalog__text(n->arena, alter->comment) : NULL;
    if (alter->comment.len && !text) {
        return kl_catalog__too_large(err);
    }
    n->changed = (*at == NULL) != (text == NULL) || (text && strcmp(*at, text) != 0);
    n->same_version = true;
    *at = text;
    return KL_OK;
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
    case KL_ALTER_TYPE:
        return change_type(n, alter, err);
    case KL_ALTER_SET_NOT_NULL:
        return set_nullable(n, alter, false, err);
    case KL_ALTER_DROP_NOT_NULL:
        return set_nullable(n, alter, true, err);
    case KL_ALTER_SET_DEFAULT:
        return set_default(n, alter, &alter->def, err);
    case KL_ALTER_DROP_DEFAULT:
        return set_default(n, alter, &(struct kl_default){.kind = KL_DEFAULT_NONE}, err);
    case KL_ALTER_RENAME_TABLE:
        return rename_table(n, alter, err);
    case KL_ALTER_ADD_CHECK:
        return add_check(n, alter, err);
    case KL_ALTER_DROP_CHECK:
        return drop_check(n, alter, err);
    case KL_ALTER_COMMENT:
        return set_comment(n, alter, err);
    }
    KL_UNREACHABLE();
}

static enum kl_rc start(struct next_version *n, const struct kl_table *t, struct kl_err *err) {
    n->spec = kl_catalog__spec(t);
    n->cols = KL_ARENA_ARRAY(n->arena, struct kl_column, t->n_cols + 1);
    if (!n->cols) {
        return kl_catalog__too_large(err);
    }
    memcpy(n->cols, t->cols, t->n_cols * sizeof(*n->cols));
    n->n_cols = t->n_cols;
    return KL_OK;
}

static enum kl_rc finish(
    struct kl_catalog *c, struct next_version *n, int64_t now_us, struct kl_err *err) {
    struct kl_table *spec = &n->spec;
    if (!n->same_version && spec->n_versions >= KL_TABLE_VERSIONS_MAX) {
        return kl_fail(err, KL_E_EXEC, "Table %s.%s already has %d schema versions", spec->ns,
            spec->name, KL_TABLE_VERSIONS_MAX);
    }
    struct kl_table_version *versions =
        KL_ARENA_ARRAY(n->arena, struct kl_table_version, spec->n_versions + 1);
    if (!versions) {
        return kl_catalog__too_large(err);
    }
    memcpy(versions, spec->versions, spec->n_versions * sizeof(*versions));
    spec->versions = versions;
    spec->updated_us = now_us;
    if (n->same_version) {
        versions[spec->n_versions - 1].cols = n->cols;
    } else {
        versions[spec->n_versions++] = (struct kl_table_version){.version = spec->version + 1,
            .created_us = now_us,
            .cols = n->cols,
            .n_cols = n->n_cols};
    }
    return kl_catalog__store_spec(c, spec, err);
}

enum kl_rc kl_cat_alter_table(struct kl_catalog *c, struct kl_slice ns, struct kl_slice name,
    const struct kl_alter *alter, int64_t now_us, uint32_t *ret_version, struct kl_err *err) {
    struct kl_table *t;
    KL_TRY(kl_catalog__find_table(c, "alter", ns, name, &t, err));
    if (t->type == KL_TABLE_VIEW && alter->op != KL_ALTER_COMMENT) {
        return kl_fail(err, KL_E_INVALID_SQL,
            "'%s.%s' is a view: change it with CREATE OR REPLACE VIEW", t->ns, t->name);
    }
    struct kl_arena arena;
    kl_arena_init(&arena, KL_CATALOG_RECORD_MAX * 4);
    struct next_version n = {.arena = &arena, .catalog = c};
    uint32_t version = t->version;
    enum kl_rc rc = start(&n, t, err);
    if (rc == KL_OK) {
        rc = apply(&n, alter, err);
    }
    if (rc == KL_OK && n.changed) {
        rc = finish(c, &n, now_us, err);
        version += !n.same_version;
    }
    kl_arena_deinit(&arena);
    if (rc == KL_OK) {
        *ret_version = version;
    }
    return rc;
}
