/* A WebSocket parser for the server's side: every frame must be masked, none may use extensions.
 *
 *     0        1        2 .. 9            then      then
 *     F...oooo 1lllllll extended length   mask(4)   payload
 *
 * States: head (collecting up to 14 header bytes) -> payload -> head ... A data frame's payload is
 * unmasked into `message`; a control frame may stand between the fragments of a message, so it has
 * a buffer of its own. A message above the limit is counted, not kept: its sender gets an error and
 * keeps the connection, unless it goes on without end.
 *
 * Lengths must be minimal, control frames short and whole, text valid UTF-8 (checked when the
 * message is complete). Loop thread of the connection. */
#include "net/ws_frame.h"

#include <openssl/sha.h>

void kl_ws_parser_init(struct kl_ws_parser *p, size_t limit) {
    *p = (struct kl_ws_parser){.limit = limit};
    kl_buf_init(&p->message, limit + 1);
    kl_buf_init(&p->control, KL_WS_CONTROL_MAX + 1);
}

void kl_ws_parser_deinit(struct kl_ws_parser *p) {
    kl_buf_deinit(&p->message);
    kl_buf_deinit(&p->control);
}

static enum kl_ws_event broken(struct kl_ws_parser *p, uint16_t code, const char *reason) {
    p->ended = true;
    p->close_code = code;
    p->reason = reason;
    return KL_WS_ON_BAD;
}

static bool is_control(uint8_t opcode) {
    return opcode >= KL_WS_CLOSE;
}

/* Bytes of the whole header, as far as those that are there tell. */
static size_t head_need(const struct kl_ws_parser *p) {
    if (p->head_len < 2) {
        return 2;
    }
    unsigned len = p->head[1] & 0x7F;
    return 2 + (len == 126 ? 2 : len == 127 ? 8 : 0) + 4;
}

static const char *check_opcode(const struct kl_ws_parser *p) {
    switch (p->opcode) {
    case KL_WS_CONT:
        return p->message_opcode ? NULL : "continuation without a message";
    case KL_WS_TEXT:
    case KL_WS_BINARY:
        return p->message_opcode ? "a message inside a message" : NULL;
    case KL_WS_CLOSE:
    case KL_WS_PING:
    case KL_WS_PONG:
        return p->fin ? NULL : "fragmented control frame";
    default:
        return "unknown opcode";
    }
}

/* What can be judged from the first two bytes. */
static const char *check_start(struct kl_ws_parser *p) {
    p->fin = p->head[0] & 0x80;
    p->opcode = p->head[0] & 0x0F;
    if (p->head[0] & 0x70) {
        return "reserved bits set";
    }
    if (!(p->head[1] & 0x80)) {
        return "frame is not masked";
    }
    if (is_control(p->opcode) && (p->head[1] & 0x7F) > KL_WS_CONTROL_MAX) {
        return "control frame too long";
    }
    return check_opcode(p);
}

static bool read_length(struct kl_ws_parser *p) {
    unsigned len = p->head[1] & 0x7F;
    p->left = len;
    if (len >= 126) {
        p->left = 0;
        for (unsigned i = 0; i < (len == 126 ? 2u : 8u); i++) {
            p->left = p->left << 8 | p->head[2 + i];
        }
    }
    return len < 126 || (len == 126 ? p->left >= 126 : p->left > 0xFFFF && p->left >> 63 == 0);
}

/* The header is complete: NULL, or what is wrong with it. */
static const char *begin_frame(struct kl_ws_parser *p) {
    if (!read_length(p)) {
        return "length is not minimal";
    }
    memcpy(p->mask, p->head + p->head_len - 4, 4);
    p->mask_at = 0;
    p->head_len = 0;
    p->in_payload = true;
    if (is_control(p->opcode)) {
        kl_buf_clear(&p->control);
    } else if (p->opcode != KL_WS_CONT) {
        p->message_opcode = p->opcode;
        p->total = 0;
        p->discard = false;
    }
    return NULL;
}

