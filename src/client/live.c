/* A live query over one WebSocket, subscribed again after a loss.
 *
 * `seen` is the highest _seq that was handed out (or, once a load is ready, the place that the
 * server named for it), and every new subscription asks for what came after it. Before anything
 * was seen the original options are sent again. After a loss the connection is opened again
 * without end, with a wait that doubles from RETRY_FIRST_MS to RETRY_LAST_MS, until the caller
 * stops asking; a refused token ends the query, unless a refresh renews it. */
#include "client/internal.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_FIRST_MS 100
#define RETRY_LAST_MS 10000

struct kl_live {
    struct kl_client *client;
    struct kl_ws *ws; /* NULL: to be opened again */
    char *id, *sql;
    json_t *options;
    int64_t seen; /* -1: nothing yet */
    int64_t retry_at_ms;
    int retry_ms;
    json_t *message; /* what the last event borrows from */
    struct kl_err lost;
};

static enum kl_rc send_json(struct kl_live *live, json_t *message, struct kl_err *err) {
    char *text = json_dumps(message, JSON_COMPACT);
    enum kl_rc rc = text ? kl_ws_send(live->ws, kl_slice_str(text), err)
                         : kl_fail(err, KL_E_INVALID_INPUT, "the live query is not valid UTF-8");
    free(text);
    return rc;
}

static enum kl_rc send_subscribe(struct kl_live *live, struct kl_err *err) {
    json_t *options = live->options ? json_copy(live->options) : json_object();
    if (live->seen >= 0) {
        json_object_set_new(options, "from", json_integer(live->seen));
        json_object_del(options, "last_rows");
    }
    json_t *message = json_pack("{s:s, s:{s:s, s:s, s:o}}", "type", "subscribe", "subscription",
        "id", live->id, "sql", live->sql, "options", options);
    if (message == NULL) {
        return kl_fail(err, KL_E_INVALID_INPUT, "the live query is not valid UTF-8");
    }
    enum kl_rc rc = send_json(live, message, err);
    json_decref(message);
    return rc;
}

static enum kl_rc open_ws(struct kl_live *live, struct kl_err *err) {
    enum kl_rc rc = kl_ws_open(live->client, &live->ws, err);
    if (rc == KL_E_INVALID_CREDENTIALS && kl_client__renew(live->client, true)) {
        rc = kl_ws_open(live->client, &live->ws, err);
    }
    return rc == KL_OK ? send_subscribe(live, err) : rc;
}

enum kl_rc kl_live_start(struct kl_client *client, const struct kl_live_options *options,
    struct kl_live **ret, struct kl_err *err) {
    struct kl_live *live = kl_xcalloc(1, sizeof(*live));
    live->client = client;
    live->id = options->id ? kl_xstrdup(options->id)
                           : kl_xprintf("sub-%016llx", (unsigned long long)kl_random_u64());
    live->sql = kl_xstrdup(options->sql);
    live->options = options->options ? json_deep_copy(options->options) : NULL;
    live->seen = -1;
    live->retry_ms = RETRY_FIRST_MS;
    enum kl_rc rc = open_ws(live, err);
    if (rc != KL_OK) {
        kl_live_free(live);
        return rc;
    }
    *ret = live;
    return KL_OK;
}

void kl_live_free(struct kl_live *live) {
    if (live == NULL) {
        return;
    }
    if (live->ws != NULL) {
        json_t *message =
            json_pack("{s:s, s:s}", "type", "unsubscribe", "subscription_id", live->id);
        if (message != NULL) {
            send_json(live, message, NULL);
            json_decref(message);
        }
        kl_ws_free(live->ws);
    }
    json_decref(live->message);
    json_decref(live->options);
    free(live->id);
    free(live->sql);
    free(live);
}

/* ---- events ---- */

static int64_t as_seq(const json_t *value) {
    int64_t seq = -1;
    if (json_is_string(value)) {
        struct kl_slice text = kl_slice(json_string_value(value), json_string_length(value));
        return kl_parse_i64(text, &seq) ? seq : -1;
    }
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static void note_rows(struct kl_live *live, const json_t *rows) {
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) {
        live->seen = KL_MAX(live->seen, as_seq(json_object_get(row, "_seq")));
    }
}

