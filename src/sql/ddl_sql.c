/* PostgreSQL's SQL inside KalamDB's own statements: the query of a view or of CREATE TABLE AS, the
 * condition of a CHECK, a constant DEFAULT. The piece is handed to PostgreSQL's parser with blanks
 * in front of it, so that positions in errors are those of the whole statement. */
#include "sql/bind_internal.h"
#include "sql/expr_internal.h"
#include "sql/parse_internal.h"
#include "sql/shape.h"

static enum kl_rc no_room(struct kl_parser *p) {
    return kl_sql__no_room(p->err);
}

/* open, blanks up to where `piece` stands in the statement, the piece, close. */
static enum kl_rc in_place(
    struct kl_parser *p, struct kl_slice piece, const char *open, const char *close, char **ret) {
    size_t before = (size_t)(piece.ptr - p->stmt.ptr), n_open = strlen(open);
    char *plain;
    KL_TRY(kl_sql__plain_text(piece, p->arena, &plain, p->err));
    size_t n = strlen(plain), n_close = strlen(close);
    before = KL_MAX(before, n_open);
    char *text = kl_arena_alloc(p->arena, before + n + n_close + 1);
    if (!text) {
        return no_room(p);
    }
    memset(text, ' ', before);
    memcpy(text, open, n_open);
    memcpy(text + before, plain, n);
    memcpy(text + before + n, close, n_close + 1);
    *ret = text;
    return KL_OK;
}

/* The bracket that we put behind a piece has no place in the statement. */
static void clamp_position(struct kl_parser *p, struct kl_slice piece) {
    int end = (int)(piece.ptr + piece.len - p->stmt.ptr) + 1;
    if (p->err && p->err->position > end) {
        p->err->position = end;
    }
}

enum kl_rc kl_sql__take_parens(struct kl_parser *p, struct kl_slice *ret) {
    const char *from = NULL, *to = NULL;
    KL_TRY(kl_sql__need_punct(p, '('));
    for (size_t depth = 0;; kl_sql__advance(p)) {
        if (p->tok.kind == KL_TOK_END || p->tok.kind == KL_TOK_BAD || p->tok.punct == ';') {
            return kl_sql__syntax_error(p);
        }
        if (p->tok.punct == ')' && depth == 0) {
            break;
        }
        depth += p->tok.punct == '(';
        depth -= p->tok.punct == ')';
        from = from ? from : p->tok.text.ptr;
        to = p->tok.text.ptr + p->tok.text.len;
    }
    if (!from) {
        return kl_sql__syntax_error(p);
    }
    kl_sql__advance(p);
    *ret = kl_slice(from, (size_t)(to - from));
    return KL_OK;
}

/* ---- queries ---- */
/* From the current token to the end of the statement, `;` left out. */
static struct kl_slice rest(struct kl_parser *p, struct kl_tok last[3]) {
    const char *from = p->tok.text.ptr, *to = from;
    memset(last, 0, 3 * sizeof(*last));
    for (; p->tok.kind != KL_TOK_END && p->tok.punct != ';'; kl_sql__advance(p)) {
        last[0] = last[1];
        last[1] = last[2];
        last[2] = p->tok;
        to = p->tok.text.ptr + p->tok.text.len;
    }
    return kl_slice(from, (size_t)(to - from));
}

static bool is_word(const struct kl_tok *t, const char *w) {
    return t->kind == KL_TOK_WORD && kl_slice_ieq_str(t->text, w);
}

static enum kl_rc starts_query(struct kl_parser *p) {
    struct kl_parser look = *p;
    while (kl_sql__take_punct(&look, '(')) {
    }
    return kl_sql__at_word(&look, "select") || kl_sql__at_word(&look, "with") ||
                   kl_sql__at_word(&look, "values") || kl_sql__at_word(&look, "table")
               ? KL_OK
               : kl_sql__syntax_error(&look);
}

static enum kl_rc bind_rest(struct kl_parser *p, struct kl_slice query) {
    struct kl_query_input in = {.plain = true, .declared = true};
    char *text;
    KL_TRY(in_place(p, query, "", "", &text));
    in.text = text;
    KL_TRY(kl_sql__bind_query(p->ctx, &in, &p->plan->query, p->err));
    if (p->plan->query->kind != KL_PLAN_SELECT && p->plan->query->kind != KL_PLAN_DUCK) {
        int at = (int)(query.ptr - p->stmt.ptr) + 1;
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at, "only a SELECT can stand here");
    }
    return KL_OK;
}

