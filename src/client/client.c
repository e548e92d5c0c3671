/* One keep-alive connection and the requests over it: plain ones, login, refresh, SQL.
 *
 * A connection is reused only when the server has been silent since the last answer; a byte or an
 * end that came meanwhile means a new one. A request that was sent is never sent again by itself:
 * when its answer is lost, whether it ran is not known, and only the caller can say whether
 * running it twice is harmless. */
#include "client/internal.h"

#include <stdlib.h>

#define DEFAULT_MAX_RESPONSE ((size_t)256 << 20)
#define MAX_REQUEST ((size_t)64 << 20)

struct kl_client *kl_client_new(const struct kl_client_options *options) {
    struct kl_client *client = kl_xcalloc(1, sizeof(*client));
    client->options = *options;
    if (client->options.max_response_bytes == 0) {
        client->options.max_response_bytes = DEFAULT_MAX_RESPONSE;
    }
    client->conn = (struct kl_conn){.fd = -1, .cancel_fd = -1};
    kl_http__init(&client->http, client->options.max_response_bytes);
    kl_buf_init(&client->out, MAX_REQUEST);
    return client;
}

static void forget(char **secret) {
    if (*secret != NULL) {
        OPENSSL_cleanse(*secret, strlen(*secret));
        free(*secret);
        *secret = NULL;
    }
}

void kl_client_free(struct kl_client *client) {
    if (client == NULL) {
        return;
    }
    kl_conn__close(&client->conn);
    kl_http__deinit(&client->http);
    kl_buf_deinit(&client->out);
    SSL_CTX_free(client->tls);
    forget(&client->token);
    forget(&client->refresh_token);
    free(client);
}

const struct kl_url *kl_client_url(const struct kl_client *client) {
    return &client->options.url;
}

void kl_client_set_token(struct kl_client *client, const char *token) {
    char *copy = token ? kl_xstrdup(token) : NULL;
    forget(&client->token);
    forget(&client->refresh_token);
    client->token = copy;
}

int64_t kl_client__deadline(int timeout_ms) {
    return timeout_ms > 0 ? kl_clock_mono_ms() + timeout_ms : 0;
}

enum kl_rc kl_client__tls(struct kl_client *client, struct kl_err *err) {
    if (client->options.url.tls && client->tls == NULL) {
        client->tls = kl_conn__tls_new(err);
        return client->tls ? KL_OK : KL_E_IO;
    }
    return KL_OK;
}

enum kl_rc kl_client_connect(struct kl_client *client, struct kl_err *err) {
    if (client->conn.fd >= 0 && !kl_conn__has_news(&client->conn)) {
        return KL_OK;
    }
    kl_client_disconnect(client);
    KL_TRY(kl_client__tls(client, err));
    return kl_conn__open(&client->conn, &client->options, client->tls, err);
}

void kl_client_disconnect(struct kl_client *client) {
    kl_conn__close(&client->conn);
}

/* A token goes into a header line: nothing but visible ASCII may. */
static bool token_ok(const char *token) {
    for (const char *p = token; *p; p++) {
        if (*p <= ' ' || *p > '~') {
            return false;
        }
    }
    return *token != '\0';
}

static enum kl_rc write_request(struct kl_client *client, const char *method, const char *path,
    const char *token, struct kl_slice json, struct kl_err *err) {
    struct kl_buf *b = &client->out;
    kl_buf_clear(b);
    kl_buf_printf(b,
        "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: kalam/%s\r\nAccept: application/json\r\n",
        method, path, client->options.url.authority, KL_VERSION);
    if (token != NULL) {
        if (!token_ok(token)) {
            return kl_fail(
                err, KL_E_INVALID_CREDENTIALS, "the token holds characters that no token has");
        }
        kl_buf_printf(b, "Authorization: Bearer %s\r\n", token);
    }
    if (json.ptr != NULL) {
        kl_buf_printf(b, "Content-Type: application/json\r\nContent-Length: %zu\r\n", json.len);
    } else if (strcmp(method, "GET") != 0) {
        kl_buf_puts(b, "Content-Length: 0\r\n");
    }
    kl_buf_puts(b, "\r\n");
    kl_buf_slice(b, json);
    return b->failed ? kl_fail(err, KL_E_TOO_LARGE, "the request is larger than 64 MiB") : KL_OK;
}

