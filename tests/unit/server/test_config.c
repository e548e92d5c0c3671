/* Configuration: the table, its layers, every kind of refusal, and the sample file that is made
 * from the table.
 *
 * docs/server.toml.example must be what sample() writes: after a change of api/config.def run this
 * program with KL_WRITE_SAMPLE=1 once and commit the result. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/stat.h>
#include "server/config.h"

#define FILE_PATH KL_TEST_TMP "/test_config.toml"
#define SECRET "0123456789abcdef0123456789abcdef"

static void write_file(const char *path, const char *text, size_t len) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

/* toml NULL: no file. env: NULL or a NULL-terminated array. */
static enum kl_rc load(
    const char *toml, char *const *env, struct kl_config *ret, struct kl_err *err) {
    struct kl_config_source source = {.file = toml != NULL ? FILE_PATH : NULL, .env = env};
    if (toml != NULL) {
        write_file(FILE_PATH, toml, strlen(toml));
    }
    return kl_config_load(&source, ret, err);
}

static void load_ok(const char *toml, char *const *env, struct kl_config *ret) {
    struct kl_err err = {0};
    enum kl_rc rc = load(toml, env, ret, &err);
    if (rc != KL_OK) {
        fail_msg("%s: %s", toml != NULL ? toml : "(no file)", err.msg);
    }
}

/* The message must hold each of the parts. */
static void expect_error(const char *toml, char *const *env, const char *part1, const char *part2) {
    struct kl_config config;
    struct kl_err err = {0};
    enum kl_rc rc = load(toml, env, &config, &err);
    if (rc == KL_OK) {
        fail_msg("accepted: %s", toml != NULL ? toml : env[0]);
    }
    if (strstr(err.msg, part1) == NULL || strstr(err.msg, part2) == NULL) {
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err.msg, part1, part2);
    }
}

static bool warned(const struct kl_config *c, const char *part) {
    for (size_t i = 0; i < c->warnings.count; i++) {
        if (strstr(c->warnings.items[i], part) != NULL) {
            return true;
        }
    }
    return false;
}

static void test_defaults(void **state) {
    struct kl_config c;
    load_ok(NULL, NULL, &c);
    assert_string_equal(c.server_host, "127.0.0.1");
    assert_int_equal(c.server_port, 8080);
    assert_string_equal(c.storage_data_path, "./data");
    assert_int_equal(c.storage_durability, KL_CONFIG_DURABILITY_SYNC);
    assert_int_equal(c.limits_default_query_limit, 0);
    assert_int_equal(c.limits_max_query_limit, 0);
    assert_int_equal(c.limits_max_result_bytes, 64 << 20);
    assert_int_equal(c.rate_limit_max_queries_per_sec, 1000);
    assert_int_equal(c.rate_limit_max_subscriptions_per_user, 1000);
    assert_int_equal(c.logging_level, KL_LOG_INFO);
    assert_int_equal(c.execution_executor, KL_CONFIG_EXECUTOR_AUTO);
    assert_int_equal(c.security_cors_allowed_methods.count, 6);
    assert_string_equal(c.security_cors_allowed_methods.items[5], "OPTIONS");
    assert_int_equal(c.security_cors_allowed_origins.count, 0);
    assert_string_equal(c.auth_jwt_secret, "");
    assert_true(c.auth_cookie_secure);
    assert_int_equal(c.warnings.count, 0);
    assert_string_equal(c.file, "");
    kl_config_deinit(&c);
}

