/* What kl_engine_stats answers: totals of the engine, and the sums of what each loop counts for itself. Counting takes no lock and
 * no shared cache line: the owner of a counter stores it, whoever asks reads it. */
#include "engine/internal.h"

void kl__loops_add(struct kl_engine_loop *l) {
    struct kl_engine *e = l->engine;
    pthread_mutex_lock(&e->loops_lock);
    l->next = e->loops;
    e->loops = l;
    pthread_mutex_unlock(&e->loops_lock);
}

void kl__loops_remove(struct kl_engine_loop *l) {
    struct kl_engine *e = l->engine;
    pthread_mutex_lock(&e->loops_lock);
    struct kl_engine_loop **at = &e->loops;
    while (*at != NULL && *at != l) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = l->next;
    }
    pthread_mutex_unlock(&e->loops_lock);
}

static void add_loops(struct kl_engine *e, struct kl_engine_stats *ret) {
    pthread_mutex_lock(&e->loops_lock);
    for (const struct kl_engine_loop *l = e->loops; l != NULL; l = l->next) {
        struct kl__row_cache_stats rows;
        struct kl_plan_cache_stats plans;
        kl__row_cache_stats(l->rows, &rows);
        kl_plan_cache_stats(l->cache, &plans);
        ret->row_cache_bytes += rows.bytes;
        ret->row_cache_hits += rows.hits;
        ret->row_cache_misses += rows.misses;
        ret->plan_cache_hits += plans.hits;
        ret->plan_cache_misses += plans.misses;
    }
    pthread_mutex_unlock(&e->loops_lock);
}

void kl_engine_stats(struct kl_engine *e, struct kl_engine_stats *ret) {
    *ret = (struct kl_engine_stats){
        .statements = e->statements,
        .slow_statements = e->slow,
        .writes = e->writes,
        .commits = e->commits,
        .commit_us_total = e->commit_us,
        .batch_commands_max = e->batch_max,
        .plan_cache_size = e->plans,
        .stream_rows = e->stream_rows,
        .stream_bytes = e->stream_bytes,
    };
    kl__residents_stats(e, &ret->resident_partitions, &ret->resident_bytes);
    add_loops(e, ret);
}
