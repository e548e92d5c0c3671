/* Names of types: the spellings of DDL and casts, and the two forms in which a type is shown (SQL
 * and JSON).
 *
 * A written name is split into its words in lower case and its modifiers: "timestamp(3) with time
 * zone" is the words "timestamp with time zone" and the one modifier "3". Words are looked up in a
 * table. Lengths and precisions of other types than DECIMAL, EMBEDDING and FLOAT are read and
 * dropped: no type here has a length. */
#include "types/internal.h"

#define NAME_MAX_BYTES 120
#define DIMENSION_MAX 8192

struct written {
    char words[NAME_MAX_BYTES + 1];
    struct kl_slice mods[2];
    int mod_count; /* may exceed the two that are kept */
};

static const struct {
    const char *name;
    uint8_t id;
} names[] = {
    {"boolean", KL_T_BOOLEAN},
    {"bool", KL_T_BOOLEAN},
    {"smallint", KL_T_SMALLINT},
    {"int2", KL_T_SMALLINT},
    {"int", KL_T_INT},
    {"integer", KL_T_INT},
    {"int4", KL_T_INT},
    {"mediumint", KL_T_INT},
    {"bigint", KL_T_BIGINT},
    {"int8", KL_T_BIGINT},
    {"int64", KL_T_BIGINT},
    /* A serial column is filled by a snowflake, which needs 64 bits. */
    {"serial", KL_T_BIGINT},
    {"serial4", KL_T_BIGINT},
    {"bigserial", KL_T_BIGINT},
    {"serial8", KL_T_BIGINT},
    {"smallserial", KL_T_BIGINT},
    {"serial2", KL_T_BIGINT},
    {"double", KL_T_DOUBLE},
    {"double precision", KL_T_DOUBLE},
    {"float8", KL_T_DOUBLE},
    {"float64", KL_T_DOUBLE},
    {"float", KL_T_FLOAT},
    {"real", KL_T_FLOAT},
    {"float4", KL_T_FLOAT},
    {"decimal", KL_T_DECIMAL},
    {"numeric", KL_T_DECIMAL},
    {"dec", KL_T_DECIMAL},
    {"text", KL_T_TEXT},
    {"string", KL_T_TEXT},
    {"varchar", KL_T_TEXT},
    {"character varying", KL_T_TEXT},
    {"char varying", KL_T_TEXT},
    {"character", KL_T_TEXT},
    {"char", KL_T_TEXT},
    {"bpchar", KL_T_TEXT},
    {"nvarchar", KL_T_TEXT},
    {"nchar", KL_T_TEXT},
    {"national character", KL_T_TEXT},
    {"national char", KL_T_TEXT},
    {"national character varying", KL_T_TEXT},
    {"clob", KL_T_TEXT},
    {"array", KL_T_TEXT},
    {"enum", KL_T_TEXT},
    {"set", KL_T_TEXT},
    {"struct", KL_T_TEXT},
    {"timestamp", KL_T_TIMESTAMP},
    {"timestamp with time zone", KL_T_TIMESTAMP},
    {"timestamp without time zone", KL_T_TIMESTAMP},
    {"timestamptz", KL_T_DATETIME},
    {"datetime", KL_T_DATETIME},
    {"date", KL_T_DATE},
    {"time", KL_T_TIME},
    {"time with time zone", KL_T_TIME},
    {"time without time zone", KL_T_TIME},
    {"timetz", KL_T_TIME},
    {"interval", KL_T_INTERVAL},
    {"json", KL_T_JSON},
    {"jsonb", KL_T_JSON},
    {"bytes", KL_T_BYTES},
    {"bytea", KL_T_BYTES},
    {"binary", KL_T_BYTES},
    {"varbinary", KL_T_BYTES},
    {"blob", KL_T_BYTES},
    {"uuid", KL_T_UUID},
    {"file", KL_T_FILE},
    {"embedding", KL_T_EMBEDDING},
};

