/* Addresses of servers: a deliberately small part of RFC 3986, since a KalamDB server lives at the
 * root of its authority. Pure; any thread. */
#include "client/client.h"

#include <stdio.h>

static bool is_loopback(struct kl_slice host) {
    return kl_slice_ieq_str(host, "localhost") || kl_slice_eq_str(host, "127.0.0.1") ||
           kl_slice_eq_str(host, "::1");
}

bool kl_url_is_local(const struct kl_url *url) {
    return is_loopback(kl_slice_str(url->host));
}

/* Only what may stand in a host name or an IP address: nothing that could add a header line. */
static bool host_ok(struct kl_slice host) {
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '-' || c == '_' || c == ':' || c == '%';
        if (!ok) {
            return false;
        }
    }
    return host.len > 0;
}

static enum kl_rc fill(struct kl_slice host, int port, struct kl_url *ret, struct kl_err *err) {
    if (!host_ok(host) || host.len >= sizeof(ret->host)) {
        return kl_fail(err, KL_E_INVALID_INPUT, "not a host name: \"%.*s\"", KL_FMT(host));
    }
    if (port < 1 || port > 65535) {
        return kl_fail(err, KL_E_INVALID_INPUT, "a port is a number from 1 to 65535");
    }
    ret->port = (uint16_t)port;
    memcpy(ret->host, host.ptr, host.len);
    ret->host[host.len] = '\0';
    bool v6 = memchr(host.ptr, ':', host.len) != NULL;
    snprintf(ret->authority, sizeof(ret->authority), v6 ? "[%s]:%d" : "%s:%d", ret->host, port);
    return KL_OK;
}

enum kl_rc kl_url_from_host(
    struct kl_slice host, int port, struct kl_url *ret, struct kl_err *err) {
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
        host = kl_slice(host.ptr + 1, host.len - 2);
    }
    struct kl_url url = {.tls = !is_loopback(host)};
    KL_TRY(fill(host, port == 0 ? KL_CLIENT_DEFAULT_PORT : port, &url, err));
    *ret = url;
    return KL_OK;
}

/* "host", "host:port", "[v6]", "[v6]:port". */
static enum kl_rc split_authority(
    struct kl_slice text, struct kl_slice *ret_host, int *ret_port, struct kl_err *err) {
    struct kl_slice rest;
    if (text.len > 0 && text.ptr[0] == '[') {
        const char *close = memchr(text.ptr, ']', text.len);
        if (close == NULL) {
            return kl_fail(err, KL_E_INVALID_INPUT, "\"[\" without \"]\" in the address");
        }
        *ret_host = kl_slice(text.ptr + 1, (size_t)(close - text.ptr) - 1);
        rest = kl_slice_from(text, (size_t)(close - text.ptr) + 1);
    } else {
        const char *colon = memchr(text.ptr, ':', text.len);
        size_t n = colon ? (size_t)(colon - text.ptr) : text.len;
        *ret_host = kl_slice(text.ptr, n);
        rest = kl_slice_from(text, n);
    }
    *ret_port = KL_CLIENT_DEFAULT_PORT;
    if (rest.len > 0) {
        int64_t port = 0;
        if (rest.ptr[0] != ':' || !kl_parse_i64(kl_slice_from(rest, 1), &port) || port < 1 ||
            port > 65535) {
            return kl_fail(err, KL_E_INVALID_INPUT, "a port is a number from 1 to 65535");
        }
        *ret_port = (int)port;
    }
    return KL_OK;
}

enum kl_rc kl_url_parse(struct kl_slice text, struct kl_url *ret, struct kl_err *err) {
    struct kl_url url = {0};
    struct kl_slice rest = kl_slice_trim(text);
    bool has_scheme = true;
    if (rest.len >= 7 && kl_slice_ieq(kl_slice(rest.ptr, 7), KL_S("http://"))) {
        rest = kl_slice_from(rest, 7);
    } else if (rest.len >= 8 && kl_slice_ieq(kl_slice(rest.ptr, 8), KL_S("https://"))) {
        url.tls = true;
        rest = kl_slice_from(rest, 8);
    } else {
        has_scheme = false;
    }
    if (rest.len > 0 && rest.ptr[rest.len - 1] == '/') {
        rest.len--;
    }
    for (size_t i = 0; i < rest.len; i++) {
        if (memchr("/?#@", rest.ptr[i], 4) != NULL) {
            kl_fail(err, KL_E_INVALID_INPUT, "not an address of a server: \"%.*s\"", KL_FMT(text));
            kl_err_hint(err, "Write http://host:port or https://host:port.");
            return KL_E_INVALID_INPUT;
        }
    }
    struct kl_slice host;
    int port;
    if (rest.len == 0) {
        return kl_fail(err, KL_E_INVALID_INPUT, "the address of the server is empty");
    }
    KL_TRY(split_authority(rest, &host, &port, err));
    KL_TRY(fill(host, port, &url, err));
    if (!has_scheme) {
        url.tls = !is_loopback(host);
    }
    *ret = url;
    return KL_OK;
}
