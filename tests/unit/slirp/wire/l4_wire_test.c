/* l4_wire_test.c - TCP with every mix of options and UDP there and back, cut short, bent options, random bytes. */
#include "slirp/wire/l4_wire.h"
#include "tests/unit/naive.h"

static struct tcp_seg random_seg(GRand *rand)
{
	struct tcp_seg s = {
		.sport = (uint16_t)g_rand_int(rand),
		.dport = (uint16_t)g_rand_int(rand),
		.seq = g_rand_int(rand),
		.ack = g_rand_int(rand),
		.window = g_rand_int(rand) & 0xffff,
		.flags = (uint8_t)g_rand_int(rand),
		.has_mss = g_rand_boolean(rand),
		.has_wscale = g_rand_boolean(rand),
		.has_ts = g_rand_boolean(rand),
		.sack_permitted = g_rand_boolean(rand),
		.n_sack = g_rand_int_range(rand, 0, TCP_SACK_MAX + 1),
	};

	s.mss = s.has_mss ? (uint16_t)g_rand_int_range(rand, 1, 65536) : 0;
	s.wscale = s.has_wscale ? (uint8_t)g_rand_int_range(rand, 0, 15) : 0;
	s.tsval = s.has_ts ? g_rand_int(rand) : 0;
	s.tsecr = s.has_ts ? g_rand_int(rand) : 0;
	for (int i = 0; i < s.n_sack; i++)
		s.sack[i] = (struct tcp_range){ g_rand_int(rand), g_rand_int(rand) };
	return s;
}

/* y came back from the wire: everything is as it was, but SACK ranges without room are gone. */
static void expect_same(const struct tcp_seg *x, const struct tcp_seg *y)
{
	g_assert_cmpuint(x->sport, ==, y->sport);
	g_assert_cmpuint(x->dport, ==, y->dport);
	g_assert_cmphex(x->seq, ==, y->seq);
	g_assert_cmphex(x->ack, ==, y->ack);
	g_assert_cmpuint(x->window, ==, y->window);
	g_assert_cmphex(x->flags, ==, y->flags);
	g_assert_cmpint(x->has_mss, ==, y->has_mss);
	g_assert_cmpint(x->has_wscale, ==, y->has_wscale);
	g_assert_cmpint(x->has_ts, ==, y->has_ts);
	g_assert_cmpint(x->sack_permitted, ==, y->sack_permitted);
	g_assert_cmpuint(x->mss, ==, y->mss);
	g_assert_cmpuint(x->wscale, ==, y->wscale);
	g_assert_cmphex(x->tsval, ==, y->tsval);
	g_assert_cmphex(x->tsecr, ==, y->tsecr);
	g_assert_cmpint(x->n_sack, >=, y->n_sack);
	if (y->n_sack < x->n_sack)
		g_assert_cmpuint(y->hdr_len + (y->n_sack ? 8 : 12), >, TCP_HDR_MAX);
	for (int i = 0; i < y->n_sack; i++)
		g_assert_true(x->sack[i].start == y->sack[i].start && x->sack[i].end == y->sack[i].end);
}

static enum reason parse_exact(const uint8_t *p, uint32_t head_len, uint32_t l4_len, struct tcp_seg *ret)
{
	uint8_t *copy = exact(p, head_len);
	enum reason r = l4_wire_tcp_parse(copy, head_len, l4_len, ret);

	free(copy);
	return r;
}

static void test_tcp_there_and_back(void)
{
	GRand *rand = g_rand_new_with_seed(1);

	for (int i = 0; i < 20000; i++) {
		struct tcp_seg in = random_seg(rand), out;
		uint32_t len = l4_wire_tcp_len(&in), payload = (uint32_t)g_rand_int_range(rand, 0, 65000);
		uint8_t *p = malloc(len);

		memset(p, 0xee, len);
		g_assert_cmpuint(len % 4, ==, 0);
		g_assert_cmpuint(len, <=, TCP_HDR_MAX);
		g_assert_cmpuint(l4_wire_tcp_put(p, &in), ==, len);
		g_assert_cmphex(bytes_get32(p + TCP_CSUM_OFFSET), ==, 0);
		g_assert_cmpint(l4_wire_tcp_parse(p, len, len + payload, &out), ==, R_ACCEPTED);
		g_assert_cmpuint(out.hdr_len, ==, len);
		g_assert_cmpuint(out.len, ==, payload);
		expect_same(&in, &out);
		for (uint32_t cut = 0; i < 500 && cut < len; cut++) {
			g_assert_cmpint(parse_exact(p, cut, len + payload, &out), ==, R_SHORT_FRAME);
			g_assert_cmpint(parse_exact(p, cut, cut, &out), ==, R_L4_LENGTH);
		}
		free(p);
	}
	g_rand_free(rand);
}

