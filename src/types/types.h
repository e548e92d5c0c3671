/* The 17 data types of KalamDB, their values, and how a value becomes text, JSON, bytes and another type.
 *
 * struct kl_val is one cell: 24 bytes, passed by pointer or in arrays. Text-like payloads are borrowed slices; whoever
 * hands out a value says what they borrow from (a row's bytes, an arena). Temporal values: TIMESTAMP, DATETIME and
 * TIME in microseconds, DATE in days since 1970-01-01, INTERVAL in months, days and microseconds, as in PostgreSQL.
 *
 * payload by type:      BOOLEAN b | SMALLINT INT BIGINT TIMESTAMP DATETIME DATE TIME i | FLOAT DOUBLE d
 *   TEXT JSON FILE BYTES s | UUID s (16 bytes) | EMBEDDING s (dim float32, host order) | DECIMAL dec (scale in the val)
 *   INTERVAL iv (expressions only: no column has this type) */
#ifndef KL_TYPES_H
#define KL_TYPES_H

#include "base/base.h"

enum kl_type_id { /* numbers are on disk: never change one */
    KL_T_NULL = 0, /* the type of a bare NULL, and of a quoted literal before it meets another type */
    KL_T_BOOLEAN = 1,
    KL_T_INT = 2,
    KL_T_BIGINT = 3,
    KL_T_DOUBLE = 4,
    KL_T_FLOAT = 5,
    KL_T_TEXT = 6,
    KL_T_TIMESTAMP = 7,
    KL_T_DATE = 8,
    KL_T_DATETIME = 9, /* a point in time (PostgreSQL: timestamptz); stored as UTC */
    KL_T_TIME = 10,
    KL_T_JSON = 11,
    KL_T_BYTES = 12,
    KL_T_EMBEDDING = 13,
    KL_T_UUID = 14,
    KL_T_DECIMAL = 15,
    KL_T_SMALLINT = 16,
    KL_T_FILE = 17,
    KL_T_INTERVAL = 32,
};

struct kl_type {
    uint8_t id;        /* enum kl_type_id */
    uint8_t precision; /* DECIMAL 1..38; 0 in expressions: any scale */
    uint8_t scale;     /* DECIMAL 0..precision */
    uint16_t dim;      /* EMBEDDING 1..8192; 0 in expressions: any */
};
#define KL_TYPE(name) ((struct kl_type){.id = KL_T_##name})

struct kl_interval {
    int32_t months, days;
    int64_t us;
};

struct kl_val {
    uint8_t type; /* enum kl_type_id; for a NULL the type it is a NULL of */
    bool null;
    uint8_t scale; /* DECIMAL */
    uint8_t flags; /* KL_VAL_UNKNOWN */
    uint32_t len;  /* of s */
    union {
        bool b;
        int64_t i;
        double d;
        const char *s;
        struct {
            uint64_t lo;
            int64_t hi;
        } dec;
        struct kl_interval iv;
    };
};
/* A TEXT whose type is still open: a quoted literal or string parameter. It takes the type of what it meets. */
#define KL_VAL_UNKNOWN 1

static inline struct kl_val kl_val_null(uint8_t type) { return (struct kl_val){.type = type, .null = true}; }
static inline struct kl_val kl_val_bool(bool b) { return (struct kl_val){.type = KL_T_BOOLEAN, .b = b}; }
static inline struct kl_val kl_val_int(uint8_t type, int64_t i) { return (struct kl_val){.type = type, .i = i}; }
static inline struct kl_val kl_val_i64(int64_t i) { return kl_val_int(KL_T_BIGINT, i); }
static inline struct kl_val kl_val_double(double d) { return (struct kl_val){.type = KL_T_DOUBLE, .d = d}; }
static inline struct kl_val kl_val_str(uint8_t type, struct kl_slice s) {
    return (struct kl_val){.type = type, .len = (uint32_t)s.len, .s = s.ptr};
}
static inline struct kl_val kl_val_text(struct kl_slice s) { return kl_val_str(KL_T_TEXT, s); }
static inline struct kl_slice kl_val_slice(const struct kl_val *v) { return kl_slice(v->s, v->len); }
static inline __int128 kl_val_dec(const struct kl_val *v) { return (__int128)((unsigned __int128)(uint64_t)v->dec.hi << 64 | v->dec.lo); }
static inline struct kl_val kl_val_decimal(__int128 unscaled, uint8_t scale) {
    struct kl_val v = {.type = KL_T_DECIMAL, .scale = scale};
    v.dec.lo = (uint64_t)unscaled;
    v.dec.hi = (int64_t)(unscaled >> 64);
    return v;
}
bool kl_type_is_number(uint8_t id);   /* SMALLINT INT BIGINT FLOAT DOUBLE DECIMAL */
bool kl_type_is_integer(uint8_t id);  /* SMALLINT INT BIGINT */
bool kl_type_is_text(uint8_t id);     /* TEXT JSON FILE */
bool kl_type_is_varlen(uint8_t id);   /* payload is s, UUID and EMBEDDING excepted */

