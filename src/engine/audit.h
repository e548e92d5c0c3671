/* The audit log: who changed what that belongs to everybody, and who acted as somebody else. Rows of system.audit_log. See audit.c. */
#ifndef KL_ENGINE_AUDIT_H
#define KL_ENGINE_AUDIT_H

#include "engine/engine.h"

struct kl__run;
struct kl__stmt;

/* Empty: none. Texts are cut at KL__AUDIT_TEXT_MAX bytes. Never a password, a token or a credential. */
#define KL__AUDIT_TEXT_MAX 2048
struct kl__audit_entry {
    int64_t us;             /* out of kl__audit_each: when */
    uint32_t number;        /* out: tells entries of one microsecond apart */
    struct kl_slice actor;  /* who authenticated */
    struct kl_slice action; /* CREATE_TABLE ... */
    struct kl_slice target; /* "ns.table", "user:id" ... */
    struct kl_slice details, ip, subject; /* subject: whose rights or rows it was about */
};
#define KL__AUDIT_ID_BYTES 48
/* Text of audit_id: audit_{milliseconds}_{hex}. */
struct kl_slice kl__audit_id(const struct kl__audit_entry *e, char out[KL__AUDIT_ID_BYTES]);

/* Puts a record into the metadata shard's batch, so that it is there exactly when the change is. On the metadata writer. */
void kl__audit(struct kl_batch *b, const struct kl__audit_entry *e);
/* A record of its own, soon: nothing waits for it. What repeats within a minute is counted, not recorded. Copies. Any thread. */
void kl__audit_post(struct kl_engine *e, const struct kl__audit_entry *entry);
/* Entries in order of time, out of one snapshot. Texts are borrowed for the call. Stops at the first code that is not KL_OK. Any thread. */
typedef enum kl_rc kl__audit_visit(void *ctx, const struct kl__audit_entry *e, struct kl_err *err);
enum kl_rc kl__audit_each(struct kl_engine *e, kl__audit_visit *visit, void *ctx, struct kl_err *err);

/* The entry of a statement, filled from its session; action and target by its plan. False: nothing of the kind is recorded. */
bool kl__audit_of(const struct kl__stmt *s, struct kl_arena *arena, struct kl__audit_entry *ret);
/* Records a statement that changes nothing: SHOW, DESCRIBE, SUBSCRIBE, KILL LIVE QUERY, and that it runs inside EXECUTE AS USER. Call it once a
 * statement, when it has been allowed. */
void kl__audit_statement(struct kl__run *r, const struct kl__stmt *s);
/* EXECUTE AS USER was refused: details are "role_not_allowed" or another word. */
void kl__audit_denied(struct kl__run *r, struct kl_slice actor, struct kl_slice target, const char *why);

/* Removes what is older or more than is kept. On the background thread, with the sweep of tombstones. */
void kl__audit_sweep(struct kl_engine *e);

#endif
