/* Identifiers, literals, parameters, casts and type names.
 *
 * A quoted literal under a cast is read here, with our own input rules, and printed in canonical
 * form: a wrong one is an error of the statement, and DuckDB's reading of '\xDEAD' or of a zone in
 * a timestamp never comes into play. */
#include "sql/duck_print_internal.h"

#include <stdio.h>

static void quoted(struct kl_dp *p, struct kl_slice s, char quote) {
    kl_buf_putc(p->out, quote);
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == quote) {
            kl_buf_putc(p->out, quote);
        }
        kl_buf_putc(p->out, s.ptr[i]);
    }
    kl_buf_putc(p->out, quote);
}

void kl_dp__ident(struct kl_dp *p, const char *name) {
    quoted(p, kl_slice_str(name && *name ? name : "?column?"), '"');
}
void kl_dp__string(struct kl_dp *p, struct kl_slice s) {
    quoted(p, s, '\'');
}

/* Digits with a point, an exponent or too many for 64 bits: PostgreSQL's numeric. */
static enum kl_rc number(struct kl_dp *p, const char *text, int32_t location) {
    int64_t i;
    __int128 n;
    uint8_t scale, precision;
    struct kl_slice s = kl_slice_str(text);
    if (kl_parse_i64(s, &i)) {
        kl_buf_printf(p->out, "CAST(%lld AS BIGINT)", (long long)i);
        return KL_OK;
    }
    if (kl_dec_parse(s, &n, &scale, &precision) == KL_OK) {
        kl_dp__puts(p, "CAST('");
        kl_dec_format(n, scale, p->out);
        kl_buf_printf(
            p->out, "' AS DECIMAL(%u,%u))", precision <= 18 && scale <= 18 ? 18 : 38, scale);
        return KL_OK;
    }
    double d;
    if (!kl_parse_double(s, &d)) {
        return kl_fail_at(
            p->err, KL_E_TYPE, kl_dp__pos(location), "numeric literal out of range: %s", text);
    }
    kl_buf_printf(p->out, "CAST('%.17g' AS DOUBLE)", d);
    return KL_OK;
}

static void blob(struct kl_dp *p, struct kl_slice bytes) {
    kl_dp__puts(p, "unhex('");
    kl_hex_encode(p->out, bytes);
    kl_dp__puts(p, "')");
}

static enum kl_rc bit_string(struct kl_dp *p, const char *text, int32_t location) {
    struct kl_buf bytes;
    kl_buf_init(&bytes, 0);
    bool ok = text[0] == 'x' && kl_hex_decode(&bytes, kl_slice_str(text + 1));
    if (ok) {
        blob(p, kl_buf_view(&bytes));
    }
    kl_buf_deinit(&bytes);
    return ok ? KL_OK : kl_dp__refuse(p, location, "this bit string");
}

enum kl_rc kl_dp__const(struct kl_dp *p, PgQuery__AConst *c) {
    if (c->isnull) {
        kl_dp__puts(p, "NULL");
        return KL_OK;
    }
    switch (c->val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
        kl_buf_printf(p->out, "CAST(%d AS BIGINT)", c->ival->ival);
        return KL_OK;
    case PG_QUERY__A__CONST__VAL_FVAL:
        return number(p, c->fval->fval, c->location);
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
        kl_dp__puts(p, c->boolval->boolval ? "TRUE" : "FALSE");
        return KL_OK;
    case PG_QUERY__A__CONST__VAL_SVAL:
        kl_dp__string(p, kl_slice_str(c->sval->sval));
        return KL_OK;
    case PG_QUERY__A__CONST__VAL_BSVAL:
        return bit_string(p, c->bsval->bsval, c->location);
    default:
        kl_dp__puts(p, "CAST(0 AS BIGINT)");
        return KL_OK; /* an Integer of 0 is not written into the message */
    }
}

enum kl_rc kl_dp__param(struct kl_dp *p, PgQuery__ParamRef *r) {
    if (r->number < 1 || (size_t)r->number > p->n_params) {
        return kl_fail_at(p->err, KL_E_INVALID_PARAMETER, kl_dp__pos(r->location),
            "there is no parameter $%d", r->number);
    }
    struct kl_type t = p->param_types[r->number - 1];
    if (t.id == KL_T_NULL) {
        kl_buf_printf(p->out, "$%d", r->number);
        return KL_OK;
    }
    /* The cast tells DuckDB the type once and for all. A parameter is never of type JSON there. */
    kl_buf_printf(
        p->out, t.id == KL_T_JSON ? "CAST(CAST($%d AS VARCHAR) AS " : "CAST($%d AS ", r->number);
    kl_duck_type_name(t, p->out);
    kl_dp__puts(p, ")");
    return KL_OK;
}

