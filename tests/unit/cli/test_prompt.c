/* The prompt on a terminal of the test's own: lines that add up, completion, Ctrl+C, history. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/internal.h"
#include "../client/fake_server.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/stat.h>

static bool answer(int fd, const char *request, const char *body) {
    static char json[65536];
    if (strstr(request, "/auth/me") != NULL) {
        fake_json(fd, 200, "{\"user\":{\"id\":\"root\",\"role\":\"system\"}}");
        return true;
    }
    if (strstr(request, "/healthcheck") != NULL) {
        fake_json(fd, 200, "{\"status\":\"healthy\",\"version\":\"9.9.9\"}");
        return true;
    }
    json_t *in = json_loads(body, 0, NULL);
    const char *sql = json_string_value(json_object_get(in, "sql"));
    if (sql && strstr(sql, "information_schema.tables")) {
        fake_json(fd, 200,
            "{\"status\":\"success\",\"took\":1,\"results\":[{\"row_count\":1,\"schema\":[{"
            "\"name\":\"a\"},"
            "{\"name\":\"b\"}],\"rows\":[[\"chat\",\"messages\"]]}]}");
    } else if (sql && strstr(sql, "slow")) {
        usleep(5000000);
        return false;
    } else {
        char *text = json_dumps(json_object_get(in, "sql"), JSON_ENCODE_ANY);
        snprintf(json, sizeof(json),
            "{\"status\":\"success\",\"took\":1,\"results\":[{\"row_count\":0,\"message\":%s}]}",
            text ? text : "\"\"");
        fake_json(fd, 200, json);
        free(text);
    }
    json_decref(in);
    return true;
}

static struct fake_server server;
static char home[200];
static struct kl_buf screen; /* all that was shown so far */
static size_t seen;          /* what was already expected */
static int terminal;
static pid_t kalam;

static void open_prompt(void) {
    char port[16];
    snprintf(port, sizeof(port), "%d", server.port);
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    fflush(NULL);
    kalam = forkpty(&terminal, NULL, NULL, &size);
    if (kalam == 0) {
        char *argv[] = {(char *)"kalam", (char *)"-p", port, (char *)"--token", (char *)"t", NULL};
        setenv("HOME", home, 1);
        setenv("TERM", "xterm", 1);
        setenv("NO_COLOR", "1", 1);
        _exit(kl_cli_main(5, argv));
    }
    kl_buf_clear(&screen);
    seen = 0;
}

/* Waits until the text is shown after all that was expected before. */
static void expect(const char *text) {
    for (int64_t end = kl_clock_mono_ms() + 8000; kl_clock_mono_ms() < end;) {
        const char *found = screen.len > seen
                                ? memmem(screen.data + seen, screen.len - seen, text, strlen(text))
                                : NULL;
        if (found != NULL) {
            seen = (size_t)(found - screen.data) + strlen(text);
            return;
        }
        struct pollfd p = {.fd = terminal, .events = POLLIN};
        char bytes[4096];
        if (poll(&p, 1, 100) > 0) {
            ssize_t n = read(terminal, bytes, sizeof(bytes));
            if (n <= 0) {
                break;
            }
            kl_buf_append(&screen, bytes, (size_t)n);
        }
    }
    fail_msg("not shown: %s\nin:\n%.*s", text, (int)(screen.len - seen), screen.data + seen);
}

static void type(const char *text) {
    assert_int_equal(write(terminal, text, strlen(text)), (ssize_t)strlen(text));
}

static void leave(void) {
    int status = 0;
    type("\\q\n");
    waitpid(kalam, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(terminal);
}

static int start(void **state) {
    server = fake_start(answer);
    snprintf(home, sizeof(home), "%s/prompt-home-%d", KL_TEST_TMP, (int)getpid());
    mkdir(home, 0700);
    kl_buf_init(&screen, 16 << 20);
    return 0;
}

static int stop(void **state) {
    fake_stop(&server);
    kl_buf_deinit(&screen);
    return 0;
}

static void statements_take_several_lines(void **state) {
    open_prompt();
    expect("KalamDB 9.9.9");
    expect("as root");
    expect("kalam> ");
    type("select 1,\n");
    expect("-> ");
    type("'a\n");
    expect("'> ");
    type("b' as x; select 2;\n");
    expect("select 1,\\n'a\\nb' as x;");
    expect("ms)");
    expect("select 2;");
    expect("kalam> ");
    leave();
}

static void tab_completes(void **state) {
    open_prompt();
    expect("kalam> ");
    type("sel\t");
    expect("ect ");
    type("* from chat.m\t");
    expect("essages ");
    type("x;\n");
    expect("select * from chat.messages x;");
    expect("ms)");
    expect("kalam> ");
    leave();
}

static void an_interrupt_drops_what_was_typed(void **state) {
    open_prompt();
    expect("kalam> ");
    type("select (\n");
    expect("(> ");
    type("'abc\x03");
    expect("kalam> ");
    type("select 3;\n");
    expect("select 3;");
    expect("select 3; (");
    expect("kalam> ");
    type("select (\n");
    expect("(> ");
    type("\\r\n");
    expect("kalam> ");
    leave();
}

static void an_interrupt_stops_a_statement(void **state) {
    open_prompt();
    expect("kalam> ");
    type("slow;\n");
    usleep(300000);
    int64_t start_ms = kl_clock_mono_ms();
    type("\x03");
    expect("cancelled");
    assert_true(kl_clock_mono_ms() - start_ms < 3000);
    expect("kalam> ");
    leave();
}

static void history_keeps_statements_but_no_secrets(void **state) {
    char path[300];
    struct stat st;
    open_prompt();
    expect("kalam> ");
    type("create user u with password 'x';\n");
    expect("ms)");
    expect("kalam> ");
    type("select\n");
    expect("-> ");
    type("'remember me';\n");
    expect("ms)");
    expect("kalam> ");
    leave();
    snprintf(path, sizeof(path), "%s/.kalam/history", home);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    char text[8192] = "";
    FILE *file = fopen(path, "r");
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    assert_true(n > 0);
    assert_null(strstr(text, "password"));
    assert_non_null(strstr(text, "remember"));
    open_prompt();
    expect("kalam> ");
    type("\x1b[A\x1b[A");
    expect("'remember me';");
    type("\n");
    expect("ms)");
    expect("kalam> ");
    leave();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_take_several_lines),
        cmocka_unit_test(tab_completes),
        cmocka_unit_test(an_interrupt_drops_what_was_typed),
        cmocka_unit_test(an_interrupt_stops_a_statement),
        cmocka_unit_test(history_keeps_statements_but_no_secrets),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
