/* eth_wire.h - Ethernet II and ARP as values.  RFC 894, RFC 826.
 *
 * Codec: parse checks and returns a value, put writes exactly the stated size.  No state, no policy.
 * Below: slirp/base.  Above: slirp/stack.c, slirp/neigh.c, links, tests.
 */
#ifndef SLIRP_WIRE_ETH_WIRE_H
#define SLIRP_WIRE_ETH_WIRE_H

#include "slirp/base/addr.h"
#include "slirp/base/reason.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	ETH_HDR_LEN = 14,
	ETH_TYPE_IPV4 = 0x0800,
	ETH_TYPE_ARP = 0x0806,
	ETH_TYPE_IPV6 = 0x86dd,
	ETH_TYPE_NCSI = 0x88f8,
	ARP_LEN = 28,
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
};

struct mac {
	uint8_t b[6];
};

struct eth {
	struct mac dst, src;
	uint16_t type; /* host order */
};

struct arp {
	uint16_t op;
	struct mac sender_mac, target_mac;
	struct addr sender, target; /* IPv4 */
};

static inline bool mac_eq(const struct mac *x, const struct mac *y)
{
	return !memcmp(x->b, y->b, sizeof(x->b));
}

static inline bool mac_is_group(const struct mac *m)
{
	return m->b[0] & 1;
}

enum reason eth_wire_parse(const uint8_t *p, uint32_t len, struct eth *ret);
void eth_wire_put(uint8_t *p, const struct eth *e); /* ETH_HDR_LEN bytes */

enum reason eth_wire_arp_parse(const uint8_t *p, uint32_t len, struct arp *ret); /* p: behind the Ethernet header */
void eth_wire_arp_put(uint8_t *p, const struct arp *a);				 /* ARP_LEN bytes */

/* "52:54:00:12:34:56"; *end as in addr_parse(). */
bool eth_wire_mac_parse(const char *text, struct mac *ret, const char **end);

#endif
