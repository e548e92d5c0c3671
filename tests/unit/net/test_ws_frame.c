/* WebSocket frames: every kind, every split, every way to break the rules. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/ws_frame.h"

#include <stdlib.h>

#define LIMIT 1000
#define FIN 0x80

/* One masked frame; the length takes `bytes` extra bytes (0, 2, 8), which must fit. */
static void put_raw(
    struct kl_buf *b, unsigned first, unsigned bytes, const void *payload, size_t n) {
    static const uint8_t mask[4] = {0x37, 0xFA, 0x21, 0x3D};
    kl_buf_u8(b, (uint8_t)first);
    kl_buf_u8(b, (uint8_t)(0x80 | (bytes == 0 ? n : bytes == 2 ? 126 : 127)));
    for (unsigned i = 0; i < bytes; i++) {
        kl_buf_u8(b, (uint8_t)((uint64_t)n >> 8 * (bytes - 1 - i)));
    }
    kl_buf_append(b, mask, 4);
    for (size_t i = 0; i < n; i++) {
        kl_buf_u8(b, ((const uint8_t *)payload)[i] ^ mask[i & 3]);
    }
}

static void put(struct kl_buf *b, unsigned first, const void *payload, size_t n) {
    put_raw(b, first, n < 126 ? 0 : n <= 0xFFFF ? 2 : 8, payload, n);
}

/* Feeds `b` in pieces of `step` and writes what happened as text. */
static void run(struct kl_slice in, size_t step, struct kl_buf *out, uint16_t *code) {
    static const char *const names[] = {"", "T", "B", "L", "I", "O", "C", "X"};
    struct kl_ws_parser p;
    kl_ws_parser_init(&p, LIMIT);
    for (size_t at = 0; at < in.len; at += step) {
        size_t n = KL_MIN(step, in.len - at);
        char *piece = kl_xmalloc(n); /* exact, so that the sanitizers see a read past it */
        memcpy(piece, in.ptr + at, n);
        struct kl_slice rest = kl_slice(piece, n);
        while (rest.len) {
            enum kl_ws_event e = kl_ws_feed(&p, &rest);
            if (e != KL_WS_NEED_MORE) {
                kl_buf_puts(out, names[e]);
                kl_buf_putc(out, '(');
                if (e != KL_WS_ON_TOO_LARGE && e != KL_WS_ON_BAD) {
                    kl_buf_slice(out, kl_ws_payload(&p, e));
                }
                kl_buf_putc(out, ')');
            }
        }
        kl_ws_settle(&p);
        free(piece);
    }
    *code = p.close_code;
    kl_ws_parser_deinit(&p);
}

/* The same events however the bytes arrive. */
static void expect(struct kl_buf *in, const char *want, unsigned want_code) {
    for (size_t step = 1; step <= in->len; step += in->len > 200 && step > 20 ? 97 : 1) {
        struct kl_buf out = {0};
        uint16_t code;
        run(kl_buf_view(in), step, &out, &code);
        kl_buf_putc(&out, '\0');
        assert_string_equal(out.data, want);
        assert_int_equal(code, want_code);
        kl_buf_deinit(&out);
    }
    kl_buf_deinit(in);
    *in = (struct kl_buf){0};
}

static void messages(void **state) {
    struct kl_buf b = {0};
    put(&b, FIN | KL_WS_TEXT, "hello", 5);
    put(&b, FIN | KL_WS_BINARY, "\x01\x02", 2);
    put(&b, FIN | KL_WS_TEXT, "", 0);
    expect(&b, "T(hello)B(\x01\x02)T()", 0);
}

static void fragments_with_control_between(void **state) {
    struct kl_buf b = {0};
    put(&b, KL_WS_TEXT, "he", 2);
    put(&b, FIN | KL_WS_PING, "p1", 2);
    put(&b, KL_WS_CONT, "", 0);
    put(&b, KL_WS_CONT, "l", 1);
    put(&b, FIN | KL_WS_PONG, "", 0);
    put(&b, FIN | KL_WS_CONT, "lo", 2);
    put(&b, FIN | KL_WS_TEXT, "next", 4);
    expect(&b, "I(p1)O()T(hello)T(next)", 0);
}

