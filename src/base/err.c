/* Error texts, and the table of result codes generated from api/errors.def.
 *
 * Every text is formatted into a scratch buffer first, so that an error may quote its own former
 * text: kl_fail(err, rc, "open: %s", err->msg) is fine. Texts that do not fit are cut at a
 * character boundary: they go to clients as JSON and must stay valid UTF-8. No shared state, any
 * thread. */
#include "base/err.h"
#include "base/internal.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct rc_info {
    const char *name, *wire;
    int status;
    bool retryable;
};

static const struct rc_info rc_table[] = {
#define KL_ERROR(name, wire, status, retry) {#name, wire, status, retry},
#include "../../api/errors.def"
#undef KL_ERROR
};

static const struct rc_info *rc_info(enum kl_rc rc) {
    KL_ASSERT((unsigned)rc < KL_LEN(rc_table));
    return &rc_table[rc];
}

const char *kl_rc_wire(enum kl_rc rc) {
    return rc_info(rc)->wire;
}

const char *kl_rc_name(enum kl_rc rc) {
    return rc_info(rc)->name;
}

int kl_rc_http_status(enum kl_rc rc) {
    return rc_info(rc)->status;
}

bool kl_rc_retryable(enum kl_rc rc) {
    return rc_info(rc)->retryable;
}

size_t kl_base__whole_chars(struct kl_slice s) {
    size_t start = s.len;
    while (start > 0 && s.len - start < 3 && ((unsigned char)s.ptr[start - 1] & 0xC0) == 0x80) {
        start--;
    }
    if (start == 0 || (unsigned char)s.ptr[start - 1] < 0xC0) {
        return s.len;
    }
    start--;
    struct kl_slice last = kl_slice_from(s, start);
    return last.len > 1 && kl_utf8_char(last, NULL) == last.len ? s.len : start;
}

static void trim_partial_char(char *text) {
    text[kl_base__whole_chars(kl_slice_str(text))] = '\0';
}

static void format_text(char *out, size_t size, const char *fmt, va_list ap) {
    char scratch[sizeof((struct kl_err *)0)->msg];
    KL_ASSERT(size <= sizeof scratch);
    int n = vsnprintf(scratch, size, fmt, ap);
    if (n < 0) {
        scratch[0] = '\0';
    } else if ((size_t)n >= size) {
        trim_partial_char(scratch);
    }
    memcpy(out, scratch, strlen(scratch) + 1);
}

static void fail_text(
    struct kl_err *err, enum kl_rc rc, int position, const char *fmt, va_list ap) {
    format_text(err->msg, sizeof err->msg, fmt, ap);
    err->rc = rc;
    err->position = position;
    err->hint[0] = '\0';
}

enum kl_rc kl_fail(struct kl_err *err, enum kl_rc rc, const char *fmt, ...) {
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        fail_text(err, rc, 0, fmt, ap);
        va_end(ap);
    }
    return rc;
}

enum kl_rc kl_fail_at(struct kl_err *err, enum kl_rc rc, int position, const char *fmt, ...) {
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        fail_text(err, rc, position, fmt, ap);
        va_end(ap);
    }
    return rc;
}

void kl_err_hint(struct kl_err *err, const char *fmt, ...) {
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        format_text(err->hint, sizeof err->hint, fmt, ap);
        va_end(ap);
    }
}

void kl_err_prefix(struct kl_err *err, const char *fmt, ...) {
    if (!err) {
        return;
    }
    char prefix[sizeof err->msg];
    va_list ap;
    va_start(ap, fmt);
    format_text(prefix, sizeof prefix, fmt, ap);
    va_end(ap);
    size_t len = strlen(prefix);
    const char *separator = len == 0 || prefix[len - 1] == ' ' ? "" : ": ";
    char whole[2 * sizeof err->msg + 2];
    snprintf(whole, sizeof whole, "%s%s%s", prefix, separator, err->msg);
    if (strlen(whole) < sizeof err->msg) {
        memcpy(err->msg, whole, strlen(whole) + 1);
        return;
    }
    memcpy(err->msg, whole, sizeof err->msg - 1);
    err->msg[sizeof err->msg - 1] = '\0';
    trim_partial_char(err->msg);
}

void kl_err_clear(struct kl_err *err) {
    if (err) {
        err->rc = KL_OK;
        err->position = 0;
        err->msg[0] = '\0';
        err->hint[0] = '\0';
    }
}
