/* ALTER TABLE: one operation a statement, and COMMENT ON.
 *
 * What is asked of names here is asked again by the catalog, over the newest tables. IF EXISTS and
 * IF NOT EXISTS go into the plan: whether there is something to do is known when it runs. */
#include "sql/parse_internal.h"
#include <stdio.h>

static enum kl_rc system_column(
    struct kl_parser *p, struct kl_slice name, const char *verb, int at) {
    if (name.len > 0 && name.ptr[0] == '_') {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at,
            "Cannot %s column '%.*s': system column cannot be modified", verb, KL_FMT(name));
    }
    return KL_OK;
}

/* ---- ADD ---- */
/* What rows written before the column existed will read: the default, evaluated now. */
static enum kl_rc missing_value(
    struct kl_parser *p, const struct kl_column_def *c, struct kl_val *ret) {
    const struct kl_column as_column = {.name = "", .type = c->type, .def = c->def};
    struct kl_eval ev = {
        .session = p->ctx->session, .now_us = kl_clock_wall_us(), .arena = p->arena};
    struct kl_val v;
    switch (c->def.kind) {
    case KL_DEFAULT_SNOWFLAKE:
    case KL_DEFAULT_UUID_V7:
    case KL_DEFAULT_ULID:
        return kl_fail(p->err, KL_E_UNSUPPORTED,
            "ADD COLUMN '%.*s' with a generated id as DEFAULT is not available: existing rows "
            "would all share one",
            KL_FMT(c->name));
    case KL_DEFAULT_NONE:
        *ret = kl_val_null(c->type.id);
        return KL_OK;
    default:
        break;
    }
    KL_TRY(kl_sql_eval_default(&as_column, &ev, &v, p->err));
    return kl_val_dup(p->arena, &v, ret) ? KL_OK : kl_sql__no_room(p->err);
}

static enum kl_rc add_column(struct kl_parser *p, const struct kl_table *t, struct kl_alter *a) {
    struct kl_parsed_column c;
    p->plan->if_not_exists = kl_sql__take(p, "if not exists");
    int at = kl_sql__here(p);
    KL_TRY(kl_sql__parse_column(p, &c));
    if (p->tok.punct == ')') {
        return kl_sql__syntax_error(p);
    }
    a->add = c.def;
    if (a->add.name.len > 0 && a->add.name.ptr[0] == '_') {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at,
            "Cannot add column '%.*s': reserved system column name", KL_FMT(a->add.name));
    }
    if (a->add.pk_pos > 0) {
        return kl_sql__unavailable(p->err, "ADD COLUMN ... PRIMARY KEY");
    }
    if (c.unique || c.n_checks > 0) {
        enum kl_rc rc = kl_fail_at(p->err, KL_E_UNSUPPORTED, at,
            "ADD COLUMN with %s is not available in this version", c.unique ? "UNIQUE" : "CHECK");
        kl_err_hint(p->err, "Add the column, then ALTER TABLE %.*s ADD %s (...).",
            KL_FMT(t->qualified), c.unique ? "UNIQUE" : "CHECK");
        return rc;
    }
    KL_TRY(kl_name_check("column", a->add.name, p->err));
    a->op = KL_ALTER_ADD;
    return missing_value(p, &a->add, &a->missing);
}

static enum kl_rc add_check(struct kl_parser *p, const struct kl_table *t, struct kl_alter *a) {
    int at = kl_sql__here(p);
    a->op = KL_ALTER_ADD_CHECK;
    KL_TRY(kl_sql__take_check(p, &a->check));
    KL_TRY(kl_sql__constraint_tail(p));
    return kl_sql__check_check(p, t, a->check, at);
}

/* At a constraint? COLUMN may be left out of ADD COLUMN, so that names of columns are looked at
 * too: a bracket must follow. */
static bool at_constraint(const struct kl_parser *p) {
    static const char *const words[] = {
        "unique", "check", "primary key", "foreign key", "exclude", "unique nulls not distinct"};
    if (kl_sql__at_word(p, "constraint")) {
        return true;
    }
    for (size_t i = 0; i < KL_LEN(words); i++) {
        struct kl_parser look = *p;
        if (kl_sql__take(&look, words[i]) &&
            (look.tok.punct == '(' || kl_sql__at_word(&look, "using"))) {
            return true;
        }
    }
    return false;
}

