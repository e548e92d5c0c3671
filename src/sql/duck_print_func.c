/* Function calls: the allow-list of duck_functions.def and how each is printed. What is not in the
 * list never reaches DuckDB, under whatever spelling: a name is looked up as PostgreSQL's parser
 * gives it (folded, or exactly as quoted), and no schema but pg_catalog is accepted before it. */
#include "sql/duck_print_internal.h"
#include "sql/bind_internal.h"
#include "sql/func_internal.h"

enum kind { F_SCALAR, F_SETOF, F_AGGREGATE, F_WINDOW, F_SPECIAL, F_NATIVE };
struct function {
    const char *name;
    enum kind kind;
    int min, max;
    const char *print;
    enum kl_rc (*special)(struct kl_dp *p, PgQuery__FuncCall *f, const char *name);
};

#define SCALAR(name, min, max, print)
#define SETOF(name, min, max, print)
#define AGGREGATE(name, min, max, print)
#define WINDOW(name, min, max, print)
#define NATIVE(name)
#define SPECIAL(name, fn)                                                                          \
    static enum kl_rc special_##fn(struct kl_dp *p, PgQuery__FuncCall *f, const char *name_);
#include "sql/duck_functions.def"
#undef SCALAR
#undef SETOF
#undef AGGREGATE
#undef WINDOW
#undef NATIVE
#undef SPECIAL

static const struct function functions[] = {
#define SCALAR(name, min, max, print) {#name, F_SCALAR, min, max, print, NULL},
#define SETOF(name, min, max, print) {#name, F_SETOF, min, max, print, NULL},
#define AGGREGATE(name, min, max, print) {#name, F_AGGREGATE, min, max, #print, NULL},
#define WINDOW(name, min, max, print) {#name, F_WINDOW, min, max, #print, NULL},
#define SPECIAL(name, fn) {#name, F_SPECIAL, 0, -1, NULL, special_##fn},
#define NATIVE(name) {name, F_NATIVE, 0, -1, NULL, NULL},
#include "sql/duck_functions.def"
};

static bool same_name(const struct function *f, const char *name, size_t n_args) {
    return strcmp(f->name, name) == 0 && (int)n_args >= f->min &&
           (f->max < 0 || (int)n_args <= f->max) &&
           (f->kind != F_NATIVE || kl_dp__has_native(name, n_args));
}

static enum kl_rc unknown(struct kl_dp *p, PgQuery__FuncCall *f) {
    struct kl_buf name;
    kl_buf_init(&name, 1024);
    for (size_t i = 0; i < f->n_funcname; i++) {
        kl_buf_puts(&name, i ? "." : "");
        kl_buf_puts(&name, kl_dp__str(f->funcname[i]));
    }
    kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_dp__pos(f->location),
        "function %.*s(%s) with %zu arguments does not exist or is not allowed",
        KL_FMT(kl_buf_view(&name)),
        f->agg_star ? "*"
        : f->n_args ? "..."
                    : "",
        f->n_args);
    kl_buf_deinit(&name);
    return KL_E_UNSUPPORTED;
}

static enum kl_rc find(struct kl_dp *p, PgQuery__FuncCall *f, const struct function **ret) {
    const char *schema = f->n_funcname == 2 ? kl_dp__str(f->funcname[0]) : "pg_catalog";
    const char *name = f->n_funcname ? kl_dp__str(f->funcname[f->n_funcname - 1]) : NULL;
    if (f->n_funcname > 2 || !name || !schema || strcmp(schema, "pg_catalog") != 0) {
        return unknown(p, f);
    }
    if (f->func_variadic) {
        return kl_dp__refuse(p, f->location, "VARIADIC");
    }
    for (size_t i = 0; i < KL_LEN(functions); i++) {
        if (same_name(&functions[i], name, f->n_args)) {
            *ret = &functions[i];
            return KL_OK;
        }
    }
    return unknown(p, f);
}

/* ---- plain calls ---- */

static enum kl_rc args(struct kl_dp *p, PgQuery__FuncCall *f) {
    for (size_t i = 0; i < f->n_args; i++) {
        kl_dp__puts(p, i ? ", " : "");
        KL_TRY(kl_dp__arg(p, f->args[i]));
    }
    return KL_OK;
}

static enum kl_rc expand(struct kl_dp *p, PgQuery__FuncCall *f, const char *template) {
    for (const char *t = template; *t; t++) {
        bool digit = (t[0] == '$' || t[0] == '#') && t[1] >= '1' && t[1] <= '9';
        if (digit) {
            PgQuery__Node *arg = f->args[t[1] - '1'];
            KL_TRY(t[0] == '$' ? kl_dp__arg(p, arg) : kl_dp__expr(p, arg));
            t++;
        } else if (t[0] == '$' && t[1] == '*') {
            KL_TRY(args(p, f));
            t++;
        } else {
            kl_buf_putc(p->out, *t);
        }
    }
    return KL_OK;
}

