/* fuzz_libslirp.c - bytes become the life of an application of libslirp.so.0: frames, calls, time, a state that is saved, damaged and loaded.
 *
 * Input: a byte of configuration, then operations: a byte that chooses and what it needs.  The application keeps what the header promises it:
 * frames fit the link, the clock may be turned back, what is saved is loaded again, send_packet may call back.
 * The process leaves the network first: whatever a guest dials, nothing is there.  No commands are run.
 * Below: libslirp_dep, tests/unit/gateway/doors/libslirp_app.h.  Above: tests/meson.build.  Corpus: tests/fuzz/corpus/fuzz_libslirp.
 */
#include "tests/unit/gateway/doors/libslirp_app.h"

#include "slirp/base/bytes.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FUZZ_CHECK(good)                                                                                                                             \
	do {                                                                                                                                         \
		if (!(good))                                                                                                                         \
			abort();                                                                                                                     \
	} while (0)

enum {
	FUZZ_OPS = 400,
	FUZZ_FRAME = 1600,
	FUZZ_LONGEST_NCSI = 238, /* which leaves whatever the MTU */
	FUZZ_PORTS = 4,
	FUZZ_GUESTFWDS = 4,
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct app a;
	const uint8_t *in;
	size_t left;
	uint32_t seq[FUZZ_PORTS], ack[FUZZ_PORTS]; /* of the guest's ports from 4000 on */
	GByteArray *saved;
	guint at; /* in what is being loaded */
	unsigned depth;
	bool back; /* send_packet hands in the frame that it was given */
};

static uint8_t fuzz_u8(struct fuzz *z)
{
	if (!z->left)
		return 0;
	z->left--;
	return *z->in++;
}

static uint16_t fuzz_u16(struct fuzz *z)
{
	uint8_t hi = fuzz_u8(z);

	return (uint16_t)(hi << 8 | fuzz_u8(z));
}

static uint32_t fuzz_bytes(struct fuzz *z, uint8_t *p, uint32_t most)
{
	uint32_t n = fuzz_u16(z);

	n = MIN(MIN(n, most), (uint32_t)z->left);
	memcpy(p, z->in, n);
	z->in += n;
	z->left -= n;
	return n;
}

/* ---- the application */

/* Learns what the guest may acknowledge. */
static void fuzz_look(struct fuzz *z, const uint8_t *p, uint32_t len)
{
	struct tcp_seg seg;
	struct ip ip;

	if (bytes_get16(p + 12) != ETH_TYPE_IPV4 || ip_wire_parse(p + ETH_HDR_LEN, len, len, false, &ip) || ip.proto != IP_PROTO_TCP)
		return;
	if (l4_wire_tcp_parse(p + ETH_HDR_LEN + ip.hdr_len, ip.payload_len, ip.payload_len, &seg))
		return;
	z->ack[seg.dport % FUZZ_PORTS] = seg.seq + seg.len + (seg.flags & (TCP_SYN | TCP_FIN) ? 1 : 0);
}

static slirp_ssize_t on_packet(const void *buf, size_t len, void *opaque)
{
	struct fuzz *z = opaque;
	uint8_t copy[FUZZ_FRAME];
	size_t mtu = z->a.cfg.if_mtu ? z->a.cfg.if_mtu : 1500;

	FUZZ_CHECK(len >= 60 && len <= MAX(mtu + ETH_HDR_LEN, (size_t)FUZZ_LONGEST_NCSI));
	fuzz_look(z, buf, (uint32_t)len - ETH_HDR_LEN);
	if (z->back && z->depth < 3) {
		z->depth++;
		memcpy(copy, buf, MIN(len, sizeof(copy)));
		slirp_input(z->a.slirp, copy, (int)MIN(len, sizeof(copy)));
		z->depth--;
	}
	return len % 7 ? (slirp_ssize_t)len : -1;
}

