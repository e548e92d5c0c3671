/* kl_sql_bind: from a statement's text to a plan and its values. See sql.h.
 *
 * Statements of PostgreSQL's grammar go by shape: scan, look the shape up in the thread's cache,
 * and only on a miss parse and bind. When the shape cannot be planned, or a value does not fit it,
 * the statement is planned again as it was written: that plan counts if it succeeds, its error if
 * not, so that messages and positions are about what the caller wrote. A shape that failed where
 * the plain text succeeded is remembered as of no use, and the plain plan is kept under the text
 * itself. */
#include "sql/explain.h"
#include "sql/internal.h"
#include "sql/shape.h"

#define MAX_PLAIN_KEY 4096

struct binding {
    const struct kl_sql_ctx *ctx;
    struct kl_slice stmt;
    const struct kl_val *params;
    size_t n_params;
    struct kl_arena *arena;
    struct kl_bound *ret;
    struct kl_err *err;
};

/* ---- which kind of statement ---- */
enum form { FORM_SHAPE, FORM_PLAIN, FORM_WRAPPED, FORM_LIVE, FORM_EXPLAIN, FORM_COMMAND };

static enum form form_of(struct kl_slice stmt) {
    static const struct {
        const char *word;
        enum form form;
    } known[] = {{"select", FORM_SHAPE}, {"insert", FORM_SHAPE}, {"update", FORM_SHAPE},
        {"delete", FORM_SHAPE}, {"with", FORM_SHAPE}, {"values", FORM_PLAIN}, {"table", FORM_PLAIN},
        {"truncate", FORM_PLAIN}, {"execute", FORM_WRAPPED}, {"subscribe", FORM_LIVE}, {"explain", FORM_EXPLAIN}};
    struct kl_scan s;
    struct kl_tok t;
    kl_sql__scan_init(&s, stmt);
    do {
        kl_sql__scan(&s, &t);
    } while (t.punct == '(');
    for (size_t i = 0; t.kind == KL_TOK_WORD && i < KL_LEN(known); i++) {
        if (kl_slice_ieq_str(t.text, known[i].word)) {
            return known[i].form;
        }
    }
    return FORM_COMMAND;
}

/* ---- values ---- */
enum kl_rc kl_sql__derive_row(
    const struct kl_plan *plan, struct kl_val *row, struct kl_arena *arena, struct kl_err *err) {
    for (unsigned i = 0; i < plan->n_derived; i++) {
        const struct kl_plan_derived *d = &plan->derived[i];
        KL_TRY(kl_val_cast(
            &row[d->from], d->to, KL_CAST_EXPLICIT, arena, &row[plan->n_values + i], err));
    }
    return KL_OK;
}

static enum kl_rc check_count(
    const struct kl_val *vals, unsigned number, const char *what, struct kl_err *err) {
    const struct kl_val *v = number > 0 ? &vals[number - 1] : NULL;
    return v && !v->null && kl_type_is_integer(v->type) && v->i < 0
               ? kl_fail(err, KL_E_EXEC, "%s must not be negative", what)
               : KL_OK;
}

enum kl_rc kl_sql__check_counts(
    const struct kl_plan *plan, const struct kl_val *vals, struct kl_err *err) {
    if (plan->kind != KL_PLAN_DUCK) {
        return KL_OK;
    }
    KL_TRY(check_count(vals, plan->duck->limit, "LIMIT", err));
    return check_count(vals, plan->duck->offset, "OFFSET", err);
}

/* Gives the values of `rows` rows their derived ones. vals has room for `spare` more behind n_vals.
 */
