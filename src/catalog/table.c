/* A table: counted, immutable, with every schema version that may still have written a stored
 * row. Any thread. */
#include "catalog/internal.h"
#include <stdlib.h>

const char *kl_table_type_name(enum kl_table_type t) {
    switch (t) {
    case KL_TABLE_USER:
        return "user";
    case KL_TABLE_SHARED:
        return "shared";
    case KL_TABLE_STREAM:
        return "stream";
    case KL_TABLE_SYSTEM:
        return "system";
    case KL_TABLE_VIEW:
        return "view";
    }
    KL_UNREACHABLE();
}

const char *kl_access_name(enum kl_access a) {
    switch (a) {
    case KL_ACCESS_PUBLIC:
        return "public";
    case KL_ACCESS_PRIVATE:
        return "private";
    case KL_ACCESS_RESTRICTED:
        return "restricted";
    case KL_ACCESS_DBA:
        return "dba";
    }
    KL_UNREACHABLE();
}

void kl_table_ref(struct kl_table *t) {
    uint32_t before = atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    KL_ASSERT(before > 0);
}

void kl_table_unref(struct kl_table *t) {
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < t->n_versions; i++) {
        kl_layout_deinit(&t->versions[i].layout);
    }
    kl_arena_deinit(&t->arena);
    free(t);
}

const struct kl_index *kl_table_index(const struct kl_table *t, uint32_t id) {
    for (size_t i = 0; i < t->n_indexes; i++) {
        if (t->indexes[i].id == id) {
            return &t->indexes[i];
        }
    }
    return NULL;
}

int kl_table_col(const struct kl_table *t, struct kl_slice name) {
    for (size_t i = 0; i < t->n_cols; i++) {
        if (kl_slice_eq_str(name, t->cols[i].name)) {
            return (int)i;
        }
    }
    return -1;
}

/* Versions are consecutive, so the number is the place. */
static const struct kl_table_version *find_version(const struct kl_table *t, uint32_t version) {
    uint32_t first = t->versions[0].version;
    return version >= first && version - first < t->n_versions ? &t->versions[version - first]
                                                               : NULL;
}

enum kl_rc kl_table_open_row(
    const struct kl_table *t, struct kl_slice row, int64_t seq, struct kl_row_view *ret) {
    struct kl_row_head head;
    struct kl_slice body;
    KL_TRY(kl_row_split(row, seq, &head, &body));
    if (head.schema_version == t->version) {
        return kl_row_open_body(t->layout, &head, body, ret);
    }
    const struct kl_table_version *v = find_version(t, head.schema_version);
    return v ? kl_row_open_body(&v->layout, &head, body, ret) : KL_E_CORRUPT;
}

static bool same_type(struct kl_type a, struct kl_type b) {
    return a.id == b.id && a.precision == b.precision && a.scale == b.scale && a.dim == b.dim;
}

/* A value written under an older type is what each later MODIFY made of it in turn: DOUBLE 1.5 that
 * was an INT for a while reads 2. */
static enum kl_rc cast_through(const struct kl_table *t, const struct kl_table_version *written,
    unsigned col, struct kl_arena *arena, struct kl_val *v) {
    const struct kl_table_version *newest = &t->versions[t->n_versions - 1];
    struct kl_type have = written->cols[written->from_current[col]].type;
    for (const struct kl_table_version *at = written + 1; at <= newest; at++) {
        struct kl_type want = at->cols[at->from_current[col]].type;
        if (!same_type(have, want)) {
            struct kl_val before = *v;
            KL_TRY(kl_val_cast(&before, want, KL_CAST_EXPLICIT, arena, v, NULL));
            have = want;
        }
    }
    return KL_OK;
}

enum kl_rc kl_table_get(const struct kl_table *t, const struct kl_row_view *v, unsigned col,
    struct kl_arena *arena, struct kl_val *ret) {
    KL_ASSERT(col < t->n_cols);
    if (v->layout == t->layout) {
        kl_row_get(v, col, ret);
        return KL_OK;
    }
    const struct kl_table_version *version = find_version(t, v->head.schema_version);
    if (!version) {
        return KL_E_CORRUPT;
    }
    int index = version->from_current[col];
    if (index < 0) {
        *ret = t->cols[col].missing;
        return KL_OK;
    }
    kl_row_get(v, (unsigned)index, ret);
    return version->recast ? cast_through(t, version, col, arena, ret) : KL_OK;
}

uint16_t kl_shard_of_user(struct kl_slice user, unsigned user_shards) {
    KL_ASSERT(user_shards >= 1 && user_shards <= KL_CATALOG_USER_SHARDS_MAX);
    return (uint16_t)(KL_SHARD_USER0 + kl_slice_hash(user) % user_shards);
}

struct kl_scope kl_table_scope(
    const struct kl_table *t, struct kl_slice user, unsigned user_shards) {
    KL_ASSERT(t->type != KL_TABLE_SYSTEM && t->type != KL_TABLE_VIEW);
    if (t->type == KL_TABLE_SHARED) {
        return (struct kl_scope){.shard = KL_SHARD_SHARED, .kind = KL_SCOPE_SHARED};
    }
    return (struct kl_scope){
        .shard = kl_shard_of_user(user, user_shards), .kind = KL_SCOPE_USER, .user = user};
}
