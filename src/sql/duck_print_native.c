/* Calls of native functions inside DuckDB (func_duck.c). The overload is chosen by the types of the
 * arguments as far as they are known; each argument is cast to the type that the function takes. */
#include "sql/duck_print_internal.h"
#include "sql/expr_internal.h"

struct native_call {
    const struct kl_func *f;
    char letters[KL_DUCK_NATIVE_ARGS + 1]; /* one an argument */
};

static bool could_fit(char letter, struct kl_type t) {
    struct kl_type ignored;
    /* What may be wide is not narrowed. */
    bool narrow = letter == 'I' || letter == 'S';
    return letter && ((t.id == KL_T_NULL && !narrow) || kl_func__fits(letter, t, &ignored));
}

static bool resolve(
    const char *name, const struct kl_type *types, size_t n, struct native_call *ret) {
    for (size_t i = 0; i < kl_func__count; i++) {
        const struct kl_func *f = &kl_func__table[i];
        bool ok = f->fn && strcmp(f->name, name) == 0 && n >= kl_func__least_args(f->args);
        for (size_t a = 0; ok && a < n; a++) {
            char letter = kl_func__letter(f->args, a);
            ret->letters[a] = kl_func__choice(letter, types[a]);
            ok = could_fit(letter, types[a]) && ret->letters[a];
        }
        if (ok) {
            ret->f = f;
            ret->letters[n] = '\0';
            return true;
        }
    }
    return false;
}

bool kl_dp__has_own_text(uint8_t id) {
    return id == KL_T_DOUBLE || id == KL_T_FLOAT || id == KL_T_BYTES || id == KL_T_INTERVAL;
}

enum kl_rc kl_dp__text(struct kl_dp *p, PgQuery__Node *n) {
    if (kl_dp__has_own_text(kl_dp__infer(p, n).id)) {
        return kl_dp__native(p, "::text", &n, 1, kl_dp__location(n));
    }
    kl_dp__puts(p, "CAST(");
    KL_TRY(kl_dp__expr(p, n));
    kl_dp__puts(p, " AS VARCHAR)");
    return KL_OK;
}

/* An argument as the type that the function takes. A boolean among texts is t or f. */
static enum kl_rc argument(struct kl_dp *p, PgQuery__Node *n, struct kl_type have, char letter) {
    struct kl_type want = kl_func__letter_type(letter);
    bool open = kl_dp__open_param(p, n);
    bool boolean = want.id == KL_T_TEXT && have.id == KL_T_BOOLEAN;
    if (have.id == want.id && !open) {
        return kl_dp__expr(p, n);
    }
    if (want.id == KL_T_TEXT && kl_dp__has_own_text(have.id)) {
        return kl_dp__text(p, n);
    }
    kl_dp__puts(p, boolean ? "left(CAST(" : "CAST(");
    KL_TRY(want.id == KL_T_TEXT ? kl_dp__expr(p, n) : kl_dp__arg(p, n));
    kl_dp__puts(p, " AS ");
    kl_duck_type_name(want, p->out);
    kl_dp__puts(p, boolean ? "), 1)" : ")");
    return KL_OK;
}

bool kl_dp__has_native(const char *name, size_t n) {
    struct kl_type types[KL_DUCK_NATIVE_ARGS] = {0};
    struct native_call call;
    return n <= KL_DUCK_NATIVE_ARGS && resolve(name, types, n, &call);
}

enum kl_rc kl_dp__native(
    struct kl_dp *p, const char *name, PgQuery__Node **args, size_t n, int32_t location) {
    struct kl_type types[KL_DUCK_NATIVE_ARGS];
    struct native_call call;
    for (size_t i = 0; i < n && i < KL_DUCK_NATIVE_ARGS; i++) {
        types[i] = kl_dp__infer(p, args[i]);
    }
    if (n > KL_DUCK_NATIVE_ARGS || !resolve(name, types, n, &call)) {
        return kl_fail_at(p->err, KL_E_UNSUPPORTED, kl_dp__pos(location),
            "function %s(...) with these arguments does not exist or is not allowed", name);
    }
    /* The name of a function with a repeated argument has that one once, however often it comes. */
    char letters[KL_DUCK_NATIVE_ARGS + 1], duck_name[160];
    bool repeats = strchr(call.f->args, '*') != NULL;
    size_t named = repeats ? strcspn(call.f->args, "*") - (strchr(call.f->args, '|') != NULL) : n;
    for (size_t i = 0; i < named; i++) {
        letters[i] = i < n ? call.letters[i]
                           : kl_func__choice(kl_func__letter(call.f->args, i), KL_TYPE(NULL));
    }
    letters[named] = '\0';
    kl_func__duck_name(call.f, letters, duck_name, sizeof(duck_name));
    kl_buf_printf(p->out, "%s(", duck_name);
    for (size_t i = 0; i < n; i++) {
        kl_dp__puts(p, i ? ", " : "");
        KL_TRY(argument(p, args[i], types[i], call.letters[i]));
    }
    kl_dp__puts(p, ")");
    return KL_OK;
}

enum kl_rc kl_dp__native_name(struct kl_dp *p, const char *name, char *out, size_t size) {
    for (size_t i = 0; i < kl_func__count; i++) {
        if (strcmp(kl_func__table[i].name, name) == 0) {
            kl_func__duck_name(&kl_func__table[i], "t", out, size);
            return KL_OK;
        }
    }
    return kl_dp__refuse(p, -1, name);
}
