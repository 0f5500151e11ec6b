/* addr.c - addresses and prefixes: from text, to text, and the few questions asked about them.
 *
 * What it is not: a resolver or a converter to sockaddr.  inet_pton() is not used: it cannot say which character is
 * wrong, nor stop at the port or the prefix length behind an address.
 * Below: nothing.  Above: everybody.  RFC 4291 2.2 (text forms), RFC 5952 (the one form we print), RFC 6943 3.1.1 (no
 * octal).
 */
#include "slirp/base/addr.h"

enum { V6_GROUPS = 8, V4_IN_V6_BITS = 96 };

const struct addr addr_any;

/* A text walk: `at` moves forward and, when a step fails, stands on the wrong character. */
struct cursor {
	const char *at;
};

struct addr addr_from_v4(const uint8_t b[4])
{
	struct addr a = { .b = { [10] = 0xff, [11] = 0xff } };

	memcpy(a.b + 12, b, 4);
	return a;
}

struct addr addr_from_v6(const uint8_t b[16])
{
	struct addr a;

	memcpy(a.b, b, sizeof(a.b));
	return a;
}

bool addr_is_unspecified(const struct addr *a)
{
	static const uint8_t zero4[4];

	if (addr_is_v4(a))
		return !memcmp(addr_v4_bytes(a), zero4, sizeof(zero4));
	return addr_eq(a, &addr_any);
}

bool addr_is_loopback(const struct addr *a)
{
	static const struct addr loopback6 = { .b = { [15] = 1 } };

	if (addr_is_v4(a))
		return addr_v4_bytes(a)[0] == 127;
	return addr_eq(a, &loopback6);
}

bool addr_is_multicast(const struct addr *a)
{
	if (addr_is_v4(a))
		return (addr_v4_bytes(a)[0] & 0xf0) == 0xe0;
	return a->b[0] == 0xff;
}

bool addr_is_broadcast4(const struct addr *a)
{
	static const uint8_t ones[4] = { 0xff, 0xff, 0xff, 0xff };

	return addr_is_v4(a) && !memcmp(addr_v4_bytes(a), ones, sizeof(ones));
}

