/* The hot store: keys, the row format, batches, snapshots. The only folder that knows RocksDB.
 *
 * Column families and keys (all integers big-endian so that byte order is number order):
 *
 *   scope      shard u16 | kind u8 (1 user, 2 shared) | user id length u8 | user id bytes      all rows of one user are one range
 *   row        scope | table id u32 | _seq i64                     -> row bytes (below)
 *   pk         scope | table id u32 | encoded primary key          -> place of the live version: tag u8 1 | _seq i64 be
 *   idx        scope | index id u32 | encoded columns | _seq i64   -> empty: an entry of a secondary index (ids are those of tables' counter)
 *   idx        scope | index id u32 | encoded columns             -> _seq i64 be: entry of a unique index without NULLs
 *   meta       object kind u8 | id bytes                           -> record of that kind (catalog/, auth/, engine/ own the formats)
 *
 * An encoded primary key compares by memcmp as its values do (kl_pk_encode).
 *
 * Row bytes, version 1:
 *   u8  format (1)
 *   u8  flags: 1 tombstone, 2 has lineage
 *   varint schema version of the table
 *   [lineage: varint (_seq - origin_seq), varint (_seq - prev_seq)]   origin: _seq of the first version; prev: of the version replaced
 *   null bitmap, (columns + 7) / 8 bytes, bit set = NULL
 *   fixed part: every fixed-size column's bytes in layout order (zeros when NULL): BOOLEAN 1, SMALLINT 2, INT DATE FLOAT 4,
 *               BIGINT DOUBLE TIMESTAMP DATETIME TIME 8, UUID DECIMAL 16, EMBEDDING 4*dim; little-endian
 *   u32 end offset of each variable column, relative to the start of the variable part
 *   variable part
 * A tombstone keeps the values of the row it removed. Columns are found by column id through the layout of the schema version that wrote
 * the row, so one column is read without decoding the others.
 *
 * Threads: kl_store and snapshots may be used from any thread; a kl_batch and a kl_iter belong to one. */
#ifndef KL_STORE_H
#define KL_STORE_H

#include "types/types.h"

/* ---- the database ---- */
struct kl_store;
struct kl_store_options {
    const char *path;         /* folder, made when missing */
    size_t block_cache_bytes; /* 0: 32 MiB; allocated as it fills */
    size_t write_buffer_bytes;/* 0: 64 MiB in all */
    int max_open_files;       /* 0: 512 */
    int background_jobs;      /* 0: 2 */
};
enum kl_rc kl_store_open(const struct kl_store_options *options, struct kl_store **ret, struct kl_err *err);
void kl_store_close(struct kl_store *s); /* accepts NULL; every snapshot and iterator must be gone */

enum kl_cf { KL_CF_META, KL_CF_ROW, KL_CF_PK, KL_CF_IDX, KL_CF_COUNT };

/* ---- keys ---- */
enum kl_scope_kind { KL_SCOPE_USER = 1, KL_SCOPE_SHARED = 2 };
struct kl_scope {
    uint16_t shard;
    uint8_t kind;
    struct kl_slice user; /* empty for SHARED; at most KL_USER_ID_MAX bytes */
};
#define KL_USER_ID_MAX 128
#define KL_KEY_PREFIX_MAX (2 + 1 + 1 + KL_USER_ID_MAX + 4)
#define KL_PK_MAX 1024 /* bytes of one encoded primary key */
/* A key being built on the stack. */
struct kl_key {
    uint16_t len;
    char data[KL_KEY_PREFIX_MAX + KL_PK_MAX];
};
static inline struct kl_slice kl_key_view(const struct kl_key *k) { return kl_slice(k->data, k->len); }
void kl_key_scope(struct kl_key *k, const struct kl_scope *scope);                     /* scope */
void kl_key_partition(struct kl_key *k, const struct kl_scope *scope, uint32_t table); /* scope | table */
void kl_key_row(struct kl_key *k, const struct kl_scope *scope, uint32_t table, int64_t seq);
/* pk: bytes of kl_pk_encode */
void kl_key_pk(struct kl_key *k, const struct kl_scope *scope, uint32_t table, struct kl_slice pk);
/* Key of an index entry; seq 0: without one (unique). encoded: bytes of kl_index_encode, also a prefix of columns. */
void kl_key_index(struct kl_key *k, const struct kl_scope *scope, uint32_t index, struct kl_slice encoded, int64_t seq);
int64_t kl_key_row_seq(struct kl_slice row_key); /* its last eight bytes */
/* Splits a row or pk key again; KL_E_CORRUPT when it is none. ret_rest: what follows the table id. */
enum kl_rc kl_key_parse(struct kl_slice key, struct kl_scope *ret_scope, uint32_t *ret_table, struct kl_slice *ret_rest);
/* The smallest key above every key with this prefix, in place; false when there is none (all 0xff). */
bool kl_key_next_prefix(struct kl_key *k);