/* The order in which the server's own enums and the table's choices stand. */
static void test_enum_places(void **state) {
    static const struct {
        const char *toml;
        size_t offset;
        int want;
    } cases[] = {
        {"logging.level = 'error'", offsetof(struct kl_config, logging_level), KL_LOG_ERROR},
        {"logging.level = 'warn'", offsetof(struct kl_config, logging_level), KL_LOG_WARN},
        {"logging.level = 'trace'", offsetof(struct kl_config, logging_level), KL_LOG_TRACE},
        {"logging.format = 'json'", offsetof(struct kl_config, logging_format), KL_CONFIG_LOG_JSON},
        {"storage.durability = 'async'", offsetof(struct kl_config, storage_durability),
            KL_CONFIG_DURABILITY_ASYNC},
        {"execution.executor = 'native'", offsetof(struct kl_config, execution_executor),
            KL_CONFIG_EXECUTOR_NATIVE},
        {"execution.executor = 'duckdb'", offsetof(struct kl_config, execution_executor),
            KL_CONFIG_EXECUTOR_DUCKDB},
    };
    for (size_t i = 0; i < KL_LEN(cases); i++) {
        struct kl_config c;
        load_ok(cases[i].toml, NULL, &c);
        assert_int_equal(*(const int *)((const char *)&c + cases[i].offset), cases[i].want);
        kl_config_deinit(&c);
    }
}

static void test_layers(void **state) {
    char *env[] = {"PATH=/bin", "KALAMDB_SERVER_PORT=9001", "KALAMDB_TRUSTED_PROXY_RANGES=::1",
        "KALAMDB_JWT_EXPIRY_HOURS=",
        "KALAMDB_SECURITY_TRUSTED_PROXY_RANGES= 10.0.0.0/8 ,192.168.1.1",
        "KALAMDB_COOKIE_SECURE=No", NULL};
    struct kl_config_source source = {.file = FILE_PATH, .env = env, .data_dir = "/tmp/d"};
    static const char toml[] =
        "[server]\nhost = '127.0.0.2'\nport = 9000\n[authentication]\njwt_expiry_hours = 5\n"
        "[security]\ntrusted_proxy_ranges = ['1.2.3.4']\ncors.allowed_origins = ['*', "
        "'https://a.example:444']\n";
    struct kl_config c;
    struct kl_err err = {0};
    write_file(FILE_PATH, toml, sizeof(toml) - 1);
    assert_int_equal(kl_config_load(&source, &c, &err), KL_OK);
    assert_string_equal(c.server_host, "127.0.0.2");
    assert_int_equal(c.server_port, 9001);
    assert_int_equal(c.auth_jwt_expiry_hours, 5);
    assert_string_equal(c.storage_data_path, "/tmp/d");
    assert_int_equal(c.security_trusted_proxy_ranges.count, 2);
    assert_string_equal(c.security_trusted_proxy_ranges.items[0], "10.0.0.0/8");
    assert_string_equal(c.security_cors_allowed_origins.items[1], "https://a.example:444");
    assert_false(c.auth_cookie_secure);
    assert_string_equal(c.file, FILE_PATH);
    kl_config_deinit(&c);

    source.listen = "[::1]:0";
    assert_int_equal(kl_config_load(&source, &c, &err), KL_OK);
    assert_string_equal(c.server_host, "::1");
    assert_int_equal(c.server_port, 0);
    kl_config_deinit(&c);
}

static void test_listen_refused(void **state) {
    static const char *const bad[] = {"", "8080", ":8080", "localhost", "localhost:", "localhost:x",
        "localhost:65536", "::1:80", "[]:80", "a b:80", "localhost:-1"};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        struct kl_config_source source = {.listen = bad[i]};
        struct kl_config c;
        struct kl_err err = {0};
        assert_int_not_equal(kl_config_load(&source, &c, &err), KL_OK);
        assert_true(strstr(err.msg, "--listen") != NULL);
    }
}

