/* Resident partitions.
 *
 * A partition that is scanned a second time is loaded: its live rows, as bytes, in the order of _seq, in chunks of at most a thousand. From then on
 * the writer of its shard keeps it up after each commit: new versions are appended, versions that were replaced or removed are marked with the commit
 * that did it. Since versions never change and _seq rises with the commits, that is all there is to it. When half of it is dead it is given up, and
 * the next scan loads it again.
 *
 * Time. Commits that change rows are numbered by one counter for the engine. `under_way` is raised before a commit can become visible in the store and
 * lowered after its changes are in the resident partitions. A reader takes a cut: a snapshot of the store and the number of the last commit, with
 * nothing under way between the two, so that both mean the same moment; then it may mix partitions from here and from the store. A row is live at a
 * cut when it was born at or before it and has not died at or before it. A partition is of use for cuts at or after the one it was loaded from.
 *
 * Loading: entered into the table first, so that the writers put what they commit from then on into its backlog; then a cut is taken and its snapshot
 * read; then the backlog is applied, without what the snapshot had already.
 *
 * Memory: a budget for all of them; the one that was not used for the longest gives way. Chunks and the list of chunks never move while anybody may
 * read: an old list is kept until the partition is freed. */
#include "engine/resident.h"
#include "engine/internal.h"

#include <stdlib.h>
#include <time.h>

#define CHUNK_ROWS 1024
#define FIRST_BYTES ((size_t)16 << 10)
#define CHUNK_BYTES ((size_t)256 << 10)
#define SEEN 4096            /* partitions whose scans are remembered */
#define BUCKETS 1024
#define WAIT_STEP_NS 50000
#define WAIT_STEPS 60
#define MIN_ROWS 128         /* smaller partitions are as quick to read from the store */
#define BACKLOG_BYTES ((size_t)64 << 20)

struct kl__resident_chunk {
    _Atomic uint32_t n;
    uint32_t cap;  /* of bytes */
    uint32_t used;
    char *bytes;
    int64_t seq[CHUNK_ROWS];
    uint64_t born[CHUNK_ROWS];
    _Atomic uint64_t dead[CHUNK_ROWS]; /* 0: alive */
    uint32_t end[CHUNK_ROWS];          /* of the row in bytes */
};
struct old_list {
    struct old_list *next;
    struct kl__resident_chunk **chunks;
};
struct backlog {
    struct backlog *next;
    uint64_t stamp;
    enum kl_change_op op;
    int64_t seq, prev_seq;
    struct kl_slice row; /* behind the struct */
};

struct kl__resident {
    _Atomic uint32_t refs;
    struct kl__resident *next; /* in its bucket; guarded by residents.lock */
    uint64_t hash;
    uint32_t table;
    struct kl_slice user;
    _Atomic bool ready;
    _Atomic(struct kl__resident_chunk **) chunks;
    _Atomic size_t n_chunks;
    size_t cap_chunks;
    struct old_list *old;
    uint64_t since;    /* stamp of the cut that it was loaded from */
    size_t dead;       /* guarded by residents.lock */
    size_t row_bytes;  /* of all rows so far: whoever appends */
    _Atomic size_t rows, bytes;
    size_t gone_bytes; /* counted when it was forgotten; guarded by residents.lock */
    _Atomic uint64_t used_at;
    pthread_mutex_t lock; /* of the backlog */
    struct backlog *backlog, **backlog_end; /* while it is being loaded */
    size_t backlog_bytes;
    bool overflow;     /* guarded by lock: too much was written meanwhile */
};
struct kl__residents {
    struct kl_engine *engine;
    size_t max_bytes;
    pthread_mutex_t lock; /* before a partition's lock */
    struct kl__resident *buckets[BUCKETS];
    _Atomic size_t count, bytes;
    _Atomic uint64_t clock;
    _Atomic uint64_t stamp, under_way, generation; /* generation: rises when under_way does */
    _Atomic uint32_t seen[SEEN]; /* part of a partition's hash, and in the low byte how often it was scanned */
};

/* ---- partitions ---- */

static uint64_t hash_of(uint32_t table, struct kl_slice user) {
    return kl_slice_hash(user) * 0x9E3779B97F4A7C15ull + table * 0xD1B54A32D192ED03ull;
}

