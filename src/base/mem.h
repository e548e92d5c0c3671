/* Memory. The kl_x* functions are for sizes that the program itself decides: they stop the process when memory is
 * gone. What a peer can size comes from an arena or a kl_buf, which have a budget and fail.
 *
 * struct kl_arena: bump allocator in chunks, freed all at once. Not thread-safe: one owner at a time. Alignment 16. */
#ifndef KL_BASE_MEM_H
#define KL_BASE_MEM_H

#include "base/assert.h"
#include "base/slice.h"
#include <stdarg.h>
#include <string.h>

void *kl_xmalloc(size_t size);
void *kl_xcalloc(size_t count, size_t size);
void *kl_xrealloc(void *ptr, size_t size);
char *kl_xstrdup(const char *s);
char *kl_xprintf(const char *fmt, ...) KL_PRINTF(1, 2);

/* Grows `ptr` (an array of *cap elements) so that it holds at least `need`. */
#define KL_GROW(ptr, cap, need)                                                                    \
    do {                                                                                           \
        if ((size_t)(need) > (size_t)(cap)) {                                                      \
            (cap) = KL_MAX((size_t)(need), (size_t)(cap) * 2 + 8);                                 \
            (ptr) = kl_xrealloc((ptr), (size_t)(cap) * sizeof(*(ptr)));                            \
        }                                                                                          \
    } while (0)

struct kl_arena_chunk;
struct kl_arena {
    struct kl_arena_chunk *head; /* newest chunk */
    char *cur, *end;
    size_t used;  /* bytes of all chunks */
    size_t limit; /* most bytes of all chunks; 0 means 64 MiB */
};

void kl_arena_init(struct kl_arena *a, size_t limit);
void kl_arena_deinit(struct kl_arena *a);
/* Forgets every allocation, keeps one chunk of at most 64 KiB for reuse. */
void kl_arena_reset(struct kl_arena *a);
/* NULL when the budget is exceeded. Not zeroed. */
void *kl_arena_alloc(struct kl_arena *a, size_t size);
void *kl_arena_calloc(struct kl_arena *a, size_t count, size_t size);
/* Copies; the copy is followed by a NUL that is not counted. ptr is NULL when the budget is exceeded. */
struct kl_slice kl_arena_dup(struct kl_arena *a, struct kl_slice s);
char *kl_arena_printf(struct kl_arena *a, const char *fmt, ...) KL_PRINTF(2, 3);
#define KL_ARENA_NEW(arena, type) ((type *)kl_arena_calloc((arena), 1, sizeof(type)))
#define KL_ARENA_ARRAY(arena, type, n) ((type *)kl_arena_calloc((arena), (n), sizeof(type)))

/* A place to come back to: everything allocated after the mark is given back, so that a scan over a million rows
 * evaluates each in the same few bytes. */
struct kl_arena_mark {
    struct kl_arena_chunk *head;
    char *cur;
};
struct kl_arena_mark kl_arena_mark(struct kl_arena *a);
void kl_arena_rewind(struct kl_arena *a, struct kl_arena_mark mark);

/* Scope-bound cleanup: `kl_autofree char *p = ...;` */
static inline void kl_free_ptr_(void *p) {
    void **pp = p;
    extern void free(void *);
    free(*pp);
}
#define kl_autofree __attribute__((cleanup(kl_free_ptr_)))

#endif
