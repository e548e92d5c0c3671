/* What system.* shows of the parts that the engine does not know: settings, figures of the process and the network, the log
 * file, this node. Any thread. */
#include "server/log_file.h"
#include "server/process.h"
#include "server/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

typedef enum kl_rc visit_setting(
    void *vctx, const char *name, const char *value, const char *description, const char *category);
typedef enum kl_rc visit_stat(void *vctx, const char *name, const char *value);

/* "server" of "server.port". */
static void category_of(const char *key, struct kl_buf *out) {
    const char *dot = strchr(key, '.');
    kl_buf_clear(out);
    kl_buf_append(out, key, dot ? (size_t)(dot - key) : 0);
    kl_buf_puts(out, dot ? "" : "general");
    kl_buf_putc(out, '\0');
}

static enum kl_rc settings(void *ctx, visit_setting *visit, void *vctx) {
    const struct kl_server *s = ctx;
    struct kl_buf value = {0}, category = {0};
    size_t n;
    const struct kl_config_key *keys = kl_config_keys(&n);
    enum kl_rc rc = KL_OK;
    for (size_t i = 0; i < n && rc == KL_OK; i++) {
        kl_buf_clear(&value);
        kl_config_show(s->config, &keys[i], &value);
        kl_buf_putc(&value, '\0');
        category_of(keys[i].key, &category);
        rc = visit(vctx, keys[i].key, value.data, keys[i].doc, category.data);
    }
    kl_buf_deinit(&value);
    kl_buf_deinit(&category);
    return rc;
}

static enum kl_rc stat_u64(visit_stat *visit, void *vctx, const char *name, uint64_t v) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    return visit(vctx, name, text);
}

struct figure {
    const char *name;
    uint64_t value;
};

static enum kl_rc visit_figures(const struct figure *f, size_t n, visit_stat *visit, void *vctx) {
    for (size_t i = 0; i < n; i++) {
        KL_TRY(stat_u64(visit, vctx, f[i].name, f[i].value));
    }
    return KL_OK;
}

/* ---- time ---- */

static int64_t uptime_s(const struct kl_server *s) {
    return KL_MAX(kl_clock_wall_us() - s->started_us, (int64_t)0) / 1000000;
}

/* Of the last second or more; of one core, so four busy ones are 400. */
static double cpu_percent(struct kl_server *s) {
    int64_t now = kl_clock_mono_ns() / 1000, used = kl_process_cpu_us();
    pthread_mutex_lock(&s->cpu_lock);
    if (s->cpu_at_us == 0 || now - s->cpu_at_us >= 1000000) {
        int64_t passed = s->cpu_at_us != 0 ? now - s->cpu_at_us
                                           : KL_MAX(kl_clock_wall_us() - s->started_us, (int64_t)1);
        s->cpu_percent = 100.0 * (double)(used - s->cpu_used_us) / (double)passed;
        s->cpu_at_us = now;
        s->cpu_used_us = used;
    }
    double percent = s->cpu_percent;
    pthread_mutex_unlock(&s->cpu_lock);
    return percent;
}

/* ---- figures ---- */

/* NULL before the listener is up; background work may ask that early. */
static struct kl_net *running_net(const struct kl_server *s) {
    return __atomic_load_n(&s->net, __ATOMIC_ACQUIRE);
}

static void put_address(const struct kl_server *s, char *out, size_t size) {
    const struct kl_config *c = s->config;
    if (c->server_public_origin[0]) {
        snprintf(out, size, "%s", c->server_public_origin);
        return;
    }
    snprintf(out, size, strchr(c->server_host, ':') ? "http://[%s]:%d" : "http://%s:%d",
        c->server_host, running_net(s) ? s->port : (int)c->server_port);
}

static enum kl_rc texts(struct kl_server *s, visit_stat *visit, void *vctx) {
    char human[64], cpu[32], address[320];
    kl_duration_text(uptime_s(s), human, sizeof human);
    snprintf(cpu, sizeof cpu, "%.1f", cpu_percent(s));
    put_address(s, address, sizeof address);
    const struct {
        const char *name, *value;
    } all[] = {
        {"server_uptime_human", human},
        {"server_build_date", kl_net_build_date()},
        {"cpu_usage_percent", cpu},
        {"memory_usage_source", "rss"},
        {"cluster_id", "standalone"},
        {"cluster_api_addr", address},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        KL_TRY(visit(vctx, all[i].name, all[i].value));
    }
    return KL_OK;
}

