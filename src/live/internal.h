/* Shared inside live/ only: subscriptions, the registries of the writers, loads, and how the files
 * of this folder call each other.
 *
 *   live.c      the whole, the listener
 *   client.c    a connection's output queue (any thread)
 *   frame.c     a message's bytes
 *   query.c     a bound query: filter, projection
 *   encode.c    JSON texts
 *   registry.c  partitions and the equality index (writer)
 *   notify.c    from a change to frames (writer)
 *   sub.c       subscribe, register, deliver, end
 *   load.c      snapshot, resume and catch-up reads (query pool)
 *   schema.c    dropped and altered tables (writer)
 *   rows.c      system.live, KILL LIVE QUERY, changed users
 *
 * Locks: kl_live.lock before kl_live_client.lock; kl_live.plans_lock alone. */
#ifndef KL_LIVE_INTERNAL_H
#define KL_LIVE_INTERNAL_H

#include "live/live.h"

#define KL__SUB_ID_MAX 256
#define KL__QUERY_MAX 65536 /* bytes of one subscription's SQL: it is bound on the loop */
#define KL__BATCH_BYTES                                                                            \
    (512 << 10) /* a snapshot batch ends here even when it has fewer rows than asked for */
#define KL__PLANS_MAX 1024 /* plans kept for queries of the same text */

/* ---- a bound query (query.c): immutable, counted ---- */
struct kl__query {
    _Atomic uint32_t refs;
    struct kl_plan *plan;      /* counted */
    const struct kl_val *vals; /* the statement's values, in this allocation */
    size_t n_vals;
    int64_t now_us; /* NOW() of the filter: one instant for the life of the query */
    bool keyed;     /* rows are told apart by their primary key; else by their chain of _seq */
    bool indexed;   /* the filter demands index_col = a value with this hash */
    uint16_t index_col;
    uint64_t index_hash;
};
enum kl_rc kl__query_bind(struct kl_live *l, const struct kl_session *session, struct kl_slice sql,
    struct kl__query **ret, struct kl_err *err);
void kl__query_ref(struct kl__query *q);
void kl__query_unref(struct kl__query *q); /* accepts NULL */
/* Whether columns of a type can be looked up by hash. */
bool kl__indexable(uint8_t type);

/* One version of a row: a value for each column of the query's table. */
struct kl__row {
    const struct kl_val *vals;
    int64_t seq, prev_seq;
    bool deleted;
};
enum kl_rc kl__query_test(const struct kl__query *q, const struct kl_session *session,
    const struct kl__row *row, struct kl_arena *arena, bool *ret, struct kl_err *err);

/* ---- JSON texts (encode.c) ---- */
struct kl__ack {
    const struct kl__query *query;
    bool loading, resync;
    int64_t last_seq; /* 0: null */
};
void kl__encode_ack(struct kl_buf *out, struct kl_slice id, const struct kl__ack *ack);
void kl__encode_error(
    struct kl_buf *out, struct kl_slice id, const char *code, struct kl_slice message);
void kl__encode_row(struct kl_buf *out, const struct kl__query *q, const struct kl__row *row);
struct kl__batch {
    uint32_t num;
    bool has_more;
    int64_t last_seq; /* 0: null */
};
void kl__encode_batch(
    struct kl_buf *out, struct kl_slice id, struct kl_slice rows, const struct kl__batch *b);
/* The part of a change message after the subscription id. */
void kl__encode_insert(struct kl_buf *out, const struct kl__query *q, const struct kl__row *row);
/* old->vals NULL: the old values are not known any more, only which version it was. */
void kl__encode_update(struct kl_buf *out, const struct kl__query *q, const struct kl__row *row,
    const struct kl__row *old);
/* gone: values of the row that goes, _seq and _prev_seq of its going. key_only: the values are not
 * those that the client had. */
void kl__encode_delete(
    struct kl_buf *out, const struct kl__query *q, const struct kl__row *gone, bool key_only);
void kl__encode_change(struct kl_buf *out, struct kl_slice id, struct kl_slice body);
const char *kl__error_code(enum kl_rc rc);

struct kl_frame *kl__frame_new(struct kl_slice json); /* NULL without memory for it */

