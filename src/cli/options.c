/* The command line of kalam. Pure, but for getopt's own state. */
#include "cli/internal.h"

#include <getopt.h>
#include <limits.h>

const char kl_cli__usage[] =
    "kalam: SQL and live queries from the command line of KalamDB\n"
    "\n"
    "Usage: kalam [OPTION]...\n"
    "\n"
    "Without options it opens a prompt as root on the server of this machine.\n"
    "SQL from standard input runs when that is not a terminal.\n"
    "\n"
    "Where to connect\n"
    "  -u, --url URL          http://host:port or https://host:port; without a scheme\n"
    "                         http for this machine and https for any other\n"
    "  -H, --host HOST        the same by host (default localhost)\n"
    "  -p, --port PORT        and by port (default 8080)\n"
    "\n"
    "Who to be\n"
    "      --user NAME        log in; asks for the password without --password\n"
    "      --password TEXT    password of --user; better in KALAMDB_PASSWORD, where\n"
    "                         other users of the machine cannot read it\n"
    "      --token TOKEN      access token; or in KALAMDB_TOKEN\n"
    "  Without any of them: root, by the token file that the server on this machine\n"
    "  keeps for its own operating-system user.\n"
    "\n"
    "What to run\n"
    "  -c, --command SQL      run statements and exit; may be given several times\n"
    "  -f, --file FILE        run a script and exit; - is standard input\n"
    "      --subscribe SQL    follow a SELECT until Ctrl+C\n"
    "      --subscription-timeout SECONDS\n"
    "                         end every subscription after that long; 0 is never\n"
    "      --timeout SECONDS  give up on a statement after that long; 0 is never\n"
    "\n"
    "How to show it\n"
    "      --format FORMAT    table, json or csv (default table)\n"
    "      --json, --csv      short for --format json and --format csv\n"
    "      --no-color         no colours; so does the variable NO_COLOR\n"
    "\n"
    "  -v, --version          print the version and exit\n"
    "      --help             print this and exit\n"
    "\n"
    "Exit code: 0 all statements succeeded, 1 one failed, 2 wrong usage,\n"
    "130 interrupted. At the prompt, \\? lists its commands.\n";

enum {
    OPT_USER = 256,
    OPT_PASSWORD,
    OPT_TOKEN,
    OPT_FORMAT,
    OPT_JSON,
    OPT_CSV,
    OPT_NO_COLOR,
    OPT_TIMEOUT,
    OPT_SUBSCRIBE,
    OPT_SUBSCRIPTION_TIMEOUT,
    OPT_HELP
};

