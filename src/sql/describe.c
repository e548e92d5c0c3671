/* DESCRIBE TABLE: one row a column, the two system columns of a table of users included. */
#include "sql/internal.h"

enum { NAME, ORDINAL, ID, TYPE, NULLABLE, KEY, DEFAULT, COMMENT, VERSION, N_COLS };

static const struct kl_sink_col columns[N_COLS] = {
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
};

/* text: scratch for the type and the default, borrowed by vals. */
static void describe_column(
    const struct kl_table *t, const struct kl_column *c, struct kl_buf *text, struct kl_val *vals) {
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
    vals[VERSION] = kl_val_int(KL_T_INT, t->version);
}

static enum kl_rc describe_rows(
    const struct kl_table *t, struct kl_sink *sink, struct kl_buf *text, struct kl_err *err) {
    struct kl_val vals[N_COLS];
    uint16_t last = 0;
    for (size_t i = 0; i < t->n_cols; i++) {
        last = KL_MAX(last, t->cols[i].ordinal);
        describe_column(t, &t->cols[i], text, vals);
        KL_TRY(sink->row(sink, vals, err));
    }
    if (t->type == KL_TABLE_SYSTEM) {
        return KL_OK;
    }
    const struct kl_column seq = {
        .ordinal = (uint16_t)(last + 1), .name = "_seq", .type = KL_TYPE(BIGINT)};
    const struct kl_column deleted = {.ordinal = (uint16_t)(last + 2),
        .name = "_deleted",
        .type = KL_TYPE(BOOLEAN),
        .def = {.kind = KL_DEFAULT_LITERAL, .value = {.type = KL_T_BOOLEAN}}};
    describe_column(t, &seq, text, vals);
    KL_TRY(sink->row(sink, vals, err));
    describe_column(t, &deleted, text, vals);
    return sink->row(sink, vals, err);
}

enum kl_rc kl_sql_describe(const struct kl_table *t, struct kl_sink *sink, struct kl_err *err) {
    struct kl_buf text = {0};
    KL_TRY(sink->begin(sink, columns, N_COLS, err));
    enum kl_rc rc = describe_rows(t, sink, &text, err);
    if (rc == KL_OK) {
        sink->end(sink, t->n_cols + (t->type == KL_TABLE_SYSTEM ? 0 : 2));
    }
    kl_buf_deinit(&text);
    return rc;
}
