/* ip_wire_test.c - IP headers there and back, cut short, bent, with extension headers, and random bytes. */
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/csum_wire.h"
#include "tests/unit/naive.h"

enum { PACKET_MAX = 256 };

static struct ip random_ip(GRand *rand, bool v6)
{
	return (struct ip){
		.src = random_addr(rand, v6),
		.dst = random_addr(rand, v6),
		.payload_len = (uint32_t)g_rand_int_range(rand, 0, 100),
		.proto = v6 ? IP_PROTO_UDP : (uint8_t)g_rand_int(rand),
		.hop_limit = (uint8_t)g_rand_int(rand),
		.tos = (uint8_t)g_rand_int(rand),
		.v6 = v6,
		.dont_fragment = v6 || g_rand_boolean(rand),
		.id = v6 ? 0 : (uint16_t)g_rand_int(rand),
	};
}

static void expect_same(const struct ip *x, const struct ip *y)
{
	g_assert_true(addr_eq(&x->src, &y->src) && addr_eq(&x->dst, &y->dst));
	g_assert_cmpuint(x->payload_len, ==, y->payload_len);
	g_assert_cmpuint(x->proto, ==, y->proto);
	g_assert_cmpuint(x->hop_limit, ==, y->hop_limit);
	g_assert_cmphex(x->tos, ==, y->tos);
	g_assert_cmpint(x->v6, ==, y->v6);
	g_assert_cmpint(x->dont_fragment, ==, y->dont_fragment);
	g_assert_cmphex(x->id, ==, y->id);
}

/* Parses a heap copy that holds head_len bytes and nothing behind them. */
static enum reason parse_exact(const uint8_t *p, uint32_t head_len, uint32_t total, bool v6, struct ip *ret)
{
	uint8_t *copy = exact(p, head_len);
	enum reason r = ip_wire_parse(copy, head_len, total, v6, ret);

	free(copy);
	return r;
}

static void test_there_and_back(void)
{
	GRand *rand = g_rand_new_with_seed(1);

	for (int i = 0; i < 20000; i++) {
		bool v6 = g_rand_boolean(rand);
		struct ip in = random_ip(rand, v6), out;
		uint32_t hdr_len = ip_wire_hdr_len(v6), pad = (uint32_t)g_rand_int_range(rand, 0, 20);
		uint8_t buf[IP6_HDR_LEN];

		ip_wire_put(buf, &in);
		if (!v6)
			g_assert_cmphex(naive_sum(0, buf, IP4_HDR_LEN, 0), ==, 0xffff);
		g_assert_cmpint(parse_exact(buf, hdr_len, hdr_len + in.payload_len + pad, v6, &out), ==, R_ACCEPTED);
		expect_same(&in, &out);
		g_assert_cmpuint(out.hdr_len, ==, hdr_len);
		g_assert_false(out.is_fragment);

		in.payload_len = (uint32_t)g_rand_int_range(rand, 0, 65516);
		in.id = v6 ? 0 : (uint16_t)g_rand_int(rand);
		ip_wire_set_len(buf, v6, in.payload_len, in.id);
		g_assert_cmpint(parse_exact(buf, hdr_len, hdr_len + in.payload_len, v6, &out), ==, R_ACCEPTED);
		expect_same(&in, &out);
	}
	g_rand_free(rand);
}

/* Fewer bytes than the header, or a packet shorter than its length field: always a reason, never a read past the
 * end. */
