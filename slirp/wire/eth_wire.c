/* eth_wire.c - Ethernet II and ARP as values; MAC addresses from text.
 *
 * What it is not: a judge of addresses or ethertypes; slirp/stack.c and slirp/neigh.c are.
 * Below: slirp/base.  Above: slirp/stack.c, slirp/neigh.c, links, tests.  RFC 894, RFC 826.
 */
#include "slirp/wire/eth_wire.h"
#include "slirp/base/bytes.h"

enum { ARP_HTYPE_ETHERNET = 1, MAC_LEN = 6, ADDR4_LEN = 4 };

enum reason eth_wire_parse(const uint8_t *p, uint32_t len, struct eth *ret)
{
	if (len < ETH_HDR_LEN)
		return R_SHORT_FRAME;
	memcpy(ret->dst.b, p, MAC_LEN);
	memcpy(ret->src.b, p + 6, MAC_LEN);
	ret->type = bytes_get16(p + 12);
	return R_ACCEPTED;
}

void eth_wire_put(uint8_t *p, const struct eth *e)
{
	memcpy(p, e->dst.b, MAC_LEN);
	memcpy(p + 6, e->src.b, MAC_LEN);
	bytes_put16(p + 12, e->type);
}

enum reason eth_wire_arp_parse(const uint8_t *p, uint32_t len, struct arp *ret)
{
	if (len < ARP_LEN)
		return R_ARP_MALFORMED;
	if (bytes_get16(p) != ARP_HTYPE_ETHERNET || bytes_get16(p + 2) != ETH_TYPE_IPV4)
		return R_ARP_MALFORMED;
	if (p[4] != MAC_LEN || p[5] != ADDR4_LEN)
		return R_ARP_MALFORMED;
	ret->op = bytes_get16(p + 6);
	memcpy(ret->sender_mac.b, p + 8, MAC_LEN);
	ret->sender = addr_from_v4(p + 14);
	memcpy(ret->target_mac.b, p + 18, MAC_LEN);
	ret->target = addr_from_v4(p + 24);
	return R_ACCEPTED;
}

void eth_wire_arp_put(uint8_t *p, const struct arp *a)
{
	bytes_put16(p, ARP_HTYPE_ETHERNET);
	bytes_put16(p + 2, ETH_TYPE_IPV4);
	p[4] = MAC_LEN;
	p[5] = ADDR4_LEN;
	bytes_put16(p + 6, a->op);
	memcpy(p + 8, a->sender_mac.b, MAC_LEN);
	memcpy(p + 14, addr_v4_bytes(&a->sender), ADDR4_LEN);
	memcpy(p + 18, a->target_mac.b, MAC_LEN);
	memcpy(p + 24, addr_v4_bytes(&a->target), ADDR4_LEN);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Six pairs of hex digits with colons between.  Returns where it stopped: behind the last pair, or the wrong
 * character. */
static const char *mac_walk(const char *at, struct mac *m, bool *ret_ok)
{
	int v = 0;

	*ret_ok = false;
	for (int i = 0; i < MAC_LEN; i++) {
		if (i && *at != ':')
			return at;
		at += i != 0;
		for (int digit = 0; digit < 2; digit++, at++) {
			if (hex_value(*at) < 0)
				return at;
			v = v << 4 | hex_value(*at);
		}
		m->b[i] = (uint8_t)v;
		v = 0;
	}
	*ret_ok = true;
	return at;
}

bool eth_wire_mac_parse(const char *text, struct mac *ret, const char **end)
{
	struct mac m;
	bool ok;
	const char *at = mac_walk(text, &m, &ok);

	if (end)
		*end = at;
	if (!ok || (!end && *at))
		return false;
	*ret = m;
	return true;
}
