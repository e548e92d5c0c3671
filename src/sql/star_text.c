/* The stars in the text of a view whose columns are given names: written out, so that a name stays
 * with its column when a table gets others. Only those of its own select lists, where columns are
 * counted; the text stays as it is otherwise, and as a whole where a star's columns are not known. */
#include "sql/bind_internal.h"
#include "sql/parse_internal.h"

struct writer {
    struct kl_binder b;
    struct kl_slice text;
    size_t done; /* of the text */
    struct kl_buf out;
    bool any;
};

/* Past the * that ends what starts at `from`. */
static size_t end_of_star(struct kl_slice text, size_t from) {
    struct kl_scan s;
    struct kl_tok t;
    kl_sql__scan_init(&s, kl_slice(text.ptr + from, text.len - from));
    do {
        kl_sql__scan(&s, &t);
    } while (t.kind != KL_TOK_END && t.text.ptr[0] != '*');
    return t.kind == KL_TOK_END ? text.len : (size_t)(t.text.ptr + 1 - text.ptr);
}

static void put_name(struct kl_buf *out, const char *name) {
    kl_buf_putc(out, '"');
    for (; *name; name++) {
        if (*name == '"') {
            kl_buf_putc(out, '"');
        }
        kl_buf_putc(out, *name);
    }
    kl_buf_putc(out, '"');
}

static void put_column(struct kl_buf *out, const struct kl_star_column *c) {
    if (c->rel) {
        put_name(out, c->rel);
        kl_buf_putc(out, '.');
    }
    put_name(out, c->name);
}

static enum kl_rc write_select(struct writer *w, const struct kl_withs *outer,
    const PgQuery__SelectStmt *s, struct kl_err *err) {
    struct kl_withs withs = {.outer = outer,
        .with = s->with_clause,
        .n_seen = s->with_clause ? s->with_clause->n_ctes : 0,
        .depth = outer->depth + 1,
        .steps = outer->steps};
    if (s->op > PG_QUERY__SET_OPERATION__SETOP_NONE && s->larg && s->rarg) {
        KL_TRY(write_select(w, &withs, s->larg, err));
        return write_select(w, &withs, s->rarg, err);
    }
    withs.depth = 0;
    for (size_t i = 0; i < s->n_target_list; i++) {
        const PgQuery__ColumnRef *star;
        struct kl_columns cols = {0};
        if (!kl_sql__is_star(s->target_list[i]->res_target->val, &star)) {
            continue;
        }
        if (star->location < 0 || (size_t)star->location < w->done) {
            return kl_fail(err, KL_E_UNSUPPORTED, "a * without a place");
        }
        KL_TRY(kl_sql__star_columns(&w->b, &withs, s, star, &cols, err));
        size_t at = (size_t)star->location;
        kl_buf_slice(&w->out, kl_slice(w->text.ptr + w->done, at - w->done));
        for (size_t c = 0; c < cols.n; c++) {
            kl_buf_puts(&w->out, c ? ", " : "");
            put_column(&w->out, &cols.list[c]);
        }
        w->done = end_of_star(w->text, at);
        w->any = true;
    }
    return KL_OK;
}

static enum kl_rc write_text(struct writer *w, struct kl_arena *arena, const PgQuery__Node *n,
    struct kl_slice *text, struct kl_err *err) {
    size_t steps = 10000;
    struct kl_withs none = {.steps = &steps};
    struct kl_err why = {0};
    enum kl_rc rc = write_select(w, &none, n->select_stmt, &why);
    if (rc == KL_E_UNSUPPORTED || (rc == KL_OK && !w->any)) {
        return KL_OK;
    }
    if (rc != KL_OK) {
        return kl_fail(err, rc, "%s", why.msg);
    }
    kl_buf_slice(&w->out, kl_slice(w->text.ptr + w->done, w->text.len - w->done));
    struct kl_slice written =
        w->out.failed ? KL_SLICE_NONE : kl_arena_dup(arena, kl_buf_view(&w->out));
    if (!written.ptr) {
        return kl_sql__no_room(err);
    }
    *text = written;
    return KL_OK;
}

/* Columns that USING merges come in another order than DuckDB's star has them. */
static enum kl_rc bind_again(struct kl_parser *p, struct kl_slice text) {
    struct kl_query_input in = {.text = text.ptr, .plain = true, .declared = true};
    struct kl_plan *query;
    enum kl_rc rc = kl_sql__bind_query(p->ctx, &in, &query, p->err);
    if (rc != KL_OK) {
        if (p->err) {
            p->err->position = 0;
        }
        return rc;
    }
    kl_plan_unref(p->plan->query);
    p->plan->query = query;
    return KL_OK;
}

enum kl_rc kl_sql__write_out_stars(struct kl_parser *p, struct kl_slice *text) {
    PgQuery__ParseResult *tree;
    KL_TRY(kl_sql__pg_parse(text->ptr, false, &tree, p->err));
    struct writer w = {.b = {.ctx = p->ctx, .eb = {.arena = p->arena}}, .text = *text};
    const PgQuery__Node *n = tree->n_stmts == 1 ? tree->stmts[0]->stmt : NULL;
    kl_buf_init(&w.out, (size_t)1 << 20);
    enum kl_rc rc = n && n->node_case == PG_QUERY__NODE__NODE_SELECT_STMT
                        ? write_text(&w, p->arena, n, text, p->err)
                        : KL_OK;
    kl_buf_deinit(&w.out);
    pg_query__parse_result__free_unpacked(tree, NULL);
    return rc == KL_OK && text->ptr != w.text.ptr ? bind_again(p, *text) : rc;
}
