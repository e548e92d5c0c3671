/* The JSON body of a SQL request. No I/O, no h2o: unit-tested and fuzzed alone. */
#ifndef KL_NET_BODY_H
#define KL_NET_BODY_H

#include "types/types.h"

struct kl_sql_body {
    struct kl_slice sql;
    struct kl_slice ns;          /* namespace_id; ptr NULL when absent or null */
    const struct kl_val *params; /* strings, arrays and objects are KL_VAL_UNKNOWN text */
    size_t n_params;
};

#define KL_BODY_MAX_DEPTH 128

/* `text` is `len` bytes followed by a NUL; it is changed (strings are unescaped in place) and
 * the result borrows it. Strict RFC 8259 in UTF-8; unknown fields are checked and ignored.
 * KL_E_INVALID_INPUT, text "Invalid JSON payload: ...". */
enum kl_rc kl_body_parse(
    char *text, size_t len, struct kl_arena *arena, struct kl_sql_body *ret, struct kl_err *err);
/* The same for a text that is one JSON array of parameters. */
enum kl_rc kl_body_params(char *text, size_t len, struct kl_arena *arena, const struct kl_val **ret,
    size_t *ret_n, struct kl_err *err);

#endif
