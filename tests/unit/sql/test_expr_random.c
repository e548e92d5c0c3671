/* Random properties of expressions: trees against a slow model of their own, LIKE against the
 * textbook recursion, decimal arithmetic against long division, three-valued logic against its
 * tables. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "expr_text.h"
#include "sql/expr_internal.h"
#include <time.h>

static uint64_t seed, state_;

static uint64_t rnd(uint64_t n) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return (state_ >> 11) % n;
}

/* ---- trees: integers and booleans with NULLs and errors ---- */

enum outcome { VALUE, IS_NULL, OVERFLOW, DIV_ZERO };
struct model {
    enum outcome out;
    int64_t v;
};
#define N_COLS 4
struct row {
    struct kl_val vals[N_COLS];
};

static int64_t interesting(void) {
    static const int64_t some[] = {
        0, 1, -1, 2, 3, 7, INT64_MAX, INT64_MIN, INT64_MAX - 1, 1000, -1000, INT32_MAX, INT32_MIN};
    return some[rnd(KL_LEN(some))];
}

/* Both build the expression and compute it from the row, in plain C. `skip`: the model does not
 * evaluate this branch. */
static struct kl_expr *gen_int(
    struct kl_expr_builder *b, const struct row *r, int depth, struct model *m);
static struct kl_expr *gen_bool(
    struct kl_expr_builder *b, const struct row *r, int depth, struct model *m);

static struct model fail_first(struct model a, struct model b) {
    return a.out > IS_NULL ? a : b;
}

static struct model model_arith(char op, struct model a, struct model b) {
    if (a.out > IS_NULL || b.out > IS_NULL) {
        return fail_first(a, b);
    }
    if (a.out == IS_NULL || b.out == IS_NULL) {
        return (struct model){IS_NULL, 0};
    }
    if ((op == '/' || op == '%') && b.v == 0) {
        return (struct model){DIV_ZERO, 0};
    }
    __int128 x = a.v, y = b.v;
    __int128 v = op == '+'   ? x + y
                 : op == '-' ? x - y
                 : op == '*' ? x * y
                 : op == '/' ? x / y
                             : x % y;
    return v < INT64_MIN || v > INT64_MAX ? (struct model){OVERFLOW, 0}
                                          : (struct model){VALUE, (int64_t)v};
}

static struct kl_expr *leaf_int(struct kl_expr_builder *b, const struct row *r, struct model *m) {
    struct kl_expr *e;
    if (rnd(2)) {
        unsigned slot = (unsigned)rnd(N_COLS);
        *m = (struct model){
            r->vals[slot].null ? IS_NULL : VALUE, r->vals[slot].null ? 0 : r->vals[slot].i};
        assert_int_equal(kl_expr_slot(b, slot, KL_TYPE(BIGINT), true, &e, NULL), KL_OK);
    } else {
        bool null = rnd(6) == 0;
        *m = (struct model){null ? IS_NULL : VALUE, null ? 0 : interesting()};
        assert_int_equal(
            kl_expr_const(b, null ? kl_val_null(KL_T_BIGINT) : kl_val_i64(m->v), &e, NULL), KL_OK);
    }
    return e;
}

static struct kl_expr *gen_case(
    struct kl_expr_builder *b, const struct row *r, int depth, struct model *m) {
    struct model c, x, y;
    struct kl_expr_when when;
    when.cond = gen_bool(b, r, depth - 1, &c);
    when.result = gen_int(b, r, depth - 1, &x);
    struct kl_expr *otherwise = gen_int(b, r, depth - 1, &y), *e;
    assert_int_equal(kl_expr_case(b, NULL, &when, 1, otherwise, 0, &e, NULL), KL_OK);
    *m = c.out > IS_NULL ? c : c.out == VALUE && c.v ? x : y;
    return e;
}

