/* ALTER TABLE and COMMENT: what only the rows can tell, then the catalog's change.
 *
 * The writers stand still from before the rows are looked at until the new version is published, so no row can come that the check has not
 * seen. The look is one pass over the table, short for tables of a few million rows; nothing is rewritten. */
#include "engine/ddl_internal.h"

#include <stdio.h>

/* ---- the rows that are there ---- */

/* One pass over the live rows of a table, on the metadata writer. */
struct pass {
    struct kl__ddl *d;
    const struct kl_table *t;
    const struct kl_alter *a;
    const struct kl_expr *check; /* ADD CHECK */
    struct kl_eval ev;
    struct kl_arena arena; /* of one row */
    struct kl_val *vals;   /* every column, and _seq */
    unsigned col;
    const struct kl_scope *scope;
    /* of one row */
    enum kl_rc (*look)(struct pass *p, const struct kl_row_view *v, struct kl_err *err);
};

static enum kl_rc look_at_null(struct pass *p, const struct kl_row_view *v, struct kl_err *err) {
    struct kl_val val;
    KL_TRY(kl_table_get(p->t, v, p->col, &p->arena, &val));
    if (!val.null) {
        return KL_OK;
    }
    return kl_fail(err, KL_E_CONSTRAINT, "Column '%s' of table %s contains NULL values and cannot be NOT NULL", p->t->cols[p->col].name,
        p->t->qualified.ptr);
}

/* The value is named where the caller could read it: in a SHARED table and in the caller's own partition. */
static enum kl_rc cannot_cast(struct pass *p, const struct kl_val *val, struct kl_err *why, struct kl_err *err) {
    struct kl_slice user = p->d->stmt->session.user;
    bool may_see = p->t->type == KL_TABLE_SHARED || kl_slice_eq(p->scope->user, user);
    struct kl_buf type, text;
    kl_buf_init(&type, 100);
    kl_buf_init(&text, 200);
    kl_type_sql_name(p->a->type, &type);
    if (may_see) {
        kl_val_to_text(val, &text);
    }
    enum kl_rc rc = kl_fail(err, KL_E_CONSTRAINT, "Column '%s' of table %s cannot become %.*s: %s%.*s%s%.200s", p->t->cols[p->col].name,
        p->t->qualified.ptr, KL_FMT(kl_buf_view(&type)), may_see ? "the value '" : "a value of another user does not fit",
        (int)KL_MIN(text.len, (size_t)60), text.data ? text.data : "", may_see ? "' does not fit: " : "", may_see ? why->msg : "");
    kl_buf_deinit(&type);
    kl_buf_deinit(&text);
    return rc;
}

static enum kl_rc look_at_type(struct pass *p, const struct kl_row_view *v, struct kl_err *err) {
    struct kl_val val, made;
    struct kl_err why;
    KL_TRY(kl_table_get(p->t, v, p->col, &p->arena, &val));
    kl_err_clear(&why);
    if (kl_val_cast(&val, p->a->type, KL_CAST_EXPLICIT, &p->arena, &made, &why) != KL_OK) {
        return cannot_cast(p, &val, &why, err);
    }
    return val.null && p->a->null == KL_ALTER_NULL_NO ? look_at_null(p, v, err) : KL_OK;
}

static enum kl_rc look_at_check(struct pass *p, const struct kl_row_view *v, struct kl_err *err) {
    struct kl_val ok;
    for (size_t i = 0; i < p->t->n_cols; i++) {
        KL_TRY(kl_table_get(p->t, v, (unsigned)i, &p->arena, &p->vals[i]));
    }
    p->vals[p->t->n_cols] = kl_val_i64(v->head.seq);
    p->ev.row = p->vals;
    struct kl_err why; /* may name values of other users */
    kl_err_clear(&why);
    bool fails = kl_expr_eval(p->check, &p->ev, &ok, &why) != KL_OK;
    if (fails || (!ok.null && !ok.b)) {
        return kl_fail(err, KL_E_CONSTRAINT, "check constraint \"%.*s\" of table %s %s", KL_FMT(p->a->new_name), p->t->qualified.ptr,
            fails ? "cannot be evaluated for some row" : "is violated by some row");
    }
    return KL_OK;
}

