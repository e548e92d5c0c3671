/* CREATE INDEX and DROP INDEX.
 *
 *   BUILDING   one catalog change while the writers stand still: from then on every writer keeps the index up for what it writes
 *      |       background thread, partition after partition: rows from an iterator, entries encoded here; the writer of the shard puts those whose row
 *      |       is still there, some hundred rows a command, between the commands of everybody else
 *   READY      a second catalog change: from then on plans use it
 *
 * Nothing waits but the statement itself. An entry may be put twice, by the writer that changed its row and by the builder: it is the same entry. A
 * unique index fails when two rows of a partition have the same values: then, and when the client goes away, it is dropped again.
 * A crash or stop leaves it BUILDING; kl__index_resume starts over at the next start. */
#include "engine/audit.h"
#include "engine/ddl_internal.h"
#include "engine/dml_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define TARGET "index"
#define CHUNK_ROWS 2048
#define CHUNK_BYTES ((size_t)1 << 20)

/* Rows of one partition on their way to the writer. */
struct chunk {
    struct kl__cmd cmd;
    struct build *build;
    const struct kl_scope *scope;
    struct kl_arena arena;
    struct entry {
        int64_t seq;
        struct kl_slice key; /* of the entry */
        bool sole;
    } *entries;
    size_t n;
};

/* One index being built: by a statement, or resumed at the start. */
struct build {
    struct kl_task task;
    struct kl_shard_call call;
    struct kl_engine *engine;
    struct kl__run *run; /* the statement, or NULL */
    struct kl__stmt *stmt;
    uint32_t table, index;
    bool existed;        /* IF NOT EXISTS found one */
    char message[300];
    enum kl_rc rc;
    struct kl_err err;
    struct kl_table *t;  /* counted: newest definition when the partition under way was begun */
    const struct kl_index *ix;
    struct chunk chunk;
    struct kl_buf tmp;
    /* the background thread waits for a writer */
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool answered;       /* guarded by lock */
};

/* ---- waiting ---- */

static void answered(struct build *b) {
    pthread_mutex_lock(&b->lock);
    b->answered = true;
    pthread_cond_signal(&b->cond);
    pthread_mutex_unlock(&b->lock);
}

static void await(struct build *b) {
    pthread_mutex_lock(&b->lock);
    while (!b->answered) {
        pthread_cond_wait(&b->cond, &b->lock);
    }
    b->answered = false;
    pthread_mutex_unlock(&b->lock);
}

static struct build *build_new(struct kl_engine *e) {
    struct build *b = kl_xcalloc(1, sizeof(*b));
    b->engine = e;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->cond, NULL);
    kl_buf_init(&b->tmp, 2 * KL_PK_MAX);
    kl_arena_init(&b->chunk.arena, (size_t)64 << 20);
    return b;
}

static void build_free(struct build *b) {
    kl_table_unref(b->t);
    kl_buf_deinit(&b->tmp);
    kl_arena_deinit(&b->chunk.arena);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->cond);
    free(b);
}

/* Answers the statement, if there is one, and ends the build. Any thread. */
static void end(struct build *b) {
    struct kl__run *r = b->run;
    if (r == NULL) {
        if (b->rc != KL_OK && b->rc != KL_E_SHUTTING_DOWN) {
            kl_log_warn(TARGET, "an index was not built: %s", b->err.msg);
        }
        build_free(b);
        return;
    }
    r->rc = b->rc;
    if (b->rc != KL_OK) {
        r->err = b->err;
    }
    r->ddl_message = kl_arena_dup(r->x->arena, kl_slice_str(b->message));
    build_free(b);
    kl__run_resume(r);
}

/* ---- on a shard's writer ---- */

static enum kl_rc duplicate(struct build *b) {
    kl_fail(&b->err, KL_E_CONSTRAINT, "could not create unique index \"%s\": table %s has rows with the same values%s", b->ix->name, b->t->qualified.ptr,
        b->t->type == KL_TABLE_USER ? " in a user's partition" : "");
    kl_err_hint(&b->err, "make the values distinct first, or create the index without UNIQUE");
    return KL_E_CONSTRAINT;
}