static void test_file_refused(void **state) {
    expect_error("[server]\nport = 99999", NULL, "test_config.toml:2: server.port = 99999",
        "from 0 to 65535");
    expect_error("[server]\nport = '80'", NULL, ":2: server.port = a string", "must be an integer");
    expect_error("[server]\nprot = 80", NULL, ":2: unknown key server.prot", "server.port?");
    expect_error("[server]\ndata_path = 'x'", NULL, ":2: unknown key server.data_path",
        "storage.data_path?");
    expect_error("[sevrer]\nport = 80", NULL, ":1: unknown key sevrer", "");
    expect_error("[flush]\nnothing_like_it = 80", NULL, "unknown key flush.nothing_like_it", "");
    expect_error("\"server.port\" = 80", NULL, "unknown key server.port", ":1:");
    expect_error("'' = 80", NULL, "unknown key", ":1:");
    expect_error("\"a\\u0000b\" = 80", NULL, "NUL", ":1:");
    expect_error("server = 80", NULL, ":1: server is an integer", "table");
    expect_error("[[server]]\nport = 80", NULL, "server is an array", "table");
    expect_error("[server.port]\n", NULL, "server.port = a table", "an integer");
    expect_error("[logging]\nlevel = 'loud'", NULL, "logging.level = loud",
        "one of error|warn|info|debug|trace");
    expect_error("[logging]\nlog_to_console = 'yes'", NULL, "must be a boolean", ":2");
    expect_error("[security.cors]\nallowed_origins = 'x'", NULL, "must be an array", "");
    expect_error("[security.cors]\nallowed_origins = [1]", NULL, "array of strings", "");
    expect_error("[auth]\njwt_expiry_hours = 1\n[authentication]\njwt_expiry_hours = 2", NULL,
        ":4: auth.jwt_expiry_hours", "line 2");
    expect_error("[server\nport = 1", NULL, "test_config.toml: line 1, column 8", "']'");
    expect_error("storage.data_path = \"a\\nb\"", NULL, "storage.data_path", "control characters");
    expect_error("[[cluster.peers]]\nnode_id = 2", NULL, "cluster.peers", "single server");

    struct kl_config_source source = {.file = "/does/not/exist.toml"};
    struct kl_config c;
    struct kl_err err = {0};
    assert_int_equal(kl_config_load(&source, &c, &err), KL_E_IO);
    assert_true(strstr(err.msg, "/does/not/exist.toml") != NULL);
    source.file = KL_TEST_TMP;
    assert_int_equal(kl_config_load(&source, &c, &err), KL_E_IO);
}

static void test_variables_refused(void **state) {
    expect_error(NULL, (char *[]){"KALAMDB_SERVER_PORT=abc", NULL},
        "KALAMDB_SERVER_PORT: server.port = abc", "from 0 to 65535");
    expect_error(
        NULL, (char *[]){"KALAMDB_SERVER_PORT=-1", NULL}, "KALAMDB_SERVER_PORT", "from 0 to 65535");
    expect_error(NULL, (char *[]){"KALAMDB_COOKIE_SECURE=maybe", NULL}, "KALAMDB_COOKIE_SECURE",
        "true, 1, yes, false, 0 or no");
    expect_error(NULL, (char *[]){"KALAMDB_LOG_LEVEL=INFO", NULL}, "KALAMDB_LOG_LEVEL", "one of");
    expect_error(NULL, (char *[]){"KALAMDB_CLUSTER_PEERS=2@a@b", NULL}, "KALAMDB_CLUSTER_PEERS",
        "single server");
    expect_error(NULL, (char *[]){"KALAMDB_TRUSTED_PROXY_RANGES=10.0.0.0/33", NULL},
        "KALAMDB_TRUSTED_PROXY_RANGES", "CIDR");
    /* a bad value in the file is an error even where a variable hides it */
    expect_error(
        "[server]\nport = -1", (char *[]){"KALAMDB_SERVER_PORT=80", NULL}, ":2: server.port", "");
}

