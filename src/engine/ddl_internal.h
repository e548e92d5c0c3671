/* What the files of schema changes share: one statement on the metadata writer, see ddl.c. */
#ifndef KL_ENGINE_DDL_INTERNAL_H
#define KL_ENGINE_DDL_INTERNAL_H

#include "engine/internal.h"

struct kl__ddl {
    struct kl_shard_call call;
    struct kl__run *run;
    struct kl__stmt *stmt;
    char message[400];
    uint32_t *dropped; /* tables and indexes whose entries are to be removed */
    size_t n_dropped;
    uint32_t altered; /* table with a new version, 0 none */
};
/* An operation runs on the metadata writer between kl_catalog_begin and the commit, the other writers standing still when
 * changes_a_table() says so. KL_OK: commit; KL_E_AGAIN: nothing to do, the message says so; else: nothing happened. */
void kl__ddl_say(struct kl__ddl *d, const char *fmt, ...) KL_PRINTF(2, 3);

#endif
