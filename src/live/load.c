/* Loads: what a subscription reads from storage. Started by the writer, run in the query pool,
 * ended on the writer.
 *
 *   FULL       acknowledgement, then every matching row in batches
 *   RESUME     the same for rows since `from`, and what else the client must learn (deletions,
 *              rows outside the filter) as changes
 *   CATCH_UP   no acknowledgement: everything since the cursor as changes, in order of _seq
 *
 *     PREPARE --> ROWS (FULL) or MIXED (RESUME) or CHANGES (CATCH_UP) --> DONE
 *     DONE --call--> writer: kept changes, then LIVE
 *
 * A resuming client's cursor is the highest _seq it has seen, and it may break off anywhere. So whatever has a lower _seq than a
 * message has been sent before it: changes wait until the batch with the rows before them is out, and go out before the next row
 * does. Changes above every row follow the last batch, which is the usual case.
 *
 * The writer took the snapshot between two batches and keeps changes from that moment, so what is
 * read here and what follows are consecutive. A STREAM partition has no snapshot: rows up to the
 * boundary _seq are read instead; one that goes meanwhile is told of by its deletion.
 *
 * When the client's output is full the load pauses: it keeps its snapshot and its place, closes its
 * iterator and leaves the pool; the client's loop posts it again. From the moment kl__client_pause
 * says yes the load belongs to whoever wakes it and is not touched here.
 *
 * What a client can know at `from` are versions with _seq <= from. Hence, for a row whose newest
 * version or tombstone is later:
 *   - origin_seq > from: it knows nothing of it (with a primary key: unless the key was used
 *     before, which that tombstone tells)
 *   - a query without the whole key in its rows finds a row by the version that it has. It is known
 *     only when prev_seq <= from; with more versions in between the chain is open and the client
 *     gets a full snapshot instead ("resync"). So do STREAM tables, which keep no tombstones. */
#include "live/internal.h"

#include <stdlib.h>

#define ARENA_BYTES ((size_t)256 << 20)
#define ROWS_BYTES ((size_t)64 << 20)
#define BATCH_ROWS_MAX 100000
#define PENDING_MAX 256 /* changes that wait for the batch before them */

enum phase { PREPARE, ROWS, MIXED, CHANGES, DONE };
struct kl__load {
    struct kl_task task;
    struct kl_shard_call done;
    struct kl_live *live;
    struct kl__sub *sub;     /* counted */
    struct kl__query *query; /* counted */
    struct kl_snapshot *snap;
    enum kl__load_mode mode;
    enum phase phase;
    int64_t from, upto; /* known to the client; boundary of the snapshot */
    int64_t cursor;     /* of the phase: where it goes on */
    uint32_t batch_num;
    bool reack, key_reused;
    struct kl_arena arena;
    struct kl_buf rows, text, body; /* of the batch; of the message; of the change */
    struct kl_frame *pending[PENDING_MAX]; /* MIXED */
    size_t n_pending;
    enum kl_rc rc;
    struct kl_err err;
};

/* ---- reading rows ---- */

/* A scan that decodes only what the query needs, into a value for each column of the table. */
struct reader {
    struct kl_source *source;
    struct kl_val *slots, *vals;
    int16_t *cols;
    size_t n;
    struct kl_arena_mark mark;
    struct kl__row row;
    int64_t origin;
};

static void need(struct reader *r, bool *wanted, int col) {
    if (col >= 0 && !wanted[col]) {
        wanted[col] = true;
        r->cols[r->n++] = (int16_t)col;
    }
}

static enum kl_rc reader_open(
    struct kl__load *ld, struct reader *r, bool tombstones, bool newest_first) {
    const struct kl_plan_live *p = ld->query->plan->live;
    struct kl_table *t = ld->query->plan->table;
    kl_arena_reset(&ld->arena);
    *r = (struct reader){.cols = KL_ARENA_ARRAY(&ld->arena, int16_t, t->n_cols + 4),
        .slots = KL_ARENA_ARRAY(&ld->arena, struct kl_val, t->n_cols + 4),
        .vals = KL_ARENA_ARRAY(&ld->arena, struct kl_val, t->n_cols + 1)};
    bool *wanted = KL_ARENA_ARRAY(&ld->arena, bool, t->n_cols + 1);
    KL_ASSERT(r->cols != NULL && r->slots != NULL && r->vals != NULL &&
              wanted != NULL); /* a few KB of 256 MB */
    r->cols[0] = KL_COL_SEQ;
    r->cols[1] = KL_COL_DELETED;
    r->cols[2] = KL_COL_ORIGIN;
    r->cols[3] = KL_COL_PREV;
    r->n = 4;
    for (size_t i = 0; i < p->n_slots; i++) {
        need(r, wanted, p->slots[i]);
    }
    for (size_t i = 0; i < p->n_cols; i++) {
        need(r, wanted, p->cols[i]);
    }
    for (size_t i = 0; i < t->n_pk; i++) {
        need(r, wanted, t->pk[i]);
    }
    struct kl_scan scan = {.table = t,
        .user = kl__partition_user(t, &ld->sub->client->session),
        .snap = ld->snap,
        .slots = r->cols,
        .n_slots = r->n,
        .after_seq = ld->cursor,
        .upto_seq = ld->upto,
        .newest_first = newest_first,
        .tombstones = tombstones,
        .arena = &ld->arena};
    KL_TRY(kl_engine_scan(ld->live->engine, &scan, &r->source, &ld->err));
    r->mark = kl_arena_mark(&ld->arena);
    return KL_OK;
}

