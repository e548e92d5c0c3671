/* The system relations as tables, from system_tables.def. Made once at open and shared by every
 * snapshot. */
#include "catalog/internal.h"

enum { KEY = 1, REQ = 2, OPT = 4 };

struct system_col {
    enum kl_sys_table table;
    const char *name;
    struct kl_type type;
    int flags;
};

static const struct system_col columns[] = {
#define KL_SYS_TABLE(id, ns, name, comment)
#define KL_SYS_COL(table, name, type_name, flags)                                                  \
    {KL_SYS_INDEX_##table, name, {.id = KL_T_##type_name}, flags},
#include "catalog/system_tables.def"
#undef KL_SYS_TABLE
#undef KL_SYS_COL
};

static const struct {
    const char *ns, *name, *comment;
} tables[] = {
#define KL_SYS_TABLE(id, ns, name, comment) {ns, name, comment},
#define KL_SYS_COL(id, name, type, flags)
#include "catalog/system_tables.def"
#undef KL_SYS_TABLE
#undef KL_SYS_COL
};

static struct kl_table *make(enum kl_sys_table index, int64_t created_us) {
    struct kl_column cols[KL_LEN(columns)];
    struct kl_table_version version = {.version = 1, .created_us = created_us, .cols = cols};
    uint8_t n_keys = 0;
    for (size_t i = 0; i < KL_LEN(columns); i++) {
        const struct system_col *c = &columns[i];
        if (c->table == index) {
            uint16_t place = (uint16_t)++version.n_cols;
            cols[place - 1] = (struct kl_column){.id = place,
                .ordinal = place,
                .name = c->name,
                .type = c->type,
                .nullable = c->flags == OPT,
                .pk_pos = c->flags == KEY ? ++n_keys : 0,
                .def.value = kl_val_null(c->type.id),
                .missing = kl_val_null(c->type.id)};
        }
    }
    struct kl_table spec = {.id = KL_SYS_TABLE_BASE + index,
        .type = KL_TABLE_SYSTEM,
        .ns = tables[index].ns,
        .name = tables[index].name,
        .comment = tables[index].comment,
        .options = {.access = KL_ACCESS_DBA, .storage_id = ""},
        .created_us = created_us,
        .updated_us = created_us,
        .versions = &version,
        .n_versions = 1,
        .next_ordinal = (uint16_t)(version.n_cols + 1),
        .next_column_id = (uint32_t)version.n_cols + 1};
    struct kl_buf rec;
    struct kl_table *t;
    /* Constant data through the same door as everyone's: it cannot fail unless the list itself is
     * wrong. */
    KL_ASSERT(kl_catalog__table_make(&spec, &rec, &t, NULL) == KL_OK);
    kl_buf_deinit(&rec);
    return t;
}

void kl_catalog__add_system(struct kl_cat *cat, int64_t created_us) {
    kl_catalog__cat_put_ns(cat, kl_catalog__ns_new(KL_S("system"), KL_SLICE_NONE, created_us, 0));
    kl_catalog__cat_put_ns(
        cat, kl_catalog__ns_new(KL_S("information_schema"), KL_SLICE_NONE, created_us, 0));
    for (int i = 0; i < KL_SYS_COUNT; i++) {
        kl_catalog__cat_put_table(cat, make((enum kl_sys_table)i, created_us));
    }
}
