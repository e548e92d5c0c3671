/* Statements that change the catalog: on the metadata writer, between two batches. Here namespaces and tables; ddl_*.c have the rest.
 *
 *     pause the other writers (when an existing table changes) -> kl_catalog_begin -> one operation -> commit -> publish
 *     -> log the table's change for every writer -> resume -> start cleaning up -> answer
 *
 * Some statements have a step in the query pool before that (views, storages) or around it (CREATE TABLE AS). Anything that fails before the commit leaves neither a record nor a new snapshot. */
#include "engine/audit.h"
#include "engine/ddl_internal.h"

#include <stdio.h>
#include <stdlib.h>

static bool changes_a_table(enum kl_plan_kind k) {
    return k == KL_PLAN_ALTER_TABLE || k == KL_PLAN_DROP_TABLE || k == KL_PLAN_DROP_NAMESPACE || k == KL_PLAN_COMMENT;
}

void kl__ddl_say(struct kl__ddl *d, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(d->message, sizeof(d->message), fmt, ap);
    va_end(ap);
}

enum kl_rc kl__ddl_audit(struct kl__ddl *d, const char *details) {
    struct kl__audit_entry e;
    if (kl__audit_of(d->stmt, d->run->x->arena, &e)) {
        e.details = details[0] != '\0' ? kl_slice_str(details) : KL_SLICE_NONE;
        kl__audit(d->change.batch, &e);
    }
    return KL_OK;
}

/* ---- operations: KL_E_AGAIN means "nothing to do, the message says so" ---- */

static enum kl_rc create_namespace(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    enum kl_rc rc = kl_cat_create_namespace(d->run->e->o.catalog, p->name, kl_clock_wall_us(), err);
    if (rc == KL_E_EXISTS && p->if_not_exists) {
        kl__ddl_say(d, "Namespace '%.*s' already exists", KL_FMT(p->name));
        return KL_E_AGAIN;
    }
    KL_TRY(rc);
    kl__ddl_say(d, "Namespace '%.*s' created successfully", KL_FMT(p->name));
    return kl__ddl_audit(d, "");
}

static enum kl_rc alter_namespace(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    kl__ddl_say(d, "Namespace '%.*s' altered successfully", KL_FMT(p->name));
    KL_TRY(kl_cat_set_namespace_options(d->run->e->o.catalog, p->name, p->text, err));
    return kl__ddl_audit(d, "");
}

static enum kl_rc drop_namespace(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    uint32_t *ids;
    size_t n;
    enum kl_rc rc = kl_cat_drop_namespace(d->run->e->o.catalog, p->name, d->run->x->arena, &ids, &n, err);
    if (rc == KL_E_NOT_FOUND && p->if_exists) {
        kl__ddl_say(d, "Namespace '%.*s' does not exist", KL_FMT(p->name));
        return KL_E_AGAIN;
    }
    KL_TRY(rc);
    d->change.dropped = d->change.removed = ids;
    d->change.n_dropped = d->change.n_removed = n;
    kl__ddl_say(d, "Namespace '%.*s' dropped successfully", KL_FMT(p->name));
    return kl__ddl_audit(d, "");
}

enum kl_rc kl__ddl_create_table(struct kl__ddl *d, const struct kl_table_def *given, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    struct kl_table_def filled = *given;
    const struct kl_table_def *def = &filled;
    uint32_t id;
    if (filled.options.deleted_retention_hours == 0) {
        filled.options.deleted_retention_hours = d->run->e->o.deleted_retention_hours;
    }
    enum kl_rc rc = kl_cat_create_table(d->run->e->o.catalog, def, kl_clock_wall_us(), &id, err);
    if (rc == KL_E_EXISTS && p->if_not_exists) {
        kl__ddl_say(d, "Table %.*s.%.*s already exists (skipped)", KL_FMT(def->ns), KL_FMT(def->name));
        return KL_E_AGAIN;
    }
    KL_TRY(rc);
    KL_TRY(kl__ddl_check_conditions(d, def->ns, def->name, err));
    kl__ddl_say(d, "%s table %.*s.%.*s created successfully", kl_table_type_name(def->type), KL_FMT(def->ns), KL_FMT(def->name));
    return kl__ddl_audit(d, kl_table_type_name(def->type));
}

