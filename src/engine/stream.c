/* STREAM partitions: rows in memory that expire.
 *
 * One partition a (table, user): a ring of encoded rows in _seq order. All rows of a table live equally long, so they expire in ring order
 * and only the first can be due; a heap of partitions by the deadline of their first row gives the next moment at which anything happens.
 *
 * The shard's writer alone changes a partition; others read under the lock and copy. A row past its deadline is invisible at once, the
 * sweep that removes it and tells the listener follows within a millisecond. Bounds: rows of a partition, bytes of the whole server; past
 * them the oldest rows go as if they had expired. */
#include "engine/internal.h"

#include <stdlib.h>

struct ring_row {
    int64_t seq, deadline_ns;
    uint32_t len;
    char *bytes;
};

struct part {
    uint32_t table_id;
    struct kl_table *table;   /* version of the newest row, for the bytes of tombstones; counted */
    char *user;
    size_t user_len;
    struct ring_row *rows;    /* ring of cap entries */
    size_t cap, head, count;
    uint64_t bytes;           /* of its rows, as counted against stream_max_bytes */
    int64_t forgotten;        /* highest _seq that is gone */
    size_t heap_at;           /* place in the heap */
};

struct kl__streams {
    struct kl_engine *engine;
    pthread_rwlock_t lock;
    struct kl_map parts;      /* table id u32 | user -> part; guarded by lock */
    struct part **heap;       /* writer */
    size_t n_heap, cap_heap;
    int64_t forgotten;        /* of partitions that no longer exist; guarded by lock */
};

struct kl__streams *kl__streams_new(struct kl_engine *e, uint16_t shard) {
    struct kl__streams *s = kl_xcalloc(1, sizeof(*s));
    (void)shard;
    s->engine = e;
    pthread_rwlock_init(&s->lock, NULL);
    kl_map_init(&s->parts);
    s->forgotten = kl_snowflake_next(e->o.ids); /* whatever was before this start is gone */
    return s;
}

static struct ring_row *row_at(struct part *p, size_t i) { return &p->rows[(p->head + i) % p->cap]; }

static void part_free(struct part *p) {
    for (size_t i = 0; i < p->count; i++) {
        free(row_at(p, i)->bytes);
    }
    kl_table_unref(p->table);
    free(p->rows);
    free(p->user);
    free(p);
}

void kl__streams_free(struct kl__streams *s) {
    if (s == NULL) {
        return;
    }
    struct kl_map_entry *en;
    for (size_t it = 0; (en = kl_map_next(&s->parts, &it)) != NULL;) {
        part_free(en->value);
    }
    kl_map_deinit(&s->parts);
    free(s->heap);
    pthread_rwlock_destroy(&s->lock);
    free(s);
}

/* ---- the heap: earliest first row on top ---- */

static int64_t part_due(struct part *p) { return p->count > 0 ? row_at(p, 0)->deadline_ns : INT64_MAX; }

static void heap_swap(struct kl__streams *s, size_t a, size_t b) {
    struct part *t = s->heap[a];
    s->heap[a] = s->heap[b];
    s->heap[b] = t;
    s->heap[a]->heap_at = a;
    s->heap[b]->heap_at = b;
}

static void heap_fix(struct kl__streams *s, size_t i) {
    while (i > 0 && part_due(s->heap[i]) < part_due(s->heap[(i - 1) / 2])) {
        heap_swap(s, i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t least = i;
        for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < s->n_heap; c++) {
            if (part_due(s->heap[c]) < part_due(s->heap[least])) {
                least = c;
            }
        }
        if (least == i) {
            return;
        }
        heap_swap(s, i, least);
        i = least;
    }
}

static void heap_add(struct kl__streams *s, struct part *p) {
    KL_GROW(s->heap, s->cap_heap, s->n_heap + 1);
    p->heap_at = s->n_heap;
    s->heap[s->n_heap++] = p;
    heap_fix(s, p->heap_at);
}

static void heap_remove(struct kl__streams *s, struct part *p) {
    size_t i = p->heap_at;
    heap_swap(s, i, s->n_heap - 1);
    s->n_heap--;
    if (i < s->n_heap) {
        heap_fix(s, i);
    }
}

/* ---- partitions ---- */

static struct kl_slice part_key(uint32_t table, struct kl_slice user, char key[4 + KL_USER_ID_MAX]) {
    KL_ASSERT(user.len <= KL_USER_ID_MAX);
    memcpy(key, &table, 4);
    memcpy(key + 4, user.ptr, user.len);
    return kl_slice(key, 4 + user.len);
}

static struct part *part_find(struct kl__streams *s, uint32_t table, struct kl_slice user) {
    char key[4 + KL_USER_ID_MAX];
    return kl_map_get(&s->parts, part_key(table, user, key));
}