static enum kl_rc add_constraint(struct kl_parser *p, struct kl_table *t, struct kl_alter *a) {
    if (kl_sql__take(p, "constraint")) {
        KL_TRY(kl_sql__take_name(p, &a->new_name));
        KL_TRY(kl_name_check("constraint", a->new_name, p->err));
    }
    if (kl_sql__take(p, "check")) {
        return add_check(p, t, a);
    }
    if (kl_sql__take(p, "unique")) {
        return kl_sql__add_unique(p, t, a->new_name);
    }
    if (kl_sql__at_word(p, "primary")) {
        return kl_sql__refuse_here(p, "ADD PRIMARY KEY",
            "A primary key is declared when the table is created; ADD UNIQUE works.");
    }
    if (kl_sql__at_word(p, "foreign")) {
        return kl_sql__refuse_here(
            p, "FOREIGN KEY", "Foreign keys are not enforced: leave it out.");
    }
    return kl_sql__at_word(p, "exclude") ? kl_sql__refuse_here(p, "EXCLUDE", NULL)
                                         : kl_sql__syntax_error(p);
}

static enum kl_rc add(struct kl_parser *p, struct kl_table *t, struct kl_alter *a) {
    if (!kl_sql__take(p, "column") && at_constraint(p)) {
        return add_constraint(p, t, a);
    }
    return add_column(p, t, a);
}

/* ---- DROP, RENAME, ACCESS ---- */
/* A column that is there now: the catalog would say so without a position. */
static enum kl_rc known_column(
    struct kl_parser *p, const struct kl_table *t, const char *verb, struct kl_slice *ret) {
    int at = kl_sql__here(p);
    KL_TRY(kl_sql__take_name(p, ret));
    KL_TRY(system_column(p, *ret, verb, at));
    return kl_table_col(t, *ret) >= 0
               ? KL_OK
               : kl_fail_at(p->err, KL_E_NOT_FOUND, at, "Column '%.*s' does not exist",
                     KL_FMT(kl_slice(ret->ptr, KL_MIN(ret->len, (size_t)64))));
}

static enum kl_rc refuse_cascade(struct kl_parser *p, const char *what) {
    if (kl_sql__at_word(p, "cascade") || kl_sql__at_word(p, "restrict")) {
        return kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_sql__here(p),
            "DROP %s CASCADE/RESTRICT is not supported", what);
    }
    return KL_OK;
}

/* A UNIQUE constraint is its index; a CHECK stands in the table. */
static enum kl_rc drop_constraint(struct kl_parser *p, struct kl_table *t, struct kl_alter *a) {
    p->plan->if_exists = kl_sql__take(p, "if exists");
    int at = kl_sql__here(p);
    KL_TRY(kl_sql__take_name(p, &a->column));
    KL_TRY(refuse_cascade(p, "CONSTRAINT"));
    a->op = KL_ALTER_DROP_CHECK;
    for (size_t i = 0; i < t->n_checks; i++) {
        if (kl_slice_eq_str(a->column, t->checks[i].name)) {
            return KL_OK;
        }
    }
    for (size_t i = 0; i < t->n_indexes; i++) {
        if (t->indexes[i].constraint && kl_slice_eq_str(a->column, t->indexes[i].name)) {
            kl_sql__start_plan(p, KL_PLAN_DROP_INDEX);
            p->plan->index_id = t->indexes[i].id;
            return KL_OK;
        }
    }
    char key[80];
    snprintf(key, sizeof(key), "%s_pkey", t->name);
    if (t->n_pk > 0 && kl_slice_eq_str(a->column, key)) {
        return kl_fail_at(p->err, KL_E_UNSUPPORTED, at, "dropping a PRIMARY KEY is not available");
    }
    return p->plan->if_exists
               ? KL_OK
               : kl_fail_at(p->err, KL_E_NOT_FOUND, at,
                     "constraint \"%.*s\" of table '%.*s' does not exist",
                     KL_FMT(kl_slice(a->column.ptr, KL_MIN(a->column.len, (size_t)64))),
                     KL_FMT(t->qualified));
}

