/* TOML 1.0: lines, keys, tables, arrays.
 *
 * One pass, no token stream. A [header] moves p->table; each `key = value` line goes into it. What
 * may be opened again is decided by how a table came to be (enum toml_origin), which is the whole
 * of TOML's rules about redefinition:
 *
 *   implicit   only the parent of a [header] so far: a later [header] or dotted key may define it
 *   header     [a.b]: closed to another [a.b] and to dotted keys from elsewhere, open to [a.b.c]
 *   dotted     a.b = 1: dotted keys of the same section may add to it, no [header] may name it
 *   inline     { } or [ ]: closed
 *   elements   [[a]]: a further [[a]] adds an element, [a.b] goes into the newest
 *
 * The text is at most KL_TOML_MAX_BYTES of valid UTF-8, nesting at most KL_TOML_MAX_DEPTH, so
 * recursion is bounded; a member is found by walking its siblings, which KL_TOML_MAX_KEYS keeps
 * short. Strings, numbers and dates are in toml_value.c. Any thread. */
#include "server/toml_internal.h"
#include <stdio.h>

enum toml_origin {
    FROM_VALUE,
    FROM_IMPLICIT,
    FROM_HEADER,
    FROM_DOTTED,
    FROM_INLINE,
    FROM_ELEMENTS
};

struct key_path {
    struct kl_slice parts[KL_TOML_MAX_DEPTH];
    int count;
    const char *at;
};

enum kl_rc kl_toml__fail(struct kl_toml_parser *p, const char *at, const char *fmt, ...) {
    char what[320];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    int column = 1;
    for (const char *c = p->line_start; c < at; c++) {
        column += ((unsigned char)*c & 0xC0) != 0x80;
    }
    return kl_fail_at(p->err, KL_E_INVALID_INPUT, (int)(at - p->start) + 1,
        "line %d, column %d: %s", p->line, column, what);
}

enum kl_rc kl_toml__no_room(struct kl_toml_parser *p) {
    return kl_fail(
        p->err, KL_E_TOO_LARGE, "line %d: the text needs more memory than it may have", p->line);
}

bool kl_toml__newline(struct kl_toml_parser *p) {
    if (kl_toml__ahead(p, "\r\n", 2)) {
        p->cur += 2;
    } else if (kl_toml__at(p, '\n')) {
        p->cur += 1;
    } else {
        return false;
    }
    p->line++;
    p->line_start = p->cur;
    return true;
}

static void skip_blanks(struct kl_toml_parser *p) {
    while (kl_toml__at(p, ' ') || kl_toml__at(p, '\t')) {
        p->cur++;
    }
}

static enum kl_rc skip_comment(struct kl_toml_parser *p) {
    if (!kl_toml__at(p, '#')) {
        return KL_OK;
    }
    while (p->cur < p->end && *p->cur != '\n' && !kl_toml__ahead(p, "\r\n", 2)) {
        unsigned char c = (unsigned char)*p->cur;
        if ((c < 0x20 && c != '\t') || c == 0x7F) {
            return kl_toml__fail(p, p->cur, "control character 0x%02x in a comment", c);
        }
        p->cur++;
    }
    return KL_OK;
}

/* Blanks, comments and line ends: what may stand between the items of an array. */
static enum kl_rc skip_lines(struct kl_toml_parser *p) {
    do {
        skip_blanks(p);
        KL_TRY(skip_comment(p));
    } while (kl_toml__newline(p));
    return KL_OK;
}

static struct kl_toml *new_node(struct kl_toml_parser *p, enum kl_toml_type type, uint8_t origin) {
    struct kl_toml *node = KL_ARENA_NEW(p->arena, struct kl_toml);
    if (node != NULL) {
        node->type = type;
        node->line = p->line;
        node->origin = origin;
        node->section = p->section;
    }
    return node;
}

static void append(struct kl_toml *parent, struct kl_toml *child) {
    if (parent->last != NULL) {
        parent->last->next = child;
    } else {
        parent->first = child;
    }
    parent->last = child;
}

static struct kl_toml *find(const struct kl_toml *table, struct kl_slice key) {
    for (struct kl_toml *node = table->first; node != NULL; node = node->next) {
        if (kl_slice_eq(node->key, key)) {
            return node;
        }
    }
    return NULL;
}

