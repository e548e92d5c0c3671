/* The catalog: namespaces and tables with every schema version. Durable in the meta family, held in memory as an
 * immutable snapshot that readers take by reference; a change makes the next snapshot.
 *
 * Writing: only the metadata shard's writer, one change at a time:
 *     kl_catalog_begin -> one kl_cat_* operation (checks, drafts the new snapshot, puts records into the batch)
 *     -> commit the batch -> kl_catalog_publish, or kl_catalog_abort when anything failed.
 * Reading: any thread; kl_catalog_acquire/release around use. A snapshot never changes. Tables are shared between snapshots and
 * counted on their own, so a cached plan may hold a table longer than the snapshot that it came from.
 *
 * System relations (system.*, information_schema.*) are tables of type SYSTEM in every snapshot: their columns stand in
 * catalog/system_tables.def, their rows come from whoever knows them.
 *
 * Identifiers are stored folded to lower case. Names: 1..64 bytes of [A-Za-z0-9_], no leading digit or underscore, not reserved. */
#ifndef KL_CATALOG_H
#define KL_CATALOG_H

#include "store/store.h"
#include "types/rows.h"
#include <stdatomic.h>

/* First byte of every key in the meta family: who owns the rest of the key and the value. Numbers are on disk. */
enum kl_meta_kind {
    KL_META_IDENTITY = 1,  /* format version, node, number of user shards: catalog */
    KL_META_NAMESPACE = 2, /* name: catalog */
    KL_META_TABLE = 3,     /* table id u32 be: catalog */
    KL_META_COUNTER = 4,   /* name -> u64: catalog (next table id) */
    KL_META_USER = 5,      /* user id: auth */
    KL_META_REVOKED = 6,   /* token id: auth */
    KL_META_SHARD = 7,     /* shard u16 be -> highest _seq, applied index: engine */
    KL_META_CLEANUP = 8,   /* table id u32 be -> dropped table whose rows are still to be removed: engine */
    KL_META_SECRET = 9,    /* generated secrets: auth */
    KL_META_FORGOTTEN = 10, /* table id u32 be -> _seq up to which tombstones may be gone: engine */
    KL_META_STORAGE = 11,  /* storage id: catalog */
    KL_META_AUDIT = 12,    /* microseconds u64 be, number u32 be -> one entry of the audit log: engine */
    KL_META_MARK = 13,     /* name -> version u8: what was done once and is not done again: engine */
};

/* Ids of the system relations; those of other tables are below. */
#define KL_SYS_TABLE_BASE 0xF0000000u
enum kl_sys_table {
#define KL_SYS_TABLE(id, ns, name, comment) KL_SYS_INDEX_##id,
#define KL_SYS_COL(id, name, type, flags)
#include "catalog/system_tables.def"
#undef KL_SYS_TABLE
#undef KL_SYS_COL
    KL_SYS_COUNT
};
/* KL_SYS_NAMESPACES, KL_SYS_IS_COLUMNS ...: usable in a switch over kl_table.id */
enum {
#define KL_SYS_TABLE(id, ns, name, comment) KL_SYS_##id = KL_SYS_TABLE_BASE + KL_SYS_INDEX_##id,
#define KL_SYS_COL(id, name, type, flags)
#include "catalog/system_tables.def"
#undef KL_SYS_TABLE
#undef KL_SYS_COL
};

enum kl_table_type { KL_TABLE_USER = 1, KL_TABLE_SHARED = 2, KL_TABLE_STREAM = 3, KL_TABLE_SYSTEM = 4, KL_TABLE_VIEW = 5 };
enum kl_access { KL_ACCESS_PUBLIC = 1, KL_ACCESS_PRIVATE = 2, KL_ACCESS_RESTRICTED = 3, KL_ACCESS_DBA = 4 };
#define KL_PK_COLS_MAX 8          /* columns of one primary key */
#define KL_TABLE_VERSIONS_MAX 10000 /* schema versions of one table */
const char *kl_table_type_name(enum kl_table_type t); /* "user" */
const char *kl_access_name(enum kl_access a);         /* "private" */

