/* Statements that are repeated have the same columns each time, and describing them costs more than
 * writing a row of them.
 *
 * 64 places, chosen by where the columns lie in memory: they belong to a plan, and a plan that is
 * used again is found at the same address. The address proves nothing, since another plan may lie
 * there later: an entry is used only when its own copy of the columns equals those that are given.
 * An entry is at most ENTRY_MAX bytes; what is larger is written anew each time. */
#include "net/schema_cache.h"

#include <stdlib.h>

#define PLACES 64
#define ENTRY_MAX ((size_t)16 << 10)

struct entry {
    size_t n, names_len, json_len;
    struct kl_sink_col *cols; /* names point into bytes */
    char bytes[];             /* columns, names, JSON */
};

struct kl_schema_cache {
    struct entry *places[PLACES];
};

static void put_flags(struct kl_buf *b, uint8_t flags) {
    static const char *const names[] = {"\"pk\"", "\"nn\"", "\"uq\""};
    char separator = '[';
    kl_buf_puts(b, ",\"flags\":");
    for (unsigned i = 0; i < 3; i++) {
        if (flags & 1u << i) {
            kl_buf_putc(b, separator);
            kl_buf_puts(b, names[i]);
            separator = ',';
        }
    }
    kl_buf_putc(b, ']');
}

static void put_column(struct kl_buf *b, const struct kl_sink_col *col, size_t index) {
    kl_buf_puts(b, "{\"name\":");
    kl_json_str(b, col->name);
    kl_buf_puts(b, ",\"data_type\":");
    kl_type_json_name(col->type, b);
    kl_buf_puts(b, ",\"index\":");
    kl_buf_u64(b, index);
    if (col->flags & (KL_COL_PK | KL_COL_NOT_NULL | KL_COL_UNIQUE)) {
        put_flags(b, col->flags);
    }
    kl_buf_putc(b, '}');
}

void kl_schema_write(struct kl_buf *out, const struct kl_sink_col *cols, size_t n) {
    kl_buf_putc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i) {
            kl_buf_putc(out, ',');
        }
        put_column(out, &cols[i], i);
    }
    kl_buf_putc(out, ']');
}

struct kl_schema_cache *kl_schema_cache_new(void) {
    return kl_xcalloc(1, sizeof(struct kl_schema_cache));
}

void kl_schema_cache_free(struct kl_schema_cache *c) {
    if (!c) {
        return;
    }
    for (size_t i = 0; i < PLACES; i++) {
        free(c->places[i]);
    }
    free(c);
}

static bool same(const struct entry *e, const struct kl_sink_col *cols, size_t n) {
    if (e->n != n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const struct kl_sink_col *a = &e->cols[i], *b = &cols[i];
        if (a->type.id != b->type.id || a->type.precision != b->type.precision ||
            a->type.scale != b->type.scale || a->type.dim != b->type.dim || a->flags != b->flags ||
            !kl_slice_eq(a->name, b->name)) {
            return false;
        }
    }
    return true;
}

static struct entry *make(const struct kl_sink_col *cols, size_t n, struct kl_slice json) {
    size_t names_len = 0;
    for (size_t i = 0; i < n; i++) {
        names_len += cols[i].name.len;
    }
    size_t size = sizeof(struct entry) + n * sizeof *cols + names_len + json.len;
    if (size > ENTRY_MAX) {
        return NULL;
    }
    struct entry *e = kl_xmalloc(size);
    *e = (struct entry){.n = n, .names_len = names_len, .json_len = json.len};
    e->cols = (struct kl_sink_col *)(void *)e->bytes;
    char *at = e->bytes + n * sizeof *cols;
    for (size_t i = 0; i < n; i++) {
        e->cols[i] = cols[i];
        e->cols[i].name = kl_slice(at, cols[i].name.len);
        if (cols[i].name.len) {
            memcpy(at, cols[i].name.ptr, cols[i].name.len);
        }
        at += cols[i].name.len;
    }
    memcpy(at, json.ptr, json.len);
    return e;
}

static struct kl_slice json_of(const struct entry *e) {
    return kl_slice(e->bytes + e->n * sizeof *e->cols + e->names_len, e->json_len);
}

void kl_schema_cache_write(
    struct kl_schema_cache *c, struct kl_buf *out, const struct kl_sink_col *cols, size_t n) {
    uint64_t mixed = ((uint64_t)(uintptr_t)cols >> 4) * 0x9E3779B97F4A7C15u;
    struct entry **place = &c->places[mixed >> 58];
    if (*place && same(*place, cols, n)) {
        kl_buf_slice(out, json_of(*place));
        return;
    }
    size_t before = out->len;
    kl_schema_write(out, cols, n);
    if (out->failed) {
        return;
    }
    struct entry *e = make(cols, n, kl_slice(out->data + before, out->len - before));
    if (e) {
        free(*place);
        *place = e;
    }
}
