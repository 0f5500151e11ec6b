/* siphash.h - SipHash-2-4, a keyed hash for short inputs.
 *
 * Why: the guest chooses ports and addresses; with a secret key it cannot choose collisions, nor predict sequence numbers
 * (RFC 6528).  Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF".
 * Below: nothing.  Above: stack (tables, initial sequence numbers), gateway.
 */
#ifndef SLIRP_BASE_SIPHASH_H
#define SLIRP_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k[2]; /* random, made by the gateway at start */
};

uint64_t siphash(const struct siphash_key *key, const void *data, size_t len);

#endif
