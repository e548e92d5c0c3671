/* Records of the catalog in the meta family, and how they become memory again. Integers are
 * little-endian, `v` is a LEB128 number, `s` a string (v length, bytes). A decoder accepts
 * exactly what the encoder writes: an unknown format, a value out of range, a byte too few or too
 * many is KL_E_CORRUPT. Times are microseconds since 1970. Any thread.
 *
 * identity, key 01
 *   u8 format 1 | u32 format of the data directory | u16 node | u16 user shards | i64 created
 *
 * namespace, key 02 name
 *   u8 format 1 | i64 created | s options (JSON object, empty: none)
 *
 * table, key 03 id (u32 big-endian)
 *   u8 format 2 (1 ends before the indexes) | u8 type | s namespace | s name | i64 created | i64 updated
 *   u8 access | u8 flags (1 use_user_storage, 2 has comment) | u32 ttl_seconds | u32 max_buffer
 *     | u32 flush_rows | u32 flush_interval_s | u32 deleted_retention_hours | s storage
 *     | [s comment]
 *   v system ordinal | v next ordinal | v next column id
 *   v versions, each:
 *     v version (consecutive) | i64 created | v columns, each:
 *       v id (ascending) | u8 flags (1 nullable, 2 has comment, 4 alone: the same as in the
 *         version before, nothing follows)
 *       v ordinal (ascending) | s name | u8 type | u8 precision | u8 scale | u16 dim
 *       u8 place in the primary key | u8 default kind | [value, for LITERAL] | value (`missing`)
 *         | [s comment]
 *   v indexes, each:
 *     u32 id | s name | u8 flags (1 unique, 2 constraint) | u8 state | i64 created | v columns,
 *     each: v column id
 *   v checks, each: s name | s condition
 *   VIEW: s query | s namespace of its unqualified names
 *
 * storage, key 0b id
 *   u8 format 1 | u8 flags (1 description, 2 credentials, 4 config) | i64 created | i64 updated
 *   s name | s type | s base directory | s template of shared tables | s of user tables
 *   [s description] | [s credentials] | [s config]
 *
 * value, of the column's type: u8 0 for NULL, else u8 1 and
 *   BOOLEAN u8 | SMALLINT INT DATE BIGINT TIMESTAMP DATETIME TIME i64
 *   FLOAT DOUBLE u64 (bits of a double)
 *   TEXT JSON FILE BYTES UUID EMBEDDING s | DECIMAL u64 low, i64 high (its scale is the type's)
 *
 * counter, key 04 name: u64 */
#include "catalog/internal.h"
#include <stdlib.h>

#define RECORD_FORMAT 1
#define TABLE_FORMAT 2
#define TABLE_MEMORY_MAX (16u << 20)

enum column_flag { COLUMN_NULLABLE = 1, COLUMN_COMMENT = 2, COLUMN_AS_BEFORE = 4 };
enum index_flag { INDEX_UNIQUE = 1, INDEX_CONSTRAINT = 2 };

/* ---- keys ---- */

void kl_catalog__key(struct kl_catalog__key *k, enum kl_meta_kind kind, struct kl_slice id) {
    KL_ASSERT(id.len < sizeof(k->data));
    k->data[0] = (char)kind;
    if (id.len) {
        memcpy(k->data + 1, id.ptr, id.len);
    }
    k->len = 1 + id.len;
}

