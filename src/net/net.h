/* HTTP and WebSocket server. The only folder that includes h2o.h.
 *
 * One struct kl_net serves all loops: each has its own listener (SO_REUSEPORT), h2o context,
 * authentication cache and rate-limit table. */
#ifndef KL_NET_H
#define KL_NET_H

#include "live/live.h"

struct kl_net;
struct kl_net_cors {
    const char *const *origins; /* empty: none configured */
    size_t n_origins;
    bool any_origin, credentials;
    const char *methods, *headers, *expose; /* comma lists */
    uint32_t max_age_s;
};
struct kl_net_options {
    struct kl_engine *engine;
    struct kl_live *live;
    struct kl_tokens *tokens;
    struct kl_store *store;
    const char *host;
    int port; /* 0: a free one */
    unsigned loops;
    int backlog;
    uint32_t max_connections;
    uint32_t keepalive_s;
    size_t max_body_bytes; /* 413 BODY_TOO_LARGE past it */
    size_t max_result_bytes;
    uint32_t max_requests_per_ip_per_sec, max_auth_per_ip_per_sec, max_queries_per_sec,
        ban_s; /* 0: no limit */
    uint32_t ws_messages_per_sec;
    size_t ws_max_message_bytes;
    uint32_t ws_auth_timeout_s, ws_client_timeout_s, ws_heartbeat_s;
    bool strict_ws_origin, cookie_secure, allow_remote_setup, connection_protection;
    const char *const *trusted_proxies; /* addresses or CIDR ranges */
    size_t n_trusted_proxies;
    struct kl_net_cors cors;
    const char *public_origin; /* or NULL */
    struct kl_slice
        root_token; /* local root bearer secret; empty: none. Accepted from loopback only. */
};
/* Binds and listens; connections are served once the loops run. ret_port: the real one. */
enum kl_rc kl_net_start(
    const struct kl_net_options *o, struct kl_net **ret, int *ret_port, struct kl_err *err);
void kl_net_set_root_token(struct kl_net *n, struct kl_slice token); /* before the loops run */
void kl_net_run(struct kl_net
        *n); /* loop 0 on this thread, the others on theirs; returns after kl_net_finish */
/* Stops listening and accepting requests, closes WebSockets with 1001, waits until the engine
 * has answered every request that it has. Any thread but a loop's. */
void kl_net_stop(struct kl_net *n);
/* Ends the loops once no request is under way or timeout_ms has passed. Any thread. */
void kl_net_finish(struct kl_net *n, int64_t timeout_ms);
void kl_net_free(struct kl_net *n);
struct kl_net_stats {
    uint64_t connections, websockets, requests, overloads;
    uint64_t connections_peak, websockets_peak; /* the most at a time since the start */
};
void kl_net_stats(struct kl_net *n, struct kl_net_stats *ret);
/* "2026-01-31 12:00:00"; of the calling thread until its next call. */
const char *kl_net_build_date(void);

#endif
