/* From text (a default, a variable, an option) or a TOML value to the field of a key, with the
 * checks that one key can make alone. Also the shape of every message about a value. On the thread
 * that loads. */
#include "server/config_internal.h"
#include <stdio.h>

#define MAX_TEXT 4096 /* bytes of one value */
#define MAX_LIST_ITEMS 256

static void *field_of(struct kl_config *config, const struct kl_config_key *key) {
    return (char *)config + key->offset;
}

void kl_config__origin_text(const struct kl_config_origin *origin, char *out, size_t size) {
    if (origin->file != NULL) {
        snprintf(out, size, "%s:%d", origin->file, origin->line);
    } else {
        snprintf(out, size, "%s", origin->name != NULL ? origin->name : "default");
    }
}

enum kl_rc kl_config__fail(struct kl_config_loader *l, const struct kl_config_key *key,
    const char *value, const struct kl_config_origin *origin, const char *fmt, ...) {
    char where[160], what[240];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    kl_config__origin_text(origin, where, sizeof(where));
    if (value == NULL) {
        return kl_fail(l->err, KL_E_INVALID_INPUT, "%s: %s: %s", where, key->key, what);
    }
    bool is_secret = key->type == KL_CONFIG_TYPE_SECRET;
    return kl_fail(l->err, KL_E_INVALID_INPUT, "%s: %s = %.80s: %s", where, key->key,
        is_secret ? "****" : value, what);
}

void kl_config__warn(struct kl_config_loader *l, const char *fmt, ...) {
    va_list ap;
    char text[512];
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    struct kl_config_list *list = &l->config->warnings;
    KL_GROW(list->items, l->warnings_cap, list->count + 1);
    list->items[list->count++] = kl_xstrdup(text);
}

/* ---- one kind each ---- */

static enum kl_rc set_int(struct kl_config_loader *l, const struct kl_config_key *key,
    int64_t value, const char *shown, const struct kl_config_origin *origin) {
    if (value < key->min || value > key->max) {
        return kl_config__fail(l, key, shown, origin, "must be from %lld to %lld",
            (long long)key->min, (long long)key->max);
    }
    *(int64_t *)field_of(l->config, key) = value;
    return KL_OK;
}

static enum kl_rc check_text(struct kl_config_loader *l, const struct kl_config_key *key,
    struct kl_slice text, const struct kl_config_origin *origin) {
    if (text.len > MAX_TEXT) {
        return kl_config__fail(l, key, NULL, origin, "must be at most %d bytes long", MAX_TEXT);
    }
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7F) {
            return kl_config__fail(l, key, NULL, origin, "must not hold control characters");
        }
    }
    return kl_utf8_valid(text) ? KL_OK
                               : kl_config__fail(l, key, NULL, origin, "must be valid UTF-8");
}

static enum kl_rc copy_text(struct kl_config_loader *l, const struct kl_config_key *key,
    struct kl_slice text, const struct kl_config_origin *origin, const char **ret) {
    KL_TRY(check_text(l, key, text, origin));
    *ret = kl_arena_dup(&l->config->arena, text).ptr;
    return *ret != NULL ? KL_OK
                        : kl_config__fail(l, key, NULL, origin, "the configuration is too large");
}

static enum kl_rc set_enum(struct kl_config_loader *l, const struct kl_config_key *key,
    struct kl_slice text, const struct kl_config_origin *origin) {
    int place = 0;
    for (const char *at = key->choices;; place++) {
        size_t len = strcspn(at, "|");
        if (kl_slice_eq(text, kl_slice(at, len))) {
            *(int *)field_of(l->config, key) = place;
            return KL_OK;
        }
        if (at[len] == '\0') {
            break;
        }
        at += len + 1;
    }
    char shown[84];
    snprintf(shown, sizeof(shown), "%.*s", (int)KL_MIN(text.len, sizeof(shown) - 1), text.ptr);
    KL_TRY(check_text(l, key, text, origin));
    return kl_config__fail(l, key, shown, origin, "must be one of %s", key->choices);
}

