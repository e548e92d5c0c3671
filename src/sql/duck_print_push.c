/* What the conditions of a SELECT say about each of its tables, for the scans that feed DuckDB: the
 * access path of struct kl_plan_scan. DuckDB evaluates every condition itself; a path only spares it
 * rows that could not pass.
 *
 * Parts of WHERE, and of ON where nothing is outer, that are joined by AND are bound natively, each against
 * one table. What does not bind, because it names another table or has no native form, says nothing.
 * Tables on the side of an outer join that may be filled up with NULLs are left alone: there a row
 * left out would come back as NULLs, and pass. */
#include "sql/access.h"
#include "sql/bind_internal.h"
#include "sql/duck_print_internal.h"
#include "sql/expr_internal.h"

#define MAX_PARTS 64

struct parts {
    struct kl_expr *list[MAX_PARTS];
    size_t n;
};

/* Only what is the same whenever it is asked: the clock is read again when a scan opens. */
static bool is_fixed(const struct kl_expr *e) {
    if (e->kind == KL_EXPR_KIND_CALL) {
        return false;
    }
    for (uint32_t i = 0; i < e->n_args; i++) {
        if (!is_fixed(e->args[i])) {
            return false;
        }
    }
    return !(e->flags & KL_EXPR_VOLATILE);
}

static void bind_parts(struct kl_binder *b, const PgQuery__Node *n, struct parts *parts) {
    if (n->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR &&
        n->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR) {
        for (size_t i = 0; i < n->bool_expr->n_args; i++) {
            bind_parts(b, n->bool_expr->args[i], parts);
        }
        return;
    }
    struct kl_expr *e;
    if (parts->n < MAX_PARTS && kl_sql__bind_condition(b, n, "WHERE", &e, NULL) == KL_OK &&
        is_fixed(e)) {
        parts->list[parts->n++] = e;
    }
}

static bool open_binder(
    struct kl_dp *p, const struct kl_dp_rel *rel, const struct kl_table *t, struct kl_binder *b) {
    *b = (struct kl_binder){.ctx = p->ctx,
        .plan = p->plan,
        .types = p->param_types,
        .n_types = (unsigned)p->n_params,
        .table = (struct kl_table *)t,
        .alias = kl_slice_str(rel->alias),
        .has_alias = rel->aliased,
        .slots = KL_ARENA_ARRAY(p->arena, int16_t, t->n_cols + 2),
        .slot_of = KL_ARENA_ARRAY(p->arena, uint16_t, t->n_cols + 2),
        .eb = {.arena = p->arena}};
    return b->slots && b->slot_of;
}

static bool sees(const struct kl_dp_on *on, const struct kl_dp_rel *rel) {
    for (const struct kl_dp_rel *r = on->rels; r != on->end; r = r->next) {
        if (r == rel) {
            return true;
        }
    }
    return false;
}

static enum kl_rc push(struct kl_dp *p, const struct kl_dp_rel *rel, const PgQuery__Node *where) {
    struct kl_plan_scan *scan = &p->scans[rel->scan - 1];
    struct kl_binder b;
    struct parts parts = {.n = 0};
    struct kl_expr *filter;
    if (!open_binder(p, rel, scan->table, &b)) {
        return kl_dp__nomem(p);
    }
    if (where) {
        bind_parts(&b, where, &parts);
    }
    for (const struct kl_dp_on *on = p->scope->ons; on; on = on->next) {
        if (sees(on, rel)) {
            bind_parts(&b, on->quals, &parts);
        }
    }
    if (parts.n == 0) {
        return KL_OK;
    }
    filter = parts.list[0];
    if (parts.n > 1 &&
        kl_expr_logic(&b.eb, KL_EXPR_AND, parts.list, parts.n, 0, &filter, NULL) != KL_OK) {
        return KL_OK;
    }
    struct kl_access_input in = {
        .table = scan->table,
        .slots = b.slots,
        .n_slots = b.n_slots,
        .filter = filter,
        .arena = p->arena,
    };
    return kl_sql__choose_access(&in, &scan->access, p->err);
}

enum kl_rc kl_dp__push_down(struct kl_dp *p, const PgQuery__Node *where) {
    for (const struct kl_dp_rel *rel = p->scope->rels; rel; rel = rel->next) {
        if (rel->scan > 0 && !rel->optional && !rel->renamed) {
            KL_TRY(push(p, rel, where));
        }
    }
    return KL_OK;
}
