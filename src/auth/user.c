/* User records in the meta family. Integers are little-endian, `s` is a string (LEB128 length,
 * bytes). Any thread for reading; who owns the batch for writing.
 *
 * user, key 05 id
 *   u8 format 1 | u8 role | u8 auth type | s password hash | s email | s auth data
 *   u32 failed logins | i64 locked until | i64 last login | i64 created | i64 updated | i64
 *     deleted | u32 token epoch
 *
 * Times are microseconds since 1970, 0 for never. A decoder accepts exactly what the encoder
 * writes. */
#include "auth/internal.h"

static bool is_bad_byte(unsigned char c) {
    return c < 0x20 || c == 0x7f || c == '/' || c == '\\';
}

enum kl_rc kl_user_id_check(struct kl_slice id, struct kl_err *err) {
    if (id.len == 0) {
        return kl_fail(err, KL_E_INVALID_INPUT, "User id cannot be empty");
    }
    if (id.len > KL_USER_ID_MAX) {
        return kl_fail(err, KL_E_INVALID_INPUT, "User id is too long (%zu bytes, max %d)", id.len,
            KL_USER_ID_MAX);
    }
    if (!kl_utf8_valid(id)) {
        return kl_fail(err, KL_E_INVALID_INPUT, "User id is not valid UTF-8");
    }
    for (size_t i = 0; i < id.len; i++) {
        /* Ids become folder names in cold storage. */
        if (is_bad_byte((unsigned char)id.ptr[i]) ||
            (id.ptr[i] == '.' && i + 1 < id.len && id.ptr[i + 1] == '.')) {
            return kl_fail(err, KL_E_INVALID_INPUT,
                "User id must not contain '..', '/', '\\' or control characters");
        }
    }
    return KL_OK;
}

void kl_auth__key(struct kl_auth__key *k, enum kl_meta_kind kind, struct kl_slice id) {
    KL_ASSERT(id.len < sizeof(k->data));
    k->data[0] = (char)kind;
    if (id.len) {
        memcpy(k->data + 1, id.ptr, id.len);
    }
    k->len = 1 + id.len;
}

static void encode(struct kl_buf *out, const struct kl_user *u) {
    kl_buf_u8(out, KL_AUTH_RECORD_FORMAT);
    kl_buf_u8(out, (uint8_t)u->role);
    kl_buf_u8(out, (uint8_t)u->auth_type);
    kl_buf_lstr(out, u->password_hash);
    kl_buf_lstr(out, u->email);
    kl_buf_lstr(out, u->auth_data);
    kl_buf_le32(out, u->failed_logins);
    kl_buf_le64(out, (uint64_t)u->locked_until_us);
    kl_buf_le64(out, (uint64_t)u->last_login_us);
    kl_buf_le64(out, (uint64_t)u->created_us);
    kl_buf_le64(out, (uint64_t)u->updated_us);
    kl_buf_le64(out, (uint64_t)u->deleted_us);
    kl_buf_le32(out, u->token_epoch);
}

/* The result borrows from id and rec. */
static enum kl_rc decode(
    struct kl_slice id, struct kl_slice rec, struct kl_user *ret, struct kl_err *err) {
    struct kl_reader r;
    kl_reader_init(&r, rec);
    uint8_t format = kl_read_u8(&r), role = kl_read_u8(&r), auth_type = kl_read_u8(&r);
    struct kl_user u = {
        .id = id, .role = (enum kl_role)role, .auth_type = (enum kl_auth_type)auth_type};
    u.password_hash = kl_read_lstr(&r);
    u.email = kl_read_lstr(&r);
    u.auth_data = kl_read_lstr(&r);
    u.failed_logins = kl_read_le32(&r);
    u.locked_until_us = (int64_t)kl_read_le64(&r);
    u.last_login_us = (int64_t)kl_read_le64(&r);
    u.created_us = (int64_t)kl_read_le64(&r);
    u.updated_us = (int64_t)kl_read_le64(&r);
    u.deleted_us = (int64_t)kl_read_le64(&r);
    u.token_epoch = kl_read_le32(&r);
    if (r.failed || r.ptr != r.end || format != KL_AUTH_RECORD_FORMAT || role > KL_ROLE_SYSTEM ||
        auth_type < KL_AUTH_PASSWORD || auth_type > KL_AUTH_INTERNAL ||
        kl_user_id_check(id, NULL) != KL_OK) {
        return kl_fail(err, KL_E_CORRUPT, "A user record is damaged");
    }
    *ret = u;
    return KL_OK;
}

