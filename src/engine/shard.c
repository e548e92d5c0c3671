/* Shard writers.
 *
 * A writer is one thread with one bounded mailbox. It takes what waits there (at most KL__DRAIN_MAX tasks), runs it, commits it in one go and
 * answers; while it commits, the next batch gathers. Two kinds of tasks:
 *
 *   kl__cmd        shares the batch: runs behind a save point of its shard's kl_batch; when it fails it alone is rolled back
 *   kl_shard_call  a barrier: what is pending is committed first, so it sees everything acknowledged and nothing else
 *
 * Order after a commit: listener (live queries), then answers. So a client that has its answer can rely on the event being on its way.
 *
 * Pausing: a catalog change of a table runs on writer 0 while every other writer stands between two batches. So a change of the schema and
 * the first row written under it are ordered for everybody, and a check such as "the table is empty" holds while it is acted upon. */
#include "engine/internal.h"

#include <stdio.h>

#include <stdlib.h>

#define TARGET "engine"
#define SWEEP_INTERVAL_NS (600LL * 1000000000)
#define FIRST_SAMPLE_NS 1000000000ll /* the rest of the server stands by then */
#define DRAIN_BYTES ((size_t)1 << 30)
#define BATCH_BYTES ((size_t)64 << 20) /* a batch that is larger is committed before the next command */
#define SCRATCH_BYTES ((size_t)256 << 20)

static __thread struct kl__writer *current_writer;

struct kl__writer *kl__writer_current(void) { return current_writer; }

struct kl__shard *kl__shard(struct kl_engine *e, uint16_t id) {
    KL_ASSERT(id < e->n_shards);
    return &e->shards[id];
}

static struct kl__writer *writer_of(struct kl_engine *e, uint16_t shard) {
    return &e->writers[shard % e->n_writers];
}

/* ---- commands ---- */

static void run_cmd(struct kl_task *t) {
    struct kl__cmd *c = KL_CONTAINER_OF(t, struct kl__cmd, task);
    struct kl__writer *w = current_writer;
    struct kl__shard *s = kl__shard(c->engine, c->shard);
    size_t changes = w->n_changes;
    int64_t last_seq = s->last_seq;
    size_t ops = kl_batch_count(s->batch);

    kl_batch_save_point(s->batch);
    c->rc = c->apply(c, w, s);
    if (c->rc != KL_OK) {
        kl_batch_rollback(s->batch);
        w->n_changes = changes;
        s->last_seq = last_seq;
    } else if (kl_batch_count(s->batch) != ops) {
        c->durable = true;
        s->dirty = true;
    }
    kl_arena_reset(&w->scratch);
    c->next = NULL;
    if (w->last != NULL) {
        w->last->next = c;
    } else {
        w->first = c;
    }
    w->last = c;
    if (kl_batch_bytes(s->batch) > BATCH_BYTES) {
        kl__writer_flush(w);
    }
}

enum kl_rc kl__cmd_post(struct kl__cmd *c) {
    c->task.run = run_cmd;
    return kl_mailbox_post(&writer_of(c->engine, c->shard)->box, &c->task);
}

void kl__cmd_post_always(struct kl__cmd *c) {
    c->task.run = run_cmd;
    kl_mailbox_post_always(&writer_of(c->engine, c->shard)->box, &c->task);
}

enum kl_rc kl__writer_change(struct kl__writer *w, const struct kl_change *c, struct kl_err *err) {
    if (w->engine->o.listener.committed == NULL && w->engine->o.resident_bytes == 0) {
        return KL_OK;
    }
    KL_GROW(w->changes, w->cap_changes, w->n_changes + 1);
    struct kl_change copy = *c;
    copy.new_row = kl_arena_dup(&w->drain, c->new_row);
    copy.old_row = kl_arena_dup(&w->drain, c->old_row);
    if ((copy.new_row.ptr == NULL && c->new_row.len > 0) || (copy.old_row.ptr == NULL && c->old_row.len > 0)) {
        return kl_fail(err, KL_E_TOO_LARGE, "the statement changes more than one batch can hold; change fewer rows at a time");
    }
    w->changes[w->n_changes++] = copy;
    return KL_OK;
}

/* ---- commit ---- */

