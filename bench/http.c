/* See http.h. */
#include "http.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define RESPONSE_MAX (64 * 1024 * 1024)

int kl_bench_connect(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
        kl_bench_die("127.0.0.1:%d: %s", port, strerror(errno));
    }
    return fd;
}

void kl_bench_set_nonblocking(int fd) {
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        kl_bench_die("fcntl: %s", strerror(errno));
    }
}

void kl_bench_send(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            poll(&p, 1, 1000);
            continue;
        }
        if (n < 0 && errno != EINTR) {
            kl_bench_die("send: %s", strerror(errno));
        }
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
}

char *kl_bench_http_post(
    const char *path, const char *token, const char *body, size_t body_len, size_t *ret_len) {
    char *request;
    int head = asprintf(&request,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s%s%sContent-Type: "
        "application/json\r\nContent-Length: %zu\r\n\r\n",
        path, token ? "Authorization: Bearer " : "", token ? token : "", token ? "\r\n" : "",
        body_len);
    if (head < 0 || (request = realloc(request, (size_t)head + body_len + 1)) == NULL) {
        kl_bench_die("out of memory");
    }
    memcpy(request + head, body, body_len);
    request[(size_t)head + body_len] = '\0';
    *ret_len = (size_t)head + body_len;
    return request;
}

static void parse_head(const char *in, const char *end, struct kl_bench_response *ret) {
    if (end - in < 12 || memcmp(in, "HTTP/1.1 ", 9) != 0) {
        kl_bench_die("not an HTTP/1.1 response: %.40s", in);
    }
    ret->status = atoi(in + 9);
    bool found = false;
    for (const char *line = in; (line = memmem(line, (size_t)(end - line), "\r\n", 2)) != NULL;) {
        line += 2;
        if (end - line > 15 && strncasecmp(line, "content-length:", 15) == 0) {
            ret->body_len = strtoul(line + 15, NULL, 10);
            found = true;
        }
    }
    if (!found) {
        kl_bench_die("a response without Content-Length: %.*s", (int)(end - in), in);
    }
}

bool kl_bench_http_parse(const char *in, size_t len, struct kl_bench_response *ret) {
    const char *end = memmem(in, len, "\r\n\r\n", 4);
    if (end == NULL) {
        return false;
    }
    parse_head(in, end, ret);
    ret->head_len = (size_t)(end - in) + 4;
    return ret->body_len <= len - ret->head_len;
}

static char *read_response(int fd, int *ret_status) {
    size_t len = 0, size = 1 << 16;
    char *in = kl_bench_alloc(size);
    struct kl_bench_response r = {0};
    while (!kl_bench_http_parse(in, len, &r)) {
        if (len == size - 1) {
            size *= 2;
            if (size > RESPONSE_MAX || (in = realloc(in, size)) == NULL) {
                kl_bench_die("response too large");
            }
        }
        ssize_t n = recv(fd, in + len, size - 1 - len, 0);
        if (n <= 0) {
            kl_bench_die("the server closed the connection");
        }
        len += (size_t)n;
    }
    memmove(in, in + r.head_len, r.body_len);
    in[r.body_len] = '\0';
    *ret_status = r.status;
    return in;
}

char *kl_bench_post(
    int port, const char *path, const char *token, const char *body, int *ret_status) {
    size_t len;
    char *request = kl_bench_http_post(path, token, body, strlen(body), &len);
    int fd = kl_bench_connect(port), status;
    kl_bench_send(fd, request, len);
    char *response = read_response(fd, &status);
    close(fd);
    free(request);
    if (ret_status != NULL) {
        *ret_status = status;
    } else if (status != 200) {
        kl_bench_die("%s answered %d: %.300s\nto: %.300s", path, status, response, body);
    }
    return response;
}

char *kl_bench_sql_body(const char *sql) {
    char *body = kl_bench_alloc(strlen(sql) * 2 + 16), *out = stpcpy(body, "{\"sql\":\"");
    for (; *sql; sql++) {
        if (*sql == '"' || *sql == '\\') {
            *out++ = '\\';
        }
        *out++ = *sql == '\n' ? ' ' : *sql;
    }
    strcpy(out, "\"}");
    return body;
}

char *kl_bench_sql(int port, const char *token, const char *sql, int *ret_status) {
    char *body = kl_bench_sql_body(sql);
    char *response = kl_bench_post(port, "/v1/api/sql", token, body, ret_status);
    free(body);
    return response;
}