/* ---- types ---- */

static bool const_int(const PgQuery__Node *n, int *ret) {
    if (!n || n->node_case != PG_QUERY__NODE__NODE_A_CONST || n->a_const->isnull) {
        return false;
    }
    if (n->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
        *ret = n->a_const->ival->ival;
        return true;
    }
    *ret = 0;
    return n->a_const->val_case == PG_QUERY__A__CONST__VAL__NOT_SET;
}

static enum kl_rc spelled(struct kl_dp *p, PgQuery__TypeName *t, char *out, size_t size) {
    size_t first = t->n_names == 2 && strcmp(kl_dp__str(t->names[0]), "pg_catalog") == 0 ? 1 : 0;
    if (t->n_names != first + 1 || t->setof) {
        return kl_dp__refuse(p, t->location, "this type");
    }
    int n = snprintf(out, size, "%s", kl_dp__str(t->names[first]));
    for (size_t i = 0; i < t->n_typmods && n > 0 && (size_t)n < size; i++) {
        int mod;
        if (!const_int(t->typmods[i], &mod)) {
            return kl_dp__refuse(p, t->location, "this type modifier");
        }
        n += snprintf(out + n, size - (size_t)n, "%s%d%s", i ? "," : "(", mod,
            i + 1 == t->n_typmods ? ")" : "");
    }
    return n > 0 && (size_t)n < size ? KL_OK : kl_dp__refuse(p, t->location, "this type");
}

enum kl_rc kl_dp__type(
    struct kl_dp *p, PgQuery__TypeName *t, struct kl_type *ret, bool *ret_array) {
    char name[128];
    *ret_array = t->n_array_bounds > 0;
    if (t->n_array_bounds > 1) {
        return kl_dp__refuse(p, t->location, "an array of arrays");
    }
    if (t->n_names && strcmp(kl_dp__str(t->names[t->n_names - 1]), "interval") == 0) {
        *ret = KL_TYPE(INTERVAL); /* its modifiers are fields, see interval_literal */
        return KL_OK;
    }
    KL_TRY(spelled(p, t, name, sizeof(name)));
    enum kl_rc rc = kl_type_parse(kl_slice_str(name), ret, p->err);
    if (rc != KL_OK && p->err) {
        p->err->position = kl_dp__pos(t->location);
    }
    return rc;
}

/* INTERVAL '5' DAY: the field stands in the type's modifier as a bit mask. */
static const char *interval_unit(PgQuery__TypeName *t) {
    int mask = 0x7fff;
    if (t->n_typmods && !const_int(t->typmods[0], &mask)) {
        return NULL;
    }
    switch (mask) {
    case 0x7fff:
        return "";
    case 1 << 2:
        return " year";
    case 1 << 1:
        return " month";
    case 1 << 3:
        return " day";
    case 1 << 10:
        return " hour";
    case 1 << 11:
        return " minute";
    case 1 << 12:
        return " second";
    default:
        return NULL;
    }
}

static enum kl_rc interval_literal(
    struct kl_dp *p, PgQuery__TypeName *t, const char *text, int32_t location) {
    const char *unit = interval_unit(t);
    if (!unit) {
        return kl_dp__refuse(p, location, "this interval field");
    }
    double bare;
    bool plain = kl_parse_double(kl_slice_str(text), &bare);
    kl_autofree char *full = kl_xprintf("%s%s", text, plain ? (*unit ? unit : " second") : "");
    struct kl_interval iv;
    enum kl_rc rc = kl_interval_parse(kl_slice_str(full), &iv, p->err);
    if (rc != KL_OK) {
        if (p->err) {
            p->err->position = kl_dp__pos(location);
        }
        return rc;
    }
    kl_buf_printf(p->out, "CAST('%d months %d days %lld microseconds' AS INTERVAL)", iv.months,
        iv.days, (long long)iv.us);
    return KL_OK;
}

static enum kl_rc literal(struct kl_dp *p, struct kl_type t, const char *text, int32_t location) {
    struct kl_val v;
    enum kl_rc rc = kl_val_parse(t, kl_slice_str(text), p->arena, &v, p->err);
    if (rc != KL_OK) {
        if (p->err) {
            p->err->position = kl_dp__pos(location);
        }
        return rc;
    }
    if (t.id == KL_T_BYTES) {
        blob(p, kl_val_slice(&v));
        return KL_OK;
    }
    struct kl_buf form;
    kl_buf_init(&form, KL_DP_MAX_TEXT);
    kl_val_to_text(&v, &form);
    kl_dp__puts(p, "CAST(");
    kl_dp__string(p, kl_buf_view(&form));
    kl_dp__puts(p, " AS ");
    kl_duck_type_name(t, p->out);
    kl_dp__puts(p, ")");
    p->out->failed |= form.failed;
    kl_buf_deinit(&form);
    return KL_OK;
}

