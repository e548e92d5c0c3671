/* The row codec: round trips over all types, the documented bytes, lineage, tombstones, and bytes
 * that lie. */
#include "store_test.h"

static const struct kl_type column_types[] = {
    {.id = KL_T_BOOLEAN},
    {.id = KL_T_INT},
    {.id = KL_T_BIGINT},
    {.id = KL_T_DOUBLE},
    {.id = KL_T_FLOAT},
    {.id = KL_T_TEXT},
    {.id = KL_T_TIMESTAMP},
    {.id = KL_T_DATE},
    {.id = KL_T_DATETIME},
    {.id = KL_T_TIME},
    {.id = KL_T_JSON},
    {.id = KL_T_BYTES},
    {.id = KL_T_EMBEDDING, .dim = 3},
    {.id = KL_T_UUID},
    {.id = KL_T_DECIMAL, .precision = 38, .scale = 5},
    {.id = KL_T_SMALLINT},
    {.id = KL_T_FILE},
};
#define MAX_COLS 40

struct sample {
    struct kl_layout_col cols[MAX_COLS];
    struct kl_layout layout;
    struct kl_val vals[MAX_COLS];
    struct kl_row_head head;
    struct kl_buf row;
    struct kl_arena arena;
};

static void sample_init(struct sample *s) {
    memset(s, 0, sizeof(*s));
    kl_arena_init(&s->arena, 0);
    size_t n = below(MAX_COLS + 1);
    for (size_t i = 0; i < n; i++) {
        s->cols[i].column_id = (uint32_t)i + 1;
        s->cols[i].type = column_types[below(KL_LEN(column_types))];
        s->vals[i] = below(4) ? random_value(s->cols[i].type, &s->arena, 60)
                              : kl_val_null(s->cols[i].type.id);
    }
    uint32_t version = (uint32_t)(rnd() >> (32 + below(32)));
    kl_layout_init(&s->layout, version, s->cols, n);
    int64_t seq = (int64_t)(rnd() >> (1 + below(40)));
    bool updated = below(2) && seq > 10;
    s->head = (struct kl_row_head){
        .schema_version = version,
        .tombstone = below(8) == 0,
        .seq = seq,
        .origin_seq = updated ? seq - 1 - (int64_t)below((uint64_t)seq) : seq,
        .prev_seq = updated ? seq - 1 - (int64_t)below(10) : 0,
    };
    struct kl_err err = {0};
    kl_buf_puts(&s->row, "##");
    if (kl_row_encode(&s->layout, &s->head, s->vals, &s->row, &err) != KL_OK) {
        fail_msg("%s", err.msg);
    }
}

static struct kl_slice sample_bytes(const struct sample *s) {
    return kl_slice_from(kl_buf_view(&s->row), 2);
}

static void sample_deinit(struct sample *s) {
    kl_layout_deinit(&s->layout);
    kl_buf_deinit(&s->row);
    kl_arena_deinit(&s->arena);
}

static void assert_same_head(const struct kl_row_head *a, const struct kl_row_head *b) {
    assert_int_equal(a->schema_version, b->schema_version);
    assert_int_equal(a->tombstone, b->tombstone);
    assert_true(a->seq == b->seq && a->origin_seq == b->origin_seq && a->prev_seq == b->prev_seq);
}

static void assert_same_value(const struct kl_val *a, const struct kl_val *b) {
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->null, b->null);
    if (a->null) {
        return;
    }
    switch (a->type) {
    case KL_T_BOOLEAN:
        assert_int_equal(a->b, b->b);
        return;
    case KL_T_DECIMAL:
        assert_int_equal(a->scale, b->scale);
        assert_true(a->dec.hi == b->dec.hi && a->dec.lo == b->dec.lo);
        return;
    case KL_T_FLOAT:
    case KL_T_DOUBLE:
        assert_true(a->d == b->d ? signbit(a->d) == signbit(b->d) : isnan(a->d) && isnan(b->d));
        return;
    case KL_T_TEXT:
    case KL_T_JSON:
    case KL_T_BYTES:
    case KL_T_FILE:
    case KL_T_UUID:
    case KL_T_EMBEDDING:
        assert_int_equal(a->len, b->len);
        assert_true(kl_slice_eq(kl_val_slice(a), kl_val_slice(b)));
        return;
    default:
        assert_true(a->i == b->i);
    }
}

static void test_round_trip(void **state) {
    for (int i = 0; i < 5000; i++) {
        struct sample s;
        sample_init(&s);
        struct kl_row_head head;
        assert_ok(kl_row_head(sample_bytes(&s), s.head.seq, &head));
        assert_same_head(&head, &s.head);
        struct kl_row_view view;
        assert_ok(kl_row_open(&s.layout, sample_bytes(&s), s.head.seq, &view));
        assert_same_head(&view.head, &s.head);
        for (unsigned c = 0; c < s.layout.n_cols; c++) {
            struct kl_val got;
            kl_row_get(&view, c, &got);
            assert_same_value(&got, &s.vals[c]);
        }
        sample_deinit(&s);
    }
}

