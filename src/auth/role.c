/* Role decisions, deny by default: who is not named may not. Any thread, no state.
 *
 *   action                                   anonymous  user  service  dba  system
 *   read PUBLIC shared                           x        x      x      x     x
 *   read PRIVATE, RESTRICTED shared                              x      x     x
 *   write SHARED (PUBLIC, PRIVATE, RESTRICTED)                   x      x     x
 *   read, write SHARED of level DBA                                     x     x
 *   own rows of USER and STREAM                           x      x      x     x
 *   read a view (its query then reads as the caller)      x      x      x     x
 *   information_schema                           x        x      x      x     x
 *   system.namespaces                                     x      x      x     x
 *   other system.*, every table of `dba`                                x     x
 *   CREATE, ALTER TABLE (not of level DBA)                       x      x     x
 *   DROP TABLE, views, administration                                   x     x
 *   flush, compact, consume                                      x      x     x
 *
 * DDL is closed to role user: tables are shared by all users, so one tenant could drop everyone's
 * column. */
#include "auth/internal.h"

static const char *const names[] = {"anonymous", "user", "service", "dba", "system"};
static const char *const titles[] = {
    "Anonymous", "User", "Service", "Dba", "System"}; /* as error texts write them */

const char *kl_role_name(enum kl_role r) {
    KL_ASSERT(r >= KL_ROLE_ANONYMOUS && r <= KL_ROLE_SYSTEM);
    return names[r];
}

static const char *title(enum kl_role r) {
    KL_ASSERT(r >= KL_ROLE_ANONYMOUS && r <= KL_ROLE_SYSTEM);
    return titles[r];
}

bool kl_auth__role_exact(struct kl_slice s, enum kl_role *ret) {
    for (int r = KL_ROLE_ANONYMOUS; r <= KL_ROLE_SYSTEM; r++) {
        if (kl_slice_eq_str(s, names[r])) {
            *ret = (enum kl_role)r;
            return true;
        }
    }
    return false;
}

bool kl_role_parse(struct kl_slice s, enum kl_role *ret) {
    /* `anonymous` is the absence of an account, so no account can have it. */
    static const struct {
        const char *name;
        enum kl_role role;
    } known[] = {{"user", KL_ROLE_USER}, {"viewer", KL_ROLE_USER}, {"readonly", KL_ROLE_USER},
        {"service", KL_ROLE_SERVICE}, {"developer", KL_ROLE_SERVICE}, {"analyst", KL_ROLE_SERVICE},
        {"dba", KL_ROLE_DBA}, {"admin", KL_ROLE_DBA}, {"system", KL_ROLE_SYSTEM}};
    for (size_t i = 0; i < KL_LEN(known); i++) {
        if (kl_slice_ieq_str(s, known[i].name)) {
            *ret = known[i].role;
            return true;
        }
    }
    return false;
}

