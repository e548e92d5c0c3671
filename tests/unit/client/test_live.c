/* Live queries against a WebSocket server of the test: load, changes, compressed and fragmented
 * messages, pings, resume after a loss, hostile messages. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/internal.h"
#include "fake_server.h"

static void send_frame(int fd, int first, struct kl_slice payload) {
    struct kl_buf out = {0};
    kl_buf_u8(&out, (uint8_t)first);
    if (payload.len < 126) {
        kl_buf_u8(&out, (uint8_t)payload.len);
    } else {
        kl_buf_u8(&out, 126);
        kl_buf_be16(&out, (uint16_t)payload.len);
    }
    kl_buf_slice(&out, payload);
    fake_write(fd, out.data, out.len);
    kl_buf_deinit(&out);
}

static void send_text(int fd, const char *text) {
    send_frame(fd, 0x81, kl_slice_str(text));
}

static bool accept_ws(int fd, const char *request) {
    const char *key = strstr(request, "Sec-WebSocket-Key: ");
    char name[64], accept[29], head[300];
    if (key == NULL || strstr(request, "Authorization: Bearer good\r\n") == NULL) {
        fake_json(fd, 401, "{}");
        return false;
    }
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(key + 19, "\r"), key + 19);
    kl_ws__accept(name, accept);
    int n = snprintf(head, sizeof(head),
        "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        "%s\r\n\r\n",
        accept);
    fake_write(fd, head, (size_t)n);
    send_text(fd, "{\"type\":\"auth_success\",\"user\":\"root\",\"role\":\"system\"}");
    return true;
}

static bool recv_all(int fd, uint8_t *to, size_t n) {
    for (size_t got = 0; got < n;) {
        ssize_t r = recv(fd, to + got, n - got, 0);
        if (r <= 0) {
            return false;
        }
        got += (size_t)r;
    }
    return true;
}

/* The next frame of the client, unmasked; its opcode, or -1. */
static int read_frame(int fd, char *ret, size_t size) {
    uint8_t head[8], mask[4];
    if (!recv_all(fd, head, 2) || (head[1] & 0x80) == 0) {
        return -1;
    }
    int op = head[0] & 15;
    size_t n = head[1] & 127;
    if (n == 126) {
        if (!recv_all(fd, head, 2)) {
            return -1;
        }
        n = (size_t)head[0] << 8 | head[1];
    }
    if (n >= size || !recv_all(fd, mask, 4) || !recv_all(fd, (uint8_t *)ret, n)) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        ret[i] ^= (char)mask[i & 3];
    }
    ret[n] = '\0';
    return op;
}

#define ACK                                                                                        \
    "{\"type\":\"subscription_ack\",\"subscription_id\":\"s1\",\"total_rows\":0,\"batch_"          \
    "control\":{\"batch_num\":0,"                                                                  \
    "\"has_more\":true,\"status\":\"loading\",\"last_seq_id\":900},\"schema\":[{\"name\":\"id\","  \
    "\"data_type\":\"BigInt\","                                                                    \
    "\"index\":0,\"flags\":[\"pk\"]},{\"name\":\"_seq\",\"data_type\":\"BigInt\",\"index\":1}]}"
#define BATCH(rows, more, seq)                                                                     \
    "{\"type\":\"initial_data_batch\",\"subscription_id\":\"s1\",\"rows\":[" rows                  \
    "],\"batch_control\":"                                                                         \
    "{\"has_more\":" more ",\"last_seq_id\":" seq "}}"

static void send_gzip(int fd, const char *text) {
    struct kl_buf packed = {0};
    kl_gzip(kl_slice_str(text), &packed);
    send_frame(fd, 0x82, kl_buf_view(&packed));
    kl_buf_deinit(&packed);
}

/* First connection: two batches, changes, then it breaks. Second: must be asked from the last
 * _seq. */
