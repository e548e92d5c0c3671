/* CREATE INDEX, DROP INDEX, ALTER TABLE .. ADD UNIQUE.
 *
 * An index holds its columns in ascending order with NULLs last and can be read from either end. So
 * a DESC (with NULLs first, as PostgreSQL has it) on every column is what a backward scan gives;
 * any other order, expressions, WHERE, INCLUDE and other methods are refused by name. */
#include "sql/parse_internal.h"

#define LATER(p, what) kl_sql__refuse_here(p, what, NULL)

static enum kl_rc may(struct kl_parser *p, const char *what) {
    return p->ctx->session->role >= KL_ROLE_SERVICE
               ? KL_OK
               : kl_fail(p->err, KL_E_PERMISSION_DENIED, "Insufficient privileges to %s an index",
                     what);
}

enum kl_rc kl_sql__may_index(
    struct kl_parser *p, struct kl_slice column, struct kl_type type, int position) {
    if (type.id != KL_T_EMBEDDING && type.id != KL_T_JSON && type.id != KL_T_FILE) {
        return KL_OK;
    }
    struct kl_buf name = {0};
    kl_type_sql_name(type, &name);
    enum kl_rc rc = kl_fail_at(p->err, KL_E_TYPE, position,
        "Column '%.*s' of type %.*s cannot be part of an index", KL_FMT(column), (int)name.len,
        name.data);
    kl_buf_deinit(&name);
    return rc;
}

static enum kl_rc push(struct kl_parser *p, const char *what, struct kl_key_columns *key,
    struct kl_slice name, int at) {
    for (size_t i = 0; i < key->n; i++) {
        if (kl_slice_eq(key->names[i], name)) {
            return kl_fail_at(p->err, KL_E_INVALID_SQL, at, "column '%.*s' is in the %s twice",
                KL_FMT(name), what);
        }
    }
    if (key->n == KL_INDEX_COLS_MAX) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at, "%s may have at most %d columns", what,
            KL_INDEX_COLS_MAX);
    }
    key->names[key->n] = name;
    key->positions[key->n++] = at;
    return KL_OK;
}

enum kl_rc kl_sql__take_key(struct kl_parser *p, const char *what, struct kl_key_columns *ret) {
    *ret = (struct kl_key_columns){0};
    KL_TRY(kl_sql__need_punct(p, '('));
    do {
        struct kl_slice name;
        int at = kl_sql__here(p);
        KL_TRY(kl_sql__take_name(p, &name));
        KL_TRY(push(p, what, ret, name, at));
    } while (kl_sql__take_punct(p, ','));
    return kl_sql__need_punct(p, ')');
}

/* ---- columns of CREATE INDEX ---- */
/* ASC | DESC, NULLS FIRST | LAST; ret_down: this column would be read backwards. */
static enum kl_rc order(struct kl_parser *p, bool *ret_down) {
    int at = kl_sql__here(p);
    bool down = kl_sql__take(p, "desc");
    if (!down) {
        kl_sql__take(p, "asc");
    }
    bool first = kl_sql__take(p, "nulls first"), last = !first && kl_sql__take(p, "nulls last");
    *ret_down = down;
    if ((first && !down) || (last && down)) {
        enum kl_rc rc = kl_fail_at(p->err, KL_E_UNSUPPORTED, at,
            "%s in an index is not available in this version",
            down ? "DESC NULLS LAST" : "NULLS FIRST");
        kl_err_hint(p->err, "An index is ordered with NULLs last, or read backwards with NULLs "
                            "first; leave the words out.");
        return rc;
    }
    return KL_OK;
}

static enum kl_rc index_column(struct kl_parser *p, struct kl_key_columns *key, bool *ret_down) {
    struct kl_slice name;
    int at = kl_sql__here(p);
    struct kl_parser before = *p;
    if (p->tok.punct == '(') {
        return LATER(p, "an index on an expression");
    }
    KL_TRY(kl_sql__take_name(p, &name));
    if (p->tok.punct == '(') {
        p->scan = before.scan;
        p->tok = before.tok;
        return LATER(p, "an index on an expression");
    }
    if (kl_sql__at_word(p, "collate")) {
        return LATER(p, "COLLATE in an index");
    }
    KL_TRY(push(p, "index", key, name, at));
    KL_TRY(order(p, ret_down));
    if (p->tok.punct != ',' && p->tok.punct != ')' && p->tok.kind == KL_TOK_WORD) {
        return LATER(p, "an operator class or other option of an index column");
    }
    return KL_OK;
}

