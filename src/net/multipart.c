/* Takes a multipart/form-data body apart: parts between "--boundary" lines, each with headers,
 * an empty line and content. The body is whole in memory, so a part is two look-ups of the
 * delimiter. Any thread. */
#include "net/multipart.h"
#include "net/http_text.h"

static enum kl_rc bad(struct kl_err *err, const char *what) {
    return kl_fail(err, KL_E_INVALID_INPUT, "Invalid multipart payload: %s", what);
}

static const char *find(struct kl_slice in, struct kl_slice what) {
    return in.len ? memmem(in.ptr, in.len, what.ptr, what.len) : NULL;
}

static void read_header(struct kl_slice line, struct kl_multipart_part *part) {
    const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
    if (!colon) {
        return;
    }
    struct kl_slice key = kl_slice_trim(kl_slice(line.ptr, (size_t)(colon - line.ptr)));
    if (!kl_slice_ieq_str(key, "content-disposition")) {
        return;
    }
    struct kl_slice value = kl_slice_trim(kl_slice_from(line, (size_t)(colon - line.ptr) + 1));
    if (kl_media_type_is(value, "form-data")) {
        part->name = kl_header_param(value, "name");
        part->file = kl_header_param(value, "filename").ptr != NULL ||
                     kl_slice_starts_with(part->name, KL_S("file:"));
    }
}

/* Headers and content of one part, delimiters removed. */
static enum kl_rc read_part(
    struct kl_slice text, struct kl_multipart_part *part, struct kl_err *err) {
    *part = (struct kl_multipart_part){0};
    for (;;) {
        const char *eol = find(text, KL_S("\r\n"));
        if (!eol) {
            return bad(err, "a part has no end of its headers");
        }
        struct kl_slice line = kl_slice(text.ptr, (size_t)(eol - text.ptr));
        text = kl_slice_from(text, line.len + 2);
        if (!line.len) {
            break;
        }
        read_header(line, part);
    }
    if (!part->name.len) {
        return bad(err, "a part has no name");
    }
    part->content = text;
    return KL_OK;
}

enum kl_rc kl_multipart_parse(struct kl_slice body, struct kl_slice boundary,
    struct kl_multipart_part *parts, size_t max_parts, size_t *ret_n, struct kl_err *err) {
    char mark[KL_BOUNDARY_MAX + 4] = "\r\n--";
    if (boundary.len < 1 || boundary.len > KL_BOUNDARY_MAX) {
        return bad(err, "no boundary");
    }
    memcpy(mark + 4, boundary.ptr, boundary.len);
    struct kl_slice delimiter = kl_slice(mark, boundary.len + 4);
    struct kl_slice first = kl_slice_from(delimiter, 2); /* the first one may stand at the start */
    const char *at = kl_slice_starts_with(body, first) ? body.ptr : find(body, delimiter);
    if (!at) {
        return bad(err, "the boundary is missing");
    }
    size_t skip = (size_t)(at - body.ptr) + (at == body.ptr ? first.len : delimiter.len);
    struct kl_slice rest = kl_slice_from(body, skip);
    size_t n = 0;
    while (!kl_slice_starts_with(rest, KL_S("--"))) {
        const char *eol = find(rest, KL_S("\r\n"));
        if (!eol || kl_slice_trim(kl_slice(rest.ptr, (size_t)(eol - rest.ptr))).len) {
            return bad(err, "a boundary line is broken");
        }
        rest = kl_slice_from(rest, (size_t)(eol - rest.ptr) + 2);
        const char *end = find(rest, delimiter);
        if (!end) {
            return bad(err, "the closing boundary is missing");
        }
        if (n == max_parts) {
            return bad(err, "too many parts");
        }
        KL_TRY(read_part(kl_slice(rest.ptr, (size_t)(end - rest.ptr)), &parts[n], err));
        n++;
        rest = kl_slice_from(rest, (size_t)(end - rest.ptr) + delimiter.len);
    }
    *ret_n = n;
    return KL_OK;
}
