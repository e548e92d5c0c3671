/* Storages as statements: CREATE, ALTER, DROP STORAGE and STORAGE CHECK.
 *
 * Before a storage is kept it is tried: a file is written, read back, listed and deleted. That happens in the query pool, since a disk or a network
 * may take its time; the record is then written by the metadata writer. Only TYPE filesystem has code behind it in this version; the others are
 * refused, so that no table can be given a place that nothing can write to.
 *
 * The base directory of a filesystem storage is an absolute path. That of `local`, an empty text, is the folder "storage" of the data directory. */
#include "engine/ddl_internal.h"
#include "os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PROBE_PREFIX ".kalamdb-probe-"
#define PATH_BYTES 4096

struct probe {
    bool readable, writable, listable, deletable;
    bool space_known;
    uint64_t total_bytes, used_bytes;
    int64_t latency_ms;
    char error[300]; /* of the first step that failed; empty: none */
};

/* ---- the probe ---- */

static void note(struct probe *p, const char *fmt, ...) KL_PRINTF(2, 3);
static void note(struct probe *p, const char *fmt, ...) {
    va_list ap;
    if (p->error[0] == '\0') {
        va_start(ap, fmt);
        vsnprintf(p->error, sizeof(p->error), fmt, ap);
        va_end(ap);
    }
}

static bool is_listed(const char *dir, const char *name) {
    DIR *d = opendir(dir);
    const struct dirent *e;
    bool found = false;
    while (d != NULL && !found && (e = readdir(d)) != NULL) {
        found = strcmp(e->d_name, name) == 0;
    }
    if (d != NULL) {
        closedir(d);
    }
    return found;
}

static void probe_file(struct probe *p, const char *dir, const char *name, const char *path) {
    static const char content[] = "written, read and removed again";
    struct kl_err err;
    struct kl_buf got;
    kl_err_clear(&err);
    p->writable = kl_file_write_atomic(path, kl_slice_str(content), 0600, &err) == KL_OK;
    if (!p->writable) {
        note(p, "write: %.200s", err.msg);
        return;
    }
    kl_buf_init(&got, sizeof(content) * 2);
    p->readable = kl_file_read(path, sizeof(content) * 2, &got, &err) == KL_OK && kl_slice_eq_str(kl_buf_view(&got), content);
    kl_buf_deinit(&got);
    if (!p->readable) {
        note(p, "read: %.200s", err.msg[0] != '\0' ? err.msg : "the file has other content than was written");
    }
    p->listable = is_listed(dir, name);
    if (!p->listable) {
        note(p, "list: the file that was written is not in the listing");
    }
    p->deletable = unlink(path) == 0 && access(path, F_OK) != 0;
    if (!p->deletable) {
        note(p, "delete: %s", strerror(errno));
    }
}

static void probe_directory(const char *dir, bool space, struct probe *p) {
    struct kl_err err;
    char name[64], path[PATH_BYTES];
    struct statvfs fs;
    int64_t start_ns = kl_clock_mono_ns();
    *p = (struct probe){0};
    kl_err_clear(&err);
    snprintf(name, sizeof(name), PROBE_PREFIX "%016llx", (unsigned long long)kl_random_u64());
    if (kl_dir_make(dir, 0700, &err) != KL_OK) {
        note(p, "%.200s", err.msg);
    } else if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path)) {
        note(p, "the path is too long");
    } else {
        probe_file(p, dir, name, path);
    }
    if (space && statvfs(dir, &fs) == 0) {
        p->space_known = true;
        p->total_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
        p->used_bytes = (uint64_t)(fs.f_blocks - fs.f_bfree) * fs.f_frsize;
    }
    p->latency_ms = (kl_clock_mono_ns() - start_ns) / 1000000;
}

/* ---- where ---- */

static enum kl_rc check_directory(const char *dir, struct kl_err *err) {
    if (dir == NULL || dir[0] == '\0') {
        return kl_fail(err, KL_E_INVALID_SQL, "CREATE STORAGE of type filesystem needs a BASE_DIRECTORY");
    }
    if (dir[0] != '/') {
        return kl_fail(err, KL_E_INVALID_SQL, "BASE_DIRECTORY must be an absolute path");
    }
    for (const char *p = dir; *p != '\0';) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            return kl_fail(err, KL_E_INVALID_SQL, "BASE_DIRECTORY must not contain '..'");
        }
        p += n + (p[n] == '/');
    }
    return strlen(dir) < PATH_BYTES - 100 ? KL_OK : kl_fail(err, KL_E_INVALID_SQL, "BASE_DIRECTORY is too long");
}

/* KL_E_UNSUPPORTED for a type without code behind it. */
static enum kl_rc find_directory(struct kl_engine *e, const struct kl_storage *s, const char **ret, struct kl_err *err) {
    if (s->type != NULL && (strcmp(s->type, "s3") == 0 || strcmp(s->type, "gcs") == 0 || strcmp(s->type, "azure") == 0)) {
        return kl_fail(err, KL_E_UNSUPPORTED, "Storages of type '%s' are not available in this version", s->type);
    }
    *ret = s->base_directory;
    if (strcmp(s->id, "local") == 0 && (s->base_directory == NULL || s->base_directory[0] == '\0')) {
        *ret = e->o.storage_dir;
        return *ret != NULL ? KL_OK : kl_fail(err, KL_E_UNSUPPORTED, "Storage 'local' has no folder here");
    }
    return s->type == NULL || strcmp(s->type, "filesystem") == 0 ? check_directory(s->base_directory, err) : KL_OK;
}

