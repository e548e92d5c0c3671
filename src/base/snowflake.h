/* Ids. A snowflake is 41 bits of milliseconds since 2024-01-01 UTC, 10 bits of node, 12 bits of counter.
 *
 * One generator serves the whole node: `_seq` of every shard and SNOWFLAKE_ID() come from it, so both are strictly
 * increasing on the node. When the clock steps back, or more than 4,096 ids are taken in one millisecond, the
 * generator runs ahead of the clock rather than wait or repeat. After a restart kl_snowflake_observe() with the
 * highest id on disk keeps the order. Lock-free, any thread. */
#ifndef KL_BASE_SNOWFLAKE_H
#define KL_BASE_SNOWFLAKE_H

#include "base/slice.h"
#include <stdatomic.h>

#define KL_SNOWFLAKE_EPOCH_MS 1704067200000LL
#define KL_SNOWFLAKE_MAX_NODE 1023

struct kl_snowflake {
    _Atomic uint64_t state; /* milliseconds << 12 | counter of the last id given out */
    uint64_t node;          /* already shifted */
};
void kl_snowflake_init(struct kl_snowflake *g, unsigned node);
int64_t kl_snowflake_next(struct kl_snowflake *g);
void kl_snowflake_observe(struct kl_snowflake *g, int64_t id);
/* Milliseconds since 1970 of an id. */
static inline int64_t kl_snowflake_ms(int64_t id) { return (id >> 22) + KL_SNOWFLAKE_EPOCH_MS; }
/* The smallest id of a millisecond (clamped to 0). */
static inline int64_t kl_snowflake_floor(int64_t ms) {
    return ms <= KL_SNOWFLAKE_EPOCH_MS ? 0 : (ms - KL_SNOWFLAKE_EPOCH_MS) << 22;
}

void kl_uuid_v7(uint8_t out[16]);
void kl_uuid_format(const uint8_t uuid[16], char out[37]);
bool kl_uuid_parse(struct kl_slice s, uint8_t out[16]);
void kl_ulid(char out[27]); /* Crockford base 32, monotonic enough to sort by time */

#endif
