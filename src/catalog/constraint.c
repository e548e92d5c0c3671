/* Secondary indexes, UNIQUE and CHECK constraints of a table, and the names of relations.
 *
 * Tables, views and indexes of a namespace share one space of names, as in PostgreSQL. An index that was given none gets
 * table_columns_idx or, for a constraint, table_columns_key; a CHECK gets table_check; a number is appended while the name is
 * taken.
 *
 * The catalog does not understand conditions, but it must know which columns one names: a scanner over the words of the SQL text
 * finds them. Where it cannot tell a column from another word it takes it for a column when the answer is a refusal.
 *
 * Thread: the metadata writer, between kl_catalog_begin and publish or abort. */
#include "catalog/internal.h"
#include <ctype.h>
#include <stdio.h>

#define NAME_MAX_LEN 63 /* of a name that is made up, as PostgreSQL's */

/* ---- names ---- */

static bool index_named(const struct kl_table *t, struct kl_slice name) {
    for (size_t i = 0; i < t->n_indexes; i++) {
        if (kl_slice_eq_str(name, t->indexes[i].name)) {
            return true;
        }
    }
    return false;
}

static bool check_named(const struct kl_table *t, struct kl_slice name) {
    for (size_t i = 0; i < t->n_checks; i++) {
        if (kl_slice_eq_str(name, t->checks[i].name)) {
            return true;
        }
    }
    return false;
}

/* spec: a table that is being made or changed, whose newest indexes are in no snapshot yet; or NULL. */
bool kl_catalog__name_taken(const struct kl_cat *cat, const struct kl_table *spec,
    struct kl_slice ns, struct kl_slice name) {
    struct kl_table *t;
    return kl_cat_table(cat, ns, name) || kl_cat_index(cat, ns, name, &t) ||
           (spec && (kl_slice_eq_str(name, spec->name) || index_named(spec, name)));
}

/* The longer part is cut first until all fits, so that both stay recognisable. */
static const char *compose(const char *table, struct kl_slice middle, const char *label,
    unsigned number, struct kl_arena *arena) {
    char tail[32];
    int n = number ? snprintf(tail, sizeof(tail), "%s%u", label, number)
                   : snprintf(tail, sizeof(tail), "%s", label);
    size_t a = strlen(table), b = middle.len, fixed = (size_t)n + 1 + (b > 0);
    while (a + b + fixed > NAME_MAX_LEN) {
        if (a > b) {
            a--;
        } else {
            b--;
        }
    }
    return kl_arena_printf(
        arena, "%.*s%s%.*s_%s", (int)a, table, b ? "_" : "", (int)b, middle.ptr, tail);
}

const char *kl_catalog__make_name(const struct kl_cat *cat, const struct kl_table *spec,
    struct kl_slice middle, const char *label, struct kl_arena *arena) {
    for (unsigned i = 0;; i++) {
        const char *name = compose(spec->name, middle, label, i, arena);
        if (!name) {
            return NULL;
        }
        struct kl_slice s = kl_slice_str(name);
        if (!kl_catalog__name_taken(cat, spec, kl_slice_str(spec->ns), s) &&
            !check_named(spec, s)) {
            return name;
        }
    }
}

/* ---- room ---- */

enum kl_rc kl_catalog__room(struct kl_table *spec, size_t indexes, size_t checks,
    struct kl_arena *arena, struct kl_err *err) {
    if (spec->n_indexes + indexes > KL_INDEXES_MAX) {
        return kl_fail(err, KL_E_EXEC, "A table may have at most %d indexes", KL_INDEXES_MAX);
    }
    if (spec->n_checks + checks > KL_CATALOG_CHECKS_MAX) {
        return kl_fail(
            err, KL_E_EXEC, "A table may have at most %d CHECK constraints", KL_CATALOG_CHECKS_MAX);
    }
    struct kl_index *x = KL_ARENA_ARRAY(arena, struct kl_index, spec->n_indexes + indexes + 1);
    struct kl_check *k = KL_ARENA_ARRAY(arena, struct kl_check, spec->n_checks + checks + 1);
    if (!x || !k) {
        return kl_catalog__too_large(err);
    }
    memcpy(x, spec->indexes ? spec->indexes : x, spec->n_indexes * sizeof(*x));
    memcpy(k, spec->checks ? spec->checks : k, spec->n_checks * sizeof(*k));
    spec->indexes = x;
    spec->checks = k;
    return KL_OK;
}

/* ---- indexes ---- */

