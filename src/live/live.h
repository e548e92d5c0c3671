/* Live queries: a client's copy of a query's rows stays equal to what a fresh SELECT would return.
 *
 * A subscription is a cursor over one partition: the _seq up to which its client knows everything, plus a filter and a projection. It lives in the
 * registry of its partition's shard, touched only by that shard's writer, and goes through these states:
 *
 *     BOUND --call on the writer--> LOADING --snapshot read in the query pool, changes meanwhile kept (bounded)--> LIVE
 *                                      ^                                                                          |
 *                                      +------------- CATCH_UP: the client's output was full ----------------------+
 *     any --> ENDED (unsubscribe, connection closed, table dropped, killed)
 *
 * The writer registers the subscription and takes the snapshot in one step between two batches, so the snapshot's boundary and the first change are
 * consecutive: no gap, no duplicate, in commit order. When a LOADING subscription's kept changes or a LIVE client's output exceed their bound they
 * are dropped and the subscription continues from storage at its cursor: catch-up is a resume that the server does by itself.
 *
 * Resume (`from`) sends every row changed since, in order of _seq: those that match as rows in batches, the others (and deletions) as delete changes unless the client cannot have known
 * them (origin_seq > from). When tombstones that old are gone, or a table without primary key leaves the chain open, the ack says "resync": true and a full
 * snapshot follows.
 *
 * A row that leaves the filter is a delete, one that enters it an insert. */
#ifndef KL_LIVE_H
#define KL_LIVE_H

#include "engine/engine.h"

/* One message, encoded once, shared by every connection that gets the same bytes. */
struct kl_frame;
void kl_frame_ref(struct kl_frame *f);
void kl_frame_unref(struct kl_frame *f);
struct kl_slice kl_frame_json(const struct kl_frame *f);
/* The gzip member of the same bytes, made at most once; empty when it would not be smaller or the message is under 512 bytes. Any thread. */
struct kl_slice kl_frame_gzip(struct kl_frame *f);

struct kl_live;
struct kl_live_options {
    struct kl_engine *engine;
    size_t max_output_bytes;      /* queued for one connection before its subscriptions go to catch-up; 0: 1 MiB */
    size_t max_kept_bytes;        /* changes kept by one LOADING subscription; 0: 256 KiB */
    uint32_t max_per_user;        /* 0: no limit */
    uint32_t max_per_connection;  /* 0: no limit */
    uint32_t default_batch_size;  /* 0: 1000 */
};
/* Made before the engine starts; kl_live_listener goes into the engine's options; kl_live_attach when the engine stands. */
struct kl_live *kl_live_new(const struct kl_live_options *o);
struct kl_engine_listener kl_live_listener(struct kl_live *l);
void kl_live_attach(struct kl_live *l, struct kl_engine *e);
void kl_live_free(struct kl_live *l); /* after the engine stopped */

/* ---- a connection, as live queries see it ---- */
struct kl_live_client;
struct kl_live_client_ops {
    void *ctx;
    /* On the connection's loop: frames are waiting; at most one call is outstanding. Not called after kl_live_client_close. */
    void (*ready)(void *ctx);
};
/* session slices are copied. Owned by the connection's loop. */
struct kl_live_client *kl_live_client_new(struct kl_live *l, struct kl_engine_loop *el, struct kl_loop *loop, const struct kl_session *session,
    const struct kl_live_client_ops *ops);
/* Ends every subscription; the object goes away when the writers have let go. */
void kl_live_client_close(struct kl_live_client *c);
/* Next frame in order, or NULL; one reference to the caller. On the loop. */
struct kl_frame *kl_live_client_take(struct kl_live_client *c);
/* Frames that were taken have been sent: room for more. bytes: of their JSON text (kl_frame_json), whatever went over the wire. On the loop. */
void kl_live_client_sent(struct kl_live_client *c, size_t bytes);
/* Puts a message of the protocol layer (auth_success, errors) into the same queue, in order. */
void kl_live_client_push(struct kl_live_client *c, struct kl_slice json);
/* It asked for more than it reads: answers had to be left out, so the connection must be closed (ready is called once more). On the loop. */
bool kl_live_client_overrun(struct kl_live_client *c);
void kl_live_client_error(struct kl_live_client *c, struct kl_slice subscription_id, const char *code, struct kl_slice message);

struct kl_live_subscribe {
    struct kl_slice id, sql;
    bool snapshot;        /* options were given (even {}): send rows first */
    int64_t from;         /* -1: not given */
    int64_t last_rows;    /* -1: not given */
    int64_t batch_size;   /* -1: default */
};
/* Answers come as frames (subscription_ack ... or error). Same id again on the connection replaces. On the loop. */
void kl_live_subscribe(struct kl_live_client *c, const struct kl_live_subscribe *s);
void kl_live_unsubscribe(struct kl_live_client *c, struct kl_slice id);

struct kl_live_stats {
    uint64_t subscriptions, clients, delivered, dropped_to_catch_up, resyncs;
    uint64_t subscriptions_peak; /* the most at a time since the start */
};
void kl_live_stats(struct kl_live *l, struct kl_live_stats *ret);

#endif
