/* Text functions. Positions and lengths count characters, as in PostgreSQL; text is valid UTF-8.
 * Results that are a part of an argument borrow it. */
#include "sql/func_internal.h"

#define ARGS                                                                                       \
    const struct kl_expr *e, struct kl_eval *ev, const struct kl_val *args, struct kl_val *ret,    \
        struct kl_err *err

static void give(struct kl_val *ret, struct kl_slice s) {
    *ret = kl_val_text(kl_slice(s.ptr ? s.ptr : "", s.len));
}

/* Bytes of the first n characters. */
static size_t bytes_of(struct kl_slice s, uint64_t n) {
    size_t i = 0;
    for (; i < s.len && n > 0; n--) {
        i += kl_utf8_char(kl_slice_from(s, i), NULL);
    }
    return i;
}

/* ---- case ---- */

static size_t put_char(char *out, uint32_t code) {
    struct kl_buf b = {.data = out, .cap = 4, .limit = 4};
    kl_utf8_put(&b, code);
    return b.len;
}

static enum kl_rc map_case(struct kl_eval *ev, struct kl_slice s, uint32_t (*map)(uint32_t),
    struct kl_val *ret, struct kl_err *err) {
    char *out;
    KL_TRY(kl_expr__text_room(
        ev, s.len * 3 + 4, &out, err)); /* a letter and its other case differ by a byte at most */
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        uint32_t code;
        size_t width = kl_utf8_char(kl_slice_from(s, i), &code);
        i += width;
        if (code < 0x80) {
            out[n++] = (char)map(code);
        } else if (!kl_expr__utf8_locale()) {
            return kl_fail(err, KL_E_UNSUPPORTED,
                "the case of letters beyond ASCII needs the locale C.UTF-8 on the server");
        } else {
            n += put_char(out + n, map(code));
        }
    }
    give(ret, kl_slice(out, n));
    return KL_OK;
}

enum kl_rc kl_func__lower(ARGS) {
    return map_case(ev, kl_val_slice(&args[0]), kl_expr__lower_code, ret, err);
}

enum kl_rc kl_func__upper(ARGS) {
    return map_case(ev, kl_val_slice(&args[0]), kl_expr__upper_code, ret, err);
}

/* ---- lengths and positions ---- */

enum kl_rc kl_func__char_length(ARGS) {
    *ret = kl_val_int(KL_T_INT, (int64_t)kl_utf8_len(kl_val_slice(&args[0])));
    return KL_OK;
}

enum kl_rc kl_func__octet_length(ARGS) {
    *ret = kl_val_int(KL_T_INT, args[0].len);
    return KL_OK;
}

static const char *find(struct kl_slice s, struct kl_slice what) {
    return what.len == 0 ? s.ptr : s.len == 0 ? NULL : memmem(s.ptr, s.len, what.ptr, what.len);
}

enum kl_rc kl_func__strpos(ARGS) {
    struct kl_slice s = kl_val_slice(&args[0]), what = kl_val_slice(&args[1]);
    const char *at = find(s, what);
    int64_t place = what.len == 0 ? 1
                    : at          ? (int64_t)kl_utf8_len(kl_slice(s.ptr, (size_t)(at - s.ptr))) + 1
                                  : 0;
    *ret = kl_val_int(KL_T_INT, place);
    return KL_OK;
}

enum kl_rc kl_func__starts_with(ARGS) {
    *ret = kl_val_bool(kl_slice_starts_with(kl_val_slice(&args[0]), kl_val_slice(&args[1])));
    return KL_OK;
}

/* ---- trimming ---- */

static bool among(struct kl_slice set, struct kl_slice ch) {
    for (size_t i = 0; i < set.len;) {
        size_t width = kl_utf8_char(kl_slice_from(set, i), NULL);
        if (width == ch.len && memcmp(set.ptr + i, ch.ptr, width) == 0) {
            return true;
        }
        i += width;
    }
    return false;
}

static void trim(
    const struct kl_expr *e, const struct kl_val *args, bool front, bool back, struct kl_val *ret) {
    struct kl_slice s = kl_val_slice(&args[0]),
                    set = e->n_args > 1 ? kl_val_slice(&args[1]) : KL_S(" ");
    while (front && s.len > 0) {
        size_t width = kl_utf8_char(s, NULL);
        if (!among(set, kl_slice(s.ptr, width))) {
            break;
        }
        s = kl_slice_from(s, width);
    }
    while (back && s.len > 0) {
        size_t start = s.len - 1;
        while (start > 0 && ((unsigned char)s.ptr[start] & 0xC0) == 0x80) {
            start--;
        }
        if (!among(set, kl_slice_from(s, start))) {
            break;
        }
        s.len = start;
    }
    give(ret, s);
}

enum kl_rc kl_func__btrim(ARGS) {
    trim(e, args, true, true, ret);
    return KL_OK;
}

