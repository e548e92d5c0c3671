/* One column of CREATE TABLE or ADD COLUMN: its type as written, then constraints in any order.
 * What would have to be enforced and is not (REFERENCES, generated columns) is refused, never
 * ignored. */
#include "sql/parse_internal.h"

enum kl_rc kl_sql__refuse_here(struct kl_parser *p, const char *what, const char *hint) {
    enum kl_rc rc = kl_fail_at(
        p->err, KL_E_UNSUPPORTED, kl_sql__here(p), "%s is not available in this version", what);
    if (hint) {
        kl_err_hint(p->err, "%s", hint);
    }
    return rc;
}

static enum kl_rc refuse(struct kl_parser *p, const char *what) {
    return kl_sql__refuse_here(p, what, NULL);
}

/* ---- types ---- */
/* The brackets behind a type name, as written. */
static enum kl_rc type_mods(struct kl_parser *p, const char **end) {
    if (p->tok.punct != '(') {
        return KL_OK;
    }
    for (size_t depth = 0;; kl_sql__advance(p)) {
        if (p->tok.kind == KL_TOK_END || p->tok.kind == KL_TOK_BAD) {
            return kl_sql__syntax_error(p);
        }
        depth += p->tok.punct == '(';
        depth -= p->tok.punct == ')';
        *end = p->tok.text.ptr + p->tok.text.len;
        if (depth == 0) {
            kl_sql__advance(p);
            return KL_OK;
        }
    }
}

static bool type_word(struct kl_parser *p) {
    static const char *const words[] = {
        "precision", "varying", "with time zone", "without time zone"};
    for (size_t i = 0; i < KL_LEN(words); i++) {
        if (kl_sql__take(p, words[i])) {
            return true;
        }
    }
    return false;
}

enum kl_rc kl_sql__take_type(struct kl_parser *p, struct kl_type *ret, bool *ret_serial) {
    int at = kl_sql__here(p);
    const char *from = p->tok.text.ptr, *end;
    if (p->tok.kind != KL_TOK_WORD && p->tok.kind != KL_TOK_IDENT) {
        return kl_sql__syntax_error(p);
    }
    struct kl_slice first = p->tok.kind == KL_TOK_IDENT ? kl_sql__tok_body(&p->tok) : p->tok.text;
    from = first.ptr;
    end = first.ptr + first.len;
    bool national = kl_sql__take(p, "national");
    if (!national || (p->tok.kind == KL_TOK_WORD && (end = p->tok.text.ptr + p->tok.text.len))) {
        kl_sql__advance(p);
    }
    for (bool more = true; more;) {
        KL_TRY(type_mods(p, &end));
        const char *before = p->tok.text.ptr;
        more = type_word(p);
        if (more) { /* the last byte of the words is just before what comes now, blanks aside */
            struct kl_slice words =
                kl_slice_trim(kl_slice(before, (size_t)(p->tok.text.ptr - before)));
            end = words.ptr + words.len;
        }
    }
    if (p->tok.punct == '[' || kl_sql__at_word(p, "array")) {
        return refuse(p, "an array column");
    }
    enum kl_rc rc = kl_type_parse(kl_slice(from, (size_t)(end - from)), ret, p->err);
    if (rc == KL_OK && ret->id == KL_T_INTERVAL) {
        rc = kl_fail(
            p->err, KL_E_INVALID_SQL, "Unsupported data type: INTERVAL is no type for a column");
    }
    if (rc != KL_OK) {
        if (p->err) {
            p->err->position = at;
        }
        return rc;
    }
    static const char *const serials[] = {
        "serial", "serial2", "serial4", "serial8", "bigserial", "smallserial"};
    *ret_serial = false;
    for (size_t i = 0; i < KL_LEN(serials); i++) {
        *ret_serial |= kl_slice_ieq_str(first, serials[i]);
    }
    return KL_OK;
}