static bool has_aggregate_parts(const PgQuery__FuncCall *f) {
    return f->n_agg_order || f->agg_filter || f->over || f->agg_within_group || f->agg_star ||
           f->agg_distinct;
}

static enum kl_rc check_plain(struct kl_dp *p, const PgQuery__FuncCall *f) {
    return has_aggregate_parts(f) ? kl_dp__refuse(p, f->location,
                                        "DISTINCT, ORDER BY, FILTER or OVER with this function")
                                  : KL_OK;
}

/* ---- aggregates and windows ---- */

static enum kl_rc over(struct kl_dp *p, PgQuery__WindowDef *w) {
    kl_dp__puts(p, " OVER ");
    if (w->name && *w->name) {
        kl_dp__ident(p, w->name);
        return KL_OK;
    }
    return kl_dp__window(p, w);
}

static enum kl_rc aggregate_tail(struct kl_dp *p, PgQuery__FuncCall *f) {
    if (f->agg_filter) {
        kl_dp__puts(p, " FILTER (WHERE ");
        KL_TRY(kl_dp__expr(p, f->agg_filter));
        kl_dp__puts(p, ")");
    }
    return f->over ? over(p, f->over) : KL_OK;
}

static enum kl_rc aggregate(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    kl_buf_printf(p->out, "%s(", name);
    if (f->agg_star) {
        kl_dp__puts(p, "*");
    } else {
        kl_dp__puts(p, f->agg_distinct ? "DISTINCT " : "");
        KL_TRY(args(p, f));
    }
    if (f->agg_within_group) {
        kl_dp__puts(p, ") WITHIN GROUP (");
    }
    KL_TRY(kl_dp__order_by(p, f->agg_order, f->n_agg_order, false));
    kl_dp__puts(p, ")");
    return aggregate_tail(p, f);
}

static enum kl_rc check_aggregate(
    struct kl_dp *p, PgQuery__FuncCall *f, const struct function *fn) {
    bool ordered_set = strncmp(fn->name, "percentile_", 11) == 0 || strcmp(fn->name, "mode") == 0;
    if (f->agg_star && strcmp(fn->name, "count") != 0) {
        return unknown(p, f);
    }
    if (!f->agg_star && f->n_args == 0 && strcmp(fn->name, "count") == 0) {
        return unknown(p, f);
    }
    if (ordered_set != (bool)f->agg_within_group) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, kl_dp__pos(f->location),
            ordered_set ? "%s needs WITHIN GROUP" : "%s has no WITHIN GROUP", fn->name);
    }
    if (fn->kind == F_WINDOW && !f->over) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, kl_dp__pos(f->location),
            "window function %s requires an OVER clause", fn->name);
    }
    return KL_OK;
}

static enum kl_rc native_call(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    PgQuery__Node **given;
    size_t n;
    KL_TRY(kl_sql__named_args(f, p->arena, kl_dp__pos(f->location), &given, &n, p->err));
    return kl_dp__native(p, name, given, n, f->location);
}

enum kl_rc kl_dp__func(struct kl_dp *p, PgQuery__FuncCall *f) {
    const struct function *fn = NULL;
    KL_TRY(find(p, f, &fn));
    switch (fn->kind) {
    case F_SPECIAL:
        return fn->special(p, f, fn->name);
    case F_SCALAR:
        KL_TRY(check_plain(p, f));
        return expand(p, f, fn->print);
    case F_NATIVE:
        KL_TRY(check_plain(p, f));
        return native_call(p, f, fn->name);
    case F_SETOF:
        KL_TRY(check_plain(p, f));
        kl_dp__puts(p, "unnest(");
        KL_TRY(expand(p, f, fn->print));
        kl_dp__puts(p, ")");
        return KL_OK;
    default:
        KL_TRY(check_aggregate(p, f, fn));
        return aggregate(p, f, fn->print);
    }
}

/* In FROM: row after row, however long it is. */
static enum kl_rc series_rows(struct kl_dp *p, PgQuery__FuncCall *f) {
    KL_TRY(check_plain(p, f));
    if (f->n_args < 2 || f->n_args > 3) {
        return unknown(p, f);
    }
    return expand(p, f, "LATERAL (SELECT * FROM generate_series($*))");
}

