/* What Redis takes from a write until another client hears of it, beside kl_live_bench. Two
 * connections over a Unix socket, one message under way.
 *
 *   --mode pubsub   PUBLISH; nothing is stored
 *   --mode stream   XADD, heard through a blocking XREAD; with `appendfsync always` as durable as
 * KalamDB's event */
#include "common.h"
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define IN_SIZE (64 * 1024)
#define PAYLOAD 120

struct peer {
    int fd;
    size_t len;
    char in[IN_SIZE];
};

static void connect_to(struct peer *p, const char *path) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(addr.sun_path)) {
        kl_bench_die("%s is too long", path);
    }
    strcpy(addr.sun_path, path);
    p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        kl_bench_die("%s: %s", path, strerror(errno));
    }
}

static void send_text(struct peer *p, const char *text) {
    size_t len = strlen(text);
    if (send(p->fd, text, len, MSG_NOSIGNAL) != (ssize_t)len) {
        kl_bench_die("send: %s", strerror(errno));
    }
}

/* Reads until the input holds `needle`; an error reply is fatal. */
static void read_until(struct peer *p, const char *needle) {
    for (;;) {
        p->in[p->len] = '\0';
        if (p->in[0] == '-') {
            kl_bench_die("Redis says %.200s", p->in);
        }
        if (strstr(p->in, needle) != NULL) {
            return;
        }
        ssize_t n = p->len < IN_SIZE - 1 ? recv(p->fd, p->in + p->len, IN_SIZE - 1 - p->len, 0) : 0;
        if (n <= 0) {
            kl_bench_die("Redis closed the connection");
        }
        p->len += (size_t)n;
    }
}

static void clear(struct peer *p) {
    p->len = 0;
    p->in[0] = '\0';
}

static void listen_again(struct peer *sub, const char *last_id) {
    char text[256];
    snprintf(text, sizeof(text),
        "*6\r\n$5\r\nXREAD\r\n$5\r\nBLOCK\r\n$1\r\n0\r\n$7\r\nSTREAMS\r\n$5\r\nbench\r\n$%zu\r\n%"
        "s\r\n",
        strlen(last_id), last_id);
    send_text(sub, text);
}

/* The entry's id is the first bulk string after the stream's name. */
static void take_id(const struct peer *sub, char ret_id[64]) {
    const char *at = strstr(sub->in, "bench\r\n");
    const char *dollar = at ? strchr(at, '$') : NULL;
    const char *id = dollar ? strchr(dollar, '\n') : NULL;
    size_t len = id ? strcspn(id + 1, "\r") : 0;
    if (len == 0 || len >= 64) {
        kl_bench_die("an XREAD reply that cannot be read: %.200s", sub->in);
    }
    memcpy(ret_id, id + 1, len);
    ret_id[len] = '\0';
}

static uint64_t one_message(
    struct peer *pub, struct peer *sub, bool stream, unsigned i, char *last_id) {
    char payload[PAYLOAD + 1], text[512];
    memset(payload, 'x', PAYLOAD);
    payload[PAYLOAD] = '\0';
    char mark[16];
    int n = snprintf(mark, sizeof(mark), "m%09u!", i);
    memcpy(payload, mark, (size_t)n);
    if (stream) {
        snprintf(text, sizeof(text),
            "*5\r\n$4\r\nXADD\r\n$5\r\nbench\r\n$1\r\n*\r\n$1\r\nc\r\n$%d\r\n%s\r\n", PAYLOAD,
            payload);
    } else {
        snprintf(text, sizeof(text), "*3\r\n$7\r\nPUBLISH\r\n$5\r\nbench\r\n$%d\r\n%s\r\n", PAYLOAD,
            payload);
    }
    uint64_t start = kl_bench_now_ns();
    send_text(pub, text);
    read_until(sub, mark);
    uint64_t took = kl_bench_now_ns() - start;
    read_until(pub, "\r\n");
    clear(pub);
    if (stream) {
        take_id(sub, last_id);
        clear(sub);
        listen_again(sub, last_id);
        /* As KalamDB's subscriber is always listening, the next write waits until this one is. */
        struct timespec pause = {.tv_nsec = 50000};
        nanosleep(&pause, NULL);
    } else {
        clear(sub);
    }
    return took;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"socket", 1, NULL, 's'}, {"mode", 1, NULL, 'm'},
        {"events", 1, NULL, 'e'}, {"json", 1, NULL, 'j'}, {0}};
    const char *path = NULL, *mode = "pubsub", *json = NULL;
    uint64_t events = 3000;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 's':
            path = optarg;
            break;
        case 'm':
            mode = optarg;
            break;
        case 'e':
            events = kl_bench_number("events", optarg, 1, 10000000);
            break;
        case 'j':
            json = optarg;
            break;
        default:
            return 1;
        }
    }
    bool stream = strcmp(mode, "stream") == 0;
    if (path == NULL || (!stream && strcmp(mode, "pubsub") != 0)) {
        kl_bench_die("--socket and --mode pubsub or stream are needed");
    }
    static struct peer pub, sub;
    char last_id[64] = "$";
    connect_to(&pub, path);
    connect_to(&sub, path);
    if (stream) {
        listen_again(&sub, last_id);
        usleep(20000);
    } else {
        send_text(&sub, "*2\r\n$9\r\nSUBSCRIBE\r\n$5\r\nbench\r\n");
        read_until(&sub, ":1\r\n");
        clear(&sub);
    }
    struct kl_bench_samples samples = {0};
    for (unsigned i = 0; i < events + events / 10; i++) {
        uint64_t ns = one_message(&pub, &sub, stream, i, last_id);
        if (i >= events / 10) { /* the first tenth warms up */
            kl_bench_samples_add(&samples, ns);
        }
    }
    struct kl_bench_results r = {0};
    kl_bench_result_latencies(&r, &samples);
    kl_bench_result(&r, "events", (double)samples.count);
    kl_bench_report(&r, json);
    return 0;
}
