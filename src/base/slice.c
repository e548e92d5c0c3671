/* Comparing and cutting borrowed bytes. No state, any thread. */
#include "base/slice.h"

#include <xxhash.h>

int kl_slice_cmp(struct kl_slice a, struct kl_slice b) {
    size_t common = KL_MIN(a.len, b.len);
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order == 0) {
        order = (a.len > b.len) - (a.len < b.len);
    }
    return order;
}

static unsigned char fold(char c) {
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool kl_slice_ieq(struct kl_slice a, struct kl_slice b) {
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (fold(a.ptr[i]) != fold(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

bool kl_slice_ieq_str(struct kl_slice a, const char *s) {
    return kl_slice_ieq(a, kl_slice_str(s));
}

bool kl_slice_starts_with(struct kl_slice s, struct kl_slice prefix) {
    return s.len >= prefix.len && kl_slice_eq(kl_slice(s.ptr, prefix.len), prefix);
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct kl_slice kl_slice_trim(struct kl_slice s) {
    while (s.len && is_space(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && is_space(s.ptr[s.len - 1])) {
        s.len--;
    }
    return s;
}

uint64_t kl_slice_hash(struct kl_slice s) {
    return XXH3_64bits(s.len ? s.ptr : "", s.len);
}

size_t kl_slice_distance(struct kl_slice a, struct kl_slice b) {
    size_t row[KL_SLICE_FAR];
    if (a.len >= KL_SLICE_FAR || b.len >= KL_SLICE_FAR) {
        return KL_SLICE_FAR;
    }
    for (size_t j = 0; j <= b.len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t above = row[j], replaced = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            row[j] = KL_MIN(replaced, KL_MIN(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[b.len];
}
