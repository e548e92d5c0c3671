/* User records: ids, round trips, order, damage. */
#include "helper.h"

static void ids(void **state) {
    static const char *const good[] = {
        "a", "alice", "tenant_acme", "user-1", "a.b", "a@b.c", "J\xc3\xbcrgen", "x y", "."};
    static const char *const bad[] = {
        "", "..", "a..b", "a/b", "a\\b", "a\nb", "a\x7f", "\xff", "\xc3"};
    for (size_t i = 0; i < KL_LEN(good); i++) {
        assert_int_equal(kl_user_id_check(kl_slice_str(good[i]), NULL), KL_OK);
    }
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        assert_int_equal(kl_user_id_check(kl_slice_str(bad[i]), NULL), KL_E_INVALID_INPUT);
    }
    char long_id[129];
    memset(long_id, 'a', sizeof(long_id));
    assert_int_equal(kl_user_id_check(kl_slice(long_id, 128), NULL), KL_OK);
    assert_int_equal(kl_user_id_check(kl_slice(long_id, 129), NULL), KL_E_INVALID_INPUT);
    assert_int_equal(kl_user_id_check(kl_slice("a\0b", 3), NULL), KL_E_INVALID_INPUT);
    struct kl_user u;
    assert_int_equal(kl_user_get(world.store, kl_slice(long_id, 129), &world.arena, &u, &world.err),
        KL_E_NOT_FOUND);
    assert_int_equal(
        kl_user_get(world.store, KL_SLICE_NONE, &world.arena, &u, &world.err), KL_E_NOT_FOUND);
    assert_int_equal(
        kl_user_get(world.store, KL_S("nobody"), &world.arena, &u, &world.err), KL_E_NOT_FOUND);
    assert_string_equal(world.err.msg, "User 'nobody' not found");
}

static const struct kl_user sample = {.id = {"alice", 5},
    .role = KL_ROLE_DBA,
    .auth_type = KL_AUTH_OAUTH,
    .password_hash = {"$2b$x", 5},
    .email = {"a@b.c", 5},
    .auth_data = {"{\"k\":1}", 7},
    .failed_logins = 5,
    .locked_until_us = 1234567890123456,
    .last_login_us = 2,
    .created_us = 3,
    .updated_us = 4,
    .deleted_us = 5,
    .token_epoch = 4294967295u};

static void assert_same(const struct kl_user *a, const struct kl_user *b) {
    assert_true(kl_slice_eq(a->id, b->id) && kl_slice_eq(a->password_hash, b->password_hash));
    assert_true(kl_slice_eq(a->email, b->email) && kl_slice_eq(a->auth_data, b->auth_data));
    assert_int_equal(a->role, b->role);
    assert_int_equal(a->auth_type, b->auth_type);
    assert_int_equal(a->failed_logins, b->failed_logins);
    assert_int_equal(a->locked_until_us, b->locked_until_us);
    assert_int_equal(a->last_login_us, b->last_login_us);
    assert_int_equal(a->created_us, b->created_us);
    assert_int_equal(a->updated_us, b->updated_us);
    assert_int_equal(a->deleted_us, b->deleted_us);
    assert_int_equal(a->token_epoch, b->token_epoch);
}

static void round_trip(void **state) {
    struct kl_user u;
    kl_user_put(world.batch, &sample);
    OK(kl_user_get_in_batch(world.batch, sample.id, &world.arena, &u, &world.err));
    assert_same(&u, &sample);
    assert_int_equal(
        kl_user_get(world.store, sample.id, &world.arena, &u, &world.err), KL_E_NOT_FOUND);
    assert_int_equal(kl_user_get_in_batch(world.batch, KL_S("bob"), &world.arena, &u, &world.err),
        KL_E_NOT_FOUND);
    commit();
    world_close();
    world_open();
    OK(kl_user_get(world.store, sample.id, &world.arena, &u, &world.err));
    assert_same(&u, &sample);
    struct kl_user empty = {.id = KL_S("b"), .role = KL_ROLE_USER, .auth_type = KL_AUTH_INTERNAL};
    kl_user_put(world.batch, &empty);
    commit();
    OK(kl_user_get(world.store, empty.id, &world.arena, &u, &world.err));
    assert_same(&u, &empty);
}

struct seen {
    char order[64];
    int stop_after;
};

static enum kl_rc visit(void *ctx, const struct kl_user *u) {
    struct seen *s = ctx;
    strncat(s->order, u->id.ptr, u->id.len);
    return --s->stop_after == 0 ? KL_E_END : KL_OK;
}

static void each(void **state) {
    put_user("c", KL_ROLE_USER, 0, 0);
    put_user("a", KL_ROLE_DBA, 0, 0);
    put_user("b", KL_ROLE_USER, 0, 99);
    kl_batch_put(world.batch, KL_CF_META, KL_S("\x06zz"), KL_S("other kind"));
    kl_batch_put(world.batch, KL_CF_META, KL_S("\x04zz"), KL_S("other kind"));
    commit();
    struct seen s = {.stop_after = -1};
    OK(kl_user_each(world.store, visit, &s, &world.err));
    assert_string_equal(s.order, "abc");
    s = (struct seen){.stop_after = 2};
    assert_int_equal(kl_user_each(world.store, visit, &s, &world.err), KL_E_END);
    assert_string_equal(s.order, "ab");
}

static void damage(void **state) {
    struct kl_pinned pinned;
    struct kl_buf rec = {0};
    struct kl_user u;
    kl_user_put(world.batch, &sample);
    commit();
    OK(kl_store_get(world.store, NULL, KL_CF_META,
        KL_S("\x05"
             "alice"),
        &pinned, &world.err));
    kl_buf_slice(&rec, pinned.value);
    kl_pinned_release(&pinned);
    for (size_t cut = 0; cut < rec.len; cut++) {
        kl_batch_put(world.batch, KL_CF_META,
            KL_S("\x05"
                 "alice"),
            kl_slice(rec.data, cut));
        commit();
        assert_int_equal(
            kl_user_get(world.store, sample.id, &world.arena, &u, &world.err), KL_E_CORRUPT);
    }
    size_t len = rec.len;
    for (size_t i = 0; i < len; i++) {
        rec.data[i] ^= (char)0xff;
        kl_batch_put(world.batch, KL_CF_META,
            KL_S("\x05"
                 "alice"),
            kl_buf_view(&rec));
        commit();
        enum kl_rc rc = kl_user_get(world.store, sample.id, &world.arena, &u, &world.err);
        assert_true(rc == KL_OK || rc == KL_E_CORRUPT);
        assert_true(i > 2 || rc == KL_E_CORRUPT); /* format, role, kind */
        rec.data[i] ^= (char)0xff;
    }
    kl_buf_putc(&rec, 0);
    kl_batch_put(world.batch, KL_CF_META,
        KL_S("\x05"
             "alice"),
        kl_buf_view(&rec));
    commit();
    assert_int_equal(
        kl_user_get(world.store, sample.id, &world.arena, &u, &world.err), KL_E_CORRUPT);
    struct seen s = {.stop_after = -1};
    assert_int_equal(kl_user_each(world.store, visit, &s, &world.err), KL_E_CORRUPT);
    kl_buf_deinit(&rec);
}

int main(void) {
    const struct CMUnitTest tests[] = {CASE(ids), CASE(round_trip), CASE(each), CASE(damage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
