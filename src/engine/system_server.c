/* Relations about the server that runs: users, subscriptions, the audit log, jobs, transactions, settings, the log file, this node. */
#include "engine/audit.h"
#include "engine/jobs.h"
#include "engine/system_internal.h"
#include "engine/txn_list.h"

#include <stdio.h>

#define CLUSTER_ID "standalone"
#define GROUP_META 10
#define GROUP_USER 100
#define GROUP_SHARED 200

/* ---- users ---- */

static enum kl_rc user_row(void *ctx, const struct kl_user *u) {
    static const char *const types[] = {[KL_AUTH_PASSWORD] = "password",
        [KL_AUTH_OAUTH] = "oauth",
        [KL_AUTH_INTERNAL] = "internal"};
    struct kl__sys *r = ctx;
    kl__sys_copy(r, KL_T_TEXT, u->id);
    kl__sys_text(r, u->password_hash.len > 0 ? "***" : "");
    kl__sys_text(r, kl_role_name(u->role));
    kl__sys_optional(r, KL_T_TEXT, u->email);
    kl__sys_text(r, u->auth_type < KL_LEN(types) && types[u->auth_type] != NULL
                        ? types[u->auth_type]
                        : "password");
    kl__sys_optional(r, KL_T_JSON, u->auth_data);
    kl__sys_text(r, "table");
    kl__sys_null(r, KL_T_TEXT);
    kl__sys_i32(r, u->failed_logins);
    kl__sys_time(r, u->locked_until_us);
    kl__sys_time(r, u->last_login_us);
    kl__sys_put(r, kl_val_int(KL_T_TIMESTAMP, u->created_us));
    kl__sys_put(r, kl_val_int(KL_T_TIMESTAMP, u->updated_us));
    kl__sys_time(r, u->last_login_us);
    kl__sys_time(r, u->deleted_us);
    return kl__sys_rc(r);
}

/* ---- what happens ---- */

static enum kl_rc live_row(void *ctx, const struct kl_val *vals) {
    struct kl__sys *r = ctx;
    for (size_t i = 0; i < r->width; i++) {
        struct kl_val copy = kl_val_null(KL_T_TEXT);
        r->failed = r->failed || !kl_val_dup(r->arena, &vals[i], &copy);
        kl__sys_put(r, copy);
    }
    return kl__sys_rc(r);
}

static enum kl_rc audit_row(void *ctx, const struct kl__audit_entry *e, struct kl_err *err) {
    struct kl__sys *r = ctx;
    char id[KL__AUDIT_ID_BYTES];
    (void)err;
    kl__sys_copy(r, KL_T_TEXT, kl__audit_id(e, id));
    kl__sys_put(r, kl_val_int(KL_T_TIMESTAMP, e->us));
    kl__sys_copy(r, KL_T_TEXT, e->actor);
    kl__sys_copy(r, KL_T_TEXT, e->action);
    kl__sys_copy(r, KL_T_TEXT, e->target);
    kl__sys_optional(r, KL_T_TEXT, e->details);
    kl__sys_optional(r, KL_T_TEXT, e->ip);
    kl__sys_optional(r, KL_T_TEXT, e->subject);
    return kl__sys_rc(r);
}

static uint32_t node_id(const struct kl_engine *e) {
    return e->o.facts.node_id != 0 ? e->o.facts.node_id : 1;
}

static int64_t job_updated(const struct kl__job *job) {
    return job->finished_us != 0  ? job->finished_us
           : job->started_us != 0 ? job->started_us
                                  : job->created_us;
}

