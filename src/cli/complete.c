/* What Tab offers: SQL words, commands, and the names of the server, asked for at the first Tab
 * and again after a statement that may have changed them. */
#include "cli/internal.h"

#include <ctype.h>
#include <stdlib.h>

#define MAX_WORDS 200000

struct kl_words {
    char **word;
    size_t count, cap;
};

static const char *const keywords[] = {"ACK", "ADD", "ALL", "ALTER", "AND", "AS", "ASC",
    "BACKUP DATABASE", "BEGIN", "BETWEEN", "BIGINT", "BOOLEAN", "BY", "BYTES", "CASE", "CAST",
    "COLUMN", "COMMIT", "CONSUME FROM", "COUNT", "CREATE", "CURRENT_USER", "DATE", "DATETIME",
    "DECIMAL", "DEFAULT", "DELETE", "DESC", "DESCRIBE", "DISTINCT", "DOUBLE", "DROP", "ELSE",
    "EMBEDDING", "END", "EXECUTE AS USER", "EXISTS", "EXPLAIN", "EXPORT", "FALSE", "FILE", "FLOAT",
    "FLUSH_POLICY", "FROM", "GROUP", "HAVING", "IF", "IN", "INDEX", "INNER", "INSERT", "INT",
    "INTERVAL", "INTO", "IS", "JOIN", "JSON", "KILL", "LEFT", "LIKE", "LIMIT", "NAMESPACE", "NOT",
    "NOW", "NULL", "OFFSET", "ON", "OPTIONS", "OR", "ORDER", "PRIMARY KEY", "RENAME",
    "RESTORE DATABASE", "RETURNING", "ROLE", "ROLLBACK", "SELECT", "SET", "SHARED", "SHOW",
    "SMALLINT", "SNOWFLAKE_ID", "STORAGE", "STREAM", "SUBSCRIBE TO", "TABLE", "TABLES", "TEXT",
    "THEN", "TIME", "TIMESTAMP", "TOPIC", "TRUE", "TRUNCATE", "TYPE", "UNION", "UPDATE", "USE",
    "USER", "UUID", "VALUES", "VIEW", "WHEN", "WHERE", "WITH"};

void kl_words_free(struct kl_words *words) {
    if (words != NULL) {
        for (size_t i = 0; i < words->count; i++) {
            free(words->word[i]);
        }
        free(words->word);
        free(words);
    }
}

void kl_cli__words_forget(struct kl_cli *cli) {
    kl_words_free(cli->words);
    cli->words = NULL;
}

void kl_words__add(struct kl_words **words, const char *word) {
    if (*words == NULL) {
        *words = kl_xcalloc(1, sizeof(**words));
    }
    struct kl_words *w = *words;
    for (const char *p = word; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 127) {
            return; /* a name that cannot be typed */
        }
    }
    if (w->count < MAX_WORDS) {
        KL_GROW(w->word, w->cap, w->count + 1);
        w->word[w->count++] = kl_xstrdup(word);
    }
}

/* A name as it must be written: quoted when it would fold or not scan. */
static void put_name(struct kl_buf *out, const char *name) {
    bool plain = islower((unsigned char)name[0]) || name[0] == '_';
    for (const char *p = name; *p; p++) {
        plain = plain && (islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '_');
    }
    if (plain) {
        kl_buf_puts(out, name);
        return;
    }
    kl_buf_putc(out, '"');
    for (const char *p = name; *p; p++) {
        kl_buf_puts(out, *p == '"' ? "\"" : "");
        kl_buf_putc(out, *p);
    }
    kl_buf_putc(out, '"');
}

void kl_words__add_table(struct kl_words **words, const char *space, const char *table) {
    struct kl_buf text;
    kl_buf_init(&text, 4096);
    if (space != NULL) {
        put_name(&text, space);
        kl_buf_putc(&text, '.');
    }
    if (table != NULL) {
        put_name(&text, table);
    }
    kl_buf_putc(&text, '\0');
    if (!text.failed) {
        kl_words__add(words, text.data);
    }
    kl_buf_deinit(&text);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has_prefix(const char *word, struct kl_slice prefix) {
    return strlen(word) >= prefix.len && kl_slice_ieq(kl_slice(word, prefix.len), prefix);
}

static void add_match(char ***list, size_t *n, size_t *cap, const char *word, bool lower) {
    KL_GROW(*list, *cap, *n + 1);
    char *copy = kl_xstrdup(word);
    for (char *p = copy; lower && *p; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    (*list)[(*n)++] = copy;
}

size_t kl_words__match(const struct kl_words *words, struct kl_slice word, char ***ret) {
    char **list = NULL;
    size_t n = 0, cap = 0;
    if (word.len > 0 && word.ptr[0] == '\\') {
        for (size_t i = 0; kl_cli__command_names[i] != NULL; i++) {
            if (has_prefix(kl_cli__command_names[i], word)) {
                add_match(&list, &n, &cap, kl_cli__command_names[i], false);
            }
        }
    } else {
        bool lower = word.len > 0 && islower((unsigned char)word.ptr[0]);
        for (size_t i = 0; i < KL_LEN(keywords); i++) {
            if (word.len > 0 && has_prefix(keywords[i], word)) {
                add_match(&list, &n, &cap, keywords[i], lower);
            }
        }
        for (size_t i = 0; words != NULL && i < words->count; i++) {
            if (has_prefix(words->word[i], word)) {
                add_match(&list, &n, &cap, words->word[i], false);
            }
        }
    }
    size_t kept = 0;
    if (n > 0) {
        qsort(list, n, sizeof(*list), by_text);
    }
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && strcmp(list[kept - 1], list[i]) == 0) {
            free(list[i]);
        } else {
            list[kept++] = list[i];
        }
    }
    *ret = list;
    return kept;
}

/* Adds the names in the first two columns; failures leave them out: completion is a help, not a
 * promise. */
static void fetch(struct kl_cli *cli, const char *sql, bool tables) {
    struct kl_reply reply = {0};
    if (kl_cli__query(cli, kl_slice_str(sql), &reply, NULL) != KL_OK) {
        return;
    }
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(json_array_get(reply.results, 0), "rows"), i, row) {
        const char *first = json_string_value(json_array_get(row, 0));
        const char *second = json_string_value(json_array_get(row, 1));
        if (tables && first && second) {
            kl_words__add_table(&cli->words, first, second);
            kl_words__add_table(&cli->words, first, NULL);
            if (strcmp(first, cli->namespace_id ? cli->namespace_id : "default") == 0) {
                kl_words__add_table(&cli->words, NULL, second);
            }
        } else if (!tables && first) {
            kl_words__add_table(&cli->words, NULL, first);
        }
    }
    kl_reply_deinit(&reply);
}

size_t kl_cli__complete(struct kl_cli *cli, struct kl_slice word, char ***ret) {
    bool command = word.len > 0 && word.ptr[0] == '\\';
    if (cli->words == NULL && !command) {
        kl_words__add(&cli->words, "system.");
        fetch(cli, "SELECT table_schema, table_name FROM information_schema.tables", true);
        fetch(cli, "SELECT namespace_id, table_name FROM system.tables", true);
        fetch(cli, "SELECT DISTINCT column_name FROM information_schema.columns", false);
    }
    return kl_words__match(cli->words, word, ret);
}
