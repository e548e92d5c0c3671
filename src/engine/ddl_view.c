/* CREATE VIEW and DROP VIEW, and the columns of a query for them and for CREATE TABLE AS.
 *
 * The names and types of a query's columns are what its executor says before the first row. The query runs in the query pool with every table
 * read as empty and stops at that point. */
#include "engine/ddl_internal.h"

#include <stdlib.h>

/* ---- columns ---- */

struct column_sink {
    struct kl_sink sink;
    struct kl__ddl *d;
    bool folded, done;
};

static struct kl_slice fold(struct kl_arena *arena, struct kl_slice name) {
    char *s = kl_arena_alloc(arena, name.len + 1);
    for (size_t i = 0; s != NULL && i < name.len; i++) {
        s[i] = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] - 'A' + 'a') : name.ptr[i];
    }
    return kl_slice(s, s != NULL ? name.len : 0);
}

/* A type that can stand in the catalog. */
static enum kl_rc fit_type(struct kl_type *t, bool stored, struct kl_slice name, struct kl_err *err) {
    if (t->id == KL_T_NULL) {
        *t = KL_TYPE(TEXT);
    } else if (t->id == KL_T_DECIMAL && t->precision == 0) {
        *t = (struct kl_type){.id = KL_T_DECIMAL, .precision = 38, .scale = t->scale != 0 ? t->scale : 10};
    } else if ((t->id == KL_T_EMBEDDING && t->dim == 0) || (t->id == KL_T_INTERVAL && stored)) {
        struct kl_buf text = {0};
        kl_type_sql_name(*t, &text);
        enum kl_rc rc = kl_fail(err, KL_E_TYPE, "Column '%.*s' of the query has type %.*s, which a %s cannot have", KL_FMT(name),
            KL_FMT(kl_buf_view(&text)), stored ? "table" : "view");
        kl_err_hint(err, "cast it to another type");
        kl_buf_deinit(&text);
        return rc;
    }
    return KL_OK;
}

static bool is_system(struct kl_slice name) { return kl_slice_eq_str(name, "_seq") || kl_slice_eq_str(name, "_deleted"); }

enum kl_rc kl__ddl_columns(struct kl__ddl *d, const struct kl_sink_col *cols, size_t n, bool folded, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    struct kl_arena *arena = d->run->x->arena;
    struct kl_column_def *defs = KL_ARENA_ARRAY(arena, struct kl_column_def, n + 1);
    size_t kept = 0;
    if (defs == NULL) {
        return kl_fail(err, KL_E_NOMEM, "the request is larger than its memory");
    }
    for (size_t i = 0; i < n; i++) {
        if (folded && is_system(cols[i].name)) {
            continue; /* the new table has its own */
        }
        struct kl_slice name = kept < p->n_columns ? p->columns[kept] : cols[i].name;
        struct kl_column_def *c = &defs[kept++];
        *c = (struct kl_column_def){.name = folded ? fold(arena, name) : kl_arena_dup(arena, name), .type = cols[i].type, .nullable = true};
        KL_TRY(fit_type(&c->type, folded, c->name, err));
    }
    if (p->n_columns > kept) {
        return kl_fail(err, KL_E_INVALID_SQL, "%zu column names are given, the query has %zu columns", p->n_columns, kept);
    }
    d->def.cols = defs;
    d->def.n_cols = kept;
    return KL_OK;
}

static enum kl_rc column_begin(struct kl_sink *s, const struct kl_sink_col *cols, size_t n, struct kl_err *err) {
    struct column_sink *c = KL_CONTAINER_OF(s, struct column_sink, sink);
    KL_TRY(kl__ddl_columns(c->d, cols, n, c->folded, err));
    c->done = true;
    return kl_fail(err, KL_E_CANCELLED, "the columns are known");
}

static enum kl_rc column_row(struct kl_sink *s, const struct kl_val *vals, struct kl_err *err) {
    (void)s;
    (void)vals;
    (void)err;
    return KL_OK;
}

static void column_end(struct kl_sink *s, uint64_t n) {
    (void)s;
    (void)n;
}

