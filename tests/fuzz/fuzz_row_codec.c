/* Arbitrary bytes as a row under an arbitrary layout: whatever opens can be read to the last byte,
 * encodes back to a row with the same values, and becomes a tombstone with the same values. The
 * same bytes also go to the key parser.
 *
 * Input: u8 number of columns (mod 24) | u8 per column: type and dimension | i64 little-endian _seq
 * | row bytes. */
#include "store/store.h"
#include <stdlib.h>

#define MAX_COLS 24

static const uint8_t types[] = {KL_T_BOOLEAN, KL_T_INT, KL_T_BIGINT, KL_T_DOUBLE, KL_T_FLOAT,
    KL_T_TEXT, KL_T_TIMESTAMP, KL_T_DATE, KL_T_DATETIME, KL_T_TIME, KL_T_JSON, KL_T_BYTES,
    KL_T_EMBEDDING, KL_T_UUID, KL_T_DECIMAL, KL_T_SMALLINT, KL_T_FILE};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool borrows(const struct kl_val *v) {
    switch (v->type) {
    case KL_T_TEXT:
    case KL_T_JSON:
    case KL_T_BYTES:
    case KL_T_FILE:
    case KL_T_UUID:
    case KL_T_EMBEDDING:
        return !v->null;
    default:
        return false;
    }
}

/* Copies what a value borrows, so that a sanitizer sees a value that leaves the row. */
static void touch(const struct kl_val *v) {
    if (borrows(v)) {
        char *copy = malloc(v->len + 1);
        KL_ASSERT(copy);
        memcpy(copy, v->s, v->len);
        free(copy);
    }
}

static bool same(const struct kl_val *a, const struct kl_val *b) {
    if (a->type != b->type || a->null != b->null) {
        return false;
    }
    if (a->null || !borrows(a)) {
        return a->null || (a->dec.lo == b->dec.lo && a->dec.hi == b->dec.hi);
    }
    return kl_slice_eq(kl_val_slice(a), kl_val_slice(b));
}

static void check_same(
    const struct kl_layout *l, struct kl_slice row, int64_t seq, const struct kl_val *vals) {
    struct kl_row_view view;
    KL_ASSERT(kl_row_open(l, row, seq, &view) == KL_OK);
    for (unsigned i = 0; i < l->n_cols; i++) {
        struct kl_val v;
        kl_row_get(&view, i, &v);
        KL_ASSERT(same(&v, &vals[i]));
    }
}

static void check_row(const struct kl_layout *l, struct kl_slice row, int64_t seq) {
    struct kl_row_view view;
    struct kl_val vals[MAX_COLS];
    if (kl_row_open(l, row, seq, &view) != KL_OK) {
        return;
    }
    for (unsigned i = 0; i < l->n_cols; i++) {
        kl_row_get(&view, i, &vals[i]);
        touch(&vals[i]);
    }
    struct kl_buf out = {0};
    KL_ASSERT(kl_row_encode(l, &view.head, vals, &out, NULL) == KL_OK);
    check_same(l, kl_buf_view(&out), seq, vals);
    kl_buf_clear(&out);
    if (!view.head.tombstone && seq < INT64_MAX) {
        KL_ASSERT(kl_row_to_tombstone(row, &view.head, seq + 1, &out) == KL_OK);
        check_same(l, kl_buf_view(&out), seq + 1, vals);
    }
    kl_buf_deinit(&out);
}

static void check_key(struct kl_slice bytes) {
    struct kl_scope scope;
    uint32_t table;
    struct kl_slice rest;
    if (kl_key_parse(bytes, &scope, &table, &rest) == KL_OK && rest.len <= KL_PK_MAX) {
        struct kl_key key;
        kl_key_pk(&key, &scope, table, rest);
        KL_ASSERT(kl_slice_eq(kl_key_view(&key), bytes));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_key(kl_slice(data, size));
    struct kl_reader r;
    kl_reader_init(&r, kl_slice(data, size));
    struct kl_layout_col cols[MAX_COLS];
    size_t n = kl_read_u8(&r) % MAX_COLS;
    for (size_t i = 0; i < n; i++) {
        uint8_t pick = kl_read_u8(&r);
        cols[i] = (struct kl_layout_col){.column_id = (uint32_t)i,
            .type = {.id = types[pick % KL_LEN(types)],
                .precision = 20,
                .scale = 2,
                .dim = 1 + pick / 32}};
    }
    int64_t seq = (int64_t)kl_read_le64(&r);
    if (r.failed) {
        return 0;
    }
    /* The layout of the version that the row names, as a reader would choose it. */
    struct kl_slice row = kl_slice(r.ptr, (size_t)(r.end - r.ptr));
    struct kl_row_head head;
    if (kl_row_head(row, seq, &head) != KL_OK) {
        return 0;
    }
    struct kl_layout layout;
    kl_layout_init(&layout, head.schema_version, cols, n);
    check_row(&layout, row, seq);
    kl_layout_deinit(&layout);
    return 0;
}
