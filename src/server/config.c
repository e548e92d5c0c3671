/* Loading the configuration.
 *
 * Layers, each over the one before: defaults of api/config.def, the TOML file, KALAMDB_* variables,
 * the command line. Every value is checked against its key when it is set (config_value.c) and all
 * together at the end (config_check.c), so that a bad file value is an error even where a variable
 * hides it. Unknown keys stop the start; a known key that means nothing here gives one warning; an
 * empty variable counts as not set. Warnings are collected: the log is not configured yet.
 *
 * Runs once, on the main thread, before any other starts. The result is immutable. */
#include "server/config_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_LIMIT (16u << 20)
#define TREE_LIMIT (64u << 20)
#define PATH_LIMIT 4096

/* ---- the file ---- */

static enum kl_rc unknown_key(struct kl_config_loader *l, const struct kl_config_origin *origin) {
    struct kl_slice path = kl_buf_view(&l->path);
    const char *nearest = kl_config__nearest(path);
    return kl_fail(l->err, KL_E_INVALID_INPUT, "%s:%d: unknown key %.120s%s%s%s", origin->file,
        origin->line, l->path.data, nearest != NULL ? "; did you mean " : "",
        nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
}

static enum kl_rc set_active(struct kl_config_loader *l, const struct kl_config_key *key,
    const struct kl_toml *value, const struct kl_config_origin *origin) {
    size_t count;
    const struct kl_config_origin *before = &l->origins[key - kl_config_keys(&count)];
    if (before->file != NULL) {
        return kl_config__fail(l, key, NULL, origin, "is already set on line %d", before->line);
    }
    return kl_config__set_toml(l, key, value, origin);
}

static enum kl_rc set_other(struct kl_config_loader *l, const struct kl_config_other *other,
    const struct kl_toml *value, const struct kl_config_origin *origin) {
    if (other->kind == KL_CONFIG_OTHER_ALIAS) {
        return set_active(l, kl_config__find(kl_slice_str(other->text)), value, origin);
    }
    bool is_empty = value->type == KL_TOML_ARRAY && value->first == NULL;
    if (other->kind == KL_CONFIG_OTHER_REFUSED && !is_empty) {
        return kl_fail(l->err, KL_E_UNSUPPORTED, "%s:%d: %s: %s", origin->file, origin->line,
            l->path.data, other->text);
    }
    kl_config__warn(l, "%s:%d: %.120s has no effect: %s", origin->file, origin->line, l->path.data,
        other->text);
    return KL_OK;
}

static enum kl_rc walk(struct kl_config_loader *l, const struct kl_toml *table);

static enum kl_rc walk_member(struct kl_config_loader *l, const struct kl_toml *member) {
    struct kl_slice path = kl_buf_view(&l->path);
    struct kl_config_origin origin = {.file = l->config->file, .line = member->line};
    /* A quoted name with a dot in it is no path. */
    bool is_path = memchr(member->key.ptr, '.', member->key.len) == NULL && member->key.len > 0;
    const struct kl_config_key *key = is_path ? kl_config__find(path) : NULL;
    if (key != NULL) {
        return set_active(l, key, member, &origin);
    }
    const struct kl_config_other *other = kl_config__find_other(path);
    if (other != NULL && (is_path || strchr(other->key, '*') != NULL)) {
        return set_other(l, other, member, &origin);
    }
    if (!is_path || !kl_config__is_section(path)) {
        return unknown_key(l, &origin);
    }
    if (member->type != KL_TOML_TABLE) {
        return kl_fail(l->err, KL_E_INVALID_INPUT, "%s:%d: %.120s is %s, must be a table",
            origin.file, origin.line, l->path.data, kl_toml_type_name(member->type));
    }
    return walk(l, member);
}

/* l->path is the path of `table`; it is kept NUL-terminated behind its end for messages. */
static enum kl_rc walk(struct kl_config_loader *l, const struct kl_toml *table) {
    size_t len = l->path.len;
    for (const struct kl_toml *member = table->first; member != NULL; member = member->next) {
        struct kl_slice name = member->key;
        if (len == 0 && kl_slice_eq(name, KL_S("authentication"))) {
            name = KL_S("auth");
        }
        if (len > 0) {
            kl_buf_putc(&l->path, '.');
        }
        kl_buf_slice(&l->path, name);
        kl_buf_putc(&l->path, '\0');
        if (l->path.failed || memchr(name.ptr, '\0', name.len) != NULL) {
            return kl_fail(l->err, KL_E_INVALID_INPUT, "%s:%d: a key is too long or holds a NUL",
                l->config->file, member->line);
        }
        l->path.len--;
        KL_TRY(walk_member(l, member));
        l->path.len = len;
    }
    return KL_OK;
}

static enum kl_rc read_file(const char *path, struct kl_buf *out, struct kl_err *err) {
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return kl_fail(err, KL_E_IO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    char chunk[8192];
    size_t n;
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0 && !out->failed) {
        kl_buf_append(out, chunk, n);
    }
    int error = ferror(f) ? errno : 0;
    fclose(f);
    if (error != 0) {
        return kl_fail(err, KL_E_IO, "%s: cannot be read: %s", path, strerror(error));
    }
    return out->failed ? kl_fail(err, KL_E_TOO_LARGE, "%s: is longer than %u bytes", path,
                             KL_TOML_MAX_BYTES)
                       : KL_OK;
}

static enum kl_rc load_file(struct kl_config_loader *l, const char *path) {
    l->config->file = kl_arena_dup(&l->config->arena, kl_slice_str(path)).ptr;
    if (l->config->file == NULL) {
        return kl_fail(l->err, KL_E_TOO_LARGE, "the path of the configuration file is too long");
    }
    struct kl_buf text;
    struct kl_arena tree;
    struct kl_toml *root;
    kl_buf_init(&text, KL_TOML_MAX_BYTES);
    kl_arena_init(&tree, TREE_LIMIT);
    enum kl_rc rc = read_file(path, &text, l->err);
    if (rc == KL_OK) {
        rc = kl_toml_parse(kl_buf_view(&text), &tree, &root, l->err);
        if (rc != KL_OK) {
            kl_err_prefix(l->err, "%s: ", path);
        }
    }
    if (rc == KL_OK) {
        rc = walk(l, root);
    }
    kl_arena_deinit(&tree);
    if (text.data != NULL) {
        explicit_bzero(text.data, text.cap); /* it may have held secrets */
    }
    kl_buf_deinit(&text);
    return rc;
}

/* A secret that every user of the machine can read is none. */
static void warn_if_readable(struct kl_config_loader *l) {
    struct stat st;
    const struct kl_config *c = l->config;
    bool has_secret = c->auth_jwt_secret[0] != '\0' || c->auth_root_password[0] != '\0';
    if (has_secret && stat(c->file, &st) == 0 && (st.st_mode & S_IROTH) != 0) {
        kl_config__warn(l, "%s holds a secret and every user can read it: chmod 600", c->file);
    }
}

/* ---- the environment ---- */

static enum kl_rc load_other_variable(struct kl_config_loader *l,
    const struct kl_config_other *other, const char *name, const char *value) {
    struct kl_config_origin origin = {.name = other->env};
    switch (other->kind) {
    case KL_CONFIG_OTHER_ALIAS:
        return kl_config__set_text(l, kl_config__find(kl_slice_str(other->text)), value, &origin);
    case KL_CONFIG_OTHER_REFUSED:
        return kl_fail(l->err, KL_E_UNSUPPORTED, "%s: %s", name, other->text);
    case KL_CONFIG_OTHER_IGNORED:
        kl_config__warn(l, "%s has no effect: %s", other->env, other->text);
    }
    return KL_OK;
}

static enum kl_rc load_variable(struct kl_config_loader *l, const char *entry, bool others) {
    const char *equals = strchr(entry, '=');
    if (equals == NULL || equals[1] == '\0' || strncmp(entry, "KALAMDB_", 8) != 0) {
        return KL_OK;
    }
    struct kl_slice name = kl_slice(entry, (size_t)(equals - entry));
    const struct kl_config_key *key = kl_config__find_env(name);
    if (key != NULL) {
        struct kl_config_origin origin = {.name = key->env};
        return others ? KL_OK : kl_config__set_text(l, key, equals + 1, &origin);
    }
    if (!others) {
        return KL_OK;
    }
    const struct kl_config_other *other = kl_config__find_other_env(name);
    if (other != NULL) {
        return load_other_variable(l, other, other->env, equals + 1);
    }
    const char *nearest = kl_config__nearest_env(name);
    if (nearest != NULL) {
        kl_config__warn(
            l, "%.*s is no variable of this server; did you mean %s?", KL_FMT(name), nearest);
    }
    return KL_OK;
}

/* Second names first, so that the first name of a key wins whatever the order of the environment.
 */
static enum kl_rc load_env(struct kl_config_loader *l, char *const *env) {
    for (int pass = 0; env != NULL && pass < 2; pass++) {
        for (char *const *entry = env; *entry != NULL; entry++) {
            KL_TRY(load_variable(l, *entry, pass == 0));
        }
    }
    return KL_OK;
}

/* ---- the command line ---- */

/* HOST:PORT, with an IPv6 host in brackets. */
static enum kl_rc load_listen(struct kl_config_loader *l, const char *listen) {
    const char *colon = strrchr(listen, ':');
    const char *host = listen;
    size_t len = colon != NULL ? (size_t)(colon - listen) : 0;
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    } else if (memchr(host, ':', len) != NULL) {
        len = 0; /* an IPv6 address without brackets: where does the port begin? */
    }
    if (len == 0 || len > 253) {
        return kl_fail(l->err, KL_E_INVALID_INPUT,
            "--listen %.80s: must be HOST:PORT, as in 127.0.0.1:8080 or [::1]:8080", listen);
    }
    char text[256];
    memcpy(text, host, len);
    text[len] = '\0';
    struct kl_config_origin origin = {.name = "--listen"};
    KL_TRY(kl_config__set_text(l, kl_config__find(KL_S("server.host")), text, &origin));
    return kl_config__set_text(l, kl_config__find(KL_S("server.port")), colon + 1, &origin);
}

