/* One DuckDB instance in memory: made, locked, and made again when it broke.
 *
 * What it must not do is switched off before the first statement: no files, no extensions, no
 * further settings. What remains reachable from SQL is computation and our scans; the printer's
 * allow-list stands before that. */
#include "duck/internal.h"

#include <stdio.h>
#include <stdlib.h>

static enum kl_rc set_option(
    duckdb_config config, const char *name, const char *value, struct kl_err *err) {
    if (kl_dk.set_config(config, name, value) != DuckDBSuccess) {
        return kl_fail(err, KL_E_INTERNAL, "the analytical engine refuses the setting %s", name);
    }
    return KL_OK;
}

static size_t memory_bytes(const struct kl_duck *d) {
    return d->options.memory_bytes ? d->options.memory_bytes : (size_t)512 << 20;
}

static enum kl_rc fill_config(struct kl_duck *d, duckdb_config config, struct kl_err *err) {
    static const char *const fixed[][2] = {
        {"threads", "1"},
        {"integer_division", "true"},
        {"default_null_order", "nulls_last_on_asc_first_on_desc"},
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
        {"allow_community_extensions", "false"},
        {"preserve_insertion_order", "true"},
    };
    for (size_t i = 0; i < KL_LEN(fixed); i++) {
        KL_TRY(set_option(config, fixed[i][0], fixed[i][1], err));
    }
    char memory[32];
    snprintf(memory, sizeof(memory), "%zuB", memory_bytes(d));
    KL_TRY(set_option(config, "memory_limit", memory, err));
    /* An empty name means no spilling; the default would be a folder beside the process. It cannot
     * change any more once access is off. */
    KL_TRY(set_option(config, "temp_directory", d->temp_dir ? d->temp_dir : "", err));
    return set_option(config, "enable_external_access", "false", err);
}

static enum kl_rc run_setup(struct kl_duck *d, const char *sql, struct kl_err *err) {
    duckdb_result result;
    enum kl_rc rc = KL_OK;
    if (kl_dk.query(d->con, sql, &result) != DuckDBSuccess) {
        const char *why = kl_dk.result_error(&result);
        rc = kl_fail(err, KL_E_INTERNAL, "cannot set up the analytical engine: %s", why ? why : "");
    }
    kl_dk.destroy_result(&result);
    return rc;
}

static void close_instance(struct kl_duck *d) {
    kl_duck__forget_all(d);
    if (d->con) {
        kl_dk.disconnect(&d->con);
    }
    if (d->db) {
        kl_dk.close(&d->db);
    }
    d->con = NULL;
    d->db = NULL;
}

static enum kl_rc open_instance(struct kl_duck *d, struct kl_err *err) {
    duckdb_config config;
    if (kl_dk.create_config(&config) != DuckDBSuccess) {
        return kl_fail(err, KL_E_NOMEM, "cannot configure the analytical engine");
    }
    char *why = NULL;
    enum kl_rc rc = fill_config(d, config, err);
    if (rc == KL_OK && kl_dk.open_ext(":memory:", &d->db, config, &why) != DuckDBSuccess) {
        d->db = NULL;
        rc = kl_fail(err, KL_E_INTERNAL, "cannot open the analytical engine: %s", why ? why : "");
    }
    kl_dk.free(why);
    kl_dk.destroy_config(&config);
    if (rc == KL_OK && kl_dk.connect(d->db, &d->con) != DuckDBSuccess) {
        d->con = NULL;
        rc = kl_fail(err, KL_E_INTERNAL, "cannot connect to the analytical engine");
    }
    /* The zone's setting belongs to a part that exists only now, so the lock comes last. */
    const char *const setup[] = {"SET TimeZone='UTC'", "SET lock_configuration=true"};
    for (size_t i = 0; rc == KL_OK && i < KL_LEN(setup); i++) {
        rc = run_setup(d, setup[i], err);
    }
    if (rc == KL_OK) {
        rc = kl_duck__register_scans(d, err);
    }
    if (rc == KL_OK) {
        rc = kl_duck__register_functions(d, err);
    }
    if (rc != KL_OK) {
        close_instance(d);
    }
    return rc;
}

enum kl_rc kl_duck_new(
    const struct kl_duck_options *options, struct kl_duck **ret, struct kl_err *err) {
    KL_TRY(kl_duck__load(err));
    struct kl_duck *d = kl_xcalloc(1, sizeof(*d));
    d->options = *options;
    d->options.temp_dir = NULL;
    d->temp_dir = options->temp_dir && *options->temp_dir ? kl_xstrdup(options->temp_dir) : NULL;
    kl_map_init(&d->plans);
    kl_arena_init(&d->native_arena, KL_DUCK_NATIVE_BYTES);
    kl_duck__watch_open();
    enum kl_rc rc = open_instance(d, err);
    if (rc != KL_OK) {
        kl_duck_free(d);
        return rc;
    }
    *ret = d;
    return KL_OK;
}

void kl_duck_free(struct kl_duck *d) {
    if (!d) {
        return;
    }
    KL_ASSERT(!d->query);
    close_instance(d);
    kl_map_deinit(&d->plans);
    kl_arena_deinit(&d->native_arena);
    kl_duck__watch_close();
    free(d->temp_dir);
    free(d->natives);
    free(d);
}

enum kl_rc kl_duck__reopen_if_broken(struct kl_duck *d, struct kl_err *err) {
    if (d->con && !d->broken) {
        return KL_OK;
    }
    close_instance(d);
    KL_TRY(open_instance(d, err));
    d->broken = false;
    return KL_OK;
}

enum kl_rc kl_duck__fail(struct kl_duck *d, const struct kl_err *err) {
    if (d->failure.rc == KL_OK) {
        d->failure = *err;
    }
    return err->rc;
}

enum kl_rc kl_duck__check(struct kl_duck *d, struct kl_err *err) {
    const struct kl_duck_query *q = d->query;
    if (q->cancelled && atomic_load_explicit(q->cancelled, memory_order_relaxed)) {
        return kl_fail(err, KL_E_CANCELLED, "canceling statement due to user request");
    }
    if (q->deadline_mono_ns && kl_clock_mono_ns() >= q->deadline_mono_ns) {
        return kl_fail(err, KL_E_TIMEOUT, "canceling statement due to statement timeout");
    }
    return KL_OK;
}

size_t kl_duck__vector_bytes(const struct kl_duck *d) {
    return memory_bytes(d) / 4;
}