void kl_catalog__key_table(struct kl_catalog__key *k, uint32_t id) {
    char be[4] = {(char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id};
    kl_catalog__key(k, KL_META_TABLE, kl_slice(be, sizeof(be)));
}

/* ---- identity and namespaces ---- */

void kl_catalog__identity_encode(struct kl_buf *out, const struct kl_catalog__identity *id) {
    kl_buf_u8(out, RECORD_FORMAT);
    kl_buf_le32(out, id->format);
    kl_buf_le16(out, id->node);
    kl_buf_le16(out, id->user_shards);
    kl_buf_le64(out, (uint64_t)id->created_us);
}

enum kl_rc kl_catalog__identity_decode(
    struct kl_slice rec, struct kl_catalog__identity *ret, struct kl_err *err) {
    struct kl_reader r;
    kl_reader_init(&r, rec);
    uint8_t format = kl_read_u8(&r);
    struct kl_catalog__identity id = {.format = kl_read_le32(&r)};
    /* The two formats come first in every future version too, so that an old program can tell
     * what it met. */
    if (!r.failed && (format > RECORD_FORMAT || id.format > KL_CATALOG_FORMAT)) {
        return kl_fail(err, KL_E_UNSUPPORTED,
            "This data directory has format %u, made by a newer KalamDB; this version reads up to "
            "%u. Start the newer version.",
            id.format, KL_CATALOG_FORMAT);
    }
    id.node = kl_read_le16(&r);
    id.user_shards = kl_read_le16(&r);
    id.created_us = (int64_t)kl_read_le64(&r);
    if (r.failed || r.ptr != r.end || format != RECORD_FORMAT || id.format == 0 ||
        id.user_shards == 0 || id.user_shards > KL_CATALOG_USER_SHARDS_MAX) {
        return kl_fail(err, KL_E_CORRUPT, "The identity record of the data directory is damaged");
    }
    *ret = id;
    return KL_OK;
}

void kl_catalog__ns_encode(struct kl_buf *out, const struct kl_namespace *ns) {
    kl_buf_u8(out, RECORD_FORMAT);
    kl_buf_le64(out, (uint64_t)ns->created_us);
    kl_buf_lstr(out, kl_slice_str(ns->options_json));
}

enum kl_rc kl_catalog__ns_decode(
    struct kl_slice name, struct kl_slice rec, struct kl_catalog__ns **ret, struct kl_err *err) {
    struct kl_reader r;
    kl_reader_init(&r, rec);
    uint8_t format = kl_read_u8(&r);
    int64_t created_us = (int64_t)kl_read_le64(&r);
    struct kl_slice options = kl_read_lstr(&r);
    bool fits = options.len <= KL_CATALOG_NS_OPTIONS_MAX &&
                !(options.len && memchr(options.ptr, 0, options.len));
    if (r.failed || r.ptr != r.end || format != RECORD_FORMAT || !fits || name.len == 0 ||
        name.len > 64 || memchr(name.ptr, 0, name.len)) {
        return kl_fail(err, KL_E_CORRUPT, "A namespace record of the catalog is damaged");
    }
    *ret = kl_catalog__ns_new(name, options, created_us, 0);
    return KL_OK;
}

/* ---- values ---- */

static void encode_value(struct kl_buf *out, struct kl_type type, const struct kl_val *v) {
    kl_buf_u8(out, v->null ? 0 : 1);
    if (v->null) {
        return;
    }
    KL_ASSERT(v->type == type.id);
    switch (type.id) {
    case KL_T_BOOLEAN:
        kl_buf_u8(out, v->b);
        return;
    case KL_T_FLOAT:
    case KL_T_DOUBLE: {
        uint64_t bits;
        memcpy(&bits, &v->d, sizeof(bits));
        kl_buf_le64(out, bits);
        return;
    }
    case KL_T_DECIMAL:
        kl_buf_le64(out, v->dec.lo);
        kl_buf_le64(out, (uint64_t)v->dec.hi);
        return;
    case KL_T_TEXT:
    case KL_T_JSON:
    case KL_T_FILE:
    case KL_T_BYTES:
    case KL_T_UUID:
    case KL_T_EMBEDDING:
        kl_buf_lstr(out, kl_val_slice(v));
        return;
    default:
        kl_buf_le64(out, (uint64_t)v->i);
        return;
    }
}

static bool decode_int(struct kl_reader *r, int64_t min, int64_t max, struct kl_val *ret) {
    ret->i = (int64_t)kl_read_le64(r);
    return ret->i >= min && ret->i <= max;
}

static bool decode_string(
    struct kl_reader *r, struct kl_type type, struct kl_arena *arena, struct kl_val *ret) {
    struct kl_slice s = kl_read_lstr(r);
    bool fits = type.id == KL_T_UUID        ? s.len == 16
                : type.id == KL_T_EMBEDDING ? s.len == (size_t)type.dim * 4
                : type.id == KL_T_BYTES     ? s.len <= KL_CATALOG_RECORD_MAX
                                            : s.len <= KL_CATALOG_RECORD_MAX && kl_utf8_valid(s);
    if (r->failed || !fits) {
        return false;
    }
    struct kl_slice copy = kl_arena_dup(arena, s);
    ret->s = copy.ptr;
    ret->len = (uint32_t)s.len;
    return copy.ptr != NULL;
}

static bool decode_decimal(struct kl_reader *r, struct kl_type type, struct kl_val *ret) {
    ret->scale = type.scale;
    ret->dec.lo = kl_read_le64(r);
    ret->dec.hi = (int64_t)kl_read_le64(r);
    __int128 limit = 1;
    for (unsigned i = 0; i < type.precision; i++) {
        limit *= 10;
    }
    __int128 v = kl_val_dec(ret);
    return v < limit && v > -limit;
}

static bool decode_value(
    struct kl_reader *r, struct kl_type type, struct kl_arena *arena, struct kl_val *ret) {
    uint8_t present = kl_read_u8(r);
    *ret = kl_val_null(type.id);
    if (present == 0) {
        return !r->failed;
    }
    ret->null = false;
    bool ok = present == 1;
    switch (type.id) {
    case KL_T_BOOLEAN: {
        uint8_t b = kl_read_u8(r);
        ret->b = b == 1;
        ok = ok && b <= 1;
        break;
    }
    case KL_T_SMALLINT:
        ok = decode_int(r, INT16_MIN, INT16_MAX, ret) && ok;
        break;
    case KL_T_INT:
    case KL_T_DATE:
        ok = decode_int(r, INT32_MIN, INT32_MAX, ret) && ok;
        break;
    case KL_T_FLOAT:
    case KL_T_DOUBLE: {
        uint64_t bits = kl_read_le64(r);
        memcpy(&ret->d, &bits, sizeof(bits));
        break;
    }
    case KL_T_DECIMAL:
        ok = decode_decimal(r, type, ret) && ok;
        break;
    case KL_T_TEXT:
    case KL_T_JSON:
    case KL_T_FILE:
    case KL_T_BYTES:
    case KL_T_UUID:
    case KL_T_EMBEDDING:
        ok = decode_string(r, type, arena, ret) && ok;
        break;
    default:
        ok = decode_int(r, INT64_MIN, INT64_MAX, ret) && ok;
        break;
    }
    return ok && !r->failed;
}

/* ---- tables: out ---- */

static void encode_column(struct kl_buf *out, const struct kl_column *c) {
    kl_buf_u8(out, (c->nullable ? COLUMN_NULLABLE : 0) | (c->comment ? COLUMN_COMMENT : 0));
    kl_buf_varint(out, c->ordinal);
    kl_buf_lstr(out, kl_slice_str(c->name));
    kl_buf_u8(out, c->type.id);
    kl_buf_u8(out, c->type.precision);
    kl_buf_u8(out, c->type.scale);
    kl_buf_le16(out, c->type.dim);
    kl_buf_u8(out, c->pk_pos);
    kl_buf_u8(out, (uint8_t)c->def.kind);
    if (c->def.kind == KL_DEFAULT_LITERAL) {
        encode_value(out, c->type, &c->def.value);
    }
    encode_value(out, c->type, &c->missing);
    if (c->comment) {
        kl_buf_lstr(out, kl_slice_str(c->comment));
    }
}

/* The column with this id; *at moves on. Ids ascend on both sides. */
static const struct kl_column *same_id(const struct kl_table_version *v, uint32_t id, size_t *at) {
    while (v && *at < v->n_cols && v->cols[*at].id < id) {
        ++*at;
    }
    return v && *at < v->n_cols && v->cols[*at].id == id ? &v->cols[*at] : NULL;
}

static void encode_version(
    struct kl_buf *out, const struct kl_table_version *v, const struct kl_table_version *before) {
    kl_buf_varint(out, v->version);
    kl_buf_le64(out, (uint64_t)v->created_us);
    kl_buf_varint(out, v->n_cols);
    size_t at = 0;
    for (size_t i = 0; i < v->n_cols; i++) {
        const struct kl_column *old = same_id(before, v->cols[i].id, &at);
        kl_buf_varint(out, v->cols[i].id);
        /* By bytes, pointers included: an unchanged column was copied whole. A miss only costs
         * space. */
        if (old && memcmp(old, &v->cols[i], sizeof(*old)) == 0) {
            kl_buf_u8(out, COLUMN_AS_BEFORE);
        } else {
            encode_column(out, &v->cols[i]);
        }
    }
}

static void encode_options(struct kl_buf *out, const struct kl_table *t) {
    const struct kl_table_options *o = &t->options;
    kl_buf_u8(out, (uint8_t)o->access);
    kl_buf_u8(out, (o->use_user_storage ? 1 : 0) | (t->comment ? 2 : 0));
    kl_buf_le32(out, o->ttl_seconds);
    kl_buf_le32(out, o->max_buffer);
    kl_buf_le32(out, o->flush_rows);
    kl_buf_le32(out, o->flush_interval_s);
    kl_buf_le32(out, o->deleted_retention_hours);
    kl_buf_lstr(out, kl_slice_str(o->storage_id));
    if (t->comment) {
        kl_buf_lstr(out, kl_slice_str(t->comment));
    }
}

static void encode_index(struct kl_buf *out, const struct kl_index *x) {
    kl_buf_le32(out, x->id);
    kl_buf_lstr(out, kl_slice_str(x->name));
    kl_buf_u8(out, (x->unique ? INDEX_UNIQUE : 0) | (x->constraint ? INDEX_CONSTRAINT : 0));
    kl_buf_u8(out, (uint8_t)x->state);
    kl_buf_le64(out, (uint64_t)x->created_us);
    kl_buf_varint(out, x->n_cols);
    for (size_t i = 0; i < x->n_cols; i++) {
        kl_buf_varint(out, x->column_ids[i]);
    }
}

static void encode_rest(struct kl_buf *out, const struct kl_table *t) {
    kl_buf_varint(out, t->n_indexes);
    for (size_t i = 0; i < t->n_indexes; i++) {
        encode_index(out, &t->indexes[i]);
    }
    kl_buf_varint(out, t->n_checks);
    for (size_t i = 0; i < t->n_checks; i++) {
        kl_buf_lstr(out, kl_slice_str(t->checks[i].name));
        kl_buf_lstr(out, kl_slice_str(t->checks[i].expr));
    }
    if (t->type == KL_TABLE_VIEW) {
        kl_buf_lstr(out, kl_slice_str(t->view_sql));
        kl_buf_lstr(out, kl_slice_str(t->view_ns));
    }
}

void kl_catalog__table_encode(struct kl_buf *out, const struct kl_table *t) {
    kl_buf_u8(out, TABLE_FORMAT);
    kl_buf_u8(out, (uint8_t)t->type);
    kl_buf_lstr(out, kl_slice_str(t->ns));
    kl_buf_lstr(out, kl_slice_str(t->name));
    kl_buf_le64(out, (uint64_t)t->created_us);
    kl_buf_le64(out, (uint64_t)t->updated_us);
    encode_options(out, t);
    kl_buf_varint(out, t->system_ordinal);
    kl_buf_varint(out, t->next_ordinal);
    kl_buf_varint(out, t->next_column_id);
    kl_buf_varint(out, t->n_versions);
    for (size_t i = 0; i < t->n_versions; i++) {
        encode_version(out, &t->versions[i], i ? &t->versions[i - 1] : NULL);
    }
    encode_rest(out, t);
}

/* ---- tables: in ---- */

struct decoder {
    struct kl_reader r;
    struct kl_table *t;
    struct kl_arena *arena; /* t->arena */
    uint8_t format;         /* of the record */
    bool full;              /* the arena's budget is gone: not damage */
};

static const char *decode_text(struct decoder *d, size_t max) {
    struct kl_slice s = kl_read_lstr(&d->r);
    if (d->r.failed || s.len > max || (s.len && memchr(s.ptr, 0, s.len))) {
        d->r.failed = true;
        return NULL;
    }
    struct kl_slice copy = kl_arena_dup(d->arena, s);
    d->full = d->full || !copy.ptr;
    return copy.ptr;
}

static uint64_t decode_number(struct decoder *d, uint64_t min, uint64_t max) {
    uint64_t v = kl_read_varint(&d->r);
    if (v < min || v > max) {
        d->r.failed = true;
        return min;
    }
    return v;
}

static bool type_valid(struct kl_type t) {
    switch (t.id) {
    case KL_T_DECIMAL:
        return t.precision >= 1 && t.precision <= 38 && t.scale <= t.precision && t.dim == 0;
    case KL_T_EMBEDDING:
        return t.dim >= 1 && t.dim <= 8192 && t.precision == 0 && t.scale == 0;
    default:
        return t.id >= KL_T_BOOLEAN && t.id <= KL_T_FILE && t.precision == 0 && t.scale == 0 &&
               t.dim == 0;
    }
}

/* A view may also have columns of type INTERVAL: they are never stored. */
static bool column_type_valid(const struct decoder *d, struct kl_type t) {
    bool interval = t.id == KL_T_INTERVAL && !t.precision && !t.scale && !t.dim;
    return type_valid(t) || (d->t->type == KL_TABLE_VIEW && interval);
}

static bool decode_new_column(struct decoder *d, uint8_t flags, struct kl_column *c) {
    c->nullable = flags & COLUMN_NULLABLE;
    c->ordinal = (uint16_t)decode_number(d, 1, UINT16_MAX);
    c->name = decode_text(d, 64);
    c->type.id = kl_read_u8(&d->r);
    c->type.precision = kl_read_u8(&d->r);
    c->type.scale = kl_read_u8(&d->r);
    c->type.dim = kl_read_le16(&d->r);
    c->pk_pos = kl_read_u8(&d->r);
    uint8_t kind = kl_read_u8(&d->r);
    if (d->r.failed || d->full || !column_type_valid(d, c->type) || c->name[0] == 0 ||
        kind > KL_DEFAULT_CURRENT_USER || c->pk_pos > KL_PK_COLS_MAX ||
        (c->pk_pos && c->nullable)) {
        return false;
    }
    c->def.kind = (enum kl_default_kind)kind;
    c->def.value = kl_val_null(c->type.id);
    if (kind == KL_DEFAULT_LITERAL && !decode_value(&d->r, c->type, d->arena, &c->def.value)) {
        return false;
    }
    if (!decode_value(&d->r, c->type, d->arena, &c->missing)) {
        return false;
    }
    if (flags & COLUMN_COMMENT) {
        c->comment = decode_text(d, KL_CATALOG_RECORD_MAX);
    }
    return !d->r.failed && !d->full;
}

static bool decode_column(
    struct decoder *d, const struct kl_table_version *before, size_t *at, struct kl_column *c) {
    uint32_t id = (uint32_t)decode_number(d, 1, UINT32_MAX);
    uint8_t flags = kl_read_u8(&d->r);
    const struct kl_column *old = same_id(before, id, at);
    if (flags == COLUMN_AS_BEFORE && old && !d->r.failed) {
        memcpy(c, old, sizeof(*c)); /* not by assignment: the encoder compares the padding too */
        return true;
    }
    c->id = id;
    return !(flags & ~(COLUMN_NULLABLE | COLUMN_COMMENT)) && decode_new_column(d, flags, c);
}

static bool build_layout(struct decoder *d, struct kl_table_version *v) {
    if (d->t->type == KL_TABLE_VIEW) {
        return true; /* has no rows of its own */
    }
    struct kl_layout_col *cols = KL_ARENA_ARRAY(d->arena, struct kl_layout_col, v->n_cols);
    if (!cols) {
        d->full = true;
        return false;
    }
    for (size_t i = 0; i < v->n_cols; i++) {
        cols[i] = (struct kl_layout_col){.column_id = v->cols[i].id, .type = v->cols[i].type};
    }
    kl_layout_init(&v->layout, v->version, cols, v->n_cols);
    return true;
}

static bool decode_version(
    struct decoder *d, struct kl_table_version *v, const struct kl_table_version *before) {
    v->version = (uint32_t)decode_number(d, 1, UINT32_MAX);
    v->created_us = (int64_t)kl_read_le64(&d->r);
    size_t n = (size_t)decode_number(d, 1, KL_ROW_MAX_COLS);
    if (d->r.failed || (before && v->version != before->version + 1)) {
        return false;
    }
    v->cols = KL_ARENA_ARRAY(d->arena, struct kl_column, n);
    if (!v->cols) {
        d->full = true;
        return false;
    }
    v->n_cols = n;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        struct kl_column *c = &v->cols[i];
        if (!decode_column(d, before, &at, c) || c->id >= d->t->next_column_id ||
            c->ordinal >= d->t->next_ordinal) {
            return false;
        }
        if (i && (c->id <= c[-1].id || c->ordinal <= c[-1].ordinal)) {
            return false;
        }
    }
    return build_layout(d, v);
}