bool addr_is_linklocal(const struct addr *a)
{
	if (addr_is_v4(a))
		return addr_v4_bytes(a)[0] == 169 && addr_v4_bytes(a)[1] == 254;
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* A decimal number 0..max without leading zeros ("010" means 8 to some readers and 10 to others: refused). */
static bool parse_decimal(struct cursor *c, unsigned int max, unsigned int *ret)
{
	const char *start = c->at;
	unsigned int v = 0;

	for (; is_digit(*c->at); c->at++) {
		if (c->at > start && v == 0)
			return false;
		if (v * 10 + (unsigned int)(*c->at - '0') > max)
			return false;
		v = v * 10 + (unsigned int)(*c->at - '0');
	}
	*ret = v;
	return c->at > start;
}

static bool parse_v4(struct cursor *c, uint8_t b[4])
{
	unsigned int v;

	for (int i = 0; i < 4; i++) {
		if (i && *c->at != '.')
			return false;
		c->at += i != 0;
		if (!parse_decimal(c, 255, &v))
			return false;
		b[i] = (uint8_t)v;
	}
	return true;
}

/* The groups of an IPv6 text as they are collected; gap is the group index where "::" stood, or -1. */
struct v6_groups {
	uint8_t b[2 * V6_GROUPS];
	int n;
	int gap;
};

/* "::" stands for one or more groups, so with it at most seven others fit. */
static int groups_max(const struct v6_groups *g)
{
	return g->gap >= 0 ? V6_GROUPS - 1 : V6_GROUPS;
}

/* One to four hex digits; a dot behind them turns them into the start of a dotted IPv4 tail, which sets *ret_last. */
static bool parse_group(struct cursor *c, struct v6_groups *g, bool *ret_last)
{
	const char *start = c->at;
	unsigned int v = 0;

	for (; hex_value(*c->at) >= 0; c->at++) {
		if (c->at - start == 4)
			return false;
		v = v << 4 | (unsigned int)hex_value(*c->at);
	}
	*ret_last = *c->at == '.';
	if (*ret_last) {
		if (g->n + 2 > groups_max(g))
			return false;
		c->at = start;
		g->n += 2;
		return parse_v4(c, g->b + 2 * (g->n - 2));
	}
	g->b[2 * g->n] = (uint8_t)(v >> 8);
	g->b[2 * g->n + 1] = (uint8_t)v;
	g->n++;
	return c->at > start;
}

/* Behind a group: ":" leads to one more, "::" opens the gap, anything else ends the address. */
static bool parse_separator(struct cursor *c, struct v6_groups *g, bool *ret_last)
{
	*ret_last = *c->at != ':' || (g->n == groups_max(g) && (c->at[1] != ':' || g->gap >= 0));
	if (*ret_last)
		return true;
	c->at++;
	if (*c->at != ':')
		return true;
	if (g->gap >= 0 || g->n == V6_GROUPS)
		return false;
	g->gap = g->n;
	c->at++;
	return true;
}

static bool parse_v6_groups(struct cursor *c, struct v6_groups *g)
{
	bool last = false;

	if (*c->at == ':') {
		c->at++;
		if (*c->at != ':')
			return false;
		c->at++;
		g->gap = 0;
	}
	while (!last) {
		if (g->gap == g->n && hex_value(*c->at) < 0)
			return true; /* the text ends with "::" */
		if (g->n == groups_max(g))
			return false;
		if (!parse_group(c, g, &last))
			return false;
		if (!last && !parse_separator(c, g, &last))
			return false;
	}
	return g->gap >= 0 || g->n == V6_GROUPS;
}

static bool parse_v6(struct cursor *c, struct addr *ret)
{
	struct v6_groups g = { .gap = -1 };
	size_t head, tail;

	if (!parse_v6_groups(c, &g))
		return false;
	head = g.gap >= 0 ? 2 * (size_t)g.gap : sizeof(g.b);
	tail = g.gap >= 0 ? 2 * (size_t)(g.n - g.gap) : 0;
	memset(ret->b, 0, sizeof(ret->b));
	memcpy(ret->b, g.b, head);
	memcpy(ret->b + sizeof(ret->b) - tail, g.b + head, tail);
	return true;
}

/* Hex digits and a colon, or a colon at once, can only be IPv6. */
static bool looks_v6(const char *text)
{
	while (hex_value(*text) >= 0)
		text++;
	return *text == ':';
}

static bool parse_addr(struct cursor *c, struct addr *ret)
{
	uint8_t b[4];

	if (looks_v6(c->at))
		return parse_v6(c, ret);
	if (!parse_v4(c, b))
		return false;
	*ret = addr_from_v4(b);
	return true;
}

/* The common end of the public parsers: reports the position; without one the whole text must be used up. */
static bool parse_done(const struct cursor *c, bool ok, const char **end)
{
	if (end)
		*end = c->at;
	return ok && (end || *c->at == '\0');
}

bool addr_parse(const char *text, struct addr *ret, const char **end)
{
	struct cursor c = { text };
	struct addr a;

	if (!parse_done(&c, parse_addr(&c, &a), end))
		return false;
	*ret = a;
	return true;
}

/* Clears everything behind the first len bits; true if that changed something. */
static bool clear_host_bits(struct addr *a, unsigned int len)
{
	struct addr before = *a;

	if (len % 8)
		a->b[len / 8] &= (uint8_t)(0xff00 >> len % 8);
	len = (len + 7) / 8;
	memset(a->b + len, 0, sizeof(a->b) - len);
	return !addr_eq(a, &before);
}

static bool parse_prefix(struct cursor *c, bool host_bits, struct prefix *ret, struct addr *ret_host)
{
	unsigned int base = looks_v6(c->at) ? 0 : V4_IN_V6_BITS;
	const char *len_text;
	unsigned int len;

	if (!parse_addr(c, ret_host) || *c->at != '/')
		return false;
	len_text = ++c->at;
	if (!parse_decimal(c, 128 - base, &len))
		return false;
	ret->addr = *ret_host;
	ret->len = (uint8_t)(base + len);
	if (clear_host_bits(&ret->addr, ret->len) && !host_bits) {
		c->at = len_text;
		return false;
	}
	return true;
}

bool prefix_parse(const char *text, bool host_bits, struct prefix *ret, struct addr *ret_host, const char **end)
{
	struct cursor c = { text };
	struct prefix p;
	struct addr host;

	if (!parse_done(&c, parse_prefix(&c, host_bits, &p, &host), end))
		return false;
	*ret = p;
	if (ret_host)
		*ret_host = host;
	return true;
}

static char *put_decimal(char *at, unsigned int v)
{
	if (v >= 10)
		at = put_decimal(at, v / 10);
	*at++ = (char)('0' + v % 10);
	return at;
}

static char *put_hex(char *at, unsigned int v)
{
	if (v >= 16)
		at = put_hex(at, v / 16);
	*at++ = "0123456789abcdef"[v % 16];
	return at;
}

static char *put_v4(char *at, const uint8_t b[4])
{
	for (int i = 0; i < 4; i++) {
		if (i)
			*at++ = '.';
		at = put_decimal(at, b[i]);
	}
	return at;
}

static unsigned int group_at(const struct addr *a, int i)
{
	return (unsigned int)a->b[2 * i] << 8 | a->b[2 * i + 1];
}

/* RFC 5952 4.2: the longest run of at least two zero groups, the first one among equals.  Returns its length, 0 if
 * none. */
static int zero_run(const struct addr *a, int *ret_start)
{
	int best = 1, run = 0;

	*ret_start = -1;
	for (int i = 0; i < V6_GROUPS; i++) {
		run = group_at(a, i) ? 0 : run + 1;
		if (run > best) {
			best = run;
			*ret_start = i + 1 - run;
		}
	}
	return *ret_start < 0 ? 0 : best;
}

static char *put_v6(char *at, const struct addr *a)
{
	int start, run = zero_run(a, &start);

	for (int i = 0; i < V6_GROUPS; i++) {
		if (run && i == start) {
			*at++ = ':';
			*at++ = ':';
			i += run - 1;
			continue;
		}
		if (i && at[-1] != ':')
			*at++ = ':';
		at = put_hex(at, group_at(a, i));
	}
	return at;
}

static char *put_addr(char *at, const struct addr *a)
{
	return addr_is_v4(a) ? put_v4(at, addr_v4_bytes(a)) : put_v6(at, a);
}

const char *addr_format(const struct addr *a, char *buf)
{
	*put_addr(buf, a) = '\0';
	return buf;
}

const char *endpoint_format(const struct endpoint *e, char *buf)
{
	bool v4 = addr_is_v4(&e->addr);
	char *at = buf;

	if (!v4)
		*at++ = '[';
	at = put_addr(at, &e->addr);
	if (!v4)
		*at++ = ']';
	*at++ = ':';
	*put_decimal(at, e->port) = '\0';
	return buf;
}

bool prefix_contains(const struct prefix *p, const struct addr *a)
{
	struct addr head = *a;

	if (addr_is_v4(a) && p->len < V4_IN_V6_BITS)
		return false;
	clear_host_bits(&head, p->len);
	return addr_eq(&head, &p->addr);
}

struct addr prefix_nth(const struct prefix *p, uint32_t n)
{
	struct addr a = p->addr;
	uint64_t carry = n;

	for (int i = 15; i >= 0 && carry; i--) {
		carry += a.b[i];
		a.b[i] = (uint8_t)carry;
		carry >>= 8;
	}
	return a;
}
