/* Shapes. See shape.h.
 *
 * One pass over the tokens; a list that turns out not to collapse, or a GROUP BY met late, starts
 * it again with that knowledge (at most twice). This runs for every statement, so it touches
 * nothing but the text, the key and the values: no parser, no memory besides the arena. */
#include "sql/shape_internal.h"

#define MAX_LEVELS 64
#define MAX_SPREAD ((size_t)1 << 22) /* values of a list's rows with what follows the list */
#define MARK_VALUE 1
#define MARK_AGAIN 2

enum level_flag {
    L_ITEMS = 1 /* of ORDER BY, GROUP BY */,
    L_WHERE = 2,
    L_TYPE = 4 /* modifiers */
};
enum prev { P_NONE, P_WORD, P_OP, P_NUMBER, P_DOT, P_CLOSE, P_OPEN, P_PUNCT, P_MARK };
enum outcome { DONE, AGAIN, UNUSABLE, FAILED };

struct shaper {
    const struct kl_shape_input *in;
    struct kl_err *err;
    enum kl_rc rc;
    struct kl_scan scan;
    struct kl_tok tok;
    char *key;
    size_t len, cap;
    struct kl_val *vals;
    size_t n_vals, vals_cap;
    uint32_t *value_of_param;     /* index + 1 */
    bool only_where, no_collapse; /* what earlier passes learned */
    uint8_t levels[MAX_LEVELS];
    unsigned level;
    enum prev prev;
    enum kl_shape_word prev_word;
    bool prev_string;
    uint8_t type_next; /* 1: behind :: or AS; 2: and a word of the type name */
    /* the VALUES list of an INSERT */
    enum { ROWS_NO, ROWS_WAIT, ROWS_OPEN, ROWS_IN, ROWS_AFTER, ROWS_TAIL } rows;
    bool insert, cell_start;
    size_t row_start, row_vals, first_row_len, first_row_vals, n_rows;
};

static enum outcome fail(struct shaper *s, enum kl_rc rc) {
    s->rc = rc;
    return FAILED;
}

/* ---- output ---- */
static bool room(struct shaper *s, size_t extra) {
    if (s->len + extra <= s->cap) {
        return true;
    }
    size_t cap = KL_MAX(s->cap * 2, s->len + extra + 256);
    char *key = kl_arena_alloc(s->in->arena, cap);
    if (!key) {
        return false;
    }
    if (s->len > 0) {
        memcpy(key, s->key, s->len);
    }
    s->key = key;
    s->cap = cap;
    return true;
}

static bool add_value(struct shaper *s, const struct kl_val *v) {
    if (s->n_vals == s->vals_cap) {
        size_t cap = s->vals_cap ? s->vals_cap * 2 : 16;
        struct kl_val *vals = kl_arena_alloc(s->in->arena, cap * sizeof(*vals));
        if (!vals) {
            return false;
        }
        if (s->n_vals > 0) {
            memcpy(vals, s->vals, s->n_vals * sizeof(*vals));
        }
        s->vals = vals;
        s->vals_cap = cap;
    }
    s->vals[s->n_vals++] = *v;
    return true;
}

/* A token as it is, apart from the one before. */
static enum outcome emit(struct shaper *s, enum prev cls, struct kl_slice text, bool lower) {
    if (!room(s, text.len + 2)) {
        return fail(s, KL_E_TOO_LARGE);
    }
    bool wordy = cls == P_WORD || cls == P_NUMBER,
         after_wordy = s->prev == P_WORD || s->prev == P_NUMBER;
    if ((wordy && after_wordy) || (cls == P_OP && s->prev == P_OP) ||
        (s->prev == P_NUMBER && cls == P_DOT) || (s->prev == P_DOT && cls == P_NUMBER)) {
        s->key[s->len++] = ' ';
    }
    char *out = s->key + s->len;
    if (lower) {
        for (size_t i = 0; i < text.len; i++) {
            char c = text.ptr[i];
            out[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        }
    } else {
        memcpy(out, text.ptr, text.len);
    }
    s->len += text.len;
    s->prev = cls;
    return DONE;
}

/* Quoted text that stays in the shape must not hold what could be taken for a marker. */
static enum outcome emit_quoted(struct shaper *s, struct kl_slice text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == MARK_VALUE || text.ptr[i] == MARK_AGAIN) {
            return UNUSABLE;
        }
    }
    return emit(s, P_WORD, text, false);
}

