/* Tokens: JWT (RFC 7519) signed with HMAC-SHA-256, and nothing else.
 *
 *   token   base64url(header) "." base64url(claims) "." base64url(mac)
 *   header  {"alg":"HS256","typ":"JWT"}
 *   claims  sub user id | iss "kalamdb" | exp, iat seconds | email or null | role
 *           | token_type access, refresh | jti 32 hex digits | epoch the user's token_epoch at issue
 *   mac     HMAC-SHA-256(secret, all before the last dot)
 *
 * Verification makes the signature's text itself and compares it in constant time before anything
 * is parsed: so bytes that reach the JSON parser come from somebody who holds the secret, and the
 * unused bits of the last base64 digit are as binding as the others. Then `alg` must be HS256,
 * `crit` absent, the issuer trusted, the times right (60 s leeway).
 *
 * A token of another program that shares the secret may lack jti and epoch. Without a jti of our
 * form it gets one: the first 128 bits of SHA-256 over what was signed, so that it can be revoked
 * like any other. Without an epoch it counts as 0, that is, it works until the user's tokens are
 * invalidated for the first time.
 *
 * Any thread: the keyed MAC context is never used itself, each call works on a copy. */
#include "auth/internal.h"
#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>

#define MAC_BYTES 32
#define MAC_TEXT 43 /* base64url of MAC_BYTES */
#define ISSUER "kalamdb"
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define SECONDS_MAX (1LL << 53) /* what a JSON number holds exactly in every language */

static enum kl_rc invalid(struct kl_err *err) {
    return kl_fail(err, KL_E_INVALID_CREDENTIALS, "Invalid credentials");
}

/* ---- life ---- */

