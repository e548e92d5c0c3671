/* Runs statements and prints what they give, in the order in which they stand.
 *
 * A script is sent statement by statement, a transaction in one piece. Results go to standard
 * output, errors to standard error. What a statement changes for those after it (the default
 * namespace) is kept here, since a request knows nothing of the one before. */
#include "cli/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAX_OUTPUT ((size_t)2 << 30)
#define MAX_SCRIPT ((size_t)1 << 30)
#define MAX_INCLUDE 16

int kl_cli__terminal_width(struct kl_cli *cli) {
    struct winsize size;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) {
        return 0;
    }
    return size.ws_col >= 20 ? size.ws_col : 0;
}

void kl_cli__print(struct kl_cli *cli, struct kl_buf *out) {
    if (out->failed) {
        struct kl_err err;
        kl_fail(&err, KL_E_TOO_LARGE, "the result is too large to be shown in this format");
        kl_cli__complain(cli, &err);
    } else if (!cli->out_failed) {
        bool ok = fwrite(out->data ? out->data : "", 1, out->len, stdout) == out->len &&
                  fflush(stdout) == 0;
        if (!ok) {
            cli->out_failed = true;
            if (errno != EPIPE) {
                fprintf(stderr, "kalam: standard output: %s\n", strerror(errno));
            }
        }
    }
    kl_buf_clear(out);
}

static bool error_color(struct kl_cli *cli) {
    return cli->color && isatty(STDERR_FILENO);
}

static void print_failure(struct kl_cli *cli, struct kl_cli_failure *failure) {
    struct kl_buf out = {0};
    failure->color = error_color(cli);
    failure->width = kl_cli__terminal_width(cli);
    kl_cli__failure(failure, &out);
    fwrite(out.data ? out.data : "", 1, out.len, stderr);
    fflush(stderr);
    kl_buf_deinit(&out);
}

void kl_cli__complain(struct kl_cli *cli, const struct kl_err *err) {
    struct kl_cli_failure failure = {.message = err->msg, .hint = err->hint, .place = SIZE_MAX};
    print_failure(cli, &failure);
}

/* ---- results ---- */

static void put_timing(
    struct kl_cli *cli, const json_t *result, double elapsed_ms, struct kl_buf *out) {
    const char *as = json_string_value(json_object_get(result, "as_user"));
    if (cli->timing) {
        kl_buf_printf(out, ", %.3f ms", elapsed_ms);
    }
    if (as != NULL && cli->user != NULL && strcmp(as, cli->user) != 0) {
        kl_buf_puts(out, ", as ");
        kl_cli__clean(out, kl_slice_str(as));
    }
}

static void table_result(
    struct kl_cli *cli, const json_t *result, double elapsed_ms, struct kl_buf *out) {
    const json_t *schema = json_object_get(result, "schema"),
                 *rows = json_object_get(result, "rows");
    size_t n = json_array_size(rows);
    if (schema != NULL) {
        struct kl_grid_style style = {kl_cli__terminal_width(cli), cli->color, cli->expanded};
        kl_cli__grid(schema, rows, &style, out);
        kl_buf_printf(out, "(%zu row%s", n, n == 1 ? "" : "s");
        put_timing(cli, result, elapsed_ms, out);
        kl_buf_puts(out, ")\n");
        return;
    }
    const char *message = json_string_value(json_object_get(result, "message"));
    kl_cli__clean(out, kl_slice_str(message ? message : "Done"));
    struct kl_buf extra = {0};
    put_timing(cli, result, elapsed_ms, &extra);
    if (extra.len > 2) {
        kl_buf_printf(out, " (%.*s)", KL_FMT(kl_slice_from(kl_buf_view(&extra), 2)));
    }
    kl_buf_deinit(&extra);
    kl_buf_putc(out, '\n');
}

static void json_result(const json_t *result, double elapsed_ms, struct kl_buf *out) {
    const json_t *schema = json_object_get(result, "schema"),
                 *as_user = json_object_get(result, "as_user");
    if (schema != NULL) {
        kl_buf_puts(out, "{\"columns\":");
        kl_cli__json(schema, out);
        kl_buf_puts(out, ",\"rows\":");
        kl_cli__json(json_object_get(result, "rows"), out);
    } else {
        const json_t *message = json_object_get(result, "message");
        kl_buf_puts(out, "{\"message\":");
        if (message != NULL) {
            kl_cli__json(message, out);
        } else {
            kl_buf_puts(out, "null");
        }
    }
    kl_buf_printf(out, ",\"row_count\":%lld",
        (long long)json_integer_value(json_object_get(result, "row_count")));
    if (json_is_string(as_user)) {
        kl_buf_puts(out, ",\"as_user\":");
        kl_cli__json(as_user, out);
    }
    kl_buf_printf(out, ",\"took_ms\":%.3f}\n", elapsed_ms);
}