static enum outcome emit_marker(struct shaper *s, const struct kl_val *v, bool open) {
    if (!room(s, 4) || !add_value(s, v)) {
        return fail(s, KL_E_TOO_LARGE);
    }
    char *out = s->key + s->len;
    *out++ = MARK_VALUE;
    if (open) {
        *out++ = 'o';
    } else if (v->null || (v->flags & KL_VAL_UNKNOWN) || v->type == KL_T_NULL) {
        *out++ = 's';
    } else if (v->type == KL_T_DECIMAL) {
        *out++ = 'd';
        *out++ = kl_sql__param_type(v).precision <= 18 ? '1' : '2';
        *out++ = (char)(0x20 + v->scale);
    } else {
        static const char kinds[] = {[KL_T_BIGINT] = 'i',
            [KL_T_DOUBLE] = 'f',
            [KL_T_BOOLEAN] = 'b',
            [KL_T_BYTES] = 'x',
            [KL_T_TEXT] = 't'};
        char k = v->type < sizeof(kinds) ? kinds[v->type] : 0;
        *out++ = k ? k : 'T';
        if (!k) {
            *out++ = (char)(0x20 + v->type);
        }
    }
    s->len = (size_t)(out - s->key);
    s->prev = P_MARK;
    return DONE;
}

struct kl_type kl_sql__param_type(const struct kl_val *v) {
    if (v->null || (v->flags & KL_VAL_UNKNOWN)) {
        return KL_TYPE(NULL);
    }
    struct kl_type t = {.id = v->type};
    if (v->type == KL_T_DECIMAL) {
        __int128 dec = kl_val_dec(v), limit = 1000000000000000000;
        t.scale = v->scale;
        t.precision = v->scale <= 18 && dec < limit && dec > -limit ? 18 : 38;
    } else if (v->type == KL_T_EMBEDDING) {
        t.dim = (uint16_t)(v->len / sizeof(float));
    }
    return t;
}

/* ---- words ---- */
static bool value_may_follow(enum kl_shape_word w) {
    return w == KL_W_VALUE_NEXT || w == KL_W_SELECT || w == KL_W_WHERE || w == KL_W_LIMIT ||
           w == KL_W_HAVING || w == KL_W_DISTINCT;
}

/* `( )` right behind the current token: moves past it. */
static bool skip_empty_parens(struct kl_scan *scan) {
    struct kl_scan ahead = *scan;
    struct kl_tok t;
    kl_sql__scan(&ahead, &t);
    if (t.punct != '(') {
        return false;
    }
    kl_sql__scan(&ahead, &t);
    if (t.punct != ')') {
        return false;
    }
    *scan = ahead;
    return true;
}

static void set_clause(struct shaper *s, bool items, bool where) {
    uint8_t *l = &s->levels[s->level];
    *l = (uint8_t)((*l & L_TYPE) | (items ? L_ITEMS : 0) | (where ? L_WHERE : 0));
}

