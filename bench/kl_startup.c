/* Starts a server in an empty directory, several times: milliseconds until it has answered a first
 * query, what memory it holds then, and, with --idle-ms, its memory and processor time after doing
 * nothing.
 *
 * The port is the server's choice: the name of its root token file tells it, which it writes once
 * it listens. The clock runs from before fork until the last byte of the answer. */
#include "http.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_TIMEOUT_MS 15000
#define STOP_TIMEOUT_MS 15000

struct config {
    const char *server, *config, *dir, *sql, *json;
    uint64_t runs, idle_ms;
};

struct run {
    char data[4096], runtime[4096], tokens[4200], log[4200];
    pid_t pid;
};

static struct config cfg = {.runs = 5, .sql = "SELECT 1"};
static pid_t running;

static void stop_running(void) {
    if (running > 0) {
        kill(running, SIGKILL);
    }
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    return remove(path);
}

static void start_server(struct run *r, unsigned number) {
    snprintf(r->data, sizeof(r->data), "%s/start%u", cfg.dir, number);
    snprintf(r->runtime, sizeof(r->runtime), "%s/start%u.run", cfg.dir, number);
    snprintf(r->tokens, sizeof(r->tokens), "%s/kalamdb", r->runtime);
    snprintf(r->log, sizeof(r->log), "%s/start%u.log", cfg.dir, number);
    if (mkdir(r->data, 0700) != 0 || mkdir(r->runtime, 0700) != 0) {
        kl_bench_die("%s: %s", r->data, strerror(errno));
    }
    r->pid = fork();
    if (r->pid < 0) {
        kl_bench_die("fork: %s", strerror(errno));
    }
    if (r->pid == 0) {
        int log = open(r->log, O_CREAT | O_WRONLY | O_TRUNC, 0600);
        dup2(log, 1);
        dup2(log, 2);
        setenv("XDG_RUNTIME_DIR", r->runtime, 1);
        execl(cfg.server, cfg.server, "--data", r->data, "--listen", "127.0.0.1:0",
            cfg.config ? "--config" : NULL, cfg.config, NULL);
        _exit(127);
    }
    running = r->pid;
}

/* The port of the token file, or 0 when there is none yet. */
static int find_port(const char *folder) {
    DIR *d = opendir(folder);
    int port = 0;
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char *end;
        long n = strtol(e->d_name, &end, 10);
        if (n > 0 && n < 65536 && strcmp(end, ".token") == 0) {
            port = (int)n;
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    return port;
}

static int wait_for_port(const struct run *r, uint64_t start) {
    for (;;) {
        int port = find_port(r->tokens), status;
        if (port != 0) {
            return port;
        }
        if (waitpid(r->pid, &status, WNOHANG) == r->pid) {
            running = 0;
            kl_bench_die("the server ended while starting: see %s", r->log);
        }
        if (kl_bench_now_ns() - start > START_TIMEOUT_MS * 1000000ULL) {
            kl_bench_die("the server did not start: see %s", r->log);
        }
        struct timespec pause = {.tv_nsec = 200000};
        nanosleep(&pause, NULL);
    }
}

static void stop_server(struct run *r, struct kl_bench_samples *stops) {
    uint64_t start = kl_bench_now_ns();
    int status = 0;
    kill(r->pid, SIGTERM);
    while (waitpid(r->pid, &status, WNOHANG) != r->pid) {
        if (kl_bench_now_ns() - start > STOP_TIMEOUT_MS * 1000000ULL) {
            kl_bench_die("the server does not stop: see %s", r->log);
        }
        struct timespec pause = {.tv_nsec = 1000000};
        nanosleep(&pause, NULL);
    }
    running = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        kl_bench_die("the server ended with status %d: see %s", status, r->log);
    }
    kl_bench_samples_add(stops, kl_bench_now_ns() - start);
    nftw(r->data, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    nftw(r->runtime, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void idle(struct kl_bench_results *out, pid_t pid) {
    usleep(500000);
    uint64_t cpu = kl_bench_cpu_us(pid), start = kl_bench_now_ns();
    usleep((useconds_t)(cfg.idle_ms * 1000));
    double us = (double)(kl_bench_now_ns() - start) / 1e3;
    kl_bench_result(out, "idle_cpu_percent", (double)(kl_bench_cpu_us(pid) - cpu) * 100 / us);
    kl_bench_result(out, "idle_rss_kib", (double)kl_bench_rss_bytes(pid) / 1024);
}

static void measure(struct kl_bench_results *out) {
    struct kl_bench_samples first = {0}, stops = {0};
    uint64_t rss = 0;
    for (unsigned i = 0; i < cfg.runs; i++) {
        struct run r;
        uint64_t start = kl_bench_now_ns();
        start_server(&r, i);
        int port = wait_for_port(&r, start);
        char path[4300];
        snprintf(path, sizeof(path), "%s/%d.token", r.tokens, port);
        char *token = kl_bench_read_line(path);
        free(kl_bench_sql(port, token, cfg.sql, NULL));
        kl_bench_samples_add(&first, kl_bench_now_ns() - start);
        free(token);
        rss = kl_bench_rss_bytes(r.pid);
        if (i + 1 == cfg.runs && cfg.idle_ms > 0) {
            idle(out, r.pid);
        }
        stop_server(&r, &stops);
    }
    kl_bench_samples_sort(&first);
    kl_bench_samples_sort(&stops);
    kl_bench_result(out, "first_answer_ms", kl_bench_samples_us(&first, 0.5) / 1000);
    kl_bench_result(out, "first_answer_max_ms", kl_bench_samples_us(&first, 1) / 1000);
    kl_bench_result(out, "stop_ms", kl_bench_samples_us(&stops, 0.5) / 1000);
    kl_bench_result(out, "started_rss_kib", (double)rss / 1024);
    kl_bench_result(out, "runs", (double)cfg.runs);
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"server", 1, NULL, 's'}, {"config", 1, NULL, 'c'},
        {"dir", 1, NULL, 'd'}, {"runs", 1, NULL, 'r'}, {"idle-ms", 1, NULL, 'i'},
        {"sql", 1, NULL, 'q'}, {"json", 1, NULL, 'j'}, {0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 's':
            cfg.server = optarg;
            break;
        case 'c':
            cfg.config = optarg;
            break;
        case 'd':
            cfg.dir = optarg;
            break;
        case 'r':
            cfg.runs = kl_bench_number("runs", optarg, 1, 1000);
            break;
        case 'i':
            cfg.idle_ms = kl_bench_number("idle-ms", optarg, 0, 3600000);
            break;
        case 'q':
            cfg.sql = optarg;
            break;
        case 'j':
            cfg.json = optarg;
            break;
        default:
            return 1;
        }
    }
    if (cfg.server == NULL || cfg.dir == NULL) {
        kl_bench_die("--server and --dir are needed");
    }
    atexit(stop_running);
    struct kl_bench_results r = {0};
    measure(&r);
    kl_bench_report(&r, cfg.json);
    return 0;
}
