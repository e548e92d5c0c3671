/* Who we are to the server: a token, a login, or the local root token.
 *
 * The local token is sent to this machine's loopback addresses only: anywhere else, whoever
 * answers could keep it. A server writes a new one at every start, so a refused statement makes us
 * read the file once more before we give up. */
#include "cli/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <openssl/crypto.h>
#include <unistd.h>

#define RATE_LIMIT_PATIENCE_MS 30000

static bool home_folder(char *ret, size_t size) {
    const char *home = getenv("HOME");
    struct passwd *entry = home && home[0] == '/' ? NULL : getpwuid(geteuid());
    home = home && home[0] == '/' ? home : entry ? entry->pw_dir : NULL;
    return home != NULL && snprintf(ret, size, "%s", home) < (int)size;
}

void kl_cli__token_paths(int port, char ret[2][4096]) {
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char home[4000];
    ret[0][0] = ret[1][0] = '\0';
    if (runtime && runtime[0] == '/' &&
        snprintf(ret[0], 4096, "%s/kalamdb/%d.token", runtime, port) >= 4096) {
        ret[0][0] = '\0';
    }
    if (home_folder(home, sizeof(home)) &&
        snprintf(ret[1], 4096, "%s/.kalam/run/%d.token", home, port) >= 4096) {
        ret[1][0] = '\0';
    }
}

