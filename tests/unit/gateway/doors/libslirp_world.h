/* libslirp_world.h - an application with a function at one place of the subnet, a guest whose frames may be wrong in every way, and memory full of
 * marks, so that an answer that holds what is none of the guest's business is seen.
 *
 * Below: libslirp_app.h.  Above: libslirp_cve_test.c, libslirp_negative_test.c.
 */
#ifndef TESTS_LIBSLIRP_WORLD_H
#define TESTS_LIBSLIRP_WORLD_H

#include "tests/unit/gateway/doors/libslirp_app.h"

#include "slirp/base/bytes.h"

#include <string.h>

#define GUEST "10.0.2.15"
#define VHOST "10.0.2.2"
#define PLACE "10.0.2.100"

enum {
	MARK = 0xc3,	  /* what is left in memory by others */
	GONE = 0xee,	  /* what the application's memory becomes */
	MF = 0x2000,	  /* more fragments */
	BIG = 65536 + 64, /* a frame */
};

struct world {
	struct app a;
	GString *heard; /* by the application's function */
	uint16_t sport; /* of the guest's last connection */
	uint16_t place; /* the port that is talked to */
};

/* ---- the world */

static inline slirp_ssize_t on_bytes(const void *buf, size_t len, void *opaque)
{
	struct world *w = opaque;

	g_string_append_len(w->heard, buf, (gssize)len);
	slirp_socket_recv(w->a.slirp, app_in(PLACE), w->place, buf, (int)len);
	return (slirp_ssize_t)len;
}

static inline void forward(struct world *w, uint16_t port)
{
	struct in_addr at = app_in(PLACE);

	g_assert_cmpint(slirp_add_guestfwd(w->a.slirp, on_bytes, w, &at, port), ==, 0);
}

/* A frame that is the application's own again at once. */
static inline void hand(struct world *w, const uint8_t *p, uint32_t len)
{
	uint8_t *copy = g_memdup2(p, len); /* exactly this long, for those who watch memory */

	slirp_input(w->a.slirp, copy, (int)len);
	memset(copy, GONE, len);
	g_free(copy);
}

static inline void mark(struct world *w)
{
	uint8_t p[1514];

	memset(p, MARK, sizeof(p));
	for (int i = 0; i < 64; i++)
		hand(w, p, sizeof(p));
	app_settle(&w->a);
	g_assert_cmpuint(w->a.n_out, ==, 0);
}

static inline void open_world(struct world *w)
{
	app_open(&w->a);
	w->heard = g_string_new(NULL);
	w->sport = 40000;
	forward(w, 7);
	app_arp(&w->a, GUEST, VHOST);
	app_settle(&w->a);
	w->a.n_out = 0;
	mark(w);
}

static inline void begin(struct world *w)
{
	*w = (struct world){ 0 };
	app_init(&w->a);
	w->a.cfg.enable_emu = true; /* which changes nothing */
	open_world(w);
}

/* Nothing that the guest was sent holds memory of others. */
static inline void clean(const struct app *a)
{
	for (unsigned i = 0; i < a->n_out; i++)
		for (size_t k = 0; k + 4 <= a->out[i].len; k++) {
			uint32_t v = bytes_get32(a->out[i].b + k);

			g_assert_cmphex(v, !=, MARK * 0x01010101u);
			g_assert_cmphex(v, !=, GONE * 0x01010101u);
		}
}

static inline void settle(struct world *w)
{
	app_settle(&w->a);
	clean(&w->a);
}

static inline uint64_t dropped(const struct world *w, enum reason r)
{
	struct gateway_stats st;

	gateway_stats(w->a.slirp->gw, &st);
	return st.drops.n[r];
}

/* Dropped for this reason, and no answer. */
static inline void refused(struct world *w, const uint8_t *p, uint32_t len, enum reason r)
{
	uint64_t before = dropped(w, r);

	w->a.n_out = 0;
	hand(w, p, len);
	settle(w);
	g_assert_cmpuint(dropped(w, r), ==, before + 1);
	g_assert_cmpuint(w->a.n_out, ==, 0);
}

