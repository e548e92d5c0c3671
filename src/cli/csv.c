/* CSV as RFC 4180 has it: CRLF line ends, a header line, quotes only where needed. NULL is an
 * empty field, the empty text is "". Pure. */
#include "cli/internal.h"

void kl_cli__csv_field(struct kl_buf *out, struct kl_slice text) {
    bool quote = text.len == 0;
    for (size_t i = 0; i < text.len && !quote; i++) {
        quote = memchr("\",\r\n", text.ptr[i], 4) != NULL;
    }
    if (!quote) {
        kl_buf_slice(out, text);
        return;
    }
    kl_buf_putc(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"') {
            kl_buf_putc(out, '"');
        }
        kl_buf_putc(out, text.ptr[i]);
    }
    kl_buf_putc(out, '"');
}

static void csv_header(const json_t *schema, struct kl_buf *out) {
    size_t c;
    json_t *column;
    json_array_foreach(schema, c, column) {
        const json_t *name = json_object_get(column, "name");
        kl_buf_puts(out, c ? "," : "");
        kl_cli__csv_field(out, kl_slice(json_string_value(name), json_string_length(name)));
    }
    kl_buf_puts(out, "\r\n");
}

void kl_cli__csv(const json_t *schema, const json_t *rows, struct kl_buf *out) {
    csv_header(schema, out);
    struct kl_buf cell;
    kl_buf_init(&cell, (size_t)1 << 30);
    size_t columns = json_array_size(schema), r;
    json_t *row;
    struct kl_arena arena;
    kl_arena_init(&arena, 0);
    struct kl_type *types = KL_ARENA_ARRAY(&arena, struct kl_type, columns + 1);
    for (size_t c = 0; types != NULL && c < columns; c++) {
        types[c] = kl_cli__column_type(json_array_get(schema, c));
    }
    json_array_foreach(rows, r, row) {
        for (size_t c = 0; c < columns; c++) {
            const json_t *value = json_array_get(row, c);
            kl_buf_puts(out, c ? "," : "");
            if (json_is_null(value)) {
                continue;
            }
            kl_buf_clear(&cell);
            kl_cli__cell_text(value, types ? types[c] : KL_TYPE(NULL), &cell);
            kl_cli__csv_field(out, kl_buf_view(&cell));
        }
        kl_buf_puts(out, "\r\n");
    }
    kl_arena_deinit(&arena);
    kl_buf_deinit(&cell);
}