static struct kl_expr *gen_int(
    struct kl_expr_builder *b, const struct row *r, int depth, struct model *m) {
    if (depth == 0 || rnd(5) == 0) {
        return leaf_int(b, r, m);
    }
    if (rnd(6) == 0) {
        return gen_case(b, r, depth, m);
    }
    struct model x, y;
    struct kl_expr *l = gen_int(b, r, depth - 1, &x), *right = gen_int(b, r, depth - 1, &y), *e;
    if (rnd(8) == 0) {
        struct kl_expr *args[2] = {l, right};
        assert_int_equal(kl_expr_call(b, KL_S("coalesce"), args, 2, 0, &e, NULL), KL_OK);
        *m = x.out == IS_NULL ? y : x;
        return e;
    }
    char op = "+-*/%"[rnd(5)];
    assert_int_equal(kl_expr_op(b, kl_slice(&op, 1), l, right, 0, &e, NULL), KL_OK);
    *m = model_arith(op, x, y);
    return e;
}

static struct model model_cmp(int op, struct model a, struct model b) {
    if (a.out > IS_NULL || b.out > IS_NULL) {
        return fail_first(a, b);
    }
    if (a.out == IS_NULL || b.out == IS_NULL) {
        return (struct model){IS_NULL, 0};
    }
    bool v = op == 0   ? a.v == b.v
             : op == 1 ? a.v != b.v
             : op == 2 ? a.v < b.v
             : op == 3 ? a.v <= b.v
             : op == 4 ? a.v > b.v
                       : a.v >= b.v;
    return (struct model){VALUE, v};
}

static struct model model_logic(bool is_or, struct model a, struct model b) {
    if (a.out > IS_NULL || (a.out == VALUE && (a.v != 0) == is_or)) {
        return a;
    }
    if (b.out > IS_NULL || (b.out == VALUE && (b.v != 0) == is_or)) {
        return b;
    }
    return a.out == IS_NULL || b.out == IS_NULL ? (struct model){IS_NULL, 0}
                                                : (struct model){VALUE, !is_or};
}

static struct kl_expr *gen_bool(
    struct kl_expr_builder *b, const struct row *r, int depth, struct model *m) {
    static const char *const ops[] = {"=", "<>", "<", "<=", ">", ">="};
    struct model x, y;
    struct kl_expr *e;
    if (depth > 0 && rnd(3) == 0) {
        struct kl_expr *args[2] = {gen_bool(b, r, depth - 1, &x), gen_bool(b, r, depth - 1, &y)};
        bool is_or = rnd(2);
        assert_int_equal(
            kl_expr_logic(b, is_or ? KL_EXPR_OR : KL_EXPR_AND, args, 2, 0, &e, NULL), KL_OK);
        *m = model_logic(is_or, x, y);
        return e;
    }
    if (depth > 0 && rnd(5) == 0) {
        struct kl_expr *arg = gen_bool(b, r, depth - 1, &x);
        assert_int_equal(kl_expr_logic(b, KL_EXPR_NOT, &arg, 1, 0, &e, NULL), KL_OK);
        *m = x.out == VALUE ? (struct model){VALUE, !x.v} : x;
        return e;
    }
    int d = depth > 0 ? depth - 1 : 0;
    struct kl_expr *l = gen_int(b, r, d, &x), *right = gen_int(b, r, d, &y);
    int op = (int)rnd(6);
    assert_int_equal(kl_expr_op(b, kl_slice_str(ops[op]), l, right, 0, &e, NULL), KL_OK);
    *m = model_cmp(op, x, y);
    return e;
}