static enum kl_rc read_response(struct kl_client *client, int64_t deadline, struct kl_err *err) {
    struct kl_http *http = &client->http;
    char bytes[64 * 1024];
    kl_http__reset(http);
    while (http->state != KL_HTTP_DONE) {
        size_t n = 0, used = 0;
        enum kl_rc rc = kl_conn__read(&client->conn, bytes, sizeof(bytes), deadline, &n, err);
        if (rc == KL_E_END) {
            KL_TRY(kl_http__end(http, err));
            break;
        }
        KL_TRY(rc);
        KL_TRY(kl_http__feed(http, kl_slice(bytes, n), &used, err));
        if (http->state == KL_HTTP_DONE && used < n) {
            http->keep_alive = false; /* bytes that nobody asked for */
        }
    }
    return KL_OK;
}

static enum kl_rc request_as(struct kl_client *client, const char *method, const char *path,
    const char *token, struct kl_slice json, struct kl_client_response *ret, struct kl_err *err) {
    KL_TRY(kl_client_connect(client, err));
    KL_TRY(write_request(client, method, path, token, json, err));
    int64_t deadline = kl_client__deadline(client->options.timeout_ms);
    struct kl_err write_err;
    enum kl_rc wrote =
        kl_conn__write(&client->conn, kl_buf_view(&client->out), deadline, &write_err);
    OPENSSL_cleanse(client->out.data, client->out.len); /* it held a token, maybe a password */
    /* A server that refuses a large request answers before it has read it all, and that answer is
     * worth more than "broken pipe". */
    enum kl_rc rc =
        wrote == KL_OK || wrote == KL_E_IO ? read_response(client, deadline, err) : wrote;
    if (rc != KL_OK && wrote != KL_OK && err != NULL) {
        *err = write_err;
    }
    if (rc != KL_OK || wrote != KL_OK || !client->http.keep_alive) {
        kl_client_disconnect(client);
    }
    if (rc == KL_OK) {
        *ret = (struct kl_client_response){client->http.status, kl_buf_view(&client->http.body)};
    }
    return rc;
}

enum kl_rc kl_client_request(struct kl_client *client, const char *method, const char *path,
    struct kl_slice json, struct kl_client_response *ret, struct kl_err *err) {
    return request_as(client, method, path, client->token, json, ret, err);
}

/* ---- login ---- */

static enum kl_rc take_tokens(struct kl_client *client, struct kl_slice body, struct kl_err *err) {
    json_t *root = json_loadb(body.ptr ? body.ptr : "", body.len, 0, NULL);
    const char *access = json_string_value(json_object_get(root, "access_token"));
    const char *refresh = json_string_value(json_object_get(root, "refresh_token"));
    enum kl_rc rc = KL_OK;
    if (access == NULL || !token_ok(access) || (refresh != NULL && !token_ok(refresh))) {
        rc = kl_fail(err, KL_E_CORRUPT, "the server's answer to the login has no token");
    } else {
        kl_client_set_token(client, access);
        client->refresh_token = refresh ? kl_xstrdup(refresh) : NULL;
    }
    json_decref(root);
    return rc;
}

/* {"error": code, "message": text}, or a message of our own when the body is something else. */
static enum kl_rc login_refused(const struct kl_client_response *response, struct kl_err *err) {
    json_t *root =
        json_loadb(response->body.ptr ? response->body.ptr : "", response->body.len, 0, NULL);
    const char *message = json_string_value(json_object_get(root, "message"));
    if (message != NULL) {
        kl_fail(err, KL_E_INVALID_CREDENTIALS, "login refused: %s", message);
    } else {
        kl_fail(
            err, KL_E_INVALID_CREDENTIALS, "login refused with HTTP status %d", response->status);
    }
    json_decref(root);
    return KL_E_INVALID_CREDENTIALS;
}