/* ---- names ---- */
/* A type name as written in DDL or a cast, any case, with its modifiers: "varchar(20)", "DOUBLE PRECISION",
 * "timestamp with time zone", "numeric(10,2)", "embedding(384)". Spellings: see docs/sql.md. */
enum kl_rc kl_type_parse(struct kl_slice name, struct kl_type *ret, struct kl_err *err);
void kl_type_sql_name(struct kl_type t, struct kl_buf *out);  /* BIGINT, DECIMAL(10, 2), EMBEDDING(384) */
void kl_type_json_name(struct kl_type t, struct kl_buf *out); /* "BigInt", {"Decimal":{"precision":10,"scale":2}}; NULL and INTERVAL: "Text" */
enum kl_rc kl_type_from_json_name(struct kl_slice json, struct kl_type *ret);

/* ---- values and text (PostgreSQL's input and output rules) ---- */
/* Parses the text form: '2026-01-01 10:00:00+02', '{"a":1}', '\xDEAD', '[0.1,0.2]', 't'. Result borrows from `text`
 * or `arena`. Errors name the value and the type: invalid input syntax for type bigint: "x". A value out of range, JSON that
 * is not valid, an embedding of another length: KL_E_TYPE. */
enum kl_rc kl_val_parse(struct kl_type t, struct kl_slice text, struct kl_arena *arena, struct kl_val *ret,
    struct kl_err *err);
/* The text form, as a cast to TEXT gives it. NULL writes nothing. */
void kl_val_to_text(const struct kl_val *v, struct kl_buf *out);
/* The cell of a result: BIGINT and DECIMAL as strings, temporal types as numbers, BYTES as an array of numbers, JSON as
 * a string. See docs/wire.md. */
void kl_val_to_json(const struct kl_val *v, struct kl_buf *out);
/* A value that stands for itself in a SQL text: 42, 'it''s', TIMESTAMP '2026-01-01 00:00:00', NULL. */
void kl_val_to_sql(const struct kl_val *v, struct kl_buf *out);

/* ---- conversions ---- */
enum kl_cast { KL_CAST_ASSIGN, KL_CAST_EXPLICIT };
/* To another type. ASSIGN is what INSERT and UPDATE do: numbers to narrower ones when they fit (fractions round half
 * away from zero for DECIMAL/integer, half to even from floating point, as PostgreSQL does), UNKNOWN text to anything, anything to TEXT
 * only when it is a literal of UNKNOWN or a number or boolean or temporal. EXPLICIT allows all of PostgreSQL's casts. Overflow: KL_E_TYPE
 * "bigint out of range". NULL stays NULL and takes the target type. */
enum kl_rc kl_val_cast(const struct kl_val *v, struct kl_type to, enum kl_cast how, struct kl_arena *arena,
    struct kl_val *ret, struct kl_err *err);
/* The type in which two operands of a comparison, UNION or CASE meet; false when there is none. UNKNOWN gives way. */
bool kl_type_common(struct kl_type a, struct kl_type b, struct kl_type *ret);

/* ---- order and equality ---- */
/* Both non-NULL and of types that compare (same, or both numbers, or both temporal points): <0, 0, >0. Numbers compare by value
 * across types, exactly (no rounding through double between integers and decimals). NaN is above all and equal to itself. TEXT by
 * bytes (collation C), FALSE before TRUE, JSON by text. */
int kl_val_cmp(const struct kl_val *a, const struct kl_val *b);
/* NULL-aware, for ORDER BY: nulls_first says where NULL goes; not affected by descending. */
uint64_t kl_val_hash(const struct kl_val *v); /* equal values of one type hash equal */
/* Same type, both NULL or both equal: "did this update change anything". */
bool kl_val_same(const struct kl_val *a, const struct kl_val *b);
/* Deep copy of what v borrows. false when the arena's budget is exceeded. */
bool kl_val_dup(struct kl_arena *arena, const struct kl_val *v, struct kl_val *ret);

/* ---- decimals (128-bit unscaled, at most 38 digits) ---- */
enum kl_rc kl_dec_rescale(__int128 v, int from, int to, __int128 *ret); /* rounds half away from zero */
enum kl_rc kl_dec_parse(struct kl_slice s, __int128 *ret, uint8_t *ret_scale, uint8_t *ret_precision);
void kl_dec_format(__int128 v, int scale, struct kl_buf *out);
double kl_dec_to_double(__int128 v, int scale);

/* ---- calendar (proleptic Gregorian, UTC) ---- */
int32_t kl_date_from_ymd(int year, int month, int day); /* days since 1970-01-01; args in range */
void kl_date_to_ymd(int32_t days, int *year, int *month, int *day);
/* Adds months (clamping to the month's end), then days, then microseconds. KL_E_TYPE "timestamp out of range". */
enum kl_rc kl_timestamp_add(int64_t us, struct kl_interval iv, int64_t *ret);
enum kl_rc kl_interval_parse(struct kl_slice s, struct kl_interval *ret, struct kl_err *err); /* '5 minutes', '1 day 02:03', ISO 8601 */

/* ---- JSON checks ---- */
bool kl_json_valid(struct kl_slice s); /* RFC 8259, depth at most 512 */

#endif
