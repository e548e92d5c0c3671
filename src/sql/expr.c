/* The expression tree: leaves, what every node has in common, folding, and the questions that
 * callers ask of a tree.
 *
 * A node is a function pointer, a type and its arguments. Builders (expr_*.c, func.c, like.c) work
 * bottom-up: each resolves types, inserts casts, makes a node with kl_expr__node and hands it out
 * through kl_expr__finish, which replaces an immutable node over constants by its value.
 *
 * Invariants: an evaluated value has the id of its node's type, also when it is NULL; only a
 * constant and a parameter can be of unknown type (KL_T_NULL), every other builder gives them a
 * type. A decimal's scale is that of the value, its node's type says the widest. A built node never
 * changes, so any number of threads may evaluate it. */
#include "sql/expr_internal.h"

struct kl_type kl_expr_type(const struct kl_expr *e) {
    return e->type;
}

bool kl_expr_nullable(const struct kl_expr *e) {
    return e->flags & KL_EXPR_NULLABLE;
}

bool kl_expr_volatile(const struct kl_expr *e) {
    return e->flags & KL_EXPR_VOLATILE;
}

enum kl_rc kl_expr__no_memory(struct kl_err *err) {
    return kl_fail(err, KL_E_TOO_LARGE, "the statement does not fit in its memory budget");
}

const char *kl_expr__type_name(uint8_t id) {
    static const char *const names[] = {
        [KL_T_NULL] = "unknown",
        [KL_T_BOOLEAN] = "boolean",
        [KL_T_SMALLINT] = "smallint",
        [KL_T_INT] = "integer",
        [KL_T_BIGINT] = "bigint",
        [KL_T_FLOAT] = "float",
        [KL_T_DOUBLE] = "double",
        [KL_T_DECIMAL] = "decimal",
        [KL_T_TEXT] = "text",
        [KL_T_JSON] = "json",
        [KL_T_FILE] = "file",
        [KL_T_BYTES] = "bytes",
        [KL_T_UUID] = "uuid",
        [KL_T_EMBEDDING] = "embedding",
        [KL_T_TIMESTAMP] = "timestamp",
        [KL_T_DATETIME] = "datetime",
        [KL_T_DATE] = "date",
        [KL_T_TIME] = "time",
        [KL_T_INTERVAL] = "interval",
    };
    return id < KL_LEN(names) && names[id] ? names[id] : "unknown";
}

/* ---- nodes ---- */

static enum kl_rc too_deep(struct kl_err *err) {
    return kl_fail(err, KL_E_INVALID_SQL, "the expression is nested too deeply (at most %d levels)",
        KL_EXPR_MAX_DEPTH);
}

enum kl_rc kl_expr__node(struct kl_expr_builder *b, enum kl_expr_kind kind, struct kl_type type,
    struct kl_expr *const *args, size_t n, struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *e = KL_ARENA_NEW(b->arena, struct kl_expr);
    if (!e) {
        return kl_expr__no_memory(err);
    }
    e->kind = (uint8_t)kind;
    e->type = type;
    if (n > 0) {
        e->args = KL_ARENA_ARRAY(b->arena, struct kl_expr *, n);
        if (!e->args) {
            return kl_expr__no_memory(err);
        }
        e->n_args = (uint32_t)n;
    }
    unsigned deepest = 0;
    for (size_t i = 0; i < n; i++) {
        e->args[i] = args[i];
        e->flags |= args[i]->flags;
        deepest = KL_MAX(deepest, args[i]->depth);
    }
    /* A cast that we insert ourselves is not the author's nesting. */
    e->depth = (uint16_t)(deepest + (kind != KL_EXPR_KIND_CAST));
    if (e->depth > KL_EXPR_MAX_DEPTH || b->depth > KL_EXPR_MAX_DEPTH) {
        return too_deep(err);
    }
    *ret = e;
    return KL_OK;
}

static enum kl_rc eval_const(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    *ret = e->value;
    return KL_OK;
}

static enum kl_rc eval_slot(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    *ret = ev->row[e->index];
    if (ret->null) {
        ret->type = e->type.id;
    } else if (ret->type != e->type.id) {
        return kl_fail(err, KL_E_INTERNAL, "column %u is %s, the plan expects %s", e->index,
            kl_expr__type_name(ret->type), kl_expr__type_name(e->type.id));
    }
    return KL_OK;
}

