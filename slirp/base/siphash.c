/* siphash.c - SipHash-2-4, written from sections 2.1 to 2.4 of the paper.
 *
 * What it is not: a hash for long inputs or for checksums.
 * Below: nothing.  Above: stack, gateway.  Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012.
 */
#include "slirp/base/siphash.h"

enum { ROUNDS_PER_WORD = 2, ROUNDS_AT_END = 4 };

struct sip_state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

/* Figure 2.1 of the paper: two columns of add, rotate, xor, twice. */
static inline void sip_rounds(struct sip_state *s, int n)
{
	while (n--) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = rotl(s->v1, 13) ^ s->v0;
		s->v3 = rotl(s->v3, 16) ^ s->v2;
		s->v0 = rotl(s->v0, 32);
		s->v2 += s->v1;
		s->v0 += s->v3;
		s->v1 = rotl(s->v1, 17) ^ s->v2;
		s->v3 = rotl(s->v3, 21) ^ s->v0;
		s->v2 = rotl(s->v2, 32);
	}
}

static inline void sip_word(struct sip_state *s, uint64_t m)
{
	s->v3 ^= m;
	sip_rounds(s, ROUNDS_PER_WORD);
	s->v0 ^= m;
}

/* n bytes, 0..8, as a little-endian number. */
static inline uint64_t load_le(const uint8_t *p, size_t n)
{
	uint64_t m = 0;

	for (size_t i = 0; i < n; i++)
		m |= (uint64_t)p[i] << 8 * i;
	return m;
}

uint64_t siphash(const struct siphash_key *key, const void *data, size_t len)
{
	const uint8_t *p = data;
	struct sip_state s = {
		.v0 = key->k[0] ^ 0x736f6d6570736575,
		.v1 = key->k[1] ^ 0x646f72616e646f6d,
		.v2 = key->k[0] ^ 0x6c7967656e657261,
		.v3 = key->k[1] ^ 0x7465646279746573,
	};
	size_t left = len;

	for (; left >= 8; left -= 8, p += 8)
		sip_word(&s, load_le(p, 8));
	sip_word(&s, (uint64_t)len << 56 | load_le(p, left));
	s.v2 ^= 0xff;
	sip_rounds(&s, ROUNDS_AT_END);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
