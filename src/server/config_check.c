/* Checks that concern several keys, or need to know what a text means: addresses, origins, and the
 * rule that a server which others can reach has a secret of its own. They run after every layer is
 * in. On the thread that loads. */
#include "server/config_internal.h"
#include <arpa/inet.h>
#include <stdio.h>

#define KEY(field) (&kl_config_keys(&(size_t){0})[KL_CONFIG_AT_##field])
#define FAIL(l, field, value, ...)                                                                 \
    kl_config__fail(l, KEY(field), value, &(l)->origins[KL_CONFIG_AT_##field], __VA_ARGS__)
#define MIN_SECRET 32

bool kl_config_is_loopback(const char *host) {
    struct in_addr v4;
    struct in6_addr v6;
    if (kl_slice_ieq_str(kl_slice_str(host), "localhost")) {
        return true;
    }
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* scheme://host[:port], nothing behind it. */
static bool is_origin(const char *text, bool only_http) {
    const char *sep = strstr(text, "://");
    if (sep == NULL || sep == text || sep[3] == '\0' || strpbrk(sep + 3, "/?#@ ,") != NULL) {
        return false;
    }
    if (!only_http) {
        return true;
    }
    struct kl_slice scheme = kl_slice(text, (size_t)(sep - text));
    return kl_slice_ieq_str(scheme, "http") || kl_slice_ieq_str(scheme, "https");
}

static bool list_has(const struct kl_config_list *list, const char *item) {
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], item) == 0) {
            return true;
        }
    }
    return false;
}

static enum kl_rc check_origins(struct kl_config_loader *l) {
    const struct kl_config *c = l->config;
    const struct kl_config_list *origins = &c->security_cors_allowed_origins;
    if (c->server_public_origin[0] != '\0' && !is_origin(c->server_public_origin, true)) {
        return FAIL(l, server_public_origin, c->server_public_origin,
            "must be http(s)://host[:port] without a path");
    }
    for (size_t i = 0; i < origins->count; i++) {
        if (strcmp(origins->items[i], "*") != 0 && !is_origin(origins->items[i], false)) {
            return FAIL(l, security_cors_allowed_origins, origins->items[i],
                "must be * or scheme://host[:port] without a path");
        }
    }
    bool any = origins->count == 0 || list_has(origins, "*");
    if (c->security_cors_allow_credentials && any) {
        return FAIL(l, security_cors_allow_credentials, "true",
            "needs security.cors.allowed_origins to name the origins");
    }
    return KL_OK;
}

