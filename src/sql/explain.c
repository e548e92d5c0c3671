/* EXPLAIN: its options, and a plan as lines of text.
 *
 *     Native select from app.messages
 *       Partition: the caller's own
 *       Access: index messages_kind_idx backward: kind = 'x'
 *       Filter: ((kind = 'x') AND (n > 5))
 *       Order: n DESC, sorted
 *       Limit: 50
 *
 * It shows what the caller wrote and the names that the caller may read, and nothing of the rows. */
#include "sql/explain.h"

#include "sql/select.h"

/* ---- options ---- */

struct options {
    struct kl_scan scan;
    struct kl_tok tok;
    struct kl_err *err;
    enum kl_explain explain;
};

static void advance(struct options *o) {
    kl_sql__scan(&o->scan, &o->tok);
}

static bool take(struct options *o, const char *word) {
    if (o->tok.kind != KL_TOK_WORD || !kl_slice_ieq_str(o->tok.text, word)) {
        return false;
    }
    advance(o);
    return true;
}

static enum kl_rc take_switch(struct options *o, bool *ret) {
    static const struct {
        const char *word;
        bool on;
    } known[] = {{"true", true}, {"on", true}, {"false", false}, {"off", false}};
    *ret = true;
    if (kl_sql__tok_is(&o->tok, ',') || kl_sql__tok_is(&o->tok, ')')) {
        return KL_OK;
    }
    for (size_t i = 0; i < KL_LEN(known); i++) {
        if (take(o, known[i].word)) {
            *ret = known[i].on;
            return KL_OK;
        }
    }
    return kl_fail_at(o->err, KL_E_INVALID_SQL, kl_sql__tok_pos(&o->scan, &o->tok),
        "an option of EXPLAIN is TRUE or FALSE, not %.*s", KL_FMT(o->tok.text));
}

static enum kl_rc option(struct options *o) {
    bool on;
    if (take(o, "analyze")) {
        KL_TRY(take_switch(o, &on));
        o->explain = on ? KL_EXPLAIN_ANALYZE : KL_EXPLAIN_PLAN;
        return KL_OK;
    }
    if (take(o, "verbose")) {
        return take_switch(o, &on); /* the plan is always shown whole */
    }
    if (take(o, "format")) {
        if (take(o, "text")) {
            return KL_OK;
        }
        return kl_fail_at(o->err, KL_E_UNSUPPORTED, kl_sql__tok_pos(&o->scan, &o->tok),
            "EXPLAIN (FORMAT %.*s) is not available in this version", KL_FMT(o->tok.text));
    }
    return kl_fail_at(o->err, KL_E_UNSUPPORTED, kl_sql__tok_pos(&o->scan, &o->tok),
        "EXPLAIN (%.*s) is not available in this version", KL_FMT(o->tok.text));
}

enum kl_rc kl_sql__explain_options(
    struct kl_slice stmt, enum kl_explain *ret, struct kl_slice *ret_inner, struct kl_err *err) {
    struct options o = {.err = err, .explain = KL_EXPLAIN_PLAN};
    kl_sql__scan_init(&o.scan, stmt);
    advance(&o);
    if (!take(&o, "explain")) {
        return kl_fail(err, KL_E_INVALID_SQL, "expected EXPLAIN");
    }
    if (kl_sql__tok_is(&o.tok, '(')) {
        do {
            advance(&o);
            KL_TRY(option(&o));
        } while (kl_sql__tok_is(&o.tok, ','));
        if (!kl_sql__tok_is(&o.tok, ')')) {
            return kl_fail_at(err, KL_E_INVALID_SQL, kl_sql__tok_pos(&o.scan, &o.tok),
                "syntax error at or near \"%.*s\"", KL_FMT(o.tok.text));
        }
        advance(&o);
    } else {
        o.explain = take(&o, "analyze") ? KL_EXPLAIN_ANALYZE : KL_EXPLAIN_PLAN;
        take(&o, "verbose");
    }
    *ret = o.explain;
    *ret_inner = kl_slice_from(stmt, (size_t)(o.tok.text.ptr - stmt.ptr));
    return ret_inner->len > 0 ? KL_OK : kl_fail(err, KL_E_INVALID_SQL, "EXPLAIN needs a statement");
}

/* ---- the plan ---- */

struct print {
    struct kl_buf *out;
    int indent;
    const struct kl_table *table;
    struct kl_slice *names; /* of the slots */
    size_t n_names;
};

