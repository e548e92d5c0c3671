/* Files: whole reads with a limit, atomic replacement under every fault, folders, locks across
 * processes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "os/os.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIR_PATH KL_TEST_TMP "/test_file"

static int make_folder(void **state) {
    kl_fault_set(NULL);
    return kl_dir_remove(DIR_PATH) != KL_OK || kl_dir_make(DIR_PATH, 0755, NULL) != KL_OK;
}

static int remove_folder(void **state) {
    kl_fault_set(NULL);
    return kl_dir_remove(DIR_PATH) != KL_OK;
}

static void expect_content(const char *path, struct kl_slice expected) {
    struct kl_buf b = {0};
    struct kl_err err;
    assert_int_equal(kl_file_read(path, 1 << 24, &b, &err), KL_OK);
    assert_true(kl_slice_eq(kl_buf_view(&b), expected));
    kl_buf_deinit(&b);
}

static int entries(const char *path) {
    DIR *d = opendir(path);
    assert_non_null(d);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        n += e->d_name[0] != '.';
    }
    closedir(d);
    return n;
}

static void write_then_read(void **state) {
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 1000000};
    struct kl_err err;
    for (size_t i = 0; i < KL_LEN(sizes); i++) {
        char *data = kl_xmalloc(sizes[i]);
        kl_random_bytes(data, sizes[i]);
        struct kl_slice content = kl_slice(data, sizes[i]);
        assert_int_equal(kl_file_write_atomic(DIR_PATH "/f", content, 0600, &err), KL_OK);
        expect_content(DIR_PATH "/f", content);
        free(data);
    }
    assert_int_equal(entries(DIR_PATH), 1);
}

static void mode_is_exact(void **state) {
    struct stat st;
    mode_t before = umask(077);
    assert_int_equal(kl_file_write_atomic(DIR_PATH "/f", KL_S("x"), 0644, NULL), KL_OK);
    umask(0);
    assert_int_equal(stat(DIR_PATH "/f", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(kl_file_write_atomic(DIR_PATH "/f", KL_S("x"), 0600, NULL), KL_OK);
    umask(before);
    assert_int_equal(stat(DIR_PATH "/f", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void read_has_a_limit(void **state) {
    struct kl_err err;
    struct kl_buf b = {0};
    assert_int_equal(kl_file_write_atomic(DIR_PATH "/f", KL_S("12345"), 0600, &err), KL_OK);
    kl_buf_puts(&b, "kept");
    assert_int_equal(kl_file_read(DIR_PATH "/f", 4, &b, &err), KL_E_TOO_LARGE);
    assert_non_null(strstr(err.msg, "4 bytes"));
    assert_false(b.failed);
    assert_int_equal(b.len, 4);
    assert_int_equal(kl_file_read(DIR_PATH "/f", 5, &b, &err), KL_OK);
    assert_true(kl_slice_eq_str(kl_buf_view(&b), "kept12345"));
    kl_buf_deinit(&b);
    kl_buf_init(&b, 3);
    assert_int_equal(kl_file_read(DIR_PATH "/f", 100, &b, &err), KL_E_TOO_LARGE);
    kl_buf_deinit(&b);
}

static void failures_are_told_apart(void **state) {
    struct kl_err err;
    struct kl_buf b = {0};
    assert_int_equal(kl_file_read(DIR_PATH "/none", 10, &b, &err), KL_E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "test_file/none"));
    assert_int_equal(kl_file_read(DIR_PATH, 10, &b, &err), KL_E_IO);
    assert_int_equal(kl_file_read(DIR_PATH "/none", 10, &b, NULL), KL_E_NOT_FOUND);
    assert_int_equal(kl_file_write_atomic(DIR_PATH "/no/f", KL_S("x"), 0600, &err), KL_E_NOT_FOUND);
    assert_int_equal(kl_file_write_atomic(DIR_PATH, KL_S("x"), 0600, &err), KL_E_IO);
    assert_false(kl_path_exists(DIR_PATH "/none"));
    assert_true(kl_path_exists(DIR_PATH));
    kl_buf_deinit(&b);
}

static void a_fault_leaves_the_old_or_the_new(void **state) {
#ifdef KL_FAULTS
    static const char *const before_rename[] = {
        "os.file.write:1", "os.file.sync:1", "os.file.rename:1"};
    struct kl_err err;
    assert_int_equal(kl_file_write_atomic(DIR_PATH "/f", KL_S("old"), 0600, &err), KL_OK);
    for (size_t i = 0; i < KL_LEN(before_rename); i++) {
        kl_fault_set(before_rename[i]);
        assert_int_equal(kl_file_write_atomic(DIR_PATH "/f", KL_S("new"), 0600, &err), KL_E_IO);
        expect_content(DIR_PATH "/f", KL_S("old"));
        assert_int_equal(entries(DIR_PATH), 1);
    }
    kl_fault_set("os.dir.sync:1");
    assert_int_equal(kl_file_write_atomic(DIR_PATH "/f", KL_S("new"), 0600, &err), KL_E_IO);
    expect_content(DIR_PATH "/f", KL_S("new"));
    assert_int_equal(entries(DIR_PATH), 1);
    kl_fault_set("os.file.read:1");
    struct kl_buf b = {0};
    assert_int_equal(kl_file_read(DIR_PATH "/f", 10, &b, &err), KL_E_IO);
    kl_buf_deinit(&b);
#endif
}

static void folders_with_parents(void **state) {
    struct kl_err err;
    assert_int_equal(kl_dir_make(DIR_PATH "/a//b/c/", 0755, &err), KL_OK);
    assert_int_equal(kl_dir_make(DIR_PATH "/a/b/c", 0755, &err), KL_OK);
    assert_true(kl_path_exists(DIR_PATH "/a/b/c"));
    assert_int_equal(kl_file_write_atomic(DIR_PATH "/a/b/f", KL_S("x"), 0600, &err), KL_OK);
    assert_int_equal(kl_dir_make(DIR_PATH "/a/b/f", 0755, &err), KL_E_IO);
    assert_int_equal(kl_dir_make(DIR_PATH "/a/b/f/g", 0755, &err), KL_E_IO);
    assert_int_equal(kl_dir_make("", 0755, &err), KL_E_NOT_FOUND);
    assert_int_equal(kl_dir_make("/", 0755, &err), KL_OK);
    /* links are removed, not followed */
    assert_int_equal(kl_dir_make(DIR_PATH "/outside", 0755, &err), KL_OK);
    assert_int_equal(kl_file_write_atomic(DIR_PATH "/outside/f", KL_S("x"), 0600, &err), KL_OK);
    assert_int_equal(symlink("../outside", DIR_PATH "/a/link"), 0);
    assert_int_equal(symlink("nowhere", DIR_PATH "/a/dangling"), 0);
    assert_true(kl_path_exists(DIR_PATH "/a/dangling"));
    assert_int_equal(kl_dir_remove(DIR_PATH "/a"), KL_OK);
    assert_false(kl_path_exists(DIR_PATH "/a"));
    assert_true(kl_path_exists(DIR_PATH "/outside/f"));
    assert_int_equal(kl_dir_remove(DIR_PATH "/a"), KL_OK);
    assert_int_equal(kl_dir_remove(""), KL_E_INVALID_INPUT);
    assert_int_equal(kl_dir_remove("//"), KL_E_INVALID_INPUT);
}

