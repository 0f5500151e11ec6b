/* icmp_wire_test.c - unreachable errors byte by byte; neighbour discovery there and back, cut short, bent, random
 * bytes. */
#include "slirp/wire/icmp_wire.h"
#include "slirp/wire/ip_wire.h"
#include "tests/unit/naive.h"

static void test_unreach(void)
{
	static const uint8_t want[][2][2] = {
		[ICMP_UNREACH_NET] = { { 3, 0 }, { 1, 0 } },
		[ICMP_UNREACH_HOST] = { { 3, 1 }, { 1, 3 } },
		[ICMP_UNREACH_PORT] = { { 3, 3 }, { 1, 4 } },
		[ICMP_UNREACH_ADMIN] = { { 3, 13 }, { 1, 1 } },
		[ICMP_UNREACH_SIZE] = { { 3, 4 }, { 2, 0 } },
		[ICMP_UNREACH_HOPS] = { { 11, 0 }, { 3, 0 } },
		[ICMP_UNREACH_LATE] = { { 11, 1 }, { 3, 1 } },
	};
	GRand *rand = g_rand_new_with_seed(1);

	for (int i = 0; i < 4000; i++) {
		bool v6 = i & 1;
		enum icmp_unreach why = (enum icmp_unreach)(i / 2 % (int)G_N_ELEMENTS(want));
		struct addr src = random_addr(rand, v6), dst = random_addr(rand, v6);
		uint32_t quote_len = (uint32_t)g_rand_int_range(rand, 0, 100), len = ICMP_HDR_LEN + quote_len;
		uint8_t quote[100], *p = malloc(len);
		uint32_t sum;

		memset(p, 0xee, len);
		fill_random(rand, quote, quote_len);
		g_assert_cmpuint(icmp_wire_error_put(p, v6, why, why == ICMP_UNREACH_SIZE ? 1400 : 0, &src, &dst, quote, quote_len), ==, len);
		g_assert_cmpuint(p[0], ==, want[why][v6][0]);
		g_assert_cmpuint(p[1], ==, want[why][v6][1]);
		g_assert_cmphex(bytes_get32(p + 4), ==, why == ICMP_UNREACH_SIZE ? 1400 : 0);
		g_assert_cmpmem(p + 8, quote_len, quote, quote_len);
		sum = naive_sum(v6 ? naive_pseudo(&src, &dst, IP_PROTO_ICMPV6, len) : 0, p, len, 0);
		g_assert_cmphex(sum, ==, 0xffff);
		free(p);
	}
	g_rand_free(rand);
}

static struct neigh_msg random_neigh(GRand *rand)
{
	bool advert = g_rand_boolean(rand);
	struct neigh_msg m = {
		.type = advert ? ICMP6_NEIGH_ADVERT : ICMP6_NEIGH_SOLICIT,
		.target = random_addr(rand, true),
		.has_mac = true,
		.router = advert && g_rand_boolean(rand),
		.solicited = advert && g_rand_boolean(rand),
		.override = advert && g_rand_boolean(rand),
	};

	m.target.b[0] = 0x20;
	fill_random(rand, m.mac.b, sizeof(m.mac.b));
	return m;
}

static enum reason parse_exact(const uint8_t *p, uint32_t len, struct neigh_msg *ret)
{
	uint8_t *copy = exact(p, len);
	enum reason r = icmp_wire_neigh_parse(copy, len, ret);

	free(copy);
	return r;
}

