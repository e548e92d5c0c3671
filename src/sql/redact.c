/* A statement without its values, for logs. Token by token, by the same reader that everything else uses, so a literal cannot
 * hide behind a quote that was read in another way. What the reader does not understand ends the text. */
#include "sql/internal.h"
#include "sql/scan.h"

static bool is_value(const struct kl_tok *t) {
    return t->kind == KL_TOK_STRING || t->kind == KL_TOK_BYTES || t->kind == KL_TOK_OTHER ||
           t->kind == KL_TOK_INT || t->kind == KL_TOK_NUMBER;
}

static bool is_word(const struct kl_tok *t, const char *word) {
    struct kl_slice w = kl_slice_str(word);
    return t->kind == KL_TOK_WORD && t->text.len == w.len &&
           strncasecmp(t->text.ptr, w.ptr, w.len) == 0;
}

/* Whether the text had white space or a comment between two tokens. */
static bool apart(const struct kl_tok *a, const struct kl_tok *b) {
    return a->text.ptr + a->text.len != b->text.ptr;
}

void kl_sql_redact(struct kl_slice stmt, size_t max, struct kl_buf *out) {
    struct kl_scan s;
    struct kl_tok t, before = {0};
    size_t start = out->len;
    bool secret = false; /* the token is one whatever it looks like: PASSWORD x, PASSWORD = x */
    kl_sql__scan_init(&s, stmt);
    for (kl_sql__scan(&s, &t); t.kind != KL_TOK_END; kl_sql__scan(&s, &t)) {
        bool first = before.text.ptr == NULL, value = is_value(&t);
        if (t.kind == KL_TOK_BAD || out->len - start + t.text.len + 1 > max) {
            kl_buf_puts(out, "...");
            return;
        }
        if (!first && apart(&before, &t)) {
            kl_buf_putc(out, ' ');
        }
        if (value || (secret && t.kind != KL_TOK_OP)) {
            kl_buf_putc(out, '?');
        } else {
            kl_buf_slice(out, t.text);
        }
        secret = is_word(&t, "password") || (secret && t.kind == KL_TOK_OP);
        before = t;
    }
}
