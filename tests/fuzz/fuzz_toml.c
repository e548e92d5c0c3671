/* Any bytes as TOML: no crash, no leak, and what it accepts obeys the promises of server/toml.h. */
#include "server/toml.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(const struct kl_toml *value, int depth) {
    KL_ASSERT(value->line >= 1);
    /* header parts, twice for arrays of tables; a dotted key; dotted keys within nested inline
     * tables */
    KL_ASSERT(depth <= KL_TOML_MAX_DEPTH * (2 + 1 + 1 + KL_TOML_MAX_DEPTH));
    if (value->type == KL_TOML_STRING || value->type == KL_TOML_DATETIME) {
        KL_ASSERT(value->text.ptr != NULL && kl_utf8_valid(value->text));
    }
    if (value->type != KL_TOML_TABLE && value->type != KL_TOML_ARRAY) {
        KL_ASSERT(value->first == NULL);
        return;
    }
    for (const struct kl_toml *child = value->first; child != NULL; child = child->next) {
        if (value->type == KL_TOML_TABLE) {
            KL_ASSERT(kl_toml_get(value, child->key) == child); /* no key twice */
        }
        KL_ASSERT(child->next != NULL || child == value->last);
        check_value(child, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct kl_arena arena;
    struct kl_toml *root = NULL;
    struct kl_err err = {0};
    kl_arena_init(&arena, 8u << 20);
    enum kl_rc rc = kl_toml_parse(kl_slice(data, size), &arena, &root, &err);
    if (rc == KL_OK) {
        KL_ASSERT(root != NULL && root->type == KL_TOML_TABLE);
        check_value(root, 0);
    } else {
        KL_ASSERT(rc == KL_E_INVALID_INPUT || rc == KL_E_TOO_LARGE);
        KL_ASSERT(err.msg[0] != '\0' && err.position >= 0 && (size_t)err.position <= size + 1);
    }
    kl_arena_deinit(&arena);
    return 0;
}
