/* Choosing how a statement reaches the rows of one table: by primary key, by an index, by a range
 * of _seq, or by scanning the partition.
 *
 * The condition is taken apart into those of its top-level parts that compare one column with values
 * that need no row. Each way to the rows is tried on these and gets a score; the highest wins:
 *
 *     the whole primary key = values          one look-up
 *     a unique index, all its columns = values
 *     the longest prefix of an index = values, then IN, then a range of the next column
 *     an IN list or a range of a first column, of the key, of _seq
 *     the order that ORDER BY asks for, when a LIMIT lets the scan stop early
 *     the partition
 *
 * The filter stays whole and is evaluated on what comes out, so a path may let in too much but must
 * never leave anything out. That is why a comparison counts only when the cast of its value to the column's
 * type keeps order and leaves the column's own values alone (usable). */
#include "sql/access.h"

#include "sql/expr_internal.h"

#define MAX_CONDS 64
#define MAX_IN 4096

struct cond {
    int col;                     /* of the table, or KL_COL_SEQ */
    unsigned op;                 /* KL_OP_EQ .. KL_OP_GE; KL_OP_NONE: one of several */
    const struct kl_expr *value; /* NULL with KL_OP_NONE */
    const struct kl_expr **in;
    size_t n_in;
};

struct chooser {
    const struct kl_access_input *in;
    struct kl_err *err;
    struct cond conds[MAX_CONDS];
    size_t n;
};

/* ---- conditions ---- */

static bool is_float(uint8_t id) {
    return id == KL_T_FLOAT || id == KL_T_DOUBLE;
}
static bool is_point(uint8_t id) {
    return id == KL_T_DATE || id == KL_T_TIMESTAMP || id == KL_T_DATETIME;
}

/* A number column against a floating-point value is compared as doubles, in which several of its values may be equal: such
 * a comparison names no place in an index. */
static bool usable(struct kl_type column, struct kl_type value) {
    if (kl_type_is_number(column.id)) {
        return is_float(column.id) ? is_float(value.id) || kl_type_is_integer(value.id)
                                   : kl_type_is_number(value.id) && !is_float(value.id);
    }
    if (is_point(column.id)) {
        return is_point(value.id);
    }
    switch (column.id) {
    case KL_T_TEXT:
    case KL_T_BYTES:
    case KL_T_UUID:
    case KL_T_BOOLEAN:
    case KL_T_TIME:
        return column.id == value.id;
    default:
        return false;
    }
}

static int int_width(uint8_t id) {
    return id == KL_T_SMALLINT ? 2 : id == KL_T_INT ? 4 : id == KL_T_BIGINT ? 8 : 0;
}

/* The slot that an expression is, also when it is a widened integer; NULL. A narrowing may fail on another row. */
static const struct kl_expr *as_slot(const struct kl_expr *e) {
    while (e->kind == KL_EXPR_KIND_CAST && int_width(e->args[0]->type.id) > 0 &&
           int_width(e->type.id) >= int_width(e->args[0]->type.id)) {
        e = e->args[0];
    }
    return e->kind == KL_EXPR_KIND_SLOT ? e : NULL;
}

static struct kl_type col_type(const struct kl_table *t, int col) {
    return col >= 0 ? t->cols[col].type : KL_TYPE(BIGINT);
}

/* The column that e is, when it compares with `value` as its index does. KL_COL_NONE. */
static int column_of(
    const struct chooser *c, const struct kl_expr *e, const struct kl_expr *value) {
    const struct kl_expr *slot = as_slot(e);
    if (!slot || slot->index >= c->in->n_slots ||
        (value->flags & (KL_EXPR_ROW | KL_EXPR_VOLATILE))) {
        return KL_COL_NONE;
    }
    int col = c->in->slots[slot->index];
    if (col != KL_COL_SEQ && (col < 0 || (size_t)col >= c->in->table->n_cols)) {
        return KL_COL_NONE;
    }
    return usable(col_type(c->in->table, col), value->type) ? col : KL_COL_NONE;
}

static void add_cond(struct chooser *c, int col, unsigned op, const struct kl_expr *value) {
    if (c->n < MAX_CONDS) {
        c->conds[c->n++] = (struct cond){.col = col, .op = op, .value = value};
    }
}

static unsigned mirrored(unsigned op) {
    switch (op) {
    case KL_OP_LT:
        return KL_OP_GT;
    case KL_OP_LE:
        return KL_OP_GE;
    case KL_OP_GT:
        return KL_OP_LT;
    case KL_OP_GE:
        return KL_OP_LE;
    default:
        return op;
    }
}

