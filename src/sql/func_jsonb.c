/* PostgreSQL's JSON functions and operators that compare, build and change. JSON is text here: what
 * is built has no blanks between its parts, and what is kept of a value stays as it was written. */
#include "sql/func_internal.h"

#include <math.h>

#define ARGS                                                                                       \
    const struct kl_expr *e, struct kl_eval *ev, const struct kl_val *args, struct kl_val *ret,    \
        struct kl_err *err
#define MAX_DEPTH 512
#define MAX_COMPARISONS 10000000

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct kl_slice trimmed(struct kl_slice s) {
    while (s.len && is_space(*s.ptr)) {
        s = kl_slice_from(s, 1);
    }
    while (s.len && is_space(s.ptr[s.len - 1])) {
        s.len--;
    }
    return s;
}

static enum kl_rc check(const struct kl_val *v, struct kl_err *err) {
    return v->type == KL_T_JSON || kl_json_valid(kl_val_slice(v))
               ? KL_OK
               : kl_fail(err, KL_E_TYPE, "invalid input syntax for type json: \"%.*s\"",
                     (int)KL_MIN(v->len, 100u), v->s);
}

/* ---- what it is ---- */

enum kl_rc kl_func__json_typeof(ARGS) {
    static const char *const names[] = {[KL_JSON_NULL] = "null",
        [KL_JSON_FALSE] = "boolean",
        [KL_JSON_TRUE] = "boolean",
        [KL_JSON_NUMBER] = "number",
        [KL_JSON_STRING] = "string",
        [KL_JSON_ARRAY] = "array",
        [KL_JSON_OBJECT] = "object"};
    enum kl_json_kind kind = kl_expr__json_kind(kl_val_slice(&args[0]));
    if (kind != KL_JSON_NONE) {
        *ret = kl_val_text(kl_slice_str(names[kind]));
    }
    return KL_OK;
}

enum kl_rc kl_func__json_array_length(ARGS) {
    enum kl_json_kind kind = kl_expr__json_kind(kl_val_slice(&args[0]));
    if (kind != KL_JSON_ARRAY) {
        return kl_fail(err, KL_E_EXEC, "cannot get array length of a %s",
            kind == KL_JSON_OBJECT ? "non-array" : "scalar");
    }
    *ret = kl_val_int(KL_T_INT, kl_expr__json_length(kl_val_slice(&args[0])));
    return KL_OK;
}

/* ---- paths: {a,1,"b c"} ---- */

#define MAX_PATH 64
struct path {
    struct kl_slice steps[MAX_PATH];
    size_t n;
};

static enum kl_rc bad_array(const struct kl_val *v, struct kl_err *err) {
    return kl_fail(
        err, KL_E_TYPE, "malformed array literal: \"%.*s\"", (int)KL_MIN(v->len, 100u), v->s);
}

/* One element of an array's text, unquoted into the arena. */
static bool read_element(struct kl_slice *s, struct kl_arena *arena, struct kl_slice *ret) {
    if (s->len > 0 && *s->ptr == '"') {
        char *out = kl_arena_alloc(arena, s->len);
        size_t n = 0, i = 1;
        for (; out && i < s->len && s->ptr[i] != '"'; i++) {
            i += s->ptr[i] == '\\' && i + 1 < s->len;
            out[n++] = s->ptr[i];
        }
        if (!out || i >= s->len) {
            return false;
        }
        *ret = kl_slice(out, n);
        *s = trimmed(kl_slice_from(*s, i + 1));
        return true;
    }
    size_t n = 0;
    while (n < s->len && s->ptr[n] != ',' && s->ptr[n] != '{' && s->ptr[n] != '"') {
        n++;
    }
    *ret = trimmed(kl_slice(s->ptr, n));
    *s = kl_slice_from(*s, n);
    return ret->len > 0;
}

