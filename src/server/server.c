/* Wiring, from the ground up: data directory, store, catalog, tokens, live queries, engine,
 * network, root token. Taken down in the opposite order, by one function that accepts whatever
 * stands.
 *
 *     start    main thread
 *     run      main thread is loop 0
 *     stop     the signal thread: network takes no more work -> engine finishes what it has ->
 *              loops send the answers and end
 *     free     main thread
 *
 * A data directory belongs to one process: an advisory lock that dies with it. */
#include "server/server.h"

#include <stdlib.h>

#define FINISH_MS 5000

/* ---- data directory ---- */

static enum kl_rc open_data_dir(struct kl_server *s, struct kl_err *err) {
    const char *dir = s->config->storage_data_path;
    KL_TRY(kl_dir_make(dir, 0700, err));
    char *lock = kl_xprintf("%s/kalamdb.lock", dir);
    enum kl_rc rc = kl_file_lock(lock, &s->lock_fd, err);
    free(lock);
    if (rc == KL_E_EXISTS) {
        return kl_fail(err, rc, "the data directory %s is in use by another server", dir);
    }
    KL_TRY(rc);
    s->temp_dir = kl_xprintf("%s/tmp", dir);
    s->storage_dir = kl_xprintf("%s/storage", dir);
    if (kl_path_exists(s->temp_dir)) {
        KL_TRY(kl_dir_remove(s->temp_dir));
    }
    return kl_dir_make(s->temp_dir, 0700, err);
}

static enum kl_rc open_store(struct kl_server *s, struct kl_err *err) {
    const struct kl_config *c = s->config;
    char *path = kl_xprintf("%s/rocksdb", c->storage_data_path);
    struct kl_store_options o = {
        .path = path,
        .block_cache_bytes = (size_t)c->storage_rocksdb_block_cache_size,
        .write_buffer_bytes = (size_t)c->storage_write_buffer_bytes,
        .max_open_files = (int)c->storage_rocksdb_max_open_files,
        .background_jobs = (int)c->storage_rocksdb_max_background_jobs,
    };
    enum kl_rc rc = kl_store_open(&o, &s->store, err);
    free(path);
    KL_TRY(rc);
    return kl_catalog_open(s->store, (unsigned)c->storage_user_shards, &s->catalog, err);
}

static enum kl_rc open_tokens(struct kl_server *s, struct kl_err *err) {
    const struct kl_config *c = s->config;
    struct kl_tokens_options o = {
        .secret = kl_slice_str(c->auth_jwt_secret),
        .trusted_issuers = kl_slice_str(c->auth_jwt_trusted_issuers),
        .access_hours = (uint32_t)c->auth_jwt_expiry_hours,
    };
    return kl_tokens_new(s->store, &o, &s->tokens, err);
}

/* ---- engine ---- */

static void make_live(struct kl_server *s) {
    const struct kl_config *c = s->config;
    struct kl_live_options o = {
        .max_per_user = (uint32_t)c->rate_limit_max_subscriptions_per_user,
        .max_per_connection = (uint32_t)c->websocket_max_subscriptions_per_connection,
    };
    s->live = kl_live_new(&o);
}

static enum kl_executor executor_of(const struct kl_config *c) {
    switch ((enum kl_config_executor)c->execution_executor) {
    case KL_CONFIG_EXECUTOR_NATIVE:
        return KL_EXECUTOR_NATIVE;
    case KL_CONFIG_EXECUTOR_DUCKDB:
        return KL_EXECUTOR_DUCKDB;
    case KL_CONFIG_EXECUTOR_AUTO:
        break;
    }
    return KL_EXECUTOR_AUTO;
}

