/* portpool.h - ports that the gateway's address uses toward the guest.
 *
 * What it is: one bit for each of 16384 ports, and a cursor that goes round.
 * What it is not: a judge of time-wait (slirp/tcp_connect.h); pure, no system call.
 * Below: nothing.  Above: inbound.c.  Contract C26, C27, D9.
 */
#ifndef GATEWAY_PORTPOOL_H
#define GATEWAY_PORTPOOL_H

#include <stdint.h>

enum {
	PORTPOOL_FIRST = 49152, /* RFC 6335 6: the dynamic ports */
	PORTPOOL_SIZE = 65536 - PORTPOOL_FIRST,
};

/* Zeroed: all are free. */
struct portpool {
	uint64_t used[PORTPOOL_SIZE / 64];
	uint32_t cursor; /* the next one to be looked at, from PORTPOOL_FIRST on */
	uint32_t n_used;
};

uint16_t portpool_take(struct portpool *p); /* 0: all are in use */
void portpool_give(struct portpool *p, uint16_t port); /* a port that was taken */

#endif
