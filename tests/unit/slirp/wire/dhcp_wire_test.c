/* dhcp_wire_test.c - DHCPv4 messages there and back, long options, overloaded fields, cut at every length, random bytes. */
#include "slirp/wire/dhcp_wire.h"
#include "tests/unit/naive.h"

#include <string.h>

enum { ROOM = 3000 };

static struct dhcp_msg random_msg(GRand *rand)
{
	struct dhcp_msg m = { .op = (uint8_t)g_rand_int(rand), .htype = 1, .hlen = 6, .hops = (uint8_t)g_rand_int(rand),
			      .xid = g_rand_int(rand), .secs = (uint16_t)g_rand_int(rand), .flags = (uint16_t)g_rand_int(rand),
			      .ciaddr = random_addr(rand, false), .yiaddr = random_addr(rand, false), .siaddr = random_addr(rand, false),
			      .giaddr = random_addr(rand, false) };

	fill_random(rand, m.chaddr, sizeof(m.chaddr));
	return m;
}

static void assert_same(const struct dhcp_msg *x, const struct dhcp_msg *y)
{
	g_assert_cmpuint(x->op, ==, y->op);
	g_assert_cmpuint(x->htype, ==, y->htype);
	g_assert_cmpuint(x->hlen, ==, y->hlen);
	g_assert_cmpuint(x->hops, ==, y->hops);
	g_assert_cmpuint(x->xid, ==, y->xid);
	g_assert_cmpuint(x->secs, ==, y->secs);
	g_assert_cmpuint(x->flags, ==, y->flags);
	g_assert_true(addr_eq(&x->ciaddr, &y->ciaddr) && addr_eq(&x->yiaddr, &y->yiaddr));
	g_assert_true(addr_eq(&x->siaddr, &y->siaddr) && addr_eq(&x->giaddr, &y->giaddr));
	g_assert_cmpmem(x->chaddr, sizeof(x->chaddr), y->chaddr, sizeof(y->chaddr));
}

/* Options of any length with different codes: each comes back whole, and no prefix of the message is more than malformed. */
static void test_there_and_back(void)
{
	GRand *rand = g_rand_new_with_seed(1);

	for (int i = 0; i < 300; i++) {
		struct dhcp_msg in = random_msg(rand), out;
		uint8_t p[ROOM], data[3][700], got[700], type = DHCP_REQUEST, *copy;
		uint32_t lens[3], len;
		struct dhcp_writer w;

		memset(p, 0xee, sizeof(p));
		dhcp_wire_begin(&w, p, sizeof(p), &in);
		g_assert_true(dhcp_wire_put(&w, DHCP_OPT_TYPE, &type, 1));
		for (int k = 0; k < 3; k++) {
			lens[k] = (uint32_t)g_rand_int_range(rand, 0, i & 1 ? 700 : 20);
			fill_random(rand, data[k], lens[k]);
			g_assert_true(dhcp_wire_put(&w, (enum dhcp_option)(100 + k), data[k], lens[k]));
		}
		len = dhcp_wire_end(&w);
		g_assert_cmpuint(len, >=, DHCP_MIN_LEN);
		copy = exact(p, len);
		g_assert_cmpint(dhcp_wire_parse(copy, len, &out), ==, R_ACCEPTED);
		assert_same(&in, &out);
		g_assert_cmpint(out.type, ==, DHCP_REQUEST);
		for (int k = 0; k < 3; k++) {
			g_assert_cmpint(dhcp_wire_get(&out, (enum dhcp_option)(100 + k), got, sizeof(got)), ==, (int)lens[k]);
			g_assert_cmpmem(got, lens[k], data[k], lens[k]);
			g_assert_cmpint(dhcp_wire_get(&out, (enum dhcp_option)(100 + k), got, 3), ==, (int)lens[k]);
		}
		g_assert_cmpint(dhcp_wire_get(&out, DHCP_OPT_SEARCH, got, sizeof(got)), ==, -1);
		free(copy);
	}
	g_rand_free(rand);
}

static void test_cut(void)
{
	GRand *rand = g_rand_new_with_seed(2);
	struct dhcp_msg in = random_msg(rand), out;
	uint8_t p[ROOM], data[400] = { 1 }, got[400], type = DHCP_DISCOVER;
	struct dhcp_writer w;
	uint32_t len;

	dhcp_wire_begin(&w, p, sizeof(p), &in);
	dhcp_wire_put(&w, DHCP_OPT_TYPE, &type, 1);
	dhcp_wire_put(&w, DHCP_OPT_SEARCH, data, sizeof(data));
	len = dhcp_wire_end(&w);
	for (uint32_t n = 0; n < len; n++) {
		uint8_t *copy = exact(p, n);
		enum reason r = dhcp_wire_parse(copy, n, &out);

		g_assert_true(n >= DHCP_BOOTP_LEN || r == R_DHCP_MALFORMED);
		if (!r)
			g_assert_cmpint(dhcp_wire_get(&out, DHCP_OPT_SEARCH, got, sizeof(got)), <=, (int)sizeof(data));
		if (!r && n < DHCP_BOOTP_LEN + 7)
			g_assert_cmpint(out.type, ==, DHCP_BOOTP);
		free(copy);
	}
	g_rand_free(rand);
}

