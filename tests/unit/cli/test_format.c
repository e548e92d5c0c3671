/* CSV and JSON out, cells as text, errors with their place, options, completion. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/internal.h"

#include <locale.h>
#include <stdlib.h>

static void expect(struct kl_buf *out, const char *want) {
    kl_buf_putc(out, '\0');
    if (out->failed || strcmp(out->data, want) != 0) {
        fail_msg("\n%s\nis not\n%s", out->data, want);
    }
    kl_buf_deinit(out);
}

static void csv(void **state) {
    json_t *schema = json_loads(
        "[{\"name\":\"a,b\",\"data_type\":\"Text\"},{\"name\":\"at\",\"data_type\":\"Timestamp\"},"
        "{\"name\":\"x\",\"data_type\":\"Double\"}]",
        0, NULL);
    json_t *rows = json_loads(
        "[[\"say \\\"hi\\\"\",0,0.1],[null,null,null],[\"\",1000000,1e300],[\"a\\r\\nb\",1,-2.5],"
        "[\"plain\",null,3]]",
        0, NULL);
    struct kl_buf out = {0};
    kl_cli__csv(schema, rows, &out);
    expect(&out, "\"a,b\",at,x\r\n"
                 "\"say \"\"hi\"\"\",1970-01-01 00:00:00,0.1\r\n"
                 ",,\r\n"
                 "\"\",1970-01-01 00:00:01,1e+300\r\n"
                 "\"a\r\nb\",1970-01-01 00:00:00.000001,-2.5\r\n"
                 "plain,,3\r\n");
    json_decref(schema);
    json_decref(rows);
}

static void json(void **state) {
    static const char text[] = "{\"a\":[0.1,1,true,false,null,\"é\\n\\\"\",{}],\"b\":[]}";
    json_t *value = json_loads(text, 0, NULL);
    struct kl_buf out = {0};
    kl_cli__json(value, &out);
    expect(&out, text);
    json_decref(value);
}

static void failure(const char *all, size_t place, const char *name, int width, const char *want) {
    struct kl_buf out = {0};
    struct kl_cli_failure f = {.code = "INVALID_SQL",
        .message = "no",
        .hint = "try",
        .all = kl_slice_str(all),
        .place = place,
        .name = name,
        .width = width};
    kl_cli__failure(&f, &out);
    expect(&out, want);
}

static void errors_show_their_place(void **state) {
    failure("SELECT nope", 7, NULL, 0,
        "ERROR INVALID_SQL: no\n"
        "LINE 1: SELECT nope\n"
        "               ^\n"
        "HINT: try\n");
    failure("a;\nSELECT '日本', nope\nFROM x", 20, "s.sql", 0,
        "s.sql:2: ERROR INVALID_SQL: no\n"
        "LINE 2: SELECT '日本', nope\n"
        "                       ^\n"
        "HINT: try\n");
    failure("a\tb\tc\r\nd", 4, NULL, 0,
        "ERROR INVALID_SQL: no\n"
        "LINE 1: a b c\n"
        "            ^\n"
        "HINT: try\n");
    failure("SELECT", 6, NULL, 0,
        "ERROR INVALID_SQL: no\n"
        "LINE 1: SELECT\n"
        "              ^\n"
        "HINT: try\n");
    failure("SELECT", 99, NULL, 0, "ERROR INVALID_SQL: no\nHINT: try\n");
    failure("SELECT", SIZE_MAX, "f", 0, "f: ERROR INVALID_SQL: no\nHINT: try\n");
    failure("SELECT aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, nope, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        46, NULL, 42,
        "ERROR INVALID_SQL: no\n"
        "LINE 1: …aaaaaaaaaaaaaaaaaa, nope, bb…\n"
        "                             ^\n"
        "HINT: try\n");
}

/* Every place in a text with wide, broken and control bytes gives a caret and no crash. */
static void every_place(void **state) {
    static const char text[] = "a\xff\xe6\x97\xa5\n\x1b[1m\xf0\x9f\x98\x80 \t\r\nend";
    for (size_t i = 0; i <= sizeof(text); i++) {
        struct kl_buf out = {0};
        struct kl_cli_failure f = {
            .message = "m", .all = kl_slice(text, sizeof(text) - 1), .place = i, .width = 30};
        kl_cli__failure(&f, &out);
        assert_true(kl_utf8_valid(kl_buf_view(&out)));
        assert_null(memchr(out.data, 0x1b, out.len));
        assert_int_equal(memchr(out.data, '^', out.len) != NULL, i < sizeof(text));
        kl_buf_deinit(&out);
    }
}

