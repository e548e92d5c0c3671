/* What follows the columns of CREATE TABLE: WITH (...) or OPTIONS (...), and the older words FLUSH
 * POLICY, RETENTION, EPHEMERAL, MAX_BUFFER, in any order. An option that is not known is refused
 * with the list of those that are; one that is known has an effect or is refused for this type of
 * table. */
#include "sql/parse_internal.h"

#define MAX_TTL_S 31536000     /* a year */
#define MAX_RETENTION_H 876000 /* as retention.default_deleted_retention_hours */
#define MAX_FLUSH_ROWS 999999
#define MAX_FLUSH_S 86399
#define MAX_BUFFER_ROWS 10000000
#define KNOWN                                                                                      \
    "TYPE, STORAGE_ID, USE_USER_STORAGE, FLUSH_POLICY, DELETED_RETENTION_HOURS, TTL_SECONDS, "     \
    "ACCESS_LEVEL, MAX_BUFFER"

static enum kl_rc twice(struct kl_parser *p, int at, const char *what) {
    return kl_sql__bad_table(p, at, "%s is given more than once", what);
}

/* A number within bounds, for an option. */
static enum kl_rc count(struct kl_parser *p, const char *what, int64_t max, uint32_t *ret) {
    int64_t v;
    enum kl_rc rc = kl_sql__take_count(p, what, 1, max, &v);
    if (rc != KL_OK) {
        kl_err_prefix(p->err, "Invalid CREATE TABLE statement");
        return rc;
    }
    *ret = (uint32_t)v;
    return KL_OK;
}

static enum kl_rc set_ttl(struct kl_parser *p, struct kl_table_clauses *c) {
    if (c->has_ttl) {
        return twice(p, kl_sql__here(p), "TTL_SECONDS");
    }
    c->has_ttl = true;
    return count(p, "TTL_SECONDS", MAX_TTL_S, &c->options.ttl_seconds);
}

static enum kl_rc set_buffer(struct kl_parser *p, struct kl_table_clauses *c) {
    if (c->has_max_buffer) {
        return twice(p, kl_sql__here(p), "MAX_BUFFER");
    }
    c->has_max_buffer = true;
    return count(p, "MAX_BUFFER", MAX_BUFFER_ROWS, &c->options.max_buffer);
}

/* ---- flush policies ---- */
static enum kl_rc flush_rows(struct kl_parser *p, struct kl_table_clauses *c, int64_t n, int at) {
    if (n < 1) {
        return kl_sql__bad_table(p, at, "FLUSH_POLICY must specify 'rows' or 'interval' > 0");
    }
    if (n > MAX_FLUSH_ROWS) {
        return kl_sql__bad_table(p, at, "Row limit must be less than 1,000,000");
    }
    if (c->options.flush_rows > 0) {
        return twice(p, at, "the row limit of FLUSH_POLICY");
    }
    c->options.flush_rows = (uint32_t)n;
    c->has_flush = true;
    return KL_OK;
}

static enum kl_rc flush_interval(
    struct kl_parser *p, struct kl_table_clauses *c, int64_t n, int at) {
    if (n < 1) {
        return kl_sql__bad_table(p, at, "FLUSH_POLICY must specify 'rows' or 'interval' > 0");
    }
    if (n > MAX_FLUSH_S) {
        return kl_sql__bad_table(p, at, "Interval must be less than 86400 seconds (24 hours)");
    }
    if (c->options.flush_interval_s > 0) {
        return twice(p, at, "the interval of FLUSH_POLICY");
    }
    c->options.flush_interval_s = (uint32_t)n;
    c->has_flush = true;
    return KL_OK;
}

