/* BEGIN, COMMIT, ROLLBACK and their spellings; SET and RESET.
 *
 * Every isolation level may be asked for: transactions are serializable, which is at least as much
 * as each of them promises. SET changes one thing, statement_timeout. Other settings that clients
 * send on connecting are accepted with the one value that is true here and refused with any other.
 */
#include "sql/parse_internal.h"
#include <stdio.h>

/* ---- transactions ---- */
static bool take_work(struct kl_parser *p) {
    return kl_sql__take(p, "work") || kl_sql__take(p, "transaction");
}

static enum kl_rc isolation(struct kl_parser *p) {
    return kl_sql__take(p, "serializable") || kl_sql__take(p, "repeatable read") ||
                   kl_sql__take(p, "read committed") || kl_sql__take(p, "read uncommitted")
               ? KL_OK
               : kl_sql__syntax_error(p);
}

/* ISOLATION LEVEL .., READ ONLY, DEFERRABLE .., commas between them as anyone likes. */
static enum kl_rc modes(struct kl_parser *p) {
    bool any = false;
    while (p->tok.kind != KL_TOK_END && p->tok.punct != ';') {
        if (any) {
            kl_sql__take_punct(p, ',');
        }
        if (kl_sql__take(p, "isolation level")) {
            KL_TRY(isolation(p));
        } else if (kl_sql__take(p, "read only")) {
            p->plan->read_only = true;
        } else if (kl_sql__take(p, "read write")) {
            p->plan->read_only = false;
        } else if (!kl_sql__take(p, "deferrable") && !kl_sql__take(p, "not deferrable")) {
            return kl_sql__syntax_error(p);
        }
        any = true;
    }
    return kl_sql__need_end(p);
}

enum kl_rc kl_sql__parse_begin(struct kl_parser *p) {
    kl_sql__start_plan(p, KL_PLAN_BEGIN);
    take_work(p);
    return modes(p);
}

enum kl_rc kl_sql__parse_start(struct kl_parser *p) {
    KL_TRY(kl_sql__need(p, "transaction"));
    kl_sql__start_plan(p, KL_PLAN_BEGIN);
    return modes(p);
}

static enum kl_rc finish(struct kl_parser *p, enum kl_plan_kind kind, const char *verb) {
    char what[40];
    kl_sql__start_plan(p, kind);
    if (kl_sql__take(p, "prepared")) {
        snprintf(what, sizeof(what), "%s PREPARED", verb);
        return kl_sql__unavailable(p->err, what);
    }
    take_work(p);
    if (kind == KL_PLAN_ROLLBACK && kl_sql__at_word(p, "to")) {
        return kl_sql__unavailable(p->err, "ROLLBACK TO SAVEPOINT");
    }
    if (kl_sql__take(p, "and chain")) {
        snprintf(what, sizeof(what), "%s AND CHAIN", verb);
        return kl_sql__unavailable(p->err, what);
    }
    kl_sql__take(p, "and no chain");
    return kl_sql__need_end(p);
}

enum kl_rc kl_sql__parse_commit(struct kl_parser *p) {
    return finish(p, KL_PLAN_COMMIT, "COMMIT");
}
enum kl_rc kl_sql__parse_rollback(struct kl_parser *p) {
    return finish(p, KL_PLAN_ROLLBACK, "ROLLBACK");
}

/* ---- SET ---- */
#define MAX_TIMEOUT_MS 2147483647

/* What is true whatever anyone sets. Values compare without regard to case, '-' and '_'. */
static const struct {
    const char *name;
    const char *values[6];
} fixed[] = {
    {"client_encoding", {"utf8", "unicode"}},
    {"names", {"utf8", "unicode"}},
    {"timezone", {"utc", "gmt", "etc/utc", "z", "0"}},
    {"standard_conforming_strings", {"on", "true", "1", "yes"}},
    {"integer_datetimes", {"on", "true", "1", "yes"}},
    {"datestyle", {"iso", "iso, mdy", "iso,mdy"}},
    {"default_transaction_isolation",
        {"serializable", "repeatable read", "read committed", "read uncommitted"}},
};

static bool same_value(struct kl_slice a, const char *b) {
    size_t n = 0;
    for (size_t i = 0; i < a.len; i++) {
        char c = a.ptr[i];
        if (c == '-' || c == '_') {
            continue;
        }
        c = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        if (b[n] != c) {
            return false;
        }
        n++;
    }
    return b[n] == '\0';
}

