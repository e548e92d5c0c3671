/* Error texts, the log's two formats, fault points. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOG_PATH KL_TEST_TMP "/test_err_log.txt"

static void codes(void **state) {
    assert_string_equal(kl_rc_name(KL_E_CONSTRAINT), "CONSTRAINT");
    assert_string_equal(kl_rc_wire(KL_E_CONSTRAINT), "SQL_EXECUTION_ERROR");
    assert_int_equal(kl_rc_http_status(KL_E_OVERLOADED), 503);
    assert_true(kl_rc_retryable(KL_E_OVERLOADED));
    assert_false(kl_rc_retryable(KL_E_EXEC));
    assert_int_equal(KL_OK, 0);
    for (int rc = 0; rc < KL_E_COUNT_; rc++) {
        assert_non_null(kl_rc_name((enum kl_rc)rc));
        assert_in_range(kl_rc_http_status((enum kl_rc)rc), 200, 599);
    }
}

static void texts(void **state) {
    struct kl_err err;
    memset(&err, 0xAA, sizeof err);
    assert_int_equal(kl_fail_at(&err, KL_E_INVALID_SQL, 17, "near \"%s\"", "x"), KL_E_INVALID_SQL);
    assert_int_equal(err.position, 17);
    assert_string_equal(err.msg, "near \"x\"");
    assert_string_equal(err.hint, "");
    kl_err_hint(&err, "try %d", 1);
    kl_err_prefix(&err, "in %s", "view");
    assert_string_equal(err.msg, "in view: near \"x\"");
    kl_err_prefix(&err, "statement 2 - ");
    assert_string_equal(err.msg, "statement 2 - in view: near \"x\"");
    assert_string_equal(err.hint, "try 1");
    assert_int_equal(err.position, 17);
    assert_int_equal(kl_fail(&err, KL_E_EXEC, "again: %s", err.msg), KL_E_EXEC);
    assert_string_equal(err.msg, "again: statement 2 - in view: near \"x\"");
    assert_int_equal(err.position, 0);
    assert_string_equal(err.hint, "");
    kl_err_clear(&err);
    assert_int_equal(err.rc, KL_OK);
    assert_string_equal(err.msg, "");
    assert_int_equal(kl_fail(NULL, KL_E_IO, "%d", 1), KL_E_IO);
    kl_err_hint(NULL, "x");
    kl_err_prefix(NULL, "x");
    kl_err_clear(NULL);
}

/* A long text of each width of character, shifted byte by byte, must stay valid UTF-8 when cut. */
static void long_texts_are_cut_between_characters(void **state) {
    static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t c = 0; c < KL_LEN(characters); c++) {
        for (int shift = 0; shift < 5; shift++) {
            struct kl_buf text = {0};
            kl_buf_append(&text, "12345", (size_t)shift);
            for (int i = 0; i < 600; i++) {
                kl_buf_puts(&text, characters[c]);
            }
            kl_buf_putc(&text, '\0');
            struct kl_err err;
            kl_fail(&err, KL_E_EXEC, "%s", text.data);
            kl_err_hint(&err, "%s", text.data);
            assert_true(strlen(err.msg) >= sizeof err.msg - 4);
            assert_true(kl_utf8_valid(kl_slice_str(err.msg)));
            assert_true(kl_utf8_valid(kl_slice_str(err.hint)));
            assert_memory_equal(err.msg, text.data, strlen(err.msg));
            kl_err_prefix(&err, "%.*s", shift + 1, "xyzuvw");
            assert_true(strlen(err.msg) >= sizeof err.msg - 4);
            assert_true(kl_utf8_valid(kl_slice_str(err.msg)));
            kl_buf_deinit(&text);
        }
    }
}

