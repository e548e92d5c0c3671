/* The row codec. The format (version 1) is specified at the top of store.h; this file is its only
 * reader and writer.
 *
 * Reading is split so that the cost is paid where it is needed: kl_row_head looks at the first
 * bytes to find the schema version, kl_row_open checks the whole shape against that version's
 * layout, and kl_row_get then reads one column by its place without any check.
 *
 * Invariant of an open view: `fixed` has layout->fixed_size bytes, `var_ends` 4 * layout->n_var,
 * the ends do not decrease and the last one is var_len. So whatever the bytes say, kl_row_get stays
 * inside the row. Nothing is aligned: every load goes through memcpy, and an EMBEDDING is handed
 * out as bytes that its reader must copy before it uses them as floats.
 *
 * Pure functions, any thread. Values that are not of their column's type are a programmer error;
 * row bytes are not trusted. */
#include "store/store.h"
#include <endian.h>
#include <stdlib.h>

#define ROW_FORMAT 1
#define FLAG_TOMBSTONE 1u
#define FLAG_LINEAGE 2u

/* An EMBEDDING is handed out as it lies in the row. */
_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "rows hold little-endian floats");

/* Bytes in the fixed part; 0 for a variable column. */
static uint32_t fixed_width(struct kl_type t) {
    switch (t.id) {
    case KL_T_BOOLEAN:
        return 1;
    case KL_T_SMALLINT:
        return 2;
    case KL_T_INT:
    case KL_T_DATE:
    case KL_T_FLOAT:
        return 4;
    case KL_T_BIGINT:
    case KL_T_DOUBLE:
    case KL_T_TIMESTAMP:
    case KL_T_DATETIME:
    case KL_T_TIME:
        return 8;
    case KL_T_UUID:
    case KL_T_DECIMAL:
        return 16;
    case KL_T_EMBEDDING:
        return 4u * t.dim;
    case KL_T_TEXT:
    case KL_T_JSON:
    case KL_T_BYTES:
    case KL_T_FILE:
        return 0;
    default:
        KL_UNREACHABLE();
    }
}

static bool is_variable(uint8_t type) {
    return type == KL_T_TEXT || type == KL_T_JSON || type == KL_T_BYTES || type == KL_T_FILE;
}

void kl_layout_init(
    struct kl_layout *l, uint32_t schema_version, const struct kl_layout_col *cols, size_t n) {
    KL_ASSERT(n <= KL_ROW_MAX_COLS);
    *l = (struct kl_layout){
        .schema_version = schema_version,
        .n_cols = (uint16_t)n,
        .cols = cols,
        .place = kl_xcalloc(n + 1, sizeof(*l->place)),
    };
    for (size_t i = 0; i < n; i++) {
        if (is_variable(cols[i].type.id)) {
            l->place[i] = l->n_var++;
        } else {
            l->place[i] = l->fixed_size;
            l->fixed_size += fixed_width(cols[i].type);
        }
    }
}

void kl_layout_deinit(struct kl_layout *l) {
    free(l->place);
    *l = (struct kl_layout){0};
}

/* ---- writing ---- */

static void put_head(struct kl_buf *out, const struct kl_row_head *head) {
    KL_ASSERT(head->seq >= 0);
    KL_ASSERT(head->origin_seq >= 0 && head->origin_seq <= head->seq);
    KL_ASSERT(head->prev_seq >= 0 && head->prev_seq <= head->seq);
    bool lineage = head->origin_seq != head->seq || head->prev_seq != 0;
    kl_buf_u8(out, ROW_FORMAT);
    kl_buf_u8(
        out, (uint8_t)((head->tombstone ? FLAG_TOMBSTONE : 0) | (lineage ? FLAG_LINEAGE : 0)));
    kl_buf_varint(out, head->schema_version);
    if (lineage) {
        kl_buf_varint(out, (uint64_t)(head->seq - head->origin_seq));
        kl_buf_varint(out, (uint64_t)(head->seq - head->prev_seq));
    }
}

static void store_le16(char *at, uint16_t v) {
    v = htole16(v);
    memcpy(at, &v, sizeof(v));
}

static void store_le32(char *at, uint32_t v) {
    v = htole32(v);
    memcpy(at, &v, sizeof(v));
}

static void store_le64(char *at, uint64_t v) {
    v = htole64(v);
    memcpy(at, &v, sizeof(v));
}

static void store_float(char *at, double d) {
    float f = (float)d;
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    store_le32(at, bits);
}

static void store_double(char *at, double d) {
    uint64_t bits;
    memcpy(&bits, &d, sizeof(bits));
    store_le64(at, bits);
}

