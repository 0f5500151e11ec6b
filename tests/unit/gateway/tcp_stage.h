/* tcp_stage.h - a whole gateway with a fake clock, a link of a few lines and a guest whose segments a test writes.
 *
 * The host's side is real: sockets of the loopback.  stage_run() makes turns until none is due; stage_wait() waits for real events meanwhile.
 * Below: gateway/gateway.h.  Above: inbound_test.c, flow_tcp_test.c.
 */
#ifndef TESTS_TCP_STAGE_H
#define TESTS_TCP_STAGE_H

#include "gateway/gateway.h"
#include "gateway/hostsock.h"
#include "gateway/inbound.h"
#include "gateway/loop.h"
#include "slirp/base/list.h"
#include "slirp/wire/csum_wire.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { STAGE_WAIT_MS = 20000, STAGE_ISN = 1000 };

#define STAGE_S 1000000ll

/* One TCP segment that reached the guest; or an ICMP error (icmp). */
struct stage_seg {
	struct tuple t;
	struct tcp_seg seg;
	bool icmp;
	uint8_t data[2048];
};

struct stage {
	struct link link;
	struct loop *loop;
	struct gateway *gw;
	struct gateway_config cfg;
	struct mem mem;
	int64_t now;
	GQueue rx; /* GBytes: frames of the guest that wait for a turn */
	GQueue held; /* those of this turn */
	GQueue out; /* struct stage_seg */
	uint8_t head[256], pl[65536];
};

static inline int64_t stage_now(void *arg)
{
	return ((struct stage *)arg)->now;
}

static inline int stage_rx(struct link *l, struct stack *st, unsigned budget, int64_t now, bool *more)
{
	struct stage *s = container_of(l, struct stage, link);
	unsigned n = 0;

	for (; n < budget && !g_queue_is_empty(&s->rx); n++) {
		GBytes *b = g_queue_pop_head(&s->rx);
		gsize len;
		const uint8_t *p = g_bytes_get_data(b, &len);
		struct frame f = { .head = p, .head_len = (uint32_t)len };

		g_queue_push_tail(&s->held, b);
		stack_input(st, &f, now);
	}
	*more = !g_queue_is_empty(&s->rx);
	return (int)n;
}

static inline void stage_rx_done(struct link *l)
{
	struct stage *s = container_of(l, struct stage, link);

	while (!g_queue_is_empty(&s->held))
		g_bytes_unref(g_queue_pop_head(&s->held));
}

static inline bool stage_tx_get(struct link *l, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss)
{
	struct stage *s = container_of(l, struct stage, link);
	uint32_t room = mss && payload_len > mss ? mss : payload_len;

	*slot = (struct tx_slot){ .head = s->head, .pl = { { s->pl, room } }, .n_pl = room ? 1 : 0, .room = room };
	g_assert_cmpuint(head_len, <=, sizeof(s->head));
	return true;
}

static inline void stage_tx_put(struct link *l, struct tx_slot *slot, const struct frame_meta *meta, uint32_t used)
{
	struct stage *s = container_of(l, struct stage, link);
	const uint8_t *l3 = s->head + ETH_HDR_LEN;
	struct stage_seg *o = g_new0(struct stage_seg, 1);
	uint32_t hdr = ip_wire_hdr_len(meta->v6);
	struct addr src = meta->v6 ? addr_from_v6(l3 + 8) : addr_from_v4(l3 + 12), dst = meta->v6 ? addr_from_v6(l3 + 24) : addr_from_v4(l3 + 16);

	(void)slot;
	o->icmp = meta->proto != IP_PROTO_TCP;
	if (!o->icmp) {
		g_assert_cmpint(l4_wire_tcp_parse(l3 + hdr, meta->head_len - ETH_HDR_LEN - hdr, meta->head_len - ETH_HDR_LEN - hdr + used, &o->seg), ==,
				R_ACCEPTED);
		o->t = (struct tuple){ .far = { src, o->seg.sport }, .guest = { dst, o->seg.dport } };
		g_assert_cmpuint(used, <=, sizeof(o->data));
		memcpy(o->data, s->pl, used);
	}
	g_queue_push_tail(&s->out, o);
}

static inline bool stage_tx_flush(struct link *l)
{
	return false;
}

static inline void stage_link_free(struct link *l)
{
}

static const struct link_ops stage_link_ops = {
	.rx = stage_rx,
	.rx_done = stage_rx_done,
	.tx_get = stage_tx_get,
	.tx_put = stage_tx_put,
	.tx_flush = stage_tx_flush,
	.free = stage_link_free,
};

/* Before stage_start(): cfg may be changed. */
static inline void stage_init(struct stage *s)
{
	memset(s, 0, sizeof(*s));
	s->now = 1000 * STAGE_S;
	g_queue_init(&s->rx);
	g_queue_init(&s->held);
	g_queue_init(&s->out);
	gateway_config_init(&s->cfg);
	s->cfg.mtu = 1500;
	s->cfg.host_loopback = s->cfg.own_addresses = true;
	s->cfg.n_dns = 1;
	s->cfg.dns[0] = s->cfg.gw4;
	s->cfg.mem = &s->mem;
	s->link = (struct link){ .ops = &stage_link_ops, .fd = -1, .caps = { .mtu = 1500, .lossless = true } };
}

