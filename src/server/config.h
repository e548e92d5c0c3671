/* Configuration: one table (api/config.def), a TOML file, the environment and the command line. See
 * config.c. */
#ifndef KL_SERVER_CONFIG_H
#define KL_SERVER_CONFIG_H

#include "base/base.h"

/* The choices of the KL_CONFIG_ENUM keys, in the order of api/config.def. logging_level is an enum
 * kl_log_level. */
enum kl_config_durability { KL_CONFIG_DURABILITY_SYNC, KL_CONFIG_DURABILITY_ASYNC };
enum kl_config_executor {
    KL_CONFIG_EXECUTOR_AUTO,
    KL_CONFIG_EXECUTOR_NATIVE,
    KL_CONFIG_EXECUTOR_DUCKDB
};
enum kl_config_log_format { KL_CONFIG_LOG_COMPACT, KL_CONFIG_LOG_JSON, KL_CONFIG_LOG_PRETTY };

struct kl_config_list {
    const char **items;
    size_t count;
};

/* Immutable once loaded; any thread may read it. Strings are never NULL and live until
 * kl_config_deinit. */
struct kl_config {
#define KL_CONFIG_INT(key, field, def, min, max, env, doc) int64_t field;
#define KL_CONFIG_BOOL(key, field, def, env, doc) bool field;
#define KL_CONFIG_STR(key, field, def, env, doc) const char *field;
#define KL_CONFIG_SECRET(key, field, env, doc) const char *field;
#define KL_CONFIG_LIST(key, field, def, env, doc) struct kl_config_list field;
#define KL_CONFIG_ENUM(key, field, def, choices, env, doc) int field;
#include "../../api/config.def"
    const char *file;               /* that was read; "" for none */
    struct kl_config_list warnings; /* whole sentences for the log, in order */
    struct kl_arena arena;
};

struct kl_config_source {
    const char *file;     /* TOML file; NULL: none */
    char *const *env;     /* as environ; NULL: none */
    const char *data_dir; /* --data; NULL: not given */
    const char *listen;   /* --listen HOST:PORT; NULL: not given */
};

/* Defaults, then file, then environment, then command line; then all values are checked together.
 * An error names file and line (or the variable, or the option), key, value and what is allowed;
 * secrets are never shown. Reads a file: not on a loop. On failure *ret is untouched. */
enum kl_rc kl_config_load(
    const struct kl_config_source *source, struct kl_config *ret, struct kl_err *err);
void kl_config_deinit(struct kl_config *c); /* accepts a zeroed one */

/* Where the file is when no --config names one: ./server.toml, else server.toml beside the
 * executable. False: neither. */
bool kl_config_find_file(char *ret_path, size_t size);

/* Loopback: only this machine can reach it. Takes localhost, 127.0.0.0/8 and ::1. */
bool kl_config_is_loopback(const char *host);

/* ---- the table itself: for system.settings and documentation ---- */
enum kl_config_type {
    KL_CONFIG_TYPE_INT,
    KL_CONFIG_TYPE_BOOL,
    KL_CONFIG_TYPE_STR,
    KL_CONFIG_TYPE_SECRET,
    KL_CONFIG_TYPE_LIST,
    KL_CONFIG_TYPE_ENUM,
};
struct kl_config_key {
    const char *key; /* "server.port" */
    enum kl_config_type type;
    const char *def;     /* as in a variable: lists with commas */
    int64_t min, max;    /* INT */
    const char *choices; /* ENUM: "a|b|c" */
    const char *env;     /* "" when there is no variable for it */
    const char *doc;
    size_t offset; /* in struct kl_config */
};
/* The active keys in the order of api/config.def. */
const struct kl_config_key *kl_config_keys(size_t *ret_count);
/* The value as text, lists with commas, "****" for a secret that is set. */
void kl_config_show(const struct kl_config *c, const struct kl_config_key *key, struct kl_buf *out);

/* ---- command line ---- */
enum kl_config_action { KL_CONFIG_RUN, KL_CONFIG_HELP, KL_CONFIG_VERSION };
struct kl_config_args {
    enum kl_config_action action;
    const char *config, *data_dir, *listen; /* borrowed from argv; NULL when not given */
};
/* --option VALUE and --option=VALUE. */
enum kl_rc kl_config_args_parse(
    int argc, char *const *argv, struct kl_config_args *ret, struct kl_err *err);
void kl_config_help(struct kl_buf *out);

#endif