static enum kl_rc eval_param(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    if (e->index >= ev->n_params) {
        return kl_fail(
            err, KL_E_INVALID_PARAMETER, "there is no value for parameter $%u", e->index + 1);
    }
    *ret = ev->params[e->index];
    if (ret->null) {
        *ret = kl_val_null(e->type.id);
        return KL_OK;
    }
    /* An open parameter (a cell of VALUES) passes through as it is: assignment casts it. */
    if (e->type.id != KL_T_NULL && ret->type != e->type.id) {
        return kl_fail(err, KL_E_INTERNAL, "parameter $%u is %s, the plan expects %s", e->index + 1,
            kl_expr__type_name(ret->type), kl_expr__type_name(e->type.id));
    }
    return KL_OK;
}

static struct kl_type type_of(const struct kl_val *v) {
    struct kl_type t = {.id = v->flags & KL_VAL_UNKNOWN ? KL_T_NULL : v->type};
    if (v->type == KL_T_DECIMAL) { /* as wide as that of a parameter with this value */
        __int128 dec = v->null ? 0 : kl_val_dec(v), limit = 1000000000000000000;
        t.scale = v->scale;
        t.precision = !v->null && v->scale <= 18 && dec < limit && dec > -limit ? 18 : 38;
    } else if (v->type == KL_T_EMBEDDING && !v->null) {
        t.dim = (uint16_t)(v->len / sizeof(float));
    }
    return t;
}

enum kl_rc kl_expr_const(
    struct kl_expr_builder *b, struct kl_val v, struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *e;
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_CONST, type_of(&v), NULL, 0, &e, err));
    e->eval = eval_const;
    if (v.null) {
        e->value = kl_val_null(e->type.id);
        e->flags |= KL_EXPR_NULLABLE;
    } else if (!kl_val_dup(b->arena, &v, &e->value)) {
        return kl_expr__no_memory(err);
    }
    *ret = e;
    return KL_OK;
}

enum kl_rc kl_expr_param(struct kl_expr_builder *b, unsigned index, struct kl_type type,
    struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *e;
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_PARAM, type, NULL, 0, &e, err));
    e->eval = eval_param;
    e->index = index;
    e->flags = KL_EXPR_STATEMENT | KL_EXPR_NULLABLE;
    *ret = e;
    return KL_OK;
}

enum kl_rc kl_expr_slot(struct kl_expr_builder *b, unsigned slot, struct kl_type type,
    bool nullable, struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *e;
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_SLOT, type, NULL, 0, &e, err));
    e->eval = eval_slot;
    e->index = slot;
    e->flags = KL_EXPR_ROW | (nullable ? KL_EXPR_NULLABLE : 0);
    *ret = e;
    return KL_OK;
}

static bool over_constants(const struct kl_expr *e) {
    if (e->flags & (KL_EXPR_VOLATILE | KL_EXPR_ROW | KL_EXPR_STATEMENT)) {
        return false;
    }
    for (uint32_t i = 0; i < e->n_args; i++) {
        if (!kl_expr__is_const(e->args[i])) {
            return false;
        }
    }
    return true;
}

struct kl_expr *kl_expr__finish(struct kl_expr_builder *b, struct kl_expr *e) {
    if (e->kind == KL_EXPR_KIND_CONST || !over_constants(e)) {
        return e;
    }
    struct kl_eval ev = {.arena = b->arena};
    struct kl_val v;
    if (e->eval(e, &ev, &v, NULL) != KL_OK) {
        return e;
    }
    struct kl_expr *folded;
    if (kl_expr__node(b, KL_EXPR_KIND_CONST, e->type, NULL, 0, &folded, NULL) != KL_OK) {
        return e;
    }
    folded->eval = eval_const;
    folded->value = v;
    folded->flags = v.null ? KL_EXPR_NULLABLE : 0;
    return folded;
}

/* ---- operators by spelling ---- */

static const struct {
    const char *text;
    enum kl_expr_opcode op;
} spellings[] = {
    {"+", KL_OP_ADD},
    {"-", KL_OP_SUB},
    {"*", KL_OP_MUL},
    {"/", KL_OP_DIV},
    {"%", KL_OP_MOD},
    {"^", KL_OP_POW},
    {"||", KL_OP_CONCAT},
    {"=", KL_OP_EQ},
    {"<>", KL_OP_NE},
    {"!=", KL_OP_NE},
    {"<", KL_OP_LT},
    {"<=", KL_OP_LE},
    {">", KL_OP_GT},
    {">=", KL_OP_GE},
    {"~~", KL_OP_LIKE},
    {"!~~", KL_OP_NOT_LIKE},
    {"~~*", KL_OP_ILIKE},
    {"!~~*", KL_OP_NOT_ILIKE},
    {"~", KL_OP_REGEX},
    {"!~", KL_OP_NOT_REGEX},
    {"~*", KL_OP_IREGEX},
    {"!~*", KL_OP_NOT_IREGEX},
    {"->", KL_OP_JSON_GET},
    {"->>", KL_OP_JSON_TEXT},
    {"?", KL_OP_JSON_HAS},
    {"#>", KL_OP_JSON_PATH},
    {"#>>", KL_OP_JSON_PATH_TEXT},
    {"@>", KL_OP_JSON_CONTAINS},
    {"<@", KL_OP_JSON_CONTAINED},
    {"?|", KL_OP_JSON_HAS_ANY},
    {"?&", KL_OP_JSON_HAS_ALL},
    {"#-", KL_OP_JSON_DELETE_PATH},
    {"-", KL_OP_NEG},
    {"+", KL_OP_PLUS},
};