static void trees_agree_with_the_model(void **state) {
    struct kl_arena arena;
    kl_arena_init(&arena, 0);
    for (int round = 0; round < 20000; round++) {
        struct row r;
        for (int i = 0; i < N_COLS; i++) {
            r.vals[i] = rnd(4) == 0 ? kl_val_null(KL_T_BIGINT) : kl_val_i64(interesting());
        }
        struct kl_expr_builder b = {.arena = &arena};
        struct model m;
        bool boolean = rnd(2);
        struct kl_expr *e = boolean ? gen_bool(&b, &r, 4, &m) : gen_int(&b, &r, 4, &m);
        struct kl_eval ev = {.row = r.vals, .arena = &arena};
        struct kl_val v;
        struct kl_err err = {0};
        enum kl_rc rc = kl_expr_eval(e, &ev, &v, &err);
        enum outcome got = rc == KL_OK       ? v.null ? IS_NULL : VALUE
                           : rc == KL_E_TYPE ? OVERFLOW
                                             : DIV_ZERO;
        int64_t value = rc != KL_OK || v.null ? 0 : boolean ? v.b : v.i;
        if (got != m.out || (got == VALUE && value != m.v)) {
            struct kl_buf text = {0};
            kl_expr_print(e, &text);
            fail_msg("seed %llu round %d: %.*s gives %d %lld, should %d %lld (%s)",
                (unsigned long long)seed, round, (int)text.len, text.data, got, (long long)value,
                m.out, (long long)m.v, err.msg);
        }
        kl_arena_reset(&arena);
    }
    kl_arena_deinit(&arena);
}

/* ---- LIKE ---- */

static bool naive_like(const char *t, const char *p) {
    if (*p == '\0') {
        return *t == '\0';
    }
    if (*p == '%') {
        return naive_like(t, p + 1) || (*t && naive_like(t + 1, p));
    }
    if (*p == '\\' && p[1]) {
        return *t == p[1] && naive_like(t + 1, p + 2);
    }
    return *t && (*p == '_' || *p == *t) && naive_like(t + 1, p + 1);
}

static void like_agrees_with_the_textbook(void **state) {
    for (int round = 0; round < 200000; round++) {
        char t[12] = "", p[10] = "";
        size_t nt = rnd(11), np = rnd(9);
        for (size_t i = 0; i < nt; i++) {
            t[i] = "ab%_\\"[rnd(rnd(4) ? 2 : 5)];
        }
        for (size_t i = 0; i < np; i++) {
            p[i] = "ab%_\\"[rnd(5)];
        }
        size_t slashes = 0;
        while (slashes < np && p[np - 1 - slashes] == '\\') {
            slashes++;
        }
        if (slashes % 2) { /* ends in the escape character: an error of its own */
            continue;
        }
        enum kl_like_rc got =
            kl_expr__like_match(kl_slice_str(t), kl_slice_str(p), KL_S("\\"), false);
        if ((got == KL_LIKE_YES) != naive_like(t, p)) {
            fail_msg("seed %llu: '%s' LIKE '%s' is %d", (unsigned long long)seed, t, p, got);
        }
    }
}

/* ---- decimals ---- */

static struct kl_dec random_dec(int max_digits) {
    struct kl_dec d = {0, (int)rnd(11)};
    for (int n = (int)rnd((uint64_t)max_digits) + 1; n > 0; n--) {
        d.v = d.v * 10 + (int)rnd(10);
    }
    d.v = rnd(2) ? -d.v : d.v;
    return d;
}

static __int128 scaled(struct kl_dec d, int scale) {
    for (; d.scale < scale; d.scale++) {
        d.v *= 10;
    }
    return d.v;
}

static void decimals_are_exact(void **state) {
    for (int round = 0; round < 100000; round++) {
        struct kl_dec a = random_dec(15), b = random_dec(15);
        int wide = KL_MAX(a.scale, b.scale);
        struct kl_val v;
        assert_int_equal(kl_expr__dec_add(a, b, &v, NULL), KL_OK);
        assert_true(kl_val_dec(&v) == scaled(a, wide) + scaled(b, wide) && v.scale == wide);
        assert_int_equal(kl_expr__dec_mul(a, b, &v, NULL), KL_OK);
        assert_true(kl_val_dec(&v) == a.v * b.v && v.scale == a.scale + b.scale);
        if (b.v != 0) {
            assert_int_equal(kl_expr__dec_mod(a, b, &v, NULL), KL_OK);
            assert_true(kl_val_dec(&v) == scaled(a, wide) % scaled(b, wide) && v.scale == wide);
        }
    }
}

