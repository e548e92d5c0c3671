/* ~ and its relatives: POSIX extended expressions of the C library.
 *
 * PostgreSQL's syntax is wider than POSIX. translate() rewrites what has an equal (\d, \y, (?: ),
 * lazy quantifiers, options at the start) and refuses the rest (look-around, back references) as
 * unsupported. The C library copies what a quantifier repeats, so nested ones multiply: how large
 * its automaton will be is worked out first, and limited. Compiled patterns are kept per thread, the
 * few used last.
 *
 * PostgreSQL matches the longest or the shortest text as a whole, by the first quantifier: POSIX
 * knows the longest only, so the shortest is looked for by its end. */
#include "sql/expr_regex.h"

#include <limits.h>
#include <pthread.h>
#include <regex.h>
#include <stdlib.h>

/* ---- ~ : from PostgreSQL's syntax to POSIX ---- */

#define MAX_PATTERN 4096
#define MAX_SIZE 4096 /* of the automaton, in characters */
#define MAX_DEPTH 256

struct translation {
    struct kl_slice in;
    size_t at;
    struct kl_buf *out;
    size_t size;             /* of the automaton so far */
    size_t atom;             /* of what a quantifier that comes now would repeat */
    size_t start[MAX_DEPTH]; /* the size before each open group */
    int open;
    struct kl_regex *re; /* what is known of it */
    unsigned groups;     /* of POSIX */
    bool fixed;          /* the last {} names one number */
    bool quantified;     /* the first quantifier was seen */
    bool alternatives;   /* at the top */
    struct kl_err *err;
};

static enum kl_rc unsupported(struct translation *t, const char *what) {
    return kl_fail(t->err, KL_E_UNSUPPORTED, "%s in a regular expression is not supported", what);
}

static enum kl_rc invalid(struct translation *t, const char *why) {
    return kl_fail(t->err, KL_E_EXEC, "invalid regular expression: %s", why);
}

/* Counts what was just written; a quantifier after it repeats it. */
static void add_atom(struct translation *t, size_t size) {
    t->atom = size;
    t->size += size;
}

/* The last atom becomes `times` of it. */
static enum kl_rc repeat(struct translation *t, size_t times) {
    t->size += t->atom * (times - 1);
    t->atom *= times;
    return t->size <= MAX_SIZE ? KL_OK : invalid(t, "regular expression is too complex");
}

static char peek(const struct translation *t, size_t ahead) {
    return t->at + ahead < t->in.len ? t->in.ptr[t->at + ahead] : '\0';
}

static const char *class_escape(char c, bool in_brackets) {
    switch (c) {
    case 'd':
        return in_brackets ? "[:digit:]" : "[[:digit:]]";
    case 's':
        return in_brackets ? "[:space:]" : "[[:space:]]";
    case 'w':
        return in_brackets ? "[:alnum:]_" : "[[:alnum:]_]";
    case 'D':
        return in_brackets ? NULL : "[^[:digit:]]";
    case 'S':
        return in_brackets ? NULL : "[^[:space:]]";
    case 'W':
        return in_brackets ? NULL : "[^[:alnum:]_]";
    case 'n':
        return "\n";
    case 't':
        return "\t";
    case 'r':
        return "\r";
    case 'f':
        return "\f";
    case 'v':
        return "\v";
    default:
        break;
    }
    if (in_brackets) {
        return NULL;
    }
    switch (c) {
    case 'y':
        return "\\b";
    case 'Y':
        return "\\B";
    case 'm':
        return "\\<";
    case 'M':
        return "\\>";
    case 'A':
        return "\\`";
    case 'Z':
        return "\\'";
    default:
        return NULL;
    }
}

static bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static enum kl_rc translate_escape(struct translation *t) {
    if (t->at + 1 >= t->in.len) {
        return invalid(t, "invalid escape \\ sequence");
    }
    char c = peek(t, 1);
    const char *as = class_escape(c, false);
    if (as) {
        kl_buf_puts(t->out, as);
    } else if (is_alnum(c)) {
        return unsupported(t, "this escape");
    } else {
        kl_buf_putc(t->out, '\\');
        kl_buf_putc(t->out, c);
    }
    add_atom(t, 1);
    t->at += 2;
    return KL_OK;
}

