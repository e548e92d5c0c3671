/* Who is asking: bearer tokens, the local root token, Basic credentials.
 *
 * A token that was checked is remembered per loop until users or revocations change (the tokens'
 * generation) or it expires, so that a request costs a hash and a comparison. Basic credentials
 * cost a password hash and are checked in the pool; a success is remembered for five minutes
 * under a keyed digest. Both need loopback: neither may cross a network in clear. */
#include "net/internal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <time.h>

#define BASIC_CACHE_S 300
#define BASIC_MAX 1024 /* bytes of base64 */

static int64_t now_s(void) {
    return time(NULL); /* cheaper than a clock that knows more */
}

static bool is_root_token(const struct kl_net *n, struct kl_slice token) {
    return n->root_token_len > 0 && token.len == n->root_token_len &&
           CRYPTO_memcmp(token.ptr, n->root_token, token.len) == 0;
}

static enum kl_rc from_cached(const struct kl_cached_session *s, struct kl_arena *arena,
    struct kl_net__identity *ret, struct kl_err *err) {
    struct kl_slice user = kl_arena_dup(arena, s->user);
    if (!user.ptr) {
        return kl_fail(err, KL_E_NOMEM, "out of memory");
    }
    *ret = (struct kl_net__identity){.user = user, .role = s->role, .expires_s = s->expires_s};
    return KL_OK;
}

static enum kl_rc verify_token(struct kl_net__loop *l, struct kl_slice token, uint64_t generation,
    struct kl_arena *arena, struct kl_net__identity *ret, struct kl_err *err) {
    struct kl_token_claims claims;
    struct kl_user user;
    KL_TRY(kl_auth_token(
        l->net->o.tokens, l->net->o.store, token, KL_TOKEN_ACCESS, arena, &claims, &user, err));
    *ret = (struct kl_net__identity){
        .user = user.id, .role = user.role, .expires_s = claims.expires_s};
    kl_session_cache_put(l->sessions, token,
        &(struct kl_cached_session){.user = user.id,
            .role = user.role,
            .expires_s = claims.expires_s,
            .generation = generation});
    return KL_OK;
}

enum kl_rc kl_net__check_token(struct kl_net__loop *l, struct kl_slice token, bool local,
    struct kl_arena *arena, struct kl_net__identity *ret, struct kl_err *err) {
    struct kl_cached_session cached;
    if (is_root_token(l->net, token)) {
        if (!local) {
            return kl_fail(err, KL_E_INVALID_CREDENTIALS, "Invalid credentials");
        }
        *ret = (struct kl_net__identity){
            .user = KL_S("root"), .role = KL_ROLE_SYSTEM, .expires_s = INT64_MAX};
        return KL_OK;
    }
    uint64_t generation =
        kl_tokens_generation(l->net->o.tokens); /* before what it covers is read */
    if (kl_session_cache_get(l->sessions, token, generation, now_s(), &cached)) {
        return from_cached(&cached, arena, ret, err);
    }
    return verify_token(l, token, generation, arena, ret, err);
}

static void fail(struct kl_net__request *r, enum kl_rc rc, const char *message) {
    struct kl_err err = {0};
    kl_fail(&err, rc, "%s", message);
    kl_net__respond_failure(r, rc, &err);
}

static void accept_session(struct kl_net__request *r, const struct kl_net__identity *who) {
    r->session = (struct kl_session){.user = who->user,
        .role = who->role,
        .actor = who->user,
        .actor_role = who->role,
        .ns = KL_S("default"),
        .request_id = kl_slice_str(r->id),
        .client_ip = kl_slice_str(r->ip_text)};
    r->session_expires_s = who->expires_s;
    r->authenticated(r);
}

/* ---- Basic ---- */

static void basic_digest(const struct kl_net *n, struct kl_slice credentials, uint8_t out[32]) {
    unsigned len = 32;
    KL_ASSERT(HMAC(EVP_sha256(), n->basic_key, sizeof n->basic_key,
                  (const unsigned char *)credentials.ptr, credentials.len, out, &len) != NULL);
}

struct basic {
    struct kl_net__request *r;
    uint64_t generation;
    uint8_t digest[32];
};