static slirp_ssize_t on_bytes(const void *buf, size_t len, void *opaque)
{
	struct fuzz *z = opaque;

	if (z->back)
		slirp_socket_recv(z->a.slirp, app_in("10.0.2.100"), 7, buf, (int)len);
	return (slirp_ssize_t)len;
}

static slirp_ssize_t on_write(const void *buf, size_t len, void *opaque)
{
	g_byte_array_append(((struct fuzz *)opaque)->saved, buf, (guint)len);
	return (slirp_ssize_t)len;
}

static slirp_ssize_t on_read(void *buf, size_t len, void *opaque)
{
	struct fuzz *z = opaque;

	len = MIN(len, z->saved->len - z->at);
	if (!len)
		return 0;
	memcpy(buf, z->saved->data + z->at, len);
	z->at += (guint)len;
	return (slirp_ssize_t)len;
}

/* ---- operations */

static void fuzz_raw(struct fuzz *z)
{
	uint8_t p[FUZZ_FRAME];
	uint32_t n = fuzz_bytes(z, p, sizeof(p));
	uint8_t *exact = g_memdup2(p, n); /* a sanitizer sees what is read behind it */

	slirp_input(z->a.slirp, exact, (int)n);
	g_free(exact);
}

static const char *fuzz_far(uint8_t which)
{
	static const char *const far[] = { "10.0.2.100", "10.0.2.2", "10.0.2.3", "10.0.2.4", "127.0.0.1", "203.0.113.1", "10.0.2.77", "255.255.255.255" };

	return far[which % G_N_ELEMENTS(far)];
}

static void fuzz_tcp(struct fuzz *z)
{
	uint8_t how = fuzz_u8(z), flags = fuzz_u8(z), port = how % FUZZ_PORTS, data[APP_PACKET - 100];
	struct tcp_seg seg = { .sport = (uint16_t)(4000 + port), .dport = how & 4 ? fuzz_u16(z) : 7, .flags = flags, .window = fuzz_u16(z),
			       .has_wscale = flags & TCP_SYN && how & 8, .wscale = 7, .sack_permitted = flags & TCP_SYN && how & 8 };
	uint32_t len = fuzz_bytes(z, data, sizeof(data));

	if (how & 16) { /* beside where it should be */
		z->seq[port] += (uint32_t)(int8_t)fuzz_u8(z) * 64u;
		z->ack[port] += (uint32_t)(int8_t)fuzz_u8(z);
	}
	seg.seq = z->seq[port];
	seg.ack = flags & TCP_ACK ? z->ack[port] : 0;
	app_tcp(&z->a, "10.0.2.15", fuzz_far(how >> 5), &seg, data, len);
	z->seq[port] += len + (flags & (TCP_SYN | TCP_FIN) ? 1 : 0);
}

static void fuzz_udp(struct fuzz *z)
{
	static const uint16_t ports[] = { 53, 67, 69, 7, 547, 5000, 80, 0 };
	uint8_t how = fuzz_u8(z), data[APP_PACKET - 100];
	uint32_t len = fuzz_bytes(z, data, sizeof(data));

	app_udp(&z->a, how & 64 ? "0.0.0.0" : "10.0.2.15", how & 64 ? 68 : 4000, fuzz_far(how >> 3), ports[how % 8], data, len);
}

static void fuzz_guestfwd(struct fuzz *z)
{
	uint8_t how = fuzz_u8(z);
	struct in_addr at = app_in(how & 1 ? "10.0.2.100" : how & 2 ? "0.0.0.0" : "10.0.2.4");

	if (how & 128)
		slirp_remove_guestfwd(z->a.slirp, at, 7 + how / 4 % FUZZ_GUESTFWDS);
	else if (how & 64)
		slirp_add_unix(z->a.slirp, "/nonexistent/socket", &at, 7 + how / 4 % FUZZ_GUESTFWDS);
	else
		slirp_add_guestfwd(z->a.slirp, on_bytes, z, &at, 7 + how / 4 % FUZZ_GUESTFWDS);
}

