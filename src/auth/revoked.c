/* Tokens that were revoked before they expired: in memory by id, and in the meta family for the
 * next start.
 *
 * revoked token, key 06 id (32 hex digits): u8 format 1 | i64 expiry, seconds since 1970
 *
 * An entry is needed until its token would be refused as expired anyway, so the list is bounded
 * by what can be issued in one refresh lifetime. Entries past that are dropped with a later
 * revocation, at most once a minute, and at start.
 *
 * Threads: revoke by whoever owns the batch; the rest by any. */
#include "auth/internal.h"

#define PURGE_EVERY_S 60

static int64_t now_s(void) {
    return kl_clock_wall_us() / 1000000;
}

static bool is_past(int64_t expires_s, int64_t now) {
    return expires_s < now - KL_AUTH_LEEWAY_S;
}

static void remember(struct kl_tokens *t, struct kl_slice id, int64_t expires_s) {
    /* The value is the number itself; a token always expires after 1970, so it is never NULL. */
    kl_map_put(&t->revoked, id, (void *)(intptr_t)KL_MAX(expires_s, 1));
    atomic_store_explicit(&t->n_revoked, t->revoked.count, memory_order_release);
}

static bool is_token_id(struct kl_slice id) {
    if (id.len != 32) {
        return false;
    }
    for (size_t i = 0; i < id.len; i++) {
        if (!((id.ptr[i] >= '0' && id.ptr[i] <= '9') || (id.ptr[i] >= 'a' && id.ptr[i] <= 'f'))) {
            return false;
        }
    }
    return true;
}

static void delete_record(struct kl_batch *b, struct kl_slice id) {
    struct kl_auth__key key;
    kl_auth__key(&key, KL_META_REVOKED, id);
    kl_batch_del(b, KL_CF_META, kl_auth__key_view(&key));
}

static enum kl_rc load_one(struct kl_tokens *t, struct kl_batch *drop, struct kl_slice id,
    struct kl_slice rec, int64_t now, struct kl_err *err) {
    struct kl_reader r;
    kl_reader_init(&r, rec);
    uint8_t format = kl_read_u8(&r);
    int64_t expires_s = (int64_t)kl_read_le64(&r);
    if (r.failed || r.ptr != r.end || format != KL_AUTH_RECORD_FORMAT || expires_s < 0 ||
        !is_token_id(id)) {
        return kl_fail(err, KL_E_CORRUPT, "A record of a revoked token is damaged");
    }
    if (is_past(expires_s, now)) {
        delete_record(drop, id);
    } else {
        remember(t, id, expires_s);
    }
    return KL_OK;
}

enum kl_rc kl_auth__revoked_load(struct kl_tokens *t, struct kl_err *err) {
    char prefix = KL_META_REVOKED;
    int64_t now = now_s();
    struct kl_batch *drop = kl_batch_new(t->store);
    struct kl_iter *it = kl_iter_new(
        t->store, &(struct kl_iter_options){.cf = KL_CF_META, .prefix = kl_slice(&prefix, 1)});
    enum kl_rc rc = KL_OK;
    for (kl_iter_seek_first(it); rc == KL_OK && kl_iter_valid(it); kl_iter_next(it)) {
        rc = load_one(t, drop, kl_slice_from(kl_iter_key(it), 1), kl_iter_value(it), now, err);
    }
    if (rc == KL_OK) {
        rc = kl_iter_status(it, err);
    }
    kl_iter_free(it);
    if (rc == KL_OK && kl_batch_count(drop) > 0) {
        rc = kl_store_commit(t->store, &drop, 1, false, err);
    }
    kl_batch_free(drop);
    return rc;
}

bool kl_auth__is_revoked(struct kl_tokens *t, struct kl_slice token_id) {
    if (atomic_load_explicit(&t->n_revoked, memory_order_acquire) == 0) {
        return false;
    }
    pthread_mutex_lock(&t->lock);
    bool found = kl_map_get(&t->revoked, token_id) != NULL;
    pthread_mutex_unlock(&t->lock);
    return found;
}

/* Under the lock. The map may not change while it is walked, so the ids are gathered first. */
static void purge(struct kl_tokens *t, struct kl_batch *b, int64_t now) {
    if (now < t->next_purge_s) {
        return;
    }
    t->next_purge_s = now + PURGE_EVERY_S;
    struct kl_buf past = {0};
    struct kl_map_entry *e;
    for (size_t it = 0; (e = kl_map_next(&t->revoked, &it));) {
        if (is_past((int64_t)(intptr_t)e->value, now)) {
            kl_buf_append(&past, e->key, 32);
        }
    }
    for (size_t at = 0; at + 32 <= past.len; at += 32) {
        struct kl_slice id = kl_slice(past.data + at, 32);
        kl_map_del(&t->revoked, id);
        delete_record(b, id);
    }
    kl_buf_deinit(&past);
}

void kl_tokens_revoke(
    struct kl_tokens *t, struct kl_batch *b, const struct kl_token_claims *claims) {
    struct kl_slice id = kl_slice_str(claims->id);
    KL_ASSERT(is_token_id(id)); /* verify and issue give every token one */
    struct kl_auth__key key;
    struct kl_buf rec = {0};
    kl_auth__key(&key, KL_META_REVOKED, id);
    kl_buf_u8(&rec, KL_AUTH_RECORD_FORMAT);
    kl_buf_le64(&rec, (uint64_t)claims->expires_s);
    pthread_mutex_lock(&t->lock);
    purge(t, b, now_s());
    remember(t, id, claims->expires_s);
    pthread_mutex_unlock(&t->lock);
    kl_batch_put(b, KL_CF_META, kl_auth__key_view(&key), kl_buf_view(&rec));
    kl_buf_deinit(&rec);
    kl_tokens_touch(t);
}
