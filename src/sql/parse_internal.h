/* KalamDB's own statements, by recursive descent over the tokens of scan.h: what the parse_*.c and
 * ddl_*.c files share. */
#ifndef KL_SQL_PARSE_INTERNAL_H
#define KL_SQL_PARSE_INTERNAL_H

#include "sql/internal.h"

struct kl_parser {
    const struct kl_sql_ctx *ctx;
    struct kl_slice stmt;
    struct kl_scan scan;
    struct kl_tok tok; /* not yet consumed */
    struct kl_plan *plan;
    struct kl_arena *arena; /* the plan's */
    struct kl_err *err;
};

/* ---- parse_token.c ---- */
void kl_sql__parser_init(struct kl_parser *p, const struct kl_sql_ctx *ctx, struct kl_slice stmt,
    struct kl_err *err); /* no plan yet */
void kl_sql__advance(struct kl_parser *p);
static inline int kl_sql__here(const struct kl_parser *p) {
    return kl_sql__tok_pos(&p->scan, &p->tok);
}
bool kl_sql__at_word(const struct kl_parser *p, const char *word);
/* Consumes the word(s) if they are next: "IF NOT EXISTS" whole or not at all. */
bool kl_sql__take(struct kl_parser *p, const char *words);
bool kl_sql__take_punct(struct kl_parser *p, char c);
bool kl_sql__take_op(struct kl_parser *p, const char *op);
enum kl_rc kl_sql__need(struct kl_parser *p, const char *words);
enum kl_rc kl_sql__need_punct(struct kl_parser *p, char c);
enum kl_rc kl_sql__need_op(struct kl_parser *p, const char *op);
enum kl_rc kl_sql__need_end(struct kl_parser *p);
enum kl_rc kl_sql__syntax_error(
    struct kl_parser *p); /* at the current token, in PostgreSQL's words */
/* Values; all copied into the plan's arena. */
enum kl_rc kl_sql__take_name(struct kl_parser *p, struct kl_slice *ret); /* an identifier, folded */
enum kl_rc kl_sql__take_string(struct kl_parser *p, struct kl_slice *ret); /* 'x' */
enum kl_rc kl_sql__take_text(
    struct kl_parser *p, struct kl_slice *ret); /* either; identifiers as written */
enum kl_rc kl_sql__take_count(
    struct kl_parser *p, const char *what, int64_t min, int64_t max, int64_t *ret);
struct kl_table_name {
    struct kl_slice ns, name; /* ns: the session's when not given */
    int position;
};
enum kl_rc kl_sql__take_table(struct kl_parser *p, struct kl_table_name *ret);

/* ---- what the statements have in common ---- */
void kl_sql__start_plan(struct kl_parser *p, enum kl_plan_kind kind);
enum kl_rc kl_sql__known_table(
    struct kl_parser *p, const struct kl_table_name *name, struct kl_table **ret);
enum kl_rc kl_sql__table_label(
    struct kl_parser *p, const struct kl_table_name *name, struct kl_slice *ret); /* "ns.name" */

/* ---- the statements; the word(s) that chose the function are consumed ---- */
enum kl_rc kl_sql__parse_create_table(struct kl_parser *p, enum kl_table_type prefix /* 0: none */);
enum kl_rc kl_sql__parse_alter_table(struct kl_parser *p);
enum kl_rc kl_sql__parse_drop_table(struct kl_parser *p);
enum kl_rc kl_sql__parse_create_namespace(struct kl_parser *p);
enum kl_rc kl_sql__parse_alter_namespace(struct kl_parser *p);
enum kl_rc kl_sql__parse_drop_namespace(struct kl_parser *p);
enum kl_rc kl_sql__parse_use(struct kl_parser *p);
enum kl_rc kl_sql__parse_create_user(struct kl_parser *p);
enum kl_rc kl_sql__parse_alter_user(struct kl_parser *p);
enum kl_rc kl_sql__parse_drop_user(struct kl_parser *p);
enum kl_rc kl_sql__parse_show(struct kl_parser *p);
enum kl_rc kl_sql__parse_describe(struct kl_parser *p);
enum kl_rc kl_sql__parse_kill(struct kl_parser *p);
/* Statements of the dialect that this version does not have, then everything that is no statement
 * at all. */
enum kl_rc kl_sql__parse_other(struct kl_parser *p);

/* ---- ddl_column.c, ddl_options.c ---- */
/* name type constraint... ; ret->pk_pos is 1 for an inline PRIMARY KEY. */
enum kl_rc kl_sql__parse_column(struct kl_parser *p, struct kl_column_def *ret);
/* What CREATE TABLE collects behind its columns. */
struct kl_table_clauses {
    enum kl_table_type type; /* 0: not said */
    struct kl_table_options options;
    bool has_access, has_ttl, has_flush, has_retention, has_user_storage, has_max_buffer, ephemeral;
};
enum kl_rc kl_sql__parse_table_clauses(struct kl_parser *p, struct kl_table_clauses *ret);
enum kl_rc kl_sql__access_level(
    struct kl_parser *p, struct kl_slice text, int position, enum kl_access *ret);
/* "Invalid CREATE TABLE statement: ..." */
enum kl_rc kl_sql__bad_table(struct kl_parser *p, int position, const char *fmt, ...)
    KL_PRINTF(3, 4);

#endif
