/* Records of the audit log in the meta family.
 *
 * Key: KL_META_AUDIT u8 | microseconds since 1970 u64 be | number u32 be.
 * Value: version u8 (1) | flags u8 (1 details, 2 ip, 4 subject) | s actor | s action | s target | [s details] | [s ip] | [s subject]
 *        with s: varint length, bytes.
 *
 * A change of the catalog or of a user carries its record in its own batch: there is no change without a record and no record without
 * the change. What changes nothing (EXECUTE AS USER, SHOW ...) is posted to the metadata writer and shares a batch with others.
 *
 * Of posted entries that repeat within a minute (same actor, action, target, details) the first is recorded, and the next one after that minute
 * says how many there were.
 *
 * Kept: 90 days and at most 100,000 entries. The sweep of tombstones removes what is beyond, as a range of keys. */
#include "engine/audit.h"
#include "engine/internal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define TARGET "audit"
#define FORMAT 1
#define KEY_BYTES 13
#define KEEP_DAYS 90
#define KEEP_ENTRIES 100000

enum { HAS_DETAILS = 1, HAS_IP = 2, HAS_SUBJECT = 4 };

static _Atomic uint32_t next_number; /* any thread */

struct posted {
    struct kl__cmd cmd;
    struct kl_arena arena;
    struct kl__audit_entry entry;
};

/* ---- records ---- */

static struct kl_slice make_key(int64_t us, uint32_t number, char key[KEY_BYTES]) {
    uint64_t time = __builtin_bswap64((uint64_t)us);
    uint32_t n = __builtin_bswap32(number);
    key[0] = KL_META_AUDIT;
    memcpy(key + 1, &time, 8);
    memcpy(key + 9, &n, 4);
    return kl_slice(key, KEY_BYTES);
}

/* Not in the middle of a character. */
static struct kl_slice cut(struct kl_slice s) {
    if (s.len > KL__AUDIT_TEXT_MAX) {
        s.len = KL__AUDIT_TEXT_MAX;
        while (s.len > 0 && ((unsigned char)s.ptr[s.len] & 0xc0) == 0x80) {
            s.len--;
        }
    }
    return s;
}

static void put_optional(struct kl_buf *out, struct kl_slice s) {
    if (s.len > 0) {
        kl_buf_lstr(out, cut(s));
    }
}

void kl__audit(struct kl_batch *b, const struct kl__audit_entry *e) {
    char key[KEY_BYTES];
    struct kl_buf rec = {0};
    kl_buf_u8(&rec, FORMAT);
    kl_buf_u8(&rec, (uint8_t)((e->details.len ? HAS_DETAILS : 0) | (e->ip.len ? HAS_IP : 0) | (e->subject.len ? HAS_SUBJECT : 0)));
    kl_buf_lstr(&rec, cut(e->actor));
    kl_buf_lstr(&rec, cut(e->action));
    kl_buf_lstr(&rec, cut(e->target));
    put_optional(&rec, e->details);
    put_optional(&rec, e->ip);
    put_optional(&rec, e->subject);
    KL_ASSERT(!rec.failed);
    int64_t us = e->us != 0 ? e->us : kl_clock_wall_us();
    kl_batch_put(b, KL_CF_META, make_key(us, atomic_fetch_add(&next_number, 1), key), kl_buf_view(&rec));
    kl_buf_deinit(&rec);
}

static struct kl_slice get_optional(struct kl_reader *r, bool there) { return there ? kl_read_lstr(r) : KL_SLICE_NONE; }

static enum kl_rc decode(struct kl_slice key, struct kl_slice rec, struct kl__audit_entry *ret, struct kl_err *err) {
    struct kl_reader k, v;
    kl_reader_init(&k, kl_slice_from(key, 1));
    kl_reader_init(&v, rec);
    ret->us = (int64_t)kl_read_be64(&k);
    ret->number = kl_read_be32(&k);
    uint8_t format = kl_read_u8(&v), flags = kl_read_u8(&v);
    ret->actor = kl_read_lstr(&v);
    ret->action = kl_read_lstr(&v);
    ret->target = kl_read_lstr(&v);
    ret->details = get_optional(&v, flags & HAS_DETAILS);
    ret->ip = get_optional(&v, flags & HAS_IP);
    ret->subject = get_optional(&v, flags & HAS_SUBJECT);
    if (k.failed || v.failed || k.ptr != k.end || v.ptr != v.end || format != FORMAT) {
        return kl_fail(err, KL_E_CORRUPT, "a record of the audit log is damaged");
    }
    return KL_OK;
}

