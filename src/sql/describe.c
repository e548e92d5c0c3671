/* DESCRIBE TABLE: one row a column, the two system columns of a table of users included.
 * DESCRIBE TABLE .. HISTORY: the same columns for each schema version, oldest first, with what
 * happened to each in that version and when; a column that a version dropped has a last row there. */
#include "sql/internal.h"

enum { NAME, ORDINAL, ID, TYPE, NULLABLE, KEY, DEFAULT, COMMENT, VERSION, N_COLS };
enum { CHANGE = N_COLS, CREATED_AT, N_HISTORY_COLS };

static const struct kl_sink_col columns[N_HISTORY_COLS] = {
    [NAME] = {.name = {"column_name", 11}, .type = {.id = KL_T_TEXT}, .flags = KL_COL_NOT_NULL},
    [ORDINAL] = {.name = {"ordinal_position", 16},
        .type = {.id = KL_T_INT},
        .flags = KL_COL_NOT_NULL},
    [ID] = {.name = {"column_id", 9}, .type = {.id = KL_T_BIGINT}, .flags = KL_COL_NOT_NULL},
    [TYPE] = {.name = {"data_type", 9}, .type = {.id = KL_T_TEXT}, .flags = KL_COL_NOT_NULL},
    [NULLABLE] = {.name = {"is_nullable", 11},
        .type = {.id = KL_T_BOOLEAN},
        .flags = KL_COL_NOT_NULL},
    [KEY] = {.name = {"is_primary_key", 14},
        .type = {.id = KL_T_BOOLEAN},
        .flags = KL_COL_NOT_NULL},
    [DEFAULT] = {.name = {"column_default", 14}, .type = {.id = KL_T_TEXT}},
    [COMMENT] = {.name = {"column_comment", 14}, .type = {.id = KL_T_TEXT}},
    [VERSION] = {.name = {"schema_version", 14},
        .type = {.id = KL_T_INT},
        .flags = KL_COL_NOT_NULL},
    [CHANGE] = {.name = {"change", 6}, .type = {.id = KL_T_TEXT}},
    [CREATED_AT] = {.name = {"created_at", 10},
        .type = {.id = KL_T_TIMESTAMP},
        .flags = KL_COL_NOT_NULL},
};

/* text: scratch for the type and the default, borrowed by vals. */
static void describe_column(
    uint32_t version, const struct kl_column *c, struct kl_buf *text, struct kl_val *vals) {
    kl_buf_clear(text);
    kl_type_sql_name(c->type, text);
    size_t type_len = text->len;
    kl_default_text(&c->def, text);
    vals[NAME] = kl_val_text(kl_slice_str(c->name));
    vals[ORDINAL] = kl_val_int(KL_T_INT, c->ordinal);
    vals[ID] = kl_val_i64(c->id);
    vals[TYPE] = kl_val_text(kl_slice(text->data, type_len));
    vals[NULLABLE] = kl_val_bool(c->nullable);
    vals[KEY] = kl_val_bool(c->pk_pos > 0);
    vals[DEFAULT] = text->len > type_len
                        ? kl_val_text(kl_slice(text->data + type_len, text->len - type_len))
                        : kl_val_null(KL_T_TEXT);
    vals[COMMENT] = c->comment ? kl_val_text(kl_slice_str(c->comment)) : kl_val_null(KL_T_TEXT);
    vals[VERSION] = kl_val_int(KL_T_INT, version);
}

static bool has_system_columns(const struct kl_table *t) {
    return t->type != KL_TABLE_SYSTEM && t->type != KL_TABLE_VIEW;
}

static enum kl_rc describe_rows(
    const struct kl_table *t, struct kl_sink *sink, struct kl_buf *text, struct kl_err *err) {
    struct kl_val vals[N_COLS];
    uint16_t last = 0;
    for (size_t i = 0; i < t->n_cols; i++) {
        last = KL_MAX(last, t->cols[i].ordinal);
        describe_column(t->version, &t->cols[i], text, vals);
        KL_TRY(sink->row(sink, vals, err));
    }
    if (!has_system_columns(t)) {
        return KL_OK;
    }
    const struct kl_column seq = {
        .ordinal = (uint16_t)(last + 1), .name = "_seq", .type = KL_TYPE(BIGINT)};
    const struct kl_column deleted = {.ordinal = (uint16_t)(last + 2),
        .name = "_deleted",
        .type = KL_TYPE(BOOLEAN),
        .def = {.kind = KL_DEFAULT_LITERAL, .value = {.type = KL_T_BOOLEAN}}};
    describe_column(t->version, &seq, text, vals);
    KL_TRY(sink->row(sink, vals, err));
    describe_column(t->version, &deleted, text, vals);
    return sink->row(sink, vals, err);
}

