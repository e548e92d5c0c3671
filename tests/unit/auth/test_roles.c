/* The role matrix of the documentation, cell by cell. */
#include "helper.h"

/* A cell: roles that may, as letters: a anonymous, u user, s service, d dba, y system. */
static bool in(const char *roles, int role) {
    return strchr(roles, "ausdy"[role]) != NULL;
}

static void assert_cell(const char *what, enum kl_rc rc, const char *roles, int role) {
    enum kl_rc expected = in(roles, role) ? KL_OK : KL_E_PERMISSION_DENIED;
    if (rc != expected) {
        fail_msg("%s by %s: %s", what, kl_role_name((enum kl_role)role), kl_rc_name(rc));
    }
}

static struct kl_table table(
    enum kl_table_type type, enum kl_access access, const char *ns, uint32_t id) {
    return (struct kl_table){
        .id = id, .type = type, .options = {.access = access}, .ns = ns, .name = "t"};
}

static void tables(void **state) {
    const struct {
        const char *what;
        struct kl_table t;
        const char *read, *write, *alter, *drop;
    } rows[] = {
        {"public", table(KL_TABLE_SHARED, KL_ACCESS_PUBLIC, "app", 1), "ausdy", "sdy", "sdy", "dy"},
        {"private", table(KL_TABLE_SHARED, KL_ACCESS_PRIVATE, "app", 1), "sdy", "sdy", "sdy", "dy"},
        {"restricted", table(KL_TABLE_SHARED, KL_ACCESS_RESTRICTED, "app", 1), "sdy", "sdy", "sdy",
            "dy"},
        {"dba level", table(KL_TABLE_SHARED, KL_ACCESS_DBA, "app", 1), "dy", "dy", "dy", "dy"},
        {"user", table(KL_TABLE_USER, KL_ACCESS_PRIVATE, "app", 1), "usdy", "usdy", "sdy", "dy"},
        {"stream", table(KL_TABLE_STREAM, KL_ACCESS_PRIVATE, "app", 1), "usdy", "usdy", "sdy",
            "dy"},
        {"in dba, user", table(KL_TABLE_USER, KL_ACCESS_PRIVATE, "dba", 1), "dy", "dy", "dy", "dy"},
        {"in dba, public", table(KL_TABLE_SHARED, KL_ACCESS_PUBLIC, "dba", 1), "dy", "dy", "dy",
            "dy"},
        {"system.users", table(KL_TABLE_SYSTEM, KL_ACCESS_DBA, "system", KL_SYS_USERS), "dy", "",
            "", ""},
        {"system.tables", table(KL_TABLE_SYSTEM, KL_ACCESS_DBA, "system", KL_SYS_TABLES), "dy", "",
            "", ""},
        {"system.namespaces", table(KL_TABLE_SYSTEM, KL_ACCESS_DBA, "system", KL_SYS_NAMESPACES),
            "usdy", "", "", ""},
        {"information_schema",
            table(KL_TABLE_SYSTEM, KL_ACCESS_DBA, "information_schema", KL_SYS_IS_TABLES), "ausdy",
            "", "", ""},
    };
    for (size_t i = 0; i < KL_LEN(rows); i++) {
        for (int role = KL_ROLE_ANONYMOUS; role <= KL_ROLE_SYSTEM; role++) {
            assert_cell(rows[i].what, kl_auth_may_read((enum kl_role)role, &rows[i].t, NULL),
                rows[i].read, role);
            assert_cell(rows[i].what, kl_auth_may_write((enum kl_role)role, &rows[i].t, NULL),
                rows[i].write, role);
            assert_cell(rows[i].what, kl_auth_may_alter((enum kl_role)role, &rows[i].t, NULL),
                rows[i].alter, role);
            assert_cell(rows[i].what, kl_auth_may_drop((enum kl_role)role, &rows[i].t, NULL),
                rows[i].drop, role);
        }
    }
}