struct kl_slice kl__audit_id(const struct kl__audit_entry *e, char out[KL__AUDIT_ID_BYTES]) {
    /* Microseconds within the millisecond make the number's part unique also when it starts over with the process. */
    int n = snprintf(out, KL__AUDIT_ID_BYTES, "audit_%lld_%03x%08x", (long long)(e->us / 1000), (unsigned)(e->us % 1000), e->number);
    return kl_slice(out, (size_t)n);
}

enum kl_rc kl__audit_each(struct kl_engine *e, kl__audit_visit *visit, void *ctx, struct kl_err *err) {
    char prefix[1] = {KL_META_AUDIT};
    struct kl_iter_options o = {KL_CF_META, kl_slice(prefix, 1), NULL};
    struct kl_iter *it = kl_iter_new(e->o.store, &o);
    enum kl_rc rc = KL_OK;
    for (kl_iter_seek_first(it); rc == KL_OK && kl_iter_valid(it); kl_iter_next(it)) {
        struct kl__audit_entry entry;
        rc = decode(kl_iter_key(it), kl_iter_value(it), &entry, err);
        if (rc == KL_OK) {
            rc = visit(ctx, &entry, err);
        }
    }
    if (rc == KL_OK) {
        rc = kl_iter_status(it, err);
    }
    kl_iter_free(it);
    return rc;
}

/* ---- records on their own ---- */

static enum kl_rc apply_posted(struct kl__cmd *c, struct kl__writer *w, struct kl__shard *s) {
    (void)w;
    kl__audit(s->batch, &KL_CONTAINER_OF(c, struct posted, cmd)->entry);
    return KL_OK;
}

static void free_posted(struct posted *p) {
    kl_arena_deinit(&p->arena);
    free(p);
}

static void finish_posted(struct kl_task *t) {
    struct kl__cmd *c = KL_CONTAINER_OF(t, struct kl__cmd, task);
    struct posted *p = KL_CONTAINER_OF(c, struct posted, cmd);
    if (c->rc != KL_OK) {
        kl_log_error(TARGET, "%.*s was not recorded: %s", KL_FMT(p->entry.action), c->err.msg);
    }
    free_posted(p);
}

/* ---- repeats ---- */

/* A service that runs every statement as one of its users must not write a record for each: the first of a minute stands for the others, and the next
 * one says how many there were. Entries may push each other out; then there is a record more. */
#define REPEAT_US ((int64_t)60 * 1000000)
#define SWEEP_AFTER 50000 /* records since the last sweep */

static struct {
    pthread_mutex_t lock; /* a leaf: nothing is taken while it is held */
    struct {
        uint64_t hash;
        int64_t us;
        uint32_t more;
    } seen[4096];         /* guarded by lock */
    uint32_t posted;      /* guarded by lock: since the last sweep */
} recent = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t hash_of(const struct kl_engine *e, const struct kl__audit_entry *entry) {
    const struct kl_slice texts[] = {entry->actor, entry->action, entry->target, entry->details};
    uint64_t h = (uint64_t)(uintptr_t)e;
    for (size_t i = 0; i < KL_LEN(texts); i++) {
        h = (h ^ kl_slice_hash(texts[i])) * 0x9e3779b97f4a7c15ull;
    }
    return h;
}

/* Whether the entry is to be recorded; *ret_more: how many like it were not. */
static bool is_due(struct kl_engine *e, const struct kl__audit_entry *entry, int64_t now_us, uint32_t *ret_more, bool *ret_sweep) {
    uint64_t h = hash_of(e, entry);
    pthread_mutex_lock(&recent.lock);
    size_t i = (h >> 32) % KL_LEN(recent.seen);
    bool same = recent.seen[i].hash == h;
    bool due = !same || now_us - recent.seen[i].us >= REPEAT_US || now_us < recent.seen[i].us;
    *ret_more = same ? recent.seen[i].more : 0;
    recent.seen[i].more = due ? 0 : recent.seen[i].more + 1;
    if (due) {
        recent.seen[i].hash = h;
        recent.seen[i].us = now_us;
        recent.posted++;
    }
    *ret_sweep = recent.posted >= SWEEP_AFTER;
    recent.posted = *ret_sweep ? 0 : recent.posted;
    pthread_mutex_unlock(&recent.lock);
    return due;
}

