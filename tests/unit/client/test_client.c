/* The client against a server of the test: requests, keep-alive, login and refresh, refusals,
 * hostile answers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/client.h"
#include "fake_server.h"

static struct kl_client *client_for(
    const struct fake_server *server, int timeout_ms, int cancel_fd) {
    struct kl_client_options options = {
        .timeout_ms = timeout_ms, .cancel_fd = cancel_fd, .max_response_bytes = 1 << 20};
    assert_int_equal(kl_url_from_host(KL_S("127.0.0.1"), server->port, &options.url, NULL), KL_OK);
    return kl_client_new(&options);
}

static enum kl_rc ask(
    struct kl_client *client, const char *sql, struct kl_reply *reply, struct kl_err *err) {
    struct kl_query query = {.sql = kl_slice_str(sql), .namespace_id = "app"};
    return kl_client_query(client, &query, reply, err);
}

#define EMPTY "{\"status\":\"success\",\"results\":[],\"took\":1.5}"

/* Answers with what was asked, and how often on this connection. */
static bool echo_back(int fd, const char *request, const char *body) {
    static int last_fd_count;
    static char json[8192];
    json_t *in = json_loads(body, 0, NULL);
    const char *auth = strstr(request, "Authorization: Bearer ");
    snprintf(json, sizeof(json),
        "{\"status\":\"success\",\"took\":0.5,\"results\":[{\"schema\":[{\"name\":\"sql\",\"data_"
        "type\":\"Text\"},"
        "{\"name\":\"ns\",\"data_type\":\"Text\"},{\"name\":\"n\",\"data_type\":\"Int\"},{\"name\":"
        "\"auth\",\"data_type\":\"Text\"}],"
        "\"rows\":[[\"%s\",\"%s\",%d,\"%.*s\"]],\"row_count\":1}]}",
        json_string_value(json_object_get(in, "sql")),
        json_string_value(json_object_get(in, "namespace_id")), ++last_fd_count,
        auth ? (int)strcspn(auth + 22, "\r") : 0, auth ? auth + 22 : "");
    json_decref(in);
    fake_json(fd, 200, json);
    return true;
}

static void a_query_and_its_answer(void **state) {
    struct fake_server server = fake_start(echo_back);
    struct kl_client *client = client_for(&server, 5000, -1);
    kl_client_set_token(client, "tok.en");
    for (int i = 1; i <= 3; i++) {
        struct kl_reply reply;
        struct kl_err err = {0};
        if (ask(client, "SELECT 'é'", &reply, &err) != KL_OK) {
            fail_msg("%s", err.msg);
        }
        json_t *row = json_array_get(json_object_get(json_array_get(reply.results, 0), "rows"), 0);
        assert_string_equal(json_string_value(json_array_get(row, 0)), "SELECT 'é'");
        assert_string_equal(json_string_value(json_array_get(row, 1)), "app");
        assert_int_equal(json_integer_value(json_array_get(row, 2)), i);
        assert_string_equal(json_string_value(json_array_get(row, 3)), "tok.en");
        assert_false(reply.failed);
        kl_reply_deinit(&reply);
    }
    struct kl_reply reply;
    assert_int_equal(ask(client, "bad \xff utf8", &reply, NULL), KL_E_INVALID_INPUT);
    kl_client_set_token(client, "evil\r\nX: 1");
    assert_int_equal(ask(client, "SELECT 1", &reply, NULL), KL_E_INVALID_CREDENTIALS);
    kl_client_free(client);
    fake_stop(&server);
}

static bool close_each(int fd, const char *request, const char *body) {
    fake_json(fd, 200, EMPTY);
    return false;
}

static void a_closed_connection_is_opened_again(void **state) {
    struct fake_server server = fake_start(close_each);
    struct kl_client *client = client_for(&server, 5000, -1);
    for (int i = 0; i < 5; i++) {
        struct kl_reply reply;
        struct kl_err err = {0};
        if (ask(client, "SELECT 1", &reply, &err) != KL_OK) {
            fail_msg("%s", err.msg);
        }
        assert_true(reply.took_ms == 1.5);
        kl_reply_deinit(&reply);
        usleep(20000); /* the end of the stream arrives */
    }
    kl_client_free(client);
    fake_stop(&server);
}

static bool login_server(int fd, const char *request, const char *body) {
    static int refreshes;
    if (strncmp(request, "POST /v1/api/auth/login", 23) == 0) {
        if (strcmp(body, "{\"user\":\"al\\\"ice\",\"password\":\"p w\"}") != 0) {
            fake_json(fd, 401, "{\"error\":\"unauthorized\",\"message\":\"Invalid credentials\"}");
        } else {
            fake_json(fd, 200, "{\"access_token\":\"old\",\"refresh_token\":\"ref\"}");
        }
    } else if (strncmp(request, "POST /v1/api/auth/refresh", 25) == 0) {
        bool ok = strstr(request, "Authorization: Bearer ref\r\n") != NULL && refreshes++ == 0;
        fake_json(fd, ok ? 200 : 401,
            ok ? "{\"access_token\":\"new\",\"refresh_token\":\"ref2\"}"
               : "{\"error\":\"unauthorized\",\"message\":\"no\"}");
    } else if (strstr(request, "Authorization: Bearer new\r\n") != NULL &&
               strstr(body, "again") == NULL) {
        fake_json(fd, 200, EMPTY);
    } else {
        fake_json(fd, 401,
            "{\"status\":\"error\",\"error\":{\"code\":\"TOKEN_EXPIRED\",\"message\":\"Invalid "
            "credentials\"},\"results\":[],"
            "\"took\":0.1}");
    }
    return true;
}

