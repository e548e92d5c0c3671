/* What the binder's tests share: a store and a catalog in a fresh folder, tables made by binding
 * their DDL, and a database of rows in memory, so that a test can write a statement and read what
 * it does. */
#ifndef KL_TEST_SQL_PLAN_SUPPORT_H
#define KL_TEST_SQL_PLAN_SUPPORT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sql/internal.h"
#include "sql/shape.h"

#define MAX_ROWS 3000
struct mem_row {
    struct kl_table *table;
    struct kl_val vals[16];
    int64_t seq;
};
static struct db {
    char path[512];
    struct kl_store *store;
    struct kl_catalog *catalog;
    struct kl_batch *batch;
    struct kl_cat *cat;
    struct kl_plan_cache *cache;
    struct kl_session session;
    struct kl_snowflake ids;
    enum kl_executor executor;
    struct kl_arena arena, rows_arena;
    struct mem_row rows[MAX_ROWS];
    size_t n_rows;
    int64_t next_seq;
    struct kl_err err;
    enum kl_plan_kind kind; /* of the last plan */
    bool point;             /* and its access */
    struct kl_buf out;      /* result of the last run */
} db;

static inline struct kl_sql_ctx db_ctx(void) {
    return (struct kl_sql_ctx){
        .cache = db.cache, .cat = db.cat, .session = &db.session, .executor = db.executor};
}

static inline void db_refresh(void) {
    kl_cat_release(db.cat);
    db.cat = kl_catalog_acquire(db.catalog);
}

/* ---- catalog changes ---- */
/* Of a query that runs natively. */
static inline enum kl_rc db_create_view(const struct kl_plan *p, uint32_t *ret_id) {
    struct kl_table_def def = *p->create;
    struct kl_column_def cols[16] = {0};
    assert_int_equal(p->query->kind, KL_PLAN_SELECT);
    def.n_cols = p->query->select->n_output;
    def.cols = cols;
    for (size_t i = 0; i < def.n_cols; i++) {
        cols[i].name = i < p->n_columns ? p->columns[i] : p->query->select->cols[i].name;
        cols[i].type = p->query->select->cols[i].type;
        cols[i].nullable = true;
    }
    return kl_cat_create_view(db.catalog, &def, p->replace, 1, ret_id, &db.err);
}

static inline enum kl_rc db_change(const struct kl_plan *p) {
    enum kl_rc rc = kl_catalog_begin(db.catalog, db.batch, &db.err);
    uint32_t id, version, *ids;
    size_t n;
    if (rc == KL_OK) {
        switch (p->kind) {
        case KL_PLAN_CREATE_NAMESPACE:
            rc = kl_cat_create_namespace(db.catalog, p->name, 1, &db.err);
            break;
        case KL_PLAN_ALTER_NAMESPACE:
            rc = kl_cat_set_namespace_options(db.catalog, p->name, p->text, &db.err);
            break;
        case KL_PLAN_DROP_NAMESPACE:
            rc = kl_cat_drop_namespace(db.catalog, p->name, &db.arena, &ids, &n, &db.err);
            break;
        case KL_PLAN_CREATE_TABLE:
            rc = kl_cat_create_table(db.catalog, p->create, 1, &id, &db.err);
            break;
        case KL_PLAN_ALTER_TABLE:
        case KL_PLAN_COMMENT:
            rc = kl_cat_alter_table(db.catalog, kl_slice_str(p->table->ns),
                kl_slice_str(p->table->name), p->alter, 1, &version, &db.err);
            break;
        case KL_PLAN_CREATE_INDEX:
            rc = kl_cat_create_index(db.catalog, kl_slice_str(p->table->ns),
                kl_slice_str(p->table->name), p->index, 1, &id, &db.err);
            break;
        case KL_PLAN_DROP_INDEX:
            rc = kl_cat_drop_index(db.catalog, p->table->id, p->index_id, &db.err);
            break;
        case KL_PLAN_CREATE_VIEW:
            rc = db_create_view(p, &id);
            break;
        case KL_PLAN_CREATE_STORAGE:
            rc = kl_cat_put_storage(db.catalog, p->storage, false, 1, &db.err);
            break;
        case KL_PLAN_DROP_TABLE:
        case KL_PLAN_DROP_VIEW:
            rc = kl_cat_drop_table(
                db.catalog, kl_slice_str(p->table->ns), kl_slice_str(p->table->name), &id, &db.err);
            break;
        default:
            rc = kl_fail(&db.err, KL_E_INTERNAL, "not a change");
            break;
        }
    }
    if (rc == KL_OK) {
        rc = kl_store_commit(db.store, &db.batch, 1, false, &db.err);
    }
    if (rc == KL_OK) {
        kl_catalog_publish(db.catalog);
    } else {
        kl_catalog_abort(db.catalog);
    }
    kl_batch_clear(db.batch);
    db_refresh();
    return rc;
}