enum kl_rc kl_func__ltrim(ARGS) {
    trim(e, args, true, false, ret);
    return KL_OK;
}

enum kl_rc kl_func__rtrim(ARGS) {
    trim(e, args, false, true, ret);
    return KL_OK;
}

/* ---- parts ---- */

enum kl_rc kl_func__substr(ARGS) {
    struct kl_slice s = kl_val_slice(&args[0]);
    int64_t start = args[1].i, end = INT64_MAX;
    if (e->n_args > 2) {
        if (args[2].i < 0) {
            return kl_fail(err, KL_E_EXEC, "negative substring length not allowed");
        }
        if (__builtin_add_overflow(start, args[2].i, &end)) {
            end = INT64_MAX;
        }
    }
    start = KL_MAX(start, (int64_t)1);
    if (end <= start) {
        give(ret, KL_SLICE_NONE);
        return KL_OK;
    }
    s = kl_slice_from(s, bytes_of(s, (uint64_t)(start - 1)));
    give(ret, kl_slice(s.ptr, bytes_of(s, (uint64_t)(end - start))));
    return KL_OK;
}

/* Characters to keep for a count that may be negative ("all but the last n"). */
static uint64_t keep(struct kl_slice s, int64_t n) {
    if (n >= 0) {
        return (uint64_t)n;
    }
    uint64_t all = kl_utf8_len(s), off = 0 - (uint64_t)n;
    return off >= all ? 0 : all - off;
}

enum kl_rc kl_func__left(ARGS) {
    struct kl_slice s = kl_val_slice(&args[0]);
    give(ret, kl_slice(s.ptr, bytes_of(s, keep(s, args[1].i))));
    return KL_OK;
}

enum kl_rc kl_func__right(ARGS) {
    struct kl_slice s = kl_val_slice(&args[0]);
    uint64_t all = kl_utf8_len(s), wanted = keep(s, args[1].i);
    give(ret, kl_slice_from(s, bytes_of(s, wanted >= all ? 0 : all - wanted)));
    return KL_OK;
}

/* The n-th field between delimiters, from the front (n > 0). */
static struct kl_slice field(struct kl_slice s, struct kl_slice delimiter, int64_t n) {
    for (;; n--) {
        const char *at = find(s, delimiter);
        if (n == 1) {
            return at ? kl_slice(s.ptr, (size_t)(at - s.ptr)) : s;
        }
        if (!at) {
            return KL_SLICE_NONE;
        }
        s = kl_slice_from(s, (size_t)(at - s.ptr) + delimiter.len);
    }
}

static int64_t count_fields(struct kl_slice s, struct kl_slice delimiter) {
    int64_t n = 1;
    for (const char *at; (at = find(s, delimiter)) != NULL; n++) {
        s = kl_slice_from(s, (size_t)(at - s.ptr) + delimiter.len);
    }
    return n;
}

enum kl_rc kl_func__split_part(ARGS) {
    struct kl_slice s = kl_val_slice(&args[0]), delimiter = kl_val_slice(&args[1]);
    int64_t n = args[2].i;
    if (n == 0) {
        return kl_fail(err, KL_E_EXEC, "field position must not be zero");
    }
    if (s.len == 0) {
        give(ret, KL_SLICE_NONE);
    } else if (delimiter.len == 0) {
        give(ret, n == 1 || n == -1 ? s : KL_SLICE_NONE);
    } else {
        n = n < 0 ? count_fields(s, delimiter) + 1 + n : n;
        give(ret, n > 0 ? field(s, delimiter, n) : KL_SLICE_NONE);
    }
    return KL_OK;
}

/* ---- building ---- */

enum kl_rc kl_func__replace(ARGS) {
    struct kl_slice s = kl_val_slice(&args[0]), from = kl_val_slice(&args[1]),
                    to = kl_val_slice(&args[2]);
    if (from.len == 0 || s.len == 0) {
        give(ret, s);
        return KL_OK;
    }
    size_t hits = (size_t)count_fields(s, from) - 1, len, grown;
    if (__builtin_mul_overflow(hits, to.len, &grown) ||
        __builtin_add_overflow(s.len - hits * from.len, grown, &len)) {
        return kl_expr__no_memory(err);
    }
    char *out;
    KL_TRY(kl_expr__text_room(ev, len, &out, err));
    size_t n = 0;
    for (const char *at; (at = find(s, from)) != NULL;) {
        size_t before = (size_t)(at - s.ptr);
        memcpy(out + n, s.ptr, before);
        n += before;
        if (to.len) {
            memcpy(out + n, to.ptr, to.len);
        }
        n += to.len;
        s = kl_slice_from(s, before + from.len);
        if (s.len == 0) {
            break;
        }
    }
    if (s.len) {
        memcpy(out + n, s.ptr, s.len);
    }
    give(ret, kl_slice(out, len));
    return KL_OK;
}