/* Long division, digit by digit, at the scale that the quotient came out with. */
static void quotients_are_rounded_once(void **state) {
    for (int round = 0; round < 50000; round++) {
        struct kl_dec a = random_dec(12), b = random_dec(12);
        if (b.v == 0) {
            continue;
        }
        struct kl_val v;
        assert_int_equal(kl_expr__dec_quotient(a, b, KL_MAX(16, KL_MAX(a.scale, b.scale)), &v, NULL), KL_OK);
        unsigned __int128 n = (unsigned __int128)(a.v < 0 ? -a.v : a.v),
                          d = (unsigned __int128)(b.v < 0 ? -b.v : b.v);
        unsigned __int128 q = n / d, rem = n % d;
        for (int digits = v.scale - a.scale + b.scale; digits > 0; digits--) {
            rem *= 10;
            q = q * 10 + rem / d;
            rem %= d;
        }
        q += rem * 2 >= d;
        __int128 want = (a.v < 0) != (b.v < 0) ? -(__int128)q : (__int128)q;
        if (kl_val_dec(&v) != want) {
            fail_msg("seed %llu: a quotient is off", (unsigned long long)seed);
        }
    }
}

static void wide_decimals_shrink_or_fail(void **state) {
    __int128 most = 0;
    for (int i = 0; i < 38; i++) {
        most = most * 10 + 9;
    }
    struct kl_val v;
    assert_int_equal(
        kl_expr__dec_add((struct kl_dec){most, 0}, (struct kl_dec){1, 0}, &v, NULL), KL_E_TYPE);
    assert_int_equal(
        kl_expr__dec_add((struct kl_dec){most, 0}, (struct kl_dec){-1, 0}, &v, NULL), KL_OK);
    assert_true(kl_val_dec(&v) == most - 1);
    assert_int_equal(
        kl_expr__dec_add((struct kl_dec){most, 0}, (struct kl_dec){4, 1}, &v, NULL), KL_OK);
    assert_true(kl_val_dec(&v) == most && v.scale == 0);
    assert_int_equal(
        kl_expr__dec_add((struct kl_dec){most, 0}, (struct kl_dec){5, 1}, &v, NULL), KL_E_TYPE);
    assert_int_equal(
        kl_expr__dec_mul((struct kl_dec){most, 0}, (struct kl_dec){10, 0}, &v, NULL), KL_E_TYPE);
    assert_int_equal(
        kl_expr__dec_mul((struct kl_dec){most, 38}, (struct kl_dec){most, 38}, &v, NULL), KL_OK);
    assert_int_equal(
        kl_expr__dec_quotient((struct kl_dec){most, 0}, (struct kl_dec){1, 1}, 16, &v, NULL), KL_E_TYPE);
    assert_int_equal(
        kl_expr__dec_quotient((struct kl_dec){1, 0}, (struct kl_dec){most, 0}, 16, &v, NULL), KL_OK);
    assert_int_equal(
        kl_expr__dec_mod((struct kl_dec){most, 38}, (struct kl_dec){most, 0}, &v, NULL), KL_OK);
    assert_true(kl_val_dec(&v) == most);
    assert_int_equal(
        kl_expr__dec_mod((struct kl_dec){most, 0}, (struct kl_dec){7, 38}, &v, NULL), KL_OK);
}

/* ---- integers at their edges ---- */