/* ---- rows in memory ---- */
struct mem_source {
    struct kl_source source;
    const struct kl_plan *plan;
    const int16_t *slots;
    size_t n_slots, at;
    bool once; /* no table: one empty row */
    const struct kl_val *key;
};

static inline bool mem_key_is(const struct mem_row *r, const struct kl_val *key) {
    for (size_t i = 0; key && i < r->table->n_pk; i++) {
        if (!kl_val_same(&r->vals[r->table->pk[i]], &key[i])) {
            return false;
        }
    }
    return true;
}

static inline void mem_fill(
    const struct mem_row *r, const int16_t *slots, size_t n, struct kl_val *row) {
    for (size_t i = 0; i < n; i++) {
        row[i] = slots[i] >= 0            ? r->vals[slots[i]]
                 : slots[i] == KL_COL_SEQ ? kl_val_i64(r->seq)
                                          : kl_val_bool(false);
    }
}

static inline enum kl_rc mem_next(struct kl_source *s, struct kl_val *row, struct kl_err *err) {
    struct mem_source *m = KL_CONTAINER_OF(s, struct mem_source, source);
    (void)err;
    if (!m->plan->table) {
        return m->at++ == 0 ? KL_OK : KL_E_END;
    }
    for (; m->at < db.n_rows; m->at++) {
        struct mem_row *r = &db.rows[m->at];
        if (r->table && r->table->id == m->plan->table->id && mem_key_is(r, m->key)) {
            mem_fill(r, m->slots, m->n_slots, row);
            m->at++;
            return KL_OK;
        }
    }
    return KL_E_END;
}
static inline void mem_close(struct kl_source *s) {
    (void)s;
}

struct text_sink {
    struct kl_sink sink;
    size_t n_cols, n_rows;
};
static inline enum kl_rc text_begin(
    struct kl_sink *s, const struct kl_sink_col *cols, size_t n, struct kl_err *err) {
    struct text_sink *t = KL_CONTAINER_OF(s, struct text_sink, sink);
    (void)err;
    t->n_cols = n;
    for (size_t i = 0; i < n; i++) {
        kl_buf_printf(&db.out, "%s%.*s:", i ? "," : "", KL_FMT(cols[i].name));
        kl_type_sql_name(cols[i].type, &db.out);
        kl_buf_printf(&db.out, "%s%s%s", cols[i].flags & KL_COL_PK ? " pk" : "",
            cols[i].flags & KL_COL_NOT_NULL ? " nn" : "",
            cols[i].flags & KL_COL_UNIQUE ? " uq" : "");
    }
    return KL_OK;
}
static inline enum kl_rc text_row(
    struct kl_sink *s, const struct kl_val *vals, struct kl_err *err) {
    struct text_sink *t = KL_CONTAINER_OF(s, struct text_sink, sink);
    (void)err;
    kl_buf_puts(&db.out, "\n");
    for (size_t i = 0; i < t->n_cols; i++) {
        kl_buf_puts(&db.out, i ? "|" : "");
        if (vals[i].null) {
            kl_buf_puts(&db.out, "NULL");
        } else {
            kl_val_to_text(&vals[i], &db.out);
        }
    }
    t->n_rows++;
    return KL_OK;
}
static inline void text_end(struct kl_sink *s, uint64_t n) {
    (void)s;
    (void)n;
}

static inline struct kl_eval db_eval(const struct kl_bound *b) {
    return (struct kl_eval){.params = b->vals,
        .n_params = b->n_vals,
        .session = &db.session,
        .now_us = 1767225600000000,
        .ids = &db.ids,
        .arena = &db.arena};
}

static inline enum kl_rc db_select(const struct kl_bound *b) {
    const struct kl_plan *p = b->plan;
    struct kl_eval ev = db_eval(b);
    struct kl_val key[32];
    struct mem_source src = {.source = {mem_next, mem_close},
        .plan = p,
        .slots = p->select->slots,
        .n_slots = p->select->n_slots};
    struct text_sink sink = {.sink = {.begin = text_begin, .row = text_row, .end = text_end}};
    struct kl_select_limits limits = {0};
    bool none = false;
    if (p->access.pk) {
        enum kl_rc rc = kl_sql_point_key(p->access.pk, p->table, &ev, key, &none, &db.err);
        if (rc != KL_OK) {
            return rc;
        }
        src.key = key;
        src.at = none ? MAX_ROWS : 0;
    }
    return kl_select_run(p->select, &ev, &src.source, &sink.sink, &limits, &db.err);
}

