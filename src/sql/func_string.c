/* More text functions: mapping characters, code points, quoting, format(). Characters are those of
 * UTF-8; case is that of the locale C.UTF-8. */
#include "sql/func_internal.h"

#include <wctype.h>

#define ARGS                                                                                       \
    const struct kl_expr *e, struct kl_eval *ev, const struct kl_val *args, struct kl_val *ret,    \
        struct kl_err *err

enum kl_rc kl_func__take(
    struct kl_eval *ev, struct kl_buf *out, uint8_t type, struct kl_val *ret, struct kl_err *err) {
    char *p = NULL;
    enum kl_rc rc =
        out->failed ? kl_expr__no_memory(err) : kl_expr__text_room(ev, out->len, &p, err);
    if (rc == KL_OK) {
        if (out->len) {
            memcpy(p, out->data, out->len);
        }
        *ret = kl_val_str(type, kl_slice(out->len ? p : "", out->len));
    }
    kl_buf_deinit(out);
    return rc;
}

/* ---- characters ---- */

/* The place of a character in a set, counted in characters; false: not there. */
static bool place_of(struct kl_slice set, uint32_t code, size_t *ret) {
    uint32_t c;
    *ret = 0;
    for (size_t i = 0; i < set.len; ++*ret) {
        i += kl_utf8_char(kl_slice_from(set, i), &c);
        if (c == code) {
            return true;
        }
    }
    return false;
}

static struct kl_slice char_at(struct kl_slice s, size_t place) {
    for (size_t i = 0; i < s.len; place--) {
        size_t width = kl_utf8_char(kl_slice_from(s, i), NULL);
        if (place == 0) {
            return kl_slice(s.ptr + i, width);
        }
        i += width;
    }
    return KL_SLICE_NONE;
}

enum kl_rc kl_func__translate(ARGS) {
    struct kl_slice s = kl_val_slice(&args[0]), from = kl_val_slice(&args[1]),
                    to = kl_val_slice(&args[2]);
    struct kl_buf out;
    kl_buf_init(&out, 0);
    if ((uint64_t)s.len * from.len > UINT32_MAX) {
        return kl_fail(err, KL_E_TOO_LARGE, "translate() of a text and a set this long");
    }
    for (size_t i = 0; i < s.len;) {
        uint32_t code;
        size_t place, width = kl_utf8_char(kl_slice_from(s, i), &code);
        if (place_of(from, code, &place)) {
            kl_buf_slice(&out, char_at(to, place));
        } else {
            kl_buf_append(&out, s.ptr + i, width);
        }
        i += width;
    }
    return kl_func__take(ev, &out, KL_T_TEXT, ret, err);
}

