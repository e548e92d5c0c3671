/* What the files of schema changes share: one change of the catalog on the metadata writer, and the statements that make one. */
#ifndef KL_ENGINE_DDL_INTERNAL_H
#define KL_ENGINE_DDL_INTERNAL_H

#include "engine/internal.h"

/* ---- one change of the catalog ---- */

/* What is to be done, and what it leads to. Zero it, set the first five, call kl__ddl_change.
 *
 * op runs on the metadata writer between kl_catalog_begin and the commit: it makes one or more kl_cat_* calls, puts whatever else belongs to the same
 * commit into `batch`, and fills the fields below "out". KL_OK: commit and publish. KL_E_AGAIN: nothing to do, kl__ddl_change answers KL_OK.
 * Anything else: nothing happened, neither a record nor a new snapshot. */
struct kl__ddl_change {
    struct kl_engine *engine;
    enum kl_rc (*op)(struct kl__ddl_change *c, struct kl_err *err);
    void *ctx;
    bool pause;             /* the other writers stand still between two batches from before op until after the new snapshot is published */
    struct kl_batch *batch; /* set by kl__ddl_change: the metadata shard's */
    /* out: by op */
    const uint32_t *dropped;        /* tables that are gone: everybody is told */
    size_t n_dropped;
    const uint32_t *removed;        /* ids of tables and indexes whose entries are to be removed in the background */
    size_t n_removed;
    uint32_t altered;               /* a table with a new definition, 0 none: everybody is told */
    /* out: by kl__ddl_change */
    bool changed;                   /* something was committed */
};
/* On the metadata writer only, with nothing pending there: call it in the run function of a struct kl_shard_call for KL_SHARD_META that was posted with
 * kl_engine_call. Blocks for the commit, and for the other writers when they are to stand still. Afterwards every writer sees the new snapshot before
 * its next batch. */
enum kl_rc kl__ddl_change(struct kl__ddl_change *c, struct kl_err *err);

/* ---- a statement ---- */
struct kl__ddl {
    struct kl_shard_call call;
    struct kl__run *run;
    struct kl__stmt *stmt;
    struct kl__ddl_change change;
    char message[600];
};
void kl__ddl_say(struct kl__ddl *d, const char *fmt, ...) KL_PRINTF(2, 3);

#endif
