/* Heap helpers and the arena: alignment, budget, marks across chunks and big blocks, reuse after
 * reset. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"
#include "seeded.h"

#include <stdio.h>
#include <stdlib.h>

static bool all_bytes_are(const unsigned char *p, size_t n, int value) {
    return n == 0 || (p[0] == value && memcmp(p, p + 1, n - 1) == 0);
}

static void heap_helpers_give_memory_even_for_zero(void **state) {
    void *p = kl_xmalloc(0);
    assert_non_null(p);
    p = kl_xrealloc(p, 0);
    assert_non_null(p);
    free(p);
    kl_autofree char *text = kl_xprintf("%s-%d", "a", 7);
    assert_string_equal(text, "a-7");
    kl_autofree int *zeros = kl_xcalloc(0, 4);
    assert_non_null(zeros);
    int *grown = NULL;
    size_t cap = 0;
    for (int i = 0; i < 1000; i++) {
        KL_GROW(grown, cap, i + 1);
        grown[i] = i;
    }
    assert_int_equal(grown[999], 999);
    free(grown);
}

static void allocations_are_aligned_and_disjoint(void **state) {
    struct kl_arena a;
    kl_arena_init(&a, 0);
    unsigned char *blocks[400];
    size_t sizes[400];
    for (int i = 0; i < 400; i++) {
        sizes[i] = seeded_below(i % 40 == 0 ? 100000 : 300);
        blocks[i] = kl_arena_alloc(&a, sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], i & 0xFF, sizes[i]);
    }
    for (int i = 0; i < 400; i++) {
        assert_true(all_bytes_are(blocks[i], sizes[i], i & 0xFF));
    }
    kl_arena_deinit(&a);
    assert_int_equal(a.used, 0);
}

static void budget_is_exact(void **state) {
    struct kl_arena a;
    kl_arena_init(&a, 10000);
    size_t got = 0;
    while (kl_arena_alloc(&a, 16)) {
        got += 16;
        assert_true(a.used <= 10000);
    }
    assert_true(got >= 9500);
    assert_null(kl_arena_alloc(&a, 16));
    assert_null(kl_arena_alloc(&a, 100000));
    kl_arena_reset(&a);
    assert_non_null(kl_arena_alloc(&a, 5000));
    assert_null(kl_arena_alloc(&a, 5000));
    kl_arena_deinit(&a);
    kl_arena_init(&a, 0);
    assert_null(kl_arena_alloc(&a, ((size_t)64 << 20) + 1));
    assert_null(kl_arena_alloc(&a, SIZE_MAX));
    assert_null(kl_arena_alloc(&a, SIZE_MAX / 2));
    assert_null(kl_arena_calloc(&a, SIZE_MAX / 2, 3));
    assert_null(kl_arena_dup(&a, kl_slice("", SIZE_MAX)).ptr);
    assert_non_null(kl_arena_alloc(&a, (size_t)60 << 20));
    kl_arena_deinit(&a);
}

static void tiny_budget_still_serves(void **state) {
    struct kl_arena a;
    kl_arena_init(&a, 200);
    assert_non_null(kl_arena_alloc(&a, 64));
    assert_null(kl_arena_alloc(&a, 200));
    kl_arena_deinit(&a);
    struct kl_arena zero = {0};
    assert_non_null(kl_arena_alloc(&zero, 100));
    kl_arena_deinit(&zero);
}

static void copies_and_texts(void **state) {
    struct kl_arena a;
    kl_arena_init(&a, 0);
    struct kl_slice s = kl_arena_dup(&a, KL_S("hello"));
    assert_int_equal(s.len, 5);
    assert_string_equal(s.ptr, "hello");
    struct kl_slice empty = kl_arena_dup(&a, KL_SLICE_NONE);
    assert_non_null(empty.ptr);
    assert_int_equal(empty.len, 0);
    assert_string_equal(kl_arena_printf(&a, "%d/%s", 42, "x"), "42/x");
    char *calloced = kl_arena_calloc(&a, 100, 100);
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(calloced[i], 0);
    }
    kl_arena_deinit(&a);
}

static void reset_keeps_one_small_chunk(void **state) {
    struct kl_arena a;
    kl_arena_init(&a, 0);
    for (int i = 0; i < 100000; i++) {
        assert_non_null(kl_arena_alloc(&a, 100));
    }
    assert_non_null(kl_arena_alloc(&a, 3 << 20));
    kl_arena_reset(&a);
    assert_in_range(a.used, 1, 64 << 10);
    size_t kept = a.used;
    assert_non_null(kl_arena_alloc(&a, 1000));
    assert_int_equal(a.used, kept);
    kl_arena_reset(&a);
    kl_arena_reset(&a);
    kl_arena_deinit(&a);
}

static void a_mark_gives_back_in_the_same_chunk(void **state) {
    struct kl_arena a;
    kl_arena_init(&a, 0);
    char *keep = kl_arena_dup(&a, KL_S("keep")).ptr ? a.cur : NULL;
    struct kl_arena_mark mark = kl_arena_mark(&a);
    void *first = kl_arena_alloc(&a, 100);
    kl_arena_rewind(&a, mark);
    assert_ptr_equal(kl_arena_alloc(&a, 100), first);
    assert_ptr_equal(first, keep);
    kl_arena_deinit(&a);
}

static void a_loop_with_a_mark_stays_in_the_same_memory(void **state) {
    static const size_t sizes[] = {10, 3000, 5000, 70000, 2000000};
    for (size_t k = 0; k < KL_LEN(sizes); k++) {
        struct kl_arena a;
        kl_arena_init(&a, 0);
        struct kl_slice kept = kl_arena_dup(&a, KL_S("survives every round"));
        size_t most = 0;
        for (int round = 0; round < 200; round++) {
            struct kl_arena_mark mark = kl_arena_mark(&a);
            for (int i = 0; i < 5; i++) {
                char *p = kl_arena_alloc(&a, sizes[k]);
                assert_non_null(p);
                memset(p, round, KL_MIN(sizes[k], (size_t)4096));
                p[sizes[k] - 1] = 1;
                assert_non_null(kl_arena_alloc(&a, 40));
            }
            kl_arena_rewind(&a, mark);
            if (round == 5) {
                most = a.used;
            }
            assert_true(round < 5 || a.used == most);
        }
        assert_string_equal(kept.ptr, "survives every round");
        kl_arena_deinit(&a);
    }
}

/* A large block made after the mark, in the chunk of the mark, goes although newer chunks lie above
 * it. */
