/* Conditions of WHERE and ON that read no column.
 *
 * Where DuckDB orders joins anew it may lose conditions that read no column and are no constant to it:
 * parameters, among them the literals that stand for one, and volatile functions. Such a part
 * becomes the condition of another one, which does read columns: a = b AND $1 is
 * a = CASE WHEN $1 THEN b END, which still finds its rows by b, and any other c AND $1 is
 * CASE WHEN $1 THEN c END. Neither is true where $1 is not. In WHERE it stands alone with a column
 * of one of the tables: CASE WHEN $1 THEN t.c IS NULL END IS NOT NULL is what $1 is. */
#include "sql/duck_print_internal.h"

#include <protobuf-c/protobuf-c.h>

#define MAX_WALK 4096 /* levels of messages; PostgreSQL's own limit is below */

/* ---- what reads columns ---- */

static bool reads(const ProtobufCMessage *m, unsigned depth);

static bool field_reads(
    const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, unsigned depth) {
    const char *base = (const char *)m + f->offset;
    if (f->type != PROTOBUF_C_TYPE_MESSAGE) {
        return false;
    }
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t n = *(const size_t *)((const char *)m + f->quantifier_offset);
        ProtobufCMessage *const *items = *(ProtobufCMessage *const *const *)base;
        for (size_t i = 0; i < n; i++) {
            if (reads(items[i], depth + 1)) {
                return true;
            }
        }
        return false;
    }
    bool one_of = f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
    bool there = !one_of || *(const uint32_t *)((const char *)m + f->quantifier_offset) == f->id;
    return there && reads(*(const ProtobufCMessage *const *)base, depth + 1);
}

/* A subquery counts as one that does. */
static bool reads(const ProtobufCMessage *m, unsigned depth) {
    if (!m) {
        return false;
    }
    if (depth > MAX_WALK || m->descriptor == &pg_query__column_ref__descriptor ||
        m->descriptor == &pg_query__sub_link__descriptor) {
        return true;
    }
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        if (field_reads(m, &m->descriptor->fields[i], depth)) {
            return true;
        }
    }
    return false;
}

/* ---- parts ---- */

struct parts {
    PgQuery__Node **bare, **list; /* without columns; with columns */
    size_t n_bare, n_list;
};

static bool is_and(const PgQuery__Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR &&
           n->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR;
}

static size_t count(const PgQuery__Node *n) {
    size_t sum = 0;
    if (!is_and(n)) {
        return 1;
    }
    for (size_t i = 0; i < n->bool_expr->n_args; i++) {
        sum += count(n->bool_expr->args[i]);
    }
    return sum;
}

static bool is_boolean(const PgQuery__Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_A_CONST && !n->a_const->isnull &&
           n->a_const->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL;
}

static void split(PgQuery__Node *n, struct parts *parts) {
    if (is_and(n)) {
        for (size_t i = 0; i < n->bool_expr->n_args; i++) {
            split(n->bool_expr->args[i], parts);
        }
    } else if (reads(&n->base, 0) || is_boolean(n)) {
        parts->list[parts->n_list++] = n;
    } else {
        parts->bare[parts->n_bare++] = n;
    }
}

static bool is_equality(const PgQuery__Node *n) {
    if (n->node_case != PG_QUERY__NODE__NODE_A_EXPR ||
        n->a_expr->kind != PG_QUERY__A__EXPR__KIND__AEXPR_OP || n->a_expr->n_name != 1) {
        return false;
    }
    const PgQuery__AExpr *e = n->a_expr;
    const char *name = kl_dp__str(e->name[0]);
    return name && strcmp(name, "=") == 0 && e->lexpr && e->rexpr && reads(&e->lexpr->base, 0) &&
           reads(&e->rexpr->base, 0) && e->lexpr->node_case != PG_QUERY__NODE__NODE_ROW_EXPR &&
           e->rexpr->node_case != PG_QUERY__NODE__NODE_ROW_EXPR;
}

/* ---- printing ---- */

