/* Lines that start with a backslash: about the session, or short for a statement. */
#include "cli/internal.h"

#include <ctype.h>
#include <stdlib.h>

const char *const kl_cli__command_names[] = {"\\?", "\\as", "\\d", "\\dn", "\\dt", "\\du",
    "\\flush", "\\format", "\\help", "\\i", "\\info", "\\jobs", "\\live", "\\q", "\\quit",
    "\\sessions", "\\stats", "\\storages", "\\subscribe", "\\timing", "\\use", "\\watch", "\\x",
    NULL};

static const char help_text[] =
    "Statements end with ; and may take several lines. A transaction from BEGIN to\n"
    "COMMIT is sent as a whole. Tab completes, Ctrl+C stops what is running.\n"
    "\n"
    "  \\d [TABLE]             columns of a table, or all tables\n"
    "  \\dt  \\dn  \\du          tables, namespaces, users\n"
    "  \\storages              storages\n"
    "  \\jobs  \\stats          background jobs, figures of the server\n"
    "  \\sessions              open sessions\n"
    "  \\flush                 move the rows of the namespace to cold storage\n"
    "  \\info                  this session\n"
    "  \\subscribe SELECT ... [OPTIONS (last_rows = N)]\n"
    "                         follow a query until Ctrl+C; also \\watch and \\live\n"
    "  \\as USER SQL           run a statement as another user\n"
    "  \\use NAMESPACE         where names without a namespace are looked up\n"
    "  \\i FILE                run a script\n"
    "  \\x [on|off|auto]       one line per column instead of one per row\n"
    "  \\timing [on|off]       show how long statements take\n"
    "  \\format [table|json|csv]\n"
    "  \\? or \\help            this text\n"
    "  \\q                     leave; so does Ctrl+D\n";

static bool refuse(struct kl_cli *cli, const char *text, const char *hint) {
    struct kl_err err;
    kl_fail(&err, KL_E_INVALID_INPUT, "%s", text);
    if (hint != NULL) {
        kl_err_hint(&err, "%s", hint);
    }
    kl_cli__complain(cli, &err);
    return false;
}

static void say(struct kl_cli *cli, const char *text) {
    struct kl_buf out = {0};
    kl_buf_puts(&out, text);
    kl_cli__print(cli, &out);
    kl_buf_deinit(&out);
}

static bool run_made(struct kl_cli *cli, struct kl_buf *sql) {
    struct kl_cli_source source = {NULL, kl_buf_view(sql)};
    bool ok = sql->failed ? refuse(cli, "the statement is too long", NULL)
                          : kl_cli__run_sql(cli, kl_buf_view(sql), &source, 0);
    kl_buf_deinit(sql);
    return ok;
}

static bool run_fixed(struct kl_cli *cli, const char *text) {
    struct kl_buf sql = {0};
    kl_buf_puts(&sql, text);
    return run_made(cli, &sql);
}

static void put_literal(struct kl_buf *sql, struct kl_slice text) {
    kl_buf_putc(sql, '\'');
    for (size_t i = 0; i < text.len; i++) {
        kl_buf_puts(sql, text.ptr[i] == '\'' ? "'" : "");
        kl_buf_putc(sql, text.ptr[i]);
    }
    kl_buf_putc(sql, '\'');
}

/* An identifier as SQL folds it: quoted keeps its case, others become lower case. */
static struct kl_slice take_name(struct kl_slice *rest, char *space, size_t size) {
    size_t n = 0, i = 0;
    bool quoted = rest->len > 0 && rest->ptr[0] == '"';
    for (i = quoted; i < rest->len; i++) {
        char c = rest->ptr[i];
        if (quoted && c == '"') {
            if (i + 1 < rest->len && rest->ptr[i + 1] == '"') {
                i++;
            } else {
                i++;
                break;
            }
        } else if (!quoted && c == '.') {
            break;
        }
        if (n + 1 < size) {
            space[n++] = quoted ? c : (char)tolower((unsigned char)c);
        }
    }
    *rest = kl_slice_from(*rest, i);
    return kl_slice(space, n);
}

static bool describe(struct kl_cli *cli, struct kl_slice name) {
    if (name.len == 0) {
        return run_fixed(cli,
            "SELECT namespace_id AS namespace, table_name, table_type FROM system.tables "
            "ORDER BY namespace_id, table_name");
    }
    char first[256], second[256];
    struct kl_slice space = KL_SLICE_NONE, table = take_name(&name, first, sizeof(first));
    if (name.len > 0 && name.ptr[0] == '.') {
        name = kl_slice_from(name, 1);
        space = table;
        table = take_name(&name, second, sizeof(second));
    } else if (cli->namespace_id != NULL) {
        space = kl_slice_str(cli->namespace_id);
    }
    struct kl_buf sql = {0};
    kl_buf_puts(&sql,
        "SELECT table_schema AS namespace, column_name, data_type, is_nullable, column_default "
        "FROM information_schema.columns WHERE table_name = ");
    put_literal(&sql, table);
    if (space.ptr != NULL) {
        kl_buf_puts(&sql, " AND table_schema = ");
        put_literal(&sql, space);
    }
    kl_buf_puts(&sql, " ORDER BY table_schema, ordinal_position");
    return run_made(cli, &sql);
}