/* ---- connections (client.c) ---- */
struct kl__sub;
struct kl__queued;
struct kl_live_client {
    _Atomic uint32_t refs;
    struct kl_live *live;
    struct kl_loop *loop;
    struct kl_live_client_ops ops;
    struct kl_session session; /* slices in this allocation */
    uint64_t id;
    struct kl__sub *subs;                /* loop */
    uint32_t n_subs;                     /* loop */
    _Atomic int64_t active_us;           /* last seen reading or asking */
    struct kl_live_client *next, **link; /* guarded by live->lock */
    pthread_mutex_t lock;
    struct kl__queued *head, *tail; /* guarded by lock, as all below */
    size_t bytes;                   /* queued, and taken but not sent */
    size_t answers;                 /* of these, answers to requests */
    struct kl_task wake;
    bool woken, closed, stalled, overrun;
};
void kl__client_ref(struct kl_live_client *c);
void kl__client_unref(struct kl_live_client *c);
/* Queue regardless of the bound, for a subscription that is not over. Take the reference. answer:
 * to something that the client asked for; too much unread of that cuts it off. append: from a load,
 * which pauses by itself, and what a load kept. */
void kl__client_answer(struct kl_live_client *c, struct kl__sub *sub, struct kl_frame *f);
void kl__client_append(struct kl_live_client *c, struct kl__sub *sub, struct kl_frame *f);
/* Queues unless the client is full; then false, and the subscription is woken by kl__sub_resume
 * when there is room. Does not take the reference. */
bool kl__client_offer(struct kl_live_client *c, struct kl__sub *sub, struct kl_frame *f);
/* A load asks whether to pause: true, and it is woken later; it belongs to the waker from this
 * moment. */
bool kl__client_pause(struct kl_live_client *c, struct kl__sub *sub);
bool kl__client_full(struct kl_live_client *c);
/* Nobody listens to the subscription any more. */
bool kl__client_deaf(struct kl_live_client *c, const struct kl__sub *sub);
/* Nothing more is queued for the subscription after this. */
void kl__client_mute(struct kl_live_client *c, struct kl__sub *sub);
/* The same for good, on the writer. Returns whether a paused load of it was waiting: the caller
 * owns it now. */
bool kl__client_silence(struct kl_live_client *c, struct kl__sub *sub);

/* ---- subscriptions (sub.c) ---- */
enum kl__state { KL__BOUND, KL__LOADING, KL__LIVE, KL__CATCH_UP, KL__ENDED };
enum kl__stall { KL__RUNNING, KL__LOAD_PAUSED, KL__WANTS_CATCH_UP };
struct kl__load;
struct kl__kept {
    struct kl__kept *next;
    struct kl_frame *frame;
};
struct kl__part;
struct kl__sub {
    _Atomic uint32_t refs;
    struct kl_live_client *client;  /* counted */
    struct kl__query *query;        /* writer once it is registered */
    struct kl_slice id, sql, table; /* in this allocation; table: qualified name */
    uint32_t table_id;
    uint16_t shard;
    bool snapshot;
    int64_t from, last_rows, batch_size, created_us;
    struct kl__sub *client_next;          /* loop */
    struct kl__sub *all_next, **all_link; /* guarded by live->lock */
    /* writer */
    struct kl__part *part;
    struct kl__sub *part_next, **part_link;
    struct kl__load *load;
    struct kl__kept *kept, **kept_end;
    size_t kept_bytes;
    int64_t cursor; /* CATCH_UP: the client knows everything up to here */
    bool kept_lost; /* changes since the load's boundary were not kept */
    bool reack;     /* the schema changed and the client does not know yet */
    /* anyone */
    _Atomic int state; /* enum kl__state; written by the writer */
    _Atomic int64_t updated_us;
    _Atomic uint64_t changes;
    _Atomic bool ending; /* the end call was posted */
    bool counted;        /* against the user's limit; guarded by live->lock */
    /* guarded by client->lock */
    bool muted;
    uint8_t stall; /* enum kl__stall */
    struct kl_shard_call end_call;
    const char *end_code; /* NULL: silently */
    const char *end_text;
    struct kl_task gone;
};
void kl__sub_ref(struct kl__sub *s);
void kl__sub_unref(struct kl__sub *s);
void kl__sub_free(
    struct kl__sub *s); /* regardless of references: when everything else has stopped */
/* Any thread: asks the writer to end it. code NULL: without telling. Static strings. */
void kl__sub_end(struct kl__sub *s, const char *code, const char *text);
/* On the writer: at once. */
void kl__sub_ended(struct kl__sub *s, const char *code, struct kl_slice text);
void kl__sub_failed(struct kl__sub *s, const struct kl_err *err);
/* On the loop: there is room again for a subscription that stalled. */
void kl__sub_resume(struct kl__sub *s, enum kl__stall how);
/* On the writer: one more change for the client. Does not take the reference. */
void kl__sub_deliver(struct kl__sub *s, struct kl_frame *f, int64_t seq);
/* On the writer: from the cursor, now. */
void kl__sub_catch_up(struct kl__sub *s);
void kl__sub_drop_kept(struct kl__sub *s);
void kl__sub_send_ack(struct kl__sub *s, const struct kl__ack *ack);

