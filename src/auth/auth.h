/* Who may do what: users, passwords, tokens, role decisions. A library without threads or sockets: user changes are
 * put into a batch that the metadata shard's writer commits; reads go to the store. */
#ifndef KL_AUTH_H
#define KL_AUTH_H

#include "catalog/catalog.h"

enum kl_role { KL_ROLE_ANONYMOUS, KL_ROLE_USER, KL_ROLE_SERVICE, KL_ROLE_DBA, KL_ROLE_SYSTEM }; /* weakest first; on disk */
const char *kl_role_name(enum kl_role r); /* "dba" */
/* With SQL's aliases (admin, developer, viewer ...). */
bool kl_role_parse(struct kl_slice s, enum kl_role *ret);
static inline bool kl_role_is_admin(enum kl_role r) { return r >= KL_ROLE_DBA; }

/* The caller of a statement. Slices are borrowed for the life of the request. */
struct kl_session {
    struct kl_slice user;    /* effective: of EXECUTE AS USER inside it */
    enum kl_role role;       /* effective */
    struct kl_slice actor;   /* who authenticated */
    enum kl_role actor_role;
    struct kl_slice ns;      /* default namespace of unqualified names */
    struct kl_slice request_id, client_ip;
};

/* ---- users ---- */
enum kl_auth_type { KL_AUTH_PASSWORD = 1, KL_AUTH_OAUTH = 2, KL_AUTH_INTERNAL = 3 };
struct kl_user {
    struct kl_slice id;
    enum kl_role role;
    enum kl_auth_type auth_type;
    struct kl_slice password_hash; /* "$2b$..."; empty: cannot log in with a password */
    struct kl_slice email;         /* empty: none */
    struct kl_slice auth_data;     /* JSON, empty: none */
    uint32_t failed_logins;        /* consecutive */
    int64_t locked_until_us, last_login_us, created_us, updated_us, deleted_us; /* 0: never */
    uint32_t token_epoch;          /* raised when every token of the user must die */
};
#define KL_LOCKOUT_FAILURES 5
#define KL_LOCKOUT_US (15 * 60 * 1000000LL)

enum kl_rc kl_user_id_check(struct kl_slice id, struct kl_err *err); /* 1..128 bytes, valid UTF-8, no "..", / \ NUL or control */
/* KL_E_NOT_FOUND. Deleted users are found (deleted_us != 0). Slices from `arena`. */
enum kl_rc kl_user_get(struct kl_store *s, struct kl_slice id, struct kl_arena *arena, struct kl_user *ret, struct kl_err *err);
enum kl_rc kl_user_get_in_batch(struct kl_batch *b, struct kl_slice id, struct kl_arena *arena, struct kl_user *ret, struct kl_err *err);
void kl_user_put(struct kl_batch *b, const struct kl_user *u);
/* In id order; stops at the first code that is not KL_OK, which is returned. */
enum kl_rc kl_user_each(struct kl_store *s, enum kl_rc (*visit)(void *ctx, const struct kl_user *u), void *ctx, struct kl_err *err);

/* ---- passwords ---- (slow by design: never on a loop) */
struct kl_password_policy {
    unsigned min_len, max_len; /* bytes; bcrypt reads at most 72 */
    bool complexity;           /* upper, lower, digit and special */
    int bcrypt_cost;           /* 4..16 */
};
enum kl_rc kl_password_check(const struct kl_password_policy *p, struct kl_slice password, struct kl_err *err);
enum kl_rc kl_password_hash(int cost, struct kl_slice password, char ret[64], struct kl_err *err);
/* Constant time in the comparison; false for an empty or malformed hash after the same work as a real one. */
bool kl_password_verify(struct kl_slice hash, struct kl_slice password, int cost_if_no_hash);