static enum kl_rc drop_table(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    char job[KL__JOB_ID_BYTES];
    if (p->table == NULL) {
        kl__ddl_say(d, "Table %.*s does not exist (skipped)", KL_FMT(p->name));
        return KL_E_AGAIN;
    }
    struct kl_table *t = kl_cat_table_by_id(kl__writer_current()->cat, p->table->id);
    if (t == NULL) {
        return KL_E_STALE_PLAN;
    }
    if (t->type == KL_TABLE_VIEW) {
        kl_fail(err, KL_E_INVALID_SQL, "'%s' is a view", t->qualified.ptr);
        kl_err_hint(err, "DROP VIEW removes it");
        return KL_E_INVALID_SQL;
    }
    uint32_t *ids = KL_ARENA_ARRAY(d->run->x->arena, uint32_t, 1 + t->n_indexes);
    if (ids == NULL) {
        return kl_fail(err, KL_E_NOMEM, "out of memory");
    }
    ids[0] = t->id;
    for (size_t i = 0; i < t->n_indexes; i++) {
        ids[1 + i] = t->indexes[i].id;
    }
    d->change.dropped = d->change.removed = ids;
    d->change.n_dropped = 1;
    d->change.n_removed = 1 + t->n_indexes;
    kl__cleanup_job_id(t->id, job);
    kl__ddl_say(d, "Table %s dropped successfully. Cleanup job: %s", t->qualified.ptr, job);
    KL_TRY(kl_cat_drop_table(d->run->e->o.catalog, kl_slice_str(t->ns), kl_slice_str(t->name), &ids[0], err));
    return kl__ddl_audit(d, "");
}

static enum kl_rc operate(struct kl__ddl_change *c, struct kl_err *err) {
    struct kl__ddl *d = c->ctx;
    switch (d->stmt->bound.plan->kind) {
    case KL_PLAN_CREATE_NAMESPACE:
        return create_namespace(d, err);
    case KL_PLAN_ALTER_NAMESPACE:
        return alter_namespace(d, err);
    case KL_PLAN_DROP_NAMESPACE:
        return drop_namespace(d, err);
    case KL_PLAN_CREATE_TABLE:
        return kl__ddl_create_table(d, d->stmt->bound.plan->create, err);
    case KL_PLAN_CREATE_TABLE_AS:
        return kl__ddl_create_table(d, &d->def, err);
    case KL_PLAN_ALTER_TABLE:
        return kl__ddl_alter_table(d, err);
    case KL_PLAN_COMMENT:
        return kl__ddl_comment(d, err);
    case KL_PLAN_CREATE_VIEW:
        return kl__ddl_create_view(d, err);
    case KL_PLAN_DROP_VIEW:
        return kl__ddl_drop_view(d, err);
    case KL_PLAN_CREATE_STORAGE:
    case KL_PLAN_ALTER_STORAGE:
        return kl__ddl_put_storage(d, err);
    case KL_PLAN_DROP_STORAGE:
        return kl__ddl_drop_storage(d, err);
    case KL_PLAN_DROP_TABLE:
        return drop_table(d, err);
    default:
        return kl_fail(err, KL_E_UNSUPPORTED, "%s is not available in this version", kl_plan_kind_name(d->stmt->bound.plan->kind));
    }
}

/* ---- around the operation ---- */

static void log_table_change(struct kl_engine *e, uint32_t id, struct kl_table *t) {
    pthread_mutex_lock(&e->table_log_lock);
    KL_GROW(e->table_log, e->cap_table_log, e->n_table_log + 1);
    if (t != NULL) {
        kl_table_ref(t);
    }
    e->table_log[e->n_table_log++] = (struct kl__table_change){id, t};
    pthread_mutex_unlock(&e->table_log_lock);
}

static void published(struct kl__ddl_change *c) {
    struct kl_engine *e = c->engine;
    struct kl_cat *cat = kl_catalog_acquire(e->o.catalog);
    for (size_t i = 0; i < c->n_dropped; i++) {
        log_table_change(e, c->dropped[i], NULL);
    }
    if (c->altered != 0) {
        log_table_change(e, c->altered, kl_cat_table_by_id(cat, c->altered));
    }
    kl_cat_release(cat);
}

/* One batch: the operation's records, what is to be cleaned up, the shard's state. */
static enum kl_rc commit_change(struct kl__ddl_change *c, struct kl_err *err) {
    struct kl_engine *e = c->engine;
    struct kl__shard *meta = kl__shard(e, KL_SHARD_META);
    c->batch = meta->batch;
    KL_TRY(kl_catalog_begin(e->o.catalog, meta->batch, err));
    enum kl_rc rc = c->op(c, err);
    for (size_t i = 0; rc == KL_OK && i < c->n_removed; i++) {
        kl__cleanup_record(meta->batch, c->removed[i]);
    }
    if (rc == KL_OK) {
        struct kl_commit commit = {KL_SHARD_META, meta->batch, meta->last_seq, meta->applied + 1};
        rc = kl_commit_log_commit(e->log, &commit, 1, err);
        meta->applied++;
    }
    kl_batch_clear(meta->batch);
    if (rc != KL_OK) {
        kl_catalog_abort(e->o.catalog);
        return rc == KL_E_AGAIN ? KL_OK : rc;
    }
    kl_catalog_publish(e->o.catalog);
    c->changed = true;
    published(c);
    return KL_OK;
}

