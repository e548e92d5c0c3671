/* Names: which ones namespaces, tables and columns may have. The texts are read by clients. Any
 * thread. */
#include "catalog/internal.h"

static const char *const reserved_namespaces[] = {"system", "sys", "root", "kalamdb", "kalam",
    "main", "default", "sql", "admin", "internal", "information_schema", "pg_catalog",
    "datafusion"};
static const char *const system_namespaces[] = {
    "system", "information_schema", "pg_catalog", "datafusion"};
static const char *const reserved_columns[] = {"_seq", "_deleted", "_id", "_row_id", "_rowid",
    "_key", "_updated", "_created", "_timestamp", "_version", "_hash"};
/* Words that begin a clause: a statement that names one without quotes would be read as something
 * else. */
static const char *const keywords[] = {"all", "alter", "analyze", "and", "any", "as", "asc",
    "between", "by", "case", "cast", "create", "cross", "database", "delete", "desc", "distinct",
    "drop", "else", "end", "except", "exists", "explain", "fetch", "for", "from", "full", "group",
    "having", "in", "index", "inner", "insert", "intersect", "interval", "into", "is", "join",
    "lateral", "left", "like", "limit", "natural", "not", "null", "offset", "on", "or", "order",
    "outer", "returning", "right", "schema", "select", "set", "table", "tables", "tablesample",
    "tablespace", "then", "union", "update", "using", "view", "when", "where", "window", "with"};

static bool listed(const char *const *list, size_t n, struct kl_slice name) {
    for (size_t i = 0; i < n; i++) {
        if (kl_slice_ieq_str(name, list[i])) {
            return true;
        }
    }
    return false;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
static bool is_word(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static enum kl_rc check_characters(struct kl_slice name, struct kl_err *err) {
    if (memchr(name.ptr, ' ', name.len)) {
        return kl_fail(err, KL_E_INVALID_SQL, "Name cannot contain spaces");
    }
    for (size_t i = 0; i < name.len; i++) {
        if (!is_word(name.ptr[i])) {
            return kl_fail(err, KL_E_INVALID_SQL,
                "Name '%.*s' contains invalid characters (only alphanumeric and underscore "
                "allowed)",
                KL_FMT(name));
        }
    }
    return KL_OK;
}

enum kl_rc kl_name_check(const char *what, struct kl_slice name, struct kl_err *err) {
    if (name.len == 0) {
        return kl_fail(err, KL_E_INVALID_SQL, "Name cannot be empty");
    }
    if (name.len > 64) {
        return kl_fail(
            err, KL_E_INVALID_SQL, "Name is too long (%zu characters, max 64)", kl_utf8_len(name));
    }
    if (strcmp(what, "column") == 0 && listed(reserved_columns, KL_LEN(reserved_columns), name)) {
        return kl_fail(err, KL_E_INVALID_SQL, "Column name '%.*s' is reserved and cannot be used",
            KL_FMT(name));
    }
    if (name.ptr[0] == '_') {
        return kl_fail(err, KL_E_INVALID_SQL,
            "Name cannot start with underscore (reserved for system columns)");
    }
    if (is_digit(name.ptr[0])) {
        return kl_fail(err, KL_E_INVALID_SQL, "Name cannot start with a number");
    }
    KL_TRY(check_characters(name, err));
    if (strcmp(what, "namespace") == 0 &&
        listed(reserved_namespaces, KL_LEN(reserved_namespaces), name)) {
        return kl_fail(
            err, KL_E_INVALID_SQL, "Namespace '%.*s' is reserved and cannot be used", KL_FMT(name));
    }
    if (listed(keywords, KL_LEN(keywords), name)) {
        return kl_fail(err, KL_E_INVALID_SQL,
            "Name '%.*s' is a reserved SQL keyword and cannot be used", KL_FMT(name));
    }
    return KL_OK;
}

bool kl_namespace_is_system(struct kl_slice ns) {
    return listed(system_namespaces, KL_LEN(system_namespaces), ns);
}