/* [...]: PostgreSQL reads backslash escapes in it, POSIX takes a backslash for itself. */
static enum kl_rc translate_brackets(struct translation *t) {
    size_t start = t->at++;
    kl_buf_putc(t->out, '[');
    if (peek(t, 0) == '^') {
        kl_buf_putc(t->out, '^');
        t->at++;
    }
    size_t first = t->at;
    for (; t->at < t->in.len; t->at++) {
        char c = peek(t, 0), after = peek(t, 1);
        if (c == ']' && t->at > first) {
            kl_buf_putc(t->out, ']');
            t->at++;
            add_atom(t, 1);
            return KL_OK;
        }
        if (c == '[' && (after == ':' || after == '.' || after == '=')) {
            size_t end = t->at + 2;
            while (end + 1 < t->in.len && !(t->in.ptr[end] == after && t->in.ptr[end + 1] == ']')) {
                end++;
            }
            if (end + 1 >= t->in.len) {
                break;
            }
            kl_buf_append(t->out, t->in.ptr + t->at, end + 2 - t->at);
            t->at = end + 1;
        } else if (c == '\\') {
            const char *as = after == '\\' ? "\\" : class_escape(after, true);
            if (!as && (is_alnum(after) || after == ']' || after == '-' || after == '^' ||
                           after == '[' || !after)) {
                return unsupported(t, "this escape between brackets");
            }
            kl_buf_puts(t->out, as ? as : (char[]){after, '\0'});
            t->at++;
        } else {
            kl_buf_putc(t->out, c);
        }
    }
    t->at = start;
    return invalid(t, "brackets [] not balanced");
}

static size_t read_count(const struct translation *t, size_t at, unsigned long *ret) {
    size_t start = at;
    *ret = 0;
    while (at < t->in.len && t->in.ptr[at] >= '0' && t->in.ptr[at] <= '9' && at - start < 6) {
        *ret = *ret * 10 + (unsigned long)(t->in.ptr[at++] - '0');
    }
    return at;
}

/* {m}, {m,}, {m,n}; a brace that starts none stands for itself. */
static enum kl_rc translate_braces(struct translation *t) {
    unsigned long low, high;
    size_t end = read_count(t, t->at + 1, &low);
    if (end == t->at + 1) {
        kl_buf_puts(t->out, "\\{");
        t->at++;
        add_atom(t, 1);
        return KL_OK;
    }
    high = low;
    bool exact = true;
    if (end < t->in.len && t->in.ptr[end] == ',') {
        exact = false;
        size_t digits = end + 1;
        end = read_count(t, digits, &high);
        high = end == digits ? low : high;
    }
    if (end >= t->in.len || t->in.ptr[end] != '}' || high > 255 || low > high) {
        return invalid(t, "invalid repetition count(s)");
    }
    KL_TRY(repeat(t, KL_MAX(high, 1ul) * (exact ? 1 : 2)));
    kl_buf_append(t->out, t->in.ptr + t->at, end + 1 - t->at);
    t->at = end + 1;
    t->fixed = low == high && t->in.ptr[end - 1] != ',';
    return KL_OK;
}

static enum kl_rc translate_group(struct translation *t) {
    if (t->open == MAX_DEPTH) {
        return invalid(t, "regular expression is too complex");
    }
    kl_buf_putc(t->out, '(');
    t->start[t->open++] = t->size;
    t->at++;
    t->groups++;
    if (peek(t, 0) != '?') {
        if (t->groups > UINT8_MAX || t->re->n_captures == KL_REGEX_MAX_CAPTURES) {
            return invalid(t, "too many parentheses");
        }
        t->re->group_of[t->re->n_captures++] = (uint8_t)t->groups;
        return KL_OK;
    }
    if (peek(t, 1) != ':') {
        return unsupported(t, "look-around or an embedded option");
    }
    t->at += 2;
    return KL_OK;
}

/* A ? after a quantifier makes it lazy, which changes what is matched but not whether. */
static void skip_lazy(struct translation *t, bool fixed) {
    bool lazy = peek(t, 0) == '?';
    t->at += lazy;
    if (!t->quantified && !fixed) {
        t->quantified = true;
        t->re->shortest = lazy;
    }
}

