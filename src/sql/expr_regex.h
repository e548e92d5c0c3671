/* Compiled regular expressions, shared by ~ and the regexp_* functions. */
#ifndef KL_SQL_EXPR_REGEX_H
#define KL_SQL_EXPR_REGEX_H

#include "sql/expr_internal.h"
#include <regex.h>

#define KL_REGEX_MAX_CAPTURES 32

enum kl_regex_flag_bit {
    KL_REGEX_FOLD = 1,
    KL_REGEX_LINES = 2, /* . and [^a] do not match a newline; ^ and $ match at lines */
};

struct kl_regex {
    regex_t posix;
    bool shortest; /* as a whole it prefers the shortest match */
    unsigned n_captures;
    uint8_t group_of[KL_REGEX_MAX_CAPTURES]; /* POSIX group of capture i */
};

/* An option letter; false: not one of ours. */
bool kl_regex_flag(char c, unsigned *flags);
/* Borrowed until the next call on this thread. KL_E_UNSUPPORTED, KL_E_EXEC. */
enum kl_rc kl_regex_get(
    struct kl_slice pattern, unsigned flags, const struct kl_regex **ret, struct kl_err *err);
/* The first match at or behind byte `from`; m[0] the whole of it, then POSIX groups; n at least 1. */
enum kl_rc kl_regex_search(const struct kl_regex *re, struct kl_slice text, size_t from,
    regmatch_t *m, size_t n, bool *ret, struct kl_err *err);
enum kl_rc kl_regex_match(
    struct kl_slice text, struct kl_slice pattern, unsigned flags, bool *ret, struct kl_err *err);
/* KL_E_UNSUPPORTED when the pattern is a constant that cannot be compiled here. */
enum kl_rc kl_regex_check(const struct kl_expr *pattern, unsigned flags, struct kl_err *err);

#endif