/* Shards of this writer; with `all` (the others stand still) of every writer. */
static enum kl_rc commit_dirty(struct kl__writer *w, bool all, struct kl_err *err) {
    struct kl_engine *e = w->engine;
    struct kl_commit *commits = w->commits;
    struct kl__shard **dirty = w->dirty;
    size_t n = 0;
    enum kl_rc rc = KL_OK;
    for (unsigned i = all ? 0 : w->index; i < e->n_shards; i += all ? 1 : e->n_writers) {
        struct kl__shard *s = &e->shards[i];
        if (s->dirty) {
            commits[n] = (struct kl_commit){s->id, s->batch, s->last_seq, s->applied + 1};
            dirty[n++] = s;
        }
    }
    if (n == 0) {
        return KL_OK;
    }
    int64_t t0 = kl_clock_mono_ns();
    rc = kl_commit_log_commit(e->log, commits, n, err);
    for (size_t i = 0; i < n; i++) {
        dirty[i]->applied++;
        dirty[i]->dirty = false;
        kl_batch_clear(dirty[i]->batch);
    }
    e->commits++;
    e->commit_us += (uint64_t)(kl_clock_mono_ns() - t0) / 1000;
    return rc;
}

static void fail_durable(struct kl__writer *w, const struct kl_err *cause) {
    for (struct kl__cmd *c = w->first; c != NULL; c = c->next) {
        if (c->rc == KL_OK && c->durable) {
            c->rc = kl_fail(&c->err, KL_E_IO, "the write could not be made durable: %s", cause->msg);
        }
    }
    /* What was to be told about stored rows did not happen; STREAM rows did. */
    size_t kept = 0;
    for (size_t i = 0; i < w->n_changes; i++) {
        if (w->changes[i].table->type == KL_TABLE_STREAM) {
            w->changes[kept++] = w->changes[i];
        }
    }
    w->n_changes = kept;
}

/* Answers: one list for each loop, so that sixty-four clients cost one lock and one wake-up. */
static void answer_all(struct kl__writer *w) {
    struct kl__cmd *c = w->first;
    w->first = w->last = NULL;
    while (c != NULL) {
        struct kl_loop *loop = c->loop;
        struct kl_task *head = NULL, *tail = NULL;
        struct kl__cmd *rest = NULL, **rest_end = &rest;
        size_t n = 0;
        for (struct kl__cmd *next; c != NULL; c = next) {
            next = c->next;
            if (c->loop != loop) {
                *rest_end = c;
                rest_end = &c->next;
                continue;
            }
            c->task.run = c->finish;
            c->task.next = NULL;
            if (tail != NULL) {
                tail->next = &c->task;
            } else {
                head = &c->task;
            }
            tail = &c->task;
            n++;
        }
        *rest_end = NULL;
        if (loop != NULL) {
            kl_loop_post_list(loop, head, tail, n);
        } else {
            for (struct kl_task *t = head, *next; t != NULL; t = next) {
                next = t->next;
                t->run(t);
            }
        }
        c = rest;
    }
}

/* Each change to the listener in the name of the writer that owns its shard. */
static void tell_committed(struct kl__writer *w, bool all) {
    struct kl_engine *e = w->engine;
    if (!all) {
        e->o.listener.committed(e->o.listener.ctx, w->index, w->changes, w->n_changes);
        return;
    }
    struct kl_change *some = kl_xcalloc(w->n_changes, sizeof(*some));
    for (unsigned owner = 0; owner < e->n_writers; owner++) {
        size_t n = 0;
        for (size_t i = 0; i < w->n_changes; i++) {
            if (w->changes[i].shard % e->n_writers == owner) {
                some[n++] = w->changes[i];
            }
        }
        if (n > 0) {
            e->o.listener.committed(e->o.listener.ctx, owner, some, n);
        }
    }
    free(some);
}

static void flush(struct kl__writer *w, bool all) {
    struct kl_err err;
    if (w->first == NULL && w->n_changes == 0) {
        return;
    }
    kl_err_clear(&err);
    kl__residents_commit_begin(w->engine);
    enum kl_rc rc = commit_dirty(w, all, &err);
    kl__residents_commit_end(w->engine, w->changes, rc == KL_OK ? w->n_changes : 0);
    if (rc != KL_OK) {
        kl_log_error(TARGET, "commit failed, the server takes no further writes: %s", err.msg);
        fail_durable(w, &err);
    }
    kl__keys_changed(w);
    if (w->n_changes > 0 && w->engine->o.listener.committed != NULL) {
        tell_committed(w, all);
    }
    w->n_changes = 0;
    kl_arena_reset(&w->drain);
    answer_all(w);
}

void kl__writer_flush(struct kl__writer *w) { flush(w, false); }

void kl__writer_commit_all(struct kl__writer *w, struct kl__cmd *c) {
    KL_ASSERT(w->first == NULL);
    c->next = NULL;
    w->first = w->last = c;
    flush(w, true);
}

/* ---- catalog ---- */