static void test_cut(void)
{
	GRand *rand = g_rand_new_with_seed(2);
	uint8_t buf[PACKET_MAX];

	for (int v6 = 0; v6 < 2; v6++) {
		struct ip in = random_ip(rand, v6), out;
		uint32_t hdr_len = ip_wire_hdr_len(v6), total = hdr_len + 50;

		in.payload_len = 50;
		ip_wire_put(buf, &in);
		for (uint32_t len = 0; len < hdr_len; len++) {
			g_assert_cmpint(parse_exact(buf, len, total, v6, &out), ==, R_SHORT_FRAME);
			g_assert_cmpint(parse_exact(buf, len, len, v6, &out), ==, R_SHORT_FRAME);
		}
		for (uint32_t len = hdr_len; len < total; len++)
			g_assert_cmpint(parse_exact(buf, len, len, v6, &out), ==, R_IP_LENGTH);
		g_assert_cmpint(parse_exact(buf, total, total, v6, &out), ==, R_ACCEPTED);
		g_assert_cmpint(parse_exact(buf, total, total - 1, v6, &out), ==, R_IP_LENGTH);
		g_assert_cmpint(parse_exact(buf, hdr_len, total, !v6, &out), ==, v6 ? R_IP_VERSION : R_SHORT_FRAME);
		g_assert_cmpint(parse_exact(buf, total, total, !v6, &out), ==, R_IP_VERSION);
	}
	g_rand_free(rand);
}

static void fix_v4_checksum(uint8_t *p)
{
	uint32_t hdr_len = (p[0] & 15u) * 4;

	bytes_put16(p + 10, 0);
	bytes_put16(p + 10, (uint16_t)~naive_sum(0, p, hdr_len, 0));
}

static void test_v4_bent(void)
{
	GRand *rand = g_rand_new_with_seed(3);
	struct ip in = random_ip(rand, false), out;
	uint8_t buf[PACKET_MAX] = { 0 };

	in.payload_len = 40;
	ip_wire_put(buf, &in);
	buf[8] ^= 1;
	g_assert_cmpint(ip_wire_parse(buf, 60, 60, false, &out), ==, R_IP_CHECKSUM);
	buf[8] ^= 1;
	buf[0] = 0x44;
	g_assert_cmpint(ip_wire_parse(buf, 60, 60, false, &out), ==, R_IP_HEADER);
	buf[0] = 0x46; /* four bytes of options */
	bytes_put32(buf + 20, 0x94040000);
	fix_v4_checksum(buf);
	g_assert_cmpint(parse_exact(buf, 24, 60, false, &out), ==, R_ACCEPTED);
	g_assert_cmpuint(out.hdr_len, ==, 24);
	g_assert_cmpuint(out.payload_len, ==, 36);
	g_assert_cmpint(parse_exact(buf, 23, 60, false, &out), ==, R_SHORT_FRAME);
	bytes_put16(buf + 2, 0);
	fix_v4_checksum(buf);
	g_assert_cmpint(ip_wire_parse(buf, 60, 60, false, &out), ==, R_IP_LENGTH);
	bytes_put16(buf + 2, 23);
	fix_v4_checksum(buf);
	g_assert_cmpint(ip_wire_parse(buf, 60, 60, false, &out), ==, R_IP_LENGTH);
	g_rand_free(rand);
}

static void test_v4_fragment(void)
{
	static const struct {
		uint16_t bits, off;
		bool df, fragment, more;
	} rows[] = {
		{ 0, 0, false, false, false },	   { 0x4000, 0, true, false, false },	{ 0x2000, 0, false, true, true },
		{ 1, 8, false, true, false },	   { 0x1fff, 65528, false, true, false }, { 0x6001, 8, true, true, true },
	};
	GRand *rand = g_rand_new_with_seed(4);
	struct ip in = random_ip(rand, false), out;
	uint8_t buf[IP4_HDR_LEN];

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		ip_wire_put(buf, &in);
		bytes_put16(buf + 6, rows[i].bits);
		fix_v4_checksum(buf);
		g_assert_cmpint(ip_wire_parse(buf, sizeof(buf), 500, false, &out), ==, R_ACCEPTED);
		g_assert_cmpint(out.dont_fragment, ==, rows[i].df);
		g_assert_cmpint(out.is_fragment, ==, rows[i].fragment);
		g_assert_cmpint(out.more_frags, ==, rows[i].more);
		g_assert_cmpuint(out.frag_off, ==, rows[i].off);
	}
	g_rand_free(rand);
}

