/* state_pair.c - a state saved by one library and loaded by another: FROM and TO are paths of libraries that call themselves libslirp.so.0.
 *
 *	state_pair FROM TO		leases and one connection of the guest to a function of the application go from one to the other
 *	state_pair --under-way FROM TO	the same with bytes that the guest has not got yet: libslirp 4.7.0 as TO forgets how many those are
 *	state_pair --dump LIB		the stream of such a connection, in hexadecimal, for a person
 *
 * Ends with 0, or says what is wrong.  Nothing is sent but to the guest, which is a few frames; the clock is moved by hand.
 * Below: the installed header, dlopen(), wire codecs.  Above: tests/e2e/test_state.py.
 */
#define SLIRP_NO_DEPRECATED
#include "gateway/doors/include/slirp/libslirp.h"
#include "slirp/wire/csum_wire.h"
#include "slirp/wire/dhcp_wire.h"
#include "slirp/wire/eth_wire.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"

#include <dlfcn.h>
#include <glib.h>
#include <poll.h>

enum { FRAME = 2048, FRAMES = 128, POLLS = 16, PLACE_PORT = 7, IDLE = 131 };

#define PLACE "10.0.2.100"
#define GUEST "10.0.2.15"

/* What is called of a library. */
struct lib {
	Slirp *(*make)(const SlirpConfig *, const SlirpCb *, void *);
	void (*cleanup)(Slirp *);
	void (*fill)(Slirp *, uint32_t *, SlirpAddPollCb, void *);
	void (*poll)(Slirp *, int, SlirpGetREventsCb, void *);
	void (*input)(Slirp *, const uint8_t *, int);
	int (*add_guestfwd)(Slirp *, SlirpWriteCb, void *, struct in_addr *, int);
	void (*recv)(Slirp *, struct in_addr, int, const uint8_t *, int);
	size_t (*can_recv)(Slirp *, struct in_addr, int);
	int (*save)(Slirp *, SlirpWriteCb, void *);
	int (*load)(Slirp *, int, SlirpReadCb, void *);
};

/* One library with its application, which keeps what it hears. */
struct side {
	struct lib lib;
	Slirp *slirp;
	int64_t now_ns;
	GString *heard;
	uint8_t out[FRAMES][FRAME];
	size_t out_len[FRAMES];
	unsigned n_out;
	struct pollfd polls[POLLS];
	unsigned n_polls;
};

/* The guest's half of one connection. */
struct guest {
	struct tcp_seg seg; /* numbers of its next segment */
	GString *heard;
	bool options; /* window scale, timestamps and SACK */
};

static const struct mac guest_mac = { { 0x52, 0x54, 0, 0x12, 0x34, 0x56 } };

static void must(bool good, const char *what)
{
	if (good)
		return;
	g_printerr("state_pair: %s\n", what);
	exit(1);
}

/* ---- the application */

static slirp_ssize_t on_packet(const void *buf, size_t len, void *opaque)
{
	struct side *s = opaque;

	must(s->n_out < FRAMES && len <= FRAME, "more frames than there is room for");
	memcpy(s->out[s->n_out], buf, len);
	s->out_len[s->n_out++] = len;
	return (slirp_ssize_t)len;
}

static void on_guest_error(const char *msg, void *opaque)
{
}

static int64_t on_clock(void *opaque)
{
	return ((struct side *)opaque)->now_ns;
}

static void *on_timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
	return opaque;
}

static void on_timer_free(void *timer, void *opaque)
{
}

static void on_timer_mod(void *timer, int64_t at, void *opaque)
{
}

static void on_fd(int fd, void *opaque)
{
}

static void on_notify(void *opaque)
{
}

static slirp_ssize_t on_bytes(const void *buf, size_t len, void *opaque)
{
	g_string_append_len(((struct side *)opaque)->heard, buf, (gssize)len);
	return (slirp_ssize_t)len;
}

static struct in_addr in4(const char *text)
{
	struct in_addr a;

	must(inet_pton(AF_INET, text, &a) == 1, text);
	return a;
}

static void *symbol(void *handle, const char *name)
{
	void *p = dlsym(handle, name);

	must(p != NULL, name);
	return p;
}

static void side_load_library(struct lib *l, const char *path)
{
	void *h = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	must(h != NULL, path);
	l->make = symbol(h, "slirp_new");
	l->cleanup = symbol(h, "slirp_cleanup");
	l->fill = symbol(h, "slirp_pollfds_fill");
	l->poll = symbol(h, "slirp_pollfds_poll");
	l->input = symbol(h, "slirp_input");
	l->add_guestfwd = symbol(h, "slirp_add_guestfwd");
	l->recv = symbol(h, "slirp_socket_recv");
	l->can_recv = symbol(h, "slirp_socket_can_recv");
	l->save = symbol(h, "slirp_state_save");
	l->load = symbol(h, "slirp_state_load");
}

