/* Tables for terminals.
 *
 *   wide   ┌────┬───────┐      tall   ─[ row 1 ]───
 *          │ id │ title │             id    │ 1
 *          ├────┼───────┤             title │ hello
 *          │  1 │ hello │
 *          └────┴───────┘
 *
 * Numbers stand on the right. NULL is written as a word of its own; a text that reads NULL is put
 * in quotes, so that the two differ without colours too. When the columns are wider than the
 * terminal, the widest give way until all fit, down to MIN_COLUMN; when even that is too wide, the
 * table is printed tall (AUTO) or as it is. Pure, but for the locale. */
#include "cli/internal.h"

#include <stdlib.h>

#define MIN_COLUMN 8
#define MAX_TEXT ((size_t)1 << 30)

struct column {
    bool right;
    int width;
    struct kl_type type;
    size_t name_at, name_len;
    int name_width;
};

struct cell {
    size_t at;
    uint32_t len;
    int width;
    bool null;
};

struct grid {
    const struct kl_grid_style *style;
    size_t columns, rows;
    struct column *column;
    struct cell *cell; /* row by row */
    struct kl_buf text;
    struct kl_buf *out;
};

static void put_cell(struct grid *g, const json_t *value, struct column *column, struct cell *ret) {
    ret->at = g->text.len;
    ret->null = json_is_null(value);
    struct kl_buf raw;
    kl_buf_init(&raw, MAX_TEXT);
    kl_cli__cell_text(value, column->type, &raw);
    bool looks_null = json_is_string(value) && kl_slice_eq_str(kl_buf_view(&raw), "NULL");
    if (ret->null) {
        kl_buf_puts(&g->text, "NULL");
    } else if (looks_null) {
        kl_buf_puts(&g->text, "'NULL'");
    } else {
        kl_cli__clean(&g->text, kl_buf_view(&raw));
    }
    kl_buf_deinit(&raw);
    ret->len = (uint32_t)(g->text.len - ret->at);
    ret->width = kl_cli__width(kl_slice(g->text.data + ret->at, ret->len));
    column->width = KL_MAX(column->width, ret->width);
}

static void build(struct grid *g, const json_t *schema, const json_t *rows) {
    kl_buf_init(&g->text, MAX_TEXT);
    g->columns = json_array_size(schema);
    g->rows = json_array_size(rows);
    g->column = kl_xcalloc(g->columns + 1, sizeof(*g->column));
    g->cell = kl_xcalloc(g->columns * g->rows + 1, sizeof(*g->cell));
    for (size_t c = 0; c < g->columns; c++) {
        struct column *column = &g->column[c];
        const json_t *name = json_object_get(json_array_get(schema, c), "name");
        column->type = kl_cli__column_type(json_array_get(schema, c));
        column->right = kl_type_is_number(column->type.id);
        column->name_at = g->text.len;
        kl_cli__clean(&g->text, kl_slice(json_string_value(name), json_string_length(name)));
        column->name_len = g->text.len - column->name_at;
        column->name_width =
            kl_cli__width(kl_slice(g->text.data + column->name_at, column->name_len));
        column->width = column->name_width;
    }
    for (size_t r = 0; r < g->rows && !g->text.failed; r++) {
        const json_t *row = json_array_get(rows, r);
        for (size_t c = 0; c < g->columns; c++) {
            put_cell(g, json_array_get(row, c), &g->column[c], &g->cell[r * g->columns + c]);
        }
    }
}

static struct kl_slice name_of(const struct grid *g, size_t c) {
    return kl_slice(g->text.data + g->column[c].name_at, g->column[c].name_len);
}

static struct kl_slice text_of(const struct grid *g, const struct cell *cell) {
    return kl_slice(g->text.data + cell->at, cell->len);
}

static long total_width(const struct grid *g) {
    long total = 1;
    for (size_t c = 0; c < g->columns; c++) {
        total += g->column[c].width + 3;
    }
    return total;
}

/* The widest columns give way together: the common cap is found by lowering it until all fit. */
static bool shrink(struct grid *g) {
    long room = g->style->width;
    if (room <= 0 || total_width(g) <= room) {
        return true;
    }
    int low = MIN_COLUMN - 1, high = g->style->width;
    while (low + 1 < high) { /* the largest cap that fits is in [low, high) */
        int cap = low + (high - low) / 2;
        long total = 1;
        for (size_t c = 0; c < g->columns; c++) {
            total += KL_MIN(g->column[c].width, cap) + 3;
        }
        if (total <= room) {
            low = cap;
        } else {
            high = cap;
        }
    }
    if (low < MIN_COLUMN) {
        return false;
    }
    long left = room - 1;
    for (size_t c = 0; c < g->columns; c++) {
        left -= KL_MIN(g->column[c].width, low) + 3;
    }
    for (size_t c = 0; c < g->columns;
         c++) { /* what the division left goes to the first that can use it */
        if (g->column[c].width > low) {
            long more = KL_MIN(left, (long)g->column[c].width - low);
            g->column[c].width = low + (int)more;
            left -= more;
        }
    }
    return true;
}