static enum kl_rc read_path(
    const struct kl_val *v, struct kl_arena *arena, struct path *ret, struct kl_err *err) {
    struct kl_slice s = trimmed(kl_val_slice(v));
    ret->n = 0;
    if (s.len < 2 || s.ptr[0] != '{' || s.ptr[s.len - 1] != '}') {
        return bad_array(v, err);
    }
    s = trimmed(kl_slice(s.ptr + 1, s.len - 2));
    while (s.len > 0) {
        if (ret->n == MAX_PATH || !read_element(&s, arena, &ret->steps[ret->n++])) {
            return bad_array(v, err);
        }
        if (s.len == 0) {
            break;
        }
        if (*s.ptr != ',' || s.len == 1) {
            return bad_array(v, err);
        }
        s = trimmed(kl_slice_from(s, 1));
    }
    return KL_OK;
}

static struct kl_slice step_into(struct kl_slice at, struct kl_slice key) {
    int64_t index;
    if (kl_expr__json_kind(at) == KL_JSON_ARRAY) {
        return kl_parse_i64(key, &index) ? kl_expr__json_element(at, index) : KL_SLICE_NONE;
    }
    return kl_expr__json_member(at, key);
}

static enum kl_rc give_text(
    struct kl_eval *ev, struct kl_slice at, struct kl_val *ret, struct kl_err *err) {
    struct kl_slice text;
    switch (at.ptr ? kl_expr__json_kind(at) : KL_JSON_NONE) {
    case KL_JSON_NONE:
    case KL_JSON_NULL:
        return KL_OK;
    case KL_JSON_STRING:
        KL_TRY(kl_expr__json_unquote(at, ev->arena, &text, err));
        *ret = kl_val_text(text);
        return KL_OK;
    default:
        *ret = kl_val_text(trimmed(at));
        return KL_OK;
    }
}

/* In a text that is no JSON what cannot be read counts as not there. */
static void give_json(const struct kl_val *doc, struct kl_slice at, struct kl_val *ret) {
    if (at.ptr && (doc->type == KL_T_JSON || kl_json_valid(at))) {
        *ret = kl_val_str(KL_T_JSON, trimmed(at));
    }
}

static struct kl_slice follow(const struct kl_expr *e, const struct kl_val *args) {
    struct kl_slice at = kl_val_slice(&args[0]);
    for (uint32_t i = 1; i < e->n_args && at.ptr; i++) {
        at = step_into(at, kl_val_slice(&args[i]));
    }
    return at;
}

static enum kl_rc follow_path(
    const struct kl_val *args, struct kl_eval *ev, struct kl_slice *ret, struct kl_err *err) {
    struct path path;
    KL_TRY(read_path(&args[1], ev->arena, &path, err));
    *ret = kl_val_slice(&args[0]);
    for (size_t i = 0; i < path.n && ret->ptr; i++) {
        *ret = step_into(*ret, path.steps[i]);
    }
    return KL_OK;
}

enum kl_rc kl_func__json_extract(ARGS) {
    give_json(&args[0], follow(e, args), ret);
    return KL_OK;
}

enum kl_rc kl_func__json_extract_text(ARGS) {
    return give_text(ev, follow(e, args), ret, err);
}

enum kl_rc kl_func__json_path(ARGS) {
    struct kl_slice at;
    KL_TRY(follow_path(args, ev, &at, err));
    give_json(&args[0], at, ret);
    return KL_OK;
}

enum kl_rc kl_func__json_path_text(ARGS) {
    struct kl_slice at;
    KL_TRY(follow_path(args, ev, &at, err));
    return give_text(ev, at, ret, err);
}

/* ---- keys ---- */

static enum kl_rc has_keys(struct kl_eval *ev, const struct kl_val *args, bool all,
    struct kl_val *ret, struct kl_err *err) {
    struct path keys;
    bool result = all;
    KL_TRY(read_path(&args[1], ev->arena, &keys, err));
    for (size_t i = 0; i < keys.n; i++) {
        bool has = kl_expr__json_has(kl_val_slice(&args[0]), keys.steps[i]);
        result = all ? result && has : result || has;
    }
    *ret = kl_val_bool(result);
    return KL_OK;
}

enum kl_rc kl_func__json_has_any(ARGS) {
    return has_keys(ev, args, false, ret, err);
}

enum kl_rc kl_func__json_has_all(ARGS) {
    return has_keys(ev, args, true, ret, err);
}