/* 'rows:N', 'interval:S', or both with a comma. */
static enum kl_rc flush_text(
    struct kl_parser *p, struct kl_table_clauses *c, struct kl_slice text, int at) {
    while (true) {
        const char *comma = text.len > 0 ? memchr(text.ptr, ',', text.len) : NULL;
        struct kl_slice part =
            kl_slice_trim(comma ? kl_slice(text.ptr, (size_t)(comma - text.ptr)) : text);
        const char *colon = part.len > 0 ? memchr(part.ptr, ':', part.len) : NULL;
        struct kl_slice key =
            colon ? kl_slice_trim(kl_slice(part.ptr, (size_t)(colon - part.ptr))) : part;
        struct kl_slice value =
            colon ? kl_slice_trim(kl_slice_from(part, (size_t)(colon - part.ptr) + 1)) : KL_S("");
        int64_t n;
        bool rows = kl_slice_ieq_str(key, "rows"), interval = kl_slice_ieq_str(key, "interval");
        if ((!rows && !interval) || !kl_parse_i64(value, &n)) {
            return kl_sql__bad_table(p, at,
                "Invalid FLUSH_POLICY '%.*s'. Use 'rows:N', 'interval:SECONDS' or "
                "'rows:N,interval:SECONDS'",
                KL_FMT(kl_slice(part.ptr, KL_MIN(part.len, (size_t)60))));
        }
        KL_TRY(rows ? flush_rows(p, c, n, at) : flush_interval(p, c, n, at));
        if (!comma) {
            return KL_OK;
        }
        text = kl_slice_from(text, (size_t)(comma - text.ptr) + 1);
    }
}

/* FLUSH POLICY ROW_LIMIT n [TIME_INTERVAL s] */
static enum kl_rc flush_words(struct kl_parser *p, struct kl_table_clauses *c) {
    bool any = false;
    for (;;) {
        bool rows = kl_sql__take(p, "row_limit");
        if (!rows && !kl_sql__take(p, "time_interval")) {
            return any ? KL_OK : kl_sql__syntax_error(p);
        }
        int at = kl_sql__here(p);
        int64_t n;
        kl_sql__take_op(p, "=");
        KL_TRY(kl_sql__take_count(p, rows ? "ROW_LIMIT" : "TIME_INTERVAL", 0, INT64_MAX, &n));
        KL_TRY(rows ? flush_rows(p, c, n, at) : flush_interval(p, c, n, at));
        any = true;
    }
}

/* ---- one option ---- */
enum kl_rc kl_sql__access_level(
    struct kl_parser *p, struct kl_slice text, int position, enum kl_access *ret) {
    for (int a = KL_ACCESS_PUBLIC; a <= KL_ACCESS_DBA; a++) {
        if (kl_slice_ieq_str(text, kl_access_name((enum kl_access)a))) {
            *ret = (enum kl_access)a;
            return KL_OK;
        }
    }
    return kl_fail_at(p->err, KL_E_INVALID_SQL, position,
        "Invalid access level '%.*s'. Supported: PUBLIC, PRIVATE, RESTRICTED, DBA",
        KL_FMT(kl_slice(text.ptr, KL_MIN(text.len, (size_t)60))));
}

static enum kl_rc set_type(
    struct kl_parser *p, struct kl_table_clauses *c, struct kl_slice text, int at) {
    for (int t = KL_TABLE_USER; t <= KL_TABLE_STREAM; t++) {
        if (kl_slice_ieq_str(text, kl_table_type_name((enum kl_table_type)t))) {
            if (c->type != 0 && c->type != (enum kl_table_type)t) {
                return kl_sql__bad_table(p, at,
                    "Conflicting table type definitions: CREATE %s TABLE vs TYPE option %.*s",
                    kl_table_type_name(c->type), KL_FMT(text));
            }
            c->type = (enum kl_table_type)t;
            return KL_OK;
        }
    }
    return kl_sql__bad_table(p, at, "Invalid TYPE option '%.*s'. Supported: USER, SHARED, STREAM",
        KL_FMT(kl_slice(text.ptr, KL_MIN(text.len, (size_t)60))));
}

static enum kl_rc set_storage(
    struct kl_parser *p, struct kl_table_clauses *c, struct kl_slice text, int at) {
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.ptr[i];
        bool ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                  (ch >= '0' && ch <= '9') || ch == '_' || ch == '-';
        if (!ok) {
            return kl_sql__bad_table(p, at, "Invalid storage id '%.*s'",
                KL_FMT(kl_slice(text.ptr, KL_MIN(text.len, (size_t)60))));
        }
    }
    if (!kl_cat_storage(p->ctx->cat, text)) {
        return kl_fail_at(p->err, KL_E_NOT_FOUND, at, "Storage '%.*s' does not exist",
            KL_FMT(kl_slice(text.ptr, KL_MIN(text.len, (size_t)60))));
    }
    c->options.storage_id = text.ptr; /* followed by a NUL, as everything in an arena */
    return KL_OK;
}

