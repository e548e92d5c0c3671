/* ~ and its relatives: POSIX extended expressions of the C library.
 *
 * PostgreSQL's syntax is wider than POSIX. translate() rewrites what has an equal (\d, \y, (?: ),
 * lazy quantifiers, of which only the length of the match would tell) and refuses the rest
 * (look-around, back references, embedded options) as unsupported. Repetition counts multiply in
 * the C library's automaton, so their product is limited. Compiled patterns are kept per thread,
 * the few used last. */
#include "sql/expr_internal.h"

#include <limits.h>
#include <pthread.h>
#include <regex.h>
#include <stdlib.h>

/* ---- ~ : from PostgreSQL's syntax to POSIX ---- */

#define MAX_PATTERN 4096
#define MAX_REPEAT 1000

struct translation {
    struct kl_slice in;
    size_t at;
    struct kl_buf *out;
    unsigned long repeat; /* product of the counts so far */
    int open;
    struct kl_err *err;
};

static enum kl_rc unsupported(struct translation *t, const char *what) {
    return kl_fail(t->err, KL_E_UNSUPPORTED, "%s in a regular expression is not supported", what);
}

static enum kl_rc invalid(struct translation *t, const char *why) {
    return kl_fail(t->err, KL_E_EXEC, "invalid regular expression: %s", why);
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
        return KL_OK;
    }
    high = low;
    if (end < t->in.len && t->in.ptr[end] == ',') {
        size_t digits = end + 1;
        end = read_count(t, digits, &high);
        high = end == digits ? low : high;
    }
    if (end >= t->in.len || t->in.ptr[end] != '}' || high > 255 || low > high) {
        return invalid(t, "invalid repetition count(s)");
    }
    t->repeat *= KL_MAX(high, 1ul);
    if (t->repeat > MAX_REPEAT) {
        return invalid(t, "regular expression is too complex");
    }
    kl_buf_append(t->out, t->in.ptr + t->at, end + 1 - t->at);
    t->at = end + 1;
    return KL_OK;
}

static enum kl_rc translate_group(struct translation *t) {
    kl_buf_putc(t->out, '(');
    t->open++;
    t->at++;
    if (peek(t, 0) != '?') {
        return KL_OK;
    }
    if (peek(t, 1) != ':') {
        return unsupported(t, "look-around or an embedded option");
    }
    t->at += 2;
    return KL_OK;
}

/* A ? after a quantifier only makes it lazy, which changes what is matched but not whether. */
static void skip_lazy(struct translation *t) {
    if (peek(t, 0) == '?') {
        t->at++;
    }
}

static enum kl_rc translate(struct translation *t) {
    if (t->in.len > MAX_PATTERN) {
        return invalid(t, "regular expression is too complex");
    }
    if (kl_slice_starts_with(t->in, KL_S("***"))) {
        return unsupported(t, "a director (***)");
    }
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
            skip_lazy(t);
            break;
        case ')':
            if (t->open-- == 0) {
                return invalid(t, "parentheses () not balanced");
            }
            kl_buf_putc(t->out, c);
            t->at++;
            break;
        default:
            kl_buf_putc(t->out, c);
            t->at++;
            if (c == '*' || c == '+' || c == '?') {
                skip_lazy(t);
                if (peek(t, 0) == '*' || peek(t, 0) == '+' || peek(t, 0) == '?') {
                    return invalid(t, "quantifier operand invalid");
                }
            }
        }
    }
    return KL_OK;
}

/* ---- ~ : compiled patterns of this thread ---- */

#define KEPT_PATTERNS 16

struct kept_pattern {
    char *text;
    size_t len;
    uint64_t used;
    bool fold;
    regex_t re;
};
struct kept_patterns {
    struct kept_pattern slots[KEPT_PATTERNS];
    uint64_t clock;
};

static pthread_key_t kept_key;