static enum kl_rc finish(struct binding *b, struct kl_plan *plan, struct kl_val *vals,
    size_t n_vals, size_t spare, size_t rows) {
    size_t from = plan->n_values, width = from + plan->n_derived;
    size_t n = plan->n_derived > 0 ? KL_MAX(rows, (size_t)1) : 0;
    if (n > 1 || (n == 1 && spare < plan->n_derived)) {
        struct kl_val *wide = kl_arena_alloc(b->arena, n * width * sizeof(*wide));
        if (!wide) {
            return kl_sql__no_room(b->err);
        }
        for (size_t r = 0; r < n && from > 0; r++) {
            memcpy(wide + r * width, vals + r * from, from * sizeof(*wide));
        }
        vals = wide;
    }
    KL_TRY(kl_sql__check_counts(plan, vals, b->err));
    for (size_t r = 0; r < n; r++) {
        KL_TRY(kl_sql__derive_row(plan, vals + r * width, b->arena, b->err));
    }
    b->ret->plan = plan;
    b->ret->vals = vals;
    b->ret->n_vals = n > 0 ? n * width : n_vals;
    b->ret->n_rows = plan->kind != KL_PLAN_INSERT ? 0 : rows > 0 ? rows : plan->insert->n_rows;
    return KL_OK;
}

/* ---- as written ---- */
static enum kl_rc plain_key(struct binding *b, struct kl_slice prefix, struct kl_slice *ret) {
    if (b->stmt.len + b->n_params * 5 > MAX_PLAIN_KEY) {
        *ret = KL_SLICE_NONE;
        return KL_OK;
    }
    char *key = kl_arena_alloc(b->arena, prefix.len + 1 + b->n_params * 5 + b->stmt.len),
         *out = key;
    if (!key) {
        return kl_sql__no_room(b->err);
    }
    memcpy(out, prefix.ptr, prefix.len);
    out += prefix.len;
    *out++ = '\x03'; /* no shape starts with it */
    for (size_t i = 0; i < b->n_params; i++) {
        struct kl_type t = kl_sql__param_type(&b->params[i]);
        *out++ = (char)t.id;
        *out++ = (char)t.precision;
        *out++ = (char)t.scale;
        memcpy(out, &t.dim, 2);
        out += 2;
    }
    memcpy(out, b->stmt.ptr, b->stmt.len);
    *ret = kl_slice(key, (size_t)(out - key) + b->stmt.len);
    return KL_OK;
}

static enum kl_rc new_plain_plan(struct binding *b, struct kl_plan **ret) {
    struct kl_query_input in = {.plain = true, .n_types = (unsigned)b->n_params};
    struct kl_type *types = KL_ARENA_ARRAY(b->arena, struct kl_type, b->n_params + 1);
    char *text;
    if (!types) {
        return kl_sql__no_room(b->err);
    }
    for (size_t i = 0; i < b->n_params; i++) {
        types[i] = kl_sql__param_type(&b->params[i]);
    }
    KL_TRY(kl_sql__plain_text(b->stmt, b->arena, &text, b->err));
    in.text = text;
    in.types = types;
    return kl_sql__bind_query(b->ctx, &in, ret, b->err);
}

static enum kl_rc bind_plain(struct binding *b, struct kl_slice prefix) {
    struct kl_plan_cache *cache = b->ctx->cache;
    uint64_t version = kl_cat_version(b->ctx->cat);
    struct kl_slice key;
    struct kl_plan *plan = NULL;
    KL_TRY(plain_key(b, prefix, &key));
    const struct kl_cached *known =
        cache && key.ptr ? kl_sql__cache_get(cache, version, key) : NULL;
    if (known) {
        plan = known->plan;
        kl_plan_ref(plan);
    } else {
        KL_TRY(new_plain_plan(b, &plan));
        if (cache && key.ptr) {
            kl_sql__cache_put(cache, version, key, plan);
        }
    }
    struct kl_val *vals =
        KL_ARENA_ARRAY(b->arena, struct kl_val, b->n_params + plan->n_derived + 1);
    enum kl_rc rc = KL_E_TOO_LARGE;
    if (vals) {
        if (b->n_params > 0) {
            memcpy(vals, b->params, b->n_params * sizeof(*vals));
        }
        rc = finish(b, plan, vals, b->n_params, plan->n_derived, 0);
    } else {
        kl_sql__no_room(b->err);
    }
    if (rc != KL_OK) {
        kl_plan_unref(plan);
    }
    return rc;
}

