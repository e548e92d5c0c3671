/* A live query on the screen: its rows first, then a line for each change, until Ctrl+C, the time
 * limit, or the server's word. The line of a change: time, sign, columns. An update shows the key
 * and what became of what.
 *
 *   10:00:00.123 + id=2  body=hi
 *   10:00:02.456 ~ id=2  body=hi → hello
 *   10:00:03.789 - id=2  body=hello
 *
 * Columns of the system's own (_deleted; _seq where there is a primary key) are left out of tables
 * and lines; --json gives everything. */
#include "cli/internal.h"

#include <stdlib.h>
#include <time.h>

#define CELL_ON_TERMINAL 60

struct watch {
    struct kl_cli *cli;
    const char *sql;
    json_t *schema; /* of the last ack, without what is hidden */
    bool csv_header, said_live;
    size_t first_rows;
    struct kl_buf out;
};

static bool has_flag(const json_t *column, const char *flag) {
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(column, "flags"), i, item) {
        if (json_is_string(item) && strcmp(json_string_value(item), flag) == 0) {
            return true;
        }
    }
    return false;
}

static json_t *shown_columns(const json_t *schema) {
    size_t i;
    json_t *column, *shown = json_array();
    bool keyed = false;
    json_array_foreach(schema, i, column) {
        keyed = keyed || has_flag(column, "pk");
    }
    json_array_foreach(schema, i, column) {
        const char *name = json_string_value(json_object_get(column, "name"));
        if (strcmp(name, "_deleted") != 0 && !(keyed && strcmp(name, "_seq") == 0)) {
            json_array_append(shown, column);
        }
    }
    return shown;
}

/* Rows come as objects; tables and CSV want them in the order of the schema. A missing column is
 * NULL. */
static json_t *as_arrays(const json_t *schema, const json_t *rows) {
    size_t r, c;
    json_t *row, *column, *all = json_array();
    json_array_foreach(rows, r, row) {
        json_t *cells = json_array();
        json_array_foreach(schema, c, column) {
            json_t *cell = json_object_get(row, json_string_value(json_object_get(column, "name")));
            json_array_append_new(cells, cell ? json_incref(cell) : json_null());
        }
        json_array_append_new(all, cells);
    }
    return all;
}

static const char *event_name(enum kl_live_kind kind) {
    static const char *const names[] = {"schema", "row", "insert", "update", "delete", "lost"};
    return names[kind];
}

/* ---- JSON and CSV ---- */

static void put_member(struct kl_buf *out, const char *key, const json_t *value) {
    if (value != NULL) {
        kl_buf_printf(out, ",\"%s\":", key);
        kl_cli__json(value, out);
    }
}

static void json_event(struct watch *w, const struct kl_live_event *e) {
    kl_buf_printf(&w->out, "{\"event\":\"%s\",\"time\":\"", event_name(e->kind));
    kl_rfc3339(&w->out, kl_clock_wall_us());
    kl_buf_putc(&w->out, '"');
    put_member(&w->out, "columns", e->schema);
    put_member(&w->out, "rows", e->rows);
    put_member(&w->out, "old_values", e->old_values);
    if (e->kind == KL_LIVE_ACK) {
        kl_buf_printf(&w->out, ",\"resync\":%s", e->resync ? "true" : "false");
    }
    if (e->kind == KL_LIVE_ROWS) {
        kl_buf_printf(&w->out, ",\"ready\":%s", e->ready ? "true" : "false");
    }
    if (e->message != NULL) {
        kl_buf_puts(&w->out, ",\"message\":");
        kl_json_str(&w->out, kl_slice_str(e->message));
    }
    kl_buf_puts(&w->out, "}\n");
}

