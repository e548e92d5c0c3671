/* Any bytes as a record of the catalog: nothing crashes, what is refused has words, and what is
 * accepted can be used, rows under its layouts included, and is the same after another round
 * through encoder and decoder.
 *
 * Input: u8 kind of record (mod 4) | record. */
#include "catalog/internal.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refusal(enum kl_rc rc, const struct kl_err *err) {
    KL_ASSERT(rc == KL_E_CORRUPT || rc == KL_E_UNSUPPORTED || rc == KL_E_TOO_LARGE);
    KL_ASSERT(err->rc == rc && err->msg[0] != '\0');
}

static void identity(struct kl_slice rec) {
    struct kl_catalog__identity id;
    struct kl_err err = {0};
    struct kl_buf out = {0};
    enum kl_rc rc = kl_catalog__identity_decode(rec, &id, &err);
    if (rc != KL_OK) {
        check_refusal(rc, &err);
        return;
    }
    kl_catalog__identity_encode(&out, &id);
    KL_ASSERT(kl_slice_eq(kl_buf_view(&out), rec));
    kl_buf_deinit(&out);
}

static void namespace(struct kl_slice rec) {
    struct kl_catalog__ns *ns;
    struct kl_err err = {0};
    struct kl_buf out = {0};
    enum kl_rc rc = kl_catalog__ns_decode(KL_S("a"), rec, &ns, &err);
    if (rc != KL_OK) {
        check_refusal(rc, &err);
        return;
    }
    kl_catalog__ns_encode(&out, &ns->pub);
    KL_ASSERT(out.len <= rec.len); /* a length may have been written longer than need be */
    kl_buf_deinit(&out);
    kl_catalog__ns_unref(ns);
}

static void storage(struct kl_slice rec) {
    struct kl_catalog__storage *a, *b;
    struct kl_err err = {0};
    struct kl_buf first = {0}, second = {0};
    enum kl_rc rc = kl_catalog__storage_decode(KL_S("a"), rec, &a, &err);
    if (rc != KL_OK) {
        check_refusal(rc, &err);
        return;
    }
    kl_catalog__storage_encode(&first, &a->pub);
    KL_ASSERT(kl_catalog__storage_decode(KL_S("a"), kl_buf_view(&first), &b, &err) == KL_OK);
    kl_catalog__storage_encode(&second, &b->pub);
    KL_ASSERT(kl_slice_eq(kl_buf_view(&first), kl_buf_view(&second)));
    kl_buf_deinit(&first);
    kl_buf_deinit(&second);
    kl_catalog__storage_unref(a);
    kl_catalog__storage_unref(b);
}

/* A row of NULLs under each version, read under the newest. */
static void read_rows(struct kl_table *t) {
    struct kl_arena arena;
    kl_arena_init(&arena, 4u << 20);
    for (size_t v = 0; v < t->n_versions && t->type != KL_TABLE_VIEW; v++) {
        const struct kl_table_version *ver = &t->versions[v];
        struct kl_val *vals = kl_xcalloc(ver->n_cols + 1, sizeof(*vals));
        struct kl_row_head head = {.schema_version = ver->version, .seq = 1, .origin_seq = 1};
        struct kl_buf row = {0};
        for (size_t i = 0; i < ver->n_cols; i++) {
            vals[i] = kl_val_null(ver->cols[i].type.id);
        }
        KL_ASSERT(kl_row_encode(&ver->layout, &head, vals, &row, NULL) == KL_OK);
        struct kl_row_view view;
        KL_ASSERT(kl_table_open_row(t, kl_buf_view(&row), 1, &view) == KL_OK);
        for (size_t i = 0; i < t->n_cols; i++) {
            struct kl_val got;
            enum kl_rc rc = kl_table_get(t, &view, (unsigned)i, &arena, &got);
            KL_ASSERT(rc != KL_OK || got.null || got.type == t->cols[i].type.id);
        }
        kl_buf_deinit(&row);
        free(vals);
    }
    kl_arena_deinit(&arena);
}

static void use_table(struct kl_table *t) {
    struct kl_buf out = {0};
    for (size_t v = 0; v < t->n_versions; v++) {
        kl_table_columns_json(t, &t->versions[v], &out);
    }
    kl_table_options_json(t, &out);
    for (size_t i = 0; i < t->n_indexes; i++) {
        for (size_t k = 0; k < t->indexes[i].n_cols; k++) {
            KL_ASSERT(t->indexes[i].cols[k] < t->n_cols);
        }
    }
    for (size_t i = 0; i < t->n_pk; i++) {
        KL_ASSERT(t->pk[i] < t->n_cols && t->cols[t->pk[i]].pk_pos == i + 1);
    }
    kl_buf_deinit(&out);
    read_rows(t);
}

static void table(struct kl_slice rec) {
    struct kl_table *a, *b;
    struct kl_err err = {0};
    struct kl_buf first = {0}, second = {0};
    enum kl_rc rc = kl_catalog__table_decode(7, rec, &a, &err);
    if (rc != KL_OK) {
        check_refusal(rc, &err);
        return;
    }
    use_table(a);
    kl_catalog__table_encode(&first, a);
    KL_ASSERT(kl_catalog__table_decode(7, kl_buf_view(&first), &b, &err) == KL_OK);
    kl_catalog__table_encode(&second, b);
    KL_ASSERT(kl_slice_eq(kl_buf_view(&first), kl_buf_view(&second)));
    kl_buf_deinit(&first);
    kl_buf_deinit(&second);
    kl_table_unref(a);
    kl_table_unref(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const kinds[])(struct kl_slice) = {identity, namespace, table, storage};
    if (size > 0) {
        kinds[data[0] % KL_LEN(kinds)](kl_slice(data + 1, size - 1));
    }
    return 0;
}
