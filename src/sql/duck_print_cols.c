/* The columns of queries below: what a subquery in FROM, a common table expression or VALUES gives to
 * the query around it. Types are those that the native binder finds; what it does not know stays
 * unknown, and nothing but better types depends on it. */
#include "sql/duck_print_internal.h"

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

static bool is_star(const PgQuery__Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && n->column_ref->n_fields > 0 &&
           n->column_ref->fields[n->column_ref->n_fields - 1]->node_case ==
               PG_QUERY__NODE__NODE_A_STAR;
}

static size_t count(const struct kl_dp *p, const PgQuery__SelectStmt *s) {
    size_t n = 0, stars = 0;
    for (const struct kl_dp_rel *r = p->scope->rels; r; r = r->next) {
        n += r->cols ? r->cols->n : r->table ? r->table->n_cols + 2 : 0;
    }
    for (size_t i = 0; i < s->n_target_list; i++) {
        stars += is_star(s->target_list[i]->res_target->val);
    }
    return n * stars + s->n_target_list;
}

static void add(struct kl_dp_cols *c, const char *name, struct kl_type type) {
    c->cols[c->n++] = (struct kl_dp_col){.name = name, .type = type};
}

static void add_rel(struct kl_dp_cols *c, const struct kl_dp_rel *r) {
    if (r->cols) {
        for (size_t i = 0; i < r->cols->n; i++) {
            add(c, r->cols->cols[i].name, r->cols->cols[i].type);
        }
        c->complete = c->complete && r->cols->complete;
    } else if (r->table && !r->renamed) {
        for (size_t i = 0; i < r->table->n_cols; i++) {
            add(c, r->table->cols[i].name, r->table->cols[i].type);
        }
        if (r->table->type != KL_TABLE_SYSTEM && r->table->type != KL_TABLE_VIEW) {
            add(c, "_seq", KL_TYPE(BIGINT));
            add(c, "_deleted", KL_TYPE(BOOLEAN));
        }
    } else {
        c->complete = false;
    }
}

/* Order is lost where several relations are told at once. */
static void add_star(struct kl_dp *p, struct kl_dp_cols *c, const PgQuery__ColumnRef *ref) {
    const char *name = ref->n_fields > 1 ? kl_dp__str(ref->fields[ref->n_fields - 2]) : NULL;
    size_t rels = 0;
    for (const struct kl_dp_rel *r = p->scope->rels; r; r = r->next) {
        if (!name || strcmp(r->alias, name) == 0) {
            add_rel(c, r);
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
        if (is_star(t->val)) {
            add_star(p, c, t->val->column_ref);
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