/* A segment of the guest's connection; numbers go on in seg. */
static inline void say(struct world *w, struct tcp_seg *seg, uint8_t flags, const char *data, uint32_t len)
{
	seg->flags = flags;
	app_tcp(&w->a, GUEST, PLACE, seg, data, len);
	seg->seq += len + (flags & (TCP_SYN | TCP_FIN) ? 1 : 0);
	settle(w);
}

static inline struct tcp_seg take(struct world *w, struct tcp_seg *seg, const uint8_t **data)
{
	struct tcp_seg last = app_last_tcp(&w->a, data);

	seg->ack = last.seq + last.len + (last.flags & (TCP_SYN | TCP_FIN) ? 1 : 0);
	w->a.n_out = 0;
	return last;
}

static inline void connect_to(struct world *w, uint16_t port, struct tcp_seg *seg)
{
	*seg = (struct tcp_seg){ .sport = ++w->sport, .dport = port, .seq = 100, .window = 65535 };
	w->place = port;
	g_string_truncate(w->heard, 0);
	w->a.n_out = 0;
	say(w, seg, TCP_SYN, NULL, 0);
	g_assert_cmphex(take(w, seg, NULL).flags, ==, TCP_SYN | TCP_ACK);
	say(w, seg, TCP_ACK, NULL, 0);
}

static inline void part(struct world *w, struct tcp_seg *seg)
{
	say(w, seg, TCP_ACK | TCP_FIN, NULL, 0);
	g_assert_true(take(w, seg, NULL).flags & TCP_FIN);
	say(w, seg, TCP_ACK, NULL, 0);
}

/* Says it in pieces; the application hears exactly that, and so does the guest. */
static inline void talk(struct world *w, uint16_t port, const char *data, uint32_t len, uint32_t piece)
{
	const uint8_t *back;
	struct tcp_seg seg, last;

	connect_to(w, port, &seg);
	for (uint32_t at = 0; at < len; at += piece) {
		uint32_t n = MIN(piece, len - at);

		say(w, &seg, TCP_ACK | TCP_PSH, data + at, n);
		last = take(w, &seg, &back);
		g_assert_cmpmem(back, last.len, data + at, n);
	}
	g_assert_cmpmem(w->heard->str, w->heard->len, data, len);
	part(w, &seg);
}

/* The gateway is as well as ever; and it ends. */
static inline void end(struct world *w)
{
	settle(w);
	w->a.n_out = 0;
	app_ping(&w->a, GUEST, VHOST, 77);
	settle(w);
	g_assert_cmpuint(w->a.n_out, ==, 1);
	g_assert_cmpint(app_icmp_type(&w->a, 0), ==, ICMP4_ECHO_REPLY);
	g_assert_cmpuint(w->a.out[0].b[41], ==, 77);
	talk(w, 7, "all is well", 11, 4);
	slirp_cleanup(w->a.slirp);
	g_string_free(w->heard, TRUE);
}

/* ---- frames, in which everything may be wrong */

/* An IPv4 packet of the guest; words: of the header, with NOPs as options.  Returns the frame's length. */
static inline uint32_t ip4(uint8_t *f, const char *to, uint8_t proto, uint16_t id, uint16_t frag, uint32_t words, const void *data, uint32_t len)
{
	struct addr src = app_addr(GUEST), dst = app_addr(to);
	uint8_t *p = f + ETH_HDR_LEN;
	uint16_t csum;

	app_eth(f, ETH_TYPE_IPV4);
	memset(p, 1, 4 * words);
	memcpy(p, (const uint8_t[]){ (uint8_t)(0x40 | words), 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0 }, 12);
	bytes_put16(p + 2, (uint16_t)(4 * words + len));
	bytes_put16(p + 4, id);
	bytes_put16(p + 6, frag);
	memcpy(p + 12, addr_v4_bytes(&src), 4);
	memcpy(p + 16, addr_v4_bytes(&dst), 4);
	csum = csum_wire_final(csum_wire_add(p, 4 * words));
	memcpy(p + 10, &csum, 2);
	memcpy(p + 4 * words, data, len);
	return ETH_HDR_LEN + 4 * words + len;
}

