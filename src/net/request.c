/* A request object and how it is answered.
 *
 * Lifecycle: made when h2o hands the request over. Two hold it: the h2o request (through a shared
 * chunk in its memory pool, whose dispose hook tells that the response was sent or the connection
 * is gone) and, while it works, the engine. It goes back to the loop's idle list when neither
 * holds it. After the hook `req` is NULL, and an answer that comes then is dropped.
 *
 * The body of the response stays in `out` until it is sent; nothing is copied. */
#include "net/internal.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define IDLE_MAX 256
#define KEEP_OUT_BYTES (64u << 10)
#define ARENA_MIN (64u << 20)
#define WATCH_MS 250
#define WATCH_BATCH 64
#define STOP_PATIENCE_NS 10000000000LL /* then what still runs is cancelled */

static void recycle(struct kl_net__request *r) {
    struct kl_net__loop *l = r->loop;
    kl_arena_reset(&r->arena);
    if (l->n_idle >= IDLE_MAX) {
        kl_arena_deinit(&r->arena);
        kl_buf_deinit(&r->out);
        free(r);
        return;
    }
    if (r->out.cap > KEEP_OUT_BYTES) {
        kl_buf_deinit(&r->out);
    }
    r->next = l->idle;
    l->idle = r;
    l->n_idle++;
}

/* The pool of the h2o request is cleared: sent, or the connection broke. */
static void on_request_gone(void *chunk) {
    struct kl_net__request *r = *(struct kl_net__request **)chunk;
    r->req = NULL;
    if (r->busy) {
        atomic_store(&r->exec.cancelled, true);
    } else {
        recycle(r);
    }
}

static struct kl_slice slice_of(h2o_iovec_t v) {
    return kl_slice(v.base, v.len);
}

struct kl_slice kl_net__header(const struct kl_net__request *r, const char *lower_name) {
    ssize_t at = h2o_find_header_by_str(&r->req->headers, lower_name, strlen(lower_name), -1);
    return at < 0 ? KL_SLICE_NONE : slice_of(r->req->headers.entries[at].value);
}

static bool trusted_proxy(const struct kl_net *n, const struct kl_ip *peer) {
    for (size_t i = 0; i < n->o.n_trusted_proxies; i++) {
        if (kl_cidr_match(&n->proxies[i], peer)) {
            return true;
        }
    }
    return false;
}

/* h2o has the names in lower case. */
static struct kl_slice *place_of(struct kl_net__headers *h, struct kl_slice name) {
    switch (name.len) {
    case 6:
        return kl_slice_eq(name, KL_S("origin")) ? &h->origin : NULL;
    case 9:
        return kl_slice_eq(name, KL_S("forwarded"))   ? &h->forwarded
               : kl_slice_eq(name, KL_S("x-real-ip")) ? &h->real_ip
                                                      : NULL;
    case 12:
        return kl_slice_eq(name, KL_S("content-type"))   ? &h->content_type
               : kl_slice_eq(name, KL_S("x-request-id")) ? &h->request_id
                                                         : NULL;
    case 13:
        return kl_slice_eq(name, KL_S("authorization")) ? &h->authorization : NULL;
    case 15:
        return kl_slice_eq(name, KL_S("x-forwarded-for")) ? &h->forwarded_for : NULL;
    case 17:
        return kl_slice_eq(name, KL_S("x-forwarded-proto")) ? &h->forwarded_proto : NULL;
    default:
        return NULL;
    }
}

/* Of a header that is there twice the first counts. */
static void find_headers(struct kl_net__request *r) {
    const h2o_headers_t *all = &r->req->headers;
    r->headers = (struct kl_net__headers){0};
    for (size_t i = 0; i < all->size; i++) {
        struct kl_slice *place = place_of(&r->headers, slice_of(*all->entries[i].name));
        if (place && !place->ptr) {
            *place = slice_of(all->entries[i].value);
        }
    }
}

