/* Which statement of KalamDB's own is it? And the answer for those that this version does not have,
 * with the role asked first where the statement is for administrators. */
#include "sql/bind_internal.h"
#include "sql/parse_internal.h"
#include "sql/shape.h"

enum kl_rc kl_sql__unavailable(struct kl_err *err, const char *what) {
    return kl_fail(err, KL_E_UNSUPPORTED, "%s is not available in this version", what);
}

static enum kl_rc create(struct kl_parser *p) {
    static const struct {
        const char *words;
        enum kl_table_type type;
    } tables[] = {{"table", 0}, {"user table", KL_TABLE_USER}, {"shared table", KL_TABLE_SHARED},
        {"stream table", KL_TABLE_STREAM}};
    for (size_t i = 0; i < KL_LEN(tables); i++) {
        if (kl_sql__take(p, tables[i].words)) {
            return kl_sql__parse_create_table(p, tables[i].type);
        }
    }
    if (kl_sql__take(p, "namespace")) {
        return kl_sql__parse_create_namespace(p);
    }
    if (kl_sql__take(p, "or replace view")) {
        return kl_sql__parse_create_view(p, true);
    }
    if (kl_sql__take(p, "view")) {
        return kl_sql__parse_create_view(p, false);
    }
    bool unique = kl_sql__take(p, "unique");
    if (kl_sql__take(p, "index")) {
        return kl_sql__parse_create_index(p, unique);
    }
    if (!unique && kl_sql__take(p, "storage")) {
        return kl_sql__parse_create_storage(p);
    }
    return !unique && kl_sql__take(p, "user") ? kl_sql__parse_create_user(p) : KL_E_AGAIN;
}

static enum kl_rc alter(struct kl_parser *p) {
    if (kl_sql__take(p, "table") || kl_sql__take(p, "user table") ||
        kl_sql__take(p, "shared table") || kl_sql__take(p, "stream table")) {
        return kl_sql__parse_alter_table(p);
    }
    if (kl_sql__take(p, "namespace")) {
        return kl_sql__parse_alter_namespace(p);
    }
    if (kl_sql__take(p, "storage")) {
        return kl_sql__parse_alter_storage(p);
    }
    return kl_sql__take(p, "user") ? kl_sql__parse_alter_user(p) : KL_E_AGAIN;
}

static enum kl_rc drop(struct kl_parser *p) {
    if (kl_sql__take(p, "table") || kl_sql__take(p, "user table") ||
        kl_sql__take(p, "shared table") || kl_sql__take(p, "stream table")) {
        return kl_sql__parse_drop_table(p);
    }
    if (kl_sql__take(p, "namespace")) {
        return kl_sql__parse_drop_namespace(p);
    }
    if (kl_sql__take(p, "view")) {
        return kl_sql__parse_drop_view(p);
    }
    if (kl_sql__take(p, "index")) {
        return kl_sql__parse_drop_index(p);
    }
    if (kl_sql__take(p, "storage")) {
        return kl_sql__parse_drop_storage(p);
    }
    return kl_sql__take(p, "user") ? kl_sql__parse_drop_user(p) : KL_E_AGAIN;
}

/* KL_E_AGAIN: none of ours; nothing is reported yet. */
static enum kl_rc dispatch(struct kl_parser *p) {
    static const struct {
        const char *word;
        enum kl_rc (*parse)(struct kl_parser *p);
    } known[] = {{"create", create}, {"alter", alter}, {"drop", drop}, {"use", kl_sql__parse_use},
        {"set namespace", kl_sql__parse_use}, {"show", kl_sql__parse_show},
        {"describe", kl_sql__parse_describe}, {"desc", kl_sql__parse_describe},
        {"kill", kl_sql__parse_kill}, {"begin", kl_sql__parse_begin},
        {"start", kl_sql__parse_start}, {"commit", kl_sql__parse_commit},
        {"end", kl_sql__parse_commit}, {"rollback", kl_sql__parse_rollback},
        {"abort", kl_sql__parse_rollback}, {"set", kl_sql__parse_set},
        {"reset", kl_sql__parse_reset}, {"comment on", kl_sql__parse_comment},
        {"storage check", kl_sql__parse_check_storage}};
    for (size_t i = 0; i < KL_LEN(known); i++) {
        if (kl_sql__take(p, known[i].word)) {
            return known[i].parse(p);
        }
    }
    return KL_E_AGAIN;
}

