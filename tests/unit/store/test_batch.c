/* Batches against a model: random writes, save points, rollbacks and commits; every read and
 * iteration through the batch must equal the model, and the store must not change before the
 * commit. */
#include "store_test.h"
#include <malloc.h>

#define KEYS 64
#define CFS 2
#define DEPTH 4

/* A value is a number; 0 is absent. Key i of a family is two letters, so that prefixes hold
 * several. */
struct model {
    uint32_t value[CFS][KEYS];
};
static const enum kl_cf family[CFS] = {KL_CF_ROW, KL_CF_PK};

static struct kl_store *store;
static struct kl_batch *batch;
static struct model now, committed, saved[DEPTH];
static size_t n_saved;
static size_t saved_count[DEPTH];

static struct kl_slice key_of(unsigned i) {
    static char bytes[KEYS][2];
    bytes[i][0] = "\1ab\xff"[i / 16];
    bytes[i][1] = "\0\1\2\3abcdefgh\xfc\xfd\xfe\xff"[i % 16];
    return kl_slice(bytes[i], 2);
}

static void check_value(struct kl_slice got, uint32_t want) {
    uint32_t value;
    assert_int_equal(got.len, sizeof(value) + want % 50);
    memcpy(&value, got.ptr, sizeof(value));
    assert_int_equal(value, want);
}

static void write_random(void) {
    static uint32_t next;
    unsigned f = (unsigned)below(CFS), i = (unsigned)below(KEYS);
    if (below(3) == 0) {
        kl_batch_del(batch, family[f], key_of(i));
        now.value[f][i] = 0;
        return;
    }
    char bytes[60] = {0};
    now.value[f][i] = ++next;
    memcpy(bytes, &next, sizeof(next));
    kl_batch_put(batch, family[f], key_of(i), kl_slice(bytes, sizeof(next) + next % 50));
}

static void check_gets(void) {
    struct kl_buf buf = {0};
    for (unsigned f = 0; f < CFS; f++) {
        for (unsigned i = 0; i < KEYS; i++) {
            enum kl_rc rc = kl_batch_get(batch, family[f], key_of(i), &buf, NULL);
            assert_int_equal(rc, now.value[f][i] ? KL_OK : KL_E_NOT_FOUND);
            if (rc == KL_OK) {
                check_value(kl_buf_view(&buf), now.value[f][i]);
            }
            struct kl_pinned p = {0};
            rc = kl_store_get(store, NULL, family[f], key_of(i), &p, NULL);
            assert_int_equal(rc, committed.value[f][i] ? KL_OK : KL_E_NOT_FOUND);
            if (rc == KL_OK) {
                check_value(p.value, committed.value[f][i]);
            }
            kl_pinned_release(&p);
        }
    }
    kl_buf_deinit(&buf);
}

/* The next present key of the group at or after (step 1) / at or before (step -1) i, or -1. */
static int present(const struct model *m, unsigned f, int i, int step, int low, int high) {
    for (; i >= low && i < high; i += step) {
        if (m->value[f][i]) {
            return i;
        }
    }
    return -1;
}

static void check_position(struct kl_iter *it, const struct model *m, unsigned f, int at) {
    assert_int_equal(kl_iter_valid(it), at >= 0);
    if (at >= 0) {
        assert_true(kl_slice_eq(kl_iter_key(it), key_of((unsigned)at)));
        check_value(kl_iter_value(it), m->value[f][at]);
    }
}

/* Walks at random, in both directions, over one group of keys or all. */
static void check_walk(bool through_batch) {
    const struct model *m = through_batch ? &now : &committed;
    unsigned f = (unsigned)below(CFS);
    int group = (int)below(5), low = group < 4 ? 16 * group : 0, high = group < 4 ? low + 16 : KEYS;
    struct kl_iter_options options = {.cf = family[f]};
    if (group < 4) {
        options.prefix = kl_slice(key_of((unsigned)low).ptr, 1);
    }
    struct kl_iter *it =
        through_batch ? kl_batch_iter(batch, &options) : kl_iter_new(store, &options);
    int at = -1;
    for (int step = 0; step < 40; step++) {
        int to = (int)below(KEYS);
        switch (at < 0 ? below(3) : below(8)) {
        case 0:
            kl_iter_seek_first(it);
            at = present(m, f, low, 1, low, high);
            break;
        case 1:
            kl_iter_seek_last(it);
            at = present(m, f, high - 1, -1, low, high);
            break;
        case 2:
            kl_iter_seek(it, key_of((unsigned)to));
            at = present(m, f, KL_MAX(to, low), 1, low, high);
            break;
        case 3:
        case 4:
            kl_iter_prev(it);
            at = present(m, f, at - 1, -1, low, high);
            break;
        default:
            kl_iter_next(it);
            at = present(m, f, at + 1, 1, low, high);
            break;
        }
        check_position(it, m, f, at);
    }
    assert_ok(kl_iter_status(it, NULL));
    kl_iter_free(it);
}

