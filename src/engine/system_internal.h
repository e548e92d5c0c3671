/* Rows of system.* and information_schema.*: what the files system_*.c share. */
#ifndef KL_ENGINE_SYSTEM_INTERNAL_H
#define KL_ENGINE_SYSTEM_INTERNAL_H

#include "engine/internal.h"

/* Rows under construction, all in the request's arena. Whoever fills a relation puts one value after the other, column by
 * column; after a failure puts do nothing. */
struct kl__sys {
    struct kl_engine *engine;
    struct kl_cat *cat;
    const struct kl_session *session;
    struct kl_arena *arena;
    struct kl_val *vals;
    size_t width, n, cap;
    size_t at; /* next column of the row being written */
    bool failed;
};

void kl__sys_put(struct kl__sys *r, struct kl_val v); /* borrows what v borrows */
void kl__sys_null(struct kl__sys *r, uint8_t type);
void kl__sys_text(struct kl__sys *r, const char *s); /* borrows; NULL: NULL */
void kl__sys_copy(struct kl__sys *r, uint8_t type, struct kl_slice s);
void kl__sys_optional(struct kl__sys *r, uint8_t type, struct kl_slice s); /* copies; empty: NULL */
void kl__sys_i16(struct kl__sys *r, int64_t i);
void kl__sys_i32(struct kl__sys *r, int64_t i);
void kl__sys_i64(struct kl__sys *r, int64_t i);
void kl__sys_bool(struct kl__sys *r, bool b);
void kl__sys_time(struct kl__sys *r, int64_t us); /* 0: NULL */
/* What is in the buffer; it can be used again afterwards. */
void kl__sys_buf(struct kl__sys *r, uint8_t type, struct kl_buf *b);
void kl__sys_type(struct kl__sys *r, struct kl_type t);              /* its name in SQL */
void kl__sys_default(struct kl__sys *r, const struct kl_default *d); /* NULL: none */
static inline enum kl_rc kl__sys_rc(const struct kl__sys *r) {
    return r->failed ? KL_E_TOO_LARGE : KL_OK;
}

/* A column as the catalog has it, and the two that every table ends with. */
struct kl__sys_col {
    const char *name;
    uint32_t id, ordinal;
    struct kl_type type;
    bool nullable;
    uint8_t pk_pos;
    const struct kl_default *def;
    const char *comment;
};
typedef void kl__sys_visit_col(
    struct kl__sys *r, const struct kl_table *t, const struct kl__sys_col *c);
void kl__sys_each_column(struct kl__sys *r, kl__sys_visit_col *visit);
/* Tables that a statement made, views too. */
static inline bool kl__sys_is_made(const struct kl_table *t) {
    return t->type != KL_TABLE_SYSTEM;
}

/* Each fills one relation, or says that it is none of its own: KL_E_AGAIN. */
enum kl_rc kl__sys_catalog(struct kl__sys *r, uint32_t relation, struct kl_err *err);
enum kl_rc kl__sys_information(struct kl__sys *r, uint32_t relation, struct kl_err *err);
enum kl_rc kl__sys_server(struct kl__sys *r, uint32_t relation, struct kl_err *err);
enum kl_rc kl__sys_stats(struct kl__sys *r, struct kl_err *err);

#endif
