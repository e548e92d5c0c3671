/* TLS: a certificate that nobody vouches for is refused, one that is trusted works, one for
 * another host does not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/client.h"
#include "fake_server.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static X509 *cert;
static EVP_PKEY *key;
static char cert_path[300];

/* A self-signed certificate for the names. */
static void make_certificate(const char *names) {
    X509_free(cert);
    EVP_PKEY_free(key);
    key = EVP_EC_gen("P-256");
    cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    assert_non_null(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    FILE *file = fopen(cert_path, "w");
    assert_true(file != NULL && PEM_write_X509(file, cert) == 1 && fclose(file) == 0);
}

static struct fake_server tls_start(void) {
    struct fake_server server = {0};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 8), 0);
    getsockname(listener, (struct sockaddr *)&address, &size);
    server.port = ntohs(address.sin_port);
    server.pid = fork();
    if (server.pid != 0) {
        close(listener);
        return server;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(ctx, cert);
    SSL_CTX_use_PrivateKey(ctx, key);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        SSL *ssl = SSL_new(ctx);
        SSL_set_fd(ssl, fd);
        char text[4096];
        static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n"
                                     "{\"status\":\"success\",\"results\":[],\"took\":12.5}";
        if (SSL_accept(ssl) == 1) {
            while (SSL_read(ssl, text, sizeof(text)) > 0) {
                SSL_write(ssl, answer, sizeof(answer) - 1);
            }
        }
        SSL_free(ssl);
        close(fd);
    }
}

/* One query to the host; the error's text, empty on success. */
static void ask(const char *host, int port, struct kl_err *err) {
    struct kl_client_options options = {.timeout_ms = 5000, .cancel_fd = -1};
    struct kl_reply reply = {0};
    memset(err, 0, sizeof(*err));
    assert_int_equal(kl_url_from_host(kl_slice_str(host), port, &options.url, NULL), KL_OK);
    options.url.tls = true;
    struct kl_client *client = kl_client_new(&options);
    struct kl_query query = {.sql = KL_S("SELECT 1")};
    for (int i = 0; i < 3 && err->msg[0] == '\0'; i++) {
        if (kl_client_query(client, &query, &reply, err) == KL_OK) {
            assert_true(reply.took_ms == 12.5);
            kl_reply_deinit(&reply);
        }
    }
    kl_client_free(client);
}

static void certificates_are_verified(void **state) {
    struct kl_err err;
    make_certificate("DNS:localhost,IP:127.0.0.1");
    struct fake_server server = tls_start();
    unsetenv("SSL_CERT_FILE");
    ask("127.0.0.1", server.port, &err);
    assert_non_null(strstr(err.msg, "certificate is not trusted"));
    setenv("SSL_CERT_FILE", cert_path, 1);
    ask("127.0.0.1", server.port, &err);
    assert_string_equal(err.msg, "");
    ask("localhost", server.port, &err);
    assert_string_equal(err.msg, "");
    fake_stop(&server);

    make_certificate("DNS:other.example,IP:10.1.2.3");
    server = tls_start();
    ask("127.0.0.1", server.port, &err);
    assert_non_null(strstr(err.msg, "mismatch"));
    ask("localhost", server.port, &err);
    assert_non_null(strstr(err.msg, "mismatch"));
    fake_stop(&server);
}

static bool plain_answer(int fd, const char *request, const char *body) {
    return false;
}

static void a_plain_server_is_told(void **state) {
    struct fake_server server = fake_start(plain_answer);
    struct kl_client_options options = {.connect_timeout_ms = 1500, .cancel_fd = -1};
    struct kl_err err = {0};
    assert_int_equal(kl_url_from_host(KL_S("127.0.0.1"), server.port, &options.url, NULL), KL_OK);
    options.url.tls = true;
    struct kl_client *client = kl_client_new(&options);
    assert_int_not_equal(kl_client_connect(client, &err), KL_OK);
    assert_non_null(strstr(err.msg, "cannot connect"));
    kl_client_free(client);
    fake_stop(&server);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    snprintf(cert_path, sizeof(cert_path), "%s/tls-%d.pem", KL_TEST_TMP, (int)getpid());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_are_verified),
        cmocka_unit_test(a_plain_server_is_told),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(cert_path);
    X509_free(cert);
    EVP_PKEY_free(key);
    return failed;
}
