/* Shared inside cli/. Pure parts first (they are what the unit tests drive), then the session. One
 * thread. */
#ifndef KL_CLI_INTERNAL_H
#define KL_CLI_INTERNAL_H

#include "cli/cli.h"
#include "client/client.h"
#include "types/types.h"

#include <stdio.h>

/* ---- options.c ---- */
enum kl_cli_format { KL_CLI_TABLE, KL_CLI_JSON, KL_CLI_CSV };

struct kl_cli_options {
    const char *url, *host;
    int port; /* 0: default */
    const char *user, *password, *token;
    const char *commands[64];
    size_t command_count;
    const char *file;
    const char *subscribe;
    enum kl_cli_format format;
    bool no_color, version, help;
    int timeout_ms;              /* 0: none */
    int subscription_timeout_ms; /* 0: none */
};
/* Borrows from argv. */
enum kl_rc kl_cli__options_parse(
    int argc, char **argv, struct kl_cli_options *ret, struct kl_err *err);
bool kl_cli__format_parse(const char *name, enum kl_cli_format *ret);
const char *kl_cli__format_name(enum kl_cli_format format);
extern const char kl_cli__usage[];

/* ---- split.c ---- */
enum kl_split_kind {
    KL_SPLIT_NONE,      /* nothing but white space and comments is left */
    KL_SPLIT_STATEMENT, /* up to its ';', which is part of the text */
    KL_SPLIT_COMMAND,   /* a line that starts with a backslash, without its end */
    KL_SPLIT_OPEN,      /* the text ends inside this statement */
};

struct kl_split_part {
    enum kl_split_kind kind;
    struct kl_slice text;
    size_t offset; /* of text in the whole */
    char open;     /* OPEN: what is missing: ; ' " $ * ( or t, the end of a transaction */
};
/* The next part at or after *pos; moves *pos behind it. A transaction from BEGIN to COMMIT or
 * ROLLBACK is one part, since it must travel as one request. */
void kl_cli__split_next(struct kl_slice all, size_t *pos, struct kl_split_part *ret);
/* "SELECT … OPTIONS (last_rows = 5, …)": cuts the options off. Unknown names and values are
 * errors. *ret_options is a new object, {} without OPTIONS. */
enum kl_rc kl_cli__split_options(
    struct kl_slice text, struct kl_slice *ret_sql, json_t **ret_options, struct kl_err *err);

/* ---- text.c ---- */
/* Columns on a terminal; needs a UTF-8 locale for LC_CTYPE. */
int kl_cli__width(struct kl_slice text);
/* Appends text with everything that could move the cursor or turn the direction spelled out. */
void kl_cli__clean(struct kl_buf *out, struct kl_slice text);
/* Appends at most `columns` columns, the last an ellipsis when something is cut; returns the
 * columns written. */
int kl_cli__cut(struct kl_buf *out, struct kl_slice text, int columns);
void kl_cli__pad(struct kl_buf *out, int columns);

/* ---- cell.c ---- */
/* The type a schema entry names; KL_T_NULL when it is none that is known here. */
struct kl_type kl_cli__column_type(const json_t *column);
/* As people read it: timestamps as dates, bytes as hex. NULL writes nothing. */
void kl_cli__cell_text(const json_t *cell, struct kl_type type, struct kl_buf *out);
/* Compact JSON, doubles with the digits they need. */
void kl_cli__json(const json_t *value, struct kl_buf *out);

/* ---- grid.c ---- */
enum kl_cli_expanded { KL_CLI_WIDE, KL_CLI_TALL, KL_CLI_AUTO };
struct kl_grid_style {
    int width; /* of the terminal; 0: no limit */
    bool color;
    enum kl_cli_expanded expanded; /* AUTO: tall when the columns do not fit */
};
/* Rows are arrays as long as schema. */
void kl_cli__grid(const json_t *schema, const json_t *rows, const struct kl_grid_style *style,
    struct kl_buf *out);