enum kl_rc kl__ddl_change(struct kl__ddl_change *c, struct kl_err *err) {
    struct kl__writer *w = kl__writer_current();
    KL_ASSERT(w != NULL && w->index == 0);
    struct kl_cat *before = kl_catalog_acquire(c->engine->o.catalog);
    if (c->pause) {
        kl__writers_pause(w);
    }
    enum kl_rc rc = commit_change(c, err);
    if (c->pause) {
        kl__writers_resume(w);
    }
    kl__writer_refresh(w);
    for (size_t i = 0; c->changed && i < c->n_removed; i++) {
        kl__cleanup_start(c->engine, c->removed[i], before);
    }
    kl_cat_release(before);
    return rc;
}

/* ---- the statement ---- */

void kl__ddl_answer(struct kl__ddl *d, enum kl_rc rc) {
    struct kl__run *r = d->run;
    if (d->ctas != NULL) {
        rc = kl__ddl_ctas_end(d, rc);
    }
    r->rc = rc;
    if (rc == KL_OK) {
        r->ddl_message = kl_slice_str(d->message);
    }
    kl__run_resume(r);
}

static void run_ddl(struct kl_shard_call *call) {
    struct kl__ddl *d = KL_CONTAINER_OF(call, struct kl__ddl, call);
    struct kl__run *r = d->run;
    enum kl_rc rc = kl__ddl_change(&d->change, &r->err);
    if (rc == KL_OK && d->ctas != NULL) {
        kl__ddl_ctas_created(d);
        return;
    }
    kl__ddl_answer(d, rc);
}

/* Once the call is posted the run belongs to the writer: nothing of it may be touched here any more. */
void kl__ddl_to_writer(struct kl__ddl *d, enum kl_rc (*op)(struct kl__ddl_change *c, struct kl_err *err)) {
    d->change = (struct kl__ddl_change){
        .engine = d->run->e, .op = op, .ctx = d, .pause = op != operate || changes_a_table(d->stmt->bound.plan->kind)};
    d->call = (struct kl_shard_call){.shard = KL_SHARD_META, .run = run_ddl};
    if (op != operate) {
        kl_engine_call_always(d->run->e, &d->call);
        return;
    }
    enum kl_rc rc = kl_engine_call(d->run->e, &d->call);
    if (rc != KL_OK) {
        kl__ddl_answer(d, rc);
    }
}

void kl__ddl_change_catalog(struct kl__ddl *d) { kl__ddl_to_writer(d, operate); }

struct kl__ddl *kl__ddl_of(struct kl_task *t) { return KL_CONTAINER_OF(t, struct kl__run, task)->ddl; }

void kl__ddl_to_pool(struct kl__ddl *d, void (*step)(struct kl_task *t)) {
    d->run->task.run = step;
    enum kl_rc rc = kl_engine_pool_post(d->run->e, &d->run->task);
    if (rc != KL_OK) {
        kl__ddl_answer(d, rc);
    }
}

void kl__ddl_start(struct kl__run *r, struct kl__stmt *s) {
    struct kl__ddl *d = KL_ARENA_NEW(r->x->arena, struct kl__ddl);
    if (d == NULL) {
        r->rc = kl_fail(&r->err, KL_E_NOMEM, "the request is larger than its memory");
        kl__run_resume(r);
        return;
    }
    d->run = r;
    d->stmt = s;
    r->ddl = d;
    switch (s->bound.plan->kind) {
    case KL_PLAN_CREATE_VIEW:
        kl__ddl_to_pool(d, kl__ddl_view_start);
        return;
    case KL_PLAN_CREATE_TABLE_AS:
        kl__ddl_to_pool(d, kl__ddl_ctas_start);
        return;
    case KL_PLAN_CREATE_STORAGE:
    case KL_PLAN_CHECK_STORAGE:
        kl__ddl_to_pool(d, kl__ddl_storage_start);
        return;
    default:
        kl__ddl_change_catalog(d);
        return;
    }
}
