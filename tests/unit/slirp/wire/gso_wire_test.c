/* gso_wire_test.c - random super-frames are cut; each piece is parsed back and summed the slow way, and the pieces
 * together are the whole. */
#include "slirp/wire/gso_wire.h"
#include "slirp/wire/csum_wire.h"
#include "slirp/wire/eth_wire.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"
#include "tests/unit/naive.h"

enum { PAYLOAD_MAX = 60000, HEAD_MAX = ETH_HDR_LEN + IP6_HDR_LEN + TCP_HDR_MAX, TCP_CWR_BIT = 0x80, IOV_MAX_HERE = 8 };

/* A super-frame and what it was made of. */
struct super {
	struct frame_meta meta;
	struct ip ip;
	struct tcp_seg seg;
	struct udp udp;
	uint8_t head[HEAD_MAX];
	uint8_t payload[PAYLOAD_MAX];
	uint32_t len;
};

static void build_l4(GRand *rand, struct super *s)
{
	uint8_t *l4 = s->head + s->meta.l4_off;

	if (s->meta.proto == IP_PROTO_UDP) {
		s->udp = (struct udp){ .sport = (uint16_t)g_rand_int(rand), .dport = 443, .len = s->len };
		l4_wire_udp_put(l4, &s->udp);
		s->meta.head_len = (uint16_t)(s->meta.l4_off + UDP_HDR_LEN);
		return;
	}
	s->seg = (struct tcp_seg){
		.sport = (uint16_t)g_rand_int(rand),
		.dport = (uint16_t)g_rand_int(rand),
		.seq = g_rand_int(rand) | (g_rand_boolean(rand) ? 0xffff0000 : 0),
		.ack = g_rand_int(rand),
		.window = g_rand_int(rand) & 0xffff,
		.flags = (uint8_t)(TCP_ACK | (g_rand_int(rand) & (TCP_FIN | TCP_PSH | TCP_CWR_BIT))),
		.has_ts = g_rand_boolean(rand),
		.tsval = g_rand_int(rand),
		.n_sack = g_rand_int_range(rand, 0, 4),
	};
	s->meta.head_len = (uint16_t)(s->meta.l4_off + l4_wire_tcp_put(l4, &s->seg));
}

static void build(GRand *rand, struct super *s, uint8_t proto)
{
	struct eth eth = { .type = ETH_TYPE_IPV4 };

	s->meta = (struct frame_meta){ .l3_off = ETH_HDR_LEN, .proto = proto, .v6 = g_rand_boolean(rand) };
	s->meta.mss = (uint16_t)g_rand_int_range(rand, 1, 1461);
	s->meta.l4_off = (uint16_t)(ETH_HDR_LEN + ip_wire_hdr_len(s->meta.v6));
	s->len = (uint32_t)g_rand_int_range(rand, 1, (int)MIN(PAYLOAD_MAX, s->meta.mss * 50u));
	fill_random(rand, s->payload, s->len);
	eth_wire_put(s->head, &eth);
	build_l4(rand, s);
	s->ip = (struct ip){
		.src = random_addr(rand, s->meta.v6),
		.dst = random_addr(rand, s->meta.v6),
		.payload_len = s->meta.head_len - s->meta.l4_off + s->len,
		.proto = proto,
		.hop_limit = 64,
		.tos = 2,
		.v6 = s->meta.v6,
		.dont_fragment = true,
		.id = (uint16_t)g_rand_int(rand),
	};
	ip_wire_put(s->head + ETH_HDR_LEN, &s->ip);
}

/* Cuts a range of the payload into iovecs of odd lengths. */
static int split(GRand *rand, struct super *s, uint32_t off, uint32_t len, struct iovec *iov)
{
	int n = 0;

	while (len) {
		uint32_t part = n == IOV_MAX_HERE - 1 ? len : (uint32_t)g_rand_int_range(rand, 0, (int)len + 1);

		iov[n++] = (struct iovec){ s->payload + off, part };
		off += part;
		len -= part;
	}
	return n;
}

