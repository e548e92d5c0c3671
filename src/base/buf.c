/* Growable bytes with a maximum, and the reader of what was written to them.
 *
 * Memory doubles and never passes the limit. One byte more than `cap` is allocated, which lets
 * vsnprintf put its NUL behind text that fills the buffer exactly; it is not part of the contents.
 * On failure `cap` is lowered to `len`, so that the inline fast path of kl_buf_putc() fails too.
 * One owner at a time. */
#include "base/buf.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_LIMIT ((size_t)64 << 20)
#define FIRST_CAP ((size_t)64)

void kl_buf_init(struct kl_buf *b, size_t limit) {
    *b = (struct kl_buf){.limit = limit};
}

void kl_buf_deinit(struct kl_buf *b) {
    free(b->data);
    *b = (struct kl_buf){.limit = b->limit};
}

void kl_buf_clear(struct kl_buf *b) {
    b->len = 0;
    b->failed = false;
}

static bool fail(struct kl_buf *b) {
    b->failed = true;
    b->cap = b->len;
    return false;
}

bool kl_buf_reserve(struct kl_buf *b, size_t extra) {
    if (b->failed) {
        return false;
    }
    if (extra <= b->cap - b->len) {
        return true;
    }
    size_t limit = b->limit ? b->limit : DEFAULT_LIMIT;
    if (b->len > limit || extra > limit - b->len) {
        return fail(b);
    }
    size_t cap = KL_MAX(b->cap, FIRST_CAP);
    while (cap < b->len + extra) {
        cap = cap > limit / 2 ? limit : cap * 2;
    }
    cap = KL_MIN(cap, limit);
    char *data = cap < SIZE_MAX ? realloc(b->data, cap + 1) : NULL;
    if (!data) {
        return fail(b);
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void kl_buf_append(struct kl_buf *b, const void *p, size_t n) {
    if (n && kl_buf_reserve(b, n)) {
        memcpy(b->data + b->len, p, n);
        b->len += n;
    }
}

void kl_buf_putc_slow_(struct kl_buf *b, char c) {
    kl_buf_append(b, &c, 1);
}

void kl_buf_puts(struct kl_buf *b, const char *s) {
    kl_buf_append(b, s, strlen(s));
}

void kl_buf_vprintf(struct kl_buf *b, const char *fmt, va_list ap) {
    if (b->failed) {
        return;
    }
    va_list again;
    va_copy(again, ap);
    size_t room = b->cap - b->len;
    int n = vsnprintf(b->data ? b->data + b->len : NULL, b->data ? room + 1 : 0, fmt, ap);
    if (n < 0) {
        fail(b);
    } else if ((size_t)n <= room) {
        b->len += (size_t)n;
    } else if (kl_buf_reserve(b, (size_t)n)) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void kl_buf_printf(struct kl_buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    kl_buf_vprintf(b, fmt, ap);
    va_end(ap);
}

static const char digit_pairs[] = "0001020304050607080910111213141516171819"
                                  "2021222324252627282930313233343536373839"
                                  "4041424344454647484950515253545556575859"
                                  "6061626364656667686970717273747576777879"
                                  "8081828384858687888990919293949596979899";

static void put_decimal(struct kl_buf *b, uint64_t v, bool negative) {
    char text[24];
    char *p = text + sizeof text;
    while (v >= 100) {
        p -= 2;
        memcpy(p, digit_pairs + v % 100 * 2, 2);
        v /= 100;
    }
    if (v >= 10) {
        p -= 2;
        memcpy(p, digit_pairs + v * 2, 2);
    } else {
        *--p = (char)('0' + v);
    }
    if (negative) {
        *--p = '-';
    }
    kl_buf_append(b, p, (size_t)(text + sizeof text - p));
}

void kl_buf_i64(struct kl_buf *b, int64_t v) {
    put_decimal(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}

void kl_buf_u64(struct kl_buf *b, uint64_t v) {
    put_decimal(b, v, false);
}

void kl_buf_u8(struct kl_buf *b, uint8_t v) {
    kl_buf_putc(b, (char)v);
}

void kl_buf_le16(struct kl_buf *b, uint16_t v) {
    v = __builtin_bswap16(v);
    kl_buf_be16(b, v);
}

void kl_buf_le32(struct kl_buf *b, uint32_t v) {
    kl_buf_be32(b, __builtin_bswap32(v));
}

void kl_buf_le64(struct kl_buf *b, uint64_t v) {
    kl_buf_be64(b, __builtin_bswap64(v));
}

void kl_buf_be16(struct kl_buf *b, uint16_t v) {
    unsigned char p[2] = {(unsigned char)(v >> 8), (unsigned char)v};
    kl_buf_append(b, p, sizeof p);
}

void kl_buf_be32(struct kl_buf *b, uint32_t v) {
    unsigned char p[4];
    for (int i = 0; i < 4; i++) {
        p[i] = (unsigned char)(v >> (24 - 8 * i));
    }
    kl_buf_append(b, p, sizeof p);
}

void kl_buf_be64(struct kl_buf *b, uint64_t v) {
    unsigned char p[8];
    for (int i = 0; i < 8; i++) {
        p[i] = (unsigned char)(v >> (56 - 8 * i));
    }
    kl_buf_append(b, p, sizeof p);
}

void kl_buf_varint(struct kl_buf *b, uint64_t v) {
    unsigned char p[10];
    size_t n = 0;
    while (v >= 0x80) {
        p[n++] = (unsigned char)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (unsigned char)v;
    kl_buf_append(b, p, n);
}

void kl_buf_lstr(struct kl_buf *b, struct kl_slice s) {
    kl_buf_varint(b, s.len);
    kl_buf_append(b, s.ptr, s.len);
}

void kl_reader_init(struct kl_reader *r, struct kl_slice s) {
    const char *start = s.ptr ? s.ptr : "";
    *r = (struct kl_reader){.ptr = start, .end = start + s.len};
}

struct kl_slice kl_read_bytes(struct kl_reader *r, size_t n) {
    if (r->failed || n > (size_t)(r->end - r->ptr)) {
        r->failed = true;
        r->ptr = r->end;
        return KL_SLICE_NONE;
    }
    struct kl_slice s = kl_slice(r->ptr, n);
    r->ptr += n;
    return s;
}

static uint64_t read_be(struct kl_reader *r, size_t n) {
    struct kl_slice s = kl_read_bytes(r, n);
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        v = v << 8 | (unsigned char)s.ptr[i];
    }
    return v;
}

uint8_t kl_read_u8(struct kl_reader *r) {
    return (uint8_t)read_be(r, 1);
}

uint16_t kl_read_le16(struct kl_reader *r) {
    return __builtin_bswap16(kl_read_be16(r));
}

uint32_t kl_read_le32(struct kl_reader *r) {
    return __builtin_bswap32(kl_read_be32(r));
}

uint64_t kl_read_le64(struct kl_reader *r) {
    return __builtin_bswap64(kl_read_be64(r));
}

uint16_t kl_read_be16(struct kl_reader *r) {
    return (uint16_t)read_be(r, 2);
}

uint32_t kl_read_be32(struct kl_reader *r) {
    return (uint32_t)read_be(r, 4);
}

uint64_t kl_read_be64(struct kl_reader *r) {
    return read_be(r, 8);
}

/* One spelling a number: a padded encoding is refused, as is one that does not fit 64 bits. */
uint64_t kl_read_varint(struct kl_reader *r) {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t byte = kl_read_u8(r);
        if (r->failed) {
            return 0;
        }
        if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0)) {
            break;
        }
        v |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return v;
        }
    }
    r->failed = true;
    r->ptr = r->end;
    return 0;
}

struct kl_slice kl_read_lstr(struct kl_reader *r) {
    uint64_t len = kl_read_varint(r);
    return kl_read_bytes(r, len);
}