enum kl_rc kl_func__initcap(ARGS) {
    struct kl_slice s = kl_val_slice(&args[0]);
    locale_t locale = kl_expr__utf8_locale();
    bool inside = false;
    struct kl_buf out;
    kl_buf_init(&out, 0);
    for (size_t i = 0; i < s.len;) {
        uint32_t code;
        i += kl_utf8_char(kl_slice_from(s, i), &code);
        kl_utf8_put(&out, inside ? kl_expr__lower_code(code) : kl_expr__upper_code(code));
        inside = code < 0x80 ? (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') ||
                                   (code >= 'A' && code <= 'Z')
                             : locale && iswalnum_l((wint_t)code, locale);
    }
    return kl_func__take(ev, &out, KL_T_TEXT, ret, err);
}

enum kl_rc kl_func__ascii(ARGS) {
    uint32_t code = 0;
    if (args[0].len > 0) {
        kl_utf8_char(kl_val_slice(&args[0]), &code);
    }
    *ret = kl_val_int(KL_T_INT, code);
    return KL_OK;
}

enum kl_rc kl_func__chr(ARGS) {
    int64_t code = args[0].i;
    if (code < 0) {
        return kl_fail(err, KL_E_EXEC, "character number must be positive");
    }
    if (code == 0) {
        return kl_fail(err, KL_E_EXEC, "null character not permitted");
    }
    if (code > 0x10FFFF) {
        return kl_fail(
            err, KL_E_EXEC, "requested character too large for encoding: %lld", (long long)code);
    }
    if (code >= 0xD800 && code <= 0xDFFF) {
        return kl_fail(
            err, KL_E_EXEC, "requested character not valid for encoding: %lld", (long long)code);
    }
    struct kl_buf out;
    kl_buf_init(&out, 0);
    kl_utf8_put(&out, (uint32_t)code);
    return kl_func__take(ev, &out, KL_T_TEXT, ret, err);
}

enum kl_rc kl_func__bit_length(ARGS) {
    *ret = kl_val_int(KL_T_INT, (int64_t)args[0].len * 8);
    return args[0].len <= INT32_MAX / 8 ? KL_OK : kl_expr__out_of_range(KL_T_INT, err);
}

/* What a cast to text gives: for DuckDB, whose texts of some types are others. */
enum kl_rc kl_func__text_of(ARGS) {
    struct kl_buf out;
    kl_buf_init(&out, 0);
    kl_val_to_text(&args[0], &out);
    return kl_func__take(ev, &out, KL_T_TEXT, ret, err);
}

/* TRY_CAST of a text to the type of the function. */
enum kl_rc kl_func__try(ARGS) {
    struct kl_err why = {0};
    enum kl_rc rc = kl_val_cast(&args[0], e->type, KL_CAST_EXPLICIT, ev->arena, ret, &why);
    if (rc == KL_E_TOO_LARGE || rc == KL_E_NOMEM) {
        return kl_expr__no_memory(err);
    }
    if (rc != KL_OK) {
        *ret = kl_val_null(e->type.id);
    }
    return KL_OK;
}

enum kl_rc kl_func__to_hex(ARGS) {
    struct kl_buf out;
    kl_buf_init(&out, 0);
    kl_buf_printf(&out, "%llx", (unsigned long long)args[0].i);
    return kl_func__take(ev, &out, KL_T_TEXT, ret, err);
}

enum kl_rc kl_func__to_hex32(ARGS) {
    struct kl_val narrow = kl_val_i64((int64_t)(uint32_t)args[0].i);
    return kl_func__to_hex(e, ev, &narrow, ret, err);
}

/* The first n characters in bytes. */
static size_t bytes_of(struct kl_slice s, int64_t n) {
    size_t i = 0;
    for (; i < s.len && n > 0; n--) {
        i += kl_utf8_char(kl_slice_from(s, i), NULL);
    }
    return i;
}

enum kl_rc kl_func__overlay(ARGS) {
    struct kl_slice s = kl_val_slice(&args[0]), with = kl_val_slice(&args[1]);
    int64_t from = args[2].i, count = e->n_args > 3 ? args[3].i : (int64_t)kl_utf8_len(with), end;
    if (from <= 0) {
        return kl_fail(err, KL_E_EXEC, "negative substring length not allowed");
    }
    if (from > INT32_MAX || __builtin_add_overflow(from, count, &end) || end > INT32_MAX ||
        end < INT32_MIN) {
        return kl_expr__out_of_range(KL_T_INT, err);
    }
    struct kl_buf out;
    kl_buf_init(&out, 0);
    kl_buf_append(&out, s.ptr, bytes_of(s, from - 1));
    kl_buf_slice(&out, with);
    kl_buf_slice(&out, kl_slice_from(s, bytes_of(s, end - 1)));
    return kl_func__take(ev, &out, KL_T_TEXT, ret, err);
}

/* ---- quoting ---- */

static void put_literal(struct kl_buf *out, struct kl_slice s) {
    bool backslash = s.len && memchr(s.ptr, '\\', s.len);
    kl_buf_puts(out, backslash ? "E'" : "'");
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\'' || s.ptr[i] == '\\') {
            kl_buf_putc(out, s.ptr[i]);
        }
        kl_buf_putc(out, s.ptr[i]);
    }
    kl_buf_putc(out, '\'');
}

/* PostgreSQL's words that are no plain names. */
static bool is_keyword(struct kl_slice s) {
    static const char *const words[] = {"all", "analyse", "analyze", "and", "any", "array", "as",
        "asc", "asymmetric", "authorization", "between", "bigint", "binary", "bit", "boolean",
        "both", "case", "cast", "char", "character", "check", "coalesce", "collate", "collation",
        "column", "concurrently", "constraint", "create", "cross", "current_catalog",
        "current_date", "current_role", "current_schema", "current_time", "current_timestamp",
        "current_user", "dec", "decimal", "default", "deferrable", "desc", "distinct", "do", "else",
        "end", "except", "exists", "extract", "false", "fetch", "float", "for", "foreign", "freeze",
        "from", "full", "grant", "greatest", "group", "grouping", "having", "ilike", "in",
        "initially", "inner", "inout", "int", "integer", "intersect", "interval", "into", "is",
        "isnull", "join", "lateral", "leading", "least", "left", "like", "limit", "localtime",
        "localtimestamp", "national", "natural", "nchar", "none", "normalize", "not", "notnull",
        "null", "nullif", "numeric", "offset", "on", "only", "or", "order", "out", "outer",
        "overlaps", "overlay", "placing", "position", "precision", "primary", "real", "references",
        "returning", "right", "row", "select", "session_user", "setof", "similar", "smallint",
        "some", "substring", "symmetric", "table", "tablesample", "then", "time", "timestamp", "to",
        "trailing", "treat", "trim", "true", "union", "unique", "user", "using", "values",
        "varchar", "variadic", "verbose", "when", "where", "window", "with", "xmlattributes",
        "xmlconcat", "xmlelement", "xmlexists", "xmlforest", "xmlnamespaces", "xmlparse", "xmlpi",
        "xmlroot", "xmlserialize", "xmltable"};
    for (size_t i = 0; i < KL_LEN(words); i++) {
        if (kl_slice_eq_str(s, words[i])) {
            return true;
        }
    }
    return false;
}