static enum kl_rc set_flag(struct kl_parser *p, bool *ret) {
    struct kl_slice text;
    int at = kl_sql__here(p);
    KL_TRY(kl_sql__take_text(p, &text));
    if (!kl_slice_ieq_str(text, "true") && !kl_slice_ieq_str(text, "false")) {
        return kl_sql__bad_table(p, at, "expected TRUE or FALSE, got '%.*s'",
            KL_FMT(kl_slice(text.ptr, KL_MIN(text.len, (size_t)60))));
    }
    *ret = kl_slice_ieq_str(text, "true");
    return KL_OK;
}

static enum kl_rc option(struct kl_parser *p, struct kl_table_clauses *c) {
    struct kl_slice name, text;
    int name_at = kl_sql__here(p);
    KL_TRY(kl_sql__take_text(p, &name));
    KL_TRY(kl_sql__need_op(p, "="));
    int at = kl_sql__here(p);
    if (kl_slice_ieq_str(name, "ttl_seconds")) {
        return set_ttl(p, c);
    }
    if (kl_slice_ieq_str(name, "max_buffer")) {
        return set_buffer(p, c);
    }
    if (kl_slice_ieq_str(name, "deleted_retention_hours")) {
        c->has_retention = true;
        return count(
            p, "DELETED_RETENTION_HOURS", MAX_RETENTION_H, &c->options.deleted_retention_hours);
    }
    if (kl_slice_ieq_str(name, "use_user_storage")) {
        c->has_user_storage = true;
        return set_flag(p, &c->options.use_user_storage);
    }
    bool type = kl_slice_ieq_str(name, "type"), storage = kl_slice_ieq_str(name, "storage_id");
    bool flush = kl_slice_ieq_str(name, "flush_policy"),
         access = kl_slice_ieq_str(name, "access_level");
    if (!type && !storage && !flush && !access) {
        return kl_sql__bad_table(p, name_at, "Unknown table option '%.*s'. Known options: " KNOWN,
            KL_FMT(kl_slice(name.ptr, KL_MIN(name.len, (size_t)60))));
    }
    KL_TRY(kl_sql__take_text(p, &text));
    if (access) {
        c->has_access = true;
        return kl_sql__access_level(p, text, at, &c->options.access);
    }
    return type      ? set_type(p, c, text, at)
           : storage ? set_storage(p, c, text, at)
                     : flush_text(p, c, text, at);
}

static enum kl_rc option_list(struct kl_parser *p, struct kl_table_clauses *c) {
    KL_TRY(kl_sql__need_punct(p, '('));
    if (kl_sql__take_punct(p, ')')) {
        return KL_OK;
    }
    do {
        KL_TRY(option(p, c));
    } while (kl_sql__take_punct(p, ','));
    return kl_sql__need_punct(p, ')');
}

enum kl_rc kl_sql__parse_table_clauses(struct kl_parser *p, struct kl_table_clauses *c) {
    while (p->tok.kind != KL_TOK_END && p->tok.punct != ';' && !kl_sql__at_word(p, "as")) {
        int at = kl_sql__here(p);
        if (kl_sql__take(p, "with") || kl_sql__take(p, "options")) {
            KL_TRY(option_list(p, c));
        } else if (kl_sql__take(p, "flush policy")) {
            KL_TRY(flush_words(p, c));
        } else if (kl_sql__take(p, "retention") || kl_sql__take(p, "ttl")) {
            KL_TRY(set_ttl(p, c));
        } else if (kl_sql__take(p, "ephemeral")) {
            c->ephemeral = true;
        } else if (kl_sql__take(p, "max_buffer")) {
            KL_TRY(set_buffer(p, c));
        } else if (kl_sql__take(p, "using")) {
            struct kl_slice engine;
            KL_TRY(kl_sql__take_name(p, &engine));
            return kl_fail_at(p->err, KL_E_UNSUPPORTED, at,
                "USING %.*s is not available: there is one kind of storage engine", KL_FMT(engine));
        } else {
            return kl_sql__syntax_error(p);
        }
    }
    return KL_OK;
}