enum kl_rc kl_func__json_has_any_of(ARGS) {
    bool result = false;
    for (uint32_t i = 1; i < e->n_args; i++) {
        result = result || kl_expr__json_has(kl_val_slice(&args[0]), kl_val_slice(&args[i]));
    }
    *ret = kl_val_bool(result);
    return KL_OK;
}

enum kl_rc kl_func__json_has_all_of(ARGS) {
    bool result = true;
    for (uint32_t i = 1; i < e->n_args; i++) {
        result = result && kl_expr__json_has(kl_val_slice(&args[0]), kl_val_slice(&args[i]));
    }
    *ret = kl_val_bool(result);
    return KL_OK;
}

/* ---- containment ---- */

struct matching {
    struct kl_arena *arena;
    unsigned depth;
    uint64_t steps;
    bool failed; /* too much to compare */
};

static bool holds(struct matching *m, struct kl_slice a, struct kl_slice b, bool top);

static bool same_scalar(struct matching *m, struct kl_slice a, struct kl_slice b) {
    enum kl_json_kind kind = kl_expr__json_kind(a);
    struct kl_slice x, y;
    if (kind != kl_expr__json_kind(b)) {
        return false;
    }
    if (kind == KL_JSON_STRING) {
        if (kl_expr__json_unquote(a, m->arena, &x, NULL) != KL_OK ||
            kl_expr__json_unquote(b, m->arena, &y, NULL) != KL_OK) {
            m->failed = true;
            return false;
        }
        return kl_slice_eq(x, y);
    }
    if (kind == KL_JSON_NUMBER) {
        struct kl_val u = {0}, v = {0};
        __int128 p, q;
        uint8_t digits;
        x = trimmed(a);
        y = trimmed(b);
        if (kl_dec_parse(x, &p, &u.scale, &digits) == KL_OK &&
            kl_dec_parse(y, &q, &v.scale, &digits) == KL_OK) {
            u = kl_val_decimal(p, u.scale);
            v = kl_val_decimal(q, v.scale);
            return kl_val_cmp(&u, &v) == 0;
        }
        return kl_parse_double(x, &u.d) && kl_parse_double(y, &v.d) && u.d == v.d;
    }
    return true;
}

static bool is_container(struct kl_slice s) {
    enum kl_json_kind kind = kl_expr__json_kind(s);
    return kind == KL_JSON_ARRAY || kind == KL_JSON_OBJECT;
}

static bool some_element_holds(struct matching *m, struct kl_slice array, struct kl_slice b) {
    struct kl_json_walk w;
    struct kl_slice k, v;
    if (!kl_expr__json_walk(&w, array, false)) {
        return false;
    }
    while (kl_expr__json_next(&w, &k, &v)) {
        if (is_container(v) == is_container(b) && holds(m, v, b, false)) {
            return true;
        }
    }
    return false;
}

static bool object_holds(struct matching *m, struct kl_slice a, struct kl_slice b) {
    struct kl_json_walk w;
    struct kl_slice k, v, key;
    if (!kl_expr__json_walk(&w, b, true)) {
        return false;
    }
    while (kl_expr__json_next(&w, &k, &v)) {
        if (kl_expr__json_unquote(k, m->arena, &key, NULL) != KL_OK) {
            m->failed = true;
            return false;
        }
        struct kl_slice mine = kl_expr__json_member(a, key);
        if (!mine.ptr || !holds(m, mine, v, false)) {
            return false;
        }
    }
    return true;
}

/* Every part of b is in a. At the top an array may hold a bare scalar. */
static bool holds(struct matching *m, struct kl_slice a, struct kl_slice b, bool top) {
    enum kl_json_kind x = kl_expr__json_kind(a), y = kl_expr__json_kind(b);
    struct kl_json_walk w;
    struct kl_slice k, v;
    bool result = true;
    if (m->failed || ++m->steps > MAX_COMPARISONS || m->depth > MAX_DEPTH) {
        m->failed = true;
        return false;
    }
    m->depth++;
    if (x == KL_JSON_ARRAY && y == KL_JSON_ARRAY) {
        kl_expr__json_walk(&w, b, false);
        while (result && kl_expr__json_next(&w, &k, &v)) {
            result = some_element_holds(m, a, v);
        }
    } else if (x == KL_JSON_OBJECT && y == KL_JSON_OBJECT) {
        result = object_holds(m, a, b);
    } else if (top && x == KL_JSON_ARRAY && !is_container(b)) {
        result = some_element_holds(m, a, b);
    } else {
        result = !is_container(a) && !is_container(b) && same_scalar(m, a, b);
    }
    m->depth--;
    return result;
}