static enum kl_rc look_at_row(struct pass *p, struct kl_iter *it, struct kl_err *err) {
    struct kl_row_view v;
    struct kl_arena_mark mark = kl_arena_mark(&p->arena);
    enum kl_rc rc = kl_table_open_row(p->t, kl_iter_value(it), kl_key_row_seq(kl_iter_key(it)), &v);
    if (rc == KL_OK && !v.head.tombstone) {
        rc = p->look(p, &v, err);
    }
    if (rc == KL_E_CORRUPT) {
        kl_fail(err, rc, "a row of table %s is damaged", p->t->qualified.ptr);
    }
    kl_arena_rewind(&p->arena, mark);
    return rc;
}

static enum kl_rc look_at_partition(void *ctx, const struct kl_scope *scope, struct kl_err *err) {
    struct pass *p = ctx;
    struct kl_key part;
    p->scope = scope;
    kl_key_partition(&part, scope, p->t->id);
    struct kl_iter_options o = {KL_CF_ROW, kl_key_view(&part), NULL};
    struct kl_iter *it = kl_iter_new(p->d->run->e->o.store, &o);
    enum kl_rc rc = KL_OK;
    for (kl_iter_seek_first(it); rc == KL_OK && kl_iter_valid(it); kl_iter_next(it)) {
        rc = look_at_row(p, it, err);
    }
    if (rc == KL_OK) {
        rc = kl_iter_status(it, err);
    }
    kl_iter_free(it);
    return rc;
}

/* Rows of a STREAM table expire: nobody has to wait long. */
static enum kl_rc look_at_stream(struct pass *p, struct kl_err *err) {
    bool any = false;
    KL_TRY(kl__table_any_row(p->d->run->e, p->t->id, &any, err));
    if (any) {
        kl_fail(err, KL_E_CONSTRAINT, "STREAM table %s is not empty and cannot be changed so", p->t->qualified.ptr);
        kl_err_hint(err, "its rows are gone after %u seconds", p->t->options.ttl_seconds);
        return KL_E_CONSTRAINT;
    }
    return KL_OK;
}

static enum kl_rc look_at_rows(struct pass *p, struct kl_err *err) {
    if (p->t->type == KL_TABLE_STREAM) {
        return look_at_stream(p, err);
    }
    kl_arena_init(&p->arena, (size_t)64 << 20);
    kl__eval_init(p->d->run, p->d->stmt, &p->d->stmt->bound, &p->arena, &p->ev);
    enum kl_rc rc = kl__each_partition(p->d->run->e, p->t->id, look_at_partition, p, err);
    kl_arena_deinit(&p->arena);
    return rc;
}

/* ---- what each operation needs to know ---- */

/* A NOT NULL column without a default has nothing to show in the rows that are there. */
static enum kl_rc check_new_column(struct pass *p, struct kl_alter *a, struct kl_err *err) {
    struct kl__ddl *d = p->d;
    struct kl_column c = {.name = "", .type = a->add.type, .nullable = a->add.nullable, .def = a->add.def};
    if (!a->add.nullable && a->add.def.kind == KL_DEFAULT_NONE) {
        bool any = false;
        KL_TRY(kl__table_any_row(d->run->e, p->t->id, &any, err));
        if (any) {
            kl_fail(err, KL_E_CONSTRAINT, "Column '%.*s' is NOT NULL and has no DEFAULT: table %s is not empty", KL_FMT(a->add.name),
                p->t->qualified.ptr);
            kl_err_hint(err, "give the column a DEFAULT, or leave out NOT NULL");
            return KL_E_CONSTRAINT;
        }
    }
    a->missing = kl_val_null(a->add.type.id);
    if (a->add.def.kind == KL_DEFAULT_NONE) {
        return KL_OK;
    }
    struct kl_eval ev;
    kl__eval_init(d->run, d->stmt, &d->stmt->bound, d->run->x->arena, &ev);
    return kl_sql_eval_default(&c, &ev, &a->missing, err);
}