static enum kl_rc reader_next(struct kl__load *ld, struct reader *r) {
    kl_arena_rewind(&ld->arena, r->mark);
    KL_TRY(r->source->next(r->source, r->slots, &ld->err));
    for (size_t i = 4; i < r->n; i++) {
        r->vals[r->cols[i]] = r->slots[i];
    }
    r->row = (struct kl__row){
        .vals = r->vals, .seq = r->slots[0].i, .deleted = r->slots[1].b, .prev_seq = r->slots[3].i};
    r->origin = r->slots[2].i;
    return KL_OK;
}

static void reader_close(struct reader *r) {
    if (r->source != NULL) {
        r->source->close(r->source);
        r->source = NULL;
    }
}

static enum kl_rc matches(struct kl__load *ld, const struct reader *r, bool *ret) {
    return kl__query_test(ld->query, &ld->sub->client->session, &r->row, &ld->arena, ret, &ld->err);
}

/* The message in ld->text as a frame. */
static enum kl_rc make_frame(struct kl__load *ld, struct kl_frame **ret) {
    bool failed = ld->text.failed || ld->rows.failed || ld->body.failed;
    struct kl_frame *f = failed ? NULL : kl__frame_new(kl_buf_view(&ld->text));
    if (f == NULL) {
        return kl_fail(&ld->err, KL_E_TOO_LARGE, "a row is too large for one message");
    }
    *ret = f;
    return KL_OK;
}

static enum kl_rc push(struct kl__load *ld) {
    struct kl_frame *f;
    KL_TRY(make_frame(ld, &f));
    kl__client_append(ld->sub->client, ld->sub, f);
    return KL_OK;
}

/* ---- PREPARE ---- */

/* Is there a row whose version at `from` cannot be told from the newest one? */
static enum kl_rc chain_open(struct kl__load *ld, bool *ret) {
    struct reader r;
    *ret = false;
    enum kl_rc rc = reader_open(ld, &r, true, false);
    while (rc == KL_OK && !*ret) {
        rc = reader_next(ld, &r);
        *ret = rc == KL_OK && r.origin <= ld->from && r.row.prev_seq > ld->from;
    }
    reader_close(&r);
    return rc == KL_E_END ? KL_OK : rc;
}

static enum kl_rc needs_resync(struct kl__load *ld, bool *ret) {
    struct kl_table *t = ld->query->plan->table;
    struct kl_slice user = kl__partition_user(t, &ld->sub->client->session);
    *ret = true;
    /* A cursor above the boundary comes from another history of this data. */
    if (t->type == KL_TABLE_STREAM || ld->from > ld->upto ||
        ld->from < kl_engine_forgotten_seq(ld->live->engine, t, user)) {
        return KL_OK;
    }
    *ret = false;
    return ld->query->keyed ? KL_OK : chain_open(ld, ret);
}

/* The newest `last_rows` rows are those above a _seq. */
static enum kl_rc find_last_rows(struct kl__load *ld) {
    struct reader r;
    int64_t left = ld->sub->last_rows;
    enum kl_rc rc = KL_OK;
    if (left == 0) {
        ld->cursor = ld->upto;
        return KL_OK;
    }
    rc = reader_open(ld, &r, false, true);
    while (rc == KL_OK && left > 0) {
        bool match = false;
        rc = reader_next(ld, &r);
        if (rc == KL_OK) {
            rc = matches(ld, &r, &match);
        }
        if (rc == KL_OK && match && --left == 0) {
            ld->cursor = r.row.seq - 1;
        }
    }
    reader_close(&r);
    return rc == KL_E_END ? KL_OK : rc;
}

