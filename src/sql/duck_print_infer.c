/* What can be told about an expression without binding it: a type where it is plain to see, a
 * column's name. Types found here only refine the text (casts where DuckDB's result type differs
 * from PostgreSQL's); not knowing is always correct SQL. */
#include "sql/duck_print_internal.h"

#include "sql/bind_internal.h"

#define INFER_BYTES ((size_t)1 << 20) /* for one question */

const char *kl_dp__str(const PgQuery__Node *n) {
    return n && n->node_case == PG_QUERY__NODE__NODE_STRING ? n->string->sval : NULL;
}

bool kl_dp__is_integer_const(const PgQuery__Node *n) {
    return n && n->node_case == PG_QUERY__NODE__NODE_A_CONST && !n->a_const->isnull &&
           (n->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL ||
               n->a_const->val_case == PG_QUERY__A__CONST__VAL__NOT_SET);
}

const char *kl_dp__string_const(const PgQuery__Node *n) {
    return n && n->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                   n->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL
               ? n->a_const->sval->sval
               : NULL;
}

int32_t kl_dp__location(const PgQuery__Node *n) {
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_A_CONST:
        return n->a_const->location;
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return n->param_ref->location;
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return n->column_ref->location;
    case PG_QUERY__NODE__NODE_A_EXPR:
        return n->a_expr->location;
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return n->bool_expr->location;
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return n->null_test->location;
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return n->boolean_test->location;
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return n->func_call->location;
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return n->type_cast->location;
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return n->case_expr->location;
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return n->sub_link->location;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return n->coalesce_expr->location;
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return n->min_max_expr->location;
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return n->a_array_expr->location;
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return n->row_expr->location;
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return n->sqlvalue_function->location;
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
        return n->grouping_func->location;
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return n->collate_clause->location;
    case PG_QUERY__NODE__NODE_XML_EXPR:
        return n->xml_expr->location;
    case PG_QUERY__NODE__NODE_XML_SERIALIZE:
        return n->xml_serialize->location;
    default:
        return -1;
    }
}

/* ---- types ---- */

static struct kl_type column_of(const struct kl_table *t, const char *name) {
    int i = kl_table_col(t, kl_slice_str(name));
    return i >= 0 ? t->cols[i].type : strcmp(name, "_seq") == 0 ? KL_TYPE(BIGINT) : KL_TYPE(NULL);
}

/* The innermost level that has the name decides. A relation of unknown columns there makes it
 * unknown. */
static struct kl_type column_type(const struct kl_dp *p, const char *rel, const char *name) {
    for (const struct kl_dp_scope *s = p->scope; s; s = s->outer) {
        struct kl_type found = KL_TYPE(NULL);
        for (const struct kl_dp_rel *r = s->rels; r; r = r->next) {
            if (rel && strcmp(r->alias, rel) != 0) {
                continue;
            }
            bool has = false;
            struct kl_type t = KL_TYPE(NULL);
            if (r->cols) {
                t = kl_dp__cols_find(r->cols, name, &has);
                if ((has && t.id == KL_T_NULL) || (!has && !r->cols->complete)) {
                    return KL_TYPE(NULL);
                }
            } else if (!r->table || r->renamed) {
                return KL_TYPE(NULL);
            } else {
                t = column_of(r->table, name);
            }
            if (t.id != KL_T_NULL && found.id != KL_T_NULL && memcmp(&t, &found, sizeof(t)) != 0) {
                return KL_TYPE(NULL);
            }
            found = t.id != KL_T_NULL ? t : found;
        }
        if (found.id != KL_T_NULL) {
            return found;
        }
    }
    return KL_TYPE(NULL);
}

static struct kl_type infer_column(const struct kl_dp *p, const PgQuery__ColumnRef *c) {
    if (c->n_fields == 0 || c->n_fields > 3) {
        return KL_TYPE(NULL);
    }
    const char *name = kl_dp__str(c->fields[c->n_fields - 1]);
    const char *rel = c->n_fields > 1 ? kl_dp__str(c->fields[c->n_fields - 2]) : NULL;
    return name ? column_type(p, rel, name) : KL_TYPE(NULL);
}

static struct kl_type column_hook(const void *p, const PgQuery__ColumnRef *c) {
    return infer_column(p, c);
}

/* The native binder knows the type of whatever it can evaluate; it needs the columns' types for
 * that, not rows. */
static enum kl_rc bind_for_type(
    const struct kl_dp *p, const PgQuery__Node *n, struct kl_type *ret, struct kl_err *err) {
    struct kl_plan scratch = {0};
    struct kl_query_input in = {
        .plain = true, .types = p->param_types, .n_types = (unsigned)p->n_params};
    struct kl_binder b;
    struct kl_expr *e;
    kl_arena_init(&scratch.arena, KL_MIN(*p->infer_budget, INFER_BYTES));
    kl_sql__binder_init(&b, p->ctx, &in, &scratch);
    b.eb.derive = NULL;
    b.column_type = column_hook;
    b.column_ctx = p;
    b.collect_aggs = true;
    enum kl_rc rc = kl_sql__bind_expr(&b, n, &e, err);
    if (rc == KL_OK) {
        *ret = kl_expr_type(e);
    }
    *p->infer_budget -= KL_MIN(*p->infer_budget - 1, scratch.arena.used);
    kl_arena_deinit(&scratch.arena);
    return rc;
}