static enum kl_rc index_columns(struct kl_parser *p, struct kl_key_columns *key) {
    size_t n_down = 0;
    int at = kl_sql__here(p);
    *key = (struct kl_key_columns){0};
    KL_TRY(kl_sql__need_punct(p, '('));
    do {
        bool down = false;
        if (key->n > 0 && p->tok.punct == ')') {
            break; /* a comma too many */
        }
        KL_TRY(index_column(p, key, &down));
        n_down += down;
    } while (kl_sql__take_punct(p, ','));
    KL_TRY(kl_sql__need_punct(p, ')'));
    if (n_down > 0 && n_down < key->n) {
        enum kl_rc rc = kl_fail_at(p->err, KL_E_UNSUPPORTED, at,
            "an index with ASC and DESC columns is not available in this version");
        kl_err_hint(p->err, "Make all columns ascending or all descending.");
        return rc;
    }
    return KL_OK;
}

static enum kl_rc method(struct kl_parser *p) {
    static const char *const vectors[] = {"hnsw", "ivfflat", "vector", "cosine", "l2", "dot"};
    if (!kl_sql__take(p, "using") || kl_sql__take(p, "btree")) {
        return KL_OK;
    }
    for (size_t i = 0; i < KL_LEN(vectors); i++) {
        if (kl_sql__at_word(p, vectors[i])) {
            return kl_sql__refuse_here(p, "a vector index",
                "ORDER BY COSINE_DISTANCE(column, '[...]') LIMIT n works without one.");
        }
    }
    return p->tok.kind == KL_TOK_WORD || p->tok.kind == KL_TOK_IDENT
               ? kl_sql__refuse_here(p, "an index method other than btree",
                     "Leave USING out, or write USING btree.")
               : kl_sql__syntax_error(p);
}

/* ---- CREATE ---- */
/* The plan's index over columns of t. */
static enum kl_rc fill(struct kl_parser *p, struct kl_table *t, const struct kl_key_columns *key,
    struct kl_index_def def) {
    struct kl_slice *cols = KL_ARENA_ARRAY(p->arena, struct kl_slice, KL_INDEX_COLS_MAX);
    struct kl_index_def *ret = KL_ARENA_NEW(p->arena, struct kl_index_def);
    if (!cols || !ret) {
        return kl_sql__no_room(p->err);
    }
    for (size_t i = 0; i < key->n; i++) {
        int col = kl_sql__column(t, key->names[i]);
        if (col == KL_COL_NONE) {
            return kl_sql__no_column(t, KL_S(""), key->names[i], key->positions[i], p->err);
        }
        if (col < 0) {
            return kl_fail_at(p->err, KL_E_INVALID_SQL, key->positions[i],
                "system column '%.*s' cannot be part of an index", KL_FMT(key->names[i]));
        }
        KL_TRY(kl_sql__may_index(p, key->names[i], t->cols[col].type, key->positions[i]));
        cols[i] = key->names[i];
    }
    *ret = def;
    ret->cols = cols;
    ret->n_cols = key->n;
    p->plan->index = ret;
    kl_sql__start_plan(p, KL_PLAN_CREATE_INDEX);
    kl_sql__plan_set_table(p->plan, t);
    return def.name.len > 0 ? kl_name_check("index", def.name, p->err) : KL_OK;
}

static enum kl_rc indexable(struct kl_parser *p, const struct kl_table *t, int at) {
    KL_TRY(kl_auth_may_alter(p->ctx->session->role, t, p->err));
    KL_TRY(kl_sql__need_table(p, t, at));
    return t->type != KL_TABLE_STREAM
               ? KL_OK
               : kl_fail_at(p->err, KL_E_UNSUPPORTED, at,
                     "indexes are not supported for STREAM tables: their rows are found by time");
}

/* What may follow the columns. */
static enum kl_rc tail(struct kl_parser *p) {
    static const struct {
        const char *words, *what, *hint;
    } refused[] = {{"include", "INCLUDE", "Name the columns among those of the index."},
        {"where", "a partial index (WHERE)", "Leave WHERE out."},
        {"with", "WITH in CREATE INDEX", NULL}, {"tablespace", "TABLESPACE", NULL},
        {"nulls not distinct", "NULLS NOT DISTINCT", NULL}};
    kl_sql__take(p, "nulls distinct");
    for (size_t i = 0; i < KL_LEN(refused); i++) {
        struct kl_parser look = *p;
        if (kl_sql__take(&look, refused[i].words)) {
            return kl_sql__refuse_here(p, refused[i].what, refused[i].hint);
        }
    }
    return kl_sql__need_end(p);
}