/* RFC 3396: a piece in the options, one in file, one in sname, in this order. */
static void test_overload(void)
{
	struct dhcp_msg in = { 0 }, out;
	uint8_t p[ROOM], overload = 3, got[16];
	struct dhcp_writer w;
	uint32_t len;

	dhcp_wire_begin(&w, p, sizeof(p), &in);
	dhcp_wire_put(&w, DHCP_OPT_OVERLOAD, &overload, 1);
	dhcp_wire_put(&w, DHCP_OPT_HOSTNAME, "ab", 2);
	len = dhcp_wire_end(&w);
	memcpy(p + 108, "\x0c\x02" "cd\xff", 5);
	memcpy(p + 44, "\x0c\x01" "e\xff", 4);
	g_assert_cmpint(dhcp_wire_parse(p, len, &out), ==, R_ACCEPTED);
	g_assert_cmpint(dhcp_wire_get(&out, DHCP_OPT_HOSTNAME, got, sizeof(got)), ==, 5);
	g_assert_cmpmem(got, 5, "abcde", 5);
	p[45] = 70; /* over the end of sname */
	g_assert_cmpint(dhcp_wire_parse(p, len, &out), ==, R_DHCP_MALFORMED);
}

/* Options of all lengths into little room: each is whole where it was taken, and nothing else is there. */
static void test_overflow(void)
{
	GRand *rand = g_rand_new_with_seed(5);
	unsigned spread = 0, refused = 0;

	for (int i = 0; i < 5000; i++) {
		uint32_t room = (uint32_t)g_rand_int_range(rand, DHCP_MIN_LEN, 420), len;
		uint8_t p[420], want[12][255], got[256];
		int lens[12];
		struct dhcp_msg in = { .op = DHCP_BOOTREPLY }, out;
		struct dhcp_writer w;

		dhcp_wire_begin(&w, p, room, &in);
		w.overload = true;
		for (int k = 0; k < 12; k++) {
			int n = g_rand_int_range(rand, 0, g_rand_boolean(rand) ? 20 : 130);

			fill_random(rand, want[k], (size_t)n);
			lens[k] = dhcp_wire_put(&w, (enum dhcp_option)(200 + k), want[k], (uint32_t)n) ? n : -1;
			refused += lens[k] < 0;
		}
		len = dhcp_wire_end(&w);
		g_assert_cmpuint(len, <=, room);
		g_assert_cmpint(dhcp_wire_parse(p, len, &out), ==, R_ACCEPTED);
		spread += out.area[1].len && out.area[2].len;
		for (int k = 0; k < 12; k++) {
			g_assert_cmpint(dhcp_wire_get(&out, (enum dhcp_option)(200 + k), got, sizeof(got)), ==, lens[k]);
			if (lens[k] > 0)
				g_assert_cmpmem(got, (size_t)lens[k], want[k], (size_t)lens[k]);
		}
	}
	g_assert_cmpuint(spread, >, 100);
	g_assert_cmpuint(refused, >, 100);
	g_rand_free(rand);
}

static void test_room(void)
{
	struct dhcp_msg in = { 0 };
	uint8_t p[DHCP_MIN_LEN], data[300] = { 0 };
	struct dhcp_writer w;

	dhcp_wire_begin(&w, p, sizeof(p), &in);
	g_assert_false(dhcp_wire_put(&w, DHCP_OPT_SEARCH, data, 58)); /* 240 + 2 + 58, and the end */
	g_assert_cmpuint(w.len, ==, 240);
	g_assert_true(dhcp_wire_put(&w, DHCP_OPT_SEARCH, data, 57));
	g_assert_false(dhcp_wire_put(&w, DHCP_OPT_HOSTNAME, NULL, 0));
	g_assert_cmpuint(dhcp_wire_end(&w), ==, DHCP_MIN_LEN);
}

static void test_random(void)
{
	GRand *rand = g_rand_new_with_seed(3);
	struct dhcp_msg in = { 0 }, out;
	uint8_t p[DHCP_MIN_LEN], got[300];
	struct dhcp_writer w;

	for (int i = 0; i < 30000; i++) {
		uint32_t len = (uint32_t)g_rand_int_range(rand, DHCP_BOOTP_LEN, DHCP_MIN_LEN);
		uint8_t *copy;

		dhcp_wire_begin(&w, p, sizeof(p), &in);
		for (uint32_t k = 240; k < sizeof(p); k++)
			p[k] = (uint8_t)(g_rand_int_range(rand, 0, 3) ? g_rand_int_range(rand, 0, 6) : g_rand_int_range(rand, 50, 56));
		copy = exact(p, len);
		if (!dhcp_wire_parse(copy, len, &out))
			for (int code = 0; code < 256; code++)
				dhcp_wire_get(&out, (enum dhcp_option)code, got, sizeof(got));
		free(copy);
	}
	g_rand_free(rand);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/dhcp_wire/there_and_back", test_there_and_back);
	g_test_add_func("/dhcp_wire/cut", test_cut);
	g_test_add_func("/dhcp_wire/overload", test_overload);
	g_test_add_func("/dhcp_wire/overflow", test_overflow);
	g_test_add_func("/dhcp_wire/room", test_room);
	g_test_add_func("/dhcp_wire/random", test_random);
	return g_test_run();
}
