/* Prepared statements by plan id, least recently used out first; and their parameters.
 *
 * A parameter is bound with exactly the type that the engine resolved for it, because anything else
 * makes the engine bind the whole statement again at each execution. A text whose type is open
 * (KL_VAL_UNKNOWN) takes that type here, with our own input rules, as a quoted literal would in
 * PostgreSQL. */
#include "duck/internal.h"

#include <stdlib.h>

static struct kl_slice id_key(const uint64_t *id) {
    return kl_slice(id, sizeof(*id));
}

static void unlink_plan(struct kl_duck *d, struct kl_duck_plan *p) {
    *(p->newer ? &p->newer->older : &d->newest) = p->older;
    *(p->older ? &p->older->newer : &d->oldest) = p->newer;
    p->newer = p->older = NULL;
}

static void push_newest(struct kl_duck *d, struct kl_duck_plan *p) {
    p->older = d->newest;
    p->newer = NULL;
    *(d->newest ? &d->newest->newer : &d->oldest) = p;
    d->newest = p;
}

static void free_plan(struct kl_duck_plan *p) {
    if (p->stmt) {
        kl_dk.destroy_prepare(&p->stmt);
    }
    free(p->params);
    free(p);
}

void kl_duck__forget(struct kl_duck *d, struct kl_duck_plan *p) {
    kl_map_del(&d->plans, id_key(&p->id));
    unlink_plan(d, p);
    free_plan(p);
}

void kl_duck__forget_all(struct kl_duck *d) {
    while (d->oldest) {
        kl_duck__forget(d, d->oldest);
    }
}

static struct kl_type param_type(duckdb_prepared_statement stmt, size_t number) {
    duckdb_logical_type t = kl_dk.param_logical_type(stmt, number);
    if (!t) {
        return KL_TYPE(NULL);
    }
    struct kl_type type = KL_TYPE(NULL);
    duckdb_type id = kl_dk.get_type_id(t);
    if (id == DUCKDB_TYPE_INTERVAL) {
        type = KL_TYPE(INTERVAL);
    } else if (id != DUCKDB_TYPE_INVALID && id != DUCKDB_TYPE_ANY && id != DUCKDB_TYPE_SQLNULL) {
        type = kl_duck__type_of(t);
    }
    kl_dk.destroy_logical_type(&t);
    return type;
}

/* DuckDB wants parameters numbered without gaps, and a printed statement need not name every value
 * that it comes with: the text gets numbers of its own, in order of appearance. A dollar inside
 * quotes is none; comments there are none in printed text. */
static size_t dense_number(struct kl_duck_plan *p, size_t *cap, size_t number) {
    for (size_t i = 0; i < p->n_params; i++) {
        if (p->params[i].number == number) {
            return i + 1;
        }
    }
    KL_GROW(p->params, *cap, p->n_params + 1);
    p->params[p->n_params] = (struct kl_duck_param){.number = number};
    return ++p->n_params;
}

static void renumber(struct kl_duck_plan *p, struct kl_slice sql, struct kl_buf *out) {
    size_t cap = 0;
    char quote = 0;
    for (size_t i = 0; i < sql.len; i++) {
        char c = sql.ptr[i];
        if (quote) {
            quote = c == quote ? 0 : quote;
        } else if (c == '\'' || c == '"') {
            quote = c;
        }
        kl_buf_putc(out, c);
        size_t number = 0, digits = 0;
        while (!quote && c == '$' && digits < 6 && i + 1 < sql.len && sql.ptr[i + 1] >= '0' &&
               sql.ptr[i + 1] <= '9') {
            number = number * 10 + (size_t)(sql.ptr[++i] - '0');
            digits++;
        }
        if (digits) {
            kl_buf_u64(out, dense_number(p, &cap, number));
        }
    }
    kl_buf_putc(out, 0);
}

