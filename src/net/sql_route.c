/* POST /v1/api/sql: from a request's bytes to the engine and back.
 *
 * The body is copied into the request's arena first: the engine's threads read SQL and parameters
 * from there, whatever becomes of the connection. */
#include "net/body.h"
#include "net/internal.h"
#include "net/multipart.h"

#include <stdlib.h>

#define NS_MAX 64

static void put_error(struct kl_net__request *r, enum kl_rc rc, const struct kl_err *err) {
    struct kl_buf *b = &r->out;
    kl_buf_puts(b, "\"error\":{\"code\":");
    kl_json_str(b, kl_slice_str(kl_rc_wire(rc)));
    kl_buf_puts(b, ",\"message\":");
    kl_json_str(b, kl_slice_str(err->msg));
    if (kl_role_is_admin(r->session.actor_role) && r->exec.failed_sql.len) {
        kl_buf_puts(b, ",\"details\":");
        kl_json_str(b, r->exec.failed_sql);
    }
    if (err->position > 0) {
        kl_buf_printf(b, ",\"position\":%d", err->position);
    }
    if (err->hint[0]) {
        kl_buf_puts(b, ",\"hint\":");
        kl_json_str(b, kl_slice_str(err->hint));
    }
    if (kl_rc_retryable(rc)) {
        kl_buf_puts(b, ",\"retryable\":true");
    }
    kl_buf_putc(b, '}');
}

/* What went wrong inside the server is for its log; others than admins learn where to find it. */
static void hide_internals(struct kl_net__request *r, enum kl_rc rc, struct kl_err *err) {
    if (kl_rc_http_status(rc) != 500) {
        return;
    }
    kl_log_error("net", "request %s: %s: %s", r->id, kl_rc_name(rc), err->msg);
    if (!kl_role_is_admin(r->session.actor_role)) {
        kl_fail(err, rc, "The server could not run this request (request id %s)", r->id);
    }
}

void kl_net__respond_failure(struct kl_net__request *r, enum kl_rc rc, const struct kl_err *given) {
    struct kl_err err = *given;
    int status = kl_rc_http_status(rc);
    hide_internals(r, rc, &err);
    if (!err.msg[0]) {
        kl_fail(&err, rc, "%s", kl_rc_name(rc));
    }
    if (status == 503 || rc == KL_E_RATE_LIMIT) {
        kl_net__add_header(r, "retry-after", KL_S("1"));
    }
    if (status == 503) {
        atomic_fetch_add_explicit(&r->loop->net->overloads, 1, memory_order_relaxed);
    }
    if (r->auth_envelope) {
        const char *code = status == 401   ? "unauthorized"
                           : status == 403 ? "forbidden"
                           : status == 429 ? "rate_limited"
                           : status == 503 ? "overloaded"
                           : status == 400 ? "invalid_input"
                                           : "internal_error";
        kl_net__respond_error(r, status, code, err.msg);
        return;
    }
    kl_buf_clear(&r->out);
    kl_buf_puts(&r->out, "{\"status\":\"error\",\"results\":[],\"took\":");
    kl_net__put_took(r, kl_clock_mono_ns());
    kl_buf_putc(&r->out, ',');
    put_error(r, rc, &err);
    kl_buf_putc(&r->out, '}');
    kl_net__respond_json(r, status);
}

static void respond_too_large(struct kl_net__request *r) {
    struct kl_err err = {0};
    kl_fail(&err, KL_E_TOO_LARGE, "The result is larger than %zu bytes (limits.max_result_bytes)",
        r->loop->net->o.max_result_bytes);
    kl_net__respond_failure(r, KL_E_TOO_LARGE, &err);
}

static void on_done(struct kl_exec *x) {
    struct kl_net__request *r = x->ctx;
    int64_t now_ns = kl_clock_mono_ns();
    if (!kl_net__request_release(r)) {
        return;
    }
    if (x->rc != KL_OK) {
        kl_net__respond_failure(r, x->rc, &x->err);
        return;
    }
    kl_buf_puts(&r->out, "],\"took\":");
    kl_net__put_took(r, now_ns);
    kl_buf_putc(&r->out, '}');
    if (r->out.failed) {
        respond_too_large(r);
        return;
    }
    kl_net__respond_json(r, 200);
}

static void refuse_rate(struct kl_net__request *r) {
    struct kl_err err = {0};
    kl_fail(&err, KL_E_RATE_LIMIT, "Too many queries per second. Please slow down.");
    kl_net__respond_failure(r, KL_E_RATE_LIMIT, &err);
}

static bool allowed_rate(struct kl_net__request *r) {
    if (kl_limiter_take(r->loop->net->queries, r->session.actor, r->start_ns, NULL) ==
        KL_LIMIT_OK) {
        return true;
    }
    refuse_rate(r);
    return false;
}

