/* Cookies, origins, addresses, query strings, multipart bodies. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/http_text.h"
#include "net/multipart.h"

static void is(struct kl_slice got, const char *want) {
    if (!want) {
        assert_null(got.ptr);
        return;
    }
    assert_non_null(got.ptr);
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr, want, got.len);
}

static void cookies(void **state) {
    struct kl_slice h =
        KL_S("a=1; kalamdb_auth=tok.en-1=; b ; =x; kalamdb_auth=second;q=\"quoted\"");
    is(kl_cookie_get(h, "kalamdb_auth"), "tok.en-1=");
    is(kl_cookie_get(h, "a"), "1");
    is(kl_cookie_get(h, "q"), "quoted");
    is(kl_cookie_get(h, "b"), NULL);
    is(kl_cookie_get(h, "auth"), NULL);
    is(kl_cookie_get(h, "A"), NULL);
    is(kl_cookie_get(KL_S("a="), "a"), "");
    is(kl_cookie_get(KL_SLICE_NONE, "a"), NULL);
}

static void parse_ip(const char *text, const char *want) {
    struct kl_ip ip;
    char got[KL_IP_TEXT_MAX];
    assert_true(kl_ip_parse(kl_slice_str(text), &ip));
    kl_ip_format(&ip, got);
    assert_string_equal(got, want);
}

static void addresses(void **state) {
    struct kl_ip ip;
    parse_ip("10.1.2.3", "10.1.2.3");
    parse_ip(" 10.1.2.3:8080 ", "10.1.2.3");
    parse_ip("::1", "::1");
    parse_ip("[2001:DB8::7]:443", "2001:db8::7");
    parse_ip("::ffff:10.0.0.1", "10.0.0.1");
    static const char *const bad[] = {"", "1.2.3", "1.2.3.256", "[::1", "unknown", "1.2.3.4.5",
        "::1::2", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(kl_ip_parse(kl_slice_str(bad[i]), &ip));
    }
}

static bool loopback(const char *text) {
    struct kl_ip ip;
    assert_true(kl_ip_parse(kl_slice_str(text), &ip));
    return kl_ip_is_loopback(&ip);
}

static void loopbacks(void **state) {
    assert_true(loopback("127.0.0.1"));
    assert_true(loopback("::1"));
    assert_true(loopback("::ffff:127.0.0.1"));
    assert_false(loopback("127.0.0.2"));
    assert_false(loopback("::2"));
    assert_false(loopback("10.0.0.1"));
    assert_false(loopback("0.0.0.0"));
}

static bool in_range(const char *range, const char *address) {
    struct kl_cidr c;
    struct kl_ip ip;
    assert_true(kl_cidr_parse(kl_slice_str(range), &c));
    assert_true(kl_ip_parse(kl_slice_str(address), &ip));
    return kl_cidr_match(&c, &ip);
}

static void ranges(void **state) {
    struct kl_cidr c;
    assert_true(in_range("10.0.0.0/8", "10.255.1.2"));
    assert_false(in_range("10.0.0.0/8", "11.0.0.1"));
    assert_true(in_range("10.1.2.3", "10.1.2.3"));
    assert_false(in_range("10.1.2.3", "10.1.2.4"));
    assert_true(in_range("192.168.4.0/22", "192.168.7.255"));
    assert_false(in_range("192.168.4.0/22", "192.168.8.0"));
    assert_true(in_range("0.0.0.0/0", "8.8.8.8"));
    assert_false(in_range("0.0.0.0/0", "2001:db8::1"));
    assert_true(in_range("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(in_range("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(in_range("::/0", "10.0.0.1"));
    static const char *const bad[] = {
        "", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/x", "/8", "::/129"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(kl_cidr_parse(kl_slice_str(bad[i]), &c));
    }
}

static void forwarded(void **state) {
    struct kl_ip ip;
    char text[KL_IP_TEXT_MAX];
    assert_true(kl_forwarded_ip(KL_S("203.0.113.7, 10.0.0.1"), KL_SLICE_NONE, &ip));
    kl_ip_format(&ip, text);
    assert_string_equal(text, "203.0.113.7");
    assert_true(kl_forwarded_ip(KL_SLICE_NONE, KL_S("203.0.113.8"), &ip));
    assert_false(kl_forwarded_ip(KL_S("127.0.0.1"), KL_SLICE_NONE, &ip));
    assert_false(kl_forwarded_ip(KL_S("::1, 203.0.113.7"), KL_SLICE_NONE, &ip));
    assert_false(kl_forwarded_ip(KL_S("nonsense"), KL_SLICE_NONE, &ip));
}

static void header_values(void **state) {
    assert_true(kl_media_type_is(KL_S("application/json"), "application/json"));
    assert_true(kl_media_type_is(KL_S(" Application/JSON ; charset=utf-8"), "application/json"));
    assert_false(kl_media_type_is(KL_S("application/jsonx"), "application/json"));
    assert_false(kl_media_type_is(KL_SLICE_NONE, "application/json"));
    is(kl_header_param(KL_S("multipart/form-data; boundary=abc"), "boundary"), "abc");
    is(kl_header_param(KL_S("form-data; name=\"a;b\"; filename=\"x\""), "filename"), "x");
    is(kl_header_param(KL_S("form-data; name=\"a;b\"; filename=\"x\""), "name"), "a;b");
    is(kl_header_param(KL_S("form-data; name=\"open"), "name"), NULL);
    is(kl_header_param(KL_S("form-data"), "name"), NULL);
    assert_true(kl_header_has_token(KL_S("keep-alive, Upgrade"), "upgrade"));
    assert_false(kl_header_has_token(KL_S("upgraded"), "upgrade"));
    is(kl_auth_scheme(KL_S("Bearer abc"), "Bearer"), "abc");
    is(kl_auth_scheme(KL_S("bearer abc"), "Bearer"), NULL);
    is(kl_auth_scheme(KL_S("Bearer  abc"), "Bearer"), NULL);
    is(kl_auth_scheme(KL_S("Bearer "), "Bearer"), NULL);
    is(kl_auth_scheme(KL_S("Bearerabc"), "Bearer"), NULL);
}

static void request_ids(void **state) {
    char longest[65];
    memset(longest, 'a', sizeof longest);
    assert_true(kl_request_id_ok(KL_S("Abc-1.2_3:4")));
    assert_true(kl_request_id_ok(kl_slice(longest, 64)));
    assert_false(kl_request_id_ok(kl_slice(longest, 65)));
    assert_false(kl_request_id_ok(KL_SLICE_NONE));
    assert_false(kl_request_id_ok(KL_S("a b")));
    assert_false(kl_request_id_ok(KL_S("a\r\nx: y")));
    assert_false(kl_request_id_ok(KL_S("\xC3\xA9")));
}

static void dates(void **state) {
    struct kl_buf b = {0};
    kl_http_date(&b, 784111777LL * 1000000);
    kl_buf_putc(&b, '\0');
    assert_string_equal(b.data, "Sun, 06 Nov 1994 08:49:37 GMT");
    kl_buf_deinit(&b);
}

static void origins(void **state) {
    static const char *const list[] = {"https://app.example.com", "http://localhost:3000/"};
    assert_true(kl_origin_listed(KL_S("https://app.example.com"), list, 2));
    assert_true(kl_origin_listed(KL_S("HTTPS://APP.example.com"), list, 2));
    assert_true(kl_origin_listed(KL_S("http://localhost:3000"), list, 2));
    assert_false(kl_origin_listed(KL_S("http://localhost:30001"), list, 2));
    assert_false(kl_origin_listed(KL_S("https://app.example.com.evil.org"), list, 2));
    assert_false(kl_origin_listed(KL_S("http://app.example.com"), list, 2));
    assert_false(kl_origin_listed(KL_S("null"), list, 2));
    assert_false(kl_origin_listed(KL_S(""), list, 2));
    assert_false(kl_origin_listed(KL_S("https://x"), list, 0));
}

static void queries(void **state) {
    struct kl_slice q = KL_S("compress=false&token=a%2Bb&flag&token=c");
    struct kl_buf b = {0};
    is(kl_query_get(q, "compress"), "false");
    is(kl_query_get(q, "token"), "a%2Bb");
    is(kl_query_get(q, "flag"), "");
    is(kl_query_get(q, "tok"), NULL);
    assert_true(kl_percent_decode(KL_S("a%2Bb+c%41"), &b));
    is(kl_buf_view(&b), "a+b cA");
    assert_false(kl_percent_decode(KL_S("%4"), &b));
    assert_false(kl_percent_decode(KL_S("%zz"), &b));
    kl_buf_deinit(&b);
}

static enum kl_rc split(const char *body, struct kl_multipart_part *parts, size_t *n) {
    struct kl_err err;
    return kl_multipart_parse(kl_slice_str(body), KL_S("XX"), parts, 3, n, &err);
}

static void multipart(void **state) {
    struct kl_multipart_part p[3];
    size_t n;
    assert_int_equal(
        split("--XX\r\nContent-Disposition: form-data; name=\"sql\"\r\n\r\nSELECT\r\n1\r\n"
              "--XX\r\ncontent-type: text/plain\r\ncontent-disposition: Form-Data; "
              "name=params\r\n\r\n[1]\r\n--XX--\r\n",
            p, &n),
        KL_OK);
    assert_int_equal(n, 2);
    is(p[0].name, "sql");
    is(p[0].content, "SELECT\r\n1");
    is(p[1].name, "params");
    is(p[1].content, "[1]");
    assert_false(p[1].file);
    assert_int_equal(split("preamble\r\n--XX\r\nContent-Disposition: form-data; name=\"f\"; "
                           "filename=\"a\"\r\n\r\n\r\n--XX--",
                         p, &n),
        KL_OK);
    assert_true(n == 1 && p[0].file);
    assert_int_equal(p[0].content.len, 0);
    assert_int_equal(
        split("--XX\r\nContent-Disposition: form-data; name=\"file:k\"\r\n\r\nx\r\n--XX--", p, &n),
        KL_OK);
    assert_true(p[0].file);
    assert_int_equal(split("--XX--", p, &n), KL_OK);
    assert_int_equal(n, 0);
}

static void broken_multipart(void **state) {
    static const char *const bad[] = {"", "--X", "x", "--XX", "--XX\r\n", "--XX\r\n\r\n\r\n--XX--",
        "--XXjunk\r\n\r\n--XX--", "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n--XX--",
        "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nbody",
        "--XX\r\nContent-Disposition: form-data\r\n\r\nbody\r\n--XX--",
        "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--XX\r\nContent-Disposition: "
        "form-data; name=a\r\n\r\n1\r\n"
        "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--XX\r\nContent-Disposition: "
        "form-data; name=a\r\n\r\n1\r\n--XX--"};
    struct kl_multipart_part p[3];
    struct kl_err err;
    size_t n;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (split(bad[i], p, &n) != KL_E_INVALID_INPUT) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    assert_int_equal(
        kl_multipart_parse(KL_S("--\r\n"), KL_SLICE_NONE, p, 3, &n, &err), KL_E_INVALID_INPUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cookies),
        cmocka_unit_test(addresses),
        cmocka_unit_test(loopbacks),
        cmocka_unit_test(ranges),
        cmocka_unit_test(forwarded),
        cmocka_unit_test(header_values),
        cmocka_unit_test(request_ids),
        cmocka_unit_test(dates),
        cmocka_unit_test(origins),
        cmocka_unit_test(queries),
        cmocka_unit_test(multipart),
        cmocka_unit_test(broken_multipart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