/* Who the client is. A request that was forwarded is never local, even when the proxy is. */
static void find_client(struct kl_net__request *r) {
    h2o_conn_t *conn = r->req->conn;
    const struct kl_net__conn *c = conn->callbacks->get_socket(conn)->on_close.data;
    const struct kl_net__headers *h = &r->headers;
    r->ip = c->ip;
    r->local = c->loopback && !h->forwarded_for.len && !h->real_ip.len && !h->forwarded.len;
    r->https = false;
    if (r->loop->net->o.n_trusted_proxies && trusted_proxy(r->loop->net, &c->ip)) {
        kl_forwarded_ip(h->forwarded_for, h->real_ip, &r->ip);
        r->https = kl_slice_ieq_str(h->forwarded_proto, "https");
        kl_ip_format(&r->ip, r->ip_text);
    } else {
        memcpy(r->ip_text, c->ip_text, sizeof r->ip_text);
    }
}

static void choose_id(struct kl_net__request *r) {
    struct kl_slice given = r->headers.request_id;
    if (kl_request_id_ok(given)) {
        memcpy(r->id, given.ptr, given.len);
        r->id[given.len] = '\0';
    } else {
        static const char hex[] = "0123456789abcdef";
        uint64_t v = kl_random_u64();
        for (int i = 0; i < 16; i++, v >>= 4) {
            r->id[i] = hex[v & 15];
        }
        r->id[16] = '\0';
    }
}

static struct kl_net__request *take_idle(struct kl_net__loop *l) {
    struct kl_net__request *r = l->idle;
    if (r) {
        l->idle = r->next;
        l->n_idle--;
        return r;
    }
    r = kl_xcalloc(1, sizeof *r);
    r->loop = l;
    kl_arena_init(&r->arena, KL_MAX((size_t)ARENA_MIN, 4 * l->net->o.max_body_bytes));
    kl_buf_init(&r->out, l->net->o.max_result_bytes);
    return r;
}

struct kl_net__request *kl_net__request_new(struct kl_net__loop *l, h2o_req_t *req) {
    struct kl_net__request *r = take_idle(l);
    struct kl_net__request **chunk =
        h2o_mem_alloc_shared(&req->pool, sizeof *chunk, on_request_gone);
    *chunk = r;
    r->req = req;
    r->busy = false;
    r->auth_envelope = false;
    r->start_ns = kl_clock_mono_ns();
    kl_buf_clear(&r->out);
    size_t path_len = req->query_at != SIZE_MAX ? req->query_at : req->path.len;
    r->path = kl_slice(req->path.base, path_len);
    r->query = path_len < req->path.len
                   ? kl_slice(req->path.base + path_len + 1, req->path.len - path_len - 1)
                   : KL_SLICE_NONE;
    find_headers(r);
    find_client(r);
    choose_id(r);
    atomic_fetch_add_explicit(&l->net->n_requests, 1, memory_order_relaxed);
    return r;
}

void kl_net__request_free_idle(struct kl_net__loop *l) {
    while (l->idle) {
        struct kl_net__request *r = l->idle;
        l->idle = r->next;
        kl_arena_deinit(&r->arena);
        kl_buf_deinit(&r->out);
        free(r);
    }
    l->n_idle = 0;
}

/* ---- while the engine has it ---- */

/* h2o does not read from a connection whose request is being answered, so nobody tells us that its
 * client has gone: look at the sockets of those that take long. */
static void cancel_abandoned(struct kl_net__request **batch, struct pollfd *fds, nfds_t n) {
    if (poll(fds, n, 0) <= 0) {
        return;
    }
    for (nfds_t i = 0; i < n; i++) {
        if (fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) {
            atomic_store(&batch[i]->exec.cancelled, true);
        }
    }
}

static int fd_of(const struct kl_net__request *r) {
    h2o_conn_t *conn = r->req->conn;
    return h2o_socket_get_fd(conn->callbacks->get_socket(conn));
}