static void a_character_split_between_fragments(void **state) {
    struct kl_buf b = {0};
    put(&b, KL_WS_TEXT, "\xF0\x9F", 2);
    put(&b, FIN | KL_WS_CONT, "\x98\x80", 2);
    expect(&b, "T(\xF0\x9F\x98\x80)", 0);
}

static void lengths(void **state) {
    static const size_t sizes[] = {0, 1, 7, 8, 9, 125, 126, 127, 128, LIMIT - 1, LIMIT};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct kl_buf b = {0}, want = {0};
        char text[LIMIT];
        for (size_t k = 0; k < sizes[i]; k++) {
            text[k] = (char)('a' + k % 26);
        }
        put(&b, FIN | KL_WS_TEXT, text, sizes[i]);
        kl_buf_puts(&want, "T(");
        kl_buf_append(&want, text, sizes[i]);
        kl_buf_puts(&want, ")");
        kl_buf_putc(&want, '\0');
        expect(&b, want.data, 0);
        kl_buf_deinit(&want);
    }
}

static void above_the_limit_is_thrown_away(void **state) {
    struct kl_buf b = {0};
    char text[LIMIT + 1];
    memset(text, 'x', sizeof text);
    put(&b, FIN | KL_WS_TEXT, text, LIMIT + 1);
    put(&b, FIN | KL_WS_TEXT, "ok", 2);
    put(&b, KL_WS_BINARY, text, LIMIT);
    put(&b, KL_WS_CONT, text, 1);
    put(&b, FIN | KL_WS_PING, "", 0);
    put(&b, FIN | KL_WS_CONT, text, 1);
    put(&b, FIN | KL_WS_TEXT, "ok", 2);
    expect(&b, "L()T(ok)I()L()T(ok)", 0);
}

static void without_end_is_cut_off(void **state) {
    struct kl_buf b = {0};
    char text[LIMIT];
    memset(text, 'x', sizeof text);
    put(&b, KL_WS_TEXT, text, LIMIT);
    for (int i = 1; i < KL_WS_DISCARD_FACTOR; i++) {
        put(&b, KL_WS_CONT, text, LIMIT);
    }
    put(&b, KL_WS_CONT, text, 1);
    expect(&b, "X()", 1009);
    kl_buf_append(&b, "\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x02\x03\x04", 14);
    expect(&b, "X()", 1009);
}

static void closes(void **state) {
    struct kl_buf b = {0};
    put(&b, FIN | KL_WS_CLOSE, "", 0);
    put(&b, FIN | KL_WS_TEXT, "late", 4);
    expect(&b, "C()", 1005);
    put(&b, FIN | KL_WS_CLOSE,
        "\x03\xE8"
        "bye",
        5);
    expect(&b,
        "C(\x03\xE8"
        "bye)",
        1000);
    put(&b, FIN | KL_WS_CLOSE, "\x0B\xB8", 2);
    expect(&b, "C(\x0B\xB8)", 3000);
    static const unsigned bad[] = {0, 999, 1004, 1005, 1006, 1015, 2999, 5000};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t code[2] = {(uint8_t)(bad[i] >> 8), (uint8_t)bad[i]};
        put(&b, FIN | KL_WS_CLOSE, code, 2);
        expect(&b, "X()", 1002);
    }
    put(&b, FIN | KL_WS_CLOSE, "\x03", 1);
    expect(&b, "X()", 1002);
    put(&b, FIN | KL_WS_CLOSE, "\x03\xE8\xFF", 3);
    expect(&b, "X()", 1007);
}

static void broken(const void *bytes, size_t n, unsigned code) {
    struct kl_buf b = {0};
    kl_buf_append(&b, bytes, n);
    expect(&b, "X()", code);
}

