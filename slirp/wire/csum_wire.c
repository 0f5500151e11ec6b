/* csum_wire.c - the Internet checksum, summed in wide lanes.
 *
 * Why it is fast: 2^16 and 2^32 are both 1 modulo 65535, so the 16-bit words may be summed as 32-bit words, and those
 * in 64-bit lanes that cannot overflow for any length a packet has.  Byte order does not matter: a sum of swapped words
 * is the swapped sum.
 * Below: slirp/base.  Above: slirp/wire, slirp, links without checksum offload.  RFC 1071 (2: the arithmetic).
 */
#include "slirp/wire/csum_wire.h"
#include "slirp/base/bytes.h"

#include <stdbool.h>
#include <string.h>

/* Two 64-bit lanes: one SSE2 register.  Wider ones make gcc 12 go through the stack (measured: half the speed). */
typedef uint64_t lanes __attribute__((vector_size(16)));

/* Blocks of 32 bytes.  `all` wraps, which is harmless: the low halves' sum is all - (high << 32) and fits 64 bits. */
static uint64_t sum_blocks(const uint8_t *p, size_t blocks)
{
	lanes all0 = { 0 }, all1 = { 0 }, high0 = { 0 }, high1 = { 0 }, x, y, low;
	uint64_t sum = 0;

	for (; blocks; blocks--, p += 2 * sizeof(lanes)) {
		memcpy(&x, p, sizeof(x));
		memcpy(&y, p + sizeof(x), sizeof(y));
		all0 += x;
		all1 += y;
		high0 += x >> 32;
		high1 += y >> 32;
	}
	high0 += high1;
	low = all0 + all1 - (high0 << 32);
	for (int i = 0; i < 2; i++)
		sum += high0[i] + low[i];
	return sum;
}

uint64_t csum_wire_add(const void *p, size_t len)
{
	const uint8_t *at = p;
	size_t blocks = len / (2 * sizeof(lanes));
	uint64_t sum = blocks ? sum_blocks(at, blocks) : 0;
	uint32_t word;
	uint16_t half;

	at += blocks * 2 * sizeof(lanes);
	len -= blocks * 2 * sizeof(lanes);
	for (; len >= sizeof(word); len -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		sum += word;
	}
	if (len >= sizeof(half)) {
		memcpy(&half, at, sizeof(half));
		sum += half;
		at += sizeof(half);
		len -= sizeof(half);
	}
	if (len) {
		half = 0; /* an odd last byte is followed by a zero byte, in memory order */
		memcpy(&half, at, 1);
		sum += half;
	}
	return sum;
}

uint64_t csum_wire_add_odd(const void *p, size_t len)
{
	return __builtin_bswap16(csum_wire_fold(csum_wire_add(p, len)));
}

uint64_t csum_wire_iov(const struct iovec *iov, int n)
{
	bool odd = false;
	uint64_t sum = 0;

	for (int i = 0; i < n; i++) {
		sum += odd ? csum_wire_add_odd(iov[i].iov_base, iov[i].iov_len)
			   : csum_wire_add(iov[i].iov_base, iov[i].iov_len);
		odd ^= iov[i].iov_len & 1;
	}
	return sum;
}

uint64_t csum_wire_pseudo(const struct addr *src, const struct addr *dst, uint8_t proto, uint32_t len)
{
	bool v4 = addr_is_v4(src);
	size_t from = v4 ? 12 : 0, n = sizeof(src->b) - from;
	uint8_t tail[6];

	/* IPv4 has a 16-bit length here; for lengths that fit, the 32-bit form of IPv6 adds up to the same. */
	bytes_put32(tail, len);
	bytes_put16(tail + 4, proto);
	return csum_wire_add(src->b + from, n) + csum_wire_add(dst->b + from, n) + csum_wire_add(tail, sizeof(tail));
}

uint16_t csum_wire_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}