/* Ids ascend in both, so one walk over the two finds each current column's place. */
static bool map_from_current(struct decoder *d, struct kl_table_version *v) {
    const struct kl_table *t = d->t;
    v->from_current = kl_arena_alloc(d->arena, t->n_cols * sizeof(*v->from_current));
    if (!v->from_current) {
        d->full = true;
        return false;
    }
    size_t at = 0;
    for (size_t i = 0; i < t->n_cols; i++) {
        const struct kl_column *old = same_id(v, t->cols[i].id, &at);
        v->from_current[i] = old ? (int16_t)(old - v->cols) : -1;
    }
    return true;
}

static bool same_type(struct kl_type a, struct kl_type b) {
    return a.id == b.id && a.precision == b.precision && a.scale == b.scale && a.dim == b.dim;
}

/* Newest first: what a version differs in from the next one, all before it differ in too. */
static void mark_recast(struct kl_table *t) {
    for (size_t i = t->n_versions - 1; i-- > 0;) {
        struct kl_table_version *v = &t->versions[i];
        const struct kl_table_version *next = v + 1;
        v->recast = next->recast;
        for (size_t c = 0; c < t->n_cols && !v->recast; c++) {
            int a = v->from_current[c], b = next->from_current[c];
            v->recast = a >= 0 && b >= 0 && !same_type(v->cols[a].type, next->cols[b].type);
        }
    }
}

