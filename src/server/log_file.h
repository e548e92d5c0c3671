/* Reading the server's own log file, for system.server_logs. */
#ifndef KL_SERVER_LOG_FILE_H
#define KL_SERVER_LOG_FILE_H

#include "engine/engine.h"

/* The newest lines of the file, at most KL_LOG_FILE_BYTES of it, oldest first. Both formats of base/log.h are read; a line in
 * neither is a message by itself. A file that is not there has no lines. Stops at the first code that is not KL_OK. */
#define KL_LOG_FILE_BYTES ((size_t)4 << 20)
typedef enum kl_rc kl_log_file_visit(void *ctx, const struct kl_log_line *line);
enum kl_rc kl_log_file_read(
    const char *path, kl_log_file_visit *visit, void *ctx, struct kl_err *err);
/* One line, without its newline. Texts borrow the line and the arena. */
void kl_log_line_parse(struct kl_slice line, struct kl_arena *arena, struct kl_log_line *ret);

#endif