static void print_result(struct kl_cli *cli, const json_t *result, double elapsed_ms) {
    struct kl_buf out;
    kl_buf_init(&out, MAX_OUTPUT);
    const json_t *schema = json_object_get(result, "schema");
    if (cli->format == KL_CLI_JSON) {
        json_result(result, elapsed_ms, &out);
    } else if (cli->format == KL_CLI_TABLE) {
        table_result(cli, result, elapsed_ms, &out);
    } else if (schema != NULL) {
        kl_buf_puts(&out, cli->csv_printed ? "\r\n" : "");
        cli->csv_printed = true;
        kl_cli__csv(schema, json_object_get(result, "rows"), &out);
    }
    kl_cli__print(cli, &out);
    kl_buf_deinit(&out);
}

/* ---- results that ask for more ---- */

static const json_t *cell_named(const json_t *result, const char *name) {
    size_t i;
    json_t *column;
    json_array_foreach(json_object_get(result, "schema"), i, column) {
        if (strcmp(json_string_value(json_object_get(column, "name")), name) == 0) {
            return json_array_get(json_array_get(json_object_get(result, "rows"), 0), i);
        }
    }
    return NULL;
}

/* SUBSCRIBE TO is answered with what to open a live query for. An object, or its text. */
static bool follow_subscription(struct kl_cli *cli, const json_t *result) {
    const json_t *cell = cell_named(result, "subscription");
    json_t *subscription = json_is_string(cell) ? json_loadb(json_string_value(cell),
                                                      json_string_length(cell), 0, NULL)
                                                : json_incref((json_t *)cell);
    const char *sql = json_string_value(json_object_get(subscription, "sql"));
    bool ok = false;
    if (sql == NULL) {
        struct kl_err err;
        kl_fail(
            &err, KL_E_CORRUPT, "the server's answer to SUBSCRIBE TO has no statement to follow");
        kl_cli__complain(cli, &err);
    } else {
        json_t *options = json_object_get(subscription, "options");
        ok = kl_cli__watch(cli, sql, json_string_value(json_object_get(subscription, "id")),
            json_is_object(options) ? options : NULL);
    }
    json_decref(subscription);
    return ok;
}

/* A request knows no session: USE NAMESPACE is remembered here and sent with every later
 * statement. */
static void note_namespace(struct kl_cli *cli, const json_t *result) {
    static const char prefix[] = "Namespace switched to '";
    const char *message = json_string_value(json_object_get(result, "message"));
    if (message == NULL || strncmp(message, prefix, sizeof(prefix) - 1) != 0) {
        return;
    }
    const char *name = message + sizeof(prefix) - 1, *end = strrchr(name, '\'');
    if (end != NULL && end > name) {
        free(cli->namespace_id);
        cli->namespace_id = kl_xprintf("%.*s", (int)(end - name), name);
    }
}

static bool show_results(struct kl_cli *cli, const struct kl_reply *reply, double elapsed_ms) {
    size_t i;
    json_t *result;
    json_array_foreach(reply->results, i, result) {
        const json_t *status = cell_named(result, "status");
        if (json_is_string(status) &&
            strcmp(json_string_value(status), "subscription_required") == 0) {
            if (!follow_subscription(cli, result)) {
                return false;
            }
            continue;
        }
        print_result(cli, result, elapsed_ms);
        note_namespace(cli, result);
    }
    return !cli->out_failed;
}

/* ---- statements ---- */

static void show_refusal(struct kl_cli *cli, const struct kl_reply *reply,
    const struct kl_cli_source *source, size_t offset) {
    static const char prefix[] = "Statement 1 failed: "; /* noise when only one was sent */
    const char *message = reply->message;
    if (strncmp(message, prefix, sizeof(prefix) - 1) == 0) {
        message += sizeof(prefix) - 1;
    }
    struct kl_cli_failure failure = {.code = reply->code,
        .message = message,
        .hint = reply->hint,
        .place = SIZE_MAX,
        .name = source->name};
    if (reply->http_status == 401 && failure.hint == NULL) {
        failure.hint = cli->local_token ? "The token file of this machine is not the one of this "
                                          "server; log in with --user NAME."
                       : cli->o.user != NULL
                           ? "The login is not valid any more; start kalam again."
                           : "The token is not one of this server, or has expired.";
    }
    if (source->all.len > 0) {
        failure.all = source->all;
        failure.place = offset + (size_t)(reply->position > 0 ? reply->position - 1 : 0);
        if (reply->position == 0 && source->name == NULL) {
            failure.place = SIZE_MAX;
        }
    }
    print_failure(cli, &failure);
}

static bool is_schema_change(struct kl_slice sql) {
    static const char *const words[] = {
        "create", "alter", "drop", "restore", "begin", "execute", "undrop"};
    for (size_t i = 0; i < KL_LEN(words); i++) {
        size_t n = strlen(words[i]);
        if (sql.len > n && kl_slice_ieq_str(kl_slice(sql.ptr, n), words[i])) {
            return true;
        }
    }
    return false;
}