static void test_ignored(void **state) {
    struct kl_config c;
    char *env[] = {"KALAMDB_PG_AUTH_TOKEN=x", "KALAMDB_JWT_SECRT=x", "KALAMDB_URL=http://x",
        "KALAMDB_NODE_ID=1", NULL};
    load_ok("transaction_timeout_secs = 1\n[storage.rocksdb]\nsync_writes = "
            "true\n[storage.rocksdb.cf_profiles.raft]\nwrite_buffer_size = 1\n"
            "[logging.targets]\n\"h2o.http\" = 'debug'\n[oauth.providers.google]\nenabled = "
            "false\n[cluster]\npeers = []\n"
            "[user_management]\ndeletion_grace_period_days = 7\n[logging]\nformat = 'pretty'\n",
        env, &c);
    assert_true(warned(&c, "test_config.toml:1: transaction_timeout_secs has no effect"));
    assert_true(
        warned(&c, "storage.rocksdb.sync_writes has no effect: storage.durability decides"));
    assert_true(warned(&c, "storage.rocksdb.cf_profiles.raft.write_buffer_size"));
    assert_true(warned(&c, "logging.targets.h2o.http"));
    assert_true(warned(&c, "oauth.providers.google.enabled"));
    assert_true(warned(&c, "cluster.peers has no effect"));
    assert_true(warned(&c, "KALAMDB_PG_AUTH_TOKEN has no effect"));
    assert_true(warned(&c, "KALAMDB_NODE_ID has no effect"));
    assert_true(warned(
        &c, "KALAMDB_JWT_SECRT is no variable of this server; did you mean KALAMDB_JWT_SECRET?"));
    assert_true(warned(&c, "pretty means compact"));
    assert_false(warned(&c, "KALAMDB_URL"));
    assert_int_equal(c.warnings.count, 11);
    assert_true(warned(&c, "user_management.deletion_grace_period_days has no effect"));
    kl_config_deinit(&c);
}

static void test_checks_together(void **state) {
    expect_error("[limits]\nmax_query_limit = 10\ndefault_query_limit = 20", NULL,
        ":3: limits.default_query_limit", "20 is above");
    expect_error("[websocket]\nheartbeat_interval_secs = 10", NULL,
        ":2: websocket.heartbeat_interval_secs", "below");
    expect_error("[auth]\nmin_password_length = 20\nmax_password_length = 10", NULL,
        "auth.min_password_length", "above");
    expect_error("[server]\npublic_origin = 'example.com'", NULL,
        "server.public_origin = example.com", "http(s)://");
    expect_error("[server]\npublic_origin = 'ftp://example.com'", NULL, "server.public_origin",
        "http(s)://");
    expect_error("[server]\npublic_origin = 'https://example.com/x'", NULL, "server.public_origin",
        "without a path");
    expect_error("[server]\nhost = ''", NULL, "server.host", "an address");
    expect_error("[server]\nhost = '127.0.0.1:80'", NULL, "server.host", "without port");
    expect_error("[storage]\ndata_path = ''", NULL, "storage.data_path", "folder");
    expect_error("[security.cors]\nallowed_origins = ['example.com']", NULL,
        "security.cors.allowed_origins", "scheme://");
    expect_error("[security.cors]\nallow_credentials = true", NULL, "allow_credentials = true",
        "name the origins");
    expect_error("[security.cors]\nallow_credentials = true\nallowed_origins = ['*']", NULL,
        "allow_credentials", "name the origins");
    expect_error("[security.cors]\nallowed_headers = ['X-A', 'b c']", NULL, "allowed_headers = b c",
        "header");
    static const char *const ranges[] = {"10.0.0.0/33", "10.0.0/8", "::1/129", "x", "1.2.3.4/",
        "1.2.3.4/-1", "1.2.3.4/+1", "1.2.3.4/8x"};
    for (size_t i = 0; i < KL_LEN(ranges); i++) {
        char toml[80];
        snprintf(toml, sizeof(toml), "security.trusted_proxy_ranges = ['%s']", ranges[i]);
        expect_error(toml, NULL, ranges[i], "CIDR");
    }
    struct kl_config c;
    load_ok(
        "security.trusted_proxy_ranges = ['10.0.0.0/8', 'fd00::/8', '::1', "
        "'0.0.0.0/0']\nserver.host = 'fe80::1'\nauth.jwt_secret = '" SECRET
        "'\n[security.cors]\nallow_credentials = true\nallowed_origins = ['capacitor://localhost']",
        NULL, &c);
    assert_int_equal(c.warnings.count, 0);
    kl_config_deinit(&c);
}