static void watch_held(struct kl_net__loop *l, int64_t now) {
    struct kl_net__request *batch[WATCH_BATCH];
    struct pollfd fds[WATCH_BATCH];
    bool out_of_time = l->phase != KL_NET_SERVING && now - l->stopping_ns > STOP_PATIENCE_NS;
    nfds_t n = 0;
    for (struct kl_net__link *at = l->held.next; at != &l->held; at = at->next) {
        struct kl_net__request *r = H2O_STRUCT_FROM_MEMBER(struct kl_net__request, link, at);
        if (out_of_time) {
            atomic_store(&r->exec.cancelled, true);
        } else if (r->req && now - r->start_ns > WATCH_MS * 1000000LL) {
            batch[n] = r;
            fds[n++] = (struct pollfd){.fd = fd_of(r), .events = POLLRDHUP};
        }
        if (n == WATCH_BATCH) {
            cancel_abandoned(batch, fds, n);
            n = 0;
        }
    }
    cancel_abandoned(batch, fds, n);
}

static void on_watch(uv_timer_t *timer) {
    struct kl_net__loop *l = timer->data;
    watch_held(l, kl_clock_mono_ns());
    if (!l->n_requests) {
        uv_timer_stop(timer);
        l->watching = false;
    }
}

void kl_net__request_hold(struct kl_net__request *r) {
    struct kl_net__loop *l = r->loop;
    r->busy = true;
    l->n_requests++;
    kl_net__list_add(&l->held, &r->link);
    if (!l->watching) {
        l->watching = true;
        l->watch.data = l;
        uv_timer_start(&l->watch, on_watch, WATCH_MS, WATCH_MS);
    }
}

bool kl_net__request_release(struct kl_net__request *r) {
    struct kl_net__loop *l = r->loop;
    r->busy = false;
    kl_net__list_del(&r->link);
    l->n_requests--;
    if (l->phase != KL_NET_SERVING && l->n_requests == 0) {
        kl_net__drained(l);
    }
    if (!r->req) {
        recycle(r);
        return false;
    }
    return true;
}

/* Not one assignment of an empty struct: clearing the texts of an error, which end where they begin,
 * would cost more than the rest. */
void kl_net__clear_exec(struct kl_net__request *r) {
    struct kl_exec *x = &r->exec;
    size_t before = offsetof(struct kl_exec, err), after = before + sizeof x->err;
    memset(x, 0, before);
    memset((char *)x + after, 0, sizeof *x - after);
    x->err.rc = KL_OK;
    x->err.position = 0;
    x->err.msg[0] = x->err.hint[0] = '\0';
}