static enum kl_rc check_condition(struct pass *p, struct kl_err *err) {
    struct kl_expr *e;
    KL_TRY(kl_sql_bind_check(p->t, p->a->check, p->d->run->x->arena, &e, err));
    p->check = e;
    p->look = look_at_check;
    p->vals = KL_ARENA_ARRAY(p->d->run->x->arena, struct kl_val, p->t->n_cols + 1);
    return p->vals != NULL ? look_at_rows(p, err) : kl_fail(err, KL_E_NOMEM, "out of memory");
}

static bool same_type(struct kl_type a, struct kl_type b) {
    return a.id == b.id && a.precision == b.precision && a.scale == b.scale && a.dim == b.dim;
}

/* The catalog says what is wrong with a name; here only rows are looked at. */
static enum kl_rc check_rows(struct pass *p, struct kl_alter *a, struct kl_err *err) {
    int col = kl_table_col(p->t, a->column);
    p->col = col >= 0 ? (unsigned)col : 0;
    const struct kl_column *c = &p->t->cols[p->col];
    switch (a->op) {
    case KL_ALTER_ADD:
        return check_new_column(p, a, err);
    case KL_ALTER_SET_NOT_NULL:
        p->look = look_at_null;
        return col >= 0 && c->nullable ? look_at_rows(p, err) : KL_OK;
    case KL_ALTER_TYPE:
        p->look = same_type(c->type, a->type) ? look_at_null : look_at_type;
        if (col < 0 || (p->look == look_at_null && (a->null != KL_ALTER_NULL_NO || !c->nullable))) {
            return KL_OK;
        }
        return look_at_rows(p, err);
    case KL_ALTER_ADD_CHECK:
        return check_condition(p, err);
    default:
        return KL_OK;
    }
}

/* ---- ALTER TABLE ---- */

static void describe(const struct kl_table *t, const struct kl_alter *a, struct kl_buf *out) {
    switch (a->op) {
    case KL_ALTER_ADD:
        kl_buf_printf(out, "ADD COLUMN %.*s ", KL_FMT(a->add.name));
        kl_type_sql_name(a->add.type, out);
        return;
    case KL_ALTER_DROP:
        kl_buf_printf(out, "DROP COLUMN %.*s", KL_FMT(a->column));
        return;
    case KL_ALTER_RENAME:
        kl_buf_printf(out, "RENAME COLUMN %.*s TO %.*s", KL_FMT(a->column), KL_FMT(a->new_name));
        return;
    case KL_ALTER_ACCESS:
        kl_buf_printf(out, "SET ACCESS LEVEL %s", kl_access_name(a->access));
        return;
    case KL_ALTER_TYPE:
        kl_buf_printf(out, "MODIFY COLUMN %.*s ", KL_FMT(a->column));
        kl_type_sql_name(a->type, out);
        kl_buf_puts(out, a->null == KL_ALTER_NULL_YES ? " NULL" : a->null == KL_ALTER_NULL_NO ? " NOT NULL" : "");
        return;
    case KL_ALTER_SET_NOT_NULL:
        kl_buf_printf(out, "ALTER COLUMN %.*s SET NOT NULL", KL_FMT(a->column));
        return;
    case KL_ALTER_DROP_NOT_NULL:
        kl_buf_printf(out, "ALTER COLUMN %.*s DROP NOT NULL", KL_FMT(a->column));
        return;
    case KL_ALTER_SET_DEFAULT:
        kl_buf_printf(out, "ALTER COLUMN %.*s SET DEFAULT", KL_FMT(a->column));
        return;
    case KL_ALTER_DROP_DEFAULT:
        kl_buf_printf(out, "ALTER COLUMN %.*s DROP DEFAULT", KL_FMT(a->column));
        return;
    case KL_ALTER_RENAME_TABLE:
        kl_buf_printf(out, "RENAME TO %.*s", KL_FMT(a->new_name));
        return;
    case KL_ALTER_ADD_CHECK:
        kl_buf_printf(out, "ADD CONSTRAINT %.*s CHECK", KL_FMT(a->new_name));
        return;
    case KL_ALTER_DROP_CHECK:
        kl_buf_printf(out, "DROP CONSTRAINT %.*s", KL_FMT(a->column));
        return;
    case KL_ALTER_COMMENT:
        kl_buf_printf(out, "COMMENT ON %s %s", a->column.len ? "COLUMN" : t->type == KL_TABLE_VIEW ? "VIEW" : "TABLE", t->qualified.ptr);
        return;
    }
}