/* From text as the native executor reads it; between other types DuckDB's own. */
static enum kl_rc try_cast(
    struct kl_dp *p, PgQuery__TypeCast *c, struct kl_type t, bool array) {
    static const struct {
        uint8_t id;
        const char *name;
    } readers[] = {{KL_T_BOOLEAN, ":try_b"}, {KL_T_INT, ":try_I"}, {KL_T_SMALLINT, ":try_I"},
        {KL_T_BIGINT, ":try_i"}, {KL_T_FLOAT, ":try_f"}, {KL_T_DOUBLE, ":try_d"},
        {KL_T_DATE, ":try_D"}, {KL_T_TIMESTAMP, ":try_s"}, {KL_T_DATETIME, ":try_z"},
        {KL_T_TIME, ":try_T"}, {KL_T_INTERVAL, ":try_m"}, {KL_T_UUID, ":try_u"},
        {KL_T_JSON, ":try_j"}, {KL_T_BYTES, ":try_B"}};
    struct kl_type from = kl_dp__infer(p, c->arg);
    const char *reader = NULL;
    for (size_t i = 0; i < KL_LEN(readers); i++) {
        reader = readers[i].id == t.id ? readers[i].name : reader;
    }
    bool text = from.id == KL_T_NULL || kl_type_is_text(from.id);
    if (array || (text && !reader && t.id != KL_T_DECIMAL && t.id != KL_T_TEXT)) {
        return kl_dp__refuse(p, c->location, "TRY_CAST to this type");
    }
    if (t.id == KL_T_TEXT) {
        return kl_dp__text(p, c->arg);
    }
    kl_dp__puts(p, "TRY_CAST(");
    KL_TRY(text && reader ? kl_dp__native(p, reader, &c->arg, 1, c->location)
                          : kl_dp__arg(p, c->arg));
    kl_dp__puts(p, " AS ");
    kl_duck_type_name(t, p->out);
    kl_dp__puts(p, ")");
    return KL_OK;
}

enum kl_rc kl_dp__cast(struct kl_dp *p, PgQuery__TypeCast *c) {
    struct kl_type t;
    bool array;
    KL_TRY(kl_dp__type(p, c->type_name, &t, &array));
    if (c->type_name->pct_type) {
        return try_cast(p, c, t, array);
    }
    const char *text = kl_dp__string_const(c->arg);
    if (text && array) {
        return kl_dp__refuse(p, c->location, "an array literal in a string: write ARRAY[...]");
    }
    if (text && t.id == KL_T_INTERVAL) {
        return interval_literal(p, c->type_name, text, kl_dp__location(c->arg));
    }
    if (text) {
        return literal(p, t, text, kl_dp__location(c->arg));
    }
    if (!array && kl_type_is_text(t.id) && t.id != KL_T_JSON) {
        return kl_dp__text(p, c->arg);
    }
    uint8_t from = !array && (t.id == KL_T_TIME || t.id == KL_T_INTERVAL)
                       ? kl_dp__infer(p, c->arg).id
                       : KL_T_NULL;
    if ((from == KL_T_TIME && t.id == KL_T_INTERVAL) ||
        (from == KL_T_INTERVAL && t.id == KL_T_TIME)) {
        return kl_dp__native(p, t.id == KL_T_TIME ? ":to_time" : ":to_interval", &c->arg, 1, c->location);
    }
    if (!array && t.id == KL_T_BYTES &&
        (kl_dp__open_param(p, c->arg) || kl_type_is_text(kl_dp__infer(p, c->arg).id))) {
        return kl_dp__native(p, ":to_bytes", &c->arg, 1, c->location); /* \x is a prefix, not an escape */
    }
    bool via_text = t.id == KL_T_JSON && kl_dp__open_param(p, c->arg);
    kl_dp__puts(p, via_text ? "CAST(CAST(" : "CAST(");
    KL_TRY(kl_dp__expr(p, c->arg));
    kl_dp__puts(p, via_text ? " AS VARCHAR) AS " : " AS ");
    kl_duck_type_name(t, p->out);
    kl_dp__puts(p, array ? "[])" : ")");
    return KL_OK;
}