enum kl_rc kl__ddl_query_columns(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    struct kl__run *r = d->run;
    struct kl__worker *w = kl_pool_thread_state();
    struct column_sink c = {.sink = {column_begin, column_row, column_end, NULL}, .d = d, .folded = p->kind == KL_PLAN_CREATE_TABLE_AS};
    struct kl_bound q;
    d->def = *p->create;
    if (p->query->kind == KL_PLAN_SELECT) {
        return kl__ddl_columns(d, p->query->select->cols, p->query->select->n_output, c.folded, err);
    }
    KL_TRY(kl_sql_query_values(&d->stmt->bound, p->query, r->x->arena, &q, err));
    r->no_rows = true;
    enum kl_rc rc = kl__read_duck(r, d->stmt, &q, &c.sink, w, err);
    r->no_rows = false;
    kl_arena_reset(&w->scratch);
    if (c.done) {
        kl_err_clear(err);
        return KL_OK;
    }
    return rc != KL_OK ? rc : kl_fail(err, KL_E_INTERNAL, "the query did not say which columns it has");
}

/* ---- CREATE VIEW ---- */

void kl__ddl_view_start(struct kl_task *t) {
    struct kl__ddl *d = kl__ddl_of(t);
    kl_err_clear(&d->run->err);
    enum kl_rc rc = kl__ddl_query_columns(d, &d->run->err);
    if (rc != KL_OK) {
        kl__ddl_answer(d, rc);
        return;
    }
    kl__ddl_change_catalog(d);
}

/* A view that was replaced may now be reached by its own query: it is bound once as it would be read. */
static enum kl_rc try_view(struct kl__ddl *d, struct kl_err *err) {
    struct kl__run *r = d->run;
    struct kl_bound b;
    char *sql = kl_arena_printf(r->x->arena, "SELECT * FROM \"%.*s\".\"%.*s\"", KL_FMT(d->def.ns), KL_FMT(d->def.name));
    if (sql == NULL) {
        return kl_fail(err, KL_E_NOMEM, "the request is larger than its memory");
    }
    struct kl_sql_ctx ctx = {.cat = kl_catalog_draft(r->e->o.catalog), .session = &d->stmt->session, .executor = r->e->o.executor};
    enum kl_rc rc = kl_sql_bind(&ctx, kl_slice_str(sql), NULL, 0, r->x->arena, &b, err);
    if (rc == KL_OK) {
        kl_bound_release(&b);
    } else {
        err->position = 0;
    }
    return rc;
}

enum kl_rc kl__ddl_create_view(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    struct kl_catalog *c = d->run->e->o.catalog;
    uint32_t id;
    bool existed = kl_cat_table(kl__writer_current()->cat, d->def.ns, d->def.name) != NULL;
    enum kl_rc rc = kl_cat_create_view(c, &d->def, p->replace, kl_clock_wall_us(), &id, err);
    if (rc == KL_E_EXISTS && p->if_not_exists) {
        kl__ddl_say(d, "View %.*s.%.*s already exists (skipped)", KL_FMT(d->def.ns), KL_FMT(d->def.name));
        return KL_E_AGAIN;
    }
    KL_TRY(rc);
    KL_TRY(try_view(d, err));
    d->change.altered = existed ? id : 0;
    kl__ddl_say(d, "View %.*s.%.*s created successfully", KL_FMT(d->def.ns), KL_FMT(d->def.name));
    return kl__ddl_audit(d, existed ? "replaced" : "");
}

/* ---- DROP VIEW ---- */

enum kl_rc kl__ddl_drop_view(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    if (p->table == NULL) {
        kl__ddl_say(d, "View %.*s does not exist (skipped)", KL_FMT(p->name));
        return KL_E_AGAIN;
    }
    struct kl_table *t = kl_cat_table_by_id(kl__writer_current()->cat, p->table->id);
    uint32_t *id = KL_ARENA_NEW(d->run->x->arena, uint32_t);
    if (t == NULL || id == NULL) {
        return t == NULL ? KL_E_STALE_PLAN : kl_fail(err, KL_E_NOMEM, "the request is larger than its memory");
    }
    if (t->type != KL_TABLE_VIEW) {
        kl_fail(err, KL_E_INVALID_SQL, "'%s' is not a view", t->qualified.ptr);
        kl_err_hint(err, "DROP TABLE removes it");
        return KL_E_INVALID_SQL;
    }
    KL_TRY(kl_cat_drop_table(d->run->e->o.catalog, kl_slice_str(t->ns), kl_slice_str(t->name), id, err));
    d->change.dropped = id;
    d->change.n_dropped = 1;
    kl__ddl_say(d, "View %s dropped successfully", t->qualified.ptr);
    return kl__ddl_audit(d, "");
}
