/* Random numbers of property tests: the seed is printed once, and KL_TEST_SEED repeats a run. One
 * thread. */
#ifndef KL_TEST_SEEDED_H
#define KL_TEST_SEEDED_H

#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

static inline uint64_t seeded_u64(void) {
    static uint64_t state;
    static bool started;
    if (!started) {
        const char *given = getenv("KL_TEST_SEED");
        state = given ? strtoull(given, NULL, 0) : kl_random_u64();
        printf("seed %llu\n", (unsigned long long)state);
        fflush(stdout);
        started = true;
    }
    uint64_t z = state += 0x9E3779B97F4A7C15ULL;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
    return z ^ z >> 31;
}

static inline uint64_t seeded_below(uint64_t bound) {
    return seeded_u64() % bound;
}

#endif