static enum kl_rc vector_index(struct kl_parser *p) {
    return kl_sql__refuse_here(p, "a vector index",
        "ORDER BY COSINE_DISTANCE(column, '[...]') LIMIT n works without one.");
}

/* DROP INDEX c, DROP VECTOR INDEX c; a column may be called either. */
static bool at_index(const struct kl_parser *p) {
    struct kl_parser look = *p;
    kl_sql__take(&look, "vector");
    return kl_sql__take(&look, "index") && look.tok.kind != KL_TOK_END && look.tok.punct != ';';
}

static enum kl_rc drop(struct kl_parser *p, struct kl_table *t, struct kl_alter *a) {
    bool word = kl_sql__take(p, "column");
    if (!word && kl_sql__take(p, "constraint")) {
        return drop_constraint(p, t, a);
    }
    if (!word && at_index(p)) {
        return vector_index(p);
    }
    p->plan->if_exists = kl_sql__take(p, "if exists");
    if (p->plan->if_exists) {
        int at = kl_sql__here(p);
        KL_TRY(kl_sql__take_name(p, &a->column));
        KL_TRY(system_column(p, a->column, "drop", at));
    } else {
        KL_TRY(known_column(p, t, "drop", &a->column));
    }
    a->op = KL_ALTER_DROP;
    return refuse_cascade(p, "COLUMN");
}

static enum kl_rc rename_to(struct kl_parser *p, struct kl_alter *a) {
    KL_TRY(kl_sql__take_name(p, &a->new_name));
    if (p->tok.punct == '.') {
        enum kl_rc rc = kl_sql__syntax_error(p);
        kl_err_hint(p->err, "A table stays in its namespace: give the new name alone.");
        return rc;
    }
    a->op = KL_ALTER_RENAME_TABLE;
    return kl_name_check("table", a->new_name, p->err);
}

static enum kl_rc rename_any(struct kl_parser *p, const struct kl_table *t, struct kl_alter *a) {
    bool column = kl_sql__take(p, "column");
    if (!column && kl_sql__take(p, "to")) {
        return rename_to(p, a);
    }
    struct kl_parser look = *p;
    if (!column && kl_sql__take(&look, "constraint") && !kl_sql__at_word(&look, "to")) {
        return kl_sql__refuse_here(p, "RENAME CONSTRAINT", NULL);
    }
    KL_TRY(known_column(p, t, "rename", &a->column));
    KL_TRY(kl_sql__need(p, "to"));
    KL_TRY(kl_sql__take_name(p, &a->new_name));
    a->op = KL_ALTER_RENAME;
    return kl_name_check("column", a->new_name, p->err);
}

static enum kl_rc set_access(struct kl_parser *p, const struct kl_table *t, struct kl_alter *a) {
    struct kl_slice level;
    bool properties = kl_sql__take(p, "tblproperties");
    if (properties) {
        struct kl_slice key;
        KL_TRY(kl_sql__need_punct(p, '('));
        int at = kl_sql__here(p);
        KL_TRY(kl_sql__take_text(p, &key));
        if (!kl_slice_ieq_str(key, "access_level")) {
            return kl_fail_at(p->err, KL_E_INVALID_SQL, at,
                "Unknown table property '%.*s'. Known properties: ACCESS_LEVEL",
                KL_FMT(kl_slice(key.ptr, KL_MIN(key.len, (size_t)60))));
        }
        KL_TRY(kl_sql__need_op(p, "="));
    } else if (!kl_sql__take(p, "access level")) {
        return kl_sql__refuse_here(p, "this form of ALTER TABLE ... SET",
            "SET ACCESS LEVEL changes who reads a SHARED table; other options are those of "
            "CREATE TABLE.");
    }
    int at = kl_sql__here(p);
    KL_TRY(kl_sql__take_text(p, &level));
    KL_TRY(properties ? kl_sql__need_punct(p, ')') : KL_OK);
    KL_TRY(kl_sql__access_level(p, level, at, &a->access));
    if (t->type != KL_TABLE_SHARED) {
        return kl_fail(p->err, KL_E_INVALID_SQL, "ACCESS LEVEL can only be set on SHARED tables");
    }
    a->op = KL_ALTER_ACCESS;
    return kl_auth_may_create(p->ctx->session->role, KL_TABLE_SHARED, a->access, p->err);
}