static bool map_primary_key(struct decoder *d) {
    struct kl_table *t = d->t;
    uint16_t at[KL_PK_COLS_MAX];
    unsigned seen = 0;
    for (size_t i = 0; i < t->n_cols; i++) {
        unsigned pos = t->cols[i].pk_pos;
        if (pos == 0) {
            continue;
        }
        if (seen & (1u << (pos - 1))) {
            return false;
        }
        seen |= 1u << (pos - 1);
        at[pos - 1] = (uint16_t)i;
        t->n_pk++;
    }
    if (seen != (1u << t->n_pk) - 1) {
        return false;
    }
    t->pk = KL_ARENA_ARRAY(d->arena, uint16_t, t->n_pk + 1);
    if (!t->pk) {
        d->full = true;
        return false;
    }
    memcpy(t->pk, at, t->n_pk * sizeof(*at));
    return true;
}

static bool decode_options(struct decoder *d) {
    struct kl_table_options *o = &d->t->options;
    uint8_t access = kl_read_u8(&d->r), flags = kl_read_u8(&d->r);
    o->access = (enum kl_access)access;
    o->use_user_storage = flags & 1;
    o->ttl_seconds = kl_read_le32(&d->r);
    o->max_buffer = kl_read_le32(&d->r);
    o->flush_rows = kl_read_le32(&d->r);
    o->flush_interval_s = kl_read_le32(&d->r);
    o->deleted_retention_hours = kl_read_le32(&d->r);
    o->storage_id = decode_text(d, 128);
    if (flags & 2) {
        d->t->comment = decode_text(d, KL_CATALOG_RECORD_MAX);
    }
    return !d->r.failed && !d->full && access >= KL_ACCESS_PUBLIC && access <= KL_ACCESS_DBA &&
           flags <= 3;
}