static const struct option long_options[] = {
    {"url", required_argument, NULL, 'u'},
    {"host", required_argument, NULL, 'H'},
    {"port", required_argument, NULL, 'p'},
    {"user", required_argument, NULL, OPT_USER},
    {"password", required_argument, NULL, OPT_PASSWORD},
    {"token", required_argument, NULL, OPT_TOKEN},
    {"command", required_argument, NULL, 'c'},
    {"file", required_argument, NULL, 'f'},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"json", no_argument, NULL, OPT_JSON},
    {"csv", no_argument, NULL, OPT_CSV},
    {"no-color", no_argument, NULL, OPT_NO_COLOR},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"subscribe", required_argument, NULL, OPT_SUBSCRIBE},
    {"subscription-timeout", required_argument, NULL, OPT_SUBSCRIPTION_TIMEOUT},
    {"version", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

bool kl_cli__format_parse(const char *name, enum kl_cli_format *ret) {
    for (enum kl_cli_format f = KL_CLI_TABLE; f <= KL_CLI_CSV; f++) {
        if (strcmp(name, kl_cli__format_name(f)) == 0) {
            *ret = f;
            return true;
        }
    }
    return false;
}

const char *kl_cli__format_name(enum kl_cli_format format) {
    return format == KL_CLI_JSON ? "json" : format == KL_CLI_CSV ? "csv" : "table";
}

static enum kl_rc parse_seconds(const char *name, int *ret_ms, struct kl_err *err) {
    double seconds = 0;
    if (!kl_parse_double(kl_slice_str(optarg), &seconds) ||
        !(seconds >= 0 && seconds <= INT_MAX / 1000)) {
        return kl_fail(
            err, KL_E_INVALID_INPUT, "%s wants a number of seconds, not \"%s\"", name, optarg);
    }
    *ret_ms = seconds > 0 && seconds < 0.001 ? 1 : (int)(seconds * 1000);
    return KL_OK;
}

static enum kl_rc parse_port(int *ret, struct kl_err *err) {
    int64_t port = 0;
    if (!kl_parse_i64(kl_slice_str(optarg), &port) || port < 1 || port > 65535) {
        return kl_fail(
            err, KL_E_INVALID_INPUT, "--port wants a number from 1 to 65535, not \"%s\"", optarg);
    }
    *ret = (int)port;
    return KL_OK;
}

static enum kl_rc add_command(struct kl_cli_options *o, struct kl_err *err) {
    if (o->command_count == KL_LEN(o->commands)) {
        return kl_fail(err, KL_E_INVALID_INPUT, "at most %zu --command can be given; use --file",
            KL_LEN(o->commands));
    }
    o->commands[o->command_count++] = optarg;
    return KL_OK;
}

static enum kl_rc take_option(struct kl_cli_options *o, int which, struct kl_err *err) {
    switch (which) {
    case 'u':
        o->url = optarg;
        return KL_OK;
    case 'H':
        o->host = optarg;
        return KL_OK;
    case 'p':
        return parse_port(&o->port, err);
    case 'c':
        return add_command(o, err);
    case 'f':
        o->file = optarg;
        return KL_OK;
    case 'v':
        o->version = true;
        return KL_OK;
    case OPT_USER:
        o->user = optarg;
        return KL_OK;
    case OPT_PASSWORD:
        o->password = optarg;
        return KL_OK;
    case OPT_TOKEN:
        o->token = optarg;
        return KL_OK;
    case OPT_JSON:
        o->format = KL_CLI_JSON;
        return KL_OK;
    case OPT_CSV:
        o->format = KL_CLI_CSV;
        return KL_OK;
    case OPT_NO_COLOR:
        o->no_color = true;
        return KL_OK;
    case OPT_TIMEOUT:
        return parse_seconds("--timeout", &o->timeout_ms, err);
    case OPT_SUBSCRIBE:
        o->subscribe = optarg;
        return KL_OK;
    case OPT_SUBSCRIPTION_TIMEOUT:
        return parse_seconds("--subscription-timeout", &o->subscription_timeout_ms, err);
    case OPT_HELP:
        o->help = true;
        return KL_OK;
    case OPT_FORMAT:
        return kl_cli__format_parse(optarg, &o->format)
                   ? KL_OK
                   : kl_fail(err, KL_E_INVALID_INPUT, "--format is table, json or csv, not \"%s\"",
                         optarg);
    default:
        KL_UNREACHABLE();
    }
}

static enum kl_rc check_together(const struct kl_cli_options *o, struct kl_err *err) {
    const char *text = NULL;
    if (o->url && (o->host || o->port)) {
        text = "--url already says host and port";
    } else if ((o->command_count > 0) + (o->file != NULL) + (o->subscribe != NULL) > 1) {
        text = "--command, --file and --subscribe exclude each other";
    } else if (o->token && o->user) {
        text = "--token and --user exclude each other";
    } else if (o->password && !o->user) {
        text = "--password needs --user";
    }
    return text ? kl_fail(err, KL_E_INVALID_INPUT, "%s", text) : KL_OK;
}

enum kl_rc kl_cli__options_parse(
    int argc, char **argv, struct kl_cli_options *ret, struct kl_err *err) {
    struct kl_cli_options o = {0};
    optind = 0; /* start over, also in getopt's hidden state */
    opterr = 0;
    for (;;) {
        int at = optind ? optind : 1;
        int which = getopt_long(argc, argv, "+:u:H:p:c:f:v", long_options, NULL);
        if (which == -1) {
            break;
        }
        if (which == ':') {
            return kl_fail(err, KL_E_INVALID_INPUT, "%s needs a value", argv[at]);
        }
        if (which == '?') {
            return kl_fail(err, KL_E_INVALID_INPUT, "unknown or ambiguous option %s", argv[at]);
        }
        KL_TRY(take_option(&o, which, err));
    }
    if (optind < argc) {
        return kl_fail(err, KL_E_INVALID_INPUT, "unexpected argument \"%s\"", argv[optind]);
    }
    if (!o.help && !o.version) {
        KL_TRY(check_together(&o, err));
    }
    *ret = o;
    return KL_OK;
}
