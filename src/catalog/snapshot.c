/* Snapshots: sorted arrays of counted tables and namespaces.
 *
 * Look-ups are binary searches: a snapshot of 10,000 tables answers in 14 comparisons, and the
 * next one is made by copying pointers. A hash map would answer a little faster and cost a
 * rebuild with every DDL; the plan cache stands before this anyway.
 *
 * A snapshot is written by the metadata writer while it is a draft, and by nobody after its
 * publication. */
#include "catalog/internal.h"
#include <stdlib.h>

/* ---- namespaces ---- */

struct kl_catalog__ns *kl_catalog__ns_new(
    struct kl_slice name, struct kl_slice options_json, int64_t created_us, uint32_t n_tables) {
    struct kl_catalog__ns *ns = kl_xcalloc(1, sizeof(*ns) + name.len + 1 + options_json.len + 1);
    atomic_init(&ns->refs, 1);
    char *text = (char *)(ns + 1);
    memcpy(text, name.ptr, name.len);
    ns->pub = (struct kl_namespace){.name = text, .created_us = created_us, .n_tables = n_tables};
    if (options_json.len) {
        memcpy(text + name.len + 1, options_json.ptr, options_json.len);
        ns->pub.options_json = text + name.len + 1;
    }
    return ns;
}

void kl_catalog__ns_unref(struct kl_catalog__ns *ns) {
    if (ns && atomic_fetch_sub_explicit(&ns->refs, 1, memory_order_acq_rel) == 1) {
        free(ns);
    }
}

/* ---- searches: index of the first entry that is not before the key ---- */

