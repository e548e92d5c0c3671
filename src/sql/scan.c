/* The token reader. See scan.h.
 *
 * One pass, one character class table, no memory. Rules follow PostgreSQL's scan.l: strings double
 * their quote, E'' has backslashes, dollar quotes have tags, comments of the C kind nest, an
 * operator ends where a comment starts and loses trailing + and - unless it holds one of ~ ! @ # %
 * ^ & | ?. The one addition: a backtick opens an identifier (to PostgreSQL it is an operator
 * character). A number that runs into a letter is no token, as in PostgreSQL 15 and later. */
#include "sql/scan.h"

enum { C_BAD, C_SPACE, C_WORD, C_DIGIT, C_QUOTE, C_IDENT, C_DOLLAR, C_OP, C_PUNCT, C_DOT, C_COLON };

static const uint8_t classes[256] = {
    [' '] = C_SPACE,
    ['\t'] = C_SPACE,
    ['\n'] = C_SPACE,
    ['\r'] = C_SPACE,
    ['\f'] = C_SPACE,
    ['\v'] = C_SPACE,
    ['a' ... 'z'] = C_WORD,
    ['A' ... 'Z'] = C_WORD,
    ['_'] = C_WORD,
    [0x80 ... 0xff] = C_WORD,
    ['0' ... '9'] = C_DIGIT,
    ['\''] = C_QUOTE,
    ['"'] = C_IDENT,
    ['`'] = C_IDENT,
    ['$'] = C_DOLLAR,
    ['('] = C_PUNCT,
    [')'] = C_PUNCT,
    ['['] = C_PUNCT,
    [']'] = C_PUNCT,
    [','] = C_PUNCT,
    [';'] = C_PUNCT,
    ['.'] = C_DOT,
    [':'] = C_COLON,
    ['~'] = C_OP,
    ['!'] = C_OP,
    ['@'] = C_OP,
    ['#'] = C_OP,
    ['^'] = C_OP,
    ['&'] = C_OP,
    ['|'] = C_OP,
    ['?'] = C_OP,
    ['+'] = C_OP,
    ['-'] = C_OP,
    ['*'] = C_OP,
    ['/'] = C_OP,
    ['%'] = C_OP,
    ['<'] = C_OP,
    ['>'] = C_OP,
    ['='] = C_OP,
};

static inline uint8_t class_of(const char *p) {
    return classes[(uint8_t)*p];
}
static inline bool is_word_part(const char *p) {
    uint8_t c = class_of(p);
    return c == C_WORD || c == C_DIGIT || c == C_DOLLAR;
}

static void make(
    struct kl_scan *s, struct kl_tok *t, enum kl_tok_kind kind, const char *from, const char *to) {
    *t = (struct kl_tok){.kind = (uint8_t)kind, .text = kl_slice(from, (size_t)(to - from))};
    s->cur = to;
}

static void bad(
    struct kl_scan *s, struct kl_tok *t, const char *from, const char *to, uint8_t flags) {
    make(s, t, KL_TOK_BAD, from, to);
    t->flags = flags;
}

/* Past white space and comments; false, at its start, when a comment is never closed. */
static bool skip_blank(struct kl_scan *s) {
    const char *p = s->cur, *end = s->end;
    for (;;) {
        while (p < end && class_of(p) == C_SPACE) {
            p++;
        }
        if (end - p >= 2 && p[0] == '-' && p[1] == '-') {
            while (p < end && *p != '\n' && *p != '\r') {
                p++;
            }
        } else if (end - p >= 2 && p[0] == '/' && p[1] == '*') {
            size_t depth = 1;
            s->cur = p;
            for (p += 2; depth > 0;) {
                if (end - p < 2) {
                    return false;
                }
                if (p[0] == '*' && p[1] == '/') {
                    depth--;
                    p += 2;
                } else if (p[0] == '/' && p[1] == '*') {
                    depth++;
                    p += 2;
                } else {
                    p++;
                }
            }
        } else {
            s->cur = p;
            return true;
        }
    }
}

/* from: start of the token; open: the opening quote. */
static void quoted(struct kl_scan *s, struct kl_tok *t, enum kl_tok_kind kind, const char *from,
    const char *open, bool escapes) {
    char q = *open;
    uint8_t flags = escapes ? KL_TOK_ESCAPES : 0;
    for (const char *p = open + 1; p < s->end; p++) {
        if (*p == '\\' && escapes) {
            p++;
        } else if (*p == q) {
            if (p + 1 < s->end && p[1] == q) {
                flags |= KL_TOK_DOUBLED;
                p++;
                continue;
            }
            make(s, t, kind, from, p + 1);
            t->flags = flags;
            t->body_off = (uint8_t)(open + 1 - from);
            t->body_tail = 1;
            return;
        }
    }
    bad(s, t, from, s->end, KL_TOK_OPEN_QUOTE);
}

