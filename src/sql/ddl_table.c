/* CREATE, ALTER, DROP TABLE. Order of refusals: what does not parse, what the caller may not do,
 * what cannot be. Whether names are taken, free or known is asked again by the catalog when the
 * change is made: this snapshot may be older by then. */
#include "sql/parse_internal.h"

/* ---- CREATE: columns ---- */
struct columns {
    struct kl_column_def *list;
    size_t n, cap;
    bool inline_pk, table_pk;
};

static enum kl_rc push_column(
    struct kl_parser *p, struct columns *c, const struct kl_column_def *def, int at) {
    for (size_t i = 0; i < c->n; i++) {
        if (kl_slice_eq(c->list[i].name, def->name)) {
            return kl_sql__bad_table(p, at,
                "Duplicate column name '%.*s'. Column names are case-insensitive.",
                KL_FMT(def->name));
        }
    }
    if (c->n == KL_ROW_MAX_COLS) {
        return kl_sql__bad_table(p, at, "a table may have at most %d columns", KL_ROW_MAX_COLS);
    }
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 16;
        struct kl_column_def *list = KL_ARENA_ARRAY(p->arena, struct kl_column_def, cap);
        if (!list) {
            return kl_sql__no_room(p->err);
        }
        if (c->n > 0) {
            memcpy(list, c->list, c->n * sizeof(*list));
        }
        c->list = list;
        c->cap = cap;
    }
    c->list[c->n++] = *def;
    return KL_OK;
}

/* PRIMARY KEY (a, b); the columns must have been declared before. */
static enum kl_rc table_key(struct kl_parser *p, struct columns *c) {
    uint8_t pos = 0;
    int at = kl_sql__here(p);
    if (c->inline_pk || c->table_pk) {
        return kl_sql__bad_table(p, at, "Multiple PRIMARY KEY definitions found");
    }
    c->table_pk = true;
    KL_TRY(kl_sql__need_punct(p, '('));
    do {
        struct kl_slice name;
        at = kl_sql__here(p);
        KL_TRY(kl_sql__take_name(p, &name));
        struct kl_column_def *col = NULL;
        for (size_t i = 0; i < c->n; i++) {
            col = kl_slice_eq(c->list[i].name, name) ? &c->list[i] : col;
        }
        if (!col) {
            return kl_sql__bad_table(
                p, at, "PRIMARY KEY column '%.*s' not found in column list", KL_FMT(name));
        }
        if (col->pk_pos > 0 || pos == 32) {
            return kl_sql__bad_table(p, at,
                "column '%.*s' is in the PRIMARY KEY twice, or the key has more than 32 columns",
                KL_FMT(name));
        }
        col->pk_pos = ++pos;
        col->nullable = false;
    } while (kl_sql__take_punct(p, ','));
    return kl_sql__need_punct(p, ')');
}

/* Is this item of the list a constraint of the table, not a column? */
static enum kl_rc table_constraint(struct kl_parser *p, struct columns *c, bool *ret_is) {
    *ret_is = true;
    if (kl_sql__take(p, "constraint")) {
        struct kl_slice name;
        KL_TRY(kl_sql__take_name(p, &name));
        if (kl_sql__take(p, "primary key")) {
            return table_key(p, c);
        }
    } else if (kl_sql__take(p, "primary key")) {
        return table_key(p, c);
    }
    struct kl_parser look = *p;
    bool open = (kl_sql__take(&look, "unique") || kl_sql__take(&look, "check") ||
                    kl_sql__take(&look, "foreign key")) &&
                look.tok.punct == '(';
    if (open) {
        return kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_sql__here(p),
            "%s is not available in this version",
            kl_sql__at_word(p, "unique")  ? "UNIQUE"
            : kl_sql__at_word(p, "check") ? "CHECK"
                                          : "FOREIGN KEY");
    }
    *ret_is = false;
    return KL_OK;
}

static enum kl_rc column_list(struct kl_parser *p, struct columns *c) {
    KL_TRY(kl_sql__need_punct(p, '('));
    if (p->tok.punct == ')') {
        return kl_sql__bad_table(p, kl_sql__here(p), "Table must have at least one column");
    }
    do {
        bool is;
        KL_TRY(table_constraint(p, c, &is));
        if (is) {
            continue;
        }
        struct kl_column_def def;
        int at = kl_sql__here(p);
        KL_TRY(kl_sql__parse_column(p, &def));
        if (def.pk_pos > 0 && (c->inline_pk || c->table_pk)) {
            return kl_sql__bad_table(p, at, "Multiple PRIMARY KEY definitions found");
        }
        c->inline_pk |= def.pk_pos > 0;
        KL_TRY(push_column(p, c, &def, at));
    } while (kl_sql__take_punct(p, ','));
    return kl_sql__need_punct(p, ')');
}

/* ---- CREATE: what fits what ---- */
static enum kl_rc check_stream(struct kl_parser *p, const struct kl_table_clauses *c) {
    if (!c->has_ttl) {
        return kl_sql__bad_table(p, 0, "STREAM tables must specify 'TTL_SECONDS'");
    }
    if (c->has_flush) {
        return kl_sql__bad_table(
            p, 0, "FLUSH_POLICY is not supported for STREAM tables: their rows are never flushed");
    }
    if (c->has_retention) {
        return kl_sql__bad_table(
            p, 0, "DELETED_RETENTION_HOURS is not supported for STREAM tables");
    }
    return KL_OK;
}

