/* Start, choice of what to run, exit code. */
#include "cli/internal.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define EXIT_INTERRUPTED 130

/* Tables are Unicode whatever the locale says; only the widths of characters come from it. */
static void set_locale(void) {
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
        setlocale(LC_CTYPE, "C.UTF-8");
    }
}

static void greet(struct kl_cli *cli) {
    struct kl_buf out = {0};
    kl_buf_printf(&out, "kalam %s, connected to %s", KL_VERSION, cli->url.authority);
    if (cli->version != NULL) {
        kl_buf_printf(&out, " (KalamDB %s)", cli->version);
    }
    if (cli->user != NULL) {
        kl_buf_printf(&out, " as %s", cli->user);
    }
    kl_buf_puts(&out, ".\n\\? lists the commands, \\q leaves.\n\n");
    kl_cli__print(cli, &out);
    kl_buf_deinit(&out);
}

static bool run_subscribe(struct kl_cli *cli) {
    struct kl_buf line = {0};
    kl_buf_printf(&line, "\\subscribe %s", cli->o.subscribe);
    bool ok = kl_cli__run_command(cli, kl_buf_view(&line));
    kl_buf_deinit(&line);
    return ok;
}

static bool run_commands(struct kl_cli *cli) {
    bool ok = true;
    for (size_t i = 0; ok && !cli->quit && i < cli->o.command_count; i++) {
        ok = kl_cli__run_text(cli, kl_slice_str(cli->o.commands[i]), NULL);
    }
    return ok;
}

static int run(struct kl_cli *cli) {
    struct kl_err err = {0};
    if (kl_cli__connect(cli, &err) != KL_OK) {
        kl_cli__complain(cli, &err);
        return kl_cli__interrupted() ? EXIT_INTERRUPTED : 1;
    }
    bool ok;
    if (cli->o.subscribe != NULL) {
        ok = run_subscribe(cli);
    } else if (cli->o.command_count > 0) {
        ok = run_commands(cli);
    } else if (cli->o.file != NULL) {
        ok = kl_cli__run_file(cli, cli->o.file);
    } else if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        ok = kl_cli__run_file(cli, "-");
    } else {
        cli->interactive = cli->timing = true;
        kl_cli__describe(cli);
        greet(cli);
        return kl_cli__prompt(cli);
    }
    return kl_cli__interrupted() ? EXIT_INTERRUPTED : ok ? 0 : 1;
}

int kl_cli_main(int argc, char **argv) {
    struct kl_cli cli = {.expanded = KL_CLI_AUTO};
    struct kl_err err = {0};
    set_locale();
    if (kl_cli__options_parse(argc, argv, &cli.o, &err) != KL_OK) {
        fprintf(stderr, "kalam: %s\nkalam --help lists the options.\n", err.msg);
        return EXIT_USAGE;
    }
    if (cli.o.help || cli.o.version) {
        int n = cli.o.help ? fputs(kl_cli__usage, stdout) : printf("kalam %s\n", KL_VERSION);
        return n < 0 || fflush(stdout) != 0;
    }
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    cli.color = isatty(STDOUT_FILENO) && !cli.o.no_color && !(no_color && no_color[0]) &&
                !(term && strcmp(term, "dumb") == 0);
    cli.format = cli.o.format;
    int code = run(&cli);
    kl_client_free(cli.client);
    kl_cli__words_forget(&cli);
    kl_cli__forget_secret(&cli);
    free(cli.namespace_id);
    free(cli.user);
    free(cli.role);
    free(cli.version);
    return code;
}
