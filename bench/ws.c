/* See ws.h. */
#include "ws.h"
#include <string.h>

#define FRAME_MAX (1 << 20)
#define SEND_MAX 4096

char *kl_bench_ws_upgrade(const char *token, size_t *ret_len) {
    char *request;
    int len = asprintf(&request,
        "GET /v1/ws?compress=false HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Authorization: Bearer %s\r\n\r\n",
        token);
    if (len < 0) {
        kl_bench_die("out of memory");
    }
    *ret_len = (size_t)len;
    return request;
}

bool kl_bench_ws_upgraded(const char *in, size_t len, size_t *ret_len) {
    const char *end = memmem(in, len, "\r\n\r\n", 4);
    if (end == NULL) {
        return false;
    }
    if (strncmp(in, "HTTP/1.1 101", 12) != 0) {
        kl_bench_die("the upgrade was refused: %.*s", (int)len, in);
    }
    *ret_len = (size_t)(end - in) + 4;
    return true;
}

void kl_bench_ws_send(int fd, int opcode, const char *data, size_t len) {
    static const unsigned char mask[4] = {0x5a, 0x17, 0xc3, 0x88};
    char frame[SEND_MAX + 8];
    if (len > SEND_MAX) {
        kl_bench_die("a message of %zu bytes is too long", len);
    }
    size_t at = 2;
    frame[0] = (char)(0x80 | opcode);
    if (len < 126) {
        frame[1] = (char)(0x80 | len);
    } else {
        frame[1] = (char)(0x80 | 126);
        frame[at++] = (char)(len >> 8);
        frame[at++] = (char)len;
    }
    memcpy(frame + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < len; i++) {
        frame[at + i] = (char)((unsigned char)data[i] ^ mask[i & 3]);
    }
    kl_bench_send(fd, frame, at + len);
}

bool kl_bench_ws_parse(const char *in, size_t len, struct kl_bench_ws_frame *ret) {
    const unsigned char *p = (const unsigned char *)in;
    if (len < 2) {
        return false;
    }
    if (!(p[0] & 0x80) || (p[0] & 0x0f) == 0 || (p[1] & 0x80)) {
        kl_bench_die("a fragmented or masked frame from the server");
    }
    uint64_t body = p[1];
    size_t head = body == 126 ? 4 : body == 127 ? 10 : 2;
    if (len < head) {
        return false;
    }
    if (head > 2) {
        body = 0;
        for (size_t i = 2; i < head; i++) {
            body = body << 8 | p[i];
        }
    }
    if (body > FRAME_MAX) {
        kl_bench_die("a frame of %llu bytes", (unsigned long long)body);
    }
    if (len - head < body) {
        return false;
    }
    *ret = (struct kl_bench_ws_frame){
        .opcode = p[0] & 0x0f, .data = in + head, .len = body, .size = head + body};
    return true;
}