static void a_rewind_over_chunks_frees_large_blocks(void **state) {
    struct kl_arena a;
    kl_arena_init(&a, 0);
    assert_non_null(kl_arena_alloc(&a, 16));
    size_t before = a.used;
    struct kl_arena_mark mark = kl_arena_mark(&a);
    assert_non_null(kl_arena_alloc(&a, 1 << 20));
    for (int i = 0; i < 1000; i++) {
        assert_non_null(kl_arena_alloc(&a, 100));
    }
    kl_arena_rewind(&a, mark);
    assert_true(a.used <= before + 8192); /* one small chunk may stay */
    kl_arena_deinit(&a);
}

static void a_mark_of_the_empty_arena(void **state) {
    struct kl_arena a;
    kl_arena_init(&a, 0);
    struct kl_arena_mark mark = kl_arena_mark(&a);
    kl_arena_rewind(&a, mark);
    for (int i = 0; i < 3; i++) {
        assert_non_null(kl_arena_alloc(&a, 200000));
        assert_non_null(kl_arena_alloc(&a, 10));
        kl_arena_rewind(&a, mark);
        assert_true(a.used <= 8192);
    }
    kl_arena_deinit(&a);
}

/* A stack of marks against a model: what lies below a mark keeps its contents whatever is rewound
 * above it. */
static void nested_marks_keep_what_is_below(void **state) {
    struct level {
        struct kl_arena_mark mark;
        unsigned char *data;
        size_t size;
    } stack[64];
    struct kl_arena a;
    kl_arena_init(&a, 0);
    size_t depth = 0;
    for (int step = 0; step < 20000; step++) {
        if (depth < KL_LEN(stack) && (int)seeded_below(100) < 55) {
            struct level *l = &stack[depth];
            static const size_t kinds[] = {30, 700, 5000, 300000};
            l->mark = kl_arena_mark(&a);
            l->size = (size_t)seeded_below(1u << 31) %
                      kinds[(int)seeded_below(100) < 97 ? (int)seeded_below(3) : 3];
            l->data = kl_arena_alloc(&a, l->size);
            assert_non_null(l->data);
            memset(l->data, (int)depth, l->size);
            depth++;
        } else if (depth > 0) {
            depth -= 1 + (size_t)seeded_below(1u << 31) % depth;
            kl_arena_rewind(&a, stack[depth].mark);
        }
        if (depth > 0) {
            struct level *l = &stack[(size_t)seeded_below(1u << 31) % depth];
            assert_true(all_bytes_are(l->data, l->size, (int)(l - stack)));
        }
    }
    kl_arena_deinit(&a);
    assert_int_equal(a.used, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_helpers_give_memory_even_for_zero),
        cmocka_unit_test(allocations_are_aligned_and_disjoint),
        cmocka_unit_test(budget_is_exact),
        cmocka_unit_test(tiny_budget_still_serves),
        cmocka_unit_test(copies_and_texts),
        cmocka_unit_test(reset_keeps_one_small_chunk),
        cmocka_unit_test(a_mark_gives_back_in_the_same_chunk),
        cmocka_unit_test(a_loop_with_a_mark_stays_in_the_same_memory),
        cmocka_unit_test(a_rewind_over_chunks_frees_large_blocks),
        cmocka_unit_test(a_mark_of_the_empty_arena),
        cmocka_unit_test(nested_marks_keep_what_is_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
