/* api/config.def as tables, and look-ups in them: exact, by variable, by resemblance. All linear: a
 * few hundred names, read at start only. Immutable; any thread. */
#include "server/config_internal.h"

/* In the order of struct kl_config_key. */
#define KEY(key, type, def, min, max, choices, env, doc, field)                                    \
    {key, type, def, min, max, choices, env, doc, offsetof(struct kl_config, field)},

static const struct kl_config_key keys[] = {
#define KL_CONFIG_INT(key, field, def, min, max, env, doc)                                         \
    KEY(key, KL_CONFIG_TYPE_INT, #def, min, max, "", env, doc, field)
#define KL_CONFIG_BOOL(key, field, def, env, doc)                                                  \
    KEY(key, KL_CONFIG_TYPE_BOOL, #def, 0, 0, "", env, doc, field)
#define KL_CONFIG_STR(key, field, def, env, doc)                                                   \
    KEY(key, KL_CONFIG_TYPE_STR, def, 0, 0, "", env, doc, field)
#define KL_CONFIG_SECRET(key, field, env, doc)                                                     \
    KEY(key, KL_CONFIG_TYPE_SECRET, "", 0, 0, "", env, doc, field)
#define KL_CONFIG_LIST(key, field, def, env, doc)                                                  \
    KEY(key, KL_CONFIG_TYPE_LIST, def, 0, 0, "", env, doc, field)
#define KL_CONFIG_ENUM(key, field, def, choices, env, doc)                                         \
    KEY(key, KL_CONFIG_TYPE_ENUM, def, 0, 0, choices, env, doc, field)
#include "../../api/config.def"
};

static const struct kl_config_other others[] = {
#define KL_CONFIG_ALIAS(k, e, target)                                                              \
    {.kind = KL_CONFIG_OTHER_ALIAS, .key = k, .env = e, .text = target},
#define KL_CONFIG_IGNORED(k, e, why)                                                               \
    {.kind = KL_CONFIG_OTHER_IGNORED, .key = k, .env = e, .text = why},
#define KL_CONFIG_REFUSED(k, e, why)                                                               \
    {.kind = KL_CONFIG_OTHER_REFUSED, .key = k, .env = e, .text = why},
#include "../../api/config.def"
};

const struct kl_config_key *kl_config_keys(size_t *ret_count) {
    *ret_count = KL_LEN(keys);
    return keys;
}

const struct kl_config_key *kl_config__find(struct kl_slice key) {
    for (size_t i = 0; i < KL_LEN(keys); i++) {
        if (kl_slice_eq_str(key, keys[i].key)) {
            return &keys[i];
        }
    }
    return NULL;
}

const struct kl_config_key *kl_config__find_env(struct kl_slice name) {
    for (size_t i = 0; i < KL_LEN(keys); i++) {
        if (name.len > 0 && kl_slice_eq_str(name, keys[i].env)) {
            return &keys[i];
        }
    }
    return NULL;
}

/* `*` stands for one part of the key; as the last part, for all that follows. */
static bool pattern_matches(const char *pattern, struct kl_slice key) {
    const char *end = key.ptr + key.len;
    const char *at = key.ptr;
    for (; *pattern != '\0'; pattern++) {
        if (*pattern != '*') {
            if (at == end || *at != *pattern) {
                return false;
            }
            at++;
            continue;
        }
        const char *from = at;
        while (at < end && (pattern[1] == '\0' || *at != '.')) {
            at++;
        }
        if (at == from) {
            return false;
        }
    }
    return at == end;
}

const struct kl_config_other *kl_config__find_other(struct kl_slice key) {
    for (size_t i = 0; i < KL_LEN(others); i++) {
        if (key.len > 0 && pattern_matches(others[i].key, key)) {
            return &others[i];
        }
    }
    return NULL;
}

const struct kl_config_other *kl_config__find_other_env(struct kl_slice name) {
    for (size_t i = 0; i < KL_LEN(others); i++) {
        if (name.len > 0 && kl_slice_eq_str(name, others[i].env)) {
            return &others[i];
        }
    }
    return NULL;
}

/* Whether `key` (a pattern) has more parts than `path` and begins with them. */
static bool begins_with(const char *key, struct kl_slice path) {
    const char *end = path.ptr + path.len;
    for (const char *at = path.ptr; at < end; key++) {
        if (*key == '*') {
            while (at < end && *at != '.') {
                at++;
            }
        } else if (*key == '\0' || *key != *at++) {
            return false;
        }
    }
    return *key == '.';
}

bool kl_config__is_section(struct kl_slice path) {
    for (size_t i = 0; i < KL_LEN(keys); i++) {
        if (begins_with(keys[i].key, path)) {
            return true;
        }
    }
    for (size_t i = 0; i < KL_LEN(others); i++) {
        if (begins_with(others[i].key, path)) {
            return true;
        }
    }
    return false;
}

/* ---- resemblance ---- */

static struct kl_slice last_part(struct kl_slice key) {
    const char *dot = memrchr(key.ptr, '.', key.len);
    return dot != NULL ? kl_slice_from(key, (size_t)(dot + 1 - key.ptr)) : key;
}

const char *kl_config__nearest(struct kl_slice key) {
    const char *best = NULL;
    size_t best_distance = key.len < 8 ? 3 : 4; /* further away is no slip of the pen */
    for (size_t i = 0; i < KL_LEN(keys); i++) {
        size_t d = kl_slice_distance(key, kl_slice_str(keys[i].key));
        if (d < best_distance) {
            best_distance = d;
            best = keys[i].key;
        }
    }
    for (size_t i = 0; best == NULL && i < KL_LEN(keys); i++) {
        if (kl_slice_eq(last_part(key), last_part(kl_slice_str(keys[i].key)))) {
            best = keys[i].key; /* right name, wrong section */
        }
    }
    return best;
}

const char *kl_config__nearest_env(struct kl_slice name) {
    const char *best = NULL;
    size_t best_distance = 3;
    for (size_t i = 0; i < KL_LEN(keys); i++) {
        size_t d = kl_slice_distance(name, kl_slice_str(keys[i].env));
        if (keys[i].env[0] != '\0' && d < best_distance) {
            best_distance = d;
            best = keys[i].env;
        }
    }
    return best;
}