static enum kl_rc find_table(struct kl__ddl *d, struct kl_table **ret) {
    const struct kl_plan *p = d->stmt->bound.plan;
    *ret = kl_cat_table_by_id(kl__writer_current()->cat, p->table->id);
    return *ret != NULL && (*ret)->version == p->table->version ? KL_OK : KL_E_STALE_PLAN;
}

/* A UNIQUE constraint is an index: it goes with its entries. */
static enum kl_rc drop_unique(struct kl__ddl *d, const struct kl_table *t, const struct kl_index *x, struct kl_err *err) {
    uint32_t *id = KL_ARENA_NEW(d->run->x->arena, uint32_t);
    if (id == NULL) {
        return kl_fail(err, KL_E_NOMEM, "out of memory");
    }
    *id = x->id;
    d->change.removed = id;
    d->change.n_removed = 1;
    kl__ddl_say(d, "Table %s altered successfully: DROP CONSTRAINT %s (version %u)", t->qualified.ptr, x->name, t->version);
    KL_TRY(kl__ddl_audit(d, "DROP CONSTRAINT"));
    return kl_cat_drop_index(d->run->e->o.catalog, t->id, x->id, err);
}

static const struct kl_index *named_unique(const struct kl_table *t, const struct kl_alter *a) {
    for (size_t i = 0; a->op == KL_ALTER_DROP_CHECK && i < t->n_indexes; i++) {
        if (t->indexes[i].constraint && kl_slice_eq_str(a->column, t->indexes[i].name)) {
            return &t->indexes[i];
        }
    }
    return NULL;
}

/* Conditions are text: a rename rewrote them, so they are read again before anything is kept. */
static enum kl_rc check_conditions(struct kl__ddl *d, const struct kl_table *t, struct kl_err *err) {
    for (size_t i = 0; i < t->n_checks; i++) {
        struct kl_expr *e;
        enum kl_rc rc = kl_sql_bind_check(t, kl_slice_str(t->checks[i].expr), d->run->x->arena, &e, err);
        if (rc != KL_OK) {
            kl_err_prefix(err, "check constraint \"%s\"", t->checks[i].name);
            err->position = 0;
            return rc;
        }
    }
    return KL_OK;
}

enum kl_rc kl__ddl_check_conditions(struct kl__ddl *d, struct kl_slice ns, struct kl_slice table, struct kl_err *err) {
    struct kl_table *t = kl_catalog_draft_table(d->run->e->o.catalog, ns, table);
    return t != NULL ? check_conditions(d, t, err) : KL_OK;
}

static void say_unchanged(struct kl__ddl *d, const struct kl_table *t, const struct kl_alter *a) {
    struct kl_buf what;
    kl_buf_init(&what, 1024);
    describe(t, a, &what);
    kl__ddl_say(d, "Table %s unchanged: %.*s (version %u - no changes needed)", t->qualified.ptr, KL_FMT(kl_buf_view(&what)), t->version);
    kl_buf_deinit(&what);
}

