/* The database: opening and closing RocksDB, commits, point reads, snapshots, range deletion,
 * figures.
 *
 * Durability. A commit becomes one record of the write-ahead log (WAL), however many batches it
 * has: after a crash all of it is there or nothing. A synced commit returns after fdatasync of the
 * log. (RocksDB syncs every log file that still has unsynced bytes, so this holds when a memtable
 * switch opens a new one in between.)
 *
 * Recovery reads the log in mode "tolerate corrupted tail records": a record that ends with the
 * file is the torn end of an unfinished write and is dropped; it was never acknowledged. Damage
 * anywhere else refuses to open. The other modes are not for us: "point in time" stops at the first
 * bad record and silently drops every acknowledged write behind it, "skip any" loses some in the
 * middle, "absolute consistency" does not start after an ordinary power cut.
 *
 * Failure. When a commit fails nobody knows what the disk holds (after a failed fsync the kernel
 * may have dropped the pages), so the store refuses all further writes until the process restarts
 * and recovers from the log. Reads go on.
 *
 * Memory. The column families share one block cache and one write buffer budget. Index and filter
 * blocks live in the cache too, in partitions of 4 KiB, so that a large database does not grow the
 * process. Nothing is allocated before it is needed.
 *
 * Every function may be called from any thread. */
#include "store/internal.h"
#include "os/os.h"
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#define DEFAULT_CACHE_BYTES ((size_t)32 << 20)
#define DEFAULT_WRITE_BUFFER_BYTES ((size_t)64 << 20)
#define DEFAULT_OPEN_FILES 512
#define DEFAULT_JOBS 2
#define MIN_WRITE_BUFFER_BYTES ((size_t)1 << 20)
#define BLOOM_BITS_PER_KEY 10
#define INFO_LOG_LEVEL_WARN 2

/* What differs between the families. */
static const struct family {
    const char *name;
    size_t block_bytes;
    bool hash_index; /* inside a data block: for point reads of single keys */
    int bottom_compression;
} families[KL_CF_COUNT] = {
    [KL_CF_META] = {"meta", 4096, false, rocksdb_lz4_compression},
    [KL_CF_ROW] = {"row", 8192, false, rocksdb_zstd_compression},
    [KL_CF_PK] = {"pk", 4096, true, rocksdb_lz4_compression},
    [KL_CF_IDX] = {"idx", 4096, true, rocksdb_lz4_compression},
};

enum kl_rc kl_store__error(char *rocks_error, const char *doing, struct kl_err *err) {
    enum kl_rc rc = KL_E_IO;
    if (strncmp(rocks_error, "Corruption", 10) == 0) {
        rc = KL_E_CORRUPT;
    } else if (strncmp(rocks_error, "Invalid argument", 16) == 0 ||
               strncmp(rocks_error, "Not implemented", 15) == 0) {
        rc = KL_E_INTERNAL;
    }
    kl_fail(err, rc, "%s: %s", doing, rocks_error);
    rocksdb_free(rocks_error);
    return rc;
}

/* ---- opening and closing ---- */

static rocksdb_block_based_table_options_t *table_options(
    const struct family *f, rocksdb_cache_t *cache) {
    rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(t, cache);
    rocksdb_block_based_options_set_block_size(t, f->block_bytes);
    rocksdb_block_based_options_set_format_version(t, 5);
    rocksdb_block_based_options_set_filter_policy(
        t, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS_PER_KEY));
    rocksdb_block_based_options_set_whole_key_filtering(t, 1);
    /* Index and filter of an open file stay with it, outside the cache: a point read then takes one look into the cache, not three. They are about
     * 1.5 % of the file; max_open_files bounds them. */
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 0);
    if (f->hash_index) {
        rocksdb_block_based_options_set_data_block_index_type(
            t, rocksdb_block_based_table_data_block_index_type_binary_search_and_hash);
        rocksdb_block_based_options_set_data_block_hash_ratio(t, 0.75);
    }
    return t;
}

static rocksdb_options_t *family_options(
    const struct family *f, rocksdb_cache_t *cache, size_t write_buffer) {
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_block_based_table_options_t *t = table_options(f, cache);
    rocksdb_options_set_block_based_table_factory(o, t);
    rocksdb_block_based_options_destroy(t);
    /* A family may not fill the shared budget alone while its older buffers are still being written
     * out. */
    rocksdb_options_set_write_buffer_size(o, KL_MAX(write_buffer / 4, MIN_WRITE_BUFFER_BYTES / 2));
    rocksdb_options_set_max_write_buffer_number(o, 3);
    rocksdb_options_set_arena_block_size(o, 64 << 10);
    /* A read of a row that has been written out must not search the whole memtable first. */
    rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, 0.02);
    rocksdb_options_set_memtable_whole_key_filtering(o, 1);
    rocksdb_options_set_target_file_size_base(o, 32 << 20);
    /* Rows of all users come at once, so each compaction out of level 0 rewrites much of the level below: fewer and larger ones. */
    rocksdb_options_set_level0_file_num_compaction_trigger(o, 8);
    rocksdb_options_set_level0_slowdown_writes_trigger(o, 32);
    rocksdb_options_set_level0_stop_writes_trigger(o, 48);
    rocksdb_options_set_max_bytes_for_level_base(o, 256 << 20);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
    rocksdb_options_set_compression(o, rocksdb_lz4_compression);
    rocksdb_options_set_bottommost_compression(o, f->bottom_compression);
    return o;
}

