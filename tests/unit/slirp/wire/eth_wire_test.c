/* eth_wire_test.c - Ethernet and ARP there and back, cut short at every length, and MAC addresses from text. */
#include "slirp/wire/eth_wire.h"
#include "tests/unit/naive.h"

static void test_eth(void)
{
	GRand *rand = g_rand_new_with_seed(1);
	uint8_t buf[ETH_HDR_LEN];
	struct eth in, out;

	for (int i = 0; i < 1000; i++) {
		fill_random(rand, in.dst.b, 6);
		fill_random(rand, in.src.b, 6);
		in.type = (uint16_t)g_rand_int(rand);
		eth_wire_put(buf, &in);
		g_assert_cmpint(eth_wire_parse(buf, sizeof(buf), &out), ==, R_ACCEPTED);
		g_assert_true(mac_eq(&in.dst, &out.dst) && mac_eq(&in.src, &out.src) && in.type == out.type);
	}
	g_assert_cmpmem(buf, 6, in.dst.b, 6);
	g_assert_cmphex(bytes_get16(buf + 12), ==, in.type);
	for (uint32_t len = 0; len < ETH_HDR_LEN; len++) {
		uint8_t *p = exact(buf, len);

		g_assert_cmpint(eth_wire_parse(p, len, &out), ==, R_SHORT_FRAME);
		free(p);
	}
	g_rand_free(rand);
}

static void test_arp(void)
{
	static const uint8_t head[] = { 0, 1, 8, 0, 6, 4, 0, 2 };
	GRand *rand = g_rand_new_with_seed(2);
	struct arp in, out;
	uint8_t buf[ARP_LEN];

	in = (struct arp){ .op = ARP_REPLY, .sender = random_addr(rand, false), .target = random_addr(rand, false) };
	fill_random(rand, in.sender_mac.b, 6);
	fill_random(rand, in.target_mac.b, 6);
	eth_wire_arp_put(buf, &in);
	g_assert_cmpmem(buf, 8, head, 8);
	g_assert_cmpint(eth_wire_arp_parse(buf, sizeof(buf), &out), ==, R_ACCEPTED);
	g_assert_cmpint(out.op, ==, ARP_REPLY);
	g_assert_true(mac_eq(&in.sender_mac, &out.sender_mac) && mac_eq(&in.target_mac, &out.target_mac));
	g_assert_true(addr_eq(&in.sender, &out.sender) && addr_eq(&in.target, &out.target));
	for (uint32_t len = 0; len < ARP_LEN; len++) {
		uint8_t *p = exact(buf, len);

		g_assert_cmpint(eth_wire_arp_parse(p, len, &out), ==, R_ARP_MALFORMED);
		free(p);
	}
	for (int i = 0; i < 6; i++) {
		buf[i] ^= 0x10;
		g_assert_cmpint(eth_wire_arp_parse(buf, sizeof(buf), &out), ==, R_ARP_MALFORMED);
		buf[i] ^= 0x10;
	}
	g_rand_free(rand);
}

static void test_mac_text(void)
{
	static const struct mac want = { { 0x52, 0x54, 0x00, 0xab, 0xCD, 0xef } };
	static const struct {
		const char *text;
		int at;
	} bad[] = {
		{ "", 0 },	       { "5", 1 },		 { "52", 2 },		    { "52:", 3 },
		{ "52-54-00-12-34-56", 2 }, { "g2:54:00:12:34:56", 0 }, { "52:5:00:12:34:56", 4 },
		{ "52:54:00:12:34", 14 },
		{ "525:4:00:12:34:56", 2 }, { "52:54:00:12:34:56:", 17 }, { "52:54:00:12:34:567", 17 },
	};
	const char *end;
	struct mac m;

	g_assert_true(eth_wire_mac_parse("52:54:00:aB:Cd:EF", &m, NULL));
	g_assert_true(mac_eq(&m, &want));
	g_assert_false(mac_is_group(&m));
	g_assert_true(eth_wire_mac_parse("01:00:5e:00:00:fb,x", &m, &end));
	g_assert_cmpstr(end, ==, ",x");
	g_assert_true(mac_is_group(&m));
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		m = want;
		if (eth_wire_mac_parse(bad[i].text, &m, NULL))
			g_error("should not parse: \"%s\"", bad[i].text);
		g_assert_true(mac_eq(&m, &want));
		eth_wire_mac_parse(bad[i].text, &m, &end);
		g_assert_cmpint(end - bad[i].text, ==, bad[i].at);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/eth/there-and-back", test_eth);
	g_test_add_func("/eth/arp", test_arp);
	g_test_add_func("/eth/mac-text", test_mac_text);
	return g_test_run();
}