static void test_neigh_there_and_back(void)
{
	GRand *rand = g_rand_new_with_seed(2);

	for (int i = 0; i < 5000; i++) {
		struct neigh_msg in = random_neigh(rand), out;
		struct addr src = random_addr(rand, true), dst = random_addr(rand, true);
		uint8_t p[ICMP6_NEIGH_LEN];
		uint32_t sum;

		memset(p, 0xee, sizeof(p));
		icmp_wire_neigh_put(p, &in, &src, &dst);
		sum = naive_sum(naive_pseudo(&src, &dst, IP_PROTO_ICMPV6, sizeof(p)), p, sizeof(p), 0);
		g_assert_cmphex(sum, ==, 0xffff);
		g_assert_cmpint(parse_exact(p, sizeof(p), &out), ==, R_ACCEPTED);
		g_assert_cmpuint(in.type, ==, out.type);
		g_assert_true(addr_eq(&in.target, &out.target));
		g_assert_true(out.has_mac && mac_eq(&in.mac, &out.mac));
		g_assert_true(in.router == out.router && in.solicited == out.solicited && in.override == out.override);
		for (uint32_t len = 0; i < 100 && len < sizeof(p); len++)
			g_assert_cmpint(parse_exact(p, len, &out), ==, len == 24 ? R_ACCEPTED : R_NDP_MALFORMED);
		parse_exact(p, 24, &out);
		g_assert_false(out.has_mac);
	}
	g_rand_free(rand);
}

static void test_neigh_bent(void)
{
	GRand *rand = g_rand_new_with_seed(3);
	struct neigh_msg m = random_neigh(rand), out;
	uint8_t p[ICMP6_NEIGH_LEN + 8], good[ICMP6_NEIGH_LEN + 8] = { 0 };

	m.type = ICMP6_NEIGH_SOLICIT;
	icmp_wire_neigh_put(good, &m, &m.target, &m.target);
#define BENT(at, byte, len) (memcpy(p, good, sizeof(p)), p[at] = (byte), parse_exact(p, len, &out))
	g_assert_cmpint(BENT(0, ICMP6_ROUTER_SOLICIT, 32), ==, R_NDP_MALFORMED);
	g_assert_cmpint(BENT(1, 1, 32), ==, R_NDP_MALFORMED);
	g_assert_cmpint(BENT(8, 0xff, 32), ==, R_NDP_MALFORMED); /* a group as target */
	g_assert_cmpint(BENT(25, 0, 32), ==, R_NDP_MALFORMED);	  /* an option of no length */
	g_assert_cmpint(BENT(25, 2, 32), ==, R_NDP_MALFORMED);	  /* an option over the end */
	g_assert_cmpint(BENT(25, 2, 40), ==, R_NDP_MALFORMED);	  /* not an Ethernet address */
	g_assert_cmpint(BENT(33, 0, 40), ==, R_NDP_MALFORMED);	  /* the second option has no length */
	g_assert_cmpint(BENT(33, 1, 40), ==, R_ACCEPTED);
	g_assert_true(out.has_mac && mac_eq(&out.mac, &m.mac));
	g_assert_cmpint(BENT(24, 2, 32), ==, R_ACCEPTED); /* a target's address in a solicitation is ignored */
	g_assert_false(out.has_mac);
	g_assert_cmpint(BENT(24, 14, 32), ==, R_ACCEPTED); /* so is an unknown option */
	g_assert_false(out.has_mac);
	memcpy(p, good, sizeof(p));
	memset(p + 8, 0, 10);
	memset(p + 18, 0xff, 2);
	g_assert_cmpint(parse_exact(p, 32, &out), ==, R_NDP_MALFORMED); /* a mapped address */
#undef BENT
	g_rand_free(rand);
}

static void test_random(void)
{
	GRand *rand = g_rand_new_with_seed(4);
	struct neigh_msg out;
	uint8_t buf[96];
	int good = 0;

	for (int i = 0; i < 100000; i++) {
		uint32_t len = (uint32_t)g_rand_int_range(rand, 0, sizeof(buf) + 1);

		fill_random(rand, buf, sizeof(buf));
		if (i % 8) {
			buf[0] = (uint8_t)(ICMP6_NEIGH_SOLICIT + i % 2);
			buf[1] = 0;
		}
		for (int k = 24; k < 96; k += 8) {
			buf[k] %= 4;
			buf[k + 1] %= 3;
		}
		good += parse_exact(buf, len, &out) == R_ACCEPTED;
	}
	g_assert_cmpint(good, >, 1000);
	g_rand_free(rand);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/icmp/unreach", test_unreach);
	g_test_add_func("/icmp/neigh-there-and-back", test_neigh_there_and_back);
	g_test_add_func("/icmp/neigh-bent", test_neigh_bent);
	g_test_add_func("/icmp/random", test_random);
	return g_test_run();
}
