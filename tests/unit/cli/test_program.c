/* The whole program against a server of the test: what it prints, where, and its exit code. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/internal.h"
#include "../client/fake_server.h"

#include <fcntl.h>
#include <sys/stat.h>

static char home[200];
static const char *runtime_folder; /* XDG_RUNTIME_DIR of the program, NULL for none */

/* Refuses "nope" at its place, asks for a subscription on SUBSCRIBE, says the rest back. */
static bool answer(int fd, const char *request, const char *body) {
    static char json[65536];
    if (strstr(request, "Authorization: Bearer 0123abcd\r\n") == NULL) {
        fake_json(fd, 401,
            "{\"status\":\"error\",\"error\":{\"code\":\"INVALID_CREDENTIALS\",\"message\":"
            "\"Invalid credentials\"},"
            "\"results\":[],\"took\":0}");
        return true;
    }
    json_t *in = json_loads(body, 0, NULL);
    const char *sql = json_string_value(json_object_get(in, "sql")),
               *nope = sql ? strstr(sql, "nope") : NULL;
    const char *space = json_string_value(json_object_get(in, "namespace_id"));
    static int busy;
    if (sql && strstr(sql, "busy") && busy++ < 2) {
        fake_json(fd, 429,
            "{\"status\":\"error\",\"results\":[],\"error\":{\"code\":\"RATE_LIMIT_EXCEEDED\","
            "\"message\":\"x\"}}");
        json_decref(in);
        return true;
    }
    if (nope != NULL) {
        snprintf(json, sizeof(json),
            "{\"status\":\"error\",\"results\":[],\"took\":1,\"error\":{\"code\":\"SQL_EXECUTION_"
            "ERROR\","
            "\"message\":\"Statement 1 failed: no such thing\",\"position\":%d}}",
            (int)(nope - sql) + 1);
        fake_json(fd, 400, json);
    } else if (sql && strncmp(sql, "USE", 3) == 0) {
        fake_json(fd, 200,
            "{\"status\":\"success\",\"results\":[{\"row_count\":0,\"message\":\"Namespace "
            "switched to 'app'\"}],"
            "\"took\":1}");
    } else if (sql && strncmp(sql, "big", 3) == 0) {
        size_t n = (size_t)snprintf(json, sizeof(json),
            "{\"status\":\"success\",\"took\":1,\"results\":[{\"row_count\":1,\"schema\":[{"
            "\"name\":\"a\"}],\"rows\":[[\"");
        memset(json + n, 'x', 50000);
        snprintf(json + n + 50000, 100, "\"]]}]}");
        fake_json(fd, 200, json);
    } else {
        json_t *out = json_pack("{s:s,s:f,s:[{s:i,s:[{s:s,s:s},{s:s,s:s}],s:[[s,s?]]}]}", "status",
            "success", "took", 1.0, "results", "row_count", 1, "schema", "name", "sql", "data_type",
            "Text", "name", "ns", "data_type", "Text", "rows", sql, space);
        char *text = json_dumps(out, 0);
        fake_json(fd, 200, text);
        free(text);
        json_decref(out);
    }
    json_decref(in);
    return true;
}

static struct fake_server server;

static int start(void **state) {
    server = fake_start(answer);
    char path[400];
    snprintf(home, sizeof(home), "%s/cli-home-%d", KL_TEST_TMP, (int)getpid());
    mkdir(home, 0700);
    snprintf(path, sizeof(path), "%s/.kalam", home);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/.kalam/run", home);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/.kalam/run/%d.token", home, server.port);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    bool ok = fd >= 0 && write(fd, "0123abcd\n", 9) == 9;
    close(fd);
    return ok ? 0 : 1;
}

static int stop(void **state) {
    fake_stop(&server);
    return 0;
}

struct outcome {
    int code;
    struct kl_buf out, err;
};

static void read_to(int fd, struct kl_buf *to) {
    char bytes[4096];
    for (ssize_t n; (n = read(fd, bytes, sizeof(bytes))) > 0;) {
        kl_buf_append(to, bytes, (size_t)n);
    }
    kl_buf_putc(to, '\0');
    close(fd);
}