static bool decode_head(struct decoder *d) {
    struct kl_table *t = d->t;
    d->format = kl_read_u8(&d->r);
    if (d->format < RECORD_FORMAT || d->format > TABLE_FORMAT) {
        return false;
    }
    uint8_t type = kl_read_u8(&d->r);
    t->type = (enum kl_table_type)type;
    uint8_t last = d->format == TABLE_FORMAT ? KL_TABLE_VIEW : KL_TABLE_SYSTEM;
    t->ns = decode_text(d, 64);
    t->name = decode_text(d, 64);
    t->created_us = (int64_t)kl_read_le64(&d->r);
    t->updated_us = (int64_t)kl_read_le64(&d->r);
    if (d->r.failed || d->full || type < KL_TABLE_USER || type > last || !t->ns[0] ||
        !t->name[0] || !decode_options(d)) {
        return false;
    }
    t->system_ordinal = (uint16_t)decode_number(d, 0, UINT16_MAX - 2);
    t->next_ordinal = (uint16_t)decode_number(d, 1, UINT16_MAX);
    t->next_column_id = (uint32_t)decode_number(d, 1, UINT32_MAX);
    const char *qualified = kl_arena_printf(d->arena, "%s.%s", t->ns, t->name);
    d->full = d->full || !qualified;
    t->qualified = kl_slice_str(qualified);
    return !d->r.failed && !d->full;
}

