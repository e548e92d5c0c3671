/* Tokens: what is accepted, and that nothing else is. */
#include "helper.h"
#include <openssl/hmac.h>
#include <time.h>

#define SECRET "a-secret-of-at-least-32-bytes-for-tests"

static struct kl_tokens *open_tokens(const char *secret) {
    struct kl_tokens *t;
    struct kl_tokens_options o = {.secret = kl_slice_str(secret),
        .trusted_issuers = KL_S("https://one.example, two"),
        .access_hours = 24};
    OK(kl_tokens_new(world.store, &o, &t, &world.err));
    return t;
}

static struct kl_slice issue(struct kl_tokens *t, const char *user, enum kl_role role,
    enum kl_token_kind kind, uint32_t epoch, struct kl_token_claims *claims) {
    static struct kl_buf out;
    *claims = (struct kl_token_claims){
        .subject = kl_slice_str(user), .role = role, .kind = kind, .epoch = epoch};
    kl_buf_clear(&out);
    OK(kl_tokens_issue(t, claims, &out));
    struct kl_slice copy = kl_arena_dup(&world.arena, kl_buf_view(&out));
    kl_buf_deinit(&out);
    return copy;
}

static enum kl_rc verify(struct kl_tokens *t, struct kl_slice jwt) {
    struct kl_token_claims claims;
    kl_err_clear(&world.err);
    return kl_tokens_verify(t, jwt, &world.arena, &claims, &world.err);
}

/* A token as another program would make it. */
static struct kl_slice mint(const char *header, const char *claims, const char *secret) {
    struct kl_buf b = {0};
    unsigned char mac[32];
    unsigned len;
    kl_base64_encode(&b, kl_slice_str(header), true);
    kl_buf_putc(&b, '.');
    kl_base64_encode(&b, kl_slice_str(claims), true);
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)b.data, b.len, mac, &len);
    kl_buf_putc(&b, '.');
    kl_base64_encode(&b, kl_slice(mac, len), true);
    struct kl_slice copy = kl_arena_dup(&world.arena, kl_buf_view(&b));
    kl_buf_deinit(&b);
    return copy;
}
#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define BODY "\"sub\":\"alice\",\"exp\":1767229200,\"role\":\"user\",\"token_type\":\"access\""

static void round_trip(void **state) {
    struct kl_tokens *t = open_tokens(SECRET);
    struct kl_token_claims in = {.subject = KL_S("J\xc3\xbcr\"gen"),
                               .email = KL_S("a@b.c"),
                               .role = KL_ROLE_DBA,
                               .kind = KL_TOKEN_REFRESH,
                               .epoch = 7},
                           out;
    struct kl_buf jwt = {0};
    OK(kl_tokens_issue(t, &in, &jwt));
    assert_int_equal(in.issued_s, 1767225600);
    assert_int_equal(in.expires_s, 1767225600 + 7 * 24 * 3600);
    assert_int_equal(strlen(in.id), 32);
    OK(kl_tokens_verify(t, kl_buf_view(&jwt), &world.arena, &out, &world.err));
    assert_true(kl_slice_eq(out.subject, in.subject) && kl_slice_eq(out.email, in.email));
    assert_int_equal(out.role, KL_ROLE_DBA);
    assert_int_equal(out.kind, KL_TOKEN_REFRESH);
    assert_string_equal(out.id, in.id);
    assert_int_equal(out.epoch, 7);
    assert_int_equal(out.issued_s, in.issued_s);
    assert_int_equal(out.expires_s, in.expires_s);
    struct kl_token_claims again = in;
    struct kl_buf second = {0};
    OK(kl_tokens_issue(t, &again, &second));
    assert_string_not_equal(again.id, in.id);
    struct kl_tokens *other = open_tokens("another-secret-of-at-least-32-bytes!!");
    assert_int_equal(verify(other, kl_buf_view(&jwt)), KL_E_INVALID_CREDENTIALS);
    assert_string_equal(world.err.msg, "Invalid credentials");
    kl_tokens_free(other);
    kl_buf_deinit(&jwt);
    kl_buf_deinit(&second);
    kl_tokens_free(t);
}

