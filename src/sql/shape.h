/* The shape of a statement: its text with literals and parameters replaced by markers, and their
 * values beside it. Statements of one shape share one plan.
 *
 * The shape is bytes: tokens in their order, unquoted words in lower case, one space only where two
 * tokens would run together, no comments. A value is a marker:
 *
 *     0x01 o        open: a whole cell of an INSERT, of any type, cast when the row is made
 *     0x01 s        a quoted literal, a string or NULL parameter: its type is still open
 *     0x01 i f b x t   BIGINT, DOUBLE, BOOLEAN, BYTES, TEXT
 *     0x01 d P S    DECIMAL; P: 1 up to 18 digits, 2 up to 38; S: 0x20 + scale
 *     0x01 T N      another type; N: 0x20 + its number
 *     0x02 H L      again the value of index H * 64 + L, both with 0x20 added: a $n used twice
 *
 * Values are numbered from 1 in order of their markers. A VALUES list whose rows have one shape
 * stands in the key as its first row; the values of the rows follow each other, each row's with
 * those of ON CONFLICT and RETURNING behind the list.
 *
 * What would change its meaning as a parameter stays in the text: literals after a type name, type
 * modifiers, items of ORDER BY and GROUP BY; with GROUP BY or DISTINCT, where expressions must
 * match each other, all but those of WHERE, ON and LIMIT. A statement whose shape PostgreSQL's
 * parser then refuses is planned as it was written. */
#ifndef KL_SQL_SHAPE_H
#define KL_SQL_SHAPE_H

#include "sql/scan.h"

#define KL_SHAPE_MAX_KEY 16384 /* a longer one is not worth a place in a cache */

struct kl_shape {
    bool usable;         /* false: plan the text as it is; nothing below counts */
    struct kl_slice key; /* prefix, then the shape; arena */
    size_t prefix_len;
    /* n_values, times n_rows of a collapsed VALUES list; room for `spare` more */
    struct kl_val *vals;
    size_t n_vals, spare;
    unsigned n_values;
    size_t n_rows; /* of the collapsed list; 0: not an INSERT of VALUES, or not collapsed */
};
struct kl_shape_input {
    struct kl_slice stmt, prefix;
    const struct kl_val *params;
    size_t n_params;
    struct kl_arena *arena;
};
/* KL_E_INVALID_PARAMETER: a $n without value. KL_E_TOO_LARGE: the arena's budget. */
enum kl_rc kl_sql__shape(const struct kl_shape_input *in, struct kl_shape *ret, struct kl_err *err);
/* The shape as text for PostgreSQL's parser, NUL-terminated, with $1.. in place of markers, and
 * their types (KL_T_NULL: open). */
enum kl_rc kl_sql__shape_text(const struct kl_shape *s, struct kl_arena *arena, char **ret_text,
    struct kl_type **ret_types, struct kl_err *err);
/* The statement as it was written, for PostgreSQL's parser: backticks become double quotes, the ()
 * of CURRENT_USER() become blanks. Bytes keep their places (unless a backtick identifier holds a
 * double quote). */
enum kl_rc kl_sql__plain_text(
    struct kl_slice stmt, struct kl_arena *arena, char **ret_text, struct kl_err *err);
/* Type as which a parameter's value is bound. */
struct kl_type kl_sql__param_type(const struct kl_val *v);

#endif
