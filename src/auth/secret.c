/* The signing secret of a server that was given none: 32 random bytes, made once and kept in the
 * meta family, so that tokens survive a restart. Called while the server starts, before other
 * writers.
 *
 * secret, key 09 "jwt": u8 format 1 | string (LEB128 length, bytes) of 32 bytes */
#include "auth/internal.h"
#include <openssl/crypto.h>

#define SECRET_BYTES 32
#define SECRET_NAME "jwt"

static enum kl_rc decode(struct kl_slice rec, struct kl_buf *ret, struct kl_err *err) {
    struct kl_reader r;
    kl_reader_init(&r, rec);
    uint8_t format = kl_read_u8(&r);
    struct kl_slice secret = kl_read_lstr(&r);
    if (r.failed || r.ptr != r.end || format != KL_AUTH_RECORD_FORMAT ||
        secret.len != SECRET_BYTES) {
        return kl_fail(err, KL_E_CORRUPT, "The stored signing secret is damaged");
    }
    kl_buf_slice(ret, secret);
    return KL_OK;
}

static enum kl_rc make(
    struct kl_store *s, struct kl_slice key, struct kl_buf *ret, struct kl_err *err) {
    unsigned char secret[SECRET_BYTES];
    kl_random_bytes(secret, sizeof(secret));
    struct kl_buf rec = {0};
    kl_buf_u8(&rec, KL_AUTH_RECORD_FORMAT);
    kl_buf_lstr(&rec, kl_slice(secret, sizeof(secret)));
    struct kl_batch *b = kl_batch_new(s);
    kl_batch_put(b, KL_CF_META, key, kl_buf_view(&rec));
    enum kl_rc rc = kl_store_commit(s, &b, 1, true, err);
    if (rc == KL_OK) {
        kl_buf_append(ret, secret, sizeof(secret));
    }
    OPENSSL_cleanse(secret, sizeof(secret));
    OPENSSL_cleanse(rec.data, rec.len);
    kl_buf_deinit(&rec);
    kl_batch_free(b);
    return rc;
}

enum kl_rc kl_auth__secret_load(struct kl_store *s, struct kl_buf *ret, struct kl_err *err) {
    struct kl_auth__key key;
    struct kl_pinned pinned;
    kl_auth__key(&key, KL_META_SECRET, KL_S(SECRET_NAME));
    enum kl_rc rc = kl_store_get(s, NULL, KL_CF_META, kl_auth__key_view(&key), &pinned, err);
    if (rc == KL_E_NOT_FOUND) {
        return make(s, kl_auth__key_view(&key), ret, err);
    }
    if (rc == KL_OK) {
        rc = decode(pinned.value, ret, err);
        kl_pinned_release(&pinned);
    }
    return rc;
}