enum kl_rc kl_dp__table_func(struct kl_dp *p, PgQuery__FuncCall *f, const char **ret_name) {
    const struct function *fn = NULL;
    KL_TRY(find(p, f, &fn));
    *ret_name = fn->name;
    bool series = fn->kind == F_SPECIAL && (strcmp(fn->name, "regexp_matches") == 0 ||
                                               strcmp(fn->name, "regexp_split_to_table") == 0);
    bool keys = fn->kind == F_SPECIAL && strstr(fn->name, "_object_keys") != NULL;
    if (fn->kind == F_SPECIAL && fn->special == special_generate_series) {
        return series_rows(p, f);
    }
    if (fn->kind != F_SETOF && !series && !keys) {
        return kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_dp__pos(f->location),
            "function %s(...) in FROM does not exist or is not allowed", fn->name);
    }
    /* LATERAL is allowed before any function and implied. */
    kl_dp__puts(p, keys ? "LATERAL (SELECT unnest(" : "LATERAL (SELECT ");
    KL_TRY(kl_dp__func(p, f));
    kl_dp__puts(p, keys ? "))" : ")");
    return KL_OK;
}

/* ---- functions with a shape of their own ---- */

static enum kl_rc want_args(struct kl_dp *p, PgQuery__FuncCall *f, size_t min, size_t max) {
    KL_TRY(check_plain(p, f));
    return f->n_args < min || f->n_args > max ? unknown(p, f) : KL_OK;
}

static void close_cast(struct kl_dp *p, struct kl_type t) {
    kl_dp__puts(p, " AS ");
    kl_duck_type_name(t, p->out);
    kl_dp__puts(p, ")");
}

/* Summed part by part. */
static enum kl_rc sum_intervals(struct kl_dp *p, PgQuery__FuncCall *f) {
    static const char *const parts[] = {":months", ":days", ":us"};
    if (f->agg_distinct) {
        return kl_dp__refuse(p, f->location, "sum(DISTINCT interval)");
    }
    char name[96];
    for (size_t i = 0; i < kl_func__count; i++) {
        if (strcmp(kl_func__table[i].name, ":interval") == 0) {
            kl_func__duck_name(&kl_func__table[i], "iii", name, sizeof(name));
        }
    }
    kl_buf_printf(p->out, "%s(", name);
    for (size_t i = 0; i < KL_LEN(parts); i++) {
        PgQuery__FuncCall part, sum = *f;
        PgQuery__Node arg, word, *names[1] = {&word}, *args[1] = {&arg};
        PgQuery__String text;
        pg_query__func_call__init(&part);
        pg_query__node__init(&arg);
        pg_query__node__init(&word);
        pg_query__string__init(&text);
        text.sval = (char *)parts[i];
        word.node_case = PG_QUERY__NODE__NODE_STRING;
        word.string = &text;
        part.funcname = names;
        part.n_funcname = 1;
        part.args = f->args;
        part.n_args = 1;
        part.location = f->location;
        arg.node_case = PG_QUERY__NODE__NODE_FUNC_CALL;
        arg.func_call = &part;
        sum.args = args;
        kl_dp__puts(p, i ? ", CAST(" : "CAST(");
        KL_TRY(aggregate(p, &sum, "sum"));
        close_cast(p, KL_TYPE(BIGINT));
    }
    kl_dp__puts(p, ")");
    return KL_OK;
}

/* PostgreSQL sums integers into bigint and bigint into numeric, DuckDB both into its 128-bit
 * integer; reals stay reals. */
static enum kl_rc special_sum(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    if (f->n_args != 1 || f->agg_star || f->agg_within_group) {
        return unknown(p, f);
    }
    uint8_t id = kl_dp__infer(p, f->args[0]).id;
    if (id == KL_T_INTERVAL) {
        return sum_intervals(p, f);
    }
    bool narrow = id == KL_T_INT || id == KL_T_SMALLINT;
    kl_dp__puts(p, narrow || id == KL_T_FLOAT ? "CAST(" : "");
    KL_TRY(aggregate(p, f, "sum"));
    if (narrow || id == KL_T_FLOAT) {
        close_cast(p, narrow ? KL_TYPE(BIGINT) : KL_TYPE(FLOAT));
    }
    return KL_OK;
}

/* PostgreSQL averages integers and decimals exactly, into numeric. */
static enum kl_rc special_avg(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    if (f->n_args != 1 || f->agg_star || f->agg_within_group) {
        return unknown(p, f);
    }
    struct kl_type t = kl_dp__infer(p, f->args[0]);
    if (!kl_type_is_integer(t.id) && t.id != KL_T_DECIMAL) {
        return aggregate(p, f, "avg");
    }
    t.precision = 38;
    bool decimal = t.id == KL_T_DECIMAL;
    if (decimal) {
        kl_buf_printf(p->out, "kl_div_%u(CAST(", t.scale);
    } else {
        kl_dp__puts(p, "kl_avg(");
    }
    KL_TRY(aggregate(p, f, "sum"));
    if (decimal) {
        close_cast(p, t);
    }
    kl_dp__puts(p, decimal ? ", CAST(" : ", ");
    KL_TRY(aggregate(p, f, "count"));
    if (decimal) {
        close_cast(p, t);
    }
    kl_dp__puts(p, ")");
    return KL_OK;
}

