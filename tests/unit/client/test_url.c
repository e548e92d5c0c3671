/* Addresses of servers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/client.h"

static void check(
    const char *text, bool tls, const char *host, int port, const char *authority, bool local) {
    struct kl_url url;
    struct kl_err err = {0};
    if (kl_url_parse(kl_slice_str(text), &url, &err) != KL_OK) {
        fail_msg("%s: %s", text, err.msg);
    }
    assert_int_equal(url.tls, tls);
    assert_string_equal(url.host, host);
    assert_int_equal(url.port, port);
    assert_string_equal(url.authority, authority);
    assert_int_equal(kl_url_is_local(&url), local);
}

static void accepted(void **state) {
    check("http://localhost:8080", false, "localhost", 8080, "localhost:8080", true);
    check("HTTP://LocalHost/", false, "LocalHost", 8080, "LocalHost:8080", true);
    check("https://db.example.com:443", true, "db.example.com", 443, "db.example.com:443", false);
    check("db.example.com", true, "db.example.com", 8080, "db.example.com:8080", false);
    check("127.0.0.1:3000", false, "127.0.0.1", 3000, "127.0.0.1:3000", true);
    check("http://[::1]:9000/", false, "::1", 9000, "[::1]:9000", true);
    check("[::1]", false, "::1", 8080, "[::1]:8080", true);
    check("http://10.0.0.5", false, "10.0.0.5", 8080, "10.0.0.5:8080", false);
    check("127.0.0.1.evil.example", true, "127.0.0.1.evil.example", 8080,
        "127.0.0.1.evil.example:8080", false);
}

static void refused(void **state) {
    static const char *const bad[] = {"", "http://", "ftp://host", "http://host:0",
        "http://host:65536", "http://host:x", "http://host:", "http://host/path",
        "http://user:pw@host", "http://host?x=1", "http://ho st", "http://[::1",
        "http://host\r\nX-Evil: 1", "http://[]", "http://host:80:80"};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        struct kl_url url;
        struct kl_err err = {0};
        if (kl_url_parse(kl_slice_str(bad[i]), &url, &err) == KL_OK) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_true(err.msg[0] != '\0');
    }
    char host[400];
    memset(host, 'a', sizeof(host));
    struct kl_url url;
    assert_int_not_equal(kl_url_parse(kl_slice(host, sizeof(host)), &url, NULL), KL_OK);
    assert_int_not_equal(kl_url_from_host(kl_slice(host, sizeof(host)), 1, &url, NULL), KL_OK);
}

static void from_host(void **state) {
    struct kl_url url;
    assert_int_equal(kl_url_from_host(KL_S("localhost"), 0, &url, NULL), KL_OK);
    assert_true(!url.tls && url.port == 8080);
    assert_int_equal(kl_url_from_host(KL_S("[fe80::1]"), 81, &url, NULL), KL_OK);
    assert_string_equal(url.authority, "[fe80::1]:81");
    assert_true(url.tls);
    assert_int_not_equal(kl_url_from_host(KL_S("localhost"), 70000, &url, NULL), KL_OK);
    assert_int_not_equal(kl_url_from_host(KL_S(""), 1, &url, NULL), KL_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted),
        cmocka_unit_test(refused),
        cmocka_unit_test(from_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
