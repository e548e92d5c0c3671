/* Expressions. Each operator is printed in parentheses, so the tree's shape survives whatever
 * DuckDB's precedence is. */
#include "sql/duck_print_internal.h"
#include "sql/expr_internal.h"

#include <stdio.h>

bool kl_dp__open_param(const struct kl_dp *p, const PgQuery__Node *n) {
    return n && n->node_case == PG_QUERY__NODE__NODE_PARAM_REF && n->param_ref->number >= 1 &&
           (size_t)n->param_ref->number <= p->n_params &&
           p->param_types[n->param_ref->number - 1].id == KL_T_NULL;
}

enum kl_rc kl_dp__arg(struct kl_dp *p, PgQuery__Node *n) {
    bool open = kl_dp__open_param(p, n);
    kl_dp__puts(p, open ? "CAST(" : "");
    KL_TRY(kl_dp__expr(p, n));
    kl_dp__puts(p, open ? " AS VARCHAR)" : "");
    return KL_OK;
}

enum kl_rc kl_dp__list(struct kl_dp *p, PgQuery__Node **items, size_t n) {
    for (size_t i = 0; i < n; i++) {
        kl_dp__puts(p, i ? ", " : "");
        KL_TRY(kl_dp__expr(p, items[i]));
    }
    return KL_OK;
}

/* ---- columns ---- */

/* ns.table.column names a table of FROM that has no alias; DuckDB knows it by the table's name
 * alone. */
