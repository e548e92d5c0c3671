/* DuckDB by itself: the GROUP BY of the benchmark over a table of its own in memory.
 *
 *   --rows N --kinds N --threads N --runs N --sql TEXT
 *
 * The table is bench.facts (id, kind, n, amount) with the same values as in the server; --sql is the
 * statement that the server is asked. Prepared once; a run ends when every cell of its result was
 * read. Prints what kl_load prints. */
#include "common.h"
#include <dlfcn.h>
#include <duckdb.h>
#include <getopt.h>
#include <stdlib.h>

/* The functions used, loaded at run time: the library is not on the linker's path. */
#define FUNCTIONS(X)                                                                               \
    X(duckdb_create_config)                                                                        \
    X(duckdb_set_config)                                                                           \
    X(duckdb_open_ext)                                                                             \
    X(duckdb_connect)                                                                              \
    X(duckdb_query)                                                                                \
    X(duckdb_result_error)                                                                         \
    X(duckdb_destroy_result)                                                                       \
    X(duckdb_prepare)                                                                              \
    X(duckdb_prepare_error)                                                                        \
    X(duckdb_execute_prepared)                                                                     \
    X(duckdb_fetch_chunk)                                                                          \
    X(duckdb_destroy_data_chunk)                                                                   \
    X(duckdb_data_chunk_get_size)                                                                  \
    X(duckdb_data_chunk_get_column_count)                                                          \
    X(duckdb_data_chunk_get_vector)                                                                \
    X(duckdb_vector_get_data)
#define DECLARE(name) static __typeof__(&name) p_##name;
FUNCTIONS(DECLARE)

static void load_library(void) {
    void *lib = dlopen(KL_DUCKDB_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (lib == NULL) {
        kl_bench_die("%s", dlerror());
    }
#define RESOLVE(name)                                                                              \
    if ((p_##name = (__typeof__(&name))dlsym(lib, #name)) == NULL) {                               \
        kl_bench_die("no %s", #name);                                                              \
    }
    FUNCTIONS(RESOLVE)
}

static void run_sql(duckdb_connection c, const char *sql) {
    duckdb_result r;
    if (p_duckdb_query(c, sql, &r) != DuckDBSuccess) {
        kl_bench_die("%s: %s", sql, p_duckdb_result_error(&r));
    }
    p_duckdb_destroy_result(&r);
}

static duckdb_connection open_table(const char *threads, uint64_t rows, uint64_t kinds) {
    duckdb_config config;
    duckdb_database db;
    duckdb_connection c;
    char *error = NULL, sql[512];
    if (p_duckdb_create_config(&config) != DuckDBSuccess ||
        p_duckdb_set_config(config, "threads", threads) != DuckDBSuccess ||
        p_duckdb_open_ext(NULL, &db, config, &error) != DuckDBSuccess ||
        p_duckdb_connect(db, &c) != DuckDBSuccess) {
        kl_bench_die("DuckDB does not open: %s", error ? error : "");
    }
    run_sql(c, "CREATE SCHEMA bench");
    run_sql(c, "CREATE TABLE bench.facts (id BIGINT PRIMARY KEY, kind VARCHAR NOT NULL, n INTEGER "
               "NOT NULL, amount DOUBLE NOT NULL)");
    snprintf(sql, sizeof(sql),
        "INSERT INTO bench.facts SELECT i, printf('kind-%%03d', CAST(floor(random() * %llu) AS "
        "INTEGER)), CAST(floor(random() * 100000) AS INTEGER), floor(random() * 10000000) / 100 "
        "FROM range(%llu) t(i)",
        (unsigned long long)kinds, (unsigned long long)rows);
    run_sql(c, sql);
    return c;
}

/* Returns the number of rows of the answer. */
static uint64_t run_once(duckdb_prepared_statement s, volatile uint64_t *touched) {
    duckdb_result r;
    duckdb_data_chunk chunk;
    uint64_t rows = 0;
    if (p_duckdb_execute_prepared(s, &r) != DuckDBSuccess) {
        kl_bench_die("%s", p_duckdb_result_error(&r));
    }
    while ((chunk = p_duckdb_fetch_chunk(r)) != NULL) {
        uint64_t n = p_duckdb_data_chunk_get_size(chunk);
        for (idx_t col = 0; col < p_duckdb_data_chunk_get_column_count(chunk); col++) {
            const uint64_t *data =
                p_duckdb_vector_get_data(p_duckdb_data_chunk_get_vector(chunk, col));
            for (uint64_t i = 0; i < n; i++) {
                *touched += data[i]; /* every column is at least eight bytes wide */
            }
        }
        rows += n;
        p_duckdb_destroy_data_chunk(&chunk);
    }
    p_duckdb_destroy_result(&r);
    return rows;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"rows", 1, NULL, 'n'}, {"kinds", 1, NULL, 'k'},
        {"threads", 1, NULL, 't'}, {"runs", 1, NULL, 'r'}, {"sql", 1, NULL, 's'}, {0}};
    uint64_t rows = 1000000, kinds = 1000, runs = 20, answer = 0;
    const char *threads = "1", *sql = NULL;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'n':
            rows = kl_bench_number("rows", optarg, 1, 1000000000);
            break;
        case 'k':
            kinds = kl_bench_number("kinds", optarg, 1, 1000);
            break;
        case 't':
            threads = optarg;
            break;
        case 'r':
            runs = kl_bench_number("runs", optarg, 1, 100000);
            break;
        case 's':
            sql = optarg;
            break;
        default:
            return 1;
        }
    }
    if (sql == NULL) {
        kl_bench_die("--sql is missing");
    }
    load_library();
    duckdb_connection connection = open_table(threads, rows, kinds);
    duckdb_prepared_statement statement;
    if (p_duckdb_prepare(connection, sql, &statement) != DuckDBSuccess) {
        kl_bench_die("%s", p_duckdb_prepare_error(statement));
    }
    struct kl_bench_samples samples = {0};
    uint64_t begun = kl_bench_now_ns();
    volatile uint64_t touched = 0;
    for (uint64_t i = 0; i < runs; i++) {
        uint64_t start = kl_bench_now_ns();
        answer = run_once(statement, &touched);
        kl_bench_samples_add(&samples, kl_bench_now_ns() - start);
    }
    struct kl_bench_results r = {0};
    kl_bench_result(&r, "throughput", (double)runs * 1e9 / (double)(kl_bench_now_ns() - begun));
    kl_bench_result_latencies(&r, &samples);
    kl_bench_result(&r, "answered", (double)runs);
    kl_bench_result(&r, "answer_rows", (double)answer);
    kl_bench_report(&r, NULL);
    return 0;
}
