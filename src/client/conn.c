/* A byte stream to the server: TCP or TLS on a non-blocking socket, with deadlines and a way to be
 * interrupted.
 *
 * Every wait is one poll over the socket and the cancel descriptor, so that Ctrl+C ends a connect,
 * a TLS handshake, a read and a write alike. Certificates are verified against the system's
 * authorities (SSL_CERT_FILE and SSL_CERT_DIR choose others) and against the host's name or
 * address; there is no switch to turn that off. One thread at a time. */
#include "client/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Waits for `events`; KL_E_CANCELLED and KL_E_TIMEOUT as promised above. */
static enum kl_rc wait_for(
    struct kl_conn *c, short events, int64_t deadline_ms, struct kl_err *err) {
    for (;;) {
        struct pollfd fds[2] = {
            {.fd = c->fd, .events = events}, {.fd = c->cancel_fd, .events = POLLIN}};
        int wait = -1;
        if (deadline_ms != 0) {
            int64_t left = deadline_ms - kl_clock_mono_ms();
            wait = left <= 0 ? 0 : (int)KL_MIN(left, 3600000);
        }
        int n = poll(fds, c->cancel_fd >= 0 ? 2 : 1, wait);
        if (n < 0 && errno != EINTR) {
            return kl_fail(err, KL_E_IO, "poll: %s", strerror(errno));
        }
        if (n > 0 && c->cancel_fd >= 0 && fds[1].revents != 0) {
            return kl_fail(err, KL_E_CANCELLED, "cancelled");
        }
        if (n > 0 && fds[0].revents != 0) {
            return KL_OK;
        }
        if (deadline_ms != 0 && kl_clock_mono_ms() >= deadline_ms) {
            return kl_fail(err, KL_E_TIMEOUT, "no answer from the server in time");
        }
    }
}

static enum kl_rc tls_error(struct kl_conn *c, const char *what, struct kl_err *err) {
    long verify = SSL_get_verify_result(c->ssl);
    if (verify != X509_V_OK) {
        return kl_fail(err, KL_E_IO, "the server's certificate is not trusted: %s",
            X509_verify_cert_error_string(verify));
    }
    unsigned long code = ERR_get_error();
    char text[256] = "the connection was closed";
    if (code != 0) {
        const char *reason = ERR_reason_error_string(code);
        snprintf(text, sizeof(text), "%s", reason ? reason : "unknown error");
    } else if (errno != 0) {
        snprintf(text, sizeof(text), "%s", strerror(errno));
    }
    return kl_fail(err, KL_E_IO, "TLS %s: %s", what, text);
}

/* After a TLS call that did not finish: waits for what it wants. KL_E_END at a clean or abrupt end
 * of the stream. */
static enum kl_rc tls_wait(
    struct kl_conn *c, int result, const char *what, int64_t deadline_ms, struct kl_err *err) {
    int saved = errno;
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(c, POLLIN, deadline_ms, err);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(c, POLLOUT, deadline_ms, err);
    case SSL_ERROR_ZERO_RETURN:
        return kl_fail(err, KL_E_END, "the server closed the connection");
    default:
        errno = saved;
        return tls_error(c, what, err);
    }
}

SSL_CTX *kl_conn__tls_new(struct kl_err *err) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    static const unsigned char alpn[] = "\x08http/1.1";
    if (ctx == NULL || SSL_CTX_set_default_verify_paths(ctx) != 1 ||
        SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1) != 0) {
        SSL_CTX_free(ctx);
        kl_fail(err, KL_E_IO, "TLS cannot be set up");
        return NULL;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return ctx;
}

static enum kl_rc tls_start(
    struct kl_conn *c, const char *host, SSL_CTX *ctx, int64_t deadline_ms, struct kl_err *err) {
    c->ssl = SSL_new(ctx);
    struct in6_addr ip;
    bool is_ip = inet_pton(AF_INET, host, &ip) == 1 || inet_pton(AF_INET6, host, &ip) == 1;
    bool ok = c->ssl != NULL && SSL_set_fd(c->ssl, c->fd) == 1;
    if (ok && is_ip) {
        ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c->ssl), host) == 1;
    } else if (ok) {
        ok = SSL_set1_host(c->ssl, host) == 1 && SSL_set_tlsext_host_name(c->ssl, host) == 1;
    }
    if (!ok) {
        return kl_fail(err, KL_E_IO, "TLS cannot be set up for %s", host);
    }
    for (;;) {
        ERR_clear_error();
        errno = 0;
        int n = SSL_connect(c->ssl);
        if (n == 1) {
            return KL_OK;
        }
        KL_TRY(tls_wait(c, n, "handshake", deadline_ms, err));
    }
}