/* The bare parts, n_bare of them, as one node. */
static PgQuery__Node *all_of(PgQuery__BoolExpr *b, PgQuery__Node *n, struct parts *parts) {
    if (parts->n_bare == 1) {
        return parts->bare[0];
    }
    pg_query__bool_expr__init(b);
    pg_query__node__init(n);
    b->boolop = PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR;
    b->args = parts->bare;
    b->n_args = parts->n_bare;
    b->location = -1;
    n->node_case = PG_QUERY__NODE__NODE_BOOL_EXPR;
    n->bool_expr = b;
    return n;
}

/* CASE WHEN cond THEN n END, or where n is l = r, l = CASE WHEN cond THEN r END. */
static enum kl_rc under(struct kl_dp *p, PgQuery__Node *cond, PgQuery__Node *n) {
    PgQuery__Node when_node, case_node, *whens[1] = {&when_node}, equal_node;
    PgQuery__CaseWhen when;
    PgQuery__CaseExpr c;
    PgQuery__AExpr equal;
    bool by_side = is_equality(n);
    pg_query__node__init(&when_node);
    pg_query__node__init(&case_node);
    pg_query__node__init(&equal_node);
    pg_query__case_when__init(&when);
    pg_query__case_expr__init(&c);
    when.expr = cond;
    when.result = by_side ? n->a_expr->rexpr : n;
    when.location = c.location = -1;
    when_node.node_case = PG_QUERY__NODE__NODE_CASE_WHEN;
    when_node.case_when = &when;
    c.args = whens;
    c.n_args = 1;
    case_node.node_case = PG_QUERY__NODE__NODE_CASE_EXPR;
    case_node.case_expr = &c;
    if (!by_side) {
        return kl_dp__expr(p, &case_node);
    }
    equal = *n->a_expr;
    equal.rexpr = &case_node;
    equal_node.node_case = PG_QUERY__NODE__NODE_A_EXPR;
    equal_node.a_expr = &equal;
    return kl_dp__expr(p, &equal_node);
}

/* False: no table is in sight. */
static bool find_column(const struct kl_dp *p, const char **ret_rel, const char **ret_col) {
    for (const struct kl_dp_rel *r = p->scope->rels; r; r = r->next) {
        if (r->scan > 0 && !r->renamed && r->table->n_cols > 0) {
            *ret_rel = r->alias;
            *ret_col = r->table->cols[0].name;
            return true;
        }
    }
    return false;
}

static enum kl_rc alone(struct kl_dp *p, PgQuery__Node *n, const char *what) {
    const char *rel, *col;
    if (strcmp(what, "WHERE") != 0 || !find_column(p, &rel, &col)) {
        return kl_dp__condition(p, n, what);
    }
    kl_dp__puts(p, "(CASE WHEN ");
    KL_TRY(kl_dp__condition(p, n, what));
    kl_dp__puts(p, " THEN (");
    kl_dp__ident(p, rel);
    kl_dp__puts(p, ".");
    kl_dp__ident(p, col);
    kl_dp__puts(p, " IS NULL) END IS NOT NULL)");
    return KL_OK;
}

enum kl_rc kl_dp__rows_condition(struct kl_dp *p, PgQuery__Node *n, const char *what) {
    size_t most = count(n), carrier = SIZE_MAX;
    struct parts parts = {.bare = KL_ARENA_ARRAY(p->arena, PgQuery__Node *, most),
        .list = KL_ARENA_ARRAY(p->arena, PgQuery__Node *, most)};
    PgQuery__BoolExpr both;
    PgQuery__Node both_node;
    if (!parts.bare || !parts.list) {
        return kl_dp__nomem(p);
    }
    split(n, &parts);
    for (size_t i = parts.n_list; i-- > 0;) {
        carrier = carrier == SIZE_MAX && !is_boolean(parts.list[i]) ? i : carrier;
        carrier = is_equality(parts.list[i]) ? i : carrier;
    }
    if (parts.n_bare == 0) {
        return kl_dp__condition(p, n, what);
    }
    if (carrier == SIZE_MAX) {
        return alone(p, n, what);
    }
    PgQuery__Node *cond = all_of(&both, &both_node, &parts);
    for (size_t i = 0; i < parts.n_list; i++) {
        kl_dp__puts(p, i ? " AND " : "(");
        KL_TRY(i == carrier ? under(p, cond, parts.list[i]) : kl_dp__expr(p, parts.list[i]));
    }
    kl_dp__puts(p, ")");
    return KL_OK;
}
