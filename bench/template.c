/* Each placeholder becomes as many '~' as it has digits; where those ended up in the request, after
 * the text was put into JSON, tells where its digits go. */
#include "template.h"
#include "http.h"
#include <stdlib.h>
#include <string.h>

#define MARK '~'
#define WIDTH_MAX 19

struct kl_bench_hole {
    size_t at; /* in the request */
    unsigned width;
    bool random, ends_row; /* {n} grows after it */
    uint64_t min, count;   /* random only */
};

struct text {
    char *data;
    size_t len, size;
};

static void append(struct text *t, char c) {
    if (t->len + 1 >= t->size) {
        t->size = t->size ? t->size * 2 : 256;
        t->data = realloc(t->data, t->size);
        if (t->data == NULL) {
            kl_bench_die("out of memory");
        }
    }
    t->data[t->len++] = c;
    t->data[t->len] = '\0';
}

static struct kl_bench_hole *add_hole(struct kl_bench_template *t) {
    t->holes = reallocarray(t->holes, t->n_holes + 1, sizeof(*t->holes));
    if (t->holes == NULL) {
        kl_bench_die("out of memory");
    }
    t->holes[t->n_holes] = (struct kl_bench_hole){0};
    return &t->holes[t->n_holes++];
}

/* At a '{'. Returns the byte after the placeholder. */
static const char *read_hole(struct kl_bench_template *t, const char *at) {
    unsigned long long min = 0, max = 0;
    unsigned width = 0;
    int used = 0;
    bool counts = sscanf(at, "{n:%u}%n", &width, &used) == 1 && used > 0;
    if (!counts) {
        used = 0;
        sscanf(at, "{r:%u:%llu:%llu}%n", &width, &min, &max, &used);
    }
    if (used == 0 || width < 1 || width > WIDTH_MAX || max < min) {
        kl_bench_die("a placeholder that is none: %.40s", at);
    }
    struct kl_bench_hole *h = add_hole(t);
    h->width = width;
    h->random = !counts;
    h->min = min;
    h->count = max - min + 1;
    return at + used;
}

static void expand(struct kl_bench_template *t, const char *text, struct text *out) {
    while (*text) {
        if (*text == MARK) {
            kl_bench_die("a statement cannot hold %c", MARK);
        }
        if (*text != '{') {
            append(out, *text++);
            continue;
        }
        text = read_hole(t, text);
        for (unsigned i = 0; i < t->holes[t->n_holes - 1].width; i++) {
            append(out, MARK);
        }
    }
}

static void end_row(struct kl_bench_template *t) {
    if (t->n_holes > 0) {
        t->holes[t->n_holes - 1].ends_row = true;
    }
}

static void find_holes(struct kl_bench_template *t, size_t body_at) {
    char *at = t->request + body_at;
    for (size_t i = 0; i < t->n_holes; i++) {
        at = strchr(at, MARK);
        if (at == NULL || strspn(at, "~") != t->holes[i].width) {
            kl_bench_die("two placeholders need something between them");
        }
        t->holes[i].at = (size_t)(at - t->request);
        at += t->holes[i].width;
    }
}

void kl_bench_template_init(
    struct kl_bench_template *t, const struct kl_bench_template_options *o) {
    struct text sql = {0};
    *t = (struct kl_bench_template){.next = o->first};
    expand(t, o->sql, &sql);
    for (unsigned i = 0; o->row != NULL && i < o->repeat; i++) {
        append(&sql, i ? ',' : ' ');
        expand(t, o->row, &sql);
        end_row(t);
    }
    end_row(t);
    char *body = kl_bench_sql_body(sql.data);
    size_t body_len = strlen(body);
    t->request = kl_bench_http_post(o->path, o->token, body, body_len, &t->request_len);
    find_holes(t, t->request_len - body_len);
    free(body);
    free(sql.data);
}

static void put_digits(char *at, unsigned n, uint64_t value) {
    while (n > 0) {
        at[--n] = (char)('0' + value % 10);
        value /= 10;
    }
}

void kl_bench_template_fill(struct kl_bench_template *t, uint64_t (*random)(void)) {
    for (size_t i = 0; i < t->n_holes; i++) {
        const struct kl_bench_hole *h = &t->holes[i];
        uint64_t value = h->random ? h->min + random() % h->count : t->next;
        put_digits(t->request + h->at, h->width, value);
        t->next += h->ends_row;
    }
}
