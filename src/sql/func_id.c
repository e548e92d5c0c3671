/* Who asks, and identifiers. An identifier that is text may still become the uuid of a column it is
 * assigned to. */
#include "sql/func_internal.h"

#define ARGS                                                                                       \
    const struct kl_expr *e, struct kl_eval *ev, const struct kl_val *args, struct kl_val *ret,    \
        struct kl_err *err

static enum kl_rc need(const void *p, const char *what, struct kl_err *err) {
    return p ? KL_OK
             : kl_fail(err, KL_E_EXEC, "there is no %s to evaluate this expression with", what);
}

enum kl_rc kl_func__current_user(ARGS) {
    KL_TRY(need(ev->session, "session", err));
    *ret = kl_val_text(ev->session->user);
    return KL_OK;
}

enum kl_rc kl_func__current_role(ARGS) {
    KL_TRY(need(ev->session, "session", err));
    *ret = kl_val_text(kl_slice_str(kl_role_name(ev->session->role)));
    return KL_OK;
}

enum kl_rc kl_func__snowflake_id(ARGS) {
    KL_TRY(need(ev->ids, "id generator", err));
    *ret = kl_val_i64(kl_snowflake_next(ev->ids));
    return KL_OK;
}

static enum kl_rc give_text(
    struct kl_eval *ev, const char *text, size_t len, struct kl_val *ret, struct kl_err *err) {
    char *p;
    KL_TRY(kl_expr__text_room(ev, len, &p, err));
    memcpy(p, text, len);
    kl_expr__set_text(ret, p, len);
    ret->flags = KL_VAL_UNKNOWN;
    return KL_OK;
}

enum kl_rc kl_func__uuid_v7(ARGS) {
    uint8_t id[16];
    char text[37];
    kl_uuid_v7(id);
    kl_uuid_format(id, text);
    return give_text(ev, text, 36, ret, err);
}

enum kl_rc kl_func__gen_random_uuid(ARGS) {
    char *p;
    KL_TRY(kl_expr__text_room(ev, 16, &p, err));
    kl_random_bytes(p, 16);
    p[6] = (char)((p[6] & 0x0F) | 0x40); /* version 4 */
    p[8] = (char)((p[8] & 0x3F) | 0x80);
    *ret = kl_val_str(KL_T_UUID, kl_slice(p, 16));
    return KL_OK;
}

enum kl_rc kl_func__ulid(ARGS) {
    char text[27];
    kl_ulid(text);
    return give_text(ev, text, 26, ret, err);
}
