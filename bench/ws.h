/* The client's half of RFC 6455, as far as a benchmark needs it: upgrade, masked text frames, whole
 * messages in. */
#ifndef KL_BENCH_WS_H
#define KL_BENCH_WS_H

#include "http.h"

/* The upgrade request for /v1/ws with a bearer token, without compression; the caller frees. */
char *kl_bench_ws_upgrade(const char *token, size_t *ret_len);
/* Whether `in` holds the whole 101 response; its length in *ret_len. Any other status is fatal. */
bool kl_bench_ws_upgraded(const char *in, size_t len, size_t *ret_len);

enum kl_bench_ws_opcode {
    KL_WS_TEXT = 1,
    KL_WS_BINARY = 2,
    KL_WS_CLOSE = 8,
    KL_WS_PING = 9,
    KL_WS_PONG = 10
};
/* One final, masked frame. */
void kl_bench_ws_send(int fd, int opcode, const char *data, size_t len);

struct kl_bench_ws_frame {
    int opcode;
    const char *data; /* inside the input */
    size_t len;       /* of data */
    size_t size;      /* of the whole frame */
};
/* False: `in` does not hold a whole frame yet. Fragments and masked frames from a server are fatal.
 */
bool kl_bench_ws_parse(const char *in, size_t len, struct kl_bench_ws_frame *ret);

#endif