enum kl_rc kl_sql__parse_create_index(struct kl_parser *p, bool unique) {
    struct kl_table_name name;
    struct kl_key_columns key;
    struct kl_index_def def = {.unique = unique};
    struct kl_table *t;
    KL_TRY(may(p, "create"));
    kl_sql__take(p, "concurrently"); /* no index stops writers while it is built */
    p->plan->if_not_exists = kl_sql__take(p, "if not exists");
    if (!kl_sql__at_word(p, "on") || p->plan->if_not_exists) {
        KL_TRY(kl_sql__take_name(p, &def.name));
        if (p->tok.punct == '.') {
            enum kl_rc rc = kl_sql__syntax_error(p);
            kl_err_hint(p->err, "An index is made in the namespace of its table.");
            return rc;
        }
    }
    KL_TRY(kl_sql__need(p, "on"));
    kl_sql__take(p, "only");
    KL_TRY(kl_sql__take_table(p, &name));
    KL_TRY(method(p));
    KL_TRY(index_columns(p, &key));
    KL_TRY(tail(p));
    KL_TRY(kl_sql__known_table(p, &name, &t));
    KL_TRY(indexable(p, t, name.position));
    KL_TRY(fill(p, t, &key, def));
    return kl_sql__table_label(p, &name, &p->plan->name);
}

enum kl_rc kl_sql__add_unique(struct kl_parser *p, struct kl_table *t, struct kl_slice name) {
    struct kl_key_columns key;
    int at = kl_sql__here(p);
    if (kl_sql__at_word(p, "using")) {
        return LATER(p, "UNIQUE USING INDEX");
    }
    if (kl_sql__at_word(p, "nulls") && !kl_sql__take(p, "nulls distinct")) {
        return LATER(p, "UNIQUE NULLS NOT DISTINCT");
    }
    KL_TRY(kl_sql__take_key(p, "UNIQUE", &key));
    KL_TRY(kl_sql__constraint_tail(p));
    KL_TRY(indexable(p, t, at));
    return fill(
        p, t, &key, (struct kl_index_def){.name = name, .unique = true, .constraint = true});
}

/* ---- DROP ---- */
static enum kl_rc drop(struct kl_parser *p, const struct kl_table_name *name) {
    struct kl_table *t = NULL;
    const struct kl_index *index = kl_cat_index(p->ctx->cat, name->ns, name->name, &t);
    if (!index) {
        return p->plan->if_exists ? KL_OK
                                  : kl_fail_at(p->err, KL_E_NOT_FOUND, name->position,
                                        "index \"%.*s.%.*s\" does not exist", KL_FMT(name->ns),
                                        KL_FMT(name->name));
    }
    KL_TRY(kl_auth_may_alter(p->ctx->session->role, t, p->err));
    if (index->constraint) {
        enum kl_rc rc = kl_fail_at(p->err, KL_E_EXEC, name->position,
            "cannot drop index '%s': it enforces a UNIQUE constraint of table '%.*s'", index->name,
            KL_FMT(t->qualified));
        kl_err_hint(
            p->err, "ALTER TABLE %.*s DROP CONSTRAINT %s", KL_FMT(t->qualified), index->name);
        return rc;
    }
    p->plan->index_id = index->id;
    kl_sql__plan_set_table(p->plan, t);
    return KL_OK;
}

enum kl_rc kl_sql__parse_drop_index(struct kl_parser *p) {
    struct kl_table_name name;
    KL_TRY(may(p, "drop"));
    kl_sql__start_plan(p, KL_PLAN_DROP_INDEX);
    kl_sql__take(p, "concurrently");
    p->plan->if_exists = kl_sql__take(p, "if exists");
    KL_TRY(kl_sql__take_table(p, &name));
    if (p->tok.punct == ',') {
        return kl_sql__refuse_here(
            p, "DROP INDEX of several indexes", "Write one DROP INDEX each.");
    }
    if (!kl_sql__take(p, "cascade")) {
        kl_sql__take(p, "restrict"); /* nothing depends on an index */
    }
    KL_TRY(kl_sql__need_end(p));
    KL_TRY(kl_sql__table_label(p, &name, &p->plan->name));
    return drop(p, &name);
}
