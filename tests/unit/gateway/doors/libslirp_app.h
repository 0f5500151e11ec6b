/* libslirp_app.h - an application as the library sees one: a clock that stands until it is moved, a guest of a few frames, and no loop.
 *
 * Below: the library's header, wire codecs.  Above: libslirp_*_test.c.
 */
#ifndef TESTS_LIBSLIRP_APP_H
#define TESTS_LIBSLIRP_APP_H

#include "gateway/doors/libslirp_state.h"
#include "slirp/wire/csum_wire.h"
#include "slirp/wire/dhcp_wire.h"
#include "slirp/wire/eth_wire.h"
#include "slirp/wire/icmp_wire.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"

#include <glib.h>
#include <poll.h>

enum { APP_PACKETS = 256, APP_PACKET = 2048 };

struct app {
	Slirp *slirp;
	SlirpConfig cfg;
	SlirpCb cb;
	int64_t now_ns;
	struct app_packet {
		uint8_t b[APP_PACKET];
		size_t len;
	} out[APP_PACKETS]; /* what the guest was sent */
	unsigned n_out;
	unsigned notified, registered, unregistered, completed;
	void *timer; /* of the application; the callback's argument */
	SlirpTimerCb timer_cb;
	void *timer_arg;
	int64_t timer_at;
	unsigned timers_freed;
	int fd; /* what it was told to wait for */
	unsigned fds;
	uint32_t timeout;
	void (*reenter)(struct app *a); /* from inside send_packet */
};

static const struct mac app_mac = { { 0x52, 0x54, 0, 0x12, 0x34, 0x56 } };

static inline slirp_ssize_t app_send(const void *buf, size_t len, void *opaque)
{
	struct app *a = opaque;

	g_assert_cmpuint(len, >=, 60);
	g_assert_cmpuint(a->n_out, <, APP_PACKETS);
	a->out[a->n_out].len = MIN(len, (size_t)APP_PACKET);
	memcpy(a->out[a->n_out].b, buf, MIN(len, (size_t)APP_PACKET));
	a->n_out++;
	if (a->reenter)
		a->reenter(a);
	return (slirp_ssize_t)len;
}

static inline int64_t app_clock(void *opaque)
{
	return ((struct app *)opaque)->now_ns;
}

static inline void app_notify(void *opaque)
{
	((struct app *)opaque)->notified++;
}

static inline void *app_timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
	struct app *a = opaque;

	a->timer_cb = cb;
	a->timer_arg = cb_opaque;
	return a->timer = a;
}

static inline void *app_timer_new_opaque(SlirpTimerId id, void *cb_opaque, void *opaque)
{
	struct app *a = opaque;

	g_assert_cmpint(id, ==, SLIRP_TIMER_RA);
	g_assert_cmpuint(a->completed, ==, 1); /* which is where QEMU learns our pointer */
	a->timer_arg = cb_opaque;
	return a->timer = a;
}

static inline void app_timer_free(void *timer, void *opaque)
{
	g_assert_true(timer == opaque);
	((struct app *)opaque)->timers_freed++;
}

static inline void app_timer_mod(void *timer, int64_t at, void *opaque)
{
	g_assert_true(timer == opaque);
	((struct app *)opaque)->timer_at = at;
}

static inline void app_register(int fd, void *opaque)
{
	((struct app *)opaque)->registered++;
}

static inline void app_unregister(int fd, void *opaque)
{
	((struct app *)opaque)->unregistered++;
}

static inline void app_completed(Slirp *slirp, void *opaque)
{
	struct app *a = opaque;

	g_assert_null(a->slirp); /* slirp_new() has not returned */
	a->slirp = slirp;
	a->completed++;
}

static inline struct in_addr app_in(const char *text)
{
	struct in_addr in;

	g_assert_cmpint(inet_pton(AF_INET, text, &in), ==, 1);
	return in;
}

static inline struct addr app_addr(const char *text)
{
	struct addr a;

	g_assert_true(addr_parse(text, &a, NULL));
	return a;
}

static inline void app_init(struct app *a)
{
	*a = (struct app){ .now_ns = 1000000000, .fd = -1 };
	a->cfg = (SlirpConfig){
		.version = 1,
		.in_enabled = true,
		.vnetwork = app_in("10.0.2.0"),
		.vnetmask = app_in("255.255.255.0"),
		.vhost = app_in("10.0.2.2"),
		.vdhcp_start = app_in("10.0.2.15"),
		.vnameserver = app_in("10.0.2.3"),
		.in6_enabled = true,
		.vprefix_len = 64,
	};
	inet_pton(AF_INET6, "fd00::", &a->cfg.vprefix_addr6);
	inet_pton(AF_INET6, "fd00::2", &a->cfg.vhost6);
	inet_pton(AF_INET6, "fd00::3", &a->cfg.vnameserver6);
	a->cb = (SlirpCb){ .send_packet = app_send, .clock_get_ns = app_clock, .timer_new = app_timer_new, .timer_free = app_timer_free,
			   .timer_mod = app_timer_mod, .notify = app_notify, .register_poll_fd = app_register,
			   .unregister_poll_fd = app_unregister };
}

static inline void app_open(struct app *a)
{
	Slirp *s = slirp_new(&a->cfg, &a->cb, a);

	g_assert_nonnull(s);
	g_assert_true(!a->slirp || a->slirp == s);
	a->slirp = s;
}