static EVP_MAC_CTX *keyed_mac(struct kl_slice secret) {
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac); /* the context keeps its own reference */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end()};
    if (ctx && EVP_MAC_init(ctx, (const unsigned char *)secret.ptr, secret.len, params) != 1) {
        EVP_MAC_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

static enum kl_rc set_key(struct kl_tokens *t, struct kl_slice configured, struct kl_err *err) {
    struct kl_buf secret = {0};
    enum kl_rc rc = KL_OK;
    if (configured.len) {
        kl_buf_slice(&secret, configured);
    } else {
        rc = kl_auth__secret_load(t->store, &secret, err);
    }
    if (rc == KL_OK) {
        t->mac = keyed_mac(kl_buf_view(&secret));
        if (!t->mac) {
            rc = kl_fail(err, KL_E_INTERNAL, "HMAC-SHA-256 is not available");
        }
    }
    OPENSSL_cleanse(secret.data, secret.len);
    kl_buf_deinit(&secret);
    return rc;
}

enum kl_rc kl_tokens_new(struct kl_store *s, const struct kl_tokens_options *o,
    struct kl_tokens **ret, struct kl_err *err) {
    if (o->access_hours == 0 || o->access_hours > 24 * 365 * 10) {
        return kl_fail(
            err, KL_E_INVALID_INPUT, "The lifetime of a token must be 1 hour to 10 years");
    }
    struct kl_tokens *t = kl_xcalloc(1, sizeof(*t));
    t->store = s;
    t->access_s = (int64_t)o->access_hours * 3600;
    t->refresh_s = t->access_s * 7;
    t->trusted_issuers = kl_xprintf("%.*s", KL_FMT(o->trusted_issuers));
    atomic_init(&t->generation, 1);
    pthread_mutex_init(&t->lock, NULL);
    kl_map_init(&t->revoked);
    enum kl_rc rc = set_key(t, o->secret, err);
    if (rc == KL_OK) {
        rc = kl_auth__revoked_load(t, err);
    }
    if (rc != KL_OK) {
        kl_tokens_free(t);
        return rc;
    }
    *ret = t;
    return KL_OK;
}

void kl_tokens_free(struct kl_tokens *t) {
    if (!t) {
        return;
    }
    EVP_MAC_CTX_free(t->mac);
    kl_map_deinit(&t->revoked);
    pthread_mutex_destroy(&t->lock);
    free(t->trusted_issuers);
    free(t);
}

uint64_t kl_tokens_generation(const struct kl_tokens *t) {
    return atomic_load_explicit(&t->generation, memory_order_acquire);
}

void kl_tokens_touch(struct kl_tokens *t) {
    atomic_fetch_add_explicit(&t->generation, 1, memory_order_acq_rel);
}

/* ---- signing ---- */

static bool sign(struct kl_tokens *t, struct kl_slice text, char ret[MAC_TEXT]) {
    unsigned char mac[MAC_BYTES];
    size_t len = 0;
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(t->mac);
    bool ok = ctx && EVP_MAC_update(ctx, (const unsigned char *)text.ptr, text.len) == 1 &&
              EVP_MAC_final(ctx, mac, &len, sizeof(mac)) == 1 && len == sizeof(mac);
    EVP_MAC_CTX_free(ctx);
    if (!ok) {
        return false;
    }
    struct kl_buf encoded = {0};
    kl_base64_encode(&encoded, kl_slice(mac, sizeof(mac)), true);
    ok = !encoded.failed && encoded.len == MAC_TEXT;
    if (ok) {
        memcpy(ret, encoded.data, MAC_TEXT);
    }
    kl_buf_deinit(&encoded);
    return ok;
}

static void hex_id(const unsigned char bytes[16], char ret[33]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[32] = 0;
}

static void put_claims(struct kl_buf *out, const struct kl_token_claims *c) {
    kl_buf_puts(out, "{\"sub\":");
    kl_json_str(out, c->subject);
    kl_buf_puts(out, ",\"iss\":\"" ISSUER "\",\"exp\":");
    kl_buf_i64(out, c->expires_s);
    kl_buf_puts(out, ",\"iat\":");
    kl_buf_i64(out, c->issued_s);
    kl_buf_puts(out, ",\"email\":");
    if (c->email.len) {
        kl_json_str(out, c->email);
    } else {
        kl_buf_puts(out, "null");
    }
    kl_buf_printf(out, ",\"role\":\"%s\",\"token_type\":\"%s\",\"jti\":\"%s\",\"epoch\":%u}",
        kl_role_name(c->role), c->kind == KL_TOKEN_ACCESS ? "access" : "refresh", c->id, c->epoch);
}

enum kl_rc kl_tokens_issue(
    struct kl_tokens *t, struct kl_token_claims *claims, struct kl_buf *out) {
    unsigned char noise[16];
    kl_random_bytes(noise, sizeof(noise));
    hex_id(noise, claims->id);
    claims->issued_s = kl_clock_wall_us() / 1000000;
    claims->expires_s =
        claims->issued_s + (claims->kind == KL_TOKEN_ACCESS ? t->access_s : t->refresh_s);
    struct kl_buf json = {0}, text = {0};
    char mac[MAC_TEXT];
    put_claims(&json, claims);
    kl_base64_encode(&text, KL_S(HEADER), true);
    kl_buf_putc(&text, '.');
    kl_base64_encode(&text, kl_buf_view(&json), true);
    bool ok = !json.failed && !text.failed && text.len + 1 + MAC_TEXT <= KL_AUTH_TOKEN_MAX &&
              sign(t, kl_buf_view(&text), mac);
    if (ok) {
        kl_buf_slice(out, kl_buf_view(&text));
        kl_buf_putc(out, '.');
        kl_buf_append(out, mac, sizeof(mac));
    }
    kl_buf_deinit(&json);
    kl_buf_deinit(&text);
    return ok && !out->failed ? KL_OK : KL_E_INTERNAL;
}

/* ---- verification ---- */

struct parts {
    struct kl_slice header, claims, mac, text; /* text: what was signed */
};

static bool split(struct kl_slice jwt, struct parts *ret) {
    const char *end = jwt.ptr + jwt.len;
    const char *first = memchr(jwt.ptr, '.', jwt.len);
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1))) {
        return false;
    }
    ret->header = kl_slice(jwt.ptr, (size_t)(first - jwt.ptr));
    ret->claims = kl_slice(first + 1, (size_t)(second - first - 1));
    ret->mac = kl_slice(second + 1, (size_t)(end - second - 1));
    ret->text = kl_slice(jwt.ptr, (size_t)(second - jwt.ptr));
    return true;
}

