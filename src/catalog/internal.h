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
#define KL_CATALOG_STORAGE "local"           /* the storage that is always there */
#define KL_CATALOG_STORAGE_ID_MAX 64
#define KL_CATALOG_STORAGE_TEXT_MAX (64u << 10) /* bytes of one text of a storage */
#define KL_CATALOG_STORAGES_MAX 1000
#define KL_CATALOG_CHECKS_MAX 64                /* of one table */
#define KL_CATALOG_CHECK_MAX (16u << 10)        /* bytes of one condition */
#define KL_CATALOG_COMMENT_MAX (16u << 10)
#define KL_CATALOG_VIEW_MAX (1u << 20)          /* bytes of a view's query */

/* A namespace as snapshots share it; never changes. */
struct kl_catalog__ns {
    _Atomic uint32_t refs;
    struct kl_namespace pub; /* its strings follow in the same allocation */
};

/* A storage as snapshots share it; never changes. */
struct kl_catalog__storage {
    _Atomic uint32_t refs;
    struct kl_storage pub;
    struct kl_arena arena; /* its texts */
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
    struct kl_catalog__storage **storages; /* by id; one reference each */
    size_t n_storages, cap_storages;
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

void kl_catalog__storage_encode(struct kl_buf *out, const struct kl_storage *s);
enum kl_rc kl_catalog__storage_decode(struct kl_slice id, struct kl_slice rec,
    struct kl_catalog__storage **ret, struct kl_err *err);

/* ---- snapshot.c ---- */
struct kl_catalog__ns *kl_catalog__ns_new(
    struct kl_slice name, struct kl_slice options_json, int64_t created_us, uint32_t n_tables);
void kl_catalog__ns_unref(struct kl_catalog__ns *ns);
struct kl_cat *kl_catalog__cat_new(void);
struct kl_cat *kl_catalog__cat_clone(const struct kl_cat *from);
void kl_catalog__storage_unref(struct kl_catalog__storage *s); /* accepts NULL */
/* Drafts only. put takes the reference over and replaces what has the same name (namespace) or id
 * (table). */
void kl_catalog__cat_put_ns(struct kl_cat *cat, struct kl_catalog__ns *ns);
void kl_catalog__cat_del_ns(struct kl_cat *cat, struct kl_slice name);
void kl_catalog__cat_put_table(struct kl_cat *cat, struct kl_table *t);
void kl_catalog__cat_del_table(struct kl_cat *cat, struct kl_table *t);
void kl_catalog__cat_put_storage(struct kl_cat *cat, struct kl_catalog__storage *s);
void kl_catalog__cat_del_storage(struct kl_cat *cat, struct kl_slice id);

/* ---- change.c ---- */
/* What the next change starts from, and the draft to change (made on first use). */
const struct kl_cat *kl_catalog__base(struct kl_catalog *c);
struct kl_cat *kl_catalog__draft(struct kl_catalog *c);
enum kl_rc kl_catalog__find_table(struct kl_catalog *c, const char *verb, struct kl_slice ns,
    struct kl_slice name, struct kl_table **ret, struct kl_err *err);
/* KL_E_NOT_FOUND, or that the namespace is the system's. */
enum kl_rc kl_catalog__check_namespace(
    struct kl_catalog *c, struct kl_slice ns, struct kl_slice name, struct kl_err *err);
/* Casts a literal default to its column's type. */
enum kl_rc kl_catalog__default_fit(const struct kl_column_def *def, struct kl_arena *arena,
    struct kl_default *ret, struct kl_err *err);
/* Record into the batch, table into the draft (takes the reference over). */
void kl_catalog__store_table(struct kl_catalog *c, struct kl_table *t, struct kl_slice rec);

/* The same table field by field, to be changed and stored again; borrows from it. */
struct kl_table kl_catalog__spec(const struct kl_table *t);
/* Encodes, decodes, puts it into batch and draft. */
enum kl_rc kl_catalog__store_spec(
    struct kl_catalog *c, const struct kl_table *spec, struct kl_err *err);
/* The next id of a table or an index, and the counter after it. */
enum kl_rc kl_catalog__take_id(struct kl_catalog *c, uint32_t *ret, struct kl_err *err);
const char *kl_catalog__text(struct kl_arena *arena, struct kl_slice s);
enum kl_rc kl_catalog__too_large(struct kl_err *err);

/* ---- constraint.c ---- */
/* Whether a table, view or index of the namespace has the name. */
bool kl_catalog__name_taken(
    const struct kl_cat *cat, const struct kl_table *spec, struct kl_slice ns, struct kl_slice name);
/* A name as PostgreSQL makes them up: the first of table_middle_label, table_middle_label1 ... that
 * is free; middle may be empty. */
const char *kl_catalog__make_name(const struct kl_cat *cat, const struct kl_table *spec,
    struct kl_slice middle, const char *label, struct kl_arena *arena);
/* Room in spec->indexes or spec->checks for n more than there are. */
enum kl_rc kl_catalog__room(
    struct kl_table *spec, size_t indexes, size_t checks, struct kl_arena *arena, struct kl_err *err);
/* Both need room. cols: of the version being made. */
enum kl_rc kl_catalog__add_index(struct kl_catalog *c, struct kl_table *spec,
    const struct kl_column *cols, size_t n_cols, const struct kl_index_def *def,
    struct kl_arena *arena, struct kl_err *err);
enum kl_rc kl_catalog__add_check(struct kl_catalog *c, struct kl_table *spec,
    const struct kl_check_def *def, struct kl_arena *arena, struct kl_err *err);
/* Whether the condition names the column; and the condition with the column's new name. */
bool kl_catalog__check_uses(const char *expr, struct kl_slice column);
const char *kl_catalog__check_rename(
    const char *expr, struct kl_slice from, struct kl_slice to, struct kl_arena *arena);

/* ---- storage.c ---- */
void kl_catalog__add_local_storage(struct kl_cat *cat, int64_t created_us);

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
