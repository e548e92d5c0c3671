/* ALTER TABLE: one operation a statement. */
#include "sql/parse_internal.h"

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

static enum kl_rc add(struct kl_parser *p, struct kl_alter *a) {
    bool constraint = kl_sql__at_word(p, "constraint") || kl_sql__at_word(p, "primary") ||
                      kl_sql__at_word(p, "unique") || kl_sql__at_word(p, "check") ||
                      kl_sql__at_word(p, "foreign");
    bool column = kl_sql__take(p, "column");
    if (constraint && !column) {
        return kl_sql__unavailable(p->err, "ALTER TABLE ... ADD of a constraint");
    }
    if (kl_sql__take(p, "if not exists")) {
        return kl_sql__unavailable(p->err, "ADD COLUMN IF NOT EXISTS");
    }
    int at = kl_sql__here(p);
    KL_TRY(kl_sql__parse_column(p, &a->add));
    if (p->tok.punct == ')') {
        return kl_sql__syntax_error(p);
    }
    if (a->add.name.ptr[0] == '_') {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at,
            "Cannot add column '%.*s': reserved system column name", KL_FMT(a->add.name));
    }
    if (a->add.pk_pos > 0) {
        return kl_sql__unavailable(p->err, "ADD COLUMN ... PRIMARY KEY");
    }
    KL_TRY(kl_name_check("column", a->add.name, p->err));
    a->op = KL_ALTER_ADD;
    return missing_value(p, &a->add, &a->missing);
}

/* ---- DROP, RENAME, ACCESS ---- */
static enum kl_rc drop(struct kl_parser *p, struct kl_alter *a) {
    bool column = kl_sql__take(p, "column");
    if (!column && (kl_sql__at_word(p, "constraint") || kl_sql__at_word(p, "index") ||
                       kl_sql__at_word(p, "vector"))) {
        return kl_sql__unavailable(p->err, "ALTER TABLE ... DROP of an index or constraint");
    }
    if (kl_sql__take(p, "if exists")) {
        return kl_sql__unavailable(p->err, "DROP COLUMN IF EXISTS");
    }
    int at = kl_sql__here(p);
    KL_TRY(kl_sql__take_name(p, &a->column));
    KL_TRY(system_column(p, a->column, "drop", at));
    if (kl_sql__at_word(p, "cascade") || kl_sql__at_word(p, "restrict")) {
        return kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_sql__here(p),
            "DROP COLUMN CASCADE/RESTRICT is not supported");
    }
    a->op = KL_ALTER_DROP;
    return KL_OK;
}

static enum kl_rc rename_column(struct kl_parser *p, struct kl_alter *a) {
    bool column = kl_sql__take(p, "column");
    int at = kl_sql__here(p);
    if (!column && kl_sql__at_word(p, "to")) {
        return kl_sql__unavailable(p->err, "ALTER TABLE ... RENAME TO");
    }
    KL_TRY(kl_sql__take_name(p, &a->column));
    KL_TRY(system_column(p, a->column, "rename", at));
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
        return kl_sql__unavailable(p->err, "this form of ALTER TABLE ... SET");
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

static enum kl_rc operation(struct kl_parser *p, const struct kl_table *t, struct kl_alter *a) {
    if (kl_sql__take(p, "add")) {
        return add(p, a);
    }
    if (kl_sql__take(p, "drop")) {
        return drop(p, a);
    }
    if (kl_sql__take(p, "rename")) {
        return rename_column(p, a);
    }
    if (kl_sql__take(p, "set")) {
        return set_access(p, t, a);
    }
    if (kl_sql__take(p, "modify")) {
        return kl_sql__unavailable(p->err, "ALTER TABLE ... MODIFY COLUMN");
    }
    if (kl_sql__take(p, "alter")) {
        return kl_sql__unavailable(p->err, "ALTER TABLE ... ALTER COLUMN");
    }
    if (kl_sql__take(p, "create")) {
        return kl_sql__unavailable(p->err, "ALTER TABLE ... CREATE INDEX");
    }
    return kl_sql__syntax_error(p);
}

enum kl_rc kl_sql__parse_alter_table(struct kl_parser *p) {
    struct kl_table_name name;
    struct kl_table *t;
    struct kl_alter *a = KL_ARENA_NEW(p->arena, struct kl_alter);
    if (!a) {
        return kl_sql__no_room(p->err);
    }
    kl_sql__start_plan(p, KL_PLAN_ALTER_TABLE);
    KL_TRY(kl_sql__take_table(p, &name));
    if (p->ctx->session->role < KL_ROLE_SERVICE) {
        return kl_fail(p->err, KL_E_PERMISSION_DENIED, "Insufficient privileges to alter table");
    }
    KL_TRY(kl_sql__known_table(p, &name, &t));
    KL_TRY(kl_auth_may_alter(p->ctx->session->role, t, p->err));
    KL_TRY(operation(p, t, a));
    if (p->tok.punct == ',') {
        return kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_sql__here(p),
            "Only one ALTER TABLE operation is supported per statement");
    }
    if (kl_sql__at_word(p, "first") || kl_sql__at_word(p, "after")) {
        return kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_sql__here(p),
            "Column position modifiers (FIRST/AFTER) are not supported");
    }
    KL_TRY(kl_sql__need_end(p));
    kl_sql__plan_set_table(p->plan, t);
    p->plan->alter = a;
    return kl_sql__table_label(p, &name, &p->plan->name);
}
