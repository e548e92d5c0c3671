#ifndef KL_BASE_RANDOM_H
#define KL_BASE_RANDOM_H

#include "base/assert.h"

/* From the operating system; for secrets. Stops the process when there is no entropy source. */
void kl_random_bytes(void *out, size_t n);
/* Per-thread xoshiro256**, seeded from the operating system; never for secrets. */
uint64_t kl_random_u64(void);
/* Uniform in [0, bound); bound > 0. */
uint64_t kl_random_below(uint64_t bound);

#endif