static json_t *parse_part(struct kl_slice part) {
    struct kl_buf text = {0};
    json_t *json = NULL;
    if (kl_base64_decode(&text, part, true)) {
        json = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, NULL);
    }
    kl_buf_deinit(&text);
    if (!json_is_object(json)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static struct kl_slice string_of(const json_t *v) {
    return kl_slice(json_string_value(v), json_string_length(v));
}

static bool header_valid(struct kl_slice part) {
    json_t *header = parse_part(part);
    const json_t *alg = header ? json_object_get(header, "alg") : NULL;
    bool ok = json_is_string(alg) && kl_slice_eq_str(string_of(alg), "HS256") &&
              !json_object_get(header, "crit");
    json_decref(header);
    return ok;
}

static bool issuer_trusted(const struct kl_tokens *t, const json_t *iss) {
    if (!json_is_string(iss) || json_string_length(iss) == 0) {
        return false;
    }
    struct kl_slice name = string_of(iss);
    if (kl_slice_eq_str(name, ISSUER)) {
        return true;
    }
    for (const char *at = t->trusted_issuers; *at;) {
        size_t len = strcspn(at, ",");
        if (kl_slice_eq(kl_slice_trim(kl_slice(at, len)), name)) {
            return true;
        }
        at += len + (at[len] == ',');
    }
    return false;
}

static bool seconds_of(const json_t *v, int64_t *ret) {
    double real = json_is_real(v) ? json_real_value(v) : 0;
    if (json_is_real(v) ? !(real >= 0 && real < (double)SECONDS_MAX) : !json_is_integer(v)) {
        return false;
    }
    *ret = json_is_real(v) ? (int64_t)real : (int64_t)json_integer_value(v);
    return *ret >= 0 && *ret < SECONDS_MAX;
}

/* exp is required; nbf and iat are checked when they are there. */
static enum kl_rc check_times(
    const json_t *claims, struct kl_token_claims *ret, struct kl_err *err) {
    int64_t now = kl_clock_wall_us() / 1000000, not_before = 0;
    const json_t *iat = json_object_get(claims, "iat"), *nbf = json_object_get(claims, "nbf");
    ret->issued_s = 0;
    if (!seconds_of(json_object_get(claims, "exp"), &ret->expires_s) ||
        (iat && !seconds_of(iat, &ret->issued_s)) || (nbf && !seconds_of(nbf, &not_before))) {
        return invalid(err);
    }
    if (ret->issued_s > now + KL_AUTH_LEEWAY_S || not_before > now + KL_AUTH_LEEWAY_S) {
        return invalid(err);
    }
    if (ret->expires_s + KL_AUTH_LEEWAY_S < now) {
        return kl_fail(err, KL_E_TOKEN_EXPIRED, "Invalid credentials");
    }
    return KL_OK;
}

static bool is_our_id(struct kl_slice id) {
    return id.len == 32 && strspn(id.ptr, "0123456789abcdef") == 32;
}

static void take_id(const json_t *jti, struct kl_slice signed_text, char ret[33]) {
    if (json_is_string(jti) && is_our_id(string_of(jti))) {
        memcpy(ret, json_string_value(jti), 33);
        return;
    }
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)signed_text.ptr, signed_text.len, digest);
    hex_id(digest, ret);
}

