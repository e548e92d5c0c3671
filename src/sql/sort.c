/* Rows held back and put in order.
 *
 * A kept row is one allocation: its values, then the bytes that they borrow, so that dropping a row
 * gives its memory back at once. Without a bound rows are collected and sorted at the end; with one
 * (LIMIT) they form a binary heap whose root is the last row that is still in, and a row that comes
 * later than the root is turned away before anything of it is copied.
 *
 * Order: the keys, then arrival. So the sort is stable whatever the library's qsort does. */
#include "sql/select_internal.h"

#include <stdlib.h>

void kl_sorter__init(
    struct kl_sorter *s, const struct kl_select *sel, uint64_t bound, size_t max_bytes) {
    *s = (struct kl_sorter){
        .order = sel->order,
        .n_keys = sel->n_order,
        .n_out = sel->n_output,
        .bound = bound,
        .max_bytes = max_bytes,
    };
}

void kl_sorter__deinit(struct kl_sorter *s) {
    for (size_t i = 0; i < s->n; i++) {
        free(s->rows[i]);
    }
    free(s->rows);
    s->rows = NULL;
    s->n = 0;
}

/* ---- order ---- */

static int compare_keys(const struct kl_sorter *s, const struct kl_val *a, const struct kl_val *b) {
    for (size_t i = 0; i < s->n_keys; i++) {
        const struct kl_order_key *k = &s->order[i];
        int c;
        if (a[i].null || b[i].null) {
            c = (int)b[i].null - (int)a[i].null; /* as if NULL came first */
            c = k->nulls_first ? c : -c;
        } else {
            struct kl_type t = kl_expr_type(k->expr);
            c = kl_type_is_text(t.id) || t.id == KL_T_NULL
                    ? kl_slice_cmp(kl_val_slice(&a[i]), kl_val_slice(&b[i]))
                    : kl_val_cmp(&a[i], &b[i]);
            c = k->descending ? -c : c;
        }
        if (c != 0) {
            return c;
        }
    }
    return 0;
}

static int compare_rows(
    const struct kl_sorter *s, const struct kl_sort_row *a, const struct kl_sort_row *b) {
    int c = compare_keys(s, a->vals, b->vals);
    return c ? c : (a->seq > b->seq) - (a->seq < b->seq);
}

static int compare_for_qsort(const void *a, const void *b, void *ctx) {
    return compare_rows(ctx, *(struct kl_sort_row *const *)a, *(struct kl_sort_row *const *)b);
}

/* ---- copies ---- */

static size_t borrowed_bytes(const struct kl_val *v) {
    bool borrows = !v->null && (kl_type_is_varlen(v->type) || v->type == KL_T_UUID ||
                                   v->type == KL_T_EMBEDDING);
    return borrows ? v->len : 0;
}

static char *copy_val(const struct kl_val *v, struct kl_val *to, char *bytes) {
    *to = *v;
    size_t len = borrowed_bytes(v);
    if (len > 0) {
        memcpy(bytes, v->s, len);
        to->s = bytes;
    }
    return bytes + len;
}

static struct kl_sort_row *copy_row(
    struct kl_sorter *s, const struct kl_val *keys, const struct kl_val *out, struct kl_err *err) {
    size_t n = s->n_keys + s->n_out, size = sizeof(struct kl_sort_row) + n * sizeof(struct kl_val);
    for (size_t i = 0; i < s->n_keys; i++) {
        size += borrowed_bytes(&keys[i]);
    }
    for (size_t i = 0; i < s->n_out; i++) {
        size += borrowed_bytes(&out[i]);
    }
    size_t charge =
        size + sizeof(void *) + 16; /* with its place in the list and the allocator's own */
    struct kl_sort_row *row = s->used_bytes + charge > s->max_bytes ? NULL : malloc(size);
    if (!row) {
        kl_fail(err, KL_E_TOO_LARGE, "the rows to sort do not fit in %zu bytes of memory",
            s->max_bytes);
        kl_err_hint(err, "Add a LIMIT or a WHERE clause.");
        return NULL;
    }
    s->used_bytes += charge;
    row->seq = s->arrived;
    row->size = charge;
    char *bytes = (char *)(row->vals + n);
    for (size_t i = 0; i < n; i++) {
        bytes = copy_val(i < s->n_keys ? &keys[i] : &out[i - s->n_keys], &row->vals[i], bytes);
    }
    return row;
}

static void drop_row(struct kl_sorter *s, struct kl_sort_row *row) {
    s->used_bytes -= row->size;
    free(row);
}

/* ---- the heap: every row comes no later than its children come before it; the root is last of all
 * ---- */

static void swap_rows(struct kl_sort_row **a, struct kl_sort_row **b) {
    struct kl_sort_row *t = *a;
    *a = *b;
    *b = t;
}

static void sift_up(struct kl_sorter *s, size_t i) {
    while (i > 0 && compare_rows(s, s->rows[i], s->rows[(i - 1) / 2]) > 0) {
        swap_rows(&s->rows[i], &s->rows[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static void sift_down(struct kl_sorter *s, size_t i) {
    for (;;) {
        size_t last = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < s->n; child++) {
            last = compare_rows(s, s->rows[child], s->rows[last]) > 0 ? child : last;
        }
        if (last == i) {
            return;
        }
        swap_rows(&s->rows[i], &s->rows[last]);
        i = last;
    }
}

static bool is_heap(const struct kl_sorter *s) {
    return s->bound != UINT64_MAX && s->n_keys > 0;
}

/* ---- interface ---- */

bool kl_sorter__wants(const struct kl_sorter *s, const struct kl_val *keys) {
    if (s->n < s->bound) {
        return true;
    }
    return s->n > 0 && s->n_keys > 0 &&
           compare_keys(s, keys, s->rows[0]->vals) < 0; /* a tie arrives later, so it is out */
}

enum kl_rc kl_sorter__add(
    struct kl_sorter *s, const struct kl_val *keys, const struct kl_val *out, struct kl_err *err) {
    s->arrived++;
    if (!kl_sorter__wants(s, keys)) {
        return KL_OK;
    }
    bool full = s->n >= s->bound;
    if (full) { /* first give back, so that the budget counts what is kept */
        drop_row(s, s->rows[0]);
        s->rows[0] = s->rows[--s->n];
        sift_down(s, 0);
    }
    struct kl_sort_row *row = copy_row(s, keys, out, err);
    if (!row) {
        return KL_E_TOO_LARGE;
    }
    KL_GROW(s->rows, s->cap, s->n + 1);
    s->rows[s->n++] = row;
    if (is_heap(s)) {
        sift_up(s, s->n - 1);
    }
    return KL_OK;
}

void kl_sorter__finish(struct kl_sorter *s) {
    if (s->n_keys > 0 && s->n > 1) {
        qsort_r(s->rows, s->n, sizeof(*s->rows), compare_for_qsort, s);
    }
}
