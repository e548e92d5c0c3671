/* Live queries over WebSocket.
 *
 *   --mode live   one writer over HTTP, one subscriber, one write under way: the time from
 *                 sending an INSERT until its change event is here. The write is on disk before
 *                 the event is sent (storage.durability = sync).
 *   --mode idle   opens --connections connections, each authenticated and with one subscription on
 *                 a USER table, the users of --tokens in turn; then what the server (--pid) needs
 *                 for them: memory each, and processor time while only its pings happen. At
 *                 the end one row is written for the first user, and each of that user's
 *                 connections must hear of it: an idle connection that is dead costs nothing.
 *
 * One thread. */
#include "ws.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIVE_IN (64 * 1024)
#define IDLE_IN 4096
#define OPENING_MAX 128 /* connections on their way at a time */
#define SETTLE_MS 2000
#define EVENT_TIMEOUT_MS 10000
#define CONTENT                                                                                    \
    "The quick brown fox jumps over the lazy dog while the database keeps every word it was told."

enum state { STATE_UPGRADE, STATE_AUTH, STATE_ACK, STATE_READY };

struct socket {
    int fd;
    enum state state;
    const char *token;
    size_t len, size;
    uint64_t changes;
    char *in;
};

struct config {
    bool idle;
    int port, pid;
    unsigned connections;
    uint64_t events, idle_ms;
    char **tokens;
    size_t n_tokens;
    const char *table, *json;
};

static struct config cfg = {
    .connections = 10000, .events = 3000, .idle_ms = 10000, .table = "bench.live"};
static unsigned ready, pings;
static const char *wanted; /* text of the change that counts; NULL: any */

static void subscribe(struct socket *s) {
    char text[512];
    int n = snprintf(text, sizeof(text),
        "{\"type\":\"subscribe\",\"subscription\":{\"id\":\"s1\",\"sql\":\"SELECT * FROM %s\"}}",
        cfg.table);
    kl_bench_ws_send(s->fd, KL_WS_TEXT, text, (size_t)n);
}

static bool has(const struct kl_bench_ws_frame *f, const char *text) {
    return memmem(f->data, f->len, text, strlen(text)) != NULL;
}

static void on_text(struct socket *s, const struct kl_bench_ws_frame *f) {
    if (s->state == STATE_AUTH && has(f, "\"auth_success\"")) {
        s->state = STATE_ACK;
        subscribe(s);
    } else if (s->state == STATE_ACK && has(f, "\"subscription_ack\"")) {
        s->state = STATE_READY;
        ready++;
    } else if (s->state == STATE_READY && has(f, "\"change\"")) {
        s->changes += wanted == NULL || has(f, wanted);
    } else {
        kl_bench_die("unexpected message: %.*s", (int)(f->len < 400 ? f->len : 400), f->data);
    }
}

static void on_frame(struct socket *s, const struct kl_bench_ws_frame *f) {
    switch (f->opcode) {
    case KL_WS_TEXT:
        on_text(s, f);
        break;
    case KL_WS_PING:
        pings++;
        kl_bench_ws_send(s->fd, KL_WS_PONG, f->data, f->len);
        break;
    case KL_WS_PONG:
        break;
    case KL_WS_CLOSE:
        kl_bench_die(
            "the server closed a WebSocket: %.*s", f->len > 2 ? (int)f->len - 2 : 0, f->data + 2);
    default:
        kl_bench_die("a frame with opcode %d", f->opcode);
    }
}

static size_t take_messages(struct socket *s) {
    size_t at = 0, used;
    if (s->state == STATE_UPGRADE) {
        if (!kl_bench_ws_upgraded(s->in, s->len, &at)) {
            return 0;
        }
        s->state = STATE_AUTH;
    }
    struct kl_bench_ws_frame f;
    for (used = at; kl_bench_ws_parse(s->in + used, s->len - used, &f); used += f.size) {
        on_frame(s, &f);
    }
    return used;
}

static void on_readable(struct socket *s) {
    ssize_t n = recv(s->fd, s->in + s->len, s->size - s->len, 0);
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0) {
        kl_bench_die("the server closed a connection");
    }
    s->len += (size_t)n;
    size_t used = take_messages(s);
    memmove(s->in, s->in + used, s->len - used);
    s->len -= used;
    if (s->len == s->size) {
        kl_bench_die("a message above %zu bytes", s->size);
    }
}

static void open_socket(struct socket *s, int ep, const char *token, size_t in_size) {
    size_t len;
    char *request = kl_bench_ws_upgrade(token, &len);
    *s = (struct socket){.fd = kl_bench_connect(cfg.port),
        .token = token,
        .size = in_size,
        .in = kl_bench_alloc(in_size)};
    kl_bench_set_nonblocking(s->fd);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, s->fd, &e) != 0) {
        kl_bench_die("epoll_ctl: %s", strerror(errno));
    }
    kl_bench_send(s->fd, request, len);
    free(request);
}