/* Milliseconds with three decimals. */
void kl_net__put_took(struct kl_net__request *r, int64_t now_ns) {
    uint64_t us = (uint64_t)(now_ns - r->start_ns) / 1000;
    char fraction[4] = {
        '.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10), (char)('0' + us % 10)};
    kl_buf_u64(&r->out, us / 1000);
    kl_buf_append(&r->out, fraction, 4);
}

/* ---- answering ---- */

void kl_net__add_header(struct kl_net__request *r, const char *lower_name, struct kl_slice value) {
    h2o_req_t *req = r->req;
    char *copy = h2o_mem_alloc_pool(&req->pool, value.len + 1);
    if (value.len) {
        memcpy(copy, value.ptr, value.len);
    }
    h2o_add_header_by_str(
        &req->pool, &req->res.headers, lower_name, strlen(lower_name), 1, NULL, copy, value.len);
}

static void add_header_str(struct kl_net__request *r, const char *name, const char *value) {
    kl_net__add_header(r, name, kl_slice_str(value));
}

bool kl_net__origin_allowed(const struct kl_net *n, struct kl_slice origin) {
    const struct kl_net_cors *cors = &n->o.cors;
    if (cors->any_origin || cors->n_origins == 0) {
        return true;
    }
    return kl_origin_listed(origin, cors->origins, cors->n_origins) ||
           (n->o.public_origin && kl_origin_listed(origin, &n->o.public_origin, 1));
}

static void add_cors(struct kl_net__request *r) {
    const struct kl_net_cors *cors = &r->loop->net->o.cors;
    if (!r->headers.origin.len) {
        return;
    }
    bool any = cors->any_origin || cors->n_origins == 0;
    if (!any) {
        add_header_str(r, "vary", "Origin");
    }
    if (!kl_net__origin_allowed(r->loop->net, r->headers.origin)) {
        return;
    }
    kl_net__add_header(r, "access-control-allow-origin", any ? KL_S("*") : r->headers.origin);
    if (!any && cors->credentials) { /* never for any origin: that would hand out cookies to all */
        add_header_str(r, "access-control-allow-credentials", "true");
    }
    if (cors->expose && *cors->expose) {
        add_header_str(r, "access-control-expose-headers", cors->expose);
    }
}

void kl_net__preflight(struct kl_net__request *r) {
    const struct kl_net_cors *cors = &r->loop->net->o.cors;
    if (r->headers.origin.len && kl_net__origin_allowed(r->loop->net, r->headers.origin)) {
        struct kl_slice asked = kl_net__header(r, "access-control-request-headers");
        bool any = cors->headers && strcmp(cors->headers, "*") == 0;
        char age[16];
        snprintf(age, sizeof age, "%u", cors->max_age_s);
        add_header_str(r, "access-control-allow-methods", cors->methods ? cors->methods : "");
        kl_net__add_header(
            r, "access-control-allow-headers", any ? asked : kl_slice_str(cors->headers));
        add_header_str(r, "access-control-max-age", age);
    }
    kl_net__respond(r, 204, NULL);
}

static const char *reason_of(int status) {
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {{200, "OK"}, {204, "No Content"}, {400, "Bad Request"}, {401, "Unauthorized"},
        {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {409, "Conflict"},
        {413, "Payload Too Large"}, {426, "Upgrade Required"}, {428, "Precondition Required"},
        {429, "Too Many Requests"}, {500, "Internal Server Error"}, {501, "Not Implemented"},
        {503, "Service Unavailable"}};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Unknown";
}

void kl_net__respond(struct kl_net__request *r, int status, const char *content_type) {
    static h2o_generator_t generator = {NULL, NULL};
    h2o_req_t *req = r->req;
    h2o_iovec_t body = h2o_iovec_init(r->out.data, r->out.len);
    bool empty = !content_type || body.len == 0;
    req->res.status = status;
    req->res.reason = reason_of(status);
    if (status != 204) {
        req->res.content_length = empty ? 0 : body.len;
    }
    if (!empty) {
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, content_type,
            strlen(content_type));
    }
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-request-id"), 0, NULL, r->id,
        strlen(r->id)); /* r outlives the response */
    add_cors(r);
    if (r->loop->phase != KL_NET_SERVING) {
        req->http1_is_persistent = 0;
    }
    empty |= h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"));
    h2o_start_response(req, &generator);
    h2o_send(req, &body, empty ? 0 : 1, H2O_SEND_STATE_FINAL);
}

void kl_net__respond_json(struct kl_net__request *r, int status) {
    if (r->out.failed) {
        kl_buf_clear(&r->out);
        kl_buf_puts(&r->out, "{\"error\":\"internal_error\",\"message\":\"out of memory\"}");
        status = 500;
    }
    kl_net__respond(r, status, "application/json");
}

void kl_net__respond_error(
    struct kl_net__request *r, int status, const char *code, const char *message) {
    kl_buf_clear(&r->out);
    kl_buf_puts(&r->out, "{\"error\":");
    kl_json_str(&r->out, kl_slice_str(code));
    kl_buf_puts(&r->out, ",\"message\":");
    kl_json_str(&r->out, kl_slice_str(message));
    kl_buf_putc(&r->out, '}');
    kl_net__respond_json(r, status);
}

/* ---- limits ---- */

/* Errors are made in functions of their own: an error is large, and clearing one costs more than the
 * check that seldom needs it. */
static void refuse_late(struct kl_net__request *r) {
    struct kl_err err = {0};
    kl_fail(&err, KL_E_SHUTTING_DOWN, "The server is shutting down");
    kl_net__respond_failure(r, KL_E_SHUTTING_DOWN, &err);
}

bool kl_net__serving(struct kl_net__request *r) {
    if (r->loop->phase == KL_NET_SERVING) {
        return true;
    }
    refuse_late(r);
    return false;
}

