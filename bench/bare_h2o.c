/* The ceiling of what an HTTP server can do here: h2o alone. It reads each request's whole body and
 * answers with the content of one file, so that its responses can be those of KalamDB, byte for
 * byte.
 *
 * Like the server it has a thread per loop and a listener each (SO_REUSEPORT). It prints "port=N"
 * and serves until it is killed. */
#include "common.h"
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <h2o.h>
#include <h2o/http1.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct bare_loop {
    uv_loop_t loop;
    uv_tcp_t listener;
    h2o_context_t ctx;
    h2o_accept_ctx_t accept_ctx;
};

static h2o_globalconf_t config;
static char *answer; /* set before the loops run */
static size_t answer_len;

static int on_request(h2o_handler_t *self, h2o_req_t *req) {
    if (req->entity.base == NULL || req->entity.len == 0) {
        h2o_send_error_400(req, "Bad Request", "a body is needed", 0);
        return 0;
    }
    req->res.status = 200;
    req->res.reason = "OK";
    req->res.content_length = answer_len;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
        H2O_STRLIT("application/json"));
    h2o_send_inline(req, answer, answer_len);
    return 0;
}

static void on_accept(uv_stream_t *listener, int status) {
    if (status != 0) {
        return;
    }
    struct bare_loop *l = listener->data;
    uv_tcp_t *conn = h2o_mem_alloc(sizeof(*conn));
    uv_tcp_init(&l->loop, conn);
    if (uv_accept(listener, (uv_stream_t *)conn) != 0) {
        uv_close((uv_handle_t *)conn, (uv_close_cb)free);
        return;
    }
    uv_tcp_nodelay(conn, 1);
    h2o_accept(&l->accept_ctx, h2o_uv_socket_create((uv_stream_t *)conn, (uv_close_cb)free));
}

static int listen_on(int port, int *ret_port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof(addr);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
        kl_bench_die("cannot listen: %s", strerror(errno));
    }
    *ret_port = ntohs(addr.sin_port);
    return fd;
}

static void *run_loop(void *arg) {
    uv_run(&((struct bare_loop *)arg)->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void start_loop(struct bare_loop *l, int *port) {
    uv_loop_init(&l->loop);
    h2o_context_init(&l->ctx, &l->loop, &config);
    l->accept_ctx = (h2o_accept_ctx_t){.ctx = &l->ctx, .hosts = config.hosts};
    uv_tcp_init(&l->loop, &l->listener);
    l->listener.data = l;
    if (uv_tcp_open(&l->listener, listen_on(*port, port)) != 0 ||
        uv_listen((uv_stream_t *)&l->listener, 4096, on_accept) != 0) {
        kl_bench_die("cannot listen on port %d", *port);
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_loop, l) != 0) {
        kl_bench_die("no thread");
    }
}

static void read_answer(const char *path) {
    FILE *f = fopen(path, "re");
    answer = kl_bench_alloc(1 << 20);
    if (f == NULL || (answer_len = fread(answer, 1, 1 << 20, f)) == 0) {
        kl_bench_die("%s: %s", path, f ? "empty" : strerror(errno));
    }
    fclose(f);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"answer", required_argument, NULL, 'a'}, {"loops", required_argument, NULL, 'l'}, {0}};
    unsigned loops = 2;
    int c, port = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'a') {
            read_answer(optarg);
        } else if (c == 'l') {
            loops = (unsigned)kl_bench_number("loops", optarg, 1, 64);
        } else {
            return 1;
        }
    }
    if (answer == NULL) {
        kl_bench_die("--answer FILE is missing");
    }
    h2o_config_init(&config);
    config.http1.req_timeout = 3600 * 1000;
    h2o_hostconf_t *host =
        h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
    h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = on_request;
    struct bare_loop *all = kl_bench_alloc(loops * sizeof(*all));
    for (unsigned i = 0; i < loops; i++) {
        start_loop(&all[i], &port);
    }
    printf("port=%d\n", port);
    fflush(stdout);
    pause();
    return 0;
}