/* ---- by shape ---- */
static enum kl_rc new_shape_plan(
    struct binding *b, const struct kl_shape *shape, struct kl_plan **ret) {
    struct kl_query_input in = {.n_types = shape->n_values};
    char *text;
    struct kl_type *types;
    KL_TRY(kl_sql__shape_text(shape, b->arena, &text, &types, b->err));
    in.text = text;
    in.types = types;
    return kl_sql__bind_query(b->ctx, &in, ret, b->err);
}

/* KL_E_AGAIN: plan it as it was written. */
static enum kl_rc bind_shape(struct binding *b, const struct kl_shape *shape, bool *ret_new) {
    struct kl_plan_cache *cache = b->ctx->cache;
    uint64_t version = kl_cat_version(b->ctx->cat);
    const struct kl_cached *known = cache ? kl_sql__cache_get(cache, version, shape->key) : NULL;
    struct kl_plan *plan = NULL;
    if (known && !known->plan) {
        return KL_E_AGAIN;
    }
    if (known) {
        plan = known->plan;
        kl_plan_ref(plan);
    } else {
        *ret_new = true;
        if (new_shape_plan(b, shape, &plan) != KL_OK) {
            return KL_E_AGAIN;
        }
        *ret_new = false;
        if (cache) {
            kl_sql__cache_put(cache, version, shape->key, plan);
        }
    }
    if (finish(b, plan, shape->vals, shape->n_vals, shape->spare, shape->n_rows) != KL_OK) {
        kl_plan_unref(plan);
        return KL_E_AGAIN;
    }
    return KL_OK;
}

static enum kl_rc bind_by_shape(struct binding *b, struct kl_slice prefix) {
    struct kl_shape_input in = {.stmt = b->stmt,
        .prefix = prefix,
        .params = b->params,
        .n_params = b->n_params,
        .arena = b->arena};
    struct kl_shape shape;
    bool new_shape = false;
    KL_TRY(kl_sql__shape(&in, &shape, b->err));
    if (shape.usable) {
        enum kl_rc rc = bind_shape(b, &shape, &new_shape);
        if (rc != KL_E_AGAIN) {
            return rc;
        }
        kl_err_clear(b->err);
    }
    enum kl_rc rc = bind_plain(b, prefix);
    if (rc == KL_OK && new_shape && b->ctx->cache) {
        kl_sql__cache_put(b->ctx->cache, kl_cat_version(b->ctx->cat), shape.key, NULL);
    }
    return rc;
}

/* What a plan depends on besides the shape and the catalog version. */
static struct kl_slice key_prefix(const struct kl_sql_ctx *ctx, char *buf, size_t cap) {
    size_t n = KL_MIN(ctx->session->ns.len, cap - 3);
    buf[0] = (char)('0' + ctx->session->role);
    buf[1] = (char)('0' + ctx->executor);
    if (n > 0) {
        memcpy(buf + 2, ctx->session->ns.ptr, n);
    }
    buf[2 + n] = '\0';
    return kl_slice(buf, n + 3);
}

static enum kl_rc bind_wrapped(struct binding *b) {
    struct kl_slice user, inner;
    KL_TRY(kl_sql_execute_as(b->stmt, b->arena, &user, &inner, b->err));
    if (!user.ptr) {
        return kl_sql__unavailable(b->err, "EXECUTE of a prepared statement");
    }
    enum kl_rc rc = kl_sql_bind(b->ctx, inner, b->params, b->n_params, b->arena, b->ret, b->err);
    if (rc != KL_OK) {
        if (b->err && b->err->position > 0) {
            b->err->position += (int)(inner.ptr - b->stmt.ptr);
        }
        return rc;
    }
    enum kl_plan_kind kind = b->ret->plan->kind;
    if (kind == KL_PLAN_BEGIN || kind == KL_PLAN_COMMIT || kind == KL_PLAN_ROLLBACK) {
        return kl_fail_at(b->err, KL_E_INVALID_SQL, (int)(inner.ptr - b->stmt.ptr) + 1,
            "EXECUTE AS USER cannot wrap %s: a transaction is that of the request",
            kl_plan_kind_name(kind));
    }
    b->ret->as_user = user;
    return KL_OK;
}

