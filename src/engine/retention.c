/* Tombstones go when their table's retention is over, on the background thread.
 *
 * For each table a _seq is kept, durably, below which tombstones may be gone:
 * key KL_META_FORGOTTEN u8 | table id u32 be, value version u8 (1) | _seq i64 le. A sweep first raises it to "now minus retention", commits that, and only then
 * removes the tombstones between the old and the new mark. So a subscriber that resumes from before the mark always gets a full snapshot, whatever the
 * clock did. Rows below the old mark are not looked at again: a sweep reads what was written during one interval, a retention ago. */
#include "engine/audit.h"
#include "engine/internal.h"

#include <stdlib.h>

#define TARGET "retention"
#define KEYS_PER_COMMAND 500

struct mark {
    int64_t seq;
};
struct sweep {
    struct kl_task task;
    struct kl_engine *engine;
};
/* Puts a mark, or removes tombstones; the background thread waits for it. */
struct step {
    struct kl__cmd cmd;
    struct kl_slice put_key, put_value;
    const struct kl_key *del;
    size_t n_del;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static struct kl_slice map_key(const uint32_t *table) { return kl_slice(table, sizeof(*table)); }

int64_t kl__retention_forgotten(struct kl_engine *e, uint32_t table) {
    pthread_mutex_lock(&e->forgotten_lock);
    struct mark *m = kl_map_get(&e->forgotten, map_key(&table));
    int64_t seq = m != NULL ? m->seq : 0;
    pthread_mutex_unlock(&e->forgotten_lock);
    return seq;
}

static void set_mark(struct kl_engine *e, uint32_t table, int64_t seq) {
    pthread_mutex_lock(&e->forgotten_lock);
    struct mark *m = kl_map_get(&e->forgotten, map_key(&table));
    if (m == NULL) {
        m = kl_xcalloc(1, sizeof(*m));
        kl_map_put(&e->forgotten, map_key(&table), m);
    }
    m->seq = KL_MAX(m->seq, seq);
    pthread_mutex_unlock(&e->forgotten_lock);
}

enum kl_rc kl__retention_load(struct kl_engine *e, struct kl_err *err) {
    char prefix[1] = {KL_META_FORGOTTEN};
    struct kl_iter_options o = {KL_CF_META, kl_slice(prefix, 1), NULL};
    struct kl_iter *it = kl_iter_new(e->o.store, &o);
    enum kl_rc rc = KL_OK;
    for (kl_iter_seek_first(it); rc == KL_OK && kl_iter_valid(it); kl_iter_next(it)) {
        struct kl_reader k, v;
        kl_reader_init(&k, kl_slice_from(kl_iter_key(it), 1));
        kl_reader_init(&v, kl_iter_value(it));
        uint32_t table = kl_read_be32(&k);
        uint8_t version = kl_read_u8(&v);
        int64_t seq = (int64_t)kl_read_le64(&v);
        if (k.failed || v.failed || version != 1) {
            rc = kl_fail(err, KL_E_CORRUPT, "a retention record is damaged");
        } else {
            set_mark(e, table, seq);
        }
    }
    if (rc == KL_OK) {
        rc = kl_iter_status(it, err);
    }
    kl_iter_free(it);
    return rc;
}

void kl__retention_free(struct kl_engine *e) {
    struct kl_map_entry *en;
    for (size_t it = 0; (en = kl_map_next(&e->forgotten, &it)) != NULL;) {
        free(en->value);
    }
    kl_map_deinit(&e->forgotten);
}

/* ---- steps through the writers ---- */

static enum kl_rc apply_step(struct kl__cmd *c, struct kl__writer *w, struct kl__shard *s) {
    struct step *st = KL_CONTAINER_OF(c, struct step, cmd);
    (void)w;
    if (st->put_key.len > 0) {
        kl_batch_put(s->batch, KL_CF_META, st->put_key, st->put_value);
    }
    for (size_t i = 0; i < st->n_del; i++) {
        kl_batch_del(s->batch, KL_CF_ROW, kl_key_view(&st->del[i]));
    }
    return KL_OK;
}

static void finish_step(struct kl_task *t) {
    struct kl__cmd *c = KL_CONTAINER_OF(t, struct kl__cmd, task);
    struct step *st = KL_CONTAINER_OF(c, struct step, cmd);
    pthread_mutex_lock(&st->lock);
    st->done = true;
    pthread_cond_signal(&st->cond);
    pthread_mutex_unlock(&st->lock);
}

static enum kl_rc run_step(struct kl_engine *e, uint16_t shard, struct step *st, struct kl_err *err) {
    st->cmd = (struct kl__cmd){.engine = e, .shard = shard, .apply = apply_step, .finish = finish_step};
    st->done = false;
    pthread_mutex_init(&st->lock, NULL);
    pthread_cond_init(&st->cond, NULL);
    enum kl_rc rc = kl__cmd_post(&st->cmd);
    pthread_mutex_lock(&st->lock);
    while (rc == KL_OK && !st->done) {
        pthread_cond_wait(&st->cond, &st->lock);
    }
    pthread_mutex_unlock(&st->lock);
    pthread_mutex_destroy(&st->lock);
    pthread_cond_destroy(&st->cond);
    if (rc == KL_OK && st->cmd.rc != KL_OK) {
        *err = st->cmd.err;
        rc = st->cmd.rc;
    }
    return rc;
}

/* ---- the sweep ---- */

struct table_sweep {
    struct kl_engine *engine;
    uint32_t table;
    int64_t after, upto;
};

static enum kl_rc sweep_partition(void *ctx, const struct kl_scope *scope, struct kl_err *err) {
    struct table_sweep *t = ctx;
    struct kl_key part, start;
    struct kl_key *keys = kl_xmalloc(KEYS_PER_COMMAND * sizeof(*keys));
    enum kl_rc rc = KL_OK;
    size_t n = 0;
    kl_key_partition(&part, scope, t->table);
    kl_key_row(&start, scope, t->table, t->after + 1);
    struct kl_iter_options o = {KL_CF_ROW, kl_key_view(&part), NULL};
    struct kl_iter *it = kl_iter_new(t->engine->o.store, &o);
    for (kl_iter_seek(it, kl_key_view(&start)); rc == KL_OK && kl_iter_valid(it); kl_iter_next(it)) {
        struct kl_row_head head;
        int64_t seq = kl_key_row_seq(kl_iter_key(it));
        if (seq > t->upto || t->engine->stopping) {
            break;
        }
        if (kl_row_head(kl_iter_value(it), seq, &head) == KL_OK && head.tombstone) {
            kl_key_row(&keys[n++], scope, t->table, seq);
        }
        if (n == KEYS_PER_COMMAND) {
            struct step st = {.del = keys, .n_del = n};
            rc = run_step(t->engine, scope->shard, &st, err);
            n = 0;
        }
    }
    kl_iter_free(it);
    if (rc == KL_OK && n > 0) {
        struct step st = {.del = keys, .n_del = n};
        rc = run_step(t->engine, scope->shard, &st, err);
    }
    free(keys);
    return rc;
}

static enum kl_rc sweep_table(struct kl_engine *e, const struct kl_table *t, struct kl_err *err) {
    uint32_t hours = t->options.deleted_retention_hours > 0 ? t->options.deleted_retention_hours : 168;
    int64_t keep_ms = (int64_t)hours * 3600 * 1000;
    int64_t cut = kl_snowflake_floor(kl_clock_wall_ms() - keep_ms);
    struct table_sweep s = {e, t->id, kl__retention_forgotten(e, t->id), cut};
    if (cut <= s.after) {
        return KL_OK;
    }
    char key[KL__TABLE_KEY_BYTES], value[9];
    value[0] = 1;
    memcpy(value + 1, &cut, 8);
    struct step mark = {.put_key = kl__table_key(KL_META_FORGOTTEN, t->id, key), .put_value = kl_slice(value, sizeof(value))};
    KL_TRY(run_step(e, KL_SHARD_META, &mark, err));
    set_mark(e, t->id, cut);
    return kl__each_partition(e, t->id, sweep_partition, &s, err);
}

static void run_sweep(struct kl_task *task) {
    struct sweep *s = KL_CONTAINER_OF(task, struct sweep, task);
    struct kl_engine *e = s->engine;
    struct kl_cat *cat = kl_catalog_acquire(e->o.catalog);
    struct kl_err err;
    enum kl_rc rc = KL_OK;
    kl_err_clear(&err);
    for (size_t i = 0; rc == KL_OK && i < kl_cat_n_tables(cat) && !e->stopping; i++) {
        const struct kl_table *t = kl_cat_table_at(cat, i);
        if (t->type == KL_TABLE_USER || t->type == KL_TABLE_SHARED) {
            rc = sweep_table(e, t, &err);
        }
    }
    if (rc != KL_OK) {
        kl_log_error(TARGET, "old tombstones stay for now: %s", err.msg);
    }
    kl_cat_release(cat);
    kl__audit_sweep(e);
    e->sweeping = false;
    free(s);
}

void kl__retention_sweep(struct kl_engine *e) {
    bool expected = false;
    if (!atomic_compare_exchange_strong(&e->sweeping, &expected, true)) {
        return;
    }
    struct sweep *s = kl_xcalloc(1, sizeof(*s));
    s->task.run = run_sweep;
    s->engine = e;
    if (kl_pool_post(e->background, &s->task) != KL_OK) {
        e->sweeping = false;
        free(s);
    }
}