static bool rows_ok(const json_t *rows, bool needed) {
    size_t i;
    json_t *row;
    if (rows == NULL || json_is_null(rows)) {
        return !needed;
    }
    json_array_foreach(rows, i, row) {
        if (!json_is_object(row)) {
            return false;
        }
    }
    return json_is_array(rows);
}

static bool is_ready(const json_t *control) {
    const char *status = json_string_value(json_object_get(control, "status"));
    return (status && strcmp(status, "ready") == 0) ||
           json_is_false(json_object_get(control, "has_more"));
}

static enum kl_rc bad_message(struct kl_err *err) {
    return kl_fail(err, KL_E_CORRUPT, "the server sent a live message that is not understood");
}

static enum kl_rc take_ack(struct kl_live *live, struct kl_live_event *ret, struct kl_err *err) {
    json_t *schema = json_object_get(live->message, "schema"), *column;
    size_t i;
    json_array_foreach(schema, i, column) {
        if (!json_is_string(json_object_get(column, "name"))) {
            return bad_message(err);
        }
    }
    if (!json_is_array(schema)) {
        return bad_message(err);
    }
    live->retry_ms = RETRY_FIRST_MS;
    ret->kind = KL_LIVE_ACK;
    ret->schema = schema;
    ret->resync = json_is_true(json_object_get(live->message, "resync"));
    ret->ready = is_ready(json_object_get(live->message, "batch_control"));
    if (ret->resync) {
        live->seen = -1; /* a loss during the load that follows must start it over */
    }
    return KL_OK;
}

static enum kl_rc take_batch(struct kl_live *live, struct kl_live_event *ret, struct kl_err *err) {
    json_t *control = json_object_get(live->message, "batch_control");
    ret->kind = KL_LIVE_ROWS;
    ret->rows = json_object_get(live->message, "rows");
    if (!rows_ok(ret->rows, true)) {
        return bad_message(err);
    }
    ret->ready = is_ready(control);
    note_rows(live, ret->rows);
    if (ret->ready) {
        /* Only now: before, the server's number may already be that of the end of the load. */
        live->seen = KL_MAX(live->seen, as_seq(json_object_get(control, "last_seq_id")));
        return KL_OK;
    }
    json_t *next = json_pack("{s:s, s:s, s:O*}", "type", "next_batch", "subscription_id", live->id,
        "last_seq_id", json_object_get(control, "last_seq_id"));
    if (next != NULL) {
        send_json(live, next, NULL); /* a failure shows at the next read */
        json_decref(next);
    }
    return KL_OK;
}

static enum kl_rc take_change(struct kl_live *live, struct kl_live_event *ret, struct kl_err *err) {
    const char *type = json_string_value(json_object_get(live->message, "change_type"));
    ret->rows = json_object_get(live->message, "rows");
    ret->old_values = json_object_get(live->message, "old_values");
    if (type == NULL) {
        return bad_message(err);
    }
    if (strcmp(type, "insert") == 0) {
        ret->kind = KL_LIVE_INSERT;
    } else if (strcmp(type, "update") == 0) {
        ret->kind = KL_LIVE_UPDATE;
    } else if (strcmp(type, "delete") == 0) {
        ret->kind = KL_LIVE_DELETE;
    } else {
        return bad_message(err);
    }
    bool is_delete = ret->kind == KL_LIVE_DELETE;
    if (!rows_ok(ret->rows, !is_delete) || !rows_ok(ret->old_values, is_delete)) {
        return bad_message(err);
    }
    note_rows(live, ret->rows);
    note_rows(live, ret->old_values);
    return KL_OK;
}

static enum kl_rc take_error(struct kl_live *live, struct kl_err *err) {
    const char *code = json_string_value(json_object_get(live->message, "code"));
    const char *message = json_string_value(json_object_get(live->message, "message"));
    return kl_fail(
        err, KL_E_EXEC, "%s: %s", code ? code : "error", message ? message : "no reason given");
}

