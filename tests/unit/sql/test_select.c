/* The native executor over rows in memory: its shapes against plain loops, its order against qsort,
 * its limits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "expr_text.h"
#include "sql/select.h"
#include <time.h>

#define N_COLS 3
static const struct column cols[N_COLS] = {{"k", {.id = KL_T_BIGINT}, true},
    {"s", {.id = KL_T_TEXT}, true}, {"d", {.id = KL_T_DECIMAL, .precision = 20, .scale = 2}, true}};

static uint64_t seed, state_;
static uint64_t rnd(uint64_t n) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return (state_ >> 11) % n;
}

/* ---- a source that overwrites its last row, a sink that keeps text ---- */

struct table {
    struct kl_source source;
    struct kl_val (*rows)[N_COLS];
    char (*text)[16];
    size_t n, at;
    char borrowed[16];
    enum kl_rc fail_with;
    size_t fail_at;
};

static enum kl_rc next_row(struct kl_source *s, struct kl_val *row, struct kl_err *err) {
    struct table *t = KL_CONTAINER_OF(s, struct table, source);
    memset(t->borrowed, '#', sizeof(t->borrowed));
    if (t->fail_with && t->at == t->fail_at) {
        return kl_fail(err, t->fail_with, "the source failed");
    }
    if (t->at == t->n) {
        return KL_E_END;
    }
    memcpy(row, t->rows[t->at], sizeof(*t->rows));
    memcpy(t->borrowed, t->text[t->at], sizeof(t->borrowed));
    if (!row[1].null) {
        row[1].s = t->borrowed;
    }
    t->at++;
    return KL_OK;
}

static void close_table(struct kl_source *s) {}

struct sink {
    struct kl_sink sink;
    size_t n_cols, n, stop_after;
    uint64_t ended_with;
    bool begun, ended;
    struct kl_buf text;
    char *lines[5000];
};

static enum kl_rc sink_begin(
    struct kl_sink *s, const struct kl_sink_col *c, size_t n, struct kl_err *err) {
    struct sink *k = KL_CONTAINER_OF(s, struct sink, sink);
    assert_false(k->begun);
    k->begun = true;
    k->n_cols = n;
    return KL_OK;
}

static enum kl_rc sink_row(struct kl_sink *s, const struct kl_val *vals, struct kl_err *err) {
    struct sink *k = KL_CONTAINER_OF(s, struct sink, sink);
    assert_true(k->begun && !k->ended);
    if (k->stop_after && k->n == k->stop_after) {
        return kl_fail(err, KL_E_TOO_LARGE, "the result is too large");
    }
    struct kl_buf b = {0};
    for (size_t i = 0; i < k->n_cols; i++) {
        kl_buf_puts(&b, i ? "|" : "");
        if (vals[i].null) {
            kl_buf_puts(&b, "NULL");
        } else {
            kl_val_to_text(&vals[i], &b);
        }
    }
    kl_buf_putc(&b, '\0');
    k->lines[k->n++] = b.data;
    return KL_OK;
}

static void sink_end(struct kl_sink *s, uint64_t rows) {
    struct sink *k = KL_CONTAINER_OF(s, struct sink, sink);
    k->ended = true;
    k->ended_with = rows;
}

/* ---- a statement under test ---- */

struct fixture {
    struct kl_arena arena, eval_arena;
    struct table table;
    struct sink sink;
    struct parser parsers[20];
    size_t n_parsers;
    const struct kl_expr *output[8];
    struct kl_sink_col out_cols[8];
    struct kl_order_key order[4];
    struct kl_agg aggs[12];
    struct kl_select sel;
    struct kl_select_limits limits;
    struct kl_err err;
};

static struct fixture f;
static struct kl_val rows[4000][N_COLS];
static char texts[4000][16];

static void put(size_t i, int64_t k, const char *s, int64_t d) {
    snprintf(texts[i], sizeof(texts[i]), "%s", s ? s : "");
    rows[i][0] = k == INT64_MIN ? kl_val_null(KL_T_BIGINT) : kl_val_i64(k);
    rows[i][1] = s ? kl_val_text(kl_slice(texts[i], strlen(s))) : kl_val_null(KL_T_TEXT);
    rows[i][2] = d == INT64_MIN ? kl_val_null(KL_T_DECIMAL) : kl_val_decimal(d, 2);
}

