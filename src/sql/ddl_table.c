/* CREATE, ALTER, DROP TABLE. Order of refusals: what does not parse, what the caller may not do,
 * what cannot be. Whether names are taken, free or known is asked again by the catalog when the
 * change is made: this snapshot may be older by then. */
#include "sql/parse_internal.h"
#include <stdio.h>

/* ---- CREATE: columns and constraints ---- */
#define CHECKS_MAX 64
struct columns {
    struct kl_slice table; /* for the names of constraints */
    struct kl_column_def *list;
    size_t n, cap;
    struct kl_index_def uniques[KL_INDEXES_MAX];
    int unique_at[KL_INDEXES_MAX];
    size_t n_uniques;
    struct kl_check_def checks[CHECKS_MAX];
    size_t n_checks;
    bool inline_pk, table_pk;
};

static struct kl_column_def *find_column(struct columns *c, struct kl_slice name) {
    for (size_t i = 0; i < c->n; i++) {
        if (kl_slice_eq(c->list[i].name, name)) {
            return &c->list[i];
        }
    }
    return NULL;
}

static enum kl_rc push_column(
    struct kl_parser *p, struct columns *c, const struct kl_column_def *def, int at) {
    if (find_column(c, def->name)) {
        return kl_sql__bad_table(p, at,
            "Duplicate column name '%.*s'. Column names are case-insensitive.", KL_FMT(def->name));
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
    struct kl_key_columns key;
    int at = kl_sql__here(p);
    if (c->inline_pk || c->table_pk) {
        return kl_sql__bad_table(p, at, "Multiple PRIMARY KEY definitions found");
    }
    c->table_pk = true;
    KL_TRY(kl_sql__take_key(p, "PRIMARY KEY", &key));
    for (size_t i = 0; i < key.n; i++) {
        struct kl_column_def *col = find_column(c, key.names[i]);
        if (!col) {
            return kl_sql__bad_table(p, key.positions[i],
                "PRIMARY KEY column '%.*s' not found in column list", KL_FMT(key.names[i]));
        }
        col->pk_pos = (uint8_t)(i + 1);
        col->nullable = false;
    }
    return kl_sql__constraint_tail(p);
}

static enum kl_rc push_unique(struct kl_parser *p, struct columns *c, struct kl_slice name,
    const struct kl_key_columns *key, int at) {
    if (c->n_uniques == KL_INDEXES_MAX) {
        return kl_sql__bad_table(
            p, at, "a table may have at most %d UNIQUE constraints", KL_INDEXES_MAX);
    }
    struct kl_slice *cols = KL_ARENA_ARRAY(p->arena, struct kl_slice, key->n);
    if (!cols) {
        return kl_sql__no_room(p->err);
    }
    for (size_t i = 0; i < key->n; i++) {
        struct kl_column_def *col = find_column(c, key->names[i]);
        if (!col) {
            return kl_sql__bad_table(p, key->positions[i],
                "UNIQUE column '%.*s' not found in column list", KL_FMT(key->names[i]));
        }
        KL_TRY(kl_sql__may_index(p, col->name, col->type, key->positions[i]));
        cols[i] = key->names[i];
    }
    c->unique_at[c->n_uniques] = at;
    c->uniques[c->n_uniques++] = (struct kl_index_def){
        .name = name, .cols = cols, .n_cols = key->n, .unique = true, .constraint = true};
    return KL_OK;
}

static enum kl_rc table_unique(
    struct kl_parser *p, struct columns *c, struct kl_slice name, int at) {
    struct kl_key_columns key;
    if (kl_sql__at_word(p, "nulls") && !kl_sql__take(p, "nulls distinct")) {
        return kl_sql__refuse_here(p, "UNIQUE NULLS NOT DISTINCT", NULL);
    }
    KL_TRY(kl_sql__take_key(p, "UNIQUE", &key));
    KL_TRY(push_unique(p, c, name, &key, at));
    return kl_sql__constraint_tail(p);
}

static bool check_name_taken(const struct columns *c, struct kl_slice name) {
    for (size_t i = 0; i < c->n_checks; i++) {
        if (kl_slice_eq(c->checks[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* As PostgreSQL makes them up: table_column_check, table_check, then with a number. Cut so that
 * they stay names. */
static enum kl_rc make_check_name(
    struct kl_parser *p, const struct columns *c, struct kl_slice column, struct kl_slice *ret) {
    int table = (int)KL_MIN(c->table.len, (size_t)26), col = (int)KL_MIN(column.len, (size_t)26);
    for (unsigned n = 0;; n++) {
        char number[12] = "";
        if (n > 0) {
            snprintf(number, sizeof(number), "%u", n);
        }
        char *s = kl_arena_printf(p->arena, "%.*s%s%.*s_check%s", table, c->table.ptr,
            col > 0 ? "_" : "", col, col > 0 ? column.ptr : "", number);
        if (!s) {
            return kl_sql__no_room(p->err);
        }
        *ret = kl_slice_str(s);
        if (!check_name_taken(c, *ret)) {
            return KL_OK;
        }
    }
}

static enum kl_rc push_check(struct kl_parser *p, struct columns *c, struct kl_slice column,
    const struct kl_check_def *def, int at) {
    struct kl_check_def check = *def;
    if (c->n_checks == CHECKS_MAX) {
        return kl_sql__bad_table(
            p, at, "a table may have at most %d CHECK constraints", CHECKS_MAX);
    }
    if (check.name.len == 0) {
        KL_TRY(make_check_name(p, c, column, &check.name));
    } else if (check_name_taken(c, check.name)) {
        return kl_sql__bad_table(p, at, "constraint \"%.*s\" is given twice", KL_FMT(check.name));
    }
    c->checks[c->n_checks++] = check;
    return KL_OK;
}

static enum kl_rc table_check(
    struct kl_parser *p, struct columns *c, struct kl_slice name, int at) {
    struct kl_check_def check = {.name = name};
    KL_TRY(kl_sql__take_check(p, &check.expr));
    KL_TRY(push_check(p, c, KL_S(""), &check, at));
    return kl_sql__constraint_tail(p);
}

/* Is this item of the list a constraint of the table, not a column? Words that begin one are names
 * of columns too, unless a bracket follows. */
static enum kl_rc table_constraint(struct kl_parser *p, struct columns *c, bool *ret_is) {
    struct kl_slice name = KL_SLICE_NONE;
    int at = kl_sql__here(p);
    bool named = kl_sql__take(p, "constraint");
    *ret_is = true;
    if (named) {
        KL_TRY(kl_sql__take_name(p, &name));
        KL_TRY(kl_name_check("constraint", name, p->err));
    }
    if (kl_sql__take(p, "primary key")) {
        return table_key(p, c);
    }
    struct kl_parser look = *p;
    if (kl_sql__take(&look, "unique") &&
        (look.tok.punct == '(' || kl_sql__at_word(&look, "nulls"))) {
        kl_sql__advance(p);
        return table_unique(p, c, name, at);
    }
    look = *p;
    if (kl_sql__take(&look, "check") && look.tok.punct == '(') {
        kl_sql__advance(p);
        return table_check(p, c, name, at);
    }
    look = *p;
    if (kl_sql__take(&look, "foreign key")) {
        return kl_sql__refuse_here(
            p, "FOREIGN KEY", "Foreign keys are not enforced: leave it out.");
    }
    look = *p;
    if (kl_sql__take(&look, "exclude") &&
        (look.tok.punct == '(' || kl_sql__at_word(&look, "using"))) {
        return kl_sql__refuse_here(p, "EXCLUDE", NULL);
    }
    *ret_is = named;
    return named ? kl_sql__syntax_error(p) : KL_OK;
}

static enum kl_rc column(struct kl_parser *p, struct columns *c) {
    struct kl_parsed_column col;
    int at = kl_sql__here(p);
    struct kl_parser look = *p;
    if (kl_sql__take(&look, "like") && look.tok.kind == KL_TOK_WORD) {
        return kl_sql__refuse_here(p, "CREATE TABLE (LIKE ...)", NULL);
    }
    KL_TRY(kl_sql__parse_column(p, &col));
    if (col.def.pk_pos > 0 && (c->inline_pk || c->table_pk)) {
        return kl_sql__bad_table(p, at, "Multiple PRIMARY KEY definitions found");
    }
    c->inline_pk |= col.def.pk_pos > 0;
    KL_TRY(push_column(p, c, &col.def, at));
    if (col.unique) {
        struct kl_key_columns key = {.names = {col.def.name}, .positions = {at}, .n = 1};
        KL_TRY(push_unique(p, c, col.unique_name, &key, at));
    }
    for (size_t i = 0; i < col.n_checks; i++) {
        KL_TRY(push_check(p, c, col.def.name, &col.checks[i], at));
    }
    return KL_OK;
}

static enum kl_rc column_list(struct kl_parser *p, struct columns *c) {
    KL_TRY(kl_sql__need_punct(p, '('));
    if (p->tok.punct == ')') {
        return kl_sql__bad_table(p, kl_sql__here(p), "Table must have at least one column");
    }
    do {
        bool is;
        if (c->n > 0 && p->tok.punct == ')') {
            break; /* a comma too many */
        }
        KL_TRY(table_constraint(p, c, &is));
        KL_TRY(is ? KL_OK : column(p, c));
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

static void fill_options(
    struct kl_parser *p, const struct kl_table_name *name, struct kl_table_clauses *c) {
    if (c->type == 0) {
        c->type = default_type(p, name->ns);
    }
    if (c->type == KL_TABLE_SHARED && !c->has_access) {
        c->options.access = KL_ACCESS_PRIVATE;
    }
    if (!c->options.storage_id) {
        c->options.storage_id = "local";
    }
}

/* What CREATE TABLE and CREATE TABLE AS have in common: who may, what fits what, names. */
static enum kl_rc check_table(
    struct kl_parser *p, const struct kl_table_def *def, const struct kl_table_clauses *clauses) {
    KL_TRY(kl_auth_may_create(p->ctx->session->role, def->type, def->options.access, p->err));
    KL_TRY(kl_auth_may_use_namespace(p->ctx->session->role, def->ns, p->err));
    KL_TRY(check_clauses(p, clauses));
    return check_names(p, def);
}

static enum kl_rc check_constraints(struct kl_parser *p, const struct columns *c) {
    if (p->plan->create->type == KL_TABLE_STREAM && c->n_uniques > 0) {
        return kl_sql__bad_table(p, c->unique_at[0],
            "UNIQUE is not supported for STREAM tables: their rows are found by time only");
    }
    for (size_t i = 0; i < c->n_uniques; i++) {
        for (size_t k = 0; k < i + c->n_checks && c->uniques[i].name.len > 0; k++) {
            struct kl_slice other = k < i ? c->uniques[k].name : c->checks[k - i].name;
            if (kl_slice_eq(other, c->uniques[i].name)) {
                return kl_sql__bad_table(p, c->unique_at[i], "constraint \"%.*s\" is given twice",
                    KL_FMT(c->uniques[i].name));
            }
        }
    }
    return KL_OK;
}

static enum kl_rc create_columns(struct kl_parser *p, const struct kl_table_name *name,
    struct columns *cols, struct kl_table_clauses *clauses) {
    struct kl_table_def *def = p->plan->create;
    KL_TRY(column_list(p, cols));
    KL_TRY(kl_sql__parse_table_clauses(p, clauses));
    KL_TRY(kl_sql__need_end(p));
    fill_options(p, name, clauses);
    *def = (struct kl_table_def){.ns = name->ns,
        .name = name->name,
        .type = clauses->type,
        .options = clauses->options,
        .cols = cols->list,
        .n_cols = cols->n,
        .uniques = cols->uniques,
        .n_uniques = cols->n_uniques,
        .checks = cols->checks,
        .n_checks = cols->n_checks};
    KL_TRY(check_table(p, def, clauses));
    KL_TRY(check_constraints(p, cols));
    if (cols->n == 0) {
        return kl_sql__bad_table(p, 0, "Table must have at least one column");
    }
    return kl_sql__check_checks(p, def);
}

/* ---- CREATE TABLE .. AS ---- */
/* Is what stands here, after the table's name, a list of names alone, or none, so that AS follows? */
static bool is_table_as(struct kl_parser p) {
    if (p.tok.punct != '(') {
        return true; /* a table of columns has them in brackets at once */
    }
    kl_sql__advance(&p);
    if (p.tok.kind != KL_TOK_WORD && p.tok.kind != KL_TOK_IDENT) {
        return false;
    }
    kl_sql__advance(&p);
    return p.tok.punct == ',' || p.tok.punct == ')';
}

static enum kl_rc create_as(
    struct kl_parser *p, const struct kl_table_name *name, struct kl_table_clauses *clauses) {
    struct kl_table_def *def = p->plan->create;
    kl_sql__start_plan(p, KL_PLAN_CREATE_TABLE_AS);
    if (p->tok.punct == '(') {
        KL_TRY(kl_sql__take_name_list(p));
    }
    KL_TRY(kl_sql__parse_table_clauses(p, clauses));
    KL_TRY(kl_sql__need(p, "as"));
    fill_options(p, name, clauses);
    *def = (struct kl_table_def){
        .ns = name->ns, .name = name->name, .type = clauses->type, .options = clauses->options};
    KL_TRY(check_table(p, def, clauses));
    KL_TRY(kl_sql__take_query(p, &p->plan->with_data, &p->plan->text));
    return kl_sql__check_name_list(p, "CREATE TABLE AS");
}

enum kl_rc kl_sql__parse_create_table(struct kl_parser *p, enum kl_table_type prefix) {
    struct kl_table_name name;
    struct kl_table_clauses clauses = {.type = prefix};
    struct columns *cols = KL_ARENA_NEW(p->arena, struct columns);
    p->plan->create = KL_ARENA_NEW(p->arena, struct kl_table_def);
    if (!p->plan->create || !cols) {
        return kl_sql__no_room(p->err);
    }
    kl_sql__start_plan(p, KL_PLAN_CREATE_TABLE);
    p->plan->if_not_exists = kl_sql__take(p, "if not exists");
    KL_TRY(kl_sql__take_table(p, &name));
    cols->table = name.name;
    KL_TRY(
        is_table_as(*p) ? create_as(p, &name, &clauses) : create_columns(p, &name, cols, &clauses));
    return kl_sql__table_label(p, &name, &p->plan->name);
}

/* ---- DROP ---- */
enum kl_rc kl_sql__need_table(struct kl_parser *p, const struct kl_table *t, int position) {
    if (t->type != KL_TABLE_VIEW) {
        return KL_OK;
    }
    enum kl_rc rc = kl_fail_at(
        p->err, KL_E_EXEC, position, "'%.*s' is a view, not a table", KL_FMT(t->qualified));
    kl_err_hint(p->err,
        "DROP VIEW removes it, CREATE OR REPLACE VIEW changes it, COMMENT ON VIEW comments it.");
    return rc;
}

enum kl_rc kl_sql__parse_drop_table(struct kl_parser *p) {
    struct kl_table_name name;
    kl_sql__start_plan(p, KL_PLAN_DROP_TABLE);
    p->plan->if_exists = kl_sql__take(p, "if exists");
    KL_TRY(kl_sql__take_table(p, &name));
    if (p->tok.punct == ',') {
        return kl_sql__refuse_here(p, "DROP TABLE of several tables", "Write one DROP TABLE each.");
    }
    if (!kl_sql__take(p, "cascade")) {
        kl_sql__take(p, "restrict"); /* nothing is bound to a table: views find it by its name */
    }
    KL_TRY(kl_sql__need_end(p));
    KL_TRY(kl_sql__table_label(p, &name, &p->plan->name));
    struct kl_table *t = kl_cat_table(p->ctx->cat, name.ns, name.name);
    if (t) {
        KL_TRY(kl_auth_may_drop(p->ctx->session->role, t, p->err));
        KL_TRY(kl_sql__need_table(p, t, name.position));
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