enum kl_expr_opcode kl_expr__opcode(struct kl_slice op) {
    for (size_t i = 0; i < KL_LEN(spellings); i++) {
        if (kl_slice_eq_str(op, spellings[i].text)) {
            return spellings[i].op;
        }
    }
    return KL_OP_NONE;
}

const char *kl_expr__op_text(unsigned op) {
    for (size_t i = 0; i < KL_LEN(spellings); i++) {
        if (spellings[i].op == op) {
            return spellings[i].text;
        }
    }
    return "?";
}

enum kl_rc kl_expr__no_operator(unsigned op, const struct kl_expr *l, const struct kl_expr *r,
    int position, struct kl_err *err) {
    const struct kl_expr *open = kl_expr__is_unknown(r) ? r : l, *other = open == r ? l : r;
    uint8_t id = other ? other->type.id : KL_T_NULL;
    bool ambiguous = open && kl_expr__is_unknown(open) &&
                     (id == KL_T_NULL || id == KL_T_DATE || id == KL_T_TIME);
    enum kl_rc rc = kl_fail_at(err, KL_E_TYPE, position, "%s: %s%s%s %s",
        ambiguous ? "operator is not unique" : "operator does not exist",
        l ? kl_expr__type_name(l->type.id) : "", l ? " " : "", kl_expr__op_text(op),
        kl_expr__type_name(r->type.id));
    kl_err_hint(err, "You might need to add explicit type casts.");
    return rc;
}

static enum kl_rc call_operator(struct kl_expr_builder *b, const char *func, struct kl_expr *l,
    struct kl_expr *r, int position, struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *args[2] = {l, r};
    return kl_expr_call(b, kl_slice_str(func), args, 2, position, ret, err);
}

/* Operators that are functions of the same name, or of another. */
static const char *function_of(struct kl_slice text, bool binary) {
    static const struct {
        const char *text, *function;
        bool binary;
    } known[] = {
        {"&", "&", true},
        {"|", "|", true},
        {"#", "#", true},
        {"<<", "<<", true},
        {">>", ">>", true},
        {"^@", "starts_with", true},
        {"~", ":bit_not", false},
        {"@", "abs", false},
        {"|/", "sqrt", false},
        {"||/", "cbrt", false},
    };
    for (size_t i = 0; i < KL_LEN(known); i++) {
        if (known[i].binary == binary && kl_slice_eq(text, kl_slice_str(known[i].text))) {
            return known[i].function;
        }
    }
    return NULL;
}

enum kl_rc kl_expr_op(struct kl_expr_builder *b, struct kl_slice text, struct kl_expr *left,
    struct kl_expr *right, int position, struct kl_expr **ret, struct kl_err *err) {
    enum kl_expr_opcode op = kl_expr__opcode(text);
    const char *function = function_of(text, left != NULL);
    if (function) {
        struct kl_expr *args[2] = {left ? left : right, right};
        return kl_expr_call(
            b, kl_slice_str(function), args, left ? 2 : 1, position, ret, err);
    }
    if (!left) {
        op = op == KL_OP_SUB ? KL_OP_NEG : op == KL_OP_ADD ? KL_OP_PLUS : KL_OP_NONE;
    }
    if (op == KL_OP_SUB && left->type.id == KL_T_JSON) {
        return call_operator(b, "-", left, right, position, ret, err);
    }
    switch (op) {
    case KL_OP_ADD:
    case KL_OP_SUB:
    case KL_OP_MUL:
    case KL_OP_DIV:
    case KL_OP_MOD:
    case KL_OP_POW:
    case KL_OP_NEG:
    case KL_OP_PLUS:
        return kl_expr__arith(b, op, left, right, position, ret, err);
    case KL_OP_CONCAT:
        return kl_expr__concat(b, left, right, position, ret, err);
    case KL_OP_EQ:
    case KL_OP_NE:
    case KL_OP_LT:
    case KL_OP_LE:
    case KL_OP_GT:
    case KL_OP_GE:
        return kl_expr__compare(b, op, left, right, position, ret, err);
    case KL_OP_LIKE:
    case KL_OP_NOT_LIKE:
    case KL_OP_ILIKE:
    case KL_OP_NOT_ILIKE:
        return kl_expr_like(b, op == KL_OP_NOT_LIKE || op == KL_OP_NOT_ILIKE,
            op == KL_OP_ILIKE || op == KL_OP_NOT_ILIKE, left, right, NULL, position, ret, err);
    case KL_OP_REGEX:
    case KL_OP_NOT_REGEX:
    case KL_OP_IREGEX:
    case KL_OP_NOT_IREGEX:
        return kl_expr__regex(b, op == KL_OP_NOT_REGEX || op == KL_OP_NOT_IREGEX,
            op == KL_OP_IREGEX || op == KL_OP_NOT_IREGEX, left, right, position, ret, err);
    case KL_OP_JSON_GET:
        return call_operator(b, "->", left, right, position, ret, err);
    case KL_OP_JSON_TEXT:
        return call_operator(b, "->>", left, right, position, ret, err);
    case KL_OP_JSON_HAS:
    case KL_OP_JSON_PATH:
    case KL_OP_JSON_PATH_TEXT:
    case KL_OP_JSON_CONTAINS:
    case KL_OP_JSON_CONTAINED:
    case KL_OP_JSON_HAS_ANY:
    case KL_OP_JSON_HAS_ALL:
    case KL_OP_JSON_DELETE_PATH:
        return call_operator(b, kl_expr__op_text(op), left, right, position, ret, err);
    case KL_OP_NONE:
        break;
    }
    return kl_fail_at(
        err, KL_E_UNSUPPORTED, position, "the operator %.*s has no native form", KL_FMT(text));
}