/* The lengths that people expect on the wire. */
static void test_tcp_len(void)
{
	struct tcp_seg s = { 0 };

	g_assert_cmpuint(l4_wire_tcp_len(&s), ==, 20);
	s.has_ts = true;
	g_assert_cmpuint(l4_wire_tcp_len(&s), ==, 32);
	s.n_sack = 4;
	g_assert_cmpuint(l4_wire_tcp_len(&s), ==, 60);
	s.n_sack = 1;
	g_assert_cmpuint(l4_wire_tcp_len(&s), ==, 44);
	s = (struct tcp_seg){ .has_mss = true, .has_ts = true, .has_wscale = true, .sack_permitted = true };
	g_assert_cmpuint(l4_wire_tcp_len(&s), ==, 40);
	s = (struct tcp_seg){ .n_sack = 4 };
	g_assert_cmpuint(l4_wire_tcp_len(&s), ==, 56);
	s = (struct tcp_seg){ .n_sack = -1, .has_mss = true };
	g_assert_cmpuint(l4_wire_tcp_len(&s), ==, 24);
}

/* Option bytes written by hand, at most 12 of them. */
static struct tcp_seg parse_options(const char *bytes, size_t n)
{
	uint8_t p[TCP_HDR_MAX] = { 0 };
	struct tcp_seg out;

	p[12] = 0x80;
	memset(p + TCP_HDR_LEN, 1, 12);
	memcpy(p + TCP_HDR_LEN, bytes, n);
	g_assert_cmpint(parse_exact(p, 32, 32, &out), ==, R_ACCEPTED);
	return out;
}

#define OPTIONS(bytes) parse_options(bytes, sizeof(bytes) - 1)

static void test_tcp_options(void)
{
	struct tcp_seg s = OPTIONS("\3\3\377\2\4\0\0");

	g_assert_true(s.has_wscale && s.wscale == 14 && !s.has_mss);
	s = OPTIONS("\2\4\5\264\0\3\3\7"); /* the end of the list hides what follows */
	g_assert_true(s.has_mss && s.mss == 1460 && !s.has_wscale);
	s = OPTIONS("\3\4\1\1\2\4\1\0"); /* a wrong length is skipped, the next option still counts */
	g_assert_true(!s.has_wscale && s.has_mss && s.mss == 256);
	s = OPTIONS("\2\4\1\0\3\0\3\3\1"); /* length 0 and 1 end the walk */
	g_assert_true(s.has_mss && !s.has_wscale);
	s = OPTIONS("\2\4\1\0\3\1\3\3\1");
	g_assert_true(s.has_mss && !s.has_wscale);
	s = OPTIONS("\2\4\1\0\10\12\0\0\0\1\0\0"); /* over the end of the header */
	g_assert_true(s.has_mss && !s.has_ts);
	s = OPTIONS("\1\1\1\1\1\1\1\1\1\1\1\10"); /* a kind without a length */
	g_assert_true(!s.has_ts && !s.n_sack);
	s = OPTIONS("\5\7\1\2\3\4\5"); /* half a range */
	g_assert_cmpint(s.n_sack, ==, 0);
	s = OPTIONS("\5\2\4\2"); /* SACK without ranges */
	g_assert_true(!s.n_sack && s.sack_permitted);
	s = OPTIONS("\375\6\1\2\3\4\4\2"); /* unknown */
	g_assert_true(s.sack_permitted);
}

static void test_tcp_bent(void)
{
	uint8_t p[40] = { 0 };
	struct tcp_seg s;

	for (int words = 0; words < 5; words++) {
		p[12] = (uint8_t)(words << 4);
		g_assert_cmpint(l4_wire_tcp_parse(p, 40, 40, &s), ==, R_L4_LENGTH);
	}
	p[12] = 0xb0; /* 44 bytes in a segment of 40 */
	g_assert_cmpint(l4_wire_tcp_parse(p, 40, 40, &s), ==, R_L4_LENGTH);
	g_assert_cmpint(l4_wire_tcp_parse(p, 40, 44, &s), ==, R_SHORT_FRAME);
}