static void release_memory(struct kl__resident *p) {
    size_t n = p->n_chunks;
    for (size_t i = 0; i < n; i++) {
        free(p->chunks[i]->bytes);
        free(p->chunks[i]);
    }
    free(p->chunks);
    for (struct old_list *o = p->old, *next; o != NULL; o = next) {
        next = o->next;
        free(o->chunks);
        free(o);
    }
    for (struct backlog *b = p->backlog, *next; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void kl__resident_release(struct kl__resident *p) {
    if (p != NULL && atomic_fetch_sub(&p->refs, 1) == 1) {
        release_memory(p);
    }
}

static struct kl__resident *find(struct kl__residents *r, uint32_t table, struct kl_slice user, uint64_t hash) {
    struct kl__resident *p = r->buckets[hash >> 32 & (BUCKETS - 1)];
    while (p != NULL && !(p->hash == hash && p->table == table && kl_slice_eq(p->user, user))) {
        p = p->next;
    }
    return p;
}

/* Out of the table; whoever holds it may go on reading. residents.lock is held. */
static void forget(struct kl__residents *r, struct kl__resident *p) {
    struct kl__resident **at = &r->buckets[p->hash >> 32 & (BUCKETS - 1)];
    while (*at != p) {
        at = &(*at)->next;
    }
    *at = p->next;
    r->count--;
    p->gone_bytes = p->bytes;
    r->bytes -= p->gone_bytes;
    kl__resident_release(p);
}

static struct kl__resident *oldest(struct kl__residents *r, const struct kl__resident *but) {
    struct kl__resident *found = NULL;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct kl__resident *p = r->buckets[i]; p != NULL; p = p->next) {
            found = p != but && p->ready && (found == NULL || p->used_at < found->used_at) ? p : found;
        }
    }
    return found;
}

/* residents.lock is held. False: no room. */
static bool make_room(struct kl__residents *r, const struct kl__resident *but) {
    while (r->bytes > r->max_bytes) {
        struct kl__resident *p = oldest(r, but);
        if (p == NULL) {
            return false;
        }
        forget(r, p);
    }
    return true;
}

/* ---- rows ---- */

static struct kl__resident_chunk *new_chunk(struct kl__residents *r, struct kl__resident *p, size_t row_bytes) {
    size_t n = p->n_chunks;
    size_t expected = p->rows > 0 ? p->row_bytes / p->rows * CHUNK_ROWS * 9 / 8 : FIRST_BYTES;
    size_t cap = KL_MAX(row_bytes, KL_MIN(CHUNK_BYTES, KL_MAX(FIRST_BYTES, expected)));
    struct kl__resident_chunk *c = kl_xcalloc(1, sizeof(*c));
    c->bytes = kl_xmalloc(cap);
    c->cap = (uint32_t)cap;
    if (n == p->cap_chunks) {
        struct kl__resident_chunk **list = kl_xcalloc(n * 2 + 8, sizeof(*list)), **was = p->chunks;
        if (n > 0) {
            memcpy(list, was, n * sizeof(*list));
            struct old_list *o = kl_xcalloc(1, sizeof(*o));
            *o = (struct old_list){p->old, was};
            p->old = o;
        }
        p->cap_chunks = n * 2 + 8;
        atomic_store_explicit(&p->chunks, list, memory_order_release);
    }
    p->chunks[n] = c;
    p->bytes += sizeof(*c) + cap;
    r->bytes += sizeof(*c) + cap;
    atomic_store_explicit(&p->n_chunks, n + 1, memory_order_release);
    return c;
}

static void append(struct kl__residents *r, struct kl__resident *p, int64_t seq, struct kl_slice row, uint64_t born) {
    size_t n = p->n_chunks;
    struct kl__resident_chunk *c = n > 0 ? p->chunks[n - 1] : NULL;
    if (c == NULL || c->n == CHUNK_ROWS || c->cap - c->used < row.len) {
        c = new_chunk(r, p, row.len);
    }
    uint32_t i = c->n;
    memcpy(c->bytes + c->used, row.ptr, row.len);
    c->used += (uint32_t)row.len;
    c->seq[i] = seq;
    c->born[i] = born;
    c->end[i] = c->used;
    p->row_bytes += row.len;
    atomic_store_explicit(&c->n, i + 1, memory_order_release);
    p->rows++;
}