static rocksdb_options_t *db_options(const struct kl_store_options *options, size_t write_buffer) {
    rocksdb_options_t *o = rocksdb_options_create();
    int jobs = options->background_jobs ? options->background_jobs : DEFAULT_JOBS;
    rocksdb_options_set_create_if_missing(o, 1);
    /* Also what a data directory made by an older version lacks. */
    rocksdb_options_set_create_missing_column_families(o, 1);
    rocksdb_options_set_paranoid_checks(o, 1);
    rocksdb_options_set_wal_recovery_mode(o, rocksdb_tolerate_corrupted_tail_records_recovery);
    rocksdb_options_set_db_write_buffer_size(o, write_buffer);
    /* A family that is rarely written would otherwise keep every log file since its last flush. */
    rocksdb_options_set_max_total_wal_size(o, 2 * write_buffer);
    rocksdb_options_set_max_open_files(
        o, options->max_open_files ? options->max_open_files : DEFAULT_OPEN_FILES);
    rocksdb_options_set_max_file_opening_threads(o, 1);
    rocksdb_options_set_table_cache_numshardbits(o, 4);
    rocksdb_options_set_max_background_jobs(o, jobs);
    /* Compaction takes the processor that nobody else wants; flushes hold up writers and keep theirs. The environment is the process's. */
    rocksdb_env_t *env = rocksdb_create_default_env();
    rocksdb_env_lower_thread_pool_cpu_priority(env);
    rocksdb_env_destroy(env);
    rocksdb_options_set_bytes_per_sync(o, 1 << 20);
    rocksdb_options_set_manifest_preallocation_size(o, 64 << 10);
    rocksdb_options_set_skip_stats_update_on_db_open(o, 1);
    rocksdb_options_set_stats_dump_period_sec(o, 0);
    rocksdb_options_set_stats_persist_period_sec(o, 0);
    rocksdb_options_set_info_log_level(o, INFO_LOG_LEVEL_WARN);
    rocksdb_options_set_keep_log_file_num(o, 2);
    rocksdb_options_set_max_log_file_size(o, 1 << 20);
    rocksdb_options_set_allow_mmap_reads(o, 0);
    rocksdb_options_set_allow_mmap_writes(o, 0);
    rocksdb_options_set_avoid_unnecessary_blocking_io(o, 1);
    return o;
}

static rocksdb_cache_t *make_cache(size_t bytes) {
    rocksdb_lru_cache_options_t *o = rocksdb_lru_cache_options_create();
    rocksdb_lru_cache_options_set_capacity(o, bytes);
    rocksdb_lru_cache_options_set_num_shard_bits(o, 4);
    rocksdb_cache_t *cache = rocksdb_cache_create_lru_opts(o);
    rocksdb_lru_cache_options_destroy(o);
    return cache;
}

static enum kl_rc open_families(
    struct kl_store *s, const struct kl_store_options *options, struct kl_err *err) {
    size_t write_buffer =
        options->write_buffer_bytes ? options->write_buffer_bytes : DEFAULT_WRITE_BUFFER_BYTES;
    write_buffer = KL_MAX(write_buffer, MIN_WRITE_BUFFER_BYTES);
    rocksdb_options_t *db = db_options(options, write_buffer);
    rocksdb_options_t *per_family[KL_CF_COUNT + 1];
    const char *names[KL_CF_COUNT + 1];
    rocksdb_column_family_handle_t *handles[KL_CF_COUNT + 1] = {0};
    for (int i = 0; i < KL_CF_COUNT; i++) {
        names[i] = families[i].name;
        per_family[i] = family_options(&families[i], s->cache, write_buffer);
    }
    names[KL_CF_COUNT] = "default";
    per_family[KL_CF_COUNT] = family_options(&families[KL_CF_META], s->cache, write_buffer);

    char *error = NULL;
    s->db = rocksdb_open_column_families(db, s->path, KL_CF_COUNT + 1, names,
        (const rocksdb_options_t *const *)per_family, handles, &error);
    for (int i = 0; i <= KL_CF_COUNT; i++) {
        rocksdb_options_destroy(per_family[i]);
    }
    rocksdb_options_destroy(db);
    if (error) {
        s->db = NULL;
        enum kl_rc rc = kl_store__error(error, "cannot open the store", err);
        if (rc == KL_E_CORRUPT) {
            kl_err_hint(err,
                "A file in %.120s is damaged. Nothing was changed; restore it or a backup.",
                s->path);
        }
        return rc;
    }
    memcpy(s->cf, handles, sizeof(s->cf));
    for (int i = 0; i < KL_CF_COUNT; i++) {
        s->cf_id[i] = rocksdb_column_family_handle_get_id(s->cf[i]);
    }
    s->cf_default = handles[KL_CF_COUNT];
    return KL_OK;
}