static enum outcome on_word(struct shaper *s) {
    struct kl_slice text = s->tok.text;
    bool name = s->prev == P_DOT; /* t.order is a column */
    enum outcome o = emit(s, P_WORD, text, true);
    if (o != DONE) {
        return o;
    }
    enum kl_shape_word w = name
                               ? KL_W_NONE
                               : kl_sql__shape_word(kl_slice(s->key + s->len - text.len, text.len)),
                       before = s->prev_word;
    s->prev_word = w;
    s->type_next = w == KL_W_AS ? 1 : s->type_next && w == KL_W_NONE ? 2 : 0;
    switch (w) {
    case KL_W_GROUP:
    case KL_W_DISTINCT:
        if (!s->only_where) {
            s->only_where = true;
            return AGAIN;
        }
        if (w == KL_W_GROUP) {
            set_clause(s, false, false);
        }
        break;
    case KL_W_SELECT:
    case KL_W_SETOP:
        s->insert = false; /* a VALUES that follows is part of a query */
        set_clause(s, false, false);
        break;
    case KL_W_ORDER:
    case KL_W_HAVING:
        set_clause(s, false, false);
        break;
    case KL_W_BY:
        set_clause(s, before == KL_W_ORDER || before == KL_W_GROUP, false);
        break;
    case KL_W_WHERE:
    case KL_W_LIMIT:
        set_clause(s, false, true);
        break;
    case KL_W_VALUES:
        if (s->insert && s->level == 0 && s->rows == ROWS_NO && !s->no_collapse) {
            s->rows = ROWS_WAIT;
        }
        break;
    case KL_W_NILADIC:
        skip_empty_parens(&s->scan);
        break;
    default:
        break;
    }
    return DONE;
}

/* ---- values ---- */
/* Values of the rows behind the first one, which have no markers. */
static size_t repeated_vals(const struct shaper *s) {
    return s->rows == ROWS_TAIL ? (s->n_rows - 1) * s->first_row_vals : 0;
}

