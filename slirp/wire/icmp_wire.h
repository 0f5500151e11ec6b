/* icmp_wire.h - ICMP errors and IPv6 neighbour discovery as values.  RFC 792, RFC 1812 4.3, RFC 4443, RFC 4861.
 *
 * Codec without state.  Checksums: ICMP is written complete; ICMPv6 too (it needs the addresses).
 * Below: slirp/base, csum_wire, eth_wire (struct mac).  Above: slirp/neigh.c, slirp/ip_out.c, tests.
 */
#ifndef SLIRP_WIRE_ICMP_WIRE_H
#define SLIRP_WIRE_ICMP_WIRE_H

#include "slirp/base/addr.h"
#include "slirp/base/reason.h"
#include "slirp/wire/eth_wire.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	ICMP_HDR_LEN = 8,
	ICMP4_UNREACH = 3,
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_ECHO_REQUEST = 8,
	ICMP4_ECHO_REPLY = 0,
	ICMP6_UNREACH = 1,
	ICMP6_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_ECHO_REQUEST = 128,
	ICMP6_ECHO_REPLY = 129,
	ICMP6_ROUTER_SOLICIT = 133,
	ICMP6_ROUTER_ADVERT = 134,
	ICMP6_NEIGH_SOLICIT = 135,
	ICMP6_NEIGH_ADVERT = 136,
	ICMP6_NEIGH_LEN = 32, /* solicitation or advertisement with one link-layer address option */
};

/* Why a packet did not reach its destination, before the family picks type and code. */
enum icmp_unreach {
	ICMP_UNREACH_NET,   /* v4 3/0, v6 1/0 */
	ICMP_UNREACH_HOST,  /* v4 3/1, v6 1/3 */
	ICMP_UNREACH_PORT,  /* v4 3/3, v6 1/4 */
	ICMP_UNREACH_ADMIN, /* v4 3/13, v6 1/1 */
	ICMP_UNREACH_SIZE,  /* v4 3/4 fragmentation needed, v6 2/0 packet too big */
	ICMP_UNREACH_HOPS,  /* v4 11/0, v6 3/0: the hop limit was used up on the way */
	ICMP_UNREACH_LATE,  /* v4 11/1, v6 3/1: its fragments were not all there in time */
};

/* Writes the 8 bytes of an error's ICMP header followed by quote_len bytes of the offending packet (from its IP header on), with the
 * checksum complete; src and dst are the addresses of the error packet itself; mtu: for ICMP_UNREACH_SIZE, else 0.
 * Returns ICMP_HDR_LEN + quote_len. */
uint32_t icmp_wire_error_put(uint8_t *p, bool v6, enum icmp_unreach why, uint32_t mtu, const struct addr *src, const struct addr *dst,
			     const uint8_t *quote, uint32_t quote_len);

struct neigh_msg {
	uint8_t type; /* ICMP6_NEIGH_SOLICIT or ICMP6_NEIGH_ADVERT */
	struct addr target;
	bool has_mac;
	struct mac mac;			    /* source link-layer address of a solicitation, target's of an advertisement */
	bool router, solicited, override; /* advertisement only */
};

/* p: the ICMPv6 header; all of len readable.  Checks of RFC 4861 7.1.1 and 7.1.2 what
 * stands in the message; the hop limit of 255, the checksum and what depends on the IP addresses is the caller's. */
enum reason icmp_wire_neigh_parse(const uint8_t *p, uint32_t len, struct neigh_msg *ret);
/* Writes ICMP6_NEIGH_LEN bytes (has_mac must be true), checksum complete. */
void icmp_wire_neigh_put(uint8_t *p, const struct neigh_msg *m, const struct addr *src, const struct addr *dst);

#endif
