/* Cookies, origins, addresses, query strings: pure functions over slices. Any thread. */
#include "net/http_text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

/* ---- addresses ---- */

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

static struct kl_ip from_v4(const void *four) {
    struct kl_ip ip;
    memcpy(ip.bytes, v4_prefix, 12);
    memcpy(ip.bytes + 12, four, 4);
    return ip;
}

bool kl_ip_parse(struct kl_slice s, struct kl_ip *ret) {
    char text[KL_IP_TEXT_MAX];
    s = kl_slice_trim(s);
    if (s.len && s.ptr[0] == '[') {
        const char *close = memchr(s.ptr, ']', s.len);
        if (!close) {
            return false;
        }
        s = kl_slice(s.ptr + 1, (size_t)(close - s.ptr) - 1);
    } else {
        const char *colon = s.len ? memchr(s.ptr, ':', s.len) : NULL;
        bool only = colon && !memchr(colon + 1, ':', s.len - (size_t)(colon + 1 - s.ptr));
        s.len = only ? (size_t)(colon - s.ptr) : s.len; /* IPv4 with a port */
    }
    if (!s.len || s.len >= sizeof text) {
        return false;
    }
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    struct in_addr four;
    if (inet_pton(AF_INET, text, &four) == 1) {
        *ret = from_v4(&four);
        return true;
    }
    return inet_pton(AF_INET6, text, ret->bytes) == 1;
}

bool kl_ip_from_sockaddr(const struct sockaddr *sa, struct kl_ip *ret) {
    if (sa->sa_family == AF_INET) {
        *ret = from_v4(&((const struct sockaddr_in *)(const void *)sa)->sin_addr);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        memcpy(ret->bytes, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
        return true;
    }
    return false;
}

static bool is_v4(const struct kl_ip *ip) {
    return memcmp(ip->bytes, v4_prefix, 12) == 0;
}

void kl_ip_format(const struct kl_ip *ip, char ret[KL_IP_TEXT_MAX]) {
    const void *from = is_v4(ip) ? ip->bytes + 12 : ip->bytes;
    if (!inet_ntop(is_v4(ip) ? AF_INET : AF_INET6, from, ret, KL_IP_TEXT_MAX)) {
        snprintf(ret, KL_IP_TEXT_MAX, "?");
    }
}

bool kl_ip_is_loopback(const struct kl_ip *ip) {
    static const uint8_t one[16] = {[15] = 1};
    static const uint8_t v4[4] = {127, 0, 0, 1};
    return memcmp(ip->bytes, one, 16) == 0 || (is_v4(ip) && memcmp(ip->bytes + 12, v4, 4) == 0);
}

bool kl_cidr_parse(struct kl_slice s, struct kl_cidr *ret) {
    s = kl_slice_trim(s);
    const char *slash = s.len ? memchr(s.ptr, '/', s.len) : NULL;
    struct kl_slice address = slash ? kl_slice(s.ptr, (size_t)(slash - s.ptr)) : s;
    struct kl_cidr c = {.bits = 128};
    if (!kl_ip_parse(address, &c.net)) {
        return false;
    }
    if (slash) {
        uint64_t bits;
        unsigned base = is_v4(&c.net) && memchr(address.ptr, '.', address.len) ? 96 : 0;
        if (!kl_parse_u64(kl_slice_from(s, address.len + 1), &bits) || bits > 128 - base) {
            return false;
        }
        c.bits = base + (unsigned)bits;
    }
    *ret = c;
    return true;
}

bool kl_cidr_match(const struct kl_cidr *c, const struct kl_ip *ip) {
    unsigned whole = c->bits / 8, rest = c->bits % 8;
    if (memcmp(c->net.bytes, ip->bytes, whole) != 0) {
        return false;
    }
    unsigned mask = rest ? 0xFFu << (8 - rest) & 0xFFu : 0;
    return rest == 0 || ((c->net.bytes[whole] ^ ip->bytes[whole]) & mask) == 0;
}

bool kl_forwarded_ip(struct kl_slice forwarded_for, struct kl_slice real_ip, struct kl_ip *ret) {
    const char *comma =
        forwarded_for.len ? memchr(forwarded_for.ptr, ',', forwarded_for.len) : NULL;
    struct kl_slice first =
        comma ? kl_slice(forwarded_for.ptr, (size_t)(comma - forwarded_for.ptr)) : forwarded_for;
    struct kl_ip ip;
    bool found = kl_ip_parse(first, &ip) || kl_ip_parse(real_ip, &ip);
    if (!found || kl_ip_is_loopback(&ip)) {
        return false;
    }
    *ret = ip;
    return true;
}

/* ---- headers ---- */

/* Takes the part before the separator off the front. */
static struct kl_slice next_part(struct kl_slice *rest, char separator) {
    const char *at = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    struct kl_slice part = at ? kl_slice(rest->ptr, (size_t)(at - rest->ptr)) : *rest;
    *rest = at ? kl_slice_from(*rest, part.len + 1) : KL_SLICE_NONE;
    return kl_slice_trim(part);
}

static struct kl_slice unquote(struct kl_slice s) {
    bool quoted = s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"';
    return quoted ? kl_slice(s.ptr + 1, s.len - 2) : s;
}

struct kl_slice kl_cookie_get(struct kl_slice header, const char *name) {
    while (header.len) {
        struct kl_slice pair = next_part(&header, ';');
        const char *equals = pair.len ? memchr(pair.ptr, '=', pair.len) : NULL;
        size_t key_len = equals ? (size_t)(equals - pair.ptr) : 0;
        if (equals && kl_slice_eq_str(kl_slice(pair.ptr, key_len), name)) {
            return unquote(kl_slice_from(pair, key_len + 1));
        }
    }
    return KL_SLICE_NONE;
}

bool kl_media_type_is(struct kl_slice content_type, const char *want) {
    return kl_slice_ieq_str(next_part(&content_type, ';'), want);
}

struct kl_slice kl_header_param(struct kl_slice value, const char *name) {
    next_part(&value, ';');
    while (value.len) {
        struct kl_slice pair = kl_slice_trim(value);
        const char *equals = memchr(pair.ptr, '=', pair.len);
        if (!equals) {
            return KL_SLICE_NONE;
        }
        struct kl_slice key = kl_slice_trim(kl_slice(pair.ptr, (size_t)(equals - pair.ptr)));
        struct kl_slice rest = kl_slice_from(pair, (size_t)(equals - pair.ptr) + 1);
        struct kl_slice text;
        if (rest.len && rest.ptr[0] == '"') {
            const char *close = memchr(rest.ptr + 1, '"', rest.len - 1);
            if (!close) {
                return KL_SLICE_NONE;
            }
            text = kl_slice(rest.ptr + 1, (size_t)(close - rest.ptr) - 1);
            value = kl_slice_from(rest, (size_t)(close - rest.ptr) + 1);
            next_part(&value, ';');
        } else {
            value = rest;
            text = next_part(&value, ';');
        }
        if (kl_slice_ieq_str(key, name)) {
            return text;
        }
    }
    return KL_SLICE_NONE;
}

bool kl_header_has_token(struct kl_slice value, const char *token) {
    while (value.len) {
        if (kl_slice_ieq_str(next_part(&value, ','), token)) {
            return true;
        }
    }
    return false;
}

bool kl_request_id_ok(struct kl_slice id) {
    if (id.len < 1 || id.len > 64) {
        return false;
    }
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        bool ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                  c == '.' || c == '_' || c == ':' || c == '-';
        if (!ok) {
            return false;
        }
    }
    return true;
}

