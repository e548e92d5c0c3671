/* From text over PostgreSQL's parser to a plan: chooses the executor of a SELECT, hands the rest to
 * bind_insert.c and bind_dml.c. */
#include "sql/bind_internal.h"
#include "sql/duck_print.h"

#include <stdlib.h>

/* ---- PostgreSQL's parser ---- */
/* Its positions count characters. */
static int byte_position(const char *text, int chars) {
    const char *p = text;
    for (int i = 1; i < chars && *p; i++) {
        size_t n = kl_utf8_char(kl_slice_str(p), NULL);
        p += n > 0 ? n : 1;
    }
    return (int)(p - text) + 1;
}

enum kl_rc kl_sql__pg_parse(
    const char *text, bool plain, PgQuery__ParseResult **ret, struct kl_err *err) {
    KL_TRY(kl_sql__check_depth(kl_slice_str(text), err));
    char *without_try = kl_sql__without_try(text);
    PgQueryProtobufParseResult r = pg_query_parse_protobuf(without_try ? without_try : text);
    enum kl_rc rc = KL_OK;
    if (r.error) {
        int at = plain && r.error->cursorpos > 0 ? byte_position(text, r.error->cursorpos) : 0;
        rc = kl_fail_at(err, KL_E_INVALID_SQL, at, "%s", r.error->message);
    } else {
        *ret = pg_query__parse_result__unpack(
            NULL, r.parse_tree.len, (const uint8_t *)r.parse_tree.data);
        if (!*ret) {
            rc = kl_fail(err, KL_E_INTERNAL, "the statement's tree cannot be read");
        } else if (without_try) {
            kl_sql__mark_try(*ret, text);
        }
    }
    pg_query_free_protobuf_parse_result(r);
    free(without_try);
    return rc;
}

/* ---- the binder ---- */
static enum kl_rc derive(
    void *ctx, unsigned param, struct kl_type to, unsigned *ret_index, struct kl_err *err) {
    struct kl_binder *b = ctx;
    struct kl_plan *p = b->plan;
    for (unsigned i = 0; i < p->n_derived; i++) {
        struct kl_type t = p->derived[i].to;
        if (p->derived[i].from == param && t.id == to.id && t.precision == to.precision &&
            t.scale == to.scale && t.dim == to.dim) {
            *ret_index = p->n_values + i;
            return KL_OK;
        }
    }
    struct kl_plan_derived *grown =
        KL_ARENA_ARRAY(&p->arena, struct kl_plan_derived, p->n_derived + 1);
    if (!grown) {
        return kl_sql__no_room(err);
    }
    if (p->n_derived > 0) {
        memcpy(grown, p->derived, p->n_derived * sizeof(*grown));
    }
    grown[p->n_derived] = (struct kl_plan_derived){.from = param, .to = to};
    p->derived = grown;
    *ret_index = p->n_values + p->n_derived++;
    return KL_OK;
}

void kl_sql__binder_init(struct kl_binder *b, const struct kl_sql_ctx *ctx,
    const struct kl_query_input *in, struct kl_plan *plan) {
    *b = (struct kl_binder){.ctx = ctx,
        .plan = plan,
        .in = in,
        .types = in->types,
        .n_types = in->n_types,
        .plain = in->plain,
        .internal = in->internal};
    b->eb = (struct kl_expr_builder){.arena = &plan->arena,
        .derive = derive,
        .derive_ctx = b,
        .given_params = in->plain};
    plan->n_values = in->n_types;
}

enum kl_rc kl_sql__scope_slots(struct kl_binder *b, bool all_columns, struct kl_err *err) {
    const struct kl_table *t = b->table;
    b->slots = KL_ARENA_ARRAY(b->eb.arena, int16_t, t->n_cols + 2);
    b->slot_of = KL_ARENA_ARRAY(b->eb.arena, uint16_t, t->n_cols + 2);
    if (!b->slots || !b->slot_of) {
        return kl_sql__no_room(err);
    }
    for (size_t i = 0; all_columns && i <= t->n_cols; i++) {
        b->slots[i] = i < t->n_cols ? (int16_t)i : KL_COL_SEQ;
        b->slot_of[i] = (uint16_t)(i + 1);
        b->n_slots = i + 1;
    }
    b->deleted_is_false = all_columns;
    return KL_OK;
}

enum kl_rc kl_sql__binder_scope(struct kl_binder *b, struct kl_table *t,
    const PgQuery__Alias *alias, bool all_columns, struct kl_err *err) {
    if (alias && alias->n_colnames > 0) {
        return kl_fail(err, KL_E_UNSUPPORTED, "column aliases of a table are not supported here");
    }
    kl_sql__plan_set_table(b->plan, t);
    b->table = t;
    if (alias) {
        KL_TRY(kl_sql__plan_dup(b->plan, kl_sql__pgstr(alias->aliasname), &b->alias, err));
        b->has_alias = true;
    }
    return kl_sql__scope_slots(b, all_columns, err);
}

