/* Passwords: policy, bcrypt, and a check whose time says nothing about the account. Any thread;
 * slow by design.
 *
 * bcrypt reads 72 bytes and stops at a NUL. Longer passwords and those with a NUL are refused
 * rather than cut: two different ones would otherwise open the same account. */
#include "auth/internal.h"
#include <crypt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#define BCRYPT_BYTES_MAX 72
#define BCRYPT_COST_MIN 4
#define BCRYPT_COST_MAX 16
#define BCRYPT_HASH_LEN 60 /* $2b$NN$ and 53 characters */

static const char *const common_passwords[] = {
#define KL_COMMON_PASSWORD(text) text,
#include "auth/common_passwords.def"
#undef KL_COMMON_PASSWORD
};

static bool is_common(struct kl_slice password) {
    for (size_t i = 0; i < KL_LEN(common_passwords); i++) {
        if (kl_slice_ieq_str(password, common_passwords[i])) {
            return true;
        }
    }
    return false;
}

static bool is_complex(struct kl_slice password) {
    bool upper = false, lower = false, digit = false, special = false;
    for (size_t i = 0; i < password.len; i++) {
        char c = password.ptr[i];
        upper = upper || (c >= 'A' && c <= 'Z');
        lower = lower || (c >= 'a' && c <= 'z');
        digit = digit || (c >= '0' && c <= '9');
        special = special ||
                  !((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
    }
    return upper && lower && digit && special;
}

static bool fits_bcrypt(struct kl_slice password) {
    return password.len <= BCRYPT_BYTES_MAX &&
           !(password.len && memchr(password.ptr, 0, password.len));
}

enum kl_rc kl_password_check(
    const struct kl_password_policy *p, struct kl_slice password, struct kl_err *err) {
    unsigned max = p->max_len && p->max_len < BCRYPT_BYTES_MAX ? p->max_len : BCRYPT_BYTES_MAX;
    if (password.len < p->min_len) {
        return kl_fail(
            err, KL_E_INVALID_INPUT, "Password is too short (minimum %u characters)", p->min_len);
    }
    if (password.len > max) {
        return kl_fail(err, KL_E_INVALID_INPUT, "Password is too long (maximum %u bytes)", max);
    }
    if (!fits_bcrypt(password)) {
        return kl_fail(err, KL_E_INVALID_INPUT, "Password must not contain a NUL character");
    }
    if (is_common(password)) {
        return kl_fail(err, KL_E_INVALID_INPUT, "Password is too common");
    }
    if (p->complexity && !is_complex(password)) {
        return kl_fail(err, KL_E_INVALID_INPUT,
            "Password must contain an upper-case letter, a lower-case letter, a digit and a "
            "special character");
    }
    return KL_OK;
}

/* crypt_r on heap memory that is wiped. `setting`: a hash or what crypt_gensalt gave. */
static bool bcrypt(const char *setting, struct kl_slice password, char ret[64]) {
    char text[BCRYPT_BYTES_MAX + 1];
    if (password.len) {
        memcpy(text, password.ptr, password.len);
    }
    text[password.len] = 0;
    struct crypt_data *data = kl_xcalloc(1, sizeof(*data));
    const char *hash = crypt_r(text, setting, data);
    bool ok = hash && strlen(hash) == BCRYPT_HASH_LEN && hash[0] == '$';
    if (ok) {
        memcpy(ret, hash, BCRYPT_HASH_LEN + 1);
    }
    OPENSSL_cleanse(text, sizeof(text));
    OPENSSL_cleanse(data, sizeof(*data));
    free(data);
    return ok;
}

static bool gensalt(int cost, char ret[CRYPT_GENSALT_OUTPUT_SIZE]) {
    unsigned char noise[16];
    kl_random_bytes(noise, sizeof(noise));
    return crypt_gensalt_rn("$2b$", (unsigned long)cost, (const char *)noise, sizeof(noise), ret,
        CRYPT_GENSALT_OUTPUT_SIZE);
}

enum kl_rc kl_password_hash(int cost, struct kl_slice password, char ret[64], struct kl_err *err) {
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (cost < BCRYPT_COST_MIN || cost > BCRYPT_COST_MAX) {
        return kl_fail(err, KL_E_INVALID_INPUT, "bcrypt cost must be %d to %d", BCRYPT_COST_MIN,
            BCRYPT_COST_MAX);
    }
    if (!fits_bcrypt(password)) {
        return kl_fail(err, KL_E_INVALID_INPUT,
            "Password is longer than %d bytes or contains a NUL character", BCRYPT_BYTES_MAX);
    }
    if (!gensalt(cost, setting) || !bcrypt(setting, password, ret)) {
        return kl_fail(err, KL_E_INTERNAL, "The password could not be hashed");
    }
    return KL_OK;
}

/* "$2a$", "$2b$" or "$2y$", a cost that ends within seconds, and the right length. */
static bool is_bcrypt_hash(struct kl_slice h) {
    if (h.len != BCRYPT_HASH_LEN || memcmp(h.ptr, "$2", 2) != 0 || !strchr("aby", h.ptr[2]) ||
        h.ptr[3] != '$' || h.ptr[6] != '$' || memchr(h.ptr, 0, h.len)) {
        return false;
    }
    int64_t cost;
    return kl_parse_i64(kl_slice(h.ptr + 4, 2), &cost) && cost >= BCRYPT_COST_MIN &&
           cost <= BCRYPT_COST_MAX;
}

bool kl_password_verify(struct kl_slice hash, struct kl_slice password, int cost_if_no_hash) {
    char setting[64], got[64];
    bool real = is_bcrypt_hash(hash);
    if (real) {
        memcpy(setting, hash.ptr, hash.len);
        setting[hash.len] = 0;
    } else {
        int cost = KL_MIN(KL_MAX(cost_if_no_hash, BCRYPT_COST_MIN), BCRYPT_COST_MAX);
        snprintf(setting, sizeof(setting), "$2b$%02d$abcdefghijklmnopqrstuu", cost);
    }
    bool fits = fits_bcrypt(password);
    bool made = bcrypt(setting, fits ? password : KL_SLICE_NONE, got);
    bool same = made && CRYPTO_memcmp(got, setting, BCRYPT_HASH_LEN) == 0;
    return real && fits && same;
}