/* Where there is no correlation to speak of, DuckDB divides by zero and PostgreSQL answers NULL. */
static enum kl_rc special_undefined_as_null(
    struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    if (f->n_args != 2 || f->agg_star || f->agg_within_group) {
        return unknown(p, f);
    }
    kl_dp__puts(p, "nullif(");
    KL_TRY(aggregate(p, f, name));
    kl_dp__puts(p, ", CAST('NaN' AS DOUBLE))");
    return KL_OK;
}

/* A count, which DuckDB knows to be 0 and not NULL when a correlated subquery finds no rows. */
static enum kl_rc special_regr_count(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    if (f->n_args != 2 || f->agg_star || f->agg_within_group || f->agg_distinct ||
        f->n_agg_order) {
        return unknown(p, f);
    }
    KL_TRY(expand(p, f, "count(CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL THEN 1 END)"));
    return aggregate_tail(p, f);
}

static enum kl_rc special_ntile(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    static const struct function as_window = {"ntile", F_WINDOW, 1, 1, "ntile", NULL};
    if (f->n_args != 1 || f->agg_star) {
        return unknown(p, f);
    }
    KL_TRY(check_aggregate(p, f, &as_window));
    kl_dp__puts(p, "CAST(");
    KL_TRY(aggregate(p, f, name));
    close_cast(p, KL_TYPE(INT));
    return KL_OK;
}

/* The type in which two arguments meet, as in COALESCE; KL_T_NULL: not known. */
static struct kl_type met(const struct kl_dp *p, PgQuery__Node *a, PgQuery__Node *b) {
    PgQuery__CoalesceExpr c;
    PgQuery__Node n, *both[2] = {a, b};
    pg_query__coalesce_expr__init(&c);
    pg_query__node__init(&n);
    c.args = both;
    c.n_args = 2;
    c.location = -1;
    n.node_case = PG_QUERY__NODE__NODE_COALESCE_EXPR;
    n.coalesce_expr = &c;
    return kl_dp__infer(p, &n);
}

/* lag and lead: a value and its default have one type, which DuckDB takes from the value alone. */
static enum kl_rc special_neighbour(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    static const struct function as_window = {"lag", F_WINDOW, 1, 3, "lag", NULL};
    if (f->n_args < 1 || f->n_args > 3 || f->agg_star) {
        return unknown(p, f);
    }
    KL_TRY(check_aggregate(p, f, &as_window));
    struct kl_type t = f->n_args == 3 ? met(p, f->args[0], f->args[2]) : KL_TYPE(NULL);
    if (t.id == KL_T_NULL) {
        return aggregate(p, f, name);
    }
    if (f->n_agg_order || f->agg_distinct || f->agg_within_group || f->agg_filter) {
        return kl_dp__refuse(p, f->location, "DISTINCT, ORDER BY or FILTER with this function");
    }
    kl_buf_printf(p->out, "%s(", name);
    KL_TRY(kl_dp__as(p, f->args[0], t));
    kl_dp__puts(p, ", ");
    KL_TRY(kl_dp__arg(p, f->args[1]));
    kl_dp__puts(p, ", ");
    KL_TRY(kl_dp__as(p, f->args[2], t));
    kl_dp__puts(p, ")");
    return aggregate_tail(p, f);
}

static enum kl_rc special_extreme(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    if (f->n_args != 1 || f->agg_star || f->agg_within_group) {
        return unknown(p, f);
    }
    struct kl_type t = kl_dp__infer(p, f->args[0]), result;
    if (t.id != KL_T_NULL) {
        enum kl_rc rc =
            kl_agg_type(strcmp(name, "min") == 0 ? KL_AGG_MIN : KL_AGG_MAX, t, &result, p->err);
        if (rc != KL_OK) {
            return rc;
        }
    }
    return aggregate(p, f, name);
}

