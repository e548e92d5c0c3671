/* The response parser: every framing, cut at every byte; limits; what must be refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/internal.h"

#include <stdlib.h>

static enum kl_rc feed_in(
    struct kl_http *h, struct kl_slice text, size_t piece, size_t *ret_used, struct kl_err *err) {
    size_t used = 0;
    while (used < text.len && h->state != KL_HTTP_DONE) {
        size_t n = KL_MIN(piece, text.len - used), took = 0;
        KL_TRY(kl_http__feed(h, kl_slice(text.ptr + used, n), &took, err));
        used += took;
    }
    *ret_used = used;
    return KL_OK;
}

/* The same outcome in pieces of 1, 2, 3 … bytes, and in two pieces cut at every place. */
static void check(
    const char *text, const char *body, int status, bool keep, bool to_end, const char *after) {
    struct kl_slice whole = kl_slice_str(text);
    for (size_t piece = 1; piece <= whole.len * 2; piece++) {
        struct kl_http h;
        struct kl_err err = {0};
        size_t used = 0, cut = piece > whole.len ? piece - whole.len : 0;
        kl_http__init(&h, 1 << 20);
        if (cut > 0) {
            assert_int_equal(feed_in(&h, kl_slice(whole.ptr, cut), cut, &used, &err), KL_OK);
            size_t more = 0;
            if (h.state != KL_HTTP_DONE) {
                assert_int_equal(
                    feed_in(&h, kl_slice_from(whole, used), whole.len, &more, &err), KL_OK);
            }
            used += more;
        } else {
            assert_int_equal(feed_in(&h, whole, piece, &used, &err), KL_OK);
        }
        if (to_end) {
            assert_int_not_equal(h.state, KL_HTTP_DONE);
            assert_int_equal(kl_http__end(&h, &err), KL_OK);
        }
        assert_int_equal(h.state, KL_HTTP_DONE);
        assert_int_equal(h.status, status);
        assert_int_equal(h.keep_alive, keep);
        assert_true(kl_slice_eq_str(kl_buf_view(&h.body), body));
        assert_true(kl_slice_eq_str(kl_slice_from(whole, used), after));
        kl_http__deinit(&h);
    }
}

static void framings(void **state) {
    check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, true, false, "");
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP", "hello", 200, true, false, "HTTP");
    check("HTTP/1.1 204\r\n\r\n", "", 204, true, false, "");
    check("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "", 200, false, false, "");
    check("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", "x", 200, true,
        false, "");
    check("HTTP/1.1 200 OK\r\nconnection: foo, CLOSE\r\nContent-Length: 1\r\n\r\nx", "x", 200,
        false, false, "");
    check("HTTP/1.1 200 OK\r\n\r\nall of it", "all of it", 200, false, true, "");
    check("HTTP/1.1 404 No\nContent-Length: 2\n\nno", "no", 404, true, false, "");
    check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny", "y", 200,
        true, false, "");
    check(
        "HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n\x81\x01z", "", 101, true, false, "\x81\x01z");
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n "
          "world\r\n0\r\n\r\nrest",
        "hello world", 200, true, false, "rest");
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\nX-T: "
          "1\r\n\r\n",
        "0123456789", 200, true, false, "");
}

static void refuse(const char *text, enum kl_rc rc) {
    struct kl_slice whole = kl_slice_str(text);
    for (size_t piece = 1; piece <= whole.len; piece += piece < 8 ? 1 : 40) {
        struct kl_http h;
        struct kl_err err = {0};
        size_t used = 0;
        kl_http__init(&h, 100);
        enum kl_rc got = feed_in(&h, whole, piece, &used, &err);
        if (got == KL_OK) {
            got = kl_http__end(&h, &err);
        }
        if (got != rc) {
            fail_msg("%s: got %s", text, kl_rc_name(got));
        }
        assert_true(err.msg[0] != '\0');
        kl_http__deinit(&h);
    }
}