static enum kl_ws_event feed_head(struct kl_ws_parser *p, struct kl_slice *in) {
    while (in->len && p->head_len < head_need(p)) {
        p->head[p->head_len++] = (uint8_t)in->ptr[0];
        *in = kl_slice_from(*in, 1);
        const char *wrong = p->head_len == 2 ? check_start(p) : NULL;
        if (wrong) {
            return broken(p, 1002, wrong);
        }
    }
    if (p->head_len < 2 || p->head_len < head_need(p)) {
        return KL_WS_NEED_MORE;
    }
    const char *wrong = begin_frame(p);
    if (wrong) {
        return broken(p, 1002, wrong);
    }
    if (!is_control(p->opcode)) {
        if (p->left > (uint64_t)p->limit * KL_WS_DISCARD_FACTOR - p->total) {
            return broken(p, 1009, "message too large");
        }
        p->total += p->left;
        if (p->total > p->limit && !p->discard) {
            p->discard = true;
            kl_buf_deinit(&p->message);
            kl_buf_init(&p->message, p->limit + 1);
        }
    }
    return KL_WS_NEED_MORE;
}

static void unmask(struct kl_ws_parser *p, struct kl_buf *out, const char *in, size_t n) {
    if (!kl_buf_reserve(out, n)) {
        return;
    }
    char *to = out->data + out->len;
    size_t i = 0;
    for (; i < n && p->mask_at != 0; i++, p->mask_at = (p->mask_at + 1) & 3) {
        to[i] = (char)(in[i] ^ (char)p->mask[p->mask_at]);
    }
    uint64_t wide;
    memcpy(&wide, p->mask, 4);
    memcpy((char *)&wide + 4, p->mask, 4);
    for (; n - i >= 8; i += 8) {
        uint64_t v;
        memcpy(&v, in + i, 8);
        v ^= wide;
        memcpy(to + i, &v, 8);
    }
    for (; i < n; i++, p->mask_at = (p->mask_at + 1) & 3) {
        to[i] = (char)(in[i] ^ (char)p->mask[p->mask_at]);
    }
    out->len += n;
}