static void put_fixed(char *at, struct kl_type t, const struct kl_val *v) {
    switch (t.id) {
    case KL_T_BOOLEAN:
        *at = v->b ? 1 : 0;
        return;
    case KL_T_SMALLINT:
        KL_ASSERT(v->i == (int16_t)v->i);
        store_le16(at, (uint16_t)v->i);
        return;
    case KL_T_INT:
    case KL_T_DATE:
        KL_ASSERT(v->i == (int32_t)v->i);
        store_le32(at, (uint32_t)v->i);
        return;
    case KL_T_FLOAT:
        store_float(at, v->d);
        return;
    case KL_T_DOUBLE:
        store_double(at, v->d);
        return;
    case KL_T_UUID:
        KL_ASSERT(v->len == 16);
        memcpy(at, v->s, 16);
        return;
    case KL_T_DECIMAL:
        KL_ASSERT(v->scale == t.scale);
        store_le64(at, v->dec.lo);
        store_le64(at + 8, (uint64_t)v->dec.hi);
        return;
    case KL_T_EMBEDDING:
        KL_ASSERT(v->len == 4u * t.dim);
        memcpy(at, v->s, v->len);
        return;
    default:
        store_le64(at, (uint64_t)v->i);
        return;
    }
}

/* Everything after the head, into memory of exactly the right size. */
static void put_body(char *at, const struct kl_layout *l, const struct kl_val *vals) {
    char *nulls = at, *fixed = nulls + (l->n_cols + 7) / 8;
    char *ends = fixed + l->fixed_size, *var = ends + 4 * l->n_var;
    memset(nulls, 0, (size_t)(ends - nulls));
    uint32_t end = 0;
    for (unsigned i = 0; i < l->n_cols; i++) {
        const struct kl_val *v = &vals[i];
        struct kl_type t = l->cols[i].type;
        KL_ASSERT(v->null || v->type == t.id);
        if (v->null) {
            nulls[i / 8] = (char)(nulls[i / 8] | 1 << i % 8);
        }
        if (!is_variable(t.id)) {
            if (!v->null) {
                put_fixed(fixed + l->place[i], t, v);
            }
            continue;
        }
        if (!v->null && v->len > 0) {
            memcpy(var + end, v->s, v->len);
            end += v->len;
        }
        store_le32(ends + 4 * l->place[i], end);
    }
}

enum kl_rc kl_row_encode(const struct kl_layout *l, const struct kl_row_head *head,
    const struct kl_val *vals, struct kl_buf *out, struct kl_err *err) {
    KL_ASSERT(head->schema_version == l->schema_version);
    size_t start = out->len;
    size_t body = (l->n_cols + 7u) / 8 + (size_t)l->fixed_size + 4u * l->n_var;
    for (unsigned i = 0; i < l->n_cols; i++) {
        if (!vals[i].null && is_variable(l->cols[i].type.id)) {
            body += vals[i].len;
        }
    }
    put_head(out, head);
    size_t total = out->len - start + body;
    if (total > KL_ROW_MAX_BYTES) {
        out->len = start;
        return kl_fail(err, KL_E_TOO_LARGE, "row is too large: %zu bytes, at most %u", total,
            KL_ROW_MAX_BYTES);
    }
    if (out->failed || !kl_buf_reserve(out, body)) {
        out->len = start;
        return kl_fail(err, KL_E_NOMEM, "out of memory for a row of %zu bytes", total);
    }
    put_body(out->data + out->len, l, vals);
    out->len += body;
    return KL_OK;
}

/* ---- reading ---- */

static uint16_t load_le16(const char *p) {
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return le16toh(v);
}