static enum kl_rc job_row(void *ctx, const struct kl__job *job) {
    struct kl__sys *r = ctx;
    const char *status = kl__job_status_name(job->status);
    bool failed = job->status == KL__JOB_FAILED;
    uint32_t node = node_id(r->engine);
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(job->id));
    kl__sys_text(r, job->type);
    kl__sys_text(r, status);
    kl__sys_text(r, status); /* the only node leads */
    kl__sys_optional(r, KL_T_JSON, kl_slice_str(job->parameters));
    kl__sys_optional(r, KL_T_TEXT, failed ? KL_SLICE_NONE : kl_slice_str(job->message));
    kl__sys_optional(r, KL_T_TEXT, failed ? kl_slice_str(job->message) : KL_SLICE_NONE);
    kl__sys_optional(r, KL_T_TEXT, kl_slice_str(job->key));
    kl__sys_null(r, KL_T_TEXT);
    kl__sys_null(r, KL_T_INT);
    kl__sys_i16(r, 0); /* tried again at the next start, not before */
    kl__sys_i16(r, 0);
    kl__sys_null(r, KL_T_BIGINT);
    kl__sys_null(r, KL_T_BIGINT);
    kl__sys_put(r, kl_val_int(KL_T_TIMESTAMP, job->created_us));
    kl__sys_put(r, kl_val_int(KL_T_TIMESTAMP, job_updated(job)));
    kl__sys_time(r, job->started_us);
    kl__sys_time(r, job->finished_us);
    kl__sys_i64(r, node);
    kl__sys_i64(r, node);
    return kl__sys_rc(r);
}

static enum kl_rc job_node_row(void *ctx, const struct kl__job *job) {
    struct kl__sys *r = ctx;
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(job->id));
    kl__sys_i64(r, node_id(r->engine));
    kl__sys_text(r, kl__job_status_name(job->status));
    kl__sys_optional(
        r, KL_T_TEXT, job->status == KL__JOB_FAILED ? kl_slice_str(job->message) : KL_SLICE_NONE);
    kl__sys_put(r, kl_val_int(KL_T_TIMESTAMP, job->created_us));
    kl__sys_time(r, job->started_us);
    kl__sys_time(r, job->finished_us);
    kl__sys_put(r, kl_val_int(KL_T_TIMESTAMP, job_updated(job)));
    return kl__sys_rc(r);
}

static enum kl_rc transaction_row(void *ctx, const struct kl__txn_entry *e) {
    static const char *const states[] = {[KL__TXN_OPEN_READ] = "open_read",
        [KL__TXN_OPEN_WRITE] = "open_write",
        [KL__TXN_COMMITTING] = "committing",
        [KL__TXN_ROLLING_BACK] = "rolling_back"};
    struct kl__sys *r = ctx;
    /* loads are spelled out: the compiler reads an atomic that is a subscript plainly */
    int64_t now = kl_clock_mono_ns(), active = KL_MAX(atomic_load(&e->active_ns), e->started_ns);
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(e->id));
    kl__sys_copy(r, KL_T_TEXT, e->owner);
    kl__sys_text(r, "SqlBatch");
    kl__sys_text(r, states[atomic_load(&e->state)]);
    kl__sys_i64(r, KL_MAX(now - e->started_ns, (int64_t)0) / 1000000);
    kl__sys_i64(r, KL_MAX(now - active, (int64_t)0) / 1000000);
    kl__sys_i64(r, (int64_t)atomic_load(&e->writes));
    kl__sys_i64(r, (int64_t)atomic_load(&e->bytes));
    kl__sys_i64(r, (int64_t)e->tables);
    kl__sys_i64(r, atomic_load(&e->seq));
    return kl__sys_rc(r);
}

/* ---- what the server says of itself ---- */

static enum kl_rc setting_row(
    void *ctx, const char *name, const char *value, const char *description, const char *category) {
    struct kl__sys *r = ctx;
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(name));
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(value));
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(description));
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(category));
    return kl__sys_rc(r);
}

static enum kl_rc log_row(void *ctx, const struct kl_log_line *l) {
    struct kl__sys *r = ctx;
    kl__sys_copy(r, KL_T_TEXT, l->timestamp);
    kl__sys_copy(r, KL_T_TEXT, l->level);
    kl__sys_optional(r, KL_T_TEXT, l->thread);
    kl__sys_optional(r, KL_T_TEXT, l->target);
    kl__sys_null(r, KL_T_BIGINT);
    kl__sys_copy(r, KL_T_TEXT, l->message);
    return kl__sys_rc(r);
}