/* ---- what is not here ---- */
#define ANYONE (-1)
static const struct {
    const char *words, *name;
    int action;
} absent[] = {
    {"create materialized view", "CREATE MATERIALIZED VIEW", KL_MAY_CREATE_VIEW},
    {"create topic", "CREATE TOPIC", KL_MAY_TOPIC_DDL},
    {"alter topic", "ALTER TOPIC", KL_MAY_TOPIC_DDL},
    {"drop topic", "DROP TOPIC", KL_MAY_TOPIC_DDL},
    {"clear topic", "CLEAR TOPIC", KL_MAY_TOPIC_DDL},
    {"consume", "CONSUME", KL_MAY_CONSUME},
    {"ack", "ACK", KL_MAY_CONSUME},
    {"storage flush", "STORAGE FLUSH", KL_MAY_FLUSH},
    {"storage compact", "STORAGE COMPACT", KL_MAY_FLUSH},
    {"flush", "FLUSH", KL_MAY_FLUSH},
    {"backup", "BACKUP", KL_MAY_BACKUP},
    {"restore user", "RESTORE USER", KL_MAY_USER_DDL},
    {"restore", "RESTORE", KL_MAY_RESTORE},
    {"export user data", "EXPORT USER DATA", ANYONE},
    {"cluster", "CLUSTER", KL_MAY_CLUSTER},
    {"explain", "EXPLAIN", KL_MAY_EXPLAIN},
    {"savepoint", "SAVEPOINT", ANYONE},
    {"release", "RELEASE SAVEPOINT", ANYONE},
    {"prepare transaction", "PREPARE TRANSACTION", ANYONE},
    {"discard", "DISCARD", ANYONE},
    {"create vector index", "a vector index", ANYONE},
    {"drop materialized view", "DROP MATERIALIZED VIEW", KL_MAY_CREATE_VIEW},
    {"refresh materialized view", "REFRESH MATERIALIZED VIEW", KL_MAY_CREATE_VIEW},
    {"alter view", "ALTER VIEW", KL_MAY_CREATE_VIEW},
    {"alter index", "ALTER INDEX", ANYONE},
    {"reindex", "REINDEX", ANYONE},
    {"truncate", "TRUNCATE", ANYONE},
    {"copy", "COPY", ANYONE},
    {"merge", "MERGE", ANYONE},
    {"grant", "GRANT", ANYONE},
    {"revoke", "REVOKE", ANYONE},
    {"vacuum", "VACUUM", ANYONE},
    {"analyze", "ANALYZE", ANYONE},
};

/* "create  function f ..." as "CREATE FUNCTION": the first words, for a statement that PostgreSQL
 * knows and we do not. */
static enum kl_rc name_unknown(struct kl_parser *p) {
    char name[80];
    size_t n = 0;
    struct kl_parser start;
    kl_sql__parser_init(&start, p->ctx, p->stmt, NULL);
    for (int words = 0;
         words < 2 && start.tok.kind == KL_TOK_WORD && n + start.tok.text.len + 2 < sizeof(name);
         words++) {
        bool object = kl_sql__at_word(&start, "create") || kl_sql__at_word(&start, "alter") ||
                      kl_sql__at_word(&start, "drop");
        if (words > 0) {
            name[n++] = ' ';
        }
        for (size_t i = 0; i < start.tok.text.len; i++) {
            char c = start.tok.text.ptr[i];
            name[n++] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
        }
        if (!object) {
            break;
        }
        kl_sql__advance(&start);
    }
    name[n] = '\0';
    return kl_sql__unavailable(p->err, n > 0 ? name : "this statement");
}

enum kl_rc kl_sql__parse_other(struct kl_parser *p) {
    struct kl_plan *plan = p->plan;
    kl_sql__parser_init(p, p->ctx, p->stmt, p->err);
    p->plan = plan;
    p->arena = plan ? &plan->arena : p->arena;
    for (size_t i = 0; i < KL_LEN(absent); i++) {
        if (kl_sql__take(p, absent[i].words)) {
            if (absent[i].action != ANYONE) {
                KL_TRY(
                    kl_auth_may(p->ctx->session->role, (enum kl_action)absent[i].action, p->err));
            }
            return strcmp(absent[i].name, "CREATE MATERIALIZED VIEW") == 0
                       ? kl_fail(
                             p->err, KL_E_UNSUPPORTED, "MATERIALIZED VIEWS are not supported yet")
                       : kl_sql__unavailable(p->err, absent[i].name);
        }
    }
    /* Not ours: PostgreSQL's parser says where it stops being SQL. */
    struct kl_arena scratch;
    PgQuery__ParseResult *tree = NULL;
    char *text;
    kl_arena_init(&scratch, 0);
    enum kl_rc rc = kl_sql__plain_text(p->stmt, &scratch, &text, p->err);
    if (rc == KL_OK) {
        rc = kl_sql__pg_parse(text, true, &tree, p->err);
    }
    kl_arena_deinit(&scratch);
    if (rc != KL_OK) {
        return rc;
    }
    bool nothing = tree->n_stmts == 0;
    pg_query__parse_result__free_unpacked(tree, NULL);
    return nothing ? kl_fail(p->err, KL_E_EMPTY_SQL, "No SQL statements provided")
                   : name_unknown(p);
}

enum kl_rc kl_sql__bind_command(
    const struct kl_sql_ctx *ctx, struct kl_slice stmt, struct kl_plan **ret, struct kl_err *err) {
    struct kl_parser p;
    kl_sql__parser_init(&p, ctx, stmt, err);
    p.plan = kl_sql__plan_new(KL_PLAN_USE, ctx);
    p.arena = &p.plan->arena;
    p.plan->volatile_ = true;
    enum kl_rc rc = dispatch(&p);
    if (rc == KL_E_AGAIN) {
        rc = kl_sql__parse_other(&p);
        KL_ASSERT(rc != KL_OK);
    }
    if (rc != KL_OK) {
        kl_plan_unref(p.plan);
        return rc;
    }
    *ret = p.plan;
    return KL_OK;
}