/* Adds a member that is known to be absent. */
static enum kl_rc add_member(
    struct kl_toml_parser *p, struct kl_toml *table, struct kl_slice key, struct kl_toml *node) {
    if (node == NULL) {
        return kl_toml__no_room(p);
    }
    if (++p->keys > KL_TOML_MAX_KEYS) {
        return kl_fail(
            p->err, KL_E_TOO_LARGE, "line %d: more than %d keys", p->line, KL_TOML_MAX_KEYS);
    }
    node->key = key;
    append(table, node);
    return KL_OK;
}

/* ---- keys ---- */

static bool is_bare_key_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static enum kl_rc parse_key_part(struct kl_toml_parser *p, struct kl_slice *ret) {
    if (kl_toml__at(p, '"') || kl_toml__at(p, '\'')) {
        return kl_toml__string(p, false, ret);
    }
    const char *from = p->cur;
    while (p->cur < p->end && is_bare_key_char(*p->cur)) {
        p->cur++;
    }
    if (p->cur == from) {
        return kl_toml__fail(p, from, "a key is expected here");
    }
    *ret = kl_arena_dup(p->arena, kl_slice(from, (size_t)(p->cur - from)));
    return ret->ptr != NULL ? KL_OK : kl_toml__no_room(p);
}

static enum kl_rc parse_key(struct kl_toml_parser *p, struct key_path *ret) {
    ret->count = 0;
    ret->at = p->cur;
    for (;;) {
        if (ret->count == KL_TOML_MAX_DEPTH) {
            return kl_toml__fail(p, ret->at, "a key has more than %d parts", KL_TOML_MAX_DEPTH);
        }
        KL_TRY(parse_key_part(p, &ret->parts[ret->count++]));
        skip_blanks(p);
        if (!kl_toml__at(p, '.')) {
            return KL_OK;
        }
        p->cur++;
        skip_blanks(p);
    }
}

/* ---- values ---- */

static enum kl_rc parse_value(struct kl_toml_parser *p, struct kl_toml **ret);

static enum kl_rc parse_array(struct kl_toml_parser *p, struct kl_toml *array) {
    p->cur++;
    for (;;) {
        KL_TRY(skip_lines(p));
        if (kl_toml__at(p, ']')) {
            break;
        }
        struct kl_toml *item;
        KL_TRY(parse_value(p, &item));
        append(array, item);
        KL_TRY(skip_lines(p));
        if (kl_toml__at(p, ']')) {
            break;
        }
        if (!kl_toml__at(p, ',')) {
            return kl_toml__fail(p, p->cur,
                "',' or ']' is expected in the array that began on line %d", array->line);
        }
        p->cur++;
    }
    p->cur++;
    return KL_OK;
}

/* The table that a dotted key's parent names, made on the way. */
static enum kl_rc open_dotted(
    struct kl_toml_parser *p, struct kl_toml **table, const struct key_path *key, int i) {
    struct kl_toml *child = find(*table, key->parts[i]);
    if (child == NULL) {
        child = new_node(p, KL_TOML_TABLE, FROM_DOTTED);
        KL_TRY(add_member(p, *table, key->parts[i], child));
    } else if (child->type != KL_TOML_TABLE) {
        return kl_toml__fail(p, key->at, "'%.*s' is %s since line %d, it has no members",
            KL_FMT(key->parts[i]), kl_toml_type_name(child->type), child->line);
    } else if (child->origin == FROM_IMPLICIT) {
        child->origin = FROM_DOTTED;
        child->section = p->section;
    } else if (child->origin != FROM_DOTTED || child->section != p->section) {
        return kl_toml__fail(p, key->at, "table '%.*s' is complete since line %d",
            KL_FMT(key->parts[i]), child->line);
    }
    *table = child;
    return KL_OK;
}

static enum kl_rc parse_pair(struct kl_toml_parser *p, struct kl_toml *table) {
    struct key_path key;
    KL_TRY(parse_key(p, &key));
    if (!kl_toml__at(p, '=')) {
        return kl_toml__fail(p, p->cur, "'=' is expected after the key");
    }
    for (int i = 0; i + 1 < key.count; i++) {
        KL_TRY(open_dotted(p, &table, &key, i));
    }
    struct kl_slice name = key.parts[key.count - 1];
    struct kl_toml *twin = find(table, name);
    if (twin != NULL) {
        return kl_toml__fail(
            p, key.at, "'%.*s' is already set on line %d", KL_FMT(name), twin->line);
    }
    p->cur++;
    skip_blanks(p);
    struct kl_toml *value;
    KL_TRY(parse_value(p, &value));
    return add_member(p, table, name, value);
}