/* True or false whatever it compares. */
static bool is_predicate(const PgQuery__Node *n) {
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
    case PG_QUERY__NODE__NODE_NULL_TEST:
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return true;
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return n->sub_link->sub_link_type != PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK &&
               n->sub_link->sub_link_type != PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK;
    case PG_QUERY__NODE__NODE_A_EXPR: {
        const PgQuery__AExpr *e = n->a_expr;
        const char *name = e->n_name ? kl_dp__str(e->name[e->n_name - 1]) : NULL;
        bool comparison = name && (strcmp(name, "=") == 0 || name[0] == '<' || name[0] == '>') &&
                          strcmp(name, "<<") != 0 && strcmp(name, ">>") != 0;
        return e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP ? comparison
                                                            : e->kind != PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF;
    }
    default:
        return false;
    }
}

struct kl_type kl_dp__infer(const struct kl_dp *p, const PgQuery__Node *n) {
    struct kl_type t = KL_TYPE(NULL);
    struct kl_err err = {0};
    if (!n || *p->infer_budget <= INFER_BYTES) {
        return t;
    }
    return bind_for_type(p, n, &t, &err) == KL_OK ? t
           : is_predicate(n)                      ? KL_TYPE(BOOLEAN)
                                                  : KL_TYPE(NULL);
}

struct kl_type kl_dp__infer_op(const struct kl_dp *p, PgQuery__AExpr *e) {
    PgQuery__Node n;
    pg_query__node__init(&n);
    n.node_case = PG_QUERY__NODE__NODE_A_EXPR;
    n.a_expr = e;
    return kl_dp__infer(p, &n);
}

struct kl_type kl_dp__infer_call(const struct kl_dp *p, PgQuery__FuncCall *f) {
    PgQuery__Node n;
    pg_query__node__init(&n);
    n.node_case = PG_QUERY__NODE__NODE_FUNC_CALL;
    n.func_call = f;
    return kl_dp__infer(p, &n);
}

/* ---- names ---- */

static const char *value_function_name(const PgQuery__SQLValueFunction *f) {
    static const char *const names[] = {
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE] = "current_date",
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME] = "current_time",
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME_N] = "current_time",
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP] = "current_timestamp",
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N] = "current_timestamp",
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME] = "localtime",
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME_N] = "localtime",
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP] = "localtimestamp",
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N] = "localtimestamp",
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE] = "current_role",
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_USER] = "current_user",
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER] = "user",
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER] = "session_user",
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG] = "current_catalog",
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_SCHEMA] = "current_schema",
    };
    return (size_t)f->op < KL_LEN(names) ? names[f->op] : NULL;
}

static const char *name_of(const PgQuery__Node *n, int *strength, unsigned depth);

static const char *sub_link_name(const PgQuery__SubLink *s, unsigned depth) {
    switch (s->sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
        return "exists";
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK:
        return "array";
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK:
        break;
    default:
        return NULL;
    }
    const PgQuery__SelectStmt *q =
        s->subselect && s->subselect->node_case == PG_QUERY__NODE__NODE_SELECT_STMT
            ? s->subselect->select_stmt
            : NULL;
    while (q && q->larg) {
        q = q->larg;
    }
    if (q && q->n_values_lists) {
        return "column1";
    }
    if (!q || q->n_target_list == 0 ||
        q->target_list[0]->node_case != PG_QUERY__NODE__NODE_RES_TARGET) {
        return NULL;
    }
    const PgQuery__ResTarget *t = q->target_list[0]->res_target;
    int strength;
    return t->name && *t->name ? t->name : name_of(t->val, &strength, depth + 1);
}

static const char *last_string(PgQuery__Node *const *items, size_t n) {
    for (size_t i = n; i-- > 0;) {
        if (kl_dp__str(items[i])) {
            return kl_dp__str(items[i]);
        }
    }
    return NULL;
}

/* strength: 0 no name, 1 a weak one (of a type or of CASE), 2 a good one. */
static const char *name_of(const PgQuery__Node *n, int *strength, unsigned depth) {
    const char *name = NULL;
    *strength = 2;
    if (depth > KL_DP_MAX_DEPTH) {
        n = NULL; /* too deep to be printed anyway */
    }
    switch (n ? n->node_case : PG_QUERY__NODE__NODE__NOT_SET) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        name = last_string(n->column_ref->fields, n->column_ref->n_fields);
        break;
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        name = last_string(n->a_indirection->indirection, n->a_indirection->n_indirection);
        return name ? name : name_of(n->a_indirection->arg, strength, depth + 1);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        name = last_string(n->func_call->funcname, n->func_call->n_funcname);
        break;
    case PG_QUERY__NODE__NODE_A_EXPR:
        name = n->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF ? "nullif" : NULL;
        break;
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        name = name_of(n->type_cast->arg, strength, depth + 1);
        if (*strength <= 1) {
            *strength = 1;
            return last_string(n->type_cast->type_name->names, n->type_cast->type_name->n_names);
        }
        return name;
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return name_of(n->collate_clause->arg, strength, depth + 1);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
        name = "grouping";
        break;
    case PG_QUERY__NODE__NODE_SUB_LINK:
        name = sub_link_name(n->sub_link, depth);
        break;
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        name = name_of(n->case_expr->defresult, strength, depth + 1);
        if (*strength <= 1) {
            *strength = 1;
            return "case";
        }
        return name;
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        name = "array";
        break;
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        name = "row";
        break;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        name = "coalesce";
        break;
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        name = n->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST ? "greatest" : "least";
        break;
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        name = value_function_name(n->sqlvalue_function);
        break;
    default:
        break;
    }
    *strength = name ? 2 : 0;
    return name;
}

const char *kl_dp__column_name(const PgQuery__Node *n) {
    int strength;
    const char *name = name_of(n, &strength, 0);
    return name ? name : "?column?";
}