static void test_secret(void **state) {
    static const char *const far[] = {
        "0.0.0.0", "::", "192.168.0.1", "example.com", "::ffff:127.0.0.1", "127.0.0.1.example.com"};
    static const char *const near[] = {"127.0.0.1", "127.9.9.9", "::1", "localhost", "LocalHost"};
    static const char *const weak[] = {"", "short", "0123456789abcdef0123456789abcde",
        "your-secret-key-at-least-32-chars-change-me-in-production",
        "KALAMDB-dev-secret-key-change-in-production"};
    char host[128], secret[128];
    struct kl_config c;
    for (size_t i = 0; i < KL_LEN(far); i++) {
        assert_false(kl_config_is_loopback(far[i]));
        snprintf(host, sizeof(host), "KALAMDB_SERVER_HOST=%s", far[i]);
        for (size_t j = 0; j < KL_LEN(weak); j++) {
            snprintf(secret, sizeof(secret), "KALAMDB_JWT_SECRET=%s", weak[j]);
            expect_error(
                NULL, (char *[]){host, secret, NULL}, "auth.jwt_secret", "at least 32 bytes");
        }
        load_ok(NULL, (char *[]){host, "KALAMDB_JWT_SECRET=" SECRET, NULL}, &c);
        assert_true(warned(&c, "allowed_origins is empty"));
        kl_config_deinit(&c);
    }
    for (size_t i = 0; i < KL_LEN(near); i++) {
        assert_true(kl_config_is_loopback(near[i]));
        snprintf(host, sizeof(host), "KALAMDB_SERVER_HOST=%s", near[i]);
        load_ok(NULL, (char *[]){host, NULL}, &c);
        assert_int_equal(c.warnings.count, 0);
        kl_config_deinit(&c);
        load_ok(NULL, (char *[]){host, "KALAMDB_JWT_SECRET=short", NULL}, &c);
        assert_true(warned(&c, "forge"));
        kl_config_deinit(&c);
    }
    expect_error("server.public_origin = 'https://x.example'\nauth.jwt_secret = 'short'", NULL,
        "auth.jwt_secret", "public_origin");
    load_ok("server.public_origin = 'https://x.example'", NULL, &c);
    kl_config_deinit(&c);
}

static void test_secrets_stay_hidden(void **state) {
    struct kl_config c;
    struct kl_err err = {0};
    size_t count;
    const struct kl_config_key *keys = kl_config_keys(&count);
    expect_error("[auth]\njwt_secret = 5", NULL, "auth.jwt_secret = ****", "must be a string");
    assert_int_not_equal(
        load(NULL, (char *[]){"KALAMDB_SERVER_HOST=::", "KALAMDB_JWT_SECRET=hunter2", NULL}, &c,
            &err),
        KL_OK);
    assert_null(strstr(err.msg, "hunter2"));
    assert_int_not_equal(load("auth.root_password = \"hunter2\\n\"", NULL, &c, &err), KL_OK);
    assert_null(strstr(err.msg, "hunter2"));
    load_ok(
        "auth.root_password = 'hunter2'\nserver.port = 1\nstorage.durability = 'async'", NULL, &c);
    struct kl_buf b;
    kl_buf_init(&b, 0);
    for (size_t i = 0; i < count; i++) {
        kl_buf_printf(&b, "%s=", keys[i].key);
        kl_config_show(&c, &keys[i], &b);
        kl_buf_puts(&b, "\n");
    }
    kl_buf_putc(&b, '\0');
    assert_null(strstr(b.data, "hunter2"));
    assert_non_null(strstr(b.data, "auth.root_password=****\nauth.jwt_secret=\n"));
    assert_non_null(strstr(b.data, "server.port=1\n"));
    assert_non_null(strstr(b.data, "storage.durability=async\n"));
    assert_non_null(
        strstr(b.data, "security.cors.allowed_methods=GET,POST,PUT,DELETE,PATCH,OPTIONS\n"));
    kl_buf_deinit(&b);
    kl_config_deinit(&c);
    assert_int_equal(chmod(FILE_PATH, 0644), 0);
    struct kl_config_source source = {.file = FILE_PATH};
    assert_int_equal(kl_config_load(&source, &c, &err), KL_OK);
    assert_true(warned(&c, "every user can read it"));
    kl_config_deinit(&c);
    load_ok("auth.jwt_secret = ''", NULL, &c);
    assert_int_equal(chmod(FILE_PATH, 0644), 0);
    kl_config_deinit(&c);
    assert_int_equal(kl_config_load(&source, &c, &err), KL_OK);
    assert_int_equal(c.warnings.count, 0);
    kl_config_deinit(&c);
}

