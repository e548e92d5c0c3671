/* Shared inside types/: naming of types in messages, and the codecs of single types that parse,
 * cast and print build on. Nothing here allocates, except where an arena is a parameter. */
#ifndef KL_TYPES_INTERNAL_H
#define KL_TYPES_INTERNAL_H

#include "types/types.h"

#define KL_US_PER_SEC INT64_C(1000000)
#define KL_US_PER_MIN (60 * KL_US_PER_SEC)
#define KL_US_PER_HOUR (60 * KL_US_PER_MIN)
#define KL_US_PER_DAY (24 * KL_US_PER_HOUR)
#define KL_DATE_MIN (-719162) /* 0001-01-01 */
#define KL_DATE_MAX 2932896   /* 9999-12-31 */
#define KL_TIMESTAMP_MIN (KL_DATE_MIN * KL_US_PER_DAY)
#define KL_TIMESTAMP_MAX ((KL_DATE_MAX + 1) * KL_US_PER_DAY - 1)

/* ---- naming.c ---- */
const char *kl_types__name(uint8_t id); /* as messages spell it: "bigint" */
enum kl_rc kl_types__bad_syntax(uint8_t id, struct kl_slice text, struct kl_err *err);
enum kl_rc kl_types__bad_range(uint8_t id, struct kl_slice text, struct kl_err *err);
enum kl_rc kl_types__out_of_range(uint8_t id, struct kl_err *err); /* "bigint out of range" */
enum kl_rc kl_types__no_budget(struct kl_err *err);
/* At most `max` bytes of s, cut between characters: what a message may quote of a value. */
struct kl_slice kl_types__excerpt(struct kl_slice s, size_t max);
static inline bool kl_types__is_digit(char c) {
    return (unsigned)(c - '0') <= 9;
}
static inline bool kl_types__is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}
static inline char kl_types__lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* ---- number_text.c ---- */
enum kl_rc kl_types__int_parse(uint8_t id, struct kl_slice text, int64_t *ret, struct kl_err *err);
/* DOUBLE or FLOAT (rounded once, to float). */
enum kl_rc kl_types__float_parse(uint8_t id, struct kl_slice text, double *ret, struct kl_err *err);
bool kl_types__int_fits(uint8_t id, int64_t v);
/* Shortest text that reads back, laid out as PostgreSQL does. No NUL; 32 bytes are enough. */
size_t kl_types__double_text(double d, char *out);
size_t kl_types__float_text(float f, char *out);
size_t kl_types__i64_text(int64_t v, char *out);
/* The first `precision` (at most 17) digits of a >= 0 without trailing zeros: d1.d2d3... times
 * 10^exp. Returns their count. */
int kl_types__double_digits(double a, int precision, char *digits, int *ret_exp);

/* ---- decimal.c ---- */
#define KL_DEC_DIGITS 38
#define KL_DEC_SCALE_ANY (-1)
unsigned __int128 kl_types__pow10(int n);           /* 0..38 */
int kl_types__dec_digits(__int128 v);               /* of |v|; 0 has one */
bool kl_types__dec_fits(__int128 v, int precision); /* |v| < 10^precision */
/* Rounds once, at `scale`; KL_DEC_SCALE_ANY keeps what is written. KL_E_INVALID_INPUT: not a
 * number; KL_E_TYPE: more than 38 digits. */
enum kl_rc kl_types__dec_parse_at(struct kl_slice s, int scale, __int128 *ret, uint8_t *ret_scale);
size_t kl_types__dec_text(__int128 v, int scale, char *out); /* 48 bytes are enough */

/* ---- calendar.c, temporal_parse.c, temporal_text.c, interval.c ---- */
enum kl_rc kl_types__temporal_parse(
    uint8_t id, struct kl_slice text, int64_t *ret, struct kl_err *err);
bool kl_types__date_valid(int year, int month, int day);
bool kl_types__temporal_fits(uint8_t id, int64_t v);
size_t kl_types__date_text(int32_t days, char *out);
size_t kl_types__time_text(int64_t us, char *out);
size_t kl_types__timestamp_text(int64_t us, char *out);
size_t kl_types__interval_text(struct kl_interval iv, char *out); /* 96 bytes are enough */
/* In microseconds; a month is 30 days, a day 24 hours. */
__int128 kl_types__interval_span(struct kl_interval iv);
static inline int64_t kl_types__floor_div(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}
/* The part of a timestamp behind its midnight; any number may come in. */
static inline int64_t kl_types__of_day(int64_t us) {
    int64_t rest = us % KL_US_PER_DAY;
    return rest < 0 ? rest + KL_US_PER_DAY : rest;
}

/* ---- val_text.c ---- */
#define KL_SCALAR_TEXT_MAX 128
/* Text of a non-NULL value of fixed size, EMBEDDING excepted; 0 for the other types. */
size_t kl_types__scalar_text(const struct kl_val *v, char *out);

/* ---- val_bytes.c ---- */
enum kl_rc kl_types__uuid_parse(
    struct kl_slice text, struct kl_arena *arena, struct kl_val *ret, struct kl_err *err);
enum kl_rc kl_types__bytes_parse(
    struct kl_slice text, struct kl_arena *arena, struct kl_val *ret, struct kl_err *err);
enum kl_rc kl_types__embedding_parse(struct kl_type t, struct kl_slice text, struct kl_arena *arena,
    struct kl_val *ret, struct kl_err *err);
/* The JSON forms in which clients send bytes: [222,173], {"0":222,"1":173},
 * {"type":"Buffer","data":[222,173]}. */
enum kl_rc kl_types__bytes_from_json(
    struct kl_slice json, struct kl_arena *arena, struct kl_val *ret, struct kl_err *err);
static inline float kl_types__embedding_at(const struct kl_val *v, uint32_t i) {
    float f;
    memcpy(&f, v->s + (size_t)i * sizeof(f), sizeof(f)); /* rows do not align it */
    return f;
}

#endif