static enum kl_rc contains(struct kl_eval *ev, const struct kl_val *a, const struct kl_val *b,
    struct kl_val *ret, struct kl_err *err) {
    struct matching m = {.arena = ev->arena};
    KL_TRY(check(a, err));
    KL_TRY(check(b, err));
    *ret = kl_val_bool(holds(&m, kl_val_slice(a), kl_val_slice(b), true));
    return m.failed ? kl_fail(err, KL_E_TOO_LARGE, "these JSON values are too large to compare")
                    : KL_OK;
}

enum kl_rc kl_func__json_holds(ARGS) {
    return contains(ev, &args[0], &args[1], ret, err);
}

enum kl_rc kl_func__json_is_held(ARGS) {
    return contains(ev, &args[1], &args[0], ret, err);
}

/* ---- changing ---- */

static enum kl_rc finish(
    struct kl_eval *ev, struct kl_buf *out, uint8_t type, struct kl_val *ret, struct kl_err *err) {
    return kl_func__take(ev, out, type, ret, err);
}

static void put_comma(struct kl_buf *out, bool *first) {
    kl_buf_puts(out, *first ? "" : ",");
    *first = false;
}

static void put_member(struct kl_buf *out, bool *first, struct kl_slice k, struct kl_slice v) {
    put_comma(out, first);
    if (k.ptr) {
        kl_buf_slice(out, trimmed(k));
        kl_buf_putc(out, ':');
    }
    kl_buf_slice(out, trimmed(v));
}

/* Two objects: the right one's members replace; anything else: arrays joined, others as elements. */
static void concat_objects(
    struct kl_buf *out, struct kl_slice a, struct kl_slice b, struct kl_arena *arena) {
    struct kl_json_walk w;
    struct kl_slice k, v, key;
    bool first = true;
    kl_buf_putc(out, '{');
    kl_expr__json_walk(&w, a, true);
    while (kl_expr__json_next(&w, &k, &v)) {
        if (kl_expr__json_unquote(k, arena, &key, NULL) != KL_OK) {
            out->failed = true;
            return;
        }
        if (!kl_expr__json_member(b, key).ptr) {
            put_member(out, &first, k, v);
        }
    }
    kl_expr__json_walk(&w, b, true);
    while (kl_expr__json_next(&w, &k, &v)) {
        put_member(out, &first, k, v);
    }
    kl_buf_putc(out, '}');
}

static void put_elements(struct kl_buf *out, bool *first, struct kl_slice s) {
    struct kl_json_walk w;
    struct kl_slice k, v;
    if (kl_expr__json_kind(s) != KL_JSON_ARRAY) {
        put_member(out, first, KL_SLICE_NONE, s);
        return;
    }
    kl_expr__json_walk(&w, s, false);
    while (kl_expr__json_next(&w, &k, &v)) {
        put_member(out, first, KL_SLICE_NONE, v);
    }
}

enum kl_rc kl_func__json_concat(ARGS) {
    struct kl_slice a = kl_val_slice(&args[0]), b = kl_val_slice(&args[1]);
    struct kl_buf out;
    bool first = true;
    kl_buf_init(&out, 0);
    if (kl_expr__json_kind(a) == KL_JSON_OBJECT && kl_expr__json_kind(b) == KL_JSON_OBJECT) {
        concat_objects(&out, a, b, ev->arena);
    } else {
        kl_buf_putc(&out, '[');
        put_elements(&out, &first, a);
        put_elements(&out, &first, b);
        kl_buf_putc(&out, ']');
    }
    return finish(ev, &out, KL_T_JSON, ret, err);
}

