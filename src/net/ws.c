/* A WebSocket connection: upgrade, reading, writing, timers, closing. What the messages mean is
 * in ws_session.c.
 *
 *     OPEN --close frame queued--> CLOSING --written, peer's close seen or 5 s over--> destroyed
 *       \---- read or write error, peer gone ------------------------------------------> destroyed
 *
 * While nothing happens a connection holds this struct, h2o's socket and its token; read
 * buffers, parser buffers and write batches exist only while there is something in them.
 *
 * Only the callbacks at the top (read, written, tick) destroy: everything below sets `closing`
 * or `dead` and returns. Writing: one batch at a time; our own frames first, then frames of live
 * queries as many as fit. */
#include "net/internal.h"

#include <stdlib.h>

#define BATCH_FRAMES 64
#define BATCH_BYTES (256u << 10)
#define OWN_MAX (64u << 10)
#define CLOSE_WAIT_S 5
#define RECHECKS_PER_TICK 500

struct kl_net__ws_write {
    struct kl_buf own;
    size_t n, bytes;
    struct kl_frame *frames[BATCH_FRAMES];
    uint8_t heads[BATCH_FRAMES][10];
    h2o_iovec_t iov[1 + 2 * BATCH_FRAMES];
};

uint32_t kl_net__now_s(const struct kl_net__loop *l) {
    return (uint32_t)((kl_clock_mono_ns() - l->net->started_ns) / 1000000000LL);
}

static void free_write(struct kl_net__ws_write *w) {
    if (!w) {
        return;
    }
    for (size_t i = 0; i < w->n; i++) {
        kl_frame_unref(w->frames[i]);
    }
    kl_buf_deinit(&w->own);
    free(w);
}

static void destroy(struct kl_net__ws *ws) {
    if (ws->client) {
        kl_live_client_close(ws->client);
    }
    kl_net__list_del(&ws->link);
    ws->loop->n_websockets--;
    atomic_fetch_sub_explicit(&ws->loop->net->n_websockets, 1, memory_order_relaxed);
    if (ws->sock) {
        /* a write under way is forgotten: its buffers are not read any more */
        h2o_socket_close(ws->sock);
    }
    free_write(ws->writing);
    kl_buf_deinit(&ws->own);
    kl_ws_parser_deinit(&ws->parser);
    free(ws->token);
    free(ws);
}

/* At the end of every callback: true when the connection is gone. */
static bool settle(struct kl_net__ws *ws) {
    bool closed = ws->closing && ws->peer_closed && !ws->writing && !ws->own.len;
    if (ws->dead || closed) {
        destroy(ws);
        return true;
    }
    return false;
}

/* ---- writing ---- */

static void put_own(struct kl_net__ws *ws, enum kl_ws_opcode opcode, struct kl_slice payload) {
    uint8_t head[10];
    if (ws->own.len + payload.len > OWN_MAX) {
        /* a peer that does not read; pongs may be left out */
        ws->dead = ws->dead || opcode == KL_WS_TEXT;
        return;
    }
    kl_buf_append(&ws->own, head, kl_ws_header(head, opcode, payload.len));
    kl_buf_slice(&ws->own, payload);
}

static void add_frame(
    struct kl_net__ws *ws, struct kl_net__ws_write *w, struct kl_frame *f, size_t *n_iov) {
    struct kl_slice json = kl_frame_json(f);
    struct kl_slice packed = ws->gzip ? kl_frame_gzip(f) : KL_SLICE_NONE;
    struct kl_slice payload = packed.len ? packed : json;
    size_t head = kl_ws_header(w->heads[w->n], packed.len ? KL_WS_BINARY : KL_WS_TEXT, payload.len);
    w->iov[(*n_iov)++] = h2o_iovec_init(w->heads[w->n], head);
    w->iov[(*n_iov)++] = h2o_iovec_init(payload.ptr, payload.len);
    w->frames[w->n++] = f;
    w->bytes += json.len;
}

static void on_written(h2o_socket_t *sock, const char *err) {
    struct kl_net__ws *ws = sock->data;
    size_t bytes = ws->writing->bytes;
    free_write(ws->writing);
    ws->writing = NULL;
    if (err) {
        ws->dead = true;
    } else {
        if (bytes && ws->client) {
            kl_live_client_sent(ws->client, bytes);
        }
        kl_net__ws_flush(ws);
    }
    settle(ws);
}