/* Takes the next entry that this writer has not passed on. Entries that every writer has seen are forgotten. */
static bool next_table_change(struct kl__writer *w, struct kl__table_change *ret) {
    struct kl_engine *e = w->engine;
    pthread_mutex_lock(&e->table_log_lock);
    bool more = w->changes_seen < e->n_table_log;
    if (more) {
        *ret = e->table_log[w->changes_seen++];
        if (ret->table != NULL) {
            kl_table_ref(ret->table);
        }
    } else {
        bool all = e->n_table_log > 0;
        for (unsigned i = 0; i < e->n_writers; i++) {
            all = all && e->writers[i].changes_seen == e->n_table_log;
        }
        for (size_t i = 0; all && i < e->n_table_log; i++) {
            kl_table_unref(e->table_log[i].table);
        }
        for (unsigned i = 0; all && i < e->n_writers; i++) {
            e->writers[i].changes_seen = 0;
        }
        e->n_table_log = all ? 0 : e->n_table_log;
    }
    pthread_mutex_unlock(&e->table_log_lock);
    return more;
}

static void pass_on_table_changes(struct kl__writer *w) {
    struct kl_engine *e = w->engine;
    struct kl__table_change c;
    while (next_table_change(w, &c)) {
        if (c.table == NULL) {
            kl__residents_drop_table(e, c.table_id);
            for (unsigned i = w->index; i < e->n_shards; i += e->n_writers) {
                kl__streams_drop_table(e->shards[i].streams, c.table_id);
            }
        }
        if (e->o.listener.table_changed != NULL) {
            e->o.listener.table_changed(e->o.listener.ctx, w->index, c.table_id, c.table);
        }
        kl_table_unref(c.table);
    }
}

void kl__writer_refresh(struct kl__writer *w) {
    if (w->cat == NULL || kl_cat_version(w->cat) != kl_catalog_version(w->engine->o.catalog)) {
        kl_cat_release(w->cat);
        w->cat = kl_catalog_acquire(w->engine->o.catalog);
        pass_on_table_changes(w);
    }
}

/* ---- pausing ---- */

static void run_pause(struct kl_task *t) {
    struct kl__writer *w = current_writer;
    struct kl_engine *e = w->engine;
    kl__writer_flush(w);
    pthread_mutex_lock(&e->pause_lock);
    e->paused++;
    pthread_cond_broadcast(&e->pause_cond);
    while (e->pause_wanted) {
        pthread_cond_wait(&e->pause_cond, &e->pause_lock);
    }
    e->paused--;
    pthread_cond_broadcast(&e->pause_cond);
    pthread_mutex_unlock(&e->pause_lock);
    free(t);
    kl__writer_refresh(w);
}

void kl__writers_pause(struct kl__writer *w) {
    struct kl_engine *e = w->engine;
    KL_ASSERT(w->index == 0);
    pthread_mutex_lock(&e->pause_lock);
    while (e->paused > 0) { /* the last pause is still being left */
        pthread_cond_wait(&e->pause_cond, &e->pause_lock);
    }
    e->pause_wanted = true;
    pthread_mutex_unlock(&e->pause_lock);
    for (unsigned i = 1; i < e->n_writers; i++) {
        struct kl_task *t = kl_xcalloc(1, sizeof(*t));
        t->run = run_pause;
        kl_mailbox_post_always(&e->writers[i].box, t);
    }
    pthread_mutex_lock(&e->pause_lock);
    while (e->paused < e->n_writers - 1) {
        pthread_cond_wait(&e->pause_cond, &e->pause_lock);
    }
    pthread_mutex_unlock(&e->pause_lock);
}

void kl__writers_resume(struct kl__writer *w) {
    struct kl_engine *e = w->engine;
    pthread_mutex_lock(&e->pause_lock);
    e->pause_wanted = false;
    pthread_cond_broadcast(&e->pause_cond);
    pthread_mutex_unlock(&e->pause_lock);
}

/* ---- barrier calls ---- */

static void run_call(struct kl_task *t) {
    struct kl_shard_call *c = KL_CONTAINER_OF(t, struct kl_shard_call, task);
    kl__writer_flush(current_writer);
    kl__writer_refresh(current_writer);
    c->run(c);
}

enum kl_rc kl_engine_call(struct kl_engine *e, struct kl_shard_call *c) {
    c->task.run = run_call;
    return kl_mailbox_post(&writer_of(e, c->shard)->box, &c->task);
}

void kl_engine_call_always(struct kl_engine *e, struct kl_shard_call *c) {
    c->task.run = run_call;
    kl_mailbox_post_always(&writer_of(e, c->shard)->box, &c->task);
}

/* ---- the thread ---- */

