/* How often a key (an address, a user) may do something. Memory is fixed; any thread. */
#ifndef KL_NET_LIMITER_H
#define KL_NET_LIMITER_H

#include "base/base.h"

struct kl_limiter;
struct kl_limiter_options {
    uint32_t per_sec; /* 0: no limit */
    uint32_t ban_s;   /* 0: never bans */
    size_t keys;      /* remembered at a time; 0: 4096 */
};
enum kl_limit_verdict { KL_LIMIT_OK, KL_LIMIT_EXCEEDED, KL_LIMIT_BANNED };
#define KL_LIMIT_VIOLATIONS_PER_BAN 10

struct kl_limiter *kl_limiter_new(const struct kl_limiter_options *o);
void kl_limiter_free(struct kl_limiter *l); /* accepts NULL */
/* Counts one. ret_retry_s (may be NULL): seconds until it makes sense to come again. */
enum kl_limit_verdict kl_limiter_take(
    struct kl_limiter *l, struct kl_slice key, int64_t now_ns, uint32_t *ret_retry_s);

#endif