/* Acting for someone else is for rows that have an owner. */
static enum kl_rc check_as(struct binding *b) {
    const struct kl_plan *p = b->ret->plan;
    const struct kl_session *s = b->ctx->session;
    bool dml = p->kind == KL_PLAN_INSERT || p->kind == KL_PLAN_UPDATE || p->kind == KL_PLAN_DELETE;
    bool as = b->ret->as_user.ptr || (s->actor.ptr && !kl_slice_eq(s->actor, s->user));
    if (!dml || !as || p->table->type != KL_TABLE_SHARED) {
        return KL_OK;
    }
    return kl_fail(b->err, KL_E_EXEC,
        "EXECUTE AS USER is not allowed on SHARED tables (table '%.*s'). AS USER impersonation is "
        "only supported for USER and STREAM tables.",
        KL_FMT(p->table->qualified));
}

static enum kl_rc check_explained(struct binding *b, enum kl_explain explain) {
    const struct kl_plan *p = b->ret->plan;
    bool reads = p->kind == KL_PLAN_SELECT || p->kind == KL_PLAN_DUCK;
    return explain == KL_EXPLAIN_ANALYZE && !reads
               ? kl_sql__unavailable(b->err, "EXPLAIN ANALYZE of a statement that changes rows")
               : KL_OK;
}

/* Planned as written, so that conditions are shown with the values that they have. */
static enum kl_rc bind_explain(struct binding *b, struct kl_slice prefix) {
    struct kl_sql_ctx ctx = *b->ctx;
    struct binding inner = *b;
    enum kl_explain explain;
    KL_TRY(kl_auth_may(ctx.session->role, KL_MAY_EXPLAIN, b->err));
    KL_TRY(kl_sql__explain_options(b->stmt, &explain, &inner.stmt, b->err));
    enum form form = form_of(inner.stmt);
    if (form != FORM_SHAPE && form != FORM_PLAIN) {
        return kl_sql__unavailable(b->err, "EXPLAIN of this statement");
    }
    ctx.cache = NULL;
    inner.ctx = &ctx;
    enum kl_rc rc = bind_plain(&inner, prefix);
    if (rc != KL_OK && b->err && b->err->position > 0) {
        b->err->position += (int)(inner.stmt.ptr - b->stmt.ptr);
    }
    KL_TRY(rc);
    b->ret->explain = explain;
    return check_explained(b, explain);
}

static enum kl_rc bind_any(struct binding *b) {
    char buf[160];
    switch (form_of(b->stmt)) {
    case FORM_SHAPE:
        return bind_by_shape(b, key_prefix(b->ctx, buf, sizeof(buf)));
    case FORM_PLAIN:
        return bind_plain(b, key_prefix(b->ctx, buf, sizeof(buf)));
    case FORM_WRAPPED:
        return bind_wrapped(b);
    case FORM_LIVE:
        return kl_sql_bind_live(b->ctx, b->stmt, b->arena, b->ret, b->err);
    case FORM_EXPLAIN:
        return bind_explain(b, key_prefix(b->ctx, buf, sizeof(buf)));
    case FORM_COMMAND:
        break;
    }
    struct kl_plan *plan;
    KL_TRY(kl_sql__bind_command(b->ctx, b->stmt, &plan, b->err));
    b->ret->plan = plan;
    return KL_OK;
}

enum kl_rc kl_sql_bind(const struct kl_sql_ctx *ctx, struct kl_slice stmt,
    const struct kl_val *params, size_t n_params, struct kl_arena *arena, struct kl_bound *ret,
    struct kl_err *err) {
    struct kl_bound bound = {0};
    struct binding b = {.ctx = ctx,
        .stmt = stmt,
        .params = params,
        .n_params = n_params,
        .arena = arena,
        .ret = &bound,
        .err = err};
    if (stmt.len == 0) {
        return kl_fail(err, KL_E_EMPTY_SQL, "No SQL statements provided");
    }
    KL_TRY(kl_sql__check_text(stmt, err)); /* not every text came through kl_sql_split */
    enum kl_rc rc = bind_any(&b);
    if (rc == KL_OK) {
        rc = check_as(&b);
    }
    if (rc != KL_OK) {
        kl_plan_unref(bound.plan);
        return rc;
    }
    *ret = bound;
    return KL_OK;
}
