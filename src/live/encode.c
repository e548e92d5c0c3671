/* JSON texts of subscriptions: acknowledgement, snapshot batches, changes, errors. Cells are
 * written by types/; here are only the shapes.
 *
 * Which columns an event carries (projected: those of the query's list, which ends with _seq, and
 * _deleted for SELECT *):
 *
 *   snapshot row, insert   projected
 *   update rows            projected without _deleted, primary key, _seq of the new version
 *   update old_values      projected that changed, primary key, _seq of the old version
 *   delete old_values      projected with _deleted true, primary key, _seq of the deletion (or of
 *                          the version that left the filter)
 *
 * A query without the whole primary key in its rows adds _prev_seq to old_values: the _seq of the
 * version that goes, by which a client finds it. */
#include "live/internal.h"

static void comma(struct kl_buf *out, bool *first) {
    if (!*first) {
        kl_buf_putc(out, ',');
    }
    *first = false;
}

static void seq_cell(struct kl_buf *out, const char *name, int64_t seq, bool *first) {
    comma(out, first);
    kl_buf_putc(out, '"');
    kl_buf_puts(out, name);
    kl_buf_puts(out, "\":\"");
    kl_buf_i64(out, seq);
    kl_buf_putc(out, '"');
}

static void cell(struct kl_buf *out, struct kl_slice name, const struct kl_val *v, bool *first) {
    comma(out, first);
    kl_json_str(out, name);
    kl_buf_putc(out, ':');
    kl_val_to_json(v, out);
}

static bool projected(const struct kl_plan_live *p, int col) {
    for (size_t i = 0; i < p->n_cols; i++) {
        if (p->cols[i] == col) {
            return true;
        }
    }
    return false;
}

/* Primary key columns that the query does not list. */
static void missing_key(
    struct kl_buf *out, const struct kl__query *q, const struct kl_val *vals, bool *first) {
    const struct kl_table *t = q->plan->table;
    for (size_t i = 0; i < t->n_pk; i++) {
        if (!projected(q->plan->live, t->pk[i])) {
            cell(out, kl_slice_str(t->cols[t->pk[i]].name), &vals[t->pk[i]], first);
        }
    }
}

enum which { ROW_FULL, ROW_UPDATED, ROW_GONE };
static void row_cells(struct kl_buf *out, const struct kl__query *q, const struct kl__row *row,
    enum which which, bool *first) {
    const struct kl_plan_live *p = q->plan->live;
    for (size_t i = 0; i < p->n_cols; i++) {
        if (p->cols[i] == KL_COL_SEQ) {
            seq_cell(out, "_seq", row->seq, first);
        } else if (p->cols[i] != KL_COL_DELETED) {
            cell(out, p->desc[i].name, &row->vals[p->cols[i]], first);
        } else if (which != ROW_UPDATED) {
            comma(out, first);
            kl_buf_puts(out,
                which == ROW_GONE || row->deleted ? "\"_deleted\":true" : "\"_deleted\":false");
        }
    }
}

void kl__encode_row(struct kl_buf *out, const struct kl__query *q, const struct kl__row *row) {
    bool first = true;
    kl_buf_putc(out, '{');
    row_cells(out, q, row, ROW_FULL, &first);
    kl_buf_putc(out, '}');
}

/* ---- changes ---- */

void kl__encode_insert(struct kl_buf *out, const struct kl__query *q, const struct kl__row *row) {
    kl_buf_puts(out, "\"change_type\":\"insert\",\"rows\":[");
    kl__encode_row(out, q, row);
    kl_buf_puts(out, "]}");
}

static void prev_cell(struct kl_buf *out, const struct kl__query *q, int64_t prev, bool *first) {
    if (!q->keyed) {
        seq_cell(out, "_prev_seq", prev, first);
    }
}

/* Primary key columns wherever they stand, and changed columns when the old values are known. */
static void old_cells(struct kl_buf *out, const struct kl__query *q, const struct kl__row *row,
    const struct kl__row *old, bool *first) {
    const struct kl_plan_live *p = q->plan->live;
    const struct kl_table *t = q->plan->table;
    for (size_t i = 0; i < p->n_cols; i++) {
        int c = p->cols[i];
        if (c < 0) {
            continue;
        }
        const struct kl_val *was = old->vals != NULL ? &old->vals[c] : &row->vals[c];
        if (t->cols[c].pk_pos > 0 || (old->vals != NULL && !kl_val_same(was, &row->vals[c]))) {
            cell(out, p->desc[i].name, was, first);
        }
    }
    missing_key(out, q, row->vals, first);
    seq_cell(out, "_seq", old->seq, first);
    prev_cell(out, q, old->seq, first);
}

void kl__encode_update(struct kl_buf *out, const struct kl__query *q, const struct kl__row *row,
    const struct kl__row *old) {
    bool first = true;
    kl_buf_puts(out, "\"change_type\":\"update\",\"rows\":[{");
    row_cells(out, q, row, ROW_UPDATED, &first);
    missing_key(out, q, row->vals, &first);
    kl_buf_puts(out, "}],\"old_values\":[{");
    first = true;
    old_cells(out, q, row, old, &first);
    kl_buf_puts(out, "}]}");
}