static void add_comparison(struct chooser *c, const struct kl_expr *e) {
    if (e->op == KL_OP_NE) {
        return;
    }
    int col = column_of(c, e->args[0], e->args[1]);
    if (col != KL_COL_NONE) {
        add_cond(c, col, e->op, e->args[1]);
        return;
    }
    col = column_of(c, e->args[1], e->args[0]);
    if (col != KL_COL_NONE) {
        add_cond(c, col, mirrored(e->op), e->args[0]);
    }
}

static void add_between(struct chooser *c, const struct kl_expr *e) {
    for (uint32_t i = 1; !e->negate && i <= 2; i++) {
        int col = column_of(c, e->args[0], e->args[i]);
        if (col != KL_COL_NONE) {
            add_cond(c, col, i == 1 ? KL_OP_GE : KL_OP_LE, e->args[i]);
        }
    }
}

/* Values of one column, from IN or from equalities under OR. */
struct list {
    int col;
    const struct kl_expr **values;
    size_t n, cap;
};

static bool to_list(
    struct chooser *c, const struct kl_expr *slot, const struct kl_expr *value, struct list *l) {
    int col = column_of(c, slot, value);
    if (col == KL_COL_NONE || (l->n > 0 && col != l->col) || l->n == l->cap) {
        return false;
    }
    l->col = col;
    l->values[l->n++] = value;
    return true;
}

static size_t list_size(const struct kl_expr *e) {
    size_t n = 0;
    if (e->kind == KL_EXPR_KIND_LOGIC && e->op == KL_EXPR_OR) {
        for (uint32_t i = 0; i < e->n_args; i++) {
            n += list_size(e->args[i]);
        }
        return n;
    }
    return e->kind == KL_EXPR_KIND_IN ? e->n_args - 1 : 1;
}

/* Whether e says nothing but "this column is one of these values". */
static bool collect_list(struct chooser *c, const struct kl_expr *e, struct list *l) {
    if (e->kind == KL_EXPR_KIND_CMP && e->op == KL_OP_EQ) {
        return to_list(c, e->args[0], e->args[1], l) || to_list(c, e->args[1], e->args[0], l);
    }
    bool all = false;
    if (e->kind == KL_EXPR_KIND_IN && !e->negate) {
        all = e->n_args > 1;
        for (uint32_t i = 1; all && i < e->n_args; i++) {
            all = to_list(c, e->args[0], e->args[i], l);
        }
    } else if (e->kind == KL_EXPR_KIND_LOGIC && e->op == KL_EXPR_OR) {
        all = true;
        for (uint32_t i = 0; all && i < e->n_args; i++) {
            all = collect_list(c, e->args[i], l);
        }
    }
    return all;
}

static enum kl_rc add_list(struct chooser *c, const struct kl_expr *e) {
    struct list l = {.cap = list_size(e)};
    if (c->n == MAX_CONDS || l.cap > MAX_IN) {
        return KL_OK;
    }
    l.values = KL_ARENA_ARRAY(c->in->arena, const struct kl_expr *, l.cap + 1);
    if (!l.values) {
        return kl_sql__no_room(c->err);
    }
    if (!collect_list(c, e, &l)) {
        return KL_OK;
    }
    if (l.n == 1) {
        add_cond(c, l.col, KL_OP_EQ, l.values[0]);
    } else {
        c->conds[c->n++] =
            (struct cond){.col = l.col, .op = KL_OP_NONE, .in = l.values, .n_in = l.n};
    }
    return KL_OK;
}

static enum kl_rc collect(struct chooser *c, const struct kl_expr *e) {
    switch (e->kind) {
    case KL_EXPR_KIND_CMP:
        add_comparison(c, e);
        return KL_OK;
    case KL_EXPR_KIND_BETWEEN:
        add_between(c, e);
        return KL_OK;
    case KL_EXPR_KIND_IN:
        return add_list(c, e);
    case KL_EXPR_KIND_LOGIC:
        if (e->op == KL_EXPR_OR) {
            return add_list(c, e);
        }
        for (uint32_t i = 0; e->op == KL_EXPR_AND && i < e->n_args; i++) {
            KL_TRY(collect(c, e->args[i]));
        }
        return KL_OK;
    default:
        return KL_OK;
    }
}

static const struct cond *find(const struct chooser *c, int col, unsigned op) {
    for (size_t i = 0; i < c->n; i++) {
        if (c->conds[i].col == col && c->conds[i].op == op) {
            return &c->conds[i];
        }
    }
    return NULL;
}

static const struct kl_expr *find_value(const struct chooser *c, int col, unsigned op) {
    const struct cond *found = find(c, col, op);
    return found ? found->value : NULL;
}

/* ---- order ---- */

/* Columns whose order the entries of a key or index have. */
struct entries {
    const uint16_t *cols;
    size_t n;
    uint32_t index_id; /* 0: the primary key */
    bool unique;
};

