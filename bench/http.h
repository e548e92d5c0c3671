/* A minimal HTTP/1.1 client on loopback: enough to measure a server with little work of its own.
 * One thread. */
#ifndef KL_BENCH_HTTP_H
#define KL_BENCH_HTTP_H

#include "common.h"

/* Connected to 127.0.0.1:port, TCP_NODELAY, blocking. */
int kl_bench_connect(int port);
void kl_bench_set_nonblocking(int fd);
/* Sends all of it, also on a non-blocking socket. */
void kl_bench_send(int fd, const char *data, size_t len);

/* POST with a JSON body over keep-alive. `token` may be NULL. The caller frees. */
char *kl_bench_http_post(
    const char *path, const char *token, const char *body, size_t body_len, size_t *ret_len);

struct kl_bench_response {
    int status;
    size_t head_len; /* with its empty line */
    size_t body_len;
};
/* False: `in` does not hold a whole response yet. Only bodies with Content-Length are known. */
bool kl_bench_http_parse(const char *in, size_t len, struct kl_bench_response *ret);

/* One SQL text over a connection of its own, blocking. Returns the response body (the caller
 * frees); `ret_status` may be NULL, then anything but 200 is fatal. */
char *kl_bench_sql(int port, const char *token, const char *sql, int *ret_status);
/* The same for any path and body. */
char *kl_bench_post(
    int port, const char *path, const char *token, const char *body, int *ret_status);

/* {"sql":"..."}; the caller frees. */
char *kl_bench_sql_body(const char *sql);

#endif