struct kl_slice kl_auth_scheme(struct kl_slice authorization, const char *scheme) {
    size_t n = strlen(scheme);
    bool match = authorization.len > n + 1 && memcmp(authorization.ptr, scheme, n) == 0 &&
                 authorization.ptr[n] == ' ' && authorization.ptr[n + 1] != ' ';
    return match ? kl_slice_from(authorization, n + 1) : KL_SLICE_NONE;
}

void kl_http_date(struct kl_buf *out, int64_t wall_us) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    kl_buf_printf(out, "%.3s, %02d %.3s %d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday, tm.tm_mday,
        months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* ---- origins ---- */

bool kl_origin_listed(struct kl_slice origin, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct kl_slice entry = kl_slice_str(list[i]);
        if (entry.len && entry.ptr[entry.len - 1] == '/') {
            entry.len--;
        }
        if (entry.len && kl_slice_ieq(origin, entry)) {
            return true;
        }
    }
    return false;
}

/* ---- query strings ---- */

struct kl_slice kl_query_get(struct kl_slice query, const char *name) {
    while (query.len) {
        struct kl_slice pair = next_part(&query, '&');
        const char *equals = pair.len ? memchr(pair.ptr, '=', pair.len) : NULL;
        struct kl_slice key = equals ? kl_slice(pair.ptr, (size_t)(equals - pair.ptr)) : pair;
        if (kl_slice_eq_str(key, name)) {
            return equals ? kl_slice_from(pair, key.len + 1) : kl_slice("", 0);
        }
    }
    return KL_SLICE_NONE;
}

bool kl_percent_decode(struct kl_slice s, struct kl_buf *out) {
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '+') {
            kl_buf_putc(out, ' ');
        } else if (s.ptr[i] != '%') {
            kl_buf_putc(out, s.ptr[i]);
        } else {
            if (s.len - i < 3 || !kl_hex_decode(out, kl_slice(s.ptr + i + 1, 2))) {
                return false;
            }
            i += 2;
        }
    }
    return !out->failed;
}
