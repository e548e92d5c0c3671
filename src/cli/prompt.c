/* The interactive prompt, by libedit: history, lines that add up to statements, completion,
 * questions without echo.
 *
 * Ctrl+C at the prompt drops what was typed; while a statement runs it cancels that (see
 * signal.c). Statements that hold a password are not written to the history. */
#include "cli/internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#define HISTORY_LINES 5000
#define MAX_STATEMENT ((size_t)64 << 20)
#define MANY 100

struct prompt {
    struct kl_cli *cli;
    EditLine *el;
    History *history;
    struct kl_buf text; /* lines typed so far */
    char open;          /* what they leave open, 0 nothing */
    char line[80];
};

/* ---- questions ---- */

bool kl_cli__ask(const char *question, bool echo, char *ret, size_t size) {
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct termios old, quiet;
    if (fd < 0 || tcgetattr(fd, &old) != 0) {
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)(echo ? 0 : ECHO);
    tcsetattr(fd, TCSAFLUSH, &quiet);
    size_t n = 0;
    bool done = write(fd, question, strlen(question)) < 0, ok = false;
    while (!done) {
        char c;
        ssize_t got = read(fd, &c, 1);
        done = got <= 0 || c == '\n' || n + 1 == size;
        ok = got == 1 && c == '\n';
        if (!done) {
            ret[n++] = c;
        }
    }
    ret[n] = '\0';
    tcsetattr(fd, TCSAFLUSH, &old);
    if (!echo && write(fd, "\n", 1) < 0) {
        ok = false;
    }
    close(fd);
    return ok;
}

/* ---- history ---- */

static bool history_path(char *ret, size_t size) {
    const char *home = getenv("HOME");
    if (home == NULL || home[0] != '/' ||
        snprintf(ret, size, "%s/.kalam", home) >= (int)size - 16) {
        return false;
    }
    if (mkdir(ret, 0700) != 0 && errno != EEXIST) {
        return false;
    }
    strcat(ret, "/history");
    return true;
}

static bool has_secret(struct kl_slice text) {
    for (size_t i = 0; i + 8 <= text.len; i++) {
        if (kl_slice_ieq_str(kl_slice(text.ptr + i, 8), "password") ||
            kl_slice_ieq_str(kl_slice(text.ptr + i, 8), "credenti")) {
            return true;
        }
    }
    return false;
}

/* Whether the lines can become one: no end of a line stands in quotes, and none closes a comment.
 * */
static bool can_join(struct kl_slice text) {
    size_t lines = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '\n') {
            continue;
        }
        struct kl_split_part part = {0};
        size_t pos = 0;
        do {
            kl_cli__split_next(kl_slice(text.ptr, i), &pos, &part);
        } while (part.kind == KL_SPLIT_STATEMENT);
        if (++lines > 200 || (part.kind == KL_SPLIT_OPEN && strchr("'\"$*", part.open) != NULL)) {
            return false;
        }
    }
    return lines == 0 || memmem(text.ptr, text.len, "--", 2) == NULL;
}

static void remember(struct prompt *p, struct kl_slice text) {
    HistEvent event;
    text = kl_slice_trim(text);
    if (text.len == 0 || text.len > 64 * 1024 || has_secret(text) || !can_join(text)) {
        return;
    }
    char *line = kl_xprintf("%.*s", KL_FMT(text));
    for (char *c = line; *c; c++) {
        *c = *c == '\n' ? ' ' : *c;
    }
    history(p->history, &event, H_ENTER, line);
    free(line);
}

static void history_open(struct prompt *p) {
    HistEvent event;
    char path[4096];
    p->history = history_init();
    history(p->history, &event, H_SETSIZE, HISTORY_LINES);
    history(p->history, &event, H_SETUNIQUE, 1);
    if (history_path(path, sizeof(path))) {
        history(p->history, &event, H_LOAD, path);
    }
}

static void history_close(struct prompt *p) {
    HistEvent event;
    char path[4096];
    if (history_path(path, sizeof(path))) {
        mode_t old = umask(077);
        history(p->history, &event, H_SAVE, path);
        umask(old);
    }
    history_end(p->history);
}

/* ---- completion ---- */

static bool in_word(char c) {
    return isalnum((unsigned char)c) || (c & 0x80) || strchr("_.\"\\$?", c) != NULL;
}