static void fuzz_push(struct fuzz *z)
{
	static const uint8_t zeros[140000];
	uint32_t n = fuzz_u16(z) * 4u;
	size_t room = slirp_socket_can_recv(z->a.slirp, app_in("10.0.2.100"), 7);

	if (!(n & 4))
		n = (uint32_t)MIN(n, room);
	slirp_socket_recv(z->a.slirp, app_in("10.0.2.100"), 7, zeros, (int)MIN(n, sizeof(zeros)));
}

static void fuzz_hostfwd(struct fuzz *z)
{
	uint8_t how = fuzz_u8(z);
	int port = 20000 + how % 4;

	if (how & 128)
		slirp_remove_hostfwd(z->a.slirp, how & 64, app_in("127.0.0.1"), port);
	else
		slirp_add_hostfwd(z->a.slirp, how & 64, app_in("127.0.0.1"), port, app_in(how & 32 ? "10.0.2.15" : "0.0.0.0"), 22);
}

static void fuzz_info(struct fuzz *z)
{
	char *conns = slirp_connection_info(z->a.slirp), *neighbours = slirp_neighbor_info(z->a.slirp);

	FUZZ_CHECK(conns && g_str_has_suffix(conns, "\n") && neighbours && g_str_has_suffix(neighbours, "\n"));
	free(conns);
	free(neighbours);
}

/* What was saved is loaded again, as it is or damaged; what is damaged may be refused. */
static void fuzz_state(struct fuzz *z)
{
	uint8_t damage = fuzz_u8(z) % 8;
	int r;

	g_byte_array_set_size(z->saved, 0);
	FUZZ_CHECK(!slirp_state_save(z->a.slirp, on_write, z));
	FUZZ_CHECK(z->saved->len >= 131);
	for (unsigned i = 0; i < damage; i++) {
		guint at = fuzz_u16(z); /* from the front, from the end, or where the second buffer ends */

		at = at % 3 == 0 ? at / 3 : at % 3 == 1 ? z->saved->len - 1 - at / 3 % z->saved->len : 131116 + at / 3 % 16;
		if (at < z->saved->len)
			z->saved->data[at] = fuzz_u8(z);
	}
	if (damage == 7)
		g_byte_array_set_size(z->saved, z->saved->len * fuzz_u8(z) / 256);
	z->at = 0;
	r = slirp_state_load(z->a.slirp, damage == 6 ? (int8_t)fuzz_u8(z) : 4, on_read, z);
	FUZZ_CHECK(!r || (damage && r == -EINVAL));
}

/* The stream is the input's. */
static void fuzz_load(struct fuzz *z)
{
	uint8_t p[1024];
	uint32_t n = fuzz_bytes(z, p, sizeof(p));
	int r;

	g_byte_array_set_size(z->saved, 0);
	g_byte_array_append(z->saved, p, n);
	z->at = 0;
	r = slirp_state_load(z->a.slirp, 1 + n % 4, on_read, z);
	FUZZ_CHECK(!r || r == -EINVAL);
}

static void fuzz_ncsi(struct fuzz *z)
{
	uint8_t p[FUZZ_FRAME];
	uint32_t n;

	memset(p, 0xff, 12);
	bytes_put16(p + 12, ETH_TYPE_NCSI);
	n = fuzz_bytes(z, p + ETH_HDR_LEN, sizeof(p) - ETH_HDR_LEN);
	slirp_input(z->a.slirp, p, (int)(ETH_HDR_LEN + n));
}