static struct kl_slice row_at(const struct kl__resident_chunk *c, size_t i) {
    uint32_t from = i > 0 ? c->end[i - 1] : 0;
    return kl_slice(c->bytes + from, c->end[i] - from);
}

/* First row with _seq >= seq: its chunk and place; chunk == n_chunks when there is none. */
static void lower_bound(struct kl__resident_chunk *const *chunks, size_t n_chunks, int64_t seq, size_t *ret_chunk, size_t *ret_i) {
    size_t lo = 0, hi = n_chunks;
    while (lo < hi) { /* first chunk whose last row is not below */
        size_t mid = lo + (hi - lo) / 2;
        const struct kl__resident_chunk *c = chunks[mid];
        uint32_t n = atomic_load_explicit(&c->n, memory_order_acquire);
        if (n > 0 && c->seq[n - 1] < seq) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    *ret_chunk = lo;
    *ret_i = 0;
    if (lo == n_chunks) {
        return;
    }
    const struct kl__resident_chunk *c = chunks[lo];
    size_t a = 0, b = atomic_load_explicit(&c->n, memory_order_acquire);
    while (a < b) {
        size_t mid = a + (b - a) / 2;
        if (c->seq[mid] < seq) {
            a = mid + 1;
        } else {
            b = mid;
        }
    }
    *ret_i = a;
}

static struct kl__resident_chunk *locate(const struct kl__resident *p, int64_t seq, size_t *ret_i) {
    size_t n = atomic_load_explicit(&p->n_chunks, memory_order_acquire), k;
    struct kl__resident_chunk **chunks = atomic_load_explicit(&p->chunks, memory_order_acquire);
    lower_bound(chunks, n, seq, &k, ret_i);
    if (k == n || *ret_i >= chunks[k]->n || chunks[k]->seq[*ret_i] != seq) {
        return NULL;
    }
    return chunks[k];
}

static void bury(struct kl__resident *p, int64_t seq, uint64_t stamp) {
    size_t i;
    struct kl__resident_chunk *c = seq > 0 ? locate(p, seq, &i) : NULL;
    if (c != NULL && c->dead[i] == 0) {
        c->dead[i] = stamp;
        p->dead++;
    }
}

static bool live(const struct kl__resident_chunk *c, size_t i, uint64_t stamp) {
    uint64_t dead = atomic_load_explicit(&c->dead[i], memory_order_acquire);
    return c->born[i] <= stamp && (dead == 0 || dead > stamp);
}

/* ---- reading ---- */

static size_t rows_of(const struct kl__resident_pos *pos, struct kl__resident_chunk *const *chunks, size_t k) {
    return k + 1 == pos->n_chunks ? pos->last_n : chunks[k]->n;
}

void kl__resident_start(const struct kl__resident *p, uint64_t stamp, int64_t after, int64_t upto, bool backward, struct kl__resident_pos *ret) {
    size_t n = atomic_load_explicit(&p->n_chunks, memory_order_acquire), k, i;
    struct kl__resident_chunk **chunks = atomic_load_explicit(&p->chunks, memory_order_acquire);
    int64_t from = backward ? upto : after;
    *ret = (struct kl__resident_pos){
        .stamp = stamp, .n_chunks = n, .last_n = n > 0 ? chunks[n - 1]->n : 0, .chunk = backward ? n : 0, .backward = backward};
    if (from <= 0) {
        return;
    }
    lower_bound(chunks, n, from + 1, &k, &i);
    ret->chunk = k;
    if (k < n) { /* stand in that chunk */
        ret->at = chunks[k];
        ret->end = rows_of(ret, chunks, k);
        ret->i = KL_MIN(i, ret->end);
        ret->chunk += !backward;
    }
}

/* The next chunk in the direction of the walk; false at the end. */
static bool next_chunk(const struct kl__resident *p, struct kl__resident_pos *pos) {
    struct kl__resident_chunk **chunks = atomic_load_explicit(&p->chunks, memory_order_acquire);
    if (pos->backward ? pos->chunk == 0 : pos->chunk >= pos->n_chunks) {
        return false;
    }
    size_t k = pos->backward ? --pos->chunk : pos->chunk++;
    pos->at = chunks[k];
    pos->end = rows_of(pos, chunks, k);
    pos->i = pos->backward ? pos->end : 0;
    return true;
}

bool kl__resident_next(const struct kl__resident *p, struct kl__resident_pos *pos, int64_t *ret_seq, struct kl_slice *ret) {
    for (;;) {
        const struct kl__resident_chunk *c = pos->at;
        while (pos->backward ? pos->i > 0 : pos->i < pos->end) {
            size_t i = pos->backward ? --pos->i : pos->i++;
            if (live(c, i, pos->stamp)) {
                *ret_seq = c->seq[i];
                *ret = row_at(c, i);
                return true;
            }
        }
        if (!next_chunk(p, pos)) {
            return false;
        }
    }
}

bool kl__resident_row(const struct kl__resident *p, uint64_t stamp, int64_t seq, struct kl_slice *ret) {
    size_t i;
    const struct kl__resident_chunk *c = locate(p, seq, &i);
    if (c == NULL || !live(c, i, stamp)) {
        return false;
    }
    *ret = row_at(c, i);
    return true;
}

struct kl__resident *kl__resident_at(struct kl_engine *e, const struct kl_table *t, struct kl_slice user, const struct kl__cut *cut) {
    struct kl__residents *r = e->residents;
    struct kl_slice owner = t->type == KL_TABLE_USER ? user : KL_SLICE_NONE;
    if (cut == NULL || !cut->exact || r->count == 0) {
        return NULL;
    }
    pthread_mutex_lock(&r->lock);
    struct kl__resident *p = find(r, t->id, owner, hash_of(t->id, owner));
    if (p != NULL && p->ready && p->since <= cut->stamp) {
        p->refs++;
        p->used_at = ++r->clock;
    } else {
        p = NULL;
    }
    pthread_mutex_unlock(&r->lock);
    return p;
}

/* ---- cuts ---- */

static bool try_cut(struct kl__residents *r, struct kl__cut *c) {
    uint64_t generation = atomic_load(&r->generation);
    if (atomic_load(&r->under_way) != 0) {
        return false;
    }
    c->stamp = atomic_load(&r->stamp);
    c->snap = kl_snapshot_take(r->engine->o.store);
    c->exact = atomic_load(&r->generation) == generation;
    if (!c->exact) {
        kl_snapshot_release(r->engine->o.store, c->snap);
    }
    return c->exact;
}

void kl__cut_take(struct kl_engine *e, bool may_wait, struct kl__cut *ret) {
    struct kl__residents *r = e->residents;
    *ret = (struct kl__cut){0};
    for (int i = 0; r->max_bytes > 0 && i < (may_wait ? WAIT_STEPS : 1); i++) {
        struct timespec step = {0, WAIT_STEP_NS};
        if (try_cut(r, ret)) {
            return;
        }
        if (may_wait) {
            nanosleep(&step, NULL);
        }
    }
    *ret = (struct kl__cut){.snap = kl_snapshot_take(e->o.store)};
}

void kl__cut_release(struct kl_engine *e, struct kl__cut *c) {
    kl_snapshot_release(e->o.store, c->snap);
    c->snap = NULL;
}

/* ---- loading ---- */

/* Counts the scans of a partition: true for the second, and for one in 256 after that, should loading it have been of no use then. */
static bool due(struct kl__residents *r, uint64_t hash) {
    _Atomic uint32_t *at = &r->seen[hash >> 16 & (SEEN - 1)];
    uint32_t tag = (uint32_t)(hash >> 32) & ~0xFFu, was = *at, scans = (was & ~0xFFu) == tag ? (was + 1) & 0xFF : 0;
    *at = tag | scans;
    return scans == 1;
}

static struct kl__resident *enter(struct kl__residents *r, uint32_t table, struct kl_slice user, uint64_t hash) {
    struct kl__resident *p = kl_xcalloc(1, sizeof(*p) + user.len);
    p->refs = 2; /* the table's and the loader's */
    p->hash = hash;
    p->table = table;
    if (user.len > 0) {
        memcpy(p + 1, user.ptr, user.len);
    }
    p->user = kl_slice((const char *)(p + 1), user.len);
    p->backlog_end = &p->backlog;
    p->bytes = sizeof(*p) + user.len;
    pthread_mutex_init(&p->lock, NULL);
    p->next = r->buckets[hash >> 32 & (BUCKETS - 1)];
    r->buckets[hash >> 32 & (BUCKETS - 1)] = p;
    r->count++;
    r->bytes += p->bytes;
    return p;
}

/* The rows of the snapshot. False: too large, or unreadable. */
static bool load_rows(struct kl__residents *r, struct kl__resident *p, const struct kl_table *t, const struct kl__cut *cut) {
    struct kl_scope scope = kl_table_scope(t, p->user, r->engine->user_shards);
    struct kl_key prefix;
    struct kl_err err;
    kl_key_partition(&prefix, &scope, t->id);
    struct kl_iter_options o = {KL_CF_ROW, kl_key_view(&prefix), cut->snap};
    struct kl_iter *it = kl_iter_new(r->engine->o.store, &o);
    bool fits = true;
    for (kl_iter_seek_first(it); fits && kl_iter_valid(it); kl_iter_next(it)) {
        struct kl_row_head head;
        int64_t seq = kl_key_row_seq(kl_iter_key(it));
        fits = kl_row_head(kl_iter_value(it), seq, &head) == KL_OK && p->bytes < r->max_bytes - r->max_bytes / 8;
        if (fits && !head.tombstone) {
            append(r, p, seq, kl_iter_value(it), 0);
        }
    }
    fits = kl_iter_status(it, &err) == KL_OK && fits;
    kl_iter_free(it);
    return fits;
}

static void apply(struct kl__residents *r, struct kl__resident *p, enum kl_change_op op, int64_t seq, int64_t prev, struct kl_slice row, uint64_t stamp) {
    bury(p, prev, stamp);
    if (op != KL_CHANGE_DELETE) {
        append(r, p, seq, row, stamp);
    }
}

/* What was committed since the snapshot; then readers may come. p->lock is held. */
static void apply_backlog(struct kl__residents *r, struct kl__resident *p) {
    for (struct backlog *b = p->backlog, *next; b != NULL; b = next) {
        next = b->next;
        if (b->stamp > p->since) {
            apply(r, p, b->op, b->seq, b->prev_seq, b->row, b->stamp);
        }
        free(b);
    }
    p->backlog = NULL;
    p->backlog_end = &p->backlog;
}

static void load(struct kl__residents *r, struct kl__resident *p, const struct kl_table *t) {
    struct kl__cut cut;
    kl__cut_take(r->engine, true, &cut);
    bool ok = cut.exact && load_rows(r, p, t, &cut);
    p->since = cut.stamp;
    kl__cut_release(r->engine, &cut);
    pthread_mutex_lock(&r->lock);
    pthread_mutex_lock(&p->lock);
    ok = ok && !p->overflow && p->rows >= MIN_ROWS;
    if (ok) {
        apply_backlog(r, p);
        p->used_at = ++r->clock;
        p->ready = true;
    }
    pthread_mutex_unlock(&p->lock);
    bool known = find(r, p->table, p->user, p->hash) == p;
    if (!known) { /* dropped meanwhile; what came since is still counted */
        r->bytes -= p->bytes - p->gone_bytes;
    } else if (!ok || !make_room(r, p)) {
        forget(r, p);
    }
    pthread_mutex_unlock(&r->lock);
    kl__resident_release(p);
}

bool kl__resident_want(struct kl_engine *e, const struct kl_table *t, struct kl_slice user) {
    struct kl__residents *r = e->residents;
    struct kl_slice owner = t->type == KL_TABLE_USER ? user : KL_SLICE_NONE;
    uint64_t hash = hash_of(t->id, owner);
    if (r->max_bytes == 0 || (t->type != KL_TABLE_USER && t->type != KL_TABLE_SHARED)) {
        return false;
    }
    pthread_mutex_lock(&r->lock);
    struct kl__resident *p = find(r, t->id, owner, hash);
    bool there = p != NULL && p->ready, enters = p == NULL && due(r, hash);
    p = enters ? enter(r, t->id, owner, hash) : NULL;
    pthread_mutex_unlock(&r->lock);
    if (enters) {
        load(r, p, t);
    }
    return there || enters;
}

size_t kl__resident_size(struct kl_engine *e, const struct kl_table *t, struct kl_slice user) {
    struct kl__residents *r = e->residents;
    struct kl_slice owner = t->type == KL_TABLE_USER ? user : KL_SLICE_NONE;
    if (r->count == 0) {
        return 0;
    }
    pthread_mutex_lock(&r->lock);
    struct kl__resident *p = find(r, t->id, owner, hash_of(t->id, owner));
    size_t n = p != NULL && p->ready ? p->rows : 0;
    pthread_mutex_unlock(&r->lock);
    return n;
}

/* ---- writers ---- */

void kl__residents_commit_begin(struct kl_engine *e) {
    atomic_fetch_add(&e->residents->under_way, 1);
    atomic_fetch_add(&e->residents->generation, 1);
}

static void keep_for_later(struct kl__resident *p, const struct kl_change *c, uint64_t stamp) {
    size_t bytes = sizeof(struct backlog) + c->new_row.len;
    if (p->overflow || p->backlog_bytes + bytes > BACKLOG_BYTES) {
        p->overflow = true;
        return;
    }
    struct backlog *b = kl_xmalloc(bytes);
    *b = (struct backlog){.stamp = stamp, .op = c->op, .seq = c->seq, .prev_seq = c->prev_seq, .row = kl_slice((const char *)(b + 1), c->new_row.len)};
    memcpy(b + 1, c->new_row.ptr, c->new_row.len);
    *p->backlog_end = b;
    p->backlog_end = &b->next;
    p->backlog_bytes += bytes;
}

static void put_change(struct kl__residents *r, const struct kl_change *c, uint64_t stamp) {
    struct kl_slice owner = c->table->type == KL_TABLE_USER ? c->user : KL_SLICE_NONE;
    struct kl__resident *p = find(r, c->table->id, owner, hash_of(c->table->id, owner));
    if (p == NULL) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    bool ready = p->ready;
    if (ready) {
        apply(r, p, c->op, c->seq, c->prev_seq, c->new_row, stamp);
    } else {
        keep_for_later(p, c, stamp);
    }
    pthread_mutex_unlock(&p->lock);
    if (ready && p->dead > p->rows / 2 + CHUNK_ROWS) {
        forget(r, p);
    }
}

void kl__residents_commit_end(struct kl_engine *e, const struct kl_change *changes, size_t n) {
    struct kl__residents *r = e->residents;
    if (n > 0 && r->count > 0) {
        pthread_mutex_lock(&r->lock);
        uint64_t stamp = atomic_fetch_add(&r->stamp, 1) + 1; /* nobody takes a cut before the end */
        for (size_t i = 0; i < n; i++) {
            if (changes[i].table->type == KL_TABLE_USER || changes[i].table->type == KL_TABLE_SHARED) {
                put_change(r, &changes[i], stamp);
            }
        }
        make_room(r, NULL);
        pthread_mutex_unlock(&r->lock);
    } else if (n > 0) {
        atomic_fetch_add(&r->stamp, 1);
    }
    atomic_fetch_sub(&r->under_way, 1);
}

void kl__residents_stats(struct kl_engine *e, uint64_t *ret_partitions, uint64_t *ret_bytes) {
    *ret_partitions = e->residents->count;
    *ret_bytes = e->residents->bytes;
}

void kl__residents_drop_table(struct kl_engine *e, uint32_t table) {
    struct kl__residents *r = e->residents;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct kl__resident *p = r->buckets[i], *next; p != NULL; p = next) {
            next = p->next;
            if (p->table == table) {
                forget(r, p);
            }
        }
    }
    pthread_mutex_unlock(&r->lock);
}

struct kl__residents *kl__residents_new(struct kl_engine *e, size_t max_bytes) {
    struct kl__residents *r = kl_xcalloc(1, sizeof(*r));
    r->engine = e;
    r->max_bytes = max_bytes;
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

void kl__residents_free(struct kl__residents *r) {
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        while (r->buckets[i] != NULL) {
            forget(r, r->buckets[i]);
        }
    }
    pthread_mutex_destroy(&r->lock);
    free(r);
}
