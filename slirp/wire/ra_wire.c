/* ra_wire.c - router solicitations parsed, advertisements written.  See ra_wire.h. */
#include "slirp/wire/ra_wire.h"
#include "slirp/base/bytes.h"
#include "slirp/wire/csum_wire.h"
#include "slirp/wire/icmp_wire.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/names_wire.h"

enum {
	UNIT = 8, /* options count in these */
	OPT_SOURCE_MAC = 1,
	OPT_PREFIX = 3,
	OPT_MTU = 5,
	OPT_RDNSS = 25,
	OPT_DNSSL = 31,
	FLAG_MANAGED = 0x80,
	FLAG_OTHER = 0x40,
	FLAG_ON_LINK = 0x80,
	FLAG_AUTONOMOUS = 0x40,
	ADVERT_LEN = 16, /* without options */
};

enum reason ra_wire_solicit_parse(const uint8_t *p, uint32_t len, bool *ret_mac)
{
	bool mac = false;
	uint32_t opt_len;

	if (len < RA_SOLICIT_LEN || p[0] != ICMP6_ROUTER_SOLICIT || p[1])
		return R_NDP_MALFORMED;
	p += RA_SOLICIT_LEN;
	for (len -= RA_SOLICIT_LEN; len; p += opt_len, len -= opt_len) {
		if (len < UNIT)
			return R_NDP_MALFORMED;
		opt_len = p[1] * (uint32_t)UNIT;
		if (!opt_len || opt_len > len)
			return R_NDP_MALFORMED;
		mac |= p[0] == OPT_SOURCE_MAC;
	}
	*ret_mac = mac;
	return R_ACCEPTED;
}

/* An option of `units` times 8 bytes, zeroed behind its head; returns where its third byte stands. */
static uint8_t *put_option(uint8_t *p, uint32_t *len, uint8_t type, uint32_t units)
{
	uint8_t *o = p + *len;

	memset(o, 0, units * UNIT);
	o[0] = type;
	o[1] = (uint8_t)units;
	*len += units * UNIT;
	return o + 2;
}

static void put_prefix(uint8_t *p, uint32_t *len, const struct ra *ra)
{
	uint8_t *o = put_option(p, len, OPT_PREFIX, 4);

	o[0] = ra->prefix.len;
	o[1] = (uint8_t)((ra->on_link ? FLAG_ON_LINK : 0) | (ra->autonomous ? FLAG_AUTONOMOUS : 0));
	bytes_put32(o + 2, RA_INFINITE); /* valid, preferred */
	bytes_put32(o + 6, RA_INFINITE);
	memcpy(o + 14, ra->prefix.addr.b, 16);
}

static void put_dns(uint8_t *p, uint32_t *len, const struct ra *ra)
{
	uint8_t *o = put_option(p, len, OPT_RDNSS, 3), names[RA_MAX_LEN - 128];
	uint32_t n = names_wire_put(names, sizeof(names), ra->search, false);

	bytes_put32(o + 2, RA_INFINITE);
	memcpy(o + 6, ra->dns.b, 16);
	if (!n)
		return;
	o = put_option(p, len, OPT_DNSSL, 1 + (n + UNIT - 1) / UNIT);
	bytes_put32(o + 2, RA_INFINITE);
	memcpy(o + 6, names, n);
}

uint32_t ra_wire_put(uint8_t *p, const struct ra *ra, const struct addr *src, const struct addr *dst)
{
	uint32_t len = ADVERT_LEN;
	uint16_t csum;

	memset(p, 0, ADVERT_LEN);
	p[0] = ICMP6_ROUTER_ADVERT;
	p[4] = ra->hop_limit;
	p[5] = (uint8_t)((ra->managed ? FLAG_MANAGED : 0) | (ra->other ? FLAG_OTHER : 0));
	bytes_put16(p + 6, ra->lifetime);
	memcpy(put_option(p, &len, OPT_SOURCE_MAC, 1), ra->mac.b, sizeof(ra->mac.b));
	bytes_put32(put_option(p, &len, OPT_MTU, 1) + 2, ra->mtu);
	put_prefix(p, &len, ra);
	put_dns(p, &len, ra);
	csum = csum_wire_final(csum_wire_pseudo(src, dst, IP_PROTO_ICMPV6, len) + csum_wire_add(p, len));
	memcpy(p + 2, &csum, sizeof(csum));
	return len;
}