static enum kl_rc prepare_text(
    struct kl_duck *d, const struct kl_duck_query *q, struct kl_duck_plan *p, struct kl_err *err) {
    struct kl_buf sql;
    kl_buf_init(&sql, 0);
    renumber(p, q->sql, &sql);
    if (sql.failed) {
        kl_buf_deinit(&sql);
        return kl_fail(err, KL_E_TOO_LARGE, "the statement is too large");
    }
    enum kl_rc rc = KL_OK;
    if (kl_dk.prepare(d->con, sql.data, &p->stmt) != DuckDBSuccess) {
        const char *text = kl_dk.prepare_error(p->stmt);
        d->broken |= kl_duck__error_breaks(text);
        rc = d->failure.rc ? d->failure.rc : kl_duck__error(text, err);
        if (d->failure.rc && err) {
            *err = d->failure;
        }
    }
    kl_buf_deinit(&sql);
    for (size_t i = 0; rc == KL_OK && i < p->n_params; i++) {
        p->params[i].type = param_type(p->stmt, i + 1);
    }
    return rc;
}

enum kl_rc kl_duck__prepare(struct kl_duck *d, const struct kl_duck_query *q,
    struct kl_duck_plan **ret, struct kl_err *err) {
    struct kl_duck_plan *p = kl_map_get(&d->plans, id_key(&q->plan_id));
    if (p) {
        unlink_plan(d, p);
        push_newest(d, p);
        *ret = p;
        return KL_OK;
    }
    if (memchr(q->sql.ptr, 0, q->sql.len)) {
        return kl_fail(err, KL_E_INVALID_SQL, "a statement cannot hold a NUL byte");
    }
    p = kl_xcalloc(1, sizeof(*p));
    p->id = q->plan_id;
    enum kl_rc rc = prepare_text(d, q, p, err);
    if (rc != KL_OK) {
        free_plan(p);
        return rc;
    }
    size_t max = d->options.max_prepared ? d->options.max_prepared : 256;
    while (d->plans.count >= max) {
        kl_duck__forget(d, d->oldest);
    }
    kl_map_put(&d->plans, id_key(&p->id), p);
    push_newest(d, p);
    *ret = p;
    return KL_OK;
}

static duckdb_state bind_embedding(
    duckdb_prepared_statement stmt, size_t i, const struct kl_val *v) {
    size_t n = v->len / sizeof(float);
    duckdb_value *items = kl_xcalloc(n + 1, sizeof(*items));
    for (size_t k = 0; k < n; k++) {
        float f;
        memcpy(&f, v->s + k * sizeof(float), sizeof(f));
        items[k] = kl_dk.create_float(f);
    }
    duckdb_logical_type type = kl_dk.create_logical_type(DUCKDB_TYPE_FLOAT);
    duckdb_value array = kl_dk.create_array_value(type, items, n);
    duckdb_state state = array ? kl_dk.bind_value(stmt, i, array) : DuckDBError;
    if (array) {
        kl_dk.destroy_value(&array);
    }
    for (size_t k = 0; k < n; k++) {
        kl_dk.destroy_value(&items[k]);
    }
    kl_dk.destroy_logical_type(&type);
    free(items);
    return state;
}

static duckdb_state bind_uuid(duckdb_prepared_statement stmt, size_t i, const struct kl_val *v) {
    duckdb_uhugeint u = {0};
    for (int k = 0; k < 8; k++) {
        u.upper = u.upper << 8 | (uint8_t)v->s[k];
        u.lower = u.lower << 8 | (uint8_t)v->s[8 + k];
    }
    duckdb_value value = kl_dk.create_uuid(u);
    duckdb_state state = kl_dk.bind_value(stmt, i, value);
    kl_dk.destroy_value(&value);
    return state;
}

static duckdb_state bind_decimal(
    duckdb_prepared_statement stmt, size_t i, const struct kl_val *v, struct kl_type want) {
    uint8_t width = want.id == KL_T_DECIMAL && want.scale == v->scale ? want.precision : 38;
    return kl_dk.bind_decimal(stmt, i,
        (duckdb_decimal){
            .width = width, .scale = v->scale, .value = {.lower = v->dec.lo, .upper = v->dec.hi}});
}

