/* Any bytes as a WebSocket stream: no crash, messages within the limit, and the same events
 * whether the bytes come at once or one by one. */
#include "net/ws_frame.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT 256

static uint64_t mix(uint64_t h, uint64_t v) {
    return (h ^ v) * 0x9E3779B97F4A7C15ULL + (h >> 29);
}

static uint64_t note(uint64_t h, const struct kl_ws_parser *p, enum kl_ws_event e) {
    h = mix(h, (uint64_t)e);
    if (e == KL_WS_ON_BAD || e == KL_WS_ON_CLOSE) {
        KL_ASSERT(p->close_code >= 1000 && p->close_code <= 4999 && p->reason != NULL);
        return mix(h, p->close_code);
    }
    if (e == KL_WS_ON_TOO_LARGE) {
        return h;
    }
    struct kl_slice s = kl_ws_payload(p, e);
    KL_ASSERT(s.len <= LIMIT);
    KL_ASSERT(e != KL_WS_ON_TEXT || kl_utf8_valid(s));
    KL_ASSERT((e != KL_WS_ON_PING && e != KL_WS_ON_PONG) || s.len <= KL_WS_CONTROL_MAX);
    return mix(h, kl_slice_hash(s));
}

static uint64_t run(struct kl_slice in, size_t step) {
    struct kl_ws_parser p;
    uint64_t h = 0;
    bool ended = false;
    kl_ws_parser_init(&p, LIMIT);
    for (size_t at = 0; at < in.len; at += step) {
        struct kl_slice piece = kl_slice(in.ptr + at, KL_MIN(step, in.len - at));
        while (piece.len) {
            enum kl_ws_event e = kl_ws_feed(&p, &piece);
            KL_ASSERT(e == KL_WS_NEED_MORE || !ended);
            ended = ended || e == KL_WS_ON_BAD || e == KL_WS_ON_CLOSE;
            h = e == KL_WS_NEED_MORE ? h : note(h, &p, e);
        }
        kl_ws_settle(&p);
    }
    kl_ws_parser_deinit(&p);
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct kl_slice in = kl_slice(data, size);
    uint64_t whole = run(in, size + 1);
    KL_ASSERT(run(in, 1) == whole);
    KL_ASSERT(run(in, 7) == whole);
    return 0;
}
