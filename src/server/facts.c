/* What system.settings and system.stats show of the parts that the engine does not know. Any
 * thread. */
#include "server/server.h"

#include <stdio.h>

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

static enum kl_rc stats(void *ctx, visit_stat *visit, void *vctx) {
    const struct kl_server *s = ctx;
    struct kl_live_stats live = {0};
    struct kl_net_stats net = {0};
    kl_live_stats(s->live, &live);
    if (s->net) {
        kl_net_stats(s->net, &net);
    }
    const struct {
        const char *name;
        uint64_t value;
    } figures[] = {
        {"server_uptime_seconds", (uint64_t)(kl_clock_wall_us() - s->started_us) / 1000000},
        {"connections", net.connections},
        {"websocket_connections", net.websockets},
        {"http_requests_total", net.requests},
        {"overloads_total", net.overloads},
        {"active_subscriptions", live.subscriptions},
        {"live_clients", live.clients},
        {"live_messages_delivered", live.delivered},
        {"live_catch_ups", live.dropped_to_catch_up},
        {"live_resyncs", live.resyncs},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        KL_TRY(stat_u64(visit, vctx, figures[i].name, figures[i].value));
    }
    return KL_OK;
}

struct kl_engine_facts kl_server_facts(struct kl_server *s) {
    return (struct kl_engine_facts){.ctx = s, .settings = settings, .stats = stats};
}
