/* Commits and the state record of a shard.
 *
 * Key: KL_META_SHARD u8 | shard u16 be.  Value: version u8 (1) | last_seq i64 le | applied u64 le.
 * The record travels in the same write as the rows, so after a crash it is never older or newer than they are. */
#include "engine/commit_log.h"

#include "catalog/catalog.h"
#include <stdlib.h>

#define MAX_SHARDS 1026 /* of users, and two */

struct kl_commit_log {
    struct kl_store *store;
    bool sync;
};

struct kl_commit_log *kl_commit_log_new(struct kl_store *s, bool sync) {
    struct kl_commit_log *l = kl_xcalloc(1, sizeof(*l));
    l->store = s;
    l->sync = sync;
    return l;
}

void kl_commit_log_free(struct kl_commit_log *l) { free(l); }

static struct kl_slice state_key(uint16_t shard, char key[3]) {
    key[0] = KL_META_SHARD;
    key[1] = (char)(shard >> 8);
    key[2] = (char)shard;
    return kl_slice(key, 3);
}

static void put_state(const struct kl_commit *c) {
    char key[3], value[17];
    value[0] = 1;
    memcpy(value + 1, &c->last_seq, 8);
    memcpy(value + 9, &c->applied, 8);
    kl_batch_put(c->batch, KL_CF_META, state_key(c->shard, key), kl_slice(value, sizeof(value)));
}

enum kl_rc kl_commit_log_commit(struct kl_commit_log *l, const struct kl_commit *commits, size_t n, struct kl_err *err) {
    KL_ASSERT(n <= MAX_SHARDS);
    struct kl_batch *batches[MAX_SHARDS];
    for (size_t i = 0; i < n; i++) {
        put_state(&commits[i]);
        batches[i] = commits[i].batch;
    }
    return kl_store_commit(l->store, batches, n, l->sync, err);
}

enum kl_rc kl_commit_log_delete_range(struct kl_commit_log *l, enum kl_cf cf, struct kl_slice from, struct kl_slice to,
    struct kl_err *err) {
    return kl_store_delete_range(l->store, cf, from, to, err);
}

enum kl_rc kl_commit_log_recover(struct kl_commit_log *l, uint16_t shard, int64_t *ret_last_seq, uint64_t *ret_applied,
    struct kl_err *err) {
    char key[3];
    struct kl_pinned p;
    enum kl_rc rc = kl_store_get(l->store, NULL, KL_CF_META, state_key(shard, key), &p, err);
    if (rc == KL_E_NOT_FOUND) {
        *ret_last_seq = 0;
        *ret_applied = 0;
        return KL_OK;
    }
    KL_TRY(rc);
    struct kl_reader r;
    kl_reader_init(&r, p.value);
    uint8_t version = kl_read_u8(&r);
    int64_t last = (int64_t)kl_read_le64(&r);
    uint64_t applied = kl_read_le64(&r);
    bool bad = r.failed || version != 1;
    kl_pinned_release(&p);
    if (bad) {
        return kl_fail(err, KL_E_CORRUPT, "state record of shard %u cannot be read", shard);
    }
    *ret_last_seq = last;
    *ret_applied = applied;
    return KL_OK;
}