static struct side *side_new(const char *path)
{
	static const SlirpCb cb = { .send_packet = on_packet, .guest_error = on_guest_error, .clock_get_ns = on_clock, .timer_new = on_timer_new,
				    .timer_free = on_timer_free, .timer_mod = on_timer_mod, .register_poll_fd = on_fd, .unregister_poll_fd = on_fd,
				    .notify = on_notify };
	SlirpConfig cfg = { .version = 1, .in_enabled = true, .vnetwork = in4("10.0.2.0"), .vnetmask = in4("255.255.255.0"), .vhost = in4("10.0.2.2"),
			    .vdhcp_start = in4(GUEST), .vnameserver = in4("10.0.2.3") };
	struct in_addr place = in4(PLACE);
	struct side *s = g_new0(struct side, 1);

	side_load_library(&s->lib, path);
	s->now_ns = 1000000000;
	s->heard = g_string_new(NULL);
	s->slirp = s->lib.make(&cfg, &cb, s);
	must(s->slirp && !s->lib.add_guestfwd(s->slirp, on_bytes, s, &place, PLACE_PORT), "slirp_add_guestfwd");
	return s;
}

static void side_free(struct side *s)
{
	s->lib.cleanup(s->slirp);
	g_string_free(s->heard, TRUE);
	g_free(s);
}

static int on_add_poll(int fd, int events, void *opaque)
{
	struct side *s = opaque;

	must(s->n_polls < POLLS, "too many descriptors");
	s->polls[s->n_polls] = (struct pollfd){ .fd = fd, .events = POLLIN };
	return (int)s->n_polls++;
}

static int on_revents(int i, void *opaque)
{
	return ((struct side *)opaque)->polls[i].revents & POLLIN ? SLIRP_POLL_IN : 0;
}

/* Some time passes. */
static void side_run(struct side *s, int64_t ms)
{
	for (int64_t end = s->now_ns + ms * 1000000;; s->now_ns += 10000000) {
		uint32_t timeout = 0;

		s->n_polls = 0;
		s->lib.fill(s->slirp, &timeout, on_add_poll, s);
		poll(s->polls, s->n_polls, 0);
		s->lib.poll(s->slirp, 0, on_revents, s);
		if (s->now_ns >= end)
			return;
	}
}

/* ---- the guest */

static void guest_ip(struct side *s, const char *from, const char *to, uint8_t proto, const uint8_t *l4, uint32_t len)
{
	static const struct mac gw = { { 0x52, 0x55, 10, 0, 2, 2 } };
	struct addr src, dst;
	uint8_t p[FRAME] = { 0 };

	must(addr_parse(from, &src, NULL), "an address");
	must(addr_parse(to, &dst, NULL), "an address");
	eth_wire_put(p, &(struct eth){ .dst = gw, .src = guest_mac, .type = ETH_TYPE_IPV4 });
	ip_wire_put(p + ETH_HDR_LEN, &(struct ip){ .src = src, .dst = dst, .proto = proto, .hop_limit = 64, .payload_len = len });
	memcpy(p + ETH_HDR_LEN + IP4_HDR_LEN, l4, len);
	s->lib.input(s->slirp, p, (int)(ETH_HDR_LEN + IP4_HDR_LEN + len));
}

/* Who has the gateway's address?  And whoever answers knows who asked. */
static void guest_arp(struct side *s)
{
	uint8_t p[ETH_HDR_LEN + ARP_LEN];
	struct arp a = { .op = ARP_REQUEST, .sender_mac = guest_mac };

	must(addr_parse(GUEST, &a.sender, NULL) && addr_parse("10.0.2.2", &a.target, NULL), "an address");
	eth_wire_put(p, &(struct eth){ .dst = { { 255, 255, 255, 255, 255, 255 } }, .src = guest_mac, .type = ETH_TYPE_ARP });
	eth_wire_arp_put(p + ETH_HDR_LEN, &a);
	s->lib.input(s->slirp, p, sizeof(p));
	side_run(s, 0);
}

