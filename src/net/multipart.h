/* multipart/form-data (RFC 7578) without I/O. */
#ifndef KL_NET_MULTIPART_H
#define KL_NET_MULTIPART_H

#include "base/base.h"

#define KL_MULTIPART_MAX_PARTS 64
#define KL_BOUNDARY_MAX 70

struct kl_multipart_part {
    struct kl_slice name, content;
    bool file; /* it has a filename, or its name starts with file: */
};
/* Borrows `body`. KL_E_INVALID_INPUT with text "Invalid multipart payload: ...". */
enum kl_rc kl_multipart_parse(struct kl_slice body, struct kl_slice boundary,
    struct kl_multipart_part *parts, size_t max_parts, size_t *ret_n, struct kl_err *err);

#endif
