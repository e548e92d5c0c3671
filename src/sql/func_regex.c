/* regexp_*(), substring(text FROM pattern) and SIMILAR TO. Positions count characters. */
#include "sql/expr_regex.h"
#include "sql/func_internal.h"

#define ARGS                                                                                       \
    const struct kl_expr *e, struct kl_eval *ev, const struct kl_val *args, struct kl_val *ret,    \
        struct kl_err *err
#define GROUPS 256 /* the most that a pattern has, and the whole match */

/* ---- options ---- */

static enum kl_rc read_flags(
    const struct kl_val *v, unsigned *ret, bool *ret_global, struct kl_err *err) {
    *ret = 0;
    *ret_global = false;
    for (uint32_t i = 0; v && i < v->len; i++) {
        if (v->s[i] == 'g') {
            *ret_global = true;
        } else if (!kl_regex_flag(v->s[i], ret)) {
            return kl_fail(
                err, KL_E_EXEC, "invalid regular expression option: \"%.*s\"", (int)v->len, v->s);
        }
    }
    return KL_OK;
}

static const struct kl_val *arg(const struct kl_expr *e, const struct kl_val *args, uint32_t i) {
    return i < e->n_args ? &args[i] : NULL;
}

static enum kl_rc positive(
    const struct kl_val *v, int64_t least, const char *what, int64_t *ret, struct kl_err *err) {
    *ret = v ? v->i : 1;
    return *ret >= least ? KL_OK
                         : kl_fail(err, KL_E_EXEC, "invalid value for parameter \"%s\": %lld", what,
                               (long long)*ret);
}

static enum kl_rc no_global(bool global, const char *func, struct kl_err *err) {
    return global ? kl_fail(err, KL_E_EXEC, "%s() does not support the \"global\" option", func)
                  : KL_OK;
}

/* ---- one match after another ---- */

struct search {
    const struct kl_regex *re;
    struct kl_slice text;
    size_t at;
    bool done;
    regmatch_t m[GROUPS];
};

static enum kl_rc begin(struct search *s, const struct kl_val *text, const struct kl_val *pattern,
    unsigned flags, int64_t start, struct kl_err *err) {
    s->text = kl_val_slice(text);
    s->at = 0;
    s->done = false;
    for (; start > 1 && s->at < s->text.len; start--) {
        s->at += kl_utf8_char(kl_slice_from(s->text, s->at), NULL);
    }
    s->done = start > 2 || (start == 2 && s->at > s->text.len); /* behind the end */
    return kl_regex_get(kl_val_slice(pattern), flags, &s->re, err);
}

/* An empty match moves on by a character. */
static enum kl_rc next(struct search *s, bool *ret, struct kl_err *err) {
    *ret = false;
    if (s->done) {
        return KL_OK;
    }
    size_t groups = KL_MIN((size_t)s->re->posix.re_nsub + 1, (size_t)GROUPS);
    KL_TRY(kl_regex_search(s->re, s->text, s->at, s->m, groups, ret, err));
    if (!*ret) {
        s->done = true;
        return KL_OK;
    }
    s->at = (size_t)s->m[0].rm_eo;
    if (s->m[0].rm_eo == s->m[0].rm_so) {
        if (s->at >= s->text.len) {
            s->done = true;
        } else {
            s->at += kl_utf8_char(kl_slice_from(s->text, s->at), NULL);
        }
    }
    return KL_OK;
}

/* Capture 0 is the whole match; ptr NULL: it took no part. */
static struct kl_slice capture(const struct search *s, unsigned i) {
    if (i > s->re->n_captures) {
        return KL_SLICE_NONE;
    }
    const regmatch_t *m = &s->m[i ? s->re->group_of[i - 1] : 0];
    return m->rm_so < 0 ? KL_SLICE_NONE
                        : kl_slice((s->text.ptr ? s->text.ptr : "") + m->rm_so,
                              (size_t)(m->rm_eo - m->rm_so));
}

static void give(struct kl_val *ret, struct kl_slice s) {
    if (s.ptr) {
        *ret = kl_val_text(s);
    }
}

/* ---- functions ---- */

enum kl_rc kl_func__regexp_like(ARGS) {
    unsigned flags;
    bool global, match;
    KL_TRY(read_flags(arg(e, args, 2), &flags, &global, err));
    KL_TRY(no_global(global, "regexp_like", err));
    KL_TRY(kl_regex_match(kl_val_slice(&args[0]), kl_val_slice(&args[1]), flags, &match, err));
    *ret = kl_val_bool(match);
    return KL_OK;
}

