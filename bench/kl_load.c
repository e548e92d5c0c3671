/* Load over HTTP/1.1 keep-alive: n connections, one thread, one request under way on each.
 *
 * Requests are built once; between two of them only digits change in place. A response counts when
 * its status is 200 and it holds --expect; anything else makes the whole run worthless, so there is
 * no report then.
 *
 *   --mode insert   single-row INSERTs of about 120 bytes of data, ids ascending
 *   --mode select   SELECT by primary key with a random id of --first-id .. + --rows - 1
 *   --mode sql      --sql with the placeholders of template.h; --row and --repeat append rows to it. {n}
 *                   begins at --first-id, for each further connection --stride later
 *   --mode raw      --body to --path as it is
 *
 * It runs for --duration-ms, or until each connection has sent --requests. */
#include "http.h"
#include "template.h"
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_SIZE (1024 * 1024)
#define EVENTS 256
/* 92 bytes of text make a row of about 120 with its numbers and times. */
#define CONTENT                                                                                    \
    "The quick brown fox jumps over the lazy dog while the database keeps every word it was told."

enum mode { MODE_INSERT, MODE_SELECT, MODE_SQL, MODE_RAW };

struct config {
    enum mode mode;
    int port, pid;
    unsigned connections, repeat;
    uint64_t duration_ms, warmup_ms, rows, first_id, seed;
    uint64_t stride, requests; /* requests: 0, then time ends the run */
    char **tokens;
    size_t n_tokens;
    const char *table, *sql, *row, *body, *path, *expect, *save, *json;
};

struct conn {
    int fd;
    struct kl_bench_template t;
    uint64_t sent, sent_ns;
    size_t in_len;
    char in[IN_SIZE];
};

static struct config cfg = {.connections = 64,
    .duration_ms = 5000,
    .warmup_ms = 1000,
    .rows = 100000,
    .first_id = 100000000,
    .repeat = 1,
    .table = "bench.messages",
    .path = "/v1/api/sql"};
static uint64_t random_state;
static struct kl_bench_samples samples;
static uint64_t measure_from_ns, errors, answered;
static size_t last_body_len, last_head_len;
static unsigned busy; /* connections that still send */

static uint64_t next_random(void) {
    /* xorshift64*: cheap, and good enough to spread ids. */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545F4914F6CDD1DULL;
}

static char *format(const char *fmt, ...) {
    char *text;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0) {
        kl_bench_die("out of memory");
    }
    va_end(ap);
    return text;
}

/* Ids of one width: 19 digits that fit a BIGINT, 10^9 for each connection of each run. */
static void insert_sql(struct kl_bench_template_options *o, unsigned index) {
    o->first =
        1000000000000000001ULL + (cfg.seed % 1000000) * 1000000000000ULL + index * 1000000000ULL;
    o->sql = format(
        "INSERT INTO %s (id, conversation_id, role_id, content) VALUES ({n:19}, %u, 'user', '%s')",
        cfg.table, 1000 + index, CONTENT);
}

static void select_sql(struct kl_bench_template_options *o) {
    char digits[32];
    int width = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)cfg.first_id);
    o->sql = format("SELECT id, conversation_id, role_id, content, created_at FROM %s WHERE id = "
                    "{r:%d:%llu:%llu}",
        cfg.table, width, (unsigned long long)cfg.first_id,
        (unsigned long long)(cfg.first_id + cfg.rows - 1));
}

static void build_request(struct conn *c, unsigned index) {
    const char *token = cfg.n_tokens ? cfg.tokens[index % cfg.n_tokens] : NULL;
    if (cfg.mode == MODE_RAW) {
        c->t.request =
            kl_bench_http_post(cfg.path, token, cfg.body, strlen(cfg.body), &c->t.request_len);
        return;
    }
    struct kl_bench_template_options o = {.path = cfg.path,
        .token = token,
        .sql = cfg.sql,
        .row = cfg.row,
        .repeat = cfg.repeat,
        .first = cfg.first_id + index * cfg.stride};
    if (cfg.mode == MODE_INSERT) {
        insert_sql(&o, index);
    } else if (cfg.mode == MODE_SELECT) {
        select_sql(&o);
    }
    kl_bench_template_init(&c->t, &o);
}

static void send_next(struct conn *c) {
    if (cfg.requests > 0 && c->sent == cfg.requests) {
        busy--;
        return;
    }
    c->sent++;
    kl_bench_template_fill(&c->t, next_random);
    c->sent_ns = kl_bench_now_ns();
    kl_bench_send(c->fd, c->t.request, c->t.request_len);
}

