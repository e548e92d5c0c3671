/* Shared inside net/: the server, its loops, a request, a WebSocket.
 *
 * Everything here belongs to one loop's thread unless a field says otherwise. */
#ifndef KL_NET_INTERNAL_H
#define KL_NET_INTERNAL_H

#define H2O_USE_LIBUV 1
#include "net/http_text.h"
#include "net/limiter.h"
#include "net/net.h"
#include "net/schema_cache.h"
#include "net/session_cache.h"
#include "net/ws_frame.h"

#include <h2o.h>
#include <h2o/http1.h>
#include <uv.h>

struct kl_net__loop;
struct kl_net__request;
struct kl_net__ws;

/* A doubly linked list whose head is one of its links. */
struct kl_net__link {
    struct kl_net__link *prev, *next;
};
static inline void kl_net__list_init(struct kl_net__link *head) {
    head->prev = head->next = head;
}
static inline void kl_net__list_add(struct kl_net__link *head, struct kl_net__link *l) {
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}
static inline void kl_net__list_del(struct kl_net__link *l) {
    l->prev->next = l->next;
    l->next->prev = l->prev;
    l->prev = l->next = l;
}

/* One TCP connection, from accept to close, whatever it speaks. */
struct kl_net__conn {
    struct kl_net__link link; /* loop->conns */
    struct kl_net__loop *loop;
    h2o_socket_t *sock;
    struct kl_ip ip; /* of the peer */
    bool loopback;
    char ip_text[KL_IP_TEXT_MAX];
};

enum kl_net__phase { KL_NET_SERVING, KL_NET_STOPPING, KL_NET_FINISHING, KL_NET_ENDED };

struct kl_net__loop {
    struct kl_net *net;
    struct kl_loop *loop;
    uv_loop_t *uv;
    struct kl_engine_loop *engine;
    h2o_context_t ctx;
    h2o_accept_ctx_t accept;
    uv_tcp_t listener;
    bool listening, ctx_ready;
    enum kl_net__phase phase;
    struct kl_net__link conns, websockets, held;
    uv_timer_t watch; /* runs while requests are held: have their clients gone? */
    bool watching;
    int64_t stopping_ns;             /* when the stop began */
    size_t n_websockets, n_requests; /* requests: held by the engine */
    bool drained;                    /* counted in net->n_stopped */
    struct kl_session_cache *sessions;
    struct kl_schema_cache *schemas;
    struct kl_net__request *idle; /* request objects to use again */
    size_t n_idle;
    uv_timer_t tick; /* runs once a second while there is a WebSocket */
    bool ticking;
    uv_timer_t finish; /* runs while finishing */
    bool finish_ready;
    int64_t finish_at_ms;
    struct kl_task stop_task, finish_task;
};

struct kl_net {
    struct kl_net_options o;
    struct kl_cidr *proxies; /* o.n_trusted_proxies */
    h2o_globalconf_t config;
    h2o_hostconf_t *host;
    struct kl_net__loop *loops;
    unsigned n_loops;
    int port;
    struct kl_limiter *requests, *auths, *queries; /* any thread */
    char root_token[128];                          /* constant once the loops run */
    size_t root_token_len;
    uint8_t basic_key[32]; /* keys the digests of Basic credentials */
    int64_t started_ns;
    int64_t finish_ms; /* written before the finish tasks are posted */
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    unsigned
        n_stopped; /* guarded by lock: loops that stopped and have answered what they accepted */
    _Atomic uint64_t connections, n_websockets, n_requests, overloads;
    _Atomic uint64_t connections_peak, websockets_peak;
};

/* One more; the peak follows. Any thread. */
void kl_net__count_up(_Atomic uint64_t *count, _Atomic uint64_t *peak);

/* ---- requests: request.c ---- */
/* Headers that are looked at for most requests, found in one pass; ptr NULL when absent. */
struct kl_net__headers {
    struct kl_slice authorization, content_type, origin, request_id;
    struct kl_slice forwarded, forwarded_for, forwarded_proto, real_ip;
};
/* Lives from the request's arrival until its connection let go of it and nobody works on it. */
struct kl_net__request {
    struct kl_net__link link; /* loop->held, while busy */
    struct kl_net__loop *loop;
    struct kl_net__request *next; /* idle list */
    h2o_req_t *req;               /* NULL once the connection has let go */
    bool busy;                    /* the engine holds it; its `done` will come */
    bool local;                   /* from this machine, and not on behalf of another */
    bool https;                   /* a trusted proxy says so */
    bool auth_envelope;           /* errors look like those of /v1/api/auth */
    struct kl_ip ip;              /* of the client */
    char ip_text[KL_IP_TEXT_MAX];
    char id[65];
    int64_t start_ns;
    struct kl_slice path, query;
    struct kl_net__headers headers;
    struct kl_arena arena;
    struct kl_buf out; /* the response's body */
    struct kl_sink sink;
    size_t n_rows, n_cols;
    int json_col; /* column written as JSON and not as a string, -1: none */
    bool any_result;
    struct kl_session session;
    int64_t session_expires_s;
    void (*authenticated)(struct kl_net__request *r); /* after Basic credentials were checked */
    struct kl_exec exec;
    struct kl_auth_op auth;
};
struct kl_net__request *kl_net__request_new(struct kl_net__loop *l, h2o_req_t *req);
void kl_net__request_free_idle(struct kl_net__loop *l);
/* The engine got it / gave it back. After the second the request may be gone: false. */
void kl_net__request_hold(struct kl_net__request *r);
bool kl_net__request_release(struct kl_net__request *r);
void kl_net__drained(struct kl_net__loop *l); /* a stopping loop holds no request any more */
/* Any other request header, empty when absent. */
struct kl_slice kl_net__header(const struct kl_net__request *r, const char *lower_name);
void kl_net__add_header(struct kl_net__request *r, const char *lower_name, struct kl_slice value);
/* Sends r->out. NULL content type: no body. The last thing done with a request. */
void kl_net__respond(struct kl_net__request *r, int status, const char *content_type);
void kl_net__respond_json(struct kl_net__request *r, int status);
/* {"error":code,"message":...} */
void kl_net__respond_error(
    struct kl_net__request *r, int status, const char *code, const char *message);
