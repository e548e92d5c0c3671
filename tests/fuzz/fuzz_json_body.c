/* Any bytes as the body of a SQL request: no crash, no read past the end, and what is accepted
 * is valid UTF-8 that lies within the body. Whatever this parser accepts, the general JSON check
 * accepts too. */
#include "net/body.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_param(const struct kl_val *v, const char *body, size_t size) {
    if (v->null || v->type != KL_T_TEXT) {
        return;
    }
    struct kl_slice s = kl_val_slice(v);
    KL_ASSERT(v->flags & KL_VAL_UNKNOWN);
    KL_ASSERT(s.ptr >= body && s.ptr + s.len <= body + size);
    KL_ASSERT(kl_utf8_valid(s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct kl_arena arena;
    struct kl_sql_body b;
    struct kl_err err = {0};
    char *body = kl_xmalloc(size + 1);
    if (size) {
        memcpy(body, data, size);
    }
    body[size] = '\0';
    bool valid = kl_json_valid(kl_slice(data, size));
    kl_arena_init(&arena, 1u << 20);
    enum kl_rc rc = kl_body_parse(body, size, &arena, &b, &err);
    if (rc == KL_OK) {
        KL_ASSERT(valid);
        KL_ASSERT(kl_utf8_valid(b.sql) && kl_utf8_valid(b.ns));
        for (size_t i = 0; i < b.n_params; i++) {
            check_param(&b.params[i], body, size);
        }
    } else {
        KL_ASSERT(rc == KL_E_INVALID_INPUT && err.msg[0] != '\0');
    }
    kl_arena_deinit(&arena);
    free(body);
    return 0;
}