static void count_error(const struct kl_bench_response *r, const char *body) {
    if (errors++ == 0) {
        fprintf(stderr, "first error, status %d: %.*s\n", r->status,
            (int)(r->body_len < 500 ? r->body_len : 500), body);
    }
}

static void take_response(struct conn *c, const struct kl_bench_response *r, uint64_t now) {
    const char *body = c->in + r->head_len;
    if (r->status != 200 ||
        (cfg.expect && memmem(body, r->body_len, cfg.expect, strlen(cfg.expect)) == NULL)) {
        count_error(r, body);
    } else if (c->sent_ns >= measure_from_ns) {
        kl_bench_samples_add(&samples, now - c->sent_ns);
        answered++;
    }
    if (cfg.save != NULL) {
        kl_bench_write_file(cfg.save, body, r->body_len);
        cfg.save = NULL;
    }
    last_head_len = r->head_len;
    last_body_len = r->body_len;
}

static void on_readable(struct conn *c) {
    ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0) {
        kl_bench_die("the server closed a connection");
    }
    c->in_len += (size_t)n;
    struct kl_bench_response r = {0};
    if (!kl_bench_http_parse(c->in, c->in_len, &r)) {
        if (c->in_len == sizeof(c->in)) {
            kl_bench_die("a response above %d bytes", IN_SIZE);
        }
        return;
    }
    if (r.head_len + r.body_len != c->in_len) {
        kl_bench_die("more bytes than one response");
    }
    take_response(c, &r, kl_bench_now_ns());
    c->in_len = 0;
    send_next(c);
}

static void run_until(int ep, uint64_t end_ns) {
    struct epoll_event events[EVENTS];
    while (busy > 0 && kl_bench_now_ns() < end_ns) {
        int n = epoll_wait(ep, events, EVENTS, 100);
        if (n < 0 && errno != EINTR) {
            kl_bench_die("epoll_wait: %s", strerror(errno));
        }
        for (int i = 0; i < n; i++) {
            on_readable(events[i].data.ptr);
        }
    }
}

static int open_connections(void) {
    int ep = epoll_create1(EPOLL_CLOEXEC);
    busy = cfg.connections;
    for (unsigned i = 0; i < cfg.connections; i++) {
        struct conn *c = kl_bench_alloc(sizeof(*c));
        build_request(c, i);
        c->fd = kl_bench_connect(cfg.port);
        kl_bench_set_nonblocking(c->fd);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e) != 0) {
            kl_bench_die("epoll_ctl: %s", strerror(errno));
        }
        send_next(c);
    }
    return ep;
}

static double own_cpu_us(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void measure(void) {
    uint64_t start = kl_bench_now_ns();
    measure_from_ns = start + cfg.warmup_ms * 1000000;
    int ep = open_connections();
    run_until(ep, measure_from_ns);
    uint64_t server_cpu = cfg.pid ? kl_bench_cpu_us(cfg.pid) : 0;
    double client_cpu = own_cpu_us(), begun = (double)kl_bench_now_ns();
    run_until(ep, measure_from_ns + cfg.duration_ms * 1000000);
    double seconds = ((double)kl_bench_now_ns() - begun) / 1e9;
    client_cpu = own_cpu_us() - client_cpu;
    server_cpu = cfg.pid ? kl_bench_cpu_us(cfg.pid) - server_cpu : 0;
    if (errors > 0 || answered == 0) {
        kl_bench_die("%llu errors, %llu answers: no report", (unsigned long long)errors,
            (unsigned long long)answered);
    }
    struct kl_bench_results r = {0};
    kl_bench_result(&r, "throughput", (double)answered / seconds);
    if (cfg.row != NULL) {
        kl_bench_result(&r, "rows_per_s", (double)answered / seconds * cfg.repeat);
    }
    kl_bench_result_latencies(&r, &samples);
    kl_bench_result(&r, "answered", (double)answered);
    kl_bench_result(&r, "errors", 0);
    kl_bench_result(&r, "head_bytes", (double)last_head_len);
    kl_bench_result(&r, "body_bytes", (double)last_body_len);
    kl_bench_result(&r, "client_cpu_us", client_cpu / (double)answered);
    if (cfg.pid) {
        kl_bench_result(&r, "server_cpu_us", (double)server_cpu / (double)answered);
    }
    kl_bench_report(&r, cfg.json);
}

static enum mode parse_mode(const char *text) {
    static const char *const names[] = {"insert", "select", "sql", "raw"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) == 0) {
            return (enum mode)i;
        }
    }
    kl_bench_die("--mode is insert, select, sql or raw");
}