/* The error of a SQL request (or of an authentication endpoint, when r->auth_envelope). */
void kl_net__respond_failure(struct kl_net__request *r, enum kl_rc rc, const struct kl_err *err);
/* Time from its arrival until `now_ns`, as a JSON number. */
void kl_net__put_took(struct kl_net__request *r, int64_t now_ns);
/* Nothing was given to the engine yet. */
void kl_net__clear_exec(struct kl_net__request *r);
/* False when the server is stopping; then it has answered: what comes now must not reach the
 * engine. */
bool kl_net__serving(struct kl_net__request *r);
/* Limits per address and bans; false when it has answered. */
bool kl_net__admit(struct kl_net__request *r);
/* One more authentication attempt from this address: false when there were too many. */
bool kl_net__admit_auth(struct kl_net__loop *l, const struct kl_ip *ip, bool exempt);
bool kl_net__origin_allowed(const struct kl_net *n, struct kl_slice origin);
void kl_net__preflight(struct kl_net__request *r);
/* A filter that gives h2o's own errors the shape of ours. */
void kl_net__install_error_filter(h2o_pathconf_t *path);

/* ---- who asks: authn.c ---- */
/* Fills r->session and calls `next`, now or (Basic) when the password was checked; or answers
 * with the error. */
void kl_net__authenticate(struct kl_net__request *r, void (*next)(struct kl_net__request *r));
struct kl_net__identity {
    struct kl_slice user; /* from the arena */
    enum kl_role role;
    int64_t expires_s; /* INT64_MAX: never */
};
enum kl_rc kl_net__check_token(struct kl_net__loop *l, struct kl_slice token, bool local,
    struct kl_arena *arena, struct kl_net__identity *ret, struct kl_err *err);

/* ---- endpoints ---- */
int kl_net__route(h2o_handler_t *handler, h2o_req_t *req); /* route.c */
void kl_net__sql(struct kl_net__request *r);               /* sql_route.c */
void kl_net__sink_init(struct kl_net__request *r);         /* result.c */
void kl_net__auth_login(struct kl_net__request *r);        /* auth_route.c ... */
void kl_net__auth_refresh(struct kl_net__request *r);
void kl_net__auth_logout(struct kl_net__request *r);
void kl_net__auth_me(struct kl_net__request *r);
void kl_net__auth_setup(struct kl_net__request *r);
void kl_net__auth_status(struct kl_net__request *r);
void kl_net__health(struct kl_net__request *r); /* health.c */
void kl_net__cluster_health(struct kl_net__request *r);

/* ---- WebSockets: ws.c (connection), ws_session.c (messages) ---- */
struct kl_net__ws {
    struct kl_net__link link; /* loop->websockets */
    struct kl_net__loop *loop;
    h2o_socket_t *sock;            /* NULL until the upgrade's answer is sent */
    struct kl_live_client *client; /* NULL until authenticated */
    struct kl_ws_parser parser;
    struct kl_net__ws_write *writing; /* NULL: the socket is free */
    struct kl_buf own; /* whole frames of our own to send before those of live queries */
    char *token;       /* to check it again when users or revocations change */
    uint32_t token_len;
    int64_t expires_s;
    uint64_t generation;
    struct kl_ip ip;
    uint32_t opened_s, heard_s, pinged_s; /* seconds since the server started */
    uint32_t rate_s, rate_n;              /* messages in this second */
    bool local, gzip, ping_seen;
    bool header_auth; /* credentials came with the upgrade */
    bool closing;     /* our close frame is queued */
    bool peer_closed, dead;
};
void kl_net__ws_upgrade(struct kl_net__request *r);
void kl_net__ws_tick(struct kl_net__loop *l);
void kl_net__ws_stop_all(struct kl_net__loop *l);
void kl_net__ws_free_all(struct kl_net__loop *l);
uint32_t kl_net__now_s(const struct kl_net__loop *l);
/* Queues one text message; never blocks, never frees the connection. */
void kl_net__ws_send(struct kl_net__ws *ws, struct kl_slice json);
void kl_net__ws_error(
    struct kl_net__ws *ws, struct kl_slice id, const char *code, const char *message);
/* Queues a close frame and stops everything else. */
void kl_net__ws_close(struct kl_net__ws *ws, uint16_t code, const char *reason);
/* Writes what is queued when the socket is free. */
void kl_net__ws_flush(struct kl_net__ws *ws);
void kl_net__ws_message(struct kl_net__ws *ws, struct kl_slice text);
/* Token from the upgrade request or an authenticate message; answers auth_success, or auth_error
 * and closes. */
void kl_net__ws_authenticate(struct kl_net__ws *ws, struct kl_slice token);
/* Still the same user with the same rights? Else tells and closes. */
void kl_net__ws_recheck(struct kl_net__ws *ws);
extern const struct kl_live_client_ops kl_net__ws_ops;

#endif