enum kl_rc kl_store_open(
    const struct kl_store_options *options, struct kl_store **ret, struct kl_err *err) {
    KL_TRY(kl_dir_make(options->path, 0700, err));
    struct kl_store *s = kl_xcalloc(1, sizeof(*s));
    s->path = kl_xstrdup(options->path);
    s->cache =
        make_cache(options->block_cache_bytes ? options->block_cache_bytes : DEFAULT_CACHE_BYTES);
    enum kl_rc rc = open_families(s, options, err);
    if (rc != KL_OK) {
        kl_store_close(s);
        return rc;
    }
    s->read_latest = rocksdb_readoptions_create();
    s->write_unsynced = rocksdb_writeoptions_create();
    s->write_synced = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(s->write_synced, 1);
    *ret = s;
    return KL_OK;
}

static void close_db(struct kl_store *s) {
    if (!kl_store_failed(s)) {
        /* Unsynced commits survive a clean stop followed by a power cut. Nobody is left to tell
         * about an error. */
        char *error = NULL;
        rocksdb_flush_wal(s->db, 1, &error);
        rocksdb_free(error);
    }
    for (int i = 0; i < KL_CF_COUNT; i++) {
        rocksdb_column_family_handle_destroy(s->cf[i]);
    }
    rocksdb_column_family_handle_destroy(s->cf_default);
    rocksdb_close(s->db);
}

void kl_store_close(struct kl_store *s) {
    if (!s) {
        return;
    }
    if (s->db) {
        close_db(s);
    }
    if (s->read_latest) {
        rocksdb_readoptions_destroy(s->read_latest);
        rocksdb_writeoptions_destroy(s->write_synced);
        rocksdb_writeoptions_destroy(s->write_unsynced);
    }
    rocksdb_cache_destroy(s->cache);
    free(s->path);
    free(s);
}

/* ---- snapshots and point reads ---- */

struct kl_snapshot *kl_snapshot_take(struct kl_store *s) {
    struct kl_snapshot *snap = kl_xcalloc(1, sizeof(*snap));
    snap->snap = rocksdb_create_snapshot(s->db);
    snap->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(snap->read, snap->snap);
    return snap;
}

void kl_snapshot_release(struct kl_store *s, struct kl_snapshot *snap) {
    if (!snap) {
        return;
    }
    rocksdb_readoptions_destroy(snap->read);
    rocksdb_release_snapshot(s->db, snap->snap);
    free(snap);
}

enum kl_rc kl_store_get(struct kl_store *s, struct kl_snapshot *snap, enum kl_cf cf,
    struct kl_slice key, struct kl_pinned *ret, struct kl_err *err) {
    kl_store__no_counters();
    char *error = NULL;
    rocksdb_pinnableslice_t *pin = rocksdb_get_pinned_cf(
        s->db, snap ? snap->read : s->read_latest, s->cf[cf], key.ptr, key.len, &error);
    if (error) {
        return kl_store__error(error, "cannot read from the store", err);
    }
    if (!pin) {
        return KL_E_NOT_FOUND;
    }
    ret->handle = pin;
    ret->value.ptr = rocksdb_pinnableslice_value(pin, &ret->value.len);
    return KL_OK;
}

void kl_pinned_release(struct kl_pinned *p) {
    if (p->handle) {
        rocksdb_pinnableslice_destroy(p->handle);
    }
    *p = (struct kl_pinned){0};
}

/* ---- writes ---- */

bool kl_store_failed(struct kl_store *s) {
    return atomic_load_explicit(&s->failed, memory_order_acquire);
}

static enum kl_rc refuse_if_failed(struct kl_store *s, struct kl_err *err) {
    if (kl_store_failed(s)) {
        return kl_fail(
            err, KL_E_IO, "the store takes no writes after a failed one; restart the server");
    }
    return KL_OK;
}

static enum kl_rc write_rep(struct kl_store *s, struct kl_slice rep, bool sync, struct kl_err *err) {
    char *error = NULL;
    rocksdb_writebatch_t *wb = rocksdb_writebatch_create_from(rep.ptr, rep.len);
    rocksdb_write(s->db, sync ? s->write_synced : s->write_unsynced, wb, &error);
    rocksdb_writebatch_destroy(wb);
    return error ? kl_store__error(error, "cannot commit", err) : KL_OK;
}

