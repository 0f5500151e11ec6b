/* ip_in.h - an IP packet from the guest: checked, attributed, handed to its protocol.
 *
 * Below: ip_wire, l4_wire, icmp_wire.  Above: stack.c.  RFC 791, 8200.
 */
#ifndef SLIRP_IP_IN_H
#define SLIRP_IP_IN_H

#include "slirp/stack.h"

#include <stdint.h>

/* One L4 payload by reference: the tail of the frame's head and the frame's rest. */
struct ip_payload {
	const uint8_t *head; /* readable, may be empty */
	uint32_t head_len;
	const struct iovec *rest;
	int n_rest;
	uint32_t len; /* head_len + rest, without link padding */
};

enum reason ip_in(struct stack *st, const struct frame *f, const struct eth *eth, int64_t now);

/* Fills iov (room for max) with the bytes [skip, skip + len) of p; returns the number of pieces; -1: more than max pieces. */
int ip_in_pieces(const struct ip_payload *p, uint32_t skip, uint32_t len, struct iovec *iov, int max);

#endif