/* How a column's type is shown, in SQL and in JSON. */
static const struct {
    uint8_t id;
    const char *sql, *json;
} shown[] = {
    {KL_T_BOOLEAN, "BOOLEAN", "Boolean"},
    {KL_T_SMALLINT, "SMALLINT", "SmallInt"},
    {KL_T_INT, "INT", "Int"},
    {KL_T_BIGINT, "BIGINT", "BigInt"},
    {KL_T_FLOAT, "FLOAT", "Float"},
    {KL_T_DOUBLE, "DOUBLE", "Double"},
    {KL_T_TEXT, "TEXT", "Text"},
    {KL_T_TIMESTAMP, "TIMESTAMP", "Timestamp"},
    {KL_T_DATE, "DATE", "Date"},
    {KL_T_DATETIME, "DATETIME", "DateTime"},
    {KL_T_TIME, "TIME", "Time"},
    {KL_T_JSON, "JSON", "Json"},
    {KL_T_BYTES, "BYTES", "Bytes"},
    {KL_T_UUID, "UUID", "Uuid"},
    {KL_T_FILE, "FILE", "File"},
};

/* ---- reading a written name ---- */

static enum kl_rc unsupported(struct kl_slice name, struct kl_err *err) {
    struct kl_slice s = kl_slice_trim(name), cut = kl_types__excerpt(s, 100);
    return kl_fail(err, KL_E_INVALID_SQL, "Unsupported data type: %.*s", KL_FMT(cut));
}

/* The modifiers between one pair of parentheses; false when it does not close. Quotes may hold
 * anything (ENUM('a,b')). */
static bool split_mods(const char **p, const char *end, struct written *w) {
    const char *start = *p;
    for (bool quoted = false; *p < end; (*p)++) {
        quoted ^= **p == '\'';
        if (quoted || (**p != ',' && **p != ')')) {
            continue;
        }
        if (w->mod_count < 2) {
            w->mods[w->mod_count] = kl_slice_trim(kl_slice(start, (size_t)(*p - start)));
        }
        w->mod_count++;
        start = *p + 1;
        if (**p == ')') {
            (*p)++;
            return true;
        }
    }
    return false;
}

/* Words joined by one space. What stands in angle brackets (ARRAY<INT>, STRUCT<…>) ends the name.
 */
static bool split(struct kl_slice name, struct written *w) {
    const char *p = name.ptr, *end = name.ptr + name.len;
    size_t n = 0;
    *w = (struct written){0};
    while (p < end && *p != '<') {
        if (*p == '(') {
            p++;
            if (w->mod_count > 0 || !split_mods(&p, end, w)) {
                return false;
            }
            continue;
        }
        bool space = kl_types__is_space(*p);
        if (!space || (n > 0 && w->words[n - 1] != ' ')) {
            if (n == NAME_MAX_BYTES) {
                return false;
            }
            w->words[n++] = space ? ' ' : kl_types__lower(*p);
        }
        p++;
    }
    while (n > 0 && w->words[n - 1] == ' ') {
        n--;
    }
    w->words[n] = 0;
    return n > 0;
}

static bool mod_number(struct kl_slice mod, int64_t *ret) {
    return mod.len > 0 && mod.len < 10 && kl_types__is_digit(mod.ptr[0]) && kl_parse_i64(mod, ret);
}

static enum kl_rc embedding(const struct written *w, struct kl_type *ret, struct kl_err *err) {
    int64_t dim;
    if (w->mod_count != 1) {
        return kl_fail(err, KL_E_INVALID_SQL,
            "EMBEDDING type requires exactly one dimension parameter, e.g., EMBEDDING(384)");
    }
    if (!mod_number(w->mods[0], &dim)) {
        struct kl_slice cut = kl_types__excerpt(w->mods[0], 40);
        return kl_fail(err, KL_E_INVALID_SQL,
            "EMBEDDING dimension must be a positive integer, got '%.*s'", KL_FMT(cut));
    }
    if (dim < 1) {
        return kl_fail(err, KL_E_INVALID_SQL, "EMBEDDING dimension must be at least 1");
    }
    if (dim > DIMENSION_MAX) {
        return kl_fail(err, KL_E_INVALID_SQL, "EMBEDDING dimension must be at most %d (found %lld)",
            DIMENSION_MAX, (long long)dim);
    }
    *ret = (struct kl_type){.id = KL_T_EMBEDDING, .dim = (uint16_t)dim};
    return KL_OK;
}

