/* The server's log: one line an event, to standard error and optionally a file. Libraries do not log errors, they
 * return them; the edge that handles one logs it once. Thread-safe. Secrets never come here. */
#ifndef KL_BASE_LOG_H
#define KL_BASE_LOG_H

#include "base/err.h"

enum kl_log_level { KL_LOG_ERROR, KL_LOG_WARN, KL_LOG_INFO, KL_LOG_DEBUG, KL_LOG_TRACE };

struct kl_log_config {
    enum kl_log_level level;
    bool to_console; /* standard error */
    bool json;
    const char *path; /* file to append to, NULL for none */
};
enum kl_rc kl_log_configure(const struct kl_log_config *config, struct kl_err *err);
bool kl_log_enabled(enum kl_log_level level);
void kl_log(enum kl_log_level level, const char *target, const char *fmt, ...) KL_PRINTF(3, 4);

#define kl_log_error(target, ...) kl_log(KL_LOG_ERROR, target, __VA_ARGS__)
#define kl_log_warn(target, ...) kl_log(KL_LOG_WARN, target, __VA_ARGS__)
#define kl_log_info(target, ...) kl_log(KL_LOG_INFO, target, __VA_ARGS__)
#define kl_log_debug(target, ...)                                                                  \
    (kl_log_enabled(KL_LOG_DEBUG) ? kl_log(KL_LOG_DEBUG, target, __VA_ARGS__) : (void)0)

#endif
