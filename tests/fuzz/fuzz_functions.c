/* Scalar functions, operators and casts over arbitrary arguments: nothing crashes, nothing leaves
 * its memory, texts come out as valid UTF-8, and a constant gives what a column gives.
 *
 * Input: u8 length, name of a function or operator (any other bytes pick one) | arguments, each:
 * u8 kind | u8 length, bytes. An argument is text, an untyped literal, NULL, or its text cast to a
 * type. */
#include "sql/expr_internal.h"
#include <stdlib.h>

#define ARGS 8
#define ARENA_BYTES (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const functions[] = {
#define F(name, params, result, flags, fn) name,
#include "sql/func.def"
#undef F
};
static const char *const operators[] = {"+", "-", "*", "/", "%", "^", "||", "=", "<", "~~", "!~~*",
    "~", "!~*", "->", "->>", "?", "#>", "#>>", "@>", "<@", "?|", "?&", "#-", " like escape"};
static const struct kl_type types[] = {KL_TYPE(BOOLEAN), KL_TYPE(SMALLINT), KL_TYPE(INT),
    KL_TYPE(BIGINT), KL_TYPE(DOUBLE), KL_TYPE(FLOAT), KL_TYPE(TIMESTAMP), KL_TYPE(DATE),
    KL_TYPE(DATETIME), KL_TYPE(TIME), KL_TYPE(JSON), KL_TYPE(BYTES), KL_TYPE(UUID),
    KL_TYPE(INTERVAL), {.id = KL_T_DECIMAL, .precision = 20, .scale = 4},
    {.id = KL_T_DECIMAL, .precision = 38}, {.id = KL_T_EMBEDDING, .dim = 3}, KL_TYPE(TEXT)};

enum { KIND_TEXT, KIND_UNKNOWN, KIND_NULL, KIND_TYPE };

struct input {
    size_t what;
    size_t n;
    uint8_t kinds[ARGS];
    struct kl_slice texts[ARGS];
};

static struct kl_slice read_text(struct kl_reader *r) {
    size_t len = kl_read_u8(r), left = (size_t)(r->end - r->ptr);
    struct kl_slice text = kl_slice(r->ptr, KL_MIN(len, left));
    r->ptr += text.len;
    return text;
}

static size_t pick(struct kl_slice name) {
    for (size_t i = 0; i < KL_LEN(functions) + KL_LEN(operators); i++) {
        size_t op = i - KL_LEN(functions);
        const char *s = i < KL_LEN(functions) ? functions[i] : operators[op];
        if (kl_slice_eq_str(name, s)) {
            return i;
        }
    }
    return kl_slice_hash(name) % (KL_LEN(functions) + KL_LEN(operators) + KL_LEN(types));
}

static bool read_input(const uint8_t *data, size_t size, struct input *ret) {
    struct kl_reader r;
    kl_reader_init(&r, kl_slice(data, size));
    *ret = (struct input){.what = pick(read_text(&r))};
    while (!r.failed && r.ptr < r.end && ret->n < ARGS) {
        ret->kinds[ret->n] = kl_read_u8(&r);
        struct kl_slice text = read_text(&r);
        if (!kl_utf8_valid(text) || (text.len && memchr(text.ptr, 0, text.len))) {
            return false; /* never gets as far as a value */
        }
        ret->texts[ret->n++] = text;
    }
    return !r.failed;
}

/* As a column: the text is slot i. */
static bool argument(struct kl_expr_builder *b, const struct input *in, size_t i, bool column,
    struct kl_expr **ret) {
    struct kl_err err;
    unsigned kind = in->kinds[i] % (KIND_TYPE + KL_LEN(types));
    struct kl_val v = kl_val_text(in->texts[i]);
    if (kind == KIND_NULL) {
        return kl_expr_const(b, kl_val_null(KL_T_NULL), ret, &err) == KL_OK;
    }
    if (kind == KIND_UNKNOWN) {
        v.flags = KL_VAL_UNKNOWN;
        return kl_expr_const(b, v, ret, &err) == KL_OK;
    }
    enum kl_rc rc = column ? kl_expr_slot(b, (unsigned)i, KL_TYPE(TEXT), true, ret, &err)
                           : kl_expr_const(b, v, ret, &err);
    if (rc == KL_OK && kind >= KIND_TYPE) {
        rc = kl_expr_cast(b, *ret, types[kind - KIND_TYPE], 1, ret, &err);
    }
    return rc == KL_OK;
}