/* An ICMPv6 message with its checksum, from the guest's link-local address. */
static void fuzz_icmp6(struct fuzz *z)
{
	uint8_t how = fuzz_u8(z), p[FUZZ_FRAME] = { 0 }, *l4 = p + ETH_HDR_LEN + IP6_HDR_LEN;
	struct ip ip = { .v6 = true, .src = app_addr(how & 1 ? "fe80::15" : "fd00::15"), .dst = app_addr(how & 2 ? "fe80::2" : how & 4 ? "ff02::2" : "fd00::2"),
			 .proto = IP_PROTO_ICMPV6, .hop_limit = how & 8 ? 64 : 255 };
	uint16_t csum;

	ip.payload_len = fuzz_bytes(z, l4, sizeof(p) - ETH_HDR_LEN - IP6_HDR_LEN);
	if (ip.payload_len >= 4) {
		l4[2] = l4[3] = 0;
		csum = csum_wire_final(csum_wire_pseudo(&ip.src, &ip.dst, IP_PROTO_ICMPV6, ip.payload_len) + csum_wire_add(l4, ip.payload_len));
		memcpy(l4 + 2, &csum, sizeof(csum));
	}
	app_eth(p, ETH_TYPE_IPV6);
	p[1] = 0x56;
	ip_wire_put(p + ETH_HDR_LEN, &ip);
	slirp_input(z->a.slirp, p, (int)(ETH_HDR_LEN + IP6_HDR_LEN + ip.payload_len));
}

static void fuzz_turn(struct fuzz *z)
{
	app_fill(&z->a);
	slirp_pollfds_poll(z->a.slirp, z->left & 1, NULL, NULL);
}

static void fuzz_time(struct fuzz *z)
{
	uint16_t step = fuzz_u16(z);

	if (step == 0xffff)
		z->a.now_ns -= 1000000000; /* a snapshot was loaded */
	else
		z->a.now_ns += (int64_t)step * 1000000;
	fuzz_turn(z);
}

static void fuzz_small(struct fuzz *z)
{
	uint8_t what = fuzz_u8(z);

	z->back = what & 1;
	if (what & 2)
		slirp_handle_timer(z->a.slirp, what & 4 ? SLIRP_TIMER_NUM : SLIRP_TIMER_RA, NULL);
	if (what & 8)
		app_ping(&z->a, "10.0.2.15", fuzz_far(what >> 5), what);
	if (what & 16)
		app_arp(&z->a, "10.0.2.15", fuzz_far(what >> 5));
}

static void fuzz_config(struct fuzz *z)
{
	static const uint16_t mtus[] = { 0, 68, 576, 1280 };
	uint8_t how = fuzz_u8(z);

	app_init(&z->a);
	z->a.cb.send_packet = on_packet;
	z->a.cb.init_completed = app_completed;
	z->a.cfg.version = 1 + how % 6;
	z->a.cfg.if_mtu = z->a.cfg.if_mru = mtus[how / 8 % 4];
	z->a.cfg.restricted = how >> 5 & 1;
	z->a.cfg.in6_enabled = how >> 6 & 1;
	z->a.cfg.disable_host_loopback = how >> 7;
	z->a.cfg.mfr_id = 0x8119;
	app_open(&z->a);
}

static void fuzz_quiet(const char *domain, GLogLevelFlags level, const char *message, void *arg)
{
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		perror("fuzz_libslirp: a network of its own");
		exit(1);
	}
	g_log_set_default_handler(fuzz_quiet, NULL);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const ops[])(struct fuzz *z) = { fuzz_raw,  fuzz_tcp,  fuzz_udp,	fuzz_guestfwd, fuzz_push,  fuzz_hostfwd, fuzz_info, fuzz_state,
						       fuzz_load, fuzz_ncsi, fuzz_icmp6, fuzz_turn,	    fuzz_time,	fuzz_small };
	struct fuzz *z = g_new0(struct fuzz, 1);

	z->in = data;
	z->left = size;
	z->saved = g_byte_array_new();
	fuzz_config(z);
	for (int i = 0; i < FUZZ_OPS && z->left; i++)
		ops[fuzz_u8(z) % G_N_ELEMENTS(ops)](z);
	fuzz_turn(z);
	slirp_cleanup(z->a.slirp);
	g_byte_array_unref(z->saved);
	g_free(z);
	return 0;
}
