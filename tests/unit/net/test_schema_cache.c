/* Descriptions of columns: what they say, and that a remembered one is never that of other columns. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/schema_cache.h"

#include <stdio.h>
#include <stdlib.h>

static struct kl_buf fresh, cached;

static void check(struct kl_schema_cache *c, const struct kl_sink_col *cols, size_t n) {
    kl_buf_clear(&fresh);
    kl_buf_clear(&cached);
    kl_buf_puts(&cached, "before");
    kl_schema_write(&fresh, cols, n);
    kl_schema_cache_write(c, &cached, cols, n);
    assert_int_equal(cached.len, fresh.len + 6);
    assert_memory_equal(cached.data + 6, fresh.data, fresh.len);
}

static void says(void **state) {
    const struct kl_sink_col cols[] = {
        {KL_S("id"), KL_TYPE(BIGINT), KL_COL_PK | KL_COL_NOT_NULL},
        {KL_S("a \"b\""), KL_TYPE(TEXT), 0},
        {KL_S("n"), {.id = KL_T_DECIMAL, .precision = 10, .scale = 2}, KL_COL_UNIQUE},
    };
    struct kl_schema_cache *c = kl_schema_cache_new();
    for (int i = 0; i < 3; i++) {
        check(c, cols, 3);
        kl_buf_putc(&fresh, '\0');
        assert_string_equal(fresh.data,
            "[{\"name\":\"id\",\"data_type\":\"BigInt\",\"index\":0,\"flags\":[\"pk\",\"nn\"]},"
            "{\"name\":\"a \\\"b\\\"\",\"data_type\":\"Text\",\"index\":1},"
            "{\"name\":\"n\",\"data_type\":{\"Decimal\":{\"precision\":10,\"scale\":2}},\"index\":"
            "2,"
            "\"flags\":[\"uq\"]}]");
    }
    check(c, NULL, 0);
    check(c, NULL, 0);
    kl_schema_cache_free(c);
    kl_schema_cache_free(NULL);
}

/* The same place in memory, other columns: each of their properties counts. */
static void never_mixed_up(void **state) {
    struct kl_schema_cache *c = kl_schema_cache_new();
    char name[4] = "abc";
    struct kl_sink_col cols[2] = {
        {kl_slice(name, 3), KL_TYPE(DECIMAL), 0}, {KL_S("second"), KL_TYPE(TEXT), 0}};
    const char *given = getenv("KL_TEST_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)kl_clock_wall_us();
    print_message("KL_TEST_SEED=%u\n", seed);
    for (int i = 0; i < 20000; i++) {
        unsigned v = (unsigned)rand_r(&seed);
        switch (v % 7) {
        case 0:
            name[v / 7 % 3] = (char)('a' + v / 21 % 3);
            break;
        case 1:
            cols[0].name.len = v / 7 % 4;
            break;
        case 2:
            cols[0].type.precision = (uint8_t)(1 + v / 7 % 3);
            break;
        case 3:
            cols[0].type.scale = (uint8_t)(v / 7 % 2);
            break;
        case 4:
            cols[0].type.id = v / 7 % 2 ? KL_T_DECIMAL : KL_T_EMBEDDING;
            break;
        case 5:
            cols[0].type.dim = (uint16_t)(1 + v / 7 % 2);
            break;
        default:
            cols[1].flags = (uint8_t)(v / 7 % 8);
            break;
        }
        check(c, cols, 1 + v / 64 % 2);
    }
    kl_schema_cache_free(c);
}

/* More columns than are kept, a name of every size, a result that is full. */
static void limits(void **state) {
    enum { MANY = 2000 };
    struct kl_schema_cache *c = kl_schema_cache_new();
    struct kl_sink_col *cols = calloc(MANY, sizeof *cols);
    static char long_name[40000];
    memset(long_name, 'x', sizeof long_name);
    assert_non_null(cols);
    for (size_t i = 0; i < MANY; i++) {
        cols[i] = (struct kl_sink_col){KL_S("c"), KL_TYPE(INT), 0};
    }
    for (size_t n = 0; n <= MANY; n += 40) {
        check(c, cols, n);
        check(c, cols, n);
    }
    for (size_t len = 0; len < sizeof long_name; len += 997) {
        cols[0].name = kl_slice(long_name, len);
        check(c, cols, 1);
        check(c, cols, 1);
    }
    struct kl_buf small;
    kl_buf_init(&small, 100);
    cols[0].name = KL_S("another");
    kl_schema_cache_write(c, &small, cols, 10);
    assert_true(small.failed);
    kl_buf_deinit(&small);
    check(c, cols, 10); /* what was cut off was not kept */
    free(cols);
    kl_schema_cache_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says),
        cmocka_unit_test(never_mixed_up),
        cmocka_unit_test(limits),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kl_buf_deinit(&fresh);
    kl_buf_deinit(&cached);
    return failed;
}
