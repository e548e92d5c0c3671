/* What survives. A child process (this program again) commits synced batches and reports each one
 * after it was acknowledged; it is killed at a random moment. After reopening, every acknowledged
 * batch is there and whole, and no other one is there in part, nor a commit of several. Then the log file is cut and damaged
 * by hand: a torn end opens, damage before acknowledged records does not. */
#include "store_test.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static const char *folder;
static const char *self;

/* Batch n: 1 to 8 rows, spread over the families, of 20 to 3,000 bytes. */
static unsigned rows_of(uint32_t n) {
    return 1 + n * 7 % 8;
}

static struct kl_slice row_key(uint32_t n, unsigned row, char out[16]) {
    return kl_slice(out, (size_t)snprintf(out, 16, "%08u-%u", n, row));
}

static size_t row_bytes(uint32_t n, unsigned row) {
    return 20 + (n * 131 + row * 977) % 2980;
}

static void fill(struct kl_batch *b, uint32_t n) {
    static char value[3000];
    kl_batch_clear(b);
    for (unsigned row = 0; row < rows_of(n); row++) {
        char key[16];
        memset(value, (int)(n + row), sizeof(value));
        kl_batch_put(
            b, row % KL_CF_COUNT, row_key(n, row, key), kl_slice(value, row_bytes(n, row)));
    }
}

/* ---- the child: child FOLDER FIRST; prints the number of the last acknowledged batch ---- */

static int child_main(const char *path, uint32_t n) {
    struct kl_store *s;
    struct kl_store_options options = {.path = path, .write_buffer_bytes = 1 << 20};
    if (kl_store_open(&options, &s, NULL) != KL_OK) {
        return 2;
    }
    struct kl_batch *b[3] = {kl_batch_new(s), kl_batch_new(s), kl_batch_new(s)};
    for (;;) {
        size_t together = 1 + n % 3; /* commits of one to three batches */
        for (size_t i = 0; i < together; i++) {
            fill(b[i], n + (uint32_t)i);
        }
        if (kl_store_commit(s, b, together, true, NULL) != KL_OK) {
            return 3;
        }
        n += (uint32_t)together;
        uint32_t last = n - 1;
        if (write(STDOUT_FILENO, &last, sizeof(last)) != sizeof(last)) {
            return 4;
        }
    }
}

