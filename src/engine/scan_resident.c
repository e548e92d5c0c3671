/* A resident partition as a source: see resident.c. */
#include "engine/scan_internal.h"

#include <stdlib.h>

struct resident_scan {
    struct kl__row_source base;
    struct kl__resident *partition;
    struct kl__resident_pos pos;
    int64_t after, upto; /* 0: no bound */
    int16_t slots[];
};

static enum kl_rc resident_next(struct kl_source *source, struct kl_val *row, struct kl_err *err) {
    struct resident_scan *s = KL_CONTAINER_OF(source, struct resident_scan, base.source);
    struct kl_slice bytes;
    int64_t seq;
    if (!kl__resident_next(s->partition, &s->pos, &seq, &bytes) ||
        (s->pos.backward ? seq <= s->after : s->upto > 0 && seq > s->upto)) {
        return KL_E_END;
    }
    return kl__row_source_take(&s->base, bytes, seq, false, row, err);
}

static void resident_close(struct kl_source *source) {
    struct resident_scan *s = KL_CONTAINER_OF(source, struct resident_scan, base.source);
    kl__resident_release(s->partition);
    free(s);
}

bool kl__scan_resident(struct kl_engine *e, const struct kl_scan *scan, struct kl_source **ret) {
    if (!scan->cut || scan->batch || scan->tombstones) {
        return false;
    }
    struct kl__resident *p = kl__resident_at(e, scan->table, scan->user, scan->cut);
    if (!p) {
        return false;
    }
    struct resident_scan *s = kl_xcalloc(1, sizeof(*s) + scan->n_slots * sizeof(int16_t));
    kl__row_source_init(&s->base, scan, scan->table, s->slots);
    s->base.source.next = resident_next;
    s->base.source.close = resident_close;
    s->partition = p;
    s->after = scan->after_seq;
    s->upto = scan->upto_seq;
    kl__resident_start(p, scan->cut->stamp, s->after, s->upto, scan->newest_first || scan->newest_likely,
        &s->pos);
    *ret = &s->base.source;
    return true;
}