static void check_checksum(const struct super *s, const uint8_t *head, uint32_t off, uint32_t len)
{
	uint32_t l4_hdr = (uint32_t)s->meta.head_len - s->meta.l4_off;
	uint32_t sum = naive_pseudo(&s->ip.src, &s->ip.dst, s->meta.proto, l4_hdr + len);

	sum = naive_sum(sum, head + s->meta.l4_off, l4_hdr, 0);
	sum = naive_sum(sum, s->payload + off, len, 0);
	g_assert_cmphex(sum, ==, 0xffff);
}

static void check_tcp(const struct super *s, const struct tcp_seg *seg, uint32_t off, uint32_t len)
{
	uint8_t flags = s->seg.flags;

	if (off + len < s->len)
		flags &= (uint8_t)~(TCP_FIN | TCP_PSH);
	if (off)
		flags &= (uint8_t)~TCP_CWR_BIT;
	g_assert_cmphex(seg->seq, ==, s->seg.seq + off);
	g_assert_cmphex(seg->ack, ==, s->seg.ack);
	g_assert_cmphex(seg->flags, ==, flags);
	g_assert_cmpuint(seg->window, ==, s->seg.window);
	g_assert_cmpuint(seg->len, ==, len);
	g_assert_true(seg->sport == s->seg.sport && seg->dport == s->seg.dport);
	g_assert_true(seg->has_ts == s->seg.has_ts && seg->n_sack == s->seg.n_sack);
}

/* Parses one piece as a receiver would and compares it with what the super-frame says. */
static void check_piece(const struct super *s, const uint8_t *head, uint32_t off, uint32_t len)
{
	uint32_t l3_head = (uint32_t)s->meta.head_len - s->meta.l3_off;
	uint32_t l4_head = (uint32_t)s->meta.head_len - s->meta.l4_off;
	struct tcp_seg seg;
	struct udp udp;
	struct ip ip;

	g_assert_cmpmem(head, ETH_HDR_LEN, s->head, ETH_HDR_LEN);
	g_assert_cmpint(ip_wire_parse(head + s->meta.l3_off, l3_head, l3_head + len, s->meta.v6, &ip), ==, R_ACCEPTED);
	g_assert_cmpuint(ip.payload_len, ==, l4_head + len);
	g_assert_true(addr_eq(&ip.src, &s->ip.src) && addr_eq(&ip.dst, &s->ip.dst));
	g_assert_true(ip.proto == s->ip.proto && ip.hop_limit == 64 && ip.tos == 2 && ip.dont_fragment);
	if (!s->meta.v6)
		g_assert_cmphex(ip.id, ==, (uint16_t)(s->ip.id + (s->meta.mss ? off / s->meta.mss : 0)));
	if (s->meta.proto == IP_PROTO_TCP) {
		g_assert_cmpint(l4_wire_tcp_parse(head + s->meta.l4_off, l4_head, l4_head + len, &seg), ==, R_ACCEPTED);
		check_tcp(s, &seg, off, len);
	} else {
		g_assert_cmpint(l4_wire_udp_parse(head + s->meta.l4_off, l4_head, l4_head + len, &udp), ==, R_ACCEPTED);
		g_assert_true(udp.len == len && udp.sport == s->udp.sport && udp.dport == s->udp.dport && udp.has_csum);
	}
	check_checksum(s, head, off, len);
}

/* All pieces but the first into memory of their own; the first one, made last, over the template. */
static void cut(GRand *rand, struct super *s)
{
	uint32_t pieces = (s->len + s->meta.mss - 1) / s->meta.mss, sum = 0;
	struct iovec iov[IOV_MAX_HERE];

	for (uint32_t k = pieces; k-- > 0;) {
		uint32_t off = k * s->meta.mss, len = MIN(s->meta.mss, s->len - off);
		int n = split(rand, s, off, len, iov);
		uint8_t *dst = k ? malloc(s->meta.head_len) : s->head;

		gso_wire_piece(dst, s->head, &s->meta, off, len, s->len, iov, n);
		check_piece(s, dst, off, len);
		sum += len;
		if (k)
			free(dst);
	}
	g_assert_cmpuint(sum, ==, s->len);
}