enum kl_rc kl_auth_may(enum kl_role role, enum kl_action what, struct kl_err *err) {
    static const struct {
        enum kl_role least;
        const char *area; /* of the administrators' sentence, or NULL */
        const char *text; /* a sentence of its own */
    } rules[] = {
        [KL_MAY_NAMESPACE_DDL] = {KL_ROLE_DBA, "namespace operations", NULL},
        [KL_MAY_STORAGE_DDL] = {KL_ROLE_DBA, "storage operations", NULL},
        [KL_MAY_USER_DDL] = {KL_ROLE_DBA, "user management", NULL},
        [KL_MAY_JOBS] = {KL_ROLE_DBA, "job management", NULL},
        [KL_MAY_CLUSTER] = {KL_ROLE_DBA, "cluster operations", NULL},
        [KL_MAY_TOPIC_DDL] = {KL_ROLE_DBA, "topic management", NULL},
        [KL_MAY_BACKUP] = {KL_ROLE_DBA, "backup operations", NULL},
        [KL_MAY_RESTORE] = {KL_ROLE_DBA, "restore operations", NULL},
        [KL_MAY_EXPLAIN] = {KL_ROLE_DBA, "EXPLAIN commands", NULL},
        [KL_MAY_SET] = {KL_ROLE_DBA, "SET commands", NULL},
        [KL_MAY_SHOW_COLUMNS] = {KL_ROLE_DBA, "SHOW COLUMNS", NULL},
        [KL_MAY_SHOW_ALL] = {KL_ROLE_DBA, "SHOW ALL", NULL},
        [KL_MAY_CREATE_VIEW] = {KL_ROLE_DBA, NULL, "Only DBA or System roles can create views"},
        [KL_MAY_FLUSH] = {KL_ROLE_SERVICE, NULL,
            "STORAGE FLUSH and STORAGE COMPACT require Service, DBA, or System role"},
        [KL_MAY_CONSUME] = {KL_ROLE_SERVICE, NULL,
            "Only service, dba, or system roles can consume from topics"},
        [KL_MAY_KILL_LIVE] = {KL_ROLE_DBA, "live query management", NULL},
        [KL_MAY_READ_SYSTEM] = {KL_ROLE_DBA, NULL, "System tables require 'dba' or 'system' role."},
    };
    KL_ASSERT((size_t)what < KL_LEN(rules));
    if (role >= rules[what].least) {
        return KL_OK;
    }
    if (rules[what].area) {
        return kl_fail(err, KL_E_PERMISSION_DENIED,
            "Admin privileges (DBA or System role) required for %s", rules[what].area);
    }
    return kl_fail(err, KL_E_PERMISSION_DENIED, "%s", rules[what].text);
}

/* What administrators keep for themselves: SHARED tables of level DBA, and every table of the
 * namespace `dba`. */
static bool is_dba_only(const struct kl_table *t) {
    return (t->type == KL_TABLE_SHARED && t->options.access == KL_ACCESS_DBA) ||
           strcmp(t->ns, "dba") == 0;
}

enum kl_rc kl_auth_may_create(
    enum kl_role role, enum kl_table_type type, enum kl_access access, struct kl_err *err) {
    bool dba_level = type == KL_TABLE_SHARED && access == KL_ACCESS_DBA;
    enum kl_role least = dba_level ? KL_ROLE_DBA : KL_ROLE_SERVICE;
    if (type != KL_TABLE_SYSTEM && role >= least) {
        return KL_OK;
    }
    return kl_fail(err, KL_E_PERMISSION_DENIED, "Insufficient privileges to create %s%s tables",
        dba_level ? "DBA-level " : "", kl_table_type_name(type));
}

enum kl_rc kl_auth_may_use_namespace(enum kl_role role, struct kl_slice ns, struct kl_err *err) {
    if (role >= KL_ROLE_DBA || !kl_slice_eq(ns, KL_S("dba"))) {
        return KL_OK;
    }
    return kl_fail(
        err, KL_E_PERMISSION_DENIED, "Insufficient privileges to create tables in namespace 'dba'");
}

enum kl_rc kl_auth_may_alter(enum kl_role role, const struct kl_table *t, struct kl_err *err) {
    bool admins = is_dba_only(t) || t->type == KL_TABLE_VIEW;
    if (t->type != KL_TABLE_SYSTEM && role >= (admins ? KL_ROLE_DBA : KL_ROLE_SERVICE)) {
        return KL_OK;
    }
    return kl_fail(err, KL_E_PERMISSION_DENIED, "Insufficient privileges to alter table");
}

enum kl_rc kl_auth_may_drop(enum kl_role role, const struct kl_table *t, struct kl_err *err) {
    if (t->type != KL_TABLE_SYSTEM && role >= KL_ROLE_DBA) {
        return KL_OK;
    }
    return kl_fail(err, KL_E_PERMISSION_DENIED, "Insufficient privileges to drop this %s",
        t->type == KL_TABLE_VIEW ? "view" : "table");
}

