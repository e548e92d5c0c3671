/* to_char() of points in time, intervals; to_date() and to_timestamp() of text: PostgreSQL's template patterns.
 *
 * A format is read pattern by pattern from one table; what is no pattern stands for itself (behind
 * a backslash and in double quotes always). FM before a pattern drops its padding, TH behind it adds
 * the ending of an ordinal number. */
#include "sql/func_internal.h"

#include <stdio.h>

#define ARGS                                                                                       \
    const struct kl_expr *e, struct kl_eval *ev, const struct kl_val *args, struct kl_val *ret,    \
        struct kl_err *err
#define US_PER_SEC INT64_C(1000000)
#define US_PER_MIN (60 * US_PER_SEC)
#define US_PER_HOUR (60 * US_PER_MIN)
#define US_PER_DAY (24 * US_PER_HOUR)

enum pattern {
    P_NONE,
    P_AD,
    P_AM,
    P_CC,
    P_D,
    P_DAY,
    P_DD,
    P_DDD,
    P_DY,
    P_FF,
    P_HH12,
    P_HH24,
    P_ID,
    P_IDDD,
    P_IW,
    P_IY,
    P_J,
    P_MI,
    P_MM,
    P_MON,
    P_MONTH,
    P_MS,
    P_OF,
    P_Q,
    P_RM,
    P_SS,
    P_SSSS,
    P_TZ,
    P_TZH,
    P_TZM,
    P_US,
    P_W,
    P_WW,
    P_Y,
    P_Y_YYY
};
/* In the case it is written in: MONTH, Month, month; numbers in any. digits: of the field. */
static const struct pattern_word {
    const char *text;
    enum pattern pattern;
    int digits;
} words[] = {{"A.D.", P_AD, 2}, {"a.d.", P_AD, 2}, {"AD", P_AD, 1}, {"ad", P_AD, 1},
    {"B.C.", P_AD, 2}, {"b.c.", P_AD, 2}, {"BC", P_AD, 1}, {"bc", P_AD, 1}, {"A.M.", P_AM, 2},
    {"a.m.", P_AM, 2}, {"P.M.", P_AM, 2}, {"p.m.", P_AM, 2}, {"AM", P_AM, 1}, {"am", P_AM, 1},
    {"PM", P_AM, 1}, {"pm", P_AM, 1}, {"CC", P_CC, 2}, {"DAY", P_DAY, 0}, {"Day", P_DAY, 0},
    {"day", P_DAY, 0}, {"DDD", P_DDD, 3}, {"DD", P_DD, 2}, {"DY", P_DY, 0}, {"Dy", P_DY, 0},
    {"dy", P_DY, 0}, {"D", P_D, 1}, {"FF1", P_FF, 1}, {"FF2", P_FF, 2}, {"FF3", P_FF, 3},
    {"FF4", P_FF, 4}, {"FF5", P_FF, 5}, {"FF6", P_FF, 6}, {"HH24", P_HH24, 2}, {"HH12", P_HH12, 2},
    {"HH", P_HH12, 2}, {"IDDD", P_IDDD, 3}, {"ID", P_ID, 1}, {"IW", P_IW, 2}, {"IYYY", P_IY, 4},
    {"IYY", P_IY, 3}, {"IY", P_IY, 2}, {"I", P_IY, 1}, {"J", P_J, 7}, {"MI", P_MI, 2},
    {"MONTH", P_MONTH, 0}, {"Month", P_MONTH, 0}, {"month", P_MONTH, 0}, {"MON", P_MON, 0},
    {"Mon", P_MON, 0}, {"mon", P_MON, 0}, {"MM", P_MM, 2}, {"MS", P_MS, 3}, {"OF", P_OF, 0},
    {"Q", P_Q, 1}, {"RM", P_RM, 0}, {"rm", P_RM, 0}, {"SSSSS", P_SSSS, 5}, {"SSSS", P_SSSS, 5},
    {"SS", P_SS, 2}, {"TZH", P_TZH, 2}, {"TZM", P_TZM, 2}, {"TZ", P_TZ, 0}, {"tz", P_TZ, 0},
    {"US", P_US, 6}, {"WW", P_WW, 2}, {"W", P_W, 1}, {"Y,YYY", P_Y_YYY, 4}, {"YYYY", P_Y, 4},
    {"YYY", P_Y, 3}, {"YY", P_Y, 2}, {"Y", P_Y, 1}};

