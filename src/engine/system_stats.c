/* system.stats: figures of the engine and the store, then those of the server around them. */
#include "engine/jobs.h"
#include "engine/system_internal.h"

#include <stdio.h>

static enum kl_rc stat_row(void *ctx, const char *name, const char *value) {
    struct kl__sys *r = ctx;
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(name));
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(value));
    return kl__sys_rc(r);
}

struct figure {
    const char *name;
    uint64_t value;
};

static void put_figures(struct kl__sys *r, const struct figure *f, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char text[24];
        snprintf(text, sizeof(text), "%llu", (unsigned long long)f[i].value);
        (void)stat_row(r, f[i].name, text);
    }
}

static enum kl_rc count_user(void *ctx, const struct kl_user *u) {
    *(uint64_t *)ctx += u->deleted_us == 0;
    return KL_OK;
}

static enum kl_rc catalog_figures(struct kl__sys *r, struct kl_err *err) {
    uint64_t users = 0, tables = 0, views = 0, indexes = 0;
    KL_TRY(kl_user_each(r->engine->o.store, count_user, &users, err));
    for (size_t i = 0; i < kl_cat_n_tables(r->cat); i++) {
        const struct kl_table *t = kl_cat_table_at(r->cat, i);
        tables += kl__sys_is_made(t) && t->type != KL_TABLE_VIEW;
        views += t->type == KL_TABLE_VIEW;
        indexes += t->n_indexes;
    }
    const struct figure all[] = {
        {"total_users", users},
        {"total_namespaces", kl_cat_n_namespaces(r->cat)},
        {"total_tables", tables},
        {"total_views", views},
        {"total_indexes", indexes},
        {"total_storages", kl_cat_n_storages(r->cat)},
        {"schema_cache_size", kl_cat_n_tables(r->cat)},
        {"schema_cache_total_entries", kl_cat_n_tables(r->cat)},
        {"schema_registry_size", kl_cat_n_tables(r->cat)},
        {"catalog_version", kl_cat_version(r->cat)},
    };
    put_figures(r, all, KL_LEN(all));
    return KL_OK;
}

static void work_figures(struct kl__sys *r) {
    struct kl_engine_stats s;
    struct kl__job_counts jobs;
    kl_engine_stats(r->engine, &s);
    kl__jobs_count(r->engine->jobs, &jobs);
    const struct figure all[] = {
        {"statements_total", s.statements},
        {"slow_statements_total", s.slow_statements},
        {"plan_cache_size", s.plan_cache_size},
        {"plan_cache_hits", s.plan_cache_hits},
        {"plan_cache_misses", s.plan_cache_misses},
        {"row_cache_bytes", s.row_cache_bytes},
        {"row_cache_hits", s.row_cache_hits},
        {"row_cache_misses", s.row_cache_misses},
        {"resident_partitions", s.resident_partitions},
        {"resident_bytes", s.resident_bytes},
        {"writes_total", s.writes},
        {"commits_total", s.commits},
        {"commit_us_mean", s.commits > 0 ? s.commit_us_total / s.commits : 0},
        {"batch_commands_mean", s.commits > 0 ? s.writes / s.commits : 0},
        {"batch_commands_max", s.batch_commands_max},
        {"stream_rows", s.stream_rows},
        {"stream_bytes", s.stream_bytes},
        {"total_jobs", jobs.total},
        {"jobs_queued", jobs.queued},
        {"jobs_running", jobs.running},
        {"jobs_failed", jobs.failed},
        {"user_shards", r->engine->user_shards},
        {"shared_shards", 1},
        {"writers", r->engine->n_writers},
    };
    put_figures(r, all, KL_LEN(all));
}

static void store_figures(struct kl__sys *r) {
    struct kl_store_stats store;
    kl_store_stats(r->engine->o.store, &store);
    const struct figure all[] = {
        {"store_disk_bytes", store.disk_bytes},
        {"store_memtable_bytes", store.memtable_bytes},
        {"store_cache_bytes", store.cache_bytes},
    };
    put_figures(r, all, KL_LEN(all));
}

enum kl_rc kl__sys_stats(struct kl__sys *r, struct kl_err *err) {
    const struct kl_engine_facts *facts = &r->engine->o.facts;
    (void)stat_row(r, "server_version", KL_VERSION);
    KL_TRY(catalog_figures(r, err));
    work_figures(r);
    store_figures(r);
    (void)stat_row(r, "cluster_mode", "false");
    return facts->stats != NULL ? facts->stats(facts->ctx, stat_row, r) : kl__sys_rc(r);
}
