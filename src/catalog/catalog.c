/* Opening the catalog, handing out snapshots, and the bracket around a change.
 *
 * First open: the identity record and the namespaces `default` and `dba` are committed in one
 * batch, so a data directory either has all of them or is empty. Later opens read every record; a
 * damaged one stops the start, because a server that silently lost a table would answer wrongly.
 *
 * Threads: acquire, release and version from any; begin, publish, abort and the changes from the
 * metadata writer; open and close while nobody else is there. */
#include "catalog/internal.h"
#include <stdlib.h>

static void put_record(
    struct kl_batch *b, enum kl_meta_kind kind, struct kl_slice id, struct kl_buf *rec) {
    struct kl_catalog__key key;
    kl_catalog__key(&key, kind, id);
    KL_ASSERT(!rec->failed);
    kl_batch_put(b, KL_CF_META, kl_catalog__key_view(&key), kl_buf_view(rec));
    kl_buf_clear(rec);
}

static enum kl_rc initialise(
    struct kl_store *s, const struct kl_catalog__identity *id, struct kl_err *err) {
    static const char *const first[] = {"default", "dba"};
    struct kl_batch *b = kl_batch_new(s);
    struct kl_buf rec;
    kl_buf_init(&rec, KL_CATALOG_RECORD_MAX);
    kl_catalog__identity_encode(&rec, id);
    put_record(b, KL_META_IDENTITY, KL_SLICE_NONE, &rec);
    for (size_t i = 0; i < KL_LEN(first); i++) {
        struct kl_namespace ns = {.name = first[i], .created_us = id->created_us};
        kl_catalog__ns_encode(&rec, &ns);
        put_record(b, KL_META_NAMESPACE, kl_slice_str(first[i]), &rec);
    }
    enum kl_rc rc = kl_store_commit(s, &b, 1, true, err);
    kl_buf_deinit(&rec);
    kl_batch_free(b);
    return rc;
}

/* A store that has metadata but no identity is not ours to begin afresh. */
static enum kl_rc check_empty(struct kl_store *s, struct kl_err *err) {
    struct kl_iter *it = kl_iter_new(s, &(struct kl_iter_options){.cf = KL_CF_META});
    kl_iter_seek_first(it);
    bool any = kl_iter_valid(it);
    enum kl_rc rc = kl_iter_status(it, err);
    kl_iter_free(it);
    if (rc == KL_OK && any) {
        return kl_fail(err, KL_E_CORRUPT, "The data directory has metadata but no identity record");
    }
    return rc;
}

static enum kl_rc load_identity(struct kl_store *s, unsigned want_user_shards,
    struct kl_catalog__identity *ret, struct kl_err *err) {
    struct kl_catalog__key key;
    struct kl_pinned pinned;
    kl_catalog__key(&key, KL_META_IDENTITY, KL_SLICE_NONE);
    enum kl_rc rc = kl_store_get(s, NULL, KL_CF_META, kl_catalog__key_view(&key), &pinned, err);
    if (rc == KL_OK) {
        rc = kl_catalog__identity_decode(pinned.value, ret, err);
        kl_pinned_release(&pinned);
        return rc;
    }
    if (rc != KL_E_NOT_FOUND) {
        return rc;
    }
    KL_TRY(check_empty(s, err));
    unsigned shards = want_user_shards ? want_user_shards : KL_CATALOG_USER_SHARDS_DEFAULT;
    if (shards > KL_CATALOG_USER_SHARDS_MAX) {
        return kl_fail(err, KL_E_INVALID_INPUT, "The number of user shards must be at most %d",
            KL_CATALOG_USER_SHARDS_MAX);
    }
    *ret = (struct kl_catalog__identity){.format = KL_CATALOG_FORMAT,
        .user_shards = (uint16_t)shards,
        .created_us = kl_clock_wall_us()};
    return initialise(s, ret, err);
}

static enum kl_rc load_namespace(
    struct kl_cat *cat, struct kl_slice name, struct kl_slice rec, struct kl_err *err) {
    struct kl_catalog__ns *ns;
    KL_TRY(kl_catalog__ns_decode(name, rec, &ns, err));
    kl_catalog__cat_put_ns(cat, ns);
    return KL_OK;
}

static enum kl_rc load_storage(
    struct kl_cat *cat, struct kl_slice id, struct kl_slice rec, struct kl_err *err) {
    struct kl_catalog__storage *s;
    KL_TRY(kl_catalog__storage_decode(id, rec, &s, err));
    kl_catalog__cat_put_storage(cat, s);
    return KL_OK;
}

static enum kl_rc load_table(
    struct kl_cat *cat, struct kl_slice id_be, struct kl_slice rec, struct kl_err *err) {
    struct kl_reader r;
    kl_reader_init(&r, id_be);
    uint32_t id = kl_read_be32(&r);
    if (r.failed || r.ptr != r.end || id == 0 || id >= KL_SYS_TABLE_BASE) {
        return kl_fail(err, KL_E_CORRUPT, "A table key of the catalog is damaged");
    }
    struct kl_table *t;
    KL_TRY(kl_catalog__table_decode(id, rec, &t, err));
    if (t->type == KL_TABLE_SYSTEM || !kl_cat_namespace(cat, kl_slice_str(t->ns)) ||
        kl_namespace_is_system(kl_slice_str(t->ns)) ||
        kl_cat_table(cat, kl_slice_str(t->ns), kl_slice_str(t->name))) {
        enum kl_rc rc = kl_fail(err, KL_E_CORRUPT,
            "The catalog record of table %u (%s.%s) contradicts others", id, t->ns, t->name);
        kl_table_unref(t);
        return rc;
    }
    kl_catalog__cat_put_table(cat, t);
    return KL_OK;
}

