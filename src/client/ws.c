/* A WebSocket connection to /v1/ws: handshake, messages, keep-alive.
 *
 * Text messages are JSON; binary ones are gzip of JSON and are unpacked here. A message in
 * fragments is put together up to the limits of internal.h. A ping goes out after PING_MS without
 * anything sent, which also tells the server that we live; a connection from which nothing came
 * for SILENCE_MS is taken for dead. Both clocks only run inside recv. */
#include "client/internal.h"

#include <stdlib.h>

#define PING_MS 4000
#define SILENCE_MS 20000
#define HANDSHAKE_MS 10000

struct kl_ws {
    struct kl_conn conn;
    struct kl_buf in; /* bytes from the server; those before `used` are done with */
    size_t used;
    struct kl_buf message; /* fragments so far */
    struct kl_buf text;    /* the unpacked message */
    uint8_t op;            /* of the message in fragments, 0 none */
    int64_t last_in_ms, last_out_ms;
    bool closing;
};

static enum kl_rc send_frame(
    struct kl_ws *ws, enum kl_ws_op op, struct kl_slice payload, struct kl_err *err) {
    struct kl_buf out;
    kl_buf_init(&out, KL_WS_MAX_TEXT + 16);
    uint8_t mask[4];
    kl_random_bytes(mask, sizeof(mask));
    kl_ws__encode(&out, op, payload, mask);
    enum kl_rc rc = out.failed ? kl_fail(err, KL_E_TOO_LARGE, "the message is larger than 64 MiB")
                               : kl_conn__write(&ws->conn, kl_buf_view(&out),
                                     kl_client__deadline(SILENCE_MS), err);
    kl_buf_deinit(&out);
    ws->last_out_ms = kl_clock_mono_ms();
    return rc;
}

enum kl_rc kl_ws_send(struct kl_ws *ws, struct kl_slice text, struct kl_err *err) {
    return send_frame(ws, KL_WS_TEXT, text, err);
}

int kl_ws_fd(const struct kl_ws *ws) {
    return ws->conn.fd;
}

void kl_ws_free(struct kl_ws *ws) {
    if (ws == NULL) {
        return;
    }
    if (ws->conn.fd >= 0 && !ws->closing) {
        ws->conn.cancel_fd = -1;
        struct kl_buf out;
        kl_buf_init(&out, 64);
        uint8_t mask[4];
        kl_random_bytes(mask, sizeof(mask));
        kl_ws__encode(&out, KL_WS_CLOSE, KL_S("\x03\xe8"), mask);
        kl_conn__write(&ws->conn, kl_buf_view(&out), kl_client__deadline(200), NULL);
        kl_buf_deinit(&out);
    }
    kl_conn__close(&ws->conn);
    kl_buf_deinit(&ws->in);
    kl_buf_deinit(&ws->message);
    kl_buf_deinit(&ws->text);
    free(ws);
}

/* ---- handshake ---- */

static enum kl_rc send_upgrade(struct kl_ws *ws, const struct kl_client *client, const char *key,
    int64_t deadline, struct kl_err *err) {
    struct kl_buf out;
    kl_buf_init(&out, 64 * 1024);
    kl_buf_printf(&out,
        "GET /v1/ws HTTP/1.1\r\nHost: %s\r\nUser-Agent: kalam/%s\r\nUpgrade: "
        "websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
        client->options.url.authority, KL_VERSION, key);
    for (const char *p = client->token; p && *p; p++) {
        if (*p <= ' ' || *p > '~') {
            kl_buf_deinit(&out);
            return kl_fail(
                err, KL_E_INVALID_CREDENTIALS, "the token holds characters that no token has");
        }
    }
    if (client->token != NULL) {
        kl_buf_printf(&out, "Authorization: Bearer %s\r\n", client->token);
    }
    kl_buf_puts(&out, "\r\n");
    enum kl_rc rc = out.failed ? kl_fail(err, KL_E_TOO_LARGE, "the token is too long")
                               : kl_conn__write(&ws->conn, kl_buf_view(&out), deadline, err);
    kl_buf_deinit(&out);
    return rc;
}

static enum kl_rc check_upgrade(const struct kl_http *http, const char *key, struct kl_err *err) {
    if (http->status == 401 || http->status == 403) {
        return kl_fail(err, KL_E_INVALID_CREDENTIALS,
            "the server refused the live connection with HTTP status %d", http->status);
    }
    if (http->status != 101) {
        return kl_fail(err, KL_E_IO,
            "the server answered with HTTP status %d instead of a WebSocket", http->status);
    }
    char want[29];
    kl_ws__accept(key, want);
    if (!kl_slice_ieq_str(kl_http__header(http, "upgrade"), "websocket") ||
        !kl_slice_eq_str(kl_http__header(http, "sec-websocket-accept"), want)) {
        return kl_fail(err, KL_E_CORRUPT, "the server's answer is not the one of a WebSocket");
    }
    return KL_OK;
}

