/* ip_wire.h - IPv4 and IPv6 headers as one value.  RFC 791, RFC 8200.
 *
 * Codec: parse checks every length and the IPv4 header checksum and refuses what no later code should meet (mapped addresses in
 * IPv6).  Extension headers: hop-by-hop, routing (segments left 0) and destination options are walked, at most 8 of them; a fragment
 * header sets is_fragment and ends the walk, unless it stands on a whole packet (RFC 6946: then it is stepped over); an option that
 * must be understood (RFC 8200 4.2) is IP_OPTION; everything else ends as IP_OPTION or as an unknown protocol.
 * Below: slirp/base, csum_wire.  Above: slirp/ip_in.c, slirp/ip_out.c, links, tests.
 */
#ifndef SLIRP_WIRE_IP_WIRE_H
#define SLIRP_WIRE_IP_WIRE_H

#include "slirp/base/addr.h"
#include "slirp/base/reason.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	IP4_HDR_LEN = 20,
	IP6_HDR_LEN = 40,
	IP_HOP_LIMIT = 64,
	IP_PROTO_ICMP = 1,
	IP_PROTO_TCP = 6,
	IP_PROTO_UDP = 17,
	IP_PROTO_ICMPV6 = 58,
	IP_PROTO_NONE = 59,
};

struct ip {
	struct addr src, dst;
	uint32_t hdr_len;     /* IP header with options or extension headers, bytes */
	uint32_t payload_len; /* behind them, bytes */
	uint8_t proto;	      /* of the payload */
	uint8_t hop_limit;
	uint8_t tos; /* DSCP and ECN */
	bool v6;
	bool dont_fragment; /* IPv4 DF; true for IPv6 */
	bool is_fragment;   /* MF set or offset not 0; IPv6: hdr_len includes the fragment header, its last 8 bytes */
	uint16_t id;	    /* IPv4 identification */
};

/* p: behind the Ethernet header; head_len: bytes readable at p; total: bytes of the packet behind the Ethernet header including those
 * not readable at p.  Padding behind the IP length is legal and ignored. A super-frame of IPv4 with total length 0 is IP_LENGTH. */
enum reason ip_wire_parse(const uint8_t *p, uint32_t head_len, uint32_t total, bool v6, struct ip *ret);

static inline uint32_t ip_wire_hdr_len(bool v6)
{
	return v6 ? IP6_HDR_LEN : IP4_HDR_LEN;
}

/* Writes a header without options: hdr_len and is_fragment are ignored, payload_len is the L4 length, the family is ip->v6. */
void ip_wire_put(uint8_t *p, const struct ip *ip);

/* Rewrites length (and identification, and checksum for IPv4) of a header that ip_wire_put() made: for cutting super-frames. */
void ip_wire_set_len(uint8_t *p, bool v6, uint32_t payload_len, uint16_t id);

#endif
