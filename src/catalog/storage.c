/* Storages: places where cold data will live, as records of the catalog. `local`, a folder of the data directory, is there from the
 * start; it may be altered and then has a record too.
 *
 * A template is the path of a table's files below the storage's base: text with placeholders in any order, each at most once.
 * {namespace} and {tableName} stand in both, {userId} in that of USER tables only, {shard} may stand in both. {table_name},
 * {namespace_id} and {user_id} are other spellings.
 *
 * Thread: changes on the metadata writer, between kl_catalog_begin and publish or abort. */
#include "catalog/internal.h"
#include <jansson.h>

#define DEFAULT_SHARED "shared/{namespace}/{tableName}/"
#define DEFAULT_USER "user/{userId}/{namespace}/{tableName}/"
#define TEMPLATE_MAX 1024

enum { NAMESPACE = 1, TABLE_NAME = 2, USER_ID = 4, SHARD = 8 };
static const struct placeholder {
    const char *written, *name;
    int bit;
} placeholders[] = {{"{namespace}", "{namespace}", NAMESPACE},
    {"{namespace_id}", "{namespace}", NAMESPACE}, {"{namespaceId}", "{namespace}", NAMESPACE},
    {"{tableName}", "{tableName}", TABLE_NAME}, {"{table_name}", "{tableName}", TABLE_NAME},
    {"{userId}", "{userId}", USER_ID}, {"{user_id}", "{userId}", USER_ID},
    {"{shard}", "{shard}", SHARD}};

/* ---- templates ---- */

static const struct placeholder *find_placeholder(const char *p) {
    for (size_t i = 0; i < KL_LEN(placeholders); i++) {
        if (strncmp(p, placeholders[i].written, strlen(placeholders[i].written)) == 0) {
            return &placeholders[i];
        }
    }
    return NULL;
}

/* Parts between slashes: none empty, none a way out of the base. */
static enum kl_rc check_path(const char *title, const char *path, struct kl_err *err) {
    if (path[0] == '/') {
        return kl_fail(err, KL_E_INVALID_INPUT, "%s: must be a relative path", title);
    }
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.')) {
            return kl_fail(
                err, KL_E_INVALID_INPUT, "%s: must not contain '.', '..' or empty parts", title);
        }
        for (size_t i = 0; i < n; i++) {
            if ((unsigned char)p[i] < 0x20 || p[i] == '\\') {
                return kl_fail(err, KL_E_INVALID_INPUT,
                    "%s: must not contain backslashes or control characters", title);
            }
        }
        p += n + (p[n] == '/');
    }
    return KL_OK;
}

/* The template with its placeholders in their first spelling. */
static enum kl_rc fit_template(const char *title, const char *given, int required, int allowed,
    struct kl_buf *out, struct kl_err *err) {
    int seen = 0;
    if (strlen(given) > TEMPLATE_MAX) {
        return kl_fail(err, KL_E_INVALID_INPUT, "%s: longer than %d bytes", title, TEMPLATE_MAX);
    }
    KL_TRY(check_path(title, given, err));
    for (const char *p = given; *p;) {
        const struct placeholder *x = *p == '{' ? find_placeholder(p) : NULL;
        if (!x && (*p == '{' || *p == '}')) {
            return kl_fail(err, KL_E_INVALID_INPUT, "%s: unknown placeholder at '%.40s'", title, p);
        }
        if (!x) {
            kl_buf_putc(out, *p++);
            continue;
        }
        if (!(x->bit & allowed)) {
            return kl_fail(err, KL_E_INVALID_INPUT, "%s: %s is not allowed", title, x->name);
        }
        if (x->bit & seen) {
            return kl_fail(err, KL_E_INVALID_INPUT, "%s: %s stands there twice", title, x->name);
        }
        seen |= x->bit;
        kl_buf_puts(out, x->name);
        p += strlen(x->written);
    }
    for (size_t i = 0; i < KL_LEN(placeholders); i++) {
        if ((placeholders[i].bit & required) && !(placeholders[i].bit & seen)) {
            return kl_fail(
                err, KL_E_INVALID_INPUT, "%s: %s is required", title, placeholders[i].name);
        }
    }
    return KL_OK;
}

