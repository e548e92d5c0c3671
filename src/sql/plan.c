/* Plans: made once, shared by many executions, counted. */
#include "sql/internal.h"
#include <stdatomic.h>
#include <stdlib.h>

#define PLAN_BYTES ((size_t)64 << 20)

enum kl_rc kl_sql__no_room(struct kl_err *err) {
    return kl_fail(err, KL_E_TOO_LARGE, "statement is too large");
}

struct kl_plan *kl_sql__plan_new(enum kl_plan_kind kind, const struct kl_sql_ctx *ctx) {
    static _Atomic uint64_t next_id = 1;
    struct kl_plan *p = kl_xcalloc(1, sizeof(*p));
    p->refs = 1;
    p->kind = kind;
    p->id = atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
    p->catalog_version = kl_cat_version(ctx->cat);
    kl_arena_init(&p->arena, PLAN_BYTES);
    return p;
}

static void drop_content(struct kl_plan *p) {
    if (p->kind == KL_PLAN_DUCK && p->duck) {
        for (size_t i = 0; i < p->duck->n_scans; i++) {
            kl_table_unref(p->duck->scans[i].table);
        }
    }
    if (p->write) {
        kl_plan_unref(p->write->query);
    }
    kl_plan_unref(p->query);
    kl_table_unref(p->table);
    kl_arena_deinit(&p->arena);
}

void kl_sql__plan_reset(struct kl_plan *p, enum kl_plan_kind kind) {
    struct kl_plan fresh = {.kind = kind, .id = p->id, .catalog_version = p->catalog_version};
    drop_content(p);
    fresh.refs = 1;
    *p = fresh;
    kl_arena_init(&p->arena, PLAN_BYTES);
}

void kl_sql__plan_set_table(struct kl_plan *p, struct kl_table *t) {
    kl_table_ref(t);
    kl_table_unref(p->table);
    p->table = t;
}

enum kl_rc kl_sql__plan_dup(
    struct kl_plan *p, struct kl_slice s, struct kl_slice *ret, struct kl_err *err) {
    *ret = kl_arena_dup(&p->arena, s);
    return ret->ptr ? KL_OK : kl_sql__no_room(err);
}

void kl_plan_ref(struct kl_plan *p) {
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}

void kl_plan_unref(struct kl_plan *p) {
    if (p && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1) {
        drop_content(p);
        free(p);
    }
}

void kl_bound_release(struct kl_bound *b) {
    kl_plan_unref(b->plan);
    b->plan = NULL;
}

bool kl_plan_is_write(const struct kl_plan *p) {
    switch (p->kind) {
    case KL_PLAN_SELECT:
    case KL_PLAN_DUCK:
    case KL_PLAN_SUBSCRIBE:
    case KL_PLAN_USE:
    case KL_PLAN_DESCRIBE:
    case KL_PLAN_SHOW_STATS:
    case KL_PLAN_KILL_LIVE:
    case KL_PLAN_BEGIN:
    case KL_PLAN_COMMIT:
    case KL_PLAN_ROLLBACK:
    case KL_PLAN_CHECK_STORAGE:
    case KL_PLAN_DESCRIBE_HISTORY:
    case KL_PLAN_SET:
        return false;
    default:
        return true;
    }
}

const char *kl_plan_kind_name(enum kl_plan_kind k) {
    static const char *const names[] = {
        [KL_PLAN_SELECT] = "select",
        [KL_PLAN_DUCK] = "select (analytical)",
        [KL_PLAN_INSERT] = "insert",
        [KL_PLAN_UPDATE] = "update",
        [KL_PLAN_DELETE] = "delete",
        [KL_PLAN_SUBSCRIBE] = "subscribe",
        [KL_PLAN_USE] = "use",
        [KL_PLAN_CREATE_NAMESPACE] = "create namespace",
        [KL_PLAN_ALTER_NAMESPACE] = "alter namespace",
        [KL_PLAN_DROP_NAMESPACE] = "drop namespace",
        [KL_PLAN_CREATE_TABLE] = "create table",
        [KL_PLAN_ALTER_TABLE] = "alter table",
        [KL_PLAN_DROP_TABLE] = "drop table",
        [KL_PLAN_CREATE_USER] = "create user",
        [KL_PLAN_ALTER_USER] = "alter user",
        [KL_PLAN_DROP_USER] = "drop user",
        [KL_PLAN_DESCRIBE] = "describe",
        [KL_PLAN_SHOW_STATS] = "show stats",
        [KL_PLAN_KILL_LIVE] = "kill live query",
        [KL_PLAN_BEGIN] = "begin",
        [KL_PLAN_COMMIT] = "commit",
        [KL_PLAN_ROLLBACK] = "rollback",
        [KL_PLAN_CREATE_INDEX] = "create index",
        [KL_PLAN_DROP_INDEX] = "drop index",
        [KL_PLAN_CREATE_VIEW] = "create view",
        [KL_PLAN_DROP_VIEW] = "drop view",
        [KL_PLAN_CREATE_TABLE_AS] = "create table as",
        [KL_PLAN_COMMENT] = "comment",
        [KL_PLAN_CREATE_STORAGE] = "create storage",
        [KL_PLAN_ALTER_STORAGE] = "alter storage",
        [KL_PLAN_DROP_STORAGE] = "drop storage",
        [KL_PLAN_CHECK_STORAGE] = "storage check",
        [KL_PLAN_DESCRIBE_HISTORY] = "describe history",
        [KL_PLAN_SET] = "set",
    };
    return (size_t)k < KL_LEN(names) && names[k] ? names[k] : "unknown";
}
