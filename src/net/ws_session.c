/* What WebSocket messages mean: authenticate, subscribe, next_batch, unsubscribe, ping, and the
 * two older forms of subscribe.
 *
 * Replies go through the live client's queue as soon as there is one, so that they keep their
 * place among the frames of live queries. A message that cannot be carried out is an `error`
 * with the id of its subscription; only what is no JSON at all ends the connection. */
#include "net/internal.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#define TOKEN_MAX 8192
#define ID_MAX 512

static struct kl_slice text_of(const json_t *v) {
    return json_is_string(v) ? kl_slice(json_string_value(v), json_string_length(v))
                             : KL_SLICE_NONE;
}

static struct kl_slice get_text(const json_t *o, const char *key) {
    return text_of(json_object_get(o, key));
}

void kl_net__ws_error(
    struct kl_net__ws *ws, struct kl_slice id, const char *code, const char *message) {
    if (ws->client && !ws->closing && strcmp(code, "TOKEN_EXPIRED") != 0) {
        kl_live_client_error(ws->client, id, code, kl_slice_str(message));
        return;
    }
    /* no client, or the last words before the close frame: past the queue */
    struct kl_live_client *client = ws->client;
    struct kl_buf b = {0};
    kl_buf_puts(&b, "{\"type\":\"error\",\"subscription_id\":");
    kl_json_str(&b, id);
    kl_buf_puts(&b, ",\"code\":");
    kl_json_str(&b, kl_slice_str(code));
    kl_buf_puts(&b, ",\"message\":");
    kl_json_str(&b, kl_slice_str(message));
    kl_buf_putc(&b, '}');
    ws->client = NULL;
    kl_net__ws_send(ws, kl_buf_view(&b));
    ws->client = client;
    kl_buf_deinit(&b);
}

/* ---- authentication ---- */

static void refuse(struct kl_net__ws *ws, const char *message) {
    struct kl_buf b = {0};
    kl_buf_puts(&b, "{\"type\":\"auth_error\",\"message\":");
    kl_json_str(&b, kl_slice_str(message));
    kl_buf_putc(&b, '}');
    kl_net__ws_send(ws, kl_buf_view(&b));
    kl_buf_deinit(&b);
    kl_net__ws_close(ws, 1008, "Authentication failed");
}

static void put_success(
    const struct kl_net__ws *ws, struct kl_slice user, enum kl_role role, struct kl_buf *b) {
    kl_buf_puts(b, "{\"type\":\"auth_success\",\"user\":");
    kl_json_str(b, user);
    kl_buf_printf(b,
        ",\"role\":\"%s\",\"protocol\":{\"serialization\":\"json\",\"compression\":\"%s\"}}",
        kl_role_name(role), ws->gzip ? "gzip" : "none");
}

static void remember_token(struct kl_net__ws *ws, struct kl_slice token) {
    if (ws->token && ws->token == token.ptr) {
        return;
    }
    char *copy = kl_xmalloc(token.len + 1);
    memcpy(copy, token.ptr, token.len);
    free(ws->token);
    ws->token = copy;
    ws->token_len = (uint32_t)token.len;
}

static void begin_session(
    struct kl_net__ws *ws, struct kl_slice token, const struct kl_net__identity *who) {
    char ip[KL_IP_TEXT_MAX];
    struct kl_buf b = {0};
    kl_ip_format(&ws->ip, ip);
    struct kl_session session = {.user = who->user,
        .role = who->role,
        .actor = who->user,
        .actor_role = who->role,
        .ns = KL_S("default"),
        .client_ip = kl_slice_str(ip)};
    struct kl_live_client_ops ops = kl_net__ws_ops;
    ops.ctx = ws;
    ws->expires_s = who->expires_s;
    remember_token(ws, token);
    put_success(ws, who->user, who->role, &b);
    if (!ws->client) {
        ws->client = kl_live_client_new(
            ws->loop->net->o.live, ws->loop->engine, ws->loop->loop, &session, &ops);
    }
    kl_net__ws_send(ws, kl_buf_view(&b));
    kl_buf_deinit(&b);
}

static enum kl_rc check(struct kl_net__ws *ws, struct kl_slice token, struct kl_arena *arena,
    struct kl_net__identity *who, struct kl_err *err) {
    ws->generation = kl_tokens_generation(ws->loop->net->o.tokens);
    if (!token.len || token.len > TOKEN_MAX) {
        return kl_fail(err, KL_E_INVALID_CREDENTIALS, "Invalid credentials");
    }
    return kl_net__check_token(ws->loop, token, ws->local, arena, who, err);
}

void kl_net__ws_authenticate(struct kl_net__ws *ws, struct kl_slice token) {
    struct kl_net__identity who;
    struct kl_arena arena;
    struct kl_err err = {0};
    if (!kl_net__admit_auth(ws->loop, &ws->ip, ws->local)) {
        refuse(ws, "Too many authentication attempts. Please slow down.");
        return;
    }
    kl_arena_init(&arena, 1u << 20);
    enum kl_rc rc = check(ws, token, &arena, &who, &err);
    if (rc != KL_OK) {
        refuse(ws, rc == KL_E_TOKEN_EXPIRED ? "Token expired" : "Invalid credentials");
    } else {
        begin_session(ws, token, &who);
    }
    kl_arena_deinit(&arena);
}

