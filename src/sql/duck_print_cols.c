/* The columns of queries below: what a subquery in FROM, a common table expression or VALUES gives to
 * the query around it. Types are those that the native binder finds; what it does not know stays
 * unknown, and nothing but better types depends on it. */
#include "sql/duck_print_internal.h"

#include "sql/internal.h"

static struct kl_dp_cols *make(struct kl_dp *p, size_t most) {
    struct kl_dp_cols *c =
        kl_arena_alloc(p->arena, sizeof(*c) + (most + 1) * sizeof(struct kl_dp_col));
    if (c) {
        *c = (struct kl_dp_cols){.ordered = true, .complete = true};
    }
    return c;
}

struct kl_type kl_dp__cols_find(const struct kl_dp_cols *cols, const char *name, bool *ret_has) {
    struct kl_type found = KL_TYPE(NULL);
    *ret_has = false;
    for (size_t i = 0; i < cols->n; i++) {
        if (strcmp(cols->cols[i].name, name) == 0) {
            if (*ret_has) {
                return KL_TYPE(NULL); /* twice: ambiguous, or merged by USING */
            }
            *ret_has = true;
            found = cols->cols[i].type;
        }
    }
    return found;
}

/* An open text becomes text at last. */
static struct kl_type type_of(struct kl_dp *p, PgQuery__Node *n) {
    bool null = n->node_case == PG_QUERY__NODE__NODE_A_CONST && n->a_const->isnull;
    return null || kl_dp__string_const(n) || kl_dp__open_param(p, n) ? KL_TYPE(TEXT)
                                                                     : kl_dp__infer(p, n);
}

static size_t count(const struct kl_dp *p, const PgQuery__SelectStmt *s) {
    size_t n = 0, stars = 0;
    for (const struct kl_dp_rel *r = p->scope->rels; r; r = r->next) {
        n += r->cols ? r->cols->n : r->table ? r->table->n_cols + 2 : 0;
    }
    for (size_t i = 0; i < s->n_target_list; i++) {
        stars += kl_dp__is_star(s->target_list[i]->res_target->val);
    }
    return n * stars + s->n_target_list;
}

static void add(struct kl_dp_cols *c, const char *name, struct kl_type type) {
    c->cols[c->n++] = (struct kl_dp_col){.name = name, .type = type};
}

static void add_rel(struct kl_dp_cols *c, const struct kl_dp_rel *r, bool wide) {
    if (r->cols) {
        for (size_t i = 0; i < r->cols->n; i++) {
            add(c, r->cols->cols[i].name, r->cols->cols[i].type);
        }
        c->complete = c->complete && r->cols->complete;
    } else if (r->table && !r->renamed) {
        for (size_t i = 0; i < r->table->n_cols; i++) {
            add(c, r->table->cols[i].name, r->table->cols[i].type);
        }
        if (wide && r->table->type != KL_TABLE_SYSTEM && r->table->type != KL_TABLE_VIEW) {
            add(c, "_seq", KL_TYPE(BIGINT));
            add(c, "_deleted", KL_TYPE(BOOLEAN));
        }
    } else {
        c->complete = false;
    }
}

/* Order is lost where several relations are told at once. */
static void add_star(
    struct kl_dp *p, struct kl_dp_cols *c, const PgQuery__ColumnRef *ref, bool wide) {
    const char *name = ref->n_fields > 1 ? kl_dp__str(ref->fields[ref->n_fields - 2]) : NULL;
    size_t rels = 0;
    for (const struct kl_dp_rel *r = p->scope->rels; r; r = r->next) {
        if (!name || strcmp(r->alias, name) == 0) {
            add_rel(c, r, wide);
            rels++;
        }
    }
    c->ordered = c->ordered && rels == 1 && c->complete;
    c->complete = c->complete && rels > 0;
}

const struct kl_dp_cols *kl_dp__cols_of_targets(struct kl_dp *p, const PgQuery__SelectStmt *s) {
    struct kl_dp_cols *c = make(p, count(p, s));
    for (size_t i = 0; c && i < s->n_target_list; i++) {
        const PgQuery__ResTarget *t = s->target_list[i]->res_target;
        if (kl_dp__is_star(t->val)) {
            add_star(p, c, t->val->column_ref, kl_dp__star_is_wide(p, s));
        } else {
            add(c, t->name && *t->name ? t->name : kl_dp__column_name(t->val), type_of(p, t->val));
        }
    }
    return c;
}

static bool same(struct kl_type a, struct kl_type b) {
    return a.id == b.id && a.precision == b.precision && a.scale == b.scale && a.dim == b.dim;
}

const struct kl_dp_cols *kl_dp__cols_of_values(struct kl_dp *p, const PgQuery__SelectStmt *s) {
    size_t n = s->values_lists[0]->list->n_items;
    struct kl_dp_cols *c = make(p, n);
    for (size_t i = 0; c && i < n; i++) {
        struct kl_type t = type_of(p, s->values_lists[0]->list->items[i]);
        for (size_t row = 1; row < s->n_values_lists && row < 100; row++) {
            if (!same(t, type_of(p, s->values_lists[row]->list->items[i]))) {
                t = KL_TYPE(NULL);
                break;
            }
        }
        char *name = kl_arena_printf(p->arena, "column%zu", i + 1);
        if (!name) {
            return NULL;
        }
        add(c, name, s->n_values_lists > 100 ? KL_TYPE(NULL) : t);
    }
    return c;
}

