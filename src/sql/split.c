/* A request's text into statements. See kl_sql_split in sql.h.
 *
 * A statement runs from its first token to its last: comments and white space around it are left
 * out, those inside stay. A `;` inside the parentheses of EXECUTE AS USER does not split, so that
 * its own error can say what is wrong. */
#include "sql/internal.h"

#define MAX_BYTES 1048576

struct splitter {
    struct kl_scan scan;
    struct kl_slice sql;
    struct kl_arena *arena;
    struct kl_stmt_text *list;
    size_t n, cap;
};

static enum kl_rc push(struct splitter *s, const char *from, const char *to, struct kl_err *err) {
    if (s->n == KL_SQL_MAX_STATEMENTS) {
        return kl_fail(err, KL_E_BATCH_PARSE, "Too many statements in one request (at most %d)",
            KL_SQL_MAX_STATEMENTS);
    }
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 4 : 4;
        struct kl_stmt_text *list = KL_ARENA_ARRAY(s->arena, struct kl_stmt_text, cap);
        if (!list) {
            return kl_fail(err, KL_E_TOO_LARGE, "Request is too large");
        }
        if (s->n > 0) {
            memcpy(list, s->list, s->n * sizeof(*list));
        }
        s->list = list;
        s->cap = cap;
    }
    s->list[s->n++] = (struct kl_stmt_text){
        .text = kl_slice(from, (size_t)(to - from)), .offset = (size_t)(from - s->sql.ptr)};
    return KL_OK;
}

static enum kl_rc unterminated(struct splitter *s, const struct kl_tok *t, struct kl_err *err) {
    int at = kl_sql__tok_pos(&s->scan, t);
    if (t->flags & KL_TOK_OPEN_COMMENT) {
        return kl_fail_at(err, KL_E_BATCH_PARSE, at, "Unterminated block comment in SQL batch");
    }
    return kl_fail_at(err, KL_E_BATCH_PARSE, at, "Unterminated quoted string in SQL batch");
}

static enum kl_rc split(struct splitter *s, struct kl_err *err) {
    struct kl_tok t;
    const char *first = NULL, *last = NULL;
    bool wrapper = false;
    size_t depth = 0;
    for (;;) {
        kl_sql__scan(&s->scan, &t);
        if (t.kind == KL_TOK_BAD && (t.flags & (KL_TOK_OPEN_COMMENT | KL_TOK_OPEN_QUOTE))) {
            return unterminated(s, &t, err);
        }
        if (t.kind == KL_TOK_END || (t.punct == ';' && !(wrapper && depth > 0))) {
            if (first) {
                KL_TRY(push(s, first, last, err));
            }
            if (t.kind == KL_TOK_END) {
                return KL_OK;
            }
            first = NULL;
            depth = 0;
            continue;
        }
        if (!first) {
            first = t.text.ptr;
            wrapper = t.kind == KL_TOK_WORD && kl_slice_ieq_str(t.text, "execute");
        }
        depth += t.punct == '(';
        depth -= t.punct == ')' && depth > 0;
        last = t.text.ptr + t.text.len;
    }
}

enum kl_rc kl_sql__check_text(struct kl_slice sql, struct kl_err *err) {
    if (sql.len > MAX_BYTES) {
        return kl_fail(err, KL_E_INVALID_SQL, "SQL query too long: %zu bytes (maximum %d bytes)",
            sql.len, MAX_BYTES);
    }
    if (sql.len > 0 && memchr(sql.ptr, 0, sql.len)) {
        return kl_fail(err, KL_E_INVALID_SQL, "SQL text contains a NUL byte");
    }
    if (!kl_utf8_valid(sql)) {
        return kl_fail(err, KL_E_INVALID_SQL, "SQL text is not valid UTF-8");
    }
    return KL_OK;
}

enum kl_rc kl_sql_split(struct kl_slice sql, struct kl_arena *arena, struct kl_stmt_text **ret,
    size_t *ret_n, struct kl_err *err) {
    KL_TRY(kl_sql__check_text(sql, err));
    struct splitter s = {.sql = sql, .arena = arena};
    kl_sql__scan_init(&s.scan, sql);
    KL_TRY(split(&s, err));
    if (s.n == 0) {
        return kl_fail(err, KL_E_EMPTY_SQL, "No SQL statements provided");
    }
    *ret = s.list;
    *ret_n = s.n;
    return KL_OK;
}