static enum kl_rc process_figures(struct kl_server *s, visit_stat *visit, void *vctx) {
    struct kl_process_figures p;
    kl_process_figures(&p);
    const struct figure all[] = {
        {"server_uptime_seconds", (uint64_t)uptime_s(s)},
        {"node_id", KL_SERVER_NODE},
        {"cpu_logical_cores", kl_cpu_count()},
        {"memory_usage_mb", p.rss_bytes >> 20},
        {"memory_usage_bytes", p.rss_bytes},
        {"memory_rss_mb", p.rss_bytes >> 20},
        {"memory_rss_bytes", p.rss_bytes},
        {"memory_virtual_mb", p.virtual_bytes >> 20},
        {"memory_virtual_bytes", p.virtual_bytes},
        {"system_total_memory_mb", p.machine_bytes >> 20},
        {"system_used_memory_mb", p.machine_used_bytes >> 20},
        {"thread_count", p.threads},
        {"open_files_total", p.files},
        {"open_files_regular", p.regular_files},
        {"open_files_directories", p.directories},
        {"open_files_unix", p.unix_sockets},
        {"open_files_ipv4", p.ipv4_sockets},
        {"open_files_ipv6", p.ipv6_sockets},
        {"open_files_other", p.other_files},
    };
    return visit_figures(all, sizeof all / sizeof all[0], visit, vctx);
}

static enum kl_rc network_figures(struct kl_server *s, visit_stat *visit, void *vctx) {
    const struct kl_config *c = s->config;
    struct kl_live_stats live = {0};
    struct kl_net_stats net = {0};
    uint64_t loops = c->server_workers ? (uint64_t)c->server_workers : kl_cpu_count();
    kl_live_stats(s->live, &live);
    struct kl_net *n = running_net(s);
    if (n) {
        kl_net_stats(n, &net);
    }
    const struct figure all[] = {
        {"server_workers_configured", (uint64_t)c->server_workers},
        {"server_workers_effective", loops},
        {"max_connections", (uint64_t)c->performance_max_connections},
        {"max_connections_configured", (uint64_t)c->performance_max_connections},
        {"connection_backlog", (uint64_t)c->performance_backlog},
        {"active_connections", net.connections},
        {"active_connections_peak", net.connections_peak},
        {"websocket_sessions", net.websockets},
        {"websocket_sessions_peak", net.websockets_peak},
        {"http_requests_total", net.requests},
        {"overloads_total", net.overloads},
        {"active_subscriptions", live.subscriptions},
        {"active_subscriptions_peak", live.subscriptions_peak},
        {"total_live_queries", live.subscriptions},
        {"live_clients", live.clients},
        {"live_messages_delivered", live.delivered},
        {"live_catch_ups", live.dropped_to_catch_up},
        {"live_resyncs", live.resyncs},
    };
    return visit_figures(all, sizeof all / sizeof all[0], visit, vctx);
}

static enum kl_rc stats(void *ctx, visit_stat *visit, void *vctx) {
    KL_TRY(texts(ctx, visit, vctx));
    KL_TRY(process_figures(ctx, visit, vctx));
    return network_figures(ctx, visit, vctx);
}

/* ---- this node ---- */

static void node(void *ctx, struct kl_engine_node *ret) {
    struct kl_server *s = ctx;
    struct kl_process_figures p;
    struct utsname name;
    *ret = (struct kl_engine_node){.uptime_s = uptime_s(s), .cpu_percent = cpu_percent(s)};
    kl_process_figures(&p);
    ret->memory_bytes = p.rss_bytes;
    ret->total_memory_bytes = p.machine_bytes;
    kl_duration_text(ret->uptime_s, ret->uptime, sizeof ret->uptime);
    put_address(s, ret->api_addr, sizeof ret->api_addr);
    if (uname(&name) == 0) {
        snprintf(ret->hostname, sizeof ret->hostname, "%s", name.nodename);
        snprintf(ret->os, sizeof ret->os, "%s", name.sysname);
        snprintf(ret->arch, sizeof ret->arch, "%s", name.machine);
    }
}

char *kl_server_log_file(const struct kl_config *c) {
    return kl_xprintf("%s/server.log", c->logging_logs_path);
}

static enum kl_rc logs(void *ctx, kl_log_file_visit *visit, void *vctx, struct kl_err *err) {
    const struct kl_server *s = ctx;
    if (!s->config->logging_logs_path[0]) {
        return KL_OK;
    }
    char *path = kl_server_log_file(s->config);
    enum kl_rc rc = kl_log_file_read(path, visit, vctx, err);
    free(path);
    return rc;
}

struct kl_engine_facts kl_server_facts(struct kl_server *s) {
    return (struct kl_engine_facts){.ctx = s,
        .node_id = KL_SERVER_NODE,
        .settings = settings,
        .stats = stats,
        .logs = logs,
        .node = node};
}
