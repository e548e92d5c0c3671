/* Reads one HTTP/1.1 response from pieces of any size. No socket, no allocation that the peer
 * could size beyond the limits: head 64 KiB, body as the caller says.
 *
 * Framing follows RFC 9112 section 6.3: no body after 101, 204 and 304; then chunked; then
 * Content-Length; then all up to the end of the connection. A response with both, with two
 * different lengths, or with a length that is not a plain number is refused, since client and
 * proxy could disagree about where it ends. 1xx responses other than 101 are skipped. */
#include "client/internal.h"

void kl_http__init(struct kl_http *h, size_t max_body) {
    *h = (struct kl_http){0};
    kl_buf_init(&h->head, KL_HTTP_MAX_HEAD);
    kl_buf_init(&h->line, KL_HTTP_MAX_LINE);
    kl_buf_init(&h->body, max_body);
}

void kl_http__deinit(struct kl_http *h) {
    kl_buf_deinit(&h->head);
    kl_buf_deinit(&h->line);
    kl_buf_deinit(&h->body);
}

void kl_http__reset(struct kl_http *h) {
    kl_buf_clear(&h->head);
    kl_buf_clear(&h->line);
    kl_buf_clear(&h->body);
    h->state = KL_HTTP_HEAD;
    h->status = 0;
    h->keep_alive = false;
    h->left = 0;
    h->trailer = 0;
}

/* The line at the start of *rest without its end; moves *rest behind it. */
static struct kl_slice take_line(struct kl_slice *rest) {
    const char *lf = memchr(rest->ptr, '\n', rest->len);
    size_t n = lf ? (size_t)(lf - rest->ptr) : rest->len;
    struct kl_slice line = kl_slice(rest->ptr, n);
    *rest = kl_slice_from(*rest, lf ? n + 1 : n);
    if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
        line.len--;
    }
    return line;
}

/* The next header named `name` at or after *rest. */
static bool next_header(struct kl_slice *rest, const char *name, struct kl_slice *ret) {
    while (rest->len > 0) {
        struct kl_slice line = take_line(rest);
        const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
        if (colon == NULL) {
            continue;
        }
        size_t n = (size_t)(colon - line.ptr);
        if (kl_slice_ieq_str(kl_slice(line.ptr, n), name)) {
            *ret = kl_slice_trim(kl_slice_from(line, n + 1));
            return true;
        }
    }
    return false;
}

struct kl_slice kl_http__header(const struct kl_http *h, const char *name) {
    struct kl_slice rest = kl_buf_view(&h->head), value = KL_SLICE_NONE;
    return h->state != KL_HTTP_HEAD && next_header(&rest, name, &value) ? value : KL_SLICE_NONE;
}

/* "close, upgrade": whether a comma-separated list names the word. */
static bool list_has(struct kl_slice list, const char *word) {
    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t n = comma ? (size_t)(comma - list.ptr) : list.len;
        if (kl_slice_ieq_str(kl_slice_trim(kl_slice(list.ptr, n)), word)) {
            return true;
        }
        list = kl_slice_from(list, comma ? n + 1 : n);
    }
    return false;
}

static enum kl_rc parse_status(struct kl_http *h, struct kl_slice line, struct kl_err *err) {
    static const char want[] = "HTTP/1.";
    bool ok = line.len >= 12 && memcmp(line.ptr, want, sizeof(want) - 1) == 0 &&
              (line.ptr[7] == '0' || line.ptr[7] == '1') && line.ptr[8] == ' ' &&
              (line.len == 12 || line.ptr[12] == ' ');
    int status = 0;
    for (int i = 9; ok && i < 12; i++) {
        ok = line.ptr[i] >= '0' && line.ptr[i] <= '9';
        status = status * 10 + (line.ptr[i] - '0');
    }
    if (!ok || status < 100) {
        return kl_fail(
            err, KL_E_CORRUPT, "the answer is not HTTP/1.1: is this the port of a KalamDB server?");
    }
    h->status = status;
    h->keep_alive = line.ptr[7] == '1';
    return KL_OK;
}

