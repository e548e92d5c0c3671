/* What the benchmark programs share: time, latency samples, results, process figures. */
#ifndef KL_BENCH_COMMON_H
#define KL_BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A measurement that went wrong is not a measurement: every failure ends the program with 1. */
void kl_bench_die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

uint64_t kl_bench_now_ns(void);    /* monotonic */
void *kl_bench_alloc(size_t size); /* zeroed, never NULL */

/* The first line of a file without its newline. The caller frees. */
char *kl_bench_read_line(const char *path);
/* All lines of a file that are not empty. The caller frees each and the array. */
char **kl_bench_read_lines(const char *path, size_t *ret_count);
void kl_bench_write_file(const char *path, const void *data, size_t len);

/* An unsigned option value between min and max. */
uint64_t kl_bench_number(const char *option, const char *text, uint64_t min, uint64_t max);

/* ---- latencies, all kept ---- */
struct kl_bench_samples {
    uint64_t *ns;
    size_t count, capacity;
};
void kl_bench_samples_add(struct kl_bench_samples *s, uint64_t ns);
void kl_bench_samples_sort(struct kl_bench_samples *s);
/* Of sorted samples: the smallest that is not below `fraction` of them, in microseconds. */
double kl_bench_samples_us(const struct kl_bench_samples *s, double fraction);
void kl_bench_samples_free(struct kl_bench_samples *s);

/* ---- results: name=value on standard output, the same as one JSON object in a file ---- */
#define KL_BENCH_RESULTS_MAX 32
struct kl_bench_results {
    const char *name[KL_BENCH_RESULTS_MAX]; /* borrowed */
    double value[KL_BENCH_RESULTS_MAX];
    size_t count;
};
void kl_bench_result(struct kl_bench_results *r, const char *name, double value);
void kl_bench_result_latencies(struct kl_bench_results *r, struct kl_bench_samples *s);
void kl_bench_report(const struct kl_bench_results *r, const char *json_path); /* NULL: text only */

/* ---- another process, from /proc ---- */
uint64_t kl_bench_rss_bytes(int pid);
uint64_t kl_bench_cpu_us(int pid); /* user and system since its start; in steps of 10 ms */

#endif
