/* Shared inside the expression module: the node, what its builders have in common, and the pieces
 * that functions are made of. */
#ifndef KL_SQL_EXPR_INTERNAL_H
#define KL_SQL_EXPR_INTERNAL_H

#include "sql/expr.h"
#include <locale.h>

#define KL_EXPR_MAX_DEPTH 512
#define KL_EXPR_CAST_TRY 1

enum kl_expr_kind {
    KL_EXPR_KIND_CONST,
    KL_EXPR_KIND_PARAM,
    KL_EXPR_KIND_SLOT,
    KL_EXPR_KIND_OP,       /* op: enum kl_expr_opcode; one or two arguments */
    KL_EXPR_KIND_CMP,      /* op: a comparison; cmp */
    KL_EXPR_KIND_LOGIC,    /* op: enum kl_expr_bool */
    KL_EXPR_KIND_IS,       /* op: enum kl_expr_test */
    KL_EXPR_KIND_DISTINCT, /* cmp; negate: IS NOT DISTINCT FROM */
    KL_EXPR_KIND_IN,       /* args[0] IN args[1..]; cmps[i] for args[i + 1] */
    KL_EXPR_KIND_BETWEEN,  /* args: value, low, high; cmps[0], cmps[1] */
    KL_EXPR_KIND_LIKE,     /* args: value, pattern[, escape]; negate, fold */
    KL_EXPR_KIND_REGEX,    /* args: value, pattern; negate, fold */
    KL_EXPR_KIND_CAST,     /* op: KL_EXPR_CAST_TRY for TRY_CAST, else 0 */
    KL_EXPR_KIND_CASE, /* args: [operand,] (condition, result)*, [else]; cmps[i] compares the
                          operand with condition i */
    KL_EXPR_KIND_CALL, /* func */
};

enum kl_expr_flag {
    KL_EXPR_NULLABLE = 1,
    KL_EXPR_VOLATILE = 2,  /* another value at each evaluation */
    KL_EXPR_ROW = 4,       /* reads the row */
    KL_EXPR_STATEMENT = 8, /* reads the statement: parameters, clock, session */
};

enum kl_expr_opcode {
    KL_OP_NONE, /* no native operator of this spelling */
    KL_OP_ADD,
    KL_OP_SUB,
    KL_OP_MUL,
    KL_OP_DIV,
    KL_OP_MOD,
    KL_OP_POW,
    KL_OP_NEG,
    KL_OP_PLUS,
    KL_OP_CONCAT,
    KL_OP_EQ,
    KL_OP_NE,
    KL_OP_LT,
    KL_OP_LE,
    KL_OP_GT,
    KL_OP_GE,
    KL_OP_LIKE,
    KL_OP_NOT_LIKE,
    KL_OP_ILIKE,
    KL_OP_NOT_ILIKE,
    KL_OP_REGEX,
    KL_OP_NOT_REGEX,
    KL_OP_IREGEX,
    KL_OP_NOT_IREGEX,
    KL_OP_JSON_GET,
    KL_OP_JSON_TEXT,
    KL_OP_JSON_HAS,
    KL_OP_JSON_PATH,
    KL_OP_JSON_PATH_TEXT,
    KL_OP_JSON_CONTAINS,
    KL_OP_JSON_CONTAINED,
    KL_OP_JSON_HAS_ANY,
    KL_OP_JSON_HAS_ALL,
    KL_OP_JSON_DELETE_PATH,
};

typedef enum kl_rc kl_expr_eval_fn(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err);
typedef int kl_expr_cmp_fn(const struct kl_val *a, const struct kl_val *b); /* both non-NULL */

struct kl_func;
struct kl_expr_set;
struct kl_expr {
    kl_expr_eval_fn *eval;
    struct kl_expr **args;
    uint32_t n_args;
    uint16_t depth;
    uint8_t kind, flags;
    struct kl_type type;
    int position; /* of an untyped literal in the statement; 0: not known */
    uint8_t op;
    bool negate, fold, has_operand, has_else;
    struct kl_expr_set *set; /* IN over constants: expr_in.c */
    union {
        struct kl_val value;        /* CONST */
        unsigned index;             /* SLOT, PARAM (of the statement's values) */
        kl_expr_cmp_fn *cmp;        /* CMP, DISTINCT */
        kl_expr_cmp_fn **cmps;      /* IN, BETWEEN, CASE */
        const struct kl_func *func; /* CALL */
    };
};

