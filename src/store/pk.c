/* Primary keys and index entries as bytes whose memcmp order is the order of the values.
 *
 *   BOOLEAN                            1 byte, 0 or 1
 *   SMALLINT | INT DATE                2 | 4 bytes big-endian, sign bit flipped
 *   BIGINT TIMESTAMP DATETIME TIME     8 bytes big-endian, sign bit flipped
 *   FLOAT | DOUBLE                     4 | 8 bytes big-endian IEEE bits; sign bit flipped when
 *                                      positive, all bits when negative
 *   DECIMAL                            16 bytes big-endian unscaled value, sign bit flipped (a
 *                                      column has one scale)
 *   UUID                               its 16 bytes
 *   TEXT BYTES                         0x00 written as 0x00 0xff, then 0x00 0x00
 *
 * Parts of a composite key follow each other. Every part is either of fixed size or closed by a
 * terminator that sorts below any content, so an earlier part decides before a later one is looked
 * at, and no encoded part is a prefix of another. Values that are equal have equal bytes: -0 is
 * written as 0 and every NaN as one NaN, which is above all else.
 *
 * A column of an index entry is a byte 1 and its value as above, or a byte 2 alone: NULL, after
 * every value. So the entry of some leading columns is a prefix of that of all.
 *
 * Pure functions, any thread. */
#include "store/store.h"

static void put_float(struct kl_buf *out, double value) {
    float f = value == 0 ? 0.0f : (float)value;
    uint32_t bits = 0x7fc00000u;
    if (f == f) {
        memcpy(&bits, &f, sizeof(bits));
    }
    kl_buf_be32(out, (bits & 0x80000000u) ? ~bits : bits ^ 0x80000000u);
}

static void put_double(struct kl_buf *out, double value) {
    double d = value == 0 ? 0.0 : value;
    uint64_t bits = 0x7ff8000000000000u;
    if (d == d) {
        memcpy(&bits, &d, sizeof(bits));
    }
    kl_buf_be64(out, (bits >> 63) ? ~bits : bits ^ (1ull << 63));
}

static void put_escaped(struct kl_buf *out, struct kl_slice s) {
    while (s.len > 0) {
        const char *zero = memchr(s.ptr, 0, s.len);
        size_t n = zero ? (size_t)(zero - s.ptr) : s.len;
        kl_buf_append(out, s.ptr, n);
        if (zero) {
            kl_buf_append(out, "\0\xff", 2);
            n++;
        }
        s = kl_slice_from(s, n);
    }
    kl_buf_append(out, "\0\0", 2);
}

static bool is_key_type(uint8_t type) {
    switch (type) {
    case KL_T_BOOLEAN:
    case KL_T_SMALLINT:
    case KL_T_INT:
    case KL_T_DATE:
    case KL_T_BIGINT:
    case KL_T_TIMESTAMP:
    case KL_T_DATETIME:
    case KL_T_TIME:
    case KL_T_FLOAT:
    case KL_T_DOUBLE:
    case KL_T_DECIMAL:
    case KL_T_UUID:
    case KL_T_TEXT:
    case KL_T_BYTES:
        return true;
    default:
        return false;
    }
}

static void put_value(struct kl_buf *out, const struct kl_val *v) {
    switch (v->type) {
    case KL_T_BOOLEAN:
        kl_buf_u8(out, v->b ? 1 : 0);
        return;
    case KL_T_SMALLINT:
        KL_ASSERT(v->i == (int16_t)v->i);
        kl_buf_be16(out, (uint16_t)((uint16_t)v->i ^ 0x8000u));
        return;
    case KL_T_INT:
    case KL_T_DATE:
        KL_ASSERT(v->i == (int32_t)v->i);
        kl_buf_be32(out, (uint32_t)v->i ^ 0x80000000u);
        return;
    case KL_T_BIGINT:
    case KL_T_TIMESTAMP:
    case KL_T_DATETIME:
    case KL_T_TIME:
        kl_buf_be64(out, (uint64_t)v->i ^ (1ull << 63));
        return;
    case KL_T_FLOAT:
        put_float(out, v->d);
        return;
    case KL_T_DOUBLE:
        put_double(out, v->d);
        return;
    case KL_T_DECIMAL:
        kl_buf_be64(out, (uint64_t)v->dec.hi ^ (1ull << 63));
        kl_buf_be64(out, v->dec.lo);
        return;
    case KL_T_UUID:
        KL_ASSERT(v->len == 16);
        kl_buf_append(out, v->s, 16);
        return;
    case KL_T_TEXT:
    case KL_T_BYTES:
        put_escaped(out, kl_val_slice(v));
        return;
    default:
        KL_UNREACHABLE();
    }
}

/* What an encoding is for: decides its limit and its words. */
struct purpose {
    const char *what, *refused;
    size_t max;
    bool nulls; /* each value has a tag byte, and may be NULL */
};
static const struct purpose primary_key = {
    "primary key", "cannot be part of a primary key", KL_PK_MAX, false};
static const struct purpose index_entry = {
    "index entry", "cannot be indexed", KL_PK_MAX - sizeof(int64_t), true};

enum { TAG_VALUE = 1, TAG_NULL = 2 };

static enum kl_rc too_long(const struct purpose *p, struct kl_err *err) {
    return kl_fail(err, KL_E_TOO_LARGE, "%s is too long: at most %zu bytes", p->what, p->max);
}

static enum kl_rc check_type(const struct purpose *p, const struct kl_val *v, struct kl_err *err) {
    if (is_key_type(v->type)) {
        return KL_OK;
    }
    struct kl_buf name = {0};
    kl_type_sql_name((struct kl_type){.id = v->type}, &name);
    enum kl_rc rc = kl_fail(err, KL_E_TYPE, "type %.*s %s", KL_FMT(kl_buf_view(&name)), p->refused);
    kl_buf_deinit(&name);
    return rc;
}

static enum kl_rc encode_value(
    const struct purpose *p, const struct kl_val *v, struct kl_buf *out, struct kl_err *err) {
    if (p->nulls) {
        kl_buf_u8(out, v->null ? TAG_NULL : TAG_VALUE);
    }
    if (v->null) {
        KL_ASSERT(p->nulls);
        return KL_OK;
    }
    KL_TRY(check_type(p, v, err));
    /* Before it is written: a text of megabytes must not grow the buffer just to be refused. */
    if ((v->type == KL_T_TEXT || v->type == KL_T_BYTES) && v->len > p->max) {
        return too_long(p, err);
    }
    put_value(out, v);
    return KL_OK;
}

static enum kl_rc encode_values(const struct purpose *p, const struct kl_val *vals, size_t n,
    struct kl_buf *out, struct kl_err *err) {
    size_t start = out->len;
    enum kl_rc rc = KL_OK;
    for (size_t i = 0; i < n && rc == KL_OK; i++) {
        rc = encode_value(p, &vals[i], out, err);
        if (rc == KL_OK && out->failed) {
            rc = kl_fail(err, KL_E_NOMEM, "out of memory for a %s", p->what);
        }
        if (rc == KL_OK && out->len - start > p->max) {
            rc = too_long(p, err);
        }
    }
    if (rc != KL_OK) {
        out->len = start;
    }
    return rc;
}

enum kl_rc kl_pk_encode(
    const struct kl_val *vals, size_t n, struct kl_buf *out, struct kl_err *err) {
    return encode_values(&primary_key, vals, n, out, err);
}

enum kl_rc kl_index_encode(
    const struct kl_val *vals, size_t n, struct kl_buf *out, struct kl_err *err) {
    return encode_values(&index_entry, vals, n, out, err);
}