static bool story(int fd, const char *request, const char *body) {
    static int connections;
    char text[4096];
    if (!accept_ws(fd, request) || read_frame(fd, text, sizeof(text)) != KL_WS_TEXT) {
        return false;
    }
    json_t *in = json_loads(text, 0, NULL), *subscription = json_object_get(in, "subscription");
    json_t *options = json_object_get(subscription, "options");
    json_int_t from = json_integer_value(json_object_get(options, "from"));
    json_int_t last_rows = json_integer_value(json_object_get(options, "last_rows"));
    bool named = strcmp(json_string_value(json_object_get(subscription, "id")), "s1") == 0;
    json_decref(in);
    send_text(fd, ACK);
    if (++connections == 1) {
        if (last_rows != 7 || from != 0 || !named) {
            return false;
        }
        send_gzip(fd, BATCH("{\"id\":\"1\",\"_seq\":\"100\"}", "true", "900"));
        if (read_frame(fd, text, sizeof(text)) != KL_WS_TEXT ||
            strstr(text, "next_batch") == NULL) {
            return false;
        }
        send_frame(fd, 0x01,
            KL_S("{\"type\":\"initial_data_batch\",\"subscription_id\":\"s1\",\"rows\":[],"));
        send_frame(fd, 0x89, KL_S("are you there"));
        send_frame(
            fd, 0x80, KL_S("\"batch_control\":{\"has_more\":false,\"last_seq_id\":\"150\"}}"));
        if (read_frame(fd, text, sizeof(text)) != KL_WS_PONG ||
            strcmp(text, "are you there") != 0) {
            return false;
        }
        send_text(fd, "{\"type\":\"news\",\"subscription_id\":\"s1\"}");
        send_text(fd, "{\"type\":\"change\",\"subscription_id\":\"other\",\"change_type\":"
                      "\"insert\",\"rows\":[{\"_seq\":\"999\"}]}");
        send_text(fd, "{\"type\":\"change\",\"subscription_id\":\"s1\",\"change_type\":\"update\","
                      "\"rows\":[{\"id\":\"1\",\"_seq\":"
                      "\"200\"}],\"old_values\":[{\"id\":\"1\",\"_seq\":\"100\"}]}");
        return false;
    }
    snprintf(text, sizeof(text),
        "{\"type\":\"change\",\"subscription_id\":\"s1\",\"change_type\":\"delete\",\"old_values\":"
        "[{\"id\":\"%lld\",\"_seq\":"
        "\"300\"}]}",
        (long long)from);
    send_text(fd, text);
    send_text(fd, "{\"type\":\"error\",\"subscription_id\":\"s1\",\"code\":\"SCHEMA_CHANGED\","
                  "\"message\":\"gone\"}");
    while (read_frame(fd, text, sizeof(text)) >= 0) {
    }
    return false;
}

static struct kl_client *client_for(const struct fake_server *server, const char *token) {
    struct kl_client_options options = {.cancel_fd = -1};
    assert_int_equal(kl_url_from_host(KL_S("127.0.0.1"), server->port, &options.url, NULL), KL_OK);
    struct kl_client *client = kl_client_new(&options);
    kl_client_set_token(client, token);
    return client;
}

static void expect(struct kl_live *live, enum kl_live_kind kind, struct kl_live_event *event) {
    struct kl_err err = {0};
    enum kl_rc rc = kl_live_next(live, 5000, event, &err);
    if (rc != KL_OK || event->kind != kind) {
        fail_msg("%s %s: kind %d, not %d", kl_rc_name(rc), err.msg, event->kind, kind);
    }
}

static void the_whole_story(void **state) {
    struct fake_server server = fake_start(story);
    struct kl_client *client = client_for(&server, "good");
    json_t *options = json_pack("{s:i}", "last_rows", 7);
    struct kl_live_options live_options = {
        .id = "s1", .sql = "SELECT * FROM a.b", .options = options};
    struct kl_live *live = NULL;
    struct kl_live_event e = {0};
    struct kl_err err = {0};
    if (kl_live_start(client, &live_options, &live, &err) != KL_OK) {
        fail_msg("%s", err.msg);
    }
    json_decref(options);
    expect(live, KL_LIVE_ACK, &e);
    assert_int_equal(json_array_size(e.schema), 2);
    expect(live, KL_LIVE_ROWS, &e);
    assert_false(e.ready);
    assert_int_equal(json_array_size(e.rows), 1);
    expect(live, KL_LIVE_ROWS, &e);
    assert_true(e.ready);
    expect(live, KL_LIVE_UPDATE, &e);
    assert_int_equal(json_array_size(e.old_values), 1);
    expect(live, KL_LIVE_LOST, &e);
    assert_true(e.message[0] != '\0');
    expect(live, KL_LIVE_ACK, &e);
    expect(live, KL_LIVE_DELETE, &e); /* its id is the `from` that the server was asked for */
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(e.old_values, 0), "id")), "200");
    assert_int_equal(kl_live_next(live, 5000, &e, &err), KL_E_EXEC);
    assert_non_null(strstr(err.msg, "SCHEMA_CHANGED"));
    kl_live_free(live);
    kl_client_free(client);
    fake_stop(&server);
}