static void every_flip_is_refused(void **state) {
    struct kl_tokens *t = open_tokens(SECRET);
    struct kl_token_claims claims;
    struct kl_slice good = issue(t, "alice", KL_ROLE_USER, KL_TOKEN_ACCESS, 0, &claims);
    assert_int_equal(verify(t, good), KL_OK);
    char *bad = kl_xmalloc(good.len + 1);
    for (size_t i = 0; i < good.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(bad, good.ptr, good.len);
            bad[i] ^= (char)(1 << bit);
            assert_int_equal(verify(t, kl_slice(bad, good.len)), KL_E_INVALID_CREDENTIALS);
        }
    }
    for (size_t n = 0; n < good.len; n++) {
        assert_int_equal(verify(t, kl_slice(good.ptr, n)), KL_E_INVALID_CREDENTIALS);
        assert_int_equal(verify(t, kl_slice(good.ptr + good.len - n, n)), KL_E_INVALID_CREDENTIALS);
    }
    static const char tails[] = {'=', 'A', '.', ' ', '\n', 0};
    for (size_t i = 0; i < sizeof(tails); i++) {
        memcpy(bad, good.ptr, good.len);
        bad[good.len] = tails[i];
        assert_int_equal(verify(t, kl_slice(bad, good.len + 1)), KL_E_INVALID_CREDENTIALS);
    }
    /* the last digit of the signature has two bits that a lenient decoder ignores */
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < 64; i++) {
        memcpy(bad, good.ptr, good.len);
        bad[good.len - 1] = alphabet[i];
        assert_int_equal(verify(t, kl_slice(bad, good.len)),
            alphabet[i] == good.ptr[good.len - 1] ? KL_OK : KL_E_INVALID_CREDENTIALS);
    }
    free(bad);
    kl_tokens_free(t);
}

static void random_bytes(void **state) {
    struct kl_tokens *t = open_tokens(SECRET);
    static char big[10000];
    for (int i = 0; i < 2000; i++) {
        size_t n = kl_random_below(200);
        for (size_t j = 0; j < n; j++) {
            big[j] = "ey.J0eXA{}\":=\xff"[kl_random_below(13)];
        }
        assert_int_equal(verify(t, kl_slice(big, n)), KL_E_INVALID_CREDENTIALS);
    }
    memset(big, 'a', sizeof(big));
    assert_int_equal(verify(t, kl_slice(big, sizeof(big))), KL_E_INVALID_CREDENTIALS);
    assert_int_equal(verify(t, KL_SLICE_NONE), KL_E_INVALID_CREDENTIALS);
    kl_tokens_free(t);
}

static void algorithms(void **state) {
    struct kl_tokens *t = open_tokens(SECRET);
    static const char *const bad[] = {"{\"alg\":\"none\",\"typ\":\"JWT\"}", "{\"alg\":\"None\"}",
        "{\"alg\":\"HS384\"}", "{\"alg\":\"HS512\"}", "{\"alg\":\"RS256\"}", "{\"alg\":\"hs256\"}",
        "{\"alg\":\"HS256\\u0000\"}", "{\"typ\":\"JWT\"}", "{\"alg\":1}", "{}", "[]", "",
        "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "{\"alg\":\"HS256\",\"alg\":\"HS256\"}"};
    assert_int_equal(verify(t, mint(HS256, "{" BODY ",\"iss\":\"kalamdb\"}", SECRET)), KL_OK);
    assert_int_equal(
        verify(t, mint("{\"alg\":\"HS256\"}", "{" BODY ",\"iss\":\"kalamdb\"}", SECRET)), KL_OK);
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        assert_int_equal(verify(t, mint(bad[i], "{" BODY ",\"iss\":\"kalamdb\"}", SECRET)),
            KL_E_INVALID_CREDENTIALS);
    }
    /* alg none with no signature at all */
    struct kl_slice none = mint("{\"alg\":\"none\"}", "{" BODY ",\"iss\":\"kalamdb\"}", SECRET);
    assert_int_equal(verify(t, kl_slice(none.ptr, none.len - 43)), KL_E_INVALID_CREDENTIALS);
    kl_tokens_free(t);
}

