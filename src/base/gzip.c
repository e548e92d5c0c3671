/* gzip in memory. The limit of the output buffer is the guard against a small input that inflates
 * without end. On failure the output is as long as it was.
 *
 * When the buffer is full the next byte goes to a spare one: only a byte that really comes makes
 * the buffer grow, so that output of exactly the limit succeeds. No state, any thread. */
#include "base/text.h"

#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* largest window, gzip wrapper */
#define LARGEST_STEP ((size_t)1 << 30)

struct output {
    struct kl_buf *buf;
    unsigned char spare;
    size_t given;
};

static void give_output(struct output *o, z_stream *z) {
    size_t room = o->buf->cap - o->buf->len;
    o->given = room ? KL_MIN(room, LARGEST_STEP) : 1;
    z->next_out = room ? (Bytef *)o->buf->data + o->buf->len : &o->spare;
    z->avail_out = (uInt)o->given;
}

static bool take_output(struct output *o, z_stream *z) {
    size_t written = o->given - z->avail_out;
    if (o->buf->len < o->buf->cap) {
        o->buf->len += written;
    } else if (written) {
        kl_buf_putc(o->buf, (char)o->spare);
    }
    return !o->buf->failed;
}

static void give_input(struct kl_slice *in, z_stream *z) {
    if (z->avail_in == 0 && in->len) {
        size_t n = KL_MIN(in->len, LARGEST_STEP);
        z->next_in = (Bytef *)(uintptr_t)in->ptr;
        z->avail_in = (uInt)n;
        *in = kl_slice_from(*in, n);
    }
}

static enum kl_rc deflate_all(z_stream *z, struct kl_slice in, struct kl_buf *out) {
    struct output o = {.buf = out};
    for (;;) {
        give_input(&in, z);
        give_output(&o, z);
        int rc = deflate(z, in.len ? Z_NO_FLUSH : Z_FINISH);
        KL_ASSERT(rc != Z_STREAM_ERROR);
        if (!take_output(&o, z)) {
            return KL_E_TOO_LARGE;
        }
        if (rc == Z_STREAM_END) {
            return KL_OK;
        }
    }
}

enum kl_rc kl_gzip(struct kl_slice in, struct kl_buf *out) {
    if (out->failed) {
        return KL_E_TOO_LARGE;
    }
    z_stream z = {0};
    if (deflateInit2(&z, 1, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return KL_E_NOMEM;
    }
    size_t start = out->len;
    enum kl_rc rc = deflate_all(&z, in, out);
    deflateEnd(&z);
    if (rc != KL_OK) {
        out->len = start;
    }
    return rc;
}

/* gzip allows members one after the other; their contents are joined. */
static enum kl_rc inflate_all(z_stream *z, struct kl_slice in, struct kl_buf *out) {
    struct output o = {.buf = out};
    for (;;) {
        give_input(&in, z);
        give_output(&o, z);
        int rc = inflate(z, Z_NO_FLUSH);
        if (!take_output(&o, z)) {
            return KL_E_TOO_LARGE;
        }
        if (rc == Z_STREAM_END) {
            if (z->avail_in == 0 && in.len == 0) {
                return KL_OK;
            }
            inflateReset(z);
        } else if (rc == Z_MEM_ERROR) {
            return KL_E_NOMEM;
        } else if (rc != Z_OK) {
            return KL_E_INVALID_INPUT;
        }
    }
}

enum kl_rc kl_gunzip(struct kl_slice in, struct kl_buf *out) {
    if (out->failed) {
        return KL_E_TOO_LARGE;
    }
    z_stream z = {0};
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK) {
        return KL_E_NOMEM;
    }
    size_t start = out->len;
    enum kl_rc rc = inflate_all(&z, in, out);
    inflateEnd(&z);
    if (rc != KL_OK) {
        out->len = start;
    }
    return rc;
}
