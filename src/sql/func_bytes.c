/* Functions of bytes: digests, encodings, single bytes, parts. */
#include "sql/func_internal.h"

#include <openssl/evp.h>

#define ARGS                                                                                       \
    const struct kl_expr *e, struct kl_eval *ev, const struct kl_val *args, struct kl_val *ret,    \
        struct kl_err *err

/* ---- digests ---- */

static enum kl_rc digest(struct kl_slice s, const EVP_MD *md, unsigned char *out, unsigned *ret_len,
    struct kl_err *err) {
    return md && EVP_Digest(s.ptr ? s.ptr : "", s.len, out, ret_len, md, NULL) == 1
               ? KL_OK
               : kl_fail(err, KL_E_EXEC, "the digest is not available");
}

enum kl_rc kl_func__md5(ARGS) {
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned len;
    struct kl_buf out;
    KL_TRY(digest(kl_val_slice(&args[0]), EVP_md5(), raw, &len, err));
    kl_buf_init(&out, 0);
    kl_hex_encode(&out, kl_slice((const char *)raw, len));
    return kl_func__take(ev, &out, KL_T_TEXT, ret, err);
}

static enum kl_rc sha(const EVP_MD *md, struct kl_eval *ev, const struct kl_val *v,
    struct kl_val *ret, struct kl_err *err) {
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned len;
    struct kl_buf out;
    KL_TRY(digest(kl_val_slice(v), md, raw, &len, err));
    kl_buf_init(&out, 0);
    kl_buf_append(&out, raw, len);
    return kl_func__take(ev, &out, KL_T_BYTES, ret, err);
}

enum kl_rc kl_func__sha224(ARGS) {
    return sha(EVP_sha224(), ev, &args[0], ret, err);
}

enum kl_rc kl_func__sha256(ARGS) {
    return sha(EVP_sha256(), ev, &args[0], ret, err);
}

enum kl_rc kl_func__sha384(ARGS) {
    return sha(EVP_sha384(), ev, &args[0], ret, err);
}

enum kl_rc kl_func__sha512(ARGS) {
    return sha(EVP_sha512(), ev, &args[0], ret, err);
}

/* ---- encodings ---- */

static enum kl_rc bad_encoding(const struct kl_val *name, struct kl_err *err) {
    return kl_fail(
        err, KL_E_EXEC, "unrecognized encoding: \"%.*s\"", (int)KL_MIN(name->len, 64u), name->s);
}

static bool named(const struct kl_val *v, const char *name) {
    return kl_slice_ieq_str(kl_val_slice(v), name);
}

/* Zero bytes and those above ASCII as \ooo, backslashes doubled. */
static void put_escaped(struct kl_buf *out, struct kl_slice s) {
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == 0 || c >= 0x80) {
            kl_buf_printf(out, "\\%03o", c);
        } else {
            kl_buf_puts(out, c == '\\' ? "\\" : "");
            kl_buf_putc(out, (char)c);
        }
    }
}

static bool is_octal(char c, char most) {
    return c >= '0' && c <= most;
}

static bool put_unescaped(struct kl_buf *out, struct kl_slice s) {
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '\\') {
            kl_buf_putc(out, s.ptr[i]);
        } else if (i + 3 < s.len && is_octal(s.ptr[i + 1], '3') && is_octal(s.ptr[i + 2], '7') &&
                   is_octal(s.ptr[i + 3], '7')) {
            kl_buf_putc(out, (char)((s.ptr[i + 1] - '0') * 64 + (s.ptr[i + 2] - '0') * 8 +
                                    (s.ptr[i + 3] - '0')));
            i += 3;
        } else if (i + 1 < s.len && s.ptr[i + 1] == '\\') {
            kl_buf_putc(out, '\\');
            i++;
        } else {
            return false;
        }
    }
    return true;
}