static size_t common_prefix(char **list, size_t n) {
    size_t len = strlen(list[0]);
    for (size_t i = 1; i < n; i++) {
        size_t k = 0;
        while (k < len && list[i][k] == list[0][k]) {
            k++;
        }
        len = k;
    }
    while (len > 0 && ((unsigned char)list[0][len] & 0xC0) == 0x80) {
        len--;
    }
    return len;
}

static void show_candidates(struct prompt *p, char **list, size_t n) {
    struct kl_buf out = {0};
    int widest = 0, room = KL_MAX(kl_cli__terminal_width(p->cli), 40), used = 0;
    for (size_t i = 0; i < n && i < MANY; i++) {
        widest = KL_MAX(widest, kl_cli__width(kl_slice_str(list[i])));
    }
    kl_buf_putc(&out, '\n');
    for (size_t i = 0; i < n && i < MANY; i++) {
        kl_buf_puts(&out, list[i]);
        used += widest + 2;
        if (used + widest + 2 > room) {
            kl_buf_putc(&out, '\n');
            used = 0;
        } else {
            kl_cli__pad(&out, widest + 2 - kl_cli__width(kl_slice_str(list[i])));
        }
    }
    kl_buf_puts(&out, used > 0 ? "\n" : "");
    if (n > MANY) {
        kl_buf_printf(&out, "and %zu more\n", n - MANY);
    }
    kl_cli__print(p->cli, &out);
    kl_buf_deinit(&out);
}

static unsigned char on_tab(EditLine *el, int key) {
    struct prompt *p = NULL;
    el_get(el, EL_CLIENTDATA, &p);
    const LineInfo *line = el_line(el);
    const char *start = line->cursor;
    while (start > line->buffer && in_word(start[-1])) {
        start--;
    }
    struct kl_slice word = kl_slice(start, (size_t)(line->cursor - start));
    char *typed =
        kl_xprintf("%.*s", KL_FMT(word)); /* the line may move while the server is asked */
    char **list = NULL;
    size_t typed_len = word.len, n = kl_cli__complete(p->cli, kl_slice(typed, typed_len), &list);
    unsigned char result = n == 0 ? CC_REFRESH_BEEP : CC_REFRESH;
    kl_cli__interrupt_clear();
    size_t prefix = n > 0 ? common_prefix(list, n) : 0;
    if (prefix > typed_len || (n == 1 && prefix == typed_len)) {
        bool whole = n == 1 && prefix > 0 && list[0][prefix - 1] != '.';
        char *insert = kl_xprintf("%.*s%s", (int)prefix, list[0], whole ? " " : "");
        el_deletestr(el, (int)kl_utf8_len(kl_slice(typed, typed_len)));
        el_insertstr(el, insert);
        free(insert);
    } else if (n > 1) {
        show_candidates(p, list, n);
        result = CC_REDISPLAY;
    }
    for (size_t i = 0; i < n; i++) {
        free(list[i]);
    }
    free(list);
    free(typed);
    return result;
}

/* ---- lines ---- */

static char *prompt_line(EditLine *el) {
    struct prompt *p = NULL;
    el_get(el, EL_CLIENTDATA, &p);
    const char *name = p->cli->namespace_id ? p->cli->namespace_id : "kalam";
    if (p->open == 0) {
        snprintf(p->line, sizeof(p->line), "%.60s> ", name);
    } else {
        char mark = p->open == ';' ? '-' : p->open == 't' ? '*' : p->open;
        int indent = KL_MIN(kl_cli__width(kl_slice_str(name)), 60);
        snprintf(p->line, sizeof(p->line), "%*c> ", indent, mark);
    }
    return p->line;
}

/* The next character, or -1 for Ctrl+C. libedit's own reader would miss one that comes just before
 * its read and wait for another key. */
static int read_char(EditLine *el, wchar_t *ret) {
    mbstate_t state = {0};
    struct pollfd fds[2] = {
        {.fd = STDIN_FILENO, .events = POLLIN}, {.fd = kl_cli__interrupt_fd(), .events = POLLIN}};
    for (;;) {
        int n = poll(fds, 2, -1);
        if (fds[1].revents != 0 && n > 0) {
            errno = EINTR;
            return -1;
        }
        if (n <= 0) {
            continue; /* a signal that libedit deals with */
        }
        char byte;
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (got <= 0) {
            return (int)got;
        }
        size_t done = mbrtowc(ret, &byte, 1, &state);
        if (done == (size_t)-1) {
            state = (mbstate_t){0}; /* not UTF-8: as if it had not been typed */
        } else if (done != (size_t)-2) {
            return 1;
        }
    }
}

