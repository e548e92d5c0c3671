/* What runs in the background, for system.jobs: jobs of this process, and the newest of those that have ended. */
#ifndef KL_ENGINE_JOBS_H
#define KL_ENGINE_JOBS_H

#include "engine/internal.h"

#define KL__JOBS_KEPT 1000 /* jobs that have ended */
#define KL__JOB_TEXT_BYTES 320

enum kl__job_status { KL__JOB_QUEUED, KL__JOB_RUNNING, KL__JOB_COMPLETED, KL__JOB_FAILED };
struct kl__job {
    struct kl__job *next; /* older; guarded by jobs.lock, as is all below */
    char id[KL__JOB_ID_BYTES];
    const char *type; /* "cleanup" */
    enum kl__job_status status;
    char parameters[KL__JOB_TEXT_BYTES]; /* JSON */
    char key[KL__JOB_TEXT_BYTES];        /* idempotency key; empty: none */
    char message[KL__JOB_TEXT_BYTES];    /* empty: none; FAILED: why */
    int64_t created_us, started_us, finished_us;
};
struct kl__jobs;
struct kl__jobs *kl__jobs_new(void);
void kl__jobs_free(struct kl__jobs *j); /* accepts NULL */

/* A job in state QUEUED, a copy of what is given. The list owns it; whoever runs it may touch it through these functions until
 * kl__job_end. Any thread. */
struct kl__job *kl__job_add(struct kl__jobs *j, const struct kl__job *given);
void kl__job_start(struct kl__jobs *j, struct kl__job *job);
void kl__job_end(
    struct kl__jobs *j, struct kl__job *job, enum kl__job_status status, const char *message);

/* Newest first; stops at the first code that is not KL_OK. The lock is held: visit must not come back here. */
typedef enum kl_rc kl__job_visit(void *ctx, const struct kl__job *job);
enum kl_rc kl__jobs_each(struct kl__jobs *j, kl__job_visit *visit, void *ctx);
struct kl__job_counts {
    uint64_t total, queued, running, failed;
};
void kl__jobs_count(struct kl__jobs *j, struct kl__job_counts *ret);
const char *kl__job_status_name(enum kl__job_status s);

#endif