/* Order-preserving encoding of non-NULL primary key values: integers and temporals with the sign bit flipped, floats in total order,
 * text and bytes with 0x00 escaped as 0x00 0xff and closed by 0x00 0x00. Values must have their column's type. KL_E_TOO_LARGE past KL_PK_MAX:
 * "primary key is too long". EMBEDDING, JSON and FILE are no key types: KL_E_TYPE. */
enum kl_rc kl_pk_encode(const struct kl_val *vals, size_t n, struct kl_buf *out, struct kl_err *err);

/* The same for columns of a secondary index, any of which may be NULL: each is a byte 1 and its kl_pk_encode bytes, or a byte 2 (NULLs come last).
 * Encodings of the first n columns are prefixes of those of all columns. KL_E_TOO_LARGE past KL_PK_MAX - 8: "index entry is too long". */
enum kl_rc kl_index_encode(const struct kl_val *vals, size_t n, struct kl_buf *out, struct kl_err *err);

/* ---- rows ---- */
/* How one schema version lays out its columns. Immutable once built. */
struct kl_layout_col {
    uint32_t column_id;
    struct kl_type type;
};
struct kl_layout {
    uint32_t schema_version;
    uint16_t n_cols, n_var;
    uint32_t fixed_size;
    const struct kl_layout_col *cols; /* borrowed */
    uint32_t *place; /* per column: offset in the fixed part, or index among the variable columns */
};
#define KL_ROW_MAX_COLS 1024
#define KL_ROW_MAX_BYTES (16u << 20)
void kl_layout_init(struct kl_layout *l, uint32_t schema_version, const struct kl_layout_col *cols, size_t n);
void kl_layout_deinit(struct kl_layout *l);

struct kl_row_head {
    uint32_t schema_version;
    bool tombstone;
    int64_t seq;        /* given by the key */
    int64_t origin_seq; /* == seq for a row that was never updated */
    int64_t prev_seq;   /* 0 for the first version */
};
/* Appends row bytes for vals[n_cols], each NULL or of exactly its column's type. KL_E_TOO_LARGE past KL_ROW_MAX_BYTES. */
enum kl_rc kl_row_encode(const struct kl_layout *l, const struct kl_row_head *head, const struct kl_val *vals,
    struct kl_buf *out, struct kl_err *err);
/* Reads the head only (to choose the layout). */
enum kl_rc kl_row_head(struct kl_slice row, int64_t seq, struct kl_row_head *ret);
/* The head, and what comes after it. */
enum kl_rc kl_row_split(struct kl_slice row, int64_t seq, struct kl_row_head *ret, struct kl_slice *ret_body);
/* A checked view of row bytes: every offset lies inside, so that kl_row_get cannot leave it. KL_E_CORRUPT. Borrows `row`. */
struct kl_row_view {
    const struct kl_layout *layout;
    struct kl_row_head head;
    const char *nulls, *fixed, *var_ends, *var;
    uint32_t var_len;
};
enum kl_rc kl_row_open(const struct kl_layout *l, struct kl_slice row, int64_t seq, struct kl_row_view *ret);
/* The same for a row that was split already; *ret is undefined on an error. */
enum kl_rc kl_row_open_body(const struct kl_layout *l, const struct kl_row_head *head, struct kl_slice body, struct kl_row_view *ret);
/* Column by position in the layout; the value borrows the row's bytes (an EMBEDDING unaligned: copy it before use as floats). */
void kl_row_get(const struct kl_row_view *v, unsigned index, struct kl_val *ret);
/* The tombstone of a row: same values, new seq, lineage to it. */
enum kl_rc kl_row_to_tombstone(struct kl_slice row, const struct kl_row_head *old_head, int64_t seq, struct kl_buf *out);