enum kl_default_kind {
    KL_DEFAULT_NONE, KL_DEFAULT_LITERAL, KL_DEFAULT_NOW, KL_DEFAULT_SNOWFLAKE, KL_DEFAULT_UUID_V7, KL_DEFAULT_ULID,
    KL_DEFAULT_CURRENT_USER,
};
struct kl_default {
    enum kl_default_kind kind;
    struct kl_val value; /* LITERAL: of the column's type (may be NULL) */
};

struct kl_column {
    uint32_t id;         /* never reused within the table */
    uint16_t ordinal;    /* 1-based position as declared; survivors of a DROP COLUMN keep theirs */
    const char *name;
    struct kl_type type;
    bool nullable;
    uint8_t pk_pos;      /* 1-based place in the primary key, 0 when it is no part of it */
    struct kl_default def;
    struct kl_val missing; /* what rows written before the column existed read */
    const char *comment;   /* or NULL */
};

/* A secondary index. Its entries live in the index family under its own id; ids come from the counter of table ids. */
enum kl_index_state { KL_INDEX_BUILDING = 1, KL_INDEX_READY = 2 }; /* on disk; BUILDING: kept up by writers, not yet used by reads */
#define KL_INDEX_COLS_MAX KL_PK_COLS_MAX
#define KL_INDEXES_MAX 32 /* of one table */
struct kl_index {
    uint32_t id;
    const char *name;  /* unique among the indexes of its namespace */
    bool unique;       /* per partition; NULLs are distinct */
    bool constraint;   /* made by a UNIQUE constraint: dropped with it, not by DROP INDEX */
    enum kl_index_state state;
    int64_t created_us;
    size_t n_cols;
    uint32_t column_ids[KL_INDEX_COLS_MAX];
    uint16_t cols[KL_INDEX_COLS_MAX]; /* the same as indexes into the current version's cols */
};
struct kl_check {
    const char *name; /* unique in the table */
    const char *expr; /* SQL of the condition, as written */
};

struct kl_table_options {
    enum kl_access access;          /* SHARED */
    uint32_t ttl_seconds;           /* STREAM */
    uint32_t max_buffer;            /* STREAM: rows of one partition, 0: the server's default */
    uint32_t flush_rows, flush_interval_s; /* 0: not given */
    uint32_t deleted_retention_hours;      /* tombstones are kept this long; default 168 */
    const char *storage_id;         /* "local" */
    bool use_user_storage;
};

/* One schema version: the columns as they were. */
struct kl_table_version {
    uint32_t version;
    int64_t created_us;
    struct kl_column *cols;
    size_t n_cols;
    struct kl_layout layout;
    int16_t *from_current; /* per column of the current version: index in this layout, or -1 (then `missing` applies) */
    bool recast;           /* one of those columns got another type since */
};