static bool close_code_ok(unsigned code) {
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static enum kl_ws_event end_close(struct kl_ws_parser *p) {
    struct kl_slice s = kl_buf_view(&p->control);
    p->ended = true;
    p->close_code = 1005;
    p->reason = "";
    if (s.len == 0) {
        return KL_WS_ON_CLOSE;
    }
    unsigned code = s.len < 2 ? 0 : (unsigned)(uint8_t)s.ptr[0] << 8 | (uint8_t)s.ptr[1];
    if (!close_code_ok(code)) {
        return broken(p, 1002, "invalid close code");
    }
    if (!kl_utf8_valid(kl_slice_from(s, 2))) {
        return broken(p, 1007, "close reason is not UTF-8");
    }
    p->close_code = (uint16_t)code;
    return KL_WS_ON_CLOSE;
}

static enum kl_ws_event end_message(struct kl_ws_parser *p) {
    uint8_t opcode = p->message_opcode;
    p->message_opcode = 0;
    p->delivered = true;
    if (p->discard) {
        return KL_WS_ON_TOO_LARGE;
    }
    if (p->message.failed) {
        return broken(p, 1011, "out of memory");
    }
    if (opcode == KL_WS_TEXT && !kl_utf8_valid(kl_buf_view(&p->message))) {
        return broken(p, 1007, "text is not UTF-8");
    }
    return opcode == KL_WS_TEXT ? KL_WS_ON_TEXT : KL_WS_ON_BINARY;
}

static enum kl_ws_event end_frame(struct kl_ws_parser *p) {
    p->in_payload = false;
    switch (p->opcode) {
    case KL_WS_CLOSE:
        return end_close(p);
    case KL_WS_PING:
        return KL_WS_ON_PING;
    case KL_WS_PONG:
        return KL_WS_ON_PONG;
    default:
        return p->fin ? end_message(p) : KL_WS_NEED_MORE;
    }
}

static enum kl_ws_event feed_payload(struct kl_ws_parser *p, struct kl_slice *in) {
    size_t n = p->left < in->len ? (size_t)p->left : in->len;
    if (n && is_control(p->opcode)) {
        unmask(p, &p->control, in->ptr, n);
    } else if (n && !p->discard) {
        unmask(p, &p->message, in->ptr, n);
    }
    *in = kl_slice_from(*in, n);
    p->left -= n;
    return p->left ? KL_WS_NEED_MORE : end_frame(p);
}

enum kl_ws_event kl_ws_feed(struct kl_ws_parser *p, struct kl_slice *in) {
    if (p->delivered) {
        kl_buf_clear(&p->message);
        p->delivered = false;
    }
    while (!p->ended) {
        enum kl_ws_event event = p->in_payload ? KL_WS_NEED_MORE : feed_head(p, in);
        if (event == KL_WS_NEED_MORE && p->in_payload) {
            event = feed_payload(p, in);
        }
        if (event != KL_WS_NEED_MORE) {
            return event;
        }
        if (!in->len) {
            return KL_WS_NEED_MORE;
        }
    }
    *in = kl_slice(in->ptr + in->len, 0);
    return KL_WS_NEED_MORE;
}

struct kl_slice kl_ws_payload(const struct kl_ws_parser *p, enum kl_ws_event event) {
    bool control = event == KL_WS_ON_PING || event == KL_WS_ON_PONG || event == KL_WS_ON_CLOSE;
    return kl_buf_view(control ? &p->control : &p->message);
}

void kl_ws_settle(struct kl_ws_parser *p) {
    if (!p->message_opcode) {
        kl_buf_deinit(&p->message);
        kl_buf_init(&p->message, p->limit + 1);
        p->delivered = false;
    }
    if (!p->in_payload || !is_control(p->opcode)) {
        kl_buf_deinit(&p->control);
        kl_buf_init(&p->control, KL_WS_CONTROL_MAX + 1);
    }
}

size_t kl_ws_header(uint8_t out[10], enum kl_ws_opcode opcode, size_t len) {
    out[0] = (uint8_t)(0x80 | opcode);
    if (len < 126) {
        out[1] = (uint8_t)len;
        return 2;
    }
    unsigned bytes = len <= 0xFFFF ? 2 : 8;
    out[1] = bytes == 2 ? 126 : 127;
    for (unsigned i = 0; i < bytes; i++) {
        out[2 + i] = (uint8_t)((uint64_t)len >> 8 * (bytes - 1 - i));
    }
    return 2 + bytes;
}

void kl_ws_put_close(struct kl_buf *out, uint16_t code, struct kl_slice reason) {
    uint8_t head[10];
    size_t len = KL_MIN(reason.len, (size_t)KL_WS_CONTROL_MAX - 2);
    while (len < reason.len && len > 0 && ((uint8_t)reason.ptr[len] & 0xC0) == 0x80) {
        len--; /* never half a character */
    }
    kl_buf_append(out, head, kl_ws_header(head, KL_WS_CLOSE, 2 + len));
    kl_buf_be16(out, code);
    kl_buf_append(out, reason.ptr, len);
}

bool kl_ws_accept_key(struct kl_slice key, char ret[29]) {
    struct kl_buf text = {0};
    uint8_t digest[SHA_DIGEST_LENGTH];
    bool ok = kl_base64_decode(&text, key, false) && text.len == 16;
    if (ok) {
        kl_buf_clear(&text);
        kl_buf_slice(&text, key);
        kl_buf_puts(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        SHA1((const unsigned char *)text.data, text.len, digest);
        kl_buf_clear(&text);
        kl_base64_encode(&text, kl_slice(digest, sizeof digest), false);
        ok = !text.failed && text.len == 28;
    }
    if (ok) {
        memcpy(ret, text.data, 28);
        ret[28] = '\0';
    }
    kl_buf_deinit(&text);
    return ok;
}