void kl__encode_delete(
    struct kl_buf *out, const struct kl__query *q, const struct kl__row *gone, bool key_only) {
    const struct kl_table *t = q->plan->table;
    bool first = true;
    kl_buf_puts(out, "\"change_type\":\"delete\",\"old_values\":[{");
    if (key_only) {
        for (size_t i = 0; i < t->n_pk; i++) {
            cell(out, kl_slice_str(t->cols[t->pk[i]].name), &gone->vals[t->pk[i]], &first);
        }
        seq_cell(out, "_seq", gone->seq, &first);
        if (q->plan->live->star) {
            comma(out, &first);
            kl_buf_puts(out, "\"_deleted\":true");
        }
    } else {
        row_cells(out, q, gone, ROW_GONE, &first);
        missing_key(out, q, gone->vals, &first);
    }
    prev_cell(out, q, gone->prev_seq, &first);
    kl_buf_puts(out, "}]}");
}

void kl__encode_change(struct kl_buf *out, struct kl_slice id, struct kl_slice body) {
    kl_buf_puts(out, "{\"type\":\"change\",\"subscription_id\":");
    kl_json_str(out, id);
    kl_buf_putc(out, ',');
    kl_buf_slice(out, body);
}

/* ---- control ---- */

static void batch_control(struct kl_buf *out, uint32_t num, bool has_more, int64_t last_seq) {
    kl_buf_puts(out, "\"batch_control\":{\"batch_num\":");
    kl_buf_u64(out, num);
    kl_buf_puts(out, has_more ? ",\"has_more\":true" : ",\"has_more\":false");
    kl_buf_puts(out, !has_more  ? ",\"status\":\"ready\""
                     : num == 0 ? ",\"status\":\"loading\""
                                : ",\"status\":\"loading_batch\"");
    kl_buf_puts(out, ",\"last_seq_id\":");
    if (last_seq > 0) {
        kl_buf_i64(out, last_seq);
    } else {
        kl_buf_puts(out, "null");
    }
    kl_buf_putc(out, '}');
}

static void schema_flags(struct kl_buf *out, uint8_t flags) {
    static const struct {
        uint8_t flag;
        const char *name;
    } names[] = {{KL_COL_PK, "pk"}, {KL_COL_NOT_NULL, "nn"}, {KL_COL_UNIQUE, "uq"}};
    bool first = true;
    if (flags == 0) {
        return;
    }
    kl_buf_puts(out, ",\"flags\":[");
    for (size_t i = 0; i < KL_LEN(names); i++) {
        if (flags & names[i].flag) {
            comma(out, &first);
            kl_buf_printf(out, "\"%s\"", names[i].name);
        }
    }
    kl_buf_putc(out, ']');
}

/* total_rows is 0: the acknowledgement goes out before anything is read. */
void kl__encode_ack(struct kl_buf *out, struct kl_slice id, const struct kl__ack *ack) {
    const struct kl_plan_live *p = ack->query->plan->live;
    kl_buf_puts(out, "{\"type\":\"subscription_ack\",\"subscription_id\":");
    kl_json_str(out, id);
    kl_buf_puts(out, ",\"total_rows\":0,");
    batch_control(out, 0, ack->loading, ack->last_seq);
    kl_buf_puts(out, ",\"schema\":[");
    for (size_t i = 0; i < p->n_cols; i++) {
        kl_buf_puts(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        kl_json_str(out, p->desc[i].name);
        kl_buf_puts(out, ",\"data_type\":");
        kl_type_json_name(p->desc[i].type, out);
        kl_buf_puts(out, ",\"index\":");
        kl_buf_u64(out, i);
        schema_flags(out, p->desc[i].flags);
        kl_buf_putc(out, '}');
    }
    kl_buf_puts(out, ack->resync ? "],\"resync\":true}" : "]}");
}

void kl__encode_batch(
    struct kl_buf *out, struct kl_slice id, struct kl_slice rows, const struct kl__batch *b) {
    kl_buf_puts(out, "{\"type\":\"initial_data_batch\",\"subscription_id\":");
    kl_json_str(out, id);
    kl_buf_puts(out, ",\"rows\":[");
    kl_buf_slice(out, rows);
    kl_buf_puts(out, "],");
    batch_control(out, b->num, b->has_more, b->last_seq);
    kl_buf_putc(out, '}');
}

void kl__encode_error(
    struct kl_buf *out, struct kl_slice id, const char *code, struct kl_slice message) {
    kl_buf_puts(out, "{\"type\":\"error\",\"subscription_id\":");
    kl_json_str(out, id);
    kl_buf_puts(out, ",\"code\":");
    kl_json_str(out, kl_slice_str(code));
    kl_buf_puts(out, ",\"message\":");
    kl_json_str(out, message);
    kl_buf_putc(out, '}');
}

const char *kl__error_code(enum kl_rc rc) {
    switch (rc) {
    case KL_E_PERMISSION_DENIED:
        return "UNAUTHORIZED";
    case KL_E_NOT_FOUND:
        return "NOT_FOUND";
    case KL_E_UNSUPPORTED:
        return "UNSUPPORTED";
    case KL_E_INVALID_SQL:
    case KL_E_EMPTY_SQL:
    case KL_E_BATCH_PARSE:
    case KL_E_TYPE:
    case KL_E_EXEC:
    case KL_E_INVALID_PARAMETER:
    case KL_E_INVALID_INPUT:
        return "INVALID_SQL";
    default:
        return "SUBSCRIPTION_FAILED";
    }
}
