/* The whole server as one object: what main() starts and stops. The only place that knows every
 * folder. */
#ifndef KL_SERVER_SERVER_H
#define KL_SERVER_SERVER_H

#include "net/net.h"
#include "server/config.h"

#include <pthread.h>

#define KL_SERVER_NODE 1 /* number of this node: a server by itself */

struct kl_server {
    const struct kl_config *config; /* borrowed */
    int lock_fd;                    /* of the data directory, -1: none */
    char *temp_dir, *storage_dir;
    struct kl_store *store;
    struct kl_catalog *catalog;
    struct kl_tokens *tokens;
    struct kl_snowflake ids;
    struct kl_live *live;
    struct kl_engine *engine;
    struct kl_net *net;
    char *cors_methods, *cors_headers, *cors_expose;
    int port;
    bool root_token; /* the file stands */
    int64_t started_us;
    /* processor time of late; guarded by cpu_lock */
    pthread_mutex_t cpu_lock;
    int64_t cpu_at_us, cpu_used_us;
    double cpu_percent;
};

/* Everything up to the listening sockets and the root token; connections are served by
 * kl_server_run. On failure nothing is left behind. Blocking. */
enum kl_rc kl_server_start(struct kl_server *s, const struct kl_config *config, struct kl_err *err);
/* Serves on the calling thread until kl_server_stop. */
void kl_server_run(struct kl_server *s);
/* Finishes what was accepted, answers it, ends kl_server_run. Once, from a thread that is not a
 * loop's. */
void kl_server_stop(struct kl_server *s);
void kl_server_free(struct kl_server *s); /* accepts a half-started one */

/* What system.* shows beyond what the engine knows; ctx is the server. */
struct kl_engine_facts kl_server_facts(struct kl_server *s);
/* Path of the log file that logging.logs_path asks for; the caller frees it. */
char *kl_server_log_file(const struct kl_config *c);

#endif