static enum kl_rc set_namespace(struct kl_net__request *r, struct kl_slice ns, struct kl_err *err) {
    if (!ns.len) {
        return KL_OK;
    }
    if (ns.len > NS_MAX) {
        return kl_fail(err, KL_E_INVALID_INPUT, "namespace_id is longer than %d bytes", NS_MAX);
    }
    struct kl_slice folded = kl_arena_dup(&r->arena, ns);
    if (!folded.ptr) {
        return kl_fail(err, KL_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < folded.len; i++) {
        char *c = (char *)folded.ptr + i;
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
    }
    r->session.ns = folded;
    return KL_OK;
}

static enum kl_rc read_json(
    struct kl_net__request *r, struct kl_slice body, struct kl_sql_body *ret, struct kl_err *err) {
    struct kl_slice type = r->headers.content_type;
    if (!kl_media_type_is(type, "application/json")) {
        return kl_fail(
            err, KL_E_INVALID_INPUT, "Invalid JSON payload: Content-Type must be application/json");
    }
    struct kl_slice copy = kl_arena_dup(&r->arena, body);
    if (!copy.ptr) {
        return kl_fail(err, KL_E_NOMEM, "out of memory");
    }
    return kl_body_parse((char *)copy.ptr, copy.len, &r->arena, ret, err);
}

static enum kl_rc take_part(struct kl_net__request *r, const struct kl_multipart_part *part,
    struct kl_sql_body *ret, struct kl_err *err) {
    if (part->file) {
        return kl_fail(err, KL_E_INVALID_INPUT, "file uploads are not available in this version");
    }
    struct kl_slice copy = kl_arena_dup(&r->arena, part->content);
    if (!copy.ptr) {
        return kl_fail(err, KL_E_NOMEM, "out of memory");
    }
    if (!kl_utf8_valid(copy)) {
        return kl_fail(err, KL_E_INVALID_INPUT, "Invalid multipart payload: not valid UTF-8");
    }
    if (kl_slice_eq_str(part->name, "sql")) {
        ret->sql = copy;
    } else if (kl_slice_eq_str(part->name, "namespace_id")) {
        ret->ns = kl_slice_trim(copy);
    } else if (kl_slice_eq_str(part->name, "params") && kl_slice_trim(copy).len) {
        return kl_body_params(
            (char *)copy.ptr, copy.len, &r->arena, &ret->params, &ret->n_params, err);
    }
    return KL_OK;
}

static enum kl_rc read_multipart(
    struct kl_net__request *r, struct kl_slice body, struct kl_sql_body *ret, struct kl_err *err) {
    struct kl_multipart_part parts[KL_MULTIPART_MAX_PARTS];
    size_t n;
    struct kl_slice boundary = kl_header_param(r->headers.content_type, "boundary");
    KL_TRY(kl_multipart_parse(body, boundary, parts, KL_MULTIPART_MAX_PARTS, &n, err));
    *ret = (struct kl_sql_body){0};
    for (size_t i = 0; i < n; i++) {
        KL_TRY(take_part(r, &parts[i], ret, err));
    }
    return KL_OK;
}

static enum kl_rc read_body(
    struct kl_net__request *r, struct kl_sql_body *ret, struct kl_err *err) {
    struct kl_slice body = kl_slice(r->req->entity.base, r->req->entity.len);
    struct kl_slice type = r->headers.content_type;
    if (kl_media_type_is(type, "multipart/form-data")) {
        KL_TRY(read_multipart(r, body, ret, err));
    } else {
        KL_TRY(read_json(r, body, ret, err));
    }
    if (!kl_slice_trim(ret->sql).len) {
        return kl_fail(err, KL_E_EMPTY_SQL, "SQL statement is required");
    }
    return set_namespace(r, ret->ns, err);
}

static void run(struct kl_net__request *r) {
    struct kl_sql_body body;
    struct kl_exec *x = &r->exec;
    kl_net__clear_exec(r);
    if (!kl_net__serving(r) || !allowed_rate(r)) {
        return;
    }
    enum kl_rc rc = read_body(r, &body, &x->err);
    if (rc != KL_OK) {
        kl_net__respond_failure(r, rc, &x->err);
        return;
    }
    kl_net__sink_init(r);
    x->session = r->session;
    x->sql = body.sql;
    x->params = body.params;
    x->n_params = body.n_params;
    x->sink = &r->sink;
    x->arena = &r->arena;
    x->done = on_done;
    x->ctx = r;
    kl_net__request_hold(r);
    kl_engine_exec(r->loop->engine, &r->exec);
}

void kl_net__sql(struct kl_net__request *r) {
    kl_net__authenticate(r, run);
}