static const struct kl_column *find_column(
    const struct kl_column *cols, size_t n, struct kl_slice name) {
    for (size_t i = 0; i < n; i++) {
        if (kl_slice_ieq_str(name, cols[i].name)) {
            return &cols[i];
        }
    }
    return NULL;
}

static enum kl_rc index_column(
    const struct kl_index *x, const struct kl_column *c, struct kl_err *err) {
    for (size_t i = 0; i < x->n_cols; i++) {
        if (x->column_ids[i] == c->id) {
            return kl_fail(
                err, KL_E_INVALID_SQL, "Column '%s' appears twice in one index", c->name);
        }
    }
    if (c->type.id != KL_T_EMBEDDING && c->type.id != KL_T_JSON && c->type.id != KL_T_FILE) {
        return KL_OK;
    }
    struct kl_buf type = {0};
    kl_type_sql_name(c->type, &type);
    enum kl_rc rc = kl_fail(err, KL_E_INVALID_SQL, "Column '%s' of type %.*s cannot be indexed",
        c->name, KL_FMT(kl_buf_view(&type)));
    kl_buf_deinit(&type);
    return rc;
}

static enum kl_rc fill_columns(struct kl_index *x, const struct kl_column *cols, size_t n_cols,
    const struct kl_index_def *def, struct kl_buf *ret_joined, struct kl_err *err) {
    if (def->n_cols == 0 || def->n_cols > KL_INDEX_COLS_MAX) {
        return kl_fail(err, KL_E_INVALID_SQL, "An index has 1 to %d columns", KL_INDEX_COLS_MAX);
    }
    for (size_t i = 0; i < def->n_cols; i++) {
        const struct kl_column *c = find_column(cols, n_cols, def->cols[i]);
        if (!c) {
            return kl_fail(
                err, KL_E_NOT_FOUND, "Column '%.*s' does not exist", KL_FMT(def->cols[i]));
        }
        KL_TRY(index_column(x, c, err));
        x->column_ids[x->n_cols++] = c->id;
        kl_buf_printf(ret_joined, "%s%s", i ? "_" : "", c->name);
    }
    return KL_OK;
}

static enum kl_rc name_index(struct kl_catalog *c, const struct kl_table *spec, struct kl_index *x,
    const struct kl_index_def *def, struct kl_slice joined, struct kl_arena *arena,
    struct kl_err *err) {
    const struct kl_cat *cat = kl_catalog__base(c);
    if (def->name.len == 0) {
        x->name = kl_catalog__make_name(cat, spec, joined, def->constraint ? "key" : "idx", arena);
        return x->name ? KL_OK : kl_catalog__too_large(err);
    }
    KL_TRY(kl_name_check("index", def->name, err));
    if (kl_catalog__name_taken(cat, spec, kl_slice_str(spec->ns), def->name) ||
        (def->constraint && check_named(spec, def->name))) {
        return kl_fail(err, KL_E_EXISTS, "Already exists: relation \"%.*s\" already exists",
            KL_FMT(def->name));
    }
    x->name = kl_catalog__text(arena, def->name);
    return x->name ? KL_OK : kl_catalog__too_large(err);
}

enum kl_rc kl_catalog__add_index(struct kl_catalog *c, struct kl_table *spec,
    const struct kl_column *cols, size_t n_cols, const struct kl_index_def *def,
    struct kl_arena *arena, struct kl_err *err) {
    if (spec->type != KL_TABLE_USER && spec->type != KL_TABLE_SHARED) {
        return kl_fail(err, KL_E_UNSUPPORTED,
            "%s are only supported for USER and SHARED tables, '%s.%s' is a %s%s",
            def->constraint ? "UNIQUE constraints" : "Indexes", spec->ns, spec->name,
            kl_table_type_name(spec->type), spec->type == KL_TABLE_VIEW ? "" : " table");
    }
    struct kl_index x = {.unique = def->unique,
        .constraint = def->constraint,
        .state = KL_INDEX_BUILDING,
        .created_us = spec->updated_us};
    struct kl_buf joined;
    kl_buf_init(&joined, 4096);
    enum kl_rc rc = fill_columns(&x, cols, n_cols, def, &joined, err);
    if (rc == KL_OK) {
        rc = name_index(c, spec, &x, def, kl_buf_view(&joined), arena, err);
    }
    kl_buf_deinit(&joined);
    KL_TRY(rc);
    KL_TRY(kl_catalog__take_id(c, &x.id, err));
    spec->indexes[spec->n_indexes++] = x;
    return KL_OK;
}