static enum kl_rc load_args(struct kl_config_loader *l, const struct kl_config_source *source) {
    if (source->data_dir != NULL) {
        struct kl_config_origin origin = {.name = "--data"};
        KL_TRY(kl_config__set_text(
            l, kl_config__find(KL_S("storage.data_path")), source->data_dir, &origin));
    }
    return source->listen != NULL ? load_listen(l, source->listen) : KL_OK;
}

/* ---- all of it ---- */

static enum kl_rc load_defaults(struct kl_config_loader *l) {
    size_t count;
    const struct kl_config_key *keys = kl_config_keys(&count);
    struct kl_config_origin origin = {0};
    for (size_t i = 0; i < count; i++) {
        KL_TRY(kl_config__set_text(l, &keys[i], keys[i].def, &origin));
    }
    return KL_OK;
}

static enum kl_rc load_layers(struct kl_config_loader *l, const struct kl_config_source *source) {
    KL_TRY(load_defaults(l));
    if (source->file != NULL) {
        KL_TRY(load_file(l, source->file));
        warn_if_readable(l);
    }
    KL_TRY(load_env(l, source->env));
    KL_TRY(load_args(l, source));
    return kl_config__check(l);
}

enum kl_rc kl_config_load(
    const struct kl_config_source *source, struct kl_config *ret, struct kl_err *err) {
    struct kl_config config = {.file = ""};
    struct kl_config_loader l = {.config = &config, .err = err};
    kl_arena_init(&config.arena, ARENA_LIMIT);
    kl_buf_init(&l.path, PATH_LIMIT);
    enum kl_rc rc = load_layers(&l, source);
    kl_buf_deinit(&l.path);
    if (rc != KL_OK) {
        kl_config_deinit(&config);
        return rc;
    }
    *ret = config;
    return KL_OK;
}

void kl_config_deinit(struct kl_config *c) {
    for (size_t i = 0; i < c->warnings.count; i++) {
        free((char *)c->warnings.items[i]);
    }
    free(c->warnings.items);
    kl_arena_deinit(&c->arena);
    *c = (struct kl_config){0};
}

bool kl_config_find_file(char *ret_path, size_t size) {
    static const char name[] = "server.toml";
    if (access(name, F_OK) == 0 && size > sizeof(name)) {
        memcpy(ret_path, name, sizeof(name));
        return true;
    }
    if (size <= sizeof(name) + 1) {
        return false;
    }
    ssize_t len = readlink("/proc/self/exe", ret_path, size - sizeof(name) - 1);
    if (len <= 0 || (size_t)len >= size - sizeof(name) - 1) {
        return false;
    }
    char *slash = memrchr(ret_path, '/', (size_t)len);
    if (slash == NULL) {
        return false;
    }
    memcpy(slash + 1, name, sizeof(name));
    return access(ret_path, F_OK) == 0;
}
