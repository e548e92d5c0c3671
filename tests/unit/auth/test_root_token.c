/* The local root token: where it lies, who may read it, and that links and strangers' folders are
 * refused. */
#include "helper.h"
#include <sys/stat.h>

static char runtime[600], home[600];

static int setup(void **state) {
    world_setup(state);
    snprintf(runtime, sizeof(runtime), "%s/runtime", world.path);
    snprintf(home, sizeof(home), "%s/home", world.path);
    assert_int_equal(mkdir(runtime, 0700), 0);
    assert_int_equal(mkdir(home, 0700), 0);
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    setenv("HOME", home, 1);
    return 0;
}

static void path_of(int port, char ret[1024]) {
    struct kl_buf b = {0};
    OK(kl_root_token_path(port, &b, false, &world.err));
    snprintf(ret, 1024, "%.*s", (int)b.len, b.data);
    kl_buf_deinit(&b);
}

static void assert_file(const char *path, const char *token) {
    struct stat st;
    char text[100] = {0};
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fread(text, 1, sizeof(text), f), 64);
    fclose(f);
    assert_string_equal(text, token);
    assert_int_equal(strspn(text, "0123456789abcdef"), 64);
}

static void write_and_remove(void **state) {
    char a[65], b[65], path[1024], expected[1024];
    OK(kl_root_token_write(8080, a, &world.err));
    path_of(8080, path);
    snprintf(expected, sizeof(expected), "%s/kalamdb/8080.token", runtime);
    assert_string_equal(path, expected);
    assert_file(path, a);
    OK(kl_root_token_write(8080, b, &world.err)); /* new with every start */
    assert_string_not_equal(a, b);
    assert_file(path, b);
    kl_root_token_remove(8080);
    assert_int_not_equal(access(path, F_OK), 0);
    kl_root_token_remove(8080);
}

static void home_when_no_runtime(void **state) {
    char a[65], path[1024], expected[1024];
    setenv("XDG_RUNTIME_DIR", "/nonexistent/folder", 1);
    OK(kl_root_token_write(9, a, &world.err));
    snprintf(expected, sizeof(expected), "%s/.kalam/run/9.token", home);
    path_of(9, path);
    assert_string_equal(path, expected);
    assert_file(path, a);
    /* a reader that has a runtime folder still finds the server that had none */
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    path_of(9, path);
    assert_string_equal(path, expected);
    kl_root_token_remove(9);
    assert_int_not_equal(access(expected, F_OK), 0);
}

static void hostile_folders(void **state) {
    char a[65], folder[1024], other[1024];
    snprintf(folder, sizeof(folder), "%s/kalamdb", runtime);
    snprintf(other, sizeof(other), "%s/elsewhere", world.path);
    assert_int_equal(mkdir(other, 0700), 0);
    assert_int_equal(symlink(other, folder), 0);
    assert_int_equal(kl_root_token_write(1, a, &world.err), KL_E_IO);
    assert_int_equal(unlink(folder), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(kl_root_token_write(1, a, &world.err), KL_E_IO);
    assert_int_equal(chmod(folder, 0700), 0);
    /* a link in the file's place is replaced, not followed */
    char link[1100], target[1100];
    snprintf(link, sizeof(link), "%s/1.token", folder);
    snprintf(target, sizeof(target), "%s/victim", other);
    assert_int_equal(symlink(target, link), 0);
    OK(kl_root_token_write(1, a, &world.err));
    assert_int_not_equal(access(target, F_OK), 0);
    assert_file(link, a);
}

#define TOKEN_CASE(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {TOKEN_CASE(write_and_remove),
        TOKEN_CASE(home_when_no_runtime), TOKEN_CASE(hostile_folders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