/* substring(text FROM pattern): the first parenthesised part, else all of the match. */
enum kl_rc kl_func__regexp_substring(ARGS) {
    struct search s;
    bool found;
    KL_TRY(begin(&s, &args[0], &args[1], 0, 1, err));
    KL_TRY(next(&s, &found, err));
    if (found) {
        give(ret, capture(&s, s.re->n_captures ? 1 : 0));
    }
    return KL_OK;
}

/* (text, pattern[, start[, n[, flags[, capture]]]]) */
enum kl_rc kl_func__regexp_substr(ARGS) {
    struct search s;
    int64_t start, nth, part = e->n_args > 5 ? args[5].i : 0;
    unsigned flags;
    bool global, found;
    KL_TRY(positive(arg(e, args, 2), 1, "start", &start, err));
    KL_TRY(positive(arg(e, args, 3), 1, "n", &nth, err));
    KL_TRY(read_flags(arg(e, args, 4), &flags, &global, err));
    KL_TRY(no_global(global, "regexp_substr", err));
    if (part < 0) {
        return positive(&args[5], 0, "subexpr", &part, err);
    }
    KL_TRY(begin(&s, &args[0], &args[1], flags, start, err));
    do {
        KL_TRY(next(&s, &found, err));
    } while (found && --nth > 0);
    if (found && part <= (int64_t)s.re->n_captures) {
        give(ret, capture(&s, (unsigned)part));
    }
    return KL_OK;
}

/* (text, pattern[, start[, flags]]) */
enum kl_rc kl_func__regexp_count(ARGS) {
    struct search s;
    int64_t start, n = 0;
    unsigned flags;
    bool global, found;
    KL_TRY(positive(arg(e, args, 2), 1, "start", &start, err));
    KL_TRY(read_flags(arg(e, args, 3), &flags, &global, err));
    KL_TRY(no_global(global, "regexp_count", err));
    KL_TRY(begin(&s, &args[0], &args[1], flags, start, err));
    for (;; n++) {
        KL_TRY(next(&s, &found, err));
        if (!found) {
            break;
        }
    }
    *ret = kl_val_int(KL_T_INT, n);
    return KL_OK;
}

/* (text, pattern[, start[, n[, end[, flags[, capture]]]]]) */
enum kl_rc kl_func__regexp_instr(ARGS) {
    struct search s;
    int64_t start, nth, at_end = e->n_args > 4 ? args[4].i : 0,
                        part = e->n_args > 6 ? args[6].i : 0;
    unsigned flags;
    bool global, found;
    KL_TRY(positive(arg(e, args, 2), 1, "start", &start, err));
    KL_TRY(positive(arg(e, args, 3), 1, "n", &nth, err));
    KL_TRY(read_flags(arg(e, args, 5), &flags, &global, err));
    KL_TRY(no_global(global, "regexp_instr", err));
    if (at_end < 0 || at_end > 1) {
        return kl_fail(
            err, KL_E_EXEC, "invalid value for parameter \"endoption\": %lld", (long long)at_end);
    }
    if (part < 0) {
        return positive(&args[6], 0, "subexpr", &part, err);
    }
    KL_TRY(begin(&s, &args[0], &args[1], flags, start, err));
    do {
        KL_TRY(next(&s, &found, err));
    } while (found && --nth > 0);
    struct kl_slice hit =
        found && part <= (int64_t)s.re->n_captures ? capture(&s, (unsigned)part) : KL_SLICE_NONE;
    *ret = kl_val_int(KL_T_INT, 0);
    if (hit.ptr) {
        size_t at = (size_t)(hit.ptr - s.text.ptr) + (at_end ? hit.len : 0);
        ret->i = (int64_t)kl_utf8_len(kl_slice(s.text.ptr, at)) + 1;
    }
    return KL_OK;
}