static inline int app_add_poll(int fd, int events, void *opaque)
{
	struct app *a = opaque;

	g_assert_cmpint(events, ==, SLIRP_POLL_IN);
	a->fd = fd;
	return (int)a->fds++;
}

static inline void app_fill(struct app *a)
{
	a->fds = 0;
	a->timeout = UINT32_MAX;
	slirp_pollfds_fill_socket(a->slirp, &a->timeout, app_add_poll, a);
	g_assert_cmpuint(a->fds, ==, 1);
}

static inline bool app_readable(const struct app *a)
{
	struct pollfd p = { .fd = a->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* Turns until nothing is left to do at this moment. */
static inline void app_settle(struct app *a)
{
	do {
		slirp_pollfds_poll(a->slirp, 0, NULL, NULL);
		app_fill(a);
	} while (!a->timeout || app_readable(a));
}

/* ---- the guest's frames */

static inline void app_eth(uint8_t *p, uint16_t type)
{
	static const struct mac gw = { { 0x52, 0x55, 10, 0, 2, 2 } };

	eth_wire_put(p, &(struct eth){ .dst = gw, .src = app_mac, .type = type });
}

static inline void app_arp(struct app *a, const char *from, const char *who)
{
	uint8_t p[ETH_HDR_LEN + ARP_LEN];

	app_eth(p, ETH_TYPE_ARP);
	memset(p, 0xff, 6);
	eth_wire_arp_put(p + ETH_HDR_LEN, &(struct arp){ .op = ARP_REQUEST, .sender_mac = app_mac, .sender = app_addr(from), .target = app_addr(who) });
	slirp_input(a->slirp, p, sizeof(p));
}

/* An IPv4 packet with l4 behind the header, checksums of l4 made by the caller. */
static inline void app_ip(struct app *a, const char *from, const char *to, uint8_t proto, const uint8_t *l4, uint32_t len)
{
	uint8_t p[APP_PACKET] = { 0 };

	app_eth(p, ETH_TYPE_IPV4);
	ip_wire_put(p + ETH_HDR_LEN, &(struct ip){ .src = app_addr(from), .dst = app_addr(to), .proto = proto, .hop_limit = 64, .payload_len = len });
	memcpy(p + ETH_HDR_LEN + IP4_HDR_LEN, l4, len);
	slirp_input(a->slirp, p, (int)(ETH_HDR_LEN + IP4_HDR_LEN + len));
}

static inline void app_ping(struct app *a, const char *from, const char *to, uint16_t seq)
{
	uint8_t p[ICMP_HDR_LEN + 8] = { ICMP4_ECHO_REQUEST, 0, 0, 0, 0, 7, (uint8_t)(seq >> 8), (uint8_t)seq };
	uint16_t csum = csum_wire_final(csum_wire_add(p, sizeof(p)));

	memcpy(p + 2, &csum, sizeof(csum));
	app_ip(a, from, to, IP_PROTO_ICMP, p, sizeof(p));
}

static inline void app_udp(struct app *a, const char *from, uint16_t sport, const char *to, uint16_t dport, const void *data, uint32_t len)
{
	uint8_t p[APP_PACKET] = { 0 };

	l4_wire_udp_put(p, &(struct udp){ .sport = sport, .dport = dport, .len = len });
	memcpy(p + UDP_HDR_LEN, data, len);
	app_ip(a, from, to, IP_PROTO_UDP, p, UDP_HDR_LEN + len);
}

/* A TCP segment of the guest; ports and flags in seg. */
static inline void app_tcp(struct app *a, const char *from, const char *to, const struct tcp_seg *seg, const void *data, uint32_t len)
{
	struct addr src = app_addr(from), dst = app_addr(to);
	uint8_t p[APP_PACKET] = { 0 };
	uint32_t hdr = l4_wire_tcp_put(p, seg);
	uint16_t csum;

	if (len)
		memcpy(p + hdr, data, len);
	csum = csum_wire_final(csum_wire_pseudo(&src, &dst, IP_PROTO_TCP, hdr + len) + csum_wire_add(p, hdr + len));
	memcpy(p + TCP_CSUM_OFFSET, &csum, sizeof(csum));
	app_ip(a, from, to, IP_PROTO_TCP, p, hdr + len);
}

/* The last TCP segment sent to the guest; *data: its payload. */
static inline struct tcp_seg app_last_tcp(const struct app *a, const uint8_t **data)
{
	struct tcp_seg seg = { 0 };
	struct ip ip;

	for (unsigned i = a->n_out; i-- > 0;) {
		const struct app_packet *o = &a->out[i];
		uint32_t len = (uint32_t)o->len - ETH_HDR_LEN;

		if (ip_wire_parse(o->b + ETH_HDR_LEN, len, len, false, &ip) || ip.proto != IP_PROTO_TCP)
			continue;
		g_assert_cmpint(l4_wire_tcp_parse(o->b + ETH_HDR_LEN + ip.hdr_len, ip.payload_len, ip.payload_len, &seg), ==, R_ACCEPTED);
		if (data)
			*data = o->b + ETH_HDR_LEN + ip.hdr_len + seg.hdr_len;
		return seg;
	}
	g_assert_not_reached();
}

/* ---- what it was sent */

/* The ICMP type of the n-th frame, or -1 if that is none. */
static inline int app_icmp_type(const struct app *a, unsigned n)
{
	const uint8_t *p = a->out[n].b;

	return n < a->n_out && p[12] == 0x08 && p[13] == 0 && p[23] == IP_PROTO_ICMP ? p[34] : -1;
}

#endif
