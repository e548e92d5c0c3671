/* Listeners, loops, and how they start and end.
 *
 * Each loop has its own listening socket on the same address (SO_REUSEPORT), so that the kernel
 * spreads connections and a connection lives and dies on one loop. h2o parses HTTP/1; its global
 * configuration is shared and immutable once loops run.
 *
 * Ending: stop (listeners closed, WebSockets told to go, keep-alive off) -> the engine finishes
 * what was accepted, its answers are sent -> finish (idle connections see end of file; loops end
 * when every connection is gone or time is up) -> free. */
#include "net/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FINISH_POLL_MS 20

#ifdef __SANITIZE_ADDRESS__
/* h2o keeps buffers to use again in lists of their thread, and has no call that gives them back. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:h2o_mem_alloc_recycle";
}
#endif

/* ---- connections ---- */

void kl_net__count_up(_Atomic uint64_t *count, _Atomic uint64_t *peak) {
    uint64_t now = atomic_fetch_add_explicit(count, 1, memory_order_relaxed) + 1;
    uint64_t before = atomic_load_explicit(peak, memory_order_relaxed);
    while (now > before && !atomic_compare_exchange_weak_explicit(peak, &before, now,
                               memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void on_conn_closed(void *data) {
    struct kl_net__conn *c = data;
    kl_net__list_del(&c->link);
    atomic_fetch_sub_explicit(&c->loop->net->connections, 1, memory_order_relaxed);
    free(c);
}

static void on_tcp_closed(uv_handle_t *handle) {
    free(handle);
}

static bool peer_of(uv_tcp_t *tcp, struct kl_ip *ret) {
    struct sockaddr_storage sa;
    int len = sizeof sa;
    return uv_tcp_getpeername(tcp, (struct sockaddr *)&sa, &len) == 0 &&
           kl_ip_from_sockaddr((struct sockaddr *)&sa, ret);
}

static void on_connection(uv_stream_t *listener, int status) {
    struct kl_net__loop *l = listener->data;
    struct kl_net *n = l->net;
    if (status != 0) {
        return;
    }
    uv_tcp_t *tcp = kl_xmalloc(sizeof *tcp);
    struct kl_ip ip;
    uv_tcp_init(l->uv, tcp);
    if (uv_accept(listener, (uv_stream_t *)tcp) != 0 || !peer_of(tcp, &ip) ||
        atomic_load_explicit(&n->connections, memory_order_relaxed) >= n->o.max_connections) {
        uv_close((uv_handle_t *)tcp, on_tcp_closed);
        return;
    }
    uv_tcp_nodelay(tcp, 1);
    struct kl_net__conn *c = kl_xmalloc(sizeof *c);
    h2o_socket_t *sock = h2o_uv_socket_create((uv_stream_t *)tcp, on_tcp_closed);
    *c = (struct kl_net__conn){
        .loop = l, .sock = sock, .ip = ip, .loopback = kl_ip_is_loopback(&ip)};
    kl_ip_format(&ip, c->ip_text);
    sock->on_close.cb = on_conn_closed;
    sock->on_close.data = c;
    kl_net__list_add(&l->conns, &c->link);
    kl_net__count_up(&n->connections, &n->connections_peak);
    struct timeval now;
    uint64_t ms = uv_now(l->uv);
    now.tv_sec = (time_t)(ms / 1000);
    now.tv_usec = (suseconds_t)(ms % 1000 * 1000);
    h2o_http1_accept(&l->accept, sock, now);
}

/* ---- listening ---- */

static enum kl_rc resolve(const char *host, struct addrinfo **ret, struct kl_err *err) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int rc = getaddrinfo(host, "0", &hints, ret);
    if (rc != 0) {
        return kl_fail(
            err, KL_E_INVALID_INPUT, "cannot resolve the address %s: %s", host, gai_strerror(rc));
    }
    return KL_OK;
}

static void set_port(struct sockaddr *sa, int port) {
    if (sa->sa_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)sa)->sin6_port = htons((uint16_t)port);
    } else {
        ((struct sockaddr_in *)(void *)sa)->sin_port = htons((uint16_t)port);
    }
}

