/* Views: a query under a name. Stored as a table of type VIEW: its columns are those that the query has when the view is made, its
 * rows come from the query, which runs as whoever asks.
 *
 * Thread: the metadata writer, between kl_catalog_begin and publish or abort. */
#include "catalog/internal.h"

static enum kl_rc check_columns(const struct kl_table_def *def, struct kl_err *err) {
    if (def->n_cols == 0 || def->n_cols > KL_ROW_MAX_COLS) {
        return kl_fail(err, KL_E_INVALID_SQL, "A view has 1 to %d columns", KL_ROW_MAX_COLS);
    }
    for (size_t i = 0; i < def->n_cols; i++) {
        struct kl_slice name = def->cols[i].name;
        if (name.len == 0 || name.len > 64 || memchr(name.ptr, 0, name.len)) {
            kl_fail(err, KL_E_INVALID_SQL, "Column %zu of the view has no usable name", i + 1);
            kl_err_hint(err, "give it one of at most 64 bytes with AS, or in the list of columns");
            return KL_E_INVALID_SQL;
        }
        for (size_t j = 0; j < i; j++) {
            if (kl_slice_eq(name, def->cols[j].name)) {
                return kl_fail(err, KL_E_INVALID_SQL, "column \"%.*s\" specified more than once",
                    KL_FMT(name));
            }
        }
    }
    return KL_OK;
}

static enum kl_rc check_view(
    struct kl_catalog *c, const struct kl_table_def *def, bool replace, struct kl_err *err) {
    const struct kl_cat *base = kl_catalog__base(c);
    KL_TRY(kl_catalog__check_namespace(c, def->ns, def->name, err));
    KL_TRY(kl_name_check("view", def->name, err));
    if (def->view_sql.len == 0 || def->view_sql.len > KL_CATALOG_VIEW_MAX) {
        return kl_fail(err, KL_E_TOO_LARGE, "The query of a view may have at most %u bytes",
            KL_CATALOG_VIEW_MAX);
    }
    const struct kl_table *old = kl_cat_table(base, def->ns, def->name);
    if (old && old->type != KL_TABLE_VIEW) {
        return kl_fail(err, KL_E_EXISTS, "Already exists: Table %.*s.%.*s already exists",
            KL_FMT(def->ns), KL_FMT(def->name));
    }
    if (old ? !replace : kl_catalog__name_taken(base, NULL, def->ns, def->name)) {
        return kl_fail(err, KL_E_EXISTS, "Already exists: View %.*s.%.*s already exists",
            KL_FMT(def->ns), KL_FMT(def->name));
    }
    return check_columns(def, err);
}

static enum kl_rc fill_view(const struct kl_table_def *def, struct kl_arena *arena,
    struct kl_table_version *v, struct kl_table *spec, struct kl_err *err) {
    v->cols = KL_ARENA_ARRAY(arena, struct kl_column, def->n_cols);
    v->n_cols = def->n_cols;
    spec->ns = kl_catalog__text(arena, def->ns);
    spec->name = kl_catalog__text(arena, def->name);
    spec->view_sql = kl_catalog__text(arena, def->view_sql);
    spec->view_ns = kl_catalog__text(arena, def->view_ns);
    spec->comment = def->comment.len ? kl_catalog__text(arena, def->comment) : spec->comment;
    bool full = !v->cols || !spec->ns || !spec->name || !spec->view_sql || !spec->view_ns;
    for (size_t i = 0; i < def->n_cols && !full; i++) {
        struct kl_type type = def->cols[i].type;
        v->cols[i] = (struct kl_column){.id = (uint32_t)i + 1,
            .ordinal = (uint16_t)(i + 1),
            .name = kl_catalog__text(arena, def->cols[i].name),
            .type = type,
            .nullable = true,
            .def.value = kl_val_null(type.id),
            .missing = kl_val_null(type.id)};
        full = !v->cols[i].name;
    }
    spec->versions = v;
    spec->n_versions = 1;
    spec->next_ordinal = (uint16_t)(def->n_cols + 1);
    spec->next_column_id = (uint32_t)def->n_cols + 1;
    return full ? kl_catalog__too_large(err) : KL_OK;
}

/* One version only: no row was ever written under an older one. Its number still goes up, so that a statement that was planned
 * with the old query is seen to be stale. */
enum kl_rc kl_cat_create_view(struct kl_catalog *c, const struct kl_table_def *def, bool replace,
    int64_t now_us, uint32_t *ret_id, struct kl_err *err) {
    KL_ASSERT(def->type == KL_TABLE_VIEW);
    KL_TRY(check_view(c, def, replace, err));
    struct kl_table_version v = {.version = 1, .created_us = now_us};
    struct kl_table spec = {.type = KL_TABLE_VIEW,
        .created_us = now_us,
        .updated_us = now_us,
        .options = {.access = KL_ACCESS_PRIVATE, .storage_id = ""}};
    const struct kl_table *old = kl_cat_table(kl_catalog__base(c), def->ns, def->name);
    kl_batch_save_point(c->batch);
    enum kl_rc rc = KL_OK;
    if (old) {
        spec.id = old->id;
        spec.created_us = old->created_us;
        spec.comment = old->comment;
        v.version = old->version + 1;
    } else {
        rc = kl_catalog__take_id(c, &spec.id, err);
    }
    struct kl_arena arena;
    kl_arena_init(&arena, KL_CATALOG_RECORD_MAX);
    if (rc == KL_OK) {
        rc = fill_view(def, &arena, &v, &spec, err);
    }
    if (rc == KL_OK) {
        rc = kl_catalog__store_spec(c, &spec, err);
    }
    kl_arena_deinit(&arena);
    if (rc != KL_OK) {
        kl_batch_rollback(c->batch);
        return rc;
    }
    *ret_id = spec.id;
    return KL_OK;
}
