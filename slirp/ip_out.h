/* ip_out.h - packets toward the guest: slots, Ethernet and IP headers, ICMP errors.
 *
 * Below: stack_state.h, slirp/wire.  Above: neigh.c, dgram.c, echo.c, tcp_out.c, tcp_open.c.  RFC 791, 8200, 792, 4443.
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

/* Writes Ethernet and IP header for the guest at p; fills in the identification. */
void ip_out_head(struct stack *st, uint8_t *p, struct ip *ip);

/* A reading position in a caller's pieces. */
struct ip_out_source {
	const struct iovec *iov;
	size_t off; /* in the first of them */
};

/* Moves len bytes from the source, which has them, into the slot's pieces, which hold them. */
void ip_out_fill(const struct tx_slot *slot, struct ip_out_source *src, uint32_t len);

/* What an ICMP error says besides the packet it quotes. */
struct ip_out_error {
	enum icmp_unreach why;
	uint32_t mtu;		 /* ICMP_UNREACH_SIZE */
	const struct addr *from; /* NULL: the gateway */
};

/* ICMP or ICMPv6 destination unreachable for the guest's TCP segment with this tuple and sequence number. */
void ip_out_unreach(struct stack *st, enum icmp_unreach why, const struct tuple *t, uint32_t seq);
/* An ICMP or ICMPv6 error for the guest's UDP datagram with this tuple. */
void ip_out_dgram_error(struct stack *st, const struct ip_out_error *e, const struct tuple *t);
/* The same for its echo request; echo: the first 8 bytes of that. */
void ip_out_echo_error(struct stack *st, const struct ip_out_error *e, const struct addr *guest, const struct addr *far, const uint8_t *echo);

#endif
