/* The log file read back: what the log writes, in both formats, and lines that nobody wrote. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include "server/log_file.h"
#include "server/process.h"

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct line {
    char time[64], level[16], thread[32], target[64], message[256];
};
struct found {
    struct line lines[4000];
    size_t n, stop_at;
};

static void copy(char *to, size_t size, struct kl_slice s) { snprintf(to, size, "%.*s", KL_FMT(s)); }

static enum kl_rc visit(void *ctx, const struct kl_log_line *l) {
    struct found *f = ctx;
    struct line *to = &f->lines[f->n++];
    copy(to->time, sizeof(to->time), l->timestamp);
    copy(to->level, sizeof(to->level), l->level);
    copy(to->thread, sizeof(to->thread), l->thread);
    copy(to->target, sizeof(to->target), l->target);
    copy(to->message, sizeof(to->message), l->message);
    return f->stop_at != 0 && f->n == f->stop_at ? KL_E_TOO_LARGE : KL_OK;
}

static char *path_of(const char *name) {
    char *path = kl_xprintf("%s/%s", KL_TEST_TMP, name);
    unlink(path);
    return path;
}

static struct found *read_file(const char *path, enum kl_rc want) {
    struct found *f = kl_xcalloc(1, sizeof(*f));
    struct kl_err err = {0};
    assert_int_equal(kl_log_file_read(path, visit, f, &err), want);
    return f;
}

static void round_trip(void **state) {
    (void)state;
    for (int json = 0; json < 2; json++) {
        char *path = path_of("round.log");
        struct kl_log_config on = {.level = KL_LOG_INFO, .json = json, .path = path};
        struct kl_log_config off = {.level = KL_LOG_WARN, .to_console = true};
        struct kl_err err = {0};
        assert_int_equal(kl_log_configure(&on, &err), KL_OK);
        kl_log_info("one", "first message");
        kl_log_warn("two", "with \"quotes\", a tab\t and a brace {");
        kl_log_error("three", "two\nlines");
        assert_int_equal(kl_log_configure(&off, &err), KL_OK);
        struct found *f = read_file(path, KL_OK);
        assert_int_equal(f->n, 3);
        assert_string_equal(f->lines[0].level, "INFO");
        assert_string_equal(f->lines[0].target, "one");
        assert_string_equal(f->lines[0].message, "first message");
        assert_non_null(strchr(f->lines[0].time, 'T'));
        assert_int_equal(f->lines[0].thread[0] != '\0', json);
        assert_string_equal(f->lines[1].level, "WARN");
        assert_string_equal(f->lines[1].message, json ? "with \"quotes\", a tab\t and a brace {" : "with \"quotes\", a tab\\x09 and a brace {");
        assert_string_equal(f->lines[2].message, json ? "two\nlines" : "two\\nlines");
        free(f);
        f = kl_xcalloc(1, sizeof(*f));
        f->stop_at = 2;
        assert_int_equal(kl_log_file_read(path, visit, f, &err), KL_E_TOO_LARGE);
        assert_int_equal(f->n, 2);
        free(f);
        free(path);
    }
}

static void write_file(const char *path, const char *bytes, size_t n) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void odd_lines(void **state) {
    (void)state;
    static const char bytes[] = "plain\n\n{\"message\":5}\n{\"message\":\"no level\"}\n{broken\nT INFO x\nT NOISE x y\n\xff\xfe\n{\"timestamp\":\"T\",\"mess";
    char *path = path_of("odd.log");
    write_file(path, bytes, sizeof(bytes) - 1);
    struct found *f = read_file(path, KL_OK);
    assert_int_equal(f->n, 7);
    assert_string_equal(f->lines[0].message, "plain");
    assert_string_equal(f->lines[1].message, "{\"message\":5}");
    assert_string_equal(f->lines[2].message, "no level");
    assert_string_equal(f->lines[2].level, "");
    assert_string_equal(f->lines[3].message, "{broken");
    assert_string_equal(f->lines[4].message, "T INFO x");
    assert_string_equal(f->lines[5].message, "T NOISE x y");
    assert_string_equal(f->lines[6].message, "{\"timestamp\":\"T\",\"mess");
    free(f);
    free(path);
}

static void none_and_much(void **state) {
    (void)state;
    char *path = path_of("much.log");
    struct found *f = read_file(path, KL_OK); /* there is none */
    assert_int_equal(f->n, 0);
    free(f);
    struct kl_buf b = {0};
    for (int i = 0; b.len < KL_LOG_FILE_BYTES + 100000; i++) {
        kl_buf_printf(&b, "T INFO x %d %02000d\n", i, 0);
    }
    write_file(path, b.data, b.len);
    f = read_file(path, KL_OK);
    assert_in_range(f->n, KL_LOG_FILE_BYTES / 2100, KL_LOG_FILE_BYTES / 2000);
    for (size_t i = 0; i < f->n; i++) {
        assert_string_equal(f->lines[i].level, "INFO"); /* none begins in the middle */
    }
    kl_buf_deinit(&b);
    free(f);
    free(path);
}

static void process(void **state) {
    (void)state;
    struct kl_process_figures p;
    char out[64];
    kl_process_figures(&p);
    assert_true(p.rss_bytes > 0 && p.virtual_bytes >= p.rss_bytes && p.machine_bytes > p.rss_bytes);
    assert_true(p.threads >= 1 && p.files >= 1);
    assert_int_equal(p.files, p.regular_files + p.directories + p.unix_sockets + p.ipv4_sockets + p.ipv6_sockets + p.other_files);
    assert_true(kl_process_cpu_us() > 0);
    static const struct {
        int64_t s;
        const char *text;
    } cases[] = {{0, "0s"}, {59, "59s"}, {60, "1m 0s"}, {3599, "59m 59s"}, {3600, "1h 0m 0s"}, {90061, "1d 1h 1m 1s"}};
    for (size_t i = 0; i < KL_LEN(cases); i++) {
        kl_duration_text(cases[i].s, out, sizeof(out));
        assert_string_equal(out, cases[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(odd_lines), cmocka_unit_test(none_and_much), cmocka_unit_test(process)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
