/* Threads: starting them with signals masked, naming them, counting the processors they may use. */
#include "os/internal.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

int kl_os__thread_start(pthread_t *ret_thread, void *(*main)(void *), void *arg) {
    static const int own_faults[] = {
        SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF};
    sigset_t masked, before;
    sigfillset(&masked);
    for (size_t i = 0; i < KL_LEN(own_faults); i++) {
        sigdelset(&masked, own_faults[i]);
    }
    /* a new thread inherits the mask, so there is no moment in which it takes a signal */
    pthread_sigmask(SIG_SETMASK, &masked, &before);
    int rc = pthread_create(ret_thread, NULL, main, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

void kl_thread_name(const char *name) {
    char cut[16]; /* the kernel's limit */
    snprintf(cut, sizeof cut, "%s", name);
    pthread_setname_np(pthread_self(), cut);
}

unsigned kl_cpu_count(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
    return n > 0 ? (unsigned)n : 1;
}