void kl_net__ws_recheck(struct kl_net__ws *ws) {
    struct kl_net__identity who;
    struct kl_arena arena;
    struct kl_err err = {0};
    kl_arena_init(&arena, 1u << 20);
    if (check(ws, kl_slice(ws->token, ws->token_len), &arena, &who, &err) != KL_OK) {
        kl_net__ws_close(ws, 1008, "Authentication failed");
    }
    kl_arena_deinit(&arena);
}

static void on_authenticate(struct kl_net__ws *ws, const json_t *m) {
    struct kl_slice method = get_text(m, "method");
    if (method.ptr && !kl_slice_eq(method, KL_S("jwt"))) {
        refuse(ws, "Only the method jwt is supported");
        return;
    }
    const json_t *protocol = json_object_get(m, "protocol");
    struct kl_slice compression = get_text(protocol, "compression");
    if (!ws->client && kl_slice_eq(compression, KL_S("none"))) {
        ws->gzip = false;
    }
    if (!ws->client) {
        kl_net__ws_authenticate(ws, get_text(m, "token"));
        return;
    }
    /* again: a newer token of the same user prolongs the session, whatever it is, the answer
     * says who this is */
    struct kl_net__identity who, now;
    struct kl_arena arena;
    struct kl_err err = {0};
    kl_arena_init(&arena, 1u << 20);
    struct kl_slice token = get_text(m, "token"), old = kl_slice(ws->token, ws->token_len);
    if (check(ws, old, &arena, &who, &err) != KL_OK ||
        check(ws, token, &arena, &now, &err) != KL_OK || !kl_slice_eq(who.user, now.user) ||
        who.role != now.role) {
        refuse(ws, "Invalid credentials");
    } else {
        begin_session(ws, token, &now);
    }
    kl_arena_deinit(&arena);
}

/* ---- subscriptions ---- */

static bool get_number(const json_t *v, int64_t max, int64_t *ret) {
    int64_t n;
    if (json_is_integer(v)) {
        n = json_integer_value(v);
    } else if (!json_is_string(v) || !kl_parse_i64(text_of(v), &n)) {
        return false;
    }
    *ret = n;
    return n >= 0 && n <= max;
}

/* NULL, or what is wrong with the options. */
static const char *read_options(const json_t *options, struct kl_live_subscribe *s) {
    const json_t *v;
    s->from = s->last_rows = s->batch_size = -1;
    s->snapshot = false;
    if (!options || json_is_null(options)) {
        return NULL;
    }
    if (!json_is_object(options)) {
        return "options must be an object";
    }
    s->snapshot = true;
    v = json_object_get(options, "from");
    v = v ? v : json_object_get(options, "from_seq_id");
    if (v && !json_is_null(v) && !get_number(v, INT64_MAX, &s->from)) {
        return "options.from must be a sequence number";
    }
    v = json_object_get(options, "last_rows");
    if (v && !json_is_null(v) && !get_number(v, UINT32_MAX, &s->last_rows)) {
        return "options.last_rows must be a number";
    }
    v = json_object_get(options, "batch_size");
    if (v && !json_is_null(v) &&
        (!get_number(v, UINT32_MAX, &s->batch_size) || s->batch_size < 1)) {
        return "options.batch_size must be a positive number";
    }
    return NULL;
}

static void subscribe_one(
    struct kl_net__ws *ws, struct kl_slice id, struct kl_slice sql, const json_t *options) {
    struct kl_live_subscribe s = {.id = id, .sql = sql};
    if (!kl_slice_trim(id).len || id.len > ID_MAX) {
        kl_net__ws_error(ws, KL_S("invalid_subscription"), "INVALID_SUBSCRIPTION_ID",
            "The subscription id is blank or too long");
        return;
    }
    if (!ws->client) {
        kl_net__ws_error(ws, id, "AUTH_REQUIRED", "Authentication is required before subscribing");
        return;
    }
    const char *problem = sql.ptr ? read_options(options, &s) : "sql is missing";
    if (problem) {
        kl_net__ws_error(ws, id, sql.ptr ? "PROTOCOL" : "INVALID_SQL", problem);
        return;
    }
    kl_live_subscribe(ws->client, &s);
}

/* {"subscriptions": [{"query_id", "sql", "options"}, ...]} */
static void subscribe_list(struct kl_net__ws *ws, const json_t *list) {
    size_t i;
    json_t *item;
    if (!json_is_array(list)) {
        kl_net__ws_error(ws, KL_S("protocol"), "PROTOCOL", "subscriptions must be an array");
        return;
    }
    json_array_foreach(list, i, item) {
        struct kl_slice id = get_text(item, "query_id");
        subscribe_one(ws, id.ptr ? id : get_text(item, "id"), get_text(item, "sql"),
            json_object_get(item, "options"));
    }
}