static char *read_log(void) {
    FILE *f = fopen(LOG_PATH, "r");
    assert_non_null(f);
    char *text = kl_xcalloc(1, 8 << 20);
    size_t n = fread(text, 1, (8 << 20) - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

static int64_t fixed_wall(void *ctx) {
    return 1767261600123456;
}

static void configure(enum kl_log_level level, bool json) {
    struct kl_err err;
    unlink(LOG_PATH);
    struct kl_log_config config = {.level = level, .json = json, .path = LOG_PATH};
    assert_int_equal(kl_log_configure(&config, &err), KL_OK);
}

static int restore_log(void **state) {
    kl_clock_set_ops(NULL);
    struct kl_log_config config = {.level = KL_LOG_INFO, .to_console = true};
    return kl_log_configure(&config, NULL) != KL_OK;
}

static void compact_lines(void **state) {
    kl_clock_set_ops(&(struct kl_clock_ops){.wall_us = fixed_wall});
    configure(KL_LOG_INFO, false);
    errno = 77;
    kl_log_info("net", "listening on %s:%d", "localhost", 8080);
    assert_int_equal(errno, 77);
    kl_log_debug("net", "not shown");
    kl_log_error("store", "two\nlines\x01\x7f");
    kl_autofree char *text = read_log();
    assert_string_equal(text, "2026-01-01T10:00:00.123Z INFO net listening on localhost:8080\n"
                              "2026-01-01T10:00:00.123Z ERROR store two\\nlines\\x01\\x7f\n");
    assert_true(kl_log_enabled(KL_LOG_WARN));
    assert_false(kl_log_enabled(KL_LOG_DEBUG));
}

static void json_lines(void **state) {
    kl_clock_set_ops(&(struct kl_clock_ops){.wall_us = fixed_wall});
    configure(KL_LOG_TRACE, true);
    pthread_setname_np(pthread_self(), "tester");
    kl_log(KL_LOG_TRACE, "a\"b", "tab\there \xff");
    kl_autofree char *text = read_log();
    assert_string_equal(text,
        "{\"timestamp\":\"2026-01-01T10:00:00.123Z\",\"level\":\"TRACE\",\"target\":\"a\\\"b\","
        "\"thread\":\"tester\",\"message\":\"tab\\there \xef\xbf\xbd\"}\n");
}

static void long_messages_are_cut(void **state) {
    for (int json = 0; json < 2; json++) {
        configure(KL_LOG_INFO, json);
        kl_autofree char *message = kl_xcalloc(1, 100001);
        memset(message, json ? '\x01' : '\xc3', 100000);
        kl_log_info("t", "%s", message);
        kl_log_info("t", "next");
        kl_autofree char *text = read_log();
        char *end = strchr(text, '\n');
        assert_non_null(end);
        assert_in_range(end - text, 16000, 16 * 1024 * 6 + 1024);
        assert_non_null(strstr(end, "next"));
    }
}

static void a_file_that_cannot_be_opened(void **state) {
    struct kl_err err;
    struct kl_log_config config = {.level = KL_LOG_DEBUG, .path = KL_TEST_TMP "/no/such/folder/x"};
    assert_int_equal(kl_log_configure(&config, &err), KL_E_IO);
    assert_non_null(strstr(err.msg, "no/such/folder"));
    assert_false(kl_log_enabled(KL_LOG_DEBUG)); /* nothing changed */
}

static void *log_many(void *arg) {
    for (int i = 0; i < 500; i++) {
        kl_log_info("thread", "%s %d end", (const char *)arg, i);
    }
    return NULL;
}

static void threads_do_not_mix_lines(void **state) {
    configure(KL_LOG_INFO, false);
    pthread_t threads[4];
    static char *const names[] = {"aaaaaaaaaaaaaaaaaaaaaaaa", "b", "cccccccccccc", "d"};
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, log_many, names[i]);
    }
    struct kl_log_config config = {.level = KL_LOG_INFO, .path = LOG_PATH};
    for (int i = 0; i < 50; i++) {
        assert_int_equal(kl_log_configure(&config, NULL), KL_OK);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    kl_autofree char *text = read_log();
    int lines = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        assert_memory_equal(line + 24, " INFO thread ", 13);
        assert_string_equal(line + strlen(line) - 4, " end");
    }
    assert_int_equal(lines, 2000);
}

static void fault_points(void **state) {
#ifdef KL_FAULTS
    kl_fault_set("a:2,b:1+");
    assert_false(kl_fault("a"));
    assert_true(kl_fault("a"));
    assert_false(kl_fault("a"));
    assert_true(kl_fault("b"));
    assert_true(kl_fault("b"));
    assert_false(kl_fault("ab"));
    kl_fault_set("a:1");
    assert_true(kl_fault("a"));
    assert_false(kl_fault("b"));
    kl_fault_set(NULL);
    assert_false(kl_fault("a"));
#else
    kl_fault_set("a:1");
    assert_false(kl_fault("a"));
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes),
        cmocka_unit_test(texts),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test_teardown(compact_lines, restore_log),
        cmocka_unit_test_teardown(json_lines, restore_log),
        cmocka_unit_test_teardown(long_messages_are_cut, restore_log),
        cmocka_unit_test_teardown(a_file_that_cannot_be_opened, restore_log),
        cmocka_unit_test_teardown(threads_do_not_mix_lines, restore_log),
        cmocka_unit_test(fault_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
