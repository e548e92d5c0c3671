/* What the files of the catalog share. Not for other folders. */
#ifndef KL_CATALOG_INTERNAL_H
#define KL_CATALOG_INTERNAL_H

#include "catalog/catalog.h"
#include <pthread.h>

#define KL_CATALOG_FORMAT 1                   /* of the data directory; in KL_META_IDENTITY */
#define KL_CATALOG_RECORD_MAX (16u << 20)     /* bytes of one record */
#define KL_CATALOG_NS_OPTIONS_MAX (64u << 10) /* bytes of a namespace's options */
#define KL_CATALOG_USER_SHARDS_DEFAULT 8
#define KL_CATALOG_USER_SHARDS_MAX 1024
#define KL_CATALOG_STORAGE "local" /* the one storage there is */

/* A namespace as snapshots share it; never changes. */
struct kl_catalog__ns {
    _Atomic uint32_t refs;
    struct kl_namespace pub; /* its strings follow in the same allocation */
};

/* One snapshot. Written only while it is a draft, that is before its first publication. */
struct kl_cat {
    _Atomic uint32_t refs;
    uint64_t version;
    struct kl_catalog__ns **ns; /* by name; one reference each */
    size_t n_ns, cap_ns;
    struct kl_table **tables; /* by namespace, name; one reference each */
    size_t n_tables, cap_tables;
    struct kl_table **by_id; /* the same tables by id; borrowed */
    size_t cap_by_id;
};

struct kl_catalog {
    struct kl_store *store;   /* fixed */
    unsigned user_shards;     /* fixed */
    pthread_mutex_t lock;     /* leaf: nothing is taken while it is held */
    struct kl_cat *current;   /* guarded by lock; one reference */
    _Atomic uint64_t version; /* of current */
    /* metadata writer only: the change under way */
    bool changing;
    struct kl_batch *batch; /* borrowed */
    struct kl_cat *draft;   /* NULL until something changed */
};

/* ---- record.c ---- */
struct kl_catalog__identity {
    uint32_t format;
    uint16_t node, user_shards;
    int64_t created_us;
};
void kl_catalog__identity_encode(struct kl_buf *out, const struct kl_catalog__identity *id);
enum kl_rc kl_catalog__identity_decode(
    struct kl_slice rec, struct kl_catalog__identity *ret, struct kl_err *err);
void kl_catalog__ns_encode(struct kl_buf *out, const struct kl_namespace *ns);
enum kl_rc kl_catalog__ns_decode(
    struct kl_slice name, struct kl_slice rec, struct kl_catalog__ns **ret, struct kl_err *err);
/* Needs everything but the shortcuts, layouts and from_current. `out->failed` when it is too
 * large. */
void kl_catalog__table_encode(struct kl_buf *out, const struct kl_table *t);
/* A table with one reference. KL_E_CORRUPT for bytes that no encoder wrote, KL_E_TOO_LARGE past
 * the memory of one table. */
enum kl_rc kl_catalog__table_decode(
    uint32_t id, struct kl_slice rec, struct kl_table **ret, struct kl_err *err);
/* The immutable table that a filled struct describes: encoded and decoded again, so that memory
 * is what disk says. */
enum kl_rc kl_catalog__table_make(
    const struct kl_table *spec, struct kl_buf *rec, struct kl_table **ret, struct kl_err *err);

/* ---- snapshot.c ---- */
struct kl_catalog__ns *kl_catalog__ns_new(
    struct kl_slice name, struct kl_slice options_json, int64_t created_us, uint32_t n_tables);
void kl_catalog__ns_unref(struct kl_catalog__ns *ns);
struct kl_cat *kl_catalog__cat_new(void);
struct kl_cat *kl_catalog__cat_clone(const struct kl_cat *from);
/* Drafts only. put takes the reference over and replaces what has the same name (namespace) or id
 * (table). */
void kl_catalog__cat_put_ns(struct kl_cat *cat, struct kl_catalog__ns *ns);
void kl_catalog__cat_del_ns(struct kl_cat *cat, struct kl_slice name);
void kl_catalog__cat_put_table(struct kl_cat *cat, struct kl_table *t);
void kl_catalog__cat_del_table(struct kl_cat *cat, struct kl_table *t);

/* ---- change.c ---- */
/* What the next change starts from, and the draft to change (made on first use). */
const struct kl_cat *kl_catalog__base(struct kl_catalog *c);
struct kl_cat *kl_catalog__draft(struct kl_catalog *c);
enum kl_rc kl_catalog__find_table(struct kl_catalog *c, const char *verb, struct kl_slice ns,
    struct kl_slice name, struct kl_table **ret, struct kl_err *err);
/* Casts a literal default to its column's type. */
enum kl_rc kl_catalog__default_fit(const struct kl_column_def *def, struct kl_arena *arena,
    struct kl_default *ret, struct kl_err *err);
/* Record into the batch, table into the draft (takes the reference over). */
void kl_catalog__store_table(struct kl_catalog *c, struct kl_table *t, struct kl_slice rec);

/* ---- system.c ---- */
void kl_catalog__add_system(struct kl_cat *cat, int64_t created_us);

/* ---- meta keys ---- */
struct kl_catalog__key {
    char data[1 + 128];
    size_t len;
};
void kl_catalog__key(struct kl_catalog__key *k, enum kl_meta_kind kind, struct kl_slice id);
void kl_catalog__key_table(struct kl_catalog__key *k, uint32_t id);
static inline struct kl_slice kl_catalog__key_view(const struct kl_catalog__key *k) {
    return kl_slice(k->data, k->len);
}

#endif
