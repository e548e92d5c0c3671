/* Distances between vectors: an EMBEDDING, or text of the form [0.1, 0.2]. Sums are doubles,
 * results floats. A literal is read once when building, a parameter once a statement. */
#include "sql/func_internal.h"

#include <math.h>
#include <stdio.h>

#define ARGS                                                                                       \
    const struct kl_expr *e, struct kl_eval *ev, const struct kl_val *args, struct kl_val *ret,    \
        struct kl_err *err
#define MAX_DIM 8192

static enum kl_rc fail(const char *name, enum kl_rc rc, const char *what, struct kl_err *err) {
    char upper[32];
    size_t n = 0;
    for (; name[n] && n + 1 < sizeof(upper); n++) {
        upper[n] = (char)kl_expr__upper_code((unsigned char)name[n]);
    }
    upper[n] = '\0';
    return kl_fail(err, rc, "%s() %s", upper, what);
}

static enum kl_rc fail_dims(const char *name, uint32_t a, uint32_t b, struct kl_err *err) {
    char what[80];
    snprintf(what, sizeof(what), "dimension mismatch: row has %u, query has %u", a, b);
    return fail(name, KL_E_TYPE, what, err);
}

struct vector {
    const char *data; /* floats, perhaps not aligned */
    uint32_t dim;
};

static double at(const struct vector *v, uint32_t i) {
    float f;
    memcpy(&f, v->data + (size_t)i * sizeof(f), sizeof(f));
    return f;
}

static bool parse_numbers(struct kl_slice s, float *out, uint32_t *ret_dim) {
    s = kl_slice_trim(s);
    if (s.len < 2 || s.ptr[0] != '[' || s.ptr[s.len - 1] != ']') {
        return false;
    }
    s = kl_slice_trim(kl_slice(s.ptr + 1, s.len - 2));
    uint32_t n = 0;
    while (s.len > 0) {
        const char *comma = memchr(s.ptr, ',', s.len);
        size_t len = comma ? (size_t)(comma - s.ptr) : s.len;
        double d;
        if (n == MAX_DIM || !kl_parse_double(kl_slice_trim(kl_slice(s.ptr, len)), &d) ||
            !isfinite((float)d)) {
            return false;
        }
        out[n++] = (float)d;
        if (!comma) {
            break;
        }
        s = kl_slice_from(s, len + 1);
        if (s.len == 0) { /* a comma that nothing follows */
            return false;
        }
    }
    *ret_dim = n;
    return true;
}

static enum kl_rc parse_vector(const char *name, struct kl_slice s, struct kl_arena *arena,
    struct vector *ret, struct kl_err *err) {
    size_t most = 1;
    for (size_t i = 0; i < s.len; i++) {
        most += s.ptr[i] == ',';
    }
    float *data = kl_arena_alloc(arena, KL_MIN(most, (size_t)MAX_DIM) * sizeof(float));
    if (!data) {
        return kl_expr__no_memory(err);
    }
    if (!parse_numbers(s, data, &ret->dim)) {
        char what[160];
        snprintf(what, sizeof(what), "failed to parse JSON query vector: %.*s",
            (int)KL_MIN(s.len, (size_t)80), s.ptr);
        return fail(name, KL_E_TYPE, what, err);
    }
    if (ret->dim == 0) {
        return fail(name, KL_E_EXEC, "query vector cannot be empty", err);
    }
    ret->data = (const char *)data;
    return KL_OK;
}

static enum kl_rc vector_of(const struct kl_expr *e, struct kl_eval *ev, const struct kl_val *v,
    struct vector *ret, struct kl_err *err) {
    if (v->type == KL_T_EMBEDDING) {
        *ret = (struct vector){v->s, v->len / (uint32_t)sizeof(float)};
        return KL_OK;
    }
    return parse_vector(e->func->name, kl_val_slice(v), ev->arena, ret, err);
}

static enum kl_rc both(ARGS, struct vector *a, struct vector *b) {
    KL_TRY(vector_of(e, ev, &args[0], a, err));
    KL_TRY(vector_of(e, ev, &args[1], b, err));
    return a->dim == b->dim ? KL_OK : fail_dims(e->func->name, a->dim, b->dim, err);
}

static void give(struct kl_val *ret, double d) {
    *ret = (struct kl_val){.type = KL_T_FLOAT, .d = (float)d};
}

enum kl_rc kl_func__cosine_distance(ARGS) {
    struct vector a, b;
    KL_TRY(both(e, ev, args, ret, err, &a, &b));
    double dot = 0, aa = 0, bb = 0;
    for (uint32_t i = 0; i < a.dim; i++) {
        double x = at(&a, i), y = at(&b, i);
        dot += x * y;
        aa += x * x;
        bb += y * y;
    }
    give(ret, aa == 0 || bb == 0 ? 1.0 : 1.0 - dot / (sqrt(aa) * sqrt(bb)));
    return KL_OK;
}

enum kl_rc kl_func__l2_distance(ARGS) {
    struct vector a, b;
    KL_TRY(both(e, ev, args, ret, err, &a, &b));
    double sum = 0;
    for (uint32_t i = 0; i < a.dim; i++) {
        double d = at(&a, i) - at(&b, i);
        sum += d * d;
    }
    give(ret, sqrt(sum));
    return KL_OK;
}

enum kl_rc kl_func__inner_product(ARGS) {
    struct vector a, b;
    KL_TRY(both(e, ev, args, ret, err, &a, &b));
    double dot = 0;
    for (uint32_t i = 0; i < a.dim; i++) {
        dot += at(&a, i) * at(&b, i);
    }
    give(ret, dot);
    return KL_OK;
}

enum kl_rc kl_func__prepare_vectors(struct kl_expr_builder *b, const char *name,
    struct kl_expr **pair, int position, struct kl_err *err) {
    for (int i = 0; i < 2; i++) {
        const struct kl_expr *other = pair[!i];
        if (!kl_expr__is_unknown(pair[i])) {
            continue;
        }
        if (pair[i]->kind == KL_EXPR_KIND_PARAM) {
            if (other->type.id == KL_T_EMBEDDING) {
                KL_TRY(kl_expr__coerce(b, pair[i], other->type, position, &pair[i], err));
            }
            continue;
        }
        if (pair[i]->value.null) {
            continue;
        }
        struct vector v;
        KL_TRY(parse_vector(name, kl_val_slice(&pair[i]->value), b->arena, &v, err));
        if (other->type.id == KL_T_EMBEDDING && other->type.dim != v.dim) {
            return fail_dims(name, other->type.dim, v.dim, err);
        }
        struct kl_val as =
            kl_val_str(KL_T_EMBEDDING, kl_slice(v.data, (size_t)v.dim * sizeof(float)));
        KL_TRY(kl_expr_const(b, as, &pair[i], err));
    }
    return KL_OK;
}
