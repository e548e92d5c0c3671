/* Splitting, tokens, shapes and the depth guard over any bytes: nothing crashes, nothing reads past
 * the input, and what the shape promises holds. */
#include "sql/internal.h"
#include "sql/shape.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void scan_all(struct kl_slice text) {
    struct kl_scan s;
    struct kl_tok t;
    const char *at = text.ptr;
    kl_sql__scan_init(&s, text);
    for (kl_sql__scan(&s, &t); t.kind != KL_TOK_END; kl_sql__scan(&s, &t)) {
        KL_ASSERT(
            t.text.ptr >= at && t.text.len > 0 && t.text.ptr + t.text.len <= text.ptr + text.len);
        at = t.text.ptr + t.text.len;
    }
}

static void shape_all(struct kl_slice text, struct kl_arena *arena) {
    struct kl_val params[3] = {kl_val_i64(1), kl_val_text(KL_S("x")), kl_val_null(KL_T_NULL)};
    struct kl_shape_input in = {
        .stmt = text, .prefix = KL_S("p"), .params = params, .n_params = 3, .arena = arena};
    struct kl_shape s;
    struct kl_err err;
    char *sql;
    params[1].flags = KL_VAL_UNKNOWN;
    if (kl_sql__plain_text(text, arena, &sql, &err) == KL_OK) {
        KL_ASSERT(strlen(sql) <= text.len * 2);
    }
    if (kl_sql__shape(&in, &s, &err) != KL_OK || !s.usable) {
        return;
    }
    struct kl_type *types;
    KL_ASSERT(s.n_vals == (s.n_rows > 0 ? s.n_rows : 1) * s.n_values);
    if (kl_sql__shape_text(&s, arena, &sql, &types, &err) == KL_OK) {
        scan_all(kl_slice_str(sql));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct kl_slice sql = kl_slice(data, size), user, inner;
    struct kl_arena arena;
    struct kl_stmt_text *list;
    struct kl_err err = {0};
    size_t n;
    if (size == 0) {
        return 0;
    }
    kl_arena_init(&arena, 0);
    if (kl_sql_split(sql, &arena, &list, &n, &err) == KL_OK) {
        for (size_t i = 0; i < n && i < 50; i++) {
            KL_ASSERT(list[i].text.len > 0 && list[i].text.ptr == sql.ptr + list[i].offset);
            scan_all(list[i].text);
            shape_all(list[i].text, &arena);
            if (kl_sql_execute_as(list[i].text, &arena, &user, &inner, &err) == KL_OK && user.ptr) {
                KL_ASSERT(inner.ptr > list[i].text.ptr &&
                          inner.ptr + inner.len < list[i].text.ptr + list[i].text.len);
            }
        }
    }
    scan_all(sql);
    if (!memchr(data, 0, size)) {
        shape_all(sql, &arena);
    }
    (void)kl_sql__check_depth(sql, &err);
    kl_arena_deinit(&arena);
    return 0;
}