static bool subscribe(struct kl_cli *cli, struct kl_slice rest) {
    struct kl_slice sql;
    json_t *options = NULL;
    struct kl_err err = {0};
    if (rest.len >= 9 && kl_slice_ieq_str(kl_slice(rest.ptr, 9), "subscribe")) {
        struct kl_cli_source source = {NULL, rest};
        return kl_cli__run_sql(cli, rest, &source, 0);
    }
    if (rest.len < 6 || !kl_slice_ieq_str(kl_slice(rest.ptr, 6), "select")) {
        return refuse(cli, "\\subscribe wants a SELECT",
            "\\subscribe SELECT * FROM chat.messages OPTIONS (last_rows = 20)");
    }
    if (kl_cli__split_options(rest, &sql, &options, &err) != KL_OK) {
        kl_cli__complain(cli, &err);
        return false;
    }
    char *text = kl_xprintf("%.*s", KL_FMT(sql));
    bool ok = kl_cli__watch(cli, text, NULL, options);
    free(text);
    json_decref(options);
    return ok;
}

/* The first word of *rest, which may be quoted; moves *rest behind it. */
static struct kl_slice take_word(struct kl_slice *rest) {
    char quote = rest->len > 0 && (rest->ptr[0] == '\'' || rest->ptr[0] == '"') ? rest->ptr[0] : 0;
    size_t i = quote != 0, start = i;
    while (
        i < rest->len && (quote ? rest->ptr[i] != quote : !isspace((unsigned char)rest->ptr[i]))) {
        i++;
    }
    struct kl_slice word = kl_slice(rest->ptr + start, i - start);
    *rest = kl_slice_trim(kl_slice_from(*rest, i + (quote && i < rest->len)));
    return word;
}

static bool run_as(struct kl_cli *cli, struct kl_slice rest) {
    struct kl_slice user = take_word(&rest);
    while (rest.len > 0 && rest.ptr[rest.len - 1] == ';') {
        rest = kl_slice_trim(kl_slice(rest.ptr, rest.len - 1));
    }
    if (user.len == 0 || rest.len == 0) {
        return refuse(
            cli, "\\as wants a user and a statement", "\\as alice SELECT * FROM chat.messages");
    }
    struct kl_buf sql = {0};
    kl_buf_puts(&sql, "EXECUTE AS USER ");
    put_literal(&sql, user);
    kl_buf_printf(&sql, " (%.*s\n)", KL_FMT(rest)); /* the line end closes a comment */
    return run_made(cli, &sql);
}

/* "on", "off" or nothing, which turns it over. */
static bool take_switch(struct kl_cli *cli, struct kl_slice rest, bool *value) {
    if (rest.len == 0) {
        *value = !*value;
    } else if (kl_slice_ieq_str(rest, "on") || kl_slice_ieq_str(rest, "off")) {
        *value = rest.len == 2;
    } else {
        return refuse(cli, "on or off", NULL);
    }
    return true;
}

static bool set_timing(struct kl_cli *cli, struct kl_slice rest) {
    if (!take_switch(cli, rest, &cli->timing)) {
        return false;
    }
    say(cli, cli->timing ? "Timing is on.\n" : "Timing is off.\n");
    return true;
}

static bool set_expanded(struct kl_cli *cli, struct kl_slice rest) {
    bool on = cli->expanded == KL_CLI_TALL;
    if (kl_slice_ieq_str(rest, "auto")) {
        cli->expanded = KL_CLI_AUTO;
        say(cli, "Expanded display is used where the columns do not fit.\n");
        return true;
    }
    if (!take_switch(cli, rest, &on)) {
        return false;
    }
    cli->expanded = on ? KL_CLI_TALL : KL_CLI_WIDE;
    say(cli, on ? "Expanded display is on.\n" : "Expanded display is off.\n");
    return true;
}

static bool set_format(struct kl_cli *cli, struct kl_slice rest) {
    char name[16];
    snprintf(name, sizeof(name), "%.*s", KL_FMT(rest));
    if (rest.len > 0 && !kl_cli__format_parse(name, &cli->format)) {
        return refuse(cli, "the format is table, json or csv", NULL);
    }
    snprintf(name, sizeof(name), "Format %s\n", kl_cli__format_name(cli->format));
    if (cli->interactive || rest.len == 0) {
        say(cli, name);
    }
    return true;
}

static bool use(struct kl_cli *cli, struct kl_slice rest) {
    if (rest.len == 0) {
        return refuse(cli, "\\use wants a namespace", NULL);
    }
    struct kl_buf sql = {0};
    kl_buf_printf(&sql, "USE NAMESPACE %.*s", KL_FMT(rest));
    return run_made(cli, &sql);
}