/* Work that time brings; returns milliseconds until there is more, -1 for none. */
static int64_t tick(struct kl__writer *w) {
    struct kl_engine *e = w->engine;
    int64_t now = kl_clock_mono_ns(), next = INT64_MAX;
    for (unsigned i = w->index; i < e->n_shards; i += e->n_writers) {
        int64_t due = kl__streams_expire(e->shards[i].streams, w, now);
        next = KL_MIN(next, due);
    }
    kl__writer_flush(w);
    if (w->index == 0) {
        if (now >= w->next_tick_ns) {
            kl__retention_sweep(e);
            w->next_tick_ns = now + SWEEP_INTERVAL_NS;
        }
        next = KL_MIN(next, w->next_tick_ns);
        w->next_sample_ns = kl__dba_tick(e, now, w->next_sample_ns);
        next = KL_MIN(next, w->next_sample_ns);
    }
    return next == INT64_MAX ? -1 : KL_MAX(0, (next - now + 999999) / 1000000);
}

static void *writer_main(void *arg) {
    struct kl__writer *w = arg;
    char name[16];
    snprintf(name, sizeof(name), "writer-%u", w->index);
    kl_thread_name(name);
    current_writer = w;
    kl__writer_refresh(w);
    for (;;) {
        int64_t timeout = tick(w);
        struct kl_task *list = kl_mailbox_wait(&w->box, KL__DRAIN_MAX, timeout);
        if (list == NULL) {
            if (kl_mailbox_closed(&w->box)) {
                break;
            }
            continue;
        }
        kl__writer_refresh(w);
        uint64_t n = 0;
        for (struct kl_task *next; list != NULL; list = next, n++) {
            next = list->next;
            list->run(list);
        }
        if (n > w->engine->batch_max) {
            w->engine->batch_max = n;
        }
        kl__writer_flush(w);
    }
    kl_cat_release(w->cat);
    w->cat = NULL;
    return NULL;
}

static enum kl_rc writer_start(struct kl_engine *e, unsigned index, struct kl_err *err) {
    struct kl__writer *w = &e->writers[index];
    w->engine = e;
    w->index = index;
    kl_mailbox_init(&w->box, KL__WRITER_BOX);
    kl_arena_init(&w->drain, DRAIN_BYTES);
    kl_arena_init(&w->scratch, SCRATCH_BYTES);
    kl_buf_init(&w->row, KL_ROW_MAX_BYTES + 4096);
    kl_buf_init(&w->old, KL_ROW_MAX_BYTES + 4096);
    kl_buf_init(&w->pk, KL_PK_MAX);
    kl_buf_init(&w->idx, 2 * KL_PK_MAX);
    kl_buf_init(&w->place, KL_PK_MAX);
    w->commits = kl_xcalloc(e->n_shards, sizeof(*w->commits));
    w->dirty = kl_xcalloc(e->n_shards, sizeof(*w->dirty));
    w->next_tick_ns = kl_clock_mono_ns() + SWEEP_INTERVAL_NS;
    w->next_sample_ns = kl_clock_mono_ns() + FIRST_SAMPLE_NS;
    if (pthread_create(&w->thread, NULL, writer_main, w) != 0) {
        w->engine = NULL; /* not running: see kl__writers_stop */
        return kl_fail(err, KL_E_INTERNAL, "cannot start a writer thread");
    }
    return KL_OK;
}

enum kl_rc kl__writers_start(struct kl_engine *e, struct kl_err *err) {
    /* Writers take turns at the one log below them: a second one mostly makes a row wait for somebody else's sync before its own. */
    unsigned want = e->o.writers > 0 ? e->o.writers : kl_cpu_count() / 4;
    want = KL_MAX(1, KL_MIN(want, KL_MIN(e->n_shards, 64)));
    e->writers = kl_xcalloc(want, sizeof(*e->writers));
    /* The number of writers decides who owns which shard: it must be known before the first of them runs. */
    e->n_writers = want;
    for (unsigned i = 0; i < want; i++) {
        KL_TRY(writer_start(e, i, err));
    }
    return KL_OK;
}

void kl__writers_stop(struct kl_engine *e) {
    for (unsigned i = 0; e->writers != NULL && i < e->n_writers; i++) {
        kl_mailbox_close(&e->writers[i].box);
    }
    for (unsigned i = 0; e->writers != NULL && i < e->n_writers; i++) {
        struct kl__writer *w = &e->writers[i];
        if (w->engine == NULL) {
            continue;
        }
        pthread_join(w->thread, NULL);
        kl_mailbox_deinit(&w->box);
        kl_arena_deinit(&w->drain);
        kl_arena_deinit(&w->scratch);
        kl_buf_deinit(&w->row);
        kl_buf_deinit(&w->old);
        kl_buf_deinit(&w->pk);
        kl_buf_deinit(&w->idx);
        kl_buf_deinit(&w->place);
        free(w->commits);
        free(w->changing);
        free(w->dirty);
        kl__worker_free(w->worker);
        free(w->changes);
    }
    free(e->writers);
    e->writers = NULL;
}