/* Reads the answer to the upgrade; what follows it already belongs to the frames. */
static enum kl_rc read_upgrade(
    struct kl_ws *ws, const char *key, int64_t deadline, struct kl_err *err) {
    struct kl_http http;
    kl_http__init(&http, 64 * 1024);
    enum kl_rc rc = KL_OK;
    while (rc == KL_OK && http.state != KL_HTTP_DONE) {
        char bytes[4096];
        size_t n = 0, used = 0;
        rc = kl_conn__read(&ws->conn, bytes, sizeof(bytes), deadline, &n, err);
        if (rc == KL_E_END) {
            rc = kl_http__end(&http, err);
            break;
        }
        if (rc == KL_OK) {
            rc = kl_http__feed(&http, kl_slice(bytes, n), &used, err);
        }
        if (rc == KL_OK) {
            kl_buf_append(&ws->in, bytes + used, n - used);
        }
    }
    if (rc == KL_OK) {
        rc = check_upgrade(&http, key, err);
    }
    kl_http__deinit(&http);
    return rc;
}

static enum kl_rc await_auth(struct kl_ws *ws, struct kl_err *err) {
    struct kl_slice text;
    enum kl_rc rc = kl_ws_recv(ws, HANDSHAKE_MS, &text, err);
    if (rc != KL_OK) {
        return rc == KL_E_TIMEOUT
                   ? kl_fail(err, KL_E_IO, "the server does not answer over WebSocket")
                   : rc;
    }
    json_t *root = json_loadb(text.ptr, text.len, JSON_ALLOW_NUL, NULL);
    const char *type = json_string_value(json_object_get(root, "type"));
    if (type != NULL && strcmp(type, "auth_error") == 0) {
        const char *message = json_string_value(json_object_get(root, "message"));
        rc = kl_fail(err, KL_E_INVALID_CREDENTIALS, "%s",
            message ? message : "the server refused the token");
    } else if (type == NULL || strcmp(type, "auth_success") != 0) {
        rc = kl_fail(err, KL_E_CORRUPT, "the server did not begin with auth_success");
    }
    json_decref(root);
    return rc;
}

enum kl_rc kl_ws_open(struct kl_client *client, struct kl_ws **ret, struct kl_err *err) {
    KL_TRY(kl_client__tls(client, err));
    struct kl_ws *ws = kl_xcalloc(1, sizeof(*ws));
    kl_buf_init(&ws->in, KL_WS_MAX_TEXT + 65536 + 16);
    kl_buf_init(&ws->message, KL_WS_MAX_TEXT);
    kl_buf_init(&ws->text, KL_WS_MAX_TEXT);
    ws->conn = (struct kl_conn){.fd = -1, .cancel_fd = -1};
    ws->last_in_ms = ws->last_out_ms = kl_clock_mono_ms();
    int64_t deadline = kl_client__deadline(HANDSHAKE_MS);
    uint8_t nonce[16];
    struct kl_buf key;
    kl_buf_init(&key, 64);
    kl_random_bytes(nonce, sizeof(nonce));
    kl_base64_encode(&key, kl_slice(nonce, sizeof(nonce)), false);
    kl_buf_putc(&key, '\0');
    enum kl_rc rc = kl_conn__open(&ws->conn, &client->options, client->tls, err);
    if (rc == KL_OK) {
        rc = send_upgrade(ws, client, key.data, deadline, err);
    }
    if (rc == KL_OK) {
        rc = read_upgrade(ws, key.data, deadline, err);
    }
    kl_buf_deinit(&key);
    ws->closing = rc != KL_OK; /* no goodbye in a language that was not agreed on */
    if (rc == KL_OK) {
        rc = await_auth(ws, err);
    }
    if (rc != KL_OK) {
        kl_ws_free(ws);
        return rc;
    }
    *ret = ws;
    return KL_OK;
}

/* ---- messages ---- */

static enum kl_rc unpack(struct kl_ws *ws, uint8_t op, struct kl_slice payload,
    struct kl_slice *ret, struct kl_err *err) {
    if (op == KL_WS_TEXT) {
        *ret = payload;
        return KL_OK;
    }
    kl_buf_clear(&ws->text);
    enum kl_rc rc = kl_gunzip(payload, &ws->text);
    if (rc == KL_E_TOO_LARGE) {
        return kl_fail(err, rc, "the server sent a message that unpacks to more than 64 MiB");
    }
    if (rc != KL_OK) {
        return kl_fail(err, KL_E_CORRUPT, "the server sent a binary message that is not gzip");
    }
    *ret = kl_buf_view(&ws->text);
    return KL_OK;
}