static bool info(struct kl_cli *cli, struct kl_slice rest) {
    kl_cli__describe(cli);
    struct kl_buf out = {0};
    kl_buf_printf(&out, "Server     %s://%s", cli->url.tls ? "https" : "http", cli->url.authority);
    kl_buf_printf(
        &out, "%s%s\n", cli->version ? ", version " : "", cli->version ? cli->version : "");
    kl_buf_printf(&out, "Client     kalam %s\n", KL_VERSION);
    kl_buf_printf(&out, "User       %s%s%s\n", cli->user ? cli->user : "unknown",
        cli->role ? ", role " : "", cli->role ? cli->role : "");
    kl_buf_printf(&out, "Login      %s\n",
        cli->local_token ? "local root token"
        : cli->o.user    ? "password"
                         : "access token");
    kl_buf_printf(&out, "Namespace  %s\n", cli->namespace_id ? cli->namespace_id : "default");
    kl_buf_printf(&out, "Format     %s\n", kl_cli__format_name(cli->format));
    kl_buf_printf(&out, "Timing     %s\n", cli->timing ? "on" : "off");
    kl_cli__print(cli, &out);
    kl_buf_deinit(&out);
    return true;
}

static bool help(struct kl_cli *cli, struct kl_slice rest) {
    say(cli, help_text);
    return true;
}

static bool leave(struct kl_cli *cli, struct kl_slice rest) {
    cli->quit = true;
    return true;
}

static bool include(struct kl_cli *cli, struct kl_slice rest) {
    if (rest.len == 0) {
        return refuse(cli, "\\i wants a file", NULL);
    }
    char *path = kl_xprintf("%.*s", KL_FMT(rest));
    bool ok = kl_cli__run_file(cli, path);
    free(path);
    return ok;
}

/* Either a function or a statement. */
static const struct {
    const char *name;
    bool (*run)(struct kl_cli *cli, struct kl_slice rest);
    const char *sql;
} commands[] = {
    {"?", help, NULL},
    {"help", help, NULL},
    {"h", help, NULL},
    {"q", leave, NULL},
    {"quit", leave, NULL},
    {"d", describe, NULL},
    {"describe", describe, NULL},
    {"info", info, NULL},
    {"subscribe", subscribe, NULL},
    {"watch", subscribe, NULL},
    {"live", subscribe, NULL},
    {"as", run_as, NULL},
    {"use", use, NULL},
    {"i", include, NULL},
    {"x", set_expanded, NULL},
    {"timing", set_timing, NULL},
    {"format", set_format, NULL},
    {"dt", NULL,
        "SELECT namespace_id AS namespace, table_name, table_type FROM system.tables "
        "ORDER BY namespace_id, table_name"},
    {"tables", NULL,
        "SELECT namespace_id AS namespace, table_name, table_type FROM system.tables "
        "ORDER BY namespace_id, table_name"},
    {"dn", NULL, "SELECT name, created_at FROM system.namespaces ORDER BY name"},
    {"du", NULL,
        "SELECT user_id, role, email, auth_type, created_at, deleted_at FROM system.users ORDER BY "
        "user_id"},
    {"storages", NULL, "SHOW STORAGES"},
    {"jobs", NULL,
        "SELECT job_id, job_type, status, message, created_at, finished_at FROM system.jobs "
        "ORDER BY created_at DESC LIMIT 20"},
    {"stats", NULL, "SELECT metric_name, metric_value FROM system.stats ORDER BY metric_name"},
    {"sessions", NULL, "SELECT * FROM system.sessions ORDER BY last_seen_at DESC, session_id"},
    {"flush", NULL, "STORAGE FLUSH ALL"},
};

bool kl_cli__run_command(struct kl_cli *cli, struct kl_slice line) {
    struct kl_slice rest = kl_slice_trim(kl_slice_from(line, 1));
    struct kl_slice name = take_word(&rest);
    if (name.len > 1 && name.ptr[name.len - 1] == ';') {
        name.len--;
    }
    bool keeps_end = kl_slice_eq_str(name, "subscribe") || kl_slice_eq_str(name, "as");
    while (!keeps_end && rest.len > 0 && rest.ptr[rest.len - 1] == ';') {
        rest = kl_slice_trim(kl_slice(rest.ptr, rest.len - 1));
    }
    for (size_t i = 0; i < KL_LEN(commands); i++) {
        if (kl_slice_eq_str(name, commands[i].name)) {
            return commands[i].run ? commands[i].run(cli, rest) : run_fixed(cli, commands[i].sql);
        }
    }
    struct kl_buf text = {0};
    kl_buf_printf(
        &text, "unknown command \\%.*s", (int)KL_MIN(name.len, 40), name.ptr ? name.ptr : "");
    kl_buf_putc(&text, '\0');
    bool ok = refuse(cli, text.data, "\\? lists the commands.");
    kl_buf_deinit(&text);
    return ok;
}