/* ---- defaults ---- */
static bool default_call(struct kl_parser *p, struct kl_type type, enum kl_default_kind *ret) {
    static const struct {
        const char *name;
        enum kl_default_kind kind;
        bool bare; /* () may be left out */
    } known[] = {{"now", KL_DEFAULT_NOW, false}, {"current_timestamp", KL_DEFAULT_NOW, true},
        {"localtimestamp", KL_DEFAULT_NOW, true}, {"transaction_timestamp", KL_DEFAULT_NOW, false},
        {"statement_timestamp", KL_DEFAULT_NOW, false}, {"current_date", KL_DEFAULT_NOW, true},
        {"snowflake_id", KL_DEFAULT_SNOWFLAKE, false}, {"uuid_v7", KL_DEFAULT_UUID_V7, false},
        {"ulid", KL_DEFAULT_ULID, false}, {"current_user", KL_DEFAULT_CURRENT_USER, true},
        {"current_user_id", KL_DEFAULT_CURRENT_USER, false}};
    struct kl_parser before = *p;
    for (size_t i = 0; i < KL_LEN(known); i++) {
        if (!kl_sql__take(p, known[i].name)) {
            continue;
        }
        bool open = kl_sql__take_punct(p, '(');
        bool whole = open ? kl_sql__take_punct(p, ')') : known[i].bare;
        bool day = strcmp(known[i].name, "current_date") == 0; /* without the time of day */
        *ret = known[i].kind;
        if (whole && (!day || type.id == KL_T_DATE)) {
            return true;
        }
        p->scan = before.scan;
        p->tok = before.tok;
        return false;
    }
    return false;
}

static enum kl_rc default_literal(struct kl_parser *p, struct kl_val *ret, bool *ret_is) {
    *ret_is = true;
    if (p->tok.kind == KL_TOK_STRING) {
        struct kl_slice s;
        KL_TRY(kl_sql__take_string(p, &s));
        *ret = kl_val_text(s);
        ret->flags = KL_VAL_UNKNOWN;
        return KL_OK;
    }
    if (p->tok.kind == KL_TOK_BYTES) {
        if (kl_sql__bytes(kl_sql__tok_body(&p->tok), p->arena, ret) != KL_OK) {
            return kl_sql__syntax_error(p);
        }
        kl_sql__advance(p);
        return KL_OK;
    }
    if (kl_sql__take(p, "null")) {
        *ret = kl_val_null(KL_T_NULL);
        return KL_OK;
    }
    if (kl_sql__at_word(p, "true") || kl_sql__at_word(p, "false")) {
        *ret = kl_val_bool(kl_sql__at_word(p, "true"));
        kl_sql__advance(p);
        return KL_OK;
    }
    bool negative = kl_sql__take_op(p, "-");
    if (!negative) {
        kl_sql__take_op(p, "+");
    }
    if (p->tok.kind != KL_TOK_INT && p->tok.kind != KL_TOK_NUMBER) {
        *ret_is = false;
        return KL_OK;
    }
    if (kl_sql__number(p->tok.text, negative, ret) != KL_OK) {
        return kl_fail_at(p->err, KL_E_TYPE, kl_sql__here(p),
            "number \"%.*s\" has more than 38 digits", KL_FMT(p->tok.text));
    }
    kl_sql__advance(p);
    return KL_OK;
}

/* What a generated default makes must go into the column. */
static enum kl_rc check_default(struct kl_parser *p, struct kl_slice column, struct kl_type type,
    enum kl_default_kind kind, int at) {
    uint8_t t = type.id;
    bool fits = true;
    const char *what = "";
    switch (kind) {
    case KL_DEFAULT_NOW:
        fits = t == KL_T_TIMESTAMP || t == KL_T_DATETIME || t == KL_T_DATE || t == KL_T_TIME ||
               t == KL_T_TEXT;
        what = "NOW() needs a TIMESTAMP, DATETIME, DATE, TIME or TEXT column";
        break;
    case KL_DEFAULT_SNOWFLAKE:
        fits = t == KL_T_BIGINT || t == KL_T_TEXT;
        what = "SNOWFLAKE_ID() is a 64-bit number and needs a BIGINT or TEXT column";
        break;
    case KL_DEFAULT_UUID_V7:
        fits = t == KL_T_UUID || t == KL_T_TEXT;
        what = "UUID_V7() needs a UUID or TEXT column";
        break;
    case KL_DEFAULT_ULID:
    case KL_DEFAULT_CURRENT_USER:
        fits = t == KL_T_TEXT;
        what = "ULID() and CURRENT_USER() need a TEXT column";
        break;
    default:
        break;
    }
    return fits ? KL_OK
                : kl_fail_at(
                      p->err, KL_E_TYPE, at, "DEFAULT of column '%.*s': %s", KL_FMT(column), what);
}