static enum kl_rc load_kind(struct kl_store *s, enum kl_meta_kind kind, struct kl_cat *cat,
    enum kl_rc (*load)(
        struct kl_cat *cat, struct kl_slice id, struct kl_slice rec, struct kl_err *err),
    struct kl_err *err) {
    char prefix = (char)kind;
    struct kl_iter *it =
        kl_iter_new(s, &(struct kl_iter_options){.cf = KL_CF_META, .prefix = kl_slice(&prefix, 1)});
    enum kl_rc rc = KL_OK;
    for (kl_iter_seek_first(it); rc == KL_OK && kl_iter_valid(it); kl_iter_next(it)) {
        rc = load(cat, kl_slice_from(kl_iter_key(it), 1), kl_iter_value(it), err);
    }
    if (rc == KL_OK) {
        rc = kl_iter_status(it, err);
    }
    kl_iter_free(it);
    return rc;
}

enum kl_rc kl_catalog_open(
    struct kl_store *s, unsigned want_user_shards, struct kl_catalog **ret, struct kl_err *err) {
    struct kl_catalog__identity identity;
    KL_TRY(load_identity(s, want_user_shards, &identity, err));
    struct kl_cat *cat = kl_catalog__cat_new();
    kl_catalog__add_system(cat, identity.created_us);
    kl_catalog__add_local_storage(cat, identity.created_us);
    enum kl_rc rc = load_kind(s, KL_META_NAMESPACE, cat, load_namespace, err);
    if (rc == KL_OK) {
        rc = load_kind(s, KL_META_STORAGE, cat, load_storage, err);
    }
    if (rc == KL_OK) {
        rc = load_kind(s, KL_META_TABLE, cat, load_table, err);
    }
    if (rc != KL_OK) {
        kl_cat_release(cat);
        return rc;
    }
    struct kl_catalog *c = kl_xcalloc(1, sizeof(*c));
    c->store = s;
    c->user_shards = identity.user_shards;
    c->current = cat;
    atomic_init(&c->version, cat->version);
    pthread_mutex_init(&c->lock, NULL);
    *ret = c;
    return KL_OK;
}

void kl_catalog_close(struct kl_catalog *c) {
    if (!c) {
        return;
    }
    kl_cat_release(c->draft);
    kl_cat_release(c->current);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

unsigned kl_catalog_user_shards(struct kl_catalog *c) {
    return c->user_shards;
}

uint64_t kl_catalog_version(struct kl_catalog *c) {
    return atomic_load_explicit(&c->version, memory_order_acquire);
}

struct kl_cat *kl_catalog_acquire(struct kl_catalog *c) {
    pthread_mutex_lock(&c->lock);
    struct kl_cat *cat = c->current;
    /* Under the lock, so that publish cannot drop the last reference between the read and this. */
    atomic_fetch_add_explicit(&cat->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&c->lock);
    return cat;
}

enum kl_rc kl_catalog_begin(struct kl_catalog *c, struct kl_batch *batch, struct kl_err *err) {
    KL_ASSERT(!c->changing && !c->draft);
    if (kl_store_failed(c->store)) {
        return kl_fail(
            err, KL_E_IO, "The store has failed and accepts no changes until the server restarts");
    }
    c->changing = true;
    c->batch = batch;
    return KL_OK;
}

static struct kl_cat *end_change(struct kl_catalog *c) {
    KL_ASSERT(c->changing);
    struct kl_cat *draft = c->draft;
    c->changing = false;
    c->batch = NULL;
    c->draft = NULL;
    return draft;
}

void kl_catalog_publish(struct kl_catalog *c) {
    struct kl_cat *next = end_change(c);
    if (!next) {
        return; /* nothing had to change */
    }
    pthread_mutex_lock(&c->lock);
    struct kl_cat *old = c->current;
    c->current = next;
    pthread_mutex_unlock(&c->lock);
    /* After the pointer: who sees the new number finds the new snapshot. */
    atomic_store_explicit(&c->version, next->version, memory_order_release);
    kl_cat_release(old);
}

void kl_catalog_abort(struct kl_catalog *c) {
    kl_cat_release(end_change(c));
}

const struct kl_cat *kl_catalog__base(struct kl_catalog *c) {
    KL_ASSERT(c->changing);
    return c->draft ? c->draft : c->current;
}

struct kl_cat *kl_catalog_draft(struct kl_catalog *c) {
    return kl_catalog__draft(c);
}

struct kl_table *kl_catalog_draft_table(
    struct kl_catalog *c, struct kl_slice ns, struct kl_slice name) {
    return kl_cat_table(kl_catalog__base(c), ns, name);
}

struct kl_cat *kl_catalog__draft(struct kl_catalog *c) {
    KL_ASSERT(c->changing);
    if (!c->draft) {
        c->draft = kl_catalog__cat_clone(c->current);
    }
    return c->draft;
}