static enum kl_rc put_entry(struct build *b, struct kl__writer *w, struct kl__shard *s, const struct entry *en) {
    struct kl_key row, key = {.len = (uint16_t)en->key.len};
    int64_t owner;
    kl_key_row(&row, b->chunk.scope, b->table, en->seq);
    enum kl_rc rc = kl_batch_get(s->batch, KL_CF_ROW, kl_key_view(&row), &w->old, &b->err);
    if (rc != KL_OK) {
        return rc == KL_E_NOT_FOUND ? KL_OK : rc; /* replaced or deleted meanwhile: its writer has seen to the index */
    }
    memcpy(key.data, en->key.ptr, en->key.len);
    if (en->sole) {
        rc = kl__index_owner(s->batch, &key, &w->place, &owner, &b->err);
        if (rc != KL_E_NOT_FOUND && (rc != KL_OK || owner != en->seq)) {
            return rc == KL_OK ? duplicate(b) : rc;
        }
    }
    kl__index_put(s->batch, &key, en->sole, en->seq);
    return KL_OK;
}

static enum kl_rc apply_chunk(struct kl__cmd *c, struct kl__writer *w, struct kl__shard *s) {
    struct chunk *k = KL_CONTAINER_OF(c, struct chunk, cmd);
    struct build *b = k->build;
    struct kl_table *t = kl_cat_table_by_id(w->cat, b->table);
    if (t == NULL || kl_table_index(t, b->index) == NULL) {
        return kl_fail(&b->err, KL_E_NOT_FOUND, "the index or its table was dropped while the index was being built");
    }
    for (size_t i = 0; i < k->n; i++) {
        KL_TRY(put_entry(b, w, s, &k->entries[i]));
    }
    return KL_OK;
}

static void chunk_done(struct kl_task *t) {
    answered(KL_CONTAINER_OF(KL_CONTAINER_OF(t, struct kl__cmd, task), struct chunk, cmd)->build);
}

/* ---- in the background ---- */

static enum kl_rc send_chunk(struct build *b) {
    struct chunk *k = &b->chunk;
    if (k->n == 0) {
        return KL_OK;
    }
    k->cmd = (struct kl__cmd){.engine = b->engine, .shard = k->scope->shard, .apply = apply_chunk, .finish = chunk_done};
    k->build = b;
    kl__cmd_post_always(&k->cmd);
    await(b);
    k->n = 0;
    kl_arena_reset(&k->arena);
    k->entries = NULL;
    if (k->cmd.rc != KL_OK && b->err.msg[0] == '\0') {
        b->err = k->cmd.err;
    }
    return k->cmd.rc;
}

static enum kl_rc add_row(struct build *b, const struct kl_scope *scope, struct kl_slice bytes, int64_t seq) {
    struct chunk *k = &b->chunk;
    struct kl_row_view view;
    struct kl_val *vals;
    struct kl_key key;
    bool sole;
    if (k->entries == NULL) {
        k->entries = KL_ARENA_ARRAY(&k->arena, struct entry, CHUNK_ROWS);
    }
    vals = KL_ARENA_ARRAY(&k->arena, struct kl_val, b->t->n_cols);
    if (k->entries == NULL || vals == NULL || kl_table_open_row(b->t, bytes, seq, &view) != KL_OK) {
        return kl_fail(&b->err, KL_E_CORRUPT, "row %lld of table %s cannot be read", (long long)seq, b->t->qualified.ptr);
    }
    if (view.head.tombstone) {
        return KL_OK;
    }
    for (size_t i = 0; i < b->ix->n_cols; i++) {
        KL_TRY(kl_table_get(b->t, &view, b->ix->cols[i], &k->arena, &vals[b->ix->cols[i]]));
    }
    KL_TRY(kl__index_key(b->ix, scope, vals, seq, &b->tmp, &key, &sole, &b->err));
    k->scope = scope;
    k->entries[k->n++] = (struct entry){seq, kl_arena_dup(&k->arena, kl_key_view(&key)), sole};
    if (k->entries[k->n - 1].key.ptr == NULL) {
        return kl_fail(&b->err, KL_E_NOMEM, "out of memory");
    }
    return k->n == CHUNK_ROWS || k->arena.used > CHUNK_BYTES ? send_chunk(b) : KL_OK;
}

/* Before each chunk: has the client gone, is the statement's time over? */
static enum kl_rc check_stop(struct build *b) {
    const struct kl__run *r = b->run;
    if (r->x->cancelled) {
        return kl_fail(&b->err, KL_E_CANCELLED, "canceling statement due to user request");
    }
    if (r->deadline_ns > 0 && kl_clock_mono_ns() > r->deadline_ns) {
        kl_fail(&b->err, KL_E_TIMEOUT, "canceling statement due to statement timeout");
        kl_err_hint(&b->err, "a large table takes longer: SET statement_timeout in the same request, 0 is no limit");
        return KL_E_TIMEOUT;
    }
    return KL_OK;
}

