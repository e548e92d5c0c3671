/* The native functions that DuckDB runs too: those that duck_functions.def lists as NATIVE. For each
 * there is one function of DuckDB's per combination of argument types, named after both
 * ("kl_n_lpad_tit": lpad of text, bigint, text). The printer (duck_print_native.c) asks for the name that
 * fits a call.
 *
 * Made once a process, never changed. */
#include "sql/func_internal.h"
#include "sql/sql.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_NATIVES 1000

static const char *const exported[] = {
#define SCALAR(name, min, max, print)
#define SETOF(name, min, max, print)
#define AGGREGATE(name, min, max, print)
#define WINDOW(name, min, max, print)
#define SPECIAL(name, fn)
#define NATIVE(name) name,
#include "sql/duck_functions.def"
#undef SCALAR
#undef SETOF
#undef AGGREGATE
#undef WINDOW
#undef SPECIAL
#undef NATIVE
};

static struct kl_duck_native *natives;
static size_t n_natives;

static bool is_exported(const char *name) {
    for (size_t i = 0; i < KL_LEN(exported); i++) {
        if (strcmp(exported[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- letters that stand for one type each ---- */

static const struct {
    char letter;
    struct kl_type type;
} letter_types[] = {
    {'t', {.id = KL_T_TEXT}},
    {'i', {.id = KL_T_BIGINT}},
    {'I', {.id = KL_T_INT}},
    {'S', {.id = KL_T_SMALLINT}},
    {'d', {.id = KL_T_DOUBLE}},
    {'f', {.id = KL_T_FLOAT}},
    {'b', {.id = KL_T_BOOLEAN}},
    {'B', {.id = KL_T_BYTES}},
    {'j', {.id = KL_T_JSON}},
    {'u', {.id = KL_T_UUID}},
    {'D', {.id = KL_T_DATE}},
    {'s', {.id = KL_T_TIMESTAMP}},
    {'z', {.id = KL_T_DATETIME}},
    {'c', {.id = KL_T_TIME}},
    {'T', {.id = KL_T_TIME}},
    {'m', {.id = KL_T_INTERVAL}},
    {'0', {.id = KL_T_DECIMAL, .precision = 38}},
    {'x', {.id = KL_T_DECIMAL, .precision = 38, .scale = 6}},
};

struct kl_type kl_func__letter_type(char letter) {
    for (size_t i = 0; i < KL_LEN(letter_types); i++) {
        if (letter_types[i].letter == letter) {
            return letter_types[i].type;
        }
    }
    return KL_TYPE(NULL);
}

/* An argument of this letter comes in these types. */
static const char *choices_of(char letter) {
    switch (letter) {
    case 't':
    case 'j':
    case 'a':
        return "t";
    case 'i':
        return "i";
    case 'I':
        return "I";
    case 'S':
        return "S";
    case 'd':
        return "d";
    case 'f':
        return "f";
    case 'b':
        return "b";
    case 'B':
    case 'y':
        return "B";
    case 'm':
        return "m";
    case 'c':
        return "c";
    case 'u':
        return "u";
    case 'k':
        return "ti";
    case 's':
        return "Dsz";
    default:
        return NULL;
    }
}

char kl_func__choice(char letter, struct kl_type t) {
    const char *all = choices_of(letter);
    switch (letter) {
    case 'k':
        return kl_type_is_integer(t.id) ? 'i' : 't';
    case 's':
        return t.id == KL_T_DATE ? 'D' : t.id == KL_T_DATETIME ? 'z' : 's';
    default:
        return all ? all[0] : '\0';
    }
}

/* ---- running ---- */

static enum kl_rc run(const struct kl_duck_native *f, const struct kl_duck_query *query,
    const struct kl_val *args, size_t n, struct kl_arena *arena, struct kl_val *ret,
    struct kl_err *err) {
    const struct kl_expr *self = f->self;
    struct kl_expr call = *self;
    struct kl_eval ev = {.arena = arena, .now_us = query ? query->now_us : 0};
    call.n_args = (uint32_t)n;
    return call.func->fn(&call, &ev, args, ret, err);
}

/* ---- making ---- */

void kl_func__duck_name(const struct kl_func *f, const char *letters, char *out, size_t size) {
    size_t index = (size_t)(f - kl_func__table);
    bool word = f->name[0] >= 'a' && f->name[0] <= 'z';
    int n = word ? snprintf(out, size, "kl_n_%s_", f->name)
                 : snprintf(out, size, "kl_n_op%zu_", index);
    /* DuckDB takes d and D for the same. */
    for (; *letters && n >= 0 && (size_t)n + 3 < size; letters++) {
        bool capital = *letters >= 'A' && *letters <= 'Z';
        n += snprintf(out + n, size - (size_t)n, capital ? "%c_" : "%c", *letters);
    }
}

static struct kl_type result_of(const struct kl_func *f, const char *letters) {
    switch (f->ret) {
    case '1':
        return kl_func__letter_type(letters[0]);
    case 'w':
        return kl_func__letter_type(letters[1] == 'z' ? 's' : 'z');
    case 'p':
        return kl_func__letter_type(letters[1] == 'D' ? 'z' : letters[1]);
    default:
        return kl_func__letter_type(f->ret);
    }
}

static void add(const struct kl_func *f, const char *letters, bool repeats) {
    struct kl_type result = result_of(f, letters);
    char name[96];
    size_t n = strlen(letters);
    if (result.id == KL_T_NULL) {
        return;
    }
    KL_ASSERT(n_natives < MAX_NATIVES && n <= KL_LEN(natives->args));
    kl_func__duck_name(f, letters, name, sizeof(name));
    for (size_t i = 0; i < n_natives; i++) {
        KL_ASSERT(strcmp(natives[i].name, name) != 0);
    }
    struct kl_expr *self = kl_xcalloc(1, sizeof(*self));
    self->kind = KL_EXPR_KIND_CALL;
    self->type = result;
    self->func = f;
    struct kl_duck_native *made = &natives[n_natives++];
    *made = (struct kl_duck_native){.name = kl_xstrdup(name),
        .n_args = n,
        .result = result,
        .repeats = repeats,
        .takes_null = f->flags & KL_FUNC_CALLED_ON_NULL,
        .is_volatile = f->flags & (KL_FUNC_STABLE | KL_FUNC_VOLATILE),
        .run = run,
        .self = self};
    for (size_t i = 0; i < n; i++) {
        made->args[i] = kl_func__letter_type(letters[i]);
    }
}

/* Every combination of types for n arguments, letters[0..at) chosen. */
static void add_each(const struct kl_func *f, size_t n, size_t at, char *letters, bool repeats) {
    if (at == n) {
        letters[n] = '\0';
        add(f, letters, repeats);
        return;
    }
    for (const char *c = choices_of(kl_func__letter(f->args, at)); c && *c; c++) {
        letters[at] = *c;
        add_each(f, n, at + 1, letters, repeats);
    }
}

static void make(void) {
    natives = kl_xcalloc(MAX_NATIVES, sizeof(*natives));
    for (size_t i = 0; i < kl_func__count; i++) {
        const struct kl_func *f = &kl_func__table[i];
        char letters[KL_LEN(natives->args) + 1];
        if (!f->fn || !is_exported(f->name)) {
            continue;
        }
        size_t least = kl_func__least_args(f->args), named = strlen(f->args);
        bool repeats = strchr(f->args, '*') != NULL;
        named -= (strchr(f->args, '|') != NULL) + repeats;
        if (repeats) { /* its last letter once, and then as often as it comes */
            add_each(f, named, 0, letters, true);
            continue;
        }
        for (size_t n = least; n <= named; n++) {
            add_each(f, n, 0, letters, false);
        }
    }
}

void kl_sql_duck_natives(const struct kl_duck_native **ret, size_t *ret_n) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make);
    *ret = natives;
    *ret_n = n_natives;
}