/* ---- csv.c ---- */
void kl_cli__csv_field(struct kl_buf *out, struct kl_slice text);
void kl_cli__csv(const json_t *schema, const json_t *rows, struct kl_buf *out);

/* ---- error.c ---- */
struct kl_cli_failure {
    const char *code; /* may be NULL */
    const char *message, *hint;
    struct kl_slice all; /* the text that the place is in; empty: no place is shown */
    size_t place;        /* offset in `all`; SIZE_MAX: unknown */
    const char *name;    /* of the file, NULL for none */
    int width;           /* of the terminal, 0 no limit */
    bool color;
};
void kl_cli__failure(const struct kl_cli_failure *failure, struct kl_buf *out);

/* ---- the session ---- */
/* Where statements come from, for the places of errors. */
struct kl_cli_source {
    const char *name;
    struct kl_slice all;
};

struct kl_words; /* complete.c */

struct kl_cli {
    struct kl_cli_options o;
    struct kl_url url;
    struct kl_client *client;
    bool interactive, color, timing, local_token, quit;
    bool out_failed;  /* standard output is gone */
    bool csv_printed; /* the next CSV result needs an empty line before it */
    enum kl_cli_format format;
    enum kl_cli_expanded expanded;
    char *namespace_id;          /* NULL: the server's default */
    char *user, *role, *version; /* NULL until known */
    struct kl_words *words;
    int include_depth;
    char *local_secret; /* the local root token in use */
};

/* session.c */
enum kl_rc kl_cli__connect(struct kl_cli *cli, struct kl_err *err);
void kl_cli__forget_secret(struct kl_cli *cli);
/* Fills user, role and version as far as the server tells. */
void kl_cli__describe(struct kl_cli *cli);
/* One request, with the namespace of the session; waits while the server says "too many". */
enum kl_rc kl_cli__query(
    struct kl_cli *cli, struct kl_slice sql, struct kl_reply *ret, struct kl_err *err);
/* The two places a local root token may be, the one of this server first. Empty when unknown. */
void kl_cli__token_paths(int port, char ret[2][4096]);

/* run.c; false: failed, and said so */
bool kl_cli__run_sql(
    struct kl_cli *cli, struct kl_slice sql, const struct kl_cli_source *source, size_t offset);
bool kl_cli__run_text(struct kl_cli *cli, struct kl_slice text, const char *name);
bool kl_cli__run_file(struct kl_cli *cli, const char *path);
void kl_cli__print(struct kl_cli *cli, struct kl_buf *out); /* to standard output; clears out */
void kl_cli__complain(struct kl_cli *cli, const struct kl_err *err);
int kl_cli__terminal_width(struct kl_cli *cli);

/* command.c: a line that starts with a backslash */
bool kl_cli__run_command(struct kl_cli *cli, struct kl_slice line);
extern const char *const kl_cli__command_names[];

/* watch.c */
bool kl_cli__watch(struct kl_cli *cli, const char *sql, const char *id, json_t *options);

/* prompt.c */
int kl_cli__prompt(struct kl_cli *cli);
bool kl_cli__ask(const char *question, bool echo, char *ret, size_t size);

/* complete.c */
void kl_words_free(struct kl_words *words);
void kl_cli__words_forget(struct kl_cli *cli);
/* Candidates for `word`, sorted, each once: *ret is an array of *ret_n strings, both freed by the
 * caller. */
size_t kl_cli__complete(struct kl_cli *cli, struct kl_slice word, char ***ret);
void kl_words__add(struct kl_words **words, const char *word);
void kl_words__add_table(struct kl_words **words, const char *space, const char *table);
size_t kl_words__match(const struct kl_words *words, struct kl_slice word, char ***ret);

/* signal.c */
int kl_cli__signals_init(void); /* returns kl_cli__interrupt_fd */
int kl_cli__interrupt_fd(void); /* becomes readable with Ctrl+C */
bool kl_cli__interrupted(void);
void kl_cli__interrupt_clear(void);

#endif