struct kl_table {
    _Atomic uint32_t refs;
    uint32_t id;
    enum kl_table_type type;
    const char *ns, *name;
    struct kl_slice qualified;       /* "ns.name" */
    struct kl_table_options options;
    struct kl_table_version *versions; /* ascending; the last is current */
    size_t n_versions;
    /* shortcuts into the current version */
    uint32_t version;
    struct kl_column *cols;
    size_t n_cols;
    uint16_t *pk; /* indexes into cols, in key order */
    size_t n_pk;
    struct kl_index *indexes; /* of every state, oldest first */
    size_t n_indexes;
    struct kl_check *checks;
    size_t n_checks;
    /* VIEW: the SELECT as written, and the namespace in which its unqualified names are found. cols are its output columns. */
    const char *view_sql, *view_ns;
    const struct kl_layout *layout;
    int64_t created_us, updated_us;
    const char *comment;
    /* `_seq` has this ordinal and column id, `_deleted` the next; 0 for SYSTEM. Columns added later come after them. */
    uint16_t system_ordinal, next_ordinal;
    uint32_t next_column_id;
    struct kl_arena arena; /* owns everything above */
};
void kl_table_ref(struct kl_table *t);
void kl_table_unref(struct kl_table *t); /* accepts NULL */
const struct kl_index *kl_table_index(const struct kl_table *t, uint32_t id); /* NULL */
/* Index of a column by folded name, -1 when there is none. */
int kl_table_col(const struct kl_table *t, struct kl_slice name);
/* Opens row bytes with the layout of the version that wrote them. KL_E_CORRUPT for an unknown version. */
enum kl_rc kl_table_open_row(const struct kl_table *t, struct kl_slice row, int64_t seq, struct kl_row_view *ret);
/* Column of the *current* version out of such a view (cast when the type changed since, `missing` when it did not exist). */
enum kl_rc kl_table_get(const struct kl_table *t, const struct kl_row_view *v, unsigned col, struct kl_arena *arena,
    struct kl_val *ret);
/* Scope of a caller's rows. `shards`: number of user shards. Shards: 0 metadata, 1 shared, 2.. users by XXH3(user id). */
#define KL_SHARD_META 0
#define KL_SHARD_SHARED 1
#define KL_SHARD_USER0 2
uint16_t kl_shard_of_user(struct kl_slice user, unsigned user_shards);
struct kl_scope kl_table_scope(const struct kl_table *t, struct kl_slice user, unsigned user_shards);

/* Pseudo columns in lists of column indexes. */
#define KL_COL_SEQ (-1)
#define KL_COL_DELETED (-2)

struct kl_namespace {
    const char *name;
    const char *options_json; /* or NULL */
    int64_t created_us;
    uint32_t n_tables;
};

/* ---- snapshots ---- */
struct kl_catalog;
struct kl_cat;  /* one snapshot */
enum kl_rc kl_catalog_open(struct kl_store *s, unsigned want_user_shards, struct kl_catalog **ret, struct kl_err *err);
void kl_catalog_close(struct kl_catalog *c);
unsigned kl_catalog_user_shards(struct kl_catalog *c); /* fixed when the data directory was made */
struct kl_cat *kl_catalog_acquire(struct kl_catalog *c);
void kl_cat_release(struct kl_cat *cat); /* accepts NULL */
uint64_t kl_cat_version(const struct kl_cat *cat);
uint64_t kl_catalog_version(struct kl_catalog *c); /* of the newest snapshot; one atomic read */
struct kl_table *kl_cat_table(const struct kl_cat *cat, struct kl_slice ns, struct kl_slice name); /* borrowed; NULL */
struct kl_table *kl_cat_table_by_id(const struct kl_cat *cat, uint32_t id);
const struct kl_namespace *kl_cat_namespace(const struct kl_cat *cat, struct kl_slice name);
/* The index of that name in the namespace; *ret_table is its table (borrowed). NULL. */
const struct kl_index *kl_cat_index(const struct kl_cat *cat, struct kl_slice ns, struct kl_slice name, struct kl_table **ret_table);
/* In name order; system relations included. */
size_t kl_cat_n_namespaces(const struct kl_cat *cat);
const struct kl_namespace *kl_cat_namespace_at(const struct kl_cat *cat, size_t i);
size_t kl_cat_n_tables(const struct kl_cat *cat);
struct kl_table *kl_cat_table_at(const struct kl_cat *cat, size_t i);

/* KL_E_INVALID_SQL with the contract's text. what: "namespace", "table", "column". */
enum kl_rc kl_name_check(const char *what, struct kl_slice name, struct kl_err *err);
bool kl_namespace_is_system(struct kl_slice ns); /* closed to user DDL */