static inline enum kl_rc db_insert(const struct kl_bound *b) {
    struct kl_eval ev = db_eval(b);
    for (size_t r = 0; r < b->n_rows; r++) {
        struct mem_row row = {.table = b->plan->table};
        enum kl_rc rc = kl_sql_insert_row(b, r, &ev, row.vals, &db.err);
        if (rc != KL_OK) {
            return rc;
        }
        assert_true(db.n_rows < MAX_ROWS);
        for (size_t i = 0; i < row.table->n_cols; i++) {
            assert_int_equal(row.vals[i].type, row.table->cols[i].type.id);
            assert_true(kl_val_dup(&db.rows_arena, &row.vals[i], &row.vals[i]));
        }
        row.seq = db.next_seq++;
        kl_table_ref(row.table);
        db.rows[db.n_rows++] = row;
    }
    kl_buf_printf(&db.out, "%zu", b->n_rows);
    return KL_OK;
}

static inline enum kl_rc db_modify(const struct kl_bound *b) {
    struct kl_eval ev = db_eval(b);
    const struct kl_plan_dml *dml = b->plan->dml;
    struct kl_val slots[20], key[32];
    size_t count = 0;
    bool none = false;
    if (b->plan->access.pk) {
        enum kl_rc rc =
            kl_sql_point_key(b->plan->access.pk, b->plan->table, &ev, key, &none, &db.err);
        if (rc != KL_OK) {
            return rc;
        }
    }
    for (size_t i = 0; i < db.n_rows && !none; i++) {
        struct mem_row *r = &db.rows[i];
        bool chosen, changed = true;
        if (!r->table || r->table->id != b->plan->table->id ||
            (b->plan->access.pk && !mem_key_is(r, key))) {
            continue;
        }
        mem_fill(r, dml->slots, dml->n_slots, slots);
        ev.row = slots;
        enum kl_rc rc = kl_expr_test_row(dml->filter, &ev, &chosen, &db.err);
        if (rc == KL_OK && chosen && b->plan->kind == KL_PLAN_UPDATE) {
            struct kl_val vals[16];
            memcpy(vals, r->vals, sizeof(vals));
            rc = kl_sql_update_row(b, &ev, vals, &changed, &db.err);
            for (size_t c = 0; rc == KL_OK && c < r->table->n_cols; c++) {
                assert_true(kl_val_dup(&db.rows_arena, &vals[c], &r->vals[c]));
            }
        } else if (rc == KL_OK && chosen) {
            kl_table_unref(r->table);
            r->table = NULL;
        }
        if (rc != KL_OK) {
            return rc;
        }
        count += chosen && changed;
    }
    kl_buf_printf(&db.out, "%zu", count);
    return KL_OK;
}

/* Binds and runs. The result stands in db.out, an error in db.err. */
static inline enum kl_rc db_run_params(
    const char *sql, const struct kl_val *params, size_t n_params) {
    struct kl_sql_ctx ctx = db_ctx();
    struct kl_bound b;
    kl_arena_reset(&db.arena);
    kl_buf_clear(&db.out);
    kl_err_clear(&db.err);
    /* An exact copy on the heap, so that a sanitizer sees what reads past it. */
    size_t len = strlen(sql);
    char *copy = malloc(len ? len : 1);
    memcpy(copy, sql, len);
    enum kl_rc rc =
        kl_sql_bind(&ctx, kl_slice(copy, len), params, n_params, &db.arena, &b, &db.err);
    if (rc == KL_OK) {
        db.kind = b.plan->kind;
        db.point = b.plan->access.pk != NULL;
        switch (b.plan->kind) {
        case KL_PLAN_SELECT:
            rc = db_select(&b);
            break;
        case KL_PLAN_INSERT:
            rc = db_insert(&b);
            break;
        case KL_PLAN_UPDATE:
        case KL_PLAN_DELETE:
            rc = db_modify(&b);
            break;
        case KL_PLAN_CREATE_NAMESPACE:
        case KL_PLAN_ALTER_NAMESPACE:
        case KL_PLAN_DROP_NAMESPACE:
        case KL_PLAN_CREATE_TABLE:
        case KL_PLAN_ALTER_TABLE:
        case KL_PLAN_DROP_TABLE:
        case KL_PLAN_CREATE_INDEX:
        case KL_PLAN_DROP_INDEX:
        case KL_PLAN_CREATE_VIEW:
        case KL_PLAN_DROP_VIEW:
        case KL_PLAN_COMMENT:
        case KL_PLAN_CREATE_STORAGE:
            rc = db_change(b.plan);
            break;
        default:
            break;
        }
        kl_bound_release(&b);
    }
    free(copy);
    kl_buf_u8(&db.out, 0);
    return rc;
}
static inline enum kl_rc db_run(const char *sql) {
    return db_run_params(sql, NULL, 0);
}

