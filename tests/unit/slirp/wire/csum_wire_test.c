/* csum_wire_test.c - the wide sum beside a loop over bytes: any length, any alignment, any split. */
#include "slirp/wire/csum_wire.h"
#include "tests/unit/naive.h"

enum { SIZE = 5000 };

/* A memory-order sum as the number that stands on the wire. */
static uint32_t wire_value(uint64_t sum)
{
	uint16_t folded = csum_wire_fold(sum);
	uint8_t b[2];

	memcpy(b, &folded, sizeof(b));
	return bytes_get16(b);
}

static void test_known(void)
{
	/* The example of RFC 1071, section 3. */
	static const uint8_t rfc[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	g_assert_cmphex(wire_value(csum_wire_add(rfc, sizeof(rfc))), ==, 0xddf2);
	g_assert_cmphex(csum_wire_fold(0), ==, 0);
	g_assert_cmphex(csum_wire_fold(UINT64_MAX), ==, 0xffff);
	g_assert_cmphex(csum_wire_fold(0xffff000000000001), ==, 1);
	g_assert_cmphex(csum_wire_fold(0x0001000200030004), ==, 10);
	g_assert_cmphex(csum_wire_final(0), ==, 0xffff);
	g_assert_cmphex(csum_wire_final(0xffff), ==, 0);
	g_assert_cmphex(csum_wire_add(rfc, 0), ==, 0);
	g_assert_cmphex(csum_wire_iov(NULL, 0), ==, 0);
}

static void test_lengths(void)
{
	GRand *rand = g_rand_new_with_seed(1);
	uint8_t *buf = malloc(SIZE + 32);

	fill_random(rand, buf, SIZE + 32);
	for (size_t len = 0; len < 300; len++) {
		for (size_t align = 0; align < 32; align++) {
			uint32_t want = naive_sum(0, buf + align, len, 0);

			g_assert_cmphex(wire_value(csum_wire_add(buf + align, len)), ==, want);
			want = naive_sum(0, buf + align, len, 1);
			g_assert_cmphex(wire_value(csum_wire_add_odd(buf + align, len)), ==, want);
		}
	}
	free(buf);
	g_rand_free(rand);
}

/* Lanes of all ones are where a carry would be lost. */
static void test_carries(void)
{
	uint8_t *buf = malloc(65536);

	memset(buf, 0xff, 65536);
	for (size_t len = 65536; len > 65400; len--)
		g_assert_cmphex(wire_value(csum_wire_add(buf, len)), ==, naive_sum(0, buf, len, 0));
	memset(buf, 0, 65536);
	g_assert_cmphex(csum_wire_fold(csum_wire_add(buf, 65536)), ==, 0);
	free(buf);
}

static void test_exact(void)
{
	GRand *rand = g_rand_new_with_seed(2);
	uint8_t buf[SIZE];

	fill_random(rand, buf, sizeof(buf));
	for (int i = 0; i < 20000; i++) {
		size_t len = (size_t)g_rand_int_range(rand, 0, i % 10 ? 200 : SIZE);
		size_t skip = (size_t)g_rand_int_range(rand, 0, 32);
		uint8_t *p = malloc(skip + len);

		memcpy(p + skip, buf, len);
		g_assert_cmphex(wire_value(csum_wire_add(p + skip, len)), ==, naive_sum(0, buf, len, 0));
		free(p);
	}
	g_rand_free(rand);
}

/* However a range is cut into iovecs, empty and odd ones among them, the sum is that of the whole. */
static void test_splits(void)
{
	GRand *rand = g_rand_new_with_seed(3);
	uint8_t buf[SIZE];
	struct iovec iov[12];

	fill_random(rand, buf, sizeof(buf));
	for (int i = 0; i < 20000; i++) {
		size_t at = (size_t)g_rand_int_range(rand, 0, 64), start = at;
		int n = g_rand_int_range(rand, 0, 13);

		for (int k = 0; k < n; k++) {
			iov[k].iov_base = buf + at;
			iov[k].iov_len = (size_t)g_rand_int_range(rand, 0, k % 3 ? 8 : 400);
			at += iov[k].iov_len;
		}
		g_assert_cmphex(wire_value(csum_wire_iov(iov, n)), ==, naive_sum(0, buf + start, at - start, 0));
	}
	g_rand_free(rand);
}

static void test_pseudo(void)
{
	GRand *rand = g_rand_new_with_seed(4);

	for (int i = 0; i < 20000; i++) {
		bool v6 = g_rand_boolean(rand);
		struct addr src = random_addr(rand, v6), dst = random_addr(rand, v6);
		uint8_t proto = (uint8_t)g_rand_int(rand);
		uint32_t len = g_rand_int(rand) & (v6 && i % 2 ? 0xffffff : 0xffff);
		uint32_t want = naive_pseudo(&src, &dst, proto, len);

		g_assert_cmphex(wire_value(csum_wire_pseudo(&src, &dst, proto, len)), ==, want);
	}
	g_rand_free(rand);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/csum/known", test_known);
	g_test_add_func("/csum/lengths", test_lengths);
	g_test_add_func("/csum/carries", test_carries);
	g_test_add_func("/csum/exact", test_exact);
	g_test_add_func("/csum/splits", test_splits);
	g_test_add_func("/csum/pseudo", test_pseudo);
	return g_test_run();
}
