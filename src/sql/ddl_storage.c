/* CREATE, ALTER, DROP STORAGE and STORAGE CHECK. For administrators. What is not given stays NULL
 * in the plan; templates are checked by the catalog, the place itself by whoever runs the plan. */
#include "sql/parse_internal.h"

#define MAX_ID 64
#define MAX_TEXT 16384

static enum kl_rc admin(struct kl_parser *p, enum kl_plan_kind kind) {
    KL_TRY(kl_auth_may(p->ctx->session->role, KL_MAY_STORAGE_DDL, p->err));
    kl_sql__start_plan(p, kind);
    return KL_OK;
}

/* Letters, digits, '_' and '-'. A bare id with hyphens is several tokens that touch. */
static enum kl_rc take_id(struct kl_parser *p) {
    int at = kl_sql__here(p);
    struct kl_slice id;
    if (p->tok.kind == KL_TOK_STRING || p->tok.kind == KL_TOK_IDENT) {
        KL_TRY(kl_sql__take_text(p, &id));
    } else {
        const char *from = p->tok.text.ptr, *to = from;
        if (p->tok.kind != KL_TOK_WORD) {
            return kl_sql__syntax_error(p);
        }
        while (p->tok.kind != KL_TOK_END && p->tok.punct == 0 && p->tok.text.ptr == to) {
            to += p->tok.text.len;
            kl_sql__advance(p);
        }
        KL_TRY(kl_sql__plan_dup(p->plan, kl_slice(from, (size_t)(to - from)), &id, p->err));
    }
    bool ok = id.len > 0 && id.len <= MAX_ID;
    for (size_t i = 0; ok && i < id.len; i++) {
        char c = id.ptr[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '_' || c == '-';
    }
    if (!ok) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at,
            "Invalid storage id '%.*s': 1 to %d letters, digits, '_' or '-'",
            KL_FMT(kl_slice(id.ptr, KL_MIN(id.len, (size_t)60))), MAX_ID);
    }
    p->plan->name = id;
    return KL_OK;
}

/* ---- clauses ---- */
struct clauses {
    const char *bucket, *region;
};

static enum kl_rc take_value(struct kl_parser *p, const char *what, const char **ret) {
    int at = kl_sql__here(p);
    struct kl_slice s;
    if (*ret) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at, "%s is given more than once", what);
    }
    kl_sql__take_op(p, "=");
    at = kl_sql__here(p);
    KL_TRY(kl_sql__take_string(p, &s));
    if (s.len > MAX_TEXT || (s.len > 0 && memchr(s.ptr, 0, s.len))) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at,
            "%s must be a text of at most %d bytes without NUL characters", what, MAX_TEXT);
    }
    *ret = s.ptr;
    return KL_OK;
}

static enum kl_rc take_object(struct kl_parser *p, const char *what, const char **ret) {
    int at = kl_sql__here(p);
    KL_TRY(take_value(p, what, ret));
    struct kl_slice s = kl_slice_trim(kl_slice_str(*ret));
    return s.len > 0 && s.ptr[0] == '{' && kl_json_valid(s)
               ? KL_OK
               : kl_fail_at(p->err, KL_E_INVALID_SQL, at, "%s must be a JSON object",
                     kl_slice_eq_str(kl_slice_str(what), "CREDENTIALS") ? "Credentials" : what);
}

/* KL_E_AGAIN: none of the clauses that both CREATE and ALTER have. */
static enum kl_rc common_clause(struct kl_parser *p, struct kl_storage *s) {
    if (kl_sql__take(p, "name")) {
        return take_value(p, "NAME", &s->name);
    }
    if (kl_sql__take(p, "description")) {
        return take_value(p, "DESCRIPTION", &s->description);
    }
    if (kl_sql__take(p, "shared_tables_template")) {
        return take_value(p, "SHARED_TABLES_TEMPLATE", &s->shared_template);
    }
    if (kl_sql__take(p, "user_tables_template")) {
        return take_value(p, "USER_TABLES_TEMPLATE", &s->user_template);
    }
    if (kl_sql__take(p, "credentials")) {
        return take_object(p, "CREDENTIALS", &s->credentials);
    }
    return kl_sql__take(p, "config") ? take_object(p, "CONFIG", &s->config) : KL_E_AGAIN;
}

static enum kl_rc take_kind(struct kl_parser *p, struct kl_storage *s) {
    static const char *const known[] = {"filesystem", "s3", "gcs", "azure"};
    struct kl_slice type;
    int at = kl_sql__here(p);
    if (s->type) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at, "TYPE is given more than once");
    }
    kl_sql__take_op(p, "=");
    KL_TRY(kl_sql__take_text(p, &type));
    for (size_t i = 0; i < KL_LEN(known); i++) {
        if (kl_slice_ieq_str(type, known[i])) {
            s->type = known[i];
            return KL_OK;
        }
    }
    return kl_fail_at(p->err, KL_E_INVALID_SQL, at,
        "Invalid storage type '%.*s'. Must be 'filesystem', 's3', 'gcs', or 'azure'",
        KL_FMT(kl_slice(type.ptr, KL_MIN(type.len, (size_t)60))));
}