/* The index's columns as they are now. */
static bool place_columns(const struct kl_table *t, struct kl_index *x) {
    for (size_t i = 0; i < x->n_cols; i++) {
        size_t at = 0;
        const struct kl_column *c =
            same_id(&t->versions[t->n_versions - 1], x->column_ids[i], &at);
        if (!c) {
            return false;
        }
        x->cols[i] = (uint16_t)(c - t->cols);
    }
    return true;
}

static bool decode_index(struct decoder *d, struct kl_index *x) {
    x->id = kl_read_le32(&d->r);
    x->name = decode_text(d, 64);
    uint8_t flags = kl_read_u8(&d->r), state = kl_read_u8(&d->r);
    x->unique = flags & INDEX_UNIQUE;
    x->constraint = flags & INDEX_CONSTRAINT;
    x->state = (enum kl_index_state)state;
    x->created_us = (int64_t)kl_read_le64(&d->r);
    x->n_cols = (size_t)decode_number(d, 1, KL_INDEX_COLS_MAX);
    for (size_t i = 0; i < x->n_cols; i++) {
        x->column_ids[i] = (uint32_t)decode_number(d, 1, UINT32_MAX);
    }
    return !d->r.failed && !d->full && x->id != 0 && x->id < KL_SYS_TABLE_BASE && x->name[0] != 0 &&
           flags <= (INDEX_UNIQUE | INDEX_CONSTRAINT) && state >= KL_INDEX_BUILDING &&
           state <= KL_INDEX_READY && place_columns(d->t, x);
}