static inline void ok_(const char *sql, const char *file, int line) {
    enum kl_rc rc = db_run(sql);
    if (rc != KL_OK) {
        fprintf(stderr, "%s:%d: %s\n", file, line, sql);
        fail_msg("%s: %s", kl_rc_name(rc), db.err.msg);
    }
}
static inline void gives_(const char *sql, const char *want, const char *file, int line) {
    ok_(sql, file, line);
    if (strcmp(db.out.data, want) != 0) {
        fprintf(stderr, "%s:%d: %s\n", file, line, sql);
    }
    assert_string_equal(db.out.data, want);
}
/* want_msg may be a part; position 0: any. */
static inline void fails_(const char *sql, enum kl_rc want, const char *want_msg, int position,
    const char *file, int line) {
    enum kl_rc rc = db_run(sql);
    if (rc != want || !strstr(db.err.msg, want_msg) ||
        (position > 0 && db.err.position != position)) {
        fprintf(stderr, "%s:%d: %s\n", file, line, sql);
        fail_msg("want %s \"%s\" at %d, got %s \"%s\" at %d", kl_rc_name(want), want_msg, position,
            kl_rc_name(rc), db.err.msg, db.err.position);
    }
    assert_int_equal(db.err.rc, rc);
}
#define RUN(sql) ok_(sql, __FILE__, __LINE__)
#define GIVES(sql, want) gives_(sql, want, __FILE__, __LINE__)
#define FAILS(sql, rc, msg) fails_(sql, rc, msg, 0, __FILE__, __LINE__)
#define FAILS_AT(sql, rc, msg, at) fails_(sql, rc, msg, at, __FILE__, __LINE__)
/* Rows without the line of columns. */
static inline const char *db_rows(void) {
    const char *nl = strchr(db.out.data, '\n');
    return nl ? nl + 1 : "";
}
static inline void rows_(const char *sql, const char *want, const char *file, int line) {
    ok_(sql, file, line);
    if (strcmp(db_rows(), want) != 0) {
        fprintf(stderr, "%s:%d: %s\n", file, line, sql);
    }
    assert_string_equal(db_rows(), want);
}
#define ROWS(sql, want) rows_(sql, want, __FILE__, __LINE__)

static inline void db_as(const char *user, enum kl_role role) {
    db.session.user = db.session.actor = kl_slice_str(user);
    db.session.role = db.session.actor_role = role;
}

static inline int db_setup(void **state) {
    (void)state;
    memset(&db, 0, sizeof(db));
    snprintf(db.path, sizeof(db.path), KL_TEST_TMP "/sql-%ld-XXXXXX", (long)getpid());
    assert_non_null(mkdtemp(db.path));
    assert_int_equal(
        kl_store_open(&(struct kl_store_options){.path = db.path}, &db.store, &db.err), KL_OK);
    db.batch = kl_batch_new(db.store);
    assert_int_equal(kl_catalog_open(db.store, 8, &db.catalog, &db.err), KL_OK);
    db.cat = kl_catalog_acquire(db.catalog);
    db.cache = kl_plan_cache_new(64);
    db.session.ns = KL_S("default");
    db_as("root", KL_ROLE_SYSTEM);
    kl_snowflake_init(&db.ids, 1);
    kl_arena_init(&db.arena, 0);
    kl_arena_init(&db.rows_arena, 0);
    db.next_seq = 1;
    db.executor = KL_EXECUTOR_NATIVE;
    return 0;
}

static inline int db_teardown(void **state) {
    char command[600];
    (void)state;
    for (size_t i = 0; i < db.n_rows; i++) {
        kl_table_unref(db.rows[i].table);
    }
    kl_plan_cache_free(db.cache);
    kl_cat_release(db.cat);
    kl_catalog_close(db.catalog);
    kl_batch_free(db.batch);
    kl_store_close(db.store);
    kl_arena_deinit(&db.arena);
    kl_arena_deinit(&db.rows_arena);
    kl_buf_deinit(&db.out);
    snprintf(command, sizeof(command), "rm -rf '%s'", db.path);
    return system(command);
}

#endif