/* ---- changes (metadata writer only) ---- */
struct kl_column_def {
    struct kl_slice name; /* folded */
    struct kl_type type;
    bool nullable;
    uint8_t pk_pos;
    struct kl_default def;
};
struct kl_table_def {
    struct kl_slice ns, name;
    enum kl_table_type type;
    struct kl_table_options options;
    const struct kl_column_def *cols;
    size_t n_cols;
    const struct kl_index_def *uniques; /* UNIQUE constraints */
    size_t n_uniques;
    const struct kl_check_def *checks;
    size_t n_checks;
    struct kl_slice comment;
    struct kl_slice view_sql, view_ns; /* VIEW */
};
enum kl_alter_op {
    KL_ALTER_ADD, KL_ALTER_DROP, KL_ALTER_RENAME, KL_ALTER_ACCESS,
    KL_ALTER_TYPE,          /* column, type: the caller has checked that every value casts. Refused for key and index columns */
    KL_ALTER_SET_NOT_NULL,  /* column: the caller has checked that no row has NULL */
    KL_ALTER_DROP_NOT_NULL, /* column */
    KL_ALTER_SET_DEFAULT,   /* column, def */
    KL_ALTER_DROP_DEFAULT,  /* column */
    KL_ALTER_RENAME_TABLE,  /* new_name */
    KL_ALTER_ADD_CHECK,     /* new_name (empty: one is made up), check: the caller has checked that no row violates it */
    KL_ALTER_DROP_CHECK,    /* column: the constraint's name */
    KL_ALTER_COMMENT,       /* comment (empty: none) on the table or view, or on `column`; makes no new schema version */
};
struct kl_alter {
    enum kl_alter_op op;
    struct kl_column_def add;  /* ADD. NOT NULL without a default: the caller has checked that the table is empty */
    struct kl_val missing;     /* ADD: the default evaluated once */
    struct kl_slice column;    /* DROP, RENAME */
    struct kl_slice new_name;  /* RENAME */
    enum kl_access access;     /* ACCESS */
    struct kl_type type;       /* TYPE */
    enum kl_alter_null { KL_ALTER_NULL_KEEP, KL_ALTER_NULL_YES, KL_ALTER_NULL_NO } null; /* TYPE: MODIFY .. NULL, MODIFY .. NOT NULL */
    struct kl_default def;     /* SET_DEFAULT */
    struct kl_slice check;     /* ADD_CHECK: SQL text */
    struct kl_slice comment;   /* COMMENT */
};
struct kl_index_def {
    struct kl_slice name; /* empty: one is made up as PostgreSQL does: table_col_idx, table_col_key */
    const struct kl_slice *cols;
    size_t n_cols;
    bool unique, constraint;
};
struct kl_check_def {
    struct kl_slice name, expr; /* name may be empty */
};

/* Between begin and publish: the table as the change so far has left it, for whoever checks what it has done. Borrowed until the next operation. NULL. */
struct kl_cat *kl_catalog_draft(struct kl_catalog *c); /* the whole of it, made when there is none yet */
struct kl_table *kl_catalog_draft_table(struct kl_catalog *c, struct kl_slice ns, struct kl_slice name);
enum kl_rc kl_catalog_begin(struct kl_catalog *c, struct kl_batch *batch, struct kl_err *err);
void kl_catalog_publish(struct kl_catalog *c);
void kl_catalog_abort(struct kl_catalog *c);
/* Existing: KL_E_EXISTS; missing: KL_E_NOT_FOUND; texts as in docs/sql.md. System namespaces are refused. */
enum kl_rc kl_cat_create_namespace(struct kl_catalog *c, struct kl_slice name, int64_t now_us, struct kl_err *err);
enum kl_rc kl_cat_set_namespace_options(struct kl_catalog *c, struct kl_slice name, struct kl_slice json, struct kl_err *err);
/* Drops its tables first; their ids come back so that their rows can be removed (array from `arena`). */
enum kl_rc kl_cat_drop_namespace(struct kl_catalog *c, struct kl_slice name, struct kl_arena *arena, uint32_t **ret_ids,
    size_t *ret_n, struct kl_err *err);
