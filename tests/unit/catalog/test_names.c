/* Which names are taken, and with which words others are refused. */
#include "helper.h"

static void check(const char *what, const char *name, const char *text) {
    struct kl_err err = {0};
    enum kl_rc rc = kl_name_check(what, kl_slice_str(name), &err);
    if (!text) {
        assert_int_equal(rc, KL_OK);
        return;
    }
    assert_int_equal(rc, KL_E_INVALID_SQL);
    assert_string_equal(err.msg, text);
}

static void names(void **state) {
    char long64[65], long65[66];
    memset(long64, 'a', 64);
    long64[64] = 0;
    memset(long65, 'a', 65);
    long65[65] = 0;
    check("table", "messages", NULL);
    check("table", "m", NULL);
    check("table", "m_1", NULL);
    check("table", long64, NULL);
    check("table", "", "Name cannot be empty");
    check("table", long65, "Name is too long (65 characters, max 64)");
    check("table", "_x", "Name cannot start with underscore (reserved for system columns)");
    check("table", "1x", "Name cannot start with a number");
    check("table", "a b", "Name cannot contain spaces");
    check("table", "a-b",
        "Name 'a-b' contains invalid characters (only alphanumeric and underscore allowed)");
    check("table", "caf\xc3\xa9",
        "Name 'caf\xc3\xa9' contains invalid characters (only alphanumeric and underscore "
        "allowed)");
    check("table", "select", "Name 'select' is a reserved SQL keyword and cannot be used");
    check("column", "_seq", "Column name '_seq' is reserved and cannot be used");
    check("column", "_other", "Name cannot start with underscore (reserved for system columns)");
    const char *free_names[] = {
        "id", "user_id", "timestamp", "count", "hour", "version", "data", "user", "role", "title"};
    for (size_t i = 0; i < KL_LEN(free_names); i++) {
        check("column", free_names[i], NULL);
    }
    const char *taken[] = {"system", "sys", "root", "kalamdb", "kalam", "main", "default", "sql",
        "admin", "internal", "information_schema", "pg_catalog", "datafusion"};
    for (size_t i = 0; i < KL_LEN(taken); i++) {
        char text[200];
        snprintf(text, sizeof(text), "Namespace '%s' is reserved and cannot be used", taken[i]);
        check("namespace", taken[i], text);
    }
    check("table", "system", NULL);
}

static void system_namespaces(void **state) {
    assert_true(kl_namespace_is_system(KL_S("system")));
    assert_true(kl_namespace_is_system(KL_S("information_schema")));
    assert_true(kl_namespace_is_system(KL_S("pg_catalog")));
    assert_false(kl_namespace_is_system(KL_S("default")));
    assert_false(kl_namespace_is_system(KL_S("dba")));
    assert_false(kl_namespace_is_system(KL_S("")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names), cmocka_unit_test(system_namespaces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