static enum kl_rc tcp_connect(
    struct kl_conn *c, const struct addrinfo *ai, int64_t deadline_ms, struct kl_err *err) {
    c->fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, ai->ai_protocol);
    if (c->fd < 0) {
        return kl_fail(err, KL_E_IO, "socket: %s", strerror(errno));
    }
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    int problem = 0;
    if (connect(c->fd, ai->ai_addr, ai->ai_addrlen) != 0) {
        problem = errno;
        if (problem == EINPROGRESS) {
            KL_TRY(wait_for(c, POLLOUT, deadline_ms, err));
            socklen_t len = sizeof(problem);
            getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &problem, &len);
        }
    }
    return problem == 0 ? KL_OK : kl_fail(err, KL_E_IO, "%s", strerror(problem));
}

/* The addresses of the host in the resolver's order, until one takes the connection. */
static enum kl_rc connect_any(
    struct kl_conn *c, const struct kl_url *url, int64_t deadline_ms, struct kl_err *err) {
    char port[8];
    snprintf(port, sizeof(port), "%d", url->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int rc = getaddrinfo(url->host, port, &hints, &list);
    if (rc != 0) {
        return kl_fail(err, KL_E_IO, "%s", rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    }
    struct kl_err last; /* a refusal by one address is no error when the next one answers */
    enum kl_rc result = kl_fail(&last, KL_E_IO, "the host has no address");
    for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
        result = tcp_connect(c, ai, deadline_ms, &last);
        if (result == KL_OK || result == KL_E_CANCELLED || result == KL_E_TIMEOUT) {
            break;
        }
        kl_conn__close(c);
    }
    freeaddrinfo(list);
    if (result != KL_OK && err != NULL) {
        *err = last;
    }
    return result;
}

enum kl_rc kl_conn__open(
    struct kl_conn *c, const struct kl_client_options *options, SSL_CTX *tls, struct kl_err *err) {
    const struct kl_url *url = &options->url;
    int timeout = options->connect_timeout_ms > 0 ? options->connect_timeout_ms : 10000;
    int64_t deadline = kl_clock_mono_ms() + timeout;
    *c = (struct kl_conn){.fd = -1, .cancel_fd = options->cancel_fd};
    enum kl_rc rc = connect_any(c, url, deadline, err);
    if (rc == KL_OK && url->tls) {
        rc = tls_start(c, url->host, tls, deadline, err);
    }
    if (rc != KL_OK) {
        kl_conn__close(c);
        if (rc != KL_E_CANCELLED) {
            kl_err_prefix(err, "cannot connect to %s", url->authority);
        }
    }
    return rc;
}

void kl_conn__close(struct kl_conn *c) {
    if (c->ssl != NULL) {
        SSL_free(c->ssl);
        c->ssl = NULL;
    }
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
}

enum kl_rc kl_conn__read(struct kl_conn *c, char *to, size_t size, int64_t deadline_ms,
    size_t *ret_n, struct kl_err *err) {
    for (;;) {
        errno = 0;
        if (c->ssl != NULL) {
            ERR_clear_error();
            int n = SSL_read(c->ssl, to, (int)KL_MIN(size, (size_t)1 << 20));
            if (n > 0) {
                *ret_n = (size_t)n;
                return KL_OK;
            }
            KL_TRY(tls_wait(c, n, "read", deadline_ms, err));
            continue;
        }
        ssize_t n = recv(c->fd, to, size, 0);
        if (n > 0) {
            *ret_n = (size_t)n;
            return KL_OK;
        }
        if (n == 0) {
            return kl_fail(err, KL_E_END, "the server closed the connection");
        }
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            return kl_fail(err, KL_E_IO, "connection lost: %s", strerror(errno));
        }
        KL_TRY(wait_for(c, POLLIN, deadline_ms, err));
    }
}

enum kl_rc kl_conn__write(
    struct kl_conn *c, struct kl_slice bytes, int64_t deadline_ms, struct kl_err *err) {
    while (bytes.len > 0) {
        errno = 0;
        if (c->ssl != NULL) {
            ERR_clear_error();
            int n = SSL_write(c->ssl, bytes.ptr, (int)KL_MIN(bytes.len, (size_t)1 << 20));
            if (n > 0) {
                bytes = kl_slice_from(bytes, (size_t)n);
            } else {
                KL_TRY(tls_wait(c, n, "write", deadline_ms, err));
            }
            continue;
        }
        ssize_t n = send(c->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n >= 0) {
            bytes = kl_slice_from(bytes, (size_t)n);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
            KL_TRY(wait_for(c, POLLOUT, deadline_ms, err));
        } else {
            return kl_fail(err, KL_E_IO, "connection lost: %s", strerror(errno));
        }
    }
    return KL_OK;
}

bool kl_conn__has_news(struct kl_conn *c) {
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    return poll(&p, 1, 0) != 0;
}
