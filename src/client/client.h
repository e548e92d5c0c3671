/* The client's side of the wire: SQL over HTTP/1.1 and live queries over WebSocket, plain or TLS.
 *
 * A kl_client holds one keep-alive connection, opened when first needed and opened again after it
 * was lost. Calls block up to the timeout of the options. A client, its replies and its live
 * queries belong to one thread; many clients may live in one process, one per thread or all in
 * one. Every size that the server decides has a limit.
 *
 * Failures: KL_E_IO the network, KL_E_TIMEOUT, KL_E_CANCELLED (cancel_fd became readable),
 * KL_E_CORRUPT bytes that are not what the protocol allows, KL_E_TOO_LARGE over a limit,
 * KL_E_INVALID_CREDENTIALS. A statement that the server refuses is no failure of the call: the
 * reply says so.
 *
 * A program that uses this library over TLS should ignore SIGPIPE. */
#ifndef KL_CLIENT_H
#define KL_CLIENT_H

#include "base/base.h"

#include <jansson.h>

/* ---- where the server is ---- */
struct kl_url {
    bool tls;
    uint16_t port;
    char host[256];      /* as it is resolved: without brackets */
    char authority[272]; /* as it is written: host:port, [::1]:port */
};
#define KL_CLIENT_DEFAULT_PORT 8080

/* "http://host:port", "https://…", or without a scheme, which means http for a loopback host and
 * https for any other. Without a port: 8080. A path other than "/" , a query or user:password is
 * refused. */
enum kl_rc kl_url_parse(struct kl_slice text, struct kl_url *ret, struct kl_err *err);
/* The same from host and port (0: the default one). */
enum kl_rc kl_url_from_host(struct kl_slice host, int port, struct kl_url *ret, struct kl_err *err);
/* localhost, 127.0.0.1, ::1: the only places that a local token may be sent to. */
bool kl_url_is_local(const struct kl_url *url);

/* ---- requests ---- */
struct kl_client;

struct kl_client_options {
    struct kl_url url;
    int connect_timeout_ms; /* 0: 10 s */
    int timeout_ms;         /* of a whole request; 0: none */
    int cancel_fd;          /* readable: the call in progress ends with KL_E_CANCELLED. -1: none */
    size_t max_response_bytes; /* 0: 256 MiB */
    /* Asked when a token is refused and cannot be refreshed: sets another one and returns true.
     * NULL: none. */
    bool (*renew)(struct kl_client *client, void *ctx);
    void *renew_ctx;
};

struct kl_client *kl_client_new(const struct kl_client_options *options);
void kl_client_free(struct kl_client *client); /* NULL is allowed */
const struct kl_url *kl_client_url(const struct kl_client *client);
/* The bearer token of the requests that follow; copied; NULL for none. Forgets the refresh token.
 * */
void kl_client_set_token(struct kl_client *client, const char *token);
/* Opens the connection when there is none. Not needed before a request. */
enum kl_rc kl_client_connect(struct kl_client *client, struct kl_err *err);
/* Closes the connection; the next request opens another. */
void kl_client_disconnect(struct kl_client *client);

struct kl_client_response {
    int status;
    struct kl_slice body; /* until the next request of this client */
};
/* One request. `json` is the body, NULL ptr for none. Any HTTP status is a success of the call. It
 * is sent once: an answer that never came back leaves open whether the server ran it. */
enum kl_rc kl_client_request(struct kl_client *client, const char *method, const char *path,
    struct kl_slice json, struct kl_client_response *ret, struct kl_err *err);

/* POST /v1/api/auth/login; keeps the access and the refresh token. */
enum kl_rc kl_client_login(
    struct kl_client *client, const char *user, const char *password, struct kl_err *err);
/* POST /v1/api/auth/refresh with the refresh token of the login. */
enum kl_rc kl_client_refresh(struct kl_client *client, struct kl_err *err);
bool kl_client_can_refresh(const struct kl_client *client);

/* ---- SQL ---- */
struct kl_query {
    struct kl_slice sql;         /* UTF-8; one statement or several */
    struct kl_slice params_json; /* a JSON array, or empty */
    const char *namespace_id;    /* NULL: the server's default */
};

/* Owned by whoever asked; slices and json_t are the reply's. */
struct kl_reply {
    json_t *root;
    json_t *results; /* array of objects, maybe empty, never NULL */
    double took_ms;  /* on the server */
    int http_status;
    bool failed; /* the fields below are set */
    const char *code;
    const char *message;
    const char *hint; /* NULL when there is none */
    int position;     /* 1-based byte offset in the text that was sent; 0 unknown */
};

/* POST /v1/api/sql. A refused token is renewed when that is possible (a refresh token on
 * TOKEN_EXPIRED, else the options' way), and the statement, which did not run, is tried once more.
 * */
enum kl_rc kl_client_query(struct kl_client *client, const struct kl_query *query,
    struct kl_reply *ret, struct kl_err *err);
void kl_reply_deinit(struct kl_reply *reply); /* zeroed ones too */
/* Reads the body of an answer; for those who speak HTTP themselves. */
enum kl_rc kl_reply_parse(
    struct kl_slice body, int http_status, struct kl_reply *ret, struct kl_err *err);

/* ---- WebSocket, one message at a time ---- */
struct kl_ws;

/* GET /v1/ws with the client's token, until the server's auth_success. The connection is its own.
 * */
enum kl_rc kl_ws_open(struct kl_client *client, struct kl_ws **ret, struct kl_err *err);
void kl_ws_free(struct kl_ws *ws); /* says goodbye without waiting; NULL is allowed */
enum kl_rc kl_ws_send(struct kl_ws *ws, struct kl_slice text, struct kl_err *err);
/* The next message, unpacked when it was compressed, valid until the next call. Answers pings on
 * the way and sends its own, so that it must be called every few seconds. timeout_ms < 0: no end.
 * KL_E_TIMEOUT: none came, all is well; KL_E_END: the peer closed, err says with what reason. */
enum kl_rc kl_ws_recv(struct kl_ws *ws, int timeout_ms, struct kl_slice *ret, struct kl_err *err);
int kl_ws_fd(const struct kl_ws *ws);

/* ---- a live query that survives its connection ---- */
struct kl_live_options {
    const char *id; /* NULL: one is made up */
    const char *sql;
    json_t *options; /* batch_size, last_rows, from; NULL: all rows first. Borrowed */
};

enum kl_live_kind {
    KL_LIVE_ACK,    /* schema; resync says that what was shown before is void */
    KL_LIVE_ROWS,   /* rows of the first state, or changed since `from`; `ready` on the last */
    KL_LIVE_INSERT, /* rows */
    KL_LIVE_UPDATE, /* rows, old_values */
    KL_LIVE_DELETE, /* old_values */
    KL_LIVE_LOST,   /* the connection is gone, message says why; it is being opened again */
};

/* Borrowed from the live query until its next call. */
struct kl_live_event {
    enum kl_live_kind kind;
    json_t *schema, *rows, *old_values;
    bool ready, resync;
    const char *message;
};

struct kl_live;

/* Subscribes; the client must outlive it. */
enum kl_rc kl_live_start(struct kl_client *client, const struct kl_live_options *options,
    struct kl_live **ret, struct kl_err *err);
/* The next event. KL_E_TIMEOUT: none within timeout_ms (< 0: no end). Any other failure ends the
 * live query. */
enum kl_rc kl_live_next(
    struct kl_live *live, int timeout_ms, struct kl_live_event *ret, struct kl_err *err);
void kl_live_free(struct kl_live *live); /* unsubscribes; NULL is allowed */

#endif