enum {
    OPT_MODE,
    OPT_PORT,
    OPT_CONNECTIONS,
    OPT_DURATION,
    OPT_WARMUP,
    OPT_ROWS,
    OPT_FIRST_ID,
    OPT_TOKENS,
    OPT_TABLE,
    OPT_BODY,
    OPT_PATH,
    OPT_EXPECT,
    OPT_SAVE,
    OPT_JSON,
    OPT_PID,
    OPT_SQL,
    OPT_ROW,
    OPT_REPEAT,
    OPT_STRIDE,
    OPT_REQUESTS
};

static void take_option(int c, const char *v) {
    switch (c) {
    case OPT_MODE:
        cfg.mode = parse_mode(v);
        break;
    case OPT_PORT:
        cfg.port = (int)kl_bench_number("port", v, 1, 65535);
        break;
    case OPT_CONNECTIONS:
        cfg.connections = (unsigned)kl_bench_number("connections", v, 1, 1000);
        break;
    case OPT_DURATION:
        cfg.duration_ms = kl_bench_number("duration-ms", v, 1, 3600000);
        break;
    case OPT_WARMUP:
        cfg.warmup_ms = kl_bench_number("warmup-ms", v, 0, 3600000);
        break;
    case OPT_ROWS:
        cfg.rows = kl_bench_number("rows", v, 1, 1000000000);
        break;
    case OPT_FIRST_ID:
        cfg.first_id = kl_bench_number("first-id", v, 1, 1000000000000000000ULL);
        break;
    case OPT_TOKENS:
        cfg.tokens = kl_bench_read_lines(v, &cfg.n_tokens);
        break;
    case OPT_TABLE:
        cfg.table = v;
        break;
    case OPT_BODY:
        cfg.body = v;
        break;
    case OPT_PATH:
        cfg.path = v;
        break;
    case OPT_EXPECT:
        cfg.expect = v;
        break;
    case OPT_SAVE:
        cfg.save = v;
        break;
    case OPT_JSON:
        cfg.json = v;
        break;
    case OPT_PID:
        cfg.pid = (int)kl_bench_number("pid", v, 1, 1 << 30);
        break;
    case OPT_SQL:
        cfg.sql = v;
        break;
    case OPT_ROW:
        cfg.row = v;
        break;
    case OPT_REPEAT:
        cfg.repeat = (unsigned)kl_bench_number("repeat", v, 1, 100000);
        break;
    case OPT_STRIDE:
        cfg.stride = kl_bench_number("stride", v, 0, 1000000000000ULL);
        break;
    case OPT_REQUESTS:
        cfg.requests = kl_bench_number("requests", v, 1, 1000000000);
        break;
    default:
        exit(1);
    }
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"mode", 1, NULL, OPT_MODE},
        {"port", 1, NULL, OPT_PORT}, {"connections", 1, NULL, OPT_CONNECTIONS},
        {"duration-ms", 1, NULL, OPT_DURATION}, {"warmup-ms", 1, NULL, OPT_WARMUP},
        {"rows", 1, NULL, OPT_ROWS}, {"first-id", 1, NULL, OPT_FIRST_ID},
        {"tokens", 1, NULL, OPT_TOKENS}, {"table", 1, NULL, OPT_TABLE}, {"body", 1, NULL, OPT_BODY},
        {"path", 1, NULL, OPT_PATH}, {"expect", 1, NULL, OPT_EXPECT},
        {"save-response", 1, NULL, OPT_SAVE}, {"json", 1, NULL, OPT_JSON},
        {"pid", 1, NULL, OPT_PID}, {"sql", 1, NULL, OPT_SQL}, {"row", 1, NULL, OPT_ROW},
        {"repeat", 1, NULL, OPT_REPEAT}, {"stride", 1, NULL, OPT_STRIDE},
        {"requests", 1, NULL, OPT_REQUESTS}, {0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        take_option(c, optarg);
    }
    if (cfg.port == 0 || (cfg.mode == MODE_RAW && cfg.body == NULL) ||
        (cfg.mode == MODE_SQL && cfg.sql == NULL)) {
        kl_bench_die("--port is needed, --body with --mode raw and --sql with --mode sql");
    }
    if (cfg.requests > 0) { /* all of them count */
        cfg.warmup_ms = 0;
        cfg.duration_ms = 3600000;
    }
    cfg.seed = kl_bench_now_ns() / 1000;
    random_state = cfg.seed | 1;
    measure();
    return 0;
}
