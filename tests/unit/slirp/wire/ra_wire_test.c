/* ra_wire_test.c - a router advertisement byte by byte, the longest one, solicitations cut and at random. */
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/ra_wire.h"
#include "tests/unit/naive.h"

#include <string.h>

static uint32_t put(uint8_t *p, const char *search)
{
	struct addr src = { { 0xfe, 0x80, [15] = 1 } }, dst = { { 0xff, 2, [15] = 1 } };
	struct ra ra = { .managed = true, .other = true, .hop_limit = 64, .lifetime = 0x1234, .mac = { { 2, 3, 4, 5, 6, 7 } }, .mtu = 1500,
			 .prefix = { { { 0xfd } }, 64 }, .on_link = true, .autonomous = true, .dns = { { 0xfd, [15] = 3 } }, .search = search };
	uint32_t len, sum;

	memset(p, 0xee, RA_MAX_LEN);
	len = ra_wire_put(p, &ra, &src, &dst);
	sum = naive_sum(naive_pseudo(&src, &dst, IP_PROTO_ICMPV6, len), p, len, 0);
	g_assert_cmphex(sum, ==, 0xffff);
	return len;
}

static void test_bytes(void)
{
	static const uint8_t want[] = {
		64, 0xc0, 0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0,			       /* hop limit, M O, lifetime, two timers */
		1, 1, 2, 3, 4, 5, 6, 7, 5, 1, 0, 0, 0, 0, 5, 220,		       /* source address, MTU */
		3, 4, 64, 0xc0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0,    /* prefix, L A, for ever */
		0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,		       /* fd00:: */
		25, 3, 0, 0, 255, 255, 255, 255, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, /* RDNSS */
		31, 2, 0, 0, 255, 255, 255, 255, 1, 'a', 1, 'b', 0, 0, 0, 0,	       /* DNSSL, padded */
	};
	uint8_t p[RA_MAX_LEN];
	uint32_t len = put(p, "a.b");

	g_assert_cmpuint(p[0], ==, 134);
	g_assert_cmpuint(p[1], ==, 0);
	g_assert_cmpmem(p + 4, len - 4, want, sizeof(want));
	g_assert_cmpuint(put(p, ""), ==, sizeof(want) + 4 - 16);
}

static void test_longest(void)
{
	GString *s = g_string_new(NULL);
	uint8_t p[RA_MAX_LEN];

	while (s->len < 2000)
		g_string_append(s, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example ");
	g_assert_cmpuint(put(p, s->str), <=, RA_MAX_LEN);
	g_string_free(s, TRUE);
}

static void test_solicit(void)
{
	static const uint8_t good[] = { 133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 14, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	uint8_t zero[16] = { 133, [8] = 1 }, code[8] = { 133, 1 };
	bool mac;

	for (uint32_t n = 0; n <= sizeof(good); n++) {
		uint8_t *p = exact(good, n);
		bool whole = n == 8 || n == 16 || n == 32;

		mac = false;
		g_assert_cmpint(ra_wire_solicit_parse(p, n, &mac), ==, whole ? R_ACCEPTED : R_NDP_MALFORMED);
		g_assert_true(mac == (whole && n > 8));
		free(p);
	}
	g_assert_cmpint(ra_wire_solicit_parse(zero, sizeof(zero), &mac), ==, R_NDP_MALFORMED);
	g_assert_cmpint(ra_wire_solicit_parse(code, sizeof(code), &mac), ==, R_NDP_MALFORMED);
}

static void test_random(void)
{
	GRand *rand = g_rand_new_with_seed(1);

	for (int i = 0; i < 20000; i++) {
		uint32_t len = (uint32_t)g_rand_int_range(rand, 0, 64);
		uint8_t *p = malloc(len + 1);
		bool mac;

		for (uint32_t k = 0; k < len; k++)
			p[k] = (uint8_t)(k ? g_rand_int_range(rand, 0, 4) : 133);
		if (len > 1)
			p[1] = 0;
		ra_wire_solicit_parse(p, len, &mac);
		free(p);
	}
	g_rand_free(rand);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/ra_wire/bytes", test_bytes);
	g_test_add_func("/ra_wire/longest", test_longest);
	g_test_add_func("/ra_wire/solicit", test_solicit);
	g_test_add_func("/ra_wire/random", test_random);
	return g_test_run();
}