static bool prompt_open(struct prompt *p) {
    p->el = el_init("kalam", stdin, stdout, stderr);
    if (p->el == NULL) {
        return false;
    }
    history_open(p);
    el_set(p->el, EL_CLIENTDATA, p);
    el_set(p->el, EL_PROMPT, prompt_line);
    el_set(p->el, EL_EDITOR, "emacs");
    el_set(p->el, EL_SIGNAL, 1); /* it follows the size of the window, and stops and resumes */
    el_set(p->el, EL_GETCFN, read_char);
    el_set(p->el, EL_HIST, history, p->history);
    el_set(p->el, EL_ADDFN, "kalam-complete", "Complete the word", on_tab);
    el_set(p->el, EL_BIND, "^I", "kalam-complete", NULL);
    el_set(p->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(p->el, NULL);
    return true;
}

/* Runs every part of the text that is complete and keeps the rest for the next line. */
static void run_typed(struct prompt *p) {
    size_t pos = 0, done = 0;
    struct kl_cli_source source = {NULL, kl_buf_view(&p->text)};
    p->open = 0;
    while (!p->cli->quit && !kl_cli__interrupted() && !p->cli->out_failed) {
        struct kl_split_part part;
        kl_cli__split_next(source.all, &pos, &part);
        if (part.kind == KL_SPLIT_NONE) {
            done = p->text.len;
            break;
        }
        if (part.kind == KL_SPLIT_OPEN) {
            p->open = part.open;
            break;
        }
        done = pos;
        remember(p, part.text);
        if (part.kind == KL_SPLIT_COMMAND) {
            kl_cli__run_command(p->cli, part.text);
        } else {
            struct kl_cli_source one = {NULL, part.text};
            kl_cli__run_sql(p->cli, part.text, &one, 0);
        }
    }
    if (kl_cli__interrupted()) {
        kl_cli__interrupt_clear();
        done = p->text.len;
        p->open = 0;
    }
    memmove(p->text.data, p->text.data + done, p->text.len - done);
    p->text.len -= done;
}

/* In the middle of a statement a backslash line is about the typing, not part of it. */
static bool handle_escape(struct prompt *p, struct kl_slice line) {
    struct kl_slice word = kl_slice_trim(line);
    bool inside_quotes = p->open == '\'' || p->open == '"' || p->open == '$' || p->open == '*';
    if (p->open == 0 || inside_quotes || word.len == 0 || word.ptr[0] != '\\') {
        return false;
    }
    if (kl_slice_eq_str(word, "\\r")) {
        kl_buf_clear(&p->text);
        p->open = 0;
    } else {
        kl_cli__run_command(p->cli, word);
    }
    return true;
}

static void drop_line(struct prompt *p) {
    kl_cli__interrupt_clear();
    kl_buf_clear(&p->text);
    p->open = 0;
    fputs("^C\n", stdout);
    fflush(stdout);
    el_reset(p->el);
}

int kl_cli__prompt(struct kl_cli *cli) {
    struct prompt p = {.cli = cli};
    kl_buf_init(&p.text, MAX_STATEMENT);
    if (!prompt_open(&p)) {
        fprintf(stderr, "kalam: the terminal cannot be used for editing\n");
        return 1;
    }
    while (!cli->quit && !cli->out_failed) {
        int count = 0;
        const char *line = el_gets(p.el, &count);
        if (kl_cli__interrupted()) {
            drop_line(&p);
            continue;
        }
        if (line == NULL || count <= 0) {
            fputc('\n', stdout);
            break;
        }
        if (handle_escape(&p, kl_slice(line, (size_t)count))) {
            continue;
        }
        kl_buf_append(&p.text, line, (size_t)count);
        if (p.text.failed) {
            fprintf(stderr, "kalam: a statement is at most 64 MiB\n");
            kl_buf_clear(&p.text);
            continue;
        }
        run_typed(&p);
    }
    history_close(&p);
    el_end(p.el);
    kl_buf_deinit(&p.text);
    return cli->out_failed ? 1 : 0;
}