static enum kl_rc check_clauses(struct kl_parser *p, const struct kl_table_clauses *c) {
    bool stream = c->type == KL_TABLE_STREAM;
    if (stream) {
        KL_TRY(check_stream(p, c));
    }
    if (!stream && c->has_ttl) {
        return kl_sql__bad_table(p, 0, "TTL_SECONDS is only supported for STREAM tables");
    }
    if (!stream && c->has_max_buffer) {
        return kl_sql__bad_table(p, 0, "MAX_BUFFER is only supported for STREAM tables");
    }
    if (!stream && c->ephemeral) {
        return kl_sql__bad_table(p, 0, "EPHEMERAL is only supported for STREAM tables");
    }
    if (c->has_access && c->type != KL_TABLE_SHARED) {
        return kl_sql__bad_table(p, 0, "ACCESS_LEVEL is only supported for SHARED tables");
    }
    if (c->has_user_storage && c->type != KL_TABLE_USER) {
        return kl_sql__bad_table(p, 0, "USE_USER_STORAGE is only supported for USER tables");
    }
    return KL_OK;
}

/* Neither prefix nor TYPE: SHARED, but for a service account in the namespace of its own name. */
static enum kl_table_type default_type(const struct kl_parser *p, struct kl_slice ns) {
    const struct kl_session *s = p->ctx->session;
    return s->role == KL_ROLE_SERVICE && kl_slice_eq(s->user, ns) ? KL_TABLE_USER : KL_TABLE_SHARED;
}

static enum kl_rc check_names(struct kl_parser *p, const struct kl_table_def *def) {
    if (kl_namespace_is_system(def->ns)) {
        return kl_fail(p->err, KL_E_EXEC,
            "Cannot create system table '%.*s.%.*s'. System tables are managed internally.",
            KL_FMT(def->ns), KL_FMT(def->name));
    }
    KL_TRY(kl_name_check("table", def->name, p->err));
    for (size_t i = 0; i < def->n_cols; i++) {
        KL_TRY(kl_name_check("column", def->cols[i].name, p->err));
    }
    return KL_OK;
}

enum kl_rc kl_sql__parse_create_table(struct kl_parser *p, enum kl_table_type prefix) {
    struct kl_table_name name;
    struct columns cols = {0};
    struct kl_table_clauses clauses = {.type = prefix};
    struct kl_table_def *def = KL_ARENA_NEW(p->arena, struct kl_table_def);
    if (!def) {
        return kl_sql__no_room(p->err);
    }
    kl_sql__start_plan(p, KL_PLAN_CREATE_TABLE);
    p->plan->if_not_exists = kl_sql__take(p, "if not exists");
    KL_TRY(kl_sql__take_table(p, &name));
    if (kl_sql__at_word(p, "as")) {
        return kl_sql__unavailable(p->err, "CREATE TABLE AS");
    }
    KL_TRY(column_list(p, &cols));
    KL_TRY(kl_sql__parse_table_clauses(p, &clauses));
    if (clauses.type == 0) {
        clauses.type = default_type(p, name.ns);
    }
    if (clauses.type == KL_TABLE_SHARED && !clauses.has_access) {
        clauses.options.access = KL_ACCESS_PRIVATE;
    }
    clauses.options.storage_id = "local";
    if (!clauses.has_retention) {
        clauses.options.deleted_retention_hours = 168;
    }
    *def = (struct kl_table_def){.ns = name.ns,
        .name = name.name,
        .type = clauses.type,
        .options = clauses.options,
        .cols = cols.list,
        .n_cols = cols.n};
    KL_TRY(kl_auth_may_create(p->ctx->session->role, def->type, def->options.access, p->err));
    KL_TRY(kl_auth_may_use_namespace(p->ctx->session->role, def->ns, p->err));
    KL_TRY(check_clauses(p, &clauses));
    if (cols.n == 0) {
        return kl_sql__bad_table(p, 0, "Table must have at least one column");
    }
    KL_TRY(check_names(p, def));
    p->plan->create = def;
    return kl_sql__table_label(p, &name, &p->plan->name);
}

/* ---- DROP ---- */
enum kl_rc kl_sql__parse_drop_table(struct kl_parser *p) {
    struct kl_table_name name;
    kl_sql__start_plan(p, KL_PLAN_DROP_TABLE);
    p->plan->if_exists = kl_sql__take(p, "if exists");
    KL_TRY(kl_sql__take_table(p, &name));
    kl_sql__take(p, "cascade"); /* nothing depends on a table yet */
    KL_TRY(kl_sql__need_end(p));
    KL_TRY(kl_sql__table_label(p, &name, &p->plan->name));
    struct kl_table *t = kl_cat_table(p->ctx->cat, name.ns, name.name);
    if (t) {
        KL_TRY(kl_auth_may_drop(p->ctx->session->role, t, p->err));
        kl_sql__plan_set_table(p->plan, t);
        return KL_OK;
    }
    if (!kl_role_is_admin(p->ctx->session->role)) {
        return kl_fail(
            p->err, KL_E_PERMISSION_DENIED, "Insufficient privileges to drop this table");
    }
    return p->plan->if_exists ? KL_OK
                              : kl_fail_at(p->err, KL_E_NOT_FOUND, name.position,
                                    "Not found: Table '%.*s' not found in namespace '%.*s'",
                                    KL_FMT(name.name), KL_FMT(name.ns));
}