/* ---- MODIFY COLUMN, ALTER COLUMN ---- */
static const struct kl_column *column_of(const struct kl_table *t, struct kl_slice name) {
    return &t->cols[kl_table_col(t, name)];
}

static enum kl_rc drop_not_null(
    struct kl_parser *p, const struct kl_table *t, struct kl_alter *a, int at) {
    a->op = KL_ALTER_DROP_NOT_NULL;
    return column_of(t, a->column)->pk_pos == 0
               ? KL_OK
               : kl_fail_at(p->err, KL_E_EXEC, at,
                     "Column '%.*s' is a PRIMARY KEY and cannot be nullable", KL_FMT(a->column));
}

static enum kl_rc new_type(struct kl_parser *p, struct kl_alter *a) {
    bool serial;
    int at = kl_sql__here(p);
    a->op = KL_ALTER_TYPE;
    KL_TRY(kl_sql__take_type(p, &a->type, &serial));
    if (serial) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at,
            "SERIAL is no type that a column can change to: use BIGINT, and SET DEFAULT "
            "SNOWFLAKE_ID()");
    }
    if (kl_sql__at_word(p, "collate")) {
        return kl_sql__refuse_here(p, "COLLATE of a column", NULL);
    }
    return kl_sql__at_word(p, "using")
               ? kl_sql__refuse_here(p, "ALTER COLUMN ... TYPE ... USING",
                     "Values are cast as CAST(column AS type) does; for another rule add a column "
                     "and UPDATE it.")
               : KL_OK;
}

static enum kl_rc modify(struct kl_parser *p, const struct kl_table *t, struct kl_alter *a) {
    kl_sql__take(p, "column");
    int at = kl_sql__here(p);
    KL_TRY(known_column(p, t, "modify", &a->column));
    KL_TRY(new_type(p, a));
    if (kl_sql__take(p, "not null")) {
        a->null = KL_ALTER_NULL_NO;
    } else if (kl_sql__take(p, "null")) {
        KL_TRY(drop_not_null(p, t, a, at));
        a->op = KL_ALTER_TYPE;
        a->null = KL_ALTER_NULL_YES;
    }
    return KL_OK;
}

static enum kl_rc alter_column(struct kl_parser *p, const struct kl_table *t, struct kl_alter *a) {
    kl_sql__take(p, "column");
    int at = kl_sql__here(p);
    KL_TRY(known_column(p, t, "modify", &a->column));
    if (kl_sql__take(p, "set not null")) {
        a->op = KL_ALTER_SET_NOT_NULL;
        return KL_OK;
    }
    if (kl_sql__take(p, "drop not null")) {
        return drop_not_null(p, t, a, at);
    }
    if (kl_sql__take(p, "set default")) {
        a->op = KL_ALTER_SET_DEFAULT;
        return kl_sql__take_default(p, a->column, column_of(t, a->column)->type, &a->def);
    }
    if (kl_sql__take(p, "drop default")) {
        a->op = KL_ALTER_DROP_DEFAULT;
        return KL_OK;
    }
    if (kl_sql__take(p, "type") || kl_sql__take(p, "set data type")) {
        return new_type(p, a);
    }
    enum kl_rc rc =
        kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_sql__here(p), "Unsupported ALTER COLUMN operation");
    kl_err_hint(p->err, "SET NOT NULL, DROP NOT NULL, SET DEFAULT, DROP DEFAULT, TYPE.");
    return rc;
}