static void test_random(void)
{
	GRand *rand = g_rand_new_with_seed(2);
	uint8_t buf[TCP_HDR_MAX];
	struct tcp_seg s;
	struct udp u;

	for (int i = 0; i < 100000; i++) {
		uint32_t len = (uint32_t)g_rand_int_range(rand, 0, TCP_HDR_MAX + 1);
		uint32_t l4_len = len + (uint32_t)g_rand_int_range(rand, 0, 3) * 30;
		uint8_t *p;

		fill_random(rand, buf, sizeof(buf));
		for (int k = TCP_HDR_LEN; k < TCP_HDR_MAX; k++)
			if (buf[k] < 200)
				buf[k] %= 12; /* bytes that mean something as kind and as length */
		p = exact(buf, len);
		if (l4_wire_tcp_parse(p, len, l4_len, &s) == R_ACCEPTED) {
			g_assert_cmpuint(s.hdr_len, <=, len);
			g_assert_cmpuint(s.hdr_len + s.len, ==, l4_len);
			g_assert_cmpint(s.n_sack, <=, TCP_SACK_MAX);
			g_assert_true(!s.has_wscale || s.wscale <= 14);
			g_assert_true(!s.has_mss || s.mss);
		}
		if (l4_wire_udp_parse(p, len, l4_len, &u) == R_ACCEPTED)
			g_assert_cmpuint(u.len + UDP_HDR_LEN, <=, l4_len);
		free(p);
	}
	g_rand_free(rand);
}

static void test_udp(void)
{
	struct udp in = { .sport = 53, .dport = 40000, .len = 100 }, out;
	uint8_t buf[UDP_HDR_LEN];

	l4_wire_udp_put(buf, &in);
	for (uint32_t len = 0; len < UDP_HDR_LEN; len++) {
		uint8_t *p = exact(buf, len);

		g_assert_cmpint(l4_wire_udp_parse(p, len, 108, &out), ==, R_SHORT_FRAME);
		g_assert_cmpint(l4_wire_udp_parse(p, len, len, &out), ==, R_L4_LENGTH);
		free(p);
	}
	g_assert_cmpint(l4_wire_udp_parse(buf, 8, 107, &out), ==, R_L4_LENGTH);
	g_assert_cmpint(l4_wire_udp_parse(buf, 8, 120, &out), ==, R_ACCEPTED); /* the rest is padding */
	g_assert_true(out.sport == 53 && out.dport == 40000 && out.len == 100 && !out.has_csum);
	buf[7] = 1;
	g_assert_cmpint(l4_wire_udp_parse(buf, 8, 108, &out), ==, R_ACCEPTED);
	g_assert_true(out.has_csum);
	bytes_put16(buf + 4, 7);
	g_assert_cmpint(l4_wire_udp_parse(buf, 8, 108, &out), ==, R_L4_LENGTH);
	bytes_put16(buf + 4, 8);
	g_assert_cmpint(l4_wire_udp_parse(buf, 8, 8, &out), ==, R_ACCEPTED);
	g_assert_cmpuint(out.len, ==, 0);
}

static void test_flags(void)
{
	char buf[8];

	g_assert_cmpstr(l4_wire_flags(TCP_SYN, buf), ==, "S");
	g_assert_cmpstr(l4_wire_flags(TCP_SYN | TCP_ACK, buf), ==, "S.");
	g_assert_cmpstr(l4_wire_flags(TCP_FIN | TCP_PSH | TCP_ACK, buf), ==, "FP.");
	g_assert_cmpstr(l4_wire_flags(TCP_RST, buf), ==, "R");
	g_assert_cmpstr(l4_wire_flags(TCP_ACK, buf), ==, ".");
	g_assert_cmpstr(l4_wire_flags(0, buf), ==, "-");
	g_assert_cmpstr(l4_wire_flags(0xff, buf), ==, "SFRPU.");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/l4/tcp-there-and-back", test_tcp_there_and_back);
	g_test_add_func("/l4/tcp-len", test_tcp_len);
	g_test_add_func("/l4/tcp-options", test_tcp_options);
	g_test_add_func("/l4/tcp-bent", test_tcp_bent);
	g_test_add_func("/l4/random", test_random);
	g_test_add_func("/l4/udp", test_udp);
	g_test_add_func("/l4/flags", test_flags);
	return g_test_run();
}