const struct kl_dp_cols *kl_dp__cols_met(
    struct kl_dp *p, const struct kl_dp_cols *a, const struct kl_dp_cols *b) {
    if (!a || !b || a->n != b->n || !a->ordered || !b->ordered) {
        return NULL;
    }
    struct kl_dp_cols *c = make(p, a->n);
    for (size_t i = 0; c && i < a->n; i++) {
        bool agree = same(a->cols[i].type, b->cols[i].type);
        add(c, a->cols[i].name, agree ? a->cols[i].type : KL_TYPE(NULL));
    }
    return c;
}

const struct kl_dp_cols *kl_dp__cols_renamed(
    struct kl_dp *p, const struct kl_dp_cols *cols, PgQuery__Node *const *names, size_t n) {
    if (!cols || n == 0) {
        return cols;
    }
    if (!cols->ordered || n > cols->n) {
        return NULL;
    }
    struct kl_dp_cols *c = make(p, cols->n);
    for (size_t i = 0; c && i < cols->n; i++) {
        const char *name = i < n ? kl_dp__str(names[i]) : NULL;
        add(c, name ? name : cols->cols[i].name, cols->cols[i].type);
    }
    return c;
}

/* ---- flags ---- */

/* Whether every row of every table is in the result as it is: no outer join adds NULLs. */
static bool joins_are_inner(const PgQuery__Node *n) {
    if (n->node_case != PG_QUERY__NODE__NODE_JOIN_EXPR) {
        return true;
    }
    const PgQuery__JoinExpr *j = n->join_expr;
    return j->jointype == PG_QUERY__JOIN_TYPE__JOIN_INNER && joins_are_inner(j->larg) &&
           joins_are_inner(j->rarg);
}

static bool merges_columns(const PgQuery__Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR &&
           (n->join_expr->is_natural || n->join_expr->n_using_clause > 0 ||
               merges_columns(n->join_expr->larg) || merges_columns(n->join_expr->rarg));
}

struct flag_list {
    uint8_t *flags;
    size_t n, most;
    bool failed, wide;
};

static void add_flag(struct flag_list *l, uint8_t flags) {
    if (l->n == l->most) {
        l->failed = true;
    } else {
        l->flags[l->n++] = flags;
    }
}

static void add_rel_flags(struct flag_list *l, const struct kl_dp_rel *r, bool inner) {
    const struct kl_table *t = r->table;
    if (!t || r->cols) {
        l->failed = l->failed || !r->cols || !r->cols->complete;
        for (size_t i = 0; r->cols && i < r->cols->n; i++) {
            add_flag(l, 0);
        }
        return;
    }
    bool plain = t->type != KL_TABLE_VIEW;
    for (size_t i = 0; i < t->n_cols; i++) {
        add_flag(l, inner && plain ? kl_sql__sink_col(t, (int)i).flags : 0);
    }
    for (int i = 0; i < 2 && l->wide && plain && t->type != KL_TABLE_SYSTEM; i++) {
        add_flag(l, inner ? KL_COL_NOT_NULL : 0);
    }
}

/* The relations are linked last to first. */
static void add_star_flags(
    struct flag_list *l, const struct kl_dp_rel *r, const char *name, bool inner) {
    if (r) {
        add_star_flags(l, r->next, name, inner);
        if (!name || strcmp(r->alias, name) == 0) {
            add_rel_flags(l, r, inner);
        }
    }
}

static uint8_t column_flags(const struct kl_dp *p, const PgQuery__ColumnRef *ref) {
    const char *name = kl_dp__str(ref->fields[ref->n_fields - 1]),
               *rel = ref->n_fields > 1 ? kl_dp__str(ref->fields[ref->n_fields - 2]) : NULL;
    uint8_t flags = 0;
    size_t found = 0;
    for (const struct kl_dp_rel *r = p->scope->rels; r && name; r = r->next) {
        if (rel && strcmp(r->alias, rel) != 0) {
            continue;
        }
        if (!r->table || r->renamed || r->table->type == KL_TABLE_VIEW) {
            found += rel ? 0 : 2; /* it could be one of those */
            continue;
        }
        int col = kl_sql__column(r->table, kl_slice_str(name));
        if (col != KL_COL_NONE) {
            flags = kl_sql__sink_col(r->table, col).flags;
            found++;
        }
    }
    return found == 1 ? flags : 0;
}

void kl_dp__flags_of_targets(struct kl_dp *p, const PgQuery__SelectStmt *s) {
    struct flag_list l = {.most = count(p, s), .wide = kl_dp__star_is_wide(p, s)};
    bool inner = s->n_group_clause == 0 ||
                 s->group_clause[0]->node_case != PG_QUERY__NODE__NODE_GROUPING_SET;
    bool merged = false;
    for (size_t i = 0; i < s->n_from_clause; i++) {
        inner = inner && joins_are_inner(s->from_clause[i]);
        merged = merged || merges_columns(s->from_clause[i]);
    }
    l.flags = KL_ARENA_ARRAY(p->arena, uint8_t, l.most + 1);
    for (size_t i = 0; l.flags && i < s->n_target_list; i++) {
        const PgQuery__Node *v = s->target_list[i]->res_target->val;
        if (v->node_case != PG_QUERY__NODE__NODE_COLUMN_REF) {
            add_flag(&l, 0);
        } else if (!kl_dp__is_star(v)) {
            add_flag(&l, inner ? column_flags(p, v->column_ref) : 0);
        } else {
            const PgQuery__ColumnRef *ref = v->column_ref;
            l.failed = l.failed || merged;
            add_star_flags(&l, p->scope->rels,
                ref->n_fields > 1 ? kl_dp__str(ref->fields[ref->n_fields - 2]) : NULL, inner);
        }
    }
    p->flags = l.flags && !l.failed ? l.flags : NULL;
    p->n_flags = p->flags ? l.n : 0;
}