static int setup(void **state) {
    memset(&f, 0, sizeof(f));
    kl_arena_init(&f.arena, 0);
    kl_arena_init(&f.eval_arena, 4 << 20);
    f.table = (struct table){.source = {next_row, close_table}, .rows = rows, .text = texts};
    f.sink.sink = (struct kl_sink){sink_begin, sink_row, sink_end, NULL};
    f.sel.output = f.output;
    f.sel.cols = f.out_cols;
    f.sel.n_slots = N_COLS;
    f.sel.aggs = f.aggs;
    f.sel.order = f.order;
    return 0;
}

static void forget_result(void) {
    for (size_t i = 0; i < f.sink.n; i++) {
        free(f.sink.lines[i]);
    }
    f.sink.n = 0;
    f.sink.begun = f.sink.ended = false;
    f.table.at = 0;
}

static int teardown(void **state) {
    forget_result();
    kl_arena_deinit(&f.arena);
    kl_arena_deinit(&f.eval_arena);
    return 0;
}

static struct kl_expr *ex(const char *text) {
    struct kl_expr *e = NULL;
    struct parser *p = &f.parsers[f.n_parsers++];
    if (parse_text(p, text, AS_CONST, &f.arena, cols, N_COLS, &e) != KL_OK) {
        fail_msg("%s: %s", text, p->err.msg);
    }
    return e;
}

static void out(const char *text) {
    f.output[f.sel.n_output++] = ex(text);
}

static void by(const char *text, bool descending, bool nulls_first) {
    f.order[f.sel.n_order++] = (struct kl_order_key){ex(text), descending, nulls_first};
}

static enum kl_rc run(void) {
    forget_result();
    struct kl_eval ev = {.arena = &f.eval_arena};
    size_t used = f.eval_arena.used;
    enum kl_rc rc = kl_select_run(&f.sel, &ev, &f.table.source, &f.sink.sink, &f.limits, &f.err);
    assert_true(f.eval_arena.used <= used + (1 << 20)); /* rows do not pile up in it */
    assert_true(rc != KL_OK || (f.sink.begun && f.sink.ended && f.sink.ended_with == f.sink.n));
    return rc;
}

static void expect(const char *want) {
    struct kl_buf got = {0};
    assert_int_equal(run(), KL_OK);
    for (size_t i = 0; i < f.sink.n; i++) {
        kl_buf_puts(&got, i ? ";" : "");
        kl_buf_puts(&got, f.sink.lines[i]);
    }
    kl_buf_putc(&got, '\0');
    assert_string_equal(got.data, want);
    kl_buf_deinit(&got);
}

static void five_rows(void) {
    put(0, 3, "c", 150);
    put(1, 1, "a", INT64_MIN);
    put(2, INT64_MIN, "n", 250);
    put(3, 2, NULL, -50);
    put(4, 1, "z", 100);
    f.table.n = 5;
}

/* ---- streaming ---- */

static void streams_filters_projects(void **state) {
    five_rows();
    out("k + 1");
    out("s || '!'");
    expect("4|c!;2|a!;NULL|n!;3|NULL;2|z!");
    f.sel.filter = ex("k < 3");
    expect("2|a!;3|NULL;2|z!");
    f.sel.limit = ex("1");
    expect("2|a!");
    assert_int_equal(f.table.at, 2); /* it stopped pulling */
    f.sel.offset = ex("1");
    expect("3|NULL");
    f.sel.limit = ex("null::bigint");
    expect("3|NULL;2|z!");
    f.sel.limit = ex("0");
    expect("");
    assert_int_equal(f.table.at, 0);
    f.sel.limit = ex("'2'");
    expect("3|NULL;2|z!");
    f.sel.offset = ex("9");
    expect("");
}

static void limits_must_make_sense(void **state) {
    five_rows();
    out("k");
    f.sel.limit = ex("-1");
    assert_int_equal(run(), KL_E_EXEC);
    assert_string_equal(f.err.msg, "LIMIT must not be negative");
    f.sel.limit = NULL;
    f.sel.offset = ex("0 - 5");
    assert_int_equal(run(), KL_E_EXEC);
    assert_string_equal(f.err.msg, "OFFSET must not be negative");
    f.sel.offset = ex("true");
    assert_int_equal(run(), KL_E_TYPE);
}