static void rule(struct grid *g, const char *left, const char *middle, const char *right) {
    kl_buf_puts(g->out, left);
    for (size_t c = 0; c < g->columns; c++) {
        kl_buf_puts(g->out, c ? middle : "");
        for (int i = 0; i < g->column[c].width + 2; i++) {
            kl_buf_puts(g->out, "─");
        }
    }
    kl_buf_puts(g->out, right);
    kl_buf_putc(g->out, '\n');
}

static void put_text(struct grid *g, struct kl_slice text, int columns, const char *color) {
    bool on = g->style->color && color != NULL;
    kl_buf_puts(g->out, on ? color : "");
    kl_cli__cut(g->out, text, columns);
    kl_buf_puts(g->out, on ? "\x1b[0m" : "");
}

static void wide_row(struct grid *g, const struct cell *row) {
    for (size_t c = 0; c < g->columns; c++) {
        const struct column *column = &g->column[c];
        struct kl_slice text = row ? text_of(g, &row[c]) : name_of(g, c);
        int shown = KL_MIN(row ? row[c].width : column->name_width, column->width);
        /* Cutting before a wide character can leave one column short. */
        if (shown == column->width) {
            struct kl_buf probe = {0};
            shown = kl_cli__cut(&probe, text, column->width);
            kl_buf_deinit(&probe);
        }
        bool right = row != NULL && column->right;
        kl_buf_puts(g->out, "│ ");
        kl_cli__pad(g->out, right ? column->width - shown : 0);
        put_text(g, text, column->width, row == NULL ? "\x1b[1m" : row[c].null ? "\x1b[2m" : NULL);
        kl_cli__pad(g->out, right ? 0 : column->width - shown);
        kl_buf_putc(g->out, ' ');
    }
    kl_buf_puts(g->out, "│\n");
}

static void wide(struct grid *g) {
    rule(g, "┌", "┬", "┐");
    wide_row(g, NULL);
    rule(g, "├", "┼", "┤");
    for (size_t r = 0; r < g->rows; r++) {
        wide_row(g, &g->cell[r * g->columns]);
    }
    rule(g, "└", "┴", "┘");
}

static void tall(struct grid *g) {
    int names = 0;
    for (size_t c = 0; c < g->columns; c++) {
        names = KL_MAX(names, g->column[c].name_width);
    }
    if (g->style->width > 0) {
        names = KL_MIN(names, KL_MAX(g->style->width / 2, MIN_COLUMN));
    }
    int room = g->style->width > 0 ? KL_MAX(g->style->width - names - 3, MIN_COLUMN) : INT32_MAX;
    for (size_t r = 0; r < g->rows; r++) {
        size_t start = g->out->len;
        kl_buf_printf(g->out, "─[ row %zu ]", r + 1);
        int used =
            kl_cli__width(kl_slice(g->out->data + start, g->out->failed ? 0 : g->out->len - start));
        for (int i = used; i < names + 12; i++) {
            kl_buf_puts(g->out, "─");
        }
        kl_buf_putc(g->out, '\n');
        for (size_t c = 0; c < g->columns; c++) {
            const struct cell *cell = &g->cell[r * g->columns + c];
            put_text(g, name_of(g, c), names, "\x1b[1m");
            kl_cli__pad(g->out, names - g->column[c].name_width);
            kl_buf_puts(g->out, " │ ");
            put_text(g, text_of(g, cell), room, cell->null ? "\x1b[2m" : NULL);
            kl_buf_putc(g->out, '\n');
        }
    }
}

void kl_cli__grid(const json_t *schema, const json_t *rows, const struct kl_grid_style *style,
    struct kl_buf *out) {
    struct grid g = {.style = style, .out = out};
    build(&g, schema, rows);
    if (g.text.failed) {
        out->failed = true;
    } else if (g.columns > 0) {
        bool fits = style->expanded == KL_CLI_TALL || shrink(&g);
        if (style->expanded == KL_CLI_TALL || (style->expanded == KL_CLI_AUTO && !fits)) {
            tall(&g);
        } else {
            wide(&g);
        }
    }
    kl_buf_deinit(&g.text);
    free(g.column);
    free(g.cell);
}
