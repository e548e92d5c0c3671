/* Calls: finding the function, fitting the arguments, evaluating. The table is func.def; a few
 * names build something else than a call (COALESCE, NULLIF, GREATEST, LEAST, MOD, POWER) and are
 * listed here.
 *
 * Unless a function says otherwise it is strict: all arguments are evaluated, and if any is NULL so
 * is the result. */
#include "sql/expr_regex.h"
#include "sql/func_internal.h"

#include <stdio.h>

const struct kl_func kl_func__table[] = {
#define F(name, args, ret, flags, fn) {name, args, ret, flags, fn},
#include "sql/func.def"
#undef F
};
const size_t kl_func__count = KL_LEN(kl_func__table);

#define MAX_ARGS 100
#define LOCAL_ARGS 4

/* ---- evaluating ---- */

static enum kl_rc call_with(const struct kl_expr *e, struct kl_eval *ev, struct kl_val *vals,
    struct kl_val *ret, struct kl_err *err) {
    bool null = false;
    for (uint32_t i = 0; i < e->n_args; i++) {
        KL_TRY(e->args[i]->eval(e->args[i], ev, &vals[i], err));
        null = null || vals[i].null;
    }
    *ret = kl_val_null(e->type.id);
    if (null && !(e->func->flags & KL_FUNC_CALLED_ON_NULL)) {
        return KL_OK;
    }
    return e->func->fn(e, ev, vals, ret, err);
}

static enum kl_rc eval_call(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    struct kl_val vals[LOCAL_ARGS];
    return call_with(e, ev, vals, ret, err);
}

static enum kl_rc eval_call_many(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    struct kl_val *vals = KL_ARENA_ARRAY(ev->arena, struct kl_val, e->n_args);
    if (!vals) {
        return kl_expr__no_memory(err);
    }
    return call_with(e, ev, vals, ret, err);
}

enum kl_rc kl_expr__text_room(struct kl_eval *ev, size_t len, char **ret, struct kl_err *err) {
    if (len > UINT32_MAX) {
        return kl_fail(err, KL_E_TOO_LARGE, "requested length too large");
    }
    *ret = kl_arena_alloc(ev->arena, len);
    return *ret ? KL_OK : kl_expr__no_memory(err);
}

/* ---- fitting arguments ---- */

/* The letter of argument i, '\0' when there may not be so many. */
char kl_func__letter(const char *args, size_t i) {
    char last = '\0';
    for (; *args; args++) {
        if (*args == '|') {
            continue;
        }
        if (*args == '*') {
            return last;
        }
        last = *args;
        if (i-- == 0) {
            return last;
        }
    }
    return '\0';
}

size_t kl_func__least_args(const char *args) {
    const char *bar = strchr(args, '|');
    return bar ? (size_t)(bar - args) : strlen(args);
}

static bool is_point(uint8_t id) {
    return id == KL_T_DATE || id == KL_T_TIMESTAMP || id == KL_T_DATETIME;
}

/* Whether an argument fits a letter, and the type that it is coerced to (KL_T_NULL: stays as it
 * is). */