static void errors_pass_through(void **state) {
    five_rows();
    out("10 / (k - 2)");
    assert_int_equal(run(), KL_E_EXEC);
    assert_string_equal(f.err.msg, "division by zero");
    assert_false(f.sink.ended);
    f.table.fail_with = KL_E_CORRUPT;
    f.table.fail_at = 1;
    assert_int_equal(run(), KL_E_CORRUPT);
    f.table.fail_with = KL_OK;
    f.sel.filter = ex("k = 3");
    f.sink.stop_after = 0;
    expect("10");
    f.sel.filter = ex("k = 1");
    f.sink.stop_after = 1;
    assert_int_equal(run(), KL_E_TOO_LARGE);
}

/* ---- order ---- */

static void orders_as_postgresql(void **state) {
    five_rows();
    out("k");
    out("s");
    by("k", false, false); /* ASC, NULLS LAST */
    expect("1|a;1|z;2|NULL;3|c;NULL|n");
    f.order[0].nulls_first = true;
    expect("NULL|n;1|a;1|z;2|NULL;3|c");
    f.order[0].descending = true; /* DESC, NULLS FIRST */
    expect("NULL|n;3|c;2|NULL;1|a;1|z");
    by("s", true, true);
    expect("NULL|n;3|c;2|NULL;1|z;1|a");
    f.sel.limit = ex("2");
    f.sel.offset = ex("1");
    expect("3|c;2|NULL");
    f.sel.limit = ex("0");
    expect("");
    f.sel.limit = NULL;
    f.sel.offset = ex("4");
    expect("1|a");
}

struct ref {
    int64_t k;
    char s[16];
    size_t at;
};

static int compare_refs(const void *a, const void *b) {
    const struct ref *x = a, *y = b;
    int c = (x->k > y->k) - (x->k < y->k);
    c = c ? c : -strcmp(x->s, y->s);
    return c ? c : (x->at > y->at) - (x->at < y->at);
}

static void order_agrees_with_qsort(void **state) {
    static struct ref refs[3000];
    out("k");
    out("s");
    by("k", false, false);
    by("s", true, false);
    for (int round = 0; round < 60; round++) {
        size_t n = rnd(round % 5 == 0 ? 3000 : 60);
        for (size_t i = 0; i < n; i++) {
            char s[16];
            snprintf(
                s, sizeof(s), "%.*s", (int)rnd(4), (const char *[]){"abc", "bca", "cab"}[rnd(3)]);
            put(i, (int64_t)rnd(7) - 3, s, (int64_t)i);
            refs[i].k = rows[i][0].i;
            refs[i].at = i;
            memcpy(refs[i].s, texts[i], 16);
        }
        f.table.n = n;
        f.n_parsers = 10;
        size_t limit = rnd(4) ? rnd(n + 3) : SIZE_MAX, offset = rnd(3) ? 0 : rnd(n + 2);
        char number[32];
        snprintf(number, sizeof(number), "%zu", limit);
        f.sel.limit = limit == SIZE_MAX ? NULL : ex(number);
        snprintf(number, sizeof(number), "%zu", offset);
        f.sel.offset = offset ? ex(number) : NULL;
        f.limits.max_scan_rows = rnd(2) ? n + 1 : 0;
        assert_int_equal(run(), KL_OK);
        qsort(refs, n, sizeof(refs[0]), compare_refs);
        size_t want = offset >= n ? 0 : KL_MIN(n - offset, limit);
        assert_int_equal(f.sink.n, want);
        for (size_t i = 0; i < want; i++) {
            char line[64];
            snprintf(
                line, sizeof(line), "%lld|%s", (long long)refs[i + offset].k, refs[i + offset].s);
            if (strcmp(line, f.sink.lines[i]) != 0) {
                fail_msg("seed %llu round %d row %zu: %s, should be %s", (unsigned long long)seed,
                    round, i, f.sink.lines[i], line);
            }
        }
    }
}

static void ties_keep_the_order_of_the_source(void **state) {
    for (size_t i = 0; i < 1000; i++) {
        put(i, (int64_t)(i % 3), "x", (int64_t)i * 100);
    }
    f.table.n = 1000;
    out("d");
    by("k", false, false);
    for (int limited = 0; limited < 2; limited++) {
        f.sel.limit = limited ? ex("500") : NULL;
        assert_int_equal(run(), KL_OK);
        for (size_t i = 0; i < (limited ? 500u : 1000u); i++) {
            size_t third = i < 334   ? 0
                           : i < 667 ? 1
                                     : 2,
                   nth = i - (third == 0      ? 0
                                 : third == 1 ? 334
                                              : 667);
            assert_int_equal(strtoll(f.sink.lines[i], NULL, 10), (long long)(nth * 3 + third));
        }
    }
}