static void create(void **state) {
    for (int role = KL_ROLE_ANONYMOUS; role <= KL_ROLE_SYSTEM; role++) {
        for (int type = KL_TABLE_USER; type <= KL_TABLE_STREAM; type++) {
            assert_cell("create",
                kl_auth_may_create(
                    (enum kl_role)role, (enum kl_table_type)type, KL_ACCESS_PRIVATE, NULL),
                "sdy", role);
        }
        assert_cell("create public",
            kl_auth_may_create((enum kl_role)role, KL_TABLE_SHARED, KL_ACCESS_PUBLIC, NULL), "sdy",
            role);
        assert_cell("create dba",
            kl_auth_may_create((enum kl_role)role, KL_TABLE_SHARED, KL_ACCESS_DBA, NULL), "dy",
            role);
        assert_cell("create system",
            kl_auth_may_create((enum kl_role)role, KL_TABLE_SYSTEM, KL_ACCESS_DBA, NULL), "", role);
        assert_cell(
            "in dba", kl_auth_may_use_namespace((enum kl_role)role, KL_S("dba"), NULL), "dy", role);
        assert_cell("in app", kl_auth_may_use_namespace((enum kl_role)role, KL_S("app"), NULL),
            "ausdy", role);
    }
}

static void actions(void **state) {
    static const struct {
        enum kl_action what;
        const char *roles, *text;
    } rows[] = {
        {KL_MAY_NAMESPACE_DDL, "dy",
            "Admin privileges (DBA or System role) required for namespace operations"},
        {KL_MAY_STORAGE_DDL, "dy",
            "Admin privileges (DBA or System role) required for storage operations"},
        {KL_MAY_USER_DDL, "dy",
            "Admin privileges (DBA or System role) required for user management"},
        {KL_MAY_JOBS, "dy", "Admin privileges (DBA or System role) required for job management"},
        {KL_MAY_CLUSTER, "dy",
            "Admin privileges (DBA or System role) required for cluster operations"},
        {KL_MAY_TOPIC_DDL, "dy",
            "Admin privileges (DBA or System role) required for topic management"},
        {KL_MAY_BACKUP, "dy",
            "Admin privileges (DBA or System role) required for backup operations"},
        {KL_MAY_RESTORE, "dy",
            "Admin privileges (DBA or System role) required for restore operations"},
        {KL_MAY_EXPLAIN, "dy",
            "Admin privileges (DBA or System role) required for EXPLAIN commands"},
        {KL_MAY_SET, "dy", "Admin privileges (DBA or System role) required for SET commands"},
        {KL_MAY_SHOW_COLUMNS, "dy",
            "Admin privileges (DBA or System role) required for SHOW COLUMNS"},
        {KL_MAY_SHOW_ALL, "dy", "Admin privileges (DBA or System role) required for SHOW ALL"},
        {KL_MAY_CREATE_VIEW, "dy", "Only DBA or System roles can create views"},
        {KL_MAY_FLUSH, "sdy", NULL},
        {KL_MAY_CONSUME, "sdy", "Only service, dba, or system roles can consume from topics"},
        {KL_MAY_KILL_LIVE, "dy", NULL},
        {KL_MAY_READ_SYSTEM, "dy", "System tables require 'dba' or 'system' role."},
    };
    assert_int_equal(KL_LEN(rows), KL_MAY_READ_SYSTEM + 1);
    for (size_t i = 0; i < KL_LEN(rows); i++) {
        for (int role = KL_ROLE_ANONYMOUS; role <= KL_ROLE_SYSTEM; role++) {
            struct kl_err err = {0};
            enum kl_rc rc = kl_auth_may((enum kl_role)role, rows[i].what, &err);
            assert_cell("action", rc, rows[i].roles, role);
            if (rc != KL_OK && rows[i].text) {
                assert_string_equal(err.msg, rows[i].text);
            }
        }
    }
}

