/* Whether the server is well, for probes, people and the command line. Open to everybody;
 * figures of the process are for callers on the same machine. */
#include "net/internal.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static bool healthy(const struct kl_net__request *r) {
    return r->loop->phase == KL_NET_SERVING && !kl_store_failed(r->loop->net->o.store);
}

/* "2026-01-31 12:00:00" from the compiler's "Jan 31 2026". */
const char *kl_net_build_date(void) {
    static _Thread_local char text[40];
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const char *date = __DATE__;
    char name[4] = {date[0], date[1], date[2], '\0'};
    const char *at = strstr(months, name);
    snprintf(text, sizeof text, "%.4s-%02d-%c%c %s", date + 7, at ? (int)(at - months) / 3 + 1 : 0,
        date[4] == ' ' ? '0' : date[4], date[5], __TIME__);
    return text;
}

void kl_net__health(struct kl_net__request *r) {
    kl_buf_printf(&r->out,
        "{\"status\":\"%s\",\"version\":\"%s\",\"api_version\":\"v1\",\"build_date\":\"%s\"}",
        healthy(r) ? "healthy" : "unhealthy", KL_VERSION, kl_net_build_date());
    kl_net__respond_json(r, healthy(r) ? 200 : 503);
}

static long memory_mb(void) {
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fscanf(f, "%ld %ld", &pages, &resident) != 2) {
            resident = 0;
        }
        fclose(f);
    }
    return resident * (sysconf(_SC_PAGESIZE) / 1024) / 1024;
}

/* Of one core, over the life of the process. */
static double cpu_percent(double uptime_s) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    double used = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                  (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    return uptime_s > 0 ? used / uptime_s * 100 : 0;
}

static void put_uptime(struct kl_buf *b, int64_t s) {
    if (s >= 86400) {
        kl_buf_printf(b, "%lldd ", (long long)(s / 86400));
    }
    if (s >= 3600) {
        kl_buf_printf(b, "%lldh ", (long long)(s / 3600 % 24));
    }
    if (s >= 60) {
        kl_buf_printf(b, "%lldm ", (long long)(s / 60 % 60));
    }
    kl_buf_printf(b, "%llds", (long long)(s % 60));
}

static void put_api_address(struct kl_net__request *r) {
    const struct kl_net *n = r->loop->net;
    if (n->o.public_origin && *n->o.public_origin) {
        kl_json_str(&r->out, kl_slice_str(n->o.public_origin));
        return;
    }
    char text[300];
    bool six = strchr(n->o.host, ':') != NULL;
    snprintf(text, sizeof text, six ? "http://[%s]:%d" : "http://%s:%d", n->o.host, n->port);
    kl_json_str(&r->out, kl_slice_str(text));
}

static void put_node(struct kl_net__request *r, bool well) {
    struct kl_buf *b = &r->out;
    double uptime = (double)(kl_clock_mono_ns() - r->loop->net->started_ns) / 1e9;
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) != 0) {
        host[0] = '\0';
    }
    kl_buf_printf(b, "{\"node_id\":1,\"role\":\"leader\",\"status\":\"%s\",\"api_addr\":",
        well ? "active" : "offline");
    put_api_address(r);
    kl_buf_puts(b, ",\"is_self\":true,\"is_leader\":true,\"replication_lag\":null,\"catchup_"
                   "progress_pct\":null,\"hostname\":");
    kl_json_str(b, kl_slice_str(host));
    kl_buf_printf(b,
        ",\"memory_usage_mb\":%ld,\"cpu_usage_percent\":%.1f,\"uptime_seconds\":%lld,\"uptime_"
        "human\":\"",
        memory_mb(), cpu_percent(uptime), (long long)uptime);
    put_uptime(b, (int64_t)uptime);
    kl_buf_puts(b, "\"}");
}

void kl_net__cluster_health(struct kl_net__request *r) {
    struct kl_buf *b = &r->out;
    bool well = healthy(r);
    struct kl_engine *e = r->loop->net->o.engine;
    struct kl_engine_stats stats = {0};
    unsigned groups = kl_engine_user_shards(e) + KL_SHARD_USER0;
    kl_engine_stats(e, &stats);
    kl_buf_printf(b,
        "{\"status\":\"%s\",\"version\":\"%s\",\"build_date\":\"%s\",\"is_cluster_mode\":false,",
        well ? "healthy" : "unhealthy", KL_VERSION, kl_net_build_date());
    kl_buf_printf(b,
        "\"cluster_id\":\"standalone\",\"node_id\":1,\"is_leader\":true,\"total_groups\":%u,"
        "\"groups_leading\":%u,",
        groups, groups);
    kl_buf_printf(b,
        "\"current_term\":1,\"last_applied\":%llu,\"millis_since_quorum_ack\":0,\"nodes\":[",
        (unsigned long long)stats.commits);
    if (r->local) {
        put_node(r, well);
    }
    kl_buf_puts(b, "]}");
    kl_net__respond_json(r, well ? 200 : 503);
}
