/* Rows of system.* and information_schema.*: made when asked for, from one catalog snapshot, in the column order of
 * catalog/system_tables.def. The files system_*.c know what is in them; here is how a row is written and who is asked.
 * In the query pool. */
#include "engine/system_internal.h"

static struct kl_val *cell(struct kl__sys *r) {
    static struct kl_val nowhere;
    if (r->at == 0) {
        if (r->n == r->cap) {
            size_t cap = r->cap * 2 + 64;
            struct kl_val *vals = kl_arena_alloc(r->arena, cap * r->width * sizeof(*vals));
            if (vals == NULL) {
                r->failed = true;
                return &nowhere;
            }
            if (r->n > 0) {
                memcpy(vals, r->vals, r->n * r->width * sizeof(*vals));
            }
            r->vals = vals;
            r->cap = cap;
        }
        r->n++;
    }
    struct kl_val *v = &r->vals[(r->n - 1) * r->width + r->at];
    r->at = (r->at + 1) % r->width;
    return v;
}

void kl__sys_put(struct kl__sys *r, struct kl_val v) {
    if (!r->failed) {
        *cell(r) = v;
    }
}

void kl__sys_null(struct kl__sys *r, uint8_t type) {
    kl__sys_put(r, kl_val_null(type));
}

void kl__sys_copy(struct kl__sys *r, uint8_t type, struct kl_slice s) {
    struct kl_slice copy = kl_arena_dup(r->arena, s);
    r->failed = r->failed || copy.ptr == NULL;
    kl__sys_put(r, kl_val_str(type, copy));
}

void kl__sys_text(struct kl__sys *r, const char *s) {
    kl__sys_put(r, s != NULL ? kl_val_text(kl_slice_str(s)) : kl_val_null(KL_T_TEXT));
}

void kl__sys_time(struct kl__sys *r, int64_t us) {
    kl__sys_put(r, us != 0 ? kl_val_int(KL_T_TIMESTAMP, us) : kl_val_null(KL_T_TIMESTAMP));
}

void kl__sys_i16(struct kl__sys *r, int64_t i) {
    kl__sys_put(r, kl_val_int(KL_T_SMALLINT, i));
}
void kl__sys_i32(struct kl__sys *r, int64_t i) {
    kl__sys_put(r, kl_val_int(KL_T_INT, i));
}
void kl__sys_i64(struct kl__sys *r, int64_t i) {
    kl__sys_put(r, kl_val_i64(i));
}
void kl__sys_bool(struct kl__sys *r, bool b) {
    kl__sys_put(r, kl_val_bool(b));
}

void kl__sys_optional(struct kl__sys *r, uint8_t type, struct kl_slice s) {
    if (s.len > 0) {
        kl__sys_copy(r, type, s);
    } else {
        kl__sys_null(r, type);
    }
}

void kl__sys_buf(struct kl__sys *r, uint8_t type, struct kl_buf *b) {
    kl__sys_copy(r, type, kl_buf_view(b));
    r->failed = r->failed || b->failed;
    kl_buf_clear(b);
}

void kl__sys_type(struct kl__sys *r, struct kl_type t) {
    struct kl_buf b = {0};
    kl_type_sql_name(t, &b);
    kl__sys_buf(r, KL_T_TEXT, &b);
    kl_buf_deinit(&b);
}

void kl__sys_default(struct kl__sys *r, const struct kl_default *d) {
    struct kl_buf b = {0};
    if (d != NULL) {
        kl_default_text(d, &b);
    }
    kl__sys_optional(r, KL_T_TEXT, kl_buf_view(&b));
    r->failed = r->failed || b.failed;
    kl_buf_deinit(&b);
}

static void system_columns(struct kl__sys *r, const struct kl_table *t, kl__sys_visit_col *visit) {
    struct kl__sys_col seq = {
        "_seq", t->system_ordinal, t->system_ordinal, KL_TYPE(BIGINT), false, 0, NULL, NULL};
    struct kl__sys_col deleted = {"_deleted", t->system_ordinal + 1u, t->system_ordinal + 1u,
        KL_TYPE(BOOLEAN), false, 0, NULL, NULL};
    visit(r, t, &seq);
    visit(r, t, &deleted);
}

void kl__sys_each_column(struct kl__sys *r, kl__sys_visit_col *visit) {
    for (size_t i = 0; i < kl_cat_n_tables(r->cat); i++) {
        const struct kl_table *t = kl_cat_table_at(r->cat, i);
        for (size_t k = 0; k < t->n_cols; k++) {
            const struct kl_column *c = &t->cols[k];
            struct kl__sys_col v = {
                c->name, c->id, c->ordinal, c->type, c->nullable, c->pk_pos, &c->def, c->comment};
            visit(r, t, &v);
        }
        if (kl__sys_is_made(t) && t->type != KL_TABLE_VIEW) {
            system_columns(r, t, visit);
        }
    }
}

static enum kl_rc fill(struct kl__sys *r, uint32_t relation, struct kl_err *err) {
    static enum kl_rc (*const who[])(struct kl__sys * r, uint32_t relation, struct kl_err * err) = {
        kl__sys_catalog, kl__sys_information, kl__sys_server};
    for (size_t i = 0; i < KL_LEN(who); i++) {
        enum kl_rc rc = who[i](r, relation, err);
        if (rc != KL_E_AGAIN) {
            return rc;
        }
    }
    return kl_fail(err, KL_E_UNSUPPORTED, "this relation is not available in this version");
}

enum kl_rc kl__system_scan(struct kl_engine *e, const struct kl_session *session,
    struct kl_table *t, const int16_t *slots, size_t n_slots, struct kl_arena *arena,
    struct kl_source **ret, struct kl_err *err) {
    struct kl__sys r = {.engine = e,
        .session = session,
        .cat = kl_catalog_acquire(e->o.catalog),
        .arena = arena,
        .width = t->n_cols};
    enum kl_rc rc = fill(&r, t->id, err);
    kl_cat_release(r.cat);
    if (r.failed || rc == KL_E_TOO_LARGE) {
        return kl_fail(
            err, KL_E_TOO_LARGE, "%s is larger than the memory of one query", t->qualified.ptr);
    }
    KL_TRY(rc);
    KL_ASSERT(r.at == 0);
    *ret = kl__scan_values(r.vals, r.width, r.n, slots, n_slots);
    return KL_OK;
}