static bool column_ends(const struct kl_parser *p) {
    return p->tok.kind == KL_TOK_END || p->tok.punct == ',' || p->tok.punct == ')' ||
           p->tok.punct == ';' || kl_sql__at_word(p, "first") || kl_sql__at_word(p, "after");
}

/* A call or a literal that stands alone; *ret_is false: something else, nothing consumed. */
static enum kl_rc simple_default(struct kl_parser *p, struct kl_type type, struct kl_default *ret,
    struct kl_val *lit, bool *ret_is) {
    struct kl_parser before = *p;
    bool bracket = kl_sql__take_punct(p, '(');
    *ret_is = default_call(p, type, &ret->kind);
    if (!*ret_is) {
        KL_TRY(default_literal(p, lit, ret_is));
        ret->kind = KL_DEFAULT_LITERAL;
    }
    if (*ret_is && bracket) {
        *ret_is = kl_sql__take_punct(p, ')');
    }
    *ret_is = *ret_is && (column_ends(p) || kl_sql__ends_default(p));
    if (!*ret_is) {
        p->scan = before.scan;
        p->tok = before.tok;
    }
    return KL_OK;
}

static enum kl_rc no_default(struct kl_parser *p, struct kl_slice column, int at, bool uuid) {
    enum kl_rc rc = kl_fail_at(p->err, KL_E_UNSUPPORTED, at,
        "DEFAULT of column '%.*s': only constants, NOW(), CURRENT_TIMESTAMP, SNOWFLAKE_ID(), "
        "UUID_V7(), ULID() and CURRENT_USER() are available",
        KL_FMT(column));
    if (uuid) {
        kl_err_hint(p->err, "UUID_V7() makes a UUID that sorts by the time it was made.");
    }
    return rc;
}

enum kl_rc kl_sql__take_default(
    struct kl_parser *p, struct kl_slice column, struct kl_type type, struct kl_default *ret) {
    int at = kl_sql__here(p);
    bool is, uuid = kl_sql__at_word(p, "gen_random_uuid") || kl_sql__at_word(p, "uuid_generate_v4");
    struct kl_val v;
    KL_TRY(simple_default(p, type, ret, &v, &is));
    if (!is) {
        KL_TRY(kl_sql__take_constant(p, &v, &is));
        ret->kind = KL_DEFAULT_LITERAL;
    }
    if (!is) {
        return no_default(p, column, at, uuid);
    }
    if (ret->kind != KL_DEFAULT_LITERAL) {
        return check_default(p, column, type, ret->kind, at);
    }
    enum kl_rc rc = kl_val_cast(&v, type, KL_CAST_ASSIGN, p->arena, &ret->value, p->err);
    if (rc != KL_OK) {
        kl_err_prefix(p->err, "DEFAULT of column '%.*s'", KL_FMT(column));
        if (p->err) {
            p->err->position = at;
        }
    }
    return rc;
}

/* ---- constraints ---- */
static bool take_identity(struct kl_parser *p) {
    if (kl_sql__take(p, "generated always as identity") ||
        kl_sql__take(p, "generated by default as identity") || kl_sql__take(p, "auto_increment") ||
        kl_sql__take(p, "autoincrement") || kl_sql__take(p, "identity")) {
        return true;
    }
    return false;
}

enum kl_rc kl_sql__constraint_tail(struct kl_parser *p) {
    for (;;) {
        if (kl_sql__take(p, "not deferrable") || kl_sql__take(p, "initially immediate")) {
            continue;
        }
        struct kl_parser look = *p;
        if (kl_sql__take(&look, "deferrable") || kl_sql__take(&look, "initially deferred")) {
            return refuse(p, "a deferred constraint");
        }
        if (kl_sql__take(&look, "not valid")) {
            return refuse(p, "NOT VALID");
        }
        if (kl_sql__take(&look, "no inherit")) {
            return refuse(p, "NO INHERIT");
        }
        if (kl_sql__take(&look, "include") || kl_sql__take(&look, "using index")) {
            return refuse(p, "INCLUDE or USING INDEX");
        }
        return KL_OK;
    }
}

