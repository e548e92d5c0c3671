/* Lists, structs and maps as JSON text: [1,2,null], {"a":1}. Leaves follow the rules of
 * kl_val_to_json, except that 64-bit integers and decimals are numbers, as PostgreSQL's to_json
 * writes them, and temporal values are text. */
#include "duck/internal.h"

#define MAX_DEPTH 64

static void leaf(duckdb_vector vec, duckdb_logical_type t, size_t row, struct kl_buf *out) {
    struct kl_duck_reader r;
    struct kl_duck_column c;
    struct kl_arena arena;
    struct kl_val v;
    kl_arena_init(&arena, 0);
    kl_duck__reader_init(&r, t);
    kl_duck__column_init(&c, &r, vec);
    if (kl_duck__read(&c, row, &arena, &v, NULL) != KL_OK) {
        out->failed = true;
    } else if (v.type == KL_T_BOOLEAN || kl_type_is_number(v.type)) {
        bool finite = (v.type != KL_T_DOUBLE && v.type != KL_T_FLOAT) || (v.d - v.d == 0);
        kl_buf_puts(out, finite ? "" : "\"");
        if (v.type == KL_T_BOOLEAN) {
            kl_buf_puts(out, v.b ? "true" : "false");
        } else {
            kl_val_to_text(&v, out);
        }
        kl_buf_puts(out, finite ? "" : "\"");
    } else if (v.type == KL_T_JSON) {
        kl_buf_slice(out, kl_val_slice(&v));
    } else if (v.type == KL_T_TEXT) {
        kl_json_str(out, kl_val_slice(&v));
    } else {
        struct kl_buf text;
        kl_buf_init(&text, 0);
        kl_val_to_text(&v, &text);
        kl_json_str(out, kl_buf_view(&text));
        out->failed |= text.failed;
        kl_buf_deinit(&text);
    }
    kl_arena_deinit(&arena);
}

static void elements(duckdb_vector child, duckdb_logical_type child_type, size_t from, size_t n,
    unsigned depth, struct kl_buf *out) {
    kl_buf_putc(out, '[');
    for (size_t i = 0; i < n && !out->failed; i++) {
        if (i > 0) {
            kl_buf_putc(out, ',');
        }
        kl_duck__nested_json(child, child_type, from + i, depth, out);
    }
    kl_buf_putc(out, ']');
}

static void list_json(
    duckdb_vector vec, duckdb_logical_type t, size_t row, unsigned depth, struct kl_buf *out) {
    const duckdb_list_entry *e = &((const duckdb_list_entry *)kl_dk.vector_get_data(vec))[row];
    duckdb_logical_type child = kl_dk.list_type_child_type(t);
    elements(kl_dk.list_vector_get_child(vec), child, e->offset, e->length, depth, out);
    kl_dk.destroy_logical_type(&child);
}

static void array_json(
    duckdb_vector vec, duckdb_logical_type t, size_t row, unsigned depth, struct kl_buf *out) {
    duckdb_logical_type child = kl_dk.array_type_child_type(t);
    size_t n = kl_dk.array_type_array_size(t);
    elements(kl_dk.array_vector_get_child(vec), child, row * n, n, depth, out);
    kl_dk.destroy_logical_type(&child);
}

static void struct_json(
    duckdb_vector vec, duckdb_logical_type t, size_t row, unsigned depth, struct kl_buf *out) {
    kl_buf_putc(out, '{');
    for (size_t i = 0; i < kl_dk.struct_type_child_count(t) && !out->failed; i++) {
        char *name = kl_dk.struct_type_child_name(t, i);
        duckdb_logical_type child = kl_dk.struct_type_child_type(t, i);
        if (i > 0) {
            kl_buf_putc(out, ',');
        }
        if (name && *name) {
            kl_json_str(out, kl_slice_str(name));
        } else {
            kl_buf_printf(out, "\"f%zu\"", i + 1);
        }
        kl_buf_putc(out, ':');
        kl_duck__nested_json(kl_dk.struct_vector_get_child(vec, i), child, row, depth, out);
        kl_dk.destroy_logical_type(&child);
        kl_dk.free(name);
    }
    kl_buf_putc(out, '}');
}

/* A map is a list of two-column structs: [{"key":k,"value":v}]. */
static void map_json(
    duckdb_vector vec, duckdb_logical_type t, size_t row, unsigned depth, struct kl_buf *out) {
    const duckdb_list_entry *e = &((const duckdb_list_entry *)kl_dk.vector_get_data(vec))[row];
    duckdb_vector entries = kl_dk.list_vector_get_child(vec);
    duckdb_logical_type key = kl_dk.map_type_key_type(t), value = kl_dk.map_type_value_type(t);
    kl_buf_putc(out, '[');
    for (size_t i = 0; i < e->length && !out->failed; i++) {
        kl_buf_puts(out, i > 0 ? ",{\"key\":" : "{\"key\":");
        kl_duck__nested_json(
            kl_dk.struct_vector_get_child(entries, 0), key, e->offset + i, depth, out);
        kl_buf_puts(out, ",\"value\":");
        kl_duck__nested_json(
            kl_dk.struct_vector_get_child(entries, 1), value, e->offset + i, depth, out);
        kl_buf_putc(out, '}');
    }
    kl_buf_putc(out, ']');
    kl_dk.destroy_logical_type(&key);
    kl_dk.destroy_logical_type(&value);
}

void kl_duck__nested_json(
    duckdb_vector vec, duckdb_logical_type t, size_t row, unsigned depth, struct kl_buf *out) {
    if (depth > MAX_DEPTH) {
        out->failed = true;
        return;
    }
    if (!kl_duck__valid(kl_dk.vector_get_validity(vec), row)) {
        kl_buf_puts(out, "null");
        return;
    }
    switch (kl_dk.get_type_id(t)) {
    case DUCKDB_TYPE_LIST:
        list_json(vec, t, row, depth + 1, out);
        return;
    case DUCKDB_TYPE_ARRAY:
        array_json(vec, t, row, depth + 1, out);
        return;
    case DUCKDB_TYPE_STRUCT:
        struct_json(vec, t, row, depth + 1, out);
        return;
    case DUCKDB_TYPE_MAP:
        map_json(vec, t, row, depth + 1, out);
        return;
    default:
        leaf(vec, t, row, out);
        return;
    }
}
