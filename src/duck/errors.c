/* DuckDB's error texts into ours. Its first line is "<Kind> Error: <message>"; what follows
 * (candidates, a caret under our printed SQL, advice about settings) is about internals and is cut.
 * Names of our hidden functions never get out. */
#include "duck/internal.h"

struct kind {
    const char *prefix;
    enum kl_rc rc;
    const char *instead; /* said in place of the engine's words */
};
static const struct kind kinds[] = {
    {"Out of Range Error: ", KL_E_TYPE, NULL},
    {"Conversion Error: ", KL_E_TYPE, NULL},
    {"Invalid type Error: ", KL_E_TYPE, NULL},
    {"Mismatch Type Error: ", KL_E_TYPE, NULL},
    {"Divide by Zero Error: ", KL_E_EXEC, "division by zero"},
    {"Out of Memory Error: ", KL_E_TOO_LARGE, KL_DUCK__TOO_LARGE},
    {"INTERRUPT Error: ", KL_E_CANCELLED, "canceling statement due to user request"},
    {"Not implemented Error: ", KL_E_UNSUPPORTED, NULL},
    {"Permission Error: ", KL_E_UNSUPPORTED,
        "the statement uses something that is not allowed here"},
    {"IO Error: ", KL_E_EXEC, "the query failed while spilling to disk"},
    {"FATAL Error: ", KL_E_INTERNAL, "the analytical engine failed"},
    {"INTERNAL Error: ", KL_E_INTERNAL, "the analytical engine failed"},
    {"Binder Error: ", KL_E_EXEC, NULL},
    {"Catalog Error: ", KL_E_EXEC, NULL},
    {"Parser Error: ", KL_E_EXEC, NULL},
    {"Invalid Input Error: ", KL_E_EXEC, NULL},
    {"Invalid Error: ", KL_E_EXEC, NULL},
};

bool kl_duck__error_breaks(const char *text) {
    return text && (strncmp(text, "FATAL", 5) == 0 || strncmp(text, "INTERNAL", 8) == 0);
}

/* Message texts that PostgreSQL words otherwise: found anywhere in the engine's line. */
static const struct {
    const char *contains, *instead;
    enum kl_rc rc;
} phrases[] = {
    {"abs(-32768)", "smallint out of range", KL_E_TYPE},
    {"abs(-2147483648)", "integer out of range", KL_E_TYPE},
    {"abs(-9223372036854775808)", "bigint out of range", KL_E_TYPE},
    {"in INT16 ", "smallint out of range", KL_E_TYPE},
    {"of INT16 ", "smallint out of range", KL_E_TYPE},
    {"of INT32 ", "integer out of range", KL_E_TYPE},
    {"of INT64 ", "bigint out of range", KL_E_TYPE},
    {"of INT128 ", "numeric field overflow", KL_E_TYPE},
    {"of DECIMAL(", "numeric field overflow", KL_E_TYPE},
    {"in HUGEINT", "numeric field overflow", KL_E_TYPE},
    {"More than one row returned by a subquery",
        "more than one row returned by a subquery used as an expression", KL_E_EXEC},
    {"Maximum recursion level", "the statement is nested too deeply", KL_E_UNSUPPORTED},
    {"Max expression depth", "the statement is nested too deeply", KL_E_UNSUPPORTED},
};

static void append_without_internals(struct kl_buf *out, struct kl_slice line) {
    static const struct kl_slice scan = {"kl_scan_", 8}, hidden = {"kl_", 3};
    for (size_t i = 0; i < line.len;) {
        struct kl_slice rest = kl_slice_from(line, i);
        if (kl_slice_starts_with(rest, scan)) {
            kl_buf_puts(out, "table");
            for (i += scan.len; i < line.len && line.ptr[i] >= '0' && line.ptr[i] <= '9'; i++) {
            }
            if (kl_slice_starts_with(kl_slice_from(line, i), KL_S("()"))) {
                i += 2;
            }
        } else if (kl_slice_starts_with(rest, hidden) &&
                   (i == 0 || line.ptr[i - 1] == '"' || line.ptr[i - 1] == ' ')) {
            i += hidden.len;
        } else {
            kl_buf_putc(out, line.ptr[i++]);
        }
    }
}

/* Both say that column "x" does not exist: Referenced column "x" not found in .., and, when the
 * output column has the same name, Column "x" referenced that exists in the SELECT clause .. */
static bool missing_column(struct kl_slice line, struct kl_err *err) {
    static const struct kl_slice intros[] = {{"Referenced column \"", 19}, {"Column \"", 8}};
    static const char *const outros[] = {
        "\" not found", "\" referenced that exists in the SELECT clause"};
    size_t form = kl_slice_starts_with(line, intros[0]) ? 0 : 1;
    if (!kl_slice_starts_with(line, intros[form])) {
        return false;
    }
    struct kl_slice name = kl_slice_from(line, intros[form].len);
    const char *end = memmem(name.ptr, name.len, outros[form], strlen(outros[form]));
    if (!end) {
        return false;
    }
    kl_fail(err, KL_E_EXEC, "column \"%.*s\" does not exist", (int)(end - name.ptr), name.ptr);
    return true;
}

static enum kl_rc say(enum kl_rc rc, struct kl_slice line, struct kl_err *err) {
    for (size_t i = 0; i < KL_LEN(phrases); i++) {
        if (memmem(line.ptr, line.len, phrases[i].contains, strlen(phrases[i].contains))) {
            return kl_fail(err, phrases[i].rc, "%s", phrases[i].instead);
        }
    }
    if (missing_column(line, err)) {
        return KL_E_EXEC;
    }
    struct kl_buf buf;
    kl_buf_init(&buf, 4096);
    append_without_internals(&buf, kl_slice(line.ptr, KL_MIN(line.len, (size_t)1024)));
    struct kl_slice said = kl_buf_view(&buf);
    while (said.len && (said.ptr[said.len - 1] == '!' || said.ptr[said.len - 1] == ' ')) {
        said.len--;
    }
    kl_fail(err, rc, "%.*s", KL_FMT(said));
    kl_buf_deinit(&buf);
    return rc;
}

enum kl_rc kl_duck__error(const char *text, struct kl_err *err) {
    struct kl_slice line = kl_slice_str(text ? text : "");
    const char *newline = line.ptr ? memchr(line.ptr, '\n', line.len) : NULL;
    if (newline) {
        line.len = (size_t)(newline - line.ptr);
    }
    for (size_t i = 0; i < KL_LEN(kinds); i++) {
        struct kl_slice prefix = kl_slice_str(kinds[i].prefix);
        if (kl_slice_starts_with(line, prefix)) {
            if (kinds[i].instead) {
                return kl_fail(err, kinds[i].rc, "%s", kinds[i].instead);
            }
            return say(kinds[i].rc, kl_slice_from(line, prefix.len), err);
        }
    }
    if (line.len == 0) {
        return kl_fail(err, KL_E_INTERNAL, "the analytical engine failed without a reason");
    }
    return say(KL_E_EXEC, line, err);
}