/* DuckDB's remainder of decimals loses digits: mod() is the operator. */
static enum kl_rc special_mod(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    PgQuery__Node op, *names[1] = {&op};
    PgQuery__String text;
    PgQuery__AExpr e;
    KL_TRY(want_args(p, f, 2, 2));
    pg_query__node__init(&op);
    pg_query__string__init(&text);
    pg_query__a__expr__init(&e);
    text.sval = (char *)"%";
    op.node_case = PG_QUERY__NODE__NODE_STRING;
    op.string = &text;
    e.kind = PG_QUERY__A__EXPR__KIND__AEXPR_OP;
    e.name = names;
    e.n_name = 1;
    e.lexpr = f->args[0];
    e.rexpr = f->args[1];
    e.location = f->location;
    PgQuery__Node n;
    pg_query__node__init(&n);
    n.node_case = PG_QUERY__NODE__NODE_A_EXPR;
    n.a_expr = &e;
    return kl_dp__expr(p, &n);
}

/* Functions of one number: their results have the native type. DuckDB's of a float are floats, its
 * sign is an integer, and it rounds halves away from zero. */
static enum kl_rc special_number(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(want_args(p, f, 1, 1));
    struct kl_type t = kl_dp__infer_call(p, f), arg = kl_dp__infer(p, f->args[0]);
    bool real = t.id == KL_T_DOUBLE, even = real && strcmp(name, "round") == 0;
    name = strcmp(name, "ceiling") == 0 ? "ceil" : name;
    if (t.id == KL_T_NULL) {
        kl_buf_printf(p->out, "%s(", name);
        KL_TRY(kl_dp__arg(p, f->args[0]));
        kl_dp__puts(p, ")");
        return KL_OK;
    }
    kl_buf_printf(p->out, "CAST(%s(", even ? "kl_round" : name);
    KL_TRY(real && arg.id != KL_T_DOUBLE ? kl_dp__as(p, f->args[0], KL_TYPE(DOUBLE))
                                         : kl_dp__arg(p, f->args[0]));
    kl_dp__puts(p, ")");
    close_cast(p, t);
    return KL_OK;
}

static enum kl_rc special_trunc(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(want_args(p, f, 1, 2));
    return f->n_args == 1 ? special_number(p, f, name)
                          : expand(p, f, "trunc($1, CAST(#2 AS INTEGER))");
}

/* A boolean among texts is t or f. */
static enum kl_rc special_concat(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(want_args(p, f, strcmp(name, "concat") == 0 ? 1 : 2, SIZE_MAX));
    bool plain = strcmp(name, "concat") == 0;
    for (size_t i = 1; plain && i < f->n_args; i++) {
        kl_dp__puts(p, "kl_cat(");
    }
    kl_dp__puts(p, plain ? "" : "concat_ws(");
    for (size_t i = 0; i < f->n_args; i++) {
        bool boolean = kl_dp__infer(p, f->args[i]).id == KL_T_BOOLEAN;
        kl_dp__puts(p, i ? ", " : "");
        kl_dp__puts(p, plain ? "coalesce(CAST(" : "");
        kl_dp__puts(p, boolean ? "left(CAST(" : "");
        bool own = kl_dp__has_own_text(kl_dp__infer(p, f->args[i]).id);
        KL_TRY(own ? kl_dp__text(p, f->args[i]) : kl_dp__arg(p, f->args[i]));
        kl_dp__puts(p, boolean ? " AS VARCHAR), 1)" : "");
        kl_dp__puts(p, !plain ? "" : i ? " AS VARCHAR), ''))" : " AS VARCHAR), '')");
    }
    kl_dp__puts(p, plain ? "" : ")");
    return KL_OK;
}

/* DuckDB's own is a macro, which takes neither ORDER BY nor FILTER. */
static enum kl_rc special_json_agg(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    if (f->n_args != 1 || f->agg_star || f->agg_within_group) {
        return unknown(p, f);
    }
    kl_dp__puts(p, "to_json(");
    KL_TRY(aggregate(p, f, "list"));
    kl_dp__puts(p, ")");
    return KL_OK;
}

/* A macro too, and there is no list to make it of. */
static enum kl_rc special_json_object_agg(
    struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    if (f->n_args != 2 || f->agg_star || f->agg_within_group) {
        return unknown(p, f);
    }
    if (f->n_agg_order || f->agg_filter || f->agg_distinct || f->over) {
        return kl_dp__refuse(
            p, f->location, "DISTINCT, ORDER BY, FILTER or OVER with json_object_agg()");
    }
    return aggregate(p, f, "json_group_object");
}