/* ---- building blocks (expr.c) ---- */
/* A node with copied arguments; flags, nullability and depth are theirs. */
enum kl_rc kl_expr__node(struct kl_expr_builder *b, enum kl_expr_kind kind, struct kl_type type,
    struct kl_expr *const *args, size_t n, struct kl_expr **ret, struct kl_err *err);
/* Replaces an immutable node over constants by its value. One whose evaluation fails stays, so that
 * the error comes when, and only when, it is evaluated. */
struct kl_expr *kl_expr__finish(struct kl_expr_builder *b, struct kl_expr *e);
enum kl_rc kl_expr__no_memory(struct kl_err *err);
static inline bool kl_expr__is_const(const struct kl_expr *e) {
    return e->kind == KL_EXPR_KIND_CONST;
}
static inline bool kl_expr__is_unknown(const struct kl_expr *e) {
    return e->type.id == KL_T_NULL;
}
/* Spelling of an operator. KL_OP_NONE when it is none of ours. */
enum kl_expr_opcode kl_expr__opcode(struct kl_slice op);
const char *kl_expr__op_text(unsigned op);
const char *kl_expr__type_name(uint8_t id); /* as in messages: "bigint" */

/* ---- coercion (expr_cast.c) ---- */
/* An operand where `to` is wanted: an unknown literal is parsed, a parameter derived, anything else
 * cast. A decimal keeps the scale it has (to.precision 0 or not), as PostgreSQL's numeric does. */
enum kl_rc kl_expr__coerce(struct kl_expr_builder *b, struct kl_expr *e, struct kl_type to,
    int position, struct kl_expr **ret, struct kl_err *err);
/* The type in which n results meet (CASE, COALESCE ..); casts each in place. what: "CASE" for the
 * message. */
enum kl_rc kl_expr__unify(struct kl_expr_builder *b, struct kl_expr **list, size_t n,
    const char *what, int position, struct kl_type *ret, struct kl_err *err);
enum kl_rc kl_expr__want_bool(struct kl_expr_builder *b, struct kl_expr **e, const char *what,
    int position, struct kl_err *err);

/* ---- operators by group ---- */
enum kl_rc kl_expr__arith(struct kl_expr_builder *b, enum kl_expr_opcode op, struct kl_expr *l,
    struct kl_expr *r, int position, struct kl_expr **ret,
    struct kl_err *err); /* KL_OP_ADD .. KL_OP_PLUS; expr_arith.c */
enum kl_rc kl_expr__temporal(struct kl_expr_builder *b, enum kl_expr_opcode op, struct kl_expr *l,
    struct kl_expr *r, int position, struct kl_expr **ret, bool *ret_match,
    struct kl_err *err); /* expr_time.c */
enum kl_rc kl_expr__concat(struct kl_expr_builder *b, struct kl_expr *l, struct kl_expr *r,
    int position, struct kl_expr **ret, struct kl_err *err);
enum kl_rc kl_expr__compare(struct kl_expr_builder *b, enum kl_expr_opcode op, struct kl_expr *l,
    struct kl_expr *r, int position, struct kl_expr **ret, struct kl_err *err); /* expr_cmp.c */
enum kl_rc kl_expr__regex(struct kl_expr_builder *b, bool negate, bool fold, struct kl_expr *l,
    struct kl_expr *r, int position, struct kl_expr **ret, struct kl_err *err); /* expr_regex.c */
enum kl_rc kl_expr__no_operator(unsigned op, const struct kl_expr *l, const struct kl_expr *r,
    int position, struct kl_err *err);
/* Finds how two operands compare; an unknown one takes the other's type. op is for the message. */
enum kl_rc kl_expr__cmp_resolve(struct kl_expr_builder *b, enum kl_expr_opcode op,
    struct kl_expr **l, struct kl_expr **r, int position, kl_expr_cmp_fn **ret, struct kl_err *err);
/* What an untyped left side of IN or operand of CASE becomes: the type of the first typed one it
 * meets, else text. */