static void act_as(void **state) {
    /* row: actor; column: target anonymous (an unknown id counts as user), user, service, dba,
     * system */
    static const char *const may[] = {"", "", "aus", "ausd", "ausdy"};
    for (int actor = KL_ROLE_ANONYMOUS; actor <= KL_ROLE_SYSTEM; actor++) {
        for (int target = KL_ROLE_ANONYMOUS; target <= KL_ROLE_SYSTEM; target++) {
            enum kl_rc rc = kl_auth_may_act_as(
                KL_S("a"), (enum kl_role)actor, KL_S("b"), (enum kl_role)target, NULL);
            assert_cell("act as", rc, may[actor], target);
        }
        enum kl_rc self = kl_auth_may_act_as(
            KL_S("a"), (enum kl_role)actor, KL_S("a"), (enum kl_role)actor, NULL);
        assert_int_equal(self, actor == KL_ROLE_ANONYMOUS ? KL_E_PERMISSION_DENIED : KL_OK);
    }
    struct kl_err err = {0};
    (void)kl_auth_may_act_as(KL_S("bob"), KL_ROLE_USER, KL_S("eve"), KL_ROLE_DBA, &err);
    assert_string_equal(err.msg, "EXECUTE AS USER is not authorized: actor 'bob' with role User "
                                 "cannot target 'eve' with role Dba");
}

static void texts(void **state) {
    struct kl_err err = {0};
    struct kl_table users = table(KL_TABLE_SYSTEM, KL_ACCESS_DBA, "system", KL_SYS_USERS);
    users.name = "users";
    (void)kl_auth_may_read(KL_ROLE_USER, &users, &err);
    assert_string_equal(err.msg, "Access denied: Role 'User' cannot access table 'system.users'. "
                                 "System tables require 'dba' or 'system' role.");
    struct kl_table shared = table(KL_TABLE_SHARED, KL_ACCESS_PUBLIC, "ns", 1);
    (void)kl_auth_may_write(KL_ROLE_USER, &shared, &err);
    assert_string_equal(err.msg, "Permission denied: Access denied: Role 'User' cannot access "
                                 "table 'ns.t'. Shared table write denied (access_level=public)");
    (void)kl_auth_may_write(KL_ROLE_ANONYMOUS, &shared, &err);
    assert_string_equal(err.msg, "Anonymous users can only SELECT from public tables. Please "
                                 "authenticate to perform write operations.");
    (void)kl_auth_may_create(KL_ROLE_USER, KL_TABLE_SHARED, KL_ACCESS_PUBLIC, &err);
    assert_string_equal(err.msg, "Insufficient privileges to create shared tables");
    (void)kl_auth_may_drop(KL_ROLE_SERVICE, &shared, &err);
    assert_string_equal(err.msg, "Insufficient privileges to drop this table");
}

static void names(void **state) {
    static const struct {
        const char *name;
        int role;
    } rows[] = {{"user", KL_ROLE_USER}, {"viewer", KL_ROLE_USER}, {"readonly", KL_ROLE_USER},
        {"SERVICE", KL_ROLE_SERVICE}, {"developer", KL_ROLE_SERVICE}, {"analyst", KL_ROLE_SERVICE},
        {"dba", KL_ROLE_DBA}, {"Admin", KL_ROLE_DBA}, {"system", KL_ROLE_SYSTEM}, {"anonymous", -1},
        {"", -1}, {"root", -1}, {"dbax", -1}, {"db", -1}};
    for (size_t i = 0; i < KL_LEN(rows); i++) {
        enum kl_role role;
        bool known = kl_role_parse(kl_slice_str(rows[i].name), &role);
        assert_int_equal(known, rows[i].role >= 0);
        assert_true(!known || (int)role == rows[i].role);
    }
    assert_string_equal(kl_role_name(KL_ROLE_ANONYMOUS), "anonymous");
    assert_string_equal(kl_role_name(KL_ROLE_SYSTEM), "system");
    assert_false(kl_role_is_admin(KL_ROLE_SERVICE));
    assert_true(kl_role_is_admin(KL_ROLE_DBA));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tables), cmocka_unit_test(create),
        cmocka_unit_test(actions), cmocka_unit_test(act_as), cmocka_unit_test(texts),
        cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