/* Fragments there and back: offset, more, identification; of IPv6 the fragment header is written and walked. */
static void test_fragments(void)
{
	GRand *rand = g_rand_new_with_seed(14);

	for (int i = 0; i < 20000; i++) {
		bool v6 = g_rand_boolean(rand);
		struct ip in = random_ip(rand, v6), out;
		uint32_t hdr_len = ip_wire_hdr_len(v6) + (v6 ? IP6_FRAG_LEN : 0);
		uint8_t buf[IP6_HDR_LEN + IP6_FRAG_LEN];

		in.is_fragment = true;
		in.more_frags = g_rand_boolean(rand);
		in.frag_off = (uint16_t)(8 * g_rand_int_range(rand, in.more_frags ? 0 : 1, 8192));
		in.id = v6 ? g_rand_int(rand) : g_rand_int(rand) & 0xffff;
		ip_wire_put(buf, &in);
		g_assert_cmpint(parse_exact(buf, hdr_len, hdr_len + in.payload_len, v6, &out), ==, R_ACCEPTED);
		expect_same(&in, &out);
		g_assert_true(out.is_fragment);
		g_assert_cmpint(out.more_frags, ==, in.more_frags);
		g_assert_cmpuint(out.frag_off, ==, in.frag_off);
		g_assert_cmpuint(out.hdr_len, ==, hdr_len);
	}
	g_rand_free(rand);
}

static uint32_t put_hex(uint8_t *p, const char *hex)
{
	uint32_t n = 0;

	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		p[n++] = (uint8_t)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]));
		hex++;
	}
	return n;
}