struct kl_type kl_expr__first_type(struct kl_expr *const *list, size_t n);
/* What IN kept for a statement in ev->sets; NULL is fine. */
void kl_expr__sets_free(struct kl_expr_set *sets);
kl_expr_cmp_fn *kl_expr__cmp_fn(
    struct kl_type a, struct kl_type b); /* NULL: these do not compare */

/* ---- numbers (expr_num.c) ---- */
struct kl_dec {
    __int128 v;
    int scale;
};
struct kl_dec kl_expr__to_dec(const struct kl_val *v); /* integers and decimals */
double kl_expr__to_double(const struct kl_val *v);     /* any number */
enum kl_rc kl_expr__dec_add(
    struct kl_dec a, struct kl_dec b, struct kl_val *ret, struct kl_err *err);
enum kl_rc kl_expr__dec_mul(
    struct kl_dec a, struct kl_dec b, struct kl_val *ret, struct kl_err *err);
/* A quotient has this many digits after the point, or as many as its operands have. PostgreSQL
 * chooses anew for each value; here the result's type says how many. */
#define KL_DEC_QUOTIENT_SCALE 16
enum kl_rc kl_expr__dec_quotient(
    struct kl_dec a, struct kl_dec b, int scale, struct kl_val *ret, struct kl_err *err);
enum kl_rc kl_expr__dec_mod(
    struct kl_dec a, struct kl_dec b, struct kl_val *ret, struct kl_err *err);
/* Towards zero, up, down at a scale; KL_E_TYPE past 38 digits. */
enum kl_dec_round { KL_DEC_NEAREST, KL_DEC_TRUNC, KL_DEC_CEIL, KL_DEC_FLOOR };
enum kl_rc kl_expr__dec_round(
    struct kl_dec a, int scale, enum kl_dec_round how, struct kl_val *ret, struct kl_err *err);
enum kl_rc kl_expr__out_of_range(uint8_t type, struct kl_err *err);
enum kl_rc kl_expr__div_zero(struct kl_err *err);
enum kl_rc kl_expr__int_op(uint8_t type, enum kl_expr_opcode op, int64_t a, int64_t b,
    struct kl_val *ret, struct kl_err *err);
enum kl_rc kl_expr__float_op(uint8_t type, enum kl_expr_opcode op, double a, double b,
    struct kl_val *ret, struct kl_err *err);
enum kl_rc kl_expr__pow(double a, double b, double *ret, struct kl_err *err);

/* ---- intervals and the calendar (expr_time.c) ---- */
enum kl_rc kl_expr__interval_op(enum kl_expr_opcode op, struct kl_interval a, struct kl_interval b,
    struct kl_val *ret, struct kl_err *err);
enum kl_rc kl_expr__interval_scale(
    struct kl_interval a, double factor, bool divide, struct kl_val *ret, struct kl_err *err);

/* ---- text (like.c, func_text.c) ---- */
enum kl_like_rc { KL_LIKE_NO, KL_LIKE_YES, KL_LIKE_BAD_ESCAPE, KL_LIKE_TOO_LONG };
/* escape: the escape character's bytes, empty for none. */
enum kl_like_rc kl_expr__like_match(
    struct kl_slice text, struct kl_slice pattern, struct kl_slice escape, bool fold);
uint32_t kl_expr__lower_code(uint32_t code);
uint32_t kl_expr__upper_code(uint32_t code);
locale_t kl_expr__utf8_locale(void); /* (locale_t)0 when the system has none */
/* Both operands of a pattern operator as text; no such operator otherwise. */
enum kl_rc kl_expr__want_text(struct kl_expr_builder *b, unsigned op, struct kl_expr **args,
    int position, struct kl_err *err);
/* Room for a text result in ev->arena. */
enum kl_rc kl_expr__text_room(struct kl_eval *ev, size_t len, char **ret, struct kl_err *err);
static inline void kl_expr__set_text(struct kl_val *ret, const char *p, size_t len) {
    *ret = kl_val_text(kl_slice(p, len));
}

/* ---- JSON reader (expr_json.c): walks text that need not be valid; what cannot be read is absent
 * ---- */
