/* What toml.c (structure) and toml_value.c (strings, numbers, dates) share. */
#ifndef KL_SERVER_TOML_INTERNAL_H
#define KL_SERVER_TOML_INTERNAL_H

#include "server/toml.h"

struct kl_toml_parser {
    const char *start, *cur, *end;
    const char *line_start;
    int line;
    int depth; /* arrays and inline tables open */
    size_t keys;
    uint32_t section; /* rises with each [header] */
    struct kl_arena *arena;
    struct kl_buf scratch; /* a string being decoded */
    struct kl_toml *root;
    struct kl_toml *table; /* where key = value lines go */
    struct kl_err *err;
};

/* Fails at `at`, which is on the current line. */
enum kl_rc kl_toml__fail(struct kl_toml_parser *p, const char *at, const char *fmt, ...)
    KL_PRINTF(3, 4);
enum kl_rc kl_toml__no_room(struct kl_toml_parser *p);
static inline bool kl_toml__at(const struct kl_toml_parser *p, char c) {
    return p->cur < p->end && *p->cur == c;
}
static inline bool kl_toml__ahead(const struct kl_toml_parser *p, const char *s, size_t n) {
    return (size_t)(p->end - p->cur) >= n && memcmp(p->cur, s, n) == 0;
}
/* Steps over "\n" or "\r\n"; false when there is none. */
bool kl_toml__newline(struct kl_toml_parser *p);

/* cur stands on the quote. A key may not span lines. */
enum kl_rc kl_toml__string(struct kl_toml_parser *p, bool allow_multiline, struct kl_slice *ret);
/* Number, boolean, date or time. */
enum kl_rc kl_toml__bare_value(struct kl_toml_parser *p, struct kl_toml *ret);

#endif
