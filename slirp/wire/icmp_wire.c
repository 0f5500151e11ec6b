/* icmp_wire.c - errors and neighbour discovery, written complete.
 *
 * What it is not: a rate limit or a decision whether an error may be sent (slirp/ip_out.c), nor a neighbour table
 * (slirp/neigh.c).
 * Below: slirp/base, csum_wire, ip_wire (numbers).  Above: slirp/neigh.c, slirp/ip_out.c, tests.
 * RFC 792, RFC 1191 4, RFC 1812 5.2.7.1, RFC 4443 2.3 and 3.1 to 3.3, RFC 4861 4.3, 4.4, 4.6.1, 7.1.
 */
#include "slirp/wire/icmp_wire.h"
#include "slirp/base/bytes.h"
#include "slirp/wire/csum_wire.h"
#include "slirp/wire/ip_wire.h"

enum {
	NEIGH_HDR_LEN = 24, /* up to and with the target address */
	OPT_SOURCE_MAC = 1,
	OPT_TARGET_MAC = 2,
	OPT_UNIT = 8,
	FLAG_ROUTER = 0x80,
	FLAG_SOLICITED = 0x40,
	FLAG_OVERRIDE = 0x20,
};

static void put_checksum(uint8_t *p, uint64_t sum, uint32_t len)
{
	uint16_t csum;

	bytes_put16(p + 2, 0);
	csum = csum_wire_final(sum + csum_wire_add(p, len));
	memcpy(p + 2, &csum, sizeof(csum));
}

uint32_t icmp_wire_error_put(uint8_t *p, bool v6, enum icmp_unreach why, uint32_t mtu, const struct addr *src,
			     const struct addr *dst, const uint8_t *quote, uint32_t quote_len)
{
	static const struct {
		uint8_t type4, code4, type6, code6;
	} row[] = {
		[ICMP_UNREACH_NET] = { ICMP4_UNREACH, 0, ICMP6_UNREACH, 0 },
		[ICMP_UNREACH_HOST] = { ICMP4_UNREACH, 1, ICMP6_UNREACH, 3 },
		[ICMP_UNREACH_PORT] = { ICMP4_UNREACH, 3, ICMP6_UNREACH, 4 },
		[ICMP_UNREACH_ADMIN] = { ICMP4_UNREACH, 13, ICMP6_UNREACH, 1 },
		[ICMP_UNREACH_SIZE] = { ICMP4_UNREACH, 4, ICMP6_TOO_BIG, 0 },
		[ICMP_UNREACH_HOPS] = { ICMP4_TIME_EXCEEDED, 0, ICMP6_TIME_EXCEEDED, 0 },
		[ICMP_UNREACH_LATE] = { ICMP4_TIME_EXCEEDED, 1, ICMP6_TIME_EXCEEDED, 1 },
	};
	uint32_t len = ICMP_HDR_LEN + quote_len;

	p[0] = v6 ? row[why].type6 : row[why].type4;
	p[1] = v6 ? row[why].code6 : row[why].code4;
	bytes_put32(p + 4, v6 ? mtu : mtu & 0xffff); /* RFC 1191 4: the lower half of the word */
	memcpy(p + ICMP_HDR_LEN, quote, quote_len);
	put_checksum(p, v6 ? csum_wire_pseudo(src, dst, IP_PROTO_ICMPV6, len) : 0, len);
	return len;
}

/* The options behind the target address: each at least one unit and inside the message; the first address of kind
 * `want` counts. */
static enum reason neigh_options(const uint8_t *p, uint32_t len, uint8_t want, struct neigh_msg *m)
{
	uint32_t opt_len;

	for (; len; p += opt_len, len -= opt_len) {
		if (len < OPT_UNIT)
			return R_NDP_MALFORMED;
		opt_len = p[1] * (uint32_t)OPT_UNIT;
		if (!opt_len || opt_len > len)
			return R_NDP_MALFORMED;
		if (p[0] != want || m->has_mac)
			continue;
		if (opt_len != OPT_UNIT)
			return R_NDP_MALFORMED;
		memcpy(m->mac.b, p + 2, sizeof(m->mac.b));
		m->has_mac = true;
	}
	return R_ACCEPTED;
}

enum reason icmp_wire_neigh_parse(const uint8_t *p, uint32_t len, struct neigh_msg *ret)
{
	struct neigh_msg m = { 0 };
	bool advert;
	enum reason r;

	if (len < NEIGH_HDR_LEN || (p[0] != ICMP6_NEIGH_SOLICIT && p[0] != ICMP6_NEIGH_ADVERT) || p[1] != 0)
		return R_NDP_MALFORMED;
	advert = p[0] == ICMP6_NEIGH_ADVERT;
	m.type = p[0];
	m.target = addr_from_v6(p + 8);
	if (addr_is_multicast(&m.target) || addr_is_v4(&m.target))
		return R_NDP_MALFORMED;
	if (advert) {
		m.router = p[4] & FLAG_ROUTER;
		m.solicited = p[4] & FLAG_SOLICITED;
		m.override = p[4] & FLAG_OVERRIDE;
	}
	r = neigh_options(p + NEIGH_HDR_LEN, len - NEIGH_HDR_LEN, advert ? OPT_TARGET_MAC : OPT_SOURCE_MAC, &m);
	if (r != R_ACCEPTED)
		return r;
	*ret = m;
	return R_ACCEPTED;
}

void icmp_wire_neigh_put(uint8_t *p, const struct neigh_msg *m, const struct addr *src, const struct addr *dst)
{
	bool advert = m->type == ICMP6_NEIGH_ADVERT;

	p[0] = m->type;
	p[1] = 0;
	bytes_put32(p + 4, 0);
	if (advert)
		p[4] = (uint8_t)((m->router ? FLAG_ROUTER : 0) | (m->solicited ? FLAG_SOLICITED : 0) |
				 (m->override ? FLAG_OVERRIDE : 0));
	memcpy(p + 8, m->target.b, sizeof(m->target.b));
	p[24] = advert ? OPT_TARGET_MAC : OPT_SOURCE_MAC;
	p[25] = 1;
	memcpy(p + 26, m->mac.b, sizeof(m->mac.b));
	put_checksum(p, csum_wire_pseudo(src, dst, IP_PROTO_ICMPV6, ICMP6_NEIGH_LEN), ICMP6_NEIGH_LEN);
}