static enum kl_rc create_index(struct kl_catalog *c, const struct kl_table *t,
    const struct kl_index_def *def, int64_t now_us, struct kl_arena *arena, uint32_t *ret_id,
    struct kl_err *err) {
    struct kl_table spec = kl_catalog__spec(t);
    spec.updated_us = now_us;
    KL_TRY(kl_catalog__room(&spec, 1, 0, arena, err));
    KL_TRY(kl_catalog__add_index(c, &spec, t->cols, t->n_cols, def, arena, err));
    *ret_id = spec.indexes[spec.n_indexes - 1].id;
    return kl_catalog__store_spec(c, &spec, err);
}

enum kl_rc kl_cat_create_index(struct kl_catalog *c, struct kl_slice ns, struct kl_slice table,
    const struct kl_index_def *def, int64_t now_us, uint32_t *ret_id, struct kl_err *err) {
    struct kl_table *t;
    KL_TRY(kl_catalog__find_table(c, "alter", ns, table, &t, err));
    struct kl_arena arena;
    kl_arena_init(&arena, KL_CATALOG_RECORD_MAX);
    kl_batch_save_point(c->batch);
    enum kl_rc rc = create_index(c, t, def, now_us, &arena, ret_id, err);
    if (rc != KL_OK) {
        kl_batch_rollback(c->batch);
    }
    kl_arena_deinit(&arena);
    return rc;
}

/* The table with its indexes in memory of `arena`, and the place of one of them. */
static enum kl_rc open_index(struct kl_catalog *c, uint32_t table_id, uint32_t index_id,
    struct kl_arena *arena, struct kl_table *ret_spec, size_t *ret_at, struct kl_err *err) {
    const struct kl_table *t = kl_cat_table_by_id(kl_catalog__base(c), table_id);
    const struct kl_index *x = t ? kl_table_index(t, index_id) : NULL;
    if (!x) {
        return kl_fail(err, KL_E_NOT_FOUND, "Not found: the index does not exist any more");
    }
    *ret_spec = kl_catalog__spec(t);
    *ret_at = (size_t)(x - t->indexes);
    return kl_catalog__room(ret_spec, 0, 0, arena, err);
}

enum kl_rc kl_cat_index_ready(
    struct kl_catalog *c, uint32_t table_id, uint32_t index_id, struct kl_err *err) {
    struct kl_table spec;
    struct kl_arena arena;
    size_t at;
    kl_arena_init(&arena, KL_CATALOG_RECORD_MAX);
    enum kl_rc rc = open_index(c, table_id, index_id, &arena, &spec, &at, err);
    if (rc == KL_OK) {
        spec.indexes[at].state = KL_INDEX_READY;
        rc = kl_catalog__store_spec(c, &spec, err);
    }
    kl_arena_deinit(&arena);
    return rc;
}

enum kl_rc kl_cat_drop_index(
    struct kl_catalog *c, uint32_t table_id, uint32_t index_id, struct kl_err *err) {
    struct kl_table spec;
    struct kl_arena arena;
    size_t at;
    kl_arena_init(&arena, KL_CATALOG_RECORD_MAX);
    enum kl_rc rc = open_index(c, table_id, index_id, &arena, &spec, &at, err);
    if (rc == KL_OK) {
        spec.n_indexes--;
        memmove(&spec.indexes[at], &spec.indexes[at + 1],
            (spec.n_indexes - at) * sizeof(*spec.indexes));
        rc = kl_catalog__store_spec(c, &spec, err);
    }
    kl_arena_deinit(&arena);
    return rc;
}

/* ---- CHECK ---- */

enum kl_rc kl_catalog__add_check(struct kl_catalog *c, struct kl_table *spec,
    const struct kl_check_def *def, struct kl_arena *arena, struct kl_err *err) {
    struct kl_check k = {0};
    if (def->expr.len == 0 || def->expr.len > KL_CATALOG_CHECK_MAX) {
        return kl_fail(err, KL_E_TOO_LARGE,
            "The condition of a CHECK constraint may have at most %u bytes", KL_CATALOG_CHECK_MAX);
    }
    if (def->name.len == 0) {
        k.name = kl_catalog__make_name(kl_catalog__base(c), spec, KL_SLICE_NONE, "check", arena);
    } else {
        KL_TRY(kl_name_check("constraint", def->name, err));
        if (check_named(spec, def->name) || index_named(spec, def->name)) {
            return kl_fail(err, KL_E_EXISTS,
                "Already exists: constraint \"%.*s\" for relation \"%s\" already exists",
                KL_FMT(def->name), spec->name);
        }
        k.name = kl_catalog__text(arena, def->name);
    }
    k.expr = kl_catalog__text(arena, def->expr);
    if (!k.name || !k.expr) {
        return kl_catalog__too_large(err);
    }
    spec->checks[spec->n_checks++] = k;
    return KL_OK;
}

