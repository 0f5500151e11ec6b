/* l4_wire.h - TCP segments and UDP headers as values.  RFC 9293 3.1, RFC 7323, RFC 2018, RFC 768.
 *
 * Codec: parse checks lengths and options; put writes header and options, with a checksum field of zero that the link or gso_wire
 * fills in.  Checksums are not looked at: who must check sums csum_wire_pseudo() and the whole of l4_len to csum_wire_final() == 0.
 * Below: slirp/base, csum_wire.  Above: slirp/ip_in.c, slirp/tcp_out.c, tests.
 */
#ifndef SLIRP_WIRE_L4_WIRE_H
#define SLIRP_WIRE_L4_WIRE_H

#include "slirp/base/addr.h"
#include "slirp/base/reason.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
	TCP_HDR_LEN = 20,
	TCP_HDR_MAX = 60,
	TCP_CSUM_OFFSET = 16,
	TCP_SACK_MAX = 4,
	UDP_HDR_LEN = 8,
	UDP_CSUM_OFFSET = 6,
};

struct tcp_range {
	uint32_t start, end; /* [start, end) in sequence space */
};

struct tcp_seg {
	uint16_t sport, dport; /* host order */
	uint32_t seq, ack;
	uint32_t window; /* as on the wire, not scaled */
	uint32_t hdr_len;
	uint32_t len; /* payload bytes */
	uint8_t flags;
	bool has_mss, has_wscale, has_ts, sack_permitted;
	uint16_t mss;
	uint8_t wscale; /* as sent; RFC 7323 2.3: above 14 counts as 14, done by parse */
	uint32_t tsval, tsecr;
	int n_sack;
	struct tcp_range sack[TCP_SACK_MAX];
};

/* p: the TCP header; head_len: bytes readable; l4_len: TCP header and payload.  ret is written only on R_ACCEPTED.
 * Options: an option running over the header's end ends the walk (RFC 9293 3.1 asks to tolerate any); MSS 0 counts as absent. */
enum reason l4_wire_tcp_parse(const uint8_t *p, uint32_t head_len, uint32_t l4_len, struct tcp_seg *ret);
/* Header length that l4_wire_tcp_put() will need for the options set in seg; a multiple of 4. */
uint32_t l4_wire_tcp_len(const struct tcp_seg *seg);
/* Writes header and options of seg (hdr_len and len ignored; checksum field 0); returns the header length.  Order: MSS, SACK-permitted,
 * timestamps, window scale, SACK; each (SACK-permitted with timestamps counts as one) fills whole words, by NOPs in front of it.
 * SACK ranges that do not fit into TCP_HDR_MAX are left out, the last first. */
uint32_t l4_wire_tcp_put(uint8_t *p, const struct tcp_seg *seg);

struct udp {
	uint16_t sport, dport;
	uint32_t len; /* payload bytes */
	bool has_csum;
};

enum reason l4_wire_udp_parse(const uint8_t *p, uint32_t head_len, uint32_t l4_len, struct udp *ret);
void l4_wire_udp_put(uint8_t *p, const struct udp *u); /* UDP_HDR_LEN bytes, checksum field 0 */

/* "S", "S.", "F.", "R", "P.", "-" for none ... in packetdrill's letters (S F R P U, "." for ACK), for logs and tests; buf has 8 bytes. */
const char *l4_wire_flags(uint8_t flags, char *buf);

#endif