static void test_tombstone_keeps_values_and_lineage(void **state) {
    for (int i = 0; i < 2000; i++) {
        struct sample s;
        sample_init(&s);
        int64_t seq = s.head.seq + 1 + (int64_t)below(1000);
        struct kl_buf dead = {0};
        enum kl_rc rc = kl_row_to_tombstone(sample_bytes(&s), &s.head, seq, &dead);
        if (s.head.tombstone) {
            assert_int_equal(rc, KL_E_CORRUPT);
        } else {
            struct kl_row_view view;
            assert_ok(rc);
            assert_ok(kl_row_open(&s.layout, kl_buf_view(&dead), seq, &view));
            struct kl_row_head want = {
                s.head.schema_version, true, seq, s.head.origin_seq, s.head.seq};
            assert_same_head(&view.head, &want);
            for (unsigned c = 0; c < s.layout.n_cols; c++) {
                struct kl_val got;
                kl_row_get(&view, c, &got);
                assert_same_value(&got, &s.vals[c]);
            }
        }
        kl_buf_deinit(&dead);
        sample_deinit(&s);
    }
}

/* These bytes are on disk: a change here is a change of format. */
static void test_bytes_are_as_documented(void **state) {
    const struct kl_layout_col cols[] = {
        {1, KL_TYPE(TEXT)},
        {2, KL_TYPE(INT)},
        {4, KL_TYPE(BYTES)},
        {5, KL_TYPE(BOOLEAN)},
        {6, KL_TYPE(SMALLINT)},
        {9, KL_TYPE(JSON)},
    };
    struct kl_layout l;
    kl_layout_init(&l, 300, cols, KL_LEN(cols));
    assert_int_equal(l.fixed_size, 7);
    assert_int_equal(l.n_var, 3);
    struct kl_val vals[] = {kl_val_text(KL_S("hi")), kl_val_int(KL_T_INT, -2),
        kl_val_null(KL_T_BYTES), kl_val_bool(true), kl_val_null(KL_T_SMALLINT),
        kl_val_str(KL_T_JSON, KL_S("{}"))};
    struct kl_row_head head = {
        .schema_version = 300, .seq = 1000, .origin_seq = 990, .prev_seq = 999};
    struct kl_buf buf = {0};
    assert_ok(kl_row_encode(&l, &head, vals, &buf, NULL));
    static const char want[] = "\1\2\xac\2" /* format, flags, version 300 */
                               "\x0a\1"     /* lineage */
                               "\x14"       /* columns 2 and 4 are NULL */
                               "\xfe\xff\xff\xff"
                               "\1"
                               "\0\0"
                               "\2\0\0\0"
                               "\2\0\0\0"
                               "\4\0\0\0"
                               "hi{}";
    assert_int_equal(buf.len, sizeof(want) - 1);
    assert_memory_equal(buf.data, want, buf.len);
    kl_buf_deinit(&buf);
    kl_layout_deinit(&l);
}

/* Reads every column of whatever opens; a sanitizer sees any step outside. */
static void read_all(const struct kl_layout *l, struct kl_slice row, int64_t seq) {
    struct kl_row_view view;
    if (kl_row_open(l, row, seq, &view) != KL_OK) {
        return;
    }
    for (unsigned c = 0; c < l->n_cols; c++) {
        struct kl_val v;
        kl_row_get(&view, c, &v);
        switch (v.type) {
        case KL_T_TEXT:
        case KL_T_JSON:
        case KL_T_BYTES:
        case KL_T_FILE:
        case KL_T_UUID:
        case KL_T_EMBEDDING:
            if (!v.null && v.len > 0) {
                assert_true(v.s >= row.ptr && v.s + v.len <= row.ptr + row.len);
            }
        }
    }
}

static void test_damaged_bytes(void **state) {
    for (int i = 0; i < 2000; i++) {
        struct sample s;
        sample_init(&s);
        struct kl_slice row = sample_bytes(&s);
        /* On the heap in exactly its size, for the sanitizer. */
        char *copy = malloc(row.len + 1);
        for (size_t n = 0; n < row.len; n += 1 + below(3)) {
            char *cut = malloc(n + 1);
            memcpy(cut, row.ptr, n);
            struct kl_row_view view;
            assert_int_equal(
                kl_row_open(&s.layout, kl_slice(cut, n), s.head.seq, &view), KL_E_CORRUPT);
            free(cut);
        }
        memcpy(copy, row.ptr, row.len);
        copy[row.len] = 0;
        struct kl_row_view view;
        assert_int_equal(
            kl_row_open(&s.layout, kl_slice(copy, row.len + 1), s.head.seq, &view), KL_E_CORRUPT);
        for (int flip = 0; flip < 20; flip++) {
            memcpy(copy, row.ptr, row.len);
            for (uint64_t k = 0; k <= below(3); k++) {
                copy[below(row.len)] = (char)(below(2) ? rnd() : 0xff);
            }
            read_all(&s.layout, kl_slice(copy, row.len), s.head.seq);
        }
        free(copy);
        sample_deinit(&s);
    }
}

