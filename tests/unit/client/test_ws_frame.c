/* WebSocket frames: known bytes of RFC 6455, every length form, every cut, what a server may not
 * send. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/internal.h"

#include <stdlib.h>

static void known_bytes(void **state) {
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    struct kl_buf out = {0};
    kl_ws__encode(&out, KL_WS_TEXT, KL_S("Hello"), mask); /* RFC 6455 section 5.7 */
    assert_true(
        kl_slice_eq(kl_buf_view(&out), KL_S("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")));
    kl_buf_deinit(&out);
    char accept[29];
    kl_ws__accept("dGhlIHNhbXBsZSBub25jZQ==", accept); /* section 1.3 */
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

/* What a server sends: no mask. */
static void put_frame(struct kl_buf *out, int first, const char *payload, size_t n) {
    kl_buf_u8(out, (uint8_t)first);
    if (n < 126) {
        kl_buf_u8(out, (uint8_t)n);
    } else if (n < 65536) {
        kl_buf_u8(out, 126);
        kl_buf_be16(out, (uint16_t)n);
    } else {
        kl_buf_u8(out, 127);
        kl_buf_be64(out, n);
    }
    kl_buf_append(out, payload, n);
}

static void every_length_and_cut(void **state) {
    static const size_t lengths[] = {0, 1, 125, 126, 127, 65535, 65536, 70000};
    char *payload = kl_xmalloc(70000);
    for (size_t i = 0; i < 70000; i++) {
        payload[i] = (char)(i * 31);
    }
    for (size_t i = 0; i < KL_LEN(lengths); i++) {
        struct kl_buf bytes = {0};
        struct kl_ws_frame frame;
        size_t used = 99;
        put_frame(&bytes, 0x82, payload, lengths[i]);
        size_t step = bytes.len > 1000 ? 997 : 1;
        for (size_t cut = 0; cut < bytes.len; cut += step) {
            assert_int_equal(kl_ws__decode(kl_slice(bytes.data, cut), &frame, &used, NULL), KL_OK);
            assert_int_equal(used, 0);
        }
        kl_buf_putc(&bytes, 'x');
        assert_int_equal(kl_ws__decode(kl_buf_view(&bytes), &frame, &used, NULL), KL_OK);
        assert_int_equal(used, bytes.len - 1);
        assert_true(frame.fin && frame.op == KL_WS_BINARY);
        assert_true(kl_slice_eq(frame.payload, kl_slice(payload, lengths[i])));
        kl_buf_deinit(&bytes);
    }
    free(payload);
}

static void our_frames_decode_after_unmasking(void **state) {
    static const size_t lengths[] = {0, 1, 125, 126, 65535, 65536};
    static const uint8_t mask[4] = {1, 2, 3, 4};
    char *payload = kl_xcalloc(1, 65536);
    for (size_t i = 0; i < KL_LEN(lengths); i++) {
        struct kl_buf out = {0};
        kl_ws__encode(&out, KL_WS_PING, kl_slice(payload, lengths[i]), mask);
        size_t head = lengths[i] < 126 ? 2 : lengths[i] < 65536 ? 4 : 10;
        assert_int_equal(out.len, head + 4 + lengths[i]);
        assert_int_equal((uint8_t)out.data[0], 0x89);
        assert_true((uint8_t)out.data[1] & 0x80);
        assert_memory_equal(out.data + head, mask, 4);
        for (size_t k = 0; k < lengths[i]; k++) {
            assert_int_equal(out.data[head + 4 + k] ^ mask[k & 3], 0);
        }
        kl_buf_deinit(&out);
    }
    free(payload);
}

static void refusals(void **state) {
    static const struct kl_slice bad[] = {
        KL_S("\xC1\x00"),                 /* RSV1: compression that nobody agreed on */
        KL_S("\x83\x00"),                 /* reserved opcode */
        KL_S("\x8B\x00"),                 /* reserved control opcode */
        KL_S("\x81\x80\x01\x02\x03\x04"), /* masked */
        KL_S("\x09\x00"),                 /* control in fragments */
        KL_S("\x89\x7E\x00\x7E"),         /* control too long */
        KL_S("\x81\x7F\x00\x00\x00\x00\x10\x00\x00\x00"), /* 256 MiB of text */
        KL_S("\x82\x7F\x00\x00\x00\x00\x02\x00\x00\x00"), /* 32 MiB of binary */
        KL_S("\x81\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
    };
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        struct kl_ws_frame frame;
        struct kl_err err = {0};
        size_t used = 0;
        assert_int_not_equal(kl_ws__decode(bad[i], &frame, &used, &err), KL_OK);
        assert_true(err.msg[0] != '\0');
    }
}

static void random_bytes_never_crash(void **state) {
    srand(11);
    for (int i = 0; i < 200000; i++) {
        char bytes[16];
        size_t n = (size_t)rand() % sizeof(bytes), used = 0;
        for (size_t k = 0; k < n; k++) {
            bytes[k] = (char)rand();
        }
        struct kl_ws_frame frame;
        if (kl_ws__decode(kl_slice(bytes, n), &frame, &used, NULL) == KL_OK) {
            assert_true(used <= n);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_bytes),
        cmocka_unit_test(every_length_and_cut),
        cmocka_unit_test(our_frames_decode_after_unmasking),
        cmocka_unit_test(refusals),
        cmocka_unit_test(random_bytes_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
