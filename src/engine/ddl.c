/* CREATE, ALTER and DROP of namespaces and tables, on the metadata writer between two batches.
 *
 *     pause the other writers (when an existing table changes) -> kl_catalog_begin -> one operation -> commit -> publish
 *     -> log the table's change for every writer -> resume -> start cleaning up -> answer
 *
 * Anything that fails before the commit leaves neither a record nor a new snapshot. */
#include "engine/ddl_internal.h"

#include <stdio.h>
#include <stdlib.h>

static bool changes_a_table(enum kl_plan_kind k) {
    return k == KL_PLAN_ALTER_TABLE || k == KL_PLAN_DROP_TABLE || k == KL_PLAN_DROP_NAMESPACE;
}

void kl__ddl_say(struct kl__ddl *d, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(d->message, sizeof(d->message), fmt, ap);
    va_end(ap);
}

static void job_id(uint32_t table, char out[24]) { snprintf(out, 24, "CL-%012x", table); }

/* ---- operations: KL_E_AGAIN means "nothing to do, the message says so" ---- */

static enum kl_rc create_namespace(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    enum kl_rc rc = kl_cat_create_namespace(d->run->e->o.catalog, p->name, kl_clock_wall_us(), err);
    if (rc == KL_E_EXISTS && p->if_not_exists) {
        kl__ddl_say(d, "Namespace '%.*s' already exists", KL_FMT(p->name));
        return KL_E_AGAIN;
    }
    kl__ddl_say(d, "Namespace '%.*s' created successfully", KL_FMT(p->name));
    return rc;
}

static enum kl_rc alter_namespace(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    kl__ddl_say(d, "Namespace '%.*s' altered successfully", KL_FMT(p->name));
    return kl_cat_set_namespace_options(d->run->e->o.catalog, p->name, p->text, err);
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
    if (rc == KL_OK) {
        d->change.dropped = d->change.removed = ids;
        d->change.n_dropped = d->change.n_removed = n;
    }
    kl__ddl_say(d, "Namespace '%.*s' dropped successfully", KL_FMT(p->name));
    return rc;
}

static enum kl_rc create_table(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    struct kl_table_def filled = *p->create;
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
    kl__ddl_say(d, "%s table %.*s.%.*s created successfully", kl_table_type_name(def->type), KL_FMT(def->ns), KL_FMT(def->name));
    return rc;
}

/* A NOT NULL column without a default has nothing to show in the rows that are there. The writers stand still, so none can come. */
static enum kl_rc check_new_column(struct kl__ddl *d, const struct kl_table *t, const struct kl_alter *a, struct kl_err *err) {
    bool any = false;
    if (a->add.nullable || a->add.def.kind != KL_DEFAULT_NONE) {
        return KL_OK;
    }
    KL_TRY(kl__table_any_row(d->run->e, t->id, &any, err));
    if (any) {
        kl_fail(err, KL_E_CONSTRAINT, "Column '%.*s' is NOT NULL and has no DEFAULT: table %s is not empty", KL_FMT(a->add.name),
            t->qualified.ptr);
        kl_err_hint(err, "give the column a DEFAULT, or leave out NOT NULL");
        return KL_E_CONSTRAINT;
    }
    return KL_OK;
}

static void describe_alter(struct kl__ddl *d, const struct kl_alter *a, struct kl_buf *out) {
    switch (a->op) {
    case KL_ALTER_ADD:
        kl_buf_printf(out, "ADD COLUMN %.*s ", KL_FMT(a->add.name));
        kl_type_sql_name(a->add.type, out);
        break;
    case KL_ALTER_DROP:
        kl_buf_printf(out, "DROP COLUMN %.*s", KL_FMT(a->column));
        break;
    case KL_ALTER_RENAME:
        kl_buf_printf(out, "RENAME COLUMN %.*s TO %.*s", KL_FMT(a->column), KL_FMT(a->new_name));
        break;
    case KL_ALTER_ACCESS:
        kl_buf_printf(out, "SET ACCESS LEVEL %s", kl_access_name(a->access));
        break;
    }
}