static void broken_rules(void **state) {
    struct kl_buf b = {0};
    broken("\x81\x05hello", 7, 1002);    /* not masked */
    broken("\xC1\x80\0\0\0\0", 6, 1002); /* RSV1: compression was not agreed */
    broken("\x83\x80\0\0\0\0", 6, 1002); /* opcodes that mean nothing */
    broken("\x8B\x80\0\0\0\0", 6, 1002);
    broken("\x80\x80\0\0\0\0", 6, 1002);       /* continues nothing */
    broken("\x09\x80\0\0\0\0", 6, 1002);       /* fragmented ping */
    broken("\x89\xFE\0\x7E\0\0\0\0", 8, 1002); /* long ping */
    broken("\x81\xFE\0\x05\0\0\0\0", 8, 1002); /* lengths that are not minimal */
    broken("\x81\xFF\0\0\0\0\0\0\xFF\xFF\0\0\0\0", 14, 1002);
    broken("\x81\xFF\x80\0\0\0\0\0\0\0\0\0\0\0", 14, 1002); /* the 64th bit */
    put(&b, KL_WS_TEXT, "a", 1);
    put(&b, FIN | KL_WS_TEXT, "b", 1);
    expect(&b, "X()", 1002);
    put(&b, FIN | KL_WS_TEXT, "\xC3", 1);
    expect(&b, "X()", 1007);
    put(&b, FIN | KL_WS_TEXT, "\xED\xA0\x80", 3);
    expect(&b, "X()", 1007);
    put(&b, FIN | KL_WS_BINARY, "\xC3", 1);
    expect(&b, "B(\xC3)", 0);
}

static void idle_holds_no_memory(void **state) {
    struct kl_buf b = {0};
    struct kl_ws_parser p;
    put(&b, FIN | KL_WS_TEXT, "hello", 5);
    put(&b, FIN | KL_WS_PING, "x", 1);
    put(&b, KL_WS_TEXT, "part", 4);
    kl_ws_parser_init(&p, LIMIT);
    struct kl_slice in = kl_buf_view(&b);
    assert_int_equal(kl_ws_feed(&p, &in), KL_WS_ON_TEXT);
    assert_int_equal(kl_ws_feed(&p, &in), KL_WS_ON_PING);
    kl_ws_settle(&p);
    assert_null(p.message.data);
    assert_null(p.control.data);
    assert_int_equal(kl_ws_feed(&p, &in), KL_WS_NEED_MORE);
    kl_ws_settle(&p);
    assert_int_equal(p.message.len, 4); /* an unfinished message stays */
    kl_ws_parser_deinit(&p);
    kl_buf_deinit(&b);
}

static void headers(void **state) {
    uint8_t h[10];
    assert_int_equal(kl_ws_header(h, KL_WS_TEXT, 125), 2);
    assert_memory_equal(h, "\x81\x7D", 2);
    assert_int_equal(kl_ws_header(h, KL_WS_BINARY, 126), 4);
    assert_memory_equal(h, "\x82\x7E\x00\x7E", 4);
    assert_int_equal(kl_ws_header(h, KL_WS_TEXT, 0xFFFF), 4);
    assert_int_equal(kl_ws_header(h, KL_WS_TEXT, 0x10000), 10);
    assert_memory_equal(h, "\x81\x7F\0\0\0\0\0\x01\0\0", 10);
}

static void close_frames(void **state) {
    struct kl_buf b = {0};
    char longer[200];
    kl_ws_put_close(&b, 1008, KL_S("no"));
    assert_int_equal(b.len, 6);
    assert_memory_equal(b.data, "\x88\x04\x03\xF0no", 6);
    kl_buf_clear(&b);
    memset(longer, 'a', sizeof longer);
    memcpy(longer + 122, "\xC3\xA9", 2); /* the cut would be in the middle of it */
    kl_ws_put_close(&b, 1000, kl_slice(longer, sizeof longer));
    assert_int_equal(b.len, 2 + 2 + 122);
    kl_buf_deinit(&b);
}

static void accept_key(void **state) {
    char accept[29];
    assert_true(
        kl_ws_accept_key(KL_S("dGhlIHNhbXBsZSBub25jZQ=="), accept)); /* the example of RFC 6455 */
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_false(kl_ws_accept_key(KL_S(""), accept));
    assert_false(kl_ws_accept_key(KL_S("dGhlIHNhbXBsZSBub25jZQ"), accept));
    assert_false(kl_ws_accept_key(KL_S("c2hvcnQ="), accept));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages),
        cmocka_unit_test(fragments_with_control_between),
        cmocka_unit_test(a_character_split_between_fragments),
        cmocka_unit_test(lengths),
        cmocka_unit_test(above_the_limit_is_thrown_away),
        cmocka_unit_test(without_end_is_cut_off),
        cmocka_unit_test(closes),
        cmocka_unit_test(broken_rules),
        cmocka_unit_test(idle_holds_no_memory),
        cmocka_unit_test(headers),
        cmocka_unit_test(close_frames),
        cmocka_unit_test(accept_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