/* A HTTP token: what a method or a header name may be. */
static bool is_token(const char *text) {
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (const char *c = text; *c != '\0'; c++) {
        bool alnum = (*c >= '0' && *c <= '9') || ((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z');
        if (!alnum && strchr(others, *c) == NULL) {
            return false;
        }
    }
    return true;
}

static enum kl_rc check_tokens(struct kl_config_loader *l) {
    static const int places[] = {KL_CONFIG_AT_security_cors_allowed_methods,
        KL_CONFIG_AT_security_cors_allowed_headers, KL_CONFIG_AT_security_cors_expose_headers};
    size_t count;
    const struct kl_config_key *keys = kl_config_keys(&count);
    for (size_t i = 0; i < KL_LEN(places); i++) {
        const struct kl_config_key *key = &keys[places[i]];
        const struct kl_config_list *list = (const void *)((const char *)l->config + key->offset);
        for (size_t j = 0; j < list->count; j++) {
            if (!is_token(list->items[j])) {
                return kl_config__fail(l, key, list->items[j], &l->origins[places[i]],
                    "must be names as they stand in a HTTP header");
            }
        }
    }
    return KL_OK;
}

/* An address, or an address and a number of bits. */
static bool is_range(const char *text) {
    char address[64];
    unsigned char bytes[16];
    size_t len = strcspn(text, "/");
    if (len >= sizeof(address)) {
        return false;
    }
    memcpy(address, text, len);
    address[len] = '\0';
    int64_t most = inet_pton(AF_INET, address, bytes) == 1    ? 32
                   : inet_pton(AF_INET6, address, bytes) == 1 ? 128
                                                              : -1;
    int64_t bits = 0;
    if (text[len] == '/' && (text[len + 1] < '0' || text[len + 1] > '9' ||
                                !kl_parse_i64(kl_slice_str(text + len + 1), &bits))) {
        return false;
    }
    return bits <= most;
}

static enum kl_rc check_proxies(struct kl_config_loader *l) {
    const struct kl_config_list *ranges = &l->config->security_trusted_proxy_ranges;
    for (size_t i = 0; i < ranges->count; i++) {
        if (!is_range(ranges->items[i])) {
            return FAIL(l, security_trusted_proxy_ranges, ranges->items[i],
                "must be addresses or CIDR ranges, as in 10.0.0.0/8 or ::1");
        }
    }
    return KL_OK;
}

static bool is_placeholder(const char *secret) {
    static const char *const known[] = {"CHANGE_ME_IN_PRODUCTION",
        "kalamdb-dev-secret-key-change-in-production",
        "your-secret-key-at-least-32-chars-change-me-in-production"};
    for (size_t i = 0; i < KL_LEN(known); i++) {
        if (kl_slice_ieq_str(kl_slice_str(secret), known[i])) {
            return true;
        }
    }
    return false;
}

/* Whoever knows the secret is every user, so a server that others reach needs a good one. */
static enum kl_rc check_secret(struct kl_config_loader *l) {
    const struct kl_config *c = l->config;
    const char *secret = c->auth_jwt_secret;
    bool far = !kl_config_is_loopback(c->server_host);
    bool weak = is_placeholder(secret) || strlen(secret) < MIN_SECRET;
    bool reachable = far || c->server_public_origin[0] != '\0';
    if (secret[0] == '\0' && !far) {
        return KL_OK; /* one is made and kept in the data directory */
    }
    if (weak && reachable) {
        return FAIL(l, auth_jwt_secret, NULL,
            "%s needs a secret of at least %d bytes that is no well-known placeholder: set "
            "KALAMDB_JWT_SECRET, e.g. to the output "
            "of `openssl rand -hex 32`",
            far ? "a server.host beyond loopback" : "server.public_origin", MIN_SECRET);
    }
    if (weak) {
        kl_config__warn(l,
            "auth.jwt_secret is short or well known: other users of this machine can forge tokens");
    }
    if (far && c->security_cors_allowed_origins.count == 0) {
        kl_config__warn(l, "security.cors.allowed_origins is empty: pages of any origin may call "
                           "this server from a browser");
    }
    return KL_OK;
}

static enum kl_rc check_host(struct kl_config_loader *l) {
    const char *host = l->config->server_host;
    struct in6_addr v6;
    bool ok = host[0] != '\0' && strlen(host) <= 253;
    if (ok && inet_pton(AF_INET6, host, &v6) != 1) {
        for (const char *c = host; ok && *c != '\0'; c++) {
            ok = (*c >= '0' && *c <= '9') || ((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z') ||
                 *c == '.' || *c == '-';
        }
    }
    return ok ? KL_OK
              : FAIL(l, server_host, host, "must be an address or a host name, without port");
}

static enum kl_rc check_numbers(struct kl_config_loader *l) {
    const struct kl_config *c = l->config;
    if (c->limits_max_query_limit > 0 &&
        c->limits_default_query_limit > c->limits_max_query_limit) {
        return FAIL(l, limits_default_query_limit, NULL,
            "%lld is above limits.max_query_limit (%lld)", (long long)c->limits_default_query_limit,
            (long long)c->limits_max_query_limit);
    }
    if (c->websocket_heartbeat_interval_secs >= c->websocket_client_timeout_secs) {
        return FAIL(l, websocket_heartbeat_interval_secs, NULL,
            "%lld must be below websocket.client_timeout_secs (%lld)",
            (long long)c->websocket_heartbeat_interval_secs,
            (long long)c->websocket_client_timeout_secs);
    }
    if (c->auth_min_password_length > c->auth_max_password_length) {
        return FAIL(l, auth_min_password_length, NULL,
            "%lld is above auth.max_password_length (%lld)", (long long)c->auth_min_password_length,
            (long long)c->auth_max_password_length);
    }
    return KL_OK;
}

enum kl_rc kl_config__check(struct kl_config_loader *l) {
    KL_TRY(check_host(l));
    if (l->config->storage_data_path[0] == '\0') {
        return FAIL(l, storage_data_path, NULL, "must name a folder");
    }
    KL_TRY(check_numbers(l));
    KL_TRY(check_origins(l));
    KL_TRY(check_tokens(l));
    KL_TRY(check_proxies(l));
    if (l->config->logging_format == KL_CONFIG_LOG_PRETTY) {
        kl_config__warn(l, "logging.format = pretty means compact here");
    }
    return check_secret(l);
}