static bool dup_slice(struct kl_arena *arena, struct kl_slice *s) {
    *s = kl_arena_dup(arena, *s);
    return s->ptr != NULL;
}

static enum kl_rc keep(struct kl_arena *arena, struct kl_user *u, struct kl_err *err) {
    if (dup_slice(arena, &u->id) && dup_slice(arena, &u->password_hash) &&
        dup_slice(arena, &u->email) && dup_slice(arena, &u->auth_data)) {
        return KL_OK;
    }
    return kl_fail(err, KL_E_NOMEM, "The request's memory budget is exhausted");
}

static enum kl_rc not_found(struct kl_slice id, struct kl_err *err) {
    id.len = KL_MIN(id.len, (size_t)KL_USER_ID_MAX);
    return kl_fail(err, KL_E_NOT_FOUND, "User '%.*s' not found", KL_FMT(id));
}

static enum kl_rc decode_kept(struct kl_slice id, struct kl_slice rec, struct kl_arena *arena,
    struct kl_user *ret, struct kl_err *err) {
    struct kl_user u;
    KL_TRY(decode(id, rec, &u, err));
    KL_TRY(keep(arena, &u, err));
    *ret = u;
    return KL_OK;
}

enum kl_rc kl_user_get(struct kl_store *s, struct kl_slice id, struct kl_arena *arena,
    struct kl_user *ret, struct kl_err *err) {
    struct kl_auth__key key;
    struct kl_pinned pinned;
    /* An id that cannot exist is one that does not. */
    if (kl_user_id_check(id, NULL) != KL_OK) {
        return not_found(id, err);
    }
    kl_auth__key(&key, KL_META_USER, id);
    enum kl_rc rc = kl_store_get(s, NULL, KL_CF_META, kl_auth__key_view(&key), &pinned, err);
    if (rc == KL_E_NOT_FOUND) {
        return not_found(id, err);
    }
    if (rc == KL_OK) {
        rc = decode_kept(id, pinned.value, arena, ret, err);
        kl_pinned_release(&pinned);
    }
    return rc;
}

enum kl_rc kl_user_get_in_batch(struct kl_batch *b, struct kl_slice id, struct kl_arena *arena,
    struct kl_user *ret, struct kl_err *err) {
    struct kl_auth__key key;
    if (kl_user_id_check(id, NULL) != KL_OK) {
        return not_found(id, err);
    }
    kl_auth__key(&key, KL_META_USER, id);
    struct kl_buf rec = {0};
    enum kl_rc rc = kl_batch_get(b, KL_CF_META, kl_auth__key_view(&key), &rec, err);
    if (rc == KL_E_NOT_FOUND) {
        rc = not_found(id, err);
    } else if (rc == KL_OK) {
        rc = decode_kept(id, kl_buf_view(&rec), arena, ret, err);
    }
    kl_buf_deinit(&rec);
    return rc;
}

void kl_user_put(struct kl_batch *b, const struct kl_user *u) {
    struct kl_auth__key key;
    KL_ASSERT(kl_user_id_check(u->id, NULL) == KL_OK);
    kl_auth__key(&key, KL_META_USER, u->id);
    struct kl_buf rec = {0};
    encode(&rec, u);
    /* Every field came in one request, which is far smaller than a buffer may grow. */
    KL_ASSERT(!rec.failed);
    kl_batch_put(b, KL_CF_META, kl_auth__key_view(&key), kl_buf_view(&rec));
    kl_buf_deinit(&rec);
}

enum kl_rc kl_user_each(struct kl_store *s, enum kl_rc (*visit)(void *ctx, const struct kl_user *u),
    void *ctx, struct kl_err *err) {
    char prefix = KL_META_USER;
    struct kl_iter *it =
        kl_iter_new(s, &(struct kl_iter_options){.cf = KL_CF_META, .prefix = kl_slice(&prefix, 1)});
    enum kl_rc rc = KL_OK;
    for (kl_iter_seek_first(it); rc == KL_OK && kl_iter_valid(it); kl_iter_next(it)) {
        struct kl_user u;
        rc = decode(kl_slice_from(kl_iter_key(it), 1), kl_iter_value(it), &u, err);
        if (rc == KL_OK) {
            rc = visit(ctx, &u);
        }
    }
    if (rc == KL_OK) {
        rc = kl_iter_status(it, err);
    }
    kl_iter_free(it);
    return rc;
}
