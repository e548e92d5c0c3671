/* Figures out of /proc and the system's own calls. What cannot be read stays 0: they are for people, nothing depends on them. */
#include "server/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static void read_memory(struct kl_process_figures *ret) {
    unsigned long long total, resident;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    FILE *f = fopen("/proc/self/statm", "re");
    if (f != NULL && fscanf(f, "%llu %llu", &total, &resident) == 2) {
        ret->virtual_bytes = total * page;
        ret->rss_bytes = resident * page;
    }
    if (f != NULL) {
        fclose(f);
    }
    struct sysinfo machine;
    if (sysinfo(&machine) == 0) {
        ret->machine_bytes = (uint64_t)machine.totalram * machine.mem_unit;
        ret->machine_used_bytes = ret->machine_bytes - (uint64_t)machine.freeram * machine.mem_unit;
    }
}

static void count_socket(struct kl_process_figures *ret, int fd) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    int family =
        getsockname(fd, (struct sockaddr *)&address, &size) == 0 ? address.ss_family : AF_UNSPEC;
    ret->unix_sockets += family == AF_UNIX;
    ret->ipv4_sockets += family == AF_INET;
    ret->ipv6_sockets += family == AF_INET6;
    ret->other_files += family != AF_UNIX && family != AF_INET && family != AF_INET6;
}

static void count_file(struct kl_process_figures *ret, const char *name) {
    struct stat st;
    ret->files++;
    if (fstat(atoi(name), &st) != 0) {
        ret->other_files++;
    } else if (S_ISREG(st.st_mode)) {
        ret->regular_files++;
    } else if (S_ISDIR(st.st_mode)) {
        ret->directories++;
    } else if (S_ISSOCK(st.st_mode)) {
        count_socket(ret, atoi(name));
    } else {
        ret->other_files++;
    }
}

static void count_entries(struct kl_process_figures *ret, const char *path, bool files) {
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return;
    }
    for (struct dirent *d = readdir(dir); d != NULL; d = readdir(dir)) {
        if (d->d_name[0] == '.') {
            continue;
        }
        if (!files) {
            ret->threads++;
        } else if (atoi(d->d_name) != dirfd(dir)) {
            count_file(ret, d->d_name);
        }
    }
    closedir(dir);
}

void kl_process_figures(struct kl_process_figures *ret) {
    *ret = (struct kl_process_figures){0};
    read_memory(ret);
    count_entries(ret, "/proc/self/fd", true);
    count_entries(ret, "/proc/self/task", false);
}

static int64_t us_of(struct timeval t) {
    return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

int64_t kl_process_cpu_us(void) {
    struct rusage use;
    return getrusage(RUSAGE_SELF, &use) == 0 ? us_of(use.ru_utime) + us_of(use.ru_stime) : 0;
}

void kl_duration_text(int64_t seconds, char *out, size_t size) {
    int64_t d = seconds / 86400, h = seconds / 3600 % 24, m = seconds / 60 % 60, s = seconds % 60;
    if (d > 0) {
        snprintf(out, size, "%lldd %lldh %lldm %llds", (long long)d, (long long)h, (long long)m,
            (long long)s);
    } else if (h > 0) {
        snprintf(out, size, "%lldh %lldm %llds", (long long)h, (long long)m, (long long)s);
    } else if (m > 0) {
        snprintf(out, size, "%lldm %llds", (long long)m, (long long)s);
    } else {
        snprintf(out, size, "%llds", (long long)s);
    }
}
