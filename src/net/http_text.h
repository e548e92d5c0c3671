/* Small texts of HTTP: cookies, origins, addresses, query strings. No I/O, no h2o. */
#ifndef KL_NET_HTTP_TEXT_H
#define KL_NET_HTTP_TEXT_H

#include "base/base.h"

struct sockaddr;

/* ---- addresses ---- */
struct kl_ip {
    uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
};
struct kl_cidr {
    struct kl_ip net;
    unsigned bits; /* 0..128 */
};
#define KL_IP_TEXT_MAX 46
bool kl_ip_parse(struct kl_slice s, struct kl_ip *ret); /* also [::1] and a.b.c.d:port */
bool kl_ip_from_sockaddr(const struct sockaddr *sa, struct kl_ip *ret);
void kl_ip_format(const struct kl_ip *ip, char ret[KL_IP_TEXT_MAX]);
bool kl_ip_is_loopback(const struct kl_ip *ip);             /* 127.0.0.1 and ::1 */
bool kl_cidr_parse(struct kl_slice s, struct kl_cidr *ret); /* an address, or address/bits */
bool kl_cidr_match(const struct kl_cidr *c, const struct kl_ip *ip);
/* The client behind a proxy: the first address of X-Forwarded-For, else X-Real-IP. A loopback
 * address there is a lie. */
bool kl_forwarded_ip(struct kl_slice forwarded_for, struct kl_slice real_ip, struct kl_ip *ret);

/* ---- headers ---- */
/* Value of a cookie in a Cookie header, without quotes; ptr NULL when absent. The first one
 * wins. */
struct kl_slice kl_cookie_get(struct kl_slice header, const char *name);
/* The media type without parameters, case ignored. */
bool kl_media_type_is(struct kl_slice content_type, const char *want);
/* A parameter of a header value such as boundary="x"; quotes removed; ptr NULL when absent. */
struct kl_slice kl_header_param(struct kl_slice value, const char *name);
/* Whether a comma list holds the token, case ignored: Connection: keep-alive, Upgrade. */
bool kl_header_has_token(struct kl_slice value, const char *token);
/* 1..64 of [A-Za-z0-9._:-]: safe to log and send back. */
bool kl_request_id_ok(struct kl_slice id);
/* "Bearer x" -> x; scheme compares as written, one space; ptr NULL when it is another scheme or
 * nothing follows. */
struct kl_slice kl_auth_scheme(struct kl_slice authorization, const char *scheme);
/* "Sat, 01 Jan 2026 10:00:00 GMT" */
void kl_http_date(struct kl_buf *out, int64_t wall_us);

/* ---- origins ---- */
/* Exactly one of the list, but for the case of letters and a trailing slash in the list. */
bool kl_origin_listed(struct kl_slice origin, const char *const *list, size_t n);

/* ---- query strings ---- */
/* Raw (still encoded) value of a parameter; ptr NULL when absent. */
struct kl_slice kl_query_get(struct kl_slice query, const char *name);
/* Percent-decodes; '+' is a space. False for a broken escape. */
bool kl_percent_decode(struct kl_slice s, struct kl_buf *out);

#endif