static bool has_case(enum pattern p) {
    return p == P_AD || p == P_AM || p == P_DAY || p == P_DY || p == P_MON || p == P_MONTH ||
           p == P_RM || p == P_TZ;
}

struct token {
    const struct pattern_word *word; /* NULL: a literal character */
    struct kl_slice literal;
    bool fill, ordinal, upper_ordinal; /* fill: without FM */
    bool quoted;
};

static const struct pattern_word *word_at(struct kl_slice s) {
    for (size_t i = 0; i < KL_LEN(words); i++) {
        size_t n = strlen(words[i].text);
        struct kl_slice head = kl_slice(s.ptr, n);
        if (s.len >= n && (has_case(words[i].pattern) ? kl_slice_eq_str(head, words[i].text)
                                                      : kl_slice_ieq_str(head, words[i].text))) {
            return &words[i];
        }
    }
    return NULL;
}

/* The next pattern or character of a format. in_quotes belongs to the reader. */
static bool next_token(struct kl_slice *s, bool *in_quotes, struct token *t) {
    *t = (struct token){.fill = true};
    while (s->len > 0) {
        if (*in_quotes || *s->ptr == '"' || (*s->ptr == '\\' && s->len > 1)) {
            if (*s->ptr == '"') {
                *in_quotes = !*in_quotes;
                *s = kl_slice_from(*s, 1);
                continue;
            }
            if (*s->ptr == '\\' && s->len > 1 && (*in_quotes || s->ptr[1] == '"')) {
                *s = kl_slice_from(*s, 1);
            }
            t->quoted = true;
            break;
        }
        if (kl_slice_starts_with(*s, KL_S("FM")) || kl_slice_starts_with(*s, KL_S("fm"))) {
            t->fill = false;
            *s = kl_slice_from(*s, 2);
            continue;
        }
        if (kl_slice_starts_with(*s, KL_S("FX")) || kl_slice_starts_with(*s, KL_S("fx")) ||
            kl_slice_starts_with(*s, KL_S("TM"))) {
            *s = kl_slice_from(*s, 2);
            continue;
        }
        break;
    }
    if (s->len == 0) {
        return false;
    }
    t->word = t->quoted ? NULL : word_at(*s);
    if (!t->word) {
        size_t width = kl_utf8_char(*s, NULL);
        t->literal = kl_slice(s->ptr, width);
        *s = kl_slice_from(*s, width);
        return true;
    }
    *s = kl_slice_from(*s, strlen(t->word->text));
    if (s->len >= 2 && kl_slice_ieq_str(kl_slice(s->ptr, 2), "th")) {
        t->ordinal = true;
        t->upper_ordinal = *s->ptr == 'T';
        *s = kl_slice_from(*s, 2);
    }
    return true;
}

/* ---- writing ---- */

