/* TOML 1.0 into a small tree. See toml.c. */
#ifndef KL_SERVER_TOML_H
#define KL_SERVER_TOML_H

#include "base/base.h"

enum kl_toml_type {
    KL_TOML_STRING,
    KL_TOML_INTEGER,
    KL_TOML_FLOAT,
    KL_TOML_BOOLEAN,
    KL_TOML_DATETIME, /* any of the four date and time forms, checked and kept as text */
    KL_TOML_ARRAY,
    KL_TOML_TABLE,
};

/* A value. Members of a table and items of an array hang on `first` in the order of the text. */
struct kl_toml {
    enum kl_toml_type type;
    int line;             /* 1-based, where the value (or the table's first mention) stands */
    struct kl_slice key;  /* its name in the table around it; empty in an array and for the root */
    struct kl_toml *next; /* sibling */
    struct kl_toml *first, *last;
    union {
        struct kl_slice text; /* string, datetime */
        int64_t integer;
        double real;
        bool boolean;
    };
    uint32_t section; /* the parser's: which [header] a dotted table belongs to */
    uint8_t origin;   /* the parser's: enum toml_origin */
};

#define KL_TOML_MAX_BYTES (1u << 20)
#define KL_TOML_MAX_DEPTH 32  /* of nesting, and parts of a dotted key */
#define KL_TOML_MAX_KEYS 4096 /* in the whole text */

/* The tree lives in `arena` and borrows nothing from `text`. KL_E_INVALID_INPUT with "line L,
 * column C: ..." and the byte position; KL_E_TOO_LARGE above a limit or the arena's budget. Any
 * thread, does not block. */
enum kl_rc kl_toml_parse(
    struct kl_slice text, struct kl_arena *arena, struct kl_toml **ret_root, struct kl_err *err);

/* A direct member, NULL when there is none. */
const struct kl_toml *kl_toml_get(const struct kl_toml *table, struct kl_slice key);

const char *kl_toml_type_name(enum kl_toml_type type); /* "a string" */

#endif