static void sorting_has_a_budget(void **state) {
    for (size_t i = 0; i < 4000; i++) {
        put(i, (int64_t)(4000 - i), "some text", 0);
    }
    f.table.n = 4000;
    out("s");
    by("k", false, false);
    f.limits.max_sort_bytes = 50000;
    assert_int_equal(run(), KL_E_TOO_LARGE);
    assert_false(f.sink.begun);
    f.sel.limit = ex("10"); /* only ten are kept, whatever passes through */
    assert_int_equal(run(), KL_OK);
    assert_int_equal(f.sink.n, 10);
}

/* ---- limits of a run ---- */

static void a_long_scan_is_given_back(void **state) {
    for (size_t i = 0; i < 1000; i++) {
        put(i, (int64_t)i, "x", 0);
    }
    f.table.n = 1000;
    out("k");
    f.limits.max_scan_rows = 999;
    assert_int_equal(run(), KL_E_AGAIN);
    assert_false(f.sink.begun);
    f.limits.max_scan_rows = 1000;
    assert_int_equal(run(), KL_OK);
    assert_int_equal(f.sink.n, 1000);
    f.limits.max_scan_rows = 10;
    f.sel.limit = ex("10"); /* short after all */
    assert_int_equal(run(), KL_OK);
    assert_int_equal(f.sink.n, 10);
    f.sel.offset = ex("1");
    assert_int_equal(run(), KL_E_AGAIN);
    f.sel.limit = f.sel.offset = NULL;
    f.aggs[0] = (struct kl_agg){.kind = KL_AGG_COUNT_STAR, .type = KL_TYPE(BIGINT)};
    f.sel.n_aggs = 1;
    f.n_parsers = 15;
    assert_int_equal(run(), KL_E_AGAIN);
    assert_false(f.sink.begun);
}

static void stops_when_told(void **state) {
    five_rows();
    out("k");
    _Atomic bool cancelled = true;
    f.limits.cancelled = &cancelled;
    assert_int_equal(run(), KL_E_CANCELLED);
    cancelled = false;
    assert_int_equal(run(), KL_OK);
    f.limits.deadline_mono_ns = 1;
    assert_int_equal(run(), KL_E_TIMEOUT);
    assert_string_equal(f.err.msg, "canceling statement due to statement timeout");
    f.limits.deadline_mono_ns = INT64_MAX;
    assert_int_equal(run(), KL_OK);
}

/* ---- aggregates ---- */

static void agg(enum kl_agg_kind kind, const char *arg) {
    struct kl_agg *a = &f.aggs[f.sel.n_aggs];
    struct kl_expr *e;
    struct kl_expr_builder b = {.arena = &f.arena};
    *a = (struct kl_agg){.kind = kind, .arg = arg ? ex(arg) : NULL};
    assert_int_equal(
        kl_agg_type(kind, arg ? kl_expr_type(a->arg) : KL_TYPE(NULL), &a->type, NULL), KL_OK);
    assert_int_equal(kl_expr_slot(&b, (unsigned)f.sel.n_aggs++, a->type, true, &e, NULL), KL_OK);
    f.output[f.sel.n_output++] = e;
}

static void aggregates_follow_postgresql(void **state) {
    five_rows();
    agg(KL_AGG_COUNT_STAR, NULL);
    agg(KL_AGG_COUNT, "k");
    agg(KL_AGG_SUM, "k");
    agg(KL_AGG_AVG, "k");
    agg(KL_AGG_MIN, "s");
    agg(KL_AGG_MAX, "s");
    agg(KL_AGG_SUM, "d");
    agg(KL_AGG_AVG, "d");
    expect("5|4|7|1.7500000000000000|a|z|4.50|1.1250000000000000");
    f.sel.filter = ex("k > 100");
    expect("0|0|NULL|NULL|NULL|NULL|NULL|NULL");
    f.sel.limit = ex("0");
    expect("");
}