/* Runs kalam in a process of its own; arguments after "-p PORT". `close_after`: that much of its
 * output is read. */
static struct outcome run(const char *input, bool close_output, const char *const *args) {
    int in[2], out[2], err[2];
    assert_true(pipe(in) == 0 && pipe(out) == 0 && pipe(err) == 0);
    char port[16], *argv[32] = {(char *)"kalam", (char *)"-p", port};
    int argc = 3;
    snprintf(port, sizeof(port), "%d", server.port);
    for (; args[argc - 3]; argc++) {
        argv[argc] = (char *)args[argc - 3];
    }
    if (close_output) {
        close(out[0]);
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(err[1], 2);
        close(in[1]);
        close(out[1]);
        close(err[1]);
        unsetenv("XDG_RUNTIME_DIR");
        if (runtime_folder != NULL) {
            setenv("XDG_RUNTIME_DIR", runtime_folder, 1);
        }
        unsetenv("KALAMDB_TOKEN");
        setenv("HOME", home, 1);
        _exit(kl_cli_main(argc, argv));
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    assert_int_equal(write(in[1], input, strlen(input)), (ssize_t)strlen(input));
    close(in[1]);
    struct outcome o = {0};
    if (!close_output) {
        read_to(out[0], &o.out);
    }
    read_to(err[0], &o.err);
    int status = 0;
    waitpid(pid, &status, 0);
    o.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return o;
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void check(struct outcome o, int code, const char *out, const char *err) {
    if (o.code != code || (out && strcmp(o.out.data, out) != 0) || strcmp(o.err.data, err) != 0) {
        fail_msg("exit %d\n%s\n--\n%s", o.code, o.out.data ? o.out.data : "", o.err.data);
    }
    kl_buf_deinit(&o.out);
    kl_buf_deinit(&o.err);
}

static void commands_run_in_order(void **state) {
    check(run("", false, ARGS("--csv", "-c", "SELECT 1; SELECT 2", "-c", "x")), 0,
        "sql,ns\r\nSELECT 1;,\r\n\r\nsql,ns\r\nSELECT 2,\r\n\r\nsql,ns\r\nx,\r\n", "");
    check(run("", false, ARGS("-c", "a", "--no-color")), 0,
        "┌─────┬──────┐\n│ sql │ ns   │\n├─────┼──────┤\n│ a   │ NULL │\n└─────┴──────┘\n(1 row)\n",
        "");
}

static void the_first_error_stops(void **state) {
    check(run("", false, ARGS("--csv", "-c", "ok; select nope; never")), 1, "sql,ns\r\nok;,\r\n",
        "ERROR SQL_EXECUTION_ERROR: no such thing\nLINE 1: ok; select nope; never\n                "
        "   ^\n");
}

static void scripts_come_from_standard_input(void **state) {
    check(run("-- head\nfirst;\n\nSELECT\n  nope;\nnever;\n", false, ARGS("--csv")), 1,
        "sql,ns\r\nfirst;,\r\n",
        "stdin:5: ERROR SQL_EXECUTION_ERROR: no such thing\nLINE 5:   nope;\n          ^\n");
    check(run("BEGIN;\na;\nCOMMIT; b", false, ARGS("--csv", "-f", "-")), 0,
        "sql,ns\r\n\"BEGIN;\na;\nCOMMIT;\",\r\n\r\nsql,ns\r\nb,\r\n", "");
}

static void a_broken_script_is_told(void **state) {
    check(run("first;\nSELECT 'a\xff';\n", false, ARGS("--csv")), 1, "sql,ns\r\nfirst;,\r\n",
        "stdin:2: ERROR: the statement is not valid UTF-8\nLINE 2: SELECT 'a�';\n"
        "                 ^\n");
}

static void a_limited_statement_waits(void **state) {
    check(run("busy", false, ARGS("--csv")), 0, "sql,ns\r\nbusy,\r\n", "");
}

static void the_namespace_is_kept(void **state) {
    check(run("USE app;\nx;\n\\format json\n\\use app\n", false, ARGS("--csv")), 0, NULL, "");
    check(run("USE app;\nx;\n", false, ARGS("--csv")), 0, "sql,ns\r\nx;,app\r\n", "");
}

static void backslash_commands_work_in_scripts(void **state) {
    check(run("\\as al'ice SELECT 1;\n\\format csv\n\\as \"b c\" x\n\\q\nnever;", false,
              ARGS("--csv")),
        0,
        "sql,ns\r\n\"EXECUTE AS USER 'al''ice' (SELECT 1\n)\",\r\n\r\nsql,ns\r\n\"EXECUTE AS USER "
        "'b c' (x\n)\",\r\n",
        "");
    check(run("\\nothing\n", false, ARGS("--csv")), 1, "",
        "ERROR: unknown command \\nothing\nHINT: \\? lists the commands.\n");
}

static void a_closed_pipe_is_quiet(void **state) {
    check(run("", true, ARGS("-c", "big", "-c", "big")), 1, NULL, "");
}

static void a_wrong_token_is_told(void **state) {
    struct outcome o = run("", false, ARGS("--token", "wrong", "-c", "SELECT 1"));
    assert_int_equal(o.code, 1);
    assert_non_null(strstr(o.err.data, "INVALID_CREDENTIALS"));
    kl_buf_deinit(&o.out);
    kl_buf_deinit(&o.err);
}

static void a_missing_token_is_told(void **state) {
    char path[400];
    snprintf(path, sizeof(path), "%s/.kalam/run/%d.token", home, server.port);
    assert_int_equal(
        rename(path, home[0] ? strcat(strcpy((char[500]){0}, path), ".away") : path), 0);
    struct outcome o = run("", false, ARGS("-c", "SELECT 1"));
    assert_int_equal(o.code, 1);
    assert_non_null(strstr(o.err.data, "no local root token"));
    kl_buf_deinit(&o.out);
    kl_buf_deinit(&o.err);
    assert_int_equal(rename(strcat(strcpy((char[500]){0}, path), ".away"), path), 0);
}

/* A token file that a killed server left behind does not hide the one of the living. */
static void a_stale_token_is_passed_over(void **state) {
    char path[400];
    snprintf(path, sizeof(path), "%s/kalamdb", home);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/kalamdb/%d.token", home, server.port);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    assert_int_equal(write(fd, "0ld\n", 4), 4);
    close(fd);
    runtime_folder = home;
    check(run("x", false, ARGS("--csv")), 0, "sql,ns\r\nx,\r\n", "");
    runtime_folder = NULL;
    assert_int_equal(unlink(path), 0);
}

static void no_server_is_told(void **state) {
    fake_stop(&server);
    struct outcome o = run("", false, ARGS("-c", "SELECT 1"));
    assert_int_equal(o.code, 1);
    assert_non_null(strstr(o.err.data, "Is the server running?"));
    kl_buf_deinit(&o.out);
    kl_buf_deinit(&o.err);
    server = fake_start(answer);
}

static void usage(void **state) {
    struct outcome o = run("", false, ARGS("--nope"));
    assert_int_equal(o.code, 2);
    kl_buf_deinit(&o.out);
    kl_buf_deinit(&o.err);
    o = run("", false, ARGS("--version"));
    assert_int_equal(o.code, 0);
    assert_int_equal(strncmp(o.out.data, "kalam ", 6), 0);
    kl_buf_deinit(&o.out);
    kl_buf_deinit(&o.err);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_run_in_order),
        cmocka_unit_test(the_first_error_stops),
        cmocka_unit_test(scripts_come_from_standard_input),
        cmocka_unit_test(a_broken_script_is_told),
        cmocka_unit_test(a_limited_statement_waits),
        cmocka_unit_test(the_namespace_is_kept),
        cmocka_unit_test(backslash_commands_work_in_scripts),
        cmocka_unit_test(a_closed_pipe_is_quiet),
        cmocka_unit_test(a_wrong_token_is_told),
        cmocka_unit_test(a_missing_token_is_told),
        cmocka_unit_test(a_stale_token_is_passed_over),
        cmocka_unit_test(usage),
        cmocka_unit_test(no_server_is_told),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
