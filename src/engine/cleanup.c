/* Removing the rows of dropped tables and the entries of dropped indexes, on the background thread.
 *
 * Key: KL_META_CLEANUP u8 | table or index id u32 be.  Value: version u8 (1).  Written in the commit that drops it, removed when its last row or
 * entry is gone, so a crash in between resumes at the next start. Ids are never used twice: rows left behind are invisible, only space.
 *
 * All rows of one user are one range of keys, so the rows of a table are one short range in each user's. The walk goes from scope to scope by
 * seeking: scope | table, then past the scope. No writer touches these rows any more (its plans are stale), so ranges are removed beside the
 * writers. */
#include "engine/jobs.h"

#include <stdio.h>
#include <stdlib.h>

#define TARGET "cleanup"

struct job {
    struct kl_task task;
    struct kl_engine *engine;
    uint32_t table;
    struct kl__job *shown; /* in system.jobs */
};
struct forget {
    struct kl__cmd cmd;
    uint32_t table;
};

struct kl_slice kl__table_key(enum kl_meta_kind kind, uint32_t table, char key[KL__TABLE_KEY_BYTES]) {
    uint32_t be = __builtin_bswap32(table);
    key[0] = (char)kind;
    memcpy(key + 1, &be, 4);
    return kl_slice(key, KL__TABLE_KEY_BYTES);
}

void kl__cleanup_record(struct kl_batch *b, uint32_t table) {
    char key[KL__TABLE_KEY_BYTES];
    kl_batch_put(b, KL_CF_META, kl__table_key(KL_META_CLEANUP, table, key), KL_S("\x01"));
}

/* ---- the walk ---- */

/* One scope: whether the table has a row there. */
static enum kl_rc visit_scope(struct kl_iter *it, const struct kl_scope *scope, uint32_t table, bool *ret) {
    struct kl_key part;
    kl_key_partition(&part, scope, table);
    kl_iter_seek(it, kl_key_view(&part));
    *ret = kl_iter_valid(it) && kl_slice_starts_with(kl_iter_key(it), kl_key_view(&part));
    return KL_OK;
}

struct walk {
    struct kl_engine *engine;
    enum kl_cf cf;
    uint32_t id; /* of a table, or in the index family of an index */
    kl__visit_partition *visit;
    void *ctx;
};

static enum kl_rc walk_shard(const struct walk *walk, uint16_t shard, struct kl_err *err) {
    char prefix[2] = {(char)(shard >> 8), (char)shard};
    struct kl_iter_options o = {walk->cf, kl_slice(prefix, 2), NULL};
    struct kl_iter *it = kl_iter_new(walk->engine->o.store, &o);
    enum kl_rc rc = KL_OK;
    kl_iter_seek_first(it);
    while (rc == KL_OK && kl_iter_valid(it)) {
        struct kl_scope found;
        struct kl_slice rest;
        struct kl_key scope_key;
        char user[KL_USER_ID_MAX];
        uint32_t at;
        bool here;
        rc = kl_key_parse(kl_iter_key(it), &found, &at, &rest);
        if (rc != KL_OK) {
            kl_fail(err, rc, "a key is damaged");
            break;
        }
        memcpy(user, found.user.ptr, found.user.len);
        struct kl_scope scope = {found.shard, found.kind, kl_slice(user, found.user.len)};
        rc = visit_scope(it, &scope, walk->id, &here);
        if (rc == KL_OK && here) {
            rc = walk->visit(walk->ctx, &scope, err);
        }
        kl_key_scope(&scope_key, &scope);
        if (!kl_key_next_prefix(&scope_key)) {
            break;
        }
        kl_iter_seek(it, kl_key_view(&scope_key));
    }
    if (rc == KL_OK) {
        rc = kl_iter_status(it, err);
    }
    kl_iter_free(it);
    return rc;
}

static enum kl_rc walk_shards(const struct walk *walk, struct kl_err *err) {
    for (unsigned s = KL_SHARD_SHARED; s < walk->engine->n_shards; s++) {
        KL_TRY(walk_shard(walk, (uint16_t)s, err));
    }
    return KL_OK;
}

enum kl_rc kl__each_partition(struct kl_engine *e, uint32_t table, kl__visit_partition *visit, void *ctx, struct kl_err *err) {
    struct walk walk = {e, KL_CF_ROW, table, visit, ctx};
    return walk_shards(&walk, err);
}

/* ---- is there a row? ---- */

struct any {
    struct kl_engine *engine;
    uint32_t table;
    bool found;
};

static enum kl_rc look_for_row(void *ctx, const struct kl_scope *scope, struct kl_err *err) {
    struct any *a = ctx;
    struct kl_key part;
    kl_key_partition(&part, scope, a->table);
    struct kl_iter_options o = {KL_CF_ROW, kl_key_view(&part), NULL};
    struct kl_iter *it = kl_iter_new(a->engine->o.store, &o);
    for (kl_iter_seek_first(it); !a->found && kl_iter_valid(it); kl_iter_next(it)) {
        struct kl_row_head head;
        a->found = kl_row_head(kl_iter_value(it), kl_key_row_seq(kl_iter_key(it)), &head) != KL_OK || !head.tombstone;
    }
    enum kl_rc rc = kl_iter_status(it, err);
    kl_iter_free(it);
    return a->found ? KL_E_END : rc;
}

enum kl_rc kl__table_any_row(struct kl_engine *e, uint32_t table, bool *ret, struct kl_err *err) {
    struct any a = {e, table, false};
    for (unsigned s = 0; s < e->n_shards; s++) {
        a.found = a.found || kl__streams_any(e->shards[s].streams, table);
    }
    enum kl_rc rc = a.found ? KL_OK : kl__each_partition(e, table, look_for_row, &a, err);
    if (rc != KL_OK && rc != KL_E_END) {
        return rc;
    }
    *ret = a.found;
    return KL_OK;
}