static bool decode_indexes(struct decoder *d) {
    size_t n = (size_t)decode_number(d, 0, KL_INDEXES_MAX);
    d->t->indexes = KL_ARENA_ARRAY(d->arena, struct kl_index, n + 1);
    if (!d->t->indexes) {
        d->full = true;
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!decode_index(d, &d->t->indexes[i])) {
            return false;
        }
    }
    d->t->n_indexes = n;
    return true;
}

static bool decode_checks(struct decoder *d) {
    size_t n = (size_t)decode_number(d, 0, KL_CATALOG_CHECKS_MAX);
    d->t->checks = KL_ARENA_ARRAY(d->arena, struct kl_check, n + 1);
    if (!d->t->checks) {
        d->full = true;
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        struct kl_check *c = &d->t->checks[i];
        c->name = decode_text(d, 64);
        c->expr = decode_text(d, KL_CATALOG_CHECK_MAX);
        if (d->r.failed || d->full || !c->name[0] || !c->expr[0]) {
            return false;
        }
    }
    d->t->n_checks = n;
    return true;
}

/* What format 2 added. */
static bool decode_rest(struct decoder *d) {
    if (d->format < TABLE_FORMAT) {
        return true;
    }
    if (!decode_indexes(d) || !decode_checks(d)) {
        return false;
    }
    if (d->t->type == KL_TABLE_VIEW) {
        d->t->view_sql = decode_text(d, KL_CATALOG_RECORD_MAX);
        d->t->view_ns = decode_text(d, 64);
    }
    return !d->r.failed && !d->full;
}

static bool decode_table(struct decoder *d) {
    struct kl_table *t = d->t;
    if (!decode_head(d)) {
        return false;
    }
    size_t n = (size_t)decode_number(d, 1, KL_TABLE_VERSIONS_MAX);
    /* A version takes more than ten bytes: a damaged count cannot make us reserve more than the
     * record could fill. */
    if (d->r.failed || n > (size_t)(d->r.end - d->r.ptr) / 10) {
        return false;
    }
    t->versions = KL_ARENA_ARRAY(d->arena, struct kl_table_version, n);
    if (!t->versions) {
        d->full = true;
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        t->n_versions = i + 1;
        if (!decode_version(d, &t->versions[i], i ? &t->versions[i - 1] : NULL)) {
            return false;
        }
    }
    const struct kl_table_version *now = &t->versions[n - 1];
    t->version = now->version;
    t->cols = now->cols;
    t->n_cols = now->n_cols;
    t->layout = &now->layout;
    for (size_t i = 0; i < n; i++) {
        if (!map_from_current(d, &t->versions[i])) {
            return false;
        }
    }
    mark_recast(t);
    return map_primary_key(d) && decode_rest(d) && d->r.ptr == d->r.end;
}

enum kl_rc kl_catalog__table_decode(
    uint32_t id, struct kl_slice rec, struct kl_table **ret, struct kl_err *err) {
    struct kl_table *t = kl_xcalloc(1, sizeof(*t));
    atomic_init(&t->refs, 1);
    t->id = id;
    kl_arena_init(&t->arena, TABLE_MEMORY_MAX);
    struct decoder d = {.t = t, .arena = &t->arena};
    kl_reader_init(&d.r, rec);
    if (decode_table(&d)) {
        *ret = t;
        return KL_OK;
    }
    bool full = d.full;
    kl_table_unref(t);
    if (full) {
        return kl_fail(err, KL_E_TOO_LARGE, "The definition of table %u needs more than %u MiB", id,
            TABLE_MEMORY_MAX >> 20);
    }
    return kl_fail(err, KL_E_CORRUPT, "The catalog record of table %u is damaged", id);
}