static void guest_say(struct guest *g, struct side *s, uint8_t flags, const char *data)
{
	uint32_t len = (uint32_t)strlen(data), hdr;
	struct addr src, dst;
	uint8_t p[FRAME];
	uint16_t csum;

	g->seg.flags = flags;
	g->seg.has_wscale = g->seg.sack_permitted = g->options && flags & TCP_SYN;
	g->seg.has_ts = g->options && (flags & TCP_SYN || g->seg.has_ts);
	g->seg.tsval++;
	must(addr_parse(GUEST, &src, NULL) && addr_parse(PLACE, &dst, NULL), "an address");
	hdr = l4_wire_tcp_put(p, &g->seg);
	memcpy(p + hdr, data, len);
	csum = csum_wire_final(csum_wire_pseudo(&src, &dst, IP_PROTO_TCP, hdr + len) + csum_wire_add(p, hdr + len));
	memcpy(p + TCP_CSUM_OFFSET, &csum, sizeof(csum));
	guest_ip(s, GUEST, PLACE, IP_PROTO_TCP, p, hdr + len);
	g->seg.seq += len + (flags & (TCP_SYN | TCP_FIN) ? 1 : 0);
	side_run(s, 100);
}

/* A segment for the guest in one frame; false: it is none. */
static bool guest_segment(const uint8_t *frame, size_t frame_len, struct tcp_seg *seg, const uint8_t **data)
{
	uint32_t len = (uint32_t)frame_len - ETH_HDR_LEN;
	struct ip ip;

	if (frame[12] != 8 || frame[13] || ip_wire_parse(frame + ETH_HDR_LEN, len, len, false, &ip) || ip.proto != IP_PROTO_TCP)
		return false;
	must(!l4_wire_tcp_parse(frame + ETH_HDR_LEN + ip.hdr_len, ip.payload_len, ip.payload_len, seg), "a segment for the guest");
	*data = frame + ETH_HDR_LEN + ip.hdr_len + seg->hdr_len;
	return true;
}

/* Takes what it was sent in order, and leaves the rest. */
static void guest_take(struct guest *g, struct side *s)
{
	for (unsigned i = 0; i < s->n_out; i++) {
		struct tcp_seg seg = { 0 };
		const uint8_t *data;

		if (!guest_segment(s->out[i], s->out_len[i], &seg, &data))
			continue;
		must(!(seg.flags & TCP_RST), "the guest was reset");
		if (seg.flags & TCP_SYN) {
			g->seg.ack = seg.seq + 1;
			g->seg.has_ts = seg.has_ts;
		}
		if (seg.has_ts)
			g->seg.tsecr = seg.tsval;
		if (seg.seq != g->seg.ack)
			continue;
		g_string_append_len(g->heard, (const char *)data, seg.len);
		g->seg.ack += seg.len;
	}
	s->n_out = 0;
}

static void guest_open(struct guest *g, struct side *s, bool options)
{
	*g = (struct guest){ .seg = { .sport = 4000, .dport = PLACE_PORT, .seq = 1000, .window = 32768, .has_mss = true, .mss = 1460, .wscale = 5 },
			     .heard = g_string_new(NULL), .options = options };
	guest_arp(s);
	guest_say(g, s, TCP_SYN, "");
	guest_take(g, s);
	must(g->seg.ack, "no answer to the SYN");
	g->seg.has_mss = false;
	guest_say(g, s, TCP_ACK, "");
}

static void side_push(struct side *s, const char *text)
{
	must(s->lib.can_recv(s->slirp, in4(PLACE), PLACE_PORT) >= strlen(text), "slirp_socket_can_recv");
	s->lib.recv(s->slirp, in4(PLACE), PLACE_PORT, (const uint8_t *)text, (int)strlen(text));
	side_run(s, 100);
}

static void expect(GString *s, const char *text, const char *who)
{
	if (strcmp(s->str, text))
		g_printerr("state_pair: \"%s\" instead of \"%s\"\n", s->str, text);
	must(!strcmp(s->str, text), who);
}

/* ---- the stream */

static slirp_ssize_t on_write(const void *buf, size_t len, void *opaque)
{
	g_byte_array_append(opaque, buf, (guint)len);
	return (slirp_ssize_t)len;
}

struct reader {
	const uint8_t *p;
	size_t left;
};

static slirp_ssize_t on_read(void *buf, size_t len, void *opaque)
{
	struct reader *r = opaque;

	if (len > r->left)
		return -1;
	memcpy(buf, r->p, len);
	r->p += len;
	r->left -= len;
	return (slirp_ssize_t)len;
}

static GByteArray *save(struct side *s)
{
	GByteArray *b = g_byte_array_new();

	must(!s->lib.save(s->slirp, on_write, b), "slirp_state_save");
	return b;
}

