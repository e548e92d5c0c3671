/* Credentials that were checked before: bearer tokens and (as keyed digests) Basic credentials.
 * Belongs to one loop. */
#ifndef KL_NET_SESSION_CACHE_H
#define KL_NET_SESSION_CACHE_H

#include "auth/auth.h"

struct kl_session_cache;
struct kl_cached_session {
    struct kl_slice user;
    enum kl_role role;
    int64_t expires_s;   /* seconds since 1970; not used from then on */
    uint64_t generation; /* of the tokens when it was checked: another one makes it stale */
};
struct kl_session_cache *kl_session_cache_new(void);
void kl_session_cache_free(struct kl_session_cache *c); /* accepts NULL */
/* The result is borrowed until the next put. */
bool kl_session_cache_get(struct kl_session_cache *c, struct kl_slice key, uint64_t generation,
    int64_t now_s, struct kl_cached_session *ret);
void kl_session_cache_put(
    struct kl_session_cache *c, struct kl_slice key, const struct kl_cached_session *s);

#endif