enum kl_rc kl_sql_describe(const struct kl_table *t, struct kl_sink *sink, struct kl_err *err) {
    struct kl_buf text = {0};
    KL_TRY(sink->begin(sink, columns, N_COLS, err));
    enum kl_rc rc = describe_rows(t, sink, &text, err);
    if (rc == KL_OK) {
        sink->end(sink, t->n_cols + (has_system_columns(t) ? 2 : 0));
    }
    kl_buf_deinit(&text);
    return rc;
}

/* ---- HISTORY ---- */
struct history {
    struct kl_sink *sink;
    struct kl_buf text;   /* type and default, of the row being made */
    struct kl_buf change; /* what happened */
    uint64_t n;
    struct kl_err *err;
};

static const struct kl_column *column_by_id(const struct kl_table_version *v, uint32_t id) {
    for (size_t i = 0; v && i < v->n_cols; i++) {
        if (v->cols[i].id == id) {
            return &v->cols[i];
        }
    }
    return NULL;
}

static void note(struct kl_buf *out, const char *what) {
    kl_buf_puts(out, out->len > 0 ? ", " : "");
    kl_buf_puts(out, what);
}

static bool same_default(const struct kl_default *a, const struct kl_default *b) {
    struct kl_buf x = {0}, y = {0};
    kl_default_text(a, &x);
    kl_default_text(b, &y);
    bool same = a->kind == b->kind && kl_slice_eq(kl_buf_view(&x), kl_buf_view(&y));
    kl_buf_deinit(&x);
    kl_buf_deinit(&y);
    return same;
}

/* now NULL: dropped; before NULL: added, or there from the start. Nothing: as it was. */
static void compare(
    const struct kl_column *before, const struct kl_column *now, bool first, struct kl_buf *out) {
    if (!before || !now) {
        note(out, first ? "created" : before ? "dropped" : "added");
        return;
    }
    if (strcmp(before->name, now->name) != 0) {
        kl_buf_printf(out, "renamed from %s", before->name);
    }
    if (before->type.id != now->type.id || before->type.precision != now->type.precision ||
        before->type.scale != now->type.scale || before->type.dim != now->type.dim) {
        note(out, "type changed from ");
        kl_type_sql_name(before->type, out);
    }
    if (before->nullable != now->nullable) {
        note(out, now->nullable ? "not null dropped" : "not null set");
    }
    if (!same_default(&before->def, &now->def)) {
        note(out, now->def.kind == KL_DEFAULT_NONE ? "default dropped" : "default set");
    }
}

static enum kl_rc history_row(struct history *h, const struct kl_table_version *v,
    const struct kl_column *before, const struct kl_column *now, bool first) {
    struct kl_val vals[N_HISTORY_COLS];
    kl_buf_clear(&h->change);
    compare(before, now, first, &h->change);
    describe_column(v->version, now ? now : before, &h->text, vals);
    vals[CHANGE] =
        h->change.len > 0 ? kl_val_text(kl_buf_view(&h->change)) : kl_val_null(KL_T_TEXT);
    vals[CREATED_AT] = kl_val_i64(v->created_us);
    vals[CREATED_AT].type = KL_T_TIMESTAMP;
    if (h->text.failed || h->change.failed) {
        return kl_fail(h->err, KL_E_NOMEM, "out of memory");
    }
    h->n++;
    return h->sink->row(h->sink, vals, h->err);
}

static enum kl_rc history_rows(struct history *h, const struct kl_table *t) {
    for (size_t i = 0; i < t->n_versions; i++) {
        const struct kl_table_version *v = &t->versions[i], *last = i > 0 ? v - 1 : NULL;
        for (size_t c = 0; c < v->n_cols; c++) {
            const struct kl_column *now = &v->cols[c];
            KL_TRY(history_row(h, v, column_by_id(last, now->id), now, i == 0));
        }
        for (size_t c = 0; last && c < last->n_cols; c++) {
            if (!column_by_id(v, last->cols[c].id)) {
                KL_TRY(history_row(h, v, &last->cols[c], NULL, false));
            }
        }
    }
    return KL_OK;
}

enum kl_rc kl_sql_describe_history(
    const struct kl_table *t, struct kl_sink *sink, struct kl_err *err) {
    struct history h = {.sink = sink, .err = err};
    KL_TRY(sink->begin(sink, columns, N_HISTORY_COLS, err));
    enum kl_rc rc = history_rows(&h, t);
    if (rc == KL_OK) {
        sink->end(sink, h.n);
    }
    kl_buf_deinit(&h.text);
    kl_buf_deinit(&h.change);
    return rc;
}
