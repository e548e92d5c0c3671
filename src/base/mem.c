/* Heap helpers that never return NULL, and the arena.
 *
 * An arena is a list of chunks, newest first; allocations bump `cur` towards `end` of the newest.
 * Chunks double from 4 KiB to 1 MiB. An allocation that is large beside the next chunk becomes a
 * block of its own ("big"), so that it does not waste the rest of the current chunk. A big block
 * hangs off the chunk that was newest and remembers where `cur` stood; one step of `cur` is spent
 * on it, so that a mark taken before it and one taken after it differ.
 *
 * Rewinding frees the chunks added since the mark except the oldest of them, which stays as the
 * newest chunk, emptied: a loop that crosses the end of a chunk in each round would otherwise pay
 * for a chunk in each round.
 *
 * Invariants: `used` is the sum of all chunks and big blocks with their headers and never exceeds
 * the limit; `cur` and `end` are 16-aligned and belong to `head`, or are NULL when there is no
 * chunk. Under AddressSanitizer everything that is not handed out is poisoned, so that a use after
 * a rewind is found. One owner at a time. */
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define POISON(p, n) ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

#define DEFAULT_LIMIT ((size_t)64 << 20)
#define FIRST_CHUNK ((size_t)4 << 10)
#define LARGEST_CHUNK ((size_t)1 << 20)
#define LARGEST_KEPT ((size_t)64 << 10)
#define STEP ((size_t)16)

struct big_block {
    struct big_block *older;
    size_t size;   /* with this header */
    char *made_at; /* `cur` of the owning chunk when it was made */
    void *unused_; /* keeps the payload 16-aligned */
};

struct kl_arena_chunk {
    struct kl_arena_chunk *older;
    struct big_block *bigs; /* newest first */
    size_t size;            /* with this header */
    size_t unused_;         /* keeps the payload 16-aligned */
};

_Static_assert(sizeof(struct big_block) % 16 == 0, "payload alignment");
_Static_assert(sizeof(struct kl_arena_chunk) % 16 == 0, "payload alignment");

static void *checked(void *p) {
    if (!p) {
        kl_panic(__FILE__, __LINE__, "out of memory");
    }
    return p;
}

void *kl_xmalloc(size_t size) {
    return checked(malloc(size ? size : 1));
}

void *kl_xcalloc(size_t count, size_t size) {
    return checked(count && size ? calloc(count, size) : calloc(1, 1));
}

void *kl_xrealloc(void *ptr, size_t size) {
    return checked(realloc(ptr, size ? size : 1));
}

char *kl_xstrdup(const char *s) {
    return checked(strdup(s));
}

char *kl_xprintf(const char *fmt, ...) {
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return checked(n < 0 ? NULL : text);
}

static char *chunk_start(struct kl_arena_chunk *c) {
    return (char *)(c + 1);
}

static size_t budget_left(const struct kl_arena *a) {
    size_t limit = a->limit ? a->limit : DEFAULT_LIMIT;
    return limit > a->used ? limit - a->used : 0;
}

static size_t next_chunk_size(const struct kl_arena *a) {
    if (!a->head) {
        return FIRST_CHUNK;
    }
    return KL_MIN(KL_MAX(a->head->size * 2, FIRST_CHUNK), LARGEST_CHUNK);
}

static void use_chunk(struct kl_arena *a, struct kl_arena_chunk *c) {
    a->head = c;
    a->cur = chunk_start(c);
    a->end = (char *)c + c->size;
    POISON(a->cur, (size_t)(a->end - a->cur));
}

/* A chunk with room for `size`, smaller than usual when the budget is nearly spent. */
static bool add_chunk(struct kl_arena *a, size_t size) {
    size_t want = next_chunk_size(a);
    size_t left = budget_left(a) / STEP * STEP;
    if (left < sizeof(struct kl_arena_chunk) + size) {
        return false;
    }
    want = KL_MIN(KL_MAX(want, sizeof(struct kl_arena_chunk) + size), left);
    struct kl_arena_chunk *c = malloc(want);
    if (!c) {
        return false;
    }
    *c = (struct kl_arena_chunk){.older = a->head, .size = want};
    a->used += want;
    use_chunk(a, c);
    return true;
}

