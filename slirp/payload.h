/* payload.h - the bytes behind an L4 header, by reference.
 *
 * What it is: the tail of a frame's private head and the frame's rest as one run of bytes; nothing is copied.
 * Below: nothing.  Above: ip_in.c (makes one), tcp_in.c and dgram.c (take pieces of it), ip_frag.c (copies).
 */
#ifndef SLIRP_PAYLOAD_H
#define SLIRP_PAYLOAD_H

#include <stdint.h>
#include <sys/uio.h>

enum { PAYLOAD_PIECES = 20 }; /* a frame's head and the most pieces a link hands over behind it */

/* One L4 payload by reference: the tail of the frame's head and the frame's rest. */
struct payload {
	const uint8_t *head; /* readable, may be empty */
	uint32_t head_len;
	const struct iovec *rest;
	int n_rest;
	uint32_t len; /* head_len + rest, without link padding */
};

/* Fills iov (room for max) with the bytes [skip, skip + len) of p; returns the number of pieces; -1: more than max pieces. */
int payload_pieces(const struct payload *p, uint32_t skip, uint32_t len, struct iovec *iov, int max);
/* Copies all of p, len bytes. */
void payload_copy(const struct payload *p, uint8_t *to);

#endif