/* What stands behind the fragment header of a first fragment. */
static void test_chain(void)
{
	static const struct {
		uint8_t first;
		const char *hex;
		enum reason want;
		uint8_t proto;
		uint32_t len;
	} rows[] = {
		{ 17, "0035", R_ACCEPTED, 17, 0 },
		{ 60, "1100010400000000 aa", R_ACCEPTED, 17, 8 },
		{ 60, "2b00010400000000 0600000000000000", R_ACCEPTED, 6, 16 },
		{ 60, "3c00010400000000 1100", R_IP_HEADER, 0, 0 },
		{ 60, "11010104", R_IP_HEADER, 0, 0 },
		{ 0, "1100010400000000", R_IP_OPTION, 0, 0 },
		{ 44, "1100000100000007", R_IP_FRAGMENT, 0, 0 },
		{ 44, "1100000000000007", R_ACCEPTED, 17, 8 },
		{ 51, "1104000000000000", R_IP_OPTION, 0, 0 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		uint8_t buf[PACKET_MAX], proto = rows[i].first, *copy;
		uint32_t len = put_hex(buf, rows[i].hex), walked = 0;

		copy = exact(buf, len);
		g_assert_cmpint(ip_wire_chain(copy, len, len, &proto, &walked), ==, rows[i].want);
		if (rows[i].want == R_ACCEPTED) {
			g_assert_cmpuint(proto, ==, rows[i].proto);
			g_assert_cmpuint(walked, ==, rows[i].len);
		}
		free(copy);
	}
}

static void test_v6_mapped(void)
{
	static const uint8_t mapped[16] = { [10] = 0xff, 0xff, 10, 0, 0, 1 };
	GRand *rand = g_rand_new_with_seed(5);
	struct ip in = random_ip(rand, true), out;
	uint8_t buf[IP6_HDR_LEN];

	ip_wire_put(buf, &in);
	memcpy(buf + 8, mapped, 16);
	g_assert_cmpint(ip_wire_parse(buf, sizeof(buf), 500, true, &out), ==, R_IP_MAPPED);
	ip_wire_put(buf, &in);
	memcpy(buf + 24, mapped, 16);
	g_assert_cmpint(ip_wire_parse(buf, sizeof(buf), 500, true, &out), ==, R_IP_MAPPED);
	g_rand_free(rand);
}

/* One row: the bytes behind the fixed header, beginning with a header of kind `first`. */
struct ext_row {
	const char *what;
	uint8_t first;
	const char *hex;
	enum reason want;
	uint8_t proto;	  /* if OK */
	uint32_t hdr_len; /* if OK */
	bool fragment;
};

static const struct ext_row ext_rows[] = {
	{ "hop-by-hop, PadN", 0, "1100010400000000 aabb", R_ACCEPTED, 17, 48, false },
	{ "hop-by-hop of two units", 0, "06010502000001060000000000000000 aa", R_ACCEPTED, 6, 56, false },
	{ "hop-by-hop, Pad1 six times", 0, "1100000000000000", R_ACCEPTED, 17, 48, false },
	{ "option that may be skipped", 0, "1100050200000000", R_ACCEPTED, 17, 48, false },
	{ "option that must be known", 0, "1100c20400010000", R_IP_OPTION, 0, 0, false },
	{ "option over the end", 0, "1100010500000000", R_IP_OPTION, 0, 0, false },
	{ "option without a length", 0, "1100000000000001", R_IP_OPTION, 0, 0, false },
	{ "header over the end", 0, "1101010400000000", R_IP_HEADER, 0, 0, false },
	{ "header that is not there", 0, "11000104000000", R_IP_HEADER, 0, 0, false },
	{ "destination options", 60, "3a00010400000000", R_ACCEPTED, 58, 48, false },
	{ "home address option", 60, "3a01c91000000000 0000000000000000", R_IP_OPTION, 0, 0, false },
	{ "routing, segments left 0", 43, "0600040000000000", R_ACCEPTED, 6, 48, false },
	{ "routing, segments left 1", 43, "0600040100000000", R_IP_OPTION, 0, 0, false },
	{ "first fragment", 44, "1100000100000007 aa", R_ACCEPTED, 17, 48, true },
	{ "fragment header, reserved bits only", 44, "1100000600000007", R_ACCEPTED, 17, 48, false },
	{ "later fragment of anything", 44, "0000000800000007 aa", R_ACCEPTED, 0, 48, true },
	{ "fragment header on a whole packet", 44, "1100000600000007", R_ACCEPTED, 17, 48, false },
	{ "whole packet, then destination", 44, "3c00000000000007 0600010400000000", R_ACCEPTED, 6, 56, false },
	{ "all in order", 0, "2b00010400000000 2c00040000000000 3c00000000000007 1100010400000000", R_ACCEPTED, 17, 72,
	  false },
	{ "hop-by-hop not first", 60, "0000010400000000 1100010400000000", R_IP_OPTION, 0, 0, false },
	{ "authentication", 51, "0604000000000000 0000000000000000 0000000000000000", R_IP_OPTION, 0, 0, false },
	{ "mobility", 135, "3b00000000000000", R_IP_OPTION, 0, 0, false },
	{ "ESP is a protocol", 50, "0000000000000000", R_ACCEPTED, 50, 40, false },
	{ "no next header", 59, "", R_ACCEPTED, 59, 40, false },
};

static void check_ext(const struct ext_row *row, const struct ip *ip)
{
	uint8_t buf[PACKET_MAX];
	struct ip in = *ip, out;
	enum reason r;

	in.proto = row->first;
	in.payload_len = put_hex(buf + IP6_HDR_LEN, row->hex);
	ip_wire_put(buf, &in);
	r = parse_exact(buf, IP6_HDR_LEN + in.payload_len, IP6_HDR_LEN + in.payload_len, true, &out);
	if (r != row->want)
		g_error("%s: %s", row->what, reason_name(r));
	if (r != R_ACCEPTED)
		return;
	g_assert_cmpuint(out.proto, ==, row->proto);
	g_assert_cmpuint(out.hdr_len, ==, row->hdr_len);
	g_assert_cmpuint(out.payload_len, ==, IP6_HDR_LEN + in.payload_len - row->hdr_len);
	g_assert_cmpint(out.is_fragment, ==, row->fragment);
	for (uint32_t len = 0; len < row->hdr_len; len++)
		g_assert_cmpint(parse_exact(buf, len, IP6_HDR_LEN + in.payload_len, true, &out), ==, R_SHORT_FRAME);
}

static void test_extensions(void)
{
	GRand *rand = g_rand_new_with_seed(6);
	struct ip ip = random_ip(rand, true), out;
	uint8_t buf[PACKET_MAX] = { 0 };
	uint32_t len;

	for (size_t i = 0; i < G_N_ELEMENTS(ext_rows); i++)
		check_ext(&ext_rows[i], &ip);
	for (int n = 8; n <= 9; n++) { /* eight are walked, nine are not */
		ip.proto = 60;
		ip.payload_len = 8 * (uint32_t)n;
		ip_wire_put(buf, &ip);
		for (int i = 0; i < n; i++) {
			memset(buf + IP6_HDR_LEN + 8 * i, 0, 8);
			buf[IP6_HDR_LEN + 8 * i] = i == n - 1 ? IP_PROTO_TCP : 60;
		}
		len = IP6_HDR_LEN + ip.payload_len;
		g_assert_cmpint(parse_exact(buf, len, len, true, &out), ==, n == 8 ? R_ACCEPTED : R_IP_OPTION);
	}
	g_rand_free(rand);
}

/* Random bytes with a version that fits; half of the IPv4 ones get a true checksum so that the walk goes on. */
static void test_random(void)
{
	GRand *rand = g_rand_new_with_seed(7);
	static const uint8_t exts[] = { 0, 43, 44, 60, 51, 6 };
	int good = 0;

	for (int i = 0; i < 100000; i++) {
		uint32_t len = (uint32_t)g_rand_int_range(rand, 0, 120);
		uint32_t total = len + (uint32_t)g_rand_int_range(rand, 0, 50);
		bool v6 = g_rand_boolean(rand);
		uint8_t buf[PACKET_MAX];
		struct ip out;

		fill_random(rand, buf, 120);
		buf[0] = v6 ? 0x60 : (uint8_t)(0x45 + i % 4);
		bytes_put16(buf + (v6 ? 4 : 2), (uint16_t)g_rand_int_range(rand, 0, 130));
		if (v6) {
			for (int k = 6; k < 120; k += k == 6 ? 34 : 8) {
				buf[k] = exts[g_rand_int_range(rand, 0, sizeof(exts))];
				buf[k + 1] &= k == 6 ? 0xff : 1;
			}
		} else if (i % 2) {
			fix_v4_checksum(buf);
		}
		if (parse_exact(buf, len, total, v6, &out) != R_ACCEPTED)
			continue;
		good++;
		g_assert_cmpuint(out.hdr_len, <=, len);
		g_assert_cmpuint(out.hdr_len + out.payload_len, <=, total);
		g_assert_cmpint(addr_is_v4(&out.src), ==, !v6);
	}
	g_assert_cmpint(good, >, 1000);
	g_rand_free(rand);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/ip/there-and-back", test_there_and_back);
	g_test_add_func("/ip/cut", test_cut);
	g_test_add_func("/ip/v4-bent", test_v4_bent);
	g_test_add_func("/ip/v4-fragment", test_v4_fragment);
	g_test_add_func("/ip/fragments", test_fragments);
	g_test_add_func("/ip/v6-chain", test_chain);
	g_test_add_func("/ip/v6-mapped", test_v6_mapped);
	g_test_add_func("/ip/v6-extensions", test_extensions);
	g_test_add_func("/ip/random", test_random);
	return g_test_run();
}