enum kl_rc kl_func__repeat(ARGS) {
    struct kl_slice s = kl_val_slice(&args[0]);
    int64_t times = args[1].i;
    if (times <= 0 || s.len == 0) {
        give(ret, KL_SLICE_NONE);
        return KL_OK;
    }
    size_t len;
    if (__builtin_mul_overflow(s.len, (size_t)times, &len)) {
        return kl_fail(err, KL_E_TOO_LARGE, "requested length too large");
    }
    char *out;
    KL_TRY(kl_expr__text_room(ev, len, &out, err));
    for (size_t i = 0; i < len; i += s.len) {
        memcpy(out + i, s.ptr, s.len);
    }
    give(ret, kl_slice(out, len));
    return KL_OK;
}

enum kl_rc kl_func__reverse(ARGS) {
    struct kl_slice s = kl_val_slice(&args[0]);
    char *out;
    KL_TRY(kl_expr__text_room(ev, s.len, &out, err));
    for (size_t i = 0; i < s.len;) {
        size_t width = kl_utf8_char(kl_slice_from(s, i), NULL);
        memcpy(out + s.len - i - width, s.ptr + i, width);
        i += width;
    }
    give(ret, kl_slice(out, s.len));
    return KL_OK;
}

/* ---- padding ---- */

/* Repeats fill to `chars` characters; out NULL only counts bytes. */
static size_t fill_with(struct kl_slice fill, uint64_t fill_chars, uint64_t chars, char *out) {
    uint64_t whole = chars / fill_chars;
    size_t part = bytes_of(fill, chars % fill_chars);
    size_t len = (size_t)whole * fill.len + part;
    if (out) {
        for (uint64_t i = 0; i < whole; i++) {
            memcpy(out + i * fill.len, fill.ptr, fill.len);
        }
        memcpy(out + whole * fill.len, fill.ptr, part);
    }
    return len;
}

static enum kl_rc pad(ARGS, bool left) {
    struct kl_slice s = kl_val_slice(&args[0]),
                    fill = e->n_args > 2 ? kl_val_slice(&args[2]) : KL_S(" ");
    uint64_t want = args[1].i > 0 ? (uint64_t)args[1].i : 0, have = kl_utf8_len(s),
             fill_chars = kl_utf8_len(fill);
    if (want > UINT32_MAX / 4) {
        return kl_fail(err, KL_E_TOO_LARGE, "requested length too large");
    }
    if (want <= have || fill_chars == 0) {
        give(ret, kl_slice(s.ptr, bytes_of(s, want)));
        return KL_OK;
    }
    size_t extra = fill_with(fill, fill_chars, want - have, NULL);
    char *out;
    KL_TRY(kl_expr__text_room(ev, s.len + extra, &out, err));
    fill_with(fill, fill_chars, want - have, left ? out : out + s.len);
    if (s.len) {
        memcpy(left ? out + extra : out, s.ptr, s.len);
    }
    give(ret, kl_slice(out, s.len + extra));
    return KL_OK;
}

enum kl_rc kl_func__lpad(ARGS) {
    return pad(e, ev, args, ret, err, true);
}

enum kl_rc kl_func__rpad(ARGS) {
    return pad(e, ev, args, ret, err, false);
}

/* ---- concat: any types, by their output form (a boolean is t or f here, where a cast would say
 * true) ---- */

static void put_text(const struct kl_val *v, struct kl_buf *out) {
    if (v->type == KL_T_BOOLEAN) {
        kl_buf_putc(out, v->b ? 't' : 'f');
    } else {
        kl_val_to_text(v, out);
    }
}

static enum kl_rc take(
    struct kl_eval *ev, struct kl_buf *out, struct kl_val *ret, struct kl_err *err) {
    enum kl_rc rc = out->failed ? kl_expr__no_memory(err) : KL_OK;
    char *p = NULL;
    if (rc == KL_OK) {
        rc = kl_expr__text_room(ev, out->len, &p, err);
    }
    if (rc == KL_OK) {
        if (out->len) {
            memcpy(p, out->data, out->len);
        }
        give(ret, kl_slice(p, out->len));
    }
    kl_buf_deinit(out);
    return rc;
}

enum kl_rc kl_func__concat(ARGS) {
    struct kl_buf out;
    kl_buf_init(&out, 0);
    for (uint32_t i = 0; i < e->n_args; i++) {
        if (!args[i].null) {
            put_text(&args[i], &out);
        }
    }
    return take(ev, &out, ret, err);
}

enum kl_rc kl_func__concat_ws(ARGS) {
    if (args[0].null) {
        return KL_OK;
    }
    struct kl_buf out;
    kl_buf_init(&out, 0);
    bool first = true;
    for (uint32_t i = 1; i < e->n_args; i++) {
        if (args[i].null) {
            continue;
        }
        if (!first) {
            kl_buf_slice(&out, kl_val_slice(&args[0]));
        }
        first = false;
        put_text(&args[i], &out);
    }
    return take(ev, &out, ret, err);
}
