/* A server in a process of its own that answers as the test says: one connection at a time, one
 * callback per request. The callback sees the whole request and writes what it likes; false closes
 * the connection. */
#ifndef KL_TEST_FAKE_SERVER_H
#define KL_TEST_FAKE_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

typedef bool (*fake_answer)(int fd, const char *request, const char *body);

struct fake_server {
    pid_t pid;
    int port;
};

static inline void fake_write(int fd, const void *bytes, size_t n) {
    const char *p = bytes;
    while (n > 0) {
        ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
        if (w <= 0) {
            return;
        }
        p += w;
        n -= (size_t)w;
    }
}

static inline void fake_json(int fd, int status, const char *json) {
    char head[200];
    int n = snprintf(head, sizeof(head),
        "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", status,
        strlen(json));
    fake_write(fd, head, (size_t)n);
    fake_write(fd, json, strlen(json));
}

static inline void fake_serve(int fd, fake_answer answer) {
    static char text[1 << 20];
    size_t len = 0;
    for (;;) {
        ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, 0);
        if (n <= 0) {
            return;
        }
        len += (size_t)n;
        text[len] = '\0';
        char *end = strstr(text, "\r\n\r\n");
        if (end == NULL) {
            continue;
        }
        const char *length = strstr(text, "Content-Length: ");
        size_t body = length && length < end ? (size_t)atol(length + 16) : 0;
        if (len < (size_t)(end + 4 - text) + body) {
            continue;
        }
        end[2] = '\0';
        if (!answer(fd, text, end + 4)) {
            return;
        }
        len = 0;
    }
}

static inline struct fake_server fake_start(fake_answer answer) {
    struct fake_server server = {0};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 16) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        abort();
    }
    server.port = ntohs(address.sin_port);
    fflush(NULL);
    server.pid = fork();
    if (server.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            int fd = accept(listener, NULL, NULL);
            if (fd >= 0) {
                fake_serve(fd, answer);
                close(fd);
            }
        }
    }
    close(listener);
    return server;
}

static inline void fake_stop(struct fake_server *server) {
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
}

#endif