static inline void stage_run(struct stage *s)
{
	loop_run(s->loop);
	while (loop_due(s->loop) <= s->now)
		loop_run(s->loop);
}

static inline void stage_start(struct stage *s)
{
	GError *err = NULL;

	s->loop = loop_new_driven(&(struct loop_clock){ stage_now, s }, NULL, NULL, &err);
	g_assert_no_error(err);
	s->gw = gateway_new_on(&s->cfg, &s->link, s->loop, &err);
	g_assert_no_error(err);
	stage_run(s);
}

static inline void stage_stop(struct stage *s)
{
	gateway_free(s->gw);
	g_queue_clear_full(&s->out, g_free);
	g_queue_clear_full(&s->rx, (GDestroyNotify)g_bytes_unref);
}

/* The clock moves, every deadline on the way is served. */
static inline void stage_pass(struct stage *s, int64_t us)
{
	int64_t end = s->now + us;

	for (;;) {
		int64_t due = loop_due(s->loop);

		if (due > end)
			break;
		if (due > s->now)
			s->now = due;
		loop_run(s->loop);
	}
	s->now = end;
	stage_run(s);
}

/* Waits until something real happens to the gateway's sockets, and serves it. */
static inline void stage_wait(struct stage *s)
{
	struct pollfd p = { .fd = loop_fd(s->loop), .events = POLLIN };

	g_assert_cmpint(poll(&p, 1, STAGE_WAIT_MS), ==, 1);
	stage_run(s);
}

/* A segment of the guest's; data may be NULL. */
static inline void stage_guest(struct stage *s, const struct tuple *t, struct tcp_seg seg, const char *data)
{
	uint32_t len = data ? (uint32_t)strlen(data) : 0, l4, hdr;
	bool v6 = !addr_is_v4(&t->guest.addr);
	uint8_t f[2048];
	struct ip ip = { .v6 = v6, .src = t->guest.addr, .dst = t->far.addr, .proto = IP_PROTO_TCP, .hop_limit = 64, .dont_fragment = true };
	uint16_t csum;

	seg.sport = t->guest.port;
	seg.dport = t->far.port;
	if (!seg.window)
		seg.window = 65535;
	hdr = ETH_HDR_LEN + ip_wire_hdr_len(v6);
	l4 = l4_wire_tcp_put(f + hdr, &seg);
	if (len)
		memcpy(f + hdr + l4, data, len);
	ip.payload_len = l4 + len;
	eth_wire_put(f, &(struct eth){ .dst = s->cfg.gw_mac, .src = s->cfg.guest_mac, .type = v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4 });
	ip_wire_put(f + ETH_HDR_LEN, &ip);
	csum = csum_wire_final(csum_wire_pseudo(&ip.src, &ip.dst, IP_PROTO_TCP, ip.payload_len) + csum_wire_add(f + hdr, l4 + len));
	memcpy(f + hdr + TCP_CSUM_OFFSET, &csum, sizeof(csum));
	g_queue_push_tail(&s->rx, g_bytes_new(f, hdr + l4 + len));
	loop_link_ready(s->loop);
}

/* The oldest segment that reached the guest; the caller frees it.  It has the flags, whatever else came before it would fail. */
static inline struct stage_seg *stage_expect(struct stage *s, uint8_t flags)
{
	struct stage_seg *o;

	while (g_queue_is_empty(&s->out))
		stage_wait(s);
	o = g_queue_pop_head(&s->out);
	g_assert_false(o->icmp);
	g_assert_cmphex(o->seg.flags & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST), ==, flags);
	return o;
}

static inline struct addr stage_addr(const char *text)
{
	struct addr a;

	g_assert_true(addr_parse(text, &a, NULL));
	return a;
}

/* The reason's counter of ended flows. */
static inline uint64_t stage_closes(struct stage *s, enum reason r)
{
	struct gateway_stats st;

	gateway_stats(s->gw, &st);
	return st.closes.n[r];
}

static inline struct gateway_stats stage_stats(struct stage *s)
{
	struct gateway_stats st;

	gateway_stats(s->gw, &st);
	return st;
}

/* A connected pair over the loopback: *ret_far is the client's end (blocking), the result the one that was accepted (not blocking); *from its
 * address. */
static inline int stage_client(const char *addr, int *ret_far, struct endpoint *from)
{
	struct endpoint at = { stage_addr(addr), 0 };
	struct sockaddr_storage ss;
	socklen_t len = hostsock_sockaddr(&at, &ss);
	int listener = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	g_assert_cmpint(bind(listener, (struct sockaddr *)&ss, len), ==, 0);
	g_assert_cmpint(listen(listener, 8), ==, 0);
	g_assert_cmpint(getsockname(listener, (struct sockaddr *)&ss, &len), ==, 0);
	*ret_far = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(connect(*ret_far, (struct sockaddr *)&ss, len), ==, 0);
	fd = accept4(listener, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	g_assert_cmpint(fd, >=, 0);
	g_assert_true(hostsock_endpoint(&ss, from));
	close(listener);
	return fd;
}

/* What recv() on the client's end says once there is something: bytes, 0, or -errno. */
static inline ssize_t stage_recv(int fd, void *buf, size_t n)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t got;

	g_assert_cmpint(poll(&p, 1, STAGE_WAIT_MS), ==, 1);
	got = recv(fd, buf, n, 0);
	return got < 0 ? -errno : got;
}

#endif
