/* The end of a process whose invariants no longer hold: say where on standard error, then abort so
 * that a core file shows the rest. Takes no lock and allocates nothing, because the broken
 * invariant may be about either. Any thread. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn void kl_panic(const char *file, int line, const char *what) {
    char text[512];
    int n = snprintf(text, sizeof text, "panic: %s:%d: %s\n", file, line, what);
    size_t len = n < 0 ? 0 : KL_MIN((size_t)n, sizeof text - 1);
    ssize_t ignored = write(STDERR_FILENO, text, len);
    (void)ignored;
    abort();
}