static void integers_overflow_at_their_type(void **state) {
    static const uint8_t types[] = {KL_T_SMALLINT, KL_T_INT, KL_T_BIGINT};
    static const int64_t low[] = {INT16_MIN, INT32_MIN, INT64_MIN},
                         high[] = {INT16_MAX, INT32_MAX, INT64_MAX};
    static const enum kl_expr_opcode ops[] = {
        KL_OP_ADD, KL_OP_SUB, KL_OP_MUL, KL_OP_DIV, KL_OP_MOD};
    for (size_t t = 0; t < 3; t++) {
        int64_t edge[] = {low[t], low[t] + 1, -2, -1, 0, 1, 2, high[t] - 1, high[t]};
        for (size_t i = 0; i < KL_LEN(edge) * KL_LEN(edge) * KL_LEN(ops); i++) {
            int64_t a = edge[i % 9], b = edge[i / 9 % 9];
            enum kl_expr_opcode op = ops[i / 81];
            struct model m = model_arith(
                "?+-*/%" [op], (struct model) { VALUE, a }, (struct model){VALUE, b});
            bool over = m.out == OVERFLOW || (m.out == VALUE && (m.v < low[t] || m.v > high[t]));
            struct kl_val v;
            enum kl_rc rc = kl_expr__int_op(types[t], op, a, b, &v, NULL);
            assert_int_equal(rc, over ? KL_E_TYPE : m.out == DIV_ZERO ? KL_E_EXEC : KL_OK);
            assert_true(rc != KL_OK || (v.i == m.v && v.type == types[t]));
        }
    }
}

static void regular_expressions_hold_their_cache(void **state) {
    struct kl_arena arena;
    struct kl_buf out = {0};
    kl_arena_init(&arena, 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 40; i++) { /* more patterns than are kept */
            struct kl_eval ev = {.arena = &arena};
            char text[64];
            uint8_t type;
            snprintf(text, sizeof(text), "'x%dy' ~ '^x%dy$'", i, i);
            text_of(text, AS_PARAM, &ev, &out, &type);
            assert_string_equal(out.data, "true");
        }
    }
    static const char *const refused[] = {
        "'a' ~ '(?=a)'", "'aa' ~ '(a)\\1'", "'a' ~ '(?x)A'", "'a' ~ '***=a'", "'a' ~ '[\\^a]'"};
    for (size_t i = 0; i < KL_LEN(refused); i++) {
        struct parser *p = malloc(sizeof(*p));
        struct kl_expr *e;
        assert_int_equal(
            parse_text(p, refused[i], AS_CONST, &arena, NULL, 0, &e), KL_E_UNSUPPORTED);
        free(p);
    }
    struct kl_eval ev = {.arena = &arena};
    uint8_t type;
    static const char *const large[] = {"'a' ~ '((a{100}){100}){100}'",
        "'a' ~ '((((((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+'",
        "'a' ~ '((((((((((((((((a*)?)*)?)*)?)*)?)*)?)*)?)*)?)*)?'",
        "'a' ~ '((([a-z]?){9,}){9,}){9,}'", "'a' ~ '((((){255}){255}){255})'",
        "'a' ~ '(aaaaaaaaaaaaaaaaa){250}'"};
    for (size_t i = 0; i < KL_LEN(large); i++) {
        text_of(large[i], AS_SLOT, &ev, &out, &type);
        assert_string_equal(
            out.data, "ERROR: invalid regular expression: regular expression is too complex");
    }
    static const char *const fine[] = {
        "'a@b.example' ~ '^[a-z0-9._%+-]{1,64}@([a-z0-9-]{1,63}[.]){1,8}[a-z]{2,63}$'",
        "'fe80:0:0:0:0:0:0:1' ~ '^([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$'"};
    for (size_t i = 0; i < KL_LEN(fine); i++) {
        text_of(fine[i], AS_SLOT, &ev, &out, &type);
        assert_string_equal(out.data, "true");
    }
    kl_buf_deinit(&out);
    kl_arena_deinit(&arena);
}

int main(void) {
    seed = getenv("KL_SEED") ? strtoull(getenv("KL_SEED"), NULL, 10) : (uint64_t)time(NULL);
    state_ = seed * 2654435761u + 88172645463325252ull;
    printf("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_agree_with_the_model),
        cmocka_unit_test(like_agrees_with_the_textbook),
        cmocka_unit_test(decimals_are_exact),
        cmocka_unit_test(quotients_are_rounded_once),
        cmocka_unit_test(wide_decimals_shrink_or_fail),
        cmocka_unit_test(integers_overflow_at_their_type),
        cmocka_unit_test(regular_expressions_hold_their_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