enum kl_rc kl_cat_create_table(struct kl_catalog *c, const struct kl_table_def *def, int64_t now_us, uint32_t *ret_id,
    struct kl_err *err);
/* ret_version: the table's version afterwards; unchanged when nothing had to change. */
enum kl_rc kl_cat_alter_table(struct kl_catalog *c, struct kl_slice ns, struct kl_slice name, const struct kl_alter *alter,
    int64_t now_us, uint32_t *ret_version, struct kl_err *err);
enum kl_rc kl_cat_drop_table(struct kl_catalog *c, struct kl_slice ns, struct kl_slice name, uint32_t *ret_id, struct kl_err *err);
/* CREATE [OR REPLACE] VIEW: def->type is VIEW. replace: an existing view of that name keeps its id; a table of that name is KL_E_EXISTS either way. */
enum kl_rc kl_cat_create_view(struct kl_catalog *c, const struct kl_table_def *def, bool replace, int64_t now_us, uint32_t *ret_id,
    struct kl_err *err);
/* Indexes are no part of a schema version: making or dropping one leaves the table's version as it is, its struct kl_table is another one.
 * Name taken by a table, view or index of the namespace: KL_E_EXISTS. Table types USER and SHARED only.
 * A new index in state BUILDING (of an empty table: the caller may mark it ready in the same change). Name taken: KL_E_EXISTS "relation already exists". */
enum kl_rc kl_cat_create_index(struct kl_catalog *c, struct kl_slice ns, struct kl_slice table, const struct kl_index_def *def, int64_t now_us,
    uint32_t *ret_id, struct kl_err *err);
enum kl_rc kl_cat_index_ready(struct kl_catalog *c, uint32_t table_id, uint32_t index_id, struct kl_err *err);
/* By id, so that a failed build removes its own. KL_E_NOT_FOUND. */
enum kl_rc kl_cat_drop_index(struct kl_catalog *c, uint32_t table_id, uint32_t index_id, struct kl_err *err);
/* Storages: where cold data will live. "local" always exists and cannot be dropped. */
struct kl_storage {
    const char *id, *name, *description, *type; /* type: filesystem, s3, gcs, azure; description may be NULL */
    const char *base_directory, *credentials, *config; /* JSON or NULL; credentials never leave the server in clear */
    const char *shared_template, *user_template;
    int64_t created_us, updated_us;
};
const struct kl_storage *kl_cat_storage(const struct kl_cat *cat, struct kl_slice id); /* borrowed; NULL */
size_t kl_cat_n_storages(const struct kl_cat *cat);
const struct kl_storage *kl_cat_storage_at(const struct kl_cat *cat, size_t i); /* in id order */
/* KL_E_EXISTS, KL_E_NOT_FOUND; templates are checked here (docs/sql.md). put: creates, or replaces one that exists (ALTER STORAGE). */
enum kl_rc kl_cat_put_storage(struct kl_catalog *c, const struct kl_storage *s, bool replace, int64_t now_us, struct kl_err *err);
/* Refused while a table uses it: "Cannot drop storage 'x': n table(s) still using it". */
enum kl_rc kl_cat_drop_storage(struct kl_catalog *c, struct kl_slice id, struct kl_err *err);

/* JSON texts of system.schemas: columns array and options object (docs/wire.md). */
void kl_table_columns_json(const struct kl_table *t, const struct kl_table_version *v, struct kl_buf *out);
void kl_table_options_json(const struct kl_table *t, struct kl_buf *out);
/* The default as DESCRIBE shows it: NOW(), 'x', 42; nothing when there is none. */
void kl_default_text(const struct kl_default *d, struct kl_buf *out);

#endif