static size_t find_ns(const struct kl_cat *cat, struct kl_slice name, bool *ret_found) {
    size_t lo = 0, hi = cat->n_ns;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (kl_slice_cmp(kl_slice_str(cat->ns[mid]->pub.name), name) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    *ret_found = lo < cat->n_ns && kl_slice_eq_str(name, cat->ns[lo]->pub.name);
    return lo;
}

static int cmp_table(const struct kl_table *t, struct kl_slice ns, struct kl_slice name) {
    int c = kl_slice_cmp(kl_slice_str(t->ns), ns);
    return c ? c : kl_slice_cmp(kl_slice_str(t->name), name);
}

static size_t find_table(
    const struct kl_cat *cat, struct kl_slice ns, struct kl_slice name, bool *ret_found) {
    size_t lo = 0, hi = cat->n_tables;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (cmp_table(cat->tables[mid], ns, name) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    *ret_found = lo < cat->n_tables && cmp_table(cat->tables[lo], ns, name) == 0;
    return lo;
}

static size_t find_id(const struct kl_cat *cat, uint32_t id, bool *ret_found) {
    size_t lo = 0, hi = cat->n_tables;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (cat->by_id[mid]->id < id) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    *ret_found = lo < cat->n_tables && cat->by_id[lo]->id == id;
    return lo;
}

/* ---- reading ---- */

struct kl_table *kl_cat_table(const struct kl_cat *cat, struct kl_slice ns, struct kl_slice name) {
    bool found;
    size_t i = find_table(cat, ns, name, &found);
    return found ? cat->tables[i] : NULL;
}

struct kl_table *kl_cat_table_by_id(const struct kl_cat *cat, uint32_t id) {
    bool found;
    size_t i = find_id(cat, id, &found);
    return found ? cat->by_id[i] : NULL;
}

const struct kl_namespace *kl_cat_namespace(const struct kl_cat *cat, struct kl_slice name) {
    bool found;
    size_t i = find_ns(cat, name, &found);
    return found ? &cat->ns[i]->pub : NULL;
}

uint64_t kl_cat_version(const struct kl_cat *cat) {
    return cat->version;
}
size_t kl_cat_n_namespaces(const struct kl_cat *cat) {
    return cat->n_ns;
}
size_t kl_cat_n_tables(const struct kl_cat *cat) {
    return cat->n_tables;
}

const struct kl_namespace *kl_cat_namespace_at(const struct kl_cat *cat, size_t i) {
    KL_ASSERT(i < cat->n_ns);
    return &cat->ns[i]->pub;
}

struct kl_table *kl_cat_table_at(const struct kl_cat *cat, size_t i) {
    KL_ASSERT(i < cat->n_tables);
    return cat->tables[i];
}

const struct kl_index *kl_cat_index(const struct kl_cat *cat, struct kl_slice ns,
    struct kl_slice name, struct kl_table **ret_table) {
    bool found;
    for (size_t i = find_table(cat, ns, KL_SLICE_NONE, &found);
         i < cat->n_tables && kl_slice_eq_str(ns, cat->tables[i]->ns); i++) {
        struct kl_table *t = cat->tables[i];
        for (size_t j = 0; j < t->n_indexes; j++) {
            if (kl_slice_eq_str(name, t->indexes[j].name)) {
                *ret_table = t;
                return &t->indexes[j];
            }
        }
    }
    return NULL;
}

/* ---- storages ---- */

static size_t find_storage(const struct kl_cat *cat, struct kl_slice id, bool *ret_found) {
    size_t i = 0;
    while (i < cat->n_storages && kl_slice_cmp(kl_slice_str(cat->storages[i]->pub.id), id) < 0) {
        i++;
    }
    *ret_found = i < cat->n_storages && kl_slice_eq_str(id, cat->storages[i]->pub.id);
    return i;
}

const struct kl_storage *kl_cat_storage(const struct kl_cat *cat, struct kl_slice id) {
    bool found;
    size_t i = find_storage(cat, id, &found);
    return found ? &cat->storages[i]->pub : NULL;
}

size_t kl_cat_n_storages(const struct kl_cat *cat) {
    return cat->n_storages;
}

const struct kl_storage *kl_cat_storage_at(const struct kl_cat *cat, size_t i) {
    KL_ASSERT(i < cat->n_storages);
    return &cat->storages[i]->pub;
}

void kl_catalog__storage_unref(struct kl_catalog__storage *s) {
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        kl_arena_deinit(&s->arena);
        free(s);
    }
}

void kl_catalog__cat_put_storage(struct kl_cat *cat, struct kl_catalog__storage *s) {
    bool found;
    size_t i = find_storage(cat, kl_slice_str(s->pub.id), &found);
    if (found) {
        kl_catalog__storage_unref(cat->storages[i]);
    } else {
        KL_GROW(cat->storages, cat->cap_storages, cat->n_storages + 1);
        memmove(&cat->storages[i + 1], &cat->storages[i],
            (cat->n_storages - i) * sizeof(*cat->storages));
        cat->n_storages++;
    }
    cat->storages[i] = s;
}

void kl_catalog__cat_del_storage(struct kl_cat *cat, struct kl_slice id) {
    bool found;
    size_t i = find_storage(cat, id, &found);
    KL_ASSERT(found);
    kl_catalog__storage_unref(cat->storages[i]);
    cat->n_storages--;
    memmove(&cat->storages[i], &cat->storages[i + 1],
        (cat->n_storages - i) * sizeof(*cat->storages));
}

/* ---- life ---- */

struct kl_cat *kl_catalog__cat_new(void) {
    struct kl_cat *cat = kl_xcalloc(1, sizeof(*cat));
    atomic_init(&cat->refs, 1);
    cat->version = 1;
    return cat;
}

struct kl_cat *kl_catalog__cat_clone(const struct kl_cat *from) {
    struct kl_cat *cat = kl_catalog__cat_new();
    cat->version = from->version + 1;
    /* One place more than now: most changes add one thing. */
    KL_GROW(cat->ns, cat->cap_ns, from->n_ns + 1);
    KL_GROW(cat->tables, cat->cap_tables, from->n_tables + 1);
    KL_GROW(cat->by_id, cat->cap_by_id, from->n_tables + 1);
    for (size_t i = 0; i < from->n_ns; i++) {
        atomic_fetch_add_explicit(&from->ns[i]->refs, 1, memory_order_relaxed);
        cat->ns[i] = from->ns[i];
    }
    for (size_t i = 0; i < from->n_tables; i++) {
        kl_table_ref(from->tables[i]);
        cat->tables[i] = from->tables[i];
        cat->by_id[i] = from->by_id[i];
    }
    KL_GROW(cat->storages, cat->cap_storages, from->n_storages + 1);
    for (size_t i = 0; i < from->n_storages; i++) {
        atomic_fetch_add_explicit(&from->storages[i]->refs, 1, memory_order_relaxed);
        cat->storages[i] = from->storages[i];
    }
    cat->n_storages = from->n_storages;
    cat->n_ns = from->n_ns;
    cat->n_tables = from->n_tables;
    return cat;
}

void kl_cat_release(struct kl_cat *cat) {
    if (!cat || atomic_fetch_sub_explicit(&cat->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < cat->n_ns; i++) {
        kl_catalog__ns_unref(cat->ns[i]);
    }
    for (size_t i = 0; i < cat->n_tables; i++) {
        kl_table_unref(cat->tables[i]);
    }
    for (size_t i = 0; i < cat->n_storages; i++) {
        kl_catalog__storage_unref(cat->storages[i]);
    }
    free(cat->storages);
    free(cat->ns);
    free(cat->tables);
    free(cat->by_id);
    free(cat);
}

/* ---- drafts ---- */

void kl_catalog__cat_put_ns(struct kl_cat *cat, struct kl_catalog__ns *ns) {
    bool found;
    size_t i = find_ns(cat, kl_slice_str(ns->pub.name), &found);
    if (found) {
        kl_catalog__ns_unref(cat->ns[i]);
    } else {
        KL_GROW(cat->ns, cat->cap_ns, cat->n_ns + 1);
        memmove(&cat->ns[i + 1], &cat->ns[i], (cat->n_ns - i) * sizeof(*cat->ns));
        cat->n_ns++;
    }
    cat->ns[i] = ns;
}

void kl_catalog__cat_del_ns(struct kl_cat *cat, struct kl_slice name) {
    bool found;
    size_t i = find_ns(cat, name, &found);
    KL_ASSERT(found);
    kl_catalog__ns_unref(cat->ns[i]);
    cat->n_ns--;
    memmove(&cat->ns[i], &cat->ns[i + 1], (cat->n_ns - i) * sizeof(*cat->ns));
}

/* Other snapshots may hold the namespace, so another number of tables is another namespace. */
static void count_table(struct kl_cat *cat, const char *ns_name, int by) {
    bool found;
    size_t i = find_ns(cat, kl_slice_str(ns_name), &found);
    KL_ASSERT(found);
    const struct kl_namespace *old = &cat->ns[i]->pub;
    KL_ASSERT(by > 0 || old->n_tables > 0);
    kl_catalog__cat_put_ns(
        cat, kl_catalog__ns_new(kl_slice_str(old->name), kl_slice_str(old->options_json),
                 old->created_us, old->n_tables + (uint32_t)by));
}

void kl_catalog__cat_put_table(struct kl_cat *cat, struct kl_table *t) {
    bool found, found_id;
    size_t j = find_id(cat, t->id, &found_id);
    if (found_id && cmp_table(cat->by_id[j], kl_slice_str(t->ns), kl_slice_str(t->name)) != 0) {
        kl_catalog__cat_del_table(cat, cat->by_id[j]); /* renamed */
        j = find_id(cat, t->id, &found_id);
    }
    size_t i = find_table(cat, kl_slice_str(t->ns), kl_slice_str(t->name), &found);
    KL_ASSERT(found == found_id && (!found || cat->tables[i] == cat->by_id[j]));
    if (found) {
        kl_table_unref(cat->tables[i]);
    } else {
        KL_GROW(cat->tables, cat->cap_tables, cat->n_tables + 1);
        KL_GROW(cat->by_id, cat->cap_by_id, cat->n_tables + 1);
        memmove(&cat->tables[i + 1], &cat->tables[i], (cat->n_tables - i) * sizeof(*cat->tables));
        memmove(&cat->by_id[j + 1], &cat->by_id[j], (cat->n_tables - j) * sizeof(*cat->by_id));
        cat->n_tables++;
        count_table(cat, t->ns, 1);
    }
    cat->tables[i] = t;
    cat->by_id[j] = t;
}

void kl_catalog__cat_del_table(struct kl_cat *cat, struct kl_table *t) {
    bool found, found_id;
    size_t i = find_table(cat, kl_slice_str(t->ns), kl_slice_str(t->name), &found);
    size_t j = find_id(cat, t->id, &found_id);
    KL_ASSERT(found && found_id && cat->tables[i] == t && cat->by_id[j] == t);
    cat->n_tables--;
    memmove(&cat->tables[i], &cat->tables[i + 1], (cat->n_tables - i) * sizeof(*cat->tables));
    memmove(&cat->by_id[j], &cat->by_id[j + 1], (cat->n_tables - j) * sizeof(*cat->by_id));
    count_table(cat, t->ns, -1);
    kl_table_unref(t);
}