/* The newest definition: rows may have been written under it. */
static enum kl_rc refresh(struct build *b) {
    struct kl_cat *cat = kl_catalog_acquire(b->engine->o.catalog);
    struct kl_table *t = kl_cat_table_by_id(cat, b->table);
    const struct kl_index *ix = t != NULL ? kl_table_index(t, b->index) : NULL;
    if (ix != NULL) {
        kl_table_ref(t);
        kl_table_unref(b->t);
        b->t = t;
        b->ix = ix;
    }
    kl_cat_release(cat);
    return ix != NULL ? KL_OK : kl_fail(&b->err, KL_E_NOT_FOUND, "the index or its table was dropped while the index was being built");
}

static enum kl_rc build_partition(void *ctx, const struct kl_scope *scope, struct kl_err *err) {
    struct build *b = ctx;
    struct kl_key prefix;
    kl_key_partition(&prefix, scope, b->table);
    struct kl_iter_options o = {KL_CF_ROW, kl_key_view(&prefix), NULL};
    struct kl_iter *it = kl_iter_new(b->engine->o.store, &o);
    enum kl_rc rc = refresh(b); /* after the iterator: what it shows was written under this definition or an older one */
    for (kl_iter_seek_first(it); rc == KL_OK && kl_iter_valid(it); kl_iter_next(it)) {
        if (b->engine->stopping) {
            rc = kl_fail(&b->err, KL_E_SHUTTING_DOWN, "the server is shutting down; the index is finished at the next start");
        } else if (b->run != NULL && b->chunk.n == 0 && (rc = check_stop(b)) != KL_OK) {
            break;
        } else {
            rc = add_row(b, scope, kl_iter_value(it), kl_key_row_seq(kl_iter_key(it)));
        }
    }
    if (rc == KL_OK) {
        rc = kl_iter_status(it, &b->err);
    }
    kl_iter_free(it);
    rc = rc == KL_OK ? send_chunk(b) : rc;
    if (rc != KL_OK && err != NULL) {
        *err = b->err;
    }
    return rc;
}

static enum kl_rc op_ready(struct kl__ddl_change *c, struct kl_err *err) {
    struct build *b = c->ctx;
    return kl_cat_index_ready(b->engine->o.catalog, b->table, b->index, err);
}

static enum kl_rc op_remove(struct kl__ddl_change *c, struct kl_err *err) {
    struct build *b = c->ctx;
    c->removed = &b->index;
    c->n_removed = 1;
    return kl_cat_drop_index(b->engine->o.catalog, b->table, b->index, err);
}

/* The second catalog change: the index is of use, or goes again. */
static void run_end(struct kl_shard_call *call) {
    struct build *b = KL_CONTAINER_OF(call, struct build, call);
    bool good = b->rc == KL_OK;
    struct kl_err err;
    kl_err_clear(&err);
    struct kl__ddl_change c = {.engine = b->engine, .op = good ? op_ready : op_remove, .ctx = b, .pause = !good};
    enum kl_rc rc = kl__ddl_change(&c, &err);
    if (good && rc != KL_OK) {
        b->rc = rc;
        b->err = err;
    }
    answered(b);
}

static void run_build(struct kl_task *t) {
    struct build *b = KL_CONTAINER_OF(t, struct build, task);
    struct kl_cat *cat = kl_catalog_acquire(b->engine->o.catalog);
    b->t = kl_cat_table_by_id(cat, b->table);
    b->ix = b->t != NULL ? kl_table_index(b->t, b->index) : NULL;
    if (b->ix == NULL) {
        b->t = NULL;
        b->rc = kl_fail(&b->err, KL_E_NOT_FOUND, "the table was dropped before the index was built");
    } else {
        kl_table_ref(b->t);
        b->rc = kl__each_partition(b->engine, b->table, build_partition, b, &b->err);
    }
    kl_cat_release(cat);
    if (b->ix != NULL && b->rc != KL_E_SHUTTING_DOWN) {
        b->call = (struct kl_shard_call){.shard = KL_SHARD_META, .run = run_end};
        kl_engine_call_always(b->engine, &b->call);
        await(b);
    }
    end(b);
}

/* ---- the first catalog change ---- */

static void record(struct kl__ddl_change *c) {
    struct build *b = c->ctx;
    struct kl__audit_entry e;
    if (kl__audit_of(b->stmt, b->run->x->arena, &e)) {
        kl__audit(c->batch, &e);
    }
}

