/* Passwords: policy, hashing, and what verification must refuse. */
#include "helper.h"

static void check(const struct kl_password_policy *p, const char *password, const char *text) {
    struct kl_err err = {0};
    enum kl_rc rc = kl_password_check(p, kl_slice_str(password), &err);
    assert_int_equal(rc, text ? KL_E_INVALID_INPUT : KL_OK);
    if (text) {
        assert_string_equal(err.msg, text);
    }
}

static void policy(void **state) {
    struct kl_password_policy p = {.min_len = 8, .max_len = 1024, .bcrypt_cost = 4};
    char p72[73], p73[74];
    memset(p72, 'x', 72);
    p72[0] = 'y';
    p72[72] = 0;
    memset(p73, 'x', 73);
    p73[73] = 0;
    check(&p, "", "Password is too short (minimum 8 characters)");
    check(&p, "1234567", "Password is too short (minimum 8 characters)");
    check(&p, "tr0ub4do", NULL);
    check(&p, p72, NULL);
    check(&p, p73, "Password is too long (maximum 72 bytes)");
    check(&p, "password", "Password is too common");
    check(&p, "PassWord", "Password is too common");
    check(&p, "12345678", "Password is too common");
    check(&p, "SecureKey123!", NULL);
    assert_int_equal(kl_password_check(&p, kl_slice("abc\0defghi", 10), NULL), KL_E_INVALID_INPUT);
    p.max_len = 10;
    check(&p, "elevenbytes", "Password is too long (maximum 10 bytes)");
    p.max_len = 72;
    p.complexity = true;
    const char *missing = "Password must contain an upper-case letter, a lower-case letter, a "
                          "digit and a special character";
    check(&p, "securekey123!", missing);
    check(&p, "SECUREKEY123!", missing);
    check(&p, "SecureKeyyyy!", missing);
    check(&p, "SecureKey1234", missing);
    check(&p, "SecureKey123!", NULL);
}

static void hash_and_verify(void **state) {
    char hash[64], other[64];
    char p72[72], p71[72];
    memset(p72, 'x', 72);
    memcpy(p71, p72, 72);
    p71[71] = 'z';
    OK(kl_password_hash(4, KL_S("SecureKey123!"), hash, &world.err));
    OK(kl_password_hash(4, KL_S("SecureKey123!"), other, &world.err));
    assert_int_equal(strncmp(hash, "$2b$04$", 7), 0);
    assert_string_not_equal(hash, other); /* salted */
    struct kl_slice h = kl_slice_str(hash);
    assert_true(kl_password_verify(h, KL_S("SecureKey123!"), 4));
    assert_true(kl_password_verify(kl_slice_str(other), KL_S("SecureKey123!"), 4));
    assert_false(kl_password_verify(h, KL_S("SecureKey123"), 4));
    assert_false(kl_password_verify(h, KL_S("SecureKey123!!"), 4));
    assert_false(kl_password_verify(h, KL_S("securekey123!"), 4));
    assert_false(kl_password_verify(h, KL_SLICE_NONE, 4));
    assert_false(kl_password_verify(h, kl_slice("SecureKey123!\0x", 15), 4));
    OK(kl_password_hash(4, kl_slice(p72, 72), hash, &world.err));
    assert_true(kl_password_verify(kl_slice_str(hash), kl_slice(p72, 72), 4));
    assert_false(
        kl_password_verify(kl_slice_str(hash), kl_slice(p71, 72), 4)); /* the 72nd byte counts */
    char p73[73];
    memset(p73, 'x', 73);
    assert_false(kl_password_verify(kl_slice_str(hash), kl_slice(p73, 73), 4)); /* not cut to 72 */
    assert_int_equal(kl_password_hash(4, kl_slice(p73, 73), hash, &world.err), KL_E_INVALID_INPUT);
    assert_int_equal(
        kl_password_hash(4, kl_slice("a\0b", 3), hash, &world.err), KL_E_INVALID_INPUT);
    assert_int_equal(kl_password_hash(3, KL_S("x"), hash, &world.err), KL_E_INVALID_INPUT);
    assert_int_equal(kl_password_hash(31, KL_S("x"), hash, &world.err), KL_E_INVALID_INPUT);
    OK(kl_password_hash(4, KL_SLICE_NONE, hash, &world.err));
    assert_true(kl_password_verify(kl_slice_str(hash), KL_SLICE_NONE, 4));
}

/* Against a vector of another implementation of bcrypt. */
static void known_hash(void **state) {
    assert_true(kl_password_verify(
        KL_S("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"), KL_S("U*U"), 4));
    assert_false(kl_password_verify(
        KL_S("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"), KL_S("U*V"), 4));
}

static void no_hash_no_entry(void **state) {
    static const char *const bad[] = {"", "plain", "$2b$04$",
        "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$1$05$$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
        "************************************************************", "*0", "*1"};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        assert_false(kl_password_verify(kl_slice_str(bad[i]), KL_SLICE_NONE, 4));
        assert_false(kl_password_verify(kl_slice_str(bad[i]), KL_S("U*U"), 4));
    }
}

/* An account without a password takes as long to refuse as one with a password. */
static void same_work(void **state) {
    char hash[64];
    kl_clock_set_ops(NULL);
    OK(kl_password_hash(8, KL_S("x"), hash, &world.err));
    int64_t start = kl_clock_mono_ns();
    assert_false(kl_password_verify(kl_slice_str(hash), KL_S("y"), 8));
    int64_t real = kl_clock_mono_ns() - start;
    start = kl_clock_mono_ns();
    assert_false(kl_password_verify(KL_SLICE_NONE, KL_S("y"), 8));
    int64_t none = kl_clock_mono_ns() - start;
    assert_true(none > real / 4); /* generous: a busy machine */
}

int main(void) {
    const struct CMUnitTest tests[] = {CASE(policy), CASE(hash_and_verify), CASE(known_hash),
        CASE(no_hash_no_entry), CASE(same_work)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