static void step(void) {
    switch (below(12)) {
    case 0:
        if (n_saved < DEPTH) {
            saved_count[n_saved] = kl_batch_count(batch);
            saved[n_saved++] = now;
            kl_batch_save_point(batch);
        }
        return;
    case 1:
        if (n_saved > 0) {
            kl_batch_rollback(batch);
            now = saved[--n_saved];
            assert_int_equal(kl_batch_count(batch), saved_count[n_saved]);
        }
        return;
    case 2:
        if (below(4) == 0) {
            assert_ok(kl_store_commit(store, &batch, 1, false, NULL));
            kl_batch_clear(batch);
            committed = now;
            n_saved = 0;
        }
        return;
    case 3:
        if (below(8) == 0) {
            kl_batch_clear(batch);
            now = committed;
            n_saved = 0;
        }
        return;
    case 4:
        check_gets();
        return;
    case 5:
    case 6:
        check_walk(true);
        return;
    case 7:
        check_walk(false);
        return;
    default:
        for (uint64_t i = below(6); i > 0; i--) {
            write_random();
        }
    }
}

static void test_against_model(void **state) {
    for (int i = 0; i < 20000; i++) {
        step();
    }
}

static void test_rollback_without_writes(void **state) {
    kl_batch_clear(batch);
    n_saved = 0;
    kl_batch_put(batch, KL_CF_META, KL_S("a"), KL_S("1"));
    kl_batch_save_point(batch);
    kl_batch_save_point(batch);
    kl_batch_rollback(batch);
    kl_batch_put(batch, KL_CF_META, KL_S("a"), KL_S("2"));
    kl_batch_save_point(batch);
    kl_batch_rollback(batch);
    struct kl_buf buf = {0};
    assert_ok(kl_batch_get(batch, KL_CF_META, KL_S("a"), &buf, NULL));
    assert_true(kl_slice_eq_str(kl_buf_view(&buf), "2"));
    kl_batch_rollback(batch);
    assert_ok(kl_batch_get(batch, KL_CF_META, KL_S("a"), &buf, NULL));
    assert_true(kl_slice_eq_str(kl_buf_view(&buf), "1"));
    assert_int_equal(kl_batch_count(batch), 1);
    kl_batch_clear(batch);
    assert_int_equal(kl_batch_count(batch), 0);
    assert_int_equal(kl_batch_get(batch, KL_CF_META, KL_S("a"), &buf, NULL), KL_E_NOT_FOUND);
    kl_buf_deinit(&buf);
}

/* Commands that write nothing (STREAM rows, conditions that nothing meets) leave their save points behind. */
static void test_unused_save_points(void **state) {
    kl_batch_clear(batch);
    n_saved = 0;
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 1000000; i++) {
        kl_batch_save_point(batch);
    }
    assert_true(mallinfo2().uordblks <= before + 65536);
    kl_batch_clear(batch);
}

static void test_large_values(void **state) {
    kl_batch_clear(batch);
    size_t n = 3u << 20;
    char *big = malloc(n);
    memset(big, 'x', n);
    struct kl_buf buf = {0};
    for (int round = 0; round < 3; round++) {
        big[0] = (char)('0' + round);
        kl_batch_put(batch, KL_CF_META, KL_S("big"), kl_slice(big, n));
        assert_ok(kl_batch_get(batch, KL_CF_META, KL_S("big"), &buf, NULL));
        assert_true(kl_slice_eq(kl_buf_view(&buf), kl_slice(big, n)));
        commit_one(store, batch);
        assert_ok(kl_batch_get(batch, KL_CF_META, KL_S("big"), &buf, NULL));
        assert_true(kl_slice_eq(kl_buf_view(&buf), kl_slice(big, n)));
    }
    struct kl_buf small;
    struct kl_err err = {0};
    kl_buf_init(&small, 1000);
    assert_int_equal(kl_batch_get(batch, KL_CF_META, KL_S("big"), &small, &err), KL_E_NOMEM);
    kl_buf_deinit(&small);
    kl_buf_deinit(&buf);
    free(big);
}

int main(void) {
    seed_from_env();
    const char *folder = fresh_folder("batch");
    store = open_store(folder);
    batch = kl_batch_new(store);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_rollback_without_writes),
        cmocka_unit_test(test_unused_save_points),
        cmocka_unit_test(test_large_values),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    kl_batch_free(batch);
    kl_batch_free(NULL);
    kl_store_close(store);
    kl_dir_remove(folder);
    return failures;
}
