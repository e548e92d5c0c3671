/* WebSocket frames (RFC 6455) without I/O: bytes in, events out. Unit-tested and fuzzed alone. */
#ifndef KL_NET_WS_FRAME_H
#define KL_NET_WS_FRAME_H

#include "base/base.h"

enum kl_ws_opcode {
    KL_WS_CONT = 0,
    KL_WS_TEXT = 1,
    KL_WS_BINARY = 2,
    KL_WS_CLOSE = 8,
    KL_WS_PING = 9,
    KL_WS_PONG = 10
};
enum kl_ws_event {
    KL_WS_NEED_MORE,    /* everything was consumed */
    KL_WS_ON_TEXT,      /* payload: a whole message, valid UTF-8 */
    KL_WS_ON_BINARY,    /* payload: a whole message */
    KL_WS_ON_TOO_LARGE, /* a message above the limit has ended; its bytes were thrown away */
    KL_WS_ON_PING,      /* payload: to be sent back */
    KL_WS_ON_PONG,
    KL_WS_ON_CLOSE, /* close_code: what the peer sent, 1005 for none; nothing more will be read */
    KL_WS_ON_BAD,   /* the peer broke the protocol: answer with close_code and reason */
};
/* A message that is thrown away may have this many times the limit, then the connection goes. */
#define KL_WS_DISCARD_FACTOR 16
#define KL_WS_CONTROL_MAX 125

struct kl_ws_parser {
    struct kl_buf message; /* data of the message so far; no memory between messages */
    struct kl_buf control; /* payload of a control frame */
    uint64_t left;         /* payload bytes of this frame still to come */
    uint64_t total;        /* payload bytes of this message so far */
    size_t limit;
    const char *reason;
    uint16_t close_code;
    uint8_t head[14], head_len;
    uint8_t opcode;         /* of this frame */
    uint8_t message_opcode; /* KL_WS_TEXT or KL_WS_BINARY inside a message, else 0 */
    uint8_t mask[4], mask_at;
    bool fin, in_payload, discard, delivered, ended;
};
void kl_ws_parser_init(struct kl_ws_parser *p, size_t limit);
void kl_ws_parser_deinit(struct kl_ws_parser *p);
/* Takes bytes off the front of `in` up to the end of one event. Call until KL_WS_NEED_MORE;
 * after ON_CLOSE and ON_BAD everything is swallowed. */
enum kl_ws_event kl_ws_feed(struct kl_ws_parser *p, struct kl_slice *in);
/* Of the last event, until the next call. */
struct kl_slice kl_ws_payload(const struct kl_ws_parser *p, enum kl_ws_event event);
/* Gives back the memory of what was delivered. */
void kl_ws_settle(struct kl_ws_parser *p);

/* The header of an unmasked, unfragmented frame; its length (2, 4 or 10). */
size_t kl_ws_header(uint8_t out[10], enum kl_ws_opcode opcode, size_t payload_len);
/* A whole close frame; the reason is cut to what a control frame holds. */
void kl_ws_put_close(struct kl_buf *out, uint16_t code, struct kl_slice reason);
/* Sec-WebSocket-Accept for a key; false when the key is not 16 bytes of base64. */
bool kl_ws_accept_key(struct kl_slice key, char ret[29]);

#endif