void kl__audit_post(struct kl_engine *e, const struct kl__audit_entry *entry) {
    char counted[128];
    uint32_t more;
    bool sweep;
    if (!is_due(e, entry, kl_clock_wall_us(), &more, &sweep)) {
        return;
    }
    if (sweep) {
        kl__retention_sweep(e);
    }
    struct kl__audit_entry with_count = *entry;
    if (more > 0) {
        int n = snprintf(counted, sizeof(counted), "%.*s (%u more since the last entry)", (int)KL_MIN(entry->details.len, (size_t)60),
            entry->details.ptr ? entry->details.ptr : "", more);
        with_count.details = kl_slice(counted, (size_t)n);
        entry = &with_count;
    }
    struct posted *p = kl_xcalloc(1, sizeof(*p));
    kl_arena_init(&p->arena, 16 * KL__AUDIT_TEXT_MAX);
    p->entry = *entry;
    p->entry.us = kl_clock_wall_us();
    struct kl_slice *texts[] = {&p->entry.actor, &p->entry.action, &p->entry.target, &p->entry.details, &p->entry.ip, &p->entry.subject};
    for (size_t i = 0; i < KL_LEN(texts); i++) {
        if (texts[i]->ptr != NULL) {
            *texts[i] = kl_arena_dup(&p->arena, cut(*texts[i]));
        }
    }
    p->cmd = (struct kl__cmd){.engine = e, .shard = KL_SHARD_META, .apply = apply_posted, .finish = finish_posted};
    if (kl__cmd_post(&p->cmd) != KL_OK) {
        kl_log_error(TARGET, "%.*s was not recorded: the server is overloaded or stopping", KL_FMT(entry->action));
        free_posted(p);
    }
}

/* ---- what is recorded of a statement ---- */

static const char *action_of(enum kl_plan_kind k) {
    switch (k) {
    case KL_PLAN_CREATE_NAMESPACE:
        return "CREATE_NAMESPACE";
    case KL_PLAN_ALTER_NAMESPACE:
        return "ALTER_NAMESPACE";
    case KL_PLAN_DROP_NAMESPACE:
        return "DROP_NAMESPACE";
    case KL_PLAN_CREATE_TABLE:
    case KL_PLAN_CREATE_TABLE_AS:
        return "CREATE_TABLE";
    case KL_PLAN_ALTER_TABLE:
    case KL_PLAN_COMMENT:
        return "ALTER_TABLE";
    case KL_PLAN_DROP_TABLE:
        return "DROP_TABLE";
    case KL_PLAN_CREATE_VIEW:
        return "CREATE_VIEW";
    case KL_PLAN_DROP_VIEW:
        return "DROP_VIEW";
    case KL_PLAN_CREATE_INDEX:
        return "CREATE_INDEX";
    case KL_PLAN_DROP_INDEX:
        return "DROP_INDEX";
    case KL_PLAN_CREATE_STORAGE:
        return "CREATE_STORAGE";
    case KL_PLAN_ALTER_STORAGE:
        return "ALTER_STORAGE";
    case KL_PLAN_DROP_STORAGE:
        return "DROP_STORAGE";
    case KL_PLAN_CREATE_USER:
        return "CREATE_USER";
    case KL_PLAN_ALTER_USER:
        return "ALTER_USER";
    case KL_PLAN_DROP_USER:
        return "DROP_USER";
    case KL_PLAN_KILL_LIVE:
        return "KILL_LIVE_QUERY";
    case KL_PLAN_SHOW_STATS:
        return "SHOW";
    case KL_PLAN_DESCRIBE:
    case KL_PLAN_DESCRIBE_HISTORY:
        return "DESCRIBE";
    case KL_PLAN_SUBSCRIBE:
        return "SUBSCRIBE";
    default:
        return NULL;
    }
}

static struct kl_slice print(struct kl_arena *arena, const char *what, struct kl_slice name) {
    const char *s = kl_arena_printf(arena, "%s%.*s", what, KL_FMT(name));
    return s != NULL ? kl_slice_str(s) : name;
}

static struct kl_slice qualified(struct kl_arena *arena, struct kl_slice ns, struct kl_slice name) {
    const char *s = kl_arena_printf(arena, "%.*s.%.*s", KL_FMT(ns), KL_FMT(name));
    return s != NULL ? kl_slice_str(s) : name;
}

static struct kl_slice target_of(const struct kl_plan *p, struct kl_arena *arena) {
    switch (p->kind) {
    case KL_PLAN_CREATE_USER:
    case KL_PLAN_ALTER_USER:
    case KL_PLAN_DROP_USER:
        return print(arena, "user:", p->user->id);
    case KL_PLAN_CREATE_NAMESPACE:
    case KL_PLAN_ALTER_NAMESPACE:
    case KL_PLAN_DROP_NAMESPACE:
        return print(arena, "namespace:", p->name);
    case KL_PLAN_CREATE_TABLE:
    case KL_PLAN_CREATE_TABLE_AS:
    case KL_PLAN_CREATE_VIEW:
        return qualified(arena, p->create->ns, p->create->name);
    case KL_PLAN_CREATE_STORAGE:
    case KL_PLAN_ALTER_STORAGE:
        return print(arena, "storage:", kl_slice_str(p->storage->id));
    case KL_PLAN_DROP_STORAGE:
        return print(arena, "storage:", p->name);
    case KL_PLAN_KILL_LIVE:
        return print(arena, "live:", p->name);
    default:
        return p->table != NULL ? p->table->qualified : p->name;
    }
}