static uint32_t load_le32(const char *p) {
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static uint64_t load_le64(const char *p) {
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static enum kl_rc long_head(
    struct kl_slice row, int64_t seq, struct kl_row_head *ret, struct kl_slice *ret_body) {
    struct kl_reader r;
    kl_reader_init(&r, row);
    uint8_t format = kl_read_u8(&r), flags = kl_read_u8(&r);
    uint64_t version = kl_read_varint(&r), to_origin = 0, to_prev = (uint64_t)seq;
    if (flags & FLAG_LINEAGE) {
        to_origin = kl_read_varint(&r);
        to_prev = kl_read_varint(&r);
    }
    if (r.failed || format != ROW_FORMAT || (flags & ~(FLAG_TOMBSTONE | FLAG_LINEAGE)) ||
        version > UINT32_MAX || seq < 0 || to_origin > (uint64_t)seq || to_prev > (uint64_t)seq) {
        return KL_E_CORRUPT;
    }
    *ret = (struct kl_row_head){
        .schema_version = (uint32_t)version,
        .tombstone = flags & FLAG_TOMBSTONE,
        .seq = seq,
        .origin_seq = seq - (int64_t)to_origin,
        .prev_seq = seq - (int64_t)to_prev,
    };
    *ret_body = kl_slice(r.ptr, (size_t)(r.end - r.ptr));
    return KL_OK;
}

enum kl_rc kl_row_split(
    struct kl_slice row, int64_t seq, struct kl_row_head *ret, struct kl_slice *ret_body) {
    /* Nearly every row: never updated, fewer than 128 schema versions. */
    if (row.len < 3 || row.ptr[0] != ROW_FORMAT || row.ptr[1] != 0 || row.ptr[2] < 0 || seq < 0) {
        return long_head(row, seq, ret, ret_body);
    }
    *ret =
        (struct kl_row_head){.schema_version = (uint8_t)row.ptr[2], .seq = seq, .origin_seq = seq};
    *ret_body = kl_slice(row.ptr + 3, row.len - 3);
    return KL_OK;
}

enum kl_rc kl_row_head(struct kl_slice row, int64_t seq, struct kl_row_head *ret) {
    struct kl_slice body;
    return kl_row_split(row, seq, ret, &body);
}

static bool ends_are_sound(const struct kl_row_view *v) {
    uint32_t last = 0;
    for (unsigned i = 0; i < v->layout->n_var; i++) {
        uint32_t end = load_le32(v->var_ends + 4 * i);
        if (end < last) {
            return false;
        }
        last = end;
    }
    return last == v->var_len;
}

enum kl_rc kl_row_open_body(const struct kl_layout *l, const struct kl_row_head *head,
    struct kl_slice body, struct kl_row_view *ret) {
    size_t nulls = (l->n_cols + 7u) / 8, ends = 4u * l->n_var;
    if (body.len > KL_ROW_MAX_BYTES || head->schema_version != l->schema_version ||
        body.len < nulls + l->fixed_size + ends) {
        return KL_E_CORRUPT;
    }
    ret->layout = l;
    ret->head = *head;
    ret->nulls = body.ptr;
    ret->fixed = ret->nulls + nulls;
    ret->var_ends = ret->fixed + l->fixed_size;
    ret->var = ret->var_ends + ends;
    ret->var_len = (uint32_t)(body.ptr + body.len - ret->var);
    return ends_are_sound(ret) ? KL_OK : KL_E_CORRUPT;
}

enum kl_rc kl_row_open(
    const struct kl_layout *l, struct kl_slice row, int64_t seq, struct kl_row_view *ret) {
    struct kl_row_head head;
    struct kl_slice body;
    struct kl_row_view v;
    KL_TRY(kl_row_split(row, seq, &head, &body));
    KL_TRY(kl_row_open_body(l, &head, body, &v));
    *ret = v;
    return KL_OK;
}

static void get_variable(const struct kl_row_view *v, unsigned place, struct kl_val *ret) {
    uint32_t start = place > 0 ? load_le32(v->var_ends + 4 * (place - 1)) : 0;
    ret->len = load_le32(v->var_ends + 4 * place) - start;
    ret->s = v->var + start;
}

static double load_float(const char *p) {
    uint32_t bits = load_le32(p);
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

static double load_double(const char *p) {
    uint64_t bits = load_le64(p);
    double d;
    memcpy(&d, &bits, sizeof(d));
    return d;
}

void kl_row_get(const struct kl_row_view *v, unsigned index, struct kl_val *ret) {
    KL_ASSERT(index < v->layout->n_cols);
    struct kl_type t = v->layout->cols[index].type;
    uint32_t place = v->layout->place[index];
    const char *at = v->fixed + place; /* not used for a variable column */
    *ret = (struct kl_val){.type = t.id};
    if (v->nulls[index / 8] >> index % 8 & 1) {
        ret->null = true;
        return;
    }
    switch (t.id) {
    case KL_T_TEXT:
    case KL_T_JSON:
    case KL_T_BYTES:
    case KL_T_FILE:
        get_variable(v, place, ret);
        return;
    case KL_T_BOOLEAN:
        ret->b = *at != 0;
        return;
    case KL_T_SMALLINT:
        ret->i = (int16_t)load_le16(at);
        return;
    case KL_T_INT:
    case KL_T_DATE:
        ret->i = (int32_t)load_le32(at);
        return;
    case KL_T_FLOAT:
        ret->d = load_float(at);
        return;
    case KL_T_DOUBLE:
        ret->d = load_double(at);
        return;
    case KL_T_UUID:
    case KL_T_EMBEDDING:
        ret->s = at;
        ret->len = fixed_width(t);
        return;
    case KL_T_DECIMAL:
        ret->scale = t.scale;
        ret->dec.lo = load_le64(at);
        ret->dec.hi = (int64_t)load_le64(at + 8);
        return;
    default:
        ret->i = (int64_t)load_le64(at);
        return;
    }
}

/* ---- tombstones ---- */

enum kl_rc kl_row_to_tombstone(
    struct kl_slice row, const struct kl_row_head *old_head, int64_t seq, struct kl_buf *out) {
    struct kl_row_head stored;
    struct kl_slice body;
    KL_TRY(kl_row_split(row, old_head->seq, &stored, &body));
    KL_ASSERT(seq > old_head->seq);
    if (stored.tombstone) {
        return KL_E_CORRUPT;
    }
    struct kl_row_head head = {
        .schema_version = stored.schema_version,
        .tombstone = true,
        .seq = seq,
        .origin_seq = stored.origin_seq,
        .prev_seq = stored.seq,
    };
    size_t start = out->len;
    put_head(out, &head);
    kl_buf_slice(out, body);
    if (out->failed) {
        out->len = start;
        return KL_E_NOMEM;
    }
    return KL_OK;
}