struct kl_rel_name kl_sql__rel_name(const struct kl_binder *b, const PgQuery__RangeVar *v) {
    return (struct kl_rel_name){.catalog = kl_sql__pgstr(v->catalogname),
        .ns = kl_sql__pgstr(v->schemaname),
        .name = kl_sql__pgstr(v->relname),
        .position = kl_sql__at(b, v->location)};
}

/* ---- SELECT ---- */
static enum kl_rc bind_duck(const struct kl_sql_ctx *ctx, const struct kl_query_input *in,
    PgQuery__SelectStmt *s, struct kl_plan *plan, struct kl_err *err) {
    kl_sql__plan_reset(plan, KL_PLAN_DUCK);
    plan->n_values = in->n_types;
    enum kl_rc rc = kl_sql__duck_print(ctx, s, in, plan, err);
    if (rc != KL_OK && err && !in->plain) {
        err->position = 0;
    }
    return rc;
}

static enum kl_rc bind_select(const struct kl_sql_ctx *ctx, const struct kl_query_input *in,
    PgQuery__SelectStmt *s, struct kl_plan *plan, struct kl_err *err) {
    struct kl_binder b;
    if (s->into_clause) {
        return kl_sql__unavailable(err, "SELECT INTO");
    }
    if (s->n_locking_clause > 0) {
        return kl_sql__unavailable(err, "SELECT FOR UPDATE");
    }
    kl_sql__binder_init(&b, ctx, in, plan);
    KL_TRY(kl_sql__check_deleted_select(&b, s, err));
    enum kl_rc rc = kl_sql__bind_select(&b, s, err);
    bool duck = ctx->executor == KL_EXECUTOR_DUCKDB && !in->internal;
    if (rc == KL_OK && duck) { /* it is what the statement means; only who runs it is another */
        return bind_duck(ctx, in, s, plan, err);
    }
    if (rc != KL_E_UNSUPPORTED || ctx->executor == KL_EXECUTOR_NATIVE || in->internal) {
        return rc;
    }
    kl_err_clear(err);
    return bind_duck(ctx, in, s, plan, err);
}

enum kl_rc kl_sql__bind_subplan(
    struct kl_binder *b, PgQuery__SelectStmt *s, struct kl_plan **ret, struct kl_err *err) {
    struct kl_query_input in = *b->in;
    in.unordered = true;
    in.declared = true;
    struct kl_plan *plan = kl_sql__plan_new(KL_PLAN_SELECT, b->ctx);
    enum kl_rc rc = bind_select(b->ctx, &in, s, plan, err);
    if (rc != KL_OK) {
        kl_plan_unref(plan);
        return rc;
    }
    *ret = plan;
    return KL_OK;
}

/* ---- any statement ---- */
static enum kl_rc bind_node(const struct kl_sql_ctx *ctx, const struct kl_query_input *in,
    PgQuery__Node *n, struct kl_plan *plan, struct kl_err *err) {
    struct kl_binder b;
    kl_sql__binder_init(&b, ctx, in, plan);
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        return bind_select(ctx, in, n->select_stmt, plan, err);
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        return kl_sql__bind_insert(&b, n->insert_stmt, err);
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
        return kl_sql__bind_update(&b, n->update_stmt, err);
    case PG_QUERY__NODE__NODE_DELETE_STMT:
        return kl_sql__bind_delete(&b, n->delete_stmt, err);
    case PG_QUERY__NODE__NODE_TRUNCATE_STMT:
        return kl_sql__bind_truncate(&b, n->truncate_stmt, err);
    default:
        return kl_fail(err, KL_E_UNSUPPORTED, "this statement is not available in this version");
    }
}

enum kl_rc kl_sql__bind_query(const struct kl_sql_ctx *ctx, const struct kl_query_input *in,
    struct kl_plan **ret, struct kl_err *err) {
    PgQuery__ParseResult *tree;
    KL_TRY(kl_sql__pg_parse(in->text, in->plain, &tree, err));
    struct kl_plan *plan = kl_sql__plan_new(KL_PLAN_SELECT, ctx);
    enum kl_rc rc =
        tree->n_stmts == 1 && tree->stmts[0]->stmt
            ? bind_node(ctx, in, tree->stmts[0]->stmt, plan, err)
            : kl_fail(err, KL_E_INVALID_SQL, "expected one statement, got %zu", tree->n_stmts);
    pg_query__parse_result__free_unpacked(tree, NULL);
    if (rc != KL_OK) {
        kl_plan_unref(plan);
        return rc;
    }
    *ret = plan;
    return KL_OK;
}
