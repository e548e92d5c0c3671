/* kalamdb-server: configuration, log, server, signals.
 *
 * Standard output carries one line, "listening on http://HOST:PORT", when everything is ready;
 * errors go to standard error. Exit codes: 0 after SIGTERM or SIGINT, 1 when the server cannot
 * start, 2 for a wrong command line. A second signal during the stop ends the process at once. */
#include "server/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

extern char **environ;

/* Blocked before the first thread is made, so that only the waiting thread sees them. */
static sigset_t stop_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

static void *wait_for_signal(void *arg) {
    struct kl_server *s = arg;
    sigset_t set = stop_signals();
    int which = 0;
    kl_thread_name("signals");
    while (sigwait(&set, &which) != 0) {
    }
    signal(which, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    kl_log_info("server", "stopping");
    kl_server_stop(s);
    return NULL;
}

static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum kl_rc open_log(const struct kl_config *c, struct kl_err *err) {
    char *path = NULL;
    if (c->logging_logs_path[0]) {
        KL_TRY(kl_dir_make(c->logging_logs_path, 0700, err));
        path = kl_server_log_file(c);
    }
    struct kl_log_config log = {.level = (enum kl_log_level)c->logging_level,
        .to_console = c->logging_log_to_console,
        .json = c->logging_format == KL_CONFIG_LOG_JSON,
        .path = path};
    enum kl_rc rc = kl_log_configure(&log, err);
    free(path);
    KL_TRY(rc);
    for (size_t i = 0; i < c->warnings.count; i++) {
        kl_log_warn("config", "%s", c->warnings.items[i]);
    }
    return KL_OK;
}

static void print_ready(const struct kl_server *s) {
    const char *host = s->config->server_host;
    printf(strchr(host, ':') ? "listening on http://[%s]:%d\n" : "listening on http://%s:%d\n",
        host, s->port);
    fflush(stdout);
}

static int complain(const struct kl_err *err, int code) {
    fprintf(stderr, "kalamdb-server: %s\n", err->msg);
    return code;
}

static int serve(const struct kl_config *config) {
    struct kl_server server;
    struct kl_err err = {0};
    pthread_t signals;
    if (open_log(config, &err) != KL_OK || kl_server_start(&server, config, &err) != KL_OK) {
        return complain(&err, 1);
    }
    print_ready(&server);
    if (pthread_create(&signals, NULL, wait_for_signal, &server) != 0) {
        fprintf(stderr, "kalamdb-server: cannot start a thread\n");
        kl_root_token_remove(server.port);
        return 1;
    }
    kl_server_run(&server);
    pthread_join(signals, NULL);
    kl_server_free(&server);
    kl_log_info("server", "stopped");
    return 0;
}

static int run(const struct kl_config_args *args) {
    char found[4096];
    struct kl_config config = {0};
    struct kl_err err = {0};
    const char *file = args->config;
    if (!file && kl_config_find_file(found, sizeof found)) {
        file = found;
    }
    struct kl_config_source source = {
        .file = file, .env = environ, .data_dir = args->data_dir, .listen = args->listen};
    if (kl_config_load(&source, &config, &err) != KL_OK) {
        return complain(&err, 1);
    }
    int code = serve(&config);
    kl_config_deinit(&config);
    return code;
}

int main(int argc, char **argv) {
    struct kl_config_args args;
    struct kl_err err = {0};
    sigset_t set = stop_signals();
    if (kl_config_args_parse(argc, argv, &args, &err) != KL_OK) {
        return complain(&err, 2);
    }
    if (args.action == KL_CONFIG_HELP) {
        struct kl_buf text = {0};
        kl_config_help(&text);
        fwrite(text.data, 1, text.len, stdout);
        kl_buf_deinit(&text);
        return 0;
    }
    if (args.action == KL_CONFIG_VERSION) {
        puts("kalamdb-server " KL_VERSION);
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    raise_file_limit();
    return run(&args);
}