static void expect_bad_head(const char *bytes, size_t n, int64_t seq) {
    struct kl_row_head head;
    assert_int_equal(kl_row_head(kl_slice(bytes, n), seq, &head), KL_E_CORRUPT);
}

static void test_bad_heads(void **state) {
    struct kl_row_head head;
    assert_ok(kl_row_head(KL_S("\1\0\5"), 10, &head));
    assert_int_equal(head.schema_version, 5);
    assert_true(head.origin_seq == 10 && head.prev_seq == 0);
    expect_bad_head("", 0, 10);
    expect_bad_head("\2\0\5", 3, 10); /* a format of the future */
    expect_bad_head("\1\4\5", 3, 10); /* an unknown flag */
    expect_bad_head("\1\0\5", 3, -1);
    expect_bad_head("\1\2\5\x0b\1", 5, 10); /* an origin before time */
    expect_bad_head("\1\2\5\1\x0b", 5, 10);
    expect_bad_head("\1\2\5\1", 4, 10);
    expect_bad_head("\1\0\xff\xff\xff\xff\x1f", 7, 10); /* version above 32 bits */
    expect_bad_head("\1\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 14, 10);
}

static void test_other_schema_version(void **state) {
    const struct kl_layout_col cols[] = {{1, KL_TYPE(INT)}};
    struct kl_layout l, other;
    kl_layout_init(&l, 1, cols, 1);
    kl_layout_init(&other, 2, cols, 1);
    struct kl_val v = kl_val_int(KL_T_INT, 1);
    struct kl_row_head head = {.schema_version = 1, .seq = 5, .origin_seq = 5};
    struct kl_buf buf = {0};
    struct kl_row_view view;
    assert_ok(kl_row_encode(&l, &head, &v, &buf, NULL));
    assert_ok(kl_row_open(&l, kl_buf_view(&buf), 5, &view));
    assert_int_equal(kl_row_open(&other, kl_buf_view(&buf), 5, &view), KL_E_CORRUPT);
    kl_buf_deinit(&buf);
    kl_layout_deinit(&l);
    kl_layout_deinit(&other);
}

static void test_size_limit(void **state) {
    const struct kl_layout_col cols[] = {{1, KL_TYPE(TEXT)}, {2, KL_TYPE(BYTES)}};
    struct kl_layout l;
    kl_layout_init(&l, 1, cols, 2);
    char *text = calloc(1, KL_ROW_MAX_BYTES);
    struct kl_row_head head = {.schema_version = 1, .seq = 5, .origin_seq = 5};
    const size_t overhead = 3 + 1 + 8;
    struct kl_val vals[2] = {kl_val_text(kl_slice(text, 100)),
        kl_val_str(KL_T_BYTES, kl_slice(text, KL_ROW_MAX_BYTES - overhead - 100))};
    struct kl_buf buf = {0};
    struct kl_err err = {0};
    assert_ok(kl_row_encode(&l, &head, vals, &buf, &err));
    assert_int_equal(buf.len, KL_ROW_MAX_BYTES);
    struct kl_row_view view;
    assert_ok(kl_row_open(&l, kl_buf_view(&buf), 5, &view));
    vals[0].len++;
    assert_int_equal(kl_row_encode(&l, &head, vals, &buf, &err), KL_E_TOO_LARGE);
    assert_non_null(strstr(err.msg, "row is too large"));
    assert_int_equal(buf.len, KL_ROW_MAX_BYTES);
    kl_buf_deinit(&buf);
    struct kl_buf small;
    kl_buf_init(&small, 50);
    assert_int_equal(kl_row_encode(&l, &head, vals, &small, &err), KL_E_TOO_LARGE);
    vals[1].len = 0;
    assert_int_equal(kl_row_encode(&l, &head, vals, &small, &err), KL_E_NOMEM);
    assert_int_equal(small.len, 0);
    kl_buf_deinit(&small);
    free(text);
    kl_layout_deinit(&l);
}

int main(void) {
    seed_from_env();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_tombstone_keeps_values_and_lineage),
        cmocka_unit_test(test_bytes_are_as_documented),
        cmocka_unit_test(test_damaged_bytes),
        cmocka_unit_test(test_bad_heads),
        cmocka_unit_test(test_other_schema_version),
        cmocka_unit_test(test_size_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