static enum kl_rc start_engine(struct kl_server *s, struct kl_err *err) {
    const struct kl_config *c = s->config;
    unsigned query_threads =
        c->execution_query_threads ? (unsigned)c->execution_query_threads : kl_cpu_count();
    struct kl_engine_options o = {
        .store = s->store,
        .catalog = s->catalog,
        .tokens = s->tokens,
        .ids = &s->ids,
        .sync = c->storage_durability == KL_CONFIG_DURABILITY_SYNC,
        .writers = (unsigned)c->execution_writers,
        .query_threads = query_threads,
        .executor = executor_of(c),
        .query_memory_bytes = (size_t)c->execution_query_memory_bytes / query_threads,
        .temp_dir = s->temp_dir,
        .storage_dir = s->storage_dir,
        .statement_timeout_ms = c->execution_statement_timeout_ms,
        .transaction_timeout_ms = c->execution_transaction_timeout_ms,
        .slow_statement_ms = c->logging_slow_statement_ms,
        .dba_stats = c->retention_enable_dba_stats,
        .dba_stats_days = (uint32_t)c->retention_dba_stats_retention_days,
        .row_cache_bytes = (size_t)c->storage_row_cache_bytes,
        .resident_bytes = (size_t)c->storage_resident_bytes,
        .default_query_limit = (uint64_t)c->limits_default_query_limit,
        .max_query_limit = (uint64_t)c->limits_max_query_limit,
        .max_sql_bytes = (size_t)c->limits_max_sql_bytes,
        .max_params = (uint32_t)c->execution_max_parameters,
        .max_param_bytes = (size_t)c->execution_max_parameter_size_bytes,
        .passwords = {.min_len = (unsigned)c->auth_min_password_length,
            .max_len = (unsigned)c->auth_max_password_length,
            .complexity = c->auth_enforce_password_complexity,
            .bcrypt_cost = (int)c->auth_bcrypt_cost},
        .stream_max_rows = (uint32_t)c->stream_default_max_buffer,
        .stream_max_bytes = (size_t)c->stream_max_memory_bytes,
        .plan_cache_entries = (size_t)c->execution_sql_plan_cache_max_entries,
        .deleted_retention_hours = (uint32_t)c->retention_default_deleted_retention_hours,
        .listener = kl_live_listener(s->live),
        .facts = kl_server_facts(s),
    };
    KL_TRY(kl_engine_start(&o, &s->engine, err));
    kl_live_attach(s->live, s->engine);
    return KL_OK;
}

/* ---- network ---- */

static char *join(const struct kl_config_list *list) {
    struct kl_buf b = {0};
    for (size_t i = 0; i < list->count; i++) {
        kl_buf_puts(&b, i ? ", " : "");
        kl_buf_puts(&b, list->items[i]);
    }
    kl_buf_putc(&b, '\0');
    return b.data;
}

static bool has_star(const struct kl_config_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], "*") == 0) {
            return true;
        }
    }
    return false;
}

static struct kl_net_cors cors_of(struct kl_server *s) {
    const struct kl_config *c = s->config;
    s->cors_methods = join(&c->security_cors_allowed_methods);
    s->cors_headers = has_star(&c->security_cors_allowed_headers)
                          ? kl_xstrdup("*")
                          : join(&c->security_cors_allowed_headers);
    s->cors_expose = join(&c->security_cors_expose_headers);
    return (struct kl_net_cors){
        .origins = c->security_cors_allowed_origins.items,
        .n_origins = c->security_cors_allowed_origins.count,
        .any_origin = has_star(&c->security_cors_allowed_origins),
        .credentials = c->security_cors_allow_credentials,
        .methods = s->cors_methods,
        .headers = s->cors_headers,
        .expose = s->cors_expose,
        .max_age_s = (uint32_t)c->security_cors_max_age,
    };
}