/* (?i) and the like, at the start only. */
static enum kl_rc translate_options(struct translation *t, unsigned *flags) {
    char c = peek(t, 2);
    if (peek(t, 0) != '(' || peek(t, 1) != '?' || !(c >= 'a' && c <= 'z')) {
        return KL_OK;
    }
    for (t->at += 2; peek(t, 0) != ')'; t->at++) {
        if (t->at >= t->in.len) {
            return invalid(t, "parentheses () not balanced");
        }
        if (!kl_regex_flag(peek(t, 0), flags)) {
            return unsupported(t, "this embedded option");
        }
    }
    t->at++;
    return KL_OK;
}

static enum kl_rc translate(struct translation *t, unsigned *flags) {
    if (t->in.len > MAX_PATTERN) {
        return invalid(t, "regular expression is too complex");
    }
    if (kl_slice_starts_with(t->in, KL_S("***"))) {
        return unsupported(t, "a director (***)");
    }
    KL_TRY(translate_options(t, flags));
    while (t->at < t->in.len) {
        char c = peek(t, 0);
        switch (c) {
        case '\\':
            KL_TRY(translate_escape(t));
            break;
        case '[':
            KL_TRY(translate_brackets(t));
            break;
        case '(':
            KL_TRY(translate_group(t));
            break;
        case '{':
            KL_TRY(translate_braces(t));
            skip_lazy(t, t->fixed);
            break;
        case ')':
            if (t->open-- == 0) {
                return invalid(t, "parentheses () not balanced");
            }
            kl_buf_putc(t->out, c);
            t->at++;
            t->size++; /* the group itself */
            t->atom = t->size - t->start[t->open];
            break;
        default:
            t->alternatives = t->alternatives || (c == '|' && t->open == 0);
            kl_buf_putc(t->out, c);
            t->at++;
            if (c != '*' && c != '+' && c != '?') {
                add_atom(t, 1);
            } else {
                KL_TRY(repeat(t, 2)); /* + is x x*; what may be left out costs as much */
                skip_lazy(t, false);
                if (peek(t, 0) == '*' || peek(t, 0) == '+' || peek(t, 0) == '?') {
                    return invalid(t, "quantifier operand invalid");
                }
            }
        }
    }
    t->re->shortest = t->re->shortest && !t->alternatives;
    return KL_OK;
}

/* ---- ~ : compiled patterns of this thread ---- */

#define KEPT_PATTERNS 16

struct kept_pattern {
    char *text;
    size_t len;
    uint64_t used;
    unsigned flags;
    struct kl_regex re;
};
struct kept_patterns {
    struct kept_pattern slots[KEPT_PATTERNS];
    uint64_t clock;
};

static pthread_key_t kept_key;

static void drop_pattern(struct kept_pattern *k) {
    if (k->text) {
        regfree(&k->re.posix);
        free(k->text);
        k->text = NULL;
    }
}

static void drop_patterns(void *p) {
    struct kept_patterns *all = p;
    for (size_t i = 0; i < KEPT_PATTERNS; i++) {
        drop_pattern(&all->slots[i]);
    }
    free(all);
}

static void make_key(void) {
    KL_ASSERT(pthread_key_create(&kept_key, drop_patterns) == 0);
}

static struct kept_patterns *kept_of_thread(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_key);
    struct kept_patterns *all = pthread_getspecific(kept_key);
    if (!all) {
        all = kl_xcalloc(1, sizeof(*all));
        KL_ASSERT(pthread_setspecific(kept_key, all) == 0);
    }
    return all;
}

bool kl_regex_flag(char c, unsigned *flags) {
    switch (c) {
    case 'i':
        *flags |= KL_REGEX_FOLD;
        return true;
    case 'c':
        *flags &= ~(unsigned)KL_REGEX_FOLD;
        return true;
    case 'n':
    case 'm':
        *flags |= KL_REGEX_LINES;
        return true;
    case 's':
        *flags &= ~(unsigned)KL_REGEX_LINES;
        return true;
    default:
        return false;
    }
}

