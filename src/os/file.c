/* Files whole, folders, locks. Everything here blocks: not for loop threads, but at start, shutdown
 * and in background pools. Messages name the path and the system's reason. Any thread. */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP ((size_t)64 << 10)
#define OPEN_FOLDERS 16 /* descriptors that a recursive removal may hold */

static enum kl_rc io_failed(struct kl_err *err, const char *doing, const char *path) {
    int code = errno;
    enum kl_rc rc = code == ENOENT ? KL_E_NOT_FOUND : KL_E_IO;
    return kl_fail(err, rc, "cannot %s %s: %s", doing, path, strerror(code));
}

/* ---- reading ---- */

static enum kl_rc read_all(
    int fd, const char *path, size_t max, struct kl_buf *out, struct kl_err *err) {
    char step[READ_STEP];
    size_t total = 0;
    for (;;) {
        ssize_t n = kl_fault("os.file.read") ? (errno = EIO, -1) : read(fd, step, sizeof step);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return io_failed(err, "read", path);
        }
        if (n == 0) {
            return KL_OK;
        }
        total += (size_t)n;
        kl_buf_append(out, step, total <= max ? (size_t)n : 0);
        if (total > max || out->failed) {
            return kl_fail(err, KL_E_TOO_LARGE, "%s is larger than %zu bytes", path,
                KL_MIN(max, out->limit ? out->limit : max));
        }
    }
}

enum kl_rc kl_file_read(
    const char *path, size_t max_bytes, struct kl_buf *out, struct kl_err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return io_failed(err, "open", path);
    }
    size_t start = out->len;
    enum kl_rc rc = read_all(fd, path, max_bytes, out, err);
    close(fd);
    if (rc != KL_OK) {
        out->len = start;
    }
    return rc;
}

/* ---- writing ---- */

/* The folder that holds path; to be freed. */
static char *parent_of(const char *path) {
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    while (len > 0 && path[len - 1] != '/') {
        len--;
    }
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    return len ? kl_xprintf("%.*s", (int)len, path) : kl_xstrdup(".");
}

static enum kl_rc sync_parent(const char *path, struct kl_err *err) {
    kl_autofree char *parent = parent_of(path);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return io_failed(err, "open", parent);
    }
    int rc = kl_fault("os.dir.sync") ? (errno = EIO, -1) : fsync(fd);
    int code = errno;
    close(fd);
    errno = code;
    /* some file systems keep names durable by themselves and do not know fsync of a folder */
    return rc == 0 || code == EINVAL ? KL_OK : io_failed(err, "sync", parent);
}

static int write_all(int fd, struct kl_slice content) {
    while (content.len > 0) {
        ssize_t n =
            kl_fault("os.file.write") ? (errno = ENOSPC, -1) : write(fd, content.ptr, content.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        content = kl_slice_from(content, (size_t)n);
    }
    return 0;
}

/* Contents and mode are on disk when it returns KL_OK. The mode is set apart from open() to be free
 * of the umask. */
static enum kl_rc write_synced(
    const char *path, struct kl_slice content, unsigned mode, struct kl_err *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return io_failed(err, "create", path);
    }
    const char *failed = NULL;
    if (write_all(fd, content) != 0) {
        failed = "write";
    } else if (fchmod(fd, mode) != 0) {
        failed = "set the mode of";
    } else if (kl_fault("os.file.sync") ? (errno = EIO, true) : fsync(fd) != 0) {
        failed = "sync";
    }
    enum kl_rc rc = failed ? io_failed(err, failed, path) : KL_OK;
    if (close(fd) != 0 && rc == KL_OK) {
        rc = io_failed(err, "close", path);
    }
    return rc;
}

enum kl_rc kl_file_write_atomic(
    const char *path, struct kl_slice content, unsigned mode, struct kl_err *err) {
    kl_autofree char *temporary =
        kl_xprintf("%s.tmp.%016llx", path, (unsigned long long)kl_random_u64());
    enum kl_rc rc = write_synced(temporary, content, mode, err);
    if (rc == KL_OK &&
        (kl_fault("os.file.rename") ? (errno = EIO, true) : rename(temporary, path) != 0)) {
        rc = io_failed(err, "replace", path);
    }
    if (rc != KL_OK) {
        unlink(temporary);
        return rc;
    }
    return sync_parent(path, err);
}

/* ---- folders ---- */

static enum kl_rc make_one(const char *path, unsigned mode, struct kl_err *err) {
    if (mkdir(path, mode) == 0) {
        return sync_parent(path, err);
    }
    struct stat st;
    int code = errno;
    if (code == EEXIST && stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            return KL_OK;
        }
        code = ENOTDIR;
    }
    errno = code;
    return io_failed(err, "make folder", path);
}

enum kl_rc kl_dir_make(const char *path, unsigned mode, struct kl_err *err) {
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        return KL_OK;
    }
    kl_autofree char *part = kl_xstrdup(path);
    for (char *p = part + 1; *part && *p; p++) {
        if (*p == '/' && p[-1] != '/') {
            *p = '\0';
            enum kl_rc rc = make_one(part, mode, err);
            *p = '/';
            if (rc != KL_OK) {
                return rc;
            }
        }
    }
    return make_one(part, mode, err);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where) {
    return remove(path);
}

enum kl_rc kl_dir_remove(const char *path) {
    if (!*path || strspn(path, "/") == strlen(path)) {
        return KL_E_INVALID_INPUT; /* nobody means the root */
    }
    if (nftw(path, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
        return KL_E_IO;
    }
    return KL_OK;
}

bool kl_path_exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0;
}

/* ---- lock ---- */

/* flock() belongs to the open file, so a second open in the same process conflicts too, and the
 * kernel lets go of it however the process ends. The file stays: removing it would let two
 * processes lock two files of one name. */
enum kl_rc kl_file_lock(const char *path, int *ret_fd, struct kl_err *err) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return io_failed(err, "open lock file", path);
    }
    int rc;
    do {
        rc = flock(fd, LOCK_EX | LOCK_NB);
    } while (rc != 0 && errno == EINTR);
    if (rc == 0) {
        *ret_fd = fd;
        return KL_OK;
    }
    enum kl_rc result = errno == EWOULDBLOCK
                            ? kl_fail(err, KL_E_EXISTS, "%s is locked by another process", path)
                            : io_failed(err, "lock", path);
    close(fd);
    return result;
}

void kl_file_unlock(int fd) {
    if (fd >= 0) {
        close(fd);
    }
}