/* Under the write lock. */
static struct part *part_make(struct kl__streams *s, struct kl_table *t, struct kl_slice user) {
    char key[4 + KL_USER_ID_MAX];
    struct part *p = part_find(s, t->id, user);
    if (p == NULL) {
        p = kl_xcalloc(1, sizeof(*p));
        p->table_id = t->id;
        p->user = kl_xmalloc(user.len + 1);
        memcpy(p->user, user.ptr, user.len);
        p->user_len = user.len;
        p->forgotten = s->forgotten;
        kl_map_put(&s->parts, part_key(t->id, user, key), p);
        heap_add(s, p);
    }
    if (p->table != t) {
        kl_table_ref(t);
        kl_table_unref(p->table);
        p->table = t;
    }
    return p;
}

static void part_remove(struct kl__streams *s, struct part *p) {
    char key[4 + KL_USER_ID_MAX];
    s->forgotten = KL_MAX(s->forgotten, p->forgotten);
    heap_remove(s, p);
    kl_map_del(&s->parts, part_key(p->table_id, kl_slice(p->user, p->user_len), key));
    part_free(p);
}

static void part_push(struct part *p, const struct ring_row *row) {
    if (p->count == p->cap) {
        size_t cap = p->cap * 2 + 8;
        struct ring_row *rows = kl_xmalloc(cap * sizeof(*rows));
        for (size_t i = 0; i < p->count; i++) {
            rows[i] = *row_at(p, i);
        }
        free(p->rows);
        p->rows = rows;
        p->cap = cap;
        p->head = 0;
    }
    p->count++;
    *row_at(p, p->count - 1) = *row;
}

static void count_row(struct kl_engine *e, struct part *p, const struct ring_row *r, int sign) {
    uint64_t bytes = (uint64_t)((int64_t)sign * (int64_t)(r->len + sizeof(*r)));
    e->stream_rows += (uint64_t)(int64_t)sign;
    e->stream_bytes += bytes;
    p->bytes += bytes;
}

/* Tells that a row is gone. The tombstone is made here so that subscribers see what any other deletion looks like. */
static void tell_gone(struct kl__streams *s, struct kl__writer *w, struct part *p, const struct ring_row *r) {
    struct kl_row_head head;
    struct kl_slice bytes = kl_slice(r->bytes, r->len);
    int64_t seq = kl_snowflake_next(s->engine->o.ids);
    kl_buf_clear(&w->row);
    if (kl_row_head(bytes, r->seq, &head) != KL_OK || kl_row_to_tombstone(bytes, &head, seq, &w->row) != KL_OK) {
        return; /* memory of our own: cannot happen short of corruption, and then nobody can be told */
    }
    struct kl_slice user = kl_arena_dup(&w->drain, kl_slice(p->user, p->user_len));
    struct kl_change c = {
        .op = KL_CHANGE_DELETE, .table = p->table, .user = user, .seq = seq, .prev_seq = r->seq,
        .shard = kl_shard_of_user(user, s->engine->user_shards), .new_row = kl_buf_view(&w->row), .old_row = bytes,
    };
    (void)kl__writer_change(w, &c, NULL);
}

/* Under the write lock. */
static void drop_first(struct kl__streams *s, struct part *p) {
    struct ring_row *r = row_at(p, 0);
    p->forgotten = KL_MAX(p->forgotten, r->seq);
    count_row(s->engine, p, r, -1);
    free(r->bytes);
    p->head = (p->head + 1) % p->cap;
    p->count--;
}

static uint64_t max_rows(struct kl_engine *e, const struct kl_table *t) {
    uint32_t n = t->options.max_buffer > 0 ? t->options.max_buffer : e->o.stream_max_rows;
    return n > 0 ? n : UINT64_MAX;
}

enum kl_rc kl__stream_append(struct kl__streams *s, struct kl__writer *w, struct kl_table *t, struct kl_slice user,
    const struct kl__stream_row *rows, size_t n, struct kl_err *err) {
    struct kl_engine *e = s->engine;
    uint64_t most = max_rows(e, t), bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += rows[i].bytes.len + sizeof(struct ring_row);
    }
    if (n > most || (e->o.stream_max_bytes > 0 && bytes > e->o.stream_max_bytes)) {
        return kl_fail(err, KL_E_TOO_LARGE, "%zu rows do not fit into the buffer of stream table %s (%llu rows)", n,
            t->qualified.ptr, (unsigned long long)most);
    }
    uint64_t limit = e->o.stream_max_bytes > 0 ? e->o.stream_max_bytes : UINT64_MAX;
    pthread_rwlock_wrlock(&s->lock);
    struct part *p = part_find(s, t->id, user);
    if (e->stream_bytes - (p != NULL ? p->bytes : 0) + bytes > limit) {
        pthread_rwlock_unlock(&s->lock);
        return kl_fail(err, KL_E_OVERLOADED, "memory of stream tables is full (%zu bytes); rows expire by their TTL",
            e->o.stream_max_bytes);
    }
    p = part_make(s, t, user);
    while (p->count > 0 && (p->count + n > most || e->stream_bytes + bytes > limit)) {
        tell_gone(s, w, p, row_at(p, 0));
        drop_first(s, p);
    }
    for (size_t i = 0; i < n; i++) {
        struct ring_row r = {rows[i].seq, rows[i].deadline_ns, (uint32_t)rows[i].bytes.len, kl_xmalloc(rows[i].bytes.len + 1)};
        memcpy(r.bytes, rows[i].bytes.ptr, rows[i].bytes.len);
        part_push(p, &r);
        count_row(e, p, &r, 1);
    }
    heap_fix(s, p->heap_at);
    pthread_rwlock_unlock(&s->lock);
    return KL_OK;
}