static duckdb_state bind_one(
    duckdb_prepared_statement stmt, size_t i, const struct kl_val *v, struct kl_type want) {
    if (v->null) {
        return kl_dk.bind_null(stmt, i);
    }
    switch (v->type) {
    case KL_T_BOOLEAN:
        return kl_dk.bind_boolean(stmt, i, v->b);
    case KL_T_SMALLINT:
        return kl_dk.bind_int16(stmt, i, (int16_t)v->i);
    case KL_T_INT:
        return kl_dk.bind_int32(stmt, i, (int32_t)v->i);
    case KL_T_BIGINT:
        return kl_dk.bind_int64(stmt, i, v->i);
    case KL_T_FLOAT:
        return kl_dk.bind_float(stmt, i, (float)v->d);
    case KL_T_DOUBLE:
        return kl_dk.bind_double(stmt, i, v->d);
    case KL_T_TIMESTAMP:
        return kl_dk.bind_timestamp(stmt, i, (duckdb_timestamp){.micros = v->i});
    case KL_T_DATETIME:
        return kl_dk.bind_timestamp_tz(stmt, i, (duckdb_timestamp){.micros = v->i});
    case KL_T_DATE:
        return kl_dk.bind_date(stmt, i, (duckdb_date){.days = (int32_t)v->i});
    case KL_T_TIME:
        return kl_dk.bind_time(stmt, i, (duckdb_time){.micros = v->i});
    case KL_T_TEXT:
    case KL_T_FILE:
    case KL_T_JSON:
        return kl_dk.bind_varchar_length(stmt, i, v->s ? v->s : "", v->len);
    case KL_T_BYTES:
        return kl_dk.bind_blob(stmt, i, v->s ? v->s : "", v->len);
    case KL_T_UUID:
        return bind_uuid(stmt, i, v);
    case KL_T_DECIMAL:
        return bind_decimal(stmt, i, v, want);
    case KL_T_EMBEDDING:
        return bind_embedding(stmt, i, v);
    case KL_T_INTERVAL:
        return kl_dk.bind_interval(stmt, i,
            (duckdb_interval){.months = v->iv.months, .days = v->iv.days, .micros = v->iv.us});
    default:
        return DuckDBError;
    }
}

static bool takes_text(struct kl_type want) {
    return want.id == KL_T_NULL || want.id == KL_T_TEXT || want.id == KL_T_JSON;
}

enum kl_rc kl_duck__bind_params(
    struct kl_duck_plan *p, const struct kl_duck_query *q, struct kl_err *err) {
    struct kl_arena arena;
    kl_arena_init(&arena, 0);
    enum kl_rc rc = KL_OK;
    for (size_t i = 0; i < p->n_params && rc == KL_OK; i++) {
        size_t number = p->params[i].number;
        if (number == 0 || number > q->n_params) {
            rc = kl_fail(
                err, KL_E_INVALID_PARAMETER, "there is no value for parameter $%zu", number);
            break;
        }
        struct kl_val v = q->params[number - 1];
        struct kl_type want = p->params[i].type;
        if (!v.null && (v.flags & KL_VAL_UNKNOWN) && !takes_text(want)) {
            if (want.id == KL_T_INTERVAL) {
                struct kl_interval iv;
                rc = kl_interval_parse(kl_val_slice(&q->params[number - 1]), &iv, err);
                v = (struct kl_val){.type = KL_T_INTERVAL, .iv = iv};
            } else {
                rc = kl_val_parse(want, kl_val_slice(&q->params[number - 1]), &arena, &v, err);
            }
        }
        if (rc == KL_OK && !v.null && kl_type_is_text(v.type) && !kl_utf8_valid(kl_val_slice(&v))) {
            rc = kl_fail(err, KL_E_INVALID_PARAMETER, "parameter $%zu is not valid UTF-8", number);
        }
        if (rc == KL_OK && bind_one(p->stmt, i + 1, &v, want) != DuckDBSuccess) {
            rc = kl_fail(err, KL_E_INVALID_PARAMETER,
                "parameter $%zu cannot be passed to this statement", number);
        }
    }
    kl_arena_deinit(&arena);
    return rc;
}
