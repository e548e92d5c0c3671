/* A statement whose numbers change from one request to the next, in place.
 *
 * In its text stand
 *   {n:W}          a number that counts rows, W digits with leading zeros
 *   {r:W:MIN:MAX}  a random number of MIN .. MAX, W digits
 * One thread. */
#ifndef KL_BENCH_TEMPLATE_H
#define KL_BENCH_TEMPLATE_H

#include "common.h"

struct kl_bench_hole;
struct kl_bench_template {
    char *request; /* whole HTTP request; its numbers are those of the last fill */
    size_t request_len;
    struct kl_bench_hole *holes;
    size_t n_holes;
    uint64_t next; /* {n} of the next row */
};

struct kl_bench_template_options {
    const char *path, *token; /* of the request */
    const char *sql;          /* all, or what comes before the rows */
    const char *row;          /* NULL: none; else `repeat` of them follow, with commas between */
    unsigned repeat;
    uint64_t first; /* {n} of the first row */
};
void kl_bench_template_init(
    struct kl_bench_template *t, const struct kl_bench_template_options *options);
/* Puts the next numbers in. `random` gives 64 random bits. */
void kl_bench_template_fill(struct kl_bench_template *t, uint64_t (*random)(void));

#endif
