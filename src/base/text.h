/* Encodings of text and bytes. */
#ifndef KL_BASE_TEXT_H
#define KL_BASE_TEXT_H

#include "base/buf.h"
#include "base/err.h"

bool kl_utf8_valid(struct kl_slice s);
/* Number of characters of valid UTF-8. */
size_t kl_utf8_len(struct kl_slice s);
/* Bytes of the character that starts at s (1..4), 1 for an invalid byte, 0 at the end. */
size_t kl_utf8_char(struct kl_slice s, uint32_t *ret_code);
void kl_utf8_put(struct kl_buf *b, uint32_t code);

void kl_hex_encode(struct kl_buf *b, struct kl_slice s); /* lower case */
bool kl_hex_decode(struct kl_buf *b, struct kl_slice s);
void kl_base64_encode(struct kl_buf *b, struct kl_slice s, bool url_no_pad);
bool kl_base64_decode(struct kl_buf *b, struct kl_slice s, bool url); /* padding optional for url, required else */

/* Whole slice must be a number. */
bool kl_parse_i64(struct kl_slice s, int64_t *ret);
bool kl_parse_u64(struct kl_slice s, uint64_t *ret);
bool kl_parse_double(struct kl_slice s, double *ret);

enum kl_rc kl_gzip(struct kl_slice in, struct kl_buf *out); /* one gzip member, level 1 */
enum kl_rc kl_gunzip(struct kl_slice in, struct kl_buf *out);

/* RFC 3339 with numeric offset: 2026-01-01T10:00:00.123456+00:00 (fraction only when not zero). */
void kl_rfc3339(struct kl_buf *b, int64_t wall_us);

#endif