static const char *const months[] = {"January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December"};
static const char *const days[] = {
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char *const romans[] = {
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"};

struct broken {
    int64_t year, month, mday, us; /* us: of the day, or all of an interval's time */
    int32_t day;                   /* since 1970-01-01 */
    bool interval;
};

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

static struct broken break_down(const struct kl_val *v) {
    struct broken b = {0};
    if (v->type == KL_T_INTERVAL) {
        b.interval = true;
        b.year = v->iv.months / 12;
        b.month = v->iv.months % 12;
        b.mday = v->iv.days;
        b.us = v->iv.us;
        return b;
    }
    int year, month, mday;
    b.day = (int32_t)(v->type == KL_T_DATE ? v->i : floor_div(v->i, US_PER_DAY));
    b.us = v->type == KL_T_DATE ? 0 : v->i - b.day * US_PER_DAY;
    kl_date_to_ymd(b.day, &year, &month, &mday);
    b.year = year;
    b.month = month;
    b.mday = mday;
    return b;
}

static int weekday(int32_t day) {
    return (int)(((int64_t)day % 7 + 11) % 7);
}

static void iso_week(int32_t day, int *ret_year, int *ret_week, int *ret_day) {
    int from_monday = (weekday(day) + 6) % 7, month, mday;
    int32_t thursday = day - from_monday + 3;
    kl_date_to_ymd(thursday, ret_year, &month, &mday);
    *ret_week = (thursday - kl_date_from_ymd(*ret_year, 1, 1)) / 7 + 1;
    *ret_day = (*ret_week - 1) * 7 + from_monday + 1;
}

static int64_t power_of_ten(int n) {
    int64_t v = 1;
    while (n-- > 0) {
        v *= 10;
    }
    return v;
}

static void put_number(const struct token *t, int64_t v, int width, struct kl_buf *out) {
    char text[32];
    int n = snprintf(text, sizeof(text), "%0*lld", t->fill ? width + (v < 0) : 0, (long long)v);
    kl_buf_append(out, text, (size_t)n);
    if (t->ordinal) {
        int64_t last = v % 10, tens = v / 10 % 10;
        const char *th = tens == 1   ? "th"
                         : last == 1 ? "st"
                         : last == 2 ? "nd"
                         : last == 3 ? "rd"
                                     : "th";
        for (; *th; th++) {
            kl_buf_putc(out, (char)(t->upper_ordinal ? *th - 32 : *th));
        }
    }
}

/* A name in the case of the pattern: MONTH, Month, month. */
static void put_name(const struct token *t, const char *name, int width, struct kl_buf *out) {
    char first = t->word->text[0], second = t->word->text[1];
    int n = 0;
    for (; name[n]; n++) {
        char c = name[n];
        bool upper = first >= 'A' && first <= 'Z' && (n == 0 || second < 'a');
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        kl_buf_putc(out, !letter ? c : (char)(upper ? c & ~32 : c | 32));
    }
    for (; t->fill && n < width; n++) {
        kl_buf_putc(out, ' ');
    }
}

static void put_three(const struct token *t, const char *name, struct kl_buf *out) {
    char three[4] = {name[0], name[1], name[2], '\0'};
    put_name(t, three, 3, out);
}

static const char *dotted(const struct token *t, const char *plain, const char *with_dots) {
    return t->word->digits == 2 ? with_dots : plain;
}

static bool put_time(const struct token *t, const struct broken *b, struct kl_buf *out) {
    int64_t hour = b->us / US_PER_HOUR, sub = b->us % US_PER_SEC;
    switch (t->word->pattern) {
    case P_AM:
        put_name(t, hour % 24 >= 12 ? dotted(t, "PM", "P.M.") : dotted(t, "AM", "A.M."), 0, out);
        return true;
    case P_HH12:
        put_number(t, hour % 12 == 0 ? 12 : hour % 12, 2, out);
        return true;
    case P_HH24:
        put_number(t, hour, 2, out);
        return true;
    case P_MI:
        put_number(t, b->us / US_PER_MIN % 60, 2, out);
        return true;
    case P_SS:
        put_number(t, b->us / US_PER_SEC % 60, 2, out);
        return true;
    case P_SSSS:
        put_number(t, b->us / US_PER_SEC, 1, out);
        return true;
    case P_MS:
        put_number(&(struct token){.fill = true, .ordinal = t->ordinal}, sub / 1000, 3, out);
        return true;
    case P_US:
        put_number(&(struct token){.fill = true, .ordinal = t->ordinal}, sub, 6, out);
        return true;
    case P_FF:
        put_number(&(struct token){.fill = true, .ordinal = t->ordinal},
            sub / power_of_ten(6 - t->word->digits), t->word->digits, out);
        return true;
    default:
        return false;
    }
}

static bool put_date(const struct token *t, const struct broken *b, struct kl_buf *out) {
    switch (t->word->pattern) {
    case P_DD:
        put_number(t, b->mday, 2, out);
        return true;
    case P_MM:
        put_number(t, b->month, 2, out);
        return true;
    case P_Y:
        put_number(t, t->word->digits == 4 ? b->year : b->year % power_of_ten(t->word->digits),
            t->word->digits, out);
        return true;
    case P_Y_YYY:
        put_number(&(struct token){.fill = false}, b->year / 1000, 1, out);
        kl_buf_putc(out, ',');
        put_number(&(struct token){.fill = true, .ordinal = t->ordinal}, b->year % 1000, 3, out);
        return true;
    case P_Q:
        if (b->month) {
            put_number(t, (b->month - 1) / 3 + 1, 1, out);
        }
        return true;
    case P_CC:
        put_number(t, b->interval ? b->year / 100 : (b->year + 99) / 100, 2, out);
        return true;
    case P_MONTH:
    case P_MON:
    case P_RM:
        if (b->month < 1) {
            return true;
        }
        if (t->word->pattern == P_MON) {
            put_three(t, months[b->month - 1], out);
        } else {
            bool roman = t->word->pattern == P_RM;
            put_name(t, roman ? romans[b->month - 1] : months[b->month - 1], roman ? 4 : 9, out);
        }
        return true;
    default:
        return false;
    }
}

static bool put_day(const struct token *t, const struct broken *b, struct kl_buf *out) {
    int year, week, day;
    iso_week(b->day, &year, &week, &day);
    int64_t of_year = b->day - kl_date_from_ymd((int)b->year, 1, 1) + 1;
    switch (t->word->pattern) {
    case P_AD:
        put_name(t, dotted(t, "AD", "A.D."), 0, out);
        return true;
    case P_D:
        put_number(t, weekday(b->day) + 1, 1, out);
        return true;
    case P_ID:
        put_number(t, (weekday(b->day) + 6) % 7 + 1, 1, out);
        return true;
    case P_DAY:
        put_name(t, days[weekday(b->day)], 9, out);
        return true;
    case P_DY:
        put_three(t, days[weekday(b->day)], out);
        return true;
    case P_DDD:
        put_number(t, of_year, 3, out);
        return true;
    case P_IDDD:
        put_number(t, day, 3, out);
        return true;
    case P_IW:
        put_number(t, week, 2, out);
        return true;
    case P_IY:
        put_number(t, t->word->digits == 4 ? year : year % power_of_ten(t->word->digits),
            t->word->digits, out);
        return true;
    case P_J:
        put_number(t, (int64_t)b->day + 2440588, 1, out);
        return true;
    case P_W:
        put_number(t, (b->mday - 1) / 7 + 1, 1, out);
        return true;
    case P_WW:
        put_number(t, (of_year - 1) / 7 + 1, 2, out);
        return true;
    default:
        return false;
    }
}

static enum kl_rc put_zone(
    const struct token *t, uint8_t type, struct kl_buf *out, struct kl_err *err) {
    bool zoned = type == KL_T_DATETIME;
    switch (t->word->pattern) {
    case P_TZ:
        kl_buf_puts(out, !zoned ? "" : t->word->text[0] == 'T' ? "UTC" : "utc");
        return KL_OK;
    case P_OF:
    case P_TZH:
        kl_buf_puts(
            out, zoned || t->word->pattern == P_TZH || t->word->pattern == P_OF ? "+00" : "");
        return KL_OK;
    case P_TZM:
        kl_buf_puts(out, "00");
        return KL_OK;
    default:
        return kl_fail(err, KL_E_EXEC, "invalid format specification for an interval value: \"%s\"",
            t->word->text);
    }
}

enum kl_rc kl_func__to_char(ARGS) {
    struct kl_slice format = kl_val_slice(&args[1]);
    struct broken b = break_down(&args[0]);
    struct kl_buf out;
    struct token t;
    bool in_quotes = false;
    enum kl_rc rc = KL_OK;
    kl_buf_init(&out, 0);
    while (rc == KL_OK && next_token(&format, &in_quotes, &t)) {
        if (!t.word) {
            kl_buf_slice(&out, t.literal);
        } else if (!put_time(&t, &b, &out) && !put_date(&t, &b, &out) &&
                   (b.interval || !put_day(&t, &b, &out))) {
            rc = put_zone(&t, args[0].type, &out, err);
        }
    }
    if (rc != KL_OK) {
        kl_buf_deinit(&out);
        return rc;
    }
    return kl_func__take(ev, &out, KL_T_TEXT, ret, err);
}

/* ---- reading ---- */

struct fields {
    int64_t year, month, day, hour, minute, second, us, year_day, half, julian, seconds_of_day;
    int64_t offset_us;
    bool has_year, hour12, has_offset, negative_offset;
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_separator(char c) {
    return !is_digit(c) && !((c | 32) >= 'a' && (c | 32) <= 'z') && (unsigned char)c < 0x80 &&
           !is_space(c);
}

static void skip_spaces(struct kl_slice *s) {
    while (s->len > 0 && is_space(*s->ptr)) {
        *s = kl_slice_from(*s, 1);
    }
}

static enum kl_rc bad_field(const struct token *t, struct kl_slice s, struct kl_err *err) {
    return kl_fail(err, KL_E_TYPE, "invalid value \"%.*s\" for \"%s\"",
        (int)KL_MIN(s.len, (size_t)32), s.ptr, t->word->text);
}

/* ret_digits: how many there were. open: as many as there are. */
static enum kl_rc read_number(const struct token *t, bool open, struct kl_slice *s, int64_t *ret,
    int *ret_digits, struct kl_err *err) {
    struct kl_slice all = *s;
    int most = open ? 9 : t->word->digits, n = 0;
    for (*ret = 0; s->len > 0 && is_digit(*s->ptr) && n < most; n++) {
        *ret = *ret * 10 + (*s->ptr - '0');
        *s = kl_slice_from(*s, 1);
    }
    *ret_digits = n;
    return n > 0 ? KL_OK
                 : bad_field(t, kl_slice(all.ptr, KL_MIN(all.len, (size_t)t->word->digits)), err);
}

static bool read_name(
    struct kl_slice *s, const char *const *names, size_t n, size_t length, int64_t *ret) {
    for (size_t i = 0; i < n; i++) {
        size_t len = length ? length : strlen(names[i]);
        if (s->len >= len && kl_slice_ieq(kl_slice(s->ptr, len), kl_slice(names[i], len))) {
            *s = kl_slice_from(*s, len);
            *ret = (int64_t)i;
            return true;
        }
    }
    return false;
}

static int64_t full_year(int64_t year, int digits) {
    return digits >= 4   ? year
           : digits == 3 ? year + (year < 520 ? 2000 : 1000)
           : year < 70   ? year + 2000
                         : year + 1900;
}

static enum kl_rc read_word(
    const struct token *t, struct kl_slice *s, struct fields *f, struct kl_err *err) {
    int64_t v;
    switch (t->word->pattern) {
    case P_MONTH:
    case P_MON:
        if (!read_name(s, months, 12, t->word->pattern == P_MON ? 3 : 0, &v) &&
            !read_name(s, months, 12, 3, &v)) {
            return bad_field(t, *s, err);
        }
        f->month = v + 1;
        return KL_OK;
    case P_RM:
        for (size_t i = 12; i-- > 0;) { /* the longer ones first */
            static const int order[] = {0, 4, 9, 1, 3, 5, 8, 10, 2, 6, 11, 7};
            if (read_name(s, &romans[order[i]], 1, 0, &v)) {
                f->month = order[i] + 1;
                return KL_OK;
            }
        }
        return bad_field(t, *s, err);
    case P_DAY:
    case P_DY:
        return read_name(s, days, 7, t->word->pattern == P_DY ? 3 : 0, &v) ? KL_OK
                                                                           : bad_field(t, *s, err);
    case P_AM: {
        static const char *const halves[] = {"A.M.", "P.M.", "AM", "PM"};
        if (!read_name(s, halves, 4, 0, &v)) {
            return bad_field(t, *s, err);
        }
        f->half = v % 2 + 1;
        return KL_OK;
    }
    case P_TZH:
        f->negative_offset = s->len > 0 && *s->ptr == '-';
        if (s->len > 0 && (*s->ptr == '-' || *s->ptr == '+')) {
            *s = kl_slice_from(*s, 1);
        }
        return KL_OK;
    default:
        return KL_OK;
    }
}

static enum kl_rc store_number(const struct token *t, int64_t v, int digits, struct kl_slice given,
    struct fields *f, struct kl_err *err) {
    switch (t->word->pattern) {
    case P_Y:
        f->year = full_year(v, t->word->digits == 4 ? KL_MAX(digits, 4) : digits);
        f->has_year = true;
        return KL_OK;
    case P_MM:
        f->month = v;
        return KL_OK;
    case P_DD:
        f->day = v;
        return KL_OK;
    case P_DDD:
        f->year_day = v;
        return KL_OK;
    case P_HH12:
        f->hour12 = true;
        f->hour = v;
        return KL_OK;
    case P_HH24:
        f->hour = v;
        return KL_OK;
    case P_MI:
        f->minute = v;
        return KL_OK;
    case P_SS:
        f->second = v;
        return KL_OK;
    case P_SSSS:
        f->seconds_of_day = v;
        return KL_OK;
    case P_MS:
    case P_US:
    case P_FF:
        f->us = v * power_of_ten(6 - digits);
        return KL_OK;
    case P_J:
        f->julian = v;
        return KL_OK;
    case P_TZH:
        f->has_offset = true;
        f->offset_us += v * US_PER_HOUR;
        return KL_OK;
    case P_TZM:
        f->offset_us += v * US_PER_MIN;
        return KL_OK;
    case P_D:
    case P_ID:
    case P_Q:
        return KL_OK; /* they say nothing that the date does not */
    default:
        return kl_fail(err, KL_E_UNSUPPORTED, "the pattern \"%s\" is not supported for reading",
            t->word->text);
    }
}

static bool is_word(enum pattern p) {
    return p == P_MONTH || p == P_MON || p == P_RM || p == P_DAY || p == P_DY || p == P_AM;
}

static enum kl_rc read_field(
    const struct token *t, bool open, struct kl_slice *s, struct fields *f, struct kl_err *err) {
    int64_t v;
    int digits;
    struct kl_slice given = *s;
    skip_spaces(s);
    KL_TRY(read_word(t, s, f, err));
    if (is_word(t->word->pattern)) {
        return KL_OK;
    }
    if (t->word->pattern == P_Y && s->len > 0 && *s->ptr == '-') {
        return kl_fail(err, KL_E_UNSUPPORTED, "years before 1 are not supported");
    }
    KL_TRY(read_number(
        t, open && t->word->pattern != P_MS && t->word->pattern != P_US, s, &v, &digits, err));
    if (t->ordinal && s->len >= 2) {
        *s = kl_slice_from(*s, 2);
    }
    return store_number(t, v, digits, given, f, err);
}

static enum kl_rc out_of_range(struct kl_slice text, struct kl_err *err) {
    return kl_fail(err, KL_E_TYPE, "date/time field value out of range: \"%.*s\"",
        (int)KL_MIN(text.len, (size_t)64), text.ptr);
}

static enum kl_rc compose(
    const struct fields *f, struct kl_slice text, int64_t *ret, struct kl_err *err) {
    int64_t hour = f->hour, day;
    if (f->hour12) {
        if (hour < 1 || hour > 12) {
            enum kl_rc rc = kl_fail(
                err, KL_E_TYPE, "hour \"%lld\" is invalid for the 12-hour clock", (long long)hour);
            kl_err_hint(err, "Use the 24-hour clock, or give an hour between 1 and 12.");
            return rc;
        }
        hour = hour % 12 + (f->half == 2 ? 12 : f->half == 1 ? 0 : hour == 12 ? 12 : 0);
        hour = f->half == 0 ? f->hour % 24 : hour;
    }
    if (hour > 23 || f->minute > 59 || f->second > 59 || f->seconds_of_day >= 86400 ||
        f->year > 9999 || (f->has_year && f->year < 1) || f->month > 12) {
        return out_of_range(text, err);
    }
    int year = f->has_year ? (int)f->year : 1;
    int month = f->month ? (int)f->month : 1, mday = f->day ? (int)f->day : 1, y, m, d;
    if (mday > 31 || f->month < 0) {
        return out_of_range(text, err);
    }
    day = kl_date_from_ymd(year, month, mday);
    kl_date_to_ymd((int32_t)day, &y, &m, &d);
    if (m != month || d != mday) {
        return out_of_range(text, err);
    }
    if (f->julian) {
        day = f->julian - 2440588;
    } else if (f->year_day) {
        day = kl_date_from_ymd(year, 1, 1) + f->year_day - 1;
        if (f->year_day > 366) {
            return out_of_range(text, err);
        }
    }
    *ret = day * US_PER_DAY + hour * US_PER_HOUR + f->minute * US_PER_MIN + f->second * US_PER_SEC +
           f->us + f->seconds_of_day * US_PER_SEC -
           (f->negative_offset ? -f->offset_us : f->offset_us);
    return KL_OK;
}

/* A separator of the format stands for any or none of the text; other characters for any one. */
static void skip_literal(const struct token *t, struct kl_slice *s) {
    if (t->literal.len == 1 && is_space(*t->literal.ptr)) {
        skip_spaces(s);
    } else if (t->quoted || !is_separator(*t->literal.ptr)) {
        if (s->len > 0) {
            *s = kl_slice_from(*s, kl_utf8_char(*s, NULL));
        }
    } else {
        skip_spaces(s);
        if (s->len > 0 && is_separator(*s->ptr)) {
            *s = kl_slice_from(*s, 1);
        }
    }
}

/* The field may take all digits when no other field follows at once. */
static bool ends_field(struct kl_slice format) {
    return format.len == 0 || !word_at(format);
}

static enum kl_rc read_text(
    struct kl_slice text, struct kl_slice format, int64_t *ret, struct kl_err *err) {
    struct fields f = {0};
    struct kl_slice s = text;
    struct token t;
    bool in_quotes = false;
    skip_spaces(&s);
    while (next_token(&format, &in_quotes, &t)) {
        if (s.len == 0) {
            break; /* what is missing has its default */
        }
        if (t.word) {
            if (t.word->pattern != P_TZH && s.len > 0 && is_separator(*s.ptr) && *s.ptr != '-' &&
                *s.ptr != '+') {
                s = kl_slice_from(s, 1);
            }
            KL_TRY(read_field(&t, ends_field(format), &s, &f, err));
        } else {
            skip_literal(&t, &s);
        }
    }
    return compose(&f, text, ret, err);
}

enum kl_rc kl_func__to_timestamp_text(ARGS) {
    int64_t us;
    KL_TRY(read_text(kl_val_slice(&args[0]), kl_val_slice(&args[1]), &us, err));
    *ret = kl_val_int(KL_T_DATETIME, us);
    return KL_OK;
}

enum kl_rc kl_func__to_date(ARGS) {
    int64_t us;
    KL_TRY(read_text(kl_val_slice(&args[0]), kl_val_slice(&args[1]), &us, err));
    *ret = kl_val_int(KL_T_DATE, floor_div(us, US_PER_DAY));
    return KL_OK;
}