static enum kl_rc parse(struct kl_cli_options *o, struct kl_err *err, const char *line) {
    static char copy[1024], *argv[64];
    int argc = 0;
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    return kl_cli__options_parse(argc, argv, o, err);
}

static void options(void **state) {
    struct kl_cli_options o;
    struct kl_err err = {0};
    assert_int_equal(parse(&o, &err, "kalam"), KL_OK);
    assert_true(o.port == 0 && o.format == KL_CLI_TABLE && o.command_count == 0 && !o.user);
    assert_int_equal(parse(&o, &err,
                         "kalam -H h -p 81 --user u --password p -c a --command b --json "
                         "--no-color --timeout 1.5 "
                         "--subscription-timeout 2"),
        KL_OK);
    assert_string_equal(o.host, "h");
    assert_int_equal(o.port, 81);
    assert_int_equal(o.command_count, 2);
    assert_string_equal(o.commands[1], "b");
    assert_int_equal(o.format, KL_CLI_JSON);
    assert_int_equal(o.timeout_ms, 1500);
    assert_int_equal(o.subscription_timeout_ms, 2000);
    assert_true(o.no_color);
    assert_int_equal(parse(&o, &err, "kalam -u http://x -f s.sql --format csv --token t"), KL_OK);
    assert_true(
        o.format == KL_CLI_CSV && strcmp(o.token, "t") == 0 && strcmp(o.file, "s.sql") == 0);
    assert_int_equal(parse(&o, &err, "kalam -v"), KL_OK);
    assert_true(o.version);
    assert_int_equal(parse(&o, &err, "kalam --help"), KL_OK);
    assert_true(o.help);
    static const char *const bad[] = {"kalam -p 0", "kalam -p 70000", "kalam -p x", "kalam -c",
        "kalam --nope", "kalam -z", "kalam extra", "kalam --format xml", "kalam --timeout -1",
        "kalam --timeout x", "kalam --timeout nan", "kalam -u http://x -p 1", "kalam -c a -f b",
        "kalam -f b --subscribe c", "kalam --user a --token b", "kalam --password x",
        "kalam --subscription-timeout 1e300"};
    for (size_t i = 0; i < KL_LEN(bad); i++) {
        memset(&err, 0, sizeof(err));
        if (parse(&o, &err, bad[i]) == KL_OK || err.msg[0] == '\0') {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

static void usage_names_every_option(void **state) {
    static const char *const names[] = {"--url", "--host", "--port", "--user", "--password",
        "--token", "--command", "--file", "--format", "--json", "--csv", "--no-color", "--timeout",
        "--subscribe", "--subscription-timeout", "--version", "--help"};
    for (size_t i = 0; i < KL_LEN(names); i++) {
        assert_non_null(strstr(kl_cli__usage, names[i]));
    }
}

static void offers(const struct kl_words *words, const char *word, const char *want) {
    char **list = NULL;
    struct kl_buf out = {0};
    size_t n = kl_words__match(words, kl_slice_str(word), &list);
    for (size_t i = 0; i < n; i++) {
        kl_buf_printf(&out, "%s%s", i ? " " : "", list[i]);
        free(list[i]);
    }
    free(list);
    expect(&out, want);
}

static void completion(void **state) {
    struct kl_words *words = NULL;
    kl_words__add_table(&words, "chat", "messages");
    kl_words__add_table(&words, "chat", "Odd Name");
    kl_words__add_table(&words, "chat", NULL);
    kl_words__add_table(&words, "chat", NULL);
    kl_words__add_table(&words, NULL, "selected_at");
    kl_words__add(&words, "evil\x1b[2J");
    offers(words, "cha", "chat. chat.\"Odd Name\" chat.messages");
    offers(words, "chat.m", "chat.messages");
    offers(words, "sel", "select selected_at");
    offers(words, "SEL", "SELECT selected_at");
    offers(words, "evil", "");
    offers(words, "\\di", "");
    offers(words, "\\d", "\\d \\dn \\dt \\du");
    offers(NULL, "wher", "where");
    kl_words_free(words);
}

int main(void) {
    setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv),
        cmocka_unit_test(json),
        cmocka_unit_test(errors_show_their_place),
        cmocka_unit_test(every_place),
        cmocka_unit_test(options),
        cmocka_unit_test(usage_names_every_option),
        cmocka_unit_test(completion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