static enum kl_rc set_bool_text(struct kl_config_loader *l, const struct kl_config_key *key,
    const char *text, const struct kl_config_origin *origin) {
    static const char *const yes[] = {"true", "1", "yes"}, *const no[] = {"false", "0", "no"};
    struct kl_slice s = kl_slice_str(text);
    for (size_t i = 0; i < KL_LEN(yes); i++) {
        if (kl_slice_ieq_str(s, yes[i]) || kl_slice_ieq_str(s, no[i])) {
            *(bool *)field_of(l->config, key) = kl_slice_ieq_str(s, yes[i]);
            return KL_OK;
        }
    }
    return kl_config__fail(l, key, text, origin, "must be true, 1, yes, false, 0 or no");
}

static enum kl_rc add_item(struct kl_config_loader *l, const struct kl_config_key *key,
    struct kl_slice item, const struct kl_config_origin *origin, struct kl_config_list *list) {
    item = kl_slice_trim(item);
    if (item.len == 0) {
        return KL_OK;
    }
    if (list->count == MAX_LIST_ITEMS) {
        return kl_config__fail(l, key, NULL, origin, "must have at most %d items", MAX_LIST_ITEMS);
    }
    return copy_text(l, key, item, origin, &list->items[list->count++]);
}

static enum kl_rc new_list(struct kl_config_loader *l, const struct kl_config_key *key,
    const struct kl_config_origin *origin, struct kl_config_list *ret) {
    ret->items = KL_ARENA_ARRAY(&l->config->arena, const char *, MAX_LIST_ITEMS);
    ret->count = 0;
    return ret->items != NULL
               ? KL_OK
               : kl_config__fail(l, key, NULL, origin, "the configuration is too large");
}

static enum kl_rc set_list_text(struct kl_config_loader *l, const struct kl_config_key *key,
    const char *text, const struct kl_config_origin *origin) {
    struct kl_config_list list;
    KL_TRY(new_list(l, key, origin, &list));
    for (const char *at = text;;) {
        size_t len = strcspn(at, ",");
        KL_TRY(add_item(l, key, kl_slice(at, len), origin, &list));
        if (at[len] == '\0') {
            break;
        }
        at += len + 1;
    }
    *(struct kl_config_list *)field_of(l->config, key) = list;
    return KL_OK;
}

static enum kl_rc set_list_toml(struct kl_config_loader *l, const struct kl_config_key *key,
    const struct kl_toml *array, const struct kl_config_origin *origin) {
    struct kl_config_list list;
    KL_TRY(new_list(l, key, origin, &list));
    for (const struct kl_toml *item = array->first; item != NULL; item = item->next) {
        if (item->type != KL_TOML_STRING || kl_slice_trim(item->text).len == 0) {
            return kl_config__fail(
                l, key, NULL, origin, "must be an array of strings that are not empty");
        }
        KL_TRY(add_item(l, key, item->text, origin, &list));
    }
    *(struct kl_config_list *)field_of(l->config, key) = list;
    return KL_OK;
}

/* ---- all of them ---- */

static void remember(struct kl_config_loader *l, const struct kl_config_key *key,
    const struct kl_config_origin *origin) {
    size_t count;
    l->origins[key - kl_config_keys(&count)] = *origin;
}

