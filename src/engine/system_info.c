/* information_schema: what the SQL standard asks for, by the standard's names. Open to every role, so it holds names and shapes
 * of things, never who owns or made them, nor a row; the text of a view is for those who may make one. */
#include "engine/system_internal.h"

#include <stdio.h>

#define CATALOG "kalam"

/* The three that many of these relations begin with. */
static void put_name(struct kl__sys *r, const char *ns, const char *name) {
    kl__sys_text(r, CATALOG);
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(ns));
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(name));
}

static void schemata(struct kl__sys *r) {
    for (size_t i = 0; i < kl_cat_n_namespaces(r->cat); i++) {
        kl__sys_text(r, CATALOG);
        kl__sys_copy(r, KL_T_TEXT, kl_slice_str(kl_cat_namespace_at(r->cat, i)->name));
        for (int null = 0; null < 5; null++) { /* owner, character set, path: there are none */
            kl__sys_null(r, KL_T_TEXT);
        }
    }
}

static void tables(struct kl__sys *r) {
    for (size_t i = 0; i < kl_cat_n_tables(r->cat); i++) {
        const struct kl_table *t = kl_cat_table_at(r->cat, i);
        put_name(r, t->ns, t->name);
        kl__sys_text(r, t->type == KL_TABLE_VIEW ? "VIEW"
                        : kl__sys_is_made(t)     ? "BASE TABLE"
                                                 : "SYSTEM VIEW");
    }
}

static void views(struct kl__sys *r) {
    bool may_see = kl_auth_may(r->session->role, KL_MAY_CREATE_VIEW, NULL) == KL_OK;
    for (size_t i = 0; i < kl_cat_n_tables(r->cat); i++) {
        const struct kl_table *t = kl_cat_table_at(r->cat, i);
        if (t->type == KL_TABLE_VIEW) {
            put_name(r, t->ns, t->name);
            kl__sys_optional(r, KL_T_TEXT, may_see ? kl_slice_str(t->view_sql) : KL_SLICE_NONE);
        }
    }
}

/* ---- columns ---- */

struct numeric {
    int precision, radix, scale; /* -1: NULL */
};

static struct numeric numeric_of(struct kl_type t) {
    switch (t.id) {
    case KL_T_SMALLINT:
        return (struct numeric){16, 2, 0};
    case KL_T_INT:
        return (struct numeric){32, 2, 0};
    case KL_T_BIGINT:
        return (struct numeric){64, 2, 0};
    case KL_T_FLOAT:
        return (struct numeric){24, 2, -1};
    case KL_T_DOUBLE:
        return (struct numeric){53, 2, -1};
    case KL_T_DECIMAL:
        return (struct numeric){t.precision, 10, t.scale};
    default:
        return (struct numeric){-1, -1, -1};
    }
}

static void put_i32_or_null(struct kl__sys *r, int i) {
    kl__sys_put(r, i >= 0 ? kl_val_int(KL_T_INT, i) : kl_val_null(KL_T_INT));
}

static void column_row(struct kl__sys *r, const struct kl_table *t, const struct kl__sys_col *c) {
    struct numeric n = numeric_of(c->type);
    bool clock =
        c->type.id == KL_T_TIMESTAMP || c->type.id == KL_T_DATETIME || c->type.id == KL_T_TIME;
    put_name(r, t->ns, t->name);
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(c->name));
    kl__sys_i32(r, c->ordinal);
    kl__sys_default(r, c->def);
    kl__sys_text(r, c->nullable ? "YES" : "NO");
    kl__sys_type(r, c->type);
    put_i32_or_null(r, -1); /* no text or bytes have a length of their own */
    put_i32_or_null(r, -1);
    put_i32_or_null(r, n.precision);
    put_i32_or_null(r, n.radix);
    put_i32_or_null(r, n.scale);
    put_i32_or_null(r, clock ? 6 : c->type.id == KL_T_DATE ? 0 : -1);
}

/* ---- constraints ---- */

static void constraint_row(
    struct kl__sys *r, const struct kl_table *t, const char *name, const char *type) {
    put_name(r, t->ns, name);
    put_name(r, t->ns, t->name);
    kl__sys_text(r, type);
    kl__sys_text(r, "NO");
    kl__sys_text(r, "NO");
}

static void key_rows(
    struct kl__sys *r, const struct kl_table *t, const char *name, const uint16_t *cols, size_t n) {
    for (size_t i = 0; i < n; i++) {
        put_name(r, t->ns, name);
        put_name(r, t->ns, t->name);
        kl__sys_copy(r, KL_T_TEXT, kl_slice_str(t->cols[cols[i]].name));
        kl__sys_i32(r, (int64_t)i + 1);
        kl__sys_null(r, KL_T_INT);
    }
}

/* Keys of one table: its primary key by PostgreSQL's name for it, and its UNIQUE constraints. Either as constraints or
 * with their columns. */
static void keys_of(struct kl__sys *r, const struct kl_table *t, bool columns) {
    char name[200];
    snprintf(name, sizeof(name), "%s_pkey", t->name);
    if (t->n_pk > 0 && columns) {
        key_rows(r, t, name, t->pk, t->n_pk);
    } else if (t->n_pk > 0) {
        constraint_row(r, t, name, "PRIMARY KEY");
    }
    for (size_t i = 0; i < t->n_indexes; i++) {
        const struct kl_index *ix = &t->indexes[i];
        if (ix->constraint && columns) {
            key_rows(r, t, ix->name, ix->cols, ix->n_cols);
        } else if (ix->constraint) {
            constraint_row(r, t, ix->name, "UNIQUE");
        }
    }
}

static void constraints(struct kl__sys *r, bool columns) {
    for (size_t i = 0; i < kl_cat_n_tables(r->cat); i++) {
        const struct kl_table *t = kl_cat_table_at(r->cat, i);
        if (kl__sys_is_made(t)) {
            keys_of(r, t, columns);
        }
        for (size_t k = 0; !columns && k < t->n_checks; k++) {
            constraint_row(r, t, t->checks[k].name, "CHECK");
        }
    }
}

enum kl_rc kl__sys_information(struct kl__sys *r, uint32_t relation, struct kl_err *err) {
    (void)err;
    switch (relation) {
    case KL_SYS_IS_SCHEMATA:
        schemata(r);
        return KL_OK;
    case KL_SYS_IS_TABLES:
        tables(r);
        return KL_OK;
    case KL_SYS_IS_VIEWS:
        views(r);
        return KL_OK;
    case KL_SYS_IS_COLUMNS:
        kl__sys_each_column(r, column_row);
        return KL_OK;
    case KL_SYS_IS_CONSTRAINTS:
        constraints(r, false);
        return KL_OK;
    case KL_SYS_IS_KEY_COLUMNS:
        constraints(r, true);
        return KL_OK;
    default:
        return KL_E_AGAIN;
    }
}