/* ---- the job ---- */

static enum kl_rc remove_range(struct job *j, enum kl_cf cf, const struct kl_scope *scope, struct kl_err *err) {
    struct kl_key from, to;
    if (j->engine->stopping) {
        return KL_E_END; /* resumes at the next start */
    }
    kl_key_partition(&from, scope, j->table);
    to = from;
    if (!kl_key_next_prefix(&to)) {
        return kl_fail(err, KL_E_CORRUPT, "a partition key has no successor");
    }
    return kl_commit_log_delete_range(j->engine->log, cf, kl_key_view(&from), kl_key_view(&to), err);
}

/* Keys before rows: while there are rows the walk finds the partition again. */
static enum kl_rc remove_rows(void *ctx, const struct kl_scope *scope, struct kl_err *err) {
    KL_TRY(remove_range(ctx, KL_CF_PK, scope, err));
    return remove_range(ctx, KL_CF_ROW, scope, err);
}

static enum kl_rc remove_entries(void *ctx, const struct kl_scope *scope, struct kl_err *err) {
    return remove_range(ctx, KL_CF_IDX, scope, err);
}

/* The id is a table's or an index's: no other thing has it. */
static enum kl_rc remove_all(struct job *j, struct kl_err *err) {
    struct walk rows = {j->engine, KL_CF_ROW, j->table, remove_rows, j};
    struct walk entries = {j->engine, KL_CF_IDX, j->table, remove_entries, j};
    KL_TRY(walk_shards(&rows, err));
    return walk_shards(&entries, err);
}

static enum kl_rc apply_forget(struct kl__cmd *c, struct kl__writer *w, struct kl__shard *s) {
    struct forget *f = KL_CONTAINER_OF(c, struct forget, cmd);
    char key[KL__TABLE_KEY_BYTES];
    (void)w;
    kl_batch_del(s->batch, KL_CF_META, kl__table_key(KL_META_CLEANUP, f->table, key));
    return KL_OK;
}

static void finish_forget(struct kl_task *t) {
    struct kl__cmd *c = KL_CONTAINER_OF(t, struct kl__cmd, task);
    free(KL_CONTAINER_OF(c, struct forget, cmd));
}

static void run_job(struct kl_task *t) {
    struct job *j = KL_CONTAINER_OF(t, struct job, task);
    struct kl_err err;
    kl_err_clear(&err);
    kl__job_start(j->engine->jobs, j->shown);
    enum kl_rc rc = remove_all(j, &err);
    if (rc == KL_OK) {
        kl__job_end(j->engine->jobs, j->shown, KL__JOB_COMPLETED, "Cleaned up");
        struct forget *f = kl_xcalloc(1, sizeof(*f));
        f->cmd = (struct kl__cmd){.engine = j->engine, .shard = KL_SHARD_META, .apply = apply_forget, .finish = finish_forget};
        f->table = j->table;
        kl__cmd_post_always(&f->cmd);
    } else if (rc != KL_E_END) {
        kl__job_end(j->engine->jobs, j->shown, KL__JOB_FAILED, err.msg);
        kl_log_error(TARGET, "what dropped table or index %u left stays until the next start: %s", j->table, err.msg);
    }
    free(j);
}

void kl__cleanup_job_id(uint32_t table, char out[KL__JOB_ID_BYTES]) { snprintf(out, KL__JOB_ID_BYTES, "CL-%012x", table); }

/* What of it is known: a start knows the number only, and an index goes by its number too. */
static struct kl__job *show(struct kl_engine *e, uint32_t table, const struct kl_cat *before) {
    const struct kl_table *t = before != NULL ? kl_cat_table_by_id(before, table) : NULL;
    struct kl__job shown = {.type = "cleanup"};
    kl__cleanup_job_id(table, shown.id);
    if (t != NULL) {
        snprintf(shown.parameters, sizeof(shown.parameters), "{\"table_id\":\"%s\",\"id\":%u}", t->qualified.ptr, table);
        snprintf(shown.key, sizeof(shown.key), "drop-%s-%s", t->ns, t->name);
    } else {
        snprintf(shown.parameters, sizeof(shown.parameters), "{\"id\":%u}", table);
    }
    return kl__job_add(e->jobs, &shown);
}

void kl__cleanup_start(struct kl_engine *e, uint32_t table, const struct kl_cat *before) {
    struct job *j = kl_xcalloc(1, sizeof(*j));
    j->task.run = run_job;
    j->engine = e;
    j->table = table;
    j->shown = show(e, table, before);
    if (kl_pool_post(e->background, &j->task) != KL_OK) {
        kl_log_warn(TARGET, "what dropped table or index %u left is removed at the next start", table);
        kl__job_end(e->jobs, j->shown, KL__JOB_FAILED, "Too much to do: removed at the next start");
        free(j);
    }
}

enum kl_rc kl__cleanup_resume(struct kl_engine *e, struct kl_err *err) {
    char prefix[1] = {KL_META_CLEANUP};
    struct kl_iter_options o = {KL_CF_META, kl_slice(prefix, 1), NULL};
    struct kl_iter *it = kl_iter_new(e->o.store, &o);
    for (kl_iter_seek_first(it); kl_iter_valid(it); kl_iter_next(it)) {
        struct kl_slice key = kl_iter_key(it);
        if (key.len == KL__TABLE_KEY_BYTES) {
            struct kl_reader r;
            kl_reader_init(&r, kl_slice_from(key, 1));
            kl__cleanup_start(e, kl_read_be32(&r), NULL);
        }
    }
    enum kl_rc rc = kl_iter_status(it, err);
    kl_iter_free(it);
    return rc;
}