static enum kl_rc set_fixed(
    struct kl_parser *p, struct kl_slice name, struct kl_slice value, int at) {
    size_t known = KL_LEN(fixed);
    for (size_t i = 0; i < KL_LEN(fixed); i++) {
        known = kl_slice_eq_str(name, fixed[i].name) ? i : known;
    }
    if (kl_slice_eq_str(name, "search_path")) {
        enum kl_rc rc = kl_fail_at(
            p->err, KL_E_UNSUPPORTED, at, "SET search_path is not available in this version");
        kl_err_hint(p->err, "USE namespace sets where unqualified names are found.");
        return rc;
    }
    if (known == KL_LEN(fixed)) {
        enum kl_rc rc =
            kl_fail_at(p->err, KL_E_UNSUPPORTED, at, "SET %.*s is not available in this version",
                KL_FMT(kl_slice(name.ptr, KL_MIN(name.len, (size_t)60))));
        kl_err_hint(p->err, "What can be set is statement_timeout.");
        return rc;
    }
    for (size_t v = 0; v < KL_LEN(fixed[known].values) && fixed[known].values[v]; v++) {
        if (same_value(value, fixed[known].values[v])) {
            return KL_OK;
        }
    }
    return kl_fail_at(p->err, KL_E_UNSUPPORTED, at, "%.*s is always %s, not '%.*s'", KL_FMT(name),
        fixed[known].values[0], KL_FMT(kl_slice(value.ptr, KL_MIN(value.len, (size_t)60))));
}

/* 1500, '5s', '2 min': milliseconds. */
static bool timeout_ms(struct kl_slice text, int64_t *ret) {
    static const struct {
        const char *unit;
        int64_t us;
    } units[] = {{"", 1000}, {"us", 1}, {"ms", 1000}, {"s", 1000000}, {"min", 60000000},
        {"h", 3600000000}, {"d", 86400000000}};
    text = kl_slice_trim(text);
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
        digits++;
    }
    int64_t n;
    if (digits > 10 || !kl_parse_i64(kl_slice(text.ptr, digits), &n)) {
        return false;
    }
    struct kl_slice unit = kl_slice_trim(kl_slice_from(text, digits));
    for (size_t i = 0; i < KL_LEN(units); i++) {
        if (kl_slice_eq_str(unit, units[i].unit)) {
            int64_t us;
            /* part of a millisecond counts as a whole one: 0 would mean no limit */
            bool fits = !__builtin_mul_overflow(n, units[i].us, &us);
            *ret = fits ? us / 1000 + (us % 1000 > 0) : 0;
            return fits && *ret <= MAX_TIMEOUT_MS;
        }
    }
    return false;
}

static enum kl_rc set_timeout(struct kl_parser *p, struct kl_slice value, int at) {
    int64_t ms;
    if (!timeout_ms(value, &ms)) {
        return kl_fail_at(p->err, KL_E_INVALID_SQL, at,
            "statement_timeout must be milliseconds or a text like '5s', '2min', at most %d ms; 0 "
            "is no limit; got '%.*s'",
            MAX_TIMEOUT_MS, KL_FMT(kl_slice(value.ptr, KL_MIN(value.len, (size_t)60))));
    }
    char *text = kl_arena_printf(p->arena, "%lld", (long long)ms);
    p->plan->text = kl_slice_str(text);
    return text ? KL_OK : kl_sql__no_room(p->err);
}

/* One value: a word, a string, a number; several with commas become one text. */
static enum kl_rc set_value(struct kl_parser *p, struct kl_slice *ret) {
    struct kl_buf all;
    enum kl_rc rc = KL_OK;
    kl_buf_init(&all, 4096);
    do {
        struct kl_slice one;
        kl_buf_puts(&all, all.len > 0 ? ", " : "");
        if (kl_sql__take_op(p, "-")) {
            kl_buf_putc(&all, '-');
        }
        if (p->tok.kind == KL_TOK_INT || p->tok.kind == KL_TOK_NUMBER) {
            kl_buf_append(&all, p->tok.text.ptr, p->tok.text.len);
            kl_sql__advance(p);
        } else if ((rc = kl_sql__take_text(p, &one)) == KL_OK) {
            kl_buf_append(&all, one.ptr, one.len);
        }
    } while (rc == KL_OK && kl_sql__take_punct(p, ','));
    if (rc == KL_OK) {
        rc = all.failed ? kl_sql__no_room(p->err)
                        : kl_sql__plan_dup(p->plan, kl_buf_view(&all), ret, p->err);
    }
    kl_buf_deinit(&all);
    return rc;
}

