/* What the operating system says of this process and machine. Any thread. */
#ifndef KL_SERVER_PROCESS_H
#define KL_SERVER_PROCESS_H

#include "base/base.h"

/* 0: not known. */
struct kl_process_figures {
    uint64_t rss_bytes, virtual_bytes, machine_bytes, machine_used_bytes;
    uint64_t threads;
    uint64_t files, regular_files, directories, unix_sockets, ipv4_sockets, ipv6_sockets,
        other_files; /* open */
};
void kl_process_figures(struct kl_process_figures *ret);
/* Time of all threads since the start, in microseconds. */
int64_t kl_process_cpu_us(void);
/* "1d 2h 3m 4s", without leading parts that are 0. */
void kl_duration_text(int64_t seconds, char *out, size_t size);

#endif