static void claims(void **state) {
    struct kl_tokens *t = open_tokens(SECRET);
    static const struct {
        const char *claims;
        enum kl_rc rc;
    } cases[] = {
        {"{" BODY ",\"iss\":\"kalamdb\"}", KL_OK},
        {"{" BODY ",\"iss\":\"https://one.example\"}", KL_OK},
        {"{" BODY ",\"iss\":\"two\"}", KL_OK},
        {"{" BODY ",\"iss\":\"two\",\"email\":null,\"jti\":\"free form\",\"epoch\":0}", KL_OK},
        {"{" BODY ",\"iss\":\"three\"}", KL_E_INVALID_CREDENTIALS},
        {"{" BODY ",\"iss\":\"https://one.example, two\"}", KL_E_INVALID_CREDENTIALS},
        {"{" BODY ",\"iss\":\"\"}", KL_E_INVALID_CREDENTIALS},
        {"{" BODY ",\"iss\":[\"kalamdb\"]}", KL_E_INVALID_CREDENTIALS},
        {"{" BODY "}", KL_E_INVALID_CREDENTIALS},
        {"{\"iss\":\"kalamdb\"}", KL_E_INVALID_CREDENTIALS},
        {"{\"iss\":\"kalamdb\",\"exp\":1767229200,\"role\":\"user\",\"token_type\":\"access\"}",
            KL_E_INVALID_CREDENTIALS},
        {"{\"iss\":\"kalamdb\",\"sub\":\"../"
         "x\",\"exp\":1767229200,\"role\":\"user\",\"token_type\":\"access\"}",
            KL_E_INVALID_CREDENTIALS},
        {"{\"iss\":\"kalamdb\",\"sub\":1,\"exp\":1767229200,\"role\":\"user\",\"token_type\":"
         "\"access\"}",
            KL_E_INVALID_CREDENTIALS},
        {"{\"iss\":\"kalamdb\",\"sub\":\"a\",\"role\":\"user\",\"token_type\":\"access\"}",
            KL_E_INVALID_CREDENTIALS},
        {"{\"iss\":\"kalamdb\",\"sub\":\"a\",\"exp\":\"1767229200\",\"role\":\"user\",\"token_"
         "type\":\"access\"}",
            KL_E_INVALID_CREDENTIALS},
        {"{\"iss\":\"kalamdb\",\"sub\":\"a\",\"exp\":1767229200.5,\"role\":\"user\",\"token_type\":"
         "\"access\"}",
            KL_OK},
        {"{\"iss\":\"kalamdb\",\"sub\":\"a\",\"exp\":1e300,\"role\":\"user\",\"token_type\":"
         "\"access\"}",
            KL_E_INVALID_CREDENTIALS},
        {"{\"iss\":\"kalamdb\",\"sub\":\"a\",\"exp\":9223372036854775807,\"role\":\"user\",\"token_"
         "type\":\"access\"}",
            KL_E_INVALID_CREDENTIALS},
        {"{\"iss\":\"kalamdb\",\"sub\":\"a\",\"exp\":-1,\"role\":\"user\",\"token_type\":"
         "\"access\"}",
            KL_E_INVALID_CREDENTIALS},
        {"{\"iss\":\"kalamdb\",\"sub\":\"a\",\"exp\":1767229200,\"role\":\"admin\",\"token_type\":"
         "\"access\"}",
            KL_E_INVALID_CREDENTIALS},
        {"{\"iss\":\"kalamdb\",\"sub\":\"a\",\"exp\":1767229200,\"token_type\":\"access\"}",
            KL_E_INVALID_CREDENTIALS},
        {"{\"iss\":\"kalamdb\",\"sub\":\"a\",\"exp\":1767229200,\"role\":\"user\"}",
            KL_E_INVALID_CREDENTIALS},
        {"{\"iss\":\"kalamdb\",\"sub\":\"a\",\"exp\":1767229200,\"role\":\"user\",\"token_type\":"
         "\"id\"}",
            KL_E_INVALID_CREDENTIALS},
        {"{" BODY ",\"iss\":\"kalamdb\",\"epoch\":-1}", KL_E_INVALID_CREDENTIALS},
        {"{" BODY ",\"iss\":\"kalamdb\",\"epoch\":4294967296}", KL_E_INVALID_CREDENTIALS},
        {"{" BODY ",\"iss\":\"kalamdb\",\"epoch\":\"0\"}", KL_E_INVALID_CREDENTIALS},
        {"{" BODY ",\"iss\":\"kalamdb\",\"iat\":\"x\"}", KL_E_INVALID_CREDENTIALS},
        {"{" BODY ",\"iss\":\"kalamdb\",\"iat\":1767225660}", KL_OK},
        {"{" BODY ",\"iss\":\"kalamdb\",\"iat\":1767225661}", KL_E_INVALID_CREDENTIALS},
        {"{" BODY ",\"iss\":\"kalamdb\",\"nbf\":1767225660}", KL_OK},
        {"{" BODY ",\"iss\":\"kalamdb\",\"nbf\":1767225661}", KL_E_INVALID_CREDENTIALS},
        {"{" BODY ",\"iss\":\"kalamdb\",\"sub\":\"root\"}", KL_E_INVALID_CREDENTIALS},
        {"[]", KL_E_INVALID_CREDENTIALS},
        {"not json", KL_E_INVALID_CREDENTIALS},
    };
    for (size_t i = 0; i < KL_LEN(cases); i++) {
        enum kl_rc rc = verify(t, mint(HS256, cases[i].claims, SECRET));
        if (rc != cases[i].rc) {
            fail_msg("%s: %s", cases[i].claims, kl_rc_name(rc));
        }
    }
    assert_int_equal(verify(t, mint(HS256, "{" BODY ",\"iss\":\"kalamdb\"}", "wrong")),
        KL_E_INVALID_CREDENTIALS);
    kl_tokens_free(t);
}