enum kl_rc kl__stream_read(struct kl__streams *s, uint32_t table, struct kl_slice user, int64_t after, int64_t upto,
    struct kl_arena *arena, struct kl__stream_row **ret, size_t *ret_n, struct kl_err *err) {
    int64_t now = kl_clock_mono_ns();
    size_t n = 0;
    struct kl__stream_row *out = NULL;
    pthread_rwlock_rdlock(&s->lock);
    struct part *p = part_find(s, table, user);
    size_t count = p != NULL ? p->count : 0;
    out = KL_ARENA_ARRAY(arena, struct kl__stream_row, count + 1);
    for (size_t i = 0; out != NULL && i < count; i++) {
        struct ring_row *r = row_at(p, i);
        if (r->seq <= after || r->deadline_ns <= now || (upto > 0 && r->seq > upto)) {
            continue;
        }
        out[n] = (struct kl__stream_row){r->seq, r->deadline_ns, kl_arena_dup(arena, kl_slice(r->bytes, r->len))};
        if (out[n++].bytes.ptr == NULL) {
            out = NULL;
        }
    }
    pthread_rwlock_unlock(&s->lock);
    if (out == NULL) {
        return kl_fail(err, KL_E_TOO_LARGE, "the stream partition is larger than the memory of one query");
    }
    *ret = out;
    *ret_n = n;
    return KL_OK;
}

bool kl__stream_remove(struct kl__streams *s, uint32_t table, struct kl_slice user, int64_t seq) {
    bool found = false;
    pthread_rwlock_wrlock(&s->lock);
    struct part *p = part_find(s, table, user);
    size_t lo = 0, hi = p != NULL ? p->count : 0;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        row_at(p, mid)->seq < seq ? (lo = mid + 1) : (hi = mid);
    }
    if (p != NULL && lo < p->count && row_at(p, lo)->seq == seq) {
        found = true;
        count_row(s->engine, p, row_at(p, lo), -1);
        free(row_at(p, lo)->bytes);
        for (size_t i = lo; i + 1 < p->count; i++) {
            *row_at(p, i) = *row_at(p, i + 1);
        }
        p->count--;
        p->forgotten = KL_MAX(p->forgotten, seq);
        heap_fix(s, p->heap_at);
        if (p->count == 0) {
            part_remove(s, p);
        }
    }
    pthread_rwlock_unlock(&s->lock);
    return found;
}

int64_t kl__stream_forgotten(struct kl__streams *s, uint32_t table, struct kl_slice user) {
    pthread_rwlock_rdlock(&s->lock);
    struct part *p = part_find(s, table, user);
    int64_t seq = p != NULL ? p->forgotten : s->forgotten;
    pthread_rwlock_unlock(&s->lock);
    return seq;
}

int64_t kl__streams_expire(struct kl__streams *s, struct kl__writer *w, int64_t now_ns) {
    while (s->n_heap > 0 && part_due(s->heap[0]) <= now_ns) {
        struct part *p = s->heap[0];
        pthread_rwlock_wrlock(&s->lock);
        while (p->count > 0 && row_at(p, 0)->deadline_ns <= now_ns) {
            tell_gone(s, w, p, row_at(p, 0));
            drop_first(s, p);
        }
        if (p->count == 0) {
            /* Subscribers are told with p->table after the flush; the writer's changes hold no reference, so flush first. */
            pthread_rwlock_unlock(&s->lock);
            kl__writer_flush(w);
            pthread_rwlock_wrlock(&s->lock);
            part_remove(s, p);
        } else {
            heap_fix(s, 0);
        }
        pthread_rwlock_unlock(&s->lock);
    }
    return s->n_heap > 0 ? part_due(s->heap[0]) : INT64_MAX;
}

void kl__streams_drop_table(struct kl__streams *s, uint32_t table) {
    struct kl_map_entry *en;
    pthread_rwlock_wrlock(&s->lock);
    for (bool again = true; again;) {
        again = false;
        for (size_t it = 0; (en = kl_map_next(&s->parts, &it)) != NULL;) {
            struct part *p = en->value;
            if (p->table_id == table) {
                while (p->count > 0) {
                    drop_first(s, p);
                }
                part_remove(s, p);
                again = true;
                break;
            }
        }
    }
    pthread_rwlock_unlock(&s->lock);
}

bool kl__streams_any(struct kl__streams *s, uint32_t table) {
    struct kl_map_entry *en;
    bool any = false;
    pthread_rwlock_rdlock(&s->lock);
    for (size_t it = 0; !any && (en = kl_map_next(&s->parts, &it)) != NULL;) {
        any = ((struct part *)en->value)->table_id == table;
    }
    pthread_rwlock_unlock(&s->lock);
    return any;
}