static int order_column(const struct chooser *c, const struct kl_order_key *k) {
    const struct kl_expr *slot = k->expr->kind == KL_EXPR_KIND_SLOT ? k->expr : NULL;
    return slot && slot->index < c->in->n_slots ? c->in->slots[slot->index] : KL_COL_NONE;
}

static bool nullable(const struct chooser *c, int col) {
    const struct kl_column *column = col >= 0 ? &c->in->table->cols[col] : NULL;
    return column && column->nullable && column->pk_pos == 0;
}

/* Whether entries from column n_eq on come in the order asked for; *ret_backward says in which direction. first_not_null: the range
 * leaves out NULLs of that column. */
static bool serves_order(const struct chooser *c, const struct entries *e, size_t n_eq,
    bool first_not_null, bool *ret_backward) {
    size_t at = n_eq;
    bool decided = false, backward = false, no_nulls = true;
    for (size_t i = 0; i < c->in->n_order; i++) {
        const struct kl_order_key *k = &c->in->order[i];
        int col = order_column(c, k);
        if (col == KL_COL_NONE || col == KL_COL_DELETED) {
            return false;
        }
        if (find(c, col, KL_OP_EQ)) { /* the same in every row */
            continue;
        }
        if (at == e->n && e->unique && no_nulls) { /* nothing left to order */
            break;
        }
        if (at < e->n ? col != e->cols[at] : at > e->n || col != KL_COL_SEQ || e->index_id == 0) {
            return false;
        }
        if (decided && k->descending != backward) {
            return false;
        }
        decided = true;
        backward = k->descending;
        if (nullable(c, col) && !(at == n_eq && first_not_null)) {
            no_nulls = false;
            if (k->nulls_first != backward) {
                return false;
            }
        }
        at++;
    }
    *ret_backward = backward;
    return true;
}

static bool serves_seq_order(const struct chooser *c, bool *ret_backward) {
    for (size_t i = 0; i < c->in->n_order; i++) {
        int col = order_column(c, &c->in->order[i]);
        if (col == KL_COL_SEQ) {
            *ret_backward = c->in->order[i].descending;
            return true; /* whatever follows: no two rows have the same _seq */
        }
        if (col == KL_COL_NONE || !find(c, col, KL_OP_EQ)) {
            return false;
        }
    }
    return false;
}

/* ---- paths and their scores ---- */

struct candidate {
    struct kl_access_path path;
    int score;
};
enum {
    SCORE_POINT = 1000,
    SCORE_UNIQUE = 900,
    SCORE_PREFIX = 400, /* and 40 a column */
    SCORE_IN = 30,
    SCORE_RANGE = 20, /* closed on both sides */
    SCORE_HALF = 10,
    SCORE_FIRST = 200, /* IN or range of a first column */
    SCORE_SEQ = 5,     /* needs no second read */
    SCORE_KEY = 1,
    SCORE_ORDERED = 4,
    SCORE_ORDER = 50,
    SCORE_COUNT = 40,
};

static void consider(struct candidate *best, const struct candidate *c) {
    if (c->score > best->score) {
        *best = *c;
    }
}

static enum kl_rc try_point(struct chooser *c, struct candidate *best) {
    const struct kl_table *t = c->in->table;
    const struct kl_expr **pk = KL_ARENA_ARRAY(c->in->arena, const struct kl_expr *, t->n_pk + 1);
    if (!pk) {
        return kl_sql__no_room(c->err);
    }
    for (size_t i = 0; i < t->n_pk; i++) {
        pk[i] = find_value(c, t->pk[i], KL_OP_EQ);
        if (!pk[i]) {
            return KL_OK;
        }
    }
    struct candidate x = {.score = SCORE_POINT, .path = {.pk = pk, .ordered = true}};
    if (t->n_pk > 0) {
        consider(best, &x);
    }
    return KL_OK;
}

static void add_range(const struct chooser *c, int col, struct kl_access_path *p) {
    const struct cond *in = find(c, col, KL_OP_NONE);
    if (in) {
        p->in = in->in;
        p->n_in = in->n_in;
        return;
    }
    const struct kl_expr *above = find_value(c, col, KL_OP_GT),
                         *below = find_value(c, col, KL_OP_LT);
    p->lo = above ? above : find_value(c, col, KL_OP_GE);
    p->hi = below ? below : find_value(c, col, KL_OP_LE);
    p->lo_excl = above;
    p->hi_excl = below;
}

