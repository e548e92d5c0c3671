/* See common.h. */
#include "common.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void kl_bench_die(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

uint64_t kl_bench_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void *kl_bench_alloc(size_t size) {
    void *p = calloc(1, size);
    if (p == NULL) {
        kl_bench_die("out of memory");
    }
    return p;
}

char **kl_bench_read_lines(const char *path, size_t *ret_count) {
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        kl_bench_die("%s: %s", path, strerror(errno));
    }
    char **lines = NULL, *line = NULL;
    size_t count = 0, size = 0;
    ssize_t len;
    while ((len = getline(&line, &size, f)) >= 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] == '\0') {
            continue;
        }
        lines = realloc(lines, (count + 1) * sizeof(*lines));
        if (lines == NULL) {
            kl_bench_die("out of memory");
        }
        lines[count++] = line;
        line = NULL;
        size = 0;
    }
    free(line);
    fclose(f);
    if (count == 0) {
        kl_bench_die("%s is empty", path);
    }
    *ret_count = count;
    return lines;
}

char *kl_bench_read_line(const char *path) {
    size_t count;
    char **lines = kl_bench_read_lines(path, &count);
    char *first = lines[0];
    for (size_t i = 1; i < count; i++) {
        free(lines[i]);
    }
    free(lines);
    return first;
}

void kl_bench_write_file(const char *path, const void *data, size_t len) {
    FILE *f = fopen(path, "we");
    if (f == NULL || fwrite(data, 1, len, f) != len || fclose(f) != 0) {
        kl_bench_die("%s: %s", path, strerror(errno));
    }
}

uint64_t kl_bench_number(const char *option, const char *text, uint64_t min, uint64_t max) {
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || n < min || n > max) {
        kl_bench_die("--%s is %s, but must be %llu to %llu", option, text, (unsigned long long)min,
            (unsigned long long)max);
    }
    return n;
}

void kl_bench_samples_add(struct kl_bench_samples *s, uint64_t ns) {
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 1 << 16;
        s->ns = realloc(s->ns, s->capacity * sizeof(*s->ns));
        if (s->ns == NULL) {
            kl_bench_die("out of memory");
        }
    }
    s->ns[s->count++] = ns;
}

static int compare_ns(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void kl_bench_samples_sort(struct kl_bench_samples *s) {
    if (s->count > 0) {
        qsort(s->ns, s->count, sizeof(*s->ns), compare_ns);
    }
}

double kl_bench_samples_us(const struct kl_bench_samples *s, double fraction) {
    if (s->count == 0) {
        return 0;
    }
    double place = fraction * (double)s->count;
    size_t i = (size_t)place;
    if ((double)i == place && i > 0) {
        i--;
    }
    return (double)s->ns[i < s->count ? i : s->count - 1] / 1000.0;
}

void kl_bench_samples_free(struct kl_bench_samples *s) {
    free(s->ns);
    *s = (struct kl_bench_samples){0};
}

void kl_bench_result(struct kl_bench_results *r, const char *name, double value) {
    if (r->count == KL_BENCH_RESULTS_MAX) {
        kl_bench_die("too many results");
    }
    r->name[r->count] = name;
    r->value[r->count++] = value;
}

void kl_bench_result_latencies(struct kl_bench_results *r, struct kl_bench_samples *s) {
    kl_bench_samples_sort(s);
    kl_bench_result(r, "p50_us", kl_bench_samples_us(s, 0.50));
    kl_bench_result(r, "p99_us", kl_bench_samples_us(s, 0.99));
    kl_bench_result(r, "max_us", kl_bench_samples_us(s, 1.0));
}

void kl_bench_report(const struct kl_bench_results *r, const char *json_path) {
    for (size_t i = 0; i < r->count; i++) {
        printf("%s%s=%.*f", i ? " " : "", r->name[i],
            r->value[i] == (double)(int64_t)r->value[i] ? 0 : 2, r->value[i]);
    }
    printf("\n");
    if (json_path == NULL) {
        return;
    }
    FILE *f = fopen(json_path, "we");
    if (f == NULL) {
        kl_bench_die("%s: %s", json_path, strerror(errno));
    }
    for (size_t i = 0; i < r->count; i++) {
        fprintf(f, "%s\"%s\":%.3f", i ? "," : "{", r->name[i], r->value[i]);
    }
    fprintf(f, "}\n");
    if (fclose(f) != 0) {
        kl_bench_die("%s: %s", json_path, strerror(errno));
    }
}

uint64_t kl_bench_rss_bytes(int pid) {
    char path[64], line[256];
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        kl_bench_die("%s: %s", path, strerror(errno));
    }
    unsigned long long kib = 0;
    while (fgets(line, sizeof(line), f) && sscanf(line, "VmRSS: %llu kB", &kib) != 1) {
    }
    fclose(f);
    if (kib == 0) {
        kl_bench_die("%s has no VmRSS", path);
    }
    return kib * 1024;
}

uint64_t kl_bench_cpu_us(int pid) {
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        kl_bench_die("%s: %s", path, strerror(errno));
    }
    size_t len = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[len] = '\0';
    /* The command's name may hold blanks and parentheses: fields count from the last one. */
    char *rest = strrchr(text, ')');
    unsigned long long user, sys;
    if (rest == NULL || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
                            &user, &sys) != 2) {
        kl_bench_die("%s cannot be read", path);
    }
    return (user + sys) * (1000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}