static void *alloc_big(struct kl_arena *a, size_t size) {
    if ((size_t)(a->end - a->cur) < STEP && !add_chunk(a, STEP)) {
        return NULL;
    }
    size_t left = budget_left(a);
    if (left < sizeof(struct big_block) || size > left - sizeof(struct big_block)) {
        return NULL;
    }
    struct big_block *big = malloc(sizeof *big + size);
    if (!big) {
        return NULL;
    }
    big->size = sizeof *big + size;
    big->made_at = a->cur;
    big->older = a->head->bigs;
    a->head->bigs = big;
    a->cur += STEP;
    a->used += big->size;
    return big + 1;
}

/* Frees the big blocks of a chunk that were made at or after `since`. */
static void free_bigs(struct kl_arena *a, struct kl_arena_chunk *c, const char *since) {
    while (c->bigs && c->bigs->made_at >= since) {
        struct big_block *big = c->bigs;
        c->bigs = big->older;
        a->used -= big->size;
        free(big);
    }
}

static void free_chunk(struct kl_arena *a, struct kl_arena_chunk *c) {
    free_bigs(a, c, (char *)c);
    a->used -= c->size;
    free(c);
}

void kl_arena_init(struct kl_arena *a, size_t limit) {
    *a = (struct kl_arena){.limit = limit};
}

void kl_arena_deinit(struct kl_arena *a) {
    for (struct kl_arena_chunk *c = a->head, *older; c; c = older) {
        older = c->older;
        free_chunk(a, c);
    }
    KL_ASSERT(a->used == 0);
    a->head = NULL;
    a->cur = a->end = NULL;
}

void kl_arena_reset(struct kl_arena *a) {
    struct kl_arena_chunk *kept = NULL;
    for (struct kl_arena_chunk *c = a->head, *older; c; c = older) {
        older = c->older;
        free_bigs(a, c, (char *)c);
        struct kl_arena_chunk *loser = c;
        if (c->size <= LARGEST_KEPT && (!kept || c->size > kept->size)) {
            loser = kept;
            kept = c;
        }
        if (loser) {
            free_chunk(a, loser);
        }
    }
    a->head = NULL;
    a->cur = a->end = NULL;
    if (kept) {
        kept->older = NULL;
        use_chunk(a, kept);
    }
}

void *kl_arena_alloc(struct kl_arena *a, size_t size) {
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    size_t rounded = (KL_MAX(size, (size_t)1) + STEP - 1) / STEP * STEP;
    if (rounded > (size_t)(a->end - a->cur)) {
        if (rounded > next_chunk_size(a) / 4) {
            return alloc_big(a, rounded);
        }
        if (!add_chunk(a, rounded)) {
            return NULL;
        }
    }
    char *p = a->cur;
    a->cur += rounded;
    UNPOISON(p, size);
    return p;
}

void *kl_arena_calloc(struct kl_arena *a, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        return NULL;
    }
    void *p = kl_arena_alloc(a, total);
    if (p) {
        memset(p, 0, total);
    }
    return p;
}

struct kl_slice kl_arena_dup(struct kl_arena *a, struct kl_slice s) {
    char *p = s.len < SIZE_MAX ? kl_arena_alloc(a, s.len + 1) : NULL;
    if (!p) {
        return KL_SLICE_NONE;
    }
    if (s.len) {
        memcpy(p, s.ptr, s.len);
    }
    p[s.len] = '\0';
    return kl_slice(p, s.len);
}

char *kl_arena_printf(struct kl_arena *a, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : kl_arena_alloc(a, (size_t)n + 1);
    if (p) {
        vsnprintf(p, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    return p;
}

struct kl_arena_mark kl_arena_mark(struct kl_arena *a) {
    return (struct kl_arena_mark){a->head, a->cur};
}

void kl_arena_rewind(struct kl_arena *a, struct kl_arena_mark mark) {
    if (a->head == mark.head) {
        if (a->head) {
            KL_ASSERT(mark.cur <= a->cur);
            free_bigs(a, a->head, mark.cur);
            POISON(mark.cur, (size_t)(a->cur - mark.cur));
            a->cur = mark.cur;
        }
        return;
    }
    while (a->head->older != mark.head) {
        struct kl_arena_chunk *c = a->head;
        a->head = c->older;
        KL_ASSERT(a->head);
        free_chunk(a, c);
    }
    free_bigs(a, a->head, (char *)a->head);
    if (mark.head) {
        free_bigs(a, mark.head, mark.cur);
        POISON(mark.cur, (size_t)((char *)mark.head + mark.head->size - mark.cur));
    }
    use_chunk(a, a->head);
}
