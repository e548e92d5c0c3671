/* What the config*.c files share. */
#ifndef KL_SERVER_CONFIG_INTERNAL_H
#define KL_SERVER_CONFIG_INTERNAL_H

#include "server/config.h"
#include "server/toml.h"

/* Where a value comes from: what an error begins with. */
struct kl_config_origin {
    const char *file; /* with line */
    int line;
    const char *name; /* else the variable or option; NULL with no file: the default */
};

/* Names besides the active keys. */
enum kl_config_other_kind {
    KL_CONFIG_OTHER_ALIAS,
    KL_CONFIG_OTHER_IGNORED,
    KL_CONFIG_OTHER_REFUSED
};
struct kl_config_other {
    enum kl_config_other_kind kind;
    const char *key;  /* may hold `*` parts; "" when it is only a variable */
    const char *env;  /* "" for none */
    const char *text; /* target key, or why */
};

enum {
#define KL_CONFIG_INT(key, field, def, min, max, env, doc) KL_CONFIG_AT_##field,
#define KL_CONFIG_BOOL(key, field, def, env, doc) KL_CONFIG_AT_##field,
#define KL_CONFIG_STR(key, field, def, env, doc) KL_CONFIG_AT_##field,
#define KL_CONFIG_SECRET(key, field, env, doc) KL_CONFIG_AT_##field,
#define KL_CONFIG_LIST(key, field, def, env, doc) KL_CONFIG_AT_##field,
#define KL_CONFIG_ENUM(key, field, def, choices, env, doc) KL_CONFIG_AT_##field,
#include "../../api/config.def"
    KL_CONFIG_AT_COUNT,
};

struct kl_config_loader {
    struct kl_config *config;
    struct kl_config_origin origins[KL_CONFIG_AT_COUNT]; /* of each active key's value */
    struct kl_buf path;                                  /* the dotted key being looked at */
    size_t warnings_cap;
    struct kl_err *err;
};

/* config_table.c */
const struct kl_config_key *kl_config__find(struct kl_slice key); /* active, NULL when it is not */
const struct kl_config_key *kl_config__find_env(struct kl_slice name);
const struct kl_config_other *kl_config__find_other(struct kl_slice key);
const struct kl_config_other *kl_config__find_other_env(struct kl_slice name);
/* Whether some key of any kind begins with `path` and a dot. */
bool kl_config__is_section(struct kl_slice path);
/* The known active key (or variable) that looks most like it; NULL when none is near. */
const char *kl_config__nearest(struct kl_slice key);
const char *kl_config__nearest_env(struct kl_slice name);

/* config_value.c: turn text or TOML into the key's field. */
enum kl_rc kl_config__set_text(struct kl_config_loader *l, const struct kl_config_key *key,
    const char *text, const struct kl_config_origin *origin);
enum kl_rc kl_config__set_toml(struct kl_config_loader *l, const struct kl_config_key *key,
    const struct kl_toml *value, const struct kl_config_origin *origin);
/* Fails with "<origin>: <key> = <value>: <what is allowed>"; value NULL leaves it out. */
enum kl_rc kl_config__fail(struct kl_config_loader *l, const struct kl_config_key *key,
    const char *value, const struct kl_config_origin *origin, const char *fmt, ...) KL_PRINTF(5, 6);
/* "server.toml:12", "KALAMDB_SERVER_PORT" or "default" into out. */
void kl_config__origin_text(const struct kl_config_origin *origin, char *out, size_t size);

void kl_config__warn(struct kl_config_loader *l, const char *fmt, ...) KL_PRINTF(2, 3);

/* config_check.c: what no key can check alone. */
enum kl_rc kl_config__check(struct kl_config_loader *l);

#endif
