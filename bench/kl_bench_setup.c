/* What the measurements need in a fresh server: namespace, tables, users with their tokens, rows to
 * look up.
 *
 *   --port N --root-token FILE --users N --tokens OUT --rows N
 *
 * Tokens come one a line; the rows to look up (bench.lookup) belong to the first user. */
#include "http.h"
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_A_STATEMENT 1000
#define FIRST_ID 100000000ULL
#define CONTENT                                                                                    \
    "The quick brown fox jumps over the lazy dog while the database keeps every word it was told."

static const char *const tables[] = {"bench.messages", "bench.lookup", "bench.live"};

static void make_tables(int port, const char *root) {
    free(kl_bench_sql(port, root, "CREATE NAMESPACE IF NOT EXISTS bench", NULL));
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        char sql[512];
        snprintf(sql, sizeof(sql),
            "CREATE TABLE %s (id BIGINT PRIMARY KEY, conversation_id BIGINT NOT NULL, role_id TEXT "
            "NOT NULL, "
            "content TEXT NOT NULL, created_at TIMESTAMP DEFAULT NOW()) WITH (TYPE = 'USER')",
            tables[i]);
        free(kl_bench_sql(port, root, sql, NULL));
    }
}

static char *log_in(int port, const char *user, const char *password) {
    char body[256];
    snprintf(body, sizeof(body), "{\"user\":\"%s\",\"password\":\"%s\"}", user, password);
    char *answer = kl_bench_post(port, "/v1/api/auth/login", NULL, body, NULL);
    char *at = strstr(answer, "\"access_token\":\"");
    if (at == NULL) {
        kl_bench_die("a login without access_token: %.300s", answer);
    }
    at += strlen("\"access_token\":\"");
    char *token = strndup(at, strcspn(at, "\""));
    free(answer);
    return token;
}

static void make_users(
    int port, const char *root, unsigned users, const char *out, char **ret_first) {
    FILE *f = fopen(out, "we");
    if (f == NULL) {
        kl_bench_die("%s cannot be written", out);
    }
    for (unsigned i = 0; i < users; i++) {
        char name[32], password[64], sql[256];
        snprintf(name, sizeof(name), "bench%u", i);
        snprintf(password, sizeof(password), "Only-For-Bench-%u", i);
        snprintf(
            sql, sizeof(sql), "CREATE USER '%s' WITH PASSWORD '%s' ROLE 'user'", name, password);
        free(kl_bench_sql(port, root, sql, NULL));
        char *token = log_in(port, name, password);
        fprintf(f, "%s\n", token);
        if (i == 0) {
            *ret_first = token;
        } else {
            free(token);
        }
    }
    if (fclose(f) != 0) {
        kl_bench_die("%s cannot be written", out);
    }
}

static void load_rows(int port, const char *token, uint64_t rows) {
    size_t size = ROWS_A_STATEMENT * (strlen(CONTENT) + 64) + 256;
    char *sql = kl_bench_alloc(size);
    for (uint64_t done = 0; done < rows;) {
        size_t len = (size_t)snprintf(
            sql, size, "INSERT INTO bench.lookup (id, conversation_id, role_id, content) VALUES");
        for (unsigned i = 0; i < ROWS_A_STATEMENT && done < rows; i++, done++) {
            len += (size_t)snprintf(sql + len, size - len, "%s (%llu, %llu, 'user', '%s')",
                i ? "," : "", (unsigned long long)(FIRST_ID + done),
                (unsigned long long)(done % 100), CONTENT);
        }
        free(kl_bench_sql(port, token, sql, NULL));
    }
    free(sql);
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"port", 1, NULL, 'p'}, {"root-token", 1, NULL, 'r'},
        {"users", 1, NULL, 'u'}, {"tokens", 1, NULL, 't'}, {"rows", 1, NULL, 'n'}, {0}};
    int c, port = 0;
    unsigned users = 64;
    uint64_t rows = 100000;
    const char *out = NULL;
    char *root = NULL, *first = NULL;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'p':
            port = (int)kl_bench_number("port", optarg, 1, 65535);
            break;
        case 'r':
            root = kl_bench_read_line(optarg);
            break;
        case 'u':
            users = (unsigned)kl_bench_number("users", optarg, 1, 100000);
            break;
        case 't':
            out = optarg;
            break;
        case 'n':
            rows = kl_bench_number("rows", optarg, 0, 100000000);
            break;
        default:
            return 1;
        }
    }
    if (port == 0 || root == NULL || out == NULL) {
        kl_bench_die("--port, --root-token and --tokens are needed");
    }
    make_tables(port, root);
    make_users(port, root, users, out, &first);
    load_rows(port, first, rows);
    return 0;
}
