/* The tokens of SQL, by PostgreSQL's lexical rules plus `backtick` identifiers. One reader for
 * everything that looks at text: splitting, shapes, KalamDB's own statements, the guard in front of
 * PostgreSQL's parser.
 *
 * The reader never fails and never reads past its slice: what is no token comes out as KL_TOK_BAD.
 * Bytes above 0x7f are letters. */
#ifndef KL_SQL_SCAN_H
#define KL_SQL_SCAN_H

#include "types/types.h"

enum kl_tok_kind {
    KL_TOK_END,
    KL_TOK_WORD,   /* unquoted identifier or keyword */
    KL_TOK_IDENT,  /* "x" or `x` */
    KL_TOK_STRING, /* 'x', E'x', $tag$x$tag$ */
    KL_TOK_BYTES,  /* X'DEAD' */
    KL_TOK_OTHER,  /* B'01' N'x' U&'x' U&"x": left to PostgreSQL's parser */
    KL_TOK_INT,
    KL_TOK_NUMBER, /* with a point or an exponent */
    KL_TOK_PARAM,  /* $1 */
    KL_TOK_OP,     /* a run of operator characters, :: and := */
    KL_TOK_PUNCT,  /* one of ( ) [ ] , ; . : */
    KL_TOK_BAD,
};
enum kl_tok_flag {
    KL_TOK_DOUBLED = 1,      /* holds a doubled quote */
    KL_TOK_ESCAPES = 2,      /* E'': backslashes mean something */
    KL_TOK_DOLLAR = 4,       /* $tag$: body is all between the tags */
    KL_TOK_OPEN_QUOTE = 8,   /* BAD: the quote is never closed */
    KL_TOK_OPEN_COMMENT = 16 /* BAD: the comment is never closed */
};
struct kl_tok {
    uint8_t kind, flags;
    char punct;        /* PUNCT: which; else 0 */
    uint8_t body_off;  /* quoted kinds: where the body starts in text (long tags: KL_TOK_BAD) */
    uint8_t body_tail; /* and how many bytes follow it */
    struct kl_slice text;
};
struct kl_scan {
    const char *start, *cur, *end;
};

static inline void kl_sql__scan_init(struct kl_scan *s, struct kl_slice text) {
    s->start = s->cur = text.ptr;
    s->end = text.ptr ? text.ptr + text.len : text.ptr;
}
/* At the end KL_TOK_END, again and again. */
void kl_sql__scan(struct kl_scan *s, struct kl_tok *ret);
/* 1-based byte offset of a token. */
static inline int kl_sql__tok_pos(const struct kl_scan *s, const struct kl_tok *t) {
    return (int)(t->text.ptr - s->start) + 1;
}
static inline struct kl_slice kl_sql__tok_body(const struct kl_tok *t) {
    return kl_slice(t->text.ptr + t->body_off, t->text.len - t->body_off - t->body_tail);
}
static inline bool kl_sql__tok_is(const struct kl_tok *t, char punct) {
    return t->kind == KL_TOK_PUNCT && t->punct == punct;
}

/* ---- values of literal tokens ---- (borrow the text, or the arena where quotes or escapes had to
 * be undone) */
/* STRING: the decoded text. KL_E_INVALID_SQL for a bad escape, KL_E_TOO_LARGE when the arena is
 * full. */
enum kl_rc kl_sql__string(const struct kl_tok *t, struct kl_arena *arena, struct kl_slice *ret);
/* INT or NUMBER: BIGINT when it fits, else DECIMAL; KL_E_TYPE beyond 38 digits. */
enum kl_rc kl_sql__number(struct kl_slice text, bool negative, struct kl_val *ret);
/* BYTES: X'DEAD'. KL_E_INVALID_SQL for an odd or a wrong digit. */
enum kl_rc kl_sql__bytes(struct kl_slice hex, struct kl_arena *arena, struct kl_val *ret);
/* WORD or IDENT as a name: folded to lower case, doubled quotes undone. ptr NULL when the arena is
 * full. */
struct kl_slice kl_sql__name(const struct kl_tok *t, struct kl_arena *arena);

/* Nesting that a recursive parser would meet, estimated from tokens: what stands in front of
 * PostgreSQL's parser, whose tree is walked recursively. KL_E_INVALID_SQL past KL_SQL_MAX_DEPTH. */
#define KL_SQL_MAX_DEPTH 512
enum kl_rc kl_sql__check_depth(struct kl_slice text, struct kl_err *err);

#endif