static int port_of(int fd) {
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0) {
        return -1;
    }
    return sa.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&sa)->sin6_port)
                                    : ntohs(((struct sockaddr_in *)&sa)->sin_port);
}

/* Another process of this user could share a port that has SO_REUSEPORT: the first socket is
 * bound without it, so that an occupied port is an error, and gets it before the others are
 * bound. */
static int open_listener(const struct addrinfo *ai, int port, bool first, struct kl_err *err) {
    int one = 1;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    set_port(ai->ai_addr, port);
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
              (first || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == 0) &&
              bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
              setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == 0;
    if (ok) {
        return fd;
    }
    kl_fail(err, KL_E_IO, "cannot listen on port %d: %s", port, strerror(errno));
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

static enum kl_rc listen_on(struct kl_net__loop *l, int fd, struct kl_err *err) {
    int rc = uv_tcp_init(l->uv, &l->listener);
    if (rc == 0) {
        l->listener.data = l;
        l->listening = true;
        rc = uv_tcp_open(&l->listener, fd);
    }
    if (rc != 0) {
        close(fd);
        return kl_fail(err, KL_E_IO, "cannot listen: %s", uv_strerror(rc));
    }
    rc = uv_listen((uv_stream_t *)&l->listener, l->net->o.backlog, on_connection);
    return rc == 0 ? KL_OK
                   : kl_fail(err, KL_E_IO, "cannot listen on port %d: %s", l->net->port,
                         uv_strerror(rc));
}

static enum kl_rc open_listeners(struct kl_net *n, struct kl_err *err) {
    struct addrinfo *ai = NULL;
    int fds[256];
    unsigned opened = 0;
    enum kl_rc rc = resolve(n->o.host, &ai, err);
    if (rc != KL_OK) {
        return rc;
    }
    for (; rc == KL_OK && opened < n->n_loops; opened += rc == KL_OK) {
        int fd = open_listener(ai, opened ? n->port : n->o.port, opened == 0, err);
        if (fd < 0) {
            rc = KL_E_IO;
        } else {
            fds[opened] = fd;
            n->port = opened ? n->port : port_of(fd);
        }
    }
    freeaddrinfo(ai);
    for (unsigned i = 0; i < opened; i++) {
        if (rc == KL_OK) {
            rc = listen_on(&n->loops[i], fds[i], err);
        } else {
            close(fds[i]);
        }
    }
    return rc;
}

/* ---- start ---- */

static enum kl_rc parse_proxies(struct kl_net *n, struct kl_err *err) {
    n->proxies = kl_xcalloc(n->o.n_trusted_proxies + 1, sizeof *n->proxies);
    for (size_t i = 0; i < n->o.n_trusted_proxies; i++) {
        if (!kl_cidr_parse(kl_slice_str(n->o.trusted_proxies[i]), &n->proxies[i])) {
            return kl_fail(err, KL_E_INVALID_INPUT,
                "security.trusted_proxy_ranges: \"%s\" is no address or CIDR range",
                n->o.trusted_proxies[i]);
        }
    }
    return KL_OK;
}

static void init_config(struct kl_net *n) {
    h2o_config_init(&n->config);
    n->config.server_name = h2o_iovec_init(H2O_STRLIT("kalamdb"));
    n->config.max_request_entity_size = n->o.max_body_bytes;
    /* one clock for an idle connection, for headers and for the body: a slow sender is cut off */
    n->config.http1.req_timeout = (uint64_t)n->o.keepalive_s * 1000;
    n->config.http1.upgrade_to_http2 = 0;
    n->host = h2o_config_register_host(&n->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *path = h2o_config_register_path(n->host, "/", 0);
    h2o_handler_t *handler = h2o_create_handler(path, sizeof *handler);
    handler->on_req = kl_net__route;
    kl_net__install_error_filter(&n->host->fallback_path);
}

static enum kl_rc init_loop(struct kl_net *n, unsigned i, struct kl_err *err) {
    struct kl_net__loop *l = &n->loops[i];
    l->net = n;
    kl_net__list_init(&l->conns);
    kl_net__list_init(&l->websockets);
    kl_net__list_init(&l->held);
    l->loop = kl_loop_new(i);
    if (!l->loop) {
        return kl_fail(err, KL_E_NOMEM, "no resources left for a network loop");
    }
    l->uv = kl_loop_uv(l->loop);
    l->engine = kl_engine_loop_new(n->o.engine, l->loop);
    l->sessions = kl_session_cache_new();
    l->schemas = kl_schema_cache_new();
    h2o_context_init(&l->ctx, l->uv, &n->config);
    l->ctx_ready = true;
    l->accept = (h2o_accept_ctx_t){.ctx = &l->ctx, .hosts = n->config.hosts};
    uv_timer_init(l->uv, &l->tick);
    uv_timer_init(l->uv, &l->watch);
    uv_timer_init(l->uv, &l->finish);
    l->finish_ready = true;
    return KL_OK;
}

static struct kl_limiter *limiter(uint32_t per_sec, uint32_t ban_s) {
    return kl_limiter_new(&(struct kl_limiter_options){.per_sec = per_sec, .ban_s = ban_s});
}

enum kl_rc kl_net_start(
    const struct kl_net_options *o, struct kl_net **ret, int *ret_port, struct kl_err *err) {
    struct kl_net *n = kl_xcalloc(1, sizeof *n);
    n->o = *o;
    n->n_loops = KL_MIN(KL_MAX(o->loops, 1u), 256u);
    n->loops = kl_xcalloc(n->n_loops, sizeof *n->loops);
    n->started_ns = kl_clock_mono_ns();
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->stopped, NULL);
    kl_random_bytes(n->basic_key, sizeof n->basic_key);
    n->requests = limiter(o->max_requests_per_ip_per_sec, o->ban_s);
    n->auths = limiter(o->max_auth_per_ip_per_sec, 0);
    n->queries = limiter(o->max_queries_per_sec, 0);
    kl_net_set_root_token(n, o->root_token);
    init_config(n);
    enum kl_rc rc = parse_proxies(n, err);
    for (unsigned i = 0; rc == KL_OK && i < n->n_loops; i++) {
        rc = init_loop(n, i, err);
    }
    rc = rc == KL_OK ? open_listeners(n, err) : rc;
    if (rc != KL_OK) {
        kl_net_free(n);
        return rc;
    }
    *ret_port = n->port;
    *ret = n;
    return KL_OK;
}

void kl_net_set_root_token(struct kl_net *n, struct kl_slice token) {
    KL_ASSERT(token.len <= sizeof n->root_token);
    n->root_token_len = token.len;
    if (token.len) {
        memcpy(n->root_token, token.ptr, token.len);
    }
}

void kl_net_run(struct kl_net *n) {
    for (unsigned i = 1; i < n->n_loops; i++) {
        KL_ASSERT(kl_loop_start(n->loops[i].loop) == KL_OK);
    }
    kl_loop_run_here(n->loops[0].loop);
    for (unsigned i = 1; i < n->n_loops; i++) {
        kl_loop_join(n->loops[i].loop);
    }
}

/* ---- end ---- */

void kl_net__drained(struct kl_net__loop *l) {
    struct kl_net *n = l->net;
    if (l->drained) {
        return;
    }
    l->drained = true;
    pthread_mutex_lock(&n->lock);
    n->n_stopped++;
    pthread_cond_broadcast(&n->stopped);
    pthread_mutex_unlock(&n->lock);
}

static void on_stop(struct kl_task *t) {
    struct kl_net__loop *l = H2O_STRUCT_FROM_MEMBER(struct kl_net__loop, stop_task, t);
    if (l->phase == KL_NET_SERVING) {
        l->phase = KL_NET_STOPPING;
        l->stopping_ns = kl_clock_mono_ns();
        l->ctx.shutdown_requested = 1;
        l->listening = false;
        uv_close((uv_handle_t *)&l->listener, NULL);
        kl_net__ws_stop_all(l);
    }
    if (l->n_requests == 0) {
        kl_net__drained(l);
    }
}

void kl_net_stop(struct kl_net *n) {
    for (unsigned i = 0; i < n->n_loops; i++) {
        n->loops[i].stop_task.run = on_stop;
        kl_loop_post(n->loops[i].loop, &n->loops[i].stop_task);
    }
    pthread_mutex_lock(&n->lock);
    while (n->n_stopped < n->n_loops) {
        pthread_cond_wait(&n->stopped, &n->lock);
    }
    pthread_mutex_unlock(&n->lock);
}

/* h2o closes a connection that waits for a request when it reads the end of file. */
static void hang_up(struct kl_net__loop *l) {
    for (struct kl_net__link *at = l->conns.next; at != &l->conns; at = at->next) {
        struct kl_net__conn *c = H2O_STRUCT_FROM_MEMBER(struct kl_net__conn, link, at);
        shutdown(h2o_socket_get_fd(c->sock), SHUT_RD);
    }
}

static void on_finish_timer(uv_timer_t *timer) {
    struct kl_net__loop *l = timer->data;
    bool late = kl_clock_mono_ms() >= l->finish_at_ms;
    if (l->conns.next != &l->conns && !late) {
        hang_up(l);
        return;
    }
    uv_timer_stop(timer);
    l->phase = KL_NET_ENDED;
    kl_loop_stop(l->loop);
}

static void on_finish(struct kl_task *t) {
    struct kl_net__loop *l = H2O_STRUCT_FROM_MEMBER(struct kl_net__loop, finish_task, t);
    l->phase = KL_NET_FINISHING;
    l->finish_at_ms = kl_clock_mono_ms() + l->net->finish_ms;
    l->finish.data = l;
    uv_timer_start(&l->finish, on_finish_timer, 0, FINISH_POLL_MS);
}

void kl_net_finish(struct kl_net *n, int64_t timeout_ms) {
    n->finish_ms = timeout_ms;
    for (unsigned i = 0; i < n->n_loops; i++) {
        n->loops[i].finish_task.run = on_finish;
        kl_loop_post(n->loops[i].loop, &n->loops[i].finish_task);
    }
}

static void free_loop(struct kl_net__loop *l) {
    if (!l->loop) {
        return;
    }
    kl_net__ws_free_all(l);
    if (l->listening) {
        uv_close((uv_handle_t *)&l->listener, NULL);
    }
    if (l->finish_ready) {
        uv_close((uv_handle_t *)&l->tick, NULL);
        uv_close((uv_handle_t *)&l->watch, NULL);
        uv_close((uv_handle_t *)&l->finish, NULL);
    }
    if (l->ctx_ready) {
        h2o_context_dispose(&l->ctx);
    }
    kl_loop_free(l->loop); /* runs the close callbacks, which need the memory of this struct */
    kl_engine_loop_free(l->engine);
    kl_net__request_free_idle(l);
    kl_session_cache_free(l->sessions);
    kl_schema_cache_free(l->schemas);
}

void kl_net_free(struct kl_net *n) {
    if (!n) {
        return;
    }
    for (unsigned i = 0; i < n->n_loops; i++) {
        free_loop(&n->loops[i]);
    }
    h2o_config_dispose(&n->config);
    kl_limiter_free(n->requests);
    kl_limiter_free(n->auths);
    kl_limiter_free(n->queries);
    pthread_mutex_destroy(&n->lock);
    pthread_cond_destroy(&n->stopped);
    free(n->proxies);
    free(n->loops);
    free(n);
}

void kl_net_stats(struct kl_net *n, struct kl_net_stats *ret) {
    *ret = (struct kl_net_stats){.connections = atomic_load(&n->connections),
        .websockets = atomic_load(&n->n_websockets),
        .connections_peak = atomic_load(&n->connections_peak),
        .websockets_peak = atomic_load(&n->websockets_peak),
        .requests = atomic_load(&n->n_requests),
        .overloads = atomic_load(&n->overloads)};
}