static enum kl_rc parse_args(const char *line, struct kl_config_args *ret, struct kl_err *err) {
    static char copy[256];
    char *argv[16] = {"kalamdb-server"};
    int argc = 1;
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *save = NULL, *word = strtok_r(copy, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        argv[argc++] = word;
    }
    return kl_config_args_parse(argc, argv, ret, err);
}

static void test_args(void **state) {
    static const char *const bad[] = {
        "x", "--nothing", "--data", "--data=", "--data a --data b", "--help=1", "-x", "--"};
    struct kl_config_args a;
    struct kl_err err = {0};
    assert_int_equal(parse_args("", &a, &err), KL_OK);
    assert_int_equal(a.action, KL_CONFIG_RUN);
    assert_null(a.config);
    assert_int_equal(parse_args("--config f.toml --data=d=1 --listen [::1]:0", &a, &err), KL_OK);
    assert_string_equal(a.config, "f.toml");
    assert_string_equal(a.data_dir, "d=1");
    assert_string_equal(a.listen, "[::1]:0");
    assert_int_equal(parse_args("--version", &a, &err), KL_OK);
    assert_int_equal(a.action, KL_CONFIG_VERSION);
    assert_int_equal(parse_args("--data x --help", &a, &err), KL_OK);
    assert_int_equal(a.action, KL_CONFIG_HELP);
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        assert_int_equal(parse_args(bad[i], &a, &err), KL_E_INVALID_INPUT);
    }
}

static void test_help_is_complete(void **state) {
    size_t count;
    const struct kl_config_key *keys = kl_config_keys(&count);
    struct kl_buf b;
    kl_buf_init(&b, 0);
    kl_config_help(&b);
    kl_buf_putc(&b, '\0');
    assert_false(b.failed);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(strstr(b.data, keys[i].key));
        assert_non_null(strstr(b.data, keys[i].env));
    }
    assert_non_null(strstr(b.data, "  KALAMDB_TRUSTED_PROXY_RANGES"));
    assert_non_null(strstr(b.data, "  KALAMDB_CLUSTER_PEERS"));
    assert_non_null(strstr(b.data, "  KALAMDB_OTLP_ENABLED"));
    assert_non_null(strstr(b.data, "--listen"));
    kl_buf_deinit(&b);
}

static void test_find_file(void **state) {
    char path[1024], before[1024];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(KL_TEST_TMP), 0);
    unlink("server.toml");
    assert_false(kl_config_find_file(path, sizeof(path)));
    write_file("server.toml", "", 0);
    assert_true(kl_config_find_file(path, sizeof(path)));
    assert_string_equal(path, "server.toml");
    assert_false(kl_config_find_file(path, 5));
    unlink("server.toml");
    assert_int_equal(chdir(before), 0);
}

/* ---- the sample file ---- */

static void sample_value(struct kl_buf *b, const struct kl_config_key *key) {
    const char *at = key->def;
    switch (key->type) {
    case KL_CONFIG_TYPE_INT:
    case KL_CONFIG_TYPE_BOOL:
        kl_buf_puts(b, key->def);
        break;
    case KL_CONFIG_TYPE_LIST:
        kl_buf_putc(b, '[');
        while (*at != '\0') {
            size_t len = strcspn(at, ",");
            kl_buf_printf(b, "%s\"%.*s\"", at > key->def ? ", " : "", (int)len, at);
            at += len + (at[len] == ',');
        }
        kl_buf_putc(b, ']');
        break;
    default:
        kl_buf_printf(b, "\"%s\"", key->def);
    }
}

static void sample_key(struct kl_buf *b, const struct kl_config_key *key, const char *name) {
    if (key->doc[0] != '\0') {
        kl_buf_printf(b, "# %s\n", key->doc);
    }
    if (key->type == KL_CONFIG_TYPE_INT) {
        kl_buf_printf(b, "# %lld to %lld.\n", (long long)key->min, (long long)key->max);
    } else if (key->type == KL_CONFIG_TYPE_ENUM) {
        kl_buf_printf(b, "# One of %s.\n", key->choices);
    }
    if (key->env[0] != '\0') {
        kl_buf_printf(b, "# %s\n", key->env);
    }
    kl_buf_printf(b, "%s = ", name);
    sample_value(b, key);
    kl_buf_puts(b, "\n\n");
}