static enum kl_rc no_delete(struct kl_slice json, bool index, struct kl_err *err) {
    enum kl_json_kind kind = kl_expr__json_kind(json);
    if (kind == KL_JSON_OBJECT && index) {
        return kl_fail(err, KL_E_EXEC, "cannot delete from object using integer index");
    }
    return kind == KL_JSON_OBJECT || kind == KL_JSON_ARRAY
               ? KL_OK
               : kl_fail(err, KL_E_EXEC, "cannot delete from scalar");
}

/* Rewrites the value at a path: `with` NULL deletes it. create: a missing last step is added. */
struct change {
    const struct kl_slice *with;
    bool create;
    const struct path *path;
};

static void put_changed(
    struct kl_buf *out, struct kl_slice at, const struct change *c, size_t depth);

static void put_part(struct kl_buf *out, bool *first, struct kl_slice k, struct kl_slice v,
    const struct change *c, size_t depth) {
    bool last = depth + 1 == c->path->n;
    if (last && !c->with) {
        return;
    }
    put_comma(out, first);
    if (k.ptr) {
        kl_buf_slice(out, trimmed(k));
        kl_buf_putc(out, ':');
    }
    if (last) {
        kl_buf_slice(out, trimmed(*c->with));
    } else {
        put_changed(out, v, c, depth + 1);
    }
}

static void change_object(
    struct kl_buf *out, struct kl_slice at, const struct change *c, size_t depth) {
    struct kl_slice key = c->path->steps[depth], k, v;
    struct kl_json_walk w;
    bool first = true, found = false;
    kl_buf_putc(out, '{');
    kl_expr__json_walk(&w, at, true);
    while (kl_expr__json_next(&w, &k, &v)) {
        if (kl_expr__json_string_is(k, key)) {
            found = true;
            put_part(out, &first, k, v, c, depth);
        } else {
            put_member(out, &first, k, v);
        }
    }
    if (!found && c->with && c->create && depth + 1 == c->path->n) {
        put_comma(out, &first);
        kl_json_str(out, key);
        kl_buf_putc(out, ':');
        kl_buf_slice(out, trimmed(*c->with));
    }
    kl_buf_putc(out, '}');
}

static void change_array(
    struct kl_buf *out, struct kl_slice at, const struct change *c, size_t depth) {
    struct kl_slice k, v;
    struct kl_json_walk w;
    bool first = true, add = c->with && c->create && depth + 1 == c->path->n;
    int64_t index = 0, length = kl_expr__json_length(at), i = 0;
    if (!kl_parse_i64(c->path->steps[depth], &index)) {
        kl_buf_slice(out, trimmed(at));
        return;
    }
    index += index < 0 ? length : 0;
    kl_buf_putc(out, '[');
    if (index < 0 && add) {
        put_member(out, &first, KL_SLICE_NONE, *c->with);
    }
    kl_expr__json_walk(&w, at, false);
    for (; kl_expr__json_next(&w, &k, &v); i++) {
        if (i == index) {
            put_part(out, &first, KL_SLICE_NONE, v, c, depth);
        } else {
            put_member(out, &first, KL_SLICE_NONE, v);
        }
    }
    if (index >= length && add) {
        put_member(out, &first, KL_SLICE_NONE, *c->with);
    }
    kl_buf_putc(out, ']');
}

static void put_changed(
    struct kl_buf *out, struct kl_slice at, const struct change *c, size_t depth) {
    enum kl_json_kind kind = kl_expr__json_kind(at);
    if (kind == KL_JSON_OBJECT) {
        change_object(out, at, c, depth);
    } else if (kind == KL_JSON_ARRAY) {
        change_array(out, at, c, depth);
    } else {
        kl_buf_slice(out, trimmed(at));
    }
}

static enum kl_rc change(struct kl_eval *ev, struct kl_slice json, const struct change *c,
    struct kl_val *ret, struct kl_err *err) {
    struct kl_buf out;
    if (c->path->n == 0) {
        *ret = kl_val_str(KL_T_JSON, json);
        return KL_OK;
    }
    kl_buf_init(&out, 0);
    put_changed(&out, json, c, 0);
    return finish(ev, &out, KL_T_JSON, ret, err);
}