/* ---- tokens: JWT, HS256 ---- */
enum kl_token_kind { KL_TOKEN_ACCESS, KL_TOKEN_REFRESH };
struct kl_token_claims {
    struct kl_slice subject, email; /* from the arena */
    enum kl_role role;
    enum kl_token_kind kind;
    char id[33];        /* jti, 32 hex digits */
    uint32_t epoch;     /* token_epoch of the user when it was issued */
    int64_t issued_s, expires_s;
};
struct kl_tokens; /* the signing key and the revocation list; any thread */
struct kl_tokens_options {
    struct kl_slice secret;          /* empty: one is generated and kept in the meta family */
    struct kl_slice trusted_issuers; /* comma list; "kalamdb" always */
    uint32_t access_hours;           /* refresh tokens live 7 times as long */
};
enum kl_rc kl_tokens_new(struct kl_store *s, const struct kl_tokens_options *o, struct kl_tokens **ret, struct kl_err *err);
void kl_tokens_free(struct kl_tokens *t);
/* Fills id, issued_s, expires_s of `claims`; appends the compact JWT. */
enum kl_rc kl_tokens_issue(struct kl_tokens *t, struct kl_token_claims *claims, struct kl_buf *out);
/* Signature, times (60 s leeway), issuer, revocation. KL_E_INVALID_CREDENTIALS or KL_E_TOKEN_EXPIRED. Not the user's state. */
enum kl_rc kl_tokens_verify(struct kl_tokens *t, struct kl_slice jwt, struct kl_arena *arena, struct kl_token_claims *ret,
    struct kl_err *err);
/* Puts the revocation into the batch; counts at once in memory. Entries past their expiry are dropped. */
void kl_tokens_revoke(struct kl_tokens *t, struct kl_batch *b, const struct kl_token_claims *claims);
/* Rises with each revocation and each kl_tokens_touch (call it when a user changed): what was cached before is stale. */
uint64_t kl_tokens_generation(const struct kl_tokens *t);
void kl_tokens_touch(struct kl_tokens *t);
/* verify + the user exists, is not deleted, has the same role and epoch; kind must match. The whole check of a request. */
enum kl_rc kl_auth_token(struct kl_tokens *t, struct kl_store *s, struct kl_slice jwt, enum kl_token_kind kind,
    struct kl_arena *arena, struct kl_token_claims *ret_claims, struct kl_user *ret_user, struct kl_err *err);

/* The local root token: a file readable by the server's own OS user only. $XDG_RUNTIME_DIR/kalamdb/<port>.token, else
 * ~/.kalam/run/<port>.token; mode 0600; written at start, removed at exit. It is a bearer secret (not a JWT), 64 hex digits. */
enum kl_rc kl_root_token_path(int port, struct kl_buf *out, bool make_folder, struct kl_err *err);
enum kl_rc kl_root_token_write(int port, char ret_token[65], struct kl_err *err);
void kl_root_token_remove(int port);

/* ---- role decisions: deny by default ---- */
enum kl_action {
    KL_MAY_NAMESPACE_DDL, KL_MAY_STORAGE_DDL, KL_MAY_USER_DDL, KL_MAY_JOBS, KL_MAY_CLUSTER, KL_MAY_TOPIC_DDL, KL_MAY_BACKUP, KL_MAY_RESTORE,
    KL_MAY_EXPLAIN, KL_MAY_SET, KL_MAY_SHOW_COLUMNS, KL_MAY_SHOW_ALL, KL_MAY_CREATE_VIEW, KL_MAY_FLUSH, KL_MAY_CONSUME, KL_MAY_KILL_LIVE,
    KL_MAY_READ_SYSTEM,
};
/* KL_E_PERMISSION_DENIED with the contract's sentence: Admin privileges (DBA or System role) required for <area>. */
enum kl_rc kl_auth_may(enum kl_role role, enum kl_action what, struct kl_err *err);
/* DDL on tables is for service, dba and system (DROP and the dba level: dba and system). */
enum kl_rc kl_auth_may_create(enum kl_role role, enum kl_table_type type, enum kl_access access, struct kl_err *err);
/* Tables in the namespace `dba` are made by dba and system only. */
enum kl_rc kl_auth_may_use_namespace(enum kl_role role, struct kl_slice ns, struct kl_err *err);
enum kl_rc kl_auth_may_alter(enum kl_role role, const struct kl_table *t, struct kl_err *err);
enum kl_rc kl_auth_may_drop(enum kl_role role, const struct kl_table *t, struct kl_err *err);
enum kl_rc kl_auth_may_read(enum kl_role role, const struct kl_table *t, struct kl_err *err);
enum kl_rc kl_auth_may_write(enum kl_role role, const struct kl_table *t, struct kl_err *err);
/* EXECUTE AS USER: system -> anyone, dba -> dba service user, service -> service user, user -> self. */
enum kl_rc kl_auth_may_act_as(struct kl_slice actor, enum kl_role actor_role, struct kl_slice target, enum kl_role target_role,
    struct kl_err *err);

#endif