static void expiry(void **state) {
    struct kl_tokens *t = open_tokens(SECRET);
    struct kl_token_claims c;
    struct kl_slice jwt = issue(t, "alice", KL_ROLE_USER, KL_TOKEN_ACCESS, 0, &c);
    int64_t start = world.now_us;
    assert_int_equal(c.expires_s - c.issued_s, 24 * 3600);
    world.now_us = (c.expires_s + 60) * 1000000;
    assert_int_equal(verify(t, jwt), KL_OK);
    world.now_us += 1000000;
    assert_int_equal(verify(t, jwt), KL_E_TOKEN_EXPIRED);
    assert_string_equal(world.err.msg, "Invalid credentials");
    world.now_us =
        start - 60 * 1000000LL; /* the clock stepped back within the leeway, then past it */
    assert_int_equal(verify(t, jwt), KL_OK);
    world.now_us -= 1000000;
    assert_int_equal(verify(t, jwt), KL_E_INVALID_CREDENTIALS);
    kl_tokens_free(t);
}

static size_t count_revoked(void) {
    char prefix = KL_META_REVOKED;
    size_t n = 0;
    struct kl_iter *it = kl_iter_new(
        world.store, &(struct kl_iter_options){.cf = KL_CF_META, .prefix = kl_slice(&prefix, 1)});
    for (kl_iter_seek_first(it); kl_iter_valid(it); kl_iter_next(it)) {
        n++;
    }
    kl_iter_free(it);
    return n;
}

