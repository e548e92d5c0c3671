/* The description of a result's columns as JSON, and those that were written before. Belongs to one
 * loop. */
#ifndef KL_NET_SCHEMA_CACHE_H
#define KL_NET_SCHEMA_CACHE_H

#include "types/rows.h"

/* [{"name":"id","data_type":"BigInt","index":0,"flags":["pk","nn"]},...] */
void kl_schema_write(struct kl_buf *out, const struct kl_sink_col *cols, size_t n);

struct kl_schema_cache;
struct kl_schema_cache *kl_schema_cache_new(void);
void kl_schema_cache_free(struct kl_schema_cache *c); /* accepts NULL */
/* Appends the same as kl_schema_write. */
void kl_schema_cache_write(
    struct kl_schema_cache *c, struct kl_buf *out, const struct kl_sink_col *cols, size_t n);

#endif
