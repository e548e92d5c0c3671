/* Borrowed bytes: who makes a slice says how long it lives. Not NUL-terminated. */
#ifndef KL_BASE_SLICE_H
#define KL_BASE_SLICE_H

#include "base/assert.h"
#include <string.h>

struct kl_slice {
    const char *ptr;
    size_t len;
};

#define KL_S(lit) ((struct kl_slice){(lit), sizeof(lit) - 1})
#define KL_SLICE_NONE ((struct kl_slice){NULL, 0})
/* printf("%.*s", KL_FMT(s)) */
#define KL_FMT(s) ((int)(s).len), ((s).ptr ? (s).ptr : "")

static inline struct kl_slice kl_slice(const void *ptr, size_t len) {
    return (struct kl_slice){(const char *)ptr, len};
}
static inline struct kl_slice kl_slice_str(const char *s) {
    return (struct kl_slice){s, s ? strlen(s) : 0};
}
static inline bool kl_slice_eq(struct kl_slice a, struct kl_slice b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool kl_slice_eq_str(struct kl_slice a, const char *s) {
    return kl_slice_eq(a, kl_slice_str(s));
}
static inline struct kl_slice kl_slice_from(struct kl_slice s, size_t start) {
    KL_ASSERT(start <= s.len);
    return (struct kl_slice){s.ptr + start, s.len - start};
}
/* Bytewise order, shorter first on a common prefix. */
int kl_slice_cmp(struct kl_slice a, struct kl_slice b);
/* ASCII letters compare without case. */
bool kl_slice_ieq(struct kl_slice a, struct kl_slice b);
bool kl_slice_ieq_str(struct kl_slice a, const char *s);
bool kl_slice_starts_with(struct kl_slice s, struct kl_slice prefix);
struct kl_slice kl_slice_trim(struct kl_slice s); /* ASCII white space */
/* Levenshtein distance: bytes inserted, deleted or replaced. KL_SLICE_FAR when either is longer than 96 bytes. */
#define KL_SLICE_FAR 97
size_t kl_slice_distance(struct kl_slice a, struct kl_slice b);
uint64_t kl_slice_hash(struct kl_slice s);        /* XXH3, not for hostile collision resistance */

#endif