/* ---- access paths ---- */

static const struct kl_expr *strip_casts(const struct kl_expr *e) {
    while (e->kind == KL_EXPR_KIND_CAST && e->type.id == e->args[0]->type.id &&
           e->type.id != KL_T_DECIMAL) {
        e = e->args[0];
    }
    return e;
}

/* A value may stand for the slot's when the comparison is that of the key's own type. An integer of
 * another width counts: one that does not fit is in no row. */
static bool same_domain(struct kl_type slot, struct kl_type value) {
    if (kl_type_is_integer(slot.id)) {
        return kl_type_is_integer(value.id);
    }
    return slot.id == value.id && slot.id != KL_T_DECIMAL;
}

static int int_width(uint8_t id) {
    return id == KL_T_SMALLINT ? 2 : id == KL_T_INT ? 4 : id == KL_T_BIGINT ? 8 : 0;
}

static const struct kl_expr *equal_value(
    const struct kl_expr *slot_side, const struct kl_expr *value, unsigned slot) {
    slot_side = strip_casts(slot_side);
    while (slot_side->kind == KL_EXPR_KIND_CAST && int_width(slot_side->args[0]->type.id) > 0 &&
           int_width(slot_side->type.id) > int_width(slot_side->args[0]->type.id)) {
        slot_side =
            slot_side->args[0]; /* a widened column; a narrowed one may fail on another row */
    }
    if (slot_side->kind != KL_EXPR_KIND_SLOT || slot_side->index != slot) {
        return NULL;
    }
    if ((value->flags & (KL_EXPR_ROW | KL_EXPR_VOLATILE)) ||
        !same_domain(slot_side->type, value->type)) {
        return NULL;
    }
    return strip_casts(value);
}

const struct kl_expr *kl_expr_equality(const struct kl_expr *e, unsigned slot) {
    if (!e) {
        return NULL;
    }
    if (e->kind == KL_EXPR_KIND_LOGIC && e->op == KL_EXPR_AND) {
        for (uint32_t i = 0; i < e->n_args; i++) {
            const struct kl_expr *value = kl_expr_equality(e->args[i], slot);
            if (value) {
                return value;
            }
        }
        return NULL;
    }
    if (e->kind == KL_EXPR_KIND_IN && e->n_args == 2 && !e->negate) {
        return equal_value(e->args[0], e->args[1], slot);
    }
    if (e->kind != KL_EXPR_KIND_CMP || e->op != KL_OP_EQ) {
        return NULL;
    }
    const struct kl_expr *value = equal_value(e->args[0], e->args[1], slot);
    return value ? value : equal_value(e->args[1], e->args[0], slot);
}

/* ---- evaluating ---- */

enum kl_rc kl_expr_eval(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    return e->eval(e, ev, ret, err);
}

enum kl_rc kl_expr_test_row(
    const struct kl_expr *e, struct kl_eval *ev, bool *ret, struct kl_err *err) {
    if (!e) {
        *ret = true;
        return KL_OK;
    }
    struct kl_val v;
    KL_TRY(e->eval(e, ev, &v, err));
    *ret = !v.null && v.b;
    return KL_OK;
}