static enum kl_rc set_text(struct kl_config_loader *l, const struct kl_config_key *key,
    const char *text, const struct kl_config_origin *origin) {
    int64_t number;
    switch (key->type) {
    case KL_CONFIG_TYPE_INT:
        if (!kl_parse_i64(kl_slice_str(text), &number)) {
            KL_TRY(check_text(l, key, kl_slice_str(text), origin));
            return kl_config__fail(l, key, text, origin, "must be a whole number from %lld to %lld",
                (long long)key->min, (long long)key->max);
        }
        return set_int(l, key, number, text, origin);
    case KL_CONFIG_TYPE_BOOL:
        return set_bool_text(l, key, text, origin);
    case KL_CONFIG_TYPE_STR:
    case KL_CONFIG_TYPE_SECRET:
        return copy_text(l, key, kl_slice_str(text), origin, field_of(l->config, key));
    case KL_CONFIG_TYPE_LIST:
        return set_list_text(l, key, text, origin);
    case KL_CONFIG_TYPE_ENUM:
        return set_enum(l, key, kl_slice_str(text), origin);
    }
    KL_UNREACHABLE();
}

enum kl_rc kl_config__set_text(struct kl_config_loader *l, const struct kl_config_key *key,
    const char *text, const struct kl_config_origin *origin) {
    KL_TRY(set_text(l, key, text, origin));
    remember(l, key, origin);
    return KL_OK;
}

static enum kl_toml_type toml_type_of(enum kl_config_type type) {
    switch (type) {
    case KL_CONFIG_TYPE_INT:
        return KL_TOML_INTEGER;
    case KL_CONFIG_TYPE_BOOL:
        return KL_TOML_BOOLEAN;
    case KL_CONFIG_TYPE_LIST:
        return KL_TOML_ARRAY;
    default:
        return KL_TOML_STRING;
    }
}

enum kl_rc kl_config__set_toml(struct kl_config_loader *l, const struct kl_config_key *key,
    const struct kl_toml *value, const struct kl_config_origin *origin) {
    enum kl_toml_type wanted = toml_type_of(key->type);
    if (value->type != wanted) {
        return kl_config__fail(l, key, kl_toml_type_name(value->type), origin, "must be %s%s%s",
            kl_toml_type_name(wanted), key->choices[0] != '\0' ? ", one of " : "", key->choices);
    }
    char number[24];
    switch (key->type) {
    case KL_CONFIG_TYPE_INT:
        snprintf(number, sizeof(number), "%lld", (long long)value->integer);
        KL_TRY(set_int(l, key, value->integer, number, origin));
        break;
    case KL_CONFIG_TYPE_BOOL:
        *(bool *)field_of(l->config, key) = value->boolean;
        break;
    case KL_CONFIG_TYPE_LIST:
        KL_TRY(set_list_toml(l, key, value, origin));
        break;
    case KL_CONFIG_TYPE_ENUM:
        KL_TRY(set_enum(l, key, value->text, origin));
        break;
    default:
        KL_TRY(copy_text(l, key, value->text, origin, field_of(l->config, key)));
    }
    remember(l, key, origin);
    return KL_OK;
}

void kl_config_show(
    const struct kl_config *c, const struct kl_config_key *key, struct kl_buf *out) {
    const void *field = (const char *)c + key->offset;
    const char *const *text = field;
    const struct kl_config_list *list = field;
    const char *choice = key->choices;
    switch (key->type) {
    case KL_CONFIG_TYPE_INT:
        kl_buf_i64(out, *(const int64_t *)field);
        break;
    case KL_CONFIG_TYPE_BOOL:
        kl_buf_puts(out, *(const bool *)field ? "true" : "false");
        break;
    case KL_CONFIG_TYPE_STR:
        kl_buf_puts(out, *text);
        break;
    case KL_CONFIG_TYPE_SECRET:
        kl_buf_puts(out, **text != '\0' ? "****" : "");
        break;
    case KL_CONFIG_TYPE_LIST:
        for (size_t i = 0; i < list->count; i++) {
            kl_buf_printf(out, "%s%s", i > 0 ? "," : "", list->items[i]);
        }
        break;
    case KL_CONFIG_TYPE_ENUM:
        for (int i = *(const int *)field; i > 0; i--) {
            choice += strcspn(choice, "|") + 1;
        }
        kl_buf_append(out, choice, strcspn(choice, "|"));
        break;
    }
}
