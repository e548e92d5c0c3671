/* Randomness: the operating system's for secrets, a generator of each thread's own (xoshiro256**,
 * seeded from the operating system) for everything that must be fast and need not be secret. Any
 * thread. */
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

void kl_random_bytes(void *out, size_t n) {
    unsigned char *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            kl_panic(__FILE__, __LINE__, "no source of randomness");
        }
        p += got;
        n -= (size_t)got;
    }
}

static _Thread_local uint64_t state[4];

static uint64_t rotate(uint64_t v, int n) {
    return v << n | v >> (64 - n);
}

uint64_t kl_random_u64(void) {
    /* all zeros is the one state that xoshiro never leaves, hence the mark of a thread not yet
     * seeded */
    while (!(state[0] | state[1] | state[2] | state[3])) {
        kl_random_bytes(state, sizeof state);
    }
    uint64_t result = rotate(state[1] * 5, 7) * 9;
    uint64_t t = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= t;
    state[3] = rotate(state[3], 45);
    return result;
}

uint64_t kl_random_below(uint64_t bound) {
    KL_ASSERT(bound > 0);
    /* the high half of a 128-bit product; the low half tells the draws that would favour some
     * values */
    uint64_t reject_below = (0 - bound) % bound;
    for (;;) {
        unsigned __int128 product = (unsigned __int128)kl_random_u64() * bound;
        if ((uint64_t)product >= reject_below) {
            return (uint64_t)(product >> 64);
        }
    }
}
