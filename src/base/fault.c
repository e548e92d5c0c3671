/* Fault points, counted under a lock when a specification is set and free of cost beyond one atomic
 * load when none is.
 *
 * A specification is one or more `name:n` or `name:n+`, separated by commas. A malformed one stops
 * the process: a test that believes to inject a fault and does not would prove nothing. Any thread.
 */
#include "base/fault.h"

#ifdef KL_FAULTS

#include "base/slice.h"
#include "base/text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MOST_POINTS 16

struct point {
    char name[64];
    uint64_t passage; /* the one that fails, counted from 1 */
    uint64_t passed;
    bool and_later;
};

static pthread_once_t environment_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct point points[MOST_POINTS]; /* guarded by lock */
static size_t point_count;               /* guarded by lock */
static _Atomic bool armed;

static void parse_point(struct kl_slice text, struct point *ret) {
    const char *colon = memchr(text.ptr, ':', text.len);
    KL_ASSERT(colon && "fault point is name:n or name:n+");
    size_t name_len = (size_t)(colon - text.ptr);
    KL_ASSERT(name_len > 0 && name_len < sizeof ret->name);
    struct kl_slice number = kl_slice_from(text, name_len + 1);
    bool and_later = number.len && number.ptr[number.len - 1] == '+';
    number.len -= and_later;
    uint64_t passage;
    KL_ASSERT(kl_parse_u64(number, &passage) && passage > 0);
    *ret = (struct point){.passage = passage, .and_later = and_later};
    memcpy(ret->name, text.ptr, name_len);
}

static void set_points(const char *spec) {
    pthread_mutex_lock(&lock);
    point_count = 0;
    struct kl_slice rest = kl_slice_str(spec);
    while (rest.len) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        size_t len = comma ? (size_t)(comma - rest.ptr) : rest.len;
        KL_ASSERT(point_count < MOST_POINTS);
        parse_point(kl_slice(rest.ptr, len), &points[point_count++]);
        rest = kl_slice_from(rest, comma ? len + 1 : len);
    }
    atomic_store(&armed, point_count > 0);
    pthread_mutex_unlock(&lock);
}

static void read_environment(void) {
    set_points(getenv("KALAMDB_FAULT"));
}

void kl_fault_set(const char *spec) {
    /* first, so that the environment does not come later and replace what is set here */
    pthread_once(&environment_once, read_environment);
    set_points(spec);
}

bool kl_fault(const char *name) {
    pthread_once(&environment_once, read_environment);
    if (!atomic_load_explicit(&armed, memory_order_relaxed)) {
        return false;
    }
    bool fails = false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < point_count; i++) {
        struct point *p = &points[i];
        if (strcmp(p->name, name) == 0) {
            p->passed++;
            fails |= p->passed == p->passage || (p->and_later && p->passed > p->passage);
        }
    }
    pthread_mutex_unlock(&lock);
    return fails;
}

#endif
