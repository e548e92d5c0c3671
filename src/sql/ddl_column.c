/* One column of CREATE TABLE or ADD COLUMN: its type as written, then constraints in any order.
 * What would have to be enforced and is not yet (UNIQUE, CHECK, REFERENCES) is refused, never
 * ignored. */
#include "sql/parse_internal.h"

static enum kl_rc refuse(struct kl_parser *p, const char *what) {
    return kl_fail_at(
        p->err, KL_E_UNSUPPORTED, kl_sql__here(p), "%s is not available in this version", what);
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

/* ret_serial: a name of the SERIAL family, which brings its default along. */
static enum kl_rc column_type(struct kl_parser *p, struct kl_type *ret, bool *ret_serial) {
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
static bool default_call(struct kl_parser *p, enum kl_default_kind *ret, bool *ret_unclosed) {
    static const struct {
        const char *name;
        enum kl_default_kind kind;
        bool bare; /* () may be left out */
    } known[] = {{"now", KL_DEFAULT_NOW, false}, {"current_timestamp", KL_DEFAULT_NOW, true},
        {"snowflake_id", KL_DEFAULT_SNOWFLAKE, false}, {"uuid_v7", KL_DEFAULT_UUID_V7, false},
        {"ulid", KL_DEFAULT_ULID, false}, {"current_user", KL_DEFAULT_CURRENT_USER, true},
        {"current_user_id", KL_DEFAULT_CURRENT_USER, false}};
    for (size_t i = 0; i < KL_LEN(known); i++) {
        if (kl_sql__take(p, known[i].name)) {
            bool open = kl_sql__take_punct(p, '(');
            *ret_unclosed = open ? !kl_sql__take_punct(p, ')') : !known[i].bare;
            *ret = known[i].kind;
            return true;
        }
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

static enum kl_rc parse_default(
    struct kl_parser *p, const struct kl_column_def *c, struct kl_default *ret) {
    int at = kl_sql__here(p);
    bool is = false, unclosed = false, bracket = kl_sql__take_punct(p, '(');
    struct kl_val v;
    if (default_call(p, &ret->kind, &unclosed)) {
        is = !unclosed;
    } else {
        KL_TRY(default_literal(p, &v, &is));
        ret->kind = KL_DEFAULT_LITERAL;
    }
    if (is && bracket) {
        is = kl_sql__take_punct(p, ')');
    }
    if (!is || p->tok.kind == KL_TOK_OP || p->tok.punct == '(') {
        return kl_fail_at(p->err, KL_E_UNSUPPORTED, at,
            "DEFAULT of column '%.*s': only literals, NOW(), CURRENT_TIMESTAMP, SNOWFLAKE_ID(), "
            "UUID_V7(), ULID() and CURRENT_USER() are available",
            KL_FMT(c->name));
    }
    if (ret->kind != KL_DEFAULT_LITERAL) {
        return KL_OK;
    }
    enum kl_rc rc = kl_val_cast(&v, c->type, KL_CAST_ASSIGN, p->arena, &ret->value, p->err);
    if (rc != KL_OK) {
        kl_err_prefix(p->err, "DEFAULT of column '%.*s'", KL_FMT(c->name));
        if (p->err) {
            p->err->position = at;
        }
    }
    return rc;
}

/* What a generated default makes must go into the column. */
static enum kl_rc check_default(struct kl_parser *p, const struct kl_column_def *c, int at) {
    uint8_t t = c->type.id;
    bool fits = true;
    const char *what = "";
    switch (c->def.kind) {
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
                      p->err, KL_E_TYPE, at, "DEFAULT of column '%.*s': %s", KL_FMT(c->name), what);
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

static enum kl_rc constraint(
    struct kl_parser *p, struct kl_column_def *c, bool *not_null, bool *null) {
    if (kl_sql__take(p, "not null")) {
        *not_null = true;
    } else if (kl_sql__take(p, "null")) {
        *null = true;
    } else if (kl_sql__take(p, "primary key")) {
        c->pk_pos = 1;
    } else if (kl_sql__take(p, "default")) {
        if (c->def.kind != KL_DEFAULT_NONE) {
            return kl_fail_at(p->err, KL_E_INVALID_SQL, kl_sql__here(p),
                "multiple default values specified for column \"%.*s\"", KL_FMT(c->name));
        }
        return parse_default(p, c, &c->def);
    } else if (take_identity(p)) {
        c->def.kind = KL_DEFAULT_SNOWFLAKE;
    } else if (kl_sql__at_word(p, "unique")) {
        return refuse(p, "UNIQUE");
    } else if (kl_sql__at_word(p, "check")) {
        return refuse(p, "CHECK");
    } else if (kl_sql__at_word(p, "references")) {
        return refuse(p, "REFERENCES");
    } else if (kl_sql__at_word(p, "generated")) {
        return refuse(p, "a generated column");
    } else if (kl_sql__at_word(p, "collate")) {
        return refuse(p, "COLLATE of a column");
    } else {
        return kl_sql__syntax_error(p);
    }
    return KL_OK;
}

static bool column_ends(const struct kl_parser *p) {
    return p->tok.kind == KL_TOK_END || p->tok.punct == ',' || p->tok.punct == ')' ||
           p->tok.punct == ';' || kl_sql__at_word(p, "first") || kl_sql__at_word(p, "after");
}

enum kl_rc kl_sql__parse_column(struct kl_parser *p, struct kl_column_def *ret) {
    struct kl_column_def c = {.nullable = true};
    bool serial, not_null = false, null = false;
    int at = kl_sql__here(p);
    KL_TRY(kl_sql__take_name(p, &c.name));
    KL_TRY(column_type(p, &c.type, &serial));
    while (!column_ends(p)) {
        if (kl_sql__take(p, "constraint")) {
            struct kl_slice ignored; /* names of constraints have no use without messages that tell
                                        them apart */
            KL_TRY(kl_sql__take_name(p, &ignored));
        }
        KL_TRY(constraint(p, &c, &not_null, &null));
    }
    if (serial) {
        not_null = true;
        c.def.kind = c.def.kind == KL_DEFAULT_NONE ? KL_DEFAULT_SNOWFLAKE : c.def.kind;
    }
    if (null && (not_null || c.pk_pos > 0)) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at,
            "conflicting NULL/NOT NULL declarations for column \"%.*s\"", KL_FMT(c.name));
    }
    c.nullable = !not_null && c.pk_pos == 0;
    KL_TRY(check_default(p, &c, at));
    *ret = c;
    return KL_OK;
}