enum kl_rc kl_func__json_delete_key(ARGS) {
    struct kl_slice json = kl_val_slice(&args[0]), key = kl_val_slice(&args[1]), k, v;
    struct kl_json_walk w;
    struct kl_buf out;
    bool first = true;
    KL_TRY(no_delete(json, false, err));
    if (kl_expr__json_kind(json) == KL_JSON_OBJECT) {
        struct path path = {.steps = {key}, .n = 1};
        return change(ev, json, &(struct change){.path = &path}, ret, err);
    }
    kl_buf_init(&out, 0); /* from an array: the strings that equal it */
    kl_buf_putc(&out, '[');
    kl_expr__json_walk(&w, json, false);
    while (kl_expr__json_next(&w, &k, &v)) {
        if (kl_expr__json_kind(v) != KL_JSON_STRING || !kl_expr__json_string_is(v, key)) {
            put_member(&out, &first, KL_SLICE_NONE, v);
        }
    }
    kl_buf_putc(&out, ']');
    return finish(ev, &out, KL_T_JSON, ret, err);
}

enum kl_rc kl_func__json_delete_index(ARGS) {
    struct path path = {.n = 1};
    struct kl_slice json = kl_val_slice(&args[0]);
    KL_TRY(no_delete(json, true, err));
    char *text = kl_arena_printf(ev->arena, "%lld", (long long)args[1].i);
    if (!text) {
        return kl_expr__no_memory(err);
    }
    path.steps[0] = kl_slice_str(text);
    return change(ev, json, &(struct change){.path = &path}, ret, err);
}

enum kl_rc kl_func__json_delete_path(ARGS) {
    struct path path;
    KL_TRY(no_delete(kl_val_slice(&args[0]), false, err));
    KL_TRY(read_path(&args[1], ev->arena, &path, err));
    return change(ev, kl_val_slice(&args[0]), &(struct change){.path = &path}, ret, err);
}

/* (target, path, value[, create_missing]) */
enum kl_rc kl_func__json_set(ARGS) {
    struct path path;
    struct kl_slice with = kl_val_slice(&args[2]), json = kl_val_slice(&args[0]);
    KL_TRY(check(&args[0], err));
    KL_TRY(check(&args[2], err));
    if (!is_container(json)) {
        return kl_fail(err, KL_E_EXEC, "cannot set path in scalar");
    }
    KL_TRY(read_path(&args[1], ev->arena, &path, err));
    struct change c = {.path = &path, .with = &with, .create = e->n_args < 4 || args[3].b};
    return change(ev, json, &c, ret, err);
}

static void put_stripped(struct kl_buf *out, struct kl_slice at) {
    enum kl_json_kind kind = kl_expr__json_kind(at);
    struct kl_json_walk w;
    struct kl_slice k = KL_SLICE_NONE, v;
    bool object = kind == KL_JSON_OBJECT, first = true;
    if (kind != KL_JSON_ARRAY && !object) {
        kl_buf_slice(out, trimmed(at));
        return;
    }
    kl_buf_putc(out, object ? '{' : '[');
    kl_expr__json_walk(&w, at, object);
    while (kl_expr__json_next(&w, &k, &v)) {
        if (object && kl_expr__json_kind(v) == KL_JSON_NULL) {
            continue;
        }
        put_comma(out, &first);
        if (object) {
            kl_buf_slice(out, k);
            kl_buf_putc(out, ':');
        }
        put_stripped(out, v);
    }
    kl_buf_putc(out, object ? '}' : ']');
}

enum kl_rc kl_func__json_strip_nulls(ARGS) {
    struct kl_buf out;
    KL_TRY(check(&args[0], err)); /* its depth is bounded, then */
    kl_buf_init(&out, 0);
    put_stripped(&out, kl_val_slice(&args[0]));
    return finish(ev, &out, KL_T_JSON, ret, err);
}

/* ---- building ---- */

