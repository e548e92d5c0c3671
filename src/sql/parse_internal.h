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
enum kl_rc kl_sql__parse_begin(struct kl_parser *p);
enum kl_rc kl_sql__parse_start(struct kl_parser *p); /* START TRANSACTION */
enum kl_rc kl_sql__parse_commit(struct kl_parser *p);
enum kl_rc kl_sql__parse_rollback(struct kl_parser *p);
enum kl_rc kl_sql__parse_set(struct kl_parser *p);
enum kl_rc kl_sql__parse_reset(struct kl_parser *p);
enum kl_rc kl_sql__parse_create_index(struct kl_parser *p, bool unique);
enum kl_rc kl_sql__parse_drop_index(struct kl_parser *p);
enum kl_rc kl_sql__parse_create_view(struct kl_parser *p, bool replace);
enum kl_rc kl_sql__parse_drop_view(struct kl_parser *p);
enum kl_rc kl_sql__parse_create_storage(struct kl_parser *p);
enum kl_rc kl_sql__parse_alter_storage(struct kl_parser *p);
enum kl_rc kl_sql__parse_drop_storage(struct kl_parser *p);
enum kl_rc kl_sql__parse_check_storage(struct kl_parser *p);
enum kl_rc kl_sql__parse_comment(struct kl_parser *p);
/* Statements of the dialect that this version does not have, then everything that is no statement
 * at all. */
enum kl_rc kl_sql__parse_other(struct kl_parser *p);

/* ---- ddl_column.c, ddl_options.c ---- */
/* name type constraint... ; def.pk_pos is 1 for an inline PRIMARY KEY. */
#define KL_COLUMN_CHECKS_MAX 8
struct kl_parsed_column {
    struct kl_column_def def;
    bool unique;
    struct kl_slice unique_name;
    struct kl_check_def checks[KL_COLUMN_CHECKS_MAX];
    size_t n_checks;
};
enum kl_rc kl_sql__parse_column(struct kl_parser *p, struct kl_parsed_column *ret);
/* A type as written; ret_serial: a name of the SERIAL family, which brings its default along. */
enum kl_rc kl_sql__take_type(struct kl_parser *p, struct kl_type *ret, bool *ret_serial);
/* What follows DEFAULT, for a column of this name and type. */
enum kl_rc kl_sql__take_default(
    struct kl_parser *p, struct kl_slice column, struct kl_type type, struct kl_default *ret);
/* DEFERRABLE and the like behind a constraint: what is true anyway, the rest refused by name. */
enum kl_rc kl_sql__constraint_tail(struct kl_parser *p);
/* "CHECK is not available in this version" at the current token, with a hint or NULL. */
enum kl_rc kl_sql__refuse_here(struct kl_parser *p, const char *what, const char *hint);
/* What CREATE TABLE collects behind its columns. */
struct kl_table_clauses {
    enum kl_table_type type; /* 0: not said */
    struct kl_table_options options;
    bool has_access, has_ttl, has_flush, has_retention, has_user_storage, has_max_buffer, ephemeral;
};
/* Up to the end of the statement, or AS. */
enum kl_rc kl_sql__parse_table_clauses(struct kl_parser *p, struct kl_table_clauses *ret);
enum kl_rc kl_sql__access_level(
    struct kl_parser *p, struct kl_slice text, int position, enum kl_access *ret);
/* "Invalid CREATE TABLE statement: ..." */
enum kl_rc kl_sql__bad_table(struct kl_parser *p, int position, const char *fmt, ...)
    KL_PRINTF(3, 4);

/* ---- ddl_index.c ---- */
struct kl_key_columns {
    struct kl_slice names[KL_INDEX_COLS_MAX];
    int positions[KL_INDEX_COLS_MAX];
    size_t n;
};
/* (a, b): names, none of them twice. what: "UNIQUE". */
enum kl_rc kl_sql__take_key(struct kl_parser *p, const char *what, struct kl_key_columns *ret);
/* May columns of this type be ordered by an index? */
enum kl_rc kl_sql__may_index(
    struct kl_parser *p, struct kl_slice column, struct kl_type type, int position);
/* ALTER TABLE .. ADD [CONSTRAINT name] UNIQUE: behind the word. The plan becomes CREATE_INDEX. */
enum kl_rc kl_sql__add_unique(struct kl_parser *p, struct kl_table *t, struct kl_slice name);
/* Is this relation a table of users? If not, says so and how to go on. */
enum kl_rc kl_sql__need_table(struct kl_parser *p, const struct kl_table *t, int position);

/* ---- show_create.c ---- */
/* The statement that makes the table or view anew, and its indexes and comments. */
void kl_sql__print_create(const struct kl_table *t, struct kl_buf *out);

/* ---- ddl_sql.c: PostgreSQL's SQL inside our statements ---- */
/* What stands between brackets, as written. */
enum kl_rc kl_sql__take_parens(struct kl_parser *p, struct kl_slice *ret);
/* The rest of the statement is a SELECT: binds it into plan->query; ret: its text for PostgreSQL's
 * parser. ret_with_data: WITH [NO] DATA may follow; NULL: not. */
enum kl_rc kl_sql__take_query(struct kl_parser *p, bool *ret_with_data, struct kl_slice *ret);
/* (a, b) into plan->columns. */
enum kl_rc kl_sql__take_name_list(struct kl_parser *p);
enum kl_rc kl_sql__check_name_list(struct kl_parser *p, const char *what);
/* star_text.c: the stars of a query's select lists written out, where their columns are known. The
 * text ends with a NUL before and after. */
enum kl_rc kl_sql__write_out_stars(struct kl_parser *p, struct kl_slice *text);
/* The brackets behind CHECK: a condition that parses. */
enum kl_rc kl_sql__take_check(struct kl_parser *p, struct kl_slice *ret);
/* And one that means something over this table, over the table to be made. */
enum kl_rc kl_sql__check_check(
    struct kl_parser *p, const struct kl_table *t, struct kl_slice cond, int position);
enum kl_rc kl_sql__check_checks(struct kl_parser *p, const struct kl_table_def *def);
/* At a word that ends a DEFAULT: constraints of a column begin with it. */
bool kl_sql__ends_default(const struct kl_parser *p);
/* An expression that needs nothing to be worked out, worked out; ret_is false: it is not. */
enum kl_rc kl_sql__take_constant(struct kl_parser *p, struct kl_val *ret, bool *ret_is);

#endif