/* ---- the words of a condition ---- */

struct words {
    const char *at; /* behind the word */
    const char *word, *end;
    bool quoted;   /* "like this": word and end are inside the quotes */
    char before;   /* last character of note before the word: ':' of a cast */
    bool after_as; /* CAST (x AS word) */
};

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static const char *skip_string(const char *p) {
    for (p++; *p; p++) {
        if (*p == '\'' && p[1] == '\'') {
            p++;
        } else if (*p == '\'') {
            return p + 1;
        }
    }
    return p;
}

/* $tag$ ... $tag$; anything else with a dollar is one character. */
static const char *skip_dollar(const char *p) {
    const char *e = p + 1;
    while (is_word(*e)) {
        e++;
    }
    if (*e != '$') {
        return p + 1;
    }
    size_t n = (size_t)(e - p) + 1;
    for (const char *q = e + 1; *q; q++) {
        if (*q == '$' && strncmp(q, p, n) == 0) {
            return q + n;
        }
    }
    return e + strlen(e);
}

static const char *skip_space(const char *p) {
    for (;;) {
        if (isspace((unsigned char)*p)) {
            p++;
        } else if (p[0] == '-' && p[1] == '-') {
            p += strcspn(p, "\n");
        } else if (p[0] == '/' && p[1] == '*') {
            const char *end = strstr(p + 2, "*/");
            p = end ? end + 2 : p + strlen(p);
        } else {
            return p;
        }
    }
}

/* The next word; false at the end. */
static bool next_word(struct words *w) {
    w->after_as = w->word && !w->quoted &&
                  kl_slice_ieq_str(kl_slice(w->word, (size_t)(w->end - w->word)), "as");
    w->before = 0;
    const char *p = w->at;
    for (p = skip_space(p); *p; p = skip_space(p)) {
        if (*p == '"') {
            const char *end = strchr(p + 1, '"');
            *w = (struct words){.at = end ? end + 1 : p + strlen(p),
                .word = p + 1,
                .end = end ? end : p + strlen(p),
                .quoted = true,
                .before = w->before,
                .after_as = w->after_as};
            return true;
        }
        if (is_word(*p) && !isdigit((unsigned char)*p)) {
            w->word = p;
            while (is_word(*p)) {
                p++;
            }
            w->end = w->at = p;
            w->quoted = false;
            return true;
        }
        w->before = *p;
        w->after_as = false;
        if (*p == '\'') {
            p = skip_string(p);
        } else if (*p == '$') {
            p = skip_dollar(p);
        } else if (isdigit((unsigned char)*p)) {
            while (is_word(*p) || *p == '.') {
                p++;
            }
        } else {
            p++;
        }
    }
    return false;
}

/* Words that take this place in SQL are types, functions or fields: after `::` and AS, before `(`, a string, FROM. */
static bool names_column(const struct words *w, struct kl_slice column) {
    struct kl_slice word = kl_slice(w->word, (size_t)(w->end - w->word));
    if (!(w->quoted ? kl_slice_eq(word, column) : kl_slice_ieq(word, column))) {
        return false;
    }
    if (w->quoted) {
        return true;
    }
    const char *next = skip_space(w->at);
    bool from = strncasecmp(next, "from", 4) == 0 && !is_word(next[4]);
    return w->before != ':' && !w->after_as && *next != '(' && *next != '\'' && !from;
}

bool kl_catalog__check_uses(const char *expr, struct kl_slice column) {
    struct words w = {.at = expr};
    while (next_word(&w)) {
        if (names_column(&w, column)) {
            return true;
        }
    }
    return false;
}

const char *kl_catalog__check_rename(
    const char *expr, struct kl_slice from, struct kl_slice to, struct kl_arena *arena) {
    struct words w = {.at = expr};
    struct kl_buf out;
    kl_buf_init(&out, KL_CATALOG_CHECK_MAX * 2);
    const char *copied = expr;
    while (next_word(&w)) {
        if (names_column(&w, from)) {
            kl_buf_append(&out, copied, (size_t)(w.word - copied));
            kl_buf_append(&out, to.ptr, to.len);
            copied = w.end;
        }
    }
    kl_buf_puts(&out, copied);
    const char *ret = out.failed ? NULL : kl_catalog__text(arena, kl_buf_view(&out));
    kl_buf_deinit(&out);
    return ret;
}
