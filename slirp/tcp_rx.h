/* tcp_rx.h - in-order payload of one turn, by reference.
 *
 * What it is: a bump pool of iovecs that point into the frames of the current turn; each connection chains its own.  stack_flush()
 * writes the chains out and empties the pool.
 * What it is not: a buffer; no payload byte is copied here.
 * Below: nothing.  Above: tcp_in.c (adds), tcp_out.c (writes), stack.c (resets).
 */
#ifndef SLIRP_TCP_RX_H
#define SLIRP_TCP_RX_H

#include <stdint.h>
#include <sys/uio.h>

enum { TCP_RX_POOL = 1024 }; /* pieces in one turn; a frame has 1, or up to 16 from links that hand over pieces */

struct tcp_rx {
	struct iovec iov;
	struct tcp_rx *next;
};

struct tcp_rx_pool {
	uint32_t used;
	struct tcp_rx piece[TCP_RX_POOL];
};

#endif