static enum kl_rc alter_table(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    struct kl_engine *e = d->run->e;
    struct kl_table *t = kl_cat_table_by_id(kl__writer_current()->cat, p->table->id);
    struct kl_alter a = *p->alter;
    uint32_t version;
    if (t == NULL || t->version != p->table->version) {
        return KL_E_STALE_PLAN;
    }
    if (a.op == KL_ALTER_ADD) {
        struct kl_eval ev;
        struct kl_column c = {.name = "", .type = a.add.type, .nullable = a.add.nullable, .def = a.add.def};
        KL_TRY(check_new_column(d, t, &a, err));
        kl__eval_init(d->run, d->stmt, &d->stmt->bound, d->run->x->arena, &ev);
        a.missing = kl_val_null(a.add.type.id);
        if (a.add.def.kind != KL_DEFAULT_NONE) {
            KL_TRY(kl_sql_eval_default(&c, &ev, &a.missing, err));
        }
    }
    KL_TRY(kl_cat_alter_table(e->o.catalog, kl_slice_str(t->ns), kl_slice_str(t->name), &a, kl_clock_wall_us(), &version, err));
    struct kl_buf what;
    kl_buf_init(&what, 1024);
    describe_alter(d, &a, &what);
    if (version == t->version) {
        kl__ddl_say(d, "Table %s unchanged: %.*s (version %u - no changes needed)", t->qualified.ptr, KL_FMT(kl_buf_view(&what)), version);
    } else {
        kl__ddl_say(d, "Table %s altered successfully: %.*s (version %u)", t->qualified.ptr, KL_FMT(kl_buf_view(&what)), version);
        d->change.altered = t->id;
    }
    kl_buf_deinit(&what);
    return version == t->version ? KL_E_AGAIN : KL_OK;
}

static enum kl_rc drop_table(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    char job[24];
    if (p->table == NULL) {
        kl__ddl_say(d, "Table %.*s does not exist (skipped)", KL_FMT(p->name));
        return KL_E_AGAIN;
    }
    struct kl_table *t = kl_cat_table_by_id(kl__writer_current()->cat, p->table->id);
    if (t == NULL) {
        return KL_E_STALE_PLAN;
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
    job_id(t->id, job);
    kl__ddl_say(d, "Table %s dropped successfully. Cleanup job: %s", t->qualified.ptr, job);
    return kl_cat_drop_table(d->run->e->o.catalog, kl_slice_str(t->ns), kl_slice_str(t->name), &ids[0], err);
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
        return create_table(d, err);
    case KL_PLAN_ALTER_TABLE:
        return alter_table(d, err);
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
    if (c->pause) {
        kl__writers_pause(w);
    }
    enum kl_rc rc = commit_change(c, err);
    if (c->pause) {
        kl__writers_resume(w);
    }
    kl__writer_refresh(w);
    for (size_t i = 0; c->changed && i < c->n_removed; i++) {
        kl__cleanup_start(c->engine, c->removed[i]);
    }
    return rc;
}

/* ---- the statement ---- */

static void ddl_done(struct kl_task *t) {
    struct kl__run *r = KL_CONTAINER_OF(t, struct kl__run, task);
    if (r->rc == KL_OK) {
        r->x->sink->message(r->x->sink, 0, kl_slice_str(r->ddl->message));
    }
    kl__run_continue(r);
}

static void run_ddl(struct kl_shard_call *call) {
    struct kl__ddl *d = KL_CONTAINER_OF(call, struct kl__ddl, call);
    struct kl__run *r = d->run;
    d->change = (struct kl__ddl_change){
        .engine = r->e, .op = operate, .ctx = d, .pause = changes_a_table(d->stmt->bound.plan->kind)};
    r->rc = kl__ddl_change(&d->change, &r->err);
    r->task.run = ddl_done;
    kl_loop_post(r->l->loop, &r->task);
}

/* Once the call is posted the run belongs to the writer: nothing of it may be touched here any more. */
void kl__ddl_start(struct kl__run *r, struct kl__stmt *s) {
    struct kl__ddl *d = KL_ARENA_NEW(r->x->arena, struct kl__ddl);
    enum kl_rc rc = KL_E_NOMEM;
    if (d != NULL) {
        d->run = r;
        d->stmt = s;
        d->call.shard = KL_SHARD_META;
        d->call.run = run_ddl;
        r->ddl = d;
        rc = kl_engine_call(r->e, &d->call);
    }
    if (rc != KL_OK) {
        r->rc = rc;
        kl__run_resume(r);
    }
}
