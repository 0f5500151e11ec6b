/* siphash_test.c - the paper's vector (appendix A), two more of the authors' list, and what a keyed hash must not
 * ignore. */
#include "slirp/base/siphash.h"
#include "tests/unit/naive.h"

/* Bytes 00..0f read as two little-endian words. */
static const struct siphash_key paper_key = { { 0x0706050403020100, 0x0f0e0d0c0b0a0908 } };

static void test_vectors(void)
{
	uint8_t in[16];

	for (int i = 0; i < 16; i++)
		in[i] = (uint8_t)i;
	g_assert_cmphex(siphash(&paper_key, in, 15), ==, 0xa129ca6149be45e5);
	g_assert_cmphex(siphash(&paper_key, in, 0), ==, 0x726fdb47dd0e0e31);
	g_assert_cmphex(siphash(&paper_key, in, 8), ==, 0x93f5f5799a932462);
}

static void test_every_bit_counts(void)
{
	struct siphash_key key = paper_key;
	uint8_t in[37] = { 0 };

	for (size_t len = 1; len <= sizeof(in); len++) {
		uint8_t *p = exact(in, len);
		uint64_t h = siphash(&key, p, len);

		g_assert_cmphex(siphash(&key, p, len - 1), !=, h);
		for (size_t bit = 0; bit < 8 * len; bit++) {
			p[bit / 8] ^= (uint8_t)(1 << bit % 8);
			g_assert_cmphex(siphash(&key, p, len), !=, h);
			p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		g_assert_cmphex(siphash(&key, p, len), ==, h);
		key.k[len % 2] ^= 1ull << len;
		g_assert_cmphex(siphash(&key, p, len), !=, h);
		free(p);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/siphash/vectors", test_vectors);
	g_test_add_func("/siphash/every-bit-counts", test_every_bit_counts);
	return g_test_run();
}