void kl_net__ws_flush(struct kl_net__ws *ws) {
    struct kl_frame *f = NULL;
    if (ws->dead || !ws->sock || ws->writing) {
        return;
    }
    if (ws->client && !ws->closing) {
        f = kl_live_client_take(ws->client);
    }
    if (!f && !ws->own.len) {
        return;
    }
    struct kl_net__ws_write *w = kl_xmalloc(sizeof *w);
    w->n = w->bytes = 0;
    w->own = ws->own;
    kl_buf_init(&ws->own, 2 * OWN_MAX);
    size_t n_iov = 0;
    if (w->own.len) {
        w->iov[n_iov++] = h2o_iovec_init(w->own.data, w->own.len);
    }
    while (f) {
        add_frame(ws, w, f, &n_iov);
        f = w->n < BATCH_FRAMES && w->bytes < BATCH_BYTES ? kl_live_client_take(ws->client) : NULL;
    }
    ws->writing = w;
    h2o_socket_write(ws->sock, w->iov, n_iov, on_written);
}

static void on_frames_ready(void *ctx) {
    struct kl_net__ws *ws = ctx;
    if (ws->client && kl_live_client_overrun(ws->client)) {
        kl_net__ws_close(ws, 1008, "More was asked for than is read");
        return;
    }
    kl_net__ws_flush(ws);
}

const struct kl_live_client_ops kl_net__ws_ops = {.ready = on_frames_ready};

void kl_net__ws_send(struct kl_net__ws *ws, struct kl_slice json) {
    if (ws->client && !ws->closing) {
        kl_live_client_push(ws->client, json);
    } else {
        put_own(ws, KL_WS_TEXT, json);
        kl_net__ws_flush(ws);
    }
}

void kl_net__ws_close(struct kl_net__ws *ws, uint16_t code, const char *reason) {
    if (ws->closing) {
        return;
    }
    ws->closing = true;
    ws->opened_s = kl_net__now_s(ws->loop); /* from now on: since when we wait for the peer */
    if (ws->client) {
        kl_live_client_close(ws->client);
        ws->client = NULL;
    }
    kl_ws_put_close(&ws->own, code, kl_slice_str(reason));
    kl_net__ws_flush(ws);
}

/* ---- reading ---- */

static void on_event(struct kl_net__ws *ws, enum kl_ws_event event) {
    struct kl_slice payload = kl_ws_payload(&ws->parser, event);
    switch (event) {
    case KL_WS_ON_TEXT:
        kl_net__ws_message(ws, payload);
        break;
    case KL_WS_ON_BINARY:
        kl_net__ws_error(ws, KL_S("protocol"), "UNSUPPORTED_DATA",
            "Binary messages are not supported; send JSON text");
        break;
    case KL_WS_ON_TOO_LARGE:
        kl_net__ws_error(ws, KL_S("protocol"), "MESSAGE_TOO_LARGE",
            "The message is larger than the server accepts");
        break;
    case KL_WS_ON_PING:
        put_own(ws, KL_WS_PONG, payload);
        kl_net__ws_flush(ws);
        break;
    case KL_WS_ON_CLOSE:
        ws->peer_closed = true;
        kl_net__ws_close(ws, ws->parser.close_code == 1005 ? 1000 : ws->parser.close_code, "");
        break;
    case KL_WS_ON_BAD:
        kl_net__ws_close(ws, ws->parser.close_code, ws->parser.reason);
        ws->peer_closed = true; /* nothing it says now can be trusted to end anywhere */
        break;
    case KL_WS_ON_PONG:
    case KL_WS_NEED_MORE:
        break;
    }
}

/* Gives the read buffer back: an idle connection keeps none. */
static void drop_input(h2o_socket_t *sock) {
    h2o_buffer_dispose(&sock->input);
    h2o_buffer_init(&sock->input, &h2o_socket_buffer_prototype);
}

static void consume(struct kl_net__ws *ws) {
    struct kl_slice in = kl_slice(ws->sock->input->bytes, ws->sock->input->size);
    while (in.len && !ws->dead) {
        enum kl_ws_event event = kl_ws_feed(&ws->parser, &in);
        if (event != KL_WS_NEED_MORE &&
            (!ws->closing || event == KL_WS_ON_CLOSE || event == KL_WS_ON_BAD)) {
            on_event(ws, event);
        }
    }
    kl_ws_settle(&ws->parser);
    drop_input(ws->sock);
}