/* As MIME has it: lines of 76 characters. */
static void put_base64(struct kl_buf *out, struct kl_slice s) {
    for (size_t at = 0; at < s.len; at += 57) {
        kl_buf_puts(out, at ? "\n" : "");
        kl_base64_encode(out, kl_slice(s.ptr + at, KL_MIN(s.len - at, (size_t)57)), false);
    }
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool put_from_text(struct kl_buf *out, struct kl_slice s, bool hex) {
    struct kl_buf dense;
    kl_buf_init(&dense, 0);
    for (size_t i = 0; i < s.len; i++) {
        if (!is_space(s.ptr[i])) {
            kl_buf_putc(&dense, s.ptr[i]);
        }
    }
    bool ok = !dense.failed && (hex ? kl_hex_decode(out, kl_buf_view(&dense))
                                    : kl_base64_decode(out, kl_buf_view(&dense), false));
    kl_buf_deinit(&dense);
    return ok;
}

enum kl_rc kl_func__encode(ARGS) {
    struct kl_buf out;
    kl_buf_init(&out, 0);
    if (named(&args[1], "hex")) {
        kl_hex_encode(&out, kl_val_slice(&args[0]));
    } else if (named(&args[1], "base64")) {
        put_base64(&out, kl_val_slice(&args[0]));
    } else if (named(&args[1], "escape")) {
        put_escaped(&out, kl_val_slice(&args[0]));
    } else {
        return bad_encoding(&args[1], err);
    }
    return kl_func__take(ev, &out, KL_T_TEXT, ret, err);
}

enum kl_rc kl_func__decode(ARGS) {
    struct kl_buf out;
    bool hex = named(&args[1], "hex"), base64 = named(&args[1], "base64"), ok;
    kl_buf_init(&out, 0);
    if (!hex && !base64 && !named(&args[1], "escape")) {
        return bad_encoding(&args[1], err);
    }
    ok = hex || base64 ? put_from_text(&out, kl_val_slice(&args[0]), hex)
                       : put_unescaped(&out, kl_val_slice(&args[0]));
    if (!ok) {
        kl_buf_deinit(&out);
        return kl_fail(err, KL_E_TYPE,
            hex      ? "invalid hexadecimal data"
            : base64 ? "invalid base64 end sequence"
                     : "invalid input syntax for type bytes");
    }
    return kl_func__take(ev, &out, KL_T_BYTES, ret, err);
}

/* A text cast to BYTES. */
enum kl_rc kl_func__to_bytes(ARGS) {
    return kl_val_parse(KL_TYPE(BYTES), kl_val_slice(&args[0]), ev->arena, ret, err);
}

static enum kl_rc want_utf8(const struct kl_val *name, struct kl_err *err) {
    return named(name, "utf8") || named(name, "utf-8")
               ? KL_OK
               : kl_fail(err, KL_E_EXEC, "the encoding \"%.*s\" is not available",
                     (int)KL_MIN(name->len, 64u), name->s);
}

enum kl_rc kl_func__convert_from(ARGS) {
    struct kl_slice s = kl_val_slice(&args[0]);
    KL_TRY(want_utf8(&args[1], err));
    if (!kl_utf8_valid(s) || (s.len && memchr(s.ptr, '\0', s.len))) {
        return kl_fail(err, KL_E_TYPE, "invalid byte sequence for encoding \"UTF8\"");
    }
    *ret = kl_val_text(s);
    return KL_OK;
}

enum kl_rc kl_func__convert_to(ARGS) {
    KL_TRY(want_utf8(&args[1], err));
    *ret = kl_val_str(KL_T_BYTES, kl_val_slice(&args[0]));
    return KL_OK;
}

/* ---- single bytes, parts ---- */

static enum kl_rc check_index(const struct kl_val *v, int64_t i, struct kl_err *err) {
    return i >= 0 && i < (int64_t)v->len
               ? KL_OK
               : kl_fail(err, KL_E_EXEC, "index %lld out of valid range, 0..%lld", (long long)i,
                     (long long)v->len - 1);
}

enum kl_rc kl_func__get_byte(ARGS) {
    KL_TRY(check_index(&args[0], args[1].i, err));
    *ret = kl_val_int(KL_T_INT, (unsigned char)args[0].s[args[1].i]);
    return KL_OK;
}

enum kl_rc kl_func__set_byte(ARGS) {
    char *p;
    KL_TRY(check_index(&args[0], args[1].i, err));
    KL_TRY(kl_expr__text_room(ev, args[0].len, &p, err));
    memcpy(p, args[0].s, args[0].len);
    p[args[1].i] = (char)args[2].i;
    *ret = kl_val_str(KL_T_BYTES, kl_slice(p, args[0].len));
    return KL_OK;
}

enum kl_rc kl_func__substr_bytes(ARGS) {
    struct kl_slice s = kl_val_slice(&args[0]);
    int64_t start = args[1].i, end = INT64_MAX, len = (int64_t)s.len;
    if (e->n_args > 2) {
        if (args[2].i < 0) {
            return kl_fail(err, KL_E_EXEC, "negative substring length not allowed");
        }
        if (__builtin_add_overflow(start, args[2].i, &end)) {
            end = INT64_MAX;
        }
    }
    start = KL_MIN(KL_MAX(start, (int64_t)1), len + 1);
    end = KL_MAX(KL_MIN(end, len + 1), start);
    *ret = kl_val_str(
        KL_T_BYTES, end > start ? kl_slice(s.ptr + start - 1, (size_t)(end - start)) : KL_S(""));
    return KL_OK;
}

enum kl_rc kl_func__position_bytes(ARGS) {
    struct kl_slice s = kl_val_slice(&args[0]), what = kl_val_slice(&args[1]);
    const char *at = what.len == 0 ? s.ptr
                     : s.len       ? memmem(s.ptr, s.len, what.ptr, what.len)
                                   : NULL;
    *ret = kl_val_int(KL_T_INT, what.len == 0 ? 1 : at ? at - s.ptr + 1 : 0);
    return KL_OK;
}