static int score_of(const struct kl_access_path *p, const struct entries *e) {
    int score = p->n_eq > 0 ? SCORE_PREFIX + 40 * (int)p->n_eq : 0;
    int more = p->n_in > 0      ? SCORE_IN
               : p->lo && p->hi ? SCORE_RANGE
               : p->lo || p->hi ? SCORE_HALF
                                : 0;
    if (e->unique && p->n_eq == e->n && e->index_id) {
        return SCORE_UNIQUE;
    }
    if (score == 0 && more > 0) {
        score = SCORE_FIRST;
    }
    return score + more > 0 ? score + more + (e->index_id ? 0 : SCORE_KEY) : 0;
}

static enum kl_rc try_entries(struct chooser *c, const struct entries *e, struct candidate *best) {
    struct candidate x = {.path = {.index_id = e->index_id, .by_key = e->index_id == 0}};
    struct kl_access_path *p = &x.path;
    const struct kl_expr *eq[KL_INDEX_COLS_MAX];
    for (; p->n_eq < e->n; p->n_eq++) {
        eq[p->n_eq] = find_value(c, e->cols[p->n_eq], KL_OP_EQ);
        if (!eq[p->n_eq]) {
            break;
        }
    }
    if (p->n_eq < e->n) {
        add_range(c, e->cols[p->n_eq], p);
    }
    x.score = score_of(p, e);
    bool bounded = p->lo || p->hi || p->n_in > 0;
    p->ordered = c->in->n_order > 0 && serves_order(c, e, p->n_eq, bounded, &p->backward);
    if (p->ordered && x.score > 0) {
        x.score += SCORE_ORDERED * (1 + c->in->limited);
    } else if (p->ordered && c->in->limited) {
        x.score = SCORE_ORDER + (e->index_id ? 0 : SCORE_KEY);
    } else if (c->in->counts && !c->in->filter && e->index_id == 0) {
        x.score = SCORE_COUNT; /* entries are shorter than rows, and none is looked up */
    }
    if (x.score <= best->score) {
        return KL_OK;
    }
    p->eq = KL_ARENA_ARRAY(c->in->arena, const struct kl_expr *, p->n_eq + 1);
    if (!p->eq) {
        return kl_sql__no_room(c->err);
    }
    memcpy(p->eq, eq, p->n_eq * sizeof(*eq));
    consider(best, &x);
    return KL_OK;
}

static void try_seq(struct chooser *c, struct candidate *best) {
    struct candidate x = {0};
    struct kl_access_path *p = &x.path;
    const struct kl_expr *at = find_value(c, KL_COL_SEQ, KL_OP_EQ);
    const struct kl_expr *above = find_value(c, KL_COL_SEQ, KL_OP_GT),
                         *below = find_value(c, KL_COL_SEQ, KL_OP_LT);
    p->after_seq = at ? at : above ? above : find_value(c, KL_COL_SEQ, KL_OP_GE);
    p->upto_seq = at ? at : below ? below : find_value(c, KL_COL_SEQ, KL_OP_LE);
    p->ordered = c->in->n_order > 0 && serves_seq_order(c, &p->backward);
    x.score = at                             ? SCORE_UNIQUE + 1
              : p->after_seq && p->upto_seq  ? SCORE_FIRST + SCORE_RANGE + SCORE_SEQ
              : p->after_seq || p->upto_seq  ? SCORE_FIRST + SCORE_HALF + SCORE_SEQ
              : p->ordered && c->in->limited ? SCORE_ORDER + SCORE_SEQ
                                             : 1;
    x.score += p->ordered && x.score >= SCORE_FIRST ? SCORE_ORDERED * (1 + c->in->limited) : 0;
    consider(best, &x);
}

enum kl_rc kl_sql__choose_access(
    const struct kl_access_input *in, struct kl_access_path *ret, struct kl_err *err) {
    const struct kl_table *t = in->table;
    struct chooser c = {.in = in, .err = err};
    struct candidate best = {0};
    if (t->type == KL_TABLE_SYSTEM || t->type == KL_TABLE_VIEW) {
        return KL_OK;
    }
    if (in->filter) {
        KL_TRY(collect(&c, in->filter));
    }
    try_seq(&c, &best);
    if (t->type != KL_TABLE_STREAM) {
        KL_TRY(try_point(&c, &best));
        if (t->n_pk > 0) {
            struct entries key = {.cols = t->pk, .n = t->n_pk, .unique = true};
            KL_TRY(try_entries(&c, &key, &best));
        }
        for (size_t i = 0; i < t->n_indexes; i++) {
            const struct kl_index *x = &t->indexes[i];
            struct entries e = {x->cols, x->n_cols, x->id, x->unique};
            if (x->state == KL_INDEX_READY) {
                KL_TRY(try_entries(&c, &e, &best));
            }
        }
    }
    best.path.newest_likely = !best.path.ordered && in->limited && in->n_order > 0 && in->order[0].descending;
    *ret = best.path;
    return KL_OK;
}
