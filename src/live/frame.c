/* Frames: one message's bytes, shared by every connection that gets the same.
 *
 * Immutable but for the compressed form, which whoever needs it first makes under one of a few
 * locks; it is published by the state. */
#include "base/text.h"
#include "live/internal.h"

#include <stdlib.h>

#define GZIP_FROM 512

enum gzip_state { GZIP_UNKNOWN, GZIP_NONE, GZIP_MADE };
struct kl_frame {
    _Atomic uint32_t refs;
    _Atomic int gzip_state;
    struct kl_buf gzip;
    size_t len;
    char json[];
};

static pthread_mutex_t gzip_locks[16] = {[0 ... 15] = PTHREAD_MUTEX_INITIALIZER};

struct kl_frame *kl__frame_new(struct kl_slice json) {
    struct kl_frame *f = malloc(sizeof(*f) + json.len + 1); /* sized by rows: may be refused */
    if (f == NULL) {
        return NULL;
    }
    *f = (struct kl_frame){.refs = 1, .len = json.len};
    memcpy(f->json, json.ptr, json.len);
    f->json[json.len] = '\0';
    return f;
}

void kl_frame_ref(struct kl_frame *f) {
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
}

void kl_frame_unref(struct kl_frame *f) {
    if (f != NULL && atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1) {
        kl_buf_deinit(&f->gzip);
        free(f);
    }
}

struct kl_slice kl_frame_json(const struct kl_frame *f) {
    return kl_slice(f->json, f->len);
}

static int make_gzip(struct kl_frame *f) {
    kl_buf_init(&f->gzip, f->len - 1);
    if (kl_gzip(kl_frame_json(f), &f->gzip) == KL_OK && !f->gzip.failed) {
        return GZIP_MADE;
    }
    kl_buf_deinit(&f->gzip);
    return GZIP_NONE;
}

struct kl_slice kl_frame_gzip(struct kl_frame *f) {
    if (f->len < GZIP_FROM) {
        return KL_SLICE_NONE;
    }
    int state = atomic_load_explicit(&f->gzip_state, memory_order_acquire);
    if (state == GZIP_UNKNOWN) {
        pthread_mutex_t *lock = &gzip_locks[((uintptr_t)f >> 6) % KL_LEN(gzip_locks)];
        pthread_mutex_lock(lock);
        state = atomic_load_explicit(&f->gzip_state, memory_order_acquire);
        if (state == GZIP_UNKNOWN) {
            state = make_gzip(f);
            atomic_store_explicit(&f->gzip_state, state, memory_order_release);
        }
        pthread_mutex_unlock(lock);
    }
    return state == GZIP_MADE ? kl_buf_view(&f->gzip) : KL_SLICE_NONE;
}
