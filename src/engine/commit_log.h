/* The one door to the store for everything that changes. Standalone a commit is one synced write for all the shards of a
 * batch; in a cluster it would be one log entry a shard. Batches are physical: rows, not statements. */
#ifndef KL_ENGINE_COMMIT_LOG_H
#define KL_ENGINE_COMMIT_LOG_H

#include "store/store.h"

struct kl_commit_log;
struct kl_commit_log *kl_commit_log_new(struct kl_store *s, bool sync);
void kl_commit_log_free(struct kl_commit_log *l);

/* A shard's part of a commit: the operations, and the state that goes with them in the same atomic write. */
struct kl_commit {
    uint16_t shard;
    struct kl_batch *batch;
    int64_t last_seq;  /* highest _seq handed out */
    uint64_t applied;  /* number of this commit in the shard: one more than the last */
};
/* All or nothing per shard; with sync everything is on disk when it returns KL_OK. Blocks. One caller a shard. */
enum kl_rc kl_commit_log_commit(struct kl_commit_log *l, const struct kl_commit *commits, size_t n, struct kl_err *err);
/* Removes a key range of a shard that no reader can name any more (rows of dropped tables). */
enum kl_rc kl_commit_log_delete_range(struct kl_commit_log *l, enum kl_cf cf, struct kl_slice from, struct kl_slice to, struct kl_err *err);
/* What the last commit of a shard left; zeros when there is none. */
enum kl_rc kl_commit_log_recover(struct kl_commit_log *l, uint16_t shard, int64_t *ret_last_seq, uint64_t *ret_applied, struct kl_err *err);

#endif
