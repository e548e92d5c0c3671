/* The local root token: 64 hex digits in a file that only the server's own OS user can read.
 * Whoever can read it may act as root, as the database superuser of the same machine does
 * elsewhere; it is new with every start.
 *
 * $XDG_RUNTIME_DIR/kalamdb/<port>.token when that folder is there, else
 * ~/.kalam/run/<port>.token. The file is written under another name and renamed, so that a reader
 * never sees half of it; folders must belong to us and be closed to the writing of others, or a
 * neighbour could have put a link there. Thread: whoever starts and stops the server. */
#include "auth/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_MAX_BYTES 4096

static const char *runtime_folder(void) {
    const char *dir = getenv("XDG_RUNTIME_DIR");
    struct stat st;
    return dir && dir[0] == '/' && stat(dir, &st) == 0 && S_ISDIR(st.st_mode) ? dir : NULL;
}

static bool home_folder(char *ret, size_t size) {
    const char *home = getenv("HOME");
    if (home && home[0] == '/') {
        return snprintf(ret, size, "%s", home) < (int)size;
    }
    char space[8192];
    struct passwd entry, *found = NULL;
    return getpwuid_r(geteuid(), &entry, space, sizeof(space), &found) == 0 && found &&
           found->pw_dir[0] == '/' && snprintf(ret, size, "%s", found->pw_dir) < (int)size;
}

static enum kl_rc check_folder(const char *path, struct kl_err *err) {
    struct stat st;
    if (lstat(path, &st) != 0) {
        return kl_fail(err, KL_E_IO, "%s: %s", path, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022)) {
        return kl_fail(
            err, KL_E_IO, "%s must be a folder of this user that nobody else can write to", path);
    }
    return KL_OK;
}

static enum kl_rc make_folder_at(const char *path, struct kl_err *err) {
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return kl_fail(err, KL_E_IO, "%s: %s", path, strerror(errno));
    }
    return check_folder(path, err);
}

static void put_path(struct kl_buf *out, const char *base, const char *folders, int port) {
    kl_buf_clear(out);
    kl_buf_printf(out, "%s/%s/%d.token", base, folders, port);
    kl_buf_putc(out, '\0');
}

static enum kl_rc make_folders(
    const char *base, const char *const *steps, size_t n, struct kl_err *err) {
    char path[PATH_MAX_BYTES];
    for (size_t i = 0; i < n; i++) {
        if (snprintf(path, sizeof(path), "%s/%s", base, steps[i]) >= (int)sizeof(path)) {
            return kl_fail(err, KL_E_IO, "The path of the token file is too long");
        }
        KL_TRY(make_folder_at(path, err));
    }
    return KL_OK;
}

/* The path with its closing NUL counted, so that data is a C string. */
static enum kl_rc find_path(int port, struct kl_buf *out, bool make_folder, struct kl_err *err) {
    static const char *const runtime_steps[] = {"kalamdb"}, *const home_steps[] = {
                                                                ".kalam", ".kalam/run"};
    const char *runtime = runtime_folder();
    char home[PATH_MAX_BYTES];
    bool has_home = home_folder(home, sizeof(home));
    if (!runtime && !has_home) {
        return kl_fail(err, KL_E_IO,
            "There is no place for the token file: neither XDG_RUNTIME_DIR nor a home folder");
    }
    if (runtime) {
        put_path(out, runtime, "kalamdb", port);
        /* A reader may have another environment than the server had: it takes the file that is
         * there. */
        bool elsewhere = !make_folder && has_home && access(out->data, F_OK) != 0;
        if (!elsewhere) {
            return make_folder ? make_folders(runtime, runtime_steps, KL_LEN(runtime_steps), err)
                               : KL_OK;
        }
        put_path(out, home, ".kalam/run", port);
        if (access(out->data, F_OK) != 0) {
            put_path(out, runtime, "kalamdb", port);
        }
        return KL_OK;
    }
    put_path(out, home, ".kalam/run", port);
    return make_folder ? make_folders(home, home_steps, KL_LEN(home_steps), err) : KL_OK;
}

enum kl_rc kl_root_token_path(int port, struct kl_buf *out, bool make_folder, struct kl_err *err) {
    struct kl_buf path;
    kl_buf_init(&path, PATH_MAX_BYTES * 2);
    enum kl_rc rc = find_path(port, &path, make_folder, err);
    if (rc == KL_OK && path.failed) {
        rc = kl_fail(err, KL_E_IO, "The path of the token file is too long");
    }
    if (rc == KL_OK) {
        kl_buf_append(out, path.data, path.len - 1);
    }
    kl_buf_deinit(&path);
    return rc;
}

static enum kl_rc write_file(const char *path, const char *token, struct kl_err *err) {
    char temporary[PATH_MAX_BYTES * 2 + 32];
    snprintf(temporary, sizeof(temporary), "%s.%ld.new", path, (long)getpid());
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return kl_fail(err, KL_E_IO, "%s: %s", temporary, strerror(errno));
    }
    bool ok = fchmod(fd, 0600) == 0 && write(fd, token, 64) == 64;
    ok = close(fd) == 0 && ok && rename(temporary, path) == 0;
    if (!ok) {
        enum kl_rc rc = kl_fail(err, KL_E_IO, "%s: %s", path, strerror(errno));
        unlink(temporary);
        return rc;
    }
    return KL_OK;
}

enum kl_rc kl_root_token_write(int port, char ret_token[65], struct kl_err *err) {
    struct kl_buf path = {0}, hex = {0};
    enum kl_rc rc = kl_root_token_path(port, &path, true, err);
    if (rc == KL_OK) {
        unsigned char noise[32];
        kl_random_bytes(noise, sizeof(noise));
        kl_hex_encode(&hex, kl_slice(noise, sizeof(noise)));
        OPENSSL_cleanse(noise, sizeof(noise));
        KL_ASSERT(!hex.failed && hex.len == 64);
        kl_buf_putc(&path, '\0');
        rc = write_file(path.data, hex.data, err);
    }
    if (rc == KL_OK) {
        memcpy(ret_token, hex.data, 64);
        ret_token[64] = 0;
    }
    if (hex.data) {
        OPENSSL_cleanse(hex.data, hex.len);
    }
    kl_buf_deinit(&hex);
    kl_buf_deinit(&path);
    return rc;
}

void kl_root_token_remove(int port) {
    struct kl_buf path = {0};
    if (kl_root_token_path(port, &path, false, NULL) == KL_OK) {
        kl_buf_putc(&path, '\0');
        unlink(path.data);
    }
    kl_buf_deinit(&path);
}
