/* Result codes and error texts. Codes live once in api/errors.def.
 *
 * enum kl_rc says which kind of failure; struct kl_err carries the text for people, the place in the statement and a
 * hint. A layer that adds context prefixes. `err` may be NULL wherever it is a parameter. */
#ifndef KL_BASE_ERR_H
#define KL_BASE_ERR_H

#include "base/assert.h"

enum kl_rc {
#define KL_ERROR(name, wire, status, retry) KL_E_##name,
#include "../../api/errors.def"
#undef KL_ERROR
    KL_E_COUNT_
};
#define KL_OK KL_E_OK

struct kl_err {
    enum kl_rc rc;
    int position;   /* 1-based byte offset in the statement text, 0 when unknown */
    char msg[480];  /* UTF-8, cut at a character boundary */
    char hint[224]; /* empty when there is none */
};

const char *kl_rc_wire(enum kl_rc rc);   /* "SQL_EXECUTION_ERROR" */
const char *kl_rc_name(enum kl_rc rc);   /* "CONSTRAINT" */
int kl_rc_http_status(enum kl_rc rc);
bool kl_rc_retryable(enum kl_rc rc);

/* Sets everything, clears position and hint; returns rc so that `return kl_fail(err, ...)` reads well. */
enum kl_rc kl_fail(struct kl_err *err, enum kl_rc rc, const char *fmt, ...) KL_PRINTF(3, 4);
enum kl_rc kl_fail_at(struct kl_err *err, enum kl_rc rc, int position, const char *fmt, ...) KL_PRINTF(4, 5);
void kl_err_hint(struct kl_err *err, const char *fmt, ...) KL_PRINTF(2, 3);
/* "prefix: text"; a prefix that ends in a space brings its own separator. */
void kl_err_prefix(struct kl_err *err, const char *fmt, ...) KL_PRINTF(2, 3);
void kl_err_clear(struct kl_err *err);

/* if (expr fails) return its code */
#define KL_TRY(expr)                                                                               \
    do {                                                                                           \
        enum kl_rc kl_try_rc_ = (expr);                                                            \
        if (kl_try_rc_ != KL_OK) {                                                                 \
            return kl_try_rc_;                                                                     \
        }                                                                                          \
    } while (0)

#endif