static enum kl_rc prepare(struct kl__load *ld) {
    bool resync = false;
    ld->cursor = ld->from;
    if (ld->mode != KL__LOAD_FULL) {
        KL_TRY(needs_resync(ld, &resync));
    } else if (ld->sub->last_rows >= 0 && ld->sub->from < 0) {
        KL_TRY(find_last_rows(ld));
    }
    if (resync) {
        ld->mode = KL__LOAD_FULL;
        ld->cursor = ld->from = 0;
        ld->live->resyncs++;
    }
    bool catch_up = ld->mode == KL__LOAD_CATCH_UP;
    if (!catch_up || ld->reack) {
        /* While rows are still to come the client knows no more than it did: it may resume from
         * what is said here. */
        struct kl__ack ack = {
            .query = ld->query, .loading = !catch_up, .resync = resync, .last_seq = ld->from};
        kl__sub_send_ack(ld->sub, &ack);
    }
    ld->phase = catch_up ? CHANGES : ld->mode == KL__LOAD_RESUME ? MIXED : ROWS;
    return KL_OK;
}

/* ---- ROWS ---- */

static enum kl_rc flush_batch(struct kl__load *ld, bool has_more, int64_t last_seq) {
    struct kl__batch b = {ld->batch_num++, has_more, last_seq};
    kl_buf_clear(&ld->text);
    kl__encode_batch(&ld->text, ld->sub->id, kl_buf_view(&ld->rows), &b);
    KL_TRY(push(ld));
    kl_buf_clear(&ld->rows);
    return KL_OK;
}

static enum kl_rc read_rows(struct kl__load *ld, struct reader *r) {
    int64_t most = KL_MIN(ld->sub->batch_size, BATCH_ROWS_MAX), n = 0, last = ld->cursor;
    kl_buf_clear(&ld->rows);
    for (;;) {
        bool match;
        enum kl_rc rc = reader_next(ld, r);
        if (rc == KL_E_END) {
            break;
        }
        KL_TRY(rc);
        KL_TRY(matches(ld, r, &match));
        if (!match) {
            continue;
        }
        if (n >= most || ld->rows.len >= KL__BATCH_BYTES) {
            KL_TRY(flush_batch(ld, true, last));
            ld->cursor = last;
            n = 0;
            if (kl__client_full(ld->sub->client) || kl__client_deaf(ld->sub->client, ld->sub)) {
                return KL_OK; /* to be continued after the cursor; this row is read again */
            }
        }
        if (n++ > 0) {
            kl_buf_putc(&ld->rows, ',');
        }
        kl__encode_row(&ld->rows, ld->query, &r->row);
        last = r->row.seq;
    }
    KL_TRY(flush_batch(ld, false, ld->upto));
    ld->phase = DONE;
    return KL_OK;
}

/* ---- CHANGES ---- */

static enum kl_rc key_lives(struct kl__load *ld, const struct reader *r, bool *ret) {
    struct kl_table *t = ld->query->plan->table;
    struct kl_val pk[KL_PK_COLS_MAX];
    KL_ASSERT(t->n_pk <= KL_LEN(pk));
    for (size_t i = 0; i < t->n_pk; i++) {
        pk[i] = r->vals[t->pk[i]];
    }
    return kl_engine_key_live(ld->live->engine, t, kl__partition_user(t, &ld->sub->client->session),
        ld->snap, pk, ret, &ld->err);
}

enum told { NOTHING, INSERT, UPDATE, DELETE_ROW, DELETE_KEY };

static enum kl_rc tell_resumed(
    struct kl__load *ld, const struct reader *r, bool match, enum told *ret) {
    bool known = r->origin <= ld->from, lives = false;
    *ret = NOTHING;
    if (r->row.deleted) {
        if (known && ld->query->keyed) {
            KL_TRY(key_lives(ld, r, &lives));
            ld->key_reused |= lives;
        }
        *ret = known && !lives ? DELETE_ROW : NOTHING;
    } else if (match) {
        *ret = known && !ld->query->keyed ? UPDATE : NOTHING; /* the others come in the batches */
    } else if (known || (ld->query->keyed && ld->key_reused)) {
        /* a reused key: its tombstone was skipped because the key lives, so it is told here */
        *ret = DELETE_KEY;
    }
    return KL_OK;
}

static enum told tell_caught_up(const struct kl__load *ld, const struct reader *r, bool match) {
    bool known = r->origin <= ld->from;
    if (r->row.deleted) {
        return known ? DELETE_ROW : NOTHING;
    }
    return match ? (known ? UPDATE : INSERT) : known ? DELETE_KEY : NOTHING;
}

