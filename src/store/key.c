/* Keys of the `row`, `pk` and `idx` families: building them on the stack and taking them apart
 * again.
 *
 *   offset      bytes  what
 *   0           2      shard, big-endian
 *   2           1      kind: 1 user, 2 shared
 *   3           1      n, length of the user id (0 when shared)
 *   4           n      user id
 *   4 + n       4      table id, big-endian
 *   8 + n       ...    row: _seq, 8 bytes big-endian | pk: encoded primary key
 *                      | idx: encoded columns, then _seq unless the entry is of a unique index
 *
 * In `idx` the id of the index stands where the table id stands elsewhere.
 *
 * The length in front of the user id keeps scopes apart: no scope is a prefix of another one. _seq
 * is never negative, so its big-endian bytes sort as it does.
 *
 * Pure functions, any thread. A scope that breaks its limits is a programmer error; key bytes that
 * come back from the store are checked. */
#include "store/store.h"
#include <endian.h>

static void put(struct kl_key *k, const void *p, size_t n) {
    KL_ASSERT(n <= sizeof(k->data) - k->len);
    if (n > 0) {
        memcpy(k->data + k->len, p, n);
    }
    k->len = (uint16_t)(k->len + n);
}

void kl_key_scope(struct kl_key *k, const struct kl_scope *scope) {
    KL_ASSERT(scope->user.len <= KL_USER_ID_MAX);
    KL_ASSERT(scope->kind == KL_SCOPE_USER || (scope->kind == KL_SCOPE_SHARED && !scope->user.len));
    uint16_t shard = htobe16(scope->shard);
    uint8_t kind_len[2] = {scope->kind, (uint8_t)scope->user.len};
    k->len = 0;
    put(k, &shard, sizeof(shard));
    put(k, kind_len, sizeof(kind_len));
    put(k, scope->user.ptr, scope->user.len);
}

void kl_key_partition(struct kl_key *k, const struct kl_scope *scope, uint32_t table) {
    kl_key_scope(k, scope);
    table = htobe32(table);
    put(k, &table, sizeof(table));
}

void kl_key_row(struct kl_key *k, const struct kl_scope *scope, uint32_t table, int64_t seq) {
    KL_ASSERT(seq >= 0);
    kl_key_partition(k, scope, table);
    uint64_t be = htobe64((uint64_t)seq);
    put(k, &be, sizeof(be));
}

void kl_key_pk(struct kl_key *k, const struct kl_scope *scope, uint32_t table, struct kl_slice pk) {
    kl_key_partition(k, scope, table);
    put(k, pk.ptr, pk.len);
}

void kl_key_index(struct kl_key *k, const struct kl_scope *scope, uint32_t index,
    struct kl_slice encoded, int64_t seq) {
    KL_ASSERT(seq >= 0);
    kl_key_partition(k, scope, index);
    put(k, encoded.ptr, encoded.len);
    if (seq > 0) {
        uint64_t be = htobe64((uint64_t)seq);
        put(k, &be, sizeof(be));
    }
}

int64_t kl_key_row_seq(struct kl_slice row_key) {
    uint64_t be;
    KL_ASSERT(row_key.len >= sizeof(be));
    memcpy(&be, row_key.ptr + row_key.len - sizeof(be), sizeof(be));
    return (int64_t)be64toh(be);
}

enum kl_rc kl_key_parse(struct kl_slice key, struct kl_scope *ret_scope, uint32_t *ret_table,
    struct kl_slice *ret_rest) {
    struct kl_reader r;
    kl_reader_init(&r, key);
    struct kl_scope scope = {.shard = kl_read_be16(&r), .kind = kl_read_u8(&r)};
    uint8_t user_len = kl_read_u8(&r);
    scope.user = kl_read_bytes(&r, user_len);
    uint32_t table = kl_read_be32(&r);
    bool kind_ok = scope.kind == KL_SCOPE_USER || (scope.kind == KL_SCOPE_SHARED && user_len == 0);
    if (r.failed || !kind_ok || user_len > KL_USER_ID_MAX) {
        return KL_E_CORRUPT;
    }
    *ret_scope = scope;
    *ret_table = table;
    *ret_rest = kl_slice(r.ptr, (size_t)(r.end - r.ptr));
    return KL_OK;
}

bool kl_key_next_prefix(struct kl_key *k) {
    /* Trailing 0xff bytes cannot be counted up: what follows them is the next value of the byte
     * before. */
    uint16_t len = k->len;
    while (len > 0 && (uint8_t)k->data[len - 1] == 0xff) {
        len--;
    }
    if (len == 0) {
        return false;
    }
    k->data[len - 1] = (char)((uint8_t)k->data[len - 1] + 1);
    k->len = len;
    return true;
}