static void line(struct print *p, const char *label) {
    kl_buf_printf(p->out, "%s%*s%s", p->out->len > 0 ? "\n" : "", 2 * p->indent, "", label);
}

static void text(struct print *p, const char *s) {
    kl_buf_puts(p->out, s);
}

static void expr(struct print *p, const struct kl_expr *e) {
    kl_expr_print_named(e, p->names, p->n_names, p->out);
}

static struct kl_slice col_name(const struct kl_table *t, int col) {
    return col >= 0                ? kl_slice_str(t->cols[col].name)
           : col == KL_COL_DELETED ? KL_S("_deleted")
                                   : KL_S("_seq");
}

static void set_names(struct print *p, const struct kl_table *t, const int16_t *slots, size_t n,
    struct kl_arena *arena) {
    p->table = t;
    p->names = KL_ARENA_ARRAY(arena, struct kl_slice, n + 1);
    p->n_names = p->names ? n : 0;
    for (size_t i = 0; i < p->n_names; i++) {
        p->names[i] = col_name(t, slots[i]);
    }
}

static const char *partition(const struct kl_table *t) {
    switch (t->type) {
    case KL_TABLE_USER:
        return "the caller's own";
    case KL_TABLE_SHARED:
        return "shared";
    case KL_TABLE_STREAM:
        return "the caller's own, in memory";
    default:
        return "made by the server";
    }
}

/* "a = 1, b > 2" of the range's columns. */
static void bounds(struct print *p, const struct kl_access_path *a, const uint16_t *cols) {
    const char *comma = ": ";
    for (size_t i = 0; i < a->n_eq; i++, comma = ", ") {
        kl_buf_printf(p->out, "%s%s = ", comma, p->table->cols[cols[i]].name);
        expr(p, a->eq[i]);
    }
    const char *next = a->lo || a->hi || a->n_in > 0 ? p->table->cols[cols[a->n_eq]].name : "";
    if (a->lo) {
        kl_buf_printf(p->out, "%s%s %s ", comma, next, a->lo_excl ? ">" : ">=");
        expr(p, a->lo);
        comma = ", ";
    }
    if (a->hi) {
        kl_buf_printf(p->out, "%s%s %s ", comma, next, a->hi_excl ? "<" : "<=");
        expr(p, a->hi);
    }
    if (a->n_in > 0) {
        kl_buf_printf(p->out, "%s%s IN (", comma, next);
        for (size_t i = 0; i < a->n_in; i++) {
            text(p, i > 0 ? ", " : "");
            expr(p, a->in[i]);
        }
        text(p, ")");
    }
}

static void point(struct print *p, const struct kl_access_path *a) {
    text(p, "primary key");
    for (size_t i = 0; i < p->table->n_pk; i++) {
        kl_buf_printf(p->out, "%s%s = ", i > 0 ? ", " : ": ", p->table->cols[p->table->pk[i]].name);
        expr(p, a->pk[i]);
    }
}

static void rows(struct print *p, const struct kl_access_path *a) {
    kl_buf_printf(p->out, "rows by _seq%s", a->backward ? " backward" : "");
    if (a->after_seq) {
        text(p, ": _seq >= ");
        expr(p, a->after_seq);
    }
    if (a->upto_seq) {
        text(p, a->after_seq ? ", _seq <= " : ": _seq <= ");
        expr(p, a->upto_seq);
    }
}

static void access_path(struct print *p, const struct kl_access_path *a) {
    const struct kl_table *t = p->table;
    line(p, "Partition: ");
    text(p, partition(t));
    if (t->type == KL_TABLE_SYSTEM) {
        return;
    }
    line(p, "Access: ");
    if (a->pk) {
        point(p, a);
        return;
    }
    if (!a->index_id && !a->by_key) {
        rows(p, a);
        return;
    }
    const uint16_t *cols = t->pk;
    text(p, a->index_id ? "index " : "primary key");
    for (size_t i = 0; a->index_id && i < t->n_indexes; i++) {
        if (t->indexes[i].id == a->index_id) {
            text(p, t->indexes[i].name);
            cols = t->indexes[i].cols;
        }
    }
    text(p, a->backward ? " backward" : "");
    bounds(p, a, cols);
}

static void filter(struct print *p, const struct kl_expr *e) {
    if (e) {
        line(p, "Filter: ");
        expr(p, e);
    }
}