static void aggregates_of_other_types(void **state) {
    put(0, 3, "2024-01-02", 150);
    put(1, 4, "2023-05-06", 50);
    f.table.n = 2;
    agg(KL_AGG_SUM, "k::int");
    agg(KL_AGG_SUM, "k::double precision / 2");
    agg(KL_AGG_AVG, "k::real");
    agg(KL_AGG_MIN, "s::date");
    agg(KL_AGG_MAX, "s::timestamp");
    agg(KL_AGG_SUM, "k * interval '1 day'");
    agg(KL_AGG_AVG, "k * interval '1 day'");
    agg(KL_AGG_AVG, "k::smallint");
    expect("7|3.5|3.5|2023-05-06|2024-01-02 00:00:00|7 days|3 days 12:00:00|3.5000000000000000");
}

static void sums_do_not_wrap(void **state) {
    for (size_t i = 0; i < 3; i++) {
        put(i, INT64_MAX, "x", 0);
    }
    f.table.n = 3;
    agg(KL_AGG_SUM, "k");
    agg(KL_AGG_AVG, "k");
    agg(KL_AGG_MAX, "k");
    expect("27670116110564327421|9223372036854775807.0000000000000000|9223372036854775807");
    f.sel.n_aggs = f.sel.n_output = 0;
    agg(KL_AGG_SUM, "'1e308'::double precision");
    assert_int_equal(run(), KL_E_TYPE);
}

static void an_expression_over_aggregates(void **state) {
    five_rows();
    agg(KL_AGG_SUM, "k");
    agg(KL_AGG_COUNT_STAR, NULL);
    struct kl_expr_builder b = {.arena = &f.arena};
    struct kl_expr *e;
    assert_int_equal(kl_expr_op(&b, KL_S("*"), (struct kl_expr *)f.output[0],
                         (struct kl_expr *)f.output[1], 0, &e, NULL),
        KL_OK);
    f.output[0] = e;
    f.sel.n_output = 1;
    expect("35");
}

static void aggregate_types(void **state) {
    static const struct {
        enum kl_agg_kind kind;
        uint8_t arg, result; /* result 0: refused */
    } all[] = {{KL_AGG_SUM, KL_T_SMALLINT, KL_T_BIGINT}, {KL_AGG_SUM, KL_T_INT, KL_T_BIGINT},
        {KL_AGG_SUM, KL_T_BIGINT, KL_T_DECIMAL}, {KL_AGG_SUM, KL_T_FLOAT, KL_T_FLOAT},
        {KL_AGG_SUM, KL_T_TEXT, 0}, {KL_AGG_AVG, KL_T_INT, KL_T_DECIMAL},
        {KL_AGG_AVG, KL_T_FLOAT, KL_T_DOUBLE}, {KL_AGG_AVG, KL_T_BOOLEAN, 0},
        {KL_AGG_MIN, KL_T_TIME, KL_T_TIME}, {KL_AGG_MAX, KL_T_BOOLEAN, 0},
        {KL_AGG_MIN, KL_T_JSON, 0}, {KL_AGG_COUNT, KL_T_JSON, KL_T_BIGINT}};
    for (size_t i = 0; i < KL_LEN(all); i++) {
        struct kl_type t = {0};
        enum kl_rc rc = kl_agg_type(all[i].kind, (struct kl_type){.id = all[i].arg}, &t, &f.err);
        assert_int_equal(rc, all[i].result ? KL_OK : KL_E_TYPE);
        assert_true(rc != KL_OK || t.id == all[i].result);
    }
}

int main(void) {
    seed = getenv("KL_SEED") ? strtoull(getenv("KL_SEED"), NULL, 10) : (uint64_t)time(NULL);
    state_ = seed * 2654435761u + 88172645463325252ull;
    printf("seed %llu\n", (unsigned long long)seed);
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(streams_filters_projects),
        T(limits_must_make_sense),
        T(errors_pass_through),
        T(orders_as_postgresql),
        T(order_agrees_with_qsort),
        T(ties_keep_the_order_of_the_source),
        T(sorting_has_a_budget),
        T(a_long_scan_is_given_back),
        T(stops_when_told),
        T(aggregates_follow_postgresql),
        T(aggregates_of_other_types),
        T(sums_do_not_wrap),
        T(an_expression_over_aggregates),
        T(aggregate_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
