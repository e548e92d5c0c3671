/* The command line of kalamdb-server and its --help. Any thread. */
#include "server/config_internal.h"

static const char usage[] =
    "Usage: kalamdb-server [--config FILE] [--data DIR] [--listen HOST:PORT]\n"
    "\n"
    "  --config FILE       read this TOML file; else ./server.toml, else server.toml beside\n"
    "                      the executable, else defaults only\n"
    "  --data DIR          data directory (storage.data_path)\n"
    "  --listen HOST:PORT  address to listen on (server.host, server.port); port 0 picks a\n"
    "                      free one; an IPv6 host in brackets\n"
    "  --version           print the version and exit\n"
    "  --help              print this and exit\n"
    "\n"
    "The command line wins over the environment, the environment over the file. With no\n"
    "configuration the server listens on 127.0.0.1:8080 and keeps its data in ./data.\n";

struct option {
    const char *name;
    const char **value; /* NULL: takes none */
    enum kl_config_action action;
};

static const struct option *find_option(
    const struct option *options, size_t count, struct kl_slice name) {
    for (size_t i = 0; i < count; i++) {
        if (kl_slice_eq_str(name, options[i].name)) {
            return &options[i];
        }
    }
    return NULL;
}

enum kl_rc kl_config_args_parse(
    int argc, char *const *argv, struct kl_config_args *ret, struct kl_err *err) {
    struct kl_config_args args = {.action = KL_CONFIG_RUN};
    const struct option options[] = {
        {"--config", &args.config, KL_CONFIG_RUN},
        {"--data", &args.data_dir, KL_CONFIG_RUN},
        {"--listen", &args.listen, KL_CONFIG_RUN},
        {"--help", NULL, KL_CONFIG_HELP},
        {"-h", NULL, KL_CONFIG_HELP},
        {"--version", NULL, KL_CONFIG_VERSION},
        {"-V", NULL, KL_CONFIG_VERSION},
    };
    for (int i = 1; i < argc; i++) {
        size_t len = strcspn(argv[i], "=");
        const char *value = argv[i][len] == '=' ? argv[i] + len + 1 : NULL;
        const struct option *o = find_option(options, KL_LEN(options), kl_slice(argv[i], len));
        if (o == NULL || (o->value == NULL && value != NULL)) {
            return kl_fail(err, KL_E_INVALID_INPUT,
                "unknown argument %.200s; see kalamdb-server --help", argv[i]);
        }
        if (o->value == NULL) {
            args.action = o->action;
            continue;
        }
        if (*o->value != NULL) {
            return kl_fail(err, KL_E_INVALID_INPUT, "%s is given twice", o->name);
        }
        if (value == NULL && i + 1 < argc) {
            value = argv[++i];
        }
        if (value == NULL || value[0] == '\0') {
            return kl_fail(err, KL_E_INVALID_INPUT, "%s needs a value", o->name);
        }
        *o->value = value;
    }
    *ret = args;
    return KL_OK;
}

static void help_variable(struct kl_buf *out, const char *env, const char *key) {
    if (env[0] != '\0') {
        kl_buf_printf(out, "  %-48s %s\n", env, key);
    }
}

static void help_ignored_variables(struct kl_buf *out) {
    static const char *const names[] = {
#define KL_CONFIG_IGNORED(key, env, why) env,
#include "../../api/config.def"
    };
    kl_buf_puts(out, "Accepted with a warning, since they mean nothing here:\n");
    for (size_t i = 0; i < KL_LEN(names); i++) {
        if (names[i][0] != '\0') {
            kl_buf_printf(out, "  %s\n", names[i]);
        }
    }
}

void kl_config_help(struct kl_buf *out) {
    size_t count;
    const struct kl_config_key *keys = kl_config_keys(&count);
    kl_buf_puts(out, usage);
    kl_buf_puts(out, "\nEnvironment (each sets the key beside it; an empty one is not set):\n");
    for (size_t i = 0; i < count; i++) {
        help_variable(out, keys[i].env, keys[i].key);
    }
#define KL_CONFIG_ALIAS(key, env, target) help_variable(out, env, target);
#include "../../api/config.def"
#define KL_CONFIG_REFUSED(key, env, why) help_variable(out, env, "refused: " why);
#include "../../api/config.def"
    help_ignored_variables(out);
    kl_buf_puts(out, "\nKeys of the file, with their defaults (docs/server.toml.example says what "
                     "they mean):\n");
    for (size_t i = 0; i < count; i++) {
        kl_buf_printf(
            out, "  %-48s %s\n", keys[i].key, keys[i].def[0] != '\0' ? keys[i].def : "\"\"");
    }
}