static enum kl_rc fit_templates(
    struct kl_storage *s, struct kl_buf *shared, struct kl_buf *user, struct kl_err *err) {
    KL_TRY(fit_template("Shared table template",
        s->shared_template ? s->shared_template : DEFAULT_SHARED, NAMESPACE | TABLE_NAME,
        NAMESPACE | TABLE_NAME | SHARD, shared, err));
    KL_TRY(fit_template("User table template", s->user_template ? s->user_template : DEFAULT_USER,
        USER_ID | NAMESPACE | TABLE_NAME, USER_ID | NAMESPACE | TABLE_NAME | SHARD, user, err));
    kl_buf_u8(shared, 0);
    kl_buf_u8(user, 0);
    if (shared->failed || user->failed) {
        return kl_fail(err, KL_E_NOMEM, "out of memory");
    }
    s->shared_template = shared->data;
    s->user_template = user->data;
    return KL_OK;
}

/* ---- the rest of a storage ---- */

static enum kl_rc check_id(struct kl_slice id, struct kl_err *err) {
    bool ok = id.len > 0 && id.len <= KL_CATALOG_STORAGE_ID_MAX;
    for (size_t i = 0; i < id.len && ok; i++) {
        char c = id.ptr[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '_' || c == '-';
    }
    return ok ? KL_OK
              : kl_fail(err, KL_E_INVALID_SQL,
                    "Invalid storage id '%.*s': 1 to %d letters, digits, '_' and '-'",
                    (int)KL_MIN(id.len, (size_t)100), id.ptr, KL_CATALOG_STORAGE_ID_MAX);
}

static enum kl_rc check_type(const char *type, struct kl_err *err) {
    static const char *const known[] = {"filesystem", "s3", "gcs", "azure"};
    for (size_t i = 0; type && i < KL_LEN(known); i++) {
        if (strcmp(type, known[i]) == 0) {
            return KL_OK;
        }
    }
    return kl_fail(err, KL_E_INVALID_SQL,
        "Invalid storage type '%.40s'. Must be 'filesystem', 's3', 'gcs', or 'azure'",
        type ? type : "");
}

static enum kl_rc check_object(const char *what, const char *json, struct kl_err *err) {
    if (!json) {
        return KL_OK;
    }
    json_t *o = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    bool ok = json_is_object(o);
    json_decref(o);
    return ok ? KL_OK : kl_fail(err, KL_E_INVALID_SQL, "%s must be a JSON object", what);
}

static enum kl_rc check_lengths(const struct kl_storage *s, struct kl_err *err) {
    const char *const texts[] = {
        s->name, s->description, s->base_directory, s->credentials, s->config};
    for (size_t i = 0; i < KL_LEN(texts); i++) {
        if (texts[i] && strlen(texts[i]) > KL_CATALOG_STORAGE_TEXT_MAX) {
            return kl_fail(err, KL_E_TOO_LARGE, "A text of a storage may have at most %u bytes",
                KL_CATALOG_STORAGE_TEXT_MAX);
        }
    }
    return KL_OK;
}

/* What ALTER does not give stays. Type and place never change: files are there. */
static void over(struct kl_storage *s, const struct kl_storage *old) {
    s->type = old->type;
    s->base_directory = old->base_directory;
    s->created_us = old->created_us;
    s->name = s->name ? s->name : old->name;
    s->description = s->description ? s->description : old->description;
    s->credentials = s->credentials ? s->credentials : old->credentials;
    s->config = s->config ? s->config : old->config;
    s->shared_template = s->shared_template ? s->shared_template : old->shared_template;
    s->user_template = s->user_template ? s->user_template : old->user_template;
}

static enum kl_rc store(struct kl_catalog *c, const struct kl_storage *s, struct kl_err *err) {
    struct kl_buf rec;
    struct kl_catalog__key key;
    struct kl_catalog__storage *made;
    kl_buf_init(&rec, KL_CATALOG_RECORD_MAX);
    kl_catalog__storage_encode(&rec, s);
    enum kl_rc rc =
        rec.failed ? kl_fail(err, KL_E_NOMEM, "out of memory")
                   : kl_catalog__storage_decode(kl_slice_str(s->id), kl_buf_view(&rec), &made, err);
    if (rc == KL_OK) {
        kl_catalog__key(&key, KL_META_STORAGE, kl_slice_str(s->id));
        kl_batch_put(c->batch, KL_CF_META, kl_catalog__key_view(&key), kl_buf_view(&rec));
        kl_catalog__cat_put_storage(kl_catalog__draft(c), made);
    }
    kl_buf_deinit(&rec);
    return rc;
}

static enum kl_rc check_all(const struct kl_storage *s, struct kl_err *err) {
    KL_TRY(check_type(s->type, err));
    KL_TRY(check_lengths(s, err));
    KL_TRY(check_object("Credentials", s->credentials, err));
    return check_object("CONFIG", s->config, err);
}

enum kl_rc kl_cat_put_storage(struct kl_catalog *c, const struct kl_storage *given, bool replace,
    int64_t now_us, struct kl_err *err) {
    const struct kl_cat *base = kl_catalog__base(c);
    struct kl_slice id = kl_slice_str(given->id);
    KL_TRY(check_id(id, err));
    const struct kl_storage *old = kl_cat_storage(base, id);
    if (old && !replace) {
        return kl_fail(err, KL_E_EXISTS, "Storage '%.*s' already exists", KL_FMT(id));
    }
    if (!old && replace) {
        return kl_fail(err, KL_E_NOT_FOUND, "Storage '%.*s' not found", KL_FMT(id));
    }
    if (!old && kl_cat_n_storages(base) >= KL_CATALOG_STORAGES_MAX) {
        return kl_fail(err, KL_E_EXEC, "There may be at most %d storages", KL_CATALOG_STORAGES_MAX);
    }
    struct kl_storage s = *given;
    s.created_us = s.updated_us = now_us;
    if (old) {
        over(&s, old);
    }
    s.name = s.name ? s.name : s.id;
    s.base_directory = s.base_directory ? s.base_directory : "";
    KL_TRY(check_all(&s, err));
    struct kl_buf shared, user;
    kl_buf_init(&shared, TEMPLATE_MAX * 2);
    kl_buf_init(&user, TEMPLATE_MAX * 2);
    enum kl_rc rc = fit_templates(&s, &shared, &user, err);
    if (rc == KL_OK) {
        rc = store(c, &s, err);
    }
    kl_buf_deinit(&shared);
    kl_buf_deinit(&user);
    return rc;
}

enum kl_rc kl_cat_drop_storage(struct kl_catalog *c, struct kl_slice id, struct kl_err *err) {
    const struct kl_cat *base = kl_catalog__base(c);
    size_t users = 0;
    if (!kl_cat_storage(base, id)) {
        return kl_fail(err, KL_E_NOT_FOUND, "Storage '%.*s' not found", KL_FMT(id));
    }
    if (kl_slice_eq_str(id, KL_CATALOG_STORAGE)) {
        return kl_fail(
            err, KL_E_EXEC, "Cannot drop storage '" KL_CATALOG_STORAGE "': it is always there");
    }
    for (size_t i = 0; i < base->n_tables; i++) {
        users += kl_slice_eq_str(id, base->tables[i]->options.storage_id);
    }
    if (users) {
        return kl_fail(err, KL_E_EXEC, "Cannot drop storage '%.*s': %zu table(s) still using it",
            KL_FMT(id), users);
    }
    struct kl_catalog__key key;
    kl_catalog__key(&key, KL_META_STORAGE, id);
    kl_batch_del(c->batch, KL_CF_META, kl_catalog__key_view(&key));
    kl_catalog__cat_del_storage(kl_catalog__draft(c), id);
    return KL_OK;
}

void kl_catalog__add_local_storage(struct kl_cat *cat, int64_t created_us) {
    struct kl_storage s = {.id = KL_CATALOG_STORAGE,
        .name = "Local Filesystem",
        .description = "Files below the data directory",
        .type = "filesystem",
        .base_directory = "",
        .shared_template = DEFAULT_SHARED,
        .user_template = DEFAULT_USER,
        .created_us = created_us,
        .updated_us = created_us};
    struct kl_buf rec = {0};
    struct kl_catalog__storage *made;
    kl_catalog__storage_encode(&rec, &s);
    KL_ASSERT(kl_catalog__storage_decode(
                  KL_S(KL_CATALOG_STORAGE), kl_buf_view(&rec), &made, NULL) == KL_OK);
    kl_buf_deinit(&rec);
    kl_catalog__cat_put_storage(cat, made);
}