bool kl_func__fits(char letter, struct kl_type t, struct kl_type *ret_to) {
    bool open = t.id == KL_T_NULL;
    *ret_to = KL_TYPE(NULL);
    switch (letter) {
    case 't':
        *ret_to = KL_TYPE(TEXT);
        return open || kl_type_is_text(t.id);
    case 'j':
        *ret_to = open ? KL_TYPE(TEXT) : *ret_to;
        return open || kl_type_is_text(t.id);
    case 'i':
        *ret_to = KL_TYPE(BIGINT);
        return open || kl_type_is_integer(t.id);
    case 'I':
        *ret_to = KL_TYPE(INT);
        return t.id == KL_T_INT || t.id == KL_T_SMALLINT;
    case 'S':
        *ret_to = KL_TYPE(SMALLINT);
        return t.id == KL_T_SMALLINT;
    case 'd':
    case 'n':
        *ret_to = open ? KL_TYPE(DOUBLE) : *ret_to;
        return open || kl_type_is_number(t.id);
    case 'D':
        return t.id == KL_T_DECIMAL;
    case 'N':
        return t.id == KL_T_DECIMAL || kl_type_is_integer(t.id);
    case 'a':
        *ret_to = open ? KL_TYPE(TEXT) : *ret_to;
        return true;
    case 'B':
        return t.id == KL_T_BYTES;
    case 'f':
        return t.id == KL_T_FLOAT;
    case 'y':
        *ret_to = open ? KL_TYPE(BYTES) : *ret_to;
        return open || t.id == KL_T_BYTES;
    case 'b':
        *ret_to = open ? KL_TYPE(BOOLEAN) : *ret_to;
        return open || t.id == KL_T_BOOLEAN;
    case 'k':
        *ret_to = kl_type_is_integer(t.id) ? KL_TYPE(BIGINT) : KL_TYPE(TEXT);
        return open || kl_type_is_integer(t.id) || kl_type_is_text(t.id);
    case 's':
        *ret_to = open ? KL_TYPE(TIMESTAMP) : *ret_to;
        return open || is_point(t.id);
    case 'm':
        *ret_to = open ? KL_TYPE(INTERVAL) : *ret_to;
        return open || t.id == KL_T_INTERVAL;
    case 'c':
        return t.id == KL_T_TIME;
    case 'v':
        *ret_to = open ? KL_TYPE(TEXT) : *ret_to;
        return open || t.id == KL_T_EMBEDDING || kl_type_is_text(t.id);
    default:
        return false;
    }
}

static bool matches(const struct kl_func *f, struct kl_expr *const *args, size_t n) {
    struct kl_type ignored;
    if (n < kl_func__least_args(f->args)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!kl_func__fits(kl_func__letter(f->args, i), args[i]->type, &ignored)) {
            return false;
        }
    }
    return true;
}

/* Of a decimal without its fraction, rounded up. Not more than needed: the digits of a type are taken from the fraction
 * of what it meets later. */
static uint8_t whole_digits(struct kl_expr *const *args) {
    struct kl_type t = args[0]->type;
    return t.id == KL_T_DECIMAL ? (uint8_t)KL_MIN(38, t.precision - t.scale + 1) : 38;
}

static struct kl_type result_type(const struct kl_func *f, struct kl_expr *const *args) {
    switch (f->ret) {
    case 't':
        return KL_TYPE(TEXT);
    case 'i':
        return KL_TYPE(BIGINT);
    case 'I':
        return KL_TYPE(INT);
    case 'S':
        return KL_TYPE(SMALLINT);
    case 'd':
        return KL_TYPE(DOUBLE);
    case 'f':
        return KL_TYPE(FLOAT);
    case 'b':
        return KL_TYPE(BOOLEAN);
    case 'j':
        return KL_TYPE(JSON);
    case 'B':
        return KL_TYPE(BYTES);
    case 'u':
        return KL_TYPE(UUID);
    case 'z':
        return KL_TYPE(DATETIME);
    case 's':
        return KL_TYPE(TIMESTAMP);
    case 'D':
        return KL_TYPE(DATE);
    case 'T':
        return KL_TYPE(TIME);
    case 'm':
        return KL_TYPE(INTERVAL);
    case 'x':
        return (struct kl_type){.id = KL_T_DECIMAL, .precision = 38, .scale = 6};
    case '0':
        return (struct kl_type){.id = KL_T_DECIMAL, .precision = whole_digits(args)};
    case 'e':
        return (struct kl_type){.id = KL_T_DECIMAL,
            .precision = (uint8_t)(args[0]->type.id == KL_T_DECIMAL
                                       ? KL_MIN(38, args[0]->type.precision + 1)
                                       : 38),
            .scale = args[0]->type.scale};
    case 'w':
        return args[1]->type.id == KL_T_DATETIME ? KL_TYPE(TIMESTAMP) : KL_TYPE(DATETIME);
    case 'p':
        return args[1]->type.id == KL_T_DATE ? KL_TYPE(DATETIME) : args[1]->type;
    default:
        return args[0]->type;
    }
}