static void csv_event(struct watch *w, const struct kl_live_event *e) {
    size_t i, c;
    json_t *column, *row;
    if (!w->csv_header) {
        kl_buf_puts(&w->out, "_event,_time");
        json_array_foreach(w->schema, c, column) {
            const json_t *name = json_object_get(column, "name");
            kl_buf_putc(&w->out, ',');
            kl_cli__csv_field(&w->out, kl_slice(json_string_value(name), json_string_length(name)));
        }
        kl_buf_puts(&w->out, "\r\n");
        w->csv_header = true;
    }
    const json_t *rows = e->kind == KL_LIVE_DELETE ? e->old_values : e->rows;
    struct kl_buf cell = {0};
    json_array_foreach(rows, i, row) {
        kl_buf_printf(&w->out, "%s,", event_name(e->kind));
        kl_rfc3339(&w->out, kl_clock_wall_us());
        json_array_foreach(w->schema, c, column) {
            const json_t *value =
                json_object_get(row, json_string_value(json_object_get(column, "name")));
            kl_buf_putc(&w->out, ',');
            if (value != NULL && !json_is_null(value)) {
                kl_buf_clear(&cell);
                kl_cli__cell_text(value, kl_cli__column_type(column), &cell);
                kl_cli__csv_field(&w->out, kl_buf_view(&cell));
            }
        }
        kl_buf_puts(&w->out, "\r\n");
    }
    kl_buf_deinit(&cell);
}

/* ---- lines ---- */

static void put_value(struct watch *w, const json_t *value, const json_t *column) {
    struct kl_buf raw = {0}, clean = {0};
    if (value == NULL || json_is_null(value)) {
        kl_buf_puts(&clean, "NULL");
    } else {
        kl_cli__cell_text(value, kl_cli__column_type(column), &raw);
        kl_cli__clean(&clean, kl_buf_view(&raw));
    }
    int limit = kl_cli__terminal_width(w->cli) > 0 ? CELL_ON_TERMINAL : INT32_MAX;
    kl_cli__cut(&w->out, kl_buf_view(&clean), limit);
    kl_buf_deinit(&raw);
    kl_buf_deinit(&clean);
}

static void put_stamp(struct watch *w, char sign, const char *color) {
    int64_t us = kl_clock_wall_us();
    time_t seconds = us / 1000000;
    struct tm tm;
    localtime_r(&seconds, &tm);
    kl_buf_printf(
        &w->out, "%02d:%02d:%02d.%03d ", tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(us / 1000 % 1000));
    if (w->cli->color) {
        kl_buf_printf(&w->out, "%s%c\x1b[0m", color, sign);
    } else {
        kl_buf_putc(&w->out, sign);
    }
}

static void put_column(
    struct watch *w, const json_t *column, const json_t *old, const json_t *now) {
    kl_buf_puts(&w->out, w->out.len > 0 && w->out.data[w->out.len - 1] == '\n' ? "" : "  ");
    kl_cli__clean(&w->out, kl_slice_str(json_string_value(json_object_get(column, "name"))));
    kl_buf_putc(&w->out, '=');
    if (old != NULL) {
        put_value(w, old, column);
        kl_buf_puts(&w->out, " → ");
    }
    put_value(w, now, column);
}

static void full_line(struct watch *w, const json_t *row) {
    size_t c;
    json_t *column;
    json_array_foreach(w->schema, c, column) {
        const json_t *value =
            json_object_get(row, json_string_value(json_object_get(column, "name")));
        if (value != NULL) {
            put_column(w, column, NULL, value);
        }
    }
}

static void update_line(struct watch *w, const json_t *row, const json_t *old) {
    size_t c;
    json_t *column;
    if (old == NULL) {
        full_line(w, row);
        return;
    }
    json_array_foreach(w->schema, c, column) {
        const char *name = json_string_value(json_object_get(column, "name"));
        const json_t *before = json_object_get(old, name), *now = json_object_get(row, name);
        bool changed = before != NULL && now != NULL && !json_equal(before, now);
        if (changed && strcmp(name, "_seq") != 0) {
            put_column(w, column, before, now);
        } else if (has_flag(column, "pk") || strcmp(name, "_seq") == 0) {
            put_column(w, column, NULL, now ? now : before);
        }
    }
}

static void line_event(struct watch *w, const struct kl_live_event *e) {
    const json_t *rows = e->kind == KL_LIVE_DELETE ? e->old_values : e->rows;
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) {
        if (e->kind == KL_LIVE_INSERT) {
            put_stamp(w, '+', "\x1b[32m");
            full_line(w, row);
        } else if (e->kind == KL_LIVE_DELETE) {
            put_stamp(w, '-', "\x1b[31m");
            full_line(w, row);
        } else {
            put_stamp(w, '~', "\x1b[33m");
            update_line(w, row, json_array_get(e->old_values, i));
        }
        kl_buf_putc(&w->out, '\n');
    }
}