static enum kl_rc build(struct kl_expr_builder *b, const struct input *in, bool column,
    struct kl_expr **ret, struct kl_err *err) {
    struct kl_expr *args[ARGS];
    size_t what = in->what;
    for (size_t i = 0; i < in->n; i++) {
        if (!argument(b, in, i, column, &args[i])) {
            return KL_E_TYPE;
        }
    }
    if (what < KL_LEN(functions)) {
        return kl_expr_call(b, kl_slice_str(functions[what]), args, in->n, 1, ret, err);
    }
    if (in->n == 0) {
        return KL_E_TYPE;
    }
    what -= KL_LEN(functions);
    if (what >= KL_LEN(operators)) {
        return kl_expr_cast(b, args[0], types[what - KL_LEN(operators)], 1, ret, err);
    }
    if (what + 1 == KL_LEN(operators)) {
        return in->n < 2 ? KL_E_TYPE
                         : kl_expr_like(b, false, in->n & 1, args[0], args[1],
                               in->n > 2 ? args[2] : NULL, 1, ret, err);
    }
    struct kl_slice op = kl_slice_str(operators[what]);
    return in->n < 2 ? kl_expr_op(b, op, NULL, args[0], 1, ret, err)
                     : kl_expr_op(b, op, args[0], args[1], 1, ret, err);
}

static bool internal(const struct input *in) {
    return in->what < KL_LEN(functions) && functions[in->what][0] == ':';
}

/* The result as text, or the code of its error. */
static enum kl_rc run(const struct input *in, bool column, struct kl_buf *out, bool *ret_stable) {
    struct kl_arena arena;
    struct kl_val row[ARGS];
    struct kl_err err = {0};
    struct kl_expr *e;
    struct kl_val v;
    static struct kl_snowflake ids;
    struct kl_session session = {.user = KL_S("u"), .actor = KL_S("u"), .role = KL_ROLE_USER};
    kl_arena_init(&arena, ARENA_BYTES);
    struct kl_expr_builder b = {.arena = &arena};
    struct kl_eval ev = {
        .row = row, .arena = &arena, .session = &session, .ids = &ids, .now_us = 1};
    for (size_t i = 0; i < in->n; i++) {
        row[i] = kl_val_text(in->texts[i]);
    }
    *ret_stable = true;
    enum kl_rc rc = build(&b, in, column, &e, &err);
    if (rc == KL_OK) {
        *ret_stable = !kl_expr_volatile(e);
        kl_expr_print(e, out);
        kl_buf_clear(out);
        rc = kl_expr_eval(e, &ev, &v, &err);
        KL_ASSERT(rc == KL_OK || err.msg[0] != '\0');
    }
    if (rc == KL_OK && !v.null) {
        kl_val_to_text(&v, out);
        KL_ASSERT(v.type != KL_T_TEXT || kl_utf8_valid(kl_val_slice(&v)));
        /* Those with a colon are for other functions only, and trust what they are given. */
        KL_ASSERT(v.type != KL_T_JSON || kl_json_valid(kl_val_slice(&v)) || internal(in));
    }
    kl_arena_deinit(&arena);
    return rc;
}

/* Memory ends at different places; what is refused of a constant is refused while building, and may
 * never be met in a column. */
static bool comparable(enum kl_rc rc) {
    return rc != KL_E_NOMEM && rc != KL_E_TOO_LARGE && rc != KL_E_UNSUPPORTED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in;
    struct kl_buf as_const = {0}, as_column = {0};
    bool stable;
    if (!read_input(data, size, &in)) {
        return 0;
    }
    enum kl_rc one = run(&in, false, &as_const, &stable), two = run(&in, true, &as_column, &stable);
    if (stable && comparable(one) && comparable(two)) {
        KL_ASSERT(one == two);
        KL_ASSERT(one != KL_OK || kl_slice_eq(kl_buf_view(&as_const), kl_buf_view(&as_column)));
    }
    kl_buf_deinit(&as_const);
    kl_buf_deinit(&as_column);
    return 0;
}
