/* addr.h - addresses, endpoints and prefixes as values.
 *
 * What it is: one 16-byte form for both families, so that tables, rules and maps need no second code path.
 * What it is not: a sockaddr; only gateway/hostsock.c converts to and from those.
 * Below: nothing.  Above: everybody.  RFC 4291 2.5.5.2 (the IPv4-mapped form is our internal form of IPv4).
 *
 * A mapped address (::ffff:a.b.c.d) inside an IPv6 packet would be mistaken for IPv4, so ip_wire refuses it at the edge.
 *
 * prefixes: addr_ prefix_ endpoint_
 */
#ifndef SLIRP_BASE_ADDR_H
#define SLIRP_BASE_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct addr {
	uint8_t b[16]; /* network order; IPv4 is ::ffff:a.b.c.d */
};

struct endpoint {
	struct addr addr;
	uint16_t port; /* host order */
};

struct prefix {
	struct addr addr; /* bits behind len are zero */
	uint8_t len;	  /* 0..128; an IPv4 /24 is 120 */
};

/* The exact key of a guest flow, seen from the guest: src is the guest's endpoint. */
struct tuple {
	struct endpoint guest;
	struct endpoint far;
};

enum { ADDR_STRLEN = 46, ENDPOINT_STRLEN = 56 }; /* with the closing NUL; "[v6]:port" */

extern const struct addr addr_any; /* :: */

static inline bool addr_is_v4(const struct addr *a)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	return !memcmp(a->b, mapped, sizeof(mapped));
}

static inline bool addr_eq(const struct addr *x, const struct addr *y)
{
	return !memcmp(x->b, y->b, sizeof(x->b));
}

static inline bool endpoint_eq(const struct endpoint *x, const struct endpoint *y)
{
	return x->port == y->port && addr_eq(&x->addr, &y->addr);
}

static inline bool tuple_eq(const struct tuple *x, const struct tuple *y)
{
	return endpoint_eq(&x->guest, &y->guest) && endpoint_eq(&x->far, &y->far);
}

/* From 4 or 16 bytes in network order. */
struct addr addr_from_v4(const uint8_t b[4]);
struct addr addr_from_v6(const uint8_t b[16]);
static inline const uint8_t *addr_v4_bytes(const struct addr *a)
{
	return a->b + 12;
}

bool addr_is_unspecified(const struct addr *a); /* 0.0.0.0 or :: */
bool addr_is_loopback(const struct addr *a);	/* 127/8 or ::1 */
bool addr_is_multicast(const struct addr *a);	/* 224/4 or ff00::/8 */
bool addr_is_broadcast4(const struct addr *a);	/* 255.255.255.255 */
bool addr_is_linklocal(const struct addr *a);	/* 169.254/16 or fe80::/10 */

/* Text to value; no name look-up.  *end, if not NULL, is where parsing stopped (also on failure: the wrong character);
 * with end == NULL the whole text must be an address. */
bool addr_parse(const char *text, struct addr *ret, const char **end);
/* "ADDR/LEN".  Host bits must be zero (if not, *end is the first character of LEN) unless host_bits is true: then they are
 * cleared, and *ret_host, if given, keeps the address as written. */
bool prefix_parse(const char *text, bool host_bits, struct prefix *ret, struct addr *ret_host, const char **end);

/* Value to text, RFC 5952 for IPv6; buf has ADDR_STRLEN or ENDPOINT_STRLEN bytes; returns buf. */
const char *addr_format(const struct addr *a, char *buf);
const char *endpoint_format(const struct endpoint *e, char *buf);

/* An IPv4 address is only in an IPv4 prefix: ::/0 is all of IPv6 and nothing else. */
bool prefix_contains(const struct prefix *p, const struct addr *a);
/* The n-th address of a prefix: base + n (n below 2^32). */
struct addr prefix_nth(const struct prefix *p, uint32_t n);

#endif
