/* Finds where statements end, by PostgreSQL's lexical rules: quotes, E-strings, dollar quotes,
 * nested comments, and no end inside parentheses. It understands no more than that; what a
 * statement means is the server's business. Pure.
 *
 * Each call scans from the start of its part. An interactive caller that gets OPEN calls again
 * with more text. */
#include "cli/internal.h"

#include <ctype.h>

/* A cursor over the text; `open` is what the text ended inside of, 0 none. */
struct scan {
    const char *p, *end;
    char open;
};

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (c & 0x80);
}

static void skip_line(struct scan *s) {
    while (s->p < s->end && *s->p != '\n') {
        s->p++;
    }
}

static void skip_comment(struct scan *s) {
    int depth = 0;
    while (s->p < s->end) {
        bool pair = s->end - s->p >= 2;
        if (pair && s->p[0] == '/' && s->p[1] == '*') {
            depth++;
            s->p += 2;
        } else if (pair && s->p[0] == '*' && s->p[1] == '/') {
            s->p += 2;
            if (--depth == 0) {
                return;
            }
        } else {
            s->p++;
        }
    }
    s->open = '*';
}

static void skip_quoted(struct scan *s, char quote, bool escapes) {
    s->p++;
    while (s->p < s->end) {
        if (escapes && *s->p == '\\') {
            s->p += s->end - s->p >= 2 ? 2 : 1;
        } else if (*s->p != quote) {
            s->p++;
        } else if (s->end - s->p >= 2 && s->p[1] == quote) {
            s->p += 2;
        } else {
            s->p++;
            return;
        }
    }
    s->open = quote;
}

/* $tag$ … $tag$, or just a dollar sign. */
static void skip_dollar(struct scan *s) {
    const char *tag = s->p++;
    while (s->p < s->end && (isalnum((unsigned char)*s->p) || *s->p == '_' || (*s->p & 0x80))) {
        s->p++;
    }
    bool number = s->p > tag + 1 && isdigit((unsigned char)tag[1]);
    if (s->p == s->end || *s->p != '$' || number) {
        return;
    }
    size_t n = (size_t)(++s->p - tag);
    const char *found = memmem(s->p, (size_t)(s->end - s->p), tag, n);
    if (found == NULL) {
        s->p = s->end;
        s->open = '$';
    } else {
        s->p = found + n;
    }
}

/* White space and comments. */
static void skip_blank(struct scan *s) {
    while (s->p < s->end && s->open == 0) {
        if (isspace((unsigned char)*s->p)) {
            s->p++;
        } else if (s->end - s->p >= 2 && s->p[0] == '-' && s->p[1] == '-') {
            skip_line(s);
        } else if (s->end - s->p >= 2 && s->p[0] == '/' && s->p[1] == '*') {
            skip_comment(s);
        } else {
            return;
        }
    }
}

static void skip_word(struct scan *s) {
    const char *start = s->p;
    while (s->p < s->end && is_word(*s->p)) {
        s->p++;
    }
    bool escapes = s->p - start == 1 && (*start == 'e' || *start == 'E');
    if (escapes && s->p < s->end && *s->p == '\'') {
        skip_quoted(s, '\'', true);
    }
}

/* One token, or blanks. */
static void skip_token(struct scan *s) {
    char c = *s->p;
    const char *before = s->p;
    if (c == '\'' || c == '"') {
        skip_quoted(s, c, false);
    } else if (c == '$') {
        skip_dollar(s);
    } else if (is_word(c)) {
        skip_word(s);
    } else {
        skip_blank(s);
        if (s->p == before && s->open == 0) {
            s->p++;
        }
    }
}

/* From a statement's first token to behind its ';'. */
static void skip_statement(struct scan *s) {
    int depth = 0;
    while (s->p < s->end && s->open == 0) {
        char c = *s->p;
        if (c == ';' && depth == 0) {
            s->p++;
            return;
        }
        depth += c == '(' ? 1 : c == ')' && depth > 0 ? -1 : 0;
        skip_token(s);
    }
    if (s->open == 0) {
        s->open = depth > 0 ? '(' : ';';
    }
}

static struct kl_slice next_word(struct scan *s) {
    skip_blank(s);
    const char *start = s->p;
    while (s->p < s->end && is_word(*s->p)) {
        s->p++;
    }
    return kl_slice(start, (size_t)(s->p - start));
}

static bool begins_transaction(struct kl_slice text) {
    struct scan s = {text.ptr, text.ptr + text.len, 0};
    struct kl_slice first = next_word(&s);
    return kl_slice_ieq_str(first, "begin") ||
           (kl_slice_ieq_str(first, "start") && kl_slice_ieq_str(next_word(&s), "transaction"));
}

static bool ends_transaction(struct kl_slice text) {
    struct scan s = {text.ptr, text.ptr + text.len, 0};
    struct kl_slice first = next_word(&s);
    if (kl_slice_ieq_str(first, "rollback")) {
        return !kl_slice_ieq_str(next_word(&s), "to");
    }
    return kl_slice_ieq_str(first, "commit") || kl_slice_ieq_str(first, "end") ||
           kl_slice_ieq_str(first, "abort");
}