/* Returns the last acknowledged batch; first - 1 when there is none. */
static uint32_t run_and_kill(uint32_t first) {
    int fds[2];
    char first_text[16];
    snprintf(first_text, sizeof(first_text), "%u", first);
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
        execl("/proc/self/exe", self, "child", folder, first_text, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    uint32_t last = first - 1, got, wanted = (uint32_t)below(400);
    while (last + 1 - first < wanted && read(fds[0], &got, sizeof(got)) == sizeof(got)) {
        last = got;
    }
    /* Not only right after an acknowledgement. */
    nanosleep(&(struct timespec){.tv_nsec = (long)below(1000000)}, NULL);
    kill(pid, SIGKILL);
    while (read(fds[0], &got, sizeof(got)) == sizeof(got)) {
        last = got;
    }
    close(fds[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    return last;
}

/* How many rows of batch n are there, checked. */
static unsigned rows_there(struct kl_store *s, uint32_t n) {
    unsigned count = 0;
    for (unsigned row = 0; row < rows_of(n); row++) {
        char key[16];
        struct kl_pinned p = {0};
        enum kl_rc rc = kl_store_get(s, NULL, row % KL_CF_COUNT, row_key(n, row, key), &p, NULL);
        if (rc == KL_OK) {
            assert_int_equal(p.value.len, row_bytes(n, row));
            assert_int_equal((uint8_t)p.value.ptr[p.value.len - 1], (uint8_t)(n + row));
            count++;
        } else {
            assert_int_equal(rc, KL_E_NOT_FOUND);
        }
        kl_pinned_release(&p);
    }
    return count;
}

static void test_kill_during_commits(void **state) {
    uint32_t next = 0;
    int unacknowledged = 0;
    for (int round = 0; round < 12; round++) {
        uint32_t acknowledged_end = run_and_kill(next) + 1;
        struct kl_store *s = open_store(folder);
        for (uint32_t n = 0; n < acknowledged_end; n++) {
            assert_int_equal(rows_there(s, n), rows_of(n));
        }
        /* What was under way: a batch is there or not, and none is there without those before
         * it. */
        bool ended = false;
        uint32_t commit = 1 + acknowledged_end % 3; /* batches of the commit that was under way */
        for (uint32_t i = 1; i < commit; i++) {
            assert_int_equal(
                rows_there(s, acknowledged_end + i) > 0, rows_there(s, acknowledged_end) > 0);
        }
        for (next = acknowledged_end; next < acknowledged_end + 6; next++) {
            unsigned there = rows_there(s, next);
            assert_true(there == 0 || there == rows_of(next));
            assert_false(ended && there);
            ended |= there == 0;
            unacknowledged += there > 0;
        }
        next = acknowledged_end;
        kl_store_close(s);
    }
    print_message("%u batches, %d unacknowledged ones found\n", next, unacknowledged);
}

/* ---- damage to the log ---- */

enum { LOGGED = 100, LOG_ROW = 1000 };

/* 100 synced commits of one row of about 1 KB, all of them in the log only. */
static void make_log(void) {
    kl_dir_remove(folder);
    struct kl_store *s = open_store(folder);
    struct kl_batch *b = kl_batch_new(s);
    for (int i = 0; i < LOGGED; i++) {
        char key[16], value[LOG_ROW];
        for (size_t j = 0; j < sizeof(value); j += 8) {
            uint64_t r = rnd();
            memcpy(value + j, &r, 8);
        }
        kl_batch_clear(b);
        kl_batch_put(b, KL_CF_ROW, kl_slice(key, (size_t)snprintf(key, sizeof(key), "%03d", i)),
            kl_slice(value, sizeof(value)));
        assert_ok(kl_store_commit(s, &b, 1, true, NULL));
    }
    kl_batch_free(b);
    kl_store_close(s);
}

static int open_newest_log(off_t least, off_t *ret_size) {
    DIR *dir = opendir(folder);
    char path[1024] = "";
    const struct dirent *e;
    long newest = -1;
    assert_non_null(dir);
    while ((e = readdir(dir))) {
        const char *dot = strrchr(e->d_name, '.');
        if (dot && strcmp(dot, ".log") == 0 && atol(e->d_name) > newest) {
            newest = atol(e->d_name);
            snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        }
    }
    closedir(dir);
    int fd = open(path, O_RDWR);
    struct stat st;
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    assert_true(st.st_size > least);
    *ret_size = st.st_size;
    return fd;
}

static int open_log(off_t *ret_size) {
    return open_newest_log(LOGGED * LOG_ROW, ret_size);
}

/* The first `want` rows and no others. */
static void expect_rows(int want) {
    struct kl_store *s = open_store(folder);
    struct kl_iter_options options = {.cf = KL_CF_ROW};
    struct kl_iter *it = kl_iter_new(s, &options);
    int count = 0;
    for (kl_iter_seek_first(it); kl_iter_valid(it); kl_iter_next(it), count++) {
        char key[16];
        snprintf(key, sizeof(key), "%03d", count);
        assert_true(kl_slice_eq_str(kl_iter_key(it), key));
    }
    assert_ok(kl_iter_status(it, NULL));
    assert_int_equal(count, want);
    kl_iter_free(it);
    kl_store_close(s);
}

static void expect_refusal(void) {
    struct kl_store_options options = {.path = folder};
    struct kl_store *s = NULL;
    struct kl_err err = {0};
    assert_int_equal(kl_store_open(&options, &s, &err), KL_E_CORRUPT);
    assert_null(s);
    assert_true(err.hint[0] != 0);
}

static void test_torn_end_of_log(void **state) {
    off_t size;
    for (int i = 0; i < 8; i++) {
        make_log();
        int fd = open_log(&size);
        off_t cut = i == 0 ? 1 : i == 1 ? LOG_ROW : 1 + (off_t)below(10 * LOG_ROW);
        assert_int_equal(ftruncate(fd, size - cut), 0);
        close(fd);
        /* A record is a little longer than its row, so this is exact for cuts of up to ten
         * records. */
        off_t record = size / LOGGED;
        expect_rows(LOGGED - 1 - (int)((cut - 1) / record));
        expect_rows(LOGGED - 1 - (int)((cut - 1) / record)); /* and stays so */
    }
}

/* A commit of three batches that write to every family, cut off at every kind of place: all of it is
 * there or nothing. */
static void test_torn_commit_of_several_batches(void **state) {
    for (int i = 0; i < 12; i++) {
        make_log();
        struct kl_store *s = open_store(folder);
        struct kl_batch *b[3];
        for (uint32_t n = 0; n < 3; n++) {
            b[n] = kl_batch_new(s);
            fill(b[n], n + 3);
        }
        assert_ok(kl_store_commit(s, b, 3, true, NULL));
        for (uint32_t n = 0; n < 3; n++) {
            assert_int_equal(rows_there(s, n + 3), rows_of(n + 3));
            kl_batch_free(b[n]);
        }
        kl_store_close(s);
        off_t size;
        int fd = open_newest_log(1000, &size);
        off_t cut = i == 0 ? 0 : i == 1 ? 1 : (off_t)below((uint64_t)size);
        assert_int_equal(ftruncate(fd, size - cut), 0);
        close(fd);
        s = open_store(folder);
        for (uint32_t n = 3; n < 6; n++) {
            assert_int_equal(rows_there(s, n), cut ? 0 : rows_of(n));
        }
        kl_store_close(s);
    }
}

static void test_zeros_after_the_log(void **state) {
    static const char zeros[40000];
    off_t size;
    make_log();
    int fd = open_log(&size);
    assert_int_equal(pwrite(fd, zeros, sizeof(zeros), size), sizeof(zeros));
    close(fd);
    expect_rows(LOGGED);
}

static void test_damage_inside_the_log_is_refused(void **state) {
    off_t size;
    for (int i = 0; i < 5; i++) {
        make_log();
        int fd = open_log(&size);
        off_t at = LOG_ROW + (off_t)below((uint64_t)size - 5 * LOG_ROW);
        char c;
        assert_int_equal(pread(fd, &c, 1, at), 1);
        c ^= 0x10;
        assert_int_equal(pwrite(fd, &c, 1, at), 1);
        expect_refusal();
        /* Refusing changed nothing: with the byte put right everything is there. */
        c ^= 0x10;
        assert_int_equal(pwrite(fd, &c, 1, at), 1);
        close(fd);
        expect_rows(LOGGED);
    }
}

static int clean_up(void **state) {
    kl_dir_remove(folder);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "child") == 0) {
        return child_main(argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
    }
    seed_from_env();
    self = argv[0];
    folder = fresh_folder("crash");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_kill_during_commits, clean_up),
        cmocka_unit_test_teardown(test_torn_end_of_log, clean_up),
        cmocka_unit_test_teardown(test_torn_commit_of_several_batches, clean_up),
        cmocka_unit_test_teardown(test_zeros_after_the_log, clean_up),
        cmocka_unit_test_teardown(test_damage_inside_the_log_is_refused, clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
