/* Ids: snowflakes, UUIDs, ULIDs.
 *
 * The snowflake state is milliseconds << 12 | counter, so that "the next id" is the larger of the
 * clock and state + 1: a counter that overflows carries into the milliseconds, and a clock that
 * steps back changes nothing. Invariant: the state never falls. Any thread. */
#include "base/snowflake.h"
#include "base/clock.h"
#include "base/random.h"

#define COUNTER_BITS 12
#define COUNTER_MASK ((1ULL << COUNTER_BITS) - 1)
#define STATE_BITS 53 /* 41 of milliseconds, 12 of counter */

void kl_snowflake_init(struct kl_snowflake *g, unsigned node) {
    KL_ASSERT(node <= KL_SNOWFLAKE_MAX_NODE);
    atomic_init(&g->state, 0);
    g->node = (uint64_t)node << COUNTER_BITS;
}

static uint64_t clock_state(void) {
    int64_t ms = kl_clock_wall_ms() - KL_SNOWFLAKE_EPOCH_MS;
    return ms > 0 ? (uint64_t)ms << COUNTER_BITS : 0;
}

int64_t kl_snowflake_next(struct kl_snowflake *g) {
    uint64_t now = clock_state();
    uint64_t old = atomic_load_explicit(&g->state, memory_order_relaxed);
    uint64_t next;
    do {
        next = KL_MAX(now, old + 1);
        KL_ASSERT(next >> STATE_BITS == 0);
    } while (!atomic_compare_exchange_weak_explicit(
        &g->state, &old, next, memory_order_acq_rel, memory_order_relaxed));
    uint64_t ms = next >> COUNTER_BITS;
    return (int64_t)(ms << 22 | g->node | (next & COUNTER_MASK));
}

void kl_snowflake_observe(struct kl_snowflake *g, int64_t id) {
    if (id < 0) {
        return;
    }
    uint64_t seen = (uint64_t)id >> 22 << COUNTER_BITS;
    uint64_t node = (uint64_t)id & ((uint64_t)KL_SNOWFLAKE_MAX_NODE << COUNTER_BITS);
    /* an id of a higher node is above every id that this node can give in the same millisecond */
    seen |= node > g->node ? COUNTER_MASK : (uint64_t)id & COUNTER_MASK;
    uint64_t old = atomic_load_explicit(&g->state, memory_order_relaxed);
    while (old < seen && !atomic_compare_exchange_weak_explicit(
                             &g->state, &old, seen, memory_order_acq_rel, memory_order_relaxed)) {
    }
}

static void put_be48(uint8_t *out, uint64_t v) {
    for (int i = 0; i < 6; i++) {
        out[i] = (uint8_t)(v >> (40 - 8 * i));
    }
}

void kl_uuid_v7(uint8_t out[16]) {
    int64_t us = kl_clock_wall_us();
    uint64_t random = kl_random_u64();
    /* the twelve bits after the version hold the fraction of the millisecond, so that ids sort more
     * finely */
    unsigned fraction = (unsigned)((uint64_t)us % 1000 * 4096 / 1000);
    put_be48(out, (uint64_t)us / 1000);
    out[6] = (uint8_t)(0x70 | fraction >> 8);
    out[7] = (uint8_t)fraction;
    memcpy(out + 8, &random, 8);
    out[8] = (uint8_t)((out[8] & 0x3F) | 0x80);
}

void kl_uuid_format(const uint8_t uuid[16], char out[37]) {
    static const char hex[] = "0123456789abcdef";
    char *p = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *p++ = '-';
        }
        *p++ = hex[uuid[i] >> 4];
        *p++ = hex[uuid[i] & 15];
    }
    *p = '\0';
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As PostgreSQL reads it: either case, optional braces, a hyphen optional after any group of four
 * digits. */
bool kl_uuid_parse(struct kl_slice s, uint8_t out[16]) {
    if (s.len >= 2 && s.ptr[0] == '{' && s.ptr[s.len - 1] == '}') {
        s = kl_slice(s.ptr + 1, s.len - 2);
    }
    uint8_t bytes[16];
    for (int i = 0; i < 16; i++) {
        if (i > 0 && i % 2 == 0 && s.len && s.ptr[0] == '-') {
            s = kl_slice_from(s, 1);
        }
        int high = s.len >= 2 ? hex_value(s.ptr[0]) : -1;
        int low = s.len >= 2 ? hex_value(s.ptr[1]) : -1;
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
        s = kl_slice_from(s, 2);
    }
    if (s.len) {
        return false;
    }
    memcpy(out, bytes, sizeof bytes);
    return true;
}

void kl_ulid(char out[27]) {
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    int64_t ms = kl_clock_wall_ms();
    unsigned __int128 value = (unsigned __int128)((uint64_t)ms & 0xFFFFFFFFFFFFULL) << 80;
    value |= (unsigned __int128)(kl_random_u64() & 0xFFFF) << 64;
    value |= kl_random_u64();
    for (int i = 25; i >= 0; i--) {
        out[i] = alphabet[(unsigned)value & 31];
        value >>= 5;
    }
    out[26] = '\0';
}