/* ---- the statement ---- */
static enum kl_rc refused_operation(struct kl_parser *p) {
    static const struct {
        const char *words, *what;
    } known[] = {{"owner to", "ALTER TABLE ... OWNER TO"}, {"enable", "ALTER TABLE ... ENABLE"},
        {"disable", "ALTER TABLE ... DISABLE"}, {"inherit", "ALTER TABLE ... INHERIT"},
        {"attach partition", "ALTER TABLE ... ATTACH PARTITION"},
        {"detach partition", "ALTER TABLE ... DETACH PARTITION"},
        {"validate constraint", "VALIDATE CONSTRAINT"}, {"cluster on", "CLUSTER ON"},
        {"replica identity", "REPLICA IDENTITY"}, {"reset", "ALTER TABLE ... RESET"},
        {"force", "ALTER TABLE ... FORCE"}};
    for (size_t i = 0; i < KL_LEN(known); i++) {
        struct kl_parser look = *p;
        if (kl_sql__take(&look, known[i].words)) {
            return kl_sql__refuse_here(p, known[i].what, NULL);
        }
    }
    return kl_sql__syntax_error(p);
}

static enum kl_rc operation(struct kl_parser *p, struct kl_table *t, struct kl_alter *a) {
    if (kl_sql__take(p, "add")) {
        return add(p, t, a);
    }
    if (kl_sql__take(p, "drop")) {
        return drop(p, t, a);
    }
    if (kl_sql__take(p, "rename")) {
        return rename_any(p, t, a);
    }
    if (kl_sql__take(p, "set")) {
        return set_access(p, t, a);
    }
    if (kl_sql__take(p, "modify")) {
        return modify(p, t, a);
    }
    if (kl_sql__take(p, "alter")) {
        return alter_column(p, t, a);
    }
    struct kl_parser look = *p;
    if (kl_sql__take(&look, "create") && at_index(&look)) {
        return vector_index(p);
    }
    return refused_operation(p);
}

static enum kl_rc nothing_more(struct kl_parser *p) {
    if (p->tok.punct == ',') {
        return kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_sql__here(p),
            "Only one ALTER TABLE operation is supported per statement");
    }
    if (kl_sql__at_word(p, "first") || kl_sql__at_word(p, "after")) {
        return kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_sql__here(p),
            "Column position modifiers (FIRST/AFTER) are not supported");
    }
    return kl_sql__need_end(p);
}

enum kl_rc kl_sql__parse_alter_table(struct kl_parser *p) {
    struct kl_table_name name;
    struct kl_table *t;
    struct kl_alter *a = KL_ARENA_NEW(p->arena, struct kl_alter);
    if (!a) {
        return kl_sql__no_room(p->err);
    }
    kl_sql__start_plan(p, KL_PLAN_ALTER_TABLE);
    bool if_exists = kl_sql__take(p, "if exists");
    struct kl_parser before = *p;
    if (kl_sql__take(p, "only") && p->tok.punct == '.') {
        p->scan = before.scan; /* a namespace of that name */
        p->tok = before.tok;
    }
    KL_TRY(kl_sql__take_table(p, &name));
    if (p->ctx->session->role < KL_ROLE_SERVICE) {
        return kl_fail(p->err, KL_E_PERMISSION_DENIED, "Insufficient privileges to alter table");
    }
    KL_TRY(kl_sql__table_label(p, &name, &p->plan->name));
    if (if_exists && !kl_cat_table(p->ctx->cat, name.ns, name.name)) {
        return KL_OK; /* what else it says cannot be judged without the table */
    }
    KL_TRY(kl_sql__known_table(p, &name, &t));
    KL_TRY(kl_auth_may_alter(p->ctx->session->role, t, p->err));
    KL_TRY(kl_sql__need_table(p, t, name.position));
    KL_TRY(operation(p, t, a));
    KL_TRY(nothing_more(p));
    kl_sql__plan_set_table(p->plan, t);
    if (p->plan->kind == KL_PLAN_ALTER_TABLE) { /* not one that is another statement underneath */
        p->plan->alter = a;
    }
    return KL_OK;
}

