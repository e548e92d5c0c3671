/* Type names of casts. PostgreSQL's parser turns its own spellings into pg_catalog names ("bigint"
 * into int8); all of them, and ours, are spellings that kl_type_parse knows. */
#include "sql/bind_internal.h"

static enum kl_rc write_mods(const PgQuery__TypeName *n, struct kl_buf *out) {
    for (size_t i = 0; i < n->n_typmods; i++) {
        const PgQuery__Node *m = n->typmods[i];
        if (m->node_case != PG_QUERY__NODE__NODE_A_CONST ||
            m->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL) {
            return KL_E_UNSUPPORTED;
        }
        kl_buf_printf(out, "%s%d", i == 0 ? "(" : ", ", m->a_const->ival->ival);
    }
    if (n->n_typmods > 0) {
        kl_buf_putc(out, ')');
    }
    return KL_OK;
}

static enum kl_rc type_of(
    const PgQuery__TypeName *n, struct kl_buf *text, struct kl_type *ret, struct kl_err *err) {
    const PgQuery__Node *last = n->n_names > 0 ? n->names[n->n_names - 1] : NULL;
    if (!last || last->node_case != PG_QUERY__NODE__NODE_STRING || n->n_array_bounds > 0 ||
        n->setof) {
        return kl_fail(err, KL_E_UNSUPPORTED, "array types are not supported here");
    }
    struct kl_slice name = kl_sql__pgstr(last->string->sval);
    kl_buf_slice(text, name);
    if (kl_slice_eq_str(name, "interval")) {
        *ret = KL_TYPE(INTERVAL); /* its modifiers are units: see interval_text in bind_expr.c */
        return KL_OK;
    }
    if (write_mods(n, text) != KL_OK) {
        return kl_fail(err, KL_E_UNSUPPORTED, "this type modifier is not supported");
    }
    return kl_type_parse(kl_buf_view(text), ret, err);
}

enum kl_rc kl_sql__bind_type(
    struct kl_binder *b, const PgQuery__TypeName *n, struct kl_type *ret, struct kl_err *err) {
    struct kl_buf text;
    kl_buf_init(&text, 4096);
    enum kl_rc rc = n ? type_of(n, &text, ret, err)
                      : kl_fail(err, KL_E_UNSUPPORTED, "this cast is not supported");
    kl_buf_deinit(&text);
    if (rc != KL_OK && err) {
        err->position = n ? kl_sql__at(b, n->location) : 0;
    }
    return rc;
}
