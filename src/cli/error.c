/* Errors as people read them, with the place in the statement:
 *
 *   setup.sql:3: ERROR SQL_EXECUTION_ERROR: Table not found: app.nope
 *   LINE 3: SELECT * FROM app.nope
 *                         ^
 *   HINT: …
 *
 * A long line is shown as the window around the place. Pure, but for the locale. */
#include "cli/internal.h"

#define DEFAULT_WIDTH 100

struct line {
    struct kl_slice text;  /* without its end */
    size_t number, column; /* 1-based; byte offset of the place in it */
};

static struct line find_line(struct kl_slice all, size_t place) {
    struct line line = {.number = 1};
    size_t start = 0, end = place;
    for (size_t i = 0; i < place; i++) {
        if (all.ptr[i] == '\n') {
            line.number++;
            start = i + 1;
        }
    }
    while (end < all.len && all.ptr[end] != '\n') {
        end++;
    }
    line.text = kl_slice(all.ptr + start, end - start);
    line.column = place - start;
    return line;
}

/* Cleaned text of [from, to). */
static void clean_part(struct kl_buf *out, struct kl_slice text, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        if (text.ptr[i] ==
            '\t') { /* a tab's width is not known: one space keeps the caret in place */
            kl_buf_putc(out, ' ');
        } else if (text.ptr[i] == '\r' && i + 1 == text.len) {
            continue;
        } else {
            size_t n = kl_utf8_char(kl_slice_from(text, i), NULL);
            kl_cli__clean(out, kl_slice(text.ptr + i, n));
            i += n - 1;
        }
    }
}

static size_t char_start(struct kl_slice text, size_t at) {
    while (at > 0 && at < text.len && ((unsigned char)text.ptr[at] & 0xC0) == 0x80) {
        at--;
    }
    return at;
}

static void put_place(const struct line *line, int width, struct kl_buf *out) {
    int room = KL_MAX((width > 0 ? width : DEFAULT_WIDTH) - 12, 20);
    size_t at = char_start(line->text, line->column), from = 0;
    if (kl_cli__width(line->text) > room) { /* two thirds of the window before the place */
        while (
            from < at && kl_cli__width(kl_slice(line->text.ptr + from, at - from)) > room * 2 / 3) {
            from += kl_utf8_char(kl_slice_from(line->text, from), NULL);
        }
    }
    struct kl_buf before, after;
    kl_buf_init(&before, 0);
    kl_buf_init(&after, 0);
    kl_buf_puts(&before, from > 0 ? "…" : "");
    clean_part(&before, line->text, from, at);
    clean_part(&after, line->text, at, line->text.len);
    size_t start = out->len;
    kl_buf_printf(out, "LINE %zu: ", line->number);
    int indent = (int)(out->len - start) + kl_cli__width(kl_buf_view(&before));
    kl_buf_slice(out, kl_buf_view(&before));
    kl_cli__cut(out, kl_buf_view(&after), KL_MAX(room - kl_cli__width(kl_buf_view(&before)), 5));
    kl_buf_putc(out, '\n');
    kl_cli__pad(out, indent);
    kl_buf_puts(out, "^\n");
    kl_buf_deinit(&before);
    kl_buf_deinit(&after);
}

/* Messages may have several lines; nothing else that controls a terminal passes. */
static void put_message(struct kl_buf *out, const char *text) {
    struct kl_slice rest = kl_slice_str(text);
    while (rest.len > 0) {
        const char *lf = memchr(rest.ptr, '\n', rest.len);
        size_t n = lf ? (size_t)(lf - rest.ptr) : rest.len;
        kl_cli__clean(out, kl_slice(rest.ptr, n));
        rest = kl_slice_from(rest, lf ? n + 1 : n);
        kl_buf_puts(out, lf && rest.len > 0 ? "\n  " : "");
    }
}

void kl_cli__failure(const struct kl_cli_failure *f, struct kl_buf *out) {
    bool placed = f->all.len > 0 && f->place <= f->all.len;
    struct line line = {0};
    if (placed) {
        line = find_line(f->all, f->place);
    }
    if (f->name != NULL) {
        kl_buf_puts(out, f->name);
        if (placed) {
            kl_buf_printf(out, ":%zu", line.number);
        }
        kl_buf_puts(out, ": ");
    }
    kl_buf_puts(out, f->color ? "\x1b[1;31mERROR\x1b[0m" : "ERROR");
    if (f->code != NULL) {
        kl_buf_putc(out, ' ');
        kl_cli__clean(out, kl_slice_str(f->code));
    }
    kl_buf_puts(out, ": ");
    put_message(out, f->message);
    kl_buf_putc(out, '\n');
    if (placed) {
        put_place(&line, f->width, out);
    }
    if (f->hint != NULL && f->hint[0] != '\0') {
        kl_buf_puts(out, f->color ? "\x1b[36mHINT\x1b[0m: " : "HINT: ");
        put_message(out, f->hint);
        kl_buf_putc(out, '\n');
    }
}
