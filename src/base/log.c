/* The log: formats a line into a buffer of its own, then writes it with one write(2) per
 * destination under a lock, so that lines of different threads never mix and a reconfiguration
 * never pulls the file away under a writer.
 *
 * compact: 2026-01-01T10:00:00.123Z INFO target message
 * json:    {"timestamp":"…","level":"INFO","target":"…","thread":"…","message":"…"}
 *
 * A line is one event whatever the message holds: control characters are escaped in both formats. A
 * message longer than LONGEST_MESSAGE is cut. The level is an atomic read without the lock, so a
 * disabled call costs a load and a branch. A destination that cannot be written is passed over:
 * there is nowhere left to complain to. */
#include "base/log.h"
#include "base/clock.h"
#include "base/internal.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LONGEST_MESSAGE ((size_t)16 << 10)
#define LONGEST_LINE (LONGEST_MESSAGE * 6 + 1024) /* \u0000 is the longest escape of a byte */

static _Atomic int current_level = KL_LOG_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool to_console = true; /* guarded by lock */
static int file_fd = -1;       /* guarded by lock */
static _Atomic bool json;

enum kl_rc kl_log_configure(const struct kl_log_config *config, struct kl_err *err) {
    int fd = -1;
    if (config->path) {
        fd = open(config->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (fd < 0) {
            return kl_fail(
                err, KL_E_IO, "cannot open log file %s: %s", config->path, strerror(errno));
        }
    }
    pthread_mutex_lock(&lock);
    int old_fd = file_fd;
    file_fd = fd;
    to_console = config->to_console;
    pthread_mutex_unlock(&lock);
    atomic_store(&json, config->json);
    atomic_store(&current_level, (int)config->level);
    if (old_fd >= 0) {
        close(old_fd);
    }
    return KL_OK;
}

bool kl_log_enabled(enum kl_log_level level) {
    return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

static void write_all(int fd, const char *p, size_t n) {
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return;
        }
        p += done;
        n -= (size_t)done;
    }
}

static void put_timestamp(struct kl_buf *b) {
    int64_t ms = kl_clock_wall_ms();
    struct kl_buf text;
    kl_buf_init(&text, 64);
    kl_rfc3339(&text, ms / 1000 * 1000000);
    /* the part before the offset, which is +00:00 by construction */
    kl_buf_append(b, text.data, text.len - strlen("+00:00"));
    kl_buf_deinit(&text);
    kl_buf_printf(b, ".%03dZ", (int)(ms % 1000));
}

static void put_escaped(struct kl_buf *b, struct kl_slice s) {
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '\n') {
            kl_buf_puts(b, "\\n");
        } else if (c < 0x20 || c == 0x7F) {
            kl_buf_printf(b, "\\x%02x", c);
        } else {
            kl_buf_putc(b, (char)c);
        }
    }
}

static void put_compact(
    struct kl_buf *b, const char *level, const char *target, struct kl_slice msg) {
    put_timestamp(b);
    kl_buf_printf(b, " %s %s ", level, target);
    put_escaped(b, msg);
    kl_buf_putc(b, '\n');
}

static void put_json(struct kl_buf *b, const char *level, const char *target, struct kl_slice msg) {
    char thread[16] = "";
    pthread_getname_np(pthread_self(), thread, sizeof thread);
    kl_buf_puts(b, "{\"timestamp\":\"");
    put_timestamp(b);
    kl_buf_printf(b, "\",\"level\":\"%s\",\"target\":", level);
    kl_json_str(b, kl_slice_str(target));
    kl_buf_puts(b, ",\"thread\":");
    kl_json_str(b, kl_slice_str(thread));
    kl_buf_puts(b, ",\"message\":");
    kl_json_str(b, msg);
    kl_buf_puts(b, "}\n");
}

/* What fits of the message, cut where a character begins. */
static struct kl_slice format_message(char *text, size_t size, const char *fmt, va_list ap) {
    int n = vsnprintf(text, size, fmt, ap);
    if (n < 0) {
        return KL_S("(a message that cannot be formatted)");
    }
    if ((size_t)n < size) {
        return kl_slice(text, (size_t)n);
    }
    return kl_slice(text, kl_base__whole_chars(kl_slice(text, size - 1)));
}

void kl_log(enum kl_log_level level, const char *target, const char *fmt, ...) {
    if (!kl_log_enabled(level)) {
        return;
    }
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};
    KL_ASSERT((unsigned)level < KL_LEN(names));
    int saved_errno = errno;
    char text[LONGEST_MESSAGE];
    va_list ap;
    va_start(ap, fmt);
    struct kl_slice message = format_message(text, sizeof text, fmt, ap);
    va_end(ap);
    struct kl_buf line;
    kl_buf_init(&line, LONGEST_LINE);
    if (atomic_load_explicit(&json, memory_order_relaxed)) {
        put_json(&line, names[level], target, message);
    } else {
        put_compact(&line, names[level], target, message);
    }
    if (!line.failed) {
        pthread_mutex_lock(&lock);
        if (to_console) {
            write_all(STDERR_FILENO, line.data, line.len);
        }
        if (file_fd >= 0) {
            write_all(file_fd, line.data, line.len);
        }
        pthread_mutex_unlock(&lock);
    }
    kl_buf_deinit(&line);
    errno = saved_errno;
}