static void put_ident(struct kl_buf *out, struct kl_slice s) {
    bool plain = s.len > 0 && !(s.ptr[0] >= '0' && s.ptr[0] <= '9') && !is_keyword(s);
    for (size_t i = 0; i < s.len && plain; i++) {
        char c = s.ptr[i];
        plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    }
    if (plain) {
        kl_buf_slice(out, s);
        return;
    }
    kl_buf_putc(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        kl_buf_puts(out, s.ptr[i] == '"' ? "\"" : "");
        kl_buf_putc(out, s.ptr[i]);
    }
    kl_buf_putc(out, '"');
}

enum kl_rc kl_func__quote_literal(ARGS) {
    struct kl_buf out;
    kl_buf_init(&out, 0);
    put_literal(&out, kl_val_slice(&args[0]));
    return kl_func__take(ev, &out, KL_T_TEXT, ret, err);
}

enum kl_rc kl_func__quote_nullable(ARGS) {
    if (args[0].null) {
        *ret = kl_val_text(KL_S("NULL"));
        return KL_OK;
    }
    return kl_func__quote_literal(e, ev, args, ret, err);
}

enum kl_rc kl_func__quote_ident(ARGS) {
    struct kl_buf out;
    kl_buf_init(&out, 0);
    put_ident(&out, kl_val_slice(&args[0]));
    return kl_func__take(ev, &out, KL_T_TEXT, ret, err);
}

/* ---- counting NULLs ---- */

enum kl_rc kl_func__num_nonnulls(ARGS) {
    int64_t n = 0;
    for (uint32_t i = 0; i < e->n_args; i++) {
        n += !args[i].null;
    }
    *ret = kl_val_int(KL_T_INT, n);
    return KL_OK;
}

enum kl_rc kl_func__num_nulls(ARGS) {
    KL_TRY(kl_func__num_nonnulls(e, ev, args, ret, err));
    ret->i = (int64_t)e->n_args - ret->i;
    return KL_OK;
}

/* ---- format(pattern, arguments ..) ---- */

struct directive {
    int64_t position; /* 0: the next one */
    int64_t width;
    bool left, width_from_args;
    int64_t width_position; /* 0: the next one */
    char kind;
};

static bool read_digits(struct kl_slice s, size_t *at, int64_t *ret) {
    size_t start = *at;
    for (*ret = 0; *at < s.len && s.ptr[*at] >= '0' && s.ptr[*at] <= '9'; ++*at) {
        *ret = *ret * 10 + (s.ptr[*at] - '0');
        if (*ret > INT32_MAX) {
            return false;
        }
    }
    return *at > start;
}

static enum kl_rc ends_early(struct kl_err *err) {
    enum kl_rc rc = kl_fail(err, KL_E_EXEC, "unterminated format() type specifier");
    kl_err_hint(err, "For a single \"%%\" use \"%%%%\".");
    return rc;
}

/* [position$][-][width] kind, behind the %. */
static enum kl_rc read_directive(
    struct kl_slice s, size_t *at, struct directive *ret, struct kl_err *err) {
    int64_t n;
    *ret = (struct directive){0};
    size_t start = *at;
    if (read_digits(s, at, &n)) {
        if (*at < s.len && s.ptr[*at] == '$') {
            if (n == 0) {
                return kl_fail(err, KL_E_EXEC,
                    "format specifies argument 0, but arguments are numbered from 1");
            }
            ret->position = n;
            ++*at;
        } else {
            *at = start;
        }
    }
    for (; *at < s.len && s.ptr[*at] == '-'; ++*at) {
        ret->left = true;
    }
    if (*at < s.len && s.ptr[*at] == '*') {
        ret->width_from_args = true;
        ++*at;
        start = *at;
        if (read_digits(s, at, &n)) {
            if (*at >= s.len || s.ptr[*at] != '$') {
                return kl_fail(err, KL_E_EXEC, "width argument position must be ended by \"$\"");
            }
            ret->width_position = n;
            ++*at;
        }
    } else if (read_digits(s, at, &n)) {
        ret->width = n;
    }
    if (*at >= s.len) {
        return ends_early(err);
    }
    ret->kind = s.ptr[(*at)++];
    return KL_OK;
}