enum kl_rc kl_sql__take_query(struct kl_parser *p, bool *ret_with_data, struct kl_slice *ret) {
    struct kl_tok last[3];
    KL_TRY(starts_query(p));
    struct kl_slice query = rest(p, last);
    KL_TRY(kl_sql__need_end(p));
    if (ret_with_data) {
        bool no = is_word(&last[0], "with") && is_word(&last[1], "no") && is_word(&last[2], "data");
        bool yes = is_word(&last[1], "with") && is_word(&last[2], "data");
        const struct kl_tok *with = no ? &last[0] : &last[1];
        if (no || yes) {
            query.len = (size_t)(with->text.ptr - query.ptr);
        }
        *ret_with_data = !no;
    } else if (is_word(&last[1], "check") && is_word(&last[2], "option")) {
        return kl_sql__unavailable(p->err, "WITH CHECK OPTION");
    }
    KL_TRY(bind_rest(p, query));
    char *text; /* for PostgreSQL's parser, whenever the text is read again */
    KL_TRY(kl_sql__plain_text(kl_slice_trim(query), p->arena, &text, p->err));
    *ret = kl_slice_str(text);
    return KL_OK;
}

enum kl_rc kl_sql__take_name_list(struct kl_parser *p) {
    struct kl_slice *list = NULL;
    size_t n = 0, cap = 0;
    KL_TRY(kl_sql__need_punct(p, '('));
    do {
        struct kl_slice name;
        int at = kl_sql__here(p);
        KL_TRY(kl_sql__take_name(p, &name));
        enum kl_rc rc = kl_name_check("column", name, p->err);
        for (size_t i = 0; rc == KL_OK && i < n; i++) {
            if (kl_slice_eq(list[i], name)) {
                rc = kl_fail_at(p->err, KL_E_INVALID_SQL, at,
                    "column \"%.*s\" specified more than once", KL_FMT(name));
            }
        }
        if (rc == KL_OK && n == KL_ROW_MAX_COLS) {
            rc = kl_fail_at(p->err, KL_E_INVALID_SQL, at, "at most %d columns", KL_ROW_MAX_COLS);
        }
        if (rc != KL_OK) {
            return rc;
        }
        if (n == cap) {
            cap = cap ? cap * 4 : 16;
            struct kl_slice *grown = KL_ARENA_ARRAY(p->arena, struct kl_slice, cap);
            if (!grown) {
                return no_room(p);
            }
            if (n > 0) {
                memcpy(grown, list, n * sizeof(*list));
            }
            list = grown;
        }
        list[n++] = name;
    } while (kl_sql__take_punct(p, ','));
    p->plan->columns = list;
    p->plan->n_columns = n;
    return kl_sql__need_punct(p, ')');
}

/* What is known of the query's columns before it runs: their number, when it runs natively. */
enum kl_rc kl_sql__check_name_list(struct kl_parser *p, const char *what) {
    const struct kl_plan *q = p->plan->query;
    if (q->kind == KL_PLAN_SELECT && p->plan->n_columns > q->select->n_output) {
        return kl_fail(
            p->err, KL_E_INVALID_SQL, "%s specifies more column names than columns", what);
    }
    return KL_OK;
}

/* ---- CHECK ---- */
enum kl_rc kl_sql__take_check(struct kl_parser *p, struct kl_slice *ret) {
    PgQuery__ParseResult *tree;
    struct kl_slice cond;
    char *text;
    KL_TRY(kl_sql__take_parens(p, &cond));
    KL_TRY(in_place(p, cond, "SELECT (", ")", &text));
    KL_TRY(kl_sql__pg_parse(text, true, &tree, p->err)); /* its errors have a position */
    pg_query__parse_result__free_unpacked(tree, NULL);
    KL_TRY(kl_sql__plain_text(cond, p->arena, &text, p->err));
    *ret = kl_slice_str(text);
    return KL_OK;
}

enum kl_rc kl_sql__check_check(
    struct kl_parser *p, const struct kl_table *t, struct kl_slice cond, int position) {
    struct kl_expr *e;
    enum kl_rc rc = kl_sql_bind_check(t, cond, p->arena, &e, p->err);
    if (rc != KL_OK && p->err && p->err->position == 0) {
        p->err->position = position;
    }
    return rc;
}