static enum kl_rc special_round(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(want_args(p, f, 1, 2));
    if (f->n_args == 1) {
        return special_number(p, f, name);
    }
    /* The digits must be a bare number: the scale of the result depends on them. */
    struct kl_type t = kl_dp__infer_call(p, f);
    if (kl_dp__is_integer_const(f->args[1])) {
        bool decimal = t.id == KL_T_DECIMAL;
        int digits = f->args[1]->a_const->ival ? f->args[1]->a_const->ival->ival : 0;
        t.scale = (uint8_t)KL_MIN(t.scale, KL_MAX(digits, 0));
        kl_dp__puts(p, decimal ? "CAST(round(" : "round(");
        KL_TRY(kl_dp__arg(p, f->args[0]));
        kl_buf_printf(
            p->out, ", %d)", f->args[1]->a_const->ival ? f->args[1]->a_const->ival->ival : 0);
        if (decimal) {
            close_cast(p, t);
        }
        return KL_OK;
    }
    return expand(p, f, "round($1, CAST(#2 AS INTEGER))");
}

static enum kl_rc special_octet_length(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(want_args(p, f, 1, 1));
    return expand(p, f,
        kl_dp__infer(p, f->args[0]).id == KL_T_BYTES ? "CAST(octet_length($1) AS INTEGER)"
                                                     : "CAST(strlen($1) AS INTEGER)");
}

static enum kl_rc special_length(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(want_args(p, f, 1, 1));
    return expand(p, f,
        kl_dp__infer(p, f->args[0]).id == KL_T_BYTES ? "CAST(octet_length($1) AS INTEGER)"
                                                     : "CAST(length($1) AS INTEGER)");
}

static enum kl_rc special_position(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(want_args(p, f, 2, 2));
    return kl_dp__infer(p, f->args[0]).id == KL_T_BYTES ||
                   kl_dp__infer(p, f->args[1]).id == KL_T_BYTES
               ? kl_dp__native(p, name, f->args, 2, f->location)
               : expand(p, f, "CAST(strpos($1, $2) AS INTEGER)");
}

/* Of decimals: the quotient without its fraction. */
static enum kl_rc special_div(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(want_args(p, f, 2, 2));
    struct kl_type t = kl_dp__infer_call(p, f);
    bool known = t.id == KL_T_DECIMAL;
    if (!known) {
        return expand(p, f, "trunc($1 / kl_nonzero($2))");
    }
    struct kl_type l = kl_dp__infer(p, f->args[0]), r = kl_dp__infer(p, f->args[1]);
    struct kl_type wide = {.id = KL_T_DECIMAL, .precision = 38};
    wide.scale =
        (uint8_t)KL_MAX(l.id == KL_T_DECIMAL ? l.scale : 0, r.id == KL_T_DECIMAL ? r.scale : 0);
    kl_buf_printf(p->out, "CAST(trunc(kl_div_%u(", wide.scale);
    KL_TRY(kl_dp__as(p, f->args[0], wide));
    kl_dp__puts(p, ", ");
    KL_TRY(kl_dp__as(p, f->args[1], wide));
    kl_dp__puts(p, ")");
    kl_dp__puts(p, ")");
    close_cast(p, t);
    return KL_OK;
}

static enum kl_rc special_scale(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(want_args(p, f, 1, 1));
    struct kl_type t = kl_dp__infer(p, f->args[0]);
    if (t.id != KL_T_DECIMAL) {
        return kl_dp__refuse(p, f->location, "scale() of what is not known to be a decimal");
    }
    kl_buf_printf(p->out, "(CASE WHEN ");
    KL_TRY(kl_dp__expr(p, f->args[0]));
    kl_buf_printf(p->out, " IS NOT NULL THEN %u END)", t.scale);
    return KL_OK;
}

/* Positions before 1 exist in PostgreSQL and are empty; DuckDB counts them from the end. */
static enum kl_rc special_substring(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(want_args(p, f, 2, 3));
    struct kl_type t = kl_dp__infer(p, f->args[0]), by = kl_dp__infer(p, f->args[1]);
    if (kl_dp__string_const(f->args[1]) || kl_dp__open_param(p, f->args[1]) ||
        kl_type_is_text(by.id) || kl_type_is_integer(by.id) || t.id == KL_T_BYTES) {
        return kl_dp__native(p, name, f->args, f->n_args, f->location);
    }
    kl_dp__puts(p, "substring(");
    KL_TRY(expand(p, f, "$1, CASE WHEN #2 < 1 THEN 1 ELSE #2 END"));
    if (f->n_args == 3) {
        KL_TRY(expand(
            p, f, ", CASE WHEN #2 >= 1 THEN #3 WHEN #3 + #2 > 1 THEN #3 + #2 - 1 ELSE 0 END"));
    }
    kl_dp__puts(p, ")");
    return KL_OK;
}