static void an_expired_login_is_renewed_once(void **state) {
    struct fake_server server = fake_start(login_server);
    struct kl_client *client = client_for(&server, 5000, -1);
    struct kl_err err = {0};
    struct kl_reply reply;
    assert_int_equal(kl_client_login(client, "alice", "wrong", &err), KL_E_INVALID_CREDENTIALS);
    assert_non_null(strstr(err.msg, "Invalid credentials"));
    assert_false(kl_client_can_refresh(client));
    assert_int_equal(kl_client_login(client, "al\"ice", "p w", &err), KL_OK);
    assert_true(kl_client_can_refresh(client));
    assert_int_equal(ask(client, "SELECT 1", &reply, &err), KL_OK);
    assert_false(reply.failed);
    kl_reply_deinit(&reply);
    assert_int_equal(
        ask(client, "again", &reply, &err), KL_OK); /* expired, and the refresh is refused */
    assert_true(reply.failed);
    assert_string_equal(reply.code, "TOKEN_EXPIRED");
    assert_int_equal(reply.http_status, 401);
    kl_reply_deinit(&reply);
    kl_client_free(client);
    fake_stop(&server);
}

static bool picky(int fd, const char *request, const char *body) {
    if (strstr(request, "Authorization: Bearer second\r\n") != NULL) {
        fake_json(fd, 200, EMPTY);
    } else {
        fake_json(fd, 401,
            "{\"status\":\"error\",\"error\":{\"code\":\"INVALID_CREDENTIALS\",\"message\":\"no\"},"
            "\"results\":[],\"took\":0}");
    }
    return true;
}

static bool next_token(struct kl_client *client, void *ctx) {
    const char **token = ctx;
    const char *text = *token;
    *token = NULL;
    if (text != NULL) {
        kl_client_set_token(client, text);
    }
    return text != NULL;
}

static void a_refused_token_is_replaced_once(void **state) {
    struct fake_server server = fake_start(picky);
    const char *token = "second";
    struct kl_client_options options = {.cancel_fd = -1, .renew = next_token, .renew_ctx = &token};
    assert_int_equal(kl_url_from_host(KL_S("127.0.0.1"), server.port, &options.url, NULL), KL_OK);
    struct kl_client *client = kl_client_new(&options);
    struct kl_reply reply;
    kl_client_set_token(client, "first");
    assert_int_equal(ask(client, "SELECT 1", &reply, NULL), KL_OK);
    assert_false(reply.failed);
    kl_reply_deinit(&reply);
    kl_client_set_token(client, "third");
    assert_int_equal(ask(client, "SELECT 1", &reply, NULL), KL_OK);
    assert_true(reply.failed);
    kl_reply_deinit(&reply);
    kl_client_free(client);
    fake_stop(&server);
}

static bool silent(int fd, const char *request, const char *body) {
    usleep(3000000);
    return false;
}

static void waiting_ends(void **state) {
    struct fake_server server = fake_start(silent);
    struct kl_client *client = client_for(&server, 100, -1);
    struct kl_reply reply;
    int64_t start = kl_clock_mono_ms();
    assert_int_equal(ask(client, "SELECT 1", &reply, NULL), KL_E_TIMEOUT);
    assert_true(kl_clock_mono_ms() - start < 2000);
    kl_client_free(client);
    fake_stop(&server);

    int wake[2];
    assert_int_equal(pipe(wake), 0);
    server = fake_start(silent);
    client = client_for(&server, 0, wake[0]);
    assert_int_equal(write(wake[1], "x", 1), 1);
    assert_int_equal(ask(client, "SELECT 1", &reply, NULL), KL_E_CANCELLED);
    kl_client_free(client);
    fake_stop(&server);
    struct kl_err err = {0};
    client = client_for(&server, 0, -1); /* nobody listens there now */
    assert_int_equal(ask(client, "SELECT 1", &reply, &err), KL_E_IO);
    assert_non_null(strstr(err.msg, "cannot connect"));
    kl_client_free(client);
    close(wake[0]);
    close(wake[1]);
}

static bool refuse_early(int fd, const char *request, const char *body) {
    fake_json(fd, 413, "{\"error\":\"BODY_TOO_LARGE\",\"message\":\"too much\",\"size_bytes\":1}");
    return false;
}

