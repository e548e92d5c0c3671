/* Buffers: growth, the exact limit, sticky failure, binary round trips, hostile bytes in the
 * reader. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"
#include "seeded.h"

#include <inttypes.h>
#include <stdio.h>

static void limit_is_exact(void **state) {
    static const size_t limits[] = {1, 63, 64, 65, 100, 1000, 4097};
    for (size_t i = 0; i < KL_LEN(limits); i++) {
        struct kl_buf b;
        kl_buf_init(&b, limits[i]);
        for (size_t n = 0; n < limits[i]; n++) {
            kl_buf_putc(&b, 'x');
        }
        assert_false(b.failed);
        assert_int_equal(b.len, limits[i]);
        assert_true(b.cap <= limits[i]);
        kl_buf_putc(&b, 'y');
        assert_true(b.failed);
        assert_int_equal(b.len, limits[i]);
        kl_buf_deinit(&b);
    }
}

static void failure_sticks_until_cleared(void **state) {
    struct kl_buf b;
    kl_buf_init(&b, 100);
    kl_buf_puts(&b, "abc");
    char large[200] = {0};
    kl_buf_append(&b, large, sizeof large);
    assert_true(b.failed);
    kl_buf_putc(&b, 'x');
    kl_buf_puts(&b, "x");
    kl_buf_i64(&b, 1);
    kl_buf_printf(&b, "x");
    kl_json_str(&b, KL_S("x"));
    assert_false(kl_buf_reserve(&b, 0));
    assert_int_equal(b.len, 3);
    kl_buf_clear(&b);
    kl_buf_puts(&b, "again");
    assert_false(b.failed);
    assert_true(kl_slice_eq_str(kl_buf_view(&b), "again"));
    kl_buf_deinit(&b);
    kl_buf_deinit(&b);
}

static void zero_initialised_means_64_mib(void **state) {
    struct kl_buf b = {0};
    assert_true(kl_buf_reserve(&b, (size_t)64 << 20));
    assert_false(kl_buf_reserve(&b, ((size_t)64 << 20) + 1));
    kl_buf_deinit(&b);
    struct kl_buf huge = {0};
    assert_false(kl_buf_reserve(&huge, SIZE_MAX));
    kl_buf_deinit(&huge);
}

static void printf_fits_exactly_or_fails(void **state) {
    struct kl_buf b;
    kl_buf_init(&b, 10);
    kl_buf_printf(&b, "%s", "0123456789");
    assert_false(b.failed);
    assert_true(kl_slice_eq_str(kl_buf_view(&b), "0123456789"));
    kl_buf_printf(&b, "%s", "");
    assert_false(b.failed);
    kl_buf_printf(&b, "%d", 1);
    assert_true(b.failed);
    assert_int_equal(b.len, 10);
    kl_buf_deinit(&b);
    kl_buf_init(&b, 0);
    for (int i = 0; i < 1000; i++) {
        kl_buf_printf(&b, "%03d,", i);
    }
    assert_int_equal(b.len, 4000);
    assert_memory_equal(b.data + 3992, "998,999,", 8);
    kl_buf_deinit(&b);
}

static void decimals_match_printf(void **state) {
    static const int64_t edges[] = {
        0, 1, -1, 9, 10, 99, 100, 101, 12345, -99, -100, INT64_MAX, INT64_MIN, 1000000000000};
    for (size_t i = 0; i < KL_LEN(edges) + 2000; i++) {
        int64_t v = i < KL_LEN(edges) ? edges[i] : (int64_t)(seeded_u64() >> seeded_below(64));
        char expected[64];
        int n = snprintf(expected, sizeof expected, "%" PRId64 "/%" PRIu64, v, (uint64_t)v);
        struct kl_buf b = {0};
        kl_buf_i64(&b, v);
        kl_buf_putc(&b, '/');
        kl_buf_u64(&b, (uint64_t)v);
        assert_int_equal(b.len, n);
        assert_memory_equal(b.data, expected, (size_t)n);
        kl_buf_deinit(&b);
    }
}

static void byte_order_is_fixed(void **state) {
    struct kl_buf b = {0};
    kl_buf_u8(&b, 0x01);
    kl_buf_le16(&b, 0x0203);
    kl_buf_be16(&b, 0x0203);
    kl_buf_le32(&b, 0x04050607);
    kl_buf_be32(&b, 0x04050607);
    kl_buf_le64(&b, 0x08090A0B0C0D0E0FULL);
    kl_buf_be64(&b, 0x08090A0B0C0D0E0FULL);
    kl_buf_varint(&b, 300);
    kl_buf_lstr(&b, KL_S("hi"));
    static const unsigned char expected[] = {0x01, 0x03, 0x02, 0x02, 0x03, 0x07, 0x06, 0x05, 0x04,
        0x04, 0x05, 0x06, 0x07, 0x0F, 0x0E, 0x0D, 0x0C, 0x0B, 0x0A, 0x09, 0x08, 0x08, 0x09, 0x0A,
        0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0xAC, 0x02, 0x02, 'h', 'i'};
    assert_int_equal(b.len, sizeof expected);
    assert_memory_equal(b.data, expected, sizeof expected);
    struct kl_reader r;
    kl_reader_init(&r, kl_buf_view(&b));
    assert_int_equal(kl_read_u8(&r), 0x01);
    assert_int_equal(kl_read_le16(&r), 0x0203);
    assert_int_equal(kl_read_be16(&r), 0x0203);
    assert_int_equal(kl_read_le32(&r), 0x04050607);
    assert_int_equal(kl_read_be32(&r), 0x04050607);
    assert_true(kl_read_le64(&r) == 0x08090A0B0C0D0E0FULL);
    assert_true(kl_read_be64(&r) == 0x08090A0B0C0D0E0FULL);
    assert_int_equal(kl_read_varint(&r), 300);
    assert_true(kl_slice_eq_str(kl_read_lstr(&r), "hi"));
    assert_false(r.failed);
    assert_ptr_equal(r.ptr, r.end);
    kl_buf_deinit(&b);
}

static void varints_round_trip(void **state) {
    for (int i = 0; i < 5000; i++) {
        uint64_t v = i == 0   ? 0
                     : i == 1 ? UINT64_MAX
                     : i < 66 ? 1ULL << (i - 2)
                              : seeded_u64() >> seeded_below(64);
        struct kl_buf b = {0};
        kl_buf_varint(&b, v);
        assert_true(b.len <= 10);
        struct kl_reader r;
        kl_reader_init(&r, kl_buf_view(&b));
        assert_true(kl_read_varint(&r) == v);
        assert_false(r.failed);
        assert_ptr_equal(r.ptr, r.end);
        kl_reader_init(&r, kl_slice(b.data, b.len - 1));
        assert_int_equal(kl_read_varint(&r), 0);
        assert_true(r.failed);
        kl_buf_deinit(&b);
    }
}

static void bad_varints_are_refused(void **state) {
    static const struct kl_slice bad[] = {
        {"", 0},
        {"\x80", 1},
        {"\x80\x00", 2},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x01", 11},
    };
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        struct kl_reader r;
        kl_reader_init(&r, bad[i]);
        assert_int_equal(kl_read_varint(&r), 0);
        assert_true(r.failed);
    }
}

static void reading_past_the_end_fails_for_good(void **state) {
    struct kl_reader r;
    kl_reader_init(&r, KL_S("abc"));
    assert_int_equal(kl_read_le32(&r), 0);
    assert_true(r.failed);
    assert_int_equal(kl_read_u8(&r), 0);
    assert_null(kl_read_bytes(&r, 0).ptr);
    kl_reader_init(&r, KL_SLICE_NONE);
    assert_int_equal(kl_read_bytes(&r, 0).len, 0);
    assert_false(r.failed);
    /* a length far beyond the end, and one that would wrap a pointer */
    kl_reader_init(&r, kl_slice("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", 11));
    assert_null(kl_read_lstr(&r).ptr);
    assert_true(r.failed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limit_is_exact),
        cmocka_unit_test(failure_sticks_until_cleared),
        cmocka_unit_test(zero_initialised_means_64_mib),
        cmocka_unit_test(printf_fits_exactly_or_fails),
        cmocka_unit_test(decimals_match_printf),
        cmocka_unit_test(byte_order_is_fixed),
        cmocka_unit_test(varints_round_trip),
        cmocka_unit_test(bad_varints_are_refused),
        cmocka_unit_test(reading_past_the_end_fails_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