static void put_plain(struct kl_buf *out, const struct kl_val *v) {
    if (v->type == KL_T_BOOLEAN) {
        kl_buf_putc(out, v->b ? 't' : 'f');
    } else {
        kl_val_to_text(v, out);
    }
}

static enum kl_rc argument(
    const struct kl_expr *e, int64_t *next, int64_t position, uint32_t *ret, struct kl_err *err) {
    *next = position > 0 ? position : *next + 1;
    if (*next >= (int64_t)e->n_args) {
        return kl_fail(err, KL_E_EXEC, "too few arguments for format()");
    }
    *ret = (uint32_t)*next;
    return KL_OK;
}

static enum kl_rc width_of(const struct kl_expr *e, const struct kl_val *args, int64_t *next,
    struct directive *d, struct kl_err *err) {
    uint32_t i;
    if (!d->width_from_args) {
        return KL_OK;
    }
    KL_TRY(argument(e, next, d->width_position, &i, err));
    const struct kl_val *v = &args[i];
    if (!v->null && (!kl_type_is_text(v->type) || !kl_parse_i64(kl_val_slice(v), &d->width))) {
        if (!kl_type_is_integer(v->type)) {
            return kl_fail(err, KL_E_TYPE, "the width of format() must be an integer");
        }
        d->width = v->i;
    }
    if (d->width < 0) {
        d->left = true;
        d->width = -d->width;
    }
    return d->width > INT32_MAX || d->width < 0 ? kl_expr__out_of_range(KL_T_INT, err) : KL_OK;
}

static enum kl_rc put_directive(
    const struct directive *d, const struct kl_val *v, struct kl_buf *out, struct kl_err *err) {
    struct kl_buf text, cell;
    kl_buf_init(&text, 0);
    kl_buf_init(&cell, 0);
    if (!v->null) {
        put_plain(&text, v);
    }
    if (d->kind == 'L') {
        v->null ? kl_buf_puts(&cell, "NULL") : put_literal(&cell, kl_buf_view(&text));
    } else if (d->kind == 'I') {
        put_ident(&cell, kl_buf_view(&text));
    } else {
        kl_buf_slice(&cell, kl_buf_view(&text));
    }
    enum kl_rc rc =
        d->kind == 'I' && v->null
            ? kl_fail(err, KL_E_EXEC, "null values cannot be formatted as an SQL identifier")
            : KL_OK;
    uint64_t have = kl_utf8_len(kl_buf_view(&cell)),
             fill = (uint64_t)d->width > have ? (uint64_t)d->width - have : 0;
    if (fill > (64u << 20)) {
        rc = kl_fail(err, KL_E_TOO_LARGE, "requested length too large");
        fill = 0;
    }
    if (d->left) {
        kl_buf_slice(out, kl_buf_view(&cell));
    }
    for (; fill > 0; fill--) {
        kl_buf_putc(out, ' ');
    }
    if (!d->left) {
        kl_buf_slice(out, kl_buf_view(&cell));
    }
    out->failed |= text.failed || cell.failed;
    kl_buf_deinit(&text);
    kl_buf_deinit(&cell);
    return rc;
}

static enum kl_rc format_into(
    const struct kl_expr *e, const struct kl_val *args, struct kl_buf *out, struct kl_err *err) {
    struct kl_slice s = kl_val_slice(&args[0]);
    int64_t next = 0;
    for (size_t at = 0; at < s.len;) {
        struct directive d;
        uint32_t i;
        if (s.ptr[at] != '%') {
            kl_buf_putc(out, s.ptr[at++]);
            continue;
        }
        if (++at >= s.len) {
            return ends_early(err);
        }
        if (s.ptr[at] == '%') {
            kl_buf_putc(out, s.ptr[at++]);
            continue;
        }
        KL_TRY(read_directive(s, &at, &d, err));
        if (!strchr("sIL", d.kind)) {
            enum kl_rc rc =
                kl_fail(err, KL_E_EXEC, "unrecognized format() type specifier \"%c\"", d.kind);
            kl_err_hint(err, "For a single \"%%\" use \"%%%%\".");
            return rc;
        }
        KL_TRY(width_of(e, args, &next, &d, err));
        KL_TRY(argument(e, &next, d.position, &i, err));
        KL_TRY(put_directive(&d, &args[i], out, err));
    }
    return KL_OK;
}

enum kl_rc kl_func__format(ARGS) {
    struct kl_buf out;
    if (args[0].null) {
        return KL_OK;
    }
    kl_buf_init(&out, 0);
    enum kl_rc rc = format_into(e, args, &out, err);
    if (rc != KL_OK) {
        kl_buf_deinit(&out);
        return rc;
    }
    return kl_func__take(ev, &out, KL_T_TEXT, ret, err);
}