/* An IPv6 packet with the checksum at csum_at of l4. */
static inline uint32_t ip6(uint8_t *f, const char *from, const char *to, uint8_t proto, const uint8_t *l4, uint32_t len, uint32_t csum_at)
{
	struct addr src = app_addr(from), dst = app_addr(to);
	uint8_t *p = f + ETH_HDR_LEN + IP6_HDR_LEN;
	uint16_t csum;

	app_eth(f, ETH_TYPE_IPV6);
	if (dst.b[0] == 0xff) {
		memcpy(f, "\x33\x33", 2);
		memcpy(f + 2, dst.b + 12, 4);
	}
	ip_wire_put(f + ETH_HDR_LEN, &(struct ip){ .v6 = true, .src = src, .dst = dst, .proto = proto, .hop_limit = 64, .payload_len = len });
	memcpy(p, l4, len);
	if (csum_at + 2 <= len) {
		memset(p + csum_at, 0, 2);
		csum = csum_wire_final(csum_wire_pseudo(&src, &dst, proto, len) + csum_wire_add(p, len));
		memcpy(p + csum_at, &csum, 2);
	}
	return ETH_HDR_LEN + IP6_HDR_LEN + len;
}

/* An echo request of len bytes; each one says where it stands. */
static inline uint8_t *echo(uint8_t type, uint32_t len)
{
	uint8_t *p = g_malloc(len);
	uint16_t csum;

	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i ^ i >> 8);
	memcpy(p, (const uint8_t[]){ type, 0, 0, 0, 0, 7, 0, 1 }, 8);
	csum = csum_wire_final(csum_wire_add(p, len));
	memcpy(p + 2, &csum, 2);
	return p;
}

/* The guest was sent its request back, whole and nothing else. */
static inline void echoed(const struct world *w, const uint8_t *request, uint32_t len)
{
	g_autofree uint8_t *got = g_malloc0(len);
	uint32_t total = 0;
	struct ip ip;

	for (unsigned i = 0; i < w->a.n_out; i++) {
		const uint8_t *p = w->a.out[i].b + ETH_HDR_LEN;
		uint32_t n = (uint32_t)w->a.out[i].len - ETH_HDR_LEN;

		g_assert_cmpint(ip_wire_parse(p, n, n, false, &ip), ==, R_ACCEPTED);
		g_assert_cmpuint(ip.frag_off + ip.payload_len, <=, len);
		memcpy(got + ip.frag_off, p + ip.hdr_len, ip.payload_len);
		total += ip.payload_len;
	}
	g_assert_cmpuint(total, ==, len);
	g_assert_cmpuint(got[0], ==, ICMP4_ECHO_REPLY);
	g_assert_cmpmem(got + 4, len - 4, request + 4, len - 4);
}

/* One fragment of it. */
static inline void piece(struct world *w, const uint8_t *msg, uint32_t from, uint32_t to, uint16_t id, bool more, uint32_t words)
{
	g_autofree uint8_t *f = g_malloc(BIG);

	hand(w, f, ip4(f, VHOST, IP_PROTO_ICMP, id, (uint16_t)(from / 8 | (more ? MF : 0)), words, msg + from, to - from));
}

/* A datagram to a service, cut in three ways: the frame alone, the frame and IP's length, and all lengths. */
static inline void cuts(struct world *w, const char *to, uint16_t sport, uint16_t dport, uint32_t from, uint32_t least, enum reason r)
{
	bool v6 = strchr(to, ':');
	const char *src = g_str_has_prefix(to, "ff") ? "fe80::15" : "fd00::15";
	uint8_t l4[1024], f[1514];

	for (uint32_t len = from; len < least; len++) {
		memset(l4, 0, sizeof(l4));
		l4_wire_udp_put(l4, &(struct udp){ .sport = sport, .dport = dport, .len = len });
		for (int wrong = 0; wrong < 3; wrong++) {
			uint32_t n = UDP_HDR_LEN + len, total;

			if (wrong == 1)
				bytes_put16(l4 + 4, (uint16_t)(n + 1));
			if (wrong == 2)
				bytes_put16(l4 + 4, (uint16_t)n);
			total = v6 ? ip6(f, src, to, IP_PROTO_UDP, l4, n, 6) : ip4(f, to, IP_PROTO_UDP, 1, 0, 5, l4, n);
			if (wrong == 0)
				refused(w, f, total - 1, R_IP_LENGTH);
			else
				refused(w, f, total, wrong == 1 ? R_L4_LENGTH : r);
		}
	}
}

#endif