static enum kl_rc compile(
    struct kl_slice pattern, unsigned flags, struct kl_regex *re, struct kl_err *err) {
    struct kl_buf posix;
    kl_buf_init(&posix, 16 * MAX_PATTERN + 64);
    *re = (struct kl_regex){0};
    struct translation t = {.in = pattern, .out = &posix, .re = re, .err = err};
    enum kl_rc rc = translate(&t, &flags);
    if (rc == KL_OK && t.open > 0) {
        rc = invalid(&t, "parentheses () not balanced");
    }
    kl_buf_putc(&posix, '\0');
    if (rc == KL_OK && posix.failed) {
        rc = invalid(&t, "regular expression is too complex");
    }
    if (rc == KL_OK) {
        int code = regcomp(&re->posix, posix.data,
            REG_EXTENDED | (flags & KL_REGEX_FOLD ? REG_ICASE : 0) |
                (flags & KL_REGEX_LINES ? REG_NEWLINE : 0));
        if (code != 0) {
            char why[128];
            regerror(code, &re->posix, why, sizeof(why));
            rc = invalid(&t, why);
        }
    }
    kl_buf_deinit(&posix);
    return rc;
}

enum kl_rc kl_regex_get(struct kl_slice pattern, unsigned flags, const struct kl_regex **ret,
    struct kl_err *err) {
    struct kept_patterns *all = kept_of_thread();
    struct kept_pattern *victim = &all->slots[0];
    for (size_t i = 0; i < KEPT_PATTERNS; i++) {
        struct kept_pattern *k = &all->slots[i];
        if (k->text && k->flags == flags && kl_slice_eq(kl_slice(k->text, k->len), pattern)) {
            k->used = ++all->clock;
            *ret = &k->re;
            return KL_OK;
        }
        if (!k->text ? victim->text != NULL : victim->text && k->used < victim->used) {
            victim = k;
        }
    }
    locale_t utf8 = kl_expr__utf8_locale();
    if (!utf8) {
        return kl_fail(
            err, KL_E_UNSUPPORTED, "regular expressions need the locale C.UTF-8 on the server");
    }
    struct kl_regex re;
    locale_t before = uselocale(utf8);
    enum kl_rc rc = compile(pattern, flags, &re, err);
    uselocale(before);
    if (rc != KL_OK) {
        return rc;
    }
    drop_pattern(victim);
    victim->text = kl_xmalloc(pattern.len + 1);
    if (pattern.len) {
        memcpy(victim->text, pattern.ptr, pattern.len);
    }
    victim->len = pattern.len;
    victim->flags = flags;
    victim->re = re;
    victim->used = ++all->clock;
    *ret = &victim->re;
    return KL_OK;
}

/* ---- searching ---- */

#define REGEX_GROUPS 256

/* Not regexec(): this one takes a length, and text here ends in no NUL. The pattern is this thread's
 * own. */
static int exec(const struct kl_regex *re, struct kl_slice text, size_t from, size_t end,
    regmatch_t *m, size_t n) {
    regex_t *posix = (regex_t *)&re->posix;
    regoff_t starts[REGEX_GROUPS], ends[REGEX_GROUPS];
    n = KL_MIN(n, (size_t)REGEX_GROUPS);
    struct re_registers regs = {.num_regs = (unsigned)n, .start = starts, .end = ends};
    posix->regs_allocated = REGS_FIXED;
    posix->not_eol = end < text.len;
    regoff_t found = re_search(posix, text.ptr ? text.ptr : "", (regoff_t)end, (regoff_t)from,
        (regoff_t)(end - from), n ? &regs : NULL);
    for (size_t i = 0; i < n && found >= 0; i++) {
        m[i] = (regmatch_t){.rm_so = starts[i], .rm_eo = ends[i]};
    }
    return found >= 0 ? 0 : found == -1 ? REG_NOMATCH : REG_ESPACE;
}

#define MAX_SHORTEST ((size_t)64 << 10)

/* m[0] is the longest match: the shortest that starts there. */
static int shorten(
    const struct kl_regex *re, struct kl_slice text, regmatch_t *m, size_t n) {
    regoff_t start = m[0].rm_so, longest = m[0].rm_eo;
    for (regoff_t end = start; end < longest; end++) {
        bool boundary = ((unsigned char)text.ptr[end] & 0xC0) != 0x80;
        int code = boundary ? exec(re, text, (size_t)start, (size_t)end, m, n) : REG_NOMATCH;
        if (code == 0 && m[0].rm_so == start && m[0].rm_eo == end) {
            return 0;
        }
        if (code != 0 && code != REG_NOMATCH) {
            return code;
        }
    }
    return exec(re, text, (size_t)start, (size_t)longest, m, n);
}