static void sample(struct kl_buf *b) {
    size_t count;
    const struct kl_config_key *keys = kl_config_keys(&count);
    struct kl_slice section = KL_S("");
    kl_buf_puts(b, "# Every key of the server's configuration with its default. Copy it to "
                   "./server.toml, or name it with --config,\n"
                   "# and keep only what you change. The variable in a comment, when it is set and "
                   "not empty, wins over the file.\n\n");
    for (size_t i = 0; i < count; i++) {
        const char *dot = strrchr(keys[i].key, '.');
        struct kl_slice own = kl_slice(keys[i].key, dot != NULL ? (size_t)(dot - keys[i].key) : 0);
        if (!kl_slice_eq(own, section)) {
            section = own;
            kl_buf_printf(b, "[%.*s]\n", KL_FMT(section));
        }
        sample_key(b, &keys[i], dot != NULL ? dot + 1 : keys[i].key);
    }
}

static void read_whole(const char *path, struct kl_buf *b) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char chunk[4096];
    size_t n;
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0) {
        kl_buf_append(b, chunk, n);
    }
    fclose(f);
}

static void test_sample(void **state) {
    static const char path[] = KL_SOURCE_DIR "/docs/server.toml.example";
    struct kl_buf want, got;
    kl_buf_init(&want, 0);
    kl_buf_init(&got, 0);
    sample(&want);
    if (getenv("KL_WRITE_SAMPLE") != NULL) {
        write_file(path, want.data, want.len);
        assert_int_equal(chmod(path, 0644), 0);
    }
    read_whole(path, &got);
    assert_true(kl_slice_eq(kl_buf_view(&want), kl_buf_view(&got)));

    struct kl_config defaults, loaded;
    kl_buf_putc(&got, '\0');
    load_ok(NULL, NULL, &defaults);
    load_ok(got.data, NULL, &loaded);
    size_t count;
    const struct kl_config_key *keys = kl_config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        kl_buf_clear(&want);
        kl_buf_clear(&got);
        kl_config_show(&defaults, &keys[i], &want);
        kl_config_show(&loaded, &keys[i], &got);
        assert_true(kl_slice_eq(kl_buf_view(&want), kl_buf_view(&got)));
        assert_true(kl_slice_eq_str(kl_buf_view(&want), keys[i].def));
    }
    assert_int_equal(loaded.warnings.count, 0);
    kl_config_deinit(&defaults);
    kl_config_deinit(&loaded);
    kl_buf_deinit(&want);
    kl_buf_deinit(&got);
}

/* Each bound of each number: the bound itself is in, one beyond is out. */
static void test_bounds(void **state) {
    size_t count;
    const struct kl_config_key *keys = kl_config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        if (keys[i].type != KL_CONFIG_TYPE_INT) {
            continue;
        }
        const int64_t values[] = {keys[i].min - 1, keys[i].min, keys[i].max, keys[i].max + 1};
        for (size_t j = 0; j < KL_LEN(values); j++) {
            char toml[160];
            struct kl_config c;
            struct kl_err err = {0};
            snprintf(toml, sizeof(toml), "%s = %lld", keys[i].key, (long long)values[j]);
            enum kl_rc rc = load(toml, NULL, &c, &err);
            bool outside = strstr(err.msg, "must be from") !=
                           NULL; /* else refused beside another key's default */
            assert_true(outside == (j == 0 || j == 3));
            if (rc == KL_OK) {
                kl_config_deinit(&c);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_enum_places),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_listen_refused),
        cmocka_unit_test(test_file_refused),
        cmocka_unit_test(test_variables_refused),
        cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_checks_together),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_secrets_stay_hidden),
        cmocka_unit_test(test_args),
        cmocka_unit_test(test_help_is_complete),
        cmocka_unit_test(test_find_file),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