static enum kl_rc start_net(struct kl_server *s, struct kl_err *err) {
    const struct kl_config *c = s->config;
    struct kl_net_options o = {
        .engine = s->engine,
        .live = s->live,
        .tokens = s->tokens,
        .store = s->store,
        .host = c->server_host,
        .port = (int)c->server_port,
        .loops = c->server_workers ? (unsigned)c->server_workers : kl_cpu_count(),
        .backlog = (int)c->performance_backlog,
        .max_connections = (uint32_t)c->performance_max_connections,
        .keepalive_s = (uint32_t)c->performance_keepalive_timeout,
        .max_body_bytes = (size_t)c->rate_limit_request_body_limit_bytes,
        .max_result_bytes = (size_t)c->limits_max_result_bytes,
        .max_requests_per_ip_per_sec = (uint32_t)c->rate_limit_max_requests_per_ip_per_sec,
        .max_auth_per_ip_per_sec = (uint32_t)c->rate_limit_max_auth_requests_per_ip_per_sec,
        .max_queries_per_sec = (uint32_t)c->rate_limit_max_queries_per_sec,
        .ban_s = (uint32_t)c->rate_limit_ban_duration_seconds,
        .ws_messages_per_sec = (uint32_t)c->rate_limit_max_messages_per_sec,
        .ws_max_message_bytes = (size_t)c->security_max_ws_message_size,
        .ws_auth_timeout_s = (uint32_t)c->websocket_auth_timeout_secs,
        .ws_client_timeout_s = (uint32_t)c->websocket_client_timeout_secs,
        .ws_heartbeat_s = (uint32_t)c->websocket_heartbeat_interval_secs,
        .strict_ws_origin = c->security_strict_ws_origin_check,
        .cookie_secure = c->auth_cookie_secure,
        .allow_remote_setup = c->auth_allow_remote_setup,
        .connection_protection = c->rate_limit_enable_connection_protection,
        .trusted_proxies = c->security_trusted_proxy_ranges.items,
        .n_trusted_proxies = c->security_trusted_proxy_ranges.count,
        .cors = cors_of(s),
        .public_origin = c->server_public_origin[0] ? c->server_public_origin : NULL,
    };
    struct kl_net *net;
    KL_TRY(kl_net_start(&o, &net, &s->port, err));
    __atomic_store_n(&s->net, net, __ATOMIC_RELEASE); /* with the port: see facts.c */
    return KL_OK;
}

/* Without the token file everything works but the connection without a password from the same
 * machine. */
static void write_root_token(struct kl_server *s) {
    char token[65];
    struct kl_err err = {0};
    if (kl_root_token_write(s->port, token, &err) != KL_OK) {
        kl_log_warn("server", "no local root token: %s", err.msg);
        return;
    }
    s->root_token = true;
    kl_net_set_root_token(s->net, kl_slice_str(token));
}

/* ---- life ---- */

static enum kl_rc start(struct kl_server *s, struct kl_err *err) {
    KL_TRY(open_data_dir(s, err));
    KL_TRY(open_store(s, err));
    KL_TRY(open_tokens(s, err));
    make_live(s);
    KL_TRY(start_engine(s, err));
    KL_TRY(start_net(s, err));
    write_root_token(s);
    if (s->config->auth_root_password[0]) {
        kl_engine_set_root_password(s->engine, kl_slice_str(s->config->auth_root_password));
    }
    return KL_OK;
}

enum kl_rc kl_server_start(
    struct kl_server *s, const struct kl_config *config, struct kl_err *err) {
    *s = (struct kl_server){.config = config, .lock_fd = -1, .started_us = kl_clock_wall_us()};
    kl_snowflake_init(&s->ids, KL_SERVER_NODE);
    pthread_mutex_init(&s->cpu_lock, NULL);
    enum kl_rc rc = start(s, err);
    if (rc != KL_OK) {
        if (s->engine) {
            kl_engine_stop(s->engine);
        }
        kl_server_free(s);
    }
    return rc;
}

void kl_server_run(struct kl_server *s) {
    kl_net_run(s->net);
}

void kl_server_stop(struct kl_server *s) {
    kl_net_stop(s->net);
    kl_engine_stop(s->engine);
    kl_net_finish(s->net, FINISH_MS);
}

void kl_server_free(struct kl_server *s) {
    if (s->root_token) {
        kl_root_token_remove(s->port);
    }
    kl_net_free(s->net);
    if (s->live) {
        kl_live_free(s->live);
    }
    kl_engine_free(s->engine);
    kl_tokens_free(s->tokens);
    if (s->catalog) {
        kl_catalog_close(s->catalog);
    }
    kl_store_close(s->store);
    if (s->lock_fd >= 0) {
        kl_file_unlock(s->lock_fd);
    }
    free(s->temp_dir);
    free(s->storage_dir);
    free(s->cors_methods);
    free(s->cors_headers);
    free(s->cors_expose);
    pthread_mutex_destroy(&s->cpu_lock);
    *s = (struct kl_server){.lock_fd = -1};
}