static enum kl_rc call_node(struct kl_expr_builder *b, const struct kl_func *f,
    struct kl_expr *const *given, size_t n, int position, struct kl_expr **ret,
    struct kl_err *err) {
    struct kl_expr **args = KL_ARENA_ARRAY(b->arena, struct kl_expr *, n + 1), *e;
    if (!args) {
        return kl_expr__no_memory(err);
    }
    for (size_t i = 0; i < n; i++) {
        struct kl_type to;
        kl_func__fits(kl_func__letter(f->args, i), given[i]->type, &to);
        args[i] = given[i];
        if (to.id != KL_T_NULL) {
            KL_TRY(kl_expr__coerce(b, given[i], to, position, &args[i], err));
        }
    }
    if (strcmp(f->name, "timezone") == 0 && args[0]->type.id == KL_T_TEXT) {
        int64_t ignored;
        if (!kl_expr__is_const(args[0]) || args[0]->value.null ||
            !kl_func__fixed_zone(kl_val_slice(&args[0]->value), &ignored)) {
            return kl_fail_at(err, KL_E_UNSUPPORTED, position,
                "this time zone is not supported here: only UTC and offsets are");
        }
    }
    if (f->flags & KL_FUNC_REGEX) {
        KL_TRY(kl_regex_check(args[1], 0, err));
    }
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_CALL, result_type(f, args), args, n, &e, err));
    e->func = f;
    e->eval = n <= LOCAL_ARGS ? eval_call : eval_call_many;
    e->flags |= (f->flags & KL_FUNC_VOLATILE ? KL_EXPR_VOLATILE : 0) |
                (f->flags & KL_FUNC_STABLE ? KL_EXPR_STATEMENT : 0);
    if ((f->flags & KL_FUNC_CALLED_ON_NULL) && !(f->flags & KL_FUNC_NULLABLE)) {
        e->flags &= (uint8_t)~KL_EXPR_NULLABLE;
    } else if (f->flags & KL_FUNC_NULLABLE) {
        e->flags |= KL_EXPR_NULLABLE;
    }
    *ret = kl_expr__finish(b, e);
    return KL_OK;
}

/* ---- names that build something else ---- */

static enum kl_rc eval_coalesce(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    for (uint32_t i = 0; i < e->n_args; i++) {
        KL_TRY(e->args[i]->eval(e->args[i], ev, ret, err));
        if (!ret->null) {
            break;
        }
    }
    return KL_OK;
}

/* NULLs are passed over; all NULL gives NULL. */
static enum kl_rc eval_extreme(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    bool want_less = e->func->name[0] == 'l';
    kl_expr_cmp_fn *cmp = kl_expr__cmp_fn(e->type, e->type);
    struct kl_val v;
    *ret = kl_val_null(e->type.id);
    for (uint32_t i = 0; i < e->n_args; i++) {
        KL_TRY(e->args[i]->eval(e->args[i], ev, &v, err));
        if (!v.null && (ret->null || (want_less ? cmp(&v, ret) < 0 : cmp(&v, ret) > 0))) {
            *ret = v;
        }
    }
    return KL_OK;
}

static enum kl_rc eval_nullif(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    struct kl_val other;
    KL_TRY(e->args[0]->eval(e->args[0], ev, ret, err));
    KL_TRY(e->args[1]->eval(e->args[1], ev, &other, err));
    kl_expr_cmp_fn *cmp = kl_expr__cmp_fn(e->args[0]->type, e->args[1]->type);
    if (!ret->null && !other.null && cmp(ret, &other) == 0) {
        *ret = kl_val_null(e->type.id);
    }
    return KL_OK;
}