enum kl_rc kl_client_login(
    struct kl_client *client, const char *user, const char *password, struct kl_err *err) {
    struct kl_buf body;
    kl_buf_init(&body, 64 * 1024);
    kl_buf_puts(&body, "{\"user\":");
    kl_json_str(&body, kl_slice_str(user));
    kl_buf_puts(&body, ",\"password\":");
    kl_json_str(&body, kl_slice_str(password));
    kl_buf_putc(&body, '}');
    struct kl_client_response response;
    enum kl_rc rc = body.failed ? kl_fail(err, KL_E_TOO_LARGE, "user name or password is too long")
                                : request_as(client, "POST", "/v1/api/auth/login", NULL,
                                      kl_buf_view(&body), &response, err);
    if (body.data != NULL) {
        OPENSSL_cleanse(body.data, body.len);
    }
    kl_buf_deinit(&body);
    KL_TRY(rc);
    return response.status == 200 ? take_tokens(client, response.body, err)
                                  : login_refused(&response, err);
}

bool kl_client_can_refresh(const struct kl_client *client) {
    return client->refresh_token != NULL;
}

enum kl_rc kl_client_refresh(struct kl_client *client, struct kl_err *err) {
    if (client->refresh_token == NULL) {
        return kl_fail(err, KL_E_INVALID_CREDENTIALS, "the login has expired");
    }
    struct kl_client_response response;
    KL_TRY(request_as(client, "POST", "/v1/api/auth/refresh", client->refresh_token, KL_SLICE_NONE,
        &response, err));
    return response.status == 200 ? take_tokens(client, response.body, err)
                                  : login_refused(&response, err);
}

bool kl_client__renew(struct kl_client *client, bool expired) {
    if (expired && client->refresh_token != NULL) {
        return kl_client_refresh(client, NULL) == KL_OK;
    }
    return client->options.renew != NULL &&
           client->options.renew(client, client->options.renew_ctx);
}

/* ---- SQL ---- */

static enum kl_rc write_query(
    const struct kl_query *query, struct kl_buf *body, struct kl_err *err) {
    if (!kl_utf8_valid(query->sql)) {
        return kl_fail(err, KL_E_INVALID_INPUT, "the statement is not valid UTF-8");
    }
    kl_buf_puts(body, "{\"sql\":");
    kl_json_str(body, query->sql);
    if (query->params_json.len > 0) {
        kl_buf_puts(body, ",\"params\":");
        kl_buf_slice(body, query->params_json);
    }
    if (query->namespace_id != NULL) {
        kl_buf_puts(body, ",\"namespace_id\":");
        kl_json_str(body, kl_slice_str(query->namespace_id));
    }
    kl_buf_putc(body, '}');
    return body->failed ? kl_fail(err, KL_E_TOO_LARGE, "the statement is larger than 64 MiB")
                        : KL_OK;
}

static enum kl_rc query_once(
    struct kl_client *client, struct kl_slice body, struct kl_reply *ret, struct kl_err *err) {
    struct kl_client_response response;
    KL_TRY(kl_client_request(client, "POST", "/v1/api/sql", body, &response, err));
    return kl_reply_parse(response.body, response.status, ret, err);
}

enum kl_rc kl_client_query(struct kl_client *client, const struct kl_query *query,
    struct kl_reply *ret, struct kl_err *err) {
    struct kl_buf body;
    kl_buf_init(&body, MAX_REQUEST);
    struct kl_reply reply = {0};
    enum kl_rc rc = write_query(query, &body, err);
    if (rc == KL_OK) {
        rc = query_once(client, kl_buf_view(&body), &reply, err);
    }
    bool refused = rc == KL_OK && reply.failed && reply.http_status == 401;
    bool expired = rc == KL_OK && reply.failed && strcmp(reply.code, "TOKEN_EXPIRED") == 0;
    if ((refused || expired) && kl_client__renew(client, expired)) {
        kl_reply_deinit(&reply);
        rc = query_once(client, kl_buf_view(&body), &reply, err);
    }
    kl_buf_deinit(&body);
    if (rc == KL_OK) {
        *ret = reply;
    }
    return rc;
}