static enum kl_rc peer_closed(struct kl_ws *ws, struct kl_slice payload, struct kl_err *err) {
    int code = payload.len >= 2 ? (uint8_t)payload.ptr[0] << 8 | (uint8_t)payload.ptr[1] : 1005;
    struct kl_slice why = payload.len > 2 ? kl_slice_from(payload, 2) : KL_SLICE_NONE;
    send_frame(ws, KL_WS_CLOSE, payload.len >= 2 ? kl_slice(payload.ptr, 2) : KL_SLICE_NONE, NULL);
    ws->closing = true;
    if (why.len > 0 && kl_utf8_valid(why)) {
        return kl_fail(
            err, KL_E_END, "the server closed the connection: %.*s (%d)", KL_FMT(why), code);
    }
    return kl_fail(err, KL_E_END, "the server closed the connection (%d)", code);
}

static enum kl_rc data_frame(struct kl_ws *ws, const struct kl_ws_frame *frame, bool *ret_done,
    struct kl_slice *ret, struct kl_err *err) {
    bool continues = frame->op == KL_WS_CONTINUE;
    if (continues != (ws->op != 0)) {
        return kl_fail(err, KL_E_CORRUPT, "the server sent WebSocket fragments out of order");
    }
    if (!continues && frame->fin) {
        *ret_done = true;
        return unpack(ws, frame->op, frame->payload, ret, err);
    }
    if (!continues) {
        ws->op = frame->op;
        kl_buf_clear(&ws->message);
    }
    kl_buf_slice(&ws->message, frame->payload);
    if (ws->message.failed || (ws->op == KL_WS_BINARY && ws->message.len > KL_WS_MAX_BINARY)) {
        return kl_fail(err, KL_E_TOO_LARGE, "the server sent a message over the limit");
    }
    if (!frame->fin) {
        return KL_OK;
    }
    uint8_t op = ws->op;
    ws->op = 0;
    *ret_done = true;
    return unpack(ws, op, kl_buf_view(&ws->message), ret, err);
}

/* Handles whole frames until a message is complete or bytes are missing. */
static enum kl_rc take_frames(
    struct kl_ws *ws, bool *ret_done, struct kl_slice *ret, struct kl_err *err) {
    while (!*ret_done) {
        struct kl_ws_frame frame;
        size_t n = 0;
        KL_TRY(kl_ws__decode(kl_slice_from(kl_buf_view(&ws->in), ws->used), &frame, &n, err));
        if (n == 0) {
            return KL_OK;
        }
        ws->used += n;
        switch (frame.op) {
        case KL_WS_PING:
            KL_TRY(send_frame(ws, KL_WS_PONG, frame.payload, err));
            break;
        case KL_WS_PONG:
            break;
        case KL_WS_CLOSE:
            return peer_closed(ws, frame.payload, err);
        default:
            KL_TRY(data_frame(ws, &frame, ret_done, ret, err));
        }
    }
    return KL_OK;
}

/* Reads what is there into `in`, dropping what was used before. */
static enum kl_rc read_more(struct kl_ws *ws, int64_t deadline, struct kl_err *err) {
    if (ws->used > 0) {
        memmove(ws->in.data, ws->in.data + ws->used, ws->in.len - ws->used);
        ws->in.len -= ws->used;
        ws->used = 0;
    }
    char bytes[64 * 1024];
    size_t n = 0;
    KL_TRY(kl_conn__read(&ws->conn, bytes, sizeof(bytes), deadline, &n, err));
    kl_buf_append(&ws->in, bytes, n);
    ws->last_in_ms = kl_clock_mono_ms();
    return ws->in.failed ? kl_fail(err, KL_E_TOO_LARGE, "the server sent a message over the limit")
                         : KL_OK;
}

enum kl_rc kl_ws_recv(struct kl_ws *ws, int timeout_ms, struct kl_slice *ret, struct kl_err *err) {
    int64_t end = timeout_ms < 0 ? INT64_MAX : kl_clock_mono_ms() + timeout_ms;
    for (;;) {
        bool done = false;
        KL_TRY(take_frames(ws, &done, ret, err));
        if (done) {
            return KL_OK;
        }
        if (kl_clock_mono_ms() - ws->last_out_ms >= PING_MS) {
            KL_TRY(send_frame(ws, KL_WS_PING, KL_SLICE_NONE, err));
        }
        int64_t deadline = KL_MIN(end, ws->last_out_ms + PING_MS);
        enum kl_rc rc = read_more(ws, deadline, err);
        int64_t now = kl_clock_mono_ms();
        if (rc == KL_E_TIMEOUT && now - ws->last_in_ms >= SILENCE_MS) {
            return kl_fail(
                err, KL_E_IO, "nothing came from the server for %d seconds", SILENCE_MS / 1000);
        }
        if (rc != KL_OK && (rc != KL_E_TIMEOUT || now >= end)) {
            return rc;
        }
    }
}
