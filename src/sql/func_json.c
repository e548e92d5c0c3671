/* Functions over JSON text. The first argument is the document, the others a path of keys and
 * indexes; what the path does not reach is NULL, as is a value of another kind than the one asked
 * for. */
#include "sql/func_internal.h"

#define ARGS                                                                                       \
    const struct kl_expr *e, struct kl_eval *ev, const struct kl_val *args, struct kl_val *ret,    \
        struct kl_err *err

/* ptr NULL: nothing there. */
static struct kl_slice follow(const struct kl_expr *e, const struct kl_val *args) {
    struct kl_slice at = kl_val_slice(&args[0]);
    for (uint32_t i = 1; i < e->n_args && at.ptr; i++) {
        bool index = args[i].type != KL_T_TEXT;
        at = index ? kl_expr__json_element(at, args[i].i)
                   : kl_expr__json_member(at, kl_val_slice(&args[i]));
    }
    return at;
}

enum kl_rc kl_func__json_get(ARGS) {
    struct kl_slice at = follow(e, args);
    if (at.ptr && (args[0].type == KL_T_JSON || kl_json_valid(at))) { /* a text need not be JSON */
        *ret = kl_val_str(KL_T_JSON, at);
    }
    return KL_OK;
}

static enum kl_rc give_string(
    struct kl_eval *ev, struct kl_slice quoted, struct kl_val *ret, struct kl_err *err) {
    struct kl_slice text;
    KL_TRY(kl_expr__json_unquote(quoted, ev->arena, &text, err));
    *ret = kl_val_text(text);
    return KL_OK;
}

enum kl_rc kl_func__json_get_str(ARGS) {
    struct kl_slice at = follow(e, args);
    return at.ptr && kl_expr__json_kind(at) == KL_JSON_STRING ? give_string(ev, at, ret, err)
                                                              : KL_OK;
}

enum kl_rc kl_func__json_as_text(ARGS) {
    struct kl_slice at = follow(e, args);
    switch (at.ptr ? kl_expr__json_kind(at) : KL_JSON_NONE) {
    case KL_JSON_NONE:
    case KL_JSON_NULL:
        return KL_OK;
    case KL_JSON_STRING:
        return give_string(ev, at, ret, err);
    default:
        *ret = kl_val_text(kl_slice_trim(at));
        return KL_OK;
    }
}

enum kl_rc kl_func__json_get_int(ARGS) {
    struct kl_slice at = follow(e, args);
    int64_t v;
    if (at.ptr && kl_expr__json_kind(at) == KL_JSON_NUMBER && kl_parse_i64(kl_slice_trim(at), &v)) {
        *ret = kl_val_i64(v);
    }
    return KL_OK;
}

enum kl_rc kl_func__json_get_float(ARGS) {
    struct kl_slice at = follow(e, args);
    double v;
    if (at.ptr && kl_expr__json_kind(at) == KL_JSON_NUMBER &&
        kl_parse_double(kl_slice_trim(at), &v)) {
        *ret = kl_val_double(v);
    }
    return KL_OK;
}

enum kl_rc kl_func__json_get_bool(ARGS) {
    struct kl_slice at = follow(e, args);
    enum kl_json_kind kind = at.ptr ? kl_expr__json_kind(at) : KL_JSON_NONE;
    if (kind == KL_JSON_TRUE || kind == KL_JSON_FALSE) {
        *ret = kl_val_bool(kind == KL_JSON_TRUE);
    }
    return KL_OK;
}

enum kl_rc kl_func__json_length(ARGS) {
    struct kl_slice at = follow(e, args);
    int64_t n = at.ptr ? kl_expr__json_length(at) : -1;
    if (n >= 0) {
        *ret = kl_val_i64(n);
    }
    return KL_OK;
}

enum kl_rc kl_func__json_contains(ARGS) {
    *ret = kl_val_bool(follow(e, args).ptr != NULL);
    return KL_OK;
}

enum kl_rc kl_func__json_has(ARGS) {
    *ret = kl_val_bool(kl_expr__json_has(kl_val_slice(&args[0]), kl_val_slice(&args[1])));
    return KL_OK;
}