/* Several batches become one by putting their operations behind one header. */
static enum kl_rc merge(
    struct kl_batch *const *batches, size_t n, struct kl_buf *out, struct kl_err *err) {
    uint32_t count = 0;
    kl_buf_le64(out, 0);
    kl_buf_le32(out, 0);
    for (size_t i = 0; i < n; i++) {
        if (__builtin_add_overflow(count, kl_batch_count(batches[i]), &count)) {
            return kl_fail(err, KL_E_TOO_LARGE, "a commit has too many operations");
        }
        kl_buf_slice(out, kl_slice_from(kl_batch__rep(batches[i]), KL_BATCH__HEADER));
    }
    if (out->failed) {
        return kl_fail(err, KL_E_NOMEM, "out of memory for a commit");
    }
    for (int i = 0; i < 4; i++) {
        out->data[8 + i] = (char)(count >> (8 * i));
    }
    return KL_OK;
}

static enum kl_rc write_merged(struct kl_store *s, struct kl_batch *const *batches, size_t n,
    bool sync, struct kl_err *err) {
    struct kl_buf all = {0};
    enum kl_rc rc = merge(batches, n, &all, err);
    if (rc == KL_OK) {
        rc = write_rep(s, kl_buf_view(&all), sync, err);
    }
    kl_buf_deinit(&all);
    return rc;
}

static enum kl_rc commit(
    struct kl_store *s, struct kl_batch *const *batches, size_t n, bool sync, struct kl_err *err) {
    size_t dirty = 0;
    struct kl_batch *last = NULL;
    for (size_t i = 0; i < n; i++) {
        if (kl_batch_count(batches[i]) > 0) {
            dirty++;
            last = batches[i];
        }
    }
    if (dirty == 0) {
        return KL_OK;
    }
    if (kl_fault("store.commit")) {
        return kl_fail(err, KL_E_IO, "cannot commit: fault point");
    }
    return dirty == 1 ? write_rep(s, kl_batch__rep(last), sync, err)
                      : write_merged(s, batches, n, sync, err);
}

enum kl_rc kl_store_commit(
    struct kl_store *s, struct kl_batch *const *batches, size_t n, bool sync, struct kl_err *err) {
    KL_TRY(refuse_if_failed(s, err));
    kl_store__no_counters();
    enum kl_rc rc = commit(s, batches, n, sync, err);
    if (rc != KL_OK) {
        atomic_store_explicit(&s->failed, true, memory_order_release);
    }
    return rc;
}

enum kl_rc kl_store_delete_range(struct kl_store *s, enum kl_cf cf, struct kl_slice from,
    struct kl_slice to, struct kl_err *err) {
    KL_TRY(refuse_if_failed(s, err));
    KL_ASSERT(kl_slice_cmp(from, to) <= 0);
    char *error = NULL;
    if (kl_fault("store.commit")) {
        kl_fail(err, KL_E_IO, "cannot delete a range: fault point");
    } else {
        rocksdb_delete_range_cf(
            s->db, s->write_synced, s->cf[cf], from.ptr, from.len, to.ptr, to.len, &error);
        if (!error) {
            return KL_OK;
        }
    }
    atomic_store_explicit(&s->failed, true, memory_order_release);
    return error ? kl_store__error(error, "cannot delete a range", err) : KL_E_IO;
}

/* ---- figures ---- */

static uint64_t property(struct kl_store *s, rocksdb_column_family_handle_t *cf, const char *name) {
    uint64_t value = 0;
    return rocksdb_property_int_cf(s->db, cf, name, &value) == 0 ? value : 0;
}

/* RocksDB has no figure for its log files, so all files are added up. */
static uint64_t folder_bytes(const char *path) {
    DIR *dir = opendir(path);
    if (!dir) {
        return 0;
    }
    uint64_t bytes = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        struct stat st;
        if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode)) {
            bytes += (uint64_t)st.st_size;
        }
    }
    closedir(dir);
    return bytes;
}

void kl_store_stats(struct kl_store *s, struct kl_store_stats *ret) {
    *ret = (struct kl_store_stats){
        .disk_bytes = folder_bytes(s->path),
        .memtable_bytes = property(s, s->cf_default, "rocksdb.size-all-mem-tables"),
        .cache_bytes = rocksdb_cache_get_usage(s->cache),
    };
    for (int i = 0; i < KL_CF_COUNT; i++) {
        ret->memtable_bytes += property(s, s->cf[i], "rocksdb.size-all-mem-tables");
        ret->keys_estimate[i] = property(s, s->cf[i], "rocksdb.estimate-num-keys");
    }
}
