/* naive.h - the slow and obvious ways that unit tests compare the quick ones with.
 *
 * Also: exact(), a heap copy that ends where the data ends, so that a sanitizer sees the first byte read past it.
 */
#ifndef TESTS_UNIT_NAIVE_H
#define TESTS_UNIT_NAIVE_H

#include "slirp/base/addr.h"
#include "slirp/base/bytes.h"

#include <glib.h>
#include <stdlib.h>

static inline void *exact(const void *p, size_t len)
{
	void *copy = malloc(len);

	g_assert_nonnull(copy);
	if (len)
		memcpy(copy, p, len);
	return copy;
}

static inline void fill_random(GRand *rand, uint8_t *p, size_t len)
{
	while (len--)
		*p++ = (uint8_t)g_rand_int(rand);
}

/* An address of the wanted family that ip_wire_parse() lets through. */
static inline struct addr random_addr(GRand *rand, bool v6)
{
	uint8_t b[16];

	fill_random(rand, b, sizeof(b));
	b[0] |= 0x20; /* never the mapped form */
	return v6 ? addr_from_v6(b) : addr_from_v4(b);
}

/* RFC 1071 byte by byte, in host order, folded, not complemented.  `at` is the offset of p in the summed range. */
static inline uint32_t naive_sum(uint32_t sum, const uint8_t *p, size_t len, size_t at)
{
	for (size_t i = 0; i < len; i++) {
		sum += (at + i) & 1 ? p[i] : (uint32_t)p[i] << 8;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return sum;
}

/* The pseudo header written out as bytes, then summed. */
static inline uint32_t naive_pseudo(const struct addr *src, const struct addr *dst, uint8_t proto, uint32_t len)
{
	uint8_t b[40] = { 0 };

	if (addr_is_v4(src)) {
		memcpy(b, addr_v4_bytes(src), 4);
		memcpy(b + 4, addr_v4_bytes(dst), 4);
		b[9] = proto;
		bytes_put16(b + 10, (uint16_t)len);
		return naive_sum(0, b, 12, 0);
	}
	memcpy(b, src->b, 16);
	memcpy(b + 16, dst->b, 16);
	bytes_put32(b + 32, len);
	b[39] = proto;
	return naive_sum(0, b, 40, 0);
}

#endif
