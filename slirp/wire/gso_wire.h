/* gso_wire.h - cutting one super-frame into frames of at most mss payload bytes.  The software twin of TSO.
 *
 * What it is: a pure function from the template header of a super-frame to the header of its k-th piece, checksums complete.
 * What it is not: memory management; the link decides where headers and payload stand.
 * Below: csum_wire, ip_wire, l4_wire.  Above: links without offload.
 */
#ifndef SLIRP_WIRE_GSO_WIRE_H
#define SLIRP_WIRE_GSO_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/* Where things stand in a frame that the core built.  Offsets in bytes from the first byte of the Ethernet header. */
struct frame_meta {
	uint16_t l3_off, l4_off;
	uint16_t head_len; /* Ethernet + IP + L4 headers */
	uint16_t mss;	   /* payload bytes per piece; 0: the frame is not to be cut */
	uint8_t proto;	   /* IP_PROTO_TCP or IP_PROTO_UDP: the link owes the L4 checksum; else 0: nothing is owed */
	bool v6;
};

/* Writes to dst (head_len bytes; may be the template itself for the last piece made) the header of the piece whose payload is
 * `payload` (n iovecs, len bytes) and starts at payload offset `off` of the super-frame of `total` payload bytes.  TCP: sequence number + off;
 * FIN and PSH stay only on the last piece, CWR only on the first.  IPv4: identification + piece index.  Lengths and checksums complete. */
void gso_wire_piece(uint8_t *dst, const uint8_t *tmpl, const struct frame_meta *m, uint32_t off, uint32_t len, uint32_t total,
		    const struct iovec *payload, int n);

/* The L4 checksum of a whole frame, complete, for links that do not cut but must sum.  payload as above. */
void gso_wire_checksum(uint8_t *head, const struct frame_meta *m, const struct iovec *payload, int n, uint32_t len);

/* Writes the pseudo-header sum that NEEDS_CSUM expects into the checksum field. */
void gso_wire_partial(uint8_t *head, const struct frame_meta *m, uint32_t len);

#endif