/* The rest of a transaction whose BEGIN was just read. */
static void skip_transaction(struct scan *s) {
    while (s->open == 0) {
        skip_blank(s);
        const char *start = s->p;
        if (s->p == s->end) {
            s->open = s->open ? s->open : 't';
            return;
        }
        skip_statement(s);
        if (ends_transaction(kl_slice(start, (size_t)(s->p - start)))) {
            return;
        }
    }
}

void kl_cli__split_next(struct kl_slice all, size_t *pos, struct kl_split_part *ret) {
    struct scan s = {all.ptr + *pos, all.ptr + all.len, 0};
    do {
        skip_blank(&s);
    } while (s.open == 0 && s.p < s.end && *s.p == ';' && s.p++);
    const char *start = s.p;
    *ret = (struct kl_split_part){.kind = KL_SPLIT_NONE, .offset = (size_t)(start - all.ptr)};
    if (s.open != 0) { /* a comment that does not end */
        *ret = (struct kl_split_part){KL_SPLIT_OPEN, kl_slice_from(all, *pos), *pos, s.open};
        *pos = all.len;
        return;
    }
    if (s.p == s.end) {
        *pos = all.len;
        return;
    }
    if (*s.p == '\\') {
        skip_line(&s);
        ret->kind = KL_SPLIT_COMMAND;
    } else {
        skip_statement(&s);
        if (s.open == 0 && begins_transaction(kl_slice(start, (size_t)(s.p - start)))) {
            skip_transaction(&s);
        }
        ret->kind = s.open ? KL_SPLIT_OPEN : KL_SPLIT_STATEMENT;
        ret->open = s.open;
    }
    ret->text = kl_slice(start, (size_t)(s.p - start));
    *pos = (size_t)(s.p - all.ptr);
}

/* ---- OPTIONS (name = value, …) at the end of a live query ---- */

static enum kl_rc parse_option(struct scan *s, json_t *options, struct kl_err *err) {
    struct kl_slice name = next_word(s);
    static const char *const known[] = {"last_rows", "batch_size", "from"};
    const char *key = NULL;
    for (size_t i = 0; i < KL_LEN(known); i++) {
        key = kl_slice_ieq_str(name, known[i]) ? known[i] : key;
    }
    if (key == NULL) {
        kl_fail(err, KL_E_INVALID_SQL, "unknown option \"%.*s\"", KL_FMT(name));
        kl_err_hint(err, "OPTIONS takes last_rows, batch_size and from.");
        return KL_E_INVALID_SQL;
    }
    skip_blank(s);
    if (s->p < s->end && *s->p == '=') {
        s->p++;
    }
    skip_blank(s);
    bool quoted = s->p < s->end && *s->p == '\'';
    s->p += quoted;
    struct kl_slice value = next_word(s);
    if (quoted && s->p < s->end && *s->p == '\'') {
        s->p++;
    }
    int64_t number = 0;
    if (!kl_parse_i64(value, &number) || number < 0) {
        return kl_fail(err, KL_E_INVALID_SQL, "option %s wants a whole number, not \"%.*s\"", key,
            KL_FMT(value));
    }
    json_object_set_new(options, key, json_integer(number));
    return KL_OK;
}

static enum kl_rc parse_options(struct scan *s, json_t *options, struct kl_err *err) {
    s->p++; /* ( */
    for (;;) {
        skip_blank(s);
        if (s->p < s->end && *s->p == ')' && json_object_size(options) == 0) {
            break;
        }
        KL_TRY(parse_option(s, options, err));
        skip_blank(s);
        if (s->p < s->end && *s->p == ',') {
            s->p++;
            continue;
        }
        break;
    }
    if (s->p == s->end || *s->p++ != ')') {
        return kl_fail(err, KL_E_INVALID_SQL, "OPTIONS (…) is not closed");
    }
    skip_blank(s);
    return s->p == s->end ? KL_OK
                          : kl_fail(err, KL_E_INVALID_SQL, "nothing may follow OPTIONS (…)");
}

enum kl_rc kl_cli__split_options(
    struct kl_slice text, struct kl_slice *ret_sql, json_t **ret_options, struct kl_err *err) {
    text = kl_slice_trim(text);
    while (text.len > 0 && text.ptr[text.len - 1] == ';') {
        text = kl_slice_trim(kl_slice(text.ptr, text.len - 1));
    }
    struct scan s = {text.ptr, text.ptr + text.len, 0};
    json_t *options = json_object();
    size_t cut = text.len;
    enum kl_rc rc = KL_OK;
    int depth = 0;
    while (rc == KL_OK && s.p < s.end && s.open == 0) {
        const char *start = s.p;
        depth += *start == '(' ? 1 : *start == ')' ? -1 : 0;
        bool word = is_word(*start);
        skip_token(&s);
        if (!word || depth != 0 ||
            !kl_slice_ieq_str(kl_slice(start, (size_t)(s.p - start)), "options")) {
            continue;
        }
        skip_blank(&s);
        if (s.p < s.end && *s.p == '(') {
            cut = (size_t)(start - text.ptr);
            rc = parse_options(&s, options, err);
        }
    }
    if (rc != KL_OK) {
        json_decref(options);
        return rc;
    }
    *ret_sql = kl_slice_trim(kl_slice(text.ptr, cut));
    *ret_options = options;
    return KL_OK;
}