static enum kl_rc special_date_trunc(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(want_args(p, f, 2, 2));
    static const char *const known[] = {"microseconds", "milliseconds", "second", "minute", "hour",
        "day", "week", "month", "quarter", "year"};
    const char *field = kl_dp__string_const(f->args[0]);
    bool own = false;
    for (size_t i = 0; field && i < KL_LEN(known); i++) {
        own = own || strcmp(field, known[i]) == 0;
    }
    if (!own || kl_dp__infer(p, f->args[1]).id == KL_T_INTERVAL) {
        return kl_dp__native(p, name, f->args, 2, f->location);
    }
    /* Beginnings of days are dates for DuckDB, and nothing added to them makes them points in time
     * again. */
    bool date = kl_dp__infer(p, f->args[1]).id == KL_T_DATE;
    return expand(p, f,
        date ? "date_trunc($1, CAST($2 AS TIMESTAMPTZ))"
             : "(date_trunc($1, $2) + INTERVAL '0' DAY)");
}

static enum kl_rc special_date_part(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(want_args(p, f, 2, 2));
    if (!p->plain && kl_dp__open_param(p, f->args[0])) {
        return kl_dp__refuse(p, f->location, "a parameter as a field");
    }
    kl_dp__puts(p, "CAST(");
    KL_TRY(kl_dp__string_const(f->args[0]) ? special_extract(p, f, name)
                                           : expand(p, f, "date_part($1, $2)"));
    close_cast(p, KL_TYPE(DOUBLE));
    return KL_OK;
}

static enum kl_rc special_extract(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    static const char *const fields[] = {"year", "month", "day", "hour", "minute", "epoch", "dow",
        "isodow", "doy", "week", "quarter", "isoyear", "century", "decade", "millennium",
        "microseconds"};
    KL_TRY(want_args(p, f, 2, 2));
    const char *field = kl_dp__string_const(f->args[0]);
    /* DuckDB's seconds have no fraction. */
    if (field && (strcmp(field, "second") == 0 || strcmp(field, "milliseconds") == 0)) {
        return expand(p, f,
            field[0] == 's' ? "(date_part('microseconds', $2) / 1000000.0)"
                            : "(date_part('microseconds', $2) / 1000.0)");
    }
    for (size_t i = 0; field && i < KL_LEN(fields); i++) {
        if (strcmp(field, fields[i]) == 0) {
            return expand(p, f, "date_part($1, $2)");
        }
    }
    return kl_dp__native(p, "date_part", f->args, 2, f->location);
}

/* Offsets as the native executor has them; what it does not know, DuckDB's names. */
static enum kl_rc special_timezone(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(want_args(p, f, 2, 2));
    const char *zone = kl_dp__string_const(f->args[0]);
    int64_t ignored;
    if (kl_dp__infer(p, f->args[0]).id == KL_T_INTERVAL ||
        (zone && kl_func__fixed_zone(kl_slice_str(zone), &ignored))) {
        return kl_dp__native(p, name, f->args, 2, f->location);
    }
    if (!zone) {
        return kl_dp__refuse(p, f->location, "a time zone that is not a literal");
    }
    return expand(p, f, "timezone($1, $2)");
}

/* In a select list. DuckDB's function for that makes the list outside its memory limit and cannot be interrupted meanwhile, the
 * aggregate is held to both. */
static enum kl_rc special_generate_series(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(want_args(p, f, 2, 3));
    return expand(p, f, "unnest((SELECT list(kl_i) FROM generate_series($*) kl_s(kl_i)))");
}

/* The value below the keys: json_extract(json_extract(j, k1), k2). */
static enum kl_rc json_below(
    struct kl_dp *p, PgQuery__FuncCall *f, size_t n_keys, const char *last) {
    for (size_t i = n_keys; i > 0; i--) {
        kl_buf_printf(p->out, "%s(", i == n_keys ? last : "json_extract");
    }
    KL_TRY(kl_dp__json(p, f->args[0]));
    for (size_t i = 1; i <= n_keys; i++) {
        kl_dp__puts(p, ", ");
        KL_TRY(kl_dp__json_key(p, f->args[i]));
        kl_dp__puts(p, ")");
    }
    return KL_OK;
}

/* A template over the value: @ is the value, % its text. */
static enum kl_rc json_wrap(
    struct kl_dp *p, PgQuery__FuncCall *f, size_t n_keys, const char *template) {
    for (const char *t = template; *t; t++) {
        if (*t == '@') {
            KL_TRY(json_below(p, f, n_keys, "json_extract"));
        } else if (*t == '%') {
            if (n_keys) {
                KL_TRY(json_below(p, f, n_keys, "json_extract_string"));
            } else {
                kl_dp__puts(p, "json_extract_string(");
                KL_TRY(json_below(p, f, 0, NULL));
                kl_dp__puts(p, ", '$')");
            }
        } else {
            kl_buf_putc(p->out, *t);
        }
    }
    return KL_OK;
}