static void errors_of_the_layers_before_sql(void **state) {
    struct fake_server server = fake_start(refuse_early);
    struct kl_client *client = client_for(&server, 5000, -1);
    struct kl_reply reply;
    assert_int_equal(ask(client, "SELECT 1", &reply, NULL), KL_OK);
    assert_true(reply.failed);
    assert_string_equal(reply.code, "BODY_TOO_LARGE");
    assert_string_equal(reply.message, "too much");
    kl_reply_deinit(&reply);
    kl_client_free(client);
    fake_stop(&server);
}

static void check_reply(const char *body, int status, enum kl_rc want) {
    struct kl_reply reply = {0};
    struct kl_err err = {0};
    enum kl_rc rc = kl_reply_parse(kl_slice_str(body), status, &reply, &err);
    if (rc != want) {
        fail_msg("%s: %s %s", body, kl_rc_name(rc), err.msg);
    }
    if (rc == KL_OK) {
        assert_true(json_is_array(reply.results));
    } else {
        assert_true(err.msg[0] != '\0');
    }
    kl_reply_deinit(&reply);
}

static void answers_of_every_shape(void **state) {
    check_reply(EMPTY, 200, KL_OK);
    check_reply("{\"status\":\"success\",\"results\":[{\"row_count\":2,\"message\":\"x\"}],"
                "\"took\":1,\"error\":null}",
        200, KL_OK);
    check_reply("{\"status\":\"success\",\"results\":[{\"schema\":[],\"rows\":[]}]}", 200, KL_OK);
    check_reply(
        "{\"status\":\"success\",\"results\":[{\"schema\":[{\"name\":\"a\"}],\"rows\":[[1]]}]}",
        200, KL_OK);
    check_reply("{\"error\":\"X\",\"message\":\"y\"}", 429, KL_OK);
    check_reply("{\"error\":{\"code\":7}}", 500, KL_OK);
    check_reply("", 200, KL_E_CORRUPT);
    check_reply("", 502, KL_E_IO);
    check_reply("<html>", 404, KL_E_IO);
    check_reply("[]", 200, KL_E_CORRUPT);
    check_reply("{}", 200, KL_E_CORRUPT);
    check_reply("{\"status\":\"success\"}", 200, KL_E_CORRUPT);
    check_reply("{\"status\":7,\"results\":[]}", 200, KL_E_CORRUPT);
    check_reply("{\"status\":\"success\",\"results\":{}}", 200, KL_E_CORRUPT);
    check_reply("{\"status\":\"success\",\"results\":[1]}", 200, KL_E_CORRUPT);
    check_reply("{\"status\":\"success\",\"results\":[{\"schema\":[{\"name\":\"a\"}]}]}", 200,
        KL_E_CORRUPT);
    check_reply("{\"status\":\"success\",\"results\":[{\"rows\":[]}]}", 200, KL_E_CORRUPT);
    check_reply("{\"status\":\"success\",\"results\":[{\"schema\":[{\"name\":1}],\"rows\":[]}]}",
        200, KL_E_CORRUPT);
    check_reply(
        "{\"status\":\"success\",\"results\":[{\"schema\":[{\"name\":\"a\"}],\"rows\":[[1,2]]}]}",
        200, KL_E_CORRUPT);
    check_reply(
        "{\"status\":\"success\",\"results\":[{\"schema\":[{\"name\":\"a\"}],\"rows\":[1]}]}", 200,
        KL_E_CORRUPT);
    check_reply(
        "{\"status\":\"success\",\"results\":[{\"schema\":{},\"rows\":[]}]}", 200, KL_E_CORRUPT);
    check_reply(
        "{\"status\":\"error\",\"error\":{\"code\":\"X\"},\"results\":7}", 200, KL_E_CORRUPT);
}

static void an_error_carries_its_place(void **state) {
    struct kl_reply reply;
    const char *body = "{\"status\":\"error\",\"results\":[],\"took\":0.4,\"error\":{\"code\":"
                       "\"INVALID_SQL\",\"message\":"
                       "\"no\",\"position\":8,\"hint\":\"try\"}}";
    assert_int_equal(kl_reply_parse(kl_slice_str(body), 400, &reply, NULL), KL_OK);
    assert_int_equal(reply.position, 8);
    assert_string_equal(reply.hint, "try");
    kl_reply_deinit(&reply);
    body = "{\"status\":\"error\",\"results\":[],\"error\":{\"position\":-3}}";
    assert_int_equal(kl_reply_parse(kl_slice_str(body), 400, &reply, NULL), KL_OK);
    assert_int_equal(reply.position, 0);
    assert_null(reply.hint);
    kl_reply_deinit(&reply);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_and_its_answer),
        cmocka_unit_test(a_closed_connection_is_opened_again),
        cmocka_unit_test(an_expired_login_is_renewed_once),
        cmocka_unit_test(a_refused_token_is_replaced_once),
        cmocka_unit_test(waiting_ends),
        cmocka_unit_test(errors_of_the_layers_before_sql),
        cmocka_unit_test(answers_of_every_shape),
        cmocka_unit_test(an_error_carries_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
