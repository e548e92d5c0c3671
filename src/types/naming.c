/* What types/ says to people: the names of types inside messages, and the few messages that every
 * type shares. A value that is quoted is cut, so that a megabyte of text does not push the rest out
 * of the message. */
#include "types/internal.h"

#define EXCERPT_BYTES 120

const char *kl_types__name(uint8_t id) {
    switch (id) {
    case KL_T_NULL:
        return "unknown";
    case KL_T_BOOLEAN:
        return "boolean";
    case KL_T_SMALLINT:
        return "smallint";
    case KL_T_INT:
        return "integer";
    case KL_T_BIGINT:
        return "bigint";
    case KL_T_FLOAT:
        return "float";
    case KL_T_DOUBLE:
        return "double";
    case KL_T_DECIMAL:
        return "decimal";
    case KL_T_TEXT:
        return "text";
    case KL_T_JSON:
        return "json";
    case KL_T_FILE:
        return "file";
    case KL_T_BYTES:
        return "bytes";
    case KL_T_UUID:
        return "uuid";
    case KL_T_EMBEDDING:
        return "embedding";
    case KL_T_TIMESTAMP:
        return "timestamp";
    case KL_T_DATETIME:
        return "datetime";
    case KL_T_DATE:
        return "date";
    case KL_T_TIME:
        return "time";
    case KL_T_INTERVAL:
        return "interval";
    default:
        return "unknown";
    }
}

struct kl_slice kl_types__excerpt(struct kl_slice s, size_t max) {
    if (s.len <= max) {
        return s;
    }
    size_t n = max;
    while (n > 0 && ((unsigned char)s.ptr[n] & 0xc0) == 0x80) {
        n--;
    }
    return kl_slice(s.ptr, n);
}

enum kl_rc kl_types__bad_syntax(uint8_t id, struct kl_slice text, struct kl_err *err) {
    struct kl_slice cut = kl_types__excerpt(text, EXCERPT_BYTES);
    return kl_fail(err, KL_E_TYPE, "invalid input syntax for type %s: \"%.*s%s\"",
        kl_types__name(id), KL_FMT(cut), cut.len < text.len ? "..." : "");
}

enum kl_rc kl_types__bad_range(uint8_t id, struct kl_slice text, struct kl_err *err) {
    struct kl_slice cut = kl_types__excerpt(text, EXCERPT_BYTES);
    return kl_fail(err, KL_E_TYPE, "value \"%.*s%s\" is out of range for type %s", KL_FMT(cut),
        cut.len < text.len ? "..." : "", kl_types__name(id));
}

enum kl_rc kl_types__out_of_range(uint8_t id, struct kl_err *err) {
    return kl_fail(err, KL_E_TYPE, "%s out of range", kl_types__name(id));
}

enum kl_rc kl_types__no_budget(struct kl_err *err) {
    return kl_fail(err, KL_E_TOO_LARGE, "the value does not fit in the statement's memory budget");
}

bool kl_type_is_integer(uint8_t id) {
    return id == KL_T_SMALLINT || id == KL_T_INT || id == KL_T_BIGINT;
}

bool kl_type_is_number(uint8_t id) {
    return kl_type_is_integer(id) || id == KL_T_FLOAT || id == KL_T_DOUBLE || id == KL_T_DECIMAL;
}

bool kl_type_is_text(uint8_t id) {
    return id == KL_T_TEXT || id == KL_T_JSON || id == KL_T_FILE;
}

bool kl_type_is_varlen(uint8_t id) {
    return kl_type_is_text(id) || id == KL_T_BYTES;
}
