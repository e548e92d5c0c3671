/* Shared inside client/: the byte connection and the two protocol codecs, which know nothing of
 * sockets. */
#ifndef KL_CLIENT_INTERNAL_H
#define KL_CLIENT_INTERNAL_H

#include "client/client.h"

#include <openssl/ssl.h>

/* ---- a connection: TCP or TLS ---- */
struct kl_conn {
    int fd; /* -1: closed */
    int cancel_fd;
    SSL *ssl; /* NULL: plain */
};
/* Deadlines are of kl_clock_mono_ms; 0 means none. */
enum kl_rc kl_conn__open(
    struct kl_conn *c, const struct kl_client_options *options, SSL_CTX *tls, struct kl_err *err);
void kl_conn__close(struct kl_conn *c);
/* At least one byte; KL_E_END when the peer has closed. */
enum kl_rc kl_conn__read(struct kl_conn *c, char *to, size_t size, int64_t deadline_ms,
    size_t *ret_n, struct kl_err *err);
enum kl_rc kl_conn__write(
    struct kl_conn *c, struct kl_slice bytes, int64_t deadline_ms, struct kl_err *err);
/* The peer sent something, or closed, while nothing was asked of it. */
bool kl_conn__has_news(struct kl_conn *c);
SSL_CTX *kl_conn__tls_new(struct kl_err *err);

/* ---- an HTTP/1.1 response, fed in pieces of any size ---- */
#define KL_HTTP_MAX_HEAD (64 * 1024)
#define KL_HTTP_MAX_LINE 1024 /* of a chunk's size, with its extensions */
#define KL_HTTP_MAX_TRAILER (16 * 1024)

enum kl_http_state {
    KL_HTTP_HEAD,
    KL_HTTP_BODY, /* `left` more bytes */
    KL_HTTP_BODY_TO_END,
    KL_HTTP_CHUNK_SIZE,
    KL_HTTP_CHUNK_DATA,
    KL_HTTP_CHUNK_END, /* the line end after the data */
    KL_HTTP_TRAILER,
    KL_HTTP_DONE,
};

struct kl_http {
    enum kl_http_state state;
    int status;
    bool keep_alive;
    uint64_t left;
    size_t trailer; /* bytes seen */
    struct kl_buf head, line, body;
};
void kl_http__init(struct kl_http *h, size_t max_body);
void kl_http__deinit(struct kl_http *h);
void kl_http__reset(struct kl_http *h); /* for the next response */
/* Consumes bytes until the response is complete (state DONE) or the input ends; what follows is
 * not touched. */
enum kl_rc kl_http__feed(
    struct kl_http *h, struct kl_slice in, size_t *ret_used, struct kl_err *err);
/* The connection ended: completes a body without a length, fails anything else that is not done. */
enum kl_rc kl_http__end(struct kl_http *h, struct kl_err *err);
/* Value of a header of a finished head; none: ptr NULL. */
struct kl_slice kl_http__header(const struct kl_http *h, const char *name);

/* ---- WebSocket frames (RFC 6455) ---- */
enum kl_ws_op {
    KL_WS_CONTINUE = 0,
    KL_WS_TEXT = 1,
    KL_WS_BINARY = 2,
    KL_WS_CLOSE = 8,
    KL_WS_PING = 9,
    KL_WS_PONG = 10,
};
#define KL_WS_MAX_TEXT ((size_t)64 << 20)
#define KL_WS_MAX_BINARY ((size_t)16 << 20)

struct kl_ws_frame {
    bool fin;
    uint8_t op;
    struct kl_slice payload; /* in the input */
};
/* A client's frame: masked. */
void kl_ws__encode(
    struct kl_buf *out, enum kl_ws_op op, struct kl_slice payload, const uint8_t mask[4]);
/* A server's frame at the start of `in`. *ret_used 0: not complete yet. */
enum kl_rc kl_ws__decode(
    struct kl_slice in, struct kl_ws_frame *ret, size_t *ret_used, struct kl_err *err);
/* Sec-WebSocket-Accept that belongs to a Sec-WebSocket-Key. */
void kl_ws__accept(const char *key, char ret[29]);

/* ---- the client ---- */
struct kl_client {
    struct kl_client_options options;
    struct kl_conn conn;
    struct kl_http http;
    struct kl_buf out;
    SSL_CTX *tls; /* made when first needed */
    char *token, *refresh_token;
};
enum kl_rc kl_client__tls(struct kl_client *client, struct kl_err *err);
int64_t kl_client__deadline(int timeout_ms);
/* The token was refused; `expired`: only because of its age. True when there is another one. */
bool kl_client__renew(struct kl_client *client, bool expired);

#endif