static void poll_once(int ep, int timeout_ms) {
    struct epoll_event events[256];
    int n = epoll_wait(ep, events, 256, timeout_ms);
    if (n < 0 && errno != EINTR) {
        kl_bench_die("epoll_wait: %s", strerror(errno));
    }
    for (int i = 0; i < n; i++) {
        on_readable(events[i].data.ptr);
    }
}

static void poll_for(int ep, uint64_t ms) {
    uint64_t end = kl_bench_now_ns() + ms * 1000000;
    while (kl_bench_now_ns() < end) {
        poll_once(ep, 10);
    }
}

static void check_fd_limit(unsigned needed) {
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    if (r.rlim_cur < needed + 64) {
        kl_bench_die("%llu open files are allowed, %u connections need more",
            (unsigned long long)r.rlim_cur, needed);
    }
}

static char *insert_sql(uint64_t id) {
    char *sql;
    if (asprintf(&sql,
            "INSERT INTO %s (id, conversation_id, role_id, content) VALUES (%llu, 1, 'user', '%s')",
            cfg.table, (unsigned long long)id, CONTENT) < 0) {
        kl_bench_die("out of memory");
    }
    return sql;
}

/* ---- live ---- */

static void read_http(int fd) {
    char in[IDLE_IN];
    size_t len = 0;
    struct kl_bench_response r = {0};
    while (!kl_bench_http_parse(in, len, &r)) {
        ssize_t n = recv(fd, in + len, sizeof(in) - len, 0);
        if (n <= 0) {
            kl_bench_die("the server closed the writer's connection");
        }
        len += (size_t)n;
    }
    if (r.status != 200) {
        kl_bench_die("an INSERT was answered %d: %.*s", r.status, (int)r.body_len, in + r.head_len);
    }
}

struct write_times {
    uint64_t event_ns, answer_ns;
};

static struct write_times one_write(int ep, struct socket *sub, int writer, uint64_t id) {
    char *sql = insert_sql(id), *body = kl_bench_sql_body(sql), mark[32];
    size_t len;
    char *request = kl_bench_http_post("/v1/api/sql", cfg.tokens[0], body, strlen(body), &len);
    snprintf(mark, sizeof(mark), "%llu", (unsigned long long)id);
    wanted = mark;
    uint64_t before = sub->changes, start = kl_bench_now_ns();
    kl_bench_send(writer, request, len);
    while (sub->changes == before) {
        poll_once(ep, 100);
        if (kl_bench_now_ns() - start > EVENT_TIMEOUT_MS * 1000000ULL) {
            kl_bench_die("no change event within %d ms", EVENT_TIMEOUT_MS);
        }
    }
    struct write_times t = {.event_ns = kl_bench_now_ns() - start};
    read_http(writer);
    t.answer_ns = kl_bench_now_ns() - start;
    wanted = NULL;
    free(request);
    free(body);
    free(sql);
    return t;
}

static void measure_live(struct kl_bench_results *r) {
    int ep = epoll_create1(EPOLL_CLOEXEC), writer = kl_bench_connect(cfg.port);
    struct socket sub;
    open_socket(&sub, ep, cfg.tokens[0], LIVE_IN);
    while (ready == 0) {
        poll_once(ep, 100);
    }
    struct kl_bench_samples samples = {0}, answers = {0};
    uint64_t first = 1000000000000000000ULL + kl_bench_now_ns() / 1000 * 1000;
    for (uint64_t i = 0; i < cfg.events + cfg.events / 10; i++) {
        struct write_times t = one_write(ep, &sub, writer, first + i);
        if (i >= cfg.events / 10) { /* the first tenth warms up */
            kl_bench_samples_add(&samples, t.event_ns);
            kl_bench_samples_add(&answers, t.answer_ns);
        }
    }
    kl_bench_result_latencies(r, &samples);
    kl_bench_samples_sort(&answers);
    kl_bench_result(r, "answer_p50_us", kl_bench_samples_us(&answers, 0.5));
    kl_bench_result(r, "events", (double)samples.count);
}

/* ---- idle ---- */

static struct socket *open_all(int ep) {
    struct socket *all = kl_bench_alloc(cfg.connections * sizeof(*all));
    for (unsigned opened = 0; ready < cfg.connections;) {
        while (opened < cfg.connections && opened - ready < OPENING_MAX) {
            open_socket(&all[opened], ep, cfg.tokens[opened % cfg.n_tokens], IDLE_IN);
            opened++;
        }
        poll_once(ep, 100);
    }
    return all;
}

