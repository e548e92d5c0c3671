/* Ctrl+C: a flag for whoever looks, and a pipe for whoever waits. The handler does nothing else.
 * Process-wide. */
#include "cli/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;
static int wake_pipe[2] = {-1, -1};

static void on_interrupt(int number) {
    int saved = errno;
    interrupted = 1;
    ssize_t ignored = write(wake_pipe[1], "", 1);
    (void)ignored;
    errno = saved;
}

int kl_cli__signals_init(void) {
    if (wake_pipe[0] < 0 && pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        return -1;
    }
    struct sigaction action = {
        .sa_handler = on_interrupt}; /* no SA_RESTART: reads must come back */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe shows as a failed write */
    return wake_pipe[0];
}

int kl_cli__interrupt_fd(void) {
    return wake_pipe[0];
}

bool kl_cli__interrupted(void) {
    return interrupted != 0;
}

void kl_cli__interrupt_clear(void) {
    char bytes[64];
    interrupted = 0;
    while (wake_pipe[0] >= 0 && read(wake_pipe[0], bytes, sizeof(bytes)) > 0) {
    }
}
