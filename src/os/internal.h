/* Shared inside os/ only. */
#ifndef KL_OS_INTERNAL_H
#define KL_OS_INTERNAL_H

#include "os/os.h"

/* A thread that takes no signals but those of its own faults: the rest belongs to the main thread.
 * 0 or an errno. */
int kl_os__thread_start(pthread_t *ret_thread, void *(*main)(void *), void *arg);

#endif
