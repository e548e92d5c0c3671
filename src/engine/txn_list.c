/* A list of entries that their owners keep, under a lock that is held for a few instructions, or while system.transactions is
 * read. */
#include "engine/txn_list.h"

#include <pthread.h>
#include <stdlib.h>

struct kl__txn_list {
    pthread_mutex_t lock;
    struct kl__txn_entry ring; /* its next is the oldest */
};

struct kl__txn_list *kl__txn_list_new(void) {
    struct kl__txn_list *l = kl_xcalloc(1, sizeof(*l));
    pthread_mutex_init(&l->lock, NULL);
    l->ring.prev = l->ring.next = &l->ring;
    return l;
}

void kl__txn_list_free(struct kl__txn_list *l) {
    if (l != NULL) {
        pthread_mutex_destroy(&l->lock);
        free(l);
    }
}

void kl__txn_enter(struct kl__txn_list *l, struct kl__txn_entry *e) {
    pthread_mutex_lock(&l->lock);
    e->prev = l->ring.prev;
    e->next = &l->ring;
    e->prev->next = e->next->prev = e;
    pthread_mutex_unlock(&l->lock);
}

void kl__txn_leave(struct kl__txn_list *l, struct kl__txn_entry *e) {
    pthread_mutex_lock(&l->lock);
    if (e->next != NULL) {
        e->prev->next = e->next;
        e->next->prev = e->prev;
        e->prev = e->next = NULL;
    }
    pthread_mutex_unlock(&l->lock);
}

enum kl_rc kl__txn_each(struct kl__txn_list *l, kl__txn_visit *visit, void *ctx) {
    enum kl_rc rc = KL_OK;
    pthread_mutex_lock(&l->lock);
    for (struct kl__txn_entry *e = l->ring.next; rc == KL_OK && e != &l->ring; e = e->next) {
        rc = visit(ctx, e);
    }
    pthread_mutex_unlock(&l->lock);
    return rc;
}