static enum kl_rc special_json_get(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(check_plain(p, f));
    return f->n_args == 0 || f->n_args > 32
               ? unknown(p, f)
               : json_wrap(p, f, f->n_args - 1,
                     "(CASE WHEN json_type(@) = 'OBJECT' THEN json_keys(@) END)");
}

/* json_get_str(j, k1, k2): the keys but the last step down, one at a time. */
static enum kl_rc json_steps(struct kl_dp *p, PgQuery__FuncCall *f, const char *name, size_t n) {
    PgQuery__FuncCall inner = *f;
    PgQuery__Node below, *pair[2] = {&below, f->args[n - 1]};
    if (n <= 2) {
        return kl_dp__native(p, name, f->args, n, f->location);
    }
    PgQuery__Node step;
    PgQuery__String text;
    PgQuery__Node *names[1] = {&step};
    pg_query__node__init(&below);
    pg_query__node__init(&step);
    pg_query__string__init(&text);
    text.sval = (char *)"json_get";
    step.node_case = PG_QUERY__NODE__NODE_STRING;
    step.string = &text;
    inner.n_args = n - 1;
    inner.funcname = names;
    inner.n_funcname = 1;
    below.node_case = PG_QUERY__NODE__NODE_FUNC_CALL;
    below.func_call = &inner;
    return kl_dp__native(p, name, pair, 2, f->location);
}

static enum kl_rc special_json_path(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(check_plain(p, f));
    size_t least = strcmp(name, "json_length") == 0 ? 1 : 2;
    return f->n_args < least || f->n_args > 32 ? unknown(p, f) : json_steps(p, f, name, f->n_args);
}

/* What is an array, or rows of them, in PostgreSQL: the native function gives JSON. */
static enum kl_rc special_regexp_list(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    bool rows = strcmp(name, "regexp_matches") == 0, table = strstr(name, "_table") != NULL;
    const char *native = rows ? ":regexp_matches"
                         : strcmp(name, "regexp_match") == 0 ? ":regexp_match"
                                                             : ":regexp_split";
    KL_TRY(want_args(p, f, 2, 3));
    kl_dp__puts(p, rows || table ? "unnest(from_json(" : "from_json(");
    KL_TRY(kl_dp__native(p, native, f->args, f->n_args, f->location));
    kl_dp__puts(p, rows ? ", '[[\"VARCHAR\"]]'))" : table ? ", '[\"VARCHAR\"]'))" : ", '[\"VARCHAR\"]')");
    return KL_OK;
}

/* A value as the text of its JSON; NULL stays NULL. */
static enum kl_rc json_of(struct kl_dp *p, PgQuery__Node *n) {
    struct kl_type t = kl_dp__infer(p, n);
    bool open = kl_dp__open_param(p, n) || kl_dp__string_const(n);
    if (t.id == KL_T_JSON || kl_type_is_integer(t.id) || t.id == KL_T_DECIMAL) {
        return kl_dp__as(p, n, KL_TYPE(TEXT));
    }
    if (t.id == KL_T_UUID) {
        kl_dp__puts(p, "('\"' || ");
        KL_TRY(kl_dp__as(p, n, KL_TYPE(TEXT)));
        kl_dp__puts(p, " || '\"')");
        return KL_OK;
    }
    if ((t.id == KL_T_NULL && !open) || t.id == KL_T_EMBEDDING) {
        kl_dp__puts(p, "CAST(to_json(");
        KL_TRY(kl_dp__expr(p, n));
        kl_dp__puts(p, ") AS VARCHAR)");
        return KL_OK;
    }
    return kl_dp__native(p, ":json_of", &n, 1, kl_dp__location(n));
}

static enum kl_rc special_to_json(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    KL_TRY(want_args(p, f, 1, 1));
    kl_dp__puts(p, "CAST(");
    KL_TRY(json_of(p, f->args[0]));
    kl_dp__puts(p, " AS JSON)");
    return KL_OK;
}

static enum kl_rc special_json_build(struct kl_dp *p, PgQuery__FuncCall *f, const char *name) {
    bool object = strstr(name, "object") != NULL;
    char duck_name[96];
    KL_TRY(want_args(p, f, 0, KL_DUCK_NATIVE_ARGS));
    KL_TRY(kl_dp__native_name(p, object ? ":json_object" : ":json_array", duck_name, sizeof(duck_name)));
    kl_buf_printf(p->out, "CAST(%s(", duck_name);
    for (size_t i = 0; i < f->n_args; i++) {
        kl_dp__puts(p, i ? ", " : "");
        KL_TRY(object && i % 2 == 0 ? kl_dp__text(p, f->args[i]) : json_of(p, f->args[i]));
    }
    kl_dp__puts(p, ") AS JSON)");
    return KL_OK;
}