static enum kl_rc op_create(struct kl__ddl_change *c, struct kl_err *err) {
    struct build *b = c->ctx;
    const struct kl_plan *p = b->stmt->bound.plan;
    struct kl_table *t = kl_cat_table_by_id(kl__writer_current()->cat, p->table->id);
    if (t == NULL || t->version != p->table->version) {
        return KL_E_STALE_PLAN;
    }
    b->table = t->id;
    enum kl_rc rc = kl_cat_create_index(b->engine->o.catalog, kl_slice_str(t->ns), kl_slice_str(t->name), p->index, kl_clock_wall_us(), &b->index, err);
    if (rc == KL_E_EXISTS && p->if_not_exists) {
        b->existed = true;
        snprintf(b->message, sizeof(b->message), "Index '%.*s' already exists (skipped)", KL_FMT(p->index->name));
        return KL_E_AGAIN;
    }
    if (rc == KL_OK) {
        record(c);
    }
    return rc;
}

static void name_index(struct build *b) {
    struct kl_cat *cat = kl_catalog_acquire(b->engine->o.catalog);
    struct kl_table *t = kl_cat_table_by_id(cat, b->table);
    const struct kl_index *ix = t != NULL ? kl_table_index(t, b->index) : NULL;
    snprintf(b->message, sizeof(b->message), "Index '%s' created successfully on table %s", ix != NULL ? ix->name : "", t != NULL ? t->qualified.ptr : "");
    kl_cat_release(cat);
}

static enum kl_rc start_job(struct build *b) {
    b->task.run = run_build;
    return kl_pool_post(b->engine->background, &b->task);
}

static void run_create(struct kl_shard_call *call) {
    struct build *b = KL_CONTAINER_OF(call, struct build, call);
    struct kl__ddl_change c = {.engine = b->engine, .op = op_create, .ctx = b, .pause = true};
    b->rc = kl__ddl_change(&c, &b->err);
    if (b->rc != KL_OK || b->existed) {
        end(b);
        return;
    }
    name_index(b);
    if (start_job(b) != KL_OK) { /* it stays BUILDING and is finished at the next start */
        b->rc = kl_fail(&b->err, KL_E_SHUTTING_DOWN, "the server is shutting down; the index is finished at the next start");
        end(b);
    }
}

/* ---- DROP INDEX ---- */

static enum kl_rc op_drop(struct kl__ddl_change *c, struct kl_err *err) {
    struct build *b = c->ctx;
    const struct kl_plan *p = b->stmt->bound.plan;
    struct kl_table *t = kl_cat_table_by_id(kl__writer_current()->cat, p->table->id);
    const struct kl_index *ix = t != NULL ? kl_table_index(t, p->index_id) : NULL;
    if (ix == NULL) {
        return KL_E_STALE_PLAN;
    }
    snprintf(b->message, sizeof(b->message), "Index '%s' dropped successfully", ix->name);
    b->table = t->id;
    b->index = ix->id;
    record(c);
    return op_remove(c, err);
}

static void run_drop(struct kl_shard_call *call) {
    struct build *b = KL_CONTAINER_OF(call, struct build, call);
    struct kl__ddl_change c = {.engine = b->engine, .op = op_drop, .ctx = b, .pause = true};
    b->rc = kl__ddl_change(&c, &b->err);
    end(b);
}

void kl__index_start(struct kl__run *r, struct kl__stmt *s) {
    const struct kl_plan *p = s->bound.plan;
    bool drop = p->kind == KL_PLAN_DROP_INDEX;
    kl_err_clear(&r->err);
    if (drop && p->table == NULL) {
        r->ddl_message = kl_slice_str(kl_arena_printf(r->x->arena, "Index '%.*s' does not exist (skipped)", KL_FMT(p->name)));
        r->rc = KL_OK;
        kl__run_resume(r);
        return;
    }
    struct build *b = build_new(r->e);
    b->run = r;
    b->stmt = s;
    b->call = (struct kl_shard_call){.shard = KL_SHARD_META, .run = drop ? run_drop : run_create};
    enum kl_rc rc = kl_engine_call(r->e, &b->call);
    if (rc != KL_OK) {
        build_free(b);
        r->rc = rc;
        kl__run_resume(r);
    }
}

void kl__index_resume(struct kl_engine *e) {
    struct kl_cat *cat = kl_catalog_acquire(e->o.catalog);
    for (size_t i = 0; i < kl_cat_n_tables(cat); i++) {
        const struct kl_table *t = kl_cat_table_at(cat, i);
        for (size_t k = 0; k < t->n_indexes; k++) {
            if (t->indexes[k].state != KL_INDEX_BUILDING) {
                continue;
            }
            struct build *b = build_new(e);
            b->table = t->id;
            b->index = t->indexes[k].id;
            kl_log_info(TARGET, "building index %s of table %s again", t->indexes[k].name, t->qualified.ptr);
            if (start_job(b) != KL_OK) {
                build_free(b);
            }
        }
    }
    kl_cat_release(cat);
}