static enum kl_rc parse_inline_table(struct kl_toml_parser *p, struct kl_toml *table) {
    p->cur++;
    skip_blanks(p);
    if (kl_toml__at(p, '}')) {
        p->cur++;
        return KL_OK;
    }
    for (;;) {
        skip_blanks(p);
        KL_TRY(parse_pair(p, table));
        skip_blanks(p);
        if (kl_toml__at(p, '}')) {
            p->cur++;
            return KL_OK;
        }
        if (!kl_toml__at(p, ',')) {
            return kl_toml__fail(p, p->cur, "',' or '}' is expected on the same line as the '{'");
        }
        p->cur++;
    }
}

static enum kl_rc parse_nested(struct kl_toml_parser *p, struct kl_toml *node) {
    if (p->depth == KL_TOML_MAX_DEPTH) {
        return kl_toml__fail(p, p->cur, "values are nested more than %d deep", KL_TOML_MAX_DEPTH);
    }
    p->depth++;
    enum kl_rc rc =
        node->type == KL_TOML_ARRAY ? parse_array(p, node) : parse_inline_table(p, node);
    p->depth--;
    return rc;
}

static enum kl_rc parse_value(struct kl_toml_parser *p, struct kl_toml **ret) {
    struct kl_toml *node = new_node(p, KL_TOML_STRING, FROM_VALUE);
    if (node == NULL) {
        return kl_toml__no_room(p);
    }
    *ret = node;
    char c = p->cur < p->end ? *p->cur : '\n';
    switch (c) {
    case '"':
    case '\'':
        return kl_toml__string(p, true, &node->text);
    case '[':
    case '{':
        node->type = c == '[' ? KL_TOML_ARRAY : KL_TOML_TABLE;
        node->origin = FROM_INLINE;
        return parse_nested(p, node);
    default:
        return kl_toml__bare_value(p, node);
    }
}

/* ---- headers ---- */

/* The table in which the last part of a header is looked up. */
static enum kl_rc open_parents(
    struct kl_toml_parser *p, const struct key_path *key, struct kl_toml **ret) {
    struct kl_toml *table = p->root;
    for (int i = 0; i + 1 < key->count; i++) {
        struct kl_toml *child = find(table, key->parts[i]);
        if (child == NULL) {
            child = new_node(p, KL_TOML_TABLE, FROM_IMPLICIT);
            KL_TRY(add_member(p, table, key->parts[i], child));
        } else if (child->origin == FROM_ELEMENTS) {
            child = child->last;
        } else if (child->type != KL_TOML_TABLE || child->origin == FROM_INLINE) {
            return kl_toml__fail(p, key->at,
                "'%.*s' is complete since line %d and cannot be extended", KL_FMT(key->parts[i]),
                child->line);
        }
        table = child;
    }
    *ret = table;
    return KL_OK;
}

static enum kl_rc define_table(
    struct kl_toml_parser *p, const struct key_path *key, struct kl_toml *parent) {
    struct kl_slice name = key->parts[key->count - 1];
    struct kl_toml *table = find(parent, name);
    if (table == NULL) {
        table = new_node(p, KL_TOML_TABLE, FROM_HEADER);
        KL_TRY(add_member(p, parent, name, table));
    } else if (table->origin == FROM_IMPLICIT) {
        table->origin = FROM_HEADER;
        table->line = p->line;
    } else {
        return kl_toml__fail(
            p, key->at, "'%.*s' is already defined on line %d", KL_FMT(name), table->line);
    }
    p->table = table;
    return KL_OK;
}

static enum kl_rc define_element(
    struct kl_toml_parser *p, const struct key_path *key, struct kl_toml *parent) {
    struct kl_slice name = key->parts[key->count - 1];
    struct kl_toml *array = find(parent, name);
    if (array == NULL) {
        array = new_node(p, KL_TOML_ARRAY, FROM_ELEMENTS);
        KL_TRY(add_member(p, parent, name, array));
    } else if (array->origin != FROM_ELEMENTS) {
        return kl_toml__fail(
            p, key->at, "'%.*s' is already defined on line %d", KL_FMT(name), array->line);
    }
    struct kl_toml *element = new_node(p, KL_TOML_TABLE, FROM_HEADER);
    if (element == NULL) {
        return kl_toml__no_room(p);
    }
    append(array, element);
    p->table = element;
    return KL_OK;
}

