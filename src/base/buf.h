/* Growable bytes with a maximum. A write past the maximum (or without memory) sets `failed`, which sticks and turns
 * later writes into nothing: check once at the end. Zero-initialised with a limit of 0 it means 64 MiB. */
#ifndef KL_BASE_BUF_H
#define KL_BASE_BUF_H

#include "base/slice.h"
#include <stdarg.h>

struct kl_buf {
    char *data;
    size_t len, cap;
    size_t limit;
    bool failed;
};

void kl_buf_init(struct kl_buf *b, size_t limit);
void kl_buf_deinit(struct kl_buf *b);
/* Over memory of the caller's, `size` bytes: fails where it is full, never moves, is never deinitialised. */
static inline struct kl_buf kl_buf_on(char *room, size_t size) {
    return (struct kl_buf){.data = room, .cap = size - 1, .limit = size - 1};
}
void kl_buf_clear(struct kl_buf *b); /* keeps the memory, clears failed */
bool kl_buf_reserve(struct kl_buf *b, size_t extra);
void kl_buf_append(struct kl_buf *b, const void *p, size_t n);
void kl_buf_putc_slow_(struct kl_buf *b, char c);
static inline void kl_buf_putc(struct kl_buf *b, char c) {
    if (b->len < b->cap) {
        b->data[b->len++] = c;
    } else {
        kl_buf_putc_slow_(b, c);
    }
}
void kl_buf_puts(struct kl_buf *b, const char *s);
static inline void kl_buf_slice(struct kl_buf *b, struct kl_slice s) { kl_buf_append(b, s.ptr, s.len); }
void kl_buf_printf(struct kl_buf *b, const char *fmt, ...) KL_PRINTF(2, 3);
void kl_buf_vprintf(struct kl_buf *b, const char *fmt, va_list ap);
void kl_buf_i64(struct kl_buf *b, int64_t v); /* decimal, faster than printf */
void kl_buf_u64(struct kl_buf *b, uint64_t v);
static inline struct kl_slice kl_buf_view(const struct kl_buf *b) { return kl_slice(b->data, b->len); }

/* Binary, little-endian unless the name says be. */
void kl_buf_u8(struct kl_buf *b, uint8_t v);
void kl_buf_le16(struct kl_buf *b, uint16_t v);
void kl_buf_le32(struct kl_buf *b, uint32_t v);
void kl_buf_le64(struct kl_buf *b, uint64_t v);
void kl_buf_be16(struct kl_buf *b, uint16_t v);
void kl_buf_be32(struct kl_buf *b, uint32_t v);
void kl_buf_be64(struct kl_buf *b, uint64_t v);
void kl_buf_varint(struct kl_buf *b, uint64_t v);           /* LEB128 */
void kl_buf_lstr(struct kl_buf *b, struct kl_slice s);      /* varint length, bytes */

/* Reading what the above wrote. Past the end `failed` is set and zeros come back. */
struct kl_reader {
    const char *ptr, *end;
    bool failed;
};
void kl_reader_init(struct kl_reader *r, struct kl_slice s);
uint8_t kl_read_u8(struct kl_reader *r);
uint16_t kl_read_le16(struct kl_reader *r);
uint32_t kl_read_le32(struct kl_reader *r);
uint64_t kl_read_le64(struct kl_reader *r);
uint16_t kl_read_be16(struct kl_reader *r);
uint32_t kl_read_be32(struct kl_reader *r);
uint64_t kl_read_be64(struct kl_reader *r);
uint64_t kl_read_varint(struct kl_reader *r);
struct kl_slice kl_read_lstr(struct kl_reader *r);
struct kl_slice kl_read_bytes(struct kl_reader *r, size_t n);

/* JSON out, straight into the buffer. */
void kl_json_str(struct kl_buf *b, struct kl_slice s); /* quoted and escaped; invalid UTF-8 becomes U+FFFD */
void kl_json_double(struct kl_buf *b, double v);       /* shortest that reads back; NaN and infinities as strings */
void kl_json_float(struct kl_buf *b, float v);

#endif
