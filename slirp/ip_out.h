/* ip_out.h - packets toward the guest: slots, Ethernet and IP headers, ICMP errors.
 *
 * Below: stack_state.h, slirp/wire.  Above: neigh.c, dgram.c, echo.c, tcp_out.c, tcp_open.c.  RFC 791, 8200, 792, 4443, 7739 5.3.
 */
#ifndef SLIRP_IP_OUT_H
#define SLIRP_IP_OUT_H

#include "slirp/stack.h"
#include "slirp/wire/ip_wire.h"

#include <stdbool.h>
#include <stdint.h>

/* As stack_host.tx_get; counts R_LINK_FULL when it says false. */
bool ip_out_slot(struct stack *st, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss);
/* As stack_host.tx_put; counts the frame. */
void ip_out_put(struct stack *st, struct tx_slot *slot, const struct frame_meta *meta, uint32_t used);

/* A reading position in pieces of payload. */
struct ip_out_source {
	const struct iovec *iov;
	size_t off; /* in the first of them */
};

/* Moves len bytes from the source into the slot's pieces, which have room for them. */
void ip_out_fill(const struct tx_slot *slot, struct ip_out_source *src, uint32_t len);

/* Writes Ethernet and IP header for the guest at p; fills in the identification. */
void ip_out_head(struct stack *st, uint8_t *p, struct ip *ip);

/* What an ICMP error says besides the packet it quotes. */
struct ip_out_error {
	enum icmp_unreach why;
	uint32_t mtu;		 /* ICMP_UNREACH_SIZE */
	const struct addr *from; /* NULL: the gateway */
	int64_t now;
	const struct iovec *data; /* what stood behind the UDP or echo header, where it is at hand: quoted as far as RFC 1812 and 4443 allow */
	int n;
	uint32_t len;
};

enum { IP_OUT_L4_LEN = 8 }; /* a UDP header's length, and an echo's */

/* A UDP datagram or an echo reply that is larger than the link's MTU, as fragments of ip, whose payload_len tells what is behind the IP
 * header: l4 (IP_OUT_L4_LEN bytes, the checksum field zero) and data; the checksum is summed here.  R_ACCEPTED; R_L4_LENGTH: more than one
 * packet can say; R_LINK_FULL: the link filled up and what had not left yet never will (counted). */
enum reason ip_out_fragments(struct stack *st, const struct ip *ip, const uint8_t *l4, const struct iovec *data, int n);

/* Each of the ICMP errors below is kept back (R_ICMP_RATE, counted) when too many have left lately: icmp_rate, icmp_burst. */

/* ICMP or ICMPv6 destination unreachable for the guest's TCP segment with this tuple and sequence number. */
void ip_out_unreach(struct stack *st, enum icmp_unreach why, const struct tuple *t, uint32_t seq, int64_t now);
/* ICMP or ICMPv6 time exceeded for a packet of which the first fragment (its header ip, l4: its first IP_OUT_L4_LEN bytes) came in time
 * and others did not. */
void ip_out_late(struct stack *st, const struct ip *ip, const uint8_t *l4, int64_t now);
/* An ICMP or ICMPv6 error for the guest's UDP datagram with this tuple. */
void ip_out_dgram_error(struct stack *st, const struct ip_out_error *e, const struct tuple *t);
/* The same for its echo request; echo: the first 8 bytes of that. */
void ip_out_echo_error(struct stack *st, const struct ip_out_error *e, const struct addr *guest, const struct addr *far, const uint8_t *echo);

/* The ICMP code that tells the guest of a datagram or ping refused for this reason.  False: it is told nothing, they may get lost. */
bool ip_out_unreach_code(enum reason why, enum icmp_unreach *ret);

#endif