static void put_point(struct kl_buf *out, const struct kl_val *v) {
    struct kl_buf text;
    kl_buf_init(&text, 128);
    kl_val_to_text(v, &text);
    for (size_t i = 0; i < text.len; i++) { /* ISO 8601: a T between date and time */
        text.data[i] = text.data[i] == ' ' ? 'T' : text.data[i];
    }
    kl_buf_putc(out, '"');
    kl_buf_slice(out, kl_buf_view(&text));
    kl_buf_puts(out, v->type == KL_T_DATETIME ? ":00\"" : "\"");
    kl_buf_deinit(&text);
}

static void put_value(struct kl_buf *out, const struct kl_val *v) {
    struct kl_buf text;
    if (v->null) {
        kl_buf_puts(out, "null");
        return;
    }
    switch (v->type) {
    case KL_T_JSON:
        kl_buf_slice(out, trimmed(kl_val_slice(v)));
        return;
    case KL_T_TEXT:
    case KL_T_FILE:
        kl_json_str(out, kl_val_slice(v));
        return;
    case KL_T_BOOLEAN:
        kl_buf_puts(out, v->b ? "true" : "false");
        return;
    case KL_T_TIMESTAMP:
    case KL_T_DATETIME:
        put_point(out, v);
        return;
    default:
        break;
    }
    bool plain = (kl_type_is_number(v->type) &&
                     !((v->type == KL_T_DOUBLE || v->type == KL_T_FLOAT) && !isfinite(v->d))) ||
                 v->type == KL_T_EMBEDDING;
    kl_buf_init(&text, 0);
    kl_val_to_text(v, &text);
    plain ? kl_buf_slice(out, kl_buf_view(&text)) : kl_json_str(out, kl_buf_view(&text));
    out->failed |= text.failed;
    kl_buf_deinit(&text);
}

enum kl_rc kl_func__to_json(ARGS) {
    struct kl_buf out;
    kl_buf_init(&out, 0);
    put_value(&out, &args[0]);
    return finish(ev, &out, e->type.id, ret, err);
}

static void put_json_text(struct kl_buf *out, const struct kl_val *v) {
    kl_buf_slice(out, v->null ? KL_S("null") : kl_val_slice(v));
}

static enum kl_rc build(const struct kl_expr *e, struct kl_eval *ev, const struct kl_val *args,
    bool object, bool ready, struct kl_val *ret, struct kl_err *err) {
    struct kl_buf out, key;
    enum kl_rc rc = KL_OK;
    if (object && e->n_args % 2) {
        rc = kl_fail(err, KL_E_EXEC, "argument list must have even number of elements");
        kl_err_hint(err, "The arguments must consist of alternating keys and values.");
        return rc;
    }
    kl_buf_init(&out, 0);
    kl_buf_init(&key, 0);
    kl_buf_putc(&out, object ? '{' : '[');
    for (uint32_t i = 0; i < e->n_args && rc == KL_OK; i++) {
        bool is_key = object && i % 2 == 0;
        kl_buf_puts(&out, i == 0 ? "" : object && !is_key ? ":" : ",");
        if (is_key && args[i].null) {
            rc = kl_fail(err, KL_E_EXEC, "argument %u cannot be null", i + 1);
        } else if (is_key) {
            kl_buf_clear(&key);
            kl_val_to_text(&args[i], &key);
            kl_json_str(&out, kl_buf_view(&key));
        } else if (ready) {
            put_json_text(&out, &args[i]);
        } else {
            put_value(&out, &args[i]);
        }
    }
    kl_buf_putc(&out, object ? '}' : ']');
    kl_buf_deinit(&key);
    if (rc != KL_OK) {
        kl_buf_deinit(&out);
        return rc;
    }
    return finish(ev, &out, e->type.id, ret, err);
}

enum kl_rc kl_func__json_build_object(ARGS) {
    return build(e, ev, args, true, false, ret, err);
}

enum kl_rc kl_func__json_build_array(ARGS) {
    return build(e, ev, args, false, false, ret, err);
}

/* The same of texts that are JSON already. */
enum kl_rc kl_func__json_object_of(ARGS) {
    return build(e, ev, args, true, true, ret, err);
}

enum kl_rc kl_func__json_array_of(ARGS) {
    return build(e, ev, args, false, true, ret, err);
}
