/* csum_wire.h - the Internet checksum.  RFC 1071.
 *
 * A running sum is a uint64_t of 16-bit words in memory order, not folded; sums add up with +.  A block added at an odd offset
 * must go through csum_wire_add_odd() (csum_wire_iov() does this by itself).
 * Below: slirp/base.  Above: slirp/wire, links without checksum offload.  The long loops are vectorised by the compiler.
 */
#ifndef SLIRP_WIRE_CSUM_WIRE_H
#define SLIRP_WIRE_CSUM_WIRE_H

#include "slirp/base/addr.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

uint64_t csum_wire_add(const void *p, size_t len);     /* p at an even offset of the summed range */
uint64_t csum_wire_add_odd(const void *p, size_t len); /* p at an odd offset */
uint64_t csum_wire_iov(const struct iovec *iov, int n);

/* The pseudo header of TCP, UDP, ICMPv6 for either family (RFC 9293 3.1, RFC 8200 8.1); len: L4 header and payload, bytes. */
uint64_t csum_wire_pseudo(const struct addr *src, const struct addr *dst, uint8_t proto, uint32_t len);

/* Folds to 16 bits without complement: what a NEEDS_CSUM link wants in the checksum field.  In memory order: store with memcpy. */
uint16_t csum_wire_fold(uint64_t sum);
/* Folds and complements: what stands on the wire.  Zero stays zero (UDP's 0 -> 0xffff is the caller's). */
static inline uint16_t csum_wire_final(uint64_t sum)
{
	return (uint16_t)~csum_wire_fold(sum);
}

#endif
