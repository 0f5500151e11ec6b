/* ip_wire.h - IPv4 and IPv6 headers as one value.  RFC 791, RFC 8200.
 *
 * Codec: parse checks every length and the IPv4 header checksum and refuses what no later code should meet (mapped addresses in
 * IPv6).  Extension headers: hop-by-hop, routing (segments left 0) and destination options are walked, at most 8 of them; a fragment
 * header sets is_fragment, frag_off, more_frags and id and ends the walk, unless it stands on a whole packet (RFC 6946: then it is
 * stepped over; behind a reassembled or first fragment ip_wire_chain() walks on); an option that
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
	IP6_FRAG_LEN = 8, /* the fragment header */
	IP_LEN_MAX = 65535,
	IP_HOP_LIMIT = 64,
	IP_PROTO_ICMP = 1,
	IP_PROTO_TCP = 6,
	IP_PROTO_UDP = 17,
	IP_PROTO_FRAGMENT = 44,
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
	bool more_frags;    /* MF; with frag_off, only in fragments */
	uint16_t frag_off;  /* bytes, a multiple of 8 */
	uint32_t id;	    /* identification: 16 bits of every IPv4 packet, 32 bits of an IPv6 fragment */
};

/* p: behind the Ethernet header; head_len: bytes readable at p; total: bytes of the packet behind the Ethernet header including those
 * not readable at p.  Padding behind the IP length is legal and ignored. A super-frame of IPv4 with total length 0 is IP_LENGTH. */
enum reason ip_wire_parse(const uint8_t *p, uint32_t head_len, uint32_t total, bool v6, struct ip *ret);

static inline uint32_t ip_wire_hdr_len(bool v6)
{
	return v6 ? IP6_HDR_LEN : IP4_HDR_LEN;
}

/* Walks the extension headers behind an IPv6 fragment header in the first fragment: p, head_len and total as above, but from the
 * first byte behind that header; *proto is its next header, and becomes the protocol.  *ret_len: bytes of the headers walked.
 * Headers that run over the fragment's end are IP_HEADER (RFC 7112: all stand in the first fragment); hop-by-hop options are IP_OPTION;
 * another fragment header of a true fragment is IP_FRAGMENT. */
enum reason ip_wire_chain(const uint8_t *p, uint32_t head_len, uint32_t total, uint8_t *proto, uint32_t *ret_len);

/* Writes a header without options: hdr_len is ignored, payload_len is what follows, the family is ip->v6.  A fragment of IPv6 gets its
 * fragment header written too: IP6_FRAG_LEN bytes more, not part of payload_len. */
void ip_wire_put(uint8_t *p, const struct ip *ip);

/* Rewrites length (and identification, and checksum for IPv4) of a header that ip_wire_put() made: for cutting super-frames. */
void ip_wire_set_len(uint8_t *p, bool v6, uint32_t payload_len, uint16_t id);

#endif