static void follow_table(struct kl_net__ws *ws, const struct kl_table *t, int64_t from) {
    struct kl_buf sql = {0};
    kl_buf_printf(&sql, "SELECT * FROM \"%s\".\"%s\"", t->ns, t->name);
    struct kl_live_subscribe s = {.id = t->qualified,
        .sql = kl_buf_view(&sql),
        .snapshot = true,
        .from = from,
        .last_rows = -1,
        .batch_size = -1};
    kl_live_subscribe(ws->client, &s);
    kl_buf_deinit(&sql);
}

/* {"type":"subscribe","userId","lastMsgId"}: every USER table of the caller from that _seq. */
static void follow_all(struct kl_net__ws *ws, const json_t *m) {
    struct kl_net__identity who;
    struct kl_arena arena;
    struct kl_err err = {0};
    struct kl_slice user = get_text(m, "userId");
    const json_t *last = json_object_get(m, "lastMsgId");
    int64_t from = -1;
    struct kl_slice id = KL_S("all");
    if (!ws->client) {
        kl_net__ws_error(ws, id, "AUTH_REQUIRED", "Authentication is required before subscribing");
        return;
    }
    if (last && !json_is_null(last) && !get_number(last, INT64_MAX, &from)) {
        kl_net__ws_error(ws, id, "PROTOCOL", "lastMsgId must be a sequence number");
        return;
    }
    kl_arena_init(&arena, 1u << 20);
    bool same = check(ws, kl_slice(ws->token, ws->token_len), &arena, &who, &err) == KL_OK &&
                (!user.ptr || kl_slice_eq(user, who.user));
    kl_arena_deinit(&arena);
    if (!same) {
        kl_net__ws_error(ws, id, "UNAUTHORIZED", "userId is not the authenticated user");
        return;
    }
    struct kl_cat *cat = kl_catalog_acquire(kl_engine_catalog(ws->loop->net->o.engine));
    for (size_t i = 0; i < kl_cat_n_tables(cat); i++) {
        const struct kl_table *t = kl_cat_table_at(cat, i);
        if (t->type == KL_TABLE_USER) {
            follow_table(ws, t, from);
        }
    }
    kl_cat_release(cat);
}

static void on_subscribe(struct kl_net__ws *ws, const json_t *m) {
    const json_t *s = json_object_get(m, "subscription");
    if (json_is_object(s)) {
        subscribe_one(ws, get_text(s, "id"), get_text(s, "sql"), json_object_get(s, "options"));
    } else if (json_object_get(m, "subscriptions")) {
        subscribe_list(ws, json_object_get(m, "subscriptions"));
    } else if (json_object_get(m, "userId") || json_object_get(m, "lastMsgId")) {
        follow_all(ws, m);
    } else {
        kl_net__ws_error(
            ws, KL_S("invalid_subscription"), "INVALID_SUBSCRIPTION_ID", "subscription is missing");
    }
}

/* ---- dispatch ---- */

static void dispatch(struct kl_net__ws *ws, const json_t *m) {
    struct kl_slice type = get_text(m, "type");
    if (!type.ptr && json_object_get(m, "subscriptions")) {
        subscribe_list(ws, json_object_get(m, "subscriptions"));
    } else if (kl_slice_eq(type, KL_S("authenticate"))) {
        on_authenticate(ws, m);
    } else if (kl_slice_eq(type, KL_S("subscribe"))) {
        on_subscribe(ws, m);
    } else if (kl_slice_eq(type, KL_S("unsubscribe"))) {
        struct kl_slice id = get_text(m, "subscription_id");
        if (ws->client && id.ptr) {
            kl_live_unsubscribe(ws->client, id);
        }
    } else if (!kl_slice_eq(type, KL_S("next_batch")) && !kl_slice_eq(type, KL_S("ping"))) {
        /* batches are pushed as the socket drains: asking for the next one is a no-op, a ping
         * only counts as life */
        kl_net__ws_error(ws, KL_S("protocol"), "PROTOCOL", "Unknown message type");
    }
}

static bool over_rate(struct kl_net__ws *ws) {
    uint32_t limit = ws->loop->net->o.ws_messages_per_sec, now = kl_net__now_s(ws->loop);
    if (ws->rate_s != now) {
        ws->rate_s = now;
        ws->rate_n = 0;
    }
    return limit && ++ws->rate_n > limit;
}

void kl_net__ws_message(struct kl_net__ws *ws, struct kl_slice text) {
    json_error_t problem;
    if (over_rate(ws)) {
        kl_net__ws_error(ws, KL_S("rate_limit"), "RATE_LIMIT_EXCEEDED",
            "Too many messages per second. Please slow down.");
        return;
    }
    json_t *m = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &problem);
    if (!m) {
        kl_net__ws_close(ws, 1011, "The message is not valid JSON");
        return;
    }
    if (json_is_object(m)) {
        dispatch(ws, m);
    } else {
        kl_net__ws_error(ws, KL_S("protocol"), "PROTOCOL", "A message must be a JSON object");
    }
    json_decref(m);
}