static void rows_event(struct watch *w, const struct kl_live_event *e) {
    size_t n = json_array_size(e->rows);
    w->first_rows += n;
    if (n > 0) {
        json_t *rows = as_arrays(w->schema, e->rows);
        struct kl_grid_style style = {
            kl_cli__terminal_width(w->cli), w->cli->color, w->cli->expanded};
        kl_cli__grid(w->schema, rows, &style, &w->out);
        json_decref(rows);
    }
    if (e->ready) {
        kl_buf_printf(&w->out, "(%zu row%s", w->first_rows, w->first_rows == 1 ? "" : "s");
        kl_buf_puts(&w->out, w->said_live          ? "; live again)\n"
                             : w->cli->interactive ? "; live now, Ctrl+C ends it)\n"
                                                   : "; live now)\n");
        w->said_live = true;
        w->first_rows = 0;
    }
}

static void table_event(struct watch *w, const struct kl_live_event *e) {
    switch (e->kind) {
    case KL_LIVE_ACK:
        if (e->resync) {
            kl_buf_puts(&w->out,
                "The changes since then are not kept any more; the rows as they are now:\n");
        }
        break;
    case KL_LIVE_ROWS:
        rows_event(w, e);
        break;
    case KL_LIVE_LOST:
        fprintf(stderr, "kalam: %s; connecting again\n", e->message);
        break;
    default:
        line_event(w, e);
    }
}

static void show_event(struct watch *w, const struct kl_live_event *e) {
    if (e->kind == KL_LIVE_ACK) {
        json_decref(w->schema);
        w->schema = shown_columns(e->schema);
    }
    if (w->cli->format == KL_CLI_JSON) {
        json_event(w, e);
    } else if (w->cli->format == KL_CLI_TABLE) {
        table_event(w, e);
    } else if (e->kind == KL_LIVE_LOST) {
        fprintf(stderr, "kalam: %s; connecting again\n", e->message);
    } else {
        csv_event(w, e);
    }
    kl_cli__print(w->cli, &w->out);
}

static enum kl_rc follow(struct watch *w, struct kl_live *live, struct kl_err *err) {
    int limit = w->cli->o.subscription_timeout_ms;
    int64_t end = limit > 0 ? kl_clock_mono_ms() + limit : 0;
    while (!w->cli->out_failed) {
        struct kl_live_event event;
        int wait = end > 0 ? (int)KL_MAX(end - kl_clock_mono_ms(), 0) : -1;
        enum kl_rc rc = kl_live_next(live, wait, &event, err);
        if (rc == KL_E_TIMEOUT && end > 0) {
            return KL_OK;
        }
        KL_TRY(rc);
        show_event(w, &event);
        if (end > 0 && kl_clock_mono_ms() >= end) {
            return KL_OK;
        }
    }
    return KL_OK;
}

bool kl_cli__watch(struct kl_cli *cli, const char *sql, const char *id, json_t *options) {
    struct watch w = {.cli = cli, .sql = sql, .schema = json_array()};
    struct kl_err err = {0};
    struct kl_live *live = NULL;
    struct kl_live_options live_options = {.id = id, .sql = sql, .options = options};
    kl_buf_init(&w.out, (size_t)1 << 30);
    enum kl_rc rc = kl_live_start(cli->client, &live_options, &live, &err);
    if (rc == KL_OK) {
        rc = follow(&w, live, &err);
    }
    kl_live_free(live);
    kl_buf_deinit(&w.out);
    json_decref(w.schema);
    if (rc == KL_E_CANCELLED) { /* Ctrl+C is how a live query ends */
        kl_cli__interrupt_clear();
        if (cli->interactive) {
            fputc('\n', stdout);
        }
        return !cli->out_failed;
    }
    if (rc != KL_OK) {
        kl_cli__complain(cli, &err);
    }
    return rc == KL_OK && !cli->out_failed;
}