/* One server by itself: it leads everything, and nothing is replicated. */
static void cluster(struct kl__sys *r) {
    struct kl_engine_node n = {0};
    if (r->engine->o.facts.node != NULL) {
        r->engine->o.facts.node(r->engine->o.facts.ctx, &n);
    }
    kl__sys_text(r, CLUSTER_ID);
    kl__sys_i64(r, node_id(r->engine));
    kl__sys_text(r, "leader");
    kl__sys_text(r, "active");
    kl__sys_text(r, ""); /* nodes do not talk to each other */
    kl__sys_copy(r, KL_T_TEXT, kl_slice_str(n.api_addr));
    kl__sys_bool(r, true);
    kl__sys_bool(r, true);
    kl__sys_i32(r, r->engine->n_shards);
    kl__sys_i32(r, r->engine->n_shards);
    for (int null = 0; null < 4; null++) { /* term, positions in a log */
        kl__sys_null(r, KL_T_BIGINT);
    }
    kl__sys_null(r, KL_T_SMALLINT);
    kl__sys_null(r, KL_T_BIGINT);
    kl__sys_optional(r, KL_T_TEXT, kl_slice_str(n.hostname));
    kl__sys_text(r, KL_VERSION);
    kl__sys_i64(r, (int64_t)(n.total_memory_bytes >> 20));
    kl__sys_i64(r, (int64_t)(n.memory_bytes >> 20));
    kl__sys_put(r, (struct kl_val){.type = KL_T_FLOAT, .d = (float)n.cpu_percent});
    kl__sys_i64(r, n.uptime_s);
    kl__sys_optional(r, KL_T_TEXT, kl_slice_str(n.uptime));
    kl__sys_optional(r, KL_T_TEXT, kl_slice_str(n.os));
    kl__sys_optional(r, KL_T_TEXT, kl_slice_str(n.arch));
}

/* Shards are what would be replicated, so each is a group. */
static void groups(struct kl__sys *r) {
    uint32_t node = node_id(r->engine);
    for (unsigned i = 0; i < r->engine->n_shards; i++) {
        unsigned user = i - KL_SHARD_USER0;
        bool meta = i == KL_SHARD_META, shared = i == KL_SHARD_SHARED;
        unsigned of_user = GROUP_USER + user < GROUP_SHARED
                               ? GROUP_USER + user
                               : 10 * GROUP_USER + user; /* never that of another kind */
        kl__sys_i64(r, meta ? GROUP_META : shared ? GROUP_SHARED : of_user);
        kl__sys_text(r, CLUSTER_ID);
        kl__sys_i64(r, node);
        kl__sys_text(r, meta ? "meta" : shared ? "shared_data" : "user_data");
        kl__sys_null(r, KL_T_BIGINT);
        kl__sys_null(r, KL_T_JSON);
        for (int null = 0; null < 5; null++) {
            kl__sys_null(r, KL_T_BIGINT);
        }
        kl__sys_text(r, "leader");
        kl__sys_i64(r, node);
        kl__sys_null(r, KL_T_BIGINT);
    }
}

enum kl_rc kl__sys_server(struct kl__sys *r, uint32_t relation, struct kl_err *err) {
    struct kl_engine *e = r->engine;
    switch (relation) {
    case KL_SYS_USERS:
        return kl_user_each(e->o.store, user_row, r, err);
    case KL_SYS_LIVE:
        return e->o.listener.live_rows != NULL
                   ? e->o.listener.live_rows(e->o.listener.ctx, live_row, r, err)
                   : KL_OK;
    case KL_SYS_AUDIT_LOG:
        return kl__audit_each(e, audit_row, r, err);
    case KL_SYS_JOBS:
        return kl__jobs_each(e->jobs, job_row, r);
    case KL_SYS_JOB_NODES:
        return kl__jobs_each(e->jobs, job_node_row, r);
    case KL_SYS_TRANSACTIONS:
        return kl__txn_each(e->txns, transaction_row, r);
    case KL_SYS_SESSIONS: /* there is no bridge to PostgreSQL */
        return KL_OK;
    case KL_SYS_STATS:
        return kl__sys_stats(r, err);
    case KL_SYS_SETTINGS:
        return e->o.facts.settings != NULL ? e->o.facts.settings(e->o.facts.ctx, setting_row, r)
                                           : KL_OK;
    case KL_SYS_SERVER_LOGS:
        return e->o.facts.logs != NULL ? e->o.facts.logs(e->o.facts.ctx, log_row, r, err) : KL_OK;
    case KL_SYS_CLUSTER:
        cluster(r);
        return KL_OK;
    case KL_SYS_CLUSTER_GROUPS:
        groups(r);
        return KL_OK;
    default:
        return KL_E_AGAIN;
    }
}