static void dollar(struct kl_scan *s, struct kl_tok *t) {
    const char *from = s->cur, *p = from + 1;
    if (p < s->end && class_of(p) == C_DIGIT) {
        while (p < s->end && class_of(p) == C_DIGIT) {
            p++;
        }
        make(s, t, p < s->end && is_word_part(p) ? KL_TOK_BAD : KL_TOK_PARAM, from, p);
        return;
    }
    while (p < s->end && (class_of(p) == C_WORD || class_of(p) == C_DIGIT)) {
        p++;
    }
    size_t tag = (size_t)(p - from) + 1;
    if (p == s->end || *p != '$' || tag > 200) {
        bad(s, t, from, from + 1, 0);
        return;
    }
    const char *body = p + 1, *q = body;
    while ((q = memchr(q, '$', (size_t)(s->end - q))) && (size_t)(s->end - q) >= tag) {
        if (memcmp(q, from, tag) == 0) {
            make(s, t, KL_TOK_STRING, from, q + tag);
            t->flags = KL_TOK_DOLLAR;
            t->body_off = t->body_tail = (uint8_t)tag;
            return;
        }
        q++;
    }
    bad(s, t, from, s->end, KL_TOK_OPEN_QUOTE);
}

static void number(struct kl_scan *s, struct kl_tok *t) {
    const char *from = s->cur, *p = from;
    enum kl_tok_kind kind = KL_TOK_INT;
    while (p < s->end && class_of(p) == C_DIGIT) {
        p++;
    }
    if (p < s->end && *p == '.' && !(p + 1 < s->end && p[1] == '.')) {
        kind = KL_TOK_NUMBER;
        for (p++; p < s->end && class_of(p) == C_DIGIT; p++) {
        }
    }
    if (p < s->end && (*p == 'e' || *p == 'E')) {
        const char *q = p + 1;
        if (q < s->end && (*q == '+' || *q == '-')) {
            q++;
        }
        if (q < s->end && class_of(q) == C_DIGIT) {
            kind = KL_TOK_NUMBER;
            for (p = q; p < s->end && class_of(p) == C_DIGIT; p++) {
            }
        }
    }
    if (p < s->end && is_word_part(p)) {
        while (p < s->end && is_word_part(p)) {
            p++;
        }
        kind = KL_TOK_BAD;
    }
    make(s, t, kind, from, p);
}

static void word(struct kl_scan *s, struct kl_tok *t) {
    const char *from = s->cur, *p = from + 1, *end = s->end;
    if (p < end && *p == '\'') {
        switch (*from) {
        case 'e':
        case 'E':
            quoted(s, t, KL_TOK_STRING, from, p, true);
            return;
        case 'x':
        case 'X':
            quoted(s, t, KL_TOK_BYTES, from, p, false);
            return;
        case 'b':
        case 'B':
        case 'n':
        case 'N':
            quoted(s, t, KL_TOK_OTHER, from, p, false);
            return;
        default:
            break;
        }
    }
    if ((*from == 'u' || *from == 'U') && end - p >= 2 && p[0] == '&' &&
        (p[1] == '\'' || p[1] == '"')) {
        quoted(s, t, KL_TOK_OTHER, from, p + 1, false);
        return;
    }
    while (p < end && is_word_part(p)) {
        p++;
    }
    make(s, t, KL_TOK_WORD, from, p);
}

static void operator_(struct kl_scan *s, struct kl_tok *t) {
    const char *from = s->cur, *p = from;
    bool keeps_sign = false;
    for (; p < s->end && class_of(p) == C_OP; p++) {
        if (p > from && p + 1 < s->end &&
            ((p[0] == '-' && p[1] == '-') || (p[0] == '/' && p[1] == '*'))) {
            break;
        }
        keeps_sign |= memchr("~!@#%^&|?", *p, 9) != NULL;
    }
    while (p - from > 1 && !keeps_sign && (p[-1] == '+' || p[-1] == '-')) {
        p--;
    }
    make(s, t, KL_TOK_OP, from, p);
}

static void punct(struct kl_scan *s, struct kl_tok *t) {
    char c = *s->cur;
    make(s, t, KL_TOK_PUNCT, s->cur, s->cur + 1);
    t->punct = c;
}

void kl_sql__scan(struct kl_scan *s, struct kl_tok *t) {
    if (!skip_blank(s)) {
        bad(s, t, s->cur, s->end, KL_TOK_OPEN_COMMENT);
        return;
    }
    if (s->cur == s->end) {
        make(s, t, KL_TOK_END, s->cur, s->cur);
        return;
    }
    const char *p = s->cur;
    bool more = p + 1 < s->end;
    switch (class_of(p)) {
    case C_WORD:
        word(s, t);
        return;
    case C_DIGIT:
        number(s, t);
        return;
    case C_QUOTE:
        quoted(s, t, KL_TOK_STRING, p, p, false);
        return;
    case C_IDENT:
        quoted(s, t, KL_TOK_IDENT, p, p, false);
        return;
    case C_DOLLAR:
        dollar(s, t);
        return;
    case C_OP:
        operator_(s, t);
        return;
    case C_PUNCT:
        punct(s, t);
        return;
    case C_DOT:
        if (more && class_of(p + 1) == C_DIGIT) {
            number(s, t);
        } else {
            punct(s, t);
        }
        return;
    case C_COLON:
        if (more && (p[1] == ':' || p[1] == '=')) {
            make(s, t, KL_TOK_OP, p, p + 2);
        } else {
            punct(s, t);
        }
        return;
    default:
        bad(s, t, p, p + 1, 0);
        return;
    }
}
