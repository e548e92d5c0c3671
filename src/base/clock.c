/* The system's clocks behind replaceable operations. The pointer is atomic so that a test that
 * replaces the clock after a thread has started is merely late, not a data race. Any thread. */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static struct kl_clock_ops replacement;
static _Atomic(const struct kl_clock_ops *) current_ops;

static int64_t system_ns(clockid_t id) {
    struct timespec ts;
    KL_ASSERT(clock_gettime(id, &ts) == 0);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t kl_clock_wall_us(void) {
    const struct kl_clock_ops *ops = atomic_load_explicit(&current_ops, memory_order_acquire);
    return ops && ops->wall_us ? ops->wall_us(ops->ctx) : system_ns(CLOCK_REALTIME) / 1000;
}

int64_t kl_clock_mono_ns(void) {
    const struct kl_clock_ops *ops = atomic_load_explicit(&current_ops, memory_order_acquire);
    return ops && ops->mono_ns ? ops->mono_ns(ops->ctx) : system_ns(CLOCK_MONOTONIC);
}

void kl_clock_set_ops(const struct kl_clock_ops *ops) {
    if (ops) {
        replacement = *ops;
    }
    atomic_store_explicit(&current_ops, ops ? &replacement : NULL, memory_order_release);
}