/* ---- storages ---- */

enum storage_flag { STORAGE_DESCRIPTION = 1, STORAGE_CREDENTIALS = 2, STORAGE_CONFIG = 4 };

static void encode_optional(struct kl_buf *out, const char *s) {
    if (s) {
        kl_buf_lstr(out, kl_slice_str(s));
    }
}

void kl_catalog__storage_encode(struct kl_buf *out, const struct kl_storage *s) {
    kl_buf_u8(out, RECORD_FORMAT);
    kl_buf_u8(out, (s->description ? STORAGE_DESCRIPTION : 0) |
                       (s->credentials ? STORAGE_CREDENTIALS : 0) |
                       (s->config ? STORAGE_CONFIG : 0));
    kl_buf_le64(out, (uint64_t)s->created_us);
    kl_buf_le64(out, (uint64_t)s->updated_us);
    kl_buf_lstr(out, kl_slice_str(s->name));
    kl_buf_lstr(out, kl_slice_str(s->type));
    kl_buf_lstr(out, kl_slice_str(s->base_directory));
    kl_buf_lstr(out, kl_slice_str(s->shared_template));
    kl_buf_lstr(out, kl_slice_str(s->user_template));
    encode_optional(out, s->description);
    encode_optional(out, s->credentials);
    encode_optional(out, s->config);
}

static const char *read_text(struct kl_reader *r, struct kl_arena *arena) {
    struct kl_slice s = kl_read_lstr(r);
    if (r->failed || s.len > KL_CATALOG_STORAGE_TEXT_MAX || (s.len && memchr(s.ptr, 0, s.len))) {
        r->failed = true;
        return NULL;
    }
    return kl_arena_dup(arena, s).ptr;
}

enum kl_rc kl_catalog__storage_decode(struct kl_slice id, struct kl_slice rec,
    struct kl_catalog__storage **ret, struct kl_err *err) {
    struct kl_reader r;
    kl_reader_init(&r, rec);
    struct kl_catalog__storage *s = kl_xcalloc(1, sizeof(*s));
    atomic_init(&s->refs, 1);
    kl_arena_init(&s->arena, KL_CATALOG_STORAGE_TEXT_MAX * 10);
    uint8_t format = kl_read_u8(&r), flags = kl_read_u8(&r);
    s->pub.created_us = (int64_t)kl_read_le64(&r);
    s->pub.updated_us = (int64_t)kl_read_le64(&r);
    s->pub.id = kl_arena_dup(&s->arena, id).ptr;
    const char **texts[] = {&s->pub.name, &s->pub.type, &s->pub.base_directory,
        &s->pub.shared_template, &s->pub.user_template, &s->pub.description, &s->pub.credentials,
        &s->pub.config};
    for (size_t i = 0; i < KL_LEN(texts); i++) {
        if (i < 5 || (flags & (1u << (i - 5)))) {
            *texts[i] = read_text(&r, &s->arena);
        }
    }
    if (r.failed || r.ptr != r.end || format != RECORD_FORMAT || flags > 7 || id.len == 0 ||
        id.len > KL_CATALOG_STORAGE_ID_MAX) {
        kl_catalog__storage_unref(s);
        return kl_fail(err, KL_E_CORRUPT, "A storage record of the catalog is damaged");
    }
    *ret = s;
    return KL_OK;
}

enum kl_rc kl_catalog__table_make(
    const struct kl_table *spec, struct kl_buf *rec, struct kl_table **ret, struct kl_err *err) {
    kl_buf_init(rec, KL_CATALOG_RECORD_MAX);
    kl_catalog__table_encode(rec, spec);
    if (rec->failed) {
        kl_buf_deinit(rec);
        return kl_fail(err, KL_E_TOO_LARGE,
            "The definition of table %s.%s with all its versions exceeds %u MiB", spec->ns,
            spec->name, KL_CATALOG_RECORD_MAX >> 20);
    }
    enum kl_rc rc = kl_catalog__table_decode(spec->id, kl_buf_view(rec), ret, err);
    if (rc != KL_OK) {
        kl_buf_deinit(rec);
    }
    return rc;
}