static enum kl_rc special_node(struct kl_expr_builder *b, const struct kl_func *f,
    struct kl_type type, struct kl_expr *const *args, size_t n, struct kl_expr **ret,
    struct kl_err *err) {
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_CALL, type, args, n, ret, err));
    (*ret)->func = f;
    return KL_OK;
}

/* COALESCE, GREATEST, LEAST: NULL only when every argument can be. */
static enum kl_rc build_unified(struct kl_expr_builder *b, const struct kl_func *f,
    struct kl_expr *const *given, size_t n, int position, struct kl_expr **ret,
    struct kl_err *err) {
    struct kl_expr **args = KL_ARENA_ARRAY(b->arena, struct kl_expr *, n + 1), *e;
    if (!args) {
        return kl_expr__no_memory(err);
    }
    memcpy(args, given, n * sizeof(*args));
    const char *what = f->name[0] == 'c' ? "COALESCE" : f->name[0] == 'g' ? "GREATEST" : "LEAST";
    struct kl_type type;
    KL_TRY(kl_expr__unify(b, args, n, what, position, &type, err));
    if (f->name[0] != 'c' && !kl_expr__cmp_fn(type, type)) {
        return kl_fail_at(err, KL_E_TYPE, position,
            "could not identify a comparison function for type %s", kl_expr__type_name(type.id));
    }
    KL_TRY(special_node(b, f, type, args, n, &e, err));
    for (size_t i = 0; i < n; i++) {
        if (!kl_expr_nullable(args[i])) {
            e->flags &= (uint8_t)~KL_EXPR_NULLABLE;
        }
    }
    e->eval = f->name[0] == 'c' ? eval_coalesce : eval_extreme;
    *ret = kl_expr__finish(b, e);
    return KL_OK;
}

static bool is_float(uint8_t id) {
    return id == KL_T_FLOAT || id == KL_T_DOUBLE;
}

static bool same_kind(uint8_t a, uint8_t b) {
    return a == b || !kl_type_is_number(a) || !kl_type_is_number(b) ||
           (kl_type_is_integer(a) && kl_type_is_integer(b)) || (is_float(a) && is_float(b));
}

static enum kl_rc build_nullif(struct kl_expr_builder *b, const struct kl_func *f,
    struct kl_expr *const *given, size_t n, int position, struct kl_expr **ret,
    struct kl_err *err) {
    struct kl_expr *args[2] = {given[0], given[1]}, *e;
    kl_expr_cmp_fn *cmp;
    KL_TRY(kl_expr__cmp_resolve(b, KL_OP_EQ, &args[0], &args[1], position, &cmp, err));
    if (!same_kind(args[0]->type.id,
            args[1]->type.id)) { /* PostgreSQL compares, and returns, the type in which both meet */
        struct kl_type met;
        KL_TRY(kl_expr__unify(b, args, 2, "NULLIF", position, &met, err));
    }
    KL_TRY(special_node(b, f, args[0]->type, args, 2, &e, err));
    e->flags |= KL_EXPR_NULLABLE;
    e->eval = eval_nullif;
    *ret = kl_expr__finish(b, e);
    return KL_OK;
}

static enum kl_rc build_mod(struct kl_expr_builder *b, const struct kl_func *f,
    struct kl_expr *const *args, size_t n, int position, struct kl_expr **ret, struct kl_err *err) {
    return kl_expr__arith(b, KL_OP_MOD, args[0], args[1], position, ret, err);
}

static enum kl_rc build_power(struct kl_expr_builder *b, const struct kl_func *f,
    struct kl_expr *const *args, size_t n, int position, struct kl_expr **ret, struct kl_err *err) {
    return kl_expr__arith(b, KL_OP_POW, args[0], args[1], position, ret, err);
}

