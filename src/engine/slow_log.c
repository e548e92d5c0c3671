/* The log of slow statements: one warning for each that took logging.slow_statement_ms or more, whether it succeeded or not. It says
 * how long, for whom, how many rows, which request, and the statement without its values: a literal may be anybody's data or
 * a secret, and the log is read by people who may see neither. On the loop, or where a transaction runs. */
#include "engine/internal.h"

#define TARGET "slow"
#define TEXT_BYTES 1000

/* Texts come from clients: one line, whatever they hold (kl_log escapes what would end it). */
static void log_statement(
    const struct kl__run *r, const struct kl__stmt *s, enum kl_rc rc, int64_t took_ms) {
    const struct kl_session *session = s->session.user.len > 0 ? &s->session : &r->x->session;
    struct kl_buf text = {0};
    kl_sql_redact(s->text.text, TEXT_BYTES, &text);
    kl_log_warn(TARGET, "statement took %lld ms: user %.*s, rows %llu, request %.*s, %s: %.*s",
        (long long)took_ms, KL_FMT(session->user),
        (unsigned long long)(rc == KL_OK ? r->x->rows : 0), KL_FMT(session->request_id),
        rc == KL_OK ? "ok" : kl_rc_name(rc), KL_FMT(kl_buf_view(&text)));
    kl_buf_deinit(&text);
}

void kl__slow_check(struct kl__run *r, const struct kl__stmt *s, enum kl_rc rc) {
    int64_t limit_ms = r->e->o.slow_statement_ms;
    if (limit_ms <= 0) {
        return;
    }
    int64_t took_ms = (kl_clock_mono_ns() - r->started_ns) / 1000000;
    if (took_ms >= limit_ms) {
        r->e->slow++;
        log_statement(r, s, rc, took_ms);
    }
}