static void refuse_rate(
    struct kl_net__request *r, enum kl_limit_verdict verdict, uint32_t retry_s) {
    bool banned = verdict == KL_LIMIT_BANNED;
    char seconds[16], reset[24];
    snprintf(seconds, sizeof seconds, "%u", retry_s);
    snprintf(reset, sizeof reset, "%lld", (long long)(kl_clock_wall_us() / 1000000 + retry_s));
    add_header_str(r, "retry-after", seconds);
    add_header_str(r, "x-ratelimit-reset", reset);
    kl_buf_clear(&r->out);
    kl_buf_printf(&r->out, "{\"error\":\"%s\",\"message\":\"%s\",\"retry_after_seconds\":%u}",
        banned ? "IP_BANNED" : "RATE_LIMIT_EXCEEDED",
        banned ? "Too many requests from this address; it is refused for a while."
               : "Too many requests from this address. Please slow down.",
        retry_s);
    kl_net__respond_json(r, 429);
}

bool kl_net__admit(struct kl_net__request *r) {
    const struct kl_net *n = r->loop->net;
    if (!n->o.connection_protection || r->local) {
        return true;
    }
    uint32_t retry_s;
    enum kl_limit_verdict verdict = kl_limiter_take(
        n->requests, kl_slice(r->ip.bytes, sizeof r->ip.bytes), r->start_ns, &retry_s);
    if (verdict == KL_LIMIT_OK) {
        return true;
    }
    refuse_rate(r, verdict, retry_s);
    return false;
}

/* `exempt`: not counted. Passwords are guessed from anywhere, this machine too; a token that a local WebSocket shows is not. */
bool kl_net__admit_auth(struct kl_net__loop *l, const struct kl_ip *ip, bool exempt) {
    const struct kl_net *n = l->net;
    if (exempt) {
        return true;
    }
    return kl_limiter_take(n->auths, kl_slice(ip->bytes, sizeof ip->bytes), kl_clock_mono_ns(),
               NULL) == KL_LIMIT_OK;
}

/* ---- errors that h2o answers by itself ---- */

struct error_stream {
    h2o_ostream_t super;
    h2o_iovec_t body;
};

static void send_error_body(
    h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t n, h2o_send_state_t state) {
    struct error_stream *s = (void *)self;
    (void)bufs;
    (void)n;
    h2o_ostream_send_next(self, req, &s->body, 1, state);
}

static h2o_iovec_t error_body(h2o_req_t *req) {
    const char *code = req->res.status == 413 ? "BODY_TOO_LARGE" : "BAD_REQUEST";
    const char *text = req->res.status == 413 ? "The request's body is too large."
                                              : "The request is not valid HTTP.";
    size_t max = req->conn->ctx->globalconf->max_request_entity_size;
    ssize_t at = h2o_find_header(&req->headers, H2O_TOKEN_CONTENT_LENGTH, -1);
    int64_t size = -1;
    char *body = h2o_mem_alloc_pool(&req->pool, 256);
    if (at >= 0) {
        kl_parse_i64(slice_of(req->headers.entries[at].value), &size);
    }
    int len;
    if (req->res.status != 413) {
        len = snprintf(body, 256, "{\"error\":\"%s\",\"message\":\"%s\"}", code, text);
    } else if (size < 0) {
        len = snprintf(
            body, 256, "{\"error\":\"%s\",\"message\":\"%s\",\"max_bytes\":%zu}", code, text, max);
    } else {
        len = snprintf(body, 256,
            "{\"error\":\"%s\",\"message\":\"%s\",\"size_bytes\":%lld,\"max_bytes\":%zu}", code,
            text, (long long)size, max);
    }
    return h2o_iovec_init(body, (size_t)len);
}

static void on_setup_ostream(h2o_filter_t *self, h2o_req_t *req, h2o_ostream_t **slot) {
    (void)self;
    if (req->res.status >= 400) {
        struct error_stream *s = (void *)h2o_add_ostream(req, sizeof *s, slot);
        s->super.do_send = send_error_body;
        s->body = error_body(req);
        req->res.content_length = s->body.len;
        h2o_set_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE,
            H2O_STRLIT("application/json"), 1);
        slot = &s->super.next;
    }
    h2o_setup_next_ostream(req, slot);
}

void kl_net__install_error_filter(h2o_pathconf_t *path) {
    h2o_filter_t *filter = h2o_create_filter(path, sizeof *filter);
    filter->on_setup_ostream = on_setup_ostream;
}