static void drop_pattern(struct kept_pattern *k) {
    if (k->text) {
        regfree(&k->re);
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

static enum kl_rc compile(struct kl_slice pattern, bool fold, regex_t *re, struct kl_err *err) {
    struct kl_buf posix;
    kl_buf_init(&posix, 16 * MAX_PATTERN + 64);
    struct translation t = {.in = pattern, .out = &posix, .repeat = 1, .err = err};
    enum kl_rc rc = translate(&t);
    if (rc == KL_OK && t.open > 0) {
        rc = invalid(&t, "parentheses () not balanced");
    }
    kl_buf_putc(&posix, '\0');
    if (rc == KL_OK && posix.failed) {
        rc = invalid(&t, "regular expression is too complex");
    }
    if (rc == KL_OK) {
        int code = regcomp(re, posix.data, REG_EXTENDED | REG_NOSUB | (fold ? REG_ICASE : 0));
        if (code != 0) {
            char why[128];
            regerror(code, re, why, sizeof(why));
            rc = invalid(&t, why);
        }
    }
    kl_buf_deinit(&posix);
    return rc;
}

/* Borrowed until the next call on this thread. */
static enum kl_rc compiled(struct kl_slice pattern, bool fold, regex_t **ret, struct kl_err *err) {
    struct kept_patterns *all = kept_of_thread();
    struct kept_pattern *victim = &all->slots[0];
    for (size_t i = 0; i < KEPT_PATTERNS; i++) {
        struct kept_pattern *k = &all->slots[i];
        if (k->text && k->fold == fold && kl_slice_eq(kl_slice(k->text, k->len), pattern)) {
            k->used = ++all->clock;
            *ret = &k->re;
            return KL_OK;
        }
        if (!k->text ? victim->text != NULL : victim->text && k->used < victim->used) {
            victim = k;
        }
    }
    regex_t re;
    KL_TRY(compile(pattern, fold, &re, err));
    drop_pattern(victim);
    victim->text = kl_xmalloc(pattern.len + 1);
    memcpy(victim->text, pattern.ptr, pattern.len);
    victim->len = pattern.len;
    victim->fold = fold;
    victim->re = re;
    victim->used = ++all->clock;
    *ret = &victim->re;
    return KL_OK;
}

static enum kl_rc regex_match(
    struct kl_slice text, struct kl_slice pattern, bool fold, bool *ret, struct kl_err *err) {
    locale_t utf8 = kl_expr__utf8_locale();
    if (!utf8) {
        return kl_fail(
            err, KL_E_UNSUPPORTED, "regular expressions need the locale C.UTF-8 on the server");
    }
    if (text.len > INT_MAX) {
        return kl_fail(err, KL_E_TOO_LARGE, "the text is too long for a regular expression");
    }
    locale_t before = uselocale(utf8);
    regex_t *re;
    enum kl_rc rc = compiled(pattern, fold, &re, err);
    if (rc == KL_OK) {
        /* Not regexec(): this one takes a length, and text here ends in no NUL. */
        regoff_t len = (regoff_t)text.len;
        regoff_t found = re_search(re, text.len ? text.ptr : "", len, 0, len, NULL);
        *ret = found >= 0;
        if (found < -1) {
            rc = kl_fail(err, KL_E_TOO_LARGE, "regular expression failed: out of memory");
        }
    }
    uselocale(before);
    return rc;
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
    KL_TRY(regex_match(kl_val_slice(&text), kl_val_slice(&pattern), e->fold, &match, err));
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
    if (kl_expr__is_const(args[1]) && !args[1]->value.null) {
        bool ignored;
        enum kl_rc rc = regex_match(KL_S(""), kl_val_slice(&args[1]->value), fold, &ignored, err);
        if (rc ==
            KL_E_UNSUPPORTED) { /* found out now, so that another executor can take the statement */
            return rc;
        }
    }
    KL_TRY(kl_expr__node(b, KL_EXPR_KIND_REGEX, KL_TYPE(BOOLEAN), args, 2, &e, err));
    e->negate = negate;
    e->fold = fold;
    e->op = (uint8_t)op;
    e->eval = eval_regex;
    *ret = kl_expr__finish(b, e);
    return KL_OK;
}
