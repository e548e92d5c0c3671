/* Shared by the tests of types/: parse and print in one call, and a small seeded generator whose
 * seed is printed. */
#ifndef KL_TEST_TYPES_SUPPORT_H
#define KL_TEST_TYPES_SUPPORT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "types/types.h"

static struct kl_arena arena;
static struct kl_err last_err;
static uint64_t seed;

__attribute__((unused)) static uint64_t rnd(void) {
    seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

__attribute__((unused)) static uint64_t below(uint64_t n) {
    return rnd() % n;
}

/* KL_TEST_SEED repeats a run. */
__attribute__((unused)) static void seed_init(void) {
    const char *given = getenv("KL_TEST_SEED");
    seed = given ? strtoull(given, NULL, 0) : kl_random_u64();
    print_message("KL_TEST_SEED=0x%llx\n", (unsigned long long)seed);
}

__attribute__((unused)) static int setup(void **state) {
    kl_arena_init(&arena, 0);
    return 0;
}

__attribute__((unused)) static int teardown(void **state) {
    kl_arena_deinit(&arena);
    return 0;
}

__attribute__((unused)) static struct kl_val parse(struct kl_type t, const char *text) {
    struct kl_val v;
    if (kl_val_parse(t, kl_slice_str(text), &arena, &v, &last_err) != KL_OK) {
        fail_msg("'%s': %s", text, last_err.msg);
    }
    return v;
}

__attribute__((unused)) static void refused(
    struct kl_type t, const char *text, enum kl_rc rc, const char *message) {
    struct kl_val v = {.type = 99};
    last_err.msg[0] = 0;
    enum kl_rc got = kl_val_parse(t, kl_slice_str(text), &arena, &v, &last_err);
    if (got != rc) {
        fail_msg("'%s': rc %d, wanted %d (%s)", text, got, rc, last_err.msg);
    }
    assert_int_equal(v.type, 99); /* outputs only on success */
    assert_string_equal(last_err.msg, message);
}

__attribute__((unused)) static const char *printed(
    void (*print)(const struct kl_val *, struct kl_buf *), const struct kl_val *v) {
    struct kl_buf b;
    kl_buf_init(&b, 0);
    print(v, &b);
    assert_false(b.failed);
    const char *s = kl_arena_dup(&arena, kl_slice(b.len ? b.data : "", b.len)).ptr;
    kl_buf_deinit(&b);
    return s;
}

#define TEXT_OF(v) printed(kl_val_to_text, (v))
#define JSON_OF(v) printed(kl_val_to_json, (v))
#define SQL_OF(v) printed(kl_val_to_sql, (v))

/* parse, print, compare */
__attribute__((unused)) static void reads(struct kl_type t, const char *text, const char *want) {
    struct kl_val v = parse(t, text);
    assert_int_equal(v.type, t.id);
    assert_false(v.null);
    assert_string_equal(TEXT_OF(&v), want);
}

__attribute__((unused)) static struct kl_type dec(uint8_t precision, uint8_t scale) {
    return (struct kl_type){.id = KL_T_DECIMAL, .precision = precision, .scale = scale};
}

__attribute__((unused)) static struct kl_type emb(uint16_t dim) {
    return (struct kl_type){.id = KL_T_EMBEDDING, .dim = dim};
}

#endif
