/* WebSocket frames (RFC 6455 section 5), from the client's side. Pure.
 *
 *   byte 0      FIN, RSV1-3 (must be 0: no extension is negotiated), opcode
 *   byte 1      MASK (set from us, never from a server); length 0..125, 126: u16 follows,
 *               127: u64 follows
 *   then        mask of 4 bytes when MASK, payload */
#include "client/internal.h"

#include <openssl/evp.h>

void kl_ws__encode(
    struct kl_buf *out, enum kl_ws_op op, struct kl_slice payload, const uint8_t mask[4]) {
    kl_buf_u8(out, (uint8_t)(0x80 | op));
    if (payload.len < 126) {
        kl_buf_u8(out, (uint8_t)(0x80 | payload.len));
    } else if (payload.len <= UINT16_MAX) {
        kl_buf_u8(out, 0x80 | 126);
        kl_buf_be16(out, (uint16_t)payload.len);
    } else {
        kl_buf_u8(out, 0x80 | 127);
        kl_buf_be64(out, payload.len);
    }
    kl_buf_append(out, mask, 4);
    if (!kl_buf_reserve(out, payload.len)) {
        return;
    }
    for (size_t i = 0; i < payload.len; i++) {
        kl_buf_putc(out, (char)(payload.ptr[i] ^ (char)mask[i & 3]));
    }
}

static enum kl_rc check_head(const uint8_t *p, uint64_t length, struct kl_err *err) {
    uint8_t op = p[0] & 15;
    bool control = op >= 8;
    if ((p[0] & 0x70) != 0 || (op > 2 && op < 8) || op > 10) {
        return kl_fail(err, KL_E_CORRUPT, "the server sent a WebSocket frame of an unknown kind");
    }
    if ((p[1] & 0x80) != 0 || (control && (length > 125 || (p[0] & 0x80) == 0))) {
        return kl_fail(err, KL_E_CORRUPT, "the server sent a WebSocket frame that is not allowed");
    }
    /* A continuation may be of either kind; the message's own limit is checked when it is put
     * together. */
    if (length > (op == KL_WS_BINARY ? KL_WS_MAX_BINARY : KL_WS_MAX_TEXT)) {
        return kl_fail(err, KL_E_TOO_LARGE,
            "the server sent a WebSocket frame of %llu bytes, over the limit",
            (unsigned long long)length);
    }
    return KL_OK;
}

enum kl_rc kl_ws__decode(
    struct kl_slice in, struct kl_ws_frame *ret, size_t *ret_used, struct kl_err *err) {
    const uint8_t *p = (const uint8_t *)in.ptr;
    *ret_used = 0;
    if (in.len < 2) {
        return KL_OK;
    }
    uint64_t length = p[1] & 127;
    size_t head = 2, wide = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (in.len < head + wide) {
        return KL_OK;
    }
    if (wide > 0) {
        length = 0;
        for (size_t i = 0; i < wide; i++) {
            length = length << 8 | p[head + i];
        }
        head += wide;
    }
    KL_TRY(check_head(p, length, err));
    if (in.len - head < length) {
        return KL_OK;
    }
    *ret = (struct kl_ws_frame){
        (p[0] & 0x80) != 0, p[0] & 15, kl_slice(in.ptr + head, (size_t)length)};
    *ret_used = head + (size_t)length;
    return KL_OK;
}

void kl_ws__accept(const char *key, char ret[29]) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 section 1.3 */
    char text[128];
    size_t n = strlen(key);
    KL_ASSERT(n + sizeof(guid) <= sizeof(text));
    memcpy(text, key, n);
    memcpy(text + n, guid, sizeof(guid));
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    KL_ASSERT(
        EVP_Digest(text, n + sizeof(guid) - 1, digest, &size, EVP_sha1(), NULL) == 1 && size == 20);
    KL_ASSERT(EVP_EncodeBlock((unsigned char *)ret, digest, 20) == 28);
}