static void a_relative_path(void **state) {
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(DIR_PATH), 0);
    assert_int_equal(kl_file_write_atomic("f", KL_S("x"), 0600, NULL), KL_OK);
    assert_int_equal(kl_dir_make("d/e", 0755, NULL), KL_OK);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(entries(DIR_PATH), 2);
}

static void a_lock_is_exclusive(void **state) {
    struct kl_err err;
    int fd = -1, second = -1;
    assert_int_equal(kl_file_lock(DIR_PATH "/LOCK", &fd, &err), KL_OK);
    assert_int_equal(kl_file_lock(DIR_PATH "/LOCK", &second, &err), KL_E_EXISTS);
    assert_int_equal(second, -1);
    kl_file_unlock(fd);
    assert_int_equal(kl_file_lock(DIR_PATH "/LOCK", &fd, &err), KL_OK);
    kl_file_unlock(fd);
    kl_file_unlock(-1);
    assert_int_equal(kl_file_lock(DIR_PATH "/no/LOCK", &fd, &err), KL_E_NOT_FOUND);
}

static void a_lock_dies_with_its_process(void **state) {
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd;
        bool locked = kl_file_lock(DIR_PATH "/LOCK", &fd, NULL) == KL_OK;
        ssize_t ignored = write(ready[1], locked ? "y" : "n", 1);
        (void)ignored;
        pause();
        _exit(0);
    }
    char answer = 0;
    assert_int_equal(read(ready[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    int fd;
    assert_int_equal(kl_file_lock(DIR_PATH "/LOCK", &fd, NULL), KL_E_EXISTS);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(kl_file_lock(DIR_PATH "/LOCK", &fd, NULL), KL_OK);
    kl_file_unlock(fd);
    close(ready[0]);
    close(ready[1]);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(write_then_read),
        EACH(mode_is_exact),
        EACH(read_has_a_limit),
        EACH(failures_are_told_apart),
        EACH(a_fault_leaves_the_old_or_the_new),
        EACH(folders_with_parents),
        EACH(a_relative_path),
        EACH(a_lock_is_exclusive),
        EACH(a_lock_dies_with_its_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
