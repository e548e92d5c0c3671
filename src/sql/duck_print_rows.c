/* Comparisons of rows and of one value with many. DuckDB compares rows as wholes, a NULL being a
 * value like any other; PostgreSQL compares them field by field, and a NULL on the way makes the
 * answer unknown. So rows are taken apart here. A list of values that stands in the text is compared
 * value by value: as a subquery it could not be part of an outer join's condition. */
#include "sql/duck_print_internal.h"

static bool is_row(const PgQuery__Node *n) {
    return n && n->node_case == PG_QUERY__NODE__NODE_ROW_EXPR;
}

bool kl_dp__is_row_pair(const PgQuery__Node *l, const PgQuery__Node *r) {
    return is_row(l) && is_row(r);
}

static enum kl_rc pair(struct kl_dp *p, PgQuery__Node *l, const char *op, PgQuery__Node *r) {
    if (kl_dp__is_row_pair(l, r)) {
        return kl_dp__rows(p, l->row_expr, op, r->row_expr);
    }
    kl_dp__puts(p, "(");
    KL_TRY(kl_dp__side(p, l, r));
    kl_buf_printf(p->out, " %s ", op);
    KL_TRY(kl_dp__side(p, r, l));
    kl_dp__puts(p, ")");
    return KL_OK;
}

/* a < c OR (a = c AND b < d), and so on. Only the last pair may be equal in <= and >=. */
static enum kl_rc lexical(
    struct kl_dp *p, PgQuery__RowExpr *l, const char *op, PgQuery__RowExpr *r) {
    const char *strict = op[0] == '<' ? "<" : ">";
    for (size_t i = 0; i + 1 < l->n_args; i++) {
        kl_dp__puts(p, "(");
        KL_TRY(pair(p, l->args[i], strict, r->args[i]));
        kl_dp__puts(p, " OR (");
        KL_TRY(pair(p, l->args[i], "=", r->args[i]));
        kl_dp__puts(p, " AND ");
    }
    KL_TRY(pair(p, l->args[l->n_args - 1], op, r->args[l->n_args - 1]));
    for (size_t i = 0; i + 1 < l->n_args; i++) {
        kl_dp__puts(p, "))");
    }
    return KL_OK;
}

enum kl_rc kl_dp__rows(struct kl_dp *p, PgQuery__RowExpr *l, const char *op, PgQuery__RowExpr *r) {
    if (l->n_args != r->n_args || l->n_args == 0) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, kl_dp__pos(l->location),
            l->n_args ? "unequal number of entries in row expressions"
                      : "cannot compare rows of zero length");
    }
    bool equal = strcmp(op, "=") == 0;
    if (!equal && strcmp(op, "<>") != 0) {
        return lexical(p, l, op, r);
    }
    kl_dp__puts(p, "(");
    for (size_t i = 0; i < l->n_args; i++) {
        kl_dp__puts(p, i == 0 ? "" : equal ? " AND " : " OR ");
        KL_TRY(pair(p, l->args[i], op, r->args[i]));
    }
    kl_dp__puts(p, ")");
    return KL_OK;
}

/* x <op> v1 OR x <op> v2 …, or AND. */
enum kl_rc kl_dp__each(
    struct kl_dp *p, PgQuery__Node *x, const char *op, PgQuery__Node **values, size_t n, bool all) {
    kl_dp__puts(p, "(");
    for (size_t i = 0; i < n; i++) {
        kl_dp__puts(p, i == 0 ? "" : all ? " AND " : " OR ");
        KL_TRY(pair(p, x, op, values[i]));
    }
    kl_dp__puts(p, ")");
    return KL_OK;
}