static enum kl_rc create_clause(struct kl_parser *p, struct kl_storage *s, struct clauses *c) {
    if (kl_sql__take(p, "type")) {
        return take_kind(p, s);
    }
    if (kl_sql__take(p, "path") || kl_sql__take(p, "base_directory")) {
        return take_value(p, "PATH", &s->base_directory);
    }
    if (kl_sql__take(p, "bucket")) {
        return take_value(p, "BUCKET", &c->bucket);
    }
    if (kl_sql__take(p, "region")) {
        return take_value(p, "REGION", &c->region);
    }
    enum kl_rc rc = common_clause(p, s);
    return rc == KL_E_AGAIN ? kl_sql__syntax_error(p) : rc;
}

/* BUCKET is the base of an object store, REGION a member of its configuration. */
static enum kl_rc fold_clauses(struct kl_parser *p, struct kl_storage *s, const struct clauses *c) {
    bool files = strcmp(s->type, "filesystem") == 0;
    if (files && (c->bucket || c->region)) {
        return kl_fail(p->err, KL_E_INVALID_SQL, "%s is not for storages of TYPE filesystem",
            c->bucket ? "BUCKET" : "REGION");
    }
    if (c->bucket && s->base_directory) {
        return kl_fail(p->err, KL_E_INVALID_SQL, "PATH and BUCKET say the same: give one of them");
    }
    if (c->bucket) {
        const char *scheme = strcmp(s->type, "s3") == 0    ? "s3://"
                             : strcmp(s->type, "gcs") == 0 ? "gs://"
                                                           : "az://";
        const char *given = strstr(c->bucket, "://") ? "" : scheme;
        s->base_directory = kl_arena_printf(p->arena, "%s%s", given, c->bucket);
        KL_TRY(s->base_directory ? KL_OK : kl_sql__no_room(p->err));
    }
    if (!c->region) {
        return KL_OK;
    }
    if (s->config) {
        return kl_fail(p->err, KL_E_INVALID_SQL,
            "REGION and CONFIG cannot be given together: put \"region\" into CONFIG");
    }
    struct kl_buf json = {0};
    struct kl_slice text;
    kl_buf_puts(&json, "{\"region\":");
    kl_json_str(&json, kl_slice_str(c->region));
    kl_buf_putc(&json, '}');
    enum kl_rc rc = json.failed ? kl_sql__no_room(p->err)
                                : kl_sql__plan_dup(p->plan, kl_buf_view(&json), &text, p->err);
    kl_buf_deinit(&json);
    s->config = rc == KL_OK ? text.ptr : NULL;
    return rc;
}

/* ---- the statements ---- */
static enum kl_rc new_storage(struct kl_parser *p, struct kl_storage **ret) {
    KL_TRY(take_id(p));
    *ret = p->plan->storage = KL_ARENA_NEW(p->arena, struct kl_storage);
    if (!*ret) {
        return kl_sql__no_room(p->err);
    }
    (*ret)->id = p->plan->name.ptr; /* followed by a NUL, as everything in an arena */
    return KL_OK;
}

static bool at_end(const struct kl_parser *p) {
    return p->tok.kind == KL_TOK_END || p->tok.punct == ';';
}

enum kl_rc kl_sql__parse_create_storage(struct kl_parser *p) {
    struct kl_storage *s;
    struct clauses c = {0};
    KL_TRY(admin(p, KL_PLAN_CREATE_STORAGE));
    p->plan->if_not_exists = kl_sql__take(p, "if not exists");
    int at = kl_sql__here(p);
    KL_TRY(new_storage(p, &s));
    while (!at_end(p)) {
        KL_TRY(create_clause(p, s, &c));
    }
    if (!s->type) {
        return kl_fail_at(
            p->err, KL_E_INVALID_SQL, at, "CREATE STORAGE needs TYPE filesystem, s3, gcs or azure");
    }
    KL_TRY(fold_clauses(p, s, &c));
    return kl_sql__need_end(p);
}

enum kl_rc kl_sql__parse_alter_storage(struct kl_parser *p) {
    struct kl_storage *s;
    KL_TRY(admin(p, KL_PLAN_ALTER_STORAGE));
    KL_TRY(new_storage(p, &s));
    KL_TRY(kl_sql__need(p, "set"));
    do {
        kl_sql__take_punct(p, ',');
        kl_sql__take(p, "set");
        enum kl_rc rc = common_clause(p, s);
        if (rc == KL_E_AGAIN && p->tok.kind == KL_TOK_WORD) {
            rc = kl_fail_at(p->err, KL_E_INVALID_SQL, kl_sql__here(p),
                "ALTER STORAGE can SET NAME, DESCRIPTION, SHARED_TABLES_TEMPLATE, "
                "USER_TABLES_TEMPLATE, CREDENTIALS and CONFIG, not \"%.*s\"",
                KL_FMT(kl_slice(p->tok.text.ptr, KL_MIN(p->tok.text.len, (size_t)60))));
        }
        if (rc != KL_OK) {
            return rc == KL_E_AGAIN ? kl_sql__syntax_error(p) : rc;
        }
    } while (!at_end(p));
    return kl_sql__need_end(p);
}

enum kl_rc kl_sql__parse_drop_storage(struct kl_parser *p) {
    KL_TRY(admin(p, KL_PLAN_DROP_STORAGE));
    p->plan->if_exists = kl_sql__take(p, "if exists");
    KL_TRY(take_id(p));
    return kl_sql__need_end(p);
}

enum kl_rc kl_sql__parse_check_storage(struct kl_parser *p) {
    KL_TRY(admin(p, KL_PLAN_CHECK_STORAGE));
    KL_TRY(take_id(p));
    p->plan->extended = kl_sql__take(p, "extended");
    return kl_sql__need_end(p);
}