static bool is_namespace_of(const struct kl_dp *p, const char *ns, const char *table) {
    for (const struct kl_dp_scope *s = p->scope; s; s = s->outer) {
        for (const struct kl_dp_rel *r = s->rels; r; r = r->next) {
            if (!r->aliased && r->table && strcmp(r->table->name, table) == 0 &&
                strcmp(r->table->ns, ns) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* t.* as a value: DuckDB would make several of it. */
static enum kl_rc whole_row(struct kl_dp *p, const PgQuery__ColumnRef *c) {
    const char *name = c->n_fields > 1 ? kl_dp__str(c->fields[c->n_fields - 2]) : NULL;
    const struct kl_dp_rel *r = NULL;
    for (const struct kl_dp_scope *s = p->scope; s && !r && name; s = s->outer) {
        for (r = s->rels; r && strcmp(r->alias, name) != 0; r = r->next) {
        }
    }
    bool known = r && (r->cols ? r->cols->complete && r->cols->ordered : r->table && !r->renamed);
    bool stored = r && r->scan > 0 && r->table->type != KL_TABLE_SYSTEM;
    if (!known || (r->optional && !stored)) {
        return kl_dp__refuse(p, c->location, "a whole row of this as a value");
    }
    if (r->optional) { /* without a partner it is NULL, not a row of NULLs */
        kl_dp__puts(p, "CASE WHEN ");
        kl_dp__ident(p, name);
        kl_dp__puts(p, ".\"_seq\" IS NOT NULL THEN ");
    }
    size_t n = r->cols ? r->cols->n : r->table->n_cols;
    kl_dp__puts(p, "row(");
    for (size_t i = 0; i < n; i++) {
        kl_dp__puts(p, i ? ", " : "");
        kl_dp__ident(p, name);
        kl_dp__puts(p, ".");
        kl_dp__ident(p, r->cols ? r->cols->cols[i].name : r->table->cols[i].name);
    }
    kl_dp__puts(p, r->optional ? ") END" : ")");
    return KL_OK;
}

enum kl_rc kl_dp__column_ref(struct kl_dp *p, PgQuery__ColumnRef *c) {
    size_t first = 0;
    if (c->n_fields >= 3) {
        const char *ns = kl_dp__str(c->fields[0]), *table = kl_dp__str(c->fields[1]);
        if (c->n_fields > 3 || !ns || !table || !is_namespace_of(p, ns, table)) {
            return kl_fail_at(p->err, KL_E_EXEC, kl_dp__pos(c->location),
                "missing FROM-clause entry for table \"%s\"", table ? table : "");
        }
        first = 1;
    }
    KL_TRY(kl_dp__check_column(p, c));
    for (size_t i = first; i < c->n_fields; i++) {
        kl_dp__puts(p, i > first ? "." : "");
        if (c->fields[i]->node_case == PG_QUERY__NODE__NODE_A_STAR) {
            kl_dp__puts(p, "*");
        } else {
            kl_dp__ident(p, kl_dp__str(c->fields[i]));
        }
    }
    return KL_OK;
}

/* ---- operators ---- */

enum how {
    INFIX,
    DIVISION,
    PLUS,
    CALL,
    NATIVE,
    REGEX,
    NOT_REGEX,
    REGEX_I,
    NOT_REGEX_I,
    JSON
};
static const struct operator{
    const char *name;
    enum how how;
    const char *print;
}
operators[] = {
    {"=", INFIX, "="},
    {"<>", INFIX, "<>"},
    {"!=", INFIX, "<>"},
    {"<", INFIX, "<"},
    {"<=", INFIX, "<="},
    {">", INFIX, ">"},
    {">=", INFIX, ">="},
    {"+", PLUS, "+"},
    {"-", PLUS, "-"},
    {"*", INFIX, "*"},
    {"/", DIVISION, "/"},
    {"%", DIVISION, "%"},
    {"||", INFIX, "||"},
    {"&", NATIVE, "&"},
    {"|", NATIVE, "|"},
    {"#", NATIVE, "#"},
    {"<<", NATIVE, "<<"},
    {">>", NATIVE, ">>"},
    {"^@", CALL, "starts_with"},
    {"^", CALL, "pow"},
    {"~", REGEX, ""},
    {"!~", NOT_REGEX, ""},
    {"~*", REGEX_I, ""},
    {"!~*", NOT_REGEX_I, ""},
    {"->", JSON, ""},
    {"->>", JSON, ""},
    {"?", JSON, ""},
    {"#>", JSON, ""},
    {"#>>", JSON, ""},
    {"@>", JSON, ""},
    {"<@", JSON, ""},
    {"?|", JSON, ""},
    {"?&", JSON, ""},
    {"#-", JSON, ""},
};
static const struct operator unary[] = {
    {"-", INFIX, "-"},
    {"+", INFIX, "+"},
    {"~", NATIVE, ":bit_not"},
    {"@", CALL, "abs"},
    {"|/", CALL, "sqrt"},
    {"||/", CALL, "cbrt"},
};

/* The bare name of an operator; NULL when it is qualified with anything but pg_catalog. */
static const char *operator_name(PgQuery__Node **name, size_t n) {
    const char *schema = n == 2 ? kl_dp__str(name[0]) : "pg_catalog";
    const char *op = n ? kl_dp__str(name[n - 1]) : NULL;
    return n <= 2 && schema && strcmp(schema, "pg_catalog") == 0 ? op : NULL;
}

static enum kl_rc no_operator(struct kl_dp *p, const char *name, int32_t location) {
    return kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_dp__pos(location),
        "operator %s does not exist or is not supported", name ? name : "");
}

/* A parameter of the caller's that came as a number, beside a text, is one. */
enum kl_rc kl_dp__side(struct kl_dp *p, PgQuery__Node *n, PgQuery__Node *beside) {
    if (p->plain && n && n->node_case == PG_QUERY__NODE__NODE_PARAM_REF) {
        uint8_t id = kl_dp__infer(p, n).id;
        if ((kl_type_is_number(id) || id == KL_T_BOOLEAN) &&
            kl_type_is_text(kl_dp__infer(p, beside).id)) {
            return kl_dp__as(p, n, KL_TYPE(TEXT));
        }
    }
    return kl_dp__expr(p, n);
}

static enum kl_rc binary(struct kl_dp *p, PgQuery__Node *l, const char *op, PgQuery__Node *r) {
    kl_dp__puts(p, "(");
    KL_TRY(kl_dp__side(p, l, r));
    kl_buf_printf(p->out, " %s ", op);
    KL_TRY(kl_dp__side(p, r, l));
    kl_dp__puts(p, ")");
    return KL_OK;
}

/* A day count beside a DATE is an INTEGER for DuckDB; our integers are wider. */
static enum kl_rc plus(struct kl_dp *p, PgQuery__AExpr *e, const char *op) {
    uint8_t l = kl_dp__infer(p, e->lexpr).id, r = kl_dp__infer(p, e->rexpr).id;
    bool l_date = l == KL_T_DATE, r_date = r == KL_T_DATE;
    if (op[0] == '-' && l == KL_T_TIME && r == KL_T_TIME) {
        PgQuery__Node *args[2] = {e->lexpr, e->rexpr};
        return kl_dp__native(p, ":time_sub", args, 2, e->location);
    }
    if (l_date && r_date) { /* days: an INTEGER, which DuckDB gives as a BIGINT */
        kl_dp__puts(p, "CAST(");
        KL_TRY(binary(p, e->lexpr, op, e->rexpr));
        kl_dp__puts(p, " AS INTEGER)");
        return KL_OK;
    }
    bool narrow_r = l_date && kl_type_is_integer(kl_dp__infer(p, e->rexpr).id);
    bool narrow_l = r_date && kl_type_is_integer(kl_dp__infer(p, e->lexpr).id);
    kl_dp__puts(p, narrow_l ? "(CAST(" : "(");
    KL_TRY(kl_dp__expr(p, e->lexpr));
    kl_buf_printf(p->out, "%s %s %s", narrow_l ? " AS INTEGER)" : "", op, narrow_r ? "CAST(" : "");
    KL_TRY(kl_dp__expr(p, e->rexpr));
    kl_dp__puts(p, narrow_r ? " AS INTEGER))" : ")");
    return KL_OK;
}

/* ---- arithmetic ---- */

enum kl_rc kl_dp__as(struct kl_dp *p, PgQuery__Node *n, struct kl_type t) {
    kl_dp__puts(p, "CAST(");
    KL_TRY(kl_dp__expr(p, n));
    kl_dp__puts(p, " AS ");
    kl_duck_type_name(t, p->out);
    kl_dp__puts(p, ")");
    return KL_OK;
}

static bool is_exact(struct kl_type t) {
    return t.id == KL_T_DECIMAL || kl_type_is_integer(t.id);
}

static enum kl_rc call_with(struct kl_dp *p, const char *name, PgQuery__AExpr *e,
    struct kl_type args, struct kl_type result) {
    bool cast = result.id == KL_T_DECIMAL;
    kl_buf_printf(p->out, cast ? "CAST(%s(" : "%s(", name);
    KL_TRY(kl_dp__as(p, e->lexpr, args));
    kl_dp__puts(p, ", ");
    KL_TRY(kl_dp__as(p, e->rexpr, args));
    kl_dp__puts(p, ")");
    if (cast) {
        kl_dp__puts(p, " AS ");
        kl_duck_type_name(result, p->out);
        kl_dp__puts(p, ")");
    }
    return KL_OK;
}

/* DuckDB answers NULL where the divisor is zero, and divides decimals as doubles. */
static enum kl_rc division(struct kl_dp *p, PgQuery__AExpr *e, const char *op) {
    struct kl_type l = kl_dp__infer(p, e->lexpr), r = kl_dp__infer(p, e->rexpr);
    struct kl_type t = kl_dp__infer_op(p, e);
    if (l.id == KL_T_INTERVAL) {
        PgQuery__Node *args[2] = {e->lexpr, e->rexpr};
        return kl_dp__native(p, ":interval_div", args, 2, e->location);
    }
    bool div = op[0] == '/', decimal = is_exact(l) && is_exact(r) && t.id == KL_T_DECIMAL;
    bool constant = kl_dp__is_integer_const(e->rexpr) && e->rexpr->a_const->ival &&
                    e->rexpr->a_const->ival->ival != 0;
    if (decimal) {
        struct kl_type wide = {.id = KL_T_DECIMAL, .precision = 38};
        char name[16];
        wide.scale =
            (uint8_t)KL_MAX(l.id == KL_T_DECIMAL ? l.scale : 0, r.id == KL_T_DECIMAL ? r.scale : 0);
        snprintf(name, sizeof(name), div ? "kl_div_%u" : "kl_mod_%u", wide.scale);
        return call_with(p, name, e, wide, t);
    }
    if (constant) {
        return binary(p, e->lexpr, op, e->rexpr);
    }
    if (kl_type_is_integer(t.id) || (div && (t.id == KL_T_DOUBLE || t.id == KL_T_FLOAT))) {
        return call_with(p, div ? "kl_div" : "kl_mod", e, t, t);
    }
    kl_dp__puts(p, "(");
    KL_TRY(kl_dp__expr(p, e->lexpr));
    kl_buf_printf(p->out, " %s kl_nonzero(", op);
    KL_TRY(kl_dp__expr(p, e->rexpr));
    kl_dp__puts(p, "))");
    return KL_OK;
}

/* + - * of decimals. DuckDB keeps results in 18 digits as long as the operands fit there, and fails
 * when they do not; wide operands give wide results. */
static enum kl_rc decimals(struct kl_dp *p, PgQuery__AExpr *e, const char *op, struct kl_type t) {
    PgQuery__Node *sides[] = {e->lexpr, e->rexpr};
    kl_dp__puts(p, "CAST((");
    for (int i = 0; i < 2; i++) {
        struct kl_type wide = {.id = KL_T_DECIMAL, .precision = 38};
        struct kl_type own = kl_dp__infer(p, sides[i]);
        wide.scale = own.id == KL_T_DECIMAL ? own.scale : 0;
        kl_dp__puts(p, i ? " " : "");
        kl_dp__puts(p, i ? op : "");
        kl_dp__puts(p, i ? " " : "");
        KL_TRY(t.precision > 18 ? kl_dp__as(p, sides[i], wide) : kl_dp__expr(p, sides[i]));
    }
    kl_dp__puts(p, ") AS ");
    kl_duck_type_name(t, p->out);
    kl_dp__puts(p, ")");
    return KL_OK;
}

/* Of NULLs that DuckDB sees through it would make an integer; and its texts of some types are its own. */
/* A text that is not a literal: beside something of no known type, || joins texts all the same. */
static bool is_made_text(struct kl_dp *p, PgQuery__Node *n) {
    return n->node_case != PG_QUERY__NODE__NODE_A_CONST && kl_dp__infer(p, n).id == KL_T_TEXT;
}

static enum kl_rc concat(struct kl_dp *p, PgQuery__AExpr *e) {
    struct kl_type t = kl_dp__infer_op(p, e);
    if (t.id == KL_T_NULL && (is_made_text(p, e->lexpr) || is_made_text(p, e->rexpr))) {
        t = KL_TYPE(TEXT);
    }
    if (t.id != KL_T_BYTES && t.id != KL_T_TEXT) {
        return binary(p, e->lexpr, "||", e->rexpr);
    }
    PgQuery__Node *sides[] = {e->lexpr, e->rexpr};
    bool bytes = t.id == KL_T_BYTES;
    kl_dp__puts(p, bytes ? "CAST((" : "kl_cat(CAST(");
    for (int i = 0; i < 2; i++) {
        bool text = !bytes && kl_dp__has_own_text(kl_dp__infer(p, sides[i]).id);
        kl_dp__puts(p, i == 0 ? "" : bytes ? " || " : " AS VARCHAR), CAST(");
        KL_TRY(text ? kl_dp__text(p, sides[i]) : kl_dp__side(p, sides[i], sides[!i]));
    }
    kl_dp__puts(p, bytes ? ") AS BLOB)" : " AS VARCHAR))");
    return KL_OK;
}

static enum kl_rc arithmetic(struct kl_dp *p, PgQuery__AExpr *e, const char *op) {
    if (strchr("+-*", op[0]) && !op[1]) {
        struct kl_type t = kl_dp__infer_op(p, e);
        if (t.id == KL_T_DECIMAL && is_exact(kl_dp__infer(p, e->lexpr)) &&
            is_exact(kl_dp__infer(p, e->rexpr))) {
            return decimals(p, e, op, t);
        }
    }
    if (op[0] == '|') {
        return concat(p, e);
    }
    return op[0] == '+' || op[0] == '-' ? plus(p, e, op) : binary(p, e->lexpr, op, e->rexpr);
}

static enum kl_rc call2(struct kl_dp *p, PgQuery__AExpr *e, const struct operator* o) {
    kl_buf_printf(p->out, "%s(", o->print);
    KL_TRY(kl_dp__arg(p, e->lexpr));
    kl_dp__puts(p, ", ");
    KL_TRY(kl_dp__arg(p, e->rexpr));
    kl_dp__puts(p, ")");
    return KL_OK;
}

static enum kl_rc regex(struct kl_dp *p, PgQuery__AExpr *e, bool negate, bool fold) {
    PgQuery__Node flags, *args[3] = {e->lexpr, e->rexpr, &flags};
    PgQuery__AConst constant;
    PgQuery__String text;
    pg_query__node__init(&flags);
    pg_query__a__const__init(&constant);
    pg_query__string__init(&text);
    text.sval = (char *)"i";
    constant.val_case = PG_QUERY__A__CONST__VAL_SVAL;
    constant.sval = &text;
    flags.node_case = PG_QUERY__NODE__NODE_A_CONST;
    flags.a_const = &constant;
    kl_dp__puts(p, negate ? "(NOT " : "(");
    KL_TRY(kl_dp__native(p, "regexp_like", args, fold ? 3 : 2, e->location));
    kl_dp__puts(p, ")");
    return KL_OK;
}

enum kl_rc kl_dp__json(struct kl_dp *p, PgQuery__Node *n) {
    bool open = kl_dp__open_param(p, n);
    kl_dp__puts(p, open ? "CAST(CAST(" : "CAST(");
    KL_TRY(kl_dp__expr(p, n));
    kl_dp__puts(p, open ? " AS VARCHAR) AS JSON)" : " AS JSON)");
    return KL_OK;
}

enum kl_rc kl_dp__json_key(struct kl_dp *p, PgQuery__Node *n) {
    if (kl_type_is_integer(kl_dp__infer(p, n).id)) {
        return kl_dp__expr(p, n);
    }
    /* A pointer takes any key; a path would give $ and * a meaning. */
    kl_dp__puts(p, "('/' || replace(replace(CAST(");
    KL_TRY(kl_dp__expr(p, n));
    kl_dp__puts(p, " AS VARCHAR), '~', '~0'), '/', '~1'))");
    return KL_OK;
}

static enum kl_rc json(struct kl_dp *p, PgQuery__AExpr *e, const char *name) {
    PgQuery__Node *args[KL_DUCK_NATIVE_ARGS] = {e->lexpr, e->rexpr};
    size_t n = 2;
    if (e->rexpr->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR) {
        PgQuery__AArrayExpr *keys = e->rexpr->a_array_expr;
        bool any = strcmp(name, "?|") == 0, all = strcmp(name, "?&") == 0;
        if ((!any && !all) || keys->n_elements == 0 || keys->n_elements >= KL_DUCK_NATIVE_ARGS) {
            return no_operator(p, name, e->location);
        }
        memcpy(args + 1, keys->elements, keys->n_elements * sizeof(*args));
        n = keys->n_elements + 1;
        name = any ? "?|*" : "?&*";
    }
    return kl_dp__native(p, name, args, n, e->location);
}

static enum kl_rc unary_op(struct kl_dp *p, PgQuery__AExpr *e, const char *name) {
    for (size_t i = 0; name && i < KL_LEN(unary); i++) {
        if (strcmp(unary[i].name, name) == 0 && unary[i].how == NATIVE) {
            return kl_dp__native(p, unary[i].print, &e->rexpr, 1, e->location);
        }
        if (strcmp(unary[i].name, name) == 0) {
            kl_buf_printf(p->out, unary[i].how == CALL ? "%s(" : "(%s ", unary[i].print);
            KL_TRY(kl_dp__expr(p, e->rexpr));
            kl_dp__puts(p, ")");
            return KL_OK;
        }
    }
    return no_operator(p, name, e->location);
}

static const char *comparison(PgQuery__Node **name, size_t n) {
    static const char *const known[] = {"=", "<>", "<", "<=", ">", ">="};
    const char *op_name = operator_name(name, n);
    for (size_t i = 0; op_name && i < KL_LEN(known); i++) {
        if (strcmp(op_name, known[i]) == 0) {
            return known[i];
        }
    }
    return NULL;
}

static enum kl_rc op(struct kl_dp *p, PgQuery__AExpr *e) {
    const char *name = operator_name(e->name, e->n_name);
    if (!e->lexpr) {
        return unary_op(p, e, name);
    }
    bool two = name && (strcmp(name, "-") == 0 || strcmp(name, "||") == 0);
    if (two && kl_dp__infer(p, e->lexpr).id == KL_T_JSON &&
        (name[0] == '-' || kl_dp__infer(p, e->rexpr).id == KL_T_JSON)) {
        return json(p, e, name[0] == '-' ? "-" : ":json_concat");
    }
    if (kl_dp__is_row_pair(e->lexpr, e->rexpr) && comparison(e->name, e->n_name)) {
        return kl_dp__rows(
            p, e->lexpr->row_expr, comparison(e->name, e->n_name), e->rexpr->row_expr);
    }
    for (size_t i = 0; name && i < KL_LEN(operators); i++) {
        const struct operator* o = & operators[i];
        if (strcmp(o->name, name) != 0) {
            continue;
        }
        switch (o->how) {
        case INFIX:
        case PLUS:
            return arithmetic(p, e, o->print);
        case DIVISION:
            return division(p, e, o->print);
        case JSON:
            return json(p, e, o->name);
        case NATIVE: {
            PgQuery__Node *args[2] = {e->lexpr, e->rexpr};
            return kl_dp__native(p, o->print, args, 2, e->location);
        }
        case REGEX:
        case NOT_REGEX:
        case REGEX_I:
        case NOT_REGEX_I:
            return regex(p, e, o->how == NOT_REGEX || o->how == NOT_REGEX_I,
                o->how == REGEX_I || o->how == NOT_REGEX_I);
        default:
            return call2(p, e, o);
        }
    }
    return no_operator(p, name, e->location);
}

/* ---- the other forms of A_Expr ---- */

static bool is_negated(const PgQuery__AExpr *e) {
    const char *name = operator_name(e->name, e->n_name);
    return name && (name[0] == '!' || strcmp(name, "<>") == 0);
}

/* PostgreSQL's default escape is the backslash, DuckDB has none. `a LIKE b ESCAPE c` arrives as a
 * call of like_escape. */
static enum kl_rc like(struct kl_dp *p, PgQuery__AExpr *e, const char *word) {
    PgQuery__Node *pattern = e->rexpr, *escape = NULL;
    if (pattern && pattern->node_case == PG_QUERY__NODE__NODE_FUNC_CALL &&
        pattern->func_call->n_funcname == 2 && pattern->func_call->n_args == 2 &&
        strcmp(kl_dp__str(pattern->func_call->funcname[1]), "like_escape") == 0) {
        escape = pattern->func_call->args[1];
        pattern = pattern->func_call->args[0];
    }
    kl_dp__puts(p, "(");
    KL_TRY(kl_dp__arg(p, e->lexpr));
    kl_buf_printf(p->out, is_negated(e) ? " NOT %s " : " %s ", word);
    KL_TRY(kl_dp__arg(p, pattern));
    const char *text = kl_dp__string_const(pattern);
    if (escape) {
        kl_dp__puts(p, " ESCAPE ");
        KL_TRY(kl_dp__arg(p, escape));
    } else if (!text || strchr(text, '\\')) {
        kl_dp__puts(p, " ESCAPE '\\'");
    }
    kl_dp__puts(p, ")");
    return KL_OK;
}

static enum kl_rc similar(struct kl_dp *p, PgQuery__AExpr *e) {
    PgQuery__FuncCall *f = e->rexpr && e->rexpr->node_case == PG_QUERY__NODE__NODE_FUNC_CALL
                               ? e->rexpr->func_call
                               : NULL;
    if (!f || f->n_args < 1 || f->n_args > 2) {
        return kl_dp__refuse(p, e->location, "this SIMILAR TO");
    }
    PgQuery__Node *args[3] = {e->lexpr, f->args[0], f->n_args > 1 ? f->args[1] : NULL};
    kl_dp__puts(p, is_negated(e) ? "(NOT " : "(");
    KL_TRY(kl_dp__native(p, "similar_to", args, f->n_args + 1, e->location));
    kl_dp__puts(p, ")");
    return KL_OK;
}

static enum kl_rc in_values(
    struct kl_dp *p, PgQuery__Node *x, PgQuery__Node **values, size_t n, bool negate) {
    if (kl_dp__is_row_pair(x, values[0])) {
        return kl_dp__each(p, x, negate ? "<>" : "=", values, n, negate);
    }
    kl_dp__puts(p, "(");
    KL_TRY(kl_dp__expr(p, x));
    kl_dp__puts(p, negate ? " NOT IN (" : " IN (");
    for (size_t i = 0; i < n; i++) {
        kl_dp__puts(p, i ? ", " : "");
        KL_TRY(kl_dp__side(p, values[i], x));
    }
    kl_dp__puts(p, "))");
    return KL_OK;
}

static enum kl_rc in_list(struct kl_dp *p, PgQuery__AExpr *e) {
    if (e->rexpr->node_case != PG_QUERY__NODE__NODE_LIST) {
        return kl_dp__refuse(p, e->location, "this IN");
    }
    return in_values(p, e->lexpr, e->rexpr->list->items, e->rexpr->list->n_items, is_negated(e));
}

static enum kl_rc between_pair(
    struct kl_dp *p, PgQuery__Node *x, PgQuery__Node *lo, PgQuery__Node *hi) {
    kl_dp__puts(p, "(");
    KL_TRY(kl_dp__expr(p, x));
    kl_dp__puts(p, " BETWEEN ");
    KL_TRY(kl_dp__expr(p, lo));
    kl_dp__puts(p, " AND ");
    KL_TRY(kl_dp__expr(p, hi));
    kl_dp__puts(p, ")");
    return KL_OK;
}

static enum kl_rc between(struct kl_dp *p, PgQuery__AExpr *e, bool negate, bool symmetric) {
    if (e->rexpr->node_case != PG_QUERY__NODE__NODE_LIST || e->rexpr->list->n_items != 2) {
        return kl_dp__refuse(p, e->location, "this BETWEEN");
    }
    PgQuery__Node **bounds = e->rexpr->list->items;
    kl_dp__puts(p, negate ? "(NOT (" : "((");
    KL_TRY(between_pair(p, e->lexpr, bounds[0], bounds[1]));
    if (symmetric) {
        kl_dp__puts(p, " OR ");
        KL_TRY(between_pair(p, e->lexpr, bounds[1], bounds[0]));
    }
    kl_dp__puts(p, "))");
    return KL_OK;
}

/* x = ANY (array): an array parameter or text takes the type of x. */
static enum kl_rc any_array(struct kl_dp *p, PgQuery__AExpr *e, const char *word) {
    const char *cmp = comparison(e->name, e->n_name);
    if (!cmp) {
        return no_operator(p, operator_name(e->name, e->n_name), e->location);
    }
    bool all = word[1] == 'L';
    if (e->rexpr->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR &&
        e->rexpr->a_array_expr->n_elements > 0) {
        PgQuery__AArrayExpr *a = e->rexpr->a_array_expr;
        bool in = strcmp(cmp, all ? "<>" : "=") == 0;
        return in ? in_values(p, e->lexpr, a->elements, a->n_elements, all)
                  : kl_dp__each(p, e->lexpr, cmp, a->elements, a->n_elements, all);
    }
    kl_dp__puts(p, "(");
    KL_TRY(kl_dp__expr(p, e->lexpr));
    kl_buf_printf(p->out, " %s %s(SELECT unnest(", cmp, word);
    if (kl_dp__open_param(p, e->rexpr)) {
        kl_dp__puts(p, "CAST(CAST(");
        KL_TRY(kl_dp__expr(p, e->rexpr));
        kl_dp__puts(p, " AS VARCHAR) AS ");
        kl_duck_type_name(kl_dp__infer(p, e->lexpr), p->out);
        kl_dp__puts(p, "[])");
    } else {
        KL_TRY(kl_dp__expr(p, e->rexpr));
    }
    kl_dp__puts(p, ")))");
    return KL_OK;
}

static enum kl_rc nullif(struct kl_dp *p, PgQuery__AExpr *e) {
    struct kl_type t = kl_dp__infer_op(p, e);
    bool decimal = t.id == KL_T_DECIMAL;
    kl_dp__puts(p, decimal ? "CAST(nullif(" : "nullif(");
    KL_TRY(kl_dp__expr(p, e->lexpr));
    kl_dp__puts(p, ", ");
    KL_TRY(kl_dp__expr(p, e->rexpr));
    kl_dp__puts(p, ")");
    if (decimal) {
        kl_dp__puts(p, " AS ");
        kl_duck_type_name(t, p->out);
        kl_dp__puts(p, ")");
    }
    return KL_OK;
}

static enum kl_rc a_expr(struct kl_dp *p, PgQuery__AExpr *e) {
    switch (e->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
        return op(p, e);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
        return any_array(p, e, "ANY");
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL:
        return any_array(p, e, "ALL");
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
        return binary(p, e->lexpr, "IS DISTINCT FROM", e->rexpr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
        return binary(p, e->lexpr, "IS NOT DISTINCT FROM", e->rexpr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF:
        return nullif(p, e);
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
        return in_list(p, e);
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
        return like(p, e, "LIKE");
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE:
        return like(p, e, "ILIKE");
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
        return between(p, e, false, false);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
        return between(p, e, true, false);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
        return between(p, e, false, true);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
        return between(p, e, true, true);
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR:
        return similar(p, e);
    default:
        return kl_dp__refuse(p, e->location, "this expression");
    }
}

/* ---- the rest ---- */

static enum kl_rc bool_expr(struct kl_dp *p, PgQuery__BoolExpr *b) {
    bool negation = b->boolop == PG_QUERY__BOOL_EXPR_TYPE__NOT_EXPR;
    const char *word = b->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR ? " AND " : " OR ";
    kl_dp__puts(p, negation ? "(NOT " : "(");
    for (size_t i = 0; i < b->n_args; i++) {
        kl_dp__puts(p, i ? word : "");
        KL_TRY(kl_dp__expr(p, b->args[i]));
    }
    kl_dp__puts(p, ")");
    return KL_OK;
}

static enum kl_rc suffix(struct kl_dp *p, PgQuery__Node *arg, const char *text) {
    kl_dp__puts(p, "(");
    KL_TRY(kl_dp__expr(p, arg));
    kl_buf_printf(p->out, " %s)", text);
    return KL_OK;
}

static enum kl_rc boolean_test(struct kl_dp *p, PgQuery__BooleanTest *t) {
    switch (t->booltesttype) {
    case PG_QUERY__BOOL_TEST_TYPE__IS_TRUE:
        return suffix(p, t->arg, "IS NOT DISTINCT FROM TRUE");
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE:
        return suffix(p, t->arg, "IS DISTINCT FROM TRUE");
    case PG_QUERY__BOOL_TEST_TYPE__IS_FALSE:
        return suffix(p, t->arg, "IS NOT DISTINCT FROM FALSE");
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_FALSE:
        return suffix(p, t->arg, "IS DISTINCT FROM FALSE");
    case PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN:
        return suffix(p, t->arg, "IS NULL");
    case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_UNKNOWN:
        return suffix(p, t->arg, "IS NOT NULL");
    default:
        return kl_dp__refuse(p, t->location, "this test");
    }
}

/* Where decimals of several types meet, DuckDB may drop digits to make room for others. */
static enum kl_rc as_decimal(struct kl_dp *p, PgQuery__Node *n, struct kl_type t) {
    return t.id == KL_T_DECIMAL ? kl_dp__as(p, n, t) : kl_dp__expr(p, n);
}

static enum kl_rc case_plain(struct kl_dp *p, PgQuery__CaseExpr *c, struct kl_type t) {
    kl_dp__puts(p, "CASE");
    if (c->arg) {
        kl_dp__puts(p, " ");
        KL_TRY(kl_dp__expr(p, c->arg));
    }
    for (size_t i = 0; i < c->n_args; i++) {
        PgQuery__CaseWhen *w = c->args[i]->case_when;
        kl_dp__puts(p, " WHEN ");
        KL_TRY(kl_dp__expr(p, w->expr));
        kl_dp__puts(p, " THEN ");
        KL_TRY(as_decimal(p, w->result, t));
    }
    if (c->defresult) {
        kl_dp__puts(p, " ELSE ");
        KL_TRY(as_decimal(p, c->defresult, t));
    }
    kl_dp__puts(p, " END");
    return KL_OK;
}

static enum kl_rc wrapped_list(
    struct kl_dp *p, const char *open, PgQuery__Node **items, size_t n, const char *close) {
    kl_dp__puts(p, open);
    KL_TRY(kl_dp__list(p, items, n));
    kl_dp__puts(p, close);
    return KL_OK;
}

static enum kl_rc quantified(struct kl_dp *p, PgQuery__SubLink *s, bool all) {
    const char *cmp = s->n_oper_name ? comparison(s->oper_name, s->n_oper_name) : "=";
    if (!cmp) {
        return no_operator(p, operator_name(s->oper_name, s->n_oper_name), s->location);
    }
    kl_dp__puts(p, "(");
    KL_TRY(kl_dp__expr(p, s->testexpr));
    if (s->n_oper_name == 0 && !all) {
        kl_dp__puts(p, " IN ");
    } else {
        kl_buf_printf(p->out, " %s %s", cmp, all ? "ALL" : "ANY");
    }
    const struct kl_dp_cols *cols;
    KL_TRY(kl_dp__described(p, s->subselect, &cols));
    kl_dp__puts(p, ")");
    bool row = s->testexpr->node_case == PG_QUERY__NODE__NODE_ROW_EXPR;
    size_t want = row ? s->testexpr->row_expr->n_args : 1;
    return kl_dp__is_counted(cols) && cols->n != want
               ? kl_fail_at(p->err, KL_E_INVALID_SQL, kl_dp__pos(s->location),
                     cols->n > want ? "subquery has too many columns"
                                    : "subquery has too few columns")
               : KL_OK;
}

static enum kl_rc one_column(struct kl_dp *p, const PgQuery__SubLink *s) {
    const struct kl_dp_cols *cols;
    KL_TRY(kl_dp__described(p, s->subselect, &cols));
    return kl_dp__is_counted(cols) && cols->n > 1
               ? kl_fail_at(p->err, KL_E_INVALID_SQL, kl_dp__pos(s->location),
                     "subquery must return only one column")
               : KL_OK;
}

static enum kl_rc sub_link_at_depth(struct kl_dp *p, PgQuery__SubLink *s) {
    switch (s->sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
        kl_dp__puts(p, "EXISTS");
        return kl_dp__subquery(p, s->subselect);
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK:
        return one_column(p, s);
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK:
        kl_dp__puts(p, "ARRAY");
        return one_column(p, s);
    case PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK:
        return quantified(p, s, false);
    case PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK:
        return quantified(p, s, true);
    default:
        return kl_dp__refuse(p, s->location, "this subquery");
    }
}

static enum kl_rc sub_link(struct kl_dp *p, PgQuery__SubLink *s) {
    if (++p->subqueries > KL_DP_MAX_SUBQUERIES) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, kl_dp__pos(s->location),
            "subqueries are nested too deeply (at most %d levels)", KL_DP_MAX_SUBQUERIES);
    }
    KL_TRY(sub_link_at_depth(p, s));
    p->subqueries--;
    return KL_OK;
}

static enum kl_rc value_function(struct kl_dp *p, PgQuery__SQLValueFunction *f) {
    switch (f->op) {
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N:
        kl_dp__puts(p, "kl_now()");
        return KL_OK;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE:
        kl_dp__puts(p, "CAST(kl_now() AS DATE)");
        return KL_OK;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME_N:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME_N:
        kl_dp__puts(p, "CAST(kl_now() AS TIME)");
        return KL_OK;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N:
        kl_dp__puts(p, "CAST(kl_now() AS TIMESTAMP)");
        return KL_OK;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE:
        kl_dp__puts(p, "kl_current_role()");
        return KL_OK;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_USER:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER:
        kl_dp__puts(p, "kl_current_user()");
        return KL_OK;
    /* Plans are cached per default namespace, so that one may stand in the text. */
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_SCHEMA:
        kl_dp__string(p, p->ctx->session->ns);
        return KL_OK;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG:
        kl_dp__puts(p, "'kalam'");
        return KL_OK;
    default:
        return kl_dp__refuse(p, f->location, "this value function");
    }
}

static enum kl_rc indirection(struct kl_dp *p, PgQuery__AIndirection *a) {
    kl_dp__puts(p, "(");
    KL_TRY(kl_dp__expr(p, a->arg));
    kl_dp__puts(p, ")");
    for (size_t i = 0; i < a->n_indirection; i++) {
        PgQuery__Node *n = a->indirection[i];
        if (n->node_case == PG_QUERY__NODE__NODE_STRING) {
            kl_dp__puts(p, ".");
            kl_dp__ident(p, n->string->sval);
            continue;
        }
        if (n->node_case != PG_QUERY__NODE__NODE_A_INDICES) {
            return kl_dp__refuse(p, -1, "this subscript");
        }
        kl_dp__puts(p, "[");
        if (n->a_indices->lidx) {
            KL_TRY(kl_dp__expr(p, n->a_indices->lidx));
        }
        kl_dp__puts(p, n->a_indices->is_slice ? ":" : "");
        if (n->a_indices->uidx) {
            KL_TRY(kl_dp__expr(p, n->a_indices->uidx));
        }
        kl_dp__puts(p, "]");
    }
    return KL_OK;
}

static enum kl_rc decimal_list(
    struct kl_dp *p, PgQuery__Node **items, size_t n, struct kl_type t) {
    for (size_t i = 0; i < n; i++) {
        kl_dp__puts(p, i ? ", " : "");
        KL_TRY(as_decimal(p, items[i], t));
    }
    kl_dp__puts(p, ")");
    return KL_OK;
}

/* Where several decimals meet, the type is the native one. */
static enum kl_rc meeting(struct kl_dp *p, PgQuery__Node *n) {
    struct kl_type t = kl_dp__infer(p, n);
    bool cast = t.id == KL_T_DECIMAL || t.id == KL_T_DOUBLE;
    kl_dp__puts(p, cast ? "CAST(" : "");
    if (n->node_case == PG_QUERY__NODE__NODE_CASE_EXPR) {
        KL_TRY(case_plain(p, n->case_expr, t));
    } else if (n->node_case == PG_QUERY__NODE__NODE_COALESCE_EXPR) {
        kl_dp__puts(p, "coalesce(");
        KL_TRY(decimal_list(p, n->coalesce_expr->args, n->coalesce_expr->n_args, t));
    } else {
        if (t.id == KL_T_INTERVAL) { /* DuckDB compares their bytes */
            return kl_dp__refuse(p, n->min_max_expr->location, "GREATEST or LEAST of intervals in this query");
        }
        bool greatest = n->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST;
        kl_dp__puts(p, greatest ? "greatest(" : "least(");
        KL_TRY(decimal_list(p, n->min_max_expr->args, n->min_max_expr->n_args, t));
    }
    if (cast) {
        kl_dp__puts(p, " AS ");
        kl_duck_type_name(t, p->out);
        kl_dp__puts(p, ")");
    }
    return KL_OK;
}

static enum kl_rc expr_at_depth(struct kl_dp *p, PgQuery__Node *n) {
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_A_CONST:
        return kl_dp__const(p, n->a_const);
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return kl_dp__param(p, n->param_ref);
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return kl_dp__is_star(n) ? whole_row(p, n->column_ref)
                                 : kl_dp__column_ref(p, n->column_ref);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return a_expr(p, n->a_expr);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return bool_expr(p, n->bool_expr);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return suffix(p, n->null_test->arg,
            n->null_test->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NULL ? "IS NULL"
                                                                            : "IS NOT NULL");
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return boolean_test(p, n->boolean_test);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return kl_dp__func(p, n->func_call);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return kl_dp__cast(p, n->type_cast);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return meeting(p, n);
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return sub_link(p, n->sub_link);
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return wrapped_list(p, "[", n->a_array_expr->elements, n->a_array_expr->n_elements, "]");
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return wrapped_list(p, "row(", n->row_expr->args, n->row_expr->n_args, ")");
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return value_function(p, n->sqlvalue_function);
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        return indirection(p, n->a_indirection);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
        return wrapped_list(p, "grouping(", n->grouping_func->args, n->grouping_func->n_args, ")");
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return kl_dp__refuse(p, n->collate_clause->location, "COLLATE");
    case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR:
        return kl_dp__refuse(p, n->named_arg_expr->location, "a named argument");
    case PG_QUERY__NODE__NODE_SET_TO_DEFAULT:
        return kl_dp__refuse(p, -1, "DEFAULT in this place");
    case PG_QUERY__NODE__NODE_XML_EXPR:
    case PG_QUERY__NODE__NODE_XML_SERIALIZE:
        return kl_dp__refuse(p, kl_dp__location(n), "XML");
    default:
        return kl_dp__refuse(p, kl_dp__location(n), "this expression");
    }
}

enum kl_rc kl_dp__condition(struct kl_dp *p, PgQuery__Node *n, const char *what) {
    struct kl_type t = kl_dp__infer(p, n);
    if (t.id != KL_T_NULL && t.id != KL_T_BOOLEAN) {
        return kl_fail_at(p->err, KL_E_TYPE, kl_dp__pos(kl_dp__leftmost(n)),
            "argument of %s must be type boolean, not type %s", what, kl_expr__type_name(t.id));
    }
    return kl_dp__expr(p, n);
}

enum kl_rc kl_dp__expr(struct kl_dp *p, PgQuery__Node *n) {
    if (!n) {
        return kl_dp__refuse(p, -1, "an empty expression");
    }
    KL_TRY(kl_dp__enter(p, kl_dp__location(n)));
    if (p->out->failed) {
        return kl_dp__nomem(p);
    }
    KL_TRY(expr_at_depth(p, n));
    p->depth--;
    return KL_OK;
}