static void refusals(void **state) {
    refuse("SSH-2.0-OpenSSH_9.2\r\n\r\n", KL_E_CORRUPT);
    refuse("HTTP/2.0 200 OK\r\n\r\n", KL_E_CORRUPT);
    refuse("HTTP/1.1 20 OK\r\n\r\n", KL_E_CORRUPT);
    refuse("HTTP/1.1 2000 OK\r\n\r\n", KL_E_CORRUPT);
    refuse("HTTP/1.1 099 OK\r\n\r\n", KL_E_CORRUPT);
    refuse("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", KL_E_CORRUPT);
    refuse("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx", KL_E_CORRUPT);
    refuse("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy", KL_E_CORRUPT);
    refuse("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        KL_E_CORRUPT);
    refuse("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", KL_E_CORRUPT);
    refuse("HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx", KL_E_CORRUPT);
    refuse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", KL_E_CORRUPT);
    refuse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", KL_E_CORRUPT);
    refuse(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n", KL_E_CORRUPT);
    refuse(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n", KL_E_CORRUPT);
    refuse("HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", KL_E_TOO_LARGE);
    refuse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n", KL_E_TOO_LARGE);
    refuse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        KL_E_TOO_LARGE);
    refuse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", KL_E_IO);
    refuse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", KL_E_IO);
    refuse("HTTP/1.1 200 OK\r\nContent-Len", KL_E_IO);
}

static void endless(const char *start, char fill, size_t n, enum kl_rc rc) {
    struct kl_http h;
    struct kl_err err = {0};
    struct kl_buf text = {0};
    size_t used = 0;
    kl_buf_puts(&text, start);
    for (size_t i = 0; i < n; i++) {
        kl_buf_putc(&text, fill);
    }
    kl_http__init(&h, 1000);
    assert_int_equal(kl_http__feed(&h, kl_buf_view(&text), &used, &err), rc);
    kl_http__deinit(&h);
    kl_buf_deinit(&text);
}

static void limits(void **state) {
    endless("HTTP/1.1 200 OK\r\nX: ", 'a', KL_HTTP_MAX_HEAD, KL_E_TOO_LARGE);
    endless("HTTP/1.1 200 OK\r\n\r\n", 'a', 1001, KL_E_TOO_LARGE);
    endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", 'a', 2000, KL_E_CORRUPT);
    endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", 'a', 2000, KL_E_CORRUPT);
    struct kl_http h;
    kl_http__init(&h, 10);
    assert_int_equal(kl_http__end(&h, NULL), KL_E_IO);
    kl_http__deinit(&h);
}

static void a_long_trailer_is_refused(void **state) {
    struct kl_http h;
    struct kl_err err = {0};
    size_t used = 0;
    kl_http__init(&h, 10);
    struct kl_slice head = KL_S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
    assert_int_equal(kl_http__feed(&h, head, &used, &err), KL_OK);
    enum kl_rc rc = KL_OK;
    for (int i = 0; i < 10000 && rc == KL_OK; i++) {
        rc = kl_http__feed(&h, KL_S("X-Trailer: 1\r\n"), &used, &err);
    }
    assert_int_equal(rc, KL_E_CORRUPT);
    kl_http__deinit(&h);
}

static void random_bytes_never_crash(void **state) {
    static const char *const parts[] = {"HTTP/1.1 200 OK\r\n", "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n", "\r\n", "3\r\n", "abc", "0\r\n", "\n", ":",
        "HTTP/1.1 100 C\r\n\r\n", "Connection: close\r\n", "\r"};
    srand(7);
    for (int i = 0; i < 20000; i++) {
        struct kl_http h;
        kl_http__init(&h, 64);
        enum kl_rc rc = KL_OK;
        for (int k = 0; k < 12 && rc == KL_OK && h.state != KL_HTTP_DONE; k++) {
            size_t used = 0;
            char noise[4] = {(char)rand(), (char)rand(), (char)rand(), 0};
            struct kl_slice part = rand() % 8 ? kl_slice_str(parts[(size_t)rand() % KL_LEN(parts)])
                                              : kl_slice(noise, 3);
            rc = kl_http__feed(&h, part, &used, NULL);
            assert_true(used <= part.len && h.body.len <= 64);
        }
        kl_http__deinit(&h);
    }
}

static void headers_are_found(void **state) {
    struct kl_http h;
    size_t used = 0;
    kl_http__init(&h, 10);
    kl_http__feed(&h, KL_S("HTTP/1.1 101 X\r\nA:1\r\nSec-WebSocket-ACCEPT:  v \r\nempty:\r\n\r\n"),
        &used, NULL);
    assert_true(kl_slice_eq_str(kl_http__header(&h, "sec-websocket-accept"), "v"));
    assert_true(kl_slice_eq_str(kl_http__header(&h, "a"), "1"));
    assert_non_null(kl_http__header(&h, "Empty").ptr);
    assert_null(kl_http__header(&h, "missing").ptr);
    kl_http__deinit(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(framings),
        cmocka_unit_test(refusals),
        cmocka_unit_test(limits),
        cmocka_unit_test(a_long_trailer_is_refused),
        cmocka_unit_test(random_bytes_never_crash),
        cmocka_unit_test(headers_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