/* A session made inside the server may name no other actor than its user. */
static struct kl_slice actor_of(const struct kl_session *s) { return s->actor.len > 0 ? s->actor : s->user; }

bool kl__audit_of(const struct kl__stmt *s, struct kl_arena *arena, struct kl__audit_entry *ret) {
    const char *action = action_of(s->bound.plan->kind);
    if (action == NULL) {
        return false;
    }
    *ret = (struct kl__audit_entry){
        .actor = actor_of(&s->session), .action = kl_slice_str(action), .target = target_of(s->bound.plan, arena), .ip = s->session.client_ip};
    return true;
}

static bool changes_nothing(enum kl_plan_kind k) {
    return k == KL_PLAN_SHOW_STATS || k == KL_PLAN_DESCRIBE || k == KL_PLAN_DESCRIBE_HISTORY || k == KL_PLAN_SUBSCRIBE || k == KL_PLAN_KILL_LIVE;
}

void kl__audit_statement(struct kl__run *r, const struct kl__stmt *s) {
    struct kl__audit_entry e;
    bool wrapped = s->inner.ptr != s->text.text.ptr; /* EXECUTE AS USER */
    if (wrapped) {
        e = (struct kl__audit_entry){
            .actor = actor_of(&s->session), .action = KL_S("EXECUTE_AS_USER"), .target = print(r->x->arena, "user:", s->session.user),
            .details = kl_slice_str(kl_plan_kind_name(s->bound.plan->kind)), .ip = s->session.client_ip, .subject = s->session.user,
        };
        kl__audit_post(r->e, &e);
    }
    if (changes_nothing(s->bound.plan->kind) && kl__audit_of(s, r->x->arena, &e)) {
        if (wrapped) {
            e.subject = s->session.user;
        }
        kl__audit_post(r->e, &e);
    }
}

void kl__audit_denied(struct kl__run *r, struct kl_slice actor, struct kl_slice target, const char *why) {
    struct kl__audit_entry e = {
        .actor = actor, .action = KL_S("EXECUTE_AS_USER_DENIED"), .target = print(r->x->arena, "user:", target), .details = kl_slice_str(why),
        .ip = r->x->session.client_ip, .subject = target,
    };
    kl__audit_post(r->e, &e);
}

/* ---- what is kept ---- */

/* The first key to stay; false: all stay. */
static bool find_cut(struct kl_engine *e, char cut_key[KEY_BYTES], enum kl_rc *ret_rc, struct kl_err *err) {
    char prefix[1] = {KL_META_AUDIT};
    struct kl_iter_options o = {KL_CF_META, kl_slice(prefix, 1), NULL};
    struct kl_iter *it = kl_iter_new(e->o.store, &o);
    struct kl_slice old = make_key(kl_clock_wall_us() - (int64_t)KEEP_DAYS * 24 * 3600 * 1000000, 0, cut_key);
    bool any = false;
    kl_iter_seek_first(it);
    any = kl_iter_valid(it) && kl_slice_cmp(kl_iter_key(it), old) < 0;
    kl_iter_seek_last(it);
    for (size_t n = 1; n < KEEP_ENTRIES && kl_iter_valid(it) && kl_slice_cmp(kl_iter_key(it), old) >= 0; n++) {
        kl_iter_prev(it);
    }
    if (kl_iter_valid(it) && kl_iter_key(it).len == KEY_BYTES && kl_slice_cmp(kl_iter_key(it), old) > 0) {
        struct kl_slice oldest_to_stay = kl_iter_key(it);
        memcpy(cut_key, oldest_to_stay.ptr, KEY_BYTES);
        kl_iter_prev(it);
        any = kl_iter_valid(it);
    }
    *ret_rc = kl_iter_status(it, err);
    kl_iter_free(it);
    return any && *ret_rc == KL_OK;
}

void kl__audit_sweep(struct kl_engine *e) {
    char key[KEY_BYTES], from[1] = {KL_META_AUDIT};
    struct kl_err err;
    enum kl_rc rc;
    kl_err_clear(&err);
    if (find_cut(e, key, &rc, &err)) {
        rc = kl_commit_log_delete_range(e->log, KL_CF_META, kl_slice(from, 1), kl_slice(key, KEY_BYTES), &err);
    }
    if (rc != KL_OK) {
        kl_log_error(TARGET, "old entries stay for now: %s", err.msg);
    }
}
