/* What the files of auth share. Not for other folders. */
#ifndef KL_AUTH_INTERNAL_H
#define KL_AUTH_INTERNAL_H

#include "auth/auth.h"
#include <openssl/evp.h>
#include <pthread.h>

#define KL_AUTH_RECORD_FORMAT 1
#define KL_AUTH_LEEWAY_S 60          /* clocks of different machines */
#define KL_AUTH_TOKEN_MAX (8u << 10) /* bytes of one token */

struct kl_tokens {
    struct kl_store *store;      /* fixed */
    EVP_MAC_CTX *mac;            /* fixed: keyed, copied for each use */
    char *trusted_issuers;       /* fixed: comma list, or NULL */
    int64_t access_s, refresh_s; /* fixed */
    _Atomic uint64_t generation;
    _Atomic size_t n_revoked; /* lets verify skip the lock while nothing is revoked */
    pthread_mutex_t lock;     /* leaf */
    struct kl_map revoked;    /* guarded by lock: token id -> expiry in seconds */
    int64_t next_purge_s;     /* guarded by lock */
};

struct kl_auth__key {
    char data[1 + KL_USER_ID_MAX];
    size_t len;
};
void kl_auth__key(struct kl_auth__key *k, enum kl_meta_kind kind,
    struct kl_slice id); /* id: at most KL_USER_ID_MAX bytes */
static inline struct kl_slice kl_auth__key_view(const struct kl_auth__key *k) {
    return kl_slice(k->data, k->len);
}

/* The role with exactly this name: what tokens carry, without SQL's aliases. */
bool kl_auth__role_exact(struct kl_slice s, enum kl_role *ret);

/* ---- secret.c ---- */
/* The generated signing secret, made and committed on first use. */
enum kl_rc kl_auth__secret_load(struct kl_store *s, struct kl_buf *ret, struct kl_err *err);

/* ---- revoked.c ---- */
enum kl_rc kl_auth__revoked_load(struct kl_tokens *t, struct kl_err *err);
bool kl_auth__is_revoked(struct kl_tokens *t, struct kl_slice token_id);

#endif