/* ---- snapshots and reads ---- */
struct kl_snapshot; /* a point-in-time view; NULL everywhere means "latest" */
struct kl_snapshot *kl_snapshot_take(struct kl_store *s);
void kl_snapshot_release(struct kl_store *s, struct kl_snapshot *snap); /* accepts NULL */

/* KL_E_NOT_FOUND when absent (no message). The value is pinned until kl_pinned_release. */
struct kl_pinned {
    struct kl_slice value;
    void *handle;
};
enum kl_rc kl_store_get(struct kl_store *s, struct kl_snapshot *snap, enum kl_cf cf, struct kl_slice key,
    struct kl_pinned *ret, struct kl_err *err);
void kl_pinned_release(struct kl_pinned *p);

/* Iterates keys that start with `prefix`. Values are borrowed until the next move. */
struct kl_iter;
struct kl_iter_options {
    enum kl_cf cf;
    struct kl_slice prefix;   /* copied */
    struct kl_snapshot *snap; /* NULL: latest */
};
struct kl_iter *kl_iter_new(struct kl_store *s, const struct kl_iter_options *options);
void kl_iter_free(struct kl_iter *it);
void kl_iter_seek_first(struct kl_iter *it);                /* first key of the prefix */
void kl_iter_seek_last(struct kl_iter *it);
void kl_iter_seek(struct kl_iter *it, struct kl_slice key); /* first key >= */
void kl_iter_next(struct kl_iter *it);
void kl_iter_prev(struct kl_iter *it);
bool kl_iter_valid(struct kl_iter *it); /* false at the end of the prefix, and on an error: ask kl_iter_status */
struct kl_slice kl_iter_key(struct kl_iter *it);
struct kl_slice kl_iter_value(struct kl_iter *it);
enum kl_rc kl_iter_status(struct kl_iter *it, struct kl_err *err);

/* ---- batches: the writer's view, store + what it has done so far ---- */
struct kl_batch;
struct kl_batch *kl_batch_new(struct kl_store *s);
void kl_batch_free(struct kl_batch *b);
void kl_batch_clear(struct kl_batch *b);
void kl_batch_put(struct kl_batch *b, enum kl_cf cf, struct kl_slice key, struct kl_slice value);
void kl_batch_del(struct kl_batch *b, enum kl_cf cf, struct kl_slice key);
void kl_batch_save_point(struct kl_batch *b);
void kl_batch_rollback(struct kl_batch *b);          /* to the newest save point, which is gone then; free when nothing was written since, else O(batch) */
size_t kl_batch_count(const struct kl_batch *b);     /* operations since clear */
size_t kl_batch_bytes(struct kl_batch *b);              /* of those operations */
/* Reads through the batch. The value is a copy in `out` (cleared first). KL_E_NOT_FOUND. */
enum kl_rc kl_batch_get(struct kl_batch *b, enum kl_cf cf, struct kl_slice key, struct kl_buf *out, struct kl_err *err);
/* Iterates batch over store; do not write to the batch while it is open. options->snap must be NULL. */
struct kl_iter *kl_batch_iter(struct kl_batch *b, const struct kl_iter_options *options);

/* Applies all the batches in one atomic write; with sync they are on disk when it returns. An error means that none of it may be
 * acknowledged; the store then refuses further writes (kl_store_failed) until the process restarts. */
enum kl_rc kl_store_commit(struct kl_store *s, struct kl_batch *const *batches, size_t n, bool sync, struct kl_err *err);
bool kl_store_failed(struct kl_store *s);
/* Removes the range [from, to) of a family without reading it. For dropped tables and users; ordered after earlier commits. */
enum kl_rc kl_store_delete_range(struct kl_store *s, enum kl_cf cf, struct kl_slice from, struct kl_slice to, struct kl_err *err);

struct kl_store_stats {
    uint64_t disk_bytes, memtable_bytes, cache_bytes, keys_estimate[KL_CF_COUNT];
};
void kl_store_stats(struct kl_store *s, struct kl_store_stats *ret);

#endif