static void on_login(struct kl_auth_op *op) {
    struct basic *b = op->ctx;
    struct kl_net__request *r = b->r;
    struct kl_net__loop *l = r->loop;
    if (op->rc == KL_OK && b->generation == kl_tokens_generation(l->net->o.tokens)) {
        kl_session_cache_put(l->sessions, kl_slice(b->digest, sizeof b->digest),
            &(struct kl_cached_session){.user = op->record.id,
                .role = op->record.role,
                .expires_s = now_s() + BASIC_CACHE_S,
                .generation = b->generation});
    }
    if (!kl_net__request_release(r)) {
        return;
    }
    if (op->rc != KL_OK) {
        kl_net__respond_failure(r, op->rc, &op->err);
        return;
    }
    accept_session(r,
        &(struct kl_net__identity){
            .user = op->record.id, .role = op->record.role, .expires_s = now_s() + BASIC_CACHE_S});
}

/* user:password from the arena; false when it is none. */
static bool decode_basic(struct kl_net__request *r, struct kl_slice text, struct kl_slice *user,
    struct kl_slice *password) {
    struct kl_buf raw = {0};
    bool ok = text.len <= BASIC_MAX && kl_base64_decode(&raw, text, false) && !raw.failed;
    struct kl_slice pair = ok ? kl_arena_dup(&r->arena, kl_buf_view(&raw)) : KL_SLICE_NONE;
    OPENSSL_cleanse(raw.data, raw.len);
    kl_buf_deinit(&raw);
    const char *colon = pair.len ? memchr(pair.ptr, ':', pair.len) : NULL;
    if (!colon) {
        return false;
    }
    *user = kl_slice(pair.ptr, (size_t)(colon - pair.ptr));
    *password = kl_slice_from(pair, user->len + 1);
    return true;
}

static void basic(struct kl_net__request *r, struct kl_slice text) {
    struct kl_net__loop *l = r->loop;
    struct kl_slice user, password;
    struct kl_cached_session cached;
    struct basic *b = KL_ARENA_NEW(&r->arena, struct basic);
    if (!r->local || !b || !decode_basic(r, text, &user, &password)) {
        fail(r, KL_E_INVALID_CREDENTIALS, "Invalid credentials");
        return;
    }
    b->r = r;
    b->generation = kl_tokens_generation(l->net->o.tokens);
    basic_digest(l->net, text, b->digest);
    if (kl_session_cache_get(
            l->sessions, kl_slice(b->digest, sizeof b->digest), b->generation, now_s(), &cached)) {
        struct kl_net__identity who = {0};
        struct kl_err err = {0};
        enum kl_rc rc = from_cached(&cached, &r->arena, &who, &err);
        if (rc != KL_OK) {
            kl_net__respond_failure(r, rc, &err);
        } else {
            accept_session(r, &who);
        }
        return;
    }
    r->auth = (struct kl_auth_op){.kind = KL_AUTH_LOGIN,
        .user = user,
        .password = password,
        .loopback = true,
        .arena = &r->arena,
        .done = on_login,
        .ctx = b};
    kl_net__request_hold(r);
    kl_engine_auth(l->engine, &r->auth);
}

void kl_net__authenticate(struct kl_net__request *r, void (*next)(struct kl_net__request *r)) {
    struct kl_slice header = r->headers.authorization;
    r->authenticated = next;
    r->session = (struct kl_session){.role = KL_ROLE_ANONYMOUS, .actor_role = KL_ROLE_ANONYMOUS};
    kl_net__clear_exec(r);
    if (!kl_net__serving(r)) {
        return;
    }
    if (!header.len) {
        fail(r, KL_E_MISSING_AUTHORIZATION, "Authentication required");
        return;
    }
    struct kl_slice credentials = kl_auth_scheme(header, "Basic");
    if (credentials.ptr) {
        basic(r, credentials);
        return;
    }
    struct kl_slice token = kl_auth_scheme(header, "Bearer");
    struct kl_net__identity who = {0};
    struct kl_err *err = &r->exec.err;
    enum kl_rc rc = token.ptr ? kl_net__check_token(r->loop, token, r->local, &r->arena, &who, err)
                              : kl_fail(err, KL_E_INVALID_CREDENTIALS, "Invalid credentials");
    if (rc != KL_OK) {
        kl_net__respond_failure(r, rc, err);
        return;
    }
    accept_session(r, &who);
}