/* The change as a message in ld->text. */
static void encode_told(struct kl__load *ld, const struct reader *r, enum told told) {
    struct kl__row old = {.seq = r->row.prev_seq};
    kl_buf_clear(&ld->body);
    switch (told) {
    case NOTHING:
        break;
    case INSERT:
        kl__encode_insert(&ld->body, ld->query, &r->row);
        break;
    case UPDATE:
        kl__encode_update(&ld->body, ld->query, &r->row, &old);
        break;
    case DELETE_ROW:
        kl__encode_delete(&ld->body, ld->query, &r->row, false);
        break;
    case DELETE_KEY:
        kl__encode_delete(&ld->body, ld->query, &r->row, true);
        break;
    }
    kl_buf_clear(&ld->text);
    kl__encode_change(&ld->text, ld->sub->id, kl_buf_view(&ld->body));
}

static enum kl_rc read_changes(struct kl__load *ld, struct reader *r) {
    for (uint32_t i = 1;; i++) {
        bool match = false;
        enum told told;
        enum kl_rc rc = reader_next(ld, r);
        if (rc == KL_E_END) {
            ld->phase = DONE;
            return KL_OK;
        }
        KL_TRY(rc);
        if (!r->row.deleted) {
            KL_TRY(matches(ld, r, &match));
        }
        told = tell_caught_up(ld, r, match);
        if (told != NOTHING) {
            encode_told(ld, r, told);
            KL_TRY(push(ld));
        }
        ld->cursor = r->row.seq;
        if ((told != NOTHING && kl__client_full(ld->sub->client)) ||
            (i % 256 == 0 && kl__client_deaf(ld->sub->client, ld->sub))) {
            return KL_OK;
        }
    }
}

/* ---- MIXED: rows in batches, the rest as changes, in order of _seq as far as a cursor can tell ---- */

/* A version that replaces one that the client may have, in a query without key: told as an update
 * later. */
static bool replaces_known(const struct kl__load *ld, const struct reader *r) {
    return ld->mode == KL__LOAD_RESUME && !ld->query->keyed && r->origin <= ld->from;
}

/* What has been read so far goes out: the batch, if it has rows, then the changes above them. */
static enum kl_rc flush_mixed(struct kl__load *ld, size_t n_rows, int64_t last_row) {
    if (n_rows > 0) {
        KL_TRY(flush_batch(ld, true, last_row));
    }
    for (size_t i = 0; i < ld->n_pending; i++) {
        kl__client_append(ld->sub->client, ld->sub, ld->pending[i]);
    }
    ld->n_pending = 0;
    return KL_OK;
}

static bool must_pause(const struct kl__load *ld) {
    return kl__client_full(ld->sub->client) || kl__client_deaf(ld->sub->client, ld->sub);
}

static enum kl_rc finish_mixed(struct kl__load *ld, int64_t last_row) {
    KL_TRY(flush_batch(ld, false, ld->n_pending == 0 ? ld->upto : last_row));
    ld->phase = DONE;
    return flush_mixed(ld, 0, 0);
}

static enum kl_rc read_mixed(struct kl__load *ld, struct reader *r) {
    size_t most = (size_t)KL_MIN(ld->sub->batch_size, BATCH_ROWS_MAX), n = 0;
    int64_t last_row = ld->cursor;
    kl_buf_clear(&ld->rows);
    for (;;) {
        bool match = false;
        enum told told;
        enum kl_rc rc = reader_next(ld, r);
        if (rc == KL_E_END) {
            return finish_mixed(ld, last_row);
        }
        KL_TRY(rc);
        if (!r->row.deleted) {
            KL_TRY(matches(ld, r, &match));
        }
        bool row = match && !replaces_known(ld, r);
        bool full = row ? ld->n_pending > 0 || n >= most || ld->rows.len >= KL__BATCH_BYTES : ld->n_pending == PENDING_MAX;
        if (full) {
            KL_TRY(flush_mixed(ld, n, last_row));
            n = 0;
            if (must_pause(ld)) {
                return KL_OK; /* to be continued after the cursor: this row is read again */
            }
        }
        if (row) {
            kl_buf_puts(&ld->rows, n++ > 0 ? "," : "");
            kl__encode_row(&ld->rows, ld->query, &r->row);
            last_row = r->row.seq;
        } else {
            KL_TRY(tell_resumed(ld, r, match, &told));
            if (told != NOTHING) {
                encode_told(ld, r, told);
                KL_TRY(make_frame(ld, &ld->pending[ld->n_pending]));
                ld->n_pending++;
            }
        }
        ld->cursor = r->row.seq;
    }
}