static void load(struct side *s, const GByteArray *b)
{
	struct reader r = { b->data, b->len };

	must(!s->lib.load(s->slirp, 4, on_read, &r), "slirp_state_load");
	must(!r.left, "bytes are left over");
}

/* ---- what is shown */

static void guest_discover(struct side *s, uint8_t last)
{
	uint8_t udp[UDP_HDR_LEN + 512] = { 0 }, type = DHCP_DISCOVER;
	struct dhcp_msg m = { .op = DHCP_BOOTREQUEST, .htype = 1, .hlen = 6, .chaddr = { 2, 0, 0, 0, 0, last } };
	struct dhcp_writer w;
	uint32_t len;

	dhcp_wire_begin(&w, udp + UDP_HDR_LEN, 512, &m);
	dhcp_wire_put(&w, DHCP_OPT_TYPE, &type, 1);
	len = dhcp_wire_end(&w);
	l4_wire_udp_put(udp, &(struct udp){ .sport = 68, .dport = 67, .len = len });
	guest_ip(s, "0.0.0.0", "255.255.255.255", IP_PROTO_UDP, udp, UDP_HDR_LEN + len);
	side_run(s, 0);
}

/* Two leases; the stream is the same when it has been through TO. */
static void check_idle(const char *from, const char *to)
{
	struct side *a = side_new(from), *b = side_new(to);
	g_autoptr(GByteArray) saved = NULL, again = NULL;

	guest_discover(a, 1);
	guest_discover(a, 2);
	saved = save(a);
	must(saved->len == IDLE, "the length of an idle stream");
	load(b, saved);
	again = save(b);
	must(again->len == IDLE && !memcmp(again->data, saved->data, IDLE), "an idle stream that was carried over");
	must(!memcmp(saved->data + 3, "\0\1\2\0\0\0\0\1\0\1\2\0\0\0\0\2\0\0", 18), "leases");
	side_free(a);
	side_free(b);
}

/* A connection goes on in TO: nothing is lost and nothing comes twice, either way. */
static void check_connection(const char *from, const char *to, bool under_way, bool options)
{
	struct side *a = side_new(from), *b = side_new(to);
	g_autoptr(GByteArray) saved = NULL;
	struct guest g;

	guest_open(&g, a, options);
	guest_say(&g, a, TCP_ACK | TCP_PSH, "hello ");
	side_push(a, "first ");
	guest_take(&g, a);
	guest_say(&g, a, TCP_ACK, "");
	side_push(a, "second ");
	if (under_way) {
		a->n_out = 0;
	} else {
		guest_take(&g, a);
		guest_say(&g, a, TCP_ACK, "");
	}
	saved = save(a);
	expect(a->heard, "hello ", "what the application heard before");
	side_free(a);

	load(b, saved);
	guest_arp(b);
	b->n_out = 0;
	guest_say(&g, b, TCP_ACK | TCP_PSH, "again ");
	side_push(b, "third");
	for (int i = 0; i < 60 && g.heard->len < strlen("first second third"); i++) {
		side_run(b, 1000);
		guest_take(&g, b);
		guest_say(&g, b, TCP_ACK, "");
	}
	expect(g.heard, "first second third", "what the guest heard");
	guest_say(&g, b, TCP_ACK | TCP_PSH, "end");
	expect(b->heard, "again end", "what the application heard after");
	side_free(b);
	g_string_free(g.heard, TRUE);
}

static int dump(const char *path)
{
	struct side *s = side_new(path);
	g_autoptr(GByteArray) b = NULL;
	struct guest g;

	guest_open(&g, s, false);
	guest_say(&g, s, TCP_ACK | TCP_PSH, "hello");
	side_push(s, "world");
	b = save(s);
	for (guint i = 0; i < b->len; i++)
		g_print("%02x%s", b->data[i], i % 32 == 31 ? "\n" : "");
	g_print("\n");
	side_free(s);
	return 0;
}

int main(int argc, char **argv)
{
	bool under_way = argc == 4 && !strcmp(argv[1], "--under-way");

	if (argc == 3 && !strcmp(argv[1], "--dump"))
		return dump(argv[2]);
	if (argc != 3 && !under_way) {
		g_printerr("usage: state_pair [--under-way] FROM TO | state_pair --dump LIB\n");
		return 2;
	}
	argv += under_way;
	check_idle(argv[1], argv[2]);
	check_connection(argv[1], argv[2], under_way, false);
	check_connection(argv[1], argv[2], under_way, true);
	g_print("carried over\n");
	return 0;
}