/* One message of the server. *ret_event stays false for those that say nothing to the caller. */
static enum kl_rc take_message(struct kl_live *live, struct kl_slice text,
    struct kl_live_event *ret, bool *ret_event, struct kl_err *err) {
    json_decref(live->message);
    live->message = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_ALLOW_NUL, NULL);
    const char *type = json_string_value(json_object_get(live->message, "type"));
    const char *id = json_string_value(json_object_get(live->message, "subscription_id"));
    if (type == NULL) {
        return bad_message(err);
    }
    if (strcmp(type, "error") == 0) {
        return take_error(live, err);
    }
    if (id == NULL || strcmp(id, live->id) != 0) {
        return KL_OK;
    }
    *ret = (struct kl_live_event){0};
    *ret_event = true;
    if (strcmp(type, "subscription_ack") == 0) {
        return take_ack(live, ret, err);
    }
    if (strcmp(type, "initial_data_batch") == 0) {
        return take_batch(live, ret, err);
    }
    if (strcmp(type, "change") == 0) {
        return take_change(live, ret, err);
    }
    *ret_event = false; /* newer servers may say more */
    return KL_OK;
}

static void lose(struct kl_live *live, struct kl_live_event *ret) {
    kl_ws_free(live->ws);
    live->ws = NULL;
    live->retry_at_ms = kl_clock_mono_ms() + live->retry_ms;
    live->retry_ms = KL_MIN(live->retry_ms * 2, RETRY_LAST_MS);
    *ret = (struct kl_live_event){.kind = KL_LIVE_LOST, .message = live->lost.msg};
}

/* Sleeps, unless the cancel descriptor becomes readable. */
static enum kl_rc sleep_until(struct kl_live *live, int64_t until, struct kl_err *err) {
    for (;;) {
        int64_t left = until - kl_clock_mono_ms();
        struct pollfd p = {.fd = live->client->options.cancel_fd, .events = POLLIN};
        int n = poll(&p, 1, left <= 0 ? 0 : (int)KL_MIN(left, 3600000));
        if (n > 0) {
            return kl_fail(err, KL_E_CANCELLED, "cancelled");
        }
        if (kl_clock_mono_ms() >= until) {
            return KL_OK;
        }
    }
}

static bool is_loss(enum kl_rc rc) {
    return rc == KL_E_IO || rc == KL_E_END;
}

static enum kl_rc reopen(struct kl_live *live, int64_t end, struct kl_err *err) {
    while (live->ws == NULL) {
        KL_TRY(sleep_until(live, KL_MIN(end, live->retry_at_ms), err));
        if (kl_clock_mono_ms() < live->retry_at_ms) {
            return kl_fail(err, KL_E_TIMEOUT, "no connection");
        }
        enum kl_rc rc = open_ws(live, err);
        if (rc == KL_OK) {
            return KL_OK;
        }
        if (!is_loss(rc) && rc != KL_E_TIMEOUT) {
            return rc;
        }
        struct kl_live_event unused;
        lose(live, &unused);
    }
    return KL_OK;
}

enum kl_rc kl_live_next(
    struct kl_live *live, int timeout_ms, struct kl_live_event *ret, struct kl_err *err) {
    int64_t end = timeout_ms < 0 ? INT64_MAX : kl_clock_mono_ms() + timeout_ms;
    for (;;) {
        if (live->ws == NULL) {
            KL_TRY(reopen(live, end, err));
        }
        int64_t left = end == INT64_MAX ? -1 : KL_MAX(end - kl_clock_mono_ms(), 0);
        struct kl_slice text;
        enum kl_rc rc =
            kl_ws_recv(live->ws, left < 0 ? -1 : (int)KL_MIN(left, INT32_MAX), &text, &live->lost);
        if (is_loss(rc)) {
            lose(live, ret);
            return KL_OK;
        }
        if (rc != KL_OK) {
            if (err != NULL) {
                *err = live->lost;
            }
            return rc;
        }
        bool event = false;
        KL_TRY(take_message(live, text, ret, &event, err));
        if (event) {
            return KL_OK;
        }
    }
}