/* \1 .. \9 and \& are parts of the match. */
static void put_replacement(const struct search *s, struct kl_slice with, struct kl_buf *out) {
    for (size_t i = 0; i < with.len; i++) {
        char c = with.ptr[i], after = i + 1 < with.len ? with.ptr[i + 1] : '\0';
        if (c != '\\' || !after) {
            kl_buf_putc(out, c);
        } else if (after == '&' || (after >= '1' && after <= '9')) {
            kl_buf_slice(out, capture(s, after == '&' ? 0 : (unsigned)(after - '0')));
            i++;
        } else {
            kl_buf_putc(out, after == '\\' ? '\\' : c);
            i += after == '\\';
        }
    }
}

/* Replaces match `nth`, or every one from it on (0: all). */
static enum kl_rc replace(struct search *s, struct kl_slice with, int64_t nth, bool all,
    struct kl_buf *out, struct kl_err *err) {
    size_t copied = 0;
    for (int64_t i = 1;; i++) {
        bool found;
        KL_TRY(next(s, &found, err));
        if (!found) {
            break;
        }
        if (!all && i != nth) {
            continue;
        }
        kl_buf_append(out, s->text.ptr + copied, (size_t)s->m[0].rm_so - copied);
        put_replacement(s, with, out);
        copied = (size_t)s->m[0].rm_eo;
        if (!all) {
            break;
        }
    }
    kl_buf_slice(out, kl_slice_from(s->text, copied));
    return KL_OK;
}

static enum kl_rc replaced(struct kl_eval *ev, struct search *s, const struct kl_val *with,
    int64_t nth, bool all, struct kl_val *ret, struct kl_err *err) {
    struct kl_buf out;
    kl_buf_init(&out, 0);
    enum kl_rc rc = replace(s, kl_val_slice(with), nth, all, &out, err);
    if (rc != KL_OK) {
        kl_buf_deinit(&out);
        return rc;
    }
    return kl_func__take(ev, &out, KL_T_TEXT, ret, err);
}

/* (text, pattern, replacement[, flags]) */
enum kl_rc kl_func__regexp_replace(ARGS) {
    struct search s;
    unsigned flags;
    bool global;
    KL_TRY(read_flags(arg(e, args, 3), &flags, &global, err));
    KL_TRY(begin(&s, &args[0], &args[1], flags, 1, err));
    return replaced(ev, &s, &args[2], 1, global, ret, err);
}

/* (text, pattern, replacement, start[, n[, flags]]) */
enum kl_rc kl_func__regexp_replace_from(ARGS) {
    struct search s;
    int64_t start, nth;
    unsigned flags;
    bool global;
    KL_TRY(positive(&args[3], 1, "start", &start, err));
    KL_TRY(positive(arg(e, args, 4), 0, "n", &nth, err));
    KL_TRY(read_flags(arg(e, args, 5), &flags, &global, err));
    KL_TRY(begin(&s, &args[0], &args[1], flags, start, err));
    return replaced(ev, &s, &args[2], nth, nth == 0 || (e->n_args < 5 && global), ret, err);
}

/* ---- as JSON, for what is an array in PostgreSQL ---- */

static void put_captures(const struct search *s, struct kl_buf *out) {
    unsigned first = s->re->n_captures ? 1 : 0;
    for (unsigned i = first; i <= s->re->n_captures; i++) {
        struct kl_slice c = capture(s, i);
        kl_buf_puts(out, i > first ? "," : "[");
        c.ptr ? kl_json_str(out, c) : kl_buf_puts(out, "null");
    }
    kl_buf_putc(out, ']');
}

enum kl_rc kl_func__regexp_match(ARGS) {
    struct search s;
    struct kl_buf out;
    unsigned flags;
    bool global, found;
    KL_TRY(read_flags(arg(e, args, 2), &flags, &global, err));
    KL_TRY(no_global(global, "regexp_match", err));
    KL_TRY(begin(&s, &args[0], &args[1], flags, 1, err));
    KL_TRY(next(&s, &found, err));
    if (!found) {
        return KL_OK;
    }
    kl_buf_init(&out, 0);
    put_captures(&s, &out);
    return kl_func__take(ev, &out, KL_T_TEXT, ret, err);
}

static enum kl_rc put_all(struct search *s, bool all, struct kl_buf *out, struct kl_err *err) {
    bool found = true;
    kl_buf_putc(out, '[');
    for (size_t n = 0; found && (all || n == 0); n++) {
        KL_TRY(next(s, &found, err));
        if (found) {
            kl_buf_puts(out, n ? "," : "");
            put_captures(s, out);
        }
    }
    kl_buf_putc(out, ']');
    return KL_OK;
}