/* Flags of a column while its constraints are read. */
struct nulls {
    bool not_null, null;
};

static enum kl_rc column_default(struct kl_parser *p, struct kl_column_def *c) {
    if (c->def.kind != KL_DEFAULT_NONE) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, kl_sql__here(p),
            "multiple default values specified for column \"%.*s\"", KL_FMT(c->name));
    }
    return kl_sql__take_default(p, c->name, c->type, &c->def);
}

static enum kl_rc column_check(
    struct kl_parser *p, struct kl_parsed_column *c, struct kl_slice label) {
    if (c->n_checks == KL_COLUMN_CHECKS_MAX) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, kl_sql__here(p),
            "a column may have at most %d CHECK constraints; others can stand in the list of "
            "columns",
            KL_COLUMN_CHECKS_MAX);
    }
    struct kl_check_def *check = &c->checks[c->n_checks++];
    check->name = label;
    KL_TRY(kl_sql__take_check(p, &check->expr));
    return kl_sql__constraint_tail(p);
}

static enum kl_rc refused_constraint(struct kl_parser *p) {
    if (kl_sql__at_word(p, "references")) {
        return kl_sql__refuse_here(p, "REFERENCES", "Foreign keys are not enforced: leave it out.");
    }
    if (kl_sql__at_word(p, "generated")) {
        return refuse(p, "a generated column");
    }
    return kl_sql__at_word(p, "collate") ? refuse(p, "COLLATE of a column")
                                         : kl_sql__syntax_error(p);
}

static enum kl_rc constraint(
    struct kl_parser *p, struct kl_parsed_column *c, struct kl_slice label, struct nulls *nulls) {
    if (kl_sql__take(p, "not null")) {
        nulls->not_null = true;
    } else if (kl_sql__take(p, "null")) {
        nulls->null = true;
    } else if (kl_sql__take(p, "primary key")) {
        c->def.pk_pos = 1;
        return kl_sql__constraint_tail(p);
    } else if (kl_sql__take(p, "default")) {
        return column_default(p, &c->def);
    } else if (take_identity(p)) {
        c->def.def.kind = KL_DEFAULT_SNOWFLAKE;
    } else if (kl_sql__take(p, "unique")) {
        if (kl_sql__at_word(p, "nulls") && !kl_sql__take(p, "nulls distinct")) {
            return refuse(p, "UNIQUE NULLS NOT DISTINCT");
        }
        c->unique = true;
        c->unique_name = label;
        return kl_sql__constraint_tail(p);
    } else if (kl_sql__take(p, "check")) {
        return column_check(p, c, label);
    } else {
        return refused_constraint(p);
    }
    return KL_OK;
}

static enum kl_rc constraints(
    struct kl_parser *p, struct kl_parsed_column *c, struct nulls *nulls) {
    while (!column_ends(p)) {
        struct kl_slice label = KL_SLICE_NONE;
        if (kl_sql__take(p, "constraint")) {
            KL_TRY(kl_sql__take_name(p, &label));
            KL_TRY(kl_name_check("constraint", label, p->err));
        }
        KL_TRY(constraint(p, c, label, nulls));
    }
    return KL_OK;
}

enum kl_rc kl_sql__parse_column(struct kl_parser *p, struct kl_parsed_column *ret) {
    struct kl_column_def *c = &ret->def;
    struct nulls nulls = {0};
    bool serial;
    int at = kl_sql__here(p);
    memset(ret, 0, sizeof(*ret));
    KL_TRY(kl_sql__take_name(p, &c->name));
    KL_TRY(kl_sql__take_type(p, &c->type, &serial));
    KL_TRY(constraints(p, ret, &nulls));
    if (serial) {
        nulls.not_null = true;
        c->def.kind = c->def.kind == KL_DEFAULT_NONE ? KL_DEFAULT_SNOWFLAKE : c->def.kind;
    }
    if (nulls.null && (nulls.not_null || c->pk_pos > 0)) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at,
            "conflicting NULL/NOT NULL declarations for column \"%.*s\"", KL_FMT(c->name));
    }
    c->nullable = !nulls.not_null && c->pk_pos == 0;
    return check_default(p, c->name, c->type, c->def.kind, at);
}