static enum kl_rc parse_length(
    struct kl_http *h, struct kl_slice rest, bool *ret_has, struct kl_err *err) {
    struct kl_slice value;
    *ret_has = false;
    while (next_header(&rest, "content-length", &value)) {
        uint64_t n = 0;
        bool digits = value.len > 0 && value.ptr[0] >= '0' && value.ptr[0] <= '9';
        if (!digits || !kl_parse_u64(value, &n) || (*ret_has && n != h->left)) {
            return kl_fail(
                err, KL_E_CORRUPT, "the answer has a Content-Length that is not one number");
        }
        h->left = n;
        *ret_has = true;
    }
    return KL_OK;
}

/* The head is complete: decides how the body is framed. */
static enum kl_rc parse_head(struct kl_http *h, struct kl_err *err) {
    struct kl_slice rest = kl_buf_view(&h->head), value;
    KL_TRY(parse_status(h, take_line(&rest), err));
    if (h->status < 200 && h->status != 101) {
        kl_http__reset(h);
        return KL_OK;
    }
    h->state = KL_HTTP_DONE;
    bool has_length;
    KL_TRY(parse_length(h, rest, &has_length, err));
    value = kl_http__header(h, "connection");
    h->keep_alive = (h->keep_alive && !list_has(value, "close")) || list_has(value, "keep-alive");
    if (h->status == 101 || h->status == 204 || h->status == 304) {
        return KL_OK;
    }
    value = kl_http__header(h, "content-encoding");
    if (value.len > 0 && !kl_slice_ieq_str(value, "identity")) {
        return kl_fail(err, KL_E_CORRUPT, "the answer has an encoding that was not asked for: %.*s",
            KL_FMT(value));
    }
    value = kl_http__header(h, "transfer-encoding");
    if (value.ptr != NULL) {
        if (!kl_slice_ieq_str(value, "chunked") || has_length) {
            return kl_fail(err, KL_E_CORRUPT,
                "the answer's Transfer-Encoding is not understood: %.*s", KL_FMT(value));
        }
        h->state = KL_HTTP_CHUNK_SIZE;
    } else if (has_length) {
        if (h->left > h->body.limit) {
            return kl_fail(err, KL_E_TOO_LARGE,
                "the answer has %llu bytes, more than the limit of %zu",
                (unsigned long long)h->left, h->body.limit);
        }
        h->state = h->left > 0 ? KL_HTTP_BODY : KL_HTTP_DONE;
    } else {
        h->state = KL_HTTP_BODY_TO_END;
        h->keep_alive = false;
    }
    return KL_OK;
}

/* Looks for the empty line only where new bytes are, so that a head fed byte by byte costs its
 * length. */
static enum kl_rc feed_head(
    struct kl_http *h, struct kl_slice in, size_t *ret_used, struct kl_err *err) {
    for (size_t i = 0; i < in.len; i++) {
        kl_buf_putc(&h->head, in.ptr[i]);
        if (h->head.failed) {
            return kl_fail(err, KL_E_TOO_LARGE, "the answer's header is larger than %d bytes",
                KL_HTTP_MAX_HEAD);
        }
        const char *end = h->head.data + h->head.len;
        bool empty_line =
            in.ptr[i] == '\n' && ((h->head.len >= 2 && end[-2] == '\n') ||
                                     (h->head.len >= 3 && end[-2] == '\r' && end[-3] == '\n'));
        if (empty_line) {
            *ret_used = i + 1;
            return parse_head(h, err);
        }
    }
    *ret_used = in.len;
    return KL_OK;
}