static enum kl_rc decimal(const struct written *w, struct kl_type *ret, struct kl_err *err) {
    int64_t precision = 38, scale = w->mod_count == 0 ? 10 : 0;
    bool numbers = w->mod_count <= 2 && (w->mod_count < 1 || mod_number(w->mods[0], &precision)) &&
                   (w->mod_count < 2 || mod_number(w->mods[1], &scale));
    if (!numbers || precision < 1 || precision > 38) {
        return kl_fail(err, KL_E_INVALID_SQL, "DECIMAL precision must be between 1 and 38");
    }
    if (scale > precision) {
        return kl_fail(err, KL_E_INVALID_SQL,
            "DECIMAL scale must be between 0 and the precision %d", (int)precision);
    }
    *ret = (struct kl_type){
        .id = KL_T_DECIMAL, .precision = (uint8_t)precision, .scale = (uint8_t)scale};
    return KL_OK;
}

static bool ends_with(struct kl_slice s, struct kl_slice tail) {
    return s.len >= tail.len && memcmp(s.ptr + s.len - tail.len, tail.ptr, tail.len) == 0;
}

static uint8_t find(struct kl_slice words) {
    for (size_t i = 0; i < KL_LEN(names); i++) {
        if (kl_slice_eq_str(words, names[i].name)) {
            return names[i].id;
        }
    }
    bool one_word = !memchr(words.ptr, ' ', words.len);
    bool texty = ends_with(words, KL_S("text")) || ends_with(words, KL_S("string"));
    return one_word && texty ? KL_T_TEXT : KL_T_NULL;
}

enum kl_rc kl_type_parse(struct kl_slice name, struct kl_type *ret, struct kl_err *err) {
    struct written w;
    int64_t bits;
    if (!split(name, &w)) {
        return unsupported(name, err);
    }
    struct kl_slice words = kl_slice_str(w.words);
    if (kl_slice_starts_with(words, KL_S("pg_catalog."))) {
        words = kl_slice_from(words, sizeof("pg_catalog.") - 1);
    }
    uint8_t id = find(words);
    switch (id) {
    case KL_T_NULL:
        return unsupported(name, err);
    case KL_T_EMBEDDING:
        return embedding(&w, ret, err);
    case KL_T_DECIMAL:
        return decimal(&w, ret, err);
    case KL_T_FLOAT: /* FLOAT(p) counts bits */
        id = w.mod_count == 1 && mod_number(w.mods[0], &bits) && bits > 24 ? KL_T_DOUBLE
                                                                           : KL_T_FLOAT;
        break;
    default:
        break;
    }
    *ret = (struct kl_type){.id = id};
    return KL_OK;
}

/* ---- showing ---- */

void kl_type_sql_name(struct kl_type t, struct kl_buf *out) {
    if (t.id == KL_T_DECIMAL) {
        if (t.precision) {
            kl_buf_printf(out, "DECIMAL(%u, %u)", (unsigned)t.precision, (unsigned)t.scale);
        } else {
            kl_buf_puts(out, "DECIMAL");
        }
        return;
    }
    if (t.id == KL_T_EMBEDDING) {
        kl_buf_printf(out, t.dim ? "EMBEDDING(%u)" : "EMBEDDING", (unsigned)t.dim);
        return;
    }
    if (t.id == KL_T_INTERVAL) {
        kl_buf_puts(out, "INTERVAL");
        return;
    }
    for (size_t i = 0; i < KL_LEN(shown); i++) {
        if (shown[i].id == t.id) {
            kl_buf_puts(out, shown[i].sql);
            return;
        }
    }
    kl_buf_puts(out, "TEXT"); /* a bare NULL */
}