static void revocation(void **state) {
    struct kl_tokens *t = open_tokens(SECRET);
    struct kl_token_claims a, b, foreign;
    struct kl_slice jwt_a = issue(t, "alice", KL_ROLE_USER, KL_TOKEN_ACCESS, 0, &a);
    struct kl_slice jwt_b = issue(t, "alice", KL_ROLE_USER, KL_TOKEN_REFRESH, 0, &b);
    struct kl_slice jwt_f = mint(HS256, "{" BODY ",\"iss\":\"kalamdb\"}", SECRET); /* without jti */
    OK(kl_tokens_verify(t, jwt_f, &world.arena, &foreign, &world.err));
    assert_int_equal(strlen(foreign.id), 32);
    uint64_t generation = kl_tokens_generation(t);
    kl_tokens_revoke(t, world.batch, &a);
    assert_int_equal(verify(t, jwt_a), KL_E_INVALID_CREDENTIALS); /* at once, before the commit */
    assert_int_equal(verify(t, jwt_b), KL_OK);
    assert_true(kl_tokens_generation(t) > generation);
    kl_tokens_revoke(t, world.batch, &foreign);
    assert_int_equal(verify(t, jwt_f), KL_E_INVALID_CREDENTIALS);
    commit();
    kl_tokens_free(t);
    world_close();
    world_open();
    t = open_tokens(SECRET);
    assert_int_equal(verify(t, jwt_a), KL_E_INVALID_CREDENTIALS);
    assert_int_equal(verify(t, jwt_f), KL_E_INVALID_CREDENTIALS);
    assert_int_equal(verify(t, jwt_b), KL_OK);
    /* past its expiry an entry is dropped with the next revocation */
    assert_int_equal(count_revoked(), 2);
    world.now_us += 25 * 3600 * 1000000LL;
    kl_tokens_revoke(t, world.batch, &b);
    commit();
    assert_int_equal(count_revoked(), 1);
    assert_int_equal(verify(t, jwt_b), KL_E_INVALID_CREDENTIALS);
    kl_tokens_free(t);
    /* and at start */
    world.now_us += 7 * 24 * 3600 * 1000000LL;
    t = open_tokens(SECRET);
    assert_int_equal(count_revoked(), 0);
    kl_tokens_free(t);
}

static void revocation_damaged(void **state) {
    static const struct {
        struct kl_slice key, value;
    } bad[] = {{KL_S("\x06"
                     "0123456789abcdef0123456789abcdef"),
                   KL_S("\x01")},
        {KL_S("\x06"
              "short"),
            KL_S("\x01\0\0\0\0\0\0\0\0")},
        {KL_S("\x06"
              "0123456789abcdef0123456789abcdeF"),
            KL_S("\x01\0\0\0\0\0\0\0\0")},
        {KL_S("\x06"
              "0123456789abcdef0123456789abcdef"),
            KL_S("\x01\0\0\0\0\0\0\0\xff")}};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        struct kl_tokens *t;
        struct kl_tokens_options o = {.secret = KL_S(SECRET), .access_hours = 1};
        kl_batch_put(world.batch, KL_CF_META, bad[i].key, bad[i].value);
        commit();
        assert_int_equal(kl_tokens_new(world.store, &o, &t, &world.err), KL_E_CORRUPT);
        kl_batch_del(world.batch, KL_CF_META, bad[i].key);
        commit();
    }
}

static void generated_secret(void **state) {
    struct kl_token_claims c;
    struct kl_tokens *t = open_tokens("");
    struct kl_slice jwt = issue(t, "alice", KL_ROLE_USER, KL_TOKEN_ACCESS, 0, &c);
    kl_tokens_free(t);
    world_close();
    world_open();
    t = open_tokens("");
    assert_int_equal(verify(t, jwt), KL_OK);
    assert_int_equal(
        verify(t, mint(HS256, "{" BODY ",\"iss\":\"kalamdb\"}", "")), KL_E_INVALID_CREDENTIALS);
    kl_tokens_free(t);
    kl_batch_put(world.batch, KL_CF_META, KL_S("\x09jwt"), KL_S("\x01\x02zz"));
    commit();
    struct kl_tokens_options o = {.access_hours = 1};
    assert_int_equal(kl_tokens_new(world.store, &o, &t, &world.err), KL_E_CORRUPT);
}

