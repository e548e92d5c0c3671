/* The sink of a SQL request: results become JSON in the response's buffer as they arrive, from
 * whichever thread produces them (one at a time; the request is held meanwhile).
 *
 *     {"status":"success","results":[ RESULT, RESULT ... ],"took":1.234}
 *     RESULT  {"schema":[..],"rows":[[..],..],"row_count":1,"as_user":"u"}
 *             {"row_count":1,"message":"Inserted 1 row(s)","as_user":"u"} */
#include "net/internal.h"

static struct kl_net__request *owner(struct kl_sink *s) {
    return H2O_STRUCT_FROM_MEMBER(struct kl_net__request, sink, s);
}

static void begin_result(struct kl_net__request *r) {
    if (r->any_result) {
        kl_buf_putc(&r->out, ',');
    }
    r->any_result = true;
}

static enum kl_rc check_room(const struct kl_net__request *r, struct kl_err *err) {
    if (r->out.failed) {
        return kl_fail(err, KL_E_TOO_LARGE,
            "The result is larger than %zu bytes (limits.max_result_bytes); ask for fewer rows",
            r->loop->net->o.max_result_bytes);
    }
    return KL_OK;
}

/* SUBSCRIBE TO describes its subscription in a column that clients read as an object; -1: it is not
 * there. */
static int subscription_column(const struct kl_sink_col *cols, size_t n) {
    if (n < 3 || !kl_slice_eq(cols[0].name, KL_S("status"))) {
        return -1;
    }
    for (size_t i = 1; i < n; i++) {
        if (cols[i].type.id == KL_T_JSON && kl_slice_eq(cols[i].name, KL_S("subscription"))) {
            return (int)i;
        }
    }
    return -1;
}

static enum kl_rc sink_begin(
    struct kl_sink *s, const struct kl_sink_col *cols, size_t n, struct kl_err *err) {
    struct kl_net__request *r = owner(s);
    begin_result(r);
    r->n_cols = n;
    r->n_rows = 0;
    kl_buf_puts(&r->out, "{\"schema\":");
    if (kl_loop_is_current(r->loop->loop)) {
        kl_schema_cache_write(r->loop->schemas, &r->out, cols, n);
    } else {
        kl_schema_write(&r->out, cols, n);
    }
    kl_buf_puts(&r->out, ",\"rows\":[");
    r->json_col = subscription_column(cols, n);
    return check_room(r, err);
}

static void put_cell(struct kl_net__request *r, const struct kl_val *vals, size_t i) {
    if ((int)i == r->json_col && !vals[i].null && vals[0].type == KL_T_TEXT && !vals[0].null &&
        kl_slice_eq(kl_val_slice(&vals[0]), KL_S("subscription_required"))) {
        kl_buf_slice(&r->out, kl_val_slice(&vals[i]));
    } else {
        kl_val_to_json(&vals[i], &r->out);
    }
}

static enum kl_rc sink_row(struct kl_sink *s, const struct kl_val *vals, struct kl_err *err) {
    struct kl_net__request *r = owner(s);
    if (atomic_load_explicit(&r->exec.cancelled, memory_order_relaxed)) {
        return kl_fail(err, KL_E_CANCELLED, "the client has gone");
    }
    kl_buf_puts(&r->out, r->n_rows++ ? ",[" : "[");
    for (size_t i = 0; i < r->n_cols; i++) {
        if (i) {
            kl_buf_putc(&r->out, ',');
        }
        put_cell(r, vals, i);
    }
    kl_buf_putc(&r->out, ']');
    return check_room(r, err);
}

static void put_as_user(struct kl_net__request *r) {
    kl_buf_puts(&r->out, ",\"as_user\":");
    kl_json_str(&r->out, r->exec.as_user.ptr ? r->exec.as_user : r->exec.session.user);
    kl_buf_putc(&r->out, '}');
}

static void sink_end(struct kl_sink *s, uint64_t row_count) {
    struct kl_net__request *r = owner(s);
    r->exec.rows = row_count;
    kl_buf_puts(&r->out, "],\"row_count\":");
    kl_buf_u64(&r->out, row_count);
    put_as_user(r);
}

static void sink_message(struct kl_sink *s, uint64_t row_count, struct kl_slice message) {
    struct kl_net__request *r = owner(s);
    r->exec.rows = row_count;
    begin_result(r);
    kl_buf_puts(&r->out, "{\"row_count\":");
    kl_buf_u64(&r->out, row_count);
    kl_buf_puts(&r->out, ",\"message\":");
    kl_json_str(&r->out, message);
    put_as_user(r);
}

void kl_net__sink_init(struct kl_net__request *r) {
    r->sink = (struct kl_sink){
        .begin = sink_begin, .row = sink_row, .end = sink_end, .message = sink_message};
    r->any_result = false;
    r->n_cols = r->n_rows = 0;
    r->json_col = -1;
    kl_buf_clear(&r->out);
    kl_buf_puts(&r->out, "{\"status\":\"success\",\"results\":[");
}