static enum kl_rc change(struct kl__ddl *d, const struct kl_table *t, const struct kl_alter *a, struct kl_err *err) {
    struct kl_catalog *c = d->run->e->o.catalog;
    uint32_t version;
    KL_TRY(kl_cat_alter_table(c, kl_slice_str(t->ns), kl_slice_str(t->name), a, kl_clock_wall_us(), &version, err));
    if (a->op == KL_ALTER_RENAME && version != t->version) {
        KL_TRY(kl__ddl_check_conditions(d, kl_slice_str(t->ns), kl_slice_str(t->name), err));
    }
    if (version == t->version) {
        say_unchanged(d, t, a);
        return KL_E_AGAIN;
    }
    struct kl_buf what;
    kl_buf_init(&what, 1024);
    describe(t, a, &what);
    kl__ddl_say(d, "Table %s altered successfully: %.*s (version %u)", t->qualified.ptr, KL_FMT(kl_buf_view(&what)), version);
    d->change.altered = t->id;
    kl_buf_putc(&what, 0);
    enum kl_rc rc = kl__ddl_audit(d, what.failed ? "" : what.data);
    kl_buf_deinit(&what);
    return rc;
}

/* IF EXISTS, IF NOT EXISTS of the column or constraint. */
static bool nothing_to_do(const struct kl_plan *p, const struct kl_table *t, const struct kl_alter *a) {
    switch (a->op) {
    case KL_ALTER_ADD:
        return p->if_not_exists && kl_table_col(t, a->add.name) >= 0;
    case KL_ALTER_DROP:
        return p->if_exists && kl_table_col(t, a->column) < 0;
    case KL_ALTER_DROP_CHECK:
        for (size_t i = 0; i < t->n_checks; i++) {
            if (kl_slice_eq_str(a->column, t->checks[i].name)) {
                return false;
            }
        }
        return p->if_exists && named_unique(t, a) == NULL;
    default:
        return false;
    }
}

enum kl_rc kl__ddl_alter_table(struct kl__ddl *d, struct kl_err *err) {
    struct kl_table *t;
    if (d->stmt->bound.plan->table == NULL) {
        kl__ddl_say(d, "Table %.*s does not exist (skipped)", KL_FMT(d->stmt->bound.plan->name));
        return KL_E_AGAIN;
    }
    KL_TRY(find_table(d, &t));
    struct kl_alter a = *d->stmt->bound.plan->alter;
    if (nothing_to_do(d->stmt->bound.plan, t, &a)) {
        say_unchanged(d, t, &a);
        return KL_E_AGAIN;
    }
    const struct kl_index *unique = named_unique(t, &a);
    if (unique != NULL) {
        return drop_unique(d, t, unique, err);
    }
    struct pass p = {.d = d, .t = t, .a = &a};
    KL_TRY(check_rows(&p, &a, err));
    return change(d, t, &a, err);
}

/* ---- COMMENT ---- */

enum kl_rc kl__ddl_comment(struct kl__ddl *d, struct kl_err *err) {
    struct kl_table *t;
    uint32_t version;
    KL_TRY(find_table(d, &t));
    const struct kl_alter *a = d->stmt->bound.plan->alter;
    KL_TRY(kl_cat_alter_table(
        d->run->e->o.catalog, kl_slice_str(t->ns), kl_slice_str(t->name), a, kl_clock_wall_us(), &version, err));
    const char *kind = a->column.len ? "column" : t->type == KL_TABLE_VIEW ? "view" : "table";
    kl__ddl_say(d, "Comment on %s %s%s%.*s %s", kind, t->qualified.ptr, a->column.len ? "." : "", KL_FMT(a->column),
        a->comment.len ? "set" : "removed");
    return kl__ddl_audit(d, a->column.len ? "COMMENT ON COLUMN" : "COMMENT");
}