static void order(struct print *p, const struct kl_select *s, bool ordered) {
    for (size_t i = 0; i < s->n_order_asked; i++) {
        const struct kl_order_key *k = &s->order[i];
        if (i == 0) {
            line(p, "Order: ");
        }
        text(p, i > 0 ? ", " : "");
        expr(p, k->expr);
        text(p, k->descending ? " DESC" : "");
        if (k->nulls_first != k->descending) {
            text(p, k->nulls_first ? " NULLS FIRST" : " NULLS LAST");
        }
    }
    if (s->n_order_asked > 0) {
        text(p, ordered    ? "; rows come in this order"
                : s->limit ? "; sorted, keeping the first"
                           : "; sorted");
    }
}

static void select_plan(struct print *p, const struct kl_plan *plan, struct kl_arena *arena) {
    const struct kl_select *s = plan->select;
    line(p, "Native select");
    if (plan->table) {
        kl_buf_printf(p->out, " from %s", plan->table->qualified.ptr);
    }
    p->indent++;
    if (plan->table) {
        set_names(p, plan->table, s->slots, s->n_slots, arena);
        access_path(p, &plan->access);
    }
    filter(p, s->filter);
    if (s->n_aggs > 0) {
        kl_buf_printf(p->out, "\n%*sAggregates: %zu, over all rows", 2 * p->indent, "", s->n_aggs);
    }
    if (!plan->access.pk) { /* one row has no order */
        order(p, s, plan->access.ordered);
    }
    const struct kl_expr *counts[] = {s->limit, s->offset};
    static const char *const labels[] = {"Limit: ", "Offset: "};
    for (size_t i = 0; i < KL_LEN(counts); i++) {
        if (counts[i]) {
            line(p, labels[i]);
            expr(p, counts[i]);
        }
    }
    p->indent--;
}

static void duck_plan(struct print *p, const struct kl_plan *plan, struct kl_arena *arena) {
    const struct kl_plan_duck *d = plan->duck;
    line(p, "DuckDB select");
    p->indent++;
    for (size_t i = 0; i < d->n_scans; i++) {
        const struct kl_plan_scan *s = &d->scans[i];
        line(p, "");
        kl_buf_printf(p->out, "Scan kl_scan_%zu: %s", i, s->table->qualified.ptr);
        p->indent++;
        set_names(p, s->table, s->filter_slots, s->n_filter_slots, arena);
        access_path(p, &s->access);
        filter(p, s->filter);
        p->indent--;
    }
    line(p, "SQL: ");
    kl_buf_slice(p->out, d->sql);
    p->indent--;
}

static void any_plan(struct print *p, const struct kl_plan *plan, struct kl_arena *arena);

static void write_plan(struct print *p, const struct kl_plan *plan, struct kl_arena *arena) {
    const char *verb = plan->kind == KL_PLAN_INSERT   ? "Insert into "
                       : plan->kind == KL_PLAN_UPDATE ? "Update "
                                                      : "Delete from ";
    const struct kl_plan_write *w = plan->write;
    line(p, verb);
    text(p, plan->table->qualified.ptr);
    p->indent++;
    if (plan->kind == KL_PLAN_INSERT) {
        if (plan->insert->conflict) {
            line(
                p, plan->insert->conflict->update ? "On conflict: update" : "On conflict: nothing");
        }
        if (!w || !w->query) {
            line(p, "Rows: VALUES");
        }
    } else if (!w || !w->query) {
        set_names(p, plan->table, plan->dml->slots, plan->dml->n_slots, arena);
        access_path(p, &plan->access);
        filter(p, plan->dml->filter);
    }
    if (w && w->query) {
        line(p, "Rows:");
        p->indent++;
        any_plan(p, w->query, arena);
        p->indent--;
    }
    p->indent--;
}

static void any_plan(struct print *p, const struct kl_plan *plan, struct kl_arena *arena) {
    switch (plan->kind) {
    case KL_PLAN_SELECT:
        select_plan(p, plan, arena);
        break;
    case KL_PLAN_DUCK:
        duck_plan(p, plan, arena);
        break;
    case KL_PLAN_INSERT:
    case KL_PLAN_UPDATE:
    case KL_PLAN_DELETE:
        write_plan(p, plan, arena);
        break;
    default:
        line(p, kl_plan_kind_name(plan->kind));
        break;
    }
}

void kl_sql_explain(const struct kl_plan *p, struct kl_buf *out) {
    struct print print = {.out = out};
    struct kl_arena arena;
    kl_arena_init(&arena, 0);
    any_plan(&print, p, &arena);
    kl_arena_deinit(&arena);
}