/* ---- CREATE STORAGE, before the catalog's change ---- */

static enum kl_rc try_new(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_storage *s = d->stmt->bound.plan->storage;
    const char *dir = NULL;
    struct kl_cat *cat = kl_catalog_acquire(d->run->e->o.catalog);
    bool exists = kl_cat_storage(cat, kl_slice_str(s->id)) != NULL;
    kl_cat_release(cat);
    if (exists) {
        return kl_fail(err, KL_E_EXISTS, "Storage '%s' already exists", s->id);
    }
    KL_TRY(find_directory(d->run->e, s, &dir, err));
    if (s->type == NULL || strcmp(s->type, "filesystem") != 0) {
        return KL_OK; /* the catalog says which types there are */
    }
    struct probe p;
    probe_directory(dir, false, &p);
    if (p.error[0] != '\0') {
        return kl_fail(err, KL_E_EXEC, "Storage connectivity check failed (latency %lld ms): %s", (long long)p.latency_ms, p.error);
    }
    return KL_OK;
}

/* ---- STORAGE CHECK ---- */

static enum kl_rc send_check(struct kl_sink *to, struct kl_slice id, const struct probe *p, struct kl_err *err) {
    const struct kl_sink_col cols[] = {
        {KL_S("storage_id"), KL_TYPE(TEXT), 0}, {KL_S("status"), KL_TYPE(TEXT), 0}, {KL_S("readable"), KL_TYPE(BOOLEAN), 0},
        {KL_S("writable"), KL_TYPE(BOOLEAN), 0}, {KL_S("listable"), KL_TYPE(BOOLEAN), 0}, {KL_S("deletable"), KL_TYPE(BOOLEAN), 0},
        {KL_S("latency_ms"), KL_TYPE(BIGINT), 0}, {KL_S("total_bytes"), KL_TYPE(BIGINT), 0}, {KL_S("used_bytes"), KL_TYPE(BIGINT), 0},
        {KL_S("error"), KL_TYPE(TEXT), 0}, {KL_S("tested_at"), KL_TYPE(TIMESTAMP), 0}};
    bool all = p->readable && p->writable && p->listable && p->deletable, any = p->readable || p->writable || p->listable || p->deletable;
    const struct kl_val vals[] = {
        kl_val_text(id), kl_val_text(kl_slice_str(all ? "healthy" : any ? "degraded" : "unreachable")), kl_val_bool(p->readable),
        kl_val_bool(p->writable), kl_val_bool(p->listable), kl_val_bool(p->deletable), kl_val_i64(p->latency_ms),
        p->space_known ? kl_val_i64((int64_t)p->total_bytes) : kl_val_null(KL_T_BIGINT),
        p->space_known ? kl_val_i64((int64_t)p->used_bytes) : kl_val_null(KL_T_BIGINT),
        p->error[0] != '\0' ? kl_val_text(kl_slice_str(p->error)) : kl_val_null(KL_T_TEXT), kl_val_int(KL_T_TIMESTAMP, kl_clock_wall_us())};
    KL_TRY(to->begin(to, cols, KL_LEN(cols), err));
    KL_TRY(to->row(to, vals, err));
    to->end(to, 1);
    return KL_OK;
}

static enum kl_rc check_storage(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_plan *plan = d->stmt->bound.plan;
    struct kl_cat *cat = kl_catalog_acquire(d->run->e->o.catalog);
    const struct kl_storage *s = kl_cat_storage(cat, plan->name);
    const char *dir = NULL;
    struct probe p;
    enum kl_rc rc = s != NULL ? find_directory(d->run->e, s, &dir, err)
                              : kl_fail(err, KL_E_NOT_FOUND, "Storage '%.*s' not found", KL_FMT(plan->name));
    if (rc == KL_OK) {
        probe_directory(dir, plan->extended, &p);
        rc = send_check(d->run->x->sink, plan->name, &p, err);
    }
    kl_cat_release(cat);
    return rc;
}

void kl__ddl_storage_start(struct kl_task *t) {
    struct kl__ddl *d = kl__ddl_of(t);
    bool check = d->stmt->bound.plan->kind == KL_PLAN_CHECK_STORAGE;
    kl_err_clear(&d->run->err);
    enum kl_rc rc = check ? check_storage(d, &d->run->err) : try_new(d, &d->run->err);
    if (check || rc != KL_OK) {
        kl__ddl_answer(d, rc);
        return;
    }
    kl__ddl_change_catalog(d);
}

/* ---- the catalog's change ---- */

enum kl_rc kl__ddl_put_storage(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    bool alter = p->kind == KL_PLAN_ALTER_STORAGE;
    KL_TRY(kl_cat_put_storage(d->run->e->o.catalog, p->storage, alter, kl_clock_wall_us(), err));
    kl__ddl_say(d, "Storage '%s' %s successfully", p->storage->id, alter ? "altered" : "created");
    return kl__ddl_audit(d, "");
}

enum kl_rc kl__ddl_drop_storage(struct kl__ddl *d, struct kl_err *err) {
    const struct kl_plan *p = d->stmt->bound.plan;
    enum kl_rc rc = kl_cat_drop_storage(d->run->e->o.catalog, p->name, err);
    if (rc == KL_E_NOT_FOUND && p->if_exists) {
        kl__ddl_say(d, "Storage '%.*s' does not exist (skipped)", KL_FMT(p->name));
        return KL_E_AGAIN;
    }
    KL_TRY(rc);
    kl__ddl_say(d, "Storage '%.*s' dropped successfully", KL_FMT(p->name));
    return kl__ddl_audit(d, "");
}