static void on_read(h2o_socket_t *sock, const char *err) {
    struct kl_net__ws *ws = sock->data;
    if (err) {
        ws->dead = true;
    } else {
        ws->heard_s = kl_net__now_s(ws->loop);
        consume(ws);
    }
    settle(ws);
}

/* ---- timers ---- */

static void check_open(struct kl_net__ws *ws, uint32_t now) {
    const struct kl_net_options *o = &ws->loop->net->o;
    if (ws->client && kl_clock_wall_us() / 1000000 >= ws->expires_s) {
        kl_net__ws_error(ws, KL_S("protocol"), "TOKEN_EXPIRED", "The token has expired");
        kl_net__ws_close(ws, 1008, "Token expired");
    } else if (!ws->client && now - ws->opened_s > o->ws_auth_timeout_s) {
        kl_net__ws_send(
            ws, KL_S("{\"type\":\"auth_error\",\"message\":\"Authentication timeout\"}"));
        kl_net__ws_close(ws, 1008, "Authentication timeout");
    } else if (now - ws->heard_s >= o->ws_client_timeout_s) {
        kl_net__ws_close(ws, 1000, "Heartbeat timeout");
    } else if (now - KL_MAX(ws->heard_s, ws->pinged_s) >= o->ws_heartbeat_s) {
        ws->pinged_s = now;
        put_own(ws, KL_WS_PING, KL_SLICE_NONE);
        kl_net__ws_flush(ws);
    }
}

void kl_net__ws_tick(struct kl_net__loop *l) {
    uint32_t now = kl_net__now_s(l);
    uint64_t generation = kl_tokens_generation(l->net->o.tokens);
    unsigned rechecks = 0;
    struct kl_net__link *next;
    for (struct kl_net__link *at = l->websockets.next; at != &l->websockets; at = next) {
        struct kl_net__ws *ws = H2O_STRUCT_FROM_MEMBER(struct kl_net__ws, link, at);
        next = at->next;
        if (!ws->sock) {
            continue; /* the upgrade's answer is on its way */
        }
        if (ws->closing) {
            ws->dead = ws->dead || now - ws->opened_s >= CLOSE_WAIT_S;
        } else {
            if (ws->client && ws->generation != generation && rechecks < RECHECKS_PER_TICK) {
                rechecks++;
                ws->generation = generation;
                kl_net__ws_recheck(ws);
            }
            if (!ws->closing) {
                check_open(ws, now);
            }
        }
        settle(ws);
    }
}

static void on_tick(uv_timer_t *timer) {
    struct kl_net__loop *l = timer->data;
    kl_net__ws_tick(l);
    if (!l->n_websockets) {
        uv_timer_stop(timer);
        l->ticking = false;
    }
}

static void start_tick(struct kl_net__loop *l) {
    if (!l->ticking) {
        l->tick.data = l;
        uv_timer_start(&l->tick, on_tick, 1000, 1000);
        l->ticking = true;
    }
}

void kl_net__ws_stop_all(struct kl_net__loop *l) {
    struct kl_net__link *next;
    for (struct kl_net__link *at = l->websockets.next; at != &l->websockets; at = next) {
        struct kl_net__ws *ws = H2O_STRUCT_FROM_MEMBER(struct kl_net__ws, link, at);
        next = at->next;
        kl_net__ws_close(ws, 1001, "Server shutting down");
        settle(ws);
    }
}

void kl_net__ws_free_all(struct kl_net__loop *l) {
    while (l->websockets.next != &l->websockets) {
        destroy(H2O_STRUCT_FROM_MEMBER(struct kl_net__ws, link, l->websockets.next));
    }
}

/* ---- upgrade ---- */

static void on_upgraded(void *data, h2o_socket_t *sock, size_t reqsize) {
    struct kl_net__ws *ws = data;
    if (!sock) {
        destroy(ws);
        return;
    }
    ws->sock = sock;
    sock->data = ws;
    h2o_buffer_consume(&sock->input, reqsize);
    ws->heard_s = kl_net__now_s(ws->loop);
    if (!ws->closing) {
        ws->opened_s = ws->heard_s;
    }
    h2o_socket_read_start(sock, on_read);
    if (ws->header_auth && !ws->closing) {
        struct kl_slice token = kl_slice(ws->token, ws->token_len);
        kl_net__ws_authenticate(ws, token);
    }
    consume(ws);
    kl_net__ws_flush(ws);
    settle(ws);
}