static void a_wrong_token_ends_it(void **state) {
    struct fake_server server = fake_start(story);
    struct kl_client *client = client_for(&server, "bad");
    struct kl_live_options options = {.sql = "SELECT 1"};
    struct kl_live *live = NULL;
    struct kl_err err = {0};
    assert_int_equal(kl_live_start(client, &options, &live, &err), KL_E_INVALID_CREDENTIALS);
    assert_null(live);
    kl_client_free(client);
    fake_stop(&server);
}

static const char *const hostile[] = {
    "\x81\x03{}}",
    "\x81\x02[]",
    "\x81\x02{}",
    "\x81\x05hello",
    "\x81\x02\xff\xfe",
    "\x82\x03zip",
    "\x80\x01x",
    "\xC1\x01x",
    "\x01\x01{\x81\x01}",
    "\x81\x81"
    "aaaaa",
    "{\"type\":\"change\",\"subscription_id\":\"s1\",\"change_type\":\"x\"}",
    "{\"type\":\"subscription_ack\",\"subscription_id\":\"s1\"}",
};

static bool hostile_server(int fd, const char *request, const char *body) {
    static size_t next;
    char text[4096];
    if (!accept_ws(fd, request) || read_frame(fd, text, sizeof(text)) != KL_WS_TEXT) {
        return false;
    }
    const char *bytes = hostile[next++ % KL_LEN(hostile)];
    if (bytes[0] == '{') {
        send_text(fd, bytes);
    } else {
        fake_write(fd, bytes, strlen(bytes));
    }
    usleep(50000);
    while (read_frame(fd, text, sizeof(text)) >= 0) {
    }
    return false;
}

static void hostile_messages_are_errors(void **state) {
    struct fake_server server = fake_start(hostile_server);
    struct kl_client *client = client_for(&server, "good");
    for (size_t i = 0; i < KL_LEN(hostile); i++) {
        struct kl_live_options options = {.id = "s1", .sql = "SELECT 1"};
        struct kl_live *live = NULL;
        struct kl_live_event e;
        struct kl_err err = {0};
        assert_int_equal(kl_live_start(client, &options, &live, &err), KL_OK);
        enum kl_rc rc = kl_live_next(live, 2000, &e, &err);
        if (rc != KL_E_CORRUPT) {
            fail_msg("%zu: %s %s", i, kl_rc_name(rc), err.msg);
        }
        assert_true(err.msg[0] != '\0');
        kl_live_free(live);
    }
    kl_client_free(client);
    fake_stop(&server);
}

static bool quiet_server(int fd, const char *request, const char *body) {
    char text[4096];
    if (!accept_ws(fd, request)) {
        return false;
    }
    while (read_frame(fd, text, sizeof(text)) >= 0) {
    }
    return false;
}

static void silence_is_a_timeout(void **state) {
    struct fake_server server = fake_start(quiet_server);
    struct kl_client *client = client_for(&server, "good");
    struct kl_live_options options = {.sql = "SELECT 1"};
    struct kl_live *live = NULL;
    struct kl_live_event e;
    assert_int_equal(kl_live_start(client, &options, &live, NULL), KL_OK);
    assert_int_equal(kl_live_next(live, 0, &e, NULL), KL_E_TIMEOUT);
    assert_int_equal(kl_live_next(live, 50, &e, NULL), KL_E_TIMEOUT);
    kl_live_free(live);
    kl_client_free(client);
    fake_stop(&server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_story),
        cmocka_unit_test(a_wrong_token_ends_it),
        cmocka_unit_test(hostile_messages_are_errors),
        cmocka_unit_test(silence_is_a_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
