/* The list of background jobs. It is kept in memory: what a job does is durable by itself (see cleanup.c), the list only says
 * how it goes. A job that a stop or crash interrupted is queued again by the next start, under the same id. */
#include "engine/jobs.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct kl__jobs {
    pthread_mutex_t lock;
    struct kl__job *newest;
    size_t ended;
};

struct kl__jobs *kl__jobs_new(void) {
    struct kl__jobs *j = kl_xcalloc(1, sizeof(*j));
    pthread_mutex_init(&j->lock, NULL);
    return j;
}

void kl__jobs_free(struct kl__jobs *j) {
    if (j == NULL) {
        return;
    }
    for (struct kl__job *job = j->newest, *next; job != NULL; job = next) {
        next = job->next;
        free(job);
    }
    pthread_mutex_destroy(&j->lock);
    free(j);
}

struct kl__job *kl__job_add(struct kl__jobs *j, const struct kl__job *given) {
    struct kl__job *job = kl_xcalloc(1, sizeof(*job));
    *job = *given;
    job->status = KL__JOB_QUEUED;
    job->created_us = kl_clock_wall_us();
    pthread_mutex_lock(&j->lock);
    job->next = j->newest;
    j->newest = job;
    pthread_mutex_unlock(&j->lock);
    return job;
}

void kl__job_start(struct kl__jobs *j, struct kl__job *job) {
    pthread_mutex_lock(&j->lock);
    job->status = KL__JOB_RUNNING;
    job->started_us = kl_clock_wall_us();
    pthread_mutex_unlock(&j->lock);
}

static bool has_ended(const struct kl__job *job) {
    return job->status == KL__JOB_COMPLETED || job->status == KL__JOB_FAILED;
}

/* The oldest that has ended goes. */
static void drop_oldest(struct kl__jobs *j) {
    struct kl__job **oldest = NULL;
    for (struct kl__job **at = &j->newest; *at != NULL; at = &(*at)->next) {
        oldest = has_ended(*at) ? at : oldest;
    }
    struct kl__job *gone = *oldest;
    *oldest = gone->next;
    free(gone);
    j->ended--;
}

void kl__job_end(
    struct kl__jobs *j, struct kl__job *job, enum kl__job_status status, const char *message) {
    pthread_mutex_lock(&j->lock);
    job->status = status;
    job->finished_us = kl_clock_wall_us();
    snprintf(job->message, sizeof(job->message), "%s", message);
    if (++j->ended > KL__JOBS_KEPT) {
        drop_oldest(j);
    }
    pthread_mutex_unlock(&j->lock);
}

enum kl_rc kl__jobs_each(struct kl__jobs *j, kl__job_visit *visit, void *ctx) {
    enum kl_rc rc = KL_OK;
    pthread_mutex_lock(&j->lock);
    for (struct kl__job *job = j->newest; rc == KL_OK && job != NULL; job = job->next) {
        rc = visit(ctx, job);
    }
    pthread_mutex_unlock(&j->lock);
    return rc;
}

static enum kl_rc count_job(void *ctx, const struct kl__job *job) {
    struct kl__job_counts *c = ctx;
    c->total++;
    c->queued += job->status == KL__JOB_QUEUED;
    c->running += job->status == KL__JOB_RUNNING;
    c->failed += job->status == KL__JOB_FAILED;
    return KL_OK;
}

void kl__jobs_count(struct kl__jobs *j, struct kl__job_counts *ret) {
    *ret = (struct kl__job_counts){0};
    (void)kl__jobs_each(j, count_job, ret);
}

const char *kl__job_status_name(enum kl__job_status s) {
    static const char *const names[] = {[KL__JOB_QUEUED] = "queued",
        [KL__JOB_RUNNING] = "running",
        [KL__JOB_COMPLETED] = "completed",
        [KL__JOB_FAILED] = "failed"};
    return names[s];
}
