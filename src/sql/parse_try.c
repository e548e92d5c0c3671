/* TRY_CAST(x AS type), which PostgreSQL's grammar does not have: NULL where the cast would fail.
 *
 * The parser is given CAST, padded so that every position stays; afterwards the casts that stand
 * where TRY_CAST was written are marked in the tree, by a flag of their type that no cast has
 * otherwise (%TYPE). */
#include "sql/bind_internal.h"

#include <protobuf-c/protobuf-c.h>
#include <stdlib.h>

#define WORD "TRY_CAST"
#define MAX_WALK 4096 /* levels of messages; PostgreSQL's own limit is below */

/* A copy with CAST in place of TRY_CAST, for free(); NULL when there is none. */
char *kl_sql__without_try(const char *text) {
    char *copy = NULL;
    struct kl_scan s;
    struct kl_tok t;
    bool after_dot = false;
    if (!strcasestr(text, WORD)) {
        return NULL;
    }
    kl_sql__scan_init(&s, kl_slice_str(text));
    for (kl_sql__scan(&s, &t); t.kind != KL_TOK_END; kl_sql__scan(&s, &t)) {
        if (t.kind == KL_TOK_WORD && !after_dot && kl_slice_ieq_str(t.text, WORD)) {
            copy = copy ? copy : kl_xstrdup(text);
            memcpy(copy + (t.text.ptr - text), "    ", 4);
        }
        after_dot = t.punct == '.';
    }
    return copy;
}

static bool stood_at(const char *text, size_t len, int cast) {
    return cast >= 4 && (size_t)cast + 4 <= len && strncasecmp(text + cast - 4, WORD, 8) == 0;
}

static void mark(ProtobufCMessage *m, const char *text, size_t len, unsigned depth);

static void mark_field(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const char *text,
    size_t len, unsigned depth) {
    char *base = (char *)m + f->offset;
    if (f->type != PROTOBUF_C_TYPE_MESSAGE) {
        return;
    }
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t n = *(size_t *)((char *)m + f->quantifier_offset);
        ProtobufCMessage **items = *(ProtobufCMessage ***)base;
        for (size_t i = 0; i < n; i++) {
            mark(items[i], text, len, depth + 1);
        }
        return;
    }
    bool one_of = f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
    if (!one_of || *(uint32_t *)((char *)m + f->quantifier_offset) == f->id) {
        mark(*(ProtobufCMessage **)base, text, len, depth + 1);
    }
}

static void mark(ProtobufCMessage *m, const char *text, size_t len, unsigned depth) {
    if (!m || depth > MAX_WALK) {
        return;
    }
    if (m->descriptor == &pg_query__type_cast__descriptor) {
        PgQuery__TypeCast *c = (PgQuery__TypeCast *)m;
        if (c->type_name && stood_at(text, len, c->location)) {
            c->type_name->pct_type = true;
        }
    }
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        mark_field(m, &m->descriptor->fields[i], text, len, depth);
    }
}

void kl_sql__mark_try(PgQuery__ParseResult *tree, const char *text) {
    mark(&tree->base, text, strlen(text), 0);
}