/* ---- COMMENT ON ---- */
static enum kl_rc comment_text(struct kl_parser *p, struct kl_alter *a) {
    KL_TRY(kl_sql__need(p, "is"));
    int at = kl_sql__here(p);
    if (!kl_sql__take(p, "null")) {
        KL_TRY(kl_sql__take_string(p, &a->comment));
    }
    KL_TRY(kl_sql__need_end(p));
    return a->comment.len == 0 || !memchr(a->comment.ptr, 0, a->comment.len)
               ? KL_OK
               : kl_fail_at(p->err, KL_E_INVALID_SQL, at, "a comment cannot hold a NUL character");
}

/* [[kalam.]ns.]table.column */
static enum kl_rc comment_column(
    struct kl_parser *p, struct kl_table_name *name, struct kl_alter *a, int *ret_at) {
    struct kl_slice parts[4];
    int at[4];
    size_t n = 0;
    do {
        if (n == 4) {
            return kl_sql__syntax_error(p);
        }
        at[n] = kl_sql__here(p);
        KL_TRY(kl_sql__take_name(p, &parts[n++]));
    } while (kl_sql__take_punct(p, '.'));
    if (n < 2) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at[0],
            "COMMENT ON COLUMN needs table.column or namespace.table.column");
    }
    if (n == 4 && !kl_slice_eq_str(parts[0], "kalam")) {
        return kl_fail_at(
            p->err, KL_E_INVALID_SQL, at[0], "improper qualified name (too many dotted names)");
    }
    *name = (struct kl_table_name){
        .ns = n > 2 ? parts[n - 3] : p->ctx->session->ns, .name = parts[n - 2], .position = at[0]};
    a->column = parts[n - 1];
    *ret_at = at[n - 1];
    return KL_OK;
}

static enum kl_rc check_comment(struct kl_parser *p, const struct kl_table *t, bool view,
    const struct kl_alter *a, const int at[2]) {
    bool is_view = t->type == KL_TABLE_VIEW;
    if (is_view) {
        KL_TRY(kl_auth_may(p->ctx->session->role, KL_MAY_CREATE_VIEW, p->err));
    } else {
        KL_TRY(kl_auth_may_alter(p->ctx->session->role, t, p->err));
    }
    if (a->column.len > 0) {
        KL_TRY(system_column(p, a->column, "modify", at[1]));
        return kl_table_col(t, a->column) >= 0
                   ? KL_OK
                   : kl_sql__no_column(t, KL_S(""), a->column, at[1], p->err);
    }
    if (view && !is_view) {
        enum kl_rc rc = kl_fail_at(
            p->err, KL_E_EXEC, at[0], "'%.*s' is a table, not a view", KL_FMT(t->qualified));
        kl_err_hint(p->err, "Use COMMENT ON TABLE.");
        return rc;
    }
    return view ? KL_OK : kl_sql__need_table(p, t, at[0]);
}

enum kl_rc kl_sql__parse_comment(struct kl_parser *p) {
    struct kl_table_name name;
    struct kl_table *t;
    struct kl_alter *a = KL_ARENA_NEW(p->arena, struct kl_alter);
    int at[2] = {0};
    bool view = false;
    if (!a) {
        return kl_sql__no_room(p->err);
    }
    if (p->ctx->session->role < KL_ROLE_SERVICE) {
        return kl_fail(p->err, KL_E_PERMISSION_DENIED, "Insufficient privileges to comment");
    }
    kl_sql__start_plan(p, KL_PLAN_COMMENT);
    a->op = KL_ALTER_COMMENT;
    if (kl_sql__take(p, "column")) {
        KL_TRY(comment_column(p, &name, a, &at[1]));
    } else if (kl_sql__take(p, "table") || (view = kl_sql__take(p, "view"))) {
        KL_TRY(kl_sql__take_table(p, &name));
    } else {
        return p->tok.kind == KL_TOK_WORD
                   ? kl_sql__refuse_here(p, "COMMENT ON anything but TABLE, VIEW and COLUMN", NULL)
                   : kl_sql__syntax_error(p);
    }
    at[0] = name.position;
    KL_TRY(comment_text(p, a));
    KL_TRY(kl_sql__known_table(p, &name, &t));
    KL_TRY(check_comment(p, t, view, a, at));
    kl_sql__plan_set_table(p->plan, t);
    p->plan->alter = a;
    return kl_sql__table_label(p, &name, &p->plan->name);
}