static const struct {
    struct kl_func func;
    size_t least, most;
    enum kl_rc (*build)(struct kl_expr_builder *b, const struct kl_func *f,
        struct kl_expr *const *args, size_t n, int position, struct kl_expr **ret,
        struct kl_err *err);
} specials[] = {
    {{.name = "coalesce"}, 1, MAX_ARGS, build_unified},
    {{.name = "greatest"}, 1, MAX_ARGS, build_unified},
    {{.name = "least"}, 1, MAX_ARGS, build_unified},
    {{.name = "nullif"}, 2, 2, build_nullif},
    {{.name = "mod"}, 2, 2, build_mod},
    {{.name = "power"}, 2, 2, build_power},
    {{.name = "pow"}, 2, 2, build_power},
};

/* ---- calling by name ---- */

static enum kl_rc no_function(
    struct kl_slice name, struct kl_expr *const *args, size_t n, int position, struct kl_err *err) {
    char types[200] = "";
    size_t len = 0;
    for (size_t i = 0; i < n && len + 24 < sizeof(types); i++) {
        len += (size_t)snprintf(types + len, sizeof(types) - len, "%s%s", i ? ", " : "",
            kl_expr__type_name(args[i]->type.id));
    }
    if (n == 2 && name.len > 0 && strchr("-?#@<", name.ptr[0])) {
        return kl_expr__no_operator(kl_expr__opcode(name), args[0], args[1], position, err);
    }
    enum kl_rc rc = kl_fail_at(
        err, KL_E_TYPE, position, "function %.*s(%s) does not exist", KL_FMT(name), types);
    kl_err_hint(err, "No function matches the given name and argument types. You might need to add "
                     "explicit type casts.");
    return rc;
}

bool kl_expr_has_function(struct kl_slice name) {
    for (size_t i = 0; i < KL_LEN(specials); i++) {
        if (kl_slice_eq_str(name, specials[i].func.name)) {
            return true;
        }
    }
    for (size_t i = 0; i < kl_func__count; i++) {
        if (kl_slice_eq_str(name, kl_func__table[i].name)) {
            return true;
        }
    }
    return false;
}

enum kl_rc kl_expr_call(struct kl_expr_builder *b, struct kl_slice name,
    struct kl_expr *const *args, size_t n, int position, struct kl_expr **ret, struct kl_err *err) {
    if (n > MAX_ARGS) {
        return kl_fail_at(err, KL_E_INVALID_SQL, position,
            "cannot pass more than %d arguments to a function", MAX_ARGS);
    }
    for (size_t i = 0; i < KL_LEN(specials); i++) {
        if (kl_slice_eq_str(name, specials[i].func.name)) {
            return n < specials[i].least || n > specials[i].most
                       ? no_function(name, args, n, position, err)
                       : specials[i].build(b, &specials[i].func, args, n, position, ret, err);
        }
    }
    bool known = false;
    for (size_t i = 0; i < kl_func__count; i++) {
        const struct kl_func *f = &kl_func__table[i];
        if (!kl_slice_eq_str(name, f->name)) {
            continue;
        }
        known = true;
        if (!matches(f, args, n)) {
            continue;
        }
        if (!f->fn) {
            return kl_fail_at(
                err, KL_E_UNSUPPORTED, position, "this form of %s() has no native form", f->name);
        }
        if (f->args[0] == 'v') {
            struct kl_expr *pair[2] = {args[0], args[1]};
            KL_TRY(kl_func__prepare_vectors(b, f->name, pair, position, err));
            return call_node(b, f, pair, n, position, ret, err);
        }
        return call_node(b, f, args, n, position, ret, err);
    }
    return known ? no_function(name, args, n, position, err)
                 : kl_fail_at(err, KL_E_UNSUPPORTED, position,
                       "the function %.*s() has no native form", KL_FMT(name));
}