/* ---- loads (load.c) ---- */
enum kl__load_mode { KL__LOAD_FULL, KL__LOAD_RESUME, KL__LOAD_CATCH_UP };
/* On the writer between two batches: takes the snapshot and hands it to the query pool. */
enum kl_rc kl__load_start(
    struct kl__sub *s, enum kl__load_mode mode, int64_t from, struct kl_err *err);
void kl__load_free(struct kl__load *ld);
/* A paused load goes on. On the loop. */
void kl__load_continue(struct kl__load *ld);

/* ---- registry (registry.c) ---- */
struct kl__eq_col {
    uint16_t col;
    uint32_t count;
};
struct kl__bucket {
    struct kl__sub *subs;
};
/* Subscriptions of one partition. */
struct kl__part {
    struct kl__bucket rest; /* not indexed */
    uint32_t table_id, n_subs;
    struct kl__eq_col *eq;
    size_t n_eq, cap_eq;
    struct kl_slice user; /* in this allocation */
};
struct kl__made {    /* a frame made for the change at hand */
    uint64_t change; /* number of the change; older: empty */
    const struct kl_plan *plan;
    struct kl_slice id; /* of a subscription */
    int kind;
    struct kl_frame *frame;
};
struct kl__registry {
    struct kl_live *live;
    struct kl_map map; /* 'p' table user -> kl__part; 'e' table col hash user -> kl__bucket */
    uint32_t n_subs;
    /* scratch of kl__committed */
    struct kl_arena arena;
    struct kl_buf body, text;
    const struct kl_plan *body_plan;
    int body_kind;
    uint64_t change_no;
    struct kl__made *made; /* open addressing */
    size_t n_made, cap_made;
    struct kl__sub **hits;
    size_t n_hits, cap_hits;
    struct kl_val *slots; /* of one filter */
    size_t cap_slots;
};
void kl__registry_init(struct kl__registry *r, struct kl_live *l);
void kl__registry_deinit(struct kl__registry *r);
struct kl__part *kl__registry_part(
    struct kl__registry *r, uint32_t table, struct kl_slice user); /* NULL */
struct kl__bucket *kl__registry_bucket(
    struct kl__registry *r, const struct kl__part *p, uint16_t col, uint64_t hash); /* NULL */
void kl__registry_add(struct kl__registry *r, struct kl__sub *s, struct kl_slice user);
void kl__registry_remove(struct kl__registry *r, struct kl__sub *s);
/* Every subscription of a table on this writer, each with a reference; free() the array. */
struct kl__sub **kl__registry_of_table(struct kl__registry *r, uint32_t table, size_t *ret_n);

struct kl_live {
    struct kl_live_options o;
    struct kl_engine *engine;
    struct kl_store *store;
    struct kl__registry *_Atomic writers; /* one each, set by kl_live_attach */
    unsigned n_writers;
    _Atomic uint64_t next_client;
    pthread_mutex_t lock;
    struct kl__sub *subs;           /* guarded by lock: registered, not ended */
    struct kl_live_client *clients; /* guarded by lock */
    struct kl_map per_user;         /* guarded by lock: user -> number of subscriptions */
    pthread_mutex_t plans_lock;
    struct kl_map plans;    /* guarded by plans_lock: role, namespace, text -> kl_plan */
    uint64_t plans_version; /* guarded by plans_lock: catalog version that they hold for */
    _Atomic uint64_t n_subs, n_clients, delivered, to_catch_up, resyncs;
    _Atomic uint64_t n_subs_peak; /* raised under lock */
};
void kl__plans_clear(struct kl_live *l); /* query.c */
struct kl__registry *kl__registry_of(struct kl_live *l, uint16_t shard);
struct kl_slice kl__partition_user(const struct kl_table *t, const struct kl_session *s);

/* ---- listener ---- */
void kl__committed(
    void *ctx, unsigned writer, const struct kl_change *changes, size_t n); /* notify.c */
void kl__table_changed(
    void *ctx, unsigned writer, uint32_t table_id, struct kl_table *table); /* schema.c */
/* Binds the query again for the newest schema; false: it ended. On the writer. */
bool kl__sub_rebind(struct kl__registry *r, struct kl__sub *s); /* schema.c */
enum kl_rc kl__live_rows(void *ctx, enum kl_rc (*visit)(void *vctx, const struct kl_val *vals),
    void *vctx, struct kl_err *err); /* rows.c */
enum kl_rc kl__live_kill(void *ctx, struct kl_slice live_id, struct kl_err *err);
void kl__user_changed(void *ctx, struct kl_slice user);

#endif