static enum kl_rc deny(
    enum kl_role role, const struct kl_table *t, const char *verb, struct kl_err *err) {
    if (t->type == KL_TABLE_SHARED) {
        return kl_fail(err, KL_E_PERMISSION_DENIED,
            "Permission denied: Access denied: Role '%s' cannot access table '%s.%s'. Shared table "
            "%s denied (access_level=%s)",
            title(role), t->ns, t->name, verb, kl_access_name(t->options.access));
    }
    return kl_fail(err, KL_E_PERMISSION_DENIED,
        "Permission denied: Access denied: Role '%s' cannot access table '%s.%s'", title(role),
        t->ns, t->name);
}

static enum kl_role least_to_read(const struct kl_table *t) {
    if (is_dba_only(t)) {
        return KL_ROLE_DBA;
    }
    switch (t->type) {
    case KL_TABLE_USER:
    case KL_TABLE_STREAM:
    case KL_TABLE_VIEW:
        return KL_ROLE_USER;
    case KL_TABLE_SHARED:
        return t->options.access == KL_ACCESS_PUBLIC ? KL_ROLE_ANONYMOUS : KL_ROLE_SERVICE;
    case KL_TABLE_SYSTEM:
        if (strcmp(t->ns, "information_schema") == 0) {
            return KL_ROLE_ANONYMOUS;
        }
        return t->id == KL_SYS_NAMESPACES ? KL_ROLE_USER : KL_ROLE_DBA;
    }
    KL_UNREACHABLE();
}

enum kl_rc kl_auth_may_read(enum kl_role role, const struct kl_table *t, struct kl_err *err) {
    if (role >= least_to_read(t)) {
        return KL_OK;
    }
    if (t->type == KL_TABLE_SYSTEM) {
        return kl_fail(err, KL_E_PERMISSION_DENIED,
            "Access denied: Role '%s' cannot access table '%s.%s'. System tables require 'dba' or "
            "'system' role.",
            title(role), t->ns, t->name);
    }
    return deny(role, t, "read", err);
}

enum kl_rc kl_auth_may_write(enum kl_role role, const struct kl_table *t, struct kl_err *err) {
    if (role == KL_ROLE_ANONYMOUS) {
        return kl_fail(err, KL_E_PERMISSION_DENIED,
            "Anonymous users can only SELECT from public tables. Please authenticate to perform "
            "write operations.");
    }
    if (t->type == KL_TABLE_SYSTEM) {
        return kl_fail(err, KL_E_PERMISSION_DENIED,
            "Access denied: System table '%s.%s' cannot be written", t->ns, t->name);
    }
    if (t->type == KL_TABLE_VIEW) {
        return kl_fail(err, KL_E_UNSUPPORTED, "View '%s.%s' cannot be written", t->ns, t->name);
    }
    enum kl_role least = is_dba_only(t)               ? KL_ROLE_DBA
                         : t->type == KL_TABLE_SHARED ? KL_ROLE_SERVICE
                                                      : KL_ROLE_USER;
    return role >= least ? KL_OK : deny(role, t, "write", err);
}

enum kl_rc kl_auth_may_act_as(struct kl_slice actor, enum kl_role actor_role,
    struct kl_slice target, enum kl_role target_role, struct kl_err *err) {
    bool self = actor_role >= KL_ROLE_USER && kl_slice_eq(actor, target);
    bool allowed = actor_role == KL_ROLE_SYSTEM ||
                   (actor_role == KL_ROLE_DBA && target_role <= KL_ROLE_DBA) ||
                   (actor_role == KL_ROLE_SERVICE && target_role <= KL_ROLE_SERVICE);
    if (self || allowed) {
        return KL_OK;
    }
    return kl_fail(err, KL_E_PERMISSION_DENIED,
        "EXECUTE AS USER is not authorized: actor '%.*s' with role %s cannot target '%.*s' with "
        "role %s",
        KL_FMT(actor), title(actor_role), KL_FMT(target), title(target_role));
}