static enum kl_rc parse_header(struct kl_toml_parser *p) {
    bool element = kl_toml__ahead(p, "[[", 2);
    p->cur += element ? 2 : 1;
    skip_blanks(p);
    struct key_path key;
    KL_TRY(parse_key(p, &key));
    if (element ? !kl_toml__ahead(p, "]]", 2) : !kl_toml__at(p, ']')) {
        return kl_toml__fail(p, p->cur, "'%s' is expected", element ? "]]" : "]");
    }
    p->cur += element ? 2 : 1;
    p->section++;
    struct kl_toml *parent;
    KL_TRY(open_parents(p, &key, &parent));
    return element ? define_element(p, &key, parent) : define_table(p, &key, parent);
}

static enum kl_rc parse_line(struct kl_toml_parser *p) {
    skip_blanks(p);
    if (kl_toml__at(p, '[')) {
        KL_TRY(parse_header(p));
    } else if (p->cur < p->end && *p->cur != '#' && *p->cur != '\n' && *p->cur != '\r') {
        KL_TRY(parse_pair(p, p->table));
    }
    skip_blanks(p);
    KL_TRY(skip_comment(p));
    if (!kl_toml__newline(p) && p->cur < p->end) {
        return kl_toml__fail(p, p->cur, "the line should end here");
    }
    return KL_OK;
}

static enum kl_rc check_utf8(struct kl_toml_parser *p) {
    if (kl_utf8_valid(kl_slice(p->start, (size_t)(p->end - p->start)))) {
        return KL_OK;
    }
    const char *at = p->start;
    while (at < p->end) {
        size_t n = kl_utf8_char(kl_slice(at, (size_t)(p->end - at)), NULL);
        if (n <= 1 && ((unsigned char)*at & 0x80) != 0) {
            break;
        }
        if (*at == '\n') {
            p->line++;
            p->line_start = at + 1;
        }
        at += n;
    }
    return kl_toml__fail(p, at, "not valid UTF-8");
}

enum kl_rc kl_toml_parse(
    struct kl_slice text, struct kl_arena *arena, struct kl_toml **ret_root, struct kl_err *err) {
    if (text.len > KL_TOML_MAX_BYTES) {
        return kl_fail(err, KL_E_TOO_LARGE, "the text is longer than %u bytes", KL_TOML_MAX_BYTES);
    }
    static const char nothing[1];
    const char *start = text.len > 0 ? text.ptr : nothing;
    struct kl_toml_parser p = {.start = start,
        .cur = start,
        .end = start + text.len,
        .line_start = start,
        .line = 1,
        .arena = arena,
        .err = err};
    KL_TRY(check_utf8(&p));
    if (kl_toml__ahead(&p, "\xEF\xBB\xBF", 3)) {
        p.cur += 3;
        p.line_start = p.cur;
    }
    p.root = p.table = new_node(&p, KL_TOML_TABLE, FROM_HEADER);
    if (p.root == NULL) {
        return kl_toml__no_room(&p);
    }
    kl_buf_init(&p.scratch, KL_TOML_MAX_BYTES);
    enum kl_rc rc = KL_OK;
    while (rc == KL_OK && p.cur < p.end) {
        rc = parse_line(&p);
    }
    kl_buf_deinit(&p.scratch);
    if (rc == KL_OK) {
        *ret_root = p.root;
    }
    return rc;
}

const struct kl_toml *kl_toml_get(const struct kl_toml *table, struct kl_slice key) {
    return table->type == KL_TOML_TABLE ? find(table, key) : NULL;
}

const char *kl_toml_type_name(enum kl_toml_type type) {
    static const char *const names[] = {[KL_TOML_STRING] = "a string",
        [KL_TOML_INTEGER] = "an integer",
        [KL_TOML_FLOAT] = "a float",
        [KL_TOML_BOOLEAN] = "a boolean",
        [KL_TOML_DATETIME] = "a date or time",
        [KL_TOML_ARRAY] = "an array",
        [KL_TOML_TABLE] = "a table"};
    return names[type];
}
