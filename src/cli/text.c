/* Text on a terminal: how wide it is, how it is cut, and how it is kept from doing anything but
 * being read. Pure, but for the locale. */
#include "cli/internal.h"

#include <wchar.h>

int kl_cli__width(struct kl_slice text) {
    int columns = 0;
    for (size_t i = 0; i < text.len;) {
        uint32_t code = 0;
        i += kl_utf8_char(kl_slice_from(text, i), &code);
        int w = code < 0x80 ? 1 : wcwidth((wchar_t)code);
        columns += w < 0 ? 1 : w;
    }
    return columns;
}

/* Marks that turn the direction of the text around them can make it read as something it is not. */
static bool turns_direction(uint32_t code) {
    return (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) ||
           code == 0x200E || code == 0x200F;
}

void kl_cli__clean(struct kl_buf *out, struct kl_slice text) {
    for (size_t i = 0; i < text.len;) {
        uint32_t code = 0;
        size_t n = kl_utf8_char(kl_slice_from(text, i), &code);
        if (code == '\n') {
            kl_buf_puts(out, "\\n");
        } else if (code == '\t') {
            kl_buf_puts(out, "\\t");
        } else if (code == '\r') {
            kl_buf_puts(out, "\\r");
        } else if (code < 0x20 || code == 0x7F) {
            kl_buf_printf(out, "\\x%02x", code);
        } else if ((code >= 0x80 && code < 0xA0) || turns_direction(code) || code == 0x2028 ||
                   code == 0x2029) {
            kl_buf_printf(out, "\\u%04x", code);
        } else if (n == 1 && code == 0xFFFD) {
            kl_utf8_put(out, code);
        } else {
            kl_buf_append(out, text.ptr + i, n);
        }
        i += n;
    }
}

int kl_cli__cut(struct kl_buf *out, struct kl_slice text, int columns) {
    int whole = kl_cli__width(text);
    if (whole <= columns) {
        kl_buf_slice(out, text);
        return whole;
    }
    int used = 0;
    size_t i = 0;
    while (i < text.len) {
        size_t n = kl_utf8_char(kl_slice_from(text, i), NULL);
        int w = kl_cli__width(kl_slice(text.ptr + i, n));
        if (used + w > columns - 1) {
            break;
        }
        used += w;
        i += n;
    }
    if (columns <= 0) {
        return 0;
    }
    kl_buf_append(out, text.ptr, i);
    kl_buf_puts(out, "…");
    return used + 1;
}

void kl_cli__pad(struct kl_buf *out, int columns) {
    for (int i = 0; i < columns; i++) {
        kl_buf_putc(out, ' ');
    }
}
