/* The tail of the log file, line by line. The file may hold lines of another run in the other format, and lines that were cut off
 * by a crash: every line comes out as something. */
#include "server/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES ((size_t)128 << 10) /* the log cuts messages long before */

/* ---- one line ---- */

static struct kl_slice field(json_t *o, const char *name, struct kl_arena *arena) {
    json_t *v = json_object_get(o, name);
    if (!json_is_string(v)) {
        return KL_SLICE_NONE;
    }
    return kl_arena_dup(arena, kl_slice(json_string_value(v), json_string_length(v)));
}

static bool parse_json(struct kl_slice line, struct kl_arena *arena, struct kl_log_line *ret) {
    json_t *o = json_loadb(line.ptr, line.len, JSON_ALLOW_NUL, NULL);
    bool good = json_is_object(o) && json_is_string(json_object_get(o, "message"));
    if (good) {
        *ret = (struct kl_log_line){.timestamp = field(o, "timestamp", arena),
            .level = field(o, "level", arena),
            .thread = field(o, "thread", arena),
            .target = field(o, "target", arena),
            .message = field(o, "message", arena)};
    }
    json_decref(o);
    return good;
}

/* Up to the next blank; empty when there is none. */
static struct kl_slice word(struct kl_slice *rest) {
    const char *blank = memchr(rest->ptr, ' ', rest->len);
    if (blank == NULL) {
        return KL_SLICE_NONE;
    }
    size_t n = (size_t)(blank - rest->ptr);
    struct kl_slice w = kl_slice(rest->ptr, n);
    *rest = kl_slice_from(*rest, n + 1);
    return w;
}

static bool is_level(struct kl_slice s) {
    static const char *const levels[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};
    for (size_t i = 0; i < KL_LEN(levels); i++) {
        if (kl_slice_eq_str(s, levels[i])) {
            return true;
        }
    }
    return false;
}

static bool parse_compact(struct kl_slice line, struct kl_log_line *ret) {
    struct kl_slice rest = line, time = word(&rest), level = word(&rest), target = word(&rest);
    if (time.len == 0 || target.len == 0 || !is_level(level)) {
        return false;
    }
    *ret =
        (struct kl_log_line){.timestamp = time, .level = level, .target = target, .message = rest};
    return true;
}

void kl_log_line_parse(struct kl_slice line, struct kl_arena *arena, struct kl_log_line *ret) {
    bool json = line.len > 0 && line.ptr[0] == '{' && parse_json(line, arena, ret);
    if (!json && !parse_compact(line, ret)) {
        *ret = (struct kl_log_line){.message = line};
    }
}

/* ---- the file ---- */

static enum kl_rc visit_lines(
    struct kl_slice text, kl_log_file_visit *visit, void *ctx, struct kl_arena *arena) {
    enum kl_rc rc = KL_OK;
    while (rc == KL_OK && text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;
        struct kl_slice line = kl_slice(text.ptr, KL_MIN(len, LINE_MAX_BYTES));
        struct kl_log_line parsed;
        if (line.len > 0 && kl_utf8_valid(line)) {
            kl_log_line_parse(line, arena, &parsed);
            rc = visit(ctx, &parsed);
            kl_arena_reset(arena);
        }
        text = kl_slice_from(text, end != NULL ? len + 1 : len);
    }
    return rc;
}

/* The last bytes of the file, from the beginning of a line. */
static enum kl_rc read_tail(int fd, const char *path, struct kl_buf *out, struct kl_err *err) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return kl_fail(err, KL_E_IO, "cannot read log file %s: %s", path, strerror(errno));
    }
    size_t size = KL_MIN((size_t)st.st_size, KL_LOG_FILE_BYTES);
    off_t from = st.st_size - (off_t)size;
    if (!kl_buf_reserve(out, size + 1)) {
        return kl_fail(err, KL_E_NOMEM, "out of memory");
    }
    ssize_t n = pread(fd, out->data + out->len, size, from);
    if (n < 0) {
        return kl_fail(err, KL_E_IO, "cannot read log file %s: %s", path, strerror(errno));
    }
    out->len += (size_t)n;
    return KL_OK;
}

enum kl_rc kl_log_file_read(
    const char *path, kl_log_file_visit *visit, void *ctx, struct kl_err *err) {
    struct kl_buf tail = {0};
    struct kl_arena arena;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT
                   ? KL_OK
                   : kl_fail(err, KL_E_IO, "cannot read log file %s: %s", path, strerror(errno));
    }
    kl_arena_init(&arena, (size_t)4 << 20);
    enum kl_rc rc = read_tail(fd, path, &tail, err);
    struct kl_slice text = kl_buf_view(&tail);
    if (rc == KL_OK && text.len == KL_LOG_FILE_BYTES) { /* most likely in the middle of a line */
        const char *line = memchr(text.ptr, '\n', text.len);
        text = kl_slice_from(text, line != NULL ? (size_t)(line - text.ptr) + 1 : text.len);
    }
    if (rc == KL_OK) {
        rc = visit_lines(text, visit, ctx, &arena);
    }
    close(fd);
    kl_arena_deinit(&arena);
    kl_buf_deinit(&tail);
    return rc;
}
