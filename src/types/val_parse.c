/* Text to value: kl_val_parse and the small types; each larger codec has its own file.
 *
 * Text-like results borrow from the text itself, so nothing is copied on the way in; UUID, BYTES
 * and EMBEDDING are built in the arena. White space around a value is no part of it, except for
 * TEXT and BYTES. */
#include "types/internal.h"

static enum kl_rc parse_bool(struct kl_slice text, struct kl_val *ret, struct kl_err *err) {
    /* Any prefix that names one word only; "o" could be on or off. */
    static const struct {
        const char *word;
        size_t least;
        bool value;
    } words[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
        {"on", 2, true}, {"off", 2, false}, {"1", 1, true}, {"0", 1, false}};
    struct kl_slice s = kl_slice_trim(text);
    for (size_t i = 0; i < KL_LEN(words); i++) {
        struct kl_slice word = kl_slice_str(words[i].word);
        if (s.len >= words[i].least && s.len <= word.len &&
            kl_slice_ieq(s, kl_slice(word.ptr, s.len))) {
            *ret = kl_val_bool(words[i].value);
            return KL_OK;
        }
    }
    return kl_types__bad_syntax(KL_T_BOOLEAN, text, err);
}

static enum kl_rc overflow(struct kl_type t, struct kl_err *err) {
    if (t.precision == 0) {
        return kl_fail(err, KL_E_TYPE, "decimal out of range: at most %d digits", KL_DEC_DIGITS);
    }
    return kl_fail(err, KL_E_TYPE,
        "decimal out of range: the value does not fit in DECIMAL(%u, %u)", (unsigned)t.precision,
        (unsigned)t.scale);
}

static enum kl_rc parse_decimal(
    struct kl_type t, struct kl_slice text, struct kl_val *ret, struct kl_err *err) {
    __int128 v;
    uint8_t scale;
    enum kl_rc rc =
        kl_types__dec_parse_at(text, t.precision ? t.scale : KL_DEC_SCALE_ANY, &v, &scale);
    if (rc == KL_E_INVALID_INPUT) {
        return kl_types__bad_syntax(KL_T_DECIMAL, text, err);
    }
    if (rc != KL_OK || (t.precision && !kl_types__dec_fits(v, t.precision))) {
        return overflow(t, err);
    }
    *ret = kl_val_decimal(v, scale);
    return KL_OK;
}

static enum kl_rc parse_text(
    uint8_t id, struct kl_slice text, struct kl_val *ret, struct kl_err *err) {
    if (id == KL_T_JSON || id == KL_T_FILE) {
        if (!kl_json_valid(text)) {
            return kl_types__bad_syntax(id, text, err);
        }
    } else if (!kl_utf8_valid(text)) {
        return kl_fail(err, KL_E_TYPE, "the text is not valid UTF-8");
    }
    *ret = kl_val_str(id, text);
    return KL_OK;
}

static enum kl_rc parse_int(
    uint8_t id, struct kl_slice text, struct kl_val *ret, struct kl_err *err) {
    int64_t v;
    KL_TRY(kl_types__int_parse(id, text, &v, err));
    *ret = kl_val_int(id, v);
    return KL_OK;
}

static enum kl_rc parse_float(
    uint8_t id, struct kl_slice text, struct kl_val *ret, struct kl_err *err) {
    double d;
    KL_TRY(kl_types__float_parse(id, text, &d, err));
    *ret = (struct kl_val){.type = id, .d = d};
    return KL_OK;
}

static enum kl_rc parse_temporal(
    uint8_t id, struct kl_slice text, struct kl_val *ret, struct kl_err *err) {
    int64_t v;
    KL_TRY(kl_types__temporal_parse(id, text, &v, err));
    *ret = kl_val_int(id, v);
    return KL_OK;
}

static enum kl_rc parse_interval(struct kl_slice text, struct kl_val *ret, struct kl_err *err) {
    struct kl_interval iv;
    KL_TRY(kl_interval_parse(text, &iv, err));
    *ret = (struct kl_val){.type = KL_T_INTERVAL, .iv = iv};
    return KL_OK;
}

enum kl_rc kl_val_parse(struct kl_type t, struct kl_slice text, struct kl_arena *arena,
    struct kl_val *ret, struct kl_err *err) {
    if (text.len > UINT32_MAX) {
        return kl_fail(err, KL_E_TOO_LARGE, "a value has at most 4 GiB");
    }
    switch (t.id) {
    case KL_T_NULL:
        *ret = kl_val_text(text);
        ret->flags = KL_VAL_UNKNOWN;
        return KL_OK;
    case KL_T_BOOLEAN:
        return parse_bool(text, ret, err);
    case KL_T_SMALLINT:
    case KL_T_INT:
    case KL_T_BIGINT:
        return parse_int(t.id, text, ret, err);
    case KL_T_FLOAT:
    case KL_T_DOUBLE:
        return parse_float(t.id, text, ret, err);
    case KL_T_DECIMAL:
        return parse_decimal(t, text, ret, err);
    case KL_T_TEXT:
    case KL_T_JSON:
    case KL_T_FILE:
        return parse_text(t.id, text, ret, err);
    case KL_T_TIMESTAMP:
    case KL_T_DATETIME:
    case KL_T_DATE:
    case KL_T_TIME:
        return parse_temporal(t.id, text, ret, err);
    case KL_T_INTERVAL:
        return parse_interval(text, ret, err);
    case KL_T_UUID:
        return kl_types__uuid_parse(text, arena, ret, err);
    case KL_T_BYTES:
        return kl_types__bytes_parse(text, arena, ret, err);
    case KL_T_EMBEDDING:
        return kl_types__embedding_parse(t, text, arena, ret, err);
    default:
        return kl_fail(err, KL_E_TYPE, "no such type: %u", (unsigned)t.id);
    }
}
