/* A batch: the writer's changes so far, readable as if they were committed.
 *
 * The changes stand in one buffer, in the format of RocksDB's own write batch, so that a commit
 * hands them over as they are:
 *
 *   u64 sequence (0; the write fills it in) | u32 number of operations | operations
 *   put:     u8 5 | varint family | varint length, key | varint length, value
 *   delete:  u8 4 | varint family | varint length, key
 *
 * Beside it an array of what each operation is and where its key and value are, and a hash table of
 * chains over it, newest operation first: a look-up costs one hash, a write appends, a rollback
 * cuts off. Order is made when somebody iterates (overlay.c).
 *
 * Belongs to one thread. Writes cannot fail: a batch is memory, and its size is bounded by the
 * commands let into it. */
#include "store/internal.h"
#include <stdlib.h>

#define PUT 5
#define DELETE 4
/* A batch that grew beyond this gives its memory back when it is cleared. */
#define KEEP_BYTES ((size_t)1 << 20)
#define KEEP_OPS 8192

struct save_point {
    size_t n_ops, len;
    size_t times; /* set here without a write in between */
};

struct kl_batch {
    struct kl_store *store;
    char *rep;
    size_t len, cap;
    struct kl_batch__op *ops;
    size_t n_ops, cap_ops;
    uint32_t *heads; /* per hash: 1 + index of the newest operation, 0 for none */
    size_t n_heads;  /* a power of two */
    struct save_point *saves;
    size_t n_saves, cap_saves;
};

static void start(struct kl_batch *b) {
    b->n_heads = 64;
    b->heads = kl_xcalloc(b->n_heads, sizeof(*b->heads));
    KL_GROW(b->rep, b->cap, 4096);
    memset(b->rep, 0, KL_BATCH__HEADER);
    b->len = KL_BATCH__HEADER;
}

struct kl_batch *kl_batch_new(struct kl_store *s) {
    struct kl_batch *b = kl_xcalloc(1, sizeof(*b));
    b->store = s;
    start(b);
    return b;
}

void kl_batch_free(struct kl_batch *b) {
    if (b) {
        free(b->rep);
        free(b->ops);
        free(b->heads);
        free(b->saves);
        free(b);
    }
}

/* ---- the hash table ---- */
static uint32_t hash_of(enum kl_cf cf, struct kl_slice key) {
    return (uint32_t)kl_slice_hash(key) * 4 + (uint32_t)cf;
}

static uint32_t *head_of(const struct kl_batch *b, uint32_t hash) {
    return &b->heads[(hash ^ hash >> 16) & (b->n_heads - 1)];
}

static void link_op(struct kl_batch *b, size_t i) {
    uint32_t *head = head_of(b, b->ops[i].hash);
    b->ops[i].chain = *head;
    *head = (uint32_t)i + 1;
}

static void grow_heads(struct kl_batch *b) {
    b->n_heads *= 4;
    free(b->heads);
    b->heads = kl_xcalloc(b->n_heads, sizeof(*b->heads));
    for (size_t i = 0; i < b->n_ops; i++) {
        link_op(b, i);
    }
}

static const struct kl_batch__op *find(
    const struct kl_batch *b, enum kl_cf cf, struct kl_slice key) {
    uint32_t hash = hash_of(cf, key);
    for (uint32_t at = *head_of(b, hash); at > 0; at = b->ops[at - 1].chain) {
        const struct kl_batch__op *op = &b->ops[at - 1];
        if (op->hash == hash && op->cf == cf && kl_slice_eq(kl_batch__key(b, op), key)) {
            return op;
        }
    }
    return NULL;
}

/* ---- writing ---- */
static char *put_varint(char *p, size_t n) {
    for (; n >= 0x80; n >>= 7) {
        *p++ = (char)(n | 0x80);
    }
    *p++ = (char)n;
    return p;
}

static char *put_bytes(struct kl_batch *b, char *p, struct kl_slice s, uint32_t *ret_at) {
    p = put_varint(p, s.len);
    *ret_at = (uint32_t)(p - b->rep);
    if (s.len > 0) {
        memcpy(p, s.ptr, s.len);
    }
    return p + s.len;
}