/* false: a required claim is missing or has a wrong type. */
static bool take_claims(const json_t *claims, struct kl_slice signed_text, struct kl_arena *arena,
    struct kl_token_claims *ret) {
    const json_t *sub = json_object_get(claims, "sub"), *role = json_object_get(claims, "role");
    const json_t *kind = json_object_get(claims, "token_type"),
                 *email = json_object_get(claims, "email");
    const json_t *epoch = json_object_get(claims, "epoch");
    if (!json_is_string(sub) || kl_user_id_check(string_of(sub), NULL) != KL_OK ||
        !json_is_string(role) || !kl_auth__role_exact(string_of(role), &ret->role) ||
        !json_is_string(kind)) {
        return false;
    }
    if (kl_slice_eq_str(string_of(kind), "access")) {
        ret->kind = KL_TOKEN_ACCESS;
    } else if (kl_slice_eq_str(string_of(kind), "refresh")) {
        ret->kind = KL_TOKEN_REFRESH;
    } else {
        return false;
    }
    if (epoch && !(json_is_integer(epoch) && json_integer_value(epoch) >= 0 &&
                     json_integer_value(epoch) <= UINT32_MAX)) {
        return false;
    }
    ret->epoch = epoch ? (uint32_t)json_integer_value(epoch) : 0;
    ret->subject = kl_arena_dup(arena, string_of(sub));
    ret->email = json_is_string(email) ? kl_arena_dup(arena, string_of(email)) : KL_SLICE_NONE;
    take_id(json_object_get(claims, "jti"), signed_text, ret->id);
    return ret->subject.ptr != NULL;
}

static enum kl_rc read_claims(struct kl_tokens *t, const struct parts *p, struct kl_arena *arena,
    struct kl_token_claims *ret, struct kl_err *err) {
    json_t *claims = parse_part(p->claims);
    enum kl_rc rc = KL_OK;
    if (!claims || !issuer_trusted(t, json_object_get(claims, "iss"))) {
        rc = invalid(err);
    } else if (!take_claims(claims, p->text, arena, ret)) {
        rc = kl_fail(err, KL_E_INVALID_CREDENTIALS, "Token is missing required claims");
    } else {
        rc = check_times(claims, ret, err);
    }
    json_decref(claims);
    return rc;
}

enum kl_rc kl_tokens_verify(struct kl_tokens *t, struct kl_slice jwt, struct kl_arena *arena,
    struct kl_token_claims *ret, struct kl_err *err) {
    struct parts p;
    char mac[MAC_TEXT];
    if (jwt.len == 0 || jwt.len > KL_AUTH_TOKEN_MAX || !split(jwt, &p) || p.mac.len != MAC_TEXT) {
        return invalid(err);
    }
    if (!sign(t, p.text, mac)) {
        return kl_fail(err, KL_E_INTERNAL, "HMAC-SHA-256 is not available");
    }
    if (CRYPTO_memcmp(mac, p.mac.ptr, MAC_TEXT) != 0 || !header_valid(p.header)) {
        return invalid(err);
    }
    struct kl_token_claims claims;
    KL_TRY(read_claims(t, &p, arena, &claims, err));
    if (kl_auth__is_revoked(t, kl_slice_str(claims.id))) {
        return invalid(err);
    }
    *ret = claims;
    return KL_OK;
}

enum kl_rc kl_auth_token(struct kl_tokens *t, struct kl_store *s, struct kl_slice jwt,
    enum kl_token_kind kind, struct kl_arena *arena, struct kl_token_claims *ret_claims,
    struct kl_user *ret_user, struct kl_err *err) {
    struct kl_token_claims claims;
    struct kl_user user;
    KL_TRY(kl_tokens_verify(t, jwt, arena, &claims, err));
    if (claims.kind != kind) {
        return kind == KL_TOKEN_REFRESH ? kl_fail(err, KL_E_INVALID_CREDENTIALS,
                                              "Refresh endpoint requires a refresh token")
                                        : invalid(err);
    }
    enum kl_rc rc = kl_user_get(s, claims.subject, arena, &user, err);
    if (rc == KL_E_NOT_FOUND) {
        return invalid(err); /* who asks must not learn which users exist */
    }
    if (rc != KL_OK) {
        return rc;
    }
    if (user.deleted_us != 0 || user.role != claims.role || user.token_epoch != claims.epoch) {
        return invalid(err);
    }
    *ret_claims = claims;
    *ret_user = user;
    return KL_OK;
}