static enum kl_rc feed_data(
    struct kl_http *h, struct kl_slice in, size_t *ret_used, struct kl_err *err) {
    size_t n = h->state == KL_HTTP_BODY_TO_END ? in.len : (size_t)KL_MIN((uint64_t)in.len, h->left);
    kl_buf_append(&h->body, in.ptr, n);
    if (h->body.failed) {
        return kl_fail(
            err, KL_E_TOO_LARGE, "the answer is larger than the limit of %zu bytes", h->body.limit);
    }
    *ret_used = n;
    if (h->state != KL_HTTP_BODY_TO_END) {
        h->left -= n;
        if (h->left == 0) {
            h->state = h->state == KL_HTTP_BODY ? KL_HTTP_DONE : KL_HTTP_CHUNK_END;
        }
    }
    return KL_OK;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum kl_rc parse_chunk_size(struct kl_http *h, struct kl_err *err) {
    struct kl_slice line = kl_buf_view(&h->line);
    uint64_t size = 0;
    size_t i = 0;
    for (; i < line.len && hex_digit(line.ptr[i]) >= 0 && i < 16; i++) {
        size = size << 4 | (uint64_t)hex_digit(line.ptr[i]);
    }
    bool ends = i == line.len || line.ptr[i] == ';' || line.ptr[i] == ' ' || line.ptr[i] == '\t';
    if (i == 0 || !ends) {
        return kl_fail(err, KL_E_CORRUPT, "the answer has a chunk without a size");
    }
    if (size > h->body.limit - h->body.len) {
        return kl_fail(
            err, KL_E_TOO_LARGE, "the answer is larger than the limit of %zu bytes", h->body.limit);
    }
    h->left = size;
    h->state = size == 0 ? KL_HTTP_TRAILER : KL_HTTP_CHUNK_DATA;
    return KL_OK;
}

/* A whole line is in h->line. */
static enum kl_rc chunk_line(struct kl_http *h, struct kl_err *err) {
    if (h->state == KL_HTTP_CHUNK_SIZE) {
        return parse_chunk_size(h, err);
    }
    if (h->state == KL_HTTP_CHUNK_END) {
        h->state = KL_HTTP_CHUNK_SIZE;
        return h->line.len == 0
                   ? KL_OK
                   : kl_fail(err, KL_E_CORRUPT, "the answer has a chunk longer than its size");
    }
    if (h->line.len == 0) {
        h->state = KL_HTTP_DONE;
    }
    return KL_OK;
}

static enum kl_rc feed_line(
    struct kl_http *h, struct kl_slice in, size_t *ret_used, struct kl_err *err) {
    const char *lf = memchr(in.ptr, '\n', in.len);
    size_t n = lf ? (size_t)(lf - in.ptr) : in.len;
    if (h->state == KL_HTTP_TRAILER) {
        h->trailer += n + 1;
    }
    kl_buf_append(&h->line, in.ptr, n);
    if (h->line.failed || h->trailer > KL_HTTP_MAX_TRAILER) {
        return kl_fail(
            err, KL_E_CORRUPT, "the answer has a chunk header or trailer that does not end");
    }
    *ret_used = lf ? n + 1 : n;
    if (lf == NULL) {
        return KL_OK;
    }
    if (h->line.len > 0 && h->line.data[h->line.len - 1] == '\r') {
        h->line.len--;
    }
    enum kl_rc rc = chunk_line(h, err);
    kl_buf_clear(&h->line);
    return rc;
}

enum kl_rc kl_http__feed(
    struct kl_http *h, struct kl_slice in, size_t *ret_used, struct kl_err *err) {
    size_t used = 0;
    while (used < in.len && h->state != KL_HTTP_DONE) {
        struct kl_slice rest = kl_slice_from(in, used);
        size_t n = 0;
        switch (h->state) {
        case KL_HTTP_HEAD:
            KL_TRY(feed_head(h, rest, &n, err));
            break;
        case KL_HTTP_BODY:
        case KL_HTTP_BODY_TO_END:
        case KL_HTTP_CHUNK_DATA:
            KL_TRY(feed_data(h, rest, &n, err));
            break;
        default:
            KL_TRY(feed_line(h, rest, &n, err));
            break;
        }
        used += n;
    }
    *ret_used = used;
    return KL_OK;
}

enum kl_rc kl_http__end(struct kl_http *h, struct kl_err *err) {
    if (h->state == KL_HTTP_BODY_TO_END) {
        h->state = KL_HTTP_DONE;
    }
    if (h->state == KL_HTTP_DONE) {
        return KL_OK;
    }
    if (h->state == KL_HTTP_HEAD && h->head.len == 0) {
        return kl_fail(err, KL_E_IO, "the server closed the connection without an answer");
    }
    return kl_fail(err, KL_E_IO, "the server closed the connection in the middle of its answer");
}