/* SET TRANSACTION .., SET SESSION CHARACTERISTICS AS TRANSACTION ..: modes of what is not open. */
static enum kl_rc set_transaction(struct kl_parser *p) {
    while (p->tok.kind != KL_TOK_END && p->tok.punct != ';') {
        if (kl_sql__at_word(p, "read")) {
            return kl_sql__unavailable(
                p->err, "SET TRANSACTION READ ONLY or READ WRITE (say it in BEGIN)");
        }
        kl_sql__take_punct(p, ',');
        if (kl_sql__take(p, "isolation level")) {
            KL_TRY(isolation(p));
        } else if (!kl_sql__take(p, "deferrable") && !kl_sql__take(p, "not deferrable")) {
            return kl_sql__syntax_error(p);
        }
    }
    p->plan->name = KL_S("default_transaction_isolation");
    p->plan->text = KL_S("serializable");
    return kl_sql__need_end(p);
}

/* The name of a setting; TIME ZONE and NAMES have a grammar of their own: no = or TO follows. */
static enum kl_rc set_name(struct kl_parser *p, bool *ret_special) {
    *ret_special = true;
    if (kl_sql__take(p, "time zone")) {
        p->plan->name = KL_S("timezone");
        return KL_OK;
    }
    if (kl_sql__take(p, "names")) {
        p->plan->name = KL_S("names");
        return KL_OK;
    }
    *ret_special = false;
    KL_TRY(kl_sql__take_name(p, &p->plan->name));
    while (kl_sql__take_punct(p, '.')) {
        struct kl_slice part;
        KL_TRY(kl_sql__take_name(p, &part));
        char *both = kl_arena_printf(p->arena, "%.*s.%.*s", KL_FMT(p->plan->name), KL_FMT(part));
        p->plan->name = kl_slice_str(both);
        KL_TRY(both ? KL_OK : kl_sql__no_room(p->err));
    }
    return KL_OK;
}

/* SET x = DEFAULT, RESET x: an empty text. */
static enum kl_rc set_default(struct kl_parser *p, int at) {
    p->plan->text = KL_S("");
    if (kl_slice_eq_str(p->plan->name, "statement_timeout")) {
        return KL_OK;
    }
    for (size_t i = 0; i < KL_LEN(fixed); i++) {
        if (kl_slice_eq_str(p->plan->name, fixed[i].name)) {
            p->plan->text = kl_slice_str(fixed[i].values[0]);
            return KL_OK;
        }
    }
    return set_fixed(p, p->plan->name, KL_S(""), at);
}

enum kl_rc kl_sql__parse_set(struct kl_parser *p) {
    KL_TRY(kl_auth_may(p->ctx->session->role, KL_MAY_SET, p->err));
    kl_sql__start_plan(p, KL_PLAN_SET);
    if (kl_sql__take(p, "transaction") ||
        kl_sql__take(p, "session characteristics as transaction")) {
        return set_transaction(p);
    }
    int at = kl_sql__here(p);
    bool local = kl_sql__take(p, "local"), special;
    if (!local) {
        kl_sql__take(p, "session");
    }
    KL_TRY(set_name(p, &special));
    if (!special && !kl_sql__take_op(p, "=") && !kl_sql__take(p, "to")) {
        return kl_sql__syntax_error(p);
    }
    if (kl_sql__take(p, "default")) {
        KL_TRY(kl_sql__need_end(p));
        return set_default(p, at);
    }
    int value_at = kl_sql__here(p);
    struct kl_slice value;
    KL_TRY(set_value(p, &value));
    KL_TRY(kl_sql__need_end(p));
    if (kl_slice_eq_str(p->plan->name, "statement_timeout")) {
        return local ? kl_sql__unavailable(p->err, "SET LOCAL statement_timeout")
                     : set_timeout(p, value, value_at);
    }
    p->plan->text = value;
    return set_fixed(p, p->plan->name, value, at);
}

enum kl_rc kl_sql__parse_reset(struct kl_parser *p) {
    bool special;
    KL_TRY(kl_auth_may(p->ctx->session->role, KL_MAY_SET, p->err));
    kl_sql__start_plan(p, KL_PLAN_SET);
    int at = kl_sql__here(p);
    if (kl_sql__take(p, "all")) {
        p->plan->name = KL_S("statement_timeout"); /* there is nothing else to reset */
    } else {
        KL_TRY(set_name(p, &special));
    }
    KL_TRY(kl_sql__need_end(p));
    return set_default(p, at);
}