void kl_type_json_name(struct kl_type t, struct kl_buf *out) {
    if (t.id == KL_T_DECIMAL) {
        /* Without a declared precision: the widest, so that strict clients find numbers they
         * accept. */
        unsigned precision = t.precision ? t.precision : 38, scale = t.precision ? t.scale : 10;
        kl_buf_printf(out, "{\"Decimal\":{\"precision\":%u,\"scale\":%u}}", precision, scale);
        return;
    }
    if (t.id == KL_T_EMBEDDING) {
        kl_buf_printf(out, "{\"Embedding\":%u}", (unsigned)t.dim);
        return;
    }
    const char *name = "Text";
    for (size_t i = 0; i < KL_LEN(shown); i++) {
        name = shown[i].id == t.id ? shown[i].json : name;
    }
    kl_buf_putc(out, '"');
    kl_buf_puts(out, name);
    kl_buf_putc(out, '"');
}

/* ---- reading the JSON form ---- */

/* Takes `want` and the white space around it; letters and punctuation alike. */
static bool take(struct kl_slice *s, const char *want) {
    *s = kl_slice_trim(*s);
    struct kl_slice w = kl_slice_str(want);
    if (!kl_slice_starts_with(*s, w)) {
        return false;
    }
    *s = kl_slice_trim(kl_slice_from(*s, w.len));
    return true;
}

static bool take_number(struct kl_slice *s, int64_t *ret) {
    size_t n = 0;
    while (n < s->len && kl_types__is_digit(s->ptr[n])) {
        n++;
    }
    bool ok = mod_number(kl_slice(s->ptr, n), ret);
    *s = kl_slice_from(*s, n);
    return ok;
}

static bool json_decimal(struct kl_slice s, struct kl_type *ret) {
    int64_t precision = 0, scale = -1;
    if (!take(&s, "{") || !take(&s, "\"Decimal\"") || !take(&s, ":") || !take(&s, "{")) {
        return false;
    }
    do {
        bool ok = take(&s, "\"precision\"")
                      ? take(&s, ":") && take_number(&s, &precision)
                      : take(&s, "\"scale\"") && take(&s, ":") && take_number(&s, &scale);
        if (!ok) {
            return false;
        }
    } while (take(&s, ","));
    if (!take(&s, "}") || !take(&s, "}") || s.len > 0) {
        return false;
    }
    *ret = (struct kl_type){
        .id = KL_T_DECIMAL, .precision = (uint8_t)precision, .scale = (uint8_t)scale};
    return precision >= 1 && precision <= 38 && scale >= 0 && scale <= precision;
}

static bool json_embedding(struct kl_slice s, struct kl_type *ret) {
    int64_t dim;
    if (!take(&s, "{") || !take(&s, "\"Embedding\"") || !take(&s, ":") || !take_number(&s, &dim) ||
        !take(&s, "}")) {
        return false;
    }
    *ret = (struct kl_type){.id = KL_T_EMBEDDING, .dim = (uint16_t)dim};
    return s.len == 0 && dim >= 1 && dim <= DIMENSION_MAX;
}

enum kl_rc kl_type_from_json_name(struct kl_slice json, struct kl_type *ret) {
    struct kl_slice s = kl_slice_trim(json);
    struct kl_type t;
    if (json_decimal(s, &t) || json_embedding(s, &t)) {
        *ret = t;
        return KL_OK;
    }
    if (s.len < 2 || s.ptr[0] != '"' || s.ptr[s.len - 1] != '"') {
        return KL_E_INVALID_INPUT;
    }
    s = kl_slice(s.ptr + 1, s.len - 2);
    for (size_t i = 0; i < KL_LEN(shown); i++) {
        if (kl_slice_eq_str(s, shown[i].json)) {
            *ret = (struct kl_type){.id = shown[i].id};
            return KL_OK;
        }
    }
    return KL_E_INVALID_INPUT;
}