/* ---- running ---- */

static enum kl_rc step(struct kl__load *ld) {
    struct reader r;
    if (ld->phase == PREPARE) {
        return prepare(ld);
    }
    enum kl_rc rc = reader_open(ld, &r, ld->phase != ROWS, false);
    if (rc == KL_OK) {
        rc = ld->phase == ROWS ? read_rows(ld, &r) : ld->phase == MIXED ? read_mixed(ld, &r) : read_changes(ld, &r);
    }
    reader_close(&r);
    return rc;
}

static void run_done(struct kl_shard_call *call);

static void finish(struct kl__load *ld) {
    kl_snapshot_release(ld->live->store, ld->snap);
    ld->snap = NULL;
    ld->done.shard = ld->sub->shard;
    ld->done.run = run_done;
    kl_engine_call_always(ld->live->engine, &ld->done);
}

static void run_load(struct kl_task *t) {
    struct kl__load *ld = KL_CONTAINER_OF(t, struct kl__load, task);
    while (ld->phase != DONE && ld->rc == KL_OK) {
        if (kl__client_deaf(ld->sub->client, ld->sub)) {
            break;
        }
        if (kl__client_pause(ld->sub->client, ld->sub)) {
            return;
        }
        ld->rc = step(ld);
    }
    finish(ld);
}

/* The load is over: what was kept meanwhile follows. On the writer. */
static void run_done(struct kl_shard_call *call) {
    struct kl__load *ld = KL_CONTAINER_OF(call, struct kl__load, done);
    struct kl__sub *s = ld->sub;
    if (s->state != KL__ENDED) {
        s->load = NULL;
        s->cursor = ld->upto;
        if (ld->rc != KL_OK) {
            kl__sub_failed(s, &ld->err);
        } else if (s->kept_lost || s->reack) {
            kl__sub_catch_up(s);
        } else {
            for (struct kl__kept *k = s->kept; k != NULL; k = k->next) {
                kl_frame_ref(k->frame);
                kl__client_append(s->client, s, k->frame);
                s->changes++;
                s->client->live->delivered++;
            }
            kl__sub_drop_kept(s);
            s->state = KL__LIVE;
        }
    }
    kl__load_free(ld);
}

enum kl_rc kl__load_start(
    struct kl__sub *s, enum kl__load_mode mode, int64_t from, struct kl_err *err) {
    struct kl_live *l = s->client->live;
    struct kl__load *ld = kl_xcalloc(1, sizeof(*ld));
    KL_ASSERT(s->load == NULL);
    kl__sub_drop_kept(s);
    kl__sub_ref(s);
    kl__query_ref(s->query);
    ld->task.run = run_load;
    ld->live = l;
    ld->sub = s;
    ld->query = s->query;
    ld->mode = mode;
    ld->from = from;
    ld->reack = s->reack;
    ld->upto = kl_snowflake_next(kl_engine_ids(l->engine));
    ld->snap = s->query->plan->table->type != KL_TABLE_STREAM ? kl_snapshot_take(l->store) : NULL;
    kl_err_clear(&ld->err);
    kl_arena_init(&ld->arena, ARENA_BYTES);
    kl_buf_init(&ld->rows, ROWS_BYTES);
    kl_buf_init(&ld->text, ROWS_BYTES + 4096);
    kl_buf_init(&ld->body, ROWS_BYTES);
    s->reack = s->kept_lost = false;
    s->load = ld;
    s->state = KL__LOADING;
    enum kl_rc rc = kl_engine_pool_post(l->engine, &ld->task);
    if (rc != KL_OK) {
        s->load = NULL;
        kl__load_free(ld);
        return kl_fail(err, rc, "Subscription registration failed: the server is busy, try again");
    }
    return KL_OK;
}

void kl__load_continue(struct kl__load *ld) {
    enum kl_rc rc = kl_engine_pool_post(ld->live->engine, &ld->task);
    if (rc != KL_OK) {
        ld->rc = kl_fail(
            &ld->err, rc, "the server is too busy to read on, subscribe again from the last _seq");
        finish(ld);
    }
}

void kl__load_free(struct kl__load *ld) {
    kl_snapshot_release(ld->live->store, ld->snap);
    kl_arena_deinit(&ld->arena);
    kl_buf_deinit(&ld->rows);
    kl_buf_deinit(&ld->text);
    kl_buf_deinit(&ld->body);
    for (size_t i = 0; i < ld->n_pending; i++) {
        kl_frame_unref(ld->pending[i]);
    }
    kl__query_unref(ld->query);
    kl__sub_unref(ld->sub);
    free(ld);
}
