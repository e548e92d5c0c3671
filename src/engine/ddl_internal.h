/* What the files of schema changes share: one change of the catalog on the metadata writer, and the statements that make one. */
#ifndef KL_ENGINE_DDL_INTERNAL_H
#define KL_ENGINE_DDL_INTERNAL_H

#include "engine/internal.h"

/* ---- one change of the catalog ---- */

/* What is to be done, and what it leads to. Zero it, set the first five, call kl__ddl_change.
 *
 * op runs on the metadata writer between kl_catalog_begin and the commit: it makes one or more kl_cat_* calls, puts whatever else belongs to the same
 * commit into `batch`, and fills the fields below "out". KL_OK: commit and publish. KL_E_AGAIN: nothing to do, kl__ddl_change answers KL_OK.
 * Anything else: nothing happened, neither a record nor a new snapshot. */
struct kl__ddl_change {
    struct kl_engine *engine;
    enum kl_rc (*op)(struct kl__ddl_change *c, struct kl_err *err);
    void *ctx;
    bool pause;             /* the other writers stand still between two batches from before op until after the new snapshot is published */
    struct kl_batch *batch; /* set by kl__ddl_change: the metadata shard's */
    /* out: by op */
    const uint32_t *dropped;        /* tables that are gone: everybody is told */
    size_t n_dropped;
    const uint32_t *removed;        /* ids of tables and indexes whose entries are to be removed in the background */
    size_t n_removed;
    uint32_t altered;               /* a table with a new definition, 0 none: everybody is told */
    /* out: by kl__ddl_change */
    bool changed;                   /* something was committed */
};
/* On the metadata writer only, with nothing pending there: call it in the run function of a struct kl_shard_call for KL_SHARD_META that was posted with
 * kl_engine_call. Blocks for the commit, and for the other writers when they are to stand still. Afterwards every writer sees the new snapshot before
 * its next batch. */
enum kl_rc kl__ddl_change(struct kl__ddl_change *c, struct kl_err *err);

/* ---- a statement ----
 *
 *   loop -> [query pool: prepare] -> metadata writer: the change -> [query pool: the rows of CREATE TABLE AS -> their writer] -> loop: answer
 *
 * An operation (functions below that take struct kl__ddl) runs on the metadata writer as the op of a kl__ddl_change. */
struct kl__ddl {
    struct kl_shard_call call;
    struct kl__run *run;
    struct kl__stmt *stmt;
    struct kl__ddl_change change;
    char message[700];
    struct kl_table_def def; /* CREATE VIEW, CREATE TABLE AS: with the query's columns */
    struct kl__ctas *ctas;   /* CREATE TABLE AS: see ddl_ctas.c */
};
void kl__ddl_say(struct kl__ddl *d, const char *fmt, ...) KL_PRINTF(2, 3);
/* Puts the statement's record into the change's batch. details: "" for none. */
enum kl_rc kl__ddl_audit(struct kl__ddl *d, const char *details);
/* The change that the statement asks for: on the metadata writer, then kl__ddl_answer. Any thread. */
void kl__ddl_change_catalog(struct kl__ddl *d);
/* Another change for the same statement, which undoes the first: never refused, with the writers standing still; then the same way on. */
void kl__ddl_to_writer(struct kl__ddl *d, enum kl_rc (*op)(struct kl__ddl_change *c, struct kl_err *err));
/* Ends the statement: run->rc and run->err, or message. Any thread. */
void kl__ddl_answer(struct kl__ddl *d, enum kl_rc rc);
/* Runs `step` in the query pool. Any thread. */
void kl__ddl_to_pool(struct kl__ddl *d, void (*step)(struct kl_task *t));
struct kl__ddl *kl__ddl_of(struct kl_task *t); /* in such a step */

enum kl_rc kl__ddl_create_table(struct kl__ddl *d, const struct kl_table_def *def, struct kl_err *err);

/* ---- ddl_alter.c ---- */
enum kl_rc kl__ddl_alter_table(struct kl__ddl *d, struct kl_err *err);
enum kl_rc kl__ddl_comment(struct kl__ddl *d, struct kl_err *err);
/* Whether the CHECK constraints of the table that is being made or changed can be read. */
enum kl_rc kl__ddl_check_conditions(struct kl__ddl *d, struct kl_slice ns, struct kl_slice table, struct kl_err *err);

/* ---- ddl_view.c ---- */
/* In the query pool: finds the columns of plan->query without reading a row, into d->def. */
enum kl_rc kl__ddl_query_columns(struct kl__ddl *d, struct kl_err *err);
/* The columns of a query's result as those of a table or view. folded: names in lower case, types that a table can have. */
enum kl_rc kl__ddl_columns(struct kl__ddl *d, const struct kl_sink_col *cols, size_t n, bool folded, struct kl_err *err);
void kl__ddl_view_start(struct kl_task *t);
enum kl_rc kl__ddl_create_view(struct kl__ddl *d, struct kl_err *err);
enum kl_rc kl__ddl_drop_view(struct kl__ddl *d, struct kl_err *err);

/* ---- ddl_ctas.c ---- */
void kl__ddl_ctas_start(struct kl_task *t);
/* A change of it is done, on the metadata writer. */
void kl__ddl_ctas_created(struct kl__ddl *d);
/* Ends it; returns the statement's code. */
enum kl_rc kl__ddl_ctas_end(struct kl__ddl *d, enum kl_rc rc);

/* ---- ddl_storage.c ---- */
void kl__ddl_storage_start(struct kl_task *t);
enum kl_rc kl__ddl_put_storage(struct kl__ddl *d, struct kl_err *err);
enum kl_rc kl__ddl_drop_storage(struct kl__ddl *d, struct kl_err *err);

#endif