static void test_cut(void)
{
	GRand *rand = g_rand_new_with_seed(1);
	struct super *s = g_new0(struct super, 1);

	for (int i = 0; i < 600; i++) {
		build(rand, s, i % 3 ? IP_PROTO_TCP : IP_PROTO_UDP);
		cut(rand, s);
	}
	g_free(s);
	g_rand_free(rand);
}

/* A frame that is not to be cut is one piece and keeps its identification. */
static void test_whole(void)
{
	GRand *rand = g_rand_new_with_seed(2);
	struct super *s = g_new0(struct super, 1);
	struct iovec iov[IOV_MAX_HERE];
	uint8_t dst[HEAD_MAX];

	for (int i = 0; i < 200; i++) {
		build(rand, s, i % 2 ? IP_PROTO_TCP : IP_PROTO_UDP);
		s->meta.mss = 0;
		gso_wire_piece(dst, s->head, &s->meta, 0, s->len, s->len, iov, split(rand, s, 0, s->len, iov));
		check_piece(s, dst, 0, s->len);
		gso_wire_checksum(s->head, &s->meta, iov, split(rand, s, 0, s->len, iov), s->len);
		g_assert_cmpmem(s->head, s->meta.head_len, dst, s->meta.head_len);
	}
	s->len = 0; /* a bare ACK has no payload at all */
	gso_wire_piece(dst, s->head, &s->meta, 0, 0, 0, NULL, 0);
	check_piece(s, dst, 0, 0);
	g_free(s);
	g_rand_free(rand);
}

/* What a NEEDS_CSUM receiver does: sum from the L4 header on, the partial field included, complement, store. */
static void test_partial(void)
{
	GRand *rand = g_rand_new_with_seed(3);
	struct super *s = g_new0(struct super, 1);

	for (int i = 0; i < 200; i++) {
		uint32_t at, l4_hdr, sum, want;

		build(rand, s, i % 2 ? IP_PROTO_TCP : IP_PROTO_UDP);
		l4_hdr = (uint32_t)s->meta.head_len - s->meta.l4_off;
		at = s->meta.l4_off + (i % 2 ? TCP_CSUM_OFFSET : UDP_CSUM_OFFSET);
		want = naive_pseudo(&s->ip.src, &s->ip.dst, s->meta.proto, l4_hdr + s->len);
		gso_wire_partial(s->head, &s->meta, s->len);
		g_assert_cmphex(bytes_get16(s->head + at), ==, want);
		sum = naive_sum(0, s->head + s->meta.l4_off, l4_hdr, 0);
		sum = naive_sum(sum, s->payload, s->len, 0);
		bytes_put16(s->head + at, (uint16_t)~sum);
		check_checksum(s, s->head, 0, s->len);
	}
	g_free(s);
	g_rand_free(rand);
}

/* A UDP sum of zero is sent as 0xffff; a frame that owes nothing is left alone. */
static void test_corners(void)
{
	GRand *rand = g_rand_new_with_seed(4);
	struct super *s = g_new0(struct super, 1);
	uint8_t before[HEAD_MAX];
	struct iovec iov;
	uint16_t field;

	build(rand, s, IP_PROTO_UDP);
	s->len = 2;
	memset(s->payload, 0, 2);
	iov = (struct iovec){ s->payload, 2 };
	gso_wire_checksum(s->head, &s->meta, &iov, 1, 2);
	memcpy(s->payload, s->head + s->meta.l4_off + UDP_CSUM_OFFSET, 2); /* what was missing is now there */
	gso_wire_checksum(s->head, &s->meta, &iov, 1, 2);
	field = bytes_get16(s->head + s->meta.l4_off + UDP_CSUM_OFFSET);
	g_assert_cmphex(field, ==, 0xffff);
	s->meta.proto = 0;
	memcpy(before, s->head, sizeof(before));
	gso_wire_checksum(s->head, &s->meta, &iov, 1, 2);
	gso_wire_partial(s->head, &s->meta, 2);
	g_assert_cmpmem(before, sizeof(before), s->head, sizeof(before));
	g_free(s);
	g_rand_free(rand);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/gso/cut", test_cut);
	g_test_add_func("/gso/whole", test_whole);
	g_test_add_func("/gso/partial", test_partial);
	g_test_add_func("/gso/corners", test_corners);
	return g_test_run();
}
