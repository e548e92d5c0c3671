/* Putting the engine together and taking it apart. */
#include "engine/internal.h"
#include "engine/jobs.h"
#include "engine/txn_list.h"

#include <stdlib.h>

/* ---- query pool threads ---- */

struct kl__worker *kl__worker_new(struct kl_engine *e) {
    struct kl__worker *w = kl_xcalloc(1, sizeof(*w));
    w->engine = e;
    w->cache = kl_plan_cache_new(e->o.plan_cache_entries);
    kl_arena_init(&w->scratch, (size_t)1 << 30);
    return w;
}

void kl__worker_free(struct kl__worker *w) {
    if (w == NULL) {
        return;
    }
    kl_duck_free(w->duck);
    kl_plan_cache_free(w->cache);
    kl_arena_deinit(&w->scratch);
    free(w);
}

/* ---- start ---- */

static enum kl_rc make_shards(struct kl_engine *e, struct kl_err *err) {
    e->n_shards = KL_SHARD_USER0 + e->user_shards;
    e->shards = kl_xcalloc(e->n_shards, sizeof(*e->shards));
    for (unsigned i = 0; i < e->n_shards; i++) {
        struct kl__shard *s = &e->shards[i];
        s->id = (uint16_t)i;
        s->batch = kl_batch_new(e->o.store);
        KL_TRY(kl_commit_log_recover(e->log, s->id, &s->last_seq, &s->applied, err));
        kl_snowflake_observe(e->o.ids, s->last_seq);
    }
    for (unsigned i = 0; i < e->n_shards; i++) {
        e->shards[i].streams = kl__streams_new(e, (uint16_t)i);
    }
    return KL_OK;
}

static void *worker_init(unsigned index, void *ctx) {
    (void)index;
    return kl__worker_new(ctx);
}

static void worker_deinit(void *state) { kl__worker_free(state); }

static void make_pools(struct kl_engine *e) {
    unsigned threads = e->o.query_threads > 0 ? e->o.query_threads : kl_cpu_count();
    struct kl_pool_options query = {
        .name = "query", .threads = threads, .capacity = KL__POOL_BOX, .thread_init = worker_init, .thread_deinit = worker_deinit, .ctx = e};
    struct kl_pool_options background = {.name = "background", .threads = 1, .capacity = KL__POOL_BOX};
    e->pool = kl_pool_new(&query);
    e->background = kl_pool_new(&background);
}

enum kl_rc kl_engine_start(const struct kl_engine_options *o, struct kl_engine **ret, struct kl_err *err) {
    struct kl_engine *e = kl_xcalloc(1, sizeof(*e));
    e->o = *o;
    e->o.plan_cache_entries = o->plan_cache_entries > 0 ? o->plan_cache_entries : 1000;
    e->o.deleted_retention_hours = o->deleted_retention_hours > 0 ? o->deleted_retention_hours : 168;
    e->user_shards = kl_catalog_user_shards(o->catalog);
    e->residents = kl__residents_new(e, o->resident_bytes);
    e->key_stamps = kl_xcalloc(KL__KEY_STAMPS, sizeof(*e->key_stamps));
    e->log = kl_commit_log_new(o->store, o->sync);
    pthread_mutex_init(&e->pause_lock, NULL);
    pthread_cond_init(&e->pause_cond, NULL);
    pthread_mutex_init(&e->table_log_lock, NULL);
    pthread_mutex_init(&e->forgotten_lock, NULL);
    pthread_mutex_init(&e->loops_lock, NULL);
    e->jobs = kl__jobs_new();
    e->txns = kl__txn_list_new();
    kl_map_init(&e->forgotten);
    make_pools(e);
    enum kl_rc rc = make_shards(e, err);
    if (rc == KL_OK) {
        rc = kl__bootstrap_users(e, err);
    }
    if (rc == KL_OK) {
        rc = kl__retention_load(e, err);
    }
    if (rc == KL_OK) {
        rc = kl__writers_start(e, err);
    }
    if (rc == KL_OK) {
        rc = kl__cleanup_resume(e, err);
    }
    if (rc == KL_OK) {
        rc = kl__dba_tables(e, err);
    }
    if (rc == KL_OK) {
        kl__index_resume(e);
    }
    if (rc != KL_OK) {
        kl_engine_stop(e);
        kl_engine_free(e);
        return rc;
    }
    *ret = e;
    return KL_OK;
}

/* ---- stop ---- */

void kl_engine_stop(struct kl_engine *e) {
    e->stopping = true;
    kl_pool_stop(e->background); /* its jobs wait for writers, so it goes first */
    kl_pool_stop(e->pool);
    kl__writers_stop(e);
}

void kl_engine_free(struct kl_engine *e) {
    if (e == NULL) {
        return;
    }
    for (unsigned i = 0; e->shards != NULL && i < e->n_shards; i++) {
        kl_batch_free(e->shards[i].batch);
        kl__streams_free(e->shards[i].streams);
    }
    for (size_t i = 0; i < e->n_table_log; i++) {
        kl_table_unref(e->table_log[i].table);
    }
    kl_pool_free(e->background);
    kl_pool_free(e->pool);
    kl__retention_free(e);
    kl_commit_log_free(e->log);
    kl__residents_free(e->residents);
    free(e->key_stamps);
    free(e->table_log);
    free(e->shards);
    pthread_mutex_destroy(&e->pause_lock);
    pthread_cond_destroy(&e->pause_cond);
    pthread_mutex_destroy(&e->table_log_lock);
    pthread_mutex_destroy(&e->forgotten_lock);
    pthread_mutex_destroy(&e->loops_lock);
    kl__jobs_free(e->jobs);
    kl__txn_list_free(e->txns);
    free(e);
}

/* ---- what others ask ---- */

unsigned kl_engine_writers(struct kl_engine *e) { return e->n_writers; }
unsigned kl_engine_writer_of(struct kl_engine *e, uint16_t shard) { return shard % e->n_writers; }
struct kl_catalog *kl_engine_catalog(struct kl_engine *e) { return e->o.catalog; }
struct kl_store *kl_engine_store(struct kl_engine *e) { return e->o.store; }
struct kl_snowflake *kl_engine_ids(struct kl_engine *e) { return e->o.ids; }
unsigned kl_engine_user_shards(struct kl_engine *e) { return e->user_shards; }

enum kl_rc kl_engine_pool_post(struct kl_engine *e, struct kl_task *t) {
    return e->stopping ? KL_E_SHUTTING_DOWN : kl_pool_post(e->pool, t);
}

int64_t kl_engine_forgotten_seq(struct kl_engine *e, struct kl_table *t, struct kl_slice user) {
    if (t->type == KL_TABLE_STREAM) {
        struct kl_scope scope = kl_table_scope(t, user, e->user_shards);
        return kl__stream_forgotten(kl__shard(e, scope.shard)->streams, t->id, user);
    }
    return kl__retention_forgotten(e, t->id);
}