enum kl_json_kind {
    KL_JSON_NONE,
    KL_JSON_NULL,
    KL_JSON_FALSE,
    KL_JSON_TRUE,
    KL_JSON_NUMBER,
    KL_JSON_STRING,
    KL_JSON_ARRAY,
    KL_JSON_OBJECT
};
struct kl_json_cursor {
    const char *at, *end;
};
struct kl_json_walk {
    struct kl_json_cursor c;
    bool object, first;
};
enum kl_json_kind kl_expr__json_kind(struct kl_slice json);
/* Over the members of an object or the elements of an array; false when it is none. */
bool kl_expr__json_walk(struct kl_json_walk *w, struct kl_slice json, bool object);
/* The next one; false at the end, and where the text stops making sense. */
bool kl_expr__json_next(
    struct kl_json_walk *w, struct kl_slice *ret_key, struct kl_slice *ret_value);
/* A quoted JSON string against plain text. */
bool kl_expr__json_string_is(struct kl_slice quoted, struct kl_slice text);
struct kl_slice kl_expr__json_member(
    struct kl_slice json, struct kl_slice key); /* ptr NULL: absent */
struct kl_slice kl_expr__json_element(
    struct kl_slice json, int64_t index);           /* negative: from the end */
int64_t kl_expr__json_length(struct kl_slice json); /* of an array or object, else -1 */
bool kl_expr__json_has(struct kl_slice json, struct kl_slice key);
/* The characters of a JSON string; borrows when it has no escapes. */
enum kl_rc kl_expr__json_unquote(
    struct kl_slice json, struct kl_arena *arena, struct kl_slice *ret, struct kl_err *err);

/* ---- functions (func.c) ---- */
#define KL_FUNC_MAX_ARGS 64
enum kl_func_flag {
    KL_FUNC_STABLE = 1, /* reads the statement */
    KL_FUNC_VOLATILE = 2,
    KL_FUNC_CALLED_ON_NULL = 4,
    KL_FUNC_NULLABLE = 8, /* may give NULL for arguments without NULL */
    KL_FUNC_REGEX = 16,   /* the second argument is a regular expression */
};
/* Evaluates with arguments that are, unless CALLED_ON_NULL, not NULL. ret comes preset to NULL of
 * the result's type. */
typedef enum kl_rc kl_func_fn(const struct kl_expr *e, struct kl_eval *ev,
    const struct kl_val *args, struct kl_val *ret, struct kl_err *err);
/* args, one letter a parameter: t text, i integer (arrives as BIGINT), I SMALLINT or INT (as INT), S SMALLINT, d number (for a double), f float, n
 * number as it is, D decimal, N integer or decimal, a anything, B bytes, y bytes or an open text, b boolean, j JSON text, k JSON key
 * (text or integer), s date or point in time, m interval, c time of day, v vector. After a |
 * parameters are optional; * at the end repeats the last. ret: t text, i bigint, I integer, S smallint, d
 * double, f float, b boolean, B bytes, j json, u uuid, z datetime, s timestamp, D date, T time, m interval,
 * x decimal of scale 6, 0 decimal of scale 0, e decimal like the first argument, 1 type of the
 * first argument, p point in time like the second argument (a date becomes a datetime), w the
 * other of timestamp and datetime than the second argument. */
struct kl_func {
    const char *name;
    const char *args;
    char ret;
    uint8_t flags;
    kl_func_fn *fn;
};
extern const struct kl_func kl_func__table[];
extern const size_t kl_func__count;
/* The letter of argument i, '\0' when there may not be so many. */
char kl_func__letter(const char *args, size_t i);
size_t kl_func__least_args(const char *args);
/* Whether an argument fits a letter, and the type that it is coerced to (KL_T_NULL: stays as it
 * is). */
bool kl_func__fits(char letter, struct kl_type t, struct kl_type *ret_to);

/* ---- functions that DuckDB runs too (func_duck.c) ---- */
/* A letter that stands for one type: the type, KL_T_NULL for any other letter. */
struct kl_type kl_func__letter_type(char letter);
/* The type in which DuckDB hands over an argument, as a letter; '\0': it cannot. */
char kl_func__choice(char letter, struct kl_type t);
void kl_func__duck_name(const struct kl_func *f, const char *letters, char *out, size_t size);

#endif