/* Offset of the first byte that is not UTF-8, or the length. */
static size_t first_invalid(struct kl_slice text) {
    size_t i = 0;
    while (i < text.len) {
        size_t n = kl_utf8_char(kl_slice_from(text, i), NULL);
        if (n == 1 && (text.ptr[i] & 0x80) != 0) {
            break;
        }
        i += n;
    }
    return i;
}

/* The statement got no answer. */
static void show_no_answer(struct kl_cli *cli, enum kl_rc rc, struct kl_err *err,
    struct kl_slice sql, const struct kl_cli_source *source, size_t offset) {
    struct kl_cli_failure failure = {.message = err->msg, .place = SIZE_MAX, .name = source->name};
    size_t invalid = first_invalid(sql);
    bool unsent = strncmp(err->msg, "cannot connect", 14) == 0;
    if (rc == KL_E_CANCELLED) {
        kl_err_hint(err, "The server may still run the statement to its end.");
    } else if (!unsent && (rc == KL_E_IO || rc == KL_E_TIMEOUT)) {
        kl_err_hint(err, "Whether the statement took effect is not known.");
    }
    failure.hint = err->hint;
    if (invalid < sql.len || source->name != NULL) {
        failure.all = source->all;
        failure.place = offset + (invalid < sql.len ? invalid : 0);
    }
    print_failure(cli, &failure);
}

bool kl_cli__run_sql(
    struct kl_cli *cli, struct kl_slice sql, const struct kl_cli_source *source, size_t offset) {
    struct kl_err err = {0};
    struct kl_reply reply = {0};
    int64_t start = kl_clock_mono_ns();
    enum kl_rc rc = kl_cli__query(cli, sql, &reply, &err);
    double elapsed_ms = (double)(kl_clock_mono_ns() - start) / 1e6;
    if (rc != KL_OK) {
        show_no_answer(cli, rc, &err, sql, source, offset);
        return false;
    }
    /* A failed request may carry the results of the statements before the one that failed. */
    bool ok = show_results(cli, &reply, elapsed_ms) && !reply.failed;
    if (reply.failed) {
        show_refusal(cli, &reply, source, offset);
    }
    if (is_schema_change(sql)) {
        kl_cli__words_forget(cli);
    }
    kl_reply_deinit(&reply);
    return ok;
}

bool kl_cli__run_text(struct kl_cli *cli, struct kl_slice text, const char *name) {
    struct kl_cli_source source = {name, text};
    size_t pos = 0;
    bool ok = true;
    while (ok && !cli->quit && !kl_cli__interrupted()) {
        struct kl_split_part part;
        kl_cli__split_next(text, &pos, &part);
        if (part.kind == KL_SPLIT_NONE) {
            break;
        }
        ok = part.kind == KL_SPLIT_COMMAND ? kl_cli__run_command(cli, part.text)
                                           : kl_cli__run_sql(cli, part.text, &source, part.offset);
    }
    return ok && !kl_cli__interrupted();
}

static enum kl_rc read_all(int fd, const char *name, struct kl_buf *ret, struct kl_err *err) {
    char bytes[64 * 1024];
    for (;;) {
        ssize_t n = read(fd, bytes, sizeof(bytes));
        if (n < 0 && errno == EINTR && !kl_cli__interrupted()) {
            continue;
        }
        if (n < 0) {
            return kl_fail(err, KL_E_IO, "%s: %s", name, strerror(errno));
        }
        if (n == 0) {
            return KL_OK;
        }
        kl_buf_append(ret, bytes, (size_t)n);
        if (ret->failed) {
            return kl_fail(err, KL_E_TOO_LARGE, "%s: a script is at most 1 GiB", name);
        }
    }
}

bool kl_cli__run_file(struct kl_cli *cli, const char *path) {
    struct kl_err err;
    if (cli->include_depth == MAX_INCLUDE) {
        kl_fail(&err, KL_E_INVALID_INPUT, "%s: scripts include each other more than %d deep", path,
            MAX_INCLUDE);
        kl_cli__complain(cli, &err);
        return false;
    }
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct kl_buf text;
    kl_buf_init(&text, MAX_SCRIPT);
    enum kl_rc rc = fd < 0 ? kl_fail(&err, KL_E_IO, "%s: %s", path, strerror(errno))
                           : read_all(fd, standard ? "standard input" : path, &text, &err);
    if (fd >= 0 && !standard) {
        close(fd);
    }
    bool ok = rc == KL_OK;
    if (ok) {
        struct kl_slice body = kl_buf_view(&text);
        if (kl_slice_starts_with(body, KL_S("\xef\xbb\xbf"))) {
            body = kl_slice_from(body, 3);
        }
        cli->include_depth++;
        ok = kl_cli__run_text(cli, body, standard ? "stdin" : path);
        cli->include_depth--;
    } else {
        kl_cli__complain(cli, &err);
    }
    kl_buf_deinit(&text);
    return ok;
}