enum kl_rc kl_regex_search(const struct kl_regex *re, struct kl_slice text, size_t from,
    regmatch_t *m, size_t n, bool *ret, struct kl_err *err) {
    if (text.len > INT_MAX) {
        return kl_fail(err, KL_E_TOO_LARGE, "the text is too long for a regular expression");
    }
    locale_t before = uselocale(kl_expr__utf8_locale());
    int code = exec(re, text, from, text.len, m, n);
    enum kl_rc rc = KL_OK;
    if (code == 0 && n > 0 && re->shortest) {
        if ((size_t)(m[0].rm_eo - m[0].rm_so) > MAX_SHORTEST) {
            rc = kl_fail(err, KL_E_TOO_LARGE,
                "the text is too long for a regular expression with a lazy quantifier");
        } else {
            code = shorten(re, text, m, n);
        }
    }
    uselocale(before);
    *ret = code == 0;
    return rc == KL_OK && code != 0 && code != REG_NOMATCH
               ? kl_fail(err, KL_E_TOO_LARGE, "regular expression failed: out of memory")
               : rc;
}

enum kl_rc kl_regex_match(struct kl_slice text, struct kl_slice pattern, unsigned flags, bool *ret,
    struct kl_err *err) {
    const struct kl_regex *re;
    KL_TRY(kl_regex_get(pattern, flags, &re, err));
    if (text.len > INT_MAX) {
        return kl_fail(err, KL_E_TOO_LARGE, "the text is too long for a regular expression");
    }
    locale_t before = uselocale(kl_expr__utf8_locale());
    int code = exec(re, text, 0, text.len, NULL, 0);
    uselocale(before);
    *ret = code == 0;
    return code == 0 || code == REG_NOMATCH
               ? KL_OK
               : kl_fail(err, KL_E_TOO_LARGE, "regular expression failed: out of memory");
}

enum kl_rc kl_regex_check(const struct kl_expr *pattern, unsigned flags, struct kl_err *err) {
    const struct kl_regex *ignored;
    if (!kl_expr__is_const(pattern) || pattern->value.null) {
        return KL_OK;
    }
    enum kl_rc rc = kl_regex_get(kl_val_slice(&pattern->value), flags, &ignored, err);
    return rc == KL_E_UNSUPPORTED ? rc : KL_OK; /* any other error is that of the row */
}

static enum kl_rc eval_regex(
    const struct kl_expr *e, struct kl_eval *ev, struct kl_val *ret, struct kl_err *err) {
    struct kl_val text, pattern;
    KL_TRY(e->args[0]->eval(e->args[0], ev, &text, err));
    KL_TRY(e->args[1]->eval(e->args[1], ev, &pattern, err));
    if (text.null || pattern.null) {
        *ret = kl_val_null(KL_T_BOOLEAN);
        return KL_OK;
    }
    bool match;
    KL_TRY(kl_regex_match(kl_val_slice(&text), kl_val_slice(&pattern),
        e->fold ? KL_REGEX_FOLD : 0, &match, err));
    *ret = kl_val_bool(match != e->negate);
    return KL_OK;
}

enum kl_rc kl_expr__regex(struct kl_expr_builder *b, bool negate, bool fold, struct kl_expr *l,
    struct kl_expr *r, int position, struct kl_expr **ret, struct kl_err *err) {
    unsigned op = fold     ? negate ? KL_OP_NOT_IREGEX : KL_OP_IREGEX
                  : negate ? KL_OP_NOT_REGEX
                           : KL_OP_REGEX;
    struct kl_expr *args[2] = {l, r}, *e;
    KL_TRY(kl_expr__want_text(b, op, args, position, err));
    /* Found out now, so that another executor can take the statement. */
    KL_TRY(kl_regex_check(args[1], fold ? KL_REGEX_FOLD : 0, err));
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_REGEX, KL_TYPE(BOOLEAN), args, 2, &e, err));
    e->negate = negate;
    e->fold = fold;
    e->op = (uint8_t)op;
    e->eval = eval_regex;
    *ret = kl_expr__finish(b, e);
    return KL_OK;
}