/* One line of visible ASCII, from a regular file of ours. */
static bool read_token(const char *path, char *ret, size_t size) {
    struct stat st;
    int fd = path[0] ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0) {
        return false;
    }
    ssize_t n = -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid()) {
        n = read(fd, ret, size - 1);
    }
    close(fd);
    while (n > 0 && (ret[n - 1] == '\n' || ret[n - 1] == '\r')) {
        n--;
    }
    ret[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* The token of the first of the two files that holds another one than we used last: a server that
 * was killed leaves its file behind. */
static bool find_local_token(struct kl_cli *cli) {
    char paths[2][4096], token[8192];
    bool found = false;
    kl_cli__token_paths(cli->url.port, paths);
    for (int i = 0; i < 2 && !found; i++) {
        found = read_token(paths[i], token, sizeof(token)) &&
                (cli->local_secret == NULL || strcmp(cli->local_secret, token) != 0);
    }
    if (found) {
        kl_cli__forget_secret(cli);
        cli->local_secret = kl_xstrdup(token);
        kl_client_set_token(cli->client, token);
    }
    OPENSSL_cleanse(token, sizeof(token));
    return found;
}

void kl_cli__forget_secret(struct kl_cli *cli) {
    if (cli->local_secret != NULL) {
        OPENSSL_cleanse(cli->local_secret, strlen(cli->local_secret));
        free(cli->local_secret);
        cli->local_secret = NULL;
    }
}

static enum kl_rc not_running(struct kl_cli *cli, struct kl_err *err) {
    enum kl_rc rc = kl_client_connect(cli->client, err);
    if (rc == KL_E_IO && cli->url.tls) {
        kl_err_hint(
            err, "If the server speaks plain HTTP, write -u http://%.120s", cli->url.authority);
    } else if (rc == KL_E_IO || rc == KL_E_TIMEOUT) {
        kl_err_hint(err, "Is the server running? Start kalamdb-server, or name another place with "
                         "-u, -H or -p.");
    }
    return rc;
}

static enum kl_rc use_local_token(struct kl_cli *cli, struct kl_err *err) {
    if (!kl_url_is_local(&cli->url)) {
        kl_fail(
            err, KL_E_INVALID_CREDENTIALS, "a user is needed to connect to %s", cli->url.authority);
        kl_err_hint(err, "Give --user NAME or --token TOKEN. Only a server on this machine lets "
                         "its owner in without.");
        return KL_E_INVALID_CREDENTIALS;
    }
    if (find_local_token(cli)) {
        cli->local_token = true;
        return KL_OK;
    }
    KL_TRY(not_running(cli, err)); /* the better news first: without a server there is no token */
    char paths[2][4096];
    kl_cli__token_paths(cli->url.port, paths);
    kl_fail(err, KL_E_INVALID_CREDENTIALS,
        "no local root token for port %d: neither %.150s nor %.150s can be read", cli->url.port,
        paths[0][0] ? paths[0] : "$XDG_RUNTIME_DIR (not set)", paths[1]);
    kl_err_hint(err,
        "Run kalam as the operating-system user that runs the server, or log in with --user NAME.");
    return KL_E_INVALID_CREDENTIALS;
}

static enum kl_rc login(struct kl_cli *cli, struct kl_err *err) {
    KL_TRY(not_running(cli, err)); /* before anybody types a password */
    const char *password = cli->o.password ? cli->o.password : getenv("KALAMDB_PASSWORD");
    char typed[1024];
    if (password == NULL) {
        char question[200];
        snprintf(question, sizeof(question), "Password for %.100s: ", cli->o.user);
        if (!kl_cli__ask(question, false, typed, sizeof(typed))) {
            kl_fail(err, KL_E_INVALID_CREDENTIALS, "no password for user %s", cli->o.user);
            kl_err_hint(
                err, "Without a terminal to ask on, set KALAMDB_PASSWORD or give --password.");
            return KL_E_INVALID_CREDENTIALS;
        }
        password = typed;
    }
    enum kl_rc rc = kl_client_login(cli->client, cli->o.user, password, err);
    OPENSSL_cleanse(typed, sizeof(typed));
    return rc;
}

/* A server that was started again has another token in its file. */
static bool renew_local_token(struct kl_client *client, void *ctx) {
    struct kl_cli *cli = ctx;
    return cli->local_token && find_local_token(cli);
}

enum kl_rc kl_cli__connect(struct kl_cli *cli, struct kl_err *err) {
    if (cli->o.url != NULL) {
        KL_TRY(kl_url_parse(kl_slice_str(cli->o.url), &cli->url, err));
    } else {
        const char *host = cli->o.host ? cli->o.host : "localhost";
        KL_TRY(kl_url_from_host(kl_slice_str(host), cli->o.port, &cli->url, err));
    }
    struct kl_client_options options = {.url = cli->url,
        .timeout_ms = cli->o.timeout_ms,
        .cancel_fd = kl_cli__signals_init(),
        .renew = renew_local_token,
        .renew_ctx = cli};
    cli->client = kl_client_new(&options);
    const char *token = cli->o.token ? cli->o.token : cli->o.user ? NULL : getenv("KALAMDB_TOKEN");
    if (token != NULL && token[0] != '\0') {
        kl_client_set_token(cli->client, token);
        return not_running(cli, err);
    }
    if (cli->o.user != NULL) {
        return login(cli, err);
    }
    KL_TRY(use_local_token(cli, err));
    return not_running(cli, err);
}

static json_t *get_json(struct kl_cli *cli, const char *path) {
    struct kl_client_response response;
    if (kl_client_request(cli->client, "GET", path, KL_SLICE_NONE, &response, NULL) != KL_OK ||
        response.status != 200) {
        return NULL;
    }
    return json_loadb(response.body.ptr ? response.body.ptr : "", response.body.len, 0, NULL);
}

static void take_text(char **to, const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    if (text != NULL) {
        struct kl_buf clean;
        kl_buf_init(&clean, 4096);
        kl_cli__clean(&clean, kl_slice_str(text));
        kl_buf_putc(&clean, '\0');
        free(*to);
        *to = clean.failed ? NULL : kl_xstrdup(clean.data);
        kl_buf_deinit(&clean);
    }
}

void kl_cli__describe(struct kl_cli *cli) {
    json_t *me = get_json(cli, "/v1/api/auth/me"), *health = get_json(cli, "/v1/api/healthcheck");
    take_text(&cli->user, json_object_get(me, "user"), "id");
    take_text(&cli->role, json_object_get(me, "user"), "role");
    take_text(&cli->version, health, "version");
    json_decref(me);
    json_decref(health);
}

/* Sleeps; false when Ctrl+C came. */
static bool rest(int ms) {
    struct pollfd wake = {.fd = kl_cli__interrupt_fd(), .events = POLLIN};
    return poll(&wake, 1, ms) == 0;
}

/* A script is quicker than a server may allow one user to be. A statement that was refused for that
 * did not run, so it waits for its turn. */
enum kl_rc kl_cli__query(
    struct kl_cli *cli, struct kl_slice sql, struct kl_reply *ret, struct kl_err *err) {
    struct kl_query query = {.sql = sql, .namespace_id = cli->namespace_id};
    int64_t give_up = kl_clock_mono_ms() + RATE_LIMIT_PATIENCE_MS;
    for (int wait = 50;; wait = KL_MIN(wait * 2, 1000)) {
        KL_TRY(kl_client_query(cli->client, &query, ret, err));
        bool limited = ret->failed && strcmp(ret->code, "RATE_LIMIT_EXCEEDED") == 0;
        if (!limited || kl_clock_mono_ms() >= give_up || !rest(wait)) {
            return KL_OK;
        }
        kl_reply_deinit(ret);
    }
}
