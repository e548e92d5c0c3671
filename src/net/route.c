/* Which endpoint answers which path. One handler for every path: the table is short and the order
 * of checks (limits, preflight, method) is the same for all. */
#include "net/internal.h"

enum method { GET = 1, POST = 2 };

struct route {
    const char *path;
    unsigned methods;
    void (*run)(struct kl_net__request *r);
    bool auth_envelope;
};

static const struct route routes[] = {
    {"/v1/api/sql", POST, kl_net__sql, false},
    {"/api/sql", POST, kl_net__sql, false},
    {"/api/v1/query", POST, kl_net__sql, false},
    {"/v1/ws", GET, kl_net__ws_upgrade, false},
    {"/ws", GET, kl_net__ws_upgrade, false},
    {"/health", GET, kl_net__health, false},
    {"/v1/api/healthcheck", GET, kl_net__health, false},
    {"/v1/api/cluster/health", GET, kl_net__cluster_health, false},
    {"/v1/api/auth/login", POST, kl_net__auth_login, true},
    {"/v1/api/auth/refresh", POST, kl_net__auth_refresh, true},
    {"/v1/api/auth/logout", POST, kl_net__auth_logout, true},
    {"/v1/api/auth/me", GET, kl_net__auth_me, true},
    {"/v1/api/auth/setup", POST, kl_net__auth_setup, true},
    {"/v1/api/auth/status", GET, kl_net__auth_status, true},
};

/* Known to clients, not there yet: said plainly instead of "not found". */
static const struct {
    const char *prefix, *what;
} absent[] = {
    {"/v1/api/topics/", "Topics are not available in this version"},
    {"/v1/files/", "Files are not available in this version"},
    {"/api/v1/files/", "Files are not available in this version"},
    {"/v1/exports/", "Exports are not available in this version"},
    {"/ui", "The user interface is not available in this version"},
};

static unsigned method_of(const h2o_req_t *req) {
    struct kl_slice m = kl_slice(req->method.base, req->method.len);
    if (kl_slice_eq(m, KL_S("POST"))) {
        return POST;
    }
    return kl_slice_eq(m, KL_S("GET")) || kl_slice_eq(m, KL_S("HEAD")) ? GET : 0;
}

static const struct route *find_route(struct kl_slice path) {
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (kl_slice_eq_str(path, routes[i].path)) {
            return &routes[i];
        }
    }
    return NULL;
}

static void unknown(struct kl_net__request *r) {
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        if (kl_slice_starts_with(r->path, kl_slice_str(absent[i].prefix))) {
            kl_net__respond_error(r, 501, "not_implemented", absent[i].what);
            return;
        }
    }
    kl_net__respond(r, 404, NULL);
}

int kl_net__route(h2o_handler_t *handler, h2o_req_t *req) {
    (void)handler;
    struct kl_net__loop *l = H2O_STRUCT_FROM_MEMBER(struct kl_net__loop, ctx, req->conn->ctx);
    struct kl_net__request *r = kl_net__request_new(l, req);
    if (!kl_net__admit(r)) {
        return 0;
    }
    if (h2o_memis(req->method.base, req->method.len, H2O_STRLIT("OPTIONS"))) {
        kl_net__preflight(r);
        return 0;
    }
    const struct route *route = find_route(r->path);
    if (!route) {
        unknown(r);
    } else if (!(method_of(req) & route->methods)) {
        kl_net__add_header(
            r, "allow", route->methods == POST ? KL_S("POST, OPTIONS") : KL_S("GET, OPTIONS"));
        kl_net__respond_error(r, 405, "method_not_allowed", "This path does not take this method");
    } else {
        r->auth_envelope = route->auth_envelope;
        route->run(r);
    }
    return 0;
}