/* All of the first user's connections hear of one row, nobody else's does. */
static double check_alive(int ep, struct socket *all) {
    for (unsigned i = 0; i < cfg.connections; i++) {
        all[i].changes = 0;
    }
    uint64_t start = kl_bench_now_ns(), heard = 0, own = 0;
    char *sql = insert_sql(2000000000000000000ULL + start / 1000);
    free(kl_bench_sql(cfg.port, cfg.tokens[0], sql, NULL));
    free(sql);
    for (unsigned i = 0; i < cfg.connections; i++) {
        own += all[i].token == cfg.tokens[0];
    }
    while (heard < own) {
        poll_once(ep, 10);
        heard = 0;
        for (unsigned i = 0; i < cfg.connections; i++) {
            heard += all[i].changes;
            if (all[i].changes > (all[i].token == cfg.tokens[0])) {
                kl_bench_die("connection %u heard a change that is not its own", i);
            }
        }
        if (kl_bench_now_ns() - start > EVENT_TIMEOUT_MS * 1000000ULL) {
            kl_bench_die("only %llu of %llu connections heard of a change",
                (unsigned long long)heard, (unsigned long long)own);
        }
    }
    return (double)(kl_bench_now_ns() - start) / 1e6;
}

static void measure_idle(struct kl_bench_results *r) {
    if (cfg.pid == 0) {
        kl_bench_die("--pid of the server is needed");
    }
    check_fd_limit(cfg.connections);
    int ep = epoll_create1(EPOLL_CLOEXEC);
    uint64_t before = kl_bench_rss_bytes(cfg.pid), start = kl_bench_now_ns();
    struct socket *all = open_all(ep);
    double open_ms = (double)(kl_bench_now_ns() - start) / 1e6;
    poll_for(ep, SETTLE_MS);
    uint64_t after = kl_bench_rss_bytes(cfg.pid), cpu = kl_bench_cpu_us(cfg.pid);
    pings = 0;
    uint64_t idle_start = kl_bench_now_ns();
    poll_for(ep, cfg.idle_ms);
    double idle_us = (double)(kl_bench_now_ns() - idle_start) / 1e3;
    cpu = kl_bench_cpu_us(cfg.pid) - cpu;
    double fanout_ms = check_alive(ep, all);
    kl_bench_result(r, "connections", cfg.connections);
    kl_bench_result(r, "users", (double)cfg.n_tokens);
    kl_bench_result(r, "open_ms", open_ms);
    kl_bench_result(r, "rss_before_kib", (double)before / 1024);
    kl_bench_result(r, "rss_after_kib", (double)after / 1024);
    kl_bench_result(r, "bytes_per_connection", ((double)after - (double)before) / cfg.connections);
    kl_bench_result(r, "idle_cpu_percent", (double)cpu * 100 / idle_us);
    kl_bench_result(r, "pings", pings);
    kl_bench_result(r, "event_to_all_ms", fanout_ms);
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"mode", 1, NULL, 'm'}, {"port", 1, NULL, 'p'},
        {"tokens", 1, NULL, 't'}, {"table", 1, NULL, 'T'}, {"events", 1, NULL, 'e'},
        {"connections", 1, NULL, 'c'}, {"pid", 1, NULL, 'P'}, {"idle-ms", 1, NULL, 'i'},
        {"json", 1, NULL, 'j'}, {0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'm':
            cfg.idle = strcmp(optarg, "idle") == 0;
            break;
        case 'p':
            cfg.port = (int)kl_bench_number("port", optarg, 1, 65535);
            break;
        case 't':
            cfg.tokens = kl_bench_read_lines(optarg, &cfg.n_tokens);
            break;
        case 'T':
            cfg.table = optarg;
            break;
        case 'e':
            cfg.events = kl_bench_number("events", optarg, 1, 10000000);
            break;
        case 'c':
            cfg.connections = (unsigned)kl_bench_number("connections", optarg, 1, 1000000);
            break;
        case 'P':
            cfg.pid = (int)kl_bench_number("pid", optarg, 1, 1 << 30);
            break;
        case 'i':
            cfg.idle_ms = kl_bench_number("idle-ms", optarg, 100, 3600000);
            break;
        case 'j':
            cfg.json = optarg;
            break;
        default:
            return 1;
        }
    }
    if (cfg.port == 0 || cfg.n_tokens == 0) {
        kl_bench_die("--port and --tokens are needed");
    }
    struct kl_bench_results r = {0};
    if (cfg.idle) {
        measure_idle(&r);
    } else {
        measure_live(&r);
    }
    kl_bench_report(&r, cfg.json);
    return 0;
}
