/* Names: relations, columns, and what a result column is called. Names are stored in lower case and
 * found in any. */
#include "sql/bind_internal.h"

/* ---- relations ---- */
static struct kl_slice lower(struct kl_slice s, char *buf, size_t cap) {
    size_t n = KL_MIN(s.len, cap);
    for (size_t i = 0; i < n; i++) {
        char c = s.ptr[i];
        buf[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    return kl_slice(buf, n);
}

/* PostgreSQL's parser cuts identifiers after 63 bytes; a name here has up to 64. */
#define CUT_AT 63
static bool same_cut(const char *stored, struct kl_slice written) {
    size_t n = strlen(stored);
    return (n == written.len || (written.len == CUT_AT && n == CUT_AT + 1)) &&
           memcmp(stored, written.ptr, written.len) == 0;
}

static struct kl_table *find_cut(
    const struct kl_cat *cat, struct kl_slice ns, struct kl_slice name) {
    for (size_t i = 0; i < kl_cat_n_tables(cat); i++) {
        struct kl_table *t = kl_cat_table_at(cat, i);
        if (same_cut(t->ns, ns) && same_cut(t->name, name)) {
            return t;
        }
    }
    return NULL;
}

static struct kl_table *lookup(const struct kl_cat *cat, struct kl_slice ns, struct kl_slice name) {
    char ns_buf[160], name_buf[160];
    if (ns.len > 128 || name.len > 128) {
        return NULL;
    }
    ns = lower(ns, ns_buf, sizeof(ns_buf));
    name = lower(name, name_buf, sizeof(name_buf));
    struct kl_table *t = kl_cat_table(cat, ns, name);
    return t || (ns.len != CUT_AT && name.len != CUT_AT) ? t : find_cut(cat, ns, name);
}

enum kl_rc kl_sql__find_table(const struct kl_sql_ctx *ctx, const struct kl_rel_name *name,
    struct kl_table **ret, struct kl_err *err) {
    struct kl_slice ns = name->ns.len > 0 ? name->ns : ctx->session->ns;
    if (name->catalog.len > 0 && !kl_slice_ieq(name->catalog, KL_S("kalam"))) {
        return kl_fail_at(err, KL_E_INVALID_SQL, name->position,
            "cross-database references are not implemented: \"%.*s.%.*s.%.*s\"",
            KL_FMT(name->catalog), KL_FMT(ns), KL_FMT(name->name));
    }
    struct kl_table *t = lookup(ctx->cat, ns, name->name);
    if (!t) {
        return kl_fail_at(err, KL_E_NOT_FOUND, name->position, "Table not found: %.*s.%.*s",
            KL_FMT(ns), KL_FMT(name->name));
    }
    *ret = t;
    return KL_OK;
}

enum kl_rc kl_sql__readable_table(const struct kl_sql_ctx *ctx, const struct kl_rel_name *name,
    struct kl_table **ret, struct kl_err *err) {
    KL_TRY(kl_sql__find_table(ctx, name, ret, err));
    return kl_auth_may_read(ctx->session->role, *ret, err);
}

/* ---- columns ---- */
int kl_sql__column(const struct kl_table *t, struct kl_slice name) {
    char buf[128];
    if (name.len > sizeof(buf)) {
        return KL_COL_NONE;
    }
    struct kl_slice folded = lower(name, buf, sizeof(buf));
    int col = kl_table_col(t, folded);
    for (size_t i = 0; col < 0 && folded.len == CUT_AT && i < t->n_cols; i++) {
        col = same_cut(t->cols[i].name, folded) ? (int)i : -1;
    }
    if (col >= 0) {
        return col;
    }
    if (t->type == KL_TABLE_SYSTEM) {
        return KL_COL_NONE;
    }
    return kl_slice_eq_str(folded, "_seq")       ? KL_COL_SEQ
           : kl_slice_eq_str(folded, "_deleted") ? KL_COL_DELETED
                                                 : KL_COL_NONE;
}

struct kl_sink_col kl_sql__sink_col(const struct kl_table *t, int col) {
    if (col == KL_COL_SEQ) {
        return (struct kl_sink_col){
            .name = KL_S("_seq"), .type = KL_TYPE(BIGINT), .flags = KL_COL_NOT_NULL};
    }
    if (col == KL_COL_DELETED) {
        return (struct kl_sink_col){
            .name = KL_S("_deleted"), .type = KL_TYPE(BOOLEAN), .flags = KL_COL_NOT_NULL};
    }
    const struct kl_column *c = &t->cols[col];
    uint8_t flags = c->nullable ? 0 : KL_COL_NOT_NULL;
    if (c->pk_pos > 0) {
        flags |= (uint8_t)(KL_COL_PK | KL_COL_NOT_NULL | (t->n_pk == 1 ? KL_COL_UNIQUE : 0));
    }
    return (struct kl_sink_col){.name = kl_slice_str(c->name), .type = c->type, .flags = flags};
}

enum kl_rc kl_sql__no_column(const struct kl_table *t, struct kl_slice qualifier,
    struct kl_slice name, int position, struct kl_err *err) {
    const char *near = NULL;
    size_t best = KL_MAX(name.len / 3, (size_t)1) + 1;
    for (size_t i = 0; i < t->n_cols; i++) {
        size_t d = kl_slice_distance(name, kl_slice_str(t->cols[i].name));
        if (d < best) {
            best = d;
            near = t->cols[i].name;
        }
    }
    if (qualifier.len > 0) {
        kl_fail_at(err, KL_E_EXEC, position, "column %.*s.%.*s does not exist", KL_FMT(qualifier),
            KL_FMT(name));
    } else {
        kl_fail_at(err, KL_E_EXEC, position, "column \"%.*s\" does not exist", KL_FMT(name));
    }
    if (near && err) {
        kl_err_hint(err, "Perhaps you meant to reference the column \"%s.%s\".", t->name, near);
    }
    return KL_E_EXEC;
}

/* ---- result columns ---- */
/* Strength as in PostgreSQL: 0 nothing, 1 weak (a type or a keyword), 2 a name. */
static int figure(const PgQuery__Node *n, struct kl_slice *ret) {
    if (!n) {
        return 0;
    }
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF: {
        const PgQuery__ColumnRef *ref = n->column_ref;
        const PgQuery__Node *last = ref->n_fields > 0 ? ref->fields[ref->n_fields - 1] : NULL;
        if (last && last->node_case == PG_QUERY__NODE__NODE_STRING) {
            *ret = kl_sql__pgstr(last->string->sval);
            return 2;
        }
        return 0;
    }
    case PG_QUERY__NODE__NODE_FUNC_CALL: {
        const PgQuery__FuncCall *f = n->func_call;
        *ret = f->n_funcname > 0 &&
                       f->funcname[f->n_funcname - 1]->node_case == PG_QUERY__NODE__NODE_STRING
                   ? kl_sql__pgstr(f->funcname[f->n_funcname - 1]->string->sval)
                   : KL_S("?column?");
        return 2;
    }
    case PG_QUERY__NODE__NODE_A_EXPR:
        if (n->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF) {
            *ret = KL_S("nullif");
            return 2;
        }
        return 0;
    case PG_QUERY__NODE__NODE_TYPE_CAST: {
        const PgQuery__TypeName *t = n->type_cast->type_name;
        int strength = figure(n->type_cast->arg, ret);
        if (strength <= 1 && t && t->n_names > 0 &&
            t->names[t->n_names - 1]->node_case == PG_QUERY__NODE__NODE_STRING) {
            *ret = kl_sql__pgstr(t->names[t->n_names - 1]->string->sval);
            return 1;
        }
        return strength;
    }
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return figure(n->collate_clause->arg, ret);
    case PG_QUERY__NODE__NODE_CASE_EXPR: {
        int strength = figure(n->case_expr->defresult, ret);
        if (strength <= 1) {
            *ret = KL_S("case");
            return 1;
        }
        return strength;
    }
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        *ret = KL_S("coalesce");
        return 2;
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        *ret = n->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST ? KL_S("greatest")
                                                                        : KL_S("least");
        return 2;
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        switch (n->sqlvalue_function->op) {
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE:
            *ret = KL_S("current_date");
            return 2;
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME:
            *ret = KL_S("current_time");
            return 2;
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP:
            *ret = KL_S("current_timestamp");
            return 2;
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME:
            *ret = KL_S("localtime");
            return 2;
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP:
            *ret = KL_S("localtimestamp");
            return 2;
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE:
            *ret = KL_S("current_role");
            return 2;
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER:
            *ret = KL_S("user");
            return 2;
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER:
            *ret = KL_S("session_user");
            return 2;
        default:
            *ret = KL_S("current_user");
            return 2;
        }
    default:
        return 0;
    }
}

struct kl_slice kl_sql__output_name(const PgQuery__Node *val) {
    struct kl_slice name;
    return figure(val, &name) > 0 ? name : KL_S("?column?");
}