/* What lies between the matches; an empty match at an end of the text splits nothing. */
static enum kl_rc put_split(struct search *s, struct kl_buf *out, struct kl_err *err) {
    size_t from = 0;
    kl_buf_putc(out, '[');
    for (;;) {
        bool found;
        KL_TRY(next(s, &found, err));
        if (!found) {
            break;
        }
        size_t start = (size_t)s->m[0].rm_so, end = (size_t)s->m[0].rm_eo;
        if (end == start && (start == from || start == s->text.len)) {
            continue;
        }
        kl_json_str(out, kl_slice(s->text.ptr + from, start - from));
        kl_buf_putc(out, ',');
        from = end;
    }
    kl_json_str(out, kl_slice_from(s->text, from));
    kl_buf_putc(out, ']');
    return KL_OK;
}

static enum kl_rc listed(const struct kl_expr *e, struct kl_eval *ev, const struct kl_val *args,
    bool split, struct kl_val *ret, struct kl_err *err) {
    struct search s;
    struct kl_buf out;
    unsigned flags;
    bool global;
    KL_TRY(read_flags(arg(e, args, 2), &flags, &global, err));
    KL_TRY(begin(&s, &args[0], &args[1], flags, 1, err));
    kl_buf_init(&out, 0);
    enum kl_rc rc = split ? put_split(&s, &out, err) : put_all(&s, global, &out, err);
    if (rc != KL_OK) {
        kl_buf_deinit(&out);
        return rc;
    }
    return kl_func__take(ev, &out, KL_T_TEXT, ret, err);
}

enum kl_rc kl_func__regexp_matches(ARGS) {
    return listed(e, ev, args, false, ret, err);
}

enum kl_rc kl_func__regexp_split(ARGS) {
    return listed(e, ev, args, true, ret, err);
}

/* ---- SIMILAR TO ---- */

/* PostgreSQL's pattern as a regular expression of the whole text. */
static void similar_pattern(struct kl_slice p, struct kl_slice escape, struct kl_buf *out) {
    bool in_set = false;
    kl_buf_puts(out, "^(?:");
    for (size_t i = 0; i < p.len; i++) {
        char c = p.ptr[i];
        if (escape.len && kl_slice_starts_with(kl_slice_from(p, i), escape)) {
            i += escape.len;
            if (i < p.len) {
                char low = (char)(p.ptr[i] | 32);
                bool word = (p.ptr[i] >= '0' && p.ptr[i] <= '9') || (low >= 'a' && low <= 'z');
                kl_buf_puts(out, word || (unsigned char)p.ptr[i] >= 0x80 ? "" : "\\");
                kl_buf_putc(out, p.ptr[i]);
            }
        } else if (in_set) {
            in_set = c != ']';
            kl_buf_puts(out, c == '\\' ? "\\" : "");
            kl_buf_putc(out, c);
        } else if (c == '%') {
            kl_buf_puts(out, ".*");
        } else if (c == '_') {
            kl_buf_putc(out, '.');
        } else if (c == '(') {
            kl_buf_puts(out, "(?:");
        } else {
            in_set = c == '[';
            kl_buf_puts(out, strchr(".^$\\", c) && c ? "\\" : "");
            kl_buf_putc(out, c);
        }
    }
    kl_buf_puts(out, ")$");
}

/* (text, pattern[, escape]) */
enum kl_rc kl_func__similar_to(ARGS) {
    struct kl_slice escape = e->n_args > 2 ? kl_val_slice(&args[2]) : KL_S("\\");
    struct kl_buf pattern;
    bool match;
    if (escape.len && kl_utf8_char(escape, NULL) != escape.len) {
        enum kl_rc rc = kl_fail(err, KL_E_EXEC, "invalid escape string");
        kl_err_hint(err, "Escape string must be empty or one character.");
        return rc;
    }
    kl_buf_init(&pattern, 0);
    similar_pattern(kl_val_slice(&args[1]), escape, &pattern);
    enum kl_rc rc = pattern.failed ? kl_expr__no_memory(err)
                                   : kl_regex_match(kl_val_slice(&args[0]), kl_buf_view(&pattern),
                                         0, &match, err);
    kl_buf_deinit(&pattern);
    if (rc == KL_OK) {
        *ret = kl_val_bool(match);
    }
    return rc;
}