static enum kl_rc param_value(struct shaper *s, struct kl_slice text, size_t *ret) {
    uint64_t n = 0;
    for (size_t i = 1; i < text.len && n <= s->in->n_params; i++) {
        n = n * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (n == 0 || n > s->in->n_params) {
        return kl_fail_at(s->err, KL_E_INVALID_PARAMETER, (int)(text.ptr - s->in->stmt.ptr) + 1,
            "Parameter %.*s has no value (%zu given)", KL_FMT(text), s->in->n_params);
    }
    *ret = (size_t)n - 1;
    return KL_OK;
}

static enum outcome on_param(struct shaper *s) {
    size_t n;
    if (param_value(s, s->tok.text, &n) != KL_OK) {
        return fail(s, KL_E_INVALID_PARAMETER);
    }
    const struct kl_val *v = &s->in->params[n];
    if (v->type == KL_T_EMBEDDING && !v->null) {
        return UNUSABLE; /* its dimension is part of its type */
    }
    if (s->rows == ROWS_IN) {
        return emit_marker(s, v, false); /* rows repeat: each occurrence has its own place */
    }
    if (!s->value_of_param) {
        s->value_of_param = KL_ARENA_ARRAY(s->in->arena, uint32_t, s->in->n_params);
        if (!s->value_of_param) {
            return fail(s, KL_E_TOO_LARGE);
        }
    }
    uint32_t known = s->value_of_param[n];
    if (known == 0 || known > 4096) {
        s->value_of_param[n] = (uint32_t)(s->n_vals - repeated_vals(s)) + 1;
        return emit_marker(s, v, false);
    }
    if (!room(s, 3)) {
        return fail(s, KL_E_TOO_LARGE);
    }
    s->key[s->len++] = MARK_AGAIN;
    s->key[s->len++] = (char)(0x20 + ((known - 1) >> 6));
    s->key[s->len++] = (char)(0x20 + ((known - 1) & 63));
    s->prev = P_MARK;
    return DONE;
}

static enum kl_rc literal(
    struct shaper *s, const struct kl_tok *t, bool negative, struct kl_val *ret) {
    switch (t->kind) {
    case KL_TOK_STRING: {
        struct kl_slice text;
        KL_TRY(kl_sql__string(t, s->in->arena, &text));
        *ret = kl_val_text(text);
        ret->flags = KL_VAL_UNKNOWN;
        return KL_OK;
    }
    case KL_TOK_BYTES:
        return kl_sql__bytes(kl_sql__tok_body(t), s->in->arena, ret);
    default:
        return kl_sql__number(t->text, negative, ret);
    }
}

static bool may_replace(const struct shaper *s) {
    uint8_t l = s->levels[s->level];
    if ((l & (L_ITEMS | L_TYPE)) || (s->only_where && !(l & L_WHERE))) {
        return false;
    }
    if (s->tok.kind == KL_TOK_STRING) { /* DATE '..', timestamp(3) '..' */
        return !(s->prev == P_CLOSE || (s->prev == P_WORD && !value_may_follow(s->prev_word)));
    }
    return true;
}

static enum outcome on_literal(struct shaper *s) {
    bool string = s->tok.kind == KL_TOK_STRING;
    if (string && s->prev_string) {
        return UNUSABLE; /* 'a' newline 'b' is one literal */
    }
    enum outcome o;
    if (may_replace(s)) {
        struct kl_val v;
        enum kl_rc rc = literal(s, &s->tok, false, &v);
        o = rc == KL_OK ? emit_marker(s, &v, false) : rc == KL_E_TOO_LARGE ? fail(s, rc) : UNUSABLE;
    } else {
        bool number = s->tok.kind == KL_TOK_INT || s->tok.kind == KL_TOK_NUMBER;
        o = number ? emit(s, P_NUMBER, s->tok.text, false) : emit_quoted(s, s->tok.text);
    }
    s->prev_string = string;
    return o;
}

/* Is the current token, with a sign before it, a whole cell? Then its value, and the scan stands
 * behind it. */
static enum kl_rc cell(struct shaper *s, struct kl_val *ret, bool *ret_is) {
    struct kl_scan ahead = s->scan;
    struct kl_tok t = s->tok;
    bool negative = false;
    *ret_is = false;
    if (t.kind == KL_TOK_OP && t.text.len == 1 && (t.text.ptr[0] == '-' || t.text.ptr[0] == '+')) {
        negative = t.text.ptr[0] == '-';
        kl_sql__scan(&ahead, &t);
        if (t.kind != KL_TOK_INT && t.kind != KL_TOK_NUMBER) {
            return KL_OK;
        }
    }
    const char *p = ahead.cur;
    while (p < ahead.end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) {
        p++;
    }
    if (p == ahead.end || (*p != ',' && *p != ')')) {
        return KL_OK;
    }
    switch (t.kind) {
    case KL_TOK_STRING:
    case KL_TOK_BYTES:
    case KL_TOK_INT:
    case KL_TOK_NUMBER:
        KL_TRY(literal(s, &t, negative, ret));
        break;
    case KL_TOK_WORD:
        if (kl_slice_ieq_str(t.text, "null")) {
            *ret = kl_val_null(KL_T_NULL);
        } else if (kl_slice_ieq_str(t.text, "true") || kl_slice_ieq_str(t.text, "false")) {
            *ret = kl_val_bool((t.text.ptr[0] | 0x20) == 't');
        } else {
            return KL_OK;
        }
        break;
    case KL_TOK_PARAM: {
        size_t n;
        KL_TRY(param_value(s, t.text, &n));
        *ret = s->in->params[n];
        break;
    }
    default:
        return KL_OK;
    }
    s->scan = ahead;
    *ret_is = true;
    return KL_OK;
}

/* ---- brackets and rows ---- */
static enum outcome open_bracket(struct shaper *s) {
    uint8_t up = s->levels[s->level], l = up & (L_WHERE | L_TYPE);
    bool group = s->prev == P_OPEN || s->prev == P_PUNCT || s->prev == P_OP ||
                 (s->prev == P_WORD && s->prev_word != KL_W_NONE);
    if ((up & L_ITEMS) && group) {
        l |= L_ITEMS; /* ORDER BY (1) */
    }
    if (s->type_next == 2 && s->prev == P_WORD) {
        l |= L_TYPE;
    }
    if (s->level + 1 == MAX_LEVELS) {
        return UNUSABLE;
    }
    enum outcome o = emit(s, P_OPEN, s->tok.text, false);
    s->levels[++s->level] = l;
    return o;
}

static enum outcome end_row(struct shaper *s) {
    size_t len = s->len - s->row_start, n_vals = s->n_vals - s->row_vals;
    s->rows = ROWS_AFTER;
    if (s->n_rows++ == 0) {
        s->first_row_len = len;
        s->first_row_vals = n_vals;
        return DONE;
    }
    const char *first = s->key + s->row_start - s->first_row_len;
    if (len != s->first_row_len || n_vals != s->first_row_vals ||
        memcmp(first, s->key + s->row_start, len) != 0) {
        s->no_collapse = true;
        return AGAIN;
    }
    s->len = s->row_start;
    return DONE;
}

static enum outcome close_bracket(struct shaper *s) {
    if (s->level == 0) {
        return UNUSABLE;
    }
    s->level--;
    enum outcome o = emit(s, P_CLOSE, s->tok.text, false);
    return o == DONE && s->rows == ROWS_IN && s->level == 0 ? end_row(s) : o;
}

/* Between the rows of a VALUES list. */
static enum outcome between_rows(struct shaper *s) {
    if (s->rows == ROWS_AFTER && s->tok.punct == ',') {
        s->rows = ROWS_OPEN;
        return DONE; /* left out: the key holds one row */
    }
    bool first = s->rows == ROWS_WAIT;
    if (s->rows != ROWS_AFTER && s->tok.punct == '(' && !(first && s->n_vals > 0)) {
        s->rows = ROWS_IN;
        s->row_start = s->len;
        s->row_vals = s->n_vals;
        s->prev = P_PUNCT;
        s->cell_start = true;
        s->levels[0] = 0;
        return open_bracket(s);
    }
    s->no_collapse = true; /* values stand before the list, or it is part of a query */
    return AGAIN;
}

/* ON CONFLICT or RETURNING: what follows is the same for all rows, and so are its values. */
static bool begins_tail(const struct shaper *s) {
    return s->rows == ROWS_AFTER && s->tok.kind == KL_TOK_WORD &&
           (kl_slice_ieq_str(s->tok.text, "on") || kl_slice_ieq_str(s->tok.text, "returning"));
}

static enum outcome on_punct(struct shaper *s) {
    switch (s->tok.punct) {
    case '(':
    case '[':
        return open_bracket(s);
    case ')':
    case ']':
        return close_bracket(s);
    case ',':
        s->cell_start = s->rows == ROWS_IN && s->level == 1;
        return emit(s, P_PUNCT, s->tok.text, false);
    case '.':
        return emit(s, P_DOT, s->tok.text, false);
    case ';': {
        struct kl_scan ahead = s->scan;
        struct kl_tok t;
        kl_sql__scan(&ahead, &t);
        return t.kind == KL_TOK_END ? DONE : UNUSABLE;
    }
    default:
        return emit(s, P_OP, s->tok.text, false);
    }
}

static enum outcome on_token(struct shaper *s) {
    if (begins_tail(s)) {
        s->rows = ROWS_TAIL;
    }
    if (s->rows == ROWS_WAIT || s->rows == ROWS_OPEN || s->rows == ROWS_AFTER) {
        return s->rows == ROWS_AFTER && s->tok.punct == ';' ? on_punct(s) : between_rows(s);
    }
    if (s->cell_start) {
        s->cell_start = false;
        struct kl_val v;
        bool is;
        enum kl_rc rc = cell(s, &v, &is);
        if (rc != KL_OK) {
            return rc == KL_E_TOO_LARGE || rc == KL_E_INVALID_PARAMETER ? fail(s, rc) : UNUSABLE;
        }
        if (is) {
            return emit_marker(s, &v, true);
        }
    }
    uint8_t type = s->type_next;
    bool string = s->prev_string;
    s->type_next = 0;
    s->prev_string = false;
    switch (s->tok.kind) {
    case KL_TOK_WORD:
        s->type_next = type;
        return on_word(s);
    case KL_TOK_IDENT:
        if (s->tok.text.ptr[0] == '`') {
            return UNUSABLE; /* rare enough: planned as written */
        }
        s->prev_word = KL_W_NONE;
        s->type_next = type;
        return emit_quoted(s, s->tok.text);
    case KL_TOK_STRING:
    case KL_TOK_BYTES:
    case KL_TOK_INT:
    case KL_TOK_NUMBER:
        s->prev_string = string;
        return on_literal(s);
    case KL_TOK_PARAM:
        return on_param(s);
    case KL_TOK_OTHER:
        s->prev_word = KL_W_NONE;
        return emit_quoted(s, s->tok.text);
    case KL_TOK_OP:
        s->type_next = kl_slice_eq(s->tok.text, KL_S("::")) ? 1 : 0;
        return emit(s, P_OP, s->tok.text, false);
    case KL_TOK_PUNCT:
        s->type_next = s->tok.punct == '(' || s->tok.punct == '.' ? type : 0;
        return on_punct(s);
    default:
        return UNUSABLE;
    }
}

static enum outcome run(struct shaper *s) {
    s->len = s->in->prefix.len;
    s->n_vals = s->level = 0;
    s->levels[0] = 0;
    s->prev = P_NONE;
    s->prev_word = KL_W_NONE;
    s->prev_string = s->cell_start = false;
    s->type_next = 0;
    s->rows = ROWS_NO;
    s->n_rows = 0;
    s->value_of_param = NULL;
    kl_sql__scan_init(&s->scan, s->in->stmt);
    kl_sql__scan(&s->scan, &s->tok);
    s->insert = s->tok.kind == KL_TOK_WORD && kl_slice_ieq_str(s->tok.text, "insert");
    for (; s->tok.kind != KL_TOK_END; kl_sql__scan(&s->scan, &s->tok)) {
        enum outcome o = on_token(s);
        if (o != DONE) {
            return o;
        }
    }
    return s->rows == ROWS_NO || s->rows >= ROWS_AFTER ? DONE : UNUSABLE;
}

/* Gives every row of the list the values that stand behind it: one row's plan has all it needs in
 * one stretch. False: too many. */
static bool spread_tail(struct shaper *s) {
    size_t row = s->first_row_vals, tail = s->n_vals - s->n_rows * row, width = row + tail;
    if (s->n_rows == 1 || tail == 0) {
        s->first_row_vals = width;
        return true;
    }
    if (s->n_rows > MAX_SPREAD / width) {
        return false;
    }
    struct kl_val *vals = kl_arena_alloc(s->in->arena, s->n_rows * width * sizeof(*vals));
    if (!vals) {
        return false;
    }
    for (size_t r = 0; r < s->n_rows; r++) {
        if (row > 0) {
            memcpy(vals + r * width, s->vals + r * row, row * sizeof(*vals));
        }
        memcpy(vals + r * width + row, s->vals + s->n_rows * row, tail * sizeof(*vals));
    }
    s->first_row_vals = width;
    s->vals = vals;
    s->n_vals = s->vals_cap = s->n_rows * width;
    return true;
}

enum kl_rc kl_sql__shape(
    const struct kl_shape_input *in, struct kl_shape *ret, struct kl_err *err) {
    struct shaper s = {
        .in = in, .err = err, .cap = in->prefix.len + KL_MIN(in->stmt.len, (size_t)4096) + 128};
    *ret = (struct kl_shape){0};
    s.key = kl_arena_alloc(in->arena, s.cap);
    if (!s.key) {
        return kl_fail(err, KL_E_TOO_LARGE, "statement is too large");
    }
    memcpy(s.key, in->prefix.ptr, in->prefix.len);
    enum outcome o = run(&s);
    for (int i = 0; o == AGAIN && i < 2; i++) {
        o = run(&s);
    }
    if (o == FAILED) {
        return s.rc == KL_E_INVALID_PARAMETER ? s.rc : kl_fail(err, s.rc, "statement is too large");
    }
    if (o != DONE || s.len > KL_SHAPE_MAX_KEY) {
        return KL_OK;
    }
    bool collapsed = s.rows >= ROWS_AFTER;
    if (collapsed && !spread_tail(&s)) {
        return KL_OK; /* planned as written */
    }
    *ret = (struct kl_shape){.usable = true,
        .key = kl_slice(s.key, s.len),
        .prefix_len = in->prefix.len,
        .vals = s.vals,
        .n_vals = s.n_vals,
        .spare = s.vals_cap - s.n_vals,
        .n_rows = collapsed ? s.n_rows : 0,
        .n_values = (unsigned)(collapsed ? s.first_row_vals : s.n_vals)};
    return KL_OK;
}