enum kl_rc kl_sql__check_checks(struct kl_parser *p, const struct kl_table_def *def) {
    struct kl_column *cols = KL_ARENA_ARRAY(p->arena, struct kl_column, def->n_cols + 1);
    if (!cols) {
        return no_room(p);
    }
    for (size_t i = 0; i < def->n_cols; i++) {
        struct kl_slice name = kl_arena_dup(p->arena, def->cols[i].name);
        if (!name.ptr) {
            return no_room(p);
        }
        cols[i] = (struct kl_column){
            .name = name.ptr, .type = def->cols[i].type, .nullable = def->cols[i].nullable};
    }
    struct kl_slice ns = kl_arena_dup(p->arena, def->ns), name = kl_arena_dup(p->arena, def->name);
    if (!ns.ptr || !name.ptr) {
        return no_room(p);
    }
    /* what binding a condition looks at; nothing keeps it */
    struct kl_table t = {
        .type = def->type, .ns = ns.ptr, .name = name.ptr, .cols = cols, .n_cols = def->n_cols};
    for (size_t i = 0; i < def->n_checks; i++) {
        enum kl_rc rc = kl_sql__check_check(p, &t, def->checks[i].expr, 0);
        if (rc != KL_OK) {
            kl_err_prefix(p->err, "CHECK constraint \"%.*s\"", KL_FMT(def->checks[i].name));
            return rc;
        }
    }
    return KL_OK;
}

/* ---- constants ---- */
bool kl_sql__ends_default(const struct kl_parser *p) {
    static const char *const words[] = {"constraint", "not", "null", "primary", "unique", "check",
        "references", "generated", "default", "collate", "auto_increment", "autoincrement",
        "identity", "first", "after", "comment"};
    for (size_t i = 0; i < KL_LEN(words); i++) {
        if (kl_sql__at_word(p, words[i])) {
            return true;
        }
    }
    return false;
}

static struct kl_slice default_text(struct kl_parser *p) {
    const char *from = p->tok.text.ptr, *to = from;
    size_t depth = 0, cases = 0;
    for (; p->tok.kind != KL_TOK_END && p->tok.punct != ';'; kl_sql__advance(p)) {
        bool top = depth == 0 && cases == 0;
        if (top && (p->tok.punct == ',' || p->tok.punct == ')' ||
                       (to > from && kl_sql__ends_default(p)))) {
            break;
        }
        depth += p->tok.punct == '(' || p->tok.punct == '[';
        depth -= (p->tok.punct == ')' || p->tok.punct == ']') && depth > 0;
        cases += kl_sql__at_word(p, "case");
        cases -= kl_sql__at_word(p, "end") && cases > 0;
        to = p->tok.text.ptr + p->tok.text.len;
    }
    return kl_slice(from, (size_t)(to - from));
}

static enum kl_rc eval_constant(
    struct kl_parser *p, struct kl_plan *query, struct kl_val *ret, bool *ret_is) {
    const struct kl_expr *e = query->kind == KL_PLAN_SELECT && query->select->n_output == 1
                                  ? query->select->output[0]
                                  : NULL;
    *ret_is = e && !query->table && query->select->n_aggs == 0 &&
              !(e->flags & (KL_EXPR_VOLATILE | KL_EXPR_STATEMENT | KL_EXPR_ROW));
    if (!*ret_is) {
        return KL_OK;
    }
    struct kl_eval ev = {.session = p->ctx->session, .arena = p->arena};
    struct kl_val v;
    KL_TRY(kl_expr_eval(e, &ev, &v, p->err));
    return kl_val_dup(p->arena, &v, ret) ? KL_OK : no_room(p); /* out of the query's arena */
}

enum kl_rc kl_sql__take_constant(struct kl_parser *p, struct kl_val *ret, bool *ret_is) {
    struct kl_slice piece = default_text(p);
    struct kl_sql_ctx ctx = *p->ctx;
    struct kl_query_input in = {.plain = true};
    struct kl_plan *query;
    char *text;
    *ret_is = false;
    if (piece.len == 0) {
        return kl_sql__syntax_error(p);
    }
    KL_TRY(in_place(p, piece, "SELECT (", ")", &text));
    in.text = text;
    ctx.executor = KL_EXECUTOR_NATIVE;
    enum kl_rc rc = kl_sql__bind_query(&ctx, &in, &query, p->err);
    if (rc == KL_E_UNSUPPORTED || rc == KL_E_EXEC || rc == KL_E_NOT_FOUND) {
        kl_err_clear(p->err); /* a function or a column: the caller says what can stand here */
        return KL_OK;
    }
    if (rc != KL_OK) {
        clamp_position(p, piece);
        return rc;
    }
    rc = eval_constant(p, query, ret, ret_is);
    kl_plan_unref(query);
    return rc;
}