static void keep_token(struct kl_net__ws *ws, struct kl_slice token) {
    ws->header_auth = true;
    ws->token = kl_xmalloc(token.len + 1);
    ws->token_len = (uint32_t)token.len;
    memcpy(ws->token, token.ptr, token.len);
}

/* Authorization: Bearer, or ?token=. Anything else in the header is an authentication that will
 * fail. */
static void find_token(struct kl_net__request *r, struct kl_net__ws *ws) {
    struct kl_slice header = r->headers.authorization;
    struct kl_slice raw = kl_query_get(r->query, "token");
    if (header.len) {
        struct kl_slice token = kl_auth_scheme(header, "Bearer");
        keep_token(ws, token.ptr ? token : kl_slice("", 0));
    } else if (raw.ptr) {
        struct kl_buf token = {0};
        bool ok = kl_percent_decode(raw, &token);
        keep_token(ws, ok && token.len ? kl_buf_view(&token) : kl_slice("", 0));
        kl_buf_deinit(&token);
    }
}

static struct kl_net__ws *ws_new(struct kl_net__request *r) {
    struct kl_net__loop *l = r->loop;
    struct kl_net__ws *ws = kl_xcalloc(1, sizeof *ws);
    ws->loop = l;
    ws->ip = r->ip;
    ws->local = r->local;
    ws->gzip = !kl_slice_eq_str(kl_query_get(r->query, "compress"), "false") &&
               !kl_slice_eq_str(kl_query_get(r->query, "compression"), "none");
    ws->opened_s = ws->heard_s = ws->pinged_s = kl_net__now_s(l);
    kl_ws_parser_init(&ws->parser, l->net->o.ws_max_message_bytes);
    kl_buf_init(&ws->own, 2 * OWN_MAX);
    find_token(r, ws);
    kl_net__list_add(&l->websockets, &ws->link);
    l->n_websockets++;
    kl_net__count_up(&l->net->n_websockets, &l->net->websockets_peak);
    start_tick(l);
    return ws;
}

/* NULL, or why the handshake is refused. */
static const char *handshake_problem(const struct kl_net__request *r, char accept[29]) {
    if (!kl_header_has_token(kl_slice(r->req->upgrade.base, r->req->upgrade.len), "websocket")) {
        return "This path speaks WebSocket: send Upgrade: websocket";
    }
    if (!kl_slice_eq_str(kl_slice_trim(kl_net__header(r, "sec-websocket-version")), "13")) {
        return "WebSocket version 13 is required";
    }
    if (!kl_ws_accept_key(kl_slice_trim(kl_net__header(r, "sec-websocket-key")), accept)) {
        return "Sec-WebSocket-Key is missing or malformed";
    }
    return NULL;
}

static bool origin_ok(const struct kl_net__request *r) {
    const struct kl_net *n = r->loop->net;
    return r->headers.origin.len ? kl_net__origin_allowed(n, r->headers.origin) : !n->o.strict_ws_origin;
}

void kl_net__ws_upgrade(struct kl_net__request *r) {
    char accept[29];
    if (r->loop->phase != KL_NET_SERVING) {
        kl_net__respond_error(r, 503, "shutting_down", "Server shutting down");
        return;
    }
    if (!origin_ok(r)) {
        kl_net__respond_error(r, 403, "forbidden", "Origin not allowed");
        return;
    }
    const char *problem = handshake_problem(r, accept);
    if (problem) {
        kl_net__add_header(r, "sec-websocket-version", KL_S("13"));
        kl_net__respond_error(r, r->req->upgrade.base ? 400 : 426, "bad_handshake", problem);
        return;
    }
    h2o_req_t *req = r->req;
    struct kl_net__ws *ws = ws_new(r);
    req->res.status = 101;
    req->res.reason = "Switching Protocols";
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_UPGRADE, NULL, H2O_STRLIT("websocket"));
    kl_net__add_header(r, "sec-websocket-accept", kl_slice(accept, 28));
    kl_net__add_header(r, "x-request-id", kl_slice_str(r->id));
    h2o_http1_upgrade(req, NULL, 0, on_upgraded, ws);
}
