/* The transactions that are running, for system.transactions. */
#ifndef KL_ENGINE_TXN_LIST_H
#define KL_ENGINE_TXN_LIST_H

#include "engine/engine.h"

enum kl__txn_state {
    KL__TXN_OPEN_READ,
    KL__TXN_OPEN_WRITE,
    KL__TXN_COMMITTING,
    KL__TXN_ROLLING_BACK
};
/* Inside whatever runs the transaction, which is there from kl__txn_enter until kl__txn_leave. Atomics: whoever runs it sets them. */
struct kl__txn_entry {
    struct kl__txn_entry *prev, *next; /* guarded by the list's lock */
    const char *id;
    struct kl_slice owner; /* the request */
    int64_t started_ns;
    uint64_t tables;
    _Atomic int state;
    _Atomic int64_t active_ns; /* when its last statement ended */
    _Atomic int64_t seq;       /* newest _seq of its shards when it began; 0: not known */
    _Atomic uint64_t writes, bytes;
};
struct kl__txn_list;
struct kl__txn_list *kl__txn_list_new(void);
void kl__txn_list_free(struct kl__txn_list *l); /* accepts NULL */
void kl__txn_enter(struct kl__txn_list *l, struct kl__txn_entry *e);
void kl__txn_leave(
    struct kl__txn_list *l, struct kl__txn_entry *e); /* one that is not in it is fine */
/* Oldest first, with the lock held. Stops at the first code that is not KL_OK. Any thread. */
typedef enum kl_rc kl__txn_visit(void *ctx, const struct kl__txn_entry *e);
enum kl_rc kl__txn_each(struct kl__txn_list *l, kl__txn_visit *visit, void *ctx);

#endif
