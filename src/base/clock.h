/* Time behind ops, so that a test can make the clock jump. */
#ifndef KL_BASE_CLOCK_H
#define KL_BASE_CLOCK_H

#include "base/assert.h"

struct kl_clock_ops {
    int64_t (*wall_us)(void *ctx); /* microseconds since 1970-01-01 UTC; may step */
    int64_t (*mono_ns)(void *ctx); /* never steps */
    void *ctx;
};
int64_t kl_clock_wall_us(void);
int64_t kl_clock_mono_ns(void);
static inline int64_t kl_clock_wall_ms(void) { return kl_clock_wall_us() / 1000; }
static inline int64_t kl_clock_mono_ms(void) { return kl_clock_mono_ns() / 1000000; }
/* NULL restores the system's clocks. For tests, before threads start. */
void kl_clock_set_ops(const struct kl_clock_ops *ops);

#endif