/* value NULL: a deletion. */
static void add(
    struct kl_batch *b, enum kl_cf cf, struct kl_slice key, const struct kl_slice *value) {
    size_t most = b->len + 1 + (size_t)3 * 5 + key.len + (value ? value->len : 0);
    KL_ASSERT(most < UINT32_MAX);
    KL_GROW(b->rep, b->cap, most);
    KL_GROW(b->ops, b->cap_ops, b->n_ops + 1);
    struct kl_batch__op *op = &b->ops[b->n_ops];
    *op = (struct kl_batch__op){
        .hash = hash_of(cf, key), .key_len = (uint32_t)key.len, .cf = (uint8_t)cf, .del = !value};
    char *p = b->rep + b->len;
    *p++ = value ? PUT : DELETE;
    p = put_varint(p, b->store->cf_id[cf]);
    p = put_bytes(b, p, key, &op->key_at);
    if (value) {
        op->value_len = (uint32_t)value->len;
        p = put_bytes(b, p, *value, &op->value_at);
    }
    b->len = (size_t)(p - b->rep);
    if (b->n_ops >= b->n_heads) {
        grow_heads(b);
    }
    link_op(b, b->n_ops++);
}

void kl_batch_put(struct kl_batch *b, enum kl_cf cf, struct kl_slice key, struct kl_slice value) {
    add(b, cf, key, &value);
}

void kl_batch_del(struct kl_batch *b, enum kl_cf cf, struct kl_slice key) {
    add(b, cf, key, NULL);
}

static void cut_off(struct kl_batch *b, size_t n_ops, size_t len) {
    while (b->n_ops > n_ops) { /* the newest operation is always the head of its chain */
        const struct kl_batch__op *op = &b->ops[--b->n_ops];
        *head_of(b, op->hash) = op->chain;
    }
    b->len = len;
}

void kl_batch_clear(struct kl_batch *b) {
    b->n_saves = 0;
    if (b->cap <= KEEP_BYTES && b->n_heads <= KEEP_OPS) {
        cut_off(b, 0, KL_BATCH__HEADER);
        return;
    }
    free(b->rep);
    free(b->ops);
    free(b->heads);
    b->rep = NULL;
    b->ops = NULL;
    b->cap = b->cap_ops = b->n_ops = 0;
    start(b);
}

void kl_batch_save_point(struct kl_batch *b) {
    struct save_point *last = b->n_saves > 0 ? &b->saves[b->n_saves - 1] : NULL;
    if (last && last->n_ops == b->n_ops) { /* who never writes must not fill memory with them */
        last->times++;
        return;
    }
    KL_GROW(b->saves, b->cap_saves, b->n_saves + 1);
    b->saves[b->n_saves++] = (struct save_point){b->n_ops, b->len, 1};
}

void kl_batch_rollback(struct kl_batch *b) {
    KL_ASSERT(b->n_saves > 0);
    struct save_point *s = &b->saves[b->n_saves - 1];
    cut_off(b, s->n_ops, s->len);
    b->n_saves -= --s->times == 0;
}

size_t kl_batch_count(const struct kl_batch *b) {
    return b->n_ops;
}

size_t kl_batch_bytes(struct kl_batch *b) {
    return b->len;
}

struct kl_slice kl_batch__rep(struct kl_batch *b) {
    for (int i = 0; i < 4; i++) {
        b->rep[8 + i] = (char)(b->n_ops >> (8 * i));
    }
    return kl_slice(b->rep, b->len);
}

/* ---- reading ---- */
const struct kl_batch__op *kl_batch__ops(const struct kl_batch *b, size_t *ret_n) {
    *ret_n = b->n_ops;
    return b->ops;
}

struct kl_slice kl_batch__key(const struct kl_batch *b, const struct kl_batch__op *op) {
    return kl_slice(b->rep + op->key_at, op->key_len);
}

struct kl_slice kl_batch__value(const struct kl_batch *b, const struct kl_batch__op *op) {
    return kl_slice(b->rep + op->value_at, op->value_len);
}

enum kl_rc kl_batch_get(struct kl_batch *b, enum kl_cf cf, struct kl_slice key, struct kl_buf *out,
    struct kl_err *err) {
    const struct kl_batch__op *op = find(b, cf, key);
    kl_buf_clear(out);
    if (op) {
        if (op->del) {
            return KL_E_NOT_FOUND;
        }
        kl_buf_slice(out, kl_batch__value(b, op));
    } else {
        struct kl_pinned p;
        KL_TRY(kl_store_get(b->store, NULL, cf, key, &p, err));
        kl_buf_slice(out, p.value);
        kl_pinned_release(&p);
    }
    return out->failed ? kl_fail(err, KL_E_NOMEM, "out of memory for a stored value") : KL_OK;
}

struct kl_iter *kl_batch_iter(struct kl_batch *b, const struct kl_iter_options *options) {
    KL_ASSERT(!options->snap);
    return kl_iter__new(b->store, options, b);
}