static enum kl_rc whole(struct kl_tokens *t, struct kl_slice jwt, enum kl_token_kind kind) {
    struct kl_token_claims c;
    struct kl_user u;
    kl_err_clear(&world.err);
    enum kl_rc rc = kl_auth_token(t, world.store, jwt, kind, &world.arena, &c, &u, &world.err);
    if (rc == KL_OK) {
        assert_true(kl_slice_eq(c.subject, u.id));
    }
    return rc;
}

static void user_state(void **state) {
    struct kl_tokens *t = open_tokens(SECRET);
    struct kl_token_claims c;
    struct kl_slice access = issue(t, "alice", KL_ROLE_USER, KL_TOKEN_ACCESS, 0, &c);
    struct kl_slice refresh = issue(t, "alice", KL_ROLE_USER, KL_TOKEN_REFRESH, 0, &c);
    struct kl_slice minted =
        mint(HS256, "{" BODY ",\"iss\":\"kalamdb\"}", SECRET); /* without epoch */
    assert_int_equal(
        whole(t, access, KL_TOKEN_ACCESS), KL_E_INVALID_CREDENTIALS); /* no such user */
    assert_string_equal(world.err.msg, "Invalid credentials");
    put_user("alice", KL_ROLE_USER, 0, 0);
    assert_int_equal(whole(t, access, KL_TOKEN_ACCESS), KL_OK);
    assert_int_equal(whole(t, minted, KL_TOKEN_ACCESS), KL_OK);
    assert_int_equal(whole(t, access, KL_TOKEN_REFRESH), KL_E_INVALID_CREDENTIALS);
    assert_string_equal(world.err.msg, "Refresh endpoint requires a refresh token");
    assert_int_equal(whole(t, refresh, KL_TOKEN_ACCESS), KL_E_INVALID_CREDENTIALS);
    assert_int_equal(whole(t, refresh, KL_TOKEN_REFRESH), KL_OK);
    put_user("alice", KL_ROLE_DBA, 0, 0); /* another role, up or down: the old token is dead */
    assert_int_equal(whole(t, access, KL_TOKEN_ACCESS), KL_E_INVALID_CREDENTIALS);
    put_user("alice", KL_ROLE_USER, 1, 0);
    assert_int_equal(whole(t, access, KL_TOKEN_ACCESS), KL_E_INVALID_CREDENTIALS);
    assert_int_equal(whole(t, minted, KL_TOKEN_ACCESS), KL_E_INVALID_CREDENTIALS);
    struct kl_slice fresh = issue(t, "alice", KL_ROLE_USER, KL_TOKEN_ACCESS, 1, &c);
    assert_int_equal(whole(t, fresh, KL_TOKEN_ACCESS), KL_OK);
    put_user("alice", KL_ROLE_USER, 1, 12345);
    assert_int_equal(whole(t, fresh, KL_TOKEN_ACCESS), KL_E_INVALID_CREDENTIALS);
    kl_tokens_free(t);
}

static void speed(void **state) {
    struct kl_tokens *t = open_tokens(SECRET);
    struct kl_token_claims c;
    struct kl_slice jwt = issue(t, "alice", KL_ROLE_USER, KL_TOKEN_ACCESS, 0, &c);
    struct timespec start, end;
    struct kl_arena arena = {0};
    enum { N = 20000 };
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < N; i++) {
        kl_arena_reset(&arena);
        OK(kl_tokens_verify(t, jwt, &arena, &c, NULL));
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    print_message("verify: %ld ns\n",
        ((end.tv_sec - start.tv_sec) * 1000000000L + end.tv_nsec - start.tv_nsec) / N);
    kl_arena_deinit(&arena);
    kl_tokens_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {CASE(round_trip), CASE(every_flip_is_refused),
        CASE(random_bytes), CASE(algorithms), CASE(claims), CASE(expiry), CASE(revocation),
        CASE(revocation_damaged), CASE(generated_secret), CASE(user_state), CASE(speed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
